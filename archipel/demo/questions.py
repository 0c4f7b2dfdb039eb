"""The research questions of the demo: what a team would ask of CNAM and three hospitals, as SQL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A question. The first ``keys`` columns of its answer identify a row, for the check against one DuckDB."""

    title: str
    sql: str
    keys: int
    expect_refusal: bool = False
    on_ray: bool = False
    """Whether the demo's threshold is set so that its partials are merged on Ray."""


QUESTIONS: tuple[Question, ...] = (
    Question(
        "Prevalence of diabetes (ALD 8, ICD-10 E10-E14) by age band and region, at CNAM",
        """
SELECT d.region,
       CASE WHEN 2023 - b.BEN_NAI_ANN < 40 THEN '00-39'
            WHEN 2023 - b.BEN_NAI_ANN < 65 THEN '40-64' ELSE '65+' END AS age_band,
       count(DISTINCT b.BEN_IDT_ANO) AS persons,
       count(DISTINCT b.BEN_IDT_ANO) FILTER (WHERE i.MED_MTF_COD BETWEEN 'E10' AND 'E149') AS with_diabetes,
       round(1000.0 * count(DISTINCT b.BEN_IDT_ANO) FILTER (WHERE i.MED_MTF_COD BETWEEN 'E10' AND 'E149')
             / count(DISTINCT b.BEN_IDT_ANO), 1) AS per_1000
FROM IR_BEN_R b
JOIN departement d ON d.code = b.BEN_RES_DPT
LEFT JOIN IR_IMB_R i ON i.BEN_IDT_ANO = b.BEN_IDT_ANO AND i.IMB_ETM_NAT IN ('41', '43', '45')
GROUP BY d.region, age_band
ORDER BY d.region, age_band
""",
        keys=2,
    ),
    Question(
        "Stays, mean length of stay and its standard deviation by region, at three hospitals",
        """
SELECT h.region, s.SOR_ANN AS year, count(*) AS stays, avg(s.SEJ_NBJ) AS mean_days, stddev_samp(s.SEJ_NBJ) AS sd_days
FROM T_MCOaaB s
JOIN hospitals h ON h.finess = s.ETA_NUM
WHERE s.GRG_GHM NOT LIKE '90%'
GROUP BY h.region, s.SOR_ANN
ORDER BY h.region, year
""",
        keys=2,
    ),
    Question(
        "Readmission to the same hospital within 30 days, by year",
        """
WITH ordered AS (
  SELECT c.ETA_NUM, c.NIR_ANO_17, c.SOR_ANN, c.ENT_DAT, c.SOR_DAT,
         lead(c.ENT_DAT) OVER (PARTITION BY c.ETA_NUM, c.NIR_ANO_17 ORDER BY c.ENT_DAT, c.SOR_DAT) AS next_entry
  FROM T_MCOaaC c
  WHERE c.NIR_RET = '0' AND c.DAT_RET = '0'
)
SELECT SOR_ANN AS year, count(*) AS stays,
       count(*) FILTER (WHERE next_entry - SOR_DAT BETWEEN 1 AND 30) AS readmitted,
       round(100.0 * count(*) FILTER (WHERE next_entry - SOR_DAT BETWEEN 1 AND 30) / count(*), 2) AS percent
FROM ordered
GROUP BY SOR_ANN
ORDER BY year
""",
        keys=1,
    ),
    Question(
        "Drug use by ATC class: persons, boxes and cost, regularisations netted",
        """
SELECT substr(r.PHA_ATC_CLA, 1, 3) AS atc, count(DISTINCT p.BEN_IDT_ANO) AS persons, sum(f.PHA_ACT_QSN) AS boxes,
       sum(p.PRS_PAI_MNT) AS paid
FROM ER_PRS_F p
JOIN ER_PHA_F f USING (FLX_DIS_DTD, FLX_TRT_DTD, FLX_EMT_TYP, FLX_EMT_NUM, FLX_EMT_ORD, ORG_CLE_NUM,
                       DCT_ORD_NUM, PRS_ORD_NUM, REM_TYP_AFF)
JOIN IR_PHA_R r ON r.PHA_CIP_C13 = f.PHA_PRS_C13
WHERE p.DPN_QLF <> '71'
GROUP BY atc
HAVING sum(f.PHA_ACT_QSN) > 0
ORDER BY paid DESC
LIMIT 15
""",
        keys=1,
    ),
    Question(
        "Yearly reimbursed cost of persons with a long-term illness, by chapter of the illness",
        """
WITH ald AS (
  SELECT BEN_IDT_ANO, min(substr(MED_MTF_COD, 1, 1)) AS chapter
  FROM IR_IMB_R
  WHERE IMB_ETM_NAT IN ('41', '43', '45')
  GROUP BY BEN_IDT_ANO
), yearly AS (
  SELECT p.BEN_IDT_ANO, a.chapter, year(p.EXE_SOI_DTD) AS year, sum(p.BSE_REM_MNT) AS cost
  FROM ER_PRS_F p
  JOIN ald a ON a.BEN_IDT_ANO = p.BEN_IDT_ANO
  WHERE p.DPN_QLF <> '71'
  GROUP BY p.BEN_IDT_ANO, a.chapter, year(p.EXE_SOI_DTD)
)
SELECT chapter, year, count(*) AS persons, avg(cost) AS mean_cost, stddev_samp(cost) AS sd_cost, sum(cost) AS total
FROM yearly
GROUP BY chapter, year
ORDER BY chapter, year
""",
        keys=2,
    ),
    Question(
        "Seasonality: stays for respiratory illness by month, share of the year (window over the answer)",
        """
SELECT SOR_ANN AS year, SOR_MOI AS month, count(*) AS stays,
       round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY SOR_ANN), 1) AS percent_of_year
FROM T_MCOaaB
WHERE DGN_PAL BETWEEN 'J' AND 'J999'
GROUP BY SOR_ANN, SOR_MOI
ORDER BY year, month
""",
        keys=2,
    ),
    Question(
        "Two holders, one answer: stays at hospitals against persons insured, by department",
        """
WITH insured AS (
  SELECT BEN_RES_DPT AS dept, count(DISTINCT BEN_IDT_ANO) AS persons
  FROM IR_BEN_R
  GROUP BY BEN_RES_DPT
), hospital AS (
  SELECT BDI_DEP AS dept, count(*) AS stays
  FROM T_MCOaaB
  WHERE SOR_ANN = '2023'
  GROUP BY BDI_DEP
)
SELECT d.region, sum(insured.persons) AS persons, sum(hospital.stays) AS stays,
       round(1000.0 * sum(hospital.stays) / sum(insured.persons), 1) AS stays_per_1000
FROM insured
JOIN departement d ON d.code = insured.dept
LEFT JOIN hospital ON hospital.dept = insured.dept
GROUP BY d.region
ORDER BY stays_per_1000 DESC
LIMIT 10
""",
        keys=1,
    ),
    Question(
        "A rare disease: fewer than 11 patients at a hospital, so the hospitals keep it back",
        """
SELECT DGN_PAL AS diagnosis, count(*) AS stays, avg(AGE_ANN) AS mean_age
FROM T_MCOaaB
WHERE DGN_PAL IN ('E752', 'G122', 'I10', 'J189')
GROUP BY DGN_PAL
ORDER BY diagnosis
""",
        keys=1,
    ),
    Question(
        "Laboratory values (OMOP): glycated haemoglobin by sex and year, slope against age",
        """
SELECT p.gender_concept_id, year(m.measurement_date) AS year, count(*) AS measurements,
       avg(m.value_as_number) AS mean, stddev_pop(m.value_as_number) AS sd,
       regr_slope(m.value_as_number, year(m.measurement_date) - p.year_of_birth) AS slope_per_year_of_age
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.measurement_concept_id = 3004410
GROUP BY p.gender_concept_id, year(m.measurement_date)
ORDER BY 1, 2
""",
        keys=2,
    ),
    Question(
        "Many groups, merged on Ray: stays by hospital, month, sex and age, with subtotals",
        """
SELECT _node, SOR_ANN, SOR_MOI, COD_SEX,
       CASE WHEN AGE_ANN < 40 THEN '00-39' WHEN AGE_ANN < 65 THEN '40-64' ELSE '65+' END AS age,
       count(*) AS stays, sum(SEJ_NBJ) AS days, avg(SEJ_NBJ) AS mean_days
FROM T_MCOaaB
GROUP BY ROLLUP (_node, SOR_ANN, SOR_MOI, COD_SEX, age)
ORDER BY 1, 2, 3, 4, 5
""",
        keys=5,
        on_ray=True,
    ),
    Question(
        "What does not leave: single patients",
        """
SELECT NIR_ANO_17, DGN_PAL
FROM T_MCOaaB
WHERE DGN_PAL = 'G122'
""",
        keys=1,
        expect_refusal=True,
    ),
)
