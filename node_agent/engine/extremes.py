"""The least and greatest values of columns, as a node tells them of tables that are not about persons.

Of Parquet files they are in the footers, which are read anyway. Other tables are looked through only where that is
cheap. What is not known is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from archipel import ranges
from archipel.schema import ColumnRange, Table

MOST_ROWS_READ = 100_000
"""Larger tables without footers are not read once more for it: a node's start shall not take longer."""

_FOOTERS = """
    SELECT path_in_schema, stats_min_value, stats_max_value, stats_null_count, num_values FROM parquet_metadata(?)
"""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A part of a column: its ends as text, how many values there are, and how many of them are NULL, if known."""

    least: str | None
    greatest: str | None
    nulls: int | None
    values: int


def of_files(database: duckdb.DuckDBPyConnection, table: Table, paths: Iterable[Path]) -> tuple[ColumnRange, ...]:
    """Return the ranges of a table's columns as the footers of its Parquet files have them."""
    kinds = dict(ranges.columns_told(table))
    if not kinds:
        return ()
    found: dict[str, list[_Chunk]] = {name: [] for name in kinds}
    for name, *chunk in database.execute(_FOOTERS, [[str(path) for path in paths]]).fetchall():
        if name in found:
            found[name].append(_Chunk(*chunk))
    return _told(found, kinds)


def of_rows(relation: duckdb.DuckDBPyRelation, table: Table) -> tuple[ColumnRange, ...]:
    """Return the ranges of a table's columns by looking through its rows, if they are few."""
    kinds = dict(ranges.columns_told(table))
    rows = table.approximate_rows  # exact, of a table of which this is told
    if not kinds or not 0 < rows <= MOST_ROWS_READ:
        return ()
    outputs: list[exp.Expr] = []
    for name in kinds:
        column = exp.column(exp.to_identifier(name, quoted=True))
        outputs += [exp.cast(exp.Min(this=column), "TEXT"), exp.cast(exp.Max(this=column.copy()), "TEXT")]
        outputs.append(exp.Count(this=column.copy()))
    row: Any = relation.aggregate(", ".join(output.sql("duckdb") for output in outputs)).fetchone()
    each = zip(kinds, row[::3], row[1::3], row[2::3], strict=True)
    return _told({name: [_Chunk(low, high, rows - count, rows)] for name, low, high, count in each}, kinds)


def _told(found: Mapping[str, list[_Chunk]], kinds: Mapping[str, str]) -> tuple[ColumnRange, ...]:
    made = (_over(name, kinds[name], chunks) for name, chunks in found.items())
    return tuple(each for each in made if each is not None)


def _over(name: str, kind: str, chunks: list[_Chunk]) -> ColumnRange | None:
    """Return the range over all parts of a column; None where one of them has no ends that can be read."""
    filled = [chunk for chunk in chunks if chunk.nulls is None or chunk.nulls < chunk.values]
    ends = [ranges.bounds(ColumnRange(name, c.least or "", c.greatest or ""), kind) for c in filled]
    known = [(*pair, chunk) for pair, chunk in zip(ends, filled, strict=True) if pair is not None]
    if not known or len(known) < len(filled):
        return None
    least = min(known, key=lambda each: each[0])[2].least or ""
    greatest = max(known, key=lambda each: each[1])[2].greatest or ""
    return ColumnRange(name, least, greatest, any(chunk.nulls != 0 for chunk in chunks))
