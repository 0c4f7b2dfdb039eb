"""The policy file towards other nodes: what is not written is not allowed, and the border check obeys it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from border_ward import CONTEXT, PEER, STAYS, permit, refusal_of

from archipel import errors, policy, schema
from archipel.border import check
from archipel.schema import COORDINATOR, Form

DOCS = Path(__file__).parents[2] / "docs" / "policy-reference.md"


def policy_of(folder: Path, text: str) -> policy.Policy:
    """Return the policy that a file says."""
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\ntables:\n{text}", encoding="utf-8")
    return policy.load(path)[0]


def form_to(folder: Path, text: str, destination: str) -> Form:
    """Return the strongest form in which the table ``stays`` may go to a destination."""
    return policy_of(folder, text).rules_for("stays").for_columns(("pid",)).form_to(destination)


def test_no_node_gets_anything_of_a_table_whose_peers_are_not_written(tmp_path: Path) -> None:
    for text in (
        "  other: {}\n",
        "  stays: {}\n",
        "  stays: {coordinator: aggregate}\n",
        "  stays: {protected: false, coordinator: rows}\n",
        "  stays: {peers: {}}\n",
        "  stays: {peers: {cnam: none}}\n",
    ):
        assert form_to(tmp_path, text, "cnam") is Form.NONE


def test_a_node_gets_what_is_written_for_it_and_no_other_node_does(tmp_path: Path) -> None:
    text = "  stays: {peers: {cnam: rows, chu-lille: keys}}\n"
    found = {node: form_to(tmp_path, text, node) for node in ("cnam", "chu-lille", "chr", "CNAM", "*", COORDINATOR)}
    assert found == {
        "cnam": Form.ROWS,
        "chu-lille": Form.KEYS,
        "chr": Form.NONE,
        "CNAM": Form.NONE,
        "*": Form.NONE,
        COORDINATOR: Form.NONE,
    }


def test_a_star_stands_for_all_nodes_that_are_not_named_of_an_open_table(tmp_path: Path) -> None:
    text = '  stays: {protected: false, peers: {"*": rows, chu: keys, chr: none}}\n'
    found = {node: form_to(tmp_path, text, node) for node in ("cnam", "chu", "chr", COORDINATOR)}
    assert found == {"cnam": Form.ROWS, "chu": Form.KEYS, "chr": Form.NONE, COORDINATOR: Form.NONE}


def test_a_star_is_not_for_protected_tables(tmp_path: Path) -> None:
    for form in ("none", "keys", "rows"):
        with pytest.raises(errors.ArchipelError, match="named one by one"):
            policy_of(tmp_path, f'  stays: {{peers: {{"*": {form}}}}}\n')


@pytest.mark.parametrize(
    "name",
    ["CNAM", "Lille", "'@coordinator'", "'**'", "'cn*'", "''", "chu lille", "'-chu'", "1er", "hôpital", "a" * 64],
)
def test_a_peer_has_a_name_that_a_node_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ArchipelError, match=r"line 4.*no node's name") as caught:
        policy_of(tmp_path, f"  stays:\n    peers: {{? {name} : keys}}\n")
    assert caught.value.code == "CONFIG_INVALID"


@pytest.mark.parametrize("form", ["sketch", "all", "true", "[rows]"])
def test_a_peer_gets_aggregates_keys_or_rows_or_nothing(tmp_path: Path, form: str) -> None:
    with pytest.raises(errors.ArchipelError, match=re.escape("peers")):
        policy_of(tmp_path, f"  stays: {{peers: {{cnam: {form}}}}}\n")


def test_a_peer_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(errors.ArchipelError, match="stands twice"):
        policy_of(tmp_path, "  stays:\n    peers:\n      cnam: keys\n      cnam: rows\n")


def test_the_border_check_obeys_the_file(tmp_path: Path) -> None:
    columns = "columns: {region: group, cost: measure}"
    rules = policy_of(tmp_path, f"  Stays: {{peers: {{{PEER}: keys}}, {columns}}}\n").rules_for("stays")
    stays = replace(STAYS, policy=rules.for_columns(tuple(column.name for column in STAYS.columns)))
    here = replace(CONTEXT, tables={"stays": stays}, destination=PEER, permit=permit(linked=True))
    release = check("SELECT DISTINCT pid FROM stays WHERE cost > 5", here)
    assert release.form is Form.KEYS
    assert refusal_of("SELECT pid, cost FROM stays", here).rule == "peer-keys-only"
    assert refusal_of("SELECT DISTINCT pid FROM stays WHERE days > 5", here).rule == "hidden-column"
    assert refusal_of("SELECT DISTINCT pid FROM stays", replace(here, destination="chu")).rule == "peer-not-allowed"
    assert refusal_of("SELECT count(*) AS n FROM stays", replace(here, destination=COORDINATOR)).rule == "form-none"


def test_the_example_of_two_holders_names_each_other(tmp_path: Path) -> None:
    found = []
    for number, text in enumerate(re.findall(r"```yaml\n(# of .*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        rules = policy.load(path)[0]
        found.append({name: table.for_columns(()) for name, table in rules.tables.items()})
    insurer, hospital = found
    assert insurer["ER_PRS_F"].form_to("chu_lille") is Form.KEYS
    assert hospital["T_MCOaaB"].form_to("cnam") is Form.ROWS
    assert all(table.protected for table in (insurer["ER_PRS_F"], hospital["T_MCOaaB"]))
    assert insurer["departement"].form_to("anybody") is Form.ROWS
    assert insurer["ER_PRS_F"].form_to("chr") is hospital["T_MCOaaB"].form_to("chr") is Form.NONE


def test_a_table_of_persons_is_protected_unless_the_file_says_no(tmp_path: Path) -> None:
    assert policy_of(tmp_path, "  stays: {peers: {cnam: keys}}\n").rules_for("stays").for_columns(()) == replace(
        schema.TablePolicy(), peer_forms=(("cnam", Form.KEYS),)
    )
