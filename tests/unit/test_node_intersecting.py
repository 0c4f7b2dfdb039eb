"""Private set intersections between nodes, step by step: who learns what, and what is not taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from node_support import NOW
from test_node_sealed import JOIN_STAYS, LINKED, NODES, POLICY, RECEIVER, SEND_ROWS, SENDERS, Scene, refusal_of

from archipel import errors, frames, tokens
from archipel.intersection import IntersectionStep, Step
from node_agent import audit, private_matching, replay
from node_agent.evidence import Evidence, Grounds
from node_agent.order import Released
from node_agent.private_matching import Asker, answer
from node_agent.sealed import Output, Sender

PERSONS = "SELECT DISTINCT person FROM stays"


def people(first: int, last: int) -> pa.Table:
    """Return two stays of each person of a range of numbers."""
    numbers = [n for n in range(first, last) for _ in range(2)]
    return pa.table(
        {
            "person": [f"NIR-{n:05}" for n in numbers],
            "region": [("Bretagne", "Normandie")[n % 2] for n in numbers],
            "days": pa.array([n % 7 for n in numbers], pa.int64()),
            "note": ["-"] * len(numbers),
        }
    )


def shares(common: int) -> Callable[[str], pa.Table]:
    """Return what nodes hold: 100 persons each, of whom so many are at the first sender and at the receiver."""
    starts = {SENDERS[0]: 0, RECEIVER: 100 - common, SENDERS[1]: 5_000}
    return lambda node: people(starts[node], starts[node] + 100)


def policy(form_back: str = "keys", intersection: str = "required") -> dict[str, Any]:
    """Return a policy by which the receiver gets rows of persons in both, and senders learn who is in both."""
    rows = {"form": "rows", "intersection": intersection}
    peers = {RECEIVER: rows, **dict.fromkeys(SENDERS, form_back)}
    return {**POLICY, "stays": {**LINKED, "peers": peers}}


class Intersecting(Scene):
    """Steps of an intersection between ``senders`` and the receiver."""

    senders: tuple[str, ...] = SENDERS[:1]
    query = "q-1"

    def step(self, step: Step, node: str, *, sql: str = "", **changes: Any) -> Released:
        """Have a node do a step and keep what it sends."""
        named = IntersectionStep(step, self.senders, (RECEIVER,))
        exchange = {Step.ASK: "x1_ask", Step.ANSWER: "x1_answer", Step.SEND: "x1"}[step]
        stage = {Step.ASK: "s1_ask", Step.ANSWER: "s1_answer", Step.SEND: "s1"}
        before = {Step.ANSWER: Step.ASK, Step.SEND: Step.ANSWER}.get(step)
        told = {}
        if before is not None:
            told = {f"x1_{before.value}": tuple(Sender(n, stage[before], 1) for n in named.told_by)}
        fields: dict[str, Any] = {
            "stage_id": stage[step],
            "inputs": dict.fromkeys(told, ()),
            "senders": told,
            "outputs": (Output(exchange, named.sent_to),),
            "intersection": named,
            **changes,
        }
        order = self.order(sql or (PERSONS if step is Step.ANSWER else SEND_ROWS), **fields)
        released = self.runners[node].run(order, {}, None, self.pull(node))
        for stream in released.streams:
            self.streams[stream.exchange_id, node, stream.receiver] = list(stream.frames)
        return released

    def matched(self) -> None:
        """Do all steps."""
        for node in self.senders:
            self.step(Step.ASK, node)
        self.step(Step.ANSWER, RECEIVER)
        for node in self.senders:
            self.step(Step.SEND, node)


def by_region(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return the numbers of an answer; its groups have no order."""
    return {row["region"]: row["n"] for row in rows}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Intersecting]:
    made = Intersecting(tmp_path, policy=policy(), rows=shares(30))
    yield made
    made.close()


def test_only_rows_of_persons_in_both_go_and_the_answer_is_the_same(scene: Intersecting) -> None:
    scene.matched()
    assert by_region(scene.receive(JOIN_STAYS)) == {"Bretagne": 60, "Normandie": 60}
    # With rows that came without an intersection no other number comes out, but 70 more persons were shown.
    assert scene.last_record(RECEIVER)["received"][0]["intersected"] is True
    sent = scene.last_record(SENDERS[0])
    assert sent["intersection"] == {"persons": 100, "persons_in_both": {RECEIVER: 30}, "min_persons": 11}


def test_rows_do_not_go_without_the_intersection_that_a_policy_requires(scene: Intersecting) -> None:
    refusal = refusal_of(lambda: scene.send(SEND_ROWS))
    assert (refusal.code, refusal.rule) == ("POLICY_REFUSED", "intersection-required")
    keys = refusal_of(lambda: scene.send(PERSONS))
    assert keys.rule == "intersection-required"


def test_neither_do_they_under_a_permit_that_requires_it(tmp_path: Path) -> None:
    made = Intersecting(tmp_path, policy=policy(intersection="not-required"), rows=shares(30))
    made.permit_changes = {"intersection": True}
    try:
        assert refusal_of(lambda: made.send(SEND_ROWS)).rule == "intersection-required"
        made.matched()
        assert made.receive(JOIN_STAYS)
    finally:
        made.close()


def test_a_receiver_whose_policy_requires_it_takes_no_rows_of_others(tmp_path: Path) -> None:
    peers: dict[str, Any] = {node: {"form": "keys", "intersection": "required"} for node in SENDERS}
    rules = {**POLICY, "stays": {**LINKED, "peers": {RECEIVER: "rows", **peers}}}
    made = Intersecting(tmp_path, policy=rules, rows=shares(30))
    try:
        made.send(SEND_ROWS)
        assert refusal_of(lambda: made.receive(JOIN_STAYS)).rule == "intersection-required"
        made.matched()
        assert made.receive(JOIN_STAYS)
    finally:
        made.close()


def test_a_sender_to_whom_policy_lets_no_keys_go_does_not_learn_whom_the_receiver_has(tmp_path: Path) -> None:
    made = Intersecting(tmp_path, policy=policy(form_back="none"), rows=shares(30))
    try:
        made.step(Step.ASK, SENDERS[0])
        assert refusal_of(lambda: made.step(Step.ANSWER, RECEIVER)).code == "POLICY_REFUSED"
        assert not [key for key in made.streams if key[0] == "x1_answer"]
    finally:
        made.close()


def _sizes(made: Intersecting) -> dict[tuple[str, str, str], int]:
    return {key: sum(map(len, parts)) for key, parts in made.streams.items()}


def test_fewer_persons_in_both_than_the_threshold_look_like_none(tmp_path: Path) -> None:
    found = []
    for common in (10, 0):
        folder = tmp_path / str(common)
        folder.mkdir()
        made = Intersecting(folder, policy=policy(), rows=shares(common))
        try:
            made.matched()
            found.append((made.receive(JOIN_STAYS), _sizes(made)))
        finally:
            made.close()
    assert found[0] == found[1]
    assert found[0][0] == []


def test_a_question_about_fewer_persons_than_the_threshold_is_about_nobody(scene: Intersecting) -> None:
    one = "SELECT person, region, days FROM stays WHERE days = 6 AND region = 'Bretagne'"
    scene.step(Step.ASK, SENDERS[0], sql=one)
    scene.step(Step.ANSWER, RECEIVER)
    scene.step(Step.SEND, SENDERS[0], sql=one)
    record = scene.last_record(SENDERS[0])["intersection"]
    assert record["persons"] == 0
    assert record["persons_in_both"] == {RECEIVER: 0}
    assert scene.receive(JOIN_STAYS) == []


def test_each_sender_gets_an_answer_of_its_own(tmp_path: Path) -> None:
    made = Intersecting(tmp_path, policy=policy(), rows=lambda node: people(*{
        SENDERS[0]: (0, 100), SENDERS[1]: (150, 250), RECEIVER: (50, 200)
    }[node]))  # fmt: skip
    made.senders = SENDERS
    try:
        made.matched()
        assert by_region(made.receive(JOIN_STAYS, senders=SENDERS)) == {"Bretagne": 200, "Normandie": 200}
    finally:
        made.close()


# What the coordinator, or a peer, can do about it


def test_an_answer_is_used_once_and_only_for_the_question_that_it_answers(scene: Intersecting) -> None:
    scene.matched()
    assert refusal_of(lambda: scene.step(Step.SEND, SENDERS[0])).code == "EXCHANGE_REFUSED"
    old = scene.streams["x1_answer", RECEIVER, SENDERS[0]]
    scene.step(Step.ASK, SENDERS[0])  # a new question: the coordinator hands out the old answer
    scene.streams["x1_answer", RECEIVER, SENDERS[0]] = old
    refusal = refusal_of(lambda: scene.step(Step.SEND, SENDERS[0]))
    assert refusal.code == "EXCHANGE_REFUSED"
    assert "another question" in refusal.info.message


def test_messages_of_two_intersections_are_not_taken_for_each_other(scene: Intersecting) -> None:
    scene.step(Step.ASK, SENDERS[0])
    scene.streams["x1_ask", SENDERS[0], RECEIVER] = scene.streams["x1_ask", SENDERS[0], RECEIVER]
    scene.step(Step.ANSWER, RECEIVER)
    swapped = scene.streams["x1_ask", SENDERS[0], RECEIVER]
    answered = scene.streams["x1_answer", RECEIVER, SENDERS[0]]
    scene.streams["x1_answer", RECEIVER, SENDERS[0]] = swapped
    assert refusal_of(lambda: scene.step(Step.SEND, SENDERS[0])).code == "EXCHANGE_REFUSED"
    scene.streams["x1_answer", RECEIVER, SENDERS[0]] = [answered[0], swapped[-1]]
    scene.step(Step.ASK, SENDERS[0])
    assert refusal_of(lambda: scene.step(Step.SEND, SENDERS[0])).code == "EXCHANGE_REFUSED"


def test_rows_of_another_statement_do_not_go_with_an_answer(scene: Intersecting) -> None:
    scene.step(Step.ASK, SENDERS[0])
    scene.step(Step.ANSWER, RECEIVER)
    other = "SELECT person, region FROM stays"
    assert refusal_of(lambda: scene.step(Step.SEND, SENDERS[0], sql=other)).code == "EXCHANGE_REFUSED"


def test_the_decisions_of_all_steps_are_reached_again_from_what_was_kept(scene: Intersecting) -> None:
    key = tokens.encode_public_key(scene.party.authority.public_key())
    kept = {}
    for node in (SENDERS[0], RECEIVER):
        kept[node] = scene.directory / node / "evidence"
        grounds = Grounds(Evidence(kept[node], lambda: NOW), node, "dev", key, "version: 1\n")
        scene.set(node, grounds=grounds)
    scene.matched()
    for node, number in ((SENDERS[0], 2), (RECEIVER, 1)):
        records = list(audit.records(scene.directory / node / "audit"))
        assert len(records) == number
        for record in records:
            assert replay.replay(dict(record), kept[node]).same, record["intersection_step"]


@pytest.mark.parametrize(
    "changes",
    [
        {"intersection": IntersectionStep(Step.ASK, (RECEIVER,), (SENDERS[0],))},
        {"intersection": IntersectionStep(Step.ASK, SENDERS[:1], SENDERS[:1])},
        {"intersection": IntersectionStep(Step.ASK, SENDERS[:1], (SENDERS[1],))},
        {"outputs": (Output("x1_ask", (RECEIVER, SENDERS[1])),)},
        {"outputs": ()},
    ],
    ids=["another node's step", "with itself", "another receiver", "one more receiver", "the coordinator"],
)
def test_a_step_with_other_parties_than_it_names_is_not_done(changes: Mapping[str, Any], scene: Intersecting) -> None:
    assert refusal_of(lambda: scene.step(Step.ASK, SENDERS[0], **changes)).code == "BAD_REQUEST"
    assert not scene.streams


@pytest.mark.parametrize(
    "sql",
    ["SELECT DISTINCT person FROM stays WHERE region = 'Bretagne' AND days > 3", PERSONS],
    ids=["a filtered list", "the list"],
)
def test_a_receiver_answers_with_nothing_but_a_list_of_persons(sql: str, scene: Intersecting) -> None:
    scene.step(Step.ASK, SENDERS[0])
    if sql == PERSONS:
        rows = refusal_of(lambda: scene.step(Step.ANSWER, RECEIVER, sql="SELECT person, region FROM stays"))
        assert rows.code in {"BORDER_REFUSED", "POLICY_REFUSED"}
        scene.step(Step.ANSWER, RECEIVER)
    else:
        refusal = refusal_of(lambda: scene.step(Step.ANSWER, RECEIVER, sql=sql))
        assert refusal.code == "BORDER_REFUSED"


def test_a_lying_asker_learns_of_nobody_whom_it_cannot_name_and_does_not_choose_the_size() -> None:
    theirs = [os.urandom(32) for _ in range(40)]
    with pytest.raises(errors.ArchipelError):
        answer(b"\0" * 32, theirs)  # one person: nobody is asked for alone
    with pytest.raises(errors.ArchipelError):
        answer(b"\xff" * 32 * 256, theirs)  # no points
    asker = Asker([b"NIR-00001", *theirs[:12]])
    doubled, digests = answer(asker.question, theirs)
    assert sorted(asker.common(doubled, digests)) == sorted(theirs[:12])
    with pytest.raises(errors.ArchipelError):
        asker.common(doubled[32:], digests)


def test_sizes_tell_of_how_many_persons_there_are_only_roughly() -> None:
    few, many = (Asker([os.urandom(32) for _ in range(n)]) for n in (0, 200))
    assert len(few.question) == len(many.question) == 256 * 32
    assert few.question != many.question
    told = [answer(few.question, [os.urandom(32) for _ in range(n)]) for n in (11, 250)]
    assert {len(digests) for _, digests in told} == {256 * private_matching.DIGEST_BYTES}


def test_too_many_persons_are_refused_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_matching, "MAX_PERSONS", 300)
    with pytest.raises(errors.ArchipelError) as refusal:
        Asker(os.urandom(32) for _ in range(400))
    assert refusal.value.code == "NODE_RESOURCES"


def test_both_need_the_same_epoch_of_the_linkage_secret(scene: Intersecting) -> None:
    peers = scene.runners[SENDERS[0]].peers
    assert peers.linkage is not None
    changed = replace(peers, linkage=replace(peers.linkage, epoch=3))
    scene.runners[SENDERS[0]]._intersections.peers = changed
    scene.set(SENDERS[0], peers=changed)
    scene.step(Step.ASK, SENDERS[0])
    assert refusal_of(lambda: scene.step(Step.ANSWER, RECEIVER)).code == "EXCHANGE_REFUSED"


def test_what_a_sender_finds_out_is_in_no_message_and_no_frame_of_its_peer(scene: Intersecting) -> None:
    scene.matched()
    readable = b"".join(b"".join(parts) for parts in scene.streams.values())
    assert b"NIR-" not in readable
    assert {node for _, node, _ in scene.streams} <= set(NODES)
    assert frames.FRAME_BYTES
