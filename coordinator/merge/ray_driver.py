"""The process that talks to Ray for the coordinator: ``python -m coordinator.merge.ray_driver``.

Why a process of its own: Ray's library takes over SIGTERM, ends its whole process when its cluster's head has
been away for a minute, and ties the cluster's life to the thread that started it. None of this may happen to a
coordinator. The driver ends, and takes a local Ray with it, when the coordinator closes its socket or dies.

Its standard input is a Unix socket. Over it the driver first gets its settings, then says whether it is ready, and then
gets one socket for each merge. It trusts its parent; it opens nothing else.

Joining a cluster is tried several times, each time longer, by a process that begins anew: where a busy head fails to
start the process that serves a client (it forks beside gRPC's threads; one child in eight was seen to die of it), Ray's
client waits for it without end and cannot be interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge import channel, ray_cluster, ray_merge
from coordinator.merge.settings import RayMode, RaySettings

_FIRST_ATTEMPT_S = 8.0
"""Joining takes 2 s, on a busy host 4; the next attempt may take twice as long, and so on."""


def main() -> None:
    """Serve until the other end closes. Two arguments: the first line that came, and which attempt to join this is."""
    control = socket.socket(fileno=os.dup(0))
    line, attempt = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 1 else (_line(control).decode(), 0)
    # What Ray starts inherits the standard input: were it the socket, it would outlive this process there.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    first = json.loads(line)
    settings, scratch = RaySettings.model_validate(first["settings"]), Path(first["scratch"])
    try:
        with _attempt(control, line, attempt, settings):
            cluster = ray_cluster.start(settings, scratch)
        _say(control, {"ready": True, "cpus": cluster.cpus, "note": cluster.note})
    except BaseException as cause:  # noqa: BLE001  Ray raises anything, SystemExit included
        _say(control, {"ready": False, "cause": f"{type(cause).__name__}: {cause}"})
        _leave(scratch)
    # Not in another thread: Linux ends a local Ray with the thread that started it.
    while (connection := _next(control)) is not None:
        serve = threading.Thread(target=_serve, args=(connection, settings, cluster.cpus, control), daemon=True)
        serve.start()
    _leave(scratch)


@contextlib.contextmanager
def _attempt(control: socket.socket, line: str, attempt: int, settings: RaySettings) -> Iterator[None]:
    """Become a new process when joining a cluster takes too long. The parent knows when all of it has."""

    def begin_anew() -> None:
        os.dup2(control.fileno(), 0)
        again = [sys.executable, "-m", "coordinator.merge.ray_driver", line, str(attempt + 1)]
        os.execv(sys.executable, again)

    if settings.mode is not RayMode.EXISTING:
        yield
        return
    timer = threading.Timer(_FIRST_ATTEMPT_S * 2**attempt, begin_anew)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _serve(connection: socket.socket, settings: RaySettings, cpus: int, control: socket.socket) -> None:
    """Do one merge and answer."""
    with connection:
        message = channel.receive(connection)
        if message is None:
            return
        header, chunks = message
        request = ray_merge.Request(header["sql"], header["name"], tuple(header["keys"]), header["timeout_s"])
        parts = ray_merge.partitions(sum(c.size for c in chunks), cpus, settings.task_memory_bytes)
        answer: dict[str, Any]
        streams: list[Any] = []
        try:
            done = ray_merge.merge(request, chunks, parts, settings, lambda: _gone(connection))
            answer, streams = {"times": [times for _, times in done]}, [stream for stream, _ in done]
        except ArchipelError as cause:
            answer = {"error": cause.info.code.name, "message": cause.info.message, "hint": cause.info.hint}
        except ray_merge.ClusterLostError as cause:
            answer = {channel.CLUSTER_LOST: str(cause)}
        except Exception as cause:  # noqa: BLE001  whatever it is, the coordinator waits for an answer
            message_text = f"The partial results could not be merged ({type(cause).__name__})."
            answer = {"error": errors.MERGE_FAILED.name, "message": message_text, "hint": errors.MERGE_FAILED.hint}
        with contextlib.suppress(OSError):
            channel.send(connection, answer, streams)
        if channel.CLUSTER_LOST in answer:
            control.shutdown(socket.SHUT_RDWR)


def _gone(connection: socket.socket) -> bool:
    """Whether the other end has closed; it says nothing between its request and our answer."""
    return bool(select.select([connection], [], [], 0)[0])


def _next(control: socket.socket) -> socket.socket | None:
    try:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    except ConnectionError:
        return None
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def _leave(scratch: Path) -> NoReturn:
    """End Ray and this process, whatever threads still wait."""
    with contextlib.suppress(BaseException):
        ray_cluster.stop()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def _line(control: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = control.recv(65_536)
        if not part:
            sys.exit(0)
        received += part
    return received


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
