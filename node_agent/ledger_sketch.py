"""Comparing groups of persons by their sketches: how many persons, at least, is one the other with or without?

Numbers only: no engine, no disk. A sketch (``archipel.border.measures``) is ``BUCKETS`` sums modulo ``PRIME``, and
linear. If fewer than k persons tell two groups apart, fewer than k buckets of the difference of their sketches are not
zero. This holds without exception, so that no such pair is missed. The other way round, two groups that differ by just
k persons or a few more may seem to differ by fewer, when persons share a bucket: with 256 buckets a fifth of the pairs
that differ by 11 persons are taken to differ by 10.

An index in memory keeps for each sketch 64 *coarse* sums (random linear combinations of four buckets each, so linear,
too) and the 32 *ratios* of neighbouring ones, which a group and its double, or its half, have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archipel.border.measures import BUCKETS, PRIME

COARSE = 64
RATIOS = COARSE // 2
BLOCKS = 16
LEAST_PROBES = 4
"""Three groups are looked up by sums over a sixteenth of the buckets each, by so many of them at least. They are missed
where each of those is touched by a person who tells the groups apart, or empty in one of them."""
PROBED = 500_000
"""Pairs of a new and an earlier group times probes: with fewer pairs all sixteen are probed."""
FILTER = (1 << 17) - 1
"""Lowest bits of a sum by which it is seen at once that nearly none of those looked for is there."""
COMPARED_AT_ONCE = 1 << 20
"""New sketches times earlier ones."""
WHOLES = 16
"""Tables of which everybody is taken together with earlier groups."""
MORE_MARGINS = 256
"""Sums over groups that are kept beyond the number of sketches of the groups themselves."""

Sums = NDArray[np.uint32]
Numbers = NDArray[np.int64]

_P = np.uint64(PRIME)
# Fixed and public: they only have to be different from anything that persons' factors, which are secret, could match.
_WEIGHTS = np.random.default_rng(20_250_327).integers(1, PRIME, BUCKETS, dtype=np.uint64)
_BLOCK_WEIGHTS = np.random.default_rng(20_250_328).integers(1, PRIME, COARSE // BLOCKS, dtype=np.int64)
_FOLDS = np.random.default_rng(20_250_329).integers(1, 1 << 62, BLOCKS, dtype=np.uint64)
_INFINITE, _NOTHING = np.uint32(PRIME), np.uint32(PRIME + 1)


def empty() -> Sums:
    """Return no sketches."""
    return np.zeros((0, BUCKETS), np.uint32)


def coarse(fine: Sums) -> Sums:
    """Return the coarse sums of sketches, one row each."""
    products = (fine.astype(np.uint64) * _WEIGHTS) % _P
    found: Sums = (products.reshape(len(fine), COARSE, BUCKETS // COARSE).sum(axis=2) % _P).astype(np.uint32)
    return found


def ratios(sums: Sums) -> Sums:
    """Return the ratios of neighbouring coarse sums; marks of their own for a zero below, and for two zeros."""
    above, below = sums[:, 0::2], sums[:, 1::2]
    found: Sums = ((above.astype(np.uint64) * inverse(below).astype(np.uint64)) % _P).astype(np.uint32)
    found[(below == 0) & (above != 0)] = _INFINITE
    found[(below == 0) & (above == 0)] = _NOTHING
    return found


def inverse(numbers: Sums) -> Sums:
    """Return what each number gives one with, modulo the prime (Fermat); 0 for 0."""
    base, found, exponent = numbers.astype(np.uint64), np.ones(numbers.shape, np.uint64), PRIME - 2
    while exponent:
        if exponent & 1:
            found = (found * base) % _P
        base = (base * base) % _P
        exponent >>= 1
    result: Sums = np.where(numbers == 0, 0, found).astype(np.uint32)
    return result


def combined(fine: Sums, signs: tuple[int, ...]) -> Sums:
    """Return the sum of some sketches, each with its sign."""
    total = np.zeros(fine.shape[1], np.int64)
    for row, sign in zip(fine, signs, strict=True):
        total += sign * row.astype(np.int64)
    found: Sums = (total % PRIME).astype(np.uint32)
    return found


def apart(one: Sums, other: Sums) -> int:
    """Return how many persons, at least, tell two groups apart, whatever number the sums of one are multiplied by.

    Groups that have nobody in common who adds the same to both are not compared: their difference is about all of them.
    """
    both = (one != 0) & (other != 0)
    factors = (one[both].astype(np.uint64) * inverse(other[both]).astype(np.uint64)) % _P
    usual, times = np.unique(factors, return_counts=True)
    often = np.argsort(times)[::-1][:3]
    found = BUCKETS
    for factor, agreeing in zip(usual[often], times[often], strict=True):
        # That two buckets agree in a factor is no accident; one always does, in its own.
        if agreeing > 1 or factor == 1:
            scaled = (other.astype(np.uint64) * factor) % _P
            found = min(found, int(np.count_nonzero(scaled != one.astype(np.uint64))))
    if len(usual) > 3 and (one[both] == other[both]).any():
        found = min(found, int(np.count_nonzero(one != other)))
    return found


@dataclass(frozen=True, slots=True)
class Sketches:
    """Sketches of groups, one row each, and of what: the same rows in every array.

    ``family``: which may be compared with one another. ``persons``: how many there are behind it, -1 where not known.
    ``origin``: what it is of (``CELL``, ``MARGIN``, ``WHOLE``). ``minimum``: fewest persons whose part may be told.
    """

    fine: Sums
    family: NDArray[np.int8]
    persons: Numbers
    origin: NDArray[np.int8]
    minimum: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.fine)

    def take(self, rows: NDArray[np.intp]) -> Sketches:
        """Return some of the rows."""
        return Sketches(self.fine[rows], self.family[rows], self.persons[rows], self.origin[rows], self.minimum[rows])

    def without_repeats(self) -> Sketches:
        """Return each sketch of a family and origin once."""
        if not len(self):
            return self
        whole = np.ascontiguousarray(
            np.column_stack([self.fine, self.family.astype(np.uint32), self.origin.astype(np.uint32)])
        )
        marks = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
        return self.take(np.sort(np.unique(marks, return_index=True)[1]))


CELL, MARGIN, WHOLE = 0, 1, 2


def together(parts: list[Sketches]) -> Sketches:
    """Return the rows of all parts."""
    return Sketches(
        np.concatenate([part.fine for part in parts]),
        np.concatenate([part.family for part in parts]),
        np.concatenate([part.persons for part in parts]),
        np.concatenate([part.origin for part in parts]),
        np.concatenate([part.minimum for part in parts]),
    )


class Index:
    """What is kept in memory of the sketches of one person domain, to find which may be close to a new one."""

    def __init__(self) -> None:
        self._size = 0
        self._coarse: Sums = np.zeros((0, COARSE), np.uint32)
        self._ratios: Sums = np.zeros((RATIOS, 0), np.uint32)  # by columns: few of them are looked at
        self._facts = np.zeros((0, 4), np.int64)  # family, persons, origin, minimum

    def __len__(self) -> int:
        return self._size

    def add(self, sketches: Sketches, sums: Sums | None = None) -> None:
        """Append sketches; ``sums`` are their coarse sums where they are known."""
        sums = coarse(sketches.fine) if sums is None else sums
        end = self._size + len(sums)
        if end > len(self._coarse):
            room = max(end, 2 * len(self._coarse), 64)
            self._coarse, self._facts = (
                np.concatenate([kept[: self._size], np.zeros((room - self._size, kept.shape[1]), kept.dtype)])
                for kept in (self._coarse, self._facts)
            )
            more = np.zeros((RATIOS, room - self._size), np.uint32)
            self._ratios = np.concatenate([self._ratios[:, : self._size], more], axis=1)
        self._coarse[self._size : end] = sums
        self._ratios[:, self._size : end] = ratios(sums).T
        self._facts[self._size : end] = np.column_stack(
            [sketches.family, sketches.persons, sketches.origin, sketches.minimum]
        )
        self._size = end

    def truncate(self, size: int) -> None:
        """Forget the sketches that were added last, so that ``size`` remain."""
        self._size = size

    def minimum(self, row: int) -> int:
        """Return the fewest persons whose part of an earlier answer may be told."""
        return int(self._facts[row, 3])

    def origin(self, row: int) -> int:
        """Return what an earlier sketch is of."""
        return int(self._facts[row, 2])

    def holds(self, difference: Sums, family: int) -> bool:
        """Whether a difference of sketches is a multiple of that of a group that was released."""
        rows = np.flatnonzero((self._facts[: self._size, 0] == family) & (self._facts[: self._size, 2] == CELL))
        sums = coarse(difference[None, :])[0].astype(np.uint64)
        some = int(np.flatnonzero(sums)[0]) if sums.any() else 0
        known = self._coarse[rows].astype(np.uint64)
        # One is a multiple of the other if they are so in each sum as in the first that is not zero.
        multiples = ((known * sums[some]) % _P == (sums * known[:, some : some + 1]) % _P).all(axis=1)
        return bool((multiples & (known[:, some] != 0)).any())

    def near(self, new: Sketches, minimum: int) -> Iterator[tuple[int, int]]:
        """Yield (row of ``new``, row of this index) of pairs that fewer persons than allowed may tell apart."""
        facts = self._facts[: self._size]
        if not len(facts):
            return
        least = np.maximum(facts[:, 3], minimum)
        found = ratios(coarse(new.fine))
        # Fewer than so many ratios differ, so that of any so many one is the same.
        looked_at = int(least.max())
        step = max(1, COMPARED_AT_ONCE // len(facts))
        for start in range(0, len(new), step):
            some = found[start : start + step]
            hits = np.full((len(some), len(facts)), looked_at > RATIOS)
            for ratio in range(min(looked_at, RATIOS)):
                hits |= some[:, ratio, None] == self._ratios[ratio, None, : self._size]
            mine, theirs = np.nonzero(hits)
            rows = mine + start
            may = facts[theirs, 0] == new.family[rows]
            may &= (new.origin[rows] == CELL) | (facts[theirs, 2] != WHOLE)
            known = (new.persons[rows] >= 0) & (facts[theirs, 1] >= 0)
            may &= ~known | (np.abs(facts[theirs, 1] - new.persons[rows]) < least[theirs])
            rows, theirs = rows[may], theirs[may]
            same = (self._ratios[:, theirs] == found[rows].T).sum(axis=0)
            close = same > RATIOS - least[theirs]
            yield from zip(rows[close].tolist(), theirs[close].tolist(), strict=True)

    def known(self, sketches: Sketches) -> NDArray[np.bool_]:
        """Return which of some sketches are those of groups that were released before."""
        mine = _marks(coarse(sketches.fine), sketches.family)
        earlier = self._facts[: self._size, 2] == CELL
        found: NDArray[np.bool_] = np.isin(
            mine, _marks(self._coarse[: self._size], self._facts[: self._size, 0])[earlier]
        )
        return found

    def sums_of_two(self, new: Sketches, families: tuple[int, ...], newest: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (row of ``new``, two rows of this index, sign) where ``new`` may be nearly the one plus sign the other.

        Of the index only the ``newest`` groups are looked at, and everybody in a table: what is compared grows with
        their square. A candidate is still to be verified.
        """
        for family in families:
            facts = self._facts[: self._size]
            pool = np.flatnonzero((facts[:, 0] == family) & (facts[:, 2] != WHOLE))[-newest:]
            pool = np.concatenate([np.flatnonzero((facts[:, 0] == family) & (facts[:, 2] == WHOLE))[-WHOLES:], pool])
            rows = np.flatnonzero(new.family == family)
            if len(pool) < 2 or not len(rows):
                continue
            ours, theirs = _blocks(coarse(new.fine[rows])), _blocks(self._coarse[pool])
            probes = max(LEAST_PROBES, min(BLOCKS, PROBED // (len(rows) * len(pool))))
            for probe in range(probes):
                known = theirs[:, probe].astype(np.int32)
                order = np.argsort(known, kind="stable")
                sorted_known = known[order]
                there = np.zeros(FILTER + 1, np.bool_)
                there[known & FILTER] = True
                rest = ours[:, probe].astype(np.int32)[:, None] - known[None, :]
                rest += (rest >> 31) & np.int32(PRIME)
                for sign in (1, -1):
                    # new = b + c: look for c among new - b; new = b - c: for c among b - new.
                    wanted = (rest if sign == 1 else np.int32(PRIME) - rest).reshape(-1)
                    maybe = np.flatnonzero(there.take(wanted & FILTER))
                    values = wanted[maybe]
                    begin = np.searchsorted(sorted_known, values)
                    begin[begin == len(known)] = 0
                    hits = np.flatnonzero((sorted_known[begin] == values) & (values != 0))
                    for pair, value, start in zip(maybe[hits], values[hits], begin[hits].tolist(), strict=True):
                        number, b = divmod(int(pair), len(known))
                        end = int(np.searchsorted(sorted_known, value, side="right"))
                        for c in order[start : min(end, start + 8)]:
                            if int(c) != b:
                                yield int(rows[number]), int(pool[b]), int(pool[c]), sign


def _marks(sums: Sums, family: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each sketch that no other has but by an accident in 2^60."""
    blocks = _blocks(sums).astype(np.uint64)
    found: NDArray[np.uint64] = (blocks[:, 0] << np.uint64(32)) ^ blocks[:, 1] ^ _folded(blocks[:, 2:])
    return found ^ (family.astype(np.uint64) << np.uint64(63))


def _folded(blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = (blocks * _FOLDS[: blocks.shape[1]]).sum(axis=1, dtype=np.uint64)
    return found


def _blocks(sums: Sums) -> Numbers:
    """Return sums over fewer and larger parts than the coarse ones, so that small groups have somebody in each."""
    found: Numbers = (
        (sums.astype(np.int64).reshape(len(sums), BLOCKS, COARSE // BLOCKS) * _BLOCK_WEIGHTS) % PRIME
    ).sum(axis=2) % PRIME
    return found


def margins(
    fine: Sums, family: NDArray[np.int8], keys: NDArray[np.int64], sets: NDArray[np.int64]
) -> tuple[Sums, NDArray[np.int8]]:
    """Return the sketches of sums over groups that agree in some of their keys, and their families.

    Sketches stand group by group, the same measures of each. ``keys`` are the groups' keys as numbers, ``sets`` their
    grouping sets. A sum of one group is that group and left out. With more than four keys only single ones, and none,
    are kept; those by fewer keys come first, and when there are more of them than groups the rest is left out.
    """
    sums: list[Sums] = []
    families: list[NDArray[np.int8]] = []
    measures = len(fine) // max(1, len(keys))
    made, most = 0, len(fine) + MORE_MARGINS
    for chosen in _subsets(keys.shape[1]):
        label = np.column_stack([sets, keys[:, chosen]])
        _, part, size = np.unique(label, axis=0, return_inverse=True, return_counts=True)
        part = part.reshape(-1)
        if not (size > 1).any():
            continue
        total = np.zeros((len(size), measures, fine.shape[1]), np.uint64)
        np.add.at(total, part, fine.reshape(len(keys), measures, -1).astype(np.uint64))
        several = np.flatnonzero(size > 1)
        made += len(several) * measures
        if made > most:
            break
        sums.append((total[several] % _P).astype(np.uint32).reshape(-1, fine.shape[1]))
        families.append(np.tile(family[:measures], len(several)))
    if not sums:
        return empty(), np.zeros(0, np.int8)
    return np.concatenate(sums), np.concatenate(families)


def _subsets(keys: int) -> list[list[int]]:
    if keys > 4:
        return [[], *([key] for key in range(keys))]
    chosen = [[key for key in range(keys) if number >> key & 1] for number in range((1 << keys) - 1)]
    return sorted(chosen, key=len)
