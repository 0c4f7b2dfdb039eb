-- Windows that copy one person's values to others.

-- across-lag: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, lag(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-lead: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, lead(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-first_value: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, first_value(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-last_value: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, last_value(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-nth_value: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, nth_value(cost, 2) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-row_number: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, row_number() OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-rank: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, rank() OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-dense_rank: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, dense_rank() OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-ntile: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, ntile(20) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-sum: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, sum(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-max: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, max(cost) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-count: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, count(*) OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-percent_rank: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, percent_rank() OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-cume_dist: one person's value in another's row
-- refused BORDER_REFUSED window-across-persons
SELECT region, sum(x) AS t FROM (SELECT region, cume_dist() OVER (ORDER BY person) AS x FROM stays) GROUP BY region

-- across-region: a window over a region
-- refused BORDER_REFUSED window-across-persons
SELECT sum(x) FROM (SELECT max(cost) OVER (PARTITION BY region) AS x FROM stays)

-- across-empty: a window over all
-- refused BORDER_REFUSED window-across-persons
SELECT avg(x) FROM (SELECT max(cost) OVER () AS x FROM stays)

-- across-person-expression: a window by a part of the key
-- refused BORDER_REFUSED person-expression
SELECT sum(x) FROM (SELECT max(cost) OVER (PARTITION BY left(person, 5)) AS x FROM stays)

-- across-other-person: a window by another table's person
-- refused BORDER_REFUSED window-across-persons
SELECT sum(x) FROM (SELECT max(s.cost) OVER (PARTITION BY f.badge) AS x FROM stays s JOIN staff f ON f.region = s.region)

-- across-person-coalesced: a window by a person that may be missing
-- refused BORDER_REFUSED window-across-persons
SELECT sum(x) FROM (SELECT max(s.cost) OVER (PARTITION BY d.patient) AS x FROM stays s LEFT JOIN drugs d ON d.patient = s.person)

-- across-named: a named window
-- refused BORDER_REFUSED window-across-persons
SELECT sum(x) FROM (SELECT max(cost) OVER w AS x FROM stays WINDOW w AS (PARTITION BY region))

-- across-filter-row-number: the first rows of all
-- refused BORDER_REFUSED window-across-persons
SELECT sum(cost) FROM (SELECT cost, row_number() OVER (ORDER BY cost DESC) AS r FROM stays) WHERE r <= 1

-- across-in-where: a window in QUALIFY
-- refused BORDER_REFUSED window-across-persons
SELECT sum(cost) FROM (SELECT cost FROM stays QUALIFY row_number() OVER (ORDER BY cost DESC) <= 1)

-- across-ignore-nulls: the last value that is not NULL
-- refused BORDER_REFUSED window-across-persons
SELECT sum(x) FROM (SELECT last_value(CASE WHEN days = 366 THEN cost END IGNORE NULLS) OVER (ORDER BY person) AS x FROM stays)
