"""Medians and quantiles of protected values: cells from the nodes, and the interval in which each quantile lies.

SELECT kind, median(cost) AS m FROM stays GROUP BY kind
node    SELECT kind AS g0, archipel_histogram(cost) AS p0h FROM stays GROUP BY kind
merge   each row of each cell at its lower end, in order: the k-th is p0l; at its upper end: p0u
above   SELECT g0 AS kind, p0l + (p0u - p0l) / 2 AS m FROM x2

What is counted are *units*: whole numbers and dates as they are, decimals as multiples of their smallest, so that a
cell in which there is one of them is that value exactly. Ends are interpolated as the engine interpolates values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import sqlglot
from sqlglot import exp

from archipel import errors, histograms
from coordinator.plan import Interval
from coordinator.planner import aggregation, rewrite
from coordinator.planner.formula import CutAggregate, column, distinct_of, filter_of, number
from coordinator.planner.positions import position_of

NOTE = (
    "Medians and quantiles of protected values are worked out from counts of rows in cells that each hold enough "
    "persons: a result is the value itself where a cell holds one, and otherwise the middle of the interval in which "
    "the value lies, whose ends quantile_lower(x, p) and quantile_upper(x, p) give."
)

_CONTINUOUS = frozenset(("median", "quantile_cont", histograms.LOWER, histograms.UPPER))
_DISCRETE = frozenset(("quantile_disc", "quantile", "approx_quantile"))

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)")
_TIMESTAMPS = frozenset(("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"))
_MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for: quantiles of a value, of the rows where a condition holds."""

    function: str
    value: exp.Expr
    quantiles: tuple[exp.Expr, ...]
    several: bool
    """Whether the quantiles stand in a list, and so do the results."""

    @property
    def continuous(self) -> bool:
        """Whether values are interpolated."""
        return self.function in _CONTINUOUS


@dataclass(frozen=True, slots=True)
class Quantile:
    """One quantile of a cut: how its columns are called and how its ends are worked out."""

    cells: str
    """The nodes' column that it is read from."""
    prefix: str
    asked: Asked
    quantile: exp.Expr
    units: Units

    @property
    def columns(self) -> tuple[str, str, str]:
        """The merged columns: how many values there are, the lower and the upper end of the interval."""
        return f"{self.prefix}t", f"{self.prefix}l", f"{self.prefix}u"


@dataclass(frozen=True, slots=True)
class Units:
    """How values of a type are counted, and turned back."""

    kind: str
    scale: int = 0

    @property
    def whole(self) -> bool:
        """Whether there is nothing between one unit and the next."""
        return self.kind != "double"

    def of(self, value: exp.Expr) -> exp.Expr:
        """Return the value in units."""
        if self.kind == "decimal":
            return exp.func("round", exp.Mul(this=_double(value), expression=number(10**self.scale)), dialect="duckdb")
        if self.kind == "date":
            return exp.func("date_diff", exp.Literal.string("day"), _first_day(), value, dialect="duckdb")
        if self.kind == "timestamp":
            return exp.func("epoch_us", value, dialect="duckdb")
        return value

    def factor(self, asked: Asked) -> int:
        """Return by what ends are multiplied before they are interpolated: between days there are times."""
        return _MICROSECONDS_A_DAY if self.kind == "date" and asked.continuous else 1

    def back(self, found: exp.Expr, asked: Asked, result_type: str) -> exp.Expr:
        """Return units, of which there may be halves, as a value of the result's type."""
        if self.kind in ("double", "whole") and asked.continuous:
            return exp.cast(found, result_type, dialect="duckdb")
        if self.kind == "decimal":
            ratio = exp.Div(this=exp.paren(found), expression=_double(number(10**self.scale)), typed=False, safe=False)
            return exp.TryCast(this=ratio, to=exp.DataType.build(result_type, dialect="duckdb"), safe=True)
        least = exp.func("floor", found, dialect="duckdb")
        if self.kind == "date" and not asked.continuous:
            return exp.cast(
                exp.Add(this=_first_day(), expression=_tried(least, "INTEGER")),
                result_type,
                dialect="duckdb",
            )
        if self.kind in ("date", "timestamp"):
            made = exp.func("make_timestamp", _tried(least, "BIGINT"), dialect="duckdb")
            return exp.cast(made, result_type, dialect="duckdb")
        shown = least if self.whole else found
        return exp.TryCast(this=shown, to=exp.DataType.build(result_type, dialect="duckdb"), safe=True)


def normalised(select: exp.Select) -> exp.Select:
    """Return the SELECT with its ordered-set quantiles as plain calls: the value first, then the quantile."""
    if select.find(exp.WithinGroup) is None:
        return select

    def change(node: exp.Expr) -> exp.Expr | None:
        if not isinstance(node, exp.WithinGroup) or not isinstance(node.this, exp.PercentileCont | exp.PercentileDisc):
            return None
        ordered = node.expression.expressions
        if len(ordered) != 1 or ordered[0].args.get("desc"):
            return None
        return type(node.this)(this=ordered[0].this.copy(), expression=node.this.this.copy())

    copied = select.copy()
    for key in ("expressions", "having", "qualify", "order"):
        parts = copied.args.get(key)
        if isinstance(parts, list):
            copied.set(key, [rewrite.replace_below(part, change) for part in parts])
        elif isinstance(parts, exp.Expr):
            rewrite.replace_below(parts, change)
    return copied


def asked(call: exp.Expr) -> Asked | None:
    """Return what a call asks for; None where it is no quantile of one value that cells can answer."""
    name = aggregation.name_of(call)
    if name not in _CONTINUOUS | _DISCRETE or distinct_of(call) is not None:
        return None
    inner = aggregation.bare(call)
    wrapped = any(isinstance(node, exp.WithinGroup | exp.Order) for node in call.walk())
    given = inner.expressions if isinstance(inner, exp.Anonymous) else list(inner.iter_expressions())
    if wrapped or not given or len(given) != (1 if name == "median" else 2):
        return None
    several = len(given) > 1 and isinstance(given[1], exp.Array)
    listed = [exp.Literal.number("0.5")] if name == "median" else given[1].expressions if several else [given[1]]
    quantiles = [one.unnest() for one in listed]
    if not all(isinstance(q, exp.Literal) and not q.is_string and 0 <= float(q.this) <= 1 for q in quantiles):
        return None
    condition = filter_of(call)
    value = given[0].copy()
    if condition is not None:
        value = exp.case().when(condition.copy(), value)
    return Asked(name, value, tuple(quantiles), several)


def units_of(kind: str) -> Units | None:
    """Return how values of a type are counted; None where they are not numbers, dates or times."""
    found = _DECIMAL.fullmatch(kind)
    if found is not None:
        return Units("decimal", int(found[1]))
    if kind in ("DOUBLE", "FLOAT", "REAL"):
        return Units("double")
    if _WHOLE.fullmatch(kind):
        return Units("whole")
    return Units("date") if kind == "DATE" else Units("timestamp") if kind in _TIMESTAMPS else None


def key_of(call: exp.Expr) -> tuple[object, ...] | None:
    """Return what tells whether two calls read the same cells."""
    found = asked(call)
    return ("histogram", found.value.sql("duckdb")) if found is not None else None


def cut(
    call: exp.Expr, wanted: Asked, prefix: str, state_prefix: str, kind: str, result_type: str
) -> tuple[CutAggregate, tuple[Quantile, ...]]:
    """Return the cut of a call, and the quantiles that the merge has to find. ``kind`` is the type of its value."""
    units = units_of(kind)
    if units is None:
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            f"{wanted.function}(...) of a protected value of type {kind} cannot be worked out from counts.",
            hint="Ask for it of a number, a date or a time, or count the values.",
            position=position_of(call),
        )
    cells = f"{state_prefix}h"
    value = exp.Anonymous(this=histograms.FUNCTION, expressions=[units.of(wanted.value.copy())])
    found = tuple(Quantile(cells, f"{prefix}{_letter(i)}", wanted, q, units) for i, q in enumerate(wanted.quantiles))
    each = result_type.removesuffix("[]") if wanted.several else result_type
    results = [units.back(_shown(one), wanted, each) for one in found]
    final: exp.Expr = exp.Array(expressions=results) if wanted.several else results[0]
    count = (f"{state_prefix}k", exp.Count(this=column(cells)))
    return CutAggregate(((cells, value),), (count,), (), (), exp.cast(final, result_type, dialect="duckdb")), found


def _letter(index: int) -> str:
    return "q" if index == 0 else f"q{index}"


def _shown(one: Quantile) -> exp.Expr:
    """Return the lower end, the upper end, or the middle: of an interval without one end, the other end."""
    lower, upper = column(f"{one.prefix}l"), column(f"{one.prefix}u")
    if one.asked.function in (histograms.LOWER, histograms.UPPER):
        return lower if one.asked.function == histograms.LOWER else upper
    half = exp.Div(this=exp.paren(exp.Sub(this=upper, expression=lower)), expression=_double(number(2)), typed=False)
    middle = exp.Add(this=lower.copy(), expression=half)
    same = exp.EQ(this=lower.copy(), expression=upper.copy())
    return exp.func(
        "coalesce", exp.case().when(same, lower.copy()).else_(middle), lower.copy(), upper.copy(), dialect="duckdb"
    )


def intervals(source: str, cuts: Sequence[tuple[exp.Expr, Sequence[Quantile]]]) -> Iterator[Interval]:
    """Yield which columns of the merged exchange ``source`` hold the intervals of which results."""
    for call, quantiles in cuts:
        for one in quantiles:
            if one.asked.function in (histograms.LOWER, histograms.UPPER):
                continue
            names = ", ".join(dict.fromkeys(found.name for found in call.find_all(exp.Column)))
            of = "" if one.asked.function == "median" else f", {one.quantile.this}"
            kind = one.units.kind
            if kind == "date" and one.asked.continuous:
                kind = "timestamp"
            yield Interval(
                f"{one.asked.function}({names}{of})",
                source,
                *one.columns,
                kind=kind,
                scale=one.units.scale,
            )


def merged(folded: exp.Select, source: str, keys: Sequence[str], quantiles: Sequence[Quantile]) -> exp.Select:
    """Return the merge of all partials, ``folded``, with total, lower and upper end of each quantile beside them.

    ``source`` is what nodes delivered: cells of all nodes are put in order together.
    """
    groups = folded.subquery("f", copy=False)
    outputs: list[exp.Expr] = [
        rewrite.aliased(rewrite.column("f", name.alias_or_name), name.alias_or_name) for name in folded.selects
    ]
    joins = []
    by_cells: dict[str, list[Quantile]] = {}
    for one in quantiles:
        by_cells.setdefault(one.cells, []).append(one)
    for i, (cells, found) in enumerate(by_cells.items()):
        side = _side(cells, source, keys, found)
        name = f"q{i}"
        outputs += [
            rewrite.aliased(rewrite.column(name, n.alias_or_name), n.alias_or_name) for n in side.selects[len(keys) :]
        ]
        same = [exp.NullSafeEQ(this=rewrite.column("f", k), expression=rewrite.column(name, k)) for k in keys]
        joins.append(
            exp.Join(
                this=side.subquery(rewrite.quoted(name), copy=False),
                side="LEFT",
                on=exp.and_(*same) if same else exp.true(),
            )
        )
    tree = exp.select(*outputs)
    tree.set("from_", exp.From(this=groups))
    tree.set("joins", joins)
    return tree


# The cells of all nodes as rows, in the order of their ends; n before and up to each of them; and the rows that hold
# the ranks that are asked for. An end that is open is -infinity below; above it is NaN, the last of all numbers.

_NUMBERED = """
SELECT _keys, s._cells AS h, unnest(range(0, len(s._cells) // 2)) AS i FROM _source AS s WHERE s._cells IS NOT NULL
"""
_CELLS = """
SELECT _keys, c.h[2 * c.i + 1] AS lo, CAST(c.h[2 * c.i + 2] AS BIGINT) AS n,
       CASE WHEN isnan(c.h[2 * c.i + 1]) OR 2 * c.i + 2 = len(c.h) THEN CAST('nan' AS DOUBLE)
            WHEN isnan(c.h[2 * c.i + 3]) THEN CAST('infinity' AS DOUBLE)
            ELSE c.h[2 * c.i + 3] END AS hi
FROM _numbered AS c
"""
_WHOLE_CELLS = """
SELECT _keys, c.n AS n,
       CASE WHEN abs(c.lo) < 9007199254740992 THEN ceil(c.lo) ELSE c.lo - abs(c.lo) / 4503599627370496 END AS lo,
       CASE WHEN abs(c.hi) < 9007199254740992 THEN ceil(c.hi) - 1 ELSE c.hi + abs(c.hi) / 4503599627370496 END AS hi
FROM _inner AS c
"""
"""Between two whole numbers there is none; beyond 2^53 not every one has a double of its own."""
_RANKED = """
SELECT _keys, c.lo AS lo, c.hi AS hi, c.n AS n,
       CAST(sum(c.n) OVER (ORDER BY c.lo ROWS UNBOUNDED PRECEDING) AS BIGINT) AS up_to_lo,
       CAST(sum(c.n) OVER (ORDER BY c.hi ROWS UNBOUNDED PRECEDING) AS BIGINT) AS up_to_hi,
       CAST(sum(c.n) OVER () AS BIGINT) AS total
FROM _inner AS c
"""


def _side(cells: str, source: str, keys: Sequence[str], quantiles: Sequence[Quantile]) -> exp.Select:
    own = [rewrite.aliased(rewrite.column("c", key), key) for key in keys]
    first = [rewrite.aliased(rewrite.column("s", key), key) for key in keys]
    numbered = _filled(_NUMBERED, {"keys": first}, {"source": rewrite.table(source, "s")}, {"_cells": cells})
    rows = _filled(_CELLS, {"keys": own}, {"numbered": numbered})
    if quantiles[0].units.whole:
        rows = _filled(_WHOLE_CELLS, {"keys": own}, {"inner": rows})
    by = [rewrite.column("c", key) for key in keys]
    ranked = _filled(_RANKED, {"keys": own}, {"inner": rows}, by=by)
    ends = exp.select(*(rewrite.aliased(rewrite.column("r", key), key) for key in keys))
    between = exp.select(*(rewrite.aliased(rewrite.column("e", key), key) for key in keys))
    found = exp.select(*(rewrite.aliased(rewrite.column("b", key), key) for key in keys))
    for one in quantiles:
        for made, outputs in ((ends, _ends_of(one)), (between, _interpolated(one)), (found, _interval_of(one))):
            for name, value in outputs:
                made.select(rewrite.aliased(value, f"{one.prefix}{name}"), copy=False)
    ends.set("from_", exp.From(this=ranked.subquery("r", copy=False)))
    if keys:
        ends.set("group", exp.Group(expressions=[rewrite.column("r", key) for key in keys]))
    between.set("from_", exp.From(this=ends.subquery("e", copy=False)))
    found.set("from_", exp.From(this=between.subquery("b", copy=False)))
    return found


def _ends_of(one: Quantile) -> Iterator[tuple[str, exp.Expr]]:
    """Yield the ends of the cells of the one or two ranks that a quantile asks for; the share of the second; the total.

    Ranks are those of the engine: of n values the continuous quantile lies at (n - 1) p, the discrete one is the
    ceil(n p)-th.
    """
    total = rewrite.column("r", "total")
    first: exp.Expr
    second: exp.Expr
    if one.asked.continuous:
        at = exp.paren(exp.Mul(this=_double(exp.paren(total - number(1))), expression=_double(one.quantile.copy())))
        first, second = (exp.func(name, at.copy(), dialect="duckdb") for name in ("floor", "ceil"))
        yield "d", exp.Max(this=exp.paren(exp.Sub(this=at.copy(), expression=first.copy())))
    else:
        place = exp.func("ceil", exp.Mul(this=total.copy(), expression=one.quantile.copy()), dialect="duckdb")
        first = exp.paren(exp.func("greatest", number(1), place, dialect="duckdb") - number(1))
        second = first
        yield "d", exp.Max(this=_double(number(0)))
    for end in ("lo", "hi"):
        up_to = rewrite.column("r", f"up_to_{end}")
        for name, rank in (("1", first), ("2", second)):
            before = exp.paren(exp.Sub(this=up_to.copy(), expression=rewrite.column("r", "n")))
            holds = exp.and_(
                exp.LTE(this=before, expression=rank.copy()), exp.LT(this=rank.copy(), expression=up_to.copy())
            )
            value = exp.Max(this=rewrite.column("r", end))
            yield f"{end}{name}", exp.Filter(this=value, expression=exp.Where(this=holds))
    yield "n", exp.Max(this=total.copy())


def _interpolated(one: Quantile) -> Iterator[tuple[str, exp.Expr]]:
    """Yield the total, and what is between the ends of the two ranks, computed as the engine does with values."""
    share, factor = rewrite.column("e", f"{one.prefix}d"), one.units.factor(one.asked)
    yield "n", rewrite.column("e", f"{one.prefix}n")
    for end in ("lo", "hi"):
        first, second = (_times(rewrite.column("e", f"{one.prefix}{end}{i}"), factor) for i in (1, 2))
        if one.units.kind in ("whole", "double"):
            rest = exp.paren(exp.Sub(this=_double(number(1)), expression=share.copy()))
            parts = exp.Mul(this=first.copy(), expression=rest), exp.Mul(this=second, expression=share.copy())
            between: exp.Expr = exp.Add(this=parts[0], expression=parts[1])
        else:  # the engine computes with whole numbers: it cuts off decimals, and rounds times
            step = exp.Mul(this=exp.paren(exp.Sub(this=second, expression=first.copy())), expression=share.copy())
            rounding = "trunc" if one.units.kind == "decimal" else "round"
            between = exp.Add(this=first.copy(), expression=exp.func(rounding, step, dialect="duckdb"))
        same = exp.EQ(this=first.copy(), expression=second.copy())
        none = exp.or_(exp.EQ(this=share.copy(), expression=number(0)), same)
        yield end, exp.case().when(none, first).else_(between)


def _interval_of(one: Quantile) -> Iterator[tuple[str, exp.Expr]]:
    """Yield the total, and the ends of the interval; an open end is NULL, and an interval of NaN alone has two."""
    lower, upper = rewrite.column("b", f"{one.prefix}lo"), rewrite.column("b", f"{one.prefix}hi")
    yield "t", rewrite.column("b", f"{one.prefix}n")
    yield "l", exp.case().when(exp.NEQ(this=lower, expression=_special("-infinity")), lower.copy())
    finite = exp.func("isfinite", upper.copy(), dialect="duckdb")
    yield "u", exp.case().when(exp.or_(finite, exp.IsNan(this=lower.copy())), upper)


def _times(value: exp.Expr, factor: int) -> exp.Expr:
    return value if factor == 1 else exp.paren(exp.Mul(this=value, expression=_double(number(factor))))


def _special(name: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(name), "DOUBLE", dialect="duckdb")


def _double(value: exp.Expr) -> exp.Expr:
    return exp.cast(value, "DOUBLE", dialect="duckdb")


def _tried(value: exp.Expr, type_name: str) -> exp.Expr:
    """Return the value as a whole number, NULL for an end that is open."""
    return exp.TryCast(this=value, to=exp.DataType.build(type_name, dialect="duckdb"), safe=True)


def _first_day() -> exp.Expr:
    return exp.cast(exp.Literal.string("1970-01-01"), "DATE", dialect="duckdb")


def _filled(
    template: str,
    lists: Mapping[str, Sequence[exp.Expr]],
    sources: Mapping[str, exp.Query | exp.Table],
    names: Mapping[str, str] | None = None,
    by: Sequence[exp.Expr] | None = None,
) -> exp.Select:
    """Return a template's tree: a table ``_x`` is a source or query, a column ``_keys`` a list; windows are ``by``."""
    tree = _parsed(template).copy()
    for found in list(tree.find_all(exp.Table)):
        source = sources.get(found.name.removeprefix("_"))
        if source is not None:
            made = source if isinstance(source, exp.Table) else source.subquery(found.alias, copy=False)
            found.replace(made)
    for identifier in list(tree.find_all(exp.Identifier)):
        if names and identifier.name in names:
            identifier.replace(rewrite.quoted(names[identifier.name]))
    for window in list(tree.find_all(exp.Window)):
        if window.args.get("partition_by") or by is None:
            continue
        window.set("partition_by", [key.copy() for key in by])
    outputs: list[exp.Expr] = []
    for projection in tree.expressions:
        place = projection.name.removeprefix("_") if isinstance(projection, exp.Column) else ""
        outputs += lists.get(place, [projection])
    tree.set("expressions", outputs)
    return tree


@cache
def _parsed(template: str) -> exp.Select:
    found = sqlglot.parse_one(template, read="duckdb")
    assert isinstance(found, exp.Select)
    return found
