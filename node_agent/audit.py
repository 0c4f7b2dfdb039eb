"""The audit log: every decision of this node, hash-chained, on disk before anything leaves.

A record is one line of JSON. Its ``hash`` is SHA-256 over the canonical JSON of all its other fields, of which
``previous`` is the hash of the record before. ``HEAD`` beside the log holds count and hash of the last record, so
that the removal of the newest records shows too. SQL with its literals is kept here and nowhere else.

What the chain cannot show by itself: whoever may write the folder can write all of it anew. The receipts of releases
name the hash of their record, so whoever holds one can have it looked up (``archipel audit verify --record``).
"""

from __future__ import annotations

import contextlib
import errno
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
LOCK_FILE = "LOCK"


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
        """Open the log for appending, after checking all of it.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE when it cannot be opened, is in use, or does not verify.
        """
        self._directory = directory
        self._mutex = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(directory / LOCK_FILE)
        except OSError as cause:
            raise _unavailable(_reason(cause)) from cause
        try:
            found = verify(directory, recover=True)
            if found.problem:
                raise _unavailable(found.problem)
            self._head = Head(found.records, found.head)
            self._file, self._size = self._last_file()
            # HEAD is brought up before anything is appended: a second crash must not leave it two records behind.
            self._write_head(self._head)
            if found.warning:
                self.append("recovered", {"cause": found.warning})
        except OSError as cause:
            self.close()
            raise _unavailable(_reason(cause)) from cause
        except errors.ArchipelError:
            self.close()
            raise

    @property
    def head(self) -> Head:
        """The newest record."""
        return self._head

    def append(self, kind: str, content: dict[str, Any]) -> str:
        """Write a record and make it durable; return its hash.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE; then nothing may be released. What was half written is taken back, now
                or before the next record, so that the log goes on when the cause is gone.
        """
        with self._mutex:
            record = {**content, "kind": kind, "sequence": self._head.count + 1, "previous": self._head.hash}
            digest = _digest(record)
            line = _line({**record, "hash": digest})
            try:
                self._repair()
                written_to, size = self._write(line)
                head = Head(self._head.count + 1, digest)
                self._write_head(head)
            except OSError as cause:
                with contextlib.suppress(OSError):
                    self._repair()
                raise _unavailable(_reason(cause)) from cause
            self._head, self._file, self._size = head, written_to, size
            return digest

    def close(self) -> None:
        """Close the log; idempotent."""
        self._lock.close()

    def _last_file(self) -> tuple[Path, int]:
        files = _files(self._directory)
        if not files:
            return self._directory / _file_name(1), 0
        return files[-1], files[-1].stat().st_size

    def _repair(self) -> None:
        """Take back what stands behind the last good record: what a failed append has left, nothing else can."""
        following = self._directory / _file_name(_number(self._file) + 1)
        following.unlink(missing_ok=True)
        size = self._file.stat().st_size if self._file.exists() else 0
        if size < self._size:
            raise OSError(errno.EIO, "records have been removed from the log")
        if size > self._size:
            os.truncate(self._file, self._size)

    def _write(self, line: bytes) -> tuple[Path, int]:
        path, before = self._file, self._size
        if before >= MAX_FILE_BYTES:
            path, before = self._directory / _file_name(_number(self._file) + 1), 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return path, before + len(line)

    def _write_head(self, head: Head) -> None:
        temporary = self._directory / f".{HEAD_FILE}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as sink:
            sink.write(f"{head.count} {head.hash}\n")
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(self._directory / HEAD_FILE)
        _sync_folder(self._directory)  # the names of HEAD and of a new file are durable only with their folder


def verify(directory: Path, *, recover: bool = False) -> Verification:
    """Check that no record was altered, removed, added or moved.

    A last line that a crash cut short is no evidence of tampering; with ``recover`` it is cut off.
    """
    count, previous = 0, GENESIS
    warning = ""
    files = _files(directory)
    for index, path in enumerate(files):
        if _number(path) != index + 1:
            return Verification(count, previous, f"{_file_name(index + 1)} is missing")
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
        if found.records or found.warning:
            return Verification(found.records, found.head, f"{HEAD_FILE} is missing")
        return found
    except (OSError, ValueError):
        return Verification(found.records, found.head, f"{HEAD_FILE} cannot be read")
    if head.count > found.records:
        return Verification(found.records, found.head, f"{head.count - found.records} records at the end were removed")
    if head.count == found.records and head.hash != found.head:
        return Verification(found.records, found.head, f"the last record is not the one that {HEAD_FILE} names")
    if head.count < found.records - 1:
        return Verification(found.records, found.head, f"records were added behind the one that {HEAD_FILE} names")
    return found


def _problem_of(line: bytes, sequence: int, previous: str) -> str:
    try:
        record = json.loads(line)
        digest = record.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return "not a record"
    if _digest(record) != digest or _line({**record, "hash": digest}) != line:
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


def _file_name(number: int) -> str:
    return f"audit-{number:06}.jsonl"


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _locked(path: Path) -> BinaryIO:
    handle = path.open("wb")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise
    return handle


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _canonical(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")  # what was asked is kept even when it is no proper text


def _line(record: dict[str, Any]) -> bytes:
    return _canonical(record) + b"\n"


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(record)).hexdigest()


def _reason(cause: OSError) -> str:
    if isinstance(cause, BlockingIOError):
        return "another process uses it"
    return cause.strerror or type(cause).__name__


def _unavailable(reason: str) -> errors.ArchipelError:
    return errors.error(errors.AUDIT_UNAVAILABLE, f"The node's audit log cannot be written: {reason}.")
