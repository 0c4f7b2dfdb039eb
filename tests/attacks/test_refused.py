"""Hostile statements sent to a node directly: each is refused, with the code and rule that fit, and tells nothing."""

from __future__ import annotations

import attack_cases
import pytest
from attack_attempts import Case, Siege, marked

REFUSED = attack_cases.refused()
FAILURES = attack_cases.failures()

OPEN: dict[str, str] = {}
"""Holes that are known and not closed yet: the identifiers of their cases, and why. Empty is the goal."""

MAX_CPU_S = 5.0
"""A refusal that costs more would let a few statements keep a node busy; the dearest costs about a third of this."""


def test_there_are_at_least_sixty_of_them() -> None:
    assert len(REFUSED) >= 60
    assert len({case.id for case in REFUSED}) == len(REFUSED)
    assert len({case.sql for case in REFUSED}) == len(REFUSED)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_hostile_statement_is_refused(case: Case, siege: Siege, request: pytest.FixtureRequest) -> None:
    if case.id in OPEN:
        request.applymarker(pytest.mark.xfail(strict=True, reason=OPEN[case.id]))
    outcome = siege.outcomes[case.id]
    assert outcome.other is None, repr(outcome.other)
    assert outcome.released is None, f"released: {outcome.released.to_pylist()[:3]}"
    assert outcome.error is not None
    assert outcome.refused, f"not refused but failed: {outcome.error.code}"
    if case.code == "SQL_*":
        assert outcome.error.code.startswith("SQL_")
    elif case.code != "*":
        assert outcome.error.code == case.code
    if case.rule:
        assert outcome.error.rule == case.rule
    assert not marked([outcome.texts])
    assert outcome.cpu_s < MAX_CPU_S


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_a_statement_that_fails_for_some_rows_tells_no_value(
    case: Case, siege: Siege, request: pytest.FixtureRequest
) -> None:
    if case.id in OPEN:
        request.applymarker(pytest.mark.xfail(strict=True, reason=OPEN[case.id]))
    outcome = siege.outcomes[case.id]
    assert outcome.other is None, repr(outcome.other)
    assert outcome.error is None or outcome.error.code != "INTERNAL"
    assert not marked([outcome.texts])
    if outcome.released is not None:
        assert not marked(str(row) for row in outcome.released.to_pylist())


def test_all_failures_at_the_engine_look_alike(siege: Siege) -> None:
    outcomes = [siege.outcomes[case.id] for case in FAILURES if case.id not in OPEN]
    failed = [outcome.error for outcome in outcomes if outcome.error and not outcome.refused]
    assert len(failed) >= 15
    assert {error.code for error in failed if error} == {"NODE_EXECUTION"}
    assert len({str(error) for error in failed}) == 1
