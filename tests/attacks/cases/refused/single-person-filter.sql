-- One person, or all but one, chosen by the key: literals, patterns, ranges, inputs.

-- filter-literal: one person by the key
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays WHERE person = '@PERSON@'

-- filter-not-literal: all but one, by the key
-- refused BORDER_REFUSED person-expression
SELECT sum(cost) FROM stays WHERE person <> '@PERSON@'

-- filter-in-literals: persons by a list
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays WHERE person IN ('@PERSON@', 'x')

-- filter-not-in: all but one, by a list
-- refused BORDER_REFUSED person-comparison
SELECT sum(cost) FROM stays WHERE person NOT IN ('@PERSON@')

-- filter-like: a prefix of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person LIKE 'PKEY0%'

-- filter-ilike: a prefix of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person ILIKE 'pkey0%'

-- filter-glob: a pattern of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person GLOB 'PKEY0*'

-- filter-similar: a pattern of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person SIMILAR TO 'PKEY0.*'

-- filter-regexp: a pattern of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE regexp_matches(person, '^PKEY0')

-- filter-starts-with: a prefix of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE starts_with(person, 'PKEY0')

-- filter-caret: a prefix of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person ^@ 'PKEY0'

-- filter-contains: a part of the key
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE contains(person, '0a')

-- filter-between: a range of keys
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person BETWEEN 'PKEY0' AND 'PKEY8'

-- filter-less: a range of keys
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person < 'PKEY8'

-- filter-hash: a random half
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE hash(person) % 2 = 0

-- filter-number: one person by number
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM staff WHERE badge = 900000000000

-- filter-modulo: a half by number
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM staff WHERE badge % 2 = 0

-- filter-is-distinct: null-safe comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person IS NOT DISTINCT FROM '@PERSON@'

-- filter-coalesce: wrapped comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE coalesce(person, '') = '@PERSON@'

-- filter-cast: cast comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE person::BLOB = '@PERSON@'::BLOB

-- filter-tuple: tuple comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE (person, region) = ('@PERSON@', 'Nord')

-- filter-tuple-in: tuple comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE (person, region) IN (('@PERSON@', 'Nord'))

-- filter-list-contains: list comparison
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE list_contains(['@PERSON@'], person)

-- filter-any: ANY of a list
-- refused *
SELECT count(*) FROM stays WHERE person = ANY(['@PERSON@'])

-- filter-all: ALL of a subquery
-- refused *
SELECT count(*) FROM stays WHERE person >= ALL (SELECT person FROM registry)

-- filter-case: a comparison in CASE
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays WHERE CASE person WHEN '@PERSON@' THEN true ELSE false END

-- filter-boolean: a comparison as a value
-- refused BORDER_REFUSED person-comparison
SELECT sum(cost) FROM stays WHERE (person = '@PERSON@') = true

-- filter-input-in: persons from an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) FROM stays WHERE person IN (SELECT id FROM suspects)

-- filter-input-not-in: all but those of an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) FROM stays WHERE person NOT IN (SELECT id FROM suspects)

-- filter-input-join: persons from an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) FROM stays s JOIN suspects i ON i.id = s.person

-- filter-input-semi: persons from an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) FROM stays s SEMI JOIN suspects i ON i.id = s.person

-- filter-input-left: persons marked by an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT i.id, count(*) FROM stays s LEFT JOIN suspects i ON i.id = s.person GROUP BY i.id

-- filter-input-exists: persons from an input
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM suspects i WHERE i.id = s.person)

-- filter-input-badge: a number from an input
-- refused BORDER_REFUSED person-comparison
-- inputs badges
SELECT count(*) FROM staff f JOIN badges b ON b.id = f.badge

-- filter-input-weights: weights by person
-- refused BORDER_REFUSED person-comparison
-- inputs weights
SELECT sum(s.cost * w.w) FROM stays s JOIN weights w ON w.person = s.person

-- filter-values-join: persons from VALUES
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays s JOIN (VALUES ('@PERSON@')) v(id) ON v.id = s.person

-- filter-cte-literal: persons from a CTE
-- refused BORDER_REFUSED person-comparison
WITH v AS (SELECT '@PERSON@' AS id) SELECT count(*) FROM stays s JOIN v ON v.id = s.person

-- filter-subquery-literal: the filter one level down
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM (SELECT * EXCLUDE (note, nationality) FROM stays WHERE person = '@PERSON@') t

-- filter-derived-name: the filter over a renamed key
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM (SELECT person AS x, cost FROM stays) t WHERE t.x = '@PERSON@'

-- filter-exists-literal: the filter in EXISTS
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM drugs d WHERE d.patient = s.person AND d.patient = '@PERSON@')

-- filter-on-literal: the filter in ON
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM stays s JOIN drugs d ON s.person = d.patient AND d.patient = '@PERSON@'

-- filter-having-literal: the filter in HAVING
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region, person HAVING person = '@PERSON@'

-- filter-inner-having: the filter in HAVING below
-- refused BORDER_REFUSED person-comparison
SELECT count(*) FROM (SELECT person, sum(cost) AS c FROM stays GROUP BY person HAVING person = '@PERSON@')

-- filter-self-inequality: an order of persons
-- refused BORDER_REFUSED person-expression
SELECT count(*) FROM stays a JOIN stays b ON a.person < b.person

-- filter-rank: the first person by key
-- refused BORDER_REFUSED window-across-persons
SELECT sum(cost) FROM (SELECT cost, rank() OVER (ORDER BY person) AS r FROM stays) WHERE r = 1
