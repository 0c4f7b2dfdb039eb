-- The engine beside its tables: settings, catalogue, extensions, session state, statements in strings.

-- engine-install: load code
-- refused SQL_*
INSTALL httpfs

-- engine-load: load code
-- refused SQL_*
LOAD '/tmp/evil.so'

-- engine-pragma: see settings
-- refused SQL_*
PRAGMA database_list

-- engine-pragma-function: see columns
-- refused SQL_*
SELECT * FROM pragma_table_info('stays')

-- engine-pragma-storage: see statistics
-- refused SQL_*
SELECT * FROM pragma_storage_info('stays')

-- engine-set: open files again
-- refused SQL_*
SET enable_external_access = true

-- engine-reset: open files again
-- refused SQL_*
RESET enable_external_access

-- engine-set-variable: keep state between tasks
-- refused SQL_*
SET VARIABLE x = (SELECT max(person) FROM stays)

-- engine-call: call a procedure
-- refused SQL_*
CALL pragma_version()

-- engine-execute: run what was prepared
-- refused SQL_*
EXECUTE q

-- engine-prepare: prepare a statement
-- refused SQL_*
PREPARE q AS SELECT * FROM stays

-- engine-use: switch schemas
-- refused SQL_*
USE memory

-- engine-create: keep rows
-- refused SQL_*
CREATE TEMP TABLE t AS SELECT * FROM stays

-- engine-macro: hide a call in a macro
-- refused SQL_*
CREATE MACRO f(x) AS x

-- engine-drop: destroy a view
-- refused SQL_*
DROP VIEW stays

-- engine-insert: write
-- refused SQL_*
INSERT INTO regions VALUES ('x', 'y', 1)

-- engine-update: write
-- refused SQL_*
UPDATE regions SET zone = 'x' RETURNING *

-- engine-delete: write
-- refused SQL_*
DELETE FROM regions RETURNING *

-- engine-explain: see a plan
-- refused SQL_*
EXPLAIN ANALYZE SELECT * FROM stays

-- engine-describe: see types
-- refused SQL_*
DESCRIBE stays

-- engine-summarize: minima and maxima of every column
-- refused SQL_*
SUMMARIZE stays

-- engine-summarize-from: the same in FROM
-- refused SQL_*
SELECT * FROM (SUMMARIZE stays)

-- engine-describe-from: the same in FROM
-- refused SQL_*
SELECT * FROM (DESCRIBE stays)

-- engine-show: list tables
-- refused SQL_*
SHOW ALL TABLES

-- engine-begin: hold a transaction
-- refused SQL_*
BEGIN TRANSACTION

-- engine-vacuum: run maintenance
-- refused SQL_*
VACUUM

-- engine-checkpoint: run maintenance
-- refused SQL_*
CHECKPOINT

-- engine-settings: see paths
-- refused SQL_*
SELECT * FROM duckdb_settings()

-- engine-views: see paths
-- refused SQL_*
SELECT sql FROM duckdb_views()

-- engine-secrets: see secrets
-- refused SQL_*
SELECT * FROM duckdb_secrets()

-- engine-temporary-files: see spill files
-- refused SQL_*
SELECT * FROM duckdb_temporary_files()

-- engine-information-schema: see the catalogue
-- refused SQL_*
SELECT * FROM information_schema.tables

-- engine-pg-catalog: see the catalogue
-- refused SQL_*
SELECT * FROM pg_catalog.pg_class

-- engine-duckdb-tables: see the catalogue
-- refused SQL_*
SELECT * FROM duckdb_tables

-- engine-sqlite-master: see the catalogue
-- refused SQL_*
SELECT * FROM sqlite_master

-- engine-current-setting: see a setting
-- refused SQL_*
SELECT current_setting('allowed_paths')

-- engine-getenv: see the environment
-- refused SQL_*
SELECT getenv('HOME')

-- engine-getvariable: see state of other tasks
-- refused SQL_*
SELECT getvariable('x')

-- engine-query: run a string
-- refused SQL_*
SELECT * FROM query('SELECT * FROM stays')

-- engine-query-table: a table named by a string
-- refused SQL_*
SELECT * FROM query_table('stays')

-- engine-query-tables: tables named by strings
-- refused SQL_*
SELECT * FROM query_table(['stays', 'diary'])

-- engine-json-sql: run a string
-- refused SQL_*
SELECT * FROM json_execute_serialized_sql('{}')

-- engine-list-aggregate: call by a name in a string
-- refused SQL_*
SELECT list_aggregate([1], 'histogram')

-- engine-current-query: see what others ask
-- refused SQL_*
SELECT region, count(*) FROM stays WHERE current_query() <> '' GROUP BY 1

-- engine-nextval: keep state
-- refused SQL_*
SELECT nextval('s')

-- engine-random: average a noise away
-- refused SQL_*
SELECT count(*) FROM stays WHERE random() < 0.5

-- engine-now: read the clock
-- refused SQL_*
SELECT region, count(*) FROM stays WHERE now() > birth GROUP BY 1

-- engine-error: a value in an error text
-- refused SQL_*
SELECT error(person) FROM stays

-- engine-sleep: tell by time
-- refused SQL_*
SELECT count(*) FROM stays WHERE sleep_ms(1000) IS NULL

-- engine-write-log: a value in the log
-- refused SQL_*
SELECT count(*) FROM stays WHERE write_log(person) IS NULL

-- engine-test-all-types: a table function
-- refused SQL_*
SELECT * FROM test_all_types()

-- engine-repeat-row: a table function
-- refused SQL_*
SELECT * FROM repeat_row(1, num_rows = 1000000)

-- engine-seq-scan: a table function
-- refused SQL_*
SELECT * FROM seq_scan('stays')
