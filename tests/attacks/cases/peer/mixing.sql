-- Rows for a peer in which one person's data stands under another person's pseudonym, or under none.

-- peer-no-person: rows without a person, so that no threshold can be counted
-- refused BORDER_REFUSED peer-rows-person
SELECT cost, diagnosis FROM stays

-- peer-hidden-person: rows of persons beside the rows of an open table
-- refused BORDER_REFUSED peer-rows-person
SELECT r.region FROM regions r, stays s

-- peer-aggregate: an aggregate over all persons
-- refused BORDER_REFUSED peer-rows-person
SELECT region, count(*) AS n FROM stays GROUP BY region

-- peer-aggregate-small: an aggregate of a group of one person
-- refused BORDER_REFUSED peer-rows-person
SELECT region, sum(cost) AS c FROM stays WHERE region = 'RARE-UN' GROUP BY region

-- peer-extreme: the one extreme amount
-- refused BORDER_REFUSED value-across-persons
SELECT max(cost) AS c FROM stays

-- peer-extreme-for-all: the extreme amount under everybody's pseudonym
-- refused BORDER_REFUSED window-across-persons
SELECT person, max(cost) OVER () AS c FROM stays

-- peer-window-region: the extreme amount of a region under its persons' pseudonyms
-- refused BORDER_REFUSED window-across-persons
SELECT person, max(cost) OVER (PARTITION BY region) AS c FROM stays

-- peer-lag: the row before, of somebody else
-- refused BORDER_REFUSED window-across-persons
SELECT person, lag(cost) OVER (ORDER BY cost) AS c FROM stays

-- peer-qualify: choose a person by the rank of an amount
-- refused BORDER_REFUSED window-across-persons
SELECT person FROM stays QUALIFY row_number() OVER (ORDER BY cost DESC) = 1

-- peer-limit: choose one person
-- refused BORDER_REFUSED peer-clause
SELECT person, cost FROM stays LIMIT 1

-- peer-offset: choose one person
-- refused BORDER_REFUSED peer-clause
SELECT person, cost FROM stays LIMIT 1 OFFSET 17

-- peer-limit-below: choose one person in a subquery
-- refused BORDER_REFUSED limit-below-border
SELECT q.person FROM (SELECT person FROM stays LIMIT 1) AS q

-- peer-cross-join: everybody's amounts under everybody's pseudonyms
-- refused BORDER_REFUSED peer-rows-person
SELECT a.person, b.cost FROM stays a CROSS JOIN stays b

-- peer-comma-join: the same with a comma
-- refused BORDER_REFUSED peer-rows-person
SELECT a.person, b.cost FROM stays a, stays b WHERE a.region = b.region

-- peer-join-by-value: a join by something else than the person
-- refused BORDER_REFUSED peer-rows-person
SELECT a.person, b.diagnosis FROM stays a JOIN stays b ON a.stay_no = b.stay_no

-- peer-join-or: the person's equality is one of two ways
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, d.code FROM stays s JOIN drugs d ON d.patient = s.person OR d.quantity = s.days

-- peer-join-staff: a doctor's grade under a patient's pseudonym
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, f.grade FROM stays s JOIN staff f ON f.region = s.region

-- peer-three-tables: two persons equated, the third not
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, t.cost FROM stays s JOIN drugs d ON d.patient = s.person JOIN stays t ON t.region = s.region

-- peer-left-join: the person of the side that may be missing
-- refused BORDER_REFUSED peer-rows-person
SELECT d.patient, s.cost FROM stays s LEFT JOIN drugs d ON d.patient = s.person

-- peer-full-join: a person of either side
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, d.code FROM stays s FULL JOIN drugs d ON d.patient = s.person

-- peer-right-join: rows of an open table that belong to nobody
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, r.zone FROM stays s RIGHT JOIN regions r ON r.region = s.region

-- peer-joined-aggregate: a region's mean under its persons' pseudonyms
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, m.c FROM stays s JOIN (SELECT region, avg(cost) AS c FROM stays GROUP BY region) m ON m.region = s.region

-- peer-joined-total: a total under everybody's pseudonym
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, m.n FROM stays s, (SELECT count(*) AS n FROM stays WHERE diagnosis = 'RARE-Z99') m

-- peer-cte-aggregate: the same by WITH
-- refused BORDER_REFUSED peer-rows-person
WITH m AS (SELECT count(*) AS n FROM stays) SELECT s.person, m.n FROM stays s CROSS JOIN m

-- peer-scalar: the same by a subquery
-- refused BORDER_REFUSED value-across-persons
SELECT person, (SELECT max(days) FROM stays WHERE region = 'RARE-UN') AS n FROM stays

-- peer-scalar-filter: choose rows by somebody else's value
-- refused BORDER_REFUSED subquery-across-persons
SELECT person FROM stays WHERE days > (SELECT avg(days) FROM stays)

-- peer-exists-other: choose rows by somebody else's existence
-- refused BORDER_REFUSED subquery-across-persons
SELECT s.person FROM stays s WHERE EXISTS (SELECT 1 FROM stays t WHERE t.region = s.region AND t.days = 366)

-- peer-in-other: choose rows by somebody else's value
-- refused BORDER_REFUSED subquery-across-persons
SELECT person FROM stays WHERE region IN (SELECT region FROM stays WHERE diagnosis = 'RARE-Z99')

-- peer-group-without-person: group by everything but the person
-- refused BORDER_REFUSED *
SELECT any_value(person) AS person, region FROM stays GROUP BY region

-- peer-distinct-on-region: one person of each region
-- refused BORDER_REFUSED limit-below-border
SELECT DISTINCT ON (region) person, region FROM stays

-- peer-grouping-sets: totals over all persons beside rows
-- refused SQL_UNSUPPORTED construct
SELECT person, region, count(*) AS n FROM stays GROUP BY GROUPING SETS ((person, region), (region))

-- peer-except: rows by what other persons lack
-- refused BORDER_REFUSED set-operation-output
SELECT person FROM stays EXCEPT SELECT patient FROM drugs

-- peer-unnest: identifiers in the rows that a list makes
-- refused BORDER_REFUSED person-expression
SELECT s.person, u.x FROM stays s, unnest([s.person]) AS u(x)
