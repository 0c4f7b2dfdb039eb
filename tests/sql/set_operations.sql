-- Set operations: branches are cut on their own; UNION ALL of rows at the same nodes may stay there.

-- # UNION ALL of aggregates
SELECT 'stays' AS what, count(*) AS n FROM stays UNION ALL SELECT 'acts', count(*) FROM acts ORDER BY what;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "stays" AS "stays"
--     -> x1 for s2: crosses as aggregate, about 3 rows and 24 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "acts" AS "acts"
--     -> x3 for s4: crosses as aggregate, about 3 rows and 24 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT SUM("p0v") AS "p0v" FROM "x3" AS "x3"
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT 'stays' AS "what", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" UNION ALL SELECT 'acts' AS "acts", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "_col_1" FROM "x4" AS "x4" ORDER BY "what"
--
-- Result: what VARCHAR, n BIGINT

-- # UNION removes what is twice
SELECT ward FROM wards UNION SELECT ward FROM shifts ORDER BY ward;
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
--     SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" UNION SELECT "x2"."c0" AS "ward" FROM "x2" AS "x2" ORDER BY "ward"
--
-- Result: ward VARCHAR

-- # UNION ALL keeps it
SELECT ward FROM wards UNION ALL SELECT ward FROM shifts ORDER BY ward;
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
--     SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" UNION ALL SELECT "x2"."c0" AS "ward" FROM "x2" AS "x2" ORDER BY "ward"
--
-- Result: ward VARCHAR

-- # INTERSECT and EXCEPT
SELECT finess, ward FROM wards EXCEPT SELECT finess, ward FROM shifts ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "c0", "shifts"."ward" AS "c1" FROM "shifts" AS "shifts"
--     -> x2 for s3: crosses as rows, about 100 rows and 3,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" EXCEPT SELECT "x2"."c0" AS "finess", "x2"."c1" AS "ward" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR

-- # EXCEPT ALL and INTERSECT ALL
(SELECT ward FROM wards EXCEPT ALL SELECT DISTINCT ward FROM shifts) INTERSECT ALL SELECT ward FROM wards ORDER BY ward;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."ward" AS "g0" FROM "shifts" AS "shifts" GROUP BY "shifts"."ward"
--     -> x2 for s3: crosses as rows, about 60 rows and 960 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x1, x3
--     (SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" EXCEPT ALL SELECT "x3"."g0" AS "ward" FROM "x3" AS "x3") INTERSECT ALL SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" ORDER BY "ward"
--
-- Result: ward VARCHAR

-- # An aggregate over a UNION ALL at the same nodes
SELECT what, sum(n) AS n FROM (SELECT 'beds' AS what, beds AS n FROM wards UNION ALL SELECT 'nurses', nurses FROM shifts) GROUP BY what;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "_0"."what" AS "g0", SUM("_0"."n") AS "p0s" FROM (SELECT 'beds' AS "what", "wards"."beds" AS "n" FROM "wards" AS "wards" UNION ALL SELECT 'nurses' AS "nurses", "shifts"."nurses" AS "nurses" FROM "shifts" AS "shifts") AS "_0" GROUP BY "_0"."what"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,920 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "what", CAST("x2"."p0s" AS INT128) AS "n" FROM "x2" AS "x2"
--
-- Result: what VARCHAR, n HUGEINT

-- # An aggregate over a UNION ALL of different nodes
SELECT sum(n) AS n FROM (SELECT beds AS n FROM wards UNION ALL SELECT beds FROM hospitals UNION ALL SELECT 1 FROM calendar);
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s4: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals"
--     -> x2 for s4: crosses as rows, about 6 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at cnam
--     SELECT 1 AS "1" FROM "calendar" AS "calendar"
--     -> x3 for s4: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT SUM("_0"."n") AS "n" FROM (SELECT "x1"."c0" AS "n" FROM "x1" AS "x1" UNION ALL SELECT "x2"."beds" AS "beds" FROM "x2" AS "x2" UNION ALL SELECT "x3"."1" AS "1" FROM "x3" AS "x3") AS "_0"
--
-- Result: n HUGEINT

-- # An aggregate over a UNION
SELECT count(*) AS n FROM (SELECT ward FROM wards UNION SELECT ward FROM shifts);
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
--     SELECT COUNT(*) AS "n" FROM (SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" UNION SELECT "x2"."c0" AS "ward" FROM "x2" AS "x2") AS "_0"
--
-- Result: n BIGINT

-- # Parenthesised branches with LIMIT
(SELECT finess, ward FROM wards ORDER BY budget LIMIT 1) UNION ALL (SELECT finess, ward FROM wards ORDER BY budget DESC LIMIT 1);
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     (SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY "x1"."c2" LIMIT 1) UNION ALL (SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY "x1"."c2" DESC LIMIT 1)
--
-- Result: finess VARCHAR, ward VARCHAR

-- # LIMIT over a set operation
SELECT ward FROM wards UNION SELECT 'zz' ORDER BY ward DESC LIMIT 2;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" UNION SELECT 'zz' AS "zz" ORDER BY "ward" DESC LIMIT 2
--
-- Result: ward VARCHAR

-- # Types of the branches meet
SELECT beds AS x FROM wards UNION ALL SELECT load FROM wards UNION ALL SELECT budget FROM wards;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s4: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "wards"."load" AS "c0" FROM "wards" AS "wards"
--     -> x2 for s4: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."budget" AS "c0" FROM "wards" AS "wards"
--     -> x3 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT "x1"."c0" AS "x" FROM "x1" AS "x1" UNION ALL SELECT "x2"."c0" AS "load" FROM "x2" AS "x2" UNION ALL SELECT "x3"."c0" AS "budget" FROM "x3" AS "x3"
--
-- Result: x DOUBLE

-- # A UNION in WITH, joined
WITH u AS (SELECT finess FROM wards UNION SELECT target FROM transfers) SELECT u.finess, h.name FROM u LEFT JOIN hospitals h USING (finess) ORDER BY ALL;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "c0" FROM "transfers" AS "transfers"
--     -> x2 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at cnam
--     SELECT "h"."name" AS "name", "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x3 for s4: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT "u"."finess" AS "finess", "h"."name" AS "name" FROM (SELECT "x1"."c0" AS "finess" FROM "x1" AS "x1" UNION SELECT "x2"."c0" AS "target" FROM "x2" AS "x2") AS "u" LEFT JOIN "x3" AS "h" ON "u"."finess" = "h"."finess" ORDER BY ALL
--
-- Result: finess VARCHAR, name VARCHAR

-- # Aggregates of persons of two tables
WITH u AS (SELECT region, count(*) AS n FROM stays GROUP BY region UNION ALL SELECT region, count(*) FROM insured GROUP BY region)
SELECT region, sum(n) AS n FROM u GROUP BY region ORDER BY region;
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
--     SELECT "insured"."region" AS "g0", COUNT(*) AS "p0v" FROM "insured" AS "insured" GROUP BY "insured"."region"
--     -> x3 for s4: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "u"."region" AS "region", SUM("u"."n") AS "n" FROM (SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" UNION ALL SELECT "x4"."g0" AS "region", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "_col_1" FROM "x4" AS "x4") AS "u" GROUP BY "u"."region" ORDER BY "region"
--
-- Result: region VARCHAR, n HUGEINT
