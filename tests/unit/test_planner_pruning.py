"""Nodes that can hold no row of an answer, by the least and greatest values that they tell, are not asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from comparing import difference
from coordinator_harness import hello_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planning import Federation, Shard, away, request

from archipel.ranges import columns_told
from archipel.schema import EVERY_PEER, Column, ColumnRange, Form, Role, Table, TablePolicy
from coordinator.catalog import build, build_table
from coordinator.plan import Plan, StageKind
from coordinator.planner import plan as make_plan
from coordinator.planner.ranges import sites_left
from coordinator.registration import read_hello

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS, peer_forms=((EVERY_PEER, Form.ROWS),))
YEARS = {"a": 2021, "b": 2022, "c": 2023}
EVERY_NODE = tuple(YEARS)

# --- what a condition and a range say together -------------------------------------------------------------------

DAY = date(2020, 2, 28)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.integers(-3, 3),
    "BIGINT": st.sampled_from([-(2**63), -(2**53) - 1, 2**53, 2**53 + 1, 2**63 - 1, 0]),
    "DECIMAL(5,2)": st.integers(-300, 300).map(lambda n: Decimal(n) / 100),
    "DATE": st.integers(0, 40).map(lambda n: DAY + timedelta(days=n)),
    "TIMESTAMP": st.integers(0, 80).map(lambda n: datetime(2020, 2, 28) + timedelta(hours=12 * n, microseconds=n % 3)),
}
NUMBERS = ("-1", "0", "2", "1.5", "-0.005", "2.001", "9007199254740992.5", "1e0", "9223372036854775808")
TIMES = (
    "DATE '2020-03-01'",
    "'2020-03-01'",
    "CAST('2020-03-05' AS TIMESTAMP)",
    "TIMESTAMP '2020-03-01 12:00:00.000001'",
    "DATE '2020-01-31' + INTERVAL 1 MONTH",
    "DATE '2020-04-30' - INTERVAL '2' MONTH",
    "TIMESTAMP '2020-03-03 00:00:00' + INTERVAL 5 DAY",
    "CAST('2021-02-28' AS DATE) - INTERVAL 1 YEAR",
    "DATE '2020-02-29' + INTERVAL 2 WEEKS",
)


def _conditions(kind: str) -> st.SearchStrategy[str]:
    constant = st.sampled_from(TIMES if kind in {"DATE", "TIMESTAMP"} else NUMBERS)
    leaf = st.one_of(
        st.builds("x {} {}".format, st.sampled_from(["=", "<", "<=", ">", ">=", "<>"]), constant),
        st.builds("{} {} x".format, constant, st.sampled_from(["=", "<", "<=", ">", ">="])),
        st.builds("x BETWEEN {} AND {}".format, constant, constant),
        st.builds("x IN ({}, {})".format, constant, constant),
        st.sampled_from(["x IS NULL", "x IS NOT NULL"]),
    )
    return st.recursive(
        leaf, lambda c: st.builds("({} {} {})".format, c, st.sampled_from(["AND", "OR"]), c), max_leaves=3
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[str, list[Any], str]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    rows = draw(st.lists(st.one_of(KINDS[kind], st.none()), min_size=1, max_size=4))
    return kind, rows, draw(_conditions(kind))


def _is_left_out(kind: str, told: ColumnRange | None, condition: str, source: str = "t") -> bool:
    """Return whether a node that tells this is left out; another one tells nothing."""
    table = Table("t", (Column("x", kind),), policy=OPEN, ranges=() if told is None else (told,))
    catalog = build({"a": [table], "b": [replace(table, ranges=())]}, ["a", "b"])
    tree = sqlglot.parse_one(f"SELECT 1 FROM {source} WHERE {condition.replace('x', 't.x')}", read="duckdb")  # noqa: S608
    return "a" not in sites_left(tree, ("a", "b"), catalog)


def _ends(database: duckdb.DuckDBPyConnection, kind: str, rows: list[Any]) -> ColumnRange | None:
    """Fill ``t`` with rows, and return what a node would tell of them."""
    database.execute(f"CREATE OR REPLACE TABLE t (x {kind})")
    marks = ", ".join(["(?)"] * len(rows))
    database.execute(f"INSERT INTO t VALUES {marks}", rows)  # noqa: S608 - question marks only
    low, high, nulls = database.execute("SELECT min(x)::TEXT, max(x)::TEXT, bool_or(x IS NULL) FROM t").fetchall()[0]
    return None if low is None else ColumnRange("x", low, high, nulls)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        yield made


@given(case=_cases())
@example(case=("BIGINT", [2**53 + 1], "x > 9007199254740992.5"))
@example(case=("BIGINT", [2**53], "x < 9007199254740992.5"))
@example(case=("DATE", [date(2020, 2, 29)], "x <= DATE '2020-01-31' + INTERVAL 1 MONTH"))
@settings(max_examples=150, deadline=None)
def test_no_node_is_left_out_that_has_a_row_for_which_the_engine_finds_the_condition_true(
    database: duckdb.DuckDBPyConnection, case: tuple[str, list[Any], str]
) -> None:
    kind, rows, condition = case
    told = _ends(database, kind, rows)
    if _is_left_out(kind, told, condition):
        assert database.execute(f"SELECT count(*) FROM t WHERE {condition}").fetchall() == [(0,)]  # noqa: S608


@pytest.mark.parametrize(
    ("kind", "condition", "left_out"),
    [
        ("INTEGER", "x = 21", True),
        ("INTEGER", "x = 20", False),
        ("INTEGER", "9 >= x", True),
        ("INTEGER", "x < 10.5", False),
        ("INTEGER", "x BETWEEN 21 AND y", True),
        ("INTEGER", "x BETWEEN 1 AND 9.99", True),
        ("INTEGER", "x IN (1, -2, 30)", True),
        ("INTEGER", "x IN (1, 15)", False),
        ("INTEGER", "x < 3 OR x > 30", True),
        ("INTEGER", "x < 3 OR x > 12", False),
        ("INTEGER", "NOT x < 30", False),
        ("INTEGER", "x + 1 = 100", False),
        ("INTEGER", "x = '100'", False),
        ("INTEGER", "x > 1e9", False),
        ("INTEGER", "x IS NULL", True),
        ("INTEGER", "x = (SELECT 100)", False),
        ("DOUBLE", "x > 100", False),
        ("VARCHAR", "x = 'a'", False),
        ("DECIMAL(38,2)", "x > 100", False),
    ],
)
def test_which_conditions_leave_a_node_out(kind: str, condition: str, left_out: bool) -> None:
    assert _is_left_out(kind, ColumnRange("x", "10", "20", has_null=False), condition) is left_out


@pytest.mark.parametrize(
    ("source", "condition", "left_out"),
    [
        ("t LEFT JOIN u ON true", "x > 30", True),
        ("u LEFT JOIN t ON true", "x > 30", True),
        ("u LEFT JOIN t ON t.x > 30", "u.y > 1", False),
        ("u LEFT JOIN t ON true", "x IS NULL", False),
        ("u POSITIONAL JOIN t", "x IS NULL", False),
        ("u JOIN t ON true", "x IS NULL", True),
        ("u JOIN t ON t.x > 30", "u.y > 1", True),
        ("t JOIN u ON t.x > 30 FULL JOIN v ON true", "u.y > 1", False),
        ("u ANTI JOIN t ON t.x > 30", "u.y > 1", False),
        ("t AS t(z, x)", "x > 30", False),
        ("(SELECT x * 2 AS x FROM t) AS t", "x > 30", False),
        ("t TABLESAMPLE 5 ROWS", "x > 30", False),
    ],
)
def test_a_node_is_left_out_only_where_the_condition_decides_the_rows_of_the_block(
    source: str, condition: str, left_out: bool
) -> None:
    told = ColumnRange("x", "10", "20", has_null=False)
    assert _is_left_out("INTEGER", told, condition, source) is left_out


# --- plans and answers -------------------------------------------------------------------------------------------


def _rows(year: int) -> dict[str, list[Any]]:
    days = [date(year, 1, 1) + timedelta(days=7 * n) for n in range(50)]
    return {
        "day": days,
        "sold_at": [datetime(d.year, d.month, d.day, 12) for d in days],
        "kind": [f"kind {n % 4}" for n in range(50)],
        "price": [Decimal(n % 9) / 4 + year for n in range(50)],
        "shop": [None if n % 10 == 0 else n % 5 + year for n in range(50)],
    }


def _told(database: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> Table:
    ranges = []
    for name, kind in columns_told(table):
        database.execute(f"CREATE OR REPLACE TABLE t (x {kind})")
        database.execute(f"INSERT INTO t SELECT {name} FROM rows")  # noqa: S608
        low, high, nulls = database.execute("SELECT min(x)::TEXT, max(x)::TEXT, bool_or(x IS NULL) FROM t").fetchall()[
            0
        ]
        ranges.append(ColumnRange(name, low, high, nulls))
    return replace(table, ranges=tuple(ranges), approximate_rows=rows.num_rows)


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    """Sales of one year at each node; shops at all of them, numbered by the year."""
    columns = "day DATE, sold_at TIMESTAMP, kind VARCHAR, price DECIMAL(10,2), shop INTEGER"
    sales = Table("sales", tuple(Column(*c.split(" ")) for c in columns.split(", ")), policy=OPEN)
    shops = Table("shops", (Column("shop", "INTEGER"), Column("town", "VARCHAR")), policy=OPEN)
    shards: dict[str, list[Shard]] = {}
    with duckdb.connect() as own:
        for node, year in YEARS.items():
            sold, known = pa.table(_rows(year)), pa.table({"shop": [year, year + 1], "town": ["x", node]})
            own.register("rows", sold)
            made = _told(own, sales, sold)
            own.register("rows", known)
            shards[node] = [Shard(made, sold), Shard(_told(own, shops, known), known)]
    with Federation(shards) as found:
        yield found


@dataclass(frozen=True)
class Asked:
    """A query, and the nodes that its first stage asks."""

    sql: str
    nodes: tuple[str, ...]


QUERIES = (
    Asked(
        "SELECT kind, count(DISTINCT shop) AS n, median(price) AS m, stddev(price) AS s FROM sales "
        "WHERE day >= '2023-01-01' GROUP BY kind",
        ("c",),
    ),
    Asked("SELECT count(*) AS n, sum(price) AS p FROM sales WHERE day >= DATE '2023-01-01'", ("c",)),
    Asked("SELECT kind, avg(price) AS p FROM sales WHERE day < '2022-06-01' GROUP BY kind", ("a", "b")),
    Asked("SELECT kind, count(DISTINCT shop) AS n FROM sales WHERE day >= '2022-06-01' GROUP BY kind", ("b", "c")),
    Asked(
        "SELECT day, price FROM sales WHERE sold_at BETWEEN '2022-01-01' AND '2022-03-01' ORDER BY day LIMIT 3", ("b",)
    ),
    Asked("SELECT max(day) AS d, count(*) AS n FROM sales WHERE day > DATE '2030-01-01'", ("a",)),
    Asked("SELECT kind, count(*) AS n FROM sales WHERE price < 0 GROUP BY ROLLUP (kind)", ("a",)),
    Asked(
        "SELECT kind, count(*) AS n FROM sales WHERE day >= DATE '2022-01-01' AND day < DATE '2022-01-01' "
        "+ INTERVAL 1 YEAR GROUP BY ROLLUP (kind)",
        ("b",),
    ),
    Asked("SELECT sum(price) AS p FROM sales WHERE shop IN (2021, 2027) OR price = 2024.75", ("a", "c")),
    Asked("SELECT stddev(price) AS p, median(price) AS m FROM sales WHERE day <> DATE '2022-01-01'", EVERY_NODE),
    Asked("SELECT day FROM sales WHERE shop IS NULL AND kind = 'kind 0'", EVERY_NODE),
    Asked("SELECT sum(price) AS p FROM sales WHERE _node <> 'a' AND day < DATE '2023-01-01'", ("a", "b")),
    Asked("SELECT count(*) AS n FROM sales WHERE day >= DATE '2023-01-01' AND price > (SELECT 1)", ("c",)),
)


def _first_sites(plan: Plan) -> tuple[str, ...]:
    return next(stage.sites for stage in plan.stages if stage.kind is StageKind.NODE)


@pytest.mark.parametrize("asked", QUERIES, ids=lambda asked: asked.sql[:60])
def test_nodes_without_a_row_are_not_asked_and_the_answer_is_the_same(federation: Federation, asked: Asked) -> None:
    question = request(asked.sql)
    pruned = federation.ask(question)
    assert _first_sites(pruned.plan) == asked.nodes
    assert difference(pruned.table, federation.oracle(question), asked.sql) == ""
    try:
        federation.rules = federation.rules.without(["pruning"])
        whole = federation.ask(question)
    finally:
        federation.rules = type(federation).rules
    assert _first_sites(whole.plan) == EVERY_NODE
    assert difference(whole.table, pruned.table, asked.sql) == ""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT s.kind, t.town, count(*) AS n FROM sales s JOIN shops t ON s.shop = t.shop "
        "WHERE s.day >= DATE '2022-06-01' AND t.shop < 2024 GROUP BY s.kind, t.town",
        "SELECT t.town, s.n FROM shops t LEFT JOIN (SELECT shop, count(*) AS n FROM sales "
        "WHERE day < DATE '2022-01-01' GROUP BY shop) s ON s.shop = t.shop",
        "SELECT kind FROM sales WHERE day < DATE '2021-02-01' UNION ALL SELECT kind FROM sales WHERE price > 2025",
        "SELECT count(*) AS n FROM shops t WHERE EXISTS (SELECT 1 FROM sales s WHERE s.shop = t.shop "
        "AND s.day >= DATE '2023-06-01')",
        "SELECT kind, price, row_number() OVER (ORDER BY day) AS r FROM sales WHERE day < DATE '2021-03-01'",
        "SELECT a.day FROM sales a JOIN sales b ON a.day = b.day WHERE a.price > 2023 AND b.price > 2023",
        "SELECT list(kind ORDER BY day) AS k FROM sales WHERE day BETWEEN DATE '2023-02-01' AND DATE '2023-03-01'",
        "SELECT first(kind ORDER BY day) AS k, any_value(_node) AS n FROM sales WHERE shop > 2026",
    ],
)
def test_queries_of_other_forms_are_answered_as_by_one_database(federation: Federation, sql: str) -> None:
    question = request(sql)
    assert difference(federation.ask(question).table, federation.oracle(question), sql) == ""


def test_a_node_that_is_away_is_asked_for_what_it_told_is_of_an_earlier_state(federation: Federation) -> None:
    asked = request(QUERIES[1].sql)
    made = make_plan(asked, away(federation, "a"), federation.permit, federation.shadow.describe, federation.rules)
    assert _first_sites(made) == ("a", "c")


# --- what nodes may tell -----------------------------------------------------------------------------------------

TABLE = Table("t", (Column("n", "INTEGER"), Column("d", "DATE"), Column("v", "VARCHAR")), policy=OPEN)
GOOD = ColumnRange("n", "-5", "7", has_null=False)
BAD = (
    ColumnRange("d", "2020-02-30", "2021-01-01"),
    ColumnRange("d", "2021-01-01", "2020-01-01"),
    ColumnRange("d", "infinity", "infinity"),
    ColumnRange("d", "2020-01-01", "' OR true --"),
    ColumnRange("v", "a", "b"),
    ColumnRange("nobody", "1", "2"),
    ColumnRange("d", "", ""),
    ColumnRange("d", "٢٠٢٠-01-01", "9" * 5000),
)


def _taken(table: Table) -> tuple[ColumnRange, ...]:
    registration, refused = read_hello(hello_of("alpha", table), "alpha")
    assert refused == ()
    (found,) = registration.tables
    return found.ranges


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_of_what_a_node_tells_of_its_values_only_what_is_in_order_is_taken(bad: ColumnRange) -> None:
    assert _taken(replace(TABLE, ranges=(bad, GOOD, replace(GOOD, greatest="9")))) == (GOOD,)


@pytest.mark.parametrize(
    "policy",
    [
        replace(OPEN, protected=True),
        replace(OPEN, rows_where="n > 0"),
        replace(OPEN, coordinator_form=Form.NONE),
        replace(OPEN, roles=(("N", Role.HIDDEN),)),
    ],
)
def test_what_should_not_have_been_told_is_not_taken_either(policy: TablePolicy) -> None:
    assert _taken(replace(TABLE, policy=policy, ranges=(GOOD,))) == ()


def test_researchers_see_one_table_for_all_shards_without_the_values_of_any() -> None:
    assert build_table({"a": replace(TABLE, ranges=(GOOD,)), "b": TABLE}).table.ranges == ()
