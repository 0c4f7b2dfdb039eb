"""Answers that are harmless one by one and tell about one person together: the ledger refuses the last of them."""
# ruff: noqa: S608 - statements are put together from parts that stand in this file

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import attack_ward as ward
import pytest
from attack_attempts import FEDERATION, Attacker, Outcome
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import permit, request, tokens
from archipel.policy_ledger import LedgerRules
from node_agent.ledger import Ledger

pytestmark = pytest.mark.attack("differencing")


@dataclass(frozen=True, slots=True)
class Sequence:
    """Statements that are answered, and one that must not be after them."""

    goal: str
    earlier: tuple[str, ...]
    last: str


AGGREGATES = ("count(*)", "sum(score)", "avg(score)", "var_pop(score)", "count(DISTINCT person)", "sum(days)")
"""Of everybody, or of a region."""

WITHOUT_ONE = {
    "days": "days <> 366",
    "days between": "days BETWEEN 1 AND 300",
    "cost": "cost < 1000000",
    "birth": "birth >= DATE '1930-01-01'",
    "diagnosis": "diagnosis <> 'RARE-Z99'",
    "diagnosis in": "diagnosis IN ('I50', 'J45', 'E11')",
    "whole person": "person NOT IN (SELECT x.person FROM stays x WHERE x.days = 366 AND x.person IS NOT NULL)",
    "by their sum": "person IN (SELECT x.person FROM stays x GROUP BY x.person HAVING sum(x.cost) < 1000000)",
}
"""Conditions that only the person whom the attacker knows, or one row of theirs, does not meet."""


def _pairs() -> dict[str, Sequence]:
    """Return all of a region, then the same without one; and the other way round."""
    cases = {}
    for (number, aggregate), (way, condition) in itertools.product(enumerate(AGGREGATES), WITHOUT_ONE.items()):
        every = f"SELECT {aggregate} AS x FROM stays WHERE region = 'Nord'"
        without = f"{every} AND {condition}"
        first, second = (every, without) if number % 2 else (without, every)
        cases[f"pair: {aggregate}, {way}"] = Sequence("one person's part of a sum", (first,), second)
    return cases


BY_REGION = "SELECT region, count(*) AS n, sum(score) AS c FROM stays GROUP BY region"
NORD = "SELECT count(*) AS n FROM stays WHERE region = 'Nord'"

CASES = _pairs() | {
    "complement: of a region": Sequence(
        "the one who is not in the complement",
        (BY_REGION,),
        "SELECT count(*) AS n FROM stays WHERE region <> 'Nord' OR days = 366",
    ),
    "complement: by set difference": Sequence(
        "the one in a region and not in the rest",
        (NORD,),
        "SELECT count(*) AS n FROM stays WHERE NOT (region <> 'Nord' OR days = 366)",
    ),
    "complement: everybody but one, never asked for everybody": Sequence(
        "the one whom the total that everybody knows has more", (), "SELECT sum(cost) AS x FROM stays WHERE days <> 366"
    ),
    "padding: a known group and one": Sequence(
        "whether somebody is there",
        (BY_REGION,),
        "SELECT sum(score) AS x FROM stays WHERE region = 'Onze' OR days = 366",
    ),
    "tracker: the difference of two": Sequence(
        "one person by a tracker",
        ("SELECT count(*) AS n FROM stays WHERE region IN ('Nord', 'Sud')", f"{NORD.replace('Nord', 'Sud')}"),
        f"{NORD} AND days <> 366",
    ),
    "tracker: the union of two": Sequence(
        "one person by a tracker",
        (f"{NORD} AND days <> 366", f"{NORD.replace('Nord', 'Sud')}"),
        "SELECT count(*) AS n FROM stays WHERE region IN ('Nord', 'Sud')",
    ),
    "slices: years against all, one year without one": Sequence(
        "one stay by the sum of the slices",
        ("SELECT year, count(*) AS n FROM stays WHERE region = 'Nord' AND days <> 366 GROUP BY year",),
        f"{NORD} AND year > 2000",
    ),
    "slices: two ways to cut, one without one": Sequence(
        "one stay by two sets of slices",
        ("SELECT year, count(*) AS n FROM stays WHERE region = 'Nord' AND days <> 366 GROUP BY year",),
        "SELECT sex, count(*) AS n FROM stays WHERE region = 'Nord' GROUP BY sex",
    ),
    "multiples: each row twice": Sequence(
        "one stay by twice the sum",
        ("SELECT sum(score) AS x FROM stays WHERE region = 'Nord'",),
        "SELECT sum(s.score) AS x FROM stays s JOIN codes c ON c.n < 2 WHERE s.region = 'Nord' AND s.days <> 366",
    ),
    "multiples: half of each": Sequence(
        "one stay by half the sum",
        ("SELECT sum(score) AS x FROM stays WHERE region = 'Nord'",),
        "SELECT sum(score / 2) AS x FROM stays WHERE region = 'Nord' AND days <> 366",
    ),
    "other table: who got a drug": Sequence(
        "whether one got a drug",
        ("SELECT count(DISTINCT patient) AS n FROM stays JOIN drugs ON person = patient WHERE region = 'Nord'",),
        "SELECT count(DISTINCT d.patient) AS n FROM drugs d WHERE d.patient IN "
        "(SELECT x.person FROM stays x WHERE x.region = 'Nord' GROUP BY x.person HAVING max(x.days) < 300)",
    ),
    "inner groups: of persons": Sequence(
        "one person through an aggregation of each person",
        ("SELECT count(*) AS n FROM (SELECT person FROM stays WHERE region = 'Nord' GROUP BY person) t",),
        "SELECT count(*) AS n FROM (SELECT person, max(days) AS k FROM stays WHERE region = 'Nord' GROUP BY person) t "
        "WHERE k < 300",
    ),
    "inner groups: of regions": Sequence(
        "a withheld region's sum tested among known ones",
        (BY_REGION,),
        "SELECT count(*) AS n FROM (SELECT region, sum(cost) AS c FROM stays GROUP BY region) t "
        "WHERE region = 'Onze' OR (region = 'RARE-UN' AND c > 1000)",
    ),
}


@pytest.fixture
def watchful(attacker: Attacker, tmp_path: Path) -> Callable[[], Attacker]:
    """Give the attacker's node a new ledger that compares, and its old one back."""
    ledger = Ledger(tmp_path / "ledger", LedgerRules())
    before, attacker.node.runner.ledger = attacker.node.runner.ledger, ledger
    yield attacker
    attacker.node.runner.ledger = before
    ledger.close()


def nothing_is_told(outcome: Outcome) -> bool:
    """Whether the ledger refused, or the border had withheld everything before."""
    if outcome.released is not None:
        return outcome.released.num_rows == 0
    return outcome.error is not None and outcome.error.code == "DIFFERENCING_REFUSED"


@pytest.mark.parametrize("name", CASES)
def test_the_last_of_answers_that_tell_of_one_person_together_is_refused(watchful: Attacker, name: str) -> None:
    case = CASES[name]
    for number, sql in enumerate(case.earlier):
        outcome = watchful.send(watchful.order(f"earlier-{number}", sql))
        if outcome.released is None or not outcome.released.num_rows:
            assert nothing_is_told(outcome), repr(outcome.error)  # everybody but one is refused at once
            return
    assert nothing_is_told(watchful.send(watchful.order("last", case.last)))


@pytest.mark.parametrize("other", ["permit", "researcher"])
def test_another_permit_and_another_researcher_do_not_get_what_the_first_may_not(
    watchful: Attacker, other: str
) -> None:
    assert watchful.send(watchful.order("first", NORD)).released is not None
    order = watchful.order("second", f"{NORD} AND days <> 366")
    key = Ed25519PrivateKey.generate() if other == "researcher" else watchful.key
    who = permit.Researcher(name="trudy", key=tokens.encode_public_key(key.public_key()))
    granted = watchful.permit(permit_id="another", researchers=(who,), federation=FEDERATION)
    asked = watchful.request("SELECT 1", permit_id="another")
    outcome = watchful.send(
        replace(order, permit=permit.issue(granted, watchful.authority), request=request.sign(asked, key))
    )
    assert outcome.error is not None
    assert outcome.error.code == "DIFFERENCING_REFUSED"


def test_a_refusal_tells_neither_numbers_nor_which_answer_it_was(watchful: Attacker) -> None:
    texts, outcome = set(), Outcome()
    assert watchful.send(watchful.order("first", NORD)).released is not None
    for way in ("days", "cost", "birth", "by their sum"):
        outcome = watchful.send(watchful.order(f"q-{way}", f"{NORD} AND {WITHOUT_ONE[way]}"))
        if outcome.error is not None:
            texts.add(outcome.texts)
    assert len(texts) == 1
    assert outcome.error is not None
    message, hint = outcome.error.info.message, outcome.error.hint
    assert not any(character.isdigit() for character in message + hint)


def test_whoever_tries_again_and_again_is_locked_out(watchful: Attacker) -> None:
    assert watchful.send(watchful.order("first", NORD)).released is not None
    codes = []
    for number in range(14):
        outcome = watchful.send(watchful.order(f"q{number}", f"{NORD} AND days < {366 - number}"))
        codes.append(outcome.error.code if outcome.error is not None else "")
    assert codes == ["DIFFERENCING_REFUSED"] * 10 + ["PERMIT_LOCKED"] * 4


def test_the_same_question_gets_the_same_bits_from_everybody(watchful: Attacker) -> None:
    sql = "SELECT region, avg(score) AS a, stddev_pop(score) AS s FROM stays GROUP BY region"
    first, again = (watchful.send(watchful.order(f"q{number}", sql)) for number in range(2))
    assert first.released is not None
    assert first.released.equals(again.released)
    assert first.receipt is not None
    assert again.receipt is not None
    assert first.receipt.content_sha256 == again.receipt.content_sha256
    assert first.receipt.node == ward.NODE
