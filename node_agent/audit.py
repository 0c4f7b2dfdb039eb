"""The audit log: every decision of this node, hash-chained, on disk before anything leaves.

A record is one line of JSON. Its ``hash`` is SHA-256 over the canonical JSON of all its other fields, of which
``previous`` is the hash of the record before. ``HEAD`` beside the log holds count and hash of the last record, so
that the removal of the newest records shows too. SQL with its literals is kept here and nowhere else.

What the chain cannot show by itself: whoever may write the folder can write all of it anew. Signed checkpoints of the
log's Merkle tree that others hold (``checkpoints``), and receipts, which name the hash of their record, show that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from archipel import errors, merkle, proof
from node_agent.audit_head import HEAD_FILE, Head, HeadFile, sync_data, sync_folder
from node_agent.audit_reading import (
    CHECKPOINTS_FILE,
    FILE_PATTERN,
    GENESIS,
    PURGED_FILE,
    Verification,
    base_of,
    file_name,
    files,
    line_of,
    number_of,
    records,
    verify,
)
from node_agent.checkpoints import Checkpoints

__all__ = [
    "CHECKPOINTS_FILE",
    "FILE_PATTERN",
    "GENESIS",
    "HEAD_FILE",
    "PURGED_FILE",
    "AuditLog",
    "Head",
    "Verification",
    "records",
    "sync_folder",
    "verify",
]

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file is followed by another at this size, and by the first record of a new month: purges remove whole files."""
LOCK_FILE = "LOCK"


Tell = Callable[[str, dict[str, Any], str], None]
"""Told of a record: its kind, content and hash."""


class AuditLog:
    """Appends records. One process at a time; safe to use from several threads."""

    def __init__(self, directory: Path, checkpoints: Checkpoints | None = None, tell: Tell | None = None) -> None:
        """Open the log for appending, after checking all of it. With ``checkpoints`` its tree is signed regularly.

        ``tell`` is called with kind, content and hash of every record once it is durable.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE when it cannot be opened, is in use, or does not verify.
        """
        self._directory = directory
        self._mutex = threading.Lock()
        self._checkpoints: Checkpoints | None = None
        self._tell = tell
        self._head_file: HeadFile | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(directory / LOCK_FILE)
        except OSError as cause:
            raise _unavailable(_reason(cause)) from cause
        try:
            found = verify(directory, recover=True)
            if found.problem:
                raise _unavailable(found.problem)
            _finish_purge(directory)
            self._head = Head(found.records, found.head)
            self._edge = found.edge
            self._file, self._size = self._last_file()
            self._month = _month_in(self._file)
            # HEAD is brought up before anything is appended: a second crash must not leave it two records behind.
            self._head_file = HeadFile(directory, self._head)
            if found.warning:
                self.append("recovered", {"cause": found.warning})
            if checkpoints is not None:
                checkpoints.open(directory)
                self._checkpoints = checkpoints
                checkpoints.write(self._edge)
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

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self._directory

    @property
    def edge(self) -> merkle.Frontier:
        """The edge of the Merkle tree over all records, as it is now."""
        with self._mutex:
            return self._edge.copy()

    @property
    def newest_checkpoint(self) -> str:
        """The last signed checkpoint; empty without any."""
        return self._checkpoints.newest if self._checkpoints is not None else ""

    def append(self, kind: str, content: dict[str, Any]) -> str:
        """Write a record and make it durable; return its hash.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE; then nothing may be released. What was half written is taken back, now
                or before the next record, so that the log goes on when the cause is gone.
        """
        with self._mutex:
            record = {**content, "kind": kind, "sequence": self._head.count + 1, "previous": self._head.hash}
            digest = proof.record_hash(record)
            line = line_of({**record, "hash": digest})
            month = _month_of(content)
            try:
                self._repair()
                written_to, size = self._write(line, month)
                head = Head(self._head.count + 1, digest)
                assert self._head_file is not None
                self._head_file.write(head)
            except OSError as cause:
                with contextlib.suppress(OSError):
                    self._repair()
                raise _unavailable(_reason(cause)) from cause
            self._head, self._file, self._size = head, written_to, size
            self._month = max(self._month, month)
            self._edge.append(proof.leaf(digest))
            if self._checkpoints is not None and self._checkpoints.due(head.count):
                self._checkpoints.write(self._edge)
        if self._tell is not None:
            self._tell(kind, content, digest)
        return digest

    def tick(self) -> None:
        """Sign a checkpoint if there are records that have waited long enough for one; to be called now and then."""
        with self._mutex:
            if self._checkpoints is not None and self._checkpoints.due(self._head.count):
                self._checkpoints.write(self._edge)

    def checkpoint(self) -> None:
        """Sign a checkpoint of what there is now."""
        with self._mutex:
            if self._checkpoints is not None:
                self._checkpoints.write(self._edge)

    def close(self) -> None:
        """Sign a last checkpoint and close the log; idempotent."""
        with self._mutex:
            if self._checkpoints is not None:
                self._checkpoints.write(self._edge)
                self._checkpoints = None
            if self._head_file is not None:
                self._head_file.close()
        self._lock.close()

    def _last_file(self) -> tuple[Path, int]:
        found = files(self._directory)
        if not found:
            return self._directory / file_name(base_of(self._directory).files + 1), 0
        return found[-1], found[-1].stat().st_size

    def _repair(self) -> None:
        """Take back what stands behind the last good record: what a failed append has left, nothing else can."""
        following = self._directory / file_name(number_of(self._file) + 1)
        following.unlink(missing_ok=True)
        size = self._file.stat().st_size if self._file.exists() else 0
        if size < self._size:
            raise OSError(errno.EIO, "records have been removed from the log")
        if size > self._size:
            os.truncate(self._file, self._size)

    def _write(self, line: bytes, month: str) -> tuple[Path, int]:
        path, before = self._file, self._size
        if before >= MAX_FILE_BYTES or (before and self._month and month > self._month):
            path, before = self._directory / file_name(number_of(self._file) + 1), 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync_data(descriptor)
        finally:
            os.close(descriptor)
        if not before:
            sync_folder(self._directory)  # the name of a new file is durable only with its folder
        return path, before + len(line)


def _finish_purge(directory: Path) -> None:
    """Remove what a purge that was recorded, and then broken off, has left."""
    last = base_of(directory).files
    for path in directory.glob(FILE_PATTERN):
        if 0 < number_of(path) <= last:
            path.unlink()


def _month_of(content: dict[str, Any]) -> str:
    """Return a record's month, such as 2026-11; nothing for one without a time."""
    moment = content.get("time")
    if not isinstance(moment, int | float) or isinstance(moment, bool):
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m")


def _month_in(path: Path) -> str:
    """Return the month of the first dated record of a file."""
    if not path.exists():
        return ""
    with path.open("rb") as source:
        return next(filter(None, (_month_of(json.loads(line)) for line in source)), "")


def _locked(path: Path) -> BinaryIO:
    handle = path.open("wb")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise
    return handle


def _reason(cause: OSError) -> str:
    if isinstance(cause, BlockingIOError):
        return "another process uses it"
    return cause.strerror or type(cause).__name__


def _unavailable(reason: str) -> errors.ArchipelError:
    return errors.error(errors.AUDIT_UNAVAILABLE, f"The node's audit log cannot be written: {reason}.")
