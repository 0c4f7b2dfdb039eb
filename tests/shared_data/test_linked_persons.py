"""Questions that cross the insurer and four hospitals over tables about persons: 1,381 persons are in both.

Every table is protected and its persons are linked: rows go from node to node under project pseudonyms, the rest is
computed at a holder, and only groups of at least 11 persons reach the coordinator. The oracle is one DuckDB with the
rows of all nodes, in which the same threshold is written out as a condition: what stands in ``[[ ]]`` is asked of it
alone.
"""
# ruff: noqa: S608 - what is put into the SQL by formatting are parts of questions in this file

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comparing
import duckdb
import pyarrow as pa
import pytest
from planning import Answer, Federation, Shard
from planning import request as unsigned

from archipel import errors
from archipel.schema import Column, Form, Role, SiteKey, Table, TablePolicy
from coordinator.plan import StageKind

pytestmark = pytest.mark.shared_data

HOSPITALS = ("hospital_1", "hospital_2", "hospital_3", "hospital_4")
NODES = ("cnam", *HOSPITALS)
ESTABLISHMENT = SiteKey("establishment", ("ETA_NUM",))

_STAYS = """
SELECT c.NIR_ANO_17, b.ETA_NUM, b.RSA_NUM, b.SEJ_NBJ, b.DGN_PAL, b.COD_SEX, b.NBR_ACT,
       CAST(b.SOR_ANN AS INTEGER) AS SOR_ANN, CAST(b.SOR_MOI AS INTEGER) AS SOR_MOI
FROM T_MCOaaB b JOIN T_MCOaaC c ON c.ETA_NUM = b.ETA_NUM AND c.RSA_NUM = b.RSA_NUM
JOIN eta_node e ON e.ETA_NUM = b.ETA_NUM WHERE e.node = ?
"""
_ACTS = """
SELECT c.NIR_ANO_17, a.ETA_NUM, c.RSA_NUM, a.CDC_ACT, a.NBR_EXE_ACT FROM T_MCOaaA a
JOIN T_MCOaaC c ON c.ETA_NUM = a.ETA_NUM AND c.RSA_NUM = CAST(a.RSA_NUM AS BIGINT)
JOIN eta_node e ON e.ETA_NUM = a.ETA_NUM WHERE e.node = ?
"""
_AT_CNAM = {
    "payments": "SELECT BEN_NIR_PSA, EXE_SOI_DTD, BSE_REM_MNT, PRS_NAT_REF FROM ER_PRS_F",
    "insured": "SELECT BEN_NIR_PSA, CAST(BEN_NAI_ANN AS INTEGER) AS BEN_NAI_ANN, BEN_SEX_COD, BEN_DCD_DTE, BEN_RES_DPT "
    "FROM IR_BEN_R",
    "illnesses": "SELECT BEN_NIR_PSA, IMB_ALD_DTD, IMB_ALD_DTF, IMB_ALD_NUM, IMB_ETM_NAT FROM IR_IMB_R",
}


def _shard(rows: duckdb.DuckDBPyRelation, name: str, node: str, nodes: tuple[str, ...] = NODES) -> Shard:
    person = rows.columns[0]
    columns = tuple(Column(n, str(t)) for n, t in zip(rows.columns, rows.types, strict=True))
    table = Table(
        name,
        columns,
        person_column=person,
        person_domain="insured person",
        site_keys=(ESTABLISHMENT,) if name in ("stays", "acts") else (),
        policy=TablePolicy(
            coordinator_form=Form.AGGREGATE,
            min_persons=11,
            roles=tuple((c.name, Role.GROUP) for c in columns if c.name != person),
            tell_withheld_count=True,
            peer_forms=tuple((other, Form.ROWS) for other in nodes if other != node),
        ),
        approximate_rows=len(rows),
        approximate_bytes=100 * len(rows),
    )
    return Shard(table, rows.to_arrow_table())


@pytest.fixture(scope="module")
def linked(shared_data: Path) -> Iterator[Federation]:
    """The insurer and four hospitals, which let rows of persons go to each other and only aggregates to others."""
    folder = shared_data / "snds_synthetic"
    with duckdb.connect() as database:
        for table in ("ER_PRS_F", "IR_BEN_R", "IR_IMB_R", "T_MCOaaB", "T_MCOaaC", "T_MCOaaA", "split/eta_node"):
            database.read_parquet(str(folder / f"{table}.parquet")).create_view(table.rpartition("/")[2])
        shards = {"cnam": [_shard(database.sql(sql), name, "cnam") for name, sql in _AT_CNAM.items()]}
        for node in HOSPITALS:
            found = (("stays", database.sql(_STAYS, params=[node])), ("acts", database.sql(_ACTS, params=[node])))
            shards[node] = [_shard(rows, name, node) for name, rows in found]
    with Federation(shards) as federation:
        assert federation.permit.linkage
        yield federation


CARE = ("hospital_boston", "hospital_north", "hospital_south", "hospital_west")
_CARE_TABLES = {
    "encounters": "SELECT e.PATIENT, e.Id, e.START, e.STOP, e.ENCOUNTERCLASS, e.TOTAL_CLAIM_COST FROM encounters e",
    "conditions": "SELECT t.PATIENT, t.CODE, t.START FROM conditions t JOIN encounters e ON e.Id = t.ENCOUNTER",
}
_OF_NODE = " JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION WHERE o.node = ?"
_AT_PAYER = {
    "medications": "SELECT PATIENT, START, CODE, REASONCODE, TOTALCOST FROM medications",
    "payer_transitions": "SELECT PATIENT, START_DATE, END_DATE, PAYER FROM payer_transitions",
}


@pytest.fixture(scope="module")
def care(shared_data: Path) -> Iterator[Federation]:
    """The dispensing and insurance of 105 patients at the insurer, their care at four hospitals."""
    folder, nodes = shared_data / "synthea", ("cnam", *CARE)
    with duckdb.connect() as database:
        for table in (*_AT_PAYER, *_CARE_TABLES, "split/organization_node"):
            database.read_parquet(str(folder / f"{table}.parquet")).create_view(table.rpartition("/")[2])
        shards = {"cnam": [_shard(database.sql(sql), name, "cnam", nodes) for name, sql in _AT_PAYER.items()]}
        for node in CARE:
            found = {name: database.sql(sql + _OF_NODE, params=[node]) for name, sql in _CARE_TABLES.items()}
            shards[node] = [_shard(rows, name, node, nodes) for name, rows in found.items()]
    with Federation(shards) as federation:
        yield federation


ENOUGH = "[[HAVING count(DISTINCT s.NIR_ANO_17) >= 11]]"

QUESTIONS = {
    "stays by sex of the beneficiary": (
        "SELECT i.BEN_SEX_COD, count(*) AS n, count(DISTINCT i.BEN_NIR_PSA) AS persons FROM stays s JOIN insured i "
        f"ON i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY i.BEN_SEX_COD {ENOUGH}"
    ),
    "stays by decade of birth and sex": (
        "SELECT i.BEN_NAI_ANN // 10 AS decade, i.BEN_SEX_COD, count(*) AS n, avg(s.SEJ_NBJ) AS days FROM stays s JOIN "
        f"insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY ALL {ENOUGH}"
    ),
    "beneficiaries who were never in hospital": (
        "SELECT i.BEN_SEX_COD, count(*) AS n FROM insured i ANTI JOIN stays s ON s.NIR_ANO_17 = i.BEN_NIR_PSA "
        "GROUP BY i.BEN_SEX_COD [[HAVING count(DISTINCT i.BEN_NIR_PSA) >= 11]]"
    ),
    "never in hospital, by NOT EXISTS and decade of birth": (
        "SELECT i.BEN_NAI_ANN // 10 AS decade, count(*) AS n FROM insured i WHERE NOT EXISTS (SELECT 1 FROM stays s "
        "WHERE s.NIR_ANO_17 = i.BEN_NIR_PSA AND s.SEJ_NBJ > 2) GROUP BY decade "
        "[[HAVING count(DISTINCT i.BEN_NIR_PSA) >= 11]]"
    ),
    "stays of persons without a long illness": (
        "SELECT s._node, count(*) AS n FROM stays s LEFT JOIN illnesses m ON m.BEN_NIR_PSA = s.NIR_ANO_17 "
        f"WHERE m.BEN_NIR_PSA IS NULL GROUP BY s._node {ENOUGH}"
    ),
    "stays of persons with a long illness, by IN": (
        "SELECT s.COD_SEX, count(*) AS n, sum(s.SEJ_NBJ) AS days FROM stays s WHERE s.NIR_ANO_17 IN (SELECT "
        f"m.BEN_NIR_PSA FROM illnesses m) GROUP BY s.COD_SEX {ENOUGH}"
    ),
    "persons by how many hospitals they were at": (
        "SELECT hospitals, count(*) AS persons FROM (SELECT NIR_ANO_17, count(DISTINCT _node) AS hospitals FROM stays "
        "GROUP BY NIR_ANO_17) GROUP BY hospitals [[HAVING count(*) >= 11]]"
    ),
    "persons by how many stays they had, anywhere": (
        "SELECT n, count(*) AS persons FROM (SELECT NIR_ANO_17, count(*) AS n FROM stays GROUP BY NIR_ANO_17) "
        "GROUP BY n [[HAVING count(*) >= 11]]"
    ),
    "distinct persons over shards": ("SELECT count(DISTINCT NIR_ANO_17) AS n, count(*) AS stays FROM stays"),
    "distinct persons by chapter over shards": (
        "SELECT left(s.DGN_PAL, 1) AS chapter, count(DISTINCT s.NIR_ANO_17) AS n FROM stays s GROUP BY chapter "
        f"{ENOUGH}"
    ),
    "stays after one at another hospital": (
        "SELECT before, node, count(*) AS n FROM (SELECT NIR_ANO_17, _node AS node, lag(_node) OVER (PARTITION BY "
        "NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM) AS before FROM stays) WHERE before <> node GROUP BY ALL "
        "[[HAVING count(DISTINCT NIR_ANO_17) >= 11]]"
    ),
    "months to the next stay, at whichever hospital": (
        "SELECT least(gap // 120, 5) AS decades, count(*) AS n FROM (SELECT NIR_ANO_17, lead(SOR_ANN * 12 + SOR_MOI) "
        "OVER (PARTITION BY NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM) - (SOR_ANN * 12 + SOR_MOI) AS gap "
        "FROM stays) WHERE gap IS NOT NULL GROUP BY decades [[HAVING count(DISTINCT NIR_ANO_17) >= 11]]"
    ),
    "the place of a stay among those of its person": (
        "SELECT place, count(*) AS n, avg(SEJ_NBJ) AS days FROM (SELECT NIR_ANO_17, SEJ_NBJ, row_number() OVER "
        "(PARTITION BY NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM) AS place FROM stays) GROUP BY place "
        "[[HAVING count(DISTINCT NIR_ANO_17) >= 11]]"
    ),
    "days so far at the third stay": (
        "SELECT so_far // 2000 AS band, count(*) AS n FROM (SELECT NIR_ANO_17, sum(SEJ_NBJ) OVER (PARTITION BY "
        "NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM ROWS UNBOUNDED PRECEDING) AS so_far, row_number() OVER "
        "(PARTITION BY NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM) AS place FROM stays) WHERE place = 3 "
        "GROUP BY band [[HAVING count(DISTINCT NIR_ANO_17) >= 11]]"
    ),
    "the longest stay of each person with a long illness, by chapter": (
        "SELECT chapter, count(*) AS n FROM (SELECT DISTINCT ON (s.NIR_ANO_17) s.NIR_ANO_17, left(s.DGN_PAL, 1) AS "
        "chapter FROM stays s WHERE s.NIR_ANO_17 IN (SELECT m.BEN_NIR_PSA FROM illnesses m) ORDER BY s.NIR_ANO_17, "
        "s.SEJ_NBJ DESC, s.RSA_NUM) GROUP BY chapter [[HAVING count(*) >= 11]]"
    ),
    "three chapters of each sex": (
        "SELECT sex, chapter, n FROM (SELECT i.BEN_SEX_COD AS sex, left(s.DGN_PAL, 1) AS chapter, count(*) AS n FROM "
        f"stays s JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY ALL {ENOUGH}) QUALIFY row_number() OVER "
        "(PARTITION BY sex ORDER BY n DESC, chapter) <= 3"
    ),
    "five departments with most stays": (
        "SELECT i.BEN_RES_DPT, count(*) AS n FROM stays s JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 "
        f"GROUP BY i.BEN_RES_DPT {ENOUGH} ORDER BY n DESC, 1 LIMIT 5"
    ),
    "grouping sets of sex and node": (
        "SELECT i.BEN_SEX_COD, s._node AS node, grouping(i.BEN_SEX_COD, s._node) AS level, count(*) AS n FROM stays s "
        "JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY GROUPING SETS "
        "((i.BEN_SEX_COD, s._node), (s._node), ()) "
        f"{ENOUGH}"
    ),
    "cube of sex and whether ill for long": (
        "SELECT i.BEN_SEX_COD, m.BEN_NIR_PSA IS NOT NULL AS ill, count(*) AS n FROM insured i LEFT JOIN (SELECT "
        "DISTINCT BEN_NIR_PSA FROM illnesses) m ON m.BEN_NIR_PSA = i.BEN_NIR_PSA GROUP BY CUBE (i.BEN_SEX_COD, ill) "
        "[[HAVING count(DISTINCT i.BEN_NIR_PSA) >= 11]]"
    ),
    "rollup of nodes and years": (
        "SELECT s._node AS node, s.SOR_ANN // 100 AS years, count(*) AS n, sum(s.NBR_ACT) AS acts FROM stays s JOIN "
        f"illnesses m ON m.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY ROLLUP (s._node, years) {ENOUGH}"
    ),
    "stays while a long illness was recognised": (
        "SELECT s._node, count(*) AS n, avg(s.SEJ_NBJ) AS days FROM stays s JOIN illnesses m ON m.BEN_NIR_PSA = "
        "s.NIR_ANO_17 AND s.SOR_ANN BETWEEN year(m.IMB_ALD_DTD) AND year(m.IMB_ALD_DTF) GROUP BY s._node "
        f"{ENOUGH}"
    ),
    "paid within ten years of a stay": (
        "SELECT s.COD_SEX, count(*) AS payments, sum(p.BSE_REM_MNT) AS paid FROM stays s JOIN payments p "
        "ON p.BEN_NIR_PSA = s.NIR_ANO_17 AND year(p.EXE_SOI_DTD) BETWEEN s.SOR_ANN AND s.SOR_ANN + 10 "
        f"GROUP BY s.COD_SEX {ENOUGH}"
    ),
    "payments in the decade before a death, by sex": (
        "SELECT i.BEN_SEX_COD, count(*) AS n, sum(p.BSE_REM_MNT) AS paid FROM payments p JOIN insured i ON "
        "i.BEN_NIR_PSA = p.BEN_NIR_PSA AND p.EXE_SOI_DTD BETWEEN i.BEN_DCD_DTE - INTERVAL 10 YEAR AND i.BEN_DCD_DTE "
        "WHERE i.BEN_NIR_PSA IN (SELECT s.NIR_ANO_17 FROM stays s) GROUP BY i.BEN_SEX_COD "
        "[[HAVING count(DISTINCT i.BEN_NIR_PSA) >= 11]]"
    ),
    "acts of those who died": (
        "SELECT year(i.BEN_DCD_DTE) // 10 AS decade, count(DISTINCT i.BEN_NIR_PSA) AS n, sum(a.NBR_EXE_ACT) AS acts "
        "FROM insured i JOIN acts a ON a.NIR_ANO_17 = i.BEN_NIR_PSA WHERE i.BEN_DCD_DTE IS NOT NULL GROUP BY decade "
        "[[HAVING count(DISTINCT i.BEN_NIR_PSA) >= 11]]"
    ),
    "acts of a stay, by sex at the insurer": (
        "SELECT i.BEN_SEX_COD, count(*) AS acts, count(DISTINCT s.NIR_ANO_17) AS persons FROM stays s JOIN acts a ON "
        "a.ETA_NUM = s.ETA_NUM AND a.RSA_NUM = s.RSA_NUM AND a.NIR_ANO_17 = s.NIR_ANO_17 JOIN insured i ON "
        f"i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY i.BEN_SEX_COD {ENOUGH}"
    ),
    "cost of a person by whether there was a stay": (
        "SELECT h.NIR_ANO_17 IS NOT NULL AS stayed, count(*) AS n, avg(p.paid) AS mean, stddev_samp(p.paid) AS spread "
        "FROM (SELECT BEN_NIR_PSA, sum(BSE_REM_MNT) AS paid FROM payments GROUP BY BEN_NIR_PSA) p LEFT JOIN (SELECT "
        "DISTINCT NIR_ANO_17 FROM stays) h ON h.NIR_ANO_17 = p.BEN_NIR_PSA GROUP BY stayed [[HAVING count(*) >= 11]]"
    ),
    "costs and days of a person side by side": (
        "SELECT count(*) AS n, corr(p.paid, h.days) AS r, regr_slope(p.paid, h.days) AS slope FROM (SELECT "
        "BEN_NIR_PSA, sum(BSE_REM_MNT) AS paid FROM payments GROUP BY BEN_NIR_PSA) p JOIN (SELECT "
        "NIR_ANO_17, sum(SEJ_NBJ) AS days FROM stays GROUP BY NIR_ANO_17) h ON h.NIR_ANO_17 = p.BEN_NIR_PSA"
    ),
    "ill for long and in hospital, or only one of them": (
        "SELECT h.NIR_ANO_17 IS NOT NULL AS stayed, m.BEN_NIR_PSA IS NOT NULL AS ill, count(*) AS n FROM insured i "
        "LEFT JOIN (SELECT DISTINCT NIR_ANO_17 FROM stays) h ON h.NIR_ANO_17 = i.BEN_NIR_PSA LEFT JOIN (SELECT "
        "DISTINCT BEN_NIR_PSA FROM illnesses) m ON m.BEN_NIR_PSA = i.BEN_NIR_PSA GROUP BY ALL [[HAVING count(*) >= 11]]"
    ),
    "persons in both, by INTERSECT": (
        "SELECT count(*) AS n FROM (SELECT BEN_NIR_PSA FROM illnesses INTERSECT SELECT NIR_ANO_17 FROM stays)"
    ),
    "persons known to one of them, by UNION": (
        "SELECT count(DISTINCT person) AS n FROM (SELECT NIR_ANO_17 AS person FROM stays UNION ALL SELECT BEN_NIR_PSA "
        "FROM payments)"
    ),
    "the rank of a department by stays": (
        "SELECT dpt, n, rank() OVER (ORDER BY n DESC) AS place FROM (SELECT i.BEN_RES_DPT AS dpt, count(*) AS n FROM "
        f"stays s JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY dpt {ENOUGH})"
    ),
    "share of the stays of a sex": (
        "WITH g AS (SELECT i.BEN_SEX_COD AS sex, s._node AS node, count(*) AS n FROM stays s JOIN insured i ON "
        f"i.BEN_NIR_PSA = s.NIR_ANO_17 GROUP BY ALL {ENOUGH}) SELECT sex, node, n, round(n / sum(n) OVER (PARTITION BY "
        "sex), 6) AS share FROM g"
    ),
    "one person at two hospitals": (
        "SELECT a._node AS one, b._node AS other, count(DISTINCT a.NIR_ANO_17) AS n FROM stays a JOIN stays b ON "
        "b.NIR_ANO_17 = a.NIR_ANO_17 AND b._node > a._node GROUP BY ALL [[HAVING count(DISTINCT a.NIR_ANO_17) >= 11]]"
    ),
}


QUANTILES = {
    "days of a stay, by sex of the beneficiary": (
        "SELECT i.BEN_SEX_COD AS k, QUANTILES(s.SEJ_NBJ, 0.5) FROM stays s JOIN insured i ON i.BEN_NIR_PSA = "
        "s.NIR_ANO_17 GROUP BY k"
    ),
    "days to the next stay, at whichever hospital": (
        "SELECT QUANTILES(gap, 0.25) FROM (SELECT NIR_ANO_17, lead(SOR_ANN * 12 + SOR_MOI) OVER (PARTITION BY "
        "NIR_ANO_17 ORDER BY SOR_ANN, SOR_MOI, RSA_NUM) - (SOR_ANN * 12 + SOR_MOI) AS gap FROM stays)"
    ),
    "paid for a person who was in hospital": (
        "SELECT QUANTILES(paid, 0.9) FROM (SELECT p.BEN_NIR_PSA, sum(p.BSE_REM_MNT) AS paid FROM payments p WHERE "
        "EXISTS (SELECT 1 FROM stays s WHERE s.NIR_ANO_17 = p.BEN_NIR_PSA) GROUP BY p.BEN_NIR_PSA)"
    ),
    "number of stays of a person": (
        "SELECT QUANTILES(n, 0.5) FROM (SELECT NIR_ANO_17, count(*) AS n FROM stays GROUP BY NIR_ANO_17)"
    ),
}

REFUSED = {
    "the longest stay of all": (
        "SELECT max(s.SEJ_NBJ) AS m FROM stays s JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17",
        "value-aggregate",
    ),
    "persons of two hospitals by name": (
        "SELECT NIR_ANO_17 FROM stays WHERE _node = 'hospital_1' INTERSECT SELECT NIR_ANO_17 FROM stays "
        "WHERE _node = 'hospital_2'",
        "person-output",
    ),
    "costs of each person": (
        "SELECT p.BEN_NIR_PSA, sum(p.BSE_REM_MNT) AS paid FROM payments p JOIN stays s ON s.NIR_ANO_17 = p.BEN_NIR_PSA "
        "GROUP BY p.BEN_NIR_PSA",
        "person-output",
    ),
    "the stays of somebody": (
        "SELECT count(*) AS n FROM stays s JOIN insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17 WHERE s.NIR_ANO_17 = 'x'",
        "person-comparison",
    ),
    "stays beside the mean of all": (
        "SELECT count(*) AS n FROM (SELECT s.NIR_ANO_17, s.SEJ_NBJ, avg(s.SEJ_NBJ) OVER () AS mean FROM stays s JOIN "
        "insured i ON i.BEN_NIR_PSA = s.NIR_ANO_17) WHERE SEJ_NBJ > mean",
        "window-across-persons",
    ),
    "whether a person has a stay, beside each payment": (
        "SELECT stayed, count(*) AS n FROM (SELECT p.BEN_NIR_PSA, (SELECT max(s.SEJ_NBJ) FROM stays s) > 3 AS stayed "
        "FROM payments p) GROUP BY stayed",
        "value-across-persons",
    ),
}


OF_CARE = {
    "drugs within a year after an emergency": (
        "SELECT m.CODE, count(*) AS n FROM encounters e JOIN medications m ON m.PATIENT = e.PATIENT AND m.START >= "
        "e.STOP AND m.START < e.STOP + INTERVAL 365 DAY WHERE e.ENCOUNTERCLASS = 'emergency' GROUP BY m.CODE "
        "[[HAVING count(DISTINCT e.PATIENT) >= 11]]"
    ),
    "class of the encounters of those who were insured on that day": (
        "SELECT e.ENCOUNTERCLASS, count(*) AS n, count(DISTINCT e.PATIENT) AS patients FROM encounters e JOIN "
        "payer_transitions t ON t.PATIENT = e.PATIENT AND e.START >= t.START_DATE AND e.START < t.END_DATE "
        "GROUP BY e.ENCOUNTERCLASS [[HAVING count(DISTINCT e.PATIENT) >= 11]]"
    ),
    "encounters without a dispensing that year": (
        "SELECT year(e.START) // 5 AS lustrum, count(*) AS n FROM encounters e ANTI JOIN medications m ON m.PATIENT = "
        "e.PATIENT AND year(m.START) = year(e.START) GROUP BY lustrum [[HAVING count(DISTINCT e.PATIENT) >= 11]]"
    ),
    "diagnosed, then treated for it": (
        "SELECT c.CODE, count(*) AS n FROM conditions c WHERE EXISTS (SELECT 1 FROM medications m WHERE m.PATIENT = "
        "c.PATIENT AND m.REASONCODE = c.CODE AND m.START >= c.START) GROUP BY c.CODE "
        "[[HAVING count(DISTINCT c.PATIENT) >= 11]]"
    ),
    "moves from one hospital to another": (
        "SELECT before, node, count(*) AS n FROM (SELECT PATIENT, _node AS node, lag(_node) OVER (PARTITION BY PATIENT "
        "ORDER BY START, Id) AS before FROM encounters) WHERE before <> node GROUP BY ALL "
        "[[HAVING count(DISTINCT PATIENT) >= 11]]"
    ),
    "how many encounters a patient has, over all hospitals": (
        "SELECT least(n // 20, 5) AS bucket, count(*) AS patients FROM (SELECT PATIENT, count(*) AS n FROM encounters "
        "GROUP BY PATIENT) GROUP BY bucket [[HAVING count(*) >= 11]]"
    ),
    "readmissions within three months, anywhere": (
        "SELECT class, count(*) AS n FROM (SELECT PATIENT, ENCOUNTERCLASS AS class, START, lag(STOP) OVER (PARTITION "
        "BY PATIENT, ENCOUNTERCLASS ORDER BY START, Id) AS left_at FROM encounters) WHERE START < left_at + INTERVAL "
        "90 DAY GROUP BY class [[HAVING count(DISTINCT PATIENT) >= 11]]"
    ),
    "distinct patients by class over shards": (
        "SELECT ENCOUNTERCLASS, count(DISTINCT PATIENT) AS n FROM encounters GROUP BY ENCOUNTERCLASS "
        "[[HAVING count(DISTINCT PATIENT) >= 11]]"
    ),
}


@pytest.mark.parametrize("name", [*QUESTIONS, *OF_CARE])
def test_a_question_about_linked_persons_has_the_released_groups_of_one_database(
    name: str, request: pytest.FixtureRequest
) -> None:
    text = QUESTIONS.get(name) or OF_CARE[name]
    linked: Federation = request.getfixturevalue("linked" if name in QUESTIONS else "care")
    asked = unsigned(_without_threshold(text))
    answer = linked.ask(asked)
    expected = linked.oracle(asked, sql=text.replace("[[", "").replace("]]", ""))
    assert answer.table.num_rows > 0
    assert comparing.difference(answer.table, expected, asked.sql) == ""
    _crosses_as_it_may(answer)


MATCHED_FIRST = ("stays of persons with a long illness, by IN", "costs and days of a person side by side")
NOT_WITHOUT_OTHERS = ("beneficiaries who were never in hospital", "persons in both, by INTERSECT")


@pytest.mark.parametrize("name", [*MATCHED_FIRST, *NOT_WITHOUT_OTHERS])
def test_a_private_set_intersection_changes_no_answer_and_where_it_would_the_question_is_refused(
    name: str, linked: Federation
) -> None:
    text, free = QUESTIONS[name], linked.permit
    asked = unsigned(_without_threshold(text))
    try:
        linked.permit = free.model_copy(update={"intersection": True})
        if name in NOT_WITHOUT_OTHERS:
            with pytest.raises(errors.ArchipelError) as refusal:
                linked.ask(asked)
            assert refusal.value.rule == "intersection-required"
            return
        answer = linked.ask(asked)
    finally:
        linked.permit = free
    expected = linked.oracle(asked, sql=text.replace("[[", "").replace("]]", ""))
    assert [stage for stage in answer.plan.stages if stage.intersection is not None]
    assert comparing.difference(answer.table, expected, asked.sql) == ""
    _crosses_as_it_may(answer)


@pytest.mark.parametrize("name", QUANTILES)
def test_a_quantile_of_linked_persons_lies_in_the_interval_that_is_told(name: str, linked: Federation) -> None:
    text = QUANTILES[name]
    given = text[text.index("QUANTILES(") + len("QUANTILES(") :].partition(")")[0]
    asked = (f"{function}({given}) AS {function}" for function in ("quantile_lower", "quantile_cont", "quantile_upper"))
    question = unsigned(text.replace(f"QUANTILES({given})", ", ".join(asked)))
    answer = linked.ask(question)
    expected = linked.oracle(question).to_pylist()
    found = answer.table.to_pylist()
    assert len(found) == len(expected) > 0
    by_key = {row.get("k"): row["quantile_cont"] for row in expected}
    for row in found:
        exact = by_key[row.get("k")]
        assert row["quantile_lower"] is None or row["quantile_lower"] <= exact
        assert row["quantile_upper"] is None or row["quantile_upper"] >= exact
        assert answer.notices or row["quantile_cont"] == exact
    _crosses_as_it_may(answer)


def _crosses_as_it_may(answer: Answer) -> None:
    """Demand that only aggregates reach the coordinator, and that no rows between nodes hold an identifier."""
    for exchange in answer.plan.exchanges:
        if answer.plan.stage(exchange.source).kind is StageKind.NODE and not answer.plan.is_sealed(exchange):
            assert exchange.form is Form.AGGREGATE
    for rows in answer.sealed.values():
        pseudonyms = [column for column in rows.columns if pa.types.is_binary(column.type)]
        assert len(pseudonyms) == 1
        assert {len(value) for value in pseudonyms[0].to_pylist() if value is not None} <= {32}
        text = {n.upper() for n, c in zip(rows.column_names, rows.columns, strict=True) if pa.types.is_string(c.type)}
        assert not text & {"NIR_ANO_17", "BEN_NIR_PSA"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_question_that_would_show_single_persons_is_refused_with_its_reason(name: str, linked: Federation) -> None:
    sql, rule = REFUSED[name]
    with pytest.raises(errors.ArchipelError) as caught:
        linked.ask(unsigned(sql))
    assert caught.value.rule == rule


def _without_threshold(text: str) -> str:
    while "[[" in text:
        before, _, rest = text.partition("[[")
        text = before + rest.partition("]]")[2]
    return text
