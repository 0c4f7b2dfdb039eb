-- Errors that would speak.

-- oracle-error-function: an error that speaks
-- refused *
SELECT count(*) FROM stays WHERE CASE WHEN days = 366 THEN error(region) ELSE true END

-- oracle-error-aggregate: an error that speaks
-- refused *
SELECT sum(CASE WHEN days = 366 THEN error(region) ELSE 1 END) AS x FROM stays

-- oracle-regexp: a pattern made of data
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE regexp_matches('x', person)

-- oracle-key-cast: the cast of a key fails, with its text
-- refused BORDER_REFUSED person-expression
SELECT sum(CAST(person AS INTEGER)) AS x FROM stays

-- oracle-key-date: the cast of a key fails, with its text
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE CAST(person AS DATE) > birth

-- oracle-scalar-many: more rows than one
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays WHERE region = (SELECT region FROM stays)

-- oracle-surrogate: text that cannot be encoded
-- refused SQL_SYNTAX
SELECT region, count(*) AS n FROM stays WHERE region = '@SURROGATE@' GROUP BY region
