"""Bins of potential identifiers: in which expressions a birth date or a commune may be a group key.

A column of role ``identifier`` groups only in the bin that its policy names, or in a coarser one. Bins are recognised
by their form, over the plain column: what cuts it otherwise, or shifts it before, could be laid over a second grouping
so that both together tell more than the bin. Coarser here means that every group of it is made of whole bins.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from archipel.border import syntax

_TIMES = {"day": 0, "month": 1, "quarter": 2, "year": 3}
"""Periods from the finest on; each is made of whole ones of those before it."""

_PARTS: dict[type[exp.Expr], str] = {exp.Year: "year", exp.Quarter: "quarter", exp.Month: "month"}


def binned(node: exp.Expr, bin_of: Callable[[exp.Column], str | None]) -> exp.Column | None:
    """Return the column of which an expression is a bin that its policy allows; ``bin_of`` says which that is."""
    column = next(iter(node.find_all(exp.Column)), None)
    allowed = bin_of(column) if column is not None else None
    if column is None or not allowed:
        return None
    kind, _, size = allowed.partition(":")
    if kind in _TIMES:
        fits = _is_period(node, column, kind)
    elif kind == "prefix" and size.isdigit():
        fits = _is_prefix(node, column, int(size))
    else:
        fits = kind == "width" and size.isdigit() and int(size) > 0 and _is_width(node, column, int(size))
    return column if fits else None


def example(column: exp.Expr, allowed: str) -> str:
    """Return SQL for a column in its bin, to be pasted into a statement; empty when there is none.

    >>> example(exp.column("birth"), "quarter"), example(exp.column("commune"), "prefix:2")
    ("date_trunc('quarter', birth)", 'substr(commune, 1, 2)')
    """
    kind, _, size = allowed.partition(":")
    name = column.sql("duckdb")
    texts = {
        "year": f"year({name})",
        "quarter": f"date_trunc('quarter', {name})",
        "month": f"date_trunc('month', {name})",
        "prefix": f"substr({name}, 1, {size})",
        "width": f"floor({name} / {size}) * {size}",
    }
    return texts.get(kind, "")


def _is_period(node: exp.Expr, column: exp.Column, finest: str) -> bool:
    """Whether it is a year, quarter or month of a date: truncated to it, or its number, also of the quarter alone."""
    node = syntax.unwrapped(node)
    if isinstance(node, exp.Cast) and node.to.this in (exp.DType.DATE, exp.DType.INT, exp.DType.BIGINT):
        return _is_period(node.this, column, finest)
    period = _PARTS.get(type(node), "")
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc):
        period = node.text("unit").lower()
    elif isinstance(node, exp.Extract):
        period = node.name.lower()
        return _is_of(node.expression, column) and _fits(period, finest)
    elif isinstance(node, exp.Anonymous) and len(node.expressions) == 2:  # date_part('year', x)
        literal, value = node.expressions
        named = node.name.lower() in {"date_part", "datepart", "date_trunc", "datetrunc"}
        return named and isinstance(literal, exp.Literal) and _is_of(value, column) and _fits(literal.name, finest)
    return bool(period) and _is_of(node.this, column) and _fits(period, finest)


def _fits(period: str, finest: str) -> bool:
    return _TIMES.get(period.lower(), -1) >= _TIMES[finest]


def _is_prefix(node: exp.Expr, column: exp.Column, longest: int) -> bool:
    node = syntax.unwrapped(node)
    if isinstance(node, exp.Left):
        return _is_of(node.this, column) and _number(node.expression, longest)
    if isinstance(node, exp.Substring):
        first = node.args.get("start")
        from_one = isinstance(first, exp.Literal) and first.this == "1"
        return _is_of(node.this, column) and from_one and _number(node.args.get("length"), longest)
    return False


def _number(node: exp.Expr | None, most: int) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and int(node.this) <= most


def _is_width(node: exp.Expr, column: exp.Column, size: int) -> bool:
    """Whether it is the multiple of a width below a number, or how many times the width goes into it."""
    node = syntax.unwrapped(node)
    if isinstance(node, exp.Mul):
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            width = _width(other, size)
            if width and _times(one, column, size) == width:
                return True
        return False
    if isinstance(node, exp.Sub):
        rest = syntax.unwrapped(node.expression)
        of_column = _is_of(node.this, column) and isinstance(rest, exp.Mod) and _is_of(rest.this, column)
        return of_column and bool(_width(rest.expression, size))
    return bool(_times(node, column, size))


def _times(node: exp.Expr, column: exp.Column, size: int) -> int:
    """Return the width of ``floor(x / width)`` or ``x // width``; 0 when it is neither."""
    node = syntax.unwrapped(node)
    if isinstance(node, exp.Cast):
        return _times(node.this, column, size)
    if isinstance(node, exp.Floor) and not node.args.get("decimals"):
        node = syntax.unwrapped(node.this)
        if not isinstance(node, exp.Div):
            return 0
    elif not isinstance(node, exp.IntDiv):
        return 0
    return _width(node.expression, size) if _is_of(node.this, column) else 0


def _width(node: exp.Expr, size: int) -> int:
    node = syntax.unwrapped(node)
    whole = isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit()
    return int(node.this) if whole and int(node.this) > 0 and int(node.this) % size == 0 else 0


def _is_of(node: exp.Expr, column: exp.Column) -> bool:
    return syntax.unwrapped(node) == column
