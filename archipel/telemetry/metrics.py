"""The product's own metrics. Each function does nothing when telemetry is off; none takes a data value."""

from __future__ import annotations

from archipel.telemetry.names import Attribute, Metric
from archipel.telemetry.runtime import active


def record_query(state: str, duration_s: float) -> None:
    """Count a query that ended, and how long it took from its submission."""
    runtime = active()
    if runtime is not None:
        attributes = {Attribute.QUERY_STATE.value: state}
        runtime.queries.add(1, attributes)
        runtime.durations[Metric.QUERY_DURATION].record(duration_s, attributes)


def record_exchange(n_bytes: int, *, form: str, node: str, sealed: bool = False) -> None:
    """Count the bytes on the wire of one delivery. Of a whole stage, never of a group."""
    runtime = active()
    if runtime is not None:
        attributes: dict[str, str | bool] = {
            Attribute.EXCHANGE_FORM.value: form,
            Attribute.EXCHANGE_SEALED.value: sealed,
            Attribute.NODE.value: node,
        }
        runtime.exchange_bytes.add(n_bytes, attributes)


def record_statement(duration_s: float, *, system: str = "duckdb", operation: str = "SELECT", error: str = "") -> None:
    """Record one statement that an engine ran; ``error`` is a catalogue code."""
    runtime = active()
    if runtime is not None:
        attributes = {Attribute.DB_SYSTEM_NAME.value: system, Attribute.DB_OPERATION_NAME.value: operation}
        if error:
            attributes[Attribute.ERROR_TYPE.value] = error
        runtime.durations[Metric.DB_OPERATION_DURATION].record(duration_s, attributes)


def record_rpc(metric: Metric, duration_s: float, method: str, status: str) -> None:
    """Record one call; the interceptors call this."""
    runtime = active()
    if runtime is not None:
        attributes = {
            Attribute.RPC_SYSTEM_NAME.value: "grpc",
            Attribute.RPC_METHOD.value: method,
            Attribute.RPC_STATUS_CODE.value: status,
        }
        if status != "OK":
            attributes[Attribute.ERROR_TYPE.value] = status
        runtime.durations[metric].record(duration_s, attributes)
