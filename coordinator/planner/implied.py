"""Conditions that follow from others: what an OR leaves to one source, and constants carried across equalities."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlglot import exp

from coordinator.planner import rewrite
from coordinator.planner.conditions import conjuncts, subqueries_in

TypeOf = Callable[[rewrite.ColumnName], str | None]
"""The type of a column of a table of the catalogue, None of any other."""


def implied(conditions: list[exp.Expr], aliases: frozenset[str], type_of: TypeOf) -> list[exp.Expr]:
    """Return conditions on ``aliases`` alone that follow from ``conditions`` and are not among them.

    The joins must be inner ones.
    """
    found = [part for c in conditions if (part := _of_or(c, aliases)) is not None]
    found += _carried(conditions, aliases, type_of)
    fresh: list[exp.Expr] = []
    for condition in found:
        if condition not in conditions and condition not in fresh:
            fresh.append(condition)
    return fresh


def _of_or(condition: exp.Expr, aliases: frozenset[str]) -> exp.Expr | None:
    """Return what `(a AND b) OR (c AND d)` leaves to some sources: of every alternative its part, if each has one."""
    alternatives = _alternatives(condition)
    if len(alternatives) < 2:
        return None
    kept = []
    for alternative in alternatives:
        own = [c.copy() for c in conjuncts(alternative) if _is_of(c, aliases)]
        if not own:
            return None
        kept.append(exp.and_(*own, copy=False))
    return exp.or_(*kept, copy=False)


def _alternatives(condition: exp.Expr) -> list[exp.Expr]:
    node = condition.unnest()
    if isinstance(node, exp.Or):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _is_of(condition: exp.Expr, aliases: frozenset[str]) -> bool:
    used = {column.table for column in condition.find_all(exp.Column)}
    return bool(used) and used <= aliases and not subqueries_in(condition)


def _carried(conditions: list[exp.Expr], aliases: frozenset[str], type_of: TypeOf) -> Iterable[exp.Expr]:
    """Yield conditions on one column, said of a column of the same type that is equal to it."""
    equal = equalities(conditions)
    for condition in conditions:
        columns = {(c.table, c.name) for c in condition.find_all(exp.Column)}
        if len(columns) != 1 or subqueries_in(condition):
            continue
        column = next(iter(columns))
        if column[0] in aliases:
            continue
        for other in sorted(equal.get(column, ())):
            if other[0] in aliases and (kind := type_of(other)) is not None and kind == type_of(column):
                copied = condition.copy()
                holder = exp.Paren(this=copied)
                rewrite.renamed(holder, {column: other})
                yield holder.this


def equalities(conditions: Iterable[exp.Expr]) -> dict[rewrite.ColumnName, set[rewrite.ColumnName]]:
    """Return, for each column that conditions equate with others, all that it is equal to, directly or not."""
    classes: dict[rewrite.ColumnName, set[rewrite.ColumnName]] = {}
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            left, right = condition.left.unnest(), condition.right.unnest()
            if isinstance(left, exp.Column) and isinstance(right, exp.Column):
                a, b = (left.table, left.name), (right.table, right.name)
                merged = classes.get(a, {a}) | classes.get(b, {b})
                for name in merged:
                    classes[name] = merged
    return classes
