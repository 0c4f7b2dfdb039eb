"""What the coordinator asks of a node, and what the node then has to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from archipel import errors
from archipel.certificate import Certificate
from archipel.intersection import IntersectionStep
from archipel.linkage import PADS_TABLE
from archipel.rounds import RoundStep
from archipel.schema import COORDINATOR, Column
from node_agent.sealed import Output, Sender


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What the coordinator asks of this node. Nothing in it is believed.

    ``senders`` are, for each input that comes sealed from other nodes, the tasks that it comes from, in their order.
    ``outputs`` are the exchanges that the output is sealed for; without any it goes to the coordinator.
    ``certificates`` are what the planner says of them, one for each, or nothing: what it says must be true.
    With a ``round`` the task is a step of a total over nodes, with an ``intersection`` one of a private set
    intersection.
    """

    task_id: str
    query_id: str
    stage_id: str
    attempt: int
    permit: str
    request: str
    sql: str
    inputs: Mapping[str, tuple[Column, ...]]
    timeout_s: float
    max_bytes: int
    senders: Mapping[str, tuple[Sender, ...]] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    round: RoundStep | None = None
    intersection: IntersectionStep | None = None

    @property
    def destinations(self) -> tuple[str, ...]:
        """Whom the output goes to: nodes, each once, or the coordinator."""
        return tuple(dict.fromkeys(node for output in self.outputs for node in output.nodes)) or (COORDINATOR,)


@dataclass(frozen=True, slots=True)
class Withheld:
    """What is told about groups kept back. ``groups`` is None where policy does not let it be told."""

    threshold_applied: bool
    min_persons: int
    groups: int | None


@dataclass(frozen=True, slots=True)
class NoisyNote:
    """How large the noise in one aggregate is: its ``scale``, and within what 95 % of it lies."""

    aggregate: str
    half_width: float
    scale: float


@dataclass(frozen=True, slots=True)
class NoiseNote:
    """The noise in what a node released, in numbers: of differential privacy, or a ``deviation`` in persons."""

    epsilon: float
    delta: float
    threshold: int
    deviation: float
    columns: tuple[NoisyNote, ...]


@dataclass(frozen=True, slots=True)
class MatchRate:
    """How many of some ``persons`` were at the other side of a join between holders; all numbers are rounded.

    They are those of a ``table``, or without one those that ``nodes`` sent.
    """

    table: str
    nodes: tuple[str, ...]
    persons: int
    matched: int
    percent: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a node says of what it released, such as that it is rounded; the text holds no value."""

    kind: str
    text: str
    noise: NoiseNote | None = None
    match_rate: MatchRate | None = None


@dataclass(slots=True)
class Stream:
    """Frames to be sent once: for the coordinator (then ``exchange_id`` is empty), or sealed for one node."""

    exchange_id: str
    receiver: str
    frames: Iterator[bytes]
    finish: Callable[[], str]
    """Called after the last frame: returns the signed receipt."""


@dataclass(frozen=True, slots=True)
class Released:
    """A task's output: one stream for the coordinator, or one for each receiver of each exchange."""

    streams: tuple[Stream, ...]
    withheld: Withheld
    engine_ms: float
    notes: tuple[Note, ...] = ()

    @property
    def frames(self) -> Iterator[bytes]:
        """The frames of the first stream: all there is when the output is for the coordinator."""
        return self.streams[0].frames

    def finish(self) -> str:
        """Return the receipt of the first stream."""
        return self.streams[0].finish()


def check_names(order: TaskOrder, inputs: Mapping[str, pa.Table], tables: set[str]) -> None:
    """Make sure that the inputs are those that the task declares, and hide none of this node's ``tables``.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    names = {name.lower() for name in order.inputs}
    ours = tables | {PADS_TABLE.lower()}
    plain = {name: columns for name, columns in order.inputs.items() if name not in order.senders}
    if (
        len(names) < len(order.inputs)
        or set(plain) != set(inputs)
        or names & ours
        or set(order.senders) - set(order.inputs)
    ):
        raise errors.error(errors.BAD_REQUEST, "The task's inputs are not those that it declares.")
    for name, columns in plain.items():
        if [column.name for column in columns] != inputs[name].column_names:
            raise errors.error(errors.BAD_REQUEST, "An input of the task has other columns than it declares.")
    exchanges = [output.exchange_id for output in order.outputs]
    repeated = any(len(set(output.nodes)) < len(output.nodes) for output in order.outputs)
    if len(set(exchanges)) < len(exchanges) or repeated:
        raise errors.error(errors.BAD_REQUEST, "A task would send one exchange to one node twice.")
