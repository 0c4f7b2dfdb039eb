"""The one place where an error becomes a gRPC status. No text of an unknown error gets out, nor into the log."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from archipel import errors, wire

log = logging.getLogger(__name__)


def answering(handler: Callable[..., Awaitable[Any]]) -> Any:
    """Wrap a handler (a coroutine; streams are written with ``context.write``) so that its errors become statuses."""

    @functools.wraps(handler)
    async def answered(service: Any, request: Any, context: Any) -> Any:
        try:
            return await handler(service, request, context)
        except errors.ArchipelError as problem:
            await wire.abort_with(context, problem)
        except grpc.aio.BaseError:
            raise  # the peer is gone, or gRPC itself ended the call
        except Exception as cause:  # noqa: BLE001 - the last line of defence
            query_id = str(getattr(request, "query_id", ""))[:64]
            log.error("%s failed with %s; query %r", handler.__name__, type(cause).__name__, query_id)
            await wire.abort_with(context, errors.error(errors.INTERNAL, "The coordinator failed.", query_id=query_id))

    return answered
