"""All queries under way: takes them in, gives them their turn, and brings what happens at nodes to the right one.

Lives on the event loop's thread. What a query does is in ``query_run``; what it should do in ``lifecycle``.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from archipel import errors, tls
from coordinator import events
from coordinator.admission import Admission
from coordinator.asked import Asked, RequestKey, Shared
from coordinator.events import State
from coordinator.planning import Planned
from coordinator.query_run import QueryRun
from coordinator.seen import SeenRequests
from coordinator.store import QueryRecord

log = logging.getLogger(__name__)

MAX_TASK_BYTES = tls.MAX_MESSAGE_BYTES - 256 * 1024
"""Of a task's SQL and tokens; the rest of a message is for what goes with them."""


class Execution:
    """The queries of this coordinator's life."""

    def __init__(self, shared: Shared, *, make_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._shared = shared
        self._make_id = make_id
        self._admission = Admission(shared.limits.max_concurrent_queries, shared.limits.max_queued_queries)
        self._runs: dict[str, QueryRun] = {}
        self._requests: dict[RequestKey, asyncio.Task[QueryRun | QueryRecord]] = {}
        self._seen = SeenRequests(shared.now())
        self._closing = False
        shared.registry.on_lost = self._node_lost

    async def submit(self, asked: Asked) -> tuple[str, State]:
        """Plan and take a query; the same request again gives the same query. Returns when it is on disk.

        Raises:
            ArchipelError: what is wrong with the request, TOO_MANY_QUERIES, COORDINATOR_UNAVAILABLE.
        """
        key = _key_of(asked)
        taking = self._requests.get(key)
        if taking is None:
            run = self._taken_at_once(asked)
            taking = asyncio.create_task(self._take(asked) if run is None else self._when_stored(run))
            self._requests[key] = taking
            taking.add_done_callback(lambda done: self._taken(key, done))
        taken = await asyncio.shield(taking)  # a client that goes away takes nobody else's query with it
        if taken.request_sha256 != asked.request_sha256:
            raise errors.error(errors.BAD_REQUEST, "Another request was sent with the same request_id.")
        return taken.query_id, taken.state

    async def explain(self, asked: Asked) -> Planned:
        """Plan a query and run nothing.

        Raises:
            ArchipelError: what is wrong with the request.
        """
        return await self._shared.planning.plan(asked.request, asked.permit)

    def cancel(self, query_id: str, researcher: str) -> State | None:
        """Cancel a query of this life; None when it is not under way, or somebody else's."""
        run = self.run(query_id, researcher)
        if run is None:
            return None
        run.handle(events.CancelAsked())
        return run.state

    def run(self, query_id: str, researcher: str) -> QueryRun | None:
        """Return a researcher's own query if it is under way."""
        run = self._runs.get(query_id)
        return run if run is not None and run.researcher == researcher else None

    def state_of(self, record: QueryRecord) -> State:
        """Return where a remembered query stands: what is under way is ahead of the store."""
        run = self._runs.get(record.query_id)
        return run.state if run is not None else record.state

    def take_no_more(self) -> None:
        """Refuse every new query from now on."""
        self._closing = True

    async def close(self, drain_s: float) -> None:
        """Take no more queries, give those that run ``drain_s``, then end them as interrupted."""
        self.take_no_more()
        if self._runs:
            log.info("waiting for %d queries to end", len(self._runs))
            await asyncio.wait([asyncio.create_task(run.wait_ended()) for run in self._runs.values()], timeout=drain_s)
        late = list(self._runs.values())
        for run in late:
            run.handle(events.Interrupted())
        await asyncio.gather(*(run.wait_ended() for run in late))

    async def _take(self, asked: Asked) -> QueryRun | QueryRecord:
        permit, request = asked.permit, asked.request
        key = _key_of(asked)
        if self._seen.may_be_stored(key, request.issued) and (known := await self._find(key)) is not None:
            return known
        self._refuse_if_closing()
        if self._admission.full:
            self._admission.take("")  # raises, before any work is done
        planned = await self._shared.planning.plan(request, permit)
        _refuse_if_too_long(asked, planned)
        self._refuse_if_closing()
        return await self._when_stored(self._begin(asked, planned))

    def _taken_at_once(self, asked: Asked) -> QueryRun | None:
        """Begin a query for which nothing must be waited for; None for another one.

        Raises:
            ArchipelError: SQL_TOO_LARGE.
        """
        may_be_stored = self._seen.may_be_stored(_key_of(asked), asked.request.issued)
        if may_be_stored or self._closing or self._admission.full:
            return None
        planned = self._shared.planning.remembered(asked.request, asked.permit)
        if planned is None:
            return None
        _refuse_if_too_long(asked, planned)
        return self._begin(asked, planned)

    def _begin(self, asked: Asked, planned: Planned) -> QueryRun:
        query_id = self._make_id()
        self._admission, turn = self._admission.take(query_id)
        run = QueryRun(self._shared, query_id, asked, planned, self._ended)
        self._runs[query_id] = run
        self._seen.add(run.request_key, self._shared.now())
        self._start(turn)
        return run

    async def _when_stored(self, run: QueryRun) -> QueryRun | QueryRecord:
        try:
            await asyncio.wrap_future(run.stored)
        except Exception as cause:  # noqa: BLE001 - whatever the database raises
            run.handle(events.Broken())  # nobody could ever ask for it
            if (known := await self._find(run.request_key)) is not None:
                return known  # clocks went back: it was taken in an earlier life
            log.error("query %s could not be stored: %s", run.query_id, type(cause).__name__)
            raise errors.error(errors.INTERNAL, "The coordinator could not store the query.") from None
        return run

    async def _find(self, key: RequestKey) -> QueryRecord | None:
        return await asyncio.to_thread(self._shared.store.find_request, *key)

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise errors.error(errors.COORDINATOR_UNAVAILABLE, "The coordinator is ending and takes no more queries.")

    def _taken(self, key: RequestKey, taking: asyncio.Task[QueryRun | QueryRecord]) -> None:
        failed = taking.cancelled() or taking.exception() is not None
        if failed or isinstance(taking.result(), QueryRecord) or taking.result().query_id not in self._runs:
            self._requests.pop(key, None)  # from now on the store knows

    def _ended(self, run: QueryRun) -> None:
        self._runs.pop(run.query_id, None)
        self._requests.pop(run.request_key, None)
        self._admission, turn = self._admission.release(run.query_id)
        self._start(turn)

    def _start(self, turn: tuple[str, ...]) -> None:
        for query_id in turn:
            self._runs[query_id].start()

    def _node_lost(self, node: str) -> None:
        for run in list(self._runs.values()):
            run.handle(events.NodeLost(node))


def _key_of(asked: Asked) -> RequestKey:
    return asked.permit.permit_id, asked.researcher, asked.request.request_id


def _refuse_if_too_long(asked: Asked, planned: Planned) -> None:
    """Refuse a query whose tasks would not fit into a message: it would end the stream of every node that got one."""
    longest = max((len(stage.sql.encode()) for stage in planned.plan.stages), default=0)
    if longest + len(asked.permit_token) + len(asked.request_token) > MAX_TASK_BYTES:
        raise errors.error(
            errors.SQL_TOO_LARGE,
            "A stage of the query is too long to be sent to a node.",
            hint="Shorten lists of values, or ask in several queries.",
        )
