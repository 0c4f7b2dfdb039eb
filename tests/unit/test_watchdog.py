"""The thread that stops statements: it interrupts what is late or unwanted, until it has ended, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from archipel.watchdog import Watchdog

LONG_S = 20.0


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    """A watchdog that repeats its interrupts quickly."""
    made = Watchdog("test-watchdog", interrupt_every_s=0.001)
    yield made
    made.close()


def test_a_statement_that_is_late_is_interrupted_until_it_has_ended(watchdog: Watchdog) -> None:
    interrupts = threading.Semaphore(0)
    with watchdog.watch(interrupts.release, LONG_S) as other, watchdog.watch(interrupts.release, 0.01) as late:
        for _ in range(3):
            assert interrupts.acquire(timeout=LONG_S)
        assert (late.late, late.stopped, other.late) == (True, False, False)


def test_a_later_statement_with_less_time_is_stopped_first(watchdog: Watchdog) -> None:
    interrupts = threading.Semaphore(0)
    with watchdog.watch(pytest.fail, LONG_S), watchdog.watch(pytest.fail, None):
        with watchdog.watch(interrupts.release, 0.0) as late:
            assert interrupts.acquire(timeout=LONG_S)
            assert late.late
        with watchdog.watch(interrupts.release, 0.0):
            assert interrupts.acquire(timeout=LONG_S)


def test_a_statement_that_is_not_wanted_is_interrupted_and_not_called_late(watchdog: Watchdog) -> None:
    interrupts = threading.Semaphore(0)
    with watchdog.watch(interrupts.release, None) as watch:
        threading.Thread(target=watch.stop).start()
        assert interrupts.acquire(timeout=LONG_S)
        assert interrupts.acquire(timeout=LONG_S)
        assert (watch.late, watch.stopped) == (False, True)


def test_one_that_was_stopped_before_it_began_is_interrupted_as_soon_as_it_begins(watchdog: Watchdog) -> None:
    interrupts = threading.Semaphore(0)
    watch = watchdog.watch(interrupts.release, None)
    watch.stop()
    with watch:
        assert interrupts.acquire(timeout=LONG_S)


def test_what_has_ended_is_never_interrupted(watchdog: Watchdog) -> None:
    over = threading.Event()
    after: list[bool] = []

    def interrupt() -> None:
        after.append(over.is_set())

    for _ in range(200):
        over.clear()
        with watchdog.watch(interrupt, 0.0005) as watch:
            time.sleep(0)
        over.set()
        watch.stop()
    watchdog.close()
    assert not any(after)


def test_closing_ends_the_thread_and_may_be_repeated() -> None:
    unused = Watchdog("test-watchdog", interrupt_every_s=1.0)
    unused.close()
    used = Watchdog("test-watchdog", interrupt_every_s=1.0)
    with used.watch(pytest.fail, LONG_S):
        pass
    used.close()
    used.close()
    assert not any(thread.name == "test-watchdog" for thread in threading.enumerate())
