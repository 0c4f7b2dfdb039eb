"""Plans of totals over nodes: their steps, who adds up, what they refuse, and what the check of plans rejects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from planning import LocalFederation, request

from archipel import errors
from archipel.certificate import Rejected
from archipel.permit import Permit
from archipel.rounds import Step
from archipel.schema import Column, Form, Role, Scope, Table, TablePolicy
from coordinator import events, lifecycle
from coordinator.catalog import Catalog, Means
from coordinator.plan import COORDINATOR, Plan, Stage, StageKind
from coordinator.plan_check import check_plan
from coordinator.planner import plan as make_plan

HOSPITALS = ("east", "north", "south", "west")
BY_DISEASE = "SELECT disease, count(*) AS n, avg(cost) AS mean FROM stays GROUP BY disease HAVING count(*) > 100"


def stays(**policy: Any) -> Table:
    roles = (("person", Role.HIDDEN), ("disease", Role.GROUP), ("cost", Role.MEASURE), ("weight", Role.MEASURE))
    rules: dict[str, Any] = {
        "coordinator_form": Form.AGGREGATE,
        "roles": roles,
        "peer_forms": (("insurer", Form.AGGREGATE),),
        "scopes": (Scope.NODE, Scope.FEDERATION),
        **policy,
    }
    columns = (("person", "VARCHAR"), ("disease", "VARCHAR"), ("cost", "DECIMAL(9,2)"), ("weight", "DOUBLE"))
    return Table(
        "stays",
        tuple(Column(*column) for column in columns),
        person_column="person",
        person_domain="patient",
        policy=TablePolicy(**rules),
    )


OPEN = Table("codes", (Column("code", "VARCHAR"),), policy=TablePolicy(protected=False, coordinator_form=Form.ROWS))


class Federation(LocalFederation):
    """A planner over four hospitals and an insurer; ``tables`` replaces what nodes hold."""

    def __init__(self, tables: Mapping[str, list[Table]] | None = None) -> None:
        usual = {**{hospital: [stays()] for hospital in HOSPITALS}, "insurer": [OPEN]}
        super().__init__({**usual, **(tables or {})})

    def ask_plan(self, sql: str, *, catalog: Catalog | None = None, permit: Permit | None = None, **asked: Any) -> Plan:
        asked = {"threshold_scope": "federation", **asked}
        wanted = request(sql).model_copy(update=asked)
        made = make_plan(wanted, catalog or self.catalog, permit or self.permit, self.shadow.describe)
        check_plan(made, catalog or self.catalog, permit or self.permit)
        return made


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation() as made:
        yield made


def steps_of(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages if stage.round is not None]


def test_partials_of_protected_tables_are_added_up_in_a_round(federation: Federation) -> None:
    plan = federation.ask_plan(BY_DISEASE)
    steps = steps_of(plan)
    assert [stage.round.step for stage in steps if stage.round] == list(Step)
    assert {stage.sites for stage in steps} == {("east",), HOSPITALS, ("insurer",)}
    assert all(plan.is_sealed(e) for e in plan.exchanges if e.source in {s.stage_id for s in steps[:-1]})
    (last,) = (exchange for exchange in plan.exchanges if exchange.source == steps[-1].stage_id)
    assert plan.stage(last.target).kind is StageKind.MERGE
    alone = federation.ask_plan(BY_DISEASE, threshold_scope="node")
    assert not steps_of(alone)
    assert alone.columns == plan.columns


def test_tables_without_persons_need_no_round(federation: Federation) -> None:
    assert not steps_of(federation.ask_plan("SELECT code, count(*) AS n FROM codes GROUP BY code"))


def test_two_aggregations_are_two_rounds(federation: Federation) -> None:
    sql = (
        "WITH a AS (SELECT disease, count(*) AS n FROM stays GROUP BY disease), b AS (SELECT disease, sum(cost) AS c "
        "FROM stays WHERE cost > 3 GROUP BY disease) SELECT a.disease, n, c FROM a JOIN b USING (disease)"
    )
    assert len(steps_of(federation.ask_plan(sql))) == 2 * len(Step)


def test_the_plan_says_who_learns_what_and_how_doubles_are_added(federation: Federation) -> None:
    notes = federation.ask_plan("SELECT sum(weight) AS w FROM stays").notes
    assert any("'insurer' adds up numbers that the nodes masked" in note for note in notes)
    assert any("2^-40" in note for note in notes)
    assert not any("2^-40" in note for note in federation.ask_plan("SELECT sum(cost) AS c FROM stays").notes)


def test_a_larger_threshold_is_counted_with_more_buckets() -> None:
    with Federation({hospital: [stays(min_persons=100)] for hospital in HOSPITALS}) as other:
        (first, *_) = steps_of(other.ask_plan(BY_DISEASE))
        assert first.round is not None
        assert first.round.bitmaps == 7


def test_a_contributor_adds_up_where_policies_name_no_other_node() -> None:
    named = stays(peer_forms=(("north", Form.KEYS),))
    with Federation({hospital: [named] for hospital in HOSPITALS}) as other:
        plan = other.ask_plan(BY_DISEASE)
        (first, *_) = steps_of(plan)
        assert first.round is not None
        assert (first.round.aggregator, first.sites) == ("north", ("east",))


def refusal(federation: Federation, sql: str, **options: Any) -> errors.ArchipelError:
    with pytest.raises(errors.ArchipelError) as found:
        federation.ask_plan(sql, **options)
    return found.value


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({hospital: [stays(peer_forms=())] for hospital in HOSPITALS}, "no node that the policies"),
        ({"west": [stays(peer_forms=())]}, "no node that the policies"),
        ({"west": [stays(scopes=(Scope.NODE,))]}, "Policy does not let the threshold"),
        ({"west": [stays(rounding=5)]}, "rounding"),
        ({"west": [OPEN], "south": [OPEN]}, "at least 3"),
    ],
)
def test_what_policies_do_not_let_be_is_refused_and_says_why(tables: Mapping[str, list[Table]], words: str) -> None:
    with Federation(tables) as other:
        problem = refusal(other, BY_DISEASE)
        assert words in problem.info.message
        assert problem.hint


def test_who_adds_up_is_named_in_the_permit_and_has_a_sealing_key(federation: Federation) -> None:
    narrow = federation.permit.model_copy(update={"nodes": HOSPITALS})
    assert refusal(federation, BY_DISEASE, permit=narrow).code == "POLICY_REFUSED"
    without = replace(federation.catalog, means={"insurer": Means(seals=False)})
    assert refusal(federation, BY_DISEASE, catalog=without).code == "POLICY_REFUSED"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT disease, min(cost) AS m FROM stays GROUP BY disease", "BORDER_REFUSED"),
        ("SELECT disease, count(DISTINCT cost) AS m FROM stays GROUP BY disease", "SQL_UNSUPPORTED"),
        ("SELECT disease, stddev(weight) AS s FROM stays GROUP BY disease", "BORDER_REFUSED"),
        ("SELECT disease, count(*) AS n FROM stays GROUP BY ROLLUP (disease)", "BORDER_REFUSED"),
        ("SELECT _node, count(*) AS n FROM stays GROUP BY _node", "BORDER_REFUSED"),
    ],
)
def test_what_is_not_made_of_sums_is_refused(federation: Federation, sql: str, code: str) -> None:
    assert refusal(federation, sql).code == code


def test_no_total_is_asked_for_that_may_lack_a_node(federation: Federation) -> None:
    assert refusal(federation, BY_DISEASE, on_missing="partial").code == "BAD_REQUEST"


# The check of plans


def _stage(plan: Plan, stage_id: str, **changes: Any) -> Plan:
    stages = tuple(replace(s, **changes) if s.stage_id == stage_id else s for s in plan.stages)
    return replace(plan, stages=stages)


def _without(plan: Plan, step: Step) -> Plan:
    stages = tuple(s for s in plan.stages if s.round is None or s.round.step is not step)
    gone = {s.stage_id for s in plan.stages} - {s.stage_id for s in stages}
    return replace(plan, stages=stages, exchanges=tuple(e for e in plan.exchanges if e.source not in gone))


def _parties(plan: Plan, **changes: Any) -> Plan:
    stages = []
    for stage in plan.stages:
        if stage.round is not None:
            told = replace(stage.round, **changes)
            stage = replace(stage, round=told, sites=told.sites())
        stages.append(stage)
    return replace(plan, stages=tuple(stages))


def _rerouted(plan: Plan) -> Plan:
    exchanges = tuple(replace(e, target="s2") if e.exchange_id == "x1_values" else e for e in plan.exchanges)
    return replace(plan, exchanges=exchanges)


@pytest.mark.parametrize(
    "tampered",
    [
        lambda p: _without(p, Step.VETO),
        lambda p: _stage(p, "s1_values", sites=("east", "north", "south")),
        lambda p: _stage(p, "s1_values", sql="SELECT 1"),
        lambda p: _stage(p, "s1_totals", sites=(COORDINATOR,)),
        lambda p: _parties(p, contributors=HOSPITALS[:3]),
        lambda p: _parties(p, contributors=HOSPITALS[:2]),
        lambda p: _parties(p, aggregator="east"),
        lambda p: _parties(p, bitmaps=99),
        _rerouted,
        lambda p: replace(p, exchanges=tuple(replace(e, certificate=None) for e in p.exchanges)),
    ],
)
def test_a_plan_whose_round_was_changed_is_rejected(federation: Federation, tampered: Any) -> None:
    plan = federation.ask_plan(BY_DISEASE)
    with pytest.raises(Rejected):
        check_plan(tampered(plan), federation.catalog, federation.permit)


# What happens when a node is lost


def test_a_node_lost_in_the_middle_voids_the_round_whatever_was_asked(federation: Federation) -> None:
    plan = federation.ask_plan(BY_DISEASE)
    nodes = frozenset((*HOSPITALS, "insurer"))
    for asked in ("fail", "partial"):
        query, _ = lifecycle.submitted("q", plan, asked)  # type: ignore[arg-type]
        query, _ = lifecycle.advance(query, events.Started(nodes, stale=False))
        query, _ = lifecycle.advance(query, events.Delivered(events.TaskRef("s1_key", "east", 1)))
        query, _ = lifecycle.advance(query, events.Delivered(events.TaskRef("s1_labels", "west", 1)))
        query, instructions = lifecycle.advance(query, events.NodeLost("north"))
        (end,) = (i for i in instructions if isinstance(i, events.End))
        assert end.error is not None
        assert (end.error.code, end.error.node) == (errors.NODE_UNAVAILABLE, "north")
        assert "The round is void" in end.error.message
