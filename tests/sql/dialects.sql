-- Other dialects are read by sqlglot and translated.

-- # PostgreSQL
-- : dialect=postgres
SELECT region, count(*) FILTER (WHERE days > 3) AS n, (sum(cost) / count(*))::numeric(12, 2) AS mean
FROM stays WHERE entered >= '2022-01-01'::date AND diagnosis ~ '^I' GROUP BY region ORDER BY region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) FILTER(WHERE "stays"."days" > 3) AS "p0v", SUM("stays"."cost") AS "p1s", COUNT(*) AS "p2v" FROM "stays" AS "stays" WHERE "stays"."entered" >= CAST('2022-01-01' AS DATE) AND REGEXP_MATCHES("stays"."diagnosis", '^I') GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,880 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST((CAST("x2"."p1s" AS DECIMAL(38, 2)) / CAST(COALESCE("x2"."p2v", 0) AS BIGINT)) AS DECIMAL(12, 2)) AS "mean" FROM "x2" AS "x2" ORDER BY "region"
--
-- Result: region VARCHAR, n BIGINT, mean DECIMAL(12,2)

-- # T-SQL
-- : dialect=tsql
SELECT TOP 2 [region], COUNT(*) AS n, ISNULL(SUM(days), 0) AS days FROM stays WHERE LEN(region) = 3 GROUP BY [region] ORDER BY [region];
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v", SUM("stays"."days") AS "p1s" FROM "stays" AS "stays" WHERE LENGTH(CAST("stays"."region" AS TEXT)) = 3 GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,400 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", COALESCE(CAST("x2"."p1s" AS INT128), 0) AS "days" FROM "x2" AS "x2" ORDER BY "region" NULLS FIRST LIMIT 2
--
-- Result: region VARCHAR, n BIGINT, days HUGEINT

-- # Spark
-- : dialect=spark
SELECT `region`, count_if(days > 3) AS n FROM stays WHERE year(entered) = 2022 GROUP BY `region`;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT_IF("stays"."days" > 3) AS "p0v" FROM "stays" AS "stays" WHERE YEAR(CAST("stays"."entered" AS DATE)) = 2022 GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,920 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST("x2"."p0v" AS INT128) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n HUGEINT

-- # BigQuery
-- : dialect=bigquery
SELECT kind, COUNTIF(beds > 15) AS n, SAFE_DIVIDE(SUM(beds), COUNT(*)) AS r FROM `wards` GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT_IF("wards"."beds" > 15) AS "p0v", COUNT(*) AS "p1v", SUM("wards"."beds") AS "p2s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v", SUM("p2s") AS "p2s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0v" AS INT128) AS "n", CASE WHEN CAST(COALESCE("x2"."p1v", 0) AS BIGINT) <> 0 THEN CAST("x2"."p2s" AS INT128) / CAST(COALESCE("x2"."p1v", 0) AS BIGINT) ELSE NULL END AS "r" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n HUGEINT, r DOUBLE

-- # MySQL
-- : dialect=mysql
SELECT `kind`, IFNULL(SUM(beds), 0) AS beds FROM wards WHERE kind <> "x" GROUP BY `kind` ORDER BY `kind` LIMIT 1, 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" WHERE "wards"."kind" <> 'x' GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 23 rows and 736 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", COALESCE(CAST("x2"."p0s" AS INT128), 0) AS "beds" FROM "x2" AS "x2" ORDER BY "kind" NULLS FIRST LIMIT 2 OFFSET 1
--
-- Result: kind VARCHAR, beds HUGEINT

-- # Oracle
-- : dialect=oracle
SELECT kind, NVL(SUM(beds), 0) AS beds FROM wards GROUP BY kind ORDER BY kind FETCH FIRST 2 ROWS ONLY;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", COALESCE(CAST("x2"."p0s" AS INT128), 0) AS "beds" FROM "x2" AS "x2" ORDER BY "kind" LIMIT 2
--
-- Result: kind VARCHAR, beds HUGEINT

-- # SAS-like names do not matter: Snowflake
-- : dialect=snowflake
SELECT kind, IFF(COUNT(*) > 3, 'many', 'few') AS size FROM wards GROUP BY kind QUALIFY ROW_NUMBER() OVER (ORDER BY kind) = 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CASE WHEN CAST(COALESCE("x2"."p0v", 0) AS BIGINT) > 3 THEN 'many' ELSE 'few' END AS "size" FROM "x2" AS "x2" QUALIFY ROW_NUMBER() OVER (ORDER BY "x2"."g0") = 1
--
-- Result: kind VARCHAR, size VARCHAR
