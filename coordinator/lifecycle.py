"""The life of a query as a state machine without I/O: an event goes in, the next state and instructions come out.

It knows no clock, no network and no thread. ``execution`` feeds it and carries out what it says. Two kinds of events:
*signals* (a cancel, a deadline, a lost node, the end of the coordinator) can come at any time and mean nothing to a
query that has ended; every other event answers an instruction, and one that answers nothing raises with the story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from archipel import errors
from coordinator.events import (
    BackoffOver,
    Broken,
    CancelAsked,
    Compute,
    Computed,
    ComputeFailed,
    Conclude,
    Concluded,
    ConcludeFailed,
    DeadlinePassed,
    Delivered,
    End,
    Event,
    Instruction,
    Interrupted,
    Linger,
    LingerOver,
    NodeLost,
    Record,
    Refused,
    Replan,
    ReplanFailed,
    Replanned,
    RetryLater,
    SendTask,
    Started,
    State,
    TaskRef,
    Withdraw,
)
from coordinator.plan import Plan, Stage, StageKind
from coordinator.withdrawn import not_offered

MAX_RESTARTS = 8
"""How often a query that may answer without some nodes starts again without the ones it lost."""

RETRIED = frozenset({errors.NODE_BUSY.name, errors.NODE_CHANGED.name})
"""What a node may answer better the second time; each task is tried again once."""

MAX_WAITS_TOLD = 8
"""Of so many nodes at which a person must decide the own words are told; of the others the name."""

_STORY_LENGTH = 40


class Phase(Enum):
    """Where one task stands."""

    SENT = "sent"
    WAITING = "waiting"
    DELIVERED = "delivered"
    UNDECIDED = "undecided"
    """It ended: a person at the node must decide first."""


_OPEN = frozenset({Phase.SENT, Phase.WAITING})


class LifecycleError(Exception):
    """An event came that fits nothing: a fault of ours. The text tells what happened before."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """The current attempt at a stage at a node, and whether it is the second one."""

    attempt: int
    phase: Phase
    retried: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query: its plan and how far it has come. ``tasks`` is keyed by (stage, node)."""

    query_id: str
    plan: Plan
    on_missing: Literal["fail", "partial"] = "fail"
    state: State = State.QUEUED
    tasks: Mapping[tuple[str, str], TaskState] = field(default_factory=dict)
    computing: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    """Nodes that the answer will be without."""
    withdrawn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of those, the ones that are there and do not offer tables that the query needs, with the tables."""
    undecided: Mapping[tuple[str, str], errors.ErrorInfo] = field(default_factory=dict)
    """What nodes said at which a person must decide first: the query fails when all have had their time to say so."""
    replanning: bool = False
    concluding: bool = False
    restarts: int = 0
    story: tuple[str, ...] = ()


Step = tuple[Query, tuple[Instruction, ...]]


def submitted(query_id: str, plan: Plan, on_missing: Literal["fail", "partial"]) -> Step:
    """Return a query that was taken and planned, and waits for its turn."""
    return Query(query_id, plan, on_missing), (Record("queued"), Record("planned"))


def wants(query: Query, task: TaskRef) -> bool:
    """Whether a delivery or refusal of ``task`` would be taken now."""
    found = query.tasks.get((task.stage_id, task.node))
    return (
        query.state is State.RUNNING
        and found is not None
        and found.attempt == task.attempt
        and found.phase is Phase.SENT
    )


def advance(query: Query, event: Event) -> Step:
    """Return the query after ``event`` and what is to be done.

    Raises:
        LifecycleError: the event answers no instruction.
    """
    told = replace(query, story=(*query.story, _words(event))[-_STORY_LENGTH:])
    match event:
        case NodeLost() | CancelAsked() | DeadlinePassed() | Interrupted() | Broken():
            return (query, ()) if query.state.ended else _signal(told, event)
        case Started():
            _require(told, query.state is State.QUEUED)
            running = replace(told, state=State.RUNNING)
            if event.stale:
                return replace(running, replanning=True), (Replan(frozenset()),)
            return _check_sites(running, event.attached, event.withdrawn)
        case Replanned():
            _require(told, query.replanning)
            renewed = replace(told, plan=event.plan, replanning=False)
            checked, instructions = _check_sites(renewed, event.attached, event.withdrawn)
            return checked, (Record("planned"), *instructions)
        case ReplanFailed():
            _require(told, query.replanning)
            return _fail(told, _nothing_left(query, event.error))
        case Delivered():
            _require(told, wants(query, event.task))
            return _delivered(told, event.task)
        case Refused():
            _require(told, wants(query, event.task))
            return _refused(told, event.task, event.error)
        case BackoffOver():
            return _try_again(told, event.task)
        case LingerOver():
            _require(told, query.state is State.RUNNING and bool(query.undecided))
            return _fail(told, _awaiting(query))
        case Computed():
            _require(told, event.stage_id in query.computing)
            return _computed(told, event.stage_id)
        case ComputeFailed():
            _require(told, event.stage_id in query.computing)
            return _fail(told, event.error)
        case Concluded():
            _require(told, query.concluding)
            return _end(told, State.FINISHED, None)
        case ConcludeFailed():
            _require(told, query.concluding)
            return _fail(told, event.error)


def _signal(query: Query, event: NodeLost | CancelAsked | DeadlinePassed | Interrupted | Broken) -> Step:
    match event:
        case NodeLost():
            involved = any(node == event.node and task.phase in _OPEN for (_, node), task in query.tasks.items())
            return _without(query, frozenset({event.node})) if involved else (query, ())
        case CancelAsked():
            info = errors.ErrorInfo(errors.CANCELLED, "The query was cancelled.", query_id=query.query_id)
            return _end(query, State.CANCELLED, info)
        case DeadlinePassed() if query.undecided:
            return _fail(query, _awaiting(query))
        case DeadlinePassed():
            text = f"The query did not end within {event.timeout_s:g} s."
            return _fail(query, errors.ErrorInfo(errors.TIMEOUT, text, errors.TIMEOUT.hint))
        case Interrupted():
            return _fail(query, interrupted())
        case Broken():
            return _fail(query, errors.ErrorInfo(errors.INTERNAL, "The coordinator failed.", errors.INTERNAL.hint))


def interrupted() -> errors.ErrorInfo:
    """Return the error of a query that the coordinator's end or restart ended."""
    text = "The coordinator ended while the query was under way."
    return errors.ErrorInfo(errors.INTERRUPTED, text, errors.INTERRUPTED.hint)


def _check_sites(query: Query, attached: frozenset[str], withdrawn: Mapping[str, tuple[str, ...]]) -> Step:
    away = frozenset(query.plan.nodes()) - attached
    held = {node: tables for node, tables in withdrawn.items() if node in attached}
    lacking = away | held.keys()
    return _without(replace(query, withdrawn={**query.withdrawn, **held}), lacking) if lacking else _progress(query)


def _without(query: Query, nodes: frozenset[str]) -> Step:
    """Go on without ``nodes`` where the request allows it, otherwise fail and name them."""
    if any(stage.round is not None for stage in query.plan.stages):
        return _fail(query, _void(_unavailable(nodes, query.withdrawn)))
    if query.on_missing == "fail" or query.restarts >= MAX_RESTARTS:
        return _fail(query, _unavailable(nodes, query.withdrawn))
    missing = query.missing | nodes
    restarted = replace(
        query,
        tasks={},
        computing=frozenset(),
        done=frozenset(),
        missing=missing,
        undecided={},
        replanning=True,
        restarts=query.restarts + 1,
    )
    return restarted, (*_withdrawals(query), Replan(missing))


def _unavailable(nodes: frozenset[str], withdrawn: Mapping[str, tuple[str, ...]]) -> errors.ErrorInfo:
    away = sorted(nodes - withdrawn.keys())
    listed = ", ".join(f"'{name}'" for name in away)
    told = [f"Node {listed} is not available." if len(away) == 1 else f"Nodes {listed} are not available."]
    told = told if away else []
    told += [f"{not_offered(node, withdrawn[node])}." for node in sorted(nodes & withdrawn.keys())]
    hint = errors.NODE_UNAVAILABLE.hint
    if nodes & withdrawn.keys():
        hint = f"The node's operator finds the cause in its log. {hint}"
    return errors.ErrorInfo(errors.NODE_UNAVAILABLE, " ".join(told), hint, node=min(nodes))


def _void(error: errors.ErrorInfo) -> errors.ErrorInfo:
    """Say that a total over nodes is not made without one of them."""
    text = f"{error.message} The round is void: a total over the other nodes alone is not made."
    return replace(error, message=text, hint="Try again when the node is back.")


def _nothing_left(query: Query, error: errors.ErrorInfo) -> errors.ErrorInfo:
    """Say that nodes are away rather than that a table, which only they hold, is unknown."""
    if error.code is not errors.SQL_UNKNOWN_TABLE:
        return error
    away = _unavailable(query.missing, query.withdrawn)
    return replace(away, message=f"{away.message} No other node holds a table that the query needs.", hint="")


def _progress(query: Query) -> Step:
    """Start every stage whose inputs are there; conclude when the last one is done."""
    if query.plan.result_stage in query.done:
        return replace(query, concluding=True), (Conclude(),)
    started = {stage_id for stage_id, _ in query.tasks} | query.computing | query.done
    instructions: list[Instruction] = []
    tasks, computing = dict(query.tasks), query.computing
    for stage in query.plan.stages:
        if stage.stage_id in started or not _sources(query.plan, stage) <= query.done:
            continue
        if stage.kind is not StageKind.NODE:
            computing |= {stage.stage_id}
            instructions.append(Compute(stage.stage_id))
            continue
        first = query.restarts * 2 + 1  # an attempt and a retry in each round, so that attempts never repeat
        senders = _senders(query, stage)
        for node in stage.sites:
            tasks[stage.stage_id, node] = TaskState(first, Phase.SENT)
            instructions.append(SendTask(TaskRef(stage.stage_id, node, first), senders))
            instructions.append(Record("dispatched", node, stage.stage_id))
    return replace(query, tasks=tasks, computing=computing), tuple(instructions)


def _sources(plan: Plan, stage: Stage) -> frozenset[str]:
    return frozenset(e.source for e in plan.exchanges if e.exchange_id in stage.inputs)


def _senders(query: Query, stage: Stage) -> tuple[TaskRef, ...]:
    """Return the tasks whose sealed output a node stage gets: of each sender the attempt that was delivered."""
    found = []
    for exchange_id in stage.inputs if stage.kind is StageKind.NODE else ():
        exchange = next(e for e in query.plan.exchanges if e.exchange_id == exchange_id)
        if query.plan.is_sealed(exchange):
            source = query.plan.stage(exchange.source)
            found += [TaskRef(source.stage_id, n, query.tasks[source.stage_id, n].attempt) for n in source.sites]
    return tuple(found)


def _delivered(query: Query, task: TaskRef) -> Step:
    tasks = {**query.tasks}
    tasks[task.stage_id, task.node] = replace(tasks[task.stage_id, task.node], phase=Phase.DELIVERED)
    record = Record("delivered", task.node, task.stage_id)
    if query.undecided:
        after, instructions = _unless_all_answered(replace(query, tasks=tasks))
        return after, (record, *instructions)
    whole = all(t.phase is Phase.DELIVERED for (stage_id, _), t in tasks.items() if stage_id == task.stage_id)
    if not whole:
        return replace(query, tasks=tasks), (record,)
    after, instructions = _progress(replace(query, tasks=tasks, done=query.done | {task.stage_id}))
    return after, (record, *instructions)


def _refused(query: Query, task: TaskRef, error: errors.ErrorInfo) -> Step:
    at = (task.stage_id, task.node)
    state = query.tasks[at]
    if error.code is errors.NODE_UNAVAILABLE:
        return _without(query, frozenset({task.node}))
    if error.code.name in RETRIED and not state.retried:
        again = TaskRef(task.stage_id, task.node, task.attempt + 1)
        tasks = {**query.tasks, at: TaskState(again.attempt, Phase.WAITING, retried=True)}
        return replace(query, tasks=tasks), (RetryLater(again),)
    if error.code is errors.APPROVAL_PENDING:
        tasks = {**query.tasks, at: replace(state, phase=Phase.UNDECIDED)}
        told = {**query.undecided, at: replace(error, node=task.node)}
        after, instructions = _unless_all_answered(replace(query, tasks=tasks, undecided=told))
        first = not query.undecided and not after.state.ended
        return after, (Linger(),) if first else instructions
    others = replace(query, tasks={key: t for key, t in query.tasks.items() if key != at})
    return _fail(others, replace(error, node=task.node))


def _unless_all_answered(query: Query) -> Step:
    """Wait for tasks that are out, though the query will fail: a task that is cancelled puts no question to anybody."""
    waits = any(task.phase in _OPEN for task in query.tasks.values())
    return (query, ()) if waits else _fail(query, _awaiting(query))


def _awaiting(query: Query) -> errors.ErrorInfo:
    """Return the error of a query on which persons must decide: all nodes by name, and what the first ones said."""
    said = sorted(query.undecided.items(), key=lambda item: item[0][::-1])
    (_, first), *more = said
    if not more:
        return first
    nodes = [f"'{node}'" for node in sorted({node for (_, node), _ in said})]
    named = f"node{'s' if len(nodes) > 1 else ''} {', '.join(nodes)}"
    told = " ".join(f"Node '{node}': {error.message}" for (_, node), error in said[:MAX_WAITS_TOLD])
    return replace(first, message=f"Persons at {named} must decide on this query. {told}")


def _try_again(query: Query, task: TaskRef) -> Step:
    at = (task.stage_id, task.node)
    state = query.tasks.get(at)
    _require(query, state is not None and state.phase is Phase.WAITING and state.attempt == task.attempt)
    assert state is not None
    tasks = {**query.tasks, at: replace(state, phase=Phase.SENT)}
    again = SendTask(task, _senders(query, query.plan.stage(task.stage_id)))
    return replace(query, tasks=tasks), (again, Record("dispatched", task.node, task.stage_id))


def _computed(query: Query, stage_id: str) -> Step:
    computed = replace(query, computing=query.computing - {stage_id}, done=query.done | {stage_id})
    after, instructions = (computed, ()) if query.undecided else _progress(computed)
    if query.plan.stage(stage_id).kind is StageKind.MERGE:
        instructions = (Record("merged", stage_id=stage_id), *instructions)
    return after, instructions


def _fail(query: Query, error: errors.ErrorInfo) -> Step:
    return _end(query, State.FAILED, replace(error, query_id=error.query_id or query.query_id))


def _end(query: Query, state: State, error: errors.ErrorInfo | None) -> Step:
    ended = replace(
        query, state=state, tasks={}, computing=frozenset(), replanning=False, concluding=False, done=query.done
    )
    return ended, (*_withdrawals(query), End(state, error))


def _withdrawals(query: Query) -> tuple[Withdraw, ...]:
    return tuple(
        Withdraw(TaskRef(stage_id, node, task.attempt))
        for (stage_id, node), task in query.tasks.items()
        if task.phase in _OPEN
    )


def _require(query: Query, holds: bool) -> None:
    if not holds:
        raise LifecycleError(f"query {query.query_id}, {query.state.value}: {'; '.join(query.story)} <- does not fit")


def _words(event: Event) -> str:
    name = type(event).__name__
    task: TaskRef | None = getattr(event, "task", None)
    if task is not None:
        return f"{name} {task.stage_id}@{task.node}#{task.attempt}"
    place = getattr(event, "stage_id", "") or getattr(event, "node", "")
    return f"{name} {place}".rstrip()
