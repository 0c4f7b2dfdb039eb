"""A node's part in private set intersections: takes a step as a task, checks it, and says what is sent to whom.

docs/linkage.md tells the protocol and who learns what. A sender keeps its rows and its key in memory between asking and
sending; a receiver keeps nothing. Each question is answered, and each answer used, once: what does not fit ends it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from archipel import errors, frames, sealing, tokens
from archipel.border.decision import Release
from archipel.border.peers import needs_intersection
from archipel.intersection import IntersectionStep, Step, lists_all_persons
from archipel.linkage import PADS_TABLE
from archipel.permit import Permit
from archipel.schema import Table
from archipel.sealing import Header, StreamId
from archipel.v1 import gateway_pb2
from node_agent.authorise import Asked
from node_agent.order import TaskOrder, Withheld
from node_agent.parcels import Parcel, packed
from node_agent.private_matching import POINT_BYTES, Asker, answer
from node_agent.scope_messages import COLUMNS, obliges
from node_agent.sealed import Output, Peers, Received, Sender, padded

MAX_HELD = 16
"""Questions of which a node keeps rows in memory at once."""

MAX_HELD_S = 900.0
"""So long they are kept where no answer comes."""

NONCE_BYTES = 16

RULE_ASK = "persons under project pseudonyms, blinded: they can be matched by this node, not read"
RULE_ANSWER = "which of a node's persons are here, too, under project pseudonyms: it may learn so"


def step_from_wire(message: gateway_pb2.IntersectionStep) -> IntersectionStep:
    """Return the step that a task names.

    Raises:
        ArchipelError: BAD_REQUEST when there is no such step.
    """
    try:
        step = Step(message.step)
    except ValueError:
        text = "The task is a step of a private set intersection that this node does not know."
        raise errors.error(errors.BAD_REQUEST, text) from None
    return IntersectionStep(step, tuple(message.senders), tuple(message.receivers))


class Services(Protocol):
    """What a step needs of the task that it is."""

    def receive(self, exchange_id: str, sender: Sender) -> pa.Table:
        """Return what a node sealed for this task, under the same linkage secret."""

    def decide(self) -> Mapping[str, Release]:
        """Return what the border lets go to each destination, of persons in both only."""

    def run(self, release: Release, data: Mapping[str, Any]) -> pa.Table:
        """Return what a statement gives, once whatever guards the node lets it run."""

    def tables(self) -> tuple[Table, ...]:
        """Return the node's tables."""

    def check_unchanged(self, tables: tuple[str, ...]) -> None:
        """Make sure that tables are those that were registered."""

    def stream_id(self, exchange_id: str, receiver: str) -> StreamId:
        """Return the identity of a stream of this task."""

    def check(self) -> None:
        """Raise when nobody wants the task any more."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a step sends, and what the audit log says of it."""

    parcels: tuple[Parcel, ...]
    release: Release
    withheld: Withheld
    facts: Mapping[str, Any]


_Key = tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Held:
    """What a sender keeps between asking and sending."""

    asker: Asker
    nonce: bytes
    rows: pa.Table
    until: float


@dataclass(slots=True)
class Intersections:
    """The private set intersections that a node takes part in. Safe to use from several threads."""

    node: str
    peers: Peers
    compress: bool
    now: Callable[[], float]
    _held: dict[_Key, _Held] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def run(self, order: TaskOrder, asked: Asked, services: Services) -> Sent:
        """Do a step. ``order`` has one, and is authorised.

        Raises:
            ArchipelError: why it is not done; then nothing is sent.
        """
        step = order.intersection
        assert step is not None
        self._forget_old()
        self._check(order, step, asked)
        work = {Step.ASK: self._ask, Step.ANSWER: self._answer, Step.SEND: self._send}[step.step]
        return work(order, step, asked, services)

    def _check(self, order: TaskOrder, step: IntersectionStep, asked: Asked) -> None:
        """Make sure that a step is between those who may do it, and reads and sends what it should."""
        problem = step.problem()
        if problem:
            raise errors.error(errors.BAD_REQUEST, problem)
        if self.node not in step.sites:
            raise errors.error(errors.BAD_REQUEST, "The step of the intersection is another node's.")
        for node in (*step.senders, *step.receivers):
            self.peers.key_of(node)
            if node not in asked.permit.nodes:
                raise errors.error(errors.PERMIT_SCOPE, "The permit does not name a node of the intersection.")
        told = [tuple(sender.node for sender in order.senders.get(name, ())) for name in order.inputs]
        sent = [(output.nodes, output.part_column) for output in order.outputs]
        if sent != [(step.sent_to, "")] or told != ([step.told_by] if step.told_by else []):
            raise errors.error(errors.BAD_REQUEST, "The messages of the intersection are not from and to its parties.")

    # The sender

    def _ask(self, order: TaskOrder, step: IntersectionStep, asked: Asked, services: Services) -> Sent:
        releases = services.decide()
        release = next(iter(releases.values()))
        person = _person_of(release)
        rows = services.run(release, self._pads(release, asked.permit))
        persons = rows.column(person).drop_null().unique().to_pylist()
        # Of too few persons nothing goes in the end: asking about none shows neither that, nor who they are.
        asker = Asker(persons if len(persons) >= release.min_persons else (), services.check)
        held = _Held(asker, os.urandom(NONCE_BYTES), rows, self.now() + MAX_HELD_S)
        with self._mutex:
            if len(self._held) >= MAX_HELD:
                raise errors.error(errors.NODE_BUSY, "The node takes part in as many intersections as it can.")
            self._held[_key(order, asked, step)] = held
        parts = {"nonce": held.nonce, "question": asker.question}
        (output,) = order.outputs
        parcels = tuple(
            self._message(output.exchange_id, node, parts, replace(releases[node], rule=RULE_ASK), services)
            for node in output.nodes
        )
        return Sent(parcels, release, _NOTHING_WITHHELD, _facts(step, persons=len(persons)))

    def _send(self, order: TaskOrder, step: IntersectionStep, asked: Asked, services: Services) -> Sent:
        with self._mutex:
            held = self._held.pop(_key(order, asked, step), None)
        if held is None:
            raise sealing.refused("no answer is waited for")
        ((name, senders),) = order.senders.items()
        (output,) = order.outputs
        releases = services.decide()  # as when it asked; what the planner says of these rows comes with this task
        release = next(iter(releases.values()))
        services.check_unchanged(release.tables)
        parcels: list[Parcel] = []
        matched: dict[str, int] = {}
        for sender in senders:
            told = _unpacked(services.receive(name, sender), ("nonce", "doubled", "digests", "min_persons"))
            if told["nonce"] != held.nonce:
                raise sealing.refused("it answers another question")
            common = held.asker.common(told["doubled"], told["digests"], services.check)
            least = max(release.min_persons, int.from_bytes(told["min_persons"], "big"))
            matched[sender.node] = len(common)
            kept = _rows_of(common if len(common) >= least else [], held.rows, _person_of(release))
            parcels += [
                _intersected(parcel)
                for parcel in packed(
                    kept,
                    [Output(output.exchange_id, (sender.node,))],
                    releases,
                    compress=self.compress,
                    stream_of=services.stream_id,
                    epoch=self.peers.epoch,
                )
            ]
        facts = _facts(step, persons=held.asker.size, persons_in_both=matched, min_persons=release.min_persons)
        return Sent(tuple(parcels), release, _NOTHING_WITHHELD, facts)

    # The receiver

    def _answer(self, order: TaskOrder, step: IntersectionStep, asked: Asked, services: Services) -> Sent:
        releases = services.decide()
        release = next(iter(releases.values()))
        person = _person_of(release)
        tables = {table.name: table for table in services.tables()}
        if len(release.tables) != 1 or not lists_all_persons(order.sql, tables[release.tables[0]]):
            raise errors.error(
                errors.BORDER_REFUSED,
                "An intersection is made of all persons of a table: of a part of them it would tell what they have in "
                "common.",
            )
        found = services.run(release, self._pads(release, asked.permit))
        persons = found.column(person).drop_null().unique().to_pylist()
        if len(persons) < release.min_persons:
            # Of the whole table, so this says nothing of the question.
            raise errors.error(
                errors.POLICY_REFUSED, "This node has too few persons for a private set intersection.", node=self.node
            )
        ((name, senders),) = order.senders.items()
        (output,) = order.outputs
        parcels, asked_about = [], {}
        for sender in senders:
            told = _unpacked(services.receive(name, sender), ("nonce", "question"))
            asked_about[sender.node] = len(told["question"]) // POINT_BYTES
            doubled, digests = answer(told["question"], persons, services.check)
            parts = {
                "nonce": told["nonce"],
                "doubled": doubled,
                "digests": digests,
                "min_persons": release.min_persons.to_bytes(8, "big"),
            }
            bound = replace(releases[sender.node], rule=RULE_ANSWER)
            parcels.append(self._message(output.exchange_id, sender.node, parts, bound, services))
        facts = _facts(step, persons=len(persons), asked_about_at_most=asked_about)
        return Sent(tuple(parcels), release, _NOTHING_WITHHELD, facts)

    # Messages

    def _message(
        self, exchange_id: str, node: str, parts: Mapping[str, bytes], release: Release, services: Services
    ) -> Parcel:
        table = pa.table({"part": pa.array([*parts]), "content": pa.array([*parts.values()], pa.binary())})
        header = Header(services.stream_id(exchange_id, node), COLUMNS, obliges(), self.peers.epoch)
        return Parcel(exchange_id, node, release, padded(list(frames.encode_table(table))), header)

    def _pads(self, release: Release, permit: Permit) -> dict[str, Any]:
        return {PADS_TABLE: self.peers.pads(permit.permit_id)} if release.pseudonymised else {}

    def _forget_old(self) -> None:
        with self._mutex:
            for key in [key for key, held in self._held.items() if held.until < self.now()]:
                del self._held[key]


_NOTHING_WITHHELD = Withheld(False, 0, None)


def check_received(
    received: Mapping[str, Received], releases: Mapping[str, Release], tables: tuple[Table, ...], permit: Permit
) -> None:
    """Refuse rows of persons from nodes that may tell this one only of persons in both, and told of others.

    Raises:
        ArchipelError: POLICY_REFUSED.
    """
    read = {name.lower() for release in releases.values() for name in release.tables}
    own = [table for table in tables if table.name.lower() in read and table.policy.protected]
    for part in received.values():
        if part.intersected or not part.table.policy.protected:
            continue
        senders = {stream.sender for stream in part.streams} - {stream.receiver for stream in part.streams}
        if any(needs_intersection(table, sender, permit, "") for table in own for sender in senders):
            raise errors.error(
                errors.POLICY_REFUSED,
                "Another node sent rows of persons whom this node does not have, and this one takes none.",
                hint="Join by an inner join that equates the person columns of both holders' tables.",
                rule="intersection-required",
            )


def _intersected(parcel: Parcel) -> Parcel:
    """Return a parcel that says that its rows are of persons in both."""
    assert parcel.header is not None
    return Parcel(
        parcel.exchange_id,
        parcel.receiver,
        parcel.release,
        parcel.content,
        replace(parcel.header, intersected=True),
    )


def _key(order: TaskOrder, asked: Asked, step: IntersectionStep) -> _Key:
    return (
        order.query_id,
        asked.permit.permit_id,
        tokens.digest(order.request),
        tokens.digest(order.sql),
        step.senders,
        step.receivers,
    )


def _person_of(release: Release) -> str:
    table = release.obliges
    if table is None or not table.policy.protected or table.person_column is None or not release.pseudonymised:
        raise errors.error(errors.BORDER_REFUSED, "There is no person to match: no table here is about persons.")
    return table.person_column


def _rows_of(persons: list[bytes], rows: pa.Table, person: str) -> pa.Table:
    column = rows.column(person)
    return rows.filter(pc.is_in(column, value_set=pa.array(persons, column.type)))


def _unpacked(table: pa.Table, parts: tuple[str, ...]) -> dict[str, bytes]:
    """Return the parts of a message.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when it is not what the step before sends.
    """
    if table.column_names != [column.name for column in COLUMNS]:
        raise sealing.refused("it is no message of an intersection")
    names, contents = (table.column(name).to_pylist() for name in table.column_names)
    if sorted(map(str, names)) != sorted(parts) or not all(isinstance(content, bytes) for content in contents):
        raise sealing.refused("it is not what the step before sends")
    return dict(zip(names, contents, strict=True))


def _facts(step: IntersectionStep, **more: Any) -> dict[str, Any]:
    return {
        "intersection_step": step.step.value,
        "senders": step.senders,
        "receivers": step.receivers,
        "intersection": more,
    }
