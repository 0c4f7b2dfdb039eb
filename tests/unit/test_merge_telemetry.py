"""What a collector sees of merges: one trace through the coordinator and the workers of Ray, and no value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import merge_cases as cases
import pyarrow as pa
import pytest
from otlp_receiver import Receiver, attributes

from archipel import telemetry
from archipel.telemetry import TelemetrySettings
from coordinator.merge.merger import Merger
from coordinator.merge.settings import MIB, MergeSettings, RaySettings

SECRET = "Jeanne-Martin-1954"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        with telemetry.configure(TelemetrySettings(otlp_endpoint=f"127.0.0.1:{receiver.port}", insecure=True)):
            yield receiver
    finally:
        receiver.close()


def named(receiver: Receiver, name: str) -> list[Any]:
    return [span for span in receiver.spans() if span.name == name]


def merge_and_finish(settings: MergeSettings) -> tuple[bytes, str]:
    """Merge and finish within a query's span; returns its trace and who merged."""
    table = pa.table({"g": [SECRET, "b", "c", "d"], "n": [1, 2, 3, 4]})
    merger = Merger(settings)
    try:
        with telemetry.span("query") as query:
            sql = cases.text(cases.grouped(["g"], cases.summed("n")))
            merged, name = merger.merge(sql, cases.source(table, table), ("g",), timeout_s=60)
            merger.finish('SELECT * FROM "x2"', {"x2": merged}, timeout_s=60, max_rows=10, max_bytes=MIB)
        trace = bytes.fromhex(query.traceparent.split("-")[1])
    finally:
        merger.close()
    return trace, name


@pytest.mark.ray
def test_the_trace_goes_through_ray_into_the_timed_parts(receiver: Receiver) -> None:
    local = RaySettings(cpus=2, object_store_bytes=100 * MIB)
    trace, name = merge_and_finish(MergeSettings(threshold_bytes=0, ray=local))
    _flushed(receiver, trace)
    (merge,) = named(receiver, "merge")
    assert name == "ray"
    parts = named(receiver, "merge partition")
    assert attributes(merge) == {
        "archipel.exchange.id": "x1",
        "archipel.merge.executor": "ray",
        "archipel.merge.partitions": 2,
    }
    assert sorted(attributes(part)["archipel.merge.partition"] for part in parts) == [0, 1]
    for part in parts:
        assert (part.trace_id, part.parent_span_id) == (trace, merge.span_id)
        assert merge.start_time_unix_nano <= part.start_time_unix_nano < part.end_time_unix_nano
        assert part.end_time_unix_nano <= merge.end_time_unix_nano


def test_a_merge_in_process_is_one_span_with_one_part(receiver: Receiver) -> None:
    trace, name = merge_and_finish(MergeSettings())
    _flushed(receiver, trace)
    (merge,) = named(receiver, "merge")
    assert (merge.trace_id, attributes(merge)["archipel.merge.executor"], name) == (trace, "in-process", "in-process")
    assert len(named(receiver, "finish")) == 1


def _flushed(receiver: Receiver, trace: bytes) -> None:
    from archipel.telemetry.runtime import active

    runtime = active()
    assert runtime is not None
    assert runtime.tracer_provider.force_flush(10_000)
    assert SECRET not in receiver.everything()
    assert all(span.trace_id == trace for span in named(receiver, "merge"))
