"""Counting persons in SQL: who contributes to an aggregate, lists of persons, and the threshold of a group."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

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
    if name not in COUNTS:
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


def fewest_persons(carriers: list[Carrier], conditions: Iterable[exp.Expr], minimum: int) -> exp.Expr:
    """Return SQL for the fewest persons of a group that may be released, NULL for one that may not.

    Every carrier has at least ``minimum`` distinct persons; one that an outer join made optional, or that is counted
    under a condition, may also have no row at all. A group without any person is not released.
    """
    unique = {condition.sql(): condition for condition in conditions}
    holds: list[exp.Expr] = []
    counts: list[exp.Expr] = []
    for condition in (None, *unique.values()):
        for carrier in carriers:
            count = _count(carrier, condition)
            enough: exp.Expr = exp.GTE(this=count, expression=exp.Literal.number(minimum))
            where = _where(carrier, condition)
            if where is not None:
                rows = _filtered(exp.Count(this=exp.Star()), where)
                none = exp.EQ(this=rows, expression=exp.Literal.number(0))
                enough = exp.Paren(this=exp.Or(this=none, expression=enough))
                count = _call("NULLIF", count.copy(), exp.Literal.number(0))
            holds.append(enough)
            counts.append(count.copy())
    fewest = counts[0] if len(counts) == 1 else _call("LEAST", *counts)
    return exp.Case(ifs=[exp.If(this=_all(holds), true=fewest)])


def _count(carrier: Carrier, condition: exp.Expr | None) -> exp.Expr:
    where = _where(carrier, condition)
    if not carrier.listed:
        return _filtered(exp.Count(this=exp.Distinct(expressions=[carrier.person.copy()])), where)
    lists = _filtered(_call("LIST", carrier.person.copy()), where)
    length = _call("LEN", _call("LIST_DISTINCT", _call("FLATTEN", lists)))
    return _call("COALESCE", length, exp.Literal.number(0))


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
    return list({argument.sql(): argument for argument in arguments}.values())


def _filtered(aggregate: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    if condition is None:
        return aggregate
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition.copy()))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))
