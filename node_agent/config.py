"""The configuration of a node: read once at start, frozen, passed down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from archipel import configuration
from archipel.linkage import PADS_TABLE
from archipel.telemetry.settings import TelemetrySettings


class TlsSection(configuration.Section):
    """PEM files of this node's certificate and key, and the federation's certificate authority."""

    certificate: Path = Field(description="This node's certificate.")
    private_key: Path = Field(description="Its private key; readable by the agent's user only.")
    authority: Path = Field(description="The certificate of the federation's authority.")


class FederationSection(configuration.Section):
    """The signed manifest and the authority's public key, pinned here."""

    manifest: Path = Field(description="The federation manifest, as the authority signed it.")
    authority_key: Path = Field(description="The authority's public key. Nothing it did not sign is believed.")


_SIZE = r"^\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"


class LimitsSection(configuration.Section):
    """What the engine may use."""

    threads: int = Field(default=2, ge=1, le=256, description="Threads of the engine, for all statements together.")
    memory_limit: str = Field(default="2GB", pattern=_SIZE, description="Memory of the engine, such as 4GB.")
    max_concurrent_tasks: int = Field(default=4, ge=1, le=256, description="Statements that run at the same time.")
    max_queued_tasks: int = Field(default=64, ge=0, le=10_000, description="Tasks that may wait; more are refused.")
    statement_timeout_s: float = Field(default=600.0, gt=0, description="Seconds after which a statement is stopped.")
    spill_dir: Path | None = Field(
        default=None, description="Where the engine may spill; absent: the folder spill in state_dir."
    )
    max_spill: str = Field(default="10GB", pattern=_SIZE, description="How much it may spill.")
    max_release_bytes: int = Field(
        default=1 << 30, ge=1, description="Most bytes that one task may release; held in memory before they leave."
    )
    max_input_bytes: int = Field(
        default=1 << 28, ge=1, description="Most bytes of an input that the coordinator gives a task."
    )
    max_received_bytes: int = Field(
        default=1 << 33, ge=1, description="Most bytes of an input that other nodes sealed for this one."
    )
    received_memory_bytes: int = Field(
        default=1 << 26, ge=0, description="What such an input may take in memory; a larger one goes encrypted to disk."
    )
    drain_s: float = Field(default=30.0, ge=0, description="Seconds that running tasks may go on after SIGTERM.")


class AuditSection(configuration.Section):
    """How the audit log is signed, and how long it is kept."""

    checkpoint_records: int = Field(
        default=1_000, ge=1, description="Sign a checkpoint of the audit log after so many new records."
    )
    checkpoint_s: float = Field(
        default=3_600.0, ge=1, description="Sign one at least every so many seconds while there are new records."
    )
    checkpoint_in_receipts: bool = Field(
        default=False,
        description="Put the newest checkpoint into every receipt, so that researchers hold what shows a rewritten "
        "log. It tells them how many records the log has.",
    )
    retention_days: int = Field(
        default=396,
        ge=365,
        description="Days that records are kept: 13 months unless said otherwise, and never less than the year for "
        "which access logs are to be kept.",
    )
    purge: bool = Field(
        default=False,
        description="Purge older records by itself, at its start. Without it nothing is removed but by "
        "`archipel audit purge`.",
    )


class SourceSection(configuration.Section):
    """Where rows are: a folder of files, or one DuckDB file."""

    name: str = Field(min_length=1, description="A name of your choice, for the tables to refer to.")
    kind: Literal["files", "duckdb"] = Field(description="files: a folder of files; duckdb: one DuckDB file.")
    path: Path = Field(description="The folder, or the DuckDB file. It is opened for reading only.")
    format: Literal["parquet", "csv"] | None = Field(default=None, description="For kind files.")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="For CSV: what stands between fields.")

    @model_validator(mode="after")
    def _consistent(self) -> SourceSection:
        if self.kind == "files" and self.format is None:
            raise ValueError("a source of kind files needs a format: parquet or csv")
        if self.kind == "duckdb" and self.format is not None:
            raise ValueError("a source of kind duckdb has no format")
        return self


class TableSection(configuration.Section):
    """A table of the federation and where its rows are."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$", description="The table's name in the federation.")
    source: str = Field(description="Name of the source that holds it.")
    file: str | None = Field(
        default=None, description="For kind files: a file name, or a pattern with *, in the source's folder."
    )
    table: str | None = Field(
        default=None, description="For kind duckdb: the table in the file, or schema.table; absent: the same name."
    )
    description: str = Field(default="", description="What researchers read about the table.")
    person_column: str | None = Field(
        default=None, description="Whose data a row is about. Every protected table needs one."
    )
    person_domain: str | None = Field(
        default=None,
        description="Which identifiers the person column holds; columns of equal domains may be joined. "
        "Absent: the column's name.",
    )
    site_keys: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Name of a key: its columns. For keys whose values never match across nodes, such as stay numbers.",
    )
    distribution: Literal["sharded", "replicated"] = Field(
        default="sharded",
        description="sharded: this node's own rows; replicated: every node that has it has all of it.",
    )
    columns: Mapping[str, str] = Field(default_factory=dict, description="Column: its description for researchers.")
    types: Mapping[str, str] = Field(
        default_factory=dict, description="For CSV: column: its type, such as INTEGER or DATE; text when absent."
    )


class NodeTelemetry(TelemetrySettings):
    """Telemetry under the node agent's own name."""

    service_name: str = Field(default="archipel-node", min_length=1, description="Value of service.name.")
    audit_events: bool = Field(
        default=False,
        description="Also send an event (OTLP log) for each audit record: kind, decision, rule, identifiers, form, "
        "bytes, duration; no SQL and no value.",
    )


class NodeConfig(configuration.Section):
    """A node's configuration file."""

    node: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="This node's name in the manifest.")
    coordinator: str = Field(pattern=r"^[^:\s]+:\d{1,5}$", description="host:port that the agent dials.")
    tls: TlsSection
    federation: FederationSection
    signing_key: Path = Field(description="Private key that signs receipts; its public half is in the manifest.")
    sealing_key: Path | None = Field(
        default=None,
        description="Private key for the exchange with other nodes; its public half is in the manifest. Absent: this "
        "node seals nothing for other nodes and takes nothing from them.",
    )
    linkage_secret: Path | None = Field(
        default=None,
        description="The holders' shared secret behind project pseudonyms, with its epoch. Absent: no person of this "
        "node is linked with those of other nodes.",
    )
    state_dir: Path = Field(
        description="Folder of what the node has to remember: audit log, evidence, ledger, approvals, stops. On a "
        "local disk that is backed up.",
    )
    audit: AuditSection = AuditSection()
    policy: Path = Field(description="The policy file; see policy-reference.md.")
    sources: tuple[SourceSection, ...] = Field(min_length=1)
    tables: tuple[TableSection, ...] = Field(min_length=1)
    limits: LimitsSection = LimitsSection()
    health_listen: str | None = Field(
        default=None,
        description="host:port for health probes (grpc.health.v1 in plain text). Absent: no port is opened.",
    )
    compress: bool = Field(
        default=False, description="Compress deliveries with zstd: worth it over networks, not on loopback."
    )
    telemetry: NodeTelemetry = NodeTelemetry()

    @model_validator(mode="after")
    def _consistent(self) -> NodeConfig:
        sources = {source.name: source for source in self.sources}
        if len(sources) < len(self.sources):
            raise ValueError("two sources have the same name")
        if self.linkage_secret is not None and self.sealing_key is None:
            raise ValueError("'linkage_secret' needs 'sealing_key': pseudonyms go to other nodes only")
        seen: set[str] = {PADS_TABLE.lower()}
        for table in self.tables:
            if table.name.lower() == PADS_TABLE.lower():
                raise ValueError(f"the name '{table.name}' is Archipel's own")
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
            if source.kind == "duckdb" and table.file is not None:
                raise ValueError(f"the table '{table.name}' is in a DuckDB file: it has 'table', not 'file'")
            if table.types and source.format != "csv":
                raise ValueError(f"the table '{table.name}' has 'types', which only CSV files need")
            if table.file is not None and ("/" in table.file or ".." in table.file):
                raise ValueError(f"'file' of the table '{table.name}' is a name in the source's folder, not a path")
        return self


def load(path: Path) -> NodeConfig:
    """Return the configuration in a file.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    return configuration.load(path, NodeConfig)
