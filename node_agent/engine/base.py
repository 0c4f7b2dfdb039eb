"""The interface of an engine: what holds a node's rows and runs the statements that passed the border check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from archipel.schema import Table


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a node declares of its engine, so that differences that would change an answer are noticed."""

    name: str
    version: str
    collation: str
    time_zone: str


class Statement(Protocol):
    """One statement, to be run once in a thread."""

    def run(self) -> pa.RecordBatchReader:
        """Run it and return its rows as they come.

        Raises:
            ArchipelError: SQL_EXECUTION, NODE_EXECUTION, NODE_RESOURCES, NODE_SOURCE, CANCELLED or TIMEOUT; no text
                holds a value.
        """
        ...

    def cancel(self) -> None:
        """Stop it, from any thread."""
        ...

    def close(self) -> None:
        """Release what it holds; idempotent."""
        ...


class Engine(Protocol):
    """Runs statements over this node's tables. Nothing but SELECTs over them is reachable through it."""

    def info(self) -> EngineInfo:
        """Return what it is."""
        ...

    def tables(self) -> tuple[Table, ...]:
        """Return the tables that can be read now, with policy and statistics."""
        ...

    def withdrawn(self) -> tuple[Table, ...]:
        """Return the configured tables that cannot be read now; one without columns where even they are not known."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with configured tables that cannot be read, for the operator's log."""
        ...

    def unpinned(self) -> tuple[str, ...]:
        """Return the tables that are left out because their data is not what the policy pins."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """Return what works but should not stay so, for the operator's log."""
        ...

    def check_unchanged(self, tables: tuple[str, ...]) -> None:
        """Make sure that the sources of ``tables`` are as they were when they were registered.

        Raises:
            ArchipelError: NODE_CHANGED or NODE_SOURCE.
        """
        ...

    def state_of(self, tables: tuple[str, ...]) -> str:
        """Return what names the state that the data of ``tables`` had when they were registered."""
        ...

    def must_reopen(self) -> bool:
        """Whether something of the sources came, went or changed, so that a new engine would hold other tables."""
        ...

    def statement(self, sql: str, inputs: Mapping[str, pa.Table], *, timeout_s: float) -> Statement:
        """Prepare a statement over the node's tables and ``inputs`` (by table name)."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...
