"""A person at a node decides, while coordinator and nodes run: nothing leaves before, and a restart forgets nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from archipel import errors
from archipel.cli.app import build
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation

pytestmark = pytest.mark.federation

RULES = {"coordinator": "aggregate", "columns": {"region": "group", "days": "measure"}}
SQL = "SELECT region, count(*) AS n FROM stays GROUP BY region ORDER BY region"
ANSWER = [{"region": "r0", "n": 160}, {"region": "r1", "n": 160}]


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[LocalFederation]:
    """Two hospitals, of which one has a person who decides on every statement."""
    setups = []
    for node, first in (("hospital_a", 0), ("hospital_b", 1000)):
        persons = [first + n // 2 for n in range(160)]
        rows = pa.table({"person": persons, "region": [f"r{p % 2}" for p in persons], "days": [p % 9 for p in persons]})
        pq.write_table(rows, tmp_path / f"{node}.parquet")
        table = TableSetup("stays", tmp_path / f"{node}.parquet", RULES, person_column="person")
        policy = {"approval": "every-query"} if node == "hospital_a" else {}
        setups.append(NodeSetup(node, f"CHU {node}", (table,), policy=policy))
    with LocalFederation(write_layout(tmp_path / "federation", setups)) as running:
        yield running


def approve(federation: LocalFederation, *words: str) -> str:
    """Run ``archipel node approve`` at the strict hospital."""
    config = str(federation.layout.node_configs["hospital_a"])
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
