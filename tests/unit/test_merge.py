"""Merging partials, on both executors: the same rows bit for bit in-process and on Ray, and the right ones."""

from __future__ import annotations

import datetime as dt
import math
import random
import statistics
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import merge_cases as cases
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge import partition
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeExecutor, MergeInput
from coordinator.merge.in_process import InProcessExecutor
from coordinator.merge.partials import prepared
from coordinator.merge.ray_executor import RayExecutor
from coordinator.merge.settings import MIB, RaySettings
from coordinator.merge.stop import Stop

TIMEOUT_S = 60.0
RAY = RaySettings(cpus=3, object_store_bytes=100 * MIB, task_memory_bytes=256 * MIB)
"""More CPUs than this machine may have: they only say into how many parts a merge is cut."""


@pytest.fixture(scope="session")
def in_process() -> Iterator[InProcessExecutor]:
    executor = InProcessExecutor(engine=Engine(memory_limit_bytes=512 * MIB))
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def on_ray() -> Iterator[RayExecutor]:
    executor = RayExecutor(RAY)
    yield executor
    executor.close()


@pytest.fixture(params=["in-process", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> MergeExecutor:
    name = "in_process" if request.param == "in-process" else "on_ray"
    found: MergeExecutor = request.getfixturevalue(name)
    assert found.name == request.param
    return found


Merge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def merge(executor: MergeExecutor, in_process: InProcessExecutor) -> Merge:
    """Merge on the executor; whatever the order of arrival, the rows are in-process's bit for bit."""

    def run(sql: str, source: MergeInput, keys: tuple[str, ...]) -> list[dict[str, Any]]:
        merged = executor.merge(sql, source, keys, timeout_s=TIMEOUT_S)
        order = list(range(len(source.tables)))
        random.Random(5).shuffle(order)
        permuted = MergeInput(
            source.exchange_id,
            source.schema,
            tuple(source.tables[i] for i in order),
            tuple(source.shards[i] for i in order),
        )
        other = in_process.merge(sql, permuted, keys, timeout_s=TIMEOUT_S)
        assert merged.schema == other.schema
        assert cases.bits(merged) == cases.bits(other)
        return merged.to_pylist()  # type: ignore[no-any-return]

    return run


def by(rows: list[dict[str, Any]], key: str = "g") -> dict[Any, dict[str, Any]]:
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows), "a group came twice"
    return found


# Counts, decimals and integers


def test_counts_add_up_over_the_nodes_of_each_group(merge: Merge) -> None:
    source = cases.source(
        pa.table({"g": ["a", "b"], "n": [1, 2]}),
        pa.table({"g": ["b", "c"], "n": [40, 3]}),
        pa.table({"g": ["a"], "n": [500]}),
    )
    rows = by(merge(cases.text(cases.grouped(["g"], cases.summed("n"))), source, ("g",)))
    assert {g: int(row["n"]) for g, row in rows.items()} == {"a": 501, "b": 42, "c": 3}


def test_decimals_of_38_digits_stay_exact(merge: Merge) -> None:
    kind = pa.decimal128(38, 4)
    small, large = Decimal("0.0001"), Decimal("9" * 33 + ".9998")
    tables = [pa.table({"g": [1], "p": pa.array([value], kind)}) for value in (large, small, small)]
    rows = merge(cases.text(cases.grouped(["g"], cases.summed("p"))), cases.source(*tables[:2]), ("g",))
    assert rows[0]["p"] == Decimal("9" * 33 + ".9999")


def test_sums_beyond_64_bits_come_as_hugeint_and_stay_exact(merge: Merge) -> None:
    huge = Decimal(2**100)
    tables = [pa.table({"g": [1, 2], "p": pa.array([huge, Decimal(-i)], pa.decimal128(38, 0))}) for i in range(4)]
    rows = by(merge(cases.text(cases.grouped(["g"], cases.summed("p"))), cases.source(*tables), ("g",)))
    assert (rows[1]["p"], rows[2]["p"]) == (Decimal(4 * 2**100), Decimal(-6))


def test_a_decimal_that_overflows_is_an_error_without_the_value(executor: MergeExecutor) -> None:
    tables = [pa.table({"g": [1], "p": pa.array([Decimal("7" * 38)], pa.decimal128(38, 0))}) for _ in range(2)]
    with pytest.raises(ArchipelError) as caught:
        executor.merge(
            cases.text(cases.grouped(["g"], cases.summed("p"))), cases.source(*tables), ("g",), timeout_s=TIMEOUT_S
        )
    assert caught.value.code == "SQL_EXECUTION"
    assert "7" not in str(caught.value)


# Doubles


@pytest.mark.parametrize(
    "values",
    [
        [1e16, 1.0, -1e16, 1.0],
        [0.1, 0.2, 0.3, 0.4, 0.5],
        [-0.0, -0.0],
        [float("inf"), 1.0],
        [float("inf"), float("-inf")],
        [float("nan"), 1.0, 2.0],
        [5e-324, 5e-324, -1e-323],
        [1e308, 1e308, -1e308],
    ],
    ids=str,
)
def test_doubles_are_folded_in_the_order_of_the_nodes(merge: Merge, values: list[float]) -> None:
    tables = [pa.table({"g": [1], "p": [value]}) for value in values]
    statement = cases.grouped(["g"], {"p": cases.folded_sum("p", len(values))})
    (row,) = merge(cases.text(statement), cases.source(*tables), ("g",))
    expected = values[0]
    for value in values[1:]:
        expected = expected + value
    assert row["p"] == expected or (math.isnan(row["p"]) and math.isnan(expected))


def test_a_filter_on_one_node_alone_is_pushed_down_and_still_right(merge: Merge) -> None:
    tables = [pa.table({"g": [1, 2], "p": [10.0 * i, 10.0 * i + 1]}) for i in range(3)]
    rows = by(merge(cases.text(cases.grouped(["g"], {"p": cases.of_shard("p", 1)})), cases.source(*tables), ("g",)))
    assert (rows[1]["p"], rows[2]["p"]) == (10.0, 11.0)


def test_doubles_in_lists_are_folded_in_the_order_of_the_nodes(merge: Merge) -> None:
    rng = random.Random(3)
    nodes = [[rng.uniform(-1, 1) * 10.0 ** rng.randint(-8, 16) for _ in range(500)] for _ in range(12)]
    tables = [pa.table({"g": list(range(500)), "p": values}).take(rng.sample(range(500), 500)) for values in nodes]
    listed = exp.func("list_sum", exp.ArrayAgg(this=cases.col("p")), dialect="duckdb")
    rows = by(merge(cases.text(cases.grouped(["g"], {"p": listed})), cases.source(*tables), ("g",)))
    for group in range(500):
        total = 0.0
        for values in nodes:
            total += values[group]
        assert rows[group]["p"] == total


def test_moments_of_shards_give_the_variance_of_all_values_even_far_from_zero(merge: Merge) -> None:
    rng = random.Random(3)
    shards = [[1e6 + rng.gauss(i, 1) for _ in range(50 + i)] for i in range(5)]
    tables = []
    for values in shards:
        mean = math.fsum(values) / len(values)
        squares = math.fsum((v - mean) ** 2 for v in values)
        tables.append(pa.table({"g": ["x"], "n": [len(values)], "m": [mean], "q": [squares]}))
    (row,) = merge(cases.moments_sql(["g"], len(shards)), cases.source(*tables), ("g",))
    everything = [v for values in shards for v in values]
    assert row["n"] == len(everything)
    assert row["m"] == pytest.approx(statistics.fmean(everything), rel=1e-15)
    assert row["q"] / (len(everything) - 1) == pytest.approx(statistics.variance(everything), rel=1e-9)


def test_comoments_of_shards_give_the_covariance_of_all_pairs(merge: Merge) -> None:
    rng = np.random.default_rng(4)
    shards = [rng.normal(size=(30 + i, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]]) + 1e6 for i in range(4)]
    tables = []
    for pairs in shards:
        x, y = pairs[:, 0], pairs[:, 1]
        product = float(((x - x.mean()) * (y - y.mean())).sum())
        row = {"g": [None], "n": [len(pairs)], "mx": [x.mean()], "my": [y.mean()], "xy": [product]}
        tables.append(
            pa.table(row).cast(
                pa.schema([("g", pa.int64()), ("n", pa.int64()), *((c, pa.float64()) for c in ("mx", "my", "xy"))])
            )
        )
    (row,) = merge(cases.comoments_sql(["g"], len(shards)), cases.source(*tables), ("g",))
    everything = np.concatenate(shards)
    covariance = float(np.cov(everything.T, ddof=0)[0, 1])
    assert float(row["xy"]) / int(row["n"]) == pytest.approx(covariance, rel=1e-9)


# Keys


def test_null_is_a_group_of_its_own_beside_the_empty_string(merge: Merge) -> None:
    table = pa.table({"g": [None, "", "NULL"], "h": [None, None, 1], "n": [1, 10, 100]})
    rows = merge(cases.text(cases.grouped(["g", "h"], cases.summed("n"))), cases.source(table, table), ("g", "h"))
    assert {(r["g"], r["h"]): int(r["n"]) for r in rows} == {(None, None): 2, ("", None): 20, ("NULL", 1): 200}


ODD_TEXT = ["", " ", "a", "A", "é", "e\u0301", "ß", "SS", "\u202eabc", "💉", "a\x00b", "\ufeff", "日本", "x" * 10_000]


def test_text_keys_are_compared_by_their_code_points(merge: Merge) -> None:
    table = pa.table({"g": ODD_TEXT, "n": list(range(len(ODD_TEXT)))})
    rows = by(merge(cases.text(cases.grouped(["g"], cases.summed("n"))), cases.source(table, table, table), ("g",)))
    assert {g: int(row["n"]) for g, row in rows.items()} == {g: 3 * i for i, g in enumerate(ODD_TEXT)}


def test_zeros_are_one_group_and_so_are_nans_whatever_their_bits(merge: Merge) -> None:
    odd_nan = np.array([0xFFF8000000000123], np.uint64).view(np.float64)[0]
    first = pa.table({"g": pa.array([0.0, float("nan"), 1.5], from_pandas=False), "n": [1, 10, 100]})
    second = pa.table({"g": pa.array([-0.0, odd_nan, 1.5], from_pandas=False), "n": [1, 10, 100]})
    rows = merge(cases.text(cases.grouped(["g"], cases.summed("n"))), cases.source(first, second), ("g",))
    assert sorted(int(row["n"]) for row in rows) == [2, 20, 200]
    zero = next(row["g"] for row in rows if row["g"] == 0)
    assert math.copysign(1, zero) == 1


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([dt.datetime(1970, 1, 1), dt.datetime(2262, 1, 1, 0, 0, 0, 1), None], pa.timestamp("us")),
        pa.array([dt.datetime(2024, 3, 31, 1), dt.datetime(2024, 10, 27, 1)], pa.timestamp("us", "UTC")),
        pa.array([0, -1, 1], pa.int64()).cast(pa.timestamp("ns")),
        pa.array([dt.date(1582, 10, 15), dt.date(9999, 12, 31)]),
        pa.array([dt.time(0), dt.time(23, 59, 59, 999_999)]),
        pa.array([True, False, None]),
        pa.array([Decimal("1.10"), Decimal("1.11"), Decimal("-0.01")], pa.decimal128(18, 2)),
        pa.array([b"", b"\x00", b"\xff" * 32]),
        pa.array([-(2**63), 2**63 - 1, 0]),
        pa.array([[1.0, None], [], None, [0.0]], pa.list_(pa.float64())),
    ],
    ids=lambda keys: str(keys.type),
)
def test_keys_of_every_type_meet_their_equals(merge: Merge, keys: pa.Array) -> None:
    table = pa.table({"g": keys, "n": [10**i for i in range(len(keys))]})
    rows = merge(cases.text(cases.grouped(["g"], cases.summed("n"))), cases.source(table, table, table), ("g",))
    expected = [(instant(key), 3 * 10**i) for i, key in enumerate(keys.to_pylist())]
    assert sorted((instant(row["g"]), int(row["n"])) for row in rows) == sorted(expected)


def instant(key: Any) -> str:
    # UTC has two names.
    return repr(key.astimezone(dt.UTC) if isinstance(key, dt.datetime) and key.tzinfo else key)


def test_ties_of_arg_min_go_to_the_first_node(merge: Merge) -> None:
    tables = [pa.table({"g": [1, 2], "v": [f"node {i}", f"node {i}"], "k": [7, 7 - (i == 2)]}) for i in range(4)]
    chosen = exp.func("arg_min", cases.col("v"), cases.col("k"), dialect="duckdb")
    rows = by(merge(cases.text(cases.grouped(["g"], {"v": chosen})), cases.source(*tables), ("g",)))
    assert (rows[1]["v"], rows[2]["v"]) == ("node 0", "node 2")


# How many nodes, how many rows


def test_empty_tables_beside_full_ones_change_nothing(merge: Merge) -> None:
    full = pa.table({"g": ["a"], "n": [1]})
    source = cases.source(full.slice(0, 0), full, full.slice(0, 0), full, schema=full.schema)
    rows = merge(cases.text(cases.grouped(["g"], cases.summed("n"))), source, ("g",))
    assert [(row["g"], int(row["n"])) for row in rows] == [("a", 2)]


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_no_row_anywhere_gives_no_group_and_the_right_types(merge: Merge, executor: MergeExecutor, nodes: int) -> None:
    schema = pa.schema([("g", pa.string()), ("n", pa.int64())])
    source = cases.source(*[schema.empty_table()] * nodes, schema=schema)
    sql = cases.text(cases.grouped(["g"], cases.summed("n")))
    assert merge(sql, source, ("g",)) == []
    assert executor.merge(sql, source, ("g",), timeout_s=TIMEOUT_S).schema.names == ["g", "n"]


def test_one_node_alone_is_merged_too(merge: Merge) -> None:
    table = pa.table({"g": list(range(100)), "p": [float(i) for i in range(100)]})
    statement = cases.grouped(["g"], {"p": cases.folded_sum("p", 1)})
    rows = by(merge(cases.text(statement), cases.source(table), ("g",)))
    assert [rows[i]["p"] for i in range(100)] == [float(i) for i in range(100)]


def test_many_nodes_fold_in_order_with_gaps_where_one_has_no_such_group(merge: Merge) -> None:
    rng = random.Random(11)
    nodes = 40
    parts = [{g: rng.uniform(-1e12, 1e12) for g in rng.sample(range(30), 12)} for _ in range(nodes)]
    schema = pa.schema([("g", pa.int64()), ("p", pa.float64())])
    tables = [pa.table({"g": list(p), "p": list(p.values())}, schema=schema) for p in parts]
    statement = cases.grouped(["g"], {"p": cases.folded_sum("p", nodes)})
    rows = by(merge(cases.text(statement), cases.source(*tables), ("g",)))
    for group, row in rows.items():
        expected = 0.0
        for part in parts:
            expected += part.get(group, 0.0)
        assert row["p"] == expected


def test_two_hundred_thousand_groups_are_the_same_on_both(executor: MergeExecutor, in_process: MergeExecutor) -> None:
    groups = 200_000
    tables = []
    for shard in range(3):
        rng = np.random.default_rng(shard)
        names = np.char.add("é", (rng.permutation(groups) % 1000).astype(str))
        columns = {
            "g": rng.permutation(groups),
            "h": names,
            "p": rng.normal(size=groups),
            "n": rng.integers(99, size=groups),
        }
        tables.append(pa.table(columns))
    statement = cases.grouped(["g", "h"], {"p": cases.folded_sum("p", 3), **cases.summed("n")})
    order = [("g", "ascending"), ("h", "ascending")]
    keys = ("g", "h")
    one, two = (
        e.merge(cases.text(statement), cases.source(*tables), keys, timeout_s=TIMEOUT_S).sort_by(order)
        for e in (executor, in_process)
    )
    assert one.combine_chunks().equals(two.combine_chunks())
    assert one["n"].combine_chunks().sum().as_py() == sum(int(t["n"].to_numpy().sum()) for t in tables)


def test_merges_at_the_same_time_do_not_see_each_other(executor: MergeExecutor) -> None:
    sql = cases.text(cases.grouped(["g"], cases.summed("n")))
    results: dict[int, list[int]] = {}

    def run(number: int) -> None:
        table = pa.table({"g": list(range(50)), "n": [number] * 50})
        merged = executor.merge(sql, cases.source(table, table), ("g",), timeout_s=TIMEOUT_S)
        results[number] = [int(n) for n in merged["n"].to_pylist()]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [2 * number] * 50 for number in range(6)}


# What nodes send


@pytest.mark.parametrize(
    "kind",
    [
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
        pa.large_string(),
        pa.string_view(),
    ],
    ids=str,
)
def test_encodings_of_the_same_text_are_the_same_groups(merge: Merge, kind: pa.DataType) -> None:
    plain = pa.table({"g": ["x", "y", None], "n": [1, 2, 4]})
    encoded = plain.set_column(0, "g", plain["g"].cast(kind))
    source = cases.source(plain, encoded, schema=plain.schema)
    rows = by(merge(cases.text(cases.grouped(["g"], cases.summed("n"))), source, ("g",)))
    assert {g: int(row["n"]) for g, row in rows.items()} == {"x": 2, "y": 4, None: 8}


AGREED = pa.schema([("g", pa.string()), ("n", pa.int64())])


@pytest.mark.parametrize(
    "wrong",
    [
        pa.table({"g": ["patient 4711"]}),
        pa.table({"g": ["patient 4711"], "n": [1], "more": [1]}),
        pa.table({"n": [1], "g": ["patient 4711"]}),
        pa.table({"g": ["patient 4711"], "n": ["patient 4711"]}),
        pa.table({"g": ["patient 4711"], "n": [1.5]}),
        pa.table({"g": ["patient 4711"], "patient 4711": [1]}),
        pa.table({"g": pa.array([b"\xff"]).cast(pa.binary()), "n": [1]}),
    ],
    ids=["too few", "too many", "order", "text for a number", "double for a count", "name", "bytes for text"],
)
def test_a_node_with_other_columns_fails_the_merge_and_shows_no_value(executor: MergeExecutor, wrong: pa.Table) -> None:
    right = pa.table({"g": ["a"], "n": [1]})
    with pytest.raises(ArchipelError) as caught:
        executor.merge(
            cases.text(cases.grouped(["g"], cases.summed("n"))),
            cases.source(right, wrong, schema=AGREED),
            ("g",),
            timeout_s=TIMEOUT_S,
        )
    assert caught.value.code == "MERGE_FAILED"
    assert "site 1" in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_site_that_would_count_twice_is_refused(executor: MergeExecutor) -> None:
    table = pa.table({"g": ["a"], "n": [1]})
    with pytest.raises(ArchipelError) as caught:
        executor.merge(
            cases.text(cases.grouped(["g"], cases.summed("n"))),
            cases.source(table, table, shards=(1, 1)),
            ("g",),
            timeout_s=TIMEOUT_S,
        )
    assert caught.value.code == "INTERNAL"


# Limits


def test_a_merge_that_takes_too_long_ends_with_a_timeout(executor: MergeExecutor) -> None:
    table = pa.table({"g": ["a", "b"], "n": [1, 2]})
    sql = cases.text(cases.grouped(["g"], cases.summed("n")))
    executor.merge(sql, cases.source(table), ("g",), timeout_s=TIMEOUT_S)  # Ray is up; its start is not measured
    with pytest.raises(ArchipelError) as caught:
        executor.merge(cases.slow_sql(10**12), cases.source(table), ("g",), timeout_s=0.5)
    assert caught.value.code == "TIMEOUT"
    merged = executor.merge(sql, cases.source(table, table), ("g",), timeout_s=TIMEOUT_S)
    assert sorted(int(n) for n in merged["n"].to_pylist()) == [2, 4]


def test_a_merge_that_is_no_longer_wanted_ends_and_the_next_one_does_not(executor: MergeExecutor) -> None:
    table = pa.table({"g": ["a", "b"], "n": [1, 2]})
    stop, began = Stop(), threading.Event()

    def slow() -> str:
        began.set()
        with pytest.raises(ArchipelError) as caught:
            executor.merge(cases.slow_sql(10**12), cases.source(table), ("g",), timeout_s=TIMEOUT_S, stop=stop)
        return caught.value.code

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(slow)
        began.wait()
        stop.make()
        assert ending.result(20) == "CANCELLED"
    sql = cases.text(cases.grouped(["g"], cases.summed("n")))
    merged = executor.merge(sql, cases.source(table, table), ("g",), timeout_s=TIMEOUT_S, stop=Stop())
    assert sorted(int(n) for n in merged["n"].to_pylist()) == [2, 4]


# Cutting into parts

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.text(max_size=3), st.just("same")),
        st.one_of(st.none(), st.floats(allow_nan=True, width=16)),
        st.integers(0, 1000),
    ),
    max_size=60,
)


@given(first=ROWS, second=ROWS, parts=st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_equal_keys_come_into_one_part_and_no_row_is_lost(
    in_process: InProcessExecutor, first: list[Any], second: list[Any], parts: int
) -> None:
    schema = pa.schema([("g", pa.string()), ("h", pa.float64()), ("n", pa.int64())])
    tables = [
        pa.Table.from_pylist([dict(zip("ghn", r, strict=True)) for r in rows], schema) for rows in (first, second)
    ]
    whole = prepared(cases.source(*tables), ("g", "h"))
    engine = Engine(memory_limit_bytes=64 * MIB)
    try:
        cut = [partition.parts(table, ["g", "h"], parts, engine) for table in whole]
    finally:
        engine.close()
    keys = [{row[:2] for pieces in cut for row in cases.bits(pieces[p].drop_columns("_shard"))} for p in range(parts)]
    assert sum(len(k) for k in keys) == len(set().union(*keys))
    for table, pieces in zip(whole, cut, strict=True):
        assert cases.bits(pa.concat_tables(pieces)) == cases.bits(table)


def test_a_merge_without_keys_is_not_cut(on_ray_unstarted: RayExecutor) -> None:
    table = pa.table({"n": [1]})
    with pytest.raises(ArchipelError) as caught:
        on_ray_unstarted.merge(cases.text(cases.grouped([], cases.summed("n"))), cases.source(table), (), timeout_s=1)
    assert caught.value.info.code is errors.INTERNAL


@pytest.fixture
def on_ray_unstarted() -> Iterator[RayExecutor]:
    executor = RayExecutor(RAY)
    yield executor
    assert executor.driver_pid is None
    executor.close()
