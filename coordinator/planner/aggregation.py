"""What aggregates and groups a SELECT: finding aggregate calls and group keys in a tree. Decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, combinations

from sqlglot import exp

from archipel import aggregates
from archipel.border import syntax

_NAME = re.compile(r"\s*\"?([A-Za-z_][A-Za-z0-9_]*)")
WRAPPERS = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
_GROUPING = (exp.Grouping, exp.GroupingId)
MAX_GROUPING_SETS = 512


def name_of(call: exp.Expr) -> str:
    """Return DuckDB's name of an aggregate call, lower case.

    >>> import sqlglot
    >>> name_of(sqlglot.parse_one("max_by(a, b) FILTER (WHERE c)", read="duckdb"))
    'arg_max'
    """
    inner = bare(call)
    known = syntax.aggregate_name(inner)
    if known is not None:
        return known
    found = _NAME.match(inner.sql("duckdb"))
    return found.group(1).lower() if found else ""


def bare(call: exp.Expr) -> exp.Expr:
    """Return the call without FILTER, WITHIN GROUP and the like around it."""
    while isinstance(call, WRAPPERS):
        call = call.this
    return call


def without_filter(call: exp.Expr) -> exp.Expr:
    """Return a copy of the call without its FILTER; what else is around it stays."""
    made = call.copy()
    for node in list(made.find_all(exp.Filter)):
        if node is made:
            made = node.this.pop()
        elif bare(node) is bare(made):
            node.replace(node.this.pop())
    return made


def is_aggregate(node: exp.Expr) -> bool:
    """Whether the node itself calls an aggregate function (not counting what wraps it)."""
    if isinstance(node, _GROUPING):
        return False
    if isinstance(node, exp.AggFunc):
        return True
    return isinstance(node, exp.Anonymous) and str(node.this).lower() in aggregates.REGISTRY


def calls_in(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the aggregate calls in an expression, each with what wraps it, that are not a window's own function.

    Those within subqueries belong to the subqueries and are not among them.
    """
    if isinstance(node, exp.Query | exp.Subquery):
        return
    if isinstance(node, exp.Window):
        function = bare(node.this)
        for child in chain(function.iter_expressions(), _filters(node.this), _window_parts(node)):
            yield from calls_in(child)
        return
    if is_aggregate(bare(node)):
        yield node
        return
    for child in node.iter_expressions():
        yield from calls_in(child)


def _filters(call: exp.Expr) -> Iterator[exp.Expr]:
    while isinstance(call, WRAPPERS):
        if isinstance(call, exp.Filter | exp.WithinGroup):
            yield call.expression
        call = call.this


def _window_parts(window: exp.Window) -> Iterator[exp.Expr]:
    yield from window.args.get("partition_by") or []
    for key in ("order", "spec"):
        part = window.args.get(key)
        if part is not None:
            yield part


def aggregates_in(select: exp.Select) -> list[exp.Expr]:
    """Return all aggregate calls of a SELECT: projections, HAVING, QUALIFY, ORDER BY and named windows."""
    parts: list[exp.Expr] = list(select.expressions)
    parts += [select.args[k] for k in ("having", "qualify", "order") if select.args.get(k) is not None]
    for window in select.args.get("windows") or []:
        parts += list(_window_parts(window))
    return [call for part in parts for call in calls_in(part)]


def is_aggregating(select: exp.Select) -> bool:
    """Whether a SELECT groups or aggregates."""
    grouped = select.args.get("group") is not None or select.args.get("having") is not None
    return grouped or bool(aggregates_in(select))


def has_window(select: exp.Select) -> bool:
    """Whether a SELECT has a window function or QUALIFY."""
    if select.args.get("qualify") is not None:
        return True
    return any(_finds_window(part) for part in select.expressions)


def _finds_window(node: exp.Expr) -> bool:
    if isinstance(node, exp.Query | exp.Subquery):
        return False
    return isinstance(node, exp.Window) or any(_finds_window(child) for child in node.iter_expressions())


def plain_keys(select: exp.Select) -> list[exp.Expr] | None:
    """Return the group keys of a SELECT without grouping sets; None when it has some."""
    sets = grouping_sets(select)
    return sets[0] if len(sets) == 1 else None


def all_keys(select: exp.Select) -> list[exp.Expr]:
    """Return every distinct group key, in order of appearance."""
    found: list[exp.Expr] = []
    for keys in grouping_sets(select):
        found += [key for key in keys if key not in found]
    return found


def grouping_sets(select: exp.Select) -> list[list[exp.Expr]]:
    """Return the grouping sets that GROUP BY spells out, ROLLUP and CUBE expanded (SQL:2016, 7.13).

    A plain GROUP BY is one set; no GROUP BY is one empty set.
    """
    group = select.args.get("group")
    if group is None:
        return [[]]
    if group.args.get("all"):
        return [[p.unalias() for p in select.expressions if not any(calls_in(p)) and not _is_constant(p.unalias())]]
    product: list[list[exp.Expr]] = [[]]
    parts = list(group.expressions)
    for key in ("grouping_sets", "rollup", "cube"):
        parts += [p for p in group.args.get(key) or [] if isinstance(p, exp.Expr)]
    for part in parts:
        alternatives = _alternatives(part)
        if len(product) * len(alternatives) > MAX_GROUPING_SETS:
            return product * (MAX_GROUPING_SETS + 1)
        product = [[*before, *(k for k in more if k not in before)] for before in product for more in alternatives]
    return product


def _is_constant(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal | exp.Null | exp.Boolean)


def _alternatives(part: exp.Expr) -> list[list[exp.Expr]]:
    if isinstance(part, exp.GroupingSets):
        return [more for inner in part.expressions for more in _alternatives(inner)]
    if isinstance(part, exp.Rollup):
        groups = [_keys(p) for p in part.expressions]
        return [[k for g in groups[:n] for k in g] for n in range(len(groups), -1, -1)]
    if isinstance(part, exp.Cube):
        groups = [_keys(p) for p in part.expressions]
        sizes = range(len(groups), -1, -1)
        return [[k for g in chosen for k in g] for n in sizes for chosen in combinations(groups, n)]
    return [_keys(part)]


def _keys(part: exp.Expr) -> list[exp.Expr]:
    if isinstance(part, exp.Tuple):
        return [key for inner in part.expressions for key in _keys(inner)]
    return [part.unnest()]
