"""Attacks on totals over nodes: by a coordinator that leads a round as it likes, by the aggregator, by a contributor.

Orders go to the nodes' own task runners. The aim is always one node's number, or a group with too few persons.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack_rounds import AGGREGATOR, DISEASES, HOSPITALS, QUESTION, Coordinator, Federation, prepare, stays

from archipel import errors, frames, masking
from archipel.masking import Numbers
from archipel.rounds import LABEL_BYTES, RoundStep, Step
from node_agent import audit
from node_agent.scope_contribution import Layout, Shown
from node_agent.scope_messages import Description
from node_agent.sealed import Output, Sender

LABELS = ("description", "demands", "key", "check", "labels")


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Four hospitals and an aggregator."""
    made = prepare(tmp_path_factory.mktemp("rounds"))
    yield made
    made.close()


@pytest.fixture
def led(federation: Federation, request: pytest.FixtureRequest) -> Coordinator:
    """A coordinator under a permit of its own; nothing of other tests is in its way."""
    return Coordinator(federation, permit_id=f"p-{request.node.name[:40]}")


def refused_by(coordinator: Coordinator, order: Any, node: str) -> errors.ArchipelError:
    with pytest.raises(errors.ArchipelError) as refusal:
        coordinator.give(order, node)
    assert "MARKER" not in str(refusal.value)
    return refusal.value


def test_an_honest_round_gives_the_total_of_all_and_nothing_else(led: Coordinator) -> None:
    rows = {row["g0"]: row for row in led.total().to_pylist()}
    assert set(rows) == {"common", "rare"}
    for disease, row in rows.items():
        costs = [
            cost
            for hospital in HOSPITALS
            for found, cost in zip(*(stays(hospital).column(c).to_pylist() for c in ("disease", "cost")), strict=True)
            if found == disease
        ]
        assert (row["p0v"], row["p1s"]) == (len(costs), sum(costs))


def test_a_sum_of_which_one_person_has_the_most_is_struck_by_the_only_node_that_knows(led: Coordinator) -> None:
    fees = replace(led, sql=QUESTION.replace("cost", "fee"), permit="", request="").total()
    assert fees.column("g0").to_pylist() == ["rare"]  # of the common disease one in two hundred pays nearly all


def test_of_negative_numbers_the_size_counts(led: Coordinator) -> None:
    less = replace(led, sql=QUESTION.replace("sum(cost)", "sum(-fee)"), permit="", request="").total()
    assert less.column("g0").to_pylist() == ["rare"]
    assert less.column("p1s").to_pylist() == [-sum(4 * [2 + n % 3 for n in range(50, 60)])]


def test_a_contributor_may_add_up_where_policies_name_it(tmp_path: Path) -> None:
    federation = prepare(tmp_path)
    rows = Coordinator(federation, aggregator="north").total()
    assert set(rows.column("g0").to_pylist()) == {"common", "rare"}
    # And nobody else from then on, who would not know what it has released.
    second = Coordinator(federation, permit_id="p-2")
    second.do(Step.KEY)
    problem = refused_by(second, second.order(Step.LABELS, "south"), "south")
    assert (problem.code, "'north'" in (problem.hint or "")) == ("POLICY_REFUSED", True)
    federation.close()


# A coordinator that lies


def test_a_node_left_out_in_the_middle_ends_the_round(led: Coordinator) -> None:
    led.up_to(Step.VALUES)
    order = led.order(Step.TOTALS, AGGREGATOR)
    fewer = tuple(sender for sender in order.senders["x_values"] if sender.node != "west")
    problem = refused_by(led, replace(order, senders={"x_values": fewer}), AGGREGATOR)
    assert problem.code == "BAD_REQUEST"


def test_a_message_that_is_dropped_ends_the_round(led: Coordinator) -> None:
    led.up_to(Step.VALUES)
    del led.messages[Step.VALUES, "west", AGGREGATOR]
    assert refused_by(led, led.order(Step.TOTALS, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"
    # And it is over: the message coming after all does not help.
    assert refused_by(led, led.order(Step.TOTALS, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


@pytest.mark.parametrize("step", [Step.LABELS, Step.VALUES, Step.VETO, Step.OPEN])
def test_no_contributor_does_a_step_twice(led: Coordinator, step: Step) -> None:
    led.up_to(step)
    assert refused_by(led, led.order(step, "east"), "east").code == "EXCHANGE_REFUSED"


@pytest.mark.parametrize("step", [Step.LIST, Step.TOTALS, Step.VERDICT])
def test_the_aggregator_does_no_step_twice(led: Coordinator, step: Step) -> None:
    led.up_to(step)
    assert refused_by(led, led.order(step, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


@pytest.mark.parametrize(("done", "wanted"), [(Step.LIST, Step.VETO), (Step.LIST, Step.OPEN), (Step.VALUES, Step.OPEN)])
def test_no_contributor_goes_ahead_of_the_round(led: Coordinator, done: Step, wanted: Step) -> None:
    led.up_to(done)
    assert refused_by(led, led.order(wanted, "east"), "east").code == "EXCHANGE_REFUSED"


def test_the_aggregator_releases_nothing_that_nobody_could_strike(led: Coordinator) -> None:
    led.up_to(Step.TOTALS)
    assert refused_by(led, led.order(Step.RELEASE, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


def test_messages_of_an_earlier_round_are_not_taken(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    earlier = {route: message for route, message in led.messages.items() if route[0] is Step.LIST}
    # The same query once more, so that even the streams are called the same: the nodes began it anew.
    for node in (*HOSPITALS, AGGREGATOR):
        led.federation.restart(node)
    led.messages.clear()
    led.up_to(Step.LABELS)
    led.messages |= earlier
    assert refused_by(led, led.order(Step.VALUES, "east"), "east").code == "EXCHANGE_REFUSED"


def test_a_message_is_not_taken_for_one_of_another_step_or_receiver(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    led.messages[Step.LIST, AGGREGATOR, "east"] = led.messages[Step.LIST, AGGREGATOR, "west"]
    assert refused_by(led, led.order(Step.VALUES, "east"), "east").code == "EXCHANGE_REFUSED"
    order = led.order(Step.VALUES, "north")
    led.messages[Step.LIST, AGGREGATOR, "north"] = led.messages[Step.KEY, "east", "north"]
    assert refused_by(led, order, "north").code == "EXCHANGE_REFUSED"


def test_a_second_total_over_fewer_nodes_is_refused_however_it_is_asked(led: Coordinator) -> None:
    led.total()
    federation, fewer = led.federation, HOSPITALS[:3]
    asked = {
        "the same question": Coordinator(federation, permit_id=led.permit_id, contributors=fewer),
        "under another permit": Coordinator(federation, permit_id=f"{led.permit_id}-2", contributors=fewer),
        "of other aggregates": Coordinator(
            federation,
            permit_id=f"{led.permit_id}-3",
            contributors=fewer,
            sql="SELECT count(*) AS p0v FROM stays",
        ),
        "written otherwise": Coordinator(
            federation,
            permit_id=led.permit_id,
            contributors=fewer,
            sql=f"{QUESTION[:-17]} WHERE 1 = 1 GROUP BY disease",
        ),
        "added up elsewhere": Coordinator(
            federation, permit_id=led.permit_id, contributors=fewer, aggregator="east", sql=QUESTION
        ),
    }
    for how, second in asked.items():
        second.do(Step.KEY)
        problem = refused_by(second, second.order(Step.LABELS, "north"), "north")
        assert problem.code == "POLICY_REFUSED", how


def test_a_node_remembers_over_which_nodes_it_was_when_it_comes_back(led: Coordinator) -> None:
    led.total()
    led.federation.restart("north")
    second = Coordinator(led.federation, permit_id=led.permit_id, contributors=HOSPITALS[:3])
    second.do(Step.KEY)
    assert refused_by(second, second.order(Step.LABELS, "north"), "north").code == "POLICY_REFUSED"
    Coordinator(led.federation, permit_id=led.permit_id).total()  # over the same nodes it may be asked again


def test_nodes_told_of_different_nodes_give_nothing_together(federation: Federation) -> None:
    sql = QUESTION.replace("GROUP BY", "WHERE cost >= 0 GROUP BY")
    fewer = Coordinator(federation, permit_id="p-two-tales", contributors=HOSPITALS[:3], sql=sql)
    fewer.up_to(Step.LABELS)
    # The west, which alone was told of all four, cannot even read the secret of a round of three.
    everybody = replace(fewer, contributors=HOSPITALS, messages=dict(fewer.messages))
    everybody.messages[Step.KEY, "east", "west"] = fewer.messages[Step.KEY, "east", "south"]
    assert refused_by(everybody, everybody.order(Step.LABELS, "west"), "west").code == "EXCHANGE_REFUSED"


def test_the_same_table_is_not_answered_in_both_scopes_under_one_permit(led: Coordinator) -> None:
    led.total()
    whole = "SELECT count(*) AS n FROM stays"
    alone = Coordinator(led.federation, permit_id=led.permit_id, scope="node", sql=whole)
    order = alone.order(Step.KEY, "north", inputs={}, senders={}, outputs=(), round=None)
    assert refused_by(alone, order, "north").code == "POLICY_REFUSED"
    # And the other way round.
    first = Coordinator(led.federation, permit_id=f"{led.permit_id}-alone", scope="node", sql=whole)
    federation = led.federation
    released = federation.nodes["north"].runner.run(
        first.order(Step.KEY, "north", inputs={}, senders={}, outputs=(), round=None), {}
    )
    assert frames.decode_table(list(released.frames)).num_rows
    second = Coordinator(federation, permit_id=first.permit_id)
    second.do(Step.KEY)
    assert refused_by(second, second.order(Step.LABELS, "north"), "north").code == "POLICY_REFUSED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"contributors": HOSPITALS[:2]}, "POLICY_REFUSED"),
        ({"contributors": ("north", "east", "south", "west")}, "POLICY_REFUSED"),
        ({"contributors": ("east", "north", "south", "nobody")}, "POLICY_REFUSED"),
        ({"aggregator": "south"}, "POLICY_REFUSED"),  # whom nobody's policy names
        ({"scope": "node"}, "POLICY_REFUSED"),
        ({"sql": QUESTION.replace("stays", "visits")}, "POLICY_REFUSED"),  # whose policy knows no such totals
        ({"sql": "SELECT 1 AS g0, count(*) AS n FROM range(20) GROUP BY 1"}, "BORDER_REFUSED"),
        ({"sql": "SELECT person AS g0, count(*) AS n FROM stays GROUP BY person"}, "BORDER_REFUSED"),
        ({"sql": "SELECT disease AS g0, max(cost) AS n FROM stays GROUP BY disease"}, "BORDER_REFUSED"),
        ({"sql": QUESTION.replace("GROUP BY", "WHERE _node <> 'west' GROUP BY")}, "BORDER_REFUSED"),
        ({"sql": QUESTION.replace("GROUP BY disease", "GROUP BY ROLLUP (disease)")}, "BORDER_REFUSED"),
        ({"sql": QUESTION.replace("disease AS g0, ", "")}, "BORDER_REFUSED"),
    ],
)
def test_a_round_that_may_not_be_is_refused_before_anything_is_said(
    federation: Federation, changes: dict[str, Any], code: str
) -> None:
    honest = Coordinator(federation, permit_id="p-forbidden")
    bad = replace(honest, messages={}, **changes, permit="", request="")
    with pytest.raises(errors.ArchipelError) as refusal:
        bad.begin("east")
    assert refusal.value.code == code


def test_a_permit_names_everybody_who_takes_part(federation: Federation) -> None:
    narrow = federation.permit("p-narrow", nodes=HOSPITALS)
    coordinator = Coordinator(federation, permit_id="p-narrow", permit=narrow)
    assert refused_by(coordinator, coordinator.order(Step.KEY, "east"), "east").code == "PERMIT_SCOPE"


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": (Output("x_labels", ("north",)),)},
        {"outputs": (Output("x_labels", (AGGREGATOR, "north")),)},
        {"outputs": ()},
        {"senders": {"x_key": (Sender("north", "key", 1),)}},
        {"round": RoundStep(Step.LABELS, HOSPITALS, "north")},
    ],
)
def test_messages_go_to_nobody_but_those_who_take_part(led: Coordinator, changes: dict[str, Any]) -> None:
    led.do(Step.KEY)
    problem = refused_by(led, led.order(Step.LABELS, "east", **changes), "east")
    assert problem.code in {"BAD_REQUEST", "POLICY_REFUSED", "EXCHANGE_REFUSED"}


def test_a_refusal_is_in_the_audit_log_with_the_round(led: Coordinator) -> None:
    led.up_to(Step.LABELS)
    refused_by(led, led.order(Step.LABELS, "east"), "east")
    folder = led.federation.layout.state_dir("east") / "audit"
    found = [record for record in audit.records(folder) if record.get("query") == led.query_id]
    assert [record["kind"] for record in found][-1] == "refused"
    assert [record.get("round_step") for record in found if record["kind"] == "released"] == ["key", "labels"]


# A coordinator and an aggregator together


def test_the_aggregator_cannot_tell_what_groups_are_called(led: Coordinator) -> None:
    led.up_to(Step.LABELS)
    message = led.read(Step.LABELS, "west", AGGREGATOR, led.digest(), LABELS)
    labels = {message["labels"][n : n + LABEL_BYTES] for n in range(0, len(message["labels"]), LABEL_BYTES)}
    assert len(labels) == len(DISEASES)
    # It knows everything but the secret, and every name that there is.
    public = [led.digest(), b"", message["key"], led.query_id.encode()]
    for disease in DISEASES:
        told = f"{len(disease)}:{disease}".encode()
        guesses = {hashlib.sha256(part + told).digest()[:LABEL_BYTES] for part in public}
        guesses |= {
            hashlib.sha256(masking.label_key(part, led.digest()).hex().encode() + told).digest()[:LABEL_BYTES]
            for part in public
        }
        assert guesses.isdisjoint(labels)
    for part in message.values():
        assert b"MARKER" not in part
    # In another round the same groups are called otherwise.
    second = Coordinator(led.federation, permit_id=led.permit_id).up_to(Step.LABELS)
    other = second.read(Step.LABELS, "west", AGGREGATOR, second.digest(), LABELS)["labels"]
    assert labels.isdisjoint({other[n : n + LABEL_BYTES] for n in range(0, len(other), LABEL_BYTES)})


def test_what_a_node_sends_to_the_aggregator_says_nothing_of_its_numbers(led: Coordinator) -> None:
    led.up_to(Step.VALUES)
    sent = [
        led.read(Step.VALUES, node, AGGREGATOR, led.digest(), ("agreed", "numbers"))["numbers"] for node in HOSPITALS
    ]
    assert len({len(numbers) for numbers in sent}) == 1
    message = led.read(Step.LABELS, "west", AGGREGATOR, led.digest(), LABELS)
    layout = Layout.of(Description.from_bytes(message["description"]))
    shape = layout.shape(3)
    for fewer in range(1, len(sent)):
        total = Numbers.zeros(shape)
        for numbers in sent[:fewer]:
            total.add(Numbers.from_bytes(numbers, shape))
        assert (total.words > 2**32).mean() > 0.9  # counts of a few persons they are not
    total.add(Numbers.from_bytes(sent[-1], shape))
    # Rows of three groups, of all hospitals; what one hospital has alone is not even in the list.
    assert sorted(total.words[:3].tolist()) == [8, 40, 200]


def noise(led: Coordinator) -> bool:
    """Have values sent and look whether their sum is noise, as an aggregator finds that checks nothing."""
    led.do(Step.VALUES)
    message = led.read(Step.LABELS, "west", AGGREGATOR, led.digest(), LABELS)
    layout, total = Layout.of(Description.from_bytes(message["description"])), None
    for node in HOSPITALS:
        numbers = led.read(Step.VALUES, node, AGGREGATOR, led.digest(), ("agreed", "numbers"))["numbers"]
        shape = layout.shape(len(numbers) // layout.shape(1).size)
        total = total or Numbers.zeros(shape)
        total.add(Numbers.from_bytes(numbers, shape))
    assert total is not None
    return bool((total.words > 2**32).mean() > 0.9)


def test_sums_that_fit_are_no_noise(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    assert not noise(led)


def test_an_aggregator_that_gives_one_node_another_list_finds_noise(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    parts = led.read(Step.LIST, AGGREGATOR, "west", led.digest(), ("keys", "labels", "compare"))
    # The groups of the west alone would stand in a place of their own, were it not for what masks are bound to.
    listed = b"\0" * LABEL_BYTES + parts["labels"][LABEL_BYTES:]
    led.forge(Step.LIST, AGGREGATOR, "west", led.digest(), {**parts, "labels": listed})
    assert noise(led)


def test_two_secrets_in_one_round_give_no_totals_of_some_nodes(led: Coordinator) -> None:
    led.do(Step.KEY)
    first = dict(led.messages)
    led.do(Step.KEY)
    led.messages |= {route: message for route, message in first.items() if route[2] in {"east", "north"}}
    led.do(Step.LABELS)
    assert refused_by(led, led.order(Step.LIST, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"
    # An aggregator that looks away finds each group twice, of two nodes each, and noise in both.
    messages = [led.read(Step.LABELS, node, AGGREGATOR, led.digest(), LABELS) for node in HOSPITALS]
    listed, _ = masking.union_of([message["labels"] for message in messages])
    parts = {"keys": b"".join(message["key"] for message in messages), "labels": listed, "compare": b""}
    for node in HOSPITALS:
        led.forge(Step.LIST, AGGREGATOR, node, led.digest(), parts)
    assert noise(led)


def test_the_aggregator_that_puts_in_other_one_time_keys_gets_no_total(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    parts = led.read(Step.LIST, AGGREGATOR, "west", led.digest(), ("keys", "labels", "compare"))
    keys = [parts["keys"][n : n + 32] for n in range(0, 128, 32)]
    own_away = b"".join([*keys[:3], keys[0]])
    led.forge(Step.LIST, AGGREGATOR, "west", led.digest(), {**parts, "keys": own_away})
    assert refused_by(led, led.order(Step.VALUES, "west"), "west").code == "EXCHANGE_REFUSED"


def test_one_time_keys_that_were_swapped_end_the_round(led: Coordinator) -> None:
    led.up_to(Step.LIST)
    parts = led.read(Step.LIST, AGGREGATOR, "west", led.digest(), ("keys", "labels", "compare"))
    keys = [parts["keys"][n : n + 32] for n in range(0, 128, 32)]
    swapped = b"".join([keys[1], keys[0], *keys[2:]])
    led.forge(Step.LIST, AGGREGATOR, "west", led.digest(), {**parts, "keys": swapped})
    led.do(Step.VALUES)
    assert refused_by(led, led.order(Step.TOTALS, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


def test_no_node_says_what_a_group_is_called_that_did_not_pass(led: Coordinator) -> None:
    led.up_to(Step.VERDICT)
    digest = led.digest()
    passed = set(
        np.frombuffer(led.read(Step.TOTALS, AGGREGATOR, "west", digest, Shown.PARTS)["groups"], "<u8").tolist()
    )
    assert len(passed) == 2
    wanted = np.array(sorted({0, 1, 2} - passed), "<u8")
    led.forge(Step.VERDICT, AGGREGATOR, "west", digest, {"left": wanted.tobytes()})
    assert refused_by(led, led.order(Step.OPEN, "west"), "west").code == "EXCHANGE_REFUSED"


def strikes_all(led: Coordinator) -> bytes:
    """Show the west totals of which nearly everything is its own; return the places of the groups."""
    led.up_to(Step.TOTALS)
    digest = led.digest()
    message = led.read(Step.LABELS, "west", AGGREGATOR, digest, LABELS)
    layout = Layout.of(Description.from_bytes(message["description"]))
    parts = led.read(Step.TOTALS, AGGREGATOR, "west", digest, Shown.PARTS)
    shown = Shown.from_parts(parts, layout, 3)
    words = shown.words.copy()
    words[0] = np.minimum(words[0], 10)
    led.forge(Step.TOTALS, AGGREGATOR, "west", digest, replace(shown, words=words).to_parts())
    led.do(Step.VETO)
    return parts["groups"]


def test_a_group_that_one_node_strikes_is_released_by_nobody(federation: Federation) -> None:
    led = Coordinator(federation, permit_id="p-struck", sql=QUESTION.replace("p1s", "another"))  # and not from memory
    strikes_all(led)
    led.do(Step.VERDICT)
    assert led.read(Step.VERDICT, AGGREGATOR, "west", led.digest(), ("left",))["left"] == b""
    led.do(Step.OPEN)
    (released,) = led.do(Step.RELEASE)
    assert frames.decode_table(list(released.frames)).num_rows == 0


def test_an_aggregator_that_passes_over_a_strike_gets_no_name_of_who_struck(led: Coordinator) -> None:
    left = strikes_all(led)
    for node in HOSPITALS:
        led.forge(Step.VERDICT, AGGREGATOR, node, led.digest(), {"left": left})
    led.give(led.order(Step.OPEN, "east"), "east")
    assert refused_by(led, led.order(Step.OPEN, "west"), "west").code == "EXCHANGE_REFUSED"


def test_the_aggregator_is_not_told_who_struck(led: Coordinator) -> None:
    strikes_all(led)
    for node in HOSPITALS:
        struck = led.read(Step.VETO, node, AGGREGATOR, led.digest(), ("struck", "sketches"))["struck"]
        assert np.frombuffer(struck, "<u8").all()  # noise, whether it struck or not


# A contributor that lies


def test_two_names_for_one_group_end_the_round(led: Coordinator) -> None:
    led.up_to(Step.OPEN)
    digest = led.digest()
    opened = led.read(Step.OPEN, "east", AGGREGATOR, digest, ("groups",))["groups"]
    led.forge(Step.OPEN, "east", AGGREGATOR, digest, {"groups": opened.replace(b"common", b"conman")})
    assert refused_by(led, led.order(Step.RELEASE, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


def test_persons_of_another_domain_are_not_counted_together(led: Coordinator) -> None:
    led.up_to(Step.LABELS)
    digest = led.digest()
    message = led.read(Step.LABELS, "east", AGGREGATOR, digest, LABELS)
    description = message["description"].replace(b'"domain": "patient"', b'"domain": "another"')
    assert description != message["description"]
    led.forge(Step.LABELS, "east", AGGREGATOR, digest, {**message, "description": description})
    assert refused_by(led, led.order(Step.LIST, AGGREGATOR), AGGREGATOR).code == "EXCHANGE_REFUSED"


def test_a_contributor_cannot_lower_what_others_demand(led: Coordinator) -> None:
    led.up_to(Step.LABELS)
    digest = led.digest()
    message = led.read(Step.LABELS, "east", AGGREGATOR, digest, LABELS)
    told = json.loads(message["demands"])
    lower = {**told, "minimums": [0 for _ in told["minimums"]], "min_persons": 0, "tell_withheld_count": True}
    led.forge(Step.LABELS, "east", AGGREGATOR, digest, {**message, "demands": json.dumps(lower).encode()})
    for step in (Step.LIST, Step.VALUES, Step.TOTALS, Step.VETO, Step.VERDICT, Step.OPEN):
        led.do(step)
    (released,) = led.do(Step.RELEASE)
    assert released.withheld.min_persons == 11
    assert set(frames.decode_table(list(released.frames)).column("g0").to_pylist()) == {"common", "rare"}
    assert released.withheld.groups is None
