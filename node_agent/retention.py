"""Purges old records of the audit log with proof: whole files go, a signed statement of what went takes their place.

The statement says how many records went, the hash of the first and the last, and the roots of the Merkle subtrees over
them. It stands in a record of the log itself, so it is chained, checkpointed and cannot be taken back; beside it are
kept the few more hashes with which the consistency of every earlier checkpoint with every later one can still be shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, ValidationError

from archipel import errors, merkle, proof, tokens
from node_agent import audit_reading, evidence
from node_agent.audit import AuditLog, sync_folder
from node_agent.audit_reading import PURGED_FILE

PURGE_KIND = "archipel-purge+jwt"
LEAST_DAYS = 365
"""Access logs are kept at least a year: Regulation (EU) 2025/327, Art. 73."""
DAY_S = 86_400.0

Subtree = tuple[int, int, str]
"""First leaf, the one behind the last, and the hash over them (hex)."""


class Statement(BaseModel):
    """The payload of a node's statement of a purge. ``records`` counts all that are gone, ``purged`` those of now.

    Times are Unix seconds; ``files`` is the number of the last file that went; ``peaks`` are over all that is gone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str
    node: str
    time: int
    before: int
    records: int
    purged: int
    first: str
    last: str
    files: int
    peaks: tuple[Subtree, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a purge would remove."""

    paths: tuple[Path, ...]
    hashes: tuple[str, ...]
    oldest_kept: float
    """Time of the oldest record that stays."""


def limit(retention_days: int, now: float) -> float:
    """Return the time before which records may go."""
    return now - max(retention_days, LEAST_DAYS) * DAY_S


def check(before: float, retention_days: int, now: float) -> None:
    """Make sure that nothing goes that must be kept.

    Raises:
        ArchipelError: CONFIG_INVALID, with the reason.
    """
    if before > now - LEAST_DAYS * DAY_S:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"Records of the last {LEAST_DAYS} days are not purged: access logs are kept at least a year "
            "(Regulation (EU) 2025/327, Art. 73).",
            hint=f"The latest possible date is {_day(limit(retention_days, now))}.",
        )
    if before > limit(retention_days, now):
        raise errors.error(
            errors.CONFIG_INVALID,
            f"This node's configuration keeps records for {retention_days} days (audit.retention_days).",
            hint=f"The latest possible date is {_day(limit(retention_days, now))}.",
        )


def plan(directory: Path, before: float) -> Plan:
    """Return the files at the log's beginning all of whose records are older than ``before``. The last one stays."""
    paths: list[Path] = []
    hashes: list[str] = []
    for path in audit_reading.files(directory)[:-1]:
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        times = [record["time"] for record in records if "time" in record]
        if not times or max(times) >= before:
            break
        paths.append(path)
        hashes += [str(record["hash"]) for record in records]
    left = (record["time"] for record in _records(directory, len(paths)) if "time" in record)
    return Plan(tuple(paths), tuple(hashes), next(left, before))


def purge(
    log: AuditLog, going: Plan, *, federation: str, node: str, key: Ed25519PrivateKey, before: float, now: float
) -> Statement | None:
    """Remove what is planned, after recording it; return the statement, or None when there is nothing to remove.

    A crash at any point leaves a log that verifies: until the statement is in its place the files are still the log's,
    and afterwards they are not, whether they are there or not.

    Raises:
        ArchipelError: AUDIT_UNAVAILABLE when it cannot be written; nothing is removed then.
    """
    if not going.paths:
        return None
    directory = log.directory
    log.checkpoint()  # so that what is still there is signed for before it goes
    base = audit_reading.base_of(directory)
    gone = base.head.count + len(going.hashes)
    leaves = b"".join(proof.leaf(digest) for digest in going.hashes)
    tree = merkle.Tree(leaves, dict(base.known), base.head.count)
    sizes = [content.size for content in audit_reading.checkpoints(directory)]
    statement = Statement(
        federation=federation,
        node=node,
        time=int(now),
        before=int(before),
        records=gone,
        purged=len(going.hashes),
        first=going.hashes[0],
        last=going.hashes[-1],
        files=audit_reading.number_of(going.paths[-1]),
        peaks=_named(tree, merkle.kept_for([], gone)),
    )
    token = tokens.sign(statement.model_dump(mode="json"), PURGE_KIND, key)
    told = statement.model_dump(mode="json", include={"before", "records", "purged", "first", "last"})
    record = log.append("purged", {"time": round(now, 3), **told, "statement": token})
    content = {"record": record, "statement": token, "known": _named(tree, merkle.kept_for(sizes, gone))}
    _put(directory, content)
    for path in going.paths:
        path.unlink()
    sync_folder(directory)
    log.checkpoint()
    return statement


def run(log: AuditLog, *, folder: Path, before: float, now: float, **signed: Any) -> Statement | None:
    """Purge the log, and of what decisions rest on the months that no kept record is of."""
    going = plan(log.directory, before)
    statement = purge(log, going, before=before, now=now, **signed)
    if statement is not None:
        evidence.purge(folder, going.oldest_kept)
    return statement


def verify(token: str, key: Ed25519PublicKey) -> Statement:
    """Return a statement after checking that the node signed it.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    try:
        return Statement.model_validate(tokens.verify(token, PURGE_KIND, key))
    except (tokens.TokenError, ValidationError) as cause:
        raise errors.error(errors.BAD_REQUEST, "The statement of a purge is not signed by the node.") from cause


def read(token: str) -> Statement:
    """Return what a statement says, without checking its signature.

    Raises:
        ArchipelError: BAD_REQUEST when it is none.
    """
    try:
        return Statement.model_validate_json(proof.token_payload(token))
    except ValueError as cause:
        raise errors.error(errors.BAD_REQUEST, "This is no statement of a purge.") from cause


def _put(directory: Path, content: dict[str, Any]) -> None:
    temporary = directory / f".{PURGED_FILE}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
            json.dump(content, sink)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(directory / PURGED_FILE)
        sync_folder(directory)
    except OSError as cause:
        text = f"What was purged cannot be written down, and nothing was removed: {cause.strerror}."
        raise errors.error(errors.AUDIT_UNAVAILABLE, text) from cause


def _named(tree: merkle.Tree, subtrees: list[merkle.Range]) -> tuple[Subtree, ...]:
    return tuple((start, stop, tree.hash_of((start, stop)).hex()) for start, stop in subtrees)


def _records(directory: Path, skipped: int) -> Iterator[dict[str, Any]]:
    for path in audit_reading.files(directory)[skipped:]:
        with path.open("rb") as source:
            for line in source:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
