"""What Ray's workers run: cutting partials by the hash of their keys, and merging one part.

Only functions of their arguments, so that a task whose worker died can run again. Imported by the workers: keep
it light.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from coordinator.merge.engine import Engine

MAX_PARTITIONS = 256


@cache
def _engine(memory_limit_bytes: int) -> Engine:
    return Engine(memory_limit_bytes=memory_limit_bytes)


def split(table: pa.Table, keys: Sequence[str], partitions: int, memory_limit_bytes: int) -> list[pa.Table] | pa.Table:
    """Return one table for each partition, rows in their order; the table itself when there is one partition.

    Rows with equal keys come into the same partition, whichever node's table and worker it is: the hash is a pure
    function of the keys, and NULL, NaN and zero each have one.
    """
    if partitions == 1:
        return table
    # The engine's hash tables use the low bits for the slot and the top ones for radix partitions: take bits between.
    middle = (_engine(memory_limit_bytes).hashes(table, keys).to_numpy() >> np.uint64(32)).astype(np.uint16)
    part = (middle % np.uint16(partitions)).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=partitions))
    ordered = table.take(pa.array(order))
    return [ordered.slice(start, end - start) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def merge_partition(sql: str, name: str, memory_limit_bytes: int, *parts: pa.Table) -> tuple[pa.Table, tuple[int, int]]:
    """Return the merge of one partition, and when it began and ended (Unix time in ns)."""
    began = time.time_ns()
    merged = _engine(memory_limit_bytes).run(sql, name, parts)
    return merged, (began, time.time_ns())
