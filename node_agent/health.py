"""The optional health port for probes: plaintext, ``grpc.health.v1`` and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc


@contextlib.asynccontextmanager
async def serve_health(listen: str | None) -> AsyncIterator[None]:
    """Serve health at ``listen`` while the block runs; without an address no port is opened."""
    if listen is None:
        yield
        return
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(listen)
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    try:
        yield
    finally:
        await servicer.enter_graceful_shutdown()
        await server.stop(1.0)
