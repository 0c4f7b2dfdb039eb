"""What Ray's workers run: cutting partials by the hash of their keys, and merging one part.

Only functions of their arguments, so that a task whose worker died can run again. Imported by the workers: keep it
light. Tables go in and out as Arrow streams: Ray hands these over without a copy, whatever encodings they hold.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from coordinator.merge.channel import pack, unpack
from coordinator.merge.engine import Engine

MAX_PARTITIONS = 256


@cache
def _engine(memory_limit_bytes: int) -> Engine:
    return Engine(memory_limit_bytes=memory_limit_bytes)


def split(stream: pa.Buffer, keys: Sequence[str], partitions: int, memory_limit_bytes: int) -> list[pa.Buffer]:
    """Return one stream for each partition, rows in their order.

    Rows with equal keys come into the same partition, whichever node's table and worker it is: the hash is a pure
    function of the keys, and NULL, NaN and zero each have one.
    """
    return [pack(part) for part in parts(unpack(stream), keys, partitions, _engine(memory_limit_bytes))]


def parts(table: pa.Table, keys: Sequence[str], partitions: int, engine: Engine) -> list[pa.Table]:
    """Return one table for each partition, some perhaps empty."""
    # The engine's hash tables use the low bits for the slot and the top ones for radix partitions: take bits between.
    middle = (engine.hashes(table, keys).to_numpy() >> np.uint64(32)).astype(np.uint16)
    part = (middle % np.uint16(partitions)).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=partitions))
    ordered = table.take(pa.array(order))
    return [ordered.slice(start, end - start) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def merge_part(
    sql: str, name: str, memory_limit_bytes: int, timeout_s: float, *streams: pa.Buffer
) -> tuple[pa.Buffer, tuple[int, int]]:
    """Return the merge of one partition, and when it began and ended (Unix time in ns).

    Raises:
        ArchipelError: as ``Engine.run``.
    """
    began = time.time_ns()
    tables = [unpack(stream) for stream in streams]
    merged = _engine(memory_limit_bytes).run(sql, name, tables, timeout_s=timeout_s)
    return pack(merged), (began, time.time_ns())
