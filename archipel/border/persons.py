"""Counting persons in SQL: who contributes to an aggregate, lists of persons, and the counts that a group must pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from archipel import aggregates
from archipel.aggregates import State
from archipel.border import syntax
from archipel.border.building import call, every, filtered, known, or_zero, paren
from archipel.border.relations import Carrier
from archipel.border.splits import is_of_tests, splits

COUNTS = frozenset(("count", "count_star", "count_if", "regr_count"))

MOST_PARAMETERS = 2
"""As many as an aggregate can have: see ``parameters``."""

_OF_MEANS = frozenset(("regr_avgx", "regr_avgy"))


def contributors(unit: exp.Expr) -> exp.Expr | None:
    """Return the condition under which a row takes part in an aggregate: filter true, no argument NULL; None for all.

    For ``count_if`` it is the condition itself.
    """
    aggregate, condition = syntax.split_filter(unit)
    parts = [condition] if condition is not None else []
    given = varying(unit)
    if syntax.aggregate_name(aggregate) == "count_if":
        return every(parts + given)
    parts += [argument.copy().is_(exp.null()).not_() for argument in given]
    return every(parts) if parts else None


def varying(unit: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of an aggregate that are no constants, each once."""
    aggregate, _ = syntax.split_filter(unit)
    given = [a for a in syntax.arguments(aggregate) if not isinstance(a, exp.Literal | exp.Star)]
    return list({argument.sql(): argument for argument in given}.values())


def adds(unit: exp.Expr) -> bool:
    """Whether an aggregate adds up values, rather than counting rows or showing more."""
    name = syntax.aggregate_name(syntax.split_filter(unit)[0]) or ""
    return name not in COUNTS and aggregates.REGISTRY[name].leak is aggregates.Leak.NONE


def contributions(unit: exp.Expr) -> list[exp.Expr]:
    """Return conditions on a row; the persons for whom one holds must be none or enough.

    They are those who take part, and for each split (``archipel.border.splits``) both sides.
    """
    takes_part = contributors(unit)
    return ([takes_part] if takes_part is not None else []) + splits(unit)


def inner_contributions(unit: exp.Expr) -> list[exp.Expr]:
    """Return the conditions of an aggregate below the outermost SELECT, over several persons.

    Of sums and moments those with a value other than zero are counted, too: there no spread is looked at.
    """
    found = contributions(unit)
    condition = syntax.split_filter(unit)[1]
    parts = [condition] if condition is not None else []
    for argument in varying(unit) if adds(unit) else ():
        if not is_of_tests(argument):
            some = exp.NEQ(this=paren(argument), expression=exp.Literal.number(0))
            found.append(every([*parts, known(argument), some]))
    return found


def parameters(unit: exp.Expr) -> int:
    """Return how many parameters an aggregate estimates before its own number: the degrees of freedom that it costs.

    1 for variances, 2 for what relates two values; 0 for counts, sums and means.
    """
    aggregate, _ = syntax.split_filter(unit)
    name = syntax.aggregate_name(aggregate) or ""
    state = aggregates.REGISTRY[name].state
    if state is State.MOMENTS:
        return 1
    if state is State.COMOMENTS and name not in _OF_MEANS:
        return min(len(varying(unit)), MOST_PARAMETERS)
    return 0


def listed(carrier: Carrier, condition: exp.Expr | None, limit: int) -> Carrier:
    """Return the carrier of a group: the list of at most ``limit`` of its persons, of those where ``condition`` holds.

    More than ``limit`` need not be known: a union of lists reaches the limit if one of them does, and lists that
    are shorter are whole.
    """
    where = _where(carrier, condition)
    if carrier.listed:
        persons: exp.Expr = call("FLATTEN", filtered(call("LIST", carrier.person.copy()), where))
    else:
        persons = filtered(call("LIST", exp.Distinct(expressions=[carrier.person.copy()])), where)
    persons = call("LIST_SORT", call("LIST_DISTINCT", persons))  # which of them are kept must not vary
    persons = call("LIST_SLICE", persons, exp.Literal.number(1), exp.Literal.number(limit))
    marker = persons.copy().is_(exp.null()).not_()
    optional = carrier.optional or condition is not None
    return Carrier(carrier.domain, carrier.kind, persons, marker, optional, listed=True)


def keyed(carrier: Carrier, key: exp.Expr) -> None:
    """Turn a row's carrier into that of a group of which ``key``, the person, is a key."""
    carrier.person = key.copy()
    carrier.marker = call("BOOL_OR", carrier.marker.copy()) if carrier.optional else exp.true()


@dataclass(frozen=True, slots=True)
class Count:
    """One count of persons that a group must pass: of a carrier, under a condition where there is one.

    A count that an outer join or a condition can leave without any row may be 0, every other one may not.
    """

    carrier: Carrier
    condition: exp.Expr | None
    minimum: int

    @property
    def where(self) -> exp.Expr | None:
        """The rows that are counted; None for all."""
        return _where(self.carrier, self.condition)

    def rows(self) -> exp.Expr:
        """Return SQL for the number of rows that are counted."""
        return filtered(exp.Count(this=exp.Star()), self.where)

    def exact(self) -> exp.Expr:
        """Return SQL for the number of distinct persons."""
        person = self.carrier.person.copy()
        if not self.carrier.listed:
            return filtered(exp.Count(this=exp.Distinct(expressions=[person])), self.where)
        lists = filtered(call("LIST", person), self.where)
        return or_zero(call("LEN", call("LIST_DISTINCT", call("FLATTEN", lists))))

    def at_least(self) -> exp.Expr:
        """Return SQL for a number that is never above that of distinct persons, and far cheaper: of 64 bits, those set.

        Each person sets the bit that its hash names. Counting distinct identifiers exactly takes twenty times as long
        as the rest of an aggregation (a million rows of 100,000 persons in 100 groups: 512 ms against 18).
        """
        person = self.carrier.person
        bit = exp.BitwiseLeftShift(
            this=exp.cast(exp.Literal.number(1), "UBIGINT", dialect="duckdb"),
            expression=exp.Paren(
                this=exp.BitwiseAnd(this=call("HASH", person.copy()), expression=exp.Literal.number(63))
            ),
        )
        somebody = person.copy().is_(exp.null()).not_()  # the hash of NULL is a number like any other
        where = every([part for part in (self.where, somebody) if part is not None])
        return or_zero(call("BIT_COUNT", filtered(call("BIT_OR", bit), where)))


def counts(carriers: list[Carrier], conditions: Iterable[tuple[exp.Expr, int]], minimum: int) -> list[Count]:
    """Return the counts that a group must pass: all its persons, and those of each condition with its own minimum."""
    least: dict[str, tuple[exp.Expr, int]] = {}
    for condition, wanted in conditions:
        text = condition.sql()
        least[text] = (condition, max(wanted, least[text][1] if text in least else minimum))
    return [
        Count(carrier, condition, wanted)
        for condition, wanted in ((None, minimum), *least.values())
        for carrier in carriers
    ]


def _where(carrier: Carrier, condition: exp.Expr | None) -> exp.Expr | None:
    parts = [part for part in (condition, carrier.marker if carrier.optional else None) if part is not None]
    return every(parts) if parts else None
