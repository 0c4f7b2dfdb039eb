"""Cells of values: what leaves is about enough persons, cell by cell, and says nothing of who is in none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from border_ward import CONTEXT, STAYS, Ward, obliged, permit, with_permit, with_received, with_table
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel import errors
from archipel.border import check
from archipel.schema import Role, SensitiveCodes

Row = tuple[str | None, str | None, float | None]
"""Person, region, cost."""

_PERSONS = st.one_of(st.integers(0, 60).map("p{}".format), st.none())
_VALUES = st.one_of(
    st.integers(-3, 40).map(float),
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.sampled_from([0.0, -0.0, 1e16, 1.5, 2.5, math.nan, None]),
)
_ROWS = st.lists(st.tuples(_PERSONS, st.sampled_from(["Nord", "Sud", None]), _VALUES), max_size=250)


@pytest.fixture
def ward() -> Ward:
    """A database without rows."""
    return Ward()


def cells_of(ward: Ward, sql: str, **changes: Any) -> list[tuple[Any, ...]]:
    """Return the released rows of a statement, their cells as pairs of a lower end and the number of rows."""
    release = check(sql, replace(CONTEXT, **changes) if changes else CONTEXT)
    found = ward.database.execute(release.sql).fetchall()
    rows = [row[2:] for row in found if row[1] is not None]
    return [tuple(_pairs(v) if isinstance(v, list) else v for v in row) for row in rows]


def _pairs(cells: list[float]) -> list[tuple[float, int]]:
    return [(low, int(n)) for low, n in zip(cells[::2], cells[1::2], strict=True)]


def fill(ward: Ward, rows: Sequence[Row]) -> None:
    """Put stays into the ward, and nothing else."""
    ward.database.execute("DELETE FROM stays")
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    ward.database.execute(
        "INSERT INTO stays (pid, region, cost, ward) "
        "SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::DOUBLE[]), 1",
        columns,
    )


def persons_between(ward: Ward, region: str | None, low: float, high: float | None) -> tuple[int, int]:
    """Return how many rows and distinct persons of a region have a cost from ``low`` to below ``high``, as the engine
    orders numbers: NaN last."""
    upper = "" if high is None else "AND cost < ?"
    given = [region, low] if high is None else [region, low, high]
    found = ward.database.execute(
        f"SELECT count(*), count(DISTINCT pid) FROM stays WHERE region IS NOT DISTINCT FROM ? AND cost >= ? {upper}",  # noqa: S608
        given,
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


@pytest.fixture(scope="module")
def one_ward() -> Ward:
    """A database for many examples."""
    return Ward()


@cache
def held_to(least: int) -> str:
    """Return the statement that runs, under a permit that wants so many persons."""
    sql = "SELECT region AS r, count(*) AS n, archipel_histogram(cost) AS h FROM stays GROUP BY region"
    return check(sql, with_permit(permit(min_persons=least))).sql


@settings(max_examples=25, deadline=None)
@given(_ROWS, st.sampled_from([11, 12, 20]))
def test_every_cell_has_its_rows_and_enough_persons(one_ward: Ward, rows: list[Row], least: int) -> None:
    ward = one_ward
    fill(ward, rows)
    for _, persons, region, _, cells in ward.database.execute(held_to(least)).fetchall():
        if persons is None or cells is None:
            continue
        pairs = _pairs(cells)
        assert pairs[0][0] == -math.inf
        for i, (low, n) in enumerate(pairs):
            high = pairs[i + 1][0] if i + 1 < len(pairs) else None
            found, distinct = persons_between(ward, region, low, high)
            assert found == n
            assert distinct >= least


def test_a_value_that_enough_persons_share_has_a_cell_between_its_neighbours(ward: Ward) -> None:
    for days in range(5):
        ward.stays([f"{days}-{i}" for i in range(40)], days=days, cost=0.0)
    [(cells,)] = cells_of(ward, "SELECT archipel_histogram(days) AS h FROM stays")
    assert [n for _, n in cells] == [40] * 5
    assert [math.ceil(low) for low, _ in cells[1:]] == [1, 2, 3, 4]


def test_an_extreme_value_of_one_person_makes_no_cell_and_moves_no_end(ward: Ward) -> None:
    ward.stays(range(60), cost=10.0)
    ward.stays(range(60, 120), cost=20.0)
    [(without,)] = cells_of(ward, "SELECT archipel_histogram(cost) AS h FROM stays")
    ward.stays(["rich"], cost=1e9)
    [(with_one,)] = cells_of(ward, "SELECT archipel_histogram(cost) AS h FROM stays")
    assert [low for low, _ in without] == [low for low, _ in with_one] == [-math.inf, 16.0]
    assert [n for _, n in with_one] == [60, 61]


@pytest.mark.parametrize("few", range(11))
def test_nobody_and_a_few_in_a_half_look_the_same(ward: Ward, few: int) -> None:
    ward.stays(range(40), cost=3.0)
    ward.stays(range(40, 80), cost=5.0)
    ward.stays([f"few-{i}" for i in range(few)], cost=900.0)
    [(cells,)] = cells_of(ward, "SELECT archipel_histogram(cost) AS h FROM stays")
    assert [low for low, _ in cells] == [-math.inf, 4.0]


def test_rows_of_one_person_are_not_taken_for_those_of_many(ward: Ward) -> None:
    ward.stays(range(40), cost=3.0)
    for _ in range(200):
        ward.stays(["often"], cost=900.0)
    [(cells,)] = cells_of(ward, "SELECT archipel_histogram(cost) AS h FROM stays")
    assert cells == [(-math.inf, 240)]


def test_a_group_that_is_withheld_has_no_cells(ward: Ward) -> None:
    ward.stays(range(40), region="Nord", cost=3.0)
    ward.stays(range(10), region="Sud", cost=3.0)
    found = cells_of(ward, "SELECT region AS r, archipel_histogram(cost) AS h FROM stays GROUP BY region")
    assert found == [("Nord", [(-math.inf, 40)])]


def test_a_group_in_which_few_have_a_value_is_withheld(ward: Ward) -> None:
    ward.stays(range(40), cost=None)
    ward.stays(range(5), cost=3.0)
    assert cells_of(ward, "SELECT count(*) AS n, archipel_histogram(cost) AS h FROM stays") == []


def test_a_cell_of_a_join_has_enough_persons_of_each_kind(ward: Ward) -> None:
    for value in (3.0, 100.0):
        ward.stays([f"{value}-{i}" for i in range(40)], cost=value)
    ward.put("staff", [(badge, 1, 40) for badge in range(12)])
    sql = "SELECT archipel_histogram(s.cost) AS h FROM stays s JOIN staff t ON t.ward = s.ward"
    [(cells,)] = cells_of(ward, sql)
    assert [n for _, n in cells] == [480, 480]
    ward.database.execute("DELETE FROM staff WHERE badge > 10")
    ward.database.execute("UPDATE staff SET ward = 2 WHERE badge = 0")
    assert cells_of(ward, sql) == []


def test_a_sensitive_code_makes_every_cell_larger(ward: Ward) -> None:
    for value in (3.0, 100.0):
        ward.stays([f"{value}-{i}" for i in range(25)], cost=value)
    sql = "SELECT archipel_histogram(cost) AS h FROM stays"
    [(cells,)] = cells_of(ward, sql)
    assert len(cells) == 2
    codes = (SensitiveCodes("region", ("N",), 30),)
    strict = replace(STAYS, policy=replace(STAYS.policy, sensitive=codes))
    [(cells,)] = cells_of(ward, sql, tables=with_table(strict).tables)
    assert cells == [(-math.inf, 50)]


def test_values_that_came_from_another_node_are_counted_in_cells_too(ward: Ward) -> None:
    ward.stays(range(60), cost=3.0)
    ward.receive([(f"p{i}", "A10", dose) for i in range(60) for dose in (1, 100)])
    context = with_received(obliged())
    sql = "SELECT archipel_histogram(x1.dose) AS h FROM stays s JOIN x1 ON x1.p = s.pid"
    release = check(sql, context)
    assert release.pseudonymised
    [(_, persons, cells)] = ward.database.execute(release.sql).fetchall()
    assert persons >= 11
    assert [n for _, n in _pairs(cells)] == [60, 60]


REFUSED = {
    "SELECT region, archipel_histogram(cost) AS h FROM stays GROUP BY ROLLUP (region)": "histogram",
    "SELECT archipel_histogram(cost) FILTER (WHERE days > 2) AS h FROM stays": "histogram",
    "SELECT archipel_histogram(DISTINCT cost) AS h FROM stays": "value-aggregate",
    "SELECT archipel_histogram(cost) AS h, archipel_histogram(cost + 1) AS i FROM stays": "histogram",
    "SELECT archipel_histogram(cost) AS h, archipel_histogram(nullif(cost, 0)) AS i FROM stays": "histogram",
    "SELECT archipel_histogram(days) AS h FROM stays GROUP BY region": "histogram",
    "SELECT archipel_histogram(pid) AS h FROM stays": "person-expression",
    "SELECT archipel_histogram(length(note)) AS h FROM stays": "hidden-column",
    "SELECT archipel_histogram(beds) AS h FROM wards": "histogram",
    "SELECT beds, archipel_histogram(beds) AS h FROM wards GROUP BY beds": "histogram",
    "SELECT sum(n) AS s FROM (SELECT pid, len(archipel_histogram(cost)) AS n FROM stays GROUP BY pid)": "histogram",
    "SELECT archipel_histogram(m) AS h FROM (SELECT region, sum(cost) AS m FROM stays GROUP BY region)": "histogram",
    "SELECT len(archipel_histogram(cost)) AS h FROM stays": "output-expression",
    "SELECT median(cost) AS m FROM stays": "value-aggregate",
    "SELECT quantile_lower(cost, 0.5) AS m FROM stays": "value-aggregate",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_cells_are_refused_where_they_would_show_more(sql: str) -> None:
    with pytest.raises(errors.ArchipelError) as caught:
        check(sql, CONTEXT)
    assert caught.value.rule == REFUSED[sql]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"rounding": 5}, "histogram"),
        ({"roles": tuple((c, Role.IDENTIFIER if c == "entered" else r) for c, r in STAYS.policy.roles)}, "histogram"),
    ],
)
def test_a_policy_can_exclude_cells(changes: dict[str, Any], rule: str) -> None:
    strict = replace(STAYS, policy=replace(STAYS.policy, **changes))
    sql = "SELECT archipel_histogram(date_diff('day', DATE '1970-01-01', entered)) AS h FROM stays"
    with pytest.raises(errors.ArchipelError) as caught:
        check(sql, with_table(strict))
    assert caught.value.rule == rule


def test_the_ledger_is_told_of_the_population_of_cells() -> None:
    context = replace(CONTEXT, for_ledger=True)
    sql = "SELECT region AS r, archipel_histogram(cost) AS h FROM stays GROUP BY region"
    assert check(sql, context).populations
