"""gRPC credentials and who the peer of a call is. Mutual TLS always; there is no plaintext mode.

A certificate of the federation carries one URI in its subject alternative names:
``archipel://<federation>/<kind>/<name>`` with kind ``node``, ``coordinator`` or ``researcher``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from archipel import errors

KEEPALIVE_MS = 30_000
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)

SERVER_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: this party's certificate and key, and the certificate authority of the federation."""

    certificate: Path
    private_key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who is at the other end: from the certificate that the TLS handshake verified.

    ``certificate_sha256`` is the SHA-256 of its SubjectPublicKeyInfo in hex, as in the manifest.
    """

    kind: str
    name: str
    federation: str
    certificate_sha256: str


def read(path: Path) -> bytes:
    """Return the content of a PEM file.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    try:
        return path.read_bytes()
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The file {path} cannot be read.", hint="Check the path and its permissions."
        ) from cause


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials of a server that lets in only peers with a certificate of the federation's authority."""
    pair = (read(files.private_key), read(files.certificate))
    return grpc.ssl_server_credentials([pair], root_certificates=read(files.authority), require_client_auth=True)


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return credentials of a client, from files."""
    return channel_credentials_from_pem(read(files.certificate), read(files.private_key), read(files.authority))


def channel_credentials_from_pem(certificate: bytes, private_key: bytes, authority: bytes) -> grpc.ChannelCredentials:
    """Return credentials of a client, from PEM bytes."""
    return grpc.ssl_channel_credentials(
        root_certificates=authority, private_key=private_key, certificate_chain=certificate
    )


def certificate_digest(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's SubjectPublicKeyInfo in hex."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def identity_of(certificate: x509.Certificate) -> PeerIdentity:
    """Return who a certificate speaks for.

    Raises:
        ArchipelError: IDENTITY when it has no, or more than one, name of a federation.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = [
            uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith("archipel://")
        ]
    except x509.ExtensionNotFound:
        uris = []
    parts = urlsplit(uris[0]) if len(uris) == 1 else None
    path = parts.path.strip("/").split("/") if parts else []
    if parts is None or len(path) != 2 or not parts.netloc:
        raise errors.error(errors.IDENTITY, "The certificate names no party of a federation.")
    return PeerIdentity(path[0], path[1], parts.netloc, certificate_digest(certificate))


def peer_identity(context: Any) -> PeerIdentity:
    """Return who makes a call; ``context`` is grpc's or grpc.aio's servicer context.

    Raises:
        ArchipelError: IDENTITY.
    """
    found = context.auth_context().get("x509_pem_cert", [])
    if len(found) != 1:
        raise errors.error(errors.IDENTITY, "The call carries no certificate.")
    return _identity_in(found[0])


@lru_cache(maxsize=1024)
def _identity_in(pem: bytes) -> PeerIdentity:
    """The same certificate comes with every call of a connection; reading it takes as long as a small handler."""
    return identity_of(x509.load_pem_x509_certificate(pem))
