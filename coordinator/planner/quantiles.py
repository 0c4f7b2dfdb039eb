"""Medians, quantiles, modes and the like over nodes: exact, from each value of a group and how often it is there.

Quantiles run over every value as often as it was there, so that they interpolate and round as one database does.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from archipel import histograms
from coordinator.planner import aggregation, rewrite
from coordinator.planner.formula import column, number

_ORDERED = frozenset({"kurtosis", "skewness", "entropy"})
"""Sums of doubles: taken in the order of the values, so that the bits do not depend on the order in which they came."""

_BOUNDS = frozenset({histograms.LOWER, histograms.UPPER})

_EVERY_ROW = frozenset(
    {"median", "quantile_cont", "quantile_disc", "approx_quantile", "mad", "histogram", *_BOUNDS, *_ORDERED}
)


def finishes(call: exp.Expr) -> bool:
    """Whether the value of a call follows from its values and how often each is there."""
    name = aggregation.name_of(call)
    return name == "mode" or name in _EVERY_ROW


def needs_every_row(call: exp.Expr) -> bool:
    """Whether the function has to run over each value as often as it is there."""
    return aggregation.name_of(call) in _EVERY_ROW


def value(call: exp.Expr, part: exp.Expr, name: str, count: str) -> exp.Expr:
    """Return the call over a column ``name`` in the place of ``part``, whose rows are counted in ``count``."""
    function = aggregation.name_of(call)
    if function == "mode":
        return _mode(name, count)
    replaced: Callable[[exp.Expr], exp.Expr | None] = lambda node: column(name) if node == part else None  # noqa: E731
    made = rewrite.replace_below(aggregation.without_filter(call), replaced)
    if function == "approx_quantile":
        # With all values at hand there is nothing to estimate; a sketch's answer would depend on their order.
        return exp.PercentileDisc(this=column(name), expression=made.args["quantile"])
    if function in _BOUNDS:  # of values that are all known
        return exp.PercentileCont(this=column(name), expression=made.expressions[1])
    if function in _ORDERED:
        of = next(node for node in made.find_all(exp.Column))
        of.replace(exp.Order(this=of.copy(), expressions=[exp.Ordered(this=of.copy(), nulls_first=False)]))
    return made


def exactly(tree: exp.Query) -> exp.Query:
    """Return a statement that meets all rows of its groups with exact quantiles in the place of approximate ones.

    The engine's own sketch depends on the order in which its threads come, tells no error and takes longer.
    """
    if tree.find(exp.ApproxQuantile) is None:
        return tree
    made = tree.copy()
    for call in list(made.find_all(exp.ApproxQuantile)):
        exact = exp.PercentileDisc(this=call.this, expression=call.args["quantile"])
        exact.meta.update(call.meta)  # where it stands in the query
        call.replace(exact)
    return made


def _mode(name: str, count: str) -> exp.Expr:
    """Return the value that is there most often; of several the least: one database takes the one it met first."""
    by = exp.Order(this=column(count), expressions=[exp.Ordered(this=column(name), nulls_first=False)])
    some = exp.Not(this=exp.Is(this=column(name), expression=exp.Null()))
    return exp.Filter(this=exp.ArgMax(this=column(name), expression=by), expression=exp.Where(this=some))


def every_row(select: exp.Select, name: str, count: str, index: str) -> exp.Select:
    """Return ``select``, each row as often as ``count`` says, a NULL of ``name`` once; ``index`` numbers them."""
    once = exp.case().when(exp.Is(this=column(name), expression=exp.Null()), number(1)).else_(column(count))
    rows = exp.GenerateSeries(start=number(0), end=once, is_end_exclusive=True)
    return select.select(rewrite.aliased(exp.Explode(this=rows), index), copy=False)
