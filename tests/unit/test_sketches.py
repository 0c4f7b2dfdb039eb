"""Sketches of distinct values: how far off they are, how they merge, and what the border demands of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from border_ward import CONTEXT, STAYS, Ward, refusal_of, with_table
from node_support import parquet_engine, rows_of
from sqlglot import exp

from archipel import sketches
from archipel.border import check
from archipel.policy import TableRules
from archipel.schema import Form

SALT = sketches.salt(CONTEXT.permit.permit_id)
LETS_SKETCHES = with_table(replace(STAYS, policy=replace(STAYS.policy, coordinator_form=Form.SKETCH)))


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        made.execute(sketches.DEFINITION)
        yield made


def _registers(engine: duckdb.DuckDBPyConnection, start: int, stop: int, permit: str = "p") -> list[int]:
    column = exp.column("i")
    numbers = exp.Table(this=exp.func("range", exp.Literal.number(start), exp.Literal.number(stop), dialect="duckdb"))
    select = exp.select(sketches.registers(column, permit)).from_(exp.alias_(numbers, "t", table=["i"]))
    row = engine.execute(select.sql("duckdb")).fetchone()
    assert row is not None
    return list(row[0] or [])


def _estimated(engine: duckdb.DuckDBPyConnection, *parts: list[int]) -> float:
    """Merge the registers of several nodes as the planner does it."""
    partials = pa.table({"h": pa.array(parts, pa.list_(pa.uint32()))})
    engine.register("partials", partials)
    column = exp.column("h")
    merged = exp.select(exp.alias_(sketches.merged(column), "h")).from_("partials")
    reduced = exp.select(exp.alias_(sketches.reduced(column), "h")).from_(merged.subquery("m"))
    row = engine.execute(exp.select(sketches.estimate(column)).from_(reduced.subquery("r")).sql("duckdb")).fetchone()
    assert row is not None
    return float(row[0])


@pytest.mark.parametrize("count", [100, 3_000, 12_000, 60_000])
def test_the_error_over_many_salts_is_the_standard_error(engine: duckdb.DuckDBPyConnection, count: int) -> None:
    """At 2.5 to 5 values a register the classical estimate is biased; this one is not."""
    trials = 24
    errors = [
        _estimated(engine, _registers(engine, 0, count, f"permit-{trial}")) / count - 1 for trial in range(trials)
    ]
    assert math.sqrt(sum(e * e for e in errors) / trials) < 1.35 * sketches.STANDARD_ERROR
    assert abs(sum(errors) / trials) < 4 * sketches.STANDARD_ERROR / math.sqrt(trials)


def test_no_value_and_one_value_are_counted_exactly(engine: duckdb.DuckDBPyConnection) -> None:
    assert _estimated(engine, [], []) == 0
    assert _estimated(engine, _registers(engine, 0, 1), []) == 1


def test_registers_of_overlapping_nodes_merge_to_those_of_all_values_in_any_order(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    whole = _estimated(engine, _registers(engine, 0, 30_000))
    parts = [_registers(engine, 0, 20_000), [], _registers(engine, 10_000, 30_000), _registers(engine, 5, 6)]
    assert _estimated(engine, *parts) == _estimated(engine, *reversed(parts)) == whole
    assert _estimated(engine, *parts, *parts) == whole


def test_a_sketch_has_at_most_one_number_for_each_register(engine: duckdb.DuckDBPyConnection) -> None:
    found = _registers(engine, 0, 200_000)
    buckets = [number // 64 for number in found]
    assert len(set(buckets)) == len(buckets) == sketches.REGISTERS
    assert set(buckets) == set(range(sketches.REGISTERS))


def test_registers_of_two_permits_have_no_more_in_common_than_chance(engine: duckdb.DuckDBPyConnection) -> None:
    ours, theirs = set(_registers(engine, 0, 200, "a")), set(_registers(engine, 0, 200, "b"))
    assert len(ours & theirs) <= 20  # of 200 x 200 pairs one in 8,192 agrees by chance: about 5


# At the border


_CALL = exp.Anonymous(this=sketches.FUNCTION, expressions=[exp.column("cost"), exp.Literal.string(SALT)])
SKETCH = exp.select("region", exp.alias_(_CALL, "h")).from_("stays").group_by("region").sql("duckdb")


def test_a_policy_of_aggregates_lets_no_sketch_leave() -> None:
    assert refusal_of(SKETCH).rule == "sketch"


def test_a_policy_of_sketches_lets_those_of_large_groups_leave_and_withholds_the_others() -> None:
    ward = Ward()
    for number in range(20):
        ward.stays([number], "Nord", cost=float(number))
    ward.stays(range(10), "Sud", cost=1.0)
    release = check(SKETCH, LETS_SKETCHES)
    assert release.form is Form.SKETCH
    answer = ward.run(release)
    assert [row[0] for row in answer.rows] == ["Nord"]
    assert answer.withheld == 1
    assert 15 <= len(answer.rows[0][1]) <= 20


def test_a_group_with_few_persons_who_have_a_value_is_withheld() -> None:
    ward = Ward()
    ward.stays(range(30), "Nord", cost=None)
    ward.stays(range(30, 35), "Nord", cost=5.0)
    assert ward.answer(SKETCH, LETS_SKETCHES).rows == []


@pytest.mark.parametrize("salt", ["", "0", sketches.salt("another permit")])
def test_a_sketch_with_another_salt_than_the_permits_is_refused(salt: str) -> None:
    assert refusal_of(SKETCH.replace(SALT, salt), LETS_SKETCHES).rule == "sketch-salt"


def test_persons_are_never_sketched() -> None:
    assert refusal_of(SKETCH.replace("cost", "pid"), LETS_SKETCHES).rule == "person-expression"


def test_a_sketch_below_the_outermost_select_is_refused() -> None:
    inner = f"SELECT count(*) AS n FROM (SELECT region, len(archipel_hll(cost, '{SALT}')) AS l FROM stays GROUP BY region) AS t"  # noqa: S608, E501  # fmt: skip
    assert refusal_of(inner, LETS_SKETCHES).code in {"BORDER_REFUSED", "SQL_UNSUPPORTED"}


def test_policy_files_know_the_word_sketch() -> None:
    assert TableRules(coordinator="sketch").for_columns(()).coordinator_form is Form.SKETCH


# In the node's engine


def test_a_locked_engine_computes_registers(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"x": ["a", "b", "a", None]}))
    try:
        (row,) = rows_of(engine, f"SELECT archipel_hll(x, '{SALT}') AS h, archipel_hll(NULL, 's') AS n FROM t")  # noqa: S608
    finally:
        engine.close()
    assert len(row["h"]) == 2
    assert row["n"] is None
