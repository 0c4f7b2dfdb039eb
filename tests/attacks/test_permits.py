"""Permits and requests that a node must not believe, each with a statement that a good permit would release."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import attack_ward as ward
import jwt
import pytest
from attack_attempts import FEDERATION, Attacker, marked
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import permit, receipt, request, tokens
from node_agent import audit
from node_agent.tasks import TaskOrder

STATEMENT = "SELECT region, count(*) AS n FROM stays GROUP BY region"

Papers = tuple[str, str]
"""A permit token and a request token."""


def papers(attacker: Attacker, **changes: Any) -> Papers:
    """Return a permit with ``changes``, signed by the authority, and a request for it."""
    granted = attacker.permit(**changes)
    asked = attacker.request(STATEMENT, permit_id=granted.permit_id)
    return permit.issue(granted, attacker.authority), request.sign(asked, attacker.key)


def asked(attacker: Attacker, key: Ed25519PrivateKey | None = None, **changes: Any) -> Papers:
    """Return a good permit, and a request with ``changes``, signed by ``key``."""
    signed = request.sign(attacker.request(STATEMENT, **changes), key or attacker.key)
    return papers(attacker)[0], signed


def forged(header: Mapping[str, Any], payload: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def payload_of(attacker: Attacker, **changes: Any) -> dict[str, Any]:
    """Return the payload of the attacker's permit with ``changes``."""
    return {**attacker.permit().model_dump(mode="json"), **changes}


def tampered(attacker: Attacker, **changes: Any) -> str:
    """Return the good permit with another payload under its signature."""
    header, _, signature = papers(attacker)[0].split(".")
    body = base64.urlsafe_b64encode(json.dumps(payload_of(attacker, **changes)).encode()).decode().rstrip("=")
    return f"{header}.{body}.{signature}"


def grants(**tables: tuple[str, ...]) -> tuple[permit.TableGrant, ...]:
    """Return grants of columns by table."""
    return tuple(permit.TableGrant(table=table, columns=columns) for table, columns in tables.items())


def named(key: Ed25519PrivateKey) -> tuple[permit.Researcher, ...]:
    """Return a list of researchers with one, who has ``key``."""
    return (permit.Researcher(name="other", key=tokens.encode_public_key(key.public_key())),)


def other_authority(attacker: Attacker) -> Papers:
    return permit.issue(attacker.permit(), Ed25519PrivateKey.generate()), papers(attacker)[1]


def own_authority(attacker: Attacker) -> Papers:
    return permit.issue(attacker.permit(), attacker.key), papers(attacker)[1]


def receipt_as_permit(attacker: Attacker) -> Papers:
    token = tokens.sign(payload_of(attacker), receipt.RECEIPT_KIND, attacker.authority)
    return token, papers(attacker)[1]


def manifest_as_permit(attacker: Attacker) -> Papers:
    return (attacker.layout.directory / "federation" / "manifest.jwt").read_text().strip(), papers(attacker)[1]


def no_algorithm(attacker: Attacker) -> Papers:
    header = {"alg": "none", "typ": permit.PERMIT_KIND, "kid": tokens.key_id(attacker.authority.public_key())}
    return forged(header, payload_of(attacker)), papers(attacker)[1]


def hmac_with_public_key(attacker: Attacker) -> Papers:
    public = attacker.authority.public_key().public_bytes_raw()
    token = jwt.encode(
        payload_of(attacker),
        public.ljust(32, b"0"),
        algorithm="HS256",
        headers={"typ": permit.PERMIT_KIND, "kid": tokens.key_id(attacker.authority.public_key())},
    )
    return token, papers(attacker)[1]


def embedded_key(attacker: Attacker) -> Papers:
    own = Ed25519PrivateKey.generate()
    public = base64.urlsafe_b64encode(own.public_key().public_bytes_raw()).decode().rstrip("=")
    headers = {"typ": permit.PERMIT_KIND, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": public}}
    body = json.dumps(payload_of(attacker)).encode()
    return jwt.api_jws.encode(body, own, algorithm="EdDSA", headers=headers), papers(attacker)[1]


def unencoded_payload(attacker: Attacker) -> Papers:
    headers = {"typ": permit.PERMIT_KIND, "b64": False, "crit": ["b64"]}
    body = json.dumps(payload_of(attacker)).encode()
    try:
        token = jwt.api_jws.encode(
            body, attacker.authority, algorithm="EdDSA", headers=headers, is_payload_detached=True
        )
    except jwt.PyJWTError:
        token = forged({**headers, "alg": "EdDSA"}, payload_of(attacker), b"x" * 64)
    return token, papers(attacker)[1]


def signed_payload(attacker: Attacker, **changes: Any) -> Papers:
    """Return a permit whose payload is not well-formed although the authority signed it."""
    return tokens.sign(payload_of(attacker, **changes), permit.PERMIT_KIND, attacker.authority), papers(attacker)[1]


def request_for_other_permit(attacker: Attacker) -> Papers:
    return papers(attacker)[0], request.sign(attacker.request(STATEMENT, permit_id="another"), attacker.key)


def request_as_permit(attacker: Attacker) -> Papers:
    _, token = papers(attacker)
    return token, token


def permit_as_request(attacker: Attacker) -> Papers:
    token = papers(attacker)[0]
    return token, token


def permit_kind_request(attacker: Attacker) -> Papers:
    body = attacker.request(STATEMENT).model_dump(mode="json")
    return papers(attacker)[0], tokens.sign(body, permit.PERMIT_KIND, attacker.key)


def tampered_request(attacker: Attacker) -> Papers:
    granted, token = papers(attacker)
    header, _, signature = token.split(".")
    body = json.dumps(attacker.request(STATEMENT).model_dump(mode="json")).encode()
    return granted, f"{header}.{base64.urlsafe_b64encode(body).decode().rstrip('=')}.{signature}"


def claimed_key(attacker: Attacker) -> Papers:
    """The attacker's request names the key of a researcher whom the permit names, and is signed by another."""
    headers = {"typ": request.REQUEST_KIND, "kid": tokens.key_id(attacker.key.public_key())}
    body = json.dumps(attacker.request(STATEMENT).model_dump(mode="json")).encode()
    token = jwt.api_jws.encode(body, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=headers)
    return papers(attacker)[0], token


def request_payload(attacker: Attacker, **changes: Any) -> Papers:
    """Return a request whose payload is not well-formed although the researcher signed it."""
    body = {**attacker.request(STATEMENT).model_dump(mode="json"), **changes}
    return papers(attacker)[0], tokens.sign(body, request.REQUEST_KIND, attacker.key)


NOW = int(time.time())
OTHER_KEY = Ed25519PrivateKey.generate()


@dataclass(frozen=True, slots=True)
class Forgery:
    """What is wrong with the papers, how they are made, and the error's code."""

    id: str
    make: Callable[[Attacker], Papers]
    code: str


FORGERIES = (
    Forgery("expired", lambda a: papers(a, not_before=NOW - 9000, expires=NOW - 5), "PERMIT_EXPIRED"),
    Forgery("expires-now", lambda a: papers(a, not_before=NOW - 9000, expires=int(time.time())), "PERMIT_EXPIRED"),
    Forgery("not-yet-valid", lambda a: papers(a, not_before=NOW + 3600, expires=NOW + 7200), "PERMIT_EXPIRED"),
    Forgery("other-federation", lambda a: papers(a, federation="other"), "PERMIT_INVALID"),
    Forgery("federation-in-capitals", lambda a: papers(a, federation=FEDERATION.upper()), "PERMIT_INVALID"),
    Forgery("other-authority", other_authority, "PERMIT_INVALID"),
    Forgery("signed-by-the-researcher", own_authority, "PERMIT_INVALID"),
    Forgery("receipt-as-permit", receipt_as_permit, "PERMIT_INVALID"),
    Forgery("manifest-as-permit", manifest_as_permit, "PERMIT_INVALID"),
    Forgery("request-as-permit", request_as_permit, "PERMIT_INVALID"),
    Forgery("no-algorithm", no_algorithm, "PERMIT_INVALID"),
    Forgery("hmac-with-the-public-key", hmac_with_public_key, "PERMIT_INVALID"),
    Forgery("key-in-the-header", embedded_key, "PERMIT_INVALID"),
    Forgery("unencoded-payload", unencoded_payload, "PERMIT_INVALID"),
    Forgery("more-tables", lambda a: (tampered(a, project="x"), papers(a)[1]), "PERMIT_INVALID"),
    Forgery("longer-validity", lambda a: (tampered(a, expires=NOW + 10**8), papers(a)[1]), "PERMIT_INVALID"),
    Forgery("cut-signature", lambda a: (papers(a)[0][:-8], papers(a)[1]), "PERMIT_INVALID"),
    Forgery("no-signature", lambda a: (papers(a)[0].rpartition(".")[0] + ".", papers(a)[1]), "PERMIT_INVALID"),
    Forgery("two-parts", lambda a: (papers(a)[0].rpartition(".")[0], papers(a)[1]), "PERMIT_INVALID"),
    Forgery("empty", lambda a: ("", papers(a)[1]), "PERMIT_INVALID"),
    Forgery("dots", lambda a: ("..", papers(a)[1]), "PERMIT_INVALID"),
    Forgery("not-ascii", lambda a: ("é" + papers(a)[0], papers(a)[1]), "PERMIT_INVALID"),
    Forgery("nul", lambda a: (papers(a)[0] + "\x00", papers(a)[1]), "PERMIT_INVALID"),
    Forgery("two-tokens", lambda a: (f"{papers(a)[0]}\n{papers(a)[0]}", papers(a)[1]), "PERMIT_INVALID"),
    Forgery("huge", lambda a: (papers(a)[0] + "A" * 3_000_000, papers(a)[1]), "PERMIT_INVALID"),
    Forgery("deep-header", lambda a: (_deep_header(), papers(a)[1]), "PERMIT_INVALID"),
    Forgery("number-as-payload", lambda a: (_signed_text(a, b"1"), papers(a)[1]), "PERMIT_INVALID"),
    Forgery("nan-in-payload", lambda a: (_signed_text(a, b'{"expires": NaN}'), papers(a)[1]), "PERMIT_INVALID"),
    Forgery("unknown-field", lambda a: signed_payload(a, linkage_to="all"), "PERMIT_INVALID"),
    Forgery("minimum-of-one", lambda a: signed_payload(a, min_persons=1), "PERMIT_INVALID"),
    Forgery("minimum-as-text", lambda a: signed_payload(a, min_persons="11"), "PERMIT_INVALID"),
    Forgery("expires-as-text", lambda a: signed_payload(a, expires=str(NOW + 3600)), "PERMIT_INVALID"),
    Forgery("expires-infinite", lambda a: signed_payload(a, expires=float("inf")), "PERMIT_INVALID"),
    Forgery("no-researchers", lambda a: signed_payload(a, researchers=[]), "PERMIT_INVALID"),
    Forgery("no-key", lambda a: signed_payload(a, researchers=[{"name": "x", "key": "?"}]), "PERMIT_INVALID"),
    Forgery("other-node", lambda a: papers(a, nodes=(ward.OTHER_NODE,)), "PERMIT_SCOPE"),
    Forgery("node-by-pattern", lambda a: papers(a, nodes=("*", "ch%", "chu ")), "PERMIT_SCOPE"),
    Forgery("other-table", lambda a: papers(a, tables=grants(drugs=("*",))), "PERMIT_SCOPE"),
    Forgery("table-by-pattern", lambda a: papers(a, tables=grants(**{"st*": ("*",), "stay": ("*",)})), "PERMIT_SCOPE"),
    Forgery("other-column", lambda a: papers(a, tables=grants(stays=("year", "sex"))), "PERMIT_SCOPE"),
    Forgery("column-by-pattern", lambda a: papers(a, tables=grants(stays=("r*", "region ", "%"))), "PERMIT_SCOPE"),
    Forgery(
        "column-of-other-table",
        lambda a: papers(a, tables=grants(stays=("year",), regions=("region",))),
        "PERMIT_SCOPE",
    ),
    Forgery("researcher-not-named", lambda a: papers(a, researchers=named(OTHER_KEY)), "REQUEST_SIGNATURE"),
    Forgery("signed-by-other-key", lambda a: asked(a, OTHER_KEY), "REQUEST_SIGNATURE"),
    Forgery("signed-by-the-authority", lambda a: asked(a, a.authority), "REQUEST_SIGNATURE"),
    Forgery("claims-another-s-key", claimed_key, "REQUEST_SIGNATURE"),
    Forgery("request-for-other-permit", request_for_other_permit, "REQUEST_SIGNATURE"),
    Forgery("permit-as-request", permit_as_request, "REQUEST_SIGNATURE"),
    Forgery("request-of-the-permit-s-kind", permit_kind_request, "REQUEST_SIGNATURE"),
    Forgery("tampered-request", tampered_request, "REQUEST_SIGNATURE"),
    Forgery("empty-request", lambda a: (papers(a)[0], ""), "REQUEST_SIGNATURE"),
    Forgery("huge-request", lambda a: (papers(a)[0], papers(a)[1] + "A" * 3_000_000), "REQUEST_SIGNATURE"),
    Forgery("stale-request", lambda a: asked(a, issued=NOW - 25 * 3600), "REQUEST_SIGNATURE"),
    Forgery("request-of-1970", lambda a: asked(a, issued=0), "REQUEST_SIGNATURE"),
    Forgery("request-from-the-future", lambda a: asked(a, issued=NOW + 600), "CLOCK_SKEW"),
    Forgery("request-with-unknown-field", lambda a: request_payload(a, as_node="chr"), "BAD_REQUEST"),
    Forgery("request-without-sql", lambda a: request_payload(a, sql=None), "BAD_REQUEST"),
    Forgery("request-with-endless-time", lambda a: request_payload(a, timeout_s=10**9), "BAD_REQUEST"),
)


def _deep_header() -> str:
    header = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    return base64.urlsafe_b64encode(header).decode().rstrip("=") + ".e30.eA"


def _signed_text(attacker: Attacker, payload: bytes) -> str:
    headers = {"typ": permit.PERMIT_KIND, "kid": tokens.key_id(attacker.authority.public_key())}
    return jwt.api_jws.encode(payload, attacker.authority, algorithm="EdDSA", headers=headers)


def ordered(attacker: Attacker, name: str, given: Papers, sql: str = STATEMENT) -> TaskOrder:
    """Return an order under ``given`` papers."""
    return replace(attacker.order(name, sql), permit=given[0], request=given[1])


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.id)
def test_a_node_does_not_believe(forgery: Forgery, attacker: Attacker) -> None:
    outcome = attacker.send(ordered(attacker, f"permit-{forgery.id}", forgery.make(attacker)))
    assert outcome.other is None, repr(outcome.other)
    assert outcome.released is None
    assert outcome.error is not None
    assert outcome.error.code == forgery.code, str(outcome.error)
    assert not marked([outcome.texts])
    written = [r["kind"] for r in audit.records(attacker.audit_folder) if r.get("query") == f"permit-{forgery.id}"]
    assert written in (["refused"], ["failed"])
    assert forgery.code == "CLOCK_SKEW" or written == ["refused"]


def test_good_papers_are_believed(attacker: Attacker) -> None:
    outcome = attacker.send(ordered(attacker, "permit-good", papers(attacker)))
    assert outcome.released is not None
    assert outcome.released.num_rows == 3


def test_a_minimum_of_the_permit_holds(attacker: Attacker) -> None:
    outcome = attacker.send(ordered(attacker, "permit-minimum", papers(attacker, min_persons=31)))
    assert outcome.released is not None
    assert outcome.released.column("region").to_pylist() == ["Nord"]


def test_an_input_cannot_take_a_table_s_place(attacker: Attacker) -> None:
    given = attacker.order("input-shadows-table", STATEMENT, ["fill"])
    shadowing = replace(given, inputs={"STAYS": given.inputs["fill"]})
    outcome = attacker.send(shadowing)
    assert outcome.error is not None
    assert outcome.error.code == "BAD_REQUEST"


def test_an_input_with_other_columns_than_declared_is_refused(attacker: Attacker) -> None:
    given = attacker.order("input-other-columns", "SELECT count(*) FROM fill", ["fill"])
    lying = replace(given, inputs={"fill": attacker.order("x", "SELECT 1", ["suspects"]).inputs["suspects"]})
    outcome = attacker.send(lying, ["fill"])
    assert outcome.error is not None
    assert outcome.error.code == "BAD_REQUEST"


def test_keys_and_tokens_are_not_in_the_audit_log(attacker: Attacker) -> None:
    token, signed = papers(attacker)
    attacker.send(ordered(attacker, "permit-in-log", (token, signed)))
    log = b"".join(path.read_bytes() for path in Path(attacker.audit_folder).glob("*.jsonl"))
    assert b"permit-in-log" in log
    assert token.encode() not in log
    assert signed.encode() not in log
