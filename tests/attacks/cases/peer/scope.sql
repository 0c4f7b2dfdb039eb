-- Rows for a peer of columns and tables that policy or permit do not let go there.

-- peer-hidden-output: a hidden column beside the pseudonym
-- refused POLICY_REFUSED hidden-column
SELECT person, note FROM stays

-- peer-hidden-predicate: choose persons by a hidden column
-- refused POLICY_REFUSED hidden-column
SELECT DISTINCT person FROM stays WHERE note LIKE 'MARKER-NOTE-0001%'

-- peer-hidden-join: a hidden column as join key
-- refused POLICY_REFUSED hidden-column
SELECT a.person FROM stays a JOIN stays b ON a.person = b.person AND a.note = b.note

-- peer-hidden-open-join: a hidden column joined with an open table
-- refused POLICY_REFUSED hidden-column
SELECT s.person FROM stays s JOIN codes c ON c.code = s.note

-- peer-hidden-window: a hidden column as window key
-- refused POLICY_REFUSED hidden-column
SELECT person, row_number() OVER (PARTITION BY person ORDER BY note) AS n FROM stays

-- peer-hidden-group: a hidden column as group key
-- refused POLICY_REFUSED hidden-column
SELECT person, note, count(*) AS n FROM stays GROUP BY person, note

-- peer-hidden-having: choose persons by a hidden column of their rows
-- refused POLICY_REFUSED hidden-column
SELECT person FROM stays GROUP BY person HAVING max(note) > 'MARKER-NOTE-0005'

-- peer-hidden-subquery: choose persons by a hidden column in EXISTS
-- refused POLICY_REFUSED hidden-column
SELECT s.person FROM stays s WHERE EXISTS (SELECT 1 FROM stays t WHERE t.person = s.person AND t.note > 'M')

-- peer-hidden-of-open: a hidden column of an open table
-- refused POLICY_REFUSED hidden-column
SELECT name, bank FROM suppliers

-- peer-unpermitted-column: a column that the permit does not name
-- refused PERMIT_SCOPE permit-column
SELECT person, nationality FROM stays

-- peer-unpermitted-table: a table that the permit does not name
-- refused PERMIT_SCOPE permit-table
SELECT person, x FROM offpermit

-- peer-unnamed-table: a table whose policy names no peer
-- refused POLICY_REFUSED peer-not-allowed
SELECT person, illness FROM registry

-- peer-unnamed-in-join: the same joined with one that may go
-- refused POLICY_REFUSED peer-not-allowed
SELECT s.person, r.illness FROM stays s JOIN registry r ON r.person = s.person

-- peer-unnamed-in-exists: the same as a predicate only
-- refused POLICY_REFUSED peer-not-allowed
SELECT s.person FROM stays s WHERE EXISTS (SELECT 1 FROM registry r WHERE r.person = s.person)

-- peer-unnamed-open: an open table whose policy names no peer
-- refused POLICY_REFUSED peer-not-allowed
SELECT post, amount FROM budget

-- peer-nothing-written: a table of which policy says nothing
-- refused POLICY_REFUSED peer-not-allowed
SELECT person, entry FROM diary

-- peer-closed: a table of which nothing leaves
-- refused POLICY_REFUSED peer-not-allowed
SELECT person, x FROM closed

-- peer-rows-for-keys: rows of a table of which only persons may go
-- refused POLICY_REFUSED peer-keys-only
SELECT patient, code FROM drugs

-- peer-rows-for-keys-join: the same beside a table whose rows may go
-- refused POLICY_REFUSED peer-keys-only
SELECT s.person, d.code FROM stays s JOIN drugs d ON d.patient = s.person

-- peer-multiplicity-for-keys: how many rows each person has
-- refused POLICY_REFUSED peer-keys-only
SELECT patient FROM drugs

-- peer-count-for-keys: the same as a number
-- refused POLICY_REFUSED peer-keys-only
SELECT patient, count(*) AS n FROM drugs GROUP BY patient

-- peer-value-for-keys: a value hidden in distinct rows
-- refused POLICY_REFUSED peer-keys-only
SELECT DISTINCT patient, quantity FROM drugs
