"""Answers of one permit that are cells of one table: what together they give away of withheld groups stays back.

Each answer is remembered by where its groups stand (``archipel.border.placement``) and which of them were released, as
keyed hashes. When an answer over the same rows is about to leave, the engine counts the *atoms* of the table that both
are sums of; nothing that it finds is kept. Then the programs say which groups of the new answer must be withheld, too.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archipel import errors
from archipel.border import placement
from archipel.border.decision import Release
from archipel.border.measures import Placement
from node_agent import linked_program
from node_agent.lattice import keys_of
from node_agent.linked_program import Part, Unsettled

Mark = bytes
"""A group within its grouping: a keyed hash of its keys."""

MARK_BYTES = 8
MAX_ATOMS = 50_000
"""Atoms of a linked table."""
MAX_TOGETHER = 24
"""Earlier answers that are taken together with a new one, the newest first; the older ones by as many again."""
MAX_SECONDS = 20.0

UNSETTLED = (
    "Together with earlier answers this one may tell about withheld groups; the node could not find out in time."
)
UNSETTLED_HINT = "Ask for fewer groups, or for the groups and their totals in one query (GROUP BY ROLLUP or CUBE)."
NO_LABELS = "Together with earlier answers this one tells about withheld groups."
NO_LABELS_HINT = "An answer that shows its group keys would be given without those groups."

Run = Callable[[str, Mapping[str, pa.Table]], pa.Table]
Groups = Mapping[int, frozenset[Mark]]
"""Released groups by grouping (bits as of ``Lattice.grouping``)."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An answer as a part of a linked table. ``released`` is None where it does not show which groups they are."""

    family: str
    placement: Placement
    groupings: tuple[int, ...]
    released: Groups | None
    minimum: int

    def text(self) -> str:
        """Return it as text, without the marks."""
        placed = self.placement
        shape = {
            "keys": placed.keys,
            "conditions": placed.conditions,
            "flags": placed.flags,
            "values": placed.values,
            "persons": placed.persons,
            "minimum": self.minimum,
            "groups": [[g, len(self.released[g]) if self.released is not None else None] for g in self.groupings],
        }
        return json.dumps(shape, sort_keys=True)

    def marks(self) -> bytes:
        """Return the marks of the released groups, grouping by grouping."""
        released = self.released or {}
        return b"".join(mark for grouping in self.groupings for mark in sorted(released.get(grouping, ())))

    @staticmethod
    def read(family: str, base: str, text: str, marks: bytes) -> Linked:
        """Return what was written."""
        shape = json.loads(text)
        at, released = 0, {}
        for grouping, number in shape["groups"]:
            end = at + (number or 0) * MARK_BYTES
            released[grouping] = frozenset(marks[i : i + MARK_BYTES] for i in range(at, end, MARK_BYTES))
            at = end
        parts = {name: tuple(shape[name]) for name in ("keys", "conditions", "flags", "values", "persons")}
        return Linked(
            family,
            Placement(base=base, outputs=(None,) * len(parts["keys"]), **parts),
            tuple(grouping for grouping, _ in shape["groups"]),
            None if any(number is None for _, number in shape["groups"]) else released,
            shape["minimum"],
        )


def family_of(placed: Placement, state: str) -> str:
    """Return what answers have in common that are parts of one table: the same rows, in one state."""
    return hashlib.sha256(json.dumps([placed.base, state]).encode()).hexdigest()


def of_answer(table: pa.Table, settled: pa.Table, release: Release, state: str, secret: bytes) -> Linked | None:
    """Return an answer as part of a linked table; None for one that is none.

    ``table`` is what the statement gave, ``settled`` the same with NULL for the persons of every group that stays.
    """
    placed = release.placement
    if placed is None or release.persons_column is None:
        return None
    marks = _marks_of_rows(table, release, secret)
    groupings = _groupings(release, len(placed.keys), marks)
    released: dict[int, frozenset[Mark]] | None = None
    if marks is not None:
        shown = settled.column(release.persons_column).is_valid().to_pylist()
        left = [mark for mark, leaves in zip(marks, shown, strict=True) if leaves and mark is not None]
        released = {g: frozenset(mark for grouping, mark in left if grouping == g) for g in groupings}
    return Linked(family_of(placed, state), placed, groupings, released, release.min_persons)


def without(table: pa.Table, release: Release, groups: set[tuple[int, Mark]], secret: bytes) -> pa.Table:
    """Return what a statement gave with NULL for the persons of some more groups, and these counted as withheld."""
    marks = _marks_of_rows(table, release, secret) or []
    persons_name, withheld_name = release.persons_column or "", release.withheld_column or ""
    persons = table.column(persons_name).to_pylist()
    for row, mark in enumerate(marks):
        if mark in groups:
            persons[row] = None
    withheld = [number + len(groups) for number in table.column(withheld_name).to_pylist()]
    columns: dict[str, Any] = {name: table.column(name) for name in table.column_names}
    columns[persons_name] = pa.array(persons, table.schema.field(persons_name).type)
    columns[withheld_name] = pa.array(withheld, table.schema.field(withheld_name).type)
    return pa.table(columns)


def withheld_more(
    new: Linked,
    earlier: Sequence[Linked],
    run: Run,
    secret: bytes,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> set[tuple[int, Mark]]:
    """Return the groups of a new answer, by grouping and mark, that must be withheld beside those that are.

    Raises:
        ArchipelError: DIFFERENCING_REFUSED when that cannot be said, or done.
    """
    others = [other for other in _merged(earlier) if not _tells_nothing(new, other)]
    found: set[tuple[int, Mark]] = set()
    until, size = clock() + MAX_SECONDS, MAX_TOGETHER
    while others:
        together, rest = others[:size], others[size:]
        asked = placement.joint([new.placement, *(other.placement for other in together)], MAX_ATOMS)
        table = run(asked.sql, {})
        if clock() > until or (table.num_rows > MAX_ATOMS and len(together) == 1):
            raise errors.error(errors.DIFFERENCING_REFUSED, UNSETTLED, hint=UNSETTLED_HINT)
        if table.num_rows > MAX_ATOMS:
            size = len(together) // 2
            continue
        found |= _of_table(_without_groups(new, found), together, asked, table, secret, until, clock)
        others = rest
    if found and new.released is None:
        raise errors.error(errors.DIFFERENCING_REFUSED, NO_LABELS, hint=NO_LABELS_HINT)
    return found


def _merged(earlier: Sequence[Linked]) -> list[Linked]:
    """Return earlier answers, those of the same groups as one, the newest first."""
    found: dict[Hashable, Linked] = {}
    for one in reversed(earlier):
        placed = one.placement
        key = (frozenset(placed.conditions), placed.keys, placed.values, one.groupings, one.released is None)
        before = found.get(key)
        if before is None:
            found[key] = one
            continue
        flags = tuple(dict.fromkeys([*before.placement.flags, *placed.flags]))
        mine, theirs = one.released or {}, before.released or {}
        found[key] = replace(
            before,
            placement=replace(before.placement, flags=flags),
            released=None if one.released is None else {g: mine[g] | theirs[g] for g in one.groupings},
            minimum=max(one.minimum, before.minimum),
        )
    return list(found.values())


def _tells_nothing(new: Linked, other: Linked) -> bool:
    """Whether all that a new answer tells was told by an earlier one."""
    mine, theirs = new.placement, other.placement
    return (
        frozenset(mine.conditions) == frozenset(theirs.conditions)
        and mine.keys == theirs.keys
        and set(mine.flags) <= set(theirs.flags)
        and set(mine.values) <= set(theirs.values)
        and new.released is not None
        and other.released is not None
        and all(marks <= other.released.get(grouping, frozenset()) for grouping, marks in new.released.items())
    )


def _without_groups(new: Linked, groups: set[tuple[int, Mark]]) -> Linked:
    if new.released is None or not groups:
        return new
    left = {g: frozenset(m for m in marks if (g, m) not in groups) for g, marks in new.released.items()}
    return replace(new, released=left)


def _of_table(
    new: Linked,
    together: Sequence[Linked],
    asked: placement.Joint,
    table: pa.Table,
    secret: bytes,
    until: float,
    clock: Callable[[], float],
) -> set[tuple[int, Mark]]:
    """Return the groups of a new answer that one linked table with earlier ones does not let leave."""
    columns = [_Column(table.column(place)) for place in range(table.num_columns - asked.persons - 1)]
    rows = np.asarray(table.column(len(columns)).to_numpy(), np.int64)
    least = max(linked.minimum for linked in (new, *together))
    bits = [table.column(len(columns) + 1 + place) for place in range(asked.persons)]
    few = np.zeros(len(rows), bool)
    for column in bits:
        number = np.bitwise_count(np.asarray(column.fill_null(0).to_numpy(), np.uint64))
        few |= (number > 0) & (number < least)
    parts: list[Part] = []
    named: list[tuple[int, list[Mark]]] = []
    values: list[set[str]] = []
    for linked, place in zip((new, *together), asked.places, strict=True):
        is_in = np.ones(len(rows), bool)
        for condition in place.conditions:
            is_in &= columns[condition].true()
        flags = tuple(columns[flag].true() for flag in place.flags)
        for grouping in linked.groupings:
            keys = [columns[place.keys[key]] for key in keys_of(grouping, len(place.keys))]
            group, marks = _grouped(keys, is_in, grouping, secret)
            enough = _are_enough(group, len(marks), bits, least)
            if linked.released is None:
                released = enough
            else:
                known = linked.released[grouping]
                released = np.array([mark in known for mark in marks], bool)
                if linked is new and int(released.sum()) < len(known):
                    raise errors.error(errors.DIFFERENCING_REFUSED, UNSETTLED, hint=UNSETTLED_HINT)
            parts.append(Part(group, released, ~enough, flags, new=linked is new))
            values.append(set(linked.placement.values))
            named.append((grouping, marks))
    try:
        more = linked_program.withheld_more(rows, few, parts, least, until=until, clock=clock)
        for value in new.placement.values:
            # What was withheld though it has enough persons is so for its sums: these must not follow either.
            places = [place for place, those in enumerate(values) if value in those]
            chosen = [_as_protected(parts[place], place, more) for place in places]
            found = linked_program.withheld_more(rows, few & False, chosen, least, until=until, clock=clock)
            more |= {(places[part], group) for part, group in found}
    except Unsettled:
        raise errors.error(errors.DIFFERENCING_REFUSED, UNSETTLED, hint=UNSETTLED_HINT) from None
    return {(named[part][0], named[part][1][group]) for part, group in more}


def _as_protected(part: Part, number: int, withheld: set[linked_program.Group]) -> Part:
    """Return a part of which every withheld group is protected, those in ``withheld`` among these."""
    released = part.released.copy()
    released[[group for place, group in withheld if place == number]] = False
    return replace(part, released=released, protected=~part.released)


def _are_enough(
    group: NDArray[np.int64], groups: int, bits: Sequence[pa.ChunkedArray], least: int
) -> NDArray[np.bool_]:
    """Return which groups surely have enough persons."""
    enough = np.ones(groups, bool)
    for column in bits:
        values = np.asarray(column.fill_null(0).to_numpy(), np.uint64)
        total = np.zeros(groups, np.uint64)
        np.bitwise_or.at(total, group[group >= 0], values[group >= 0])
        enough &= np.bitwise_count(total) >= least
    return enough


class _Column:
    """A column of a linked table as numbers, and what these stand for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column
        self._coded: tuple[NDArray[np.int64], list[str]] | None = None

    def true(self) -> NDArray[np.bool_]:
        return np.asarray(self._column.fill_null(False).to_numpy(), bool)

    def coded(self) -> tuple[NDArray[np.int64], list[str]]:
        if self._coded is None:
            self._coded = coded(self._column)
        return self._coded


def coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Return the values of a column as numbers, and the texts that these stand for."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    if pa.types.is_nested(whole.type):
        values: list[Any] = whole.to_pylist()
        places = np.arange(len(values))
    else:
        encoded = whole.dictionary_encode(null_encoding="encode")
        values = encoded.dictionary.to_pylist()
        places = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    number: dict[str, int] = {}
    texts = [_text(value) for value in values]
    same = np.array([number.setdefault(text, len(number)) for text in texts], np.int64)
    return same[places] if len(places) else places.astype(np.int64), list(number)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return repr(value + 0.0)  # of the two zeros one
    return repr(value)


def _grouped(
    keys: Sequence[_Column], is_in: NDArray[np.bool_], grouping: int, secret: bytes
) -> tuple[NDArray[np.int64], list[Mark]]:
    """Return each atom's group, -1 for none, and the groups' marks."""
    group = np.full(len(is_in), -1, np.int64)
    if not is_in.any():
        return group, []
    codes = np.column_stack([np.zeros(int(is_in.sum()), np.int64), *(key.coded()[0][is_in] for key in keys)])
    labels, place = np.unique(codes, axis=0, return_inverse=True)
    group[is_in] = place.reshape(-1)
    texts = [key.coded()[1] for key in keys]
    marks = [
        mark_of(grouping, [texts[key][code] for key, code in enumerate(label[1:])], secret) for label in labels.tolist()
    ]
    return group, marks


def mark_of(grouping: int, texts: Sequence[str], secret: bytes) -> Mark:
    """Return the mark of a group by its keys."""
    content = json.dumps([grouping, list(texts)]).encode()
    return hashlib.blake2b(content, digest_size=MARK_BYTES, key=secret, person=b"linked tables").digest()


def _marks_of_rows(table: pa.Table, release: Release, secret: bytes) -> list[tuple[int, Mark] | None] | None:
    """Return grouping and mark of each row, None for the row that stands for no group; None if keys are not shown."""
    placed, lattice = release.placement, release.lattice
    if placed is None:
        return None
    width = len(placed.keys)
    if lattice is not None:
        names: Sequence[str | None] = lattice.keys
        groupings = table.column(lattice.grouping).to_pylist()
    else:
        names = placed.outputs
        persons = table.column(release.persons_column).is_valid().to_pylist()
        groupings = [0 if some else None for some in persons]
    if any(name is None for name in names):
        return None
    columns = [coded(table.column(name)) for name in names]
    found: list[tuple[int, Mark] | None] = []
    for row, grouping in enumerate(groupings):
        if grouping is None:
            found.append(None)
            continue
        texts = [columns[key][1][columns[key][0][row]] for key in keys_of(grouping, width)]
        found.append((grouping, mark_of(grouping, texts, secret)))
    return found


def _groupings(release: Release, width: int, marks: Iterable[tuple[int, Mark] | None] | None) -> tuple[int, ...]:
    if release.lattice is None:
        return (0,)
    return tuple(sorted({mark[0] for mark in marks or () if mark is not None}))
