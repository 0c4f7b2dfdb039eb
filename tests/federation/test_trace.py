"""One trace from the client's call through coordinator and Ray to the engine at each node, without any value in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import Receiver, attributes

from archipel import telemetry
from archipel.demo.layout import write_layout
from archipel.demo.processes import LocalFederation
from archipel.demo.world_setup import world_setups
from archipel.telemetry import Attribute, TelemetrySettings

pytestmark = [pytest.mark.federation, pytest.mark.ray]

SECRET = "J189"
SQL = """
SELECT BDI_DEP, COD_SEX, count(*) AS stays, stddev_samp(SEJ_NBJ) AS sd
FROM T_MCOaaB WHERE DGN_PAL <> 'J189' GROUP BY BDI_DEP, COD_SEX
"""
HOSPITALS = {"hospital_a", "hospital_b", "hospital_c"}


@pytest.fixture(scope="module")
def received(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one collector got from client, coordinator and nodes about one query that was merged on Ray."""
    assert SECRET in SQL
    receiver = Receiver()
    collector = {"otlp_endpoint": f"127.0.0.1:{receiver.port}", "insecure": True}
    layout = write_layout(
        tmp_path_factory.mktemp("traced"),
        world_setups(world),
        telemetry=collector,
        coordinator_settings={"merge": {"threshold_bytes": 0, "ray": {"object_store_bytes": 128 * 1024 * 1024}}},
    )
    try:
        with LocalFederation(layout) as federation:
            settings = TelemetrySettings(**collector, service_name="client")
            with telemetry.configure(settings), federation.connect() as connection:
                result = connection.query_and_wait(SQL)
        assert result.merged_by == "ray"
        yield receiver
    finally:
        receiver.close()


def spans_of_the_query(receiver: Receiver) -> list[tuple[str, Any]]:
    found = receiver.spans_by_service()
    (root,) = [span for service, span in found if service == "client" and span.name == "archipel.query"]
    return [(service, span) for service, span in found if span.trace_id == root.trace_id]


def test_client_coordinator_ray_and_every_node_are_in_one_trace(received: Receiver) -> None:
    spans = spans_of_the_query(received)
    assert {service for service, _ in spans} >= {"client", "archipel-coordinator", "archipel-node"}
    names = {span.name for _, span in spans}
    assert {"archipel.plan", "archipel.task", "archipel.border", "merge", "merge partition"} <= names
    by_name = {
        name: {attributes(s).get(Attribute.NODE.value) for _, s in spans if s.name == name}
        for name in ("archipel.task", "archipel.border")
    }
    assert by_name["archipel.task"] == HOSPITALS
    at_nodes = [attributes(span) for service, span in spans if service == "archipel-node"]
    engines = [found for found in at_nodes if found.get(Attribute.DB_SYSTEM_NAME.value) == "duckdb"]
    # The statement, and those by which the node's ledger learns who is behind its answer.
    assert engines
    assert len(engines) % len(HOSPITALS) == 0


def test_every_span_has_its_parent_in_the_trace_and_has_ended(received: Receiver) -> None:
    spans = spans_of_the_query(received)
    known = {span.span_id for _, span in spans}
    for service, span in spans:
        assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
        assert not span.parent_span_id or span.parent_span_id in known, f"{service} {span.name}"


def test_no_literal_no_row_count_and_no_unknown_attribute_is_exported(received: Receiver) -> None:
    everything = received.everything()
    assert SECRET not in everything
    written = {attribute.value for attribute in Attribute}
    for _, span in spans_of_the_query(received):
        assert set(attributes(span)) <= written
        assert not any("rows" in key for key in attributes(span))
    masked = [attributes(s).get(Attribute.DB_QUERY_TEXT.value, "") for s in received.spans()]
    assert any("?" in text for text in masked)


def test_queries_exchanges_and_statements_are_counted(received: Receiver) -> None:
    assert {"archipel.queries", "archipel.exchange.bytes", "db.client.operation.duration"} <= set(received.metrics())
