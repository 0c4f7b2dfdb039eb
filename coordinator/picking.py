"""Finish stages that only choose and rename columns of one input: done on the Arrow table, without the engine.

That is the finish of every query that a node answers whole. The engine took 4 ms for it, as long as for some queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa
import sqlglot
from sqlglot import exp

MAX_CHARS = 64 * 1024
"""Longer statements are left to the engine: a table of so many columns is not what this is for."""

Picks = tuple[tuple[str, str], ...]
"""Of every column of the output: what it is called in the input, and its own name."""


Types = tuple[tuple[str, str], ...]
"""Of every column of the input: its name, and its type as the engine writes it."""


@lru_cache(maxsize=512)
def picks(sql: str, source: str, types: Types = ()) -> Picks | None:
    """Return which columns of ``source`` a statement picks; None when it does anything else.

    A cast of a column to the type that it has in ``types`` is nothing else.

    >>> picks('SELECT "x1"."g" AS "a", "x1"."n" FROM "x1" AS "x1"', "x1")
    (('g', 'a'), ('n', 'n'))
    >>> picks('SELECT "x1"."g" AS "a" FROM "x1" AS "x1" LIMIT 1', "x1")
    """
    if len(sql) > MAX_CHARS:
        return None
    tree = sqlglot.parse_one(sql, read="duckdb")
    if not isinstance(tree, exp.Select) or _given(tree) != {"expressions", "from_"}:
        return None
    table = tree.args["from_"].this
    if not isinstance(table, exp.Table) or not _given(table) <= {"this", "alias"} or table.name != source:
        return None
    alias = table.args.get("alias")
    if alias is not None and _given(alias) != {"this"}:
        return None  # it renames columns
    found = [_pick(projection, table.alias_or_name, dict(types)) for projection in tree.expressions]
    return None if None in found else tuple(pick for pick in found if pick is not None)


def picked(table: pa.Table, columns: Picks) -> pa.Table | None:
    """Return the columns of ``table`` under their new names; None when it has not exactly one of each name."""
    names = table.column_names
    if any(names.count(source) != 1 for source, _ in columns):
        return None  # the engine compares names in its own way, and says what is wrong
    return table.select([source for source, _ in columns]).rename_columns([name for _, name in columns])


def _pick(projection: exp.Expr, table: str, types: Mapping[str, str]) -> tuple[str, str] | None:
    column = projection.unalias()
    cast = column if type(column) is exp.Cast and _given(column) == {"this", "to"} else None
    if cast is not None:
        column = cast.this
    if not isinstance(column, exp.Column) or not _given(column) <= {"this", "table"}:
        return None
    if not isinstance(column.this, exp.Identifier) or column.table not in ("", table):
        return None
    if cast is not None and not _is_type(cast.to, types.get(column.name, "")):
        return None
    return column.name, projection.alias_or_name


def _is_type(wanted: exp.DataType, known: str) -> bool:
    try:
        return bool(known) and wanted == exp.DataType.build(known, dialect="duckdb")
    except sqlglot.ParseError:  # a type of the engine that sqlglot does not read
        return False


def _given(node: exp.Expr) -> set[str]:
    return {key for key, value in node.args.items() if value}
