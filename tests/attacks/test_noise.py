"""Attacks on noise: averaging it away, splitting or regaining a budget, forging epsilon, blowing contributions up."""
# ruff: noqa: S608 - statements are put together from parts that stand in this file

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attack_ward as ward
import pytest
from attack_attempts import Attacker, Outcome, prepare

from archipel import errors, permit, request, tokens
from archipel.demo.layout import NOT_COMPARED
from node_agent import config as configs
from node_agent.assembly import assemble
from node_agent.audit_reading import records
from node_agent.evidence import EVIDENCE_FOLDER
from node_agent.order import TaskOrder
from node_agent.perturbation import step_of
from node_agent.privacy_store import FOLDER, overview
from node_agent.replay import replay
from node_agent.tasks import PROTECTED_FAILURE

pytestmark = pytest.mark.attack("noise")

MAX_EPSILON = 1000.0
PRIVACY = {
    "max_epsilon": MAX_EPSILON,
    "groups_per_person": 1,
    "rows_per_person": 3,
    "bounds": {"cost": [0, 10_000], "days": [0, 60]},
}
BUDGET = 1_000_000.0


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    """The ward, whose stays are answered with differential privacy, too, and whose drugs are always perturbed."""
    changed = {
        "stays": {**ward.POLICIES["stays"], "privacy": PRIVACY},
        "drugs": {**ward.POLICIES["drugs"], "noise": {"deviation": 3}},
        "staff": {**ward.POLICIES["staff"], "privacy": {**PRIVACY, "bounds": {}, "only": True}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ward, "POLICIES", {**ward.POLICIES, **changed})
        budget = {"epsilon_per_permit": BUDGET, "delta_per_permit": 0.01}
        prepared = prepare(tmp_path_factory.mktemp("noisy"), node_policy={**NOT_COMPARED, "privacy": budget})
    yield prepared
    prepared.close()


@pytest.fixture
def budget(noisy: Attacker) -> Iterator[None]:
    """A budget for an epsilon of 1 under each permit, for as long as a test takes."""
    store = noisy.node.runner.budgets
    assert store is not None
    assert store.budget is not None
    before = store.budget
    store.budget = before.model_copy(update={"epsilon_per_permit": 1.0})
    yield
    store.budget = before


def order(
    attacker: Attacker, sql: str, epsilon: float = MAX_EPSILON, *, of: str = "p", asked: str = "", **changes: Any
) -> TaskOrder:
    """Return an order under a permit by the name of ``of``, with a request for differential privacy."""
    granted = attacker.permit(permit_id=of)
    signed = asked or request.sign(
        attacker.request("SELECT 1", permit_id=of, privacy=request.Privacy(epsilon=epsilon)), attacker.key
    )
    usual = attacker.order(f"q-{time.monotonic_ns()}", sql)
    content = {name: getattr(usual, name) for name in TaskOrder.__slots__}
    return TaskOrder(**{**content, "permit": permit.issue(granted, attacker.authority), "request": signed, **changes})


def spent(attacker: Attacker, of: str) -> float:
    assert attacker.node.runner.budgets is not None
    return sum(found.epsilon for found in attacker.node.runner.budgets.spent() if found.permit == of)


def code(outcome: Outcome) -> str:
    return outcome.error.code if outcome.error is not None else "released"


def variants(number: int) -> list[str]:
    """The same question in as many words as one likes."""
    return [f"SELECT count(*) AS n FROM stays WHERE score <> {-1 - i}" for i in range(number)]


# --- averaging and splitting ---------------------------------------------------------


@pytest.mark.usefixtures("budget")
def test_averaging_by_other_sql_ends_with_the_budget(noisy: Attacker) -> None:
    ends = [code(noisy.send(order(noisy, sql, 0.125, of="averaging"))) for sql in variants(12)]
    assert ends == ["released"] * 8 + ["BUDGET_EXHAUSTED"] * 4
    assert spent(noisy, "averaging") == 1.0


@pytest.mark.usefixtures("budget")
def test_the_same_sql_again_has_the_same_noise(noisy: Attacker) -> None:
    found = [noisy.send(order(noisy, variants(1)[0], 0.25, of="again", attempt=n)) for n in range(1, 6)]
    assert len({str(outcome.released) for outcome in found}) == 1
    assert spent(noisy, "again") == 0.25


@pytest.mark.usefixtures("budget")
def test_many_at_once_do_not_get_more_than_the_budget(noisy: Attacker) -> None:
    ends: list[str] = []
    threads = [
        threading.Thread(target=lambda sql=sql: ends.append(code(noisy.send(order(noisy, sql, 0.25, of="at once")))))
        for sql in variants(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["BUDGET_EXHAUSTED"] * 6 + ["released"] * 4
    told = {found.permit: found.epsilon for found in overview(noisy.node.config.state_dir / FOLDER)}
    assert told["at once"] == 1.0  # also while the agent holds the record


@pytest.mark.usefixtures("budget")
def test_a_permit_that_is_signed_anew_has_the_budget_of_before(noisy: Attacker) -> None:
    assert code(noisy.send(order(noisy, variants(1)[0], 1.0, of="renewed"))) == "released"
    renewed = permit.issue(noisy.permit(permit_id="renewed", purpose="Another purpose"), noisy.authority)
    assert code(noisy.send(order(noisy, variants(2)[1], 0.5, of="renewed", permit=renewed))) == "BUDGET_EXHAUSTED"


@pytest.mark.usefixtures("budget")
def test_one_request_buys_one_statement(noisy: Attacker) -> None:
    asked = request.sign(noisy.request("SELECT 1", permit_id="one", privacy=request.Privacy(epsilon=0.125)), noisy.key)
    first, second = variants(2)
    assert code(noisy.send(order(noisy, first, of="one", asked=asked))) == "released"
    assert code(noisy.send(order(noisy, second, of="one", asked=asked))) == "BAD_REQUEST"
    assert spent(noisy, "one") == 0.125


def test_a_restart_gives_nothing_back(noisy: Attacker) -> None:
    before = noisy.send(order(noisy, variants(1)[0], 4.0, of="restart"))
    used = spent(noisy, "restart")
    layout = noisy.layout
    noisy.node.close()
    noisy.node = assemble(configs.load(layout.node_configs[ward.NODE]))
    assert spent(noisy, "restart") == used == 4.0
    again = noisy.send(order(noisy, variants(1)[0], 4.0, of="restart"))
    assert str(again.released) == str(before.released)
    assert spent(noisy, "restart") == 4.0


def test_a_record_of_payments_that_was_removed_keeps_the_node_from_starting(noisy: Attacker) -> None:
    assert code(noisy.send(order(noisy, variants(1)[0], 4.0, of="removed"))) == "released"
    noisy.node.close()
    folder = noisy.node.config.state_dir / "privacy"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(errors.ArchipelError) as problem:
        assemble(configs.load(noisy.layout.node_configs[ward.NODE]))
    assert problem.value.code == "LEDGER_UNAVAILABLE"
    for path in folder.iterdir():
        path.unlink()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    noisy.node = assemble(configs.load(noisy.layout.node_configs[ward.NODE]))


def test_a_crash_between_paying_and_releasing_costs(noisy: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    def crashed(*_: object) -> None:
        raise OSError("the disk is gone")

    store = noisy.node.runner.budgets
    assert store is not None
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep", crashed)
        assert code(noisy.send(order(noisy, variants(1)[0], 8.0, of="crash"))) == "INTERNAL"
    assert spent(noisy, "crash") == 8.0


# --- epsilon -------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", ["0", "-1", "NaN", "Infinity", "-Infinity", "1e-300", "1e300", '"1"', "true", "[]"])
def test_an_epsilon_that_is_none_is_refused(noisy: Attacker, epsilon: str) -> None:
    content = noisy.request("SELECT 1", permit_id="p").model_dump(mode="json")
    content["privacy"] = {"epsilon": json.loads(epsilon)}
    asked = tokens.sign(content, request.REQUEST_KIND, noisy.key)
    outcome = noisy.send(order(noisy, variants(1)[0], asked=asked))
    if epsilon in {'"1"', "true"}:  # read as 1, which is an epsilon
        assert outcome.released is not None
    else:
        assert outcome.refused
        assert spent(noisy, "p") <= 2


def test_an_epsilon_over_that_of_the_policy_is_refused(noisy: Attacker) -> None:
    outcome = noisy.send(order(noisy, variants(1)[0], MAX_EPSILON * 1.0001, of="over"))
    assert outcome.error is not None
    assert outcome.error.rule == "privacy-epsilon"
    assert spent(noisy, "over") == 0


def test_a_coordinator_cannot_raise_an_epsilon_or_take_it_away(noisy: Attacker) -> None:
    signed = request.sign(
        noisy.request("SELECT 1", permit_id="forged", privacy=request.Privacy(epsilon=0.125)), noisy.key
    )
    head, body, signature = signed.split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for privacy in (None, {"epsilon": 900.0}):
        altered = ".".join((head, _encoded({**content, "privacy": privacy}), signature))
        assert code(noisy.send(order(noisy, variants(1)[0], of="forged", asked=altered))) == "REQUEST_SIGNATURE"
    assert spent(noisy, "forged") == 0


def _encoded(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_a_table_that_is_private_only_gives_nothing_exact(noisy: Attacker) -> None:
    sql = "SELECT grade, count(*) AS n FROM staff GROUP BY grade"
    exact = noisy.send(noisy.order("exact", sql))
    assert exact.error is not None
    assert exact.error.rule == "privacy-only"
    joined = noisy.send(noisy.order("joined", "SELECT count(*) AS n FROM stays s JOIN staff t ON s.region = t.region"))
    assert joined.refused


# --- contributions -------------------------------------------------------------------

_BLOWN_UP = {
    "one value of millions": ("sum(cost)", "stays", 10_000),
    "copies by a join": ("sum(s.cost)", "stays s JOIN codes c ON true", 10_000),
    "copies of one person's rows": ("count(*)", "stays s LEFT JOIN codes c ON s.days = 366", 3),
    "copies of rows": (
        "count(*)",
        "stays s JOIN stays t ON s.person = t.person",
        3,
    ),
    "weights": ("count(*)", "stays s CROSS JOIN range(1000) r(i)", 3),
}


@pytest.mark.parametrize("name", _BLOWN_UP)
def test_one_person_changes_an_answer_by_no_more_than_is_told(noisy: Attacker, name: str) -> None:
    """The whole and the whole without the one person, with next to no noise: a difference within the bounds."""
    value, source, most = _BLOWN_UP[name]
    alias = "stays" if source == "stays" else "s"
    one = f"{alias}.person NOT IN (SELECT x.person FROM stays x WHERE x.days = 366 AND x.person IS NOT NULL)"
    found = []
    for where in ("", f" WHERE {one}"):
        outcome = noisy.send(order(noisy, f"SELECT {value} AS x FROM {source}{where}", of=f"blown up: {name}"))
        assert outcome.released is not None, outcome.texts
        found.append(int(outcome.released.column("x")[0].as_py()))
    noise = most * 2 / MAX_EPSILON * 40  # scale times 40: e^-40 of all draws are beyond
    assert 0 < abs(found[0] - found[1]) <= most + 2 * noise


# --- what is told beside the rows ----------------------------------------------------


def test_a_statement_that_fails_tells_nothing_and_costs_the_most_that_one_may_cost(noisy: Attacker) -> None:
    sql = "SELECT count(*) AS n FROM stays s JOIN codes c ON CAST(s.diagnosis AS INTEGER) = c.n"
    outcome = noisy.send(order(noisy, sql, 1.0, of="failing"))
    assert outcome.error is not None
    assert outcome.error.info.message == PROTECTED_FAILURE
    assert spent(noisy, "failing") == MAX_EPSILON


def test_conditions_that_fail_for_some_rows_are_no_oracle(noisy: Attacker) -> None:
    ends = []
    for divisor in (366, 367):  # somebody stayed 366 days, nobody 367
        sql = f"SELECT count(*) AS n FROM stays WHERE CAST(1 / CAST(days <> {divisor} AS INTEGER) AS VARCHAR) <> 'x'"
        ends.append(code(noisy.send(order(noisy, sql, 1.0, of="oracle"))))
        number = f"CAST(CASE WHEN days = {divisor} THEN 'x' ELSE '1' END AS INTEGER)"
        cast = f"SELECT count(*) AS n FROM stays WHERE {number} = 1"
        ends.append(code(noisy.send(order(noisy, cast, 1.0, of="oracle"))))
    assert ends == ["released"] * 4
    assert spent(noisy, "oracle") == 4.0


def test_what_is_said_of_a_noisy_answer_has_no_exact_number(noisy: Attacker) -> None:
    sql = "SELECT region, count(*) AS n FROM stays GROUP BY region"
    released = noisy.node.runner.run(order(noisy, sql, 1.0, of="told"), {})
    assert released.withheld.groups is None
    (note,) = released.notes
    assert note.noise is not None
    assert note.noise.threshold > 11
    last = list(records(noisy.audit_folder))[-1]
    assert last["fewest_persons_of_a_group"] is None
    assert last["privacy"]["epsilon"] == 1.0
    assert last["withheld_groups"] == 0
    played = replay(last, noisy.node.config.state_dir / EVIDENCE_FOLDER)
    assert played.same is True


def test_groups_of_few_persons_are_not_shown_whatever_epsilon(noisy: Attacker) -> None:
    outcome = noisy.send(order(noisy, "SELECT region, count(*) AS n FROM stays GROUP BY region", of="few"))
    assert outcome.released is not None
    shown = set(outcome.released.column("region").to_pylist())
    assert shown
    assert not {"RARE-DIX", "RARE-UN"} & shown


# --- noise that is the same for the same persons -------------------------------------


def perturbed(attacker: Attacker, sql: str) -> int:
    outcome = attacker.send(attacker.order(f"q-{time.monotonic_ns()}", sql))
    assert outcome.released is not None, outcome.texts
    return int(outcome.released.column("n")[0].as_py())


def test_other_sql_for_the_same_persons_has_the_same_noise(noisy: Attacker) -> None:
    found = {
        perturbed(noisy, f"SELECT count(DISTINCT d.patient) AS n FROM drugs d {rest}")
        for rest in (
            "",
            "WHERE d.quantity > 0",
            "WHERE d.quantity <> -1 AND d.code IS NOT NULL",
            "JOIN codes c ON c.n = 7",
            "JOIN codes c ON c.n < 50",
            "WHERE EXISTS (SELECT x.patient FROM drugs x WHERE x.patient = d.patient)",
        )
    }
    assert len(found) == 1


def test_blowing_a_count_up_blows_its_noise_up(noisy: Attacker) -> None:
    """Ten copies of each row, divided by ten, have the noise of one."""
    true = noisy.raw.sql("SELECT count(*) FROM drugs WHERE patient IS NOT NULL").fetchone()
    assert true is not None
    once = perturbed(noisy, "SELECT count(*) AS n FROM drugs d") - true[0]
    ten = perturbed(noisy, "SELECT count(*) AS n FROM drugs d JOIN codes c ON c.n < 10") - 10 * true[0]
    assert ten == 10 * once


def test_sums_of_what_is_computed_are_refused_under_noise(noisy: Attacker) -> None:
    for value in ("sum(d.quantity * 2 + 1)", "sum(least(d.quantity, 3))", "var_pop(d.quantity)"):
        outcome = noisy.send(noisy.order("computed", f"SELECT {value} AS n FROM drugs d"))
        assert outcome.error is not None
        assert outcome.error.rule in {"noise-sum", "noise-aggregate"}


def test_the_noise_of_many_groups_is_spread_as_is_said() -> None:
    steps = [step_of(people, b"secret of the test", 3.0) for people in range(20_000)]
    assert abs(sum(steps)) / len(steps) < 6.2 * 3 / 20_000**0.5
    assert sum(step * step for step in steps) / len(steps) == pytest.approx(9.0, rel=0.07)
    assert max(map(abs, steps)) <= 12
