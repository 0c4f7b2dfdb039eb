"""The handle of a submitted query: its identifier outlives the client, and everything else hangs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from archipel import errors, frames
from archipel.client import progress as progress_display
from archipel.client.explanation import Explanation
from archipel.client.model import ENDED, Event
from archipel.client.result import Result
from archipel.v1 import query_pb2

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from archipel.client.connection import Connection


T = TypeVar("T")


class Query:
    """A query that the coordinator has taken. Safe to use from several threads."""

    def __init__(
        self,
        connection: Connection,
        query_id: str,
        *,
        sql: str = "",
        progress: bool | None = None,
        papers: tuple[str, str] = ("", ""),
    ) -> None:
        """Take up a query; ``papers`` are its signed request and its permit, where they are known."""
        self._connection = connection
        self._result: Result | None = None
        self._progress = progress
        self._papers = papers
        self.query_id = query_id
        self.sql = sql

    def __repr__(self) -> str:
        return f"<Query {self.query_id}>"

    @property
    def status(self) -> str:
        """Where the query stands now: "queued", "running", "finished", "failed" or "cancelled"."""
        return self._connection.summary(self.query_id).state

    def done(self) -> bool:
        """Whether the query has ended, well or not."""
        return self.status in ENDED

    def watch(self) -> Iterator[Event]:
        """Yield what has happened to the query and what happens, until it ends. A lost stream is taken up again."""
        seen = 0
        for message in self._connection.watch(self.query_id):
            event = Event.from_wire(message)
            if event.sequence > seen:
                seen = event.sequence
                yield event

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the end and return the result. Ctrl-C cancels the query.

        Raises:
            ArchipelError: what ended the query; TIMEOUT when it has not ended within ``timeout_s``, it goes on then.
        """
        if self._result is None:
            if timeout_s is None and not progress_display.wanted(self._progress):
                self._result = self._cancelled_by_interrupt(lambda: self._fetch(wait=True))
            else:
                self.wait(timeout_s)
                self._result = self._fetch()
        return self._result

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end without fetching the rows. Ctrl-C cancels the query.

        Raises:
            ArchipelError: as ``result``.
        """
        self._cancelled_by_interrupt(lambda: self._wait(timeout_s))

    def _cancelled_by_interrupt(self, wait: Callable[[], T]) -> T:
        try:
            return wait()
        except KeyboardInterrupt:
            self.cancel()
            raise

    def _wait(self, timeout_s: float | None) -> None:
        last: Event | None = None
        with progress_display.shown(self._progress) as show:
            for message in self._connection.watch(self.query_id, timeout_s=timeout_s):
                last = Event.from_wire(message)
                show(last)
        if last is not None and last.state != "finished":
            raise last.error or errors.error(
                errors.CANCELLED if last.state == "cancelled" else errors.INTERNAL,
                f"The query ended as {last.state}.",
                query_id=self.query_id,
            )

    def _fetch(self, *, wait: bool = False) -> Result:
        header, parts = self._fetched(wait=wait)
        request, permit = self._papers
        return replace(Result.from_wire(header, frames.decode_table(parts)), request=request, permit=permit)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Wait for the end and yield the rows as they arrive, without holding all of them."""
        if progress_display.wanted(self._progress):
            self._wait(None)
        _, parts = self._fetched(wait=True)
        yield from frames.decode_batches(parts)

    def _fetched(self, *, wait: bool) -> tuple[query_pb2.ResultHeader, Iterator[bytes]]:
        try:
            return self._connection.fetch(self.query_id, wait=wait)
        except errors.ArchipelError as problem:
            if not wait or problem.info.code is not errors.QUERY_NOT_FINISHED:
                raise
        self._wait(None)  # a coordinator of an earlier version does not wait in Fetch
        return self._connection.fetch(self.query_id)

    def cancel(self) -> str:
        """Cancel the query, also in the engines of the nodes; return the state it is in then."""
        return self._connection.cancel(self.query_id)

    def explain(self) -> Explanation:
        """Return the plan as the query runs it; once it has finished, with what was measured."""
        return self._connection.explain_query(self.query_id)

    def to_arrow(self) -> pa.Table:
        """``result().to_arrow()``"""
        return self.result().to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """``result().to_pandas()``"""
        return self.result().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """``result().to_polars()``"""
        return self.result().to_polars()

    def to_parquet(self, path: str | Path) -> None:
        """``result().to_parquet(path)``"""
        self.result().to_parquet(path)

    def to_csv(self, path: str | Path) -> None:
        """``result().to_csv(path)``"""
        self.result().to_csv(path)

    df = to_pandas
    pl = to_polars
