-- Common table expressions.

-- # Two parts of one query, joined at the coordinator
WITH s AS (SELECT region, count(*) AS stays FROM stays GROUP BY region),
     i AS (SELECT region, count(DISTINCT patient) AS persons FROM insured GROUP BY region)
SELECT s.region, stays, persons, round(1000.0 * stays / persons, 1) AS rate FROM s JOIN i USING (region) ORDER BY region;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at cnam
--     SELECT "insured"."region" AS "g0", COUNT(DISTINCT "insured"."patient") AS "p0v" FROM "insured" AS "insured" GROUP BY "insured"."region"
--     -> x3 for s4: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "s"."region" AS "region", "s"."stays" AS "stays", "i"."persons" AS "persons", ROUND(1000.0 * "s"."stays" / "i"."persons", 1) AS "rate" FROM (SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "stays" FROM "x2" AS "x2") AS "s" JOIN (SELECT "x4"."g0" AS "region", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "persons" FROM "x4" AS "x4") AS "i" ON "s"."region" = "i"."region" ORDER BY "region"
--
-- Result: region VARCHAR, stays BIGINT, persons BIGINT, rate DOUBLE
-- Not pushed down: Groups of this aggregation may have rows at several nodes.

-- # A part used twice is computed once
WITH x AS (SELECT region, year, count(*) AS n FROM stays GROUP BY region, year)
SELECT a.region, b.n - a.n AS growth FROM x a JOIN x b ON a.region = b.region AND b.year = a.year + 1 ORDER BY 1;
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
--     SELECT "a"."region" AS "region", "b"."n" - "a"."n" AS "growth" FROM (SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "a" JOIN (SELECT "x2"."g0" AS "region", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "b" ON "a"."region" = "b"."region" AND "b"."year" = "a"."year" + 1 ORDER BY "region"
--
-- Result: region VARCHAR, growth BIGINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.

-- # A part that uses another
WITH a AS (SELECT finess, kind, beds FROM wards WHERE active), b AS (SELECT kind, sum(beds) AS beds FROM a GROUP BY kind)
SELECT kind, beds FROM b WHERE beds > 20 ORDER BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "a"."kind" AS "g0", SUM("a"."beds") AS "p0s" FROM (SELECT "wards"."finess" AS "finess", "wards"."kind" AS "kind", "wards"."beds" AS "beds" FROM "wards" AS "wards" WHERE "wards"."active") AS "a" GROUP BY "a"."kind"
--     -> x1 for s2: crosses as rows, about 8 rows and 256 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "b"."kind" AS "kind", "b"."beds" AS "beds" FROM (SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2") AS "b" WHERE "b"."beds" > 20 ORDER BY "kind"
--
-- Result: kind VARCHAR, beds HUGEINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 148 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A part named like a table hides it
WITH wards AS (SELECT finess, beds + 1 AS beds FROM wards WHERE ward = 'A') SELECT finess, beds FROM wards ORDER BY finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."beds" AS "c1" FROM (SELECT "wards"."finess" AS "finess", "wards"."beds" + 1 AS "beds" FROM "wards" AS "wards" WHERE "wards"."ward" = 'A') AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 60 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "beds" FROM "x1" AS "x1" ORDER BY "finess"
--
-- Result: finess VARCHAR, beds INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 112 bytes: it moves more bytes

-- # A part named like a table, used beside a derived table of the same name
WITH hospitals AS (SELECT finess, 'mine' AS name FROM wards GROUP BY finess)
SELECT h.name, count(*) AS n FROM hospitals h JOIN (SELECT finess FROM transfers t JOIN wards w ON w.finess = t.origin) q USING (finess)
GROUP BY h.name;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."name" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "wards"."finess" AS "finess", 'mine' AS "name" FROM "wards" AS "wards" GROUP BY "wards"."finess") AS "h" JOIN (SELECT "w"."finess" AS "finess" FROM "transfers" AS "t" JOIN "wards" AS "w" ON "w"."finess" = "t"."origin") AS "q" ON "h"."finess" = "q"."finess" GROUP BY "h"."name"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "name", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: name VARCHAR, n BIGINT

-- # Column lists
WITH w (f, n, b) AS (SELECT finess, count(*), sum(beds) FROM wards GROUP BY finess) SELECT f, n, b FROM w ORDER BY f;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."f" AS "c0", "w"."n" AS "c1", "w"."b" AS "c2" FROM (SELECT "wards"."finess" AS "f", COUNT(*) AS "n", SUM("wards"."beds") AS "b" FROM "wards" AS "wards" GROUP BY "wards"."finess") AS "w"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "f", "x1"."c1" AS "n", "x1"."c2" AS "b" FROM (SELECT "x1"."c0" AS "c0", "x1"."c1" AS "c1", CAST("x1"."c2" AS INT128) AS "c2" FROM "x1" AS "x1") AS "x1" ORDER BY "f"
--
-- Result: f VARCHAR, n BIGINT, b HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 960 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Nested WITH
WITH a AS (WITH b AS (SELECT kind, beds FROM wards) SELECT kind, sum(beds) AS s FROM b GROUP BY kind)
SELECT max(s) AS most FROM a;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "b"."kind" AS "g0", SUM("b"."beds") AS "p0s" FROM (SELECT "wards"."kind" AS "kind", "wards"."beds" AS "beds" FROM "wards" AS "wards") AS "b" GROUP BY "b"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT MAX("a"."s") AS "most" FROM (SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "s" FROM "x2" AS "x2") AS "a"
--
-- Result: most HUGEINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 300 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # An inner WITH that hides an outer one
WITH a AS (SELECT 1 AS x), b AS (WITH a AS (SELECT 2 AS x) SELECT x FROM a) SELECT a.x AS outer_x, b.x AS inner_x FROM a, b;
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     SELECT "a"."x" AS "outer_x", "b"."x" AS "inner_x" FROM (SELECT 1 AS "x") AS "a", (SELECT "a"."x" AS "x" FROM (SELECT 2 AS "x") AS "a") AS "b"
--
-- Result: outer_x INTEGER, inner_x INTEGER

-- # WITH in a subquery
SELECT kind, count(*) AS n FROM wards WHERE beds > (WITH m AS (SELECT avg(beds) AS v FROM wards) SELECT v FROM m) GROUP BY kind;
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
--     SELECT "m"."v" AS "v" FROM (SELECT CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "v" FROM "x2" AS "x2") AS "m"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."beds" > (SELECT "x3"."v" AS "v" FROM "x3" AS "x3") GROUP BY "wards"."kind"
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
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 84 bytes: it moves more bytes

-- # A part that is not used is checked but not run
WITH unused AS (SELECT count(*) AS n FROM shifts) SELECT count(*) AS n FROM wards;
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
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: n BIGINT

-- # MATERIALIZED
WITH a AS MATERIALIZED (SELECT kind, count(*) AS n FROM wards GROUP BY kind) SELECT sum(n) AS n FROM a;
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
--     SELECT SUM("a"."n") AS "n" FROM (SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "a"
--
-- Result: n HUGEINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 240 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A part with ORDER BY and LIMIT
WITH top AS (SELECT finess, sum(beds) AS beds FROM wards GROUP BY finess ORDER BY beds DESC, finess LIMIT 2)
SELECT h.name, top.beds FROM top JOIN hospitals h USING (finess) ORDER BY top.beds DESC;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "g0", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" GROUP BY "wards"."finess"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s4: stays at the coordinator
--
-- s3 node at cnam
--     SELECT "h"."name" AS "name", "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x3 for s4: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x2, x3
--     SELECT "h"."name" AS "name", "top"."beds" AS "beds" FROM (SELECT "x2"."g0" AS "finess", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2" ORDER BY "beds" DESC, "finess" LIMIT 2) AS "top" JOIN "x3" AS "h" ON "top"."finess" = "h"."finess" ORDER BY "top"."beds" DESC
--
-- Result: name VARCHAR, beds HUGEINT
-- Not pushed down: A LIMIT chooses among rows of several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 492 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 692 bytes: 'lille' would have to send rows of 'wards' to 'cnam', and the holder's policy does not let them go there.

-- # Persons are first reduced to one row each
WITH p AS (SELECT patient, min(birth) AS birth, sum(spent) AS spent FROM insured GROUP BY patient)
SELECT birth // 10 AS decade, count(*) AS persons, avg(spent) AS mean FROM p GROUP BY decade ORDER BY decade;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "p"."birth" // 10 AS "g0", COUNT(*) AS "p0v", AVG("p"."spent") AS "p1v" FROM (SELECT "insured"."patient" AS "patient", MIN("insured"."birth") AS "birth", SUM("insured"."spent") AS "spent" FROM "insured" AS "insured" GROUP BY "insured"."patient") AS "p" GROUP BY "p"."birth" // 10
--     -> x1 for s2: crosses as aggregate, about 20 rows and 400 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "decade", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST("x2"."p1v" AS DOUBLE) AS "mean" FROM "x2" AS "x2" ORDER BY "decade"
--
-- Result: decade INTEGER, persons BIGINT, mean DOUBLE

-- # Stays are first reduced to one row each
WITH a AS (SELECT patient, finess, stay, sum(price) AS price FROM acts GROUP BY patient, finess, stay)
SELECT s.region, avg(a.price) AS mean FROM stays s JOIN a USING (patient, finess, stay) GROUP BY s.region ORDER BY s.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."region" AS "g0", SUM("a"."price") AS "p0s", COUNT("a"."price") AS "p0n" FROM "stays" AS "s" JOIN (SELECT "acts"."patient" AS "patient", "acts"."finess" AS "finess", "acts"."stay" AS "stay", SUM("acts"."price") AS "price" FROM "acts" AS "acts" GROUP BY "acts"."patient", "acts"."finess", "acts"."stay") AS "a" ON "s"."patient" = "a"."patient" AND "s"."finess" = "a"."finess" AND "s"."stay" = "a"."stay" GROUP BY "s"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,400 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p0n") AS "p0n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST((CAST("x2"."p0s" AS DOUBLE) / CAST("x2"."p0n" AS DOUBLE)) AS DOUBLE) AS "mean" FROM "x2" AS "x2" ORDER BY "region"
--
-- Result: region VARCHAR, mean DOUBLE
