-- Files of the machine, the data past its policy, and ways to write rows out.

-- file-read-csv: read a file of the machine
-- refused SQL_*
SELECT * FROM read_csv('/etc/passwd')

-- file-read-csv-auto: read a file
-- refused SQL_*
SELECT count(*) FROM read_csv_auto('/etc/passwd')

-- file-read-text: read a file
-- refused SQL_*
SELECT content FROM read_text('/etc/passwd')

-- file-read-blob: read a file
-- refused SQL_*
SELECT content FROM read_blob('@AUDIT@')

-- file-read-parquet: read the data past its policy
-- refused SQL_*
SELECT * FROM read_parquet('@DATA@')

-- file-parquet-scan: read the data past its policy
-- refused SQL_*
SELECT * FROM parquet_scan('@DATA@')

-- file-parquet-metadata: read minima of columns
-- refused SQL_*
SELECT * FROM parquet_metadata('@DATA@')

-- file-parquet-schema: read the schema
-- refused SQL_*
SELECT * FROM parquet_schema('@DATA@')

-- file-read-json: read the audit log
-- refused SQL_*
SELECT * FROM read_json_auto('@AUDIT@')

-- file-as-table: a file name as a table
-- refused SQL_*
SELECT * FROM '@DATA@'

-- file-as-quoted-table: a file name as a table
-- refused SQL_*
SELECT count(*) FROM "@DATA@"

-- file-as-table-etc: a file name as a table
-- refused SQL_*
SELECT * FROM '/etc/passwd.csv'

-- file-in-join: a file beside an allowed table
-- refused SQL_*
SELECT count(*) FROM stays s, '@DATA@' d

-- file-in-cte: a file in a CTE
-- refused SQL_*
WITH x AS (FROM '@DATA@') SELECT count(*) FROM x

-- file-in-subquery: a file in an expression
-- refused SQL_*
SELECT region, count(*) FROM stays WHERE 'x' IN (SELECT content FROM read_text('/etc/hostname')) GROUP BY 1

-- file-glob: list files
-- refused SQL_*
SELECT * FROM glob('/etc/*')

-- file-glob-function: list files
-- refused SQL_*
SELECT file FROM read_text('/proc/self/environ')

-- file-sniff: read the first rows
-- refused SQL_*
SELECT * FROM sniff_csv('/etc/passwd')

-- file-arrow: read a pointer
-- refused SQL_*
SELECT * FROM arrow_scan(1, 2, 3)

-- file-http: send data out
-- refused SQL_*
SELECT * FROM read_csv('https://example.org/x')

-- file-copy-out: write the data to a file
-- refused SQL_*
COPY stays TO '/tmp/stolen.csv'

-- file-copy-query: write to a file
-- refused SQL_*
COPY (SELECT * FROM stays) TO '/tmp/stolen.parquet'

-- file-copy-in: read a file
-- refused SQL_*
COPY stays FROM '/etc/passwd'

-- file-export: write everything
-- refused SQL_*
EXPORT DATABASE '/tmp/stolen'

-- file-attach: open another database
-- refused SQL_*
ATTACH '/tmp/other.db' AS other
