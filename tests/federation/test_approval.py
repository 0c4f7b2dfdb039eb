"""A person at a node decides, while coordinator and nodes run: nothing leaves before, and a restart forgets nothing.

Who objects has a say too: without a list that can be read a node offers nothing, and no answer hides that.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from archipel import errors
from archipel.cli.app import build
from archipel.demo.layout import NOT_COMPARED, NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation

pytestmark = pytest.mark.federation

RULES = {"coordinator": "aggregate", "columns": {"region": "group", "days": "measure"}}
SQL = "SELECT region, count(*) AS n FROM stays GROUP BY region ORDER BY region"
ANSWER = [{"region": "r0", "n": 160}, {"region": "r1", "n": 160}]


LIST = "objections.parquet"


def hospitals(directory: Path, policies: dict[str, dict[str, Any]]) -> LocalFederation:
    """Return two hospitals with these policies and, beside each one's table, a list of a person who objects."""
    setups = []
    for node, first in (("hospital_a", 0), ("hospital_b", 1000)):
        (directory / node).mkdir()
        persons = [first + n // 2 for n in range(160)]
        rows = pa.table({"person": persons, "region": [f"r{p % 2}" for p in persons], "days": [p % 9 for p in persons]})
        pq.write_table(rows, directory / node / "stays.parquet")
        pq.write_table(pa.table({"person": persons[:1]}), directory / node / LIST)
        table = TableSetup("stays", directory / node / "stays.parquet", RULES, person_column="person")
        setups.append(NodeSetup(node, f"CHU {node}", (table,), policy=policies.get(node, {})))
    return LocalFederation(write_layout(directory / "federation", setups, node_policy=NOT_COMPARED))


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[LocalFederation]:
    """Two hospitals, of which one has a person who decides on every statement."""
    with hospitals(tmp_path, {"hospital_a": {"approval": "every-query"}}) as running:
        yield running


def approve(federation: LocalFederation, *words: str, node: str = "hospital_a") -> str:
    """Run ``archipel node approve`` at a hospital."""
    config = str(federation.layout.node_configs[node])
    done = CliRunner().invoke(build(), ["node", "approve", "--config", config, *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_question_waits_for_a_person_and_is_answered_when_it_is_asked_again(strict: LocalFederation) -> None:
    with strict.connect() as connection:
        with pytest.raises(errors.NotAllowedError) as caught:
            connection.query_and_wait(SQL)
        assert (caught.value.code, caught.value.node) == ("APPROVAL_PENDING", "hospital_a")
        assert "run the same query again" in caught.value.hint
        (identifier,) = re.findall(r"waits there as ([0-9a-f]{12})", caught.value.info.message)
        listed = approve(strict, "--list")
        assert identifier in listed
        assert SQL in listed

        approve(strict, identifier, "--by", "Dr Durand")
        assert connection.query_and_wait(SQL).to_arrow().to_pylist() == ANSWER
        with pytest.raises(errors.NotAllowedError, match="a person decides on each statement"):
            connection.query_and_wait("SELECT sum(days) AS d FROM stays")

        strict.kill("hospital_a")
        strict.start_node("hospital_a")
        strict.wait_attached(["hospital_a"])
        assert connection.query_and_wait(SQL).to_arrow().to_pylist() == ANSWER

        approve(strict, "--refuse", identifier, "--because", "Not in the protocol.")
        with pytest.raises(errors.NotAllowedError, match=r"refused this question: Not in the protocol\.") as caught:
            connection.query_and_wait(SQL)
        assert caught.value.code == "APPROVAL_REFUSED"
    verified = subprocess.run(
        [sys.executable, "-m", "archipel.cli", "audit", "verify", str(strict.layout.state_dir("hospital_a"))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout


def test_all_persons_get_the_question_at_once_and_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    objections = {"source": "hospital_b_0", "file": LIST, "column": "person", "person_domain": "person"}
    policies = {
        "hospital_a": {"approval": "first-use"},
        "hospital_b": {"approval": "first-use", "opposition": [objections]},
    }
    with hospitals(tmp_path, policies) as federation, federation.connect() as connection:
        with pytest.raises(errors.NotAllowedError, match="'hospital_a', 'hospital_b'") as pending:
            connection.query_and_wait(SQL)
        assert pending.value.code == "APPROVAL_PENDING"
        found = re.findall(r"Node '(\w+)'.*?waits there as ([0-9a-f]{12})", pending.value.info.message)
        assert [node for node, _ in found] == ["hospital_a", "hospital_b"]
        for node, identifier in found:
            approve(federation, identifier, "--by", "Dr Durand", node=node)
        whole = connection.query_and_wait(SQL).to_arrow().to_pylist()
        assert whole == [{"region": "r0", "n": 158}, {"region": "r1", "n": 160}]

        (tmp_path / "hospital_b" / LIST).write_bytes(b"person 1003 objects")
        for _ in range(60):  # until the node has seen it; a task that meets the file before is refused, too
            with pytest.raises(errors.OperationalError) as missing:
                connection.query_and_wait(SQL)
            if "does not offer what it holds of table 'stays' now" in str(missing.value):
                break
        assert (missing.value.code, missing.value.node) == ("NODE_UNAVAILABLE", "hospital_b")
        assert "does not offer" in str(missing.value)
        assert "1003" not in str(missing.value)
        assert {n.name: n.withdrawn_tables for n in connection.nodes()} == {"hospital_a": (), "hospital_b": ("stays",)}
        partial = connection.query_and_wait(SQL, on_missing="partial")
        assert partial.to_arrow().to_pylist() == [{"region": "r0", "n": 80}, {"region": "r1", "n": 80}]
        assert not partial.complete
        assert ("coverage", "hospital_b") in [(notice.kind, notice.node) for notice in partial.notices]
