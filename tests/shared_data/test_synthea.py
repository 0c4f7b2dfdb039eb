"""The insurer's claims and four hospitals' care of 105 patients, whom each node knows by a key of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_federations import OPEN, PROTECTED, Builder, Running, running

from archipel import errors

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]

HOSPITALS = ("hospital_boston", "hospital_north", "hospital_south", "hospital_west")

_CLAIMS = (
    "SELECT k.cnam_key AS person, c.* EXCLUDE (PATIENTID), c.SERVICEDATE::DATE AS day FROM claims c "
    "JOIN person_keys k ON k.PATIENT = c.PATIENTID"
)
_MEDICATIONS = (
    "SELECT k.cnam_key AS person, m.* EXCLUDE (PATIENT) FROM medications m JOIN person_keys k ON k.PATIENT = m.PATIENT"
)
_ENCOUNTERS = (
    "SELECT k.NODE_key AS person, e.* EXCLUDE (PATIENT) FROM encounters e JOIN person_keys k ON k.PATIENT = e.PATIENT "
    "JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION WHERE o.node = 'NODE'"
)
_CARE = (
    "SELECT k.NODE_key AS person, t.* EXCLUDE (PATIENT) FROM TABLE t JOIN person_keys k ON k.PATIENT = t.PATIENT "
    "JOIN encounters e ON e.Id = t.ENCOUNTER JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION "
    "WHERE o.node = 'NODE'"
)
_SEEN = (
    "SELECT k.NODE_key AS person, p.* EXCLUDE (Id) FROM patients p JOIN person_keys k ON k.PATIENT = p.Id "
    "WHERE p.Id IN (SELECT e.PATIENT FROM encounters e JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION "
    "WHERE o.node = 'NODE')"
)
IDENTITY = ("SSN", "DRIVERS", "PASSPORT", "FIRST", "MIDDLE", "LAST", "MAIDEN", "ADDRESS", "LAT", "LON")


@pytest.fixture(scope="module")
def care(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Claims and dispensing at the insurer; encounters and what follows them at the hospital of the encounter."""
    builder = Builder(tmp_path_factory.mktemp("synthea"))
    folder = shared_data / "synthea"
    for table in (
        *("claims", "medications", "encounters", "conditions", "procedures", "patients", "organizations", "payers"),
        *("split/person_keys", "split/organization_node"),
    ):
        builder.view(table.rpartition("/")[2], folder / f"{table}.parquet")
    builder.add("cnam", "claims", builder.rows(_CLAIMS), person="person", domain="cnam", policy=PROTECTED)
    builder.add("cnam", "medications", builder.rows(_MEDICATIONS), person="person", domain="cnam", policy=PROTECTED)
    for node in HOSPITALS:
        encounters = builder.rows(_ENCOUNTERS.replace("NODE", node))
        keys = {"encounter": ["Id"], "person": ["person"]}
        builder.add(node, "encounters", encounters, person="person", site_keys=keys, policy=PROTECTED)
        for table in ("conditions", "procedures"):
            rows = builder.rows(_CARE.replace("NODE", node).replace("TABLE", table))
            keys = {"encounter": ["ENCOUNTER"], "person": ["person"]}
            builder.add(node, table, rows, person="person", site_keys=keys, policy=PROTECTED)
        seen = builder.rows(_SEEN.replace("NODE", node))
        policy = {**PROTECTED, "columns": dict.fromkeys(IDENTITY, "hidden")}
        builder.add(node, "patients", seen, person="person", site_keys={"person": ["person"]}, policy=policy)
    for node in ("cnam", *HOSPITALS):
        builder.add(node, "organizations", builder.database.view("organizations"), everywhere=True, policy=OPEN)
        builder.add(node, "payers", builder.database.view("payers"), everywhere=True, policy=OPEN)
    with running(builder) as federation:
        yield federation


QUESTIONS = {
    "encounters by class": (
        "SELECT ENCOUNTERCLASS, count(*) AS n, sum(TOTAL_CLAIM_COST) AS cost, avg(PAYER_COVERAGE) AS covered "
        "FROM encounters GROUP BY ENCOUNTERCLASS ORDER BY n DESC",
        1,
    ),
    "encounters by hospital": ("SELECT _node, count(*) AS n FROM encounters GROUP BY _node ORDER BY _node", 1),
    "patients by hospital": (
        "SELECT _node, count(DISTINCT person) AS n FROM encounters GROUP BY _node ORDER BY _node",
        1,
    ),
    "patients of each hospital added up": ("SELECT count(DISTINCT person) AS n FROM encounters", 0),
    "by payer": (
        "SELECT p.NAME, count(*) AS n, avg(e.TOTAL_CLAIM_COST) AS cost FROM encounters e "
        "JOIN payers p ON p.Id = e.PAYER GROUP BY p.NAME ORDER BY n DESC, 1",
        1,
    ),
    "conditions in encounters": (
        "SELECT e.ENCOUNTERCLASS, count(*) AS n FROM conditions c JOIN encounters e ON e.Id = c.ENCOUNTER "
        "GROUP BY e.ENCOUNTERCLASS ORDER BY n DESC",
        1,
    ),
    "procedures of patients": (
        "SELECT p.GENDER, count(*) AS n, sum(r.BASE_COST) AS cost FROM procedures r JOIN patients p "
        "ON p.person = r.person GROUP BY p.GENDER ORDER BY p.GENDER",
        1,
    ),
    "claims at the insurer": (
        "SELECT STATUS1, count(*) AS n, count(DISTINCT person) AS persons FROM claims GROUP BY STATUS1 ORDER BY n DESC",
        1,
    ),
    "dispensing at the insurer": (
        "SELECT p.NAME, sum(m.TOTALCOST) AS cost, sum(m.DISPENSES) AS boxes FROM medications m "
        "JOIN payers p ON p.Id = m.PAYER GROUP BY p.NAME HAVING count(*) > 50 ORDER BY cost DESC",
        1,
    ),
    "insurer beside hospitals": (
        "WITH c AS (SELECT year(day) AS y, count(*) AS claims FROM claims GROUP BY 1), "
        "e AS (SELECT year(START) AS y, count(*) AS encounters FROM encounters GROUP BY 1) "
        "SELECT c.y, c.claims, e.encounters FROM c JOIN e ON e.y = c.y ORDER BY c.y",
        1,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_as_by_one_database_or_in_part_and_it_is_said(name: str, care: Running) -> None:
    sql, keys = QUESTIONS[name]
    care.check(sql, keys)


def test_the_numbers_of_the_data_s_own_description_come_out(care: Running) -> None:
    result = care.ask("SELECT _node, count(*) AS n, count(DISTINCT person) AS p FROM encounters GROUP BY _node")
    assert result.complete
    assert {row["_node"]: (row["n"], row["p"]) for row in result.to_arrow().to_pylist()} == {
        "hospital_boston": (1169, 42),
        "hospital_north": (1563, 39),
        "hospital_south": (1010, 22),
        "hospital_west": (925, 38),
    }


@pytest.mark.parametrize("column", IDENTITY)
def test_identity_data_cannot_even_be_counted(column: str, care: Running) -> None:
    with pytest.raises(errors.NotAllowedError) as refusal:
        care.ask("SELECT count(COLUMN) FROM patients".replace("COLUMN", column))
    assert refusal.value.code == "POLICY_REFUSED"


def test_persons_of_insurer_and_hospital_are_not_joined_without_linkage(care: Running) -> None:
    with pytest.raises(errors.ArchipelError) as refusal:
        care.ask("SELECT count(*) FROM claims c JOIN encounters e ON e.person = c.person")
    assert refusal.value.code in {"SQL_UNSUPPORTED", "BORDER_REFUSED"}
    assert refusal.value.position is not None
