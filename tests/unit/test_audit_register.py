"""The project register of a node that was asked by two researchers under two permits, and by a stranger."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import node_support as support
import pytest

from archipel import errors
from node_agent import audit, register

SQL = "SELECT region, count(*) AS n FROM stays GROUP BY region"
DAY = f"{datetime.fromtimestamp(support.NOW, UTC):%Y-%m-%d}"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node after some tasks."""
    folder, party = tmp_path_factory.mktemp("register"), support.Party()
    runner = support.runner_of(folder, party)
    second = party.permit(permit_id="p2", project="=stroke", purpose="Care after a stroke")
    asked = party.request(request_id="request-2", permit_id="p2")
    for sql, permit_token, request_token in (
        (SQL, None, None),
        (SQL, None, None),
        ("SELECT person FROM stays", None, party.request(request_id="request-3")),
        ("SELECT days, count(*) AS n FROM stays GROUP BY days", None, None),
        ("SELECT code FROM ref WHERE code = 'E10'", second, asked),
        (SQL, support.Party().permit(), None),
    ):
        order = party.order(sql, permit_token=permit_token, request_token=request_token)
        with contextlib.suppress(errors.ArchipelError):
            list(runner.run(order, {}).frames)
    runner.engine.close()
    assert runner.audit is not None
    runner.audit.close()
    return folder


def test_an_entry_says_who_asked_what_was_read_released_and_refused(state: Path) -> None:
    entries = register.register(audit.records(state / "audit"), support.NOW - 1, support.NOW + 1)
    stranger, stroke, readmission = (entry.document() for entry in entries)
    assert readmission | {"released_bytes": 0} == {
        "project": "readmission",
        "permit": "p1",
        "purpose": "test",
        "researchers": ["alice"],
        "questions": 2,
        "tasks": 4,
        "releases": 2,
        "tables": ["stays"],
        "columns": ["stays.person", "stays.region"],
        "receivers": ["@coordinator"],
        "released_bytes": 0,
        "refused": {"measure-group-key": 1, "person-output": 1},
        "failed": {},
        "first": "2027-01-15T08:00:00Z",
        "last": "2027-01-15T08:00:00Z",
    }
    assert readmission["released_bytes"] == sum(
        record["bytes"]
        for record in audit.records(state / "audit")
        if record.get("permit") == "p1" and "rows" in record
    )
    assert (stroke["project"], stroke["columns"], stroke["questions"]) == ("=stroke", ["ref.code"], 1)
    assert (stranger["permit"], stranger["refused"]) == (register.NOT_BELIEVED, {"PERMIT_INVALID": 1})
    assert register.register(audit.records(state / "audit"), 0, support.NOW) == []


def test_the_command_writes_it_as_csv_and_json_without_any_literal(state: Path) -> None:
    def command(form: str) -> str:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "archipel.cli", "audit", "register", str(state)),
                *("--from", DAY, "--to", DAY, "--format", form),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "E10" not in done.stdout
        return done.stdout

    rows = list(csv.DictReader(io.StringIO(command("csv"))))
    assert [row["permit"] for row in rows] == [register.NOT_BELIEVED, "p2", "p1"]
    assert rows[1]["project"] == "'=stroke"  # no formula
    assert rows[2]["refused"] == "measure-group-key 1; person-output 1"
    content = json.loads(command("json"))
    assert (content["from"], content["to"], len(content["entries"])) == (DAY, DAY, 3)
