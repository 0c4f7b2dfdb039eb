"""What does not fit into memory: on disk encrypted, read as often as needed, gone in the end."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from node_support import parquet_engine, rows_of

from archipel import errors
from node_agent.spill import SpilledTable, gathered

SCHEMA = pa.schema([("k", pa.int64()), ("text", pa.string())])
BATCHES = 12


def batches(count: int = BATCHES, rows: int = 5_000) -> Iterator[pa.RecordBatch]:
    """Yield batches whose texts are easily found."""
    for batch in range(count):
        numbers = range(batch * rows, (batch + 1) * rows)
        yield pa.record_batch({"k": list(numbers), "text": [f"SECRET-{n}" for n in numbers]}, schema=SCHEMA)


def spilled(directory: Path) -> SpilledTable:
    """Return a table on disk."""
    found = gathered(SCHEMA, batches(), memory_bytes=100_000, directory=directory)
    assert isinstance(found, SpilledTable)
    return found


def content_of(table: SpilledTable) -> bytes:
    """Return what is on disk."""
    return os.pread(table._file.fileno(), table.size + 1, 0)


def test_what_fits_stays_in_memory_and_what_does_not_goes_to_disk(tmp_path: Path) -> None:
    small = gathered(SCHEMA, batches(1), memory_bytes=1_000_000, directory=tmp_path)
    assert isinstance(small, pa.Table)
    assert small.num_rows == 5_000
    assert gathered(SCHEMA, iter(()), memory_bytes=0, directory=tmp_path).schema == SCHEMA
    large = spilled(tmp_path)
    assert large.reader().read_all().equals(pa.Table.from_batches(batches()))
    large.close()


def test_the_disk_holds_no_text_and_no_name_of_a_file(tmp_path: Path) -> None:
    table = spilled(tmp_path)
    content = content_of(table)
    assert len(content) == table.size > 100_000
    assert b"SECRET" not in content
    assert b"text" not in content
    assert not list(tmp_path.iterdir())
    table.close()


def test_the_same_rows_look_different_each_time(tmp_path: Path) -> None:
    first, second = spilled(tmp_path), spilled(tmp_path)
    assert content_of(first) != content_of(second)
    first.close()
    second.close()


def test_an_engine_reads_it_as_often_as_a_statement_names_it(tmp_path: Path) -> None:
    engine = parquet_engine(tmp_path, pa.table({"k": [1, 2, 3]}))
    table = spilled(tmp_path)
    sql = (
        "SELECT count(*) AS n, max(b.text) AS last, (SELECT count(*) FROM x1) AS all_rows "
        "FROM x1 AS a JOIN x1 AS b ON a.k = b.k JOIN t ON t.k = a.k"
    )
    assert rows_of(engine, sql, {"x1": table}) == [{"n": 3, "last": "SECRET-3", "all_rows": 5_000 * BATCHES}]  # type: ignore[dict-item]
    table.close()
    engine.close()


def test_nan_and_null_compare_as_everywhere_else(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.float64())])
    rows = pa.record_batch({"x": [float("nan"), None, 1.0, 5.0]}, schema=schema)
    table = SpilledTable(schema, [rows], tmp_path)
    engine = parquet_engine(tmp_path, pa.table({"k": [1]}))
    assert rows_of(engine, "SELECT count(*) AS n FROM x1 WHERE x > 3", {"x1": table}) == [{"n": 2}]  # type: ignore[dict-item]
    table.close()
    engine.close()


def test_a_file_that_was_altered_is_noticed(tmp_path: Path) -> None:
    table = spilled(tmp_path)
    os.pwrite(table._file.fileno(), b"\x00\x01\x02", table.size // 2)
    with pytest.raises(errors.ArchipelError) as problem:
        table.reader().read_all()
    assert problem.value.code == "NODE_RESOURCES"
    table.close()


def test_two_slices_that_were_swapped_are_noticed(tmp_path: Path) -> None:
    table = spilled(tmp_path)
    table._slices[0], table._slices[1] = table._slices[1], table._slices[0]
    with pytest.raises(errors.ArchipelError):
        table.reader().read_all()
    table.close()


def test_closing_it_gives_the_file_back_also_when_it_could_not_be_written_whole(tmp_path: Path) -> None:
    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    table = spilled(tmp_path)
    assert open_files() == before + 1
    table.close()
    table.close()
    assert open_files() == before

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(3)
        raise errors.error(errors.EXCHANGE_REFUSED, "No.")

    with pytest.raises(errors.OperationalError, match=r"No\."):
        gathered(SCHEMA, broken(), memory_bytes=0, directory=tmp_path)
    assert open_files() == before


def test_a_folder_that_is_not_there_is_told_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(errors.OperationalError) as problem:
        gathered(SCHEMA, batches(), memory_bytes=0, directory=tmp_path / "absent")
    assert problem.value.code == "NODE_RESOURCES"
    assert "absent" not in problem.value.info.message
