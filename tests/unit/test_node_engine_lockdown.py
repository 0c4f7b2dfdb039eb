"""The locked engine on its own: what a statement reaches when the border check has let everything through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import engine_of, parquet_engine, rows_of

from archipel import errors
from node_agent.engine.duckdb_engine import DuckDBEngine

SECRET = "Marie-Curie-1867"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[DuckDBEngine]:
    """An engine over a Parquet file and a DuckDB file, in a folder with another file beside them."""
    (tmp_path / "other.txt").write_text(SECRET)
    (tmp_path / "other.csv").write_text(f"a,b\n1,{SECRET}\n")
    pq.write_table(pa.table({"name": [SECRET]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"id": [1, 2, 3], "v": ["a", "b", "c"]}), tmp_path / "t.parquet")
    with duckdb.connect(str(tmp_path / "d.duckdb")) as database:
        database.execute("CREATE TABLE k AS SELECT 1 AS x")
        database.execute("CREATE TABLE unregistered AS SELECT 2 AS x")
    engine = engine_of(
        tmp_path,
        [{"name": "t", "source": "files", "file": "t.parquet"}, {"name": "k", "source": "db"}],
        sources=[
            {"name": "files", "kind": "files", "path": str(tmp_path), "format": "parquet"},
            {"name": "db", "kind": "duckdb", "path": str(tmp_path / "d.duckdb")},
        ],
    )
    assert engine.problems() == ()
    yield engine
    engine.close()


HOSTILE = {
    "read another file": "SELECT * FROM read_text('{dir}/other.txt')",
    "read another csv": "SELECT * FROM read_csv('{dir}/other.csv')",
    "read a file by name": "SELECT * FROM '{dir}/other.parquet'",
    "read the data file past the table": "SELECT * FROM read_parquet('{dir}/t.parquet')",
    "read the data file as bytes": "SELECT * FROM read_blob('{dir}/t.parquet')",
    "list files": "SELECT * FROM glob('{dir}/*')",
    "look into metadata": "SELECT * FROM parquet_metadata('{dir}/t.parquet')",
    "sniff": "SELECT * FROM sniff_csv('/etc/passwd')",
    "network": "SELECT * FROM read_csv('https://example.org/x.csv')",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "set": "SET threads = 1",
    "reset": "RESET threads",
    "pragma": "PRAGMA threads = 1",
    "unlock": "SET lock_configuration = false",
    "variable": "SET VARIABLE a = 1",
    "copy out": "COPY t TO '{dir}/out.csv'",
    "copy over the data": "COPY (SELECT 1 AS id) TO '{dir}/t.parquet' (USE_TMP_FILE false)",
    "copy in": "COPY k FROM '{dir}/other.csv'",
    "export": "EXPORT DATABASE '{dir}/export'",
    "attach": "ATTACH '{dir}/new.duckdb' AS n",
    "attach memory": "ATTACH ':memory:' AS n",
    "detach": "DETACH source_0",
    "use": "USE source_0",
    "insert": "INSERT INTO source_0.main.k VALUES (2)",
    "create": "CREATE TABLE z AS SELECT 1 AS x",
    "create temporary": "CREATE TEMP TABLE z AS SELECT 1 AS x",
    "create view over a table": "CREATE OR REPLACE VIEW t AS SELECT 9 AS id",
    "create macro": "CREATE MACRO f(x) AS x + 1",
    "create secret": "CREATE SECRET s (TYPE s3)",
    "drop": "DROP VIEW t",
    "update": "UPDATE k SET x = 2",
    "delete": "DELETE FROM k",
    "checkpoint": "CHECKPOINT",
    "begin": "BEGIN",
    "prepare": "PREPARE p AS SELECT 1",
    "execute": "EXECUTE p",
    "call": "CALL duckdb_settings()",
    "explain": "EXPLAIN ANALYZE SELECT * FROM t",
    "logging": "CALL enable_logging()",
    "settings": "SELECT * FROM duckdb_settings()",
    "secrets": "SELECT * FROM duckdb_secrets()",
    "views show paths": "SELECT sql FROM duckdb_views()",
    "the same as a table": "SELECT sql FROM duckdb_views",
    "sqlite catalogue": "SELECT sql FROM sqlite_master",
    "information schema": "SELECT * FROM information_schema.tables",
    "postgres catalogue": "SELECT * FROM pg_catalog.pg_class",
    "databases": "SELECT * FROM pragma_database_list",
    "show": "SHOW ALL TABLES",
    "show inside": "SELECT * FROM (SHOW TABLES)",
    "describe": "DESCRIBE t",
    "summarize": "SELECT * FROM (SUMMARIZE t)",
    "pivot": "PIVOT t ON v USING count(*)",
    "a setting by function": "SELECT current_setting('temp_directory')",
    "a setting in a predicate": "SELECT id FROM t WHERE v < current_setting('temp_directory')",
    "quoted": "SELECT \"Current_Setting\"('temp_directory')",
    "by method": "SELECT 'temp_directory'.current_setting()",
    "qualified function": "SELECT system.main.current_setting('temp_directory')",
    "variable by function": "SELECT getvariable('a')",
    "the statement itself": "SELECT current_query()",
    "sleep": "SELECT sleep_ms(10)",
    "log": "SELECT write_log('x')",
    "error text": "SELECT error(v) FROM t",
    "run text": "SELECT * FROM query('SELECT 1')",
    "table by name": "SELECT * FROM query_table('t')",
    "run a serialised statement": "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "unregistered table": "SELECT * FROM source_0.main.unregistered",
    "around the view": "SELECT * FROM source_0.main.k",
    "qualified view": "SELECT * FROM main.t",
    "a name of the caller's program": "SELECT * FROM SECRET",
    "two statements": "SELECT 1 AS x; SELECT 2 AS x",
    "none": "",
    "behind a CTE's name": "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
    "a CTE of another scope": "SELECT (WITH duckdb_logs AS (SELECT 1) SELECT 1 FROM duckdb_logs), * FROM duckdb_logs",
    "in a subquery": "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM duckdb_tables)",
    "in a lateral join": "SELECT * FROM t, LATERAL (SELECT * FROM duckdb_columns) c",
    "in an order": "SELECT id FROM t ORDER BY (SELECT count(*) FROM sqlite_master)",
    "in a window": "SELECT sum(id) OVER (ORDER BY getvariable('a')) FROM t",
    "in a filter": "SELECT count(*) FILTER (WHERE current_setting('threads') = '2') FROM t",
    "a parameter": "SELECT $1",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_but_selects_over_known_tables_reaches_the_engine(
    locked: DuckDBEngine, tmp_path: Path, hostile: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    statement = locked.statement(hostile.format(dir=tmp_path), {}, timeout_s=10)
    with pytest.raises(errors.ArchipelError) as problem:
        statement.run().read_all()
    statement.close()
    assert problem.value.code in {"BORDER_REFUSED", "NODE_EXECUTION", "SQL_EXECUTION"}
    assert SECRET not in str(problem.value) + caplog.text
    assert str(tmp_path) not in str(problem.value) + caplog.text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert rows_of(locked, "SELECT count(*) AS n FROM t") == [{"n": 3}]


@pytest.mark.parametrize(
    ("closed", "because"),
    [
        ("SELECT * FROM read_text('{dir}/other.txt')", duckdb.PermissionException),
        ("ATTACH '{dir}/new.duckdb' AS n", duckdb.PermissionException),
        ("COPY t TO '{dir}/out.csv'", duckdb.PermissionException),
        ("SELECT * FROM read_csv('{dir}/other.csv')", duckdb.PermissionException),
        ("INSTALL httpfs", duckdb.PermissionException),
        ("LOAD httpfs", duckdb.PermissionException),
        ("SET threads = 1", duckdb.InvalidInputException),
        ("SET lock_configuration = false", duckdb.InvalidInputException),
        ("SET enable_external_access = true", duckdb.InvalidInputException),
        ("INSERT INTO source_0.main.k VALUES (2)", duckdb.InvalidInputException),
        ("SELECT * FROM SECRET", duckdb.CatalogException),
    ],
)
def test_the_lock_holds_without_the_guard_too(
    locked: DuckDBEngine, tmp_path: Path, closed: str, because: type[duckdb.Error]
) -> None:
    cursor = locked._database.cursor()
    try:
        with pytest.raises(because):
            cursor.execute(closed.format(dir=tmp_path)).fetchall()
    finally:
        cursor.close()


def test_holes_that_duckdb_leaves_open_are_still_those_the_guard_was_written_for(
    locked: DuckDBEngine, tmp_path: Path
) -> None:
    """When DuckDB closes one of these, the list in the module's docstring can be shortened."""
    cursor = locked._database.cursor()
    try:
        assert str(tmp_path) in str(cursor.execute("SELECT current_setting('temp_directory')").fetchall())
        cursor.execute("CREATE TEMP TABLE z AS SELECT 1 AS x")
        cursor.execute("COPY (SELECT 9 AS id, 'z' AS v) TO '{}' (USE_TMP_FILE false)".format(tmp_path / "t.parquet"))
        cursor.execute("DROP VIEW t")
    finally:
        cursor.close()


def test_a_data_file_that_the_agent_may_write_to_is_told_to_the_operator(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    try:
        assert os.access(tmp_path / "t.parquet", os.W_OK)
        assert [w for w in engine.warnings() if "t.parquet" in w and "read access only" in w]
    finally:
        engine.close()


def test_an_input_of_one_statement_is_not_visible_to_another(locked: DuckDBEngine) -> None:
    first = locked.statement("SELECT * FROM i", {"i": pa.table({"x": [1]})}, timeout_s=10)
    assert first.run().read_all().to_pylist() == [{"x": 1}]
    second = locked.statement("SELECT * FROM i", {}, timeout_s=10)
    with pytest.raises(errors.ArchipelError):
        second.run()
    for statement in (first, second):
        statement.close()


ORDINARY = [
    "WITH g AS MATERIALIZED (SELECT v, count(*) AS n, count(DISTINCT id) FILTER (WHERE id > 1) AS p FROM t GROUP BY v) "
    "SELECT (SELECT count(*) FROM g WHERE p < 1) AS w, g.* FROM g WHERE p >= 0",
    "SELECT v, x, count(*) FROM t LEFT JOIN k ON k.x = t.id GROUP BY CUBE (v, x) HAVING count(*) > 0 ORDER BY 1",
    "SELECT row_number() OVER (PARTITION BY v ORDER BY id DESC) AS n FROM t QUALIFY n = 1",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT i FROM r",
    "SELECT id FROM t WHERE id IN (SELECT x FROM k) UNION ALL SELECT x FROM k EXCEPT SELECT 7",
    "SELECT * FROM (VALUES (1), (2)) v(z), unnest([1, 2]) u(q), range(2) s(r)",
    "SELECT CASE WHEN id BETWEEN 1 AND 2 THEN CAST(id AS DECIMAL(10, 2)) END, list_transform([1], x -> x + id) FROM t",
    "SELECT date_trunc('month', DATE '2023-05-17') + INTERVAL 3 DAY AS d, _node FROM t",
]


@pytest.mark.parametrize("ordinary", ORDINARY)
def test_ordinary_statements_are_not_hindered(locked: DuckDBEngine, ordinary: str) -> None:
    assert rows_of(locked, ordinary)
