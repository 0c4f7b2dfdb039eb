"""Fetches sealed streams for a task's thread, which pulls frame after frame and so sets the pace.

The calls live on the event loop; what they bring is only handed on.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import grpc

from archipel import errors, wire
from archipel.v1 import gateway_pb2, gateway_pb2_grpc

T = TypeVar("T")


class Collector:
    """The sealed inputs of one task. Made on the event loop; ``pull`` is called in the task's thread."""

    def __init__(self, stub: gateway_pb2_grpc.NodeGatewayAsyncStub, task_id: str, deadline: float) -> None:
        """``deadline`` is a moment of the monotonic clock."""
        self._stub = stub
        self._task_id = task_id
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._calls: list[Any] = []
        self._closed = False

    def pull(self, exchange_id: str, sender: str) -> Iterator[bytes]:
        """Yield the frames of what ``sender`` sealed for this node, as they come.

        Raises:
            ArchipelError: CANCELLED, TIMEOUT, or what the coordinator says.
        """
        call = self._on_loop(self._open(exchange_id, sender))
        while True:
            answer = self._on_loop(_read(call))
            if answer is None:
                return
            yield answer

    def close(self) -> None:
        """End all calls: nobody wants the task any more. Called on the event loop."""
        self._closed = True
        for call in self._calls:
            call.cancel()

    async def _open(self, exchange_id: str, sender: str) -> Any:
        if self._closed:
            raise _cancelled()
        request = gateway_pb2.CollectRequest(task_id=self._task_id, exchange_id=exchange_id, sender=sender)
        call = self._stub.Collect(request, timeout=max(0.05, self._deadline - time.monotonic()))
        self._calls.append(call)
        return call

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except concurrent.futures.CancelledError:
            raise _cancelled() from None


async def _read(call: Any) -> bytes | None:
    try:
        answer = await call.read()
    except grpc.aio.AioRpcError as cause:
        if cause.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            text = "What other nodes sent did not arrive in time."
            raise errors.error(errors.TIMEOUT, text) from None
        if cause.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            text = "The exchange between node and coordinator broke off."
            raise errors.error(errors.NODE_UNAVAILABLE, text) from None
        raise errors.without_position(wire.from_rpc_error(cause)) from None
    return answer.frame.data if isinstance(answer, gateway_pb2.CollectResponse) else None  # else the end


def _cancelled() -> errors.ArchipelError:
    return errors.error(errors.CANCELLED, "The query was cancelled.")
