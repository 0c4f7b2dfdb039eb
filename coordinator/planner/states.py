"""Cuts one aggregate into partials at the nodes, their merge, and the final value: the formulas of every ``State``.

A merge has up to three steps, each one SELECT over the one before: ``folded`` aggregates the partials of a group over
the nodes; ``means`` and ``centred`` are expressions over that. Doubles are folded node by node in the order of the
stage's sites, so that the same partials give the same bits. Moments merge by the many-way form of Chan, Golub and
LeVeque, "Algorithms for computing the sample variance" (1983): n, mean, and the centred sum m2 + sum of
n_i (mean_i - mean)^2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from archipel.aggregates import REGISTRY, State
from coordinator.plan import SHARD_COLUMN
from coordinator.planner import aggregation

Named = tuple[str, exp.Expr]

_DOUBLES = frozenset({"DOUBLE", "FLOAT", "REAL"})

_ZERO_OF_NOTHING = frozenset({"count", "count_star", "regr_count"})
"""Counts that are 0 over no row; count_if is NULL there."""


@dataclass(frozen=True, slots=True)
class CutAggregate:
    """The parts of one cut aggregate. ``final`` reads the columns that the last merge step names."""

    partials: tuple[Named, ...]
    folded: tuple[Named, ...]
    means: tuple[Named, ...]
    centred: tuple[Named, ...]
    final: exp.Expr


class NotSplittable(Exception):
    """The aggregate has no small exact partial over several nodes."""


def column(name: str) -> exp.Column:
    """Return a reference to a column by its name alone."""
    return exp.column(exp.to_identifier(name, quoted=True))


def arguments(call: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of an aggregate call; none for ``count(*)``."""
    inner = aggregation.bare(call)
    found: list[exp.Expr] = []
    if isinstance(inner, exp.Anonymous):
        found = list(inner.expressions)
    else:
        for key in inner.arg_types:
            value = inner.args.get(key)
            found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, exp.Expr)]
    return [argument for argument in found if not isinstance(argument, exp.Star)]


def distinct_of(call: exp.Expr) -> exp.Distinct | None:
    """Return the DISTINCT of a call, if it has one."""
    return next((a for a in arguments(call) if isinstance(a, exp.Distinct)), None)


def state_of(call: exp.Expr) -> tuple[object, ...] | None:
    """Return what tells whether two calls need the same partials; None where each has its own.

    One set of moments gives every variance and deviation, one of co-moments every covariance and regression.
    """
    entry = REGISTRY.get(aggregation.name_of(call))
    if entry is None or entry.state not in {State.MOMENTS, State.COMOMENTS}:
        return None
    condition = filter_of(call)
    return entry.state, tuple(a.sql("duckdb") for a in arguments(call)), condition.sql("duckdb") if condition else ""


def filter_of(call: exp.Expr) -> exp.Expr | None:
    """Return the condition of a call's FILTER, if it has one."""
    node = call
    while isinstance(node, aggregation.WRAPPERS):
        if isinstance(node, exp.Filter):
            found: exp.Expr = node.expression.this
            return found
        node = node.this
    return None


def cut(call: exp.Expr, prefix: str, shards: int, types: Sequence[str], result_type: str) -> CutAggregate:
    """Return the cut of a call over ``shards`` nodes. ``types`` are those of its arguments, ``result_type`` its own.

    Raises:
        NotSplittable: there is none.
    """
    entry = REGISTRY.get(aggregation.name_of(call))
    if entry is None or entry.state is State.WHOLE or aggregation.bare(call).find(exp.Order):
        raise NotSplittable
    maker = _Maker(call, prefix, shards, tuple(types), result_type)
    return _BY_STATE[entry.state](maker)


def whole(call: exp.Expr, prefix: str, result_type: str, *, shards: int) -> CutAggregate:
    """Return the cut of a call whose groups are each at one node: the partial is the value.

    Should a group come from two nodes all the same (a site key that is NULL at both), the merge fails: a value of
    some of the rows would be wrong.
    """
    name = f"{prefix}v"
    folded: exp.Expr = exp.AnyValue(this=column(name))
    if shards > 1:
        failure = exp.func("error", exp.Literal.string("a group came from several nodes"))
        several = exp.GT(this=exp.Count(this=exp.Star(), big_int=True), expression=_number(1))
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


@dataclass(frozen=True, slots=True)
class _Maker:
    call: exp.Expr
    prefix: str
    shards: int
    types: tuple[str, ...]
    result_type: str

    def name(self, part: str) -> str:
        return f"{self.prefix}{part}"

    def partial(self, function: str, *args: exp.Expr) -> exp.Expr:
        """An aggregate of another function over the same rows: the FILTER of the call goes with it."""
        made: exp.Expr = exp.func(function, *(a.copy() for a in args), dialect="duckdb")
        condition = filter_of(self.call)
        return made if condition is None else exp.Filter(this=made, expression=exp.Where(this=condition.copy()))

    def args(self) -> list[exp.Expr]:
        return arguments(self.call)

    def result(self, value: exp.Expr) -> exp.Expr:
        return exp.cast(value, self.result_type, dialect="duckdb")

    def per_shard(self, name: str) -> tuple[Named, ...]:
        """The partial of each node in a column of its own; a group has at most one row a node."""
        return tuple((f"{name}_{i}", _of_shard(name, i)) for i in range(self.shards))

    def fold(self, name: str, count: str, operator: type[exp.Binary], neutral: float) -> exp.Expr:
        """The per-node columns of ``name`` combined in order; NULL when ``count`` says that none had a value."""
        terms = [_or(column(f"{name}_{i}"), neutral) for i in range(self.shards)]
        folded = terms[0]
        for term in terms[1:]:
            folded = operator(this=folded, expression=term)
        return exp.case().when(exp.EQ(this=column(count), expression=_number(0)), exp.Null()).else_(exp.paren(folded))


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _double(node: exp.Expr) -> exp.Expr:
    return exp.cast(node, "DOUBLE", dialect="duckdb")


def _or(node: exp.Expr, value: float) -> exp.Expr:
    return exp.func("coalesce", node, _double(_number(int(value))))


def _of_shard(name: str, index: int) -> exp.Expr:
    condition = exp.EQ(this=column(SHARD_COLUMN), expression=_number(index))
    return exp.Filter(this=exp.Max(this=column(name)), expression=exp.Where(this=condition))


def _sum(terms: list[exp.Expr]) -> exp.Expr:
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def _count(maker: _Maker) -> CutAggregate:
    if aggregation.name_of(maker.call) not in _ZERO_OF_NOTHING:
        return _same_partial(maker, exp.Sum)
    return summed(maker.call, maker.prefix, maker.result_type)


def _same_partial(maker: _Maker, fold: type[exp.AggFunc]) -> CutAggregate:
    """The call itself at every node, folded; NULL where no node had a value."""
    name = maker.name("v")
    folded = ((name, fold(this=column(name))),)
    return CutAggregate(((name, maker.call.copy()),), folded, (), (), maker.result(column(name)))


def _is_double(maker: _Maker) -> bool:
    return bool(maker.types) and maker.types[0].upper() in _DOUBLES


def _plain_sum(maker: _Maker, argument: exp.Expr, part: str = "s") -> CutAggregate:
    name = maker.name(part)
    return CutAggregate(
        ((name, maker.partial("sum", argument)),),
        ((name, exp.Sum(this=column(name))),),
        (),
        (),
        maker.result(column(name)),
    )


def _double_sum(maker: _Maker, argument: exp.Expr) -> tuple[tuple[Named, ...], tuple[Named, ...], exp.Expr]:
    """Return partials, folds and value of a compensated sum of doubles.

    A compensated sum turns infinity into NaN, so the plain sum travels too and is taken where it is not finite.
    """
    safe, plain, count = maker.name("s"), maker.name("i"), maker.name("c")
    partials: tuple[Named, ...] = (
        (safe, maker.partial("fsum", _double(argument.copy()))),
        (plain, maker.partial("sum", _double(argument.copy()))),
    )
    folded: tuple[Named, ...] = (
        *maker.per_shard(safe),
        (plain, exp.Sum(this=column(plain))),
        (count, exp.Count(this=column(safe))),
    )
    finite = exp.func("isfinite", column(plain), dialect="duckdb")
    value = exp.case().when(finite, maker.fold(safe, count, exp.Add, 0)).else_(column(plain))
    return partials, folded, value


def _sum_state(maker: _Maker) -> CutAggregate:
    argument = maker.args()[0]
    if not _is_double(maker) and aggregation.name_of(maker.call) != "fsum":
        return _plain_sum(maker, argument)
    partials, folded, value = _double_sum(maker, argument)
    total = maker.name("t")
    return CutAggregate(partials, folded, ((total, value),), (), maker.result(column(total)))


def _avg(maker: _Maker) -> CutAggregate:
    argument = maker.args()[0]
    if maker.result_type.upper() != "DOUBLE":
        raise NotSplittable  # the mean of dates and the like
    count = maker.name("n")
    counting = (count, maker.partial("count", argument))
    counted = (count, exp.Sum(this=column(count)))
    if _is_double(maker):
        partials, folded, value = _double_sum(maker, argument)
        total = maker.name("t")
        ratio = exp.Div(this=column(total), expression=_double(column(count)), typed=False, safe=False)
        keep: Named = (count, column(count))
        return CutAggregate(
            (*partials, counting), (*folded, counted), ((total, value), keep), (), maker.result(exp.paren(ratio))
        )
    name = maker.name("s")
    ratio = exp.Div(this=_double(column(name)), expression=_double(column(count)), typed=False, safe=False)
    return CutAggregate(
        ((name, maker.partial("sum", argument)), counting),
        ((name, exp.Sum(this=column(name))), counted),
        (),
        (),
        maker.result(exp.paren(ratio)),
    )


def _same(maker: _Maker) -> CutAggregate:
    """Extremes, logical and bitwise combinations: merged by the function itself."""
    function = aggregation.name_of(maker.call)
    if len(maker.args()) != 1:
        raise NotSplittable  # max(x, n) and the like give lists
    name = maker.name("v")
    merged = exp.func(function, column(name), dialect="duckdb")
    return CutAggregate(((name, maker.call.copy()),), ((name, merged),), (), (), maker.result(column(name)))


def _arg_extreme(maker: _Maker) -> CutAggregate:
    function = aggregation.name_of(maker.call)
    if len(maker.args()) != 2:
        raise NotSplittable
    value, key = maker.args()
    # Rows whose value is NULL do not take part, so their keys must not either.
    taken = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    given = filter_of(maker.call)
    condition = taken if given is None else exp.and_(given.copy(), taken)
    extreme = exp.func("max" if function == "arg_max" else "min", key.copy(), dialect="duckdb")
    name, by = maker.name("v"), maker.name("k")
    return CutAggregate(
        (
            (name, maker.call.copy()),
            (by, exp.Filter(this=extreme, expression=exp.Where(this=condition))),
        ),
        ((name, exp.func(function, column(name), column(by), dialect="duckdb")),),
        (),
        (),
        maker.result(column(name)),
    )


def _product(maker: _Maker) -> CutAggregate:
    name, count, total = maker.name("v"), maker.name("c"), maker.name("t")
    return CutAggregate(
        ((name, maker.call.copy()),),
        (*maker.per_shard(name), (count, exp.Count(this=column(name)))),
        ((total, maker.fold(name, count, exp.Mul, 1)),),
        (),
        maker.result(column(total)),
    )


def _moments(maker: _Maker) -> CutAggregate:
    argument = _double(maker.args()[0].copy())
    n, mean, m2 = (maker.name(p) for p in ("n", "m", "q"))
    partials: tuple[Named, ...] = (
        (n, maker.partial("regr_count", argument, argument)),
        (mean, maker.partial("regr_avgx", argument, argument)),
        (m2, maker.partial("regr_sxx", argument, argument)),
    )
    folded = (
        (n, exp.Sum(this=column(n))),
        *maker.per_shard(n),
        *maker.per_shard(mean),
        *maker.per_shard(m2),
    )
    centre = maker.name("u")
    means = (
        (n, _double(column(n))),
        *((f"{p}_{i}", column(f"{p}_{i}")) for p in (n, mean, m2) for i in range(maker.shards)),
        (centre, _weighted_mean(maker, n, mean)),
    )
    total = _sum([_centred_term(m2, n, mean, mean, centre, centre, i) for i in range(maker.shards)])
    centred = ((n, column(n)), (m2, total))
    return CutAggregate(partials, folded, means, centred, maker.result(_moment_value(maker, n, m2)))


def _weighted_mean(maker: _Maker, n: str, mean: str) -> exp.Expr:
    terms = [
        _or(exp.Mul(this=_double(column(f"{n}_{i}")), expression=column(f"{mean}_{i}")), 0) for i in range(maker.shards)
    ]
    return exp.Div(this=exp.paren(_sum(terms)), expression=_double(column(n)), typed=False, safe=False)


def _centred_term(m: str, n: str, x: str, y: str, mean_x: str, mean_y: str, i: int) -> exp.Expr:
    away_x = exp.paren(exp.Sub(this=column(f"{x}_{i}"), expression=column(mean_x)))
    away_y = exp.paren(exp.Sub(this=column(f"{y}_{i}"), expression=column(mean_y)))
    between = exp.Mul(this=exp.Mul(this=_double(column(f"{n}_{i}")), expression=away_x), expression=away_y)
    return _or(exp.Add(this=column(f"{m}_{i}"), expression=between), 0)


def _null_below(n: str, least: int, value: exp.Expr) -> exp.Expr:
    """NULL where fewer than ``least`` values took part, and where no node had the group."""
    enough = exp.GTE(this=column(n), expression=_number(least))
    return exp.case().when(enough, value).else_(exp.Null())


def _divided(over: exp.Expr, under: exp.Expr) -> exp.Expr:
    return exp.Div(this=over, expression=under, typed=False, safe=False)


def _less_one(n: str) -> exp.Expr:
    return exp.paren(exp.Sub(this=column(n), expression=_number(1)))


def _moment_value(maker: _Maker, n: str, m2: str) -> exp.Expr:
    population = aggregation.name_of(maker.call) in {"var_pop", "stddev_pop"}
    value = _divided(column(m2), column(n) if population else _less_one(n))
    if aggregation.name_of(maker.call).startswith("stddev"):
        value = exp.Sqrt(this=value)
    return _null_below(n, 1 if population else 2, value)


def _comoments(maker: _Maker) -> CutAggregate:
    y, x = (_double(a.copy()) for a in maker.args())  # SQL's order: the dependent variable comes first
    parts = ("n", "mx", "my", "xx", "yy", "xy")
    n, mean_x, mean_y, sxx, syy, sxy = (maker.name(p) for p in parts)
    functions = ("regr_count", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy")
    partials = tuple((maker.name(p), maker.partial(f, y, x)) for p, f in zip(parts, functions, strict=True))
    folded = (
        (n, exp.Sum(this=column(n))),
        *(item for p in parts for item in maker.per_shard(maker.name(p))),
    )
    centre_x, centre_y = maker.name("ux"), maker.name("uy")
    means = (
        (n, _double(column(n))),
        *((f"{maker.name(p)}_{i}", column(f"{maker.name(p)}_{i}")) for p in parts for i in range(maker.shards)),
        (centre_x, _weighted_mean(maker, n, mean_x)),
        (centre_y, _weighted_mean(maker, n, mean_y)),
    )

    def total(m: str, a: str, b: str, mean_a: str, mean_b: str) -> exp.Expr:
        return _sum([_centred_term(m, n, a, b, mean_a, mean_b, i) for i in range(maker.shards)])

    centred = (
        (n, column(n)),
        (mean_x, column(centre_x)),
        (mean_y, column(centre_y)),
        (sxx, total(sxx, mean_x, mean_x, centre_x, centre_x)),
        (syy, total(syy, mean_y, mean_y, centre_y, centre_y)),
        (sxy, total(sxy, mean_x, mean_y, centre_x, centre_y)),
    )
    values = _Comoments(*(column(name) for name in (n, mean_x, mean_y, sxx, syy, sxy)))
    value = values.value(aggregation.name_of(maker.call))
    least = 2 if aggregation.name_of(maker.call) == "covar_samp" else 1
    return CutAggregate(partials, folded, means, centred, maker.result(_null_below(n, least, value)))


@dataclass(frozen=True, slots=True)
class _Comoments:
    """The state of co-moments, and what every function makes of it; the corner cases are DuckDB's."""

    n: exp.Expr
    mean_x: exp.Expr
    mean_y: exp.Expr
    sxx: exp.Expr
    syy: exp.Expr
    sxy: exp.Expr

    def value(self, function: str) -> exp.Expr:
        one = exp.paren(exp.Sub(this=self.n.copy(), expression=_number(1)))
        slope = self._or_nan(self.sxx, _divided(self.sxy.copy(), self.sxx.copy()))
        spread = exp.Mul(this=exp.Sqrt(this=self.sxx.copy()), expression=exp.Sqrt(this=self.syy.copy()))
        made: dict[str, exp.Expr] = {
            "covar_pop": _divided(self.sxy.copy(), self.n.copy()),
            "covar_samp": _divided(self.sxy.copy(), one),
            "corr": self._or_nan(spread, _divided(self.sxy.copy(), exp.paren(spread.copy()))),
            "regr_avgx": self.mean_x.copy(),
            "regr_avgy": self.mean_y.copy(),
            "regr_sxx": self.sxx.copy(),
            "regr_syy": self.syy.copy(),
            "regr_sxy": self.sxy.copy(),
            "regr_slope": slope,
            "regr_intercept": self._intercept(),
            "regr_r2": self._r2(),
        }
        return made[function]

    def _is_zero(self, node: exp.Expr) -> exp.Expr:
        return exp.EQ(this=node.copy(), expression=_number(0))

    def _or_nan(self, under: exp.Expr, value: exp.Expr) -> exp.Expr:
        nan = exp.cast(exp.Literal.string("nan"), "DOUBLE", dialect="duckdb")
        return exp.case().when(self._is_zero(under), nan).else_(value)

    def _intercept(self) -> exp.Expr:
        along = exp.Mul(this=exp.paren(_divided(self.sxy.copy(), self.sxx.copy())), expression=self.mean_x.copy())
        value = exp.Sub(this=self.mean_y.copy(), expression=along)
        return exp.case().when(self._is_zero(self.sxx), exp.Null()).else_(value)

    def _r2(self) -> exp.Expr:
        squared = exp.Mul(this=self.sxy.copy(), expression=self.sxy.copy())
        both = exp.paren(exp.Mul(this=self.sxx.copy(), expression=self.syy.copy()))
        value = _divided(exp.paren(squared), both)
        one = _double(_number(1))
        case = exp.case().when(self._is_zero(self.sxx), exp.Null()).when(self._is_zero(self.syy), one)
        return case.else_(value)


_BY_STATE: dict[State, Callable[[_Maker], CutAggregate]] = {
    State.COUNT: _count,
    State.SUM: _sum_state,
    State.AVG: _avg,
    State.EXTREME: _same,
    State.ARG_EXTREME: _arg_extreme,
    State.LOGICAL: _same,
    State.BITWISE: _same,
    State.MOMENTS: _moments,
    State.COMOMENTS: _comoments,
    State.PRODUCT: _product,
}
