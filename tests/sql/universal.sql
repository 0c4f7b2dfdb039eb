-- The plan of last resort: rows that may move come to the coordinator, where the query runs as it was written.

-- # A correlated subquery over other hospitals
SELECT w.ward, (SELECT max(t.patients) FROM transfers t WHERE t.target = w.finess) AS most FROM wards w ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."finess" AS "finess" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "patients", "t"."target" AS "target" FROM "transfers" AS "t"
--     -> x2 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."ward" AS "ward", (SELECT MAX("t"."patients") AS "_col_0" FROM "x2" AS "t" WHERE "t"."target" = "w"."finess") AS "most" FROM "x1" AS "w" ORDER BY ALL
--
-- Result: ward VARCHAR, most INTEGER
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 1,380 bytes: it moves more bytes

-- # EXISTS and NOT EXISTS over two holders
SELECT w.finess, w.ward FROM wards w
WHERE EXISTS (SELECT 1 FROM transfers t WHERE t.target = w.finess AND t.patients > w.flags)
  AND NOT EXISTS (FROM calendar c WHERE c.day = w.opened)
ORDER BY ALL;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward", "w"."flags" AS "flags", "w"."opened" AS "opened" FROM "wards" AS "w"
--     -> x1 for s4: crosses as rows, about 25 rows and 1,100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."target" AS "target", "t"."patients" AS "patients" FROM "transfers" AS "t"
--     -> x2 for s4: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at cnam
--     SELECT "c"."day" AS "day" FROM "calendar" AS "c"
--     -> x3 for s4: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward" FROM "x1" AS "w" WHERE EXISTS(SELECT 1 AS "1" FROM "x2" AS "t" WHERE "t"."target" = "w"."finess" AND "t"."patients" > "w"."flags") AND NOT EXISTS(SELECT 1 AS "c0" FROM "x3" AS "c" WHERE "c"."day" = "w"."opened") ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not pushed down: A subquery may need rows of other nodes than the row that it is asked for.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 320 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes; calendar from cnam, about 1,216 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes; transfers from lille, lyon, nantes, about 1,824 bytes: it moves more bytes

-- # NOT IN with NULL among the values
SELECT w.ward FROM wards w WHERE beds NOT IN (SELECT nurses FROM shifts);
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."nurses" AS "c0" FROM "shifts" AS "shifts"
--     -> x1 for s2: crosses as rows, about 100 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "nurses" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "w"."ward" AS "c0" FROM "wards" AS "w" WHERE NOT "w"."beds" IN (SELECT "x2"."nurses" AS "nurses" FROM "x2" AS "x2")
--     -> x3 for s4: crosses as rows, about 13 rows and 208 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x3
--     SELECT "x3"."c0" AS "ward" FROM "x3" AS "x3"
--
-- Result: ward VARCHAR
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 640 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 668 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # NOT IN without NULL
SELECT DISTINCT w.ward FROM wards w WHERE beds NOT IN (SELECT nurses FROM shifts WHERE nurses IS NOT NULL) ORDER BY 1;
-- Plan with 5 stages at 3 nodes and the coordinator
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
--     SELECT "w"."ward" AS "g0" FROM "wards" AS "w" WHERE NOT "w"."beds" IN (SELECT "x2"."nurses" AS "nurses" FROM "x2" AS "x2") GROUP BY "w"."ward"
--     -> x3 for s4: crosses as rows, about 13 rows and 208 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "ward" FROM "x4" AS "x4" ORDER BY "ward"
--
-- Result: ward VARCHAR
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 576 bytes: it moves more bytes

-- # ANY and ALL
SELECT w.ward, w.ward = ANY (SELECT s.ward FROM shifts s WHERE s.finess <> w.finess) AS elsewhere, w.beds > ANY ([1, 20]) AS some,
  w.beds >= ALL (SELECT b.beds FROM wards b WHERE b.kind = w.kind) AS largest
FROM wards w ORDER BY ALL;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."finess" AS "finess", "w"."beds" AS "beds", "w"."kind" AS "kind" FROM "wards" AS "w"
--     -> x1 for s4: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "s"."ward" AS "ward", "s"."finess" AS "finess" FROM "shifts" AS "s"
--     -> x2 for s4: crosses as rows, about 100 rows and 3,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at lille, lyon, nantes
--     SELECT "b"."beds" AS "beds", "b"."kind" AS "kind" FROM "wards" AS "b"
--     -> x3 for s4: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT "w"."ward" AS "ward", "w"."ward" = ANY (SELECT "s"."ward" AS "ward" FROM "x2" AS "s" WHERE "s"."finess" <> "w"."finess") AS "elsewhere", "w"."beds" > ANY([1, 20]) AS "some", "w"."beds" >= ALL (SELECT "b"."beds" AS "beds" FROM "x3" AS "b" WHERE "b"."kind" = "w"."kind") AS "largest" FROM "x1" AS "w" ORDER BY ALL
--
-- Result: ward VARCHAR, elsewhere BOOLEAN, some BOOLEAN, largest BOOLEAN
-- Not pushed down: A subquery may need rows of other nodes than the row that it is asked for.
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 3,700 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A subquery that gives two columns
SELECT w.ward FROM wards w WHERE (w.finess, w.ward) IN (SELECT (s.finess, s.ward) FROM shifts s GROUP BY ALL HAVING count(*) > 3) ORDER BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."finess" AS "finess" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "s"."finess" AS "c0", "s"."ward" AS "c1" FROM "shifts" AS "s"
--     -> x2 for s3: crosses as rows, about 100 rows and 3,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."ward" AS "ward" FROM "x1" AS "w" WHERE ("w"."finess", "w"."ward") IN (SELECT ("x2"."c0", "x2"."c1") AS "_col_0" FROM "x2" AS "x2" GROUP BY ALL HAVING COUNT(*) > 3) ORDER BY "ward"
--
-- Result: ward VARCHAR
-- Not pushed down: A column is of a type that cannot be handed from one stage to another.
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 1,920 bytes: 'lyon' would have to send rows of 'shifts' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 2,608 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # LATERAL over rows of other nodes
SELECT w.finess, w.ward, q.day, q.nurses
FROM wards w JOIN LATERAL (SELECT * FROM shifts s WHERE s.ward = w.ward ORDER BY s.nurses DESC NULLS LAST, s.day, s.finess LIMIT 1) q ON TRUE
ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day", "shifts"."nurses" AS "nurses", "shifts"."note" AS "note", "shifts"."hours" AS "hours" FROM "shifts" AS "shifts"
--     -> x2 for s3: crosses as rows, about 100 rows and 6,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT w.finess, w.ward, q.day, q.nurses FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward" FROM "x1" AS "x1") AS w JOIN LATERAL (SELECT * FROM (SELECT "x2"."finess" AS "finess", "x2"."ward" AS "ward", "x2"."day" AS "day", "x2"."nurses" AS "nurses", "x2"."note" AS "note", "x2"."hours" AS "hours" FROM "x2" AS "x2") AS s WHERE s.ward = w.ward ORDER BY s.nurses DESC, s.day, s.finess LIMIT 1) AS q ON TRUE ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, day DATE, nurses INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct LATERAL is not among those that may run at a node.

-- # LATERAL that keeps rows without a match
SELECT c.day, x.most FROM calendar c LEFT JOIN LATERAL (SELECT max(t.patients) AS most FROM transfers t WHERE t.day = c.day HAVING count(*) > 4) x ON TRUE ORDER BY 1;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day" FROM "calendar" AS "calendar"
--     -> x1 for s3: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."day" AS "day", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers"
--     -> x2 for s3: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT c.day, x.most FROM (SELECT "x1"."day" AS "day" FROM "x1" AS "x1") AS c LEFT JOIN LATERAL (SELECT MAX(t.patients) AS most FROM (SELECT "x2"."day" AS "day", "x2"."patients" AS "patients" FROM "x2" AS "x2") AS t WHERE t.day = c.day HAVING COUNT(*) > 4) AS x ON TRUE ORDER BY 1
--
-- Result: day DATE, most INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct LATERAL is not among those that may run at a node.

-- # INTERSECT ALL and EXCEPT ALL
SELECT ward FROM wards EXCEPT ALL SELECT ward FROM shifts WHERE day = '2023-03-01' INTERSECT ALL SELECT ward FROM wards ORDER BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."ward" AS "c0" FROM "shifts" AS "shifts" WHERE "shifts"."day" = '2023-03-01'
--     -> x2 for s3: crosses as rows, about 10 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" EXCEPT ALL (SELECT "x2"."c0" AS "ward" FROM "x2" AS "x2" INTERSECT ALL SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1") ORDER BY "ward"
--
-- Result: ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 640 bytes: it moves more bytes
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 256 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes, about 640 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 336 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 336 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # UNION BY NAME
SELECT ward, beds FROM wards UNION ALL BY NAME SELECT beds, name FROM hospitals ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "ward", "wards"."beds" AS "beds" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "hospitals"."name" AS "name", "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals"
--     -> x2 for s3: crosses as rows, about 6 rows and 120 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT ward, beds FROM (SELECT "x1"."ward" AS "ward", "x1"."beds" AS "beds" FROM "x1" AS "x1") AS "wards" UNION ALL BY NAME SELECT beds, name FROM (SELECT "x2"."name" AS "name", "x2"."beds" AS "beds" FROM "x2" AS "x2") AS "hospitals" ORDER BY ALL
--
-- Result: ward VARCHAR, beds INTEGER, name VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct UNION with by_name is not among those that may run at a node.

-- # Branches with their own order and limit
(SELECT kind FROM wards ORDER BY budget LIMIT 3) UNION ALL (SELECT label FROM calendar ORDER BY day LIMIT 2) ORDER BY 1;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."budget" AS "c1" FROM "wards" AS "wards" ORDER BY "wards"."budget" LIMIT 3
--     -> x1 for s3: crosses as rows, about 9 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."label" AS "label" FROM "calendar" AS "calendar" ORDER BY "calendar"."day" LIMIT 2
--     -> x2 for s3: crosses as rows, about 2 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     (SELECT "x1"."c0" AS "kind" FROM "x1" AS "x1" ORDER BY "x1"."c1" LIMIT 3) UNION ALL (SELECT "x2"."label" AS "label" FROM "x2" AS "x2") ORDER BY "kind"
--
-- Result: kind VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 480 bytes: it moves more bytes
-- Not taken: run at lille, shipping calendar from cnam; wards from lyon, nantes, about 512 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 800 bytes: 'lille' would have to send rows of 'wards' to 'cnam', and the holder's policy does not let them go there.

-- # A recursive query over several nodes
WITH RECURSIVE r AS (SELECT origin, target FROM transfers UNION SELECT r.origin, t.target FROM r JOIN transfers t ON t.origin = r.target)
SELECT count(*) FROM r;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "transfers"."origin" AS "origin", "transfers"."target" AS "target" FROM "transfers" AS "transfers"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     WITH RECURSIVE r AS (SELECT origin, target FROM (SELECT "x1"."origin" AS "origin", "x1"."target" AS "target" FROM "x1" AS "x1") AS "transfers" UNION SELECT r.origin, t.target FROM r JOIN (SELECT "x1"."origin" AS "origin", "x1"."target" AS "target" FROM "x1" AS "x1") AS t ON t.origin = r.target) SELECT COUNT(*) FROM r
--
-- Result: count_star() BIGINT
-- Not pushed down: the query, which runs whole over rows: A recursive WITH part reads rows of several nodes, or of persons. To bring the rows together, 'lyon' would have to send rows of 'transfers' to 'lille', and the holder's policy does not let them go there.

-- # A recursion that asks a table at every step
WITH RECURSIVE t(n, s) AS (SELECT 1, 0::BIGINT UNION ALL SELECT n + 1, s + (SELECT count(*) FROM wards WHERE flags = n) FROM t WHERE n < 10)
SELECT * FROM t ORDER BY n;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."flags" AS "flags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     WITH RECURSIVE t(n, s) AS (SELECT 1, CAST(0 AS BIGINT) UNION ALL SELECT n + 1, s + (SELECT COUNT(*) FROM (SELECT "x1"."flags" AS "flags" FROM "x1" AS "x1") AS "wards" WHERE flags = n) FROM t WHERE n < 10) SELECT * FROM t ORDER BY n
--
-- Result: n INTEGER, s BIGINT
-- Not pushed down: the query, which runs whole over rows: A recursive WITH part reads rows of several nodes, or of persons. To bring the rows together, 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A window by rows
SELECT ward, sum(beds) OVER (ORDER BY budget ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) AS s FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", SUM("x1"."c1") OVER (ORDER BY "x1"."c2" ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) AS "s" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, s HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A window by a range of time
SELECT ward, beds, sum(beds) OVER (ORDER BY opened RANGE BETWEEN INTERVAL 3 YEAR PRECEDING AND CURRENT ROW EXCLUDE TIES) AS s FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."opened" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "beds", SUM("x1"."c1") OVER (ORDER BY "x1"."c2" RANGE BETWEEN INTERVAL '3' YEAR PRECEDING AND CURRENT ROW EXCLUDE TIES) AS "s" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, beds INTEGER, s HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 360 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A window by a range of numbers with a filter
SELECT ward, count(*) FILTER (WHERE active) OVER (ORDER BY budget RANGE BETWEEN 1000 PRECEDING AND CURRENT ROW EXCLUDE GROUP) AS n FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."active" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 825 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", COUNT(*) FILTER(WHERE "x1"."c1") OVER (ORDER BY "x1"."c2" RANGE BETWEEN 1000 PRECEDING AND CURRENT ROW EXCLUDE GROUP) AS "n" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, n BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 495 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A named window by groups
SELECT ward, sum(beds) OVER v AS s, max(beds) OVER (v ROWS UNBOUNDED PRECEDING) AS m FROM wards WINDOW v AS (PARTITION BY kind ORDER BY budget) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."kind" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", SUM("x1"."c1") OVER "v" AS "s", MAX("x1"."c1") OVER ("v" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "m" FROM "x1" AS "x1" WINDOW "v" AS (PARTITION BY "x1"."c2" ORDER BY "x1"."c3") ORDER BY ALL
--
-- Result: ward VARCHAR, s HUGEINT, m INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A window by groups of peers
SELECT ward, sum(beds) OVER (PARTITION BY kind ORDER BY budget GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."kind" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", SUM("x1"."c1") OVER (PARTITION BY "x1"."c2" ORDER BY "x1"."c3" GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS "s" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, s HUGEINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Windows that look back and forth
SELECT ward, lag(beds, 2, 0) OVER (PARTITION BY kind ORDER BY budget) AS l, lead(ward) OVER (ORDER BY budget DESC) AS n,
  first_value(beds IGNORE NULLS) OVER (ORDER BY budget) AS f, nth_value(kind, 2) OVER (ORDER BY budget) AS t,
  ntile(4) OVER (ORDER BY budget) AS q, percent_rank() OVER (ORDER BY flags) AS p, cume_dist() OVER (ORDER BY flags) AS c
FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."kind" AS "c2", "wards"."budget" AS "c3", "wards"."flags" AS "c4" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", LAG("x1"."c1", 2, 0) OVER (PARTITION BY "x1"."c2" ORDER BY "x1"."c3") AS "l", LEAD("x1"."c0") OVER (ORDER BY "x1"."c3" DESC) AS "n", FIRST_VALUE("x1"."c1" IGNORE NULLS) OVER (ORDER BY "x1"."c3") AS "f", NTH_VALUE("x1"."c2", 2) OVER (ORDER BY "x1"."c3") AS "t", NTILE(4) OVER (ORDER BY "x1"."c3") AS "q", PERCENT_RANK() OVER (ORDER BY "x1"."c4") AS "p", CUME_DIST() OVER (ORDER BY "x1"."c4") AS "c" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, l INTEGER, n VARCHAR, f INTEGER, t VARCHAR, q BIGINT, p DOUBLE, c DOUBLE
-- Not taken: run at lille, shipping wards from lyon, nantes, about 900 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # QUALIFY over all hospitals
SELECT * EXCLUDE (tags) FROM wards QUALIFY row_number() OVER (PARTITION BY kind ORDER BY budget) = 1 ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "c0", "wards"."ward" AS "c1", "wards"."kind" AS "c2", "wards"."beds" AS "c3", "wards"."load" AS "c4", "wards"."budget" AS "c5", "wards"."opened" AS "c6", "wards"."active" AS "c7", "wards"."flags" AS "c8", "wards"."big" AS "c9", "wards"."ratio" AS "c10", "wards"."noted" AS "c11" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 2,925 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", "x1"."c2" AS "kind", "x1"."c3" AS "beds", "x1"."c4" AS "load", "x1"."c5" AS "budget", "x1"."c6" AS "opened", "x1"."c7" AS "active", "x1"."c8" AS "flags", "x1"."c9" AS "big", "x1"."c10" AS "ratio", "x1"."c11" AS "noted" FROM (SELECT "x1"."c0" AS "c0", "x1"."c1" AS "c1", "x1"."c2" AS "c2", "x1"."c3" AS "c3", "x1"."c4" AS "c4", "x1"."c5" AS "c5", "x1"."c6" AS "c6", "x1"."c7" AS "c7", "x1"."c8" AS "c8", CAST("x1"."c9" AS INT128) AS "c9", "x1"."c10" AS "c10", "x1"."c11" AS "c11" FROM "x1" AS "x1") AS "x1" QUALIFY ROW_NUMBER() OVER (PARTITION BY "x1"."c2" ORDER BY "x1"."c5") = 1 ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, kind VARCHAR, beds INTEGER, load DOUBLE, budget DECIMAL(18,2), opened DATE, active BOOLEAN, flags UTINYINT, big HUGEINT, ratio FLOAT, noted TIMESTAMP
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,755 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # PIVOT with named values
FROM (PIVOT wards ON kind IN ('surgery', 'medicine') USING sum(beds) GROUP BY finess) ORDER BY finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT * FROM (PIVOT (SELECT "finess" AS "finess", "ward" AS "ward", "kind" AS "kind", "beds" AS "beds", "load" AS "load", "budget" AS "budget", "opened" AS "opened", "active" AS "active", "flags" AS "flags", "big" AS "big", "ratio" AS "ratio", "noted" AS "noted", "tags" AS "tags" FROM (SELECT "finess" AS "finess", "ward" AS "ward", "kind" AS "kind", "beds" AS "beds", "load" AS "load", "budget" AS "budget", "opened" AS "opened", "active" AS "active", "flags" AS "flags", CAST("big" AS INT128) AS "big", "ratio" AS "ratio", "noted" AS "noted", "tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS "wards" ON kind IN ('surgery', 'medicine') USING SUM(beds) GROUP BY finess) ORDER BY finess
--
-- Result: finess VARCHAR, surgery HUGEINT, medicine HUGEINT
-- Not pushed down: the query, which runs whole over rows: The construct PIVOT is not among those that may run at a node.

-- # PIVOT without GROUP BY groups by all that is not named
PIVOT (SELECT finess, kind, active, beds FROM wards) ON kind IN ('surgery', 'medicine') USING sum(beds) AS s, count(*) AS n;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."active" AS "active" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 925 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT * FROM (PIVOT (SELECT finess, kind, active, beds FROM (SELECT "finess" AS "finess", "kind" AS "kind", "beds" AS "beds", "active" AS "active" FROM "x1" AS "x1") AS "wards") ON kind IN ('surgery', 'medicine') USING SUM(beds) AS s, COUNT(*) AS n)
--
-- Result: finess VARCHAR, active BOOLEAN, surgery_s HUGEINT, surgery_n BIGINT, medicine_s HUGEINT, medicine_n BIGINT
-- Not pushed down: the query, which runs whole over rows: The construct PIVOT is not among those that may run at a node.

-- # PIVOT as SQL has it
SELECT * FROM wards PIVOT (sum(beds) AS s, count(*) AS n FOR kind IN ('surgery', 'medicine') GROUP BY finess) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT * FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", "x1"."big" AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", CAST("x1"."big" AS INT128) AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS "wards" PIVOT(SUM(beds) AS s, COUNT(*) AS n FOR kind IN ('surgery', 'medicine') GROUP BY finess) ORDER BY ALL
--
-- Result: finess VARCHAR, surgery_s HUGEINT, surgery_n BIGINT, medicine_s HUGEINT, medicine_n BIGINT
-- Not pushed down: the query, which runs whole over rows: The construct TABLE with pivots is not among those that may run at a node.

-- # PIVOT of a table with nothing but its columns
SELECT ward, surgery FROM wards PIVOT (count(*) FOR kind IN ('surgery')) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT ward, surgery FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", "x1"."big" AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", CAST("x1"."big" AS INT128) AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS "wards" PIVOT(COUNT(*) FOR kind IN ('surgery')) ORDER BY ALL
--
-- Result: ward VARCHAR, surgery BIGINT
-- Not pushed down: the query, which runs whole over rows: The construct TABLE with pivots is not among those that may run at a node.

-- # PIVOT of a WITH part, joined with a table
WITH x AS (SELECT finess, kind, beds FROM wards), p AS (PIVOT x ON kind IN ('surgery', 'medicine') USING sum(beds))
SELECT h.name, p.surgery, p.medicine FROM p JOIN hospitals h USING (finess) WHERE p.surgery > 3 ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."name" AS "name", "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals"
--     -> x1 for s3: crosses as rows, about 6 rows and 216 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."kind" AS "kind", "wards"."beds" AS "beds" FROM "wards" AS "wards"
--     -> x2 for s3: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     WITH x AS (SELECT finess, kind, beds FROM (SELECT "x2"."finess" AS "finess", "x2"."kind" AS "kind", "x2"."beds" AS "beds" FROM "x2" AS "x2") AS "wards"), p AS (PIVOT x ON kind IN ('surgery', 'medicine') USING SUM(beds)) SELECT h.name, p.surgery, p.medicine FROM p JOIN (SELECT "x1"."finess" AS "finess", "x1"."name" AS "name", "x1"."beds" AS "beds" FROM "x1" AS "x1") AS h USING (finess) WHERE p.surgery > 3 ORDER BY ALL
--
-- Result: name VARCHAR, surgery HUGEINT, medicine HUGEINT
-- Not pushed down: the query, which runs whole over rows: The construct PIVOT is not among those that may run at a node.

-- # UNPIVOT
UNPIVOT (SELECT finess, ward, beds, flags::INTEGER AS flags FROM wards) ON beds, flags INTO NAME what VALUE number;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."beds" AS "beds", "wards"."flags" AS "flags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT * FROM (UNPIVOT (SELECT finess, ward, beds, CAST(flags AS INT) AS flags FROM (SELECT "finess" AS "finess", "ward" AS "ward", "beds" AS "beds", "flags" AS "flags" FROM "x1" AS "x1") AS "wards") ON beds, flags INTO NAME what VALUE number)
--
-- Result: finess VARCHAR, ward VARCHAR, what VARCHAR, number INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct PIVOT is not among those that may run at a node.

-- # UNPIVOT of the columns of a pattern
SELECT n, sum(v) AS s FROM (UNPIVOT wards ON COLUMNS('^(beds)$') INTO NAME n VALUE v) GROUP BY n;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT n, SUM(v) AS s FROM (UNPIVOT (SELECT "finess" AS "finess", "ward" AS "ward", "kind" AS "kind", "beds" AS "beds", "load" AS "load", "budget" AS "budget", "opened" AS "opened", "active" AS "active", "flags" AS "flags", "big" AS "big", "ratio" AS "ratio", "noted" AS "noted", "tags" AS "tags" FROM (SELECT "finess" AS "finess", "ward" AS "ward", "kind" AS "kind", "beds" AS "beds", "load" AS "load", "budget" AS "budget", "opened" AS "opened", "active" AS "active", "flags" AS "flags", CAST("big" AS INT128) AS "big", "ratio" AS "ratio", "noted" AS "noted", "tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS "wards" ON COLUMNS('^(beds)$') INTO NAME n VALUE v) GROUP BY n
--
-- Result: n VARCHAR, s HUGEINT
-- Not pushed down: the query, which runs whole over rows: The construct PIVOT is not among those that may run at a node.

-- # DISTINCT ON over all hospitals
SELECT DISTINCT ON (kind) kind, beds, budget FROM wards ORDER BY kind, beds DESC NULLS LAST, budget;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."beds" AS "c1", "wards"."budget" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT DISTINCT ON ("kind") "x1"."c0" AS "kind", "x1"."c1" AS "beds", "x1"."c2" AS "budget" FROM "x1" AS "x1" ORDER BY "kind", "beds" DESC, "budget"
--
-- Result: kind VARCHAR, beds INTEGER, budget DECIMAL(18,2)
-- Not taken: run at lille, shipping wards from lyon, nantes, about 540 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # The same grouping set twice
SELECT kind, active, sum(beds) FROM wards GROUP BY GROUPING SETS ((kind), (), (kind, active), (kind)) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."active" AS "c1", "wards"."beds" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 525 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", "x1"."c1" AS "active", SUM("x1"."c2") AS "_col_2" FROM "x1" AS "x1" GROUP BY GROUPING SETS (("x1"."c0"), (), ("x1"."c0", "x1"."c1"), ("x1"."c0")) ORDER BY ALL
--
-- Result: kind VARCHAR, active BOOLEAN, sum(beds) HUGEINT
-- Not pushed down: The same grouping set stands twice, which cannot be split over nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 315 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # CUBE within a derived table, of distinct values
SELECT count(*) AS n, sum(d) AS d FROM (SELECT kind, active, count(DISTINCT finess) AS d FROM wards GROUP BY CUBE (kind, active)) q WHERE d > 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."active" AS "g1", GROUPING("wards"."kind", "wards"."active") AS "gid", COUNT(DISTINCT "wards"."finess") AS "p0v" FROM "wards" AS "wards" GROUP BY CUBE ("wards"."kind", "wards"."active")
--     -> x1 for s2: crosses as rows, about 25 rows and 825 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT COUNT(*) AS "n", SUM("q"."d") AS "d" FROM (SELECT "x2"."g0" AS "kind", "x2"."g1" AS "active", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "d" FROM "x2" AS "x2") AS "q" WHERE "q"."d" > 1
--
-- Result: n BIGINT, d HUGEINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 495 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # ROLLUP with GROUPING and distinct values
SELECT kind, active, grouping(kind, active) AS g, count(DISTINCT beds) AS n FROM wards GROUP BY ROLLUP (kind, active) ORDER BY ALL;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."active" AS "g1", GROUPING("wards"."kind", "wards"."active") AS "gid" FROM "wards" AS "wards" GROUP BY ROLLUP ("wards"."kind", "wards"."active")
--     -> x1 for s2: crosses as rows, about 25 rows and 625 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid" FROM "x1" AS "x1" GROUP BY "g0", "g1", "gid"
--     may be cut by hash of: g0, g1, gid
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", "wards"."active" AS "g1", "wards"."beds" AS "g2" FROM "wards" AS "wards" GROUP BY "wards"."kind", "wards"."active", "wards"."beds"
--     -> x3 for s4: crosses as rows, about 25 rows and 525 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2" FROM "x3" AS "x3" GROUP BY "g0", "g1", "g2"
--     may be cut by hash of: g0, g1, g2
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "x2w"."g0" AS "kind", "x2w"."g1" AS "active", CAST(((("x2w"."gid" >> 1) & 1) * 2 + (("x2w"."gid" >> 0) & 1) * 1) AS BIGINT) AS "g", CAST(COALESCE("x2w"."p0v", 0) AS BIGINT) AS "n" FROM (SELECT "x2"."g0" AS "g0", "x2"."g1" AS "g1", "x2"."gid" AS "gid", "x4v"."p0v" AS "p0v" FROM "x2" AS "x2" LEFT JOIN (SELECT "g0" AS "g0", "g1" AS "g1", "gid" AS "gid", COUNT("g2") AS "p0v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", "g2" AS "g2", GROUPING("g0", "g1") AS "gid" FROM "x4" AS "x4" GROUP BY GROUPING SETS (("g0", "g1", "g2"), ("g0", "g2"), ("g2"))) AS s GROUP BY "g0", "g1", "gid") AS "x4v" ON "x2"."g0" IS NOT DISTINCT FROM "x4v"."g0" AND "x2"."g1" IS NOT DISTINCT FROM "x4v"."g1" AND "x2"."gid" IS NOT DISTINCT FROM "x4v"."gid") AS "x2w" ORDER BY ALL
--
-- Result: kind VARCHAR, active BOOLEAN, g BIGINT, n BIGINT

-- # Ordered-set aggregates
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY beds DESC) AS c, percentile_disc(0.25) WITHIN GROUP (ORDER BY beds) AS d,
  mode() WITHIN GROUP (ORDER BY kind) AS m, listagg(ward, '-' ORDER BY budget) AS l FROM wards;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0", "wards"."kind" AS "c1", "wards"."ward" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT QUANTILE_CONT("x1"."c0", 0.5 ORDER BY "x1"."c0" DESC) AS "c", QUANTILE_DISC("x1"."c0", 0.25 ORDER BY "x1"."c0") AS "d", MODE( ORDER BY "x1"."c1") AS "m", LISTAGG("x1"."c2", '-' ORDER BY "x1"."c3") AS "l" FROM "x1" AS "x1"
--
-- Result: c DOUBLE, d INTEGER, m VARCHAR, l VARCHAR
-- Not pushed down: string_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Aggregates of all values
SELECT kind, list(ward ORDER BY budget) AS l, string_agg(DISTINCT ward, ',' ORDER BY ward) AS s, median(budget) AS m, quantile_cont(beds, [0.1, 0.5]) AS q,
  histogram(beds) AS h, arg_max(ward, budget, 2) AS a, mad(beds) AS d, entropy(ward) AS e
FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."ward" AS "c1", "wards"."budget" AS "c2", "wards"."beds" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", ARRAY_AGG("x1"."c1" ORDER BY "x1"."c2") AS "l", LISTAGG(DISTINCT "x1"."c1", ',' ORDER BY "x1"."c1") AS "s", MEDIAN("x1"."c2") AS "m", QUANTILE_CONT("x1"."c3", [0.1, 0.5]) AS "q", HISTOGRAM("x1"."c3") AS "h", ARG_MAX("x1"."c1", "x1"."c2", 2) AS "a", MAD("x1"."c3") AS "d", ENTROPY("x1"."c1") AS "e" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind"
--
-- Result: kind VARCHAR, l VARCHAR[], s VARCHAR, m DECIMAL(18,2), q DOUBLE[], h MAP(INTEGER, UBIGINT), a VARCHAR[], d DOUBLE, e DOUBLE
-- Not pushed down: array_agg(...) cannot be split over several nodes yet: it needs every row.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 867 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # An ASOF join
SELECT s.finess, s.ward, s.day, c.label FROM shifts s ASOF JOIN (FROM calendar WHERE holiday) c ON s.day >= c.day ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day" FROM "shifts" AS "shifts"
--     -> x1 for s3: crosses as rows, about 100 rows and 3,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."holiday" AS "holiday", "calendar"."label" AS "label" FROM "calendar" AS "calendar" WHERE holiday
--     -> x2 for s3: crosses as rows, about 3 rows and 63 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT s.finess, s.ward, s.day, c.label FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."day" AS "day" FROM "x1" AS "x1") AS s ASOF JOIN (SELECT * FROM (SELECT "x2"."day" AS "day", "x2"."holiday" AS "holiday", "x2"."label" AS "label" FROM "x2" AS "x2") AS "calendar" WHERE holiday) AS c ON s.day >= c.day ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, day DATE, label VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct JOIN with method is not among those that may run at a node.

-- # An ASOF join by keys that keeps all
SELECT h.name, t.day, t.patients FROM hospitals h ASOF LEFT JOIN transfers t ON h.finess = t.target AND h.beds >= t.patients WHERE h.beds IS NOT NULL ORDER BY 1;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."name" AS "name", "hospitals"."beds" AS "beds" FROM "hospitals" AS "hospitals"
--     -> x1 for s3: crosses as rows, about 6 rows and 216 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "target", "transfers"."day" AS "day", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers"
--     -> x2 for s3: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT h.name, t.day, t.patients FROM (SELECT "x1"."finess" AS "finess", "x1"."name" AS "name", "x1"."beds" AS "beds" FROM "x1" AS "x1") AS h ASOF LEFT JOIN (SELECT "x2"."target" AS "target", "x2"."day" AS "day", "x2"."patients" AS "patients" FROM "x2" AS "x2") AS t ON h.finess = t.target AND h.beds >= t.patients WHERE NOT h.beds IS NULL ORDER BY 1
--
-- Result: name VARCHAR, day DATE, patients INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct JOIN with method is not among those that may run at a node.

-- # A range join
SELECT w.ward, c.label FROM wards w JOIN calendar c ON w.flags BETWEEN day(c.day) - 1 AND day(c.day) + 1 ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."flags" AS "flags" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "c"."label" AS "label", "c"."day" AS "day" FROM "calendar" AS "c"
--     -> x2 for s3: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."ward" AS "ward", "c"."label" AS "label" FROM "x1" AS "w" JOIN "x2" AS "c" ON "w"."flags" BETWEEN DAY("c"."day") - 1 AND DAY("c"."day") + 1 ORDER BY ALL
--
-- Result: ward VARCHAR, label VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 1,056 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; calendar from cnam, about 1,096 bytes: it moves more bytes
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 1,176 bytes: it moves more bytes

-- # A NATURAL join
SELECT day, holiday, nurses, ward FROM shifts NATURAL JOIN calendar ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."day" AS "day", "shifts"."nurses" AS "nurses", "shifts"."ward" AS "ward" FROM "shifts" AS "shifts"
--     -> x1 for s3: crosses as rows, about 100 rows and 2,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."holiday" AS "holiday" FROM "calendar" AS "calendar"
--     -> x2 for s3: crosses as rows, about 8 rows and 40 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT COALESCE("shifts"."day", "calendar"."day") AS "day", "calendar"."holiday" AS "holiday", "shifts"."nurses" AS "nurses", "shifts"."ward" AS "ward" FROM "x1" AS "shifts" JOIN "x2" AS "calendar" ON "shifts"."day" = "calendar"."day" ORDER BY ALL
--
-- Result: day DATE, holiday BOOLEAN, nurses INTEGER, ward VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 3,020 bytes: it moves more bytes
-- Not taken: run at lille, shipping shifts from lyon, nantes; calendar from cnam, about 4,380 bytes: it moves more bytes
-- Not taken: run at cnam, shipping shifts from lille, lyon, nantes, about 5,300 bytes: it moves more bytes

-- # A NATURAL join over all columns
SELECT * FROM (SELECT day, nurses FROM shifts) NATURAL LEFT JOIN calendar ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "shifts"."day" AS "c0", "shifts"."nurses" AS "c1" FROM "shifts" AS "shifts"
--     -> x1 for s3: crosses as rows, about 100 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."holiday" AS "holiday", "calendar"."label" AS "label" FROM "calendar" AS "calendar"
--     -> x2 for s3: crosses as rows, about 8 rows and 168 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT COALESCE("_0"."day", "calendar"."day") AS "day", "_0"."nurses" AS "nurses", "calendar"."holiday" AS "holiday", "calendar"."label" AS "label" FROM (SELECT "x1"."c0" AS "day", "x1"."c1" AS "nurses" FROM "x1" AS "x1") AS "_0" LEFT JOIN "x2" AS "calendar" ON "_0"."day" = "calendar"."day" ORDER BY ALL
--
-- Result: day DATE, nurses INTEGER, holiday BOOLEAN, label VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 1,280 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 3,804 bytes: it moves more bytes
-- Not taken: run at lille, shipping shifts from lyon, nantes; calendar from cnam, about 3,948 bytes: it moves more bytes
-- Not taken: run at cnam, shipping shifts from lille, lyon, nantes, about 4,100 bytes: it moves more bytes

-- # USING over holders
SELECT day, label, sum(patients) AS p FROM transfers JOIN calendar USING (day) GROUP BY ALL ORDER BY ALL;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."label" AS "label" FROM "calendar" AS "calendar"
--     -> x1 for s2: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."day" AS "day", "x1"."label" AS "label" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT COALESCE("transfers"."day", "calendar"."day") AS "g0", "calendar"."label" AS "g1", SUM("transfers"."patients") AS "p0s" FROM "transfers" AS "transfers" JOIN "x2" AS "calendar" ON "transfers"."day" = "calendar"."day" GROUP BY COALESCE("transfers"."day", "calendar"."day"), "calendar"."label"
--     -> x3 for s4: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0s") AS "p0s" FROM "x3" AS "x3" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "day", "x4"."g1" AS "label", CAST("x4"."p0s" AS INT128) AS "p" FROM "x4" AS "x4" ORDER BY ALL
--
-- Result: day DATE, label VARCHAR, p HUGEINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 200 bytes: 'lille' would have to send rows of 'transfers' to 'cnam', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping transfers from lyon, nantes; calendar from cnam, about 280 bytes: 'lyon' would have to send rows of 'transfers' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 480 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.

-- # Joins in parentheses
SELECT w.ward, s.day, h.name FROM wards w LEFT JOIN (shifts s JOIN hospitals h ON h.finess = s.finess AND s.nurses > 4) ON s.ward = w.ward AND s.finess = w.finess ORDER BY ALL;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward" FROM "wards" AS "wards"
--     -> x1 for s4: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", "shifts"."day" AS "day", "shifts"."nurses" AS "nurses" FROM "shifts" AS "shifts"
--     -> x2 for s4: crosses as rows, about 100 rows and 4,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at cnam
--     SELECT "hospitals"."finess" AS "finess", "hospitals"."name" AS "name" FROM "hospitals" AS "hospitals"
--     -> x3 for s4: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT w.ward, s.day, h.name FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward" FROM "x1" AS "x1") AS w LEFT JOIN ((SELECT "x2"."finess" AS "finess", "x2"."ward" AS "ward", "x2"."day" AS "day", "x2"."nurses" AS "nurses" FROM "x2" AS "x2") AS s JOIN (SELECT "x3"."finess" AS "finess", "x3"."name" AS "name" FROM "x3" AS "x3") AS h ON h.finess = s.finess AND s.nurses > 4) ON s.ward = w.ward AND s.finess = w.finess ORDER BY ALL
--
-- Result: ward VARCHAR, day DATE, name VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct TABLE with joins is not among those that may run at a node.

-- # Joins in parentheses over several nodes
SELECT c.day, t.target, w.ward FROM calendar c LEFT JOIN (transfers t JOIN wards w ON w.finess = t.target AND w.flags = t.patients) ON t.day = c.day ORDER BY ALL;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day" FROM "calendar" AS "calendar"
--     -> x1 for s4: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."target" AS "target", "transfers"."day" AS "day", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers"
--     -> x2 for s4: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."flags" AS "flags" FROM "wards" AS "wards"
--     -> x3 for s4: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT c.day, t.target, w.ward FROM (SELECT "x1"."day" AS "day" FROM "x1" AS "x1") AS c LEFT JOIN ((SELECT "x2"."target" AS "target", "x2"."day" AS "day", "x2"."patients" AS "patients" FROM "x2" AS "x2") AS t JOIN (SELECT "x3"."finess" AS "finess", "x3"."ward" AS "ward", "x3"."flags" AS "flags" FROM "x3" AS "x3") AS w ON w.finess = t.target AND w.flags = t.patients) ON t.day = c.day ORDER BY ALL
--
-- Result: day DATE, target VARCHAR, ward VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct TABLE with joins is not among those that may run at a node.

-- # A FULL join over nodes
SELECT t.target, w.ward, count(*) AS n FROM wards w FULL JOIN transfers t ON w.finess = t.target AND w.flags = t.patients GROUP BY ALL ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."finess" AS "finess", "w"."flags" AS "flags" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."target" AS "target", "t"."patients" AS "patients" FROM "transfers" AS "t"
--     -> x2 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "t"."target" AS "target", "w"."ward" AS "ward", COUNT(*) AS "n" FROM "x1" AS "w" FULL JOIN "x2" AS "t" ON "w"."finess" = "t"."target" AND "w"."flags" = "t"."patients" GROUP BY ALL ORDER BY ALL
--
-- Result: target VARCHAR, ward VARCHAR, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not pushed down: This FULL JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 900 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # SEMI and ANTI joins over nodes
SELECT c.day FROM calendar c ANTI JOIN (transfers t SEMI JOIN wards w ON w.flags = t.patients) ON t.day = c.day ORDER BY 1;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day" FROM "calendar" AS "calendar"
--     -> x1 for s4: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."day" AS "day", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers"
--     -> x2 for s4: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."flags" AS "flags" FROM "wards" AS "wards"
--     -> x3 for s4: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x1, x2, x3
--     SELECT c.day FROM (SELECT "x1"."day" AS "day" FROM "x1" AS "x1") AS c ANTI JOIN ((SELECT "x2"."day" AS "day", "x2"."patients" AS "patients" FROM "x2" AS "x2") AS t SEMI JOIN (SELECT "x3"."flags" AS "flags" FROM "x3" AS "x3") AS w ON w.flags = t.patients) ON t.day = c.day ORDER BY 1
--
-- Result: day DATE
-- Not pushed down: the query, which runs whole over rows: The construct TABLE with joins is not among those that may run at a node.

-- # A POSITIONAL join of two sides that have an order
SELECT a.ward, b.label FROM (SELECT ward FROM wards ORDER BY budget) a POSITIONAL JOIN (SELECT label FROM calendar ORDER BY day) b;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "ward", "wards"."budget" AS "budget" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."label" AS "label" FROM "calendar" AS "calendar"
--     -> x2 for s3: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT a.ward, b.label FROM (SELECT ward FROM (SELECT "x1"."ward" AS "ward", "x1"."budget" AS "budget" FROM "x1" AS "x1") AS "wards" ORDER BY budget) AS a POSITIONAL JOIN (SELECT label FROM (SELECT "x2"."day" AS "day", "x2"."label" AS "label" FROM "x2" AS "x2") AS "calendar" ORDER BY day) AS b
--
-- Result: ward VARCHAR, label VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct JOIN with method is not among those that may run at a node.

-- # Fields of structs
SELECT d.device, d.spec.maker, spec.size.w AS w, d.spec['size']['h'] AS h, struct_extract(spec, 'maker') AS m FROM devices d ORDER BY 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."Device" AS "Device", "devices"."spec" AS "spec" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT d.device, d.spec.maker, spec.size.w AS w, d.spec['size']['h'] AS h, STRUCT_EXTRACT(spec, 'maker') AS m FROM (SELECT "x1"."Device" AS "Device", "x1"."spec" AS "spec" FROM "x1" AS "x1") AS d ORDER BY 1
--
-- Result: Device VARCHAR, maker VARCHAR, w INTEGER, h INTEGER, m VARCHAR
-- Not pushed down: the query, which runs whole over rows: The construct DOT is not among those that may run at a node.

-- # All fields of a struct
SELECT device, spec.* FROM devices ORDER BY 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."Device" AS "Device", "devices"."spec" AS "spec" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT device, spec.* FROM (SELECT "x1"."Device" AS "Device", "x1"."spec" AS "spec" FROM "x1" AS "x1") AS "devices" ORDER BY 1
--
-- Result: Device VARCHAR, maker VARCHAR, size STRUCT(w INTEGER, h INTEGER)
-- Not pushed down: the query, which runs whole over rows: The construct DOT is not among those that may run at a node.

-- # A struct that is made and read
SELECT q.s.b.c AS c, s.a FROM (SELECT {'a': beds, 'b': {'c': ward}} AS s FROM wards) q ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "ward", "wards"."beds" AS "beds" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT q.s.b.c AS c, s.a FROM (SELECT {'a': beds, 'b': {'c': ward}} AS s FROM (SELECT "x1"."ward" AS "ward", "x1"."beds" AS "beds" FROM "x1" AS "x1") AS "wards") AS q ORDER BY ALL
--
-- Result: c VARCHAR, a INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct DOT is not among those that may run at a node.

-- # Lists and maps: elements, slices, keys
SELECT device, readings[1] AS r, readings[2:3] AS s, readings[-1] AS l, len(readings) AS n, attrs['a'] AS a, map_keys(attrs) AS k, parts[1].code AS c FROM devices ORDER BY 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."Device" AS "Device", "devices"."readings" AS "readings", "devices"."attrs" AS "attrs", "devices"."parts" AS "parts" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 480 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT device, readings[1] AS r, readings[2:3] AS s, readings[-1] AS l, LENGTH(readings) AS n, attrs['a'] AS a, MAP_KEYS(attrs) AS k, parts[1].code AS c FROM (SELECT "x1"."Device" AS "Device", "x1"."readings" AS "readings", "x1"."attrs" AS "attrs", "x1"."parts" AS "parts" FROM "x1" AS "x1") AS "devices" ORDER BY 1
--
-- Result: Device VARCHAR, r INTEGER, s INTEGER[], l INTEGER, n BIGINT, a INTEGER, k VARCHAR[], c VARCHAR
-- Not pushed down: the query, which runs whole over rows: The function 'map_keys' is not among those that may run at a node.

-- # List lambdas
SELECT device, list_transform(readings, x -> x * 2) AS t, list_filter(readings, lambda x: x > 3) AS f, [x + 1 for x in readings if x IS NOT NULL] AS c,
  list_reduce(list_filter(readings, x -> x IS NOT NULL), lambda a, b: a + b, 0) AS r FROM devices ORDER BY 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."Device" AS "Device", "devices"."readings" AS "readings" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT device, LIST_TRANSFORM(readings, LAMBDA x : x * 2) AS t, LIST_FILTER(readings, LAMBDA x : x > 3) AS f, [x + 1 FOR x IN readings IF NOT x IS NULL] AS c, LIST_REDUCE(LIST_FILTER(readings, LAMBDA x : NOT x IS NULL), LAMBDA a, b : a + b, 0) AS r FROM (SELECT "x1"."Device" AS "Device", "x1"."readings" AS "readings" FROM "x1" AS "x1") AS "devices" ORDER BY 1
--
-- Result: Device VARCHAR, t INTEGER[], f INTEGER[], c INTEGER[], r INTEGER
-- Not pushed down: the query, which runs whole over rows: The function 'list_transform' is not among those that may run at a node.

-- # Elements of lists as rows
SELECT device, unnest(readings) AS r FROM devices ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."Device" AS "Device", "devices"."readings" AS "readings" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT device, UNNEST(readings) AS r FROM (SELECT "x1"."Device" AS "Device", "x1"."readings" AS "readings" FROM "x1" AS "x1") AS "devices" ORDER BY ALL
--
-- Result: Device VARCHAR, r INTEGER
-- Not pushed down: the query, which runs whole over rows: The function 'unnest' is not among those that may run at a node.

-- # Elements of lists as a source
SELECT d.device, sum(u.r) AS s FROM devices d, unnest(d.readings) AS u(r) GROUP BY ALL ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "d"."device" AS "g0", SUM("u"."r") AS "p0s" FROM "devices" AS "d" JOIN UNNEST("d"."readings") AS "u"("r") ON TRUE GROUP BY "d"."device"
--     -> x1 for s2: crosses as rows, about 12 rows and 384 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "Device", CAST("x2"."p0s" AS INT128) AS "s" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: Device VARCHAR, s HUGEINT

-- # Grouping by a field
SELECT spec.maker AS maker, count(*) AS n, max(spec.size.w) AS w FROM devices GROUP BY spec.maker ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."spec" AS "spec" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT spec.maker AS maker, COUNT(*) AS n, MAX(spec.size.w) AS w FROM (SELECT "x1"."spec" AS "spec" FROM "x1" AS "x1") AS "devices" GROUP BY spec.maker ORDER BY ALL
--
-- Result: maker VARCHAR, n BIGINT, w INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct DOT is not among those that may run at a node.

-- # A row as a value
SELECT c FROM calendar c JOIN transfers t ON t.day = c.day WHERE t.patients = 3 ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "calendar"."day" AS "day", "calendar"."holiday" AS "holiday", "calendar"."label" AS "label" FROM "calendar" AS "calendar"
--     -> x1 for s3: crosses as rows, about 8 rows and 168 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "transfers"."day" AS "day", "transfers"."patients" AS "patients" FROM "transfers" AS "transfers" WHERE "transfers"."patients" = 3
--     -> x2 for s3: crosses as rows, about 3 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT c FROM (SELECT "x1"."day" AS "day", "x1"."holiday" AS "holiday", "x1"."label" AS "label" FROM "x1" AS "x1") AS c JOIN (SELECT "x2"."day" AS "day", "x2"."patients" AS "patients" FROM "x2" AS "x2") AS t ON t.day = c.day WHERE t.patients = 3 ORDER BY ALL
--
-- Result: c STRUCT("day" DATE, holiday BOOLEAN, "label" VARCHAR)
-- Not pushed down: the query, which runs whole over rows: The construct a whole row as a value is not among those that may run at a node.

-- # VALUES
VALUES (1, 'a'), (2, 'b');
-- Plan with 1 stages at 0 nodes and the coordinator
--
-- s1 finish at the coordinator
--     SELECT "valueslist"."_col_0" AS "_col_0", "valueslist"."_col_1" AS "_col_1" FROM (VALUES (1, 'a'), (2, 'b')) AS "valueslist"("_col_0", "_col_1")
--
-- Result: col0 INTEGER, col1 VARCHAR

-- # VALUES that ask
VALUES ((SELECT count(*) FROM wards), (SELECT max(day) FROM calendar));
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT 1 AS "x0" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day" FROM "calendar" AS "calendar"
--     -> x2 for s3: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT * FROM (VALUES ((SELECT COUNT(*) FROM (SELECT "x1"."x0" AS "x0" FROM "x1" AS "x1") AS "wards"), (SELECT MAX(day) FROM (SELECT "x2"."day" AS "day" FROM "x2" AS "x2") AS "calendar"))) AS valueslist
--
-- Result: col0 BIGINT, col1 DATE
-- Not pushed down: the query, which runs whole over rows: Table 'wards' stands in a place from which its rows cannot be brought together yet.

-- # VALUES as a source
SELECT v.i, w.finess, c.label FROM (VALUES (1, 'A'), (2, 'B')) v(i, ward) JOIN wards w USING (ward) JOIN calendar c ON day(c.day) = v.i ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "c"."label" AS "label", "c"."day" AS "day" FROM "calendar" AS "c"
--     -> x2 for s3: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "v"."i" AS "i", "w"."finess" AS "finess", "c"."label" AS "label" FROM (VALUES (1, 'A'), (2, 'B')) AS "v"("i", "ward") JOIN "x1" AS "w" ON "v"."ward" = "w"."ward" JOIN "x2" AS "c" ON DAY("c"."day") = "v"."i" ORDER BY ALL
--
-- Result: i INTEGER, finess VARCHAR, label VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 1,480 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; calendar from cnam, about 1,640 bytes: it moves more bytes
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 1,800 bytes: it moves more bytes

-- # Columns by a pattern, and a function of all columns
SELECT min(COLUMNS('^(beds|flags|budget)$')) FROM wards;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT MIN(COLUMNS('^(beds|flags|budget)$')) FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", "x1"."big" AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", CAST("x1"."big" AS INT128) AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS "wards"
--
-- Result: beds INTEGER, budget DECIMAL(18,2), flags UTINYINT
-- Not pushed down: the query, which runs whole over rows: The function 'columns' is not among those that may run at a node.

-- # A table whose columns are renamed where it stands
SELECT t.w, t.f FROM wards AS t(f, w) JOIN calendar c ON day(c.day) = length(t.w) ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind", "wards"."beds" AS "beds", "wards"."load" AS "load", "wards"."budget" AS "budget", "wards"."opened" AS "opened", "wards"."active" AS "active", "wards"."flags" AS "flags", "wards"."big" AS "big", "wards"."ratio" AS "ratio", "wards"."noted" AS "noted", "wards"."tags" AS "tags" FROM "wards" AS "wards"
--     -> x1 for s3: crosses as rows, about 25 rows and 3,325 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "calendar"."day" AS "day" FROM "calendar" AS "calendar"
--     -> x2 for s3: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT t.w, t.f FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", "x1"."big" AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", CAST("x1"."big" AS INT128) AS "big", "x1"."ratio" AS "ratio", "x1"."noted" AS "noted", "x1"."tags" AS "tags" FROM "x1" AS "x1") AS "x1") AS t(f, w) JOIN (SELECT "x2"."day" AS "day" FROM "x2" AS "x2") AS c ON DAY(c.day) = LENGTH(t.w) ORDER BY ALL
--
-- Result: w VARCHAR, f VARCHAR
-- Not pushed down: the query, which runs whole over rows: The query cannot be cut: its names are resolved by the engine alone.

-- # Columns left out, replaced and renamed
SELECT w.* EXCLUDE (tags, noted) REPLACE (upper(ward) AS ward) RENAME (beds AS lits), c.label FROM wards w, calendar c WHERE c.holiday AND w.kind = 'surgery' ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward", "w"."kind" AS "kind", "w"."beds" AS "beds", "w"."load" AS "load", "w"."budget" AS "budget", "w"."opened" AS "opened", "w"."active" AS "active", "w"."flags" AS "flags", "w"."big" AS "big", "w"."ratio" AS "ratio" FROM "wards" AS "w" WHERE "w"."kind" = 'surgery'
--     -> x1 for s3: crosses as rows, about 3 rows and 327 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "c"."label" AS "label", "c"."holiday" AS "holiday" FROM "calendar" AS "c" WHERE "c"."holiday"
--     -> x2 for s3: crosses as rows, about 3 rows and 51 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."finess" AS "finess", UPPER("w"."ward") AS "ward", "w"."kind" AS "kind", "w"."beds" AS "lits", "w"."load" AS "load", "w"."budget" AS "budget", "w"."opened" AS "opened", "w"."active" AS "active", "w"."flags" AS "flags", "w"."big" AS "big", "w"."ratio" AS "ratio", "c"."label" AS "label" FROM (SELECT "x1"."finess" AS "finess", "x1"."ward" AS "ward", "x1"."kind" AS "kind", "x1"."beds" AS "beds", "x1"."load" AS "load", "x1"."budget" AS "budget", "x1"."opened" AS "opened", "x1"."active" AS "active", "x1"."flags" AS "flags", CAST("x1"."big" AS INT128) AS "big", "x1"."ratio" AS "ratio" FROM "x1" AS "x1") AS "w", "x2" AS "c" WHERE "c"."holiday" AND "w"."kind" = 'surgery' ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, kind VARCHAR, lits INTEGER, load DOUBLE, budget DECIMAL(18,2), opened DATE, active BOOLEAN, flags UTINYINT, big HUGEINT, ratio FLOAT, label VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 846 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; calendar from cnam, about 968 bytes: it moves more bytes
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 1,029 bytes: it moves more bytes

-- # No column of a table is needed
SELECT count(*) AS n FROM calendar, (SELECT 1 AS c0) q, transfers WHERE c0 = 1;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT 1 AS "c0" FROM "transfers" AS "transfers"
--     -> x1 for s2: crosses as rows, about 25 rows and 100 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT 1 AS "c0" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at cnam, over x2
--     SELECT COUNT(*) AS "p0v" FROM "calendar" AS "calendar", (SELECT 1 AS "c0") AS "q", "x2" AS "transfers" WHERE "q"."c0" = 1
--     -> x3 for s4: crosses as rows, about 1 rows and 8 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT ANY_VALUE("p0v") AS "p0v" FROM "x3" AS "x3"
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 320 bytes: it moves more bytes
-- Not taken: run at lille, shipping calendar from cnam; transfers from lyon, nantes, about 184 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 192 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 200 bytes: 'lille' would have to send rows of 'transfers' to 'cnam', and the holder's policy does not let them go there.

-- # A share of the rows in order
SELECT ward, budget FROM wards ORDER BY budget LIMIT 20%;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "ward", "wards"."budget" AS "budget" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT ward, budget FROM (SELECT "x1"."ward" AS "ward", "x1"."budget" AS "budget" FROM "x1" AS "x1") AS "wards" ORDER BY budget LIMIT 20 PERCENT
--
-- Result: ward VARCHAR, budget DECIMAL(18,2)
-- Not pushed down: the query, which runs whole over rows: The construct LIMIT with limit_options is not among those that may run at a node.

-- # The node is a column, and asked for
SELECT w._node, u.t FROM wards w, unnest(w.tags) u(t) WHERE w._node = 'lille' AND u.t IS NOT NULL ORDER BY ALL;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT "w"."_node" AS "_node", "u"."t" AS "t" FROM "wards" AS "w" JOIN UNNEST("w"."tags") AS "u"("t") ON TRUE WHERE "w"."_node" = 'lille' AND NOT "u"."t" IS NULL ORDER BY ALL
--     -> x1 for s2: crosses as rows, about 1 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."_node" AS "_node", "x1"."t" AS "t" FROM "x1" AS "x1"
--
-- Result: _node VARCHAR, t VARCHAR

-- # A hash of whole rows
SELECT count(DISTINCT (finess, beds)) AS n, count(DISTINCT kind) AS k FROM wards;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."finess" AS "g0", "wards"."beds" AS "g1" FROM "wards" AS "wards" GROUP BY "wards"."finess", "wards"."beds"
--     -> x1 for s2: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x3 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT CAST(COALESCE("x2vw"."p0v", 0) AS BIGINT) AS "n", CAST(COALESCE("x2vw"."p1v", 0) AS BIGINT) AS "k" FROM (SELECT "x2v"."p0v" AS "p0v", "x4v"."p1v" AS "p1v" FROM (SELECT COUNT(DISTINCT ("g0", "g1")) AS "p0v" FROM "x2" AS "x2") AS "x2v" LEFT JOIN (SELECT COUNT("g0") AS "p1v" FROM "x4" AS "x4") AS "x4v" ON TRUE) AS "x2vw"
--
-- Result: n BIGINT, k BIGINT

-- # A column outside of the permit that only has the name of another
-- : grants={"hospitals": ["finess", "name"]}
SELECT w.beds, h.name FROM wards w FULL JOIN hospitals h ON h.finess = w.finess AND w.kind = 'surgery' ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."beds" AS "beds", "w"."finess" AS "finess", "w"."kind" AS "kind" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at cnam
--     SELECT "h"."name" AS "name", "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x2 for s3: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."beds" AS "beds", "h"."name" AS "name" FROM "x1" AS "w" FULL JOIN "x2" AS "h" ON "h"."finess" = "w"."finess" AND "w"."kind" = 'surgery' ORDER BY ALL
--
-- Result: beds INTEGER, name VARCHAR
-- Not pushed down: This FULL JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,040 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 1,400 bytes: it moves more bytes

-- # A filter and the columns that are asked for, and no more, cross
SELECT a.ward, b.ward AS other FROM wards a, wards b WHERE a.beds = b.flags AND a.kind = 'surgery' AND b.opened < DATE '1970-01-01' ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "a"."ward" AS "ward", "a"."beds" AS "beds", "a"."kind" AS "kind" FROM "wards" AS "a" WHERE "a"."kind" = 'surgery'
--     -> x1 for s3: crosses as rows, about 3 rows and 108 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "b"."ward" AS "ward", "b"."flags" AS "flags", "b"."opened" AS "opened" FROM "wards" AS "b" WHERE "b"."opened" < CAST('1970-01-01' AS DATE)
--     -> x2 for s3: crosses as rows, about 8 rows and 224 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "a"."ward" AS "ward", "b"."ward" AS "other" FROM "x1" AS "a", "x2" AS "b" WHERE "a"."beds" = "b"."flags" AND "a"."kind" = 'surgery' AND "b"."opened" < CAST('1970-01-01' AS DATE) ORDER BY ALL
--
-- Result: ward VARCHAR, other VARCHAR
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping wards from lyon, nantes; wards from lyon, nantes, about 192 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Groups of persons are pivoted at the coordinator
SELECT * FROM (SELECT region, sex, count(*) AS n FROM stays GROUP BY region, sex) PIVOT (sum(n) FOR sex IN ('F', 'M')) ORDER BY region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."sex" AS "g1", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."sex"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 48,000 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT * FROM (SELECT "x2"."g0" AS "region", "x2"."g1" AS "sex", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") PIVOT(SUM(n) FOR sex IN ('F', 'M')) ORDER BY region
--
-- Result: region VARCHAR, F HUGEINT, M HUGEINT
-- Not pushed down: the query, which runs whole over rows: The construct SUBQUERY with pivots is not among those that may run at a node.

-- # Groups of a WITH part are unpivoted, and joined with rows
WITH s AS (SELECT * FROM stays WHERE days > 3), g AS (SELECT region, count(*) AS n, sum(days) AS d FROM s GROUP BY region)
SELECT r.label, u.what, u.v FROM (UNPIVOT g ON n::DOUBLE AS n, d::DOUBLE AS d INTO NAME what VALUE v) u ASOF JOIN regions r ON r.region >= u.region ORDER BY ALL;
-- Plan with 4 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."region" AS "g0", COUNT(*) AS "p0v", SUM("s"."days") AS "p1s" FROM (SELECT "stays"."patient" AS "patient", "stays"."finess" AS "finess", "stays"."stay" AS "stay", "stays"."region" AS "region", "stays"."year" AS "year", "stays"."sex" AS "sex", "stays"."days" AS "days", "stays"."cost" AS "cost", "stays"."weight" AS "weight", "stays"."urgent" AS "urgent", "stays"."entered" AS "entered", "stays"."diagnosis" AS "diagnosis" FROM "stays" AS "stays" WHERE "stays"."days" > 3) AS "s" GROUP BY "s"."region"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 2,400 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s4: stays at the coordinator
--
-- s3 node at cnam
--     SELECT "regions"."region" AS "region", "regions"."label" AS "label" FROM "regions" AS "regions"
--     -> x3 for s4: crosses as rows, about 3 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x2, x3
--     SELECT r.label, u.what, u.v FROM (UNPIVOT (SELECT "g0" AS "region", CAST(COALESCE("p0v", 0) AS BIGINT) AS "n", CAST("p1s" AS INT128) AS "d" FROM "x2" AS "x2") AS "g" ON CAST(n AS DOUBLE) AS n, CAST(d AS DOUBLE) AS d INTO NAME what VALUE v) AS u ASOF JOIN (SELECT "x3"."region" AS "region", "x3"."label" AS "label" FROM "x3" AS "x3") AS r ON r.region >= u.region ORDER BY ALL
--
-- Result: label VARCHAR, what VARCHAR, v DOUBLE
-- Not pushed down: the query, which runs whole over rows: The construct JOIN with method is not among those that may run at a node.

-- # A list of persons' groups
SELECT region, list_transform(l, x -> x + 1) AS l FROM (SELECT region, list(n ORDER BY n) AS l FROM (SELECT region, sex, count(*) AS n FROM stays GROUP BY ALL) GROUP BY ALL) ORDER BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."region" AS "g0", "stays"."sex" AS "g1", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."region", "stays"."sex"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 48,000 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT region, LIST_TRANSFORM(l, LAMBDA x : x + 1) AS l FROM (SELECT region, ARRAY_AGG(n ORDER BY n) AS l FROM (SELECT "x2"."g0" AS "region", "x2"."g1" AS "sex", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") GROUP BY ALL) ORDER BY 1
--
-- Result: region VARCHAR, l BIGINT[]
-- Not pushed down: the query, which runs whole over rows: The function 'list_transform' is not among those that may run at a node.

-- # Rarer aggregates
SELECT kind, sem(beds) AS s, kurtosis_pop(beds) AS k, quantile(beds, 0.5) AS q, arg_max_null(ward, budget) AS a, arg_min_null(beds, budget) AS i FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "c0", "wards"."beds" AS "c1", "wards"."ward" AS "c2", "wards"."budget" AS "c3" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,300 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "kind", SEM("x1"."c1") AS "s", KURTOSIS_POP("x1"."c1") AS "k", QUANTILE("x1"."c1", 0.5) AS "q", ARG_MAX_NULL("x1"."c2", "x1"."c3") AS "a", ARG_MIN_NULL("x1"."c1", "x1"."c3") AS "i" FROM "x1" AS "x1" GROUP BY "x1"."c0" ORDER BY "kind"
--
-- Result: kind VARCHAR, s DOUBLE, k DOUBLE, q INTEGER, a VARCHAR, i INTEGER
-- Not pushed down: sem(...) cannot be split over several nodes yet: it has no small exact partial result.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 867 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # All fields of the elements of lists
SELECT unnest(parts, recursive := true) FROM devices ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "devices"."parts" AS "parts" FROM "devices" AS "devices"
--     -> x1 for s2: crosses as rows, about 12 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT UNNEST(parts, recursive := TRUE) FROM (SELECT "x1"."parts" AS "parts" FROM "x1" AS "x1") AS "devices" ORDER BY ALL
--
-- Result: id INTEGER, code VARCHAR
-- Not pushed down: the query, which runs whole over rows: The function 'unnest' is not among those that may run at a node.

-- # A collation
SELECT ward COLLATE NOCASE AS w, budget FROM wards ORDER BY ward COLLATE NOCASE DESC, budget LIMIT 3;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "ward", "wards"."budget" AS "budget" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT ward COLLATE NOCASE AS w, budget FROM (SELECT "x1"."ward" AS "ward", "x1"."budget" AS "budget" FROM "x1" AS "x1") AS "wards" ORDER BY ward COLLATE NOCASE DESC, budget LIMIT 3
--
-- Result: w VARCHAR, budget DECIMAL(18,2)
-- Not pushed down: the query, which runs whole over rows: The function 'Collate' is not among those that may run at a node.

-- # A set that is computed from its own rows, by key
WITH RECURSIVE t(a, b) USING KEY (a) AS (SELECT flags::INTEGER, 1 FROM wards UNION SELECT a, b + 1 FROM t WHERE b < 3) SELECT * FROM t ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."flags" AS "flags" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     WITH RECURSIVE t(a, b) USING KEY (a) AS (SELECT CAST(flags AS INT), 1 FROM (SELECT "x1"."flags" AS "flags" FROM "x1" AS "x1") AS "wards" UNION SELECT a, b + 1 FROM t WHERE b < 3) SELECT * FROM t ORDER BY ALL
--
-- Result: a INTEGER, b INTEGER
-- Not pushed down: the query, which runs whole over rows: The construct CTE with key_expressions is not among those that may run at a node.

-- # The rows of a derived table keep their order for LIMIT
SELECT list(ward) AS l FROM (SELECT ward FROM wards ORDER BY budget DESC LIMIT 4) q;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."budget" AS "c1" FROM "wards" AS "wards" ORDER BY "wards"."budget" DESC LIMIT 4
--     -> x1 for s2: crosses as rows, about 12 rows and 384 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT ARRAY_AGG("q"."ward") AS "l" FROM (SELECT "x1"."c0" AS "ward" FROM "x1" AS "x1" ORDER BY "x1"."c1" DESC LIMIT 4) AS "q"
--
-- Result: l VARCHAR[]
-- Not pushed down: A LIMIT chooses among rows of several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 480 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes, about 480 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
