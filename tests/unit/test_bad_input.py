"""Queries that would never end or not fit: a clear error or an answer in bounded time, and nothing left running."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from node_support import parquet_engine, stays
from planning import Federation, Shard, permit_for, request

from archipel import errors
from archipel.border import effort, parsing
from archipel.errors import ArchipelError
from archipel.schema import Column, Distribution, Form, SiteKey, Table, TablePolicy
from coordinator.catalog import build
from coordinator.merge.merger import Merger
from coordinator.merge.settings import MergeSettings, RayMode, RaySettings
from coordinator.plan import Plan
from coordinator.planner import plan as make_plan
from coordinator.planner import universal
from coordinator.planner.products import MAX_PAIRS
from coordinator.shadow import Shadow

# ruff: noqa: S608  (queries are text here, as a researcher's program writes them)

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS)
T = Table(
    "t",
    (Column("site", "VARCHAR"), Column("k", "VARCHAR"), Column("n", "INTEGER"), Column("b", "BOOLEAN")),
    site_keys=(SiteKey("site", ("site",)),),
    policy=OPEN,
    approximate_rows=100,
    approximate_bytes=10_000,
)
CODES = Table(
    "codes",
    (Column("k", "VARCHAR"), Column("label", "VARCHAR")),
    Distribution.REPLICATED,
    policy=OPEN,
    approximate_rows=20,
)

LONGEST_S = 60.0
"""No case takes a twentieth of it on an idle machine; a hang takes more."""

DEADLINE_S = 0.5


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    nodes = {}
    for i, node in enumerate(("a", "b", "c")):
        rows = pa.table({"site": [node] * 4, "k": ["x", "y", "x", None], "n": [i, i + 3, 7, 9], "b": [True] * 4})
        codes = pa.table({"k": ["x", "y"], "label": ["ex", "why"]})
        nodes[node] = [Shard(T, rows), Shard(CODES, codes)]
    with Federation(nodes) as made:
        yield made


def nested(times: int, outer: str, inner: str) -> str:
    for _ in range(times):
        inner = outer.replace("{}", inner)
    return inner


def listed(count: int, part: str, separator: str = ", ") -> str:
    return separator.join(part.replace("#", str(i)) for i in range(count))


TEXTS = listed(10_000, "'v#'")
STRUCTS = nested(45, "{'a': {}}", "n")
PATTERNS = listed(500, "k LIKE '%#%'", " OR ")
CASES = nested(45, "CASE WHEN n > 1 THEN {} ELSE 0 END", "n")

# What is answered, as one database with all rows answers it.
ANSWERED = {
    "ten thousand texts in IN": f"SELECT count(*) AS c FROM t WHERE k IN ({TEXTS}, 'x')",
    "ten thousand numbers in NOT IN over groups": "SELECT k, count(*) AS c FROM t GROUP BY k "
    f"HAVING count(*) NOT IN ({listed(10_000, '#')}) OR count(*) > 1",
    "ten thousand numbers in IN of what runs whole": "SELECT t.k, u.n FROM t FULL JOIN t u ON t.n = u.n "
    f"WHERE t.n IN ({listed(10_000, '#')})",
    "fifty joins of what runs whole": "SELECT count(*) AS c FROM t "
    + listed(50, "LEFT JOIN t t# ON t#.n = t.n + 1 + #", " "),
    "CASE in CASE, forty-five deep": f"SELECT k, {CASES} AS x FROM t",
    "CASE in CASE in a sum": f"SELECT k, sum({CASES}) AS x FROM t GROUP BY k",
    "forty-five derived tables": nested(45, "SELECT * FROM ({}) q", "SELECT n FROM t"),
    "sixteen groupings of groupings": nested(
        16, "SELECT k, count(*) AS n FROM ({}) q GROUP BY k", "SELECT k, n FROM t"
    ),
    "fifteen scalar subqueries in each other": nested(15, "SELECT max(n) + ({}) AS m FROM t", "SELECT max(n) FROM t"),
    "fifteen subqueries in each other": nested(15, "SELECT n FROM t WHERE n IN ({})", "SELECT n FROM t"),
    "twelve WITH parts that name each other twice": "WITH a0 AS (SELECT DISTINCT n FROM t)"
    + "".join(
        f", a{i} AS NOT MATERIALIZED (SELECT x.n FROM a{i - 1} x JOIN a{i - 1} y USING (n))" for i in range(1, 12)
    )
    + " SELECT n, [n][1:1] AS l FROM a11",
    "forty LATERAL": f"SELECT * FROM t{listed(40, ', LATERAL (SELECT t.n + # AS a#) l#', '')}",
    "a text of a megabyte in what runs whole": f"SELECT list_transform([1], x -> x) AS l, '{'y' * 990_000}' AS s",
    "three hundred lambdas": f"SELECT {listed(300, 'list_transform([n], x -> x + #) AS l#')} FROM t",
    "lists in lists": f"SELECT {'[' * 45}n{']' * 45} AS l FROM t",
    "structs in structs": f"SELECT {STRUCTS} AS l FROM t",
    "two hundred windows": f"SELECT {listed(200, 'sum(n) OVER (ORDER BY n, site, k ROWS # PRECEDING) AS w#')} FROM t",
    "PIVOT to five hundred columns": f"SELECT * FROM t PIVOT (count(*) FOR n IN ({listed(500, '#')}))",
    "nine hundred terms in a lambda": f"SELECT list_transform([n], x -> {listed(900, 'x', ' + ')}) AS l FROM t",
    "five hundred patterns": f"SELECT count(*) AS c FROM t WHERE {PATTERNS}",
}

# What is refused before anything runs, with the code and a word of the reason.
REFUSED = {
    "two hundred joins": (
        f"SELECT count(*) FROM t {listed(200, 'JOIN t t# ON t#.site = t.site', ' ')}",
        "SQL_TOO_LARGE",
        "200 joins",
    ),
    "two hundred joins by USING": (
        f"SELECT count(*) FROM t {listed(200, 'JOIN t t# USING (n)', ' ')}",
        "SQL_TOO_LARGE",
        "200 joins",
    ),
    "sixty joins in derived tables": (
        nested(30, "SELECT q.n FROM ({}) q JOIN t USING (n) JOIN codes ON TRUE", "SELECT n FROM t"),
        "SQL_TOO_LARGE",
        "60 joins at once",
    ),
    "two hundred tables without a condition": (
        f"SELECT count(*) FROM t, {listed(20, 't t#')}",
        "SQL_TOO_LARGE",
        "No condition ties",
    ),
    "five hundred parentheses": (f"SELECT {'(' * 500}n{')' * 500} FROM t", "SQL_TOO_LARGE", "nested"),
    "five hundred parentheses around a query": (
        f"SELECT * FROM {'(' * 500}SELECT 1{')' * 500} q",
        "SQL_TOO_LARGE",
        "nested",
    ),
    "CASE in CASE, five hundred deep": (
        f"SELECT {nested(500, 'CASE WHEN n > 1 THEN {} ELSE 0 END', 'n')} FROM t",
        "SQL_TOO_LARGE",
        "nested",
    ),
    "sixty derived tables": (nested(60, "SELECT * FROM ({}) q", "SELECT n FROM t"), "SQL_TOO_LARGE", "nested"),
    "sixty subqueries": (
        nested(60, "SELECT n FROM t WHERE n IN ({})", "SELECT n FROM t"),
        "SQL_TOO_LARGE",
        "nested",
    ),
    "a megabyte of numbers": (
        f"SELECT count(*) FROM t WHERE n IN ({listed(150_000, '#')})",
        "SQL_TOO_LARGE",
        "longer",
    ),
    "a megabyte of columns": (f"SELECT {listed(60_000, 'n + # AS c#')} FROM t", "SQL_TOO_LARGE", "longer"),
    "more than a megabyte": (f"SELECT '{'x' * 1_100_000}' AS s FROM t", "SQL_TOO_LARGE", "longer"),
    "a chain of a hundred WITH parts that join": (
        "WITH a0 AS (SELECT n FROM t)"
        + "".join(f", a{i} AS (SELECT x.n FROM a{i - 1} x JOIN t ON x.n < t.n)" for i in range(1, 100))
        + " SELECT * FROM a99",
        "SQL_TOO_LARGE",
        "",
    ),
    "twenty groupings of groupings": (
        nested(20, "SELECT k, count(*) AS n FROM ({}) q GROUP BY k", "SELECT k, n FROM t"),
        "SQL_TOO_LARGE",
        "20 aggregations",
    ),
    "twenty groupings of groupings in WITH parts": (
        "WITH a0 AS (SELECT k, n FROM t)"
        + "".join(f", a{i} AS (SELECT k, count(*) AS n FROM a{i - 1} GROUP BY k)" for i in range(1, 21))
        + " SELECT * FROM a20",
        "SQL_TOO_LARGE",
        "20 aggregations",
    ),
    "twenty scalar subqueries in each other": (
        nested(20, "SELECT n FROM t WHERE n > ({} LIMIT 1)", "SELECT n FROM t"),
        "SQL_TOO_LARGE",
        "20 aggregations",
    ),
    "CUBE of twenty": (
        f"SELECT count(*) FROM t GROUP BY CUBE ({listed(20, '(n + #)')})",
        "SQL_SYNTAX",
        "grouping set",
    ),
}


@pytest.mark.parametrize("sql", ANSWERED.values(), ids=ANSWERED.keys())
def test_a_large_query_is_answered_in_good_time(federation: Federation, sql: str) -> None:
    began = time.monotonic()
    answer = federation.ask(request(sql))
    assert time.monotonic() - began < LONGEST_S
    expected = federation.oracle(request(sql))
    assert sorted(map(repr, answer.table.to_pylist())) == sorted(map(repr, expected.to_pylist()))


@pytest.mark.parametrize(("sql", "code", "word"), REFUSED.values(), ids=REFUSED.keys())
def test_a_query_beyond_the_limits_is_refused_in_good_time(
    federation: Federation, sql: str, code: str, word: str
) -> None:
    began = time.monotonic()
    with pytest.raises(ArchipelError) as refused:
        federation.plan(request(sql))
    assert time.monotonic() - began < LONGEST_S
    assert refused.value.code == code
    assert word in refused.value.info.message
    assert len(str(refused.value)) < 400


# Products


def planned(sql: str, rows: int) -> Plan:
    """Return the plan of a query over three nodes that say that they hold ``rows`` rows of ``t`` together."""
    table = replace(T, approximate_rows=rows // 3, approximate_bytes=rows * 20)
    nodes = {node: [table, CODES] for node in ("a", "b", "c")}
    catalog = build(nodes, nodes)
    shadow = Shadow(catalog)
    try:
        return make_plan(request(sql), catalog, permit_for(catalog), shadow.describe)
    finally:
        shadow.close()


ROOT = int(MAX_PAIRS**0.5) * 3

PRODUCTS = (
    "SELECT count(*) FROM t a, t b",
    "SELECT count(*) FROM t a CROSS JOIN t b",
    "SELECT count(*) FROM t a JOIN t b ON a.n > 5",
    "SELECT count(*) FROM t a JOIN t b ON TRUE WHERE a.n = 1 AND b.n = 2",
    "SELECT a.n, b.n FROM (SELECT n FROM t) a, (SELECT n FROM t WHERE b) b LIMIT 10",
    "SELECT (SELECT count(*) FROM t a, t b) AS c",
    "WITH x AS (SELECT n FROM t) SELECT count(*) FROM x, x y",
    "SELECT k FROM t UNION ALL SELECT a.k FROM t a, t b",
    "SELECT count(*) FROM t a LEFT JOIN t b ON b.n = 3",
    "SELECT list_transform([count(*)], x -> x) FROM t a, t b",
    "SELECT count(*) FROM codes a, codes b, codes c, codes d, codes e, t",
)

TIED = (
    "SELECT count(*) FROM t a JOIN t b USING (n)",
    "SELECT count(*) FROM t a, t b WHERE a.n = b.n",
    "SELECT count(*) FROM t a JOIN t b ON a.n BETWEEN b.n - 1 AND b.n + 1",
    "SELECT count(*) FROM t a, t b WHERE a.n < b.n AND a.k = 'x'",
    "SELECT count(*) FROM t a, codes c",
    "SELECT count(*) FROM t, (SELECT max(n) AS m FROM t) q",
    "SELECT count(*) FROM t, (SELECT n FROM t LIMIT 3) q",
    "SELECT count(*) FROM t a NATURAL JOIN t b",
    "SELECT count(*) FROM t a ASOF JOIN t b ON a.n >= b.n",
)


@pytest.mark.parametrize("sql", PRODUCTS)
def test_a_product_beyond_the_limit_is_refused_with_its_place(sql: str) -> None:
    with pytest.raises(ArchipelError, match="No condition ties the two sides") as refused:
        planned(sql, ROOT)
    assert refused.value.code == "SQL_TOO_LARGE"
    assert refused.value.position is not None
    assert refused.value.position.line == 1
    assert refused.value.position.column > sql.index("FROM")


@pytest.mark.parametrize("sql", PRODUCTS)
def test_the_same_product_of_few_rows_is_planned(sql: str) -> None:
    assert planned(sql, 300).stages


@pytest.mark.parametrize("sql", TIED)
def test_a_join_that_a_condition_ties_is_no_product(sql: str) -> None:
    assert planned(sql, ROOT).stages


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.k, b.k FROM t a FULL JOIN t b ON a.n = b.n AND list_transform([1], x -> x) = [a.n]",
        "SELECT a.k, b.site FROM t a JOIN t b USING (n)",
        "SELECT k, n, row_number() OVER (ORDER BY n) AS r FROM t",
    ],
)
def test_more_rows_than_the_coordinator_takes_are_not_brought_together(sql: str) -> None:
    assert planned(sql, 1_000).stages
    with pytest.raises(ArchipelError, match="bytes to the coordinator") as refused:
        planned(sql, universal.MAX_BYTES // 5)
    assert refused.value.code == "SQL_TOO_LARGE"


def test_counts_of_more_rows_than_the_coordinator_takes_are_brought_together() -> None:
    assert planned("SELECT k, count(*) AS c FROM t GROUP BY k", universal.MAX_BYTES // 5).stages


# Without end

ENDLESS = {
    "counting": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS c FROM r",
    "the same row again": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) AS c FROM r",
    "a set that grows": "WITH RECURSIVE r AS (SELECT 1 AS n UNION SELECT n + 1 FROM r) SELECT max(n) AS c FROM r",
    "a series": "SELECT count(*) AS c FROM range(1000000000000) r(i) WHERE i % 7 = 3",
    "a product of series": "SELECT count(*) AS c FROM range(10000000) a(i), range(10000000) b(j) WHERE i * j % 7 = 3",
}


@pytest.mark.parametrize("sql", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_query_without_end_ends_at_the_coordinator_when_time_is_up(federation: Federation, sql: str) -> None:
    plan = federation.plan(request(sql))
    finish = plan.stage(plan.result_stage)
    merger = Merger(MergeSettings(ray=RaySettings(mode=RayMode.OFF)))
    began = time.monotonic()
    try:
        with pytest.raises(ArchipelError) as ended:
            merger.finish(finish.sql, {}, timeout_s=DEADLINE_S, max_rows=10, max_bytes=10_000)
        assert ended.value.code == "TIMEOUT"
    finally:
        merger.close()  # waits for what still runs
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("sql", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_query_without_end_ends_at_a_node_when_time_is_up(tmp_path: Path, sql: str) -> None:
    engine = parquet_engine(tmp_path, stays())
    statement = engine.statement(sql, {}, timeout_s=DEADLINE_S)
    began = time.monotonic()
    with pytest.raises(ArchipelError) as ended:
        statement.run().read_all()
    statement.close()
    assert ended.value.code == "TIMEOUT"
    # The engine is free again, and answers.
    after = engine.statement("SELECT 1 AS one", {}, timeout_s=30)
    assert after.run().read_all().to_pylist() == [{"one": 1}]
    after.close()
    engine.close()
    assert time.monotonic() - began < LONGEST_S


def test_the_border_check_refuses_joins_that_the_engine_could_not_order_in_time() -> None:
    parsing.parse(f"SELECT count(*) AS c FROM t {listed(effort.MAX_JOINS, 'JOIN t t# USING (n)', ' ')}")
    with pytest.raises(ArchipelError) as refused:
        parsing.parse(f"SELECT count(*) AS c FROM t {listed(effort.MAX_JOINS + 1, 'JOIN t t# USING (n)', ' ')}")
    assert refused.value.info.code is errors.SQL_TOO_LARGE


def test_levels_are_counted_through_derived_tables_and_parts() -> None:
    def counted(sql: str) -> int:
        return effort.most_levels(parsing.parse(sql))

    assert counted("SELECT n FROM t") == 0
    assert counted("SELECT count(*) AS c FROM t") == 1
    assert counted("SELECT count(*) AS c FROM (SELECT k FROM t GROUP BY k) q") == 2
    assert counted("SELECT n FROM t WHERE n IN (SELECT n FROM t)") == 1
    assert counted("SELECT max(n) FROM t WHERE n = (SELECT max(n) FROM t)") == 2
    assert counted("WITH a AS (SELECT k FROM t GROUP BY k), b AS (SELECT count(*) AS c FROM a) SELECT c FROM b") == 2
    assert counted("SELECT sum(n) AS c FROM t UNION ALL SELECT count(*) AS c FROM (SELECT k FROM t GROUP BY k) q") == 2


def test_joins_are_counted_as_the_engine_puts_them_together() -> None:
    def counted(sql: str) -> int:
        return effort.most_joins(parsing.parse(sql))

    assert counted("SELECT 1 AS x") == 0
    assert counted("SELECT t.n FROM t JOIN t u USING (n) JOIN t v USING (n)") == 2
    assert counted("SELECT q.n FROM (SELECT t.n FROM t JOIN t u USING (n)) q JOIN t v USING (n)") == 2
    assert counted("SELECT n FROM t JOIN t u USING (n) UNION ALL SELECT n FROM t") == 1
    assert counted("SELECT n FROM t WHERE n IN (SELECT n FROM t JOIN t u USING (n))") == 1
