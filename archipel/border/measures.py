"""What a node's ledger is told of an answer's groups: who stands behind them, where they stand. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

BUCKETS = 256
"""Of a sketch. Two groups of up to about 30 persons' difference are told apart from those of more by them."""

PRIME = 2_147_483_647
"""Sums are kept modulo this prime (2^31 - 1), so that one sketch may be found to be a multiple of another."""

SEED_COLUMN = "seed"


class Measure(IntEnum):
    """In which way it is taken what a person adds to a group."""

    PERSONS = 0
    ROWS = 1
    VALUES = 2


@dataclass(frozen=True, slots=True)
class Populations:
    """A statement that gives the sketches of an answer's groups, over the persons of one protected table under it.

    Its columns: ``keys`` group keys, then with ``sets`` the number of the grouping set, the bucket, and for each of
    ``measures`` the persons who add something and the sum. ``outputs`` are the columns of the answer that show the
    keys, None for one that is not shown. ``seed_table`` is the name under which the node hands in its key: one row with
    one UBIGINT column.
    """

    domain: str
    sql: str
    keys: int
    sets: bool
    outputs: tuple[str | None, ...]
    measures: tuple[Measure, ...]
    seed_table: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an answer's groups stand among the rows of ``base``, a SELECT of nothing without a WHERE.

    All is SQL over those rows: the ``keys`` that it groups by, the ``conditions`` of which each must hold, ``flags`` by
    which it tells a part of a group beside the group, ``values`` that it adds up, and for each protected table under a
    row which of 64 bits the person sets. ``outputs`` are the columns of the answer that show the keys, None for one that is not shown.
    """

    base: str
    keys: tuple[str, ...]
    conditions: tuple[str, ...]
    flags: tuple[str, ...]
    values: tuple[str, ...]
    persons: tuple[str, ...]
    outputs: tuple[str | None, ...]
