"""Merging on Ray; not there yet: every merge ends with RAY_UNAVAILABLE, and small enough ones are done in-process."""

from __future__ import annotations

import pyarrow as pa

from archipel import errors
from coordinator.merge.executor import MergeInput
from coordinator.merge.settings import RaySettings


class RayExecutor:
    """A ``MergeExecutor`` on Ray."""

    name = "ray"

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings

    def merge(self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float) -> pa.Table:
        """Return what ``sql`` gives over the partials; see ``MergeExecutor``."""
        raise errors.error(errors.RAY_UNAVAILABLE, "Merging on Ray is not built yet.")

    def close(self) -> None:
        """Release what the executor holds; idempotent."""
