"""Arrow tables between the coordinator and its Ray driver process, by passing anonymous shared memory.

A message is one file descriptor over a Unix socket: the tables as Arrow streams, and a JSON header. The memory lies in
no folder, and the kernel frees it when nobody holds it. Both ends are this product's own processes on one host.
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

CLUSTER_LOST = "cluster lost"
"""Key of the answer to a merge when Ray has gone. The driver ends after it, and the coordinator starts another."""

_ALIGNMENT = 64
_MARK = b"m"
_SIZE_BYTES = 8


def pack(table: pa.Table) -> pa.Buffer:
    """Return a table as an Arrow stream; of a slice only its own rows."""
    sink = pa.BufferOutputStream()
    _write(sink, table)
    return sink.getvalue()


def unpack(stream: pa.Buffer) -> pa.Table:
    """Return the table of an Arrow stream; its columns lie in the stream's memory."""
    with pa.ipc.open_stream(pa.BufferReader(stream)) as reader:
        return reader.read_all()


def send(connection: socket.socket, header: dict[str, Any], tables: Sequence[pa.Table | pa.Buffer]) -> None:
    """Send a message: plain data, and tables or streams that ``pack`` made."""
    with _anonymous() as memory:
        spans = []
        for table in tables:
            start = _aligned(memory)
            if isinstance(table, pa.Buffer):
                memory.write(memoryview(table))
            else:
                _write(pa.PythonFile(memory, mode="w"), table)
            spans.append((start, memory.tell() - start))
        at = _aligned(memory)
        memory.write(json.dumps({"header": header, "streams": spans}).encode())
        memory.write(at.to_bytes(_SIZE_BYTES, "little"))
        memory.flush()
        socket.send_fds(connection, [_MARK], [memory.fileno()])


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[pa.Buffer]] | None:
    """Return the next message, its streams lying in the shared memory; None when the other end is gone.

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
    at = int.from_bytes(mapped[-_SIZE_BYTES:], "little")
    message = json.loads(mapped[at:-_SIZE_BYTES])
    whole = pa.py_buffer(mapped)
    return message["header"], [whole.slice(start, size) for start, size in message["streams"]]


def _write(sink: pa.NativeFile, table: pa.Table) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _aligned(memory: BinaryIO) -> int:
    memory.write(bytes(-memory.tell() % _ALIGNMENT))
    return memory.tell()


def _anonymous() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("archipel-merge", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()  # a system without memfd_create: a file without a name
