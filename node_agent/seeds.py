"""The keys under which statements hash persons, as the one-row tables that these statements read."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from archipel.border.measures import SEED_COLUMN

SEED_BYTES = 8


def seed_of(secret: bytes, purpose: bytes) -> pa.Table:
    """Return a key made of a node's secret, another one for each purpose."""
    return seed_table(hashlib.sha256(b"archipel " + purpose + secret).digest()[:SEED_BYTES])


def seed_table(seed: bytes) -> pa.Table:
    """Return a key of ``SEED_BYTES`` bytes as a table."""
    return pa.table({SEED_COLUMN: pa.array([int.from_bytes(seed, "big")], pa.uint64())})
