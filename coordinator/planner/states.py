"""Cuts one aggregate into partials at the nodes, their merge, and the final value: the formula of every ``State``.

A merge has up to three steps, each one SELECT over the one before: ``folded`` aggregates the partials of a group over
the nodes; ``means`` and ``centred`` are expressions over that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from archipel.aggregates import REGISTRY, State
from coordinator.planner import aggregation
from coordinator.planner.formula import (
    CutAggregate,
    Formula,
    Named,
    NotSplittable,
    arguments,
    column,
    divided,
    double,
    filter_of,
    number,
)
from coordinator.planner.moments import comoments, moments

_ZERO_OF_NOTHING = frozenset({"count", "count_star", "regr_count"})
"""Counts that are 0 over no row; count_if is NULL there."""


def state_of(call: exp.Expr) -> tuple[object, ...] | None:
    """Return what tells whether two calls need the same partials; None where each has its own.

    One set of moments gives every variance and deviation, one of co-moments every covariance and regression.
    """
    entry = REGISTRY.get(aggregation.name_of(call))
    if entry is None or entry.state not in {State.MOMENTS, State.COMOMENTS}:
        return None
    condition = filter_of(call)
    return entry.state, tuple(a.sql("duckdb") for a in arguments(call)), condition.sql("duckdb") if condition else ""


def cut(call: exp.Expr, prefix: str, shards: int, types: Sequence[str], result_type: str) -> CutAggregate:
    """Return the cut of a call over ``shards`` nodes. ``types`` are those of its arguments, ``result_type`` its own.

    Raises:
        NotSplittable: there is none.
    """
    entry = REGISTRY.get(aggregation.name_of(call))
    if entry is None or entry.state is State.WHOLE or aggregation.bare(call).find(exp.Order):
        raise NotSplittable
    return _BY_STATE[entry.state](Formula(call, prefix, shards, tuple(types), result_type))


def whole(call: exp.Expr, prefix: str, result_type: str, *, shards: int) -> CutAggregate:
    """Return the cut of a call whose groups are each at one node: the partial is the value.

    Should a group come from two nodes all the same (a site key that is NULL at both), the merge fails: a value of
    some of the rows would be wrong.
    """
    name = f"{prefix}v"
    folded: exp.Expr = exp.AnyValue(this=column(name))
    if shards > 1:
        failure = exp.func("error", exp.Literal.string("a group came from several nodes"))
        several = exp.GT(this=exp.Count(this=exp.Star(), big_int=True), expression=number(1))
        folded = exp.case().when(several, failure).else_(folded)
    empty = aggregation.name_of(call) in _ZERO_OF_NOTHING
    final: exp.Expr = exp.cast(column(name), result_type, dialect="duckdb")
    if empty:
        final = exp.cast(exp.func("coalesce", column(name), exp.Literal.number(0)), result_type, dialect="duckdb")
    return CutAggregate(((name, call.copy()),), ((name, folded),), (), (), final)


def summed(call: exp.Expr, prefix: str, result_type: str) -> CutAggregate:
    """Return the cut of a count whose counted values never match across nodes: the sum of the parts."""
    name = f"{prefix}v"
    total = exp.func("coalesce", column(name), exp.Literal.number(0))
    return CutAggregate(
        ((name, call.copy()),),
        ((name, exp.Sum(this=column(name))),),
        (),
        (),
        exp.cast(total, result_type, dialect="duckdb"),
    )


def _count(formula: Formula) -> CutAggregate:
    if formula.function not in _ZERO_OF_NOTHING:
        return _same_partial(formula, exp.Sum)
    return summed(formula.call, formula.prefix, formula.result_type)


def _same_partial(formula: Formula, fold: type[exp.AggFunc]) -> CutAggregate:
    """The call itself at every node, folded; NULL where no node had a value."""
    name = formula.name("v")
    folded = ((name, fold(this=column(name))),)
    return CutAggregate(((name, formula.call.copy()),), folded, (), (), formula.result(column(name)))


def _plain_sum(formula: Formula, argument: exp.Expr, part: str = "s") -> CutAggregate:
    name = formula.name(part)
    return CutAggregate(
        ((name, formula.partial("sum", argument)),),
        ((name, exp.Sum(this=column(name))),),
        (),
        (),
        formula.result(column(name)),
    )


def _double_sum(formula: Formula, argument: exp.Expr) -> tuple[tuple[Named, ...], tuple[Named, ...], exp.Expr]:
    """Return partials, folds and value of a compensated sum of doubles.

    A compensated sum turns infinity into NaN, so the plain sum travels too and is taken where it is not finite.
    """
    safe, plain, count = formula.name("s"), formula.name("i"), formula.name("c")
    partials: tuple[Named, ...] = (
        (safe, formula.partial("fsum", double(argument.copy()))),
        (plain, formula.partial("sum", double(argument.copy()))),
    )
    folded: tuple[Named, ...] = (
        *formula.per_shard(safe),
        (plain, exp.Sum(this=column(plain))),
        (count, exp.Count(this=column(safe))),
    )
    finite = exp.func("isfinite", column(plain), dialect="duckdb")
    value = exp.case().when(finite, formula.fold(safe, count, exp.Add, 0)).else_(column(plain))
    return partials, folded, value


def _sum_state(formula: Formula) -> CutAggregate:
    argument = formula.args()[0]
    if not formula.of_doubles and formula.function != "fsum":
        return _plain_sum(formula, argument)
    partials, folded, value = _double_sum(formula, argument)
    total = formula.name("t")
    return CutAggregate(partials, folded, ((total, value),), (), formula.result(column(total)))


def _avg(formula: Formula) -> CutAggregate:
    argument = formula.args()[0]
    if formula.result_type.upper() != "DOUBLE":
        raise NotSplittable  # the mean of dates and the like
    count = formula.name("n")
    counting = (count, formula.partial("count", argument))
    counted = (count, exp.Sum(this=column(count)))
    if formula.of_doubles:
        partials, folded, value = _double_sum(formula, argument)
        total = formula.name("t")
        ratio = divided(column(total), double(column(count)))
        keep: Named = (count, column(count))
        return CutAggregate(
            (*partials, counting), (*folded, counted), ((total, value), keep), (), formula.result(exp.paren(ratio))
        )
    name = formula.name("s")
    ratio = divided(double(column(name)), double(column(count)))
    return CutAggregate(
        ((name, formula.partial("sum", argument)), counting),
        ((name, exp.Sum(this=column(name))), counted),
        (),
        (),
        formula.result(exp.paren(ratio)),
    )


def _same(formula: Formula) -> CutAggregate:
    """Extremes, logical and bitwise combinations: merged by the function itself."""
    function = formula.function
    if len(formula.args()) != 1:
        raise NotSplittable  # max(x, n) and the like give lists
    name = formula.name("v")
    merged = exp.func(function, column(name), dialect="duckdb")
    return CutAggregate(((name, formula.call.copy()),), ((name, merged),), (), (), formula.result(column(name)))


def _arg_extreme(formula: Formula) -> CutAggregate:
    function = formula.function
    if len(formula.args()) != 2:
        raise NotSplittable
    value, key = formula.args()
    # Rows whose value is NULL do not take part, so their keys must not either.
    taken = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    given = filter_of(formula.call)
    condition = taken if given is None else exp.and_(given.copy(), taken)
    extreme = exp.func("max" if function == "arg_max" else "min", key.copy(), dialect="duckdb")
    name, by = formula.name("v"), formula.name("k")
    return CutAggregate(
        (
            (name, formula.call.copy()),
            (by, exp.Filter(this=extreme, expression=exp.Where(this=condition))),
        ),
        ((name, exp.func(function, column(name), column(by), dialect="duckdb")),),
        (),
        (),
        formula.result(column(name)),
    )


_FIRSTS = {"any_value": exp.AnyValue, "first": exp.First, "last": exp.Last}


def _first(formula: Formula) -> CutAggregate:
    """What the first node has, the engine meeting rows in the order of the nodes; one without a row has nothing."""
    function = formula.function
    name, rows = formula.name("v"), formula.name("c")
    merged = _FIRSTS[function](this=column(name))
    if function == "any_value":  # it skips NULL
        return CutAggregate(((name, formula.call.copy()),), ((name, merged),), (), (), formula.result(column(name)))
    some = exp.Where(this=exp.GT(this=column(rows), expression=number(0)))
    return CutAggregate(
        ((name, formula.call.copy()), (rows, formula.partial("count", exp.Star()))),
        ((name, exp.Filter(this=merged, expression=some)),),
        (),
        (),
        formula.result(column(name)),
    )


def _product(formula: Formula) -> CutAggregate:
    name, count, total = formula.name("v"), formula.name("c"), formula.name("t")
    return CutAggregate(
        ((name, formula.call.copy()),),
        (*formula.per_shard(name), (count, exp.Count(this=column(name)))),
        ((total, formula.fold(name, count, exp.Mul, 1)),),
        (),
        formula.result(column(total)),
    )


_BY_STATE: dict[State, Callable[[Formula], CutAggregate]] = {
    State.COUNT: _count,
    State.SUM: _sum_state,
    State.AVG: _avg,
    State.EXTREME: _same,
    State.ARG_EXTREME: _arg_extreme,
    State.LOGICAL: _same,
    State.BITWISE: _same,
    State.MOMENTS: moments,
    State.COMOMENTS: comoments,
    State.PRODUCT: _product,
    State.FIRST: _first,
}
