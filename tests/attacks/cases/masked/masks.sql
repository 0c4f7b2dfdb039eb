-- One person's part in a large group, under a mask that no count of contributors sees: what it adds for the others is known.

-- mask-else-one: the others count one each
-- keys 1
SELECT region, sum(CASE WHEN days = 366 THEN cost ELSE 1 END) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-plus-one: the same by arithmetic
-- keys 1
SELECT region, sum(1 + cost * (days // 366)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-avg: the same as a mean
-- keys 1
SELECT region, avg(CASE WHEN days = 366 THEN cost ELSE 1 END) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-variance: the same as a variance
-- keys 1
SELECT region, var_pop(CASE WHEN days = 366 THEN cost ELSE 1 END) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-tiny: the others count nearly nothing
-- keys 1
SELECT region, sum(cost * power(CAST(10 AS DOUBLE), days - 366)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-inner: the mask one level down
-- keys 1
SELECT region, sum(x) AS x FROM (SELECT person, region, sum(CASE WHEN days = 366 THEN cost ELSE 1 END) AS x FROM stays GROUP BY person, region) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-coalesce: the mask by COALESCE
-- keys 1
SELECT region, sum(coalesce(CASE WHEN days = 366 THEN cost END, 1)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-lookup: the mask in a public table
-- keys 1
SELECT s.region, sum(coalesce(c.n, 1)) AS x FROM stays s LEFT JOIN codes c ON c.n = s.days - 300 GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days > 299) FROM stays GROUP BY region

-- mask-regression: a line through all but one
-- keys 1
SELECT region, regr_intercept(cost, CASE WHEN days = 366 THEN 1 ELSE 2 END) AS a, regr_slope(cost, CASE WHEN days = 366 THEN 1 ELSE 2 END) AS b FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- complement-filter: all but one, beside all
-- keys 1
SELECT region, sum(cost) AS x, sum(cost) FILTER (WHERE days <> 366) AS y FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- complement-null: all but one by NULL
-- keys 1
SELECT region, sum(cost) AS x, sum(CASE WHEN days <> 366 THEN cost END) AS y FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- complement-count: all but one counted
-- keys 1
SELECT region, count(*) AS x, count_if(days <> 366) AS y FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- complement-rollup: a total that gives a withheld group away
-- keys 1
SELECT diagnosis, count(*) AS n FROM stays GROUP BY ROLLUP (diagnosis)
-- oracle
SELECT diagnosis, count(DISTINCT person) FROM stays WHERE diagnosis <> 'RARE-Z99' GROUP BY ROLLUP (diagnosis) QUALIFY row_number() OVER (ORDER BY count(*)) > 1

-- complement-where: all but one, in a statement of its own
-- keys 0
SELECT sum(cost) AS x FROM stays WHERE days <> 366
-- oracle
SELECT 0

-- mask-infinite: infinite because of one person
-- keys 1
SELECT region, sum(1 / (days - 366)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-null-list: NULL because of one person
-- keys 1
SELECT region, sum(len([days]) + coalesce(nullif(days, 366), cost)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-weight: one person's rows multiplied, the others' known beside
-- keys 0
SELECT sum(x.cost) AS x FROM stays x JOIN codes c ON x.days = 366 OR c.n = 0 WHERE x.region = 'Nord'
-- oracle
SELECT 0

-- mask-padding: one person among a group whose answer is known
-- keys 0
SELECT sum(cost) AS x FROM stays WHERE region = 'Onze' OR days = 366
-- oracle
SELECT 0

-- mask-group-padding: one person's total tested among groups whose answer is known
-- keys 0
SELECT count(*) AS n FROM (SELECT region, sum(cost) AS c FROM stays GROUP BY region) t WHERE region = 'Onze' OR (region = 'RARE-UN' AND c > 1000)
-- oracle
SELECT 0

-- mask-distinct: a value that only one person has
-- keys 1
SELECT region, count(DISTINCT diagnosis) AS n FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE diagnosis = 'RARE-Z99') FROM stays GROUP BY region

-- mask-else-ten: the others count ten each, and the one value does not stand out
-- keys 1
SELECT region, sum(CASE WHEN days = 366 THEN days ELSE 10 END) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-plus-ten: the same by arithmetic
-- keys 1
SELECT region, sum(10 + days * (days // 366)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-plus-known: the others add what is asked beside
-- keys 1
SELECT region, sum(year) AS y, sum(year + days * (days // 366)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-sign: a step that is one for all others
-- keys 1
SELECT region, sum(year + days * (1 - sign(366 - days))) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-inner-ten: the mask one level down, by person
-- keys 1
SELECT region, sum(x) AS x FROM (SELECT person, region, year, sum(CASE WHEN days = 366 THEN days ELSE year END) AS x FROM stays GROUP BY person, region, year) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-derived: the mask in a derived table
-- keys 1
SELECT region, sum(x) AS x FROM (SELECT region, CASE WHEN days = 366 THEN days ELSE year END AS x FROM stays) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-derived-arithmetic: the mask in a derived table, by arithmetic
-- keys 1
WITH t AS (SELECT region, year + days * (days // 366) AS x FROM stays) SELECT region, sum(x) AS x FROM t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-greatest: the larger of a value and a known one
-- keys 1
SELECT region, sum(greatest(days, year - 1700)) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- mask-padding-days: one person among a group whose answer is known, who does not stand out
-- keys 0
SELECT sum(days) AS x FROM stays WHERE region = 'Onze' OR days = 366
-- oracle
SELECT 0
