-- Rows of open tables over several nodes: filters and expressions run there, the rest at the coordinator.

-- # Only the needed columns of the matching rows
SELECT ward, beds * 2 AS double_beds FROM wards WHERE beds > 15;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1" FROM "wards" AS "wards" WHERE "wards"."beds" > 15
--     -> x1 for s2: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" * 2 AS "double_beds" FROM "x1" AS "x1"
--
-- Result: ward VARCHAR, double_beds INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 292 bytes: it moves more bytes

-- # ORDER BY, LIMIT and OFFSET over rows of several nodes
SELECT finess, ward, budget FROM wards ORDER BY budget DESC LIMIT 4 OFFSET 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards" ORDER BY "wards"."budget" DESC LIMIT 5
--     -> x1 for s2: crosses as rows, about 15 rows and 720 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", "x1"."c2" AS "budget" FROM "x1" AS "x1" ORDER BY "budget" DESC LIMIT 4 OFFSET 1
--
-- Result: finess VARCHAR, ward VARCHAR, budget DECIMAL(18,2)
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: it moves more bytes

-- # ORDER BY an expression that is no output
SELECT ward, finess FROM wards ORDER BY budget * -1, 1 LIMIT 3;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."finess" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards" ORDER BY "wards"."budget" * -1, "wards"."ward" LIMIT 3
--     -> x1 for s2: crosses as rows, about 9 rows and 432 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "finess" FROM "x1" AS "x1" ORDER BY "x1"."c2" * -1, "ward" LIMIT 3
--
-- Result: ward VARCHAR, finess VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: it moves more bytes

-- # NULLs first and last
SELECT beds, finess, ward FROM wards ORDER BY beds NULLS FIRST, finess DESC, ward;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0", "wards"."finess" AS "c1", "wards"."ward" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "beds", "x1"."c1" AS "finess", "x1"."c2" AS "ward" FROM "x1" AS "x1" ORDER BY "beds" NULLS FIRST, "finess" DESC, "ward"
--
-- Result: beds INTEGER, finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,440 bytes: it moves more bytes

-- # LIMIT ALL of the rows
SELECT finess, ward FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,280 bytes: it moves more bytes

-- # DISTINCT becomes a grouping
SELECT DISTINCT kind, active FROM wards ORDER BY kind, active;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."active" AS "g1" FROM "wards" AS "wards" GROUP BY "wards"."kind", "wards"."active"
--     -> x1 for s2: crosses as rows, about 25 rows and 425 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", "x2"."g1" AS "active" FROM "x2" AS "x2" ORDER BY "kind", "active"
--
-- Result: kind VARCHAR, active BOOLEAN

-- # DISTINCT over constants
SELECT DISTINCT 1 AS one FROM wards;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT 1 AS "c0" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT DISTINCT 1 AS "one" FROM "x1" AS "x1"
--
-- Result: one INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 120 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # DISTINCT over constants of nothing
SELECT DISTINCT 'x' AS x FROM wards WHERE beds < 0;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT 1 AS "c0" FROM "wards" AS "wards" WHERE "wards"."beds" < 0
--     -> x1 for s2: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT DISTINCT 'x' AS "x" FROM "x1" AS "x1"
--
-- Result: x VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 40 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # DISTINCT with an expression, and LIMIT
SELECT DISTINCT beds % 3 AS r FROM wards ORDER BY r DESC LIMIT 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" % 3 AS "g0" FROM "wards" AS "wards" GROUP BY "wards"."beds" % 3
--     -> x1 for s2: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "r" FROM "x2" AS "x2" ORDER BY "r" DESC LIMIT 2
--
-- Result: r INTEGER

-- # DISTINCT ON
SELECT DISTINCT ON (kind) kind, ward, budget FROM wards ORDER BY kind, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT DISTINCT ON ("kind") "x1"."c0" AS "kind", "x1"."c1" AS "ward", "x1"."c2" AS "budget" FROM "x1" AS "x1" ORDER BY "kind", "budget"
--
-- Result: kind VARCHAR, ward VARCHAR, budget DECIMAL(18,2)
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # DISTINCT ON a site key
SELECT DISTINCT ON (finess) finess, ward FROM wards ORDER BY finess, budget DESC;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT DISTINCT ON ("finess") "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY "finess", "x1"."c2" DESC
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 720 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Star over several nodes
SELECT * FROM transfers ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "transfers"."origin" AS "c0", "transfers"."target" AS "c1", "transfers"."day" AS "c2", "transfers"."patients" AS "c3" FROM "transfers" AS "transfers"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "origin", "x1"."c1" AS "target", "x1"."c2" AS "day", "x1"."c3" AS "patients" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: origin VARCHAR, target VARCHAR, day DATE, patients INTEGER
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 1,600 bytes: it moves more bytes

-- # The node of each row
SELECT _node, finess, ward FROM wards WHERE ward = 'A' ORDER BY _node, finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."_node" AS "c0", "wards"."finess" AS "c1", "wards"."ward" AS "c2" FROM "wards" AS "wards" WHERE "wards"."ward" = 'A'
--     -> x1 for s2: crosses as rows, about 3 rows and 144 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "_node", "x1"."c1" AS "finess", "x1"."c2" AS "ward" FROM "x1" AS "x1" ORDER BY "_node", "finess"
--
-- Result: _node VARCHAR, finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 200 bytes: it moves more bytes

-- # No column is needed
SELECT 1 AS one FROM wards WHERE beds > 20;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT 1 AS "c0" FROM "wards" AS "wards" WHERE "wards"."beds" > 20
--     -> x1 for s2: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT 1 AS "one" FROM "x1" AS "x1"
--
-- Result: one INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 104 bytes: it moves more bytes

-- # Conditions of every kind
SELECT finess, ward FROM wards
WHERE (beds BETWEEN 11 AND 20 OR kind IN ('surgery', NULL)) AND NOT (ward LIKE 'D%') AND active IS DISTINCT FROM FALSE
  AND opened < DATE '1975-01-01' AND ward ILIKE '_';
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE ("wards"."beds" BETWEEN 11 AND 20 OR "wards"."kind" IN ('surgery', NULL)) AND NOT ("wards"."ward" LIKE 'D%') AND "wards"."active" IS DISTINCT FROM FALSE AND "wards"."opened" < CAST('1975-01-01' AS DATE) AND "wards"."ward" ILIKE '_'
--     -> x1 for s2: crosses as rows, about 1 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 64 bytes: it moves more bytes

-- # Doubles compare as the engine compares them: NaN is equal to itself and greater than all
SELECT finess, ward, load FROM wards WHERE load >= 3 ORDER BY load, finess, ward;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."load" AS "c2" FROM "wards" AS "wards" WHERE "wards"."load" >= 3
--     -> x1 for s2: crosses as rows, about 8 rows and 320 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", "x1"."c2" AS "load" FROM "x1" AS "x1" ORDER BY "load", "finess", "ward"
--
-- Result: finess VARCHAR, ward VARCHAR, load DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 520 bytes: it moves more bytes

-- # A cast that can fail, made safe
SELECT try_cast(ward AS INTEGER) AS n, count(*) AS c FROM wards GROUP BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT TRY_CAST("wards"."ward" AS INT) AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY TRY_CAST("wards"."ward" AS INT)
--     -> x1 for s2: crosses as rows, about 25 rows and 300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "n", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "c" FROM "x2" AS "x2"
--
-- Result: n INTEGER, c BIGINT
