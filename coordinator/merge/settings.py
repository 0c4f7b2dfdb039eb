"""The configuration section ``merge``. The default threshold is measured: see ``THRESHOLD_BYTES``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIB = 1024 * 1024

THRESHOLD_BYTES = 128 * MIB
"""Measured: benchmarks/results/merge.md. On one host of two CPUs Ray took 1.7 to 6.4 times as long as in-process below
the threshold (21 MiB: 3.0), and 1.2 to 1.4 times above it: its price is small from here on. A merge in-process of
128 MiB takes half a second, and up to 0.6 GiB of the 4 GiB that all merges in the coordinator's process may."""


class RayMode(Enum):
    """Where Ray comes from."""

    LOCAL = "local"
    """Started on the coordinator's host when it is first needed."""
    EXISTING = "existing"
    """A cluster that is there: ``address``."""
    OFF = "off"
    """Never: every merge is done in the coordinator's process."""


class RaySettings(BaseModel):
    """Ray for large merges.

    The workers of an existing cluster run ``coordinator.merge.partition``: they need the coordinator's image, or at
    least this distribution with the same versions of Python, Ray, DuckDB and pyarrow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: RayMode = Field(default=RayMode.LOCAL, description="local, existing or off.")
    address: str | None = Field(
        default=None,
        min_length=1,
        description="Of an existing cluster: ray://host:10001 (Ray client), or host:6379 on a host of the cluster.",
    )
    token_file: Path | None = Field(
        default=None, description="File with the existing cluster's authentication token (RAY_AUTH_MODE=token)."
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM certificate of this party towards an existing cluster that runs with RAY_USE_TLS=1.",
    )
    tls_key_file: Path | None = Field(default=None, description="PEM key of that certificate.")
    tls_ca_file: Path | None = Field(default=None, description="PEM certificate of the cluster's authority.")
    start_timeout_s: float = Field(
        default=60.0,
        gt=0.0,
        description="How long starting or joining may take. Ray itself would try a refused address far longer.",
    )
    cpus: int | None = Field(default=None, gt=0, description="CPUs of a local Ray; absent: all.")
    object_store_bytes: int = Field(
        default=2048 * MIB,
        ge=80 * MIB,
        description="Shared memory of a local Ray. A merge needs about three times its partials.",
    )
    task_memory_bytes: int = Field(
        default=1024 * MIB, ge=64 * MIB, description="Memory that the engine of one merge task may take."
    )
    max_retries: int = Field(default=3, ge=0, description="How often a task whose worker died is run again.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        existing = {
            "address": self.address,
            "token_file": self.token_file,
            "tls_certificate_file": self.tls_certificate_file,
            "tls_key_file": self.tls_key_file,
            "tls_ca_file": self.tls_ca_file,
        }
        if self.mode is not RayMode.EXISTING:
            given = [name for name, value in existing.items() if value is not None]
            if given:
                raise ValueError(f"{given[0]} has a meaning only when mode is existing")
            return self
        if self.address is None:
            raise ValueError("address is needed when mode is existing")
        tls = [self.tls_certificate_file, self.tls_key_file, self.tls_ca_file]
        if any(tls) and not all(tls):
            raise ValueError("tls_certificate_file, tls_key_file and tls_ca_file go together")
        return self


class MergeSettings(BaseModel):
    """How partial results are merged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold_bytes: int = Field(
        default=THRESHOLD_BYTES, ge=0, description="Partials of this size and above are merged on Ray."
    )
    memory_limit_bytes: int = Field(
        default=4096 * MIB, ge=64 * MIB, description="Memory of all merges in the coordinator's process together."
    )
    ray: RaySettings = Field(default=RaySettings(), description="Ray for large merges.")
