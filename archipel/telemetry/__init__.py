"""OpenTelemetry traces, metrics and audit events over OTLP; off, and next to free, unless configured.

Every party sends to its own collector: what crosses to another is only the trace's identifiers. Nothing here ever
exports a data value, a literal of a query, the text of an error, or at a node a count of rows (``names`` says what may
be exported). Importing this package imports neither the OpenTelemetry SDK nor sqlglot.

    with telemetry.configure(settings.telemetry):
        server = grpc.aio.server(interceptors=telemetry.server_interceptors())
        with telemetry.span("execute stage", attributes={telemetry.Attribute.STAGE_ID: "s1"}):
            task.traceparent = telemetry.current_traceparent()

Do not yield from a generator inside ``span``: the span would be current for whoever consumes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archipel.telemetry.calls import client_interceptors, intercept_channel
from archipel.telemetry.events import emit_audit_event
from archipel.telemetry.masking import mask_sql, query_attributes
from archipel.telemetry.metrics import record_exchange, record_query, record_statement
from archipel.telemetry.names import Attribute, Metric
from archipel.telemetry.runtime import Telemetry, configure
from archipel.telemetry.server import server_interceptors
from archipel.telemetry.spans import ActiveSpan, current_traceparent, extract, open_span, record_span, span

if TYPE_CHECKING:
    from archipel.telemetry.settings import TelemetrySettings

__all__ = [
    "ActiveSpan",
    "Attribute",
    "Metric",
    "Telemetry",
    "TelemetrySettings",
    "client_interceptors",
    "configure",
    "current_traceparent",
    "emit_audit_event",
    "extract",
    "intercept_channel",
    "mask_sql",
    "open_span",
    "query_attributes",
    "record_exchange",
    "record_query",
    "record_span",
    "record_statement",
    "server_interceptors",
    "span",
]


def __getattr__(name: str) -> Any:
    if name == "TelemetrySettings":  # pydantic takes 90 ms to import, and whoever measures nothing needs none of it
        from archipel.telemetry.settings import TelemetrySettings

        return TelemetrySettings
    raise AttributeError(name)
