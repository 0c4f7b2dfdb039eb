"""What nodes were asked to deliver, and what arrived. A delivery counts once, and only from the node that was asked.

Lives on the event loop's thread; decoding and checking the data is done in threads by ``decode``.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archipel import errors, frames, receipt
from archipel.schema import COORDINATOR
from archipel.v1 import gateway_pb2
from coordinator import noise_told, rates_told
from coordinator.events import TaskRef
from coordinator.relay import Spool

log = logging.getLogger(__name__)

WIRE_OVERHEAD_BYTES = 1024 * 1024
"""What Arrow's framing may add to the bytes of a stage's output: schema, alignment, one header for each batch."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a node says about groups that it kept back. ``groups`` is None where it does not tell."""

    applied: bool
    min_persons: int
    groups: int | None


MAX_NOTES = 16
MAX_NOTE_CHARACTERS = 1000

Route = tuple[str, str]
"""A sealed stream of a task: the exchange, and the node at its other end."""


@dataclass(frozen=True, slots=True)
class SealedDelivery:
    """What a node sealed for another one: where it waits, and the sender's receipt for it."""

    spool: Spool
    wire_bytes: int
    receipt: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a node says of what it released: rounding, noise and the like; noise in numbers, too."""

    kind: str
    text: str
    noise: bytes = b""
    """A serialised ``archipel.v1.Noise``, or nothing."""
    match_rate: bytes = b""
    """A serialised ``archipel.v1.MatchRate``, or nothing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stage's output at one node: a table for the coordinator, or ``sealed`` streams by exchange and receiver."""

    table: pa.Table | None
    wire_bytes: int
    withheld: Withheld
    receipts: tuple[str, ...]
    engine_ms: float
    notes: tuple[Note, ...] = ()
    sealed: Mapping[Route, SealedDelivery] = field(default_factory=dict)


def crossed_bytes(node: str, delivery: Delivery) -> int:
    """Return how many bytes of a delivery left their node: what it sealed for itself did not."""
    at_home = sum(stream.wire_bytes for (_, receiver), stream in delivery.sealed.items() if receiver == node)
    return delivery.wire_bytes - at_home


@dataclass(eq=False, slots=True)
class Expected:
    """A task that was sent, and what is done with its end.

    ``inputs`` are the tables that its node may collect, ``sealed_inputs`` the streams by exchange and sender.
    ``routes`` are the streams that it is to deliver, by exchange and receiver; none when all is for the coordinator.
    """

    task_id: str
    query_id: str
    task: TaskRef
    max_bytes: int
    inputs: Mapping[str, pa.Table]
    on_delivery: Callable[[Delivery], None]
    on_refusal: Callable[[errors.ErrorInfo], None]
    sealed_inputs: Mapping[Route, Spool] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    receiving: bool = False
    withdrawn: bool = False


@dataclass(slots=True)
class Deliveries:
    """All tasks that are out."""

    _expected: dict[str, Expected] = field(default_factory=dict)

    def expect(self, expected: Expected) -> None:
        """Note a task that is sent now."""
        self._expected[expected.task_id] = expected

    def withdraw(self, task_id: str) -> None:
        """Take nothing of a task any more."""
        expected = self._expected.pop(task_id, None)
        if expected is not None:
            expected.withdrawn = True

    def out_at(self, node: str) -> int:
        """Return how many tasks are out at a node."""
        return sum(expected.task.node == node for expected in self._expected.values())

    def find(self, task_id: str, node: str) -> Expected | None:
        """Return a task that is out at ``node``; None for one of another node."""
        expected = self._expected.get(task_id)
        if expected is not None and expected.task.node != node:
            log.warning("node '%s' speaks of a task of node '%s'", node, expected.task.node)
            return None
        return expected

    def claim(self, header: gateway_pb2.DeliverHeader, node: str) -> Expected | None:
        """Begin to receive the delivery of ``header`` from ``node``; None when it is not wanted."""
        expected = self.find(header.task_id, node)
        if expected is None or expected.receiving:
            return None
        told = (header.query_id, header.stage_id, header.attempt)
        if told != (expected.query_id, expected.task.stage_id, expected.task.attempt):
            return None
        expected.receiving = True
        return expected

    def release(self, expected: Expected) -> None:
        """Note that a delivery broke off: the node may begin again."""
        expected.receiving = False

    def accept(self, expected: Expected, delivery: Delivery) -> bool:
        """Hand on a whole delivery; False when it came too late."""
        if expected.withdrawn:
            return False
        self._expected.pop(expected.task_id, None)
        expected.on_delivery(delivery)
        return True

    def refuse(self, expected: Expected, problem: errors.ErrorInfo) -> None:
        """Hand on that a task ended without output."""
        if not expected.withdrawn:
            self._expected.pop(expected.task_id, None)
            expected.on_refusal(problem)


def decode(
    parts: Sequence[bytes], trailer: gateway_pb2.DeliverTrailer, expected: Expected, node_key: Ed25519PublicKey
) -> Delivery:
    """Return the delivery whose frames are ``parts``, after checking data and receipt. CPU work: call it in a thread.

    Raises:
        ArchipelError: NODE_EXECUTION when the node delivered what it should not.
    """
    try:
        table = frames.decode_table(parts)
        body = hashlib.sha256()
        for part in parts:
            body.update(part)
        _check_receipt(trailer.receipt.token, expected, node_key, body.hexdigest())
    except errors.ArchipelError as cause:
        raise _refused(cause, expected) from None
    return Delivery(
        table=table,
        wire_bytes=sum(len(part) for part in parts),
        withheld=_withheld(trailer),
        receipts=(trailer.receipt.token,),
        engine_ms=_engine_ms(trailer),
        notes=_notes(trailer),
    )


def sealed(
    streams: Mapping[Route, SealedDelivery], trailer: gateway_pb2.DeliverTrailer, expected: Expected
) -> Delivery:
    """Return the delivery of a task whose output was sealed for other nodes.

    Raises:
        ArchipelError: NODE_EXECUTION when a stream is missing.
    """
    if set(streams) != set(expected.routes):
        text = "The node did not deliver to every node that it should."
        raise errors.error(errors.NODE_EXECUTION, text, node=expected.task.node)
    return Delivery(
        table=None,
        wire_bytes=sum(stream.wire_bytes for stream in streams.values()),
        withheld=_withheld(trailer),
        receipts=tuple(stream.receipt for stream in streams.values()),
        engine_ms=_engine_ms(trailer),
        notes=_notes(trailer),
        sealed=streams,
    )


def sealed_stream(
    spool: Spool, route: Route, token: str, expected: Expected, node_key: Ed25519PublicKey, content_sha256: str
) -> SealedDelivery:
    """Return a sealed stream after checking its receipt, which is over what was sealed.

    Raises:
        ArchipelError: NODE_EXECUTION when the receipt is for something else.
    """
    try:
        _check_receipt(token, expected, node_key, content_sha256, route)
    except errors.ArchipelError as cause:
        raise _refused(cause, expected) from None
    return SealedDelivery(spool, spool.size, token)


def _withheld(trailer: gateway_pb2.DeliverTrailer) -> Withheld:
    told = trailer.withheld
    return Withheld(told.threshold_applied, told.min_persons, told.groups if told.HasField("groups") else None)


def _notes(trailer: gateway_pb2.DeliverTrailer) -> tuple[Note, ...]:
    """Return a node's first notes, each as one short line: it is text that people read, from elsewhere."""
    given = trailer.notes[:MAX_NOTES]
    return tuple(
        Note(
            _line(note.kind, 32),
            _line(note.text, MAX_NOTE_CHARACTERS),
            noise_told.checked(note),
            rates_told.checked(note),
        )
        for note in given
        if note.text
    )


def _line(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:most])


def _engine_ms(trailer: gateway_pb2.DeliverTrailer) -> float:
    return trailer.engine_ms if math.isfinite(trailer.engine_ms) and trailer.engine_ms >= 0 else 0.0


def _refused(cause: errors.ArchipelError, expected: Expected) -> errors.ArchipelError:
    text = f"What the node delivered is refused: {cause.info.message}"
    return errors.error(errors.NODE_EXECUTION, text, node=expected.task.node)


def _check_receipt(
    token: str, expected: Expected, node_key: Ed25519PublicKey, content_sha256: str, route: Route = ("", COORDINATOR)
) -> None:
    signed = receipt.verify(token, node_key)
    task = expected.task
    ours = (task.node, expected.query_id, task.stage_id, task.attempt, content_sha256, *route)
    theirs = (signed.node, signed.query_id, signed.stage_id, signed.attempt, signed.content_sha256)
    if (*theirs, signed.exchange, signed.destination) != ours:
        raise errors.error(errors.BAD_REQUEST, "The receipt is for something else.")
