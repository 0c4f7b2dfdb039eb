"""A small run of the guard's fuzzer; ``make nightly`` has a million statements."""

from __future__ import annotations

from pathlib import Path

import guard_fuzz
import pytest
from guard_fuzz import Guard, Report

from archipel.border.decision import Release
from archipel.schema import Form

STATEMENTS = 60


def test_no_statement_that_the_guard_lets_through_touches_a_hidden_column_and_none_breaks_it(tmp_path: Path) -> None:
    report = guard_fuzz.run(tmp_path, STATEMENTS, seed=11)
    assert report.finds == []
    assert report.ended.total() == STATEMENTS
    assert report.ended["let through"] >= STATEMENTS / 10
    assert report.ended["let through, but does not bind"] <= report.ended["let through"] / 4


@pytest.mark.parametrize("column", ["note", "nationality"])
def test_the_judge_would_see_a_hidden_column(tmp_path: Path, column: str) -> None:
    """Handed a release that reads a column which is hidden, or which the permit does not name."""
    guard, report = Guard(tmp_path), Report()
    sql = "SELECT count(COLUMN) FROM stays".replace("COLUMN", column)
    let = Release(sql, Form.AGGREGATE, True, 11, ("stays",), (), "", None, None, False)
    guard._judged(sql, let, report)
    assert len(report.finds) == 1
    guard._judged(
        "SELECT count(days) FROM stays", Release(**{**_fields(let), "sql": "SELECT count(days) FROM stays"}), report
    )
    assert len(report.finds) == 1


def _fields(release: Release) -> dict[str, object]:
    return {name: getattr(release, name) for name in release.__slots__}
