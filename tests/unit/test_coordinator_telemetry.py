"""One trace from the researcher's call to the task at the node, over the merge and the finish."""

from __future__ import annotations

from pathlib import Path

from coordinator_harness import attached, coordinator, make_config, make_keys, partials, researcher, run, told
from otlp_receiver import Receiver

from archipel import telemetry
from archipel.telemetry import TelemetrySettings
from archipel.v1 import query_pb2

SECRET_SQL = "SELECT g, sum(v) AS total FROM visits WHERE g <> 'Jeanne-1954' GROUP BY g ORDER BY g"


def test_a_query_is_one_trace_and_no_literal_is_in_it(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    collector = Receiver()
    traceparents: list[str] = []

    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            researcher(server, keys) as alice,
        ):
            message = query_pb2.SubmitRequest(permit=alice.permit_token, request=alice.sign(SECRET_SQL))
            with telemetry.span("client") as asking:
                metadata = (("traceparent", asking.traceparent),)
                query_id = (await told(alice.stub.Submit(message, timeout=20, metadata=metadata))).query_id
            for node in (alpha, beta):
                task = await node.tasks.get()
                traceparents.append(task.traceparent)
                assert await node.deliver(task, partials(a=1))
            await alice.answer(query_id)

    with telemetry.configure(
        TelemetrySettings(otlp_endpoint=f"127.0.0.1:{collector.port}", insecure=True, service_name="coordinator")
    ):
        run(scenario())
    collector.close()
    trace = collector.span("client").trace_id
    names = [span.name for span in collector.spans() if span.trace_id == trace]
    for expected in ("archipel.v1.QueryService/Submit", "archipel.plan", "archipel.execute", "merge", "finish"):
        assert names.count(expected) == 1, (expected, names)
    stages = [span for span in collector.spans() if span.name == "archipel.node_stage"]
    assert {span.trace_id for span in stages} == {trace}
    assert {f"00-{trace.hex()}-{span.span_id.hex()}-01" for span in stages} == set(traceparents)
    assert "Jeanne" not in collector.everything()
    metrics = collector.metrics()
    assert {"archipel.queries", "archipel.query.duration", "archipel.exchange.bytes"} <= metrics.keys()
