"""The agent's loop: dials out to the coordinator, tells what it holds, takes tasks, delivers, comes back when cut off.

One event loop; statements run in threads. Nothing is decided here: ``tasks`` decides what leaves.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import grpc
import pyarrow as pa

from archipel import __version__, certificate_wire, errors, frames, telemetry, tls, tokens, wire
from archipel.v1 import gateway_pb2, gateway_pb2_grpc
from node_agent import delivering, intersecting
from node_agent.cancellation import Cancellation
from node_agent.collecting import Collector
from node_agent.engine.base import Engine
from node_agent.order import TaskOrder
from node_agent.scope_messages import step_from_wire
from node_agent.sealed import Output, Sender
from node_agent.switches import CHECK_S
from node_agent.tasks import TaskRunner

log = logging.getLogger(__name__)

T = TypeVar("T")

DELIVER_GRACE_S = 120.0
"""Seconds that a delivery may take beyond the statement's own time."""
CLOSE_TIMEOUT_S = 2.0
"""How long the coordinator may take to end its half of the stream after ours has ended."""
ABANDON_TIMEOUT_S = 10.0
DEFAULT_HEARTBEAT_S = 5


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the loop needs to know."""

    node: str
    coordinator: str
    tls: tls.TlsFiles
    policy_digest: str
    max_concurrent_tasks: int
    max_queued_tasks: int
    max_input_bytes: int
    drain_s: float
    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    source_check_s: float = 10.0
    """How often the agent looks whether its data files changed, so that it registers them anew."""


class SourceChanged(Exception):
    """A data file is no longer what was registered: the engine must be opened anew."""


@dataclass(slots=True)
class _Running:
    """A task that was taken: its work and the means to stop it."""

    work: asyncio.Task[None]
    cancellation: Cancellation


class Agent:
    """One node's agent. ``run`` ends when it is asked to stop, or when the sources must be opened anew."""

    def __init__(self, settings: AgentSettings, runner: TaskRunner, engine: Engine) -> None:
        self._settings = settings
        self._runner = runner
        self._engine = engine
        self._outbox: asyncio.Queue[gateway_pb2.AttachRequest | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(settings.max_concurrent_tasks)
        self._threads = ThreadPoolExecutor(settings.max_concurrent_tasks, thread_name_prefix="task")
        self._tasks: dict[str, _Running] = {}
        self._stopping = asyncio.Event()
        self._look_at_sources = asyncio.Event()
        self._reopening = False
        self._clock_apart = False

    def stop(self) -> None:
        """Ask the loop to finish what runs and end."""
        self._stopping.set()

    def look_at_sources(self) -> None:
        """Have the loop look now whether the sources must be opened anew."""
        self._look_at_sources.set()

    async def run(self) -> None:
        """Stay attached until ``stop``.

        Raises:
            SourceChanged: a data file changed; what ran has ended.
        """
        backoff_s = self._settings.first_backoff_s
        watcher = asyncio.create_task(self._watch_sources())
        operator = asyncio.create_task(self._watch_operator())
        stopping = asyncio.create_task(self._stopping.wait())
        attached: asyncio.Task[None] | None = None
        try:
            while True:
                started = time.monotonic()
                attached = asyncio.create_task(self._attach_once())
                await asyncio.wait({attached, watcher, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    await self._drain(attached)
                    return
                if watcher.done():
                    watcher.result()
                    raise SourceChanged
                if time.monotonic() - started > self._settings.max_backoff_s:
                    backoff_s = self._settings.first_backoff_s
                log.warning("not attached (%s); next attempt in about %.1f s", _reason(attached), backoff_s)
                await asyncio.wait(
                    {watcher, stopping},
                    timeout=backoff_s * random.uniform(0.7, 1.3),  # so that many nodes do not come back as one
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if stopping.done():
                    return
                backoff_s = min(backoff_s * 2, self._settings.max_backoff_s)
        finally:
            left = [task for task in (attached, watcher, operator, stopping) if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._abandon_tasks()
            self._threads.shutdown(wait=True)

    async def _attach_once(self) -> None:
        outbox = self._outbox = asyncio.Queue()
        credentials = tls.channel_credentials(self._settings.tls)
        async with grpc.aio.secure_channel(
            self._settings.coordinator,
            credentials,
            options=tls.CHANNEL_OPTIONS,
            interceptors=telemetry.client_interceptors(),
        ) as channel:
            stub = gateway_pb2_grpc.NodeGatewayStub(channel)
            self._send(gateway_pb2.AttachRequest(hello=self._hello()))
            stream = stub.Attach(_sent(outbox))
            heartbeat: asyncio.Task[None] | None = None
            try:
                async for answer in stream:
                    kind = answer.WhichOneof("instruction")
                    if kind == "welcome":
                        self._welcomed(answer.welcome)
                        interval_s = answer.welcome.heartbeat_interval_s or DEFAULT_HEARTBEAT_S
                        heartbeat = heartbeat or asyncio.create_task(self._heartbeat(interval_s))
                    elif kind == "heartbeat_ack":
                        self._compare_clocks(answer.heartbeat_ack.clock_unix_ms)
                    elif kind == "task":
                        self._take(answer.task, stub)
                    elif kind == "cancel_task":
                        self._cancel(answer.cancel_task.task_id)
            finally:
                if heartbeat is not None:
                    heartbeat.cancel()
                stream.cancel()
                await self._abandon_tasks()  # whoever asked for them is not there any more

    async def _drain(self, attached: asyncio.Task[None]) -> None:
        """Tell that no more is taken, finish what runs, end our half of the stream."""
        self._send(gateway_pb2.AttachRequest(draining=gateway_pb2.Draining()))
        deadline = time.monotonic() + self._settings.drain_s
        if self._tasks:
            log.info("finishing %d running tasks", len(self._tasks))
        while self._tasks and not attached.done() and time.monotonic() < deadline:
            running = {task.work for task in self._tasks.values()}
            await asyncio.wait(
                {*running, attached}, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED
            )
        await self._abandon_tasks()
        self._outbox.put_nowait(None)
        await asyncio.wait({attached}, timeout=CLOSE_TIMEOUT_S)

    def _send(self, message: gateway_pb2.AttachRequest) -> None:
        self._outbox.put_nowait(message)

    def _hello(self) -> gateway_pb2.Hello:
        info = self._engine.info()
        peers = self._runner.peers
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
            seals=peers.own is not None,
            intersects=peers.own is not None and peers.linkage is not None,
            linkage_epoch=peers.epoch,
            withdrawn_tables=[wire.table_to_wire(table) for table in self._engine.withdrawn()],
        )

    def _welcomed(self, welcome: gateway_pb2.Welcome) -> None:
        self._compare_clocks(welcome.clock_unix_ms)
        for refused in welcome.refused_tables:
            log.error("the coordinator does not take a table: %s", refused.message)
        log.info("attached to %s", self._settings.coordinator)

    def _compare_clocks(self, coordinator_unix_ms: int) -> None:
        apart_s = abs(time.time() - coordinator_unix_ms / 1000)
        apart = apart_s > tokens.CLOCK_SKEW_S
        if apart and not self._clock_apart:
            log.error("this clock and the coordinator's are %.0f s apart: tasks are refused until they agree", apart_s)
        self._clock_apart = apart

    async def _heartbeat(self, interval_s: int) -> None:
        while True:
            await asyncio.sleep(interval_s)
            beat = gateway_pb2.Heartbeat(clock_unix_ms=int(time.time() * 1000), running_tasks=len(self._tasks))
            self._send(gateway_pb2.AttachRequest(heartbeat=beat))

    async def _abandon_tasks(self) -> None:
        for task_id in list(self._tasks):
            self._cancel(task_id)
        running = [task.work for task in self._tasks.values()]
        if running:
            await asyncio.wait(running, timeout=ABANDON_TIMEOUT_S)

    async def _watch_sources(self) -> None:
        """Return when the sources must be opened anew and no task runs any more."""
        while True:
            await _set_within(self._look_at_sources, self._settings.source_check_s)
            self._look_at_sources.clear()
            if self._runner.audit is not None:
                await asyncio.to_thread(self._runner.audit.tick)
            if await asyncio.to_thread(self._engine.must_reopen):
                break
        self._reopening = True
        while self._tasks:
            await asyncio.wait([task.work for task in self._tasks.values()])

    async def _watch_operator(self) -> None:
        """Do what the operator tells, again and again: tasks that were stopped end now, whatever they wait for."""
        while True:
            try:
                await asyncio.to_thread(self._runner.enforce)
            except errors.ArchipelError as problem:
                log.error("an operator's instruction is not written down yet: %s", problem.info.message)
            for task in list(self._tasks.values()):
                if task.cancellation.reason is not None:
                    task.work.cancel()
            await asyncio.sleep(CHECK_S)

    def _cancel(self, task_id: str) -> None:
        task = self._tasks.get(task_id)
        if task is not None:
            task.cancellation.cancel()
            task.work.cancel()

    def _take(self, task: gateway_pb2.Task, stub: gateway_pb2_grpc.NodeGatewayAsyncStub) -> None:
        if task.task_id in self._tasks:
            log.warning("a task was sent twice; the second is ignored")
            return
        problem = self._reason_not_to_take()
        if problem is not None:
            self._refuse(task.task_id, problem)
            return
        cancellation = Cancellation()
        self._runner.running.announce(cancellation, task.permit)
        work = asyncio.create_task(self._work(task, stub, cancellation))
        self._tasks[task.task_id] = _Running(work, cancellation)
        work.add_done_callback(lambda _: self._tasks.pop(task.task_id, None))

    def _reason_not_to_take(self) -> errors.ArchipelError | None:
        if self._stopping.is_set():
            return errors.error(errors.NODE_BUSY, "The node is being stopped.")
        if self._reopening:
            return errors.error(errors.NODE_CHANGED, "The node's data has changed and is being opened anew.")
        if len(self._tasks) >= self._settings.max_concurrent_tasks + self._settings.max_queued_tasks:
            return errors.error(errors.NODE_BUSY, "The node takes no more tasks now.")
        if self._clock_apart:
            return errors.error(errors.CLOCK_SKEW, "The node's clock and the coordinator's differ.")
        return None

    def _refuse(self, task_id: str, problem: errors.ArchipelError) -> None:
        told = errors.with_context(problem, node=self._settings.node)
        failed = gateway_pb2.TaskFailed(task_id=task_id, error=wire.error_to_wire(told.info))
        self._send(gateway_pb2.AttachRequest(task_failed=failed))

    async def _work(
        self, task: gateway_pb2.Task, stub: gateway_pb2_grpc.NodeGatewayAsyncStub, cancellation: Cancellation
    ) -> None:
        deadline = time.monotonic() + task.timeout_ms / 1000
        attributes: dict[telemetry.Attribute, str | int | float | bool] = {
            telemetry.Attribute.QUERY_ID: task.query_id,
            telemetry.Attribute.STAGE_ID: task.stage_id,
            telemetry.Attribute.NODE: self._settings.node,
            telemetry.Attribute.ATTEMPT: task.attempt,
        }
        try:
            async with self._slots:
                accepted = gateway_pb2.TaskAccepted(task_id=task.task_id)
                self._send(gateway_pb2.AttachRequest(task_accepted=accepted))
                with telemetry.span("archipel.task", attributes=attributes, parent=task.traceparent or None):
                    await self._run_and_deliver(task, stub, cancellation, deadline)
        except asyncio.CancelledError:
            if cancellation.reason is None:
                raise
            self._refuse(task.task_id, cancellation.reason)
        except errors.ArchipelError as problem:
            if problem.info.code in _SOURCE_FAILURES:
                self._look_at_sources.set()
            self._refuse(task.task_id, problem)
        except grpc.aio.AioRpcError as cause:
            log.warning("an exchange broke off: %s", cause.code().name)
            self._refuse(task.task_id, cancellation.reason or _broken_off(cause))
        except Exception as cause:  # noqa: BLE001 - the last line of defence: no text of an unknown error leaves
            log.error("a task failed with %s", type(cause).__name__)  # no traceback: its lines can hold values
            self._refuse(task.task_id, errors.error(errors.INTERNAL, "The node failed."))

    async def _run_and_deliver(
        self,
        task: gateway_pb2.Task,
        stub: gateway_pb2_grpc.NodeGatewayAsyncStub,
        cancellation: Cancellation,
        deadline: float,
    ) -> None:
        if time.monotonic() >= deadline:
            raise errors.error(errors.TIMEOUT, "The task waited at the node for longer than it may take.")
        inputs: dict[str, pa.Table] = {}
        for source in task.inputs:
            if not source.senders:
                parts = await self._collect(task, source, stub, deadline - time.monotonic())
                inputs[source.name] = await self._in_thread(frames.decode_table, parts)
        order = _order_of(task, max(0.05, deadline - time.monotonic()))
        collector = Collector(stub, task.task_id, deadline)
        run = self._in_thread(self._runner.run, order, inputs, cancellation, collector.pull)
        try:
            released = await asyncio.shield(run)
        except asyncio.CancelledError:
            collector.close()
            await asyncio.gather(run, return_exceptions=True)  # the slot is free only when the thread is
            raise
        finally:
            collector.close()
        timeout_s = max(0.0, deadline - time.monotonic()) + DELIVER_GRACE_S
        whole, released = delivering.whole(task, released)
        if whole is not None and delivering.fits_stream(task, whole):
            self._send(gateway_pb2.AttachRequest(delivered=whole))
            return
        if whole is not None:
            accepted = (await stub.DeliverWhole(whole, timeout=timeout_s)).accepted
        else:
            accepted = (await stub.Deliver(delivering.parts(task, released), timeout=timeout_s)).accepted
        if not accepted:
            log.info("a delivery was not wanted any more")

    async def _collect(
        self,
        task: gateway_pb2.Task,
        source: gateway_pb2.TaskInput,
        stub: gateway_pb2_grpc.NodeGatewayAsyncStub,
        timeout_s: float,
    ) -> list[bytes]:
        request = gateway_pb2.CollectRequest(task_id=task.task_id, exchange_id=source.exchange_id)
        parts, size = [], 0
        async for part in stub.Collect(request, timeout=max(0.05, timeout_s)):
            size += len(part.frame.data)
            if size > self._settings.max_input_bytes:
                raise errors.error(errors.NODE_RESOURCES, "An input of the task is larger than this node takes.")
            parts.append(part.frame.data)
        return parts

    def _in_thread(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run blocking work in a task's thread, within the same span."""
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(work, *arguments))


_SOURCE_FAILURES = frozenset({errors.NODE_CHANGED, errors.NODE_SOURCE, errors.NODE_EXECUTION})
"""After these the files are looked at at once: the next attempt shall find them registered as they are."""


async def _sent(outbox: asyncio.Queue[gateway_pb2.AttachRequest | None]) -> AsyncIterator[gateway_pb2.AttachRequest]:
    while (message := await outbox.get()) is not None:
        yield message


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _broken_off(cause: grpc.aio.AioRpcError) -> errors.ArchipelError:
    if cause.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.error(errors.TIMEOUT, "The exchange between node and coordinator took too long.")
    return errors.error(errors.NODE_UNAVAILABLE, "The exchange between node and coordinator broke off.")


def _order_of(task: gateway_pb2.Task, timeout_s: float) -> TaskOrder:
    return TaskOrder(
        task_id=task.task_id,
        query_id=task.query_id,
        stage_id=task.stage_id,
        attempt=task.attempt,
        permit=task.permit,
        request=task.request,
        sql=task.sql,
        inputs={s.name: tuple(wire.column_from_wire(c) for c in s.columns) for s in task.inputs},
        timeout_s=timeout_s,
        max_bytes=task.max_bytes,
        senders={
            s.name: tuple(Sender(sender.node, sender.stage_id, sender.attempt) for sender in s.senders)
            for s in task.inputs
            if s.senders
        },
        outputs=tuple(Output(o.exchange_id, tuple(o.nodes), o.part_column) for o in task.outputs),
        certificates=tuple(certificate_wire.from_wire(c) for c in task.certificates),
        round=step_from_wire(task.round) if task.HasField("round") else None,
        intersection=intersecting.step_from_wire(task.intersection) if task.HasField("intersection") else None,
    )


def _reason(attached: asyncio.Task[None]) -> str:
    problem = None if attached.cancelled() else attached.exception()
    if isinstance(problem, grpc.aio.AioRpcError):
        return f"{problem.code().name}: {wire.from_rpc_error(problem).info.message}"
    if isinstance(problem, errors.ArchipelError):
        return problem.info.message
    return type(problem).__name__ if problem else "the coordinator ended the stream"
