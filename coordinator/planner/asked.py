"""What a query asks of the queries in it: whether there are rows, which of their values, each row once or as often."""

from __future__ import annotations

from sqlglot import exp

from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import decides_row

_SAME_WHATEVER_REPEATED = frozenset({"min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "any_value"})
"""Aggregates that are the same whether a row comes once or several times."""


def asks_whether(subquery: exp.Query) -> bool:
    """Whether of a subquery only matters which rows it has: EXISTS, IN and their negations."""
    if isinstance(subquery, exp.Select) and not gives_rows(subquery):
        return False
    parent = subquery.parent
    while isinstance(parent, exp.Subquery):
        parent = parent.parent
    return isinstance(parent, exp.Exists | exp.In)


def outputs_asked_for(subquery: exp.Query) -> list[exp.Expr]:
    """Return what the outputs of a subquery are equal to in all its rows that matter: of ``a IN (SELECT b ...)`` a = b.

    Only where a row is kept because of it: what NOT IN says of a NULL depends on all rows. If the subquery aggregates,
    b must be a group key, so that whole groups matter or not.
    """
    parent = subquery.parent
    while isinstance(parent, exp.Subquery):
        parent = parent.parent
    if not isinstance(parent, exp.In) or not decides_row(parent) or not isinstance(subquery, exp.Select):
        return []
    if any(subquery.args.get(key) for key in ("limit", "offset", "qualify", "windows")):
        return []
    distinct = subquery.args.get("distinct")
    if aggregation.has_window(subquery) or (distinct is not None and distinct.args.get("on")):
        return []
    keys = aggregation.plain_keys(subquery) if aggregation.is_aggregating(subquery) else None
    if keys is None and aggregation.is_aggregating(subquery):
        return []
    left = parent.this.unnest()
    values = list(left.expressions) if isinstance(left, exp.Tuple) else [left]
    outputs = [p.unalias() for p in subquery.expressions]
    own = rewrite.aliases_of(subquery)
    return [
        exp.EQ(this=value.copy(), expression=output.copy())
        for value, output in zip(values, outputs, strict=False)
        if isinstance(value, exp.Column)
        and isinstance(output, exp.Column)
        and value.table not in own
        and output.table in own
        and (keys is None or output in keys)
    ]


def is_once(select: exp.Select) -> bool:
    """Whether a block gives the same, however often each of its joined rows comes."""
    if select.args.get("limit") or select.args.get("qualify") or aggregation.has_window(select):
        return False
    if not aggregation.is_aggregating(select):
        distinct = select.args.get("distinct")
        return distinct is not None and distinct.args.get("on") is None
    return all(
        any(isinstance(a, exp.Distinct) for a in aggregation.bare(call).iter_expressions())
        or aggregation.name_of(call) in _SAME_WHATEVER_REPEATED
        for call in aggregation.aggregates_in(select)
    )


def gives_rows(select: exp.Select) -> bool:
    """Whether a block's outputs are rows of its sources, each for itself."""
    if any(select.args.get(key) for key in ("distinct", "limit", "offset")):
        return False
    return not aggregation.is_aggregating(select) and not aggregation.has_window(select)
