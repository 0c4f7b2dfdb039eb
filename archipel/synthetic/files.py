"""Writes Parquet files whose bytes depend on their rows alone."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 120_000
"""A row group is written when at least so many rows are waiting; DuckDB's own groups have 122,880."""

_DICTIONARY_BYTES = 8 << 20
"""Room for the pseudonyms of one row group; beyond it a column would fall back to plain text."""


class TableFile:
    """One Parquet file, written row group by row group. A context manager: leaving it closes the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def append(self, table: pa.Table) -> None:
        """Add rows; they reach the disk when a row group is full."""
        if not table.num_rows and self._writer is not None:
            return
        self._waiting.append(table)
        self.rows += table.num_rows
        if sum(part.num_rows for part in self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting).unify_dictionaries().combine_chunks()
        self._waiting.clear()
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.path,
                table.schema,
                compression="zstd",
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                # Readers take types from Parquet itself: text is text, not a dictionary.
                store_schema=False,
                store_decimal_as_integer=True,
            )
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
