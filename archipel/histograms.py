"""Medians and quantiles of protected values: the names that ask for them, and what nodes answer with.

A node answers with *cells*: intervals of the line of numbers and how many rows lie in each, every one of them about
enough persons (``archipel.border.histogram`` makes them). A group's cells are a list of numbers, two for each cell in
their order: where it begins, and its rows; it ends where the next one begins. The first begins at minus infinity.

Of the cells of all nodes together, the k-th value lies between the k-th of the rows' lower ends and the k-th of their
upper ends. ``quantile_lower(x, p)`` and ``quantile_upper(x, p)`` ask for these ends; over values that are all known
they are ``quantile_cont(x, p)``.
"""

from __future__ import annotations

FUNCTION = "archipel_histogram"
"""What computes the cells of a group: ``archipel_histogram(value)``; NULL where it has no value. No engine has it: the
border check puts SQL in its place."""

LOWER, UPPER = "quantile_lower", "quantile_upper"

DEFINITIONS = (
    f"CREATE MACRO {LOWER}(x, p) AS quantile_cont(x, p)",
    f"CREATE MACRO {UPPER}(x, p) AS quantile_cont(x, p)",
)
"""Every engine gets these."""

DESCRIBED = f"CREATE MACRO {FUNCTION}(x) AS list(CAST(x AS DOUBLE))"
"""Only an engine without rows gets this: it tells the type."""
