"""Which optimisations the planner uses: all, unless the coordinator's configuration names some that it shall not.

Every one of them only spares bytes or work; without any of them the answers are the same. They can be left out so that
the worth of each is seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Rules:
    """The optimisations by name, each on or off, and what a stage is taken to cost beside its bytes."""

    pushdown: bool = True
    """Filters are applied before rows are sent, not where they arrive."""
    local_joins: bool = True
    """Joins and groups by a site key stay at the nodes."""
    semijoin: bool = True
    """Keys of one side of a join go first, so that of the other side only what matches is sent."""
    bloom: bool = True
    """Many keys go as a Bloom filter."""
    eager: bool = True
    """Rows are aggregated before they are sent to a join."""
    shuffle: bool = True
    """Rows of several nodes are joined at all of these: each gets a part by a hash of a key, or what is small whole."""
    topk: bool = True
    """Nodes send no more rows than a LIMIT keeps."""
    pruning: bool = True
    """Nodes that can hold no matching row are not asked."""
    common_subplans: bool = True
    """What is asked twice within one query is computed once."""
    stage_bytes: int = 262_144
    """What a stage between nodes costs beside its own bytes, as bytes: less is not worth its round trip. At 50 Mbit/s
    these take 40 ms: the way of a task and of its rows through the coordinator, signatures, and the audit log."""

    def without(self, names: Iterable[str]) -> Rules:
        """Return the same without the optimisations of those names.

        >>> EVERY_RULE.without(["bloom"]).bloom
        False
        """
        unknown = sorted(set(names) - set(NAMES))
        if unknown:
            raise ValueError(f"no optimisation is called {unknown[0]!r}: they are {', '.join(NAMES)}")
        return replace(self, **dict.fromkeys(names, False))


NAMES = tuple(f.name for f in fields(Rules) if f.type in {"bool", bool})

EVERY_RULE = Rules()
