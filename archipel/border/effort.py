"""What a query costs the engine before it runs: planning it, during which it cannot be interrupted.

Measured with DuckDB 1.5 on one core. Ordering joins that share one column: 50 of them 1.2 s, 100 of them 24 s.
Groupings of groupings and scalar subqueries in each other: 16 levels 0.4 s, 20 levels 2.6 s, 24 levels 37 s. WITH parts
that are named twice and NOT MATERIALIZED: 12 of them 1.3 s, and twice as much for each more.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

MAX_JOINS = 50
MAX_LEVELS = 16


def without_copies(tree: exp.Expr) -> None:
    """Take NOT MATERIALIZED away, in place: it changes no answer, but the engine plans a part anew wherever it is."""
    for cte in tree.find_all(exp.CTE):
        if cte.args.get("materialized") is False:
            cte.set("materialized", None)


def most_joins(tree: exp.Expr) -> int:
    """Return the most joins that the engine has to order at once: those of a SELECT and of its derived tables."""
    counted: dict[int, int] = {}
    for query in from_the_inside(tree):
        if isinstance(query, exp.SetOperation):
            counted[id(query)] = max(counted.get(id(branch), 0) for branch in _branches(query))
        elif isinstance(query, exp.Select):
            counted[id(query)] = _joins(query, counted)
    return max(counted.values(), default=0)


def _joins(select: exp.Select, counted: Mapping[int, int]) -> int:
    joins = list(select.args.get("joins") or ())
    source = select.args.get("from_")
    stack = [*([source.this] if source is not None else []), *(join.this for join in joins)]
    total = len(joins)
    while stack:
        part = stack.pop()
        hanging = part.args.get("joins") or ()
        total += len(hanging)
        stack += [join.this for join in hanging]
        if isinstance(part, exp.Subquery | exp.Lateral):
            total += counted.get(id(part.this), 0)
            if isinstance(part.this, exp.Table | exp.Subquery):
                stack.append(part.this)
    return total


def most_levels(tree: exp.Expr) -> int:
    """Return how many aggregations and subqueries in expressions stand in each other at most, through WITH parts."""
    levels: dict[int, int] = {}
    parts: dict[str, int] = {}
    for query in from_the_inside(tree):
        levels[id(query)] = _levels(query, levels, parts)
        if isinstance(query.parent, exp.CTE):
            name = query.parent.alias.lower()
            parts[name] = max(parts.get(name, 0), levels[id(query)])
    return max(levels.values(), default=0)


def _levels(query: exp.Expr, levels: Mapping[int, int], parts: Mapping[str, int]) -> int:
    inner = 0
    aggregates = query.args.get("group") is not None
    for node in query.walk(prune=lambda n: n is not query and isinstance(n, exp.Query) and not _is_wrapper(n)):
        if node is query:
            continue
        if isinstance(node, exp.Table):
            inner = max(inner, parts.get(node.name.lower(), 0))
        elif id(node) in levels:
            if not isinstance(node.parent, exp.CTE):
                inner = max(inner, levels[id(node)])
        elif isinstance(node, exp.AggFunc):
            aggregates = True
    return inner + (aggregates or _is_in_expression(query))


def _is_in_expression(query: exp.Expr) -> bool:
    """Whether a query stands in an expression, and not in FROM or for a whole statement."""
    parent = query.parent
    while isinstance(parent, exp.Subquery):
        parent = parent.parent
    elsewhere = exp.From | exp.Join | exp.Lateral | exp.SetOperation | exp.Pivot | exp.CTE
    return parent is not None and not isinstance(parent, elsewhere)


def _is_wrapper(node: exp.Expr) -> bool:
    return isinstance(node, exp.Subquery)


def _branches(query: exp.SetOperation) -> tuple[exp.Expr, exp.Expr]:
    return query.this.unnest(), query.expression.unnest()


def from_the_inside(tree: exp.Expr) -> list[exp.Expr]:
    """Return the SELECTs and set operations of a tree, each after those within it, WITH parts in their order."""
    found: list[exp.Expr] = []
    stack = [(tree, False)]
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
            continue
        if isinstance(node, exp.Select | exp.SetOperation):
            stack.append((node, True))
        children = list(node.iter_expressions())
        clause = node.args.get("with_")
        if clause is not None:  # the parts come first: what reads them follows
            children = [clause, *(child for child in children if child is not clause)]
        stack += [(child, False) for child in reversed(children)]
    return found
