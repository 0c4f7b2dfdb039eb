"""LIMIT below the border: of rows in an order, no node needs to send more than the query keeps.

    SELECT kind, beds FROM wards ORDER BY beds DESC LIMIT 5 OFFSET 2
    node   SELECT kind AS c0, beds AS c1 FROM wards ORDER BY beds DESC LIMIT 7
    above  SELECT c0 AS kind, c1 AS beds FROM x1 ORDER BY c1 DESC LIMIT 5 OFFSET 2

Exact: a row among the first of all is among the first of its node. Which of several equal rows are kept is open in the
query itself.
"""

from __future__ import annotations

from sqlglot import exp

from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import subqueries_in

_BEFORE_LIMIT = ("distinct", "qualify", "windows", "group", "having")


def limit_rows(stage: exp.Select, select: exp.Select) -> None:
    """Give ``stage``, which sends the rows of ``select``, its order and limit where that is exact; alters ``stage``."""
    most = _most(select)
    if most is None or any(select.args.get(key) for key in _BEFORE_LIMIT):
        return
    if aggregation.is_aggregating(select) or aggregation.has_window(select):
        return
    order = select.args.get("order")
    if order is not None:
        made = _over_rows(order, select)
        if made is None:
            return
        stage.set("order", made)
    stage.set("limit", exp.Limit(expression=exp.Literal.number(most)))


def _most(select: exp.Select) -> int | None:
    """Return how many rows a SELECT keeps or skips at most, if its LIMIT says so in numbers."""
    limit, offset = select.args.get("limit"), select.args.get("offset")
    if not isinstance(limit, exp.Limit) or any(value for key, value in limit.args.items() if key != "expression"):
        return None  # by BY, with ties, in percent
    kept = _number(limit.expression)
    skipped = _number(offset.expression) if isinstance(offset, exp.Offset) else 0
    return None if kept is None or skipped is None else kept + skipped


def _number(value: exp.Expr | None) -> int | None:
    plain = isinstance(value, exp.Literal) and not value.is_string and value.name.isdigit()
    return int(value.name) if plain and value is not None else None


def _over_rows(order: exp.Expr, select: exp.Select) -> exp.Order | None:
    """Return an ORDER BY over the columns of the rows; None where it holds what nodes cannot order by."""
    aliases = rewrite.aliases_of(select)
    outputs = {p.alias_or_name: p.unalias() for p in select.expressions}
    keys = []
    for ordered in order.expressions:
        key = ordered.this
        if isinstance(key, exp.Literal) and not key.is_string:
            number = int(key.name) if key.name.isdigit() else 0
            if not 0 < number <= len(select.expressions):
                return None
            key = select.expressions[number - 1].unalias()
        elif isinstance(key, exp.Column) and not key.table:
            key = outputs.get(key.name)
        if key is None or subqueries_in(key) or isinstance(key, exp.Literal):
            return None
        columns = list(key.find_all(exp.Column))
        if not columns or any(c.table not in aliases for c in columns):
            return None
        made = ordered.copy()
        made.set("this", key.copy())
        keys.append(made)
    return exp.Order(expressions=keys)
