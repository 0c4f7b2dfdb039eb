"""Answers of one permit as cells of one table: who is compared with whom, what is kept, what is too much."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import PROTECTED, Party, engine_of, runner_of

from archipel import errors, frames, tokens
from archipel.policy_ledger import LedgerRules
from node_agent import audit, linked_tables
from node_agent.audit import AuditLog
from node_agent.ledger import Ledger
from node_agent.ledger_store import overview
from node_agent.order import Released

SIZES = {"aa": 30, "bb": 31, "cc": 32, "dd": 33, "ee": 5}
TABLE = {"name": "stays", "source": "data", "file": "stays.parquet", "person_column": "person"}


class Node:
    """A node over persons in five wards, the last of them small, and a researcher who asks about them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.party = Party()
        self.write(SIZES)
        self.open()

    def write(self, sizes: dict[str, int]) -> None:
        """Write the data anew."""
        wards = [ward for ward, number in sizes.items() for _ in range(number)]
        first = {"aa": 0, "bb": 100, "cc": 200, "dd": 300, "ee": 400}
        persons = [first[ward] + i for ward, number in sizes.items() for i in range(number)]
        costs = [10_000.0 if person == 0 else 10.0 + person % 7 for person in persons]
        path = self.directory / "stays.new"
        pq.write_table(pa.table({"person": persons, "ward": wards, "cost": costs}), path)
        path.rename(self.directory / "stays.parquet")

    def open(self) -> None:
        policy = {"stays": {**PROTECTED, "columns": {"cost": "measure"}}}
        self.log = AuditLog(self.directory / "audit")
        self.ledger = Ledger(self.directory / "ledger", LedgerRules(whole_tables="unknown"))
        self.runner = runner_of(
            self.directory,
            self.party,
            engine=engine_of(self.directory, [TABLE], policy=policy),
            audit=self.log,
            ledger=self.ledger,
            tables=False,
        )

    def close(self) -> None:
        self.runner.engine.close()
        self.log.close()
        self.ledger.close()

    def released(self, sql: str, **changes: Any) -> Released:
        """Return what leaves for a question; ``changes`` are of the permit."""
        token = self.party.permit(**{"tables": [{"table": "*", "columns": ["*"]}], **changes})
        request = self.party.request(permit_id=changes.get("permit_id", "p1"))
        return self.runner.run(self.party.order(sql, permit_token=token, request_token=request), {})

    def rows(self, sql: str, **changes: Any) -> list[dict[str, Any]]:
        """Return the rows of an answer."""
        return frames.decode_table(list(self.released(sql, **changes).frames)).to_pylist()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def count(*wards: str) -> str:
    """Return the question how many persons there are in some wards."""
    return f"SELECT count(*) AS n FROM stays WHERE ward IN ({', '.join(repr(ward) for ward in wards)})"  # noqa: S608


ALL = tuple(SIZES)
QUESTIONS = (count(*ALL), count("aa"), count("bb"), count("cc"))
LAST = count("dd")
"""All wards less four of them are the small one."""


def test_a_permit_is_not_given_the_last_part(node: Node) -> None:
    assert [node.rows(sql)[0]["n"] for sql in QUESTIONS] == [131, 30, 31, 32]
    released = node.released(LAST)
    assert frames.decode_table(list(released.frames)).num_rows == 0
    assert released.withheld.groups == 1
    record = list(audit.records(node.directory / "audit"))[-1]
    assert record["withheld_for_earlier_answers"] == 1


def test_another_permit_of_the_researcher_is_not_given_it_either(node: Node) -> None:
    for sql in QUESTIONS:
        node.rows(sql)
    assert node.rows(LAST, permit_id="p2") == []


def test_another_researcher_with_another_permit_is_given_it(node: Node) -> None:
    for sql in QUESTIONS:
        node.rows(sql)
    key = tokens.encode_public_key(node.party.researcher.public_key())
    assert node.rows(LAST, permit_id="p2", researchers=[{"name": "bob", "key": key}]) == [{"n": 33}]


def test_it_holds_when_the_node_was_started_anew(node: Node) -> None:
    for sql in QUESTIONS:
        node.rows(sql)
    node.close()
    node.open()
    assert node.rows(LAST) == []


def test_a_ward_that_lost_persons_is_not_told_by_totals_of_the_new_state(node: Node) -> None:
    by_ward = "SELECT ward, count(*) AS n FROM stays GROUP BY ward"
    node.write({**SIZES, "ee": 11})
    node.close()
    node.open()
    assert len(node.rows(by_ward)) == 5
    node.write({**SIZES, "ee": 10})
    node.close()
    node.open()
    assert len(node.rows(by_ward)) == 4
    with pytest.raises(errors.ArchipelError) as problem:
        node.rows("SELECT count(*) AS n FROM stays")
    assert problem.value.code == "DIFFERENCING_REFUSED"


def test_sums_of_a_group_that_one_person_dominates_do_not_follow_from_totals(node: Node) -> None:
    sums = [f"SELECT sum(cost) AS c FROM stays WHERE ward IN {wards}" for wards in (("aa", "bb"), ("bb", "cc"))]  # noqa: S608
    by_ward = node.rows("SELECT ward, sum(cost) AS c FROM stays GROUP BY ward")
    assert {row["ward"] for row in by_ward} == {"bb", "cc", "dd"}, "of the first ward one person has nearly all"
    assert node.rows(sums[1]) == [{"c": sum(row["c"] for row in by_ward if row["ward"] in ("bb", "cc"))}]
    assert node.rows(sums[0]) == [], "less what is known of the second ward it would be the first one's"


def test_an_answer_without_its_keys_is_refused_where_it_would_lose_a_group(node: Node) -> None:
    for sql in QUESTIONS[:3]:
        node.rows(sql)
    with pytest.raises(errors.ArchipelError) as problem:
        node.rows("SELECT count(*) AS n FROM stays WHERE ward IN ('cc', 'dd') GROUP BY ward")
    assert problem.value.code == "DIFFERENCING_REFUSED"
    assert problem.value.hint == linked_tables.NO_LABELS_HINT


@pytest.mark.parametrize("limit", [("MAX_ATOMS", 2), ("MAX_SECONDS", -1.0)])
def test_what_is_too_much_to_settle_is_refused_with_a_hint_and_locks_nobody(
    node: Node, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, float]
) -> None:
    node.rows("SELECT ward, count(*) AS n FROM stays WHERE ward < 'c' GROUP BY ward")
    monkeypatch.setattr(linked_tables, *limit)
    for _ in range(12):
        with pytest.raises(errors.ArchipelError) as problem:
            node.rows("SELECT ward, count(*) AS n FROM stays WHERE ward < 'd' GROUP BY ward")
        assert problem.value.code == "DIFFERENCING_REFUSED"
        assert problem.value.hint == linked_tables.UNSETTLED_HINT


def test_older_answers_are_looked_at_when_there_are_more_than_fit_together(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked_tables, "MAX_TOGETHER", 1)
    node.rows("SELECT ward, sum(cost) AS c FROM stays GROUP BY ward")
    node.rows(count("cc", "dd"))
    node.rows(count("bb", "dd"))
    assert node.rows("SELECT sum(cost) AS c FROM stays WHERE ward IN ('aa', 'bb')") == []


def test_of_groups_only_hashes_are_kept_and_an_alteration_is_noticed(node: Node) -> None:
    node.rows("SELECT ward, count(*) AS n FROM stays GROUP BY ward")
    node.close()
    database = sqlite3.connect(node.directory / "ledger" / "ledger.db")
    shape, marks = database.execute("SELECT shape, marks FROM linked").fetchone()
    assert len(marks) == 4 * linked_tables.MARK_BYTES
    assert not any(ward in shape for ward in SIZES)
    assert overview(node.directory / "ledger", verify=True).entries == 1
    database.execute("UPDATE linked SET permit = 'another'")
    database.commit()
    database.close()
    with pytest.raises(errors.ArchipelError, match="altered"):
        overview(node.directory / "ledger", verify=True)
    node.open()


def test_what_was_purged_is_part_of_no_linked_table(node: Node) -> None:
    for sql in QUESTIONS:
        node.rows(sql)
    assert node.ledger.purge(4e9) == len(QUESTIONS)
    assert node.rows(LAST) == [{"n": 33}]


def test_an_answer_given_meanwhile_is_compared_with_too(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for sql in QUESTIONS[:3]:
        node.rows(sql)
    compared, real = [], linked_tables.withheld_more

    def meanwhile(*arguments: Any, **more: Any) -> Any:
        found = real(*arguments, **more)
        compared.append(len(arguments[1]))
        if len(compared) == 1:
            node.rows(QUESTIONS[3])
        return found

    monkeypatch.setattr(linked_tables, "withheld_more", meanwhile)
    assert node.rows(LAST) == []
    assert compared == [3, 3, 4]
