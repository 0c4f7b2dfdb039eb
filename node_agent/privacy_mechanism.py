"""Where noise for differential privacy is drawn: OpenDP's discrete Laplace mechanisms, and nothing of our own.

First the groups that have enough persons, with noise, are chosen (a stability-based histogram: OpenDP's
``make_laplace_threshold``, whose privacy map gives epsilon and delta); then every number of those groups gets noise
(``make_laplace``). Each mechanism says itself what it costs, and costs no more than its part of the answer's epsilon.
OpenDP draws from the operating system's generator of cryptographic quality; nothing can seed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from archipel import errors
from archipel.noise import Private, about_threshold

LIBRARY = "opendp"
MOST = 1 << 62
"""Sums are kept within this; that changes nothing of how much one person changes them."""

_INSTALL = "Its operator installs OpenDP, of the extra 'node' of this package; it needs x86_64 or aarch64."


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows with noise, of the groups that are shown, and from how many persons with noise on groups are shown."""

    table: pa.Table
    threshold: int


def check_installed() -> None:
    """Make sure that OpenDP is there.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    _library()


def drawn(table: pa.Table, private: Private) -> Drawn:
    """Return what may leave of the rows of a statement (``archipel.border.private``): its outputs, with noise.

    Raises:
        ArchipelError: CONFIG_INVALID when OpenDP is not there; INTERNAL when it would cost more than was asked for.
    """
    chooser, threshold = _chooser(private)
    persons = _whole(table.column(private.persons).to_pylist())
    # A group of as many persons as must be there counts as one: one person more or less makes or unmakes it.
    above = {
        row: number - private.min_persons + 1 for row, number in enumerate(persons) if number >= private.min_persons
    }
    shown = {row: int(number) + private.min_persons - 1 for row, number in chooser(above).items()}
    rows = sorted(shown)
    noisy: dict[str, list[Any]] = {name: [shown[row] for row in rows] for name in private.persons_outputs}
    for column in private.columns:
        exact = _whole(table.column(column.steps).to_pylist())
        steps = _with_noise([exact[row] for row in rows], private, private.scale(column), column.most)
        if column.count:
            steps = [max(0, step) for step in steps]
        values = [_units(step, column.per_unit) for step in steps]
        noisy.update((name, values) for name in column.outputs)
    kept = table.take(pa.array(rows, pa.int64()))
    arrays = [
        _typed(noisy[name], table.schema.field(name).type) if name in noisy else kept.column(name)
        for name in private.outputs
    ]
    fields = [table.schema.field(name) for name in private.outputs]
    return Drawn(pa.table(arrays, schema=pa.schema(fields)), threshold + private.min_persons - 1)


def _chooser(private: Private) -> tuple[Any, int]:
    """Return the mechanism that chooses groups, and its threshold: the least for which delta is surely small enough."""
    dp = _library()
    groups, scale, wanted = private.groups_per_person, private.persons_scale, private.share
    domain = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64"))
    metric = dp.l01inf_distance(dp.absolute_distance(T="i64"))
    change = (groups, groups, 1)  # groups that one person changes, by how much in all, by how much each

    def made(threshold: int) -> Any:
        return dp.m.make_laplace_threshold(domain, metric, scale=scale, threshold=threshold)

    low, high = 1, max(2, 2 * about_threshold(1, scale, groups, private.delta))
    while made(high).map(change)[1] > private.delta:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if made(middle).map(change)[1] > private.delta else (low, middle)
    # OpenDP 0.16 shows a count that is equal to the threshold, but its delta is the chance of one above it (with one
    # person and scale 4, threshold 5: shown in 20.7 % of 200,000 draws, delta 16.1 %). So the threshold is one more.
    threshold = high + 1
    while made(threshold).map(change)[0] > wanted:
        scale *= 1 + 1e-12
    return made(threshold), threshold


def _with_noise(values: Sequence[int], private: Private, scale: float, most: int) -> list[int]:
    dp = _library()
    domain, metric = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    change = most * private.groups_per_person
    mechanism = dp.m.make_laplace(domain, metric, scale=scale)
    while mechanism.map(change) > private.share:
        scale *= 1 + 1e-12  # what the library rounds up
        mechanism = dp.m.make_laplace(domain, metric, scale=scale)
    return [int(value) for value in mechanism([min(max(value, -MOST), MOST) for value in values])]


def _whole(values: Sequence[Any]) -> list[int]:
    return [int(value or 0) for value in values]


def _units(steps: int, per_unit: float) -> Any:
    return steps if per_unit == 1.0 else Decimal(steps) / Decimal(repr(per_unit))


def _typed(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return noisy numbers in the type of the aggregate that they stand for; what its type cannot hold is cut off."""
    if pa.types.is_floating(kind):
        return pa.array([float(value) for value in values], kind)
    if pa.types.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale)
        return pa.array([Decimal(value).quantize(step) for value in values], kind)
    return pa.array([round(value) for value in values], kind)


def _library() -> Any:
    try:
        import opendp.prelude as dp
    except ImportError:
        text = "This node has no library for differential privacy."
        raise errors.error(errors.CONFIG_INVALID, text, hint=_INSTALL) from None
    dp.enable_features("contrib")
    return dp
