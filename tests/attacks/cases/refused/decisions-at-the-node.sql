-- Decisions over groups that were not released, and expressions over aggregates.

-- having-count: which groups are small
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region HAVING count(*) < 11

-- having-person: which groups have one person
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region HAVING count(DISTINCT person) = 1

-- having-max: a bit about an extreme
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region HAVING max(cost) > 7000000

-- having-sum: a bit about a sum
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region HAVING sum(cost) > 100000

-- having-exists: a bit about a person
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region HAVING EXISTS (SELECT 1 FROM drugs WHERE code = 'RARE-DRUG')

-- having-global: a bit about a whole
-- refused BORDER_REFUSED clause-over-groups
SELECT count(*) FROM stays HAVING max(days) = 366

-- order-count: an order of unreleased groups
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region ORDER BY max(cost)

-- order-limit: the first of unreleased groups
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region ORDER BY count(*) LIMIT 1

-- limit: some groups
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region LIMIT 2

-- offset: the other groups
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region OFFSET 1

-- qualify: groups by rank
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) AS n FROM stays GROUP BY region QUALIFY rank() OVER (ORDER BY count(*)) = 1

-- distinct-top: which counts are equal
-- refused BORDER_REFUSED clause-over-groups
SELECT DISTINCT count(*) FROM stays GROUP BY region

-- window-top: totals with the small groups in them
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) AS n, sum(count(*)) OVER () AS total FROM stays GROUP BY region

-- window-lag: a neighbour's count
-- refused BORDER_REFUSED clause-over-groups
SELECT region, lag(count(*)) OVER (ORDER BY region) AS x FROM stays GROUP BY region

-- window-first: an unreleased label
-- refused BORDER_REFUSED clause-over-groups
SELECT region, first_value(region) OVER (ORDER BY count(*)) AS x, count(*) FROM stays GROUP BY region

-- expression-difference: two groups at once
-- refused BORDER_REFUSED output-expression
SELECT count(*) - count(DISTINCT person) AS x FROM stays

-- expression-ratio: one aggregate by another
-- refused BORDER_REFUSED output-expression
SELECT region, sum(cost) / count(*) AS x FROM stays GROUP BY region

-- expression-case: a decision over an aggregate
-- refused BORDER_REFUSED output-expression
SELECT region, CASE WHEN count(*) > 50 THEN 'big' ELSE 'small' END AS x FROM stays GROUP BY region

-- expression-list: all groups in one value
-- refused BORDER_REFUSED value-aggregate
SELECT list(n) FROM (SELECT region, count(*) AS n FROM stays GROUP BY region)

-- inner-max-over-groups: the largest of unreleased groups
-- refused BORDER_REFUSED value-aggregate
SELECT max(n) FROM (SELECT region, count(*) AS n FROM stays GROUP BY region)

-- inner-min-over-groups: the smallest of unreleased groups
-- refused BORDER_REFUSED value-aggregate
SELECT min(n) FROM (SELECT region, count(*) AS n FROM stays GROUP BY region)

-- inner-label-over-groups: the label of the smallest group
-- refused BORDER_REFUSED value-aggregate
SELECT arg_min(region, n) FROM (SELECT region, count(*) AS n FROM stays GROUP BY region)
