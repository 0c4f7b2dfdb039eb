-- Keys and values passed through CTEs, derived tables, set operations, subqueries and joins.

-- launder-cte: through a CTE
-- refused BORDER_REFUSED person-output
WITH x AS (SELECT person AS p FROM stays) SELECT p, count(*) FROM x GROUP BY p

-- launder-cte-columns: renamed by a CTE's list
-- refused BORDER_REFUSED person-output
WITH x(a) AS (SELECT person FROM stays) SELECT a, count(*) FROM x GROUP BY a

-- launder-cte-chain: through three CTEs
-- refused BORDER_REFUSED person-output
WITH x AS (SELECT person AS a FROM stays), y AS (SELECT a AS b FROM x), z AS (SELECT b AS c FROM y) SELECT c, count(*) FROM z GROUP BY c

-- launder-cte-shadow: a CTE with a public table's name
-- refused BORDER_REFUSED person-output
WITH regions AS (SELECT person AS region FROM stays) SELECT region, count(*) FROM regions GROUP BY region

-- launder-cte-shadow-self: a CTE with its own table's name
-- refused BORDER_REFUSED person-output
WITH stays AS (SELECT person AS region FROM stays) SELECT region, count(*) FROM stays GROUP BY region

-- launder-cte-shadow-input: a CTE with an input's name
-- refused BORDER_REFUSED person-output
-- inputs fill
WITH fill AS (SELECT person AS n FROM stays) SELECT n, count(*) FROM fill GROUP BY n

-- launder-cte-materialized: a materialised CTE
-- refused BORDER_REFUSED person-output
WITH x AS MATERIALIZED (SELECT person AS p FROM stays) SELECT p, count(*) FROM x GROUP BY p

-- launder-unused-cte: rows from a CTE, aggregates beside
-- refused BORDER_REFUSED person-output
WITH x AS (SELECT region, count(*) AS n FROM stays GROUP BY region) SELECT person FROM stays

-- launder-derived: through a derived table
-- refused BORDER_REFUSED person-output
SELECT p, count(*) FROM (SELECT person AS p FROM stays) t GROUP BY p

-- launder-derived-columns: renamed by an alias list
-- refused BORDER_REFUSED person-output
SELECT t.a, count(*) FROM (SELECT person FROM stays) t(a) GROUP BY t.a

-- launder-table-columns: renamed by an alias list
-- refused *
SELECT a, count(*) FROM stays AS t(region, a) GROUP BY a

-- launder-table-columns-order: the key under a group's name
-- refused *
SELECT region, count(*) FROM stays AS t(region) GROUP BY region

-- launder-distinct: distinct keys
-- refused BORDER_REFUSED person-output
SELECT DISTINCT person FROM stays

-- launder-distinct-on: distinct on
-- refused BORDER_REFUSED person-output
SELECT DISTINCT ON (region) person FROM stays

-- launder-distinct-inner: distinct keys below
-- refused BORDER_REFUSED person-output
SELECT p, count(*) FROM (SELECT DISTINCT person AS p FROM stays) GROUP BY p

-- launder-distinct-on-inner: one row a region below
-- refused BORDER_REFUSED limit-below-border
SELECT region, sum(cost) FROM (SELECT DISTINCT ON (region) region, cost FROM stays ORDER BY cost DESC) GROUP BY region

-- launder-union: keys through UNION
-- refused BORDER_REFUSED set-operation-output
SELECT person FROM stays UNION SELECT patient FROM drugs

-- launder-union-constant: keys after a constant
-- refused BORDER_REFUSED set-operation-output
SELECT 'x' AS p UNION ALL SELECT person FROM stays

-- launder-union-inner: keys under a group's name
-- refused BORDER_REFUSED set-operation-persons
SELECT r, count(*) FROM (SELECT region AS r FROM stays UNION ALL SELECT person FROM stays) GROUP BY r

-- launder-union-inner-public: keys under a public name
-- refused BORDER_REFUSED set-operation-persons
SELECT region, count(*) FROM (SELECT region FROM regions UNION ALL SELECT person FROM stays) GROUP BY region

-- launder-union-aggregate: an aggregate first, rows after
-- refused BORDER_REFUSED set-operation-output
SELECT region, count(*) FROM stays GROUP BY region UNION ALL SELECT person, 1 FROM stays

-- launder-union-top: a set operation on top
-- refused BORDER_REFUSED set-operation-output
SELECT region, count(*) FROM stays GROUP BY region UNION ALL SELECT region, count(*) FROM stays GROUP BY region

-- launder-except: keys through EXCEPT
-- refused BORDER_REFUSED set-operation-output
SELECT person FROM stays EXCEPT SELECT person FROM registry

-- launder-intersect: keys through INTERSECT
-- refused BORDER_REFUSED set-operation-output
SELECT person FROM stays INTERSECT SELECT person FROM registry

-- launder-intersect-literal: is this person here
-- refused BORDER_REFUSED set-operation-persons
SELECT count(*) FROM (SELECT person FROM stays INTERSECT SELECT '@PERSON@')

-- launder-except-input: who of these is here
-- refused BORDER_REFUSED set-operation-persons
-- inputs suspects
SELECT count(*) FROM (SELECT id FROM suspects EXCEPT SELECT person FROM stays)

-- launder-scalar: a scalar subquery
-- refused BORDER_REFUSED row-level-output
SELECT (SELECT max(person) FROM stays) AS p

-- launder-scalar-beside: a scalar subquery beside a count
-- refused BORDER_REFUSED value-across-persons
SELECT region, count(*), (SELECT min(person) FROM stays) AS p FROM stays GROUP BY region

-- launder-scalar-in-aggregate: a scalar subquery in an aggregate
-- refused BORDER_REFUSED value-across-persons
SELECT sum((SELECT max(badge) FROM staff)) AS p FROM stays

-- launder-scalar-public: a scalar subquery over a public table
-- refused BORDER_REFUSED row-level-output
SELECT zone, (SELECT max(person) FROM stays) AS p FROM regions

-- launder-scalar-correlated: a value for each public row
-- refused BORDER_REFUSED row-level-output
SELECT r.zone, (SELECT max(s.cost) FROM stays s WHERE s.region = r.region) AS x FROM regions r

-- launder-array-subquery: keys as a list
-- refused BORDER_REFUSED row-level-output
SELECT ARRAY(SELECT person FROM stays) AS p

-- launder-exists-public: one bit about a person
-- refused BORDER_REFUSED person-comparison
SELECT zone FROM regions WHERE EXISTS (SELECT 1 FROM stays WHERE person = '@PERSON@')

-- launder-exists-rows: one bit about a measure
-- refused BORDER_REFUSED subquery-across-persons
SELECT zone FROM regions WHERE EXISTS (SELECT 1 FROM stays WHERE cost > 7000000)

-- launder-in-public: public rows chosen by protected ones
-- refused BORDER_REFUSED subquery-across-persons
SELECT n FROM codes WHERE n IN (SELECT days FROM stays)

-- launder-join-public: public rows chosen by protected ones
-- refused BORDER_REFUSED row-level-output
SELECT c.n FROM codes c JOIN stays s ON c.n = s.days

-- launder-semi-public: public rows chosen by protected ones
-- refused BORDER_REFUSED subquery-across-persons
SELECT c.n FROM codes c SEMI JOIN stays s ON c.n = s.days

-- launder-anti-public: public rows chosen by protected ones
-- refused BORDER_REFUSED subquery-across-persons
SELECT c.n FROM codes c ANTI JOIN stays s ON c.n = s.days

-- launder-count-public-semi: public counts chosen by one person
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM codes c WHERE c.n IN (SELECT days FROM stays WHERE diagnosis = 'RARE-Z99')

-- launder-values-scalar: a key in VALUES
-- refused BORDER_REFUSED value-across-persons
SELECT v, count(*) FROM (VALUES ((SELECT max(person) FROM stays))) t(v) GROUP BY v

-- launder-group-inner-max: an extreme made everyone's
-- refused BORDER_REFUSED value-across-persons
SELECT s.region, sum(m.c) FROM stays s JOIN (SELECT region, max(cost) AS c FROM stays GROUP BY region) m ON m.region = s.region GROUP BY s.region

-- launder-group-inner-global: an extreme made everyone's
-- refused BORDER_REFUSED value-across-persons
SELECT region, avg(m.c) FROM stays, (SELECT max(cost) AS c FROM stays) m GROUP BY region

-- launder-group-inner-anyvalue: a key made everyone's
-- refused BORDER_REFUSED value-across-persons
SELECT k, count(*) FROM (SELECT region, any_value(person) AS k FROM stays GROUP BY region) GROUP BY k

-- launder-using: merged columns of USING
-- refused POLICY_REFUSED form-none
SELECT person, count(*) FROM registry JOIN closed USING (person) GROUP BY person

-- launder-full-using: merged columns of USING
-- refused BORDER_REFUSED person-output
SELECT person, count(*) FROM stays FULL JOIN registry USING (person) GROUP BY person

-- launder-join-key-output: the key of the other side
-- refused BORDER_REFUSED person-output
SELECT d.patient, count(*) FROM stays s JOIN drugs d ON s.person = d.patient GROUP BY d.patient

-- launder-cross-domain: keys of two kinds equated
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays s JOIN staff f ON s.person = CAST(f.badge AS VARCHAR)

-- launder-person-as-measure-join: a key joined to a public text
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays s JOIN regions r ON s.person = r.region

-- launder-qualify: one row a region
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(cost) FROM (SELECT region, cost FROM stays QUALIFY row_number() OVER (PARTITION BY region ORDER BY cost DESC) = 1) GROUP BY region

-- launder-limit: one row
-- refused BORDER_REFUSED limit-below-border
SELECT sum(cost) AS x FROM (SELECT cost FROM stays ORDER BY cost DESC LIMIT 1)

-- launder-offset: all rows but one
-- refused BORDER_REFUSED limit-below-border
SELECT sum(cost) AS x FROM (SELECT cost FROM stays ORDER BY cost OFFSET 1)

-- launder-limit-percent: few rows
-- refused *
SELECT sum(cost) AS x FROM (SELECT cost FROM stays ORDER BY cost LIMIT 1%)

-- launder-limit-person: one person
-- refused BORDER_REFUSED limit-below-border
SELECT sum(cost) AS x FROM stays WHERE person IN (SELECT person FROM stays ORDER BY cost DESC LIMIT 1)

-- launder-fetch: one row
-- refused *
SELECT sum(cost) AS x FROM (SELECT cost FROM stays ORDER BY cost FETCH FIRST 1 ROW ONLY)

-- launder-with-ties: one row
-- refused *
SELECT sum(cost) AS x FROM (SELECT cost FROM stays ORDER BY cost FETCH FIRST 1 ROWS WITH TIES)

-- launder-site-key: a stay is a person
-- refused BORDER_REFUSED measure-group-key
SELECT stay_no, count(*) FROM stays GROUP BY stay_no
