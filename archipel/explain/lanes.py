"""The lanes of a plan's picture: nodes that do the same share one, so that a hundred are as legible as three."""

from __future__ import annotations

from dataclasses import dataclass

from archipel.explain.document import PlanDocument
from archipel.schema import COORDINATOR

MOST_LANES = 7
"""Of nodes; what is beyond shares the last one."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Sites that are drawn as one: the names of nodes, sorted, or the coordinator alone."""

    sites: tuple[str, ...]

    @property
    def is_coordinator(self) -> bool:
        """Whether this is the coordinator's lane, which is always the last."""
        return self.sites == (COORDINATOR,)

    @property
    def title(self) -> str:
        """The name of the only node, or how many they are."""
        if self.is_coordinator:
            return "coordinator"
        return self.sites[0] if len(self.sites) == 1 else f"{len(self.sites)} nodes"


def lanes_of(plan: PlanDocument) -> tuple[Lane, ...]:
    """Return the lanes of a plan, those whose first stage comes first at the left, the coordinator at the right."""
    order = {stage.stage_id: number for number, stage in enumerate(plan.stages)}
    alike: dict[tuple[int, ...], list[str]] = {}
    for node in plan.nodes():
        runs = tuple(order[stage.stage_id] for stage in plan.stages if node in stage.sites)
        alike.setdefault(runs, []).append(node)
    groups = [nodes for _, nodes in sorted(alike.items())]
    if len(groups) > MOST_LANES:
        rest = [node for nodes in groups[MOST_LANES - 1 :] for node in nodes]
        groups = [*groups[: MOST_LANES - 1], sorted(rest)]
    return (*(Lane(tuple(nodes)) for nodes in groups), Lane((COORDINATOR,)))


def among(lane: Lane, sites: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``sites`` that are in a lane."""
    wanted = frozenset(sites)
    return tuple(site for site in lane.sites if site in wanted)
