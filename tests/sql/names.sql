-- How names are understood: aliases against columns, case, quoting, and names that the planner itself uses.

-- # In WHERE the column wins over the alias
SELECT beds + 100 AS beds FROM wards WHERE beds < 15 ORDER BY 1;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0" FROM "wards" AS "wards" WHERE "wards"."beds" < 15
--     -> x1 for s2: crosses as rows, about 8 rows and 32 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" + 100 AS "beds" FROM "x1" AS "x1" ORDER BY "beds"
--
-- Result: beds INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 84 bytes: it moves more bytes

-- # In WHERE an alias that is no column
SELECT beds * 2 AS twice, ward FROM wards WHERE twice > 40 ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0", "wards"."ward" AS "c1" FROM "wards" AS "wards" WHERE ("wards"."beds" * 2) > 40
--     -> x1 for s2: crosses as rows, about 8 rows and 160 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" * 2 AS "twice", "x1"."c1" AS "ward" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: twice INTEGER, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 292 bytes: it moves more bytes

-- # In HAVING an alias that is also a column
SELECT kind, sum(beds) AS beds FROM wards GROUP BY kind HAVING sum(beds) > 60 ORDER BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "beds" FROM "x2" AS "x2" WHERE CAST("x2"."p0s" AS INT128) > 60 ORDER BY "kind"
--
-- Result: kind VARCHAR, beds HUGEINT

-- # In ORDER BY the alias wins over the column
SELECT -beds AS beds, finess, ward FROM wards WHERE beds IS NOT NULL ORDER BY beds, finess, ward LIMIT 3;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."beds" AS "c0", "wards"."finess" AS "c1", "wards"."ward" AS "c2" FROM "wards" AS "wards" WHERE NOT "wards"."beds" IS NULL ORDER BY -"wards"."beds", "wards"."finess", "wards"."ward" LIMIT 3
--     -> x1 for s2: crosses as rows, about 9 rows and 324 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT -"x1"."c0" AS "beds", "x1"."c1" AS "finess", "x1"."c2" AS "ward" FROM "x1" AS "x1" ORDER BY "beds", "finess", "ward" LIMIT 3
--
-- Result: beds INTEGER, finess VARCHAR, ward VARCHAR
-- Not taken: run at lille, shipping wards from lyon, nantes, about 504 bytes: it moves more bytes

-- # In ORDER BY of groups the alias wins
SELECT kind, -count(*) AS kind_count, max(ward) AS ward FROM wards GROUP BY kind ORDER BY kind_count, kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v", MAX("wards"."ward") AS "p1v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", MAX("p1v") AS "p1v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", -CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "kind_count", CAST("x2"."p1v" AS TEXT) AS "ward" FROM "x2" AS "x2" ORDER BY "kind_count", "kind"
--
-- Result: kind VARCHAR, kind_count BIGINT, ward VARCHAR

-- # An alias used by the next output
SELECT kind, sum(beds) AS s, s * 2 AS twice, s + twice AS both FROM wards GROUP BY kind ORDER BY kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", SUM("wards"."beds") AS "p0s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST("x2"."p0s" AS INT128) AS "s", CAST("x2"."p0s" AS INT128) * 2 AS "twice", CAST("x2"."p0s" AS INT128) + CAST("x2"."p0s" AS INT128) * 2 AS "both" FROM "x2" AS "x2" ORDER BY "kind"
--
-- Result: kind VARCHAR, s HUGEINT, twice HUGEINT, both HUGEINT

-- # An alias used by the next output, hidden by a column
SELECT ward, beds AS flags, flags + 1 AS x FROM wards ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1", "wards"."flags" AS "c2" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 25 rows and 700 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "flags", "x1"."c2" + 1 AS "x" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: ward VARCHAR, flags INTEGER, x UTINYINT
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,120 bytes: it moves more bytes

-- # Case does not matter
select WARD, Beds as B from WARDS where KIND = 'surgery' order by B, WARD;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."ward" AS "c0", "wards"."beds" AS "c1" FROM "wards" AS "wards" WHERE "wards"."kind" = 'surgery'
--     -> x1 for s2: crosses as rows, about 3 rows and 60 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "ward", "x1"."c1" AS "B" FROM "x1" AS "x1" ORDER BY "b", "ward"
--
-- Result: ward VARCHAR, B INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 100 bytes: it moves more bytes

-- # Quoted names
SELECT "ward" AS "Ward of ""A""", sum("beds") AS "sum(beds) #1" FROM "wards" AS "My Wards" GROUP BY "My Wards"."ward" ORDER BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "my wards"."ward" AS "g0", SUM("my wards"."beds") AS "p0s" FROM "wards" AS "my wards" GROUP BY "my wards"."ward"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "Ward of ""A""", CAST("x2"."p0s" AS INT128) AS "sum(beds) #1" FROM "x2" AS "x2" ORDER BY "ward of ""a"""
--
-- Result: Ward of "A" VARCHAR, sum(beds) #1 HUGEINT

-- # Words of the language as names
SELECT "select"."ward" AS "from", count(*) AS "group" FROM wards AS "select" GROUP BY ALL ORDER BY ALL;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "select"."ward" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "select" GROUP BY "select"."ward"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "from", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "group" FROM "x2" AS "x2" ORDER BY ALL
--
-- Result: from VARCHAR, group BIGINT

-- # Names outside of ASCII
SELECT ward AS "été", count(*) AS "数" FROM wards AS "hôpital" WHERE "hôpital".ward <> 'Ü' GROUP BY "été" ORDER BY "été";
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "hôpital"."ward" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "hôpital" WHERE "hôpital"."ward" <> 'Ü' GROUP BY "hôpital"."ward"
--     -> x1 for s2: crosses as rows, about 23 rows and 552 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "été", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "数" FROM "x2" AS "x2" ORDER BY "été"
--
-- Result: été VARCHAR, 数 BIGINT

-- # Names like those of exchanges
SELECT x1.kind AS x2, count(*) AS x3 FROM wards AS x1 JOIN shifts AS x2 ON x1.finess = x2.finess AND x1.ward = x2.ward GROUP BY x1.kind ORDER BY x2;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "x1"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "x1" JOIN "shifts" AS "x2" ON "x1"."finess" = "x2"."finess" AND "x1"."ward" = "x2"."ward" GROUP BY "x1"."kind"
--     -> xx1 for s2: crosses as rows, about 60 rows and 1,440 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over xx1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "xx1" AS "xx1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> xx2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over xx2
--     SELECT "xx2"."g0" AS "x2", CAST(COALESCE("xx2"."p0v", 0) AS BIGINT) AS "x3" FROM "xx2" AS "xx2" ORDER BY "x2"
--
-- Result: x2 VARCHAR, x3 BIGINT

-- # Names like those of partials
WITH x AS (SELECT kind AS g0, count(*) AS p0v, sum(beds) AS p1s, 1 AS gid FROM wards GROUP BY kind)
SELECT g0, p0v, p1s, gid, (SELECT count(*) FROM wards w WHERE w.kind = x.g0) AS c0 FROM x ORDER BY g0;
-- Plan with 4 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v", SUM("wards"."beds") AS "p1s" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v", SUM("p1s") AS "p1s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s4: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "kind" FROM "wards" AS "w"
--     -> x3 for s4: crosses as rows, about 25 rows and 400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 finish at the coordinator, over x2, x3
--     SELECT "x"."g0" AS "g0", "x"."p0v" AS "p0v", "x"."p1s" AS "p1s", "x"."gid" AS "gid", (SELECT COUNT(*) AS "_col_0" FROM "x3" AS "w" WHERE "w"."kind" = "x"."g0") AS "c0" FROM (SELECT "x2"."g0" AS "g0", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "p0v", CAST("x2"."p1s" AS INT128) AS "p1s", 1 AS "gid" FROM "x2" AS "x2") AS "x" ORDER BY "g0"
--
-- Result: g0 VARCHAR, p0v BIGINT, p1s HUGEINT, gid INTEGER, c0 BIGINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,300 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # Derived tables named like the merge's own
SELECT m.kind, c.n FROM (SELECT kind, stddev(beds) AS s FROM wards GROUP BY kind) m JOIN (SELECT kind, count(*) AS n FROM wards GROUP BY kind) c
USING (kind) ORDER BY m.kind;
-- Plan with 5 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", REGR_COUNT(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0n", REGR_AVGX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0m", REGR_SXX(CAST("wards"."beds" AS DOUBLE), CAST("wards"."beds" AS DOUBLE)) AS "p0q" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "p0n" AS "p0n", COALESCE("p0q_0" + CAST("p0n_0" AS DOUBLE) * ("p0m_0" - "p0u") * ("p0m_0" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_1" + CAST("p0n_1" AS DOUBLE) * ("p0m_1" - "p0u") * ("p0m_1" - "p0u"), CAST(0 AS DOUBLE)) + COALESCE("p0q_2" + CAST("p0n_2" AS DOUBLE) * ("p0m_2" - "p0u") * ("p0m_2" - "p0u"), CAST(0 AS DOUBLE)) AS "p0q" FROM (SELECT "g0" AS "g0", CAST("p0n" AS DOUBLE) AS "p0n", "p0n_0" AS "p0n_0", "p0n_1" AS "p0n_1", "p0n_2" AS "p0n_2", "p0m_0" AS "p0m_0", "p0m_1" AS "p0m_1", "p0m_2" AS "p0m_2", "p0q_0" AS "p0q_0", "p0q_1" AS "p0q_1", "p0q_2" AS "p0q_2", (COALESCE(CAST("p0n_0" AS DOUBLE) * "p0m_0", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_1" AS DOUBLE) * "p0m_1", CAST(0 AS DOUBLE)) + COALESCE(CAST("p0n_2" AS DOUBLE) * "p0m_2", CAST(0 AS DOUBLE))) / CAST("p0n" AS DOUBLE) AS "p0u" FROM (SELECT "g0" AS "g0", SUM("p0n") AS "p0n", MAX("p0n") FILTER(WHERE "_shard" = 0) AS "p0n_0", MAX("p0n") FILTER(WHERE "_shard" = 1) AS "p0n_1", MAX("p0n") FILTER(WHERE "_shard" = 2) AS "p0n_2", MAX("p0m") FILTER(WHERE "_shard" = 0) AS "p0m_0", MAX("p0m") FILTER(WHERE "_shard" = 1) AS "p0m_1", MAX("p0m") FILTER(WHERE "_shard" = 2) AS "p0m_2", MAX("p0q") FILTER(WHERE "_shard" = 0) AS "p0q_0", MAX("p0q") FILTER(WHERE "_shard" = 1) AS "p0q_1", MAX("p0q") FILTER(WHERE "_shard" = 2) AS "p0q_2" FROM "x1" AS "x1" GROUP BY "g0") AS m) AS c
--     may be cut by hash of: g0
--     -> x2 for s5: stays at the coordinator
--
-- s3 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" GROUP BY "wards"."kind"
--     -> x3 for s4: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s4 merge at the coordinator, over x3
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x3" AS "x3" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x4 for s5: stays at the coordinator
--
-- s5 finish at the coordinator, over x2, x4
--     SELECT "m"."kind" AS "kind", "c"."n" AS "n" FROM (SELECT "x2"."g0" AS "kind", CAST(CASE WHEN "x2"."p0n" >= 2 THEN SQRT("x2"."p0q" / ("x2"."p0n" - 1)) ELSE NULL END AS DOUBLE) AS "s" FROM "x2" AS "x2") AS "m" JOIN (SELECT "x4"."g0" AS "kind", CAST(COALESCE("x4"."p0v", 0) AS BIGINT) AS "n" FROM "x4" AS "x4") AS "c" ON "m"."kind" = "c"."kind" ORDER BY "m"."kind"
--
-- Result: kind VARCHAR, n BIGINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 700 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # The same alias at two levels
SELECT w.kind, sum(w.n) AS n FROM (SELECT w.kind, w.ward, count(*) AS n FROM wards w GROUP BY w.kind, w.ward) w GROUP BY w.kind ORDER BY w.kind;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."kind" AS "g0", "w"."ward" AS "g1", COUNT(*) AS "p0v" FROM "wards" AS "w" GROUP BY "w"."kind", "w"."ward"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,000 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", "g1" AS "g1", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0", "g1"
--     may be cut by hash of: g0, g1
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "w"."kind" AS "kind", SUM("w"."n") AS "n" FROM (SELECT "x2"."g0" AS "kind", "x2"."g1" AS "ward", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2") AS "w" GROUP BY "w"."kind" ORDER BY "kind"
--
-- Result: kind VARCHAR, n HUGEINT
-- Not pushed down: Groups of this aggregation may have rows at several nodes.
-- Not taken: run at lille, lyon, nantes, shipping wards from lille, lyon, nantes by hash of kind, about 534 bytes: 'lille' would have to send rows of 'wards' to 'lyon', and the holder's policy does not let them go there.
-- Not taken: run at lille, shipping wards from lyon, nantes, about 480 bytes: 'lyon' would have to send rows of 'wards' to 'lille', and the holder's policy does not let them go there.

-- # An alias of a subquery hides that of the query around it
SELECT w.kind, count(*) AS n FROM wards w WHERE w.beds > (SELECT min(w.nurses) FROM shifts w) GROUP BY w.kind ORDER BY w.kind;
-- Plan with 6 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT MIN("w"."nurses") AS "p0v" FROM "shifts" AS "w"
--     -> x1 for s2: crosses as rows, about 3 rows and 12 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT MIN("p0v") AS "p0v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST("x2"."p0v" AS INT) AS "_col_0" FROM "x2" AS "x2"
--     -> x3 for s4: stays at the coordinator
--
-- s4 node at lille, lyon, nantes, over x3
--     SELECT "w"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "w" WHERE "w"."beds" > (SELECT "x3"."_col_0" AS "_col_0" FROM "x3" AS "x3") GROUP BY "w"."kind"
--     -> x4 for s5: crosses as rows, about 8 rows and 192 bytes; allowed by: tables that are not protected: rows may leave
--
-- s5 merge at the coordinator, over x4
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x4" AS "x4" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x5 for s6: stays at the coordinator
--
-- s6 finish at the coordinator, over x5
--     SELECT "x5"."g0" AS "kind", CAST(COALESCE("x5"."p0v", 0) AS BIGINT) AS "n" FROM "x5" AS "x5" ORDER BY "kind"
--
-- Result: kind VARCHAR, n BIGINT

-- # Columns of a derived table renamed
SELECT t.a, sum(t.b) AS b FROM (SELECT kind, beds FROM wards) AS t (a, b) GROUP BY t.a ORDER BY t.a;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."a" AS "g0", SUM("t"."b") AS "p0s" FROM (SELECT "wards"."kind" AS "a", "wards"."beds" AS "b" FROM "wards" AS "wards") AS "t" GROUP BY "t"."a"
--     -> x1 for s2: crosses as rows, about 25 rows and 800 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0s") AS "p0s" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "a", CAST("x2"."p0s" AS INT128) AS "b" FROM "x2" AS "x2" ORDER BY "a"
--
-- Result: a VARCHAR, b HUGEINT

-- # A table without an alias, twice
SELECT wards.kind, count(*) AS n FROM wards JOIN wards AS other ON other.finess = wards.finess AND other.ward = wards.ward GROUP BY wards.kind ORDER BY 1;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "wards"."kind" AS "g0", COUNT(*) AS "p0v" FROM "wards" AS "wards" JOIN "wards" AS "other" ON "other"."finess" = "wards"."finess" AND "other"."ward" = "wards"."ward" GROUP BY "wards"."kind"
--     -> x1 for s2: crosses as rows, about 25 rows and 600 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT "g0" AS "g0", SUM("p0v") AS "p0v" FROM "x1" AS "x1" GROUP BY "g0"
--     may be cut by hash of: g0
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT "x2"."g0" AS "kind", CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "n" FROM "x2" AS "x2" ORDER BY "kind"
--
-- Result: kind VARCHAR, n BIGINT

-- # Star with a joined copy
SELECT t.*, h.name FROM transfers t JOIN hospitals h ON h.finess = t.target ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "t"."origin" AS "c0", "t"."target" AS "c1", "t"."day" AS "c2", "t"."patients" AS "c3", "h"."name" AS "c4" FROM "transfers" AS "t" JOIN "hospitals" AS "h" ON "h"."finess" = "t"."target"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,400 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "origin", "x1"."c1" AS "target", "x1"."c2" AS "day", "x1"."c3" AS "patients", "x1"."c4" AS "name" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: origin VARCHAR, target VARCHAR, day DATE, patients INTEGER, name VARCHAR
-- Not taken: run at lille, shipping transfers from lyon, nantes, about 2,000 bytes: it moves more bytes
-- Not taken: run at cnam, shipping transfers from lille, lyon, nantes, about 2,400 bytes: it moves more bytes

-- # A star beside the node's name does not show it again
-- : oracle=SELECT w._node AS site, h.* EXCLUDE (_node) FROM (SELECT DISTINCT finess, _node FROM wards) w JOIN hospitals h USING (finess) ORDER BY ALL
SELECT w._node AS site, h.* FROM (SELECT DISTINCT finess, _node FROM wards) w JOIN hospitals h USING (finess) ORDER BY ALL;
-- Plan with 2 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT "w"."_node" AS "c0", "h"."finess" AS "c1", "h"."name" AS "c2", "h"."region" AS "c3", "h"."beds" AS "c4" FROM (SELECT DISTINCT "wards"."finess" AS "finess", "wards"."_node" AS "_node" FROM "wards" AS "wards") AS "w" JOIN "hospitals" AS "h" ON "w"."finess" = "h"."finess"
--     -> x1 for s2: crosses as rows, about 25 rows and 1,700 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 finish at the coordinator, over x1
--     SELECT "x1"."c0" AS "site", "x1"."c1" AS "finess", "x1"."c2" AS "name", "x1"."c3" AS "region", "x1"."c4" AS "beds" FROM "x1" AS "x1" ORDER BY ALL
--
-- Result: site VARCHAR, finess VARCHAR, name VARCHAR, region VARCHAR, beds INTEGER
-- Not taken: run at lille, shipping wards from lyon, nantes, about 1,740 bytes: it moves more bytes
-- Not taken: run at cnam, shipping wards from lille, lyon, nantes, about 1,900 bytes: it moves more bytes

-- # count of a row counts rows
SELECT count(*) AS a, count(1) AS b, count() AS c FROM wards;
-- Plan with 3 stages at 3 nodes and the coordinator
--
-- s1 node at lille, lyon, nantes
--     SELECT COUNT(*) AS "p0v", COUNT(1) AS "p1v", COUNT() AS "p2v" FROM "wards" AS "wards"
--     -> x1 for s2: crosses as rows, about 3 rows and 72 bytes; allowed by: tables that are not protected: rows may leave
--
-- s2 merge at the coordinator, over x1
--     SELECT SUM("p0v") AS "p0v", SUM("p1v") AS "p1v", SUM("p2v") AS "p2v" FROM "x1" AS "x1"
--     -> x2 for s3: stays at the coordinator
--
-- s3 finish at the coordinator, over x2
--     SELECT CAST(COALESCE("x2"."p0v", 0) AS BIGINT) AS "a", CAST(COALESCE("x2"."p1v", 0) AS BIGINT) AS "b", CAST(COALESCE("x2"."p2v", 0) AS BIGINT) AS "c" FROM "x2" AS "x2"
--
-- Result: a BIGINT, b BIGINT, c BIGINT
