"""``QueryService``: the service that researchers' clients call. Thin: identity and signatures, then hand on.

A researcher sees only their own queries; somebody else's are said not to exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archipel import errors, permit, request, tls, tokens, wire
from archipel.manifest import Manifest
from archipel.v1 import common_pb2, query_pb2, query_pb2_grpc
from coordinator.answering import answering
from coordinator.asked import Asked
from coordinator.deliveries import Deliveries
from coordinator.events import State
from coordinator.execution import Execution
from coordinator.plan import Plan
from coordinator.plan_document import explained_query
from coordinator.registry import Registry
from coordinator.store import QueryRecord, Store, state_to_wire

DEFAULT_LISTED = 100
MOST_LISTED = 10_000
LISTING_BYTES = 3 * 1024 * 1024
"""A listing is cut here: a message may hold 4 MiB, and one query's SQL 1 MiB."""

EXPLANATION_BYTES = tls.MAX_MESSAGE_BYTES - 64 * 1024


class QueryService(query_pb2_grpc.QueryServiceServicer):
    """The service."""

    def __init__(
        self,
        manifest: Manifest,
        authority_key: Ed25519PublicKey,
        registry: Registry,
        deliveries: Deliveries,
        execution: Execution,
        store: Store,
        *,
        explain_text: Callable[[Plan], str],
        now: Callable[[], float],
    ) -> None:
        self._manifest = manifest
        self._authority_key = authority_key
        self._registry = registry
        self._deliveries = deliveries
        self._execution = execution
        self._store = store
        self._explain_text = explain_text
        self._now = now

    @answering
    async def Submit(self, request: query_pb2.SubmitRequest, context: Any) -> query_pb2.SubmitResponse:
        """Take a query."""
        asked = self._asked(request, self._researcher(context))
        query_id, state = await self._execution.submit(asked)
        return query_pb2.SubmitResponse(query_id=query_id, state=state_to_wire(state))

    @answering
    async def Explain(self, request: query_pb2.ExplainRequest, context: Any) -> query_pb2.ExplainResponse:
        """Plan a query and run nothing; or tell the plan of one that was run, with what was measured."""
        researcher = self._researcher(context)
        if request.query_id:
            return await asyncio.to_thread(self._explained, request.query_id, researcher)
        asked = self._asked(request, researcher)
        planned = await self._execution.explain(asked)
        return _explanation(self._explain_text(planned.plan), planned.json)

    @answering
    async def Watch(self, request: query_pb2.WatchRequest, context: Any) -> None:
        """Tell everything that happened and happens to a query."""
        researcher = self._researcher(context)
        run = self._execution.run(request.query_id, researcher)
        if run is not None:
            async with contextlib.aclosing(run.watch()) as events:
                async for event in events:
                    await context.write(query_pb2.WatchResponse(event=event))
            return
        await self._remembered(request.query_id, researcher)
        for event in await asyncio.to_thread(self._store.events, request.query_id):
            await context.write(query_pb2.WatchResponse(event=event))

    @answering
    async def Fetch(self, request: query_pb2.FetchRequest, context: Any) -> None:
        """Send a finished query's result. A slow reader holds up only its own stream."""
        query_id, researcher = request.query_id, self._researcher(context)
        run = self._execution.run(query_id, researcher)
        if run is not None:
            if not request.wait:
                _not_finished(query_id)
            await run.wait_ended()
            if run.at_hand is not None:
                frames = run.at_hand.frames
                await context.write(_header(query_id, run.at_hand.rows, run.at_hand.info, frames[0]))
                await _write(context, frames[1:])
                return
            _raise_unless_finished(run.told[-1])
        record, head, found = await asyncio.to_thread(self._store.result, query_id[:64], researcher)
        if record is None:
            _not_found(query_id)
        if record.state is not State.FINISHED:
            _ended_without_result(record)
        if head is None or head.expires_ms <= self._now() * 1000 or not found:
            _expired(query_id)
        first, rest = (found[0], found[1:]) if request.wait else (None, found)
        await context.write(_header(query_id, head.rows, head.info, first))
        await _write(context, rest)
        position = len(found)
        while position < head.chunks:
            found = await asyncio.to_thread(self._store.result_chunks, query_id, position)
            if not found:
                _expired(query_id)  # it was deleted under this very reading
            await _write(context, found)
            position += len(found)

    @answering
    async def Cancel(self, request: query_pb2.CancelRequest, context: Any) -> query_pb2.CancelResponse:
        """Cancel a query; one that has ended stays as it is."""
        researcher = self._researcher(context)
        state = self._execution.cancel(request.query_id, researcher)
        if state is None:
            state = (await self._remembered(request.query_id, researcher)).state
        return query_pb2.CancelResponse(state=state_to_wire(state))

    @answering
    async def ListTables(self, request: query_pb2.ListTablesRequest, context: Any) -> query_pb2.ListTablesResponse:
        """Tell which tables there are."""
        self._researcher(context)
        wanted = _like(request.like)
        answer = query_pb2.ListTablesResponse()
        for _, entry in sorted(self._registry.catalog.tables.items()):
            table = entry.table
            if not wanted.fullmatch(table.name):
                continue
            told = answer.tables.add(table=wire.table_to_wire(table), nodes=entry.nodes, withdrawn_at=entry.withdrawn)
            if entry.conflict is not None:
                told.conflict.CopyFrom(wire.error_to_wire(entry.conflict))
        return answer

    @answering
    async def ListNodes(self, request: query_pb2.ListNodesRequest, context: Any) -> query_pb2.ListNodesResponse:
        """Tell which nodes there are, and which are attached."""
        self._researcher(context)
        return query_pb2.ListNodesResponse(nodes=[self._node(entry.name) for entry in self._manifest.nodes])

    @answering
    async def ListQueries(self, request: query_pb2.ListQueriesRequest, context: Any) -> query_pb2.ListQueriesResponse:
        """Tell a researcher's own queries, newest first."""
        researcher = self._researcher(context)
        limit = min(request.limit or DEFAULT_LISTED, MOST_LISTED)
        answer = query_pb2.ListQueriesResponse()
        for record in await asyncio.to_thread(self._store.queries, researcher, limit, LISTING_BYTES):
            answer.queries.append(_summary(replace(record, state=self._execution.state_of(record))))
        return answer

    def _researcher(self, context: Any) -> str:
        """Return the name of the researcher who calls.

        Raises:
            ArchipelError: IDENTITY.
        """
        peer = tls.peer_identity(context)
        if peer.kind != "researcher" or peer.federation != self._manifest.federation:
            raise errors.error(errors.IDENTITY, "Only researchers of this federation may call this service.")
        return peer.name

    def _asked(self, message: query_pb2.SubmitRequest | query_pb2.ExplainRequest, researcher: str) -> Asked:
        """Return a request after checking permit, signature, and that they are those of the caller.

        Raises:
            ArchipelError: PERMIT_INVALID and the like, REQUEST_SIGNATURE, IDENTITY, BAD_REQUEST.
        """
        now = self._now()
        verified = permit.verify(message.permit, self._authority_key, federation=self._manifest.federation, now=now)
        asked, name = request.verify(message.request, verified.permit, now=now)
        if name != researcher:
            raise errors.error(
                errors.IDENTITY, "The request is signed by another researcher than the one whose certificate calls."
            )
        if "\0" in asked.sql:
            raise errors.error(errors.SQL_SYNTAX, "The SQL holds a NUL character.")
        return Asked(
            permit=verified.permit,
            permit_token=message.permit,
            request=asked,
            request_token=message.request,
            request_sha256=tokens.digest(message.request),
            researcher=researcher,
        )

    def _explained(self, query_id: str, researcher: str) -> query_pb2.ExplainResponse:
        record = self._store.query(query_id[:64], researcher)
        if record is None:
            _not_found(query_id)
        text, json = explained_query(record, self._execution.state_of(record), self._store.result_head(record.query_id))
        return _explanation(text, json)

    async def _remembered(self, query_id: str, researcher: str) -> QueryRecord:
        record = await asyncio.to_thread(self._store.query, query_id[:64], researcher)
        return record if record is not None else _not_found(query_id)

    def _node(self, name: str) -> query_pb2.NodeStatus:
        entry = self._manifest.node(name)
        assert entry is not None
        status = query_pb2.NodeStatus(
            node=name,
            holder=entry.holder,
            jurisdiction=entry.jurisdiction,
            qualifications=entry.qualifications,
            last_seen_unix_ms=self._registry.last_seen_ms(name),
        )
        registration = self._registry.registration(name)
        if registration is not None:
            profile = registration.profile
            status.software_version = registration.software_version
            status.engine = f"{profile.engine} {profile.version}".strip()
            status.tables = len(registration.tables)
            status.withdrawn_tables.extend(table.name for table in registration.withdrawn)
        session = self._registry.open_session(name)
        if session is not None:
            status.attached = not session.draining
            # The node's own word is up to a heartbeat old: a task that was sent since then counts too.
            status.running_tasks = max(session.running_tasks, self._deliveries.out_at(name))
            status.clock_offset_ms = session.clock_offset_ms
        return status


def _header(query_id: str, rows: int, info: bytes, first: bytes | None) -> query_pb2.FetchResponse:
    header = query_pb2.ResultHeader(query_id=query_id, rows=rows, info=query_pb2.ResultInfo.FromString(info))
    if first is not None:
        header.first.data = first
    return query_pb2.FetchResponse(header=header)


async def _write(context: Any, frames: Sequence[bytes]) -> None:
    for data in frames:
        await context.write(query_pb2.FetchResponse(frame=common_pb2.ArrowFrame(data=data)))


def _explanation(text: str, json: str) -> query_pb2.ExplainResponse:
    """Return a plan as a message; without the text, which the client can make of the JSON, where both would not fit.

    Raises:
        ArchipelError: SQL_TOO_LARGE.
    """
    if len(json) > EXPLANATION_BYTES:  # as it comes from json.dumps, it is ASCII
        raise errors.error(
            errors.SQL_TOO_LARGE,
            "The plan of the query is too large to be shown.",
            hint="Shorten lists of values; the query itself can be run.",
        )
    whole = len(json) + len(text.encode()) <= EXPLANATION_BYTES
    return query_pb2.ExplainResponse(text=text if whole else "", json=json)


def _summary(record: QueryRecord) -> query_pb2.QuerySummary:
    summary = query_pb2.QuerySummary(
        query_id=record.query_id,
        state=state_to_wire(record.state),
        project=record.project,
        researcher=record.researcher,
        sql=record.sql,
        created_unix_ms=record.created_ms,
        ended_unix_ms=record.ended_ms,
    )
    if record.error is not None:
        summary.error.CopyFrom(wire.error_to_wire(record.error))
    return summary


def _like(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern with % and _; an empty one means all."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern) or ".*", re.IGNORECASE | re.DOTALL)


def _not_found(query_id: str) -> NoReturn:
    raise errors.error(errors.QUERY_NOT_FOUND, "There is no such query of yours.", query_id=query_id[:64])


def _not_finished(query_id: str) -> NoReturn:
    text = "The query has not ended: there is no result yet."
    raise errors.error(errors.QUERY_NOT_FINISHED, text, query_id=query_id)


def _ended_without_result(record: QueryRecord) -> NoReturn:
    if not record.state.ended:
        _not_finished(record.query_id)
    if record.error is not None:
        raise errors.raised(record.error)
    raise errors.error(errors.INTERNAL, "The query ended without a result.", query_id=record.query_id)


def _raise_unless_finished(last: query_pb2.QueryEvent) -> None:
    if last.HasField("error"):
        raise wire.error_from_wire(last.error)


def _expired(query_id: str) -> NoReturn:
    raise errors.error(errors.RESULT_EXPIRED, "The result is no longer kept.", query_id=query_id)
