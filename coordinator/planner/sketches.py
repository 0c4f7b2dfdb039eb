"""Estimates of how many distinct values there are, from registers that nodes compute and the coordinator merges."""

from __future__ import annotations

from sqlglot import exp

from archipel import sketches
from coordinator.planner.formula import CutAggregate, arguments, column, filter_of, is_double, number

NOTE = (
    f"approx_count_distinct is an estimate: its standard error is {100 * sketches.STANDARD_ERROR:.1f} %, and one of "
    f"twenty is off by more than {200 * sketches.STANDARD_ERROR:.1f} %."
)


def cut(call: exp.Expr, prefix: str, kind: str, result_type: str, permit_id: str) -> CutAggregate:
    """Return the cut of ``approx_count_distinct``; ``kind`` is the type of its argument."""
    value = arguments(call)[0].copy()
    if is_double(kind):
        value = exp.Add(this=exp.paren(value), expression=number(0))  # -0.0 and 0.0 are one value with two texts
    condition = filter_of(call)
    if condition is not None:
        value = exp.case().when(condition.copy(), value)
    name = f"{prefix}h"
    return CutAggregate(
        ((name, sketches.registers(value, permit_id)),),
        ((name, sketches.merged(column(name))),),
        ((name, sketches.reduced(column(name))),),
        ((name, sketches.estimate(column(name))),),
        exp.cast(column(name), result_type, dialect="duckdb"),
    )
