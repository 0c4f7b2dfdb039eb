-- Parameters are bound as literals in the tree.

-- # By position
-- : parameters=[2022, "ARA"]
SELECT count(*) AS n FROM stays WHERE year = ? AND region = ?;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "stays" AS "stays" WHERE "stays"."year" = 2022 AND "stays"."region" = 'ARA'
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

-- # Numbered
-- : parameters=[10, 20]
SELECT sum(beds) AS n FROM wards WHERE beds > $2 OR beds < $1 + 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" WHERE "wards"."beds" > 20 OR "wards"."beds" < 10 + 2
--     -> x1 for s2: crosses as rows, about 3 rows and 48 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0s" AS INT128) AS "n" FROM "x2" AS "x2"
--
-- Result: n HUGEINT

-- # Named
-- : parameters={"low": 10, "kind": "surgery"}
SELECT count(*) AS n FROM wards WHERE beds > $low AND kind = $kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."beds" > 10 AND "wards"."kind" = 'surgery'
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: n BIGINT

-- # Text that looks like SQL stays text
-- : parameters=["x' OR '1'='1"]
SELECT count(*) AS n FROM wards WHERE kind = ?;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."kind" = 'x'' OR ''1''=''1'
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: n BIGINT

-- # NULL, booleans, negative numbers and doubles
-- : parameters=[null, true, -5, 0.1]
SELECT ? AS a, ? AS b, ? AS c, ? AS d, count(*) AS n FROM wards;
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
--     SELECT NULL AS "a", TRUE AS "b", (-5) AS "c", CAST('0.1' AS DOUBLE) AS "d", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: a INTEGER, b BOOLEAN, c INTEGER, d DOUBLE, n BIGINT

-- # In LIMIT
-- : parameters=[2]
SELECT ward, finess FROM wards ORDER BY ward, finess LIMIT ?;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."finess" AS "c1" FROM "wards" AS "wards" ORDER BY "wards"."ward", "wards"."finess" LIMIT 2
--     -> x1 for s2: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "finess" FROM "x1" AS "x1" ORDER BY "ward", "finess" LIMIT 2
--
-- Result: ward VARCHAR, finess VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 480 bytes: it moves more bytes
