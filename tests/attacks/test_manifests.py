"""Manifests and receipts that nobody must believe: forged, altered, of other kinds and federations."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attack_ward as ward
import pytest
from attack_attempts import Attacker, prepare
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import errors, identity, manifest, permit, proof, receipt, receipt_check, tokens
from node_agent import audit, config
from node_agent.assembly import assemble
from node_agent.manifest_memory import MEMORY_FILE

pytestmark = pytest.mark.attack("forged-manifests-receipts")

STRANGER = Ed25519PrivateKey.generate()


def _genuine(attacker: Attacker) -> manifest.Manifest:
    return manifest.verify(_token(attacker), attacker.authority.public_key())


def _token(attacker: Attacker) -> str:
    return (attacker.layout.directory / "federation" / "manifest.jwt").read_text().strip()


def _with_key(attacker: Attacker, name: str, field: str, value: str, *, key: Ed25519PrivateKey) -> str:
    """Return a manifest in which a node has another key, signed with ``key``."""
    known = _genuine(attacker)
    nodes = tuple(node.model_copy(update={field: value}) if node.name == name else node for node in known.nodes)
    return manifest.issue(known.model_copy(update={"nodes": nodes}), key)


def _altered(attacker: Attacker) -> str:
    header, body, signature = _token(attacker).split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=="))
    content["nodes"][0]["signing_key"] = tokens.encode_public_key(STRANGER.public_key())
    other = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"{header}.{other}.{signature}"


def _as_other_kind(attacker: Attacker) -> str:
    return tokens.sign(_genuine(attacker).model_dump(mode="json"), permit.PERMIT_KIND, attacker.authority)


def _without_the_node(attacker: Attacker) -> str:
    known = _genuine(attacker)
    nodes = tuple(node for node in known.nodes if node.name != ward.NODE)
    return manifest.issue(known.model_copy(update={"nodes": nodes}), attacker.authority)


MANIFESTS: dict[str, Callable[[Attacker], str]] = {
    "signed by somebody else": lambda a: manifest.issue(_genuine(a), STRANGER),
    "signed by the researcher": lambda a: manifest.issue(_genuine(a), a.key),
    "altered": _altered,
    "another kind of document": _as_other_kind,
    "a permit": lambda a: permit.issue(a.permit(), a.authority),
    "not signed": lambda a: _token(a).rpartition(".")[0] + ".",
    "without this node": _without_the_node,
    "another signing key for this node": lambda a: _with_key(
        a, ward.NODE, "signing_key", tokens.encode_public_key(STRANGER.public_key()), key=a.authority
    ),
    "another sealing key for this node": lambda a: _with_key(
        a, ward.NODE, "sealing_key", tokens.encode_public_key(STRANGER.public_key()), key=a.authority
    ),
    "another certificate for this node": lambda a: _with_key(
        a, ward.NODE, "certificate_sha256", "0" * 64, key=a.authority
    ),
    "another federation": lambda a: manifest.issue(_genuine(a).model_copy(update={"federation": "other"}), a.authority),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_node_does_not_start_with_a_manifest_that_is(name: str, attacker: Attacker, tmp_path: Path) -> None:
    path = tmp_path / "manifest.jwt"
    path.write_text(MANIFESTS[name](attacker))
    known = config.load(attacker.layout.node_configs[ward.NODE])
    changed = known.model_copy(update={"federation": known.federation.model_copy(update={"manifest": path})})
    with pytest.raises(errors.ArchipelError) as refused:
        assemble(changed, with_audit=False)
    assert refused.value.code == "CONFIG_INVALID"


def test_a_node_that_has_had_a_newer_manifest_takes_no_older_one(tmp_path: Path) -> None:
    """An old manifest is signed, too, and may name a stolen key that was replaced since."""
    node = prepare(tmp_path)
    node.node.close()
    known, genuine, path = config.load(node.layout.node_configs[ward.NODE]), _genuine(node), tmp_path / "newer.jwt"
    path.write_text(manifest.issue(genuine.model_copy(update={"serial": genuine.serial + 1}), node.authority))
    newer = known.model_copy(update={"federation": known.federation.model_copy(update={"manifest": path})})
    assemble(newer).close()
    assemble(newer).close()
    with pytest.raises(errors.ArchipelError, match="has had 2 before"):
        assemble(known)
    told = [record["serial"] for record in audit.records(node.audit_folder) if record["kind"] == "manifest"]
    assert told == [1, 2]
    (known.state_dir / MEMORY_FILE).write_text("{}")
    with pytest.raises(errors.ArchipelError, match="not known which manifest"):
        assemble(newer)
    node.raw.close()


def _receipt(attacker: Attacker, query: str) -> receipt.ReceiptContent:
    outcome = attacker.send(attacker.order(query, "SELECT region, count(*) AS n FROM stays GROUP BY region"))
    assert outcome.receipt is not None
    return outcome.receipt


Change = Callable[[Attacker, receipt.ReceiptContent], str]

RECEIPTS: dict[str, Change] = {
    "signed by somebody else": lambda a, r: receipt.sign(r, STRANGER),
    "signed by another node": lambda a, r: receipt.sign(r, _key_of(a, ward.OTHER_NODE)),
    "in another node's name": lambda a, r: receipt.sign(
        r.model_copy(update={"node": ward.OTHER_NODE}), _key_of(a, ward.NODE)
    ),
    "of no node": lambda a, r: receipt.sign(r.model_copy(update={"node": "nobody"}), _key_of(a, ward.NODE)),
    "a checkpoint": lambda a, r: proof.sign(
        proof.Checkpoint(federation="demo", node=ward.NODE, size=1, root="0" * 64, time=1), _key_of(a, ward.NODE)
    ),
    "another kind of document": lambda a, r: tokens.sign(
        r.model_dump(mode="json"), permit.PERMIT_KIND, _key_of(a, ward.NODE)
    ),
}


def _key_of(attacker: Attacker, node: str) -> Ed25519PrivateKey:
    return identity.load_signing_key(attacker.layout.directory / "federation" / "nodes" / node / "signing.pem")


@pytest.mark.parametrize("name", RECEIPTS)
def test_nobody_takes_for_a_node_s_receipt_what_is(name: str, attacker: Attacker) -> None:
    content = _receipt(attacker, f"receipt-{name}")
    federation, authority = _genuine(attacker), attacker.authority.public_key()
    genuine: Any = receipt.sign(content, _key_of(attacker, ward.NODE))
    assert receipt_check.check(genuine, federation, authority, receipt_check.papers()).good
    forged = RECEIPTS[name](attacker, content)
    assert not receipt_check.check(forged, federation, authority, receipt_check.papers()).good
