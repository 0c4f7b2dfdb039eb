"""Plans that were changed after the planner made them: the check of certificates rejects every one.

Goal of whoever changes a plan: more than policy allows, or something else than the certificate tells. Some changes
leave the certificate as it was; others write one anew for the changed statement, as a planner gone wrong would.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import hospital_world
import pytest
import spread_world
from planning import Federation, request

from archipel.certificate import Rejected, digest
from archipel.permit import Permit, TableGrant
from archipel.schema import Form
from coordinator.plan import COORDINATOR, Exchange, Plan, Stage, StageKind
from coordinator.plan_check import certified, check_plan

PLANS = {
    "groups of protected rows": (
        "SELECT region, count(*) AS n, avg(cost) AS c FROM stays WHERE year = 2023 GROUP BY region"
    ),
    "a local join": (
        "SELECT s.sex, count(*) AS n FROM stays s JOIN acts a ON a.finess = s.finess AND a.stay = s.stay GROUP BY s.sex"
    ),
    "distinct persons at one node": "SELECT region, count(DISTINCT patient) AS n FROM insured GROUP BY region",
    "a reference table": (
        "SELECT h.name, sum(s.days) AS d FROM stays s JOIN hospitals h ON h.finess = s.finess GROUP BY h.name"
    ),
    "open rows": "SELECT kind, beds FROM wards ORDER BY beds",
    "two cuts": (
        "WITH a AS (SELECT region, count(*) AS n FROM stays GROUP BY region), "
        "b AS (SELECT region, count(*) AS n FROM insured GROUP BY region) SELECT * FROM a JOIN b USING (region)"
    ),
    "a subquery first": "SELECT count(*) AS n FROM stays WHERE year = (SELECT max(year(day)) FROM calendar)",
}


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation(hospital_world.shards()) as made:
        yield made


def plan_of(federation: Federation, sql: str) -> Plan:
    return certified(federation.plan(request(sql)), federation.catalog, federation.permit)


# What may be changed. Each returns the changed plan, or None where the plan has nothing of the kind.


def first_node_stage(plan: Plan) -> Stage:
    return next(stage for stage in plan.stages if stage.kind is StageKind.NODE)


def with_stage(plan: Plan, stage: Stage) -> Plan:
    return replace(plan, stages=tuple(stage if s.stage_id == stage.stage_id else s for s in plan.stages))


def with_exchange(plan: Plan, exchange: Exchange) -> Plan:
    """Put an exchange in the place of the first that a node sends."""
    first = sent(plan)
    return replace(plan, exchanges=tuple(exchange if e is first else e for e in plan.exchanges))


def sent(plan: Plan) -> Exchange:
    return next(e for e in plan.exchanges if e.source == first_node_stage(plan).stage_id)


def of_sql(change: Callable[[str], str], *, says_so: bool = False) -> Callable[[Plan], Plan | None]:
    """Change the statement of a node; with ``says_so`` the certificate has the right digest."""

    def changed(plan: Plan) -> Plan | None:
        stage = first_node_stage(plan)
        sql = change(stage.sql)
        if sql == stage.sql:
            return None
        made = with_stage(plan, replace(stage, sql=sql))
        if not says_so:
            return made
        exchange = sent(made)
        assert exchange.certificate is not None
        return with_exchange(made, replace(exchange, certificate=replace(exchange.certificate, sql_sha256=digest(sql))))

    return changed


def of_certificate(**values: object) -> Callable[[Plan], Plan | None]:
    def changed(plan: Plan) -> Plan | None:
        exchange = sent(plan)
        assert exchange.certificate is not None
        made = replace(exchange.certificate, **values)  # type: ignore[arg-type]
        return None if made == exchange.certificate else with_exchange(plan, replace(exchange, certificate=made))

    return changed


def of_exchange(**values: object) -> Callable[[Plan], Plan | None]:
    def changed(plan: Plan) -> Plan | None:
        made = replace(sent(plan), **values)  # type: ignore[arg-type]
        return None if made == sent(plan) else with_exchange(plan, made)

    return changed


def of_stage(**values: object) -> Callable[[Plan], Plan | None]:
    def changed(plan: Plan) -> Plan | None:
        stage = first_node_stage(plan)
        made = replace(stage, **values)  # type: ignore[arg-type]
        return None if made == stage else with_stage(plan, made)

    return changed


def without_group(sql: str) -> str:
    return sql.partition(" GROUP BY ")[0]


def one_more_condition(sql: str) -> str:
    """Filter by a column that the statement does not read so far."""
    found = re.search(r'FROM "\w+" AS ("\w+")', sql)
    if found is None or " WHERE " in sql or " GROUP BY " not in sql:
        return sql
    return sql.replace(" GROUP BY ", f' WHERE {found[1]}."weight" = 1 GROUP BY ')


def other_certificate(plan: Plan) -> Plan | None:
    others = [e.certificate for e in plan.exchanges if e.certificate not in (None, sent(plan).certificate)]
    return with_exchange(plan, replace(sent(plan), certificate=others[0])) if others else None


def fewer_sites(plan: Plan) -> Plan | None:
    stage = first_node_stage(plan)
    return with_stage(plan, replace(stage, sites=stage.sites[1:])) if len(stage.sites) > 1 else None


def coordinator_reads(name: str) -> Callable[[Plan], Plan | None]:
    def changed(plan: Plan) -> Plan | None:
        last = plan.stage(plan.result_stage)
        return with_stage(plan, replace(last, sql=f'SELECT * FROM "{name}"'))  # noqa: S608 - the attacker's text

    return changed


def result_from_node(plan: Plan) -> Plan | None:
    return replace(plan, result_stage=first_node_stage(plan).stage_id)


def backwards(plan: Plan) -> Plan | None:
    exchange = sent(plan)
    return with_exchange(plan, replace(exchange, source=exchange.target, target=exchange.source))


def twice(plan: Plan) -> Plan | None:
    return replace(plan, stages=(*plan.stages, first_node_stage(plan)))


def nowhere(plan: Plan) -> Plan | None:
    return replace(plan, exchanges=tuple(e for e in plan.exchanges if e is not sent(plan)))


def fewer(values: str) -> Callable[[Plan], Plan | None]:
    """Leave one of the certificate's columns, functions or rules out."""

    def changed(plan: Plan) -> Plan | None:
        given = sent(plan).certificate
        listed = getattr(given, values)
        return of_certificate(**{values: listed[1:]})(plan) if listed else None

    return changed


CHANGES: dict[str, Callable[[Plan], Plan | None]] = {
    "another statement": of_sql(lambda sql: f"{sql} "),
    "single rows in place of groups": of_sql(without_group, says_so=True),
    "all values in place of a sum": of_sql(
        lambda sql: sql.replace("SUM(", "LIST(").replace("COUNT(*)", "LIST(1)"), says_so=True
    ),
    "one more condition": of_sql(one_more_condition, says_so=True),
    "one more column": of_sql(lambda sql: sql.replace("SELECT ", 'SELECT "_node", ', 1), says_so=True),
    "one more function": of_sql(lambda sql: sql.replace("SELECT ", "SELECT PI(), ", 1), says_so=True),
    "every column": of_sql(lambda sql: sql.replace("SELECT ", "SELECT *, ", 1), says_so=True),
    "another table": of_sql(lambda sql: sql.replace("FROM ", 'FROM "registry" AS "r", ', 1), says_so=True),
    "a table of nobody": of_sql(lambda sql: sql.replace("FROM ", 'FROM "secrets" AS "r", ', 1), says_so=True),
    "two statements": of_sql(lambda sql: f"{sql}; SELECT 1", says_so=True),
    "no query": of_sql(lambda _: "DROP TABLE stays", says_so=True),
    "a certificate without a column": fewer("columns"),
    "a certificate without a function": fewer("functions"),
    "a certificate without a rule": fewer("rules"),
    "a smaller group size": of_certificate(min_persons=1),
    "no group size": of_certificate(min_persons=0),
    "a larger group size": of_certificate(min_persons=1_000),
    "a larger form": of_certificate(form=Form.ROWS),
    "a smaller form": of_certificate(form=Form.NONE),
    "another destination": of_certificate(destinations=("lyon",)),
    "one more destination": of_certificate(destinations=(COORDINATOR, "cnam")),
    "no destination": of_certificate(destinations=()),
    "linkage": of_certificate(linkage=True),
    "rows cut for nodes, a certificate says": of_certificate(part_column="g0"),
    "rows cut for nodes": of_exchange(part_column="g0"),
    "another digest": of_certificate(sql_sha256="0" * 64),
    "no certificate": of_exchange(certificate=None),
    "the certificate of another exchange": other_certificate,
    "rows, the exchange says": of_exchange(form=Form.ROWS),
    "keys, the exchange says": of_exchange(form=Form.KEYS),
    "another name": of_exchange(exchange_id="x99"),
    "another source": of_exchange(source="s99"),
    "another target": of_exchange(target="s99"),
    "a site that the permit does not name": of_stage(sites=("nantes", "elsewhere")),
    "a site without the table": of_stage(sites=("cnam", "lyon", "lille")),
    "a site twice": of_stage(sites=("lille", "lille")),
    "no site": of_stage(sites=()),
    "the coordinator as a node": of_stage(sites=(COORDINATOR,)),
    "a node's stage as the coordinator's": of_stage(kind=StageKind.FINISH),
    "inputs that nobody sends": of_stage(inputs=("x77",)),
    "fewer sites": fewer_sites,
    "the coordinator reads a table": coordinator_reads("stays"),
    "the coordinator reads what is not sent": coordinator_reads("x42"),
    "the result from a node": result_from_node,
    "backwards": backwards,
    "a stage twice": twice,
    "sent to nobody": nowhere,
}


@pytest.mark.parametrize("name", PLANS)
def test_every_changed_plan_is_rejected(federation: Federation, name: str) -> None:
    plan = plan_of(federation, PLANS[name])
    check_plan(plan, federation.catalog, federation.permit)
    accepted, tried = [], 0
    for change, make in CHANGES.items():
        tampered = make(plan)
        if tampered is None:
            continue
        tried += 1
        try:
            check_plan(tampered, federation.catalog, federation.permit)
        except Rejected:
            continue
        accepted.append(change)
    assert accepted == []
    assert tried >= 30


SPREAD = "SELECT r.reason, sum(s.qty) AS qty FROM sales s JOIN returns r ON r.item = s.item GROUP BY r.reason"

CUT_OTHERWISE: dict[str, Callable[[Plan], Plan | None]] = {
    "every row to all": of_exchange(part_column=""),
    "by another column": of_exchange(part_column="item"),
    "a certificate for every row": of_certificate(part_column=""),
    "a certificate for another column": of_certificate(part_column="item"),
    "by a column that counts no nodes": lambda plan: of_exchange(part_column="item")(
        of_certificate(part_column="item")(plan) or plan
    ),
    "by a column that is not there": lambda plan: of_exchange(part_column="part")(
        of_certificate(part_column="part")(plan) or plan
    ),
    "by another hash": of_sql(lambda sql: sql.replace(", 4) % 4", ", 5) % 4")),
    "with fewer sites": fewer_sites,
}


@pytest.mark.parametrize("change", CUT_OTHERWISE)
def test_rows_that_are_spread_over_nodes_are_cut_as_their_certificate_says(change: str) -> None:
    with Federation(spread_world.shards()) as federation:
        plan = plan_of(federation, SPREAD)
        assert sent(plan).part_column == "hash_of_item"
        check_plan(plan, federation.catalog, federation.permit)
        tampered = CUT_OTHERWISE[change](plan)
        assert tampered not in {None, plan}
        with pytest.raises(Rejected):
            check_plan(tampered, federation.catalog, federation.permit)


@dataclass(frozen=True)
class Wrong:
    """A statement that no planner may make, with a certificate that tells the truth about it."""

    goal: str
    sql: str
    sites: tuple[str, ...] = ("lille", "lyon", "nantes")
    to: tuple[str, ...] = (COORDINATOR,)


WRONG = [
    Wrong("persons as groups", "SELECT s.patient AS g0, COUNT(*) AS n FROM stays AS s GROUP BY s.patient"),
    Wrong(
        "persons through a derived table",
        "SELECT q.p AS g0, COUNT(*) AS n FROM (SELECT s.patient AS p FROM stays AS s) AS q GROUP BY q.p",
    ),
    Wrong(
        "persons through WITH",
        "WITH q AS (SELECT s.patient AS p FROM stays AS s) SELECT q.p AS g0, COUNT(*) AS n FROM q AS q GROUP BY q.p",
    ),
    Wrong(
        "persons in a text",
        "SELECT CONCAT('x', s.patient) AS g0, COUNT(*) AS n FROM stays AS s GROUP BY CONCAT('x', s.patient)",
    ),
    Wrong("the largest person", "SELECT MAX(s.patient) AS m FROM stays AS s"),
    Wrong("single rows", "SELECT s.region AS r, s.year AS y FROM stays AS s"),
    Wrong("single rows by a window", "SELECT SUM(s.days) OVER () AS r FROM stays AS s"),
    Wrong("single rows by DISTINCT", "SELECT DISTINCT s.cost AS r FROM stays AS s"),
    Wrong("lists of values", "SELECT s.region AS g0, LIST(s.cost) AS n FROM stays AS s GROUP BY s.region"),
    Wrong("texts of values", "SELECT STRING_AGG(s.diagnosis, ',') AS n FROM stays AS s"),
    Wrong("a measure as group", "SELECT s.cost AS g0, COUNT(*) AS n FROM stays AS s GROUP BY s.cost"),
    Wrong("a measure as group by number", "SELECT s.cost AS g0, COUNT(*) AS n FROM stays AS s GROUP BY 1"),
    Wrong("a measure in a rollup", "SELECT s.cost AS g0, COUNT(*) AS n FROM stays AS s GROUP BY ROLLUP (s.cost)"),
    Wrong(
        "a part of a measure as group",
        "SELECT FLOOR(s.cost) AS g0, COUNT(*) AS n FROM stays AS s GROUP BY FLOOR(s.cost)",
    ),
    Wrong("a hidden column", "SELECT COUNT(*) AS n FROM registry AS r WHERE r.illness = 1", ("cnam",)),
    Wrong(
        "a table that lets nothing out",
        "SELECT r.region AS g0, COUNT(*) AS n FROM registry AS r GROUP BY r.region",
        ("cnam",),
    ),
    Wrong(
        "a column outside the permit",
        "SELECT s.region AS g0, COUNT(*) AS n FROM stays AS s WHERE s.sex = 1 GROUP BY s.region",
    ),
    Wrong(
        "groups chosen by HAVING",
        "SELECT s.region AS g0, COUNT(*) AS n FROM stays AS s GROUP BY s.region HAVING AVG(s.cost) > 1000",
    ),
    Wrong(
        "the first of the groups",
        "SELECT s.region AS g0, COUNT(*) AS n FROM stays AS s GROUP BY s.region ORDER BY SUM(s.cost) LIMIT 1",
    ),
    Wrong("a set of persons", "SELECT s.patient AS p FROM stays AS s UNION ALL SELECT a.patient AS p FROM acts AS a"),
    Wrong("protected rows to a node", "SELECT s.patient AS p FROM stays AS s", to=("cnam",)),
    Wrong("open rows to a node that policy does not name", "SELECT w.kind AS k FROM wards AS w", to=("cnam",)),
    Wrong("aggregates to a node", "SELECT COUNT(*) AS n FROM stays AS s", to=("cnam",)),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w.goal)
def test_no_statement_that_policy_forbids_is_accepted_though_its_certificate_is_true(
    federation: Federation, wrong: Wrong
) -> None:
    narrowed = tuple(
        TableGrant(table="stays", columns=("region", "year", "cost", "patient", "days", "diagnosis"))
        if g.table == "stays"
        else g
        for g in federation.permit.tables
    )
    permit: Permit = federation.permit.model_copy(update={"tables": narrowed})
    last = (
        Stage("s2", StageKind.FINISH, (COORDINATOR,), 'SELECT * FROM "x1" AS "x1"', (), ("x1",))
        if wrong.to == (COORDINATOR,)
        else Stage("s2", StageKind.NODE, wrong.to, 'SELECT COUNT(*) AS "n" FROM "x1" AS "x1"', (), ("x1",))
    )
    stages = (Stage("s1", StageKind.NODE, wrong.sites, wrong.sql, ()), last)
    exchanges = (Exchange("x1", "s1", "s2", Form.AGGREGATE, "", 1, 1),)
    if wrong.to != (COORDINATOR,):
        stages = (*stages, Stage("s3", StageKind.FINISH, (COORDINATOR,), 'SELECT * FROM "x2" AS "x2"', (), ("x2",)))
        exchanges = (*exchanges, Exchange("x2", "s2", "s3", Form.AGGREGATE, "", 1, 1))
    plan = certified(Plan(wrong.sql, stages, exchanges, stages[-1].stage_id, ()), federation.catalog, permit)
    plan = replace(
        plan, exchanges=tuple(replace(e, form=e.certificate.form) if e.certificate else e for e in plan.exchanges)
    )
    with pytest.raises(Rejected):
        check_plan(plan, federation.catalog, permit)
