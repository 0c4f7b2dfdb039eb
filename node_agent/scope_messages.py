"""The messages of a round, as they travel sealed from node to node: named parts, bound to the round and the step.

A message is a table with a row for each part. What it says of itself is compared with what its reader expects, so that
the message of another round, or of another step, is not taken for this one's, whoever hands it over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from archipel import errors, sealing
from archipel.border.decision import Masked, MaskedCount, MaskedOutput
from archipel.rounds import RoundStep, Step
from archipel.schema import Column, Form, Table, TablePolicy
from archipel.v1 import gateway_pb2
from node_agent.scope_ledger import Kind

COLUMNS = (Column("part", "VARCHAR"), Column("content", "BLOB"))
_ABOUT = "about"


def step_from_wire(message: gateway_pb2.RoundStep) -> RoundStep:
    """Return the step that a task names.

    Raises:
        ArchipelError: BAD_REQUEST when there is no such step.
    """
    try:
        step = Step(message.step)
    except ValueError:
        raise errors.error(errors.BAD_REQUEST, "The task is a step of a round that this node does not know.") from None
    return RoundStep(step, tuple(message.contributors), message.aggregator, message.bitmaps)


def packed(step: Step, digest: bytes, parts: Mapping[str, bytes]) -> pa.Table:
    """Return a message of a step."""
    about = json.dumps({"step": step.value, "round": digest.hex()}).encode()
    names, contents = [_ABOUT, *parts], [about, *parts.values()]
    return pa.table({"part": pa.array(names), "content": pa.array(contents, pa.binary())})


def unpacked(table: pa.Table, step: Step, digest: bytes, parts: Sequence[str]) -> dict[str, bytes]:
    """Return the parts of a message.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when it is a message of another step or round, or lacks a part.
    """
    names = table.column("part").to_pylist()
    contents = table.column("content").to_pylist()
    found = dict(zip(names, contents, strict=True))
    about = json.dumps({"step": step.value, "round": digest.hex()}).encode()
    if found.pop(_ABOUT, None) != about:
        raise sealing.refused("it belongs to another step or another round")
    if set(found) != set(parts) or len(names) != len(parts) + 1 or None in contents:
        raise sealing.refused("it is not what this step sends")
    return found


def obliges() -> Table:
    """Return what a receiver must treat a message as: nothing of it may go anywhere but by the protocol."""
    return Table("round", COLUMNS, policy=TablePolicy(protected=True, coordinator_form=Form.NONE))


@dataclass(frozen=True, slots=True)
class Description:
    """What contributors' numbers are. All of them must say the same, or their numbers do not add up.

    ``types`` are those of the statement's sums, ``key_types`` of its group keys, in Arrow's spelling; ``sketches`` what
    would be compared with earlier totals.
    """

    masked: Masked
    types: tuple[str, ...]
    key_types: tuple[str, ...]
    sketches: tuple[Kind, ...] = ()

    def to_bytes(self) -> bytes:
        """Return it as JSON; what each contributor demands, and the statement's text, are left out."""
        data = asdict(self)
        del data["masked"]["population"], data["masked"]["spreads"]
        for count in data["masked"]["counts"]:
            del count["minimum"]
        return json.dumps(data, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Description:
        """Return what ``to_bytes`` wrote, without thresholds.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it is something else.
        """
        try:
            data = json.loads(content)
            masked = data["masked"]
            return cls(
                Masked(
                    keys=tuple(masked["keys"]),
                    outputs=tuple(
                        MaskedOutput(o["name"], o["kind"], tuple(o["sums"]), tuple(o["scales"]))
                        for o in masked["outputs"]
                    ),
                    sums=tuple(masked["sums"]),
                    counts=tuple(
                        MaskedCount(c["domain"], 0, c["optional"], c["rows"], tuple(c["bitmaps"]))
                        for c in masked["counts"]
                    ),
                    spreads=(),
                    population="",
                ),
                tuple(data["types"]),
                tuple(data["key_types"]),
                tuple(Kind(str(k["domain"]), tuple(int(family) for family in k["families"])) for k in data["sketches"]),
            )
        except (ValueError, KeyError, TypeError):
            raise sealing.refused("it does not say what its numbers are") from None


@dataclass(frozen=True, slots=True)
class Demands:
    """What one contributor demands of the total: so many persons by each count; whether it tells what is withheld.

    ``compare``: that it is compared with earlier ones. ``state`` says, readable for nobody, in which state its data is.
    """

    minimums: tuple[int, ...]
    min_persons: int
    tell_withheld_count: bool
    compare: bool = False
    state: str = ""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Demands:
        """Return what ``to_bytes`` wrote.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it is something else.
        """
        try:
            data: dict[str, Any] = json.loads(content)
            minimums = tuple(int(n) for n in data["minimums"])
            told, compare = bool(data["tell_withheld_count"]), bool(data["compare"])
            return cls(minimums, int(data["min_persons"]), told, compare, str(data["state"]))
        except (ValueError, KeyError, TypeError):
            raise sealing.refused("it does not say what it demands") from None
