"""Starts the coordinator and the nodes of a layout as separate processes, and ends them without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import archipel
from archipel import errors
from archipel.demo.layout import Layout

START_TIMEOUT_S = 60.0
START_TIMEOUT_A_NODE_S = 3.0
"""A process takes about a second of CPU until it is attached, and a hundred of them share the cores."""

STOP_TIMEOUT_S = 40.0
"""Longer than the 30 s in which coordinator and nodes finish what runs."""
_POLL_S = 0.05


class LocalFederation:
    """The processes of one federation on this machine. A context manager: nothing is left running behind it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> LocalFederation:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until every node is attached.

        Raises:
            ArchipelError: a process ended or did not get ready in time; the message names it and its log.
        """
        self.start_coordinator()
        for node in self.layout.node_configs:
            self.start_node(node)
        nodes = self.layout.node_configs
        self.wait_attached(nodes, START_TIMEOUT_S + START_TIMEOUT_A_NODE_S * len(nodes))

    def start_coordinator(self) -> None:
        """Start the coordinator's process; does not wait for it."""
        self._spawn("coordinator", ["coordinator", "run", "--config", str(self.layout.coordinator_config)])

    def start_node(self, node: str) -> None:
        """Start a node's process; does not wait for it."""
        self._spawn(node, ["node", "run", "--config", str(self.layout.node_configs[node])])

    def wait_attached(self, nodes: Iterable[str], timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until all ``nodes`` are attached to the coordinator."""
        wanted = set(nodes)
        deadline = time.monotonic() + timeout_s
        missing = wanted
        while time.monotonic() < deadline:
            self._check_alive(wanted | {"coordinator"})
            with contextlib.suppress(errors.ArchipelError), self.connect() as connection:
                missing = wanted - {status.name for status in connection.nodes() if status.attached}
                if not missing:
                    return
            time.sleep(_POLL_S)
        raise errors.error(
            errors.COORDINATOR_UNAVAILABLE,
            f"Not attached within {timeout_s:.0f} s: {', '.join(sorted(missing))}.",
            hint=f"Their logs are in {self.layout.directory / 'logs'}.",
        )

    def connect(self) -> archipel.Connection:
        """Return a new connection with the layout's permit and key."""
        return archipel.connect(self.layout.address, permit=self.layout.permit, key=self.layout.key)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return the process of the coordinator or of a node."""
        return self._processes[name]

    def log_path(self, name: str) -> Path:
        """Return the file that holds what a process printed."""
        return self.layout.directory / "logs" / f"{name}.log"

    def kill(self, name: str) -> None:
        """End a process at once, as a power cut would."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str) -> int:
        """Ask a process to finish what runs and end; return its exit code."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End all processes: nodes first, then the coordinator; what does not end in time is killed."""
        processes = list(reversed(self._processes.items()))
        self._processes = {}
        for _, process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for _, process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _spawn(self, name: str, arguments: list[str]) -> None:
        log = self.log_path(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            # A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends the others.
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "archipel.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _check_alive(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            process = self._processes.get(name)
            if process is not None and process.poll() is not None:
                last = self.log_path(name).read_text(errors="replace").strip().splitlines()[-5:]
                raise errors.error(
                    errors.COORDINATOR_UNAVAILABLE,
                    f"The process of '{name}' ended with code {process.returncode}.",
                    hint="Its last lines: " + " | ".join(last),
                )
