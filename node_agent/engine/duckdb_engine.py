"""The embedded engine: DuckDB over Parquet and CSV files and read-only DuckDB files, locked down before its first task.

The lock-down is the second wall; the first is the border check, which lets only re-rendered SELECTs through. Errors
of the engine can hold values: they are translated into fixed texts here, and only their class goes to the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from archipel import errors, schema
from archipel.frames import BATCH_ROWS
from archipel.policy import Policy
from node_agent.config import LimitsSection, NodeConfig, SourceSection, TableSection
from node_agent.engine.base import EngineInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _FileState:
    """What a file was like when its table was registered."""

    path: Path
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> _FileState:
        found = path.stat()
        return cls(path, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _Registered:
    table: schema.Table
    files: tuple[_FileState, ...]


class DuckDBEngine:
    """One locked database for a node; a cursor for each task."""

    def __init__(self, config: NodeConfig, policy: Policy) -> None:
        """Open the sources and lock the database. A table that cannot be read is left out and told by ``problems``."""
        self._node = config.node
        self._problems: list[str] = []
        self._registered: dict[str, _Registered] = {}
        spill = config.limits.spill_dir or config.state_dir / "spill"
        spill.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = duckdb.connect(config=_settings(config.limits, spill))
        self._database.execute("SET TimeZone = 'UTC'")
        sources = {source.name: source for source in config.sources}
        attached: dict[str, str] = {}
        for table in config.tables:
            try:
                self._register(table, sources[table.source], policy, attached)
            except (OSError, duckdb.Error, errors.ArchipelError) as cause:
                reason = cause.info.message if isinstance(cause, errors.ArchipelError) else type(cause).__name__
                self._problems.append(f"table {table.name}: {reason}")
        paths = [exp.Literal.string(str(f.path)) for r in self._registered.values() for f in r.files]
        self._set("allowed_paths", exp.Array(expressions=paths))
        self._set("enable_external_access", exp.false())
        self._set("lock_configuration", exp.true())

    def info(self) -> EngineInfo:
        """Return engine, version, collation and time zone."""
        return EngineInfo("duckdb", duckdb.__version__, "binary", "UTC")

    def tables(self) -> tuple[schema.Table, ...]:
        """Return the tables that can be read."""
        return tuple(registered.table for registered in self._registered.values())

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with tables that were left out."""
        return tuple(self._problems)

    def check_unchanged(self, tables: tuple[str, ...]) -> None:
        """Make sure that the files behind ``tables`` are those that were registered."""
        for name in tables:
            registered = self._registered.get(name.lower())
            for file in registered.files if registered else ():
                try:
                    same = _FileState.of(file.path) == file
                except OSError as cause:
                    log.error("the data file of table %s cannot be read any more: %s", name, type(cause).__name__)
                    raise errors.error(errors.NODE_SOURCE, f"The data of table '{name}' cannot be read.") from cause
                if not same:
                    log.error("the data file of table %s has changed since it was registered", name)
                    raise errors.error(errors.NODE_CHANGED, f"The data of table '{name}' has changed at the node.")

    def statement(self, sql: str, inputs: Mapping[str, pa.Table], *, timeout_s: float) -> DuckDBStatement:
        """Prepare a statement."""
        return DuckDBStatement(self._database.cursor(), sql, inputs, timeout_s)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _register(self, table: TableSection, source: SourceSection, policy: Policy, attached: dict[str, str]) -> None:
        relation, files = self._open(table, source, attached)
        if schema.NODE_COLUMN in (name.lower() for name in relation.columns):
            raise errors.error(errors.CONFIG_INVALID, f"a column is named {schema.NODE_COLUMN}")
        columns = tuple(
            schema.Column(name, str(kind), _described(table.columns, name))
            for name, kind in zip(relation.columns, relation.types, strict=True)
        )
        rules = policy.rules_for(table.name)
        _check_names(table, columns, protected=rules.protected)
        rows = _count(relation)
        size = sum(file.size for file in files)
        replicated = table.distribution == "replicated"
        registered = schema.Table(
            name=table.name,
            columns=columns,
            distribution=schema.Distribution(table.distribution),
            description=table.description,
            person_column=table.person_column,
            person_domain=table.person_domain or (table.person_column or "").lower() or None,
            site_keys=tuple(schema.SiteKey(name, tuple(keys)) for name, keys in table.site_keys.items()),
            policy=rules.for_columns(tuple(c.name for c in columns)),
            approximate_rows=rounded(rows) if rules.protected else rows,
            approximate_bytes=rounded(size) if rules.protected else size,
            content_digest=_digest(relation) if replicated and not rules.protected else "",
        )
        node = duckdb.ConstantExpression(self._node).alias(schema.NODE_COLUMN)
        relation.project(duckdb.StarExpression(), node).create_view(table.name)
        self._registered[table.name.lower()] = _Registered(registered, files)

    def _open(
        self, table: TableSection, source: SourceSection, attached: dict[str, str]
    ) -> tuple[duckdb.DuckDBPyRelation, tuple[_FileState, ...]]:
        if source.kind == "duckdb":
            state = _FileState.of(source.path)
            if source.name not in attached:
                attached[source.name] = f"source_{len(attached)}"
                target = exp.to_identifier(attached[source.name], quoted=True)
                literal = exp.Literal.string(str(source.path))
                text = f" {literal.sql('duckdb')} AS {target.sql('duckdb')} (READ_ONLY)"
                self._database.execute(exp.Command(this="ATTACH", expression=text).sql("duckdb"))
            name = exp.to_identifier(table.table or table.name, quoted=True).sql("duckdb")
            return self._database.table(f"{attached[source.name]}.main.{name}"), (state,)
        pattern = table.file or ""
        paths = sorted(source.path.glob(pattern)) if "*" in pattern else [source.path / pattern]
        if not paths:
            raise errors.error(errors.NODE_SOURCE, "no file matches the pattern")
        files = tuple(_FileState.of(path) for path in paths)
        names = [str(path) for path in paths]
        if source.format == "parquet":
            return self._database.read_parquet(names), files
        return self._read_csv(names, table), files

    def _read_csv(self, names: list[str], table: TableSection) -> duckdb.DuckDBPyRelation:
        given_files: Any = names  # the stubs know single files only
        text = self._database.read_csv(given_files, header=True, all_varchar=True, sep=",")
        if not table.types:
            return text
        given = {name.lower(): kind for name, kind in table.types.items()}
        unknown = given.keys() - {name.lower() for name in text.columns}
        if unknown:
            raise errors.error(
                errors.CONFIG_INVALID, f"types names no column of the file: {', '.join(sorted(unknown))}"
            )
        kinds = {name: given.get(name.lower(), "VARCHAR") for name in text.columns}
        return self._database.read_csv(given_files, header=True, columns=kinds, sep=",", auto_detect=False)

    def _set(self, name: str, value: exp.Expression) -> None:
        item = exp.SetItem(this=exp.EQ(this=exp.column(name), expression=value))
        self._database.execute(exp.Set(expressions=[item]).sql("duckdb"))


class DuckDBStatement:
    """One statement on a cursor of its own."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, inputs: Mapping[str, pa.Table], timeout_s: float
    ) -> None:
        self._cursor = cursor
        self._sql = sql
        self._inputs = inputs
        self._timeout_s = timeout_s
        self._cancelled = threading.Event()
        self._timed_out = threading.Event()
        self._timer: threading.Timer | None = None

    def run(self) -> pa.RecordBatchReader:
        """Run it; rows are computed as they are read."""
        self._timer = threading.Timer(self._timeout_s, self._time_out)
        self._timer.daemon = True
        self._timer.start()
        try:
            for name, table in self._inputs.items():
                self._cursor.register(name, table)
            reader = self._cursor.execute(self._sql).to_arrow_reader(BATCH_ROWS)
        except (duckdb.Error, RuntimeError) as cause:
            raise self._translated(cause) from None
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def cancel(self) -> None:
        """Stop it."""
        self._cancelled.set()
        self._cursor.interrupt()

    def close(self) -> None:
        """Give the cursor back."""
        if self._timer is not None:
            self._timer.cancel()
        self._cursor.close()

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except (duckdb.Error, pa.ArrowException, RuntimeError, OSError) as cause:
            raise self._translated(cause) from None

    def _time_out(self) -> None:
        self._timed_out.set()
        self._cursor.interrupt()

    def _translated(self, cause: Exception) -> errors.ArchipelError:
        if self._cancelled.is_set():
            return errors.error(errors.CANCELLED, "The query was cancelled.")
        if self._timed_out.is_set():
            return errors.error(errors.TIMEOUT, "The statement took longer than it may at this node.")
        log.error("the engine failed with %s", type(cause).__name__)
        if isinstance(cause, duckdb.OutOfMemoryException):
            return errors.error(
                errors.NODE_RESOURCES, "The statement needs more memory than this node allows.", hint="Ask for less."
            )
        if isinstance(cause, duckdb.IOException):
            return errors.error(errors.NODE_SOURCE, "The node's data cannot be read.")
        return errors.error(errors.NODE_EXECUTION, "The statement failed in the node's engine.")


def rounded(number: int) -> int:
    """Return a count to two significant digits, so that it does not tell when one person comes or goes.

    >>> rounded(12345), rounded(7)
    (12000, 10)
    """
    if number < 10:
        return 10 if number else 0
    step = 10 ** (len(str(number)) - 2)
    return (number + step // 2) // step * step


def _settings(limits: LimitsSection, spill: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": limits.threads,
        "memory_limit": limits.memory_limit,
        "temp_directory": str(spill),
        "max_temp_directory_size": limits.max_spill,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }


def _check_names(table: TableSection, columns: tuple[schema.Column, ...], *, protected: bool) -> None:
    known = {column.name.lower() for column in columns}
    named = {"person_column": [table.person_column] if table.person_column else []}
    named["columns"] = list(table.columns)
    for key, keys in table.site_keys.items():
        named[f"site_keys.{key}"] = list(keys)
    for where, names in named.items():
        for name in names:
            if name.lower() not in known:
                raise errors.error(errors.CONFIG_INVALID, f"{where} names '{name}', which is no column")
    if protected and table.person_column is None:
        raise errors.error(errors.CONFIG_INVALID, "a protected table must name its person_column")


def _described(descriptions: Mapping[str, str], name: str) -> str:
    return next((text for given, text in descriptions.items() if given.lower() == name.lower()), "")


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    row: Any = relation.aggregate("count(*)").fetchone()
    count: int = row[0]
    return count


def _digest(relation: duckdb.DuckDBPyRelation) -> str:
    """Return a digest of all rows that does not depend on their order."""
    text = "count(*), bit_xor(hash(t)), sum(hash(t) % 1000000007)"
    row = relation.set_alias("t").aggregate(text).fetchone()
    return "-".join(str(part) for part in row or ())
