"""The gate of a node: hours, how often, and a person who decides; tasks are sent to it past every coordinator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from node_support import NOW, OPEN, POLICY, STAYS, Party, config_of, runner_of
from typer.testing import CliRunner

from archipel import errors, frames
from archipel.policy import Policy
from archipel.schema import Column
from node_agent import audit
from node_agent.approval import APPROVED, DAY_S, REFUSED, Approvals, Decision, Desk
from node_agent.approve_cli import plain
from node_agent.gate import Gate, Passed, content_digest
from node_agent.rates import TASKS_A_QUESTION, Rates
from node_agent.tasks import TaskRunner

BY_REGION = "SELECT region, count(*) AS n FROM stays GROUP BY region"
TOTAL = "SELECT count(*) AS n FROM stays"
HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "time_zone": "Europe/Paris"}


@dataclass
class Node:
    """A node with a policy, whose clock the test holds."""

    directory: Path
    party: Party
    clock: list[float]
    runner: TaskRunner
    rules: Policy
    asked: int = field(default=0)

    def run(self, sql: str, **changes: Any) -> pa.Table:
        """Send a statement in a question of its own; return what is released."""
        self.asked += 1
        request = changes.pop("request_token", None) or self.party.request(
            request_id=f"request-{self.asked}", sql=f"-- asked\n{sql}", issued=int(self.clock[0])
        )
        inputs = changes.pop("tables", {})
        order = self.party.order(sql, request_token=request, **changes)
        return frames.decode_table(list(self.runner.run(order, inputs).frames))

    def refusal(self, sql: str, **changes: Any) -> errors.ArchipelError:
        with pytest.raises(errors.ArchipelError) as caught:
            self.run(sql, **changes)
        return caught.value

    def restart(self) -> None:
        """Start the gate anew, as the agent does: what it knows is what is on disk."""
        self.runner.gate = self._gate()

    def _gate(self) -> Gate:
        rates = Rates(self.rules.node.rate_limits)
        rates.restore(audit.records(self.directory / "audit"), self.clock[0])
        approvals = Approvals(self.directory / "approvals")
        return Gate("hospital_a", self.rules, approvals, rates, now=lambda: self.clock[0])

    @property
    def desk(self) -> Desk:
        return Desk(self.directory / "approvals")

    def decide(self, decision: str, *, hold_s: float = DAY_S, **changes: Any) -> str:
        """Decide on the one question that waits; return its digest."""
        (waiting,) = self.desk.pending()
        fields = {
            "digest": waiting.question.digest(),
            "decision": decision,
            "by": "dr-officer",
            "because": "in the ethics board's minutes",
            "time": self.clock[0],
            "expires": self.clock[0] + hold_s,
            **changes,
        }
        self.desk.decide(Decision(**fields))
        return waiting.question.digest()

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in audit.records(self.directory / "audit") if record["kind"] == kind]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    made: list[Node] = []

    def node(rules: Mapping[str, Any], tables: Mapping[str, Any] = POLICY) -> Node:
        party, clock = Party(), [NOW]
        runner = runner_of(tmp_path, party, policy=tables, now=lambda: clock[0])
        policy = Policy.model_validate({"version": 1, "node": rules, "tables": tables})
        made.append(Node(tmp_path, party, clock, runner, policy))
        made[-1].restart()
        return made[-1]

    yield node
    for each in made:
        each.runner.engine.close()
        assert each.runner.audit is not None
        each.runner.audit.close()


# --- hours ----------------------------------------------------------------------------------------------------------


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("hours", "time", "is_open", "opens"),
    [
        (HOURS, "2026-11-24T06:59:59", False, "2026-11-24T08:00:00+01:00"),
        (HOURS, "2026-11-24T07:00:00", True, "2026-11-25T08:00:00+01:00"),
        (HOURS, "2026-11-24T16:59:59", True, "2026-11-25T08:00:00+01:00"),
        (HOURS, "2026-11-24T17:00:00", False, "2026-11-25T08:00:00+01:00"),
        (HOURS, "2026-11-27T17:00:00", False, "2026-11-30T08:00:00+01:00"),
        (HOURS, "2026-07-01T06:00:00", True, "2026-07-02T08:00:00+02:00"),
        # On the morning on which clocks go forward, 08:00 is an hour earlier than the day before.
        ({**HOURS, "days": ["sun"]}, "2026-03-29T06:00:00", True, "2026-04-05T08:00:00+02:00"),
        ({**HOURS, "from": "22:00", "to": "04:00", "days": ["fri"]}, "2026-11-28T02:59:00", True, None),
        ({**HOURS, "from": "22:00", "to": "04:00", "days": ["fri"]}, "2026-11-28T03:00:00", False, None),
        ({**HOURS, "from": "00:00", "to": "24:00", "days": ["sun"]}, "2026-11-28T22:59:59", False, None),
        ({**HOURS, "from": "00:00", "to": "24:00", "days": ["sun"]}, "2026-11-28T23:00:00", True, None),
        ([{**HOURS, "days": ["mon"]}, {**HOURS, "from": "18:00", "to": "20:00"}], "2026-11-24T18:30:00", True, None),
    ],
)
def test_hours_are_those_on_the_wall_where_the_node_is(hours: Any, time: str, is_open: bool, opens: str | None) -> None:
    rules = Policy.model_validate({"version": 1, "node": {"working_hours": hours}}).node
    assert rules.open_at(at(time)) is is_open
    if opens is not None:
        assert rules.next_opening(at(time)).isoformat() == opens


def test_outside_of_its_hours_a_node_answers_nothing_about_persons_and_says_when_it_will(opened: Any) -> None:
    node = opened({"approval": "auto", "working_hours": HOURS})
    node.clock[0] = NOW + 10 * 3600  # Friday evening
    permit = node.party.permit(expires=int(NOW) + 10 * DAY_S)
    refused = node.refusal(TOTAL, permit_token=permit)
    assert (refused.code, refused.rule) == ("OUTSIDE_HOURS", "working-hours")
    assert "next from Monday 2027-01-18 08:00 (Europe/Paris)" in refused.info.message
    (record,) = node.records("refused")
    assert (record["code"], record["researcher"], record["asked_sql"]) == ("OUTSIDE_HOURS", "alice", TOTAL)
    node.run("SELECT code FROM ref", permit_token=permit)
    node.clock[0] = at("2027-01-18T07:00:00")
    node.run(TOTAL, permit_token=permit)


# --- how often ------------------------------------------------------------------------------------------------------


def test_a_researcher_asks_so_often_and_no_oftener_and_a_restart_changes_nothing(opened: Any) -> None:
    node = opened({"approval": "auto", "rate_limits": {"researcher": {"minute": 2, "hour": 3}}})
    node.run(TOTAL)
    node.clock[0] += 10
    node.run("SELECT code FROM ref")
    refused = node.refusal(TOTAL)
    assert refused.code == "RATE_LIMITED"
    assert (
        "at most 2 questions of this researcher within one minute; the next is taken from 2027-01-15 08:01:00 UTC"
        in (refused.info.message)
    )
    node.restart()
    assert node.refusal(TOTAL).code == "RATE_LIMITED"
    node.clock[0] += 50  # what was refused did not count
    node.run(TOTAL)
    node.clock[0] += 120
    refused = node.refusal(TOTAL)
    assert "within one hour; the next is taken from 2027-01-15 09:00:00 UTC" in refused.info.message
    assert [record["code"] for record in node.records("refused")] == ["RATE_LIMITED"] * 3


def test_a_question_counts_once_however_many_statements_it_needs_but_not_without_end() -> None:
    rules = Policy.model_validate({"version": 1, "node": {"rate_limits": {"permit": {"day": 2}}}}).node
    rates = Rates(rules.rate_limits)
    for _ in range(2 * TASKS_A_QUESTION):
        rates.take("alice", "p1", "one-request", NOW)
    with pytest.raises(errors.ArchipelError, match="at most 2 questions of this permit within one day"):
        rates.take("alice", "p1", "one-request", NOW)
    rates.take("alice", "p2", "another-permit", NOW)
    rates.take("alice", "p1", "next-day", NOW + DAY_S)


# --- a person decides -----------------------------------------------------------------------------------------------


def test_without_the_key_a_person_decides_on_every_statement_about_persons(opened: Any) -> None:
    node = opened({})
    node.run("SELECT code FROM ref")  # nobody's data
    refused = node.refusal(BY_REGION)
    assert (refused.code, refused.rule) == ("APPROVAL_PENDING", "approval")
    (waiting,) = node.desk.pending()
    question = waiting.question
    assert question.digest()[:12] in refused.info.message
    assert (question.researcher, question.project, question.purpose) == ("alice", "readmission", "test")
    assert question.researcher_sql == f"-- asked\n{BY_REGION}"
    assert (question.form, question.min_persons, question.destinations) == ("aggregate", 11, ("@coordinator",))
    assert question.columns == ("stays.person", "stays.region")
    assert "11" in question.sql  # the threshold is in what the person reads
    assert node.refusal(BY_REGION).code == "APPROVAL_PENDING"
    assert len(node.desk.pending()) == 1
    digest = node.decide(APPROVED)
    assert node.run(BY_REGION).to_pylist() == [{"region": "Normandie", "n": 70}]
    (decision,) = node.records("decision")
    assert (decision["approval"], decision["decided_by"], decision["permit"]) == (digest, "dr-officer", "p1")
    assert decision["question"]["sql"] == question.sql
    released = node.records("released")[-1]
    assert (released["approval"], released["executed_sql"]) == (digest, question.sql)
    assert node.records("decision")[0]["sequence"] < released["sequence"]
    assert node.desk.pending() == []


def test_an_approval_holds_for_the_very_statement_researcher_and_permit(opened: Any) -> None:
    node = opened({"approval": "every-query"})
    inputs = {"x1": (Column("region", "VARCHAR"),)}
    joined = "SELECT count(*) AS n FROM stays JOIN x1 ON x1.region = stays.region"
    table = pa.table({"region": ["Normandie"]})
    for sql, more in ((TOTAL, {}), (joined, {"inputs": inputs, "tables": {"x1": table}})):
        assert node.refusal(sql, **more).code == "APPROVAL_PENDING"
        node.decide(APPROVED)
        node.run(sql, **more)
    others: list[tuple[str, dict[str, Any]]] = [
        ("SELECT count(*) AS n FROM stays WHERE days > 1", {}),
        (TOTAL, {"permit_token": node.party.permit(purpose="another")}),
        (TOTAL, {"permit_token": node.party.permit(min_persons=12)}),
        (TOTAL, {"request_token": node.party.request(request_id="other-words", sql="SELECT 1")}),
        (joined, {"inputs": inputs, "tables": {"x1": pa.table({"region": ["Bretagne"]})}}),
    ]
    for sql, more in others:
        refused = node.refusal(sql, **more)
        assert refused.code == "APPROVAL_PENDING", (sql, more)
    assert len(node.desk.pending()) == len(others)
    node.run(TOTAL)


def test_a_decision_survives_a_restart_and_ends_with_its_time(opened: Any) -> None:
    node = opened({})
    node.refusal(TOTAL)
    node.decide(APPROVED, hold_s=600)
    node.restart()
    node.run(TOTAL)
    node.restart()
    node.run(TOTAL)
    assert len(node.records("decision")) == 1
    node.clock[0] += 600
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"


def test_a_decision_is_kept_for_a_month_after_its_time_and_for_good_in_the_audit_log(opened: Any) -> None:
    node = opened({})
    node.refusal(TOTAL)
    digest = node.decide(APPROVED, hold_s=600)
    node.run(TOTAL)
    node.clock[0] += 600 + 29 * DAY_S
    node.runner.gate.take_decisions(node.runner.audit)
    assert [decided.decision.digest for decided in node.desk.decided()] == [digest]
    node.clock[0] += 2 * DAY_S
    node.runner.gate.take_decisions(node.runner.audit)
    assert node.desk.decided() == []
    assert [record["approval"] for record in node.records("decision")] == [digest]


def test_a_refusal_is_told_with_its_reason_and_can_be_taken_back(opened: Any) -> None:
    node = opened({})
    node.refusal(TOTAL)
    digest = node.decide(REFUSED, because="Not in the protocol.")
    refused = node.refusal(TOTAL)
    assert refused.code == "APPROVAL_REFUSED"
    assert "The holder has refused this question: Not in the protocol." in refused.info.message
    assert node.desk.pending() == []
    node.desk.decide(Decision(digest, APPROVED, "dr-officer", "", NOW + 1, NOW + DAY_S))
    node.run(TOTAL)
    node.desk.decide(Decision(digest, REFUSED, "dr-officer", "Enough.", NOW + 2, NOW + DAY_S))
    assert node.refusal(TOTAL).code == "APPROVAL_REFUSED"
    assert [record["decision"] for record in node.records("decision")] == ["refused", "approved", "refused"]


def test_at_first_use_one_decision_covers_a_researcher_permit_and_table(opened: Any) -> None:
    tables = {**POLICY, "ref": {**OPEN, "approval": "first-use"}}
    node = opened({"approval": "first-use"}, tables)
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"
    assert node.refusal(BY_REGION).code == "APPROVAL_PENDING"
    first, _ = node.desk.pending()
    node.desk.decide(Decision(first.question.digest(), APPROVED, "dr-officer", "", NOW, NOW + DAY_S))
    node.run(TOTAL)
    node.run(BY_REGION)
    assert node.desk.pending() == []  # the other question is answered by the same decision
    assert node.refusal("SELECT code FROM ref").code == "APPROVAL_PENDING"
    both = "SELECT count(*) AS n FROM stays JOIN ref ON ref.region = stays.region"
    assert node.refusal(both).code == "APPROVAL_PENDING"
    assert node.refusal(TOTAL, permit_token=node.party.permit(purpose="another")).code == "APPROVAL_PENDING"
    of_ref = next(p.question for p in node.desk.pending() if p.question.tables == ("ref",))
    node.desk.decide(Decision(of_ref.digest(), REFUSED, "dr-officer", "No.", NOW, NOW + DAY_S))
    assert node.refusal(both).code == "APPROVAL_REFUSED"
    node.run(TOTAL)
    node.desk.decide(Decision(of_ref.digest(), APPROVED, "dr-officer", "", NOW + 1, NOW + DAY_S))
    node.run(both)


def test_the_refusal_of_tables_together_is_none_of_one_that_was_approved_alone(opened: Any) -> None:
    node = opened({"approval": "first-use"}, {**POLICY, "ref": {**OPEN, "approval": "first-use"}})
    both = "SELECT count(*) AS n FROM stays JOIN ref ON ref.region = stays.region"
    node.refusal(TOTAL)
    node.decide(APPROVED)
    node.refusal(both)
    node.decide(REFUSED, time=NOW + 1)
    assert node.refusal(both).code == "APPROVAL_REFUSED"
    node.run(TOTAL)
    assert node.refusal("SELECT code FROM ref").code == "APPROVAL_PENDING"
    node.decide(APPROVED, time=NOW + 2)
    assert node.refusal(both).code == "APPROVAL_REFUSED"  # of stays there is no later approval


def test_a_table_may_be_stricter_or_milder_than_its_node(opened: Any) -> None:
    node = opened({"approval": "every-query"}, {**POLICY, "stays": {**POLICY["stays"], "approval": "auto"}})
    node.run(TOTAL)
    node.rules = Policy.model_validate(
        {
            "version": 1,
            "node": {"approval": "auto"},
            "tables": {**POLICY, "stays": {**POLICY["stays"], "approval": "every-query"}},
        }
    )
    node.restart()
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"


def test_what_was_tampered_with_approves_nothing(opened: Any) -> None:
    node = opened({})
    node.refusal(TOTAL)
    (waiting,) = node.desk.pending()
    digest = waiting.question.digest()
    path = node.directory / "approvals" / "pending" / f"{digest}.json"
    honest = path.read_text()
    # The question shows something harmless, and the decision names the digest of what was asked.
    path.write_text(
        json.dumps({**json.loads(honest), "question": {**json.loads(honest)["question"], "sql": "SELECT 1"}})
    )
    assert node.desk.pending() == []
    node.desk.decide(Decision(digest, APPROVED, "dr-officer", "", NOW, NOW + DAY_S))
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"
    path.unlink()
    for decision in (
        Decision("0" * 64, APPROVED, "x", "", NOW, NOW + DAY_S),
        Decision(digest, "perhaps", "x", "", NOW, NOW + DAY_S),
    ):
        node.refusal(TOTAL)
        node.desk.decide(decision)
        assert node.refusal(TOTAL).code == "APPROVAL_PENDING"
    inbox = node.directory / "approvals" / "inbox"
    (inbox / f"{digest}.json").write_text("{not json")
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"
    decided = node.directory / "approvals" / "decided" / f"{digest}.json"
    node.decide(APPROVED)
    node.run(TOTAL)
    content = json.loads(decided.read_text())
    decided.write_text(json.dumps({**content, "question": {**content["question"], "researcher": "mallory"}}))
    node.restart()
    assert node.refusal(TOTAL).code == "APPROVAL_PENDING"
    assert len(node.records("decision")) == 1


def test_what_runs_is_what_was_let_through() -> None:
    passed = Passed("0" * 64)
    with pytest.raises(errors.ArchipelError, match="not the one that was let through"):
        passed.check("SELECT 1")


def test_a_permit_can_not_fill_the_desk(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_agent.approval.MOST_PENDING_OF_A_PERMIT", 2)
    node = opened({})
    for sql in ("SELECT count(*) AS n FROM stays WHERE days > 0", "SELECT count(*) AS n FROM stays WHERE days > 1"):
        assert node.refusal(sql).code == "APPROVAL_PENDING"
    assert node.refusal("SELECT count(*) AS n FROM stays WHERE days > 2").code == "NODE_BUSY"
    assert node.refusal("SELECT count(*) AS n FROM stays WHERE days > 1").code == "APPROVAL_PENDING"
    other = node.party.permit(permit_id="p2")
    request = node.party.request(permit_id="p2")
    assert node.refusal(TOTAL, permit_token=other, request_token=request).code == "APPROVAL_PENDING"
    node.clock[0] += 31 * DAY_S
    late = node.party.permit(expires=int(node.clock[0]) + 100)
    assert node.refusal(TOTAL, permit_token=late).code == "APPROVAL_PENDING"
    assert len(node.desk.pending()) == 1


def test_a_question_that_cannot_be_held_is_not_answered(opened: Any) -> None:
    node = opened({})
    pending = node.directory / "approvals" / "pending"
    pending.rmdir()
    pending.write_text("a file in its place")
    assert node.refusal(TOTAL).code == "NODE_RESOURCES"


def test_the_digest_of_a_table_is_that_of_its_rows() -> None:
    one = pa.table({"a": [2, 1, None], "b": ["x", "y", "z"]})
    other = pa.concat_tables([one.slice(1), one.slice(0, 1)])
    assert content_digest(one) == content_digest(other)
    assert content_digest(one) != content_digest(pa.table({"a": [2, 1, 0], "b": ["x", "y", "z"]}))
    assert content_digest(one) != content_digest(one.rename_columns(["a", "c"]))
    assert content_digest(pa.table({"a": [[1], [2]]})) != content_digest(pa.table({"a": [[2], [1]]}))


# --- archipel node approve ------------------------------------------------------------------------------------------


def test_a_person_sees_what_is_asked_and_decides(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from archipel.cli.app import build

    node = opened({})
    config = config_of(node.directory, {"tables": [STAYS], "state_dir": str(node.directory)})
    path = node.directory / "node.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    monkeypatch.setattr("time.time", lambda: node.clock[0])

    def cli(*words: str) -> str:
        done = CliRunner().invoke(build(), ["node", "approve", "--config", str(path), *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return f"{done.output}{done.exception}"
        return done.output

    assert "Nothing waits for a decision." in cli("--list")
    trick = f"{TOTAL} -- \x1b[2K\u202e harmless"
    node.refusal(TOTAL, request_token=node.party.request(sql=trick))
    (waiting,) = node.desk.pending()
    short = waiting.question.digest()[:12]
    listed = cli("--list")
    for part in (
        short,
        "alice",
        "readmission: test",
        "p1",
        "aggregate, of at least 11 persons a group",
        r"\x1b[2K\u202e",
    ):
        assert part in listed
    assert "\x1b" not in listed
    assert "what would run here" in cli("--show", short)
    assert "A refusal needs a reason" in cli("--refuse", short)
    assert "is needed, and one only" in cli("--refuse", short, "--list")
    assert "no question begins with 'abcdef'" in cli("abcdef")
    assert "at least 6 digits" in cli(short[:5])
    assert f"refused {short} by" in cli("--refuse", short, "--because", "Not in the protocol.")
    assert "1 decisions are not read by the agent yet" in cli("--list")
    assert node.refusal(TOTAL, request_token=node.party.request(sql=trick)).code == "APPROVAL_REFUSED"
    assert "approved" in cli(short, "--days", "2", "--by", "Dr Durand")
    node.run(TOTAL, request_token=node.party.request(sql=trick))
    assert f"{short}  approved by Dr Durand (" in cli("--list")
    node.runner.gate.take_decisions(node.runner.audit)
    assert node.records("decision")[-1]["decided_by"].startswith("Dr Durand (")


def test_nothing_deceives_the_eye() -> None:
    assert plain("a\tb\x00\u200b\u2028é") == r"a\tb\x00\u200b\u2028é"
