"""The check of a plan's rounds: that every step is there, between those who take part, and every contributor allows it.

Like the rest of the check it trusts no planner: parties and order are compared with the protocol, and what the total
shows is checked against every contributor's policy as a release to the coordinator of the same statement would be.
"""

from __future__ import annotations

from archipel import certificate
from archipel.certificate import Certificate, Rejected
from archipel.permit import Permit
from archipel.rounds import RoundStep, Step
from archipel.schema import COORDINATOR, Form, Scope, Table
from coordinator.catalog import Catalog
from coordinator.plan import Exchange, Plan, Stage, StageKind


def certificate_of(exchange: Exchange, plan: Plan, catalog: Catalog, permit: Permit) -> Certificate | None:
    """Return the certificate of what a step of a round sends: of the total; messages between nodes have none."""
    stage = plan.stage(exchange.source)
    if stage.round is None or stage.round.step is not Step.RELEASE:
        return None
    sites = {site: _tables_at(site, catalog) for site in stage.round.contributors}
    everywhere = {name: table for tables in sites.values() for name, table in tables.items()}
    seen = certificate.read(stage.sql, everywhere)
    return certificate.issue(stage.sql, sites, (COORDINATOR,), permit, seen)


def check_rounds(plan: Plan, catalog: Catalog, permit: Permit) -> None:
    """Make sure that the rounds of a plan are what the protocol says, and that policies and permit allow them.

    Raises:
        Rejected: why not.
    """
    steps = [stage for stage in plan.stages if stage.round is not None]
    for start in range(0, len(steps), len(Step)):
        _check_round(steps[start : start + len(Step)], plan, catalog, permit)


def _check_round(stages: list[Stage], plan: Plan, catalog: Catalog, permit: Permit) -> None:
    rounds = [stage.round for stage in stages if stage.round is not None]
    if [r.step for r in rounds] != list(Step):
        raise Rejected("a round does not have its steps in their order")
    if len({(r.contributors, r.aggregator, r.bitmaps) for r in rounds}) > 1 or len({s.sql for s in stages}) > 1:
        raise Rejected("the steps of a round are not of one round")
    first = rounds[0]
    if first.problem():
        raise Rejected("a round has other parties than it may have")
    for stage, step, following in zip(stages, rounds, [*stages[1:], None], strict=True):
        if stage.kind is not StageKind.NODE or stage.sites != step.sites():
            raise Rejected("a step of a round is not done by those who should")
        sent = [exchange for exchange in plan.exchanges if exchange.source == stage.stage_id]
        if len(sent) != 1 or sent[0].part_column or sent[0].form is not Form.AGGREGATE:
            raise Rejected("a step of a round sends something else")
        if following is not None and (
            sent[0].target != following.stage_id or following.inputs != (sent[0].exchange_id,)
        ):
            raise Rejected("a message of a round goes astray")
    _check_parties(stages[-1], first, plan, catalog, permit)


def _check_parties(last: Stage, parties: RoundStep, plan: Plan, catalog: Catalog, permit: Permit) -> None:
    (sent,) = (exchange for exchange in plan.exchanges if exchange.source == last.stage_id)
    if plan.stage(sent.target).sites != (COORDINATOR,) or sent.certificate is None:
        raise Rejected("a total does not go to the coordinator under a certificate")
    if sent.certificate.destinations != (COORDINATOR,):
        raise Rejected("a certificate is for another destination")
    for node in (*parties.contributors, parties.aggregator):
        if node not in permit.nodes:
            raise Rejected(f"the permit does not name node {node}")
    for site in parties.contributors:
        tables = _tables_at(site, catalog)
        seen = certificate.check(sent.certificate, last.sql, site, tables, permit)
        protected = [tables[name] for name in seen.tables if tables[name].policy.protected]
        if not protected:
            raise Rejected("there is no threshold to hold in a round")
        for table in protected:
            _check_policy(table, site, parties.aggregator)
    everywhere = {name: table for site in parties.contributors for name, table in _tables_at(site, catalog).items()}
    for name in certificate.read(last.sql, everywhere).tables:
        if set(catalog.tables[name].shards) - set(parties.contributors) and everywhere[name].policy.protected:
            raise Rejected("a round leaves out a node that holds rows")


def _check_policy(table: Table, site: str, aggregator: str) -> None:
    if Scope.FEDERATION not in table.policy.scopes:
        raise Rejected(f"policy does not let {table.name} be counted over nodes")
    if site != aggregator and table.policy.form_to(aggregator) < Form.AGGREGATE:
        raise Rejected(f"policy does not let {aggregator} add up {table.name}")


def _tables_at(site: str, catalog: Catalog) -> dict[str, Table]:
    return {name: entry.shards[site] for name, entry in catalog.tables.items() if site in entry.shards}
