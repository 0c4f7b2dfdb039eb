"""Stops statements that run too long or are no longer wanted: one thread for all the statements of an engine.

A thread for each statement cost more than many a statement. The thread begins with the first one, and sleeps until the
earliest time at which one of them is late.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Watchdog:
    """Watches statements on behalf of their callers; ``close`` it when no statement runs any more."""

    def __init__(self, name: str, *, interrupt_every_s: float) -> None:
        """``interrupt_every_s``: an interrupt that comes just before a statement begins is lost, so it is repeated."""
        self._name = name
        self._every_s = interrupt_every_s
        self._changed = threading.Condition()
        self._watched: set[Watch] = set()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, interrupt: Callable[[], None], timeout_s: float | None) -> Watch:
        """Return what stops a statement by ``interrupt``, from when it is entered until it is left.

        ``interrupt`` is called on the watchdog's thread, again and again until the statement has ended, and never
        afterwards. It must not block.
        """
        return Watch(self, interrupt, timeout_s)

    def close(self) -> None:
        """End the thread; idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def begin(self, watch: Watch) -> None:
        """Watch; for ``Watch`` only."""
        with self._changed:
            self._watched.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            elif watch.deadline < self._wakes_at:
                self._changed.notify()

    def look(self) -> None:
        """Look at all statements now; for ``Watch`` only."""
        with self._changed:
            self._changed.notify()

    def end(self, watch: Watch) -> None:
        """Watch no longer; for ``Watch`` only."""
        with self._changed:
            self._watched.discard(watch)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                due = [watch for watch in self._watched if watch.is_due(now)]
                if not due:
                    self._wakes_at = min((watch.deadline for watch in self._watched), default=math.inf)
                    self._changed.wait(None if math.isinf(self._wakes_at) else self._wakes_at - now)
                    self._wakes_at = -math.inf  # it is awake: whoever comes now is seen without being told of
                    continue
            for watch in due:
                watch.interrupt()
            with self._changed:
                if not self._closed:
                    self._changed.wait(self._every_s)


class Watch:
    """One statement that is watched. A context manager; ``stop`` it from any thread."""

    def __init__(self, watchdog: Watchdog, interrupt: Callable[[], None], timeout_s: float | None) -> None:
        self._watchdog = watchdog
        self._interrupt = interrupt
        self._timeout_s = timeout_s
        self._mutex = threading.Lock()
        self._over = False
        self.deadline = math.inf
        """When it is late, on the monotonic clock."""
        self.stopped = False
        """Whether it is no longer wanted."""
        self.late = False
        """Whether its time was over before it ended."""

    def __enter__(self) -> Watch:
        if self._timeout_s is not None:
            self.deadline = time.monotonic() + self._timeout_s
        self._watchdog.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._mutex:
            self._over = True
        self._watchdog.end(self)

    def stop(self) -> None:
        """Have it interrupted from now on; without effect once it has ended."""
        self.stopped = True
        self._watchdog.look()

    def is_due(self, now: float) -> bool:
        """Whether it is to be interrupted."""
        return self.stopped or self.deadline <= now

    def interrupt(self) -> None:
        """Interrupt it unless it has ended; for the watchdog only."""
        with self._mutex:
            if not self._over:
                self.late = self.late or not self.stopped
                self._interrupt()
