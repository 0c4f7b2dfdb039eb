"""The words of policy about noise: what they allow, what excludes what, what is said of them, and on the wire."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import typer
from pydantic import ValidationError

from archipel import noise, policy_schema, schema, wire
from archipel.cli.queries import _privacy
from archipel.policy import Policy
from archipel.policy_explain import explain
from archipel.request import Privacy
from archipel.schema import Bound, Column, PrivacyLimits

PRIVACY: dict[str, Any] = {"max_epsilon": 1, "groups_per_person": 3, "rows_per_person": 5, "bounds": {"days": [0, 60]}}
STAYS: dict[str, Any] = {"coordinator": "aggregate", "columns": {"days": "measure"}, "privacy": PRIVACY}
NODE: dict[str, Any] = {"privacy": {"epsilon_per_permit": 10}}


def document(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "node": NODE, "tables": {"stays": {**STAYS, **changes}}}


def test_limits_reach_the_border_check_and_the_coordinator_as_they_were_written() -> None:
    bounds = {"days": [0, 60], "cost": {"from": -5, "to": 10.5, "unit": 0.01}}
    read = Policy.model_validate(document(privacy={**PRIVACY, "bounds": bounds, "only": True}))
    given = read.tables["stays"].for_columns(("days", "cost"))
    assert given.privacy == PrivacyLimits(
        1.0, 1e-8, 3, 5, (Bound("days", 0, 60), Bound("cost", -5, 10.5, 0.01)), only=True
    )
    table = schema.Table("stays", (Column("days", "INTEGER"),), policy=given)
    assert wire.table_from_wire(wire.table_to_wire(table)) == table
    perturbed = Policy.model_validate(document(privacy=None, noise={"deviation": 2.5})).tables["stays"].for_columns(())
    assert (perturbed.privacy, perturbed.deviation) == (None, 2.5)
    table = schema.Table("stays", (), policy=perturbed)
    assert wire.table_from_wire(wire.table_to_wire(table)).policy.deviation == 2.5


@pytest.mark.parametrize(
    "changes",
    [
        {"privacy": {**PRIVACY, "max_epsilon": 0}},
        {"privacy": {**PRIVACY, "max_epsilon": float("nan")}},
        {"privacy": {**PRIVACY, "delta": 0.5}},
        {"privacy": {**PRIVACY, "groups_per_person": 0}},
        {"privacy": {**PRIVACY, "bounds": {"days": [60, 0]}}},
        {"privacy": {**PRIVACY, "bounds": {"days": [0, float("inf")]}}},
        {"privacy": {**PRIVACY, "bounds": {"days": [0, 1e15]}}},
        {"privacy": {"max_epsilon": 1}},
        {"noise": {"deviation": 0}},
        {"noise": {"deviation": 2}, "rounding": 5},
        {"noise": {"deviation": 2}, "privacy": {**PRIVACY, "only": True}},
        {"noise": {"deviation": 2}, "coordinator": "sketch"},
        {"noise": {"deviation": 2}, "peers": {"cnam": "rows"}},
        {"noise": {"deviation": 2}, "threshold_scope": ["node", "federation"]},
        {"privacy": {**PRIVACY, "only": True}, "peers": {"cnam": "aggregate"}},
        {"privacy": PRIVACY, "protected": False},
    ],
)
def test_what_would_let_rows_out_without_noise_or_bounds_is_an_error(changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(document(**changes))


def test_the_json_schema_takes_what_the_model_takes() -> None:
    for right in (document(), document(noise={"deviation": 3}), document(privacy={**PRIVACY, "bounds": {}})):
        Policy.model_validate(right)
        jsonschema.validate(right, policy_schema.json_schema())
    for wrong in (document(noise={}), document(privacy={**PRIVACY, "bounds": {"days": [1]}})):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, policy_schema.json_schema())


def test_a_policy_in_plain_words_says_what_is_offered_and_what_is_risky() -> None:
    def said(content: dict[str, Any]) -> tuple[str, str]:
        parts = explain(Policy.model_validate(content))
        return " ".join(w for p in parts for w in p.lines), " ".join(w for p in parts for w in p.warnings)

    lines, warnings = said(document())
    assert "an epsilon of at most 1 and a delta of 1e-08 for each answer" in lines
    assert "an epsilon of 10 and a delta of 1e-06 over all answers of a permit" in lines
    assert "epsilon_in_all is absent" in warnings
    _, warnings = said({**document(privacy={**PRIVACY, "max_epsilon": 50}), "node": {}})
    assert "there is no budget" in warnings
    assert "max_epsilon is over 10" in warnings
    lines, _ = said(document(privacy=None, noise={"deviation": 3}))
    assert "perturbed" in lines


def test_the_command_line_asks_for_an_epsilon_and_for_less_of_each_person_only_with_one() -> None:
    assert _privacy(None, None, None) is None
    assert _privacy(0.5, 2, None) == Privacy(epsilon=0.5, groups_per_person=2)
    for wrong in ((None, 2, None), (None, None, 1), (0.0, None, None), (float("nan"), None, None)):
        with pytest.raises(typer.BadParameter):
            _privacy(*wrong)


def test_half_widths_hold_95_percent_of_sums_of_laplace_noise() -> None:
    draw = random.Random(7)

    def laplace(scale: float) -> float:
        return scale * (draw.expovariate(1) - draw.expovariate(1))

    for scales in ([5.0], [5.0, 5.0], [1.0, 30.0, 2.0], [4.0] * 12):
        width = noise.half_width_of_sum(scales)
        inside = sum(abs(sum(map(laplace, scales))) <= width for _ in range(20_000)) / 20_000
        assert inside == pytest.approx(0.95, abs=0.012)  # six deviations are 0.0093, and 0.002 for the formula


def test_half_widths_of_discrete_noise_are_the_least_that_hold_95_percent() -> None:
    for scale in (0.2, 0.5, 1.0, 3.7, 40.0, 12_345.6):
        a = math.exp(-1 / scale)
        width = noise.laplace_half_width(scale)
        less, beyond = (2 * a ** (w + 1) / (1 + a) for w in (width - 1, width))
        assert beyond <= 0.05 * (1 + 1e-9)
        assert less > 0.05 or width == 0
