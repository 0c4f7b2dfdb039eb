"""``archipel policy``: a policy in plain words, and what a node would decide on a statement that nobody runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from node_support import Party, stays
from typer.testing import CliRunner

from archipel import errors, identity, permit, request
from archipel.cli.app import build
from archipel.demo.layout import Layout, NodeSetup, TableSetup, write_layout
from node_agent import config as node_config
from node_agent.assembly import assemble

RULES = {
    "coordinator": "aggregate",
    "min_persons": 20,
    "columns": {"region": "group", "days": "measure", "day_of_birth": {"role": "identifier", "bin": "year"}},
    "peers": {"cnam": "keys"},
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A federation of one node on disk; nothing of it runs."""
    folder = tmp_path_factory.mktemp("policy")
    born = pa.array([i * 100 for i in range(80)], pa.date32())
    pq.write_table(stays().append_column("day_of_birth", born), folder / "stays.parquet")
    pq.write_table(pa.table({"region": ["Bretagne"], "code": ["53"]}), folder / "ref.parquet")
    tables = (
        TableSetup("stays", folder / "stays.parquet", RULES, person_column="person"),
        TableSetup("ref", folder / "ref.parquet", {"protected": False, "coordinator": "rows"}),
    )
    return write_layout(folder / "made", [NodeSetup("hospital_a", "CHU A", tables)])


def archipel(*words: str, stdin: str = "") -> tuple[int, str]:
    """Run the command; return its exit code and all it printed."""
    done = CliRunner().invoke(build(), list(words), input=stdin)
    if isinstance(done.exception, errors.ArchipelError):
        return 99, f"{done.output}{done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def checked(folder: Path, content: dict[str, Any] | str, *words: str) -> tuple[int, str]:
    path = folder / "policy.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return archipel("policy", "check", str(path), *words)


def tried(layout: Layout, sql: str, *words: str, stdin: str = "") -> tuple[int, str]:
    config = str(layout.node_configs["hospital_a"])
    given = words if "--permit" in words else ("--permit", str(layout.permit), *words)
    return archipel("policy", "try", sql, "--node-config", config, *given, stdin=stdin)


# --- check ----------------------------------------------------------------------------------------------------------


def test_an_empty_policy_lets_nothing_out_and_says_so(tmp_path: Path) -> None:
    code, told = checked(tmp_path, "version: 1\ntables:\n  stays: {}\n")
    assert code == 0
    assert "a person at the node decides on every statement (the key is absent: the strictest holds)" in told
    assert "Table stays: about persons\n  To the coordinator: nothing.\n  To other nodes: nothing." in told
    assert "Results may be grouped by: nothing." in told
    assert "All other columns: hidden." in told


def test_every_choice_is_told_in_words_table_by_table(tmp_path: Path) -> None:
    content = {
        "version": 1,
        "node": {
            "approval": "first-use",
            "working_hours": {"days": ["mon"], "from": "08:00", "to": "18:00", "time_zone": "Europe/Paris"},
            "rate_limits": {"researcher": {"hour": 60}, "permit": {"day": 500}},
            "ledger": {"differences": "allow"},
            "opposition": {"source": "lists", "file": "no.csv", "column": "id", "person_domain": "person"},
        },
        "tables": {
            "stays": {
                **RULES,
                "dominance": {"share": 0.95, "because": "few hospitals"},
                "rounding": 5,
                "threshold_scope": ["node", "federation"],
                "sensitive": [{"column": "code", "prefixes": ["B20"], "min_persons": 50}],
                "rows_where": "days > 0",
                "snapshot": {"digest": f"sha256:{'0' * 64}", "name": "final"},
            },
            "ref": {"protected": False, "coordinator": "rows", "peers": {"*": "rows"}, "columns": {"code": "hidden"}},
        },
    }
    _, told = checked(tmp_path, content)
    for part in (
        "a person at the node decides on the first question of each researcher, permit and table.",
        "Hours: mon 08:00 to 18:00 (Europe/Paris).",
        "at most 60 an hour of one researcher, 500 a day of one permit.",
        "what differs from one by a few persons is answered.",
        "WARNING: ledger.differences is allow",
        "who is in no.csv (source lists) takes part in nothing of a protected table whose persons are of the domain",
        "To the coordinator: aggregates, of groups of at least 20 distinct persons.",
        "To the node cnam, where the permit says linkage: lists of persons under pseudonyms of the project.",
        "Results may be grouped by: region, day_of_birth by year.",
        "Computed and filtered with, never grouped by: days.",
        "2 largest contributors have more than 95% of it",
        "WARNING: limits on dominance are weakened: share 0.95 (default 0.9); because: few hospitals",
        "Numbers are rounded to multiples of 5.",
        "may be part of a total of all nodes, counted together under masks.",
        "Groups with code B20…: at least 50 persons.",
        "Rows: only those for which days > 0; a statement must say so itself.",
        "Snapshot: only while the data is final (sha256:000",
        "Table ref: not about persons\n  To the coordinator: single rows.\n  To every other node: single rows.",
        "Columns: all but code.",
    ):
        assert part in told, part


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ({"coordinator": "sketch"}, "whoever guesses a value can test a sketch for it"),
        ({"peers": {"cnam": "rows"}}, "the node cnam gets rows of single persons, under pseudonyms"),
        ({"other_columns": "measure"}, "a column that the data gets later is open without a decision"),
        ({"tell_withheld_count": True}, "tells that small groups exist"),
        ({"approval": "auto"}, "approval is auto here, though it is every-query for the node"),
        ({"columns": {"BEN_NAI_ANN": "group"}}, "BEN_NAI_ANN looks like a potential identifier"),
        ({"columns": {"EXE_SOI_DTD": "public"}}, "EXE_SOI_DTD looks like a potential identifier"),
        ({"columns": {"BEN_RES_COM": "group"}}, "BEN_RES_COM looks like a potential identifier"),
    ],
)
def test_a_risky_choice_is_a_warning(tmp_path: Path, rules: dict[str, Any], warning: str) -> None:
    content = {"version": 1, "tables": {"stays": rules}}
    code, told = checked(tmp_path, content, "--strict")
    assert code == 4
    assert warning in told
    content["tables"] = {"stays": {"coordinator": "aggregate", "columns": {"region": "group", "command": "group"}}}
    assert warning not in checked(tmp_path, content)[1]


def test_a_mistake_is_told_with_line_and_key(tmp_path: Path) -> None:
    _, told = checked(tmp_path, "version: 1\ntables:\n  stays:\n    columns: {a: groups}\n    min_persons: 5\n")
    assert "line 4: 'tables.stays.columns.a'" in told
    _, told = checked(tmp_path, "version: 1\nnode: {aproval: auto}\n")
    assert "line 2: unknown key 'node.aproval'. Did you mean 'approval'?" in told


NODE_MISTAKES = [
    ("{approval: always}", "'node.approval': input should be 'auto', 'first-use' or 'every-query'"),
    ("{working_hours: {days: [mon], from: 08:00, to: 18:00}}", "the key 'node.working_hours.time_zone' is missing"),
    ("{working_hours: {days: [monday], from: 08:00, to: 18:00, time_zone: UTC}}", "input should be 'mon', 'tue'"),
    ("{working_hours: {days: [mon, mon], from: 08:00, to: 18:00, time_zone: UTC}}", "a day stands twice"),
    ("{working_hours: {days: [mon], from: 8, to: 25:00, time_zone: UTC}}", "'node.working_hours.to': a time of day"),
    ("{working_hours: {days: [mon], from: 08:00, to: 08:00, time_zone: UTC}}", "'from' and 'to' are the same"),
    ("{working_hours: {days: [mon], from: 08:00, to: 18:00, time_zone: Paris}}", "there is no time zone 'Paris' here"),
    ("{working_hours: {days: [mon], fron: 1, to: 2, time_zone: UTC}}", "Allowed here: days, from, time_zone, to"),
    ("{rate_limits: {researcher: {hour: 0}}}", "'node.rate_limits.researcher.hour': input should be greater than"),
    ("{rate_limits: {researcher: {week: 1}}}", "Allowed here: day, hour, minute"),
    ("{opposition: {source: s, column: c, person_domain: d}}", "a list is a 'file' of a source of kind files, or"),
    ("{opposition: {source: s, file: ../x, column: c, person_domain: d}}", "a name in the source's folder, not a path"),
]


@pytest.mark.parametrize(("text", "told"), NODE_MISTAKES, ids=[text for text, _ in NODE_MISTAKES])
def test_a_mistake_about_the_whole_node_is_told(tmp_path: Path, text: str, told: str) -> None:
    _, found = checked(tmp_path, f"version: 1\nnode: {text}\n")
    assert "policy.yaml, line 2" in found
    assert told in found


def test_times_may_be_written_with_and_without_quotes(tmp_path: Path) -> None:
    text = "version: 1\nnode:\n  working_hours: {days: [mon], from: %s, to: %s, time_zone: UTC}\n"
    for begins, ends in (("08:00", "18:00"), ('"08:00"', '"18:00"'), ("8:00", '"18:00"')):
        _, told = checked(tmp_path, text % (begins, ends))
        assert "Hours: mon 08:00 to 18:00 (UTC)." in told
    for wrong in ("800", "8", "24:30", "noon", "18.00"):
        assert (
            "'node.working_hours.to': a time of day is written as 08:00" in checked(tmp_path, text % ("7:00", wrong))[1]
        )
    schema = json.loads(archipel("policy", "schema")[1])
    jsonschema.validate(yaml.safe_load(text % ('"08:00"', '"18:00"')), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text % ('"08:00"', "800")), schema)


def test_with_the_nodes_files_all_columns_and_tables_are_told(layout: Layout, tmp_path: Path) -> None:
    config = str(layout.node_configs["hospital_a"])
    rules = {**RULES, "columns": {"region": {"role": "identifier", "bin": "year"}, "day_of_birth": "group"}}
    content: dict[str, Any] = {"version": 1, "tables": {"stays": {**rules, "peers": {"hospital_a": "keys"}}}}
    _, told = checked(tmp_path, content, "--node-config", config)
    for part in (
        "Person: person, counted and joined on, never shown.",
        "Hidden, may not even be named: days, note.",
        "WARNING: region is VARCHAR: the bin year does not fit it",
        "WARNING: day_of_birth looks like a potential identifier",
        "Tables that the policy does not name\n  ref: nothing leaves.",
        "PROBLEM: table stays: peers names hospital_a, which is this node",
    ):
        assert part in told, part
    content["tables"]["stays"] = {"protected": False, "coordinator": "rows"}
    assert "node.yaml names person as its person column" in checked(tmp_path, content, "--node-config", config)[1]
    content["tables"]["stay"] = {}
    assert (
        "names the table 'stay', which hospital_a does not have"
        in (checked(tmp_path, content, "--node-config", config)[1])
    )


# --- try ------------------------------------------------------------------------------------------------------------


def test_an_allowed_statement_is_shown_as_it_would_run(layout: Layout) -> None:
    code, told = tried(layout, "SELECT region, sum(days) AS d FROM stays GROUP BY region")
    assert code == 0
    for part in (
        "ALLOWED by the border check\n",
        "leaves:  aggregate, of groups of at least 20 distinct persons",
        "to:      the coordinator",
        "columns: stays.days, stays.person, stays.region",
        "what would run:",
    ):
        assert part in told, part
    assert "20" in told.split("what would run:")[1]
    assert tried(layout, "-", stdin="SELECT code FROM ref")[0] == 0


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT person FROM stays", "person-output"),
        ("SELECT region, max(days) AS m FROM stays GROUP BY region", "value-aggregate"),
        ("SELECT count(note) AS n FROM stays", "hidden-column"),
        ("SELECT 1 FROM elsewhere", "unknown-table"),
    ],
)
def test_a_refused_statement_is_shown_with_its_rule(layout: Layout, sql: str, rule: str) -> None:
    code, told = tried(layout, sql)
    assert code in {3, 4}
    assert f"REFUSED by the rule {rule}" in told
    assert "what would run" not in told


def test_what_would_still_stand_in_the_way_is_told(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    hours = {"days": ["mon"], "from": "08:00", "to": "08:01", "time_zone": "Pacific/Apia"}
    path.write_text(
        yaml.safe_dump({"version": 1, "node": {"working_hours": hours}, "tables": {"stays": {**RULES, "peers": {}}}})
    )
    sql = "SELECT count(*) AS n FROM stays"
    code, told = tried(layout, sql, "--policy", str(path))
    assert code == 0
    assert "a person at the node decides: on every statement" in told
    assert "(Pacific/Apia)" in told
    assert "REFUSED by the rule peer-not-allowed" in tried(layout, sql, "--policy", str(path), "--to", "cnam")[1]

    granted = permit.Permit.model_validate(permit.read_unverified(layout.permit.read_text().strip()))
    old = granted.model_copy(update={"not_before": 0, "expires": 1, "nodes": ("elsewhere",)})
    authority = identity.load_signing_key(layout.authority_dir / "authority.pem")
    (tmp_path / "old.jwt").write_text(permit.issue(old, authority))
    code, told = tried(layout, sql, "--permit", str(tmp_path / "old.jwt"))
    assert code == 4
    assert "ALLOWED by the border check, but not answered" in told
    assert "but: The permit has expired." in told
    assert "but: The permit does not name this node." in told
    narrow = granted.model_copy(update={"tables": (permit.TableGrant(table="stays", columns=("days",)),)})
    (tmp_path / "narrow.jwt").write_text(permit.issue(narrow, authority))
    code, told = tried(
        layout, "SELECT sum(days) AS d FROM stays WHERE region = 'x'", "--permit", str(tmp_path / "narrow.jwt")
    )
    assert code == 4
    assert "PERMIT_SCOPE" in told


def test_a_node_whose_policy_does_not_speak_of_approval_asks_a_person(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "tables": {"stays": {**RULES, "peers": {}}}}))
    changes = {"policy": path, "state_dir": tmp_path / "state"}
    node = assemble(node_config.load(layout.node_configs["hospital_a"]).model_copy(update=changes))
    key = identity.ResearcherIdentity.load(layout.key).signing_key
    token = layout.permit.read_text().strip()
    asked = request.Request(
        request_id="12345678",
        permit_id=str(permit.read_unverified(token)["permit_id"]),
        sql="SELECT 1",
        issued=int(time.time()),
    )
    order = Party().order("SELECT count(*) AS n FROM stays", permit_token=token, request_token=request.sign(asked, key))
    try:
        with pytest.raises(errors.ArchipelError) as caught:
            node.runner.run(order, {})
    finally:
        node.close()
    assert caught.value.code == "APPROVAL_PENDING"
    assert len(list((tmp_path / "state" / "approvals" / "pending").iterdir())) == 1
