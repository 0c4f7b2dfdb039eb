"""From the rows behind an answer to sketches of its groups: numbers only, in memory, as the rows come.

Sketches of rows and values are sums over rows, so that rows are added to them as they are. Only of *being in a group*
a person counts once: groups and persons are numbered as they come, and pairs of both are kept once. That costs a
quarter of what the engine needs to group rows by group and person, which it still does where persons, groups or pairs
are too many to be held here (``TooMany``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archipel.border.measures import BUCKETS, FACTOR_SHIFT, PRIME, Populations

CHUNK_ROWS = 65_536
"""Rows that are worked on together: what is looked at again and again of so many stays in a processor's cache."""
CHUNK_CELLS = 1 << 20
"""The same of places where a pair may be."""
MOST_GROUPS = 1 << 17
MOST_PERSONS = 1 << 21
MOST_PAIRS = 1 << 23
"""Pairs of a group and a person that are kept, in about 24 bytes each."""
MOST_CELLS = 1 << 27
CELLS_PER_ROW = 96
"""All pairs that there might be, in all and for each row: up to so many, a byte of each says whether it is there."""

_ODD = np.uint64(0x9E37_79B9_7F4A_7C15)

Codes = NDArray[Any]
"""Whole numbers."""
Places = NDArray[np.intp]


class TooMany(Exception):
    """There is more than is held in memory, or a key of a type that is compared by the engine alone."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of all grouping sets. ``keys``: a column for each, NULL where a set is without it.

    ``fine`` has a sketch for each group and measure; ``persons`` how many there are behind it, -1 where not known.
    """

    keys: tuple[pa.Array, ...]
    sets: Codes
    fine: NDArray[np.uint32]
    persons: Codes


class Gathering:
    """Takes the rows of one statement of populations."""

    def __init__(self, asked: Populations) -> None:
        self._asked = asked
        self._keys = [_Key() for _ in range(asked.keys)]
        self._labels = _Numbers()
        self._persons = _Numbers()
        self._pairs = _Pairs(1 + asked.flags)
        self._sums = np.zeros((1 + asked.flags + asked.values, 0), np.int64)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def take(self, reader: pa.RecordBatchReader) -> Groups:
        """Return the groups of all rows.

        Raises:
            TooMany: they are to be grouped by the engine.
        """
        if any(not _is_simple(kind) for kind in reader.schema.types[: self._asked.keys]):
            raise TooMany
        for batch in reader:
            self._waiting.append(batch)
            self._rows += batch.num_rows
            if self._rows >= CHUNK_ROWS:
                self._add()
        if self._rows:
            self._add()
        return self._found()

    def _add(self) -> None:
        rows = pa.Table.from_batches(self._waiting)
        self._waiting, self._rows = [], 0
        first = self._asked.keys
        group = self._numbered([rows.column(number) for number in range(first)], rows.num_rows)
        secret = np.asarray(rows.column(first).to_numpy(), np.uint64)
        person = self._persons.of(secret)
        if len(self._persons) > MOST_PERSONS or self._groups > MOST_GROUPS:
            raise TooMany
        pair = self._pairs.of(group, person, self._groups, len(self._persons))
        places = self._groups * BUCKETS
        if places > self._sums.shape[1]:
            more = max(places, 2 * self._sums.shape[1]) - self._sums.shape[1]
            self._sums = np.concatenate([self._sums, np.zeros((len(self._sums), more), np.int64)], axis=1)
        at, factor = _at(group, secret), _factor(secret)
        weights = factor.astype(np.float64)
        self._add_sums(0, at, weights)
        for number in range(1, 1 + self._asked.flags):
            flag = np.asarray(rows.column(first + number).to_numpy(), np.bool_)
            self._pairs.mark(number, pair[flag])
            self._add_sums(number, at, weights * flag)
        for number in range(1 + self._asked.flags, len(self._sums)):
            value = np.asarray(rows.column(first + number).to_numpy(), np.int64)
            self._add_sums(number, at, _folded(factor * _rest(value)).astype(np.float64))

    def _add_sums(self, number: int, at: Places, weights: NDArray[np.float64]) -> None:
        # Weights are below 2^32, so that sums over a chunk are exact as doubles.
        found = np.bincount(at, weights, self._sums.shape[1])
        self._sums[number] = (self._sums[number] + found.astype(np.int64)) % PRIME

    @property
    def _groups(self) -> int:
        if len(self._keys) == 1:
            return len(self._keys[0].values)
        return len(self._labels) if self._keys else 1

    def _numbered(self, columns: Sequence[pa.ChunkedArray], rows: int) -> Codes:
        """Return the number of each row's group."""
        codes = [key.of(column) for key, column in zip(self._keys, columns, strict=True)]
        if len(codes) < 2:
            return codes[0] if codes else np.zeros(rows, np.int64)
        label = np.zeros(rows, np.int64)
        for key, code in zip(self._keys, codes, strict=True):
            if len(key.values) >> self._bits:
                raise TooMany
            label = (label << self._bits) | code
        return self._labels.of(label.view(np.uint64) + np.uint64(1))

    @property
    def _bits(self) -> int:
        """Bits of each key in the label of a group by several."""
        return 62 // max(1, len(self._keys))

    def _found(self) -> Groups:
        asked = self._asked
        count = self._groups if asked.keys or len(self._persons) else 0
        if asked.keys == 1:
            codes = [np.arange(count)]
        else:
            labels, mask = self._labels.values.view(np.int64) - 1, (1 << self._bits) - 1
            codes = [(labels >> (self._bits * (asked.keys - 1 - key))) & mask for key in range(asked.keys)]
        whole = asked.groupings or (tuple(range(asked.keys)),)
        parts = [self._of_set(grouping, codes, count) for grouping in whole]
        keys = []
        for key in range(asked.keys):
            indices = np.concatenate([part[key] for part, _, _ in parts])
            keys.append(self._keys[key].values.take(pa.array(indices, mask=indices < 0)))
        sets = [np.full(len(fine), asked.set_number(places)) for places, (_, fine, _) in zip(whole, parts, strict=True)]
        return Groups(
            tuple(keys),
            np.concatenate(sets),
            np.concatenate([fine for _, fine, _ in parts]),
            np.concatenate([persons for _, _, persons in parts]),
        )

    def _of_set(
        self, grouping: tuple[int, ...], codes: list[Codes], count: int
    ) -> tuple[list[Codes], NDArray[np.uint32], Codes]:
        """Return the groups of one grouping set: their keys' codes, sketches and persons."""
        asked, pairs = self._asked, self._pairs
        part = one = np.arange(count)
        if len(grouping) < asked.keys:
            label = np.stack([codes[key] for key in grouping]) if grouping else np.zeros((1, count), np.int64)
            _, one, part = np.unique(label, axis=1, return_index=True, return_inverse=True)
            part, pairs = part.reshape(-1), pairs.together(part.reshape(-1), len(self._persons))
        keys = [codes[key][one] if key in grouping else np.full(len(one), -1, np.int64) for key in range(asked.keys)]
        fine = np.zeros((len(one), len(asked.measures), BUCKETS), np.uint32)
        persons = np.full((len(one), len(asked.measures)), -1, np.int64)
        of_persons, counts = self._of_pairs(pairs, len(one))
        for number in range(1 + asked.flags):
            fine[:, 2 * number] = of_persons[number].reshape(-1, BUCKETS)
            persons[:, 2 * number + 1] = persons[:, 2 * number] = counts[number]
        for number, sums in enumerate(self._sums):
            total = np.zeros((len(one), BUCKETS), np.int64)
            np.add.at(total, part, sums[: count * BUCKETS].reshape(count, BUCKETS))
            place = 2 * number + 1 if number <= asked.flags else 1 + asked.flags + number
            fine[:, place] = total % PRIME
        return keys, fine, persons

    def _of_pairs(self, pairs: _Pairs, groups: int) -> tuple[Codes, Codes]:
        """Return the sums of persons' factors by bucket, and how many persons there are, of each group in each way."""
        secret = self._persons.values
        buckets, factors = (secret & np.uint64(BUCKETS - 1)).view(np.int64), _factor(secret).astype(np.float64)
        ways = 1 + self._asked.flags
        sums, counts = np.zeros((ways, groups * BUCKETS), np.int64), np.zeros((ways, groups), np.int64)
        for pair in pairs.present(max(CHUNK_CELLS, 4 * groups * BUCKETS)):
            group, person = pairs.split(pair)
            at, factor = group * BUCKETS + buckets.take(person), factors.take(person)
            for way in range(ways):
                some = pairs.marks(way, pair)
                found = np.bincount(at, factor * some if way else factor, groups * BUCKETS)
                sums[way] = (sums[way] + found.astype(np.int64)) % PRIME
                counts[way] += np.bincount(group, some if way else None, groups).astype(np.int64)
        return sums, counts


def _at(group: Codes, secret: NDArray[np.uint64]) -> Places:
    """Return the place of a group's bucket."""
    return group.astype(np.int64) * BUCKETS + (secret & np.uint64(BUCKETS - 1)).view(np.int64)


def _factor(secret: NDArray[np.uint64]) -> Codes:
    return (secret >> np.uint64(FACTOR_SHIFT)).view(np.int64) + 1


def _folded(numbers: Codes) -> Codes:
    """Return numbers below 2^63 as smaller ones, of the same rest modulo the prime, which is 2^31 - 1."""
    return (numbers & PRIME) + (numbers >> 31)


def _rest(numbers: Codes) -> Codes:
    """Return what is left of numbers of either sign modulo the prime: from 0 to 2^31."""
    folded: Codes = _folded(_folded(numbers))
    folded += PRIME * (folded < 0)
    return folded


class _Key:
    """The values of one key, numbered as they come."""

    def __init__(self) -> None:
        self.values: pa.Array = pa.nulls(0)

    def of(self, column: pa.ChunkedArray) -> Codes:
        """Return the numbers of a column's values; NULL is one of them."""
        encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        values = encoded.dictionary
        if not len(self.values):
            self.values = values
            return np.asarray(encoded.indices)
        known = pc.index_in(values, value_set=self.values)
        if known.null_count:
            self.values = pa.concat_arrays([self.values, values.filter(pc.is_null(known))])
            known = pc.index_in(values, value_set=self.values)
        found: Codes = np.asarray(known).take(np.asarray(encoded.indices))
        return found


class _Numbers:
    """Numbers whatever has 64 bits, none of them 0, as it comes.

    A table with open addresses holds numbers, from 1 on, 0 being free; what they are the numbers of stands together, so
    that looking up is done in as little memory as can be.
    """

    def __init__(self) -> None:
        self._size = 1
        self._values = np.zeros(1 << 10, np.uint64)
        self._room(1 << 12)

    def __len__(self) -> int:
        return self._size - 1

    @property
    def values(self) -> NDArray[np.uint64]:
        """What is numbered, in the order of its numbers."""
        return self._values[1 : self._size]

    def of(self, values: NDArray[np.uint64]) -> Codes:
        """Return the numbers of some, from 0 on."""
        place = self._places(values)
        found: Codes = self._table.take(place)
        rows = np.flatnonzero(self._values.take(found) != values)
        place, values = place[rows], values[rows]
        while len(rows):
            free = np.flatnonzero(self._table.take(place) == 0)
            if 4 * (self._size + len(free)) > len(self._table):
                self._room(1 << (4 * (self._size + len(free)) - 1).bit_length())
                place = self._places(values)
                continue
            mine = free[self._first(place[free])]
            end = self._size + len(mine)
            self._values[self._size : end] = values[mine]
            self._table[place[mine]] = np.arange(self._size, end)
            self._size = end
            number = self._table.take(place)
            found[rows] = number
            missed = np.flatnonzero(self._values.take(number) != values)
            rows, place, values = rows[missed], place[missed], values[missed]
            place = (place + 1) & (len(self._table) - 1)
        return found - 1

    def _places(self, values: NDArray[np.uint64]) -> Places:
        return ((values * _ODD) >> self._shift).view(np.int64)

    def _first(self, place: Places) -> Places:
        """Return one of several for each free place."""
        order = np.arange(1, 1 + len(place), dtype=np.int32)
        self._table[place] = order
        return np.flatnonzero(self._table.take(place) == order)

    def _room(self, size: int) -> None:
        """Have a larger table, of which no more than a quarter is used."""
        self._table = np.zeros(size, np.int32)
        self._values = np.concatenate([self._values[: self._size], np.zeros(size // 4 + 1 - self._size, np.uint64)])
        self._shift = np.uint64(64 - (size.bit_length() - 1))
        numbers = np.arange(1, self._size)
        place = self._places(self.values)
        while len(numbers):
            free = np.flatnonzero(self._table.take(place) == 0)
            mine = free[self._first(place[free])]
            self._table[place[mine]] = numbers[mine]
            missed = np.flatnonzero(self._table.take(place) != numbers)
            numbers, place = numbers[missed], (place[missed] + 1) & (size - 1)


class _Pairs:
    """Pairs of a group and a person, each once, by a number; and which of them are marked, in several ways.

    While there are few persons and groups the number is worked out of both. Otherwise pairs are numbered as they come.
    """

    def __init__(self, ways: int, groups: int = 1) -> None:
        self._shift = max(1, groups - 1).bit_length()
        self._numbers: _Numbers | None = None
        self._marks = np.zeros((ways, 0), np.bool_)
        self._size = 0
        self._rows = 0

    def of(self, group: Codes, person: Codes, groups: int, persons: int) -> Places:
        """Return the numbers of pairs. There are so many ``groups`` and ``persons`` by now."""
        self._rows += len(group)
        self._room(groups, persons)
        if self._numbers is None:
            pair: Places = (person.astype(np.int64) << self._shift) + group
        else:
            pair = self._numbered(self._numbers, group, person)
        self.mark(0, pair)
        return pair

    def mark(self, way: int, pair: Places) -> None:
        """Mark pairs; that they are there at all is the first way."""
        self._marks[way][pair] = True

    def marks(self, way: int, pair: Places) -> NDArray[np.bool_]:
        """Return whether pairs are marked."""
        found: NDArray[np.bool_] = self._marks[way].take(pair)
        return found

    def present(self, most: int) -> Iterator[Places]:
        """Yield the numbers of all pairs, of ``most`` places at a time."""
        for start in range(0, self._size, most):
            yield np.flatnonzero(self._marks[0, start : min(start + most, self._size)]) + start

    def split(self, pair: Places) -> tuple[Places, Places]:
        """Return the groups and persons of pairs."""
        if self._numbers is not None:
            label = self._numbers.values.take(pair).view(np.int64) - 1
            return label & 0xFFFF_FFFF, label >> 32
        return pair & ((1 << self._shift) - 1), pair >> self._shift

    def together(self, part: Places, persons: int) -> _Pairs:
        """Return the pairs of larger groups: ``part`` says which one each group is a part of."""
        groups = int(part.max(initial=0)) + 1
        found = _Pairs(len(self._marks), groups)
        found._rows = self._rows
        for pair in self.present(CHUNK_CELLS):
            group, person = self.split(pair)
            whole = found.of(part.take(group), person, groups, persons)
            for way in range(1, len(self._marks)):
                found.mark(way, whole[self.marks(way, pair)])
        return found

    def _room(self, groups: int, persons: int) -> None:
        if self._numbers is not None:
            return
        shift = max(self._shift, (groups - 1).bit_length())
        cells = persons << shift
        if cells > min(MOST_CELLS, max(1 << 20, CELLS_PER_ROW * self._rows)):
            self._number()
            return
        if shift > self._shift:
            before = self._marks[:, : self._size].reshape(len(self._marks), -1, 1 << self._shift)
            marks = np.zeros((len(before), before.shape[1], 1 << shift), np.bool_)
            marks[:, :, : before.shape[2]] = before
            self._marks, self._shift, self._size = marks.reshape(len(before), -1), shift, 0
        self._widen(cells)

    def _number(self) -> None:
        """From now on number pairs as they come."""
        pair = np.flatnonzero(self._marks[0, : self._size])
        group, person = self.split(pair)
        marks = self._marks[:, pair]
        self._numbers = numbers = _Numbers()
        self._marks, self._size = np.zeros((len(marks), 0), np.bool_), 0
        again = self._numbered(numbers, group, person)
        for way, marked in enumerate(marks):
            self.mark(way, again[marked])

    def _numbered(self, numbers: _Numbers, group: Codes, person: Codes) -> Places:
        label = (person.astype(np.int64) << 32) + group + 1
        pair = numbers.of(label.view(np.uint64))
        if len(numbers) > MOST_PAIRS:
            raise TooMany
        self._widen(len(numbers))
        return pair

    def _widen(self, size: int) -> None:
        self._size = max(self._size, size)
        before = self._marks.shape[1]
        if size > before:
            # More than is needed costs nothing: memory that is not written to is none.
            marks = np.zeros((len(self._marks), 4 * size), np.bool_)
            marks[:, :before] = self._marks
            self._marks = marks


def _is_simple(kind: pa.DataType) -> bool:
    """Whether equal values of a type are equal in their bits: not so for 0 and -0, nor for lists."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_date(kind)
        or types.is_timestamp(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )
