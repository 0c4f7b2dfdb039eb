"""What a node's ledger is told of an answer's groups: who stands behind them, where they stand. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

BUCKETS = 256
"""Of a sketch. Two groups of up to about 30 persons' difference are told apart from those of more by them."""

PRIME = 2_147_483_647
"""Sums are kept modulo this prime (2^31 - 1), so that one sketch may be found to be a multiple of another."""

FACTOR_SHIFT = 34
"""A person's bucket are the lowest bits of the secret number, the factor is what stands above so many, plus one."""

SEED_COLUMN = "seed"


class Measure(IntEnum):
    """In which way it is taken what a person adds to a group."""

    PERSONS = 0
    ROWS = 1
    VALUES = 2


@dataclass(frozen=True, slots=True)
class Populations:
    """A statement for the rows behind an answer's groups, over the persons of one protected table under them.

    Its columns: ``keys`` group keys, the person as a secret number (UBIGINT), ``flags`` conditions (BOOLEAN) and
    ``values`` that are added up, as whole numbers (BIGINT); none but the keys is NULL. ``groupings`` are
    the grouping sets by the places of their keys where there are several. ``outputs`` are the columns of the answer
    that show the keys, None for one that is not shown. Names in the statement begin with ``prefix``.
    """

    domain: str
    sql: str
    prefix: str
    keys: int
    groupings: tuple[tuple[int, ...], ...]
    outputs: tuple[str | None, ...]
    flags: int
    values: int

    @property
    def seed_table(self) -> str:
        """The name under which the node hands in its key: one row with one UBIGINT column."""
        return f"{self.prefix}seed"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Persons and rows of a group, both again for each flag, and values."""
        counted = (Measure.PERSONS, Measure.ROWS) * (1 + self.flags)
        return (*counted, *([Measure.VALUES] * self.values))

    def set_number(self, grouping: tuple[int, ...]) -> int:
        """Return the number of a grouping set as GROUPING_ID gives it: a bit for each key that is not in it."""
        return sum(1 << (self.keys - 1 - key) for key in range(self.keys) if key not in grouping)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an answer's groups stand among the rows of ``base``, a SELECT of nothing without a WHERE.

    All is SQL over those rows: the ``keys`` that it groups by, the ``conditions`` of which each must hold, ``flags`` by
    which it tells a part of a group beside the group, ``values`` that it adds up, and for each protected table under a
    row which of 64 bits the person sets. ``outputs`` are the columns of the answer that show the keys, None for one
    that is not shown.
    """

    base: str
    keys: tuple[str, ...]
    conditions: tuple[str, ...]
    flags: tuple[str, ...]
    values: tuple[str, ...]
    persons: tuple[str, ...]
    outputs: tuple[str | None, ...]
