"""The embedded engine: DuckDB over Parquet and CSV files and read-only DuckDB files, locked down before its first task.

The lock-down closes files, network, extensions and settings. It leaves open what DuckDB cannot close (catalogue
functions, temporary tables, DROP VIEW, overwriting a file on the allow-list): that is what ``guard`` is for, and
read-only files at the operating system, of which ``warnings`` tells.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from archipel import errors, histograms, schema, sketches
from archipel.policy import Policy
from archipel.watchdog import Watchdog
from node_agent.config import LimitsSection, NodeConfig, SourceSection, TableSection
from node_agent.engine import extremes, sources
from node_agent.engine.base import EngineInfo
from node_agent.engine.duckdb_statement import DuckDBStatement
from node_agent.engine.guard import Guard
from node_agent.engine.opposition import Opposition, domain_of
from node_agent.engine.sources import FileState

log = logging.getLogger(__name__)

MAX_FOOTER_BYTES = 16 * 1024 * 1024
"""Footers of Parquet files up to this size together are kept in memory, where they take five times as much: the
engine's limit counts only a part of that."""

INTERRUPT_EVERY_S = 0.02
"""An interrupt that comes just before the engine starts is lost, so it is repeated until the statement has ended."""


@dataclass(frozen=True, slots=True)
class _Registered:
    table: schema.Table
    files: tuple[FileState, ...]
    lists: tuple[FileState, ...] = ()
    """Files of the opposition lists that its view leaves persons out by."""


class DuckDBEngine:
    """One locked database for a node; a cursor for each task."""

    def __init__(self, config: NodeConfig, policy: Policy) -> None:
        """Open the sources and lock the database. A table that cannot be read is left out and told by ``problems``."""
        self._node = config.node
        self._sources = {source.name: source for source in config.sources}
        self._configured = config.tables
        self._opposition = Opposition(policy.node.opposition, self._sources)
        self._unpinned: list[str] = []
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._registered: dict[str, _Registered] = {}
        self._withdrawn: dict[str, schema.Table] = {}
        self._fatal = threading.Event()
        self._guard = Guard()
        self._watchdog = Watchdog("statement-watchdog", interrupt_every_s=INTERRUPT_EVERY_S)
        spill = spill_dir(config)
        try:
            spill.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as cause:
            raise errors.error(errors.CONFIG_INVALID, f"spill_dir {spill} cannot be made: {cause.strerror}.") from cause
        self._observed = self._observe()
        self._database = duckdb.connect(config=_settings(config.limits, spill))
        try:
            self._database.execute("SET TimeZone = 'UTC'")
            for definition in (sketches.DEFINITION, *histograms.DEFINITIONS):
                self._database.execute(definition)
            self._register_all(policy)
            self._lock()
        except BaseException:
            self._database.close()
            raise

    def info(self) -> EngineInfo:
        """Return engine, version, collation and time zone."""
        return EngineInfo("duckdb", duckdb.__version__, "binary", "UTC")

    def tables(self) -> tuple[schema.Table, ...]:
        """Return the tables that can be read."""
        return tuple(registered.table for registered in self._registered.values())

    def withdrawn(self) -> tuple[schema.Table, ...]:
        """Return the configured tables that are left out, without anything that would have to be read of their rows."""
        return tuple(self._withdrawn.values())

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with tables that were left out."""
        return tuple(self._problems)

    def unpinned(self) -> tuple[str, ...]:
        """Return the tables that are left out because their data is not what the policy pins."""
        return tuple(self._unpinned)

    def warnings(self) -> tuple[str, ...]:
        """Return site keys that hold NULL, lists that fit nobody, and files that this process could overwrite."""
        writable = [
            f"table {registered.table.name}: this process may write to {paths[0]}: give it read access only"
            for registered in self._registered.values()
            if (paths := sources.writable(registered.files))
        ]
        return (*self._warnings, *writable)

    def check_unchanged(self, tables: tuple[str, ...]) -> None:
        """Make sure that the files behind ``tables`` are those that were registered."""
        for name in tables:
            registered = self._registered.get(name.lower())
            for file in (*registered.files, *registered.lists) if registered else ():
                try:
                    same = FileState.of(file.path) == file
                except OSError as cause:
                    log.error("the data file of table %s cannot be read any more: %s", name, type(cause).__name__)
                    raise errors.error(errors.NODE_SOURCE, f"The data of table '{name}' cannot be read.") from None
                if not same:
                    log.error("the data file of table %s has changed since it was registered", name)
                    raise errors.error(errors.NODE_CHANGED, f"The data of table '{name}' has changed at the node.")

    def state_of(self, tables: tuple[str, ...]) -> str:
        """Return the digest of what the files of ``tables``, and the lists of who objects, were like."""
        found = hashlib.sha256(duckdb.__version__.encode())
        for name in sorted(name.lower() for name in tables):
            for file in (*self._registered[name].files, *self._registered[name].lists):
                found.update(f"{name}|{file.path}|{file.inode}|{file.size}|{file.changed_ns}\n".encode())
        return found.hexdigest()

    def must_reopen(self) -> bool:
        """Whether a file of a table or list came, went or changed, the engine lost its database, or was retired."""
        return self._fatal.is_set() or self._observe() != self._observed

    def retire(self) -> None:
        """Have ``must_reopen`` say so: the policy that this engine was opened with is no longer in force."""
        self._fatal.set()

    def statement(self, sql: str, inputs: Mapping[str, pa.Table], *, timeout_s: float) -> DuckDBStatement:
        """Prepare a statement."""
        return DuckDBStatement(
            self._database.cursor(),
            sql,
            inputs,
            tables=self._registered,
            guard=self._guard,
            watchdog=self._watchdog,
            timeout_s=timeout_s,
            on_fatal=self._fatal,
        )

    def close(self) -> None:
        """Close the database."""
        self._watchdog.close()
        self._database.close()

    def _observe(self) -> tuple[tuple[FileState | None, ...], ...]:
        tables = (sources.observed(table, self._sources[table.source]) for table in self._configured)
        return (*tables, *self._opposition.observed())

    def _register_all(self, policy: Policy) -> None:
        attached: dict[str, str] = {}
        self._opposition.load(self._database, attached)
        for table in self._configured:
            distribution = schema.Distribution(table.distribution)
            self._withdrawn[table.name.lower()] = schema.Table(table.name, (), distribution)
            try:
                self._register(table, self._sources[table.source], policy, attached)
            except errors.ArchipelError as problem:
                self._problems.append(f"table {table.name}: {problem.info.message}")
            except (OSError, duckdb.Error) as cause:
                self._problems.append(f"table {table.name}: {type(cause).__name__}")

    def _register(self, table: TableSection, source: SourceSection, policy: Policy, attached: dict[str, str]) -> None:
        relation, files = sources.open_table(self._database, table, source, attached)
        if schema.NODE_COLUMN in (name.lower() for name in relation.columns):
            raise errors.error(errors.CONFIG_INVALID, f"a column is named {schema.NODE_COLUMN}")
        columns = tuple(
            schema.Column(name, str(kind), _described(table.columns, name))
            for name, kind in zip(relation.columns, relation.types, strict=True)
        )
        rules = policy.rules_for(table.name)
        _check_names(table, columns, named_by_policy=rules.named_columns(), protected=rules.protected)
        described = schema.Table(
            name=table.name,
            columns=columns,
            distribution=schema.Distribution(table.distribution),
            description=table.description,
            person_column=table.person_column,
            person_domain=domain_of(table),
            # Whether one holds NULL is not looked up before the rows may be read; nobody runs a plan that this makes.
            site_keys=tuple(schema.SiteKey(name, tuple(keys), False) for name, keys in table.site_keys.items()),
            policy=rules.for_columns(tuple(c.name for c in columns)),
        )
        self._withdrawn[table.name.lower()] = described
        if rules.snapshot is not None and sources.content_digest(files) != rules.snapshot.digest:
            self._unpinned.append(table.name)
            raise errors.error(errors.SNAPSHOT_CHANGED, "its data is not the snapshot that the policy pins")
        lists: tuple[FileState, ...] = ()
        if rules.protected:
            relation, lists, told = self._opposition.without(self._database, relation, table)
            self._warnings += [f"table {table.name}: {warning}" for warning in told]
        rows = _count(relation)
        size = sum(file.size for file in files)
        replicated = table.distribution == "replicated"
        registered = replace(
            described,
            site_keys=self._site_keys(table, relation),
            approximate_rows=rounded(rows) if rules.protected else rows,
            # The size of a file tells about its values, by how well they compress: that of persons is worked out.
            approximate_bytes=8 * len(columns) * rounded(rows) if rules.protected else size,
            content_digest=_digest(relation) if replicated and not rules.protected else "",
        )
        in_footers = source.kind == "files" and source.format == "parquet"
        known = (
            extremes.of_files(self._database, registered, [file.path for file in files])
            if in_footers
            else extremes.of_rows(relation, registered)
        )
        registered = replace(registered, ranges=known)
        # From text, since duckdb.ConstantExpression would make DuckDB import pandas (50 MB).
        node = exp.alias_(exp.Literal.string(self._node), schema.NODE_COLUMN, quoted=True)
        relation.project(", ".join(part.sql("duckdb") for part in (exp.Star(), node))).create_view(table.name)
        self._registered[table.name.lower()] = _Registered(registered, files, lists)
        del self._withdrawn[table.name.lower()]

    def _site_keys(self, table: TableSection, relation: duckdb.DuckDBPyRelation) -> tuple[schema.SiteKey, ...]:
        """Return the site keys; whether one holds NULL is looked up, since rows with NULL are at every node."""
        keys = []
        for name, columns in table.site_keys.items():
            nullable = _has_null(relation, tuple(columns))
            if nullable:
                self._warnings.append(
                    f"table {table.name}: site_keys.{name} holds NULL: joins by it are local, groups are not"
                )
            keys.append(schema.SiteKey(name, tuple(columns), nullable))
        return tuple(keys)

    def _lock(self) -> None:
        # A DuckDB file is open already and needs no permission by path.
        files = {
            str(file.path)
            for table in self._configured
            if self._sources[table.source].kind == "files" and table.name.lower() in self._registered
            for file in self._registered[table.name.lower()].files
        }
        paths = [exp.Literal.string(path) for path in sorted(files)]
        # A file that is no longer as it was registered is refused before and after each statement, so that what is kept
        # of its footer holds. Reading that of 6,000,000 rows in 53 row groups anew took 2 ms.
        footers = sum(sources.footer_bytes(Path(path)) for path in files)
        self._set("parquet_metadata_cache", exp.Boolean(this=footers <= MAX_FOOTER_BYTES))
        self._set("allowed_paths", exp.Array(expressions=paths))
        self._set("enable_external_access", exp.false())
        self._set("lock_configuration", exp.true())

    def _set(self, name: str, value: exp.Expression) -> None:
        item = exp.SetItem(this=exp.EQ(this=exp.column(name), expression=value))
        self._database.execute(exp.Set(expressions=[item]).sql("duckdb"))


def spill_dir(config: NodeConfig) -> Path:
    """Return the folder in which the engine, and what other nodes sent, may take room."""
    return config.limits.spill_dir or config.state_dir / "spill"


def remove_left_overs(spill: Path) -> None:
    """Remove what an engine left in its folder that ended without closing: rows may be in it."""
    for left in spill.glob("duckdb_temp_*"):
        log.warning("removing %s, which an earlier run left behind", left.name)
        left.unlink(missing_ok=True)


def rounded(number: int) -> int:
    """Return a count as the number that it reaches up to among 1,000, 2,000, 4,000, …; 0 stays 0.

    Two significant digits told when a person with few of some hundred rows came or went. Plans need no more than this.

    >>> rounded(12345), rounded(7), rounded(0)
    (16000, 1000, 0)
    """
    return 1000 << ((number - 1) // 1000).bit_length() if number else 0


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


def _check_names(
    table: TableSection, columns: tuple[schema.Column, ...], *, named_by_policy: tuple[str, ...], protected: bool
) -> None:
    known = {column.name.lower() for column in columns}
    named = {"person_column": [table.person_column] if table.person_column else []}
    named["columns"] = list(table.columns)
    named["the policy"] = list(named_by_policy)
    for key, keys in table.site_keys.items():
        named[f"site_keys.{key}"] = list(keys)
    for where, names in named.items():
        for name in names:
            if name.lower() not in known:
                raise errors.error(errors.CONFIG_INVALID, f"{where} names '{name}', which is no column")
    if protected and table.person_column is None:
        raise errors.error(
            errors.CONFIG_INVALID,
            "a protected table must name its person_column; one without persons is 'protected: false' in the policy",
        )


def _described(descriptions: Mapping[str, str], name: str) -> str:
    return next((text for given, text in descriptions.items() if given.lower() == name.lower()), "")


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    row: Any = relation.aggregate("count(*)").fetchone()
    count: int = row[0]
    return count


def _has_null(relation: duckdb.DuckDBPyRelation, columns: tuple[str, ...]) -> bool:
    missing = exp.or_(*(exp.column(exp.to_identifier(c, quoted=True)).is_(exp.null()) for c in columns))
    row: Any = relation.aggregate(exp.LogicalOr(this=missing).sql("duckdb")).fetchone()
    return bool(row[0])


def _digest(relation: duckdb.DuckDBPyRelation) -> str:
    """Return a digest of all rows that does not depend on their order."""
    text = "count(*), bit_xor(hash(t)), sum(hash(t) % 1000000007)"
    row = relation.set_alias("t").aggregate(text).fetchone()
    return "-".join(str(part) for part in row or ())
