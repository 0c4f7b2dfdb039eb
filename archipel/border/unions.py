"""Carriers through set operations: which of two sides' carriers are the same, and what is left of them."""

from __future__ import annotations

from sqlglot import exp

from archipel.border import refusal
from archipel.border.refusal import refused
from archipel.border.relations import OUTER, Carrier, Output, Person, Relation, reached


def kept(carrier: Carrier | None, relation: Relation) -> Carrier | None:
    """Return the carrier that a relation kept for the person of ``carrier``, which it may have merged with others."""
    if carrier is None or carrier in relation.carriers:
        return carrier
    for other in relation.carriers:
        if (carrier, other) in relation.determined and (other, carrier) in relation.determined:
            return other
    both = [
        other
        for other in relation.carriers
        if other in reached([carrier], relation.determined) and carrier in reached([other], relation.determined)
    ]
    return both[0] if both else None


def covers(carrier: Carrier, relation: Relation) -> bool:
    """Whether all carriers of a relation are the person of ``carrier``, or persons of the enclosing row."""
    return set(relation.carriers) <= reached([carrier, OUTER], relation.determined)


def common(node: exp.Expr, one: Person | None, other: Person | None) -> Person | None:
    """Return what a column is when either side\'s may come: persons of one domain, or no person on both."""
    if one is None and other is None:
        return None
    if one is None or other is None or one.domain != other.domain:
        raise refused(refusal.SET_OPERATION_PERSONS, node)
    return one


def union_all(node: exp.SetOperation, left: Relation, right: Relation) -> Relation:
    """Return what UNION ALL gives: each carrier of one side is paired with one of the other of the same domain.

    A carrier without a counterpart is absent from the rows of the other side.
    """
    pairs: list[tuple[Carrier | None, Carrier | None]] = []
    free = [list(left.carriers), list(right.carriers)]

    def pair(mine: Carrier, theirs: Carrier) -> None:
        if mine in free[0] and theirs in free[1] and mine.domain == theirs.domain:
            if mine.kind != theirs.kind:
                raise refused(refusal.DOMAIN_TYPES, node)
            pairs.append((mine, theirs))
            free[0].remove(mine)
            free[1].remove(theirs)

    for a, b in zip(left.outputs, right.outputs, strict=True):
        if common(node, a.person, b.person) is not None:
            mine = kept(a.person.carrier, left) if a.person else None
            theirs = kept(b.person.carrier, right) if b.person else None
            if mine is not None and theirs is not None:
                pair(mine, theirs)
    for mine in list(free[0]):
        for theirs in list(free[1]):
            pair(mine, theirs)
    pairs += [(mine, None) for mine in free[0]] + [(None, theirs) for theirs in free[1]]
    made: dict[Carrier, tuple[Carrier | None, Carrier | None]] = {}
    for one, two in pairs:
        some = [carrier for carrier in (one, two) if carrier is not None]
        made[
            Carrier(
                some[0].domain,
                some[0].kind,
                exp.null(),
                exp.null(),
                optional=len(some) < 2 or any(c.optional for c in some),
                listed=any(c.listed for c in some),
            )
        ] = (one, two)
    outputs = []
    for a, b in zip(left.outputs, right.outputs, strict=True):
        person = None
        if a.person is not None and b.person is not None:
            ends = (kept(a.person.carrier, left), kept(b.person.carrier, right))
            person = Person(a.person.domain, next((new for new, old in made.items() if old == ends), None))
        outputs.append(Output(a.name, a.columns | b.columns, person, marks=a.marks + b.marks))
    edges = set()
    for what, sides in made.items():
        for by, by_sides in [*made.items(), (OUTER, (OUTER, OUTER))]:
            if by is not what and all(
                side is None or (source is not None and side in reached([source], relation.determined))
                for side, source, relation in zip(sides, by_sides, (left, right), strict=True)
            ):
                edges.add((by, what))
    return Relation(node, outputs, list(made), edges, (left, right), made)
