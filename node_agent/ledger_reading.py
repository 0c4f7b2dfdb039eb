"""From what the statement of populations gives to sketches: which rows are of which group, and which groups left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archipel.border import populations
from archipel.border.measures import BUCKETS, PRIME, Measure, Populations
from node_agent.ledger_rows import Gathering, Groups, TooMany
from node_agent.ledger_sketch import CELL, MARGIN, WHOLE, Sketches, Sums, margins, together

FAMILY = {Measure.PERSONS: 0, Measure.ROWS: 1, Measure.VALUES: 1}
"""Rows and values may be taken from one another; being in a group is a matter of its own."""

Codes = NDArray[np.int64]


Gather = Callable[[str, Mapping[str, pa.Table], Callable[[pa.RecordBatchReader], Groups]], Groups]
"""Runs a statement over the node's data and some more, and returns what is made of its rows as they come."""


def gathered(asked: Populations, seed: pa.Table, gather: Gather) -> Groups:
    """Return the groups behind an answer: from their rows or, where these are too many, from the engine."""
    more = {asked.seed_table: seed}
    try:
        return gather(asked.sql, more, Gathering(asked).take)
    except TooMany:
        return gather(populations.grouped(asked), more, lambda reader: of_grouped(reader.read_all(), asked))


def of_answer(found: Groups, asked: Populations, released: pa.Table, minimum: int) -> Sketches:
    """Return the sketches of the released groups, and of sums over those that agree in some of their keys.

    Where the answer shows every key, what left is known; otherwise it is all groups of enough persons.
    """
    keys, shown = key_codes(found, asked, released)
    if shown is None:
        left = found.persons[:, 0] >= minimum
        if not released.num_rows:
            left[:] = False
    else:
        left = _are_in(keys, shown)
    keys, sets, fine = keys[left], found.sets[left], found.fine[left]
    flat: Sums = fine.reshape(-1, BUCKETS)
    family = np.tile(np.array([FAMILY[measure] for measure in asked.measures], np.int8), len(fine))
    cells = _sketches(flat, family, found.persons[left].reshape(-1), CELL, minimum)
    parts = [cells.take(np.flatnonzero(flat.any(axis=1)))]
    if len(fine) > 1:
        sums, families = margins(flat, family, keys, sets)
        unknown = np.full(len(sums), -1, np.int64)
        total = _sketches(sums, families, unknown, MARGIN, minimum)
        parts.append(total.take(np.flatnonzero(sums.any(axis=1))))
    return together(parts).without_repeats()


def of_whole(found: Groups, asked: Populations, minimum: int) -> Sketches:
    """Return the sketches of everybody in a table."""
    flat: Sums = found.fine.reshape(-1, BUCKETS)
    family = np.tile(np.array([FAMILY[measure] for measure in asked.measures], np.int8), len(found.fine))
    whole = _sketches(flat, family, found.persons.reshape(-1), WHOLE, minimum)
    return whole.take(np.flatnonzero(flat.any(axis=1)))


def of_grouped(found: pa.Table, asked: Populations) -> Groups:
    """Return what the engine grouped (``archipel.border.populations.grouped``)."""
    columns = [found.column(number).combine_chunks() for number in range(asked.keys)]
    labels = [_encoded([column]) for column in columns]
    first = asked.keys + 1
    label = np.column_stack([_numbers(found, asked.keys), *labels])
    _, one, group = np.unique(label, axis=0, return_index=True, return_inverse=True)
    group, bucket = group.reshape(-1), _numbers(found, first)
    shape = (len(one), len(asked.measures))
    fine, persons = np.zeros((*shape, BUCKETS), np.uint32), np.zeros(shape, np.int64)
    for number in range(shape[1]):
        fine[group, number, bucket] = (_numbers(found, first + 2 + 2 * number) % PRIME).astype(np.uint32)
        np.add.at(persons[:, number], group, _numbers(found, first + 1 + 2 * number))
    keys = tuple(column.take(pa.array(one)) for column in columns)
    return Groups(keys, label[one, 0], fine, persons)


def _sketches(fine: Sums, family: NDArray[np.int8], persons: Codes, origin: int, minimum: int) -> Sketches:
    rows = len(fine)
    return Sketches(fine, family, persons, np.full(rows, origin, np.int8), np.full(rows, minimum, np.int32))


def key_codes(found: Groups, asked: Populations, released: pa.Table) -> tuple[Codes, Codes | None]:
    """Return the keys of each group as numbers, and those of the released groups, if the answer shows all of them."""
    mine: list[Codes] = []
    shown: list[Codes] = []
    for column, name in zip(found.keys, asked.outputs, strict=True):
        other = released.column(name).combine_chunks() if name is not None else None
        if other is not None and other.type != column.type:
            other = None
        codes = _encoded([column] if other is None else [column, other])
        mine.append(codes[: len(column)])
        if other is not None:
            shown.append(codes[len(column) :])
    every = np.column_stack(mine) if mine else np.zeros((len(found.sets), 0), np.int64)
    if len(shown) < asked.keys or not asked.keys:
        return every, None
    return every, np.column_stack(shown)


def _encoded(arrays: Sequence[pa.Array]) -> Codes:
    whole = pa.chunked_array(arrays).combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk
        return np.zeros(0, np.int64)
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    if pa.types.is_floating(whole.type):
        whole = pc.add(whole, pa.scalar(0.0, whole.type))  # the engine's groups have one zero, and show either
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
