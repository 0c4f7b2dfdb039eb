"""The configuration section ``telemetry``. Nothing here reads the environment or starts anything."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TelemetrySettings(BaseModel):
    """Where traces and metrics go. Without ``otlp_endpoint`` nothing is measured or sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    otlp_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="OTLP over gRPC: host:port of this party's own collector. Absent: telemetry is off.",
    )
    service_name: str = Field(default="archipel", min_length=1, description="Value of service.name.")
    insecure: bool = Field(
        default=False, description="Send in plain text. Only for a collector on the same host or in the same pod."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authority of the collector's certificate; else the system's."
    )
    headers_file: Path | None = Field(
        default=None,
        description="File with one 'name: value' a line, sent to the collector, such as an authorisation token.",
    )
    sample_ratio: float = Field(
        default=1.0, ge=0.0, le=1.0, description="Share of traces kept; a parent's decision is followed."
    )
    metrics_interval_s: float = Field(default=60.0, gt=0.0, description="Seconds between two exports of metrics.")
    export_timeout_s: float = Field(
        default=10.0, gt=0.0, description="Seconds that one export, and the last one at shutdown, may take."
    )

    @model_validator(mode="after")
    def _no_authority_for_plain_text(self) -> Self:
        if self.insecure and self.ca_file is not None:
            raise ValueError("ca_file has no meaning when insecure is true")
        return self
