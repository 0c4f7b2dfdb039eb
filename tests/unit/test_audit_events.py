"""Audit events as a holder's collector gets them: that something was decided, and nothing of what the data says."""

from __future__ import annotations

import contextlib
from pathlib import Path

import node_support as support
import pytest
from otlp_receiver import Receiver, attributes

from archipel import errors, telemetry
from archipel.telemetry import Attribute, TelemetrySettings
from node_agent.audit import AuditLog, records
from node_agent.audit_events import event_of

SECRET = "Bretagne-E10"
TASKS = (
    "SELECT region, count(*) AS n FROM stays GROUP BY region",
    "SELECT person FROM stays WHERE region = 'Bretagne-E10'",
    "SELECT sum(CAST(region || 'Bretagne-E10' AS INTEGER)) AS n FROM stays",
)


def run_tasks(folder: Path, tell: bool) -> list[dict[str, object]]:
    """Let a node do one task that is released, one that is refused and one that fails; return its records."""
    party = support.Party()
    runner = support.runner_of(folder, party)
    assert runner.audit is not None
    runner.audit.close()

    def told(kind: str, content: dict[str, object], digest: str) -> None:
        telemetry.emit_audit_event(event_of("hospital_a", kind, content, digest, support.NOW + 1.5))

    runner.audit = AuditLog(folder / "audit", tell=told if tell else None)
    for sql in TASKS:
        with contextlib.suppress(errors.ArchipelError):
            list(runner.run(party.order(sql), {}).frames)
    runner.audit.append("purged", {"time": support.NOW, "records": 7})
    runner.audit.close()
    runner.engine.close()
    return list(records(folder / "audit"))


@pytest.mark.parametrize("wanted", [True, False])
def test_an_event_tells_of_each_record_and_holds_no_value(tmp_path: Path, wanted: bool) -> None:
    receiver = Receiver()
    settings = TelemetrySettings(otlp_endpoint=f"127.0.0.1:{receiver.port}", insecure=True)
    try:
        with telemetry.configure(settings, events=wanted):
            kept = run_tasks(tmp_path, tell=True)
        events = [attributes(event) for event in receiver.events()]
    finally:
        receiver.close()
    if not wanted:
        assert events == []
        return
    released, refused, failed, purged = events
    assert {event.event_name for event in receiver.events()} == {"archipel.audit"}
    assert [event["archipel.audit.record"] for event in events] == [record["hash"] for record in kept]
    assert released == {
        "archipel.node": "hospital_a",
        "archipel.audit.kind": "released",
        "archipel.audit.record": kept[0]["hash"],
        "archipel.audit.duration": 1.5,
        "archipel.query.id": "q1",
        "archipel.stage.id": "s1",
        "archipel.task.attempt": 1,
        "archipel.permit.id": "p1",
        "archipel.project": "readmission",
        "archipel.destination": "@coordinator",
        "archipel.exchange.form": "aggregate",
        "archipel.policy.decision": "allowed",
        "archipel.policy.rule": kept[0]["rule"],
        "archipel.release.bytes": kept[0]["bytes"],
    }
    assert (refused["archipel.policy.rule"], refused["error.type"]) == ("person-output", "BORDER_REFUSED")
    assert (failed["archipel.audit.kind"], failed["error.type"]) == ("failed", "NODE_EXECUTION")
    assert purged == {
        "archipel.node": "hospital_a",
        "archipel.audit.kind": "purged",
        "archipel.audit.record": kept[3]["hash"],
    }
    sent = "".join(str(request) for request in receiver.logs_requests)
    for word in (SECRET, "SELECT", "stays", "alice", "region", "persons"):
        assert word not in sent.replace(str(kept[0]["rule"]), "")


def test_the_size_of_rows_about_persons_for_another_node_is_in_no_event() -> None:
    told = {"to": "hospital_b", "bytes": 512, "size_told": True}
    record = {"destinations": ["hospital_b"], "sent": [told, {**told, "size_told": False}], "rows": 3}
    event = event_of("hospital_a", "released", record, "0" * 64, 0.0)
    assert Attribute.RELEASED_BYTES not in event
    assert event[Attribute.DESTINATION] == "hospital_b"
    assert (
        event_of("hospital_a", "released", {**record, "sent": [told]}, "0" * 64, 0.0)[Attribute.RELEASED_BYTES] == 512
    )
