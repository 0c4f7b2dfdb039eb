"""Where an answer's groups stand in a table that it shares with others: the same rows, however they are written."""
# ruff: noqa: S608 - statements are put together from parts that stand in this file

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from archipel import permit, schema
from archipel.border import check, placement
from archipel.border.decision import BorderContext
from archipel.border.measures import Placement

COLUMNS = {"person": "BIGINT", "region": "VARCHAR", "year": "INTEGER", "day": "DATE", "code": "VARCHAR"}


def _table(name: str, *, protected: bool = True) -> schema.Table:
    table = schema.Table(
        name, tuple(schema.Column(*column) for column in COLUMNS.items()), person_column="person" if protected else None
    )
    roles = tuple((column, schema.Role.GROUP) for column in COLUMNS if column != "person")
    form = schema.Form.AGGREGATE if protected else schema.Form.ROWS
    return replace(table, policy=replace(table.policy, protected=protected, coordinator_form=form, roles=roles))


TABLES = {"stays": _table("stays"), "drugs": _table("drugs"), "ref": _table("ref", protected=False)}
PERMIT = permit.Permit(
    permit_id="p1",
    federation="dev",
    project="test",
    purpose="test",
    researchers=(permit.Researcher(name="alice", key="A" * 43),),
    tables=tuple(permit.TableGrant(table=name, columns=("*",)) for name in TABLES),
    nodes=("n1",),
    not_before=0,
    expires=10**10,
)


def placed(sql: str) -> Placement:
    """Return where the groups of a statement stand."""
    found = check(sql, BorderContext(node="n1", tables=TABLES, inputs={}, permit=PERMIT, for_ledger=True)).placement
    assert found is not None
    return found


PLAIN = "SELECT region, count(*) AS n FROM stays WHERE year = 2023 GROUP BY region"

SAME = {
    "another alias": "SELECT z.region, count(*) AS n FROM stays z WHERE z.year = 2023 GROUP BY z.region",
    "a derived table": "SELECT t.r, count(*) AS n FROM (SELECT region AS r, year AS y FROM stays) t "
    "WHERE y = 2023 GROUP BY r",
    "its condition inside": "SELECT r, sum(1) AS n FROM (SELECT s.region AS r FROM stays s WHERE s.year = 2023) t "
    "GROUP BY r",
    "twice inside": "SELECT r, count(*) AS n FROM (SELECT q AS r FROM (SELECT region AS q, year AS y FROM stays) a "
    "WHERE a.y = 2023) b GROUP BY r",
    "a part of WITH": "WITH t AS (SELECT * FROM stays WHERE year = 2023) SELECT region, count(*) AS n FROM t "
    "GROUP BY region",
    "names like those that the check adds": "SELECT border_x.region, count(*) AS border_y FROM "
    "(SELECT region, year FROM stays) border_x WHERE year = 2023 GROUP BY border_x.region",
    "parentheses": "SELECT (region) AS r, count(*) AS n FROM stays WHERE ((year = 2023)) GROUP BY (region)",
}


@pytest.mark.parametrize("way", SAME)
def test_the_same_rows_and_groups_are_known_however_they_are_written(way: str) -> None:
    found = placed(SAME[way])
    assert replace(found, outputs=()) == replace(placed(PLAIN), outputs=())


OTHER = {
    "other rows": "SELECT region, count(*) AS n FROM drugs WHERE year = 2023 GROUP BY region",
    "more rows by a join": "SELECT s.region, count(*) AS n FROM stays s JOIN ref r ON r.year = s.year "
    "GROUP BY s.region",
    "one row a person": "SELECT r, count(*) AS n FROM (SELECT person, min(region) AS r FROM stays GROUP BY person) t "
    "GROUP BY r",
    "the rows that there are": "SELECT region, count(*) AS n FROM (SELECT DISTINCT person, region FROM stays) t "
    "GROUP BY region",
}


@pytest.mark.parametrize("way", OTHER)
def test_other_rows_are_never_taken_for_the_same(way: str) -> None:
    assert placed(OTHER[way]).base != placed(PLAIN).base


def test_a_derived_table_below_an_outer_join_stays_where_it_is() -> None:
    joined = "t LEFT JOIN ref r ON r.code = t.code"
    inside = f"SELECT t.region, count(*) AS n FROM (SELECT * FROM stays WHERE year = 2023) {joined} GROUP BY t.region"
    outside = f"SELECT t.region, count(*) AS n FROM stays {joined} WHERE t.year = 2023 GROUP BY t.region"
    assert placed(inside).base != placed(outside).base
    assert placed(inside).conditions == ()


def test_a_source_whose_name_means_two_things_is_not_taken_for_the_other() -> None:
    found = placed(
        "SELECT s.region, count(*) AS n FROM (SELECT s.region, s.person FROM drugs s) s "
        "JOIN (SELECT s.person FROM stays s) t ON t.person = s.person GROUP BY s.region"
    )
    assert '"drugs"' in found.base
    assert '"stays"' in found.base


def test_parts_that_an_answer_tells_beside_its_groups_are_flags() -> None:
    found = placed(
        "SELECT region, count(*) FILTER (WHERE year > 2020) AS a, sum(CASE WHEN code = 'X' THEN 1 ELSE 0 END) AS b, "
        "count(code) AS c, avg(year) AS d FROM stays GROUP BY region"
    )
    assert '"s0"."year" > 2020' in found.flags
    assert '"s0"."code" = \'X\'' in found.flags
    assert not any(flag == 'NOT "s0"."code" IS NULL' for flag in found.flags), "nobody chose where a value is missing"
    assert '"s0"."year"' in found.values


def test_a_condition_that_a_column_has_a_value_is_a_condition() -> None:
    found = placed("SELECT region, count(code) AS n FROM stays WHERE NOT code IS NULL GROUP BY region")
    assert found.conditions == ('NOT "s0"."code" IS NULL',)
    assert found.flags == ()


ANSWERS = (
    "SELECT region, count(*) AS n FROM stays GROUP BY region",
    "SELECT year, count(*) AS n FROM stays WHERE NOT (region = 'B') GROUP BY year",
    "SELECT count(*) AS n FROM stays WHERE year IN (2021, 2022) AND region <> 'A'",
    "SELECT quarter(day) AS q, count(*) AS n FROM stays WHERE year = 2021 GROUP BY quarter(day)",
    "SELECT region, year, count(*) FILTER (WHERE code = '1') AS f, count(*) AS n FROM stays GROUP BY region, year",
    "SELECT region, count(*) AS n FROM stays WHERE code <> 'x' AND CAST(code AS INTEGER) > 1 GROUP BY region",
)


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(config={"threads": 1})
    database.execute(
        "CREATE TABLE stays AS SELECT i % 97 AS person, 2021 + i % 3 AS year, "
        "CASE WHEN i % 7 < 3 THEN 'A' WHEN i % 7 < 6 THEN 'B' END AS region, "
        "DATE '2021-01-01' + CAST(i % 400 AS INTEGER) AS day, "
        "CASE WHEN i % 11 = 0 THEN 'x' ELSE CAST(i % 5 AS VARCHAR) END AS code FROM range(2000) t(i)"
    )
    return database


def test_every_group_of_every_answer_is_the_sum_of_its_atoms() -> None:
    database = _database()
    placements = [placed(sql) for sql in ANSWERS]
    assert len({one.base for one in placements}) == 1
    asked = placement.joint(placements, 10_000)
    rows = database.execute(asked.sql).fetchall()
    size = len(rows[0]) - asked.persons - 1
    for sql, one, place in zip(ANSWERS, placements, asked.places, strict=True):
        counted: dict[tuple[object, ...], int] = {}
        answer = database.execute(sql).to_arrow_table().to_pylist()
        for row in rows:
            if all(row[condition] for condition in place.conditions):
                key = tuple(row[key] for key in place.keys)
                counted[key] = counted.get(key, 0) + row[size]
        assert counted == {tuple(row[name] for name in one.outputs if name): row["n"] for row in answer}, sql


def test_bits_of_persons_are_never_more_than_the_persons() -> None:
    database = _database()
    asked = placement.joint([placed(ANSWERS[0])], 10_000)
    assert asked.persons == 1
    exact = dict(database.execute("SELECT region, count(DISTINCT person) FROM stays GROUP BY region").fetchall())
    found = {row[0]: row[-1] for row in database.execute(asked.sql).fetchall()}
    assert found.keys() == exact.keys()
    for region, persons in exact.items():
        assert 0 < int(found[region]).bit_count() <= persons


def test_more_atoms_than_allowed_are_one_more_than_allowed() -> None:
    asked = placement.joint([placed(sql) for sql in ANSWERS], 5)
    assert len(_database().execute(asked.sql).fetchall()) == 6


def test_what_would_fail_in_other_rows_is_computed_only_where_it_was_asked() -> None:
    pair = [placed(ANSWERS[5]), placed(ANSWERS[0])]
    asked = placement.joint(pair, 1000)  # of all rows CAST(code AS INTEGER) fails
    assert sum(row[-2] for row in _database().execute(asked.sql).fetchall()) == 2000
