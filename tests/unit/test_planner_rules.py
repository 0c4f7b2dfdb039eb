"""Every optimisation can be left out: the plan is another, the answer is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from comparing import difference
from planning import Federation, request
from test_planner_reductions import FEW, OUTER, REDUCED, _shards

from coordinator.config import PlannerSection
from coordinator.planner.rules import EVERY_RULE, NAMES, Rules


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation(_shards()) as made:
        yield made


@dataclass(frozen=True)
class Telling:
    """A query in whose plan an optimisation shows."""

    rule: str
    sql: str


TELLING = (
    Telling("pushdown", "SELECT o.o, i.kind FROM orders o JOIN items i ON i.item = o.item WHERE o.note = 'note 7'"),
    Telling("semijoin", REDUCED["not exists"].replace("FEW", FEW)),
    Telling(
        "bloom", "SELECT count(*) AS n, max(o.note) AS m FROM orders o, clients c WHERE c.cust = o.cust AND c.rank < 9"
    ),
    Telling(
        "eager",
        f"SELECT c.cust, {OUTER['several']} FROM clients c LEFT JOIN orders o ON o.cust = c.cust GROUP BY c.cust",  # noqa: S608
    ),
    Telling("shuffle", "SELECT c.zone, count(*) AS n FROM orders o JOIN clients c ON c.cust = o.cust GROUP BY c.zone"),
    Telling("topk", "SELECT o, price FROM orders ORDER BY price DESC, o LIMIT 7"),
    Telling("pruning", "SELECT count(*) AS n FROM orders WHERE _node = 'b'"),
    Telling(
        "common_subplans",
        "SELECT a.zone, a.n, b.n AS m FROM (SELECT zone, count(*) AS n FROM clients GROUP BY zone) a "
        "JOIN (SELECT zone, count(*) AS n FROM clients GROUP BY zone) b ON a.zone = b.zone",
    ),
    Telling("local_joins", "SELECT _node, count(DISTINCT o) AS n FROM orders GROUP BY _node"),
)


@pytest.mark.parametrize("telling", TELLING, ids=lambda telling: telling.rule)
def test_without_an_optimisation_the_plan_may_be_another_and_the_answer_is_the_same(
    federation: Federation, telling: Telling
) -> None:
    asked = request(telling.sql)
    expected = federation.oracle(asked)
    with_it = federation.ask(asked)
    try:
        federation.rules = federation.rules.without([telling.rule])
        without = federation.ask(asked)
    finally:
        federation.rules = type(federation).rules
    assert difference(with_it.table, expected, telling.sql) == ""
    assert difference(without.table, expected, telling.sql) == ""
    if telling.rule not in {"local_joins", "bloom"}:
        assert [s.sql for s in with_it.plan.stages] != [s.sql for s in without.plan.stages] or len(
            with_it.plan.nodes()
        ) != len(without.plan.nodes())


def test_without_any_optimisation_answers_are_the_same(federation: Federation) -> None:
    try:
        federation.rules = EVERY_RULE.without(NAMES)
        for telling in TELLING:
            asked = request(telling.sql)
            assert difference(federation.ask(asked).table, federation.oracle(asked), telling.sql) == ""
    finally:
        federation.rules = type(federation).rules


def test_the_configuration_knows_the_optimisations_by_the_names_of_the_planner() -> None:
    assert PlannerSection(disable=NAMES).disable == NAMES
    assert PlannerSection().stage_bytes == Rules().stage_bytes


def test_an_optimisation_that_does_not_exist_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="no optimisation is called 'magic'"):
        EVERY_RULE.without(["magic"])
