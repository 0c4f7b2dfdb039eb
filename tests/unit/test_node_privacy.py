"""Differentially private answers at a node: bounded contributions, noise as promised, a budget that holds."""
# ruff: noqa: S608 - statements are put together from parts that stand in this file

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import PROTECTED, STAYS, Party, engine_of, runner_of

from archipel import errors, frames, noise
from archipel.noise import NoisyColumn, Private
from archipel.policy_privacy import PrivacyBudget
from node_agent import privacy_mechanism
from node_agent.privacy_store import Payment, PrivacyStore
from node_agent.tasks import Released, TaskRunner

HUGE = 1e6
"""An epsilon with which there is no noise left."""
LIMITS: dict[str, Any] = {
    "max_epsilon": HUGE,
    "delta": 1e-6,
    "groups_per_person": 2,
    "rows_per_person": 3,
    "bounds": {"days": [0, 20], "cost": {"from": -50, "to": 100, "unit": 0.5}, "price": [0, 10]},
}
BY_REGION = "SELECT region, count(*) AS n FROM stays GROUP BY region"


def table() -> pa.Table:
    """400 persons with up to 12 stays in up to 6 regions; one region of 5 persons, some rows of nobody."""
    sql = """
        SELECT CASE WHEN i % 50 <> 49 THEN 'p' || (i % 400) END AS person,
            'region ' || ((i * 7 + i // 400) % 6) AS region,
            (i % 40)::INTEGER AS days, CASE WHEN i % 9 = 0 THEN 'nan'::DOUBLE ELSE (i % 301)::DOUBLE - 100 END AS cost,
            ((i % 100) / 10)::DECIMAL(8, 2) AS price, CASE WHEN i % 17 = 0 THEN 'x' ELSE '7' END AS code
        FROM range(3000) t(i)
        UNION ALL SELECT 'q' || i, 'small', 1, 1.0, 1.0, '7' FROM range(5) t(i)
    """
    return duckdb.sql(sql).to_arrow_table()


Runners = Callable[..., TaskRunner]


@pytest.fixture(scope="module")
def party() -> Party:
    return Party()


@pytest.fixture
def runners(tmp_path: Path, party: Party) -> Iterator[Runners]:
    """Make runners over the table under changed limits, with a budget."""
    made: list[TaskRunner] = []
    pq.write_table(table(), tmp_path / "stays.parquet")

    def make(*, epsilon: float = 1e9, limits: dict[str, Any] | None = None, **changes: Any) -> TaskRunner:
        rules = {"stays": {**PROTECTED, "privacy": {**LIMITS, **(limits or {})}}}
        budget = PrivacyBudget(epsilon_per_permit=epsilon, delta_per_permit=1e-3)
        content = {"budgets": PrivacyStore(tmp_path / "privacy", budget), **changes}
        engine = engine_of(tmp_path, [STAYS], policy=rules)
        runner = runner_of(tmp_path, party, engine=engine, tables=False, **content)
        made.append(runner)
        return runner

    yield make
    for runner in made:
        close(runner)


def close(runner: TaskRunner) -> None:
    runner.engine.close()
    for part in (runner.budgets, runner.audit, runner.ledger):
        if part is not None:
            part.close()


class Asker:
    """Asks a runner, each time by a new request."""

    def __init__(self, runner: TaskRunner, party: Party) -> None:
        self.runner, self.party, self.number = runner, party, 0

    def order(self, sql: str, *, permit: str = "p1", request: str = "", **privacy: Any) -> Any:
        self.number += 1
        signed = self.party.request(
            permit_id=permit,
            request_id=request or f"request-{id(self)}-{self.number}",
            sql=sql,
            privacy={"epsilon": HUGE, **privacy},
        )
        return self.party.order(sql, request_token=signed, permit_token=self.party.permit(permit_id=permit))

    def released(self, sql: str, **options: Any) -> Released:
        return self.runner.run(self.order(sql, **options), {})

    def rows(self, sql: str, **options: Any) -> list[dict[str, Any]]:
        return frames.decode_table(self.released(sql, **options).frames).to_pylist()

    def refused(self, sql: str, **options: Any) -> errors.ArchipelError:
        with pytest.raises(errors.ArchipelError) as problem:
            self.runner.run(self.order(sql, **options), {})
        return problem.value


@pytest.fixture
def asker(runners: Runners, party: Party) -> Asker:
    return Asker(runners(), party)


def by_hand(sql: str) -> list[dict[str, Any]]:
    """Return what DuckDB says of the rows that belong to somebody."""
    everybody = table()
    with duckdb.connect() as database:
        database.register("everybody", everybody)
        database.sql("CREATE TEMP TABLE stays AS FROM everybody WHERE person IS NOT NULL")
        return database.sql(sql).to_arrow_table().to_pylist()


# --- bounded contributions, and answers that are the clipped ones where there is no noise ------------------------


def test_a_person_is_counted_in_no_more_groups_than_policy_says(asker: Asker) -> None:
    found = asker.rows("SELECT region, count(DISTINCT person) AS p FROM stays GROUP BY region")
    regions = by_hand("SELECT count(DISTINCT region) AS n FROM stays WHERE region <> 'small' GROUP BY person")
    assert max(row["n"] for row in regions) > 2
    assert sum(row["p"] for row in found) == sum(min(row["n"], 2) for row in regions)


def test_without_noise_the_answer_is_that_of_clipped_contributions(runners: Runners, party: Party) -> None:
    asker = Asker(runners(limits={"groups_per_person": 6}), party)
    asked = (
        "SELECT region AS r, count(*) AS n, count(DISTINCT person) AS persons, sum(days) AS days, fsum(cost) AS cost, "
        "sum(price) AS price, count(*) FILTER (WHERE days > 30) AS many, count(price) AS prices "
        "FROM stays GROUP BY region"
    )
    expected = by_hand(
        "SELECT region AS r, sum(least(n, 3))::BIGINT AS n, count(*) AS persons, "
        "sum(least(greatest(days, 0), 20))::HUGEINT AS days, "
        "sum(round(least(greatest(cost, -50), 100) * 2) / 2) AS cost, sum(least(price, 10)) AS price, "
        "sum(least(many, 3))::BIGINT AS many, sum(least(n, 3))::BIGINT AS prices "
        "FROM (SELECT region, person, count(*) AS n, sum(days) AS days, "
        "CASE WHEN NOT isnan(fsum(cost)) THEN fsum(cost) ELSE 0 END AS cost, sum(price) AS price, "
        "count(*) FILTER (WHERE days > 30) AS many FROM stays GROUP BY region, person) GROUP BY region "
        "HAVING count(*) > 11 ORDER BY region"
    )
    assert asker.rows(asked) == expected


def test_which_groups_a_person_is_counted_in_is_not_chosen_by_value(asker: Asker) -> None:
    found = {
        row["region"]: row["p"]
        for row in asker.rows("SELECT region, count(DISTINCT person) AS p FROM stays GROUP BY region")
    }
    whole = {
        row["region"]: row["p"]
        for row in by_hand(
            "SELECT region, count(DISTINCT person) AS p FROM stays WHERE region <> 'small' GROUP BY region"
        )
    }
    assert found.keys() == whole.keys()
    shares = [found[region] / whole[region] for region in whole]
    assert max(shares) < 1  # by value the first regions would have everybody
    assert min(shares) > 0.1


@pytest.mark.parametrize(
    "blown_up",
    [
        "SELECT count(*) AS n FROM (SELECT * FROM stays UNION ALL SELECT * FROM stays) s",
        "SELECT count(*) AS n FROM stays s JOIN range(50) r(i) ON true",
        "SELECT count(*) AS n FROM stays s JOIN stays t ON s.person = t.person",
    ],
)
def test_rows_that_are_copied_add_no_more_than_a_person_may(asker: Asker, blown_up: str) -> None:
    (row,) = asker.rows(blown_up)
    (persons,) = by_hand("SELECT count(DISTINCT person) AS n FROM stays")
    assert row["n"] <= 3 * persons["n"]


def test_sums_are_of_no_more_than_a_person_may_add_however_rows_are_copied(asker: Asker) -> None:
    (row,) = asker.rows("SELECT sum(s.days) AS d FROM stays s JOIN range(9) r(i) ON true")
    (persons,) = by_hand("SELECT count(DISTINCT person) AS n FROM stays")
    assert row["d"] <= 20 * persons["n"]


def test_a_request_may_take_less_of_each_person(asker: Asker) -> None:
    (row,) = asker.rows("SELECT count(*) AS n FROM stays", rows_per_person=1)
    (persons,) = by_hand("SELECT count(DISTINCT person) AS n FROM stays")
    assert row["n"] == persons["n"]


def test_what_cannot_be_computed_of_a_row_fails_no_statement(asker: Asker) -> None:
    assert asker.rows("SELECT count(*) AS n FROM stays WHERE CAST(code AS INTEGER) = 7")[0]["n"] > 0
    assert asker.rows("SELECT count(CAST(code AS INTEGER)) AS n FROM stays")[0]["n"] > 0
    assert (
        asker.rows("SELECT count(s.c) AS n FROM (SELECT person, CAST(code AS INTEGER) AS c FROM stays) s")[0]["n"] > 0
    )


def test_groups_of_few_persons_are_never_shown(asker: Asker) -> None:
    assert "small" not in {row["region"] for row in asker.rows(BY_REGION)}
    assert asker.rows("SELECT count(*) AS n FROM stays WHERE region = 'small'") == []


# --- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "rule", "hint"),
    [
        ("SELECT sum(length(code)) AS x FROM stays", "noise-sum", "Sum the column itself"),
        ("SELECT sum(days * 1000) AS x FROM stays", "noise-sum", "Sum the column itself"),
        ("SELECT var_pop(days) AS x FROM stays", "noise-aggregate", "count(*)"),
        ("SELECT avg(days) AS x FROM stays", "noise-aggregate", "count(*)"),
        ("SELECT count(DISTINCT region) AS x FROM stays", "noise-aggregate", "count(*)"),
        ("SELECT region, days, count(*) AS n FROM stays GROUP BY ROLLUP (region, days)", "noise-grouping", "own"),
        (
            "SELECT sum(n) AS x FROM (SELECT region, count(*) AS n FROM stays GROUP BY region) s",
            "noise-persons",
            "once",
        ),
        ("SELECT max(days) AS x FROM stays", "value-aggregate", ""),
        ("SELECT count(*) AS n FROM stays GROUP BY person", "person-group-key", ""),
        ("SELECT days FROM stays", "row-level-output", ""),
    ],
)
def test_what_noise_cannot_hide_is_refused_and_says_why(asker: Asker, sql: str, rule: str, hint: str) -> None:
    problem = asker.refused(sql)
    assert problem.rule == rule
    assert hint in problem.info.hint
    assert asker.runner.budgets is not None
    assert asker.runner.budgets.spent() == []


def test_a_sum_without_declared_bounds_names_the_key_of_the_policy(runners: Runners, party: Party) -> None:
    asker = Asker(runners(limits={"bounds": {"cost": [0, 100]}}), party)
    undeclared, without_unit = (
        asker.refused("SELECT sum(days) AS x FROM stays"),
        asker.refused("SELECT sum(cost) FROM stays"),
    )
    assert undeclared.rule == without_unit.rule == "privacy-bounds"
    assert "tables.stays.privacy.bounds.days" in undeclared.info.hint
    assert "'unit' in tables.stays.privacy.bounds.cost" in without_unit.info.hint


def test_an_epsilon_over_that_of_the_policy_is_refused_and_costs_nothing(runners: Runners, party: Party) -> None:
    asker = Asker(runners(limits={"max_epsilon": 1.0}), party)
    problem = asker.refused(BY_REGION, epsilon=1.5)
    assert (problem.code, problem.rule) == ("POLICY_REFUSED", "privacy-epsilon")
    assert "At most 1 " in problem.info.hint


def test_without_a_policy_or_without_a_budget_there_are_no_private_answers(
    tmp_path: Path, runners: Runners, party: Party
) -> None:
    asker = Asker(runners(), party)
    assert asker.runner.budgets is not None
    asker.runner.budgets.budget = None
    assert asker.refused(BY_REGION).code == "POLICY_REFUSED"
    engine = asker.runner.engine
    asker.runner.engine = engine_of(tmp_path, [STAYS], policy={"stays": PROTECTED})
    assert asker.refused(BY_REGION).rule == "privacy-not-offered"
    asker.runner.engine.close()
    asker.runner.engine = engine


def test_a_table_that_is_private_only_gives_no_exact_answer(runners: Runners, party: Party) -> None:
    runner = runners(limits={"only": True})
    with pytest.raises(errors.ArchipelError) as problem:
        runner.run(party.order(BY_REGION), {})
    assert problem.value.rule == "privacy-only"


# --- the budget ---------------------------------------------------------------------------------------------------


def spent(runner: TaskRunner) -> float:
    assert runner.budgets is not None
    return sum(found.epsilon for found in runner.budgets.spent())


def test_the_same_question_has_the_same_noise_and_costs_once(runners: Runners, party: Party, tmp_path: Path) -> None:
    asker = Asker(runners(epsilon=1.0), party)
    first = asker.rows(BY_REGION, epsilon=0.4)
    assert [asker.rows(BY_REGION, epsilon=0.4) for _ in range(5)] == [first] * 5
    assert spent(asker.runner) == pytest.approx(0.4)
    close(asker.runner)
    again = Asker(runners(epsilon=1.0), party)
    assert again.rows(BY_REGION, epsilon=0.4) == first
    assert spent(again.runner) == pytest.approx(0.4)


def test_another_permit_gets_the_same_noise_and_pays_for_it(runners: Runners, party: Party) -> None:
    asker = Asker(runners(epsilon=1.0), party)
    first = asker.rows(BY_REGION, epsilon=0.8)
    assert asker.rows(BY_REGION, epsilon=0.8, permit="p2") == first
    assert spent(asker.runner) == pytest.approx(1.6)


def test_a_budget_that_is_used_up_refuses_and_tells_what_is_left(runners: Runners, party: Party) -> None:
    asker = Asker(runners(epsilon=1.0), party)
    for number in range(10):
        asker.released(f"SELECT count(*) AS n FROM stays WHERE days <> {number + 1000}", epsilon=0.1)
    problem = asker.refused("SELECT count(*) AS n FROM stays WHERE days <> 2000", epsilon=0.1)
    assert problem.code == "BUDGET_EXHAUSTED"
    fresh = asker.refused("SELECT count(*) AS n FROM stays", permit="p2", epsilon=1.25)
    assert "an epsilon of 1 is left" in fresh.info.message


def test_an_answer_says_in_numbers_what_it_cost_and_how_wide_its_noise_is(runners: Runners, party: Party) -> None:
    asker = Asker(runners(epsilon=3.0), party)
    released = asker.released("SELECT region, count(*) AS n, sum(days) AS d FROM stays GROUP BY region", epsilon=1.5)
    (note,) = released.notes
    assert note.kind == "privacy"
    assert note.noise is not None
    assert (note.noise.epsilon, note.noise.delta) == (1.5, 1e-6)
    # Three numbers share 1.5; a person is in two groups, and adds 3 rows and 20 days to each.
    scales = {column.aggregate: column.scale for column in note.noise.columns}
    assert scales == {"count(*)": pytest.approx(12), "sum(days)": pytest.approx(80)}
    assert [c.half_width for c in note.noise.columns] == [noise.laplace_half_width(12), noise.laplace_half_width(80)]
    assert "an epsilon of 1.5 is left" in note.text
    # P(11 persons are shown) <= delta / 2 groups, by the tail of discrete Laplace noise.
    scale = 2 / 0.5
    tail = math.exp(-(note.noise.threshold - 11) / scale) / (1 + math.exp(-1 / scale))
    assert 0.5e-6 < 2 * tail <= 1e-6


# --- the noise is what it is said to be ---------------------------------------------------------------------------

DRAWS = 20_000
"""Of these the mean of |noise| is within 7 % of its expectation but for one run in 10^9: six deviations are 4.3 %."""


def private(*columns: NoisyColumn, epsilon: float, groups: int = 1, delta: float = 1e-6) -> Private:
    return Private(
        epsilon,
        delta,
        epsilon,
        groups,
        11,
        1,
        "persons",
        (),
        columns,
        ("g", *(name for c in columns for name in c.outputs)),
        "s",
    )


@pytest.mark.parametrize(("epsilon", "groups", "most"), [(1.0, 1, 1), (0.2, 3, 5), (8.0, 2, 1000)])
def test_the_noise_has_the_scale_that_is_told(epsilon: float, groups: int, most: int) -> None:
    column = NoisyColumn(("n",), "count(*)", "steps", most, 1.0, count=False)
    asked = private(column, epsilon=epsilon, groups=groups)
    persons = pa.array([1_000_000] * DRAWS, pa.int64())
    given = pa.table({"g": pa.array(range(DRAWS)), "n": persons, "steps": pa.array([0] * DRAWS), "persons": persons})
    drawn = privacy_mechanism.drawn(given, asked).table.column("n").to_pylist()
    assert len(drawn) == DRAWS
    scale = groups * most * 2 / epsilon
    a = math.exp(-1 / scale)
    assert sum(map(abs, drawn)) / DRAWS == pytest.approx(2 * a / (1 - a * a), rel=0.07)
    within = noise.laplace_half_width(scale)
    assert sum(abs(value) <= within for value in drawn) / DRAWS > 0.94  # at least 0.95, six deviations are 0.0093
    assert abs(sum(drawn)) / DRAWS < 6.2 * scale * math.sqrt(2 / DRAWS)


def test_neighbours_are_told_apart_no_better_than_epsilon_allows() -> None:
    """The chance of the most telling event differs by the factor e^epsilon at most: counted over many draws."""
    column = NoisyColumn(("n",), "count(*)", "steps", 1, 1.0, count=False)
    asked = private(column, epsilon=2.0)  # one for the number, one for the choice of groups
    persons = pa.array([1_000_000] * DRAWS, pa.int64())

    def above(value: int) -> float:
        given = pa.table(
            {"g": pa.array(range(DRAWS)), "n": persons, "steps": pa.array([value] * DRAWS), "persons": persons}
        )
        drawn = privacy_mechanism.drawn(given, asked).table.column("n").to_pylist()
        return sum(number >= 1 for number in drawn) / DRAWS

    ratio = above(1) / above(0)
    assert 2.2 < ratio < 3.2  # e is 2.72; six deviations are 0.25 on either side


def test_a_group_with_just_enough_persons_is_shown_as_seldom_as_delta_says() -> None:
    asked = private(epsilon=1.0, delta=1e-4)
    given = pa.table({"g": pa.array(range(DRAWS)), "persons": pa.array([11] * DRAWS, pa.int64())})
    assert privacy_mechanism.drawn(given, asked).table.num_rows < 25  # 2 are expected


def test_a_count_is_shown_at_the_threshold_as_often_as_delta_says() -> None:
    """Of the library's own: what it says of delta is one short (see the module), and so is compensated."""
    asked = private(epsilon=1.0, delta=1e-4)
    _, threshold = privacy_mechanism._chooser(asked)
    a = math.exp(-1 / asked.persons_scale)
    assert a ** (threshold - 1) / (1 + a) <= 1e-4  # P(1 + noise >= threshold)


def test_the_mechanisms_cost_no_more_than_their_share() -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    for epsilon in (0.001, 0.1, 1.0, 7.3, 1e6):
        for groups in (1, 3, 1000):
            asked = private(NoisyColumn(("n",), "n", "s", 7, 1.0, count=True), epsilon=epsilon, groups=groups)
            chooser, _ = privacy_mechanism._chooser(asked)
            spent_by, delta = chooser.map((groups, groups, 1))
            assert spent_by <= epsilon / 2
            assert spent_by == pytest.approx(epsilon / 2)
            assert delta <= 1e-6


# --- what must not give budget back --------------------------------------------------------------------------------


def payment(question: str = "q", **changes: Any) -> Payment:
    return dataclasses.replace(Payment("p1", "alice", f"request of {question}", question, 0.5, 1e-8), **changes)


def test_a_crash_after_paying_costs_budget(tmp_path: Path) -> None:
    budget = PrivacyBudget(epsilon_per_permit=1.0)
    store = PrivacyStore(tmp_path, budget)
    store.pay(payment(), 1.0)
    store.close()  # nothing more of it was written
    store = PrivacyStore(tmp_path, budget)
    assert store.remaining("p1") == pytest.approx(0.5)
    assert store.find("q") is None
    store.pay(payment(), 2.0)
    with pytest.raises(errors.ArchipelError) as problem:
        store.pay(payment(), 3.0)
    assert problem.value.code == "BUDGET_EXHAUSTED"
    store.close()


def test_an_older_copy_of_the_record_is_noticed(tmp_path: Path) -> None:
    store = PrivacyStore(tmp_path, PrivacyBudget(epsilon_per_permit=9.0))
    store.pay(payment(), 1.0)
    store.close()
    with pytest.raises(errors.ArchipelError) as problem:
        PrivacyStore(tmp_path, PrivacyBudget(epsilon_per_permit=9.0), at_least=2)
    assert problem.value.code == "LEDGER_UNAVAILABLE"
    PrivacyStore(tmp_path, None, at_least=1).close()


def test_a_lost_secret_is_not_made_anew(tmp_path: Path) -> None:
    PrivacyStore(tmp_path, None).close()
    (tmp_path / "secret").unlink()
    with pytest.raises(errors.ArchipelError):
        PrivacyStore(tmp_path, None)


def test_one_process_holds_the_record(tmp_path: Path) -> None:
    store = PrivacyStore(tmp_path, None)
    with pytest.raises(errors.ArchipelError):
        PrivacyStore(tmp_path, None)
    store.close()


def test_all_permits_together_have_a_budget_where_policy_says_so(tmp_path: Path) -> None:
    store = PrivacyStore(tmp_path, PrivacyBudget(epsilon_per_permit=1.0, epsilon_in_all=1.2))
    store.pay(payment(), 1.0)
    store.pay(payment(permit="p2"), 1.0)
    assert store.remaining("p3") == pytest.approx(0.2)
    store.close()
