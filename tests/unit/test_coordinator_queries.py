"""Queries through a real coordinator over real TLS, with nodes that a test moves by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from coordinator_harness import Keys, attached, coordinator, make_config, make_keys, partials, researcher, run


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("federation") / "keys")


def test_an_aggregate_over_two_nodes_is_merged_finished_and_fetched(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            researcher(server, keys) as alice,
        ):
            query_id = await alice.submit()
            first, second = await alpha.tasks.get(), await beta.tasks.get()
            assert first.sql == second.sql == "SELECT g, sum(v) AS p FROM visits GROUP BY g"
            assert await beta.deliver(second, partials(b=5, c=1))
            assert await alpha.deliver(first, partials(a=1, b=2))
            info, table = await alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 1}, {"g": "b", "total": 7}, {"g": "c", "total": 1}]
            assert info.complete
            assert [(n.node, n.outcome) for n in info.nodes] == [("alpha", "released"), ("beta", "released")]
            kinds = [event.kind async for event in alice.events(query_id)]
            assert kinds == [
                *("queued", "planned", "dispatched", "dispatched"),
                *("delivered", "delivered", "merged", "finished"),
            ]

    run(scenario())
