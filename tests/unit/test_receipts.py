"""Receipts of a real task, checked by the command with nothing but files: what holds, what is wrong, what is open."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node_support as support
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import identity, manifest, permit, proof, receipt, tokens
from archipel.client.result import Result
from node_agent import audit, audit_proofs, audit_reading
from node_agent.audit import AuditLog
from node_agent.checkpoints import Checkpoints

SQL = "SELECT region, count(*) AS n FROM stays GROUP BY region"


@dataclass
class Given:
    """A release of a node, and the files of whoever checks its receipt."""

    folder: Path
    party: support.Party
    token: str
    permit: str
    request: str

    @property
    def content(self) -> receipt.ReceiptContent:
        return receipt.verify(self.token, self.party.node.public_key())

    def verify(self, *lines: str, **files: str) -> subprocess.CompletedProcess[str]:
        """Run the command over receipts; ``files`` are further options and what their files hold."""
        options: list[str] = []
        for name, text in files.items():
            path = self.folder / f"{name}.given"
            path.write_text(text, encoding="utf-8")
            options += [f"--{name}", str(path)]
        (self.folder / "receipts").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        parties = (
            "--manifest",
            str(self.folder / "manifest.jwt"),
            "--authority-key",
            str(self.folder / "authority.pub"),
        )
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "archipel.cli",
                "receipt",
                "verify",
                str(self.folder / "receipts"),
                *parties,
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def record(self) -> dict[str, Any]:
        """Return the audit record that the receipt names, as the node's log has it."""
        found = {known["hash"]: known for known in audit.records(self.folder / "node" / "audit")}
        return found[self.content.audit_record]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A node that has answered one question, whose receipt carries the newest checkpoint."""
    folder, party = tmp_path_factory.mktemp("receipts"), support.Party()
    node = folder / "node"
    node.mkdir()
    checkpoints = Checkpoints("hospital_a", "dev", party.node, every_records=1, now=lambda: support.NOW)
    runner = support.runner_of(node, party, checkpoint_in_receipts=True)
    assert runner.audit is not None
    runner.audit.close()
    runner.audit = log = AuditLog(node / "audit", checkpoints)
    signed, asked = party.permit(), party.request(sql=SQL)
    released = runner.run(party.order(SQL, permit_token=signed, request_token=asked), {})
    list(released.frames)
    token = released.finish()
    runner.engine.close()
    log.close()
    entry = manifest.NodeEntry(
        name="hospital_a",
        holder="CHU A",
        signing_key=tokens.encode_public_key(party.node.public_key()),
        sealing_key=tokens.encode_public_key(party.node.public_key()),
        certificate_sha256="0" * 64,
    )
    parties = manifest.Manifest(
        federation="dev", serial=1, issued=1, coordinator_certificate_sha256="0" * 64, nodes=(entry,)
    )
    (folder / "manifest.jwt").write_text(manifest.issue(parties, party.authority))
    identity.write_public_key(folder / "authority.pub", party.authority.public_key())
    return Given(folder, party, token, signed, asked)


def test_a_saved_result_s_receipts_are_checked_with_request_permit_record_and_proof(given: Given) -> None:
    answer = Result(
        "q1", pa.table({}), (), (), (given.token,), True, "", 0.0, request=given.request, permit=given.permit
    )
    answer.save_receipts(given.folder / "saved")
    log = given.folder / "node" / "audit"
    shown = audit_proofs.inclusion(log, given.content.audit_record, audit_reading.checkpoint_tokens(log)[-1])
    done = given.verify(
        *(given.folder / "saved").read_text().splitlines(), record=json.dumps(given.record()), proof=proof.write(shown)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "The receipt holds."
    assert "not checked" not in done.stdout
    for words in (
        "hospital_a let aggregates over at least 11 persons each in 1 groups",
        "Signed with the key that the manifest names for hospital_a (CHU A).",
        "Given under the permit p1, valid then: readmission; test.",
        f"Given for the question that alice signed: {SQL}",
        "The statement that ran: ",
        "is number 1 of 1 in the log of hospital_a",
    ):
        assert words in done.stdout
    assert proof.read_checkpoint(given.content.checkpoint).size == 1


def test_what_could_not_be_checked_is_said(given: Given) -> None:
    done = given.verify(given.token)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not checked") == 4
    assert given.verify(given.request).returncode == 3  # a request is no receipt, and there is none


def resigned(given: Given, **changes: object) -> str:
    """Return the receipt with changes that the node itself has signed."""
    return receipt.sign(given.content.model_copy(update=changes), given.party.node)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("signature", "not signed by that node"),
        ("node", "The manifest names no node"),
        ("permit-of-another-authority", "did not hold"),
        ("permit-of-later", "did not hold"),
        ("permit-for-others", "does not name this node"),
        ("permit-for-more-persons", "asks for groups of 20 persons"),
        ("request-of-another-key", "not signed by a researcher"),
        ("statement", "none of those that are here"),
        ("record", "says another 'query'"),
        ("record-statement", "not the one that the receipt names"),
        ("proof", "does not lead"),
    ],
)
def test_what_is_wrong_is_said_and_ends_with_3(given: Given, name: str, told: str) -> None:
    done = _wrong(given, name)
    assert done.returncode == 3, done.stdout + done.stderr
    assert told in done.stdout
    assert "1 of 1 receipts do NOT hold." in done.stdout
    assert "Traceback" not in done.stderr


def _wrong(given: Given, name: str) -> subprocess.CompletedProcess[str]:
    stranger, party = Ed25519PrivateKey.generate(), given.party
    if name == "signature":
        return given.verify(receipt.sign(given.content, stranger))
    if name == "node":
        return given.verify(resigned(given, node="nobody"))
    if name == "permit-of-another-authority":
        other = support.Party(researcher=party.researcher)
        return given.verify(given.token, permit=other.permit())
    if name == "permit-of-later":
        return given.verify(given.token, permit=party.permit(not_before=int(support.NOW) + 500))
    if name == "permit-for-others":
        return given.verify(given.token, permit=party.permit(nodes=["hospital_b"]))
    if name == "permit-for-more-persons":
        return given.verify(given.token, permit=party.permit(min_persons=20))
    if name == "request-of-another-key":
        other = support.Party(authority=party.authority, node=party.node)
        forged = other.request(sql=SQL)
        return given.verify(resigned(given, request_sha256=tokens.digest(forged)), given.permit, request=forged)
    if name == "statement":
        return given.verify(given.token, statement=SQL)
    log = given.folder / "node" / "audit"
    shown = audit_proofs.inclusion(log, given.content.audit_record, audit_reading.checkpoint_tokens(log)[-1])
    if name == "proof":
        other_record = "1" * 64
        forged_proof = shown.model_copy(update={"record": other_record})
        return given.verify(resigned(given, audit_record=other_record), proof=proof.write(forged_proof))
    record = {key: value for key, value in given.record().items() if key != "hash"}
    record |= {"query": "other"} if name == "record" else {"executed_sql": "SELECT 1"}
    return given.verify(resigned(given, audit_record=proof.record_hash(record)), record=json.dumps(record))


def test_a_permit_s_identifier_is_found_in_the_permit(given: Given) -> None:
    assert permit.read_unverified(given.permit)["permit_id"] == given.content.permit_id
