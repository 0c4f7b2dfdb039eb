"""TPC-H's tables at a tenth of its smallest scale, made once and kept in pytest's cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import tpch_placements

SCALE = 0.1


@pytest.fixture(scope="session")
def tpch_queries(shared_data: Path) -> Mapping[str, str]:
    """The 22 queries; tests that need them skip where they are absent."""
    if not (shared_data / "tpch" / "queries").is_dir():
        pytest.skip("the texts of the TPC-H queries are not here")
    return tpch_placements.queries(shared_data)


@pytest.fixture(scope="session")
def tpch_data(pytestconfig: pytest.Config) -> Path:
    """The folder of the eight tables."""
    if tpch_placements.generator() is None:
        pytest.skip("tpchgen-cli, which makes the tables, is not installed")
    cache = pytestconfig.cache
    assert cache is not None
    return tpch_placements.generate(cache.mkdir("tpch") / f"scale-{SCALE}", SCALE)
