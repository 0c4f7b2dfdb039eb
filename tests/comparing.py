"""Compares a federated answer with the oracle's: integers, decimals and text bit for bit, doubles to 1e-9.

Rows are compared as a multiset; where the query has an ORDER BY, its keys must come in the oracle's order, too.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

RELATIVE = 1e-9

Row = tuple[Any, ...]


def difference(answer: pa.Table, expected: pa.Table, sql: str, *, dialect: str = "duckdb") -> str:
    """Return how ``answer`` differs from ``expected``; empty when it does not."""
    if answer.schema.names != expected.schema.names:
        return f"columns {answer.schema.names} in place of {expected.schema.names}"
    if answer.schema.types != expected.schema.types:
        return f"types {answer.schema.types} in place of {expected.schema.types}"
    ours, theirs = _rows(answer), _rows(expected)
    if len(ours) != len(theirs):
        return f"{len(ours)} rows in place of {len(theirs)}: {_only(ours, theirs)}"
    left = missing_from(ours, theirs)
    if left:
        return f"rows that the oracle lacks: {left[:3]}; it has: {missing_from(theirs, ours)[:3]}"
    keys = order_keys(sql, dialect, expected.schema.names)
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if not all(same(a[k], b[k]) for k in keys):
            return f"row {index} is out of order: {a} in place of {b}"
    return ""


def missing_from(ours: list[Row], theirs: list[Row]) -> list[Row]:
    """Return the rows of ``ours`` that have no partner in ``theirs``, each partner being taken once."""
    free: dict[tuple[str, ...], list[Row]] = {}
    for row in theirs:
        free.setdefault(_exact_part(row), []).append(row)
    left = []
    for row in ours:
        candidates = free.get(_exact_part(row), [])
        index = next((i for i, other in enumerate(candidates) if _same_row(row, other)), None)
        if index is None:
            left.append(row)
        else:
            candidates.pop(index)
    return left


def rows_of(table: pa.Table) -> list[Row]:
    """Return a table's rows as tuples."""
    return _rows(table)


def order_keys(sql: str, dialect: str, names: list[str]) -> list[int]:
    """Return the output columns by which a query's ORDER BY sorts, as far as they are outputs: its leading keys."""
    tree = sqlglot.parse_one(sql, read=dialect)
    order = tree.args.get("order")
    if order is None:
        return []
    folded = [n.lower() for n in names]
    projections = [p.unalias() for p in tree.selects]
    found = []
    for term in order.expressions:
        key = term.this
        if isinstance(key, exp.Literal) and not key.is_string:
            found.append(int(key.name) - 1)
        elif isinstance(key, exp.Column) and key.name.lower() in folded:
            found.append(folded.index(key.name.lower()))
        elif key in projections:
            found.append(projections.index(key))
        else:
            break
    return list(range(len(names))) if order.args.get("all") else found


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same; doubles within the tolerance, -0.0 and 0.0 alike."""
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b or math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-12)
    if isinstance(a, Decimal) and isinstance(b, Decimal):
        return a == b and a.as_tuple().exponent == b.as_tuple().exponent
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and bool(a == b)


def _same_row(a: Row, b: Row) -> bool:
    return all(same(x, y) for x, y in zip(a, b, strict=True))


def _rows(table: pa.Table) -> list[Row]:
    columns = [column.to_pylist() for column in table.columns]
    return list(zip(*columns, strict=True)) if columns else []


def _exact_part(row: Row) -> tuple[str, ...]:
    return tuple("~" if isinstance(v, float | list | dict) else repr(v) for v in row)


def _only(ours: list[Row], theirs: list[Row]) -> str:
    return f"only here {missing_from(ours, theirs)[:3]}, only in the oracle {missing_from(theirs, ours)[:3]}"
