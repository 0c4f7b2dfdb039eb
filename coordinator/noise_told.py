"""What nodes say of the noise in what they released, and what follows for totals over several of them. Pure.

It is text and numbers from elsewhere: shortened, and left out where it is no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from archipel.noise import half_width_of_sum
from archipel.v1 import common_pb2, query_pb2

if TYPE_CHECKING:
    from coordinator.deliveries import Note

MAX_COLUMNS = 200
MAX_CHARACTERS = 100


def checked(note: common_pb2.ReleaseNote) -> bytes:
    """Return the noise that a node's note tells of, serialised; nothing where it tells of none, or no numbers."""
    if not note.HasField("noise") or len(note.noise.columns) > MAX_COLUMNS:
        return b""
    told = note.noise
    numbers = [told.epsilon, told.delta, told.deviation]
    numbers += [number for column in told.columns for number in (column.half_width, column.scale)]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        return b""
    kept = common_pb2.Noise(epsilon=told.epsilon, delta=told.delta, threshold=told.threshold, deviation=told.deviation)
    for column in told.columns:
        name = "".join(c if c.isprintable() else " " for c in column.aggregate[:MAX_CHARACTERS])
        kept.columns.add(aggregate=name, half_width=column.half_width, scale=column.scale)
    return kept.SerializeToString()


def read(note: Note) -> common_pb2.Noise | None:
    """Return the noise of a note."""
    return common_pb2.Noise.FromString(note.noise) if note.noise else None


def of_totals(notes: Iterable[tuple[str, Note]]) -> Iterator[query_pb2.Notice]:
    """Yield what is to be said of totals over several nodes that gave differentially private parts."""
    parts = {node: told for node, note in notes if note.kind == "privacy" and (told := read(note)) is not None}
    if len(parts) < 2:
        return
    # A person at all of them: what each tells adds up.
    noise = common_pb2.Noise(
        epsilon=math.fsum(told.epsilon for told in parts.values()),
        delta=math.fsum(told.delta for told in parts.values()),
        threshold=max(told.threshold for told in parts.values()),
    )
    for label in dict.fromkeys(column.aggregate for told in parts.values() for column in told.columns):
        scales = [column.scale for told in parts.values() for column in told.columns if column.aggregate == label]
        noise.columns.add(aggregate=label, half_width=float(f"{half_width_of_sum(scales):.4g}"))
    widths = ", ".join(f"{column.aggregate} ± {column.half_width:g}" for column in noise.columns)
    text = (
        f"Of totals over {len(parts)} nodes 95 % of the noise is within {widths or 'nothing'}. For a person at all of "
        f"them epsilon is {noise.epsilon:g}. A mean is a sum with noise divided by a count with noise."
    )
    yield query_pb2.Notice(kind="privacy", text=text, noise=noise)
