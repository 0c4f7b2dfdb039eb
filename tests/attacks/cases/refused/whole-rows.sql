-- A table or derived table named as a value: a structure of all its columns, those hidden and those added included.

-- whole-row-group: a row as a group key
-- refused *
SELECT s, count(*) AS n FROM stays s GROUP BY s

-- whole-row-table-name: a row by the table's name
-- refused *
SELECT stays, count(*) AS n FROM stays GROUP BY stays

-- whole-row-derived: the person keys that the check itself adds to a derived table
-- refused *
SELECT t, count(*) AS n FROM (SELECT region, count(*) AS n FROM stays GROUP BY region) t GROUP BY t

-- whole-row-derived-text: the same as text
-- refused *
SELECT CAST(t AS VARCHAR) AS x, count(*) AS n FROM (SELECT region, count(*) AS n FROM stays GROUP BY region) t GROUP BY CAST(t AS VARCHAR)

-- whole-row-derived-rows: the same of rows
-- refused *
SELECT t, count(*) AS n FROM (SELECT region FROM stays) t GROUP BY t

-- whole-row-cte: the same of a CTE
-- refused *
WITH t AS (SELECT region, count(*) AS n FROM stays GROUP BY region) SELECT t, count(*) AS n FROM t GROUP BY t

-- whole-row-laundered: the row under a name, two levels up
-- refused *
SELECT x, count(*) AS n FROM (SELECT t AS x FROM (SELECT region, count(*) AS n FROM stays GROUP BY region) t) u GROUP BY x

-- whole-row-filter: a hidden column and a key inside a row's text
-- refused *
SELECT count(*) AS n FROM stays s WHERE CAST(s AS VARCHAR) LIKE '%@PERSON@%'

-- whole-row-aggregate-filter: a hidden column in FILTER
-- refused *
SELECT count(*) FILTER (WHERE CAST(s AS VARCHAR) LIKE '%MARKER-NOTE%') AS n FROM stays s

-- whole-row-case: one person's cost, by the key
-- refused *
SELECT s.region, sum(CASE WHEN CAST(s AS VARCHAR) LIKE '%@PERSON@%' THEN cost ELSE 1 END) AS x FROM stays s GROUP BY s.region

-- whole-row-count-distinct: rows counted as structures
-- refused *
SELECT count(DISTINCT s) AS n FROM stays s

-- whole-row-extract: a hidden column by its name in the structure
-- refused *
SELECT count(*) AS n FROM stays s WHERE s['note'] = 'MARKER-NOTE-0001'

-- whole-row-element: a hidden column by a function
-- refused *
SELECT count(*) AS n FROM stays s WHERE array_extract(s, 'note') = 'MARKER-NOTE-0001'

-- whole-row-concat: a row in a text
-- refused *
SELECT count(*) AS n FROM stays s WHERE concat(s, '') LIKE '%MARKER-NOTE-0001%'

-- whole-row-hash: a hash of a row
-- refused *
SELECT sum(hash(s)) AS n FROM stays s

-- whole-row-comparison: rows compared
-- refused *
SELECT count(*) AS n FROM stays a JOIN stays b ON a = b

-- whole-row-in: rows tested
-- refused *
SELECT count(*) AS n FROM stays s WHERE s IN (SELECT t FROM stays t WHERE t.days = 366)

-- whole-row-order: persons ordered by hidden columns
-- refused *
SELECT count(*) AS n FROM (SELECT row_number() OVER (PARTITION BY person ORDER BY s) AS r FROM stays s) t WHERE r = 1

-- whole-row-is-null: a row tested for NULL
-- refused *
SELECT count(*) FILTER (WHERE s IS NOT NULL) AS n FROM stays s

-- whole-row-lambda-free-list: a row in a list
-- refused *
SELECT count(*) AS n FROM stays s WHERE list_contains([CAST(s AS VARCHAR)], 'x')

-- whole-row-public: a hidden column of a public table
-- refused *
SELECT s FROM suppliers s

-- whole-row-public-text: a hidden column of a public table as text
-- refused *
SELECT name, CAST(s AS VARCHAR) AS x FROM suppliers s

-- whole-row-public-derived: a hidden column of a public table, one level up
-- refused *
SELECT b.x FROM (SELECT s AS x FROM suppliers s) b

-- whole-row-public-table-name: a hidden column of a public table by its name
-- refused *
SELECT suppliers FROM suppliers

-- whole-row-unpermitted: columns outside the permit
-- refused *
SELECT count(*) AS n FROM staff f WHERE CAST(f AS VARCHAR) LIKE '%2041%'

-- whole-row-input-name: an input's name as a value beside rows
-- refused *
-- inputs fill
SELECT count(*) AS n FROM stays s, fill f WHERE CAST(s AS VARCHAR) <> CAST(f AS VARCHAR)
