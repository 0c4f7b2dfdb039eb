-- Statements that fail in the engine for some rows: refused, failed or answered, they show no value, and all failures look alike.

-- fail-division: does anybody have 366 days
SELECT sum(1 / (days - 366)) AS x FROM stays

-- fail-integer-division: does anybody have 366 days
SELECT sum(1000 // (days - 366)) AS x FROM stays

-- fail-cast-region: the cast of a label fails, with its text
SELECT sum(CAST(region AS INTEGER)) AS x FROM stays

-- fail-cast-case: a cast that fails for one person
SELECT sum(CAST(CASE WHEN days = 366 THEN diagnosis ELSE '1' END AS INTEGER)) AS x FROM stays

-- fail-cast-date: the cast of a label fails, with its text
SELECT count(*) FROM stays WHERE CAST(diagnosis AS DATE) > birth

-- fail-cast-narrow: a value that does not fit, with its text
SELECT sum(CAST(cost AS DECIMAL(6, 2))) AS x FROM stays

-- fail-tinyint: a value that does not fit, with its text
SELECT sum(CAST(days AS TINYINT)) AS x FROM stays

-- fail-overflow: an overflow for one person
SELECT sum(CAST(days AS INTEGER) * 10000000) AS x FROM stays

-- fail-power: an overflow for one person
SELECT sum(CAST(power(10, days) AS BIGINT)) AS x FROM stays

-- fail-ln: out of range for one person
SELECT sum(ln(366 - days)) AS x FROM stays

-- fail-sqrt: out of range for one person
SELECT sum(sqrt(365 - days)) AS x FROM stays

-- fail-chr: an invalid code point for one person
SELECT count(chr(days * 3100)) AS x FROM stays

-- fail-decode: invalid text
SELECT count(decode(from_hex('FF' || substr(region, 1, 0)))) AS x FROM stays

-- fail-hex: invalid digits, with the text
SELECT count(from_hex(region)) AS x FROM stays

-- fail-base64: invalid digits, with the text
SELECT count(from_base64(region)) AS x FROM stays

-- fail-json: invalid document, with its text
SELECT count(json_extract(region, '$.a')) AS x FROM stays

-- fail-strptime: invalid date, with its text
SELECT count(strptime(region, '%Y-%m-%d')) AS x FROM stays

-- fail-make-date: invalid date for one person
SELECT count(make_date(2020, 1, days)) AS x FROM stays

-- fail-repeat: too large for one person
SELECT sum(length(repeat(region, days * 100000000))) AS x FROM stays

-- fail-format: wrong format, with the text
SELECT count(format(region || '{', days)) AS x FROM stays

-- fail-regexp-data: a pattern made of data
SELECT count(*) FROM stays WHERE regexp_matches('x', region || '(')

-- fail-interval: invalid interval, with its text
SELECT count(CAST(region AS INTERVAL)) AS x FROM stays

-- fail-uuid: invalid identifier, with its text
SELECT count(CAST(region AS UUID)) AS x FROM stays

-- fail-factorial: too large for one person
SELECT sum(factorial(days)) AS x FROM stays

-- fail-list-slice: a list made of data
SELECT count(CAST(region AS INTEGER[])) AS x FROM stays

-- fail-count-if-literal: an error of the check's own
SELECT region, count_if('x') AS n FROM stays GROUP BY region
