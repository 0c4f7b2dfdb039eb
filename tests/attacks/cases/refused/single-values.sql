-- One person's value as the result of an aggregate or as a group key.

-- value-min: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, min(cost) AS x FROM stays GROUP BY region

-- value-max: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, max(cost) AS x FROM stays GROUP BY region

-- value-any_value: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, any_value(birth) AS x FROM stays GROUP BY region

-- value-first: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, first(birth) AS x FROM stays GROUP BY region

-- value-last: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, last(birth) AS x FROM stays GROUP BY region

-- value-arg_min: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, arg_min(birth, cost) AS x FROM stays GROUP BY region

-- value-arg_max: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, arg_max(birth, cost) AS x FROM stays GROUP BY region

-- value-median: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, median(cost) AS x FROM stays GROUP BY region

-- value-mode: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, mode(birth) AS x FROM stays GROUP BY region

-- value-quantile_cont: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, quantile_cont(cost, 0.999) AS x FROM stays GROUP BY region

-- value-quantile_disc: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, quantile_disc(cost, 1.0) AS x FROM stays GROUP BY region

-- value-approx_quantile: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, approx_quantile(cost, 1.0) AS x FROM stays GROUP BY region

-- value-mad: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, mad(cost) AS x FROM stays GROUP BY region

-- value-kurtosis: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, kurtosis(score) AS x FROM stays GROUP BY region

-- value-skewness: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, skewness(score) AS x FROM stays GROUP BY region

-- value-entropy: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, entropy(birth) AS x FROM stays GROUP BY region

-- value-approx_count_distinct: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, approx_count_distinct(birth) AS x FROM stays GROUP BY region

-- value-product: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, product(days) AS x FROM stays GROUP BY region

-- value-bool_and: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bool_and(days < 366) AS x FROM stays GROUP BY region

-- value-bool_or: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bool_or(days = 366) AS x FROM stays GROUP BY region

-- value-bit_or: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bit_or(days) AS x FROM stays GROUP BY region

-- value-bit_and: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bit_and(days) AS x FROM stays GROUP BY region

-- value-bit_xor: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bit_xor(days) AS x FROM stays GROUP BY region

-- value-list: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, list(cost) AS x FROM stays GROUP BY region

-- value-array_agg: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, array_agg(birth) AS x FROM stays GROUP BY region

-- value-string_agg: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, string_agg(diagnosis, ',') AS x FROM stays GROUP BY region

-- value-histogram: one person's value as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, histogram(days) AS x FROM stays GROUP BY region

-- value-percentile-cont: a quantile
-- refused BORDER_REFUSED value-aggregate
SELECT percentile_cont(1.0) WITHIN GROUP (ORDER BY cost) AS x FROM stays

-- value-max-filter: an extreme with a filter
-- refused BORDER_REFUSED value-aggregate
SELECT max(cost) FILTER (WHERE days > 1) AS x FROM stays

-- value-max-case: an extreme of a case
-- refused BORDER_REFUSED value-aggregate
SELECT max(CASE WHEN days > 1 THEN cost END) AS x FROM stays

-- value-min-n: the least values
-- refused BORDER_REFUSED value-aggregate
SELECT min(cost, 3) AS x FROM stays

-- value-max-n: the largest values
-- refused BORDER_REFUSED value-aggregate
SELECT max(cost, 3) AS x FROM stays

-- value-measure-key: a measure as a key
-- refused BORDER_REFUSED measure-group-key
SELECT birth, count(*) FROM stays GROUP BY birth

-- value-measure-key-expression: a measure as a key
-- refused BORDER_REFUSED measure-group-key
SELECT year(birth) AS y, count(*) FROM stays GROUP BY 1

-- value-measure-key-case: a measure as a key
-- refused BORDER_REFUSED measure-group-key
SELECT CASE WHEN cost > 7000000 THEN cost ELSE 0 END AS c, count(*) FROM stays GROUP BY 1

-- value-measure-key-concat: a measure in a key
-- refused BORDER_REFUSED measure-group-key
SELECT region || birth AS k, count(*) FROM stays GROUP BY 1

-- value-measure-key-set: a measure in a grouping set
-- refused BORDER_REFUSED measure-group-key
SELECT region, days, count(*) FROM stays GROUP BY GROUPING SETS ((region), (days))

-- value-measure-key-inner: a measure laundered below
-- refused BORDER_REFUSED measure-group-key
SELECT x, count(*) FROM (SELECT cost AS x FROM stays) GROUP BY x

-- value-cells-shifted: cells of one column, and the same half a unit further
-- refused BORDER_REFUSED histogram
SELECT archipel_histogram(days) AS a, archipel_histogram(days + 0.5) AS b FROM stays

-- value-cells-of-two-populations: cells of all, and of all but a few
-- refused BORDER_REFUSED histogram
SELECT archipel_histogram(cost) AS a, archipel_histogram(nullif(cost, 0)) AS b FROM stays

-- value-cells-of-total-and-parts: cells of a total less those of its parts
-- refused BORDER_REFUSED histogram
SELECT region, archipel_histogram(cost) AS a FROM stays GROUP BY CUBE (region)

-- value-cells-with-filter: cells under a condition of their own
-- refused BORDER_REFUSED histogram
SELECT region, archipel_histogram(cost) FILTER (WHERE days > 1) AS a FROM stays GROUP BY region

-- value-cells-of-unseen-group: cells of groups whose keys are not shown
-- refused BORDER_REFUSED histogram
SELECT archipel_histogram(cost) AS a FROM stays GROUP BY region

-- value-cells-below: cells within one person, and a test of them
-- refused BORDER_REFUSED histogram
SELECT sum(len(h)) AS n FROM (SELECT person, archipel_histogram(cost) AS h FROM stays GROUP BY person)

-- value-cells-of-mixed-persons: cells of means of several persons
-- refused BORDER_REFUSED histogram
SELECT archipel_histogram(m) AS h FROM (SELECT region, avg(cost) AS m FROM stays GROUP BY region)

-- value-cells-in-expression: one number of the cells
-- refused BORDER_REFUSED output-expression
SELECT archipel_histogram(cost)[2] AS h FROM stays

-- value-cells-of-key: cells of a key
-- refused BORDER_REFUSED person-expression
SELECT archipel_histogram(hash(person)) AS h FROM stays
