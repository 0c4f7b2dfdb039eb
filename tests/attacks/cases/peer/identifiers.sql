-- Rows for a peer that policy names, under a permit for linkage, with identifiers in them that are no pseudonyms.

-- peer-person-twice: show the identifier beside its pseudonym
-- refused BORDER_REFUSED peer-rows-person
SELECT person, person AS again FROM stays

-- peer-person-of-both: show the identifier of the other side of a join
-- refused BORDER_REFUSED peer-rows-person
SELECT s.person, d.patient FROM stays s JOIN drugs d ON d.patient = s.person

-- peer-cast: the identifier as another text
-- refused BORDER_REFUSED person-expression
SELECT CAST(person AS VARCHAR) AS person FROM stays

-- peer-cast-beside: the identifier cast, beside its pseudonym
-- refused BORDER_REFUSED person-expression
SELECT person, CAST(person AS BLOB) AS raw FROM stays

-- peer-hash: an unkeyed hash, of which a dictionary can be made
-- refused BORDER_REFUSED person-expression
SELECT person, hash(person) AS h FROM stays

-- peer-sha256: an unkeyed hash in the place of the pseudonym
-- refused BORDER_REFUSED person-expression
SELECT sha256(person) AS person FROM stays

-- peer-md5: an unkeyed hash in the place of the pseudonym
-- refused BORDER_REFUSED person-expression
SELECT md5(person) AS person, cost FROM stays

-- peer-concat: the identifier with something around it
-- refused BORDER_REFUSED person-expression
SELECT 'x' || person AS person FROM stays

-- peer-part: the first letters of the identifier
-- refused BORDER_REFUSED person-expression
SELECT person, left(person, 6) AS part FROM stays

-- peer-length: a property of the identifier
-- refused BORDER_REFUSED person-expression
SELECT person, length(person) AS l FROM stays

-- peer-case: the identifier in a branch
-- refused BORDER_REFUSED person-expression
SELECT person, CASE WHEN days > 3 THEN person END AS x FROM stays

-- peer-list: the identifier in a list
-- refused BORDER_REFUSED person-expression
SELECT person, [person] AS x FROM stays

-- peer-coalesce: the identifier or something else
-- refused BORDER_REFUSED person-expression
SELECT coalesce(person, 'nobody') AS person FROM stays

-- peer-max-window: the identifier as the largest of its own
-- refused BORDER_REFUSED person-expression
SELECT person, max(person) OVER (PARTITION BY person) AS x FROM stays

-- peer-min-group: the identifier as the smallest of its own
-- refused BORDER_REFUSED person-expression
SELECT person, min(person) AS x FROM stays GROUP BY person

-- peer-rank-by-identifier: the rank of the identifier among all
-- refused BORDER_REFUSED window-across-persons
SELECT person, rank() OVER (ORDER BY person) AS x FROM stays

-- peer-rank-within: the order of identifiers within one person
-- refused BORDER_REFUSED person-expression
SELECT person, row_number() OVER (PARTITION BY person ORDER BY person) AS x FROM stays

-- peer-order-by-identifier: rows in the order of the identifiers
-- refused BORDER_REFUSED peer-clause
SELECT person, cost FROM stays ORDER BY person

-- peer-order-by-value: rows in the order of a value
-- refused BORDER_REFUSED peer-clause
SELECT person FROM stays ORDER BY cost

-- peer-literal: rows of the person whom the attacker knows
-- refused BORDER_REFUSED person-comparison
SELECT person, cost, diagnosis FROM stays WHERE person = '@PERSON@'

-- peer-literal-list: rows of persons whom the attacker knows
-- refused BORDER_REFUSED person-comparison
SELECT person, cost FROM stays WHERE person IN ('@PERSON@', 'x')

-- peer-literal-negated: all but the person whom the attacker knows
-- refused BORDER_REFUSED person-expression
SELECT DISTINCT person FROM stays WHERE person <> '@PERSON@'

-- peer-literal-join: compare in the join
-- refused BORDER_REFUSED person-comparison
SELECT s.person FROM stays s JOIN drugs d ON d.patient = s.person AND s.person = '@PERSON@'

-- peer-literal-like: compare by pattern
-- refused BORDER_REFUSED person-expression
SELECT person FROM stays WHERE person LIKE '@PERSON@%'

-- peer-suspects: rows of the persons in a list that the coordinator sends
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT s.person, s.cost FROM stays s JOIN suspects q ON q.id = s.person

-- peer-suspects-in: the same by IN
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT person, cost FROM stays WHERE person IN (SELECT id FROM suspects)

-- peer-suspects-exists: the same by EXISTS
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT s.person FROM stays s WHERE EXISTS (SELECT 1 FROM suspects q WHERE q.id = s.person)

-- peer-weights: learn the pseudonym of each person by a list of weights
-- refused BORDER_REFUSED person-comparison
-- inputs weights
SELECT s.person, w.w FROM stays s JOIN weights w ON w.person = s.person

-- peer-other-domain: the identifier of staff as if it were a patient
-- refused BORDER_REFUSED person-comparison
SELECT s.person FROM stays s JOIN staff f ON f.badge = s.person

-- peer-union: identifiers of two tables in one column
-- refused BORDER_REFUSED set-operation-output
SELECT person FROM stays UNION ALL SELECT patient FROM drugs

-- peer-union-domains: a patient's and a member of staff's identifiers in one column
-- refused BORDER_REFUSED set-operation-persons
SELECT u.p FROM (SELECT person AS p FROM stays UNION ALL SELECT badge FROM staff) AS u

-- peer-union-values: identifiers and values in one column
-- refused BORDER_REFUSED set-operation-persons
SELECT u.p FROM (SELECT person AS p FROM stays UNION ALL SELECT diagnosis FROM stays) AS u

-- peer-pads: the holders' keys
-- refused SQL_UNKNOWN_TABLE unknown-table
SELECT p."inner", p."outer" FROM archipel_pads AS p

-- peer-pads-beside: the holders' keys beside a person
-- refused SQL_UNKNOWN_TABLE unknown-table
SELECT s.person, p."inner" FROM stays s CROSS JOIN archipel_pads p

-- peer-pads-column: the holders' keys by the name of the table that holds them
-- refused SQL_UNKNOWN_COLUMN *
SELECT person, "archipel_pads"."inner" AS k FROM stays
