"""Reading conditions: what AND ties together, what decides a row, which subqueries stand in them. Knows no tables."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    """Return the parts that AND ties together, in order."""
    found: list[exp.Expr] = []
    stack = [] if node is None else [node.this if isinstance(node, exp.Where) else node]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.And):
            stack += [part.right, part.left]
        else:
            found.append(part)
    return found


def decides_row(node: exp.Expr) -> bool:
    """Whether a row is kept only where ``node`` is true, so that false and NULL are the same."""
    parent = node.parent
    while isinstance(parent, exp.And | exp.Paren):
        node, parent = parent, parent.parent
    return isinstance(parent, exp.Where) or (isinstance(parent, exp.Join) and parent.args.get("on") is node)


def values_left(select: exp.Select) -> dict[tuple[str, str], frozenset[str]]:
    """Return the texts that WHERE leaves to a column by ``column = 'x'`` or ``column IN ('x', 'y')``."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for condition in conjuncts(select.args.get("where")):
        column, values = _choice(condition)
        if not isinstance(column, exp.Column) or not values:
            continue
        if all(isinstance(value, exp.Literal) and value.is_string for value in values):
            name = (column.table, column.name)
            texts = frozenset(value.name for value in values)
            found[name] = found.get(name, texts) & texts
    return found


def _choice(condition: exp.Expr) -> tuple[exp.Expr | None, list[exp.Expr]]:
    if isinstance(condition, exp.EQ):
        left, right = condition.left.unnest(), condition.right.unnest()
        return (left, [right]) if isinstance(left, exp.Column) else (right, [left])
    if isinstance(condition, exp.In) and not condition.args.get("query"):
        return condition.this.unnest(), [value.unnest() for value in condition.expressions]
    return None, []


def subqueries_in(part: exp.Expr) -> list[exp.Query]:
    """Return the queries that stand directly in an expression, not those within them, in order."""
    found: list[exp.Query] = []
    for node in part.walk(bfs=False, prune=lambda n: isinstance(n, exp.Query)):
        if isinstance(node, exp.Subquery):
            inner = node.unnest()
            found.append(inner if isinstance(inner, exp.Query) else node)
        elif isinstance(node, exp.Query):
            found.append(node)
    return found


def is_correlated(query: exp.Query) -> bool:
    """Whether a subquery names columns of the rows around it."""
    return any(
        column.table and not _is_defined(column.table, scope)
        for scope in traverse_scope(query)
        for column in scope.columns
    )


def _is_defined(alias: str, scope: Scope) -> bool:
    current: Scope | None = scope
    while current is not None:
        if alias in current.sources:
            return True
        current = current.parent
    return False
