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
from archipel.v1 import gateway_pb2
from coordinator.events import TaskRef

log = logging.getLogger(__name__)

WIRE_OVERHEAD_BYTES = 1024 * 1024
"""What Arrow's framing may add to the bytes of a stage's output: schema, alignment, one header for each batch."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a node says about groups that it kept back. ``groups`` is None where it does not tell."""

    applied: bool
    min_persons: int
    groups: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stage's output at one node."""

    table: pa.Table
    wire_bytes: int
    withheld: Withheld
    receipt: str
    engine_ms: float


@dataclass(eq=False, slots=True)
class Expected:
    """A task that was sent, and what is done with its end. ``inputs`` are the tables that its node may collect."""

    task_id: str
    query_id: str
    task: TaskRef
    max_bytes: int
    inputs: Mapping[str, pa.Table]
    on_delivery: Callable[[Delivery], None]
    on_refusal: Callable[[errors.ErrorInfo], None]
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
    node = expected.task.node
    try:
        table = frames.decode_table(parts)
        _check_receipt(parts, trailer.receipt.token, expected, node_key)
    except errors.ArchipelError as cause:
        text = f"What the node delivered is refused: {cause.info.message}"
        raise errors.error(errors.NODE_EXECUTION, text, node=node) from None
    told = trailer.withheld
    return Delivery(
        table=table,
        wire_bytes=sum(len(part) for part in parts),
        withheld=Withheld(told.threshold_applied, told.min_persons, told.groups if told.HasField("groups") else None),
        receipt=trailer.receipt.token,
        engine_ms=trailer.engine_ms if math.isfinite(trailer.engine_ms) and trailer.engine_ms >= 0 else 0.0,
    )


def _check_receipt(parts: Sequence[bytes], token: str, expected: Expected, node_key: Ed25519PublicKey) -> None:
    signed = receipt.verify(token, node_key)
    body = hashlib.sha256()
    for part in parts:
        body.update(part)
    ours = (expected.task.node, expected.query_id, expected.task.stage_id, expected.task.attempt, body.hexdigest())
    if (signed.node, signed.query_id, signed.stage_id, signed.attempt, signed.content_sha256) != ours:
        raise errors.error(errors.BAD_REQUEST, "The receipt is for something else.")
