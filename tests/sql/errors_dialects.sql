-- What another dialect says that has no equivalent here, or would mean something else: an error at its place.

-- # A name that is not there, in another dialect
-- : dialect=tsql
SELECT TOP 2 [ward],
       [bedz]
FROM [wards];
-- SQL_UNKNOWN_COLUMN at line 2, column 8
-- There is no column 'bedz' here.
-- Hint: Did you mean 'beds'?

-- # A column outside of the permit, in another dialect
-- : dialect=mysql
-- : grants={"wards": ["finess", "ward", "kind"]}
SELECT `kind`, SUM(`beds`) FROM `wards` GROUP BY `kind`;
-- PERMIT_SCOPE at line 1, column 20
-- The permit does not name column 'beds' of table 'wards'.
-- Hint: It names: finess, ward, kind.

-- # An unknown dialect's meaning
-- : dialect=teradata
SELECT ward FROM wards;
-- SQL_UNSUPPORTED
-- Queries cannot be translated from 'teradata' yet: which of its words mean the same is not known here.
-- Hint: Dialects: duckdb, bigquery, mysql, oracle, postgres, snowflake, spark, tsql.

-- # PostgreSQL: SUBSTRING before the first character
-- : dialect=postgres
SELECT ward, substring(kind FROM 0 FOR 2) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 24
-- SUBSTRING from before the first character, or of a negative length, means something else in every dialect.
-- Hint: Begin at a number from 1, or at a position plus 1; RIGHT(text, n) takes from the end.

-- # PostgreSQL: A number without digits
-- : dialect=postgres
SELECT ward, beds::numeric FROM wards;
-- SQL_UNSUPPORTED at line 1, column 14
-- A number type without digits holds any number in this dialect, and three decimals here.
-- Hint: Give its digits: NUMERIC(18, 4).

-- # PostgreSQL: A text of limited length
-- : dialect=postgres
SELECT CAST(kind AS varchar(3)) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- A cast to a text of limited length cuts it in this dialect, and not here.
-- Hint: Use LEFT(text, n).

-- # PostgreSQL: SIMILAR TO
-- : dialect=postgres
SELECT ward FROM wards WHERE kind SIMILAR TO 's%';
-- SQL_UNSUPPORTED at line 1, column 30
-- SIMILAR TO has other patterns in postgres than here.
-- Hint: Use LIKE or a regular expression.

-- # PostgreSQL: A function of its own
-- : dialect=postgres
SELECT initcap(kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 16
-- INITCAP of postgres has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # PostgreSQL: A negative LEFT
-- : dialect=postgres
SELECT left(kind, -1) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- LEFT and RIGHT of a number that may be negative differ by dialect.
-- Hint: Give a number.

-- # PostgreSQL: A format with names
-- : dialect=postgres
SELECT to_char(opened, 'Q') FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- This format of postgres has parts without an equivalent here.
-- Hint: Year, month, day and time have one.

-- # PostgreSQL: The clock
-- : dialect=postgres
SELECT ward FROM wards WHERE opened < now();
-- SQL_UNSUPPORTED at line 1, column 39
-- CURRENT_TIMESTAMP of postgres has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # T-SQL: + joins texts
-- : dialect=tsql
SELECT ward FROM wards
WHERE kind + 'x' = 'surgeryx';
-- SQL_UNSUPPORTED at line 2, column 7
-- + joins texts in tsql, and adds numbers here.
-- Hint: Use CONCAT(a, b).

-- # T-SQL: AVG of whole numbers
-- : dialect=tsql
SELECT kind, AVG(beds) AS m FROM wards GROUP BY kind;
-- SQL_UNSUPPORTED at line 1, column 14
-- AVG of whole numbers is a whole number in tsql, and not here.
-- Hint: Write AVG(CAST(x AS FLOAT)).

-- # T-SQL: Weeks
-- : dialect=tsql
SELECT DATEPART(week, opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 23
-- The part WEEK of a date is numbered otherwise in tsql than here.
-- Hint: DuckDB has week (ISO), isodow and dayofweek (Sunday is 0).

-- # T-SQL: Differences in weeks
-- : dialect=tsql
SELECT DATEDIFF(week, opened, '2000-01-01') FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- A difference in such units is counted otherwise in tsql than here.
-- Hint: Take the difference in days; date_diff() and date_sub() of DuckDB count others.

-- # T-SQL: A cast that cuts
-- : dialect=tsql
SELECT CAST(load AS INT) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- A cast to a whole number cuts or rounds in tsql otherwise than here.
-- Hint: Say which: CAST(FLOOR(x) AS INT), CAST(ROUND(x) AS INT); cast a text column to text first.

-- # T-SQL: CONVERT
-- : dialect=tsql
SELECT CONVERT(INT, ward) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 21
-- CONVERT of tsql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # T-SQL: BIT
-- : dialect=tsql
SELECT CAST(beds AS BIT) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- BIT of tsql is another type here.
-- Hint: Cast to BOOLEAN, or compare.

-- # T-SQL: TOP WITH TIES
-- : dialect=tsql
SELECT TOP 3 WITH TIES ward FROM wards ORDER BY beds;
-- SQL_UNSUPPORTED at line 1, column 12
-- WITH TIES and PERCENT have no equivalent here.
-- Hint: QUALIFY rank() OVER (ORDER BY ...) <= n says it.

-- # T-SQL: CROSS APPLY
-- : dialect=tsql
SELECT w.ward, x.n FROM wards w CROSS APPLY (SELECT COUNT(*) AS n FROM shifts s WHERE s.ward = w.ward) x;
-- SQL_UNSUPPORTED at line 1, column 53
-- APPLY and LATERAL of tsql are not translated.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # T-SQL: PATINDEX
-- : dialect=tsql
SELECT PATINDEX('%x%', kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- PATINDEX of tsql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Oracle: CONNECT BY
-- : dialect=oracle
SELECT ward FROM wards START WITH beds = 10 CONNECT BY PRIOR beds = flags;
-- SQL_UNSUPPORTED at line 1, column 8
-- CONNECT BY of oracle has no equivalent.
-- Hint: WITH RECURSIVE and unnest() say it.

-- # Oracle: The empty text
-- : dialect=oracle
SELECT ward FROM wards WHERE kind = '';
-- SQL_UNSUPPORTED at line 1, column 37
-- The empty text is NULL in oracle, and not here.
-- Hint: Write NULL.

-- # Oracle: SUBSTR from 0
-- : dialect=oracle
SELECT SUBSTR(kind, 0, 2) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- SUBSTRING from before the first character, or of a negative length, means something else in every dialect.
-- Hint: Begin at a number from 1, or at a position plus 1; RIGHT(text, n) takes from the end.

-- # Oracle: TO_CHAR
-- : dialect=oracle
SELECT TO_CHAR(opened, 'WW') FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- TO_CHAR of oracle has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Oracle: MOD by a column
-- : dialect=oracle
SELECT MOD(beds, flags) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- MOD by zero gives the dividend in oracle, and NULL here.
-- Hint: Divide by a number.

-- # Oracle: STDDEV
-- : dialect=oracle
SELECT STDDEV(beds) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- STDDEV of oracle has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Oracle: The clock
-- : dialect=oracle
SELECT ward FROM wards WHERE opened < SYSDATE;
-- SQL_UNSUPPORTED at line 1, column 30
-- SYSDATE of oracle has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Oracle: A number without digits
-- : dialect=oracle
SELECT CAST(ward AS NUMBER) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- A number type without digits holds any number in this dialect, and three decimals here.
-- Hint: Give its digits: NUMERIC(18, 4).

-- # Spark: Days of the week
-- : dialect=spark
SELECT dayofweek(opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- DAYOFWEEK of spark has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Spark: Whole months
-- : dialect=spark
SELECT months_between(opened, opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- MONTHS_BETWEEN of spark has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Spark: A cast that cuts
-- : dialect=spark
SELECT CAST(load AS INT) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- A cast to a whole number cuts or rounds in spark otherwise than here.
-- Hint: Say which: CAST(FLOOR(x) AS INT), CAST(ROUND(x) AS INT); cast a text column to text first.

-- # Spark: LATERAL VIEW
-- : dialect=spark
SELECT t FROM wards LATERAL VIEW explode(tags) x AS t;
-- SQL_UNSUPPORTED at line 1, column 8
-- LATERAL VIEW of spark has no equivalent.
-- Hint: WITH RECURSIVE and unnest() say it.

-- # Spark: Lists without NULL
-- : dialect=spark
SELECT collect_list(kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- COLLECT_LIST of spark has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Snowflake: Weeks
-- : dialect=snowflake
SELECT DATE_TRUNC('week', opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- Such a unit begins on another day in snowflake than here.
-- Hint: Weeks begin on Monday in DuckDB.

-- # Snowflake: A pattern for all of a text
-- : dialect=snowflake
SELECT ward FROM wards WHERE REGEXP_LIKE(kind, 's.*');
-- SQL_UNSUPPORTED at line 1, column 30
-- REGEXP_LIKE of snowflake has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Snowflake: Lists without NULL
-- : dialect=snowflake
SELECT ARRAY_AGG(kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- ARRAY_AGG of snowflake has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # Snowflake: A cast that rounds
-- : dialect=snowflake
SELECT load::INT FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- A cast to a whole number cuts or rounds in snowflake otherwise than here.
-- Hint: Say which: CAST(FLOOR(x) AS INT), CAST(ROUND(x) AS INT); cast a text column to text first.

-- # BigQuery: Weeks from Sunday
-- : dialect=bigquery
SELECT EXTRACT(WEEK FROM opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 26
-- The part WEEK of a date is numbered otherwise in bigquery than here.
-- Hint: DuckDB has week (ISO), isodow and dayofweek (Sunday is 0).

-- # BigQuery: Differences in weeks
-- : dialect=bigquery
SELECT DATE_DIFF(opened, opened, WEEK) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- A difference in such units is counted otherwise in bigquery than here.
-- Hint: Take the difference in days; date_diff() and date_sub() of DuckDB count others.

-- # BigQuery: Whole hours
-- : dialect=bigquery
SELECT TIMESTAMP_DIFF(noted, noted, HOUR) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- TIMESTAMP_DIFF of bigquery has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # BigQuery: Structs
-- : dialect=bigquery
SELECT TO_JSON_STRING(kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- TO_JSON_STRING of bigquery has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # MySQL: LENGTH in bytes
-- : dialect=mysql
SELECT LENGTH(kind) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- LENGTH counts bytes in mysql, and characters here.
-- Hint: Use CHAR_LENGTH.

-- # MySQL: Weeks
-- : dialect=mysql
SELECT WEEK(opened) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- WEEK of mysql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # MySQL: Whole months
-- : dialect=mysql
SELECT TIMESTAMPDIFF(MONTH, opened, noted) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- TIMESTAMPDIFF of mysql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # MySQL: REGEXP without case
-- : dialect=mysql
SELECT ward FROM wards WHERE kind REGEXP 'S';
-- SQL_UNSUPPORTED at line 1, column 30
-- REGEXP_LIKE of mysql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # MySQL: FIND_IN_SET
-- : dialect=mysql
SELECT FIND_IN_SET(kind, 'a,b') FROM wards;
-- SQL_UNSUPPORTED at line 1, column 8
-- FIND_IN_SET of mysql has no equivalent that is known to mean the same.
-- Hint: Write the query in DuckDB's dialect (dialect='duckdb').

-- # MySQL: A cast that rounds
-- : dialect=mysql
SELECT CAST(`load` AS SIGNED) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 13
-- A cast to a whole number cuts or rounds in mysql otherwise than here.
-- Hint: Say which: CAST(FLOOR(x) AS INT), CAST(ROUND(x) AS INT); cast a text column to text first.

-- # PostgreSQL: A sum of unknown width divided
-- : dialect=postgres
SELECT kind, sum(beds) / count(*) AS m FROM wards GROUP BY kind;
-- SQL_UNSUPPORTED at line 1, column 14
-- Whether a sum divides to a whole number depends in postgres on the width of what is summed.
-- Hint: Say which: SUM(x)::bigint / n, or SUM(x)::numeric(38, 4) / n.

-- # PostgreSQL: Seconds with fractions
-- : dialect=postgres
SELECT extract(second FROM noted) FROM wards;
-- SQL_UNSUPPORTED at line 1, column 28
-- The part SECOND of a date is numbered otherwise in postgres than here.
-- Hint: DuckDB has week (ISO), isodow and dayofweek (Sunday is 0).
