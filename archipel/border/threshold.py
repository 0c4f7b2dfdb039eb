"""The rewriting that holds the thresholds inside the SQL: groups, their persons, and only those that pass.

The groups are computed once. A group that surely passes (see ``Count.at_least`` and ``Spread.sure``) is not looked at
exactly; the rows of the others are read a second time. The second reading sees the same rows: what depends on the
order in which the engine works is materialised before, or all that is needed of the rows is (``readings``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from archipel.border import readings, refusal, syntax
from archipel.border.building import alias, call, column, cte, derived, every, filtered, from_, number, or_zero, table
from archipel.border.persons import Count
from archipel.border.refusal import refused
from archipel.border.spread import Kind, Limits, Spread, rarities

SURE = 32
"""Bits of 64 that make a group sure. Larger thresholds than this are always counted exactly, and so is a group of fewer
than about 45 persons: what the audit log says of small groups is the exact number."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names that the rewriting adds: a beginning that no other name has, and the two leading columns."""

    prefix: str
    persons: str
    withheld: str


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Rows that make their group need more persons: the condition, and how many."""

    condition: exp.Expr
    min_persons: int


@dataclass(frozen=True, slots=True)
class Demands:
    """What a group must pass to be released, and to multiples of what the outputs named in ``rounded`` are rounded."""

    counts: tuple[Count, ...]
    spreads: tuple[Spread, ...]
    sensitive: tuple[Sensitive, ...]
    limits: Limits
    rounding: int = 0
    rounded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """The rewritten statement; for one of several groupings its columns that do not leave, which the node needs."""

    statement: exp.Select
    grouping: str = ""
    keys: tuple[str, ...] = ()
    rows: str = ""


def held(select: exp.Select, demands: Demands, names: Names) -> Held:
    """Return the statement whose rows are the released groups, each with the number of those withheld.

    When no group is released one row remains, with NULL for its persons. A statement of several groupings gives the
    withheld groups, too, all with NULL for their persons, for the node to see what its totals give away.
    """
    outputs = [projection.alias_or_name for projection in select.expressions]
    if len({name.lower() for name in outputs}) < len(outputs):
        raise refused(refusal.CONSTRUCT, select, "two outputs of one name")
    clause = select.args.get("with_")
    select.set("with_", None)
    ctes = list(clause.expressions) if clause is not None else []
    if readings.may_be_read_twice(select, readings.listed(demands.counts)):
        readings.materialise(select, ctes, names.prefix)
    elif demands.spreads or any(_is_quick(count, demands.sensitive) for count in demands.counts):
        kept = readings.Kept(select, names.prefix)
        demands = Demands(
            tuple(map(kept.count, demands.counts)),
            tuple(map(kept.spread, demands.spreads)),
            tuple(Sensitive(kept.value(s.condition), s.min_persons) for s in demands.sensitive),
            demands.limits,
            demands.rounding,
            demands.rounded,
        )
        ctes.append(kept.cte())
    rewriting = _Rewriting(select, demands, names, outputs)
    ctes += rewriting.ctes()
    return Held(
        _released(ctes, names, outputs, rewriting.lattice, demands),
        *((rewriting.lattice[-2], tuple(rewriting.lattice[:-2]), rewriting.lattice[-1]) if rewriting.lattice else ()),
    )


class _Rewriting:
    """The parts of WITH that compute the groups, look at the doubtful ones again, and rate them all."""

    def __init__(self, select: exp.Select, demands: Demands, names: Names, outputs: list[str]) -> None:
        self._select = select
        self._demands = demands
        self._outputs = outputs
        self._names = names
        prefix = names.prefix
        self._prefix = prefix
        self._groups = f"{prefix}groups"
        group = select.args.get("group")
        self._group = group
        self._keys = readings.group_keys(select)
        self._key_names = [f"{prefix}key_{number_of}" for number_of in range(len(self._keys))]
        self._several = group is not None and syntax.has_grouping_sets(group)
        self._set_names = [f"{prefix}set"] if self._several else []
        self.lattice = [*self._key_names, *self._set_names, f"{prefix}rows"] if self._several else []
        """Columns that tell which part of which total a group is, where there are totals; the last is its rows."""
        self._finest = not self._several or (group is not None and syntax.has_finest_set(group))

    @property
    def _ids(self) -> list[str]:
        """Columns that tell one group from another."""
        return self._key_names + self._set_names

    def ctes(self) -> list[exp.CTE]:
        first, second = self._select, self._select.copy()
        second.set("expressions", [])
        for reading in (first, second):
            self._identify(reading)
        for name in self.lattice[-1:]:
            first.append("expressions", alias(exp.Count(this=exp.Star()), name))
        found: list[exp.CTE] = []
        joined: list[str] = []
        numbers = self._counted(first, second)
        fine = self._spread_out(first)
        found.append(cte(self._groups, first))
        if any(judged.at_least is not None for judged in numbers):
            exact = f"{self._prefix}exact"
            doubts = [judged.doubt() for judged in numbers if judged.at_least is not None]
            found.append(cte(exact, self._of_doubtful(second, doubts, f"{self._prefix}doubtful", nested=True)))
            joined.append(exact)
        found_again, fine_again = self._looked_at(second, joined)
        found += found_again
        holds = [judged.holds() for judged in numbers]
        for spread, again in zip(fine, fine_again, strict=True):
            holds.append(exp.Paren(this=exp.or_(spread, again)) if spread is not None else again)
        rating = exp.Select(
            expressions=[
                *(alias(column(name, self._groups), name) for name in (*self._outputs, *self.lattice)),
                alias(_persons(numbers, holds), self._names.persons),
            ],
            from_=from_(self._groups),
            joins=[exp.Join(this=table(name), side="LEFT", on=self._together(name)) for name in joined],
        )
        found.append(cte(f"{self._prefix}rated", rating))
        return found

    def _identify(self, reading: exp.Select) -> None:
        for key, name in zip(self._keys, self._key_names, strict=True):
            reading.append("expressions", alias(key.copy(), name))
        for name in self._set_names:
            reading.append("expressions", alias(exp.GroupingId(expressions=[k.copy() for k in self._keys]), name))

    def _together(self, other: str) -> exp.Expr:
        same = [exp.NullSafeEQ(this=column(name, self._groups), expression=column(name, other)) for name in self._ids]
        return exp.and_(*same, exp.true())

    # Counts

    def _counted(self, first: exp.Select, second: exp.Select) -> list[_Judged]:
        """Have both readings count, and return what is then known of each count."""
        needs = []
        for number_of, sensitive in enumerate(self._demands.sensitive):
            name = f"{self._prefix}sensitive_{number_of}"
            first.append("expressions", alias(call("BOOL_OR", sensitive.condition.copy()), name))
            needs.append((column(name, self._groups), sensitive.min_persons))
        numbers = []
        for number_of, count in enumerate(self._demands.counts):
            rows, bits, n = (f"{self._prefix}{part}_{number_of}" for part in ("rows", "least", "exact"))
            quick = _is_quick(count, self._demands.sensitive)
            first.append("expressions", alias(count.at_least() if quick else count.exact(), bits if quick else n))
            if quick:
                second.append("expressions", alias(count.exact(), n))
            none = None
            if count.where is not None:
                first.append("expressions", alias(count.rows(), rows))
                none = column(rows, self._groups)
            exact = column(n, f"{self._prefix}exact" if quick else self._groups)
            at_least = column(bits, self._groups) if quick else None
            numbers.append(_Judged(exact, at_least, none, _need(count.minimum, needs)))
        return numbers

    # Spreads

    def _spread_out(self, first: exp.Select) -> list[exp.Expr | None]:
        """Have the first reading compute bounds; return for each spread when these suffice."""
        found: list[exp.Expr | None] = []
        for number_of, spread in enumerate(self._demands.spreads):
            name = self._spread(number_of)
            if not spread.bounded:
                found.append(None)
                continue
            for bound in spread.bounds(name):
                first.append("expressions", bound)
            found.append(spread.sure(name, self._groups, self._demands.limits))
        return found

    def _spread(self, number_of: int) -> str:
        return f"{self._prefix}spread_{number_of}"

    def _looked_at(self, counted: exp.Select, joined: list[str]) -> tuple[list[exp.CTE], list[exp.Expr]]:
        """Return the parts that look at each person of doubtful groups, and for each spread when it is fine."""
        limits = self._demands.limits
        spreads = list(enumerate(self._demands.spreads))
        found: list[exp.CTE] = []
        fine: dict[int, exp.Expr] = {}
        by_carrier: dict[int, list[tuple[int, Spread]]] = {}
        for number_of, spread in spreads:
            if spread.kind is Kind.DISTINCT:
                name = self._spread(number_of)
                found += self._shared(spread, name)
                joined.append(name)
                rare = or_zero(column(f"{name}_rare", name))
                enough = exp.GTE(this=rare.copy(), expression=number(limits.min_persons))
                fine[number_of] = exp.Paren(this=exp.or_(exp.EQ(this=rare, expression=number(0)), enough))
            else:
                by_carrier.setdefault(id(spread.carrier), []).append((number_of, spread))
        for place, group in enumerate(by_carrier.values()):
            name = f"{self._prefix}spread_of_{place}"
            found += self._each_person(group, place, name)
            joined.append(name)
            for number_of, spread in group:
                fine[number_of] = spread.holds(self._spread(number_of), name, limits)
        return found, [fine[number_of] for number_of, _ in spreads]

    def _each_person(self, spreads: list[tuple[int, Spread]], place: int, name: str) -> list[exp.CTE]:
        """Return the parts that give one row for each person of a doubtful group, and what of them makes the group."""
        limits, ids = self._demands.limits, self._ids
        each, alike, person = (f"{self._prefix}{part}_{place}" for part in ("each", "alike", "person"))
        reading, someone = self._reading_by_person(spreads[0][1], f"{self._prefix}one_{place}")
        reading.append("expressions", alias(someone.copy(), person))
        for number_of, spread in spreads:
            for aggregate in spread.of_person(self._spread(number_of)):
                reading.append("expressions", aggregate)
        sure = [spread.sure(self._spread(i), self._groups, limits) for i, spread in spreads if spread.bounded]
        doubts: list[exp.Expr] = []
        if len(sure) == len(spreads):
            doubts = [exp.Not(this=exp.Paren(this=condition)) for condition in sure]
        reading = self._of_doubtful(reading, doubts, f"{self._prefix}unsure_{place}", nested=False)
        columns = [*ids, *(p.alias for p in reading.expressions if p.alias not in (*ids, person))]
        held = exp.Select(
            expressions=[
                *(alias(column(c, each), c) for c in columns),
                *(like for i, spread in spreads if (like := spread.like(self._spread(i), each, ids)) is not None),
            ],
            from_=from_(each),
            where=exp.Where(this=column(person, each).is_(exp.null()).not_()),
        )
        together = exp.Select(
            expressions=[
                *(alias(column(c, alike), c) for c in ids),
                *(a for i, spread in spreads for a in spread.of_group(self._spread(i), alike, limits)),
            ],
            from_=from_(alike),
            group=exp.Group(expressions=[column(c, alike) for c in ids]) if ids else None,
        )
        return [cte(each, reading), cte(alike, held), cte(name, together)]

    def _shared(self, spread: Spread, name: str) -> list[exp.CTE]:
        """Return the parts that count persons with rare values, in all groups."""
        values = f"{name}_values"
        reading, someone = self._reading_by_person(spread, f"{name}_one")
        reading.append("expressions", alias(someone.copy(), f"{name}_person"))
        shown = spread.shown
        # As an aggregate it is the row's value also where that is a key over which this is a total.
        reading.append("expressions", alias(exp.Min(this=shown.copy()), f"{name}_value"))
        reading.args["group"].append("expressions", shown.copy())
        source = f"{name}_known"
        some = exp.Select(
            expressions=[alias(column(p.alias, values), p.alias) for p in reading.expressions],
            from_=from_(values),
            where=exp.Where(this=column(f"{name}_value", values).is_(exp.null()).not_()),
        )
        rare = rarities(spread, name, self._ids, source, self._demands.limits.min_persons)
        return [cte(values, self._once(reading)), cte(source, some), cte(name, rare)]

    def _reading_by_person(self, spread: Spread, one: str) -> tuple[exp.Select, exp.Expr]:
        """Return a reading of the rows that groups by person, too, and the person; of lists, each of their persons."""
        reading = self._select.copy()
        reading.set("expressions", [])
        self._identify(reading)
        person = spread.carrier.person
        if spread.carrier.listed:
            readings.without_commas(reading)
            names = exp.TableAlias(
                this=exp.to_identifier(one, quoted=True), columns=[exp.to_identifier(one, quoted=True)]
            )
            reading.append("joins", exp.Join(this=exp.Unnest(expressions=[person.copy()], alias=names), kind="CROSS"))
            person = column(one, one)
        group = reading.args.get("group") or exp.Group(expressions=[])
        group.append("expressions", person.copy())
        reading.set("group", group)
        return reading, person

    def _of_doubtful(self, reading: exp.Select, doubts: list[exp.Expr], name: str, *, nested: bool) -> exp.Select:
        """Return a reading of the rows of those groups alone for which one of the ``doubts`` holds; none: of all.

        ``nested`` says that what is in doubt of a group of a coarser set is so of all its parts, which are groups of
        the finest; otherwise any doubt of some set has all rows read.
        """
        if not doubts or not self._finest:
            return self._once(reading)
        where: exp.Expr = exp.Paren(this=exp.or_(*doubts))
        key_names: list[str] = self._key_names
        if self._several and nested:
            where = exp.and_(where, exp.EQ(this=column(self._set_names[0], self._groups), expression=number(0)))
        elif self._several:
            key_names = []
        asked = exp.Select(
            expressions=[alias(column(key, self._groups), key) for key in key_names] or [alias(exp.true(), name)],
            from_=from_(self._groups),
            where=exp.Where(this=where),
        )
        matching = [
            exp.NullSafeEQ(this=key.copy(), expression=column(key_name, name))
            for key, key_name in zip(self._keys, key_names, strict=False)
        ]
        readings.without_commas(reading)
        reading.append("joins", exp.Join(this=derived(asked, name), kind="SEMI", on=exp.and_(*matching, exp.true())))
        return reading

    def _once(self, reading: exp.Select) -> exp.Select:
        """Return a reading without the repetitions that the same set, named twice, makes."""
        if self._several and not self._finest:
            reading.set("distinct", exp.Distinct())
        return reading


@dataclass(frozen=True, slots=True)
class _Judged:
    """Columns of one count: the exact number, the number it surely reaches, its rows where it may have none; its need.

    ``exact`` is NULL where the group was in no doubt.
    """

    exact: exp.Expr
    at_least: exp.Expr | None
    rows: exp.Expr | None
    need: exp.Expr

    def doubt(self) -> exp.Expr:
        """Return the condition under which the group must be counted exactly."""
        doubt: exp.Expr = exp.LT(this=self.at_least, expression=number(SURE))
        if self.rows is not None:
            doubt = exp.Paren(this=exp.and_(doubt, exp.GT(this=self.rows.copy(), expression=number(0))))
        return doubt

    def holds(self) -> exp.Expr:
        """Return the condition that there are none, where that may be, or enough."""
        ways: list[exp.Expr] = []
        if self.rows is not None:
            ways.append(exp.EQ(this=self.rows.copy(), expression=number(0)))
        if self.at_least is not None:
            ways.append(exp.GTE(this=self.at_least.copy(), expression=number(SURE)))
        ways.append(exp.GTE(this=or_zero(self.exact.copy()), expression=self.need.copy()))
        return exp.Paren(this=exp.or_(*ways))

    def number(self) -> exp.Expr:
        """Return the number of persons, or one that it surely reaches; NULL for none."""
        cases: list[exp.If] = []
        if self.rows is not None:
            cases.append(exp.If(this=exp.EQ(this=self.rows.copy(), expression=number(0)), true=exp.null()))
        if self.at_least is not None:
            sure = exp.GTE(this=self.at_least.copy(), expression=number(SURE))
            cases.append(exp.If(this=sure, true=self.at_least.copy()))
        exact = or_zero(self.exact.copy())
        return exp.Case(ifs=cases, default=exact) if cases else exact


def _is_quick(count: Count, sensitive: Sequence[Sensitive]) -> bool:
    """Whether there is a cheap bound for a count, and it can settle that there are enough persons."""
    return not count.carrier.listed and max([count.minimum, *(s.min_persons for s in sensitive)]) <= SURE


def _need(minimum: int, needs: Sequence[tuple[exp.Expr, int]]) -> exp.Expr:
    """Return how many persons a count needs, more where the group has sensitive rows."""
    larger = [(flag, least) for flag, least in needs if least > minimum]
    if not larger:
        return number(minimum)
    cases = [
        exp.Case(ifs=[exp.If(this=flag.copy(), true=number(least))], default=number(minimum)) for flag, least in larger
    ]
    return cases[0] if len(cases) == 1 else call("GREATEST", *cases)


def _persons(numbers: list[_Judged], holds: list[exp.Expr]) -> exp.Expr:
    """Return SQL for the fewest persons of a group that may be released, NULL for one that may not.

    A group in which every count has no row at all is not released either: then no number is left.
    """
    each = [judged.number() for judged in numbers]
    fewest = each[0] if len(each) == 1 else call("LEAST", *each)
    return exp.Case(ifs=[exp.If(this=every(holds), true=fewest)])


def _rounded(value: exp.Expr, base: int) -> exp.Expr:
    """Return a number rounded to the next multiple of ``base``, half of it away from 0, in the number's own type."""
    rest = exp.Paren(this=exp.Mod(this=value.copy(), expression=number(base)))
    half = exp.GTE(this=exp.Mul(this=exp.Abs(this=rest), expression=number(2)), expression=number(base))
    sign = exp.cast(exp.Sign(this=value.copy()), "TINYINT", dialect="duckdb")
    step = exp.Case(ifs=[exp.If(this=half, true=exp.Mul(this=number(base), expression=sign))], default=number(0))
    return exp.Add(this=exp.Sub(this=value.copy(), expression=rest.copy()), expression=step)


def _released(
    ctes: list[exp.CTE], names: Names, outputs: list[str], lattice: list[str], demands: Demands
) -> exp.Select:
    rated, counted, released = f"{names.prefix}rated", f"{names.prefix}counted", f"{names.prefix}released"
    small = column(names.persons, rated).is_(exp.null())
    how_many = filtered(exp.Count(this=exp.Star()), small)
    shown = [names.persons, *lattice, *outputs]
    count_select = exp.Select(expressions=[alias(how_many, names.withheld)], from_=from_(rated))
    base = demands.rounding
    values = {name: _rounded(column(name, rated), base) for name in demands.rounded if base}
    rows_select = exp.Select(
        expressions=[alias(values.get(name, column(name, rated)), name) for name in shown],
        from_=from_(rated),
        where=None if lattice else exp.Where(this=small.copy().not_()),
    )
    columns = [column(names.withheld, counted), *(column(name, released) for name in shown)]
    return exp.Select(
        with_=exp.With(expressions=ctes),
        expressions=[alias(value, value.name) for value in columns],
        from_=exp.From(this=derived(count_select, counted)),
        joins=[exp.Join(this=derived(rows_select, released), side="LEFT", on=exp.true())],
    )
