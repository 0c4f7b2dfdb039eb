"""Purges of the audit log: what went is gone, what is left verifies, and old checkpoints still fit new ones."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import errors, merkle, proof, tokens
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from node_agent import audit, audit_proofs, audit_reading, evidence, retention
from node_agent.audit import AuditLog
from node_agent.checkpoints import Checkpoints
from node_agent.evidence import Evidence

DAY_S = 86_400.0
MONTHS = [datetime(2026, month, 15, tzinfo=UTC).timestamp() for month in range(1, 7)]
NOW = datetime(2027, 9, 20, tzinfo=UTC).timestamp()
KEY = Ed25519PrivateKey.generate()


def opened(folder: Path) -> AuditLog:
    return AuditLog(folder, Checkpoints("hospital_a", "dev", KEY, every_records=3, now=lambda: NOW))


def filled(folder: Path, each: int = 7) -> AuditLog:
    """Return a log with some records in each of six months."""
    log = opened(folder)
    for moment in MONTHS:
        for number in range(each):
            log.append("released", {"time": moment + number, "query": f"{moment}-{number}"})
    return log


def purged(log: AuditLog, before: float, folder: Path | None = None) -> retention.Statement | None:
    return retention.run(
        log,
        folder=folder or log.directory.parent / "evidence",
        before=before,
        now=NOW,
        federation="dev",
        node="hospital_a",
        key=KEY,
    )


def test_each_month_has_a_file_and_old_ones_go_as_a_whole(tmp_path: Path) -> None:
    log = filled(tmp_path)
    tokens_before = audit_reading.checkpoint_tokens(tmp_path)
    full = audit_reading.tree_of(tmp_path)[0]
    assert len(audit_reading.files(tmp_path)) == 6
    statement = purged(log, MONTHS[3])
    assert statement is not None
    assert (statement.purged, statement.records, statement.files) == (21, 21, 3)
    assert [path.name for path in sorted(tmp_path.glob("audit-*"))] == [f"audit-00000{n}.jsonl" for n in (4, 5, 6, 7)]
    found = audit.verify(tmp_path)
    assert (found.problem, found.records, found.purged) == ("", 43, 21)
    told = [record for record in audit.records(tmp_path) if record["kind"] == "purged"]
    assert [(record["purged"], record["first"], record["last"]) for record in told] == [
        (21, statement.first, statement.last)
    ]
    assert retention.verify(told[0]["statement"], KEY.public_key()) == statement
    log.append("released", {"time": NOW})
    log.close()
    tokens_after = audit_reading.checkpoint_tokens(tmp_path)
    assert tokens_after[: len(tokens_before)] == tokens_before
    for first in tokens_before:  # also of the time of which nothing is left
        shown = audit_proofs.consistency(tmp_path, first, tokens_after[-1])
        roots = [bytes.fromhex(proof.read_checkpoint(token).root) for token in (first, tokens_after[-1])]
        size, newest = proof.read_checkpoint(first).size, proof.read_checkpoint(tokens_after[-1]).size
        assert merkle.grew(size, newest, [bytes.fromhex(part) for part in shown.path], *roots)
    assert audit_reading.tree_of(tmp_path)[0].root(42) == full.root(42)
    with pytest.raises(errors.ArchipelError, match="no record"):
        audit_proofs.inclusion(tmp_path, statement.first, tokens_after[-1])


def test_the_log_goes_on_over_restarts_and_further_purges(tmp_path: Path) -> None:
    log = filled(tmp_path)
    first = audit_reading.checkpoint_tokens(tmp_path)[0]
    for month in (1, 2, 4):
        assert purged(log, MONTHS[month]) is not None
        assert purged(log, MONTHS[month]) is None
        log.close()
        log = opened(tmp_path)
    log.close()
    found = audit.verify(tmp_path)
    assert (found.problem, found.records, found.purged) == ("", 45, 28)
    assert audit_proofs.consistency(tmp_path, first, audit_reading.checkpoint_tokens(tmp_path)[-1]).path
    assert sum(len(subtree) for subtree in audit_reading.base_of(tmp_path).known) < 200


def remove_files_of(log: Path) -> None:
    (log / "audit-000004.jsonl").unlink()


def forget_the_purge(log: Path) -> None:
    (log / audit.PURGED_FILE).unlink()


def claim_more(log: Path) -> None:
    content = json.loads((log / audit.PURGED_FILE).read_text())
    said = retention.read(content["statement"])
    content["statement"] = tokens.sign({**said.model_dump(mode="json"), "files": 4}, retention.PURGE_KIND, KEY)
    (log / audit.PURGED_FILE).write_text(json.dumps(content))


def other_subtrees(log: Path) -> None:
    content = json.loads((log / audit.PURGED_FILE).read_text())
    content["known"][-1][2] = "0" * 64
    (log / audit.PURGED_FILE).write_text(json.dumps(content))


def other_record(log: Path) -> None:
    content = json.loads((log / audit.PURGED_FILE).read_text())
    (log / audit.PURGED_FILE).write_text(json.dumps({**content, "record": "0" * 64}))


def noise(log: Path) -> None:
    (log / audit.PURGED_FILE).write_text("gone")


@pytest.mark.parametrize("tamper", [remove_files_of, forget_the_purge, claim_more, other_subtrees, other_record, noise])
def test_a_purge_cannot_be_made_up_or_made_larger(tmp_path: Path, tamper: Any) -> None:
    log = filled(tmp_path)
    purged(log, MONTHS[3])
    log.close()
    assert audit.verify(tmp_path).problem == ""
    tamper(tmp_path)
    assert audit.verify(tmp_path).problem
    with pytest.raises(errors.OperationalError):
        opened(tmp_path)


def test_a_purge_broken_off_at_any_point_leaves_a_log_that_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path)
    real_put, real_unlink = retention._put, Path.unlink

    def broken(*_: object) -> None:
        raise errors.error(errors.AUDIT_UNAVAILABLE, "no room")

    monkeypatch.setattr(retention, "_put", broken)
    with pytest.raises(errors.ArchipelError):
        purged(log, MONTHS[3])
    assert (audit.verify(tmp_path).problem, audit.verify(tmp_path).purged) == ("", 0)
    monkeypatch.setattr(retention, "_put", real_put)
    left = 1

    def dying(path: Path, *arguments: Any, **options: Any) -> None:
        nonlocal left
        if path.name.startswith("audit-"):
            if not left:
                raise KeyboardInterrupt
            left -= 1
        real_unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        purged(log, MONTHS[3])
    monkeypatch.setattr(Path, "unlink", real_unlink)
    log.close()
    assert (audit.verify(tmp_path).problem, audit.verify(tmp_path).purged) == ("", 21)
    assert (tmp_path / "audit-000003.jsonl").exists()
    opened(tmp_path).close()
    assert not (tmp_path / "audit-000003.jsonl").exists()
    assert audit.verify(tmp_path).problem == ""


def test_a_year_is_kept_whatever_is_asked() -> None:
    with pytest.raises(errors.ArchipelError, match="at least a year"):
        retention.check(NOW - 364 * DAY_S, 396, NOW)
    with pytest.raises(errors.ArchipelError, match="keeps records for 396 days"):
        retention.check(NOW - 380 * DAY_S, 396, NOW)
    retention.check(NOW - 397 * DAY_S, 396, NOW)
    assert retention.limit(10, NOW) == NOW - 365 * DAY_S


def test_what_decisions_rested_on_goes_with_the_records_of_its_month(tmp_path: Path) -> None:
    log, folder = filled(tmp_path / "audit"), tmp_path / "evidence"
    for moment in MONTHS:
        Evidence(folder, lambda moment=moment: moment).keep({"request": f"asked at {moment}"})
    purged(log, MONTHS[3])
    log.close()
    assert len(list(evidence.documents(folder))) == 3
    assert [path.name for path in sorted(folder.glob("*"))] == [f"evidence-2026-0{n}.jsonl" for n in (4, 5, 6)]


def test_the_command_purges_a_node_s_log_and_refuses_what_is_too_new(tmp_path: Path) -> None:
    table = TableSetup("t", tmp_path / "data" / "t.parquet", {"protected": False})
    (tmp_path / "data").mkdir()
    layout = write_layout(tmp_path / "made", [NodeSetup("hospital_a", "A", (table,))])
    config = layout.node_configs["hospital_a"]
    log = AuditLog(layout.state_dir("hospital_a") / "audit")
    for moment in (1_500_000_000.0, 1_503_000_000.0, 1_506_000_000.0):
        log.append("released", {"time": moment})
    log.close()

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "archipel.cli", "audit", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    refused = command("purge", "--config", str(config), "--before", f"{datetime.now(UTC):%Y-%m-%d}")
    assert refused.returncode == 3
    assert "at least a year" in refused.stderr
    planned = retention.plan(layout.state_dir("hospital_a") / "audit", NOW)
    assert (len(planned.hashes), len(planned.paths)) == (2, 2)
    done = command("purge", "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert "purged: 3 records" in done.stdout  # the agent has begun a new file, for the manifest
    keys = layout.directory / "federation"
    verified = command(
        *("verify", str(layout.state_dir("hospital_a")), "--manifest", str(keys / "manifest.jwt")),
        *("--authority-key", str(keys / "authority" / "authority.pub")),
    )
    assert verified.returncode == 0, verified.stdout
    assert "note: 3 of them were purged" in verified.stdout
