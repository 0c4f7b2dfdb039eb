"""The coordinator's memory: what a restart keeps, what it ends, what time deletes, and whose it is."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import postgres
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from archipel import errors
from coordinator import store_schema as schema
from coordinator.events import State
from coordinator.store import (
    CHUNKS_AT_ONCE,
    UNTOLD_EVENTS,
    QueryRecord,
    ResultRecord,
    Store,
    StoredRegistration,
    make_event,
)

Open = Callable[[], Store]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server; skips where there is none."""
    with postgres.server() as url:
        yield url


def emptied(url: str) -> str:
    """Return the URL after dropping what an earlier test left in its database."""
    engine = create_engine(url)
    schema.metadata.drop_all(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def reopened(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the same store anew, as a coordinator's next life does."""
    yield from opens(
        emptied(request.getfixturevalue("server")) if request.param == "postgresql" else sqlite_url(tmp_path)
    )


@pytest.fixture
def reopened_file(tmp_path: Path) -> Iterator[Open]:
    """The same for an SQLite file only."""
    yield from opens(sqlite_url(tmp_path))


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory / 'coordinator.db'}"


def opens(url: str) -> Iterator[Open]:
    opened: list[Store] = []

    def open_() -> Store:
        for store in opened:
            store.close()
        opened.append(Store(url))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def record(
    query_id: str, *, researcher: str = "alice", request_id: str | None = None, created_ms: int = 1
) -> QueryRecord:
    return QueryRecord(
        query_id=query_id,
        request_id=request_id or f"request-{query_id}",
        request_sha256="0" * 64,
        permit_id="permit",
        project="study",
        researcher=researcher,
        sql="SELECT 'café' AS x",
        dialect="duckdb",
        created_ms=created_ms,
        plan="{}",
    )


def add(store: Store, query_id: str, **changes: object) -> None:
    told = [make_event(1, 1, State.QUEUED, "queued"), make_event(2, 1, State.QUEUED, "planned")]
    store.add_query(record(query_id, **changes), told).result()  # type: ignore[arg-type]


def finish(store: Store, query_id: str, frames: list[bytes], *, expires_ms: int = 1_000) -> None:
    result = ResultRecord(rows=3, info=b"\x08\x01", frames=frames, expires_ms=expires_ms)
    store.end_query(query_id, [make_event(3, 9, State.FINISHED, "finished")], result).result()


def chunks_of(store: Store, query_id: str) -> list[bytes]:
    found: list[bytes] = []
    while more := store.result_chunks(query_id, len(found)):
        found += more
    return found


def test_a_finished_query_survives_a_restart_with_its_result_and_events(reopened: Open) -> None:
    store = reopened()
    add(store, "q1")
    frames = [bytes([i]) * 1_000 for i in range(CHUNKS_AT_ONCE * 2 + 3)]
    finish(store, "q1", frames)
    store = reopened()
    assert store.interrupt_unfinished(5) == 0
    kept = store.query("q1", "alice")
    assert kept is not None
    assert (kept.state, kept.ended_ms, kept.error, kept.sql) == (State.FINISHED, 9, None, "SELECT 'café' AS x")
    head = store.result_head("q1")
    assert head is not None
    assert (head.rows, head.info, head.chunks) == (3, b"\x08\x01", len(frames))
    assert chunks_of(store, "q1") == frames
    assert [e.kind for e in store.events("q1")] == ["queued", "planned", "finished"]


def test_a_restart_ends_open_queries_as_interrupted_after_everything_that_was_told(reopened: Open) -> None:
    store = reopened()
    add(store, "queued")
    add(store, "running")
    store.add_events("running", [make_event(3, 2, State.RUNNING, "dispatched", node="a", stage_id="n1")])
    store = reopened()
    assert store.interrupt_unfinished(77) == 2
    for query_id, last_told in (("queued", 2), ("running", 3)):
        ended = store.query(query_id, "alice")
        assert ended is not None
        assert ended.error is not None
        assert (ended.state, ended.ended_ms, ended.error.code) == (State.FAILED, 77, errors.INTERRUPTED)
        told = store.events(query_id)[-1]
        assert (told.kind, told.error.code, told.error.query_id) == ("failed", "INTERRUPTED", query_id)
        assert told.sequence == last_told + UNTOLD_EVENTS
    assert store.interrupt_unfinished(78) == 0


def test_another_researchers_query_does_not_exist(reopened: Open) -> None:
    store = reopened()
    add(store, "q1", researcher="alice")
    add(store, "q2", researcher="bob")
    assert store.query("q1", "bob") is None
    assert [q.query_id for q in store.queries("bob", 10, 1_000_000)] == ["q2"]


def test_queries_are_listed_newest_first_up_to_the_limit(reopened: Open) -> None:
    store = reopened()
    for number in range(5):
        add(store, f"q{number}", created_ms=number)
    assert [q.query_id for q in store.queries("alice", 3, 1_000_000)] == ["q4", "q3", "q2"]


def test_a_request_is_found_again_only_under_its_permit_and_researcher(reopened: Open) -> None:
    store = reopened()
    add(store, "q1", request_id="request-1")
    found = store.find_request("permit", "alice", "request-1")
    assert found is not None
    assert found.query_id == "q1"
    assert store.find_request("permit", "bob", "request-1") is None
    assert store.find_request("other", "alice", "request-1") is None


def test_expired_rows_are_deleted_and_their_header_stays_to_say_so(reopened: Open, tmp_path: Path) -> None:
    store = reopened()
    secret = b"a value of a result that must not stay"
    for query_id, expires_ms in (("old", 100), ("new", 300)):
        add(store, query_id)
        finish(store, query_id, [secret + query_id.encode()], expires_ms=expires_ms)
    store.delete_expired(200).result()
    assert chunks_of(store, "old") == []
    assert store.result_head("old") is not None
    assert chunks_of(store, "new") == [secret + b"new"]
    store.close()
    for path in tmp_path.iterdir():
        assert secret + b"old" not in path.read_bytes(), path.name


def test_one_bad_write_does_not_take_others_with_it(reopened: Open) -> None:
    store = reopened()
    add(store, "q1")
    twice = store.add_query(record("q1"), [])
    other = store.add_query(record("q2"), [make_event(1, 1, State.QUEUED, "queued")])
    with pytest.raises(IntegrityError):
        twice.result()
    other.result()
    assert store.query("q2", "alice") is not None


def test_a_result_is_stored_whole_or_not_at_all(reopened: Open) -> None:
    store = reopened()
    add(store, "q1")
    finish(store, "q1", [b"x"])
    again = ResultRecord(1, b"", [b"y"], 1)
    with pytest.raises(IntegrityError):
        store.end_query("q1", [make_event(4, 9, State.FINISHED, "finished")], again).result()
    assert chunks_of(store, "q1") == [b"x"]
    assert len(store.events("q1")) == 3


def test_what_a_node_registered_last_is_remembered(reopened: Open) -> None:
    store = reopened()
    store.save_registration(StoredRegistration("a", b"first", 1))
    store.save_registration(StoredRegistration("a", b"second", 2))
    store.touch_registration("a", 3).result()
    assert reopened().registrations() == [StoredRegistration("a", b"second", 3)]


def test_only_the_coordinators_user_may_read_the_store(reopened_file: Open, tmp_path: Path) -> None:
    add(reopened_file(), "q1")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "no database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:////nowhere/at/all/coordinator.db", "/nowhere/at/all/coordinator.db"),
        ("mariadb+unknown://host/db", "no database URL"),
    ],
)
def test_a_store_that_cannot_be_opened_is_a_configuration_error(url: str, words: str) -> None:
    with pytest.raises(errors.ProgrammingError) as problem:
        Store(url)
    assert problem.value.code == "CONFIG_INVALID"
    assert words in problem.value.info.message


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "coordinator.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(errors.ProgrammingError) as problem:
        Store(f"sqlite:///{path}")
    assert problem.value.code == "CONFIG_INVALID"


def test_a_store_of_another_version_is_not_touched(reopened_file: Open, tmp_path: Path) -> None:
    reopened_file().close()
    with closing(sqlite3.connect(tmp_path / "coordinator.db")) as database:
        database.execute("UPDATE archipel_store SET version = 99")
        database.commit()
    with pytest.raises(errors.ProgrammingError, match="version 99"):
        reopened_file()


def test_a_listing_ends_where_its_texts_become_too_long(reopened: Open) -> None:
    store = reopened()
    for number in range(5):
        add(store, f"q{number}", created_ms=number)
    assert [q.query_id for q in store.queries("alice", 10, 1_300)] == ["q4", "q3"]


def test_writes_of_many_threads_are_all_kept_in_order(reopened: Open) -> None:
    store = reopened()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add(store, f"q{number}"), range(100)))
    for sequence in range(3, 20):
        store.add_events("q7", [make_event(sequence, 1, State.RUNNING, "dispatched", node="a")])
    store.end_query("q7", [make_event(20, 1, State.CANCELLED, "cancelled")]).result()
    assert [told.sequence for told in store.events("q7")] == list(range(1, 21))
    assert len(store.queries("alice", 1_000, 1_000_000)) == 100
