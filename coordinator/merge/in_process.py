"""Merging in the coordinator's own process: for small partials, which is the usual case."""

from __future__ import annotations

import pyarrow as pa

from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeInput
from coordinator.merge.partials import prepared
from coordinator.merge.settings import MergeSettings


class InProcessExecutor:
    """A ``MergeExecutor`` with one engine, whose memory limit all merges share. Threads may call it at once."""

    name = "in-process"

    def __init__(self, *, memory_limit_bytes: int = MergeSettings().memory_limit_bytes) -> None:
        self._engine = Engine(memory_limit_bytes=memory_limit_bytes)

    def merge(self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float) -> pa.Table:
        """Return what ``sql`` gives over the partials; see ``MergeExecutor``."""
        return self._engine.run(sql, source.exchange_id, prepared(source, keys), timeout_s=timeout_s)

    def close(self) -> None:
        """Close the engine; idempotent."""
        self._engine.close()
