-- A person's key as an output or group key, in any disguise.

-- id-plain: the key itself
-- refused BORDER_REFUSED person-output
SELECT person FROM stays

-- id-star: all columns
-- refused BORDER_REFUSED person-output
SELECT * FROM stays

-- id-star-qualified: all columns
-- refused BORDER_REFUSED person-output
SELECT s.* FROM stays s

-- id-star-exclude: all but one
-- refused BORDER_REFUSED person-output
SELECT * EXCLUDE (note) FROM stays

-- id-star-replace: the key under another name
-- refused BORDER_REFUSED person-output
SELECT * REPLACE (person AS region) FROM stays

-- id-star-rename: the key under another name
-- refused BORDER_REFUSED person-output
SELECT * RENAME (person AS x) FROM stays

-- id-count-star-mixed: the key beside a count
-- refused BORDER_REFUSED person-output
SELECT person, count(*) FROM stays GROUP BY person

-- id-ungrouped-mixed: any key beside a count
-- refused BORDER_REFUSED person-output
SELECT person, count(*) FROM stays

-- id-position: group by position
-- refused BORDER_REFUSED person-output
SELECT person AS p, count(*) FROM stays GROUP BY 1

-- id-alias: group by alias
-- refused BORDER_REFUSED person-output
SELECT person AS region, count(*) FROM stays GROUP BY region

-- id-case-variant: another spelling
-- refused BORDER_REFUSED person-output
SELECT PeRsOn AS p, COUNT(*) FROM STAYS GROUP BY pErSoN

-- id-quoted-variant: another spelling
-- refused BORDER_REFUSED person-output
SELECT "PERSON", count(*) FROM "Stays" GROUP BY "PERSON"

-- id-escaped-name: another spelling
-- refused *
SELECT U&"p\0065rson", count(*) FROM stays GROUP BY 1

-- id-cast: cast
-- refused BORDER_REFUSED person-expression
SELECT CAST(person AS BLOB) AS b, count(*) FROM stays GROUP BY 1

-- id-try-cast: cast
-- refused *
SELECT TRY_CAST(badge AS INTEGER) AS b, count(*) FROM staff GROUP BY 1

-- id-concat: concatenation
-- refused BORDER_REFUSED person-expression
SELECT 'x' || person AS p, count(*) FROM stays GROUP BY 1

-- id-concat-function: concatenation
-- refused BORDER_REFUSED person-expression
SELECT concat(person, region) AS p, count(*) FROM stays GROUP BY 1

-- id-format: concatenation
-- refused BORDER_REFUSED person-expression
SELECT format('{}', person) AS p, count(*) FROM stays GROUP BY 1

-- id-substr: a part
-- refused BORDER_REFUSED person-expression
SELECT substr(person, 5, 8) AS p, count(*) FROM stays GROUP BY 1

-- id-one-letter: a letter at a time
-- refused BORDER_REFUSED person-expression
SELECT person[7] AS c, count(*) FROM stays GROUP BY 1

-- id-left: a letter at a time
-- refused BORDER_REFUSED person-expression
SELECT left(person, 5) AS c, count(*) FROM stays GROUP BY 1

-- id-hash: a hash that can be tried
-- refused BORDER_REFUSED person-expression
SELECT hash(person) AS h, count(*) FROM stays GROUP BY 1

-- id-md5: a hash that can be tried
-- refused BORDER_REFUSED person-expression
SELECT md5(person) AS h, count(*) FROM stays GROUP BY 1

-- id-sha256: a hash that can be tried
-- refused BORDER_REFUSED person-expression
SELECT sha256(person) AS h, count(*) FROM stays GROUP BY 1

-- id-base64: encoded
-- refused BORDER_REFUSED person-expression
SELECT to_base64(encode(person)) AS h, count(*) FROM stays GROUP BY 1

-- id-reverse: reversed
-- refused BORDER_REFUSED person-expression
SELECT reverse(person) AS r, count(*) FROM stays GROUP BY 1

-- id-length: a property
-- refused BORDER_REFUSED person-expression
SELECT length(person) AS n, count(*) FROM stays GROUP BY 1

-- id-ascii: a property
-- refused BORDER_REFUSED person-expression
SELECT ascii(person) AS n, count(*) FROM stays GROUP BY 1

-- id-arithmetic: a number shifted
-- refused BORDER_REFUSED person-expression
SELECT badge + 1 AS b, count(*) FROM staff GROUP BY 1

-- id-modulo: a number's rest
-- refused BORDER_REFUSED person-expression
SELECT badge % 1000 AS b, count(*) FROM staff GROUP BY 1

-- id-shift: a number's bits
-- refused BORDER_REFUSED person-expression
SELECT badge >> 8 AS b, count(*) FROM staff GROUP BY 1

-- id-bit: one bit
-- refused BORDER_REFUSED person-expression
SELECT badge & 1 AS b, count(*) FROM staff GROUP BY 1

-- id-coalesce: through a choice
-- refused BORDER_REFUSED person-expression
SELECT coalesce(person, 'x') AS p, count(*) FROM stays GROUP BY 1

-- id-case: through a choice
-- refused BORDER_REFUSED person-expression
SELECT CASE WHEN true THEN person END AS p, count(*) FROM stays GROUP BY 1

-- id-case-condition: through a condition
-- refused BORDER_REFUSED person-expression
SELECT CASE WHEN person > 'PKEY8' THEN 1 ELSE 0 END AS p, count(*) FROM stays GROUP BY 1

-- id-nullif: through a choice
-- refused BORDER_REFUSED person-expression
SELECT nullif(person, 'x') AS p, count(*) FROM stays GROUP BY 1

-- id-greatest: through a choice
-- refused BORDER_REFUSED person-expression
SELECT greatest(person, '') AS p, count(*) FROM stays GROUP BY 1

-- id-in-list: in a list
-- refused BORDER_REFUSED person-expression
SELECT [person] AS p, count(*) FROM stays GROUP BY 1

-- id-list-value: in a list
-- refused BORDER_REFUSED person-expression
SELECT list_value(person, region) AS p, count(*) FROM stays GROUP BY 1

-- id-json: in a document
-- refused *
SELECT to_json(person) AS p, count(*) FROM stays GROUP BY 1

-- id-json-object: in a document
-- refused *
SELECT json_object('p', person) AS p, count(*) FROM stays GROUP BY 1

-- id-interval: in an interval
-- refused BORDER_REFUSED person-expression
SELECT to_seconds(badge) AS p, count(*) FROM staff GROUP BY 1

-- id-timestamp: in a time
-- refused BORDER_REFUSED person-expression
SELECT to_timestamp(badge) AS p, count(*) FROM staff GROUP BY 1

-- id-other-domain: the other identifier
-- refused BORDER_REFUSED person-output
SELECT badge, count(*) FROM staff GROUP BY badge

-- id-parenthesised: in parentheses
-- refused BORDER_REFUSED person-output
SELECT (((person))) AS p, count(*) FROM stays GROUP BY 1

-- id-tuple-group: as one of the keys
-- refused BORDER_REFUSED person-group-key
SELECT region, count(*) FROM stays GROUP BY (region, person)

-- id-unselected-group: a group a person
-- refused BORDER_REFUSED person-group-key
SELECT region, count(*) FROM stays GROUP BY region, person

-- id-grouping-sets: a group a person
-- refused BORDER_REFUSED person-group-key
SELECT region, count(*) FROM stays GROUP BY GROUPING SETS ((region), (person))

-- id-rollup: a group a person
-- refused BORDER_REFUSED person-output
SELECT region, person, count(*) FROM stays GROUP BY ROLLUP (region, person)

-- id-cube: a group a person
-- refused BORDER_REFUSED person-output
SELECT person, count(*) FROM stays GROUP BY CUBE (person)

-- id-order: by order
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region ORDER BY max(person)

-- id-order-expression: by order
-- refused BORDER_REFUSED clause-over-groups
SELECT region, count(*) FROM stays GROUP BY region ORDER BY min(person) = '@PERSON@'
