"""Totals over nodes that are harmless one by one and tell about few persons together: the node that adds up compares.

Orders go to the nodes' own task runners, led by a coordinator that does what it likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from attack_rounds import AGGREGATOR, HOSPITALS, Coordinator, Federation, prepare, stays

from archipel import errors
from archipel.rounds import Step
from node_agent import audit

COUNT = "SELECT count(*) AS p0v FROM stays"
SHARED = 7_777
"""The fee of persons who are in two hospitals."""


def with_shared_persons(hospital: str) -> pa.Table:
    """Return a hospital's stays, and six more of the same six persons in the north and in the south."""
    rows = stays(hospital)
    if hospital not in {"north", "south"}:
        return rows
    shared = {"person": [f"shared-{n}" for n in range(6)], "disease": ["common"] * 6}
    numbers = {name: pa.array([value] * 6, pa.int64()) for name, value in (("cost", 50), ("fee", SHARED))}
    return pa.concat_tables([rows, pa.table({**shared, **numbers})])


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    """Four hospitals and an aggregator, whose ledgers know nothing yet and compare everything."""
    made = prepare(tmp_path, with_shared_persons, {})
    yield made
    made.close()


def count_of(table: pa.Table) -> int:
    return int(table.column("p0v")[0].as_py())


def refused(led: Coordinator) -> errors.ArchipelError:
    with pytest.raises(errors.ArchipelError) as refusal:
        led.total()
    assert "MARKER" not in str(refusal.value)
    return refusal.value


def test_a_total_less_one_person_is_refused_under_any_permit_and_however_it_is_written(federation: Federation) -> None:
    everybody = Coordinator(federation, sql=COUNT).total()
    assert count_of(everybody) == 261
    less_one = [
        f"{COUNT} WHERE disease <> 'MARKER-UNIQUE'",
        f"{COUNT} WHERE fee < 9000",
        f"{COUNT} WHERE NOT (cost = 703 AND fee = 9000)",
        "SELECT count(*) AS p0v, sum(cost) AS c FROM stays WHERE fee < 9000 OR fee IS NULL",
    ]
    for number, sql in enumerate(less_one):
        problem = refused(Coordinator(federation, sql=sql, permit_id=f"p-other-{number}"))
        assert (problem.code, problem.node) == ("DIFFERENCING_REFUSED", AGGREGATOR), sql
    inside = "SELECT sum(CASE WHEN fee < 9000 THEN 1 ELSE 0 END) AS p0v FROM stays"
    assert Coordinator(federation, sql=inside, permit_id="p-inside").total().num_rows == 0  # by the border check
    many_less = Coordinator(federation, sql=f"{COUNT} WHERE cost > 300", permit_id="p-many").total()
    assert 150 < count_of(many_less) < 250


def test_six_persons_of_two_hospitals_are_six_and_not_twelve(federation: Federation) -> None:
    Coordinator(federation, sql=COUNT).total()
    problem = refused(Coordinator(federation, sql=f"{COUNT} WHERE fee <> {SHARED}", permit_id="p-2"))
    assert problem.code == "DIFFERENCING_REFUSED"
    folder = federation.layout.state_dir(AGGREGATOR) / "audit"
    (told,) = [record["ledger_refusal"] for record in audit.records(folder) if "ledger_refusal" in record]
    assert (told["persons_at_least"], told["person_domain"]) == (6, f"patient over {', '.join(HOSPITALS)}")
    assert told["earlier"][0]["permit"] == "p-1"


def test_what_is_withheld_is_not_found_by_asking_for_all_of_them(federation: Federation) -> None:
    diseases = Coordinator(federation, sql="SELECT disease AS g0, count(*) AS p0v FROM stays GROUP BY disease").total()
    assert set(diseases.column("g0").to_pylist()) == {"common", "rare"}  # nine persons have other ones
    assert refused(Coordinator(federation, sql=COUNT, permit_id="p-2")).code == "DIFFERENCING_REFUSED"


def test_the_same_question_gets_the_same_answer_and_costs_no_budget(federation: Federation) -> None:
    narrow = federation.permit("p-1", max_queries=1)
    first = Coordinator(federation, permit=narrow).total()
    assert Coordinator(federation, permit=narrow).total().equals(first)
    assert Coordinator(federation, permit_id="p-2").total().equals(first)
    assert refused(Coordinator(federation, permit=narrow, sql=COUNT)).code == "BUDGET_EXHAUSTED"
    federation.restart(AGGREGATOR)
    assert Coordinator(federation, permit_id="p-3").total().equals(first)


def test_an_aggregator_that_does_not_compare_gets_no_numbers(federation: Federation) -> None:
    led = Coordinator(federation).up_to(Step.LIST)
    parts = led.read(Step.LIST, AGGREGATOR, "west", led.digest(), ("keys", "labels", "compare"))
    led.forge(Step.LIST, AGGREGATOR, "west", led.digest(), {**parts, "compare": b""})
    with pytest.raises(errors.ArchipelError) as refusal:
        led.give(led.order(Step.VALUES, "west"), "west")
    assert refusal.value.code == "LEDGER_UNAVAILABLE"


def test_who_is_in_a_group_of_one_node_is_noise_to_the_aggregator(federation: Federation) -> None:
    led = Coordinator(federation).up_to(Step.VETO)
    sent = [led.read(Step.VETO, n, AGGREGATOR, led.digest(), ("struck", "sketches"))["sketches"] for n in HOSPITALS]
    words = [np.frombuffer(content, "<u8") for content in sent]
    assert all(len(part) and (part > 2**52).mean() > 0.99 for part in words)
    together = np.sum(words, axis=0, dtype=np.uint64)
    assert (together < 2**54).all()  # and the sum over all is none
    assert ((together % (2**31 - 1)) == 0).any()


def test_nobody_else_may_add_up_and_compare_with_nothing(federation: Federation) -> None:
    Coordinator(federation, sql=COUNT).total()
    elsewhere = Coordinator(federation, sql=f"{COUNT} WHERE fee < 9000", permit_id="p-2", aggregator="north")
    elsewhere.do(Step.KEY)
    with pytest.raises(errors.ArchipelError) as refusal:
        elsewhere.give(elsewhere.order(Step.LABELS, "east"), "east")
    assert (refusal.value.code, f"'{AGGREGATOR}'" in str(refusal.value.hint)) == ("POLICY_REFUSED", True)
