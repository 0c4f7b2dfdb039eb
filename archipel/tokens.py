"""Signed documents: JWS in compact serialisation (RFC 7515), EdDSA over Ed25519 (RFC 8037).

Permits, manifests, requests and receipts are all such tokens and differ by their ``typ`` header, which is
always checked, so that one kind can never be passed off as another. Validity in time is checked by the
caller's clock, handed in as an argument.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CLOCK_SKEW_S = 60
"""How far apart two parties' clocks may be before a token counts as not yet valid."""

MAX_TOKEN_BYTES = 2 * 1024 * 1024


class TokenError(Exception):
    """A token is malformed, of another kind, or its signature does not hold. Holds no content of it."""


def key_id(key: Ed25519PublicKey) -> str:
    """Return the identifier of a public key: SHA-256 of its raw bytes, base64url, as in RFC 7638's spirit."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def encode_public_key(key: Ed25519PublicKey) -> str:
    """Return the raw public key in base64url, as it stands in permits and manifests."""
    return encode_raw_key(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def encode_raw_key(raw: bytes) -> str:
    """Return the bytes of a public key in base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_raw_key(text: str) -> bytes:
    """Return the bytes that ``encode_raw_key`` wrote.

    Raises:
        ValueError: the text is not base64url.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def decode_public_key(text: str) -> Ed25519PublicKey:
    """Return the key that ``encode_public_key`` wrote.

    Raises:
        TokenError: the text is no key.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(decode_raw_key(text))
    except ValueError as cause:
        raise TokenError("not a public key") from cause


def sign(payload: Mapping[str, Any], kind: str, key: Ed25519PrivateKey) -> str:
    """Return ``payload`` as a token of ``kind`` (its ``typ`` header) signed with ``key``."""
    headers = {"typ": kind, "kid": key_id(key.public_key())}
    return jwt.api_jws.encode(_canonical(payload), key, algorithm="EdDSA", headers=headers)


def verify(token: str, kind: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the payload of ``token`` after checking kind and signature (not its validity in time).

    Raises:
        TokenError: malformed, of another kind, or not signed by ``key``.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("token too large")
    try:
        decoded = jwt.api_jws.decode_complete(token, key, algorithms=["EdDSA"])
        if decoded["header"].get("typ") != kind:
            raise TokenError("token of another kind")
        payload = json.loads(decoded["payload"])
        _canonical(payload)  # lone surrogates are no text: nothing behind this could write them down
    except (jwt.PyJWTError, ValueError, RecursionError) as cause:
        raise TokenError("signature does not hold") from cause
    if not isinstance(payload, dict):
        raise TokenError("payload is not an object")
    return payload


def unverified_key_id(token: str) -> str:
    """Return the ``kid`` header: which key the token claims. Nothing is verified by this."""
    try:
        return str(jwt.get_unverified_header(token).get("kid", ""))
    except (jwt.PyJWTError, ValueError, RecursionError) as cause:
        raise TokenError("not a token") from cause


def digest(token: str) -> str:
    """Return the SHA-256 of a token's text in hex: how logs and receipts name it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _canonical(payload: Any) -> bytes:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
