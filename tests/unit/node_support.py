"""What tests of the node agent build on: configurations over made-up files, and an engine over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from archipel.policy import Policy
from node_agent.config import NodeConfig
from node_agent.engine.duckdb_engine import DuckDBEngine

OPEN = {"protected": False, "coordinator": "rows"}
"""Policy of a table that is not about persons."""
PROTECTED = {"coordinator": "aggregate", "other_columns": "group", "tell_withheld_count": True}


def stays(persons: int = 40) -> pa.Table:
    """A protected table: 2 stays a person, in a large and a small region."""
    ids = [i // 2 for i in range(persons * 2)]
    return pa.table(
        {
            "person": pa.array(ids, pa.int64()),
            "region": ["Bretagne" if i < 5 else "Normandie" for i in ids],
            "days": pa.array([i % 7 for i in range(len(ids))], pa.int32()),
            "note": [f"secret-{i}" for i in ids],
        }
    )


def config_of(directory: Path, content: Mapping[str, Any]) -> NodeConfig:
    """Return a node's configuration whose files of keys do not exist: enough for an engine."""
    base = {
        "node": "hospital_a",
        "coordinator": "localhost:8443",
        "tls": {"certificate": "tls.crt", "private_key": "tls.key", "authority": "ca.crt"},
        "federation": {"manifest": "manifest.jwt", "authority_key": "authority.pub"},
        "signing_key": "signing.pem",
        "state_dir": str(directory / "state"),
        "policy": "policy.yaml",
        "sources": [{"name": "data", "kind": "files", "path": str(directory), "format": "parquet"}],
    }
    return NodeConfig.model_validate({**base, **content})


def engine_of(
    directory: Path,
    tables: Sequence[Mapping[str, Any]],
    *,
    policy: Mapping[str, Any] | None = None,
    **content: Any,
) -> DuckDBEngine:
    """Return an engine over ``tables``; without ``policy`` none of them is protected."""
    rules = policy if policy is not None else {table["name"]: OPEN for table in tables}
    return DuckDBEngine(
        config_of(directory, {"tables": list(tables), **content}),
        Policy.model_validate({"version": 1, "tables": rules}),
    )


def parquet_engine(directory: Path, table: pa.Table, **options: Any) -> DuckDBEngine:
    """Return an engine over one table ``t`` in one Parquet file."""
    pq.write_table(table, directory / "t.parquet")
    return engine_of(directory, [{"name": "t", "source": "data", "file": "t.parquet"}], **options)


def rows_of(engine: DuckDBEngine, sql: str, inputs: Mapping[str, pa.Table] | None = None) -> list[dict[str, Any]]:
    """Run a statement and return its rows."""
    statement = engine.statement(sql, inputs or {}, timeout_s=30)
    try:
        return statement.run().read_all().to_pylist()
    finally:
        statement.close()
