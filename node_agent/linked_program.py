"""How narrowly the answers of a linked table bound a withheld group, and what of a new answer must stay back for it.

The numbers that nobody knows are the rows of each *atom* of the linked table (``archipel.border.placement``). Each
released group says what the sum of some atoms is. What follows for a withheld group is an interval, whose ends are two
linear programs, as for the totals of one answer (``node_agent.suppression``, also for why and by which solver). Atoms
that hold few persons are protected as withheld groups are, though nobody asked for them: several answers together may
single them out.

Pure, but for the clock that bounds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node_agent.suppression import Program

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEW_TARGETS = 8
"""So many are looked at one by one."""
MAX_UNKNOWN = 20_000
"""Atoms of one program. What has more is not settled."""


@dataclass(frozen=True, slots=True)
class Part:
    """The groups of one grouping of one answer, over the atoms of a linked table.

    ``group`` is each atom's group, -1 where it is in none; ``released`` tells of each group whether it was, and
    ``protected`` of those that were not whether what they are must stay unknown. ``flags`` are the atoms whose sum
    within each released group is told, too. Of a ``new`` answer groups may be withheld.
    """

    group: Codes
    released: Flags
    protected: Flags
    flags: tuple[Flags, ...] = ()
    new: bool = False


Group = tuple[int, int]
"""The number of a part and of a group in it."""


class Unsettled(Exception):
    """The programs are too large, or took too long."""


def withheld_more(
    rows: Codes,
    few: Flags,
    parts: Sequence[Part],
    least_width: int,
    *,
    until: float,
    clock: Callable[[], float] = time.monotonic,
) -> set[Group]:
    """Return the groups of the new answer that must be withheld, too. ``few`` are atoms of few persons.

    What earlier answers alone give away, from before this was looked at, say, is not held against the new one.

    Raises:
        Unsettled: it cannot be said in time.
    """
    equations = _Equations(rows, parts)
    targets = [
        np.flatnonzero(part.group == group)
        for part in parts
        for group in np.flatnonzero(part.protected & ~part.released).tolist()
    ]
    alone = {int(atoms[0]) for atoms in equations.sets if len(atoms) == 1}  # the border let these leave as groups
    targets += [np.array([atom]) for atom in np.flatnonzero(few).tolist() if atom not in alone]
    if not targets or not equations.sets:
        return set()
    active = np.ones(len(equations.sets), bool)
    limits = _Limits(least_width, until, clock)
    narrow = equations.narrow(targets, active, limits)
    if narrow:
        before = equations.narrow(narrow, active & ~equations.new, limits)
        known = {atoms.tobytes() for atoms in before}
        narrow = [atoms for atoms in narrow if atoms.tobytes() not in known]
    withheld: set[Group] = set()
    while narrow:
        chosen = {group for atoms in narrow if (group := equations.next(atoms, active)) is not None}
        if not chosen:
            raise Unsettled
        withheld |= chosen
        active &= np.array([owner not in chosen for owner in equations.owners])
        narrow = equations.narrow(narrow, active, limits)
    return withheld


@dataclass(frozen=True, slots=True)
class _Limits:
    width: int
    until: float
    clock: Callable[[], float]

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            Unsettled: there are none.
        """
        left = self.until - self.clock()
        if left <= 0:
            raise Unsettled
        return left


class _Equations:
    """What is known of sums of atoms: their sets, values, and the groups that they are, or are a part of."""

    def __init__(self, rows: Codes, parts: Sequence[Part]) -> None:
        self._rows = rows
        self.sets: list[Codes] = []
        self.owners: list[Group] = []
        for number, part in enumerate(parts):
            for atoms, group in _sets(part):
                self.sets.append(atoms)
                self.owners.append((number, group))
        self.new: Flags = np.array([parts[number].new for number, _ in self.owners], bool)
        self._sizes: dict[Group, int] = {}
        for owner, atoms in zip(self.owners, self.sets, strict=True):
            self._sizes.setdefault(owner, int(rows[atoms].sum()))  # the whole group comes before its parts
        self._lengths = np.array([len(atoms) for atoms in self.sets], np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._atoms: Codes = np.concatenate(self.sets) if self.sets else np.zeros(0, np.int64)
        self._of = np.repeat(np.arange(len(self.sets)), self._lengths)

    def narrow(self, targets: Sequence[Codes], active: Flags, limits: _Limits) -> list[Codes]:
        """Return those of ``targets``, sets of atoms, of whose sum too much is known."""
        unknown = self._unknown(active)
        used = active[self._of] & unknown[self._atoms]
        atoms, of = self._atoms[used], self._of[used]
        bounded = np.zeros(len(self._rows), bool)
        bounded[atoms] = True
        found: list[Codes] = []
        open_: list[tuple[Codes, Codes]] = []
        for target in targets:
            rest = target[unknown[target]]
            if not len(rest):
                found.append(target)
            elif bounded[rest].all():  # an atom of which nothing is known may be anything
                open_.append((target, rest))
        if open_:
            for program in self._programs(open_, atoms, of):
                found += program.narrow(limits)
        return found

    def next(self, target: Codes, active: Flags) -> Group | None:
        """Return the smallest new group in the equations around a target, or else in those that these touch."""
        around = np.zeros(len(self._rows), bool)
        around[target] = True
        size = 0
        while size != (size := int(around.sum())):
            touched = self._touched(around) & active
            around[self._atoms[touched[self._of]]] = True
            candidates = np.flatnonzero(self._touched(around) & active & self.new)
            if len(candidates):
                return min((self.owners[place] for place in candidates), key=lambda group: (self._sizes[group], group))
        return None

    def _touched(self, atoms: Flags) -> Flags:
        found = np.zeros(len(self.sets), bool)
        found[self._of[atoms[self._atoms]]] = True
        return found

    def _unknown(self, active: Flags) -> Flags:
        """Return the atoms that do not follow one after the other from equations with one that is still unknown."""
        unknown = np.ones(len(self._rows), bool)
        while True:
            left = np.add.reduceat(unknown[self._atoms].astype(np.int64), self._starts)
            settled = active & (left == 1)
            if not settled.any():
                return unknown
            atoms = self._atoms[settled[self._of]]
            unknown[atoms] = False

    def _programs(self, targets: list[tuple[Codes, Codes]], atoms: Codes, of: Codes) -> Iterator[_Bounds]:
        """Return one program for each set of atoms that equations and targets tie together."""
        sets = np.concatenate([atoms, *(rest for _, rest in targets)])
        by = np.concatenate(
            [of, *(np.full(len(rest), len(self.sets) + place) for place, (_, rest) in enumerate(targets))]
        )
        label = _connected(sets, by, len(self._rows), len(self.sets) + len(targets))
        places: dict[int, list[int]] = {}
        for place, (_, rest) in enumerate(targets):
            places.setdefault(int(label[rest[0]]), []).append(place)
        order = np.argsort(label[atoms], kind="stable")
        sorted_labels = label[atoms][order]
        for number, those in places.items():
            start, end = np.searchsorted(sorted_labels, [number, number + 1])
            mine = order[start:end]
            yield self._bounds([targets[place] for place in those], atoms[mine], of[mine])

    def _bounds(self, targets: list[tuple[Codes, Codes]], atoms: Codes, of: Codes) -> _Bounds:
        """Return a program in which atoms that are in the same sets are one number."""
        chance = np.random.default_rng(1)
        equations, place = np.unique(of, return_inverse=True)
        weights = chance.integers(1, 1 << 62, len(equations) + len(targets), dtype=np.uint64)
        mark = np.zeros(len(self._rows), np.uint64)
        np.add.at(mark, atoms, weights[place])
        for number, (_, rest) in enumerate(targets):
            mark[rest] += weights[len(equations) + number]
        mine = np.unique(atoms)
        _, variable = np.unique(mark[mine], return_inverse=True)
        if variable.max() >= MAX_UNKNOWN:
            raise Unsettled
        numbers = np.full(len(self._rows), -1)
        numbers[mine] = variable
        rows = np.zeros(int(variable.max()) + 1, np.int64)
        np.add.at(rows, variable, self._rows[mine])
        pairs = np.unique(np.column_stack([place, numbers[atoms]]), axis=0)
        sums = np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1)
        return _Bounds(
            rows.astype(float),
            [several.tolist() for several in sums],
            [target for target, _ in targets],
            [np.unique(numbers[rest]) for _, rest in targets],
        )


@dataclass(slots=True)
class _Bounds:
    """Numbers with their true values, sets of them whose sums are told, and sets that are to be protected."""

    rows: NDArray[np.float64]
    sums: list[list[int]]
    targets: list[Codes]
    chosen: list[Codes]

    def narrow(self, limits: _Limits) -> list[Codes]:
        """Return the targets whose interval is narrower than the limit, half a unit allowed for rounding."""
        program = Program(len(self.rows))
        for numbers in self.sums:
            program.equation(dict.fromkeys(numbers, 1.0), float(self.rows[numbers].sum()))
        # What any solution shows to be possible need not be asked again.
        places = np.concatenate(self.chosen)
        lengths = np.array([len(numbers) for numbers in self.chosen])
        starts = np.cumsum(lengths) - lengths
        least = np.add.reduceat(self.rows[places], starts)
        most = least.copy()
        chance = np.random.default_rng(1)
        open_ = np.flatnonzero(most - least < limits.width)
        while len(open_) > FEW_TARGETS:
            # One solution can show of many at once what is possible: as many as there are equations.
            weights = np.zeros(len(self.rows))
            for target in open_.tolist():
                weights[self.chosen[target]] += chance.random()
            solution = program.most(weights, limits.left())
            if solution is None:
                raise Unsettled
            sums = np.add.reduceat(np.array(solution)[places], starts)
            least, most = np.minimum(least, sums), np.maximum(most, sums)
            left = np.flatnonzero(most - least < limits.width)
            if len(left) * 50 > len(open_) * 49:
                break
            open_ = left
        found = []
        for target, (atoms, places_of) in enumerate(zip(self.targets, self.chosen, strict=True)):
            for direction in (1, -1):
                if most[target] - least[target] >= limits.width:
                    break
                solution = program.extreme(places_of.tolist(), direction, limits.left())
                if solution is None:
                    raise Unsettled
                sums = np.add.reduceat(np.array(solution)[places], starts)
                least, most = np.minimum(least, sums), np.maximum(most, sums)
            if most[target] - least[target] < limits.width - 0.5:
                found.append(atoms)
        return found


def _sets(part: Part) -> Iterator[tuple[Codes, int]]:
    """Return the sets of atoms whose sums the released groups of a part tell."""
    for flag in (None, *part.flags):
        chosen = part.group >= 0
        chosen[chosen] = part.released[part.group[chosen]]
        if flag is not None:
            chosen &= flag
        atoms = np.flatnonzero(chosen)
        atoms = atoms[np.argsort(part.group[atoms], kind="stable")]
        groups = part.group[atoms]
        for several in np.split(atoms, np.flatnonzero(np.diff(groups)) + 1):
            if len(several):
                yield several, int(part.group[several[0]])


def _connected(atoms: Codes, sets: Codes, of_atoms: int, of_sets: int) -> Codes:
    """Return a number for each atom, the same for those that sets tie together."""
    label = np.arange(of_atoms)
    least = np.full(of_sets, of_atoms)
    while True:
        np.minimum.at(least, sets, label[atoms])
        before = label.copy()
        np.minimum.at(label, atoms, least[sets])
        label = label[label]
        if (label == before).all():
            return label
