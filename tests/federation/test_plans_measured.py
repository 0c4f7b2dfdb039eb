"""Plans through every process: what EXPLAIN says before a query runs, and what EXPLAIN ANALYZE measured when it has."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import duckdb
import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archipel import errors, receipt
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.oracle import Oracle
from archipel.demo.processes import LocalFederation

pytestmark = pytest.mark.federation

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "plan.schema.json").read_text())
SQL = (
    "SELECT COD_SEX, count(*) AS n, avg(SEJ_NBJ) AS days FROM T_MCOaaB GROUP BY COD_SEX HAVING count(*) > 1 ORDER BY 1"
)


def test_a_plan_says_what_will_cross_and_nothing_runs(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        before = len(connection.queries())
        plan = connection.explain(SQL)
        asked = connection.query_and_wait("EXPLAIN " + SQL)
        assert len(connection.queries()) == before
    jsonschema.validate(plan.to_dict(), SCHEMA)
    assert "crosses as aggregate" in plan.text
    assert "measured" not in plan.text
    assert asked.to_arrow().to_pydict() == {"plan": plan.text.split("\n")}
    assert ET.fromstring(plan.svg).tag.endswith("svg")


def test_analyze_measures_every_stage_at_every_node_and_agrees_with_the_answer(
    federation: LocalFederation, oracle: Oracle
) -> None:
    with federation.connect() as connection:
        plan = connection.explain(SQL, analyze=True)
        result = connection.get_query(plan.query_id).result()
    document = plan.to_dict()
    jsonschema.validate(document, SCHEMA)
    assert result.to_arrow().num_rows == document["query"]["result_rows"] == oracle.query(SQL).num_rows
    stages = {stage["stage_id"]: stage for stage in document["stages"]}
    measured = {measure["stage_id"]: measure for measure in document["measured"]}
    assert measured.keys() == stages.keys()
    by_node = {node.node: node for node in result.nodes}
    for stage_id, stage in stages.items():
        sites = measured[stage_id]["sites"]
        if stage["kind"] != "node":
            assert (sites, measured[stage_id]["total_ms"] > 0) == ([], True)
            continue
        assert tuple(site["node"] for site in sites) == tuple(stage["sites"])
        for site in sites:
            assert site["rows"] == 2, "both sexes are at every hospital, and these nodes tell what they withhold"
            assert site["bytes"] == by_node[site["node"]].bytes_crossed
            assert site["engine_ms"] == pytest.approx(by_node[site["node"]].engine_ms, abs=0.001)
            assert 0 < site["engine_ms"] < site["total_ms"] <= document["query"]["elapsed_ms"]
            assert site["attempts"] == 1
    crossed = [e["measured_bytes"] for e in document["exchanges"] if stages[e["source"]]["kind"] == "node"]
    assert sum(crossed) == result.bytes_crossed
    assert all(f"\n        {node} " in plan.text for node in by_node)
    assert f"Query {plan.query_id} finished after " in plan.text


def test_the_picture_of_a_query_that_ran_names_its_nodes_and_bytes(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        result = connection.query_and_wait("EXPLAIN (ANALYZE, FORMAT svg) " + SQL)
    (picture,) = result.to_arrow().column("plan").to_pylist()
    lines = ["".join(element.itertext()) for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "3 nodes" in lines, "hospitals that do the same share a lane"
    assert any(line.startswith("measured: 6 rows, ") for line in lines)
    assert any(line.startswith("result: ") for line in lines)
    assert result.nodes
    assert result._repr_html_().count("<svg") == 1


def test_the_plan_of_a_query_is_found_again_later_by_its_researcher(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        query = connection.query(SQL)
        query.result()
    with federation.connect() as connection:
        later = connection.explain_query(query.query_id)
        assert later.to_dict()["query"]["state"] == "finished"
        assert "measured: " in later.text
        with pytest.raises(errors.ProgrammingError) as problem:
            connection.explain_query("0" * 36)
        assert problem.value.code == "QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT NIR_ANO_17 FROM T_MCOaaB",
        "EXPLAIN ANALYZE SELECT NIR_ANO_17 FROM T_MCOaaB",
        "EXPLAIN (FORMAT json)\nSELECT NIR_ANO_17 FROM T_MCOaaB",
    ],
)
def test_a_refusal_under_explain_points_into_the_text_as_it_was_written(sql: str, federation: LocalFederation) -> None:
    with federation.connect() as connection, pytest.raises(errors.NotAllowedError) as refusal:
        connection.query_and_wait(sql)
    assert (refusal.value.code, refusal.value.rule) == ("BORDER_REFUSED", "person-output")
    assert refusal.value.position is not None
    line = sql.splitlines()[refusal.value.position.line - 1]
    assert line[refusal.value.position.column - 1 :].startswith("NIR_ANO_17")


# --- from node to node -------------------------------------------------------------------------------------------

PEERS = {"protected": False, "coordinator": "aggregate", "peers": {"*": "rows"}}
JOINED = """
SELECT c.region, count(*) AS n, sum(o.amount) AS total
FROM orders o JOIN customers c ON c.customer = o.customer GROUP BY c.region ORDER BY 1
"""


LARGE = 20_000
"""Rows of each of two large tables at each node: so many that it is worth to join them at all nodes."""


def _large(node: str) -> dict[str, pa.Table]:
    """Return two tables whose rows lie anywhere: those of one shop are at several nodes."""
    numbers = range(LARGE) if node == "north" else range(LARGE * 2, LARGE * 3) if node == "south" else range(0)
    bought = pa.table(
        {
            "shop": pa.array([None if n % 9 == 0 else n * 7 % 50_021 for n in numbers], pa.int64()),
            "amount": pa.array([n % 7 for n in numbers], pa.int64()),
        }
    )
    asked = pa.table(
        {
            "shop": pa.array([n * 3 % 50_021 for n in numbers], pa.int32()),
            "times": pa.array([n % 5 for n in numbers], pa.int64()),
        }
    )
    return {"bought": bought, "asked": asked}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    """Two nodes with orders and one with customers, whose rows may go from node to node but not to the coordinator.

    Two large tables are cut over all of them, and one of the nodes has none of their rows.
    """
    folder = tmp_path_factory.mktemp("apart")
    orders = pa.table({"customer": [n % 50 for n in range(3_000)], "amount": [n % 7 for n in range(3_000)]})
    customers = pa.table({"customer": list(range(40)), "region": [f"r{n % 4}" for n in range(40)]})
    setups = []
    for node, name, rows in (
        ("north", "orders", orders),
        ("south", "orders", orders),
        ("east", "customers", customers),
    ):
        pq.write_table(rows, folder / f"{node}.parquet")
        tables = [TableSetup(name, folder / f"{node}.parquet", PEERS)]
        for large, columns in _large(node).items():
            pq.write_table(columns, folder / f"{node}-{large}.parquet")
            tables.append(TableSetup(large, folder / f"{node}-{large}.parquet", PEERS))
        setups.append(NodeSetup(node, f"Holder of {node}", tuple(tables)))
    with LocalFederation(write_layout(folder / "federation", setups)) as running:
        yield running


def test_what_goes_sealed_from_node_to_node_is_measured_without_being_read(apart: LocalFederation) -> None:
    with apart.connect() as connection:
        plan = connection.explain(JOINED, analyze=True)
        result = connection.get_query(plan.query_id).result()
    document = plan.to_dict()
    jsonschema.validate(document, SCHEMA)
    assert result.to_arrow().column("n").to_pylist() == [1_200] * 4
    (sealed,) = [exchange for exchange in document["exchanges"] if exchange["sealed"]]
    assert sealed["form"] == "rows"
    assert sealed["certificate"]["min_persons"] == 0
    (sent,) = [measure for measure in document["measured"] if measure["stage_id"] == sealed["source"]]
    assert sent["bytes"] == sealed["measured_bytes"] > 0
    assert (sent["rows"], {site["rows"] for site in sent["sites"]}) == (None, {None}), "it cannot count them"
    crossed = [e["measured_bytes"] for e in document["exchanges"] if e["measured_bytes"] is not None]
    assert sum(crossed) == result.bytes_crossed
    assert "sealed, crosses as rows" in plan.text
    assert any(
        "".join(element.itertext()) == f"{sealed['exchange_id']}: rows, sealed"
        for element in ET.fromstring(plan.svg).iter()
    )


def test_two_large_tables_are_joined_at_all_nodes_each_of_which_sends_the_others_their_parts(
    apart: LocalFederation,
) -> None:
    outputs = "count(*) AS n, sum(b.amount) AS total, max(a.times) AS times"
    sql = f"SELECT {outputs} FROM bought b JOIN asked a ON a.shop = b.shop"  # noqa: S608 - a test's own text
    with apart.connect() as connection:
        plan = connection.explain(sql, analyze=True)
        result = connection.get_query(plan.query_id).result()
    with duckdb.connect() as oracle:
        for name in ("bought", "asked"):
            oracle.register(name, pa.concat_tables(_large(node)[name] for node in ("north", "south")))
        expected = oracle.execute(sql).to_arrow_table()
    assert result.to_arrow().to_pylist() == expected.to_pylist()
    assert expected.column("n")[0].as_py() > 1_000
    document = plan.to_dict()
    jsonschema.validate(document, SCHEMA)
    cut = [exchange for exchange in document["exchanges"] if exchange["part_column"]]
    assert [exchange["part_column"] for exchange in cut] == ["hash_of_shop"] * 2
    assert all(exchange["certificate"]["part_column"] == "hash_of_shop" for exchange in cut)
    assert "sealed, crosses as rows cut by hash_of_shop" in plan.text
    signed = [receipt.read_unverified(token) for token in result.receipts]
    sent = {(r["node"], r["destination"], r["exchange"]): r["bytes"] for r in signed}
    for exchange in cut:
        assert sent["north", "north", exchange["exchange_id"]] < 2_000, "its own part does not travel"
        assert sent["north", "south", exchange["exchange_id"]] > 50_000
        assert sent["east", "south", exchange["exchange_id"]] < 2_000, "a node without rows sends streams without any"
