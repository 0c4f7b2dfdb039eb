"""Lets statements of a DuckDB cursor read Arrow tables, with DuckDB's own meaning of every comparison.

DuckDB hands the filters of a registered Arrow table to pyarrow, which compares otherwise: ``x > 3`` loses NaN, which is
the greatest double in DuckDB, ``x <= 'nan'`` keeps NULL, and run-end encoded columns cannot be filtered at all; a
Bloom filter, which a join hands to its larger side, ends in an error (seen with DuckDB 1.5.6 and pyarrow 26). Behind
a window function that keeps every row, no filter reaches pyarrow (a LIMIT that limits nothing lets those of joins
through); still only the needed columns are read. It costs nothing measurable: 2,000,000 rows were filtered in 15 ms.

Of an Arrow table the engine knows neither how many rows nor how many different values it has, and guesses the order of
joins: TPC-H's fifth question took 2.1 s of CPU where three inputs meet a large table, and 0.2 s with copies of
them, which have statistics. A copy takes 1.5 ms, and 14 ms for 100,000 rows of five columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

MAX_READ_CHARS = 64 * 1024

_WHOLE = {"expressions", "from_", "group", "order"}
_HARMLESS = frozenset(
    {
        *(
            exp.From,
            exp.Table,
            exp.TableAlias,
            exp.Identifier,
            exp.Alias,
            exp.Column,
            exp.Group,
            exp.Order,
            exp.Ordered,
        ),
        *(exp.Sum, exp.Min, exp.Max, exp.Count, exp.Star, exp.Coalesce, exp.Cast, exp.DataType, exp.DataTypeParam),
        *(exp.Literal, exp.Null, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Paren, exp.Case, exp.If),
        *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.Not, exp.And, exp.Or),
    }
)

MOST_COPIED_BYTES = 16 * 1024 * 1024
"""Larger inputs stay where they are: a second copy would take memory, and takes time."""


def register_all(
    cursor: Any, tables: Mapping[str, pa.Table], *, joined: bool, uncopied: Iterable[str] = (), sql: str = ""
) -> None:
    """Make tables readable by their names; with ``joined`` so that the engine can tell in which order to join them.

    Those named in ``uncopied`` never come into the engine's own storage. ``sql`` is the one statement that will read
    them, where it is known: no view is needed for one that cannot hand a filter on.
    """
    if len(tables) == 1 and sql and hands_no_filter_on(sql):
        for name, table in tables.items():
            cursor.register(name, table)
        return
    for name, table in tables.items():
        # What is no table in memory is read from a disk, since it is large.
        small = isinstance(table, pa.Table) and table.nbytes <= MOST_COPIED_BYTES
        if joined and name not in uncopied and small:
            _copy(cursor, name, table)
        else:
            register(cursor, name, table)


@lru_cache(maxsize=512)
def hands_no_filter_on(sql: str) -> bool:
    """Whether a statement does nothing but compute, group and order the rows of one table, all of them.

    Anything else may bring a filter to the table's scan: a condition, a join, a LIMIT, a macro that holds a subquery.

    >>> hands_no_filter_on('SELECT "g", SUM("n") AS "n" FROM "x1" AS "x1" GROUP BY "g"')
    True
    >>> hands_no_filter_on('SELECT "g", SUM("n") AS "n" FROM "x1" AS "x1" GROUP BY "g" HAVING "g" > 3')
    False
    """
    if len(sql) > MAX_READ_CHARS:
        return False
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except (SqlglotError, RecursionError):
        return False  # the engine reads more than the parser does
    whole = isinstance(tree, exp.Select) and {key for key, value in tree.args.items() if value} <= _WHOLE
    return whole and all(type(node) in _HARMLESS for node in tree.walk() if node is not tree)


def register(cursor: Any, name: str, table: pa.Table) -> None:
    """Make ``table`` readable as ``name`` for the statements of this cursor of DuckDB."""
    cursor.register(_source(name), table)
    cursor.execute(_view(name))


def _copy(cursor: Any, name: str, table: pa.Table) -> None:
    cursor.register(_source(name), table)
    cursor.execute(_copied(name))
    cursor.unregister(_source(name))


def _source(name: str) -> str:
    return f"{name} arrow"


# Names are few and texts take longer to make than the engine takes for them.
@lru_cache(maxsize=512)
def _view(name: str) -> str:
    every_row = exp.GT(this=exp.Window(this=exp.RowNumber()), expression=exp.Literal.number(0))
    rows = exp.select("*").from_(exp.Table(this=exp.to_identifier(_source(name), quoted=True)))
    rows.set("qualify", exp.Qualify(this=every_row))
    return _created(name, "VIEW", rows)


@lru_cache(maxsize=512)
def _copied(name: str) -> str:
    return _created(name, "TABLE", exp.select("*").from_(exp.Table(this=exp.to_identifier(_source(name), quoted=True))))


def _created(name: str, kind: str, rows: exp.Select) -> str:
    created = exp.Create(
        this=exp.Table(this=exp.to_identifier(name, quoted=True)),
        kind=kind,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
        expression=rows,
    )
    return created.sql("duckdb")
