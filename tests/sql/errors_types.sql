-- What the engine says of types and shapes, with the place in the researcher's SQL.

-- # A sum of text
SELECT sum(kind) FROM wards;
-- SQL_TYPE at line 1, column 8
-- No function matches the given name and argument types 'sum(VARCHAR)'.
-- Hint: Cast the argument to a type that the function takes, such as CAST(x AS DOUBLE).

-- # A comparison of text with a date function
SELECT count(*) FROM wards WHERE date_trunc('month', kind) = 1;
-- SQL_TYPE at line 1, column 34
-- No function matches the given name and argument types 'date_trunc(STRING_LITERAL, VARCHAR)'.
-- Hint: Cast the argument to a type that the function takes, such as CAST(x AS DOUBLE).

-- # Wrong number of arguments
SELECT substring(ward) FROM wards;
-- SQL_TYPE at line 1, column 8
-- No function matches the given name and argument types 'substring(VARCHAR)'.
-- Hint: Cast the argument to a type that the function takes, such as CAST(x AS DOUBLE).

-- # A column that is neither grouped nor aggregated
SELECT kind, ward, count(*) FROM wards GROUP BY kind;
-- SQL_TYPE at line 1, column 14
-- Column "ward" must appear in the GROUP BY clause or must be part of an aggregate function.
-- Hint: Group by the column, or aggregate it.

-- # An aggregate in WHERE
SELECT kind FROM wards WHERE count(*) > 1;
-- SQL_TYPE at line 1, column 30
-- WHERE clause cannot contain aggregates.

-- # An aggregate in an aggregate
SELECT sum(count(*)) FROM wards;
-- SQL_TYPE at line 1, column 12
-- Aggregate function calls cannot be nested.

-- # A window in WHERE
SELECT kind FROM wards WHERE row_number() OVER () = 1;
-- SQL_TYPE at line 1, column 30
-- WHERE clause cannot contain window functions.

-- # A set operation of unlike widths
SELECT ward, kind FROM wards UNION ALL SELECT ward FROM shifts;
-- SQL_TYPE
-- Set operations can only apply to expressions with the same number of result columns.

-- # A subquery of two columns as a value
SELECT (SELECT ward, kind FROM wards);
-- SQL_TYPE at line 1, column 8
-- Subquery returns 2 columns - expected 1.

-- # A cast to an unknown type
SELECT beds::money FROM wards;
-- SQL_UNSUPPORTED by rule construct
-- The construct DATA TYPE with kind is not among those that may run at the coordinator.

-- # GROUPING of something that is no key
SELECT kind, grouping(ward) FROM wards GROUP BY ROLLUP (kind);
-- SQL_TYPE at line 1, column 14
-- GROUPING child "ward" must be a grouping column.
