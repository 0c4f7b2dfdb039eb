"""Key files: Ed25519 for signing, X25519 for sealing, EC P-256 for TLS; all PEM, private ones for the owner only.

A researcher's identity is one PEM file with four blocks: the signing key, the TLS key, the TLS certificate and the
authority's certificate.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from archipel import errors, tls

PrivateKey = Ed25519PrivateKey | X25519PrivateKey | ec.EllipticCurvePrivateKey

_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\n?", re.DOTALL)


def private_pem(key: PrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; the mode holds from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        os.fchmod(sink.fileno(), 0o600)
        sink.write(content)


def write_public_key(path: Path, key: Ed25519PublicKey) -> None:
    """Write an Ed25519 public key as PEM."""
    path.write_bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the Ed25519 private key in a PEM file.

    Raises:
        ArchipelError: CONFIG_INVALID when the file cannot be read or holds no such key.
    """
    key = _load_private_key(path, "an Ed25519 private key")
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "an Ed25519 private key")
    return key


def load_sealing_key(path: Path) -> X25519PrivateKey:
    """Return the X25519 private key in a PEM file.

    Raises:
        ArchipelError: CONFIG_INVALID when the file cannot be read or holds no such key.
    """
    key = _load_private_key(path, "an X25519 private key")
    if not isinstance(key, X25519PrivateKey):
        raise _no_key(path, "an X25519 private key")
    return key


def _load_private_key(path: Path, words: str) -> object:
    try:
        return serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as cause:
        raise _no_key(path, words) from cause


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the Ed25519 public key in a PEM file.

    Raises:
        ArchipelError: CONFIG_INVALID when the file cannot be read or holds no such key.
    """
    try:
        key = serialization.load_pem_public_key(_read(path))
    except ValueError as cause:
        raise _no_key(path, "an Ed25519 public key") from cause
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "an Ed25519 public key")
    return key


@dataclass(frozen=True, slots=True)
class ResearcherIdentity:
    """What a researcher connects with."""

    name: str
    signing_key: Ed25519PrivateKey
    tls_key_pem: bytes
    certificate_pem: bytes
    authority_pem: bytes

    @classmethod
    def load(cls, path: Path) -> ResearcherIdentity:
        """Read the one-file identity.

        Raises:
            ArchipelError: CONFIG_INVALID when a block is missing.
        """
        signing: Ed25519PrivateKey | None = None
        tls_key = b""
        certificates: list[bytes] = []
        for block in _BLOCK.findall(_read(path)):
            try:
                if b"CERTIFICATE" in block.splitlines()[0]:
                    x509.load_pem_x509_certificate(block)
                    certificates.append(block)
                    continue
                key = serialization.load_pem_private_key(block, password=None)
            except (ValueError, TypeError) as cause:
                raise _no_key(path, "a researcher's identity") from cause
            if isinstance(key, Ed25519PrivateKey):
                signing = key
            elif isinstance(key, ec.EllipticCurvePrivateKey):
                tls_key = block
        if signing is None or not tls_key or len(certificates) != 2:
            raise _no_key(path, "a researcher's identity (signing key, TLS key, certificate, authority)")
        own = tls.identity_of(x509.load_pem_x509_certificate(certificates[0]))
        return cls(own.name, signing, tls_key, certificates[0], certificates[1])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The key file {path} cannot be read.", hint="Check the path and its permissions."
        ) from cause


def _no_key(path: Path, wanted: str) -> errors.ArchipelError:
    return errors.error(errors.CONFIG_INVALID, f"The file {path} does not hold {wanted}.", hint="Was it swapped?")
