"""Fixtures that several test folders use: a small world, a federation of real processes, third-party data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel import synthetic
from archipel.demo.layout import NOT_COMPARED, Layout, write_layout
from archipel.demo.oracle import Oracle, shards_of
from archipel.demo.processes import LocalFederation
from archipel.demo.world_setup import world_setups

WORLD_PERSONS = 4_000
WORLD_HOSPITALS = 3
WORLD_SEED = 7


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party data; tests that need it skip where it is absent."""
    path = Path(os.environ.get("ARCHIPEL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("third-party data is not here (set ARCHIPEL_SHARED_DATA to its folder)")
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated world of CNAM and three hospitals."""
    directory = tmp_path_factory.mktemp("world")
    synthetic.generate(directory, persons=WORLD_PERSONS, hospitals=WORLD_HOSPITALS, seed=WORLD_SEED)
    return directory


@pytest.fixture(scope="session")
def oracle(world: Path) -> Iterator[Oracle]:
    """One DuckDB that holds all rows of the world."""
    database = Oracle(shards_of(world))
    yield database
    database.close()


@pytest.fixture(scope="session")
def layout(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Keys and configuration of a federation over the world."""
    return write_layout(tmp_path_factory.mktemp("federation"), world_setups(world), node_policy=NOT_COMPARED)


@pytest.fixture(scope="session")
def federation(layout: Layout) -> Iterator[LocalFederation]:
    """Coordinator and four nodes as real processes, for tests that leave it as they found it."""
    with LocalFederation(layout) as running:
        yield running
