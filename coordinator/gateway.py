"""``NodeGateway``: the service that nodes call. Thin: identity, then hand on to registry, deliveries and execution."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from grpc.aio import EOF  # type: ignore[attr-defined]

from archipel import __version__, errors, frames, sealing, tls, tokens, wire
from archipel.manifest import Manifest
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc
from coordinator.answering import answering
from coordinator.deliveries import (
    WIRE_OVERHEAD_BYTES,
    Deliveries,
    Expected,
    Route,
    SealedDelivery,
    decode,
    sealed,
    sealed_stream,
)
from coordinator.dispatch import ATTACHED_BYTES
from coordinator.planning import Planning
from coordinator.registration import read_hello, refusal
from coordinator.registry import Registry, Session
from coordinator.relay import Relay, Spool

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
SILENT_INTERVALS = 3
"""A node that has not been heard of for so many heartbeat intervals is lost."""

MAX_ERROR_CHARS = 1_000
BREAK_OFF_S = 0.05
"""gRPC tells of a call that broke off as if its messages had ended; that it was cancelled follows at once."""

MAX_SEALED_BYTES = max(sealing.MAX_FRAME_BYTES, sealing.MAX_OPENING_BYTES)
"""Most bytes of one frame of a sealed stream."""


class NodeGateway(gateway_pb2_grpc.NodeGatewayServicer):
    """The gateway."""

    def __init__(
        self,
        manifest: Manifest,
        registry: Registry,
        deliveries: Deliveries,
        planning: Planning,
        relay: Relay,
        *,
        heartbeat_interval_s: int,
        now: Callable[[], float],
    ) -> None:
        self._manifest = manifest
        self._registry = registry
        self._deliveries = deliveries
        self._planning = planning
        self._relay = relay
        self._heartbeat_interval_s = heartbeat_interval_s
        self._now = now
        self._keys: dict[str, Ed25519PublicKey] = {
            node.name: tokens.decode_public_key(node.signing_key) for node in manifest.nodes
        }

    @answering
    async def Attach(self, request: Any, context: Any) -> None:
        """Take in a node for as long as its stream is open."""
        node = self._peer(context)
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                first = await context.read()
        except TimeoutError:
            raise errors.error(errors.BAD_REQUEST, "The node said no hello.") from None
        if first is EOF or first.WhichOneof("event") != "hello":
            raise errors.error(errors.BAD_REQUEST, "The first message of a node is its hello.")
        session, refused = await self._session(first.hello, node)
        conflicts = self._registry.attach(session)
        try:
            await context.write(self._welcome((*refused, *conflicts)))
            log.info("node '%s' attached with %d tables", node, len(session.registration.tables))
            await self._serve(session, context)
        finally:
            self._registry.detach(session)
            log.info("node '%s' is no longer attached", node)

    @answering
    async def Deliver(self, request: Any, context: Any) -> gateway_pb2.DeliverResponse:
        """Receive a stage's output."""
        node = self._peer(context)
        first = await context.read()
        if first is EOF or first.WhichOneof("part") != "header":
            raise errors.error(errors.BAD_REQUEST, "A delivery begins with its header.")

        async def receive(expected: Expected) -> bool:
            return await (self._receive_sealed if expected.routes else self._receive)(expected, context)

        return await self._claimed(first.header, node, receive)

    @answering
    async def DeliverWhole(
        self, request: gateway_pb2.DeliverWholeRequest, context: Any
    ) -> gateway_pb2.DeliverWholeResponse:
        """Receive a stage's output that came as one message."""

        async def receive(expected: Expected) -> bool:
            return await self._take(_whole_parts(request, expected), request.trailer, expected)

        answer = await self._claimed(request.header, self._peer(context), receive)
        return gateway_pb2.DeliverWholeResponse(accepted=answer.accepted)

    async def _claimed(
        self, header: gateway_pb2.DeliverHeader, node: str, receive: Callable[[Expected], Awaitable[bool]]
    ) -> gateway_pb2.DeliverResponse:
        """Receive a delivery if it is wanted; what is wrong with it ends its task."""
        expected = self._deliveries.claim(header, node)
        if expected is None:
            return gateway_pb2.DeliverResponse(accepted=False)
        try:
            return gateway_pb2.DeliverResponse(accepted=await receive(expected))
        except errors.ArchipelError as problem:
            self._deliveries.refuse(expected, problem.info)
            return gateway_pb2.DeliverResponse(accepted=False)
        finally:
            self._deliveries.release(expected)

    @answering
    async def Collect(self, request: gateway_pb2.CollectRequest, context: Any) -> None:
        """Send a task's input to the node that has the task."""
        node = self._peer(context)
        expected = self._deliveries.find(request.task_id, node)
        if expected is not None and request.sender:
            spool = expected.sealed_inputs.get((request.exchange_id, request.sender))
            if spool is not None:
                async for part in spool.frames():
                    await context.write(gateway_pb2.CollectResponse(frame=common_pb2.ArrowFrame(data=part)))
                return
        table = None if expected is None or request.sender else expected.inputs.get(request.exchange_id)
        if table is None:
            raise errors.error(errors.BAD_REQUEST, "There is no such input for a task of this node.")
        parts = await asyncio.to_thread(lambda: list(frames.encode_table(table)))
        for part in parts:
            await context.write(gateway_pb2.CollectResponse(frame=common_pb2.ArrowFrame(data=part)))

    def _peer(self, context: Any) -> str:
        """Return the name of the node that calls.

        Raises:
            ArchipelError: IDENTITY when it is no node, or its key is not the one that the manifest names.
        """
        peer = tls.peer_identity(context)
        if peer.kind != "node" or peer.federation != self._manifest.federation:
            raise errors.error(errors.IDENTITY, "Only nodes of this federation may call this service.")
        entry = self._manifest.node(peer.name)
        if entry is None or entry.certificate_sha256 != peer.certificate_sha256:
            raise errors.error(errors.IDENTITY, "The manifest does not name this node with this key.")
        return peer.name

    async def _session(self, hello: gateway_pb2.Hello, node: str) -> tuple[Session, tuple[errors.ErrorInfo, ...]]:
        registration, refused = read_hello(hello, node)
        unusable = await self._planning.unusable(registration.tables)
        if unusable:
            refused += tuple(refusal(name, reason) for name, reason in unusable.items())
            registration = registration.without(unusable)
        for info in refused:
            log.warning("node '%s': %s", node, info.message)
        session = Session(registration)
        session.clock_offset_ms = hello.clock_unix_ms - self._now_ms()
        return session, refused

    def _welcome(self, refused: tuple[errors.ErrorInfo, ...]) -> gateway_pb2.AttachResponse:
        return gateway_pb2.AttachResponse(
            welcome=gateway_pb2.Welcome(
                coordinator_version=__version__,
                heartbeat_interval_s=self._heartbeat_interval_s,
                refused_tables=[wire.error_to_wire(info) for info in refused],
                clock_unix_ms=self._now_ms(),
            )
        )

    async def _serve(self, session: Session, context: Any) -> None:
        """Send and receive until the node ends the stream, falls silent, or is replaced."""
        parts: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._send(session, context)),
            asyncio.create_task(self._listen(session, context)),
            asyncio.create_task(session.replaced.wait()),
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        for part in done:
            part.result()

    async def _send(self, session: Session, context: Any) -> None:
        while True:
            await context.write(await session.outbox.get())

    async def _listen(self, session: Session, context: Any) -> None:
        silence_s = self._heartbeat_interval_s * SILENT_INTERVALS
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    message = await context.read()
            except TimeoutError:
                log.warning("node '%s' has been silent for %d s", session.node, silence_s)
                raise errors.error(errors.NODE_UNAVAILABLE, "The node has been silent for too long.") from None
            if message is EOF:
                return
            self._registry.seen(session.node)
            self._heard(session, message)

    def _heard(self, session: Session, message: gateway_pb2.AttachRequest) -> None:
        match message.WhichOneof("event"):
            case "heartbeat":
                session.running_tasks = message.heartbeat.running_tasks
                session.clock_offset_ms = message.heartbeat.clock_unix_ms - self._now_ms()
                ack = gateway_pb2.HeartbeatAck(clock_unix_ms=self._now_ms())
                session.send(gateway_pb2.AttachResponse(heartbeat_ack=ack))
            case "task_failed":
                expected = self._deliveries.find(message.task_failed.task_id, session.node)
                if expected is not None:
                    self._deliveries.refuse(expected, _told_by(session.node, message.task_failed.error))
            case "delivered":
                self._take_attached(session.node, message.delivered)
            case "draining":
                log.info("node '%s' finishes what runs and takes no more", session.node)
                session.draining = True
            case "task_accepted" | _:
                pass

    def _take_attached(self, node: str, delivery: gateway_pb2.DeliverWholeRequest) -> None:
        """Take a small output that came on the node's stream; what is wrong with it ends its task, not the stream."""
        expected = self._deliveries.claim(delivery.header, node)
        if expected is None:
            return
        try:
            parts = _whole_parts(delivery, expected, ATTACHED_BYTES)
            self._deliveries.accept(expected, decode(parts, delivery.trailer, expected, self._keys[node]))
        except errors.ArchipelError as problem:
            self._deliveries.refuse(expected, problem.info)
        except Exception as cause:  # noqa: BLE001 - the node's other tasks depend on the stream
            log.error("a delivery of node '%s' failed with %s", node, type(cause).__name__)
            info = errors.error(errors.INTERNAL, "The coordinator failed.", query_id=expected.query_id).info
            self._deliveries.refuse(expected, info)
        finally:
            self._deliveries.release(expected)

    async def _receive(self, expected: Expected, context: Any) -> bool:
        """Return whether the delivery was taken.

        Raises:
            ArchipelError: the node delivered what it should not.
        """
        parts: list[bytes] = []
        size = 0
        async for message in _messages(context):
            if expected.withdrawn:
                return False
            if message.WhichOneof("part") == "frame":
                parts.append(message.frame.data)
                size += len(message.frame.data)
                _check_size(size, expected)
                continue
            if message.WhichOneof("part") != "trailer":
                break
            return await self._take(parts, message.trailer, expected)
        raise errors.error(errors.NODE_EXECUTION, "The node's delivery has no end.", node=expected.task.node)

    async def _take(self, parts: list[bytes], trailer: gateway_pb2.DeliverTrailer, expected: Expected) -> bool:
        work = (parts, trailer, expected, self._keys[expected.task.node])
        small = sum(map(len, parts)) <= ATTACHED_BYTES
        return self._deliveries.accept(expected, decode(*work) if small else await asyncio.to_thread(decode, *work))

    async def _receive_sealed(self, expected: Expected, context: Any) -> bool:
        """Take in what a task sealed for other nodes, without a look at it; return whether it was taken.

        Raises:
            ArchipelError: the node delivered what it should not, or there is no room for it.
        """
        streams: dict[Route, SealedDelivery] = {}
        opened: list[Spool] = []
        taken = False
        try:
            current: tuple[Route, Spool, Any] | None = None
            async for message in _messages(context):
                if expected.withdrawn:
                    return False
                kind = message.WhichOneof("part")
                if kind == "stream" and current is None:
                    route = (message.stream.exchange_id, message.stream.receiver)
                    if route not in expected.routes or route in streams:
                        break
                    opened.append(self._relay.open(expected.query_id))
                    current = (route, opened[-1], hashlib.sha256())
                elif kind == "frame" and current is not None:
                    if len(message.frame.data) > MAX_SEALED_BYTES:
                        break
                    current[2].update(message.frame.data)
                    if not await current[1].append(message.frame.data):
                        return False
                elif kind == "stream_end" and current is not None:
                    route, spool, body = current
                    key = self._keys[expected.task.node]
                    token = message.stream_end.receipt.token
                    streams[route] = sealed_stream(spool, route, token, expected, key, body.hexdigest())
                    current = None
                elif kind == "trailer" and current is None:
                    taken = self._deliveries.accept(expected, sealed(streams, message.trailer, expected))
                    return taken
                else:
                    break
            text = "The node's delivery of sealed data is not well formed."
            raise errors.error(errors.NODE_EXECUTION, text, node=expected.task.node)
        finally:
            for spool in () if taken else opened:
                spool.close()

    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _whole_parts(delivery: gateway_pb2.DeliverWholeRequest, expected: Expected, most: int | None = None) -> list[bytes]:
    if expected.routes:
        text = "What is for other nodes came for the coordinator."
        raise errors.error(errors.NODE_EXECUTION, text, node=expected.task.node)
    parts = [frame.data for frame in delivery.frames]
    size = sum(map(len, parts))
    _check_size(size, expected)
    if most is not None and size > most:
        text = "The node's delivery is too large for its stream."
        raise errors.error(errors.NODE_EXECUTION, text, node=expected.task.node)
    return parts


def _check_size(size: int, expected: Expected) -> None:
    if size > expected.max_bytes + WIRE_OVERHEAD_BYTES:
        text = f"The stage gives more than {expected.max_bytes:,} bytes."
        raise errors.error(errors.RESULT_TOO_LARGE, text, node=expected.task.node)


async def _messages(context: Any) -> AsyncIterator[gateway_pb2.DeliverRequest]:
    while (message := await context.read()) is not EOF:
        yield message
    await asyncio.sleep(BREAK_OFF_S)


def _told_by(node: str, detail: common_pb2.ErrorDetail) -> errors.ErrorInfo:
    """Return a node's error, bounded. Its position is in the stage's SQL, which nobody wrote: it is left out."""
    told = wire.error_from_wire(detail).info
    return errors.ErrorInfo(told.code, told.message[:MAX_ERROR_CHARS], told.hint[:MAX_ERROR_CHARS], node=node)
