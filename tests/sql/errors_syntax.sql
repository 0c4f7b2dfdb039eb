-- What is no query.

-- # A typing error
SELEC ward FROM wards;
-- SQL_SYNTAX at line 1, column 1
-- Syntax error at or near "SELEC".

-- # A missing parenthesis
SELECT count( FROM wards;
-- SQL_SYNTAX at line 1, column 15
-- Syntax error at or near "FROM".

-- # A stray word
SELECT ward FROM wards WHERE;
-- SQL_SYNTAX at line 1, column 29
-- Syntax error at end of input.

-- # An unfinished string
SELECT ward FROM wards WHERE kind = 'x;
-- SQL_SYNTAX at line 1, column 37
-- Unterminated quoted string at or near "'x".

-- # Nothing
;
-- SQL_NOT_A_QUERY
-- The SQL is empty.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # Two statements
SELECT 1; SELECT 2;
-- SQL_NOT_A_QUERY
-- The SQL holds more than one statement.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # A change
DELETE FROM wards;
-- SQL_NOT_A_QUERY
-- This is no query but DELETE.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # A definition
CREATE TABLE x AS SELECT 1;
-- SQL_NOT_A_QUERY
-- This is no query but CREATE.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # A command
PRAGMA database_list;
-- SQL_NOT_A_QUERY
-- This is no query but PRAGMA.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # COPY
COPY wards TO 'x.csv';
-- SQL_NOT_A_QUERY
-- This is no query but COPY.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # SELECT INTO
SELECT ward INTO x FROM wards;
-- SQL_NOT_A_QUERY
-- SELECT ... INTO writes; only queries are taken.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # DESCRIBE
DESCRIBE wards;
-- SQL_NOT_A_QUERY
-- This is no query but DESCRIBE.
-- Hint: Send one SELECT statement (WITH, UNION and the like included).

-- # A parameter without a value
SELECT count(*) FROM wards WHERE beds > ?;
-- SQL_PARAMETER
-- There is no value for parameter 1.
-- Hint: Give params as a list with one value for each '?'.

-- # Too few values
-- : parameters=[1]
SELECT count(*) FROM wards WHERE beds > ? AND beds < ?;
-- SQL_PARAMETER
-- There is no value for parameter 2.
-- Hint: Give params as a list with one value for each '?'.

-- # Too many values
-- : parameters=[1, 2]
SELECT count(*) FROM wards WHERE beds > ?;
-- SQL_PARAMETER
-- The SQL does not use the parameters: 1.

-- # A named parameter that is not given
-- : parameters={"a": 1}
SELECT count(*) FROM wards WHERE beds > $a AND beds < $b;
-- SQL_PARAMETER
-- There is no value for parameter '$b'.
-- Hint: Give params as a mapping with every name that the SQL uses.

-- # An unknown dialect
-- : dialect=klingon
SELECT 1;
-- BAD_REQUEST
-- There is no dialect 'klingon'.
-- Hint: Known dialects: athena, bigquery, clickhouse, databricks, dax, doris, dremio, drill, druid, duckdb, dune, exasol, fabric, hive, materialize, mysql, oracle, postgres, presto, prql, redshift, risingwave, singlestore, snowflake, solr, spark, spark2, sqlite, starrocks, tableau, teradata, trino, tsql.

-- # A syntax error in another dialect
-- : dialect=postgres
SELECT count(* FROM wards;
-- SQL_SYNTAX at line 1, column 16
-- Expecting ) near 'FROM'.

-- # Something another dialect has alone
-- : dialect=snowflake
SELECT * FROM wards AT (OFFSET => -60);
-- SQL_UNSUPPORTED at line 1, column 15 by rule construct
-- The construct TABLE with when is not among those that may run at the coordinator.
