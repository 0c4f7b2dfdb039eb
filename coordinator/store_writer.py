"""The one thread that writes to the store. What waits at the same time is committed together.

Writes are carried out in the order in which they came. One that nobody waits for is *lazy*: it is committed together
with the next one that somebody waits for, or a little later. So a query costs two commits, one at each end, and not one
for each thing that happens to it: every commit waits for the disk.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

Write = Callable[[Connection], None]

MAX_TOGETHER = 256
"""Writes of one transaction, so that a long queue does not keep the first ones waiting for the last."""


LAZY_S = 0.25
"""How long a lazy write may wait for company."""


@dataclass(slots=True)
class _Item:
    write: Write
    lazy: bool
    done: Future[None] = field(default_factory=Future)


class Writer:
    """Carries out writes in order, in transactions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, write: Write, *, lazy: bool = False) -> Future[None]:
        """Queue a write; the future is done when it is committed, or holds why it could not be."""
        item = _Item(write, lazy)
        if self._closed:
            item.done.set_exception(RuntimeError("the store is closed"))
        else:
            self._waiting.put(item)
        return item.done

    def close(self) -> None:
        """Carry out what waits and stop; idempotent."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._gather()
            if batch:
                self._commit(batch)

    def _gather(self) -> tuple[list[_Item], bool]:
        """Wait for writes; return those to commit together, and whether they are the last ones."""
        batch: list[_Item] = []
        until: float | None = None
        while len(batch) < MAX_TOGETHER:
            try:
                item = self._waiting.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
            if not item.lazy:
                until = 0.0  # from now on only what is there already
            elif until is None:
                until = time.monotonic() + LAZY_S
        return batch, False

    def _commit(self, batch: Sequence[_Item]) -> None:
        try:
            with self._engine.begin() as connection:
                for item in batch:
                    item.write(connection)
        except Exception as cause:  # noqa: BLE001 - whatever it is, it belongs to those who wait, not to this thread
            if len(batch) > 1:
                for single in batch:  # one bad write must not take the others with it
                    self._commit([single])
                return
            log.error("a write to the store failed: %s", _kind(cause))
            batch[0].done.set_exception(cause)
            return
        for item in batch:
            item.done.set_result(None)


def _kind(cause: Exception) -> str:
    """Return the classes of an error, without its text: that holds the parameters, a researcher's SQL among them."""
    inner = getattr(cause, "orig", None) if isinstance(cause, SQLAlchemyError) else None
    return type(cause).__name__ + (f" ({type(inner).__name__})" if inner is not None else "")
