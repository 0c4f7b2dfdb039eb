"""Puts a coordinator together from its configuration: keys, manifest, store, planner, merger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archipel import errors, identity, manifest, tls
from archipel.manifest import Manifest
from coordinator.catalog import Catalog
from coordinator.config import CoordinatorConfig, TlsSection
from coordinator.plan import Plan
from coordinator.planning import Planner, ShadowLike
from coordinator.stage_work import MergerLike
from coordinator.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server is made of. Tests hand in a planner of their own."""

    config: CoordinatorConfig
    manifest: Manifest
    authority_key: Ed25519PublicKey
    credentials: grpc.ServerCredentials
    store: Store
    merger: MergerLike
    planner: Planner
    shadow: Callable[[Catalog], ShadowLike]
    explain_text: Callable[[Plan], str]


def assemble(config: CoordinatorConfig) -> Parts:
    """Return the parts of a configuration; the server that gets them closes them.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    from coordinator.planner import explain_text, plan
    from coordinator.planner.rules import EVERY_RULE

    rules = replace(EVERY_RULE, stage_bytes=config.planner.stage_bytes).without(config.planner.disable)
    return assemble_with(config, planner=partial(plan, rules=rules), explain_text=explain_text)


def assemble_with(config: CoordinatorConfig, *, planner: Planner, explain_text: Callable[[Plan], str]) -> Parts:
    """Return the parts of a configuration with a planner of the caller's.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    from coordinator.merge.merger import Merger
    from coordinator.shadow import Shadow

    authority_key, federation = read_federation(config)
    return Parts(
        config=config,
        manifest=federation,
        authority_key=authority_key,
        credentials=check_tls(config.tls, federation, now=datetime.now(UTC)),
        store=Store(config.store.url),
        merger=Merger(config.merge),
        planner=planner,
        shadow=Shadow,
        explain_text=explain_text,
    )


def read_federation(config: CoordinatorConfig) -> tuple[Ed25519PublicKey, Manifest]:
    """Return the authority's key and the manifest that it signed.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    authority_key = identity.load_public_key(config.federation.authority_key)
    token = _read(config.federation.manifest, "The manifest").decode("utf-8", "replace").strip()
    return authority_key, manifest.verify(token, authority_key)


def check_tls(files: TlsSection, federation: Manifest, *, now: datetime) -> grpc.ServerCredentials:
    """Return the server's credentials, after checking what would otherwise only fail at the first handshake.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    certificate = _certificate(files.certificate)
    _certificate(files.authority)
    try:
        key = serialization.load_pem_private_key(_read(files.private_key, "The private key"), password=None)
    except (ValueError, TypeError) as cause:
        raise _invalid(f"The file {files.private_key} holds no private key without a password.") from cause
    if key.public_key() != certificate.public_key():
        raise _invalid(f"The key {files.private_key} is not the one of the certificate {files.certificate}.")
    try:
        own = tls.identity_of(certificate)
    except errors.ArchipelError as cause:
        raise _invalid(f"{files.certificate}: {cause.info.message}") from cause
    if own.kind != "coordinator" or own.federation != federation.federation:
        raise _invalid(f"The certificate {files.certificate} is not that of a coordinator of this federation.")
    if own.certificate_sha256 != federation.coordinator_certificate_sha256:
        raise _invalid(f"The manifest names another coordinator's key than that of {files.certificate}.")
    if certificate.not_valid_after_utc <= now:
        raise _invalid(f"The certificate {files.certificate} expired on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    return tls.server_credentials(tls.TlsFiles(files.certificate, files.private_key, files.authority))


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path, "The certificate"))
    except ValueError as cause:
        raise _invalid(f"The file {path} holds no certificate.") from cause


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise _invalid(f"{what} {path} cannot be read: {cause.strerror}.") from cause


def _invalid(message: str) -> errors.ArchipelError:
    return errors.error(errors.CONFIG_INVALID, message, hint="Check the path, and that the files belong together.")
