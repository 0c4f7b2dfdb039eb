"""From what the statement of populations gives to sketches: which rows are of which group, and which groups left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archipel.border.measures import BUCKETS, PRIME, Measure, Populations
from node_agent.ledger_sketch import CELL, MARGIN, WHOLE, Sketches, Sums, margins, together

FAMILY = {Measure.PERSONS: 0, Measure.ROWS: 1, Measure.VALUES: 1}
"""Rows and values may be taken from one another; being in a group is a matter of its own."""

Codes = NDArray[np.int64]


def of_answer(found: pa.Table, populations: Populations, released: pa.Table, minimum: int) -> Sketches:
    """Return the sketches of the released groups, and of sums over those that agree in some of their keys.

    Where the answer shows every key, what left is known; otherwise it is all groups of enough persons.
    """
    keys, shown = key_codes(found, populations, released)
    sets = _numbers(found, populations.keys) if populations.sets else np.zeros(found.num_rows, np.int64)
    label, group = np.unique(np.column_stack([sets, keys]), axis=0, return_inverse=True)
    group = group.reshape(-1)
    first = populations.keys + populations.sets
    bucket = _numbers(found, first)
    persons = [_numbers(found, first + 1 + 2 * number) for number in range(len(populations.measures))]
    if shown is None:
        left = np.bincount(group, persons[0], len(label)) >= minimum
        if not released.num_rows:
            left[:] = False
    else:
        left = _are_in(label[:, 1:], shown)
    place = np.full(len(label), -1)
    place[left] = np.arange(left.sum())
    groups, measures = int(left.sum()), len(populations.measures)
    fine = np.zeros((groups, measures, BUCKETS), np.uint32)
    counts = np.zeros((groups, measures), np.int64)
    kept = place[group] >= 0
    at = place[group[kept]]
    for number in range(measures):
        added = _numbers(found, first + 2 + 2 * number)[kept] % PRIME
        fine[at, number, bucket[kept]] = added.astype(np.uint32)
        np.add.at(counts[:, number], at, persons[number][kept])
    flat: Sums = fine.reshape(-1, BUCKETS)
    family = np.tile(np.array([FAMILY[measure] for measure in populations.measures], np.int8), groups)
    cells = _sketches(flat, family, counts.reshape(-1), CELL, minimum)
    parts = [cells.take(np.flatnonzero(cells.persons > 0))]
    if groups > 1:
        sums, families = margins(flat, family, label[left][:, 1:], label[left][:, 0])
        unknown = np.full(len(sums), -1, np.int64)
        total = _sketches(sums, families, unknown, MARGIN, minimum)
        parts.append(total.take(np.flatnonzero(sums.any(axis=1))))
    return together(parts).without_repeats()


def of_whole(found: pa.Table, populations: Populations, minimum: int) -> Sketches:
    """Return the sketches of everybody in a table."""
    measures = len(populations.measures)
    fine = np.zeros((measures, BUCKETS), np.uint32)
    counts = np.zeros(measures, np.int64)
    for number in range(measures):
        fine[number, _numbers(found, 0)] = (_numbers(found, 2 + 2 * number) % PRIME).astype(np.uint32)
        counts[number] = _numbers(found, 1 + 2 * number).sum()
    family = np.array([FAMILY[measure] for measure in populations.measures], np.int8)
    whole = _sketches(fine, family, counts, WHOLE, minimum)
    return whole.take(np.flatnonzero(whole.persons > 0))


def _sketches(fine: Sums, family: NDArray[np.int8], persons: Codes, origin: int, minimum: int) -> Sketches:
    rows = len(fine)
    return Sketches(fine, family, persons, np.full(rows, origin, np.int8), np.full(rows, minimum, np.int32))


def key_codes(found: pa.Table, populations: Populations, released: pa.Table) -> tuple[Codes, Codes | None]:
    """Return the keys of each row as numbers, and those of the released groups, if the answer shows all of them."""
    mine: list[Codes] = []
    shown: list[Codes] = []
    for number, name in enumerate(populations.outputs):
        column = found.column(number).combine_chunks()
        other = released.column(name).combine_chunks() if name is not None else None
        if other is not None and other.type != column.type:
            other = None
        codes = _encoded([column] if other is None else [column, other])
        mine.append(codes[: len(column)])
        if other is not None:
            shown.append(codes[len(column) :])
    every = np.column_stack(mine) if mine else np.zeros((found.num_rows, 0), np.int64)
    if len(shown) < populations.keys or not populations.keys:
        return every, None
    return every, np.column_stack(shown)


def _encoded(arrays: Sequence[pa.Array]) -> Codes:
    whole = pa.chunked_array(arrays).combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk
        return np.zeros(0, np.int64)
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    if pa.types.is_nested(whole.type):
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(repr(value), len(seen)) for value in whole.to_pylist()], np.int64)
    return np.asarray(whole.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False), np.int64)


def _are_in(keys: Codes, shown: Codes) -> NDArray[np.bool_]:
    both = np.concatenate([keys, shown])
    _, number = np.unique(both, axis=0, return_inverse=True)
    number = number.reshape(-1)
    return np.isin(number[: len(keys)], number[len(keys) :])


def _numbers(table: pa.Table, column: int) -> Codes:
    return np.asarray(table.column(column).to_numpy(), np.int64)
