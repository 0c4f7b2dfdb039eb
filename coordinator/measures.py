"""What a query took and gave by stage and node: measured here, told with the result by ``EXPLAIN ANALYZE``.

Told is what was released, never what a node read; and nothing that tells what a node does not tell. Pure: the clock is
handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from archipel.v1 import query_pb2
from coordinator.deliveries import Withheld
from coordinator.events import TaskRef
from coordinator.plan import Plan, Stage, StageKind


@dataclass(slots=True)
class _AtSite:
    """One stage at one node. ``sent`` and ``ended`` are moments of the clock, in seconds."""

    sent: float
    attempts: int = 1
    ended: float | None = None
    rows: int | None = None
    wire_bytes: int | None = None
    engine_ms: float = 0.0
    told: bool = True
    """Whether the number of rows tells nothing about groups that the node keeps back without telling how many."""


@dataclass(slots=True)
class _AtCoordinator:
    began: float
    ended: float | None = None
    rows: int | None = None
    executor: str = ""


@dataclass(slots=True)
class Measures:
    """The measures of one query. ``clock`` gives seconds that never go back."""

    clock: Callable[[], float]
    _sites: dict[str, dict[str, _AtSite]] = field(default_factory=dict)
    _own: dict[str, _AtCoordinator] = field(default_factory=dict)

    def sent(self, task: TaskRef) -> None:
        """Note that a task went out; the time of a second attempt begins with the first."""
        at_stage = self._sites.setdefault(task.stage_id, {})
        known = at_stage.get(task.node)
        if known is None:
            at_stage[task.node] = _AtSite(self.clock())
        else:
            known.attempts += 1

    def delivered(
        self, task: TaskRef, *, wire_bytes: int, engine_ms: float, rows: int | None = None, withheld: Withheld | None
    ) -> None:
        """Note what a task gave. ``rows`` is None where the coordinator cannot know them: what it relays is sealed."""
        site = self._sites.setdefault(task.stage_id, {}).setdefault(task.node, _AtSite(self.clock()))
        site.ended, site.rows, site.wire_bytes, site.engine_ms = self.clock(), rows, wire_bytes, engine_ms
        site.told = withheld is None or not withheld.applied or withheld.groups is not None

    def began(self, stage_id: str) -> None:
        """Note that a stage of the coordinator has its turn."""
        self._own[stage_id] = _AtCoordinator(self.clock())

    def computed(self, stage_id: str, rows: int, executor: str = "") -> None:
        """Note that a stage of the coordinator has ended, with how many rows, and on what a merge was done."""
        own = self._own[stage_id]
        own.ended, own.rows, own.executor = self.clock(), rows, executor

    def to_wire(self, plan: Plan) -> list[query_pb2.StageMeasure]:
        """Return the measures of a plan's stages, in their order; what was not measured is left out."""
        hidden = any(not site.told for sites in self._sites.values() for site in sites.values())
        found = []
        for stage in plan.stages:
            if stage.kind is StageKind.NODE:
                found += self._at_nodes(plan, stage)
            else:
                # What is merged of rows that are not told would tell them; the result's own rows are in the result.
                found += self._at_coordinator(stage, tells=not hidden or stage.stage_id == plan.result_stage)
        return found

    def _at_nodes(self, plan: Plan, stage: Stage) -> list[query_pb2.StageMeasure]:
        sites = {node: site for node, site in self._sites.get(stage.stage_id, {}).items() if site.ended is not None}
        if not sites:
            return []
        ends = [site.ended for site in sites.values() if site.ended is not None]
        message = query_pb2.StageMeasure(
            stage_id=stage.stage_id, total_ms=_ms(min(site.sent for site in sites.values()), max(ends))
        )
        size_told = not seals_persons(plan, stage)
        for node in sorted(sites):
            site = sites[node]
            told = message.sites.add(
                node=node, engine_ms=site.engine_ms, total_ms=_ms(site.sent, site.ended), attempts=site.attempts
            )
            if size_told and site.wire_bytes is not None:
                told.bytes = site.wire_bytes
            if size_told and site.told and site.rows is not None:
                told.rows = site.rows
        if all(told.HasField("rows") for told in message.sites):
            message.rows = sum(told.rows for told in message.sites)
        return [message]

    def _at_coordinator(self, stage: Stage, *, tells: bool) -> list[query_pb2.StageMeasure]:
        own = self._own.get(stage.stage_id)
        if own is None or own.ended is None:
            return []
        message = query_pb2.StageMeasure(
            stage_id=stage.stage_id, total_ms=_ms(own.began, own.ended), executor=own.executor
        )
        if tells and own.rows is not None:
            message.rows = own.rows
        return [message]


def seals_persons(plan: Plan, stage: Stage) -> bool:
    """Whether a stage sends data about persons to other nodes: single rows, whose number no threshold guards."""
    return any(
        plan.is_sealed(e) and (e.certificate is None or e.certificate.min_persons > 0)
        for e in plan.exchanges
        if e.source == stage.stage_id
    )


def _ms(began: float, ended: float | None) -> float:
    return 0.0 if ended is None else (ended - began) * 1000
