"""What the client gives its user besides rows: outcomes, notices, tables, nodes, events. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from archipel import errors, schema, wire
from archipel.v1 import common_pb2, query_pb2

_STATES = {
    query_pb2.QUERY_STATE_QUEUED: "queued",
    query_pb2.QUERY_STATE_RUNNING: "running",
    query_pb2.QUERY_STATE_FINISHED: "finished",
    query_pb2.QUERY_STATE_FAILED: "failed",
    query_pb2.QUERY_STATE_CANCELLED: "cancelled",
}
ENDED = frozenset({"finished", "failed", "cancelled"})


def state_name(value: int) -> str:
    """Return a query state in words."""
    return next((name for wire_value, name in _STATES.items() if wire_value == value), "unknown")


def moment(unix_ms: int) -> datetime | None:
    """Return a time of the wire; 0 is none."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC) if unix_ms else None


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """What became of a query at one node.

    ``outcome`` is "released", "withheld" or "unavailable". ``withheld_groups`` is None where the node does not tell.
    """

    node: str
    holder: str
    outcome: str
    bytes_crossed: int
    engine_ms: float
    threshold_applied: bool
    min_persons: int
    withheld_groups: int | None

    @classmethod
    def from_wire(cls, message: query_pb2.NodeOutcome) -> NodeOutcome:
        """Return the outcome of a message."""
        withheld = message.withheld
        return cls(
            message.node,
            message.holder,
            message.outcome,
            message.bytes_crossed,
            message.engine_ms,
            withheld.threshold_applied,
            withheld.min_persons,
            withheld.groups if withheld.HasField("groups") else None,
        )


@dataclass(frozen=True, slots=True)
class Crossing:
    """Data of one exchange that left a node: for another node, or for the coordinator (``receiver`` is empty then).

    ``form`` is "aggregate", "sketch", "keys" or "rows". ``bytes`` is None for data about persons that went to another
    node: its size would tell how many they are.
    """

    exchange_id: str
    sender: str
    receiver: str
    form: str
    bytes: int | None

    @classmethod
    def from_wire(cls, message: query_pb2.Crossing) -> Crossing:
        """Return the crossing of a message."""
        size = message.bytes if message.HasField("bytes") else None
        return cls(message.exchange_id, message.sender, message.receiver, message.form, size)


@dataclass(frozen=True, slots=True)
class NoisyAggregate:
    """How large the noise in an aggregate is: 95 % of it is within ``half_width``; 0 where that depends on the data."""

    aggregate: str
    half_width: float


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise in a result: of differential privacy with its ``epsilon``, or with a ``deviation`` in persons.

    Groups are shown from ``threshold`` persons, with noise, on.
    """

    epsilon: float
    delta: float
    threshold: int
    deviation: float
    aggregates: tuple[NoisyAggregate, ...]

    @classmethod
    def from_wire(cls, message: common_pb2.Noise) -> Noise:
        """Return what a message says."""
        found = tuple(NoisyAggregate(column.aggregate, column.half_width) for column in message.columns)
        return cls(message.epsilon, message.delta, message.threshold, message.deviation, found)


@dataclass(frozen=True, slots=True)
class MatchRate:
    """How many of some ``persons`` were at the other side of a join between holders; all numbers are rounded.

    They are those of a ``table`` at ``nodes``, or without a table those that these nodes sent.
    """

    table: str
    nodes: tuple[str, ...]
    persons: int
    matched: int
    percent: int

    @classmethod
    def from_wire(cls, message: common_pb2.MatchRate) -> MatchRate:
        """Return the rate of a message."""
        return cls(message.table, tuple(message.nodes), message.persons, message.matched, message.percent)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know about a result: ``kind`` is "suppression", "coverage", "approximation" and the like.

    Those of kind "privacy" and "noise" have the ``noise`` in numbers; one without a node is of totals over all nodes.
    Those of kind "match-rate" have the ``match_rate``.
    """

    kind: str
    text: str
    node: str = ""
    noise: Noise | None = None
    match_rate: MatchRate | None = None

    @classmethod
    def from_wire(cls, message: query_pb2.Notice) -> Notice:
        """Return the notice of a message."""
        noise = Noise.from_wire(message.noise) if message.HasField("noise") else None
        rate = MatchRate.from_wire(message.match_rate) if message.HasField("match_rate") else None
        return cls(message.kind, message.text, message.node, noise, rate)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a query."""

    sequence: int
    time: datetime | None
    state: str
    kind: str
    node: str
    stage_id: str
    text: str
    error: errors.ArchipelError | None

    @classmethod
    def from_wire(cls, message: query_pb2.QueryEvent) -> Event:
        """Return the event of a message."""
        problem = wire.error_from_wire(message.error) if message.HasField("error") else None
        return cls(
            message.sequence,
            moment(message.time_unix_ms),
            state_name(message.state),
            message.kind,
            message.node,
            message.stage_id,
            message.text,
            problem,
        )


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table of the federation: schema, the nodes that hold it, and what may leave."""

    table: schema.Table
    nodes: tuple[str, ...]
    conflict: errors.ArchipelError | None = None
    withdrawn_at: tuple[str, ...] = ()
    """Nodes that hold it and do not offer it now: queries that need it fail, or are answered without those nodes."""

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def columns(self) -> tuple[schema.Column, ...]:
        """The columns with types and descriptions."""
        return self.table.columns

    @property
    def policy_text(self) -> str:
        """What may leave, in words."""
        policy = self.table.policy
        if policy.coordinator_form is schema.Form.NONE:
            return "nothing leaves"
        if not policy.protected:
            return "rows may leave" if policy.coordinator_form is schema.Form.ROWS else "aggregates may leave"
        return f"aggregates over at least {policy.min_persons} persons may leave"

    @classmethod
    def from_wire(cls, message: query_pb2.CatalogTable) -> TableInfo:
        """Return the table of a message."""
        conflict = wire.error_from_wire(message.conflict) if message.HasField("conflict") else None
        return cls(wire.table_from_wire(message.table), tuple(message.nodes), conflict, tuple(message.withdrawn_at))


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node of the federation and whether it is attached now."""

    name: str
    holder: str
    jurisdiction: str
    qualifications: tuple[str, ...]
    attached: bool
    last_seen: datetime | None
    software_version: str
    engine: str
    tables: int
    running_tasks: int
    clock_offset_ms: int
    withdrawn_tables: tuple[str, ...] = ()
    """Tables that it holds and does not offer now."""

    @classmethod
    def from_wire(cls, message: query_pb2.NodeStatus) -> NodeInfo:
        """Return the node of a message."""
        return cls(
            message.node,
            message.holder,
            message.jurisdiction,
            tuple(message.qualifications),
            message.attached,
            moment(message.last_seen_unix_ms),
            message.software_version,
            message.engine,
            message.tables,
            message.running_tasks,
            message.clock_offset_ms,
            tuple(message.withdrawn_tables),
        )


@dataclass(frozen=True, slots=True)
class QuerySummary:
    """A query of the past or the present."""

    query_id: str
    state: str
    project: str
    researcher: str
    sql: str
    created: datetime | None
    ended: datetime | None
    error: errors.ArchipelError | None

    @classmethod
    def from_wire(cls, message: query_pb2.QuerySummary) -> QuerySummary:
        """Return the summary of a message."""
        return cls(
            message.query_id,
            state_name(message.state),
            message.project,
            message.researcher,
            message.sql,
            moment(message.created_unix_ms),
            moment(message.ended_unix_ms),
            wire.error_from_wire(message.error) if message.HasField("error") else None,
        )


def receipts_from_wire(messages: list[common_pb2.Receipt]) -> tuple[str, ...]:
    """Return the receipts' tokens."""
    return tuple(message.token for message in messages)
