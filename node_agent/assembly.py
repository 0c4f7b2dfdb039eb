"""Puts a node together from its configuration: keys, manifest, policy, engine, audit log."""

from __future__ import annotations

from dataclasses import dataclass

from archipel import errors, identity, manifest, policy, tls, tokens
from node_agent.agent import AgentSettings
from node_agent.audit import AuditLog
from node_agent.audit_cli import AUDIT_FOLDER
from node_agent.config import NodeConfig
from node_agent.engine.duckdb_engine import DuckDBEngine
from node_agent.tasks import TaskRunner


@dataclass(slots=True)
class Node:
    """A node's parts."""

    settings: AgentSettings
    runner: TaskRunner
    engine: DuckDBEngine
    audit: AuditLog | None

    def close(self) -> None:
        """Close engine and audit log."""
        self.engine.close()
        if self.audit is not None:
            self.audit.close()


def assemble(config: NodeConfig, *, with_audit: bool = True) -> Node:
    """Return the node of a configuration. Without ``with_audit`` it can be looked at but runs no task.

    Raises:
        ArchipelError: CONFIG_INVALID or AUDIT_UNAVAILABLE.
    """
    authority = identity.load_public_key(config.federation.authority_key)
    try:
        token = config.federation.manifest.read_text().strip()
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The manifest {config.federation.manifest} cannot be read."
        ) from cause
    federation = manifest.verify(token, authority)
    entry = federation.node(config.node)
    if entry is None:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The manifest names no node '{config.node}'.",
            hint=f"It names: {', '.join(node.name for node in federation.nodes)}.",
        )
    signing = identity.load_signing_key(config.signing_key)
    if tokens.encode_public_key(signing.public_key()) != entry.signing_key:
        raise errors.error(errors.CONFIG_INVALID, "The signing key is not the one that the manifest names.")
    rules, digest = policy.load(config.policy)
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    audit = AuditLog(config.state_dir / AUDIT_FOLDER) if with_audit else None
    engine = DuckDBEngine(config, rules)
    runner = TaskRunner(
        node=config.node,
        federation=federation.federation,
        authority_key=authority,
        signing_key=signing,
        engine=engine,
        audit=audit,
        statement_timeout_s=config.limits.statement_timeout_s,
        compress=config.compress,
    )
    settings = AgentSettings(
        node=config.node,
        coordinator=config.coordinator,
        tls=tls.TlsFiles(config.tls.certificate, config.tls.private_key, config.tls.authority),
        policy_digest=digest,
        max_concurrent_tasks=config.limits.max_concurrent_tasks,
        max_queued_tasks=config.limits.max_queued_tasks,
        drain_s=config.limits.drain_s,
    )
    return Node(settings, runner, engine, audit)
