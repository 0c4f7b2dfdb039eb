-- Small groups by filters, keys, joins and subqueries.

-- filter-diagnosis: one person by a diagnosis
-- keys 0
SELECT count(*) AS n FROM stays WHERE diagnosis = 'RARE-Z99'
-- oracle
SELECT 0

-- filter-days: one person by a measure
-- keys 0
SELECT sum(cost) AS n, count(*) AS k FROM stays WHERE days = 366
-- oracle
SELECT 0

-- filter-birth: one person by birth
-- keys 0
SELECT sum(cost) AS n FROM stays WHERE birth = DATE '1900-02-28'
-- oracle
SELECT 0

-- filter-region: ten persons
-- keys 0
SELECT count(*) AS n FROM stays WHERE region = 'RARE-DIX'
-- oracle
SELECT 0

-- filter-region-eleven: eleven persons may be told
-- keys 0
SELECT count(*) AS n FROM stays WHERE region = 'Onze'
-- oracle
SELECT count(DISTINCT person) FROM stays WHERE region = 'Onze'

-- filter-many-rows: one person with 500 rows
-- keys 0
SELECT count(*) AS n, sum(days) AS d FROM stays WHERE region = 'RARE-UN'
-- oracle
SELECT 0

-- filter-contradiction: nobody and few look alike
-- keys 0
SELECT count(*) AS n FROM stays WHERE 1 = 0
-- oracle
SELECT 0

-- filter-where-or: one person by OR
-- keys 0
SELECT count(*) AS n FROM stays WHERE days = 366 OR cost > 7000000
-- oracle
SELECT 0

-- filter-group-year: small groups of two keys
-- keys 2
SELECT region, year, count(*) AS n FROM stays GROUP BY region, year
-- oracle
SELECT region, year, count(DISTINCT person) FROM stays GROUP BY region, year

-- filter-key-expression: a key that singles out
-- keys 1
SELECT upper(region) AS r, count(*) AS n FROM stays GROUP BY upper(region)
-- oracle
SELECT upper(region), count(DISTINCT person) FROM stays GROUP BY 1

-- filter-key-case: a key that singles out
-- keys 1
SELECT CASE WHEN diagnosis = 'RARE-Z99' THEN 'the one' ELSE 'others' END AS k, count(*) AS n FROM stays GROUP BY 1
-- oracle
SELECT CASE WHEN diagnosis = 'RARE-Z99' THEN 'the one' ELSE 'others' END, count(DISTINCT person) FROM stays GROUP BY 1

-- filter-key-constant: a constant beside
-- keys 2
SELECT 'x' AS k, region, count(*) AS n FROM stays GROUP BY region
-- oracle
SELECT 'x', region, count(DISTINCT person) FROM stays GROUP BY region

-- filter-node: the node and a rare diagnosis
-- keys 2
SELECT _node, diagnosis, count(*) AS n FROM stays GROUP BY _node, diagnosis
-- oracle
SELECT _node, diagnosis, count(DISTINCT person) FROM stays GROUP BY ALL

-- filter-grouping-sets: small groups in any set
-- keys 3
SELECT region, diagnosis, grouping(region, diagnosis) AS g, count(*) AS n FROM stays GROUP BY GROUPING SETS ((region), (diagnosis), (region, diagnosis), ())
-- oracle
SELECT region, diagnosis, grouping(region, diagnosis), count(DISTINCT person) FROM stays GROUP BY GROUPING SETS ((region), (diagnosis), (region, diagnosis), ())

-- filter-rollup: small groups in any level
-- keys 2
SELECT region, diagnosis, count(*) AS n FROM stays GROUP BY ROLLUP (region, diagnosis)
-- oracle
SELECT region, diagnosis, count(DISTINCT person) FROM stays GROUP BY ROLLUP (region, diagnosis)

-- filter-cube: small groups in any corner
-- keys 2
SELECT region, diagnosis, count(*) AS n FROM stays GROUP BY CUBE (region, diagnosis)
-- oracle
SELECT region, diagnosis, count(DISTINCT person) FROM stays GROUP BY CUBE (region, diagnosis)

-- filter-registry-policy: 15 persons where the holder says 20
-- keys 1
-- persons 20
SELECT illness, count(*) AS n FROM registry GROUP BY illness
-- oracle
SELECT illness, count(DISTINCT person) FROM registry GROUP BY illness

-- filter-registry-joined: the holder's 20 in a join
-- keys 1
-- persons 20
SELECT s.region, count(*) AS n FROM stays s JOIN registry r ON r.person = s.person GROUP BY s.region
-- oracle
SELECT s.region, count(DISTINCT s.person) FROM stays s JOIN registry r ON r.person = s.person GROUP BY s.region

-- filter-registry-exists: the holder's 20 in a filter
-- keys 1
-- persons 20
SELECT s.diagnosis, count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM registry r WHERE r.person = s.person AND r.illness = 'RARE-FIFTEEN') GROUP BY s.diagnosis
-- oracle
SELECT s.diagnosis, count(DISTINCT s.person) FROM stays s WHERE person IN (SELECT person FROM registry WHERE illness = 'RARE-FIFTEEN') GROUP BY s.diagnosis

-- filter-permit-minimum: 30 persons where the permit says 35
-- keys 1
-- persons 35
-- permit 35
SELECT region, count(*) AS n FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- filter-permit-below-policy: 15 persons where the permit says 12 and the holder 20
-- keys 1
-- persons 20
-- permit 12
SELECT illness, count(*) AS n FROM registry GROUP BY illness
-- oracle
SELECT illness, count(DISTINCT person) FROM registry GROUP BY illness

-- filter-exists-rare: five persons by another table
-- keys 0
SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM drugs d WHERE d.patient = s.person AND d.code = 'RARE-DRUG')
-- oracle
SELECT 0

-- filter-in-rare: five persons by another table
-- keys 1
SELECT region, count(*) AS n FROM stays WHERE person IN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG') GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays WHERE person IN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG') GROUP BY region

-- filter-not-in-rare: those without drugs, by region
-- keys 1
SELECT region, count(*) AS n FROM stays s WHERE NOT EXISTS (SELECT 1 FROM drugs d WHERE d.patient = s.person) GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays WHERE person NOT IN (SELECT patient FROM drugs) GROUP BY region

-- filter-semi-rare: five persons by a semi-join
-- keys 1
SELECT region, count(*) AS n FROM stays s SEMI JOIN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG') d ON d.patient = s.person GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays WHERE person IN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG') GROUP BY region

-- filter-join-rare: five persons by a join
-- keys 1
-- adds SELECT d.code, s.person, sum(abs(s.cost)) FROM stays s JOIN drugs d ON d.patient = s.person GROUP BY ALL
SELECT d.code, count(*) AS n, sum(s.cost) AS c FROM stays s JOIN drugs d ON d.patient = s.person GROUP BY d.code
-- oracle
SELECT d.code, count(DISTINCT s.person) FROM stays s JOIN drugs d ON d.patient = s.person GROUP BY d.code

-- filter-staff-ward: three of the staff
-- keys 1
SELECT ward, count(*) AS n FROM staff GROUP BY ward
-- oracle
SELECT ward, count(DISTINCT badge) FROM staff GROUP BY ward

-- filter-two-domains: few staff among many patients
-- keys 1
SELECT f.ward, count(*) AS n FROM stays s JOIN staff f ON f.region = s.region GROUP BY f.ward
-- oracle
SELECT f.ward, least(count(DISTINCT s.person), count(DISTINCT f.badge)) FROM stays s JOIN staff f ON f.region = s.region GROUP BY f.ward

-- filter-two-domains-patients: few patients among much staff
-- keys 1
SELECT s.diagnosis, count(*) AS n FROM stays s CROSS JOIN staff f GROUP BY s.diagnosis
-- oracle
SELECT s.diagnosis, least(count(DISTINCT s.person), count(DISTINCT f.badge)) FROM stays s CROSS JOIN staff f GROUP BY s.diagnosis

-- filter-left-join-absent: a public row without persons
-- keys 1
SELECT r.region, count(s.days) AS n FROM regions r LEFT JOIN stays s ON s.region = r.region GROUP BY r.region
-- oracle
SELECT r.region, count(DISTINCT s.person) FROM regions r LEFT JOIN stays s ON s.region = r.region GROUP BY r.region

-- filter-left-join-optional: few persons on the optional side
-- keys 1
SELECT s.region, count(*) AS n, count(d.quantity) AS q FROM stays s LEFT JOIN drugs d ON d.patient = s.person AND d.code = 'RARE-DRUG' GROUP BY s.region
-- oracle
SELECT s.region, count(DISTINCT s.person), count(DISTINCT d.patient) FROM stays s LEFT JOIN drugs d ON d.patient = s.person AND d.code = 'RARE-DRUG' GROUP BY s.region

-- filter-inner-person: groups over persons' totals
-- keys 1
SELECT t.n, count(*) AS k FROM (SELECT person, diagnosis AS n FROM stays GROUP BY person, diagnosis) t GROUP BY t.n
-- oracle
SELECT diagnosis, count(DISTINCT person) FROM stays GROUP BY diagnosis

-- filter-inner-extreme: one person by an inner HAVING
-- keys 0
SELECT count(*) AS n, sum(c) AS c FROM (SELECT person, sum(cost) AS c FROM stays GROUP BY person HAVING max(days) = 366) t
-- oracle
SELECT 0

-- filter-inner-top: one person by an inner window
-- keys 0
SELECT count(*) AS n FROM (SELECT person, region, row_number() OVER (PARTITION BY person ORDER BY days DESC) AS r FROM stays) t WHERE r > 100
-- oracle
SELECT 0

-- filter-cte: one person through two CTEs
-- keys 0
WITH a AS (SELECT person, region, cost FROM stays WHERE days = 366), b AS (SELECT region, cost FROM a) SELECT region, sum(cost) AS c FROM b GROUP BY region
-- oracle
SELECT 0

-- filter-distinct-rows: one person by distinct rows
-- keys 0
SELECT count(*) AS n FROM (SELECT DISTINCT region, cost FROM stays WHERE days = 366) t
-- oracle
SELECT 0

-- filter-inner-group: groups whose persons were aggregated away
-- keys 1
SELECT t.region, sum(t.n) AS n FROM (SELECT region, year, count(*) AS n FROM stays GROUP BY region, year) t GROUP BY t.region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- filter-inner-rare-group: one person aggregated away
-- keys 0
SELECT sum(t.n) AS n FROM (SELECT region, count(*) AS n, sum(cost) AS c FROM stays WHERE days = 366 GROUP BY region) t
-- oracle
SELECT 0

-- filter-case-variant: names spelt otherwise
-- keys 1
SELECT "REGION" AS r, COUNT(*) AS n FROM "STAYS" S GROUP BY s."Region"
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- part-filter-having-inner: one person through an inner total
-- keys 1
SELECT region, sum(c) AS x FROM (SELECT person, region, sum(cost) FILTER (WHERE days = 366) AS c FROM stays GROUP BY person, region) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- part-inner-column: one person through an inner column
-- keys 1
SELECT region, sum(x) AS x FROM (SELECT region, CASE WHEN days = 366 THEN cost END AS x FROM stays) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- part-left-join-public: one person through a public table
-- keys 1
SELECT s.region, count(c.code) AS n FROM stays s LEFT JOIN codes c ON c.n = s.days - 300 GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days > 299) FROM stays GROUP BY region

-- part-left-join-input: one person through an input
-- keys 1
-- inputs fill
SELECT s.region, count(f.n) AS n FROM stays s LEFT JOIN fill f ON f.n = s.days AND f.n = 366 GROUP BY s.region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- part-second-aggregate: one person beside a harmless count
-- keys 1
SELECT region, count(*) AS n, sum(cost) FILTER (WHERE days = 366) AS x FROM stays GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE days = 366) FROM stays GROUP BY region

-- part-exists-case: five persons' part by EXISTS
-- keys 1
SELECT region, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM drugs d WHERE d.patient = s.person AND d.code = 'RARE-DRUG')) AS n FROM stays s GROUP BY region
-- oracle
SELECT region, count(DISTINCT person), count(DISTINCT person) FILTER (WHERE person IN (SELECT patient FROM drugs WHERE code = 'RARE-DRUG')) FROM stays GROUP BY region

-- part-union-branch: one person in a branch of a union
-- keys 1
SELECT k, count(*) AS n FROM (SELECT person, 'all' AS k FROM stays UNION ALL SELECT person, 'one' AS k FROM stays WHERE days = 366) t GROUP BY k
-- oracle
SELECT k, count(DISTINCT person) FROM (SELECT person, 'all' AS k FROM stays UNION ALL SELECT person, 'one' FROM stays WHERE days = 366) GROUP BY k

-- filter-inner-having-small: sizes of the small groups only
-- keys 1
SELECT region, count(*) AS n FROM (SELECT region, count(*) AS n FROM stays GROUP BY region HAVING count(DISTINCT person) < 11) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region HAVING count(DISTINCT person) < 11

-- filter-public-value: a measure's values by joining a public list of numbers
-- keys 1
SELECT c.n, count(*) AS k FROM stays s JOIN codes c ON c.n = s.days GROUP BY c.n
-- oracle
SELECT days, count(DISTINCT person) FROM stays GROUP BY days

-- filter-hidden-order: an order by a hidden column, which no answer depends on
-- keys 1
SELECT region, count(*) AS n FROM (SELECT region FROM stays ORDER BY note) t GROUP BY region
-- oracle
SELECT region, count(DISTINCT person) FROM stays GROUP BY region

-- filter-nested-comment: a second statement inside nested comments, which is none
-- keys 0
SELECT count(*) AS n FROM stays /* /* */ ; SELECT person FROM stays /* */ */
-- oracle
SELECT count(DISTINCT person) FROM stays

-- filter-public-star: a hidden column of a public table, through a star
-- keys 1
SELECT * FROM suppliers
-- oracle
SELECT name, 11 FROM suppliers

-- filter-public-star-derived: the same, one level up
-- keys 1
SELECT t.* FROM (SELECT * FROM suppliers) t
-- oracle
SELECT name, 11 FROM suppliers
