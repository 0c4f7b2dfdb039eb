"""The coordinator's handle of the Ray driver process: starting it, knowing when it is lost, leaving nothing behind.

The driver is the first process of a session of its own, in which everything that it starts stays: that is how what a
killed driver leaves is found and ended.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge.settings import RayMode, RaySettings

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 15.0
"""Ray takes 1.5 s to end; twice that on a busy host."""
_END_TIMEOUT_S = 5.0
_LOOK_S = 0.02
_LONGEST_SCRATCH = 40
"""Ray puts sockets some 60 characters deeper, and their paths may have 107."""

_NOT_STARTED = "Ray, which merges large partial results, could not be started."
_NOT_JOINED = "The Ray cluster, which merges large partial results, could not be joined."

_TOO_LONG = "it took longer than merge.ray.start_timeout_s (a wrong token looks the same)"


class RayDriver:
    """A driver process under way. Threads may call it at once."""

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._scratch = _scratch()
        self._control, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "coordinator.merge.ray_driver"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError:
            self._control.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        finally:
            theirs.close()
        self._ready: Future[None] = Future()
        self._lost = threading.Event()
        self._switch = threading.Lock()
        self._stopped = False
        self._watch = threading.Thread(target=self._follow, name="ray-driver", daemon=True)
        self._watch.start()

    @property
    def pid(self) -> int:
        """The driver's process, which is also its session."""
        return self._process.pid

    @property
    def lost(self) -> bool:
        """Whether it has ended, could not start, or lost its cluster."""
        return self._lost.is_set()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until merges can be sent.

        Raises:
            ArchipelError: RAY_UNAVAILABLE when Ray cannot be started or joined.
            TimeoutError: not ready yet.
        """
        self._ready.result(timeout_s)

    def open(self) -> socket.socket:
        """Return a connection for one merge; it ends when the driver does."""
        ours, theirs = socket.socketpair()
        try:
            with self._switch:
                socket.send_fds(self._control, [b"c"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise ConnectionError("the Ray driver has gone") from None
        finally:
            theirs.close()
        return ours

    def stop(self) -> None:
        """End the driver, and a local Ray with it, and remove its files; idempotent."""
        with self._switch:
            if self._stopped:
                return
            self._stopped = True
            _shut(self._control)
        if not self._ready.done():
            self._process.kill()  # Ray's start cannot be interrupted; what it has started so far ends below
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _end_session(self._process.pid)
        self._watch.join()
        self._control.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _follow(self) -> None:
        try:
            self._start()
        except ArchipelError as cause:
            self._ready.set_exception(cause)
        else:
            self._ready.set_result(None)
            self._control.settimeout(None)
            _wait_for_end(self._control)
        self._lost.set()

    def _start(self) -> None:
        first = {"settings": self._settings.model_dump(mode="json"), "scratch": str(self._scratch)}
        self._control.settimeout(self._settings.start_timeout_s)
        deadline = time.monotonic() + self._settings.start_timeout_s
        try:
            self._control.sendall(json.dumps(first).encode() + b"\n")
            line = _line(self._control, deadline)
        except TimeoutError:
            self._process.kill()
            raise self._unavailable(_TOO_LONG) from None
        except OSError as cause:
            raise self._unavailable(type(cause).__name__) from None
        if not line:
            raise self._unavailable("its driver ended")
        said = json.loads(line)
        if not said["ready"]:
            raise self._unavailable(said["cause"])
        if said["note"]:
            log.warning("%s", said["note"])
        log.info("Ray is ready with %d CPUs", said["cpus"])

    def _unavailable(self, cause: str) -> ArchipelError:
        if self._stopped:
            return errors.error(errors.INTERRUPTED, "The coordinator was stopped.")
        # The cause can name hosts and files of the operator: to the log, not to the researcher.
        log.warning("Ray is not available: %s", cause)
        message = _NOT_STARTED if self._settings.mode is RayMode.LOCAL else _NOT_JOINED
        return errors.error(
            errors.RAY_UNAVAILABLE, message, hint="The coordinator's operator finds the cause in its log."
        )


def _environment() -> dict[str, str]:
    """This process's variables without Ray's: only the settings decide. Nor those that make Ray think it is tested."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTEST_"))}


def _scratch() -> Path:
    folder = Path(tempfile.gettempdir())
    if len(str(folder)) > _LONGEST_SCRATCH:
        folder = Path("/tmp")
    return Path(tempfile.mkdtemp(prefix="apl-ray-", dir=folder))  # of mode 0700


def _line(control: socket.socket, deadline: float) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        control.settimeout(max(0.001, deadline - time.monotonic()))
        part = control.recv(65_536)
        if not part:
            return b""
        received += part
    return received


def _wait_for_end(control: socket.socket) -> None:
    try:
        while control.recv(1):
            pass
    except OSError:
        return


def _shut(control: socket.socket) -> None:
    try:
        control.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _end_session(session: int) -> None:
    """Kill what is left of the session and wait until it has gone. Only on Linux is there anything to find."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    while (members := _members(session)) and time.monotonic() < deadline:
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_LOOK_S)


def _members(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        # After the name: state, parent, group, session. A zombie is nobody's to kill.
        if fields[3] == str(session) and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
