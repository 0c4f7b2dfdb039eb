"""Noise that is the same for the same persons: what is added to the numbers of groups before they leave.

The noise of a number is z times the largest part that one person has in it. z is a whole number, drawn from a rounded
normal distribution that is cut at four deviations, by an HMAC of who is in the number under a secret of this node.
The technique is that of cell keys (Fraser and Wooton, 2005; Thompson, Broadfoot and Elazar, 2013). It is no
differential privacy: see docs/privacy.md for what it does not hide.
"""

from __future__ import annotations

import bisect
import hashlib
import hmac
import math
from collections.abc import Hashable
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from typing import Any

import pyarrow as pa

from archipel import errors
from archipel.noise import Perturbed, PerturbedColumn
from node_agent.ledger import Answer
from node_agent.order import NoiseNote, NoisyNote, Note
from node_agent.privacy import Run
from node_agent.privacy_store import PrivacyStore
from node_agent.seeds import seed_of

CUT = 4.0
"""Deviations beyond which there is no noise."""


def perturbed(answer: Answer, described: Perturbed, people: pa.Table, secret: bytes) -> Answer:
    """Return an answer with noise; ``people`` is what the statement gave that tells who is in each number.

    Raises:
        ArchipelError: INTERNAL when a released group is not among them: then nothing leaves.
    """
    output = answer.output
    places = _places(people, described.keys)
    rows = [places.get(key) for key in _keys(output, described.shown)]
    if any(row is None for row in rows):
        raise errors.error(errors.INTERNAL, "The node could not make the noise of a group.")
    for column, name in [(c, name) for c in described.columns for name in c.outputs]:
        index = output.column_names.index(name)
        who = people.column(column.people).to_pylist()
        largest = people.column(column.largest).to_pylist()
        values = [
            _noisy(value, who[row], largest[row], column, described.deviation, secret)
            for value, row in zip(output.column(index).to_pylist(), rows, strict=True)
            if row is not None
        ]
        output = output.set_column(index, output.schema.field(index), _typed(values, output.schema.field(index).type))
    return Answer(output, answer.withheld, answer.fewest)


def of(answer: Answer, described: Perturbed | None, store: PrivacyStore | None, run: Run) -> Answer:
    """Return an answer with the noise that policy wants; without any as it is.

    Raises:
        ArchipelError: LEDGER_UNAVAILABLE when the node has no secret for it; INTERNAL; or of the statement.
    """
    if described is None:
        return answer
    if store is None:
        raise errors.error(errors.LEDGER_UNAVAILABLE, "The node has no secret to make noise with.")
    people = run(described.sql, {described.seed_table: seed_of(store.secret, b"persons of a number")})
    return perturbed(answer, described, people, store.secret)


def note_of(described: Perturbed) -> Note:
    """Return what a result says of the noise in it."""
    text = (
        f"numbers are perturbed: counts of persons by whole numbers with a standard deviation of "
        f"{described.deviation:g}, others by that times the largest part of one person; the same persons always get "
        "the same noise, and totals are not the sums of their parts"
    )
    columns = tuple(NoisyNote(column.label, 0.0, 0.0) for column in described.columns)
    return Note("noise", text, NoiseNote(0.0, 0.0, 0, described.deviation, columns))


def step_of(people: int, secret: bytes, deviation: float) -> int:
    """Return the noise of a set of persons, in persons.

    >>> step_of(7, b"secret", 2.0) == step_of(7, b"secret", 2.0)
    True
    """
    digest = hmac.new(secret, b"archipel perturbation" + str(people).encode(), hashlib.sha256).digest()
    steps, sums = _distribution(deviation)
    return steps[min(bisect.bisect_right(sums, int.from_bytes(digest[:8], "big") / 2**64), len(steps) - 1)]


@lru_cache(maxsize=16)
def _distribution(deviation: float) -> tuple[list[int], list[float]]:
    end = math.ceil(CUT * deviation)
    steps = list(range(-end, end + 1))
    weights = [math.exp(-(step**2) / (2 * deviation**2)) for step in steps]
    total = math.fsum(weights)
    return steps, list(accumulate(weight / total for weight in weights))


def _noisy(value: Any, who: Any, largest: Any, column: PerturbedColumn, deviation: float, secret: bytes) -> Any:
    if value is None or who is None or largest is None or (column.count and not value):
        return value  # nobody is in it: zero stays zero
    noise = step_of(int(who), secret, deviation) * largest
    if column.count:
        return max(0, int(value) + int(noise))
    return value + (float(noise) if isinstance(value, float) else noise)


def _places(people: pa.Table, keys: tuple[str, ...]) -> dict[tuple[Hashable, ...], int]:
    return {key: row for row, key in enumerate(_keys(people, keys))}


def _keys(table: pa.Table, names: tuple[str, ...]) -> list[tuple[Hashable, ...]]:
    if not names:
        return [()] * table.num_rows
    return list(zip(*([_key(value) for value in table.column(name).to_pylist()] for name in names), strict=True))


def _key(value: Any) -> Hashable:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # which is equal to nothing, itself included
    return value if isinstance(value, Hashable) else repr(value)


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale)
        return pa.array([None if value is None else Decimal(value).quantize(step) for value in values], kind)
    return pa.array(values, kind)
