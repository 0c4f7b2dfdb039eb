"""Tables in the exact shape of the French SNDS: reimbursements at the insurer, stays at four hospitals.

The values are drawn at random: what is tested is that joins and sums come out, never what they say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_federations import PROTECTED, Builder, Running, running

from archipel import errors

pytestmark = [pytest.mark.shared_data, pytest.mark.federation]

KEY = (
    *("DCT_ORD_NUM", "FLX_DIS_DTD", "FLX_EMT_NUM", "FLX_EMT_ORD", "FLX_EMT_TYP", "FLX_TRT_DTD"),
    *("ORG_CLE_NUM", "PRS_ORD_NUM", "REM_TYP_AFF"),
)
"""The nine columns by which reimbursements and their details are joined."""

_DETAIL = "SELECT p.BEN_NIR_PSA, t.* FROM TABLE t JOIN (SELECT DISTINCT BEN_NIR_PSA, KEY FROM ER_PRS_F) p USING (KEY)"
_STAY = (
    "SELECT c.NIR_ANO_17, t.* FROM TABLE t JOIN eta_node n ON n.ETA_NUM = t.ETA_NUM JOIN T_MCOaaC c "
    "ON c.ETA_NUM = t.ETA_NUM AND CAST(c.RSA_NUM AS VARCHAR) = CAST(t.RSA_NUM AS VARCHAR) WHERE n.node = 'NODE'"
)
ON_KEY = " AND ".join(f"p.{column} = d.{column}" for column in KEY)


@pytest.fixture(scope="module")
def snds(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Details of reimbursements and of stays with the person of what they belong to, as a holder's view has them."""
    builder = Builder(tmp_path_factory.mktemp("snds"))
    folder = shared_data / "snds_synthetic"
    for table in (
        *("ER_PRS_F", "ER_PHA_F", "ER_CAM_F", "IR_BEN_R", "IR_IMB_R", "T_MCOaaB", "T_MCOaaC", "T_MCOaaD", "T_MCOaaUM"),
        "split/eta_node",
    ):
        builder.view(table.rpartition("/")[2], folder / f"{table}.parquet")
    hidden = {"ER_PRS_F": {"PFS_EXE_NUM": "hidden"}, "IR_BEN_R": {"BEN_NIR_ANO": "hidden", "BEN_IDT_ANO": "hidden"}}
    for table in ("ER_PRS_F", "IR_BEN_R", "IR_IMB_R"):
        policy = {**PROTECTED, "columns": hidden.get(table, {})}
        builder.add("cnam", table, builder.database.view(table), person="BEN_NIR_PSA", domain="psa", policy=policy)
    for table in ("ER_PHA_F", "ER_CAM_F"):
        rows = builder.rows(_DETAIL.replace("TABLE", table).replace("KEY", ", ".join(KEY)))
        builder.add("cnam", table, rows, person="BEN_NIR_PSA", domain="psa", policy=PROTECTED)
    nodes = [row[0] for row in builder.rows("SELECT DISTINCT node FROM eta_node ORDER BY node").fetchall()]
    for node in nodes:
        for table in ("T_MCOaaB", "T_MCOaaD", "T_MCOaaUM"):
            rows = builder.rows(_STAY.replace("TABLE", table).replace("NODE", node))
            keys = {"stay": ["ETA_NUM", "RSA_NUM"]}
            builder.add(node, table, rows, person="NIR_ANO_17", domain="psa", site_keys=keys, policy=PROTECTED)
    with running(builder) as federation:
        yield federation


QUESTIONS = {
    "beneficiaries by sex": ("SELECT BEN_SEX_COD, count(*) AS n FROM IR_BEN_R GROUP BY BEN_SEX_COD ORDER BY 1", 1),
    "beneficiaries by department": (
        "SELECT BEN_RES_DPT, count(DISTINCT BEN_NIR_PSA) AS n FROM IR_BEN_R GROUP BY BEN_RES_DPT ORDER BY n DESC, 1",
        1,
    ),
    "spending by month": (
        "SELECT date_trunc('month', EXE_SOI_DTD) AS month, count(*) AS n, sum(BSE_REM_MNT) AS paid FROM ER_PRS_F "
        "GROUP BY 1 ORDER BY 1",
        1,
    ),
    "quantities with regularisations": (
        "SELECT p.BEN_SEX_COD, sum(d.PHA_ACT_QSN) AS boxes, count(*) FILTER (WHERE d.PHA_ACT_QSN < 0) AS taken_back "
        "FROM ER_PRS_F p JOIN ER_PHA_F d ON KEY GROUP BY p.BEN_SEX_COD ORDER BY 1".replace("KEY", ON_KEY),
        1,
    ),
    "acts of beneficiaries": (
        "SELECT b.BEN_SEX_COD, count(*) AS acts, avg(d.CAM_ACT_PRU) AS price FROM ER_PRS_F p JOIN ER_CAM_F d ON KEY "
        "JOIN IR_BEN_R b ON b.BEN_NIR_PSA = p.BEN_NIR_PSA GROUP BY b.BEN_SEX_COD ORDER BY 1".replace("KEY", ON_KEY),
        1,
    ),
    "with a long illness": (
        "SELECT b.BEN_SEX_COD, count(*) AS n FROM IR_BEN_R b WHERE EXISTS (SELECT 1 FROM IR_IMB_R i "
        "WHERE i.BEN_NIR_PSA = b.BEN_NIR_PSA) GROUP BY b.BEN_SEX_COD ORDER BY 1",
        1,
    ),
    "stays by sex": (
        "SELECT COD_SEX, count(*) AS n, avg(NBR_DGN) AS diagnoses, stddev(NBR_ACT) AS acts FROM T_MCOaaB "
        "GROUP BY COD_SEX ORDER BY 1",
        1,
    ),
    "stays by hospital": ("SELECT _node, count(*) AS n FROM T_MCOaaB GROUP BY _node ORDER BY 1", 1),
    "units of stays": (
        "SELECT b.COD_SEX, count(*) AS units, sum(u.ACT_RUM_NBR) AS acts FROM T_MCOaaB b JOIN T_MCOaaUM u "
        "ON u.ETA_NUM = b.ETA_NUM AND u.RSA_NUM = b.RSA_NUM GROUP BY b.COD_SEX ORDER BY 1",
        1,
    ),
    "associated diagnoses": (
        "SELECT left(d.ASS_DGN, 1) AS chapter, count(*) AS n FROM T_MCOaaB b JOIN T_MCOaaD d ON d.ETA_NUM = b.ETA_NUM "
        "AND d.RSA_NUM = b.RSA_NUM WHERE b.GRG_GHM NOT LIKE '90%' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
        1,
    ),
    "insurer beside hospitals": (
        "WITH a AS (SELECT CAST(BEN_SEX_COD AS VARCHAR) AS sex, count(*) AS insured FROM IR_BEN_R GROUP BY 1), "
        "b AS (SELECT COD_SEX AS sex, count(*) AS stays FROM T_MCOaaB GROUP BY 1) "
        "SELECT a.sex, a.insured, b.stays FROM a LEFT JOIN b ON b.sex = a.sex ORDER BY a.sex",
        1,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_as_by_one_database_or_in_part_and_it_is_said(name: str, snds: Running) -> None:
    sql, keys = QUESTIONS[name]
    snds.check(sql, keys)


@pytest.mark.parametrize("name", ["beneficiaries by sex", "quantities with regularisations", "stays by hospital"])
def test_a_question_about_many_persons_is_answered_in_full(name: str, snds: Running) -> None:
    assert snds.ask(QUESTIONS[name][0]).complete


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT BEN_NIR_PSA FROM IR_BEN_R", "BORDER_REFUSED"),
        ("SELECT NIR_ANO_17, count(*) FROM T_MCOaaB GROUP BY NIR_ANO_17", "BORDER_REFUSED"),
        ("SELECT count(DISTINCT BEN_IDT_ANO) FROM IR_BEN_R", "POLICY_REFUSED"),
        ("SELECT count(DISTINCT PFS_EXE_NUM) FROM ER_PRS_F", "POLICY_REFUSED"),
        ("SELECT count(*) FROM T_MCOaaB WHERE NIR_ANO_17 IN ('a', 'b')", "BORDER_REFUSED"),
    ],
)
def test_persons_and_professionals_do_not_leave(sql: str, code: str, snds: Running) -> None:
    with pytest.raises(errors.NotAllowedError) as refusal:
        snds.ask(sql)
    assert refusal.value.code == code
