"""Writes what a federation on one machine needs to start: keys, permits, and every party's configuration files.

The files are the ones an operator would write; nothing here is known to the programs that read them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from archipel import federation

PERMIT_DAYS = 30

NOT_COMPARED: Mapping[str, Any] = {"ledger": {"differences": "allow"}}
"""For ``node_policy``: answers are not compared with earlier ones, so that made-up persons may be asked for at will."""


@dataclass(frozen=True, slots=True)
class TableSetup:
    """A table of a node: where its rows are and what its policy lets out (a mapping as in the policy file)."""

    name: str
    path: Path
    policy: Mapping[str, Any]
    description: str = ""
    person_column: str | None = None
    person_domain: str | None = None
    site_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    distribution: str = "sharded"
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """A node: its holder and its tables."""

    name: str
    holder: str
    tables: tuple[TableSetup, ...]
    limits: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    """What the policy says of the whole node; without ``approval`` nobody is asked, since nobody would answer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a local federation lies."""

    directory: Path
    address: str
    coordinator_config: Path
    node_configs: Mapping[str, Path]
    permit: Path
    key: Path

    @property
    def authority_dir(self) -> Path:
        """The development authority's keys."""
        return self.directory / "federation" / "authority"

    def state_dir(self, node: str) -> Path:
        """A node's own directory: its audit log."""
        return self.directory / "nodes" / node / "state"


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_layout(
    directory: Path,
    nodes: Sequence[NodeSetup],
    *,
    researcher: str = "alice",
    project: str = "demo",
    purpose: str = "Demonstration on made-up data",
    coordinator_settings: Mapping[str, Any] | None = None,
    telemetry: Mapping[str, Any] | None = None,
    node_policy: Mapping[str, Any] | None = None,
) -> Layout:
    """Create a development federation of ``nodes`` in ``directory`` and every configuration file in it.

    ``coordinator_settings`` replaces whole sections of the coordinator's configuration; ``node_policy`` is what every
    node's policy says of the whole node, beside its own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    keys = directory / "federation"
    tables = sorted({table.name for node in nodes for table in node.tables})
    federation.init(
        keys,
        federation="demo",
        nodes=[federation.NodeSpec(name=node.name, holder=node.holder) for node in nodes],
        researcher=researcher,
        project=project,
        purpose=purpose,
        tables={name: ["*"] for name in tables},
        valid_days=PERMIT_DAYS,
    )
    address = f"localhost:{free_port()}"
    coordinator_dir = directory / "coordinator"
    coordinator_dir.mkdir(exist_ok=True)
    coordinator: dict[str, Any] = {
        "listen": address,
        "tls": _tls(keys / "coordinator"),
        "federation": _federation(keys / "coordinator"),
        "store": {"url": f"sqlite:///{coordinator_dir / 'coordinator.db'}"},
        **({"telemetry": dict(telemetry)} if telemetry else {}),
        **(coordinator_settings or {}),
    }
    coordinator_config = _write(coordinator_dir / "coordinator.yaml", coordinator)
    node_configs = {
        node.name: _write_node(
            directory,
            keys / "nodes" / node.name,
            replace(node, policy={**(node_policy or {}), **node.policy}),
            address,
            telemetry,
        )
        for node in nodes
    }
    researcher_dir = keys / "researchers" / researcher
    return Layout(
        directory=directory,
        address=address,
        coordinator_config=coordinator_config,
        node_configs=node_configs,
        permit=researcher_dir / "permit.jwt",
        key=researcher_dir / f"{researcher}.pem",
    )


def _write_node(
    directory: Path, keys: Path, node: NodeSetup, address: str, telemetry: Mapping[str, Any] | None
) -> Path:
    own = directory / "nodes" / node.name
    own.mkdir(parents=True, exist_ok=True)
    folders = sorted({table.path.parent for table in node.tables})
    source_names = {folder: f"{folder.name or 'data'}_{index}" for index, folder in enumerate(folders)}
    rules = {
        "version": 1,
        "node": {"approval": "auto", **node.policy},
        "tables": {table.name: dict(table.policy) for table in node.tables},
    }
    policy = _write(own / "policy.yaml", rules)
    config: dict[str, Any] = {
        "node": node.name,
        "coordinator": address,
        "tls": _tls(keys),
        "federation": _federation(keys),
        "signing_key": str(keys / "signing.pem"),
        "sealing_key": str(keys / "sealing.pem"),
        "linkage_secret": str(keys / "linkage.json"),
        "state_dir": str(own / "state"),
        "policy": str(policy),
        "limits": {"threads": 1, "memory_limit": "1GB", **node.limits},
        "sources": [
            {"name": source_names[folder], "kind": "files", "path": str(folder), "format": _format_of(node, folder)}
            for folder in folders
        ],
        "tables": [_table_entry(table, source_names[table.path.parent]) for table in node.tables],
        **({"telemetry": dict(telemetry)} if telemetry else {}),
    }
    return _write(own / "node.yaml", config)


def _format_of(node: NodeSetup, folder: Path) -> str:
    return next(table.path.suffix.lstrip(".") for table in node.tables if table.path.parent == folder)


def _table_entry(table: TableSetup, source: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": table.name,
        "source": source,
        "file": table.path.name,
        "description": table.description,
        "distribution": table.distribution,
    }
    if table.person_column is not None:
        entry["person_column"] = table.person_column
    if table.person_domain is not None:
        entry["person_domain"] = table.person_domain
    if table.site_keys:
        entry["site_keys"] = {name: list(columns) for name, columns in table.site_keys.items()}
    if table.columns:
        entry["columns"] = dict(table.columns)
    return entry


def _tls(keys: Path) -> dict[str, str]:
    return {
        "certificate": str(keys / "tls.crt"),
        "private_key": str(keys / "tls.key"),
        "authority": str(keys / "ca.crt"),
    }


def _federation(keys: Path) -> dict[str, str]:
    return {"manifest": str(keys / "manifest.jwt"), "authority_key": str(keys / "authority.pub")}


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
