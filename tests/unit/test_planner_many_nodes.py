"""Federations of many nodes: the same answers as over few, and statements that do not grow with the nodes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest
from comparing import difference, rows_of
from planning import Federation, Shard, request

from archipel.schema import Column, Form, Table, TablePolicy
from coordinator.plan import StageKind
from coordinator.planner.formula import FEW_SHARDS

NODES = FEW_SHARDS + 5
LEVELS = Table(
    "levels",
    (Column("kind", "VARCHAR"), Column("x", "DOUBLE"), Column("y", "DOUBLE"), Column("n", "INTEGER")),
    policy=TablePolicy(protected=False, coordinator_form=Form.ROWS),
)
EVERY_STATE = """
SELECT kind, count(x) AS c, sum(x) AS s, avg(y) AS a, product(n) AS p, stddev(x) AS d, var_pop(y) AS v,
       covar_samp(x, y) AS cs, corr(x, y) AS r, regr_slope(y, x) AS b, regr_intercept(y, x) AS i, sum(n) AS t,
       arg_max(n, x) AS m
FROM levels GROUP BY kind
"""

FROM_VALUES = """
SELECT kind, count(DISTINCT x) AS c, sum(DISTINCT y) AS s, avg(DISTINCT x) AS a, median(x) AS m, mode(n) AS o,
       kurtosis(y) AS k, entropy(n) AS e, quantile_cont(y, [0.1, 0.9]) AS q, any_value(n) AS v, first(y) AS f,
       last(y) FILTER (WHERE x > 0) AS l, approx_count_distinct(y) AS d
FROM levels GROUP BY kind
"""


def _shard(node: int) -> Shard:
    drawn = random.Random(node)
    # Kind "alone" is at one node, kind "empty" holds NULL only, and the last node holds no row.
    kinds = ["low", "high", "empty", *(["alone"] if node == 3 else [])]
    count = 0 if node == NODES - 1 else 40
    rows = []
    for i in range(count):
        kind = kinds[i % len(kinds)]
        x = None if kind == "empty" or i % 7 == 0 else drawn.uniform(-1, 1) * 10 ** (node % 5) + 1e6
        rows.append((kind, x, None if i % 11 == 0 else drawn.gauss(3, 2), 1 + i % 2))
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    types = (pa.string(), pa.float64(), pa.float64(), pa.int32())
    arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
    return Shard(LEVELS, pa.table(arrays, names=[c.name for c in LEVELS.columns]))


def _federation(nodes: int) -> Federation:
    return Federation({f"n{i:02}": [_shard(i)] for i in range(nodes)})


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with _federation(NODES) as made:
        yield made


def _bits(table: pa.Table) -> list[str]:
    return sorted(repr(row) for row in rows_of(table))


@pytest.mark.parametrize(
    "sql", [EVERY_STATE, EVERY_STATE.replace("SELECT kind,", "SELECT").replace("GROUP BY kind", "")]
)
def test_every_state_of_doubles_merges_over_many_nodes_as_in_one_database(federation: Federation, sql: str) -> None:
    asked = request(sql)
    assert difference(federation.ask(asked).table, federation.oracle(asked), sql) == ""


@pytest.mark.parametrize("sql", [EVERY_STATE, FROM_VALUES])
def test_many_nodes_give_the_same_bits_in_whatever_order_they_answer(federation: Federation, sql: str) -> None:
    plan = federation.plan(request(sql))
    expected = _bits(federation.run(plan).table)
    for seed in range(5):

        def shuffled(nodes: list[str], seed: int = seed) -> list[str]:
            return random.Random(seed).sample(nodes, len(nodes))

        assert _bits(federation.run(plan, arrival=shuffled).table) == expected


def test_the_merge_of_many_nodes_is_a_statement_of_the_same_length(federation: Federation) -> None:
    def merge_sql(made: Federation) -> str:
        return next(s.sql for s in made.plan(request(EVERY_STATE)).stages if s.kind is StageKind.MERGE)

    with _federation(NODES + 20) as larger:
        assert merge_sql(larger) == merge_sql(federation)
