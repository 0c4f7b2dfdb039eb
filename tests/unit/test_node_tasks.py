"""One task at a node, without a network: who may ask, what is let out, what is written down before, how it fails."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import NOW, POLICY, Party, runner_of

from archipel import certificate, errors, frames, permit, receipt, tokens
from archipel.certificate import Certificate
from archipel.schema import COORDINATOR, Column, Form
from node_agent import audit
from node_agent.audit import AuditLog
from node_agent.tasks import PROTECTED_FAILURE, Cancellation, Released, TaskRunner

BY_REGION = "SELECT region, count(*) AS n, sum(days) AS days FROM stays GROUP BY region"
SLOW = (
    "SELECT count(*) AS n FROM ref a, ref b, ref c, ref d, ref e, ref f, ref g, ref h, ref i, ref j, ref k, ref l, "
    "ref m, ref n, ref o, ref p, ref q, ref r, ref s, ref t, ref u, ref v, ref w, ref x, ref y, ref z, "
    "ref aa, ref ab, ref ac, ref ad, ref ae, ref af, ref ag WHERE a.code < ag.code OR length(b.code) < length(c.code)"
)


@pytest.fixture
def party() -> Party:
    return Party()


Runners = Callable[..., TaskRunner]


@pytest.fixture
def runners(tmp_path: Path, party: Party) -> Iterator[Runners]:
    """Make runners that are closed after the test."""
    made: list[tuple[TaskRunner, AuditLog]] = []

    def make(**changes: Any) -> TaskRunner:
        runner = runner_of(tmp_path, party, **changes)
        assert runner.audit is not None
        made.append((runner, runner.audit))
        return runner

    yield make
    for runner, log in made:
        runner.engine.close()
        log.close()


@pytest.fixture
def runner(runners: Runners) -> TaskRunner:
    return runners()


def rows(released: Released) -> list[dict[str, Any]]:
    """Take the frames, as a delivery does, and return the rows in them."""
    return frames.decode_table(released.frames).to_pylist()


def records(tmp_path: Path) -> list[dict[str, Any]]:
    assert audit.verify(tmp_path / "audit").problem == ""
    return list(audit.records(tmp_path / "audit"))


def refused(runner: TaskRunner, *arguments: Any) -> errors.ArchipelError:
    with pytest.raises(errors.ArchipelError) as problem:
        runner.run(*arguments)
    assert problem.value.node == "hospital_a"
    return problem.value


# --- what is released --------------------------------------------------------------------------------------------


def test_groups_below_the_threshold_stay_and_are_counted(runner: TaskRunner, party: Party, tmp_path: Path) -> None:
    released = runner.run(party.order(BY_REGION), {})
    assert rows(released) == [{"region": "Normandie", "n": 70, "days": 210}]  # Bretagne has 5 persons
    assert (released.withheld.threshold_applied, released.withheld.min_persons, released.withheld.groups) == (
        True,
        11,
        1,
    )
    (record,) = records(tmp_path)
    assert record["kind"] == "released"
    assert (record["rows"], record["withheld_groups"], record["fewest_persons_of_a_group"]) == (1, 1, 35)
    assert (record["researcher"], record["project"], record["query"]) == ("alice", "readmission", "q1")
    assert record["asked_sql"] == BY_REGION
    assert set(record["columns"]) >= {"stays.days", "stays.region"}


@pytest.mark.parametrize(
    ("policy_minimum", "permit_minimum", "holds"),
    [(11, 11, 11), (36, 11, 36), (11, 36, 36), (20, 36, 36), (36, 20, 36), (35, 35, 35)],
)
def test_the_largest_of_the_minimums_holds(
    tmp_path: Path, party: Party, runners: Runners, policy_minimum: int, permit_minimum: int, holds: int
) -> None:
    policy = {**POLICY, "stays": {**POLICY["stays"], "min_persons": policy_minimum}}
    runner = runners(policy=policy)
    released = runner.run(party.order(BY_REGION, permit_token=party.permit(min_persons=permit_minimum)), {})
    assert released.withheld.min_persons == holds
    assert len(rows(released)) == (1 if holds <= 35 else 0)  # Normandie has 35 persons
    assert receipt.verify(released.finish(), party.node.public_key()).min_persons == holds


def test_how_many_groups_were_withheld_is_told_only_where_policy_says_so(
    tmp_path: Path, party: Party, runners: Runners
) -> None:
    policy = {**POLICY, "stays": {**POLICY["stays"], "tell_withheld_count": False}}
    runner = runners(policy=policy)
    released = runner.run(party.order(BY_REGION), {})
    assert released.withheld.groups is None
    assert receipt.verify(released.finish(), party.node.public_key()).groups is None
    assert records(tmp_path)[0]["withheld_groups"] == 1


def test_nothing_to_release_is_an_empty_answer(runner: TaskRunner, party: Party) -> None:
    released = runner.run(party.order(f"{BY_REGION.replace('GROUP', 'WHERE days > 5 AND days < 0 GROUP')}"), {})
    assert rows(released) == []
    assert released.withheld.groups == 0


def test_rows_of_an_open_table_leave_as_they_are(runner: TaskRunner, party: Party) -> None:
    released = runner.run(party.order("SELECT region, code, _node FROM ref ORDER BY code"), {})
    assert rows(released)[0] == {"region": "Normandie", "code": "28", "_node": "hospital_a"}
    assert (released.withheld.threshold_applied, released.withheld.groups) == (False, None)


def test_the_receipt_names_what_was_released_and_its_record(runner: TaskRunner, party: Party, tmp_path: Path) -> None:
    order = party.order(BY_REGION)
    released = runner.run(order, {})
    content = b"".join(released.frames)
    signed = receipt.verify(released.finish(), party.node.public_key())
    (record,) = records(tmp_path)
    assert signed.content_sha256 == hashlib.sha256(content).hexdigest()
    assert signed.bytes == len(content) == record["bytes"]
    assert signed.audit_record == record["hash"]
    assert signed.sql_sha256 == hashlib.sha256(record["executed_sql"].encode()).hexdigest()
    assert signed.request_sha256 == tokens.digest(order.request)
    assert (signed.node, signed.query_id, signed.stage_id, signed.attempt, signed.permit_id, signed.groups) == (
        *("hospital_a", "q1", "s1", 1),
        *("p1", 1),
    )
    with pytest.raises(errors.ProgrammingError):
        receipt.verify(released.finish(), party.researcher.public_key())


def test_inputs_are_joined_and_are_the_statements_own(runner: TaskRunner, party: Party) -> None:
    order = party.order(
        "SELECT i.label, count(*) AS n FROM stays s JOIN x1 i ON i.region = s.region GROUP BY i.label",
        inputs={"x1": (Column("region", "VARCHAR"), Column("label", "VARCHAR"))},
    )
    given = {"x1": pa.table({"region": ["Normandie"], "label": ["N"]})}
    assert rows(runner.run(order, given)) == [{"label": "N", "n": 70}]


# --- who may ask -------------------------------------------------------------------------------------------------


def other(party: Party) -> Party:
    return Party(authority=Party().authority, node=party.node, researcher=party.researcher)


REFUSED: dict[str, tuple[Callable[[Party], dict[str, Any]], str]] = {
    "no permit": (lambda p: {"permit_token": "x"}, "PERMIT_INVALID"),
    "another authority": (lambda p: {"permit_token": other(p).permit()}, "PERMIT_INVALID"),
    "another federation": (lambda p: {"permit_token": p.permit(federation="prod")}, "PERMIT_INVALID"),
    "expired": (lambda p: {"permit_token": p.permit(expires=int(NOW))}, "PERMIT_EXPIRED"),
    "not yet valid": (lambda p: {"permit_token": p.permit(not_before=int(NOW) + 61)}, "PERMIT_EXPIRED"),
    "another node": (lambda p: {"permit_token": p.permit(nodes=["hospital_b"])}, "PERMIT_SCOPE"),
    "another table": (
        lambda p: {"permit_token": p.permit(tables=[{"table": "ref", "columns": ["*"]}])},
        "PERMIT_SCOPE",
    ),
    "another column": (
        lambda p: {"permit_token": p.permit(tables=[{"table": "stays", "columns": ["region"]}])},
        "PERMIT_SCOPE",
    ),
    "no request": (lambda p: {"request_token": "x"}, "REQUEST_SIGNATURE"),
    "a request of somebody else": (lambda p: {"request_token": Party().request()}, "REQUEST_SIGNATURE"),
    "a request for another permit": (lambda p: {"request_token": p.request(permit_id="p2")}, "REQUEST_SIGNATURE"),
    "an old request": (lambda p: {"request_token": p.request(issued=int(NOW) - 86_401)}, "REQUEST_SIGNATURE"),
    "a request of the future": (lambda p: {"request_token": p.request(issued=int(NOW) + 61)}, "CLOCK_SKEW"),
    "a permit as a request": (lambda p: {"request_token": p.permit()}, "REQUEST_SIGNATURE"),
}


@pytest.mark.parametrize(("asked", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_whoever_may_not_ask_is_refused_and_written_down(
    runner: TaskRunner, party: Party, tmp_path: Path, asked: Callable[[Party], dict[str, Any]], code: str
) -> None:
    problem = refused(runner, party.order(BY_REGION, **asked(party)), {})
    assert problem.code == code
    (record,) = records(tmp_path)
    assert record["kind"] in {"refused", "failed"}
    assert record["code"] == code
    assert record["asked_sql"] == BY_REGION


def test_a_permit_expires_by_the_nodes_own_clock(tmp_path: Path, party: Party, runners: Runners) -> None:
    clock = [NOW]
    runner = runners(now=lambda: clock[0])
    order = party.order(BY_REGION, permit_token=party.permit(expires=int(NOW) + 10))
    runner.run(order, {})
    clock[0] += 10
    assert refused(runner, order, {}).code == "PERMIT_EXPIRED"


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT region FROM stays", "row-level-output"),
        ("SELECT count(*) AS n FROM stays GROUP BY person", "person-group-key"),
        ("SELECT person, count(*) AS n FROM stays GROUP BY person", "person-output"),
        ("SELECT max(days) AS m FROM stays", "value-aggregate"),
        ("SELECT days, count(*) AS n FROM stays GROUP BY days", "measure-group-key"),
        ("SELECT * FROM read_parquet('x')", None),
        ("SELECT 1; SELECT 2", None),
        ("DROP VIEW stays", None),
        ("SELECT count(*) AS n FROM nosuch", "unknown-table"),
    ],
)
def test_a_statement_that_the_border_refuses_is_written_down_with_its_rule(
    runner: TaskRunner, party: Party, tmp_path: Path, sql: str, rule: str | None
) -> None:
    problem = refused(runner, party.order(sql), {})
    (record,) = records(tmp_path)
    assert (record["kind"], record["code"], record["reason"]) == ("refused", problem.code, problem.info.message)
    if rule is not None:
        assert record["refused_by"] == rule
    assert "executed_sql" not in record


def certified(runner: TaskRunner, party: Party, sql: str) -> Certificate:
    tables = {table.name.lower(): table for table in runner.engine.tables()}
    granted = permit.read_unverified(party.permit())
    seen = certificate.read(sql, tables)
    return certificate.issue(sql, {"hospital_a": tables}, (COORDINATOR,), permit.Permit.model_validate(granted), seen)


def test_what_is_certified_truly_is_released(runner: TaskRunner, party: Party) -> None:
    truly = certified(runner, party, BY_REGION)
    stricter_elsewhere = replace(truly, min_persons=truly.min_persons + 5)
    assert runner.run(party.order(BY_REGION, certificates=(stricter_elsewhere,)), {}).streams
    released = runner.run(party.order(BY_REGION, certificates=(truly,)), {})
    assert rows(released)


@pytest.mark.parametrize(
    "change",
    [
        {"sql_sha256": "0" * 64},
        {"destinations": ("hospital_b",)},
        {"columns": ("stays.region",)},
        {"functions": ()},
        {"min_persons": 5},
        {"form": Form.ROWS},
        {"rules": ()},
        {"linkage": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_certificate_that_does_not_hold_stops_the_release(
    runner: TaskRunner, party: Party, tmp_path: Path, change: dict[str, Any]
) -> None:
    false = replace(certified(runner, party, BY_REGION), **change)
    problem = refused(runner, party.order(BY_REGION, certificates=(false,)), {})
    assert (problem.code, "certificate" in problem.info.message) == ("BORDER_REFUSED", True)
    (record,) = records(tmp_path)
    assert record["kind"] == "refused"


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ({}, {"x1": {"a": [1]}}),
        ({"x1": ["a"]}, {}),
        ({"x1": ["a"]}, {"x1": {"b": [1]}}),
        ({"x1": ["a"]}, {"x1": {"a": [1], "b": [1]}}),
        ({"stays": ["a"]}, {"stays": {"a": [1]}}),
        ({"STAYS": ["a"]}, {"STAYS": {"a": [1]}}),
        ({"x1": ["a"], "X1": ["a"]}, {"x1": {"a": [1]}, "X1": {"a": [1]}}),
    ],
)
def test_inputs_that_are_not_what_they_claim_or_hide_a_table_are_refused(
    runner: TaskRunner, party: Party, declared: dict[str, list[str]], given: dict[str, dict[str, list[int]]]
) -> None:
    inputs = {name: tuple(Column(c, "BIGINT") for c in columns) for name, columns in declared.items()}
    order = party.order(BY_REGION, inputs=inputs)
    assert refused(runner, order, {n: pa.table(c) for n, c in given.items()}).code == "BAD_REQUEST"


# --- how it fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "CAST(note AS INTEGER)",
        "CAST(days AS TINYINT) * CAST(100 AS TINYINT) * CAST(100 AS TINYINT)",
        "length(strftime(strptime(note, '%Y'), '%Y'))",
        "sqrt(-1 - days)",
    ],
)
def test_a_failing_statement_over_a_protected_table_says_always_the_same(
    runner: TaskRunner, party: Party, tmp_path: Path, expression: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        problem = refused(runner, party.order(BY_REGION.replace("sum(days)", f"sum({expression})")), {})
    assert (problem.code, problem.info.message) == ("NODE_EXECUTION", PROTECTED_FAILURE)
    assert "secret-" not in str(problem) + caplog.text
    (record,) = records(tmp_path)
    assert (record["kind"], record["code"]) == ("failed", "NODE_EXECUTION")


def test_a_failing_statement_over_open_tables_says_why(runner: TaskRunner, party: Party) -> None:
    problem = refused(runner, party.order("SELECT CAST(region AS INTEGER) AS i FROM ref"), {})
    assert problem.code == "SQL_EXECUTION"
    assert "TRY_CAST" in problem.hint
    assert "Bretagne" not in str(problem)


def test_a_file_that_changed_is_told_and_nothing_leaves(runner: TaskRunner, party: Party, tmp_path: Path) -> None:
    pq.write_table(pa.table({"region": [1]}), tmp_path / "ref.parquet")
    assert refused(runner, party.order("SELECT region FROM ref"), {}).code == "NODE_CHANGED"
    assert rows(runner.run(party.order(BY_REGION), {}))
    (tmp_path / "ref.parquet").unlink()
    assert refused(runner, party.order("SELECT region FROM ref"), {}).code == "NODE_SOURCE"


def test_a_file_that_changes_while_it_is_read_voids_the_answer(
    runner: TaskRunner, party: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.engine.statement

    def changing(*arguments: Any, **options: Any) -> Any:
        statement = real(*arguments, **options)
        pq.write_table(pa.table({"region": ["Corse", "Bretagne"], "code": ["94", "53"]}), tmp_path / "ref.parquet")
        return statement

    monkeypatch.setattr(runner.engine, "statement", changing)
    assert refused(runner, party.order("SELECT region FROM ref"), {}).code in {"NODE_CHANGED", "SQL_EXECUTION"}
    assert [record["kind"] for record in records(tmp_path)] in (["failed"], ["refused"])


def test_more_than_may_be_released_is_refused(tmp_path: Path, party: Party, runners: Runners) -> None:
    runner = runners(max_release_bytes=100)
    for max_bytes, sql in ((10, "SELECT region FROM ref"), (0, "SELECT region, repeat(code, 90) AS c FROM ref")):
        assert refused(runner, party.order(sql, max_bytes=max_bytes), {}).code == "RESULT_TOO_LARGE"


@pytest.mark.parametrize(
    "limit", [{"timeout_s": 0.2}, {"request": "timeout_s"}, {"statement": 0.2}], ids=["task", "request", "node"]
)
def test_the_shortest_deadline_stops_a_statement(runner: TaskRunner, party: Party, limit: dict[str, Any]) -> None:
    runner.statement_timeout_s = limit.get("statement", 60.0)
    order = party.order(
        SLOW,
        timeout_s=limit.get("timeout_s", 60.0),
        request_token=party.request(timeout_s=0.2 if "request" in limit else 60.0),
    )
    assert refused(runner, order, {}).code == "TIMEOUT"


def test_a_cancelled_task_stops_and_is_never_released(runner: TaskRunner, party: Party, tmp_path: Path) -> None:
    cancellation = Cancellation()
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    assert refused(runner, party.order(SLOW, timeout_s=60.0), {}, cancellation).code == "CANCELLED"
    timer.join()
    before = Cancellation()
    before.cancel()
    assert refused(runner, party.order(BY_REGION), {}, before).code == "CANCELLED"
    assert [(record["kind"], record["code"]) for record in records(tmp_path)] == [("failed", "CANCELLED")] * 2


def test_a_fault_of_ours_leaves_no_trace_of_its_text_and_is_written_down(
    runner: TaskRunner,
    party: Party,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("secret-7")

    monkeypatch.setattr(runner.engine, "statement", broken)
    problem = refused(runner, party.order(BY_REGION), {})
    assert problem.code == "INTERNAL"
    assert "secret-7" not in str(problem) + caplog.text
    assert records(tmp_path)[0]["code"] == "INTERNAL"


# --- the audit log decides ---------------------------------------------------------------------------------------


def test_without_an_audit_log_nothing_runs(tmp_path: Path, party: Party, runners: Runners) -> None:
    runner = runners()
    assert runner.audit is not None
    runner.audit.close()
    runner.audit = None
    assert refused(runner, party.order(BY_REGION), {}).code == "AUDIT_UNAVAILABLE"


def test_the_record_is_on_disk_before_the_first_frame_is_handed_out(
    runner: TaskRunner, party: Party, tmp_path: Path
) -> None:
    released = runner.run(party.order(BY_REGION), {})
    (record,) = records(tmp_path)  # read from disk while no frame was taken yet
    assert record["bytes"] == sum(len(frame) for frame in released.frames)


def test_a_log_that_cannot_be_written_to_releases_nothing_and_recovers(
    runner: TaskRunner, party: Party, tmp_path: Path
) -> None:
    (tmp_path / "audit" / "HEAD").unlink()
    (tmp_path / "audit" / ".HEAD").mkdir()  # now the newest record cannot be made known
    for _ in range(2):
        assert refused(runner, party.order(BY_REGION), {}).code == "AUDIT_UNAVAILABLE"
        assert refused(runner, party.order("SELECT person FROM stays"), {}).code == "AUDIT_UNAVAILABLE"
    assert records(tmp_path) == []
    (tmp_path / "audit" / ".HEAD").rmdir()
    assert rows(runner.run(party.order(BY_REGION), {}))
    assert [record["kind"] for record in records(tmp_path)] == ["released"]


def _on_a_full_disk(directory: Path, answers: multiprocessing.Queue[Any]) -> None:
    """In a process of its own: files may not grow beyond a little, then they may again."""
    party = Party()
    runner = runner_of(directory, party)
    log = directory / "audit" / "audit-000001.jsonl"
    outcomes = [len(rows(runner.run(party.order(BY_REGION), {})))]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100, hard))
    for _ in range(3):
        try:
            outcomes.append(len(rows(runner.run(party.order(BY_REGION), {}))))
        except errors.ArchipelError as problem:
            outcomes.append(problem.code)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    outcomes.append(len(rows(runner.run(party.order(BY_REGION), {}))))
    runner.engine.close()
    answers.put(outcomes)


def test_a_full_disk_at_the_audit_log_releases_nothing_until_there_is_room(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[Any] = context.Queue()
    process = context.Process(target=_on_a_full_disk, args=(tmp_path, answers))
    process.start()
    outcomes = answers.get(timeout=60)
    process.join(20)
    assert outcomes == [1, "AUDIT_UNAVAILABLE", "AUDIT_UNAVAILABLE", "AUDIT_UNAVAILABLE", 1]
    assert [record["kind"] for record in records(tmp_path)] == ["released", "released"]
