"""The shadow: types from the engine, complaints with their place, and nothing but queries."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from archipel.errors import ArchipelError, Position
from archipel.schema import Column, Table
from coordinator.catalog import build
from coordinator.plan import OutputColumn
from coordinator.shadow import Shadow, is_type

WARDS = Table("Wards", (Column("Ward", "VARCHAR"), Column("beds", "INTEGER"), Column("budget", "DECIMAL(18,2)")))


@pytest.fixture
def shadow() -> Iterator[Shadow]:
    made = Shadow(build({"lille": [WARDS]}, ["lille"]))
    yield made
    made.close()


def test_a_query_is_described_with_the_engines_names_and_types(shadow: Shadow) -> None:
    found = shadow.describe("SELECT ward, sum(beds), avg(budget) AS a, _node FROM wards GROUP BY ALL")
    assert found == (
        OutputColumn("Ward", "VARCHAR"),
        OutputColumn("sum(beds)", "HUGEINT"),
        OutputColumn("a", "DOUBLE"),
        OutputColumn("_node", "VARCHAR"),
    )


def test_bare_tables_lack_the_node(shadow: Shadow) -> None:
    assert [c.name for c in shadow.describe("SELECT * FROM wards", bare=True)] == ["Ward", "beds", "budget"]
    with pytest.raises(ArchipelError, match="_node"):
        shadow.describe("SELECT _node FROM wards", bare=True)


def test_inputs_are_tables_of_one_statement_only(shadow: Shadow) -> None:
    given = {"x1": (OutputColumn("n", "HUGEINT"), OutputColumn("k", "VARCHAR"))}
    assert shadow.describe("SELECT k FROM x1", given) == (OutputColumn("k", "VARCHAR"),)
    with pytest.raises(ArchipelError):
        shadow.describe("SELECT k FROM x1")


@pytest.mark.parametrize(
    ("sql", "code", "place"),
    [
        ("SELECT bed FROM wards", "SQL_UNKNOWN_COLUMN", Position(1, 8)),
        ("SELECT 'é', w.bed\nFROM wards w", "SQL_UNKNOWN_COLUMN", Position(1, 13)),
        ("SELECT ward,\n  sum(ward)\nFROM wards", "SQL_TYPE", Position(2, 3)),
        ("SELECT '日本', ubs(beds) FROM wards", "SQL_UNKNOWN_FUNCTION", Position(1, 14)),
        ("SELECT ward FROM wards a, wards b", "SQL_AMBIGUOUS_COLUMN", Position(1, 8)),
        ("SELECT ward FROM wards WHERE (", "SQL_SYNTAX", Position(1, 31)),
        ("SELECT CAST('x' AS INTEGER) + beds FROM wards UNION SELECT 1, 2", "SQL_TYPE", None),
    ],
)
def test_a_complaint_has_its_place_in_the_text(shadow: Shadow, sql: str, code: str, place: Position | None) -> None:
    with pytest.raises(ArchipelError) as complaint:
        shadow.describe(sql)
    assert (complaint.value.code, complaint.value.position) == (code, place)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE wards",
        "SELECT 1; DROP TABLE wards",
        "PIVOT wards ON ward USING sum(beds)",
        "SET threads = 4",
        "CALL pragma_version()",
    ],
)
def test_what_is_no_single_query_is_not_run(shadow: Shadow, sql: str) -> None:
    with pytest.raises(ArchipelError):
        shadow.describe(sql)
    assert len(shadow.describe("SELECT * FROM wards", bare=True)) == 3


def test_no_file_is_reached(shadow: Shadow, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    with pytest.raises(ArchipelError) as refused:
        shadow.describe("SELECT * FROM read_csv('" + str(secret) + "')")  # noqa: S608
    assert "a," not in str(refused.value)


def test_types_come_as_the_engine_hands_them_out(shadow: Shadow) -> None:
    columns = (OutputColumn("h", "HUGEINT"), OutputColumn("d", "DECIMAL(12,2)"), OutputColumn("l", "VARCHAR[]"))
    schema = shadow.arrow_schema(columns)
    assert schema.types == [pa.decimal128(38, 0), pa.decimal128(12, 2), pa.list_(pa.field("l", pa.string()))]


def test_a_type_that_arrow_lacks_is_an_error_without_a_value(shadow: Shadow) -> None:
    with pytest.raises(ArchipelError) as refused:
        shadow.arrow_schema((OutputColumn("s", "STRUCT(VARCHAR, INTEGER)"),))
    assert refused.value.code == "SQL_UNSUPPORTED"


@pytest.mark.parametrize(
    "text", ["INTEGER", "DECIMAL(38,10)", "VARCHAR[]", "TIMESTAMP WITH TIME ZONE", "STRUCT(a INTEGER)"]
)
def test_names_of_types_are_told_from_other_text(text: str) -> None:
    assert is_type(text)


@pytest.mark.parametrize("text", ["INTEGER; DROP TABLE x", "", "1 + 1", "x" * 2_000])
def test_other_text_is_no_type(text: str) -> None:
    assert not is_type(text)


def test_threads_describe_at_once(shadow: Shadow) -> None:
    queries = [f"SELECT ward AS a{i}, sum(beds) + {i} AS s FROM wards GROUP BY ward" for i in range(40)]  # noqa: S608
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shadow.describe, queries))
    assert [columns[0].name for columns in found] == [f"a{i}" for i in range(40)]


@pytest.mark.parametrize("kind", ["INTEGER; DROP TABLE x", "NO_SUCH_TYPE", "DECIMAL(99,1)"])
def test_a_table_with_a_type_that_the_engine_lacks_is_told_by_name(kind: str) -> None:
    with pytest.raises(ArchipelError, match="odd") as refused:
        Shadow(build({"lille": [Table("odd", (Column("a", kind),))]}, ["lille"]))
    assert refused.value.code == "SCHEMA_CONFLICT"
