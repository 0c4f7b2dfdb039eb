"""The embedded engine over real files: what it registers, what it leaves out, how it fails, how it is stopped."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import OPEN, PROTECTED, engine_of, parquet_engine, rows_of, stays

from archipel import errors
from archipel.schema import Distribution, Form, Role
from node_agent.engine import duckdb_engine, sources
from node_agent.engine.duckdb_engine import DuckDBEngine, rounded

SECRET = "Jeanne-Martin-1954"
SLOW = "SELECT count(*) AS n FROM range(3000000) a(x), range(3000000) b(y) WHERE (a.x * b.y) % 7 = 3"


def csv_engine(directory: Path, **options: Any) -> DuckDBEngine:
    """Return an engine over one table ``t`` in ``*.csv``."""
    table = {"name": "t", "source": "data", "file": "*.csv", **options.pop("table", {})}
    source = {"name": "data", "kind": "files", "path": str(directory), "format": "csv", **options.pop("source", {})}
    return engine_of(directory, [table], sources=[source], **options)


def failure(engine: DuckDBEngine, sql: str, *, timeout_s: float = 30) -> errors.ArchipelError:
    """Run a statement that fails and return its error."""
    statement = engine.statement(sql, {}, timeout_s=timeout_s)
    try:
        with pytest.raises(errors.ArchipelError) as problem:
            statement.run().read_all()
    finally:
        statement.close()
    return problem.value


# --- what is registered ------------------------------------------------------------------------------------------


def test_a_site_key_that_holds_null_is_registered_so_and_the_operator_is_told(tmp_path: Path) -> None:
    rows = pa.table({"site": ["a", "a", "b"], "number": [1, None, 2], "Item Id": [1, 2, 3]})
    pq.write_table(rows, tmp_path / "stays.parquet")
    keys = {"stay": ["site", "number"], "item": ["site", "Item Id"]}
    engine = engine_of(tmp_path, [{"name": "stays", "source": "data", "file": "stays.parquet", "site_keys": keys}])
    (table,) = engine.tables()
    warnings = engine.warnings()
    engine.close()
    assert {key.name: key.nullable for key in table.site_keys} == {"stay": True, "item": False}
    assert [w for w in warnings if w.startswith("table stays: site_keys.stay holds NULL")]


def test_a_parquet_table_is_registered_with_schema_policy_and_rounded_statistics(tmp_path: Path) -> None:
    pq.write_table(stays(83), tmp_path / "stays.parquet")
    engine = engine_of(
        tmp_path,
        [
            {
                "name": "stays",
                "source": "data",
                "file": "stays.parquet",
                "description": "Stays",
                "person_column": "person",
                "site_keys": {"stay": ["note"]},
                "columns": {"Days": "length"},
            }
        ],
        policy={"stays": {**PROTECTED, "min_persons": 20, "columns": {"DAYS": "measure", "note": "hidden"}}},
    )
    (table,) = engine.tables()
    engine.close()
    assert [(c.name, c.type, c.description) for c in table.columns] == [
        ("person", "BIGINT", ""),
        ("region", "VARCHAR", ""),
        ("days", "INTEGER", "length"),
        ("note", "VARCHAR", ""),
    ]
    assert (table.distribution, table.person_domain, table.site_keys[0].columns) == (
        Distribution.SHARDED,
        "person",
        ("note",),
    )
    assert (table.policy.coordinator_form, table.policy.min_persons) == (Form.AGGREGATE, 20)
    assert [table.policy.role_of(c) for c in ("region", "days", "note")] == [Role.GROUP, Role.MEASURE, Role.HIDDEN]
    assert table.approximate_rows == 1000  # for 166
    assert table.content_digest == ""


VALUES = {
    "n": pa.array([3, None, -1, 7], pa.int32()),
    "price": pa.array([Decimal("1.50"), Decimal("-2.25"), None, Decimal("9.00")], pa.decimal128(12, 2)),
    "day": [date(2021, 3, 1), date(2020, 2, 29), date(2022, 1, 1), date(2020, 12, 31)],
    "at": pa.array([datetime(2021, 1, 1, 0, 0, 0, 5)] * 4, pa.timestamp("us")),
    "none": pa.array([None] * 4, pa.int64()),
    "ratio": [0.5, float("nan"), 1.0, 2.0],
    "text": ["a", "b", "c", "d"],
}
"""A column of each type that has a least and a greatest value, and some of types that have none."""

TOLD = {
    "n": ("-1", "7", True),
    "price": ("-2.25", "9.00", True),
    "day": ("2020-02-29", "2022-01-01", False),
    "at": ("2021-01-01 00:00:00.000005", "2021-01-01 00:00:00.000005", False),
}


def _ranges(engine: DuckDBEngine) -> dict[str, tuple[str, str, bool]]:
    (table,) = engine.tables()
    engine.close()
    return {r.column: (r.least, r.greatest, r.has_null) for r in table.ranges}


def test_of_an_open_table_the_ends_of_columns_are_told_whatever_holds_it(tmp_path: Path) -> None:
    rows = pa.table(VALUES)
    for part, name in ((rows.slice(0, 2), "t1"), (rows.slice(2), "t2")):
        pq.write_table(part, tmp_path / f"{name}.parquet", row_group_size=1)
    parts = [{"name": "t", "source": "data", "file": "t*.parquet"}]
    assert _ranges(engine_of(tmp_path, parts)) == TOLD
    with duckdb.connect(tmp_path / "rows.duckdb") as database:
        database.register("given", rows)
        database.execute("CREATE TABLE t AS SELECT * FROM given")
    sources_ = [{"name": "data", "kind": "duckdb", "path": str(tmp_path / "rows.duckdb")}]
    assert _ranges(engine_of(tmp_path, [{"name": "t", "source": "data"}], sources=sources_)) == TOLD
    pq.write_table(rows, tmp_path / "u.parquet", write_statistics=False)
    assert _ranges(engine_of(tmp_path, [{"name": "u", "source": "data", "file": "u.parquet"}])) == {}


@pytest.mark.parametrize(
    "policy",
    [PROTECTED, {**PROTECTED, "coordinator": "none"}, None, {**OPEN, "rows_where": "n > 0"}, {"protected": False}],
    ids=["protected", "closed", "not named", "rows that stay", "nothing leaves"],
)
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_of_persons_and_of_what_stays_no_value_is_told(
    tmp_path: Path, policy: dict[str, Any] | None, form: str
) -> None:
    table: dict[str, Any] = {"name": "t", "source": "data", "file": f"t.{form}", "person_column": "n"}
    if form == "csv":
        (tmp_path / "t.csv").write_text("n,days\n1,20\n2,30\n", encoding="utf-8")
        table["types"] = {"n": "INTEGER", "days": "INTEGER"}
    else:
        pq.write_table(pa.table({"n": [1, 2], "days": [20, 30]}), tmp_path / "t.parquet")
    source = {"name": "data", "kind": "files", "path": str(tmp_path), "format": form}
    rules = {} if policy is None else {"t": policy}
    assert _ranges(engine_of(tmp_path, [table], policy=rules, sources=[source])) == {}


def test_of_a_hidden_column_no_value_is_told(tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2], "days": [20, 30]})
    engine = parquet_engine(tmp_path, rows, policy={"t": {**OPEN, "columns": {"N": "hidden"}}})
    assert _ranges(engine) == {"days": ("20", "30", False)}


@pytest.mark.parametrize(
    ("number", "told"), [(0, 0), (1, 1000), (1000, 1000), (1001, 2000), (2000, 2000), (2001, 4000), (99_950, 128_000)]
)
def test_counts_are_told_in_doubling_steps(number: int, told: int) -> None:
    assert rounded(number) == told


def test_a_table_that_the_policy_does_not_name_lets_nothing_out(tmp_path: Path) -> None:
    pq.write_table(stays(), tmp_path / "t.parquet")
    engine = engine_of(
        tmp_path, [{"name": "t", "source": "data", "file": "t.parquet", "person_column": "person"}], policy={}
    )
    (table,) = engine.tables()
    engine.close()
    assert table.policy.protected
    assert table.policy.coordinator_form is Form.NONE
    assert {table.policy.role_of(c.name) for c in table.columns} == {Role.HIDDEN}


def test_copies_of_a_replicated_table_have_one_digest_whatever_the_order_of_rows(tmp_path: Path) -> None:
    digests = []
    for name, ids in (("a", [1, 2, 3]), ("b", [3, 1, 2]), ("c", [3, 1, 4])):
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.table({"id": ids}), folder / "t.parquet")
        engine = engine_of(folder, [{"name": "t", "source": "data", "file": "t.parquet", "distribution": "replicated"}])
        digests.append(engine.tables()[0].content_digest)
        engine.close()
    assert digests[0] == digests[1] != digests[2]


def test_many_files_are_one_table_and_every_row_names_its_node(tmp_path: Path) -> None:
    folder = tmp_path / "year=2023"  # as data lakes name folders; no column may come of it
    folder.mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), folder / "a_1.parquet")
    pq.write_table(pa.table({"id": [3]}), folder / "a_2.parquet")
    engine = engine_of(folder, [{"name": "a", "source": "data", "file": "a_*.parquet"}])
    assert [c.name for c in engine.tables()[0].columns] == ["id"]
    assert rows_of(engine, "SELECT id, _node FROM a ORDER BY id") == [
        {"id": i, "_node": "hospital_a"} for i in (1, 2, 3)
    ]
    engine.close()


def test_tables_of_a_duckdb_file_are_read_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE SCHEMA omop")
        database.execute("CREATE TABLE omop.person AS SELECT 1 AS person_id")
        database.execute('CREATE TABLE "Odd ""name""" AS SELECT 2 AS x')
    before = path.read_bytes()
    engine = engine_of(
        tmp_path,
        [
            {"name": "person", "source": "db", "table": "omop.person"},
            {"name": "odd", "source": "db", "table": 'Odd "name"'},
            {"name": "absent", "source": "db"},
        ],
        sources=[{"name": "db", "kind": "duckdb", "path": str(path)}],
    )
    assert rows_of(engine, "SELECT person_id, x FROM person, odd") == [{"person_id": 1, "x": 2}]
    assert engine.problems() == (f"table absent: {path} has no table 'absent'",)
    engine.close()
    assert path.read_bytes() == before


def test_csv_columns_are_text_unless_types_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffid,name,born\n007,"Dupont, Jean",2020-01-31\n8,,\n', encoding="utf-8")
    engine = csv_engine(tmp_path, table={"types": {"BORN": "DATE"}})
    assert [(c.name, c.type) for c in engine.tables()[0].columns] == [
        ("id", "VARCHAR"),
        ("name", "VARCHAR"),
        ("born", "DATE"),
    ]
    rows = rows_of(engine, "SELECT id, name, CAST(born AS VARCHAR) AS born FROM t ORDER BY id")
    engine.close()
    assert rows == [
        {"id": "007", "name": "Dupont, Jean", "born": "2020-01-31"},
        {"id": "8", "name": None, "born": None},
    ]


def test_csv_fields_may_be_parted_by_semicolons(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("finess;days\n590000001;3\n")
    engine = csv_engine(tmp_path, source={"delimiter": ";"}, table={"types": {"days": "INTEGER"}})
    assert rows_of(engine, "SELECT finess, days FROM t") == [{"finess": "590000001", "days": 3}]
    engine.close()


# --- what is left out, and told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"id,name\n1,a\n{SECRET},b\n", "line 3 of the CSV file: 'id' does not have the type that types gives it"),
        (f"id,name\n1,{SECRET},3\n", "line 2 of the CSV file is malformed"),
        (f"id,name\n1\n2,{SECRET}\n", "line 2 of the CSV file is malformed"),
        (f'id,name\n1,"{SECRET}\n', "line 2 of the CSV file is malformed"),
        (b"id,name\n1,\xe9\n", "line 2 of the CSV file is malformed"),
        ("", "its first line must name every column"),
        ("id,ID\n1,2\n", "two columns have the same name"),
        ("name\na\n", "types names 'id', which is no column; there are: name"),
    ],
)
def test_a_csv_file_with_bad_rows_is_left_out_and_the_operator_is_told_the_line_but_no_value(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    engine = csv_engine(tmp_path, table={"types": {"id": "INTEGER"}})
    (problem,) = engine.problems()
    assert engine.tables() == ()
    engine.close()
    assert told in problem
    assert SECRET not in problem


def test_a_type_that_does_not_exist_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    engine = csv_engine(tmp_path, table={"types": {"id": "INTEGERR"}})
    assert engine.problems() == ("table t: types gives a type that the engine does not know",)
    engine.close()


def test_csv_siblings_must_have_the_same_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,a\n")
    (tmp_path / "b.csv").write_text("name,id\na,1\n")
    engine = csv_engine(tmp_path)
    assert "b.csv: another header line than in a.csv" in engine.problems()[0]
    engine.close()


@pytest.mark.parametrize(
    ("sibling", "told"),
    [
        ({"id": [1]}, "'name' is missing"),
        ({"id": [1], "name": ["x"], "more": [1]}, "'more' is new"),
        ({"id": ["1"], "name": ["x"]}, "'id' is VARCHAR instead of BIGINT"),
    ],
)
def test_a_parquet_file_whose_columns_differ_from_its_siblings_leaves_the_table_out(
    tmp_path: Path, sibling: dict[str, list[Any]], told: str
) -> None:
    pq.write_table(pa.table({"id": [1], "name": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table(sibling), tmp_path / "b.parquet")
    pq.write_table(pa.table({"id": [5]}), tmp_path / "other.parquet")
    engine = engine_of(
        tmp_path,
        [
            {"name": "t", "source": "data", "file": "*.parquet"},
            {"name": "other", "source": "data", "file": "other.parquet"},
        ],
    )
    assert [table.name for table in engine.tables()] == ["other"]
    assert "b.parquet: other columns than in a.parquet" in engine.problems()[0]
    assert told in engine.problems()[0]
    engine.close()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"file": "absent.parquet"}, "absent.parquet: No such file or directory"),
        ({"file": "absent_*.parquet"}, "no file matches"),
        ({"file": "broken.parquet"}, "broken.parquet: not a whole Parquet file"),
        ({"file": "node.parquet"}, "a column is named _node"),
        ({"file": "good.parquet", "person_column": "nir"}, "person_column names 'nir', which is no column"),
        ({"file": "good.parquet", "site_keys": {"stay": ["nr"]}}, "site_keys.stay names 'nr', which is no column"),
        ({"file": "good.parquet", "columns": {"nr": "x"}}, "columns names 'nr', which is no column"),
    ],
)
def test_a_table_that_cannot_be_read_is_left_out_and_told_while_the_others_work(
    tmp_path: Path, table: dict[str, Any], told: str
) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "good.parquet")
    pq.write_table(pa.table({"_NODE": [1]}), tmp_path / "node.parquet")
    (tmp_path / "broken.parquet").write_bytes((tmp_path / "good.parquet").read_bytes()[:-10])
    engine = engine_of(
        tmp_path,
        [{"name": "bad", "source": "data", **table}, {"name": "good", "source": "data", "file": "good.parquet"}],
    )
    assert [registered.name for registered in engine.tables()] == ["good"]
    assert told in engine.problems()[0]
    assert engine.problems()[0].startswith("table bad: ")
    assert rows_of(engine, "SELECT id FROM good") == [{"id": 1}]
    engine.close()


def test_a_protected_table_without_a_person_column_and_a_policy_for_no_column_are_left_out(tmp_path: Path) -> None:
    pq.write_table(stays(), tmp_path / "t.parquet")
    table = {"name": "t", "source": "data", "file": "t.parquet"}
    for policy, told in (
        (PROTECTED, "a protected table must name its person_column"),
        ({**OPEN, "columns": {"regoin": "group"}}, "the policy names 'regoin', which is no column"),
    ):
        engine = engine_of(tmp_path, [table], policy={"t": policy})
        assert told in engine.problems()[0]
        engine.close()


def test_a_file_that_is_no_duckdb_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.duckdb").write_text("this is text " * 1000)
    engine = engine_of(
        tmp_path,
        [{"name": "t", "source": "db"}],
        sources=[{"name": "db", "kind": "duckdb", "path": str(tmp_path / "d.duckdb")}],
    )
    assert "no DuckDB file that this version can read" in engine.problems()[0]
    engine.close()


# --- files that change -------------------------------------------------------------------------------------------


def test_a_file_that_changes_its_schema_after_registration_stops_its_table_only(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t.parquet")
    engine = engine_of(
        tmp_path,
        [{"name": n, "source": "data", "file": f"{n}.parquet"} for n in ("t", "b")],
    )
    assert not engine.must_reopen()
    pq.write_table(pa.table({"id": ["text"], "extra": [1]}), tmp_path / "t.parquet")
    with pytest.raises(errors.OperationalError) as problem:
        engine.check_unchanged(("T",))
    assert problem.value.code == "NODE_CHANGED"
    assert str(tmp_path) not in str(problem.value)
    engine.check_unchanged(("b",))
    assert engine.must_reopen()
    engine.close()


def test_a_file_that_vanishes_is_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(errors.OperationalError) as problem:
        engine.check_unchanged(("t",))
    assert problem.value.code == "NODE_SOURCE"
    assert str(tmp_path) not in str(problem.value)
    assert failure(engine, "SELECT * FROM t").code == "NODE_SOURCE"
    assert engine.must_reopen()
    engine.close()


def test_a_missing_file_asks_for_reopening_only_when_it_has_come(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, [{"name": "t", "source": "data", "file": "t_*.parquet"}])
    assert engine.problems()
    assert not engine.must_reopen()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t_1.parquet")
    assert engine.must_reopen()
    engine.close()


def test_a_file_overwritten_in_place_with_the_same_size_is_noticed(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    path = tmp_path / "t.parquet"
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, 0))
    with pytest.raises(errors.OperationalError, match="has changed"):
        engine.check_unchanged(("t",))
    engine.close()


# --- failures while running --------------------------------------------------------------------------------------

FAILING = [
    ("SELECT sum(CAST(v AS INTEGER)) FROM t", "SQL_EXECUTION", "converted", "TRY_CAST"),
    ("SELECT CAST(v AS DATE) FROM t", "SQL_EXECUTION", "converted", "TRY_CAST"),
    ("SELECT strptime(v, '%Y') FROM t", "SQL_EXECUTION", "does not accept one of its inputs", ""),
    ("SELECT big + 1 FROM t", "SQL_EXECUTION", "outside the range", "wider type"),
    ("SELECT sqrt(-big) FROM t", "SQL_EXECUTION", "outside the range", "wider type"),
    ("SELECT CAST(big AS TINYINT) FROM t", "SQL_EXECUTION", "converted", "TRY_CAST"),
    ("SELECT nosuch FROM t", "NODE_EXECUTION", "does not accept the statement", "log"),
    ("SELECT v + 1 FROM t", "NODE_EXECUTION", "does not accept the statement", "log"),
]


@pytest.mark.parametrize(("sql", "code", "text", "hint"), FAILING)
def test_a_failing_statement_says_what_kind_of_failure_it_is_and_no_value(
    tmp_path: Path, sql: str, code: str, text: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = parquet_engine(tmp_path, pa.table({"v": ["1", SECRET], "big": [2**63 - 1, 2**63 - 1]}))
    with caplog.at_level(logging.DEBUG):
        problem = failure(engine, sql)
    engine.close()
    assert problem.code == code
    assert text in problem.info.message
    assert hint in problem.hint
    for leak in (SECRET, "9223372036854775807", "LINE 1", "nosuch"):
        assert leak not in str(problem) + caplog.text
        assert leak not in repr(problem.__cause__)
    assert "the engine failed with " in caplog.text


def test_a_failure_late_in_a_long_result_is_classified_too(tmp_path: Path) -> None:
    values = ["1"] * 400_000 + [SECRET]
    engine = parquet_engine(tmp_path, pa.table({"v": values}), limits={"threads": 1})
    problem = failure(engine, "SELECT CAST(v AS INTEGER) AS i FROM t")
    engine.close()
    assert problem.code == "SQL_EXECUTION"
    assert SECRET not in str(problem)


def test_division_by_zero_is_an_answer_and_no_error(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"z": [0]}))
    assert rows_of(engine, "SELECT 1 % z AS a, 1 // z AS b, isinf(1 / z) AS c FROM t") == [
        {"a": None, "b": None, "c": True}
    ]
    engine.close()


def test_a_bad_csv_row_that_is_met_while_running_is_told_without_its_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    engine = csv_engine(tmp_path, table={"types": {"id": "INTEGER"}})
    (tmp_path / "a.csv").write_text(f"id\n{SECRET}\n")
    problem = failure(engine, "SELECT id FROM t")
    engine.close()
    assert problem.code in {"SQL_EXECUTION", "NODE_EXECUTION", "NODE_SOURCE"}
    assert SECRET not in str(problem) + caplog.text


def test_a_statement_that_needs_more_memory_than_allowed_ends_with_node_resources(tmp_path: Path) -> None:
    engine = parquet_engine(
        tmp_path, pa.table({"id": [1]}), limits={"threads": 1, "memory_limit": "40MB", "max_spill": "1MB"}
    )
    problem = failure(engine, "SELECT list(x ORDER BY x DESC) AS l FROM range(20000000) r(x)")
    assert problem.code == "NODE_RESOURCES"
    assert rows_of(engine, "SELECT id FROM t") == [{"id": 1}]
    engine.close()


# --- stopping ----------------------------------------------------------------------------------------------------


def test_a_statement_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    started = time.monotonic()
    assert failure(engine, SLOW, timeout_s=0.2).code == "TIMEOUT"
    assert time.monotonic() - started < 5
    assert rows_of(engine, "SELECT id FROM t") == [{"id": 1}]
    engine.close()


def test_a_running_statement_is_cancelled_from_another_thread_and_others_go_on(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    statement = engine.statement(SLOW, {}, timeout_s=60)
    outcome: list[str] = []

    def run() -> None:
        try:
            statement.run().read_all()
        except errors.ArchipelError as problem:
            outcome.append(problem.code)

    running = threading.Thread(target=run)
    running.start()
    assert rows_of(engine, "SELECT id FROM t") == [{"id": 1}]
    statement.cancel()
    running.join(10)
    assert not running.is_alive()
    statement.close()
    engine.close()
    assert outcome == ["CANCELLED"]


def test_a_statement_cancelled_before_it_starts_does_not_run_on(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    statement = engine.statement(SLOW, {}, timeout_s=60)
    statement.cancel()
    started = time.monotonic()
    with pytest.raises(errors.OperationalError) as problem:
        statement.run().read_all()
    statement.close()
    engine.close()
    assert problem.value.code == "CANCELLED"
    assert time.monotonic() - started < 5


def test_statements_share_a_watchdog_which_ends_with_the_engine_and_closing_may_be_done_twice(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    before = threading.active_count()
    statements = [engine.statement("SELECT id FROM t", {}, timeout_s=3600) for _ in range(3)]
    readers = [statement.run() for statement in statements]
    assert threading.active_count() == before + 1
    for statement, reader in zip(statements, readers, strict=True):
        reader.read_all()
        statement.close()
        statement.close()
    engine.close()
    engine.close()
    assert threading.active_count() == before
    engine.close()


@pytest.mark.parametrize(("most", "kept"), [(1_000_000, True), (100, False)])
def test_footers_of_parquet_files_are_kept_where_they_are_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, kept: bool
) -> None:
    monkeypatch.setattr(duckdb_engine, "MAX_FOOTER_BYTES", most)
    engine = parquet_engine(tmp_path, pa.table({"id": [1]}))
    (path,) = tmp_path.rglob("*.parquet")
    assert sources.footer_bytes(path) == pq.read_metadata(path).serialized_size
    found = engine._database.execute("SELECT current_setting('parquet_metadata_cache')").fetchone()
    engine.close()
    assert found == (kept,)
    for content, size in ((b"", 0), (b"PAR1", 0), (b"a,b\n1,2\n3,4\n", 0)):
        path.write_bytes(content)
        assert sources.footer_bytes(path) == size


def test_many_statements_run_at_once(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"id": list(range(1000))}))
    answers: list[int] = []

    def ask(n: int) -> None:
        answers.append(rows_of(engine, "SELECT sum(id + k) AS s FROM t, i", {"i": pa.table({"k": [n]})})[0]["s"])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    engine.close()
    assert sorted(answers) == [499_500 + 1000 * n for n in range(16)]
