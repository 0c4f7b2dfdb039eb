"""The shadow: an empty DuckDB with every table of the catalogue, which says what type an expression has.

Types, and the engine's own complaints about a query, come from here and never from inference. It holds no row, ever.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import duckdb
import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel import errors, histograms, sketches
from archipel.schema import NODE_COLUMN, Column
from coordinator.catalog import Catalog
from coordinator.complaints import explained
from coordinator.plan import OutputColumn

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "512MB",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "errors_as_json": True,
}

_BARE_SCHEMA = "bare"
"""Schema of the same tables without the node pseudo-column: what ``*`` stands for in a query that does not name it."""


def is_type(text: str) -> bool:
    """Return whether ``text``, which a node registered, is the name of a type and nothing else."""
    if len(text) > 1_000:
        return False
    try:
        return isinstance(_data_type(text), exp.DataType)
    except (SqlglotError, ValueError, TypeError):
        return False


class Shadow:
    """Describes statements over a catalogue. Safe to use from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = duckdb.connect(config=_CONFIG)
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute(exp.Create(this=exp.to_identifier(_BARE_SCHEMA), kind="SCHEMA").sql("duckdb"))
        self._schemas: dict[tuple[OutputColumn, ...], pa.Schema] = {}
        self._mutex = threading.Lock()
        for entry in catalog.tables.values():
            if entry.conflict is None:
                table = entry.table
                self._create(table.name, (*table.columns, Column(NODE_COLUMN, "VARCHAR")), schema="main")
                self._create(table.name, table.columns, schema=_BARE_SCHEMA)
        for definition in (sketches.DEFINITION, *histograms.DEFINITIONS, histograms.DESCRIBED):
            self._database.execute(definition)
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def describe(
        self, sql: str, inputs: Mapping[str, tuple[OutputColumn, ...]] | None = None, *, bare: bool = False
    ) -> tuple[OutputColumn, ...]:
        """Return the columns that the query ``sql`` gives; ``inputs`` are tables beside the catalogue's.

        With ``bare`` tables do not have the node pseudo-column.

        Raises:
            ArchipelError: SQL_TYPE, SQL_UNKNOWN_COLUMN and the like: what the engine says about it.
        """
        schemas = {name: self.arrow_schema(columns) for name, columns in (inputs or {}).items()}
        cursor = self._database.cursor()
        try:
            for name, schema in schemas.items():
                cursor.register(name, schema.empty_table())
            if bare:
                cursor.execute(f"USE {_BARE_SCHEMA}")
            statements = cursor.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                # The engine's parser decides what runs: it must not see a statement where ours saw a query.
                raise errors.error(errors.SQL_NOT_A_QUERY, "This is no query.")
            relation = cursor.sql(sql)
            return tuple(
                OutputColumn(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
            )
        except (duckdb.Error, RuntimeError) as cause:
            raise _explained(cursor, sql, cause) from None
        finally:
            cursor.close()

    def arrow_schema(self, columns: tuple[OutputColumn, ...]) -> pa.Schema:
        """Return the Arrow schema in which the engine hands out ``columns``."""
        with self._mutex:
            known = self._schemas.get(columns)
        if known is not None:
            return known
        try:
            kinds = [_data_type(c.type) for c in columns]
        except (SqlglotError, ValueError, TypeError) as cause:
            raise _uncarried() from cause
        empty = exp.select(
            *(
                exp.alias_(exp.cast(exp.Null(), kind), exp.to_identifier(f"c{i}", quoted=True))
                for i, kind in enumerate(kinds)
            )
        ).limit(0)
        cursor = self._database.cursor()
        try:
            found = cursor.execute(empty.sql("duckdb")).to_arrow_table().schema
        except duckdb.Error as cause:
            raise _uncarried() from cause
        finally:
            cursor.close()
        schema = pa.schema([pa.field(c.name, f.type) for c, f in zip(columns, found, strict=True)])
        with self._mutex:
            self._schemas[columns] = schema
        return schema

    def close(self) -> None:
        """Close the database; idempotent."""
        self._database.close()

    def _create(self, name: str, columns: tuple[Column, ...], *, schema: str) -> None:
        target = exp.Table(this=exp.to_identifier(name, quoted=True), db=exp.to_identifier(schema, quoted=True))
        try:
            definitions = [
                exp.ColumnDef(this=exp.to_identifier(c.name, quoted=True), kind=_data_type(c.type)) for c in columns
            ]
            statement = exp.Create(this=exp.Schema(this=target, expressions=definitions), kind="TABLE")
            self._database.execute(statement.sql("duckdb"))
        except (duckdb.Error, SqlglotError, ValueError, TypeError) as cause:
            raise errors.error(
                errors.SCHEMA_CONFLICT, f"Table '{name}' has a column of a type that the engine does not know."
            ) from cause


def _uncarried() -> errors.ArchipelError:
    return errors.error(
        errors.SQL_UNSUPPORTED,
        "A column is of a type that cannot be handed from one stage to another.",
        hint="Cast it to VARCHAR.",
    )


def _explained(cursor: duckdb.DuckDBPyConnection, sql: str, cause: Exception) -> errors.ArchipelError:
    """Return the engine's complaint; only EXPLAIN says where in the text it is."""
    prefix = "EXPLAIN "
    try:
        cursor.execute(prefix + sql)
    except (duckdb.Error, RuntimeError) as placed:
        return explained(str(placed), sql, len(prefix))
    return explained(str(cause), sql)


def _data_type(text: str) -> exp.DataType:
    return exp.DataType.build(text, dialect="duckdb")
