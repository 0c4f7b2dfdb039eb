"""What other nodes sent and what does not fit into memory: on this node's disk, but readable by this process only.

The file has no name, so that nothing of it is left when the task ends or the process does, however it ends. What is in
it is encrypted with a key that exists in memory only (AES-256-GCM, one nonce for each slice of the Arrow stream): it is
another holder's data, and a disk keeps more than file systems show.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archipel import errors, frames

_NONCE_BYTES = 12


class SpilledTable:
    """Record batches in an encrypted file. The engine may read them as often as a statement names the table."""

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], directory: Path) -> None:
        """Write ``batches`` to a file in ``directory``.

        Raises:
            ArchipelError: NODE_RESOURCES when the disk refuses.
        """
        self.schema = schema
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._slices: list[tuple[int, int]] = []
        """Offset and length of each slice; its number is its nonce."""
        self.size = 0
        """Bytes of the file."""
        try:
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by close()
        except OSError as cause:
            raise _no_room() from cause
        try:
            for part in frames.encode(schema, batches):
                self._write(part)
            self._file.flush()
        except OSError as cause:
            self.close()
            raise _no_room() from cause
        except BaseException:
            self.close()
            raise

    @property
    def column_names(self) -> list[str]:
        """The names of its columns."""
        return list(self.schema.names)

    def reader(self) -> pa.RecordBatchReader:
        """Return its rows from the beginning, decrypted as they are read."""
        return frames.decode_batches(self._plain())

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Give the engine one pass over the rows (the Arrow PyCapsule interface)."""
        return self.reader().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        """Give the engine the columns."""
        return self.schema.__arrow_c_schema__()

    def close(self) -> None:
        """Remove the file; idempotent."""
        self._file.close()

    def _write(self, part: bytes) -> None:
        sealed = self._aead.encrypt(len(self._slices).to_bytes(_NONCE_BYTES), part, None)
        self._slices.append((self.size, len(sealed)))
        self._file.write(sealed)
        self.size += len(sealed)

    def _plain(self) -> Iterator[bytes]:
        descriptor = self._file.fileno()
        for number, (offset, length) in enumerate(self._slices):
            try:
                yield self._aead.decrypt(number.to_bytes(_NONCE_BYTES), os.pread(descriptor, length, offset), None)
            except (InvalidTag, OSError) as cause:
                raise errors.error(errors.NODE_RESOURCES, "What the node had to put on disk is damaged.") from cause


def gathered(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], *, memory_bytes: int, directory: Path
) -> pa.Table | SpilledTable:
    """Return all of ``batches``: as a table in memory, or in a file when they take more than ``memory_bytes``.

    Raises:
        ArchipelError: NODE_RESOURCES, and whatever ``batches`` raises.
    """
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size > memory_bytes:
            return SpilledTable(schema, _handed_on(held, batches), directory)
    return pa.Table.from_batches(held, schema)


def _handed_on(held: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while held:
        yield held.pop(0)
    yield from rest


def _no_room() -> errors.ArchipelError:
    return errors.error(errors.NODE_RESOURCES, "The node has no room for what other nodes sent.")
