"""Starting and stopping telemetry in this process, and the one place that knows whether it is on.

The OpenTelemetry SDK and the OTLP exporter are imported only by ``configure`` with an endpoint. The providers are our
own and never set as the process's global ones, so an application that embeds the client keeps its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archipel import errors
from archipel.telemetry.names import DURATION_BUCKETS_S, Attribute, Metric

if TYPE_CHECKING:
    import grpc
    from opentelemetry._logs import Logger
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from archipel.telemetry.settings import TelemetrySettings


@dataclass(frozen=True, slots=True)
class Runtime:
    """What is running while telemetry is on."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    tracer: Tracer
    queries: Counter
    exchange_bytes: Counter
    durations: Mapping[Metric, Histogram]
    logger_provider: LoggerProvider | None = None
    events: Logger | None = None
    """Sends audit events; None unless they were asked for."""


_active: Runtime | None = None
_switch = threading.Lock()


def active() -> Runtime | None:
    """Return the running telemetry of this process, or None when it is off."""
    return _active


class Telemetry:
    """The handle of one ``configure``; a context manager that shuts down."""

    def __init__(self, runtime: Runtime | None, timeout_s: float) -> None:
        self._runtime = runtime
        self._timeout_s = timeout_s

    @property
    def on(self) -> bool:
        """Whether anything is measured."""
        return self._runtime is not None

    def flush(self) -> None:
        """Send what has ended so far; waits at most ``export_timeout_s`` for each of traces and metrics."""
        if self._runtime is not None:
            timeout_ms = int(self._timeout_s * 1000)
            self._runtime.tracer_provider.force_flush(timeout_ms)
            self._runtime.meter_provider.force_flush(timeout_ms)
            if self._runtime.logger_provider is not None:
                self._runtime.logger_provider.force_flush(timeout_ms)

    def shutdown(self) -> None:
        """Send the rest and stop; idempotent. Does not wait longer than ``export_timeout_s`` for each signal."""
        global _active
        with _switch:
            runtime, self._runtime = self._runtime, None
            if runtime is None:
                return
            if _active is runtime:
                _active = None
        timeout_ms = int(self._timeout_s * 1000)
        runtime.tracer_provider.force_flush(timeout_ms)
        runtime.tracer_provider.shutdown()
        runtime.meter_provider.shutdown(timeout_millis=timeout_ms)
        if runtime.logger_provider is not None:
            runtime.logger_provider.force_flush(timeout_ms)
            runtime.logger_provider.shutdown()

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def configure(settings: TelemetrySettings, *, events: bool = False) -> Telemetry:
    """Switch telemetry on as ``settings`` say; without an endpoint this does nothing. One at a time in a process.

    With ``events``, those of a node's audit log are sent, too.

    Raises:
        ArchipelError: CONFIG_INVALID when the exporter is not installed, a file cannot be read, or telemetry is
            already on.
    """
    global _active
    if settings.otlp_endpoint is None:
        return Telemetry(None, settings.export_timeout_s)
    with _switch:
        if _active is not None:
            raise errors.error(errors.CONFIG_INVALID, "Telemetry is already configured in this process.")
        runtime = _start(settings, events)
        _active = runtime
    return Telemetry(runtime, settings.export_timeout_s)


def _start(settings: TelemetrySettings, events: bool) -> Runtime:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            "telemetry.otlp_endpoint is set, but the OTLP exporter is not installed.",
            hint="Install archipel[otlp].",
        ) from cause
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    resource = Resource({"service.name": settings.service_name, "service.version": metadata.version("archipel")})
    target = _target(settings)

    tracer_provider = TracerProvider(
        resource=resource,
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
        shutdown_on_exit=False,  # the handle's owner shuts down; a second time at exit would only warn
    )
    tracer_provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(**target),
            schedule_delay_millis=1_000,
            export_timeout_millis=settings.export_timeout_s * 1e3,
        )
    )
    meter_provider = MeterProvider(
        metric_readers=[
            PeriodicExportingMetricReader(
                OTLPMetricExporter(**target),
                export_interval_millis=settings.metrics_interval_s * 1e3,
                export_timeout_millis=settings.export_timeout_s * 1e3,
            )
        ],
        resource=resource,
        exemplar_filter=AlwaysOffExemplarFilter(),  # exemplars would export attributes that no view asked for
        shutdown_on_exit=False,
    )
    meter = meter_provider.get_meter("archipel")
    durations = {
        name: meter.create_histogram(name.value, unit="s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S)
        for name in (
            Metric.QUERY_DURATION,
            Metric.DB_OPERATION_DURATION,
            Metric.RPC_SERVER_DURATION,
            Metric.RPC_CLIENT_DURATION,
        )
    }
    logger_provider = _logger_provider(settings, resource, target) if events else None
    return Runtime(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        tracer=tracer_provider.get_tracer("archipel"),
        queries=meter.create_counter(Metric.QUERIES.value, unit="{query}"),
        exchange_bytes=meter.create_counter(Metric.EXCHANGE_BYTES.value, unit="By"),
        durations=durations,
        logger_provider=logger_provider,
        events=logger_provider.get_logger("archipel") if logger_provider is not None else None,
    )


def _logger_provider(settings: TelemetrySettings, resource: Resource, target: Mapping[str, Any]) -> LoggerProvider:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(
            OTLPLogExporter(**target),
            schedule_delay_millis=1_000,
            export_timeout_millis=settings.export_timeout_s * 1e3,
        )
    )
    return provider


def _target(settings: TelemetrySettings) -> dict[str, Any]:
    """The exporters' arguments. Explicit, so that OTEL_* variables of the host do not redirect anything."""
    headers = _headers(settings.headers_file) if settings.headers_file is not None else {}
    return {
        "endpoint": settings.otlp_endpoint,
        "insecure": settings.insecure,
        "credentials": None if settings.insecure else _credentials(settings.ca_file),
        "headers": headers,
        "timeout": settings.export_timeout_s,
    }


def _credentials(ca_file: Path | None) -> grpc.ChannelCredentials:
    import grpc

    return grpc.ssl_channel_credentials(_read(ca_file, "telemetry.ca_file") if ca_file is not None else None)


def _headers(path: Path) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _read(path, "telemetry.headers_file").decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise errors.error(errors.CONFIG_INVALID, "telemetry.headers_file has a line that is not 'name: value'.")
        headers[name.strip().lower()] = value.strip()
    return headers


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise errors.error(errors.CONFIG_INVALID, f"The file that {key} names cannot be read.") from cause


def plain(attributes: Mapping[Attribute, str | int | float | bool] | None) -> dict[str, str | int | float | bool]:
    """Return the attributes with plain string keys, as the SDK wants them."""
    return {key.value: value for key, value in attributes.items()} if attributes else {}
