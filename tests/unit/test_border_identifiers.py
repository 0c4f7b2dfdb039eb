"""Potential identifiers group only in their bins; link-only columns are joined and counted and nothing else."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

from dataclasses import replace

import pytest
from border_ward import CONTEXT, PERSONS, STAYS, with_table

from archipel import errors
from archipel.border import BorderContext, check
from archipel.schema import Role, Table


def with_roles(table: Table, bins: dict[str, str], **roles: Role) -> Table:
    """Return a table in which some columns have other roles."""
    kept = tuple((name, role) for name, role in table.policy.roles if name not in roles)
    return replace(table, policy=replace(table.policy, roles=(*kept, *roles.items()), bins=tuple(bins.items())))


def binned(kind: str, column: str = "entered") -> BorderContext:
    """Return the usual context, a column of stays being a potential identifier."""
    return with_table(with_roles(STAYS, {column: kind} if kind else {}, **{column: Role.IDENTIFIER}))


LINKED = replace(
    CONTEXT,
    tables={
        **CONTEXT.tables,
        "stays": with_roles(STAYS, {}, ward=Role.LINK),
        "persons": with_roles(PERSONS, {}, born=Role.LINK),
    },
)


def refusal(sql: str, context: BorderContext) -> errors.ArchipelError:
    """Return the error of a statement that must be refused."""
    with pytest.raises(errors.ArchipelError) as caught:
        check(sql, context)
    return caught.value


@pytest.mark.parametrize(
    ("column", "kind", "keys"),
    [
        ("entered", "year", ["year(entered)", "date_trunc('year', entered)", "extract(year FROM entered)"]),
        ("entered", "year", ["date_part('year', entered)", "CAST(year(entered) AS VARCHAR)", "year(entered) - 1900"]),
        ("entered", "quarter", ["quarter(entered)", "date_trunc('quarter', entered)", "year(entered)"]),
        ("entered", "month", ["date_trunc('month', entered)", "month(entered)", "quarter(entered)"]),
        ("region", "prefix:2", ["substr(region, 1, 2)", "left(region, 1)", "substring(region, 1, 2)"]),
        ("days", "width:10", ["floor(days / 10) * 10", "days - days % 20", "days // 10", "days // 30 * 30"]),
        ("days", "width:10", ["CASE WHEN days // 10 = 0 THEN 'short' ELSE 'long' END"]),
    ],
)
def test_a_bin_or_what_is_coarser_is_a_group_key(column: str, kind: str, keys: list[str]) -> None:
    for key in keys:
        assert check(f"SELECT {key} AS k, count(*) AS n FROM stays GROUP BY {key}", binned(kind, column)).sql
        inner = f"SELECT k, count(*) AS n FROM (SELECT {key} AS k FROM stays) AS d GROUP BY k"
        assert check(inner, binned(kind, column)).sql


@pytest.mark.parametrize(
    ("column", "kind", "keys"),
    [
        ("entered", "year", ["entered", "month(entered)", "date_trunc('month', entered)", "strftime(entered, '%Y')"]),
        ("entered", "year", ["year(entered) * 100 + month(entered)", "year(entered + INTERVAL 6 MONTH)"]),
        ("entered", "quarter", ["month(entered)", "date_trunc('week', entered)", "dayofweek(entered)"]),
        ("entered", "", ["year(entered)", "entered"]),
        ("region", "prefix:2", ["substr(region, 1, 3)", "substr(region, 2, 1)", "right(region, 1)", "region || ''"]),
        ("days", "width:10", ["floor(days / 5) * 5", "floor((days + 5) / 10)", "days // 15", "days % 10", "days"]),
        ("days", "width:10", ["CASE WHEN days < 7 THEN 'a' ELSE 'b' END"]),
    ],
)
def test_what_is_finer_than_the_bin_or_lies_across_it_is_no_group_key(column: str, kind: str, keys: list[str]) -> None:
    for key in keys:
        problem = refusal(f"SELECT {key} AS k, count(*) AS n FROM stays GROUP BY {key}", binned(kind, column))
        assert problem.rule == "identifier-group-key", key


@pytest.mark.parametrize(
    ("column", "kind", "written"),
    [
        ("entered", "year", "year(s.entered)"),
        ("entered", "month", "date_trunc('month', s.entered)"),
        ("region", "prefix:2", "substr(s.region, 1, 2)"),
        ("days", "width:10", "floor(s.days / 10) * 10"),
    ],
)
def test_the_hint_is_sql_that_can_be_pasted(column: str, kind: str, written: str) -> None:
    context = binned(kind, column)
    sql = f"SELECT s.{column} AS k, count(*) AS n FROM stays AS s GROUP BY s.{column}"
    problem = refusal(sql, context)
    assert written in problem.hint
    assert check(sql.replace(f"s.{column}", written), context).sql


def test_a_potential_identifier_may_be_filtered_on_and_summed_like_a_measure() -> None:
    context = binned("width:10", "days")
    assert check("SELECT region, avg(days) AS d FROM stays WHERE days = 3 GROUP BY region", context).sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT s.region, count(*) AS n FROM stays s JOIN persons p ON p.born = s.ward GROUP BY s.region",
        "SELECT s.region, count(*) AS n FROM stays s JOIN staff f ON f.badge = s.ward GROUP BY s.region",
        "SELECT region, count(DISTINCT ward) AS n, count(ward) AS m FROM stays GROUP BY region",
        "SELECT region, count(DISTINCT w) AS n FROM (SELECT region, ward AS w FROM stays) AS d GROUP BY region",
        "SELECT n, count(*) AS k FROM (SELECT pid, ward, count(*) AS n FROM stays GROUP BY pid, ward) AS d GROUP BY n",
        "SELECT region, count(*) AS n FROM stays WHERE ward IS NOT NULL GROUP BY region",
    ],
)
def test_link_columns_are_joined_and_counted(sql: str) -> None:
    assert check(sql, LINKED).sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ward, count(*) AS n FROM stays GROUP BY ward",
        "SELECT w, count(*) AS n FROM (SELECT ward AS w FROM stays) AS d GROUP BY w",
        "SELECT w, count(*) AS n FROM (SELECT ward AS w FROM stays UNION ALL SELECT born FROM persons) d GROUP BY w",
        "SELECT sum(ward) AS n FROM stays",
        "SELECT count(*) AS n FROM stays WHERE ward = 3",
        "SELECT count(*) AS n FROM stays WHERE ward IN (1, 2)",
        "SELECT count(*) AS n FROM stays WHERE ward > 3",
        "SELECT count(*) AS n FROM stays WHERE ward IN (SELECT v FROM codes)",
        "SELECT count(*) AS n FROM stays JOIN codes ON v = ward",
        "SELECT count(*) AS n FROM stays JOIN wards ON wards.ward = stays.ward",
        "SELECT hash(ward) % 10 AS h, count(*) AS n FROM stays GROUP BY 1",
        "SELECT count(DISTINCT ward % 2) AS n FROM stays",
        "SELECT count(*) AS n FROM (SELECT pid, max(ward) AS m FROM stays GROUP BY pid) AS d",
        "SELECT count(*) AS n FROM (SELECT row_number() OVER (PARTITION BY pid ORDER BY ward) AS r FROM stays) AS d",
        "SELECT region, count(*) AS n FROM stays WHERE ward = (SELECT max(p.born) FROM persons p) GROUP BY region",
        "SELECT count(*) AS n FROM stays s WHERE (SELECT p.born FROM persons p WHERE p.pid = s.pid) = s.days",
        "SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM codes c WHERE c.v = s.ward)",
    ],
)
def test_link_columns_are_neither_shown_nor_computed_with_nor_compared_with_what_is_known(sql: str) -> None:
    assert refusal(sql, LINKED).rule == "link-only"
