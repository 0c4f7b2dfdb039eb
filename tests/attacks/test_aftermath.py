"""After the siege: nothing hostile was released, everything is in the audit log, and no value is anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attack_cases
import attack_ward as ward
from attack_attempts import Siege, marked
from test_refused import OPEN as OPEN_REFUSED

from node_agent import audit

REFUSED = attack_cases.refused()


def records(siege: Siege) -> dict[str, list[str]]:
    """Return the kinds of the audit log's records by case."""
    found: dict[str, list[str]] = {}
    for record in audit.records(siege.attacker.audit_folder):
        found.setdefault(record.get("query", ""), []).append(record["kind"])
    return found


def test_the_audit_log_verifies(siege: Siege) -> None:
    found = audit.verify(siege.attacker.audit_folder)
    assert found.problem == ""
    assert found.warning == ""
    assert found.records >= len(siege.outcomes)


def test_every_refusal_is_in_the_audit_log_and_no_release_of_a_hostile_statement(siege: Siege) -> None:
    kinds = records(siege)
    for case in REFUSED:
        if case.id not in OPEN_REFUSED:
            assert kinds[case.id] == ["refused"], case.id


def test_every_other_attempt_is_in_the_audit_log_once(siege: Siege) -> None:
    kinds = records(siege)
    for identifier, outcome in siege.outcomes.items():
        expected = "released" if outcome.released is not None else "refused" if outcome.refused else "failed"
        assert kinds[identifier] == [expected], identifier


def test_the_audit_log_keeps_what_was_asked(siege: Siege) -> None:
    asked = {record["query"]: record for record in audit.records(siege.attacker.audit_folder) if "query" in record}
    for case in REFUSED:
        assert asked[case.id]["asked_sql"] == siege.attacker.filled(case.sql)[:1_000_000]


def test_no_log_line_holds_a_value(siege: Siege) -> None:
    assert siege.attacker.log.lines, "nothing was captured: the test would pass on an empty log"
    assert not marked(siege.attacker.log.lines)


def test_no_error_text_holds_a_value(siege: Siege) -> None:
    assert not marked(outcome.texts for outcome in siege.outcomes.values())


def test_no_error_text_holds_a_path_that_the_attacker_did_not_write(siege: Siege) -> None:
    folder = str(siege.attacker.layout.directory.parent)
    theirs = {case.id for case in REFUSED if folder in siege.attacker.filled(case.sql)}
    assert 0 < len(theirs) < len(REFUSED)
    told = [name for name, outcome in siege.outcomes.items() if name not in theirs and folder in outcome.texts]
    assert not told


def files_outside(siege: Siege) -> Iterator[Path]:
    """Yield every file of the federation but the node's own state."""
    own = siege.attacker.layout.state_dir(ward.NODE)
    for path in siege.attacker.layout.directory.rglob("*"):
        if path.is_file() and own not in path.parents:
            yield path


def test_no_file_outside_the_node_s_own_folder_holds_a_value(siege: Siege) -> None:
    paths = list(files_outside(siege))
    assert len(paths) > 5
    markers = [marker.encode() for marker in ward.MARKERS]
    for path in paths:
        content = path.read_bytes()
        assert not [marker for marker in markers if marker in content], path


def test_nothing_was_written_where_the_statements_asked(siege: Siege) -> None:
    for path in ("/tmp/stolen.csv", "/tmp/stolen.parquet", "/tmp/stolen", "/tmp/other.db"):
        assert not Path(path).exists()


def test_the_node_still_answers_as_before(siege: Siege) -> None:
    order = siege.attacker.order("after-the-siege", "SELECT region, count(*) AS n FROM stays GROUP BY region")
    outcome = siege.attacker.send(order)
    assert outcome.released is not None
    assert sorted(outcome.released.column("n").to_pylist()) == [33, 90, 120]


def test_the_markers_would_be_found(siege: Siege) -> None:
    assert marked([f"x {ward.VIP} y", "clean", str(ward.VIP_COST)]) == [f"x {ward.VIP} y", "7654321.09"]
    data = siege.attacker.raw.execute("SELECT DISTINCT person FROM stays").fetchall()
    assert {row[0] for row in data} == set(ward.PERSONS)
