"""Splits that happened below: what an output of a derived table hides of how it was computed, carried outwards.

An aggregate over ``x`` cannot see that ``x`` was ``CASE WHEN few THEN cost ELSE year END`` in a derived table. So each
output that is computed there has *marks*: the conditions of its splits and its computed operands
(``archipel.border.splits``), as extra columns of the derived table, as persons are carried. Of a group they are whether
a condition held for any of its rows, and the least and greatest of an operand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlglot import exp

from archipel.border import syntax
from archipel.border.building import call, every
from archipel.border.relations import Mark
from archipel.border.splits import conditions, is_step, pieces, splits


def of_value(value: exp.Expr, marks_of: Callable[[exp.Column], Iterable[Mark]]) -> list[Mark]:
    """Return the marks of an output, with those of the columns that it is computed from; the value is a row's."""
    found = [Mark(condition, split=True) for condition in conditions(value)]
    found += [Mark(piece, split=False, step=is_step(piece)) for piece in pieces(value)]
    return found + _of_columns(value, marks_of)


def of_group(value: exp.Expr, marks_of: Callable[[exp.Column], Iterable[Mark]]) -> list[Mark]:
    """Return the marks of an output of a SELECT that aggregates, as values of a group."""
    of_rows: list[Mark] = []
    units = syntax.aggregates_in(value)
    for unit in units:
        bare, _ = syntax.split_filter(unit)
        of_rows += [Mark(condition, split=True) for condition in splits(unit)]
        for argument in syntax.arguments(bare):
            if not isinstance(argument, exp.Star):
                of_rows += [Mark(piece, split=False, step=is_step(piece)) for piece in pieces(argument)]
    of_rows += _of_columns(value, marks_of)
    found: list[Mark] = []
    for mark in of_rows:
        if mark.split:
            found.append(Mark(call("BOOL_OR", mark.value.copy()), split=True))
        else:
            found += [Mark(end(this=mark.value.copy()), split=False, step=mark.step) for end in (exp.Min, exp.Max)]
    if units:
        return found + [Mark(condition, split=True) for condition in conditions(value)]
    return found + [Mark(call("BOOL_OR", condition), split=True) for condition in conditions(value)]


def conditions_of(unit: exp.Expr, marks_of: Callable[[exp.Column], Iterable[Mark]]) -> list[exp.Expr]:
    """Return the conditions of the columns that an aggregate reads, where its FILTER holds."""
    _, condition = syntax.split_filter(unit)
    path = [condition] if condition is not None else []
    return [every([*path, mark.value]) for mark in _of_columns(unit, marks_of) if mark.split]


def operands_of(unit: exp.Expr, marks_of: Callable[[exp.Column], Iterable[Mark]]) -> list[Mark]:
    """Return the operands of the columns that an aggregate reads."""
    return [mark for mark in _of_columns(unit, marks_of) if not mark.split]


def _of_columns(value: exp.Expr, marks_of: Callable[[exp.Column], Iterable[Mark]]) -> list[Mark]:
    columns = (node for node in syntax.own_nodes(value) if isinstance(node, exp.Column))
    return list(dict.fromkeys(mark for column in columns for mark in marks_of(column)))
