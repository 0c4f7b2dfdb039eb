"""The coordinator's own stages, and making a result of the last one: blocking work over Arrow tables, for threads.

Nothing is decided here; what comes in was validated as Arrow, and its columns are checked against the plan's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from archipel import errors, frames, telemetry
from coordinator.merge.executor import MergeInput
from coordinator.merge.partials import prepared
from coordinator.merge.stop import Stop
from coordinator.picking import OrderedPicks, Picks, ordered, ordered_picks, picked, picks
from coordinator.plan import SHARD_COLUMN, Exchange, Plan, Stage, StageKind
from coordinator.planning import Planned


class MergerLike(Protocol):
    """What is needed of ``coordinator.merge.merger.Merger``; any number of threads may call it at once."""

    def merge(
        self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float, stop: Stop | None = None
    ) -> tuple[pa.Table, str]: ...

    def merges_at_once(self, sql: str, source: MergeInput) -> bool: ...

    def finish(
        self,
        sql: str,
        inputs: Mapping[str, pa.Table],
        *,
        timeout_s: float,
        max_rows: int,
        max_bytes: int,
        stop: Stop | None = None,
    ) -> pa.Table: ...

    def close(self) -> None: ...


Outputs = Mapping[str, pa.Table | Mapping[str, pa.Table]]
"""By stage: the table of a merge or finish stage, or the tables of a node stage by node."""


def merge_input(planned: Planned, stage: Stage, outputs: Outputs) -> MergeInput:
    """Return the input of a merge stage: one table for each site of its source, in their order."""
    exchange = exchange_named(planned.plan, stage.inputs[0])
    return _partials(planned, exchange, outputs)


def input_table(planned: Planned, exchange_id: str, outputs: Outputs, *, with_shard: bool) -> pa.Table:
    """Return what an exchange carries as one table, in the order of the source's sites.

    What nodes delivered gets ``SHARD_COLUMN`` for the coordinator's own stages, and does not for other nodes.
    """
    exchange = exchange_named(planned.plan, exchange_id)
    output = outputs[exchange.source]
    if isinstance(output, pa.Table):
        return output
    table = pa.concat_tables(prepared(_partials(planned, exchange, outputs), ()))
    return table if with_shard else table.drop_columns([SHARD_COLUMN])


def only_picks(plan: Plan, stage: Stage) -> bool:
    """Whether a finish stage only picks columns of one input, and perhaps orders them."""
    return _picks_of(plan, stage) is not None


def _picks_of(plan: Plan, stage: Stage) -> Picks | OrderedPicks | None:
    if len(stage.inputs) != 1:
        return None
    source = plan.stage(exchange_named(plan, stage.inputs[0]).source)
    asked = (stage.sql, stage.inputs[0], tuple((column.name, column.type) for column in source.columns))
    return picks(*asked) or ordered_picks(*asked)


def picked_table(planned: Planned, stage: Stage, outputs: Outputs, *, max_rows: int, max_bytes: int) -> pa.Table | None:
    """Return the output of a finish stage that only picks columns of one input; None for one that does more.

    What comes from nodes was validated when it arrived, and what was merged when it was made.

    Raises:
        ArchipelError: RESULT_TOO_LARGE, or MERGE_FAILED when a node's columns are not those agreed.
    """
    columns = _picks_of(planned.plan, stage)
    if columns is None:
        return None
    with telemetry.span("finish"):
        source = input_table(planned, stage.inputs[0], outputs, with_shard=True)
        table = ordered(source, columns) if isinstance(columns, OrderedPicks) else picked(source, columns)
        return None if table is None else _bounded(table, max_rows, max_bytes)


def result_table(planned: Planned, outputs: Outputs, *, max_rows: int, max_bytes: int) -> pa.Table:
    """Return the result with the plan's column names and types.

    Raises:
        ArchipelError: RESULT_TOO_LARGE, or INTERNAL when it has not the columns that the plan promised.
    """
    stage = planned.plan.stage(planned.plan.result_stage)
    output = outputs[stage.stage_id]
    if isinstance(output, pa.Table):
        table = output
    else:
        names = tuple(output)
        whole = MergeInput(stage.stage_id, planned.schemas[stage.stage_id], tuple(output.values()), _indexes(names))
        table = pa.concat_tables(prepared(whole, ())).drop_columns([SHARD_COLUMN])
    return _conforming(_bounded(table, max_rows, max_bytes), planned.schema)


def _bounded(table: pa.Table, max_rows: int, max_bytes: int) -> pa.Table:
    if table.num_rows > max_rows:
        raise errors.error(errors.RESULT_TOO_LARGE, f"The result has more than {max_rows:,} rows.")
    if table.nbytes > max_bytes:
        raise errors.error(errors.RESULT_TOO_LARGE, f"The result has more than {max_bytes:,} bytes.")
    return table


def encoded(table: pa.Table) -> list[bytes]:
    """Return the frames of a result."""
    return list(frames.encode_table(table))


def exchange_named(plan: Plan, exchange_id: str) -> Exchange:
    """Return the exchange of that identifier."""
    return next(e for e in plan.exchanges if e.exchange_id == exchange_id)


def _partials(planned: Planned, exchange: Exchange, outputs: Outputs) -> MergeInput:
    source = planned.plan.stage(exchange.source)
    output = outputs[exchange.source]
    if source.kind is not StageKind.NODE or isinstance(output, pa.Table):
        raise errors.error(errors.INTERNAL, "A merge stage has an input that no node delivers.")
    tables = tuple(output[node] for node in source.sites)
    return MergeInput(exchange.exchange_id, planned.schemas[source.stage_id], tables, _indexes(source.sites))


def _indexes(sites: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(range(len(sites)))


def _conforming(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.equals(schema):
        return table
    if table.num_columns != len(schema):
        raise errors.error(errors.INTERNAL, "The result has not the columns that the plan promised.")
    try:
        columns = [column.cast(field.type) for column, field in zip(table.columns, schema, strict=True)]
    except pa.ArrowException:
        raise errors.error(errors.INTERNAL, "The result has not the types that the plan promised.") from None
    return pa.Table.from_arrays(columns, schema=schema)
