-- Subqueries that make one person's value everyone's.

-- sub-scalar-max: everyone against an extreme
-- refused BORDER_REFUSED value-across-persons
SELECT count(*) FROM stays WHERE cost = (SELECT max(cost) FROM stays)

-- sub-scalar-avg: a mean of few
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays WHERE cost > (SELECT avg(cost) FROM stays WHERE days = 366)

-- sub-scalar-correlated: another's value
-- refused BORDER_REFUSED value-across-persons
SELECT region, sum((SELECT max(b.cost) FROM stays b WHERE b.region = a.region)) AS x FROM stays a GROUP BY region

-- sub-exists-uncorrelated: one bit about a person
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) FROM stays WHERE EXISTS (SELECT 1 FROM stays WHERE days = 366) GROUP BY region

-- sub-exists-region: one bit about a region's person
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM stays b WHERE b.region = a.region AND b.days = 366) GROUP BY region

-- sub-not-exists-region: one bit about a region's person
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) FROM stays a WHERE NOT EXISTS (SELECT 1 FROM stays b WHERE b.region = a.region AND b.days = 366) GROUP BY region

-- sub-exists-or: the person's equality in an OR
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM drugs d WHERE d.patient = a.person OR d.code = 'RARE-DRUG')

-- sub-exists-inequality: another person than this one
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM stays b WHERE b.person <> a.person AND b.days = 366)

-- sub-exists-not-equality: the equality negated
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM drugs d WHERE NOT (d.patient = a.person) AND d.code = 'RARE-DRUG')

-- sub-exists-constant: the equality made constant
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM drugs d WHERE (d.patient = a.person) IS NOT NULL AND d.code = 'RARE-DRUG')

-- sub-exists-self-equality: an equality within the subquery
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM drugs d JOIN stays b ON b.person = d.patient WHERE b.days = 366)

-- sub-exists-shadowed: the equality of the inner with itself
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM stays s JOIN drugs d ON d.patient = s.person WHERE s.days = 366)

-- sub-exists-left: the equality on an optional side
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays a WHERE EXISTS (SELECT 1 FROM stays b LEFT JOIN drugs d ON d.patient = a.person WHERE b.days = 366)

-- sub-in-value: values of others
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays WHERE cost IN (SELECT cost FROM stays WHERE days = 366)

-- sub-in-region: regions chosen by one person
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) FROM stays WHERE region IN (SELECT region FROM stays WHERE days = 366) GROUP BY region

-- sub-not-in-region: regions chosen by one person
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) FROM stays WHERE region NOT IN (SELECT region FROM stays WHERE days = 366) GROUP BY region

-- sub-in-pair: a pair with a person in it
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) FROM stays WHERE (region, 366) IN (SELECT region, days FROM stays)

-- sub-in-limit: one person by IN
-- refused BORDER_REFUSED limit-below-border
SELECT count(*) FROM stays WHERE person IN (SELECT person FROM stays ORDER BY cost DESC LIMIT 1)

-- sub-in-union: persons and a literal
-- refused BORDER_REFUSED set-operation-persons
SELECT count(*) FROM stays WHERE person IN (SELECT patient FROM drugs UNION ALL SELECT '@PERSON@')

-- sub-in-values: persons from VALUES
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays WHERE person IN (VALUES ('@PERSON@'))

-- sub-in-other-domain: keys of another kind
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person IN (SELECT CAST(badge AS VARCHAR) FROM staff)

-- sub-in-max: one person by IN and an extreme
-- refused BORDER_REFUSED value-across-persons
SELECT count(*) FROM stays WHERE person IN (SELECT arg_max(person, cost) FROM stays)

-- sub-in-public-column: a public column against keys
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM regions WHERE region IN (SELECT person FROM stays)

-- sub-count-distinct: one bit in a DISTINCT count
-- refused BORDER_REFUSED value-across-persons
SELECT count(DISTINCT (SELECT max(person) FROM stays)) AS n FROM stays

-- sub-case: a subquery in CASE
-- refused BORDER_REFUSED subquery-across-persons
SELECT sum(CASE WHEN EXISTS (SELECT 1 FROM stays WHERE days = 366) THEN 1 ELSE 0 END) AS x FROM stays

-- sub-filter: a subquery in FILTER
-- refused BORDER_REFUSED value-across-persons
SELECT count(*) FILTER (WHERE cost = (SELECT max(cost) FROM stays)) AS x FROM stays

-- sub-group-key: a subquery as a group key
-- refused BORDER_REFUSED measure-group-key
SELECT (SELECT max(b.birth) FROM stays b WHERE b.person = a.person) AS k, count(*) FROM stays a GROUP BY 1

-- sub-join-region: a region's person's row to everyone
-- refused BORDER_REFUSED limit-below-border
SELECT a.region, sum(b.cost) FROM stays a JOIN (SELECT region, cost FROM stays WHERE days = 366 LIMIT 1) b ON b.region = a.region GROUP BY a.region

-- sub-order-limit-correlated: the dearest other
-- refused BORDER_REFUSED limit-below-border
SELECT sum((SELECT b.cost FROM stays b ORDER BY b.cost DESC LIMIT 1)) AS x FROM stays a

-- sub-any: ANY of a subquery
-- refused *
SELECT count(*) FROM stays WHERE days >= ANY (SELECT days FROM stays)

-- sub-exists-nested: the equality one level too deep
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) AS n FROM stays a WHERE EXISTS (SELECT 1 FROM stays b WHERE b.days = 366 AND EXISTS (SELECT 1 FROM drugs d WHERE d.patient = a.person))

-- sub-equals-any-value: a person equated with one from an aggregate
-- refused BORDER_REFUSED
SELECT count(*) AS n FROM stays a WHERE a.person = (SELECT any_value(patient) FROM drugs WHERE code = 'RARE-DRUG')

-- sub-optional-key: all persons without a drug in one group of a NULL person
-- refused BORDER_REFUSED value-across-persons
SELECT x.patient IS NULL AS k, sum(x.m) AS s FROM (SELECT d.patient, max(s.cost) AS m FROM stays s LEFT JOIN drugs d ON d.patient = s.person GROUP BY d.patient) x GROUP BY x.patient IS NULL

-- sub-all-days: everyone against the longest stay
-- refused BORDER_REFUSED subquery-across-persons
SELECT region, count(*) AS n FROM stays WHERE days >= ALL (SELECT days FROM stays) GROUP BY region

-- sub-person-any: persons of a list made by a subquery
-- refused BORDER_REFUSED
SELECT region, count(*) AS n FROM stays WHERE person = ANY(list_value('@PERSON@')) GROUP BY region

-- sub-correlated-cost: how many of one's stays were dearer, as a group
-- refused BORDER_REFUSED measure-group-key
SELECT t.n, count(*) AS k FROM (SELECT person, (SELECT count(*) FROM stays b WHERE b.person = a.person AND b.cost > a.cost) AS n FROM stays a) t GROUP BY t.n
