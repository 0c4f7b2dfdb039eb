-- A person's key, or something computed from keys, as the result of an aggregate.

-- agg-min: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, min(person) AS x FROM stays GROUP BY region

-- agg-max: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, max(person) AS x FROM stays GROUP BY region

-- agg-any_value: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, any_value(person) AS x FROM stays GROUP BY region

-- agg-first: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, first(person) AS x FROM stays GROUP BY region

-- agg-last: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, last(person) AS x FROM stays GROUP BY region

-- agg-mode: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, mode(person) AS x FROM stays GROUP BY region

-- agg-median: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, median(person) AS x FROM stays GROUP BY region

-- agg-arg_min: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, arg_min(person, days) AS x FROM stays GROUP BY region

-- agg-arg_max: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, arg_max(person, cost) AS x FROM stays GROUP BY region

-- agg-max_by: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, max_by(person, cost) AS x FROM stays GROUP BY region

-- agg-min_by: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, min_by(person, cost) AS x FROM stays GROUP BY region

-- agg-string_agg: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, string_agg(person, ',') AS x FROM stays GROUP BY region

-- agg-group_concat: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, group_concat(person) AS x FROM stays GROUP BY region

-- agg-listagg: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, listagg(person, ',') AS x FROM stays GROUP BY region

-- agg-list: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, list(person) AS x FROM stays GROUP BY region

-- agg-array_agg: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, array_agg(person) AS x FROM stays GROUP BY region

-- agg-histogram: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, histogram(person) AS x FROM stays GROUP BY region

-- agg-approx_top_k: a key as the result of an aggregate
-- refused *
SELECT region, approx_top_k(person, 3) AS x FROM stays GROUP BY region

-- agg-quantile_disc: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, quantile_disc(person, 0.5) AS x FROM stays GROUP BY region

-- agg-approx_count_distinct: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, approx_count_distinct(person) AS x FROM stays GROUP BY region

-- agg-entropy: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, entropy(person) AS x FROM stays GROUP BY region

-- agg-bit_xor: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bit_xor(hash(person)) AS x FROM stays GROUP BY region

-- agg-bool_or: a key as the result of an aggregate
-- refused BORDER_REFUSED value-aggregate
SELECT region, bool_or(person = '@PERSON@') AS x FROM stays GROUP BY region

-- agg-count_if: a key as the result of an aggregate
-- refused BORDER_REFUSED person-comparison
SELECT region, count_if(person = '@PERSON@') AS x FROM stays GROUP BY region

-- agg-json_group_array: a key as the result of an aggregate
-- refused *
SELECT region, json_group_array(person) AS x FROM stays GROUP BY region

-- agg-arbitrary: a key as the result of an aggregate
-- refused *
SELECT region, arbitrary(person) AS x FROM stays GROUP BY region

-- agg-sum_no_overflow: a key as the result of an aggregate
-- refused *
SELECT region, sum_no_overflow(length(person)) AS x FROM stays GROUP BY region

-- agg-bitstring_agg: a key as the result of an aggregate
-- refused *
SELECT region, bitstring_agg(length(person)) AS x FROM stays GROUP BY region

-- agg-reservoir_quantile: a key as the result of an aggregate
-- refused *
SELECT region, reservoir_quantile(length(person), 0.5) AS x FROM stays GROUP BY region

-- agg-sum-person: the sum of one key
-- refused BORDER_REFUSED person-expression
SELECT ward, sum(badge) AS x FROM staff GROUP BY ward

-- agg-avg-person: the mean of keys
-- refused BORDER_REFUSED person-expression
SELECT avg(badge) AS x FROM staff

-- agg-stddev-person: moments of keys
-- refused BORDER_REFUSED person-expression
SELECT stddev(badge) AS x FROM staff

-- agg-regr-person: moments of keys
-- refused BORDER_REFUSED person-expression
SELECT regr_sxy(badge, salary) AS x FROM staff

-- agg-sum-hash: a sum of hashes
-- refused BORDER_REFUSED person-expression
SELECT sum(hash(person)) AS x FROM stays

-- agg-sum-length: a property of keys
-- refused BORDER_REFUSED person-expression
SELECT sum(length(person)) AS x FROM stays

-- agg-count-distinct-expression: a property of keys
-- refused BORDER_REFUSED person-expression
SELECT count(DISTINCT substr(person, 1, 7)) AS x FROM stays

-- agg-count-distinct-pair: keys beside values
-- refused BORDER_REFUSED person-expression
SELECT count(DISTINCT person || region) AS x FROM stays

-- agg-count-distinct-tuple: keys beside values
-- refused BORDER_REFUSED person-expression
SELECT count(DISTINCT (person, days)) AS x FROM stays

-- agg-filter-person: one person's rows
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FILTER (WHERE person = '@PERSON@') AS x FROM stays

-- agg-case-person: one person's rows
-- refused BORDER_REFUSED person-comparison
SELECT sum(CASE WHEN person = '@PERSON@' THEN cost END) AS x FROM stays

-- agg-case-person-else: one person's rows
-- refused BORDER_REFUSED person-comparison
SELECT sum(CASE WHEN person = '@PERSON@' THEN cost ELSE 0 END) AS x FROM stays

-- agg-boolean-person: one person's rows
-- refused BORDER_REFUSED person-comparison
SELECT sum(cost * CAST(person = '@PERSON@' AS INTEGER)) AS x FROM stays

-- agg-order-person: an order that shows
-- refused BORDER_REFUSED person-expression
SELECT sum(cost ORDER BY person) AS x FROM stays

-- agg-within-group: an ordered set
-- refused BORDER_REFUSED value-aggregate
SELECT mode() WITHIN GROUP (ORDER BY person) AS x FROM stays

-- agg-distinct-sum: distinct values
-- refused BORDER_REFUSED distinct-aggregate
SELECT sum(DISTINCT cost) AS x FROM stays

-- agg-list-sum: a list inside
-- refused BORDER_REFUSED output-expression
SELECT list_sum(list(days)) AS x FROM stays

-- agg-list-max: an extreme through a list
-- refused BORDER_REFUSED output-expression
SELECT list_max(list(cost)) AS x FROM stays
