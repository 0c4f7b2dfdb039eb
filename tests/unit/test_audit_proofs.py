"""Checkpoints and proofs of the audit log: by the commands, on disk, and against the keys of a real manifest."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import errors, federation, identity, manifest, merkle, proof
from node_agent import audit, audit_proofs, audit_reading
from node_agent.audit import AuditLog
from node_agent.checkpoints import Checkpoints

WHO = {"researcher": "alice", "project": "readmission", "purpose": "test"}


@dataclass
class Clock:
    """A clock that stands until it is set."""

    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation of two nodes."""
    folder = tmp_path_factory.mktemp("keys") / "federation"
    nodes = [federation.NodeSpec("hospital_a", "A"), federation.NodeSpec("hospital_b", "B")]
    federation.init(folder, federation="dev", nodes=nodes, tables={"t": ["*"]}, **WHO)
    return folder


def signing_key(keys: Path, node: str = "hospital_a") -> Ed25519PrivateKey:
    return identity.load_signing_key(keys / "nodes" / node / "signing.pem")


def known_parties(keys: Path) -> manifest.Manifest:
    authority = identity.load_public_key(keys / "authority" / "authority.pub")
    return manifest.verify((keys / "manifest.jwt").read_text().strip(), authority)


def opened(folder: Path, key: Ed25519PrivateKey, **options: object) -> AuditLog:
    settings = {"every_records": 4, "now": Clock(), **options}
    return AuditLog(folder, Checkpoints("hospital_a", "dev", key, **settings))  # type: ignore[arg-type]


def sizes(folder: Path) -> list[int]:
    return [content.size for content in audit_reading.checkpoints(folder)]


def test_checkpoints_are_signed_at_the_start_every_few_records_now_and_then_and_at_the_end(
    tmp_path: Path, keys: Path
) -> None:
    clock, key = Clock(), signing_key(keys)
    log = opened(tmp_path, key, now=clock)
    assert sizes(tmp_path) == []  # nothing to sign yet
    for number in range(9):
        log.append("released", {"number": number})
    assert sizes(tmp_path) == [4, 8]
    log.tick()
    assert sizes(tmp_path) == [4, 8]
    clock.time += 3_600
    log.tick()
    log.tick()
    assert sizes(tmp_path) == [4, 8, 9]
    log.append("released", {})
    log.close()
    log.close()
    assert sizes(tmp_path) == [4, 8, 9, 10]
    unsigned = AuditLog(tmp_path)  # something that signs nothing
    unsigned.append("released", {})
    unsigned.close()
    opened(tmp_path, key).close()
    assert sizes(tmp_path) == [4, 8, 9, 10, 11]
    assert audit.verify(tmp_path).checkpoints == 5
    for token in audit_reading.checkpoint_tokens(tmp_path):
        assert proof.checkpoint_of(token, known_parties(keys)).node == "hospital_a"


def test_a_checkpoint_cut_short_by_a_crash_is_cut_off(tmp_path: Path, keys: Path) -> None:
    log = opened(tmp_path, signing_key(keys))
    for _ in range(4):
        log.append("released", {})
    log.close()
    path = tmp_path / audit.CHECKPOINTS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    assert audit.verify(tmp_path).problem == ""
    log = opened(tmp_path, signing_key(keys))
    log.append("released", {})
    log.close()
    assert sizes(tmp_path) == [4, 5]


def rewritten(folder: Path, count: int) -> None:
    """Write the whole log anew, without its second record, as whoever owns the folder can: chain, HEAD and all."""
    kept = [record for record in audit.records(folder) if record["sequence"] != 2][:count]
    for path in audit_reading.files(folder):
        path.unlink()
    previous, lines = audit.GENESIS, []
    for number, record in enumerate(kept, start=1):
        del record["hash"]
        record |= {"sequence": number, "previous": previous}
        previous = proof.record_hash(record)
        lines.append(audit_reading.line_of({**record, "hash": previous}))
    (folder / audit_reading.file_name(1)).write_bytes(b"".join(lines))
    (folder / audit.HEAD_FILE).write_text(f"{len(lines)} {previous}\n")


def test_a_log_that_was_written_anew_as_a_whole_does_not_fit_its_checkpoints(tmp_path: Path, keys: Path) -> None:
    log = opened(tmp_path, signing_key(keys))
    for number in range(10):
        log.append("released", {"number": number})
    log.close()
    rewritten(tmp_path, 9)
    assert "not those of the checkpoint of 4 records" in audit.verify(tmp_path).problem
    with pytest.raises(errors.OperationalError, match="checkpoint of 4 records"):
        AuditLog(tmp_path)
    rewritten(tmp_path, 3)
    assert "7 records that a checkpoint counts were removed" in audit.verify(tmp_path).problem
    (tmp_path / audit.CHECKPOINTS_FILE).unlink()  # and now nothing here shows it: whoever holds a checkpoint can
    assert audit.verify(tmp_path).problem == ""


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archipel.cli", "audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_officer_without_log_and_node_checks_proofs_by_the_command(tmp_path: Path, keys: Path) -> None:
    folder, away = tmp_path / "state" / "audit", tmp_path / "away"
    away.mkdir()
    log = opened(folder, signing_key(keys), every_records=3)
    hashes = [log.append("released", {"number": number, "asked_sql": "SELECT 'E10'"}) for number in range(8)]
    log.close()
    parties = ("--manifest", keys / "manifest.jwt", "--authority-key", keys / "authority" / "authority.pub")
    shown = command("checkpoints", tmp_path / "state")
    assert [line.split()[3] for line in shown.stdout.splitlines()] == ["3", "6", "8"]
    first = away / "first.jws"
    first.write_text(command("checkpoints", folder, "--tokens").stdout.splitlines()[0])

    assert command("prove", folder, "--record", hashes[4], "-o", away / "record.json").returncode == 0
    assert command("prove", folder, "--from", first, "-o", away / "grew.json").returncode == 0
    assert "E10" not in (away / "record.json").read_text()  # a proof shows the record's hash, never the record
    checked = command("verify-proof", away / "record.json", *parties)
    assert checked.returncode == 0, checked.stderr
    assert "is number 5 of the 8 records that hospital_a had" in checked.stdout
    checked = command("verify-proof", away / "grew.json", *parties)
    assert checked.returncode == 0, checked.stderr
    assert "begin with its 3 records" in checked.stdout
    verified = command("verify", folder, *parties)
    assert "3 checkpoints fit, their signatures too" in verified.stdout

    altered = json.loads((away / "record.json").read_text())
    (away / "record.json").write_text(json.dumps({**altered, "record": hashes[5]}))
    refused = command("verify-proof", away / "record.json", *parties)
    assert refused.returncode == 3
    assert "does not lead from the record" in refused.stderr
    missing = command("prove", folder, "--record", hashes[5], "--checkpoint", first)
    assert missing.returncode == 3
    assert "newer than the checkpoint" in missing.stderr
    assert command("prove", folder, "--record", "0" * 64).returncode == 3


def test_no_forged_checkpoint_or_proof_is_believed(tmp_path: Path, keys: Path) -> None:
    key, parties = signing_key(keys), known_parties(keys)
    log = opened(tmp_path, key)
    hashes = [log.append("released", {"number": number}) for number in range(9)]
    log.close()
    tokens = audit_reading.checkpoint_tokens(tmp_path)
    good = audit_proofs.inclusion(tmp_path, hashes[0], tokens[-1])
    grew = audit_proofs.consistency(tmp_path, tokens[0], tokens[-1])
    assert proof.verify(good, parties)["index"] == 0
    assert proof.verify(grew, parties)["first"].size == 4
    content = proof.read_checkpoint(tokens[-1])

    def signed(by: Ed25519PrivateKey, **changes: object) -> str:
        return proof.sign(content.model_copy(update=changes), by)

    others = signing_key(keys, "hospital_b")
    forgeries: list[proof.Proof] = [
        good.model_copy(update={"checkpoint": signed(Ed25519PrivateKey.generate())}),
        good.model_copy(update={"checkpoint": signed(others)}),
        good.model_copy(update={"checkpoint": signed(key, node="nobody")}),
        good.model_copy(update={"checkpoint": signed(key, federation="other")}),
        good.model_copy(update={"checkpoint": signed(key, root="0" * 64)}),
        good.model_copy(update={"checkpoint": signed(key, size=8)}),
        good.model_copy(update={"checkpoint": (keys / "manifest.jwt").read_text().strip()}),
        good.model_copy(update={"checkpoint": "noise"}),
        good.model_copy(update={"index": 1}),
        good.model_copy(update={"record": hashes[1]}),
        good.model_copy(update={"path": good.path[1:]}),
        grew.model_copy(update={"first": tokens[1]}),
        grew.model_copy(update={"second": signed(key, root=proof.read_checkpoint(tokens[0]).root)}),
        grew.model_copy(update={"second": signed(others, node="hospital_b")}),
        grew.model_copy(update={"path": ()}),
    ]
    for forged in forgeries:
        with pytest.raises(errors.ArchipelError) as refused:
            proof.verify(forged, parties)
        assert refused.value.code == "BAD_REQUEST"
    for text in ("", "{}", "[" * 100_000, '{"format": "archipel-inclusion/1"}', "\ud800", json.dumps(good.record)):
        with pytest.raises(errors.ArchipelError, match="proof"):
            proof.read(text)
    assert proof.read(proof.write(good)) == good


def test_the_tree_grows_with_the_log_and_is_not_computed_anew(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in hashes of inner nodes: on average one a record, and a few more for each checkpoint."""
    log = opened(tmp_path, signing_key(keys), every_records=64)
    for number in range(128):
        log.append("released", {"number": number})
    counted = 0
    real = merkle.node_hash

    def counting(left: bytes, right: bytes) -> bytes:
        nonlocal counted
        counted += 1
        return real(left, right)

    monkeypatch.setattr(merkle, "node_hash", counting)
    for number in range(128):
        log.append("released", {"number": number})
    assert counted <= 128 + 2 * 8
    log.close()
