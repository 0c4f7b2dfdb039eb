"""The configuration of a coordinator: read once at start, frozen, passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from archipel import configuration
from archipel.telemetry.settings import TelemetrySettings
from coordinator.merge.settings import MergeSettings

MIB = 1024 * 1024


class TlsSection(configuration.Section):
    """PEM files of the coordinator's certificate and key, and the federation's certificate authority."""

    certificate: Path
    private_key: Path
    authority: Path


class FederationSection(configuration.Section):
    """The signed manifest and the authority's public key, pinned here."""

    manifest: Path
    authority_key: Path


class StoreSection(configuration.Section):
    """Where queries, events, results and registrations are kept. One coordinator process for each store."""

    url: str = Field(min_length=1)
    """An SQLAlchemy URL: ``sqlite:////path/coordinator.db`` or ``postgresql+psycopg://...``."""
    results_keep_s: float = Field(default=24 * 3600.0, gt=0)
    """How long a result can be fetched; afterwards its rows are deleted."""


class LimitsSection(configuration.Section):
    """What queries, results and nodes may take."""

    max_result_rows: int = Field(default=1_000_000, ge=1)
    max_result_bytes: int = Field(default=256 * MIB, ge=1)
    max_stage_bytes: int = Field(default=512 * MIB, ge=1)
    """Most bytes of one stage's output at one node."""
    max_concurrent_queries: int = Field(default=16, ge=1, le=1_000)
    max_queued_queries: int = Field(default=256, ge=0, le=100_000)
    plan_timeout_s: float = Field(default=30.0, gt=0)
    heartbeat_interval_s: int = Field(default=5, ge=1, le=300)
    """How often a node reports; after three intervals of silence it is lost."""
    drain_s: float = Field(default=25.0, ge=0)
    """How long running queries may go on after SIGTERM."""


class RelaySection(configuration.Section):
    """What nodes seal for each other passes through here; it is ciphertext, and waits until its receivers take it."""

    directory: Path | None = None
    """Where what does not fit into memory waits, in files without a name; absent: the system's temporary folder."""
    memory_bytes: int = Field(default=64 * MIB, ge=0)
    """Most bytes that wait in memory, of all queries together."""
    max_bytes: int = Field(default=2 * 1024 * MIB, ge=1)
    """Most bytes that wait in memory and on disk; senders are kept waiting then."""


Optimisation = Literal[
    "pushdown", "local_joins", "semijoin", "bloom", "eager", "shuffle", "topk", "pruning", "common_subplans"
]


class PlannerSection(configuration.Section):
    """How queries are planned. Nothing here changes an answer."""

    disable: tuple[Optimisation, ...] = ()
    """Optimisations that are left out, so that the worth of each can be measured."""
    stage_bytes: int = Field(default=262_144, ge=0)
    """What one more stage between nodes is taken to cost, beside the bytes that it sends: as many bytes as the network
    carries while a stage begins. More suits a fast network, less a slow one."""


class TelemetrySection(TelemetrySettings):
    """Where the coordinator's traces and metrics go; off without ``otlp_endpoint``."""

    service_name: str = Field(default="archipel-coordinator", min_length=1, description="Value of service.name.")


class CoordinatorConfig(configuration.Section):
    """A coordinator's configuration file."""

    listen: str = Field(pattern=r"^(\[[0-9A-Fa-f:]+\]|[^:\s]+):\d{1,5}$")
    tls: TlsSection
    federation: FederationSection
    store: StoreSection
    merge: MergeSettings = MergeSettings()
    limits: LimitsSection = LimitsSection()
    relay: RelaySection = RelaySection()
    planner: PlannerSection = PlannerSection()
    health_listen: str | None = Field(default=None, pattern=r"^(\[[0-9A-Fa-f:]+\]|[^:\s]+):\d{1,5}$")
    """A plaintext port for probes that speak no TLS; serves health and nothing else."""
    reflection: bool = False
    """Whether gRPC reflection is served, to parties of the federation only."""
    telemetry: TelemetrySection = TelemetrySection()


def load(path: Path) -> CoordinatorConfig:
    """Return the configuration in a file.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    return configuration.load(path, CoordinatorConfig)
