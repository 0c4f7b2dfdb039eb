"""Questions from reimbursements to hospital stays in tables shaped as the French SNDS: 1,381 persons are in both.

The tables are open, and every answer must be that of one database. The values are drawn at random: what is tested is
that the answers are equal, never what they say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_federations import OPEN_TO_ALL, Builder, Running, running

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]

AT_CNAM = ("ER_PRS_F", "IR_BEN_R", "IR_IMB_R", "KI_CCI_R")
STAYS = ("T_MCOaaB", "T_MCOaaC", "T_MCOaaD", "T_MCOaaA", "T_MCOaaUM")

_PAID = "SELECT BEN_NIR_PSA, BEN_RNG_GEM, BEN_SEX_COD, EXE_SOI_DTD, EXE_SOI_DTF, BSE_REM_MNT, PRS_NAT_REF FROM ER_PRS_F"
_OF_NODE = "SELECT t.* FROM TABLE t JOIN eta_node n ON n.ETA_NUM = t.ETA_NUM WHERE n.node = 'NODE'"


@pytest.fixture(scope="module")
def snds(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Reimbursements, beneficiaries and long illnesses at the insurer; stays at the four hospitals' nodes."""
    builder = Builder(tmp_path_factory.mktemp("snds_crossing"))
    folder = shared_data / "snds_synthetic"
    for table in (*AT_CNAM, *STAYS, "split/eta_node"):
        builder.view(table.rpartition("/")[2], folder / f"{table}.parquet")
    builder.view("IR_CIM_V", shared_data / "nomenclatures" / "IR_CIM_V.parquet")
    builder.add("cnam", "ER_PRS_F", builder.rows(_PAID), policy=OPEN_TO_ALL)
    for table in AT_CNAM[1:]:
        builder.add("cnam", table, builder.database.view(table), policy=OPEN_TO_ALL)
    nodes = [row[0] for row in builder.rows("SELECT DISTINCT node FROM eta_node ORDER BY node").fetchall()]
    for node in nodes:
        for table in STAYS:
            rows = builder.rows(_OF_NODE.replace("TABLE", table).replace("NODE", node))
            keys = {"establishment": ["ETA_NUM"]}
            builder.add(node, table, rows, site_keys=keys, policy=OPEN_TO_ALL)
    for node in ("cnam", *nodes):
        builder.add(node, "IR_CIM_V", builder.database.view("IR_CIM_V"), everywhere=True, policy=OPEN_TO_ALL)
    with running(builder) as federation:
        yield federation


STAY = "T_MCOaaB b JOIN T_MCOaaC c ON c.ETA_NUM = b.ETA_NUM AND c.RSA_NUM = b.RSA_NUM"
LEFT_AT = "CAST(b.SOR_ANN AS INTEGER) * 12 + CAST(b.SOR_MOI AS INTEGER)"

QUESTIONS = {
    "stays by sex of the beneficiary": (
        "SELECT i.BEN_SEX_COD, count(*) AS stays, count(DISTINCT i.BEN_NIR_PSA) AS persons FROM STAY "
        "JOIN IR_BEN_R i ON i.BEN_NIR_PSA = c.NIR_ANO_17 GROUP BY i.BEN_SEX_COD ORDER BY 1"
    ),
    "beneficiaries who were never in hospital": (
        "SELECT i.BEN_SEX_COD, count(*) AS n FROM IR_BEN_R i ANTI JOIN T_MCOaaC c ON c.NIR_ANO_17 = i.BEN_NIR_PSA "
        "GROUP BY i.BEN_SEX_COD ORDER BY 1"
    ),
    "stays of persons without a long illness": (
        "SELECT c._node, count(*) AS n FROM T_MCOaaC c LEFT JOIN IR_IMB_R m ON m.BEN_NIR_PSA = c.NIR_ANO_17 "
        "WHERE m.BEN_NIR_PSA IS NULL GROUP BY c._node ORDER BY 1"
    ),
    "persons at two hospitals or more": (
        "SELECT hospitals, count(*) AS persons FROM (SELECT NIR_ANO_17, count(DISTINCT _node) AS hospitals FROM "
        "T_MCOaaC "
        "WHERE NIR_ANO_17 IS NOT NULL GROUP BY NIR_ANO_17) GROUP BY hospitals ORDER BY hospitals"
    ),
    "distinct persons over shards": (
        "SELECT count(DISTINCT NIR_ANO_17) AS n, count(DISTINCT ETA_NUM) AS establishments, count(*) AS stays "
        "FROM T_MCOaaC"
    ),
    "days to the next stay, at whichever hospital": (
        "SELECT median(gap) AS middle, quantile_cont(gap, 0.25) AS low, count(*) AS n FROM (SELECT lead(LEFT_AT) OVER "
        "(PARTITION BY c.NIR_ANO_17 ORDER BY LEFT_AT, b.RSA_NUM) - LEFT_AT AS gap FROM STAY) WHERE gap IS NOT NULL"
    ),
    "stays after one at another hospital": (
        "SELECT before, node, count(*) AS n FROM (SELECT b._node AS node, lag(b._node) OVER (PARTITION BY c.NIR_ANO_17 "
        "ORDER BY LEFT_AT, b.RSA_NUM) AS before FROM STAY) WHERE before <> node GROUP BY ALL ORDER BY ALL"
    ),
    "the longest stay of each person with a long illness": (
        "SELECT DISTINCT ON (c.NIR_ANO_17) c.NIR_ANO_17, b.SEJ_NBJ, b.DGN_PAL FROM STAY WHERE c.NIR_ANO_17 IN "
        "(SELECT m.BEN_NIR_PSA FROM IR_IMB_R m) ORDER BY c.NIR_ANO_17, b.SEJ_NBJ DESC, b.RSA_NUM"
    ),
    "three diagnoses of each department": (
        "SELECT BEN_RES_DPT, chapter, n FROM (SELECT i.BEN_RES_DPT, left(b.DGN_PAL, 1) AS chapter, count(*) AS "
        "n FROM STAY "
        "JOIN IR_BEN_R i ON i.BEN_NIR_PSA = c.NIR_ANO_17 GROUP BY ALL) QUALIFY row_number() OVER (PARTITION BY "
        "BEN_RES_DPT ORDER BY n DESC, chapter) <= 3 ORDER BY ALL"
    ),
    "grouping sets of sex, node and long illness": (
        "SELECT i.BEN_SEX_COD, c._node AS node, count(DISTINCT m.BEN_NIR_PSA) AS ill, count(*) AS n FROM T_MCOaaC c "
        "JOIN IR_BEN_R i ON i.BEN_NIR_PSA = c.NIR_ANO_17 LEFT JOIN IR_IMB_R m ON m.BEN_NIR_PSA = c.NIR_ANO_17 "
        "GROUP BY GROUPING SETS ((i.BEN_SEX_COD, node), (node), ()) ORDER BY ALL"
    ),
    "stays while a long illness was recognised": (
        "SELECT m.IMB_ETM_NAT, count(*) AS n, avg(b.SEJ_NBJ) AS days FROM STAY JOIN IR_IMB_R m "
        "ON m.BEN_NIR_PSA = c.NIR_ANO_17 AND CAST(b.SOR_ANN AS INTEGER) BETWEEN year(m.IMB_ALD_DTD) AND "
        "year(m.IMB_ALD_DTF) GROUP BY m.IMB_ETM_NAT ORDER BY 1"
    ),
    "paid in the year of the stay": (
        "SELECT b.COD_SEX, count(*) AS payments, sum(p.BSE_REM_MNT) AS paid FROM STAY JOIN ER_PRS_F p "
        "ON p.BEN_NIR_PSA = c.NIR_ANO_17 AND year(p.EXE_SOI_DTD) BETWEEN CAST(b.SOR_ANN AS INTEGER) - 1 AND "
        "CAST(b.SOR_ANN AS INTEGER) + 1 GROUP BY b.COD_SEX ORDER BY 1"
    ),
    "median paid for those who were in hospital and those who were not": (
        "SELECT p.BEN_NIR_PSA IN (SELECT c.NIR_ANO_17 FROM T_MCOaaC c WHERE c.NIR_ANO_17 IS NOT NULL) AS stayed, "
        "median(p.BSE_REM_MNT) AS middle, count(*) AS n FROM ER_PRS_F p GROUP BY stayed ORDER BY stayed"
    ),
    "costs and stays of a person side by side": (
        "SELECT coalesce(p.person, s.person) AS person, p.paid, s.days FROM (SELECT BEN_NIR_PSA AS person, "
        "sum(BSE_REM_MNT) AS paid FROM ER_PRS_F GROUP BY 1) p FULL JOIN (SELECT c.NIR_ANO_17 AS person, sum(b.SEJ_NBJ) "
        "AS days FROM STAY WHERE c.NIR_ANO_17 IS NOT NULL GROUP BY 1) s ON s.person = p.person ORDER BY 1"
    ),
    "diagnoses by name of those with a long illness": (
        "SELECT d.chapter, count(*) AS n FROM STAY JOIN IR_IMB_R m ON m.BEN_NIR_PSA = c.NIR_ANO_17 JOIN (SELECT "
        "DISTINCT "
        "left(CIM_COD, 3) AS chapter FROM IR_CIM_V) d ON d.chapter = left(b.DGN_PAL, 3) GROUP BY d.chapter "
        "ORDER BY n DESC, 1 LIMIT 20"
    ),
    "died, with an act in hospital": (
        "SELECT year(i.BEN_DCD_DTE) // 10 AS decade, count(DISTINCT i.BEN_NIR_PSA) AS n, sum(a.NBR_EXE_ACT) AS acts "
        "FROM IR_BEN_R i JOIN T_MCOaaC c ON c.NIR_ANO_17 = i.BEN_NIR_PSA JOIN T_MCOaaA a ON a.ETA_NUM = c.ETA_NUM "
        "AND CAST(a.RSA_NUM AS BIGINT) = c.RSA_NUM WHERE i.BEN_DCD_DTE IS NOT NULL GROUP BY decade ORDER BY decade"
    ),
    "both in hospital and with a long illness, or only one of them": (
        "SELECT (SELECT count(*) FROM (SELECT BEN_NIR_PSA FROM IR_IMB_R INTERSECT SELECT NIR_ANO_17 FROM "
        "T_MCOaaC)) AS both, "
        "(SELECT count(*) FROM (SELECT BEN_NIR_PSA FROM IR_IMB_R EXCEPT SELECT NIR_ANO_17 FROM T_MCOaaC)) AS only_ill"
    ),
    "the rank of a department by stays for its insured": (
        "SELECT dpt, stays, insured, rank() OVER (ORDER BY stays * 1000 // insured DESC, dpt) AS place FROM (SELECT "
        "i.BEN_RES_DPT AS dpt, count(c.RSA_NUM) AS stays, count(DISTINCT i.BEN_NIR_PSA) AS insured FROM IR_BEN_R i "
        "LEFT JOIN T_MCOaaC c ON c.NIR_ANO_17 = i.BEN_NIR_PSA GROUP BY dpt) ORDER BY place"
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_crosses_borders_is_answered_as_by_one_database(name: str, snds: Running) -> None:
    result = snds.check(QUESTIONS[name].replace("STAY", STAY).replace("LEFT_AT", LEFT_AT), 0)
    assert result.complete
    assert result.to_arrow().num_rows > 0
