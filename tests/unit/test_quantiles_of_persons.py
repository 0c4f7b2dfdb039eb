"""Medians and quantiles of persons' values over nodes: the interval holds the exact answer, and it is told.

The oracle is one DuckDB with the rows of all nodes.
"""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import Answer, Federation, Shard, request

from archipel.schema import Column, Form, Role, Table, TablePolicy
from coordinator import accuracy
from coordinator.plan import COORDINATOR, Exchange, Interval, Plan, Stage, StageKind

COLUMNS = (
    Column("pid", "VARCHAR"),
    Column("region", "VARCHAR"),
    Column("days", "INTEGER"),
    Column("big", "BIGINT"),
    Column("cost", "DOUBLE"),
    Column("paid", "DECIMAL(10,2)"),
    Column("seen", "DATE"),
    Column("moment", "TIMESTAMP"),
)
MEASURES = [column.name for column in COLUMNS[2:]]
VISITS = Table(
    "visits",
    COLUMNS,
    person_column="pid",
    person_domain="patient",
    policy=TablePolicy(
        coordinator_form=Form.AGGREGATE,
        roles=(("region", Role.GROUP), *((name, Role.MEASURE) for name in MEASURES)),
        tell_withheld_count=True,
    ),
)
OPEN = Table("beds", (Column("n", "INTEGER"),), policy=TablePolicy(protected=False, coordinator_form=Form.ROWS))

NEW_YEAR = datetime.date(2023, 1, 1)


def rows_of(drawn: random.Random, node: str, persons: int, spread: int) -> pa.Table:
    """Return visits of one node: each person has one to three, in both regions."""
    rows: list[tuple[Any, ...]] = []
    for person in range(persons):
        for _ in range(drawn.randint(1, 3)):
            day = drawn.randint(0, spread)
            values: list[Any] = [
                drawn.randint(-2, spread),
                drawn.choice([day, 10**17 + day]),
                drawn.choice([drawn.lognormvariate(3, 2), math.nan, -math.inf, float(day)]),
                Decimal(drawn.randint(-100, 50 * spread)) / 100,
                NEW_YEAR + datetime.timedelta(days=day),
                datetime.datetime(2023, 1, 1) + datetime.timedelta(seconds=drawn.randint(0, 10**spread)),
            ]
            shown = [None if drawn.random() < 0.1 else value for value in values]
            rows.append((f"{node}-{person}", drawn.choice(["Nord", "Sud"]), *shown))
    return pa.table({c.name: [row[i] for row in rows] for i, c in enumerate(COLUMNS)})


def question(name: str, quantile: str) -> str:
    """Return a query for a quantile of a column, with the ends of its interval."""
    asked = ((f"quantile_{kind}({name}, {quantile}) AS {alias}") for kind, alias in _ASKED)
    return f"SELECT region, {', '.join(asked)} FROM visits GROUP BY region ORDER BY region"  # noqa: S608


_ASKED = (("cont", "value"), ("lower", "low"), ("upper", "high"))


def _at_most(one: Any, other: Any) -> bool:
    """Whether ``one`` is not after ``other`` in the engine's order; None is an open end."""
    if one is None or other is None:
        return True
    if isinstance(other, float) and math.isnan(other):
        return True
    return not (isinstance(one, float) and math.isnan(one)) and one <= other


def _same(one: Any, other: Any) -> bool:
    return one == other or (
        isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    )


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.sampled_from([3, 7]),
    st.sampled_from(["0.5", "0.03", "0.9", "0.333"]),
    st.sampled_from(MEASURES),
)
def test_the_interval_holds_what_one_database_answers(
    seed: int, nodes: int, spread: int, quantile: str, name: str
) -> None:
    drawn = random.Random(seed)
    shards = {f"h{i}": [Shard(VISITS, rows_of(drawn, f"h{i}", drawn.randint(60, 150), spread))] for i in range(nodes)}
    with Federation(shards) as federation:
        asked = request(question(name, quantile))
        answer = federation.ask(asked)
        expected = federation.oracle(asked).to_pylist()
    assert answer.withheld == 0
    found = answer.table.to_pylist()
    assert [row["region"] for row in found] == [row["region"] for row in expected] == ["Nord", "Sud"]
    for row, exact in zip(found, expected, strict=True):
        low, high, shown = row["low"], row["high"], row["value"]
        assert _at_most(low, exact["value"])
        assert _at_most(exact["value"], high)
        assert shown is None or (_at_most(low, shown) and _at_most(shown, high))
        if low is not None and high is not None and _same(low, high):
            assert _same(shown, exact["value"])


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    """Three hospitals, 400 patients each; every number of days from 0 to 6 is that of many."""
    drawn = random.Random(1)
    shards = {}
    for node in ("lille", "lyon", "nantes"):
        visits = rows_of(drawn, node, 400, 6)
        days = pa.array([drawn.randint(0, 6) for _ in range(visits.num_rows)], pa.int32())
        shards[node] = [
            Shard(VISITS, visits.set_column(2, "days", days)),
            Shard(OPEN, pa.table({"n": pa.array(range(5), pa.int32())})),
        ]
    with Federation(shards) as made:
        yield made


def ask(federation: Federation, sql: str) -> tuple[Answer, list[dict[str, Any]]]:
    """Return the federated answer, and the rows of the oracle's."""
    asked = request(sql)
    return federation.ask(asked), federation.oracle(asked).to_pylist()


EXACT = [
    "SELECT region, median(days) AS m, quantile_disc(days, 0.7) AS q FROM visits GROUP BY region ORDER BY region",
    "SELECT quantile_cont(days, [0.25, 0.5, 0.75]) AS q FROM visits",
    "SELECT percentile_cont(0.4) WITHIN GROUP (ORDER BY days) AS m, approx_quantile(days, 0.4) AS a FROM visits",
    "SELECT median(CAST(days AS DECIMAL(6, 0))) AS m FROM visits WHERE days > 1",
    "SELECT median(DATE '2023-01-01' + days) AS d FROM visits",
    "SELECT region, median(days) FILTER (WHERE days < 4) AS m FROM visits GROUP BY region HAVING count(*) > 1",
    "SELECT count(*) AS n, median(days) AS m, avg(days) AS a FROM visits WHERE region = 'Nord'",
    "SELECT n, quantile_lower(n, 0.5) AS l, quantile_upper(n, 0.25) AS u FROM beds GROUP BY n ORDER BY n",
    "SELECT quantile_lower(n, 0.4) AS l, median(n) AS m FROM beds",
]


@pytest.mark.parametrize("sql", EXACT)
def test_where_every_value_is_that_of_many_the_answer_is_exact(federation: Federation, sql: str) -> None:
    answer, expected = ask(federation, sql)
    assert sorted(map(str, answer.table.to_pylist())) == sorted(map(str, expected))
    assert answer.notices == ()


def test_an_interval_is_told_with_its_ends_and_the_open_ones(federation: Federation) -> None:
    sql = "SELECT region, median(cost) AS m, quantile_cont(paid, 0.999) AS q FROM visits GROUP BY region"
    answer, _ = ask(federation, sql)
    first, second = answer.notices
    assert first.startswith("median(cost) is known to lie in an interval in 2 of 2 groups, at most from ")
    assert second.startswith("quantile_cont(paid, 0.999) is known to lie in an interval in 2 of 2 groups; in 2 of them")
    assert any("quantile_lower" in note for note in answer.plan.notes)


def test_an_end_is_told_only_with_enough_persons_beyond_it(federation: Federation) -> None:
    ends = "quantile_lower(paid, {p}) AS l, quantile_upper(paid, {p}) AS u"
    for quantile in ("0.0001", "0.01", "0.9999"):
        answer, _ = ask(federation, f"SELECT {ends.format(p=quantile)} FROM visits")  # noqa: S608
        [row] = answer.table.to_pylist()
        for end, side in ((row["l"], "<"), (row["u"], ">")):
            if end is not None:
                beyond = federation.oracle(
                    request(f"SELECT count(DISTINCT pid) AS n FROM visits WHERE paid {side} {end}")  # noqa: S608
                )
                assert beyond.to_pylist()[0]["n"] >= 11


def test_nodes_send_cells_and_nothing_else_of_the_values(federation: Federation) -> None:
    plan = federation.plan(
        request("SELECT region, median(cost) AS m, quantile_cont(cost, 0.9) AS q FROM visits GROUP BY region")
    )
    [node] = [stage for stage in plan.stages if stage.kind is StageKind.NODE]
    assert [column.type for column in node.columns] == ["VARCHAR", "DOUBLE[]"]
    [exchange] = [e for e in plan.exchanges if e.source == node.stage_id]
    assert exchange.form is Form.AGGREGATE
    assert exchange.certificate is not None
    assert exchange.certificate.functions == ("archipel_histogram",)


def test_the_most_frequent_value_is_that_of_the_values_that_were_released(federation: Federation) -> None:
    answer, expected = ask(federation, "SELECT mode(region) AS m FROM visits")
    assert answer.table.to_pylist() == expected
    assert any(note.startswith("mode of a protected table") for note in answer.plan.notes)


def test_a_group_without_a_value_has_no_quantile_and_is_not_told_of(federation: Federation) -> None:
    sql = "SELECT median(days) FILTER (WHERE days > 100) AS m, count(*) AS n FROM visits"
    answer, expected = ask(federation, sql)
    assert answer.table.to_pylist() == expected
    assert answer.notices == ()


ENDS = {
    ("whole", 0, 3.0, 7.0): "m is known to lie in an interval, from 3 to 7.",
    ("decimal", 2, 150.0, 275.0): "m is known to lie in an interval, from 1.50 to 2.75.",
    ("date", 0, 19358.0, 19389.0): "m is known to lie in an interval, from 2023-01-01 to 2023-02-01.",
    ("timestamp", 0, 0.0, 6e7): "m is known to lie in an interval, from 1970-01-01 00:00:00 to 1970-01-01 00:01:00.",
    ("double", 0, None, 2.5): "m is known to lie in an interval, with an open end: at most 2.5.",
    ("double", 0, 90.0, None): "m is known to lie in an interval, with an open end: at least 90.",
    ("double", 0, None, None): "m is known to lie in an interval, with an open end on both sides.",
}


@pytest.mark.parametrize("ends", ENDS)
def test_ends_are_told_as_values_of_their_type(ends: tuple[str, int, float | None, float | None]) -> None:
    kind, scale, low, high = ends
    interval = Interval("m", "x2", "t", "l", "u", kind, scale)
    plan = Plan(
        "",
        (Stage("s1", StageKind.MERGE, (COORDINATOR,), "", ()),),
        (Exchange("x2", "s1", "s2", Form.AGGREGATE, "", 0, 0),),
        "s2",
        (),
        intervals=(interval,),
    )
    merged = pa.table(
        {"t": [5, None], "l": pa.array([low, None], pa.float64()), "u": pa.array([high, None], pa.float64())}
    )
    [text] = accuracy.told(plan, {"s1": merged})
    assert text.startswith(ENDS[ends])
