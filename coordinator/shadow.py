"""The shadow: an empty DuckDB with every table of the catalogue, which says what type an expression has.

Types, and the engine's own complaints about a query, come from here and never from inference. It holds no row, ever.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

import duckdb
import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel import errors
from archipel.schema import NODE_COLUMN, Column
from coordinator.catalog import Catalog
from coordinator.plan import OutputColumn

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "512MB",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}

_BARE_SCHEMA = "bare"
"""Schema of the same tables without the node pseudo-column: what ``*`` stands for in a query that does not name it."""


def is_type(text: str) -> bool:
    """Return whether ``text``, which a node registered, is the name of a type and nothing else."""
    if len(text) > 1_000:
        return False
    try:
        return isinstance(_data_type(text), exp.DataType)
    except (SqlglotError, ValueError):
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
            relation = cursor.sql(sql)
            if relation is None:
                raise errors.error(errors.SQL_NOT_A_QUERY, "This is no query.")
            return tuple(
                OutputColumn(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
            )
        except (duckdb.Error, RuntimeError) as cause:
            raise _explained(str(cause)) from None
        finally:
            cursor.close()

    def arrow_schema(self, columns: tuple[OutputColumn, ...]) -> pa.Schema:
        """Return the Arrow schema in which the engine hands out ``columns``."""
        with self._mutex:
            known = self._schemas.get(columns)
        if known is not None:
            return known
        empty = exp.select(
            *(
                exp.alias_(exp.cast(exp.Null(), _data_type(c.type)), exp.to_identifier(f"c{i}", quoted=True))
                for i, c in enumerate(columns)
            )
        ).limit(0)
        cursor = self._database.cursor()
        try:
            found = cursor.execute(empty.sql("duckdb")).to_arrow_table().schema
        except duckdb.Error as cause:
            raise errors.error(errors.INTERNAL, "A stage has a column of a type that the engine lacks.") from cause
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
        definitions = [
            exp.ColumnDef(this=exp.to_identifier(c.name, quoted=True), kind=_data_type(c.type)) for c in columns
        ]
        target = exp.Table(this=exp.to_identifier(name, quoted=True), db=exp.to_identifier(schema, quoted=True))
        statement = exp.Create(this=exp.Schema(this=target, expressions=definitions), kind="TABLE")
        try:
            self._database.execute(statement.sql("duckdb"))
        except duckdb.Error as cause:
            raise errors.error(
                errors.SCHEMA_CONFLICT, f"Table '{name}' has a column of a type that the engine does not know."
            ) from cause


def _data_type(text: str) -> exp.DataType:
    return exp.DataType.build(text, dialect="duckdb")


_UNKNOWN_FUNCTION = re.compile(r"Function with name \"?([^\s\"]+)\"? does not exist", re.IGNORECASE)
_UNKNOWN_COLUMN = re.compile(r"Referenced column \"([^\"]+)\" (?:was )?not found", re.IGNORECASE)
_GUESS = re.compile(r"(?:Did you mean|Candidate bindings:?) \"?([^\"\n?]+)\"?", re.IGNORECASE)
_LINE = re.compile(r"^LINE (\d+): ?(.*)$", re.MULTILINE)


def _explained(text: str) -> errors.ArchipelError:
    """Return the engine's complaint as an error of the catalogue. The shadow is empty: the text holds no data."""
    first = text.strip().splitlines()[0] if text.strip() else "The engine refuses the query."
    kind, _, message = first.partition(": ")
    message = message or first
    guess = _GUESS.search(text)
    hint = f"Did you mean '{guess.group(1).strip()}'?" if guess else ""
    unknown = _UNKNOWN_FUNCTION.search(text)
    if unknown:
        return errors.error(errors.SQL_UNKNOWN_FUNCTION, f"There is no function '{unknown.group(1)}'.", hint=hint)
    column = _UNKNOWN_COLUMN.search(text)
    if column:
        return errors.error(errors.SQL_UNKNOWN_COLUMN, f"There is no column '{column.group(1)}' here.", hint=hint)
    if "Ambiguous reference" in text:
        return errors.error(errors.SQL_AMBIGUOUS_COLUMN, message)
    if kind == "Parser Error":
        return errors.error(errors.SQL_SYNTAX, message, position=_position(text))
    if "must appear in the GROUP BY clause" in text:
        return errors.error(
            errors.SQL_TYPE, message, hint="Group by the column, or aggregate it.", position=_position(text)
        )
    if "No function matches" in text:
        hint = "Cast the argument to a type that the function takes, such as CAST(x AS DOUBLE)."
    return errors.error(errors.SQL_TYPE, message, hint=hint, position=_position(text))


def _position(text: str) -> errors.Position | None:
    found = _LINE.search(text)
    if found is None:
        return None
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line.startswith(f"LINE {found.group(1)}:") and index + 1 < len(lines) and "^" in lines[index + 1]:
            prefix = len(f"LINE {found.group(1)}: ")
            return errors.Position(int(found.group(1)), max(1, lines[index + 1].index("^") - prefix + 1))
    return None
