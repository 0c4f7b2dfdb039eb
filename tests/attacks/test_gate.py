"""A coordinator that has one thing approved and sends another; one that makes a signature last; one that floods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import attack_ward as ward
import pyarrow as pa
import pytest
from attack_attempts import Attacker, Outcome, prepare
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import errors, permit, request, tokens
from archipel.demo.layout import NOT_COMPARED
from archipel.policy import Policy
from node_agent import audit
from node_agent.approval import APPROVED, FOLDER, Approvals, Decision, Desk
from node_agent.gate import Gate
from node_agent.order import TaskOrder
from node_agent.rates import TASKS_A_QUESTION
from node_agent.sealed import Output

HONEST = "SELECT region, count(*) AS n FROM stays WHERE cost > 10 GROUP BY region"
WITH_INPUT = "SELECT count(*) AS n FROM stays JOIN fill ON fill.n = stays.cost"


@dataclass(frozen=True, slots=True)
class Strict:
    """An attacker of a node where a person decides on every statement, and the documents of what was approved."""

    attacker: Attacker
    documents: TaskOrder

    def order(self, sql: str = HONEST, *inputs: str) -> TaskOrder:
        """Return an order with the permit and the request that the person has seen."""
        made = self.attacker.order("again", sql, inputs)
        return replace(made, permit=self.documents.permit, request=self.documents.request)

    def send(self, order: TaskOrder, *inputs: str) -> Outcome:
        return self.attacker.send(order, inputs)

    @property
    def approvals(self) -> Path:
        return self.attacker.node.config.state_dir / FOLDER


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """A node where a person has approved two statements."""
    policy = {**NOT_COMPARED, "approval": "every-query"}
    attacker = prepare(tmp_path_factory.mktemp("strict"), node_policy=policy)
    found = Strict(attacker, attacker.order("first", HONEST))
    for order, inputs in ((found.order(), ()), (found.order(WITH_INPUT, "fill"), ("fill",))):
        assert code_of(found.send(order, *inputs)) == "APPROVAL_PENDING"
    desk, now = Desk(found.approvals), time.time()
    for pending in desk.pending():
        desk.decide(Decision(pending.question.digest(), APPROVED, "officer", "", now, now + 600))
    yield found
    attacker.close()


def code_of(outcome: Outcome) -> str:
    assert outcome.other is None, outcome.other
    return outcome.error.code if outcome.error is not None else "RELEASED"


def test_what_was_approved_runs_however_it_is_spelled(strict: Strict) -> None:
    for sql in (HONEST, "select REGION, COUNT( * ) AS n /* again */\nfrom STAYS where cost > 10 group by region"):
        assert code_of(strict.send(strict.order(sql))) == "RELEASED"
    records = [r for r in audit.records(strict.attacker.audit_folder) if r["kind"] == "released"]
    assert len({r["asked_sql"] for r in records}) == 2
    assert len({r["executed_sql"] for r in records}) == 1
    assert len({r["approval"] for r in records}) == 1
    assert code_of(strict.send(strict.order(WITH_INPUT, "fill"), "fill")) == "RELEASED"


def _other_sql(sql: str) -> Callable[[Attacker, TaskOrder], TaskOrder]:
    return lambda attacker, order: replace(order, sql=sql)


def _permit(**changes: Any) -> Callable[[Attacker, TaskOrder], TaskOrder]:
    def changed(attacker: Attacker, order: TaskOrder) -> TaskOrder:
        known = permit.Permit.model_validate(permit.read_unverified(order.permit))
        return replace(order, permit=permit.issue(known.model_copy(update=changes), attacker.authority))

    return changed


def _words(attacker: Attacker, order: TaskOrder) -> TaskOrder:
    return replace(order, request=request.sign(attacker.request("SELECT 2"), attacker.key))


def _researcher(attacker: Attacker, order: TaskOrder) -> TaskOrder:
    key = Ed25519PrivateKey.generate()
    named = (permit.Researcher(name="eve", key=tokens.encode_public_key(key.public_key())),)
    other = permit.issue(attacker.permit(researchers=named), attacker.authority)
    return replace(order, permit=other, request=request.sign(attacker.request("SELECT 1"), key))


def _to_node(attacker: Attacker, order: TaskOrder) -> TaskOrder:
    return replace(order, outputs=(Output("x9", (ward.OTHER_NODE,)),))


CHANGES: Mapping[str, Callable[[Attacker, TaskOrder], TaskOrder]] = {
    "another literal": _other_sql(HONEST.replace("10", "11")),
    "no filter": _other_sql("SELECT region, count(*) AS n FROM stays GROUP BY region"),
    "one more filter": _other_sql(HONEST.replace("GROUP", "AND region = 'Nord' GROUP")),
    "another column": _other_sql(HONEST.replace("count(*)", "sum(cost)")),
    "one more column": _other_sql(HONEST.replace("AS n", "AS n, sum(cost) AS c")),
    "another name of a column": _other_sql(HONEST.replace("AS n", "AS m")),
    "no group": _other_sql("SELECT count(*) AS n FROM stays WHERE cost > 10"),
    "a filter of an aggregate": _other_sql(HONEST.replace("count(*)", "count(*) FILTER (WHERE cost > 20)")),
    "a join": _other_sql("SELECT a.region, count(*) AS n FROM stays a JOIN stays b ON a.person = b.person GROUP BY 1"),
    "approved text in a comment": _other_sql(f"{HONEST.replace('10', '11')} /* {HONEST} */"),
    "a permit with another purpose": _permit(purpose="another"),
    "a permit that lasts longer": _permit(expires=int(time.time()) + 100_000),
    "a permit with a higher threshold": _permit(min_persons=12),
    "other words of the researcher": _words,
    "another researcher": _researcher,
    "another destination": _to_node,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_coordinator_that_changes_what_was_approved_gets_nothing(strict: Strict, change: str) -> None:
    outcome = strict.send(CHANGES[change](strict.attacker, strict.order()))
    assert code_of(outcome) != "RELEASED"
    assert outcome.refused, outcome.texts


def test_other_rows_handed_in_with_an_approved_statement_are_another_question(strict: Strict) -> None:
    order = strict.order(WITH_INPUT, "fill")
    with pytest.raises(errors.ArchipelError) as caught:
        strict.attacker.node.runner.run(order, {"fill": pa.table({"n": pa.array([7], pa.int64())})})
    assert caught.value.code == "APPROVAL_PENDING"


def test_a_signature_pays_for_so_many_statements_and_no_more(strict: Strict) -> None:
    runner = strict.attacker.node.runner
    before = runner.gate
    rules = {"version": 1, "node": {"approval": "auto", "rate_limits": {"researcher": {"day": 2}}}}
    runner.gate = Gate(runner.node, Policy.model_validate(rules), Approvals(strict.approvals))
    try:
        order = strict.order("SELECT zone FROM regions")
        codes = [code_of(strict.send(order)) for _ in range(2 * TASKS_A_QUESTION + 1)]
    finally:
        runner.gate = before
    assert codes == ["RELEASED"] * 2 * TASKS_A_QUESTION + ["RATE_LIMITED"]
    (refused,) = [r for r in audit.records(strict.attacker.audit_folder) if r.get("code") == "RATE_LIMITED"]
    assert (refused["researcher"], refused["permit"]) == ("mallory", "permit-of-the-attacker")
