"""The one thread that writes to the store. What waits at the same time is committed together.

Writes are carried out in the order in which they came. One that nobody waits for costs its caller nothing.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

Write = Callable[[Connection], None]
_Item = tuple[Write, Future[None]]

MAX_TOGETHER = 256
"""Writes of one transaction, so that a long queue does not keep the first ones waiting for the last."""


class Writer:
    """Carries out writes in order, in transactions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, write: Write) -> Future[None]:
        """Queue a write; the future is done when it is committed, or holds why it could not be."""
        done: Future[None] = Future()
        if self._closed:
            done.set_exception(RuntimeError("the store is closed"))
        else:
            self._waiting.put((write, done))
        return done

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
        """Wait for a write; return it with those that wait by then, and whether they are the last ones."""
        item = self._waiting.get()
        batch: list[_Item] = []
        while item is not None:
            batch.append(item)
            if len(batch) >= MAX_TOGETHER:
                return batch, False
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[_Item]) -> None:
        try:
            with self._engine.begin() as connection:
                for write, _ in batch:
                    write(connection)
        except Exception as cause:  # noqa: BLE001 - whatever it is, it belongs to those who wait, not to this thread
            if len(batch) > 1:
                for single in batch:  # one bad write must not take the others with it
                    self._commit([single])
                return
            log.error("a write to the store failed: %s", _kind(cause))
            batch[0][1].set_exception(cause)
            return
        for _, done in batch:
            done.set_result(None)


def _kind(cause: Exception) -> str:
    """Return the classes of an error, without its text: that holds the parameters, a researcher's SQL among them."""
    inner = getattr(cause, "orig", None) if isinstance(cause, SQLAlchemyError) else None
    return type(cause).__name__ + (f" ({type(inner).__name__})" if inner is not None else "")
