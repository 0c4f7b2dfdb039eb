"""Comparing totals over nodes with earlier ones: sketches of who stands behind each group, added up under masks.

A node's ledger compares its own answers by sketches of persons (``archipel.border.populations``). Those are linear, so
that the sketch of a total is the sum of its parts' sketches: contributors send theirs masked like all their numbers,
for groups that pass the threshold alone, and the aggregator, which adds them up, compares the sums in its own ledger.
Persons fall into buckets under a key that these contributors always use, and that the aggregator need not know, so that
a person of two hospitals is one person and the same one in every round.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archipel import errors, sealing
from archipel.border.measures import BUCKETS, PRIME, Populations
from archipel.masking import Numbers, Places, Shape, Words
from archipel.rounds import Round
from node_agent import ledger_sketch
from node_agent.ledger import Ledger
from node_agent.ledger_reading import FAMILY, key_codes
from node_agent.ledger_rows import Groups
from node_agent.ledger_sketch import CELL, MARGIN, Sketches, Sums
from node_agent.seeds import SEED_BYTES, seed_table

_TIMES = 1 << 20
"""A sum modulo the prime is sent with so many times the prime, at random, added: else the total of a bucket would tell
whether it is one node's alone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the sketches of one person domain are: which of the measures may be compared with which."""

    domain: str
    families: tuple[int, ...]


def kinds(populations: Sequence[Populations]) -> tuple[Kind, ...]:
    """Return what the sketches of a statement's groups are; the same at every node."""
    return tuple(Kind(asked.domain, tuple(FAMILY[measure] for measure in asked.measures)) for asked in populations)


def needed(ledger: Ledger | None) -> Ledger:
    """Return the ledger.

    Raises:
        ArchipelError: LEDGER_UNAVAILABLE when there is none.
    """
    if ledger is None:
        raise errors.error(errors.LEDGER_UNAVAILABLE, "The node runs without a ledger.")
    return ledger


def seed_of(ledger: Ledger, round_: Round) -> bytes:
    """Return the key under which the contributors of a round hash persons, in this round and in all others of theirs.

    It is made of the leader's own secret, so it is another one where another node leads.
    """
    text = json.dumps(["archipel", "totals", 1, round_.federation, round_.contributors]).encode()
    return hmac.digest(ledger.store.secret, text, "sha256")[:SEED_BYTES]


def persons_key(seed: bytes) -> pa.Table:
    """Return the key as the table that statements of populations read.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when it is none.
    """
    if len(seed) != SEED_BYTES:
        raise sealing.refused("it has no key for persons")
    return seed_table(seed)


def state_of(seed: bytes, state: str) -> str:
    """Return what tells the aggregator whether a node's data is as it was, and nothing else of it."""
    return hmac.digest(seed, b"state" + state.encode(), "sha256").hex()


def question_of(round_: Round, states: Mapping[str, str]) -> str:
    """Return what names a question of totals: the statement, over which nodes, each in which state."""
    parts = ["total", round_.federation, round_.sql_sha256, [[node, states[node]] for node in round_.contributors]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# A contributor


def sketched(found: Groups, asked: Populations, groups: pa.Table) -> Sums:
    """Return a node's sketches, of its ``groups`` that are left: measures, then groups, then buckets."""
    here = _rows(found, asked, groups)
    known = here >= 0
    sums = np.zeros((len(asked.measures), groups.num_rows, BUCKETS), np.uint32)
    sums[:, here[known]] = found.fine[known].transpose(1, 0, 2)
    return sums


def _rows(found: Groups, asked: Populations, groups: pa.Table) -> Places:
    """Return which of the node's groups each of those found is, -1 for none of them."""
    mine, shown = key_codes(found, asked, groups)
    if not asked.keys:
        return np.full(len(found.fine), 0 if groups.num_rows else -1)
    if shown is None:
        raise errors.error(errors.LEDGER_UNAVAILABLE, "What the groups are called cannot be compared.")
    _, number = np.unique(np.concatenate([shown, mine]), axis=0, return_inverse=True)
    number = number.reshape(-1)
    row_of = np.full(number.max(initial=-1) + 1, -1)
    row_of[number[: len(shown)]] = np.arange(len(shown))
    rows: Places = row_of[number[len(shown) :]]
    return rows


def shape_of(described: Sequence[Kind], groups: int) -> Shape:
    """Return the shape of the sketches of one node."""
    return Shape(groups, 0, BUCKETS * _measures(described), 0)


def _measures(described: Sequence[Kind]) -> int:
    return sum(len(kind.families) for kind in described)


def numbers_of(parts: Sequence[Sums], described: Sequence[Kind], where: Places, listed: int, shown: Places) -> Numbers:
    """Return a node's sketches of the groups that it was shown, as numbers to be masked.

    ``where`` says which place in a list of ``listed`` groups each group of its own has.
    """
    numbers = Numbers.zeros(shape_of(described, len(shown)))
    words = numbers.words.reshape(_measures(described), BUCKETS, len(shown))
    row_of = np.full(listed, -1)
    row_of[where] = np.arange(len(where))
    rows = row_of[shown]
    has = rows >= 0
    number = 0
    for part in parts:
        for sums in part:
            words[number][:, has] = sums[rows[has]].T
            number += 1
    noise = np.frombuffer(os.urandom(4 * words.size), np.uint32).reshape(words.shape)
    words += (noise % _TIMES).astype(np.uint64) * np.uint64(PRIME)
    return numbers


# The aggregator


def sums_of(numbers: Numbers, described: Sequence[Kind], groups: int, kept: Places) -> Sums:
    """Return the sketches of the totals, of some of the groups: measures of all domains, then groups, then buckets."""
    words: Words = numbers.words.reshape(_measures(described), BUCKETS, groups)[:, :, kept] % np.uint64(PRIME)
    return np.ascontiguousarray(words.transpose(0, 2, 1).astype(np.uint32))


def sketches_of(
    sums: Sums, described: Sequence[Kind], released: pa.Table, keys: Sequence[str], minimum: int
) -> dict[str, Sketches]:
    """Return what the ledger compares: the sketches of each released group, and of sums over such groups, by domain."""
    labels = codes_of(released, keys)
    found: dict[str, list[Sketches]] = {}
    start = 0
    for kind in described:
        measures = len(kind.families)
        fine = sums[start : start + measures].transpose(1, 0, 2).reshape(-1, BUCKETS)
        start += measures
        family = np.tile(np.array(kind.families, np.int8), released.num_rows)
        parts = found.setdefault(kind.domain, [])
        parts.append(_some(fine, family, CELL, minimum))
        if released.num_rows > 1:
            alike = np.zeros(released.num_rows, np.int64)
            parts.append(_some(*ledger_sketch.margins(fine, family, labels, alike), MARGIN, minimum))
    return {domain: ledger_sketch.together(parts).without_repeats() for domain, parts in found.items()}


def codes_of(table: pa.Table, keys: Sequence[str]) -> Places:
    """Return a table's keys as numbers, a row for each of its rows."""
    columns = [table.column(name).combine_chunks().dictionary_encode(null_encoding="encode") for name in keys]
    found = [np.asarray(column.indices.to_numpy(zero_copy_only=False), np.int64) for column in columns]
    return np.column_stack(found) if found else np.zeros((table.num_rows, 0), np.int64)


def domain_of(domain: str, round_: Round) -> str:
    """Return under what the ledger keeps sketches of totals: persons of one domain, by these contributors' key."""
    return f"{domain} over {', '.join(round_.contributors)}"


def _some(fine: Sums, family: np.ndarray[tuple[int], np.dtype[np.int8]], origin: int, minimum: int) -> Sketches:
    rows = len(fine)
    unknown = np.full(rows, -1, np.int64)
    every = Sketches(fine, family, unknown, np.full(rows, origin, np.int8), np.full(rows, minimum, np.int32))
    return every.take(np.flatnonzero(fine.any(axis=1)))
