"""A ward under attack: all hostile statements are sent once, and the tests look at how each of them ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping

import attack_cases
import pytest
from attack_attempts import Attacker, Case, Outcome, Siege, SmallGroups, marked, prepare
from attack_attempts import cells as cells_of


@pytest.fixture(scope="session")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    """A node over the ward, and an attacker with a valid permit who speaks to it directly."""
    prepared = prepare(tmp_path_factory.mktemp("ward"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(prepared.log)
    root.setLevel(logging.DEBUG)
    yield prepared
    root.removeHandler(prepared.log)
    root.setLevel(before)
    prepared.close()


@pytest.fixture(scope="session")
def siege(attacker: Attacker, pytestconfig: pytest.Config) -> Siege:
    """Every case, sent once."""
    cases = (*attack_cases.refused(), *attack_cases.failures(), *attack_cases.small(), *attack_cases.masked())
    outcomes = {case.id: attacker.attempt(case) for case in cases}
    assert len(outcomes) == len(cases), "two cases have the same identifier"
    pytestconfig.stash[_SUMMARY] = _summary(cases, outcomes)
    return Siege(attacker, outcomes)


_SUMMARY = pytest.StashKey[list[str]]()


def _summary(cases: tuple[Case | SmallGroups, ...], outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return lines of: family, cases, refused, failed, withheld or partly released, leaked markers."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        outcome = outcomes[case.id]
        family = counts.setdefault(case.family, Counter())
        family["cases"] += 1
        if outcome.released is None:
            family["refused" if outcome.refused else "failed"] += 1
        else:
            family["withheld" if outcome.released.num_rows == 0 else "released"] += 1
            family["leaked"] += bool(marked(cells_of(outcome.released)))
    columns = ("cases", "refused", "failed", "withheld", "released", "leaked")
    total = sum((family for family in counts.values()), Counter[str]())
    lines = [f"{'attack family':28}" + "".join(f"{name:>10}" for name in columns)]
    for name, family in [*counts.items(), ("all", total)]:
        lines.append(f"{name:28}" + "".join(f"{family[column]:>10}" for column in columns))
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what became of the attacks."""
    for line in config.stash.get(_SUMMARY, []):
        terminalreporter.write_line(line)
