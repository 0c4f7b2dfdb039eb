"""The check of a plan's private set intersections: that their steps are there, between those who may, and not left out.

Like the rest of the check it trusts no planner: it reads the statements in its own way (``archipel.certificate``), and
compares parties and order with the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

from archipel import certificate
from archipel.border.peers import needs_intersection
from archipel.certificate import Reading, Rejected
from archipel.intersection import Step, lists_all_persons
from archipel.permit import Permit
from archipel.schema import Form, Table
from coordinator.catalog import Catalog
from coordinator.plan import Exchange, Plan, Stage, StageKind

_ORDER = [Step.ASK, Step.ANSWER, Step.SEND]


def is_message(stage: Stage) -> bool:
    """Whether a stage gives messages of an intersection, which have no certificate: nobody can read rows in them."""
    return stage.intersection is not None and stage.intersection.step is not Step.SEND


def check_intersections(plan: Plan, catalog: Catalog, permit: Permit) -> None:
    """Make sure that the intersections of a plan are what the protocol says, and that none is left out.

    Raises:
        Rejected: why not.
    """
    steps = [stage for stage in plan.stages if stage.intersection is not None]
    for start in range(0, len(steps), len(_ORDER)):
        _check_steps(steps[start : start + len(_ORDER)], plan, catalog, permit)
    for exchange in plan.exchanges:
        source = plan.stage(exchange.source)
        if plan.is_sealed(exchange) and source.round is None and source.intersection is None:
            _check_needless(exchange, plan, catalog, permit)


def _check_steps(stages: list[Stage], plan: Plan, catalog: Catalog, permit: Permit) -> None:
    steps = [stage.intersection for stage in stages if stage.intersection is not None]
    if [step.step for step in steps] != _ORDER:
        raise Rejected("an intersection does not have its steps in their order")
    if len({(step.senders, step.receivers) for step in steps}) > 1 or steps[0].problem():
        raise Rejected("an intersection has other parties than it may have")
    asking, answering, sending = stages
    if asking.sql != sending.sql or asking.inputs:
        raise Rejected("an intersection is about other rows than those that go")
    for stage, step in zip(stages, steps, strict=True):
        if stage.kind is not StageKind.NODE or stage.sites != step.sites:
            raise Rejected("a step of an intersection is not done by those who should")
        if not set(stage.sites) <= set(permit.nodes):
            raise Rejected("the permit does not name a node of an intersection")
    for stage, following in ((asking, answering), (answering, sending)):
        sent = [exchange for exchange in plan.exchanges if exchange.source == stage.stage_id]
        if len(sent) != 1 or sent[0].part_column or sent[0].form is not Form.KEYS:
            raise Rejected("a step of an intersection sends something else")
        if sent[0].target != following.stage_id or following.inputs != (sent[0].exchange_id,):
            raise Rejected("a message of an intersection goes astray")
    for exchange in plan.exchanges:
        if exchange.source == sending.stage_id and plan.stage(exchange.target).sites != steps[0].receivers:
            raise Rejected("rows go to others than those whose persons were matched")
    for receiver in steps[0].receivers:
        _check_persons(answering, receiver, steps[0].senders, catalog, permit)


def _check_persons(stage: Stage, receiver: str, senders: tuple[str, ...], catalog: Catalog, permit: Permit) -> None:
    """Make sure that a receiver matches all persons of one table, and that the senders may learn of them."""
    tables = _tables_at(receiver, catalog)
    seen = certificate.read(stage.sql, tables)
    if not permit.linkage or len(seen.tables) != 1:
        raise Rejected("an intersection is not made of the persons of one table")
    (name,) = seen.tables
    table = tables[name]
    if not table.policy.protected or not lists_all_persons(stage.sql, table):
        raise Rejected("an intersection is made of something else than all persons of a table")
    if not permit.allows_table(table.name) or any(table.policy.form_to(sender) < Form.KEYS for sender in senders):
        raise Rejected("a sender may not learn which of its persons the receiver has")


def _check_needless(exchange: Exchange, plan: Plan, catalog: Catalog, permit: Permit) -> None:
    """Make sure that rows without an intersection need none: for the senders' sake, or for the receivers'."""
    source, target = plan.stage(exchange.source), plan.stage(exchange.target)
    received = frozenset(e.exchange_id.lower() for e in plan.exchanges if plan.is_sealed(e))
    for sender in source.sites:
        sent = _read_at(sender, source, catalog, received)
        if not sent:
            continue
        for receiver in target.sites:
            own = _read_at(receiver, target, catalog, received)
            if any(needs_intersection(table, receiver, permit, sender) for table in sent) or any(
                sender != receiver and needs_intersection(table, sender, permit, "") for table in own
            ):
                raise Rejected("rows of persons go to a node without the intersection that is required")


def _read_at(site: str, stage: Stage, catalog: Catalog, received: frozenset[str]) -> list[Table]:
    """Return the protected tables of a site that a stage reads there."""
    tables: Mapping[str, Table] = _tables_at(site, catalog)
    inputs = frozenset(name.lower() for name in stage.inputs) | received
    seen: Reading = certificate.read(stage.sql, tables, inputs)
    return [tables[name] for name in seen.tables if name in tables and tables[name].policy.protected]


def _tables_at(site: str, catalog: Catalog) -> dict[str, Table]:
    return {name: entry.shards[site] for name, entry in catalog.tables.items() if site in entry.shards}
