"""The check of a whole plan: that every exchange has a certificate, and that each certificate holds where it is used.

It trusts neither the planner nor the border check, and knows of a plan only what stands in it. What goes from node to
node keeps the demands of its senders: they are worked out here once more from the statements alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from archipel import certificate
from archipel.certificate import Reading, Rejected
from archipel.obligations import STRICTEST_FIRST, strictest
from archipel.permit import Permit
from archipel.schema import COORDINATOR, Column, Form, Role, Table, TablePolicy
from coordinator import intersection_check, round_check
from coordinator.catalog import Catalog
from coordinator.plan import Exchange, Plan, Stage, StageKind


def certified(plan: Plan, catalog: Catalog, permit: Permit) -> Plan:
    """Return the plan with a certificate on every exchange that leaves a node."""
    checker = _Checker(plan, catalog, permit)
    exchanges = []
    for exchange in plan.exchanges:
        stage = plan.stage(exchange.source)
        if stage.round is not None:
            exchange = replace(exchange, certificate=round_check.certificate_of(exchange, plan, catalog, permit))
        elif stage.kind is StageKind.NODE and not intersection_check.is_message(stage):
            sites = {site: checker.tables_at(site, stage) for site in stage.sites}
            everywhere = {name: table for tables in sites.values() for name, table in tables.items()}
            seen = certificate.read(stage.sql, everywhere, checker.inputs_of(stage))
            given = certificate.issue(stage.sql, sites, checker.destinations(exchange), permit, seen)
            exchange = replace(exchange, certificate=replace(given, part_column=exchange.part_column))
            checker.note(exchange, dict.fromkeys(stage.sites, seen))
        exchanges.append(exchange)
    return replace(plan, exchanges=tuple(exchanges))


def check_plan(plan: Plan, catalog: Catalog, permit: Permit) -> None:
    """Make sure that a plan does nothing that its certificates do not say, and that policies and permit allow it all.

    Raises:
        Rejected: why not.
    """
    _check_shape(plan)
    checker = _Checker(plan, catalog, permit)
    round_check.check_rounds(plan, catalog, permit)
    intersection_check.check_intersections(plan, catalog, permit)
    for stage in plan.stages:
        if stage.round is not None or intersection_check.is_message(stage):
            continue
        if stage.kind is StageKind.NODE:
            checker.check_stage(stage)
        else:
            _check_own(stage)


class _Checker:
    """Walks the stages in order and remembers what each sealed exchange obliges its receivers to."""

    def __init__(self, plan: Plan, catalog: Catalog, permit: Permit) -> None:
        self._plan = plan
        self._catalog = catalog
        self._permit = permit
        self._received: dict[str, Table] = {}

    def destinations(self, exchange: Exchange) -> tuple[str, ...]:
        """Return to whom an exchange goes."""
        return self._plan.stage(exchange.target).sites

    def inputs_of(self, stage: Stage) -> frozenset[str]:
        """Return the exchanges that come from the coordinator, lower case."""
        return frozenset(name.lower() for name in stage.inputs) - self._received.keys()

    def tables_at(self, site: str, stage: Stage) -> dict[str, Table]:
        """Return the tables that a statement may name at a site, lower case."""
        own = {n: entry.shards[site] for n, entry in self._catalog.tables.items() if site in entry.shards}
        received = {
            name.lower(): self._received[name.lower()] for name in stage.inputs if name.lower() in self._received
        }
        if own.keys() & received.keys():
            raise Rejected("an exchange has the name of a table")
        return own | received

    def check_stage(self, stage: Stage) -> None:
        """Check what a node stage sends, at each of its sites."""
        sent = [e for e in self._plan.exchanges if e.source == stage.stage_id]
        if not sent:
            raise Rejected("what a node stage gives goes nowhere")
        for exchange in sent:
            given = exchange.certificate
            if given is None:
                raise Rejected("an exchange has no certificate")
            if given.destinations != self.destinations(exchange):
                raise Rejected("a certificate is for another destination")
            if given.form is not exchange.form:
                raise Rejected("a certificate is for another form")
            if given.part_column != exchange.part_column:
                raise Rejected("a certificate says that rows are cut otherwise")
            if exchange.part_column and not self._is_cut(exchange, stage):
                raise Rejected("rows are cut by what says nothing of nodes")
            if {r.partition(": ")[0] for r in given.rules} - set(stage.sites):
                raise Rejected("a certificate names sites that do not take part")
            readings = {}
            for site in stage.sites:
                if site not in self._permit.nodes:
                    raise Rejected(f"the permit does not name node {site}")
                readings[site] = certificate.check(
                    given,
                    stage.sql,
                    site,
                    self.tables_at(site, stage),
                    self._permit,
                    received=frozenset(self._received),
                    inputs=self.inputs_of(stage),
                )
            sizes = [self._group_size(site, stage, seen) for site, seen in readings.items()]
            if given.min_persons != max(sizes):
                raise Rejected("a certificate says another group size than any site's policy")
            self.note(exchange, readings)

    def _is_cut(self, exchange: Exchange, stage: Stage) -> bool:
        """Whether an exchange between nodes has the column by which it is cut."""
        column = next((c for c in stage.columns if c.name == exchange.part_column), None)
        return column is not None and column.type == "UINTEGER" and self._plan.is_sealed(exchange)

    def _group_size(self, site: str, stage: Stage, seen: Reading) -> int:
        tables = self.tables_at(site, stage)
        protected = [tables[name] for name in seen.tables if tables[name].policy.protected]
        return certificate.group_size(protected, self._permit)

    def note(self, exchange: Exchange, readings: Mapping[str, Reading]) -> None:
        """Remember what the receivers of a sealed exchange are obliged to."""
        if not self._plan.is_sealed(exchange):
            return
        stage = self._plan.stage(exchange.source)
        parts = [_obliges(exchange, stage, seen, self.tables_at(site, stage)) for site, seen in readings.items()]
        policy = strictest([part.policy for part in parts], [column.name for column in parts[0].columns])
        self._received[exchange.exchange_id.lower()] = replace(parts[0], policy=policy)


def _check_shape(plan: Plan) -> None:
    """Make sure that stages and exchanges fit together: one of each name, and nothing read that is not sent."""
    ids = [stage.stage_id for stage in plan.stages]
    names = [exchange.exchange_id for exchange in plan.exchanges]
    if len(set(ids)) < len(ids):
        raise Rejected("two stages have the same name")
    if plan.result_stage not in ids:
        raise Rejected("the stage of the result is missing")
    if plan.stage(plan.result_stage).kind is StageKind.NODE:
        raise Rejected("the result comes from a node without an exchange")
    order = {stage_id: number for number, stage_id in enumerate(ids)}
    for exchange in plan.exchanges:
        if exchange.source not in order or exchange.target not in order:
            raise Rejected("an exchange has no source or target")
        if order[exchange.source] >= order[exchange.target]:
            raise Rejected("an exchange goes backwards")
    for stage in plan.stages:
        incoming = tuple(e.exchange_id for e in plan.exchanges if e.target == stage.stage_id)
        if sorted(incoming) != sorted(stage.inputs) or len(set(incoming)) < len(incoming):
            raise Rejected("a stage reads other exchanges than those that go to it")
        at_coordinator = stage.sites == (COORDINATOR,)
        if (
            at_coordinator is (stage.kind is StageKind.NODE)
            or not stage.sites
            or len(set(stage.sites)) < len(stage.sites)
        ):
            raise Rejected("a stage runs where its kind does not run")
    for name in set(names):
        if len({e.source for e in plan.exchanges if e.exchange_id == name}) > 1:
            raise Rejected("two exchanges have the same name")


def _check_own(stage: Stage) -> None:
    """Make sure that a statement of the coordinator reads its inputs and nothing else.

    Where the parser cannot read what the engine can, the words after FROM and JOIN tell enough: nothing leaves a node
    by this statement, whose engine has no tables but its inputs.
    """
    try:
        tree = sqlglot.parse_one(stage.sql, read=certificate.DIALECT)
    except (SqlglotError, RecursionError):
        tokens = sqlglot.tokenize(stage.sql, read=certificate.DIALECT)
        for before, word, following in zip([None, *tokens], tokens, tokens[1:], strict=False):
            if before is not None and before.token_type is TokenType.DISTINCT:
                continue  # IS DISTINCT FROM compares
            named = following.token_type in {TokenType.IDENTIFIER, TokenType.VAR}
            if word.token_type in {TokenType.FROM, TokenType.JOIN} and named and following.text not in stage.inputs:
                raise Rejected("a statement of the coordinator names what is not sent to it") from None
        return
    common = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if (
            isinstance(table.this, exp.Identifier)
            and table.name not in stage.inputs
            and table.name.lower() not in common
        ):
            raise Rejected("a statement of the coordinator names what is not sent to it")


def _obliges(exchange: Exchange, stage: Stage, seen: Reading, tables: Mapping[str, Table]) -> Table:
    """Return what one sender demands of whoever computes with what it sends."""
    used = {name: tables[name] for name in seen.tables}
    protected = [table for table in used.values() if table.policy.protected]
    persons = {(n, (t.person_column or "").lower()) for n, t in used.items() if t.policy.protected}
    outputs = {name.lower(): bases for name, bases in seen.outputs.items()}
    person = next((name for name, bases in outputs.items() if bases & persons), None)
    columns = tuple(c for c in stage.columns if c.name != exchange.part_column)
    roles = tuple((c.name, _role(outputs.get(c.name.lower(), frozenset()), used)) for c in columns)
    coordinator_form = min((t.policy.coordinator_form for t in used.values()), default=Form.ROWS)
    peers = {peer for t in used.values() for peer, _ in t.policy.peer_forms}
    return Table(
        name=exchange.exchange_id,
        columns=tuple(Column(c.name, c.type) for c in columns),
        person_column=person if protected else None,
        policy=TablePolicy(
            protected=bool(protected),
            coordinator_form=min(coordinator_form, Form.AGGREGATE) if protected else coordinator_form,
            min_persons=exchange.certificate.min_persons if exchange.certificate else 0,
            roles=roles,
            peer_forms=()
            if protected
            else tuple((p, min(t.policy.form_to(p) for t in used.values())) for p in sorted(peers)),
        ),
    )


def _role(bases: frozenset[tuple[str, str]], tables: Mapping[str, Table]) -> Role:
    found = {tables[table].policy.role_of(column) for table, column in bases if table in tables and column != "_node"}
    return next((role for role in STRICTEST_FIRST if role in found), Role.PUBLIC)
