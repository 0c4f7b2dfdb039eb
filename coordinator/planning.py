"""Planning off the event loop: the planner is CPU work, and the shadow that describes statements is built but rarely.

The planner itself is handed in: ``coordinator.planner.plan``.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from archipel import errors, telemetry
from archipel.permit import Permit
from archipel.request import Request
from archipel.schema import Table
from coordinator import catalog as catalogs
from coordinator.catalog import Catalog
from coordinator.plan import OutputColumn, Plan
from coordinator.plan_document import plan_document
from coordinator.registration import EngineProfile
from coordinator.registry import Registry

log = logging.getLogger(__name__)

T = TypeVar("T")
Describe = Callable[..., tuple[OutputColumn, ...]]
Planner = Callable[[Request, Catalog, Permit, Describe], Plan]

CATALOGUES_KEPT = 8
"""Views of the catalogue, one for each set of nodes that permits name, kept with their shadows."""

PLANS_KEPT = 256
"""Plans of one view of the catalogue: planning is a pure function, so the same question has the same plan."""

MAX_KEPT_SQL_CHARS = 64 * 1024
"""Longer queries are planned anew each time, so that what is kept stays small."""

PLANNING_THREADS = 2

MOST_TRIALS = 64
"""How many times a node's tables are tried in halves to find those that the engine does not take: a second at most."""


class ShadowLike(Protocol):
    """What is needed of ``coordinator.shadow.Shadow``; safe to use from several threads."""

    def describe(
        self, sql: str, inputs: Mapping[str, tuple[OutputColumn, ...]] | None = None, *, bare: bool = False
    ) -> tuple[OutputColumn, ...]: ...

    def arrow_schema(self, columns: tuple[OutputColumn, ...]) -> pa.Schema: ...

    def close(self) -> None: ...


MOST_TYPES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, as JSON too, with the Arrow schema of every stage's output and of the result.

    ``against`` tells what it was made against: the plan holds while the registry still says the same.
    """

    plan: Plan
    schemas: Mapping[str, pa.Schema]
    schema: pa.Schema
    json: str
    against: tuple[int, frozenset[str]]


_PlanKey = tuple[str, str, str, Permit, frozenset[str]]


@dataclass(slots=True)
class _View:
    catalog: Catalog
    shadow: ShadowLike
    plans: OrderedDict[_PlanKey, Planned] = field(default_factory=OrderedDict)
    """Touched by the event loop only."""

    def remembered(self, key: _PlanKey, state: tuple[int, frozenset[str]]) -> Planned | None:
        """Return a plan that was kept, as of now."""
        known = self.plans.get(key)
        if known is None:
            return None
        self.plans.move_to_end(key)
        return replace(known, against=state)

    def keep(self, key: _PlanKey, planned: Planned) -> None:
        """Remember a plan, and forget the one that was not asked for longest when there are too many."""
        self.plans[key] = planned
        if len(self.plans) > PLANS_KEPT:
            self.plans.popitem(last=False)


class Planning:
    """Makes plans over the registry's catalogue. ``close`` it."""

    def __init__(
        self,
        registry: Registry,
        planner: Planner,
        shadow: Callable[[Catalog], ShadowLike],
        *,
        timeout_s: float,
    ) -> None:
        self._registry = registry
        self._planner = planner
        self._make_shadow = shadow
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(PLANNING_THREADS, thread_name_prefix="planner")
        self._known_types: frozenset[str] = frozenset()
        self._views: OrderedDict[frozenset[str], tuple[int, asyncio.Future[_View]]] = OrderedDict()

    def close(self) -> None:
        """End the threads; idempotent."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for _, view in self._views.values():
            if view.done() and not view.cancelled() and view.exception() is None:
                view.result().shadow.close()
        self._views.clear()

    @property
    def state(self) -> tuple[int, frozenset[str]]:
        """What a plan made now would be made against."""
        return self._registry.version, self._registry.attached

    async def plan(self, request: Request, permit: Permit, *, among: frozenset[str] | None = None) -> Planned:
        """Return a plan over the nodes that the permit names, or over those of them that are in ``among``.

        Raises:
            ArchipelError: whatever is wrong with the request; SCHEMA_CONFLICT when engines differ; TIMEOUT.
        """
        state = self.state
        nodes = frozenset(permit.nodes) & (self._registry.known if among is None else among)
        view = await self._view(nodes)
        attached = nodes & state[1]
        key = _key_of(request, permit, attached)
        known = view.remembered(key, state)
        if known is not None:
            return known
        catalog = replace(view.catalog, attached=attached)
        try:
            async with asyncio.timeout(self._timeout_s):
                planned = await self._in_thread(self._make, request, catalog, permit, view.shadow, state)
        except TimeoutError:
            raise errors.error(errors.TIMEOUT, "Planning the query took too long.") from None
        self._check_profiles(planned.plan.nodes())
        if len(request.sql) <= MAX_KEPT_SQL_CHARS:
            view.keep(key, planned)
        return planned

    def remembered(self, request: Request, permit: Permit) -> Planned | None:
        """Return the plan over the nodes that the permit names if it was made before: then nothing is waited for."""
        state = self.state
        nodes = frozenset(permit.nodes) & self._registry.known
        version, view = self._views.get(nodes, (-1, None))
        if view is None or version != state[0] or not view.done() or _failed(view):
            return None
        return view.result().remembered(_key_of(request, permit, nodes & state[1]), state)

    async def unusable(self, tables: Sequence[Table]) -> dict[str, str]:
        """Return, by table name, why the engine cannot take tables that a node registers."""
        return await self._in_thread(self._unusable, tables)

    def _unusable(self, tables: Sequence[Table]) -> dict[str, str]:
        """Names were checked before: only types can be unknown to the engine, and most are those of other nodes too."""
        found: dict[str, str] = {}
        parts = [[table for table in tables if not _types((table,)) <= self._known_types]]
        trials = 0
        while parts:
            part = parts.pop()
            trials += 1
            if not part:
                continue
            if trials > MOST_TRIALS:
                reason = "too many tables of this node have types that the engine does not know"
                found |= {table.name: reason for table in part}
            elif self._takes(part):
                if len(self._known_types) < MOST_TYPES_KEPT:
                    self._known_types |= _types(part)
            elif len(part) == 1:
                found[part[0].name] = "the engine does not know the type of one of its columns"
            else:
                parts += [part[: len(part) // 2], part[len(part) // 2 :]]
        return found

    def _takes(self, tables: Sequence[Table]) -> bool:
        try:
            self._make_shadow(catalogs.build({"node": tables}, ())).close()
        except Exception as cause:  # noqa: BLE001 - the text comes from a node: whatever parser it breaks, it is refused
            log.info("a node's tables cannot be taken as they are: %s", type(cause).__name__)
            return False
        return True

    def _make(
        self, request: Request, catalog: Catalog, permit: Permit, shadow: ShadowLike, state: tuple[int, frozenset[str]]
    ) -> Planned:
        with telemetry.span("archipel.plan") as span:
            plan = self._planner(request, catalog, permit, shadow.describe)
            # Only now: the planner has found that SQL and dialect are what they claim to be.
            for key, value in telemetry.query_attributes(
                request.sql, summary="SELECT", dialect=request.dialect
            ).items():
                span.set(key, value)
        schemas = {stage.stage_id: shadow.arrow_schema(stage.columns) for stage in plan.stages}
        text = json.dumps(plan_document(plan))
        return Planned(plan, schemas, shadow.arrow_schema(plan.columns), text, state)

    async def _view(self, nodes: frozenset[str]) -> _View:
        version = self._registry.version
        kept = self._views.get(nodes)
        if kept is None or kept[0] != version or _failed(kept[1]):
            whole = self._registry.catalog
            building = asyncio.ensure_future(self._in_thread(self._build_view, whole, nodes))
            self._views[nodes] = kept = (version, building)
            while len(self._views) > CATALOGUES_KEPT:
                self._views.popitem(last=False)  # a plan may still use its shadow: the last user frees it
        self._views.move_to_end(nodes)
        # Shielded: whoever waits may go away, and the view is everybody's.
        return await asyncio.shield(kept[1])

    def _build_view(self, whole: Catalog, nodes: frozenset[str]) -> _View:
        catalog = whole.only(nodes)
        return _View(catalog, self._make_shadow(catalog))

    def _check_profiles(self, nodes: tuple[str, ...]) -> None:
        """Refuse a plan over engines that could answer differently."""
        known = [(n, r.profile) for n in nodes if (r := self._registry.registration(n)) is not None]
        for node, profile in known[1:]:
            difference = _difference(known[0][1], profile)
            if difference:
                raise errors.error(
                    errors.SCHEMA_CONFLICT,
                    f"Nodes '{known[0][0]}' and '{node}' could answer differently: {difference}.",
                    hint="Their operators must agree on one; until then ask them one at a time.",
                )

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work, *arguments)


def _key_of(request: Request, permit: Permit, attached: frozenset[str]) -> _PlanKey:
    asked = request.model_dump_json(include={"parameters", "threshold_scope", "on_missing", "privacy"})
    return request.sql, request.dialect, asked, permit, attached


def _types(tables: Sequence[Table]) -> frozenset[str]:
    return frozenset(column.type for table in tables for column in table.columns)


def _failed(building: asyncio.Future[_View]) -> bool:
    return building.done() and (building.cancelled() or building.exception() is not None)


def _difference(first: EngineProfile, other: EngineProfile) -> str:
    for name in ("engine", "version", "collation", "time_zone"):
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            return f"{name.replace('_', ' ')} {ours!r} against {theirs!r}"
    return ""
