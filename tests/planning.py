"""Runs plans in this process: an engine for every node, the real border check and the real merger, beside the oracle.

The oracle is one DuckDB that holds the rows of all shards. For planner tests: no network, no keys, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from archipel import arrow_inputs, border, histograms, linkage, obligations, policy, sketches
from archipel.border.decision import BorderContext
from archipel.intersection import Step
from archipel.permit import Permit, Researcher, TableGrant
from archipel.request import Request
from archipel.schema import NODE_COLUMN, Column, Distribution, Table
from coordinator import accuracy, stage_work
from coordinator.catalog import Catalog, build
from coordinator.merge.merger import Merger
from coordinator.merge.settings import MergeSettings, RayMode, RaySettings
from coordinator.plan import COORDINATOR, Exchange, Plan, Stage, StageKind
from coordinator.plan_check import check_plan
from coordinator.planner import plan as make_plan
from coordinator.planner.rules import EVERY_RULE, Rules
from coordinator.planning import Planned
from coordinator.shadow import Shadow
from node_agent import config
from node_agent.engine.duckdb_engine import DuckDBEngine
from node_agent.private_matching import Asker, answer
from node_agent.tasks import _strip

BARE = "bare"
"""Schema of the oracle whose tables lack the node pseudo-column: what ``*`` stands for in a query that names it not."""

MAX_ROWS, MAX_BYTES, TIMEOUT_S = 1_000_000, 1_000_000_000, 60.0

LINKAGE = linkage.Linkage(b"a secret that all holders share!", 1)
"""What the nodes of a local federation share to make pseudonyms."""

STAGES_FOR_NOTHING = replace(EVERY_RULE, stage_bytes=0)
"""Every optimisation, also where a table is too small for one more stage to be worth its round trip."""

Order = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Shard:
    """What one node holds of one table."""

    table: Table
    rows: pa.Table


@dataclass(frozen=True)
class Answer:
    """A federated answer, the plan that gave it, and how many groups the nodes withheld."""

    plan: Plan
    table: pa.Table
    withheld: int
    sealed: Mapping[str, pa.Table]
    """By exchange, what nodes sent to nodes."""
    notices: tuple[str, ...] = ()
    """How well results are known that are not exact."""


def request(sql: str, *, dialect: str = "duckdb", parameters: Any = ()) -> Request:
    """Return an unsigned request."""
    given = parameters if isinstance(parameters, dict) else list(parameters)
    return Request(request_id="request-1", permit_id="permit-1", sql=sql, dialect=dialect, parameters=given, issued=0)


def permit_for(catalog: Catalog, grants: Mapping[str, tuple[str, ...]] | None = None) -> Permit:
    """Return a permit for all nodes and tables of a catalogue; ``grants`` narrows the columns of single tables."""
    nodes = sorted({node for entry in catalog.tables.values() for node in entry.nodes})
    narrowed = {name.lower(): columns for name, columns in (grants or {}).items()}
    tables = tuple(TableGrant(table=name, columns=narrowed.get(name, ("*",))) for name in sorted(catalog.tables))
    linked = any(entry.table.policy.protected and entry.table.policy.peer_forms for entry in catalog.tables.values())
    return Permit(
        permit_id="permit-1",
        federation="test",
        project="test",
        purpose="test",
        researchers=(Researcher(name="alice", key="k"),),
        tables=tables,
        nodes=tuple(nodes),
        not_before=0,
        expires=1,
        linkage=linked,
    )


class LocalFederation:
    """A coordinator's planner and merger over nodes that a subclass runs. Close it, or use it as a context manager."""

    rules: Rules = STAGES_FOR_NOTHING

    def __init__(self, tables: Mapping[str, Sequence[Table]]) -> None:
        self.catalog = build(tables, tables)
        self.permit = permit_for(self.catalog)
        self.shadow = Shadow(self.catalog)
        self._merger = Merger(MergeSettings(ray=RaySettings(mode=RayMode.OFF)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; idempotent."""
        self._merger.close()
        self.shadow.close()

    def run_at(self, site: str, sql: str, inputs: Mapping[str, pa.Table]) -> pa.Table:
        """Return what a statement that passed the border check gives at a node."""
        raise NotImplementedError

    def plan(self, asked: Request) -> Plan:
        """Return the plan of a request, which the independent check of plans accepts."""
        made = make_plan(asked, self.catalog, self.permit, self.shadow.describe, self.rules)
        check_plan(made, self.catalog, self.permit)
        return made

    def ask(self, asked: Request, *, arrival: Order = list) -> Answer:
        """Plan and run a request. ``arrival`` orders the nodes of a stage as if they answered in that order."""
        return self.run(self.plan(asked), arrival=arrival)

    def run(self, plan: Plan, *, arrival: Order = list) -> Answer:
        """Run a plan: node stages through the border check, the others by the merger."""
        schemas = {stage.stage_id: self.shadow.arrow_schema(stage.columns) for stage in plan.stages}
        planned = Planned(
            plan, schemas, self.shadow.arrow_schema(plan.columns), json.dumps(plan.to_dict()), (0, frozenset())
        )
        run = _Run(planned)
        for stage in plan.stages:
            if stage.kind is StageKind.NODE:
                self._at_nodes(stage, run, arrival(list(stage.sites)))
            elif stage.kind is StageKind.MERGE:
                merging = stage_work.merge_input(planned, stage, run.outputs)
                run.outputs[stage.stage_id], _ = self._merger.merge(stage.sql, merging, stage.keys, timeout_s=TIMEOUT_S)
            else:
                given = {i: stage_work.input_table(planned, i, run.outputs, with_shard=True) for i in stage.inputs}
                run.outputs[stage.stage_id] = self._merger.finish(
                    stage.sql, given, timeout_s=TIMEOUT_S, max_rows=MAX_ROWS, max_bytes=MAX_BYTES
                )
        table = stage_work.result_table(planned, run.outputs, max_rows=MAX_ROWS, max_bytes=MAX_BYTES)
        return Answer(plan, table, run.withheld, run.sealed, tuple(accuracy.told(plan, run.outputs)))

    def _at_nodes(self, stage: Stage, run: _Run, sites: list[str]) -> None:
        sealed = {
            e.exchange_id: e for e in run.plan.exchanges if e.exchange_id in stage.inputs and run.plan.is_sealed(e)
        }
        if _is_message(stage):
            if stage.intersection is not None and stage.intersection.step is Step.ANSWER:
                run.persons[stage.stage_id] = {site: self._persons_at(stage, site, run) for site in sites}
            return
        sealed = {i: e for i, e in sealed.items() if not _is_message(run.plan.stage(e.source))}
        handed = [i for i in stage.inputs if i not in sealed and stage.intersection is None]
        given = {i: stage_work.input_table(run.planned, i, run.outputs, with_shard=False) for i in handed}
        delivered: dict[str, pa.Table] = {}
        for site in sites:
            received = {i: run.received(exchange, stage.sites.index(site)) for i, exchange in sealed.items()}
            delivered[site], withheld = self._at_node(stage, site, run, given, received)
            run.withheld += withheld
        run.outputs[stage.stage_id] = delivered

    def _at_node(
        self,
        stage: Stage,
        site: str,
        run: _Run,
        given: Mapping[str, pa.Table],
        received: Mapping[str, tuple[Table, pa.Table]],
    ) -> tuple[pa.Table, int]:
        tables = {name: entry.shards[site] for name, entry in self.catalog.tables.items() if site in entry.shards}
        inputs = {name: _columns(table) for name, table in given.items()}
        bound = {name: table for name, (table, _) in received.items()}
        decided = {}
        for destination in run.destinations(stage):
            context = BorderContext(
                site,
                tables,
                inputs,
                self.permit,
                bound,
                destination,
                intersected=stage.intersection is not None,
            )
            decided[destination] = border.check(stage.sql, context)
        release = next(iter(decided.values()))
        assert all(other.sql == release.sql for other in decided.values())
        data = {**given, **{name: rows for name, (_, rows) in received.items()}}
        if release.pseudonymised:
            data[linkage.PADS_TABLE] = LINKAGE.pads(self.permit.permit_id)
        released = _strip(self.run_at(site, release.sql, data), release)
        if release.obliges is not None:
            columns = tuple(Column(c.name, c.type) for c in stage.columns)
            run.obliges[(stage.stage_id, site)] = replace(release.obliges, columns=columns)
        return released.output, released.withheld

    def _persons_at(self, stage: Stage, site: str, run: _Run) -> list[bytes]:
        """Return the persons with whom a receiver answers an intersection."""
        found, _ = self._at_node(stage, site, run, {}, {})
        return [person for person in found.column(0).to_pylist() if person is not None]


def _is_message(stage: Stage) -> bool:
    return stage.intersection is not None and stage.intersection.step is not Step.SEND


class _Run:
    """What the stages of one plan have given so far."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.plan = planned.plan
        self.outputs: dict[str, pa.Table | dict[str, pa.Table]] = {}
        self.obliges: dict[tuple[str, str], Table] = {}
        self.sealed: dict[str, pa.Table] = {}
        self.persons: dict[str, dict[str, list[bytes]]] = {}
        """By stage that answers an intersection, and receiver."""
        self.withheld = 0

    def destinations(self, stage: Stage) -> list[str]:
        """Return to whom a node stage sends: nodes in their order, or the coordinator."""
        targets = [self.plan.stage(e.target) for e in self.plan.exchanges if e.source == stage.stage_id]
        to_nodes = [site for target in targets if target.kind is StageKind.NODE for site in target.sites]
        return list(dict.fromkeys(to_nodes)) if to_nodes else [COORDINATOR]

    def received(self, exchange: Exchange, index: int) -> tuple[Table, pa.Table]:
        """Return what the node at ``index`` of the target's sites gets: what binds it, and the rows."""
        senders = self.plan.stage(exchange.source).sites
        parts = [self.obliges[(exchange.source, sender)] for sender in senders]
        rows = self._rows(exchange, index)
        self.sealed[exchange.exchange_id] = rows
        if exchange.part_column:
            rows = rows.filter(pc.equal(rows.column(exchange.part_column), index)).drop_columns([exchange.part_column])
            parts = [obligations.without_column(part, exchange.part_column) for part in parts]
        return obligations.combined(exchange.exchange_id, parts), rows

    def _rows(self, exchange: Exchange, index: int) -> pa.Table:
        """Return the rows of an exchange; after an intersection those of persons whom its receiver has, too."""
        source = self.plan.stage(exchange.source)
        outputs = self.outputs
        if source.intersection is not None:
            receiver = self.plan.stage(exchange.target).sites[index]
            answered = next(e.source for e in self.plan.exchanges if e.exchange_id in source.inputs)
            theirs = self.persons[answered][receiver]
            parts = outputs[source.stage_id]
            assert isinstance(parts, dict)
            bound = {site: self.obliges[(source.stage_id, site)] for site in parts}
            outputs = {
                source.stage_id: {site: _in_both(rows, bound[site], theirs) for site, rows in parts.items()},
            }
        return stage_work.input_table(self.planned, exchange.exchange_id, outputs, with_shard=False)


def _in_both(rows: pa.Table, bound: Table, theirs: list[bytes]) -> pa.Table:
    """Return the rows that a sender sends after a real private set intersection."""
    column = rows.column(bound.person_column or "")
    asker = Asker(column.drop_null().unique().to_pylist())
    common = asker.common(*answer(asker.question, theirs))
    kept = common if len(common) >= bound.policy.min_persons else []
    return rows.filter(pc.is_in(column, value_set=pa.array(kept, column.type)))


class Federation(LocalFederation):
    """Nodes whose rows are given. ``shards`` is keyed by node."""

    def __init__(self, shards: Mapping[str, Sequence[Shard]]) -> None:
        super().__init__({node: [s.table for s in held] for node, held in shards.items()})
        self._nodes = {node: _database() for node in shards}
        self._oracle = _database()
        self._oracle.execute(exp.Create(this=exp.to_identifier(BARE), kind="SCHEMA").sql("duckdb"))
        sound = {name: entry for name, entry in self.catalog.tables.items() if entry.conflict is None}
        for entry in sound.values():
            for schema in ("main", BARE):
                _create(self._oracle, entry.table, schema, with_node=schema == "main")
        for node, held in shards.items():
            for shard in held:
                if shard.table.name.lower() not in sound:
                    continue
                entry = sound[shard.table.name.lower()]
                _create(self._nodes[node], shard.table, "main", with_node=True)
                _insert(self._nodes[node], shard, node, "main")
                if shard.table.distribution is Distribution.SHARDED or node == entry.nodes[0]:
                    _insert(self._oracle, shard, node, "main")
                    _insert(self._oracle, shard, None, BARE)

    def close(self) -> None:
        """Close all databases; idempotent."""
        super().close()
        self._oracle.close()
        for database in self._nodes.values():
            database.close()

    def run_at(self, site: str, sql: str, inputs: Mapping[str, pa.Table]) -> pa.Table:
        """Return what a statement gives in a node's database."""
        cursor = self._nodes[site].cursor()
        try:
            for name, table in inputs.items():
                arrow_inputs.register(cursor, name, table)
            return cursor.execute(sql).to_arrow_table()
        finally:
            cursor.close()

    def oracle(self, asked: Request, *, sql: str | None = None) -> pa.Table:
        """Return the pooled answer to a request, or to ``sql`` with the request's parameters."""
        cursor = self._oracle.cursor()
        try:
            if NODE_COLUMN not in asked.sql.lower():
                cursor.execute(exp.Use(this=exp.to_identifier(BARE)).sql("duckdb"))
            return cursor.execute(sql or asked.sql, asked.parameters).to_arrow_table()
        finally:
            cursor.close()


class EngineFederation(LocalFederation):
    """Nodes as their operators configure them, each with the engine and the policy of its configuration file."""

    def __init__(self, node_configs: Mapping[str, Path]) -> None:
        self._engines = {name: _engine(path) for name, path in node_configs.items()}
        super().__init__({name: self._advertised(engine) for name, engine in self._engines.items()})

    def _advertised(self, engine: DuckDBEngine) -> Sequence[Table]:
        # Estimates are set alike: a plan that is compared must not change with the number of rows.
        return [replace(t, approximate_rows=1000, approximate_bytes=100_000) for t in engine.tables()]

    def close(self) -> None:
        """Close all engines; idempotent."""
        super().close()
        for engine in self._engines.values():
            engine.close()

    def run_at(self, site: str, sql: str, inputs: Mapping[str, pa.Table]) -> pa.Table:
        """Return what a statement gives in a node's engine."""
        statement = self._engines[site].statement(sql, inputs, timeout_s=TIMEOUT_S)
        try:
            return statement.run().read_all()
        finally:
            statement.close()


def _engine(path: Path) -> DuckDBEngine:
    settings = config.load(path)
    rules, _ = policy.load(settings.policy)
    return DuckDBEngine(settings, rules)


def _columns(table: pa.Table) -> tuple[Column, ...]:
    with duckdb.connect() as database:
        found = database.from_arrow(table)
        return tuple(Column(n, str(t)) for n, t in zip(found.columns, found.types, strict=True))


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    database.execute("SET TimeZone = 'UTC'")
    for definition in (sketches.DEFINITION, *histograms.DEFINITIONS):
        database.execute(definition)
    return database


def _target(table: Table, schema: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(table.name, quoted=True), db=exp.to_identifier(schema, quoted=True))


def _create(database: duckdb.DuckDBPyConnection, table: Table, schema: str, *, with_node: bool) -> None:
    columns = (*table.columns, Column(NODE_COLUMN, "VARCHAR")) if with_node else table.columns
    definitions = [
        exp.ColumnDef(this=exp.to_identifier(c.name, quoted=True), kind=exp.DataType.build(c.type, dialect="duckdb"))
        for c in columns
    ]
    database.execute(
        exp.Create(this=exp.Schema(this=_target(table, schema), expressions=definitions), kind="TABLE").sql("duckdb")
    )


def _insert(database: duckdb.DuckDBPyConnection, shard: Shard, node: str | None, schema: str) -> None:
    outputs: list[exp.Expr] = [
        exp.cast(exp.column(exp.to_identifier(c.name, quoted=True)), c.type, dialect="duckdb")
        for c in shard.table.columns
    ]
    if node is not None:
        outputs.append(exp.Literal.string(node))
    rows = exp.select(*outputs).from_("given_rows")
    database.register("given_rows", shard.rows)
    database.execute(exp.insert(rows, _target(shard.table, schema), dialect="duckdb").sql("duckdb"))
    database.unregister("given_rows")


def away(federation: LocalFederation, *nodes: str) -> Catalog:
    """Return the catalogue while ``nodes`` are not attached."""
    return replace(federation.catalog, attached=federation.catalog.attached - set(nodes))
