"""The world of the hospital golden files when its holders let rows go to each other: what crosses from node to node.

The hospitals let ``stays`` and ``acts`` go to the insurer under project pseudonyms, and to the hospital in Lille, which
counts for all of them; the insurer lets nothing of ``insured`` go to anyone. What is not about persons may go anywhere,
but for ``referrals``, of which only distinct keys may.
"""

from __future__ import annotations

from dataclasses import replace

import hospital_world
from planning import Shard

from archipel.schema import EVERY_PEER, Form, TablePolicy

_PEERS = {
    "stays": (("cnam", Form.ROWS), ("lille", Form.ROWS)),
    "acts": (("cnam", Form.ROWS), ("lille", Form.ROWS)),
    "insured": (),
    "registry": (),
    "referrals": ((EVERY_PEER, Form.KEYS),),
}


def shards() -> dict[str, list[Shard]]:
    """Return what every node of the world holds."""
    return {node: [_linked(shard) for shard in held] for node, held in hospital_world.shards().items()}


def _linked(shard: Shard) -> Shard:
    peers = _PEERS.get(shard.table.name.lower(), ((EVERY_PEER, Form.ROWS),))
    policy: TablePolicy = replace(shard.table.policy, peer_forms=peers)
    return replace(shard, table=replace(shard.table, policy=policy))
