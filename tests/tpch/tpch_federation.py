"""Federations over TPC-H in this process: each node with the engine and the policy of its configuration files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from planning import TIMEOUT_S, LocalFederation

from archipel import policy
from archipel.demo.layout import NodeSetup, write_layout
from node_agent import config
from node_agent.engine.duckdb_engine import DuckDBEngine


class OnEngines(LocalFederation):
    """Nodes as ``setups`` says, with the real engine; the catalogue has the real numbers of rows and bytes."""

    def __init__(self, directory: Path, setups: Sequence[NodeSetup]) -> None:
        layout = write_layout(directory, setups)
        self._engines = {name: _engine(path) for name, path in layout.node_configs.items()}
        super().__init__({name: engine.tables() for name, engine in self._engines.items()})

    def close(self) -> None:
        """Close all engines; idempotent."""
        super().close()
        for engine in self._engines.values():
            engine.close()

    def run_at(self, site: str, sql: str, inputs: Mapping[str, pa.Table]) -> pa.Table:
        """Return what a statement gives in a node's engine."""
        statement = self._engines[site].statement(sql, inputs, timeout_s=TIMEOUT_S)
        try:
            return statement.run().read_all()
        finally:
            statement.close()


def _engine(path: Path) -> DuckDBEngine:
    settings = config.load(path)
    rules, _ = policy.load(settings.policy)
    engine = DuckDBEngine(settings, rules)
    assert engine.problems() == ()
    return engine
