"""An OTLP collector inside the test: takes traces, metrics and logs over gRPC and keeps them."""

from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc


class Receiver(trace_grpc.TraceServiceServicer, metrics_grpc.MetricsServiceServicer, logs_grpc.LogsServiceServicer):
    """An OTLP collector that keeps what it gets."""

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.metrics_requests: list[Any] = []
        self.logs_requests: list[Any] = []
        self.metadata: list[tuple[str, str]] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        trace_grpc.add_TraceServiceServicer_to_server(self, self._server)
        metrics_grpc.add_MetricsServiceServicer_to_server(self, self._server)
        logs_grpc.add_LogsServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(self, request: Any, context: Any) -> Any:
        self.metadata.extend((k, v) for k, v in context.invocation_metadata())
        if isinstance(request, trace_pb2.ExportTraceServiceRequest):
            self.traces.append(request)
            return trace_pb2.ExportTraceServiceResponse()
        if isinstance(request, logs_pb2.ExportLogsServiceRequest):
            self.logs_requests.append(request)
            return logs_pb2.ExportLogsServiceResponse()
        self.metrics_requests.append(request)
        return metrics_pb2.ExportMetricsServiceResponse()

    def spans_by_service(self) -> list[tuple[str, Any]]:
        """Every span with the service that sent it."""
        return [
            (attributes(resource.resource)["service.name"], span)
            for request in list(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def spans(self) -> list[Any]:
        return [span for _, span in self.spans_by_service()]

    def span(self, name: str, kind: int | None = None) -> Any:
        found = [s for s in self.spans() if s.name == name and kind in (None, s.kind)]
        assert len(found) == 1, f"{len(found)} spans {name} among {[s.name for s in self.spans()]}"
        return found[0]

    def metrics(self) -> dict[str, Any]:
        return {
            m.name: m
            for r in list(self.metrics_requests)
            for resource in r.resource_metrics
            for scope in resource.scope_metrics
            for m in scope.metrics
        }

    def events(self) -> list[Any]:
        return [
            record
            for request in list(self.logs_requests)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def everything(self) -> str:
        return "".join(str(r) for r in (*self.traces, *self.metrics_requests, *self.logs_requests))

    def close(self) -> None:
        self._server.stop(None).wait()


def attributes(carrier: Any) -> dict[str, Any]:
    """The attributes of a span or a resource as a dictionary."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in carrier.attributes}
