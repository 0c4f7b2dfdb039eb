"""OHDSI's Achilles over four hospitals, against the answers that OHDSI published for the pooled data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import shared_achilles
from shared_achilles import Analysis, as_text
from shared_federations import OPEN_TO_ALL, PROTECTED, Builder, Running, running

from archipel import errors

pytestmark = [pytest.mark.shared_data, pytest.mark.federation, pytest.mark.timeout(300)]

ANALYSES = 54

ANSWERED_OPEN = 54
ANSWERED_OPEN_WITH_DRUGS_AT_CNAM = 54
ANSWERED_PROTECTED = 52
"""Floors: how many queries are answered today. They are raised when more are, and never lowered."""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of every query: its answer with whether it is complete, or the refusal."""

    answers: Mapping[str, tuple[list[tuple[str, ...]], bool]]
    refusals: Mapping[str, errors.ArchipelError]


@pytest.fixture(scope="module")
def published(shared_data: Path) -> list[Analysis]:
    """The queries and OHDSI's answers."""
    return shared_achilles.analyses(shared_data)


@pytest.fixture(scope="module")
def opened(shared_data: Path, published: list[Analysis], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All queries over tables that are not protected."""
    builder = Builder(tmp_path_factory.mktemp("achilles_open"))
    shared_achilles.build(builder, shared_data, OPEN_TO_ALL)
    with running(builder) as federation:
        return asked(federation, published)


@pytest.fixture(scope="module")
def drugs_apart(shared_data: Path, published: list[Analysis], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All queries over tables that are not protected, the drug tables being at the insurer."""
    builder = Builder(tmp_path_factory.mktemp("achilles_drugs_apart"))
    shared_achilles.build(builder, shared_data, OPEN_TO_ALL, drugs_at_cnam=True)
    with running(builder) as federation:
        return asked(federation, published)


@pytest.fixture(scope="module")
def protected(shared_data: Path, published: list[Analysis], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All queries over protected tables."""
    builder = Builder(tmp_path_factory.mktemp("achilles_protected"))
    shared_achilles.build(builder, shared_data, PROTECTED)
    with running(builder) as federation:
        yield asked(federation, published)


def asked(federation: Running, analyses: list[Analysis]) -> Run:
    """Ask all queries."""
    answers: dict[str, tuple[list[tuple[str, ...]], bool]] = {}
    refusals: dict[str, errors.ArchipelError] = {}
    for analysis in analyses:
        try:
            result = federation.ask(analysis.sql)
        except errors.ArchipelError as refusal:
            refusals[analysis.id] = refusal
        else:
            answers[analysis.id] = (as_text(result.to_arrow()), result.complete)
    return Run(answers, refusals)


def told(run: Run) -> str:
    """Return what became of the queries in one line."""
    codes = Counter(refusal.code for refusal in run.refusals.values())
    parts = sum(1 for _, complete in run.answers.values() if not complete)
    return f"{len(run.answers)} answered ({parts} in part), refused: {dict(codes)}"


def test_all_queries_are_asked(published: list[Analysis], opened: Run) -> None:
    assert len(published) == ANALYSES
    assert len(opened.answers) + len(opened.refusals) == ANALYSES


def test_every_answer_over_open_tables_is_the_published_one(published: list[Analysis], opened: Run) -> None:
    print("open tables:", told(opened))
    assert_published(published, opened)
    assert len(opened.answers) >= ANSWERED_OPEN


def test_every_answer_is_the_published_one_with_the_drugs_at_the_insurer(
    published: list[Analysis], drugs_apart: Run
) -> None:
    print("open tables, drugs at the insurer:", told(drugs_apart))
    assert_published(published, drugs_apart)
    assert len(drugs_apart.answers) >= ANSWERED_OPEN_WITH_DRUGS_AT_CNAM


def assert_published(published: list[Analysis], run: Run) -> None:
    """Demand that every answer is whole and the published one."""
    for analysis in published:
        if analysis.id in run.answers:
            rows, complete = run.answers[analysis.id]
            assert complete
            assert len(set(rows)) == len(rows)
            assert frozenset(rows) == analysis.published, analysis.id


def test_every_answer_over_protected_tables_is_the_published_one_or_a_part_that_says_so(
    published: list[Analysis], protected: Run
) -> None:
    print("protected tables:", told(protected))
    for analysis in published:
        if analysis.id in protected.answers:
            rows, complete = protected.answers[analysis.id]
            if complete:
                assert frozenset(rows) == analysis.published, analysis.id
            else:
                assert_part(rows, analysis)
    assert len(protected.answers) >= ANSWERED_PROTECTED


def assert_part(rows: list[tuple[str, ...]], analysis: Analysis) -> None:
    """Demand that each row is a published one, with a count that is no larger."""
    if analysis.name.startswith("Proportion"):
        # One row: the proportion, its numerator and denominator, whether the numerator is positive.
        (whole_row,) = analysis.published
        for row in rows:
            assert int(row[2]) <= int(whole_row[2]), analysis.id
            assert int(row[3]) <= int(whole_row[3]), analysis.id
        return
    whole = {row[:-1]: int(float(row[-1])) for row in analysis.published}
    for row in rows:
        assert row[:-1] in whole, f"{analysis.id}: a group that was not published"
        assert 0 <= int(float(row[-1])) <= whole[row[:-1]], f"{analysis.id}: more than was published"


def test_every_refusal_names_what_is_not_supported_and_where(opened: Run, drugs_apart: Run, protected: Run) -> None:
    for run in (opened, drugs_apart, protected):
        for name, refusal in run.refusals.items():
            assert refusal.code in {"SQL_UNSUPPORTED", "SQL_UNKNOWN_FUNCTION", "BORDER_REFUSED"}, f"{name}: {refusal}"
            assert refusal.position is not None, f"{name}: {refusal}"
            assert refusal.info.message
