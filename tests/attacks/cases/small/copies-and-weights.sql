-- Small groups blown up by copies of rows, weights and unions: persons count, not rows.

-- copy-codes: 200 copies of each row
-- keys 1
SELECT s.region, count(*) AS n FROM stays s, codes c GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-codes-one: 200 copies of one person's row
-- keys 0
SELECT count(*) AS n, sum(s.cost) AS c FROM stays s CROSS JOIN codes c WHERE s.days = 366
-- oracle
SELECT 0

-- copy-values: copies by VALUES
-- keys 1
SELECT s.region, count(*) AS n FROM stays s, (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11)) v(i) GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-input: 1000 copies by an input
-- keys 1
-- inputs fill
SELECT s.region, count(*) AS n FROM stays s, fill f GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-input-distinct: distinct copies by an input
-- keys 1
-- inputs fill
SELECT s.region, count(DISTINCT f.n) AS n FROM stays s, fill f GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-self: copies by a self-join
-- keys 1
SELECT a.region, count(*) AS n FROM stays a JOIN stays b ON a.person = b.person GROUP BY a.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-self-region: ten persons times ten persons
-- keys 1
SELECT a.region, count(*) AS n FROM stays a JOIN stays b ON a.region = b.region GROUP BY a.region
-- oracle
SELECT a.region, least(count(DISTINCT a.person), count(DISTINCT b.person)) FROM stays a JOIN stays b ON a.region = b.region GROUP BY a.region

-- copy-self-mixed: one person's rows beside everyone
-- keys 1
SELECT a.diagnosis, count(*) AS n, sum(a.cost) AS c FROM stays a CROSS JOIN stays b WHERE a.region = 'Nord' GROUP BY a.diagnosis
-- oracle
SELECT diagnosis, count(DISTINCT person) FROM stays WHERE region = 'Nord' GROUP BY diagnosis

-- copy-self-mixed-other: everyone's rows beside one person
-- keys 0
SELECT a.region, count(*) AS n FROM stays a CROSS JOIN (SELECT person, cost FROM stays WHERE days = 366) b GROUP BY a.region
-- oracle
SELECT 0

-- copy-union: the table eleven times
-- keys 1
SELECT region, count(*) AS n FROM (SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays UNION ALL SELECT person, region FROM stays) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-union-one: one person twenty times
-- keys 0
SELECT count(*) AS n FROM (SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366 UNION ALL SELECT person FROM stays WHERE days = 366) t
-- oracle
SELECT 0

-- copy-union-tables: two tables of the same persons
-- keys 1
SELECT r, count(*) AS n FROM (SELECT person, region AS r FROM stays UNION ALL SELECT patient, code FROM drugs) t GROUP BY r
-- oracle
SELECT r, count(DISTINCT p) FROM (SELECT person AS p, region AS r FROM stays UNION ALL SELECT patient, code FROM drugs) GROUP BY r

-- copy-cte-twice: a CTE twice
-- keys 1
WITH x AS (SELECT person, region FROM stays) SELECT a.region, count(*) AS n FROM x a JOIN x b ON a.person = b.person GROUP BY a.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-left-codes: copies by an outer join
-- keys 1
SELECT s.region, count(c.code) AS n FROM stays s LEFT JOIN codes c ON c.n >= 0 GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- weight-regions: weights that blot others out
-- keys 1
-- adds SELECT s.region, s.person, sum(abs(s.cost * r.people)) FROM stays s JOIN regions r ON r.region = s.region GROUP BY ALL
SELECT s.region, sum(s.cost * r.people) AS x FROM stays s JOIN regions r ON r.region = s.region GROUP BY s.region
-- oracle
SELECT s.region, count(DISTINCT s.person) FROM stays s JOIN regions r ON r.region = s.region GROUP BY s.region

-- weight-input: weights by days that are zero but for one
-- keys 1
-- inputs fill
SELECT s.region, sum(s.cost * CASE WHEN f.n = 366 THEN 1 ELSE 0 END) AS x FROM stays s JOIN fill f ON f.n = s.days GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- label-input: labels for small groups
-- keys 1
-- inputs labels
SELECT l.label, count(*) AS n FROM stays s JOIN labels l ON l.region = s.region GROUP BY l.label
-- oracle
SELECT 'a', 40

-- label-public-left: public rows keep small groups alive
-- keys 0
SELECT r.zone, count(*) AS n FROM regions r LEFT JOIN stays s ON s.region = r.region AND s.days = 366 GROUP BY r.zone
-- oracle
SELECT 0

-- label-full-join: both sides optional
-- keys 1
SELECT s.region, count(*) AS n FROM stays s FULL JOIN drugs d ON d.patient = s.person GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-unnest: three copies by a list
-- keys 1
SELECT region, count(*) AS n FROM stays, unnest([1, 2, 3]) AS t(i) GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-range: thirty copies by a range, counted as groups of their own
-- keys 2
SELECT region, g, count(*) AS n FROM stays, range(30) r(g) GROUP BY region, g
-- oracle
SELECT region, g, count(DISTINCT person) FROM stays, range(30) r(g) GROUP BY region, g

-- copy-range-one: a thousand copies of one person's row
-- keys 0
SELECT count(*) AS n, count(DISTINCT g) AS k FROM stays, range(1000) r(g) WHERE days = 366
-- oracle
SELECT 0

-- copy-series-100: 100 copies of each row
-- keys 1
SELECT region, count(*) AS n FROM stays, generate_series(1, 100) GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- copy-range-unnamed: 100 copies of one person's row
-- keys 0
SELECT count(*) AS n FROM stays, range(100) WHERE days = 366
-- oracle
SELECT 0
