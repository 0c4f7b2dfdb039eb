"""Variances, covariances and regressions over nodes: n, means and centred sums, merged in two levels.

The many-way form of Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983): the mean of all
first, then the centred sum m2 + sum of n_i (mean_i - mean)^2. Sums of squares would give negative variances.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from coordinator.planner.formula import CutAggregate, Formula, Named, column, divided, double, number


def moments(formula: Formula) -> CutAggregate:
    """Return the cut of a variance or deviation."""
    argument = double(formula.args()[0].copy())
    n, mean, m2 = (formula.name(p) for p in ("n", "m", "q"))
    partials: tuple[Named, ...] = (
        (n, formula.partial("regr_count", argument, argument)),
        (mean, formula.partial("regr_avgx", argument, argument)),
        (m2, formula.partial("regr_sxx", argument, argument)),
    )
    folded = ((n, exp.Sum(this=column(n))), *formula.per_shard(n, mean, m2))
    centre = formula.name("u")
    means = (
        (n, double(column(n))),
        *formula.kept(n, mean, m2),
        (centre, _weighted_mean(formula, n, mean)),
    )
    total = _centred(formula, n, m2, (mean, centre), (mean, centre))
    return CutAggregate(partials, folded, means, ((n, column(n)), (m2, total)), formula.result(_moment(formula, n, m2)))


def comoments(formula: Formula) -> CutAggregate:
    """Return the cut of a covariance, a correlation or a regression."""
    y, x = (double(a.copy()) for a in formula.args())  # SQL's order: the dependent variable comes first
    parts = ("n", "mx", "my", "xx", "yy", "xy")
    names = tuple(formula.name(p) for p in parts)
    n, mean_x, mean_y, sxx, syy, sxy = names
    functions = ("regr_count", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy")
    partials = tuple((name, formula.partial(f, y, x)) for name, f in zip(names, functions, strict=True))
    folded = ((n, exp.Sum(this=column(n))), *formula.per_shard(*names))
    along_x, along_y = (mean_x, formula.name("ux")), (mean_y, formula.name("uy"))
    means = (
        (n, double(column(n))),
        *formula.kept(*names),
        (along_x[1], _weighted_mean(formula, n, mean_x)),
        (along_y[1], _weighted_mean(formula, n, mean_y)),
    )
    centred = (
        (n, column(n)),
        (mean_x, column(along_x[1])),
        (mean_y, column(along_y[1])),
        (sxx, _centred(formula, n, sxx, along_x, along_x)),
        (syy, _centred(formula, n, syy, along_y, along_y)),
        (sxy, _centred(formula, n, sxy, along_x, along_y)),
    )
    value = _Comoments(*(column(name) for name in names)).value(formula.function)
    least = 2 if formula.function == "covar_samp" else 1
    return CutAggregate(partials, folded, means, centred, formula.result(_null_below(n, least, value)))


_Centre = tuple[str, str]
"""The names of the means of the nodes, and of the mean of all."""


def _weighted_mean(formula: Formula, n: str, mean: str) -> exp.Expr:
    total = formula.total((n, mean), lambda n_i, mean_i: exp.Mul(this=double(n_i), expression=mean_i))
    return divided(exp.paren(total), double(column(n)))


def _centred(formula: Formula, n: str, sums: str, a: _Centre, b: _Centre) -> exp.Expr:
    """Return the centred sum of products over all nodes."""

    def term(n_i: exp.Expr, sum_i: exp.Expr, a_i: exp.Expr, b_i: exp.Expr) -> exp.Expr:
        away_a = exp.paren(exp.Sub(this=a_i, expression=column(a[1])))
        away_b = exp.paren(exp.Sub(this=b_i, expression=column(b[1])))
        between = exp.Mul(this=exp.Mul(this=double(n_i), expression=away_a), expression=away_b)
        return exp.Add(this=sum_i, expression=between)

    return formula.total((n, sums, a[0], b[0]), term)


def _null_below(n: str, least: int, value: exp.Expr) -> exp.Expr:
    """NULL where fewer than ``least`` values took part, and where no node had the group."""
    enough = exp.GTE(this=column(n), expression=number(least))
    return exp.case().when(enough, value).else_(exp.Null())


def _moment(formula: Formula, n: str, m2: str) -> exp.Expr:
    population = formula.function in {"var_pop", "stddev_pop"}
    less_one = exp.paren(exp.Sub(this=column(n), expression=number(1)))
    value = divided(column(m2), column(n) if population else less_one)
    if formula.function.startswith("stddev"):
        value = exp.Sqrt(this=value)
    return _null_below(n, 1 if population else 2, value)


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
        one = exp.paren(exp.Sub(this=self.n.copy(), expression=number(1)))
        slope = self._or_nan(self.sxx, divided(self.sxy.copy(), self.sxx.copy()))
        spread = exp.Mul(this=exp.Sqrt(this=self.sxx.copy()), expression=exp.Sqrt(this=self.syy.copy()))
        made: dict[str, exp.Expr] = {
            "covar_pop": divided(self.sxy.copy(), self.n.copy()),
            "covar_samp": divided(self.sxy.copy(), one),
            "corr": self._or_nan(spread, divided(self.sxy.copy(), exp.paren(spread.copy()))),
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
        return exp.EQ(this=node.copy(), expression=number(0))

    def _or_nan(self, under: exp.Expr, value: exp.Expr) -> exp.Expr:
        nan = exp.cast(exp.Literal.string("nan"), "DOUBLE", dialect="duckdb")
        return exp.case().when(self._is_zero(under), nan).else_(value)

    def _intercept(self) -> exp.Expr:
        along = exp.Mul(this=exp.paren(divided(self.sxy.copy(), self.sxx.copy())), expression=self.mean_x.copy())
        value = exp.Sub(this=self.mean_y.copy(), expression=along)
        return exp.case().when(self._is_zero(self.sxx), exp.Null()).else_(value)

    def _r2(self) -> exp.Expr:
        squared = exp.Mul(this=self.sxy.copy(), expression=self.sxy.copy())
        both = exp.paren(exp.Mul(this=self.sxx.copy(), expression=self.syy.copy()))
        value = divided(exp.paren(squared), both)
        one = double(number(1))
        case = exp.case().when(self._is_zero(self.sxx), exp.Null()).when(self._is_zero(self.syy), one)
        return case.else_(value)
