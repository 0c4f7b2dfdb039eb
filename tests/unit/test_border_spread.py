"""What persons add to a number: dominance, splits, degrees of freedom, rare values, sensitive codes, rounding."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

from dataclasses import replace

import pytest
from border_ward import CONTEXT, STAYS, Ward, with_table

from archipel.border import BorderContext, check
from archipel.schema import Dominance, SensitiveCodes
from node_agent import lattice
from node_agent.order import Note

DOMINATED = "SELECT region, sum(cost) AS s FROM stays GROUP BY region"


def with_policy(**changes: object) -> BorderContext:
    """Return the usual context, stays having another policy."""
    return with_table(replace(STAYS, policy=replace(STAYS.policy, **changes)))


@pytest.fixture
def ward() -> Ward:
    """Nord has 60 persons, Sud 15, each with a stay of one day that costs 10."""
    made = Ward()
    made.stays(range(60), "Nord", days=1)
    made.stays(range(100, 115), "Sud", days=1)
    return made


def regions(ward: Ward, sql: str, context: BorderContext = CONTEXT) -> list[object]:
    """Return the regions that leave."""
    return [row[0] for row in ward.answer(sql, context).rows]


# Dominance


@pytest.mark.parametrize("aggregate", ["sum(cost)", "avg(cost)", "fsum(cost)", "regr_avgx(cost, cost)", "sum(-cost)"])
def test_two_persons_with_most_of_a_sum_withhold_it(ward: Ward, aggregate: str) -> None:
    sql = f"SELECT region, {aggregate} AS s FROM stays GROUP BY region"
    assert regions(ward, sql) == ["Nord", "Sud"]
    ward.database.execute("UPDATE stays SET cost = 2000 WHERE pid IN ('p100', 'p101')")
    assert regions(ward, sql) == ["Nord"]  # 4,000 of 4,130 in Sud
    ward.database.execute("UPDATE stays SET cost = 3000 WHERE pid IN ('p1', 'p2')")
    assert regions(ward, sql) == []


@pytest.mark.parametrize(
    "copies",
    [
        "stays s, range(100) AS r(i)",
        "(SELECT * FROM stays UNION ALL SELECT * FROM stays) AS s",
        "stays s JOIN stays t ON t.pid = s.pid",
    ],
)
def test_copies_of_rows_do_not_change_who_dominates(ward: Ward, copies: str) -> None:
    ward.database.execute("UPDATE stays SET cost = 2000 WHERE pid = 'p100'")
    assert regions(ward, f"SELECT s.region, sum(s.cost) AS x FROM {copies} GROUP BY s.region") == ["Nord"]


def test_weights_that_pick_one_person_s_rows_are_seen_as_that_person_s_share(ward: Ward) -> None:
    sql = "SELECT s.region, sum(s.cost) AS x FROM stays s JOIN range(3000) r(i) ON s.days = 9 OR i = 0 GROUP BY 1"
    sql = sql.replace("GROUP BY 1", "GROUP BY s.region")
    ward.database.execute("UPDATE stays SET days = 9 WHERE pid = 'p100'")
    assert regions(ward, sql) == ["Nord"]


def test_many_small_values_of_one_person_count_together(ward: Ward) -> None:
    for _ in range(100):
        ward.stays(["p100", "p101"], "Sud", days=1, cost=10.0)
    assert regions(ward, DOMINATED) == ["Nord"]


def test_negative_values_do_not_hide_large_ones(ward: Ward) -> None:
    ward.database.execute("UPDATE stays SET cost = 5000 WHERE pid = 'p100'")
    ward.database.execute("UPDATE stays SET cost = -5000 WHERE pid = 'p101'")
    assert regions(ward, DOMINATED) == ["Nord"]


def test_what_is_not_finite_is_withheld(ward: Ward) -> None:
    ward.database.execute("UPDATE stays SET cost = 'Infinity'::DOUBLE WHERE pid IN ('p3', 'p100')")
    assert regions(ward, DOMINATED) == []
    ward.database.execute("UPDATE stays SET cost = 'NaN'::DOUBLE WHERE pid IN ('p3', 'p100')")
    assert regions(ward, DOMINATED) == []


def test_limits_are_the_policy_s_and_the_strictest_of_all_tables(ward: Ward) -> None:
    ward.database.execute("UPDATE stays SET cost = 100 WHERE pid IN ('p100', 'p101', 'p102')")  # of 420 in Sud
    assert regions(ward, DOMINATED) == ["Nord", "Sud"]
    assert regions(ward, DOMINATED, with_policy(dominance=Dominance(top=3, share=0.7))) == ["Nord"]
    assert regions(ward, DOMINATED, with_policy(dominance=Dominance(top=1, share=0.2))) == ["Nord"]
    assert regions(ward, DOMINATED, with_policy(dominance=Dominance(share=1.0, p_percent=250.0))) == ["Nord"]


def test_persons_of_a_joined_table_may_not_dominate_either(ward: Ward) -> None:
    ward.put("staff", [(n, 1, 40) for n in range(12)])
    sql = "SELECT s.region, sum(f.age * s.cost) AS x FROM stays s JOIN staff f ON f.ward = s.ward GROUP BY s.region"
    assert regions(ward, sql) == ["Nord", "Sud"]
    ward.database.execute("UPDATE staff SET age = 50000 WHERE badge = 3")
    assert regions(ward, sql) == []


def test_groups_that_are_aggregated_again_are_of_their_persons_in_equal_parts(ward: Ward) -> None:
    inner = "SELECT region, days, sum(cost) AS c FROM stays GROUP BY region, days"
    sql = f"SELECT region, sum(c) AS x FROM ({inner}) AS d GROUP BY region"
    assert regions(ward, sql) == ["Nord", "Sud"]
    ward.stays(["p100"], "Sud", days=7, cost=9000.0)
    assert regions(ward, sql) == ["Nord"]


# Splits


@pytest.mark.parametrize(
    "aggregate",
    [
        "sum(CASE WHEN days = 9 THEN cost ELSE 1 END)",
        "sum(1 + cost * (days // 9))",
        "sum(ward + cost * (days // 9))",
        "avg(CASE WHEN days = 9 THEN 0 ELSE 1 END)",
        "count(*) FILTER (WHERE days <> 9)",
        "count_if(days <> 9)",
        "count(CASE WHEN days <> 9 THEN 1 END)",
        "sum(cost) FILTER (WHERE days <> 9)",
        "sum(greatest(days, 8))",
        "sum(coalesce(nullif(days, 9), cost))",
        "sum(if(days = 9, cost, ward))",
        "sum(ward + cost * (1 - sign(9 - days)))",
        "sum(ward + cost * floor(days / 9))",
        "sum(ward + CAST(days = 9 AS INTEGER) * cost)",
        "regr_slope(cost, CASE WHEN days = 9 THEN 1 ELSE 2 END)",
        "count(DISTINCT days)",
    ],
)
def test_few_persons_on_one_side_of_a_split_withhold_the_group(ward: Ward, aggregate: str) -> None:
    sql = f"SELECT region, {aggregate} AS x FROM stays GROUP BY region"
    ward.database.execute("UPDATE stays SET cost = 10 + 0.01 * CAST(substr(pid, 2) AS INTEGER)")
    assert "Nord" in regions(ward, sql)
    ward.database.execute("UPDATE stays SET days = 9 WHERE pid IN ('p1', 'p2', 'p3')")
    assert "Nord" not in regions(ward, sql)
    ward.database.execute("UPDATE stays SET days = 9 WHERE pid LIKE 'p1%' AND region = 'Nord'")  # eleven
    ward.database.execute("UPDATE stays SET days = 1 WHERE pid IN ('p2', 'p3')")
    assert "Nord" in regions(ward, sql)


def test_plain_sums_of_values_that_many_share_leave(ward: Ward) -> None:
    ward.database.execute("UPDATE stays SET cost = 20 WHERE pid IN ('p100', 'p101', 'p1')")
    assert regions(ward, DOMINATED) == ["Nord", "Sud"]
    assert regions(ward, "SELECT region, sum(cost / 100) AS s, avg(cost * 2) AS m FROM stays GROUP BY region") == [
        "Nord",
        "Sud",
    ]


# Degrees of freedom


@pytest.mark.parametrize(
    ("aggregate", "parameters"),
    [
        *(("var_pop(cost)", 1), ("stddev(cost)", 1), ("regr_sxx(cost, cost)", 1), ("corr(cost, days)", 2)),
        *(("regr_slope(cost, days)", 2), ("covar_pop(cost, days)", 2), ("regr_sxy(cost, days)", 2), ("avg(cost)", 0)),
    ],
)
def test_moments_need_persons_beyond_their_parameters(aggregate: str, parameters: int) -> None:
    sql = f"SELECT region, {aggregate} AS x FROM stays GROUP BY region"
    for degrees, context in ((10, CONTEXT), (20, with_policy(dominance=Dominance(min_degrees=20)))):
        enough = max(11, degrees + parameters if parameters else 11)
        for persons in (enough - 1, enough):
            ward = Ward()
            for days in (1, 2):
                ward.stays(range(persons), days=days)
            assert (regions(ward, sql, context) == ["Nord"]) is (persons == enough), persons


# Sensitive codes


SENSITIVE = with_policy(sensitive=(SensitiveCodes("region", ("Su", "Xx"), 30),))


@pytest.mark.parametrize(
    ("sql", "released"),
    [
        ("SELECT region, count(*) AS n FROM stays GROUP BY region", ["Nord"]),
        ("SELECT days, count(*) AS n FROM stays GROUP BY days", [1]),
        ("SELECT days, count(*) AS n FROM stays WHERE region = 'Sud' GROUP BY days", []),
        ("SELECT days, count(*) AS n FROM stays WHERE region <> 'Sud' GROUP BY days", [1]),
        ("SELECT days, count(*) FILTER (WHERE region = 'Sud') AS n FROM stays GROUP BY days", []),
        ("SELECT r, count(*) AS n FROM (SELECT region AS r FROM stays) AS d GROUP BY r", ["Nord"]),
        ("SELECT k, count(*) AS n FROM (SELECT days AS k FROM stays WHERE region = 'Sud') AS d GROUP BY k", []),
    ],
)
def test_groups_that_are_chosen_by_a_sensitive_code_need_more_persons(
    ward: Ward, sql: str, released: list[object]
) -> None:
    assert regions(ward, sql, SENSITIVE) == released
    assert regions(ward, sql) != []
    ward.stays(range(200, 220), "Sud", days=1)
    assert regions(ward, sql, SENSITIVE) != []


def test_a_statement_that_does_not_name_the_column_is_as_any_other(ward: Ward) -> None:
    ward.database.execute("DELETE FROM stays WHERE region = 'Nord'")
    assert regions(ward, "SELECT days, count(*) AS n FROM stays GROUP BY days", SENSITIVE) == [1]


# Rounding


ROUNDED = with_policy(rounding=5)


def test_counts_and_sums_are_rounded_after_the_threshold(ward: Ward) -> None:
    ward.stays(range(100, 102), "Sud", days=1, cost=-11.0)
    sql = (
        "SELECT region, count(*) AS n, count(DISTINCT pid) AS p, sum(days) AS d, sum(-cost) AS s, avg(cost) AS m, "
        "sum(CAST(cost AS DECIMAL(9, 2))) AS e FROM stays GROUP BY region"
    )
    rows = ward.answer(sql, ROUNDED).rows
    assert [tuple(map(float, row[1:5])) for row in rows] == [(60, 60, 60, -600), (15, 15, 15, -130)]
    assert rows[1][5] == pytest.approx(128 / 17)
    exact = {c: t for c, t, *_ in ward.database.execute(f"DESCRIBE {sql}").fetchall()}
    rounded = {c: t for c, t, *_ in ward.database.execute(f"DESCRIBE {check(sql, ROUNDED).sql}").fetchall()}
    assert {name: rounded[name] for name in exact} == exact
    assert lattice.notes(check(sql, ROUNDED)) == (Note("rounding", "counts and sums are rounded to multiples of 5"),)
    assert lattice.notes(check(sql, CONTEXT)) == ()


@pytest.mark.parametrize(("persons", "told"), [(11, 10), (12, 10), (13, 15), (17, 15), (18, 20)])
def test_a_count_goes_to_the_next_multiple(persons: int, told: int) -> None:
    ward = Ward()
    ward.stays(range(persons))
    assert ward.answer("SELECT region, count(*) AS n FROM stays GROUP BY region", ROUNDED).rows == [("Nord", told)]


def test_totals_are_those_of_the_rounded_groups_that_leave() -> None:
    ward = Ward()
    for number, (region, persons) in enumerate({"a": 12, "b": 12, "c": 12, "d": 16}.items()):
        ward.stays(range(100 * number, 100 * number + persons), region)
    sql = "SELECT region, count(*) AS n, count(DISTINCT pid) AS p FROM stays GROUP BY ROLLUP (region)"
    release = check(sql, ROUNDED)
    table = lattice.settled(ward.database.execute(release.sql).to_arrow_table(), release)
    found = {row["region"]: (row["n"], row["p"]) for row in table.to_pylist()}
    assert found == {"a": (10, 10), "b": (10, 10), "c": (10, 10), "d": (15, 15), None: (45, 50)}
    assert "totals" in lattice.notes(release)[0].text
