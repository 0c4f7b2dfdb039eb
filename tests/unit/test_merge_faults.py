"""Merging on Ray when something dies: workers, the driver, the cluster under it, the coordinator. And what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import merge_cases as cases
import psutil
import pyarrow as pa
import pytest

from archipel.errors import ArchipelError
from coordinator.merge.ray_executor import RayExecutor
from coordinator.merge.settings import MIB, RaySettings
from coordinator.merge.stop import Stop

pytestmark = pytest.mark.ray

TIMEOUT_S = 120.0
WAIT_S = 60.0
TABLE = pa.table({"g": [f"group {i}" for i in range(30)], "n": list(range(30))})
EXPECTED = {f"group {i}": 3 * i for i in range(30)}
SETTINGS = RaySettings(cpus=2, object_store_bytes=100 * MIB, task_memory_bytes=256 * MIB)


@pytest.fixture(scope="module")
def running(temporary: Path) -> Iterator[RayExecutor]:
    """An executor that is up, for tests that leave it usable."""
    executor = RayExecutor(SETTINGS)
    assert merged(executor, quick_sql()) == EXPECTED
    yield executor
    executor.close()


def quick_sql() -> str:
    return cases.text(cases.grouped(["g"], cases.summed("n")))


def merged(executor: RayExecutor, sql: str, *, stop: Stop | None = None) -> dict[str, int]:
    table = executor.merge(sql, cases.source(TABLE, TABLE, TABLE), ("g",), timeout_s=TIMEOUT_S, stop=stop)
    return dict(zip(table["g"].to_pylist(), map(int, table["n"].to_pylist()), strict=True))


def session(pid: int) -> list[psutil.Process]:
    """The driver and all that it started."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def until(found: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    """What other processes do raises no event here: look until there is something, or time is up."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not (processes := found()):
        assert time.monotonic() < deadline, "nothing was found in time"
        pause.wait(0.02)
    return processes


def named(pid: int, name: str) -> list[psutil.Process]:
    """The processes of a driver's session with such a command line."""
    found = []
    for process in session(pid):
        try:
            if name in " ".join(process.cmdline()[:1]):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def at_work(pid: int) -> list[psutil.Process]:
    return named(pid, "ray::merge_part")


def driver_of(executor: RayExecutor) -> int:
    pid = executor.driver_pid
    assert pid is not None
    return pid


@pytest.fixture(scope="module", autouse=True)
def temporary() -> Iterator[Path]:
    """A temporary directory of its own: others on this host may run a Ray too. Short, for the paths of sockets."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mf-", dir="/tmp") as folder:
        tempfile.tempdir = folder
        yield Path(folder)
        tempfile.tempdir = before
        assert list(Path(folder).glob("apl-ray-*")) == []


def scratch_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("apl-ray-*"))


def shared_memory() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if "plasma" in name or "ray" in name}


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def begun(pool: ThreadPoolExecutor, executor: RayExecutor, rows: int) -> Future[dict[str, int]]:
    return pool.submit(merged, executor, cases.slow_sql(rows))


SOME_SECONDS = 10**10
FOR_EVER = 10**13


def test_a_part_whose_worker_is_killed_runs_again_and_counts_once(
    running: RayExecutor, background: ThreadPoolExecutor
) -> None:
    driver = driver_of(running)
    result = begun(background, running, SOME_SECONDS)
    victim = until(lambda: at_work(driver))[0]
    victim.kill()
    assert result.result(TIMEOUT_S) == EXPECTED
    assert driver_of(running) == driver
    assert not victim.is_running()


def test_a_killed_driver_is_replaced_and_the_merge_done_again(
    running: RayExecutor, background: ThreadPoolExecutor
) -> None:
    driver = driver_of(running)
    before = scratch_folders()
    result = begun(background, running, SOME_SECONDS)
    until(lambda: at_work(driver))
    os.kill(driver, signal.SIGKILL)
    assert result.result(TIMEOUT_S) == EXPECTED
    assert driver_of(running) != driver
    assert session(driver) == []
    assert len(scratch_folders() - before) == len(before - scratch_folders()) == 1


def test_a_cluster_that_dies_under_the_driver_is_replaced(running: RayExecutor, background: ThreadPoolExecutor) -> None:
    driver = driver_of(running)
    result = begun(background, running, SOME_SECONDS)
    until(lambda: at_work(driver))
    (raylet,) = named(driver, "raylet/raylet")
    raylet.kill()
    # Small results go straight from the workers to the driver, so that this merge may even outlive its cluster.
    assert result.result(TIMEOUT_S) == EXPECTED
    assert merged(running, quick_sql()) == EXPECTED
    assert driver_of(running) != driver
    assert session(driver) == []


def test_a_driver_that_is_lost_between_two_merges_is_replaced(running: RayExecutor) -> None:
    driver = driver_of(running)
    os.kill(driver, signal.SIGKILL)
    assert merged(running, quick_sql()) == EXPECTED
    assert driver_of(running) != driver
    assert session(driver) == []


def test_a_merge_that_is_no_longer_wanted_ends_in_the_workers_too_and_ray_goes_on(
    running: RayExecutor, background: ThreadPoolExecutor
) -> None:
    stop = Stop()
    result = background.submit(merged, running, cases.slow_sql(FOR_EVER), stop=stop)
    driver = driver_of(running)
    until(lambda: at_work(driver))
    stop.make()
    with pytest.raises(ArchipelError) as caught:
        result.result(WAIT_S)
    assert caught.value.code == "CANCELLED"
    pause, deadline = threading.Event(), time.monotonic() + WAIT_S
    while at_work(driver):
        assert time.monotonic() < deadline, "the workers go on"
        pause.wait(0.02)
    assert merged(running, quick_sql()) == EXPECTED
    assert driver_of(running) == driver


def test_closing_ends_a_merge_under_way_and_leaves_nothing(background: ThreadPoolExecutor) -> None:
    folders, threads = scratch_folders(), set(threading.enumerate())
    descriptors, shared = set(os.listdir("/proc/self/fd")), shared_memory()
    executor = RayExecutor(SETTINGS)
    result = begun(background, executor, FOR_EVER)
    until(lambda: [] if executor.driver_pid is None else at_work(executor.driver_pid))
    driver = driver_of(executor)
    executor.close()
    with pytest.raises(ArchipelError) as caught:
        result.result(WAIT_S)
    assert caught.value.code == "INTERRUPTED"
    executor.close()
    with pytest.raises(ArchipelError) as refused:
        merged(executor, quick_sql())
    assert refused.value.code == "INTERRUPTED"
    assert session(driver) == []
    assert scratch_folders() == folders
    assert {t for t in threading.enumerate() if "ray" in t.name} <= threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)
    assert shared_memory() <= shared


def test_closing_while_ray_starts_ends_the_start(background: ThreadPoolExecutor) -> None:
    executor = RayExecutor(SETTINGS)
    result = background.submit(merged, executor, quick_sql())
    until(lambda: [] if executor.driver_pid is None else session(executor.driver_pid))
    driver = driver_of(executor)
    executor.close()
    with pytest.raises(ArchipelError) as caught:
        result.result(WAIT_S)
    assert caught.value.code == "INTERRUPTED"
    assert session(driver) == []


def test_what_a_killed_coordinator_started_ends_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "stand_in.py"
    script.write_text(
        "import sys, threading\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_merge_faults as here\n"
        "executor = here.RayExecutor(here.SETTINGS)\n"
        "here.merged(executor, here.quick_sql())\n"
        "print(executor.driver_pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    folders = scratch_folders()
    environment = os.environ | {"TMPDIR": tempfile.gettempdir()}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        driver = int(process.stdout.readline())
        assert session(driver)
        process.kill()
    until(lambda: [] if session(driver) else [psutil.Process()])
    assert scratch_folders() == folders
