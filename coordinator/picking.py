"""Finish stages that only choose, rename and order columns of one input: done on the Arrow table, without the engine.

That is the finish of every query that a node answers whole. The engine took 4 ms for it, as long as for some queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp

MAX_CHARS = 64 * 1024
"""Longer statements are left to the engine: a table of so many columns is not what this is for."""

MOST_ORDERED_ROWS = 100_000

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
    return _picks(tree, source, types)


@dataclass(frozen=True, slots=True)
class OrderedPicks:
    """Picks, the names of outputs by which they are ordered, each with whether it descends, and how many are kept."""

    columns: Picks
    order: tuple[tuple[str, bool], ...]
    limit: int | None


@lru_cache(maxsize=512)
def ordered_picks(sql: str, source: str, types: Types = ()) -> OrderedPicks | None:
    """Return what a statement picks and in which order; None when it does anything else. NULL comes last.

    >>> ordered_picks('SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" DESC LIMIT 5', "x1")
    OrderedPicks(columns=(('g', 'a'),), order=(('a', True),), limit=5)
    >>> ordered_picks('SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "x1"."h"', "x1")
    """
    if len(sql) > MAX_CHARS:
        return None
    tree = sqlglot.parse_one(sql, read="duckdb")
    if not isinstance(tree, exp.Select):
        return None
    order, limit = tree.args.get("order"), tree.args.get("limit")
    tree.set("order", None)
    tree.set("limit", None)
    columns = _picks(tree, source, types)
    if columns is None or order is None or _given(order) != {"expressions"}:
        return None
    names = [name for _, name in columns]
    if len({name.lower() for name in names}) < len(names):
        return None
    by = [_order(part, names) for part in order.expressions]
    kept = limit.expression if limit is not None and _given(limit) == {"expression"} else None
    if None in by or (limit is not None and not (isinstance(kept, exp.Literal) and kept.is_int)):
        return None
    return OrderedPicks(columns, tuple(part for part in by if part), None if kept is None else int(kept.name))


def ordered(table: pa.Table, wanted: OrderedPicks) -> pa.Table | None:
    """Return what is picked, in its order; None where the engine's order might be another."""
    found = picked(table, wanted.columns) if table.num_rows <= MOST_ORDERED_ROWS else None
    if found is None or not all(_has_plain_order(found.schema.field(name).type) for name, _ in wanted.order):
        return None
    keys = [(name, "descending" if descends else "ascending") for name, descends in wanted.order]
    rows = pc.sort_indices(found, sort_keys=keys)  # NULL last, also where it descends
    return found.take(rows if wanted.limit is None else rows.slice(0, wanted.limit))


def _has_plain_order(kind: pa.DataType) -> bool:
    """Whether values of a type have one order: texts that of their bytes, as for the engine; doubles have NaN."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_decimal128(kind)
    )


def _order(part: exp.Expr, names: list[str]) -> tuple[str, bool] | None:
    plain = isinstance(part, exp.Ordered) and _given(part) <= {"this", "desc"} and isinstance(part.this, exp.Column)
    if not plain or _given(part.this) != {"this"} or part.this.name not in names:
        return None
    return part.this.name, bool(part.args.get("desc"))


def _picks(tree: exp.Expr, source: str, types: Types) -> Picks | None:
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
