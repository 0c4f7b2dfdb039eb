-- Other dialects. The oracle is asked the same in DuckDB's own words, written by hand, wherever a translation could err.

-- # PostgreSQL
-- : dialect=postgres
SELECT region, count(*) FILTER (WHERE days > 3) AS n, (sum(cost)::numeric(38, 2) / count(*))::numeric(12, 2) AS mean
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
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST((CAST(CAST("x2"."p1s" AS DECIMAL(38, 2)) AS DECIMAL(38, 2)) // CAST(COALESCE("x2"."p2v", 0) AS BIGINT)) AS DECIMAL(12, 2)) AS "mean" FROM "x2" AS "x2" ORDER BY "region"
--
-- Result: region VARCHAR, n BIGINT, mean DECIMAL(12,2)

-- # T-SQL
-- : dialect=tsql
SELECT TOP 2 [region], COUNT(*) AS n, ISNULL(SUM(days), 0) AS days FROM stays WHERE LEN(region) = 3 GROUP BY [region] ORDER BY [region];
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v", SUM("stays"."days") AS "p1s" FROM "stays" AS "stays" WHERE LENGTH(RTRIM(CAST("stays"."region" AS TEXT))) = 3 GROUP BY "stays"."region"
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

-- # PostgreSQL: whole numbers divide to whole numbers, and others do not
-- : dialect=postgres
-- : oracle=SELECT ward, beds // 7 AS q, -beds // 7 AS n, beds / 7.0::DOUBLE AS r, CAST(budget / 4 AS DECIMAL(18,4)) AS b FROM wards WHERE beds IS NOT NULL ORDER BY ward, finess
SELECT ward, beds / 7 AS q, -beds / 7 AS n, beds / 7.0::double precision AS r, (budget / 4)::numeric(18, 4) AS b FROM wards WHERE beds IS NOT NULL ORDER BY ward, finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."budget" AS "c2", "wards"."finess" AS "c3" FROM "wards" AS "wards" WHERE NOT "wards"."beds" IS NULL
--     -> x1 for s2: crosses as rows, about 23 rows and 1,196 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" // 7 AS "q", -"x1"."c1" // 7 AS "n", "x1"."c1" // CAST(7.0 AS DOUBLE) AS "r", CAST(("x1"."c2" // 4) AS DECIMAL(18, 4)) AS "b" FROM "x1" AS "x1" ORDER BY "ward", "x1"."c3"
--
-- Result: ward VARCHAR, q INTEGER, n INTEGER, r DOUBLE, b DECIMAL(18,4)
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,832 bytes: it moves more bytes

-- # PostgreSQL: NULL is last upwards and first downwards, in windows too
-- : dialect=postgres
-- : oracle=SELECT ward, beds, row_number() OVER (ORDER BY beds DESC NULLS FIRST, budget) AS r FROM wards ORDER BY beds DESC NULLS FIRST, budget
SELECT ward, beds, row_number() OVER (ORDER BY beds DESC, budget) AS r FROM wards ORDER BY beds DESC, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "beds", ROW_NUMBER() OVER (ORDER BY "x1"."c1" DESC NULLS FIRST, "x1"."c2") AS "r" FROM "x1" AS "x1" ORDER BY "beds" DESC NULLS FIRST, "x1"."c2"
--
-- Result: ward VARCHAR, beds INTEGER, r BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # PostgreSQL: dates, texts and logarithms
-- : dialect=postgres
-- : oracle=SELECT ward, date_trunc('week', opened)::DATE AS monday, week(opened) AS w, dayofweek(opened) AS d, strftime(opened, '%Y-%m') AS m, strpos(kind, 'e') AS p, substring(kind, 2, 3) AS s, log10(100) AS l, log(2, 8) AS l2 FROM wards ORDER BY opened
SELECT ward, date_trunc('week', opened)::date AS monday, extract(week FROM opened) AS w, extract(dow FROM opened) AS d, to_char(opened, 'YYYY-MM') AS m, position('e' IN kind) AS p, substring(kind FROM 2 FOR 3) AS s, log(100) AS l, log(2, 8) AS l2 FROM wards ORDER BY opened;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."opened" AS "c1", "wards"."kind" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", CAST(DATE_TRUNC('WEEK', "x1"."c1") AS DATE) AS "monday", EXTRACT(WEEK FROM "x1"."c1") AS "w", EXTRACT(DAYOFWEEK FROM "x1"."c1") AS "d", STRFTIME("x1"."c1", '%Y-%m') AS "m", STRPOS("x1"."c2", 'e') AS "p", SUBSTRING("x1"."c2", 2, 3) AS "s", LOG(100) AS "l", LOG(2, 8) AS "l2" FROM "x1" AS "x1" ORDER BY "x1"."c1"
--
-- Result: ward VARCHAR, monday DATE, w BIGINT, d BIGINT, m VARCHAR, p BIGINT, s VARCHAR, l DOUBLE, l2 DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 2,540 bytes: it moves more bytes

-- # PostgreSQL: operators and ordered aggregates
-- : dialect=postgres
-- : oracle=SELECT kind, string_agg(ward, ',' ORDER BY ward, finess) AS s, quantile_cont(beds, 0.5) AS m, count(*) FILTER (WHERE active) AS n FROM wards WHERE kind ILIKE 'M%' AND beds IS DISTINCT FROM 11 AND NOT kind LIKE 'x%' GROUP BY kind ORDER BY kind
SELECT kind, string_agg(ward, ',' ORDER BY ward, finess) AS s, percentile_cont(0.5) WITHIN GROUP (ORDER BY beds) AS m, count(*) FILTER (WHERE active) AS n FROM wards WHERE kind ILIKE 'M%' AND beds IS DISTINCT FROM 11 AND kind NOT LIKE 'x%' GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."finess" AS "c2", "wards"."beds" AS "c3", "wards"."active" AS "c4" FROM "wards" AS "wards" WHERE "wards"."kind" ILIKE 'M%' AND "wards"."beds" IS DISTINCT FROM 11 AND "wards"."kind" NOT LIKE 'x%'
--     -> x1 for s2: crosses as rows, about 1 rows and 53 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", LISTAGG("x1"."c1", ',' ORDER BY "x1"."c1", "x1"."c2") AS "s", QUANTILE_CONT("x1"."c3", 0.5 ORDER BY "x1"."c3") AS "m", COUNT(*) FILTER(WHERE "x1"."c4") AS "n" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind"
--
-- Result: kind VARCHAR, s VARCHAR, m DOUBLE, n BIGINT
-- Not pushed down: string_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 36 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 53 bytes: it moves more bytes

-- # T-SQL: whole numbers divide to whole numbers, NULL is first
-- : dialect=tsql
-- : oracle=SELECT ward, beds // 7 AS q, if(beds > 15, 'many', 'few') AS size FROM wards ORDER BY beds NULLS FIRST, budget LIMIT 6
SELECT TOP 6 [ward], beds / 7 AS q, IIF(beds > 15, 'many', 'few') AS size FROM [wards] ORDER BY beds, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards" ORDER BY "wards"."beds" NULLS FIRST, "wards"."budget" NULLS FIRST LIMIT 6
--     -> x1 for s2: crosses as rows, about 18 rows and 648 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" // 7 AS "q", CASE WHEN "x1"."c1" > 15 THEN 'many' ELSE 'few' END AS "size" FROM "x1" AS "x1" ORDER BY "x1"."c1" NULLS FIRST, "x1"."c2" NULLS FIRST LIMIT 6
--
-- Result: ward VARCHAR, q INTEGER, size VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # T-SQL: dates, texts, floats of double width, and the length without blanks at the end
-- : dialect=tsql
-- : oracle=SELECT ward, date_diff('month', opened::TIMESTAMP, TIMESTAMP '2000-01-15') AS m, opened + INTERVAL 3 MONTH AS later, length(rtrim(kind || '  ')) AS n, strpos(kind, 'e') AS p, beds::DOUBLE AS x, ln(10) AS l, log(2, 8) AS l2 FROM wards WHERE kind IS NOT NULL ORDER BY budget
SELECT ward, DATEDIFF(month, opened, '2000-01-15') AS m, DATEADD(month, 3, opened) AS later, LEN(CONCAT(kind, '  ')) AS n, CHARINDEX('e', kind) AS p, CAST(beds AS FLOAT) AS x, LOG(10) AS l, LOG(8, 2) AS l2 FROM wards WHERE kind IS NOT NULL ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."opened" AS "c1", "wards"."kind" AS "c2", "wards"."beds" AS "c3", "wards"."budget" AS "c4" FROM "wards" AS "wards" WHERE NOT "wards"."kind" IS NULL
--     -> x1 for s2: crosses as rows, about 23 rows and 1,288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", DATE_DIFF('MONTH', CAST("x1"."c1" AS TIMESTAMP), CAST('2000-01-15' AS TIMESTAMP)) AS "m", "x1"."c1" + INTERVAL '3' MONTH AS "later", LENGTH(RTRIM(CAST(CONCAT("x1"."c2", '  ') AS TEXT))) AS "n", STRPOS("x1"."c2", 'e') AS "p", CAST("x1"."c3" AS DOUBLE) AS "x", LN(10) AS "l", LOG(2, 8) AS "l2" FROM "x1" AS "x1" ORDER BY "x1"."c4" NULLS FIRST
--
-- Result: ward VARCHAR, m BIGINT, later TIMESTAMP, n BIGINT, p BIGINT, x DOUBLE, l DOUBLE, l2 DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 2,440 bytes: it moves more bytes

-- # Oracle: texts joined with NULL
-- : dialect=oracle
-- : oracle=SELECT ward, nullif(concat(ward, kind), '') AS k, CASE kind WHEN 'surgery' THEN 'S' WHEN 'medicine' THEN 'M' ELSE '-' END AS c, CASE WHEN kind IS NOT NULL THEN 1 ELSE 0 END AS known FROM wards ORDER BY budget
SELECT ward, ward || kind AS k, DECODE(kind, 'surgery', 'S', 'medicine', 'M', '-') AS c, NVL2(kind, 1, 0) AS known FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."kind" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", NULLIF(CONCAT("x1"."c0", "x1"."c1"), '') AS "k", CASE WHEN "x1"."c1" = 'surgery' THEN 'S' WHEN "x1"."c1" = 'medicine' THEN 'M' ELSE '-' END AS "c", CASE WHEN NOT "x1"."c1" IS NULL THEN 1 ELSE 0 END AS "known" FROM "x1" AS "x1" ORDER BY "x1"."c2"
--
-- Result: ward VARCHAR, k VARCHAR, c VARCHAR, known INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,720 bytes: it moves more bytes

-- # Oracle: NULL is last upwards and first downwards; months end with months
-- : dialect=oracle
-- : oracle=SELECT ward, last_day(opened) AS e, beds / 2 AS h, beds % 4 AS r FROM wards ORDER BY beds DESC NULLS FIRST, budget LIMIT 5
SELECT ward, LAST_DAY(opened) AS e, beds / 2 AS h, MOD(beds, 4) AS r FROM wards ORDER BY beds DESC, budget FETCH FIRST 5 ROWS ONLY;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."opened" AS "c1", "wards"."beds" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards" ORDER BY "wards"."beds" DESC NULLS FIRST, "wards"."budget" LIMIT 5
--     -> x1 for s2: crosses as rows, about 15 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", LAST_DAY("x1"."c1") AS "e", "x1"."c2" / 2 AS "h", "x1"."c2" % 4 AS "r" FROM "x1" AS "x1" ORDER BY "x1"."c2" DESC NULLS FIRST, "x1"."c3" LIMIT 5
--
-- Result: ward VARCHAR, e DATE, h DOUBLE, r INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 600 bytes: it moves more bytes

-- # Spark: division gives fractions, NULL is first, lists of values
-- : dialect=spark
-- : oracle=SELECT ward, beds / 4 AS q, (beds // 4)::BIGINT AS d, date_diff('day', DATE '1950-01-01', opened) AS n, ln(10) AS l, log(2, 8) AS l2 FROM wards ORDER BY beds NULLS FIRST, budget
SELECT ward, beds / 4 AS q, beds DIV 4 AS d, DATEDIFF(opened, DATE '1950-01-01') AS n, LOG(10) AS l, LOG(2, 8) AS l2 FROM wards ORDER BY beds, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."opened" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" / 4 AS "q", CAST(TRUNC("x1"."c1" // 4) AS BIGINT) AS "d", DATE_DIFF('DAY', CAST('1950-01-01' AS DATE), CAST("x1"."c2" AS DATE)) AS "n", LN(10) AS "l", LOG(2, 8) AS "l2" FROM "x1" AS "x1" ORDER BY "x1"."c1" NULLS FIRST, "x1"."c3" NULLS FIRST
--
-- Result: ward VARCHAR, q DOUBLE, d BIGINT, n BIGINT, l DOUBLE, l2 DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 2,000 bytes: it moves more bytes

-- # Snowflake: division by zero is NULL, NULL is last upwards and first downwards
-- : dialect=snowflake
-- : oracle=SELECT ward, beds / nullif(flags, 0) AS q, coalesce(beds, 0) AS b, date_diff('month', opened, DATE '2000-01-15') AS m FROM wards QUALIFY row_number() OVER (PARTITION BY kind ORDER BY beds DESC NULLS FIRST, budget) <= 2 ORDER BY beds DESC NULLS FIRST, budget
SELECT ward, beds / flags AS q, NVL(beds, 0) AS b, DATEDIFF('month', opened, DATE '2000-01-15') AS m FROM wards QUALIFY ROW_NUMBER() OVER (PARTITION BY kind ORDER BY beds DESC, budget) <= 2 ORDER BY beds DESC, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."flags" AS "c2", "wards"."opened" AS "c3", "wards"."kind" AS "c4", "wards"."budget" AS "c5" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" / NULLIF("x1"."c2", 0) AS "q", COALESCE("x1"."c1", 0) AS "b", DATE_DIFF('MONTH', "x1"."c3", CAST('2000-01-15' AS DATE)) AS "m" FROM "x1" AS "x1" QUALIFY ROW_NUMBER() OVER (PARTITION BY "x1"."c4" ORDER BY "x1"."c1" DESC NULLS FIRST, "x1"."c5") <= 2 ORDER BY "x1"."c1" DESC NULLS FIRST, "x1"."c5"
--
-- Result: ward VARCHAR, q DOUBLE, b INTEGER, m BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 960 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # BigQuery: NULL is first, months by their boundaries, safe division
-- : dialect=bigquery
-- : oracle=SELECT ward, if(flags <> 0, beds / flags, NULL) AS q, date_diff('month', DATE '1950-01-01', opened) AS m, (beds // 3)::BIGINT AS d, ln(10) AS l, log(2, 8) AS l2 FROM wards ORDER BY beds NULLS FIRST, budget
SELECT ward, SAFE_DIVIDE(beds, flags) AS q, DATE_DIFF(opened, DATE '1950-01-01', MONTH) AS m, DIV(beds, 3) AS d, LOG(10) AS l, LOG(8, 2) AS l2 FROM `wards` ORDER BY beds, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."flags" AS "c1", "wards"."beds" AS "c2", "wards"."opened" AS "c3", "wards"."budget" AS "c4" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", CASE WHEN "x1"."c1" <> 0 THEN "x1"."c2" / "x1"."c1" ELSE NULL END AS "q", DATE_DIFF('MONTH', CAST('1950-01-01' AS DATE), "x1"."c3") AS "m", CAST(TRUNC("x1"."c2" // 3) AS BIGINT) AS "d", LN(10) AS "l", LOG(2, 8) AS "l2" FROM "x1" AS "x1" ORDER BY "x1"."c2" NULLS FIRST, "x1"."c4" NULLS FIRST
--
-- Result: ward VARCHAR, q DOUBLE, m BIGINT, d BIGINT, l DOUBLE, l2 DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 2,120 bytes: it moves more bytes

-- # MySQL: || is OR, CONCAT with NULL is NULL, NULL is first, deviations of the population
-- : dialect=mysql
-- : oracle=SELECT kind, count(*) AS n, stddev_pop(beds) AS s, sum(beds) / nullif(sum(flags), 0) AS q, string_agg(ward, ';' ORDER BY ward, finess) AS l FROM wards WHERE active OR beds > 20 GROUP BY kind ORDER BY kind NULLS FIRST LIMIT 3 OFFSET 1
SELECT `kind`, COUNT(*) AS n, STD(beds) AS s, SUM(beds) / SUM(flags) AS q, GROUP_CONCAT(ward ORDER BY ward, finess SEPARATOR ';') AS l FROM wards WHERE active || beds > 20 GROUP BY kind ORDER BY kind LIMIT 1, 3;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."beds" AS "c1", "wards"."flags" AS "c2", "wards"."ward" AS "c3", "wards"."finess" AS "c4" FROM "wards" AS "wards" WHERE "wards"."active" OR "wards"."beds" > 20
--     -> x1 for s2: crosses as rows, about 15 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", COUNT(*) AS "n", STDDEV_POP("x1"."c1") AS "s", SUM("x1"."c1") / NULLIF(SUM("x1"."c2"), 0) AS "q", LISTAGG("x1"."c3", ';' ORDER BY "x1"."c3" NULLS FIRST, "x1"."c4" NULLS FIRST) AS "l" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind" NULLS FIRST LIMIT 3 OFFSET 1
--
-- Result: kind VARCHAR, n BIGINT, s DOUBLE, q DOUBLE, l VARCHAR
-- Not pushed down: string_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # MySQL: texts and days
-- : dialect=mysql
-- : oracle=SELECT ward || kind AS k, date_diff('day', DATE '1950-01-01', opened) AS n, strftime(opened, '%Y-%m') AS m, opened + INTERVAL 1 MONTH AS later FROM wards ORDER BY budget
SELECT CONCAT(ward, kind) AS k, DATEDIFF(opened, '1950-01-01') AS n, DATE_FORMAT(opened, '%Y-%m') AS m, DATE_ADD(opened, INTERVAL 1 MONTH) AS later FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."kind" AS "c1", "wards"."opened" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" || "x1"."c1" AS "k", DATE_DIFF('DAY', CAST('1950-01-01' AS DATE), "x1"."c2") AS "n", STRFTIME(CAST("x1"."c2" AS TIMESTAMP), '%Y-%m') AS "m", "x1"."c2" + INTERVAL '1' MONTH AS "later" FROM "x1" AS "x1" ORDER BY "x1"."c3" NULLS FIRST
--
-- Result: k VARCHAR, n BIGINT, m VARCHAR, later TIMESTAMP
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,580 bytes: it moves more bytes

-- # Oracle: the greatest of values of which one is NULL, and nested divisions
-- : dialect=oracle
-- : oracle=SELECT ward, CASE WHEN beds IS NULL OR flags IS NULL THEN NULL ELSE greatest(beds, flags) END AS g, beds / nullif(flags / 2, 0) / 3 AS q, concat(concat(ward, '-'), kind) AS k FROM wards ORDER BY budget
SELECT ward, GREATEST(beds, flags) AS g, beds / (flags / 2) / 3 AS q, ward || '-' || kind AS k FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."flags" AS "c2", "wards"."kind" AS "c3", "wards"."budget" AS "c4" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", CASE WHEN "x1"."c1" IS NULL OR "x1"."c2" IS NULL THEN NULL ELSE GREATEST("x1"."c1", "x1"."c2") END AS "g", "x1"."c1" / NULLIF(("x1"."c2" / 2), 0) / 3 AS "q", NULLIF(CONCAT(NULLIF(CONCAT("x1"."c0", '-'), ''), "x1"."c3"), '') AS "k" FROM "x1" AS "x1" ORDER BY "x1"."c4"
--
-- Result: ward VARCHAR, g INTEGER, q DOUBLE, k VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,900 bytes: it moves more bytes

-- # PostgreSQL: nested divisions of whole numbers
-- : dialect=postgres
-- : oracle=SELECT ward, (beds // 3) // 2 AS q, beds // (flags // 4) AS n FROM wards ORDER BY budget
SELECT ward, beds / 3 / 2 AS q, beds / (flags / 4) AS n FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."flags" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" // 3 // 2 AS "q", "x1"."c1" // ("x1"."c2" // 4) AS "n" FROM "x1" AS "x1" ORDER BY "x1"."c3"
--
-- Result: ward VARCHAR, q INTEGER, n INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,460 bytes: it moves more bytes

-- # Snowflake and others without a separator: none is put between the texts
-- : dialect=snowflake
-- : oracle=SELECT kind, string_agg(ward, '' ORDER BY budget) AS l FROM wards GROUP BY kind ORDER BY kind NULLS LAST
SELECT kind, LISTAGG(ward) WITHIN GROUP (ORDER BY budget) AS l FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", LISTAGG("x1"."c1", '' ORDER BY "x1"."c2") AS "l" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind"
--
-- Result: kind VARCHAR, l VARCHAR
-- Not pushed down: string_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 800 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Oracle: LISTAGG without a separator
-- : dialect=oracle
-- : oracle=SELECT kind, string_agg(ward, '' ORDER BY budget) AS l FROM wards GROUP BY kind ORDER BY kind NULLS LAST
SELECT kind, LISTAGG(ward) WITHIN GROUP (ORDER BY budget) AS l FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", LISTAGG("x1"."c1", '' ORDER BY "x1"."c2") AS "l" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind"
--
-- Result: kind VARCHAR, l VARCHAR
-- Not pushed down: string_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 800 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Whole numbers of any kind of division
-- : dialect=mysql
-- : oracle=SELECT ward, trunc(budget / 7)::BIGINT AS d, (beds // 4)::BIGINT AS b FROM wards ORDER BY budget
SELECT ward, budget DIV 7 AS d, beds DIV 4 AS b FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."budget" AS "c1", "wards"."beds" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", CAST(TRUNC("x1"."c1" // 7) AS BIGINT) AS "d", CAST(TRUNC("x1"."c2" // 4) AS BIGINT) AS "b" FROM "x1" AS "x1" ORDER BY "x1"."c1" NULLS FIRST
--
-- Result: ward VARCHAR, d BIGINT, b BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,340 bytes: it moves more bytes

-- # T-SQL: texts of wide characters, ALL, OFFSET
-- : dialect=tsql
-- : oracle=SELECT ward, beds FROM wards WHERE kind = 'surgery' AND beds <> ALL (SELECT nurses FROM shifts WHERE nurses IS NOT NULL) ORDER BY beds NULLS FIRST LIMIT 2 OFFSET 1
SELECT ward, beds FROM wards WHERE kind = N'surgery' AND beds <> ALL (SELECT nurses FROM shifts WHERE nurses IS NOT NULL) ORDER BY beds OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."nurses" AS "c0" FROM "shifts" AS "shifts" WHERE NOT "shifts"."nurses" IS NULL
--     -> x1 for s2: crosses as rows, about 90 rows and 360 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "nurses" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1" FROM "wards" AS "wards" WHERE "wards"."kind" = 'surgery' AND "wards"."beds" <> ALL (SELECT "x2"."nurses" AS "nurses" FROM "x2" AS "x2") ORDER BY "wards"."beds" NULLS FIRST LIMIT 3
--     -> x3 for s4: crosses as rows, about 3 rows and 60 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."c0" AS "ward", "x3"."c1" AS "beds" FROM "x3" AS "x3" ORDER BY "beds" NULLS FIRST LIMIT 2 OFFSET 1
--
-- Result: ward VARCHAR, beds INTEGER
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 576 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 256 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Oracle: MINUS and dates by a format
-- : dialect=oracle
-- : oracle=SELECT ward, DATE '2020-01-02' AS d FROM wards EXCEPT SELECT ward, DATE '2020-01-02' FROM shifts
SELECT ward, TO_DATE('2020-01-02', 'YYYY-MM-DD') AS d FROM wards MINUS SELECT ward, DATE '2020-01-02' FROM shifts;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."ward" AS "c0" FROM "shifts" AS "shifts"
--     -> x2 for s3: crosses as rows, about 100 rows and 1,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "x1"."c0" AS "ward", CAST(STRPTIME('2020-01-02', '%Y-%m-%d') AS DATE) AS "d" FROM "x1" AS "x1" EXCEPT SELECT "x2"."c0" AS "ward", CAST('2020-01-02' AS DATE) AS "2020-01-02" FROM "x2" AS "x2"
--
-- Result: ward VARCHAR, d DATE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 840 bytes: it moves more bytes
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 3,360 bytes: it moves more bytes
-- Not taken: run at lille, shipping shifts from lyon, nantes; wards from lyon, nantes, about 880 bytes: 'lyon' would have to send rows of 'shifts' to 'lille', and the holder's policy does not let them go there.

-- # Snowflake: dates by a format, texts
-- : dialect=snowflake
-- : oracle=SELECT DATE '2020-03-02' AS d, substring(kind, 2, 3) AS s, if(count(*) > 3, 1, 0) AS many FROM wards WHERE kind ILIKE 'M%' GROUP BY kind ORDER BY 2
SELECT TO_DATE('02/03/2020', 'DD/MM/YYYY') AS d, SUBSTR(kind, 2, 3) AS s, IFF(COUNT(*) > 3, 1, 0) AS many FROM wards WHERE kind ILIKE 'M%' GROUP BY kind ORDER BY 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."kind" ILIKE 'M%' GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(STRPTIME('02/03/2020', '%d/%m/%Y') AS DATE) AS "d", SUBSTRING("x2"."g0", CASE WHEN 2 = 0 THEN 1 ELSE 2 END, CASE WHEN 3 < 0 THEN 0 ELSE 3 END) AS "s", CASE WHEN CAST(COALESCE("x2"."p0v", 0) AS BIGINT) > 3 THEN 1 ELSE 0 END AS "many" FROM "x2" AS "x2" ORDER BY "s"
--
-- Result: d DATE, s VARCHAR, many INTEGER

-- # BigQuery: texts in two kinds of quotes, lists, distinct counts
-- : dialect=bigquery
-- : oracle=SELECT kind, 'it''s' AS x, list(ward ORDER BY budget) AS l, count(DISTINCT finess) AS n, count_if(active) AS a FROM wards WHERE starts_with(kind, 'm') GROUP BY kind ORDER BY kind
SELECT kind, "it's" AS x, ARRAY_AGG(ward ORDER BY budget) AS l, COUNT(DISTINCT finess) AS n, COUNTIF(active) AS a FROM wards WHERE STARTS_WITH(kind, 'm') GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2", "wards"."finess" AS "c3", "wards"."active" AS "c4" FROM "wards" AS "wards" WHERE STARTS_WITH("wards"."kind", 'm')
--     -> x1 for s2: crosses as rows, about 8 rows and 520 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", 'it''s' AS "x", ARRAY_AGG("x1"."c1" ORDER BY "x1"."c2" NULLS FIRST) AS "l", COUNT(DISTINCT "x1"."c3") AS "n", COUNT_IF("x1"."c4") AS "a" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind" NULLS FIRST
--
-- Result: kind VARCHAR, x VARCHAR, l VARCHAR[], n BIGINT, a HUGEINT
-- Not pushed down: array_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 347 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 325 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Spark: days added, texts
-- : dialect=spark
-- : oracle=SELECT concat_ws('-', ward, finess) AS k, opened + INTERVAL 3 DAY AS later, strftime(opened, '%Y-%m-%d') AS d, weekofyear(opened) AS w FROM wards ORDER BY budget
SELECT concat(ward, '-', finess) AS k, date_add(opened, 3) AS later, date_format(opened, 'yyyy-MM-dd') AS d, weekofyear(opened) AS w FROM wards ORDER BY budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."finess" AS "c1", "wards"."opened" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" || '-' || "x1"."c1" AS "k", CAST("x1"."c2" AS DATE) + INTERVAL '3' DAY AS "later", STRFTIME(CAST("x1"."c2" AS TIMESTAMP), '%Y-%m-%d') AS "d", WEEKOFYEAR(CAST("x1"."c2" AS DATE)) AS "w" FROM "x1" AS "x1" ORDER BY "x1"."c3" NULLS FIRST
--
-- Result: k VARCHAR, later TIMESTAMP, d VARCHAR, w BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,580 bytes: it moves more bytes
