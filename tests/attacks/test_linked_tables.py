"""Totals asked in separate questions: no withheld or small cell follows from all answers together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from attack_attempts import Attacker, Outcome
from attack_tables import BY_A, BY_AB, BY_B, BY_BIN, Cell, Condition, Question, Scenario, Solver, scenario

from archipel import identity, permit
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.policy_ledger import LedgerRules
from node_agent import config, linked_tables
from node_agent.assembly import assemble
from node_agent.ledger import Ledger

pytestmark = pytest.mark.attack("linked-answers")

TELLING = (13, 17, 36)
"""Random scenarios in which the answers would single out a few persons, were each only compared with others."""
RANDOM = tuple(scenario(seed) for seed in (*TELLING, *range(100, 121)))

POLICY = {"coordinator": "aggregate", "other_columns": "group", "tell_withheld_count": True}


def _line(*persons: int) -> dict[Cell, int]:
    return {(place, 0, 0): number for place, number in enumerate(persons) if number}


def _square(*rows: tuple[int, ...]) -> dict[Cell, int]:
    return {(a, b, 0): number for a, row in enumerate(rows) for b, number in enumerate(row) if number}


def _in(*values: int) -> Condition:
    return Condition(f"a IN ({', '.join(map(str, values))})", lambda cell: cell[0] in values)


TRIANGLE = _line(9, 8, 10, 80)
NOT_E = Condition("NOT (a = 4)", lambda cell: cell[0] != 4)
OTHER_THAN_E = Condition("a <> 4", lambda cell: cell[0] != 4)
CUBE = ((), (0,), (1,), (0, 1))
ROLLUP = ((), (0,), (0, 1))
WITHHELD = _square((40, 7, 4), (6, 30, 8), (9, 5, 50))

ONE_BY_ONE = "a list less its members, one by one"
CRAFTED = {
    "a triangle of lists": (TRIANGLE, (Question((), (_in(*two),)) for two in ((0, 1), (1, 2), (0, 2)))),
    "a triangle, each counted in another way": (
        TRIANGLE,
        (
            Question((), (_in(0, 1),), count="count(*)"),
            Question((), (_in(1, 2),), count="sum(1)"),
            Question((), (_in(0, 2),), count="count(DISTINCT person)"),
        ),
    ),
    "a triangle, each written in another way": (
        TRIANGLE,
        (Question((), (_in(*two),), form=form) for two, form in zip(((0, 1), (1, 2), (0, 2)), range(3), strict=True)),
    ),
    "a triangle of filters": (
        TRIANGLE,
        (Question((), (), flag=_in(*two)) for two in ((0, 1), (1, 2), (0, 2))),
    ),
    ONE_BY_ONE: (
        _line(30, 31, 32, 33, 5),
        (Question((), (_in(*those),)) for those in ((0, 1, 2, 3, 4), (0,), (1,), (2,), (3,))),
    ),
    "the members first": (
        _line(30, 31, 32, 33, 5),
        (Question((), (_in(*those),)) for those in ((3,), (2,), (1,), (0,), (0, 1, 2, 3, 4))),
    ),
    "a complement by NOT": (_line(30, 31, 32, 33, 5), (Question(), Question((), (NOT_E,)))),
    "a complement by <> against groups": (
        _line(30, 31, 32, 33, 5),
        (Question((), (OTHER_THAN_E,)), Question(BY_A), Question()),
    ),
    "totals after groups": (WITHHELD, (Question(BY_AB), Question(BY_A), Question(BY_B), Question())),
    "groups after totals": (WITHHELD, (Question(), Question(BY_B), Question(BY_A), Question(BY_AB))),
    "CUBE after ROLLUP": (WITHHELD, (Question(BY_AB, (), ROLLUP), Question(BY_AB, (), CUBE))),
    "ROLLUP after CUBE of a part": (
        WITHHELD,
        (Question(BY_AB, (_in(0, 1),), CUBE), Question(BY_AB, (), ROLLUP), Question(BY_B)),
    ),
    "a coarser bin later": (_line(30, 31, 7, 8, 40, 6, 9, 33), (Question(BY_A), Question(BY_BIN), Question())),
    "a coarser bin first": (_line(30, 31, 7, 8, 40, 6, 9, 33), (Question(), Question(BY_BIN), Question(BY_A))),
    "overlapping lists of bins": (
        _line(6, 5, 6, 5, 90),
        (Question(BY_BIN, (_in(*those),)) for those in ((0, 1, 4), (1, 2, 4), (0, 2, 3), (0, 1, 2, 3))),
    ),
}
SCENARIOS = {f"random {made.table}": made for made in RANDOM} | {
    name: Scenario(f"c{number}", persons, 1, tuple(questions))
    for number, (name, (persons, questions)) in enumerate(CRAFTED.items())
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    """A node with a table for each scenario, and who asks about them."""
    directory = tmp_path_factory.mktemp("tables")
    data = directory / "data"
    data.mkdir()
    setups = []
    for number, made in enumerate(SCENARIOS.values()):
        path = data / f"{made.table}.parquet"
        pq.write_table(made.content(10_000 * number), path)
        setups.append(TableSetup(made.table, path, POLICY, person_column="person"))
    setup = NodeSetup("chu", "Made-up hospital", tuple(setups), {"statement_timeout_s": 5})
    layout = write_layout(directory / "made", [setup], researcher="mallory", project="attack")
    node = assemble(config.load(layout.node_configs["chu"]))
    yield Attacker(
        layout=layout,
        node=node,
        data_file=data,
        authority=identity.load_signing_key(layout.authority_dir / "authority.pem"),
        key=identity.ResearcherIdentity.load(layout.key).signing_key,
        raw=None,
    )
    node.close()


Asker = Callable[[Scenario, int], Outcome]


@pytest.fixture
def asked(hospital: Attacker, tmp_path: Path) -> Iterator[Asker]:
    """Ask a scenario's question by its number, of a node that has a new ledger."""
    ledger = Ledger(tmp_path / "ledger", LedgerRules(whole_tables="unknown"))
    before, hospital.node.runner.ledger = hospital.node.runner.ledger, ledger

    def ask(made: Scenario, number: int) -> Outcome:
        order = hospital.order(f"{made.table}-{number}", made.questions[number].sql(made.table))
        granted = hospital.permit(tables=(permit.TableGrant(table=made.table, columns=("*",)),))
        return hospital.send(replace(order, permit=permit.issue(granted, hospital.authority)))

    yield ask
    hospital.node.runner.ledger = before
    ledger.close()


def learnt(made: Scenario, ask: Asker) -> Solver:
    """Ask all questions of a scenario; return what an attacker knows then."""
    solver = Solver(made)
    for number, question in enumerate(made.questions):
        outcome = ask(made, number)
        if outcome.released is not None:
            solver.learn(question, outcome.released)
        else:
            assert outcome.error is not None, repr(outcome.other)
            assert outcome.error.code == "DIFFERENCING_REFUSED"
    assert solver.told, "nothing was answered at all"
    return solver


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_small_cell_is_bounded_more_narrowly_than_the_threshold(asked: Asker, name: str) -> None:
    assert learnt(SCENARIOS[name], asked).narrow() == []


@pytest.mark.parametrize("name", [*(f"random t{seed}" for seed in TELLING), ONE_BY_ONE])
def test_the_attacker_gets_there_where_linked_tables_are_not_looked_at(
    asked: Asker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked_tables, "withheld_more", lambda *_, **__: set())
    assert learnt(SCENARIOS[name], asked).narrow()


def test_what_is_withheld_for_earlier_answers_is_told_as_withheld(asked: Asker) -> None:
    made = SCENARIOS[ONE_BY_ONE]
    outcomes = [asked(made, number) for number in range(5)]
    assert [outcome.released.num_rows for outcome in outcomes if outcome.released is not None] == [1, 1, 1, 1, 0]
    assert [outcome.withheld.groups for outcome in outcomes if outcome.withheld is not None] == [0, 0, 0, 0, 1]


def test_what_was_withheld_stays_withheld_when_it_is_asked_again(asked: Asker) -> None:
    made = SCENARIOS[ONE_BY_ONE]
    for number in (0, 1, 2, 3, 4, 4, 3):
        outcome = asked(made, number)
        assert outcome.released is not None
        assert outcome.released.num_rows == (number < 4)


def test_what_nothing_follows_from_is_answered_whole(asked: Asker) -> None:
    made = SCENARIOS["totals after groups"]
    first, second = asked(made, 0), asked(made, 1)
    assert first.withheld is not None
    assert first.withheld.groups == 6
    assert second.released is not None
    assert second.released.num_rows == 3
