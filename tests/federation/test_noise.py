"""Answers with noise through coordinator and nodes: what is asked, what result and EXPLAIN say, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import archipel
from archipel import errors
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation

pytestmark = pytest.mark.federation

PRIVACY: dict[str, Any] = {
    "max_epsilon": 1_000_000,
    "groups_per_person": 2,
    "rows_per_person": 2,
    "bounds": {"days": [0, 60]},
}
STAYS: dict[str, Any] = {"coordinator": "aggregate", "other_columns": "group", "privacy": PRIVACY}
PERTURBED: dict[str, Any] = {"coordinator": "aggregate", "other_columns": "group", "noise": {"deviation": 3}}
NODE: dict[str, Any] = {"ledger": {"differences": "allow"}, "privacy": {"epsilon_per_permit": 5_000_000}}
PERSONS = 600
"""At each of two hospitals, all of them in both."""

Everything = tuple[LocalFederation, duckdb.DuckDBPyConnection]


def write_stays(path: Path, hospital: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sql = f"""
        SELECT 'p' || (i % {PERSONS}) AS person, CASE WHEN i % 3 = 0 THEN 'Nord' ELSE 'Sud' END AS region,
            ((i * {7 + hospital}) % 29)::INTEGER AS days
        FROM range({2 * PERSONS}) t(i)
    """  # noqa: S608 - numbers that stand in this file
    pq.write_table(duckdb.sql(sql).to_arrow_table(), path)
    return path


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    directory = tmp_path_factory.mktemp("noise")
    database = duckdb.connect()
    setups = []
    for number, name in enumerate(("north", "south")):
        path = write_stays(directory / name / "stays.parquet", number)
        tables = tuple(
            TableSetup(table, path, policy, person_column="person", person_domain="patient")
            for table, policy in (("stays", STAYS), ("visits", PERTURBED))
        )
        setups.append(NodeSetup(name, f"Hospital {name}", tables, policy=NODE))
    database.sql(f"CREATE VIEW stays AS FROM read_parquet('{directory}/*/stays.parquet', filename = 'hospital')")
    with LocalFederation(write_layout(directory / "made", setups)) as federation:
        yield federation, database
    database.close()


def rows(result: archipel.Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.to_arrow().to_pylist()
    return found


def test_with_a_large_epsilon_the_answer_is_exact_and_says_what_it_cost(everything: Everything) -> None:
    federation, database = everything
    sql = (
        "SELECT region, count(*) AS n, sum(days) AS days, avg(days) AS mean FROM stays GROUP BY region ORDER BY region"
    )
    with federation.connect() as connection:
        result = connection.query_and_wait(sql, privacy=1_000_000)
    expected = database.sql(sql).to_arrow_table().to_pylist()
    assert rows(result) == [
        {**row, "days": pytest.approx(row["days"]), "mean": pytest.approx(row["mean"])} for row in expected
    ]
    privacy = {notice.node: notice.noise for notice in result.notices if notice.kind == "privacy"}
    assert set(privacy) == {"north", "south", ""}
    assert privacy["north"] is not None
    assert privacy[""] is not None
    assert (privacy["north"].epsilon, privacy[""].epsilon) == (1_000_000, 2_000_000)
    assert [a.aggregate for a in privacy["north"].aggregates] == ["count(*)", "sum(days)", "count(days)"]


def test_noise_is_about_as_large_as_the_plan_and_the_result_say(everything: Everything) -> None:
    federation, database = everything
    sql = "SELECT count(*) AS n FROM stays"
    (true,) = database.sql(sql).fetchone() or (0,)
    asked = archipel.Privacy(epsilon=1.0)
    with federation.connect() as connection:
        plan = str(connection.explain(sql, privacy=asked))
        result = connection.query_and_wait(sql, privacy=asked)
        again = connection.query_and_wait(sql, privacy=asked)
    assert rows(again) == rows(result)
    # Two rows a person, half of epsilon for the count: scale 4 at each of two nodes.
    assert "epsilon 1 and delta 1e-08" in plan
    assert "count(*) ± 12" in plan
    (total,) = [notice.noise for notice in result.notices if notice.kind == "privacy" and not notice.node]
    assert total is not None
    (count,) = total.aggregates
    assert 12 < count.half_width < 24
    assert abs(rows(result)[0]["n"] - true) < 25 * 4  # e^-24 of all draws are beyond


def test_a_question_that_needs_two_statements_is_refused_before_it_costs_anything(everything: Everything) -> None:
    federation, _ = everything
    sql = (
        "WITH a AS (SELECT region, count(*) AS n FROM stays GROUP BY region), "
        "b AS (SELECT region, sum(days) AS d FROM stays WHERE days > 3 GROUP BY region) "
        "SELECT a.region, n, d FROM a JOIN b ON a.region = b.region"
    )
    with federation.connect() as connection, pytest.raises(errors.ArchipelError) as refusal:
        connection.query_and_wait(sql, privacy=1.0)
    assert refusal.value.code == "SQL_UNSUPPORTED"
    assert "query of its own" in refusal.value.hint


def test_what_policy_does_not_offer_is_refused_at_its_place(everything: Everything) -> None:
    federation, _ = everything
    with federation.connect() as connection:
        with pytest.raises(errors.ArchipelError) as refusal:
            connection.query_and_wait("SELECT count(*) AS n FROM visits", privacy=1.0)
        assert refusal.value.code == "POLICY_REFUSED"
        with pytest.raises(errors.ArchipelError) as variance:
            connection.query_and_wait("SELECT stddev(days) AS s FROM stays", privacy=1.0)
        assert variance.value.code == "BORDER_REFUSED"


def test_perturbed_counts_are_the_same_whatever_sql_asks_for_the_same_persons(everything: Everything) -> None:
    federation, database = everything
    asked = (
        "SELECT count(DISTINCT person) AS n FROM visits WHERE region = 'Nord' AND _node = 'north'",
        "SELECT count(DISTINCT person) AS n FROM visits WHERE region <> 'Sud' AND _node = 'north'",
        "SELECT count(DISTINCT v.person) AS n FROM visits v JOIN range(3) r(i) ON true "
        "WHERE v.region LIKE 'N%' AND v._node = 'north'",
    )
    with federation.connect() as connection:
        results = [connection.query_and_wait(sql) for sql in asked]
        plan = str(connection.explain(asked[0]))
    found = [rows(result)[0]["n"] for result in results]
    assert len(set(found)) == 1
    (true,) = database.sql(
        "SELECT count(DISTINCT person) FROM stays WHERE region = 'Nord' AND contains(hospital, 'north')"
    ).fetchone() or (0,)
    assert abs(found[0] - true) <= 12
    (noise,) = [notice.noise for notice in results[0].notices if notice.kind == "noise"]
    assert noise is not None
    assert noise.deviation == 3
    assert "perturbed" in plan
