-- Exchanges between nodes: rows of several nodes are brought together where that takes the fewest bytes over borders,
-- and where the holders' policies and the permit allow it. The holders of this world let rows go to each other.

-- # A join of the insurer's table with the hospitals' runs at the nodes that get the smaller side
SELECT c.holiday, sum(s.nurses) AS nurses FROM shifts s JOIN calendar c ON c.day = s.day GROUP BY c.holiday;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "c"."holiday" AS "holiday", "c"."day" AS "day" FROM "calendar" AS "c"
--     -> x1 for s2: sealed, crosses as rows, about 8 rows and 40 bytes; allowed by: tables that are not protected: rows may go to this node
--        each of 'lille', 'lyon', 'nantes' learns holiday, day of rows of 'cnam' that are not about persons.
--
-- s2 node at lille, lyon, nantes, over x1
--     SELECT "c"."holiday" AS "g0", SUM("s"."nurses") AS "p0s" FROM "shifts" AS "s", (SELECT "r"."holiday" AS "holiday", "r"."day" AS "day" FROM "x1" AS "r") AS "c" WHERE "c"."day" = "s"."day" GROUP BY "c"."holiday"
--     -> x2 for s3: crosses as rows, about 60 rows and 1,020 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "holiday", CAST("x3"."p0s" AS INT128) AS "nurses" FROM "x3" AS "x3"
--
-- Result: holiday BOOLEAN, nurses HUGEINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping shifts from lyon, nantes; calendar from cnam, about 360 bytes: it moves more bytes
-- Not taken: run at cnam, shipping shifts from lille, lyon, nantes, about 480 bytes: it moves more bytes
-- Not taken: bring the rows together at the coordinator, about 840 bytes: it moves more bytes

-- # Persons of two holders are joined under pseudonyms at the holder whom the others' policies name
SELECT i.covered, count(*) AS n FROM insured i JOIN stays s ON s.patient = i.patient GROUP BY i.covered;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."patient" AS "patient" FROM "stays" AS "s"
--     -> x1 for s2: sealed, crosses as rows, about 1,440 rows and 11,520 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'cnam' learns patient of every person whom the statement leaves at each of 'lille', 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at cnam, over x1
--     SELECT "i"."covered" AS "g0", COUNT(*) AS "p0v" FROM "insured" AS "i", (SELECT "r"."patient" AS "patient" FROM "x1" AS "r") AS "s" WHERE "s"."patient" = "i"."patient" GROUP BY "i"."covered"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 180 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "covered", CAST(COALESCE("x3"."p0v", 0) AS BIGINT) AS "n" FROM "x3" AS "x3"
--
-- Result: covered BOOLEAN, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping insured from cnam, about 11,340 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping insured from cnam; stays from lyon, nantes, about 11,460 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lyon, shipping insured from cnam; stays from lille, nantes, about 11,460 bytes: 'cnam' would have to send rows of 'insured' to 'lyon', and the holder's policy does not let them go there.

-- # Distinct persons over all hospitals are counted at one holder
SELECT year, count(DISTINCT patient) AS persons FROM stays GROUP BY year;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT DISTINCT "stays"."year" AS "year", "stays"."patient" AS "patient" FROM "stays" AS "stays"
--     -> x1 for s2: sealed, crosses as rows, about 960 rows and 11,520 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'lille' learns year, patient of every person whom the statement leaves at each of 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at lille, over x1
--     SELECT "stays"."year" AS "g0", COUNT(DISTINCT "stays"."patient") AS "p0v" FROM (SELECT "stays"."year" AS "year", "stays"."patient" AS "patient" FROM "stays" AS "stays" UNION ALL SELECT "r"."year" AS "year", "r"."patient" AS "patient" FROM "x1" AS "r") AS "stays" GROUP BY "stays"."year"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 240 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "year", CAST(COALESCE("x3"."p0v", 0) AS BIGINT) AS "persons" FROM "x3" AS "x3"
--
-- Result: year INTEGER, persons BIGINT
-- Not pushed down: count(DISTINCT ...) cannot be split over several nodes yet: its values may be at several nodes, and the same one must count once.
-- Not taken: run at lyon, shipping stays from lille, nantes, about 11,520 bytes: it moves more bytes

-- # What stands above the groups stays at the coordinator
SELECT i.region, avg(s.days) AS days, rank() OVER (ORDER BY count(*) DESC) AS place
FROM insured i JOIN stays s ON s.patient = i.patient
GROUP BY i.region HAVING count(*) > 20 ORDER BY place, i.region LIMIT 2;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."days" AS "days", "s"."patient" AS "patient" FROM "stays" AS "s"
--     -> x1 for s2: sealed, crosses as rows, about 1,440 rows and 17,280 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'cnam' learns days, patient of every person whom the statement leaves at each of 'lille', 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at cnam, over x1
--     SELECT "i"."region" AS "g0", AVG("s"."days") AS "p0v", COUNT(*) AS "p1v" FROM "insured" AS "i", (SELECT "r"."days" AS "days", "r"."patient" AS "patient" FROM "x1" AS "r") AS "s" WHERE "s"."patient" = "i"."patient" GROUP BY "i"."region"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 640 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v", ANY_VALUE("p1v") AS "p1v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "region", CAST("x3"."p0v" AS DOUBLE) AS "days", RANK() OVER (ORDER BY CAST(COALESCE("x3"."p1v", 0) AS BIGINT) DESC) AS "place" FROM "x3" AS "x3" WHERE CAST(COALESCE("x3"."p1v", 0) AS BIGINT) > 20 ORDER BY "place", "region" LIMIT 2
--
-- Result: region VARCHAR, days DOUBLE, place BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping insured from cnam; stays from lyon, nantes, about 21,600 bytes: it moves more bytes
-- Not taken: run at lyon, shipping insured from cnam; stays from lille, nantes, about 21,600 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping insured from cnam, about 30,240 bytes: it moves more bytes

-- # A person's stays at several hospitals, each person once
SELECT t.n, count(*) AS persons FROM (SELECT patient, count(*) AS n FROM stays GROUP BY patient) t GROUP BY t.n;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT "stays"."patient" AS "patient" FROM "stays" AS "stays"
--     -> x1 for s2: sealed, crosses as rows, about 960 rows and 7,680 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'lille' learns patient of every person whom the statement leaves at each of 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at lille, over x1
--     SELECT "t"."n" AS "g0", COUNT(*) AS "p0v" FROM (SELECT "stays"."patient" AS "patient", COUNT(*) AS "n" FROM (SELECT "stays"."patient" AS "patient" FROM "stays" AS "stays" UNION ALL SELECT "r"."patient" AS "patient" FROM "x1" AS "r") AS "stays" GROUP BY "stays"."patient") AS "t" GROUP BY "t"."n"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 320 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "n", CAST(COALESCE("x3"."p0v", 0) AS BIGINT) AS "persons" FROM "x3" AS "x3"
--
-- Result: n BIGINT, persons BIGINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lyon, shipping stays from lille, nantes, about 7,680 bytes: it moves more bytes

-- # Three tables of persons at two kinds of holders
SELECT i.covered, sum(a.price) AS price
FROM insured i JOIN stays s ON s.patient = i.patient JOIN acts a ON a.finess = s.finess AND a.stay = s.stay
AND a.patient = s.patient GROUP BY i.covered;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "a"."price" AS "price", "s"."patient" AS "patient" FROM "stays" AS "s", "acts" AS "a" WHERE "a"."finess" = "s"."finess" AND "a"."stay" = "s"."stay" AND "a"."patient" = "s"."patient"
--     -> x1 for s2: sealed, crosses as rows, about 2,160 rows and 51,840 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'cnam' learns price, patient of every person whom the statement leaves at each of 'lille', 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at cnam, over x1
--     SELECT "i"."covered" AS "g0", SUM("s"."price") AS "p0v" FROM "insured" AS "i", (SELECT "r"."price" AS "price", "r"."patient" AS "patient" FROM "x1" AS "r") AS "s" WHERE "s"."patient" = "i"."patient" GROUP BY "i"."covered"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 340 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "covered", CAST("x3"."p0v" AS DECIMAL(38, 2)) AS "price" FROM "x3" AS "x3"
--
-- Result: covered BOOLEAN, price DECIMAL(38,2)
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping insured from cnam, about 11,340 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping insured from cnam; acts, stays from lyon, nantes, about 38,340 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lyon, shipping insured from cnam; acts, stays from lille, nantes, about 38,340 bytes: 'cnam' would have to send rows of 'insured' to 'lyon', and the holder's policy does not let them go there.

-- # Persons of one holder whom no other knows: an anti-join at the holder
SELECT i.region, count(*) AS n FROM insured i
WHERE NOT EXISTS (SELECT 1 FROM stays s WHERE s.patient = i.patient) GROUP BY i.region;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT DISTINCT "s"."patient" AS "patient" FROM "stays" AS "s"
--     -> x1 for s2: sealed, crosses as rows, about 1,440 rows and 11,520 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'cnam' learns patient of every person whom the statement leaves at each of 'lille', 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at cnam, over x1
--     SELECT "i"."region" AS "g0", COUNT(*) AS "p0v" FROM "insured" AS "i" WHERE NOT EXISTS(SELECT 1 AS "1" FROM (SELECT "r"."patient" AS "patient" FROM "x1" AS "r") AS "s" WHERE "s"."patient" = "i"."patient") GROUP BY "i"."region"
--     -> x2 for s3: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "region", CAST(COALESCE("x3"."p0v", 0) AS BIGINT) AS "n" FROM "x3" AS "x3"
--
-- Result: region VARCHAR, n BIGINT
-- Not pushed down: A subquery may need rows of other nodes than the row that it is asked for.
-- Not taken: run at lille, shipping insured from cnam; stays from lyon, nantes, about 17,760 bytes: it moves more bytes
-- Not taken: run at lyon, shipping insured from cnam; stays from lille, nantes, about 17,760 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping insured from cnam, about 30,240 bytes: it moves more bytes

-- # A median over the rows of three hospitals, at one of them
SELECT kind, median(beds) AS m FROM wards GROUP BY kind;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "kind", "wards"."beds" AS "beds", CAST(CASE WHEN "wards"."kind" IS NULL THEN 0 ELSE HASH(CAST("wards"."kind" AS TEXT), 3) % 3 END AS UINTEGER) AS "hash_of_kind" FROM "wards" AS "wards"
--     -> x1 for s2: sealed, crosses as rows cut by hash_of_kind, about 25 rows and 334 bytes; allowed by: tables that are not protected: rows may go to this node
--        each of 'lille', 'lyon', 'nantes' learns kind, beds of rows of each of 'lille', 'lyon', 'nantes' that are not about persons.
--
-- s2 node at lille, lyon, nantes, over x1
--     SELECT "wards"."kind" AS "g0", MEDIAN("wards"."beds") AS "p0v" FROM (SELECT "r"."kind" AS "kind", "r"."beds" AS "beds" FROM "x1" AS "r") AS "wards" GROUP BY "wards"."kind"
--     -> x2 for s3: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p0v") END AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "kind", CAST("x3"."p0v" AS DOUBLE) AS "m" FROM "x3" AS "x3"
--
-- Result: kind VARCHAR, m DOUBLE
-- Not taken: bring the values to the coordinator, about 700 bytes: it moves more bytes

-- # Windows over rows of several nodes
SELECT finess, ward, day, sum(nurses) OVER (PARTITION BY ward ORDER BY finess, day) AS running
FROM shifts WHERE nurses > 6 ORDER BY finess, ward, day;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day", "shifts"."nurses" AS "nurses" FROM "shifts" AS "shifts" WHERE "shifts"."nurses" > 6
--     -> x1 for s2: sealed, crosses as rows, about 18 rows and 720 bytes; allowed by: tables that are not protected: rows may go to this node
--        'lille' learns finess, ward, day, nurses of rows of each of 'lyon', 'nantes' that are not about persons.
--
-- s2 node at lille, over x1
--     SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day", SUM("shifts"."nurses") OVER (PARTITION BY "shifts"."ward" ORDER BY "shifts"."finess", "shifts"."day") AS "running" FROM (SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day", "shifts"."nurses" AS "nurses" FROM "shifts" AS "shifts" WHERE "shifts"."nurses" > 6 UNION ALL SELECT "r"."finess" AS "finess", "r"."ward" AS "ward", "r"."day" AS "day", "r"."nurses" AS "nurses" FROM "x1" AS "r") AS "shifts" ORDER BY "finess", "ward", "day"
--     -> x2 for s3: crosses as rows, about 30 rows and 1,560 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."finess" AS "finess", "x2"."ward" AS "ward", "x2"."day" AS "day", "x2"."running" AS "running" FROM (SELECT "x2"."finess" AS "finess", "x2"."ward" AS "ward", "x2"."day" AS "day", CAST("x2"."running" AS INT128) AS "running" FROM "x2" AS "x2") AS "x2"
--
-- Result: finess VARCHAR, ward VARCHAR, day DATE, running HUGEINT
-- Not taken: bring the rows together at the coordinator, about 1,200 bytes: it moves more bytes

-- # A left join that keeps rows of a table that is at one node
SELECT c.label, count(s.ward) AS n FROM calendar c LEFT JOIN shifts s ON s.day = c.day AND s.nurses > 5 GROUP BY c.label;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."day" AS "day", COUNT("s"."ward") AS "a0" FROM "shifts" AS "s" WHERE "s"."nurses" > 5 GROUP BY "s"."day"
--     -> x1 for s2: sealed, crosses as rows, about 24 rows and 480 bytes; allowed by: tables that are not protected: rows may go to this node
--        'cnam' learns day, a0 of rows of each of 'lille', 'lyon', 'nantes' that are not about persons.
--
-- s2 node at cnam, over x1
--     SELECT "c"."label" AS "label", CAST(COALESCE(SUM("s"."a0"), 0) AS BIGINT) AS "n" FROM "calendar" AS "c" LEFT JOIN (SELECT "r"."day" AS "day", "r"."a0" AS "a0" FROM "x1" AS "r") AS "s" ON "s"."day" = "c"."day" GROUP BY "c"."label"
--     -> x2 for s3: crosses as rows, about 20 rows and 480 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."label" AS "label", "x2"."n" AS "n" FROM "x2" AS "x2"
--
-- Result: label VARCHAR, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping shifts from lyon, nantes; calendar from cnam, about 480 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 480 bytes: it moves more bytes
-- Not taken: bring the rows together at the coordinator, about 760 bytes: it moves more bytes

-- # Only distinct keys may go to another node
SELECT w.kind, count(*) AS n FROM wards w WHERE w.ward IN (SELECT r.ward FROM referrals r) GROUP BY w.kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "r"."ward" AS "c0" FROM "referrals" AS "r"
--     -> x1 for s2: crosses as rows, about 35 rows and 560 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" WHERE "w"."ward" IN (SELECT "x2"."ward" AS "ward" FROM "x2" AS "x2") GROUP BY "w"."kind"
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
-- Not taken: run at lille, shipping referrals from lyon, nantes, about 896 bytes: it moves more bytes

-- # A recursive query over rows of several nodes
WITH RECURSIVE reach AS (
  SELECT origin, target FROM transfers WHERE patients > 4
  UNION SELECT r.origin, t.target FROM reach r JOIN transfers t ON t.origin = r.target WHERE t.patients > 4)
SELECT origin, count(*) AS n FROM reach GROUP BY origin ORDER BY origin;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT "transfers"."origin" AS "origin", "transfers"."target" AS "target", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers"
--     -> x1 for s2: sealed, crosses as rows, about 15 rows and 540 bytes; allowed by: tables that are not protected: rows may go to this node
--        'lille' learns origin, target, patients of rows of each of 'lyon', 'nantes' that are not about persons.
--
-- s2 node at lille, over x1
--     WITH RECURSIVE "reach" AS (SELECT "transfers"."origin" AS "origin", "transfers"."target" AS "target" FROM (SELECT "transfers"."origin" AS "origin", "transfers"."target" AS "target", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers" UNION ALL SELECT "r"."origin" AS "origin", "r"."target" AS "target", "r"."patients" AS "patients" FROM "x1" AS "r") AS "transfers" WHERE "transfers"."patients" > 4 UNION SELECT "r"."origin" AS "origin", "t"."target" AS "target" FROM "reach" AS "r" JOIN (SELECT "t"."target" AS "target", "t"."origin" AS "origin", "t"."patients" AS "patients" FROM "transfers" AS "t" UNION ALL SELECT "r"."target" AS "target", "r"."origin" AS "origin", "r"."patients" AS "patients" FROM "x1" AS "r") AS "t" ON "t"."origin" = "r"."target" WHERE "t"."patients" > 4) SELECT "reach"."origin" AS "origin", COUNT(*) AS "n" FROM "reach" AS "reach" GROUP BY "reach"."origin" ORDER BY "origin"
--     -> x2 for s3: crosses as rows, about 1 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."origin" AS "origin", "x2"."n" AS "n" FROM "x2" AS "x2"
--
-- Result: origin VARCHAR, n BIGINT
-- Not taken: bring the rows together at the coordinator, about 900 bytes: it moves more bytes

-- # Two tables of persons that are joined by something else than persons
SELECT i.region, count(*) AS n FROM insured i JOIN stays s ON s.region = i.region GROUP BY i.region;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."patient" AS "patient", "s"."region" AS "region" FROM "stays" AS "s"
--     -> x1 for s2: sealed, crosses as rows, about 1,440 rows and 34,560 bytes; allowed by: protected tables: rows of persons under project pseudonyms may go to this node
--        'cnam' learns patient, region of every person whom the statement leaves at each of 'lille', 'lyon', 'nantes', also of those whom it does not have itself, who are pseudonyms of this project to it.
--        The coordinator learns who sends to whom, and the padded size.
--
-- s2 node at cnam, over x1
--     SELECT "i"."region" AS "g0", COUNT(*) AS "p0v" FROM "insured" AS "i", (SELECT "r"."patient" AS "patient", "r"."region" AS "region" FROM "x1" AS "r") AS "s" WHERE "s"."region" = "i"."region" GROUP BY "i"."region"
--     -> x2 for s3: crosses as aggregate, about 420 rows and 10,080 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s3 merge at the coordinator, over x2
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x2" AS "x2" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x3 for s4: stays at the coordinator
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."g0" AS "region", CAST(COALESCE("x3"."p0v", 0) AS BIGINT) AS "n" FROM "x3" AS "x3"
--
-- Result: region VARCHAR, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping insured from cnam, about 30,240 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping insured from cnam; stays from lyon, nantes, about 33,120 bytes: 'cnam' would have to send rows of 'insured' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lyon, shipping insured from cnam; stays from lille, nantes, about 33,120 bytes: 'cnam' would have to send rows of 'insured' to 'lyon', and the holder's policy does not let them go there.

-- # What a copied table says of a key is looked up where sums by the key have met
SELECT h.finess, h.name, h.region, sum(t.patients) AS n FROM transfers t JOIN hospitals h ON h.finess = t.target GROUP BY h.finess, h.name, h.region ORDER BY n DESC, h.finess LIMIT 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT "t"."target" AS "target", SUM("t"."patients") AS "a0" FROM "transfers" AS "t" GROUP BY "t"."target"
--     -> x1 for s2: sealed, crosses as rows, about 12 rows and 384 bytes; allowed by: tables that are not protected: rows may go to this node
--        'lille' learns target, a0 of rows of each of 'lyon', 'nantes' that are not about persons.
--
-- s2 node at lille, over x1
--     SELECT "h"."finess" AS "finess", "h"."name" AS "name", "h"."region" AS "region", SUM("t"."a0") AS "n" FROM (SELECT "t"."target" AS "target", SUM("t"."patients") AS "a0" FROM "transfers" AS "t" GROUP BY "t"."target" UNION ALL SELECT "r"."target" AS "target", "r"."a0" AS "a0" FROM (SELECT "x1"."target" AS "target", CAST("x1"."a0" AS INT128) AS "a0" FROM "x1" AS "x1") AS "r") AS "t", "hospitals" AS "h" WHERE "h"."finess" = "t"."target" GROUP BY "h"."finess", "h"."name", "h"."region" ORDER BY "n" DESC, "finess" LIMIT 2
--     -> x2 for s3: crosses as rows, about 2 rows and 128 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."finess" AS "finess", "x2"."name" AS "name", "x2"."region" AS "region", "x2"."n" AS "n" FROM (SELECT "x2"."finess" AS "finess", "x2"."name" AS "name", "x2"."region" AS "region", CAST("x2"."n" AS INT128) AS "n" FROM "x2" AS "x2") AS "x2"
--
-- Result: finess VARCHAR, name VARCHAR, region VARCHAR, n HUGEINT
-- Not taken: aggregate at every node, and merge at the coordinator, about 1,600 bytes: it moves more bytes
