"""The agent's loop: dials out to the coordinator, tells what it holds, takes tasks, delivers, comes back when cut off.

One event loop; statements run in threads. Nothing is decided here: ``tasks`` decides what leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pyarrow as pa

from archipel import __version__, errors, frames, telemetry, tls, tokens, wire
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc
from node_agent.engine.base import Engine
from node_agent.tasks import Released, TaskOrder, TaskRunner

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
DELIVER_GRACE_S = 120.0
SOURCE_CHECK_S = 10.0
"""How often the agent looks whether its data files changed, so that it registers them anew."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the loop needs to know."""

    node: str
    coordinator: str
    tls: tls.TlsFiles
    policy_digest: str
    max_concurrent_tasks: int
    max_queued_tasks: int
    drain_s: float


class SourceChanged(Exception):
    """A data file is no longer what was registered: the engine must be opened anew."""


class Agent:
    """One node's agent. ``run`` ends when it is asked to stop, or when the sources must be opened anew."""

    def __init__(self, settings: AgentSettings, runner: TaskRunner, engine: Engine) -> None:
        self._settings = settings
        self._runner = runner
        self._engine = engine
        self._outbox: asyncio.Queue[gateway_pb2.AttachRequest] = asyncio.Queue()
        self._slots = asyncio.Semaphore(settings.max_concurrent_tasks)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._clock_apart = False

    def stop(self) -> None:
        """Ask the loop to finish what runs and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Stay attached until ``stop``.

        Raises:
            SourceChanged: no task runs and a data file changed.
        """
        backoff_s = FIRST_BACKOFF_S
        watcher = asyncio.create_task(self._watch_sources())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                started = time.monotonic()
                attached = asyncio.create_task(self._attach_once())
                done, _ = await asyncio.wait({attached, watcher}, return_when=asyncio.FIRST_COMPLETED)
                if watcher in done:
                    attached.cancel()
                    await asyncio.gather(attached, return_exceptions=True)
                    raise SourceChanged
                problem = attached.exception()
                if self._stopping.is_set():
                    break
                if time.monotonic() - started > MAX_BACKOFF_S:
                    backoff_s = FIRST_BACKOFF_S
                log.warning("not attached (%s); next attempt in about %.1f s", _reason(problem), backoff_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(stopping), backoff_s * random.uniform(0.7, 1.3))
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
        finally:
            stopping.cancel()
            watcher.cancel()
            await asyncio.gather(stopping, watcher, return_exceptions=True)

    async def _attach_once(self) -> None:
        self._outbox = asyncio.Queue()
        credentials = tls.channel_credentials(self._settings.tls)
        async with grpc.aio.secure_channel(
            self._settings.coordinator,
            credentials,
            options=tls.CHANNEL_OPTIONS,
            interceptors=telemetry.client_interceptors(),
        ) as channel:
            stub = gateway_pb2_grpc.NodeGatewayStub(channel)
            await self._outbox.put(gateway_pb2.AttachRequest(hello=self._hello()))
            stream = stub.Attach(self._sent())
            heartbeat: asyncio.Task[None] | None = None
            stopper = asyncio.create_task(self._drain_when_stopped(stream))
            try:
                async for answer in stream:
                    kind = answer.WhichOneof("instruction")
                    if kind == "welcome":
                        self._welcomed(answer.welcome)
                        interval = answer.welcome.heartbeat_interval_s or 5
                        heartbeat = heartbeat or asyncio.create_task(self._heartbeat(interval))
                    elif kind == "task":
                        self._take(answer.task, stub)
                    elif kind == "cancel_task":
                        self._cancel(answer.cancel_task.task_id)
            finally:
                for helper in (heartbeat, stopper):
                    if helper is not None:
                        helper.cancel()
                stream.cancel()
                if not self._stopping.is_set():
                    await self._abandon_tasks()

    def _hello(self) -> gateway_pb2.Hello:
        info = self._engine.info()
        return gateway_pb2.Hello(
            node=self._settings.node,
            software_version=__version__,
            engine=info.name,
            engine_version=info.version,
            collation=info.collation,
            time_zone=info.time_zone,
            tables=[wire.table_to_wire(table) for table in self._engine.tables()],
            max_concurrent_tasks=self._settings.max_concurrent_tasks,
            policy_digest=self._settings.policy_digest,
            clock_unix_ms=int(time.time() * 1000),
        )

    def _welcomed(self, welcome: gateway_pb2.Welcome) -> None:
        apart_s = abs(time.time() - welcome.clock_unix_ms / 1000)
        self._clock_apart = apart_s > tokens.CLOCK_SKEW_S
        if self._clock_apart:
            log.error("this clock and the coordinator's are %.0f s apart: tasks are refused until they agree", apart_s)
        for refused in welcome.refused_tables:
            log.error("the coordinator does not take a table: %s", refused.message)
        log.info("attached to %s", self._settings.coordinator)

    async def _sent(self) -> AsyncIterator[gateway_pb2.AttachRequest]:
        while True:
            yield await self._outbox.get()

    async def _heartbeat(self, interval_s: int) -> None:
        while True:
            await asyncio.sleep(interval_s)
            beat = gateway_pb2.Heartbeat(clock_unix_ms=int(time.time() * 1000), running_tasks=len(self._tasks))
            await self._outbox.put(gateway_pb2.AttachRequest(heartbeat=beat))

    async def _drain_when_stopped(self, stream: grpc.aio.StreamStreamCall) -> None:
        await self._stopping.wait()
        await self._outbox.put(gateway_pb2.AttachRequest(draining=gateway_pb2.Draining()))
        running = list(self._tasks.values())
        if running:
            log.info("finishing %d running tasks", len(running))
            await asyncio.wait(running, timeout=self._settings.drain_s)
        await self._abandon_tasks()
        stream.cancel()

    async def _abandon_tasks(self) -> None:
        for task_id in list(self._tasks):
            self._cancel(task_id)
        running = list(self._tasks.values())
        if running:
            await asyncio.wait(running, timeout=10.0)

    async def _watch_sources(self) -> None:
        names = tuple(table.name for table in self._engine.tables())
        broken = bool(self._engine.problems())
        while True:
            await asyncio.sleep(SOURCE_CHECK_S)
            if self._tasks:
                continue
            try:
                await asyncio.to_thread(self._engine.check_unchanged, names)
            except errors.ArchipelError:
                return
            if broken:
                return  # a table that could not be read may be readable now

    def _cancel(self, task_id: str) -> None:
        self._runner.cancel(task_id)
        task = self._tasks.get(task_id)
        if task is not None:
            task.cancel()

    def _take(self, task: gateway_pb2.Task, stub: gateway_pb2_grpc.NodeGatewayAsyncStub) -> None:
        if self._stopping.is_set() or len(self._tasks) >= (
            self._settings.max_concurrent_tasks + self._settings.max_queued_tasks
        ):
            self._refuse(task.task_id, errors.error(errors.NODE_BUSY, "The node takes no more tasks now."))
            return
        if self._clock_apart:
            self._refuse(
                task.task_id, errors.error(errors.CLOCK_SKEW, "The node's clock and the coordinator's differ.")
            )
            return
        running = asyncio.create_task(self._work(task, stub))
        self._tasks[task.task_id] = running
        running.add_done_callback(lambda _: self._tasks.pop(task.task_id, None))

    def _refuse(self, task_id: str, problem: errors.ArchipelError) -> None:
        told = errors.with_context(problem, node=self._settings.node)
        failed = gateway_pb2.TaskFailed(task_id=task_id, error=wire.error_to_wire(told.info))
        self._outbox.put_nowait(gateway_pb2.AttachRequest(task_failed=failed))

    async def _work(self, task: gateway_pb2.Task, stub: gateway_pb2_grpc.NodeGatewayAsyncStub) -> None:
        attributes = {
            telemetry.Attribute.QUERY_ID: task.query_id,
            telemetry.Attribute.STAGE_ID: task.stage_id,
            telemetry.Attribute.NODE: self._settings.node,
        }
        try:
            async with self._slots:
                accepted = gateway_pb2.TaskAccepted(task_id=task.task_id)
                await self._outbox.put(gateway_pb2.AttachRequest(task_accepted=accepted))
                with telemetry.span("archipel.task", attributes=attributes, parent=task.traceparent or None):
                    await self._run_and_deliver(task, stub)
        except errors.ArchipelError as problem:
            self._refuse(task.task_id, problem)
        except grpc.aio.AioRpcError as cause:
            log.warning("a delivery broke off: %s", cause.code().name)
            self._refuse(task.task_id, errors.error(errors.NODE_UNAVAILABLE, "The delivery broke off."))
        except Exception as cause:  # noqa: BLE001 - the last line of defence: no text of an unknown error leaves
            log.error("a task failed with %s", type(cause).__name__)  # no traceback: its lines can hold values
            self._refuse(task.task_id, errors.error(errors.INTERNAL, "The node failed."))

    async def _run_and_deliver(self, task: gateway_pb2.Task, stub: gateway_pb2_grpc.NodeGatewayAsyncStub) -> None:
        started = time.monotonic()
        timeout_s = task.timeout_ms / 1000
        inputs: dict[str, pa.Table] = {}
        for source in task.inputs:
            request = gateway_pb2.CollectRequest(task_id=task.task_id, exchange_id=source.exchange_id)
            parts = [part.frame.data async for part in stub.Collect(request, timeout=timeout_s)]
            inputs[source.name] = await asyncio.to_thread(frames.decode_table, parts)
        order = TaskOrder(
            task_id=task.task_id,
            query_id=task.query_id,
            stage_id=task.stage_id,
            attempt=task.attempt,
            permit=task.permit,
            request=task.request,
            sql=task.sql,
            inputs={s.name: tuple(wire.column_from_wire(c) for c in s.columns) for s in task.inputs},
            timeout_s=max(0.05, timeout_s - (time.monotonic() - started)),
            max_bytes=task.max_bytes,
        )
        released = await asyncio.to_thread(self._runner.run, order, inputs)
        await stub.Deliver(_delivery(task, released), timeout=timeout_s + DELIVER_GRACE_S)


async def _delivery(task: gateway_pb2.Task, released: Released) -> AsyncIterator[gateway_pb2.DeliverRequest]:
    yield gateway_pb2.DeliverRequest(
        header=gateway_pb2.DeliverHeader(
            task_id=task.task_id, query_id=task.query_id, stage_id=task.stage_id, attempt=task.attempt
        )
    )
    for frame in released.frames:
        yield gateway_pb2.DeliverRequest(frame=common_pb2.ArrowFrame(data=frame))
    withheld = common_pb2.Withheld(
        threshold_applied=released.withheld.threshold_applied, min_persons=released.withheld.min_persons
    )
    if released.withheld.groups is not None:
        withheld.groups = released.withheld.groups
    yield gateway_pb2.DeliverRequest(
        trailer=gateway_pb2.DeliverTrailer(
            withheld=withheld,
            receipt=common_pb2.Receipt(token=released.finish()),
            engine_ms=released.engine_ms,
        )
    )


def _reason(problem: BaseException | None) -> str:
    if isinstance(problem, grpc.aio.AioRpcError):
        return f"{problem.code().name}: {wire.from_rpc_error(problem).info.message}"
    if isinstance(problem, errors.ArchipelError):
        return problem.info.message
    return type(problem).__name__ if problem else "the coordinator ended the stream"
