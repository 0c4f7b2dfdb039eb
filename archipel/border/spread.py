"""How what persons add to a number is spread over them, in SQL: dominance, the same value for all but a few, rarities.

Whatever a person's rows are, they count together: within a group every person has one contribution to a sum, the sum
of the absolute values that it adds, so that copies, weights and unions of rows change nothing. Looking at it exactly
needs a grouping by (group, person), which takes twenty times as long as the statement. So the first reading has bounds:

- Sums of the contributions by a hash of the person, in ``BUCKETS`` buckets. Two persons together have no more than the
  two largest buckets, and what is left without two persons is no less than all without these two buckets.
- 64 bits that persons with a value other than zero set by their hash. For computed values they are in three parts:
  persons with a value of zero, with one of an even hash, and with one of an odd hash. Where two of the parts show
  enough persons, no single value is that of nearly all.

Groups for which the bounds do not settle it are looked at exactly, in the second reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from archipel import schema
from archipel.border.building import alias, call, column, double, every, filtered, known, number, or_zero, paren
from archipel.border.relations import Carrier

BUCKETS = 4
"""With two persons of 90 % in question, four buckets settle all but small or truly dominated groups; each bucket costs
about 3 ms of 1M rows."""

PART = 21
"""Bits of each part of 64."""


class Kind(Enum):
    """What is asked of a value."""

    PLAIN = "plain"
    """A column that is added up: nobody may dominate, and those with a value other than zero are none or enough."""
    COMPUTED = "computed"
    """A computed value that is added up. Moreover, where nearly all have one value, the others are none or enough."""
    OPERAND = "operand"
    """What a value is computed from, by arithmetic: as before, but nobody can dominate it."""
    STEP = "step"
    """What a value is computed from, by a function: whichever value one looks at, those without are none or enough."""
    DISTINCT = "distinct"
    """Its distinct values are counted: persons with a value that fewer than the threshold share are none or enough."""

    @property
    def adds(self) -> bool:
        """Whether it is added up."""
        return self in (Kind.PLAIN, Kind.COMPUTED)


@dataclass(frozen=True, slots=True)
class Limits:
    """The strictest limits of the tables of a statement."""

    min_persons: int
    dominance: schema.Dominance

    @staticmethod
    def of(tables: Sequence[schema.Table], min_persons: int) -> Limits:
        """Return what all policies demand together."""
        each = [table.policy.dominance for table in tables]
        return Limits(
            min_persons,
            schema.Dominance(
                top=max(d.top for d in each),
                share=min(d.share for d in each),
                p_percent=max(d.p_percent for d in each),
                min_degrees=max(d.min_degrees for d in each),
            ),
        )

    @property
    def named(self) -> int:
        """How many of the largest contributions must be known one by one."""
        return max(self.dominance.top, 2)


@dataclass(frozen=True, slots=True)
class Spread:
    """A value of rows whose spread over a carrier's persons is looked at; NULL where a row has no part in it."""

    carrier: Carrier
    value: exp.Expr
    kind: Kind

    @property
    def shown(self) -> exp.Expr:
        """The value where the row belongs to a known person, NULL elsewhere.

        Rows of nobody could be anybody's, made up even: they neither dominate nor hide who does.
        """
        parts = [self.carrier.marker] if self.carrier.optional else []
        some = every([*parts, known(self.carrier.person)])
        return exp.Case(ifs=[exp.If(this=some, true=self.value.copy())])

    # The first reading: bounds

    @property
    def bounded(self) -> bool:
        """Whether there are bounds: not for lists of persons, nor for numbers of distinct values."""
        return not self.carrier.listed and self.kind is not Kind.DISTINCT

    def bounds(self, name: str) -> list[exp.Expr]:
        """Return the aggregates of the first reading, their names beginning with ``name``."""
        shown, person = self.shown, self.carrier.person
        bit = _bit_of_some(shown, person) if self.kind is Kind.PLAIN else _bit_of_part(shown, person)
        found = [alias(call("BIT_OR", bit), f"{name}_bits")]
        if self.kind.adds:
            amount = call("ABS", double(shown))
            sums = []
            for bucket in range(BUCKETS):
                here = exp.EQ(this=_masked(person, BUCKETS - 1), expression=number(bucket))
                sums.append(call("COALESCE", filtered(exp.Sum(this=amount.copy()), here), _zero()))
            found.append(alias(call("LIST_REVERSE_SORT", call("LIST_VALUE", *sums)), f"{name}_parts"))
        return found

    def sure(self, name: str, source: str, limits: Limits) -> exp.Expr:
        """Return the condition on a group of the first reading under which its spread is surely fine."""
        bits = or_zero(column(f"{name}_bits", source))
        if self.kind is Kind.PLAIN:
            ways = [_enough(call("BIT_COUNT", bits), limits), _none(bits)]
        else:
            zero, even, odd = (_enough(_part(bits, place), limits) for place in range(3))
            ways = [every(pair) for pair in ((zero, even), (zero, odd), (even, odd))]
            ways.append(_none(_shifted(bits, PART)))
        holds: list[exp.Expr] = [exp.Paren(this=exp.or_(*ways))]
        if self.kind.adds:
            parts = column(f"{name}_parts", source)
            holds += _undominated(call("LIST_SUM", parts), parts, limits)
        return every(holds)

    # The second reading: each person

    def of_person(self, name: str) -> list[exp.Expr]:
        """Return the aggregates over one person's rows of a group, their names beginning with ``name``."""
        shown = self.shown
        found: list[exp.Expr] = [
            alias(exp.Min(this=shown.copy()), f"{name}_least"),
            alias(exp.Max(this=shown.copy()), f"{name}_most"),
        ]
        if self.kind.adds:
            amount: exp.Expr = call("ABS", double(shown))
            if self.carrier.listed:
                amount = exp.Div(this=amount, expression=call("LEN", self.carrier.person.copy()))
            found.append(alias(exp.Sum(this=amount), f"{name}_sum"))
        return found

    def like(self, name: str, source: str, keys: Sequence[str]) -> exp.Expr | None:
        """Return the number of a group's persons all of whose rows have the value that this person's all have."""
        if self.kind is Kind.PLAIN:
            return None
        ends = [column(f"{name}_{end}", source) for end in ("least", "most")]
        window = exp.Window(
            this=exp.Count(this=exp.Star()),
            partition_by=[*(column(key, source) for key in keys), *ends],
            over="OVER",
        )
        same = exp.EQ(this=ends[0].copy(), expression=ends[1].copy())
        return alias(exp.Case(ifs=[exp.If(this=same, true=window)]), f"{name}_like")

    def of_group(self, name: str, source: str, limits: Limits) -> list[exp.Expr]:
        """Return the aggregates over a group's persons."""
        ends = [column(f"{name}_{end}", source) for end in ("least", "most")]
        some = exp.or_(*(exp.NEQ(this=end, expression=number(0)) for end in ends))
        found: list[exp.Expr] = [alias(filtered(exp.Count(this=exp.Star()), some), f"{name}_some")]
        if self.kind is not Kind.PLAIN:
            found.append(alias(exp.Count(this=ends[0].copy()), f"{name}_persons"))
            found.append(alias(exp.Max(this=column(f"{name}_like", source)), f"{name}_like"))
        if self.kind.adds:
            amount = column(f"{name}_sum", source)
            found.append(alias(exp.Sum(this=amount), f"{name}_sum"))
            found.append(alias(call("MAX", amount.copy(), number(limits.named)), f"{name}_top"))
        return found

    def holds(self, name: str, source: str, limits: Limits) -> exp.Expr:
        """Return the condition on a group of the second reading under which its spread is fine."""
        some = or_zero(column(f"{name}_some", source))
        holds: list[exp.Expr] = [exp.Paren(this=exp.or_(_none(some), _enough(some, limits)))]
        if self.kind is not Kind.PLAIN:
            persons, like = or_zero(column(f"{name}_persons", source)), or_zero(column(f"{name}_like", source))
            others = exp.Paren(this=exp.Sub(this=persons, expression=like))
            ways = [_none(others), _enough(others, limits)]
            if self.kind is not Kind.STEP:
                most = exp.Mul(this=number(limits.dominance.share), expression=persons.copy())
                ways.append(exp.LTE(this=like.copy(), expression=most))
            holds.append(exp.Paren(this=exp.or_(*ways)))
        if self.kind.adds:
            total = call("COALESCE", column(f"{name}_sum", source), _zero())
            holds += _undominated(total, column(f"{name}_top", source), limits)
        return every(holds)


def rarities(spread: Spread, name: str, keys: Sequence[str], source: str, minimum: int) -> exp.Select:
    """Return the query for how many persons of a group have a value that fewer than ``minimum`` of it share.

    ``source`` has one row for each group, value (``name``_value) and person (``name``_person).
    """
    person, value = f"{name}_person", f"{name}_value"
    inner = f"{name}_shared"
    window = exp.Window(
        this=exp.Count(this=exp.Star()),
        partition_by=[column(key, source) for key in (*keys, value)],
        over="OVER",
    )
    held = exp.Select(
        expressions=[
            *(alias(column(key, source), key) for key in (*keys, person)),
            alias(window, inner),
        ],
        from_=exp.From(this=exp.Table(this=exp.to_identifier(source, quoted=True))),
    )
    few = exp.LT(this=column(inner, inner), expression=number(minimum))
    rare = filtered(exp.Count(this=exp.Distinct(expressions=[column(person, inner)])), few)
    return exp.Select(
        expressions=[*(alias(column(key, inner), key) for key in keys), alias(rare, f"{name}_rare")],
        from_=exp.From(this=exp.Subquery(this=held, alias=exp.TableAlias(this=exp.to_identifier(inner, quoted=True)))),
        group=exp.Group(expressions=[column(key, inner) for key in keys]) if keys else None,
    )


def _undominated(total: exp.Expr, largest: exp.Expr, limits: Limits) -> list[exp.Expr]:
    """Return the conditions of dominance, given a sum and the list of its parts from the largest on.

    What is not finite is refused: any single value would show in it. Nothing at all is dominated by nobody.
    """
    rules = limits.dominance
    first, second = (call("COALESCE", _at(largest, i), _zero()) for i in (1, 2))
    top = call("COALESCE", call("LIST_SUM", call("LIST_SLICE", largest.copy(), number(1), number(rules.top))), _zero())
    share = exp.LTE(this=top, expression=exp.Mul(this=number(rules.share), expression=total.copy()))
    rest = exp.Sub(this=exp.Sub(this=total.copy(), expression=first), expression=second)
    percent = exp.Mul(this=number(rules.p_percent / 100), expression=first.copy())
    return [call("ISFINITE", total.copy()), share, exp.GTE(this=rest, expression=percent)]


def _none(persons: exp.Expr) -> exp.Expr:
    return exp.EQ(this=persons.copy(), expression=number(0))


def _at(values: exp.Expr, place: int) -> exp.Expr:
    return call("LIST_EXTRACT", values.copy(), number(place))


def _zero() -> exp.Expr:
    return exp.cast(number(0), "DOUBLE", dialect="duckdb")


def _enough(persons: exp.Expr, limits: Limits) -> exp.Expr:
    return exp.GTE(this=persons.copy(), expression=number(limits.min_persons))


def _masked(value: exp.Expr, mask: int) -> exp.Expr:
    return exp.Paren(this=exp.BitwiseAnd(this=call("HASH", value.copy()), expression=number(mask)))


def _bit_of_some(shown: exp.Expr, person: exp.Expr) -> exp.Expr:
    """Return the bit of the person that a row with a value other than zero sets."""
    some = exp.NEQ(this=shown.copy(), expression=number(0))
    return exp.Case(ifs=[exp.If(this=some, true=_one_at(_masked(person, 63)))])


def _bit_of_part(shown: exp.Expr, person: exp.Expr) -> exp.Expr:
    """Return the bit that a row sets: by its person within the part of its value."""
    zero = exp.EQ(this=shown.copy(), expression=number(0))
    odd = exp.Add(this=number(PART), expression=exp.Mul(this=_masked(shown, 1), expression=number(PART)))
    part = exp.Case(
        ifs=[
            exp.If(this=shown.copy().is_(exp.null()), true=exp.null()),
            exp.If(this=zero, true=number(0)),
        ],
        default=odd,
    )
    place = exp.Add(
        this=exp.Paren(this=exp.Mod(this=call("HASH", person.copy()), expression=number(PART))), expression=paren(part)
    )
    return _one_at(exp.Paren(this=place))


def _one_at(place: exp.Expr) -> exp.Expr:
    return exp.BitwiseLeftShift(this=exp.cast(number(1), "UBIGINT", dialect="duckdb"), expression=place)


def _shifted(bits: exp.Expr, by: int) -> exp.Expr:
    return exp.Paren(this=exp.BitwiseRightShift(this=bits.copy(), expression=number(by)))


def _part(bits: exp.Expr, number_of: int) -> exp.Expr:
    """Return how many bits of a part are set."""
    of_part = exp.BitwiseAnd(this=_shifted(bits, number_of * PART), expression=number(2**PART - 1))
    return call("BIT_COUNT", exp.Paren(this=of_part))
