"""Merging in the coordinator's own process: for small partials, which is the usual case."""

from __future__ import annotations

import pyarrow as pa

from archipel import telemetry
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeInput
from coordinator.merge.partials import prepared
from coordinator.merge.stop import Stop
from coordinator.merge.summing import summed, sums


class InProcessExecutor:
    """A ``MergeExecutor`` over an engine, whose memory limit all its statements share. Threads may call it at once."""

    name = "in-process"

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def merge(
        self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float, stop: Stop | None = None
    ) -> pa.Table:
        """Return what ``sql`` gives over the partials; see ``MergeExecutor``."""
        attributes: dict[telemetry.Attribute, str | int | float | bool] = {
            telemetry.Attribute.EXCHANGE_ID: source.exchange_id,
            telemetry.Attribute.MERGE_EXECUTOR: self.name,
            telemetry.Attribute.MERGE_PARTITIONS: 1,
        }
        with telemetry.span("merge", attributes=attributes):
            tables = prepared(source, keys)
            added = sums(sql, source.exchange_id)
            table = None if added is None else summed(tables, added)
            if table is not None:
                return table
            return self._engine.run(sql, source.exchange_id, tables, timeout_s=timeout_s, stop=stop)

    def close(self) -> None:
        """Close the engine; idempotent."""
        self._engine.close()
