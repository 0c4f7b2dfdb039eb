-- Columns and tables that the policy hides or that the permit does not name, also where they only filter.

-- hidden-output: a hidden column
-- refused POLICY_REFUSED hidden-column
SELECT note, count(*) FROM stays GROUP BY note

-- hidden-where: a hidden column in a predicate only
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FROM stays WHERE note LIKE 'MARKER%'

-- hidden-count: a hidden column counted
-- refused POLICY_REFUSED hidden-column
SELECT count(note) FROM stays

-- hidden-count-distinct: a hidden column counted
-- refused POLICY_REFUSED hidden-column
SELECT count(DISTINCT note) FROM stays

-- hidden-filter: a hidden column in FILTER
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FILTER (WHERE note > 'M') AS n FROM stays

-- hidden-join: a hidden column as a join key
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FROM stays s JOIN regions r ON s.note = r.region

-- hidden-window: a hidden column in a window
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY person ORDER BY note) AS n FROM stays) WHERE n = 1

-- hidden-inner: a hidden column below
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FROM (SELECT note AS region FROM stays) WHERE region > 'M'

-- hidden-case: another spelling
-- refused POLICY_REFUSED hidden-column
SELECT count(*) FROM stays WHERE "NoTe" IS NOT NULL

-- hidden-public: a hidden column of a public table
-- refused POLICY_REFUSED hidden-column
SELECT bank FROM suppliers

-- hidden-public-where: a hidden column of a public table in a predicate
-- refused POLICY_REFUSED hidden-column
SELECT name FROM suppliers WHERE bank LIKE '%-1'

-- form-none-protected: a table that lets nothing out
-- refused POLICY_REFUSED form-none
SELECT count(*) FROM closed

-- form-none-joined: a table that lets nothing out, as a filter
-- refused POLICY_REFUSED form-none
SELECT count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM closed c WHERE c.person = s.person AND c.x = 1)

-- form-none-public: a public table that lets nothing out
-- refused POLICY_REFUSED form-none
SELECT * FROM budget

-- form-absent: a table that the policy does not name
-- refused POLICY_REFUSED form-none
SELECT count(*) FROM diary

-- form-absent-column: a table that the policy does not name
-- refused POLICY_REFUSED form-none
SELECT entry FROM diary

-- permit-table: a table that the permit does not name
-- refused PERMIT_SCOPE permit-table
SELECT x, count(*) FROM offpermit GROUP BY x

-- permit-table-filter: such a table in a filter only
-- refused PERMIT_SCOPE permit-table
SELECT count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM offpermit o WHERE o.person = s.person)

-- permit-table-cross: such a table in a join only
-- refused PERMIT_SCOPE permit-table
SELECT s.region, count(*) FROM stays s CROSS JOIN offpermit GROUP BY 1

-- permit-table-cte: such a table in a CTE
-- refused PERMIT_SCOPE permit-table
WITH o AS (SELECT x FROM offpermit) SELECT x, count(*) FROM o GROUP BY x

-- permit-table-count: only its number of rows
-- refused PERMIT_SCOPE permit-table
SELECT count(*) FROM offpermit

-- permit-column: a column that the permit does not name
-- refused PERMIT_SCOPE permit-column
SELECT nationality, count(*) FROM stays GROUP BY nationality

-- permit-column-where: such a column in a predicate only
-- refused PERMIT_SCOPE permit-column
SELECT count(*) FROM stays WHERE nationality = 'FR'

-- permit-column-join: such a column in a join only
-- refused PERMIT_SCOPE permit-column
SELECT count(*) FROM stays s JOIN regions r ON r.zone = s.nationality

-- permit-column-aggregate: such a column summed
-- refused PERMIT_SCOPE permit-column
SELECT ward, avg(salary) FROM staff GROUP BY ward

-- permit-column-star: such a column through a star below
-- refused *
SELECT count(*) FROM (SELECT * FROM staff) WHERE salary > 2000

-- permit-column-order: such a column in a window
-- refused PERMIT_SCOPE permit-column
SELECT count(*) FROM (SELECT rank() OVER (PARTITION BY badge ORDER BY salary) AS r FROM staff) WHERE r = 1

-- unknown-table: a table that is not there
-- refused SQL_UNKNOWN_TABLE
SELECT count(*) FROM patients

-- unknown-column: a column that is not there
-- refused SQL_UNKNOWN_COLUMN
SELECT nir, count(*) FROM stays GROUP BY nir

-- undeclared-input: an input that nobody declared
-- refused SQL_UNKNOWN_TABLE
SELECT count(*) FROM suspects
