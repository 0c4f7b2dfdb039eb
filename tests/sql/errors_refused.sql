-- What the border refuses, told before anything is sent, with the place in the researcher's SQL.

-- # Single rows of persons
SELECT diagnosis, days FROM stays WHERE diagnosis = 'rare';
-- BORDER_REFUSED at line 1, column 8 by rule row-level-output
-- Single rows of a protected table do not leave the node.
-- Hint: Aggregate: SELECT a group, count(*) ... GROUP BY the group.

-- # A person as an output
SELECT patient, count(*) FROM stays GROUP BY patient;
-- BORDER_REFUSED at line 1, column 46 by rule person-output
-- The column 'patient' identifies persons and never leaves the node.
-- Hint: Count persons with count(DISTINCT patient).

-- # A star over persons
SELECT * FROM stays;
-- BORDER_REFUSED at line 1, column 8 by rule person-output
-- The column 'patient' identifies persons and never leaves the node.
-- Hint: Count persons with count(DISTINCT patient).

-- # A person compared with a number
SELECT count(*) FROM stays WHERE patient = 17;
-- BORDER_REFUSED at line 1, column 34 by rule person-comparison
-- The column 'patient' identifies persons and may only be equated with the same identifier of another protected table.

-- # An extreme of persons' values
SELECT region, max(cost) AS most FROM stays GROUP BY region;
-- BORDER_REFUSED at line 1, column 20 by rule value-aggregate
-- The aggregate 'max' shows single values of persons.
-- Hint: Use count, sum, avg, stddev, a low or high quantile, or counts by band of the value.

-- # An extreme inside an expression
SELECT region,
       count(*) AS n,
       round(max(weight), 1) AS most
FROM stays GROUP BY region;
-- BORDER_REFUSED at line 3, column 18 by rule value-aggregate
-- The aggregate 'max' shows single values of persons.
-- Hint: Use count, sum, avg, stddev, a low or high quantile, or counts by band of the value.

-- # A measure as a group
SELECT cost, count(*) AS n FROM stays GROUP BY cost;
-- BORDER_REFUSED at line 1, column 48 by rule measure-group-key
-- The column 'Stays.cost' may be counted and summed but not grouped by.
-- Hint: Group by a column that the holder marks as group or public.

-- # Names of persons' groups as text
SELECT region, string_agg(diagnosis, ',') FROM stays GROUP BY region;
-- SQL_UNSUPPORTED at line 1, column 27
-- string_agg(...) cannot be split over several nodes yet: it shows single values.
-- Hint: Count by bands of the value, or ask for avg with stddev.

-- # A window over persons
SELECT region, avg(d) FROM (SELECT region, days - lag(days) OVER (ORDER BY entered) AS d FROM stays) t GROUP BY region;
-- SQL_UNSUPPORTED at line 1, column 51 by rule linkage-not-in-permit
-- This cannot be answered yet. A window looks at rows of several nodes. To bring the rows together, 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Hint: PARTITION BY a site key such as the node (_node), or aggregate first in a WITH part. Or: Ask the authority for a permit with linkage.

-- # A subquery that would copy one person's value
SELECT count(*) FROM stays WHERE cost = (SELECT max(cost) FROM stays);
-- BORDER_REFUSED at line 1, column 53 by rule value-aggregate
-- The aggregate 'max' shows single values of persons.
-- Hint: Use count, sum, avg, stddev, a low or high quantile, or counts by band of the value.

-- # A table of which nothing leaves
SELECT count(*) FROM registry;
-- POLICY_REFUSED at line 1, column 22 by rule form-none of node cnam
-- The holder lets nothing out of the table 'registry'.

-- # A hidden column
SELECT count(*) FROM registry WHERE illness = 'x';
-- POLICY_REFUSED at line 1, column 22 by rule form-none of node cnam
-- The holder lets nothing out of the table 'registry'.

-- # DISTINCT persons' rows
SELECT DISTINCT region, cost FROM stays;
-- BORDER_REFUSED at line 1, column 25 by rule measure-group-key
-- The column 'Stays.cost' may be counted and summed but not grouped by.
-- Hint: Group by a column that the holder marks as group or public.

-- # Reading files
SELECT * FROM read_csv('/etc/passwd');
-- SQL_UNSUPPORTED at line 1, column 15 by rule construct
-- The construct a table function is not among those that may run at the coordinator.

-- # A file as a table
SELECT * FROM '/etc/passwd';
-- SQL_UNKNOWN_TABLE at line 1, column 15
-- There is no table '/etc/passwd'.
-- Hint: 'archipel tables' lists all tables.

-- # The engine's settings
SELECT * FROM duckdb_settings();
-- SQL_UNSUPPORTED at line 1, column 15 by rule construct
-- The construct a table function is not among those that may run at the coordinator.

-- # The environment
SELECT getenv('HOME') AS home;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8
-- There is no function 'getenv'.
-- Hint: Did you mean 'get_current_time'?

-- # Randomness
SELECT random() AS x;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8 by rule function
-- The function 'random' is not among those that may run at the coordinator.
-- Hint: The list of functions is in the documentation of the border check.

-- # The clock
SELECT now() AS t, count(*) FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8 by rule function
-- The function 'now' is not among those that may run at the coordinator.
-- Hint: The list of functions is in the documentation of the border check.

-- # A function that is not listed, in HAVING
SELECT kind, count(*) FROM wards GROUP BY kind HAVING version() = 'x';
-- SQL_UNKNOWN_FUNCTION at line 1, column 55 by rule function
-- The function 'version' is not among those that may run at the coordinator.
-- Hint: The list of functions is in the documentation of the border check.

-- # A function that is not listed, in a query over no table
WITH x AS (SELECT current_setting('home_directory') AS s) SELECT s FROM x;
-- SQL_UNKNOWN_FUNCTION at line 1, column 19 by rule function
-- The function 'current_setting' is not among those that may run at the coordinator.
-- Hint: The list of functions is in the documentation of the border check.
