"""Signed documents: what was signed comes back, and nothing else is taken for it."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from archipel import errors, manifest, permit, receipt, request, tokens

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
NOW = 1_800_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=4))
def test_what_was_signed_comes_back(payload: dict[str, Any]) -> None:
    assert tokens.verify(tokens.sign(payload, "k", KEY), "k", KEY.public_key()) == payload


def test_one_payload_has_one_text_whatever_the_order_of_keys() -> None:
    assert tokens.sign({"a": 1, "b": 2}, "k", KEY) == tokens.sign({"b": 2, "a": 1}, "k", KEY)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_no_changed_byte_verifies(position: int, change: int) -> None:
    raw = bytearray(tokens.sign({"a": "value"}, "k", KEY).encode())
    raw[position % len(raw)] ^= change
    token = raw.decode("latin-1")
    try:
        payload = tokens.verify(token, "k", KEY.public_key())
    except tokens.TokenError:
        return
    assert payload == {"a": "value"}  # the last base64 digit carries bits that mean nothing


def forged(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_other_algorithms_and_none_are_refused() -> None:
    raw = KEY.public_key().public_bytes_raw()
    for token in (
        forged({"alg": "none", "typ": "k"}, {"a": 1}),
        forged({"alg": "HS256", "typ": "k"}, {"a": 1}, b"x"),
        jwt.encode({"a": 1}, raw + raw, algorithm="HS256", headers={"typ": "k"}),
        forged({"alg": "EdDSA", "typ": "k"}, {"a": 1}, b"0" * 64),
    ):
        with pytest.raises(tokens.TokenError):
            tokens.verify(token, "k", KEY.public_key())


@pytest.mark.parametrize("noise", ["", ".", "..", "a.b.c", "é.é.é", "eyJ.eyJ.x", "[" * 5000, "\x00", " "])
def test_noise_is_no_token(noise: str) -> None:
    with pytest.raises(tokens.TokenError):
        tokens.verify(noise, "k", KEY.public_key())
    with pytest.raises(tokens.TokenError):
        tokens.unverified_key_id(noise)


def test_deeply_nested_headers_and_payloads_end_in_an_error_of_ours() -> None:
    deep = "[" * 100_000
    header = base64.urlsafe_b64encode(deep.encode()).decode().rstrip("=")
    with pytest.raises(tokens.TokenError):
        tokens.verify(f"{header}.e30.e30", "k", KEY.public_key())
    with pytest.raises(tokens.TokenError):
        tokens.unverified_key_id(f"{header}.e30.e30")
    nested = jwt.api_jws.encode(deep.encode(), KEY, algorithm="EdDSA", headers={"typ": "k"})
    with pytest.raises(tokens.TokenError):
        tokens.verify(nested, "k", KEY.public_key())


def test_a_payload_that_is_no_object_or_no_text_is_refused() -> None:
    for payload in (b"[1]", b'"text"', b"5", b"not json", b'{"a": "\\ud800"}', b"\xff"):
        token = jwt.api_jws.encode(payload, KEY, algorithm="EdDSA", headers={"typ": "k"})
        with pytest.raises(tokens.TokenError):
            tokens.verify(token, "k", KEY.public_key())


def test_a_token_that_is_too_large_is_not_even_read() -> None:
    token = tokens.sign({"a": "x" * tokens.MAX_TOKEN_BYTES}, "k", KEY)
    with pytest.raises(tokens.TokenError):
        tokens.verify(token, "k", KEY.public_key())


def test_public_keys_survive_their_text_and_bad_texts_do_not() -> None:
    text = tokens.encode_public_key(KEY.public_key())
    assert tokens.key_id(tokens.decode_public_key(text)) == tokens.key_id(KEY.public_key())
    for bad in ("", "x", text[:-5], text + "AAAA", "é"):
        with pytest.raises(tokens.TokenError):
            tokens.decode_public_key(bad)


# --- the documents -----------------------------------------------------------------------------------------------


def sample_permit(**changes: Any) -> permit.Permit:
    return permit.Permit.model_validate(
        {
            "permit_id": "p1",
            "federation": "dev",
            "project": "x",
            "purpose": "y",
            "researchers": [{"name": "alice", "key": tokens.encode_public_key(KEY.public_key())}],
            "tables": [{"table": "Stays", "columns": ["region", "Days"]}, {"table": "ref", "columns": ["*"]}],
            "nodes": ["a"],
            "not_before": NOW - 1000,
            "expires": NOW + 1000,
            **changes,
        }
    )


def sample_request(**changes: Any) -> request.Request:
    return request.Request.model_validate(
        {"request_id": "12345678", "permit_id": "p1", "sql": "SELECT 1", "issued": NOW, **changes}
    )


def sample_manifest() -> manifest.Manifest:
    node = manifest.NodeEntry(
        name="a",
        holder="A",
        signing_key=tokens.encode_public_key(KEY.public_key()),
        sealing_key="x",
        certificate_sha256="0" * 64,
    )
    return manifest.Manifest(
        federation="dev", serial=1, issued=NOW, coordinator_certificate_sha256="0" * 64, nodes=(node,)
    )


def sample_receipt() -> receipt.ReceiptContent:
    digests = dict.fromkeys(("request_sha256", "sql_sha256", "content_sha256", "audit_record"), "0" * 64)
    return receipt.ReceiptContent(
        node="a",
        query_id="q",
        stage_id="s",
        attempt=1,
        permit_id="p1",
        form="aggregate",
        rule="r",
        min_persons=11,
        bytes=1,
        time=NOW,
        **digests,
    )


def test_one_kind_of_document_is_never_taken_for_another() -> None:
    signed = {
        "permit": permit.issue(sample_permit(), KEY),
        "request": request.sign(sample_request(), KEY),
        "manifest": manifest.issue(sample_manifest(), KEY),
        "receipt": receipt.sign(sample_receipt(), KEY),
    }
    public = KEY.public_key()
    verify = {
        "permit": lambda token: permit.verify(token, public, federation="dev", now=NOW),
        "request": lambda token: request.verify(token, sample_permit(), now=NOW),
        "manifest": lambda token: manifest.verify(token, public),
        "receipt": lambda token: receipt.verify(token, public),
    }
    for kind, check in verify.items():
        check(signed[kind])
        for other, token in signed.items():
            if other != kind:
                with pytest.raises(errors.DatabaseError):
                    check(token)


@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({}, NOW + 1000, "PERMIT_EXPIRED"),
        ({}, NOW + 10**9, "PERMIT_EXPIRED"),
        ({}, NOW - 1000 - tokens.CLOCK_SKEW_S - 1, "PERMIT_EXPIRED"),
        ({"federation": "other"}, NOW, "PERMIT_INVALID"),
        ({"researchers": [{"name": "alice", "key": "no key"}]}, NOW, "PERMIT_INVALID"),
    ],
)
def test_a_permit_that_does_not_hold_is_refused(changes: dict[str, Any], now: float, code: str) -> None:
    token = permit.issue(sample_permit(**changes), KEY)
    with pytest.raises(errors.NotAllowedError) as problem:
        permit.verify(token, KEY.public_key(), federation="dev", now=now)
    assert problem.value.code == code


def test_a_permit_holds_from_its_first_to_its_last_second_and_a_little_before() -> None:
    token = permit.issue(sample_permit(), KEY)
    for now in (NOW - 1000 - tokens.CLOCK_SKEW_S, NOW - 1000, NOW, NOW + 999):
        assert permit.verify(token, KEY.public_key(), federation="dev", now=now).permit == sample_permit()


def test_of_a_permit_that_was_read_before_only_the_signature_is_remembered() -> None:
    token = permit.issue(sample_permit(), KEY)
    first = permit.verify(token, KEY.public_key(), federation="dev", now=NOW)
    assert permit.verify(token, KEY.public_key(), federation="dev", now=NOW).permit is first.permit
    head, payload, signature = token.split(".")
    forged = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for again, key, federation_name, now, code in (
        (token, KEY, "dev", sample_permit().expires, "PERMIT_EXPIRED"),
        (token, KEY, "dev", 0, "PERMIT_EXPIRED"),
        (token, KEY, "other", NOW, "PERMIT_INVALID"),
        (token, OTHER, "dev", NOW, "PERMIT_INVALID"),
        (forged, KEY, "dev", NOW, "PERMIT_INVALID"),
    ):
        for _ in range(2):  # what does not hold is not remembered
            with pytest.raises(errors.ArchipelError) as problem:
                permit.verify(again, key.public_key(), federation=federation_name, now=now)
            assert problem.value.code == code


def test_a_permit_of_another_authority_is_refused() -> None:
    token = permit.issue(sample_permit(), OTHER)
    with pytest.raises(errors.NotAllowedError) as problem:
        permit.verify(token, KEY.public_key(), federation="dev", now=NOW)
    assert problem.value.code == "PERMIT_INVALID"


@pytest.mark.parametrize(
    "changes",
    [{"min_persons": 10}, {"min_persons": 0}, {"tables": []}, {"nodes": []}, {"extra": 1}, {"not_before": "1"}],
)
def test_a_permit_that_must_not_exist_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        sample_permit(**changes)


def test_grants_compare_names_whatever_their_case_and_nothing_more() -> None:
    granted = sample_permit()
    assert granted.allows_table("STAYS")
    assert granted.allows_column("stays", "DAYS")
    assert granted.allows_column("REF", "anything")
    assert not granted.allows_column("stays", "person")
    assert not granted.allows_column("stays", "*")
    assert not granted.allows_table("stay")
    assert not granted.allows_table("*")


def test_columns_of_several_grants_of_one_table_add_up() -> None:
    grants = [{"table": "t", "columns": ["a"]}, {"table": "T", "columns": ["b"]}]
    granted = sample_permit(tables=grants)
    assert granted.allows_column("t", "a")
    assert granted.allows_column("t", "b")


def test_the_grant_of_every_table_may_still_name_columns() -> None:
    granted = sample_permit(tables=[{"table": "*", "columns": ["region"]}])
    assert granted.allows_table("any")
    assert granted.allows_column("any", "region")
    assert not granted.allows_column("any", "person")


def test_a_request_is_the_named_researchers_or_refused() -> None:
    asked, name = request.verify(request.sign(sample_request(), KEY), sample_permit(), now=NOW)
    assert (asked, name) == (sample_request(), "alice")
    with pytest.raises(errors.NotAllowedError) as problem:
        request.verify(request.sign(sample_request(), OTHER), sample_permit(), now=NOW)
    assert problem.value.code == "REQUEST_SIGNATURE"


def test_a_key_identifier_that_is_claimed_is_not_believed() -> None:
    claimed = {"typ": request.REQUEST_KIND, "kid": tokens.key_id(KEY.public_key())}
    token = jwt.api_jws.encode(json.dumps({"a": 1}).encode(), OTHER, algorithm="EdDSA", headers=claimed)
    with pytest.raises(errors.NotAllowedError) as problem:
        request.verify(token, sample_permit(), now=NOW)
    assert problem.value.code == "REQUEST_SIGNATURE"


@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({"permit_id": "p2"}, NOW, "REQUEST_SIGNATURE"),
        ({}, NOW - tokens.CLOCK_SKEW_S - 1, "CLOCK_SKEW"),
        ({}, NOW + request.REQUEST_LIFETIME_S + 1, "REQUEST_SIGNATURE"),
        ({"sql": "é" * (request.MAX_SQL_BYTES // 2 + 1)}, NOW, "SQL_TOO_LARGE"),
    ],
)
def test_a_request_that_does_not_hold_is_refused(changes: dict[str, Any], now: float, code: str) -> None:
    token = request.sign(sample_request(**changes), KEY)
    with pytest.raises(errors.DatabaseError) as problem:
        request.verify(token, sample_permit(), now=now)
    assert problem.value.code == code


@pytest.mark.parametrize(
    "content",
    [
        {"sql": 5},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
        {"on_missing": "x"},
        {"extra": 1},
        {"request_id": "short"},
        {"parameters": [[1]]},
        {"parameters": [float("nan")]},
    ],
)
def test_a_malformed_request_is_told_by_the_name_of_its_field(content: dict[str, Any]) -> None:
    payload = {**sample_request().model_dump(mode="json"), **content}
    token = tokens.sign(payload, request.REQUEST_KIND, KEY)
    with pytest.raises(errors.ProgrammingError) as problem:
        request.verify(token, sample_permit(), now=NOW)
    assert problem.value.code == "BAD_REQUEST"
    assert next(iter(content)) in problem.value.info.message


def test_parameters_keep_their_types_through_the_signature() -> None:
    values = [1, True, 1.5, "1", None, "é"]
    asked, _ = request.verify(request.sign(sample_request(parameters=values), KEY), sample_permit(), now=NOW)
    assert [(type(v), v) for v in asked.parameters] == [(type(v), v) for v in values]


def test_a_manifest_names_every_node_once_and_only_the_authoritys_is_believed() -> None:
    whole = sample_manifest()
    assert manifest.verify(manifest.issue(whole, KEY), KEY.public_key()) == whole
    assert whole.node("a") is not None
    assert whole.node("b") is None
    with pytest.raises(errors.ProgrammingError, match="not signed by the authority"):
        manifest.verify(manifest.issue(whole, OTHER), KEY.public_key())
    payload = whole.model_dump(mode="json")
    twice = tokens.sign({**payload, "nodes": payload["nodes"] * 2}, manifest.MANIFEST_KIND, KEY)
    keyless = tokens.sign(
        {**payload, "nodes": [{**payload["nodes"][0], "signing_key": "x"}]}, manifest.MANIFEST_KIND, KEY
    )
    for token in (twice, keyless):
        with pytest.raises(errors.ProgrammingError):
            manifest.verify(token, KEY.public_key())


def test_a_receipt_is_the_nodes_or_refused() -> None:
    token = receipt.sign(sample_receipt(), KEY)
    assert receipt.verify(token, KEY.public_key()) == sample_receipt()
    assert receipt.read_unverified(token)["node"] == "a"
    with pytest.raises(errors.ProgrammingError, match="not signed by that node"):
        receipt.verify(token, OTHER.public_key())
    with pytest.raises(errors.ProgrammingError, match="no receipt"):
        receipt.read_unverified(permit.issue(sample_permit(), KEY))
