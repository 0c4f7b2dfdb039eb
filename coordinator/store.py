"""What the coordinator remembers: queries, plans, events, results for a while, and what nodes registered.

Methods block; the event loop calls reads in threads and waits for writes by their futures. A query that was reported as
finished is on disk before. One coordinator process for each store: starting one ends what the last one left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from sqlalchemy import Connection, Select, bindparam, delete, func, insert, literal, select, update

from archipel import errors, wire
from archipel.v1 import common_pb2, query_pb2
from coordinator import store_schema as schema
from coordinator.events import State
from coordinator.lifecycle import interrupted
from coordinator.store_engine import connect
from coordinator.store_writer import Writer

UNTOLD_EVENTS = 10_000
"""Gap in the numbering of events at a restart: a watcher may have seen events that did not reach the disk."""

SUMMARY_BYTES = 512
"""What a query takes in a listing besides its texts."""

CHUNKS_AT_ONCE = 16
"""Chunks of a result read at a time: 4 MiB."""

_STATE_TO_WIRE = {
    State.QUEUED: query_pb2.QUERY_STATE_QUEUED,
    State.RUNNING: query_pb2.QUERY_STATE_RUNNING,
    State.FINISHED: query_pb2.QUERY_STATE_FINISHED,
    State.FAILED: query_pb2.QUERY_STATE_FAILED,
    State.CANCELLED: query_pb2.QUERY_STATE_CANCELLED,
}
_STATE_FROM_WIRE = {wire_state: state for state, wire_state in _STATE_TO_WIRE.items()}


# Statements of the path of every query are made once: making one takes several times longer than running it.
_NEW_QUERY = insert(schema.queries)
_NEW_EVENT = insert(schema.events)
_NEW_RESULT = insert(schema.results)
_NEW_CHUNK = insert(schema.chunks)
_CHANGE_QUERY = update(schema.queries).where(schema.queries.c.query_id == bindparam("of"))
"""What changes is in the parameters beside ``of``."""
_QUERY_OF_REQUEST = select(schema.queries).where(
    schema.queries.c.permit_id == bindparam("permit"),
    schema.queries.c.researcher == bindparam("researcher"),
    schema.queries.c.request_id == bindparam("request"),
)
_OWN_QUERY = select(schema.queries).where(
    schema.queries.c.query_id == bindparam("id"), schema.queries.c.researcher == bindparam("researcher")
)
_EVENTS = select(schema.events).where(schema.events.c.query_id == bindparam("id")).order_by(schema.events.c.sequence)
_RESULT_HEAD = select(
    schema.results.c.rows, schema.results.c.info, schema.results.c.chunks, schema.results.c.expires_ms
).where(schema.results.c.query_id == bindparam("id"))
_CHUNKS = (
    select(schema.chunks.c.data)
    .where(
        schema.chunks.c.query_id == bindparam("id"),
        schema.chunks.c.position >= bindparam("first"),
        schema.chunks.c.position < bindparam("end"),
    )
    .order_by(schema.chunks.c.position)
)


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """A query as it is remembered. Times in Unix milliseconds; 0 is none."""

    query_id: str
    request_id: str
    request_sha256: str
    permit_id: str
    project: str
    researcher: str
    sql: str
    dialect: str
    created_ms: int
    plan: str = ""
    state: State = State.QUEUED
    ended_ms: int = 0
    error: errors.ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """A result: its header, and its rows as frames of an Arrow stream."""

    rows: int
    info: bytes
    frames: Sequence[bytes]
    expires_ms: int


@dataclass(frozen=True, slots=True)
class ResultHead:
    """A stored result without its rows, which are in ``chunks`` frames."""

    rows: int
    info: bytes
    chunks: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StoredRegistration:
    """What a node registered last: its hello as it was sent."""

    node: str
    hello: bytes
    last_seen_ms: int


class Store:
    """The store behind one database URL. ``close`` it."""

    def __init__(self, url: str) -> None:
        """Connect and create what is missing.

        Raises:
            ArchipelError: CONFIG_INVALID when the URL names nothing that can be opened.
        """
        self._engine = connect(url)
        self._writer = Writer(self._engine)

    def close(self) -> None:
        """Write what waits and disconnect; idempotent."""
        self._writer.close()
        self._engine.dispose()

    # Writes

    def add_query(self, record: QueryRecord, told: Sequence[query_pb2.QueryEvent]) -> Future[None]:
        """Remember a query that was taken, and its first events."""
        row = {
            "query_id": record.query_id,
            "request_id": record.request_id,
            "request_sha256": record.request_sha256,
            "permit_id": record.permit_id,
            "project": record.project,
            "researcher": record.researcher,
            "sql": record.sql,
            "dialect": record.dialect,
            "state": record.state.value,
            "created_ms": record.created_ms,
            "plan": record.plan,
        }
        rows = [_event_row(record.query_id, e) for e in told]

        def write(connection: Connection) -> None:
            connection.execute(_NEW_QUERY, row)
            connection.execute(_NEW_EVENT, rows)

        return self._writer.write(write)

    def add_events(
        self, query_id: str, told: Sequence[query_pb2.QueryEvent], *, plan: str | None = None
    ) -> Future[None]:
        """Remember events, the state that the last one tells, and a new plan if there is one."""
        rows = [_event_row(query_id, e) for e in told]
        changed = {"of": query_id, "state": rows[-1]["state"]} | ({"plan": plan} if plan is not None else {})

        def write(connection: Connection) -> None:
            connection.execute(_NEW_EVENT, rows)
            connection.execute(_CHANGE_QUERY, changed)

        return self._writer.write(write)

    def end_query(
        self,
        query_id: str,
        told: Sequence[query_pb2.QueryEvent],
        result: ResultRecord | None = None,
        *,
        plan: str | None = None,
    ) -> Future[None]:
        """Remember the last events of a query, how it ended, its result and a new plan: all of it or nothing."""
        rows = [_event_row(query_id, e) for e in told]
        last = rows[-1]
        ended = {"of": query_id, "state": last["state"], "ended_ms": last["time_ms"], "error": last["error"]}
        ended |= {"plan": plan} if plan is not None else {}
        head, chunks = ({}, []) if result is None else _result_rows(query_id, result)

        def write(connection: Connection) -> None:
            if head:
                connection.execute(_NEW_RESULT, head)
                connection.execute(_NEW_CHUNK, chunks)
            connection.execute(_NEW_EVENT, rows)
            connection.execute(_CHANGE_QUERY, ended)

        return self._writer.write(write)

    def save_registration(self, registration: StoredRegistration) -> Future[None]:
        """Remember what a node registered, in the place of what it registered before."""
        row = {
            "node": registration.node,
            "hello": registration.hello,
            "last_seen_ms": registration.last_seen_ms,
        }

        def write(connection: Connection) -> None:
            connection.execute(delete(schema.registrations).where(schema.registrations.c.node == registration.node))
            connection.execute(insert(schema.registrations), row)

        return self._writer.write(write)

    def touch_registration(self, node: str, last_seen_ms: int) -> Future[None]:
        """Remember when a node was last heard of."""
        changed = update(schema.registrations).where(schema.registrations.c.node == node)
        return self._writer.write(lambda connection: _do(connection, changed.values(last_seen_ms=last_seen_ms)))

    def delete_expired(self, now_ms: int) -> Future[None]:
        """Delete the rows of results whose time is over."""
        over = select(schema.results.c.query_id).where(schema.results.c.expires_ms <= now_ms)
        rows = delete(schema.chunks).where(schema.chunks.c.query_id.in_(over))
        return self._writer.write(lambda connection: _do(connection, rows))

    def interrupt_unfinished(self, now_ms: int) -> int:
        """End every query that an earlier coordinator left open as failed, and return how many there were."""
        open_states = (State.QUEUED.value, State.RUNNING.value)
        found: list[str] = []

        def write(connection: Connection) -> None:
            unfinished = select(schema.queries.c.query_id).where(schema.queries.c.state.in_(open_states))
            for query_id in connection.execute(unfinished).scalars().all():
                last = select(func.max(schema.events.c.sequence)).where(schema.events.c.query_id == query_id)
                number = (connection.execute(last).scalar() or 0) + UNTOLD_EVENTS
                problem = errors.with_context(errors.raised(interrupted()), query_id=query_id).info
                told = make_event(number, now_ms, State.FAILED, "failed", error=problem)
                row = _event_row(query_id, told)
                ended = {"of": query_id, "state": row["state"], "ended_ms": now_ms, "error": row["error"]}
                connection.execute(_NEW_EVENT, row)
                connection.execute(_CHANGE_QUERY, ended)
                found.append(query_id)

        self._writer.write(write).result()
        return len(found)

    # Reads

    def find_request(self, permit_id: str, researcher: str, request_id: str) -> QueryRecord | None:
        """Return the query that a request became."""
        asked = {"permit": permit_id, "researcher": researcher, "request": request_id}
        return self._one_query(_QUERY_OF_REQUEST, asked)

    def query(self, query_id: str, researcher: str) -> QueryRecord | None:
        """Return a researcher's own query; None for one of somebody else."""
        return self._one_query(_OWN_QUERY, {"id": query_id, "researcher": researcher})

    def queries(self, researcher: str, limit: int, max_bytes: int) -> list[QueryRecord]:
        """Return a researcher's queries, newest first, without plans; fewer where their texts exceed ``max_bytes``."""
        columns = schema.queries.c
        asked = (
            select(*(column for column in columns if column is not columns.plan), literal("").label("plan"))
            .where(columns.researcher == researcher)
            .order_by(columns.created_ms.desc(), columns.query_id)
            .limit(limit)
        )
        found: list[QueryRecord] = []
        with self._engine.connect().execution_options(yield_per=100) as connection, connection.execute(asked) as rows:
            for row in rows.mappings():
                max_bytes -= len(row["sql"].encode()) + len(row["error"].encode()) + SUMMARY_BYTES
                if max_bytes < 0:
                    break
                found.append(_record(row))
        return found

    def events(self, query_id: str) -> list[query_pb2.QueryEvent]:
        """Return a query's events in order."""
        with self._engine.connect() as connection:
            return [_event(row) for row in connection.execute(_EVENTS, {"id": query_id}).mappings()]

    def result(self, query_id: str, researcher: str) -> tuple[QueryRecord | None, ResultHead | None, list[bytes]]:
        """Return a researcher's own query, its result's header, and the first of its frames: all in one go."""
        record = self.query(query_id, researcher)
        head = None if record is None else self.result_head(query_id)
        return record, head, [] if head is None else self.result_chunks(query_id, 0)

    def result_head(self, query_id: str) -> ResultHead | None:
        """Return a result's header."""
        with self._engine.connect() as connection:
            row = connection.execute(_RESULT_HEAD, {"id": query_id}).first()
        return None if row is None else ResultHead(row.rows, row.info, row.chunks, row.expires_ms)

    def result_chunks(self, query_id: str, first: int) -> list[bytes]:
        """Return the next ``CHUNKS_AT_ONCE`` frames of a result from position ``first`` on."""
        asked = {"id": query_id, "first": first, "end": first + CHUNKS_AT_ONCE}
        with self._engine.connect() as connection:
            return [bytes(data) for data in connection.execute(_CHUNKS, asked).scalars()]

    def registrations(self) -> list[StoredRegistration]:
        """Return what every node registered last."""
        columns = schema.registrations.c
        asked = select(columns.node, columns.hello, columns.last_seen_ms).order_by(columns.node)
        with self._engine.connect() as connection:
            return [StoredRegistration(r.node, r.hello, r.last_seen_ms) for r in connection.execute(asked)]

    def _one_query(self, statement: Select[Any], asked: Mapping[str, Any]) -> QueryRecord | None:
        with self._engine.connect() as connection:
            row = connection.execute(statement, asked).mappings().first()
        return None if row is None else _record(row)


def make_event(
    sequence: int,
    time_ms: int,
    state: State,
    kind: str,
    *,
    node: str = "",
    stage_id: str = "",
    error: errors.ErrorInfo | None = None,
) -> query_pb2.QueryEvent:
    """Return an event of the wire."""
    told = query_pb2.QueryEvent(
        sequence=sequence,
        time_unix_ms=time_ms,
        state=_STATE_TO_WIRE[state],
        kind=kind,
        node=node,
        stage_id=stage_id,
        text=error.message if error is not None else "",
    )
    if error is not None:
        told.error.CopyFrom(wire.error_to_wire(error))
    return told


def state_to_wire(state: State) -> query_pb2.QueryState.ValueType:
    """Return the message value of a state."""
    return _STATE_TO_WIRE[state]


def _result_rows(query_id: str, result: ResultRecord) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head = {
        "query_id": query_id,
        "rows": result.rows,
        "info": result.info,
        "chunks": len(result.frames),
        "expires_ms": result.expires_ms,
    }
    return head, [{"query_id": query_id, "position": i, "data": data} for i, data in enumerate(result.frames)]


def _do(connection: Connection, statement: Any) -> None:
    connection.execute(statement)


def _event_row(query_id: str, told: query_pb2.QueryEvent) -> dict[str, Any]:
    return {
        "query_id": query_id,
        "sequence": told.sequence,
        "time_ms": told.time_unix_ms,
        "state": _STATE_FROM_WIRE[told.state].value,
        "kind": told.kind,
        "node": told.node,
        "stage_id": told.stage_id,
        "text": told.text,
        "error": json_format.MessageToJson(told.error, indent=None) if told.HasField("error") else "",
    }


def _event(row: Any) -> query_pb2.QueryEvent:
    told = query_pb2.QueryEvent(
        sequence=row["sequence"],
        time_unix_ms=row["time_ms"],
        state=_STATE_TO_WIRE[State(row["state"])],
        kind=row["kind"],
        node=row["node"],
        stage_id=row["stage_id"],
        text=row["text"],
    )
    if row["error"]:
        told.error.CopyFrom(json_format.Parse(row["error"], common_pb2.ErrorDetail()))
    return told


def _record(row: Any) -> QueryRecord:
    error = None
    if row["error"]:
        error = wire.error_from_wire(json_format.Parse(row["error"], common_pb2.ErrorDetail())).info
    return QueryRecord(
        query_id=row["query_id"],
        request_id=row["request_id"],
        request_sha256=row["request_sha256"],
        permit_id=row["permit_id"],
        project=row["project"],
        researcher=row["researcher"],
        sql=row["sql"],
        dialect=row["dialect"],
        created_ms=row["created_ms"],
        plan=row["plan"],
        state=State(row["state"]),
        ended_ms=row["ended_ms"],
        error=error,
    )
