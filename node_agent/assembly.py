"""Puts a node together from its configuration: keys, manifest, policy, engine, audit log; and checks all of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from archipel import errors, identity, linkage, manifest, policy, telemetry, tls, tokens
from node_agent import manifest_memory, privacy_mechanism, retention
from node_agent.agent import AgentSettings
from node_agent.approval import FOLDER, Approvals
from node_agent.audit import AuditLog, Tell, records
from node_agent.audit_cli import AUDIT_FOLDER
from node_agent.audit_events import event_of
from node_agent.checkpoints import Checkpoints
from node_agent.config import NodeConfig
from node_agent.engine import opposition
from node_agent.engine.duckdb_engine import DuckDBEngine, remove_left_overs, spill_dir
from node_agent.evidence import EVIDENCE_FOLDER, Evidence, Grounds
from node_agent.gate import Gate
from node_agent.ledger import LEDGER_FOLDER, Ledger
from node_agent.privacy_store import FOLDER as PRIVACY_FOLDER
from node_agent.privacy_store import PrivacyStore
from node_agent.rates import Rates
from node_agent.running import AUDITED, Running
from node_agent.scope_book import BOOK_FILE, RoundBook
from node_agent.sealed import Peers, ReceiveLimits
from node_agent.switches import Switches
from node_agent.tasks import TaskRunner


@dataclass(slots=True)
class Node:
    """A node's parts."""

    config: NodeConfig
    rules: policy.Policy
    settings: AgentSettings
    runner: TaskRunner
    engine: DuckDBEngine
    audit: AuditLog | None

    def reopen(self) -> None:
        """Open the sources anew, after a file changed or another policy was adopted. Keys stay those of the start."""
        self.engine.close()
        self.engine = DuckDBEngine(self.config, self.rules)
        self.runner.engine = self.engine

    def adopt_policy(self) -> bool:
        """Read the policy file again; return whether it says something else. It holds once the sources are reopened.

        Raises:
            ArchipelError: CONFIG_INVALID when it is wrong; then the policy stays as it was. AUDIT_UNAVAILABLE.
        """
        rules, digest = policy.load(self.config.policy)
        check_policy(self.config, rules)
        if digest == self.settings.policy_digest:
            return False
        if self.audit is not None:
            before = self.settings.policy_digest
            self.audit.append("policy", {"time": round(time.time(), 3), "sha256": digest, "before": before})
        self.rules = rules
        self.settings = replace(self.settings, policy_digest=digest)
        self.runner.gate = _gate(self.config, rules, self.audit)
        if self.runner.ledger is not None:
            self.runner.ledger.rules = rules.node.ledger
        if self.runner.budgets is not None:
            self.runner.budgets.budget = rules.node.privacy
        if self.runner.grounds is not None:
            self.runner.grounds.adopt(self.config.policy.read_text(encoding="utf-8"))
        return True

    def purge(self, before: float | None = None) -> retention.Statement | None:
        """Remove records of the audit log that are older than ``before``, or than the configuration keeps them.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        if self.audit is None:
            return None
        now = time.time()
        return retention.run(
            self.audit,
            folder=self.config.state_dir / EVIDENCE_FOLDER,
            before=retention.limit(self.config.audit.retention_days, now) if before is None else before,
            now=now,
            federation=self.runner.federation,
            node=self.config.node,
            key=self.runner.signing_key,
        )

    def close(self) -> None:
        """Close engine and audit log."""
        self.engine.close()
        if self.runner.ledger is not None:
            self.runner.ledger.close()
        if self.runner.budgets is not None:
            self.runner.budgets.close()
        if self.audit is not None:
            self.audit.close()


def assemble(config: NodeConfig, *, with_audit: bool = True) -> Node:
    """Return the node of a configuration. Without ``with_audit`` it can be looked at but runs no task.

    Raises:
        ArchipelError: CONFIG_INVALID or AUDIT_UNAVAILABLE.
    """
    authority = identity.load_public_key(config.federation.authority_key)
    signed = _manifest_token(config)
    federation = manifest.verify(signed, authority)
    entry = federation.node(config.node)
    if entry is None:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The manifest names no node '{config.node}'.",
            hint=f"It names: {', '.join(node.name for node in federation.nodes)}.",
        )
    signing = _signing_key(config, entry)
    _check_certificate(config, federation.federation, entry)
    peers = _peers(config, federation, entry)
    rules, digest = policy.load(config.policy)
    check_policy(config, rules)
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"state_dir {config.state_dir} cannot be made: {cause.strerror}."
        ) from cause
    checkpoints = Checkpoints(
        config.node,
        federation.federation,
        signing,
        config.audit.checkpoint_records,
        config.audit.checkpoint_s,
    )
    audit = AuditLog(config.state_dir / AUDIT_FOLDER, checkpoints, _teller(config)) if with_audit else None
    try:
        if audit is not None:  # the audit log is held by one process only, so nobody else uses the folder
            remove_left_overs(spill_dir(config))
            manifest_memory.check(config.state_dir, signed, federation, audit)
        engine = DuckDBEngine(config, rules)
    except BaseException:
        if audit is not None:
            audit.close()
        raise
    ledger, private, switches = None, None, Switches(config.state_dir)
    if audit is not None:
        try:
            ledger = _ledger(config, rules)
            private = _privacy(config, rules)
            switches.expect(int(ledger.store.fact(AUDITED) or 0))
        except BaseException:
            if ledger is not None:
                ledger.close()
            engine.close()
            audit.close()
            raise
    runner = TaskRunner(
        node=config.node,
        federation=federation.federation,
        authority_key=authority,
        signing_key=signing,
        engine=engine,
        audit=audit,
        statement_timeout_s=config.limits.statement_timeout_s,
        max_release_bytes=config.limits.max_release_bytes,
        checkpoint_in_receipts=config.audit.checkpoint_in_receipts,
        compress=config.compress,
        peers=peers,
        book=RoundBook(config.state_dir / BOOK_FILE),
        receive_limits=ReceiveLimits(
            config.limits.received_memory_bytes, config.limits.max_received_bytes, spill_dir(config)
        ),
        gate=_gate(config, rules, audit),
        ledger=ledger,
        budgets=private,
        running=Running(switches),
        grounds=_grounds(config, federation.federation, authority) if with_audit else None,
    )
    settings = AgentSettings(
        node=config.node,
        coordinator=config.coordinator,
        tls=tls.TlsFiles(config.tls.certificate, config.tls.private_key, config.tls.authority),
        policy_digest=digest,
        max_concurrent_tasks=config.limits.max_concurrent_tasks,
        max_queued_tasks=config.limits.max_queued_tasks,
        max_input_bytes=config.limits.max_input_bytes,
        drain_s=config.limits.drain_s,
    )
    node = Node(config, rules, settings, runner, engine, audit)
    try:
        if config.audit.purge:
            node.purge()
    except BaseException:
        node.close()
        raise
    return node


def _ledger(config: NodeConfig, rules: policy.Policy) -> Ledger:
    """Open the ledger; what the audit log names last of it must be there."""
    last: dict[int, str] = {}
    for record in records(config.state_dir / AUDIT_FOLDER):
        if "ledger" in record:
            last = {int(record["ledger"]["entry"]): str(record["ledger"]["sha256"])}
    ledger = Ledger(config.state_dir / LEDGER_FOLDER, rules.node.ledger, released=last)
    try:
        ledger.purge(time.time())
    except BaseException:
        ledger.close()
        raise
    return ledger


def _privacy(config: NodeConfig, rules: policy.Policy) -> PrivacyStore:
    """Open the record of what private answers have told; what the audit log says was paid must be in it."""
    told = (record["privacy"] for record in records(config.state_dir / AUDIT_FOLDER) if "privacy" in record)
    at_least = max((int(facts.get("payment", 0)) for facts in told), default=0)
    if rules.node.privacy is not None:
        privacy_mechanism.check_installed()
    return PrivacyStore(config.state_dir / PRIVACY_FOLDER, rules.node.privacy, at_least=at_least)


def _teller(config: NodeConfig) -> Tell | None:
    """Return what sends an event of each audit record to the holder's collector, if its operator wants that."""
    if not config.telemetry.audit_events:
        return None

    def tell(kind: str, content: dict[str, Any], digest: str) -> None:
        telemetry.emit_audit_event(event_of(config.node, kind, content, digest, time.time()))

    return tell


def _grounds(config: NodeConfig, federation: str, authority: Ed25519PublicKey) -> Grounds:
    evidence = Evidence(config.state_dir / EVIDENCE_FOLDER)
    key = tokens.encode_public_key(authority)
    return Grounds(evidence, config.node, federation, key, config.policy.read_text(encoding="utf-8"))


def _gate(config: NodeConfig, rules: policy.Policy, audit: AuditLog | None) -> Gate:
    rates = Rates(rules.node.rate_limits)
    if audit is not None and not rates.unlimited:
        rates.restore(records(config.state_dir / AUDIT_FOLDER), time.time())
    approvals = Approvals(config.state_dir / FOLDER) if audit is not None else None
    return Gate(config.node, rules, approvals, rates)


def _manifest_token(config: NodeConfig) -> str:
    try:
        return config.federation.manifest.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The manifest {config.federation.manifest} cannot be read."
        ) from cause


def _signing_key(config: NodeConfig, entry: manifest.NodeEntry) -> Ed25519PrivateKey:
    signing = identity.load_signing_key(config.signing_key)
    if tokens.encode_public_key(signing.public_key()) != entry.signing_key:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The signing key {config.signing_key} is not the one that the manifest names for '{config.node}'.",
            hint="Use this node's own key, or have the authority sign a manifest with the new one.",
        )
    return signing


def _peers(config: NodeConfig, federation: manifest.Manifest, entry: manifest.NodeEntry) -> Peers:
    own = identity.load_sealing_key(config.sealing_key) if config.sealing_key is not None else None
    if own is not None and tokens.encode_raw_key(own.public_key().public_bytes_raw()) != entry.sealing_key:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The sealing key {config.sealing_key} is not the one that the manifest names for '{config.node}'.",
            hint="Use this node's own key, or have the authority sign a manifest with the new one.",
        )
    secret = linkage.load(config.linkage_secret) if config.linkage_secret is not None else None
    return Peers(sealing_keys(federation) if own is not None else {}, own, secret)


def sealing_keys(federation: manifest.Manifest) -> dict[str, X25519PublicKey]:
    """Return every node's sealing key.

    Raises:
        ArchipelError: CONFIG_INVALID when one is no key.
    """
    try:
        return {
            node.name: X25519PublicKey.from_public_bytes(tokens.decode_raw_key(node.sealing_key))
            for node in federation.nodes
        }
    except ValueError as cause:
        raise errors.error(errors.CONFIG_INVALID, "A sealing key in the federation manifest is none.") from cause


def _check_certificate(config: NodeConfig, federation: str, entry: manifest.NodeEntry) -> None:
    """Refuse at the start what the coordinator would refuse at every attempt to attach."""
    path = config.tls.certificate
    certificate = _certificate(path)
    found = tls.identity_of(certificate)
    if (found.kind, found.name, found.federation) != ("node", config.node, federation):
        raise _mismatch(f"The certificate {path} is for {found.kind} '{found.name}' of federation '{found.federation}'")
    if found.certificate_sha256 != entry.certificate_sha256:
        raise _mismatch(f"The certificate {path} is not the one that the manifest names for '{config.node}'")
    try:
        key = serialization.load_pem_private_key(tls.read(config.tls.private_key), password=None)
    except (ValueError, TypeError) as cause:
        raise _mismatch(f"The file {config.tls.private_key} holds no private key") from cause
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*public) != certificate.public_key().public_bytes(*public):
        raise _mismatch(f"The private key {config.tls.private_key} does not belong to the certificate {path}")
    try:
        certificate.verify_directly_issued_by(_certificate(config.tls.authority))
    except (ValueError, TypeError, InvalidSignature) as cause:
        raise _mismatch(f"The certificate {path} was not issued by the authority in {config.tls.authority}") from cause
    if datetime.now(UTC) >= certificate.not_valid_after_utc:
        raise _mismatch(f"The certificate {path} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}")


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(tls.read(path))
    except ValueError as cause:
        raise _mismatch(f"The file {path} holds no certificate") from cause


def check_policy(config: NodeConfig, rules: policy.Policy) -> None:
    """Make sure that a policy fits a node: its tables are there, and what its lists are about.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    known = {table.name.lower() for table in config.tables}
    unknown = [name for name in rules.tables if name.lower() not in known]
    if unknown:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"{config.policy}: the policy names the table '{unknown[0]}', which {config.node} does not have.",
            hint=f"Tables of this node: {', '.join(table.name for table in config.tables)}.",
        )
    opposition.check(config, rules)


def _mismatch(message: str) -> errors.ArchipelError:
    return errors.error(
        errors.CONFIG_INVALID, f"{message}.", hint="Certificate, key and manifest come together from the authority."
    )
