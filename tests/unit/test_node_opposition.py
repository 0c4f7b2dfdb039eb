"""Persons who object take part in nothing, whatever the statement; a list that cannot be read keeps the table away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import NOW, PROTECTED, REF, STAYS, Party, config_of, runner_of, write_tables

from archipel import errors, frames
from archipel.policy import Policy
from node_agent.engine import opposition
from node_agent.engine.duckdb_engine import DuckDBEngine
from node_agent.tasks import TaskRunner

LIST = {"source": "lists", "file": "opposed.csv", "column": "person", "person_domain": "person"}
COUNT = "SELECT count(*) AS n, sum(days) AS days FROM stays"


@dataclass
class Node:
    """Keys, and a task runner of the node: tests give it the engine that they are about."""

    party: Party
    runner: TaskRunner

    def run(self, sql: str) -> pa.Table:
        """Send a statement as the coordinator would; return what is released."""
        return frames.decode_table(list(self.runner.run(self.party.order(sql), {}).frames))

    def refusal(self, sql: str) -> str:
        """Return the code of the error by which a statement ends."""
        with pytest.raises(errors.ArchipelError) as caught:
            self.run(sql)
        return caught.value.code


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    party = Party()
    runner = runner_of(tmp_path, party)
    runner.engine.close()
    yield Node(party, runner)
    runner.engine.close()
    assert runner.audit is not None
    runner.audit.close()


def engine(directory: Path, listed: str | pa.Table | None, *, rules: Any = LIST, **table: Any) -> DuckDBEngine:
    """Return an engine over ``stays`` whose opposition list has this content; None: there is no file."""
    write_tables(directory)
    lists = directory / "lists"
    lists.mkdir(exist_ok=True)
    if isinstance(listed, str):
        (lists / "opposed.csv").write_text(listed, encoding="utf-8")
    elif listed is not None:
        pq.write_table(listed, lists / "opposed.parquet")
        rules = {**rules, "file": "opposed.parquet"}
    kind = "parquet" if isinstance(listed, pa.Table) else "csv"
    sources = [
        {"name": "data", "kind": "files", "path": str(directory), "format": "parquet"},
        {"name": "lists", "kind": "files", "path": str(lists), "format": kind},
    ]
    config = config_of(directory, {"tables": [{**STAYS, **table}, REF], "sources": sources})
    content = {
        "version": 1,
        "node": {"approval": "auto", "opposition": rules},
        "tables": {"stays": PROTECTED, "ref": {"protected": False, "coordinator": "rows"}},
    }
    policy = Policy.model_validate(content)
    opposition.check(config, policy)
    return DuckDBEngine(config, policy)


def counted(found: DuckDBEngine, sql: str = "SELECT count(*) AS n, count(DISTINCT person) AS p FROM stays") -> Any:
    statement = found.statement(sql, {}, timeout_s=30)
    try:
        return tuple(statement.run().read_all().to_pylist()[0].values())
    finally:
        statement.close()


def test_no_statement_sees_the_rows_of_who_objects(tmp_path: Path) -> None:
    everybody, found = engine(tmp_path, "person\n1000\n"), engine(tmp_path, "person\n3\n\n 007 \n39\n")
    assert (counted(everybody), counted(found)) == ((80, 40), (74, 37))
    for sql in (
        "SELECT count(*) FROM stays WHERE person IN (3, 7, 39)",
        "SELECT count(*) FROM ref WHERE EXISTS (SELECT 1 FROM stays WHERE person = 3)",
        "SELECT count(*) FROM (SELECT person FROM stays UNION ALL SELECT person FROM stays) AS s WHERE person = 7",
        "SELECT count(*) FROM stays WHERE note IN ('secret-3', 'secret-39')",
    ):
        assert counted(everybody, sql) > (0,)
        assert counted(found, sql) == (0,)
    assert found.problems() == ()
    assert not any("opposition" in warning for warning in found.warnings())
    found.close()
    everybody.close()


def test_a_node_releases_what_is_left_and_does_not_tell_how_many_object(tmp_path: Path, node: Node) -> None:
    node.runner.engine = engine(tmp_path, "person\n" + "\n".join(map(str, range(5))))
    assert node.run(COUNT).to_pylist() == [{"n": 70, "days": sum(i % 7 for i in range(10, 80))}]
    text = "".join(path.read_text() for path in (tmp_path / "audit").glob("*.jsonl"))
    assert "opposition" not in text
    (registered,) = (t for t in node.runner.engine.tables() if t.name == "stays")
    assert registered.approximate_rows == 1000  # the least that is told, with and without them


def test_persons_without_an_identifier_stay(tmp_path: Path) -> None:
    write_tables(tmp_path)
    found = engine(tmp_path, pa.table({"person": pa.array([1, None, 2], pa.int32())}))
    assert counted(found) == (76, 38)
    found.close()


def test_text_is_compared_without_blanks_around_it(tmp_path: Path) -> None:
    persons = pa.table({"person": ["A1 ", "B2", None, "C3"], "days": [1, 2, 3, 4]})
    found = engine(tmp_path, "person\nA1\n  B2\n")
    found.close()
    pq.write_table(persons, tmp_path / "stays.parquet")
    found = DuckDBEngine(
        config_of(tmp_path, {"tables": [STAYS], "sources": _sources(tmp_path)}),
        Policy.model_validate({"version": 1, "node": {"opposition": [LIST]}, "tables": {"stays": PROTECTED}}),
    )
    assert counted(found, "SELECT count(*), sum(days) FROM stays") == (2, 7)
    found.close()


def test_several_lists_of_one_domain_add_up_and_another_domain_is_untouched(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "more.csv").write_text("id\n5\n")
    found = engine(tmp_path, "person\n3\n", rules=[LIST, {**LIST, "file": "more.csv", "column": "ID"}])
    assert counted(found) == (76, 38)
    found.close()
    with pytest.raises(errors.ArchipelError, match="no table has this person_domain; there are: nir"):
        engine(tmp_path, "person\n3\n", person_domain="nir")


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (None, "No such file"),
        ("who\n3\n", "it has no column 'person'"),
        ("", "its first line must name every column"),
        ("person,x\n3\n", "line 2 of the CSV file is malformed"),
        ("person\n3\nM. Martin\n", "holds an entry that is no BIGINT"),
        (pa.table({"person": [True]}), "holds BOOLEAN, the person column BIGINT"),
    ],
    ids=["missing", "other column", "empty", "broken", "no identifier", "other type"],
)
def test_a_list_that_cannot_be_read_keeps_the_table_away(tmp_path: Path, listed: Any, told: str) -> None:
    found = engine(tmp_path, listed)
    assert [table.name for table in found.tables()] == ["ref"]
    assert any("table stays: the opposition list" in problem and told in problem for problem in found.problems())
    assert "Martin" not in str(found.problems())
    (withdrawn,) = found.withdrawn()
    assert (withdrawn.name, withdrawn.columns[0].name, withdrawn.approximate_rows) == ("stays", "person", 0)
    assert withdrawn.policy.protected
    found.close()


def test_a_number_in_the_list_is_not_taken_for_a_text(tmp_path: Path) -> None:
    write_tables(tmp_path)
    pq.write_table(pa.table({"person": ["007", "8"], "days": [1, 2]}), tmp_path / "stays.parquet")
    (tmp_path / "lists").mkdir()
    pq.write_table(pa.table({"person": [7]}), tmp_path / "lists" / "opposed.parquet")
    content = {
        "version": 1,
        "node": {"opposition": {**LIST, "file": "opposed.parquet"}},
        "tables": {"stays": PROTECTED},
    }
    sources = _sources(tmp_path, "parquet")
    found = DuckDBEngine(config_of(tmp_path, {"tables": [STAYS], "sources": sources}), Policy.model_validate(content))
    assert found.tables() == ()
    assert "holds BIGINT, the person column VARCHAR: make it text" in found.problems()[0]
    found.close()


def test_a_list_that_changes_stops_answers_until_it_is_read_again(tmp_path: Path, node: Node) -> None:
    first = node.runner.engine = engine(tmp_path, "person\n3\n")
    assert not first.must_reopen()
    path = tmp_path / "lists" / "opposed.csv"
    path.write_text("person\n3\n4\n")
    assert first.must_reopen()
    assert node.refusal(COUNT) == "NODE_CHANGED"
    node.run("SELECT code FROM ref")
    path.unlink()
    assert node.refusal(COUNT) == "NODE_SOURCE"
    first.close()
    node.runner.engine = engine(tmp_path, "person\n3\n4\n")
    assert counted(node.runner.engine) == (76, 38)


def test_the_list_itself_can_be_asked_by_nobody(tmp_path: Path, node: Node) -> None:
    node.runner.engine = engine(tmp_path, "person\n3\n")
    for sql in (
        "SELECT id FROM archipel_opposition.list_0",
        "SELECT count(*) FROM list_0",
        "SELECT code FROM ref WHERE EXISTS (SELECT 1 FROM archipel_opposition.list_0_0)",
    ):
        with pytest.raises(errors.ArchipelError) as caught:
            node.run(sql)
        assert caught.value.info.code.fault in {errors.Fault.REQUEST, errors.Fault.PERMISSION}
        with pytest.raises(errors.ArchipelError):
            counted(node.runner.engine, sql)  # the engine's own guard, for a statement that no border check has seen


def test_a_list_that_fits_nobody_is_told_to_the_operator(tmp_path: Path) -> None:
    found = engine(tmp_path, "person\n1000\n")
    assert any("no person of the opposition list is in it" in warning for warning in found.warnings())
    assert counted(found) == (80, 40)
    found.close()


def test_a_list_in_a_duckdb_file_is_read_too(tmp_path: Path) -> None:
    write_tables(tmp_path)
    with duckdb.connect(str(tmp_path / "registry.duckdb")) as made:
        made.execute("CREATE TABLE opposed AS SELECT unnest([3, 4]) AS person")
    sources = [
        {"name": "data", "kind": "files", "path": str(tmp_path), "format": "parquet"},
        {"name": "registry", "kind": "duckdb", "path": str(tmp_path / "registry.duckdb")},
    ]
    rules = {"source": "registry", "table": "opposed", "column": "person", "person_domain": "person"}
    content = {"version": 1, "node": {"opposition": rules}, "tables": {"stays": PROTECTED}}
    config, policy = config_of(tmp_path, {"tables": [STAYS], "sources": sources}), Policy.model_validate(content)
    opposition.check(config, policy)
    found = DuckDBEngine(config, policy)
    assert counted(found) == (76, 38)
    found.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": "list"}, "names the source 'list'; there are: data, lists"),
        ({"file": None, "table": "opposed"}, "needs 'file': the source 'lists' is files"),
    ],
)
def test_a_list_that_is_nowhere_keeps_the_agent_from_starting(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(errors.ArchipelError, match=told) as caught:
        engine(tmp_path, "person\n3\n", rules={**LIST, **change})
    assert caught.value.code == "CONFIG_INVALID"


# --- a table pinned to its data -------------------------------------------------------------------------------------


def test_a_pinned_table_is_offered_only_while_its_data_is_what_was_pinned(tmp_path: Path, node: Node) -> None:
    from node_agent.engine import sources

    write_tables(tmp_path)
    path = tmp_path / "stays.parquet"
    digest = sources.content_digest([sources.FileState.of(path)])

    def opened() -> DuckDBEngine:
        content = {"version": 1, "tables": {"stays": {**PROTECTED, "snapshot": {"digest": digest, "name": "final"}}}}
        return DuckDBEngine(config_of(tmp_path, {"tables": [STAYS, REF]}), Policy.model_validate(content))

    node.runner.engine = opened()
    assert node.runner.engine.unpinned() == ()
    node.run(COUNT)
    node.runner.engine.close()

    content = path.read_bytes()
    pq.write_table(pq.read_table(path).slice(2), path)
    os.utime(path, (NOW, NOW))
    node.runner.engine = opened()
    assert node.runner.engine.unpinned() == ("stays",)
    assert "stays" in [table.name for table in node.runner.engine.withdrawn()]
    assert "stays" not in [table.name for table in node.runner.engine.tables()]
    assert any("not the snapshot that the policy pins" in problem for problem in node.runner.engine.problems())
    assert node.refusal("SELECT count(*) AS n FROM Stays") == "SNAPSHOT_CHANGED"
    assert node.refusal("SELECT count(*) AS n FROM elsewhere") == "SQL_UNKNOWN_TABLE"
    node.runner.engine.close()

    path.write_bytes(content)
    node.runner.engine = opened()
    assert node.runner.engine.unpinned() == ()
    assert "stays" not in [table.name for table in node.runner.engine.withdrawn()]


def test_the_digest_of_several_files_is_that_of_what_sha256sum_prints(tmp_path: Path) -> None:
    import hashlib

    from node_agent.engine import sources

    for name, text in (("b", "two"), ("a", "one")):
        (tmp_path / name).write_text(text)
    states = [sources.FileState.of(tmp_path / name) for name in ("b", "a")]
    printed = "".join(
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in (("a", "one"), ("b", "two"))
    )
    assert sources.content_digest(states) == "sha256:" + hashlib.sha256(printed.encode()).hexdigest()
    assert sources.content_digest(states[:1]) == "sha256:" + hashlib.sha256(b"two").hexdigest()


def _sources(directory: Path, kind: str = "csv") -> list[dict[str, Any]]:
    return [
        {"name": "data", "kind": "files", "path": str(directory), "format": "parquet"},
        {"name": "lists", "kind": "files", "path": str(directory / "lists"), "format": kind},
    ]
