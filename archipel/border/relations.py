"""Rows below the border, and whose data they are: outputs, carriers, and what is known about them.

A *carrier* of a row is the person (or the list of persons) of one protected table under it. A row's values depend on
unprotected data and on the data of its carriers' persons, on nothing else: the check keeps this true through joins,
derived tables, aggregation and set operations, and the threshold is counted on carriers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlglot import exp

CUT_LIST = "archipel_cut_list"
"""Marks the SQL of a list of persons that ends where the threshold is surely reached, in the tree's own notes."""


@dataclass(frozen=True, slots=True)
class BaseColumn:
    """A column of a table of the catalogue. ``groupable`` tells whether the holder lets it be a group key.

    ``link`` says that it may only be joined on and counted; what is made of one is that column itself, handed on.
    """

    table: str
    column: str
    groupable: bool
    link: bool = False


@dataclass(eq=False, slots=True)
class Carrier:
    """Whose data a row is, with respect to one protected table under it.

    ``person`` is SQL over the block's row: the person, or a list of persons when ``listed``. ``marker`` is SQL that is
    true where the carrier's table has a row here; it matters when an outer join made the carrier ``optional``.
    """

    domain: str
    kind: str
    person: exp.Expr
    marker: exp.Expr
    optional: bool = False
    listed: bool = False


OUTER = Carrier("", "", exp.null(), exp.true())
"""Stands for the persons of the enclosing query's row, inside a correlated subquery."""


@dataclass(frozen=True, slots=True)
class Person:
    """That a column's value is a person identifier; of which carrier, where it is exactly one's."""

    domain: str
    carrier: Carrier | None


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """What a value hides of how it was computed: a condition of a split of rows, or an operand; SQL over the row."""

    value: exp.Expr
    split: bool
    step: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """An output column: its name, the base columns its value is computed from, and whether it is a person.

    ``plain`` says that it is a column of a protected table as it stands there, computed from nothing.
    """

    name: str
    columns: frozenset[BaseColumn]
    person: Person | None = None
    plain: bool = False
    marks: tuple[Mark, ...] = ()

    @property
    def link(self) -> bool:
        """Whether its values may only be joined on and counted."""
        return any(column.link for column in self.columns)


Edges = set[tuple[Carrier, Carrier]]
"""Pairs (by, what): in every row ``what`` is the same person as ``by``, or absent."""


def reached(start: Iterable[Carrier], edges: Edges) -> set[Carrier]:
    """Return all carriers that are determined by those in ``start``, themselves included."""
    found = set(start)
    queue = list(found)
    while queue:
        by = queue.pop()
        for source, target in edges:
            if source is by and target not in found:
                found.add(target)
                queue.append(target)
    return found


@dataclass(eq=False, slots=True)
class Relation:
    """What a query gives: its outputs and the carriers of its rows."""

    node: exp.Expr
    outputs: list[Output]
    carriers: list[Carrier]
    determined: Edges
    branches: tuple[Relation, Relation] | None = None
    """The two sides of a UNION ALL."""
    pairs: dict[Carrier, tuple[Carrier | None, Carrier | None]] = field(default_factory=dict)
    """For a UNION ALL: each carrier's counterparts in the branches."""

    def bound(self) -> set[Carrier]:
        """Return the carriers that are persons of the enclosing query's row."""
        return reached([OUTER], self.determined) & set(self.carriers)


@dataclass(frozen=True, slots=True)
class Exposed:
    """The extra output columns by which an enclosing block sees a carrier."""

    carrier: Carrier
    person: str
    marker: str | None


@dataclass(frozen=True, slots=True)
class Cte:
    """A common table expression that was analysed, under its unique name, with the columns that it got."""

    name: str
    relation: Relation
    exposed: list[Exposed]
    marks: dict[Mark, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Wanted:
    carrier: Carrier | None
    listed: bool
    person: str
    marker: str | None


def expose(relation: Relation, prefix: str) -> list[Exposed]:
    """Add the relation's carriers to the outputs of its SQL, in every branch, and return their names."""
    exposed = []
    wanted = []
    for number, carrier in enumerate(relation.carriers):
        marker = None if carrier.listed else f"{prefix}row_{number}"
        exposed.append(Exposed(carrier, f"{prefix}person_{number}", marker))
        wanted.append(_Wanted(carrier, carrier.listed, f"{prefix}person_{number}", marker))
    _add(relation, wanted)
    return exposed


def _add(relation: Relation, wanted: list[_Wanted]) -> None:
    if relation.branches is not None:
        for side, branch in enumerate(relation.branches):
            own = [
                _Wanted(relation.pairs[w.carrier][side] if w.carrier else None, w.listed, w.person, w.marker)
                for w in wanted
            ]
            _add(branch, own)
        return
    for want in wanted:
        relation.node.append("expressions", _aliased(_person(want), want.person))
        if want.marker is not None:
            relation.node.append("expressions", _aliased(_marker(want.carrier), want.marker))


def expose_marks(relation: Relation, prefix: str) -> dict[Mark, str]:
    """Add the marks of the relation's outputs to the outputs of its SQL, in every branch, and return their names."""
    marks = dict.fromkeys(mark for output in relation.outputs for mark in output.marks)
    named = {mark: f"{prefix}mark_{number}" for number, mark in enumerate(marks)}
    _add_marks(relation, named)
    return named


def _add_marks(relation: Relation, named: dict[Mark, str]) -> None:
    if relation.branches is not None:
        for branch in relation.branches:
            _add_marks(branch, named)
        return
    own = {mark for output in relation.outputs for mark in output.marks}
    for mark, name in named.items():
        relation.node.append("expressions", _aliased(mark.value.copy() if mark in own else exp.null(), name))


def _person(want: _Wanted) -> exp.Expr:
    carrier = want.carrier
    if carrier is None:
        return exp.null()
    if want.listed and not carrier.listed:
        alone = exp.Anonymous(this="LIST_VALUE", expressions=[carrier.person.copy()])
        return exp.Case(ifs=[exp.If(this=carrier.marker.copy(), true=alone)]) if carrier.optional else alone
    return carrier.person.copy()


def _marker(carrier: Carrier | None) -> exp.Expr:
    if carrier is None:
        return exp.false()
    return carrier.marker.copy() if carrier.optional else exp.true()


def _aliased(value: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(value, name, quoted=True, copy=False)
