"""Questions that join persons of two holders, with a private set intersection before rows go and without one.

The oracle is one DuckDB that holds the rows of all nodes, in which the threshold is written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from planning import Federation, Shard, request

from archipel import errors
from archipel.certificate import Rejected
from archipel.intersection import IntersectionStep, Step
from archipel.schema import Column, Form, Role, Table, TablePolicy
from coordinator.catalog import Means, build
from coordinator.plan import Plan, Stage
from coordinator.plan_check import check_plan

HOSPITALS = ("hospital_a", "hospital_b")
REQUIRED = {"intersection_peers": ("insurer",)}


def _table(name: str, columns: dict[str, str], peers: dict[str, Form], **policy: Any) -> Table:
    person = next(iter(columns))
    rules: dict[str, Any] = {
        "coordinator_form": Form.AGGREGATE,
        "roles": tuple((column, Role.GROUP) for column in columns if column != person),
        "peer_forms": tuple(peers.items()),
        **policy,
    }
    return Table(
        name,
        tuple(Column(*column) for column in columns.items()),
        person_column=person,
        person_domain="patient",
        policy=TablePolicy(**rules),
        approximate_rows=400,
        approximate_bytes=40_000,
    )


def stays(node: str, **policy: Any) -> Shard:
    first = {"hospital_a": 0, "hospital_b": 150}[node]
    numbers = [n for n in range(first, first + 200) for _ in range(2)]
    rows = pa.table(
        {
            "person": [f"N{n}" for n in numbers],
            "region": [f"r{n % 3}" for n in numbers],
            "days": pa.array([n % 5 for n in numbers], pa.int32()),
        }
    )
    columns = {"person": "VARCHAR", "region": "VARCHAR", "days": "INTEGER"}
    return Shard(_table("stays", columns, {"insurer": Form.ROWS}, **policy), rows)


def care(**policy: Any) -> Shard:
    numbers = range(100, 600)
    rows = pa.table(
        {
            "insured": [f"N{n}" for n in numbers],
            "drug": [f"d{n % 2}" for n in numbers],
            "cost": pa.array([n % 50 for n in numbers], pa.int64()),
        }
    )
    columns = {"insured": "VARCHAR", "drug": "VARCHAR", "cost": "BIGINT"}
    back = policy.pop("peers", dict.fromkeys(HOSPITALS, Form.KEYS))
    return Shard(_table("care", columns, back, **policy), rows)


def _federation(sender: dict[str, Any], receiver: dict[str, Any]) -> Federation:
    return Federation({**{node: [stays(node, **sender)] for node in HOSPITALS}, "insurer": [care(**receiver)]})


@pytest.fixture(scope="module")
def required() -> Iterator[Federation]:
    with _federation(REQUIRED, {}) as made:
        yield made


@pytest.fixture(scope="module")
def free() -> Iterator[Federation]:
    with _federation({}, {}) as made:
        yield made


ENOUGH = "HAVING count(DISTINCT p) >= 11"
QUESTIONS = {
    "an inner join": "SELECT s.region, c.drug, count(*) AS n, sum(c.cost) AS cost FROM stays s JOIN care c "
    "ON c.insured = s.person WHERE s.days > 1 GROUP BY ALL ORDER BY ALL",
    "IN": "SELECT c.drug, count(*) AS n FROM care c WHERE c.insured IN (SELECT person FROM stays WHERE days > 2) "
    "GROUP BY ALL ORDER BY ALL",
    "EXISTS": "SELECT c.drug, count(*) AS n FROM care c WHERE EXISTS (SELECT 1 FROM stays s WHERE s.person = "
    "c.insured AND s.region = 'r1') GROUP BY ALL ORDER BY ALL",
    "a semi-join": "SELECT c.drug, count(*) AS n FROM care c SEMI JOIN stays s ON s.person = c.insured "
    "GROUP BY ALL ORDER BY ALL",
    "one row a person first": "WITH p AS (SELECT person, sum(days) AS days FROM stays GROUP BY person) SELECT c.drug, "
    "count(*) AS n, sum(p.days) AS days FROM p JOIN care c ON c.insured = p.person WHERE p.days > 3 GROUP BY ALL "
    "ORDER BY ALL",
    "one row a person at the receiver": "WITH p AS (SELECT insured, sum(cost) AS cost FROM care GROUP BY insured) "
    "SELECT s.region, count(*) AS n, sum(p.cost) AS cost FROM stays s JOIN p ON p.insured = s.person GROUP BY ALL "
    "ORDER BY ALL",
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_that_of_one_database_with_an_intersection_and_without(
    name: str, required: Federation, free: Federation
) -> None:
    asked = request(QUESTIONS[name])
    wanted = free.oracle(asked).to_pylist()
    assert wanted
    with_it, without = required.ask(asked), free.ask(asked)
    assert with_it.table.to_pylist() == without.table.to_pylist() == wanted
    (sent,) = (with_it.sealed[e] for e in with_it.sealed)
    (all_rows,) = (without.sealed[e] for e in without.sealed)
    assert 0 < sent.num_rows < all_rows.num_rows
    persons = {stage.intersection.step for stage in with_it.plan.stages if stage.intersection}
    assert persons == {Step.ASK, Step.ANSWER, Step.SEND}
    assert not [stage for stage in without.plan.stages if stage.intersection]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT s.region, count(*) AS n FROM stays s LEFT JOIN care c ON c.insured = s.person GROUP BY s.region",
        "SELECT c.drug, count(*) AS n FROM care c LEFT JOIN stays s ON c.insured = s.person GROUP BY c.drug",
        "SELECT s.region, count(*) AS n FROM stays s ANTI JOIN care c ON c.insured = s.person GROUP BY s.region",
        "SELECT c.drug, count(*) AS n FROM care c WHERE NOT EXISTS (SELECT 1 FROM stays s WHERE s.person = c.insured) "
        "GROUP BY c.drug",
        "SELECT c.drug, count(*) AS n FROM care c WHERE EXISTS (SELECT 1 FROM stays s WHERE s.person = c.insured) "
        "OR c.cost > 3 GROUP BY c.drug",
        "SELECT c.drug, count(*) AS n FROM care c WHERE (SELECT count(*) FROM stays s WHERE s.person = c.insured) = 0 "
        "GROUP BY c.drug",
    ],
    ids=["LEFT", "LEFT the other way", "ANTI", "NOT EXISTS", "OR", "a count that may be 0"],
)
def test_a_question_whose_answer_needs_persons_who_are_not_in_both_is_refused_with_a_hint(
    sql: str, required: Federation
) -> None:
    with pytest.raises(errors.ArchipelError) as refusal:
        required.plan(request(sql))
    assert refusal.value.code in {"POLICY_REFUSED", "SQL_UNSUPPORTED"}
    assert "inner join" in refusal.value.info.hint


def test_a_permit_or_the_receiver_may_require_it_too(free: Federation) -> None:
    asked = request(QUESTIONS["an inner join"])
    plain, linked = free.permit, free.permit.model_copy(update={"intersection": True})
    try:
        free.permit = linked
        assert _steps(free.plan(asked))
    finally:
        free.permit = plain
    with _federation({}, {"intersection_peers": HOSPITALS}) as made:
        assert _steps(made.plan(asked))


def test_it_needs_the_policy_of_both_holders() -> None:
    with _federation(REQUIRED, {"peers": {}}) as made, pytest.raises(errors.ArchipelError) as refusal:
        made.plan(request(QUESTIONS["an inner join"]))
    assert refusal.value.rule == "peer-not-allowed"
    assert "with 'keys'" in refusal.value.info.hint


def test_a_node_that_takes_no_part_closes_the_way_and_is_named(required: Federation) -> None:
    catalog = required.catalog
    try:
        required.catalog = replace(catalog, means={"insurer": Means(intersects=False)})
        with pytest.raises(errors.ArchipelError) as refusal:
            required.plan(request(QUESTIONS["an inner join"]))
    finally:
        required.catalog = catalog
    assert refusal.value.rule == "no-intersection"
    assert "'insurer'" in refusal.value.info.message


def test_the_condition_that_the_receiver_s_policy_wants_said_is_said_of_its_list() -> None:
    with _federation(REQUIRED, {"rows_where": "cost < 40"}) as made:
        sql = QUESTIONS["an inner join"].replace("WHERE", "WHERE c.cost < 40 AND")
        plan = made.plan(request(sql))
        (answering,) = (s for s in plan.stages if s.intersection and s.intersection.step is Step.ANSWER)
        assert answering.sql.endswith('WHERE "care".cost < 40')
        assert made.run(plan).table.to_pylist() == made.oracle(request(sql)).to_pylist()


def _steps(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages if stage.intersection is not None]


def _without(plan: Plan) -> Plan:
    """Return a plan whose rows go without the intersection."""
    messages = [s.stage_id for s in _steps(plan) if s.intersection and s.intersection.step is not Step.SEND]
    stages = tuple(
        replace(s, intersection=None, inputs=()) if s.intersection else s
        for s in plan.stages
        if s.stage_id not in messages
    )
    return replace(plan, stages=stages, exchanges=tuple(e for e in plan.exchanges if e.source not in messages))


def _changed(plan: Plan, step: Step, **changes: Any) -> Plan:
    stages = tuple(replace(s, **changes) if s.intersection and s.intersection.step is step else s for s in plan.stages)
    return replace(plan, stages=stages)


def test_the_check_of_plans_rejects_what_is_no_intersection(required: Federation) -> None:
    plan = required.plan(request(QUESTIONS["an inner join"]))
    filtered = "SELECT DISTINCT insured FROM care WHERE drug = 'd1'"
    wrong = [
        _without(plan),
        _changed(plan, Step.ANSWER, sql=filtered),
        _changed(plan, Step.ANSWER, sql="SELECT DISTINCT drug FROM care"),
        _changed(plan, Step.ASK, sql="SELECT person, region, days FROM stays"),
        _changed(plan, Step.ASK, intersection=IntersectionStep(Step.ASK, HOSPITALS[:1], ("insurer",))),
        _changed(plan, Step.SEND, intersection=IntersectionStep(Step.ASK, HOSPITALS, ("insurer",))),
        _changed(plan, Step.ANSWER, sites=HOSPITALS),
        _changed(plan, Step.SEND, inputs=()),
    ]
    for bad in wrong:
        with pytest.raises(Rejected):
            check_plan(bad, required.catalog, required.permit)
    closed = build(
        {**{n: [stays(n, **REQUIRED).table] for n in HOSPITALS}, "insurer": [care(peers={}).table]}, HOSPITALS
    )
    with pytest.raises(Rejected):
        check_plan(plan, closed, required.permit)
    check_plan(plan, required.catalog, required.permit)
