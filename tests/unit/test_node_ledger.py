"""The ledger of earlier answers: what it gives again, what it refuses, what it counts, how it notices being altered."""
# ruff: noqa: S608 - statements are put together from parts that stand in this file

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import NOW, OPEN, PROTECTED, Party, engine_of, runner_of

from archipel import errors, frames
from archipel.policy_ledger import LedgerRules
from node_agent import audit
from node_agent.audit import AuditLog
from node_agent.ledger import REFUSED, Ledger
from node_agent.ledger_store import overview
from node_agent.tasks import TaskRunner

TABLES = [
    {"name": "stays", "source": "data", "file": "stays.parquet", "person_column": "person"},
    {"name": "drugs", "source": "data", "file": "drugs.parquet", "person_column": "patient", "person_domain": "person"},
    {"name": "ref", "source": "data", "file": "ref.parquet"},
]
POLICY = {
    "stays": {**PROTECTED, "columns": {"days": "measure", "cost": "measure"}},
    "drugs": {**PROTECTED, "columns": {"quantity": "measure"}},
    "ref": OPEN,
}


def world(persons: int = 400, extra: int = 0, cost: float = 400.0) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return stays (one to four a person, anywhere, in any of three years), drugs of every other person, labels.

    Person 0, of region A, alone stayed for 99 days, once, at a ``cost``. ``extra`` persons more came lately.
    """
    chance = random.Random(7)
    ids = [i for i in range(persons + extra) for _ in range(chance.randint(1, 4))]
    regions = ["A", *(chance.choice("ABCD") for _ in ids[1:])]
    stays = pa.table(
        {
            "person": pa.array(ids, pa.int64()),
            "region": regions,
            "year": pa.array([chance.choice((2020, 2021, 2022)) for _ in ids], pa.int32()),
            "days": pa.array([99, *(chance.randint(1, 14) for _ in ids[1:])], pa.int32()),
            "cost": pa.array([cost, *(float(chance.randint(100, 900)) for _ in ids[1:])]),
        }
    )
    some = list(range(0, persons, 2))
    drugs = pa.table(
        {"patient": some, "code": ["X" if i % 3 else "Y" for i in some], "quantity": [1 + i % 5 for i in some]}
    )
    ref = pa.table({"n": pa.array([1, 2], pa.int32())})
    return stays, drugs, ref


class Node:
    """A node over the world, asked by whoever holds a permit; opened anew on what it has on disk when told to."""

    def __init__(self, directory: Path, **rules: Any) -> None:
        self.directory = directory
        self.party = Party()
        self.rules = LedgerRules(**{"whole_tables": "unknown", **rules})
        self.write()
        self.runner = self._opened()

    def write(self, **changes: Any) -> None:
        """Write the data anew."""
        for name, table in zip(("stays", "drugs", "ref"), world(**changes), strict=True):
            new = self.directory / f"{name}.new"
            pq.write_table(table, new)
            new.rename(self.directory / f"{name}.parquet")

    def _opened(self) -> TaskRunner:
        self.log = AuditLog(self.directory / "audit")
        ledger = Ledger(self.directory / "ledger", self.rules)
        return runner_of(
            self.directory,
            self.party,
            engine=engine_of(self.directory, TABLES, policy=POLICY),
            audit=self.log,
            ledger=ledger,
            tables=False,
        )

    def reopen(self) -> None:
        """Close and open the node."""
        self.close()
        self.runner = self._opened()

    def close(self) -> None:
        self.runner.engine.close()
        self.log.close()
        assert self.runner.ledger is not None
        self.runner.ledger.close()

    def ask(self, sql: str, **changes: Any) -> pa.Table:
        """Return the answer. ``permit`` changes the permit."""
        content = {"tables": [{"table": "*", "columns": ["*"]}], **changes.pop("permit", {})}
        token = self.party.permit(**content)
        request = self.party.request(permit_id=content.get("permit_id", "p1"))
        order = self.party.order(sql, permit_token=token, request_token=request, **changes)
        return frames.decode_table(list(self.runner.run(order, changes.pop("data", {})).frames))

    def refused(self, sql: str, **changes: Any) -> errors.ArchipelError:
        """Return why there is no answer."""
        with pytest.raises(errors.ArchipelError) as problem:
            self.ask(sql, **changes)
        return problem.value

    def records(self) -> list[dict[str, Any]]:
        return list(audit.records(self.directory / "audit"))


Nodes = Callable[..., Node]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    made: list[Node] = []

    def make(**rules: Any) -> Node:
        made.append(Node(tmp_path, **rules))
        return made[-1]

    yield make
    for node in made:
        node.close()


ALL = "SELECT count(*) AS n, sum(cost) AS cost FROM stays"
BY_REGION = "SELECT region, count(*) AS n, sum(cost) AS cost FROM stays GROUP BY region"

PAIRS = {
    "a row less of one person": (ALL, f"{ALL} WHERE days <> 99"),
    "the total after the rest": (f"{ALL} WHERE days < 50", ALL),
    "a person less": (ALL, f"{ALL} WHERE person IN (SELECT person FROM stays GROUP BY person HAVING max(days) < 50)"),
    "the same with rows doubled": (
        ALL,
        "SELECT count(*) AS n, sum(s.cost) AS c FROM stays s, ref r WHERE s.days <> 99",
    ),
    "distinct persons": (
        "SELECT count(DISTINCT person) AS n FROM stays",
        "SELECT count(DISTINCT s.person) AS n FROM stays s JOIN ref r ON s.days <= r.n * 40 WHERE s.year > 2000 "
        "AND s.person IN (SELECT person FROM stays GROUP BY person HAVING max(days) < 50)",
    ),
    "one group of several": (BY_REGION, f"{BY_REGION.replace('GROUP', 'WHERE days < 50 GROUP')}"),
    "a group by its key": (BY_REGION, "SELECT count(*) AS n FROM stays WHERE region = 'A' AND days <> 99"),
    "by a join's persons": (
        "SELECT count(*) AS n FROM stays s JOIN drugs d ON s.person = d.patient",
        "SELECT count(*) AS n FROM drugs d JOIN stays s ON d.patient = s.person AND s.days < 90",
    ),
    "the rest of a total, by parts": (
        f"{BY_REGION.replace('region', 'region, year').replace('GROUP', 'WHERE days < 50 GROUP')}",
        ALL,
    ),
    "a year by its months": (
        "SELECT region, count(*) AS n FROM stays WHERE days < 50 GROUP BY region",
        "SELECT year, count(*) AS n FROM stays GROUP BY year",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_answers_that_differ_by_one_person_are_not_both_given(nodes: Nodes, name: str) -> None:
    node = nodes()
    first, second = PAIRS[name]
    assert node.ask(first).num_rows
    problem = node.refused(second)
    assert (problem.code, problem.info.message) == ("DIFFERENCING_REFUSED", REFUSED)


TRACKERS = {
    "the difference of two groups": (
        "SELECT count(*) AS n FROM stays WHERE region IN ('A', 'B')",
        "SELECT count(*) AS n FROM stays WHERE region = 'B'",
        "SELECT count(*) AS n FROM stays WHERE region = 'A' AND days <> 99",
    ),
    "two groups together": (
        "SELECT count(*) AS n FROM stays WHERE region = 'A' AND days <> 99",
        "SELECT count(*) AS n FROM stays WHERE region = 'B'",
        "SELECT count(*) AS n FROM stays WHERE region IN ('A', 'B')",
    ),
    "a general tracker": (
        "SELECT count(*) AS n FROM stays",
        "SELECT count(*) AS n FROM stays WHERE region = 'B' OR days = 99",
        "SELECT count(*) AS n FROM stays WHERE region <> 'B' OR days = 99",
    ),
}


@pytest.mark.parametrize("name", TRACKERS)
def test_three_answers_that_give_one_person_together_are_not_all_given(nodes: Nodes, name: str) -> None:
    node = nodes()
    *earlier, last = TRACKERS[name]
    for sql in earlier:
        assert node.ask(sql).num_rows == 1
    assert node.refused(last).code == "DIFFERENCING_REFUSED"


def test_honest_questions_about_the_same_persons_are_all_answered(nodes: Nodes) -> None:
    node = nodes()
    questions = (
        ALL,
        BY_REGION,
        "SELECT region, year, count(*) AS n, avg(days) AS d FROM stays GROUP BY region, year",
        "SELECT region, year, count(*) AS n FROM stays GROUP BY ROLLUP (region, year)",
        "SELECT region, count(DISTINCT person) AS n, var_samp(cost) AS v FROM stays GROUP BY region",
        "SELECT code, count(*) AS n, sum(cost) AS c FROM drugs JOIN stays ON person = patient GROUP BY code",
        "SELECT n, count(*) AS persons FROM (SELECT person, count(*) AS n FROM stays GROUP BY person) t GROUP BY n",
    )
    for sql in questions:
        assert node.ask(sql).num_rows, sql
    assert all(record["kind"] != "refused" for record in node.records())


def test_everybody_in_a_table_counts_as_an_earlier_answer_unless_policy_says_otherwise(nodes: Nodes) -> None:
    node = nodes(whole_tables="known")
    assert node.refused(f"{ALL} WHERE days <> 99").code == "DIFFERENCING_REFUSED"
    assert node.ask(ALL).num_rows == 1
    assert node.records()[0]["ledger_refusal"]["differs_from"] == "all of a table"


def test_what_is_refused_to_one_permit_and_researcher_is_refused_to_all(nodes: Nodes) -> None:
    node = nodes()
    node.ask(ALL, permit={"permit_id": "p1"})
    assert node.refused(f"{ALL} WHERE days <> 99", permit={"permit_id": "p2"}).code == "DIFFERENCING_REFUSED"
    refused = node.records()[-1]
    assert refused["kind"] == "refused"
    assert refused["ledger_refusal"]["persons_at_least"] == 1
    (earlier,) = refused["ledger_refusal"]["earlier"]
    assert (earlier["permit"], earlier["researcher"]) == ("p1", "alice")


def test_the_ledger_outlives_the_process_and_notices_new_data(nodes: Nodes) -> None:
    node = nodes()
    first = node.ask(ALL)
    node.reopen()
    assert node.ask(ALL).equals(first)
    assert node.records()[-1]["ledger"]["repeated"]
    node.write(cost=500.0)
    node.reopen()
    assert node.ask("SELECT count(*) AS n FROM stays").num_rows == 1
    assert node.refused(ALL).code == "DIFFERENCING_REFUSED"  # what one person cost was corrected since
    node.write(extra=3)
    node.reopen()
    assert node.refused(ALL).code == "DIFFERENCING_REFUSED"  # three persons came since
    node.write(extra=40)
    node.reopen()
    assert node.ask(ALL).num_rows == 1


def test_the_same_question_gets_the_same_bits_and_costs_nothing_again(nodes: Nodes) -> None:
    node = nodes(max_queries=1)
    sql = "SELECT region, avg(cost) AS a, stddev(cost) AS s FROM stays GROUP BY region"
    first = node.ask(sql, permit={"permit_id": "p1"})
    assert node.ask(sql, permit={"permit_id": "p1"}).equals(first)
    assert node.ask(sql, permit={"permit_id": "p2"}).equals(first)
    assert node.refused(ALL, permit={"permit_id": "p1"}).code == "BUDGET_EXHAUSTED"
    assert node.ask(ALL, permit={"permit_id": "p2"}).num_rows == 1


def test_the_permit_s_own_budget_holds_at_each_node(nodes: Nodes) -> None:
    node = nodes()
    granted = {"permit_id": "p1", "max_queries": 2, "max_cells": 5}
    assert node.ask(BY_REGION, permit=granted).num_rows == 4
    problem = node.refused("SELECT year, count(*) AS n FROM stays GROUP BY year", permit=granted)
    assert problem.code == "BUDGET_EXHAUSTED"  # four groups and three are more than five
    assert node.ask(ALL, permit=granted).num_rows == 1
    assert node.refused("SELECT avg(days) AS d FROM stays", permit=granted).code == "BUDGET_EXHAUSTED"


def test_repeated_differences_lock_a_permit_until_a_person_unlocks_it(nodes: Nodes) -> None:
    node = nodes(lock_after=2)
    node.ask(ALL)
    for days in (99, 98):
        assert node.refused(f"{ALL} WHERE days <> 99 AND days <= {days + 1}").code == "DIFFERENCING_REFUSED"
    assert node.refused(ALL).code == "PERMIT_LOCKED"
    node.reopen()
    assert node.refused(ALL).code == "PERMIT_LOCKED"
    assert node.ask(ALL, permit={"permit_id": "p2"}).num_rows == 1
    ledger = node.runner.ledger
    assert ledger is not None
    ledger.unlock("p1")
    assert node.ask(ALL).num_rows == 1


def test_without_a_ledger_nothing_about_persons_leaves(nodes: Nodes) -> None:
    node = nodes()
    ledger, node.runner.ledger = node.runner.ledger, None
    assert node.refused(ALL).code == "LEDGER_UNAVAILABLE"
    assert node.ask("SELECT n FROM ref").num_rows == 2
    node.runner.ledger = ledger


def test_a_full_ledger_answers_only_what_it_has_answered(nodes: Nodes) -> None:
    node = nodes()
    first = node.ask(ALL)
    assert node.runner.ledger is not None
    node.runner.ledger.rules = node.rules.model_copy(update={"max_bytes": 1})
    assert node.ask(ALL).equals(first)
    assert node.refused(BY_REGION).code == "LEDGER_UNAVAILABLE"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE sequence = 2",
        "UPDATE entries SET content = replace(content, 'alice', 'mallory') WHERE sequence = 2",
        "UPDATE sketches SET kinds = zeroblob(length(kinds)) WHERE entry = 2",
        "UPDATE entries SET answer = NULL WHERE sequence = 1",
    ],
)
def test_a_ledger_that_was_altered_is_noticed(nodes: Nodes, statement: str) -> None:
    node = nodes()
    for sql in (ALL, BY_REGION, "SELECT avg(days) AS d FROM stays"):
        node.ask(sql)
    folder = node.directory / "ledger"
    assert overview(folder, verify=True).entries == 3
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as database, database:
        database.execute(statement)
    with pytest.raises(errors.ArchipelError) as problem:
        overview(folder, verify=True)
    assert problem.value.code == "LEDGER_UNAVAILABLE"


def test_a_ledger_that_lacks_what_the_audit_log_says_was_released_is_not_opened(nodes: Nodes) -> None:
    node = nodes()
    node.ask(ALL)
    told = node.records()[-1]["ledger"]
    node.close()
    released = {told["entry"]: told["sha256"]}
    Ledger(node.directory / "ledger", node.rules, released=released).close()
    for part in (node.directory / "ledger").iterdir():
        part.unlink()
    with pytest.raises(errors.ArchipelError) as problem:
        Ledger(node.directory / "ledger", node.rules, released=released)
    assert problem.value.code == "LEDGER_UNAVAILABLE"


def test_what_is_purged_is_not_compared_any_more_and_the_chain_still_holds(nodes: Nodes) -> None:
    node = nodes(keep_days=1)
    node.ask(ALL)
    assert node.runner.ledger is not None
    assert node.runner.ledger.purge(NOW + 1000 + 86_000) == 0
    assert node.runner.ledger.purge(NOW + 1000 + 87_000) == 1
    assert node.ask(f"{ALL} WHERE days <> 99").num_rows == 1
    found = overview(node.directory / "ledger", verify=True)
    assert (found.entries, found.purged) == (2, 1)


def test_no_key_of_a_person_stands_in_the_ledger(tmp_path: Path) -> None:
    persons = [f"PERSON-{i:05}" for i in range(50)]
    _, drugs, ref = world(50)
    table = pa.table({"person": persons, "region": ["A"] * 50, "days": list(range(50))})
    for name, rows in (("stays", table), ("drugs", drugs), ("ref", ref)):
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    party, log = Party(), AuditLog(tmp_path / "audit")
    ledger = Ledger(tmp_path / "ledger")
    engine = engine_of(tmp_path, TABLES, policy={**POLICY, "stays": PROTECTED})
    runner = runner_of(tmp_path, party, engine=engine, audit=log, ledger=ledger, tables=False)
    runner.run(party.order("SELECT region, count(*) AS n FROM stays GROUP BY region"), {})
    for part in (engine, log, ledger):
        part.close()
    written = b"".join(file.read_bytes() for file in (tmp_path / "ledger").iterdir())
    assert b"PERSON" not in written


def test_quantiles_of_a_column_are_given_by_one_expression_to_a_permit_and_researcher(nodes: Nodes) -> None:
    node = nodes()
    cells = "SELECT archipel_histogram({}) AS h FROM {} WHERE year > {}"
    assert node.ask(cells.format("days", "stays", 2000)).num_rows == 1
    assert node.ask(cells.format("s.days", "stays s", 2019)).num_rows == 1  # of other rows, and under another name
    assert node.ask(cells.format("x", "(SELECT cost + 1 AS x, year FROM stays) t", 2000)).num_rows == 1
    shifted = ("days + 1", "stays"), ("x", "(SELECT days + 1 AS x, year FROM stays) t"), ("days + cost", "stays")
    for value, source in (*shifted, ("cost", "stays")):
        problem = node.refused(cells.format(value, source, 2000))
        assert problem.code == "DIFFERENCING_REFUSED"
        assert "another expression" in problem.info.message
    node.reopen()
    assert node.refused(cells.format("days + 1", "stays", 2000)).code == "DIFFERENCING_REFUSED"
    assert node.refused(cells.format("days + 1", "stays", 2000), permit={"permit_id": "p2"}).code == (
        "DIFFERENCING_REFUSED"
    )
    assert node.ask(cells.format("x", "(SELECT cost + 1 AS x, year FROM stays) t", 2000)).num_rows == 1
