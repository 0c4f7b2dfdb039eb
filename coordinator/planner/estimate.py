"""Rough sizes of what a node stage delivers, from registered row counts alone.

For choosing and for EXPLAIN, never for an answer.
"""

from __future__ import annotations

from sqlglot import exp

from archipel.schema import Distribution
from coordinator.catalog import Catalog
from coordinator.plan import OutputColumn
from coordinator.planner import aggregation

DISTINCT_OF_KEY = 20
"""Guessed number of values of a group key: nodes register no statistics of columns."""

SELECTIVITY = 0.3
"""Guessed share of rows that a WHERE keeps."""

_WIDTH = {"BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "FLOAT": 4, "DATE": 4, "HUGEINT": 16}
DEFAULT_WIDTH = 8
DECIMAL_WIDTH = 16
TEXT_WIDTH = 16


def estimate(
    tree: exp.Query, catalog: Catalog, sites: tuple[str, ...], columns: tuple[OutputColumn, ...]
) -> tuple[int, int]:
    """Return estimated rows and bytes over all ``sites`` together."""
    rows = max(1, _rows(tree, catalog, sites))
    return rows, rows * max(1, sum(_width(c.type) for c in columns))


def _rows(tree: exp.Query, catalog: Catalog, sites: tuple[str, ...]) -> int:
    held = _rows_held(tree, catalog, sites)
    if not isinstance(tree, exp.Select):
        return held
    if tree.args.get("where") is not None:
        held = int(held * SELECTIVITY)
    limit = tree.args.get("limit")
    if limit is not None and isinstance(limit.expression, exp.Literal) and not limit.expression.is_string:
        held = min(held, int(float(limit.expression.name)))
    if aggregation.is_aggregating(tree):
        groups = sum(int(DISTINCT_OF_KEY ** len(keys)) for keys in aggregation.grouping_sets(tree))
        return min(max(held, len(sites)), groups * len(sites))
    return held


def _rows_held(tree: exp.Query, catalog: Catalog, sites: tuple[str, ...]) -> int:
    largest = 1
    for table in tree.find_all(exp.Table):
        entry = catalog.find(table.name)
        if entry is None:
            continue
        shards = [entry.shards[s].approximate_rows for s in sites if s in entry.shards]
        replicated = entry.table.distribution is Distribution.REPLICATED
        largest = max(largest, max(shards, default=0) if replicated else sum(shards))
    return largest


def _width(kind: str) -> int:
    upper = kind.upper()
    if upper.startswith("DECIMAL"):
        return DECIMAL_WIDTH
    if upper.startswith(("VARCHAR", "BLOB")):
        return TEXT_WIDTH
    return _WIDTH.get(upper, DEFAULT_WIDTH)
