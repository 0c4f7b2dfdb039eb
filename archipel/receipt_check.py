"""Checks receipts offline: against the manifest, and against whatever else its reader has of the question.

Says of each receipt in plain words what it states, what was checked, and what could not be checked for want of a
document. Pure: no file, no network; the reader's clock plays no part, since receipts carry their own time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archipel import errors, permit, proof, receipt, request, tokens
from archipel.manifest import Manifest
from archipel.receipt import ReceiptContent
from archipel.schema import COORDINATOR

PAPERS = frozenset({request.REQUEST_KIND, permit.PERMIT_KIND})
"""Kinds of signed documents that may stand beside receipts in a file of them."""


class Found(Enum):
    """What came of one check."""

    GOOD = "ok"
    BAD = "WRONG"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what came of it, in words."""

    found: Found
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one receipt. ``content`` is None when it is none, or not signed as it says."""

    content: ReceiptContent | None
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether nothing contradicts the receipt."""
        return all(finding.found is not Found.BAD for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Papers:
    """What the reader has besides receipts; each may be missing.

    ``records`` are audit records and ``proofs`` proofs of inclusion, both by the record's hash; ``statements`` are SQL
    texts that are said to have run, by their digest.
    """

    requests: Mapping[str, str] = field(default_factory=dict)
    permits: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    proofs: Mapping[str, proof.Inclusion] = field(default_factory=dict)
    statements: frozenset[str] = frozenset()


def papers(
    signed: Sequence[str] = (),
    records: Sequence[Mapping[str, Any]] = (),
    proofs: Sequence[proof.Inclusion] = (),
    statements: Sequence[str] = (),
) -> Papers:
    """Sort what the reader has by what receipts name it with: ``signed`` are requests and permits."""
    return Papers(
        {tokens.digest(token): token for token in signed if kind_of(token) == request.REQUEST_KIND},
        {_permit_id(token): token for token in signed if kind_of(token) == permit.PERMIT_KIND},
        {_hash_of(record): record for record in records},
        {document.record: document for document in proofs},
        frozenset(hashlib.sha256(text.encode()).hexdigest() for text in statements),
    )


def kind_of(token: str) -> str:
    """Return what kind of signed document a text claims to be; empty when it is none."""
    import jwt

    try:
        return str(jwt.get_unverified_header(token).get("typ", ""))
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""


def check(token: str, federation: Manifest, authority_key: Ed25519PublicKey, given: Papers) -> Report:
    """Return what is found of one receipt."""
    try:
        claimed = str(receipt.read_unverified(token).get("node", ""))
        entry = federation.node(claimed)
        if entry is None:
            return Report(None, (Finding(Found.BAD, "The manifest names no node of the receipt's name."),))
        content = receipt.verify(token, tokens.decode_public_key(entry.signing_key))
    except errors.ArchipelError as problem:
        return Report(None, (Finding(Found.BAD, problem.info.message),))
    told = f"Signed with the key that the manifest names for {content.node} ({entry.holder})."
    findings = (
        Finding(Found.GOOD, told),
        _permit(content, federation, authority_key, given),
        _request(content, authority_key, given),
        _statement(content, given),
        _audit(content, federation, given),
    )
    return Report(content, findings)


def words(content: ReceiptContent) -> str:
    """Return what a receipt states, in one sentence."""
    whom = "the coordinator" if content.destination == COORDINATOR else content.destination
    size = f", {content.bytes:,} bytes," if content.bytes else ","
    groups = f" in {content.groups:,} groups" if content.groups is not None else ""
    persons = f" over at least {content.min_persons} persons each" if content.form in {"aggregate", "sketch"} else ""
    if not content.min_persons:
        persons = ""
    return (
        f"On {_time(content.time)} {content.node} let {content.form}s{persons}{groups}{size} "
        f"go to {whom}, by the rule: {content.rule}"
    )


def _permit(content: ReceiptContent, federation: Manifest, key: Ed25519PublicKey, given: Papers) -> Finding:
    token = given.permits.get(content.permit_id)
    if token is None:
        return Finding(Found.UNCHECKED, f"Given under the permit {content.permit_id}, which is not here.")
    try:
        found = permit.verify(token, key, federation=federation.federation, now=content.time).permit
    except errors.ArchipelError as problem:
        return Finding(Found.BAD, f"At that time the permit {content.permit_id} did not hold: {problem.info.message}")
    if content.node not in found.nodes:
        return Finding(Found.BAD, f"The permit {found.permit_id} does not name this node.")
    if content.min_persons and content.min_persons < found.min_persons:
        return Finding(Found.BAD, f"The permit {found.permit_id} asks for groups of {found.min_persons} persons.")
    return Finding(
        Found.GOOD, f"Given under the permit {found.permit_id}, valid then: {found.project}; {found.purpose}."
    )


def _request(content: ReceiptContent, key: Ed25519PublicKey, given: Papers) -> Finding:
    token = given.requests.get(content.request_sha256)
    if token is None:
        short = content.request_sha256[:16]
        return Finding(Found.UNCHECKED, f"Given for the signed request {short}…, which is not here.")
    granted = given.permits.get(content.permit_id)
    if granted is None:
        return Finding(Found.UNCHECKED, "The request is here, but not the permit that names the key it is signed with.")
    try:
        allowed = permit.Permit.model_validate(tokens.verify(granted, permit.PERMIT_KIND, key))
        asked, who = request.verify(token, allowed, now=content.time)
    except (errors.ArchipelError, tokens.TokenError, ValueError):
        return Finding(
            Found.BAD, "The request is not signed by a researcher whom the permit names, or not of that time."
        )
    return Finding(Found.GOOD, f"Given for the question that {who} signed: {_short(asked.sql)}")


def _statement(content: ReceiptContent, given: Papers) -> Finding:
    record = given.records.get(content.audit_record)
    digests = set(given.statements)
    if record is not None and "executed_sql" in record:
        ran = str(record["executed_sql"])
        if hashlib.sha256(ran.encode()).hexdigest() != content.sql_sha256:
            return Finding(Found.BAD, "The statement in the audit record is not the one that the receipt names.")
        return Finding(Found.GOOD, f"The statement that ran: {_short(ran)}")
    if content.sql_sha256 in digests:
        return Finding(Found.GOOD, "The statement that ran is the one that is here.")
    if digests:
        return Finding(Found.BAD, "The statement that ran is none of those that are here.")
    return Finding(Found.UNCHECKED, f"The statement that ran has the digest {content.sql_sha256[:16]}….")


def _audit(content: ReceiptContent, federation: Manifest, given: Papers) -> Finding:
    record, short = given.records.get(content.audit_record), content.audit_record[:16]
    if record is not None:
        same = {
            "query": content.query_id,
            "stage": content.stage_id,
            "attempt": content.attempt,
            "permit": content.permit_id,
            "request_sha256": content.request_sha256,
            "kind": "released",
        }
        for name, value in same.items():
            if record.get(name) != value:
                return Finding(Found.BAD, f"The audit record {short}… says another '{name}' than the receipt.")
    document = given.proofs.get(content.audit_record)
    if document is None:
        here = "is here and says the same" if record is not None else "is not here"
        return Finding(Found.UNCHECKED, f"The audit record {short}… {here}; that the log holds it was not shown.")
    try:
        shown = proof.verify(document, federation)
    except errors.ArchipelError as problem:
        return Finding(Found.BAD, problem.info.message)
    if shown["node"] != content.node:
        return Finding(Found.BAD, "The proof is of another node's log.")
    at: proof.Checkpoint = shown["checkpoint"]
    return Finding(
        Found.GOOD,
        f"The audit record {short}… is number {document.index + 1:,} of {at.size:,} in the log of {at.node}, "
        f"which signed for it on {_time(at.time)}.",
    )


def _hash_of(record: Mapping[str, Any]) -> str:
    """Return the hash that a record has, whatever it says."""
    return proof.record_hash({name: value for name, value in record.items() if name != "hash"})


def _permit_id(token: str) -> str:
    try:
        return str(json.loads(proof.token_payload(token)).get("permit_id", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    shown = text if len(text) <= 200 else text[:200] + "…"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
