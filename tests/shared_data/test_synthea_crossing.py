"""Questions about 105 patients whose claims and dispensing are at the insurer and whose care is at four hospitals.

The tables are open: everybody may see every row, and every answer must be that of one database. Persons keep one key
everywhere, since they are followed from the insurer to the hospitals and from one hospital to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_federations import OPEN_TO_ALL, Builder, Running, running

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]

HOSPITALS = ("hospital_boston", "hospital_north", "hospital_south", "hospital_west")
AT_CNAM = ("claims", "medications", "payer_transitions", "payers")
CARE = ("conditions", "procedures", "devices", "immunizations", "careplans")

_ENCOUNTERS = (
    "SELECT e.* FROM encounters e JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION WHERE o.node = 'NODE'"
)
_OF_ENCOUNTERS = (
    "SELECT t.* FROM TABLE t JOIN encounters e ON e.Id = t.ENCOUNTER "
    "JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION WHERE o.node = 'NODE'"
)
_SEEN = (
    "SELECT p.Id, p.BIRTHDATE, p.DEATHDATE, p.GENDER, p.RACE, p.INCOME FROM patients p WHERE p.Id IN (SELECT e.PATIENT "
    "FROM encounters e JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION WHERE o.node = 'NODE')"
)


@pytest.fixture(scope="module")
def care(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The insurer and four hospitals, all open."""
    builder = Builder(tmp_path_factory.mktemp("synthea_crossing"))
    folder = shared_data / "synthea"
    for table in (*AT_CNAM, *CARE, "encounters", "patients", "organizations", "split/organization_node"):
        builder.view(table.rpartition("/")[2], folder / f"{table}.parquet")
    for table in AT_CNAM:
        builder.add("cnam", table, builder.database.view(table), policy=OPEN_TO_ALL)
    for node in HOSPITALS:
        encounters = builder.rows(_ENCOUNTERS.replace("NODE", node))
        builder.add(node, "encounters", encounters, site_keys={"encounter": ["Id"]}, policy=OPEN_TO_ALL)
        for table in CARE:
            rows = builder.rows(_OF_ENCOUNTERS.replace("NODE", node).replace("TABLE", table))
            builder.add(node, table, rows, site_keys={"encounter": ["ENCOUNTER"]}, policy=OPEN_TO_ALL)
        builder.add(node, "patients", builder.rows(_SEEN.replace("NODE", node)), policy=OPEN_TO_ALL)
    for node in ("cnam", *HOSPITALS):
        organizations = builder.rows("SELECT Id, NAME, CITY FROM organizations")
        builder.add(node, "organizations", organizations, everywhere=True, policy=OPEN_TO_ALL)
    with running(builder) as federation:
        yield federation


QUESTIONS = {
    "patients without any dispensing": (
        "SELECT count(DISTINCT e.PATIENT) AS n FROM encounters e "
        "WHERE NOT EXISTS (SELECT 1 FROM medications m WHERE m.PATIENT = e.PATIENT)"
    ),
    "claims by the class of their encounter": (
        "SELECT e.ENCOUNTERCLASS, count(*) AS claims, count(DISTINCT c.PATIENTID) AS patients, sum(e.TOTAL_CLAIM_COST) "
        "AS cost FROM claims c JOIN encounters e ON e.Id = c.APPOINTMENTID GROUP BY e.ENCOUNTERCLASS ORDER BY "
        "claims DESC"
    ),
    "claims of no emergency": (
        "SELECT year(c.SERVICEDATE) AS y, count(*) AS n FROM claims c LEFT JOIN encounters e ON e.Id = c.APPOINTMENTID "
        "AND e.ENCOUNTERCLASS = 'emergency' WHERE e.Id IS NULL GROUP BY y ORDER BY y"
    ),
    "encounters without a dispensing that year": (
        "SELECT e._node, count(*) AS n FROM encounters e ANTI JOIN medications m ON m.PATIENT = e.PATIENT "
        "AND year(m.START) = year(e.START) GROUP BY e._node ORDER BY e._node"
    ),
    "drugs in the month after an inpatient stay": (
        "SELECT m.DESCRIPTION, count(*) AS n, count(DISTINCT e.Id) AS stays FROM encounters e JOIN medications m "
        "ON m.PATIENT = e.PATIENT AND m.START >= e.STOP AND m.START < e.STOP + INTERVAL 30 DAY "
        "WHERE e.ENCOUNTERCLASS = 'inpatient' GROUP BY m.DESCRIPTION ORDER BY n DESC, 1"
    ),
    "who insured the patient on that day": (
        "SELECT p.NAME, count(*) AS encounters, count(DISTINCT e.PATIENT) AS patients FROM encounters e "
        "JOIN payer_transitions t ON t.PATIENT = e.PATIENT AND e.START >= t.START_DATE AND e.START < t.END_DATE "
        "JOIN payers p ON p.Id = t.PAYER GROUP BY p.NAME ORDER BY encounters DESC, 1"
    ),
    "insured by another than the one that was billed": (
        "SELECT count(*) AS n, count(DISTINCT e.PATIENT) AS patients FROM encounters e JOIN payer_transitions t "
        "ON t.PATIENT = e.PATIENT AND e.START BETWEEN t.START_DATE AND t.END_DATE WHERE t.PAYER <> e.PAYER"
    ),
    "the last dispensing before each emergency": (
        "SELECT e.Id, max(m.START) AS last FROM encounters e LEFT JOIN medications m ON m.PATIENT = e.PATIENT "
        "AND m.START < e.START WHERE e.ENCOUNTERCLASS = 'emergency' GROUP BY e.Id ORDER BY e.Id"
    ),
    "the drug that was running, by ASOF": (
        "SELECT d.DESCRIPTION, count(*) AS n FROM (SELECT * FROM encounters WHERE ENCOUNTERCLASS = 'inpatient') e "
        "ASOF JOIN (SELECT PATIENT, START, min(DESCRIPTION) AS DESCRIPTION FROM medications GROUP BY ALL) d "
        "ON d.PATIENT = e.PATIENT AND e.START >= d.START GROUP BY d.DESCRIPTION ORDER BY n DESC, 1"
    ),
    "moves from one hospital to another": (
        "SELECT before, _node AS after, count(*) AS moves FROM (SELECT _node, lag(_node) OVER (PARTITION BY PATIENT "
        "ORDER BY START, Id) AS before FROM encounters) WHERE before <> _node GROUP BY before, after ORDER BY ALL"
    ),
    "readmissions within a month, anywhere": (
        "SELECT count(*) AS n, count(DISTINCT PATIENT) AS patients FROM (SELECT PATIENT, START, lag(STOP) OVER "
        "(PARTITION BY PATIENT ORDER BY START, Id) AS left_at FROM encounters WHERE ENCOUNTERCLASS = 'inpatient') "
        "WHERE START < left_at + INTERVAL 30 DAY"
    ),
    "how many encounters a patient has, over all hospitals": (
        "SELECT bucket, count(*) AS patients FROM (SELECT PATIENT, count(*) // 20 AS bucket FROM encounters "
        "GROUP BY PATIENT) GROUP BY bucket ORDER BY bucket"
    ),
    "running cost of a patient": (
        "SELECT PATIENT, max(running) AS cost FROM (SELECT PATIENT, sum(TOTAL_CLAIM_COST) OVER (PARTITION BY PATIENT "
        "ORDER BY START, Id ROWS UNBOUNDED PRECEDING) AS running FROM encounters) GROUP BY PATIENT ORDER BY PATIENT"
    ),
    "grouping sets of class and payer": (
        "SELECT e.ENCOUNTERCLASS, p.NAME, grouping(e.ENCOUNTERCLASS, p.NAME) AS level, count(*) AS n, "
        "avg(e.PAYER_COVERAGE) AS covered FROM encounters e JOIN payers p ON p.Id = e.PAYER "
        "GROUP BY GROUPING SETS ((e.ENCOUNTERCLASS, p.NAME), (e.ENCOUNTERCLASS), (p.NAME), ()) ORDER BY level, 1, 2"
    ),
    "cube of sex, race and whether something was dispensed": (
        "SELECT p.GENDER, p.RACE, m.PATIENT IS NOT NULL AS treated, count(*) AS n FROM (SELECT DISTINCT Id, "
        "GENDER, RACE "
        "FROM patients) p LEFT JOIN (SELECT DISTINCT PATIENT FROM medications) m ON m.PATIENT = p.Id "
        "GROUP BY CUBE (p.GENDER, p.RACE, treated) ORDER BY ALL"
    ),
    "three drugs of each class of encounter": (
        "SELECT ENCOUNTERCLASS, DESCRIPTION, n FROM (SELECT e.ENCOUNTERCLASS, m.DESCRIPTION, count(*) AS n "
        "FROM medications m JOIN encounters e ON e.Id = m.ENCOUNTER GROUP BY ALL) "
        "QUALIFY row_number() OVER (PARTITION BY ENCOUNTERCLASS ORDER BY n DESC, DESCRIPTION) <= 3 ORDER BY ALL"
    ),
    "two diagnoses of each hospital": (
        "SELECT _node, DESCRIPTION, n FROM (SELECT c._node, c.DESCRIPTION, count(*) AS n FROM conditions c "
        "WHERE EXISTS (SELECT 1 FROM claims k WHERE k.PATIENTID = c.PATIENT AND k.DIAGNOSIS1 = c.CODE) GROUP BY ALL) "
        "QUALIFY rank() OVER (PARTITION BY _node ORDER BY n DESC, DESCRIPTION) <= 2 ORDER BY ALL"
    ),
    "the dearest procedure of each patient": (
        "SELECT DISTINCT ON (r.PATIENT) r.PATIENT, r.DESCRIPTION FROM procedures r JOIN payer_transitions t "
        "ON t.PATIENT = r.PATIENT AND r.START BETWEEN t.START_DATE AND t.END_DATE "
        "ORDER BY r.PATIENT, r.BASE_COST DESC, r.DESCRIPTION"
    ),
    "median cost of dispensing, by hospital": (
        "SELECT e._node, median(m.TOTALCOST) AS middle, quantile_cont(m.TOTALCOST, 0.9) AS high, count(*) AS n "
        "FROM medications m JOIN encounters e ON e.Id = m.ENCOUNTER GROUP BY e._node ORDER BY e._node"
    ),
    "median days between two encounters of a patient": (
        "SELECT median(days) AS middle, count(*) AS n FROM (SELECT date_diff('day', lag(START) OVER (PARTITION "
        "BY PATIENT "
        "ORDER BY START, Id), START) AS days FROM encounters) WHERE days IS NOT NULL"
    ),
    "distinct patients over shards": (
        "SELECT count(DISTINCT PATIENT) AS n, count(DISTINCT ENCOUNTERCLASS) AS classes, count(*) AS encounters "
        "FROM encounters"
    ),
    "distinct patients by year and class": (
        "SELECT year(START) AS y, ENCOUNTERCLASS, count(DISTINCT PATIENT) AS n FROM encounters GROUP BY ALL "
        "ORDER BY ALL"
    ),
    "persons known to the insurer or to a hospital": (
        "SELECT count(DISTINCT person) AS n FROM (SELECT PATIENT AS person FROM encounters UNION ALL "
        "SELECT PATIENTID FROM claims UNION ALL SELECT PATIENT FROM medications)"
    ),
    "patients of two hospitals": (
        "SELECT PATIENT FROM encounters WHERE _node = 'hospital_boston' INTERSECT SELECT PATIENT FROM encounters "
        "WHERE _node = 'hospital_north' ORDER BY PATIENT"
    ),
    "claimed for, and never in one hospital": (
        "SELECT count(*) AS n FROM (SELECT PATIENTID FROM claims EXCEPT SELECT PATIENT FROM encounters "
        "WHERE _node = 'hospital_west')"
    ),
    "all that a patient costs": (
        "SELECT coalesce(h.PATIENT, d.PATIENT) AS patient, h.cost AS care, d.cost AS drugs FROM (SELECT PATIENT, "
        "sum(TOTAL_CLAIM_COST) AS cost FROM encounters GROUP BY PATIENT) h FULL JOIN (SELECT PATIENT, "
        "sum(TOTALCOST) AS "
        "cost FROM medications GROUP BY PATIENT) d ON d.PATIENT = h.PATIENT ORDER BY 1"
    ),
    "diagnosed, then treated for it": (
        "SELECT c.DESCRIPTION, count(DISTINCT c.PATIENT) AS patients, count(DISTINCT m.PATIENT) AS treated "
        "FROM conditions c LEFT JOIN medications m ON m.PATIENT = c.PATIENT AND m.REASONCODE = c.CODE "
        "AND m.START >= c.START GROUP BY c.DESCRIPTION HAVING count(DISTINCT m.PATIENT) > 0 ORDER BY treated DESC, 1"
    ),
    "more drugs than a patient has on average": (
        "SELECT e._node, count(DISTINCT e.PATIENT) AS n FROM encounters e WHERE (SELECT count(DISTINCT m.CODE) FROM "
        "medications m WHERE m.PATIENT = e.PATIENT) > (SELECT avg(n) FROM (SELECT count(DISTINCT CODE) AS n FROM "
        "medications GROUP BY PATIENT)) GROUP BY e._node ORDER BY e._node"
    ),
    "the hospitals of each patient with many drugs": (
        "SELECT e.PATIENT, list(DISTINCT e._node ORDER BY e._node) AS hospitals FROM encounters e WHERE e.PATIENT IN "
        "(SELECT PATIENT FROM medications GROUP BY PATIENT HAVING count(DISTINCT CODE) >= 8) GROUP BY e.PATIENT "
        "ORDER BY 1"
    ),
    "vaccinated anywhere, dispensed nothing that year": (
        "SELECT year(i.DATE) AS y, count(DISTINCT i.PATIENT) AS n FROM immunizations i WHERE i.PATIENT NOT IN "
        "(SELECT m.PATIENT FROM medications m WHERE year(m.START) = year(i.DATE)) GROUP BY y ORDER BY y"
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_crosses_borders_is_answered_as_by_one_database(name: str, care: Running) -> None:
    result = care.check(QUESTIONS[name], 0)
    assert result.complete
    assert result.to_arrow().num_rows > 0
