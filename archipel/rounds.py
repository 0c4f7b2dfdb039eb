"""The rounds of a total that several nodes make together without showing their parts: steps, parties, identity. Pure.

docs/federated-threshold.md tells the protocol. Contributors hold rows; one node, the aggregator, adds up what they
mask. Steps alternate between them, and every message goes sealed from node to node by way of the coordinator.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

MIN_CONTRIBUTORS = 3
"""With two, each would know the other's numbers from the total."""

LABEL_BYTES = 16
"""Of the keyed hash of a group: two of a million groups are alike with a probability of 10^-27."""

BUCKETS = 64
"""Of one bitmap of persons."""

MAX_BITMAPS = 16
"""Of one count of persons: a threshold of more than about 900 cannot be seen to be reached."""

KEY_BYTES = 32


def bitmaps_for(min_persons: int) -> int:
    """Return how many bitmaps count persons up to a threshold.

    Persons who fall into one bucket count once, so that there should be several times as many buckets as persons:
    of 15 persons in 64 buckets 12.6 are seen on average, of 11 persons 9.5.
    """
    return min(max(1, math.ceil(min_persons * 4 / BUCKETS)), MAX_BITMAPS)


class Step(Enum):
    """What is done in a step, and by whom."""

    KEY = "key"
    """One contributor, the leader: draws the round's secret for the contributors."""
    LABELS = "labels"
    """Contributors: keyed hashes of their groups, and one-time keys."""
    LIST = "list"
    """The aggregator: all groups' hashes, sorted, and everybody's one-time keys."""
    VALUES = "values"
    """Contributors: masked numbers for every group of the list."""
    TOTALS = "totals"
    """The aggregator: the sums of the groups that pass the threshold."""
    VETO = "veto"
    """Contributors: which of these would show too much of one node."""
    VERDICT = "verdict"
    """The aggregator: which groups are left."""
    OPEN = "open"
    """Contributors: what the groups that are left are called."""
    RELEASE = "release"
    """The aggregator: the groups that are left, in clear, to the coordinator."""

    @property
    def at_aggregator(self) -> bool:
        """Whether the aggregator does it; otherwise contributors do."""
        return self in _AT_AGGREGATOR

    @property
    def before(self) -> Step | None:
        """The step whose messages this one reads."""
        steps = list(Step)
        number = steps.index(self)
        return steps[number - 1] if number else None


_AT_AGGREGATOR = frozenset({Step.LIST, Step.TOTALS, Step.VERDICT, Step.RELEASE})


@dataclass(frozen=True, slots=True)
class RoundStep:
    """A step of a round, as a plan or a task names it. ``contributors`` are sorted."""

    step: Step
    contributors: tuple[str, ...]
    aggregator: str
    bitmaps: int = 1
    """With how many bitmaps each count of persons is made."""

    @property
    def leader(self) -> str:
        """The contributor that draws the secret: never the aggregator, which may be a contributor, too."""
        return next(node for node in self.contributors if node != self.aggregator)

    def sites(self, step: Step | None = None) -> tuple[str, ...]:
        """Return who does a step; without one, this step."""
        step = step or self.step
        if step is Step.KEY:
            return (self.leader,)
        return (self.aggregator,) if step.at_aggregator else self.contributors

    @property
    def senders(self) -> tuple[str, ...]:
        """Whose messages the step reads."""
        before = self.step.before
        return () if before is None else self.sites(before)

    @property
    def receivers(self) -> tuple[str, ...]:
        """To whom the step's messages go; nobody for what the coordinator gets."""
        steps = list(Step)
        number = steps.index(self.step) + 1
        return self.sites(steps[number]) if number < len(steps) else ()

    def problem(self) -> str:
        """Return what is wrong with the parties; nothing when they may have a round."""
        if len(self.contributors) < MIN_CONTRIBUTORS:
            return f"A total over nodes needs at least {MIN_CONTRIBUTORS} that contribute; here are fewer."
        if list(self.contributors) != sorted(set(self.contributors)):
            return "The contributors of a round are named once each, in order."
        if not 1 <= self.bitmaps <= MAX_BITMAPS:
            return "A round counts persons with another number of bitmaps."
        return ""


@dataclass(frozen=True, slots=True)
class Round:
    """Which round it is: the question, under which permit, over exactly which nodes, added up where.

    Nodes to whom different things were told compute different ``digest``s: then nothing fits together, and nothing
    can be read.
    """

    federation: str
    query_id: str
    permit_id: str
    request_sha256: str
    sql_sha256: str
    contributors: tuple[str, ...]
    aggregator: str
    bitmaps: int = 1

    @property
    def digest(self) -> bytes:
        """What identifies the round before anything was sent."""
        parts = [self.federation, self.query_id, self.permit_id, self.request_sha256, self.sql_sha256]
        return _digest("round", *parts, json.dumps(self.contributors), self.aggregator, str(self.bitmaps))

    def agreed(self, one_time_keys: Mapping[str, bytes]) -> bytes:
        """Return what identifies the round once every contributor has drawn its one-time key: it never comes again."""
        keys = [one_time_keys[node].hex() for node in self.contributors]
        return _digest("agreed", self.digest.hex(), *keys)


def _digest(purpose: str, *parts: str) -> bytes:
    return hashlib.sha256(json.dumps(["archipel", purpose, 1, *parts]).encode()).digest()
