"""The demo's research questions over the synthetic world: their plans as a golden file, their answers by the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import golden
import pytest
from outcomes import outcome
from planning import EngineFederation, request

from archipel.demo.layout import Layout
from archipel.demo.oracle import Oracle, compare
from archipel.demo.questions import QUESTIONS, Question

GOLDEN = Path(__file__).parent / "demo" / "questions.sql"


@pytest.fixture(scope="module")
def world_nodes(layout: Layout) -> Iterator[EngineFederation]:
    with EngineFederation(layout.node_configs) as made:
        yield made


def cases() -> list[golden.Case]:
    """Return the questions as cases; what is expected of each comes from the golden file."""
    known = {case.title: case.expected for case in golden.read(GOLDEN)}
    return [golden.Case(GOLDEN, q.title, {}, q.sql.strip(), known.get(q.title, "")) for q in QUESTIONS]


@pytest.mark.skipif(not golden.UPDATE, reason="writes the golden file: only with ARCHIPEL_UPDATE_GOLDEN=1")
def test_the_golden_file_of_questions_is_written_anew(world_nodes: EngineFederation) -> None:
    GOLDEN.write_text("-- The research questions of the demo, over the synthetic world.\n\n")
    golden.write(GOLDEN, [(case, outcome(world_nodes, case)) for case in cases()])


@pytest.mark.skipif(golden.UPDATE, reason="it is being written")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_a_question_has_the_plan_of_the_golden_file(world_nodes: EngineFederation, case: golden.Case) -> None:
    assert outcome(world_nodes, case) == case.expected
    assert case.sql in GOLDEN.read_text()


@pytest.mark.parametrize("question", [q for q in QUESTIONS if not q.expect_refusal], ids=lambda q: q.title)
def test_a_question_is_answered_as_by_one_database_save_for_what_is_withheld(
    world_nodes: EngineFederation, oracle: Oracle, question: Question
) -> None:
    answer = world_nodes.ask(request(question.sql))
    found = compare(answer.table, oracle.query(question.sql), question.keys)
    assert found.unknown == 0 or "LIMIT" in question.sql
    assert found.exact or answer.withheld > 0, found
