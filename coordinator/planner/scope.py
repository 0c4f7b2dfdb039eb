"""Thresholds over all nodes: a plan whose partials are added up at a holder, in rounds in which no node shows its own.

The plan is made as for a threshold at each node. Then the stage that gives partials of protected tables becomes the
steps of a round (``archipel.rounds``), the last of which gives the total to the same merge. What such a round cannot
give is refused here, clearly; the nodes refuse it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import sqlglot
from sqlglot import exp

from archipel import errors
from archipel.certificate import DIALECT
from archipel.permit import Permit
from archipel.request import Request
from archipel.rounds import LABEL_BYTES, MIN_CONTRIBUTORS, RoundStep, Step, bitmaps_for
from archipel.schema import MIN_PERSONS_FLOOR, Form, Scope, Table
from coordinator.catalog import Catalog
from coordinator.plan import Exchange, OutputColumn, Plan, Stage, StageKind

MESSAGE = (OutputColumn("part", "VARCHAR"), OutputColumn("content", "BLOB"))
"""The columns of every message between nodes."""

NOTE = (
    "Thresholds count the persons of {contributors} together. '{aggregator}' adds up numbers that the nodes masked: it "
    "learns the total of every group, and of no group its name before it is released. The nodes are shown the totals "
    "of groups with enough persons, and strike those that would show one node. The coordinator learns what is released."
)
NOTE_OF_COUNTING = (
    "Persons are counted by buckets, which never counts one twice but sometimes two as one: groups of a few persons "
    "more than the threshold may be withheld."
)
NOTE_OF_DOUBLES = "Each node's sums of doubles are rounded to multiples of 2^-40 (about 9.1e-13) before they are added."

_RULES: Mapping[Step, str] = {
    Step.KEY: "a secret of this round, for the contributors",
    Step.LABELS: "keyed hashes of groups; the aggregator has no key to them",
    Step.LIST: "keyed hashes of all groups",
    Step.VALUES: "masked numbers; only their total can be read",
    Step.TOTALS: "totals of groups with enough persons, for the contributors' veto",
    Step.VETO: "which groups somebody strikes, masked",
    Step.VERDICT: "which groups are left",
    Step.OPEN: "names of the groups that are left",
}


def scope_of(request: Request) -> Scope:
    """Return over whose persons the thresholds of a request count.

    Raises:
        ArchipelError: BAD_REQUEST when it would also be content with fewer nodes than all.
    """
    scope = Scope(request.threshold_scope)
    missing: Literal["fail", "partial"] = request.on_missing
    if scope is Scope.FEDERATION and missing == "partial":
        raise errors.error(
            errors.BAD_REQUEST,
            "A total over all nodes is not made without one of them: two totals would give what that one has.",
            hint='Ask with on_missing="fail", or with threshold_scope="node".',
        )
    return scope


def over_federation(plan: Plan, catalog: Catalog, permit: Permit) -> Plan:
    """Return the plan with rounds in the place of stages that give partials of protected tables.

    Raises:
        ArchipelError: SQL_UNSUPPORTED or POLICY_REFUSED when a round cannot give them.
    """
    stages: list[Stage] = []
    exchanges: list[Exchange] = []
    notes = list(plan.notes)
    for stage in plan.stages:
        tables = _protected(stage, catalog) if stage.kind is StageKind.NODE else {}
        sent = [exchange for exchange in plan.exchanges if exchange.source == stage.stage_id]
        if not tables:
            stages.append(stage)
            exchanges += sent
            continue
        parties = _parties(stage, sent, plan, tables, catalog, permit)
        rounds = _rounds(stage, sent[0], parties)
        stages += [*rounds.stages]
        exchanges += [*rounds.exchanges]
        told = {"contributors": ", ".join(parties.contributors), "aggregator": parties.aggregator}
        notes += [NOTE.format(**told), NOTE_OF_COUNTING, *([NOTE_OF_DOUBLES] if _adds_doubles(stage) else [])]
    return replace(plan, stages=tuple(stages), exchanges=tuple(exchanges), notes=tuple(dict.fromkeys(notes)))


def _protected(stage: Stage, catalog: Catalog) -> dict[str, dict[str, Table]]:
    """Return the shards of the protected tables that a stage reads, by table and node."""
    tree = sqlglot.parse_one(stage.sql, read=DIALECT)
    names = {table.name.lower() for table in tree.find_all(exp.Table)}
    found = {name: entry for name, entry in catalog.tables.items() if name in names and entry.table.policy.protected}
    return {name: dict(entry.shards) for name, entry in found.items()}


def _parties(
    stage: Stage,
    sent: list[Exchange],
    plan: Plan,
    tables: Mapping[str, Mapping[str, Table]],
    catalog: Catalog,
    permit: Permit,
) -> RoundStep:
    """Return who takes part in the round of a stage."""
    kinds = {plan.stage(exchange.target).kind for exchange in sent}
    if stage.inputs or kinds != {StageKind.MERGE} or len(sent) != 1:
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            "A threshold over all nodes is held for aggregates of tables that lie at the same nodes; here rows of "
            "several nodes would have to meet first.",
            hint='Aggregate each table first in a WITH part, or ask with threshold_scope="node".',
        )
    if len(stage.sites) < MIN_CONTRIBUTORS:
        raise errors.error(
            errors.POLICY_REFUSED,
            f"A total over nodes needs at least {MIN_CONTRIBUTORS} that contribute; here are {len(stage.sites)}.",
            hint='Ask with threshold_scope="node".',
        )
    shards = [shards[site] for shards in tables.values() for site in stage.sites if site in shards]
    least = max(MIN_PERSONS_FLOOR, permit.min_persons, *(shard.policy.min_persons for shard in shards))
    aggregator = _aggregator(stage.sites, tables, catalog, permit)
    return RoundStep(Step.RELEASE, stage.sites, aggregator, bitmaps_for(least))


def _aggregator(
    sites: tuple[str, ...], tables: Mapping[str, Mapping[str, Table]], catalog: Catalog, permit: Permit
) -> str:
    """Return the node that adds up: one that every contributor's policy names; rather one that does not contribute."""
    candidates = sorted(catalog.attached & set(permit.nodes), key=lambda node: (node in sites, node))
    for node in candidates:
        policies = [
            shards[site].policy for shards in tables.values() for site in sites if site in shards and site != node
        ]
        allowed = all(policy.form_to(node) >= Form.AGGREGATE for policy in policies)
        if allowed and all(catalog.means_of(party).seals for party in (*sites, node)):
            return node
    raise errors.error(
        errors.POLICY_REFUSED,
        "There is no node that the policies of all contributing nodes let add up their totals.",
        hint="The holders name one among the peers of their tables, with 'aggregate', and have sealing keys.",
    )


@dataclass(frozen=True, slots=True)
class _Rounds:
    stages: tuple[Stage, ...]
    exchanges: tuple[Exchange, ...]


def _rounds(stage: Stage, last: Exchange, parties: RoundStep) -> _Rounds:
    """Return the steps of a round, the last of which has the stage's name and gives what ``last`` carries."""
    stages, exchanges, before = [], [], ""
    groups = max(1, last.estimated_rows // max(1, len(stage.sites)))
    for step in Step:
        is_last = step is Step.RELEASE
        here = replace(parties, step=step)
        stage_id = stage.stage_id if is_last else f"{stage.stage_id}_{step.value}"
        columns = stage.columns if is_last else MESSAGE
        inputs = (before,) if before else ()
        stages.append(Stage(stage_id, StageKind.NODE, here.sites(), stage.sql, columns, inputs, round=here))
        if is_last:
            exchanges.append(replace(last, estimated_rows=groups))
            continue
        before = f"{last.exchange_id}_{step.value}"
        target = stage.stage_id if step is Step.OPEN else f"{stage.stage_id}_{_next(step).value}"
        size = _estimated_bytes(step, groups, len(stage.columns)) * len(here.sites())
        exchanges.append(Exchange(before, stage_id, target, Form.AGGREGATE, _RULES[step], len(here.sites()), size))
    return _Rounds(tuple(stages), tuple(exchanges))


def _next(step: Step) -> Step:
    steps = list(Step)
    return steps[steps.index(step) + 1]


def _estimated_bytes(step: Step, groups: int, columns: int) -> int:
    sizes = {Step.LABELS: LABEL_BYTES, Step.LIST: LABEL_BYTES, Step.VALUES: 100 * columns, Step.TOTALS: 50 * columns}
    return groups * sizes.get(step, 16) + 1_000


def _adds_doubles(stage: Stage) -> bool:
    tree = sqlglot.parse_one(stage.sql, read=DIALECT)
    doubles = {column.name for column in stage.columns if column.type == "DOUBLE"}
    outputs = tree.selects if isinstance(tree, exp.Query) else []
    return any(output.alias in doubles and not output.find(*_MOMENTS) for output in outputs)


_MOMENTS = (exp.RegrAvgx, exp.RegrAvgy, exp.RegrSxx, exp.RegrSyy, exp.RegrSxy)
"""Made of exact sums, and of type DOUBLE only when they are finished."""
