-- GROUP BY in all its spellings, HAVING, grouping sets.

-- # By position
SELECT region, year, count(*) AS n FROM stays GROUP BY 1, 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."year"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 33,600 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, year INTEGER, n BIGINT

-- # By alias
SELECT year - 2000 AS y, count(*) AS n FROM stays GROUP BY y;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."year" - 2000 AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."year" - 2000
--     -> x1 for s2: crosses as aggregate, about 60 rows and 720 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "y", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: y INTEGER, n BIGINT

-- # An alias that is also a column: the column wins
SELECT year + 1 AS year, count(*) AS n FROM stays GROUP BY year;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."year" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."year"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 720 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" + 1 AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: year INTEGER, n BIGINT

-- # By expression, and an expression over it
SELECT upper(region) || '!' AS r, count(*) AS n FROM stays GROUP BY upper(region);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT UPPER("stays"."region") AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY UPPER("stays"."region")
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" || '!' AS "r", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: r VARCHAR, n BIGINT

-- # ALL
SELECT region, year > 2022 AS late, count(*) AS n, sum(cost) AS cost FROM stays GROUP BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" > 2022 AS "g1", COUNT(*) AS "p0v", SUM("stays"."cost") AS "p1s" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."year" > 2022
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 49,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "late", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "cost" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, late BOOLEAN, n BIGINT, cost DECIMAL(38,2)

-- # ALL without a key
SELECT count(*) AS n FROM stays GROUP BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "stays" AS "stays"
--     -> x1 for s2: crosses as aggregate, about 3 rows and 24 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: n BIGINT

-- # By a constant
SELECT 'all' AS label, count(*) AS n FROM stays GROUP BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT 1 AS "k0" FROM "stays" AS "stays") AS "x0" GROUP BY "x0"."k0"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 720 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT 'all' AS "label", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: label VARCHAR, n BIGINT

-- # By a constant number
SELECT 5 AS five, count(*) AS n FROM wards GROUP BY five;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT 1 AS "k0" FROM "wards" AS "wards") AS "x0" GROUP BY "x0"."k0"
--     -> x1 for s2: crosses as rows, about 25 rows and 300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT 5 AS "five", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: five INTEGER, n BIGINT

-- # By a constant over nothing
SELECT 'all' AS label, count(*) AS n FROM wards WHERE beds < 0 GROUP BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT 1 AS "k0" FROM "wards" AS "wards" WHERE "wards"."beds" < 0) AS "x0" GROUP BY "x0"."k0"
--     -> x1 for s2: crosses as rows, about 8 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT 'all' AS "label", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: label VARCHAR, n BIGINT

-- # A key that is no output
SELECT count(*) AS n, sum(cost) AS cost FROM stays GROUP BY region, sex ORDER BY n, cost;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."sex" AS "g1", COUNT(*) AS "p0v", SUM("stays"."cost") AS "p1s" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."sex"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 67,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "cost" FROM "x2" AS "x2" ORDER BY "n", "cost"
--
-- Result: n BIGINT, cost DECIMAL(38,2)

-- # A key twice
SELECT region, count(*) AS n FROM stays GROUP BY region, region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT

-- # NULL is a group
SELECT urgent, count(*) AS n FROM stays GROUP BY urgent ORDER BY urgent NULLS FIRST;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."urgent" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."urgent"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 540 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "urgent", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "urgent" NULLS FIRST
--
-- Result: urgent BOOLEAN, n BIGINT

-- # NaN and zeros are groups
SELECT load, count(*) AS n FROM (SELECT load FROM wards UNION ALL SELECT -0.0::DOUBLE FROM wards UNION ALL SELECT 0.0::DOUBLE FROM wards)
GROUP BY load;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "_0"."load" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "wards"."load" AS "load" FROM "wards" AS "wards" UNION ALL SELECT -CAST(0.0 AS DOUBLE) AS "_col_0" FROM "wards" AS "wards" UNION ALL SELECT CAST(0.0 AS DOUBLE) AS "0.0" FROM "wards" AS "wards") AS "_0" GROUP BY "_0"."load"
--     -> x1 for s2: crosses as rows, about 60 rows and 960 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "load", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: load DOUBLE, n BIGINT

-- # HAVING over aggregates and keys
SELECT region, avg(days) AS d FROM stays GROUP BY region HAVING count(*) > 100 AND region <> 'ARA' AND avg(year) > 2000;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", SUM("stays"."days") AS "p0s", COUNT("stays"."days") AS "p0n", COUNT(*) AS "p1v", SUM("stays"."year") AS "p2s", COUNT("stays"."year") AS "p2n" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 4,320 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p0n") AS "p0n", SUM("p1v") AS "p1v", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2" WHERE CAST(COALESCE("x2"."p1v", 0) AS BIGINT) > 100 AND "x2"."g0" <> 'ARA' AND CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) > 2000
--
-- Result: region VARCHAR, d DOUBLE

-- # HAVING by an alias
SELECT region, count(*) AS n FROM stays GROUP BY region HAVING n > 3 ORDER BY n DESC, region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" WHERE CAST(COALESCE("x2"."p0v", 0) AS BIGINT) > 3 ORDER BY "n" DESC, "region"
--
-- Result: region VARCHAR, n BIGINT

-- # HAVING without GROUP BY
SELECT sum(beds) AS beds FROM wards HAVING count(*) > 1000;
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
--     SELECT CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2" WHERE CAST(COALESCE("x2"."p1v", 0) AS BIGINT) > 1000
--
-- Result: beds HUGEINT

-- # HAVING without an aggregate
SELECT 1 AS one FROM wards HAVING count(*) > 1;
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
--     SELECT 1 AS "one" FROM "x2" AS "x2" WHERE CAST(COALESCE("x2"."p0v", 0) AS BIGINT) > 1
--
-- Result: one INTEGER

-- # ROLLUP
SELECT region, year, count(*) AS n, avg(days) AS d FROM stays GROUP BY ROLLUP (region, year) ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", GROUPING("stays"."region", "stays"."year") AS "gid", COUNT(*) AS "p0v", SUM("stays"."days") AS "p1s", COUNT("stays"."days") AS "p1n" FROM "stays" AS "stays" GROUP BY ROLLUP ("stays"."region", "stays"."year")
--     -> x1 for s2: crosses as aggregate, about 1,263 rows and 75,780 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p1n") AS "p1n" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST((CAST("x2"."p1s" AS DOUBLE) / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, year INTEGER, n BIGINT, d DOUBLE

-- # CUBE with GROUPING
SELECT region, sex, grouping(region) AS gr, grouping(sex) AS gs, grouping(region, sex) AS both, count(*) AS n
FROM stays GROUP BY CUBE (region, sex);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."sex" AS "g1", GROUPING("stays"."region", "stays"."sex") AS "gid", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY CUBE ("stays"."region", "stays"."sex")
--     -> x1 for s2: crosses as aggregate, about 1,323 rows and 63,504 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "sex", CAST(((("x2"."gid" >> 1) & 1) * 1) AS BIGINT) AS "gr", CAST(((("x2"."gid" >> 0) & 1) * 1) AS BIGINT) AS "gs", CAST(((("x2"."gid" >> 1) & 1) * 2 + (("x2"."gid" >> 0) & 1) * 1) AS BIGINT) AS "both", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, sex VARCHAR, gr BIGINT, gs BIGINT, both BIGINT, n BIGINT

-- # GROUPING SETS with a total
SELECT kind, active, grouping_id(kind, active) AS g, sum(beds) AS beds
FROM wards GROUP BY GROUPING SETS ((kind, active), (kind), ());
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."active" AS "g1", GROUPING("wards"."kind", "wards"."active") AS "gid", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" GROUP BY GROUPING SETS (("wards"."kind", "wards"."active"), ("wards"."kind"), ())
--     -> x1 for s2: crosses as rows, about 25 rows and 1,025 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", "x2"."g1" AS "active", CAST(((("x2"."gid" >> 1) & 1) * 2 + (("x2"."gid" >> 0) & 1) * 1) AS BIGINT) AS "g", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, active BOOLEAN, g BIGINT, beds HUGEINT

-- # The NULL of a total and a NULL value stay apart
SELECT kind, count(*) AS n FROM wards GROUP BY ROLLUP (kind) ORDER BY n;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", GROUPING("wards"."kind") AS "gid", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY ROLLUP ("wards"."kind")
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "gid"
--     may be cut by hash of: g0, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "n"
--
-- Result: kind VARCHAR, n BIGINT

-- # A total over nothing
SELECT kind, count(*) AS n, sum(beds) AS s FROM wards WHERE beds < 0 GROUP BY ROLLUP (kind);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", GROUPING("wards"."kind") AS "gid", COUNT(*) AS "p0v", SUM("wards"."beds") AS "p1s" FROM "wards" AS "wards" WHERE "wards"."beds" < 0 GROUP BY ROLLUP ("wards"."kind")
--     -> x1 for s2: crosses as rows, about 8 rows and 384 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "gid" AS "gid", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0", "gid"
--     may be cut by hash of: g0, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS INT128) AS "s" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT, s HUGEINT

-- # GROUPING SETS of expressions by alias
SELECT year % 2 AS odd, region, count(*) AS n FROM stays GROUP BY GROUPING SETS ((odd), (region), (odd, region));
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", "x0"."c0" AS "g1", GROUPING("x0"."k0", "x0"."c0") AS "gid", COUNT(*) AS "p0v" FROM (SELECT "stays"."year" % 2 AS "k0", "stays"."region" AS "c0" FROM "stays" AS "stays") AS "x0" GROUP BY GROUPING SETS (("x0"."k0"), ("x0"."c0"), ("x0"."k0", "x0"."c0"))
--     -> x1 for s2: crosses as aggregate, about 1,320 rows and 47,520 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "odd", "x2"."g1" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: odd INTEGER, region VARCHAR, n BIGINT

-- # A plain key beside a ROLLUP
SELECT region, year, sex, count(*) AS n FROM stays GROUP BY region, ROLLUP (year, sex);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", "stays"."sex" AS "g2", GROUPING("stays"."region", "stays"."year", "stays"."sex") AS "gid", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region", ROLLUP ("stays"."year", "stays"."sex")
--     -> x1 for s2: crosses as aggregate, about 1,440 rows and 74,880 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "g2", "gid"
--     may be cut by hash of: g0, g1, g2, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", "x2"."g2" AS "sex", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, year INTEGER, sex VARCHAR, n BIGINT

-- # ROLLUP of groups of keys
SELECT region, year, sex, count(*) AS n FROM stays GROUP BY ROLLUP ((region, year), sex);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", "stays"."sex" AS "g2", GROUPING("stays"."region", "stays"."year", "stays"."sex") AS "gid", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY ROLLUP (("stays"."region", "stays"."year"), "stays"."sex")
--     -> x1 for s2: crosses as aggregate, about 1,440 rows and 74,880 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "g2", "gid"
--     may be cut by hash of: g0, g1, g2, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", "x2"."g2" AS "sex", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, year INTEGER, sex VARCHAR, n BIGINT

-- # ROLLUP and a distinct count of nodes
SELECT region, count(DISTINCT finess) AS hospitals FROM stays GROUP BY ROLLUP (region);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", GROUPING("stays"."region") AS "gid", COUNT(DISTINCT "stays"."finess") AS "p0v" FROM "stays" AS "stays" GROUP BY ROLLUP ("stays"."region")
--     -> x1 for s2: crosses as aggregate, about 63 rows and 2,016 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "gid"
--     may be cut by hash of: g0, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "hospitals" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, hospitals BIGINT

-- # ROLLUP at one node
SELECT region, covered, count(*) AS n FROM insured GROUP BY ROLLUP (region, covered) ORDER BY ALL;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "insured"."region" AS "g0", "insured"."covered" AS "g1", GROUPING("insured"."region", "insured"."covered") AS "gid", COUNT(*) AS "p0v" FROM "insured" AS "insured" GROUP BY ROLLUP ("insured"."region", "insured"."covered")
--     -> x1 for s2: crosses as aggregate, about 420 rows and 13,860 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "covered", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, covered BOOLEAN, n BIGINT

-- # A key from an input
SELECT region, CASE WHEN days > 10 THEN 'long' WHEN days IS NULL THEN 'unknown' ELSE 'short' END AS length, count(*) AS n
FROM stays GROUP BY ALL ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", CASE WHEN "stays"."days" > 10 THEN 'long' WHEN "stays"."days" IS NULL THEN 'unknown' ELSE 'short' END AS "g1", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region", CASE WHEN "stays"."days" > 10 THEN 'long' WHEN "stays"."days" IS NULL THEN 'unknown' ELSE 'short' END
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 48,000 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "length", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, length VARCHAR, n BIGINT

-- # Dates in bins
SELECT date_trunc('quarter', entered) AS quarter, count(*) AS n FROM stays GROUP BY quarter ORDER BY quarter;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT DATE_TRUNC('QUARTER', "stays"."entered") AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY DATE_TRUNC('QUARTER', "stays"."entered")
--     -> x1 for s2: crosses as aggregate, about 60 rows and 960 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "quarter", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "quarter"
--
-- Result: quarter TIMESTAMP, n BIGINT

-- # A constant number among other outputs
SELECT count(*) AS n, 5 AS five, region FROM stays GROUP BY five, region ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", "x0"."c0" AS "g1", COUNT(*) AS "p0v" FROM (SELECT 2 AS "k0", "stays"."region" AS "c0" FROM "stays" AS "stays") AS "x0" GROUP BY "x0"."k0", "x0"."c0"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 33,600 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", 5 AS "five", "x2"."g1" AS "region" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: n BIGINT, five INTEGER, region VARCHAR

-- # CUBE of conditions, by alias
SELECT kind IS NULL AS unknown, beds % 2 = 0 AS even, count(*) AS n, grouping(kind IS NULL) AS g FROM wards GROUP BY CUBE (unknown, even) ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", "x0"."k1" AS "g1", GROUPING("x0"."k0", "x0"."k1") AS "gid", COUNT(*) AS "p0v" FROM (SELECT "wards"."kind" IS NULL AS "k0", "wards"."beds" % 2 = 0 AS "k1" FROM "wards" AS "wards") AS "x0" GROUP BY CUBE ("x0"."k0", "x0"."k1")
--     -> x1 for s2: crosses as rows, about 25 rows and 450 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "unknown", "x2"."g1" AS "even", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST(((("x2"."gid" >> 1) & 1) * 1) AS BIGINT) AS "g" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: unknown BOOLEAN, even BOOLEAN, n BIGINT, g BIGINT

-- # ROLLUP of expressions over persons
SELECT days IS NULL AS unknown, upper(region) AS r, count(*) AS n FROM stays GROUP BY ROLLUP (unknown, r) ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", "x0"."k1" AS "g1", GROUPING("x0"."k0", "x0"."k1") AS "gid", COUNT(*) AS "p0v" FROM (SELECT "stays"."days" IS NULL AS "k0", UPPER("stays"."region") AS "k1" FROM "stays" AS "stays") AS "x0" GROUP BY ROLLUP ("x0"."k0", "x0"."k1")
--     -> x1 for s2: crosses as aggregate, about 1,263 rows and 41,679 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "unknown", "x2"."g1" AS "r", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: unknown BOOLEAN, r VARCHAR, n BIGINT

-- # ROLLUP by positions
SELECT region, year, count(*) AS n FROM stays GROUP BY ROLLUP (1, 2) ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", GROUPING("stays"."region", "stays"."year") AS "gid", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY ROLLUP ("stays"."region", "stays"."year")
--     -> x1 for s2: crosses as aggregate, about 1,263 rows and 45,468 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, year INTEGER, n BIGINT

-- # GROUPING SETS by position
SELECT region, year - 2000 AS y, count(*) AS n FROM stays GROUP BY GROUPING SETS ((1, 2), (2), ()) ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."c0" AS "g0", "x0"."k1" AS "g1", GROUPING("x0"."c0", "x0"."k1") AS "gid", COUNT(*) AS "p0v" FROM (SELECT "stays"."year" - 2000 AS "k1", "stays"."region" AS "c0" FROM "stays" AS "stays") AS "x0" GROUP BY GROUPING SETS (("x0"."c0", "x0"."k1"), ("x0"."k1"), ())
--     -> x1 for s2: crosses as aggregate, about 1,263 rows and 45,468 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "y", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, y INTEGER, n BIGINT

-- # ROLLUP of a condition over rows that are brought together
SELECT t.target IS NULL AS unmatched, count(*) AS n FROM transfers t FULL JOIN hospitals h ON h.finess = t.target GROUP BY ROLLUP (unmatched) ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."target" AS "target" FROM "transfers" AS "t"
--     -> x1 for s3: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x2 for s3: crosses as rows, about 6 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "t"."target" IS NULL AS "unmatched", COUNT(*) AS "n" FROM "x1" AS "t" FULL JOIN "x2" AS "h" ON "h"."finess" = "t"."target" GROUP BY ROLLUP ("t"."target" IS NULL) ORDER BY ALL
--
-- Result: unmatched BOOLEAN, n BIGINT
-- Not pushed down: This FULL JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 384 bytes: 'lyon' would have to send rows of 'transfers' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 400 bytes: 'lille' would have to send rows of 'transfers' to 'cnam', and the holder's policy does not let them go there.
