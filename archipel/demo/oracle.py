"""Checks a federated answer against one DuckDB that holds all rows: the oracle of demo, tests and benchmarks.

A released row must equal the oracle's, or, where a node kept a group back, be a lower bound of it; which of the two
holds is counted, never assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a federated answer stands to the oracle's, in rows."""

    equal: int
    differing: int
    absent: int
    unknown: int

    @property
    def exact(self) -> bool:
        """Whether both answers are the same."""
        return not (self.differing or self.absent or self.unknown)


class Oracle:
    """One DuckDB over every holder's files, with ``_node`` on each table as at the nodes."""

    def __init__(self, shards: Mapping[str, Iterable[tuple[str, Path]]], *, threads: int | None = None) -> None:
        """``shards`` maps each table to its (node, file) pairs; a replicated table has one pair."""
        self._database = duckdb.connect(config={"threads": threads} if threads else {})
        for table, given in shards.items():
            parts = list(given)
            pieces = [
                self._database.read_parquet(str(path))
                if path.suffix == ".parquet"
                else self._database.read_csv(str(path))
                for _, path in parts
            ]
            union = None
            for (node, _), piece in zip(parts, pieces, strict=True):
                named = piece.project(duckdb.StarExpression(), duckdb.ConstantExpression(node).alias("_node"))
                union = named if union is None else union.union(named)
            if union is not None:
                union.create_view(table)

    def query(self, sql: str) -> pa.Table:
        """Return the answer of the one DuckDB."""
        return self._database.execute(sql).to_arrow_table()

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def shards_of(world_dir: Path) -> dict[str, list[tuple[str, Path]]]:
    """Return every table of a generated world with its (node, file) pairs."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(world_dir.glob("*/*.parquet")):
        found.setdefault(path.stem, []).append((path.parent.name, path))
    return found


def compare(answer: pa.Table, expected: pa.Table, keys: int) -> Comparison:
    """Compare two answers row by row; the first ``keys`` columns identify a row."""
    ours = {_key(row, keys): row for row in _rows(answer)}
    theirs = {_key(row, keys): row for row in _rows(expected)}
    equal = sum(1 for key, row in ours.items() if key in theirs and _same(row, theirs[key]))
    both = len(ours.keys() & theirs.keys())
    return Comparison(equal, both - equal, len(theirs.keys() - ours.keys()), len(ours.keys() - theirs.keys()))


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    columns = [column.to_pylist() for column in table.columns]
    return list(zip(*columns, strict=True))


def _key(row: tuple[Any, ...], keys: int) -> tuple[str, ...]:
    return tuple(repr(value) for value in row[:keys])


def _same(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return all(_same_value(a, b) for a, b in zip(left, right, strict=True))


def _same_value(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12)
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return left == right and left.as_tuple().exponent == right.as_tuple().exponent
    return bool(left == right) and type(left) is type(right)
