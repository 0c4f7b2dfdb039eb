"""Random statements for another node: what leaves of a person is the same when there is nobody else.

Each released row stands under one person's pseudonym. That no other person has a part in it is tested by its
definition: all rows of the others are deleted, and the rows of this one must come out unchanged.
"""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

from functools import lru_cache

import duckdb
from border_ward import EVERYTHING, Ward, pseudonym, towards
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_border_properties import filled

from archipel import errors
from archipel.border import Release, check

HERE = towards(EVERYTHING)

OWN = "SELECT pid, region, ward, days, cost FROM stays"
SOURCES = (
    "stays AS s",
    "stays AS s JOIN persons p ON p.pid = s.pid",
    "stays AS s JOIN persons p USING (pid)",
    "stays AS s JOIN persons p ON p.born = 1950 + s.days",
    "stays AS s JOIN persons p ON p.pid = s.pid OR p.born = 1950 + s.days",
    "stays AS s LEFT JOIN persons p ON p.pid = s.pid AND p.born > 1955",
    "stays AS s LEFT JOIN persons p ON p.born = 1950 + s.days",
    "stays AS s FULL JOIN persons p ON p.pid = s.pid",
    "persons p RIGHT JOIN stays AS s ON p.pid = s.pid",
    "stays AS s, persons p",
    "stays AS s SEMI JOIN persons p ON p.pid = s.pid",
    "stays AS s ANTI JOIN persons p ON p.pid = s.pid",
    "stays AS s ANTI JOIN persons p ON p.born = 1950 + s.days",
    "stays AS s JOIN wards w ON w.ward = s.ward",
    "stays AS s RIGHT JOIN wards w ON w.ward = s.ward",
    "stays AS s JOIN (SELECT region, count(*) AS n FROM stays GROUP BY region) p ON p.region = s.region",
    "stays AS s JOIN (SELECT pid, max(days) AS born FROM stays GROUP BY pid) p ON p.pid = s.pid",
    "(SELECT pid, region, 1 AS ward, max(days) AS days, sum(cost) AS cost FROM stays GROUP BY pid, region) AS s",
    "(SELECT max(pid) AS pid, region, max(ward) AS ward, max(days) AS days, 1 AS cost FROM stays GROUP BY region) AS s",
    "(SELECT DISTINCT pid, region, ward, days, cost FROM stays) AS s",
    f"({OWN} UNION ALL SELECT pid, sex, 1, born - 1950, 2.5 FROM persons) AS s",
    f"({OWN} UNION SELECT pid, sex, 1, born - 1950, 2.5 FROM persons) AS s",
    f"({OWN} EXCEPT {OWN} WHERE days > 3) AS s",
    "(SELECT *, max(cost) OVER (PARTITION BY pid) AS top FROM stays) AS s",
    "(SELECT * FROM stays LIMIT 20) AS s",
)
PERSONS = ("s.pid", "s.pid", "s.pid", "p.pid", "pid")
VALUES = (
    "s.region",
    "s.cost",
    "s.days + 1",
    "p.born",
    "p.pid IS NULL",
    "count(*)",
    "max(s.cost)",
    "count(DISTINCT s.ward)",
    "sum(s.days) OVER (PARTITION BY s.pid)",
    "max(s.cost) OVER ()",
    "max(s.cost) OVER (PARTITION BY s.region)",
    "rank() OVER (PARTITION BY s.pid ORDER BY s.days)",
    "rank() OVER (ORDER BY s.days)",
    "(SELECT max(t.days) FROM stays t WHERE t.pid = s.pid)",
    "(SELECT count(*) FROM stays t WHERE t.region = s.region)",
    "(SELECT count(*) FROM wards)",
    "s.region IN (SELECT k FROM codes)",
    "s.pid IN (SELECT pid FROM persons)",
    "s.days IN (SELECT born - 1950 FROM persons)",
)
CONDITIONS = (
    "true",
    "true",
    "s.days > 2",
    "p.born > 1953",
    "s.pid IN (SELECT pid FROM persons WHERE sex = 'f')",
    "s.pid NOT IN (SELECT pid FROM persons WHERE pid IS NOT NULL)",
    "EXISTS (SELECT 1 FROM persons q WHERE q.pid = s.pid AND q.born > 1952)",
    "NOT EXISTS (SELECT 1 FROM persons q WHERE q.pid = s.pid)",
    "EXISTS (SELECT 1 FROM persons q WHERE q.born = 1950 + s.days)",
    "s.days >= (SELECT avg(t.days) FROM stays t WHERE t.pid = s.pid)",
    "s.days > (SELECT avg(days) FROM stays)",
    "s.days < (SELECT max(v) FROM codes)",
)
GROUPS = ("", "", "", " GROUP BY s.pid", " GROUP BY s.pid, s.region", " GROUP BY s.region", " GROUP BY ALL")
ENDS = (
    "",
    "",
    "",
    " HAVING count(*) > 1",
    " QUALIFY max(s.days) OVER (PARTITION BY s.pid) > 2",
    " QUALIFY rank() OVER (ORDER BY s.days) < 9",
    " ORDER BY s.days LIMIT 2",
)


@lru_cache(maxsize=8)
def world(seed: int) -> Ward:
    """Return a ward of twelve persons. Nothing that is done to it is committed."""
    return filled(seed, 12)


def released(sql: str) -> Release | None:
    """Return what may leave, None when nothing may."""
    try:
        return check(sql, HERE)
    except errors.ArchipelError:
        return None


def rows_of(ward: Ward, release: Release) -> dict[bytes | None, list[str]]:
    """Return the rows that leave, by their person, as texts in some fixed order."""
    assert release.obliges is not None
    cursor = ward.database.execute(release.sql)
    names = [column[0].lower() for column in cursor.description or []]
    person = names.index((release.obliges.person_column or "").lower())
    found: dict[bytes | None, list[str]] = {}
    for row in cursor.fetchall():
        found.setdefault(row[person], []).append(str(row))
    return {key: sorted(rows) for key, rows in found.items()}


def alone(ward: Ward, release: Release, person: str) -> dict[bytes | None, list[str]]:
    """Return the rows that leave when there is no other person; rows of nobody stay, who may show in NOT IN."""
    ward.database.execute("BEGIN")
    for table in ("stays", "persons"):
        ward.database.execute(f"DELETE FROM {table} WHERE pid <> ?", [person])
    ward.database.execute("DELETE FROM staff")
    found = rows_of(ward, release)
    ward.database.execute("ROLLBACK")
    found.pop(None, None)
    return found


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    seed=st.integers(0, 7),
    source=st.sampled_from(SOURCES),
    person=st.sampled_from(PERSONS),
    values=st.lists(st.sampled_from(VALUES), max_size=2, unique=True),
    where=st.sampled_from(CONDITIONS),
    group=st.sampled_from(GROUPS),
    end=st.sampled_from(ENDS),
    distinct=st.sampled_from(("", "", "DISTINCT ")),
)
def test_what_leaves_of_a_person_is_the_same_when_there_is_nobody_else(
    seed: int, source: str, person: str, values: list[str], where: str, group: str, end: str, distinct: str
) -> None:
    outputs = ", ".join([f"{person} AS who", *(f"{value} AS v{number}" for number, value in enumerate(values))])
    sql = f"SELECT {distinct}{outputs} FROM {source} WHERE {where}{group}{end}"
    release = released(sql)
    if release is None:
        return
    ward = world(seed)
    try:
        whole = rows_of(ward, release)
    except duckdb.BinderException:
        return  # a column that is no group key, and the like: the engine's to say, not the border's
    names = [f"p{number}" for number in range(12)]
    assert set(whole) <= {None, *map(pseudonym, names)}, sql
    for name in names[:5]:
        expected = {pseudonym(name): whole[pseudonym(name)]} if pseudonym(name) in whole else {}
        assert alone(ward, release, name) == expected, sql


def test_the_fragments_make_statements_that_leave_and_such_that_do_not() -> None:
    found = [released(f"SELECT s.pid AS who, {value} AS v FROM {s} WHERE true") for s in SOURCES for value in VALUES]
    assert 40 < sum(release is not None for release in found) < len(found) - 40
