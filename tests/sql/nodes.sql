-- The node pseudo-column: as a key, and to choose nodes.

-- # By node
SELECT _node, count(*) AS n FROM stays GROUP BY _node;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "stays"."_node" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" GROUP BY "stays"."_node"
--     -> x1 for s2: crosses as aggregate, about 60 rows and 1,440 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "_node", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: _node VARCHAR, n BIGINT

-- # A key that holds the node needs no formula: any aggregate
SELECT _node, median(beds) AS m, count(DISTINCT kind) AS k FROM wards GROUP BY _node;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."_node" AS "g0", MEDIAN("wards"."beds") AS "p0v", COUNT(DISTINCT "wards"."kind") AS "p1v" FROM "wards" AS "wards" GROUP BY "wards"."_node"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p0v") END AS "p0v", CASE WHEN COUNT(*) > 1 THEN ERROR('a group came from several nodes') ELSE ANY_VALUE("p1v") END AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "_node", CAST("x2"."p0v" AS DOUBLE) AS "m", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "k" FROM "x2" AS "x2"
--
-- Result: _node VARCHAR, m DOUBLE, k BIGINT

-- # Only the node that is asked for
SELECT region, count(*) AS n FROM stays WHERE _node = 'lyon' GROUP BY region;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at lyon
--     SELECT "stays"."region" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" WHERE "stays"."_node" = 'lyon' GROUP BY "stays"."region"
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

-- # Only the nodes of a list
SELECT _node, count(*) AS n FROM stays WHERE _node IN ('lyon', 'nantes') AND year = 2022 GROUP BY _node;
-- Plan with 3 stages at 2 nodes and the coordinator
--
-- s1 node at lyon, nantes
--     SELECT "stays"."_node" AS "g0", COUNT(*) AS "p0v" FROM "stays" AS "stays" WHERE "stays"."_node" IN ('lyon', 'nantes') AND "stays"."year" = 2022 GROUP BY "stays"."_node"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "_node", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: _node VARCHAR, n BIGINT

-- # At one node anything can be aggregated
SELECT kind, median(beds) AS m, count(DISTINCT active) AS a FROM wards w WHERE 'lille' = w._node GROUP BY kind;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT "w"."kind" AS "kind", MEDIAN("w"."beds") AS "m", COUNT(DISTINCT "w"."active") AS "a" FROM "wards" AS "w" WHERE 'lille' = "w"."_node" GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 1 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."kind" AS "kind", "x1"."m" AS "m", "x1"."a" AS "a" FROM "x1" AS "x1"
--
-- Result: kind VARCHAR, m DOUBLE, a BIGINT

-- # At one node persons can be counted
SELECT region, count(DISTINCT patient) AS persons FROM stays WHERE _node = 'lyon' GROUP BY region;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at lyon
--     SELECT "stays"."region" AS "g0", COUNT(DISTINCT "stays"."patient") AS "p0v" FROM "stays" AS "stays" WHERE "stays"."_node" = 'lyon' GROUP BY "stays"."region"
--     -> x1 for s2: crosses as aggregate, about 20 rows and 480 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "region", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "persons" FROM "x2" AS "x2"
--
-- Result: region VARCHAR, persons BIGINT

-- # A join follows the node
SELECT w.kind, count(*) AS n FROM wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward
WHERE w._node = 'lille' AND s._node = 'lille' GROUP BY w.kind;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT "w"."kind" AS "kind", COUNT(*) AS "n" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" WHERE "w"."_node" = 'lille' AND "s"."_node" = 'lille' GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 1 rows and 24 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."kind" AS "kind", "x1"."n" AS "n" FROM "x1" AS "x1"
--
-- Result: kind VARCHAR, n BIGINT

-- # A join by site key with one side's node
SELECT w.kind, count(*) AS n FROM wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward
WHERE w._node = 'lille' GROUP BY w.kind;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT "w"."kind" AS "kind", COUNT(*) AS "n" FROM "wards" AS "w" JOIN "shifts" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" WHERE "w"."_node" = 'lille' GROUP BY "w"."kind"
--     -> x1 for s2: crosses as rows, about 4 rows and 96 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."kind" AS "kind", "x1"."n" AS "n" FROM "x1" AS "x1"
--
-- Result: kind VARCHAR, n BIGINT

-- # The node of a derived table
SELECT kind, sum(beds) AS beds FROM (SELECT _node AS site, kind, beds FROM wards) WHERE site = 'nantes' GROUP BY kind;
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at nantes
--     SELECT "_0"."kind" AS "kind", SUM("_0"."beds") AS "beds" FROM (SELECT "wards"."_node" AS "site", "wards"."kind" AS "kind", "wards"."beds" AS "beds" FROM "wards" AS "wards") AS "_0" WHERE "_0"."site" = 'nantes' GROUP BY "_0"."kind"
--     -> x1 for s2: crosses as rows, about 1 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."kind" AS "kind", "x1"."beds" AS "beds" FROM (SELECT "x1"."kind" AS "kind", CAST("x1"."beds" AS INT128) AS "beds" FROM "x1" AS "x1") AS "x1"
--
-- Result: kind VARCHAR, beds HUGEINT

-- # A node that does not hold the table
SELECT count(*) AS n FROM wards WHERE _node = 'cnam';
-- Plan with 2 stages at 1 nodes and the coordinator
--
-- s1 node at lille
--     SELECT COUNT(*) AS "n" FROM "wards" AS "wards" WHERE "wards"."_node" = 'cnam'
--     -> x1 for s2: crosses as rows, about 1 rows and 8 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."n" AS "n" FROM "x1" AS "x1"
--
-- Result: n BIGINT

-- # A choice with OR asks every node
SELECT count(*) AS n FROM wards WHERE _node = 'lyon' OR beds > 20;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v" FROM "wards" AS "wards" WHERE "wards"."_node" = 'lyon' OR "wards"."beds" > 20
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

-- # The node of the side that a left join may leave out
SELECT w.finess, count(s.day) AS n FROM wards w LEFT JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward
WHERE s._node = 'lyon' GROUP BY w.finess;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "s"."day" AS "c0", "s"."finess" AS "c1", "s"."ward" AS "c2", "s"."_node" AS "c3" FROM "shifts" AS "s"
--     -> x1 for s2: crosses as rows, about 100 rows and 5,200 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "day", "x1"."c1" AS "finess", "x1"."c2" AS "ward", "x1"."c3" AS "_node" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 node at lille, lyon, nantes, over x2
--     SELECT "w"."finess" AS "g0", COUNT("s"."day") AS "p0v" FROM "wards" AS "w" LEFT JOIN "x2" AS "s" ON "s"."finess" = "w"."finess" AND "s"."ward" = "w"."ward" WHERE "s"."_node" = 'lyon' GROUP BY "w"."finess"
--     -> x3 for s4: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x4
--     SELECT "x4"."g0" AS "finess", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4"
--
-- Result: finess VARCHAR, n BIGINT
-- Not pushed down: This join's tables are not at the same nodes.
-- Not taken: run at lille, shipping shifts from lyon, nantes, about 7,040 bytes: it moves more bytes
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of finess; shifts from lille, lyon, nantes by hash of finess, about 3,468 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of ward; shifts from lille, lyon, nantes by hash of ward, about 4,012 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes; shifts from lyon, nantes, about 3,120 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # The node as a parameter
-- : parameters=["lyon"]
SELECT count(*) AS n FROM stays WHERE _node = ?;
-- Plan with 3 stages at 1 nodes and the coordinator
--
-- s1 node at lyon
--     SELECT COUNT(*) AS "p0v" FROM "stays" AS "stays" WHERE "stays"."_node" = 'lyon'
--     -> x1 for s2: crosses as aggregate, about 1 rows and 8 bytes; allowed by: protected tables: aggregates of groups with enough persons may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT ANY_VALUE("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2"
--
-- Result: n BIGINT
