"""Counting persons in SQL: who contributes to an aggregate, lists of persons, and the counts that a group must pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from archipel import sketches
from archipel.border import syntax
from archipel.border.relations import Carrier

COUNTS = frozenset(("count", "count_star", "count_if", "regr_count"))


def contributions(unit: exp.Expr) -> list[exp.Expr]:
    """Return conditions on a row; the persons for whom one holds must be none or enough.

    A person contributes to an aggregate where its filter is true and no argument is NULL. To a sum or a moment,
    a zero adds nothing that could hide a single other value, so those with a value other than zero are counted, too:
    ``sum(CASE WHEN rare THEN 1 ELSE 0 END)`` is the same small cell as ``count(*) FILTER (WHERE rare)``.
    """
    aggregate, condition = syntax.split_filter(unit)
    name = syntax.aggregate_name(aggregate)
    parts = [condition] if condition is not None else []
    arguments = [a for a in syntax.arguments(aggregate) if not isinstance(a, exp.Literal | exp.Star)]
    if name == "count_if":
        return [_all(parts + arguments)]
    parts += [argument.copy().is_(exp.null()).not_() for argument in _different(arguments)]
    found = [_all(parts)] if parts else []
    if name not in COUNTS and name != sketches.FUNCTION:
        found += [
            _all([*parts, exp.NEQ(this=_paren(a), expression=exp.Literal.number(0))]) for a in _different(arguments)
        ]
    return found


def listed(carrier: Carrier, condition: exp.Expr | None, limit: int) -> Carrier:
    """Return the carrier of a group: the list of at most ``limit`` of its persons, of those where ``condition`` holds.

    More than ``limit`` need not be known: a union of lists reaches the limit if one of them does, and lists that
    are shorter are whole.
    """
    where = _where(carrier, condition)
    if carrier.listed:
        persons: exp.Expr = _call("FLATTEN", _filtered(_call("LIST", carrier.person.copy()), where))
    else:
        persons = _filtered(_call("LIST", exp.Distinct(expressions=[carrier.person.copy()])), where)
    persons = _call("LIST_SLICE", _call("LIST_DISTINCT", persons), exp.Literal.number(1), exp.Literal.number(limit))
    marker = persons.copy().is_(exp.null()).not_()
    optional = carrier.optional or condition is not None
    return Carrier(carrier.domain, carrier.kind, persons, marker, optional, listed=True)


def keyed(carrier: Carrier, key: exp.Expr) -> None:
    """Turn a row's carrier into that of a group of which ``key``, the person, is a key."""
    carrier.person = key.copy()
    carrier.marker = _call("BOOL_OR", carrier.marker.copy()) if carrier.optional else exp.true()


@dataclass(frozen=True, slots=True)
class Count:
    """One count of persons that a group must pass: of a carrier, under a condition where there is one.

    A count that an outer join or a condition can leave without any row may be 0, every other one may not.
    """

    carrier: Carrier
    condition: exp.Expr | None

    @property
    def where(self) -> exp.Expr | None:
        """The rows that are counted; None for all."""
        return _where(self.carrier, self.condition)

    def rows(self) -> exp.Expr:
        """Return SQL for the number of rows that are counted."""
        return _filtered(exp.Count(this=exp.Star()), self.where)

    def exact(self) -> exp.Expr:
        """Return SQL for the number of distinct persons."""
        person = self.carrier.person.copy()
        if not self.carrier.listed:
            return _filtered(exp.Count(this=exp.Distinct(expressions=[person])), self.where)
        lists = _filtered(_call("LIST", person), self.where)
        return _or_zero(_call("LEN", _call("LIST_DISTINCT", _call("FLATTEN", lists))))

    def at_least(self) -> exp.Expr:
        """Return SQL for a number that is never above that of distinct persons, and far cheaper: of 64 bits, those set.

        Each person sets the bit that its hash names. Counting distinct identifiers exactly takes twenty times as long
        as the rest of an aggregation (a million rows of 100,000 persons in 100 groups: 512 ms against 18).
        """
        person = self.carrier.person
        bit = exp.BitwiseLeftShift(
            this=exp.cast(exp.Literal.number(1), "UBIGINT", dialect="duckdb"),
            expression=exp.Paren(
                this=exp.BitwiseAnd(this=_call("HASH", person.copy()), expression=exp.Literal.number(63))
            ),
        )
        known = person.copy().is_(exp.null()).not_()  # the hash of NULL is a number like any other
        where = _all([part for part in (self.where, known) if part is not None])
        return _or_zero(_call("BIT_COUNT", _filtered(_call("BIT_OR", bit), where)))


def counts(carriers: list[Carrier], conditions: Iterable[exp.Expr]) -> list[Count]:
    """Return the counts that a group must pass."""
    unique = {condition.sql(): condition for condition in conditions}
    return [Count(carrier, condition) for condition in (None, *unique.values()) for carrier in carriers]


def _where(carrier: Carrier, condition: exp.Expr | None) -> exp.Expr | None:
    parts = [part for part in (condition, carrier.marker if carrier.optional else None) if part is not None]
    return _all(parts) if parts else None


def _all(parts: list[exp.Expr]) -> exp.Expr:
    conditions = [_paren(part) for part in parts]
    whole = conditions[0]
    for part in conditions[1:]:
        whole = exp.And(this=whole, expression=part)
    return whole


def _paren(part: exp.Expr) -> exp.Expr:
    simple = isinstance(part, exp.Column | exp.Func | exp.Paren | exp.Literal)
    return part.copy() if simple and not isinstance(part, exp.And | exp.Or) else exp.Paren(this=part.copy())


def _different(arguments: list[exp.Expr]) -> list[exp.Expr]:
    if len(arguments) < 2:
        return arguments
    return list({argument.sql(): argument for argument in arguments}.values())


def _filtered(aggregate: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    if condition is None:
        return aggregate
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition.copy()))


def _or_zero(number: exp.Expr) -> exp.Expr:
    return _call("COALESCE", number, exp.Literal.number(0))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))
