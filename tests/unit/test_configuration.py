"""Configuration files: every mistake is told with its file, line, key and what would be allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from archipel import configuration, errors, policy, schema
from node_agent.config import NodeConfig


class Inner(configuration.Section):
    size: int = Field(default=1, ge=1)
    kind: Literal["red", "green"] = "red"


class Outer(configuration.Section):
    name: str
    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()


def load(tmp_path: Path, text: str | bytes) -> Outer:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return configuration.load(path, Outer)


def test_a_good_file_is_read_and_frozen(tmp_path: Path) -> None:
    found = load(tmp_path, "name: é\ninner: {size: 3}\nitems:\n- kind: green\n")
    assert found == Outer(name="é", inner=Inner(size=3), items=(Inner(kind="green"),))
    with pytest.raises(ValueError, match="frozen"):
        found.name = "x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nam: x\n", ["line 1: unknown key 'nam'. Did you mean 'name'? Allowed here: inner, items, name."]),
        ("inner:\n  size: 2\n", ["line 1: the key 'name' is missing."]),
        (
            "name: x\ninner:\n  size: 2\n  knd: red\n",
            ["line 4: unknown key 'inner.knd'. Did you mean 'kind'? Allowed here: kind, size."],
        ),
        ("name: x\nitems:\n- size: 1\n- sise: 2\n", ["line 4: unknown key 'items.1.sise'. Did you mean 'size'?"]),
        ("name: x\ninner:\n  kind: blue\n", ["line 3: 'inner.kind': input should be 'red' or 'green'."]),
        ("name: x\ninner:\n  size: 0\n", ["line 3: 'inner.size': input should be greater than or equal to 1."]),
        ("name: x\ninner:\n  size: many\n", ["line 3: 'inner.size': input should be a valid integer"]),
        ("name: x\ninner: 5\n", ["line 2: 'inner': input should be a valid dictionary"]),
        ("nam: x\ninner:\n  size: 0\n", ["line 1: unknown key 'nam'", "line 3: 'inner.size'", "'name' is missing"]),
        ("name: x\nname: y\n", ["line 2: the key 'name' stands twice."]),
        ("name: x\ninner:\n  size: 1\n  size: 2\n", ["line 4: the key 'size' stands twice."]),
        ("name: [x\n", ["line 2, column 1:"]),
        ("name: x\n\tinner: 1\n", ["line 2, column 1:"]),
        ("- a\n- b\n", ["must hold keys and values"]),
        ("", ["must hold keys and values"]),
        ("name: 2023-99-99\n", ["a value cannot be read"]),
        ("? [a, b]\n: c\n", ["line 1, column 3:"]),
        ("name: !!python/object/apply:os.system [ls]\n", ["line 1, column 7: could not determine a constructor"]),
        (b"name: \xe9\n", ["it is not UTF-8 text"]),
        ("a: " + "x" * configuration.MAX_BYTES, ["is larger than"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(
    tmp_path: Path, text: str | bytes, told: list[str]
) -> None:
    with pytest.raises(errors.ProgrammingError) as problem:
        load(tmp_path, text)
    assert problem.value.code == "CONFIG_INVALID"
    assert "c.yaml" in problem.value.info.message
    for part in told:
        assert part in problem.value.info.message


def test_a_time_of_day_is_text_with_and_without_quotes(tmp_path: Path) -> None:
    for text in ("08:00", "18:00", "24:00", '"18:00"', "1:30:00"):
        assert load(tmp_path, f"name: {text}\n").name == text.strip('"')
    assert load(tmp_path, "name: x\ninner: {size: 12}\n").inner.size == 12


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ProgrammingError, match=r"absent\.yaml cannot be read: No such file or directory"):
        configuration.load(tmp_path / "absent.yaml", Outer)


# --- the policy file ---------------------------------------------------------------------------------------------


def policy_of(tmp_path: Path, text: str) -> policy.Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return policy.load(path)[0]


def test_what_a_policy_leaves_out_is_strict(tmp_path: Path) -> None:
    empty = policy_of(tmp_path, "version: 1\ntables:\n  stays: {}\n")
    for rules in (empty.rules_for("stays"), empty.rules_for("never named")):
        found = rules.for_columns(("person", "region"))
        assert found == schema.TablePolicy(
            protected=True,
            coordinator_form=schema.Form.NONE,
            min_persons=11,
            roles=(("person", schema.Role.HIDDEN), ("region", schema.Role.HIDDEN)),
            tell_withheld_count=False,
        )


def test_roles_are_given_by_name_or_to_all_others(tmp_path: Path) -> None:
    rules = policy_of(
        tmp_path,
        "version: 1\ntables:\n  Stays:\n    coordinator: aggregate\n    min_persons: 20\n"
        "    columns: {REGION: group}\n    other_columns: measure\n",
    ).rules_for("STAYS")
    found = rules.for_columns(("region", "days"))
    assert (found.role_of("region"), found.role_of("days")) == (schema.Role.GROUP, schema.Role.MEASURE)
    assert (found.coordinator_form, found.min_persons) == (schema.Form.AGGREGATE, 20)


def test_columns_of_a_table_without_persons_are_public_unless_said_otherwise(tmp_path: Path) -> None:
    found = policy_of(
        tmp_path,
        "version: 1\ntables:\n  a: {protected: false, coordinator: rows}\n"
        "  b: {protected: false, coordinator: rows, other_columns: hidden}\n",
    )
    assert found.rules_for("a").for_columns(("x",)).role_of("x") is schema.Role.PUBLIC
    assert found.rules_for("b").for_columns(("x",)).role_of("x") is schema.Role.HIDDEN


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tables: {}\n", "the key 'version' is missing"),
        ("version: 2\n", "'version': input should be 1"),
        (
            "version: 1\ntables:\n  t: {coordinator: rows}\n",
            "line 3: 'tables.t': 'rows' of a protected table never leave",
        ),
        ("version: 1\ntables:\n  t: {min_persons: 10}\n", "min_persons of a protected table is at least 11"),
        ("version: 1\ntables:\n  t:\n    columns: {a: groups}\n", "line 4: 'tables.t.columns.a'"),
        ("version: 1\ntables:\n  t:\n    columns: {a: group, A: hidden}\n", "differ only in upper and lower case"),
        ("version: 1\ntables:\n  t: {}\n  T: {}\n", "two tables differ only in upper and lower case"),
        ("version: 1\ntables:\n  t: {protectd: false}\n", "Did you mean 'protected'?"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(errors.ProgrammingError) as problem:
        policy_of(tmp_path, text)
    assert told in problem.value.info.message


def test_the_digest_of_a_policy_is_that_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n")
    first = policy.load(path)[1]
    path.write_text("version: 1\n# changed\n")
    assert policy.load(path)[1] != first


# --- the node's file ---------------------------------------------------------------------------------------------

NODE = """
node: hospital_a
coordinator: coordinator.example:8443
tls: {certificate: a, private_key: b, authority: c}
federation: {manifest: m, authority_key: k}
signing_key: s
state_dir: state
policy: policy.yaml
sources:
- {name: files, kind: files, path: data, format: parquet}
- {name: db, kind: duckdb, path: d.duckdb}
tables:
- {name: stays, source: files, file: "stays_*.parquet", person_column: person}
- {name: ref, source: db}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", None),
        ("node: hospital_a", "node: Hospital A", "'node': string should match pattern"),
        ("example:8443", "example", "'coordinator': string should match pattern"),
        ("format: parquet", "format: orc", "input should be 'parquet' or 'csv'"),
        (", format: parquet", "", "needs a format: parquet or csv"),
        ("d.duckdb}", "d.duckdb, format: csv}", "has no format"),
        ("name: db", "name: files", "two sources have the same name"),
        ("name: ref", "name: STAYS", "the table 'STAYS' stands twice"),
        ("source: db}", "source: dbb}", "names the source 'dbb'; there are: files, db"),
        (', file: "stays_*.parquet"', "", "needs 'file'"),
        ("stays_*.parquet", "../x.parquet", "not a path"),
        ("source: db}", "source: db, file: x}", "it has 'table', not 'file'"),
        ("source: db}", "source: db, types: {a: DATE}}", "which only CSV files need"),
        ("state_dir: state", "state_dir: state\nlimits: {memory_limit: 2 gigs}", "'limits.memory_limit'"),
        ("state_dir: state", "state_dir: state\nlimits: {threads: 0}", "'limits.threads'"),
        ("state_dir: state", "state_dri: state", "Did you mean 'state_dir'?"),
        ("name: stays", "name: _node", "'tables.0.name'"),
    ],
)
def test_a_nodes_file_is_checked_as_a_whole(tmp_path: Path, old: str, new: str, told: str | None) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(NODE.replace(old, new, 1) if old else NODE)
    if told is None:
        assert configuration.load(path, NodeConfig).limits.threads == 2
        return
    with pytest.raises(errors.ProgrammingError) as problem:
        configuration.load(path, NodeConfig)
    assert told in problem.value.info.message
