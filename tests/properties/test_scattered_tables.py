"""Any query over any placement: the pooled answer or a refusal that says why, never another answer.

ARCHIPEL_PROPERTY_EXAMPLES is the number of cases (a query over a world); 200 when it is not set.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
import scattered_queries
import scattered_worlds
from comparing import difference, rows_of
from hypothesis import given, note
from hypothesis import strategies as st
from planning import Federation, request
from scattered_worlds import World
from test_federated_answers import examples

from archipel import errors

CASES = int(os.environ.get("ARCHIPEL_PROPERTY_EXAMPLES", "200"))
QUERIES_A_WORLD = 5

REFUSALS = {"SQL_UNSUPPORTED", "SQL_UNKNOWN_FUNCTION", "BORDER_REFUSED", "POLICY_REFUSED"}
"""What a right query may be refused with where not every row may go everywhere."""

pytestmark = pytest.mark.timeout(300 + CASES)

chances = st.randoms(use_true_random=False)


def asked(world: World, federation: Federation, chance: random.Random) -> Iterator[tuple[str, pa.Table]]:
    """Yield queries that one database with all rows answers, and its answers."""
    for _ in range(QUERIES_A_WORLD):
        query = scattered_queries.any_query(chance)
        note(f"{query.sql} -- {world.layout}")
        try:
            expected = federation.oracle(request(query.sql))
        except duckdb.Error:
            continue
        yield query.sql, expected


@examples(max(1, CASES // QUERIES_A_WORLD))
@given(chance=chances)
def test_every_query_over_open_tables_is_answered_as_by_one_database(chance: random.Random) -> None:
    world = scattered_worlds.scattered_world(chance, everything_open=True)
    with Federation(world.shards) as federation:
        for sql, expected in asked(world, federation, chance):
            answer = federation.ask(request(sql))
            assert difference(answer.table, expected, sql) == ""


@examples(max(1, CASES // QUERIES_A_WORLD))
@given(chance=chances)
def test_where_rows_may_not_go_everywhere_a_query_is_answered_as_by_one_database_or_refused(
    chance: random.Random,
) -> None:
    world = scattered_worlds.scattered_world(chance, everything_open=False)
    with Federation(world.shards) as federation:
        for sql, expected in asked(world, federation, chance):
            try:
                answer = federation.ask(request(sql))
            except errors.ArchipelError as refusal:
                if world.open or refusal.code not in REFUSALS:
                    raise
            else:
                assert difference(answer.table, expected, sql) == ""


@examples(max(1, CASES // 4))
@given(chance=chances)
def test_aggregates_and_distinct_values_add_up_over_the_rows_where_a_condition_is_true_false_and_null(
    chance: random.Random,
) -> None:
    """Ternary logic partitioning (Rigger and Su, OOPSLA 2020), on federated answers alone."""
    world = scattered_worlds.scattered_world(chance, everything_open=True)
    partition = scattered_queries.Maker(chance).partition()
    note(f"{partition} -- {world.layout}")
    with Federation(world.shards) as federation:
        try:
            federation.oracle(request(partition.whole))
            for part in partition.parts:
                federation.oracle(request(part))
        except duckdb.Error:
            return
        whole, *parts = (rows_of(federation.ask(request(sql)).table)[0] for sql in (partition.whole, *partition.parts))
    assert whole[0] == sum(part[0] for part in parts)
    assert whole[1] == sum(part[1] for part in parts)
    assert whole[2] == min((part[2] for part in parts if part[2] is not None), default=None)
    assert whole[3] == max((part[3] for part in parts if part[3] is not None), default=None)
    assert _known(whole[4]) == set().union(*(_known(part[4]) for part in parts))


def _known(values: list[object] | None) -> set[str]:
    """Return the distinct values of a list as text: NaN is one value, and so are 0.0 and -0.0."""
    return {repr(0.0 if value == 0.0 and isinstance(value, float) else value) for value in values or []}
