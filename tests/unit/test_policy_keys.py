"""Every key of a policy: what is legal, what the border check gets to know of it, and what a mistake is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from archipel import errors, policy, policy_schema, schema

SCHEMA = policy_schema.json_schema()


def of(text: str) -> str:
    """Return a policy file that says this of the table ``stays``."""
    return f"version: 1\ntables:\n  stays:\n{text}"


def load(folder: Path, text: str) -> policy.Policy:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return policy.load(path)[0]


def rules(folder: Path, text: str, *columns: str) -> schema.TablePolicy:
    """Return what a policy says of the table ``stays``; the file's schema must accept it, too."""
    jsonschema.validate(yaml.safe_load(of(text)), SCHEMA)
    return load(folder, of(text)).rules_for("stays").for_columns(columns)


def test_a_table_without_keys_has_the_strictest_limits(tmp_path: Path) -> None:
    assert rules(tmp_path, "    {}\n", "a") == schema.TablePolicy(roles=(("a", schema.Role.HIDDEN),))
    assert schema.TablePolicy().dominance == schema.Dominance(2, 0.9, 10.0, 10)


def test_a_role_is_a_word_or_a_mapping_with_its_bin(tmp_path: Path) -> None:
    text = """\
    columns:
      region: group
      Birth_Month: {role: identifier, bin: year}
      commune: {role: identifier, bin: "prefix:2"}
      age: {role: identifier, bin: "width:5"}
      death: {role: identifier}
      died: identifier
      stay: link
      days: {role: measure}
"""
    found = rules(tmp_path, text, "region", "birth_month", "commune", "age", "death", "died", "stay", "days", "other")
    assert [role.value for _, role in found.roles] == [
        *("group", "identifier", "identifier", "identifier", "identifier", "identifier", "link", "measure", "hidden")
    ]
    assert found.bins == (("Birth_Month", "year"), ("commune", "prefix:2"), ("age", "width:5"))


def test_limits_on_dominance_are_the_defaults_where_nothing_is_written(tmp_path: Path) -> None:
    assert rules(tmp_path, "    dominance: {top: 3, share: 0.7}\n").dominance == schema.Dominance(3, 0.7, 10.0, 10)
    text = "    dominance: {share: 0.95, min_degrees: 5, because: agreed with the ethics board on costs}\n"
    assert rules(tmp_path, text).dominance == schema.Dominance(2, 0.95, 10.0, 5)


def test_rounding_scopes_and_sensitive_codes_reach_the_border_check(tmp_path: Path) -> None:
    text = """\
    rounding: 5
    threshold_scope: [federation, node]
    min_persons: 20
    sensitive:
    - {column: diagnosis, prefixes: [B20, "042"], min_persons: 50}
"""
    found = rules(tmp_path, text, "diagnosis")
    assert found.rounding == 5
    assert found.scopes == (schema.Scope.NODE, schema.Scope.FEDERATION)
    assert found.sensitive == (schema.SensitiveCodes("diagnosis", ("B20", "042"), 50),)
    assert load(tmp_path, of(text)).rules_for("stays").named_columns() == ("diagnosis",)
    assert rules(tmp_path, "    threshold_scope: federation\n").scopes == (schema.Scope.FEDERATION,)


MISTAKES = [
    ("    columns: {a: groups}\n", "line 4: 'tables.stays.columns.a': a column's role is public, group, identifier,"),
    ("    columns:\n      a: {rol: group}\n", "line 5: unknown key 'tables.stays.columns.a.rol'. Did you mean 'role'?"),
    ("    columns: {a: {bin: year}}\n", "the key 'tables.stays.columns.a.role' is missing"),
    ("    columns: {a: {role: group, bin: year}}\n", "a bin is for columns of role identifier, not group"),
    ("    columns: {a: [group]}\n", "a column's role is"),
    ("    columns: {a: {role: identifier, bin: decade}}\n", "'tables.stays.columns.a.bin': a bin is year, quarter,"),
    ("    columns: {a: {role: identifier, bin: 'prefix:0'}}\n", "a bin is year"),
    ("    columns: {a: {role: identifier, bin: 'width:1'}}\n", "multiples of N, 2 or more"),
    ("    columns: {a: {role: identifier, bin: 5}}\n", "a bin is year"),
    ("    columns: {a: group, A: identifier}\n", "two columns differ only in upper and lower case"),
    ("    other_columns: identifer\n", "'tables.stays.other_columns': input should be 'public'"),
    ("    dominance: {share: 0.95}\n", "share 0.95 (default 0.9) is weaker than the default; say why in 'because'"),
    ("    dominance: {top: 1, p_percent: 0}\n", "top 1 (default 2) and p_percent 0 (default 10) is weaker"),
    ("    dominance: {share: 0.95, because: ' '}\n", "is weaker than the default"),
    ("    dominance: {share: 0}\n", "line 4: 'tables.stays.dominance.share': input should be greater than 0"),
    ("    dominance: {share: 90}\n", "'tables.stays.dominance.share': input should be less than or equal to 1"),
    ("    dominance: {topp: 2}\n", "Did you mean 'top'? Allowed here: because, min_degrees, p_percent, share, top"),
    ("    dominance: none\n", "'tables.stays.dominance': input should be a valid dictionary"),
    ("    rounding: 1\n", "'tables.stays.rounding': 1 rounds nothing"),
    ("    rounding: -5\n", "'tables.stays.rounding': input should be greater than or equal to 0"),
    ("    threshold_scope: []\n", "'tables.stays.threshold_scope': tuple should have at least 1 item"),
    ("    threshold_scope: [node, node]\n", "a scope stands twice"),
    ("    threshold_scope: nation\n", "input should be 'node' or 'federation'"),
    ("    sensitive: [{column: a, prefixes: [B20], min_persons: 11}]\n", "must be more than the table's, which is 11"),
    ("    sensitive: [{column: a, prefixes: [''], min_persons: 50}]\n", "an empty beginning is that of every code"),
    ("    sensitive: [{column: a, prefixes: [042], min_persons: 50}]\n", "prefixes.0': input should be a valid string"),
    ("    sensitive: [{column: a, prefixes: [], min_persons: 50}]\n", "'tables.stays.sensitive.0.prefixes'"),
    ("    sensitive: [{prefixes: [x], min_persons: 50}]\n", "the key 'tables.stays.sensitive.0.column' is missing"),
    ("    protected: false\n    rounding: 5\n", "line 3: 'tables.stays': 'rounding' is for protected tables"),
    ("    protected: false\n    dominance: {}\n", "'dominance' is for protected tables"),
    ("    protected: false\n    columns: {a: link}\n", "the role link of 'a' is for protected tables"),
    (
        "    protected: false\n    other_columns: identifier\n",
        "the role identifier of the other columns is for protected",
    ),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES, ids=[text.strip().replace("\n", ";") for text, _ in MISTAKES])
def test_a_mistake_is_told_with_line_and_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(errors.ProgrammingError) as caught:
        load(tmp_path, of(text))
    assert caught.value.code == "CONFIG_INVALID"
    assert told in caught.value.info.message


TOLD_BY_THE_READER = (
    *("differ only", "weaker", "1 rounds", "must be more", "role link", "of the other columns", "empty beginning"),
    *("stands twice", "not group", "multiples"),
)
"""Words of the mistakes that a schema does not see: it does not compare keys with each other."""


@pytest.mark.parametrize(
    "text", [text for text, told in MISTAKES if not any(word in told for word in TOLD_BY_THE_READER)], ids=str.strip
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    content: Any = yaml.safe_load(of(text))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)


def test_the_schema_is_a_schema_that_describes_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json.loads(policy_schema.schema_text())
    for name, part in {**SCHEMA["$defs"], "": SCHEMA}.items():
        for option in part.get("anyOf", [part]):
            for key, content in option.get("properties", {}).items():
                assert content.get("description") or "$ref" in content, f"{name}.{key}"
