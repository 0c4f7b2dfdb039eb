"""One statement in DuckDB: guarded, timed, cancellable from any thread, its errors turned into fixed texts.

An engine's error text can quote values. Only its class goes to the log and decides what is told.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from archipel import arrow_inputs, errors, linkage
from archipel.frames import BATCH_ROWS
from archipel.watchdog import Watchdog
from node_agent.engine.guard import Guard

log = logging.getLogger(__name__)

_ENGINE_ERRORS = (duckdb.Error, pa.ArrowException, RuntimeError, OSError, MemoryError)


@dataclass(frozen=True, slots=True)
class _Told:
    code: errors.ErrorCode
    message: str
    hint: str


_NO_MEMORY = _Told(errors.NODE_RESOURCES, "The statement needs more memory than this node allows.", "Ask for less.")
_NO_DATA = _Told(errors.NODE_SOURCE, "The node's data cannot be read.", errors.NODE_SOURCE.hint)
_CONVERSION = _Told(
    errors.SQL_EXECUTION,
    "A value cannot be converted to the type that was asked for.",
    "TRY_CAST gives NULL instead of an error.",
)
_RANGE = _Told(
    errors.SQL_EXECUTION,
    "A number is outside the range that an operation or a type accepts.",
    "Cast to a wider type first, such as HUGEINT or DOUBLE.",
)
_INPUT = _Told(errors.SQL_EXECUTION, "A function does not accept one of its inputs.", "")
_STATEMENT = _Told(
    errors.NODE_EXECUTION, "The node's engine does not accept the statement.", errors.NODE_EXECUTION.hint
)
_OTHER = _Told(errors.NODE_EXECUTION, "The statement failed in the node's engine.", errors.NODE_EXECUTION.hint)

_BY_CLASS: tuple[tuple[type[Exception], _Told], ...] = (
    (duckdb.OutOfMemoryException, _NO_MEMORY),
    (MemoryError, _NO_MEMORY),
    (duckdb.IOException, _NO_DATA),
    (duckdb.PermissionException, _NO_DATA),  # a file of a view of ours that is no longer there
    (duckdb.ConversionException, _CONVERSION),
    (duckdb.OutOfRangeException, _RANGE),
    (duckdb.InvalidInputException, _INPUT),
    (duckdb.ProgrammingError, _STATEMENT),  # parser, binder and catalogue
)
"""What is told, by the class of the engine's error: the first that fits."""

_BY_PREFIX = (
    ("Out of Memory Error:", _NO_MEMORY),
    ("IO Error:", _NO_DATA),
    ("Conversion Error:", _CONVERSION),
    ("Out of Range Error:", _RANGE),
    ("Invalid Input Error:", _INPUT),
)
"""The same for failures after the first rows: Arrow's stream keeps of their class only how the text begins."""


class DuckDBStatement:
    """One statement on a cursor of its own, to be run once in a thread."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        sql: str,
        inputs: Mapping[str, pa.Table],
        *,
        tables: Iterable[str],
        guard: Guard,
        watchdog: Watchdog,
        timeout_s: float,
        on_fatal: threading.Event,
    ) -> None:
        """``tables`` are the names that it may read besides its inputs; ``on_fatal`` is set when the engine is lost."""
        self._cursor = cursor
        self._sql = sql
        self._inputs = inputs
        self._known = (*tables, *inputs)
        self._guard = guard
        self._on_fatal = on_fatal
        self._watch = watchdog.watch(self._interrupt, timeout_s)
        self._watched = contextlib.ExitStack()

    def run(self) -> pa.RecordBatchReader:
        """Run it; rows are computed as they are read."""
        self._watched.enter_context(self._watch)
        try:
            self._guard.check(self._cursor, self._sql, self._known)
            # The padded keys of pseudonyms stay out of the engine's storage, which may be written to disk.
            arrow_inputs.register_all(self._cursor, self._inputs, joined=True, uncopied=(linkage.PADS_TABLE,))
            reader = self._cursor.execute(self._sql).to_arrow_reader(BATCH_ROWS)
        except _ENGINE_ERRORS as cause:
            raise self._translated(cause) from None
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def cancel(self) -> None:
        """Stop it, from any thread."""
        self._watch.stop()

    def close(self) -> None:
        """Give the cursor back; idempotent."""
        self._watched.close()  # from now on no interrupt reaches the cursor
        self._cursor.close()

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                if self._watch.stopped or self._watch.late:
                    raise RuntimeError
                yield batch
        except _ENGINE_ERRORS as cause:
            raise self._translated(cause) from None

    def _interrupt(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._cursor.interrupt()

    def _translated(self, cause: Exception) -> errors.ArchipelError:
        if self._watch.stopped:
            return errors.error(errors.CANCELLED, "The query was cancelled.")
        if self._watch.late:
            return errors.error(errors.TIMEOUT, "The statement took longer than it may at this node.")
        log.error("the engine failed with %s", type(cause).__name__)
        if isinstance(cause, duckdb.FatalException | duckdb.InternalException):
            self._on_fatal.set()  # DuckDB refuses every further statement then
        told = _told(cause)
        return errors.error(told.code, told.message, hint=told.hint)


def _told(cause: Exception) -> _Told:
    for kind, told in _BY_CLASS:
        if isinstance(cause, kind):
            return told
    text = str(cause)
    return next((told for prefix, told in _BY_PREFIX if text.startswith(prefix)), _OTHER)
