"""The registry of aggregates: which SQL function, how its state is cut into partials, and what a partial reveals.

One row an aggregate. The planner reads the kind of state to cut and merge; the border check reads the leak
class to decide. Names are DuckDB's, lower case. An aggregate that does not stand here is unknown to both and refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from archipel import histograms, sketches


class Leak(Enum):
    """What the partial of an aggregate over many persons shows of single values."""

    NONE = "none"
    """A statistic of all rows: counts, sums, moments."""
    SKETCH = "sketch"
    """Hashes of values, of which a value that one knows can be tested for."""
    HISTOGRAM = "histogram"
    """How many rows lie in cells that each hold enough persons: what only the border check makes."""
    VALUE = "value"
    """A value of some row, or what lets one be derived: extremes, any value, logical and bitwise combinations."""
    ROWS = "rows"
    """All values."""


class State(Enum):
    """The partial columns of an aggregate, and the formula that merges them."""

    COUNT = "count"
    """n; merged by sum; 0 where no node has a row."""
    SUM = "sum"
    """Sum; integers as HUGEINT, decimals as DECIMAL(38,s), doubles by ``fsum``; merged by sum, doubles folded in
    the order of nodes. NULL where no row."""
    AVG = "avg"
    """Sum and count."""
    EXTREME = "extreme"
    """One value; merged by the same function."""
    ARG_EXTREME = "arg_extreme"
    """Value and key; merged by the same function over the partials."""
    LOGICAL = "logical"
    """One boolean; merged by the same function."""
    BITWISE = "bitwise"
    """One integer; merged by the same function."""
    MOMENTS = "moments"
    """n, mean, sum of squared deviations (regr_count, regr_avgx, regr_sxx of (x, x)); Chan, Golub and LeVeque 1983."""
    COMOMENTS = "comoments"
    """n, mean x, mean y, sxx, syy, sxy over the pairs without NULL; Chan, Golub and LeVeque 1983."""
    PRODUCT = "product"
    """Product as double, folded in the order of nodes."""
    FIRST = "first"
    """One value and whether there was a row; merged by the same function in the order of nodes."""
    SKETCH = "sketch"
    """Registers (``archipel.sketches``); merged by their maximum, finished as an estimate."""
    WHOLE = "whole"
    """No small exact partial: exact where a group lies at one site, or from all its values."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate: DuckDB's name of it, the state it needs and what that state reveals."""

    name: str
    state: State
    leak: Leak


def _rows(state: State, leak: Leak, *names: str) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(name, state, leak) for name in names)


REGISTRY: dict[str, Aggregate] = {
    a.name: a
    for a in (
        *_rows(State.COUNT, Leak.NONE, "count", "count_star", "count_if", "regr_count"),
        *_rows(State.SUM, Leak.NONE, "sum", "fsum"),
        *_rows(State.AVG, Leak.NONE, "avg", "mean", "favg"),
        *_rows(State.MOMENTS, Leak.NONE, "var_pop", "var_samp", "variance", "stddev", "stddev_pop", "stddev_samp"),
        *_rows(State.COMOMENTS, Leak.NONE, "covar_pop", "covar_samp", "corr"),
        *_rows(
            State.COMOMENTS,
            Leak.NONE,
            *("regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy", "regr_slope", "regr_intercept", "regr_r2"),
        ),
        *_rows(State.EXTREME, Leak.VALUE, "min", "max"),
        *_rows(State.ARG_EXTREME, Leak.VALUE, "arg_min", "arg_max"),
        *_rows(State.LOGICAL, Leak.VALUE, "bool_and", "bool_or"),
        *_rows(State.BITWISE, Leak.VALUE, "bit_and", "bit_or", "bit_xor"),
        *_rows(State.PRODUCT, Leak.VALUE, "product"),
        *_rows(State.FIRST, Leak.VALUE, "any_value", "first", "last"),
        *_rows(
            State.WHOLE,
            Leak.VALUE,
            "median",
            "mode",
            "quantile_cont",
            "quantile_disc",
            "mad",
            "entropy",
            "kurtosis",
            "skewness",
        ),
        *_rows(State.SKETCH, Leak.VALUE, "approx_count_distinct"),
        *_rows(State.WHOLE, Leak.SKETCH, sketches.FUNCTION),
        *_rows(State.WHOLE, Leak.HISTOGRAM, histograms.FUNCTION),
        *_rows(State.WHOLE, Leak.VALUE, histograms.LOWER, histograms.UPPER),
        *_rows(State.WHOLE, Leak.VALUE, "approx_quantile", "quantile", "sem", "kurtosis_pop", "arbitrary"),
        *_rows(State.WHOLE, Leak.VALUE, "arg_max_null", "arg_min_null"),
        *_rows(State.WHOLE, Leak.ROWS, "array_agg", "list", "string_agg", "histogram"),
    )
}
"""Every aggregate that Archipel knows, by name. ``count(DISTINCT x)`` is ``count`` with DISTINCT: its number
reveals no value, but its partial is WHOLE unless the values never match across sites."""
