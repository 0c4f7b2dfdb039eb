"""Federations over TPC-H in this process: each node with the engine and the policy of its configuration files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from planning import EngineFederation

from archipel.demo.layout import NodeSetup, write_layout
from archipel.schema import Table
from coordinator.planner.rules import EVERY_RULE
from node_agent.engine.duckdb_engine import DuckDBEngine


class OnEngines(EngineFederation):
    """Nodes as ``setups`` says, with the real engine; the catalogue has the real numbers of rows and bytes."""

    rules = EVERY_RULE

    def __init__(self, directory: Path, setups: Sequence[NodeSetup]) -> None:
        super().__init__(write_layout(directory, setups).node_configs)
        assert [engine.problems() for engine in self._engines.values()] == [()] * len(setups)

    def _advertised(self, engine: DuckDBEngine) -> Sequence[Table]:
        return engine.tables()
