"""Totals over four hospitals whose parts nobody sees: every party is a real process.

A disease that each hospital has too few persons of is withheld by every one of them, and released over all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import archipel
from archipel import errors, receipt
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from node_agent import audit

pytestmark = pytest.mark.federation

HOSPITALS = ("east", "north", "south", "west")
AGGREGATOR = "insurer"
"""Holds no stays: it only adds up."""

POLICY = {
    "coordinator": "aggregate",
    "threshold_scope": ["node", "federation"],
    "tell_withheld_count": True,
    "peers": {AGGREGATOR: "aggregate"},
    "columns": {"disease": "group", "sex": "group", "days": "measure", "cost": "measure", "weight": "measure"},
    "other_columns": "hidden",
}
HERE_ONLY = POLICY | {"threshold_scope": "node", "columns": {"sex": "group"}}


def stays(hospital: str) -> pa.Table:
    """Return a hospital's stays: common and rare diseases, one that only it has, persons who were elsewhere, too."""
    number = HOSPITALS.index(hospital)
    rows: list[dict[str, Any]] = []

    def stay(person: str, disease: str, n: int) -> None:
        cost = None if n % 3 == 0 and disease != "rare" else f"{(n * 37 + number) % 500}.{n % 100:02}"
        rows.append(
            {
                "person": person,
                "disease": disease,
                "sex": "f" if disease == "rare" else "fm"[n % 2],
                "days": -(n % 3) if disease == "odd" else n % 11,
                "cost": cost,
                "weight": n / 8 + number,
            }
        )

    for n in range(120 + 10 * number):
        stay(f"{hospital}-{n}", "common", n)
    for n in range(10):
        stay(f"{hospital}-{n}", "rare", n + 1)
    for n in range(6):  # the same persons at every hospital: six altogether, though each counts four times
        stay(f"shared-{n}", "travelling", n)
    for n in range(40 if number == 0 else 1):
        stay(f"{hospital}-{n}", "dominant", n + 1)
    if number < 2:
        for n in range(30):
            stay(f"{hospital}-{n}", "at two", n)
    if number == 3:
        for n in range(50):
            stay(f"{hospital}-{n}", "here only", n)
    for n in range(30):
        stay(f"{hospital}-{n}", "odd", n)
    types = pa.schema(
        [
            ("person", pa.string()),
            ("disease", pa.string()),
            ("sex", pa.string()),
            ("days", pa.int32()),
            ("cost", pa.string()),
            ("weight", pa.float64()),
        ]
    )
    table = pa.Table.from_pylist(rows, types)
    return table.set_column(4, "cost", table.column("cost").cast(pa.decimal128(9, 2)))


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    """Four hospitals, an insurer that adds up, a coordinator."""
    directory = tmp_path_factory.mktemp("scope")
    setups = []
    for hospital in HOSPITALS:
        folder = directory / "data" / hospital
        folder.mkdir(parents=True)
        pq.write_table(stays(hospital), folder / "stays.parquet")
        pq.write_table(stays(hospital).select(["person", "sex"]), folder / "visits.parquet")
        tables = [
            TableSetup("stays", folder / "stays.parquet", POLICY, person_column="person", person_domain="patient"),
            TableSetup("visits", folder / "visits.parquet", HERE_ONLY, person_column="person", person_domain="patient"),
        ]
        setups.append(NodeSetup(hospital, f"Hospital {hospital}", tuple(tables)))
    folder = directory / "data" / AGGREGATOR
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"code": ["a"], "title": ["A"]}), folder / "codes.parquet")
    codes = TableSetup("codes", folder / "codes.parquet", {"protected": False, "coordinator": "rows"})
    setups.append(NodeSetup(AGGREGATOR, "Insurer", (codes,)))
    settings = {"merge": {"ray": {"mode": "off"}}, "limits": {"drain_s": 0.0}}
    with LocalFederation(write_layout(directory / "federation", setups, coordinator_settings=settings)) as running:
        yield running


def pooled(sql: str) -> list[dict[str, Any]]:
    """Return the answer of one database that holds all hospitals' rows."""
    database = duckdb.connect()
    database.register("stays", pa.concat_tables([stays(hospital) for hospital in HOSPITALS]))
    answer: list[dict[str, Any]] = database.execute(sql).to_arrow_table().to_pylist()
    database.close()
    return answer


def ask(federation: LocalFederation, sql: str, **options: Any) -> archipel.Result:
    with federation.connect() as connection:
        return connection.query_and_wait(sql, **{"threshold_scope": "federation", **options})


EXACT = """
SELECT disease, count(*) AS stays, count(cost) AS priced, sum(cost) AS cost, avg(cost) AS mean, avg(days) AS days,
       sum(days) AS all_days, count(*) FILTER (WHERE sex = 'f') AS women
FROM stays GROUP BY disease ORDER BY disease
"""
MOMENTS = """
SELECT disease, stddev_samp(days) AS s, var_pop(cost) AS v, corr(days, cost) AS c, regr_slope(cost, days) AS slope,
       sum(weight) AS weight, avg(weight) AS mean
FROM stays GROUP BY disease ORDER BY disease
"""


@pytest.fixture(scope="module")
def exact(federation: LocalFederation) -> archipel.Result:
    """Counts, sums and means by disease."""
    return ask(federation, EXACT)


def test_what_is_released_is_what_one_database_says_and_rare_diseases_are_among_it(exact: archipel.Result) -> None:
    expected = {row["disease"]: row for row in pooled(EXACT)}
    found = exact.to_arrow().to_pylist()
    assert [row["disease"] for row in found] == ["common", "odd", "rare"]
    for row in found:
        wanted = expected[row["disease"]]
        mean = wanted.pop("mean")  # of decimals: the engine divides before it places the point
        assert row.pop("mean") == pytest.approx(mean, rel=1e-15)
        assert row == wanted


def test_what_would_show_few_persons_or_one_hospital_is_withheld_and_said_to_be(exact: archipel.Result) -> None:
    # Six persons whom all four hospitals know are not twenty-four; the others are of one or two hospitals, or mostly.
    assert {"travelling", "dominant", "at two", "here only"} == {row["disease"] for row in pooled(EXACT)} - {
        row["disease"] for row in exact.to_arrow().to_pylist()
    }
    assert not exact.complete
    (notice,) = [notice for notice in exact.notices if notice.kind == "suppression"]
    assert notice.text.startswith("4 groups may be missing from the total over 4 nodes")


def test_moments_are_exact_but_for_rounding_and_doubles_to_the_stated_unit(federation: LocalFederation) -> None:
    found = ask(federation, MOMENTS)
    expected = {row["disease"]: row for row in pooled(MOMENTS)}
    rows = found.to_arrow().to_pylist()
    assert {"common", "odd"} <= {row["disease"] for row in rows}
    for row in rows:
        wanted = expected[row["disease"]]
        for name, value in row.items():
            if name == "weight":
                assert abs(value - wanted[name]) <= len(HOSPITALS) * 2**-41
            elif name != "disease":
                assert value == pytest.approx(wanted[name], rel=1e-12)
    assert any("2^-40" in notice.text for notice in found.notices)


def test_a_total_of_everything_has_one_row(federation: LocalFederation) -> None:
    sql = "SELECT count(*) AS n, sum(days) AS d FROM stays WHERE days > 3"
    assert ask(federation, sql).to_arrow().to_pylist() == pooled(sql)


def test_a_total_that_shows_a_withheld_group_beside_an_earlier_one_is_refused_by_the_node_that_adds_up(
    federation: LocalFederation, exact: archipel.Result
) -> None:
    # Everybody has the common disease, but for the six whose group was withheld.
    with pytest.raises(errors.ArchipelError) as refusal:
        ask(federation, "SELECT count(*) AS n, sum(days) AS d FROM stays")
    assert (refusal.value.code, refusal.value.node) == ("DIFFERENCING_REFUSED", AGGREGATOR)
    again = ask(federation, EXACT)
    assert again.to_arrow().equals(exact.to_arrow())


def test_the_plan_says_who_adds_up_and_who_learns_what(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        plan = str(connection.explain(EXACT, threshold_scope="federation"))
    assert "Thresholds count the persons of east, north, south, west together." in plan
    assert f"'{AGGREGATOR}' adds up numbers that the nodes masked" in plan
    assert "masked numbers; only their total can be read" in plan


def test_the_receipt_of_the_total_is_the_aggregators_and_others_sign_for_messages(exact: archipel.Result) -> None:
    signed = [receipt.read_unverified(token) for token in exact.receipts]
    to_coordinator = [r for r in signed if r["destination"] == "@coordinator"]
    assert [(r["node"], r["form"], r["min_persons"]) for r in to_coordinator] == [(AGGREGATOR, "aggregate", 11)]
    assert {r["node"] for r in signed} == {*HOSPITALS, AGGREGATOR}
    assert {r["bytes"] for r in signed if r["destination"] != "@coordinator"} == {0}


def test_every_node_has_each_of_its_steps_in_its_audit_log(federation: LocalFederation, exact: archipel.Result) -> None:
    def steps(node: str) -> list[str]:
        folder = federation.layout.state_dir(node) / "audit"
        return [r["round_step"] for r in audit.records(folder) if r.get("query") == exact.query_id]

    assert steps("west") == ["labels", "values", "veto", "open"]
    assert steps("east") == ["key", "labels", "values", "veto", "open"]
    assert steps(AGGREGATOR) == ["list", "totals", "verdict", "release"]


def test_the_coordinator_holds_no_name_of_a_group_that_was_withheld(
    federation: LocalFederation, exact: archipel.Result
) -> None:
    assert exact.to_arrow().num_rows
    stored = b"".join(
        path.read_bytes() for path in (federation.layout.directory / "coordinator").iterdir() if path.is_file()
    )
    assert b"s1_values" in stored
    for name in (b"travelling", b"dominant", b"here only"):
        assert name not in stored


@pytest.mark.parametrize(
    ("sql", "options", "code"),
    [
        ("SELECT count(*) AS n FROM visits", {}, "POLICY_REFUSED"),
        ("SELECT count(*) AS n FROM stays", {"on_missing": "partial"}, "BAD_REQUEST"),
        ("SELECT disease, max(days) AS m FROM stays GROUP BY disease", {}, "BORDER_REFUSED"),
        ("SELECT disease, stddev(weight) AS s FROM stays GROUP BY disease", {}, "BORDER_REFUSED"),
        ("SELECT _node AS hospital, count(*) AS n FROM stays GROUP BY _node", {}, "BORDER_REFUSED"),
        ("SELECT disease, sex, count(*) AS n FROM stays GROUP BY CUBE (disease, sex)", {}, "BORDER_REFUSED"),
        ("SELECT count(*) AS n FROM stays WHERE _node = 'east'", {}, "BORDER_REFUSED"),
    ],
)
def test_what_a_total_cannot_give_is_refused_before_anything_runs(
    federation: LocalFederation, sql: str, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(errors.ArchipelError) as refusal:
        ask(federation, sql, **options)
    assert refusal.value.code == code, refusal.value
    assert refusal.value.hint


def test_a_permit_that_was_asked_over_all_nodes_is_not_answered_by_each(
    federation: LocalFederation, exact: archipel.Result
) -> None:
    assert exact.query_id
    with pytest.raises(errors.NotAllowedError) as refusal:
        ask(federation, "SELECT count(*) AS n FROM stays", threshold_scope="node")
    assert "over other nodes" in str(refusal.value)


def test_a_node_that_drops_out_voids_the_round(federation: LocalFederation) -> None:
    sql = "SELECT sex, count(*) AS n FROM stays WHERE days > 3 GROUP BY sex ORDER BY sex"
    federation.kill("south")
    with pytest.raises(errors.OperationalError) as void:
        ask(federation, sql)
    assert void.value.code == "NODE_UNAVAILABLE"
    assert "The round is void" in str(void.value)
    assert "partial" not in void.value.hint
    federation.start_node("south")
    federation.wait_attached({"south"})
    assert ask(federation, sql).to_arrow().to_pylist() == pooled(sql)
