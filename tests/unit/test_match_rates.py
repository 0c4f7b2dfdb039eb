"""How many persons matched between two nodes: what is told of it, rounded, and what is not told at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from test_node_intersecting import Intersecting, people
from test_node_sealed import JOIN_STAYS, LINKED, POLICY, RECEIVER, SEND_ROWS, SENDERS, refusal_of

from archipel.policy_ledger import LedgerRules
from node_agent.ledger import Ledger
from node_agent.order import MatchRate, Note
from node_agent.sealed import Sender

SENDER = SENDERS[0]


def scene_of(directory: Path, rows: Callable[[str], pa.Table], **policies: Any) -> Intersecting:
    """Return nodes that tell match rates; ``policies`` changes that."""
    peers = {RECEIVER: "rows", SENDER: "keys"}
    stays = {**LINKED, "peers": peers, "match_rates": "rounded", **policies}
    directory.mkdir(exist_ok=True)
    return Intersecting(directory, policy={**POLICY, "stays": stays}, rows=rows)


def shares(common: int, sent: int = 100, held: int = 200) -> Callable[[str], pa.Table]:
    """Return how many persons there are at the sender and at the receiver, and in both."""
    at = {SENDER: (0, sent), RECEIVER: (sent - common, sent - common + held), SENDERS[1]: (5_000, 5_050)}
    return lambda node: people(*at[node])


def notes_of(scene: Intersecting, sql: str = JOIN_STAYS) -> tuple[Note, ...]:
    """Return what the receiver says of a join with what it was sent."""
    order = scene.order(sql, stage_id="s2", inputs={"x1": ()}, senders={"x1": (Sender(SENDER, "s1", 1),)})
    return scene.runners[RECEIVER].run(order, {}, None, scene.pull(RECEIVER)).notes


def rates(notes: tuple[Note, ...]) -> list[MatchRate]:
    return [note.match_rate for note in notes if note.match_rate is not None]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Intersecting]:
    made = scene_of(tmp_path, shares(33, sent=101))
    yield made
    made.close()


def test_both_sides_are_told_rounded_and_written_down(scene: Intersecting) -> None:
    scene.send(SEND_ROWS)
    notes = notes_of(scene)
    own, sent = rates(notes)
    assert own == MatchRate("stays", (RECEIVER,), 200, 35, 20)  # 33 of 200 are 16.5 %
    assert sent == MatchRate("", (SENDER,), 100, 35, 30)  # 33 of 101 are 32.7 %
    assert all("33" not in note.text and "101" not in note.text for note in notes)
    assert [rate["matched"] for rate in scene.last_record(RECEIVER)["match_rates"]] == [35, 35]


def test_after_an_intersection_only_the_receiver_s_side_is_told(scene: Intersecting) -> None:
    scene.matched()
    (own,) = rates(notes_of(scene))
    assert own == MatchRate("stays", (RECEIVER,), 200, 35, 20)


@pytest.mark.parametrize(
    ("common", "sent", "held"),
    [(10, 100, 200), (90, 100, 200), (100, 105, 100)],
    ids=["few match", "few of those sent do not", "few of those sent do not, and all here do"],
)
def test_a_side_with_few_persons_who_match_or_who_do_not_is_not_told(
    common: int, sent: int, held: int, tmp_path: Path
) -> None:
    made = scene_of(tmp_path / "few", shares(common, sent, held))
    try:
        made.send(SEND_ROWS)
        found = rates(notes_of(made))
        for rate, total in ((r, sent if not r.table else held) for r in found):
            assert min(common, total - common) == 0 or min(common, total - common) >= 11, rate
        assert not [rate for rate in found if not rate.table]
    finally:
        made.close()


def test_nothing_is_told_unless_the_policies_of_both_say_so(tmp_path: Path) -> None:
    made = scene_of(tmp_path / "silent", shares(30), match_rates="none")
    try:
        made.send(SEND_ROWS)
        assert notes_of(made) == ()
        assert "match_rates" not in made.last_record(RECEIVER)
    finally:
        made.close()
    both = [scene_of(tmp_path / name, shares(30)) for name in ("one", "other")]
    try:
        for made, node in zip(both, (SENDER, RECEIVER), strict=True):
            quiet = made.runners[node].engine.tables()
            silent = tuple(replace(t, policy=replace(t.policy, tell_match_rates=False)) for t in quiet)
            made.runners[node].engine.tables = lambda silent=silent: silent  # type: ignore[method-assign]
            made.send(SEND_ROWS)
            assert rates(notes_of(made)) == []
    finally:
        for made in both:
            made.close()


def test_the_policy_s_rounding_is_held_where_it_is_coarser(tmp_path: Path) -> None:
    made = scene_of(tmp_path / "coarse", shares(33, sent=101), rounding=20)
    try:
        made.send(SEND_ROWS)
        assert {rate.matched for rate in rates(notes_of(made))} == {40}
    finally:
        made.close()


def test_rates_of_questions_that_differ_by_few_persons_are_not_both_told(tmp_path: Path) -> None:
    made = scene_of(tmp_path / "ledger", shares(60, sent=120, held=300))
    made.set(RECEIVER, ledger=Ledger(made.directory / RECEIVER / "compared", LedgerRules()))
    try:
        made.send(SEND_ROWS)
        question = "SELECT count(*) AS n FROM x1 JOIN stays AS s ON s.person = x1.person WHERE s.region = 'Normandie'"
        assert [rate.table for rate in rates(notes_of(made, question))] == ["stays", ""]
        # Of 120 persons nine fewer are sent, none of whom the question is about: it is answered as before. But the
        # difference of the rates would be about these nine.
        made.send("SELECT person, region, days FROM stays WHERE NOT (days = 3 AND region = 'Bretagne')")
        assert rates(notes_of(made, question)) == []
    finally:
        made.close()


def test_a_question_that_is_refused_tells_no_rate(scene: Intersecting) -> None:
    scene.send(SEND_ROWS)
    assert refusal_of(lambda: notes_of(scene, "SELECT x1.person FROM x1")).code == "BORDER_REFUSED"
    assert "match_rates" not in scene.last_record(RECEIVER)
