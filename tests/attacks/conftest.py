"""A ward under attack: all hostile statements are sent once, and the tests look at how each of them ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping

import attack_cases
import pytest
from attack_attempts import Attacker, Case, Outcome, Siege, SmallGroups, marked, prepare
from attack_attempts import cells as cells_of
from attack_setup import Stack, running

Skipped = pytest.skip.Exception


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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Coordinator and nodes as processes, one of them over the ward; the last tests of it change its data."""
    yield from running(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="session")
def siege(attacker: Attacker, pytestconfig: pytest.Config) -> Siege:
    """Every case, sent once."""
    cases = (*attack_cases.refused(), *attack_cases.failures(), *attack_cases.small(), *attack_cases.masked())
    outcomes = {case.id: attacker.attempt(case) for case in cases}
    assert len(outcomes) == len(cases), "two cases have the same identifier"
    _count(pytestconfig.stash[_SUMMARY], cases, outcomes)
    return Siege(attacker, outcomes)


_SUMMARY = pytest.StashKey[dict[str, Counter[str]]]()
_COLUMNS = ("cases", "refused", "failed", "withheld", "released", "held", "leaked")


def pytest_configure(config: pytest.Config) -> None:
    """Make the families of attacks known that tests belong to."""
    config.addinivalue_line("markers", "attack(family): a test of this family is a case of an attack")
    config.stash[_SUMMARY] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Count each test of a family that is not counted by what a node said: ``held`` when it passed."""
    yield
    marker = item.get_closest_marker("attack")
    if marker is None or call.when != "call" or (call.excinfo is not None and call.excinfo.errisinstance(Skipped)):
        return
    family = item.config.stash[_SUMMARY].setdefault(str(marker.args[0]), Counter())
    family["cases"] += 1
    family["held" if call.excinfo is None else "leaked"] += 1


def _count(
    counts: dict[str, Counter[str]], cases: tuple[Case | SmallGroups, ...], outcomes: Mapping[str, Outcome]
) -> None:
    """Add to each family what became of its cases at the node; ``leaked`` is what was released with a marker in it."""
    for case in cases:
        outcome = outcomes[case.id]
        family = counts.setdefault(case.family, Counter())
        family["cases"] += 1
        if outcome.released is None:
            family["refused" if outcome.refused else "failed"] += 1
        else:
            family["withheld" if outcome.released.num_rows == 0 else "released"] += 1
            family["leaked"] += bool(marked(cells_of(outcome.released)))


def _table(counts: Mapping[str, Counter[str]]) -> list[str]:
    total = sum((family for family in counts.values()), Counter[str]())
    lines = [f"{'attack family':28}" + "".join(f"{name:>10}" for name in _COLUMNS)]
    for name, family in [*counts.items(), ("all", total)]:
        lines.append(f"{name:28}" + "".join(f"{family[column]:>10}" for column in _COLUMNS))
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what became of the attacks."""
    counts = config.stash[_SUMMARY]
    for line in _table(counts) if counts else ():
        terminalreporter.write_line(line)
