"""Queries that are too long, too deep or too many: a plan or a clear error, soon, and never a crash."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from planning import Federation, Shard, permit_for, request

from archipel.errors import ArchipelError
from archipel.schema import Column, Form, SiteKey, Table, TablePolicy
from coordinator.catalog import build
from coordinator.plan import Plan
from coordinator.planner import plan as make_plan
from coordinator.shadow import Shadow

# ruff: noqa: S608  (queries are text here, as a researcher's program writes them)

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS)
T = Table(
    "t",
    (Column("site", "VARCHAR"), Column("k", "VARCHAR"), Column("n", "INTEGER"), Column("b", "BOOLEAN")),
    site_keys=(SiteKey("site", ("site",)),),
    policy=OPEN,
    approximate_rows=100,
)


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    rows = pa.table({"site": ["s"], "k": ["a"], "n": [1], "b": [True]})
    with Federation({node: [Shard(T, rows)] for node in ("a", "b", "c")}) as made:
        yield made


def deep(text: str, times: int) -> str:
    return "(" * times + text + ")" * times


PLANNED = {
    "ten thousand literals in IN": f"SELECT count(*) AS c FROM t WHERE n IN ({','.join(map(str, range(10_000)))})",
    "a million characters of comment": "SELECT count(*) AS c FROM t -- " + "x" * 1_000_000,
    "a text of 900,000 characters": f"SELECT count(*) AS c FROM t WHERE k = '{'x' * 900_000}'",
    "fifty joins by a site key": "SELECT count(*) AS c FROM t "
    + " ".join(f"JOIN t t{i} ON t{i}.site = t.site" for i in range(50)),
    "a hundred branches of UNION ALL": " UNION ALL ".join(["SELECT k, count(*) AS c FROM t GROUP BY k"] * 100),
    "forty parentheses": f"SELECT {deep('n', 40)} AS n FROM t",
    "thirty derived tables": "SELECT count(*) AS c FROM " + "(SELECT * FROM " * 30 + "t" + " q)" * 30,
    "four hundred sums": f"SELECT {', '.join(f'sum(n + {i}) AS s{i}' for i in range(400))} FROM t",
    "three hundred terms": f"SELECT sum({' + '.join(['n'] * 300)}) AS s FROM t",
    "twenty WITH parts in a chain": "WITH a0 AS (SELECT k, count(*) AS c FROM t GROUP BY k)"
    + "".join(f", a{i} AS (SELECT k, c + 1 AS c FROM a{i - 1})" for i in range(1, 20))
    + " SELECT * FROM a19",
    "twenty scalar subqueries": "SELECT count(*) AS c FROM t WHERE "
    + " AND ".join(f"n > (SELECT avg(n) - {i} FROM t)" for i in range(20)),
}

REFUSED = {
    "text beyond a megabyte": f"SELECT count(*) FROM t WHERE k = '{'x' * 1_100_000}'",
    "twenty thousand conditions": "SELECT count(*) FROM t WHERE " + " OR ".join(f"n = {i}" for i in range(20_000)),
    "five thousand parentheses": f"SELECT {deep('n', 5_000)} FROM t",
    "three thousand minus signs": "SELECT " + "- " * 3_000 + "1",
    "three thousand NOTs": "SELECT count(*) FROM t WHERE " + "NOT " * 3_000 + "b",
    "two thousand terms": f"SELECT sum({' + '.join(['n'] * 2_000)}) FROM t",
    "WITH parts that double each other": "WITH a0 AS (SELECT k, count(*) AS c FROM t GROUP BY k)"
    + "".join(f", a{i} AS (SELECT x.k, x.c FROM a{i - 1} x JOIN a{i - 1} y ON x.k = y.k)" for i in range(1, 25))
    + " SELECT * FROM a24",
    "five hundred branches": " UNION ALL ".join(["SELECT count(*) AS c FROM t"] * 500),
    "three hundred regressions": f"SELECT {', '.join(f'corr(n, n + {i}) AS r{i}' for i in range(300))} FROM t",
}


@pytest.mark.parametrize("sql", PLANNED.values(), ids=PLANNED.keys())
def test_a_large_query_is_planned(federation: Federation, sql: str) -> None:
    plan = federation.plan(request(sql))
    assert isinstance(plan, Plan)
    assert not any("xxxx" in stage.sql for stage in plan.stages) or "'xxxx" in sql


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
def test_a_query_beyond_the_limits_is_told_so(federation: Federation, sql: str) -> None:
    with pytest.raises(ArchipelError) as refused:
        federation.plan(request(sql))
    assert refused.value.code == "SQL_TOO_LARGE"
    assert len(str(refused.value)) < 300


def test_a_federation_of_two_hundred_nodes_is_planned() -> None:
    nodes = {f"n{i:03}": [T] for i in range(200)}
    catalog = build(nodes, nodes)
    shadow = Shadow(catalog)
    sql = "SELECT k, avg(n) AS a, stddev(n) AS s, corr(n, length(k)) AS r FROM t GROUP BY k"
    plan = make_plan(request(sql), catalog, permit_for(catalog), shadow.describe)
    shadow.close()
    assert len(plan.nodes()) == 200
