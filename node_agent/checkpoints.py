"""Signs what the audit log's Merkle tree is, every so often, into a file beside the log: one checkpoint a line."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import merkle, proof
from node_agent.audit_reading import CHECKPOINTS_FILE, checkpoint_tokens

log = logging.getLogger(__name__)

EVERY_RECORDS = 1_000
EVERY_S = 3_600.0
"""How old the newest record may become before a checkpoint covers it: a day has at most 24 of them for that reason."""


@dataclass(slots=True)
class Checkpoints:
    """Writes checkpoints of one node's log. The log calls it, one thread at a time."""

    node: str
    federation: str
    key: Ed25519PrivateKey
    every_records: int = EVERY_RECORDS
    every_s: float = EVERY_S
    now: Callable[[], float] = time.time
    newest: str = ""
    """The last one, signed."""
    _size: int = 0
    _written_at: float = 0.0
    _path: Path = field(default_factory=Path)

    def open(self, directory: Path) -> None:
        """Take up the checkpoints that are there; what a crash has left of one is cut off.

        Raises:
            OSError: the file cannot be read or repaired.
        """
        self._path = directory / CHECKPOINTS_FILE
        tokens = checkpoint_tokens(directory)
        if self._path.exists():
            whole = sum(len(token) + 1 for token in tokens)
            if self._path.stat().st_size > whole:
                os.truncate(self._path, whole)
        if tokens:
            last = proof.read_checkpoint(tokens[-1])
            self.newest, self._size = tokens[-1], last.size
        self._written_at = self.now()

    def due(self, size: int) -> bool:
        """Whether a log of ``size`` records wants a new one by now."""
        new = size - self._size
        return new >= self.every_records or (new > 0 and self.now() - self._written_at >= self.every_s)

    def write(self, edge: merkle.Frontier) -> None:
        """Sign and keep a checkpoint, unless the newest is of this size. A disk that fails is logged, and asked again.

        The records that it would cover are durable already, so nothing has to be refused for it.
        """
        if edge.size == self._size:
            return
        content = proof.Checkpoint(
            federation=self.federation,
            node=self.node,
            size=edge.size,
            root=edge.root().hex(),
            time=int(self.now()),
        )
        token = proof.sign(content, self.key)
        try:
            self._append(token)
        except OSError as cause:
            log.error("a checkpoint of the audit log cannot be written: %s", cause.strerror)
            self._written_at = self.now()
            return
        self.newest, self._size, self._written_at = token, edge.size, self.now()

    def _append(self, token: str) -> None:
        before = self._path.stat().st_size if self._path.exists() else 0
        line = token.encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, before)
                raise OSError(28, os.strerror(28))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
