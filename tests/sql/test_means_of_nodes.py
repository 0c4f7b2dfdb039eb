"""Nodes without keys for exchanges with other nodes: another way is taken, or it is told whose key is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import hospital_world
import linked_world
import pytest
from comparing import difference
from planning import Federation, request

from archipel import wire
from archipel.errors import ArchipelError
from archipel.v1 import gateway_pb2
from coordinator.catalog import Means
from coordinator.plan import Plan
from coordinator.planner import plan as make_plan
from coordinator.planning import Planning
from coordinator.registration import read_hello
from coordinator.registry import Registry, Session
from coordinator.shadow import Shadow
from coordinator.store import Store

OPEN_JOIN = (
    "SELECT c.holiday, sum(s.nurses) AS nurses FROM shifts s JOIN calendar c ON c.day = s.day GROUP BY c.holiday"
)
PERSONS_JOIN = "SELECT i.covered, count(*) AS n FROM insured i JOIN stays s ON s.patient = i.patient GROUP BY i.covered"
DISTINCT_PERSONS = "SELECT year, count(DISTINCT patient) AS persons FROM stays GROUP BY year"

NO_KEY = Means(seals=False, linkage_epoch=0)
NO_SECRET = Means(linkage_epoch=0)
NEXT_EPOCH = Means(linkage_epoch=2)


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation(linked_world.shards()) as made:
        yield made


def planned(federation: Federation, sql: str, **means: Means) -> Plan:
    catalog = replace(federation.catalog, means=means)
    return make_plan(request(sql), catalog, federation.permit, federation.shadow.describe)


def refusal_of(federation: Federation, sql: str, **means: Means) -> ArchipelError:
    with pytest.raises(ArchipelError) as caught:
        planned(federation, sql, **means)
    return caught.value


def is_sealed(plan: Plan) -> bool:
    return any(plan.is_sealed(exchange) for exchange in plan.exchanges)


def test_open_rows_meet_at_the_coordinator_when_their_holder_has_no_sealing_key(federation: Federation) -> None:
    assert is_sealed(planned(federation, OPEN_JOIN))
    plan = planned(federation, OPEN_JOIN, cnam=NO_KEY)
    assert not is_sealed(plan)
    assert any("'cnam' can neither send rows" in other.reason for other in plan.alternatives)
    oracle = federation.oracle(request(OPEN_JOIN))
    assert difference(federation.run(plan).table, oracle, OPEN_JOIN) == ""


def test_open_rows_need_no_linkage_secret_to_go_to_another_node(federation: Federation) -> None:
    means = dict.fromkeys(("cnam", "lille", "lyon", "nantes"), NO_SECRET)
    assert planned(federation, OPEN_JOIN, **means) == planned(federation, OPEN_JOIN)


@pytest.mark.parametrize("node", ["cnam", "lyon"])
def test_persons_are_not_joined_when_a_sender_or_the_receiver_has_no_sealing_key(
    federation: Federation, node: str
) -> None:
    problem = refusal_of(federation, PERSONS_JOIN, **{node: NO_KEY})
    assert (problem.code, problem.rule) == ("POLICY_REFUSED", "no-sealing-key")
    assert problem.info.message.startswith(f"'{node}' can neither send rows to other nodes nor take theirs")


@pytest.mark.parametrize("node", ["cnam", "lyon"])
def test_persons_are_not_joined_when_a_sender_or_the_receiver_has_no_linkage_secret(
    federation: Federation, node: str
) -> None:
    problem = refusal_of(federation, PERSONS_JOIN, **{node: NO_SECRET})
    assert (problem.code, problem.rule) == ("POLICY_REFUSED", "no-linkage-secret")
    assert f"'{node}'" in problem.info.message


@pytest.mark.parametrize(("node", "other"), [("cnam", "lille"), ("lyon", "lille"), ("lille", "lyon")])
def test_persons_are_not_joined_over_secrets_of_different_epochs(federation: Federation, node: str, other: str) -> None:
    problem = refusal_of(federation, PERSONS_JOIN, **{node: NEXT_EPOCH})
    assert (problem.code, problem.rule) == ("POLICY_REFUSED", "linkage-epochs-differ")
    assert f"'{node}'" in problem.info.message
    assert f"'{other}'" in problem.info.message
    everywhere = dict.fromkeys(("cnam", "lille", "lyon", "nantes"), NEXT_EPOCH)
    assert planned(federation, PERSONS_JOIN, **everywhere) == planned(federation, PERSONS_JOIN)


def test_what_policy_forbids_is_not_blamed_on_missing_keys() -> None:
    with Federation(hospital_world.shards()) as unlinked:
        everywhere = dict.fromkeys(("cnam", "lille", "lyon", "nantes"), NO_KEY)
        assert str(refusal_of(unlinked, PERSONS_JOIN, **everywhere)) == str(refusal_of(unlinked, PERSONS_JOIN))


def test_distinct_persons_of_several_nodes_need_keys_and_those_of_one_do_not(federation: Federation) -> None:
    assert refusal_of(federation, DISTINCT_PERSONS, lille=NO_KEY).rule == "no-sealing-key"
    at_one = "SELECT region, count(DISTINCT patient) AS persons FROM insured GROUP BY region"
    assert planned(federation, at_one, cnam=NO_KEY) == planned(federation, at_one)


def test_the_coordinator_plans_by_what_nodes_say_and_anew_when_one_has_got_its_keys(
    federation: Federation, tmp_path: Path
) -> None:
    async def attached_and_asked(registry: Registry, planning: Planning) -> tuple[Plan, ...]:
        made = []
        for seals in (False, True):
            for node, held in linked_world.shards().items():
                tables = [wire.table_to_wire(shard.table) for shard in held]
                hello = gateway_pb2.Hello(node=node, tables=tables, seals=seals or node != "cnam", linkage_epoch=1)
                registry.attach(Session(read_hello(hello, node)[0]))
            made.append((await planning.plan(request(OPEN_JOIN), federation.permit)).plan)
        return tuple(made)

    with closing(Store(f"sqlite:///{tmp_path / 'coordinator.db'}")) as store:
        registry = Registry(store, linked_world.shards(), time.time)
        with closing(Planning(registry, make_plan, Shadow, timeout_s=30.0)) as planning:
            before, after = asyncio.run(attached_and_asked(registry, planning))
    assert not is_sealed(before)
    assert is_sealed(after)
