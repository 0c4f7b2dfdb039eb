"""The configuration of a node: read once at start, frozen, passed down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from archipel import configuration
from archipel.telemetry.settings import TelemetrySettings


class TlsSection(configuration.Section):
    """PEM files of this node's certificate and key, and the federation's certificate authority."""

    certificate: Path
    private_key: Path
    authority: Path


class FederationSection(configuration.Section):
    """The signed manifest and the authority's public key, pinned here."""

    manifest: Path
    authority_key: Path


class LimitsSection(configuration.Section):
    """What the engine may use."""

    threads: int = Field(default=2, ge=1, le=256)
    memory_limit: str = Field(default="2GB", pattern=r"^\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$")
    max_concurrent_tasks: int = Field(default=4, ge=1, le=256)
    max_queued_tasks: int = Field(default=64, ge=0, le=10_000)
    statement_timeout_s: float = Field(default=600.0, gt=0)
    spill_dir: Path | None = None
    """Where the engine may spill; a folder of its own under state_dir when absent."""
    max_spill: str = Field(default="10GB", pattern=r"^\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$")
    drain_s: float = Field(default=30.0, ge=0)
    """How long running tasks may go on after SIGTERM."""


class SourceSection(configuration.Section):
    """Where rows are: a folder of files, or one DuckDB file."""

    name: str = Field(min_length=1)
    kind: Literal["files", "duckdb"]
    path: Path
    format: Literal["parquet", "csv"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SourceSection:
        if self.kind == "files" and self.format is None:
            raise ValueError("a source of kind files needs a format: parquet or csv")
        if self.kind == "duckdb" and self.format is not None:
            raise ValueError("a source of kind duckdb has no format")
        return self


class TableSection(configuration.Section):
    """A table of the federation and where its rows are."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")
    source: str
    file: str | None = None
    """For a source of kind files: a file name or a pattern with * in the source's folder."""
    table: str | None = None
    """For a source of kind duckdb: the table in it; the same name when absent."""
    description: str = ""
    person_column: str | None = None
    person_domain: str | None = None
    """Which identifiers the person column holds; columns of equal domains may be joined. The column's name when absent."""
    site_keys: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    distribution: Literal["sharded", "replicated"] = "sharded"
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Descriptions of columns."""
    types: Mapping[str, str] = Field(default_factory=dict)
    """For CSV: the type of each column; text when absent."""


class NodeConfig(configuration.Section):
    """A node's configuration file."""

    node: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    coordinator: str = Field(pattern=r"^[^:\s]+:\d{1,5}$")
    tls: TlsSection
    federation: FederationSection
    signing_key: Path
    state_dir: Path
    policy: Path
    sources: tuple[SourceSection, ...] = Field(min_length=1)
    tables: tuple[TableSection, ...] = Field(min_length=1)
    limits: LimitsSection = LimitsSection()
    health_listen: str | None = None
    compress: bool = False
    """Compress what is delivered with zstd: worth it over networks, not on loopback."""
    telemetry: TelemetrySettings = TelemetrySettings(service_name="archipel-node")

    @model_validator(mode="after")
    def _consistent(self) -> NodeConfig:
        sources = {source.name: source for source in self.sources}
        if len(sources) < len(self.sources):
            raise ValueError("two sources have the same name")
        seen: set[str] = set()
        for table in self.tables:
            if table.name.lower() in seen:
                raise ValueError(f"the table '{table.name}' stands twice")
            seen.add(table.name.lower())
            source = sources.get(table.source)
            if source is None:
                raise ValueError(
                    f"the table '{table.name}' names the source '{table.source}'; there are: {', '.join(sources)}"
                )
            if source.kind == "files" and table.file is None:
                raise ValueError(f"the table '{table.name}' needs 'file'")
            if table.file is not None and ("/" in table.file or ".." in table.file):
                raise ValueError(f"'file' of the table '{table.name}' is a name in the source's folder, not a path")
        return self


def load(path: Path) -> NodeConfig:
    """Return the configuration in a file.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    return configuration.load(path, NodeConfig)
