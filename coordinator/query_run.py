"""One query under way: carries out what ``lifecycle`` says and feeds back what happened.

Lives on the event loop's thread; what blocks is done in threads. Everything that it starts ends with the query.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import pyarrow as pa

from archipel import errors, telemetry
from archipel.v1 import query_pb2
from coordinator import accuracy, events, lifecycle
from coordinator.asked import Asked, RequestKey, Shared
from coordinator.deliveries import Delivery, crossed_bytes
from coordinator.dispatch import Dispatch, Inputs, form_of
from coordinator.events import State, TaskRef
from coordinator.measures import Measures
from coordinator.merge.stop import Stop
from coordinator.outcome import Coverage, result_info
from coordinator.plan import Stage, StageKind
from coordinator.planning import Planned
from coordinator.stage_work import (
    encoded,
    exchange_named,
    input_table,
    merge_input,
    only_picks,
    picked_table,
    result_table,
)
from coordinator.store import QueryRecord, ResultRecord, make_event
from coordinator.withdrawn import lacking

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_BACKOFF_S = 0.25
LINGER_S = 2.0
"""How long other nodes may take to say that a person must decide there too, when a query fails for that reason."""

EVENTS_TO_DISK_S = 0.25
"""Events wait so long for each other: each of their own would cost a tiny query seven commits, and the disk as much."""

SMALL_BYTES = 64 * 1024
"""What is not larger is picked and made ready on the loop's thread: a hop to another thread takes longer."""

AT_HAND_BYTES = 1024 * 1024
"""A result up to this size is handed from memory to who waits for the end; a larger one is read from the store."""

LEAST_TIMEOUT_S = 0.05

_METRIC_STATES = {State.FINISHED: "done", State.FAILED: "failed", State.CANCELLED: "cancelled"}


class QueryRun:
    """A query from its submission to its end."""

    def __init__(
        self, shared: Shared, query_id: str, asked: Asked, planned: Planned, on_end: Callable[[QueryRun], None]
    ) -> None:
        self._shared = shared
        self._asked = asked
        self._planned = planned
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._created = shared.now()
        self._began = self._loop.time()
        attributes = {telemetry.Attribute.QUERY_ID: query_id}
        self._span = telemetry.open_span("archipel.execute", attributes=attributes)
        self._trace = self._span.traceparent or telemetry.current_traceparent()
        self._inbox: deque[events.Event] = deque()
        self._handling = False
        self._working: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._dispatch = Dispatch(
            shared.registry,
            shared.deliveries,
            query_id,
            asked,
            shared.limits,
            self._trace,
            max_sealed_bytes=shared.relay.settings.max_bytes,
        )
        self._outputs: dict[str, pa.Table | dict[str, pa.Table]] = {}
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._merged_by = ""
        self._measures = Measures(self._loop.time)
        self._stop = Stop()
        self._result: ResultRecord | None = None
        self._new_plan: str | None = None
        self._changed = asyncio.Event()
        self._told_end = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self.ended = False
        """Whether its end is on disk and told."""
        self.at_hand: ResultRecord | None = None
        """A small result as it was stored, for those who waited for the end."""
        self.query_id = query_id
        self.told: list[query_pb2.QueryEvent] = []
        """Everything that happened, as it is told to those who watch."""
        self._query, instructions = lifecycle.submitted(query_id, planned.plan, asked.request.on_missing)
        for instruction in instructions:
            assert isinstance(instruction, events.Record)
            self._tell(instruction.kind)
        self._stored_events = 0
        self.stored: Future[None] = shared.store.add_query(self._record(), self._unstored())
        """Done when the query is on disk."""
        self._timers["deadline"] = self._loop.call_later(asked.request.timeout_s, self._deadline_passed)

    @property
    def researcher(self) -> str:
        """Whose query it is."""
        return self._asked.researcher

    @property
    def request_sha256(self) -> str:
        """Digest of the request that it came from."""
        return self._asked.request_sha256

    @property
    def request_key(self) -> RequestKey:
        """What makes a repeated request be recognised."""
        return self._asked.permit.permit_id, self._asked.researcher, self._asked.request.request_id

    @property
    def state(self) -> State:
        """Where it stands now; how it ends may not be on disk yet."""
        return self._query.state

    async def watch(self) -> AsyncGenerator[query_pb2.QueryEvent, None]:
        """Yield everything that happened and happens, until the end."""
        position = 0
        while True:
            changed, over = self._changed, self.ended
            while position < len(self.told):
                position += 1
                yield self.told[position - 1]
            if over:
                return
            await changed.wait()

    def start(self) -> None:
        """Begin: the query's turn has come; one that was cancelled while it waited stays as it is."""
        if self.state.ended:
            return
        stale = self._planned.against != self._shared.planning.state
        self.handle(events.Started(self._shared.registry.attached, stale, self._withdrawn()))

    async def wait_ended(self) -> None:
        """Return when the end is on disk and told."""
        await self._told_end.wait()

    def handle(self, event: events.Event) -> None:
        """Take an event and carry out what follows from it."""
        self._inbox.append(event)
        if self._handling:
            return  # from within an instruction: its turn comes when all instructions of this step are carried out
        self._handling = True
        try:
            while self._inbox:
                self._step(self._inbox.popleft())
        finally:
            self._handling = False

    def _step(self, event: events.Event) -> None:
        try:
            self._query, instructions = lifecycle.advance(self._query, event)
        except lifecycle.LifecycleError as cause:
            log.error("%s", cause)
            self._query, instructions = lifecycle.advance(self._query, events.Broken())
        for instruction in instructions:
            try:
                self._perform(instruction)
            except Exception as cause:  # noqa: BLE001 - a query must end, whatever is wrong with us
                self._broke("an instruction", cause)

    def _perform(self, instruction: events.Instruction) -> None:
        match instruction:
            case events.Record():
                self._tell(instruction.kind, instruction.node, instruction.stage_id)
                self._publish()
            case events.SendTask():
                self._send(instruction.task, instruction.senders)
            case events.Withdraw():
                self._withdraw(instruction.task)
            case events.RetryLater():
                task = instruction.task
                self._timers[_timer_of(task)] = self._loop.call_later(RETRY_BACKOFF_S, self._try_again, task)
            case events.Linger():
                self._timers["linger"] = self._loop.call_later(LINGER_S, self._linger_over)
            case events.Replan():
                linger = self._timers.pop("linger", None)
                if linger is not None:
                    linger.cancel()
                self._stop_work()
                self._shared.relay.drop(self.query_id)
                self._outputs, self._deliveries, self._merged_by = {}, {}, ""
                self._measures = Measures(self._loop.time)
                self._spawn(self._replan(instruction.without))
            case events.Compute():
                self._begin_to_compute(self._planned.plan.stage(instruction.stage_id))
            case events.Conclude():
                self._begin_to_conclude()
            case events.End():
                self._end(instruction.state, instruction.error)

    # Tasks at nodes

    def _send(self, task: TaskRef, senders: tuple[TaskRef, ...]) -> None:
        sent = self._dispatch.send(
            self._planned.plan,
            task,
            self._inputs(task, senders),
            left_s=self._left_s(),
            on_delivery=lambda delivery: self._delivered(task, delivery),
            on_refusal=lambda problem: self._refused(task, problem),
        )
        if not sent:
            self.handle(events.NodeLost(task.node))
            return
        self._measures.sent(task)

    def _inputs(self, task: TaskRef, senders: tuple[TaskRef, ...]) -> Inputs:
        plan = self._planned.plan
        tables, sealed = {}, {}
        for exchange_id in plan.stage(task.stage_id).inputs:
            exchange = exchange_named(plan, exchange_id)
            if not plan.is_sealed(exchange):
                tables[exchange_id] = input_table(self._planned, exchange_id, self._outputs, with_shard=False)
                continue
            for node in plan.stage(exchange.source).sites:
                delivery = self._deliveries[exchange.source, node]
                sealed[exchange_id, node] = delivery.sealed[exchange_id, task.node].spool
        return Inputs(tables, senders, sealed)

    def _withdraw(self, task: TaskRef) -> None:
        timer = self._timers.pop(_timer_of(task), None)
        if timer is not None:
            timer.cancel()  # it waited to be tried again: the node knows nothing of it
            return
        self._dispatch.withdraw(task)

    def _delivered(self, task: TaskRef, delivery: Delivery) -> None:
        self._dispatch.ended(task)
        form = form_of(self._planned.plan, task.stage_id).name.lower()
        left = crossed_bytes(task.node, delivery)
        telemetry.record_exchange(left, form=form, node=task.node, sealed=bool(delivery.sealed))
        self._deliveries[task.stage_id, task.node] = delivery
        self._measures.delivered(
            task,
            wire_bytes=left,
            engine_ms=delivery.engine_ms,
            rows=None if delivery.table is None else delivery.table.num_rows,
            withheld=delivery.withheld,
        )
        if delivery.table is not None:
            tables = self._outputs.setdefault(task.stage_id, {})
            assert isinstance(tables, dict)
            tables[task.node] = delivery.table
        self._forget_collected(task)
        self.handle(events.Delivered(task))

    def _forget_collected(self, task: TaskRef) -> None:
        """Give back the room of what was sealed for a task that is done: nobody will collect it again."""
        plan = self._planned.plan
        for exchange_id in plan.stage(task.stage_id).inputs:
            source = exchange_named(plan, exchange_id).source
            for (stage_id, _), delivery in self._deliveries.items():
                stream = delivery.sealed.get((exchange_id, task.node)) if stage_id == source else None
                if stream is not None:
                    stream.spool.close()

    def _refused(self, task: TaskRef, problem: errors.ErrorInfo) -> None:
        self._dispatch.ended(task, problem.code.name)
        self.handle(events.Refused(task, problem))

    def _try_again(self, task: TaskRef) -> None:
        del self._timers[_timer_of(task)]
        self.handle(events.BackoffOver(task))

    def _linger_over(self) -> None:
        del self._timers["linger"]
        self.handle(events.LingerOver())

    # The coordinator's own work

    async def _replan(self, without: frozenset[str]) -> None:
        attached = self._shared.registry.attached - without
        try:
            self._planned = await self._shared.planning.plan(
                self._asked.request, self._asked.permit, among=attached if without else None
            )
        except errors.ArchipelError as problem:
            self.handle(events.ReplanFailed(problem.info))
            return
        self._new_plan = self._planned.json
        attached = self._shared.registry.attached - without
        self.handle(events.Replanned(self._planned.plan, attached, self._withdrawn()))

    def _withdrawn(self) -> dict[str, tuple[str, ...]]:
        return lacking(self._planned.plan, self._shared.registry.withdrawn)

    def _begin_to_compute(self, stage: Stage) -> None:
        self._measures.began(stage.stage_id)
        executor = ""
        try:
            if stage.kind is not StageKind.MERGE:
                table = self._picked_here(stage)
            elif (merged := self._merged_here(stage)) is not None:
                table, executor = merged
                self._merged_by = max(self._merged_by, executor)
            else:
                table = None
        except errors.ArchipelError as problem:
            self.handle(events.ComputeFailed(stage.stage_id, problem.info))
            return
        if table is None:
            self._spawn(self._compute(stage))
        else:
            self._computed(stage, table, executor)

    async def _compute(self, stage: Stage) -> None:
        executor = ""
        try:
            if stage.kind is StageKind.MERGE:
                table, executor = await self._in_thread(stage.stage_id, self._merge, stage, self._stop)
                self._merged_by = max(self._merged_by, executor)  # "ray" when any of several merges was on Ray
            else:
                table = await self._in_thread(stage.stage_id, self._finish, stage, self._stop)
        except errors.ArchipelError as problem:
            self.handle(events.ComputeFailed(stage.stage_id, problem.info))
            return
        self._computed(stage, table, executor)

    def _computed(self, stage: Stage, table: pa.Table, executor: str = "") -> None:
        self._outputs[stage.stage_id] = table
        self._measures.computed(stage.stage_id, table.num_rows, executor)
        self.handle(events.Computed(stage.stage_id))

    def _merge(self, stage: Stage, stop: Stop) -> tuple[pa.Table, str]:
        source = merge_input(self._planned, stage, self._outputs)
        return self._shared.merger.merge(stage.sql, source, stage.keys, timeout_s=self._left_s(), stop=stop)

    def _finish(self, stage: Stage, stop: Stop) -> pa.Table:
        table = self._picked(stage)
        if table is not None:
            return table
        inputs = {e: input_table(self._planned, e, self._outputs, with_shard=True) for e in stage.inputs}
        return self._shared.merger.finish(stage.sql, inputs, timeout_s=self._left_s(), stop=stop, **self._bounds(stage))

    def _merged_here(self, stage: Stage) -> tuple[pa.Table, str] | None:
        """Return what a merge of little gives that needs no engine, on the loop's thread."""
        if self._input_bytes(stage) > SMALL_BYTES:
            return None
        if not self._shared.merger.merges_at_once(stage.sql, merge_input(self._planned, stage, self._outputs)):
            return None
        with self._stage_span(stage.stage_id):
            return self._merge(stage, self._stop)

    def _picked_here(self, stage: Stage) -> pa.Table | None:
        """Return what a stage that only picks columns of little gives, on the loop's thread."""
        if self._input_bytes(stage) > SMALL_BYTES or not only_picks(self._planned.plan, stage):
            return None
        with self._stage_span(stage.stage_id):
            return self._picked(stage)

    def _picked(self, stage: Stage) -> pa.Table | None:
        return picked_table(self._planned, stage, self._outputs, **self._bounds(stage))

    def _bounds(self, stage: Stage) -> dict[str, int]:
        last = stage.stage_id == self._planned.plan.result_stage
        most = self._shared.limits.max_result_rows
        return {
            "max_rows": self._max_rows() if last else most,
            "max_bytes": self._shared.limits.max_result_bytes,
        }

    def _begin_to_conclude(self) -> None:
        if self._result_bytes() > SMALL_BYTES:
            self._spawn(self._conclude())
            return
        try:
            rows, frames = self._encode_result()
        except errors.ArchipelError as problem:
            self.handle(events.ConcludeFailed(problem.info))
            return
        self._concluded(rows, frames)

    async def _conclude(self) -> None:
        try:
            rows, frames = await self._in_thread("result", self._encode_result)
        except errors.ArchipelError as problem:
            self.handle(events.ConcludeFailed(problem.info))
            return
        self._concluded(rows, frames)

    def _concluded(self, rows: int, frames: list[bytes]) -> None:
        registry = self._shared.registry
        named = frozenset(self._asked.permit.nodes) & self._shared.holders.keys()
        sessions = ((node, registry.open_session(node)) for node in self._planned.plan.nodes())
        info = result_info(
            self._planned.plan,
            self._deliveries,
            Coverage(
                holders=self._shared.holders,
                missing=self._query.missing,
                withdrawn=self._query.withdrawn,
                never_attached=named - registry.known,
                clock_offsets_ms={node: s.clock_offset_ms for node, s in sessions if s is not None},
            ),
            merged_by=self._merged_by,
            elapsed_ms=(self._loop.time() - self._began) * 1000,
        )
        info.notices.extend(query_pb2.Notice(kind="plan", text=note) for note in self._planned.plan.notes)
        intervals = accuracy.told(self._planned.plan, self._outputs)
        info.notices.extend(query_pb2.Notice(kind="interval", text=text) for text in intervals)
        info.stages.extend(self._measures.to_wire(self._planned.plan))
        expires_ms = int((self._shared.now() + self._shared.results_keep_s) * 1000)
        self._result = ResultRecord(rows, info.SerializeToString(), frames, expires_ms)
        self.handle(events.Concluded())

    def _result_bytes(self) -> int:
        return self._output_bytes(self._planned.plan.result_stage)

    def _input_bytes(self, stage: Stage) -> int:
        plan = self._planned.plan
        return sum(self._output_bytes(exchange_named(plan, name).source) for name in stage.inputs)

    def _output_bytes(self, stage_id: str) -> int:
        output = self._outputs[stage_id]
        return output.nbytes if isinstance(output, pa.Table) else sum(table.nbytes for table in output.values())

    def _encode_result(self) -> tuple[int, list[bytes]]:
        table = result_table(
            self._planned,
            self._outputs,
            max_rows=self._max_rows(),
            max_bytes=self._shared.limits.max_result_bytes,
        )
        return table.num_rows, encoded(table)

    def _max_rows(self) -> int:
        most = self._shared.limits.max_result_rows
        asked = self._asked.request.max_rows
        return most if asked is None else min(most, asked)

    # Time, threads, events

    def _left_s(self) -> float:
        return self._began + self._asked.request.timeout_s - self._loop.time()

    def _deadline_passed(self) -> None:
        self.handle(events.DeadlinePassed(self._asked.request.timeout_s))

    async def _in_thread(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        with self._stage_span(stage):
            context = contextvars.copy_context()
            return await self._loop.run_in_executor(self._shared.pool, context.run, work, *arguments)

    def _stage_span(self, stage: str) -> AbstractContextManager[telemetry.ActiveSpan]:
        attributes = {telemetry.Attribute.QUERY_ID: self.query_id, telemetry.Attribute.STAGE_ID: stage}
        # The parent is named: this may run in the context of whichever call happened to bring the last delivery.
        return telemetry.span("archipel.stage", attributes=attributes, parent=self._trace or None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broke("work", task.exception())

    def _broke(self, what: str, cause: BaseException | None) -> None:
        log.error("query %s: %s failed with %s", self.query_id, what, type(cause).__name__)
        self.handle(events.Broken())

    def _stop_work(self) -> None:
        """Stop what runs, in the merger's engines too; nobody takes its output any more."""
        self._stop.make()
        self._stop = Stop()  # for the work of another plan
        for task in self._working - {asyncio.current_task()}:
            task.cancel()

    def _tell(self, kind: str, node: str = "", stage_id: str = "") -> None:
        self.told.append(self._event(self.state, kind, node=node, stage_id=stage_id))

    def _event(self, state: State, kind: str, **details: Any) -> query_pb2.QueryEvent:
        return make_event(len(self.told) + 1, int(self._shared.now() * 1000), state, kind, **details)

    def _publish(self) -> None:
        """Show what was told to those who watch now, and to the disk soon: with what happens next, or at the end."""
        if "events" not in self._timers:
            self._timers["events"] = self._loop.call_later(EVENTS_TO_DISK_S, self._store_events)
        self._wake()

    def _store_events(self) -> None:
        self._timers.pop("events", None)
        self._shared.store.add_events(self.query_id, self._unstored(), plan=self._new_plan)
        self._new_plan = None

    def _unstored(self) -> list[query_pb2.QueryEvent]:
        found = self.told[self._stored_events :]
        self._stored_events = len(self.told)
        return found

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _record(self) -> QueryRecord:
        request, permit = self._asked.request, self._asked.permit
        return QueryRecord(
            query_id=self.query_id,
            request_id=request.request_id,
            request_sha256=self._asked.request_sha256,
            permit_id=permit.permit_id,
            project=permit.project,
            researcher=self._asked.researcher,
            sql=request.sql,
            dialect=request.dialect,
            created_ms=int(self._created * 1000),
            plan=self._planned.json,
        )

    # The end

    def _end(self, state: State, error: errors.ErrorInfo | None) -> None:
        self._stop_work()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._dispatch.close()
        self._shared.relay.drop(self.query_id)
        if error is not None:
            self._span.fail(error.code.name)
        self._span.end()
        self._outputs, self._deliveries = {}, {}
        told = self._event(state, state.value, error=error)
        result = self._result if state is State.FINISHED else None
        self._result = None
        before = self._unstored()
        try:
            end = self._shared.store.end_query(self.query_id, (*before, told), result, plan=self._new_plan)
        except Exception as cause:  # noqa: BLE001 - as one that fails later
            end = Future()
            end.set_exception(cause)
        self._ending = self._loop.create_task(self._await_end(state, end, before, told, result))

    async def _await_end(
        self,
        state: State,
        end: Future[None],
        before: list[query_pb2.QueryEvent],
        told: query_pb2.QueryEvent,
        result: ResultRecord | None,
    ) -> None:
        try:
            await asyncio.wrap_future(end)
        except Exception as cause:  # noqa: BLE001 - a store that fails must not keep the researcher waiting
            log.error("the end of query %s could not be stored: %s", self.query_id, type(cause).__name__)
            if state is State.FINISHED:  # what is not on disk is not finished
                state = State.FAILED
                text = "The coordinator could not store the result."
                unstored = errors.error(errors.INTERNAL, text, query_id=self.query_id).info
                told = self._event(state, state.value, error=unstored)
                with contextlib.suppress(Exception):  # at its next start the coordinator ends what has no end
                    await asyncio.wrap_future(self._shared.store.end_query(self.query_id, (*before, told)))
        if state is State.FINISHED and result is not None and sum(map(len, result.frames)) <= AT_HAND_BYTES:
            self.at_hand = result
        self.told.append(told)
        self.ended = True
        telemetry.record_query(_METRIC_STATES[state], self._loop.time() - self._began)
        self._on_end(self)
        self._wake()
        self._told_end.set()


def _timer_of(task: TaskRef) -> str:
    return f"{task.stage_id} {task.node}"
