"""Federated answers are the pooled answers: generated data, placements and queries against one database with all rows.

ARCHIPEL_PROPERTY_EXAMPLES raises the number of worlds; each is asked about sixty queries.
ARCHIPEL_PROPERTY_SHRINK=1 looks for a small example of a failure, which takes minutes.
"""

# ruff: noqa: S608  (queries are text here, as a researcher writes them)

from __future__ import annotations

import os

import duckdb
import pyarrow as pa
import pytest
import queries
import worlds
from comparing import difference, rows_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from planning import Federation, request

QUERIES_OF_ALL_SOURCES = 60
WORLDS = max(8, int(os.environ.get("ARCHIPEL_PROPERTY_EXAMPLES", "200")) // QUERIES_OF_ALL_SOURCES)
SHRINK = bool(os.environ.get("ARCHIPEL_PROPERTY_SHRINK"))
QUERIES_A_WORLD = 5

pytestmark = pytest.mark.timeout(300 + WORLDS * 10)


def examples(number: int) -> settings:
    """Return settings that are the same in every run: nothing is drawn by chance, nothing is kept."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink) if SHRINK else (Phase.explicit, Phase.generate)
    return settings(
        max_examples=number,
        phases=phases,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@examples(WORLDS)
@given(world=worlds.open_worlds(), asked=queries.batches())
def test_open_tables_are_answered_as_if_their_rows_were_in_one_database(
    world: worlds.World, asked: list[queries.Query]
) -> None:
    with Federation(world.shards) as federation:
        for query in asked:
            try:
                expected = federation.oracle(request(query.sql))
            except duckdb.Error:
                continue  # a value leaves its type's range in one database, too
            answer = federation.ask(request(query.sql))
            assert difference(answer.table, expected, query.sql) == "", query.sql


@examples(WORLDS)
@given(
    world=worlds.guarded_worlds(least=11),
    asked=st.lists(queries.guarded_queries(), min_size=QUERIES_A_WORLD, max_size=QUERIES_A_WORLD),
)
def test_protected_tables_are_answered_exactly_where_every_group_has_enough_persons(
    world: worlds.World, asked: list[str]
) -> None:
    with Federation(world.shards) as federation:
        for sql in asked:
            answer = federation.ask(request(sql))
            expected = federation.oracle(request(sql))
            if answer.withheld == 0:
                assert difference(answer.table, expected, sql) == "", sql
            else:
                keys = {row[0] for row in rows_of(expected)}
                assert {row[0] for row in rows_of(answer.table)} <= keys, sql


@examples(WORLDS)
@given(world=worlds.guarded_worlds(least=7), asked=queries.thresholds())
def test_a_protected_answer_is_made_of_exactly_the_groups_with_enough_persons(
    world: worlds.World, asked: queries.Threshold
) -> None:
    with Federation(world.shards) as federation:
        answer = federation.ask(request(asked.sql))
        released = federation.oracle(request(asked.released))
        assert difference(answer.table, released, asked.sql) == "", asked.sql


@examples(WORLDS)
@given(world=worlds.open_worlds(), condition=queries.conditions(), source=st.sampled_from(queries.SOURCES))
def test_an_aggregate_is_that_of_the_rows_where_a_condition_is_true_false_and_null(
    world: worlds.World, condition: str, source: str
) -> None:
    """Ternary logic partitioning (Rigger and Su, OOPSLA 2020), on federated answers alone."""
    with Federation(world.shards) as federation:

        def count(where: str) -> tuple[int, int, object]:
            sql = f"SELECT count(*) AS n, coalesce(sum(f.j), 0) AS s, max(f.k) AS k FROM {source} WHERE {where}"
            found: tuple[int, int, object] = rows_of(federation.ask(request(sql)).table)[0]
            return found

        whole = count("TRUE")
        parts = [count(condition), count(f"NOT ({condition})"), count(f"({condition}) IS NULL")]
        assert whole[0] == sum(p[0] for p in parts)
        assert whole[1] == sum(p[1] for p in parts)
        assert whole[2] == max((p[2] for p in parts if p[2] is not None), default=None)


@examples(max(1, WORLDS // 2))
@given(world=worlds.open_worlds(), query=queries.aggregations())
def test_a_plan_is_a_function_of_query_and_catalogue_and_its_answer_of_no_order_of_arrival(
    world: worlds.World, query: queries.Query
) -> None:
    asked = request(query.sql)
    with Federation(world.shards) as federation, Federation(dict(reversed(world.shards.items()))) as reordered:
        plan = federation.plan(asked)
        assert plan == federation.plan(asked) == reordered.plan(asked)
        try:
            federation.oracle(asked)
        except duckdb.Error:
            return
        there = federation.run(plan).table
        back = federation.run(plan, arrival=lambda nodes: nodes[::-1]).table
    assert _bits(there) == _bits(back)


def _bits(table: pa.Table) -> list[str]:
    return sorted(repr(row) for row in rows_of(table))
