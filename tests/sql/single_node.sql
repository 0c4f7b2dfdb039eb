-- Queries whose tables one node holds: over open tables any SQL runs there whole; persons' tables are cut all the same.

-- # A whole query at one node, with everything in it
WITH d AS (SELECT day, holiday, row_number() OVER (ORDER BY day) AS n FROM calendar)
SELECT holiday, list(n ORDER BY n) AS days, median(n) AS middle FROM d WHERE n > 1 GROUP BY holiday
HAVING count(*) > 1 ORDER BY holiday DESC LIMIT 5;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     WITH "d" AS (SELECT "calendar"."day" AS "day", "calendar"."holiday" AS "holiday", ROW_NUMBER() OVER (ORDER BY "calendar"."day") AS "n" FROM "calendar" AS "calendar") SELECT "d"."holiday" AS "holiday", ARRAY_AGG("d"."n" ORDER BY "d"."n") AS "days", MEDIAN("d"."n") AS "middle" FROM "d" AS "d" WHERE "d"."n" > 1 GROUP BY "d"."holiday" HAVING COUNT(*) > 1 ORDER BY "holiday" DESC LIMIT 5
--     -> x1 for s2: crosses as rows, about 1 rows and 17 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."holiday" AS "holiday", "x1"."days" AS "days", "x1"."middle" AS "middle" FROM "x1" AS "x1"
--
-- Result: holiday BOOLEAN, days BIGINT[], middle DOUBLE

-- # A table that every node has is read at one of them
SELECT name, beds FROM hospitals WHERE beds > 150 ORDER BY beds DESC, name LIMIT 2;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."name" AS "name", "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals" WHERE "hospitals"."beds" > 150 ORDER BY "beds" DESC, "name" LIMIT 2
--     -> x1 for s2: crosses as rows, about 2 rows and 40 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."name" AS "name", "x1"."beds" AS "beds" FROM "x1" AS "x1"
--
-- Result: name VARCHAR, beds INTEGER

-- # ... at the first that is attached
-- : away=cnam
SELECT region, sum(beds) AS beds FROM hospitals GROUP BY region;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT "hospitals"."region" AS "region", SUM("hospitals"."beds") AS "beds" FROM "hospitals" AS "hospitals" GROUP BY "hospitals"."region"
--     -> x1 for s2: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."region" AS "region", "x1"."beds" AS "beds" FROM (SELECT "x1"."region" AS "region", CAST("x1"."beds" AS INT128) AS "beds" FROM "x1" AS "x1") AS "x1"
--
-- Result: region VARCHAR, beds HUGEINT

-- # Star over a table
SELECT * FROM hospitals ORDER BY finess;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."name" AS "name", "hospitals"."region" AS "region", "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals" ORDER BY "hospitals"."finess"
--     -> x1 for s2: crosses as rows, about 6 rows and 312 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."finess" AS "finess", "x1"."name" AS "name", "x1"."region" AS "region", "x1"."beds" AS "beds" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, name VARCHAR, region VARCHAR, beds INTEGER

-- # Star with EXCLUDE and REPLACE
SELECT * EXCLUDE (region) REPLACE (beds + 1 AS beds) FROM hospitals ORDER BY finess;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."name" AS "name", "hospitals"."beds" + 1 AS "beds" FROM "hospitals" AS "hospitals" ORDER BY "hospitals"."finess"
--     -> x1 for s2: crosses as rows, about 6 rows and 216 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."finess" AS "finess", "x1"."name" AS "name", "x1"."beds" AS "beds" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, name VARCHAR, beds INTEGER

-- # A copy at the insurer joined with the insurer's own table
SELECT c.label, r.label FROM calendar c CROSS JOIN regions r WHERE c.holiday ORDER BY 1, 2;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "c"."label" AS "label", "r"."label" AS "c1" FROM "calendar" AS "c" CROSS JOIN "regions" AS "r" WHERE "c"."holiday" ORDER BY 1, 2
--     -> x1 for s2: crosses as rows, about 8 rows and 256 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."label" AS "label", "x1"."c1" AS "label" FROM "x1" AS "x1"
--
-- Result: label VARCHAR, label VARCHAR

-- # Duplicate output names
SELECT finess, finess, beds AS finess FROM hospitals ORDER BY 1, 3;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."finess" AS "c1", "hospitals"."beds" AS "c2" FROM "hospitals" AS "hospitals" ORDER BY 1, 3
--     -> x1 for s2: crosses as rows, about 6 rows and 216 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."finess" AS "finess", "x1"."c1" AS "finess", "x1"."c2" AS "finess" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, finess VARCHAR, finess INTEGER

-- # Outputs without names
SELECT beds + 1, upper(name), 'x', NULL FROM hospitals;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."beds" + 1 AS "_col_0", UPPER("hospitals"."name") AS "_col_1", 'x' AS "x", NULL AS "_col_3" FROM "hospitals" AS "hospitals"
--     -> x1 for s2: crosses as rows, about 6 rows and 240 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."_col_0" AS "_col_0", "x1"."_col_1" AS "_col_1", "x1"."x" AS "x", "x1"."_col_3" AS "_col_3" FROM "x1" AS "x1"
--
-- Result: (beds + 1) INTEGER, upper("name") VARCHAR, 'x' VARCHAR, NULL INTEGER

-- # No table at all
SELECT 1 AS one, 'a' || 'b' AS ab, DATE '2023-01-31' + INTERVAL 1 MONTH AS next, [1, 2] AS numbers;
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     SELECT 1 AS "one", 'a' || 'b' AS "ab", CAST('2023-01-31' AS DATE) + INTERVAL '1' MONTH AS "next", [1, 2] AS "numbers"
--
-- Result: one INTEGER, ab VARCHAR, next TIMESTAMP, numbers INTEGER[]

-- # VALUES
SELECT a, b FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b) ORDER BY a;
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     SELECT "v"."a" AS "a", "v"."b" AS "b" FROM (VALUES (1, 'x'), (2, 'y')) AS "v"("a", "b") ORDER BY "a"
--
-- Result: a INTEGER, b VARCHAR

-- # A recursive query over no table
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, i * i AS square FROM n ORDER BY i;
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     WITH RECURSIVE "n" AS (SELECT 1 AS "i" UNION ALL SELECT "n"."i" + 1 AS "_col_0" FROM "n" AS "n" WHERE "n"."i" < 5) SELECT "n"."i" AS "i", "n"."i" * "n"."i" AS "square" FROM "n" AS "n" ORDER BY "i"
--
-- Result: i INTEGER, square INTEGER

-- # A recursive query over one node's table
WITH RECURSIVE d AS (
  SELECT min(day) AS day, 0 AS n FROM calendar
  UNION ALL SELECT c.day, d.n + 1 FROM d JOIN calendar c ON c.day = d.day + 1
)
SELECT max(n) AS length FROM d;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     WITH RECURSIVE "d" AS (SELECT MIN("calendar"."day") AS "day", 0 AS "n" FROM "calendar" AS "calendar" UNION ALL SELECT "c"."day" AS "day", "d"."n" + 1 AS "_col_1" FROM "d" AS "d" JOIN "calendar" AS "c" ON "c"."day" = "d"."day" + 1) SELECT MAX("d"."n") AS "length" FROM "d" AS "d"
--     -> x1 for s2: crosses as rows, about 1 rows and 4 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."length" AS "length" FROM "x1" AS "x1"
--
-- Result: length INTEGER

-- # Persons of one node, with HAVING, ORDER BY, LIMIT and a window above what left
SELECT region, count(DISTINCT patient) AS persons, avg(spent) AS mean,
       rank() OVER (ORDER BY count(DISTINCT patient) DESC, region) AS place
FROM insured WHERE covered GROUP BY region HAVING count(*) > 20 ORDER BY place LIMIT 2;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "insured"."region" AS "g0", COUNT(DISTINCT "insured"."patient") AS "p0v", AVG("insured"."spent") AS "p1v", COUNT(*) AS "p2v" FROM "insured" AS "insured" WHERE "insured"."covered" GROUP BY "insured"."region"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 800 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v", ANY_VALUE("p2v") AS "p2v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons", CAST("x2"."p1v" AS DOUBLE) AS "mean", RANK() OVER (ORDER BY CAST(COALESCE("x2"."p0v", 0) AS BIGINT) DESC, "x2"."g0") AS "place" FROM "x2" AS "x2" WHERE CAST(COALESCE("x2"."p2v", 0) AS BIGINT) > 20 ORDER BY "place" LIMIT 2
--
-- Result: region VARCHAR, persons BIGINT, mean DOUBLE, place BIGINT

-- # Persons of one node per decade of birth, from a derived table
SELECT decade, count(*) AS n FROM (SELECT patient, birth // 10 * 10 AS decade FROM insured) t GROUP BY decade ORDER BY decade;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "t"."decade" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "insured"."patient" AS "patient", "insured"."birth" // 10 * 10 AS "decade" FROM "insured" AS "insured") AS "t" GROUP BY "t"."decade"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 240 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "decade", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "decade"
--
-- Result: decade INTEGER, n BIGINT

-- # Persons of one node joined with a copy of reference data
SELECT r.label, sum(i.spent) AS spent FROM insured i JOIN regions r USING (region) GROUP BY r.label ORDER BY r.label;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "r"."label" AS "g0", SUM("i"."spent") AS "p0v" FROM "insured" AS "i" JOIN "regions" AS "r" ON "i"."region" = "r"."region" GROUP BY "r"."label"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 640 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "label", CAST("x2"."p0v" AS DECIMAL(38, 2)) AS "spent" FROM "x2" AS "x2" ORDER BY "label"
--
-- Result: label VARCHAR, spent DECIMAL(38,2)

-- # Windows over one node's rows
SELECT day, lag(label) OVER (ORDER BY day) AS before, sum(1) OVER (PARTITION BY holiday ORDER BY day) AS n
FROM calendar ORDER BY day;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day", LAG("calendar"."label") OVER (ORDER BY "calendar"."day") AS "before", SUM(1) OVER (PARTITION BY "calendar"."holiday" ORDER BY "calendar"."day") AS "n" FROM "calendar" AS "calendar" ORDER BY "day"
--     -> x1 for s2: crosses as rows, about 8 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."day" AS "day", "x1"."before" AS "before", "x1"."n" AS "n" FROM (SELECT "x1"."day" AS "day", "x1"."before" AS "before", CAST("x1"."n" AS INT128) AS "n" FROM "x1" AS "x1") AS "x1"
--
-- Result: day DATE, before VARCHAR, n HUGEINT

-- # A sample of SQL that only the engine knows
SELECT label, day::VARCHAR AS text, day BETWEEN '2023-03-02' AND '2023-03-05' AS inside, label LIKE 'day%' AS l,
       label ~ '[0-3]$' AS m, strftime(day, '%Y/%m') AS month, holiday IS NOT TRUE AS h
FROM calendar ORDER BY ALL;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."label" AS "label", CAST("calendar"."day" AS TEXT) AS "text", "calendar"."day" BETWEEN '2023-03-02' AND '2023-03-05' AS "inside", "calendar"."label" LIKE 'day%' AS "l", REGEXP_FULL_MATCH("calendar"."label", '[0-3]$') AS "m", STRFTIME("calendar"."day", '%Y/%m') AS "month", NOT "calendar"."holiday" IS TRUE AS "h" FROM "calendar" AS "calendar" ORDER BY ALL
--     -> x1 for s2: crosses as rows, about 8 rows and 416 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."label" AS "label", "x1"."text" AS "text", "x1"."inside" AS "inside", "x1"."l" AS "l", "x1"."m" AS "m", "x1"."month" AS "month", "x1"."h" AS "h" FROM "x1" AS "x1"
--
-- Result: label VARCHAR, text VARCHAR, inside BOOLEAN, l BOOLEAN, m BOOLEAN, month VARCHAR, h BOOLEAN

-- # A series of numbers
SELECT sum(r.range) AS s FROM range(10) r;
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     SELECT SUM("r"."range") AS "s" FROM RANGE(0, 10) AS "r"
--
-- Result: s HUGEINT

-- # A series joined with open rows
SELECT w.ward, g.n FROM wards w JOIN (SELECT generate_series AS n FROM generate_series(1, 3)) g ON g.n = w.beds % 4 ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "c0", "g"."n" AS "c1" FROM "wards" AS "w" JOIN (SELECT "_0"."generate_series" AS "n" FROM GENERATE_SERIES(1, 3) AS "_0") AS "g" ON "g"."n" = "w"."beds" % 4
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "n" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, n BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 900 bytes: it moves more bytes
