"""The interceptors of gRPC clients, blocking and asyncio: a span and a duration for every call.

The span ends when the call does, however it ends: read to its end, failed, cancelled, or dropped half read. Its
trace context travels in the metadata key ``traceparent``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio

from archipel.telemetry.metrics import record_rpc
from archipel.telemetry.names import Attribute, Metric
from archipel.telemetry.runtime import active
from archipel.telemetry.server import TRACEPARENT_KEY, UNTRACED
from archipel.telemetry.spans import ActiveSpan, current_traceparent, error_type, open_span


def client_interceptors() -> list[Any]:
    """Return what to hand to ``grpc.aio.secure_channel(interceptors=...)``; empty while telemetry is off."""
    if active() is None:
        return []
    return [_AioUnaryUnary(), _AioUnaryStream(), _AioStreamUnary(), _AioStreamStream()]


def intercept_channel(channel: grpc.Channel) -> grpc.Channel:
    """Return the blocking channel with spans and durations; the channel itself while telemetry is off."""
    return channel if active() is None else grpc.intercept_channel(channel, _SyncInterceptor())


class _Call:
    """One call under way: its span and its start. ``end`` counts once."""

    __slots__ = ("_ended", "_span", "_started", "name", "traceparent")

    def __init__(self, method: str | bytes) -> None:
        path = method.decode() if isinstance(method, bytes) else method
        self.name = path.removeprefix("/")
        self._ended = False
        self._started = time.perf_counter()
        self._span: ActiveSpan | None = None
        self.traceparent = current_traceparent()
        if path not in UNTRACED:
            attributes = {Attribute.RPC_SYSTEM_NAME: "grpc", Attribute.RPC_METHOD: self.name}
            self._span = open_span(self.name, kind="client", attributes=attributes)
            self.traceparent = self._span.traceparent

    def end(self, status: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._span is not None:
            self._span.set(Attribute.RPC_STATUS_CODE, status)
            if status != "OK":
                self._span.fail(status)
            self._span.end()
        record_rpc(Metric.RPC_CLIENT_DURATION, time.perf_counter() - self._started, self.name, status)


def _status_of_exception(cause: BaseException) -> str:
    if isinstance(cause, grpc.aio.AioRpcError):
        return cause.code().name
    return error_type(cause) if error_type(cause) == "CANCELLED" else "UNKNOWN"


# --- asyncio -----------------------------------------------------------------------------------------------------


def _aio_details(details: Any, traceparent: str) -> Any:
    if not traceparent:
        return details
    sent = grpc.aio.Metadata(*(details.metadata or ()))
    sent.set_all(TRACEPARENT_KEY, [traceparent])
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, sent, details.credentials, details.wait_for_ready
    )


def _end_when_done(call: _Call, under_way: Any) -> None:
    def done(ended: Any) -> None:
        # The call is done, so its code is there without waiting: one step of the coroutine returns it.
        ask = ended.code()
        try:
            ask.send(None)
        except StopIteration as answer:
            call.end(answer.value.name)
        except BaseException as cause:
            call.end(_status_of_exception(cause))
            raise
        else:
            ask.close()
            call.end("UNKNOWN")

    under_way.add_done_callback(done)


async def _aio(continuation: Callable[[Any, Any], Awaitable[Any]], details: Any, request: Any) -> Any:
    call = _Call(details.method)
    try:
        under_way = await continuation(_aio_details(details, call.traceparent), request)
    except BaseException as cause:
        call.end(_status_of_exception(cause))
        raise
    _end_when_done(call, under_way)
    return under_way


class _AioUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await _aio(continuation, client_call_details, request)


class _AioUnaryStream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await _aio(continuation, client_call_details, request)


class _AioStreamUnary(grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await _aio(continuation, client_call_details, request_iterator)


class _AioStreamStream(grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await _aio(continuation, client_call_details, request_iterator)


# --- blocking ----------------------------------------------------------------------------------------------------


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


def _sync(continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
    call = _Call(details.method)
    sent = details
    if call.traceparent:
        kept = [pair for pair in details.metadata or () if pair[0] != TRACEPARENT_KEY]
        sent = _Details(
            details.method,
            details.timeout,
            [*kept, (TRACEPARENT_KEY, call.traceparent)],
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )
    try:
        under_way = continuation(sent, request)
    except BaseException as cause:
        call.end(_status_of_exception(cause))
        raise
    under_way.add_done_callback(lambda ended: call.end(ended.code().name))
    return under_way


class _SyncInterceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc, type-arg, unused-ignore]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc, type-arg, unused-ignore]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc, type-arg, unused-ignore]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc, type-arg, unused-ignore]
):
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return _sync(continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return _sync(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return _sync(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return _sync(continuation, client_call_details, request_iterator)
