-- Subqueries: at the nodes where their rows are with the outer row's, planned as cuts of their own otherwise.

-- # An uncorrelated scalar subquery becomes an input of the nodes
SELECT kind, count(*) AS n FROM wards WHERE beds > (SELECT avg(beds) FROM wards) GROUP BY kind;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT("wards"."beds") AS "p0n" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."beds" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") GROUP BY "wards"."kind"
--     -> x4 for s5: crosses as rows, about 8 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
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

-- # ... over persons
SELECT region, count(*) AS n FROM stays WHERE days > (SELECT avg(days) FROM stays WHERE year = 2022) GROUP BY region;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("stays"."days") AS "p0s", COUNT("stays"."days") AS "p0n" FROM "stays" AS "stays" WHERE "stays"."year" = 2022
--     -> x1 for s2: crosses as aggregate, about 3 rows and 72 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" WHERE "stays"."days" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") GROUP BY "stays"."region"
--     -> x4 for s5: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "region", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5"
--
-- Result: region VARCHAR, n BIGINT

-- # IN over a copy
SELECT kind, count(*) AS n FROM wards WHERE finess IN (SELECT finess FROM hospitals WHERE region = 'ARA') GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."finess" IN (SELECT "hospitals"."finess" AS "finess" FROM "hospitals" AS "hospitals" WHERE "hospitals"."region" = 'ARA') GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 13 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT

-- # IN over rows of all nodes becomes an input
SELECT kind, count(*) AS n FROM wards WHERE finess IN (SELECT target FROM transfers WHERE patients > 3) GROUP BY kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "c0" FROM "transfers" AS "transfers" WHERE "transfers"."patients" > 3
--     -> x1 for s2: crosses as rows, about 8 rows and 128 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "target" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."finess" IN (SELECT "x2"."target" AS "target" FROM "x2" AS "x2") GROUP BY "wards"."kind"
--     -> x3 for s4: crosses as rows, about 13 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "kind", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: kind VARCHAR, n BIGINT
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 208 bytes: it moves more bytes

-- # IN over a site key stays at the nodes
SELECT kind, count(*) AS n FROM wards WHERE finess IN (SELECT finess FROM shifts WHERE nurses > 6) GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."finess" IN (SELECT "shifts"."finess" AS "finess" FROM "shifts" AS "shifts" WHERE "shifts"."nurses" > 6) GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 13 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT

-- # NOT IN over a site key: NULL at one node would decide for all
SELECT kind, count(*) AS n FROM wards
WHERE finess NOT IN (SELECT CASE WHEN nurses > 6 THEN finess ELSE 'none' END FROM shifts) GROUP BY kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."nurses" AS "c0", "shifts"."finess" AS "c1" FROM "shifts" AS "shifts"
--     -> x1 for s2: crosses as rows, about 100 rows and 2,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT CASE WHEN "x1"."c0" > 6 THEN "x1"."c1" ELSE 'none' END AS "_col_0" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE NOT "wards"."finess" IN (SELECT "x2"."_col_0" AS "_col_0" FROM "x2" AS "x2") GROUP BY "wards"."kind"
--     -> x3 for s4: crosses as rows, about 13 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "kind", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: kind VARCHAR, n BIGINT
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 2,000 bytes: it moves more bytes

-- # NOT IN over rows of all nodes, plain
SELECT finess, ward FROM wards WHERE finess NOT IN (SELECT finess FROM shifts WHERE day < DATE '2020-01-01') ORDER BY ALL;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "c0" FROM "shifts" AS "shifts" WHERE "shifts"."day" < CAST('2020-01-01' AS DATE)
--     -> x1 for s2: crosses as rows, about 30 rows and 480 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE NOT "wards"."finess" IN (SELECT "x2"."finess" AS "finess" FROM "x2" AS "x2")
--     -> x3 for s4: crosses as rows, about 13 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."c0" AS "finess", "x3"."c1" AS "ward" FROM "x3" AS "x3" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 768 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 1,184 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # EXISTS by a site key
SELECT kind, count(*) AS n FROM wards w
WHERE EXISTS (SELECT 1 FROM shifts s WHERE s.finess = w.finess AND s.ward = w.ward AND s.nurses > 4) GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" WHERE EXISTS(SELECT 1 AS "1" FROM "shifts" AS "s" WHERE "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" AND "s"."nurses" > 4) GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 13 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT

-- # NOT EXISTS by a site key
SELECT w.finess, w.ward FROM wards w
WHERE NOT EXISTS (SELECT 1 FROM shifts s WHERE s.finess = w.finess AND s.ward = w.ward) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "c0", "w"."ward" AS "c1" FROM "wards" AS "w" WHERE NOT EXISTS(SELECT 1 AS "1" FROM "shifts" AS "s" WHERE "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward")
--     -> x1 for s2: crosses as rows, about 13 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 2,816 bytes: it moves more bytes

-- # A correlated scalar subquery by a site key
SELECT w.finess, w.ward, (SELECT sum(s.nurses) FROM shifts s WHERE s.finess = w.finess AND s.ward = w.ward) AS nurses
FROM wards w ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT (SELECT SUM("s"."nurses") AS "_col_0" FROM "shifts" AS "s" WHERE "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward") AS "c0", "w"."finess" AS "c1", "w"."ward" AS "c2" FROM "wards" AS "w"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c1" AS "finess", "x1"."c2" AS "ward", "x1"."c0" AS "nurses" FROM (SELECT CAST("x1"."c0" AS INT128) AS "c0", "x1"."c1" AS "c1", "x1"."c2" AS "c2" FROM "x1" AS "x1") AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, nurses HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 3,640 bytes: it moves more bytes

-- # A correlated subquery over a copy
SELECT w.ward, (SELECT h.name FROM hospitals h WHERE h.finess = w.finess) AS name FROM wards w ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT (SELECT "h"."name" AS "name" FROM "hospitals" AS "h" WHERE "h"."finess" = "w"."finess") AS "c0", "w"."ward" AS "c1" FROM "wards" AS "w"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c1" AS "ward", "x1"."c0" AS "name" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, name VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,080 bytes: it moves more bytes
-- Not taken: run at cnam, shipping hospitals, wards from lille, lyon, nantes, about 1,200 bytes: it moves more bytes

-- # A correlated subquery that is not by a site key: open rows go to the coordinator
SELECT w.finess, w.ward FROM wards w WHERE EXISTS (SELECT 1 FROM transfers t WHERE t.target = w.finess AND t.patients > w.beds % 5)
ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward", "w"."beds" AS "beds" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."target" AS "target", "t"."patients" AS "patients" FROM "transfers" AS "t"
--     -> x2 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward" FROM "x1" AS "w" WHERE EXISTS(SELECT 1 AS "1" FROM "x2" AS "t" WHERE "t"."target" = "w"."finess" AND "t"."patients" > "w"."beds" % 5) ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not pushed down: A subquery may need rows of other nodes than the row that it is asked for.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 1,256 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A scalar subquery among the outputs of an aggregation
SELECT kind, count(*) AS n, (SELECT count(*) FROM wards) AS of_all, count(*) / (SELECT count(*) FROM shifts) AS share
FROM wards GROUP BY kind;
-- Plan with 7 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s7: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards"
--     -> x3 for s4: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT SUM("p0v") AS "p0v" FROM "x3" AS "x3"
--     -> x4 for s7: stays at the coordinator
--
-- s5 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "shifts" AS "shifts"
--     -> x5 for s6: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s6 merge at the coordinator, over x5
--     SELECT SUM("p0v") AS "p0v" FROM "x5" AS "x5"
--     -> x6 for s7: stays at the coordinator
--
-- s7 finish at the coordinator, over x2, x4, x6
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", (SELECT CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "_col_0" FROM "x4" AS "x4") AS "of_all", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) / (SELECT CAST(COALESCE("x6"."p0v", 0) AS BIGINT) AS "_col_0" FROM "x6" AS "x6") AS "share" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n BIGINT, of_all BIGINT, share DOUBLE

-- # A scalar subquery in HAVING
SELECT region, avg(days) AS d FROM stays GROUP BY region HAVING avg(days) >= (SELECT avg(days) FROM stays) ORDER BY region;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", SUM("stays"."days") AS "p0s", COUNT("stays"."days") AS "p0n" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,400 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT SUM("stays"."days") AS "p0s", COUNT("stays"."days") AS "p0n" FROM "stays" AS "stays"
--     -> x3 for s4: crosses as aggregate, about 3 rows and 72 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x3" AS "x3"
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "x2"."g0" AS "region", CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "d" FROM "x2" AS "x2" WHERE CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) >= (SELECT CAST((CAST("x4"."p0s" AS DOUBLE) / CAST("x4"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x4" AS "x4") ORDER BY "region"
--
-- Result: region VARCHAR, d DOUBLE

-- # A subquery correlated with a group's key
SELECT s.region, count(*) AS n, (SELECT r.label FROM regions r WHERE r.region = s.region) AS label
FROM stays s GROUP BY s.region;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "s" GROUP BY "s"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s4: stays at the coordinator
--
-- s3 node at cnam
--     SELECT "r"."label" AS "label", "r"."region" AS "region" FROM "regions" AS "r"
--     -> x3 for s4: crosses as rows, about 3 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x2, x3
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", (SELECT "r"."label" AS "label" FROM "x3" AS "r" WHERE "r"."region" = "x2"."g0") AS "label" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT, label VARCHAR

-- # A subquery in FROM of a subquery
SELECT max(n) AS most FROM (SELECT region, count(*) AS n FROM stays GROUP BY region);
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
--     SELECT MAX("_0"."n") AS "most" FROM (SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "_0"
--
-- Result: most BIGINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping stays from lyon, nantes, about 23,040 bytes: it moves more bytes

-- # Aggregates over aggregates of three levels
SELECT avg(m) AS a FROM (SELECT region, max(n) AS m FROM (SELECT region, year, count(*) AS n FROM stays GROUP BY ALL) GROUP BY region);
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
--     SELECT AVG("_1"."m") AS "a" FROM (SELECT "_0"."region" AS "region", MAX("_0"."n") AS "m" FROM (SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "_0" GROUP BY "_0"."region") AS "_1"
--
-- Result: a DOUBLE
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping stays from lyon, nantes, about 26,880 bytes: 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Not taken: run at lille, shipping stays from lyon, nantes, about 26,880 bytes: 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.

-- # A comparison with ANY and ALL
SELECT finess, ward FROM wards WHERE beds > ALL (SELECT patients FROM transfers) AND beds = ANY (SELECT beds FROM wards WHERE active)
ORDER BY ALL;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "transfers"."patients" AS "c0" FROM "transfers" AS "transfers"
--     -> x1 for s2: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "patients" FROM "x1" AS "x1"
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0" FROM "wards" AS "wards" WHERE "wards"."active"
--     -> x3 for s4: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."c0" AS "beds" FROM "x3" AS "x3"
--     -> x4 for s5: stays at the coordinator
--
-- s5 node at lille, lyon, nantes, over x2, x4
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE "wards"."beds" > ALL (SELECT "x2"."patients" AS "patients" FROM "x2" AS "x2") AND "wards"."beds" = ANY (SELECT "x4"."beds" AS "beds" FROM "x4" AS "x4")
--     -> x5 for s6: crosses as rows, about 1 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."c0" AS "finess", "x5"."c1" AS "ward" FROM "x5" AS "x5" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 160 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes, about 52 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping transfers from lille, lyon, nantes; wards from lille, lyon, nantes, about 428 bytes: 'lille' would have to send rows of 'transfers' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes; wards from lyon, nantes, about 652 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # IN with a row of values
SELECT finess, ward FROM wards WHERE (finess, ward) IN (SELECT finess, ward FROM shifts WHERE nurses > 5) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE ("wards"."finess", "wards"."ward") IN (SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward" FROM "shifts" AS "shifts" WHERE "shifts"."nurses" > 5)
--     -> x1 for s2: crosses as rows, about 13 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 1,472 bytes: it moves more bytes

-- # IN among the outputs
SELECT ward, finess IN (SELECT target FROM transfers WHERE patients > 4) AS receives FROM wards ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."finess" AS "c1" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "c0" FROM "transfers" AS "transfers" WHERE "transfers"."patients" > 4
--     -> x2 for s3: crosses as rows, about 8 rows and 128 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "x1"."c0" AS "ward", "x1"."c1" IN (SELECT "x2"."c0" AS "target" FROM "x2" AS "x2") AS "receives" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, receives BOOLEAN
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 208 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 1,160 bytes: it moves more bytes

-- # A subquery in the condition of a join
SELECT w.ward, count(*) AS n FROM wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward
  AND s.nurses > (SELECT avg(nurses) FROM shifts) GROUP BY w.ward;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("shifts"."nurses") AS "p0s", COUNT("shifts"."nurses") AS "p0n" FROM "shifts" AS "shifts"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "w"."ward" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" AND "s"."nurses" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") GROUP BY "w"."ward"
--     -> x4 for s5: crosses as rows, about 30 rows and 720 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "ward", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5"
--
-- Result: ward VARCHAR, n BIGINT

-- # A subquery that several rows would answer is an array
SELECT ARRAY(SELECT DISTINCT kind FROM wards WHERE kind IS NOT NULL ORDER BY 1) AS kinds;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0" FROM "wards" AS "wards" WHERE NOT "wards"."kind" IS NULL GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 23 rows and 368 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT ARRAY(SELECT "x2"."g0" AS "kind" FROM "x2" AS "x2" ORDER BY "kind") AS "kinds"
--
-- Result: kinds VARCHAR[]
-- Not taken: run at lille, shipping wards from lyon, nantes, about 232 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # An aggregate of a subquery over all nodes
SELECT kind, sum(beds * (SELECT count(*) FROM shifts)) AS x, (SELECT count(*) FROM shifts) AS n FROM wards GROUP BY kind;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "shifts" AS "shifts"
--     -> x1 for s2: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--     -> x3 for s6: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds" * (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3")) AS "p0s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x4 for s5: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x3, x5
--     SELECT "x5"."g0" AS "kind", CAST("x5"."p0s" AS INT128) AS "x", (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") AS "n" FROM "x5" AS "x5"
--
-- Result: kind VARCHAR, x HUGEINT, n BIGINT

-- # An aggregate with a filter that asks all nodes
SELECT kind, count(*) FILTER (WHERE finess NOT IN (SELECT target FROM transfers WHERE patients > 4)) AS n FROM wards GROUP BY kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "c0" FROM "transfers" AS "transfers" WHERE "transfers"."patients" > 4
--     -> x1 for s2: crosses as rows, about 8 rows and 128 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "target" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."kind" AS "g0", COUNT(*) FILTER(WHERE NOT "wards"."finess" IN (SELECT "x2"."target" AS "target" FROM "x2" AS "x2")) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x3 for s4: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "kind", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: kind VARCHAR, n BIGINT
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 208 bytes: it moves more bytes

-- # A group key that asks all nodes
SELECT beds > (SELECT avg(beds) FROM wards) AS large, count(*) AS n FROM wards GROUP BY beds > (SELECT avg(beds) FROM wards);
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT("wards"."beds") AS "p0n" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "wards"."beds" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") AS "k0" FROM "wards" AS "wards") AS "x0" GROUP BY "x0"."k0"
--     -> x4 for s5: crosses as rows, about 25 rows and 225 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "large", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5"
--
-- Result: large BOOLEAN, n BIGINT

-- # The same by alias
SELECT beds > (SELECT avg(beds) FROM wards) AS large, count(*) AS n FROM wards GROUP BY large;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT SUM("wards"."beds") AS "p0s", COUNT("wards"."beds") AS "p0n" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "wards"."beds" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") AS "k0" FROM "wards" AS "wards") AS "x0" GROUP BY "x0"."k0"
--     -> x4 for s5: crosses as rows, about 25 rows and 225 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "large", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5"
--
-- Result: large BOOLEAN, n BIGINT

-- # A group key that asks the same node
SELECT EXISTS (SELECT 1 FROM shifts s WHERE s.finess = w.finess AND s.ward = w.ward) AS worked, count(*) AS n
FROM wards w GROUP BY worked;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x0"."k0" AS "g0", COUNT(*) AS "p0v" FROM (SELECT EXISTS(SELECT 1 AS "1" FROM "shifts" AS "s" WHERE "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward") AS "k0" FROM "wards" AS "w") AS "x0" GROUP BY "x0"."k0"
--     -> x1 for s2: crosses as rows, about 25 rows and 225 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "worked", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: worked BOOLEAN, n BIGINT

-- # An aggregate of a subquery by a site key
SELECT w.kind, sum((SELECT count(*) FROM shifts s WHERE s.finess = w.finess AND s.ward = w.ward)) AS shifts FROM wards w GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", SUM((SELECT COUNT(*) AS "_col_0" FROM "shifts" AS "s" WHERE "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward")) AS "p0s" FROM "wards" AS "w" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "shifts" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, shifts HUGEINT

-- # The groups of persons that a set of persons belongs to
SELECT region, count(DISTINCT patient) AS n FROM insured i
WHERE EXISTS (SELECT 1 FROM insured j WHERE j.patient = i.patient AND j.birth > 1960) GROUP BY region;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "i"."region" AS "g0", COUNT(DISTINCT "i"."patient") AS "p0v" FROM "insured" AS "i" WHERE EXISTS(SELECT 1 AS "1" FROM "insured" AS "j" WHERE "j"."patient" = "i"."patient" AND "j"."birth" > 1960) GROUP BY "i"."region"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, n BIGINT

-- # IN over a site key with a LIMIT chooses among all nodes
SELECT finess, ward FROM wards WHERE finess IN (SELECT finess FROM shifts ORDER BY hours DESC, finess, day LIMIT 2) ORDER BY ALL;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "c0", "shifts"."hours" AS "c1", "shifts"."day" AS "c2" FROM "shifts" AS "shifts" ORDER BY "shifts"."hours" DESC, "shifts"."finess", "shifts"."day" LIMIT 2
--     -> x1 for s2: crosses as rows, about 6 rows and 168 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess" FROM "x1" AS "x1" ORDER BY "x1"."c1" DESC, "finess", "x1"."c2" LIMIT 2
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE "wards"."finess" IN (SELECT "x2"."finess" AS "finess" FROM "x2" AS "x2")
--     -> x3 for s4: crosses as rows, about 13 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."c0" AS "finess", "x3"."c1" AS "ward" FROM "x3" AS "x3" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 1,680 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 2,576 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # IN over a site key of groups of all nodes
SELECT finess, ward FROM wards WHERE ward IN (SELECT ward FROM shifts GROUP BY ward HAVING sum(nurses) > 80) ORDER BY ALL;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."ward" AS "g0", SUM("shifts"."nurses") AS "p0s" FROM "shifts" AS "shifts" GROUP BY "shifts"."ward"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,920 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "ward" FROM "x2" AS "x2" WHERE CAST("x2"."p0s" AS INT128) > 80
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE "wards"."ward" IN (SELECT "x3"."ward" AS "ward" FROM "x3" AS "x3")
--     -> x4 for s5: crosses as rows, about 13 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."c0" AS "finess", "x4"."c1" AS "ward" FROM "x4" AS "x4" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 2,096 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A subquery with a LIMIT over a copy
SELECT count(*) AS n FROM wards WHERE finess IN (SELECT finess FROM hospitals ORDER BY beds DESC LIMIT 2);
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess" FROM "hospitals" AS "hospitals" ORDER BY "hospitals"."beds" DESC LIMIT 2
--     -> x1 for s2: crosses as rows, about 2 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."finess" AS "finess" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."finess" IN (SELECT "x2"."finess" AS "finess" FROM "x2" AS "x2")
--     -> x3 for s4: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT SUM("p0v") AS "p0v" FROM "x3" AS "x3"
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: n BIGINT
