"""Aggregates with DISTINCT over nodes: each value of a group, once, whichever nodes it is at.

Two values are the same where GROUP BY takes them for one: -0.0 is 0.0 and every NaN the same NaN, as in one database.
"""

from __future__ import annotations

from sqlglot import exp

from archipel.aggregates import REGISTRY, State
from coordinator.planner import aggregation
from coordinator.planner.formula import column, is_double

_STATES = frozenset({State.COUNT, State.SUM, State.AVG, State.EXTREME, State.LOGICAL, State.BITWISE, State.PRODUCT})
_MORE = frozenset({"median", "quantile_cont", "quantile_disc", "mad"})
_IN_DOUBLES = frozenset({"kurtosis", "skewness"})
"""They compute with doubles, whatever they are given."""

IDEMPOTENT = frozenset({"min", "max", "bool_and", "bool_or", "bit_and", "bit_or"})
"""A value that counts twice changes nothing: DISTINCT makes no difference."""


def finishes(call: exp.Expr) -> bool:
    """Whether the value of a call with DISTINCT follows from the set of its values alone."""
    name = aggregation.name_of(call)
    entry = REGISTRY.get(name)
    if entry is None or name == "count_if":
        return False
    return entry.state in _STATES or entry.state is State.MOMENTS or name in _MORE or name in _IN_DOUBLES


def value(call: exp.Expr, names: list[str], types: list[str]) -> exp.Expr:
    """Return the call over columns ``names`` that hold the parts of each of its values once."""
    made = aggregation.without_filter(call)
    found = next(node for node in made.find_all(exp.Distinct))
    name = aggregation.name_of(call)
    columns = [column(n) for n in names]
    if len(columns) > 1:  # the parts of a tuple, which is a value even where all of them are NULL
        found.set("expressions", [exp.Tuple(expressions=columns)])
        return made
    of: exp.Expr = columns[0]
    entry = REGISTRY[name]
    if is_double(types[0]) or entry.state is State.MOMENTS or name in _IN_DOUBLES:
        # In an order of their own, so that the bits do not depend on the order in which they came.
        of = exp.Order(this=of, expressions=[exp.Ordered(this=columns[0].copy(), nulls_first=False)])
    found.replace(of)
    return made
