"""What nodes say of how many persons matched between holders: numbers from elsewhere, shortened. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archipel.v1 import common_pb2

if TYPE_CHECKING:
    from coordinator.deliveries import Note

MAX_NODES = 1_000
MAX_CHARACTERS = 100


def checked(note: common_pb2.ReleaseNote) -> bytes:
    """Return the match rate that a node's note tells of, serialised; nothing where it tells of none."""
    told = note.match_rate
    if not note.HasField("match_rate") or len(told.nodes) > MAX_NODES or told.percent > 100:
        return b""
    return common_pb2.MatchRate(
        table=_short(told.table),
        nodes=[_short(node) for node in told.nodes],
        persons=told.persons,
        matched=told.matched,
        percent=told.percent,
    ).SerializeToString()


def read(note: Note) -> common_pb2.MatchRate | None:
    """Return the match rate of a note."""
    return common_pb2.MatchRate.FromString(note.match_rate) if note.match_rate else None


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:MAX_CHARACTERS])
