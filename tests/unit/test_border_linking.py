"""Which scans are read under pseudonyms, and how planners describe such a statement without the holders' key."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest
import sqlglot
from border_ward import CONTEXT, EVERYTHING, PERSONS, STAFF, STAYS, Ward, obliged, table, towards, with_received
from sqlglot import exp
from test_border_peers import ROWS

from archipel.border import BorderContext, check, linking
from archipel.linkage import project_domain
from archipel.schema import Role, Table

BOTH = {"stays": STAYS, "persons": PERSONS}


def parsed(sql: str) -> exp.Expr:
    """Return the tree of a statement."""
    return sqlglot.parse_one(sql, read="duckdb")


def types_of(tree: exp.Expr) -> list[str]:
    """Return the types that an empty database says the statement has."""
    return [str(kind) for kind in Ward().database.sql(tree.sql("duckdb", identify=True)).types]


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("SELECT pid FROM stays", ["BLOB"]),
        ("SELECT s.pid, s.ward FROM stays s", ["BLOB", "INTEGER"]),
        ("SELECT * FROM Stays", ["BLOB", "VARCHAR", "INTEGER", "DOUBLE", "INTEGER", "DATE", "VARCHAR", "VARCHAR"]),
        ("SELECT stays.pid, stays._node FROM stays", ["BLOB", "VARCHAR"]),
        ("SELECT s.pid FROM stays s JOIN persons p USING (pid)", ["BLOB"]),
        ("WITH a AS (SELECT pid FROM stays) SELECT pid FROM a", ["BLOB"]),
        ("WITH stays AS (SELECT 1 AS pid) SELECT pid FROM stays", ["INTEGER"]),
        ("WITH stays AS (SELECT pid FROM stays) SELECT pid FROM stays", ["BLOB"]),
        ("WITH a AS (SELECT pid FROM stays), stays AS (SELECT 1 AS pid) SELECT pid FROM a", ["BLOB"]),
        ("WITH stays AS (SELECT 1 AS pid), a AS (SELECT pid FROM stays) SELECT pid FROM a", ["INTEGER"]),
        ("SELECT pid FROM (WITH stays AS (SELECT 1 AS pid) SELECT pid FROM stays)", ["INTEGER"]),
        ("SELECT pid FROM stays UNION ALL SELECT pid FROM persons", ["BLOB"]),
        ("SELECT (SELECT max(pid) FROM stays) AS x", ["BLOB"]),
        ("SELECT count(DISTINCT pid), count(*) FROM stays", ["BIGINT", "BIGINT"]),
    ],
)
def test_an_empty_database_describes_a_statement_under_pseudonyms(sql: str, types: list[str]) -> None:
    assert types_of(linking.as_linked(parsed(sql), BOTH)) == types


def test_a_person_that_is_a_number_is_described_as_a_pseudonym_too() -> None:
    assert types_of(linking.as_linked(parsed("SELECT badge, ward FROM staff"), {"staff": STAFF})) == ["BLOB", "INTEGER"]


def test_only_the_tables_given_are_replaced_and_the_tree_itself_stays() -> None:
    tree = parsed("SELECT s.pid, p.pid FROM stays s, persons p")
    before = tree.sql("duckdb")
    assert types_of(linking.as_linked(tree, {"persons": PERSONS})) == ["VARCHAR", "BLOB"]
    assert tree.sql("duckdb") == before


def test_a_described_statement_joins_with_received_pseudonyms() -> None:
    database: duckdb.DuckDBPyConnection = Ward().database
    database.execute("CREATE TABLE x1 (p BLOB, drug VARCHAR)")
    tree = linking.as_linked(parsed("SELECT x.drug, count(*) FROM x1 x JOIN stays s ON s.pid = x.p GROUP BY 1"), BOTH)
    assert [str(kind) for kind in database.sql(tree.sql("duckdb")).types] == ["VARCHAR", "BIGINT"]


def received(domain: str) -> Table:
    """Return a table that came from a node, with persons of a domain."""
    return table("x1", {"p": ("BLOB", Role.MEASURE)}, person="p", domain=domain)


def test_towards_a_node_every_protected_table_is_read_under_pseudonyms() -> None:
    tree = parsed("SELECT s.pid FROM stays s, staff f, wards w")
    assert set(linking.linked_tables(tree, replace(CONTEXT, destination="chu"))) == {"stays", "staff"}
    assert linking.linked_tables(tree, CONTEXT) == {}


def test_towards_the_coordinator_those_are_whose_persons_are_in_a_received_table_that_is_named() -> None:
    here = replace(CONTEXT, received={"x1": received(project_domain("patient", "permit-1"))})
    assert set(linking.linked_tables(parsed("SELECT 1 FROM stays, staff, X1"), here)) == {"stays"}
    assert linking.linked_tables(parsed("SELECT 1 FROM stays, staff"), here) == {}
    for domain in ("patient", project_domain("patient", "permit-2"), project_domain("staff", "permit-1")):
        here = replace(CONTEXT, received={"x1": received(domain)})
        assert "stays" not in linking.linked_tables(parsed("SELECT 1 FROM stays, staff, x1"), here)


def described(sql: str, context: BorderContext) -> tuple[list[str], list[str]]:
    """Return the types that a planner expects of a statement, and those of what runs."""
    ward = Ward()
    ward.receive([])
    tree = parsed(sql)
    planned = ward.database.sql(linking.as_linked(tree, linking.linked_tables(tree, context)).sql("duckdb"))
    release = check(sql, context)
    runs = ward.database.sql(release.sql)
    leading = 0 if release.withheld_column is None else 2
    return list(map(str, planned.types)), list(map(str, runs.types))[leading:]


@pytest.mark.parametrize("sql", ROWS)
def test_what_is_described_for_a_node_has_the_types_of_what_runs(sql: str) -> None:
    planned, runs = described(sql, towards(EVERYTHING))
    assert planned == runs
    assert "BLOB" in runs


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x.drug, count(*) AS n, sum(s.cost) AS c, avg(x.dose) AS d "
        "FROM x1 x JOIN stays s ON s.pid = x.p GROUP BY x.drug",
        "SELECT count(*) AS n FROM stays WHERE pid IN (SELECT p FROM x1)",
        "SELECT count(DISTINCT q.pid) AS n, sum(q.days) AS d "
        "FROM (SELECT pid, days FROM stays UNION ALL SELECT p, dose FROM x1) AS q",
    ],
)
def test_what_is_described_over_a_received_table_has_the_types_of_what_runs(sql: str) -> None:
    planned, runs = described(sql, with_received(obliged()))
    assert planned == runs
