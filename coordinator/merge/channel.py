"""Arrow tables between the coordinator and its Ray driver process, by passing anonymous shared memory.

A message is one file descriptor over a Unix socket: a JSON header and then the tables as Arrow streams. It lies in no
folder, and the kernel frees it when nobody holds it. Both ends are this product's own processes on one host.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import tempfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import pyarrow as pa

_ALIGNMENT = 64
_MARK = b"m"


def send(connection: socket.socket, header: dict[str, Any], tables: Sequence[pa.Table]) -> None:
    """Send a message; ``header`` is plain data."""
    with _anonymous() as memory:
        spans = []
        for table in tables:
            start = _aligned(memory)
            with pa.ipc.new_stream(pa.PythonFile(memory, mode="w"), table.schema) as writer:
                writer.write_table(table)
            spans.append((start, memory.tell() - start))
        at = _aligned(memory)
        memory.write(json.dumps({"header": header, "tables": spans}).encode())
        memory.write(at.to_bytes(8, "little"))
        memory.flush()
        socket.send_fds(connection, [_MARK], [memory.fileno()])


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[pa.Table]] | None:
    """Return the next message, its tables lying in the shared memory; None when the other end is gone.

    Raises:
        TimeoutError: the socket's timeout passed.
    """
    try:
        mark, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    except ConnectionError:
        return None
    if not mark or not descriptors:
        return None
    try:
        mapped = mmap.mmap(descriptors[0], 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptors[0])
    at = int.from_bytes(mapped[-8:], "little")
    message = json.loads(mapped[at:-8])
    whole = pa.py_buffer(mapped)
    tables = []
    for start, size in message["tables"]:
        with pa.ipc.open_stream(pa.BufferReader(whole.slice(start, size))) as reader:
            tables.append(reader.read_all())
    return message["header"], tables


def _aligned(memory: BinaryIO) -> int:
    memory.write(bytes(-memory.tell() % _ALIGNMENT))
    return memory.tell()


def _anonymous() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("archipel-merge", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()  # a system without memfd_create: a file without a name
