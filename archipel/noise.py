"""What all parties know of noise: how it is made of a statement, how wide it spreads, and sums of several. Pure.

Nothing here draws noise: that is done at nodes alone, by OpenDP (``node_agent.privacy_mechanism``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

COVERED = 0.95
"""Share of answers whose error is no more than the half-width that is told."""


@dataclass(frozen=True, slots=True)
class NoisyColumn:
    """One number of each group: the outputs that show it, and the column ``steps`` that has it in whole steps.

    One person changes it by no more than ``most`` steps in one group. ``per_unit`` steps make 1. A ``count`` is never
    shown below 0.
    """

    outputs: tuple[str, ...]
    label: str
    steps: str
    most: int
    per_unit: float
    count: bool


@dataclass(frozen=True, slots=True)
class Private:
    """How a node makes the rows of a statement differentially private.

    ``persons`` is the column with the distinct persons of a group, which outputs named in ``persons_outputs`` show.
    Numbers of groups with fewer than ``min_persons`` are not there. ``epsilon`` is for all numbers together.
    ``max_epsilon`` is the most that policy allows for one answer.
    """

    epsilon: float
    delta: float
    max_epsilon: float
    groups_per_person: int
    min_persons: int
    keys: int
    persons: str
    persons_outputs: tuple[str, ...]
    columns: tuple[NoisyColumn, ...]
    outputs: tuple[str, ...]
    seed_table: str

    @property
    def share(self) -> float:
        """The part of epsilon that each column gets, and the choice of groups by their persons: basic composition."""
        return self.epsilon / (len(self.columns) + 1)

    @property
    def persons_scale(self) -> float:
        """The scale of the noise in numbers of persons."""
        return self.groups_per_person / self.share

    def scale(self, column: NoisyColumn) -> float:
        """Return the scale of the noise in a column, in steps."""
        return self.groups_per_person * column.most / self.share

    def half_width(self, column: NoisyColumn) -> float:
        """Return within what of the value without noise 95 % of the values of a column lie."""
        return laplace_half_width(self.scale(column)) / column.per_unit


@dataclass(frozen=True, slots=True)
class PerturbedColumn:
    """Outputs that get noise by who is in them: ``people`` is the column of a keyed sum over their persons.

    ``largest`` is the column of the largest part of one person in them.
    """

    outputs: tuple[str, ...]
    label: str
    people: str
    largest: str
    count: bool


@dataclass(frozen=True, slots=True)
class Perturbed:
    """How a node makes the noise in a statement's outputs that is always the same for the same persons.

    ``sql`` gives for each group its ``keys``, of which ``shown`` are the outputs of the answer that have them.
    """

    deviation: float
    sql: str
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    columns: tuple[PerturbedColumn, ...]
    seed_table: str


def laplace_half_width(scale: float) -> int:
    """Return the least whole number that discrete Laplace noise exceeds, in size, in no more than 5 % of draws.

    P(|X| > w) = 2 a^(w+1) / (1 + a) with a = exp(-1/scale) (Inusah and Kozubowski, 2006).

    >>> laplace_half_width(0.1), laplace_half_width(1.0), laplace_half_width(100.0)
    (0, 3, 300)
    """
    if scale <= 0:
        return 0
    a = math.exp(-1 / scale)
    if a == 0:
        return 0
    return max(0, math.ceil(math.log((1 - COVERED) * (1 + a) / 2) * -scale) - 1)


def half_width_of_sum(scales: Sequence[float]) -> float:
    """Return the half-width of a sum of independent Laplace noises of these scales.

    The distribution of the sum is found from its characteristic function, prod 1 / (1 + (b t)^2), by Gil-Pelaez's
    formula, in steps that are fine enough for three digits.

    >>> round(half_width_of_sum([10.0]), 1), round(half_width_of_sum([10.0] * 4), 0)
    (30.0, 57.0)
    """
    positive = [scale for scale in scales if scale > 0]
    if not positive:
        return 0.0
    widest = max(positive)
    ratios = [scale / widest for scale in positive]
    if len(ratios) == 1:
        return -math.log(1 - COVERED) * widest
    # t from 0 to where the product is below 1e-6; midpoint rule.
    end = math.pow(1e6, 1 / (2 * min(len(ratios), 3)))
    end = max(end, 20.0)
    number = 4_000
    step = end / number
    places = [(index + 0.5) * step for index in range(number)]
    weights = [math.prod(1 / (1 + ratio * t * ratio * t) for ratio in ratios) / t for t in places]

    def within(x: float) -> float:
        total: float = math.fsum(w * math.sin(t * x) for w, t in zip(weights, places, strict=True))
        return 2 / math.pi * step * total

    low, high = 0.0, 3.0 * sum(ratios) + 3.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < COVERED else (low, middle)
    return high * widest


def about_threshold(min_persons: int, scale: float, groups_per_person: int, delta: float) -> int:
    """Return about how many persons, with noise, a group needs to be shown; the node's library has the exact number."""
    return math.ceil(min_persons + scale * math.log(groups_per_person / (2 * delta))) if delta > 0 else min_persons
