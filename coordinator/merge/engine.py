"""The locked-down DuckDB that merges and finishes, in the coordinator's process and in Ray's workers alike.

It sees nothing but the tables handed to it: no file, no network, no extension, no setting; and it does not spill, since
partials have no business on a disk. Errors of the engine can quote values: none of their text goes any further.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import duckdb
import pyarrow as pa

from archipel import arrow_inputs, errors, histograms
from archipel.frames import BATCH_ROWS
from archipel.watchdog import Watchdog
from coordinator.merge.stop import Stop, cancelled

_INTERRUPT_AGAIN_S = 0.05
"""An interrupt that comes just before a statement begins is lost, so it is repeated until the statement has ended."""

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "temp_directory": "",
    "max_temp_directory_size": "0KiB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "allow_community_extensions": False,
}


class Engine:
    """One database, whose memory limit all its statements share; any number of threads may run statements.

    A statement runs on its caller's thread only: rows are met in the order of the shards, so that even what depends on
    that order (ties of arg_min, sums of doubles) is the same every time. Two threads took 0.42 s for 4 x 1,000,000
    groups where one took 0.50 s.
    """

    def __init__(self, *, memory_limit_bytes: int) -> None:
        self._database = duckdb.connect(":memory:", config=_SETTINGS | {"memory_limit": f"{memory_limit_bytes}B"})
        self._database.execute("SET TimeZone = 'UTC'")
        for definition in histograms.DEFINITIONS:
            self._database.execute(definition)
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")
        self._changed = threading.Condition()
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._closed = False
        self._watchdog = Watchdog("merge-watchdog", interrupt_every_s=_INTERRUPT_AGAIN_S)

    def run(
        self,
        sql: str,
        name: str,
        tables: Sequence[pa.Table],
        *,
        timeout_s: float | None = None,
        stop: Stop | None = None,
    ) -> pa.Table:
        """Return what the merge ``sql`` gives over the rows of ``tables``, together the table ``name``.

        Raises:
            ArchipelError: TIMEOUT, CANCELLED, INTERRUPTED, MERGE_FAILED, or SQL_EXECUTION where a number overflowed.
        """
        with self._statement({name: pa.concat_tables(tables)}, timeout_s, _merge_error, stop, sql) as cursor:
            merged = cursor.execute(sql).to_arrow_table()
            _check_decimals(merged)
        return merged

    def answer(
        self,
        sql: str,
        inputs: Mapping[str, pa.Table],
        *,
        timeout_s: float,
        max_rows: int,
        max_bytes: int,
        stop: Stop | None = None,
    ) -> pa.Table:
        """Return what the final ``sql`` gives over ``inputs``, in its order; stops as soon as it is too large.

        Raises:
            ArchipelError: TIMEOUT, CANCELLED, INTERRUPTED, RESULT_TOO_LARGE, SQL_EXECUTION where the values do not
                fit the query's expressions, MERGE_FAILED where memory ran out, INTERNAL where the engine refused the
                SQL.
        """
        batches: list[pa.RecordBatch] = []
        rows = n_bytes = 0
        with self._statement(inputs, timeout_s, _answer_error, stop, sql) as cursor:
            reader = cursor.execute(sql).to_arrow_reader(BATCH_ROWS)
            try:
                for batch in reader:
                    rows += batch.num_rows
                    n_bytes += batch.nbytes
                    if rows > max_rows:
                        raise errors.error(errors.RESULT_TOO_LARGE, f"The result has more than {max_rows:,} rows.")
                    if n_bytes > max_bytes:
                        raise errors.error(errors.RESULT_TOO_LARGE, f"The result has more than {max_bytes:,} bytes.")
                    batches.append(batch)
                answer = pa.Table.from_batches(batches, reader.schema)
            finally:
                reader.close()
            _check_decimals(answer)
        return answer

    def hashes(self, table: pa.Table, keys: Sequence[str]) -> pa.ChunkedArray:
        """Return the 64-bit hash of the keys of each row, in the rows' order; equal keys, NULL included, are equal."""
        with self._statement({}, None, _merge_error) as cursor:
            expression = duckdb.FunctionExpression("hash", *(duckdb.ColumnExpression(key) for key in keys))
            return cursor.from_arrow(table.select(list(keys))).select(expression.alias("h")).to_arrow_table()["h"]

    def close(self) -> None:
        """Interrupt what runs, wait until it has ended, and close the database; idempotent."""
        with self._changed:
            self._closed = True
            while self._running:
                for cursor in self._running:
                    cursor.interrupt()
                self._changed.wait(_INTERRUPT_AGAIN_S)
        self._watchdog.close()
        self._database.close()

    @contextmanager
    def _statement(
        self,
        inputs: Mapping[str, pa.Table],
        timeout_s: float | None,
        mapped: Callable[[type[BaseException]], errors.ArchipelError],
        stop: Stop | None = None,
        sql: str = "",
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a cursor that sees ``inputs``, for ``sql``; turns the engine's errors into the catalogue's."""
        if stop is not None:
            stop.check()
        cursor = self._opened()
        watch = self._watchdog.watch(cursor.interrupt, timeout_s)
        try:
            arrow_inputs.register_all(cursor, inputs, joined=len(inputs) > 1, sql=sql)
            with watch, stop.heard_by(watch.stop) if stop is not None else nullcontext():
                yield cursor
        except (duckdb.Error, pa.ArrowException, OSError) as cause:
            # "from None": the engine's message can quote values, and tracebacks are logged.
            if self._closed:
                raise errors.error(errors.INTERRUPTED, "The coordinator was stopped.") from None
            if stop is not None and stop.made:
                raise cancelled() from None
            if watch.late:
                raise errors.error(errors.TIMEOUT, "Merging the partial results took too long.") from None
            raise mapped(_kind(cause)) from None
        finally:
            with self._changed:
                self._running.discard(cursor)
                cursor.close()
                self._changed.notify_all()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._changed:
            if self._closed:
                raise errors.error(errors.INTERRUPTED, "The coordinator was stopped.")
            cursor = self._database.cursor()
            self._running.add(cursor)
            return cursor


def _check_decimals(table: pa.Table) -> None:
    """Refuse decimals of more digits than their type has: sums of DECIMAL(38) can reach them without an error."""
    wide = [i for i, f in enumerate(table.schema) if pa.types.is_decimal128(f.type) and f.type.precision == 38]
    try:
        for index in wide:
            table.column(index).validate(full=True)
    except pa.ArrowInvalid:
        raise _overflow() from None


_KINDS: dict[str, type[BaseException]] = {
    "Conversion Error": duckdb.ConversionException,
    "Invalid Input Error": duckdb.InvalidInputException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "Out of Range Error": duckdb.OutOfRangeException,
}


def _kind(cause: Exception) -> type[BaseException]:
    """Return the engine's class of an error; through an Arrow stream it comes only as the text's first words."""
    if isinstance(cause, duckdb.Error):
        return type(cause)
    return _KINDS.get(str(cause).partition(":")[0], type(cause))


def _overflow() -> errors.ArchipelError:
    return errors.error(
        errors.SQL_EXECUTION,
        "A number became too large while partial results were merged.",
        hint="Cast the argument of the aggregate to DOUBLE, or aggregate less.",
    )


def _out_of_memory() -> errors.ArchipelError:
    return errors.error(
        errors.MERGE_FAILED,
        "Merging the partial results needs more memory than the coordinator gives it.",
        hint="Ask for fewer groups or columns; the operator can raise the limits under 'merge'.",
    )


def _merge_error(kind: type[BaseException]) -> errors.ArchipelError:
    if issubclass(kind, duckdb.OutOfRangeException):
        return _overflow()
    if issubclass(kind, duckdb.OutOfMemoryException):
        return _out_of_memory()
    return errors.error(errors.MERGE_FAILED, f"The partial results could not be merged ({kind.__name__}).")


_AT_FAULT_IN_THE_QUERY: tuple[tuple[type[BaseException], str], ...] = (
    (duckdb.ConversionException, "A value cannot be converted to the type that the query casts it to."),
    (duckdb.OutOfRangeException, "A number or date leaves the range of its type, or of the function it is given to."),
    (
        duckdb.InvalidInputException,
        "A function of the query does not take a value it is given, or a scalar subquery has more than one row.",
    ),
)


def _answer_error(kind: type[BaseException]) -> errors.ArchipelError:
    for known, message in _AT_FAULT_IN_THE_QUERY:
        if issubclass(kind, known):
            return errors.error(errors.SQL_EXECUTION, message, hint="TRY_CAST and CASE WHEN help to find such values.")
    if issubclass(kind, duckdb.OutOfMemoryException):
        return _out_of_memory()
    return errors.error(errors.INTERNAL, f"The final statement of the query failed ({kind.__name__}).")
