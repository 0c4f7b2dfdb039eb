"""Spans, and the W3C trace context that ties those of several parties together.

A span always ends when its block is left: by a return, an error, a cancelled task or a closed generator. What an
exception says is never exported, only the name of its catalogue code or class.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Literal

from archipel.errors import ArchipelError
from archipel.telemetry.names import Attribute
from archipel.telemetry.runtime import Runtime, active, plain

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

AttributeValue = str | int | float | bool
Attributes = Mapping[Attribute, AttributeValue]
Kind = Literal["internal", "server", "client", "producer", "consumer"]

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

_passed_on: ContextVar[str] = ContextVar("archipel_traceparent", default="")
"""The caller's trace context while telemetry is off here, so that a silent party does not break a trace in two."""


class ActiveSpan:
    """A span under way; does nothing when telemetry is off."""

    __slots__ = ("_failed", "_span")

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._failed = False

    @property
    def traceparent(self) -> str:
        """Its W3C ``traceparent``; empty when telemetry is off."""
        return _traceparent_of(self._span) if self._span is not None else ""

    def set(self, key: Attribute, value: AttributeValue) -> None:
        """Set an attribute."""
        if self._span is not None:
            self._span.set_attribute(key.value, value)

    def fail(self, error_type: str) -> None:
        """Mark the span as failed with a code or class name; never with a message. The first one stays."""
        if self._span is not None and not self._failed:
            from opentelemetry.trace import StatusCode

            self._failed = True
            self._span.set_attribute(Attribute.ERROR_TYPE.value, error_type)
            self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End a span of ``open_span``."""
        if self._span is not None:
            self._span.end()


_SILENT = ActiveSpan(None)


def open_span(
    name: str, *, kind: Kind = "internal", attributes: Attributes | None = None, parent: str | None = None
) -> ActiveSpan:
    """Return a started span that does not become current and that the caller must ``end``; prefer ``span``."""
    runtime = active()
    if runtime is None:
        return _SILENT
    return ActiveSpan(_started(runtime, name, kind, attributes, parent))


@contextmanager
def span(
    name: str, *, kind: Kind = "internal", attributes: Attributes | None = None, parent: str | None = None
) -> Iterator[ActiveSpan]:
    """Run the block within a span, which is current for what the block calls.

    ``name`` is of low cardinality and holds no value. ``parent`` is a traceparent from another party; without it, or
    when it is malformed, the span that is current here is the parent.
    """
    runtime = active()
    if runtime is None:
        if not parent or not _TRACEPARENT.fullmatch(parent):
            yield _SILENT
            return
        token = _passed_on.set(parent)
        try:
            yield _SILENT
        finally:
            _reset(token)
        return
    yield from _recorded(runtime, name, kind, attributes, parent)


def _recorded(
    runtime: Runtime, name: str, kind: Kind, attributes: Attributes | None, parent: str | None
) -> Iterator[ActiveSpan]:
    from opentelemetry import context as otel_context
    from opentelemetry import trace

    started = _started(runtime, name, kind, attributes, parent)
    handle = ActiveSpan(started)
    token = otel_context.attach(trace.set_span_in_context(started))
    try:
        yield handle
    except BaseException as cause:
        handle.fail(error_type(cause))
        raise
    finally:
        started.end()
        _reset(token)


def _started(runtime: Runtime, name: str, kind: Kind, attributes: Attributes | None, parent: str | None) -> Span:
    from opentelemetry.trace import SpanKind

    return runtime.tracer.start_span(
        name,
        context=extract(parent) if parent else None,
        kind=SpanKind[kind.upper()],
        attributes=plain(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )


def _reset(token: Token[Any]) -> None:
    try:
        token.var.reset(token)
    except ValueError:
        # A generator that the event loop closes leaves the block in another context than it entered it in: there is
        # nothing to restore there. OpenTelemetry's own detach would log a traceback.
        return


def error_type(cause: BaseException) -> str:
    """Return what ``error.type`` says of an exception: a code or class name without any text of it."""
    if isinstance(cause, ArchipelError):
        return cause.code
    if isinstance(cause, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    return type(cause).__name__


def record_span(
    name: str,
    *,
    started_unix_ns: int,
    ended_unix_ns: int,
    attributes: Attributes | None = None,
    parent: str | None = None,
) -> None:
    """Record a span of work that was timed elsewhere, such as in a Ray worker, which exports nothing itself."""
    runtime = active()
    if runtime is None:
        return
    done = runtime.tracer.start_span(
        name,
        context=extract(parent) if parent else None,
        attributes=plain(attributes),
        start_time=started_unix_ns,
    )
    done.end(max(started_unix_ns, ended_unix_ns))


def current_traceparent() -> str:
    """Return the W3C ``traceparent`` to hand to another party; empty when there is no trace."""
    if active() is None:
        return _passed_on.get()
    from opentelemetry import trace

    return _traceparent_of(trace.get_current_span())


def _traceparent_of(span: Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def extract(traceparent: str) -> Context | None:
    """Return the OpenTelemetry context of a peer's ``traceparent``; None when it is malformed.

    Only the three identifiers are taken: ``tracestate`` and baggage from a peer go nowhere.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    from opentelemetry import trace

    context = trace.SpanContext(
        trace_id=int(match[1], 16),
        span_id=int(match[2], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(match[3], 16) & trace.TraceFlags.SAMPLED),
    )
    if not context.is_valid:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(context))
