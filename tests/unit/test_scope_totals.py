"""Both sides of a round over made-up hospitals: what is released is exact, and never shows few persons or one node."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from archipel import errors, masking
from archipel.border import BorderContext, check
from archipel.border.masked import ROUND_TABLE
from archipel.permit import Permit, Researcher, TableGrant
from archipel.rounds import Round, bitmaps_for
from archipel.schema import Column, Dominance, Form, Role, Scope, Table, TablePolicy
from node_agent.scope_contribution import Contribution, Shown, places_from
from node_agent.scope_total import Total

TYPES = {
    "person": "VARCHAR",
    "area": "VARCHAR",
    "year": "INTEGER",
    "days": "INTEGER",
    "cost": "DECIMAL(9,2)",
    "weight": "DOUBLE",
}
STAYS = Table(
    "stays",
    tuple(Column(*column) for column in TYPES.items()),
    person_column="person",
    person_domain="patient",
    policy=TablePolicy(
        coordinator_form=Form.AGGREGATE,
        roles=tuple((name, Role.GROUP if name in {"area", "year"} else Role.MEASURE) for name in TYPES),
        scopes=(Scope.FEDERATION,),
        tell_withheld_count=True,
    ),
)
QUESTION = """
SELECT area AS g0, year AS g1, count(*) AS n, count(cost) AS k, sum(cost) AS c, sum(days) AS d,
       count(*) FILTER (WHERE days > 4) AS long, sum(weight) AS w
FROM stays GROUP BY area, year
"""
MOMENTS = """
SELECT area AS g0, regr_count(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS n,
       regr_avgx(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS mx,
       regr_avgy(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS my,
       regr_sxx(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS xx,
       regr_syy(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS yy,
       regr_sxy(CAST(days AS DOUBLE), CAST(cost AS DOUBLE)) AS xy
FROM stays GROUP BY area
"""


def world(seed: int, nodes: int = 4) -> dict[str, list[dict[str, Any]]]:
    """Return hospitals with shared patients, groups of all sizes, NULLs in keys and values, and one large hospital."""
    rng = random.Random(seed)
    people = [f"p{n}" for n in range(rng.choice([300, 900, 2_000]))]
    made: dict[str, list[dict[str, Any]]] = {}
    for number in range(nodes):
        size = rng.choice([400, 700, 1_000]) * (4 if number == seed % 9 else 1)
        made[f"n{number}"] = [
            {
                "person": rng.choice(people),
                "area": rng.choice([*"aaaaaabbbc", f"only-{number}", None]),
                "year": rng.choice([2020, 2020, 2021, None]),
                "days": rng.choice([None, None, *range(-2, 0), *range(1, 9)]),
                "cost": rng.choice([None, *(Decimal(rng.randint(-500, 9_000)) / 100 for _ in range(4))]),
                "weight": rng.choice([None, rng.random() * 1e6]),
            }
            for _ in range(size)
        ]
    return made


@dataclass
class Ended:
    """How a round ended: what was released, and of how many groups."""

    table: pa.Table
    groups: int


def arrow(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    kinds = (pa.string(), pa.string(), pa.int32(), pa.int32(), pa.decimal128(9, 2), pa.float64())
    return pa.Table.from_pylist(list(rows), pa.schema(list(zip(TYPES, kinds, strict=True))))


def play(hospitals: Mapping[str, list[dict[str, Any]]], sql: str, *, table: Table = STAYS) -> Ended:
    """Play an honest round."""
    nodes = tuple(sorted(hospitals))
    permit = Permit(
        permit_id="p",
        federation="f",
        project="x",
        purpose="x",
        researchers=(Researcher(name="a", key="k"),),
        tables=(TableGrant(table="stays", columns=("*",)),),
        nodes=nodes,
        not_before=0,
        expires=1,
    )
    bitmaps = bitmaps_for(table.policy.min_persons)
    context = BorderContext("n0", {"stays": table}, {}, permit, scope=Scope.FEDERATION, bitmaps=bitmaps)
    release = check(sql, context)
    round_ = Round("f", "q", "p", "r", "s", nodes, "sum", bitmaps)
    secret, keys = os.urandom(32), {node: X25519PrivateKey.generate() for node in nodes}
    parts = {}
    for node, rows in hospitals.items():
        with duckdb.connect(config={"threads": 1}) as engine:
            engine.register("given", arrow(rows))
            engine.execute("CREATE TABLE stays AS SELECT * FROM given")
            named = {
                "label": [masking.label_key(secret, round_.digest).hex()],
                "person": [masking.person_key(secret, round_.digest).hex()],
            }
            engine.register(ROUND_TABLE, pa.table(named))
            parts[node] = Contribution(round_, node, release, engine.execute(release.sql).to_arrow_table(), secret)
    total = Total.begun(round_, {node: part.labels() for node, part in parts.items()}, 11)
    told = total.list_parts()
    public = {node: key.public_key() for node, key in keys.items()}
    values = [
        part.values(told["keys"], told["labels"], keys[node], {n: k for n, k in public.items() if n != node})
        for node, part in parts.items()
    ]
    shown = total.add_up(values)
    vetoes = [part.veto(Shown.from_parts(shown, part.layout, part.listed)) for part in parts.values()]
    left = total.judged(vetoes)["left"]
    opened = [part.opened(places_from(left, part.listed)) for part in parts.values()]
    return Ended(total.released(opened), total.known)


def pooled(hospitals: Mapping[str, list[dict[str, Any]]], sql: str) -> list[dict[str, Any]]:
    rows = pa.concat_tables(
        [arrow(r).append_column("hospital", pa.array([node] * len(r))) for node, r in hospitals.items()]
    )
    with duckdb.connect(config={"threads": 1}) as engine:
        engine.register("stays", rows)
        found: list[dict[str, Any]] = engine.execute(sql).to_arrow_table().to_pylist()
    return found


@pytest.mark.parametrize("seed", range(5))
def test_every_released_group_is_exact_and_shows_neither_few_persons_nor_one_node(seed: int) -> None:
    hospitals = world(seed)
    ended = play(hospitals, QUESTION)
    expected = {(row["g0"], row["g1"]): row for row in pooled(hospitals, QUESTION)}
    assert ended.groups == len(expected)
    keys = ("area", "year")
    persons = {
        tuple(row[k] for k in keys): row["n"]
        for row in pooled(hospitals, "SELECT area, year, count(DISTINCT person) AS n FROM stays GROUP BY area, year")
    }
    shares = {
        tuple(row[k] for k in keys): (row["nodes"], row["most"] / row["all"])
        for row in pooled(
            hospitals,
            "SELECT area, year, count(*) AS nodes, max(n) AS most, sum(n)::DOUBLE AS all FROM (SELECT area, year, "
            "hospital, count(*) AS n FROM stays GROUP BY area, year, hospital) GROUP BY area, year",
        )
    }
    released = ended.table.to_pylist()
    assert released
    for row in released:
        key = (row["g0"], row["g1"])
        wanted = expected[key]
        assert row.pop("w") == pytest.approx(wanted.pop("w"), abs=4 * 2**-41, rel=1e-14)
        assert row == wanted
        assert persons[key] >= 11
        nodes, share = shares[key]
        assert nodes >= 3
        assert share <= 0.9
    assert len({(row["g0"], row["g1"]) for row in released}) == len(released)


def test_groups_that_every_hospital_would_keep_back_are_released_together() -> None:
    hospitals = {
        f"n{node:02}": [
            {"person": f"{node}-{n}", "area": "rare", "year": 2020, "days": 3, "cost": Decimal(7), "weight": 1.0}
            for n in range(5)
        ]
        for node in range(12)
    }
    ended = play(hospitals, QUESTION)
    assert [(row["n"], row["c"], row["d"]) for row in ended.table.to_pylist()] == [(60, Decimal(420), 180)]


def test_the_same_few_patients_of_many_hospitals_stay_few() -> None:
    hospitals = {
        f"n{node:02}": [
            {"person": f"p{n}", "area": "rare", "year": 2020, "days": 3, "cost": Decimal(7), "weight": 1.0}
            for n in range(10)
        ]
        for node in range(12)
    }
    assert play(hospitals, QUESTION).table.num_rows == 0


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_all_rows_together(seed: int) -> None:
    hospitals = world(seed + 100)
    expected = {row["g0"]: row for row in pooled(hospitals, MOMENTS)}
    released = play(hospitals, MOMENTS).table
    assert released.num_rows
    assert released.schema.field("n").type == pa.uint32()  # as the engine gives it, so that it merges
    for row in released.to_pylist():
        wanted = expected[row.pop("g0")]
        assert row == {name: pytest.approx(wanted[name], rel=1e-9) for name in row}


def test_a_policy_that_asks_for_more_persons_gets_more() -> None:
    strict = replace(STAYS, policy=replace(STAYS.policy, min_persons=150))
    hospitals = world(3)
    persons = {
        r["area"]: r["n"] for r in pooled(hospitals, "SELECT area, count(DISTINCT person) AS n FROM stays GROUP BY 1")
    }
    sql = "SELECT area AS g0, count(*) AS n FROM stays GROUP BY area"
    loose = set(play(hospitals, sql).table.column("g0").to_pylist())
    found = set(play(hospitals, sql, table=strict).table.column("g0").to_pylist())
    assert all(persons[area] >= 150 for area in found)
    assert found <= loose


def test_a_holder_that_lets_one_person_have_less_of_a_sum_has_it_struck() -> None:
    def hospital(node: int) -> list[dict[str, Any]]:
        rows = [
            {"person": f"{node}-{n}", "area": "a", "year": 2020, "days": 5, "cost": Decimal(1), "weight": 1.0}
            for n in range(20)
        ]
        rows[0]["days"] = 60 if node == 0 else 5
        return rows

    hospitals = {f"n{node}": hospital(node) for node in range(4)}
    sql = "SELECT area AS g0, sum(days) AS d FROM stays GROUP BY area"
    assert play(hospitals, sql).table.to_pylist() == [{"g0": "a", "d": Decimal(455)}]
    # One person has 60 of 455; what two may have together is set to a fifth.
    strict = replace(STAYS, policy=replace(STAYS.policy, dominance=Dominance(share=0.2)))
    assert play(hospitals, sql, table=strict).table.num_rows == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_sum_that_cannot_be_added_up_exactly_ends_the_round(value: float) -> None:
    hospitals = world(1)
    hospitals["n0"][0]["weight"] = value
    with pytest.raises(errors.ArchipelError) as refusal:
        play(hospitals, "SELECT area AS g0, sum(weight) AS w FROM stays GROUP BY area")
    assert refusal.value.code == "NODE_EXECUTION"
    assert str(value) not in str(refusal.value)
