"""The merger: which executor it takes, and the final statement with its limits and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import merge_cases as cases
import pyarrow as pa
import pytest

from archipel.errors import ArchipelError
from coordinator.merge.merger import Merger
from coordinator.merge.settings import MIB, THRESHOLD_BYTES, MergeSettings, RayMode, RaySettings
from coordinator.merge.stop import Stop

SECRET = "Jeanne Martin 1954"
SETTINGS = MergeSettings(memory_limit_bytes=256 * MIB, ray=RaySettings(mode=RayMode.OFF))


@pytest.fixture
def merger() -> Iterator[Merger]:
    merger = Merger(SETTINGS)
    yield merger
    merger.close()


def finish(merger: Merger, sql: str, **inputs: pa.Table) -> pa.Table:
    return merger.finish(sql, inputs, timeout_s=30.0, max_rows=10_000, max_bytes=10 * MIB)


def refused(merger: Merger, sql: str, **limits: Any) -> ArchipelError:
    allowed: dict[str, Any] = {"timeout_s": 30.0, "max_rows": 10_000, "max_bytes": 10 * MIB} | limits
    table = pa.table({"name": [SECRET], "n": [0], "d": pa.array([Decimal("9" * 38)], pa.decimal128(38, 0))})
    with pytest.raises(ArchipelError) as caught:
        merger.finish(sql, {"x1": table}, **allowed)
    assert SECRET not in repr(caught.value) + str(caught.value) + str(caught.value.__cause__)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # tracebacks are logged
    return caught.value


# Finishing


def test_the_final_statement_sees_its_inputs_and_keeps_its_order(merger: Merger) -> None:
    left = pa.table({"g": ["a", "b", "c"], "n": [3, 1, 2], "_shard": pa.array([0, 0, 1], pa.int32())})
    right = pa.table({"g": ["c", "a"], "name": ["third", "first"]})
    sql = 'SELECT "x1"."g", "n", "name", "_shard" FROM "x1" LEFT JOIN "x2" USING ("g") ORDER BY "n" DESC'
    answer = finish(merger, sql, x1=left, x2=right)
    assert answer.to_pylist() == [
        {"g": "a", "n": 3, "name": "first", "_shard": 0},
        {"g": "c", "n": 2, "name": "third", "_shard": 1},
        {"g": "b", "n": 1, "name": None, "_shard": 0},
    ]


def test_a_final_statement_without_rows_still_has_its_types(merger: Merger) -> None:
    table = pa.table({"g": ["a"], "n": [1]})
    answer = finish(merger, 'SELECT "g", CAST("n" AS INTEGER) AS "n" FROM "x1" WHERE "n" > 1', x1=table)
    assert (answer.num_rows, answer.schema) == (0, pa.schema([("g", pa.string()), ("n", pa.int32())]))


def test_a_large_answer_keeps_its_order_over_many_batches(merger: Merger) -> None:
    table = pa.table({"n": list(range(100_000))})
    sql = 'SELECT "n" FROM "x1" ORDER BY "n" DESC'
    answer = merger.finish(sql, {"x1": table}, timeout_s=30, max_rows=100_000, max_bytes=10 * MIB)
    assert answer["n"].to_pylist() == list(range(99_999, -1, -1))


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT CAST(\"name\" AS INTEGER) FROM \"x1\"", "converted"),
        ("SELECT CAST(\"name\" AS DATE) FROM \"x1\"", "converted"),
        ("SELECT CAST(\"d\" AS BIGINT) FROM \"x1\"", "type"),
        ("SELECT \"d\" + \"d\" FROM \"x1\"", "range"),
        ("SELECT CAST(9223372036854775807 AS BIGINT) + 1 + \"n\" FROM \"x1\"", "range"),
        ("SELECT sqrt(\"n\" - 1) FROM \"x1\"", "range"),
        ("SELECT strptime(\"name\", '%Y') FROM \"x1\"", "function"),
        ("SELECT (SELECT \"r\" FROM range(3) AS t(\"r\")) FROM \"x1\"", "row"),
        # 50,000 good values come before the bad one: it is met while the answer is already read.
        ("SELECT CAST(CASE WHEN \"r\" > 50000 THEN \"name\" ELSE '1' END AS INT) FROM range(60000) AS t(\"r\"), \"x1\"",
         "converted"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_the_expressions_are_the_querys_error_without_the_value(
    merger: Merger, sql: str, word: str
) -> None:
    error = refused(merger, sql, max_rows=10**9)
    assert error.code == "SQL_EXECUTION"
    assert word in str(error)


def test_a_result_with_too_many_rows_is_refused_before_it_is_made(merger: Merger) -> None:
    began = time.monotonic()
    error = refused(merger, "SELECT r FROM range(1000000000000) AS t(r)", max_rows=1_000)
    assert (error.code, "1,000 rows" in str(error)) == ("RESULT_TOO_LARGE", True)
    assert time.monotonic() - began < 10  # all of it would take hours


def test_a_result_with_too_many_bytes_is_refused(merger: Merger) -> None:
    error = refused(merger, "SELECT repeat('x', 1000) AS s FROM range(100000)", max_rows=10**6, max_bytes=MIB)
    assert (error.code, "1,048,576 bytes" in str(error)) == ("RESULT_TOO_LARGE", True)


def test_results_exactly_at_the_limits_are_allowed(merger: Merger) -> None:
    table = pa.table({"n": list(range(1_000))})
    whole: dict[str, Any] = {"timeout_s": 30.0, "max_rows": 1_000, "max_bytes": 2 * table.nbytes}
    answer = merger.finish('SELECT "n" FROM "x1"', {"x1": table}, **whole)
    assert answer.num_rows == 1_000
    with pytest.raises(ArchipelError, match="999 rows"):
        merger.finish('SELECT "n" FROM "x1"', {"x1": table}, **(whole | {"max_rows": 999}))


ENDLESS = "SELECT count(*) FROM range(10000000000000) AS t(r) WHERE r % 7 = 8"


@pytest.mark.parametrize("timeout_s", [0.0, 0.2])
def test_a_final_statement_ends_at_its_deadline_and_the_engine_stays_usable(merger: Merger, timeout_s: float) -> None:
    assert refused(merger, ENDLESS, timeout_s=timeout_s).code == "TIMEOUT"
    assert finish(merger, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_final_statement_without_enough_memory_fails_alone(merger: Merger) -> None:
    sql = "SELECT count(*) FROM (SELECT DISTINCT hash(r) FROM range(1000000000) AS t(r))"
    assert refused(merger, sql).code == "MERGE_FAILED"
    assert finish(merger, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "COPY (SELECT 1) TO '/tmp/archipel-merge-test'",
        "ATTACH '/tmp/archipel-merge-test.db'",
        "SET threads = 8",
        "SET memory_limit = '100GB'",
        "RESET lock_configuration",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM table_of_python",
    ],
)
def test_the_engine_reaches_no_file_setting_or_variable(merger: Merger, sql: str) -> None:
    table_of_python = pa.table({"n": [1]})
    assert table_of_python.num_rows == 1
    assert refused(merger, sql).code in {"INTERNAL", "SQL_EXECUTION"}


def test_threads_do_not_see_each_others_inputs(merger: Merger) -> None:
    def run(number: int) -> int:
        table = pa.table({"n": [number] * 1_000})
        total: int = finish(merger, 'SELECT CAST(sum("n") AS BIGINT) AS "t" FROM "x1"', x1=table)["t"][0].as_py()
        return total

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(64))) == [1_000 * i for i in range(64)]


def test_closing_interrupts_what_runs_and_refuses_what_comes() -> None:
    merger = Merger(SETTINGS)
    began = threading.Event()
    ended: list[str] = []

    def run() -> None:
        began.set()
        ended.append(refused(merger, ENDLESS, timeout_s=600.0).code)

    thread = threading.Thread(target=run)
    thread.start()
    began.wait()
    merger.close()
    thread.join(20)
    merger.close()
    assert ended == ["INTERRUPTED"]
    assert refused(merger, "SELECT 1").code == "INTERRUPTED"


@pytest.mark.parametrize("when", ["before", "while it runs"])
def test_a_final_statement_that_is_no_longer_wanted_ends_at_once_and_no_other_does(merger: Merger, when: str) -> None:
    stop, other = Stop(), Stop()
    if when == "before":
        stop.make()
    with ThreadPoolExecutor(2) as pool:
        ending = pool.submit(refused, merger, ENDLESS, timeout_s=600.0, stop=stop)
        going_on = pool.submit(refused, merger, ENDLESS, timeout_s=600.0, stop=other)
        stop.make()
        assert ending.result(20).code == "CANCELLED"
        assert not going_on.done()
        other.make()
        other.make()
        assert going_on.result(20).code == "CANCELLED"
    assert finish(merger, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_wish_to_stop_that_comes_at_any_moment_leaves_the_engine_usable(merger: Merger) -> None:
    limits: dict[str, Any] = {"timeout_s": 30.0, "max_rows": 10, "max_bytes": MIB}

    def summed(stop: Stop) -> str:
        try:
            answer = merger.finish("SELECT sum(r) AS s FROM range(100000) AS t(r)", {}, stop=stop, **limits)
        except ArchipelError as cause:
            return cause.code
        return str(answer["s"][0])

    with ThreadPoolExecutor(1) as pool:
        for _ in range(50):
            stop = Stop()
            pool.submit(stop.make)
            assert summed(stop) in {"CANCELLED", "4999950000"}
            assert finish(merger, "SELECT 1 AS one").to_pylist() == [{"one": 1}]


# Which executor


def partials(rows: int) -> pa.Table:
    return pa.table({"g": list(range(rows)), "n": [1] * rows})


def test_the_default_threshold_leaves_thousands_of_groups_in_process() -> None:
    assert cases.source(partials(10_000)).bytes * 100 < THRESHOLD_BYTES == MergeSettings().threshold_bytes


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        (MergeSettings(threshold_bytes=10**9), ("g",)),
        (MergeSettings(threshold_bytes=0), ()),
        (MergeSettings(threshold_bytes=0, ray=RaySettings(mode=RayMode.OFF)), ("g",)),
    ],
    ids=["small", "a total has no keys to cut by", "Ray is off"],
)
def test_merges_stay_in_process(settings: MergeSettings, keys: tuple[str, ...]) -> None:
    merger = Merger(settings)
    try:
        source = cases.source(partials(3), partials(3))
        table, name = merger.merge(cases.text(cases.grouped(keys, cases.summed("n"))), source, keys, timeout_s=30)
    finally:
        merger.close()
    assert name == "in-process"
    assert sum(int(n) for n in table["n"].to_pylist()) == 6


def test_ray_is_asked_from_the_threshold_on_and_not_below_it() -> None:
    at, below = cases.source(partials(100), partials(100)), cases.source(partials(100), partials(99))
    nobody = RaySettings(mode=RayMode.EXISTING, address="127.0.0.1:9")
    sql = cases.text(cases.grouped(("g",), cases.summed("n")))
    merger = Merger(MergeSettings(threshold_bytes=at.bytes, ray=nobody))
    try:
        assert merger.merge(sql, below, ("g",), timeout_s=60)[1] == "in-process"
        with pytest.raises(ArchipelError) as caught:
            merger.merge(sql, at, ("g",), timeout_s=60)
    finally:
        merger.close()
    assert caught.value.code == "RAY_UNAVAILABLE"


HASTY = RaySettings(start_timeout_s=0.001)
"""A local Ray that is never ready in time."""


def test_without_a_local_ray_small_enough_partials_are_merged_in_process_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    merger = Merger(MergeSettings(threshold_bytes=0, ray=HASTY))
    sql = cases.text(cases.grouped(("g",), cases.summed("n")))
    try:
        table, name = merger.merge(sql, cases.source(partials(100)), ("g",), timeout_s=60)
    finally:
        merger.close()
    assert (table.num_rows, name) == (100, "in-process")
    assert "Ray is not available" in caplog.text


def test_without_a_local_ray_partials_beyond_the_memory_are_an_honest_error() -> None:
    merger = Merger(MergeSettings(threshold_bytes=0, memory_limit_bytes=64 * MIB, ray=HASTY))
    sql = cases.text(cases.grouped(("g",), cases.summed("n")))
    table = partials(2_000_000)
    try:
        with pytest.raises(ArchipelError) as caught:
            merger.merge(sql, cases.source(table), ("g",), timeout_s=60)
        began = time.monotonic()
        with pytest.raises(ArchipelError) as again:
            merger.merge(sql, cases.source(table), ("g",), timeout_s=60)
    finally:
        merger.close()
    assert caught.value.code == again.value.code == "RAY_UNAVAILABLE"
    assert time.monotonic() - began < 5  # a start that failed is not tried again at once


def test_without_ray_installed_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from coordinator.merge import ray_executor

    monkeypatch.setattr(ray_executor.importlib.util, "find_spec", lambda name: None)
    executor = ray_executor.RayExecutor(RaySettings())
    with pytest.raises(ArchipelError, match="not installed") as caught:
        executor.merge("SELECT 1", cases.source(partials(1)), ("g",), timeout_s=5)
    assert caught.value.code == "RAY_UNAVAILABLE"
    executor.close()
