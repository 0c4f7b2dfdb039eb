"""Project pseudonyms: the engine's HMAC is the standard's, keys belong to permit and epoch, secrets stay in files."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from archipel import errors, linkage
from archipel.linkage import PADS_TABLE, Linkage

SECRET = bytes(range(32))
LINKAGE = Linkage(SECRET, 7)


def in_engine(values: Sequence[object], kind: str, permit_id: str = "permit-1") -> list[bytes | None]:
    """Return the pseudonyms that DuckDB computes, in the values' order."""
    database = duckdb.connect(config={"threads": 1})
    database.execute(f"CREATE TABLE people (n INTEGER, person {kind})")
    if values:
        database.executemany("INSERT INTO people VALUES (?, ?)", list(enumerate(values)))
    database.register(PADS_TABLE, LINKAGE.pads(permit_id))
    query = exp.select(linkage.pseudonym(exp.column("person", "people"))).from_("people")
    query = query.join(exp.to_table(PADS_TABLE), join_type="CROSS").order_by("n")
    return [row[0] for row in database.execute(query.sql("duckdb", identify=True)).fetchall()]


def by_hand(text: str, permit_id: str = "permit-1") -> bytes:
    """Return the HMAC by Python's own implementation."""
    return hmac.new(LINKAGE.key(permit_id), text.encode(), hashlib.sha256).digest()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_engine_computes_the_hmac_of_the_standard(persons: list[str]) -> None:
    assert in_engine(persons, "VARCHAR") == [by_hand(person) for person in persons]


def test_long_and_empty_texts_are_hashed_too() -> None:
    persons = ["", "x" * 64, "y" * 1000, "é" * 70]
    assert in_engine(persons, "VARCHAR") == [by_hand(person) for person in persons]


def test_nobody_has_no_pseudonym() -> None:
    assert in_engine([None, "p1"], "VARCHAR") == [None, by_hand("p1")]


def test_a_number_and_its_text_are_the_same_person() -> None:
    assert in_engine([42, -1], "BIGINT") == in_engine(["42", "-1"], "VARCHAR") == [by_hand("42"), by_hand("-1")]


def test_a_pseudonym_is_32_bytes_of_the_declared_type() -> None:
    database = duckdb.connect()
    database.register(PADS_TABLE, LINKAGE.pads("p"))
    query = exp.select(linkage.pseudonym(exp.Literal.string("p1"))).from_(PADS_TABLE)
    described = database.sql(query.sql("duckdb"))
    assert [str(kind) for kind in described.types] == [linkage.PERSON_TYPE]
    assert len(described.fetchall()[0][0]) == 32


def test_the_pads_are_those_of_the_standard() -> None:
    (row,) = LINKAGE.pads("permit-1").to_pylist()
    key = LINKAGE.key("permit-1") + bytes(32)
    assert row == {"inner": bytes(b ^ 0x36 for b in key), "outer": bytes(b ^ 0x5C for b in key)}


def test_the_project_key_is_the_one_of_rfc_5869() -> None:
    # Extract and expand written out: an independent computation of HKDF-SHA256 without a salt.
    extracted = hmac.new(bytes(32), SECRET, hashlib.sha256).digest()
    purpose = b'["archipel", "pseudonym", 1, 7, "permit-1"]'
    assert LINKAGE.key("permit-1") == hmac.new(extracted, purpose + b"\x01", hashlib.sha256).digest()


def test_two_permits_two_epochs_and_two_secrets_have_nothing_in_common() -> None:
    keys = {
        LINKAGE.key("permit-1"),
        LINKAGE.key("permit-2"),
        Linkage(SECRET, 8).key("permit-1"),
        Linkage(SECRET[::-1], 7).key("permit-1"),
        LINKAGE.key('permit-1", 2'),
    }
    assert len(keys) == 5


def test_the_secret_is_in_no_text_of_the_object() -> None:
    assert "secret" not in repr(LINKAGE)
    assert str(SECRET) not in str(LINKAGE)


@pytest.mark.parametrize(("secret", "epoch"), [(b"short", 1), (SECRET[:31], 1), (SECRET, 0), (SECRET, 2**32)])
def test_a_weak_secret_or_an_impossible_epoch_is_no_linkage(secret: bytes, epoch: int) -> None:
    with pytest.raises(ValueError, match=r"at least 32 bytes|between 1 and"):
        Linkage(secret, epoch)


def test_a_secret_survives_its_file(tmp_path: Path) -> None:
    made = linkage.create(3)
    path = tmp_path / "secrets" / "linkage.json"
    linkage.write(path, made)
    assert linkage.load(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert linkage.create().secret != linkage.create().secret


def test_a_secret_may_be_written_as_yaml(tmp_path: Path) -> None:
    path = _file(tmp_path, f"epoch: 7\nsecret: {base64.b64encode(SECRET).decode()}\n")
    assert linkage.load(path) == LINKAGE


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601, 0o620, 0o666])
def test_a_secret_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, json.dumps({"epoch": 7, "secret": base64.b64encode(SECRET).decode()}))
    path.chmod(mode)
    with pytest.raises(errors.ArchipelError, match="by others") as caught:
        linkage.load(path)
    assert caught.value.code == "CONFIG_INVALID"
    assert "chmod 600" in caught.value.hint


def test_the_group_may_read_a_secret_as_in_a_container_s_volume(tmp_path: Path) -> None:
    path = _file(tmp_path, json.dumps({"epoch": 7, "secret": base64.b64encode(SECRET).decode()}))
    path.chmod(0o440)
    assert linkage.load(path) == LINKAGE


SOUND = base64.b64encode(SECRET).decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        SOUND,
        f"secret: {SOUND}",
        "epoch: 1",
        f"epoch: 0\nsecret: {SOUND}",
        f"epoch: '1'\nsecret: {SOUND}",
        f"epoch: 1.0\nsecret: {SOUND}",
        f"epoch: true\nsecret: {SOUND}",
        f"epoch: 1\nsecret: {SOUND[:-4]}",
        f"epoch: 1\nsecret: {SOUND[:-1]}",
        f"epoch: 1\nsecret: '{SOUND}!'",
        f"epoch: 1\nsecret: '{SOUND} {SOUND}'",
        f"epoch: 1\nsecret: {base64.b64encode(SECRET[:31]).decode()}",
        "epoch: 1\nsecret: 12345678901234567890123456789012",
        f"epoch: 1\nsecret: {SOUND}\nmore: 1",
        f"epoch: 1\nepoch: 2\nsecret: {SOUND}",
    ],
)
def test_any_other_file_is_refused_and_not_quoted(tmp_path: Path, content: str) -> None:
    with pytest.raises(errors.ArchipelError) as caught:
        linkage.load(_file(tmp_path, content))
    assert caught.value.code == "CONFIG_INVALID"
    assert SOUND[:20] not in f"{caught.value} {caught.value.hint}"


def test_a_missing_secret_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(errors.ArchipelError) as caught:
            linkage.load(path)
        assert caught.value.code == "CONFIG_INVALID"


def _file(folder: Path, content: str) -> Path:
    path = folder / "linkage.yaml"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    return path
