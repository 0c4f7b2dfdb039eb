-- Answers for the coordinator from what another node sent, with pseudonyms or single persons in them.

-- received-pseudonym: the pseudonyms themselves
-- refused BORDER_REFUSED person-output
SELECT p FROM x1

-- received-star: all that the other node sent
-- refused BORDER_REFUSED person-output
SELECT * FROM x1

-- received-rows: rows without the pseudonym
-- refused BORDER_REFUSED row-level-output
SELECT code, quantity FROM x1

-- received-by-pseudonym: one group for each person
-- refused BORDER_REFUSED person-output
SELECT p, count(*) AS n FROM x1 GROUP BY p

-- received-by-hidden-key: one group for each person, the key not shown
-- refused BORDER_REFUSED person-group-key
SELECT sum(quantity) AS q FROM x1 GROUP BY p

-- received-min: the smallest pseudonym
-- refused BORDER_REFUSED value-aggregate
SELECT min(p) AS p FROM x1

-- received-max-value: the largest value
-- refused BORDER_REFUSED value-aggregate
SELECT code, max(quantity) AS q FROM x1 GROUP BY code

-- received-list: all pseudonyms in a list
-- refused BORDER_REFUSED value-aggregate
SELECT list(p) AS p FROM x1

-- received-hex: a part of the pseudonym as a group
-- refused BORDER_REFUSED person-expression
SELECT left(hex(p), 2) AS h, count(*) AS n FROM x1 GROUP BY 1

-- received-length: compute with the pseudonym
-- refused BORDER_REFUSED person-expression
SELECT sum(octet_length(p)) AS n FROM x1

-- received-literal: rows under a pseudonym that the attacker learned
-- refused BORDER_REFUSED person-comparison
SELECT count(*) AS n FROM x1 WHERE p = unhex('00FF')

-- received-literal-less: search for a pseudonym by halves
-- refused BORDER_REFUSED person-expression
SELECT count(*) AS n FROM x1 WHERE p < unhex('80')

-- received-suspects: a list of identifiers from the coordinator
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) AS n FROM x1 JOIN suspects q ON q.id = x1.p

-- received-suspects-own: the same over the node's own table under pseudonyms
-- refused BORDER_REFUSED person-comparison
-- inputs suspects
SELECT count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p JOIN suspects q ON q.id = s.person

-- received-literal-own: the node's own person compared while it stands under a pseudonym
-- refused BORDER_REFUSED person-comparison
SELECT count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p WHERE s.person = '@PERSON@'

-- received-other-domain: staff joined with patients
-- refused BORDER_REFUSED person-comparison
SELECT count(*) AS n FROM x1 JOIN staff f ON f.badge = x1.p

-- received-pads: the holders' keys
-- refused SQL_UNKNOWN_TABLE unknown-table
SELECT count(p."inner") AS n FROM archipel_pads p, x1

-- received-pads-column: the holders' keys through the scan that reads them
-- refused SQL_UNKNOWN_COLUMN *
SELECT "archipel_pads"."inner" AS k, count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p GROUP BY 1

-- received-measure-key: groups by a value that its holder lets nobody group by
-- refused BORDER_REFUSED measure-group-key
SELECT quantity, count(*) AS n FROM x1 GROUP BY quantity

-- received-measure-band: the same in bands
-- refused BORDER_REFUSED measure-group-key
SELECT CASE WHEN quantity > 3 THEN 1 ELSE 0 END AS band, count(*) AS n FROM x1 GROUP BY 1

-- received-own-measure-key: the same of the node's own table
-- refused BORDER_REFUSED measure-group-key
SELECT s.days, count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p GROUP BY s.days

-- received-having: an oracle on small groups
-- refused BORDER_REFUSED clause-over-groups
SELECT code, count(*) AS n FROM x1 GROUP BY code HAVING count(*) = 5

-- received-order: an oracle on small groups
-- refused BORDER_REFUSED clause-over-groups
SELECT code, count(*) AS n FROM x1 GROUP BY code ORDER BY sum(quantity)

-- received-window: one person's value as everybody's
-- refused BORDER_REFUSED window-across-persons
SELECT sum(m) AS s FROM (SELECT max(quantity) OVER () AS m FROM x1) AS q

-- received-inner-max: the extreme value as a sum
-- refused BORDER_REFUSED value-across-persons
SELECT sum(m) AS s FROM (SELECT max(quantity) AS m FROM x1 GROUP BY code) AS q

-- received-scalar: choose one's own rows by a value of another node's person
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) AS n FROM stays WHERE days = (SELECT sum(quantity) FROM x1)

-- received-exists-other: choose by somebody else's rows
-- refused BORDER_REFUSED subquery-across-persons
SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM x1 WHERE x1.quantity = s.days)

-- received-limit: choose a person
-- refused BORDER_REFUSED limit-below-border
SELECT count(*) AS n FROM (SELECT p FROM x1 LIMIT 1) AS q

-- received-no-persons: count without the persons
-- refused BORDER_REFUSED *
SELECT count(*) AS n FROM regions WHERE region IN (SELECT code FROM x1)

-- received-rows-set: rows by a set operation
-- refused BORDER_REFUSED set-operation-output
SELECT code FROM x1 UNION ALL SELECT diagnosis FROM stays

-- received-hidden-own: a hidden column of the node's own, under cover of a received table
-- refused POLICY_REFUSED hidden-column
SELECT count(s.note) AS n FROM x1 JOIN stays s ON s.person = x1.p

-- received-unpermitted-own: a column that the permit does not name, under cover of a received table
-- refused PERMIT_SCOPE permit-column
SELECT s.nationality, count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p GROUP BY 1

-- received-unpermitted-table: a table that the permit does not name
-- refused PERMIT_SCOPE permit-table
SELECT count(*) AS n FROM x1 JOIN offpermit o ON o.person = x1.p

-- received-cte-name: a part of WITH by the received table's name, to join persons raw
-- refused BORDER_REFUSED *
WITH x1 AS (SELECT person AS p FROM stays) SELECT p, count(*) AS n FROM x1 GROUP BY p
