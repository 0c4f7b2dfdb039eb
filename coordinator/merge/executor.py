"""The interface of the two merge executors: in-process and Ray.

Both run the same SQL over the same partials and give the same rows bit for bit; only where the work is done differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from coordinator.merge.stop import Stop


@dataclass(frozen=True, slots=True)
class MergeInput:
    """The partials of one exchange: per node a table, in the order of the stage's sites.

    Tables do not yet carry ``SHARD_COLUMN``; the executor adds the index from ``shards`` as INTEGER.
    """

    exchange_id: str
    schema: pa.Schema
    tables: tuple[pa.Table, ...]
    shards: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all partials in memory."""
        return sum(t.nbytes for t in self.tables)


class MergeExecutor(Protocol):
    """Runs a merge stage."""

    name: str
    """As it is shown in results: "in-process" or "ray"."""

    def merge(
        self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float, stop: Stop | None = None
    ) -> pa.Table:
        """Return what ``sql`` gives over the partials; rows in no particular order.

        ``keys`` are the grouping columns by whose hash the work may be cut; empty means it must not be cut. With
        ``stop`` the caller can end the work.

        Raises:
            ArchipelError: MERGE_FAILED, TIMEOUT, CANCELLED, RAY_UNAVAILABLE, or SQL_EXECUTION with a message free of
                values.
        """
        ...

    def close(self) -> None:
        """Release what the executor holds; idempotent."""
        ...
