"""Where a table's rows are: which files, what they were like when they were registered, and how DuckDB opens them.

What is wrong with a source is told to the operator in texts that hold paths, columns and line numbers, never a value.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from archipel import errors
from node_agent.config import SourceSection, TableSection

_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CSV_COLUMN = re.compile(r'when converting column "([^"]*)"')


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file is like: enough to notice that it was written or replaced."""

    path: Path
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of a file now. Raises OSError when it cannot be seen."""
        found = path.stat()
        return cls(path, found.st_ino, found.st_size, found.st_mtime_ns)


def paths_of(table: TableSection, source: SourceSection) -> list[Path]:
    """Return the files that hold the table's rows, sorted; a file that was named without a pattern may be absent."""
    if source.kind == "duckdb":
        return [source.path]
    pattern = table.file or ""
    return sorted(source.path.glob(pattern)) if "*" in pattern else [source.path / pattern]


def observed(table: TableSection, source: SourceSection) -> tuple[FileState | None, ...]:
    """Return what the table's files are like now; None for one that cannot be seen."""
    return tuple(_state_or_none(path) for path in paths_of(table, source))


def _state_or_none(path: Path) -> FileState | None:
    try:
        return FileState.of(path)
    except OSError:
        return None


def content_digest(files: Sequence[FileState]) -> str:
    """Return the digest that a policy pins a table to: of one file what ``sha256sum`` says, of several that of a list.

    The list is what ``sha256sum`` prints of the files, in the order of their names. Raises OSError.
    """
    if len(files) == 1:
        return f"sha256:{_file_digest(files[0])}"
    lines = sorted(f"{_file_digest(file)}  {file.path.name}\n" for file in files)
    lines.sort(key=lambda line: line[66:])
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


@lru_cache(maxsize=10_000)
def _file_digest(file: FileState) -> str:
    """Return a file's SHA-256; what was computed of a file in the state in which it still is, holds."""
    with file.path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def footer_bytes(path: Path) -> int:
    """Return the size of a Parquet file's footer; 0 of another file.

    The last eight bytes are its size and a mark: https://parquet.apache.org/docs/file-format/
    """
    with path.open("rb") as source:
        if source.seek(0, os.SEEK_END) < 8:
            return 0
        source.seek(-8, os.SEEK_END)
        end = source.read(8)
    return int.from_bytes(end[:4], "little") if end[4:] == b"PAR1" else 0


def writable(files: Sequence[FileState]) -> list[Path]:
    """Return the files that this process could overwrite."""
    return [file.path for file in files if os.access(file.path, os.W_OK)]


def open_table(
    database: duckdb.DuckDBPyConnection, table: TableSection, source: SourceSection, attached: dict[str, str]
) -> tuple[duckdb.DuckDBPyRelation, tuple[FileState, ...]]:
    """Return the table's rows and the state of its files. ``attached`` names the DuckDB files that are open already.

    Raises:
        ArchipelError: CONFIG_INVALID or NODE_SOURCE; the text is for the operator.
    """
    paths = paths_of(table, source)
    if not paths:
        raise _unreadable(f"no file matches {source.path / (table.file or '')}")
    try:
        files = tuple(FileState.of(path) for path in paths)
    except OSError as cause:
        raise _unreadable(f"{cause.filename}: {cause.strerror}") from cause
    if source.kind == "duckdb":
        return _open_duckdb(database, table, source, attached), files
    if source.format == "parquet":
        return _open_parquet(database, paths), files
    return _open_csv(database, paths, table, source.delimiter), files


def _open_duckdb(
    database: duckdb.DuckDBPyConnection, table: TableSection, source: SourceSection, attached: dict[str, str]
) -> duckdb.DuckDBPyRelation:
    if source.name not in attached:
        alias = f"source_{len(attached)}"
        statement = exp.Attach(
            this=exp.alias_(exp.Literal.string(str(source.path)), exp.to_identifier(alias, quoted=True)),
            expressions=[exp.AttachOption(this=exp.var("READ_ONLY"))],
        )
        try:
            database.execute(statement.sql("duckdb"))
        except (duckdb.IOException, duckdb.SerializationException, duckdb.ConnectionException) as cause:
            raise _unreadable(
                f"{source.path}: no DuckDB file that this version can read, or open for writing elsewhere"
            ) from cause
        attached[source.name] = alias
    within = (table.table or table.name).split(".", 1)
    if len(within) == 1:
        within.insert(0, "main")
    catalog, db, name = (exp.to_identifier(part, quoted=True) for part in (attached[source.name], *within))
    select = exp.select(exp.Star()).from_(exp.Table(this=name, db=db, catalog=catalog))
    try:
        return database.sql(select.sql("duckdb"))
    except duckdb.CatalogException as cause:
        raise _unreadable(f"{source.path} has no table '{table.table or table.name}'") from cause


def _open_parquet(database: duckdb.DuckDBPyConnection, paths: list[Path]) -> duckdb.DuckDBPyRelation:
    expected: dict[str, str] = {}
    for path in paths:
        try:
            one = database.read_parquet(str(path), hive_partitioning=False)
        except (duckdb.IOException, duckdb.InvalidInputException) as cause:
            raise _unreadable(f"{path}: not a whole Parquet file") from cause
        columns = dict(zip(one.columns, (str(kind) for kind in one.types), strict=True))
        expected = expected or columns
        if columns != expected:
            # DuckDB takes the schema of the first file and silently drops, or fails late on, what differs elsewhere.
            raise _unreadable(f"{path}: other columns than in {paths[0].name}: {_differences(expected, columns)}")
    names: Any = [str(path) for path in paths]  # the stubs know single files only
    # Without this a folder named year=2023 anywhere in the path would add a column.
    return database.read_parquet(names, hive_partitioning=False)


def _differences(expected: dict[str, str], columns: dict[str, str]) -> str:
    told = [f"'{name}' is missing" for name in expected if name not in columns]
    told += [f"'{name}' is new" for name in columns if name not in expected]
    told += [
        f"'{name}' is {kind} instead of {expected[name]}"
        for name, kind in columns.items()
        if expected.get(name, kind) != kind
    ]
    return ", ".join(told) or "their order differs"


def _open_csv(
    database: duckdb.DuckDBPyConnection, paths: list[Path], table: TableSection, delimiter: str
) -> duckdb.DuckDBPyRelation:
    names = _csv_header(paths[0], delimiter)
    for path in paths[1:]:
        if _csv_header(path, delimiter) != names:
            raise _unreadable(f"{path}: another header line than in {paths[0].name}")
    given = {name.lower(): kind for name, kind in table.types.items()}
    unknown = given.keys() - {name.lower() for name in names}
    if unknown:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"types names '{sorted(unknown)[0]}', which is no column; there are: {', '.join(names)}",
        )
    kinds = {name: given.get(name.lower(), "VARCHAR") for name in names}
    files: Any = [str(path) for path in paths]
    try:
        rows = database.read_csv(
            files, header=True, columns=kinds, sep=delimiter, quotechar='"', escapechar='"', auto_detect=False
        )
    except (duckdb.CatalogException, duckdb.ParserException) as cause:
        raise errors.error(errors.CONFIG_INVALID, "types gives a type that the engine does not know") from cause
    try:
        # Every field is converted once now: a bad row is the operator's to repair, before anybody asks.
        rows.aggregate("count(COLUMNS(*))").fetchall()
    except duckdb.Error as cause:
        raise _unreadable(_csv_problem(str(cause), names)) from None
    return rows


def _csv_header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as source:
            names = next(csv.reader(source, delimiter=delimiter), [])
    except (OSError, csv.Error) as cause:
        raise _unreadable(f"{path}: its first line cannot be read") from cause
    folded = [name.lower() for name in names]
    if not names or "" in folded:
        raise _unreadable(f"{path}: its first line must name every column")
    if len(set(folded)) < len(folded):
        raise _unreadable(f"{path}: two columns have the same name")
    return names


def _csv_problem(message: str, names: list[str]) -> str:
    """Return what is wrong with a CSV file. The engine's message quotes the row: only line and column are taken."""
    line = _CSV_LINE.search(message)
    column = _CSV_COLUMN.search(message)
    where = f"line {line[1]}" if line else "a line"
    if column and column[1] in names:
        return f"{where} of the CSV file: '{column[1]}' does not have the type that types gives it"
    return f"{where} of the CSV file is malformed: number of fields, quotes, or not UTF-8"


def _unreadable(reason: str) -> errors.ArchipelError:
    return errors.error(errors.NODE_SOURCE, reason)
