"""The interceptor of ``grpc.aio`` servers: a span and a duration for every call, under the current RPC conventions.

The span continues the caller's ``traceparent``, is current in the handler, and ends when the call ends: also when the
client cancels a stream in the middle, which the published instrumentation does not notice.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import grpc.aio

from archipel.telemetry.metrics import record_rpc
from archipel.telemetry.names import Attribute, Metric
from archipel.telemetry.runtime import active
from archipel.telemetry.spans import span

TRACEPARENT_KEY = "traceparent"
"""The metadata key of the W3C trace context."""

UNTRACED = frozenset(
    {
        "/archipel.v1.NodeGateway/Attach",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }
)
"""Calls without a span: a node stays attached for weeks, with each task carrying its own trace context; probes come
every few seconds. Their durations are still measured."""


def server_interceptors() -> list[Any]:
    """Return what to hand to ``grpc.aio.server(interceptors=...)``, whether telemetry is on or off."""
    return [_ServerInterceptor()]


class _ServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc, type-arg, unused-ignore]
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        return _wrapped(handler, handler_call_details.method)


def _wrapped(handler: Any, method: str) -> Any:
    codec = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.response_streaming:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        if inspect.isasyncgenfunction(behaviour):
            return make(_streaming(behaviour, method), **codec)
    else:
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
    if inspect.iscoroutinefunction(behaviour):
        return make(_awaiting(behaviour, method), **codec)
    return handler  # a blocking handler runs in a thread of gRPC's: left as it is


def _awaiting(behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    async def handle(request: Any, context: Any) -> Any:
        with _call(context, method):
            return await behaviour(request, context)

    return handle


def _streaming(behaviour: Callable[..., Any], method: str) -> Callable[..., Awaitable[None]]:
    # A coroutine that writes, in place of a generator: a cancelled call then ends it here and now, and closes the
    # handler's generator too, which gRPC would leave to the garbage collector.
    async def handle(request: Any, context: Any) -> None:
        with _call(context, method):
            responses = behaviour(request, context)
            try:
                async for response in responses:
                    await context.write(response)
            finally:
                await responses.aclose()

    return handle


@contextmanager
def _call(context: Any, method: str) -> Iterator[None]:
    parent = _traceparent(context)
    if active() is None:
        with span("", parent=parent):
            yield
        return
    name = method.removeprefix("/")
    started = time.perf_counter()
    with ExitStack() as stack:
        current = None
        if method not in UNTRACED:
            attributes = {Attribute.RPC_SYSTEM_NAME: "grpc", Attribute.RPC_METHOD: name}
            current = stack.enter_context(span(name, kind="server", attributes=attributes, parent=parent))
        raised: BaseException | None = None
        try:
            yield
        except BaseException as cause:
            raised = cause
            raise
        finally:
            status = _status(context, raised)
            if current is not None:
                current.set(Attribute.RPC_STATUS_CODE, status)
                if status != "OK":
                    current.fail(status)
            record_rpc(Metric.RPC_SERVER_DURATION, time.perf_counter() - started, name, status)


def _traceparent(context: Any) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == TRACEPARENT_KEY:
            return str(value)
    return None


def _status(context: Any, raised: BaseException | None) -> str:
    """Return the name of the status with which the call ends, as its handler is left with ``raised``."""
    code = context.code()
    if isinstance(code, grpc.StatusCode) and code is not grpc.StatusCode.OK:
        return code.name
    if isinstance(code, int) and code:
        return next((c.name for c in grpc.StatusCode if c.value[0] == code), "UNKNOWN")
    if isinstance(raised, asyncio.CancelledError):
        left = context.time_remaining()
        return "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED"
    return "OK" if raised is None else "UNKNOWN"
