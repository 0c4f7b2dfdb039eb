"""Finish stages that only pick columns: told apart from all others, and done as the engine does them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from archipel import errors
from archipel.schema import Form
from coordinator.merge.engine import Engine
from coordinator.picking import ordered, ordered_picks, picked, picks
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind
from coordinator.planning import Planned
from coordinator.stage_work import only_picks, picked_table, result_table

ROWS = """SELECT * FROM (VALUES
  (1, 2.5::DOUBLE, 'é', true, DATE '2024-02-29', TIMESTAMP '2024-01-01 10:00:00', 12345678901234567890::HUGEINT, 1.25),
  (NULL, 'nan'::DOUBLE, '', NULL, NULL, NULL, NULL, NULL),
  (-3, -0.0::DOUBLE, NULL, false, DATE '1582-10-15', TIMESTAMP '1900-01-01', (-1)::HUGEINT, -0.01)
) AS t(i, d, s, b, day, moment, huge, price)"""

TYPES = {
    "plain": ROWS,
    "time zone": "SELECT TIMESTAMPTZ '2024-01-01 10:00:00+02' AS v, TIME '10:00' AS t, INTERVAL '3 days' AS span",
    "uuid, bits and bytes": "SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS u, '101'::BIT AS b, 'x'::BLOB AS y",
    "nested": "SELECT [1, NULL] AS l, {'a': 1, 'b': ['x']} AS s, MAP {'k': 1.5} AS m, [1, 2, 3]::INT[3] AS fixed",
    "json and enum": "SELECT '{\"a\": 1}'::JSON AS j, 'x'::ENUM('x', 'y') AS e",
    "small and unsigned": "SELECT 1::TINYINT AS a, 2::UTINYINT AS b, 3::UBIGINT AS c, 4::FLOAT AS f, NULL AS n",
    "wide decimals": "SELECT 0.1::DECIMAL(38, 10) AS a, 1::DECIMAL(4, 1) AS b, 2::UHUGEINT AS c",
    "no rows": "SELECT 1 AS a, 'x' AS b WHERE false",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The engine that would finish."""
    made = Engine(memory_limit_bytes=1 << 28)
    yield made
    made.close()


def planned(table: pa.Table, sql: str, columns: tuple[str, ...]) -> Planned:
    """Return a plan whose one node has ``table``, and whose finish is ``sql``."""
    described = tuple(OutputColumn(name, "VARCHAR") for name in columns)
    inner = tuple(OutputColumn(name, "VARCHAR") for name in table.column_names)
    stages = (
        Stage("s1", StageKind.NODE, ("n1",), "SELECT 1", inner),
        Stage("s2", StageKind.FINISH, (COORDINATOR,), sql, described, ("x1",)),
    )
    plan = Plan("q", stages, (Exchange("x1", "s1", "s2", Form.ROWS, "open", 1, 1),), "s2", described)
    schema = pa.schema([pa.field(name, table.schema.field(i).type) for i, name in enumerate(columns)])
    return Planned(plan, {"s1": table.schema, "s2": schema}, schema, "{}", (0, frozenset()))


@pytest.mark.parametrize("sql", TYPES.values(), ids=TYPES)
def test_what_is_picked_is_what_the_engine_gives(sql: str, engine: Engine) -> None:
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        table = database.execute(sql).to_arrow_table()
    names = tuple(f"new {name}" for name in reversed(table.column_names))
    turned = table.select(table.column_names[::-1])
    columns = [exp.column(old, "x1", quoted=True) for old in turned.column_names]
    projections = [exp.alias_(column, new, quoted=True) for column, new in zip(columns, names, strict=True)]
    finish = exp.select(*projections).from_(exp.to_table("x1")).sql("duckdb")
    whole = planned(turned, finish, names)
    ours = picked_table(whole, whole.plan.stage("s2"), {"s1": {"n1": turned}}, max_rows=10, max_bytes=1 << 20)
    assert ours is not None
    theirs = engine.answer(finish, {"x1": table}, timeout_s=20, max_rows=10, max_bytes=1 << 20)
    bounds = {"max_rows": 10, "max_bytes": 1 << 20}
    mine, its = (result_table(whole, {"s2": table}, **bounds) for table in (ours, theirs))
    assert mine.schema.equals(its.schema)
    assert repr(mine.to_pylist()) == repr(its.to_pylist())  # as text, since NaN is unlike itself


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "x1"."a" + 1 AS "a" FROM "x1" AS "x1"',
        'SELECT CAST("x1"."a" AS BIGINT) AS "a" FROM "x1" AS "x1"',
        'SELECT "x1"."a"."f" AS "a" FROM "x1" AS "x1"',
        'SELECT DISTINCT "x1"."a" AS "a" FROM "x1" AS "x1"',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" ORDER BY "a"',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" LIMIT 1',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" WHERE "x1"."a" > 1',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" GROUP BY "x1"."a"',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" QUALIFY row_number() OVER () = 1',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1", "x1" AS "y"',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" TABLESAMPLE 1 ROWS',
        'SELECT "x1"."a" AS "a" FROM "other" AS "x1"',
        'SELECT "x1"."a" AS "a" FROM "s"."x1" AS "x1"',
        'SELECT "y"."a" AS "a" FROM "x1" AS "y"("a")',
        'WITH "x1" AS (SELECT 1 AS "a") SELECT "x1"."a" AS "a" FROM "x1" AS "x1"',
        'SELECT "x1"."a" AS "a" FROM "x1" AS "x1" UNION ALL SELECT 1',
        'SELECT * FROM "x1" AS "x1"',
        'SELECT "x1".* FROM "x1" AS "x1"',
        'SELECT COUNT(*) AS "a" FROM "x1" AS "x1"',
        "SELECT 1 AS a",
    ],
)
def test_what_does_more_is_the_engines(sql: str) -> None:
    assert picks(sql, "x1") is None


@pytest.mark.parametrize(
    ("cast", "known", "same"),
    [
        ("DECIMAL(38, 4)", "DECIMAL(38,4)", True),
        ("DECIMAL(38, 2)", "DECIMAL(38,4)", False),
        ("BIGINT", "HUGEINT", False),
        ("BIGINT", "BIGINT", True),
        ("VARCHAR", "VARCHAR", True),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", True),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", False),
        ("INTEGER[]", "INTEGER[]", True),
        ("STRUCT(a INTEGER)", "STRUCT(b INTEGER)", False),
        ("BIGINT", "", False),
    ],
)
def test_only_a_cast_to_the_type_that_a_column_has_is_no_work(cast: str, known: str, same: bool) -> None:
    sql = f'SELECT CAST("x1"."a" AS {cast}) AS "b" FROM "x1" AS "x1"'  # noqa: S608
    found = picks(sql, "x1", (("a", known),) if known else ())
    assert found == ((("a", "b"),) if same else None)
    assert picks(sql.replace("CAST", "TRY_CAST"), "x1", (("a", known),)) is None


def test_a_name_that_is_not_there_once_is_the_engines() -> None:
    columns = picks('SELECT "x1"."a" AS "b" FROM "x1" AS "x1"', "x1")
    assert columns == (("a", "b"),)
    assert picked(pa.table({"A": [1]}), columns) is None
    assert picked(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), columns) is None
    assert picked(pa.table({"a": [1], "c": [2]}), columns).to_pydict() == {"b": [1]}


def test_limits_hold_for_what_is_picked_too() -> None:
    table = pa.table({"a": [1, 2, 3]})
    whole = planned(table, 'SELECT "x1"."a" AS "b" FROM "x1" AS "x1"', ("b",))
    stage = whole.plan.stage("s2")
    assert only_picks(whole.plan, stage)
    for bounds in ({"max_rows": 2, "max_bytes": 1000}, {"max_rows": 3, "max_bytes": 10}):
        with pytest.raises(errors.ArchipelError) as problem:
            picked_table(whole, stage, {"s1": {"n1": table}}, **bounds)
        assert problem.value.info.code is errors.RESULT_TOO_LARGE


ORDERINGS = [
    'SELECT "x1"."t" AS "a", "x1"."n" AS "b", "x1"."p" AS "c" FROM "x1" AS "x1" ORDER BY "a", "b" DESC, "c"',
    'SELECT "x1"."n" AS "b", "x1"."t" AS "a", "x1"."p" AS "c" FROM "x1" AS "x1" ORDER BY "c" DESC, "a" DESC, "b"',
    'SELECT "x1"."d" AS "n", "x1"."n" AS "d", "x1"."y" AS "y" FROM "x1" AS "x1" ORDER BY "n" DESC, "y", "d" LIMIT 3',
    'SELECT "x1"."y" AS "y", "x1"."d" AS "d", "x1"."n" AS "n" FROM "x1" AS "x1" ORDER BY "y" DESC, "d", "n" LIMIT 1000',
]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.sampled_from(["", "a", "B", "\u00e9", "e\u0301", "\U0001f600", "\uffff", "\x00", "ab"]),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.decimals(-(10**12), 10**12, places=2),
            st.none() | st.dates(),
            st.none() | st.booleans(),
        ),
        max_size=12,
    )
)
@pytest.mark.parametrize("sql", ORDERINGS)
def test_what_is_ordered_is_ordered_as_the_engine_does(
    sql: str, rows: list[tuple[object, ...]], engine: Engine
) -> None:
    kinds = {"t": pa.string(), "n": pa.int64(), "p": pa.decimal128(15, 2), "d": pa.date32(), "y": pa.bool_()}
    columns = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds.values())]
    table = pa.table(columns, names=list(kinds))
    wanted = ordered_picks(sql, "x1")
    assert wanted is not None
    theirs = engine.answer(sql, {"x1": table}, timeout_s=10, max_rows=1000, max_bytes=1 << 20)
    assert ordered(table, wanted).equals(theirs)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" NULLS FIRST',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "g"',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "x1"."a"',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" COLLATE NOCASE',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY 1',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY ALL',
        'SELECT "x1"."g" AS "a", "x1"."h" AS "A" FROM "x1" AS "x1" ORDER BY "a"',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" LIMIT 10%',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" LIMIT 3 OFFSET 1',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a" LIMIT (SELECT 1)',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" WHERE "x1"."g" > 1 ORDER BY "a"',
        'SELECT DISTINCT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a"',
        'SELECT "x1"."g" AS "a" FROM "x1" AS "x1" LIMIT 1',
    ],
)
def test_another_order_is_left_to_the_engine(sql: str) -> None:
    assert ordered_picks(sql, "x1") is None


def test_doubles_are_ordered_by_the_engine() -> None:
    wanted = ordered_picks('SELECT "x1"."g" AS "a" FROM "x1" AS "x1" ORDER BY "a"', "x1")
    assert wanted is not None
    assert ordered(pa.table({"g": [1.5, float("nan"), None]}), wanted) is None
