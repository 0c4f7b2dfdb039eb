"""The process that talks to Ray for the coordinator: ``python -m coordinator.merge.ray_driver``.

Why a process of its own: Ray's library takes over SIGTERM, ends its whole process when its cluster's head has
been away for a minute, and ties the cluster's life to the thread that started it. None of this may happen to a
coordinator. The driver ends, and takes a local Ray with it, when the coordinator closes its socket or dies.

Its standard input is a Unix socket. Over it the driver first gets its settings, then says whether it is ready, and then
gets one socket for each merge. It trusts its parent; it opens nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge import channel, partition

CHUNK_BYTES = 64 * 1024 * 1024
"""A node's table is cut into pieces of about this size, so that one large node is split by several workers."""

_LOST = (
    "ray lost its cluster"  # the driver ends after telling this, and the coordinator starts another
)


def main() -> int:
    """Serve until the other end closes."""
    control = socket.socket(fileno=os.dup(0))
    settings = json.loads(_line(control))
    try:
        cpus = _start(settings)
    except BaseException as cause:  # noqa: BLE001  Ray raises anything, SystemExit included
        _say(control, {"ready": False, "cause": f"{type(cause).__name__}: {cause}"})
        return 1
    finally:
        pass
    try:
        _say(control, {"ready": True, "cpus": cpus})
        while True:
            mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not mark:
                return 0
            threading.Thread(target=_serve, args=(socket.socket(fileno=descriptors[0]), settings), daemon=True).start()
    except ConnectionError:
        return 0
    finally:
        _stop(settings)


def _line(control: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = control.recv(65_536)
        if not part:
            raise SystemExit(0)
        received += part
    return received


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")
