"""The coordinator's process: one mutual-TLS port for nodes and researchers, health, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from archipel import errors, telemetry, tls
from archipel.health import add_health, health_servicer, serve_health
from archipel.v1 import gateway_pb2, gateway_pb2_grpc, query_pb2, query_pb2_grpc
from coordinator.asked import Shared
from coordinator.assembly import Parts
from coordinator.deliveries import Deliveries
from coordinator.execution import Execution
from coordinator.gateway import NodeGateway
from coordinator.planning import Planning
from coordinator.query_service import QueryService
from coordinator.registry import Registry
from coordinator.relay import Relay, RelaySettings

log = logging.getLogger(__name__)

STOP_GRACE_S = 2.0
"""How long calls that are open at the end, a last fetch among them, may take to end by themselves."""

EXPIRY_CHECK_S = 300.0


class Server:
    """A coordinator that runs on the present event loop between ``start`` and ``stop``."""

    def __init__(self, parts: Parts, *, now: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._now = now
        self._exit = contextlib.AsyncExitStack()
        self._health: Any = health_servicer()
        self._execution: Execution | None = None
        self._registry: Registry | None = None
        self._server: grpc.aio.Server | None = None
        self._expiry: asyncio.Task[None] | None = None
        self._threads: tuple[Callable[[], None], ...] = ()
        self.relay = Relay(
            RelaySettings(parts.config.relay.memory_bytes, parts.config.relay.max_bytes, parts.config.relay.directory)
        )
        """What nodes sealed for each other and nobody has collected yet."""
        self.port = 0
        """The port that is listened on."""

    async def start(self) -> None:
        """Listen, take up what an earlier life left, and serve.

        Raises:
            ArchipelError: CONFIG_INVALID when an address cannot be listened on, or a folder not written to.
        """
        config, parts = self._parts.config, self._parts
        _check_directory(config.relay.directory)
        server = grpc.aio.server(interceptors=telemetry.server_interceptors(), options=tls.SERVER_OPTIONS)
        # Before anything of the store is touched: a second coordinator must not end the first one's queries.
        self.port = _bind(server, config.listen, parts.credentials)
        interrupted = await asyncio.to_thread(parts.store.interrupt_unfinished, int(self._now() * 1000))
        if interrupted:
            log.warning("%d queries that were under way ended with the last coordinator", interrupted)
        registry = Registry(parts.store, (node.name for node in parts.manifest.nodes), self._now)
        planning = Planning(registry, parts.planner, parts.shadow, timeout_s=config.limits.plan_timeout_s)
        deliveries = Deliveries()
        pool = ThreadPoolExecutor(max(4, config.limits.max_concurrent_queries), thread_name_prefix="stage")
        execution = Execution(
            Shared(
                registry=registry,
                planning=planning,
                deliveries=deliveries,
                relay=self.relay,
                store=parts.store,
                merger=parts.merger,
                pool=pool,
                limits=config.limits,
                results_keep_s=config.store.results_keep_s,
                holders={node.name: node.holder for node in parts.manifest.nodes},
                now=self._now,
            )
        )
        gateway = NodeGateway(
            parts.manifest,
            registry,
            deliveries,
            planning,
            self.relay,
            heartbeat_interval_s=config.limits.heartbeat_interval_s,
            now=self._now,
        )
        queries = QueryService(
            parts.manifest,
            parts.authority_key,
            registry,
            deliveries,
            execution,
            parts.store,
            explain_text=parts.explain_text,
            now=self._now,
        )
        gateway_pb2_grpc.add_NodeGatewayServicer_to_server(gateway, server)
        query_pb2_grpc.add_QueryServiceServicer_to_server(queries, server)
        add_health(self._health, server)
        if config.reflection:
            _add_reflection(server)
        self._threads = (lambda: pool.shutdown(wait=True, cancel_futures=True), planning.close)
        self._execution, self._registry, self._server = execution, registry, server
        await server.start()
        await self._exit.enter_async_context(serve_health(config.health_listen, self._health))
        self._expiry = asyncio.create_task(self._delete_expired())
        log.info("listening on %s", config.listen)

    async def stop(self) -> None:
        """Take no more queries, let those that run end or interrupt them, and close everything; idempotent."""
        if self._execution is not None:
            self._execution.take_no_more()
        await self._health.enter_graceful_shutdown()
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
        if self._execution is not None:
            await self._execution.close(self._parts.config.limits.drain_s)
        if self._registry is not None:
            self._registry.close_all()
        if self._server is not None:
            await self._server.stop(STOP_GRACE_S)
        await self._exit.aclose()
        # The merger first: it ends what the threads wait for.
        for close in (self._parts.merger.close, *self._threads, self._parts.store.close):
            await asyncio.to_thread(close)

    async def _delete_expired(self) -> None:
        while True:
            self._parts.store.delete_expired(int(self._now() * 1000))
            await asyncio.sleep(min(EXPIRY_CHECK_S, self._parts.config.store.results_keep_s))


def _check_directory(directory: Path | None) -> None:
    if directory is not None and not (directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)):
        raise errors.error(
            errors.CONFIG_INVALID,
            f"'relay.directory': {directory} is no folder that can be written to.",
            hint="Make it, for the coordinator's user alone.",
        )


def _bind(server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials) -> int:
    try:
        bound = server.add_secure_port(listen, credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"'listen': {listen} cannot be listened on.",
            hint="Is the port in use, or the address not this machine's?",
        )
    return int(bound)


def _add_reflection(server: grpc.aio.Server) -> None:
    from grpc_health.v1 import health
    from grpc_reflection.v1alpha import reflection

    names = (
        gateway_pb2.DESCRIPTOR.services_by_name["NodeGateway"].full_name,
        query_pb2.DESCRIPTOR.services_by_name["QueryService"].full_name,
        health.SERVICE_NAME,
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server)
