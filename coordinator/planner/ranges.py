"""Which nodes can hold a row that a block asks for, by the least and greatest values that they tell of open tables.

A condition that no value of a node's range fulfils, NULL included, leaves no row of that node. The statement keeps the
condition; only whom it is sent to changes. Constants are read here and compared as the engine compares them; what is
not surely alike (doubles, texts, long numbers) excludes nobody.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sqlglot import exp

from archipel.ranges import Value, bounds, value_of
from archipel.schema import Table
from coordinator.catalog import Catalog, CatalogTable
from coordinator.planner import rewrite
from coordinator.planner.conditions import conjuncts
from coordinator.planner.tables import is_protected

_MOST_DIGITS = 18
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_COUNT = re.compile(r"[0-9]{1,4}")
_MONTHS = {"MONTH": 1, "YEAR": 12}
_DAYS = {"DAY": 1, "WEEK": 7}
_EPOCH = datetime(1970, 1, 1)
_LEAST_STEP = timedelta(microseconds=1)

_Known = Callable[[exp.Column], "_Range | None"]


class _Range:
    """What a node tells of one column."""

    def __init__(self, table: Table, name: str) -> None:
        column = table.column(name)
        self.kind = column.type if column is not None else ""
        given = next((r for r in table.ranges if r.column.lower() == name.lower()), None)
        self.ends = bounds(given, self.kind) if given is not None else None
        self.has_null = given is None or given.has_null


def sites_left(tree: exp.Expr, sites: tuple[str, ...], catalog: Catalog) -> tuple[str, ...]:
    """Return those of the nodes at which a block may have rows before it groups: at least one, in their order.

    Nodes that are away are kept: what they told is of an earlier state, and an answer without them must say so.
    """
    if len(sites) < 2 or catalog.asks_all or not isinstance(tree, exp.Select) or is_protected(tree, catalog):
        return sites
    sources = _tables(tree, catalog)
    conditions = _deciding(tree)
    if not sources or not conditions:
        return sites
    # An outer join makes NULL of columns, and a positional one does, too.
    inner = not any(_side(join) or join.args.get("method") for join in rewrite.joins_of(tree))

    def is_empty(site: str) -> bool:
        shards = {alias: entry.shards[site] for alias, entry in sources.items() if _tells(entry, site, catalog)}
        known: dict[tuple[str, str], _Range] = {}

        def found(column: exp.Column) -> _Range | None:
            table = shards.get(column.table)
            if table is None:
                return None
            key = (column.table, column.name)
            if key not in known:
                known[key] = _Range(table, column.name)
            return known[key]

        return any(is_never_true(condition, found, inner=inner) for condition in conditions)

    return tuple(site for site in sites if not is_empty(site)) or sites[:1]


def _tells(entry: CatalogTable, site: str, catalog: Catalog) -> bool:
    return site in catalog.attached and site in entry.shards and site not in entry.withdrawn


def _tables(select: exp.Select, catalog: Catalog) -> dict[str, CatalogTable]:
    """Return by alias the tables of which nodes tell values, as they stand: not sampled, pivoted or renamed."""
    found: dict[str, CatalogTable] = {}
    for source in rewrite.sources_of(select):
        alias = source.args.get("alias")
        renamed = alias is not None and alias.args.get("columns")
        if not isinstance(source, exp.Table) or source.args.get("sample") or source.args.get("pivots") or renamed:
            continue
        entry = catalog.find(source.name) if isinstance(source.this, exp.Identifier) else None
        if entry is not None and any(shard.ranges for shard in entry.shards.values()):
            found[source.alias_or_name] = entry
    return found


def _side(join: exp.Join) -> str:
    return str(join.args.get("side") or "").upper()


def _deciding(select: exp.Select) -> list[exp.Expr]:
    """Return the conditions without which no row is left: WHERE, and ON of inner joins whose emptiness lasts."""
    found = conjuncts(select.args.get("where"))
    joins = rewrite.joins_of(select)
    if not any(_side(join) in {"RIGHT", "FULL"} for join in joins):
        for join in joins:
            plain = not _side(join) and not join.args.get("method")
            if plain and str(join.args.get("kind") or "").upper() in {"", "INNER"}:
                found += conjuncts(join.args.get("on"))
    return found


def is_never_true(condition: exp.Expr, known: _Known, *, inner: bool = False) -> bool:
    """Whether no value that a column may hold, nor NULL, makes a condition true.

    ``known`` is what is told of a column. ``inner``: no outer join makes NULL of a column, so that "no NULL" counts.
    """
    node = condition.unnest()
    if isinstance(node, exp.And):
        return any(is_never_true(part, known, inner=inner) for part in node.flatten())
    if isinstance(node, exp.Or):
        return all(is_never_true(part, known, inner=inner) for part in node.flatten())
    if type(node) in _FLIPPED:
        return _compares_never(node, known)
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        return _is_outside(node.this, exp.GTE, node.args["low"], known) or _is_outside(
            node.this, exp.LTE, node.args["high"], known
        )
    if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
        return all(_is_outside(node.this, exp.EQ, value, known) for value in node.expressions)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null) and inner:
        told = _told(node.this, known)
        return told is not None and not told.has_null
    return False


_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}


def _compares_never(node: exp.Expr, known: _Known) -> bool:
    left, right = node.this.unnest(), node.expression.unnest()
    if isinstance(left, exp.Column):
        return _is_outside(left, type(node), right, known)
    return _is_outside(right, _FLIPPED[type(node)], left, known)


def _told(node: exp.Expr, known: _Known) -> _Range | None:
    column = node.unnest()
    return known(column) if isinstance(column, exp.Column) else None


def _is_outside(asked: exp.Expr, compare: type[exp.Expr], constant: exp.Expr, known: _Known) -> bool:
    """Whether no value of a column's range compares with a constant as asked."""
    told = _told(asked, known)
    if told is None or told.ends is None:
        return False
    value = constant_of(constant, told.kind)
    if value is None:
        return False
    least, greatest, wanted = (_position(each) for each in (*told.ends, value))
    if compare is exp.EQ:
        return wanted < least or wanted > greatest
    if compare is exp.LT:
        return least >= wanted
    if compare is exp.LTE:
        return least > wanted
    return greatest <= wanted if compare is exp.GT else greatest < wanted


def _position(value: Value) -> Decimal:
    """Return where a value stands among those of its kind; a day stands at its first instant."""
    return Decimal(value) if isinstance(value, int | Decimal) else Decimal((_instant(value) - _EPOCH) // _LEAST_STEP)


def _instant(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def constant_of(node: exp.Expr, kind: str) -> Value | None:
    """Return the value of a constant that is compared with a column of a type; None if it is not surely known."""
    node = node.unnest()
    is_time = kind in {"DATE", "TIMESTAMP"}
    if isinstance(node, exp.Literal) and node.is_string:
        return value_of(node.name, kind) if is_time else None
    if is_time:
        return _time_of(node)
    sign = -1 if isinstance(node, exp.Neg) else 1
    number = node.this.unnest() if isinstance(node, exp.Neg) else node
    if not isinstance(number, exp.Literal) or number.is_string or not _NUMBER.fullmatch(number.name):
        return None
    return sign * Decimal(number.name) if len(number.name.replace(".", "")) <= _MOST_DIGITS else None


def _time_of(node: exp.Expr) -> date | None:
    """Return the day or instant that a cast of a text stands for, and what an interval away from it is."""
    node = node.unnest()
    if type(node) is exp.Cast and isinstance(text := node.this.unnest(), exp.Literal) and text.is_string:
        found = value_of(text.name, node.args["to"].sql("duckdb"))
        return found if isinstance(found, date) else None
    if isinstance(node, exp.Add | exp.Sub) and isinstance(node.expression.unnest(), exp.Interval):
        start = _time_of(node.this)
        return None if start is None else _moved(start, node.expression.unnest(), 1 if type(node) is exp.Add else -1)
    return None


def _moved(start: date, interval: exp.Expr, sign: int) -> datetime | None:
    unit, count = str(interval.args.get("unit") or "").upper().removesuffix("S"), interval.this
    if not isinstance(count, exp.Literal) or not _COUNT.fullmatch(count.name):
        return None
    steps, begin = sign * int(count.name), _instant(start)
    try:
        if unit in _DAYS:
            return begin + timedelta(days=steps * _DAYS[unit])
        if unit not in _MONTHS:
            return None
        years, month = divmod(begin.month - 1 + steps * _MONTHS[unit], 12)
        year = begin.year + years
        return begin.replace(year=year, month=month + 1, day=min(begin.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None
