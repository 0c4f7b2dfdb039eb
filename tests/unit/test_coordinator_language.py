"""What the coordinator may run beyond the nodes: refused at a node over persons, and harmless where it is allowed."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import duckdb
import pytest
import sqlglot
from border_ward import refusal_of
from sqlglot import exp
from test_border_language import HARMFUL

from archipel import aggregates, errors, functions
from archipel.border import parsing, vocabulary

NODE, COORDINATOR = vocabulary.NODE, vocabulary.COORDINATOR

# Every way of writing more than a node takes, over the rows of persons.
MORE = {
    "by name": "SELECT count(*) AS n FROM (SELECT days FROM stays UNION ALL BY NAME SELECT days FROM stays) q",
    "intersect by name": "SELECT count(*) AS n FROM (SELECT days FROM stays INTERSECT BY NAME FROM stays) q",
    "except by name": "SELECT count(*) AS n FROM (SELECT days FROM stays EXCEPT BY NAME FROM stays) q",
    "recursion by key": "WITH RECURSIVE r(d) USING KEY (d) AS (SELECT days FROM stays UNION SELECT d FROM r) "
    "SELECT count(*) AS n FROM r",
    "joins in parentheses": "SELECT count(*) AS n FROM stays s JOIN (stays t JOIN wards w ON TRUE) ON s.pid = t.pid",
    "joins in parentheses first": "SELECT count(*) AS n FROM (stays t JOIN wards w ON TRUE) JOIN stays s USING (pid)",
    "pivot": "SELECT count(*) AS n FROM (PIVOT stays ON region IN ('F') USING count(*)) p",
    "pivot of a table": "SELECT count(*) AS n FROM stays PIVOT (count(*) FOR region IN ('F'))",
    "pivot of a derived table": "SELECT count(*) AS n FROM (SELECT * FROM stays) PIVOT (count(*) FOR region IN ('F'))",
    "unpivot": "SELECT count(*) AS n FROM (UNPIVOT stays ON days INTO NAME k VALUE v) p",
    "unpivot of a table": "SELECT count(*) AS n FROM stays UNPIVOT (v FOR k IN (days))",
    "a query in parentheses with a clause": "SELECT count(*) AS n FROM ((SELECT days FROM stays) LIMIT 1) q",
    "natural join": "SELECT count(*) AS n FROM stays NATURAL JOIN wards",
    "asof join": "SELECT count(*) AS n FROM stays s ASOF JOIN wards w ON s.days >= w.beds",
    "positional join": "SELECT count(*) AS n FROM stays POSITIONAL JOIN wards",
    "lateral": "SELECT count(*) AS n FROM stays s, LATERAL (SELECT s.days AS d) q",
    "a share of the rows": "SELECT count(*) AS n FROM (SELECT days FROM stays LIMIT 10%) q",
    "columns by pattern": "SELECT sum(COLUMNS('days')) FROM stays",
    "columns by lambda": "SELECT sum(COLUMNS(c -> c LIKE 'd%')) FROM stays",
    "lambda": "SELECT sum(len(list_transform([days], x -> x + 1))) AS n FROM stays",
    "filter by lambda": "SELECT sum(len(list_filter([days], lambda x: x > 1))) AS n FROM stays",
    "reduce by lambda": "SELECT sum(list_reduce([days, 1], lambda a, b: a + b)) AS n FROM stays",
    "comprehension": "SELECT sum(len([x + 1 FOR x IN [days] IF x > 1])) AS n FROM stays",
    "struct": "SELECT count({'a': days}) AS n FROM stays",
    "named arguments": "SELECT count(struct_pack(a := days)) AS n FROM stays",
    "field": "SELECT sum(({'a': days}).a) AS n FROM stays",
    "field by name": "SELECT sum(struct_extract(struct_pack(a := days), 'a')) AS n FROM stays",
    "slice": "SELECT sum(len([days, 1][1:2])) AS n FROM stays",
    "map": "SELECT sum(MAP {'a': days}['a']) AS n FROM stays",
    "map of lists": "SELECT count(map([days], [1])) AS n FROM stays",
    "map of entries": "SELECT count(map_from_entries([(days, 1)])) AS n FROM stays",
    "keys": "SELECT sum(len(map_keys(map([days], [1])))) AS n FROM stays",
    "rows of a list": "SELECT sum(x) AS n FROM (SELECT unnest([days, 1]) AS x FROM stays) q",
    "all fields of a list": "SELECT count(*) AS n FROM (SELECT unnest([{'a': days}], recursive := true) FROM stays) q",
    "collation": "SELECT count(*) AS n FROM stays WHERE region COLLATE NOCASE = 'f'",
    "list of a series": "SELECT sum(len(range(days))) AS n FROM stays",
    "json array": "SELECT count(json_array(days)) AS n FROM stays",
    "json object": "SELECT count(json_object('a', days)) AS n FROM stays",
    "raw text": "SELECT count(*) AS n FROM stays WHERE region = $$F$$",
    "struct type": "SELECT count(CAST(NULL AS STRUCT(a INTEGER))) AS n FROM stays",
    "map type": "SELECT count(CAST(NULL AS MAP(INTEGER, INTEGER))) AS n FROM stays",
    "array type": "SELECT count(CAST(NULL AS INTEGER[2])) AS n FROM stays",
    "a row as a value": "SELECT count(stays) AS n FROM stays",
}

NEW_PARTS = {
    (kind.__name__, part)
    for kind, parts in COORDINATOR.structure.items()
    for part in parts - NODE.structure.get(kind, frozenset())
}

# Parts that the parser fills in by itself, or that no statement of DuckDB's dialect can have.
UNWRITTEN = {
    *(("Pivot", part) for part in ("alias", "columns", "default_on_null", "identify_pivot_strings", "include_nulls")),
    *(("Pivot", part) for part in ("prefixed_pivot_columns", "pivot_column_naming", "group")),
    *(("Subquery", part) for part in ("with_", "joins", "order", "offset")),
    *(("Columns", "unpack"), ("Slice", "step"), ("Lambda", "colon"), ("Comprehension", "position")),
    *(("PivotAlias", "this"), ("PivotAlias", "alias"), ("Reduce", "initial"), ("Reduce", "merge"), ("Reduce", "this")),
}


def parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read="duckdb")


def parts_in(sql: str) -> set[tuple[str, str]]:
    return {(type(node).__name__, name) for node in parsed(sql).walk() for name, value in node.args.items() if value}


@pytest.mark.parametrize("sql", MORE.values(), ids=MORE.keys())
def test_what_only_the_coordinator_may_run_is_refused_over_persons(sql: str) -> None:
    assert refusal_of(sql).code.startswith("SQL_")


@pytest.mark.parametrize("sql", [sql for name, sql in MORE.items() if name != "a row as a value"])
def test_the_coordinator_may_run_it(sql: str) -> None:
    parsing.check_syntax(parsed(sql), COORDINATOR)


def test_every_new_class_and_part_is_among_those_that_were_tried() -> None:
    tried = set().union(*(parts_in(sql) for sql in MORE.values()))
    assert NEW_PARTS - tried - UNWRITTEN == set()
    classes = {type(node) for sql in MORE.values() for node in parsed(sql).walk()}
    assert {c.__name__ for c in COORDINATOR.allowed - NODE.allowed - classes} <= {"PivotAlias", "Reduce"}


@pytest.mark.parametrize("name", sorted(functions.COORDINATOR_SCALAR))
def test_a_function_that_only_the_coordinator_may_call_is_refused_over_persons(name: str) -> None:
    for arguments in ("days", "[days], [1]", "[days], x -> x", "'a', days", "[days], lambda x, y: x"):
        assert refusal_of(f"SELECT count({name}({arguments})) AS n FROM stays").code.startswith("SQL_")


@pytest.mark.parametrize("name", sorted(functions.COORDINATOR_SCALAR))
def test_a_function_that_only_the_coordinator_may_call_exists_in_the_engine(name: str) -> None:
    with duckdb.connect() as database:
        known = {row[0] for row in database.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    assert name in known


def test_the_coordinator_knows_all_that_a_node_knows() -> None:
    assert NODE.allowed <= COORDINATOR.allowed
    assert NODE.types <= COORDINATOR.types
    assert NODE.functions <= COORDINATOR.functions
    assert all(parts <= COORDINATOR.structure[kind] for kind, parts in NODE.structure.items())
    assert not COORDINATOR.functions & set(aggregates.REGISTRY)


@pytest.mark.parametrize("call", [call.strip() for call in HARMFUL.strip().replace("\n", "|").split("|")])
def test_what_reads_or_changes_anything_else_is_no_function_of_the_coordinator_either(call: str) -> None:
    written = call if "(" in call else f"{call}()"
    for sql in (f"SELECT {written} AS x", f"SELECT list_transform([1], y -> {written}) AS x"):
        with pytest.raises(errors.ArchipelError) as refused:
            parsing.check_syntax(parsed(sql), COORDINATOR)
        assert refused.value.code.startswith("SQL_")


@pytest.mark.parametrize(
    "source",
    [
        *("read_csv('x.csv')", "'x.csv'", "glob('*')", "duckdb_settings()", "pragma_version()", "query('SELECT 1')"),
        *("query_table('wards')", "main.wards", "information_schema.tables", "repeat_row(1)", "read_text('x')"),
    ],
)
def test_the_coordinator_reads_no_file_and_no_catalogue(source: str) -> None:
    for sql in (
        f"SELECT * FROM {source}",
        f"SELECT * FROM x1, LATERAL (FROM {source}) q",
        f"SELECT * FROM (PIVOT {source} ON a IN (1) USING count(*))",
    ):
        try:
            tree = parsed(sql)
        except sqlglot.errors.SqlglotError:
            continue
        if source == "'x.csv'":
            # To the parser it is a table of that name; there is none among the exchanges.
            assert any(t.name == "x.csv" for t in tree.find_all(exp.Table))
            continue
        with pytest.raises(errors.ArchipelError):
            parsing.check_syntax(tree, COORDINATOR)


def test_a_refusal_says_where_the_construct_may_not_run() -> None:
    with pytest.raises(errors.ArchipelError, match="may run at the coordinator"):
        parsing.check_syntax(parsed("SELECT random() AS x"), COORDINATOR)
    with pytest.raises(errors.ArchipelError, match="may run at a node"):
        parsing.check_syntax(parsed("SELECT {'a': 1} AS x"))
