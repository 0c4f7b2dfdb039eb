"""Reading an audit log: its files, what was purged of it, whether it verifies, and its Merkle tree. Writes nothing.

The one exception is ``verify(recover=True)``, which cuts off a record that a crash has left half written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from archipel import errors, merkle, proof
from node_agent.audit_head import HEAD_FILE, Head, read_head

GENESIS = "0" * 64
FILE_PATTERN = "audit-*.jsonl"
CHECKPOINTS_FILE = "checkpoints.jws"
"""One signed checkpoint a line, oldest first."""
PURGED_FILE = "PURGED"
"""What stands in the place of records that were purged, as ``retention`` writes it."""


_NOTHING = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Base:
    """Where the kept records begin: behind the purged ones, of which only hashes of subtrees are left."""

    head: Head = _NOTHING
    files: int = 0
    """Number of the last file that was purged."""
    peaks: tuple[tuple[merkle.Range, bytes], ...] = ()
    known: tuple[tuple[merkle.Range, bytes], ...] = ()
    record: str = ""
    """Hash of the record that tells of the purge; empty when there was none."""
    statement: str = ""
    """The node's signed statement of the purge."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of a log found. ``problem`` is empty when nothing was altered or removed.

    ``records`` counts those that were purged with proof, too.
    """

    records: int
    head: str
    problem: str = ""
    warning: str = ""
    purged: int = 0
    checkpoints: int = 0
    edge: merkle.Frontier = field(default_factory=merkle.Frontier, compare=False)


def verify(directory: Path, *, recover: bool = False) -> Verification:
    """Check that no record was altered, removed, added or moved, and that every checkpoint fits.

    A last line that a crash cut short is no evidence of tampering; with ``recover`` it is cut off. Signatures are not
    checked: that needs keys (``archipel audit verify --manifest``).
    """
    try:
        base = base_of(directory)
        marks = {content.size: content.root for content in checkpoints(directory)}
    except errors.ArchipelError as cause:
        return Verification(0, GENESIS, cause.info.message.rstrip("."))
    walk = _Walk(base, marks)
    problem = walk.through(directory, recover)
    found = walk.found(problem)
    if problem:
        return found
    found = _against_head(directory, found)
    if found.problem:
        return found
    beyond = max(marks, default=0)
    if beyond > found.records:
        return walk.found(f"{beyond - found.records} records that a checkpoint counts were removed at the end")
    if base.record and not walk.seen_purge:
        return walk.found("records were purged and no record tells of it")
    return found


def records(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield all whole records that are kept, oldest first, without checking them."""
    for path in files(directory):
        with path.open("rb") as source:
            for line in source:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def tree_of(directory: Path) -> tuple[merkle.Tree, list[str]]:
    """Return the Merkle tree of a log, and the hashes of the records that are kept, in order."""
    base = base_of(directory)
    leaves, hashes = bytearray(), []
    for path in files(directory):
        with path.open("rb") as source:
            for line in source:
                digest = _hash_in(line) or str(json.loads(line)["hash"])
                hashes.append(digest)
                leaves += proof.leaf(digest)
    return merkle.Tree(leaves, dict(base.known), base.head.count), hashes


def checkpoint_tokens(directory: Path) -> list[str]:
    """Return the signed checkpoints, oldest first; one that a crash cut short is none."""
    try:
        content = (directory / CHECKPOINTS_FILE).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return []
    return [line[:-1] for line in content.splitlines(keepends=True) if line.endswith("\n")]


def checkpoints(directory: Path) -> list[proof.Checkpoint]:
    """Return what the checkpoints say. Their signatures are not checked.

    Raises:
        ArchipelError: BAD_REQUEST when one is no checkpoint.
    """
    return [proof.read_checkpoint(token) for token in checkpoint_tokens(directory)]


def base_of(directory: Path) -> Base:
    """Return where the kept records begin.

    Raises:
        ArchipelError: BAD_REQUEST when what stands for the purged ones cannot be read or contradicts itself.
    """
    try:
        text = (directory / PURGED_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Base()
    try:
        content = json.loads(text)
        said = json.loads(proof.token_payload(content["statement"]))
        base = Base(
            Head(int(said["records"]), str(said["last"])),
            int(said["files"]),
            tuple(_subtrees(said["peaks"])),
            tuple(_subtrees(content["known"])),
            str(content["record"]),
            str(content["statement"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise errors.error(errors.BAD_REQUEST, f"{PURGED_FILE} cannot be read.") from cause
    if not _consistent(base):
        raise errors.error(errors.BAD_REQUEST, f"{PURGED_FILE} contradicts itself.")
    return base


def files(directory: Path) -> list[Path]:
    """Return the files of a log in order, without those that a purge has not yet removed."""
    first = base_of(directory).files
    return [path for path in sorted(directory.glob(FILE_PATTERN)) if number_of(path) > first]


def file_name(number: int) -> str:
    """Return the name of the file of that number, counted from 1."""
    return f"audit-{number:06}.jsonl"


def number_of(path: Path) -> int:
    """Return which file of the log it is."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def line_of(record: dict[str, Any]) -> bytes:
    """Return a record as it stands in a file."""
    return proof.canonical(record) + b"\n"


class _Walk:
    """One pass over the records, from where they begin."""

    def __init__(self, base: Base, marks: dict[int, str]) -> None:
        self._base = base
        self._marks = marks
        self._count = base.head.count
        self._previous = base.head.hash
        self._warning = ""
        self._edge = merkle.Frontier(base.peaks)
        self.seen_purge = False

    def through(self, directory: Path, recover: bool) -> str:
        """Read every file; return what is wrong, or nothing."""
        purged = merkle.Tree(b"", dict(self._base.known), self._base.head.count)
        for size, root in self._marks.items():
            if 0 < size <= self._base.head.count and not _leads_to(purged, size, root):
                return f"the checkpoint of {size} records does not fit what was purged"
        found = files(directory)
        for index, path in enumerate(found):
            number = self._base.files + index + 1
            if number_of(path) != number:
                return f"{file_name(number)} is missing"
            with path.open("rb") as source:
                problem = self._file(path, source, last=index == len(found) - 1, recover=recover)
            if problem:
                return problem
        return ""

    def _file(self, path: Path, source: BinaryIO, *, last: bool, recover: bool) -> str:
        start = 0
        for number, line in enumerate(source, start=1):
            where = f"{path.name}, line {number}"
            if not line.endswith(b"\n"):
                if not last:
                    return f"{where}: the record is cut short"
                self._warning = f"{where}: the last record was cut short by a crash"
                if recover:
                    os.truncate(path, start)
                return ""
            start += len(line)
            digest = _fast_digest(line, self._count + 1, self._previous)
            if digest is None:
                problem = _problem_of(line, self._count + 1, self._previous)
                if problem:
                    return f"{where}: {problem}"
                digest = str(json.loads(line)["hash"])
            self._count, self._previous = self._count + 1, digest
            self._edge.append(proof.leaf(digest))
            self.seen_purge = self.seen_purge or digest == self._base.record
            root = self._marks.get(self._count)
            if root is not None and self._edge.root().hex() != root:
                return f"{where}: the records up to here are not those of the checkpoint of {self._count} records"
        return ""

    def found(self, problem: str) -> Verification:
        """Return what was found so far."""
        return Verification(
            self._count,
            self._previous,
            problem,
            "" if problem else self._warning,
            self._base.head.count,
            len(self._marks),
            self._edge,
        )


def _against_head(directory: Path, found: Verification) -> Verification:
    """Compare with HEAD, which is written after the record: the log may be one record ahead of it, never behind."""
    problem = ""
    try:
        head = read_head(directory)
    except FileNotFoundError:
        problem = f"{HEAD_FILE} is missing" if found.records or found.warning else ""
    except (OSError, ValueError):
        problem = f"{HEAD_FILE} cannot be read"
    else:
        if head.count > found.records:
            problem = f"{head.count - found.records} records at the end were removed"
        elif head.count == found.records and head.hash != found.head:
            problem = f"the last record is not the one that {HEAD_FILE} names"
        elif head.count < found.records - 1:
            problem = f"records were added behind the one that {HEAD_FILE} names"
    if not problem:
        return found
    return Verification(found.records, found.head, problem, "", found.purged, found.checkpoints, found.edge)


_HASH = b'"hash":"'
_PREVIOUS = b'"previous":"'
_SEQUENCE = b'"sequence":'


def _fast_digest(line: bytes, sequence: int, previous: str) -> str | None:
    """Return a good record's hash without parsing it, or None: then it is to be looked at closely.

    Quotes inside of a text are escaped in JSON, so the three keys can only be found where they are keys.
    """
    if line.count(_HASH) != 1 or line.count(_PREVIOUS) != 1 or line.count(_SEQUENCE) != 1:
        return None
    at = line.index(_HASH)
    digest, behind = line[at + 8 : at + 72], at + 74
    if line[at + 72 : behind] != b'",':
        return None
    if hashlib.sha256(line[:at] + line[behind:-1]).hexdigest().encode() != digest:
        return None
    number = line.index(_SEQUENCE) + len(_SEQUENCE)
    said = b"%d" % sequence
    if line[number : number + len(said)] != said or line[number + len(said) : number + len(said) + 1] not in b",}":
        return None
    if line[line.index(_PREVIOUS) + len(_PREVIOUS) :][:65] != previous.encode() + b'"':
        return None
    return digest.decode()


def _problem_of(line: bytes, sequence: int, previous: str) -> str:
    try:
        record = json.loads(line)
        digest = record.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return "not a record"
    if proof.record_hash(record) != digest or line_of({**record, "hash": digest}) != line:
        return "the record was altered"
    if record.get("previous") != previous or record.get("sequence") != sequence:
        return "a record before this one was removed, added or moved"
    return ""


def _hash_in(line: bytes) -> str | None:
    if line.count(_HASH) != 1:
        return None
    at = line.index(_HASH) + len(_HASH)
    digest = line[at : at + 64].decode("ascii", "replace")
    return digest if len(digest) == 64 and all(c in "0123456789abcdef" for c in digest) else None


def _subtrees(listed: Any) -> Iterator[tuple[merkle.Range, bytes]]:
    for start, stop, digest in listed:
        yield (int(start), int(stop)), bytes.fromhex(digest)


def _consistent(base: Base) -> bool:
    """Whether the subtrees that are known of what was purged hash up to the peaks that the node has signed."""
    known = dict(base.known)
    if [subtree for subtree, _ in base.peaks] != merkle.kept_for([], base.head.count):
        return False
    if any(known.get(subtree) != digest for subtree, digest in base.peaks):
        return False
    tops = {subtree for subtree, _ in base.peaks}
    children: dict[merkle.Range, bytes] = {}
    for (start, stop), digest in sorted(known.items(), key=lambda item: item[0][1] - item[0][0]):
        middle = (start + stop) // 2
        left, right = known.get((start, middle)), known.get((middle, stop))
        if left is not None and right is not None:
            children[(start, middle)], children[(middle, stop)] = left, right
            if merkle.node_hash(left, right) != digest:
                return False
    return all(subtree in tops or subtree in children for subtree in known)


def _leads_to(tree: merkle.Tree, size: int, root: str) -> bool:
    try:
        return tree.root(size).hex() == root
    except merkle.Missing:
        return False
