"""A world of large tables, each cut over four nodes by another key: what joins them is no site key. One node is empty.

Sales name items that do not exist, the same ones again and again, and none; nearly all of them are of one client.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from planning import Shard

from archipel.schema import EVERY_PEER, Column, Form, SiteKey, Table, TablePolicy

NODES = ("lille", "lyon", "nantes", "rennes")
HOLDING = NODES[:3]
OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS, peer_forms=((EVERY_PEER, Form.ROWS),))

CLIENT, PRICE = "client VARCHAR", "DECIMAL(10,2)"

Rows = list[tuple[object, ...]]


def _table(name: str, columns: str, key: str, times: int) -> tuple[Table, int]:
    kinds = tuple(Column(*part.strip().split(" ", 1)) for part in columns.split(";"))
    keys = (SiteKey(key, (key,)),) if key else ()
    return Table(name, kinds, site_keys=keys, policy=OPEN), times


def _sales() -> Rows:
    return [
        (
            n,
            None if n % 13 == 0 else (n * 5) % 47 - 3,
            "c0" if n % 10 else f"c{n % 70}",
            None if n % 17 == 0 else n % 9,
            f"{n % 40}.{n % 100:02d}",
            f"2024-0{1 + n % 3}-0{1 + n % 7}",
        )
        for n in range(300)
    ]


def _returns() -> Rows:
    return [
        (n, None if n % 11 == 0 else (n * 3) % 60, "c0" if n % 8 else None, f"reason {n % 4}", f"2024-02-0{1 + n % 9}")
        for n in range(180)
    ]


def _items() -> Rows:
    return [(n, f"kind {n % 5}", None if n % 6 == 0 else n % 4) for n in range(50)]


TABLES: tuple[tuple[tuple[Table, int], Rows], ...] = (
    (
        _table(
            "sales", f"sale BIGINT; item INTEGER; {CLIENT}; qty INTEGER; price DECIMAL(10,2); day DATE", "sale", 9999
        ),
        _sales(),
    ),
    (_table("returns", f"ret BIGINT; item BIGINT; {CLIENT}; reason VARCHAR; day DATE", "ret", 9999), _returns()),
    (_table("items", "item BIGINT; kind VARCHAR; size INTEGER", "item", 100), _items()),
)
"""Tables with how many rows each of theirs stands for in the estimates, and their rows."""


def shards() -> dict[str, list[Shard]]:
    """Return what every node holds."""
    made: dict[str, list[Shard]] = {node: [] for node in NODES}
    for (table, times), rows in TABLES:
        for number, node in enumerate(NODES):
            held = [row for i, row in enumerate(rows) if i % len(HOLDING) == number]
            values = {
                c.name: pa.array([None if row[i] is None else str(row[i]) for row in held], pa.string())
                for i, c in enumerate(table.columns)
            }
            size = len(held) * times
            made[node].append(
                Shard(replace(table, approximate_rows=size, approximate_bytes=40 * size), pa.table(values))
            )
    return made
