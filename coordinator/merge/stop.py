"""The wish that a merge or finish under way should end: made by one thread, heard by the one that does the work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from archipel import errors


class Stop:
    """Made once, and never taken back. Threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def made(self) -> bool:
        """Whether what runs is no longer wanted."""
        return self._made

    def make(self) -> None:
        """Tell what runs to end, and what comes not to begin; idempotent."""
        with self._lock:
            self._made = True
            for listener in self._listeners:
                listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have ``listener`` called when the wish is made within the block; at once when it was made before.

        It is called by whoever makes the wish, so it must neither block nor raise.
        """
        with self._lock:
            if self._made:
                listener()
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def check(self) -> None:
        """Raise when the wish was made.

        Raises:
            ArchipelError: CANCELLED.
        """
        if self._made:
            raise cancelled()


def cancelled() -> errors.ArchipelError:
    """Return the error with which stopped work ends; it reaches nobody who still waits for the work."""
    return errors.error(errors.CANCELLED, "The query no longer needs what was being merged.")
