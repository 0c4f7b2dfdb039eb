-- Values at the edges: huge numbers, exact decimals, doubles that cancel, NaN, time, text, lists.

-- # Sums of BIGINT beyond its range
SELECT sum(9223372036854775807 - beds) AS s, count(*) AS n FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM(9223372036854775807 - "wards"."beds") AS "p0s", COUNT(*) AS "p1v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p1v") AS "p1v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "s", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: s HUGEINT, n BIGINT

-- # Sums of HUGEINT keep every digit
SELECT kind, sum(big) AS s, min(big) AS a, max(big) AS b FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."big") AS "p0s", MIN("wards"."big") AS "p1v", MAX("wards"."big") AS "p2v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", MIN("p1v") AS "p1v", MAX("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "s", CAST("x2"."p1v" AS INT128) AS "a", CAST("x2"."p2v" AS INT128) AS "b" FROM "x2" AS "x2" ORDER BY "kind"
--
-- Result: kind VARCHAR, s HUGEINT, a HUGEINT, b HUGEINT

-- # Decimals of 38 digits
SELECT sum(budget::DECIMAL(38, 10) / 1) AS d, sum(budget::DECIMAL(38, 10)) AS s, min(budget::DECIMAL(38, 6)) AS m FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT FSUM(CAST(CAST("wards"."budget" AS DECIMAL(38, 10)) / 1 AS DOUBLE)) AS "p0s", SUM(CAST(CAST("wards"."budget" AS DECIMAL(38, 10)) / 1 AS DOUBLE)) AS "p0i", SUM(CAST("wards"."budget" AS DECIMAL(38, 10))) AS "p1s", MIN(CAST("wards"."budget" AS DECIMAL(38, 6))) AS "p2v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 144 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT CASE WHEN ISFINITE("p0i") THEN CASE WHEN "p0c" = 0 THEN NULL ELSE (COALESCE("p0s_0", CAST(0 AS DOUBLE)) + COALESCE("p0s_1", CAST(0 AS DOUBLE)) + COALESCE("p0s_2", CAST(0 AS DOUBLE))) END ELSE "p0i" END AS "p0t", "p1s" AS "p1s", "p2v" AS "p2v" FROM (SELECT MAX("p0s") FILTER(WHERE "_shard" = 0) AS "p0s_0", MAX("p0s") FILTER(WHERE "_shard" = 1) AS "p0s_1", MAX("p0s") FILTER(WHERE "_shard" = 2) AS "p0s_2", SUM("p0i") AS "p0i", COUNT("p0s") AS "p0c", SUM("p1s") AS "p1s", MIN("p2v") AS "p2v" FROM "x1" AS "x1") AS m
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0t" AS DOUBLE) AS "d", CAST("x2"."p1s" AS DECIMAL(38, 10)) AS "s", CAST("x2"."p2v" AS DECIMAL(38, 6)) AS "m" FROM "x2" AS "x2"
--
-- Result: d DOUBLE, s DECIMAL(38,10), m DECIMAL(38,6)

-- # Means of decimals and of huge integers
SELECT avg(budget) AS a, avg(big) AS b, avg(flags) AS c, avg(budget * 3.333) AS d FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."budget") AS "p0s", COUNT("wards"."budget") AS "p0n", SUM("wards"."big") AS "p1s", COUNT("wards"."big") AS "p1n", SUM("wards"."flags") AS "p2s", COUNT("wards"."flags") AS "p2n", SUM("wards"."budget" * 3.333) AS "p3s", COUNT("wards"."budget" * 3.333) AS "p3n" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n", SUM("p3s") AS "p3s", SUM("p3n") AS "p3n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "a", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "b", CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "c", CAST((CAST("x2"."p3s" AS DOUBLE) / CAST("x2"."p3n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE

-- # Doubles that would cancel in sums of squares: exact here, the engine's own answer is off in the seventh digit
-- : oracle=SELECT var_samp(ratio) AS v, stddev_pop(ratio) AS s FROM wards
SELECT var_samp(1e9 + ratio) AS v, stddev_pop(1e9 + ratio) AS s FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT REGR_COUNT(CAST(1e9 + "wards"."ratio" AS DOUBLE), CAST(1e9 + "wards"."ratio" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST(1e9 + "wards"."ratio" AS DOUBLE), CAST(1e9 + "wards"."ratio" AS DOUBLE)) AS "p0m", REGR_SXX(CAST(1e9 + "wards"."ratio" AS DOUBLE), CAST(1e9 + "wards"."ratio" AS DOUBLE)) AS "p0q" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0n" AS "p0n", COALESCE("p0q_0" + CAST("p0n_0" AS DOUBLE) * ("p0m_0" - "p0u") * ("p0m_0" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_1" + CAST("p0n_1" AS DOUBLE) * ("p0m_1" - "p0u") * ("p0m_1" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_2" + CAST("p0n_2" AS DOUBLE) * ("p0m_2" - "p0u") * ("p0m_2" - "p0u"), CAST(0 AS DOUBLE)) AS "p0q" FROM (SELECT CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0m_0" AS "p0m_0", "p0m_1" AS "p0m_1", "p0m_2" AS "p0m_2", "p0q_0" AS "p0q_0", "p0q_1" AS "p0q_1", "p0q_2" AS "p0q_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0m_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0u" FROM (SELECT SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0m") FILTER(WHERE "_shard" = 0) AS "p0m_0", MAX("p0m") FILTER(WHERE "_shard" = 1) AS "p0m_1", MAX("p0m") FILTER(WHERE "_shard" = 2) AS "p0m_2", MAX("p0q") FILTER(WHERE "_shard" = 0) AS "p0q_0", MAX("p0q") FILTER(WHERE "_shard" = 1) AS "p0q_1", MAX("p0q") FILTER(WHERE "_shard" = 2) AS "p0q_2" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(CASE WHEN "x2"."p0n" >= 2 THEN "x2"."p0q" / ("x2"."p0n" - 1) ELSE NULL END AS DOUBLE) AS "v", CAST(CASE WHEN "x2"."p0n" >= 1 THEN SQRT("x2"."p0q" / "x2"."p0n") ELSE NULL END AS DOUBLE) AS "s" FROM "x2" AS "x2"
--
-- Result: v DOUBLE, s DOUBLE

-- # NaN in aggregates
SELECT active, max(load) AS a, min(load) AS b, count(load) AS c FROM wards GROUP BY active ORDER BY active NULLS LAST;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."active" AS "g0", MAX("wards"."load") AS "p0v", MIN("wards"."load") AS "p1v", COUNT("wards"."load") AS "p2v" FROM "wards" AS "wards" GROUP BY "wards"."active"
--     -> x1 for s2: crosses as rows, about 25 rows and 625 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", MAX("p0v") AS "p0v", MIN("p1v") AS "p1v", SUM("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "active", CAST("x2"."p0v" AS DOUBLE) AS "a", CAST("x2"."p1v" AS DOUBLE) AS "b", CAST(COALESCE("x2"."p2v", 0) AS BIGINT) AS "c" FROM "x2" AS "x2" ORDER BY "active"
--
-- Result: active BOOLEAN, a DOUBLE, b DOUBLE, c BIGINT

-- # HAVING on NaN at the coordinator
SELECT kind, max(load) AS m FROM wards GROUP BY kind HAVING max(load) > 3 ORDER BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", MAX("wards"."load") AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", MAX("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0v" AS DOUBLE) AS "m" FROM "x2" AS "x2" WHERE CAST("x2"."p0v" AS DOUBLE) > 3 ORDER BY "kind"
--
-- Result: kind VARCHAR, m DOUBLE

-- # Infinity in a sum
SELECT sum(CASE WHEN flags = 3 THEN 'inf'::DOUBLE ELSE load END) AS s, avg(CASE WHEN flags = 3 THEN '-inf'::DOUBLE ELSE ratio END) AS a
FROM wards WHERE NOT isnan(load);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT FSUM(CAST(CASE WHEN "wards"."flags" = 3 THEN CAST('inf' AS DOUBLE) ELSE "wards"."load" END AS DOUBLE)) AS "p0s", SUM(CAST(CASE WHEN "wards"."flags" = 3 THEN CAST('inf' AS DOUBLE) ELSE "wards"."load" END AS DOUBLE)) AS "p0i", FSUM(CAST(CASE WHEN "wards"."flags" = 3 THEN CAST('-inf' AS DOUBLE) ELSE "wards"."ratio" END AS DOUBLE)) AS "p1s", SUM(CAST(CASE WHEN "wards"."flags" = 3 THEN CAST('-inf' AS DOUBLE) ELSE "wards"."ratio" END AS DOUBLE)) AS "p1i", COUNT(CASE WHEN "wards"."flags" = 3 THEN CAST('-inf' AS DOUBLE) ELSE "wards"."ratio" END) AS "p1n" FROM "wards" AS "wards" WHERE NOT ISNAN("wards"."load")
--     -> x1 for s2: crosses as rows, about 3 rows and 120 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT CASE WHEN ISFINITE("p0i") THEN CASE WHEN "p0c" = 0 THEN NULL ELSE (COALESCE("p0s_0", CAST(0 AS DOUBLE)) + COALESCE("p0s_1", CAST(0 AS DOUBLE)) + COALESCE("p0s_2", CAST(0 AS DOUBLE))) END ELSE "p0i" END AS "p0t", CASE WHEN ISFINITE("p1i") THEN CASE WHEN "p1c" = 0 THEN NULL ELSE (COALESCE("p1s_0", CAST(0 AS DOUBLE)) + COALESCE("p1s_1", CAST(0 AS DOUBLE)) + COALESCE("p1s_2", CAST(0 AS DOUBLE))) END ELSE "p1i" END AS "p1t", "p1n" AS "p1n" FROM (SELECT MAX("p0s") FILTER(WHERE "_shard" = 0) AS "p0s_0", MAX("p0s") FILTER(WHERE "_shard" = 1) AS "p0s_1", MAX("p0s") FILTER(WHERE "_shard" = 2) AS "p0s_2", SUM("p0i") AS "p0i", COUNT("p0s") AS "p0c", MAX("p1s") FILTER(WHERE "_shard" = 0) AS "p1s_0", MAX("p1s") FILTER(WHERE "_shard" = 1) AS "p1s_1", MAX("p1s") FILTER(WHERE "_shard" = 2) AS "p1s_2", SUM("p1i") AS "p1i", COUNT("p1s") AS "p1c", SUM("p1n") AS "p1n" FROM "x1" AS "x1") AS m
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0t" AS DOUBLE) AS "s", CAST(("x2"."p1t" / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "a" FROM "x2" AS "x2"
--
-- Result: s DOUBLE, a DOUBLE

-- # Time
SELECT date_trunc('month', noted) AS m, min(noted) AS a, max(opened) AS b, count(DISTINCT _node) AS n FROM wards GROUP BY m ORDER BY m;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT DATE_TRUNC('MONTH', "wards"."noted") AS "g0", MIN("wards"."noted") AS "p0v", MAX("wards"."opened") AS "p1v", COUNT(DISTINCT "wards"."_node") AS "p2v" FROM "wards" AS "wards" GROUP BY DATE_TRUNC('MONTH', "wards"."noted")
--     -> x1 for s2: crosses as rows, about 25 rows and 700 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", MIN("p0v") AS "p0v", MAX("p1v") AS "p1v", SUM("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "m", CAST("x2"."p0v" AS TIMESTAMP) AS "a", CAST("x2"."p1v" AS DATE) AS "b", CAST(COALESCE("x2"."p2v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "m"
--
-- Result: m TIMESTAMP, a TIMESTAMP, b DATE, n BIGINT

-- # Differences of dates
SELECT avg(DATE '2024-01-01' - opened) AS a, sum(date_diff('year', opened, DATE '2024-01-01')) AS s FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM(CAST('2024-01-01' AS DATE) - "wards"."opened") AS "p0s", COUNT(CAST('2024-01-01' AS DATE) - "wards"."opened") AS "p0n", SUM(DATE_DIFF('YEAR', "wards"."opened", CAST('2024-01-01' AS DATE))) AS "p1s" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 120 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n", SUM("p1s") AS "p1s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "a", CAST("x2"."p1s" AS INT128) AS "s" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, s HUGEINT

-- # Intervals as groups
SELECT (noted - date_trunc('day', noted)) AS i, count(*) AS n FROM wards GROUP BY i ORDER BY i;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."noted" - DATE_TRUNC('DAY', "wards"."noted") AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."noted" - DATE_TRUNC('DAY', "wards"."noted")
--     -> x1 for s2: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT ("x2"."g0") AS "i", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "i"
--
-- Result: i INTERVAL, n BIGINT

-- # Lists as groups
SELECT tags, count(*) AS n FROM wards GROUP BY tags ORDER BY tags;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."tags" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."tags"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "tags", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "tags"
--
-- Result: tags VARCHAR[], n BIGINT

-- # Empty text is not NULL
SELECT note, count(*) AS n, count(note) AS c FROM shifts GROUP BY note;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."note" AS "g0", COUNT(*) AS "p0v", COUNT("shifts"."note") AS "p1v" FROM "shifts" AS "shifts" GROUP BY "shifts"."note"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,920 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "note", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "c" FROM "x2" AS "x2"
--
-- Result: note VARCHAR, n BIGINT, c BIGINT

-- # Text by code point
SELECT ward, count(*) AS n FROM wards GROUP BY ward ORDER BY ward DESC;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."ward"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "ward", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "ward" DESC
--
-- Result: ward VARCHAR, n BIGINT

-- # Small types widen in sums and stay in extremes
SELECT sum(flags) AS s, max(flags) AS m, sum(ratio) AS r, min(ratio) AS x, bit_or(flags) AS o FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."flags") AS "p0s", MAX("wards"."flags") AS "p1v", FSUM(CAST("wards"."ratio" AS DOUBLE)) AS "p2s", SUM(CAST("wards"."ratio" AS DOUBLE)) AS "p2i", MIN("wards"."ratio") AS "p3v", BIT_OR("wards"."flags") AS "p4v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 156 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0s" AS "p0s", "p1v" AS "p1v", CASE WHEN ISFINITE("p2i") THEN CASE WHEN "p2c" = 0 THEN NULL ELSE (COALESCE("p2s_0", CAST(0 AS DOUBLE)) + COALESCE("p2s_1", CAST(0 AS DOUBLE)) + COALESCE("p2s_2", CAST(0 AS DOUBLE))) END ELSE "p2i" END AS "p2t", "p3v" AS "p3v", "p4v" AS "p4v" FROM (SELECT SUM("p0s") AS "p0s", MAX("p1v") AS "p1v", MAX("p2s") FILTER(WHERE "_shard" = 0) AS "p2s_0", MAX("p2s") FILTER(WHERE "_shard" = 1) AS "p2s_1", MAX("p2s") FILTER(WHERE "_shard" = 2) AS "p2s_2", SUM("p2i") AS "p2i", COUNT("p2s") AS "p2c", MIN("p3v") AS "p3v", BIT_OR("p4v") AS "p4v" FROM "x1" AS "x1") AS m
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "s", CAST("x2"."p1v" AS UTINYINT) AS "m", CAST("x2"."p2t" AS DOUBLE) AS "r", CAST("x2"."p3v" AS REAL) AS "x", CAST("x2"."p4v" AS UTINYINT) AS "o" FROM "x2" AS "x2"
--
-- Result: s HUGEINT, m UTINYINT, r DOUBLE, x FLOAT, o UTINYINT

-- # Integer division and modulo of aggregates
SELECT sum(beds) // count(*) AS d, sum(beds) % 7 AS m, sum(beds) / count(*) AS q, -sum(beds) // 4 AS neg FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT(*) AS "p1v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p1v") AS "p1v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) // CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "d", CAST("x2"."p0s" AS INT128) % 7 AS "m", CAST("x2"."p0s" AS INT128) / CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "q", -CAST("x2"."p0s" AS INT128) // 4 AS "neg" FROM "x2" AS "x2"
--
-- Result: d HUGEINT, m HUGEINT, q DOUBLE, neg HUGEINT

-- # Division by zero is NULL or infinite as in the engine
SELECT sum(beds) / (count(*) - count(*)) AS a, sum(load) / 0 AS b, 1 % (count(*) - count(*)) AS c FROM wards WHERE NOT isnan(load);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT(*) AS "p1v", FSUM(CAST("wards"."load" AS DOUBLE)) AS "p2s", SUM(CAST("wards"."load" AS DOUBLE)) AS "p2i" FROM "wards" AS "wards" WHERE NOT ISNAN("wards"."load")
--     -> x1 for s2: crosses as rows, about 3 rows and 120 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "p0s" AS "p0s", "p1v" AS "p1v", CASE WHEN ISFINITE("p2i") THEN CASE WHEN "p2c" = 0 THEN NULL ELSE (COALESCE("p2s_0", CAST(0 AS DOUBLE)) + COALESCE("p2s_1", CAST(0 AS DOUBLE)) + COALESCE("p2s_2", CAST(0 AS DOUBLE))) END ELSE "p2i" END AS "p2t" FROM (SELECT SUM("p0s") AS "p0s", SUM("p1v") AS "p1v", MAX("p2s") FILTER(WHERE "_shard" = 0) AS "p2s_0", MAX("p2s") FILTER(WHERE "_shard" = 1) AS "p2s_1", MAX("p2s") FILTER(WHERE "_shard" = 2) AS "p2s_2", SUM("p2i") AS "p2i", COUNT("p2s") AS "p2c" FROM "x1" AS "x1") AS m
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) / (CAST(COALESCE("x2"."p1v", 0) AS BIGINT) - CAST(COALESCE("x2"."p1v", 0) AS BIGINT)) AS "a", CAST("x2"."p2t" AS DOUBLE) / 0 AS "b", 1 % (CAST(COALESCE("x2"."p1v", 0) AS BIGINT) - CAST(COALESCE("x2"."p1v", 0) AS BIGINT)) AS "c" FROM "x2" AS "x2"
--
-- Result: a DOUBLE, b DOUBLE, c BIGINT

-- # Booleans
SELECT active, bool_and(beds > 10) AS a, bool_or(NULL) AS b, count_if(active IS NULL) AS c FROM wards GROUP BY active ORDER BY active;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."active" AS "g0", BOOL_AND(CAST("wards"."beds" > 10 AS BOOLEAN)) AS "p0v", BOOL_OR(CAST(NULL AS BOOLEAN)) AS "p1v", COUNT_IF("wards"."active" IS NULL) AS "p2v" FROM "wards" AS "wards" GROUP BY "wards"."active"
--     -> x1 for s2: crosses as rows, about 25 rows and 475 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", BOOL_AND(CAST("p0v" AS BOOLEAN)) AS "p0v", BOOL_OR(CAST("p1v" AS BOOLEAN)) AS "p1v", SUM("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "active", CAST("x2"."p0v" AS BOOLEAN) AS "a", CAST("x2"."p1v" AS BOOLEAN) AS "b", CAST("x2"."p2v" AS INT128) AS "c" FROM "x2" AS "x2" ORDER BY "active"
--
-- Result: active BOOLEAN, a BOOLEAN, b BOOLEAN, c HUGEINT

-- # CASE over NULL groups
SELECT CASE WHEN kind IS NULL THEN 'none' ELSE kind END AS k, count(*) AS n FROM wards GROUP BY k ORDER BY k;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT CASE WHEN "wards"."kind" IS NULL THEN 'none' ELSE "wards"."kind" END AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY CASE WHEN "wards"."kind" IS NULL THEN 'none' ELSE "wards"."kind" END
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "k", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "k"
--
-- Result: k VARCHAR, n BIGINT

-- # Huge integers arrive as decimals and are made integers again
SELECT finess, ward, big // 7 AS d, big % 7 AS m, big / 4 AS q FROM wards ORDER BY big DESC LIMIT 3;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."big" AS "c2" FROM "wards" AS "wards" ORDER BY "wards"."big" DESC LIMIT 3
--     -> x1 for s2: crosses as rows, about 9 rows and 432 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", "x1"."c2" // 7 AS "d", "x1"."c2" % 7 AS "m", "x1"."c2" / 4 AS "q" FROM (SELECT "x1"."c0" AS "c0", "x1"."c1" AS "c1", CAST("x1"."c2" AS INT128) AS "c2" FROM "x1" AS "x1") AS "x1" ORDER BY "x1"."c2" DESC LIMIT 3
--
-- Result: finess VARCHAR, ward VARCHAR, d HUGEINT, m HUGEINT, q DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: it moves more bytes

-- # Bits of huge integers
SELECT bit_xor(big) AS x, bit_and(big % 16) AS a FROM wards;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."big" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT BIT_XOR("x1"."c0") AS "x", BIT_AND("x1"."c0" % 16) AS "a" FROM (SELECT CAST("x1"."c0" AS INT128) AS "c0" FROM "x1" AS "x1") AS "x1"
--
-- Result: x HUGEINT, a HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 240 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A huge integer handed to the nodes
SELECT kind, count(*) AS n FROM wards WHERE beds % 5 = (SELECT sum(nurses) // 100 FROM shifts) % 5 GROUP BY kind;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("shifts"."nurses") AS "p0s" FROM "shifts" AS "shifts"
--     -> x1 for s2: crosses as rows, about 3 rows and 48 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) // 100 AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."beds" % 5 = (SELECT "x3"."_col_0" AS "_col_0" FROM (SELECT CAST("x3"."_col_0" AS INT128) AS "_col_0" FROM "x3" AS "x3") AS "x3") % 5 GROUP BY "wards"."kind"
--     -> x4 for s5: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "kind", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5"
--
-- Result: kind VARCHAR, n BIGINT

-- # Bits do not survive the way: the rows of an open table do
SELECT (flags::VARCHAR || '1')::BIT AS bits, count(*) AS n FROM wards WHERE flags < 2 GROUP BY bits;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."flags" AS "c0" FROM "wards" AS "wards" WHERE "wards"."flags" < 2
--     -> x1 for s2: crosses as rows, about 8 rows and 64 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT CAST((CAST("x1"."c0" AS TEXT) || '1') AS BIT) AS "bits", COUNT(*) AS "n" FROM "x1" AS "x1" GROUP BY CAST((CAST("x1"."c0" AS TEXT) || '1') AS BIT)
--
-- Result: bits BIT, n BIGINT
-- Not pushed down: A value of type BIT cannot leave a node as it is.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 40 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
