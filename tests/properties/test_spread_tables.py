"""Any query over scattered tables whose rows are spread over nodes wherever that can be done: the pooled answer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import duckdb
import pytest
import scattered_queries
from comparing import difference
from hypothesis import given, note
from planning import Federation, Shard, request
from scattered_worlds import OPEN, Row, kinds, number_of
from test_federated_answers import examples
from test_scattered_tables import CASES, QUERIES_A_WORLD, chances
from worlds import shard

from archipel.schema import SiteKey, Table
from coordinator.planner.draft import Draft
from coordinator.planner.rules import Rules

SHARE = 5
"""Of the cases of a run one in five is one more of these."""

SOME = 40
"""Queries among which some must have had their rows spread."""

pytestmark = pytest.mark.timeout(300 + CASES)


@pytest.fixture(scope="module", autouse=True)
def spreading_costs_nothing() -> Iterator[None]:
    """Of the ways to run a block, those at several nodes are tried first, and of them those that spread rows."""
    real = Draft.cost

    def cost(self: Draft, rules: Rules) -> int:
        parts = sum(1 for shipment in self.shipments if shipment.part_column)
        return real(self, rules) - (10**12 * (1 + parts) if len(self.sites) > 1 else 0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Draft, "cost", cost)
        yield


@pytest.fixture(scope="module")
def spread() -> Iterator[list[bool]]:
    """Whether the rows of each query were spread; of many queries some must have been."""
    found: list[bool] = []
    yield found
    assert len(found) < SOME or any(found)


def spread_world(r: random.Random) -> Mapping[str, list[Shard]]:
    """Return the shards of two to four nodes, over all of which every table is cut, some of them by a key."""
    nodes = [f"n{i}" for i in range(r.randint(2, 4))]
    shards: dict[str, list[Shard]] = {node: [] for node in nodes}
    scale = r.choice((0, 2, 10))
    for name, kind in kinds(scale).items():
        rows = [kind.row(r, number, scale) for number in range(r.choice((0, 6, 12, 15)))]
        column = r.choice((*kind.keys, None))
        keys = (SiteKey(kind.keys[column], (column,)),) if column else ()
        index = [c.name for c in kind.columns].index(column) if column else 0
        held: dict[str, list[Row]] = {node: [] for node in nodes}
        for row in rows:
            home = number_of(row[index]) if column and row[index] is not None else r.randint(0, 99)
            held[nodes[home % len(nodes)]].append(row)
        nullable = any(row[index] is None for row in rows)
        table = Table(
            name,
            kind.columns,
            site_keys=tuple(replace(key, nullable=nullable) for key in keys),
            policy=OPEN,
            approximate_rows=len(rows),
            approximate_bytes=40 * len(rows),
        )
        for node in nodes:
            shards[node].append(shard(table, held[node]))
    return shards


@examples(max(1, CASES // (SHARE * QUERIES_A_WORLD)))
@given(chance=chances)
def test_every_query_is_answered_as_by_one_database_where_rows_are_spread(
    spread: list[bool], chance: random.Random
) -> None:
    with Federation(spread_world(chance)) as federation:
        for _ in range(QUERIES_A_WORLD):
            sql = scattered_queries.any_query(chance).sql
            note(sql)
            try:
                expected = federation.oracle(request(sql))
            except duckdb.Error:
                continue
            answer = federation.ask(request(sql))
            spread.append(any(exchange.part_column for exchange in answer.plan.exchanges))
            assert difference(answer.table, expected, sql) == ""
