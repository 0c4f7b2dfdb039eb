"""The audit log: every decision of this node, hash-chained, on disk before anything leaves.

A record is one line of JSON. Its ``hash`` is SHA-256 over the canonical JSON of all its other fields, of which
``previous`` is the hash of the record before. ``HEAD`` beside the log holds count and hash of the last record, so
that the removal of the newest records shows too. SQL with its literals is kept here and nowhere else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from archipel import errors

GENESIS = "0" * 64
MAX_FILE_BYTES = 64 * 1024 * 1024
FILE_PATTERN = "audit-*.jsonl"
HEAD_FILE = "HEAD"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record: how many there are, and its hash."""

    count: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of a log found. ``problem`` is empty when nothing was altered or removed."""

    records: int
    head: str
    problem: str = ""
    warning: str = ""


class AuditLog:
    """Appends records. One process at a time; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        """Open the log for appending, after checking how it ends.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE when it cannot be opened, is in use, or does not verify.
        """
        self._directory = directory
        self._mutex = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (directory / "LOCK").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            raise _unavailable(f"{type(cause).__name__}: {cause.strerror}") from cause
        found = verify(directory, recover=True)
        if found.problem:
            raise _unavailable(found.problem)
        self._head = Head(found.records, found.head)
        if found.warning:
            self.append("recovered", {"cause": found.warning})

    @property
    def head(self) -> Head:
        """The newest record."""
        return self._head

    def append(self, kind: str, content: dict[str, Any]) -> str:
        """Write a record and make it durable; return its hash.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE; then nothing may be released, and nothing half-written remains.
        """
        with self._mutex:
            record = {**content, "kind": kind, "sequence": self._head.count + 1, "previous": self._head.hash}
            digest = _digest(record)
            line = (_canonical({**record, "hash": digest}) + "\n").encode()
            try:
                self._write(line)
                head = Head(self._head.count + 1, digest)
                self._write_head(head)
            except OSError as cause:
                raise _unavailable(f"{type(cause).__name__}: {cause.strerror}") from cause
            self._head = head
            return digest

    def close(self) -> None:
        """Close the log; idempotent."""
        self._lock.close()

    def _write(self, line: bytes) -> None:
        path = self._current_file()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, line)
                if written != len(line):
                    raise OSError(28, "no space left for a whole record")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def _current_file(self) -> Path:
        files = _files(self._directory)
        if files and files[-1].stat().st_size < MAX_FILE_BYTES:
            return files[-1]
        return self._directory / f"audit-{len(files) + 1:06}.jsonl"

    def _write_head(self, head: Head) -> None:
        temporary = self._directory / f".{HEAD_FILE}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as sink:
            sink.write(f"{head.count} {head.hash}\n")
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(self._directory / HEAD_FILE)


def verify(directory: Path, *, recover: bool = False) -> Verification:
    """Check that no record was altered, removed, added or moved.

    A last line that a crash cut short is no evidence of tampering; with ``recover`` it is cut off.
    """
    count, previous = 0, GENESIS
    warning = ""
    files = _files(directory)
    for index, path in enumerate(files):
        with path.open("rb") as source:
            for number, start, line in _lines(source):
                where = f"{path.name}, line {number}"
                if not line.endswith(b"\n"):
                    if index < len(files) - 1:
                        return Verification(count, previous, f"{where}: the record is cut short")
                    warning = f"{where}: the last record was cut short by a crash"
                    if recover:
                        os.truncate(path, start)
                    break
                problem = _problem_of(line, count + 1, previous)
                if problem:
                    return Verification(count, previous, f"{where}: {problem}")
                previous = json.loads(line)["hash"]
                count += 1
    return _against_head(directory, Verification(count, previous, "", warning))


def records(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield all whole records, oldest first, without checking them."""
    for path in _files(directory):
        with path.open("rb") as source:
            for _, _, line in _lines(source):
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _against_head(directory: Path, found: Verification) -> Verification:
    """Compare with HEAD, which is written after the record: the log may be one record ahead of it, never behind."""
    try:
        count_text, digest = (directory / HEAD_FILE).read_text().split()
        head = Head(int(count_text), digest)
    except FileNotFoundError:
        if found.records > 1:
            return Verification(found.records, found.head, "HEAD is missing")
        return found
    except (OSError, ValueError):
        return Verification(found.records, found.head, "HEAD cannot be read")
    if head.count > found.records:
        return Verification(found.records, found.head, f"{head.count - found.records} records at the end were removed")
    if head.count == found.records and head.hash != found.head:
        return Verification(found.records, found.head, "the last record is not the one that HEAD names")
    if head.count < found.records - 1:
        return Verification(found.records, found.head, "records were added behind the one that HEAD names")
    return found


def _problem_of(line: bytes, sequence: int, previous: str) -> str:
    try:
        record = json.loads(line)
        digest = record.pop("hash")
    except (ValueError, KeyError, AttributeError):
        return "not a record"
    if _digest(record) != digest or (_canonical({**record, "hash": digest}) + "\n").encode() != line:
        return "the record was altered"
    if record.get("previous") != previous or record.get("sequence") != sequence:
        return "a record before this one was removed, added or moved"
    return ""


def _lines(source: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    start = 0
    for number, line in enumerate(source, start=1):
        yield number, start, line
        start += len(line)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob(FILE_PATTERN))


def _canonical(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(record).encode()).hexdigest()


def _unavailable(reason: str) -> errors.ArchipelError:
    return errors.error(errors.AUDIT_UNAVAILABLE, f"The node's audit log cannot be written ({reason}).")
