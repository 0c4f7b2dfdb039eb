"""The hostile statements once more, as a researcher asks them: through client and coordinator, at a real federation.

Here the coordinator plans, so a statement may come to its end by another way than at the node alone: the legal part is
answered, and HAVING or LIMIT apply to what was released. What counts is that nobody is told anything of one person.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import attack_cases
import attack_ward as ward
import pytest
from attack_attempts import Case, SmallGroups, cells, marked
from attack_setup import Stack

import archipel
from archipel import errors, identity, manifest, receipt, receipt_check
from node_agent import audit, replay

pytestmark = [pytest.mark.attack("by-the-coordinator"), pytest.mark.federation]

EVERY = 12
"""Every how many of the refused statements are asked; of the others more."""

TELLING = frozenset({"INTERNAL", "MERGE_FAILED", "TIMEOUT", "COORDINATOR_UNAVAILABLE"})
"""How no hostile question may end: something was not foreseen."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question ended: with rows or an error, and all texts that came with it."""

    rows: int
    code: str
    texts: tuple[str, ...]


def _sample() -> Sequence[Case | SmallGroups]:
    """Return questions that a researcher can send: without tables of a hostile coordinator, and not too long."""
    read_otherwise = [case for case in attack_cases.refused() if case.family == "syntax"][1::3]
    refused = dict.fromkeys([*attack_cases.refused()[::EVERY], *read_otherwise])
    cases = (*refused, *attack_cases.failures()[::3], *attack_cases.small()[::6], *attack_cases.masked()[::2])
    return [case for case in cases if not case.inputs and len(case.sql) < 20_000 and "\x00" not in case.sql]


CASES = _sample()


@pytest.fixture(scope="module")
def asked(stack: Stack) -> dict[str, Asked]:
    """Every question, asked once."""
    with stack.federation.connect() as connection:
        return {case.id: _ask(connection, case.sql.replace("@PERSON@", ward.VIP)) for case in CASES}


def _ask(connection: archipel.Connection, sql: str) -> Asked:
    try:
        result = connection.query(sql, timeout_s=20).result()
    except errors.ArchipelError as problem:
        return Asked(0, problem.code, (str(problem), repr(problem.info)))
    texts = (*cells(result.to_arrow()), *result.warnings, *map(repr, result.nodes), *map(repr, result.crossings))
    return Asked(len(result), "", texts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_hostile_question_is_told_nothing_of_a_person(case: Case | SmallGroups, asked: dict[str, Asked]) -> None:
    ended = asked[case.id]
    assert ended.code not in TELLING, ended.texts
    written = case.sql.replace("@PERSON@", ward.VIP)
    assert not [text for text in marked(ended.texts) if not any(m in written and m in text for m in ward.MARKERS)]


def test_most_are_refused_and_the_legal_part_of_others_is_answered(asked: dict[str, Asked]) -> None:
    hostile = {case.id for case in CASES if isinstance(case, Case)}
    ended = Counter("answered" if not asked[name].code else "refused" for name in hostile)
    assert ended["refused"] > ended["answered"]
    assert sum(not asked[case.id].code for case in CASES if isinstance(case, SmallGroups)) > 15


def test_no_log_and_no_store_of_the_coordinator_holds_a_person(asked: dict[str, Asked], stack: Stack) -> None:
    """Values of a person that nobody wrote into a question; those of questions are in the coordinator's store."""
    assert asked
    known = "".join(case.sql for case in CASES) + ward.VIP
    markers = [marker for marker in ward.MARKERS if marker not in known]
    assert len(markers) > 100
    own = stack.layout.state_dir(ward.NODE)
    for path in stack.layout.directory.rglob("*"):
        if path.is_file() and own not in path.parents:
            content = path.read_bytes()
            assert not [marker for marker in markers if marker.encode() in content], path


def test_an_honest_answer_s_receipts_hold_and_its_decision_is_reached_again(stack: Stack, tmp_path: Path) -> None:
    keys = stack.layout.directory / "federation"
    authority = identity.load_public_key(keys / "authority" / "authority.pub")
    federation = manifest.verify((keys / "manifest.jwt").read_text().strip(), authority)
    with stack.federation.connect() as connection:
        connection.query_and_wait("SELECT sex, count(*) AS n FROM stays GROUP BY sex").save_receipts(tmp_path / "saved")
    token, asked, permit = (tmp_path / "saved").read_text().split()
    state = stack.layout.state_dir(ward.NODE)
    records = {record["hash"]: record for record in audit.records(state / "audit")}
    taken = receipt.read_unverified(token)["audit_record"]
    papers = receipt_check.papers([asked, permit], [records[taken]])
    report = receipt_check.check(token, federation, authority, papers)
    assert report.good
    unchecked = [finding for finding in report.findings if finding.found is receipt_check.Found.UNCHECKED]
    assert len(unchecked) == 1  # that the log holds the record: its newest checkpoint is older
    played = replay.replay(records[taken], state / "evidence")
    assert played.same is True, played.steps
    assert audit.verify(state / "audit").checkpoints == 0  # the agent began with an empty log and still runs


def test_the_order_in_which_questions_are_asked_changes_nothing(stack: Stack, asked: dict[str, Asked]) -> None:
    """A question that was refused is refused again, whatever was answered in between."""
    again = random.Random(7).sample([case for case in CASES if isinstance(case, Case)], 12)
    with stack.federation.connect() as connection:
        for case in again:
            assert _ask(connection, case.sql.replace("@PERSON@", ward.VIP)).code == asked[case.id].code
