-- Windows: over groups at the coordinator, over rows where a partition lies at one node or open rows may move.

-- # A share of the total over groups
SELECT region, count(*) AS n, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent FROM stays GROUP BY region;
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
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", ROUND(100.0 * CAST(COALESCE("x2"."p0v", 0) AS BIGINT) / SUM(CAST(COALESCE("x2"."p0v", 0) AS BIGINT)) OVER (), 2) AS "percent" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT, percent DOUBLE

-- # Ranks over groups
SELECT region, year, sum(cost) AS cost, rank() OVER (PARTITION BY year ORDER BY sum(cost) DESC) AS place
FROM stays GROUP BY region, year ORDER BY year, place;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."year" AS "g1", SUM("stays"."cost") AS "p0s" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."year"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 43,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST("x2"."p0s" AS DECIMAL(38, 2)) AS "cost", RANK() OVER (PARTITION BY "x2"."g1" ORDER BY CAST("x2"."p0s" AS DECIMAL(38, 2)) DESC) AS "place" FROM "x2" AS "x2" ORDER BY "year", "place"
--
-- Result: region VARCHAR, year INTEGER, cost DECIMAL(38,2), place BIGINT

-- # QUALIFY over groups
SELECT region, year, count(*) AS n FROM stays GROUP BY region, year
QUALIFY row_number() OVER (PARTITION BY year ORDER BY count(*) DESC, region) = 1 ORDER BY year;
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
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" QUALIFY ROW_NUMBER() OVER (PARTITION BY "x2"."g1" ORDER BY CAST(COALESCE("x2"."p0v", 0) AS BIGINT) DESC, "x2"."g0") = 1 ORDER BY "year"
--
-- Result: region VARCHAR, year INTEGER, n BIGINT

-- # QUALIFY by an alias
SELECT region, row_number() OVER (ORDER BY count(*), region) AS k FROM stays GROUP BY region QUALIFY k < 3;
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
--     SELECT "x2"."g0" AS "region", ROW_NUMBER() OVER (ORDER BY CAST(COALESCE("x2"."p0v", 0) AS BIGINT), "x2"."g0") AS "k" FROM "x2" AS "x2" QUALIFY ROW_NUMBER() OVER (ORDER BY CAST(COALESCE("x2"."p0v", 0) AS BIGINT), "x2"."g0") < 3
--
-- Result: region VARCHAR, k BIGINT

-- # A named window
SELECT region, year, sum(count(*)) OVER w AS total, lag(count(*)) OVER (w ORDER BY year) AS before
FROM stays GROUP BY region, year WINDOW w AS (PARTITION BY region);
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
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", SUM(CAST(COALESCE("x2"."p0v", 0) AS BIGINT)) OVER "w" AS "total", LAG(CAST(COALESCE("x2"."p0v", 0) AS BIGINT)) OVER ("w" ORDER BY "x2"."g1") AS "before" FROM "x2" AS "x2" WINDOW "w" AS (PARTITION BY "x2"."g0")
--
-- Result: region VARCHAR, year INTEGER, total HUGEINT, before BIGINT

-- # Frames
SELECT year, region, sum(sum(days)) OVER (ORDER BY year, region ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moving
FROM stays GROUP BY year, region ORDER BY year, region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."year" AS "g0", "stays"."region" AS "g1", SUM("stays"."days") AS "p0s" FROM "stays" AS "stays" GROUP BY "stays"."year", "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 43,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "year", "x2"."g1" AS "region", SUM(CAST("x2"."p0s" AS INT128)) OVER (ORDER BY "x2"."g0", "x2"."g1" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS "moving" FROM "x2" AS "x2" ORDER BY "year", "region"
--
-- Result: year INTEGER, region VARCHAR, moving HUGEINT

-- # A window without an aggregate beside a grouping
SELECT region, row_number() OVER (ORDER BY region DESC) AS n FROM stays GROUP BY region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 960 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", ROW_NUMBER() OVER (ORDER BY "x2"."g0" DESC) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT

-- # A window over open rows of all nodes
SELECT finess, ward, rank() OVER (ORDER BY budget DESC) AS place FROM wards ORDER BY place;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", RANK() OVER (ORDER BY "x1"."c2" DESC) AS "place" FROM "x1" AS "x1" ORDER BY "place"
--
-- Result: finess VARCHAR, ward VARCHAR, place BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A window whose partitions lie at one node each
SELECT finess, ward, sum(beds) OVER (PARTITION BY finess) AS beds FROM wards;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."beds" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", SUM("x1"."c2") OVER (PARTITION BY "x1"."c0") AS "beds" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, ward VARCHAR, beds HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # An aggregate over a window whose partitions lie at one node each
SELECT place, count(*) AS n, sum(budget) AS budget
FROM (SELECT budget, row_number() OVER (PARTITION BY finess ORDER BY budget) AS place FROM wards) GROUP BY place;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "_0"."place" AS "g0", COUNT(*) AS "p0v", SUM("_0"."budget") AS "p1s" FROM (SELECT "wards"."budget" AS "budget", ROW_NUMBER() OVER (PARTITION BY "wards"."finess" ORDER BY "wards"."budget") AS "place" FROM "wards" AS "wards") AS "_0" GROUP BY "_0"."place"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "place", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "budget" FROM "x2" AS "x2"
--
-- Result: place BIGINT, n BIGINT, budget DECIMAL(38,2)

-- # QUALIFY over rows
SELECT finess, ward FROM wards QUALIFY row_number() OVER (PARTITION BY finess ORDER BY budget DESC) = 1 ORDER BY finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" QUALIFY ROW_NUMBER() OVER (PARTITION BY "x1"."c0" ORDER BY "x1"."c2" DESC) = 1 ORDER BY "finess"
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Windows over persons' rows, each person's own, at one hospital each
WITH o AS (
  SELECT finess, patient, year, entered, lead(entered) OVER (PARTITION BY finess, patient ORDER BY entered, stay) AS next
  FROM stays
)
SELECT year, count(*) AS n, count(*) FILTER (WHERE next - entered BETWEEN 0 AND 40) AS again FROM o GROUP BY year ORDER BY year;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "o"."year" AS "g0", COUNT(*) AS "p0v", COUNT(*) FILTER(WHERE "o"."next" - "o"."entered" BETWEEN 0 AND 40) AS "p1v" FROM (SELECT "stays"."finess" AS "finess", "stays"."patient" AS "patient", "stays"."year" AS "year", "stays"."entered" AS "entered", LEAD("stays"."entered") OVER (PARTITION BY "stays"."finess", "stays"."patient" ORDER BY "stays"."entered", "stays"."stay") AS "next" FROM "stays" AS "stays") AS "o" GROUP BY "o"."year"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,200 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "again" FROM "x2" AS "x2" ORDER BY "year"
--
-- Result: year INTEGER, n BIGINT, again BIGINT

-- # DISTINCT over windows over groups
SELECT DISTINCT sum(count(*)) OVER (PARTITION BY year) AS n FROM stays GROUP BY region, year;
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
--     SELECT DISTINCT SUM(CAST(COALESCE("x2"."p0v", 0) AS BIGINT)) OVER (PARTITION BY "x2"."g1") AS "n" FROM "x2" AS "x2"
--
-- Result: n HUGEINT

-- # A window over a site key that may be NULL runs where all rows are
SELECT ticket, reason, row_number() OVER (PARTITION BY ticket ORDER BY reason, ward, finess) AS r FROM referrals;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "referrals"."ticket" AS "c0", "referrals"."reason" AS "c1", "referrals"."ward" AS "c2", "referrals"."finess" AS "c3" FROM "referrals" AS "referrals"
--     -> x1 for s2: crosses as rows, about 35 rows and 2,240 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ticket", "x1"."c1" AS "reason", ROW_NUMBER() OVER (PARTITION BY "x1"."c0" ORDER BY "x1"."c1", "x1"."c2", "x1"."c3") AS "r" FROM "x1" AS "x1"
--
-- Result: ticket VARCHAR, reason VARCHAR, r BIGINT
-- Not taken: run at lille, shipping referrals from lyon, nantes, about 1,344 bytes: 'lyon' would have to send rows of 'referrals' to 'lille', and the holder's policy does not let them go there.
