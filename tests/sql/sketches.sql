-- Estimates over tables whose rows are at three hospitals. Each answer is compared with that of exact SQL: so few values
-- are all in registers of their own.

-- # An estimate of distinct values, with its error
-- : oracle=SELECT count(DISTINCT ward) AS d FROM wards
SELECT approx_count_distinct(ward) AS d FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT ARCHIPEL_HLL("wards"."ward", '0621dca33dd2f94c2597898a25580870') AS "p0h" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT COALESCE(ROUND(CASE WHEN LENGTH("p0h") > 0 THEN CAST(4096 AS DOUBLE) * 4096 / (2 * LN(2)) / (LIST_SUM(LIST_TRANSFORM("p0h", LAMBDA c : POWER(CAST(2 AS DOUBLE), -CAST((c % 64) AS DOUBLE)))) + 4096 * (((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)) + LIST_SUM(LIST_TRANSFORM(RANGE(1, 21), LAMBDA k : POWER(((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)), POWER(2, k)) * POWER(2, k - 1))))) END), 0) AS "p0h" FROM (SELECT LIST_FILTER("p0h", LAMBDA c, i : i = LENGTH("p0h") OR "p0h"[i + 1] // 64 <> c // 64) AS "p0h" FROM (SELECT LIST_SORT(FLATTEN(ARRAY_AGG("p0h"))) AS "p0h" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0h" AS BIGINT) AS "d" FROM "x2" AS "x2"
--
-- Result: d BIGINT
-- Note: approx_count_distinct is an estimate: its standard error is 1.6 %, and one of twenty is off by more than 3.2 %.

-- # Estimates by group beside partials, with FILTER; NULL is no value, -0.0 is 0.0
-- : oracle=SELECT kind, count(DISTINCT ward) AS w, count(DISTINCT load * 0) FILTER (WHERE load > 0 AND NOT isnan(load)) AS z, avg(beds) AS a FROM wards GROUP BY kind
SELECT kind, approx_count_distinct(ward) AS w, approx_count_distinct(load * 0) FILTER (WHERE load > 0 AND NOT isnan(load)) AS z, avg(beds) AS a
FROM wards GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", ARCHIPEL_HLL("wards"."ward", '0621dca33dd2f94c2597898a25580870') AS "p0h", ARCHIPEL_HLL(CASE WHEN "wards"."load" > 0 AND NOT ISNAN("wards"."load") THEN ("wards"."load" * 0) + 0 END, '0621dca33dd2f94c2597898a25580870') AS "p1h", SUM("wards"."beds") AS "p2s", COUNT("wards"."beds") AS "p2n" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", COALESCE(ROUND(CASE WHEN LENGTH("p0h") > 0 THEN CAST(4096 AS DOUBLE) * 4096 / (2 * LN(2)) / (LIST_SUM(LIST_TRANSFORM("p0h", LAMBDA c : POWER(CAST(2 AS DOUBLE), -CAST((c % 64) AS DOUBLE)))) + 4096 * (((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)) + LIST_SUM(LIST_TRANSFORM(RANGE(1, 21), LAMBDA k : POWER(((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)), POWER(2, k)) * POWER(2, k - 1))))) END), 0) AS "p0h", COALESCE(ROUND(CASE WHEN LENGTH("p1h") > 0 THEN CAST(4096 AS DOUBLE) * 4096 / (2 * LN(2)) / (LIST_SUM(LIST_TRANSFORM("p1h", LAMBDA c : POWER(CAST(2 AS DOUBLE), -CAST((c % 64) AS DOUBLE)))) + 4096 * (((4096 - LENGTH("p1h")) / CAST(4096 AS DOUBLE)) + LIST_SUM(LIST_TRANSFORM(RANGE(1, 21), LAMBDA k : POWER(((4096 - LENGTH("p1h")) / CAST(4096 AS DOUBLE)), POWER(2, k)) * POWER(2, k - 1))))) END), 0) AS "p1h", "p2s" AS "p2s", "p2n" AS "p2n" FROM (SELECT "g0" AS "g0", LIST_FILTER("p0h", LAMBDA c, i : i = LENGTH("p0h") OR "p0h"[i + 1] // 64 <> c // 64) AS "p0h", LIST_FILTER("p1h", LAMBDA c, i : i = LENGTH("p1h") OR "p1h"[i + 1] // 64 <> c // 64) AS "p1h", "p2s" AS "p2s", "p2n" AS "p2n" FROM (SELECT "g0" AS "g0", LIST_SORT(FLATTEN(ARRAY_AGG("p0h"))) AS "p0h", LIST_SORT(FLATTEN(ARRAY_AGG("p1h"))) AS "p1h", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n" FROM "x1" AS "x1" GROUP BY "g0") AS m) AS c
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0h" AS BIGINT) AS "w", CAST("x2"."p1h" AS BIGINT) AS "z", CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "a" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, w BIGINT, z BIGINT, a DOUBLE
-- Note: approx_count_distinct is an estimate: its standard error is 1.6 %, and one of twenty is off by more than 3.2 %.

-- # An estimate over nothing is 0
-- : oracle=SELECT count(DISTINCT ward) AS d FROM wards WHERE beds < 0
SELECT approx_count_distinct(ward) AS d FROM wards WHERE beds < 0;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT ARCHIPEL_HLL("wards"."ward", '0621dca33dd2f94c2597898a25580870') AS "p0h" FROM "wards" AS "wards" WHERE "wards"."beds" < 0
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT COALESCE(ROUND(CASE WHEN LENGTH("p0h") > 0 THEN CAST(4096 AS DOUBLE) * 4096 / (2 * LN(2)) / (LIST_SUM(LIST_TRANSFORM("p0h", LAMBDA c : POWER(CAST(2 AS DOUBLE), -CAST((c % 64) AS DOUBLE)))) + 4096 * (((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)) + LIST_SUM(LIST_TRANSFORM(RANGE(1, 21), LAMBDA k : POWER(((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)), POWER(2, k)) * POWER(2, k - 1))))) END), 0) AS "p0h" FROM (SELECT LIST_FILTER("p0h", LAMBDA c, i : i = LENGTH("p0h") OR "p0h"[i + 1] // 64 <> c // 64) AS "p0h" FROM (SELECT LIST_SORT(FLATTEN(ARRAY_AGG("p0h"))) AS "p0h" FROM "x1" AS "x1") AS m) AS c
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0h" AS BIGINT) AS "d" FROM "x2" AS "x2"
--
-- Result: d BIGINT
-- Note: approx_count_distinct is an estimate: its standard error is 1.6 %, and one of twenty is off by more than 3.2 %.

-- # Estimates in grouping sets, with HAVING over them
-- : oracle=SELECT active, count(DISTINCT ward) AS w FROM wards GROUP BY ROLLUP (active) HAVING count(DISTINCT ward) > 2
SELECT active, approx_count_distinct(ward) AS w FROM wards GROUP BY ROLLUP (active) HAVING approx_count_distinct(ward) > 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."active" AS "g0", GROUPING("wards"."active") AS "gid", ARCHIPEL_HLL("wards"."ward", '0621dca33dd2f94c2597898a25580870') AS "p0h" FROM "wards" AS "wards" GROUP BY ROLLUP ("wards"."active")
--     -> x1 for s2: crosses as rows, about 25 rows and 425 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "gid" AS "gid", COALESCE(ROUND(CASE WHEN LENGTH("p0h") > 0 THEN CAST(4096 AS DOUBLE) * 4096 / (2 * LN(2)) / (LIST_SUM(LIST_TRANSFORM("p0h", LAMBDA c : POWER(CAST(2 AS DOUBLE), -CAST((c % 64) AS DOUBLE)))) + 4096 * (((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)) + LIST_SUM(LIST_TRANSFORM(RANGE(1, 21), LAMBDA k : POWER(((4096 - LENGTH("p0h")) / CAST(4096 AS DOUBLE)), POWER(2, k)) * POWER(2, k - 1))))) END), 0) AS "p0h" FROM (SELECT "g0" AS "g0", "gid" AS "gid", LIST_FILTER("p0h", LAMBDA c, i : i = LENGTH("p0h") OR "p0h"[i + 1] // 64 <> c // 64) AS "p0h" FROM (SELECT "g0" AS "g0", "gid" AS "gid", LIST_SORT(FLATTEN(ARRAY_AGG("p0h"))) AS "p0h" FROM "x1" AS "x1" GROUP BY "g0", "gid") AS m) AS c
--     may be cut by hash of: g0, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "active", CAST("x2"."p0h" AS BIGINT) AS "w" FROM "x2" AS "x2" WHERE CAST("x2"."p0h" AS BIGINT) > 2
--
-- Result: active BOOLEAN, w BIGINT
-- Note: approx_count_distinct is an estimate: its standard error is 1.6 %, and one of twenty is off by more than 3.2 %.

-- # An approximate quantile of an open table is the exact one
-- : oracle=SELECT kind, quantile_disc(beds, 0.4) AS q, quantile_disc(load, [0.1, 0.9]) AS l FROM wards WHERE NOT isnan(load) GROUP BY kind
SELECT kind, approx_quantile(beds, 0.4) AS q, approx_quantile(load, [0.1, 0.9]) AS l FROM wards WHERE NOT isnan(load) GROUP BY kind;
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
--     SELECT "x2rw"."g0" AS "kind", CAST("x2rw"."p0v" AS INT) AS "q", CAST("x2rw"."p1v" AS DOUBLE[]) AS "l" FROM (SELECT "x2r"."g0" AS "g0", "x2r"."p0v" AS "p0v", "x4r"."p1v" AS "p1v" FROM (SELECT "g0" AS "g0", QUANTILE_DISC("g1", 0.4) AS "p0v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", UNNEST(RANGE(0, CASE WHEN "g1" IS NULL THEN 1 ELSE "n" END)) AS "i" FROM "x2" AS "x2") AS r GROUP BY "g0") AS "x2r" LEFT JOIN (SELECT "g0" AS "g0", QUANTILE_DISC("g1", [0.1, 0.9]) AS "p1v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", UNNEST(RANGE(0, CASE WHEN "g1" IS NULL THEN 1 ELSE "n" END)) AS "i" FROM "x4" AS "x4") AS r GROUP BY "g0") AS "x4r" ON "x2r"."g0" IS NOT DISTINCT FROM "x4r"."g0") AS "x2rw"
--
-- Result: kind VARCHAR, q INTEGER, l DOUBLE[]
