"""Answers with totals: what their withheld groups give away is withheld, too, and rounded totals are made of parts.

A statement of several groupings gives the node all its groups, the withheld ones with NULL for their persons. Here it
is worked out which group is a part of which total, and what remains is what may leave.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from archipel.border.decision import Lattice, Release
from node_agent import suppression
from node_agent.order import Note
from node_agent.suppression import Total

Place = tuple[int, tuple[Hashable, ...]]
"""A group: its grouping, as the bits of ``Lattice.grouping``, and values of the keys that it is not a total over."""


def settled(table: pa.Table, release: Release) -> pa.Table:
    """Return a statement's rows without the columns that do not leave, and with NULL persons where nothing may leave.

    The rows of other statements than those of several groupings are returned as they are, and so are settled ones.
    """
    lattice, persons_name, withheld_name = release.lattice, release.persons_column, release.withheld_column
    if lattice is None or persons_name is None or withheld_name is None or lattice.grouping not in table.column_names:
        return table
    found = _Groups.of(table, lattice, persons_name)
    more = suppression.withheld_more(
        found.sizes, found.withheld, found.totals, release.min_persons, unknown=found.added
    )
    persons = found.persons
    for place in more:
        for row in found.rows.get(place, ()):
            persons[row] = None
    shown = {row for row, number in enumerate(persons) if number is not None}
    columns: dict[str, Any] = {name: table.column(name) for name in table.column_names}
    columns[persons_name] = pa.array(persons, table.schema.field(persons_name).type)
    number = len(table) - len(shown) if found.rows else 0
    columns[withheld_name] = pa.array([number] * len(table), table.schema.field(withheld_name).type)
    for name in lattice.sums:
        values = found.summed(table.column(name).to_pylist(), shown)
        columns[name] = pa.array(values, table.schema.field(name).type)
    for name in (lattice.grouping, lattice.rows, *lattice.keys):
        del columns[name]
    return pa.table(columns)


def notes(release: Release) -> tuple[Note, ...]:
    """Return what is to be said of the numbers of a release."""
    if not release.rounding:
        return ()
    text = f"counts and sums are rounded to multiples of {release.rounding}"
    if release.lattice is not None:
        text += "; totals are those of the rounded groups that left"
    return (Note("rounding", text),)


@dataclass(slots=True)
class _Groups:
    """The groups of an answer by place, and the totals among them."""

    width: int
    rows: Mapping[Place, list[int]]
    sizes: dict[Place, int]
    persons: list[int | None]
    totals: list[Total[Place]]
    added: frozenset[Place]
    """Totals that nobody asked for, but that tie groupings together of which neither is a part of the other."""

    @property
    def withheld(self) -> set[Place]:
        """The groups that may not leave by themselves."""
        return {place for place, rows in self.rows.items() if self.persons[rows[0]] is None}

    @staticmethod
    def of(table: pa.Table, lattice: Lattice, persons_name: str) -> _Groups:
        width = len(lattice.keys)
        keys = [[_key(value) for value in table.column(name).to_pylist()] for name in lattice.keys]
        sizes: dict[Place, int] = {}
        rows: dict[Place, list[int]] = {}
        groupings = table.column(lattice.grouping).to_pylist()
        for row, (grouping, size) in enumerate(zip(groupings, table.column(lattice.rows).to_pylist(), strict=True)):
            if grouping is None:
                continue  # the row that stands for no group
            named = keys_of(grouping, width)
            place = (grouping, tuple(keys[key][row] for key in named))
            rows.setdefault(place, []).append(row)
            sizes[place] = size
        asked = {grouping for grouping, _ in rows}
        every = _with_common(asked)
        added: set[Place] = set()
        for grouping in sorted(every - asked, key=int.bit_count):
            finer = next(
                other for other in sorted(every, key=int.bit_count) if _is_part(other, grouping) and other in asked
            )
            for place in [place for place in sizes if place[0] == finer]:
                total = _total(place, grouping, width)
                sizes[total] = sizes.get(total, 0) + sizes[place]
                added.add(total)
        return _Groups(
            width, rows, sizes, table.column(persons_name).to_pylist(), _totals(every, sizes, width), frozenset(added)
        )

    def summed(self, values: list[Any], shown: set[int]) -> list[Any]:
        """Return a rounded output in which every total is that of its released parts, if any of them is released."""
        finest = {grouping for grouping, _ in self.rows}
        found = list(values)
        for grouping in sorted(finest):
            parts_of = min((g for g in finest if _is_part(g, grouping)), key=lambda g: (g.bit_count(), g), default=None)
            if parts_of is None:
                continue
            sums: dict[Place, Any] = {}
            for place, rows in self.rows.items():
                value = values[rows[0]]
                if place[0] == parts_of and rows[0] in shown and value is not None:
                    total = _total(place, grouping, self.width)
                    sums[total] = sums[total] + value if total in sums else value
            for place, rows in self.rows.items():
                if place[0] == grouping and place in sums:
                    for row in rows:
                        found[row] = sums[place]
        return found


def _key(value: Any) -> Hashable:
    if isinstance(value, float) and value != value:
        return "NaN"  # which is equal to nothing, itself included
    return value if isinstance(value, Hashable) else repr(value)


def keys_of(grouping: int, width: int) -> list[int]:
    """Return the numbers of the keys that a grouping is by."""
    return [key for key in range(width) if not grouping >> (width - 1 - key) & 1]


def _is_part(finer: int, coarser: int) -> bool:
    """Whether groups of one grouping are the parts of those of another."""
    return finer != coarser and finer & ~coarser == 0


def _total(place: Place, grouping: int, width: int) -> Place:
    """Return the group of a coarser grouping that a group is a part of."""
    values = dict(zip(keys_of(place[0], width), place[1], strict=True))
    return grouping, tuple(values[key] for key in keys_of(grouping, width))


def _with_common(groupings: set[int]) -> set[int]:
    """Return groupings with those over whose totals two of them agree."""
    found = set(groupings)
    while True:
        common = {a | b for a in found for b in found} - found
        if not common:
            return found
        found |= common


def _totals(groupings: Iterable[int], sizes: Mapping[Place, int], width: int) -> list[Total[Place]]:
    """Return the sums that hold: of each grouping over the next finer ones."""
    every = sorted(groupings)
    found: list[Total[Place]] = []
    by_grouping: dict[int, list[Place]] = {}
    for place in sizes:
        by_grouping.setdefault(place[0], []).append(place)
    for coarser in every:
        for finer in every:
            between = any(_is_part(finer, other) and _is_part(other, coarser) for other in every)
            if not _is_part(finer, coarser) or between:
                continue
            parts: dict[Place, list[Place]] = {}
            for place in by_grouping.get(finer, ()):
                parts.setdefault(_total(place, coarser, width), []).append(place)
            found += [Total(total, tuple(these)) for total, these in parts.items()]
    return found
