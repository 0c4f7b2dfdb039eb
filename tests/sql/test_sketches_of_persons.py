"""Estimates over protected tables: only where every holder lets sketches leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import hospital_world
import pytest
from planning import Federation, Shard, request

from archipel import sketches
from archipel.errors import ArchipelError
from archipel.schema import Form
from coordinator.planner.sketches import NOTE


@pytest.fixture(scope="module")
def hospitals() -> Iterator[Federation]:
    """The golden files' world, whose hospitals let sketches of stays leave."""

    def opened(shard: Shard) -> Shard:
        policy = replace(shard.table.policy, coordinator_form=Form.SKETCH)
        return Shard(replace(shard.table, policy=policy), shard.rows) if shard.table.name == "Stays" else shard

    shards = hospital_world.shards()
    with Federation({node: [opened(s) for s in held] for node, held in shards.items()}) as made:
        yield made


def test_distinct_values_of_protected_tables_are_estimated_where_every_holder_lets_sketches_leave(
    hospitals: Federation,
) -> None:
    sql = "SELECT region, approx_count_distinct(cost) AS d FROM stays GROUP BY region ORDER BY region"
    answer = hospitals.ask(request(sql))
    exact = hospitals.oracle(request(sql.replace("approx_count_distinct(", "count(DISTINCT "))).to_pylist()
    for row, expected in zip(answer.table.to_pylist(), exact, strict=True):
        assert row["region"] == expected["region"]
        assert abs(row["d"] / expected["d"] - 1) < 4 * sketches.STANDARD_ERROR
    assert answer.plan.notes == (NOTE,)
    assert {e.form for e in answer.plan.exchanges if e.source == "s1"} == {Form.SKETCH}


def test_an_estimate_over_protected_tables_names_the_policy_that_it_would_need() -> None:
    with Federation(hospital_world.shards()) as federation, pytest.raises(ArchipelError) as caught:
        federation.plan(request("SELECT approx_count_distinct(cost) AS d FROM stays"))
    assert caught.value.rule == "sketch"
    assert "coordinator: sketch" in caught.value.info.hint
