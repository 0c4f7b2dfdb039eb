"""Research questions over an OMOP CDM of 1,130 persons at four hospitals, all of it protected, against one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_federations import OPEN, PROTECTED, Builder, Running, running

from archipel import errors

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]

PERSON_TABLES = (
    *("person", "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement"),
    *("observation_period", "death"),
)
REFERENCE_TABLES = ("concept", "location")


@pytest.fixture(scope="module")
def omop(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The CDM split by the persons' places; concepts and places are everywhere."""
    builder = Builder(tmp_path_factory.mktemp("omop"))
    folder = shared_data / "omop_uon"
    builder.view("person_node", folder / "split" / "person_node.parquet")
    for table in (*PERSON_TABLES, *REFERENCE_TABLES):
        builder.view(table, folder / f"{table}.parquet")
    nodes = [row[0] for row in builder.rows("SELECT DISTINCT node FROM person_node ORDER BY node").fetchall()]
    for node in nodes:
        for table in PERSON_TABLES:
            query = "SELECT t.* FROM TABLE t JOIN person_node n USING (person_id) WHERE n.node = 'NODE'"
            rows = builder.rows(query.replace("TABLE", table).replace("NODE", node))
            keys = {"person": ["person_id"]}
            if "visit_occurrence_id" in rows.columns:
                keys["visit"] = ["visit_occurrence_id"]
            builder.add(node, table, rows, person="person_id", site_keys=keys, policy=PROTECTED)
        for table in REFERENCE_TABLES:
            builder.add(node, table, builder.database.view(table), policy=OPEN, everywhere=True)
    with running(builder) as federation:
        yield federation


QUESTIONS = {
    "persons by gender": (
        "SELECT c.concept_name, count(*) AS n, avg(p.year_of_birth) AS born FROM person p "
        "LEFT JOIN concept c ON c.concept_id = p.gender_concept_id GROUP BY c.concept_name ORDER BY n DESC",
        1,
    ),
    "persons by decade of birth": (
        "SELECT 10 * (year_of_birth // 10) AS decade, count(DISTINCT person_id) AS n FROM person GROUP BY 1 ORDER BY 1",
        1,
    ),
    "visits by kind": (
        "SELECT v.visit_concept_id, count(*) AS visits, count(DISTINCT v.person_id) AS persons, "
        "avg(v.visit_end_date - v.visit_start_date) AS days, "
        "stddev_samp(v.visit_end_date - v.visit_start_date) AS sd "
        "FROM visit_occurrence v GROUP BY v.visit_concept_id ORDER BY visits DESC",
        1,
    ),
    "visits by year": (
        "SELECT year(visit_start_date) AS y, count(*) AS n FROM visit_occurrence "
        "WHERE visit_start_date >= DATE '2005-01-01' GROUP BY y HAVING count(*) > 500 ORDER BY y",
        1,
    ),
    "common conditions": (
        "SELECT c.concept_name, count(*) AS n FROM condition_occurrence o "
        "JOIN concept c ON c.concept_id = o.condition_concept_id GROUP BY c.concept_name ORDER BY n DESC, 1 LIMIT 5",
        1,
    ),
    "deaths by gender": (
        "SELECT p.gender_concept_id, count(*) AS n FROM death d JOIN person p ON p.person_id = d.person_id "
        "GROUP BY p.gender_concept_id",
        1,
    ),
    "measured values": (
        "SELECT m.measurement_concept_id, count(m.value_as_number) AS n, avg(m.value_as_number) AS mean, "
        "var_samp(m.value_as_number) AS v FROM measurement m WHERE m.value_as_number IS NOT NULL "
        "GROUP BY m.measurement_concept_id HAVING count(*) > 4000 ORDER BY n DESC, 1",
        1,
    ),
    "value against age": (
        "SELECT corr(m.value_as_number, year(m.measurement_date) - p.year_of_birth) AS r, "
        "regr_slope(m.value_as_number, year(m.measurement_date) - p.year_of_birth) AS b, count(*) AS n "
        "FROM measurement m JOIN person p ON p.person_id = m.person_id WHERE m.measurement_concept_id = 3038553",
        0,
    ),
    "persons with a drug after a condition": (
        "SELECT p.gender_concept_id, count(*) AS n FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c "
        "JOIN drug_exposure d ON d.person_id = c.person_id WHERE c.person_id = p.person_id "
        "AND d.drug_exposure_start_date BETWEEN c.condition_start_date AND c.condition_start_date + 30) "
        "GROUP BY p.gender_concept_id",
        1,
    ),
    "visits within thirty days of the last": (
        "SELECT count(*) AS visits, count(*) FILTER (WHERE start - previous <= 30) AS again FROM ("
        "SELECT visit_start_date AS start, lag(visit_end_date) OVER (PARTITION BY person_id ORDER BY visit_start_date, "
        "visit_occurrence_id) AS previous FROM visit_occurrence) v",
        0,
    ),
    "how often persons come": (
        "SELECT least(n, 40) // 10 AS tens, count(*) AS persons, avg(n) AS mean FROM ("
        "SELECT person_id, count(*) AS n FROM visit_occurrence GROUP BY person_id) v GROUP BY 1 ORDER BY 1",
        1,
    ),
    "drugs in visits": (
        "SELECT v.visit_concept_id, count(*) AS drugs, count(DISTINCT v.visit_occurrence_id) AS visits "
        "FROM drug_exposure d JOIN visit_occurrence v ON v.visit_occurrence_id = d.visit_occurrence_id "
        "GROUP BY v.visit_concept_id ORDER BY drugs DESC",
        1,
    ),
    "by hospital and in all": (
        "SELECT _node, gender_concept_id, count(*) AS n FROM person GROUP BY ROLLUP (_node, gender_concept_id) "
        "ORDER BY 1, 2",
        2,
    ),
    "share of each kind of visit": (
        "WITH k AS (SELECT visit_concept_id, count(*) AS n FROM visit_occurrence GROUP BY visit_concept_id), "
        "t AS (SELECT count(*) AS n FROM visit_occurrence) "
        "SELECT k.visit_concept_id, round(100.0 * k.n / t.n, 2) AS share FROM k CROSS JOIN t ORDER BY share DESC",
        1,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_as_by_one_database_or_in_part_and_it_is_said(name: str, omop: Running) -> None:
    sql, keys = QUESTIONS[name]
    omop.check(sql, keys)


COMPLETE = (
    *("persons by gender", "visits within thirty days of the last", "value against age"),
    *("persons with a drug after a condition", "how often persons come"),
)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_question_about_many_persons_is_answered_in_full(name: str, omop: Running) -> None:
    assert omop.ask(QUESTIONS[name][0]).complete


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT person_id, year_of_birth FROM person", "BORDER_REFUSED"),
        ("SELECT max(year_of_birth) FROM person", "BORDER_REFUSED"),
        ("SELECT death_date, cause_source_value FROM death", "BORDER_REFUSED"),
        ("SELECT count(*) FROM person WHERE person_id = 17", "BORDER_REFUSED"),
        ("SELECT person_id, count(*) FROM measurement GROUP BY person_id HAVING count(*) > 1000", "BORDER_REFUSED"),
    ],
)
def test_persons_do_not_leave(sql: str, code: str, omop: Running) -> None:
    with pytest.raises(errors.NotAllowedError) as refusal:
        omop.ask(sql)
    assert refusal.value.code == code
    assert refusal.value.position is not None
