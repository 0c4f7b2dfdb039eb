"""The process that talks to Ray for the coordinator: ``python -m coordinator.merge.ray_driver``.

Why a process of its own: Ray's library takes over SIGTERM, ends its whole process when its cluster's head has
been away for a minute, and ties the cluster's life to the thread that started it. None of this may happen to a
coordinator. The driver ends, and takes a local Ray with it, when the coordinator closes its socket or dies.

Its standard input is a Unix socket. Over it the driver first gets its settings, then says whether it is ready, and then
gets one socket for each merge. It trusts its parent; it opens nothing else.
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
from pathlib import Path
from typing import Any, NoReturn

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge import channel, ray_cluster, ray_merge
from coordinator.merge.settings import RaySettings


def main() -> None:
    """Serve until the other end closes."""
    control = socket.socket(fileno=os.dup(0))
    # What Ray starts inherits the standard input: were it the socket, it would outlive this process there.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    first = json.loads(_line(control))
    settings, scratch = RaySettings.model_validate(first["settings"]), Path(first["scratch"])
    try:
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
