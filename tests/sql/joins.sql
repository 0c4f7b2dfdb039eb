-- Joins: local by site key, by the node, or with copies that every node has; otherwise over rows that may move.

-- # A shard-local join by a site key
SELECT w.kind, sum(s.nurses) AS nurses, count(*) AS shifts
FROM wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", SUM("s"."nurses") AS "p0s", COUNT(*) AS "p1v" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 60 rows and 2,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s", SUM("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "nurses", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "shifts" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, nurses HUGEINT, shifts BIGINT

-- # The same with USING
SELECT kind, count(*) AS n FROM wards JOIN shifts USING (finess, ward) GROUP BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" JOIN "shifts" AS "shifts" ON "wards"."finess" = "shifts"."finess" AND "wards"."ward" = "shifts"."ward" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
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

-- # The same with the condition in WHERE
SELECT w.kind, max(s.nurses) AS nurses FROM wards w, shifts s
WHERE w.finess = s.finess AND w.ward = s.ward AND s.nurses > 2 GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", MAX("s"."nurses") AS "p0v" FROM "wards" AS "w", "shifts" AS "s" WHERE "w"."finess" = "s"."finess" AND "w"."ward" = "s"."ward" AND "s"."nurses" > 2 GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 30 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", MAX("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0v" AS INT) AS "nurses" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, nurses INTEGER

-- # Part of a longer key is a key when it is declared so
SELECT w.kind, count(*) AS n FROM wards w JOIN shifts s ON s.finess = w.finess GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A join by the node itself
SELECT w.kind, count(*) AS n FROM wards w JOIN transfers t ON t._node = w._node GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" JOIN "transfers" AS "t" ON "t"."_node" = "w"."_node" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A left join by a site key keeps wards without shifts
SELECT w.finess, w.ward, count(s.day) AS shifts, sum(s.nurses) AS nurses
FROM wards w LEFT JOIN shifts s USING (finess, ward) GROUP BY w.finess, w.ward;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "g0", "w"."ward" AS "g1", COUNT("s"."day") AS "p0v", SUM("s"."nurses") AS "p1s" FROM "wards" AS "w" LEFT JOIN "shifts" AS "s" ON "w"."finess" = "s"."finess" AND "w"."ward" = "s"."ward" GROUP BY "w"."finess", "w"."ward"
--     -> x1 for s2: crosses as rows, about 100 rows and 5,600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "finess", "x2"."g1" AS "ward", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "shifts", CAST("x2"."p1s" AS INT128) AS "nurses" FROM "x2" AS "x2"
--
-- Result: finess VARCHAR, ward VARCHAR, shifts BIGINT, nurses HUGEINT

-- # A right join by a site key
SELECT w.kind, count(*) AS n FROM shifts s RIGHT JOIN wards w ON s.ward = w.ward AND s.finess = w.finess GROUP BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "shifts" AS "s" RIGHT JOIN "wards" AS "w" ON "s"."ward" = "w"."ward" AND "s"."finess" = "w"."finess" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A full join by a site key
SELECT coalesce(w.ward, s.ward) AS ward, count(*) AS n
FROM wards w FULL JOIN shifts s ON s.ward = w.ward AND s.finess = w.finess GROUP BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COALESCE("w"."ward", "s"."ward") AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" FULL JOIN "shifts" AS "s" ON "s"."ward" = "w"."ward" AND "s"."finess" = "w"."finess" GROUP BY COALESCE("w"."ward", "s"."ward")
--     -> x1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "ward", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: ward VARCHAR, n BIGINT

-- # Groups of the side that an outer join may leave out span nodes
SELECT s.finess, median(w.beds) AS m FROM wards w LEFT JOIN shifts s ON s.ward = w.ward AND s.finess = w.finess
GROUP BY s.finess;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."finess" AS "g0", "w"."beds" AS "g1", COUNT(*) AS "n" FROM "wards" AS "w" LEFT JOIN "shifts" AS "s" ON "s"."ward" = "w"."ward" AND "s"."finess" = "w"."finess" GROUP BY "s"."finess", "w"."beds"
--     -> x1 for s2: crosses as rows, about 100 rows and 2,800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", CAST(SUM("n") AS BIGINT) AS "n" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2r"."g0" AS "finess", CAST("x2r"."p0v" AS DOUBLE) AS "m" FROM (SELECT "g0" AS "g0", MEDIAN("g1") AS "p0v" FROM (SELECT "g0" AS "g0", "g1" AS "g1", UNNEST(RANGE(0, CASE WHEN "g1" IS NULL THEN 1 ELSE "n" END)) AS "i" FROM "x2" AS "x2") AS r GROUP BY "g0") AS "x2r"
--
-- Result: finess VARCHAR, m DOUBLE

-- # Windows of the side that an outer join may leave out span nodes
SELECT w.finess, w.ward, row_number() OVER (PARTITION BY s.finess ORDER BY w.finess, w.ward, s.day) AS n
FROM wards w LEFT JOIN shifts s ON s.ward = w.ward AND s.finess = w.finess;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "c0", "w"."ward" AS "c1", "s"."finess" AS "c2", "s"."day" AS "c3" FROM "wards" AS "w" LEFT JOIN "shifts" AS "s" ON "s"."ward" = "w"."ward" AND "s"."finess" = "w"."finess"
--     -> x1 for s2: crosses as rows, about 100 rows and 5,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward", ROW_NUMBER() OVER (PARTITION BY "x1"."c2" ORDER BY "x1"."c0", "x1"."c1", "x1"."c3") AS "n" FROM "x1" AS "x1"
--
-- Result: finess VARCHAR, ward VARCHAR, n BIGINT
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 2,640 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Semi and anti joins by a site key
SELECT w.finess, w.ward FROM wards w SEMI JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "c0", "w"."ward" AS "c1" FROM "wards" AS "w" SEMI JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward"
--     -> x1 for s2: crosses as rows, about 100 rows and 3,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 5,600 bytes: it moves more bytes

-- # An anti join by a site key
SELECT w.finess, w.ward FROM wards w ANTI JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "c0", "w"."ward" AS "c1" FROM "wards" AS "w" ANTI JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward"
--     -> x1 for s2: crosses as rows, about 100 rows and 3,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "finess", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 5,600 bytes: it moves more bytes

-- # An inner join with a copy at every node
SELECT h.region, sum(w.beds) AS beds FROM wards w JOIN hospitals h ON h.finess = w.finess GROUP BY h.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", SUM("w"."beds") AS "p0s" FROM "wards" AS "w" JOIN "hospitals" AS "h" ON "h"."finess" = "w"."finess" GROUP BY "h"."region"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, beds HUGEINT

-- # The copy may stand first
SELECT h.region, sum(w.beds) AS beds FROM hospitals h JOIN wards w ON h.finess = w.finess GROUP BY h.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", SUM("w"."beds") AS "p0s" FROM "hospitals" AS "h" JOIN "wards" AS "w" ON "h"."finess" = "w"."finess" GROUP BY "h"."region"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, beds HUGEINT

-- # A left join from the sharded side keeps its rows once
SELECT h.region, count(*) AS n FROM transfers t LEFT JOIN hospitals h ON h.finess = t.target GROUP BY h.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", COUNT(*) AS "p0v" FROM "transfers" AS "t" LEFT JOIN "hospitals" AS "h" ON "h"."finess" = "t"."target" GROUP BY "h"."region"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A right join to the sharded side keeps its rows once
SELECT h.region, count(*) AS n FROM hospitals h RIGHT JOIN transfers t ON h.finess = t.target GROUP BY h.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", COUNT(*) AS "p0v" FROM "hospitals" AS "h" RIGHT JOIN "transfers" AS "t" ON "h"."finess" = "t"."target" GROUP BY "h"."region"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A left join that keeps the copy's rows cannot run at every node
SELECT h.finess, count(w.ward) AS wards FROM hospitals h LEFT JOIN wards w ON w.finess = h.finess GROUP BY h.finess;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "c0", "w"."finess" AS "c1" FROM "wards" AS "w"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "finess" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at cnam, over x2
--     SELECT "h"."finess" AS "g0", COUNT("w"."ward") AS "p0v" FROM "hospitals" AS "h" LEFT JOIN "x2" AS "w" ON "w"."finess" = "h"."finess" GROUP BY "h"."finess"
--     -> x3 for s4: crosses as rows, about 20 rows and 480 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "finess", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "wards" FROM "x4" AS "x4"
--
-- Result: finess VARCHAR, wards BIGINT
-- Not pushed down: This LEFT JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,280 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes, about 384 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 576 bytes: 'lille' would have to send rows of 'wards' to 'cnam', and the holder's policy does not let them go there.

-- # A full join with a copy cannot run at every node
SELECT h.name, t.patients FROM hospitals h FULL JOIN transfers t ON t.target = h.finess ORDER BY ALL;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "h"."name" AS "name", "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x1 for s3: crosses as rows, about 6 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "patients", "t"."target" AS "target" FROM "transfers" AS "t"
--     -> x2 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "h"."name" AS "name", "t"."patients" AS "patients" FROM "x1" AS "h" FULL JOIN "x2" AS "t" ON "t"."target" = "h"."finess" ORDER BY ALL
--
-- Result: name VARCHAR, patients INTEGER
-- Not pushed down: This FULL JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 800 bytes: it moves more bytes
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 1,000 bytes: it moves more bytes

-- # A cross join with a copy
SELECT count(*) AS n, sum(w.beds) AS beds FROM wards w CROSS JOIN hospitals h;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v", SUM("w"."beds") AS "p1s" FROM "wards" AS "w" CROSS JOIN "hospitals" AS "h"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS INT128) AS "beds" FROM "x2" AS "x2"
--
-- Result: n BIGINT, beds HUGEINT

-- # An anti join against a copy
SELECT t.target, count(*) AS n FROM transfers t ANTI JOIN hospitals h ON h.finess = t.target GROUP BY t.target;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."target" AS "g0", COUNT(*) AS "p0v" FROM "transfers" AS "t" ANTI JOIN "hospitals" AS "h" ON "h"."finess" = "t"."target" GROUP BY "t"."target"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "target", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: target VARCHAR, n BIGINT

-- # An anti join of a copy against shards
SELECT h.finess FROM hospitals h ANTI JOIN wards w ON w.finess = h.finess;
-- Plan with 3 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "h"."finess" AS "finess" FROM "hospitals" AS "h"
--     -> x1 for s3: crosses as rows, about 6 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess" FROM "wards" AS "w"
--     -> x2 for s3: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "h"."finess" AS "finess" FROM "x1" AS "h" ANTI JOIN "x2" AS "w" ON "w"."finess" = "h"."finess"
--
-- Result: finess VARCHAR
-- Not pushed down: This ANTI JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 640 bytes: it moves more bytes
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 800 bytes: it moves more bytes

-- # A join that is not by a site key: open rows go to the coordinator, filtered
SELECT w.ward, t.patients FROM wards w JOIN transfers t ON t.target = w.finess WHERE w.beds > 15 AND t.patients > 2
ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."ward" AS "ward", "w"."finess" AS "finess", "w"."beds" AS "beds" FROM "wards" AS "w" WHERE "w"."beds" > 15
--     -> x1 for s3: crosses as rows, about 8 rows and 288 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "patients", "t"."target" AS "target" FROM "transfers" AS "t" WHERE "t"."patients" > 2
--     -> x2 for s3: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."ward" AS "ward", "t"."patients" AS "patients" FROM "x1" AS "w" JOIN "x2" AS "t" ON "t"."target" = "w"."finess" WHERE "w"."beds" > 15 AND "t"."patients" > 2 ORDER BY ALL
--
-- Result: ward VARCHAR, patients INTEGER
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 320 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # ... and an aggregate over it
SELECT w.kind, sum(t.patients) AS patients FROM wards w JOIN transfers t ON t.target = w.finess GROUP BY w.kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "c0", "t"."target" AS "c1" FROM "transfers" AS "t"
--     -> x1 for s2: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "patients", "x1"."c1" AS "target" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "w"."kind" AS "g0", SUM("t"."patients") AS "p0s" FROM "wards" AS "w" JOIN "x2" AS "t" ON "t"."target" = "w"."finess" GROUP BY "w"."kind"
--     -> x3 for s4: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "kind", CAST("x4"."p0s" AS INT128) AS "patients" FROM "x4" AS "x4"
--
-- Result: kind VARCHAR, patients HUGEINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 800 bytes: it moves more bytes
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 780 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # A left join that is not by a site key filters nothing beforehand
SELECT w.finess, w.ward, t.patients FROM wards w LEFT JOIN transfers t ON t.target = w.finess AND t.patients > 3
WHERE t.patients IS NULL OR w.beds > 15 ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward", "w"."beds" AS "beds" FROM "wards" AS "w"
--     -> x1 for s3: crosses as rows, about 25 rows and 900 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 node at lille, lyon, nantes
--     SELECT "t"."patients" AS "patients", "t"."target" AS "target" FROM "transfers" AS "t"
--     -> x2 for s3: crosses as rows, about 25 rows and 500 bytes; allowed by: tables that are not protected: rows may leave
--
-- s3 finish at the coordinator, over x1, x2
--     SELECT "w"."finess" AS "finess", "w"."ward" AS "ward", "t"."patients" AS "patients" FROM "x1" AS "w" LEFT JOIN "x2" AS "t" ON "t"."target" = "w"."finess" AND "t"."patients" > 3 WHERE "t"."patients" IS NULL OR "w"."beds" > 15 ORDER BY ALL
--
-- Result: finess VARCHAR, ward VARCHAR, patients INTEGER
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping transfers from lille, lyon, nantes, about 1,380 bytes: 'lille' would have to send rows of 'transfers' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; transfers from lyon, nantes, about 1,540 bytes: it moves more bytes

-- # Tables of different nodes
SELECT c.label, sum(s.nurses) AS nurses FROM shifts s JOIN calendar c ON c.day = s.day GROUP BY c.label ORDER BY c.label;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "c"."label" AS "label", "c"."day" AS "day" FROM "calendar" AS "c"
--     -> x1 for s2: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."label" AS "label", "x1"."day" AS "day" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "c"."label" AS "g0", SUM("s"."nurses") AS "p0s" FROM "shifts" AS "s" JOIN "x2" AS "c" ON "c"."day" = "s"."day" GROUP BY "c"."label"
--     -> x3 for s4: crosses as rows, about 60 rows and 1,920 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "label", CAST("x4"."p0s" AS INT128) AS "nurses" FROM "x4" AS "x4" ORDER BY "label"
--
-- Result: label VARCHAR, nurses HUGEINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at cnam, shipping shifts from lille, lyon, nantes, about 480 bytes: 'lille' would have to send rows of 'shifts' to 'cnam', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping shifts from lyon, nantes; calendar from cnam, about 480 bytes: 'lyon' would have to send rows of 'shifts' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 480 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.

-- # Three tables
SELECT h.region, w.kind, sum(s.nurses) AS nurses, avg(s.hours) AS hours
FROM wards w JOIN shifts s USING (finess, ward) JOIN hospitals h USING (finess) GROUP BY ALL ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", "w"."kind" AS "g1", SUM("s"."nurses") AS "p0s", FSUM(CAST("s"."hours" AS DOUBLE)) AS "p1s", SUM(CAST("s"."hours" AS DOUBLE)) AS "p1i", COUNT("s"."hours") AS "p1n" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "w"."finess" = "s"."finess" AND "w"."ward" = "s"."ward" JOIN "hospitals" AS "h" ON "w"."finess" = "h"."finess" GROUP BY "h"."region", "w"."kind"
--     -> x1 for s2: crosses as rows, about 100 rows and 7,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", "p0s" AS "p0s", CASE WHEN ISFINITE("p1i") THEN CASE WHEN "p1c" = 0 THEN NULL ELSE (COALESCE("p1s_0", CAST(0 AS DOUBLE)) + COALESCE("p1s_1", CAST(0 AS DOUBLE)) + COALESCE("p1s_2", CAST(0 AS DOUBLE))) END ELSE "p1i" END AS "p1t", "p1n" AS "p1n" FROM (SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0s") AS "p0s", MAX("p1s") FILTER(WHERE "_shard" = 0) AS "p1s_0", MAX("p1s") FILTER(WHERE "_shard" = 1) AS "p1s_1", MAX("p1s") FILTER(WHERE "_shard" = 2) AS "p1s_2", SUM("p1i") AS "p1i", COUNT("p1s") AS "p1c", SUM("p1n") AS "p1n" FROM "x1" AS "x1" GROUP BY "g0", "g1") AS m
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", "x2"."g1" AS "kind", CAST("x2"."p0s" AS INT128) AS "nurses", CAST(("x2"."p1t" / CAST("x2"."p1n" AS DOUBLE)) AS DOUBLE) AS "hours" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: region VARCHAR, kind VARCHAR, nurses HUGEINT, hours DOUBLE

-- # A self join by a site key
SELECT a.ward AS a, b.ward AS b, count(*) AS n FROM wards a JOIN wards b ON a.finess = b.finess AND a.beds < b.beds
GROUP BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "a"."ward" AS "g0", "b"."ward" AS "g1", COUNT(*) AS "p0v" FROM "wards" AS "a" JOIN "wards" AS "b" ON "a"."finess" = "b"."finess" AND "a"."beds" < "b"."beds" GROUP BY "a"."ward", "b"."ward"
--     -> x1 for s2: crosses as rows, about 8 rows and 320 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "a", "x2"."g1" AS "b", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: a VARCHAR, b VARCHAR, n BIGINT

-- # A join of derived tables by a site key
SELECT x.kind, sum(y.n) AS n
FROM (SELECT finess, ward, kind FROM wards WHERE active) x
JOIN (SELECT finess, ward, count(*) AS n FROM shifts GROUP BY finess, ward) y ON x.finess = y.finess AND x.ward = y.ward
GROUP BY x.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x"."kind" AS "g0", SUM("y"."n") AS "p0s" FROM (SELECT "wards"."finess" AS "finess", "wards"."ward" AS "ward", "wards"."kind" AS "kind" FROM "wards" AS "wards" WHERE "wards"."active") AS "x" JOIN (SELECT "shifts"."finess" AS "finess", "shifts"."ward" AS "ward", COUNT(*) AS "n" FROM "shifts" AS "shifts" GROUP BY "shifts"."finess", "shifts"."ward") AS "y" ON "x"."finess" = "y"."finess" AND "x"."ward" = "y"."ward" GROUP BY "x"."kind"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,920 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "n" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, n HUGEINT

-- # A natural join with a copy
SELECT count(*) AS n FROM transfers NATURAL JOIN (SELECT finess AS target, name FROM hospitals);
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "transfers" AS "transfers" JOIN (SELECT "hospitals"."finess" AS "target", "hospitals"."name" AS "name" FROM "hospitals" AS "hospitals") AS "_0" ON "transfers"."target" = "_0"."target"
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

-- # Persons: stays with their acts, by the stay's key
SELECT a.code, count(*) AS acts, sum(a.price) AS price, avg(s.days) AS days
FROM stays s JOIN acts a ON a.finess = s.finess AND a.stay = s.stay AND a.patient = s.patient GROUP BY a.code;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "a"."code" AS "g0", COUNT(*) AS "p0v", SUM("a"."price") AS "p1s", SUM("s"."days") AS "p2s", COUNT("s"."days") AS "p2n" FROM "stays" AS "s" JOIN "acts" AS "a" ON "a"."finess" = "s"."finess" AND "a"."stay" = "s"."stay" AND "a"."patient" = "s"."patient" GROUP BY "a"."code"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 3,840 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s", SUM("p2s") AS "p2s", SUM("p2n") AS "p2n" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "code", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "acts", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "price", CAST((CAST("x2"."p2s" AS DOUBLE) / CAST("x2"."p2n" AS DOUBLE)) AS DOUBLE) AS "days" FROM "x2" AS "x2"
--
-- Result: code VARCHAR, acts BIGINT, price DECIMAL(38,2), days DOUBLE

-- # Persons with a copy at every node
SELECT h.name, s.year, count(*) AS n, sum(s.cost) AS cost FROM stays s JOIN hospitals h ON h.finess = s.finess
GROUP BY h.name, s.year ORDER BY 1, 2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."name" AS "g0", "s"."year" AS "g1", COUNT(*) AS "p0v", SUM("s"."cost") AS "p1s" FROM "stays" AS "s" JOIN "hospitals" AS "h" ON "h"."finess" = "s"."finess" GROUP BY "h"."name", "s"."year"
--     -> x1 for s2: crosses as aggregate, about 1,200 rows and 52,800 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "name", "x2"."g1" AS "year", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n", CAST("x2"."p1s" AS DECIMAL(38, 2)) AS "cost" FROM "x2" AS "x2" ORDER BY "name", "year"
--
-- Result: name VARCHAR, year INTEGER, n BIGINT, cost DECIMAL(38,2)

-- # Persons with a copy that only another node has: it is handed to the nodes
SELECT r.label, count(*) AS n FROM stays s JOIN regions r ON r.region = s.region GROUP BY r.label ORDER BY r.label;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "r"."label" AS "label", "r"."region" AS "region" FROM "regions" AS "r"
--     -> x1 for s2: crosses as rows, about 3 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."label" AS "label", "x1"."region" AS "region" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "r"."label" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "s" JOIN "x2" AS "r" ON "r"."region" = "s"."region" GROUP BY "r"."label"
--     -> x3 for s4: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "label", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4" ORDER BY "label"
--
-- Result: label VARCHAR, n BIGINT
-- Not pushed down: This join's tables are not at the same nodes.
-- Not taken: run at lille, lyon, nantes, shipping regions from cnam, about 288 bytes: 'cnam' would have to send rows of 'regions' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping stays from lyon, nantes; regions from cnam, about 23,136 bytes: it moves more bytes
-- Not taken: run at cnam, shipping stays from lille, lyon, nantes, about 34,560 bytes: it moves more bytes

-- # ... also in a left join
SELECT r.label, count(*) AS n FROM stays s LEFT JOIN regions r ON r.region = s.region GROUP BY r.label;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "r"."label" AS "label", "r"."region" AS "region" FROM "regions" AS "r"
--     -> x1 for s2: crosses as rows, about 3 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."label" AS "label", "x1"."region" AS "region" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "r"."label" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "s" LEFT JOIN "x2" AS "r" ON "r"."region" = "s"."region" GROUP BY "r"."label"
--     -> x3 for s4: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "label", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: label VARCHAR, n BIGINT
-- Not pushed down: This join's tables are not at the same nodes.
-- Not taken: run at lille, lyon, nantes, shipping regions from cnam, about 288 bytes: 'cnam' would have to send rows of 'regions' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping stays from lyon, nantes; regions from cnam, about 23,136 bytes: it moves more bytes
-- Not taken: run at cnam, shipping stays from lille, lyon, nantes, about 34,560 bytes: it moves more bytes

-- # Persons with open rows of all nodes: they are handed to the nodes
SELECT t.origin, count(*) AS n FROM stays s JOIN transfers t ON t.target = s.finess GROUP BY t.origin;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."origin" AS "c0", "t"."target" AS "c1" FROM "transfers" AS "t"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "origin", "x1"."c1" AS "target" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "t"."origin" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "s" JOIN "x2" AS "t" ON "t"."target" = "s"."finess" GROUP BY "t"."origin"
--     -> x3 for s4: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "origin", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: origin VARCHAR, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 1,280 bytes: it moves more bytes
-- Not taken: run at lille, shipping stays from lyon, nantes; transfers from lyon, nantes, about 23,520 bytes: it moves more bytes

-- # Persons with an aggregate of another node
SELECT g.holidays, s.year, count(*) AS n FROM stays s JOIN (SELECT holiday, count(*) AS holidays FROM calendar GROUP BY holiday) g
ON g.holiday = s.urgent GROUP BY ALL;
-- Plan with 5 stages at 4 nodes and the coordinator
--
-- s1 node at cnam
--     SELECT "g"."holidays" AS "holidays", "g"."holiday" AS "holiday" FROM (SELECT "calendar"."holiday" AS "holiday", COUNT(*) AS "holidays" FROM "calendar" AS "calendar" GROUP BY "calendar"."holiday") AS "g"
--     -> x1 for s2: crosses as rows, about 8 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."holidays" AS "holidays", "x1"."holiday" AS "holiday" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "g"."holidays" AS "g0", "s"."year" AS "g1", COUNT(*) AS "p0v" FROM "stays" AS "s" JOIN "x2" AS "g" ON "g"."holiday" = "s"."urgent" GROUP BY "g"."holidays", "s"."year"
--     -> x3 for s4: crosses as aggregate, about 1,200 rows and 24,000 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "holidays", "x4"."g1" AS "year", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: holidays BIGINT, year INTEGER, n BIGINT
-- Not pushed down: This join may bring together rows of different nodes: it does not equate a site key.
-- Not taken: run at lille, lyon, nantes, shipping calendar from cnam, about 384 bytes: 'cnam' would have to send rows of 'calendar' to 'lille', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping stays from lyon, nantes; calendar from cnam, about 12,608 bytes: 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Not taken: run at cnam, shipping stays from lille, lyon, nantes, about 18,720 bytes: 'lille' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.

-- # Parentheses around the first joins
SELECT h.region, count(*) AS n FROM (wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward) JOIN hospitals h ON h.finess = w.finess
GROUP BY h.region;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "h"."region" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" JOIN "hospitals" AS "h" ON "h"."finess" = "w"."finess" GROUP BY "h"."region"
--     -> x1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
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

-- # A site key that may be NULL joins at its node: NULL equals nothing
SELECT w.kind, r.reason, count(*) AS n FROM wards w JOIN referrals r ON r.finess = w.finess AND r.ward = w.ward
GROUP BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", "r"."reason" AS "g1", COUNT(*) AS "p0v" FROM "wards" AS "w" JOIN "referrals" AS "r" ON "r"."finess" = "w"."finess" AND "r"."ward" = "w"."ward" GROUP BY "w"."kind", "r"."reason"
--     -> x1 for s2: crosses as rows, about 35 rows and 1,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", "x2"."g1" AS "reason", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: kind VARCHAR, reason VARCHAR, n BIGINT

-- # Groups of a site key that may be NULL are merged: those of NULL are at every node
SELECT ticket, count(*) AS n FROM referrals GROUP BY ticket;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "referrals"."ticket" AS "g0", COUNT(*) AS "p0v" FROM "referrals" AS "referrals" GROUP BY "referrals"."ticket"
--     -> x1 for s2: crosses as rows, about 35 rows and 840 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "ticket", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: ticket VARCHAR, n BIGINT

-- # Values of a site key are counted at each node, those that are NULL at none
SELECT reason, count(DISTINCT ticket) AS n FROM referrals GROUP BY reason;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "referrals"."reason" AS "g0", COUNT(DISTINCT "referrals"."ticket") AS "p0v" FROM "referrals" AS "referrals" GROUP BY "referrals"."reason"
--     -> x1 for s2: crosses as rows, about 35 rows and 840 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "reason", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: reason VARCHAR, n BIGINT
