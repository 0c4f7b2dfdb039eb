"""What can happen to a query, and what is then to be done: the vocabulary of ``lifecycle``. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from archipel import errors
from coordinator.plan import Plan


class State(Enum):
    """Where a query stands."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to the query any more."""
        return self in (State.FINISHED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True, order=True)
class TaskRef:
    """One attempt at one stage at one node. Attempts count from 1 and never repeat within a query."""

    stage_id: str
    node: str
    attempt: int


# Events that answer an instruction


@dataclass(frozen=True, slots=True)
class Started:
    """The query's turn has come; ``attached`` are the nodes that take tasks now.

    ``stale`` when nodes came, went or changed their tables since it was planned.
    """

    attached: frozenset[str]
    stale: bool = False
    withdrawn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By node, the tables that the plan reads there and that it does not offer now."""


@dataclass(frozen=True, slots=True)
class Replanned:
    """A plan without the missing nodes was made."""

    plan: Plan
    attached: frozenset[str]
    withdrawn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplanFailed:
    """No plan could be made without the missing nodes."""

    error: errors.ErrorInfo


@dataclass(frozen=True, slots=True)
class Delivered:
    """A node delivered a stage's whole output."""

    task: TaskRef


@dataclass(frozen=True, slots=True)
class Refused:
    """A task ended at its node without output."""

    task: TaskRef
    error: errors.ErrorInfo


@dataclass(frozen=True, slots=True)
class BackoffOver:
    """The time to try a task again has come."""

    task: TaskRef


@dataclass(frozen=True, slots=True)
class LingerOver:
    """The other nodes have had their time to say whether a person must decide there too."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A merge or finish stage gave its output."""

    stage_id: str


@dataclass(frozen=True, slots=True)
class ComputeFailed:
    """A merge or finish stage failed."""

    stage_id: str
    error: errors.ErrorInfo


@dataclass(frozen=True, slots=True)
class Concluded:
    """The result is ready to be stored."""


@dataclass(frozen=True, slots=True)
class ConcludeFailed:
    """The result cannot be given."""

    error: errors.ErrorInfo


# Signals


@dataclass(frozen=True, slots=True)
class NodeLost:
    """A node is no longer attached."""

    node: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The researcher wants no answer any more."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time that the request gave is over."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The coordinator ends."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The shell failed at an instruction: a fault of ours."""


Event = (
    Started
    | Replanned
    | ReplanFailed
    | Delivered
    | Refused
    | BackoffOver
    | LingerOver
    | Computed
    | ComputeFailed
    | Concluded
    | ConcludeFailed
    | NodeLost
    | CancelAsked
    | DeadlinePassed
    | Interrupted
    | Broken
)


# Instructions


@dataclass(frozen=True, slots=True)
class Record:
    """Tell those who watch: kinds "queued", "planned", "dispatched", "delivered", "merged"."""

    kind: str
    node: str = ""
    stage_id: str = ""


@dataclass(frozen=True, slots=True)
class SendTask:
    """Send a task to its node. ``senders`` are the tasks whose sealed output it gets: of each sender the one attempt.

    They stand in the order of the stage's inputs and, within one, of the source's sites.
    """

    task: TaskRef
    senders: tuple[TaskRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel a task at its node and take nothing of it any more."""

    task: TaskRef


@dataclass(frozen=True, slots=True)
class RetryLater:
    """After a short back-off say ``BackoffOver`` for this task."""

    task: TaskRef


@dataclass(frozen=True, slots=True)
class Linger:
    """After a short while say ``LingerOver``; a ``Replan`` or the end comes instead of it."""


@dataclass(frozen=True, slots=True)
class Replan:
    """Plan again as if ``without`` did not exist; what was delivered so far is void."""

    without: frozenset[str]


@dataclass(frozen=True, slots=True)
class Compute:
    """Run a merge or finish stage."""

    stage_id: str


@dataclass(frozen=True, slots=True)
class Conclude:
    """Make the result out of the last stage's output."""


@dataclass(frozen=True, slots=True)
class End:
    """The query has ended: store how, then tell those who watch."""

    state: State
    error: errors.ErrorInfo | None = None


Instruction = Record | SendTask | Withdraw | RetryLater | Linger | Replan | Compute | Conclude | End
