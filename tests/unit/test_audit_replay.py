"""Replays of decisions that a real node has taken: the same comes out, or it is said where and why not."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node_support as support
import pyarrow as pa
import pytest

from archipel import errors, tokens
from archipel.schema import Column
from node_agent import audit, evidence, replay
from node_agent.evidence import Evidence, Grounds
from node_agent.replay import Replay
from node_agent.tasks import TaskRunner

SQL = "SELECT region, count(*) AS n FROM stays GROUP BY region"
POLICY_TEXT = "version: 1\n"


@dataclass
class Desk:
    """A node that keeps what its decisions rest on."""

    folder: Path
    party: support.Party
    runner: TaskRunner

    @property
    def kept(self) -> Path:
        return self.folder / "evidence"

    def ask(self, sql: str, **changes: Any) -> dict[str, Any]:
        """Send a task and return the record of how it ended."""
        inputs = changes.pop("given", {})
        with contextlib.suppress(errors.ArchipelError):
            self.runner.run(self.party.order(sql, **changes), inputs)
        return list(audit.records(self.folder / "audit"))[-1]

    def play(self, record: dict[str, Any]) -> Replay:
        return replay.replay(record, self.kept)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A node with a protected and an open table."""
    party = support.Party()
    key = tokens.encode_public_key(party.authority.public_key())
    grounds = Grounds(Evidence(tmp_path / "evidence", lambda: support.NOW), "hospital_a", "dev", key, POLICY_TEXT)
    runner = support.runner_of(tmp_path, party, grounds=grounds)
    yield Desk(tmp_path, party, runner)
    runner.engine.close()
    assert runner.audit is not None
    runner.audit.close()


def test_a_release_is_reached_again_step_by_step(desk: Desk) -> None:
    record = desk.ask(SQL)
    played = desk.play(record)
    assert played.same is True
    story = "\n".join(played.steps)
    for words in (
        "policy file with the SHA-256 " + record["policy_sha256"],
        "The permit p1 holds: signed by the authority, in force then, for readmission; it names stays, ref",
        "The request is signed by alice",
        "The border check lets aggregates go to the coordinator, by the rule: ",
        "What it reads: stays.person, stays.region",
        "the same, to the letter",
        "The record says: released, ",
    ):
        assert words in story


INPUT = {"x1": (Column("region", "VARCHAR"),)}

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a row": ("SELECT person FROM stays", {}),
    "a hidden column": ("SELECT count(note) AS n FROM stays", {}),
    "a table that is not there": ("SELECT count(*) FROM nowhere", {}),
    "no SQL": ("SELEKT", {}),
    "a row with an input": (
        "SELECT person FROM stays JOIN x1 USING (region)",
        {"inputs": INPUT, "given": {"x1": pa.table({"region": ["Bretagne"]})}},
    ),
    "a release with an input": (
        SQL,
        {"inputs": INPUT, "given": {"x1": pa.table({"region": ["Bretagne"]})}},
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_same_decision_comes_out_of_what_was_kept(desk: Desk, name: str) -> None:
    sql, changes = QUESTIONS[name]
    record = desk.ask(sql, **changes)
    played = desk.play(record)
    assert played.same is True, played.steps
    assert f"The record says: {record['kind']}" in played.steps[-1]


def test_papers_that_were_not_believed_are_not_kept_and_said_so(desk: Desk) -> None:
    record = desk.ask(SQL, permit_token=support.Party().permit())
    played = desk.play(record)
    assert played.same is None
    assert "permit or request were not believed" in played.steps[0]
    assert "PERMIT_INVALID" in played.steps[-1]
    assert not list(evidence.documents(desk.kept))


def test_what_the_engine_or_the_node_s_state_decided_is_not_played_again(desk: Desk) -> None:
    failed = desk.ask("SELECT sum(CAST(region AS INTEGER)) AS n FROM stays GROUP BY region")
    assert failed["kind"] == "failed"
    played = desk.play(failed)
    assert played.same is None
    assert any("to the letter" in step for step in played.steps)
    assert "not played again: failed with NODE_EXECUTION" in played.steps[-1]
    elsewhere = {key: value for key, value in failed.items() if key not in {"executed_sql", "rule"}}
    assert desk.play({**elsewhere, "kind": "refused", "code": "BUDGET"}).same is None


def test_a_step_of_a_total_over_nodes_is_not_played_again(desk: Desk) -> None:
    record = desk.ask(SQL, request_token=desk.party.request(threshold_scope="federation"))
    played = desk.play(record)
    assert played.same is None
    assert "of a total over several nodes" in played.steps[-2]


def test_another_decision_is_told_with_its_difference(desk: Desk) -> None:
    record = desk.ask(SQL)
    altered = {**record, "executed_sql": record["executed_sql"].replace(">= 11", ">= 5"), "rule": "none"}
    played = desk.play(altered)
    assert played.same is False
    assert sum("DIFFERS" in step for step in played.steps) >= 1
    assert desk.play({**record, "asked_sql": "SELECT person FROM stays"}).same is False
    refused = desk.ask("SELECT person FROM stays")
    assert desk.play({**refused, "refused_by": "another-rule"}).same is False
    assert desk.play({**refused, "asked_sql": SQL}).same is None  # let through by the check: somebody else refused it


def test_each_document_is_kept_once_a_month_and_before_its_record(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_sync, real_append = evidence.sync_data, audit.AuditLog.append
    monkeypatch.setattr(evidence, "sync_data", lambda *a: (real_sync(*a), order.append("kept"))[0])
    monkeypatch.setattr(audit.AuditLog, "append", lambda *a: (order.append("recorded"), real_append(*a))[1])
    desk.ask(SQL)
    desk.ask("SELECT person FROM stays")
    assert order == ["kept", "recorded", "recorded"]  # the second task comes with nothing that is not kept already
    kinds = [kind for kind, _ in evidence.documents(desk.kept)]
    assert sorted(set(kinds)) == ["permit", "policy", "request", "setting"]
    assert kinds.count("policy") == kinds.count("setting") == 1
    again = Evidence(desk.kept, lambda: support.NOW)
    again.keep({"policy": POLICY_TEXT})
    assert [kind for kind, _ in evidence.documents(desk.kept)] == kinds
    later = Evidence(desk.kept, lambda: support.NOW + 40 * 86_400)
    later.keep({"policy": POLICY_TEXT})
    assert [kind for kind, _ in evidence.documents(desk.kept)] == [*kinds, "policy"]
    assert [path.name for path in evidence.purge(desk.kept, support.NOW + 40 * 86_400)] == ["evidence-2027-01.jsonl"]
    assert [kind for kind, _ in evidence.documents(desk.kept)] == ["policy"]


def test_a_record_waits_for_documents_that_another_task_has_begun_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, waits = threading.Event(), threading.Event()
    real = evidence.sync_data
    monkeypatch.setattr(evidence, "sync_data", lambda *a: (waits.set(), disk.wait(), real(*a))[2])
    kept = Evidence(tmp_path, lambda: support.NOW)
    digests = kept.begin({"policy": POLICY_TEXT})
    assert kept.begin({"policy": POLICY_TEXT}) == digests
    second = threading.Thread(target=kept.settle, args=(list(digests.values()),))
    second.start()
    assert waits.wait(10)
    assert second.is_alive()
    disk.set()
    second.join(10)
    kept.settle(digests.values())
    assert len(list(evidence.documents(tmp_path))) == 1


def test_without_its_documents_on_disk_nothing_is_released_and_the_failure_names_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(evidence, "sync_data", failing)
        failed = desk.ask(SQL)
    assert (failed["kind"], failed["code"]) == ("failed", "AUDIT_UNAVAILABLE")
    assert "policy_sha256" not in failed
    released = desk.ask(SQL)
    assert released["kind"] == "released"
    assert evidence.find(desk.kept, released["policy_sha256"]) == POLICY_TEXT


def test_what_a_crash_or_a_stranger_did_to_the_documents_is_not_taken_for_them(desk: Desk) -> None:
    record = desk.ask(SQL)
    (path,) = desk.kept.glob("*.jsonl")
    assert path.stat().st_mode & 0o077 == 0
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"sha256": "00')
    torn = Evidence(desk.kept, lambda: support.NOW)
    torn.keep({"permit": "another"})
    assert path.read_bytes().startswith(whole)
    assert len(path.read_bytes().splitlines()) == len(whole.splitlines()) + 1
    path.write_bytes(whole.replace(b"min_persons", b"max_persons"))
    played = desk.play(record)
    assert played.same is None
    assert "not kept any more, or was altered" in played.steps[-1]


def test_nothing_is_released_when_its_grounds_cannot_be_kept(desk: Desk) -> None:
    desk.ask(SQL)
    (path,) = desk.kept.glob("*.jsonl")
    path.unlink()
    path.mkdir()
    assert desk.runner.grounds is not None
    desk.runner.grounds.evidence = Evidence(desk.kept, lambda: support.NOW)
    record = desk.ask(SQL)
    assert (record["kind"], record["code"]) == ("failed", "AUDIT_UNAVAILABLE")
    assert str(desk.folder) not in record["reason"]


def test_the_command_tells_the_story_of_a_record(desk: Desk) -> None:
    record = desk.ask(SQL)

    def command(digest: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "archipel.cli", "audit", "replay", str(desk.folder), "--record", digest],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = command(record["hash"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(f"Record {record['hash']}, number 1 of 1 in a log that verifies")
    assert done.stdout.splitlines()[-1] == "The same decision."
    assert command("0" * 64).returncode == 3


def test_a_record_grows_little_by_what_names_its_grounds(desk: Desk) -> None:
    record = desk.ask(SQL)
    named = {key: record[key] for key in ("policy_sha256", "setting_sha256")}
    assert len(json.dumps(named)) < 200
