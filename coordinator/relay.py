"""What nodes sealed for each other waits here for its receiver: ciphertext, bounded in memory and on disk.

A stage's sealed output is taken in whole before the tasks that need it are sent. So a receiver is told exactly which
attempts of its senders count, a receiver that tries again finds everything still there, several receivers need not keep
step, and a node whose places are all taken by senders cannot wait for itself. The price is ciphertext on this
machine's disk, which tells no more than what passed through it.

What waits is held in memory up to one limit and in files without a name beyond it: they are gone with the process. When
the other limit, that of everything together, is reached, senders are kept waiting (whoever does not read from a stream
stops its sender) until somebody collects; who would wait for ever is refused.

Lives on the event loop's thread; files are read and written in threads.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from archipel import errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Most bytes held in memory and altogether, and where files go; None is the system's folder for such files."""

    memory_bytes: int
    max_bytes: int
    directory: Path | None = None


@dataclass(eq=False, slots=True)
class Spool:
    """One sealed stream: its frames, in memory or as (offset, length) in a file. ``close`` it."""

    query_id: str
    relay: Relay
    size: int = 0
    closed: bool = False
    _frames: list[bytes | tuple[int, int]] = field(default_factory=list)
    _file: int | None = None
    _end: int = 0
    _busy: int = 0

    async def append(self, frame: bytes) -> bool:
        """Take in the next frame, as soon as there is room; False when nobody wants the stream any more.

        Raises:
            ArchipelError: NODE_RESOURCES when there will be no room, or the disk refuses.
        """
        if not await self.relay.reserve(self, len(frame)):
            return False
        if self.relay.keep_in_memory(len(frame)):
            self._frames.append(frame)
            return True
        offset = self._end
        self._end += len(frame)
        try:
            await self._in_thread(self._write, frame, offset)
        except OSError as cause:
            text = "The coordinator has no room on its disk for what nodes send each other."
            raise errors.error(errors.NODE_RESOURCES, text, hint="Its operator looks after relay.directory.") from cause
        self._frames.append((offset, len(frame)))
        return not self.closed

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the frames in their order; may be asked for again. Ends early when the stream is closed meanwhile."""
        for place in list(self._frames):
            if self.closed:
                return
            if isinstance(place, bytes):
                yield place
                continue
            yield await self._in_thread(self._read, *place)

    def close(self) -> None:
        """Forget the stream and give its room back; idempotent."""
        if self.closed:
            return
        self.closed = True
        held = sum(len(frame) for frame in self._frames if isinstance(frame, bytes))
        self._frames.clear()
        self.relay.release(self, held)
        if not self._busy:
            self._close_file()

    def _write(self, frame: bytes, offset: int) -> None:
        if self._file is None:
            with tempfile.TemporaryFile(dir=self.relay.settings.directory) as made:
                self._file = os.dup(made.fileno())
        view = memoryview(frame)
        while view:
            written = os.pwrite(self._file, view, offset)
            view, offset = view[written:], offset + written

    def _read(self, offset: int, size: int) -> bytes:
        assert self._file is not None
        return os.pread(self._file, size, offset)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do something with the file, which stays open until it is done, whatever becomes of those who wait for it."""
        self._busy += 1
        done = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
        done.add_done_callback(self._finished)
        return await asyncio.shield(done)

    def _finished(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # seen: nobody may be left to see it
        self._busy -= 1
        if self.closed and not self._busy:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(eq=False, slots=True)
class Relay:
    """All sealed streams that wait, and how much room they take."""

    settings: RelaySettings
    size: int = 0
    """Bytes of everything that waits."""
    in_memory: int = 0
    """Those of them that are in memory."""
    _open: dict[str, set[Spool]] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)
    """By query: how many of its streams wait for room."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waiting(self) -> int:
        """How many senders are kept waiting for room."""
        return sum(self._waiting.values())

    def open(self, query_id: str) -> Spool:
        """Begin a stream."""
        spool = Spool(query_id, self)
        self._open.setdefault(query_id, set()).add(spool)
        return spool

    def drop(self, query_id: str) -> None:
        """Forget all streams of a query."""
        for spool in list(self._open.get(query_id, ())):
            spool.close()

    async def reserve(self, spool: Spool, size: int) -> bool:
        """Return when there is room for ``size`` more bytes; False when the stream was closed meanwhile.

        Raises:
            ArchipelError: NODE_RESOURCES when nobody who holds room could ever give some back.
        """
        query_id = spool.query_id
        while not spool.closed and self.size + size > self.settings.max_bytes:
            holding = {known for known, spools in self._open.items() if any(s.size for s in spools)}
            if not holding - self._waiting.keys() - {query_id}:
                text = (
                    f"Nodes would send each other more than the {self.settings.max_bytes:,} bytes that may wait here."
                )
                raise errors.error(
                    errors.NODE_RESOURCES, text, hint="Filter or aggregate more before the join, or ask again later."
                )
            self._waiting[query_id] = self._waiting.get(query_id, 0) + 1
            try:
                await self._changed.wait()
            finally:
                self._waiting[query_id] -= 1
                if not self._waiting[query_id]:
                    del self._waiting[query_id]
        if spool.closed:
            return False
        self.size += size
        spool.size += size
        return True

    def keep_in_memory(self, size: int) -> bool:
        """Whether a frame of ``size`` bytes may stay in memory; if so it is counted."""
        fits = self.in_memory + size <= self.settings.memory_bytes
        if fits:
            self.in_memory += size
        return fits

    def release(self, spool: Spool, in_memory: int) -> None:
        """Take back the room of a stream that was closed, and let those go on who wait for some."""
        spools = self._open.get(spool.query_id, set())
        spools.discard(spool)
        if not spools:
            self._open.pop(spool.query_id, None)
        self.size -= spool.size
        self.in_memory -= in_memory
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
