"""The handles of ``EXPLAIN`` and ``EXPLAIN ANALYZE``: a query's handle whose rows are the lines of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from archipel.client.explanation import Explanation
from archipel.client.model import Event
from archipel.client.query import Query
from archipel.client.result import Result
from archipel.explain.statement import PlanForm

if TYPE_CHECKING:
    from archipel.client.connection import Connection

COLUMN = "plan"


class Explained(Query):
    """The handle of ``EXPLAIN``. Nothing runs, so that it has ended from the beginning, and has no identifier."""

    def __init__(self, connection: Connection, explanation: Explanation, *, sql: str) -> None:
        super().__init__(connection, "", sql=sql)
        self._explanation = explanation

    @property
    def status(self) -> str:
        """Always "finished"."""
        return "finished"

    def watch(self) -> Iterator[Event]:
        """Yield nothing."""
        yield from ()

    def result(self, timeout_s: float | None = None) -> Result:
        """Return the plan as a result."""
        plan = self._explanation
        return Result("", plan_table(plan), (), (), (), True, "", 0.0, plan)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the lines of the plan."""
        yield from self.result().to_batches()

    def cancel(self) -> str:
        """Do nothing."""
        return self.status

    def explain(self) -> Explanation:
        """Return the plan."""
        return self._explanation


class Analyzed(Query):
    """The handle of ``EXPLAIN ANALYZE``: the query runs, and its result is what was planned and measured."""

    def __init__(
        self, connection: Connection, query_id: str, *, sql: str, progress: bool | None, form: PlanForm
    ) -> None:
        super().__init__(connection, query_id, sql=sql, progress=progress)
        self._form = form

    def _fetch(self, *, wait: bool = False) -> Result:
        header, rows = self._fetched(wait=wait)
        next(rows, None)  # begun, so that closing it tells the coordinator to send no more
        close = getattr(rows, "close", None)
        if close is not None:
            close()
        plan = self._connection.explain_query(self.query_id, format=self._form)
        return replace(Result.from_wire(header, plan_table(plan)), explanation=plan)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Wait for the end and yield the lines of the plan."""
        yield from self.result().to_batches()


def plan_table(plan: Explanation) -> pa.Table:
    """Return a plan as a table of one column: a row for each line, or one for JSON or a picture."""
    lines = str(plan).split("\n") if plan.form == "text" else [str(plan)]
    return pa.table({COLUMN: pa.array(lines, pa.string())})
