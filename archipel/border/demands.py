"""What the groups of a statement must pass: from its aggregates, the carriers of its rows and the tables' policies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlglot import exp

from archipel import schema
from archipel.aggregates import REGISTRY, State
from archipel.border import marks, syntax
from archipel.border.block import Block
from archipel.border.expressions import Expressions
from archipel.border.persons import (
    COUNTS,
    adds,
    contributions,
    contributors,
    counts,
    inner_contributions,
    parameters,
    varying,
)
from archipel.border.relations import OUTER, Carrier, reached
from archipel.border.splits import is_of_tests, is_step, pieces
from archipel.border.spread import Kind, Limits, Spread
from archipel.border.threshold import Demands, Sensitive


def demands(
    units: Sequence[exp.Expr],
    block: Block,
    expressions: Expressions,
    protected: Sequence[schema.Table],
    min_persons: int,
    *,
    sensitive: tuple[Sensitive, ...] = (),
    only_counts: bool = False,
) -> Demands:
    """Return what a group must pass, given the outermost aggregates and the block of their rows.

    With ``only_counts``, for where nothing but persons can be counted, values other than zero are counted, too.
    """
    limits = Limits.of(protected, min_persons)
    conditions: list[tuple[exp.Expr, int]] = []
    for unit in units:
        counted = inner_contributions(unit) if only_counts else contributions(unit)
        below = marks.conditions_of(unit, lambda column: expressions.marks(column, block))
        conditions += [(condition, min_persons) for condition in (*counted, *below)]
        taken = contributors(unit)
        estimated = parameters(unit)
        if estimated and taken is not None:
            conditions.append((taken, limits.dominance.min_degrees + estimated))
    carriers = block.distinct_carriers()
    values = [] if only_counts else _values(units, block, expressions)
    bases = [table.policy.rounding for table in protected if table.policy.rounding]
    rounded = [unit for unit in units if _is_rounded(unit)] if bases else []
    return Demands(
        counts=tuple(counts(carriers, conditions, min_persons)),
        spreads=tuple(Spread(carrier, value, kind) for carrier in leading(carriers, block) for value, kind in values),
        sensitive=sensitive,
        limits=limits,
        rounding=math.lcm(*bases) if bases else 0,
        rounded=tuple(unit.parent.alias for unit in rounded if unit.parent is not None),
    )


def adds_up(unit: exp.Expr) -> bool:
    """Whether the total of an aggregate over several groups is the sum of theirs."""
    return _is_rounded(unit) and not syntax.is_distinct(syntax.split_filter(unit)[0])


def _is_rounded(unit: exp.Expr) -> bool:
    name = syntax.aggregate_name(syntax.split_filter(unit)[0]) or ""
    return name in COUNTS or REGISTRY[name].state is State.SUM


def leading(carriers: list[Carrier], block: Block) -> list[Carrier]:
    """Return the carriers that are not, wherever they are present, the same person as another one."""
    found: list[Carrier] = []
    for carrier in carriers:
        others = [other for other in (*found, *carriers[carriers.index(carrier) + 1 :]) if other is not carrier]
        if carrier not in reached(others, block.determined) or OUTER is carrier:
            found.append(carrier)
    return found


def _values(units: Sequence[exp.Expr], block: Block, expressions: Expressions) -> list[tuple[exp.Expr, Kind]]:
    """Return the values whose spread is looked at, each once."""
    found: dict[tuple[str, Kind], tuple[exp.Expr, Kind]] = {}

    def note(value: exp.Expr, kind: Kind) -> None:
        found.setdefault((value.sql(), kind), (value, kind))

    for unit in units:
        call, condition = syntax.split_filter(unit)
        taken = contributors(unit)
        name = syntax.aggregate_name(call)
        if adds(unit):
            for argument in varying(unit):
                if is_of_tests(argument):
                    continue  # counts, whose splits are counted
                # Where only one argument matters, a row takes part when it is not NULL, as the value itself says.
                alone = len(varying(unit)) == 1
                plain = expressions.is_plain(argument, block)
                note(_under(condition if alone else taken, argument), Kind.PLAIN if plain else Kind.COMPUTED)
                for piece in pieces(argument):
                    note(_under(taken, piece), Kind.STEP if is_step(piece) else Kind.OPERAND)
            for mark in marks.operands_of(unit, lambda column: expressions.marks(column, block)):
                note(_under(taken, mark.value), Kind.STEP if mark.step else Kind.OPERAND)
        elif name in COUNTS and syntax.is_distinct(call):
            for argument in varying(unit):
                if not _is_person(argument, block):
                    note(_under(condition, argument), Kind.DISTINCT)
    return list(found.values())


def _under(condition: exp.Expr | None, value: exp.Expr) -> exp.Expr:
    if condition is None:
        return value.copy()
    return exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])


def _is_person(value: exp.Expr, block: Block) -> bool:
    return any(value == carrier.person for carrier in block.carriers)
