"""What tests of the node agent build on: configurations over made-up files, and an engine over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import permit, request, tokens
from archipel.policy import Policy
from archipel.policy_ledger import LedgerRules
from node_agent.audit import AuditLog
from node_agent.config import NodeConfig
from node_agent.engine.duckdb_engine import DuckDBEngine
from node_agent.ledger import Ledger
from node_agent.tasks import TaskOrder, TaskRunner

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


NOW = 1_800_000_000.0
NOT_COMPARED = LedgerRules(differences="allow")


@dataclass
class Party:
    """Keys of an authority, a node and a researcher, and what they sign."""

    authority: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    node: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    researcher: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def permit(self, **changes: Any) -> str:
        """Return a permit for every table of the test node."""
        content = {
            "permit_id": "p1",
            "federation": "dev",
            "project": "readmission",
            "purpose": "test",
            "researchers": [{"name": "alice", "key": tokens.encode_public_key(self.researcher.public_key())}],
            "tables": [{"table": name, "columns": ["*"]} for name in ("stays", "ref")],
            "nodes": ["hospital_a"],
            "not_before": int(NOW) - 1000,
            "expires": int(NOW) + 1000,
            **changes,
        }
        return permit.issue(permit.Permit.model_validate(content), self.authority)

    def request(self, **changes: Any) -> str:
        """Return a signed request."""
        content = {"request_id": "12345678", "permit_id": "p1", "sql": "SELECT 1", "issued": int(NOW), **changes}
        return request.sign(request.Request.model_validate(content), self.researcher)

    def order(
        self, sql: str, *, permit_token: str | None = None, request_token: str | None = None, **changes: Any
    ) -> TaskOrder:
        """Return a task as the coordinator would send it."""
        content = {
            "task_id": "t1",
            "query_id": "q1",
            "stage_id": "s1",
            "attempt": 1,
            "permit": permit_token or self.permit(),
            "request": request_token or self.request(),
            "sql": sql,
            "inputs": {},
            "timeout_s": 30.0,
            "max_bytes": 1 << 20,
            **changes,
        }
        return TaskOrder(**content)


STAYS = {"name": "stays", "source": "data", "file": "stays.parquet", "person_column": "person"}
REF = {"name": "ref", "source": "data", "file": "ref.parquet"}
POLICY = {
    "stays": {**PROTECTED, "columns": {"days": "measure"}},
    "ref": OPEN,
}


def write_tables(directory: Path) -> None:
    """Write the files of a protected and an open table."""
    pq.write_table(stays(), directory / "stays.parquet")
    pq.write_table(pa.table({"region": ["Bretagne", "Normandie"], "code": ["53", "28"]}), directory / "ref.parquet")


def runner_of(
    directory: Path,
    party: Party,
    *,
    policy: Mapping[str, Any] = POLICY,
    ledger: Ledger | None = None,
    tables: bool = True,
    **changes: Any,
) -> TaskRunner:
    """Return a task runner over both tables, with its audit log in ``directory``/audit.

    Without ``ledger`` it has one that compares nothing: tests ask what they like of few persons.
    """
    if tables:
        write_tables(directory)
    content = {
        "node": "hospital_a",
        "federation": "dev",
        "authority_key": party.authority.public_key(),
        "signing_key": party.node,
        "engine": changes.pop("engine", None) or engine_of(directory, [STAYS, REF], policy=policy),
        "audit": changes.pop("audit", None) or AuditLog(directory / "audit"),
        "ledger": ledger if ledger is not None else Ledger(directory / "ledger", NOT_COMPARED),
        "statement_timeout_s": 30.0,
        "max_release_bytes": 1 << 30,
        "now": lambda: NOW,
        **changes,
    }
    return TaskRunner(**content)
