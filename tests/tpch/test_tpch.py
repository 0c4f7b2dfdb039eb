"""The 22 queries of TPC-H over every placement, against one DuckDB that holds all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import comparing
import duckdb
import pytest
from planning import request
from tpch_federation import OnEngines

from archipel import errors
from archipel.schema import Form
from benchmarks import tpch_placements
from benchmarks.tpch_placements import PLACEMENTS, QUERIES, SCATTERED, Placement

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(120)]

ALL: Mapping[str, Placement] = {**PLACEMENTS, SCATTERED.name: SCATTERED}

NOT_YET: Mapping[tuple[str, str], str] = {}
"""(placement, query): why it is refused today. An entry whose query is answered fails the test, so that it goes."""

AGGREGATES = {"protected": False, "coordinator": "aggregate", "peers": {"*": "rows"}}
"""Rows go from node to node, and the coordinator gets nothing but aggregates."""

OF_ROWS = ("q02", "q15", "q20")
"""Queries whose answers are rows of tables: under ``AGGREGATES`` no plan is legal."""

Open = Callable[..., OnEngines]


@pytest.fixture(scope="module")
def opened(tpch_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Return the federation of a placement, which is opened when it is first asked for."""
    found: dict[tuple[str, str], OnEngines] = {}

    def open_one(name: str, policy: Mapping[str, Any] = tpch_placements.OPEN) -> OnEngines:
        case = (name, policy["coordinator"])
        if case not in found:
            directory = tmp_path_factory.mktemp(name)
            setups = tpch_placements.setups(ALL[name], tpch_data, directory / "data", policy=policy)
            found[case] = OnEngines(directory / "federation", setups)
        return found[case]

    yield open_one
    for federation in found.values():
        federation.close()


@pytest.fixture(scope="module")
def pooled(tpch_data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One DuckDB over the same files."""
    with tpch_placements.oracle(tpch_data) as database:
        yield database


def _cases() -> list[object]:
    cases: list[object] = []
    for placement in ALL:
        for query in QUERIES:
            reason = NOT_YET.get((placement, query))
            marks = [pytest.mark.xfail(reason=reason, raises=errors.ArchipelError, strict=True)] if reason else []
            cases.append(pytest.param(placement, query, marks=marks, id=f"{placement}-{query}"))
    return cases


@pytest.mark.parametrize(("placement", "query"), _cases())
def test_a_query_is_answered_as_by_one_database(
    placement: str,
    query: str,
    opened: Open,
    pooled: duckdb.DuckDBPyConnection,
    tpch_queries: Mapping[str, str],
) -> None:
    sql = tpch_queries[query]
    answer = opened(placement).ask(request(sql)).table
    expected = pooled.execute(sql).to_arrow_table()
    assert expected.num_rows > 0
    assert comparing.difference(answer, expected, sql) == ""


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("placement", ["sharded", "holders", "hashed"])
def test_a_query_is_answered_where_the_coordinator_gets_only_aggregates_or_refused_if_it_asks_for_rows(
    placement: str,
    query: str,
    opened: Open,
    pooled: duckdb.DuckDBPyConnection,
    tpch_queries: Mapping[str, str],
) -> None:
    sql, federation = tpch_queries[query], opened(placement, AGGREGATES)
    if query in OF_ROWS:
        with pytest.raises(errors.ArchipelError) as refusal:
            federation.ask(request(sql))
        assert refusal.value.code in {"BORDER_REFUSED", "POLICY_REFUSED", "SQL_UNSUPPORTED"}
        return
    answer = federation.ask(request(sql))
    assert comparing.difference(answer.table, pooled.execute(sql).to_arrow_table(), sql) == ""
    for exchange in answer.plan.exchanges:
        if not answer.plan.is_sealed(exchange):
            assert exchange.form <= Form.AGGREGATE
