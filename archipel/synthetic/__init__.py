"""Makes up a linked French health world: CNAM and hospitals, the same persons at several of them. Nobody in it exists.

Importing this package needs nothing but the standard library; generating needs numpy (``archipel[synthetic]``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archipel import errors

WORLD_FILE = "WORLD.json"
"""Describes the tables of a world; lies in its folder once the world is whole."""

MIN_PERSONS = 200


@dataclass(frozen=True, slots=True)
class TableSize:
    """One file of a world."""

    folder: str
    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class World:
    """What was made, and where."""

    directory: Path
    persons: int
    hospitals: int
    seed: int
    files: tuple[TableSize, ...]


def generate(directory: Path, *, persons: int, hospitals: int, seed: int) -> World:
    """Write a world of Parquet files into ``directory``; the same arguments give the same bytes.

    A world that is already there is replaced; any other content is left alone and refused.

    Raises:
        ArchipelError: CONFIG_INVALID for a number out of range, a folder that holds something else, or without numpy.
    """
    try:
        import numpy  # noqa: F401 - asked for here so that the hint below stands for this cause only
    except ImportError as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            "Making up data needs numpy, which is not installed.",
            hint="Install archipel[synthetic].",
        ) from cause
    from archipel.synthetic.world import make_world

    return make_world(directory, persons, hospitals, seed)
