"""What a node would send to itself stays in its memory until the task that reads it: no row of it crosses a border.

Where nodes spread rows among each other each of them is a sender and a receiver. The stream to itself travels like the
others, so that the coordinator sees every stream that a plan names, but without rows: it says that they were kept.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from archipel import errors
from archipel.sealing import StreamId

MAX_KEPT_BYTES = 256 * 1024 * 1024
"""Most bytes kept for all queries together. What has no room is sealed and travels like what is for others."""

_TOKEN = b"archipel.kept"


@dataclass(slots=True)
class _Kept:
    token: bytes
    rows: pa.Table
    until: float


@dataclass(slots=True)
class Keeping:
    """Rows by the stream in which they would have travelled. Safe for threads."""

    max_bytes: int = MAX_KEPT_BYTES
    now: Callable[[], float] = time.monotonic
    _rows: dict[StreamId, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, stream: StreamId, rows: pa.Table, *, timeout_s: float) -> pa.Table:
        """Return what is to travel in place of rows that are kept: an empty table; ``rows`` if there is no room.

        They are kept until they were read, and no longer than their query may take.
        """
        if stream.sender != stream.receiver:
            return rows
        with self._lock:
            self._forget_late()
            if rows.nbytes + sum(kept.rows.nbytes for kept in self._rows.values()) > self.max_bytes:
                return rows
            token = secrets.token_bytes(16)
            self._rows[stream] = _Kept(token, rows, self.now() + timeout_s)
        return rows.schema.with_metadata({_TOKEN: token}).empty_table()

    def rows_of(self, stream: StreamId, schema: pa.Schema) -> pa.Table | None:
        """Return the rows that stayed when a stream of that schema travelled without them; None where it has its own.

        Raises:
            ArchipelError: NODE_UNAVAILABLE when they are gone, as after a restart of the node.
        """
        token = (schema.metadata or {}).get(_TOKEN)
        if token is None or stream.sender != stream.receiver:
            return None
        with self._lock:
            kept = self._rows.get(stream)
        if kept is None or kept.token != token:
            text = "What this node kept of a query for itself is gone."
            raise errors.error(errors.NODE_UNAVAILABLE, text, node=stream.receiver)
        return kept.rows

    def forget(self, streams: tuple[StreamId, ...]) -> None:
        """Let go of rows whose reader is done."""
        with self._lock:
            for stream in streams:
                self._rows.pop(stream, None)
            self._forget_late()

    def _forget_late(self) -> None:
        now = self.now()
        for stream in [stream for stream, kept in self._rows.items() if kept.until < now]:
            del self._rows[stream]
