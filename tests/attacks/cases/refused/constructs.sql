-- Constructs of the dialect that carry rows, columns or persons past a check that does not know them.

-- construct-columns: columns chosen by a pattern
-- refused SQL_*
SELECT COLUMNS('.*') FROM stays

-- construct-columns-count: columns chosen by a pattern
-- refused SQL_*
SELECT max(COLUMNS(*)) FROM stays

-- construct-columns-lambda: columns chosen by code
-- refused SQL_*
SELECT COLUMNS(c -> c LIKE 'p%') FROM stays

-- construct-unpack: columns unpacked
-- refused SQL_*
SELECT coalesce(*COLUMNS(*)) FROM stays

-- construct-positional: match rows by position
-- refused SQL_*
-- inputs suspects
SELECT count(*) FROM stays POSITIONAL JOIN suspects s

-- construct-sample: a few rows
-- refused SQL_*
SELECT region, count(*) FROM stays USING SAMPLE 1 ROWS GROUP BY 1

-- construct-tablesample: a few rows
-- refused SQL_*
SELECT count(*) FROM stays TABLESAMPLE 1%

-- construct-pivot: values as columns
-- refused SQL_*
PIVOT stays ON person USING count(*)

-- construct-pivot-from: values as columns
-- refused SQL_*
SELECT * FROM (PIVOT stays ON region USING count(*))

-- construct-pivot-standard: values as columns
-- refused SQL_*
SELECT * FROM stays PIVOT (count(*) FOR person IN ('@PERSON@'))

-- construct-unpivot: columns as values
-- refused SQL_*
UNPIVOT stays ON person, region INTO NAME n VALUE v

-- construct-unpivot-from: columns as values
-- refused SQL_*
SELECT v, count(*) FROM stays UNPIVOT (v FOR n IN (person)) GROUP BY v

-- construct-from-first: all rows
-- refused BORDER_REFUSED person-output
FROM stays

-- construct-from-first-select: all rows
-- refused BORDER_REFUSED person-output
FROM stays SELECT person

-- construct-table: all rows
-- refused BORDER_REFUSED person-output
TABLE stays

-- construct-lateral: a query a row
-- refused SQL_*
SELECT x.p, count(*) FROM stays s, LATERAL (SELECT s.person AS p) x GROUP BY 1

-- construct-unnest: lists as rows
-- refused SQL_*
SELECT u, count(*) FROM (SELECT unnest([person, region]) AS u FROM stays) GROUP BY 1

-- construct-unnest-from: lists as rows
-- refused SQL_*
SELECT count(*) FROM stays, unnest(range(100)) t(i)

-- construct-asof: the nearest row
-- refused SQL_*
SELECT count(*) FROM stays s ASOF JOIN drugs d ON s.person = d.patient AND s.days >= d.quantity

-- construct-recursive: iterate over persons
-- refused SQL_*
WITH RECURSIVE r AS (SELECT person, 1 AS n FROM stays UNION ALL SELECT person, n + 1 FROM r WHERE n < 20) SELECT n, count(*) FROM r GROUP BY n

-- construct-lambda: code over lists
-- refused SQL_*
SELECT list_transform([1], x -> x + 1)

-- construct-lambda-person: code over persons
-- refused SQL_*
SELECT count(*) FROM stays WHERE len(list_filter([person], x -> x > 'P')) = 1

-- construct-list-comprehension: code over lists
-- refused SQL_*
SELECT [x FOR x IN [1, 2]] AS l

-- construct-struct: a row as one value
-- refused SQL_*
SELECT {'p': person, 'r': region} FROM stays

-- construct-row: a row as one value
-- refused SQL_*
SELECT row(person, region), count(*) FROM stays GROUP BY 1

-- construct-table-as-value: a row as one value
-- refused SQL_*
SELECT stays FROM stays

-- construct-alias-as-value: a row as one value
-- refused SQL_*
SELECT s, count(*) FROM stays s GROUP BY s

-- construct-map: a row as one value
-- refused SQL_*
SELECT map([region], [person]) FROM stays

-- construct-group-by-all: keys not named
-- refused *
SELECT person, count(*) FROM stays GROUP BY ALL

-- construct-rowid: a hidden row number
-- refused SQL_*
SELECT rowid, count(*) FROM stays GROUP BY 1

-- construct-filename: a hidden column
-- refused SQL_*
SELECT filename, count(*) FROM stays GROUP BY 1

-- construct-file-row-number: a hidden column
-- refused SQL_*
SELECT file_row_number, count(*) FROM stays GROUP BY 1

-- construct-try: an error as a value
-- refused SQL_*
SELECT count(*) FROM stays WHERE TRY(CAST(person AS INTEGER)) IS NULL

-- construct-collate: another order
-- refused SQL_*
SELECT region COLLATE NOCASE AS r, count(*) FROM stays GROUP BY 1

-- construct-at-version: an older table
-- refused SQL_*
SELECT count(*) FROM stays AT (VERSION => 1)

-- construct-values-output: rows from constants beside rows
-- refused BORDER_REFUSED row-level-output
VALUES ((SELECT max(person) FROM stays))

-- construct-window-clause: a window named elsewhere
-- refused BORDER_REFUSED row-level-output
SELECT region, first_value(person) OVER w FROM stays WINDOW w AS (ORDER BY person)

-- construct-with-ordinality: row numbers
-- refused SQL_*
SELECT * FROM unnest([1]) WITH ORDINALITY

-- construct-cast-enum: a type of the catalogue
-- refused SQL_*
SELECT CAST(region AS stays) FROM stays

-- construct-cast-struct: an unknown type
-- refused SQL_*
SELECT CAST(region AS STRUCT(a INT)), count(*) FROM stays GROUP BY 1

-- construct-union-by-name: columns matched by name
-- refused SQL_*
SELECT person FROM stays UNION ALL BY NAME SELECT patient FROM drugs

-- construct-natural: columns matched by name
-- refused SQL_*
SELECT count(*) FROM registry NATURAL JOIN closed
