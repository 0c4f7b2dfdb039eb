-- Aggregates over tables whose rows are at three hospitals: partials at the nodes, merged by formula.

-- # Count of everything is one row
SELECT count(*) FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "_col_0" FROM "x2" AS "x2"
--
-- Result: count_star() BIGINT

-- # Counts skip NULL, FILTER keeps rows, count_if counts truth
SELECT kind, count(*) AS n, count(beds) AS known, count(*) FILTER (WHERE beds > 15) AS large,
       count_if(active) AS active, count(load) FILTER (WHERE active) AS loaded
FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v", COUNT("wards"."beds") AS "p1v", COUNT(*) FILTER(WHERE "wards"."beds" > 15) AS "p2v", COUNT_IF("wards"."active") AS "p3v", COUNT("wards"."load") FILTER(WHERE "wards"."active") AS "p4v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v", SUM("p2v") AS "p2v", SUM("p3v") AS "p3v", SUM("p4v") AS "p4v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "known", CAST(COALESCE("x2"."p2v", 0) AS BIGINT) AS "large", CAST("x2"."p3v" AS INT128) AS "active", CAST(COALESCE("x2"."p4v", 0) AS BIGINT) AS "loaded" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT, known BIGINT, large BIGINT, active HUGEINT, loaded BIGINT

-- # Sums of integers, decimals, booleans, huge integers and doubles keep their types
SELECT sum(beds) AS a, sum(budget) AS b, sum(big) AS c, sum(nurses_load) AS d, sum(active::INTEGER) AS e, sum(flags) AS f
FROM (SELECT *, load + 1 AS nurses_load FROM wards WHERE NOT isnan(load));
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("_0"."beds") AS "p0s", SUM("_0"."budget") AS "p1s", SUM("_0"."big") AS "p2s", FSUM(CAST("_0"."nurses_load" AS DOUBLE)) AS "p3s", SUM(CAST("_0"."nurses_load" AS DOUBLE)) AS "p3i", SUM(CAST("_0"."active" AS INT)) AS "p4s", SUM("_0"."flags") AS "p5s" FROM (SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags", "wards"."load" + 1 AS "nurses_load" FROM "wards" AS "wards" WHERE NOT ISNAN("wards"."load")) AS "_0"
--     -> x1 for s2: crosses as rows, about 3 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0s" AS "p0s", "p1s" AS "p1s", "p2s" AS "p2s", CASE WHEN ISFINITE("p3i") THEN CASE WHEN "p3c" = 0 THEN NULL ELSE (COALESCE("p3s_0", CAST(0 AS DOUBLE)) + COALESCE("p3s_1", CAST(0 AS DOUBLE)) + COALESCE("p3s_2", CAST(0 AS DOUBLE))) END ELSE "p3i" END AS "p3t", "p4s" AS "p4s", "p5s" AS "p5s" FROM (SELECT SUM("p0s") AS "p0s", SUM("p1s") AS "p1s", SUM("p2s") AS "p2s", MAX("p3s") FILTER(WHERE "_shard" = 0) AS "p3s_0", MAX("p3s") FILTER(WHERE "_shard" = 1) AS "p3s_1", MAX("p3s") FILTER(WHERE "_shard" = 2) AS "p3s_2", SUM("p3i") AS "p3i", COUNT("p3s") AS "p3c", SUM("p4s") AS "p4s", SUM("p5s") AS "p5s" FROM "x1" AS "x1") AS m
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "a", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "b", CAST("x2"."p2s" AS INT128) AS "c", CAST("x2"."p3t" AS DOUBLE) AS "d", CAST("x2"."p4s" AS INT128) AS "e", CAST("x2"."p5s" AS INT128) AS "f" FROM "x2" AS "x2"
--
-- Result: a HUGEINT, b DECIMAL(38,2), c HUGEINT, d DOUBLE, e HUGEINT, f HUGEINT

-- # A sum over nothing is NULL, a count over nothing is 0, and there is one row
SELECT sum(beds), count(*), avg(load), min(ward), stddev(load), bool_and(active), product(beds)
FROM wards WHERE beds < 0;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT(*) AS "p1v", FSUM(CAST("wards"."load" AS DOUBLE)) AS "p2s", SUM(CAST("wards"."load" AS DOUBLE)) AS "p2i", COUNT("wards"."load") AS "p2n", MIN("wards"."ward") AS "p3v", REGR_COUNT(CAST("wards"."load" AS DOUBLE), CAST("wards"."load" AS DOUBLE)) AS "p4n", REGR_AVGX(CAST("wards"."load" AS DOUBLE), CAST("wards"."load" AS DOUBLE)) AS "p4m", REGR_SXX(CAST("wards"."load" AS DOUBLE), CAST("wards"."load" AS DOUBLE)) AS "p4q", BOOL_AND(CAST("wards"."active" AS BOOLEAN)) AS "p5v", PRODUCT("wards"."beds") AS "p6v" FROM "wards" AS "wards" WHERE "wards"."beds" < 0
--     -> x1 for s2: crosses as rows, about 3 rows and 291 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0s" AS "p0s", "p1v" AS "p1v", "p2t" AS "p2t", "p2n" AS "p2n", "p3v" AS "p3v", "p4n" AS "p4n", COALESCE("p4q_0" + CAST("p4n_0" AS DOUBLE) * ("p4m_0" - "p4u") * ("p4m_0" - "p4u"), CAST(0 AS DOUBLE)) + COALESCE("p4q_1" + CAST("p4n_1" AS DOUBLE) * ("p4m_1" - "p4u") * ("p4m_1" - "p4u"), CAST(0 AS DOUBLE)) + COALESCE("p4q_2" + CAST("p4n_2" AS DOUBLE) * ("p4m_2" - "p4u") * ("p4m_2" - "p4u"), CAST(0 AS DOUBLE)) AS "p4q", "p5v" AS "p5v", "p6t" AS "p6t" FROM (SELECT "p0s" AS "p0s", "p1v" AS "p1v", CASE WHEN ISFINITE("p2i") THEN CASE WHEN "p2c" = 0 THEN NULL ELSE (COALESCE("p2s_0", CAST(0 AS DOUBLE)) + COALESCE("p2s_1", CAST(0 AS DOUBLE)) + COALESCE("p2s_2", CAST(0 AS DOUBLE))) END ELSE "p2i" END AS "p2t", "p2n" AS "p2n", "p3v" AS "p3v", CAST("p4n" AS DOUBLE) AS "p4n", "p4n_0" AS "p4n_0", "p4n_1" AS "p4n_1", "p4n_2" AS "p4n_2", "p4m_0" AS "p4m_0", "p4m_1" AS "p4m_1", "p4m_2" AS "p4m_2", "p4q_0" AS "p4q_0", "p4q_1" AS "p4q_1", "p4q_2" AS "p4q_2", (COALESCE(CAST("p4n_0" AS DOUBLE) * "p4m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p4n_1" AS DOUBLE) * "p4m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p4n_2" AS DOUBLE) * "p4m_2", CAST(0 AS DOUBLE))) / CAST("p4n" AS DOUBLE) AS "p4u", "p5v" AS "p5v", CASE WHEN "p6c" = 0 THEN NULL ELSE (COALESCE("p6v_0", CAST(1 AS DOUBLE)) * COALESCE("p6v_1", CAST(1 AS DOUBLE)) * COALESCE("p6v_2", CAST(1 AS DOUBLE))) END AS "p6t" FROM (SELECT SUM("p0s") AS "p0s", SUM("p1v") AS "p1v", MAX("p2s") FILTER(WHERE "_shard" = 0) AS "p2s_0", MAX("p2s") FILTER(WHERE "_shard" = 1) AS "p2s_1", MAX("p2s") FILTER(WHERE "_shard" = 2) AS "p2s_2", SUM("p2i") AS "p2i", COUNT("p2s") AS "p2c", SUM("p2n") AS "p2n", MIN("p3v") AS "p3v", SUM("p4n") AS "p4n", MAX("p4n") FILTER(WHERE "_shard" = 0) AS "p4n_0", MAX("p4n") FILTER(WHERE "_shard" = 1) AS "p4n_1", MAX("p4n") FILTER(WHERE "_shard" = 2) AS "p4n_2", MAX("p4m") FILTER(WHERE "_shard" = 0) AS "p4m_0", MAX("p4m") FILTER(WHERE "_shard" = 1) AS "p4m_1", MAX("p4m") FILTER(WHERE "_shard" = 2) AS "p4m_2", MAX("p4q") FILTER(WHERE "_shard" = 0) AS "p4q_0", MAX("p4q") FILTER(WHERE "_shard" = 1) AS "p4q_1", MAX("p4q") FILTER(WHERE "_shard" = 2) AS "p4q_2", BOOL_AND(CAST("p5v" AS BOOLEAN)) AS "p5v", MAX("p6v") FILTER(WHERE "_shard" = 0) AS "p6v_0", MAX("p6v") FILTER(WHERE "_shard" = 1) AS "p6v_1", MAX("p6v") FILTER(WHERE "_shard" = 2) AS "p6v_2", COUNT("p6v") AS "p6c" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "_col_0", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "_col_1", CAST(("x2"."p2t" / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "_col_2", CAST("x2"."p3v" AS TEXT) AS "_col_3", CAST(CASE WHEN "x2"."p4n" >= 2 THEN SQRT("x2"."p4q" / ("x2"."p4n" - 1)) ELSE NULL END AS DOUBLE) AS "_col_4", CAST("x2"."p5v" AS BOOLEAN) AS "_col_5", CAST("x2"."p6t" AS DOUBLE) AS "_col_6" FROM "x2" AS "x2"
--
-- Result: sum(beds) HUGEINT, count_star() BIGINT, avg("load") DOUBLE, min(ward) VARCHAR, stddev("load") DOUBLE, bool_and(active) BOOLEAN, product(beds) DOUBLE

-- # A grouped aggregation over nothing has no row
SELECT kind, sum(beds), count(*) FROM wards WHERE beds < 0 GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s", COUNT(*) AS "p1v" FROM "wards" AS "wards" WHERE "wards"."beds" < 0 GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 8 rows and 320 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "_col_1", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "_col_2" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, sum(beds) HUGEINT, count_star() BIGINT

-- # Means of integers, decimals and doubles
SELECT kind, avg(beds) AS a, avg(budget) AS b, avg(load) AS c, avg(ratio) AS d FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s", COUNT("wards"."beds") AS "p0n", SUM("wards"."budget") AS "p1s", COUNT("wards"."budget") AS "p1n", FSUM(CAST("wards"."load" AS DOUBLE)) AS "p2s", SUM(CAST("wards"."load" AS DOUBLE)) AS "p2i", COUNT("wards"."load") AS "p2n", FSUM(CAST("wards"."ratio" AS DOUBLE)) AS "p3s", SUM(CAST("wards"."ratio" AS DOUBLE)) AS "p3i", COUNT("wards"."ratio") AS "p3n" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 2,800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "p0s" AS "p0s", "p0n" AS "p0n", "p1s" AS "p1s", "p1n" AS "p1n", CASE WHEN ISFINITE("p2i") THEN CASE WHEN "p2c" = 0 THEN NULL ELSE (COALESCE("p2s_0", CAST(0 AS DOUBLE)) + COALESCE("p2s_1", CAST(0 AS DOUBLE)) + COALESCE("p2s_2", CAST(0 AS DOUBLE))) END ELSE "p2i" END AS "p2t", "p2n" AS "p2n", CASE WHEN ISFINITE("p3i") THEN CASE WHEN "p3c" = 0 THEN NULL ELSE (COALESCE("p3s_0", CAST(0 AS DOUBLE)) + COALESCE("p3s_1", CAST(0 AS DOUBLE)) + COALESCE("p3s_2", CAST(0 AS DOUBLE))) END ELSE "p3i" END AS "p3t", "p3n" AS "p3n" FROM (SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p0n") AS "p0n", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n", MAX("p2s") FILTER(WHERE "_shard" = 0) AS "p2s_0", MAX("p2s") FILTER(WHERE "_shard" = 1) AS "p2s_1", MAX("p2s") FILTER(WHERE "_shard" = 2) AS "p2s_2", SUM("p2i") AS "p2i", COUNT("p2s") AS "p2c", SUM("p2n") AS "p2n", MAX("p3s") FILTER(WHERE "_shard" = 0) AS "p3s_0", MAX("p3s") FILTER(WHERE "_shard" = 1) AS "p3s_1", MAX("p3s") FILTER(WHERE "_shard" = 2) AS "p3s_2", SUM("p3i") AS "p3i", COUNT("p3s") AS "p3c", SUM("p3n") AS "p3n" FROM "x1" AS "x1" GROUP BY "g0") AS m
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "a", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "b", CAST(("x2"."p2t" / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "c", CAST(("x2"."p3t" / CAST("x2"."p3n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE

-- # Extremes of every type
SELECT min(beds), max(budget), min(load), max(load), min(opened), max(noted), min(ward), max(ward), min(big), max(flags),
       min(active), max(active)
FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT MIN("wards"."beds") AS "p0v", MAX("wards"."budget") AS "p1v", MIN("wards"."load") AS "p2v", MAX("wards"."load") AS "p3v", MIN("wards"."opened") AS "p4v", MAX("wards"."noted") AS "p5v", MIN("wards"."ward") AS "p6v", MAX("wards"."ward") AS "p7v", MIN("wards"."big") AS "p8v", MAX("wards"."flags") AS "p9v", MIN("wards"."active") AS "p10v", MAX("wards"."active") AS "p11v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 318 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT MIN("p0v") AS "p0v", MAX("p1v") AS "p1v", MIN("p2v") AS "p2v", MAX("p3v") AS "p3v", MIN("p4v") AS "p4v", MAX("p5v") AS "p5v", MIN("p6v") AS "p6v", MAX("p7v") AS "p7v", MIN("p8v") AS "p8v", MAX("p9v") AS "p9v", MIN("p10v") AS "p10v", MAX("p11v") AS "p11v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS INT) AS "_col_0", CAST("x2"."p1v" AS DECIMAL(18, 2)) AS "_col_1", CAST("x2"."p2v" AS DOUBLE) AS "_col_2", CAST("x2"."p3v" AS DOUBLE) AS "_col_3", CAST("x2"."p4v" AS DATE) AS "_col_4", CAST("x2"."p5v" AS TIMESTAMP) AS "_col_5", CAST("x2"."p6v" AS TEXT) AS "_col_6", CAST("x2"."p7v" AS TEXT) AS "_col_7", CAST("x2"."p8v" AS INT128) AS "_col_8", CAST("x2"."p9v" AS UTINYINT) AS "_col_9", CAST("x2"."p10v" AS BOOLEAN) AS "_col_10", CAST("x2"."p11v" AS BOOLEAN) AS "_col_11" FROM "x2" AS "x2"
--
-- Result: min(beds) INTEGER, max(budget) DECIMAL(18,2), min("load") DOUBLE, max("load") DOUBLE, min(opened) DATE, max(noted) TIMESTAMP, min(ward) VARCHAR, max(ward) VARCHAR, min(big) HUGEINT, max(flags) UTINYINT, min(active) BOOLEAN, max(active) BOOLEAN

-- # Values at extremes
SELECT arg_min(ward, budget) AS a, arg_max(ward, budget) AS b, max_by(opened, big) AS c, min_by(beds, budget) AS d
FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT ARG_MIN("wards"."ward", "wards"."budget") AS "p0v", MIN("wards"."budget") FILTER(WHERE NOT "wards"."ward" IS NULL) AS "p0k", ARG_MAX("wards"."ward", "wards"."budget") AS "p1v", MAX("wards"."budget") FILTER(WHERE NOT "wards"."ward" IS NULL) AS "p1k", ARG_MAX("wards"."opened", "wards"."big") AS "p2v", MAX("wards"."big") FILTER(WHERE NOT "wards"."opened" IS NULL) AS "p2k", ARG_MIN("wards"."beds", "wards"."budget") AS "p3v", MIN("wards"."budget") FILTER(WHERE NOT "wards"."beds" IS NULL) AS "p3k" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT ARG_MIN("p0v", "p0k") AS "p0v", ARG_MAX("p1v", "p1k") AS "p1v", ARG_MAX("p2v", "p2k") AS "p2v", ARG_MIN("p3v", "p3k") AS "p3v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS TEXT) AS "a", CAST("x2"."p1v" AS TEXT) AS "b", CAST("x2"."p2v" AS DATE) AS "c", CAST("x2"."p3v" AS INT) AS "d" FROM "x2" AS "x2"
--
-- Result: a VARCHAR, b VARCHAR, c DATE, d INTEGER

-- # Values at extremes skip rows whose value is NULL
SELECT active, arg_max(beds, opened) AS a, arg_min(kind, opened) FILTER (WHERE flags > 2) AS b
FROM wards GROUP BY active;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."active" AS "g0", ARG_MAX("wards"."beds", "wards"."opened") AS "p0v", MAX("wards"."opened") FILTER(WHERE NOT "wards"."beds" IS NULL) AS "p0k", ARG_MIN("wards"."kind", "wards"."opened") FILTER(WHERE "wards"."flags" > 2) AS "p1v", MIN("wards"."opened") FILTER(WHERE "wards"."flags" > 2 AND NOT "wards"."kind" IS NULL) AS "p1k" FROM "wards" AS "wards" GROUP BY "wards"."active"
--     -> x1 for s2: crosses as rows, about 25 rows and 725 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ARG_MAX("p0v", "p0k") AS "p0v", ARG_MIN("p1v", "p1k") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "active", CAST("x2"."p0v" AS INT) AS "a", CAST("x2"."p1v" AS TEXT) AS "b" FROM "x2" AS "x2"
--
-- Result: active BOOLEAN, a INTEGER, b VARCHAR

-- # Variance and standard deviation, of samples and of populations
SELECT kind, var_pop(beds) AS a, var_samp(beds) AS b, variance(budget) AS c, stddev(ratio) AS d, stddev_pop(beds) AS e,
       stddev_samp(budget) AS f
FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0m", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0q", REGR_COUNT(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2n", REGR_AVGX(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2m", REGR_SXX(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2q", REGR_COUNT(CAST("wards"."ratio" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p3n", REGR_AVGX(CAST("wards"."ratio" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p3m", REGR_SXX(CAST("wards"."ratio" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p3q" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 2,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "p0n" AS "p0n", COALESCE("p0q_0" + CAST("p0n_0" AS DOUBLE) * ("p0m_0" - "p0u") * ("p0m_0" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_1" + CAST("p0n_1" AS DOUBLE) * ("p0m_1" - "p0u") * ("p0m_1" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_2" + CAST("p0n_2" AS DOUBLE) * ("p0m_2" - "p0u") * ("p0m_2" - "p0u"), CAST(0 AS DOUBLE)) AS "p0q", "p2n" AS "p2n", COALESCE("p2q_0" + CAST("p2n_0" AS DOUBLE) * ("p2m_0" - "p2u") * ("p2m_0" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_1" + CAST("p2n_1" AS DOUBLE) * ("p2m_1" - "p2u") * ("p2m_1" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_2" + CAST("p2n_2" AS DOUBLE) * ("p2m_2" - "p2u") * ("p2m_2" - "p2u"), CAST(0 AS DOUBLE)) AS "p2q", "p3n" AS "p3n", COALESCE("p3q_0" + CAST("p3n_0" AS DOUBLE) * ("p3m_0" - "p3u") * ("p3m_0" - "p3u"), CAST(0 AS DOUBLE)) + COALESCE("p3q_1" + CAST("p3n_1" AS DOUBLE) * ("p3m_1" - "p3u") * ("p3m_1" - "p3u"), CAST(0 AS DOUBLE)) + COALESCE("p3q_2" + CAST("p3n_2" AS DOUBLE) * ("p3m_2" - "p3u") * ("p3m_2" - "p3u"), CAST(0 AS DOUBLE)) AS "p3q" FROM (SELECT "g0" AS "g0", CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0m_0" AS "p0m_0", "p0m_1" AS "p0m_1", "p0m_2" AS "p0m_2", "p0q_0" AS "p0q_0", "p0q_1" AS "p0q_1", "p0q_2" AS "p0q_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0m_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0u", CAST("p2n" AS DOUBLE) AS "p2n", "p2n_0" AS "p2n_0", "p2n_1" AS "p2n_1", "p2n_2" AS "p2n_2", "p2m_0" AS "p2m_0", "p2m_1" AS "p2m_1", "p2m_2" AS "p2m_2", "p2q_0" AS "p2q_0", "p2q_1" AS "p2q_1", "p2q_2" AS "p2q_2", (COALESCE(CAST("p2n_0" AS DOUBLE) * "p2m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_1" AS DOUBLE) * "p2m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_2" AS DOUBLE) * "p2m_2", CAST(0 AS DOUBLE))) / CAST("p2n" AS DOUBLE) AS "p2u", CAST("p3n" AS DOUBLE) AS "p3n", "p3n_0" AS "p3n_0", "p3n_1" AS "p3n_1", "p3n_2" AS "p3n_2", "p3m_0" AS "p3m_0", "p3m_1" AS "p3m_1", "p3m_2" AS "p3m_2", "p3q_0" AS "p3q_0", "p3q_1" AS "p3q_1", "p3q_2" AS "p3q_2", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3m_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3u" FROM (SELECT "g0" AS "g0", SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0m") FILTER(WHERE "_shard" = 0) AS "p0m_0", MAX("p0m") FILTER(WHERE "_shard" = 1) AS "p0m_1", MAX("p0m") FILTER(WHERE "_shard" = 2) AS "p0m_2", MAX("p0q") FILTER(WHERE "_shard" = 0) AS "p0q_0", MAX("p0q") FILTER(WHERE "_shard" = 1) AS "p0q_1", MAX("p0q") FILTER(WHERE "_shard" = 2) AS "p0q_2", SUM("p2n") AS "p2n", MAX("p2n") FILTER(WHERE "_shard" = 0) AS "p2n_0", MAX("p2n") FILTER(WHERE "_shard" = 1) AS "p2n_1", MAX("p2n") FILTER(WHERE "_shard" = 2) AS "p2n_2", MAX("p2m") FILTER(WHERE "_shard" = 0) AS "p2m_0", MAX("p2m") FILTER(WHERE "_shard" = 1) AS "p2m_1", MAX("p2m") FILTER(WHERE "_shard" = 2) AS "p2m_2", MAX("p2q") FILTER(WHERE "_shard" = 0) AS "p2q_0", MAX("p2q") FILTER(WHERE "_shard" = 1) AS "p2q_1", MAX("p2q") FILTER(WHERE "_shard" = 2) AS "p2q_2", SUM("p3n") AS "p3n", MAX("p3n") FILTER(WHERE "_shard" = 0) AS "p3n_0", MAX("p3n") FILTER(WHERE "_shard" = 1) AS "p3n_1", MAX("p3n") FILTER(WHERE "_shard" = 2) AS "p3n_2", MAX("p3m") FILTER(WHERE "_shard" = 0) AS "p3m_0", MAX("p3m") FILTER(WHERE "_shard" = 1) AS "p3m_1", MAX("p3m") FILTER(WHERE "_shard" = 2) AS "p3m_2", MAX("p3q") FILTER(WHERE "_shard" = 0) AS "p3q_0", MAX("p3q") FILTER(WHERE "_shard" = 1) AS "p3q_1", MAX("p3q") FILTER(WHERE "_shard" = 2) AS "p3q_2" FROM "x1" AS "x1" GROUP BY "g0") AS m) AS c
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(CASE WHEN "x2"."p0n" >= 1 THEN "x2"."p0q" / "x2"."p0n" ELSE NULL END AS DOUBLE) AS "a", CAST(CASE WHEN "x2"."p0n" >= 2 THEN "x2"."p0q" / ("x2"."p0n" - 1) ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p2n" >= 2 THEN "x2"."p2q" / ("x2"."p2n" - 1) ELSE NULL END AS DOUBLE) AS "c", CAST(CASE WHEN "x2"."p3n" >= 2 THEN SQRT("x2"."p3q" / ("x2"."p3n" - 1)) ELSE NULL END AS DOUBLE) AS "d", CAST(CASE WHEN "x2"."p0n" >= 1 THEN SQRT("x2"."p0q" / "x2"."p0n") ELSE NULL END AS DOUBLE) AS "e", CAST(CASE WHEN "x2"."p2n" >= 2 THEN SQRT("x2"."p2q" / ("x2"."p2n" - 1)) ELSE NULL END AS DOUBLE) AS "f" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE, e DOUBLE, f DOUBLE

-- # Moments of groups with one value
SELECT ward, finess, var_pop(beds) AS a, var_samp(beds) AS b, stddev_samp(budget) AS c FROM wards GROUP BY ward, finess;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "g0", "wards"."finess" AS "g1", REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0m", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0q", REGR_COUNT(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2n", REGR_AVGX(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2m", REGR_SXX(CAST("wards"."budget" AS DOUBLE), CAST("wards"."budget" AS DOUBLE)) AS "p2q" FROM "wards" AS "wards" GROUP BY "wards"."ward", "wards"."finess"
--     -> x1 for s2: crosses as rows, about 25 rows and 2,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "p0n" AS "p0n", COALESCE("p0q_0" + CAST("p0n_0" AS DOUBLE) * ("p0m_0" - "p0u") * ("p0m_0" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_1" + CAST("p0n_1" AS DOUBLE) * ("p0m_1" - "p0u") * ("p0m_1" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_2" + CAST("p0n_2" AS DOUBLE) * ("p0m_2" - "p0u") * ("p0m_2" - "p0u"), CAST(0 AS DOUBLE)) AS "p0q", "p2n" AS "p2n", COALESCE("p2q_0" + CAST("p2n_0" AS DOUBLE) * ("p2m_0" - "p2u") * ("p2m_0" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_1" + CAST("p2n_1" AS DOUBLE) * ("p2m_1" - "p2u") * ("p2m_1" - "p2u"), CAST(0 AS DOUBLE)) + COALESCE("p2q_2" + CAST("p2n_2" AS DOUBLE) * ("p2m_2" - "p2u") * ("p2m_2" - "p2u"), CAST(0 AS DOUBLE)) AS "p2q" FROM (SELECT "g0" AS "g0", "g1" AS "g1", CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0m_0" AS "p0m_0", "p0m_1" AS "p0m_1", "p0m_2" AS "p0m_2", "p0q_0" AS "p0q_0", "p0q_1" AS "p0q_1", "p0q_2" AS "p0q_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0m_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0u", CAST("p2n" AS DOUBLE) AS "p2n", "p2n_0" AS "p2n_0", "p2n_1" AS "p2n_1", "p2n_2" AS "p2n_2", "p2m_0" AS "p2m_0", "p2m_1" AS "p2m_1", "p2m_2" AS "p2m_2", "p2q_0" AS "p2q_0", "p2q_1" AS "p2q_1", "p2q_2" AS "p2q_2", (COALESCE(CAST("p2n_0" AS DOUBLE) * "p2m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_1" AS DOUBLE) * "p2m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p2n_2" AS DOUBLE) * "p2m_2", CAST(0 AS DOUBLE))) / CAST("p2n" AS DOUBLE) AS "p2u" FROM (SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0m") FILTER(WHERE "_shard" = 0) AS "p0m_0", MAX("p0m") FILTER(WHERE "_shard" = 1) AS "p0m_1", MAX("p0m") FILTER(WHERE "_shard" = 2) AS "p0m_2", MAX("p0q") FILTER(WHERE "_shard" = 0) AS "p0q_0", MAX("p0q") FILTER(WHERE "_shard" = 1) AS "p0q_1", MAX("p0q") FILTER(WHERE "_shard" = 2) AS "p0q_2", SUM("p2n") AS "p2n", MAX("p2n") FILTER(WHERE "_shard" = 0) AS "p2n_0", MAX("p2n") FILTER(WHERE "_shard" = 1) AS "p2n_1", MAX("p2n") FILTER(WHERE "_shard" = 2) AS "p2n_2", MAX("p2m") FILTER(WHERE "_shard" = 0) AS "p2m_0", MAX("p2m") FILTER(WHERE "_shard" = 1) AS "p2m_1", MAX("p2m") FILTER(WHERE "_shard" = 2) AS "p2m_2", MAX("p2q") FILTER(WHERE "_shard" = 0) AS "p2q_0", MAX("p2q") FILTER(WHERE "_shard" = 1) AS "p2q_1", MAX("p2q") FILTER(WHERE "_shard" = 2) AS "p2q_2" FROM "x1" AS "x1" GROUP BY "g0", "g1") AS m) AS c
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "ward", "x2"."g1" AS "finess", CAST(CASE WHEN "x2"."p0n" >= 1 THEN "x2"."p0q" / "x2"."p0n" ELSE NULL END AS DOUBLE) AS "a", CAST(CASE WHEN "x2"."p0n" >= 2 THEN "x2"."p0q" / ("x2"."p0n" - 1) ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p2n" >= 2 THEN SQRT("x2"."p2q" / ("x2"."p2n" - 1)) ELSE NULL END AS DOUBLE) AS "c" FROM "x2" AS "x2"
--
-- Result: ward VARCHAR, finess VARCHAR, a DOUBLE, b DOUBLE, c DOUBLE

-- # Covariance and correlation
SELECT covar_pop(beds, ratio) AS a, covar_samp(beds, ratio) AS b, corr(beds, ratio) AS c FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0mx", REGR_AVGY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0my", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0xx", REGR_SYY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0yy", REGR_SXY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0xy" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 144 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0n" AS "p0n", "p0ux" AS "p0mx", "p0uy" AS "p0my", COALESCE("p0xx_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0mx_0" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0mx_1" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0mx_2" - "p0ux"), CAST(0 AS DOUBLE)) AS "p0xx", COALESCE("p0yy_0" + CAST("p0n_0" AS DOUBLE) * ("p0my_0" - "p0uy") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_1" + CAST("p0n_1" AS DOUBLE) * ("p0my_1" - "p0uy") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_2" + CAST("p0n_2" AS DOUBLE) * ("p0my_2" - "p0uy") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0yy", COALESCE("p0xy_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0xy" FROM (SELECT CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0mx_0" AS "p0mx_0", "p0mx_1" AS "p0mx_1", "p0mx_2" AS "p0mx_2", "p0my_0" AS "p0my_0", "p0my_1" AS "p0my_1", "p0my_2" AS "p0my_2", "p0xx_0" AS "p0xx_0", "p0xx_1" AS "p0xx_1", "p0xx_2" AS "p0xx_2", "p0yy_0" AS "p0yy_0", "p0yy_1" AS "p0yy_1", "p0yy_2" AS "p0yy_2", "p0xy_0" AS "p0xy_0", "p0xy_1" AS "p0xy_1", "p0xy_2" AS "p0xy_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0mx_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0ux", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0my_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0uy" FROM (SELECT SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0mx") FILTER(WHERE "_shard" = 0) AS "p0mx_0", MAX("p0mx") FILTER(WHERE "_shard" = 1) AS "p0mx_1", MAX("p0mx") FILTER(WHERE "_shard" = 2) AS "p0mx_2", MAX("p0my") FILTER(WHERE "_shard" = 0) AS "p0my_0", MAX("p0my") FILTER(WHERE "_shard" = 1) AS "p0my_1", MAX("p0my") FILTER(WHERE "_shard" = 2) AS "p0my_2", MAX("p0xx") FILTER(WHERE "_shard" = 0) AS "p0xx_0", MAX("p0xx") FILTER(WHERE "_shard" = 1) AS "p0xx_1", MAX("p0xx") FILTER(WHERE "_shard" = 2) AS "p0xx_2", MAX("p0yy") FILTER(WHERE "_shard" = 0) AS "p0yy_0", MAX("p0yy") FILTER(WHERE "_shard" = 1) AS "p0yy_1", MAX("p0yy") FILTER(WHERE "_shard" = 2) AS "p0yy_2", MAX("p0xy") FILTER(WHERE "_shard" = 0) AS "p0xy_0", MAX("p0xy") FILTER(WHERE "_shard" = 1) AS "p0xy_1", MAX("p0xy") FILTER(WHERE "_shard" = 2) AS "p0xy_2" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(CASE WHEN "x2"."p0n" >= 1 THEN "x2"."p0xy" / "x2"."p0n" ELSE NULL END AS DOUBLE) AS "a", CAST(CASE WHEN "x2"."p0n" >= 2 THEN "x2"."p0xy" / ("x2"."p0n" - 1) ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN SQRT("x2"."p0xx") * SQRT("x2"."p0yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / (SQRT("x2"."p0xx") * SQRT("x2"."p0yy")) END ELSE NULL END AS DOUBLE) AS "c" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, b DOUBLE, c DOUBLE

-- # All of regression
SELECT active, regr_count(beds, ratio) AS a, regr_avgx(beds, ratio) AS b, regr_avgy(beds, ratio) AS c,
       regr_sxx(beds, ratio) AS d, regr_syy(beds, ratio) AS e, regr_sxy(beds, ratio) AS f,
       regr_slope(beds, ratio) AS g, regr_intercept(beds, ratio) AS h, regr_r2(beds, ratio) AS i
FROM wards GROUP BY active;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."active" AS "g0", REGR_COUNT("wards"."beds", "wards"."ratio") AS "p0v", REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1mx", REGR_AVGY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1my", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1xx", REGR_SYY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1yy", REGR_SXY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p1xy" FROM "wards" AS "wards" GROUP BY "wards"."active"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,425 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "p0v" AS "p0v", "p1n" AS "p1n", "p1ux" AS "p1mx", "p1uy" AS "p1my", COALESCE("p1xx_0" + CAST("p1n_0" AS DOUBLE) * ("p1mx_0" - "p1ux") * ("p1mx_0" - "p1ux"), CAST(0 AS DOUBLE)) + COALESCE("p1xx_1" + CAST("p1n_1" AS DOUBLE) * ("p1mx_1" - "p1ux") * ("p1mx_1" - "p1ux"), CAST(0 AS DOUBLE)) + COALESCE("p1xx_2" + CAST("p1n_2" AS DOUBLE) * ("p1mx_2" - "p1ux") * ("p1mx_2" - "p1ux"), CAST(0 AS DOUBLE)) AS "p1xx", COALESCE("p1yy_0" + CAST("p1n_0" AS DOUBLE) * ("p1my_0" - "p1uy") * ("p1my_0" - "p1uy"), CAST(0 AS DOUBLE)) + COALESCE("p1yy_1" + CAST("p1n_1" AS DOUBLE) * ("p1my_1" - "p1uy") * ("p1my_1" - "p1uy"), CAST(0 AS DOUBLE)) + COALESCE("p1yy_2" + CAST("p1n_2" AS DOUBLE) * ("p1my_2" - "p1uy") * ("p1my_2" - "p1uy"), CAST(0 AS DOUBLE)) AS "p1yy", COALESCE("p1xy_0" + CAST("p1n_0" AS DOUBLE) * ("p1mx_0" - "p1ux") * ("p1my_0" - "p1uy"), CAST(0 AS DOUBLE)) + COALESCE("p1xy_1" + CAST("p1n_1" AS DOUBLE) * ("p1mx_1" - "p1ux") * ("p1my_1" - "p1uy"), CAST(0 AS DOUBLE)) + COALESCE("p1xy_2" + CAST("p1n_2" AS DOUBLE) * ("p1mx_2" - "p1ux") * ("p1my_2" - "p1uy"), CAST(0 AS DOUBLE)) AS "p1xy" FROM (SELECT "g0" AS "g0", "p0v" AS "p0v", CAST("p1n" AS DOUBLE) AS "p1n", "p1n_0" AS "p1n_0", "p1n_1" AS "p1n_1", "p1n_2" AS "p1n_2", "p1mx_0" AS "p1mx_0", "p1mx_1" AS "p1mx_1", "p1mx_2" AS "p1mx_2", "p1my_0" AS "p1my_0", "p1my_1" AS "p1my_1", "p1my_2" AS "p1my_2", "p1xx_0" AS "p1xx_0", "p1xx_1" AS "p1xx_1", "p1xx_2" AS "p1xx_2", "p1yy_0" AS "p1yy_0", "p1yy_1" AS "p1yy_1", "p1yy_2" AS "p1yy_2", "p1xy_0" AS "p1xy_0", "p1xy_1" AS "p1xy_1", "p1xy_2" AS "p1xy_2", (COALESCE(CAST("p1n_0" AS DOUBLE) * "p1mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p1n_1" AS DOUBLE) * "p1mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p1n_2" AS DOUBLE) * "p1mx_2", CAST(0 AS DOUBLE))) / CAST("p1n" AS DOUBLE) AS "p1ux", (COALESCE(CAST("p1n_0" AS DOUBLE) * "p1my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p1n_1" AS DOUBLE) * "p1my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p1n_2" AS DOUBLE) * "p1my_2", CAST(0 AS DOUBLE))) / CAST("p1n" AS DOUBLE) AS "p1uy" FROM (SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1n") AS "p1n", MAX("p1n") FILTER(WHERE "_shard" = 0) AS "p1n_0", MAX("p1n") FILTER(WHERE "_shard" = 1) AS "p1n_1", MAX("p1n") FILTER(WHERE "_shard" = 2) AS "p1n_2", MAX("p1mx") FILTER(WHERE "_shard" = 0) AS "p1mx_0", MAX("p1mx") FILTER(WHERE "_shard" = 1) AS "p1mx_1", MAX("p1mx") FILTER(WHERE "_shard" = 2) AS "p1mx_2", MAX("p1my") FILTER(WHERE "_shard" = 0) AS "p1my_0", MAX("p1my") FILTER(WHERE "_shard" = 1) AS "p1my_1", MAX("p1my") FILTER(WHERE "_shard" = 2) AS "p1my_2", MAX("p1xx") FILTER(WHERE "_shard" = 0) AS "p1xx_0", MAX("p1xx") FILTER(WHERE "_shard" = 1) AS "p1xx_1", MAX("p1xx") FILTER(WHERE "_shard" = 2) AS "p1xx_2", MAX("p1yy") FILTER(WHERE "_shard" = 0) AS "p1yy_0", MAX("p1yy") FILTER(WHERE "_shard" = 1) AS "p1yy_1", MAX("p1yy") FILTER(WHERE "_shard" = 2) AS "p1yy_2", MAX("p1xy") FILTER(WHERE "_shard" = 0) AS "p1xy_0", MAX("p1xy") FILTER(WHERE "_shard" = 1) AS "p1xy_1", MAX("p1xy") FILTER(WHERE "_shard" = 2) AS "p1xy_2" FROM "x1" AS "x1" GROUP BY "g0") AS m) AS c
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "active", CAST(COALESCE("x2"."p0v", 0) AS UINTEGER) AS "a", CAST(CASE WHEN "x2"."p1n" >= 1 THEN "x2"."p1mx" ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p1n" >= 1 THEN "x2"."p1my" ELSE NULL END AS DOUBLE) AS "c", CAST(CASE WHEN "x2"."p1n" >= 1 THEN "x2"."p1xx" ELSE NULL END AS DOUBLE) AS "d", CAST(CASE WHEN "x2"."p1n" >= 1 THEN "x2"."p1yy" ELSE NULL END AS DOUBLE) AS "e", CAST(CASE WHEN "x2"."p1n" >= 1 THEN "x2"."p1xy" ELSE NULL END AS DOUBLE) AS "f", CAST(CASE WHEN "x2"."p1n" >= 1 THEN CASE WHEN "x2"."p1xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p1xy" / "x2"."p1xx" END ELSE NULL END AS DOUBLE) AS "g", CAST(CASE WHEN "x2"."p1n" >= 1 THEN CASE WHEN "x2"."p1xx" = 0 THEN NULL ELSE "x2"."p1my" - ("x2"."p1xy" / "x2"."p1xx") * "x2"."p1mx" END ELSE NULL END AS DOUBLE) AS "h", CAST(CASE WHEN "x2"."p1n" >= 1 THEN CASE WHEN "x2"."p1xx" = 0 THEN NULL WHEN "x2"."p1yy" = 0 THEN CAST(1 AS DOUBLE) ELSE ("x2"."p1xy" * "x2"."p1xy") / ("x2"."p1xx" * "x2"."p1yy") END ELSE NULL END AS DOUBLE) AS "i" FROM "x2" AS "x2"
--
-- Result: active BOOLEAN, a UINTEGER, b DOUBLE, c DOUBLE, d DOUBLE, e DOUBLE, f DOUBLE, g DOUBLE, h DOUBLE, i DOUBLE

-- # Regression without spread: the corner cases of the formulas
SELECT regr_slope(beds, 1) AS a, regr_intercept(beds, 1) AS b, regr_r2(beds, 1) AS c, regr_r2(1, beds) AS d,
       corr(beds, 1) AS e, regr_slope(1, beds) AS f, covar_samp(1, beds) AS g, corr(1, beds) AS h
FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0mx", REGR_AVGY(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0my", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0xx", REGR_SYY(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0yy", REGR_SXY(CAST("wards"."beds" AS DOUBLE), CAST(1 AS DOUBLE)) AS "p0xy", REGR_COUNT(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3n", REGR_AVGX(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3mx", REGR_AVGY(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3my", REGR_SXX(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3xx", REGR_SYY(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3yy", REGR_SXY(CAST(1 AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p3xy" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0n" AS "p0n", "p0ux" AS "p0mx", "p0uy" AS "p0my", COALESCE("p0xx_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0mx_0" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0mx_1" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0mx_2" - "p0ux"), CAST(0 AS DOUBLE)) AS "p0xx", COALESCE("p0yy_0" + CAST("p0n_0" AS DOUBLE) * ("p0my_0" - "p0uy") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_1" + CAST("p0n_1" AS DOUBLE) * ("p0my_1" - "p0uy") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_2" + CAST("p0n_2" AS DOUBLE) * ("p0my_2" - "p0uy") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0yy", COALESCE("p0xy_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0xy", "p3n" AS "p3n", "p3ux" AS "p3mx", "p3uy" AS "p3my", COALESCE("p3xx_0" + CAST("p3n_0" AS DOUBLE) * ("p3mx_0" - "p3ux") * ("p3mx_0" - "p3ux"), CAST(0 AS DOUBLE)) + COALESCE("p3xx_1" + CAST("p3n_1" AS DOUBLE) * ("p3mx_1" - "p3ux") * ("p3mx_1" - "p3ux"), CAST(0 AS DOUBLE)) + COALESCE("p3xx_2" + CAST("p3n_2" AS DOUBLE) * ("p3mx_2" - "p3ux") * ("p3mx_2" - "p3ux"), CAST(0 AS DOUBLE)) AS "p3xx", COALESCE("p3yy_0" + CAST("p3n_0" AS DOUBLE) * ("p3my_0" - "p3uy") * ("p3my_0" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3yy_1" + CAST("p3n_1" AS DOUBLE) * ("p3my_1" - "p3uy") * ("p3my_1" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3yy_2" + CAST("p3n_2" AS DOUBLE) * ("p3my_2" - "p3uy") * ("p3my_2" - "p3uy"), CAST(0 AS DOUBLE)) AS "p3yy", COALESCE("p3xy_0" + CAST("p3n_0" AS DOUBLE) * ("p3mx_0" - "p3ux") * ("p3my_0" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3xy_1" + CAST("p3n_1" AS DOUBLE) * ("p3mx_1" - "p3ux") * ("p3my_1" - "p3uy"), CAST(0 AS DOUBLE)) + COALESCE("p3xy_2" + CAST("p3n_2" AS DOUBLE) * ("p3mx_2" - "p3ux") * ("p3my_2" - "p3uy"), CAST(0 AS DOUBLE)) AS "p3xy" FROM (SELECT CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0mx_0" AS "p0mx_0", "p0mx_1" AS "p0mx_1", "p0mx_2" AS "p0mx_2", "p0my_0" AS "p0my_0", "p0my_1" AS "p0my_1", "p0my_2" AS "p0my_2", "p0xx_0" AS "p0xx_0", "p0xx_1" AS "p0xx_1", "p0xx_2" AS "p0xx_2", "p0yy_0" AS "p0yy_0", "p0yy_1" AS "p0yy_1", "p0yy_2" AS "p0yy_2", "p0xy_0" AS "p0xy_0", "p0xy_1" AS "p0xy_1", "p0xy_2" AS "p0xy_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0mx_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0ux", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0my_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0uy", CAST("p3n" AS DOUBLE) AS "p3n", "p3n_0" AS "p3n_0", "p3n_1" AS "p3n_1", "p3n_2" AS "p3n_2", "p3mx_0" AS "p3mx_0", "p3mx_1" AS "p3mx_1", "p3mx_2" AS "p3mx_2", "p3my_0" AS "p3my_0", "p3my_1" AS "p3my_1", "p3my_2" AS "p3my_2", "p3xx_0" AS "p3xx_0", "p3xx_1" AS "p3xx_1", "p3xx_2" AS "p3xx_2", "p3yy_0" AS "p3yy_0", "p3yy_1" AS "p3yy_1", "p3yy_2" AS "p3yy_2", "p3xy_0" AS "p3xy_0", "p3xy_1" AS "p3xy_1", "p3xy_2" AS "p3xy_2", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3mx_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3ux", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3my_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3uy" FROM (SELECT SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0mx") FILTER(WHERE "_shard" = 0) AS "p0mx_0", MAX("p0mx") FILTER(WHERE "_shard" = 1) AS "p0mx_1", MAX("p0mx") FILTER(WHERE "_shard" = 2) AS "p0mx_2", MAX("p0my") FILTER(WHERE "_shard" = 0) AS "p0my_0", MAX("p0my") FILTER(WHERE "_shard" = 1) AS "p0my_1", MAX("p0my") FILTER(WHERE "_shard" = 2) AS "p0my_2", MAX("p0xx") FILTER(WHERE "_shard" = 0) AS "p0xx_0", MAX("p0xx") FILTER(WHERE "_shard" = 1) AS "p0xx_1", MAX("p0xx") FILTER(WHERE "_shard" = 2) AS "p0xx_2", MAX("p0yy") FILTER(WHERE "_shard" = 0) AS "p0yy_0", MAX("p0yy") FILTER(WHERE "_shard" = 1) AS "p0yy_1", MAX("p0yy") FILTER(WHERE "_shard" = 2) AS "p0yy_2", MAX("p0xy") FILTER(WHERE "_shard" = 0) AS "p0xy_0", MAX("p0xy") FILTER(WHERE "_shard" = 1) AS "p0xy_1", MAX("p0xy") FILTER(WHERE "_shard" = 2) AS "p0xy_2", SUM("p3n") AS "p3n", MAX("p3n") FILTER(WHERE "_shard" = 0) AS "p3n_0", MAX("p3n") FILTER(WHERE "_shard" = 1) AS "p3n_1", MAX("p3n") FILTER(WHERE "_shard" = 2) AS "p3n_2", MAX("p3mx") FILTER(WHERE "_shard" = 0) AS "p3mx_0", MAX("p3mx") FILTER(WHERE "_shard" = 1) AS "p3mx_1", MAX("p3mx") FILTER(WHERE "_shard" = 2) AS "p3mx_2", MAX("p3my") FILTER(WHERE "_shard" = 0) AS "p3my_0", MAX("p3my") FILTER(WHERE "_shard" = 1) AS "p3my_1", MAX("p3my") FILTER(WHERE "_shard" = 2) AS "p3my_2", MAX("p3xx") FILTER(WHERE "_shard" = 0) AS "p3xx_0", MAX("p3xx") FILTER(WHERE "_shard" = 1) AS "p3xx_1", MAX("p3xx") FILTER(WHERE "_shard" = 2) AS "p3xx_2", MAX("p3yy") FILTER(WHERE "_shard" = 0) AS "p3yy_0", MAX("p3yy") FILTER(WHERE "_shard" = 1) AS "p3yy_1", MAX("p3yy") FILTER(WHERE "_shard" = 2) AS "p3yy_2", MAX("p3xy") FILTER(WHERE "_shard" = 0) AS "p3xy_0", MAX("p3xy") FILTER(WHERE "_shard" = 1) AS "p3xy_1", MAX("p3xy") FILTER(WHERE "_shard" = 2) AS "p3xy_2" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / "x2"."p0xx" END ELSE NULL END AS DOUBLE) AS "a", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN NULL ELSE "x2"."p0my" - ("x2"."p0xy" / "x2"."p0xx") * "x2"."p0mx" END ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN NULL WHEN "x2"."p0yy" = 0 THEN CAST(1 AS DOUBLE) ELSE ("x2"."p0xy" * "x2"."p0xy") / ("x2"."p0xx" * "x2"."p0yy") END ELSE NULL END AS DOUBLE) AS "c", CAST(CASE WHEN "x2"."p3n" >= 1 THEN CASE WHEN "x2"."p3xx" = 0 THEN NULL WHEN "x2"."p3yy" = 0 THEN CAST(1 AS DOUBLE) ELSE ("x2"."p3xy" * "x2"."p3xy") / ("x2"."p3xx" * "x2"."p3yy") END ELSE NULL END AS DOUBLE) AS "d", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN SQRT("x2"."p0xx") * SQRT("x2"."p0yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / (SQRT("x2"."p0xx") * SQRT("x2"."p0yy")) END ELSE NULL END AS DOUBLE) AS "e", CAST(CASE WHEN "x2"."p3n" >= 1 THEN CASE WHEN "x2"."p3xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p3xy" / "x2"."p3xx" END ELSE NULL END AS DOUBLE) AS "f", CAST(CASE WHEN "x2"."p3n" >= 2 THEN "x2"."p3xy" / ("x2"."p3n" - 1) ELSE NULL END AS DOUBLE) AS "g", CAST(CASE WHEN "x2"."p3n" >= 1 THEN CASE WHEN SQRT("x2"."p3xx") * SQRT("x2"."p3yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p3xy" / (SQRT("x2"."p3xx") * SQRT("x2"."p3yy")) END ELSE NULL END AS DOUBLE) AS "h" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE, e DOUBLE, f DOUBLE, g DOUBLE, h DOUBLE

-- # Regression over one row and over none
SELECT regr_slope(beds, ratio) AS a, regr_intercept(beds, ratio) AS b, regr_r2(beds, ratio) AS c, corr(beds, ratio) AS d,
       covar_samp(beds, ratio) AS e, covar_pop(beds, ratio) AS f, regr_count(beds, ratio) AS g, regr_avgx(beds, ratio) AS h,
       regr_slope(beds, ratio) FILTER (WHERE beds < 0) AS i, corr(beds, ratio) FILTER (WHERE beds < 0) AS j,
       regr_sxx(beds, ratio) FILTER (WHERE beds < 0) AS k, regr_r2(beds, ratio) FILTER (WHERE beds < 0) AS l,
       regr_count(beds, ratio) FILTER (WHERE beds < 0) AS m, regr_avgy(beds, ratio) FILTER (WHERE beds < 0) AS n
FROM wards WHERE finess = '690001' AND ward = 'A';
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0mx", REGR_AVGY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0my", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0xx", REGR_SYY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0yy", REGR_SXY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) AS "p0xy", REGR_COUNT("wards"."beds", "wards"."ratio") AS "p6v", REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8mx", REGR_AVGY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8my", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8xx", REGR_SYY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8yy", REGR_SXY(CAST("wards"."beds" AS DOUBLE), CAST("wards"."ratio" AS DOUBLE)) FILTER(WHERE "wards"."beds" < 0) AS "p8xy", REGR_COUNT("wards"."beds", "wards"."ratio") FILTER(WHERE "wards"."beds" < 0) AS "p12v" FROM "wards" AS "wards" WHERE "wards"."finess" = '690001' AND "wards"."ward" = 'A'
--     -> x1 for s2: crosses as rows, about 3 rows and 336 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0n" AS "p0n", "p0ux" AS "p0mx", "p0uy" AS "p0my", COALESCE("p0xx_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0mx_0" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0mx_1" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0mx_2" - "p0ux"), CAST(0 AS DOUBLE)) AS "p0xx", COALESCE("p0yy_0" + CAST("p0n_0" AS DOUBLE) * ("p0my_0" - "p0uy") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_1" + CAST("p0n_1" AS DOUBLE) * ("p0my_1" - "p0uy") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_2" + CAST("p0n_2" AS DOUBLE) * ("p0my_2" - "p0uy") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0yy", COALESCE("p0xy_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0xy", "p6v" AS "p6v", "p8n" AS "p8n", "p8ux" AS "p8mx", "p8uy" AS "p8my", COALESCE("p8xx_0" + CAST("p8n_0" AS DOUBLE) * ("p8mx_0" - "p8ux") * ("p8mx_0" - "p8ux"), CAST(0 AS DOUBLE)) + COALESCE("p8xx_1" + CAST("p8n_1" AS DOUBLE) * ("p8mx_1" - "p8ux") * ("p8mx_1" - "p8ux"), CAST(0 AS DOUBLE)) + COALESCE("p8xx_2" + CAST("p8n_2" AS DOUBLE) * ("p8mx_2" - "p8ux") * ("p8mx_2" - "p8ux"), CAST(0 AS DOUBLE)) AS "p8xx", COALESCE("p8yy_0" + CAST("p8n_0" AS DOUBLE) * ("p8my_0" - "p8uy") * ("p8my_0" - "p8uy"), CAST(0 AS DOUBLE)) + COALESCE("p8yy_1" + CAST("p8n_1" AS DOUBLE) * ("p8my_1" - "p8uy") * ("p8my_1" - "p8uy"), CAST(0 AS DOUBLE)) + COALESCE("p8yy_2" + CAST("p8n_2" AS DOUBLE) * ("p8my_2" - "p8uy") * ("p8my_2" - "p8uy"), CAST(0 AS DOUBLE)) AS "p8yy", COALESCE("p8xy_0" + CAST("p8n_0" AS DOUBLE) * ("p8mx_0" - "p8ux") * ("p8my_0" - "p8uy"), CAST(0 AS DOUBLE)) + COALESCE("p8xy_1" + CAST("p8n_1" AS DOUBLE) * ("p8mx_1" - "p8ux") * ("p8my_1" - "p8uy"), CAST(0 AS DOUBLE)) + COALESCE("p8xy_2" + CAST("p8n_2" AS DOUBLE) * ("p8mx_2" - "p8ux") * ("p8my_2" - "p8uy"), CAST(0 AS DOUBLE)) AS "p8xy", "p12v" AS "p12v" FROM (SELECT CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0mx_0" AS "p0mx_0", "p0mx_1" AS "p0mx_1", "p0mx_2" AS "p0mx_2", "p0my_0" AS "p0my_0", "p0my_1" AS "p0my_1", "p0my_2" AS "p0my_2", "p0xx_0" AS "p0xx_0", "p0xx_1" AS "p0xx_1", "p0xx_2" AS "p0xx_2", "p0yy_0" AS "p0yy_0", "p0yy_1" AS "p0yy_1", "p0yy_2" AS "p0yy_2", "p0xy_0" AS "p0xy_0", "p0xy_1" AS "p0xy_1", "p0xy_2" AS "p0xy_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0mx_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0ux", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0my_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0uy", "p6v" AS "p6v", CAST("p8n" AS DOUBLE) AS "p8n", "p8n_0" AS "p8n_0", "p8n_1" AS "p8n_1", "p8n_2" AS "p8n_2", "p8mx_0" AS "p8mx_0", "p8mx_1" AS "p8mx_1", "p8mx_2" AS "p8mx_2", "p8my_0" AS "p8my_0", "p8my_1" AS "p8my_1", "p8my_2" AS "p8my_2", "p8xx_0" AS "p8xx_0", "p8xx_1" AS "p8xx_1", "p8xx_2" AS "p8xx_2", "p8yy_0" AS "p8yy_0", "p8yy_1" AS "p8yy_1", "p8yy_2" AS "p8yy_2", "p8xy_0" AS "p8xy_0", "p8xy_1" AS "p8xy_1", "p8xy_2" AS "p8xy_2", (COALESCE(CAST("p8n_0" AS DOUBLE) * "p8mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p8n_1" AS DOUBLE) * "p8mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p8n_2" AS DOUBLE) * "p8mx_2", CAST(0 AS DOUBLE))) / CAST("p8n" AS DOUBLE) AS "p8ux", (COALESCE(CAST("p8n_0" AS DOUBLE) * "p8my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p8n_1" AS DOUBLE) * "p8my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p8n_2" AS DOUBLE) * "p8my_2", CAST(0 AS DOUBLE))) / CAST("p8n" AS DOUBLE) AS "p8uy", "p12v" AS "p12v" FROM (SELECT SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0mx") FILTER(WHERE "_shard" = 0) AS "p0mx_0", MAX("p0mx") FILTER(WHERE "_shard" = 1) AS "p0mx_1", MAX("p0mx") FILTER(WHERE "_shard" = 2) AS "p0mx_2", MAX("p0my") FILTER(WHERE "_shard" = 0) AS "p0my_0", MAX("p0my") FILTER(WHERE "_shard" = 1) AS "p0my_1", MAX("p0my") FILTER(WHERE "_shard" = 2) AS "p0my_2", MAX("p0xx") FILTER(WHERE "_shard" = 0) AS "p0xx_0", MAX("p0xx") FILTER(WHERE "_shard" = 1) AS "p0xx_1", MAX("p0xx") FILTER(WHERE "_shard" = 2) AS "p0xx_2", MAX("p0yy") FILTER(WHERE "_shard" = 0) AS "p0yy_0", MAX("p0yy") FILTER(WHERE "_shard" = 1) AS "p0yy_1", MAX("p0yy") FILTER(WHERE "_shard" = 2) AS "p0yy_2", MAX("p0xy") FILTER(WHERE "_shard" = 0) AS "p0xy_0", MAX("p0xy") FILTER(WHERE "_shard" = 1) AS "p0xy_1", MAX("p0xy") FILTER(WHERE "_shard" = 2) AS "p0xy_2", SUM("p6v") AS "p6v", SUM("p8n") AS "p8n", MAX("p8n") FILTER(WHERE "_shard" = 0) AS "p8n_0", MAX("p8n") FILTER(WHERE "_shard" = 1) AS "p8n_1", MAX("p8n") FILTER(WHERE "_shard" = 2) AS "p8n_2", MAX("p8mx") FILTER(WHERE "_shard" = 0) AS "p8mx_0", MAX("p8mx") FILTER(WHERE "_shard" = 1) AS "p8mx_1", MAX("p8mx") FILTER(WHERE "_shard" = 2) AS "p8mx_2", MAX("p8my") FILTER(WHERE "_shard" = 0) AS "p8my_0", MAX("p8my") FILTER(WHERE "_shard" = 1) AS "p8my_1", MAX("p8my") FILTER(WHERE "_shard" = 2) AS "p8my_2", MAX("p8xx") FILTER(WHERE "_shard" = 0) AS "p8xx_0", MAX("p8xx") FILTER(WHERE "_shard" = 1) AS "p8xx_1", MAX("p8xx") FILTER(WHERE "_shard" = 2) AS "p8xx_2", MAX("p8yy") FILTER(WHERE "_shard" = 0) AS "p8yy_0", MAX("p8yy") FILTER(WHERE "_shard" = 1) AS "p8yy_1", MAX("p8yy") FILTER(WHERE "_shard" = 2) AS "p8yy_2", MAX("p8xy") FILTER(WHERE "_shard" = 0) AS "p8xy_0", MAX("p8xy") FILTER(WHERE "_shard" = 1) AS "p8xy_1", MAX("p8xy") FILTER(WHERE "_shard" = 2) AS "p8xy_2", SUM("p12v") AS "p12v" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / "x2"."p0xx" END ELSE NULL END AS DOUBLE) AS "a", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN NULL ELSE "x2"."p0my" - ("x2"."p0xy" / "x2"."p0xx") * "x2"."p0mx" END ELSE NULL END AS DOUBLE) AS "b", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN NULL WHEN "x2"."p0yy" = 0 THEN CAST(1 AS DOUBLE) ELSE ("x2"."p0xy" * "x2"."p0xy") / ("x2"."p0xx" * "x2"."p0yy") END ELSE NULL END AS DOUBLE) AS "c", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN SQRT("x2"."p0xx") * SQRT("x2"."p0yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / (SQRT("x2"."p0xx") * SQRT("x2"."p0yy")) END ELSE NULL END AS DOUBLE) AS "d", CAST(CASE WHEN "x2"."p0n" >= 2 THEN "x2"."p0xy" / ("x2"."p0n" - 1) ELSE NULL END AS DOUBLE) AS "e", CAST(CASE WHEN "x2"."p0n" >= 1 THEN "x2"."p0xy" / "x2"."p0n" ELSE NULL END AS DOUBLE) AS "f", CAST(COALESCE("x2"."p6v", 0) AS UINTEGER) AS "g", CAST(CASE WHEN "x2"."p0n" >= 1 THEN "x2"."p0mx" ELSE NULL END AS DOUBLE) AS "h", CAST(CASE WHEN "x2"."p8n" >= 1 THEN CASE WHEN "x2"."p8xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p8xy" / "x2"."p8xx" END ELSE NULL END AS DOUBLE) AS "i", CAST(CASE WHEN "x2"."p8n" >= 1 THEN CASE WHEN SQRT("x2"."p8xx") * SQRT("x2"."p8yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p8xy" / (SQRT("x2"."p8xx") * SQRT("x2"."p8yy")) END ELSE NULL END AS DOUBLE) AS "j", CAST(CASE WHEN "x2"."p8n" >= 1 THEN "x2"."p8xx" ELSE NULL END AS DOUBLE) AS "k", CAST(CASE WHEN "x2"."p8n" >= 1 THEN CASE WHEN "x2"."p8xx" = 0 THEN NULL WHEN "x2"."p8yy" = 0 THEN CAST(1 AS DOUBLE) ELSE ("x2"."p8xy" * "x2"."p8xy") / ("x2"."p8xx" * "x2"."p8yy") END ELSE NULL END AS DOUBLE) AS "l", CAST(COALESCE("x2"."p12v", 0) AS UINTEGER) AS "m", CAST(CASE WHEN "x2"."p8n" >= 1 THEN "x2"."p8my" ELSE NULL END AS DOUBLE) AS "n" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE, e DOUBLE, f DOUBLE, g UINTEGER, h DOUBLE, i DOUBLE, j DOUBLE, k DOUBLE, l DOUBLE, m UINTEGER, n DOUBLE

-- # Logical aggregates
SELECT kind, bool_and(active) AS a, bool_or(active) AS b, bool_or(beds > 20) AS c FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", BOOL_AND(CAST("wards"."active" AS BOOLEAN)) AS "p0v", BOOL_OR(CAST("wards"."active" AS BOOLEAN)) AS "p1v", BOOL_OR(CAST("wards"."beds" > 20 AS BOOLEAN)) AS "p2v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 475 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", BOOL_AND(CAST("p0v" AS BOOLEAN)) AS "p0v", BOOL_OR(CAST("p1v" AS BOOLEAN)) AS "p1v", BOOL_OR(CAST("p2v" AS BOOLEAN)) AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0v" AS BOOLEAN) AS "a", CAST("x2"."p1v" AS BOOLEAN) AS "b", CAST("x2"."p2v" AS BOOLEAN) AS "c" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, a BOOLEAN, b BOOLEAN, c BOOLEAN

-- # Bitwise aggregates
SELECT bit_and(flags) AS a, bit_or(flags) AS b, bit_xor(flags) AS c, bit_xor(beds) AS d FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT BIT_AND("wards"."flags") AS "p0v", BIT_OR("wards"."flags") AS "p1v", BIT_XOR("wards"."flags") AS "p2v", BIT_XOR("wards"."beds") AS "p3v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 84 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT BIT_AND("p0v") AS "p0v", BIT_OR("p1v") AS "p1v", BIT_XOR("p2v") AS "p2v", BIT_XOR("p3v") AS "p3v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS UTINYINT) AS "a", CAST("x2"."p1v" AS UTINYINT) AS "b", CAST("x2"."p2v" AS UTINYINT) AS "c", CAST("x2"."p3v" AS INT) AS "d" FROM "x2" AS "x2"
--
-- Result: a UTINYINT, b UTINYINT, c UTINYINT, d INTEGER

-- # Products
SELECT kind, product(ratio + 1) AS a FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", PRODUCT("wards"."ratio" + 1) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", CASE WHEN "p0c" = 0 THEN NULL ELSE (COALESCE("p0v_0", CAST(1 AS DOUBLE)) * COALESCE("p0v_1", CAST(1 AS DOUBLE)) * COALESCE("p0v_2", CAST(1 AS DOUBLE))) END AS "p0t" FROM (SELECT "g0" AS "g0", MAX("p0v") FILTER(WHERE "_shard" = 0) AS "p0v_0", MAX("p0v") FILTER(WHERE "_shard" = 1) AS "p0v_1", MAX("p0v") FILTER(WHERE "_shard" = 2) AS "p0v_2", COUNT("p0v") AS "p0c" FROM "x1" AS "x1" GROUP BY "g0") AS m
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0t" AS DOUBLE) AS "a" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, a DOUBLE

-- # Distinct values of a site key are counted at each node and summed
SELECT count(DISTINCT finess) AS hospitals FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(DISTINCT "wards"."finess") AS "p0v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "hospitals" FROM "x2" AS "x2"
--
-- Result: hospitals BIGINT

-- # Distinct values within groups that no two nodes share
SELECT finess, count(DISTINCT kind) AS kinds FROM wards GROUP BY finess;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "g0", COUNT(DISTINCT "wards"."kind") AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."finess"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p0v") END AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "finess", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "kinds" FROM "x2" AS "x2"
--
-- Result: finess VARCHAR, kinds BIGINT

-- # Distinct nodes
SELECT kind, count(DISTINCT _node) AS nodes FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(DISTINCT "wards"."_node") AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "nodes" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, nodes BIGINT

-- # Distinct values that several nodes may hold: each leaves an open table once
SELECT count(DISTINCT kind) AS kinds, sum(DISTINCT beds) AS s FROM wards;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "g0" FROM "wards" AS "wards" GROUP BY "wards"."beds"
--     -> x3 for s4: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT CAST(COALESCE("x2vw"."p0v", 0) AS BIGINT) AS "kinds", CAST("x2vw"."p1v" AS INT128) AS "s" FROM (SELECT "x2v"."p0v" AS "p0v", "x4v"."p1v" AS "p1v" FROM (SELECT COUNT("g0") AS "p0v" FROM "x2" AS "x2") AS "x2v" LEFT JOIN (SELECT SUM("g0") AS "p1v" FROM "x4" AS "x4") AS "x4v" ON TRUE) AS "x2vw"
--
-- Result: kinds BIGINT, s HUGEINT

-- # An exact median of an open table: its values leave with their counts
SELECT kind, median(beds) AS m, quantile_cont(load, 0.25) AS q FROM wards WHERE NOT isnan(load) GROUP BY kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."beds" AS "g1", COUNT(*) AS "n" FROM "wards" AS "wards" WHERE NOT ISNAN("wards"."load") GROUP BY "wards"."kind", "wards"."beds"
--     -> x1 for s2: crosses as rows, about 18 rows and 504 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", CAST(SUM("n") AS BIGINT) AS "n" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."load" AS "g1", COUNT(*) AS "n" FROM "wards" AS "wards" WHERE NOT ISNAN("wards"."load") GROUP BY "wards"."kind", "wards"."load"
--     -> x3 for s4: crosses as rows, about 18 rows and 576 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", "g1" AS "g1", CAST(SUM("n") AS BIGINT) AS "n" FROM "x3" AS "x3" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "x2rw"."g0" AS "kind", CAST("x2rw"."p0v" AS DOUBLE) AS "m", CAST("x2rw"."p1v" AS DOUBLE) AS "q" FROM (SELECT "x2r"."g0" AS "g0", "x2r"."p0v" AS "p0v", "x4r"."p1v" AS "p1v" FROM (SELECT "g0" AS "g0", MEDIAN("g1") AS "p0v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", UNNEST(RANGE(0, CASE WHEN "g1" IS NULL THEN 1 ELSE "n" END)) AS "i" FROM "x2" AS "x2") AS r GROUP BY "g0") AS "x2r" LEFT JOIN (SELECT "g0" AS "g0", QUANTILE_CONT("g1", 0.25) AS "p1v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", UNNEST(RANGE(0, CASE WHEN "g1" IS NULL THEN 1 ELSE "n" END)) AS "i" FROM "x4" AS "x4") AS r GROUP BY "g0") AS "x4r" ON "x2r"."g0" IS NOT DISTINCT FROM "x4r"."g0") AS "x2rw"
--
-- Result: kind VARCHAR, m DOUBLE, q DOUBLE

-- # A median within a group that lies at one node is taken there
SELECT finess, median(beds) AS m, mode(kind) AS k, string_agg(ward, ',' ORDER BY ward) AS w FROM wards GROUP BY finess;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "g0", MEDIAN("wards"."beds") AS "p0v", MODE("wards"."kind") AS "p1v", LISTAGG("wards"."ward", ',' ORDER BY "wards"."ward") AS "p2v" FROM "wards" AS "wards" GROUP BY "wards"."finess"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p0v") END AS "p0v", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p1v") END AS "p1v", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p2v") END AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "finess", CAST("x2"."p0v" AS DOUBLE) AS "m", CAST("x2"."p1v" AS TEXT) AS "k", CAST("x2"."p2v" AS TEXT) AS "w" FROM "x2" AS "x2"
--
-- Result: finess VARCHAR, m DOUBLE, k VARCHAR, w VARCHAR

-- # DISTINCT does not change an extreme
SELECT max(DISTINCT beds) AS a, min(DISTINCT ward) AS b FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT MAX(DISTINCT "wards"."beds") AS "p0v", MIN(DISTINCT "wards"."ward") AS "p1v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 60 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT MAX("p0v") AS "p0v", MIN("p1v") AS "p1v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS INT) AS "a", CAST("x2"."p1v" AS TEXT) AS "b" FROM "x2" AS "x2"
--
-- Result: a INTEGER, b VARCHAR

-- # Expressions over aggregates
SELECT kind, round(100.0 * sum(beds) / count(*), 2) AS rate, coalesce(sum(beds), 0) + count(*) AS x,
       CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END AS size
FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s", COUNT(*) AS "p1v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", ROUND(100.0 * CAST("x2"."p0s" AS INT128) / CAST(COALESCE("x2"."p1v", 0) AS BIGINT), 2) AS "rate", COALESCE(CAST("x2"."p0s" AS INT128), 0) + CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "x", CASE WHEN CAST(COALESCE("x2"."p1v", 0) AS BIGINT) > 5 THEN 'many' ELSE 'few' END AS "size" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, rate DOUBLE, x HUGEINT, size VARCHAR

-- # Aggregates of expressions
SELECT sum(beds * 2 + 1) AS a, avg(CASE WHEN active THEN beds END) AS b, sum(length(ward)) AS c, max(upper(kind)) AS d,
       count(CASE WHEN beds > 12 THEN 1 END) AS e, sum(1) AS f
FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds" * 2 + 1) AS "p0s", SUM(CASE WHEN "wards"."active" THEN "wards"."beds" END) AS "p1s", COUNT(CASE WHEN "wards"."active" THEN "wards"."beds" END) AS "p1n", SUM(LENGTH("wards"."ward")) AS "p2s", MAX(UPPER("wards"."kind")) AS "p3v", COUNT(CASE WHEN "wards"."beds" > 12 THEN 1 END) AS "p4v", SUM(1) AS "p5s" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n", SUM("p2s") AS "p2s", MAX("p3v") AS "p3v", SUM("p4v") AS "p4v", SUM("p5s") AS "p5s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "a", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "b", CAST("x2"."p2s" AS INT128) AS "c", CAST("x2"."p3v" AS TEXT) AS "d", CAST(COALESCE("x2"."p4v", 0) AS BIGINT) AS "e", CAST("x2"."p5s" AS INT128) AS "f" FROM "x2" AS "x2"
--
-- Result: a HUGEINT, b DOUBLE, c HUGEINT, d VARCHAR, e BIGINT, f HUGEINT

-- # The same aggregate twice is made once
SELECT count(*) AS a, count(*) + 1 AS b, sum(beds) AS c, sum(beds) / count(*) AS d FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v", SUM("wards"."beds") AS "p1s" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "a", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) + 1 AS "b", CAST("x2"."p1s" AS INT128) AS "c", CAST("x2"."p1s" AS INT128) / CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "d" FROM "x2" AS "x2"
--
-- Result: a BIGINT, b BIGINT, c HUGEINT, d DOUBLE

-- # Persons' stays by region, year and sex: only aggregates leave
SELECT region, year, sex, count(*) AS stays, avg(days) AS mean_days, sum(cost) AS cost, stddev_samp(weight) AS sd
FROM stays GROUP BY region, year, sex;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", "stays"."sex" AS "g2", COUNT(*) AS "p0v", SUM("stays"."days") AS "p1s", COUNT("stays"."days") AS "p1n", SUM("stays"."cost") AS "p2s", REGR_COUNT(CAST("stays"."weight" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p3n", REGR_AVGX(CAST("stays"."weight" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p3m", REGR_SXX(CAST("stays"."weight" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p3q" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."year", "stays"."sex"
--     -> x1 for s2: crosses as aggregate, about 1,440 rows and 155,520 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", "p0v" AS "p0v", "p1s" AS "p1s", "p1n" AS "p1n", "p2s" AS "p2s", "p3n" AS "p3n", COALESCE("p3q_0" + CAST("p3n_0" AS DOUBLE) * ("p3m_0" - "p3u") * ("p3m_0" - "p3u"), CAST(0 AS DOUBLE)) + COALESCE("p3q_1" + CAST("p3n_1" AS DOUBLE) * ("p3m_1" - "p3u") * ("p3m_1" - "p3u"), CAST(0 AS DOUBLE)) + COALESCE("p3q_2" + CAST("p3n_2" AS DOUBLE) * ("p3m_2" - "p3u") * ("p3m_2" - "p3u"), CAST(0 AS DOUBLE)) AS "p3q" FROM (SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", "p0v" AS "p0v", "p1s" AS "p1s", "p1n" AS "p1n", "p2s" AS "p2s", CAST("p3n" AS DOUBLE) AS "p3n", "p3n_0" AS "p3n_0", "p3n_1" AS "p3n_1", "p3n_2" AS "p3n_2", "p3m_0" AS "p3m_0", "p3m_1" AS "p3m_1", "p3m_2" AS "p3m_2", "p3q_0" AS "p3q_0", "p3q_1" AS "p3q_1", "p3q_2" AS "p3q_2", (COALESCE(CAST("p3n_0" AS DOUBLE) * "p3m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_1" AS DOUBLE) * "p3m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p3n_2" AS DOUBLE) * "p3m_2", CAST(0 AS DOUBLE))) / CAST("p3n" AS DOUBLE) AS "p3u" FROM (SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n", SUM("p2s") AS "p2s", SUM("p3n") AS "p3n", MAX("p3n") FILTER(WHERE "_shard" = 0) AS "p3n_0", MAX("p3n") FILTER(WHERE "_shard" = 1) AS "p3n_1", MAX("p3n") FILTER(WHERE "_shard" = 2) AS "p3n_2", MAX("p3m") FILTER(WHERE "_shard" = 0) AS "p3m_0", MAX("p3m") FILTER(WHERE "_shard" = 1) AS "p3m_1", MAX("p3m") FILTER(WHERE "_shard" = 2) AS "p3m_2", MAX("p3q") FILTER(WHERE "_shard" = 0) AS "p3q_0", MAX("p3q") FILTER(WHERE "_shard" = 1) AS "p3q_1", MAX("p3q") FILTER(WHERE "_shard" = 2) AS "p3q_2" FROM "x1" AS "x1" GROUP BY "g0", "g1", "g2") AS m) AS c
--     may be cut by hash of: g0, g1, g2
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", "x2"."g2" AS "sex", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "mean_days", CAST("x2"."p2s" AS DECIMAL(38, 2)) AS "cost", CAST(CASE WHEN "x2"."p3n" >= 2 THEN SQRT("x2"."p3q" / ("x2"."p3n" - 1)) ELSE NULL END AS DOUBLE) AS "sd" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, year INTEGER, sex VARCHAR, stays BIGINT, mean_days DOUBLE, cost DECIMAL(38,2), sd DOUBLE

-- # Persons counted at one node
SELECT region, count(DISTINCT patient) AS persons, sum(spent) AS spent FROM insured GROUP BY region;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "insured"."region" AS "g0", COUNT(DISTINCT "insured"."patient") AS "p0v", SUM("insured"."spent") AS "p1v" FROM "insured" AS "insured" GROUP BY "insured"."region"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 800 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST("x2"."p1v" AS DECIMAL(38, 2)) AS "spent" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, persons BIGINT, spent DECIMAL(38,2)

-- # A share of a group that is large enough
SELECT region, count(*) AS n, count(*) FILTER (WHERE urgent) AS urgent, avg(days) FILTER (WHERE year = 2023) AS d
FROM stays GROUP BY region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v", COUNT(*) FILTER(WHERE "stays"."urgent") AS "p1v", SUM("stays"."days") FILTER(WHERE "stays"."year" = 2023) AS "p2s", COUNT("stays"."days") FILTER(WHERE "stays"."year" = 2023) AS "p2n" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 3,360 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "urgent", CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT, urgent BIGINT, d DOUBLE

-- # A small group is withheld by every hospital
-- : answer=withheld
SELECT diagnosis, count(*) AS n FROM stays GROUP BY diagnosis;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."diagnosis" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."diagnosis"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "diagnosis", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: diagnosis VARCHAR, n BIGINT

-- # Regression over persons
SELECT region, regr_slope(days, weight) AS slope, corr(days, weight) AS r FROM stays GROUP BY region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", REGR_COUNT(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0mx", REGR_AVGY(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0my", REGR_SXX(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0xx", REGR_SYY(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0yy", REGR_SXY(CAST("stays"."days" AS DOUBLE), CAST("stays"."weight" AS DOUBLE)) AS "p0xy" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 3,840 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "p0n" AS "p0n", "p0ux" AS "p0mx", "p0uy" AS "p0my", COALESCE("p0xx_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0mx_0" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0mx_1" - "p0ux"), CAST(0 AS DOUBLE)) + COALESCE("p0xx_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0mx_2" - "p0ux"), CAST(0 AS DOUBLE)) AS "p0xx", COALESCE("p0yy_0" + CAST("p0n_0" AS DOUBLE) * ("p0my_0" - "p0uy") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_1" + CAST("p0n_1" AS DOUBLE) * ("p0my_1" - "p0uy") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0yy_2" + CAST("p0n_2" AS DOUBLE) * ("p0my_2" - "p0uy") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0yy", COALESCE("p0xy_0" + CAST("p0n_0" AS DOUBLE) * ("p0mx_0" - "p0ux") * ("p0my_0" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_1" + CAST("p0n_1" AS DOUBLE) * ("p0mx_1" - "p0ux") * ("p0my_1" - "p0uy"), CAST(0 AS DOUBLE)) + COALESCE("p0xy_2" + CAST("p0n_2" AS DOUBLE) * ("p0mx_2" - "p0ux") * ("p0my_2" - "p0uy"), CAST(0 AS DOUBLE)) AS "p0xy" FROM (SELECT "g0" AS "g0", CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0mx_0" AS "p0mx_0", "p0mx_1" AS "p0mx_1", "p0mx_2" AS "p0mx_2", "p0my_0" AS "p0my_0", "p0my_1" AS "p0my_1", "p0my_2" AS "p0my_2", "p0xx_0" AS "p0xx_0", "p0xx_1" AS "p0xx_1", "p0xx_2" AS "p0xx_2", "p0yy_0" AS "p0yy_0", "p0yy_1" AS "p0yy_1", "p0yy_2" AS "p0yy_2", "p0xy_0" AS "p0xy_0", "p0xy_1" AS "p0xy_1", "p0xy_2" AS "p0xy_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0mx_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0mx_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0mx_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0ux", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0my_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0my_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0my_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0uy" FROM (SELECT "g0" AS "g0", SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0mx") FILTER(WHERE "_shard" = 0) AS "p0mx_0", MAX("p0mx") FILTER(WHERE "_shard" = 1) AS "p0mx_1", MAX("p0mx") FILTER(WHERE "_shard" = 2) AS "p0mx_2", MAX("p0my") FILTER(WHERE "_shard" = 0) AS "p0my_0", MAX("p0my") FILTER(WHERE "_shard" = 1) AS "p0my_1", MAX("p0my") FILTER(WHERE "_shard" = 2) AS "p0my_2", MAX("p0xx") FILTER(WHERE "_shard" = 0) AS "p0xx_0", MAX("p0xx") FILTER(WHERE "_shard" = 1) AS "p0xx_1", MAX("p0xx") FILTER(WHERE "_shard" = 2) AS "p0xx_2", MAX("p0yy") FILTER(WHERE "_shard" = 0) AS "p0yy_0", MAX("p0yy") FILTER(WHERE "_shard" = 1) AS "p0yy_1", MAX("p0yy") FILTER(WHERE "_shard" = 2) AS "p0yy_2", MAX("p0xy") FILTER(WHERE "_shard" = 0) AS "p0xy_0", MAX("p0xy") FILTER(WHERE "_shard" = 1) AS "p0xy_1", MAX("p0xy") FILTER(WHERE "_shard" = 2) AS "p0xy_2" FROM "x1" AS "x1" GROUP BY "g0") AS m) AS c
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN "x2"."p0xx" = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / "x2"."p0xx" END ELSE NULL END AS DOUBLE) AS "slope", CAST(CASE WHEN "x2"."p0n" >= 1 THEN CASE WHEN SQRT("x2"."p0xx") * SQRT("x2"."p0yy") = 0 THEN CAST('nan' AS DOUBLE) ELSE "x2"."p0xy" / (SQRT("x2"."p0xx") * SQRT("x2"."p0yy")) END ELSE NULL END AS DOUBLE) AS "r" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, slope DOUBLE, r DOUBLE

-- # Several regressions of one pair at one node
SELECT region, covar_pop(spent, birth) AS a, regr_sxy(spent, birth) AS b, var_pop(spent) AS c, stddev(spent) AS d FROM insured GROUP BY region;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "insured"."region" AS "g0", COVAR_POP("insured"."spent", "insured"."birth") AS "p0v", REGR_SXY("insured"."spent", "insured"."birth") AS "p1v", VAR_POP("insured"."spent") AS "p2v", STDDEV("insured"."spent") AS "p3v" FROM "insured" AS "insured" GROUP BY "insured"."region"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 960 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v", ANY_VALUE("p2v") AS "p2v", ANY_VALUE("p3v") AS "p3v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST("x2"."p0v" AS DOUBLE) AS "a", CAST("x2"."p1v" AS DOUBLE) AS "b", CAST("x2"."p2v" AS DOUBLE) AS "c", CAST("x2"."p3v" AS DOUBLE) AS "d" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE

-- # Several regressions of one pair over rows that are brought together
SELECT h.region, covar_pop(t.patients, h.beds) AS a, regr_sxy(t.patients, h.beds) AS b, count(*) AS n
FROM hospitals h LEFT JOIN transfers t ON t.target = h.finess GROUP BY h.region;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "c0", "t"."target" AS "c1" FROM "transfers" AS "t"
--     -> x1 for s2: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "patients", "x1"."c1" AS "target" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at cnam, over x2
--     SELECT "h"."region" AS "g0", COVAR_POP("t"."patients", "h"."beds") AS "p0v", REGR_SXY("t"."patients", "h"."beds") AS "p1v", COUNT(*) AS "p2v" FROM "hospitals" AS "h" LEFT JOIN "x2" AS "t" ON "t"."target" = "h"."finess" GROUP BY "h"."region"
--     -> x3 for s4: crosses as rows, about 20 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v", ANY_VALUE("p2v") AS "p2v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "region", CAST("x4"."p0v" AS DOUBLE) AS "a", CAST("x4"."p1v" AS DOUBLE) AS "b", CAST(COALESCE("x4"."p2v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: region VARCHAR, a DOUBLE, b DOUBLE, n BIGINT
-- Not pushed down: This LEFT JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 800 bytes: it moves more bytes
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 300 bytes: 'lyon' would have to send rows of 'transfers' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 500 bytes: 'lille' would have to send rows of 'transfers' to 'cnam', and the holder's policy does not let them go there.

-- # count_if over nothing is NULL, as in the engine
SELECT count_if(beds > 3) AS a, count_if(beds > 3) FILTER (WHERE beds < 0) AS b FROM wards WHERE beds < 0;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT_IF("wards"."beds" > 3) AS "p0v", COUNT_IF("wards"."beds" > 3) FILTER(WHERE "wards"."beds" < 0) AS "p1v" FROM "wards" AS "wards" WHERE "wards"."beds" < 0
--     -> x1 for s2: crosses as rows, about 3 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v", SUM("p1v") AS "p1v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS INT128) AS "a", CAST("x2"."p1v" AS INT128) AS "b" FROM "x2" AS "x2"
--
-- Result: a HUGEINT, b HUGEINT
