"""HEAD of an audit log: how many records there are and the hash of the newest, so that removing the newest ones shows.

Two lines of a fixed length, written in turn and in place, each with a check of itself: if a power cut tears the one
that is being written, the other still names the record before. Overwriting what the file already holds needs no new
room, no name and no journal of the file system: one write to the disk in place of three for a new file under the old
name.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

HEAD_FILE = "HEAD"

SLOT_BYTES = 512
"""A sector: a disk that tears writes tears them between sectors, so that one line never takes the other with it."""
_CHECK_DIGITS = 16

sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has none
"""Makes a file's content durable, and its size where that has changed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record: how many there are, and its hash."""

    count: int
    hash: str


class HeadFile:
    """The file of one log, open for writing; of one thread at a time."""

    def __init__(self, directory: Path, head: Head) -> None:
        """Write ``head`` into a new file, under its name at once, and keep that open. Raises OSError."""
        self._directory = directory
        self._descriptor = -1
        self._create(head)

    def write(self, head: Head) -> None:
        """Make ``head`` durable. Raises OSError; the head before still stands then."""
        if not os.fstat(self._descriptor).st_nlink:
            self._create(head)  # somebody has removed or replaced the file
            return
        line = _line(head)
        if os.pwrite(self._descriptor, line, head.count % 2 * SLOT_BYTES) != len(line):
            raise OSError(28, os.strerror(28))
        sync_data(self._descriptor)

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _create(self, head: Head) -> None:
        temporary = self._directory / f".{HEAD_FILE}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            lines = [b" " * (SLOT_BYTES - 1) + b"\n", _line(head)]
            content = b"".join(lines if head.count % 2 else reversed(lines))
            if os.write(descriptor, content) != len(content):
                raise OSError(28, os.strerror(28))
            os.fsync(descriptor)
            temporary.replace(self._directory / HEAD_FILE)
            sync_folder(self._directory)
        except OSError:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor = descriptor


def read_head(directory: Path) -> Head:
    """Return what HEAD says: the newer one of its whole lines.

    Raises:
        OSError: it cannot be read; FileNotFoundError when there is none.
        ValueError: it says nothing.
    """
    lines = (directory / HEAD_FILE).read_bytes().splitlines()
    found = [head for head in map(_read, lines) if head is not None]
    if not found:
        count, digest = b"".join(lines).split()  # one line without a check, as earlier versions wrote it
        return Head(int(count), digest.decode("ascii"))
    return max(found, key=lambda head: head.count)


def sync_folder(directory: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(head: Head) -> bytes:
    told = f"{head.count} {head.hash}"
    return f"{told} {_check(told)}".ljust(SLOT_BYTES - 1).encode() + b"\n"


def _read(line: bytes) -> Head | None:
    try:
        count, digest, check = line.decode("ascii").split()
        head = Head(int(count), digest)
    except ValueError:
        return None
    return head if check == _check(f"{head.count} {head.hash}") else None


def _check(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()[:_CHECK_DIGITS]
