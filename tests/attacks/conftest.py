"""A ward under attack: all hostile statements are sent once, and the tests look at how each of them ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attack_cases
import pytest
from attack_attempts import Attacker, Case, Outcome, Siege, SmallGroups, marked, prepare
from attack_attempts import cells as cells_of
from attack_setup import Stack, running

from archipel.policy_ledger import LedgerRules
from node_agent.ledger import Ledger


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
def siege(attacker: Attacker, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Siege:
    """Every case, sent once; those that need another answer beside theirs to a node that has given it and compares."""
    cases = (*attack_cases.refused(), *attack_cases.failures(), *attack_cases.small(), *attack_cases.masked())
    outcomes = {case.id: attacker.attempt(case) for case in cases if case.id not in AFTER_OTHERS}
    compared = Ledger(tmp_path_factory.mktemp("compared"), LedgerRules())
    before, attacker.node.runner.ledger = attacker.node.runner.ledger, compared
    assert attacker.send(attacker.order("others", OTHERS)).released is not None
    outcomes |= {case.id: attacker.attempt(case) for case in cases if case.id in AFTER_OTHERS}
    attacker.node.runner.ledger = before
    compared.close()
    assert len(outcomes) == len(cases), "two cases have the same identifier"
    _count(pytestconfig.stash[_SUMMARY], cases, outcomes)
    return Siege(attacker, outcomes)


OTHERS = "SELECT region, count(*) AS n, sum(score) AS x FROM stays GROUP BY region"
AFTER_OTHERS = frozenset({"mask-padding-days", "mask-group-padding", "complement-where"})
"""Cases that take one person from an answer by what others tell: all regions, and who is in the table at all."""

_SUMMARY = pytest.StashKey[dict[str, Counter[str]]]()
_COLUMNS = ("cases", "refused", "failed", "withheld", "released", "held", "open", "leaked")

_FAMILIES = {
    "test_permits": "forged-permits-requests",
    "test_differencing": "differencing",
    "test_gate": "changed-after-approval",
    "test_hostile_coordinator": "hostile-coordinator",
    "test_peer_release": "linked-tables-sent",
    "test_received_tables": "linked-tables-received",
    "test_relay": "relayed-streams",
    "test_rounds": "totals-over-nodes",
    "test_fuzz": "fuzzing",
    "test_guard_fuzz": "fuzzing",
}
"""Families of the modules whose cases are tests of their own; a marker ``attack`` says another."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and begin to count."""
    config.addinivalue_line("markers", "attack(family): a test of this family is a case of an attack")
    config.stash[_SUMMARY] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Count each test that is a case by itself: ``held`` when it passed. ``open`` are known holes (xfail)."""
    outcome: Any = yield
    report = outcome.get_result()
    if call.when != "call":
        return
    counts = item.config.stash[_SUMMARY]
    case = getattr(getattr(item, "callspec", None), "params", {}).get("case")
    if getattr(report, "wasxfail", None) is not None and report.skipped and hasattr(case, "family"):
        counts.setdefault(case.family, Counter())["open"] += 1
        return
    marker = item.get_closest_marker("attack")
    name = str(marker.args[0]) if marker is not None else _FAMILIES.get(item.path.stem)
    if name is not None and not report.skipped:
        family = counts.setdefault(name, Counter())
        family["cases"] += 1
        family["held" if report.passed else "leaked"] += 1


def _count(
    counts: dict[str, Counter[str]], cases: tuple[Case | SmallGroups, ...], outcomes: Mapping[str, Outcome]
) -> None:
    """Add to each family what became of its cases at the node; ``leaked`` is what was released with a marker in it.

    A case that is released though it should not be fails its own test, unless it is known to be open.
    """
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
