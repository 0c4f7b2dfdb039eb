-- Names that are not there, twice there, or not permitted: an error with the place and the nearest name.

-- # An unknown table
SELECT count(*) FROM wrads;
-- SQL_UNKNOWN_TABLE at line 1, column 22
-- There is no table 'wrads'.
-- Hint: Did you mean 'wards'?

-- # An unknown table far from every other
SELECT count(*)
FROM zzz;
-- SQL_UNKNOWN_TABLE at line 2, column 6
-- There is no table 'zzz'.
-- Hint: 'archipel tables' lists all tables.

-- # A table with a schema
SELECT count(*) FROM main.wards;
-- SQL_UNKNOWN_TABLE at line 1, column 22
-- There is no table 'main.wards': tables of the federation have plain names.
-- Hint: Leave out what stands before the last dot.

-- # An unknown column
SELECT ward, bedz FROM wards;
-- SQL_UNKNOWN_COLUMN at line 1, column 14
-- There is no column 'bedz' here.
-- Hint: Did you mean 'beds'?

-- # An unknown column of an alias
SELECT w.ward, w.bedz FROM wards w;
-- SQL_UNKNOWN_COLUMN at line 1, column 16
-- There is no column 'bedz' in 'w'.
-- Hint: Did you mean 'beds'?

-- # An unknown column in WHERE, over several lines
SELECT ward
FROM wards
WHERE beds > 1
  AND knd = 'surgery';
-- SQL_UNKNOWN_COLUMN at line 4, column 7
-- There is no column 'knd'.
-- Hint: Did you mean 'kind'?

-- # An unknown column in a subquery
SELECT ward FROM wards w WHERE EXISTS (SELECT 1 FROM shifts s WHERE s.finess = w.finess AND nusres > 2);
-- SQL_UNKNOWN_COLUMN at line 1, column 93
-- There is no column 'nusres'.
-- Hint: Did you mean 'nurses'?

-- # An unknown column in a join condition
SELECT count(*) FROM wards w JOIN shifts s ON s.finess = w.fines;
-- SQL_UNKNOWN_COLUMN at line 1, column 58
-- There is no column 'fines' in 'w'.
-- Hint: Did you mean 'finess'?

-- # An unknown column of a WITH part
WITH x AS (SELECT region, count(*) AS n FROM stays GROUP BY region) SELECT region, m FROM x;
-- SQL_UNKNOWN_COLUMN at line 1, column 84
-- There is no column 'm' here.
-- Hint: Did you mean 'n'?

-- # An unknown column of a derived table by its alias
SELECT q.total FROM (SELECT region, count(*) AS n FROM stays GROUP BY region) q;
-- SQL_UNKNOWN_COLUMN at line 1, column 8
-- There is no column 'total' in 'q'.

-- # An unknown alias
SELECT v.ward FROM wards w;
-- SQL_UNKNOWN_TABLE at line 1, column 8
-- There is no table 'v' in this FROM clause.
-- Hint: There are: w.

-- # An ambiguous column
SELECT finess FROM wards w JOIN shifts s ON s.ward = w.ward AND s.finess = w.finess;
-- SQL_AMBIGUOUS_COLUMN at line 1, column 8
-- The column 'finess' is in more than one table here: w, s.
-- Hint: Write the table's name or alias before it, such as w.finess.

-- # An ambiguous column in WHERE
SELECT w.kind FROM wards w, shifts s WHERE w.finess = s.finess AND ward = 'A';
-- SQL_AMBIGUOUS_COLUMN at line 1, column 68
-- The column 'ward' is in more than one table here: w, s.
-- Hint: Write the table's name or alias before it, such as w.ward.

-- # An ambiguous column within an aggregate
SELECT sum(beds) FROM wards w JOIN hospitals h ON h.finess = w.finess;
-- SQL_AMBIGUOUS_COLUMN at line 1, column 12
-- The column 'beds' is in more than one table here: w, h.
-- Hint: Write the table's name or alias before it, such as w.beds.

-- # An ambiguous column in GROUP BY
SELECT count(*) FROM wards w JOIN hospitals h ON h.finess = w.finess GROUP BY beds;
-- SQL_AMBIGUOUS_COLUMN at line 1, column 79
-- The column 'beds' is in more than one table here: w, h.
-- Hint: Write the table's name or alias before it, such as w.beds.

-- # An unknown function
SELECT ward, uper(ward) FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 14
-- There is no function 'uper'.
-- Hint: Did you mean 'upper'?

-- # An unknown aggregate
SELECT kind, summ(beds) FROM wards GROUP BY kind;
-- SQL_UNKNOWN_FUNCTION at line 1, column 14
-- There is no function 'summ'.
-- Hint: Did you mean 'sum'?

-- # Two unknown functions
SELECT foo(1), foo(2) FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8
-- There is no function 'foo'.
-- Hint: Did you mean 'floor'?

-- # An unknown column in ORDER BY
SELECT ward FROM wards ORDER BY bets;
-- SQL_UNKNOWN_COLUMN at line 1, column 33
-- There is no column 'bets'.
-- Hint: Did you mean 'beds'?

-- # A position that is no output
SELECT ward FROM wards ORDER BY 3;
-- SQL_TYPE at line 1, column 33
-- ORDER term out of range - should be between 1 and 1.

-- # USING a column that one side lacks
SELECT count(*) FROM wards JOIN hospitals USING (ward);
-- SQL_UNKNOWN_COLUMN at line 1, column 50
-- There is no column 'ward' on the right side of the join.

-- # Tables registered in two versions
SELECT count(*) FROM clash;
-- SCHEMA_CONFLICT at line 1, column 22
-- Nodes 'lille' and 'lyon' register table 'clash' differently: (id BIGINT, value DOUBLE) against (id BIGINT, value VARCHAR).
-- Hint: The holders' operators must agree on one version; until then the table cannot be queried.
