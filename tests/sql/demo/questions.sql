-- The research questions of the demo, over the synthetic world.

-- # Prevalence of diabetes (ALD 8, ICD-10 E10-E14) by age band and region, at CNAM
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
ORDER BY d.region, age_band;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "d"."region" AS "g0", CASE WHEN 2023 - "b"."ben_nai_ann" < 40 THEN '00-39' WHEN 2023 - "b"."ben_nai_ann" < 65 THEN '40-64' ELSE '65+' END AS "g1", COUNT(DISTINCT "b"."ben_idt_ano") AS "p0v", COUNT(DISTINCT "b"."ben_idt_ano") FILTER(WHERE "i"."med_mtf_cod" BETWEEN 'E10' AND 'E149') AS "p1v" FROM "ir_ben_r" AS "b" JOIN "departement" AS "d" ON "d"."code" = "b"."ben_res_dpt" LEFT JOIN "ir_imb_r" AS "i" ON "i"."ben_idt_ano" = "b"."ben_idt_ano" AND "i"."imb_etm_nat" IN ('41', '43', '45') GROUP BY "d"."region", CASE WHEN 2023 - "b"."ben_nai_ann" < 40 THEN '00-39' WHEN 2023 - "b"."ben_nai_ann" < 65 THEN '40-64' ELSE '65+' END
--     -> x1 for s2: crosses as aggregate, about 400 rows and 19,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "age_band", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "with_diabetes", ROUND(1000.0 * CAST(COALESCE("x2"."p1v", 0) AS BIGINT) / CAST(COALESCE("x2"."p0v", 0) AS BIGINT), 1) AS "per_1000" FROM "x2" AS "x2" ORDER BY "region", "age_band"
--
-- Result: region VARCHAR, age_band VARCHAR, persons BIGINT, with_diabetes BIGINT, per_1000 DOUBLE

-- # Stays, mean length of stay and its standard deviation by region, at three hospitals
SELECT h.region, s.SOR_ANN AS year, count(*) AS stays, avg(s.SEJ_NBJ) AS mean_days, stddev_samp(s.SEJ_NBJ) AS sd_days
FROM T_MCOaaB s
JOIN hospitals h ON h.finess = s.ETA_NUM
WHERE s.GRG_GHM NOT LIKE '90%'
GROUP BY h.region, s.SOR_ANN
ORDER BY h.region, year;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "h"."region" AS "g0", "s"."sor_ann" AS "g1", COUNT(*) AS "p0v", SUM("s"."sej_nbj") AS "p1s", COUNT("s"."sej_nbj") AS "p1n", REGR_COUNT(CAST("s"."sej_nbj" AS DOUBLE), CAST("s"."sej_nbj" AS DOUBLE)) AS "p2n", REGR_AVGX(CAST("s"."sej_nbj" AS DOUBLE), CAST("s"."sej_nbj" AS DOUBLE)) AS "p2m", REGR_SXX(CAST("s"."sej_nbj" AS DOUBLE), CAST("s"."sej_nbj" AS DOUBLE)) AS "p2q" FROM "t_mcoaab" AS "s" JOIN "hospitals" AS "h" ON "h"."finess" = "s"."eta_num" WHERE "s"."grg_ghm" NOT LIKE '90%' GROUP BY "h"."region", "s"."sor_ann"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 105,600 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "p0v" AS "p0v", "p1s" AS "p1s", "p1n" AS "p1n", "p2n" AS "p2n", COALESCE("p2q_0" + CAST("p2n_0" AS DOUBLE) * ("p2m_0" - "p2u") * ("p2m_0" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_1" + CAST("p2n_1" AS DOUBLE) * ("p2m_1" - "p2u") * ("p2m_1" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_2" + CAST("p2n_2" AS DOUBLE) * ("p2m_2" - "p2u") * ("p2m_2" - "p2u"), CAST(0 AS DOUBLE)) AS "p2q" FROM (SELECT "g0" AS "g0", "g1" AS "g1", "p0v" AS "p0v", "p1s" AS "p1s", "p1n" AS "p1n", CAST("p2n" AS DOUBLE) AS "p2n", "p2n_0" AS "p2n_0", "p2n_1" AS "p2n_1", "p2n_2" AS "p2n_2", "p2m_0" AS "p2m_0", "p2m_1" AS "p2m_1", "p2m_2" AS "p2m_2", "p2q_0" AS "p2q_0", "p2q_1" AS "p2q_1", "p2q_2" AS "p2q_2", (COALESCE(CAST("p2n_0" AS DOUBLE) * "p2m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_1" AS DOUBLE) * "p2m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_2" AS DOUBLE) * "p2m_2", CAST(0 AS DOUBLE))) / CAST("p2n" AS DOUBLE) AS "p2u" FROM (SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n", SUM("p2n") AS "p2n", MAX("p2n") FILTER(WHERE "_shard" = 0) AS "p2n_0", MAX("p2n") FILTER(WHERE "_shard" = 1) AS "p2n_1", MAX("p2n") FILTER(WHERE "_shard" = 2) AS "p2n_2", MAX("p2m") FILTER(WHERE "_shard" = 0) AS "p2m_0", MAX("p2m") FILTER(WHERE "_shard" = 1) AS "p2m_1", MAX("p2m") FILTER(WHERE "_shard" = 2) AS "p2m_2", MAX("p2q") FILTER(WHERE "_shard" = 0) AS "p2q_0", MAX("p2q") FILTER(WHERE "_shard" = 1) AS "p2q_1", MAX("p2q") FILTER(WHERE "_shard" = 2) AS "p2q_2" FROM "x1" AS "x1" GROUP BY "g0", "g1") AS m) AS c
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "mean_days", CAST(CASE WHEN "x2"."p2n" >= 2 THEN SQRT("x2"."p2q" / ("x2"."p2n" - 1)) ELSE NULL END AS DOUBLE) AS "sd_days" FROM "x2" AS "x2" ORDER BY "region", "year"
--
-- Result: region VARCHAR, year VARCHAR, stays BIGINT, mean_days DOUBLE, sd_days DOUBLE

-- # Readmission to the same hospital within 30 days, by year
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
ORDER BY year;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "ordered"."sor_ann" AS "g0", COUNT(*) AS "p0v", COUNT(*) FILTER(WHERE "ordered"."next_entry" - "ordered"."sor_dat" BETWEEN 1 AND 30) AS "p1v" FROM (SELECT "c"."eta_num" AS "eta_num", "c"."nir_ano_17" AS "nir_ano_17", "c"."sor_ann" AS "sor_ann", "c"."ent_dat" AS "ent_dat", "c"."sor_dat" AS "sor_dat", LEAD("c"."ent_dat") OVER (PARTITION BY "c"."eta_num", "c"."nir_ano_17" ORDER BY "c"."ent_dat", "c"."sor_dat") AS "next_entry" FROM "t_mcoaac" AS "c" WHERE "c"."nir_ret" = '0' AND "c"."dat_ret" = '0') AS "ordered" GROUP BY "ordered"."sor_ann"
--     -> x1 for s2: crosses as aggregate, about 30 rows and 960 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "readmitted", ROUND(100.0 * CAST(COALESCE("x2"."p1v", 0) AS BIGINT) / CAST(COALESCE("x2"."p0v", 0) AS BIGINT), 2) AS "percent" FROM "x2" AS "x2" ORDER BY "year"
--
-- Result: year VARCHAR, stays BIGINT, readmitted BIGINT, percent DOUBLE

-- # Drug use by ATC class: persons, boxes and cost, regularisations netted
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
LIMIT 15;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT SUBSTRING("r"."pha_atc_cla", 1, 3) AS "g0", COUNT(DISTINCT "p"."ben_idt_ano") AS "p0v", SUM("f"."pha_act_qsn") AS "p1v", SUM("p"."prs_pai_mnt") AS "p2v" FROM "er_prs_f" AS "p" JOIN "er_pha_f" AS "f" ON "p"."flx_dis_dtd" = "f"."flx_dis_dtd" AND "p"."flx_trt_dtd" = "f"."flx_trt_dtd" AND "p"."flx_emt_typ" = "f"."flx_emt_typ" AND "p"."flx_emt_num" = "f"."flx_emt_num" AND "p"."flx_emt_ord" = "f"."flx_emt_ord" AND "p"."org_cle_num" = "f"."org_cle_num" AND "p"."dct_ord_num" = "f"."dct_ord_num" AND "p"."prs_ord_num" = "f"."prs_ord_num" AND "p"."rem_typ_aff" = "f"."rem_typ_aff" JOIN "ir_pha_r" AS "r" ON "r"."pha_cip_c13" = "f"."pha_prs_c13" WHERE "p"."dpn_qlf" <> '71' GROUP BY SUBSTRING("r"."pha_atc_cla", 1, 3)
--     -> x1 for s2: crosses as aggregate, about 20 rows and 1,120 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v", ANY_VALUE("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "atc", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST("x2"."p1v" AS INT128) AS "boxes", CAST("x2"."p2v" AS DECIMAL(38, 2)) AS "paid" FROM "x2" AS "x2" WHERE CAST("x2"."p1v" AS INT128) > 0 ORDER BY "paid" DESC LIMIT 15
--
-- Result: atc VARCHAR, persons BIGINT, boxes HUGEINT, paid DECIMAL(38,2)

-- # Yearly reimbursed cost of persons with a long-term illness, by chapter of the illness
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
ORDER BY chapter, year;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "yearly"."chapter" AS "g0", "yearly"."year" AS "g1", COUNT(*) AS "p0v", AVG("yearly"."cost") AS "p1v", STDDEV_SAMP("yearly"."cost") AS "p2v", SUM("yearly"."cost") AS "p3v" FROM (SELECT "p"."ben_idt_ano" AS "ben_idt_ano", "a"."chapter" AS "chapter", YEAR("p"."exe_soi_dtd") AS "year", SUM("p"."bse_rem_mnt") AS "cost" FROM "er_prs_f" AS "p" JOIN (SELECT "ir_imb_r"."ben_idt_ano" AS "ben_idt_ano", MIN(SUBSTRING("ir_imb_r"."med_mtf_cod", 1, 1)) AS "chapter" FROM "ir_imb_r" AS "ir_imb_r" WHERE "ir_imb_r"."imb_etm_nat" IN ('41', '43', '45') GROUP BY "ir_imb_r"."ben_idt_ano") AS "a" ON "a"."ben_idt_ano" = "p"."ben_idt_ano" WHERE "p"."dpn_qlf" <> '71' GROUP BY "p"."ben_idt_ano", "a"."chapter", YEAR("p"."exe_soi_dtd")) AS "yearly" GROUP BY "yearly"."chapter", "yearly"."year"
--     -> x1 for s2: crosses as aggregate, about 400 rows and 25,600 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v", ANY_VALUE("p2v") AS "p2v", ANY_VALUE("p3v") AS "p3v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "chapter", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST("x2"."p1v" AS DOUBLE) AS "mean_cost", CAST("x2"."p2v" AS DOUBLE) AS "sd_cost", CAST("x2"."p3v" AS DECIMAL(38, 2)) AS "total" FROM "x2" AS "x2" ORDER BY "chapter", "year"
--
-- Result: chapter VARCHAR, year BIGINT, persons BIGINT, mean_cost DOUBLE, sd_cost DOUBLE, total DECIMAL(38,2)

-- # Seasonality: stays for respiratory illness by month, share of the year (window over the answer)
SELECT SOR_ANN AS year, SOR_MOI AS month, count(*) AS stays,
       round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY SOR_ANN), 1) AS percent_of_year
FROM T_MCOaaB
WHERE DGN_PAL BETWEEN 'J' AND 'J999'
GROUP BY SOR_ANN, SOR_MOI
ORDER BY year, month;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "t_mcoaab"."sor_ann" AS "g0", "t_mcoaab"."sor_moi" AS "g1", COUNT(*) AS "p0v" FROM "t_mcoaab" AS "t_mcoaab" WHERE "t_mcoaab"."dgn_pal" BETWEEN 'J' AND 'J999' GROUP BY "t_mcoaab"."sor_ann", "t_mcoaab"."sor_moi"
--     -> x1 for s2: crosses as aggregate, about 270 rows and 10,800 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "year", "x2"."g1" AS "month", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", ROUND(100.0 * CAST(COALESCE("x2"."p0v", 0) AS BIGINT) / SUM(CAST(COALESCE("x2"."p0v", 0) AS BIGINT)) OVER (PARTITION BY "x2"."g0"), 1) AS "percent_of_year" FROM "x2" AS "x2" ORDER BY "year", "month"
--
-- Result: year VARCHAR, month VARCHAR, stays BIGINT, percent_of_year DOUBLE

-- # Two holders, one answer: stays at hospitals against persons insured, by department
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
LIMIT 10;
-- Plan with 6 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "ir_ben_r"."ben_res_dpt" AS "g0", COUNT(DISTINCT "ir_ben_r"."ben_idt_ano") AS "p0v" FROM "ir_ben_r" AS "ir_ben_r" GROUP BY "ir_ben_r"."ben_res_dpt"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s6: stays at the coordinator
--
-- s3 node at cnam
--     SELECT "d"."region" AS "region", "d"."code" AS "code" FROM "departement" AS "d"
--     -> x3 for s6: crosses as rows, about 1,000 rows and 32,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 node at hospital_a, hospital_b, hospital_c
--     SELECT "t_mcoaab"."bdi_dep" AS "g0", COUNT(*) AS "p0v" FROM "t_mcoaab" AS "t_mcoaab" WHERE "t_mcoaab"."sor_ann" = '2023' GROUP BY "t_mcoaab"."bdi_dep"
--     -> x4 for s5: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x2, x3, x5
--     SELECT "d"."region" AS "region", SUM("insured"."persons") AS "persons", SUM("hospital"."stays") AS "stays", ROUND(1000.0 * SUM("hospital"."stays") / SUM("insured"."persons"), 1) AS "stays_per_1000" FROM (SELECT "x2"."g0" AS "dept", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons" FROM "x2" AS "x2") AS "insured" JOIN "x3" AS "d" ON "d"."code" = "insured"."dept" LEFT JOIN (SELECT "x5"."g0" AS "dept", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "stays" FROM "x5" AS "x5") AS "hospital" ON "hospital"."dept" = "insured"."dept" GROUP BY "d"."region" ORDER BY "stays_per_1000" DESC LIMIT 10
--
-- Result: region VARCHAR, persons HUGEINT, stays HUGEINT, stays_per_1000 DOUBLE
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at cnam, shipping t_mcoaab from hospital_a, hospital_b, hospital_c, about 9,600 bytes: 'hospital_a' would have to send rows of 't_mcoaab', which are about persons, to another node, and the permit does not say linkage.
-- Not taken: run at hospital_a, shipping ir_ben_r from cnam; t_mcoaab from hospital_b, hospital_c, about 38,400 bytes: it moves more bytes
-- Not taken: run at hospital_a, hospital_b, hospital_c, shipping ir_ben_r from cnam, about 96,000 bytes: it moves more bytes

-- # A rare disease: fewer than 11 patients at a hospital, so the hospitals keep it back
SELECT DGN_PAL AS diagnosis, count(*) AS stays, avg(AGE_ANN) AS mean_age
FROM T_MCOaaB
WHERE DGN_PAL IN ('E752', 'G122', 'I10', 'J189')
GROUP BY DGN_PAL
ORDER BY diagnosis;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "t_mcoaab"."dgn_pal" AS "g0", COUNT(*) AS "p0v", SUM("t_mcoaab"."age_ann") AS "p1s", COUNT("t_mcoaab"."age_ann") AS "p1n" FROM "t_mcoaab" AS "t_mcoaab" WHERE "t_mcoaab"."dgn_pal" IN ('E752', 'G122', 'I10', 'J189') GROUP BY "t_mcoaab"."dgn_pal"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,880 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "diagnosis", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "mean_age" FROM "x2" AS "x2" ORDER BY "diagnosis"
--
-- Result: diagnosis VARCHAR, stays BIGINT, mean_age DOUBLE

-- # Laboratory values (OMOP): glycated haemoglobin by sex and year, slope against age
SELECT p.gender_concept_id, year(m.measurement_date) AS year, count(*) AS measurements,
       avg(m.value_as_number) AS mean, stddev_pop(m.value_as_number) AS sd,
       regr_slope(m.value_as_number, year(m.measurement_date) - p.year_of_birth) AS slope_per_year_of_age
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.measurement_concept_id = 3004410
GROUP BY p.gender_concept_id, year(m.measurement_date)
ORDER BY 1, 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "p"."gender_concept_id" AS "g0", YEAR("m"."measurement_date") AS "g1", COUNT(*) AS "p0v", FSUM(CAST("m"."value_as_number" AS DOUBLE)) AS "p1s", SUM(CAST("m"."value_as_number" AS DOUBLE)) AS "p1i", COUNT("m"."value_as_number") AS "p1n", REGR_COUNT(CAST("m"."value_as_number" AS DOUBLE), CAST("m"."value_as_number" AS DOUBLE)) AS "p2n", REGR_AVGX(CAST("m"."value_as_number" AS DOUBLE), CAST("m"."value_as_number" AS DOUBLE)) AS "p2m", REGR_SXX(CAST("m"."value_as_number" AS DOUBLE), CAST("m"."value_as_number" AS DOUBLE)) AS "p2q", REGR_COUNT(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3n", REGR_AVGX(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3mx", REGR_AVGY(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3my", REGR_SXX(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3xx", REGR_SYY(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3yy", REGR_SXY(CAST("m"."value_as_number" AS DOUBLE), CAST(YEAR("m"."measurement_date") - "p"."year_of_birth" AS DOUBLE)) AS "p3xy" FROM "measurement" AS "m" JOIN "person" AS "p" ON "p"."person_id" = "m"."person_id" WHERE "m"."measurement_concept_id" = 3004410 GROUP BY "p"."gender_concept_id", YEAR("m"."measurement_date")
--     -> x1 for s2: crosses as aggregate, about 300 rows and 34,800 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "p0v" AS "p0v", "p1t" AS "p1t", "p1n" AS "p1n", "p2n" AS "p2n", COALESCE("p2q_0" + CAST("p2n_0" AS DOUBLE) * ("p2m_0" - "p2u") * ("p2m_0" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_1" + CAST("p2n_1" AS DOUBLE) * ("p2m_1" - "p2u") * ("p2m_1" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_2" + CAST("p2n_2" AS DOUBLE) * ("p2m_2" - "p2u") * ("p2m_2" - "p2u"), CAST(0 AS DOUBLE)) AS "p2q", "p3n" AS "p3n", "p3ux" AS "p3mx", "p3uy" AS "p3my", COALESCE("p3xx_0" + CAST("p3n_0" AS DOUBLE) * ("p3mx_0" - "p3ux") * ("p3mx_0" - "p3ux"), CAST(0 AS DOUBLE)) + COALESCE("p3xx_1" + CAST("p3n_1" AS DOUBLE) * ("p3mx_1" - "p3ux") * ("p3mx_1" - "p3ux"), CAST(0 AS DOUBLE)) + COALESCE("p3xx_2" + CAST("p3n_2" AS DOUBLE) * ("p3mx_2" - "p3ux") * ("p3mx_2" - "p3ux"), CAST(0 AS DOUBLE)) AS "p3xx", COALESCE("p3yy_0" + CAST("p3n_0" AS DOUBLE) * ("p3my_0" - "p3uy") * ("p3my_0" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3yy_1" + CAST("p3n_1" AS DOUBLE) * ("p3my_1" - "p3uy") * ("p3my_1" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3yy_2" + CAST("p3n_2" AS DOUBLE) * ("p3my_2" - "p3uy") * ("p3my_2" - "p3uy"), CAST(0 AS DOUBLE)) AS "p3yy", COALESCE("p3xy_0" + CAST("p3n_0" AS DOUBLE) * ("p3mx_0" - "p3ux") * ("p3my_0" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3xy_1" + CAST("p3n_1" AS DOUBLE) * ("p3mx_1" - "p3ux") * ("p3my_1" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3xy_2" + CAST("p3n_2" AS DOUBLE) * ("p3mx_2" - "p3ux") * ("p3my_2" - "p3uy"), CAST(0 AS DOUBLE)) AS "p3xy" FROM (SELECT "g0" AS "g0", "g1" AS "g1", "p0v" AS "p0v", CASE WHEN ISFINITE("p1i") THEN CASE WHEN "p1c" = 0 THEN NULL ELSE (COALESCE("p1s_0", CAST(0 AS DOUBLE)) + COALESCE("p1s_1", CAST(0 AS DOUBLE)) + COALESCE("p1s_2", CAST(0 AS DOUBLE))) END ELSE "p1i" END AS "p1t", "p1n" AS "p1n", CAST("p2n" AS DOUBLE) AS "p2n", "p2n_0" AS "p2n_0", "p2n_1" AS "p2n_1", "p2n_2" AS "p2n_2", "p2m_0" AS "p2m_0", "p2m_1" AS "p2m_1", "p2m_2" AS "p2m_2", "p2q_0" AS "p2q_0", "p2q_1" AS "p2q_1", "p2q_2" AS "p2q_2", (COALESCE(CAST("p2n_0" AS DOUBLE) * "p2m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_1" AS DOUBLE) * "p2m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_2" AS DOUBLE) * "p2m_2", CAST(0 AS DOUBLE))) / CAST("p2n" AS DOUBLE) AS "p2u", CAST("p3n" AS DOUBLE) AS "p3n", "p3n_0" AS "p3n_0", "p3n_1" AS "p3n_1", "p3n_2" AS "p3n_2", "p3mx_0" AS "p3mx_0", "p3mx_1" AS "p3mx_1", "p3mx_2" AS "p3mx_2", "p3my_0" AS "p3my_0", "p3my_1" AS "p3my_1", "p3my_2" AS "p3my_2", "p3xx_0" AS "p3xx_0", "p3xx_1" AS "p3xx_1", "p3xx_2" AS "p3xx_2", "p3yy_0" AS "p3yy_0", "p3yy_1" AS "p3yy_1", "p3yy_2" AS "p3yy_2", "p3xy_0" AS "p3xy_0", "p3xy_1" AS "p3xy_1", "p3xy_2" AS "p3xy_2", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3mx_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3ux", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3my_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3uy" FROM (SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", MAX("p1s") FILTER(WHERE "_shard" = 0) AS "p1s_0", MAX("p1s") FILTER(WHERE "_shard" = 1) AS "p1s_1", MAX("p1s") FILTER(WHERE "_shard" = 2) AS "p1s_2", SUM("p1i") AS "p1i", COUNT("p1s") AS "p1c", SUM("p1n") AS "p1n", SUM("p2n") AS "p2n", MAX("p2n") FILTER(WHERE "_shard" = 0) AS "p2n_0", MAX("p2n") FILTER(WHERE "_shard" = 1) AS "p2n_1", MAX("p2n") FILTER(WHERE "_shard" = 2) AS "p2n_2", MAX("p2m") FILTER(WHERE "_shard" = 0) AS "p2m_0", MAX("p2m") FILTER(WHERE "_shard" = 1) AS "p2m_1", MAX("p2m") FILTER(WHERE "_shard" = 2) AS "p2m_2", MAX("p2q") FILTER(WHERE "_shard" = 0) AS "p2q_0", MAX("p2q") FILTER(WHERE "_shard" = 1) AS "p2q_1", MAX("p2q") FILTER(WHERE "_shard" = 2) AS "p2q_2", SUM("p3n") AS "p3n", MAX("p3n") FILTER(WHERE "_shard" = 0) AS "p3n_0", MAX("p3n") FILTER(WHERE "_shard" = 1) AS "p3n_1", MAX("p3n") FILTER(WHERE "_shard" = 2) AS "p3n_2", MAX("p3mx") FILTER(WHERE "_shard" = 0) AS "p3mx_0", MAX("p3mx") FILTER(WHERE "_shard" = 1) AS "p3mx_1", MAX("p3mx") FILTER(WHERE "_shard" = 2) AS "p3mx_2", MAX("p3my") FILTER(WHERE "_shard" = 0) AS "p3my_0", MAX("p3my") FILTER(WHERE "_shard" = 1) AS "p3my_1", MAX("p3my") FILTER(WHERE "_shard" = 2) AS "p3my_2", MAX("p3xx") FILTER(WHERE "_shard" = 0) AS "p3xx_0", MAX("p3xx") FILTER(WHERE "_shard" = 1) AS "p3xx_1", MAX("p3xx") FILTER(WHERE "_shard" = 2) AS "p3xx_2", MAX("p3yy") FILTER(WHERE "_shard" = 0) AS "p3yy_0", MAX("p3yy") FILTER(WHERE "_shard" = 1) AS "p3yy_1", MAX("p3yy") FILTER(WHERE "_shard" = 2) AS "p3yy_2", MAX("p3xy") FILTER(WHERE "_shard" = 0) AS "p3xy_0", MAX("p3xy") FILTER(WHERE "_shard" = 1) AS "p3xy_1", MAX("p3xy") FILTER(WHERE "_shard" = 2) AS "p3xy_2" FROM "x1" AS "x1" GROUP BY "g0", "g1") AS m) AS c
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "gender_concept_id", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "measurements", CAST(("x2"."p1t" / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "mean", CAST(CASE WHEN "x2"."p2n" >= 1 THEN SQRT("x2"."p2q" / "x2"."p2n") ELSE NULL END AS DOUBLE) AS "sd", CAST(CASE WHEN "x2"."p3n" >= 1 THEN CASE WHEN "x2"."p3xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p3xy" / "x2"."p3xx" END ELSE NULL END AS DOUBLE) AS "slope_per_year_of_age" FROM "x2" AS "x2" ORDER BY "gender_concept_id", "year"
--
-- Result: gender_concept_id INTEGER, year BIGINT, measurements BIGINT, mean DOUBLE, sd DOUBLE, slope_per_year_of_age DOUBLE

-- # Many groups, merged on Ray: stays by hospital, month, sex and age, with subtotals
SELECT _node, SOR_ANN, SOR_MOI, COD_SEX,
       CASE WHEN AGE_ANN < 40 THEN '00-39' WHEN AGE_ANN < 65 THEN '40-64' ELSE '65+' END AS age,
       count(*) AS stays, sum(SEJ_NBJ) AS days, avg(SEJ_NBJ) AS mean_days
FROM T_MCOaaB
GROUP BY ROLLUP (_node, SOR_ANN, SOR_MOI, COD_SEX, age)
ORDER BY 1, 2, 3, 4, 5;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at hospital_a, hospital_b, hospital_c
--     SELECT "x0"."c0" AS "g0", "x0"."c1" AS "g1", "x0"."c2" AS "g2", "x0"."c3" AS "g3", "x0"."k4" AS "g4", GROUPING("x0"."c0", "x0"."c1", "x0"."c2", "x0"."c3", "x0"."k4") AS "gid", COUNT(*) AS "p0v", SUM("x0"."c4") AS "p1s", SUM("x0"."c4") AS "p2s", COUNT("x0"."c4") AS "p2n" FROM (SELECT CASE WHEN "t_mcoaab"."age_ann" < 40 THEN '00-39' WHEN "t_mcoaab"."age_ann" < 65 THEN '40-64' ELSE '65+' END AS "k4", "t_mcoaab"."_node" AS "c0", "t_mcoaab"."sor_ann" AS "c1", "t_mcoaab"."sor_moi" AS "c2", "t_mcoaab"."cod_sex" AS "c3", "t_mcoaab"."sej_nbj" AS "c4" FROM "t_mcoaab" AS "t_mcoaab") AS "x0" GROUP BY ROLLUP ("x0"."c0", "x0"."c1", "x0"."c2", "x0"."c3", "x0"."k4")
--     -> x1 for s2: crosses as aggregate, about 3,000 rows and 408,000 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", "g3" AS "g3", "g4" AS "g4", "gid" AS "gid", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n" FROM "x1" AS "x1" GROUP BY "g0", "g1", "g2", "g3", "g4", "gid"
--     may be cut by hash of: g0, g1, g2, g3, g4, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "_node", "x2"."g1" AS "SOR_ANN", "x2"."g2" AS "SOR_MOI", "x2"."g3" AS "COD_SEX", "x2"."g4" AS "age", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", CAST("x2"."p1s" AS INT128) AS "days", CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "mean_days" FROM "x2" AS "x2" ORDER BY "_node", "sor_ann", "sor_moi", "cod_sex", "age"
--
-- Result: _node VARCHAR, SOR_ANN VARCHAR, SOR_MOI VARCHAR, COD_SEX VARCHAR, age VARCHAR, stays BIGINT, days HUGEINT, mean_days DOUBLE

-- # What does not leave: single patients
SELECT NIR_ANO_17, DGN_PAL
FROM T_MCOaaB
WHERE DGN_PAL = 'G122';
-- BORDER_REFUSED at line 1, column 8 by rule person-output
-- The column 'NIR_ANO_17' identifies persons and never leaves the node.
-- Hint: Count persons with count(DISTINCT NIR_ANO_17).
