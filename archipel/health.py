"""Health as ``grpc.health.v1``, for probes: on a plaintext port of its own, and at the coordinator on the main port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from archipel import errors


def health_servicer() -> Any:
    """Return a servicer that says SERVING until its ``enter_graceful_shutdown`` is awaited."""
    from grpc_health.v1 import health

    return health.aio.HealthServicer()  # type: ignore[attr-defined]


def add_health(servicer: Any, server: grpc.aio.Server) -> None:
    """Serve health on a server; one servicer may be on several."""
    from grpc_health.v1 import health_pb2_grpc

    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


@contextlib.asynccontextmanager
async def serve_health(listen: str | None, servicer: Any = None) -> AsyncIterator[None]:
    """Serve health, and nothing else, in plaintext at ``listen`` while the block runs; without an address do nothing.

    Raises:
        ArchipelError: CONFIG_INVALID when the address cannot be listened on.
    """
    if listen is None:
        yield
        return
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    servicer = servicer or health_servicer()
    add_health(servicer, server)
    try:
        bound = server.add_insecure_port(listen)
    except RuntimeError:
        bound = 0
    if not bound:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"'health_listen': {listen} cannot be listened on.",
            hint="Is the port in use, or the address not this machine's?",
        )
    await server.start()
    try:
        yield
    finally:
        await servicer.enter_graceful_shutdown()
        await server.stop(1.0)
