"""Persons of two hospitals and the insurer through every process: matched before rows go, and told how many matched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import archipel
from archipel import errors, identity, permit, receipt
from archipel.demo.layout import NOT_COMPARED, NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from node_agent import audit

pytestmark = pytest.mark.federation

HOSPITALS = ("north", "south")
PERSONS = {"north": range(200), "south": range(150, 350)}


def stays(node: str) -> pa.Table:
    """Return stays of a hospital; from number 120 on its persons are insured."""
    return pa.table(
        {
            "person": [f"PERSON-{n:04}" for n in PERSONS[node]],
            "region": [f"r{n % 3}" for n in PERSONS[node]],
            "days": pa.array([n % 9 for n in PERSONS[node]], pa.int32()),
        }
    )


CARE = pa.table(
    {
        "insured": [f"PERSON-{n:04}" for n in range(120, 600) for _ in range(2)],
        "cost": pa.array([n % 100 for n in range(120, 600) for _ in range(2)], pa.int64()),
    }
)
STAYS_POLICY = {
    "coordinator": "aggregate",
    "columns": {"region": "group", "days": "measure"},
    "peers": {"insurer": {"form": "rows", "intersection": "required"}},
    "match_rates": "rounded",
}
CARE_POLICY = {
    "coordinator": "aggregate",
    "columns": {"cost": "measure"},
    "peers": dict.fromkeys(HOSPITALS, "keys"),
    "match_rates": "rounded",
}
QUESTION = (
    "SELECT s.region, count(*) AS n, sum(c.cost)::BIGINT AS cost FROM stays s JOIN care c ON c.insured = s.person "
    "WHERE s.days > 1 GROUP BY s.region ORDER BY s.region"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalFederation, Path]]:
    """Two hospitals, the insurer and the coordinator, and a permit that says linkage."""
    directory = tmp_path_factory.mktemp("linkage")
    setups = []
    for node in (*HOSPITALS, "insurer"):
        name, rows, rules, key = (
            ("care", CARE, CARE_POLICY, "insured")
            if node == "insurer"
            else ("stays", stays(node), STAYS_POLICY, "person")
        )
        path = directory / f"{node}.parquet"
        pq.write_table(rows, path)
        table = TableSetup(name, path, rules, person_column=key, person_domain="insured person")
        setups.append(NodeSetup(node, f"Holder of {node}", (table,), {}))
    settings = {"merge": {"ray": {"mode": "off"}}}
    layout = write_layout(directory / "federation", setups, coordinator_settings=settings, node_policy=NOT_COMPARED)
    authority = identity.load_signing_key(layout.authority_dir / "authority.pem")
    token = layout.permit.read_text().strip()
    first = permit.verify(token, authority.public_key(), federation="demo", now=time.time()).permit
    linking = directory / "linking.jwt"
    linking.write_text(permit.issue(first.model_copy(update={"permit_id": "links", "linkage": True}), authority))
    with LocalFederation(layout) as federation:
        yield federation, linking


@pytest.fixture(scope="module")
def asked(running: tuple[LocalFederation, Path]) -> archipel.Result:
    """The answer to the question."""
    federation, linking = running
    layout = federation.layout
    with archipel.connect(layout.address, permit=linking, key=layout.key) as connection:
        return connection.query_and_wait(QUESTION)


def records(federation: LocalFederation, node: str, query_id: str) -> list[Any]:
    """Return what a node's audit log says of a query."""
    folder = federation.layout.state_dir(node) / "audit"
    return [record for record in audit.records(folder) if record.get("query") == query_id]


def test_the_answer_is_that_of_one_database_and_rows_went_of_persons_in_both_only(
    running: tuple[LocalFederation, Path], asked: archipel.Result
) -> None:
    with duckdb.connect() as database:
        database.register("stays", pa.concat_tables([stays(node) for node in HOSPITALS]))
        database.register("care", CARE)
        assert asked.to_arrow().to_pylist() == database.execute(QUESTION).to_arrow_table().to_pylist()
    for node in HOSPITALS:
        asking, sending = records(running[0], node, asked.query_id)
        persons = [n for n in PERSONS[node] if n % 9 > 1]
        assert asking["intersection"] == {"persons": len(persons)}
        assert sending["intersection"]["persons_in_both"] == {"insurer": len([n for n in persons if n >= 120])}
    answering, joining = records(running[0], "insurer", asked.query_id)
    assert answering["intersection"] == {"persons": 480, "asked_about_at_most": dict.fromkeys(HOSPITALS, 256)}
    assert [part["intersected"] for part in joining["received"]] == [True]


def test_everybody_signs_for_each_step_and_no_size_is_told(asked: archipel.Result) -> None:
    routes = {(r["node"], r["exchange"], r["destination"]) for r in map(receipt.read_unverified, asked.receipts)}
    steps = {("north", "x1_ask", "insurer"), ("insurer", "x1_answer", "north"), ("north", "x1", "insurer")}
    assert steps <= routes
    assert all(crossing.bytes is None for crossing in asked.crossings if crossing.receiver)


def test_the_result_tells_how_many_persons_matched_rounded(asked: archipel.Result) -> None:
    (rate,) = asked.match_rates
    sent = {n for node in HOSPITALS for n in PERSONS[node] if n % 9 > 1 and n >= 120}
    assert (rate.table, rate.nodes, rate.persons, rate.percent) == ("care", ("insurer",), 480, 40)
    assert rate.matched % 5 == 0
    assert abs(rate.matched - len(sent)) < 3
    assert [notice.node for notice in asked.notices if notice.kind == "match-rate"] == ["insurer"]


def test_the_plan_says_who_learns_what(running: tuple[LocalFederation, Path]) -> None:
    federation, linking = running
    layout = federation.layout
    with archipel.connect(layout.address, permit=linking, key=layout.key) as connection:
        told = str(connection.explain(QUESTION))
        with pytest.raises(errors.ArchipelError) as refusal:
            connection.explain(QUESTION.replace("JOIN", "LEFT JOIN"))
    assert "learns which of its own persons 'insurer' has in 'care'" in told
    assert refusal.value.rule == "intersection-required"


def test_no_identifier_of_a_person_is_outside_the_nodes_that_hold_it(
    running: tuple[LocalFederation, Path], asked: archipel.Result
) -> None:
    assert asked.to_arrow().num_rows == 3
    for path in running[0].layout.directory.rglob("*"):
        if path.is_file():
            assert b"PERSON-0" not in path.read_bytes(), path
