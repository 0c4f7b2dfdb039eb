"""Answers as they lie in a node's databases: one compressed Arrow stream."""

from __future__ import annotations

import pyarrow as pa


def packed(table: pa.Table) -> bytes:
    """Return a table as bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unpacked(content: bytes | None) -> pa.Table:
    """Return the table in what ``packed`` gave."""
    return pa.ipc.open_stream(content).read_all()
