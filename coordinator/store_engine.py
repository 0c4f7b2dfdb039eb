"""Opening the store's database: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from archipel import errors
from coordinator import store_schema as schema


def connect(url: str) -> Engine:
    """Return the engine of a database that has the store's tables.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            "'store.url' is no database URL.",
            hint="Write sqlite:////folder/coordinator.db or postgresql+psycopg://user@host/database.",
        ) from cause
    except ImportError as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The driver of 'store.url' is not installed: {cause.name}.", hint="Install it."
        ) from cause
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(parsed, engine)
    try:
        _create_tables(engine)
    except SQLAlchemyError as cause:
        engine.dispose()
        shown = parsed.render_as_string(hide_password=True)
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The store {shown} cannot be opened ({type(getattr(cause, 'orig', cause)).__name__}).",
            hint="Check that the folder or server exists and may be written to.",
        ) from cause
    return engine


def _prepare_sqlite(url: URL, engine: Engine) -> None:
    if not url.database or url.database == ":memory:":
        raise errors.error(
            errors.CONFIG_INVALID, "'store.url' names no file: a store in memory forgets everything at a restart."
        )
    path = Path(url.database)
    try:
        # Only the coordinator's user may read researchers' queries and results; WAL files take the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The store {path} cannot be opened: {cause.strerror}.",
            hint="Check that the folder exists and may be written to.",
        ) from cause

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA secure_delete=ON")  # an expired result is overwritten, not only unlinked
        cursor.close()


def _create_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        known = inspect(connection).has_table(schema.versions.name)
        found = connection.execute(select(schema.versions.c.version)).scalar() if known else None
        if found not in (None, schema.SCHEMA_VERSION):
            raise errors.error(
                errors.CONFIG_INVALID,
                f"The store has version {found}; this coordinator reads version {schema.SCHEMA_VERSION}.",
            )
        schema.metadata.create_all(connection)
        if found is None:
            connection.execute(insert(schema.versions), {"version": schema.SCHEMA_VERSION})
