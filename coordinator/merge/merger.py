"""Merges and finishes for the coordinator: picks the executor of a merge by the size of its partials.

Below ``threshold_bytes`` a merge is done in the coordinator's process, at and above it on Ray. Finishing (the final
statement over what is merged) is always done in the coordinator's process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import pyarrow as pa

from archipel import errors, telemetry
from archipel.errors import ArchipelError
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeExecutor, MergeInput
from coordinator.merge.in_process import InProcessExecutor
from coordinator.merge.ray_executor import RayExecutor
from coordinator.merge.settings import MergeSettings, RayMode
from coordinator.merge.stop import Stop
from coordinator.merge.summing import sums

log = logging.getLogger(__name__)

_IN_PROCESS_FACTOR = 7
"""Memory of a merge as a multiple of its partials, where no two nodes share a group: 4.9 in
benchmarks/results/merge.md, 6.3 with other columns, and something to spare."""


class Merger:
    """The coordinator's merging; any number of threads may call it at once."""

    def __init__(self, settings: MergeSettings) -> None:
        self._settings = settings
        self._engine = Engine(memory_limit_bytes=settings.memory_limit_bytes)
        self._in_process = InProcessExecutor(engine=self._engine)
        self._ray = RayExecutor(settings.ray) if settings.ray.mode is not RayMode.OFF else None
        self._warned = threading.Event()

    def merge(
        self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float, stop: Stop | None = None
    ) -> tuple[pa.Table, str]:
        """Return what ``sql`` gives over the partials, rows in no particular order, and the name of the executor.

        Where a local Ray cannot start and the partials are small enough for the memory of the coordinator's process,
        they are merged there, with a warning in the log. A configured cluster that cannot be reached is an error. With
        ``stop`` another thread can end the work.

        Raises:
            ArchipelError: MERGE_FAILED, TIMEOUT, CANCELLED, INTERRUPTED, RAY_UNAVAILABLE, or SQL_EXECUTION without
                any value.
        """
        if self._ray is None or not keys or source.bytes < self._settings.threshold_bytes:
            return self._merged(self._in_process, sql, source, keys, timeout_s, stop)
        try:
            return self._merged(self._ray, sql, source, keys, timeout_s, stop)
        except ArchipelError as cause:
            if cause.info.code is not errors.RAY_UNAVAILABLE or not self._may_fall_back(source):
                raise
            log.warning("merging in the coordinator's process, since Ray is not available: %s", cause.info.message)
        return self._merged(self._in_process, sql, source, keys, timeout_s, stop)

    def merges_at_once(self, sql: str, source: MergeInput) -> bool:
        """Whether a merge needs neither Ray nor, unless its numbers are large, the engine: it takes 0.1 ms then."""
        here = self._ray is None or source.bytes < self._settings.threshold_bytes
        return here and sums(sql, source.exchange_id) is not None

    def finish(
        self,
        sql: str,
        inputs: Mapping[str, pa.Table],
        *,
        timeout_s: float,
        max_rows: int,
        max_bytes: int,
        stop: Stop | None = None,
    ) -> pa.Table:
        """Return what the final statement gives over ``inputs`` (exchange identifiers), in the order it asks for.

        Raises:
            ArchipelError: TIMEOUT, CANCELLED, INTERRUPTED, RESULT_TOO_LARGE, SQL_EXECUTION without any value,
                MERGE_FAILED where memory ran out, INTERNAL where the engine refused the statement.
        """
        with telemetry.span("finish"):
            return self._engine.answer(
                sql, inputs, timeout_s=timeout_s, max_rows=max_rows, max_bytes=max_bytes, stop=stop
            )

    def close(self) -> None:
        """Stop what runs (it ends with INTERRUPTED), and Ray where this started it; idempotent."""
        if self._ray is not None:
            self._ray.close()
        self._engine.close()

    def _merged(
        self,
        executor: MergeExecutor,
        sql: str,
        source: MergeInput,
        keys: tuple[str, ...],
        timeout_s: float,
        stop: Stop | None,
    ) -> tuple[pa.Table, str]:
        return executor.merge(sql, source, keys, timeout_s=timeout_s, stop=stop), executor.name

    def _may_fall_back(self, source: MergeInput) -> bool:
        local = self._settings.ray.mode is RayMode.LOCAL
        return local and source.bytes * _IN_PROCESS_FACTOR <= self._settings.memory_limit_bytes
