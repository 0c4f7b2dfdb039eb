"""Signed checkpoints of a node's audit log, and short documents that prove something of it to who has neither.

A checkpoint is the node's signed statement of how many records its log has and of the Merkle root over them. A leaf of
the tree is the hash of a record, which is the SHA-256 of its canonical bytes and what receipts name; so a proof shows
that a record is in the log without showing the record.

What a proof cannot show: that a node shows everybody the same log. Whoever holds two checkpoints of a node asks it for
their consistency.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from archipel import errors, merkle, tokens
from archipel.manifest import Manifest

CHECKPOINT_KIND = "archipel-checkpoint+jwt"
MAX_DOCUMENT_BYTES = 64 * 1024

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Checkpoint(_Model):
    """The payload of a checkpoint. ``time`` is Unix seconds, ``root`` over the first ``size`` records."""

    federation: str
    node: str
    size: int = Field(ge=0)
    root: Hex
    time: int


class Inclusion(_Model):
    """The document that shows a record to be in a log. ``index`` counts from 0."""

    format: Literal["archipel-inclusion/1"] = "archipel-inclusion/1"
    record: Hex
    index: int = Field(ge=0)
    path: tuple[Hex, ...] = Field(max_length=64)
    checkpoint: str


class Consistency(_Model):
    """The document that shows the log of one checkpoint to be the beginning of that of another."""

    format: Literal["archipel-consistency/1"] = "archipel-consistency/1"
    path: tuple[Hex, ...] = Field(max_length=128)
    first: str
    second: str


Proof = Inclusion | Consistency
_PROOFS: TypeAdapter[Proof] = TypeAdapter(Annotated[Proof, Field(discriminator="format")])


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return the bytes that the hash of an audit record is over."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")  # what was asked is kept even when it is no proper text


def record_hash(record: Mapping[str, Any]) -> str:
    """Return the hash of an audit record that does not hold it."""
    return hashlib.sha256(canonical(record)).hexdigest()


def leaf(record: str) -> bytes:
    """Return the leaf of the record with that hash (hex)."""
    return merkle.leaf_hash(bytes.fromhex(record))


def sign(content: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return the checkpoint as a token signed by the node."""
    return tokens.sign(content.model_dump(mode="json"), CHECKPOINT_KIND, key)


def verify_checkpoint(token: str, key: Ed25519PublicKey) -> Checkpoint:
    """Return the checkpoint in ``token`` after checking that it was signed with ``key``.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    try:
        return Checkpoint.model_validate(tokens.verify(token, CHECKPOINT_KIND, key))
    except (tokens.TokenError, ValidationError) as cause:
        raise _bad("The checkpoint is not signed by that node") from cause


def read_checkpoint(token: str) -> Checkpoint:
    """Return what a checkpoint says without checking its signature.

    Raises:
        ArchipelError: BAD_REQUEST when it is none.
    """
    import jwt

    try:
        if jwt.get_unverified_header(token).get("typ") != CHECKPOINT_KIND:
            raise _bad("This is no checkpoint")
        return Checkpoint.model_validate_json(token_payload(token))
    except (jwt.PyJWTError, ValueError, RecursionError) as cause:
        raise _bad("This is no checkpoint") from cause


def token_payload(token: str) -> bytes:
    """Return the bytes that a token carries; nothing is checked.

    Raises:
        ValueError: it is no token.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a token")
    return tokens.decode_raw_key(parts[1])


def checkpoint_of(token: str, federation: Manifest) -> Checkpoint:
    """Return a checkpoint after checking it against the manifest: federation, node, and that node's key.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    claimed = read_checkpoint(token)
    entry = federation.node(claimed.node)
    if claimed.federation != federation.federation:
        raise _bad("The checkpoint is of another federation")
    if entry is None:
        raise _bad("The manifest names no node of the checkpoint's name")
    return verify_checkpoint(token, tokens.decode_public_key(entry.signing_key))


def read(text: str) -> Proof:
    """Return the proof in a JSON document.

    Raises:
        ArchipelError: BAD_REQUEST when it is none.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_DOCUMENT_BYTES:
        raise _bad("The proof is too large to be one")
    try:
        return _PROOFS.validate_python(json.loads(text))
    except (ValueError, RecursionError) as cause:
        raise _bad("This is no proof of inclusion or consistency") from cause


def write(document: Proof) -> str:
    """Return a proof as a JSON document."""
    return json.dumps(document.model_dump(mode="json"), indent=1) + "\n"


def verify(document: Proof, federation: Manifest) -> dict[str, Any]:
    """Return what a proof shows, after checking it and its checkpoints against the manifest.

    Raises:
        ArchipelError: BAD_REQUEST when it does not show it.
    """
    path = [bytes.fromhex(part) for part in document.path]
    if isinstance(document, Inclusion):
        content = checkpoint_of(document.checkpoint, federation)
        root = merkle.leaf_under(document.index, content.size, path, leaf(document.record))
        if root is None or root.hex() != content.root:
            raise _bad("The proof does not lead from the record to the checkpoint's root")
        return {"node": content.node, "record": document.record, "index": document.index, "checkpoint": content}
    first, second = checkpoint_of(document.first, federation), checkpoint_of(document.second, federation)
    if first.node != second.node:
        raise _bad("The checkpoints are of two nodes")
    roots = bytes.fromhex(first.root), bytes.fromhex(second.root)
    if not merkle.grew(first.size, second.size, path, *roots):
        raise _bad("The proof does not show that the first checkpoint's log is the beginning of the second's")
    return {"node": first.node, "first": first, "second": second}


def _bad(message: str) -> errors.ArchipelError:
    return errors.error(errors.BAD_REQUEST, f"{message}.")
