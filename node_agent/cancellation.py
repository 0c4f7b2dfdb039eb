"""Stopping a task from any thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from archipel import errors
from node_agent.engine.base import Statement


class Cancellation:
    """Tells a task from any thread that nobody wants it any more. Once cancelled, nothing of it is released."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._cancelled = False
        self._reason: errors.ArchipelError | None = None
        self._statement: Statement | None = None

    def cancel(self) -> None:
        """Stop the task: its statement now, or before it starts."""
        with self._mutex:
            self._cancelled = True
            if self._statement is not None:
                self._statement.cancel()

    def stop(self, reason: errors.ArchipelError) -> None:
        """Stop the task as ``cancel`` does, for a reason that is told."""
        with self._mutex:
            self._reason = self._reason or reason
        self.cancel()

    @property
    def reason(self) -> errors.ArchipelError | None:
        """Why the task was stopped, when it was by ``stop``."""
        return self._reason

    def check(self) -> None:
        """Raise why the task was stopped, or CANCELLED when nobody wants it any more."""
        if self._reason is not None:
            raise self._reason
        if self._cancelled:
            raise errors.error(errors.CANCELLED, "The query was cancelled.")

    @contextlib.contextmanager
    def reaching(self, statement: Statement) -> Iterator[None]:
        """Let ``cancel`` stop ``statement`` while the block runs."""
        with self._mutex:
            self.check()
            self._statement = statement
        try:
            yield
        finally:
            with self._mutex:
                self._statement = None
