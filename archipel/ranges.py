"""Least and greatest values of columns, as nodes tell them: which types have them, and the reading of their texts.

Only types whose values compare in Python as they do in the engine: no doubles (NaN), no texts (collation), no types
with a time zone. What cannot be read is unknown, and nothing is concluded from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from archipel.schema import ColumnRange, Distribution, Form, Role, Table

Value = int | Decimal | date | datetime

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),\d{1,2}\)")
_WIDEST = 18
"""Digits of a decimal that the engine compares exactly with every number of as many digits, whatever its scale."""

_INTEGER_TEXT = re.compile(r"-?[0-9]{1,19}")
_DECIMAL_TEXT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_DATE_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?")


def has_range(kind: str) -> bool:
    """Whether columns of a type, in DuckDB's spelling, have a least and a greatest value that are told.

    >>> has_range("DATE"), has_range("DOUBLE")
    (True, False)
    """
    decimal = _DECIMAL.fullmatch(kind)
    return kind in _INTEGERS or kind in {"DATE", "TIMESTAMP"} or (decimal is not None and int(decimal[1]) <= _WIDEST)


def value_of(text: str, kind: str) -> Value | None:
    """Return the value that a text stands for in a type, None if it is none that is known here.

    >>> value_of("2020-02-29", "DATE"), value_of("infinity", "DATE")
    (datetime.date(2020, 2, 29), None)
    """
    try:
        if kind in _INTEGERS:
            return int(text) if _INTEGER_TEXT.fullmatch(text) else None
        if kind == "DATE":
            return date.fromisoformat(text) if _DATE_TEXT.fullmatch(text) else None
        if kind == "TIMESTAMP":
            return _timestamp(text) if _TIMESTAMP_TEXT.fullmatch(text) else None
        return Decimal(text) if has_range(kind) and _DECIMAL_TEXT.fullmatch(text) else None
    except ValueError:
        return None


def _timestamp(text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    return datetime.fromisoformat(whole).replace(microsecond=int(fraction.ljust(6, "0") or "0"))


def is_told(table: Table) -> bool:
    """Whether a node tells the least and greatest values of a table: never of persons, nor of rows that stay.

    Of a copied table nothing is told either: one node of those that have it is asked anyway.
    """
    policy = table.policy
    leaves = policy.coordinator_form >= Form.AGGREGATE and not policy.rows_where
    return not policy.protected and leaves and table.distribution is Distribution.SHARDED


def columns_told(table: Table) -> tuple[tuple[str, str], ...]:
    """Return name and type of the columns of a table of which least and greatest values are told."""
    if not is_told(table):
        return ()
    shown = (c for c in table.columns if has_range(c.type) and table.policy.role_of(c.name) is not Role.HIDDEN)
    return tuple((c.name, c.type) for c in shown)


def bounds(given: ColumnRange, kind: str) -> tuple[Value, Value] | None:
    """Return the least and the greatest value of a range; None where they cannot be read or contradict each other."""
    least, greatest = value_of(given.least, kind), value_of(given.greatest, kind)
    # Both are of the same Python type: the type of the column says which.
    return None if least is None or greatest is None or least > greatest else (least, greatest)  # type: ignore[operator]


def sound(table: Table) -> tuple[ColumnRange, ...]:
    """Return what a table registers of its values, without what is malformed and what should not have been told."""
    kinds = {name.lower(): kind for name, kind in columns_told(table)}
    return tuple(_once(r for r in table.ranges if (k := kinds.get(r.column.lower())) and bounds(r, k)).values())


def _once(ranges: Iterable[ColumnRange]) -> dict[str, ColumnRange]:
    """Of two ranges of a column none is better than the other: the first is kept."""
    found: dict[str, ColumnRange] = {}
    for each in ranges:
        found.setdefault(each.column.lower(), each)
    return found
