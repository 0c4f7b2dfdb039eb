-- Rows instead of aggregates.

-- rows-plain: rows without the key
-- refused BORDER_REFUSED row-level-output
SELECT region, days, cost FROM stays

-- rows-one-column: one column
-- refused BORDER_REFUSED row-level-output
SELECT diagnosis FROM stays

-- rows-constant: one constant a row: the number of rows
-- refused BORDER_REFUSED row-level-output
SELECT 1 FROM stays

-- rows-where: one row
-- refused BORDER_REFUSED row-level-output
SELECT region FROM stays WHERE days = 366

-- rows-distinct: distinct rows
-- refused BORDER_REFUSED row-level-output
SELECT DISTINCT region, diagnosis FROM stays

-- rows-limit: a few rows
-- refused BORDER_REFUSED row-level-output
SELECT region FROM stays LIMIT 1

-- rows-limit-zero: no row, but its types
-- refused BORDER_REFUSED person-output
SELECT person FROM stays LIMIT 0

-- rows-join: rows of a join
-- refused BORDER_REFUSED row-level-output
SELECT r.zone, s.days FROM stays s JOIN regions r USING (region)

-- rows-cross: rows of a product
-- refused BORDER_REFUSED row-level-output
SELECT c.code FROM stays, codes c

-- rows-left: public rows with protected columns
-- refused BORDER_REFUSED row-level-output
SELECT r.zone, s.days FROM regions r LEFT JOIN stays s USING (region)

-- rows-group-only: groups without a count
-- refused BORDER_REFUSED clause-over-groups
SELECT region FROM stays GROUP BY region HAVING count(*) = 1

-- rows-window-only: a window instead of a group
-- refused BORDER_REFUSED row-level-output
SELECT region, count(*) OVER (PARTITION BY region) AS n FROM stays

-- rows-case: rows in disguise
-- refused BORDER_REFUSED row-level-output
SELECT CASE WHEN days > 5 THEN 'long' ELSE 'short' END AS d FROM stays

-- rows-array-literal: rows in lists
-- refused BORDER_REFUSED row-level-output
SELECT [days, year] AS l FROM stays

-- rows-typeof: types of rows
-- refused BORDER_REFUSED row-level-output
SELECT typeof(birth) AS t FROM stays

-- rows-expression-mixed: a row's value in an aggregate's expression
-- refused BORDER_REFUSED measure-group-key
SELECT sum(cost) + days AS x FROM stays GROUP BY region, days

-- rows-node: one row a stay
-- refused BORDER_REFUSED row-level-output
SELECT _node FROM stays
