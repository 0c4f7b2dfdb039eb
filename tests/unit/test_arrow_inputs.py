"""Arrow tables read by DuckDB statements: comparisons mean what they mean on DuckDB's own tables."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from archipel import arrow_inputs

CONDITIONS = (
    "x > 3",
    "x >= 'nan'",
    "x <= 'nan'",
    "x > 'inf'",
    "x BETWEEN 3 AND 'nan'",
    "x <> 'nan'",
    "x IN (5, 'nan')",
    "x = 0",
    "x > 3 AND s IS NOT NULL",
    "EXISTS (SELECT 1 FROM own o WHERE o.s = 'b' AND t.x >= o.x)",
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_on_doubles_keep_the_rows_that_they_keep_of_an_own_table(condition: str) -> None:
    table = pa.table(
        {"x": [1.0, 5.0, float("nan"), None, -0.0, float("inf")], "s": ["a", "b", "c", None, "é", ""]},
        schema=pa.schema([("x", pa.float64()), ("s", pa.string())]),
    )
    with duckdb.connect() as database:
        arrow_inputs.register(database, "t", table)
        database.execute("CREATE TABLE own AS FROM t")
        given = database.execute("SELECT x, s FROM t WHERE " + condition).fetchall()  # noqa: S608
        own = database.execute("SELECT x, s FROM own AS t WHERE " + condition).fetchall()  # noqa: S608
    assert repr(given) == repr(own)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_inputs_that_are_joined_are_copied_as_they_are(condition: str) -> None:
    table = pa.table(
        {
            "x": [1.0, 5.0, float("nan"), None, -0.0, float("inf")],
            "s": ["a", "b", "c", None, "é", ""],
            "shard": pc.run_end_encode(pa.array([0, 0, 1, 1, 2, 2], pa.int32())),
            "id": [bytes([i]) for i in range(6)],
        }
    )
    with duckdb.connect() as database:
        arrow_inputs.register_all(database, {"t": table, "kept": table}, joined=True, uncopied=("kept",))
        database.execute("CREATE TABLE own AS FROM kept")
        given, kept = (
            database.execute(f"SELECT t.*, typeof(id) FROM {name} AS t WHERE {condition}").fetchall()  # noqa: S608
            for name in ("t", "kept")
        )
        copied = database.execute("SELECT table_name FROM duckdb_tables() WHERE temporary ORDER BY 1").fetchall()
    assert repr(given) == repr(kept)
    assert copied == [("t",)]


def test_what_is_read_from_elsewhere_is_not_copied() -> None:
    table = pa.table({"x": [1, 2, 3]})
    with duckdb.connect() as database:
        arrow_inputs.register_all(database, {"t": table.to_reader()}, joined=True)
        assert database.execute("SELECT x FROM t WHERE x > 1").fetchall() == [(2,), (3,)]
        assert database.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall() == []


def test_a_run_end_encoded_column_can_be_filtered() -> None:
    table = pa.table({"shard": pc.run_end_encode(pa.array([0, 0, 1], pa.int32())), "x": [1, 2, 3]})
    with duckdb.connect() as database:
        arrow_inputs.register(database, "t", table)
        assert database.execute("SELECT x FROM t WHERE shard = 0 AND x > 1").fetchall() == [(2,)]


def test_a_join_may_hand_its_bloom_filter_to_a_union_of_an_own_table_and_an_arrow_table() -> None:
    keys = [(number * 48_271 + 11) % 999_999_937 for number in range(20_000)]
    with duckdb.connect(config={"threads": 1}) as database:
        arrow_inputs.register(database, "sent", pa.table({"k": keys, "v": keys}))
        arrow_inputs.register(database, "few", pa.table({"k": keys[:300], "g": [n % 10 for n in range(300)]}))
        database.execute("CREATE TABLE own AS SELECT range AS k, range % 10 AS g FROM range(100_000)")
        rows = "(SELECT k FROM own UNION ALL SELECT k FROM sent) AS b"
        counted = database.execute(f"SELECT count(*) FROM {rows}, few WHERE b.k = few.k AND few.g < 3")  # noqa: S608
        assert counted.fetchall() == [(93,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a.n, b.n FROM a JOIN b ON a.x = b.x",
        "SELECT a.n, b.n FROM a JOIN b ON a.x > b.x WHERE b.n IN (4, 6, 8)",
        "SELECT a.n FROM a SEMI JOIN b ON a.x = b.x",
        "SELECT a.n FROM a WHERE a.x IN (SELECT b.x FROM b WHERE b.n IN (3, 4, 6))",
    ],
)
def test_joins_on_doubles_find_the_rows_that_they_find_in_own_tables(query: str) -> None:
    nan, inf = float("nan"), float("inf")
    table = pa.table({"n": list(range(9)), "x": [1e16, -0.0, None, 0.0, nan, nan, inf, -inf, 1.5]})
    found = []
    for own in (False, True):
        with duckdb.connect() as database:
            for name in ("a", "b"):
                arrow_inputs.register(database, name if not own else f"given_{name}", table)
                if own:
                    database.execute(f"CREATE TABLE {name} AS FROM given_{name}")
            found.append(sorted(database.execute(query).fetchall()))
    assert found[0] == found[1]
    assert len(found[1]) > 4


@pytest.mark.parametrize(
    ("sql", "alone"),
    [
        ("SELECT sum(x) AS s FROM t", True),
        ("SELECT s, count(*) AS n, max(x) AS x FROM t GROUP BY s ORDER BY s", True),
        ("SELECT CASE WHEN x > 3 THEN s ELSE 'no' END AS a, CAST(x AS VARCHAR) AS b FROM t ORDER BY x", True),
        ("SELECT s, max(x) AS x FROM t GROUP BY s HAVING s <> 'a'", False),
        ("SELECT x FROM t ORDER BY x LIMIT 2", False),
        ("SELECT max(x) FILTER (WHERE x > 3) AS x FROM t", False),
        ("SELECT x FROM t WHERE x > 3", False),
        ("SELECT a.x FROM t AS a, t AS b WHERE a.x = b.x", False),
        ("SELECT (SELECT max(x) FROM t) AS x FROM t", False),
        ("SELECT x FROM t QUALIFY row_number() OVER (ORDER BY x) = 1", False),
        ("SELECT some_macro(x) AS x FROM t", False),
        ("SELECT x FROM t UNION ALL SELECT x FROM t", False),
    ],
)
def test_only_a_statement_that_takes_all_rows_of_one_table_reads_it_without_a_view(sql: str, alone: bool) -> None:
    table = pa.table({"x": [1.0, 5.0, float("nan"), None, -0.0], "s": ["a", "b", "c", None, "a"]})
    assert arrow_inputs.hands_no_filter_on(sql) is alone
    with duckdb.connect() as database:
        database.execute("CREATE MACRO some_macro(v) AS v + 1")
        database.register("t", table)
        plans = database.execute(f"EXPLAIN {sql}").fetchall()
        assert not (alone and "Filters" in str(plans))
        database.unregister("t")
        arrow_inputs.register_all(database, {"t": table}, joined=False, sql=sql)
        views = database.execute("SELECT view_name FROM duckdb_views() WHERE temporary AND view_name = 't arrow'")
        assert (views.fetchall() == []) is alone
        given = database.execute(sql).fetchall()
    with duckdb.connect() as database:
        database.execute("CREATE MACRO some_macro(v) AS v + 1")
        database.register("t arrow", table)
        database.execute('CREATE TABLE t AS FROM "t arrow"')
        assert sorted(map(repr, given)) == sorted(map(repr, database.execute(sql).fetchall()))
