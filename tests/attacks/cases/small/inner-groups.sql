-- One person's part inside groups that are aggregated again: what an inner filter, HAVING or CASE decides is counted, too.

-- inner-filter: an inner FILTER that one person meets
-- keys 1
SELECT region, sum(x) AS x FROM (SELECT region, year, sum(cost) FILTER (WHERE days = 366) AS x FROM stays GROUP BY region, year) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- inner-having-count-if: an inner HAVING that one person meets
-- keys 0
SELECT count(*) AS n FROM (SELECT region FROM stays GROUP BY region HAVING count_if(days = 366) > 0) t
-- oracle
SELECT 0

-- inner-having-region: the region in which one person meets an inner HAVING
-- keys 1
SELECT region, count(*) AS n FROM (SELECT region FROM stays GROUP BY region HAVING count_if(days = 366) > 0) t GROUP BY region
-- oracle
SELECT 0 WHERE false

-- inner-having-filter: the same by FILTER
-- keys 1
SELECT region, count(*) AS n FROM (SELECT region FROM stays GROUP BY region HAVING count(*) FILTER (WHERE diagnosis = 'RARE-Z99') = 1) t GROUP BY region
-- oracle
SELECT 0 WHERE false

-- inner-key-rare: groups by how many have a rare diagnosis
-- keys 1
SELECT k, count(*) AS n FROM (SELECT region, sum(CASE WHEN diagnosis = 'RARE-Z99' THEN 1 ELSE 0 END) AS k FROM stays GROUP BY region) t GROUP BY k
-- oracle
SELECT 0, count(DISTINCT person) FROM stays WHERE region <> 'Nord'

-- inner-sum-rare: a sum of inner counts of one
-- keys 1
SELECT region, sum(k) AS n FROM (SELECT region, sex, count_if(days = 366) AS k FROM stays GROUP BY region, sex) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- inner-filter-on-count: an outer FILTER on an inner count of one
-- keys 1
SELECT region, count(*) FILTER (WHERE k = 1) AS n FROM (SELECT region, sex, count_if(days = 366) AS k FROM stays GROUP BY region, sex) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- inner-joined-count: an inner count of one joined to everyone
-- keys 1
SELECT a.region, count(*) AS n FROM stays a JOIN (SELECT region, count_if(days = 366) AS k FROM stays GROUP BY region) t ON t.region = a.region WHERE t.k = 1 GROUP BY a.region
-- oracle
SELECT 0 WHERE false

-- inner-correlated-count: a person's own count in a scalar subquery
-- keys 1
SELECT n, count(*) AS k FROM (SELECT (SELECT count(*) FROM drugs d WHERE d.patient = s.person) AS n FROM stays s) t GROUP BY n
-- oracle
SELECT coalesce(d.n, 0), count(DISTINCT person) FROM stays s LEFT JOIN (SELECT patient, count(*) AS n FROM drugs GROUP BY patient) d ON d.patient = s.person GROUP BY 1

-- inner-list-of-person: the sequence of a person's diagnoses as a key
-- keys 1
SELECT l, count(*) AS n FROM (SELECT person, list(diagnosis ORDER BY diagnosis, year) AS l FROM stays GROUP BY person) t GROUP BY l
-- oracle
SELECT l, count(*) FROM (SELECT person, list(diagnosis ORDER BY diagnosis, year) AS l FROM stays GROUP BY person) t GROUP BY l

-- inner-extreme-of-person: a person's own extreme as a key
-- keys 1
SELECT m, count(*) AS n FROM (SELECT person, max(diagnosis) AS m FROM stays GROUP BY person) t GROUP BY m
-- oracle
SELECT m, count(*) FROM (SELECT person, max(diagnosis) AS m FROM stays GROUP BY person) t GROUP BY m

-- inner-rank-of-person: a person's n-th stay
-- keys 1
SELECT r, count(*) AS n FROM (SELECT person, row_number() OVER (PARTITION BY person ORDER BY cost) AS r FROM stays) t GROUP BY r
-- oracle
SELECT r, count(DISTINCT person) FROM (SELECT person, row_number() OVER (PARTITION BY person ORDER BY cost) AS r FROM stays) t GROUP BY r

-- inner-frequent: how often a person comes
-- keys 1
SELECT c, count(*) AS n FROM (SELECT person, count(*) AS c FROM stays GROUP BY person) t GROUP BY c
-- oracle
SELECT c, count(DISTINCT person) FROM (SELECT person, count(*) AS c FROM stays GROUP BY person) t GROUP BY c

-- inner-distinct-groups: groups counted as rows
-- keys 1
SELECT diagnosis, count(*) AS n FROM (SELECT DISTINCT region, diagnosis FROM stays) t GROUP BY diagnosis
-- oracle
SELECT diagnosis, count(DISTINCT person) FROM stays GROUP BY diagnosis

-- inner-exists-having: persons chosen by their own counts
-- keys 1
SELECT region, count(*) AS n FROM stays s WHERE EXISTS (SELECT count(*) FROM drugs d WHERE d.patient = s.person HAVING count(*) > 10) GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays WHERE person IN (SELECT patient FROM drugs GROUP BY patient HAVING count(*) > 10) GROUP BY region

-- inner-union-mixed: public rows beside one person's
-- keys 1
SELECT r, count(*) AS n FROM (SELECT region AS r FROM regions UNION ALL SELECT region FROM stays WHERE days = 366) t GROUP BY r
-- oracle
SELECT 0 WHERE false

-- inner-full-join-rare: one person's row on one side of a full join
-- keys 1
SELECT a.region, sum(b.cost) AS x FROM stays a FULL JOIN (SELECT person, cost FROM stays WHERE days = 366) b ON a.person = b.person GROUP BY a.region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE person IN (SELECT person FROM stays WHERE days = 366)) FROM stays GROUP BY region

-- inner-dearest-of-person: each person's dearest stay
-- keys 1
SELECT x, count(*) AS n FROM (SELECT DISTINCT ON (person) person, diagnosis AS x FROM stays ORDER BY person, cost DESC, stay_no) t GROUP BY x
-- oracle
SELECT x, count(DISTINCT person) FROM (SELECT DISTINCT ON (person) person, diagnosis AS x FROM stays ORDER BY person, cost DESC, stay_no) t GROUP BY x

-- inner-any-literal: one person by ANY of a list
-- keys 1
SELECT region, count(*) AS n FROM stays WHERE days = ANY([366]) GROUP BY region
-- oracle
SELECT 0 WHERE false
