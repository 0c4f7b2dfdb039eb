"""A node's signed statement of what one stage took from it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, ValidationError

from archipel import errors, tokens
from archipel.schema import COORDINATOR

RECEIPT_KIND = "archipel-receipt+jwt"


class ReceiptContent(BaseModel):
    """The payload of a receipt. ``groups`` only where the node's policy lets counts be told. Times in Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    query_id: str
    stage_id: str
    attempt: int
    permit_id: str
    request_sha256: str
    sql_sha256: str
    form: str
    rule: str
    min_persons: int
    bytes: int
    """How many were sent; 0 for data about persons that was sealed for another node, whose size would tell how many."""
    content_sha256: str
    """SHA-256 over what was sent, in order: Arrow frames, or the frames of a sealed stream as they travelled."""
    audit_record: str
    """Hash of the audit record that was written before the release."""
    time: int
    groups: int | None = None
    exchange: str = ""
    """Which exchange it was sealed for; empty for what went to the coordinator."""
    destination: str = COORDINATOR
    """To whom it went: the coordinator or a node by name."""
    checkpoint: str = ""
    """The node's newest checkpoint of its audit log, signed, where its operator lets receipts carry it."""


def sign(content: ReceiptContent, key: Ed25519PrivateKey) -> str:
    """Return the receipt as a token signed by the node."""
    return tokens.sign(content.model_dump(mode="json"), RECEIPT_KIND, key)


def verify(token: str, node_key: Ed25519PublicKey) -> ReceiptContent:
    """Return the receipt's content after checking the node's signature.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    try:
        return ReceiptContent.model_validate(tokens.verify(token, RECEIPT_KIND, node_key))
    except (tokens.TokenError, ValidationError) as cause:
        raise errors.error(errors.BAD_REQUEST, "The receipt is not signed by that node.") from cause


def read_unverified(token: str) -> dict[str, Any]:
    """Return a receipt's payload without checking anything: to find out whose key to check it with.

    Raises:
        ArchipelError: BAD_REQUEST when it is no receipt.
    """
    import jwt

    try:
        payload = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
        kind = jwt.get_unverified_header(token).get("typ")
    except jwt.PyJWTError as cause:
        raise errors.error(errors.BAD_REQUEST, "This is no receipt.") from cause
    if kind != RECEIPT_KIND:
        raise errors.error(errors.BAD_REQUEST, "This is a signed document, but no receipt.")
    return dict(payload)
