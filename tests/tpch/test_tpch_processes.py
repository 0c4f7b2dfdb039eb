"""Some of TPC-H's queries through real processes: the eight tables at five holders, rows sealed from node to node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import comparing
import duckdb
import pytest

import archipel
from archipel.demo.layout import write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import tpch_placements

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]


@pytest.fixture(scope="module")
def holders(tpch_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[archipel.Connection]:
    """A connection to five holders."""
    directory = tmp_path_factory.mktemp("holders")
    setups = tpch_placements.setups(tpch_placements.HOLDERS, tpch_data, directory / "data")
    with LocalFederation(write_layout(directory / "federation", setups)) as federation, federation.connect() as opened:
        yield opened


@pytest.fixture(scope="module")
def pooled(tpch_data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One DuckDB over the same files."""
    with tpch_placements.oracle(tpch_data) as database:
        yield database


@pytest.mark.parametrize("query", ["q03", "q05", "q09", "q18", "q21"])
def test_a_query_over_five_holders_moves_rows_sealed_and_answers_as_one_database(
    query: str, holders: archipel.Connection, pooled: duckdb.DuckDBPyConnection, tpch_queries: Mapping[str, str]
) -> None:
    sql = tpch_queries[query]
    result = holders.query_and_wait(sql, timeout_s=60)
    assert result.complete
    assert comparing.difference(result.to_arrow(), pooled.execute(sql).to_arrow_table(), sql) == ""
    sealed = [crossing for crossing in result.crossings if crossing.receiver]
    assert sealed
    assert sum(crossing.bytes or 0 for crossing in sealed) > 0
