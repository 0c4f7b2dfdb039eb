"""Reading the tree: which nodes are aggregates, their names and arguments, conjuncts, parentheses. Knows no tables."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from archipel import aggregates
from archipel.border import vocabulary

_WRAPPERS = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)


def unwrapped(node: exp.Expr) -> exp.Expr:
    """Return ``node`` without parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """Return the conditions that all must hold."""
    stack = [condition] if condition is not None else []
    while stack:
        part = unwrapped(stack.pop())
        if isinstance(part, exp.And):
            stack += [part.expression, part.this]
        else:
            yield part


def aggregate_name(node: exp.Expr) -> str | None:
    """Return the registry's name of an aggregate call, None of anything else."""
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        return name if name in aggregates.REGISTRY else None
    return vocabulary.AGGREGATE_CLASSES.get(type(node))


def unit_of(aggregate: exp.Expr) -> exp.Expr:
    """Return an aggregate with its FILTER, WITHIN GROUP and the like around it."""
    unit = aggregate
    while isinstance(unit.parent, _WRAPPERS) and unit.parent.this is unit:
        unit = unit.parent
    return unit


def is_windowed(unit: exp.Expr) -> bool:
    """Whether a call stands before OVER."""
    return isinstance(unit.parent, exp.Window) and unit.parent.this is unit


def own_nodes(root: exp.Expr) -> Iterator[exp.Expr]:
    """Return the nodes of an expression, subqueries left out."""
    return root.walk(prune=lambda node: isinstance(node, exp.Query) and node is not root)


def aggregates_in(root: exp.Expr) -> list[exp.Expr]:
    """Return the aggregates of an expression, each with what is around it; windows and subqueries left out."""
    units = (unit_of(node) for node in own_nodes(root) if aggregate_name(node) is not None)
    return [unit for unit in units if not is_windowed(unit)]


def aggregates_of(select: exp.Expr) -> list[exp.Expr]:
    """Return the aggregates of a SELECT's own clauses."""
    roots = list(select.expressions)
    roots += [select.args[part] for part in ("having", "qualify", "order") if select.args.get(part) is not None]
    return [unit for root in roots for unit in aggregates_in(root)]


def split_filter(unit: exp.Expr) -> tuple[exp.Expr, exp.Expr | None]:
    """Return the bare aggregate and the condition of its FILTER."""
    condition = None
    while isinstance(unit, _WRAPPERS):
        if isinstance(unit, exp.Filter):
            condition = unit.expression.this
        unit = unit.this
    return unit, condition


def is_of_constants(unit: exp.Expr) -> bool:
    """Whether an aggregate has nothing but literals for arguments, as in ``max(1)``; its FILTER left aside."""
    call = unit.this if isinstance(unit, exp.Filter) else unit
    if aggregate_name(call) is None:
        return False  # WITHIN GROUP and the like bring arguments of their own
    return all(isinstance(part, exp.Literal) for part in call.iter_expressions())


def is_distinct(aggregate: exp.Expr) -> bool:
    """Whether an aggregate has DISTINCT before its arguments."""
    return any(isinstance(part, exp.Distinct) for part in aggregate.iter_expressions())


def arguments(aggregate: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of a bare aggregate, out of DISTINCT and ORDER BY."""
    found: list[exp.Expr] = []
    stack = list(aggregate.iter_expressions())
    while stack:
        part = stack.pop(0)
        if isinstance(part, exp.Distinct):
            stack = list(part.expressions) + stack
        elif isinstance(part, exp.Order):
            stack = ([part.this] if part.this is not None else []) + stack
        else:
            found.append(part)
    return found


def grouping_keys(group: exp.Expr) -> list[exp.Expr]:
    """Return every expression that a GROUP BY names, those of grouping sets included."""
    found: list[exp.Expr] = []
    stack: list[exp.Expr] = []
    for part in ("rollup", "cube", "grouping_sets", "expressions"):
        value = group.args.get(part)
        stack += value if isinstance(value, list) else []
    while stack:
        item = stack.pop()
        if isinstance(item, exp.GroupingSets | exp.Cube | exp.Rollup | exp.Tuple):
            stack += item.expressions
        elif isinstance(item, exp.Paren):
            stack.append(item.this)
        else:
            found.append(item)
    return found


def has_grouping_sets(group: exp.Expr) -> bool:
    """Whether a GROUP BY makes more than one grouping."""
    sets = (exp.GroupingSets, exp.Cube, exp.Rollup)
    return any(group.args.get(part) for part in ("rollup", "cube", "grouping_sets")) or any(
        isinstance(item, sets) for item in group.expressions
    )


def has_finest_set(group: exp.Expr) -> bool:
    """Whether one of the groupings is surely by all keys, and no grouping stands twice."""
    items = [item for part in ("rollup", "cube", "grouping_sets") for item in group.args.get(part) or ()]
    items += group.expressions
    keys = [unwrapped(key) for key in grouping_keys(group)]
    if not any(isinstance(item, exp.GroupingSets) for item in items):
        return len(set(keys)) == len(keys)
    if len(items) > 1 or any(isinstance(part, exp.Rollup | exp.Cube) for part in items[0].expressions):
        return False
    sets = [
        frozenset(unwrapped(key) for key in (part.expressions if isinstance(part, exp.Tuple) else [part]))
        for part in items[0].expressions
    ]
    return frozenset(keys) in sets and len(set(sets)) == len(sets)
