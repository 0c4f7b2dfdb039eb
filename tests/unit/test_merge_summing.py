"""Merges without the engine give, group by group and type by type, what the engine gives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel import errors
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeInput
from coordinator.merge.in_process import InProcessExecutor
from coordinator.merge.summing import MOST_ROWS, summed, sums

GROUPED = 'SELECT "g" AS "g", "h" AS "key", SUM("p") AS "p", SUM("n") AS "count" FROM "x1" AS "x1" GROUP BY "g", "h"'
WHOLE = 'SELECT SUM("n") AS "n", SUM("p") AS "p" FROM "x1" AS "x1"'

KEYS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): st.sampled_from(["", "a", "A", "é", "e\u0301", "\U0001f600", "\x00"]),
    pa.int64(): st.sampled_from([0, -1, 2**63 - 1, -(2**63)]),
    pa.bool_(): st.booleans(),
    pa.date32(): st.sampled_from([dt.date(1, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31)]),
    pa.timestamp("us"): st.sampled_from([dt.datetime(1900, 1, 1), dt.datetime(2024, 2, 29, 12)]),
    pa.decimal128(5, 2): st.sampled_from([Decimal("0.00"), Decimal("-999.99"), Decimal("1.50")]),
}
NUMBERS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.decimal128(15, 2): st.decimals(-(10**12), 10**12, places=2),
    pa.decimal128(38, 4): st.decimals(-(10**28), 10**28, places=4),
    pa.decimal128(38, 0): st.integers(-(10**32), 10**32).map(Decimal),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The engine that would merge."""
    made = Engine(memory_limit_bytes=1 << 28)
    yield made
    made.close()


@st.composite
def partials(draw: st.DrawFn) -> list[pa.Table]:
    kinds = [draw(st.sampled_from(list(KEYS))) for _ in "gh"] + [draw(st.sampled_from(list(NUMBERS))) for _ in "pn"]
    values = [KEYS.get(kind) if index < 2 else NUMBERS[kind] for index, kind in enumerate(kinds)]
    row = st.tuples(*(st.none() | value for value in values if value is not None))
    schema = pa.schema(list(zip("ghpn", kinds, strict=True)))
    shards = draw(st.lists(st.lists(row, max_size=8), min_size=1, max_size=4))
    return [
        pa.table([pa.array([r[i] for r in rows], field.type) for i, field in enumerate(schema)], schema=schema)
        for rows in shards
    ]


def rows_of(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


@settings(max_examples=150, deadline=None)
@given(tables=partials())
def test_sums_are_those_of_the_engine(tables: list[pa.Table], engine: Engine) -> None:
    for sql in (GROUPED, WHOLE):
        wanted = sums(sql, "x1")
        assert wanted is not None
        ours, theirs = summed(tables, wanted), engine.run(sql, "x1", tables)
        assert ours is not None
        assert ours.schema.equals(theirs.schema)
        assert rows_of(ours) == rows_of(theirs)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g" HAVING "g" > 1',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" WHERE "g" > 1 GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") FILTER (WHERE "g" > 1) AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM(DISTINCT "p") AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") OVER () AS "p" FROM "x1" AS "x1"',
        'SELECT "g" AS "g", MAX("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") + 1 AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY ROLLUP ("g")',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY ALL',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY 1',
        'SELECT "h" AS "h", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "p", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT DISTINCT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g" LIMIT 1',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x2" AS "x1" GROUP BY "g"',
        'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1"("a", "g", "p") GROUP BY "g"',
        'SELECT SUM("p") AS "p" FROM "x1" AS "x1", "x1" AS "x2"',
        'SELECT SUM("p") AS "p" FROM "x1" AS "x1" UNION ALL SELECT 1',
        'WITH "x1" AS (SELECT 1 AS "p") SELECT SUM("p") AS "p" FROM "x1" AS "x1"',
        'SELECT SUM("x1") AS "p" FROM (SELECT 1 AS "x1") AS "x1"',
    ],
)
def test_anything_else_is_left_to_the_engine(sql: str) -> None:
    assert sums(sql, "x1") is None


@pytest.mark.parametrize(
    ("key", "number"),
    [
        (pa.array([1.5, float("nan")]), pa.array([1, 2])),
        (pa.array([[1], [2]]), pa.array([1, 2])),
        (pa.array(["a", "b"]), pa.array([1.5, 2.5])),
        (pa.array(["a", "b"]), pa.array([Decimal(10) ** 34, Decimal(1)], pa.decimal128(38, 0))),
        (pa.array(["a"] * (MOST_ROWS + 1)), pa.array([1] * (MOST_ROWS + 1))),
    ],
    ids=["doubles as keys", "lists as keys", "sums of doubles", "large numbers", "many rows"],
)
def test_values_of_which_it_is_not_sure_are_left_to_the_engine(key: pa.Array, number: pa.Array) -> None:
    wanted = sums('SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"', "x1")
    assert wanted is not None
    assert summed([pa.table({"g": key, "p": number})], wanted) is None


def test_a_sum_of_too_many_digits_is_an_error_as_ever(engine: Engine) -> None:
    executor = InProcessExecutor(engine=engine)
    largest = pa.table({"p": pa.array([Decimal(10**38 - 1)], pa.decimal128(38, 0))})
    source = MergeInput("x1", largest.schema, (largest, largest), (0, 1))
    with pytest.raises(errors.ArchipelError, match="too large"):
        executor.merge('SELECT SUM("p") AS "p" FROM "x1" AS "x1"', source, (), timeout_s=10)


def test_groups_come_in_the_order_of_the_shards_whatever_order_they_arrive_in(engine: Engine) -> None:
    executor = InProcessExecutor(engine=engine)
    tables = [pa.table({"g": [name], "p": pa.array([1])}) for name in ("b", "a", "c")]
    sql = 'SELECT "g" AS "g", SUM("p") AS "p" FROM "x1" AS "x1" GROUP BY "g"'
    for order in ((0, 1, 2), (2, 0, 1)):
        source = MergeInput("x1", tables[0].schema, tuple(tables[i] for i in order), order)
        merged = executor.merge(sql, source, ("g",), timeout_s=10)
        assert merged.column("g").to_pylist() == ["b", "a", "c"]
