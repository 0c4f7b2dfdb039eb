"""The connection to a coordinator: mutual TLS, signed requests, a deadline on every call."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

import grpc
from pydantic import ValidationError

from archipel import errors, explain, identity, permit, request, telemetry, tls, wire
from archipel.client.explained import Analyzed, Explained
from archipel.client.explanation import Explanation
from archipel.client.model import NodeInfo, QuerySummary, TableInfo, state_name
from archipel.client.parameters import Parameters, checked_parameters, interface_error
from archipel.client.query import Query
from archipel.client.result import Result
from archipel.explain.statement import ExplainStatement, PlanForm, explain_statement
from archipel.v1 import query_pb2, query_pb2_grpc

CALL_TIMEOUT_S = 30.0
PLAN_TIMEOUT_S = 60.0
WATCH_GRACE_S = 30.0
ATTEMPTS = 4
FIRST_BACKOFF_S = 0.2
DAY_S = 24 * 3600.0
STEADY_S = 10.0
"""A call that waited for longer before it broke off was no failure to connect: attempts are counted anew."""

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
"""A JWS in compact serialisation: its header is a JSON object, in base64url."""
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}")

T = TypeVar("T")


def connect(address: str, *, permit: str | Path, key: str | Path) -> Connection:
    """Return a connection to the coordinator at ``address`` ("host:port").

    ``permit`` is the permit file (or its token), ``key`` the researcher's identity file. Nothing is sent yet.

    Raises:
        InterfaceError: ``address`` is not "host:port".
        ArchipelError: CONFIG_INVALID or PERMIT_INVALID when a file cannot be read or is not what it should be.
    """
    if not _ADDRESS.fullmatch(address):
        raise interface_error(f"'{address}' is no address.", "Write it as host:port, such as coordinator.example:8443.")
    return Connection(address, permit_token=_permit_token(permit), who=identity.ResearcherIdentity.load(Path(key)))


def _permit_token(given: str | Path) -> str:
    text = str(given)
    if _TOKEN.fullmatch(text):
        return text
    try:
        return Path(given).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise errors.error(
            errors.CONFIG_INVALID, f"The permit file {given} cannot be read.", hint="Check the path."
        ) from cause


class Connection:
    """A connection; a context manager. Safe to use from several threads."""

    def __init__(self, address: str, *, permit_token: str, who: identity.ResearcherIdentity) -> None:
        self._permit = permit_token
        self._permit_id = str(permit.read_unverified(permit_token).get("permit_id", ""))
        self._who = who
        credentials = tls.channel_credentials_from_pem(who.certificate_pem, who.tls_key_pem, who.authority_pem)
        channel = grpc.secure_channel(address, credentials, options=tls.CHANNEL_OPTIONS)
        self._channel = telemetry.intercept_channel(channel)
        self._stub = query_pb2_grpc.QueryServiceStub(self._channel)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; queries go on and can be found again by their identifier."""
        self._channel.close()

    @overload
    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        dialect: str = ...,
        on_missing: Literal["fail", "partial"] = ...,
        threshold_scope: Literal["node", "federation"] = ...,
        privacy: request.Privacy | float | None = ...,
        timeout_s: float = ...,
        max_rows: int | None = ...,
        dry_run: Literal[False] = ...,
        progress: bool | None = ...,
    ) -> Query: ...

    @overload
    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        dialect: str = ...,
        on_missing: Literal["fail", "partial"] = ...,
        threshold_scope: Literal["node", "federation"] = ...,
        privacy: request.Privacy | float | None = ...,
        timeout_s: float = ...,
        max_rows: int | None = ...,
        dry_run: Literal[True],
        progress: bool | None = ...,
    ) -> Explanation: ...

    def query(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        dialect: str = "duckdb",
        on_missing: Literal["fail", "partial"] = "fail",
        threshold_scope: Literal["node", "federation"] = "node",
        privacy: request.Privacy | float | None = None,
        timeout_s: float = 300.0,
        max_rows: int | None = None,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> Query | Explanation:
        """Submit a query and return its handle; with ``dry_run`` return its plan and run nothing.

        ``params`` are values for ``?`` (a list) or ``$name`` (a mapping). With ``on_missing="partial"`` nodes that
        cannot be reached are left out, and the result says so. With ``threshold_scope="federation"`` the thresholds
        of protected tables count the persons of all nodes together, where policies let them. With ``privacy``, an
        epsilon or more than that, the answer is differentially private, where policies offer it. ``EXPLAIN`` or
        ``EXPLAIN ANALYZE`` before the SQL makes the plan the result.

        Raises:
            ArchipelError: the SQL is wrong, or permit or policy forbid it; nothing was run.
        """
        asked = explain_statement(sql)
        wanted = asked or ExplainStatement(sql)
        signed = self._sign(wanted.sql, params, dialect, on_missing, threshold_scope, privacy, timeout_s, max_rows)
        if dry_run:
            return self._explain(signed, wanted.form)
        if asked is not None and not asked.analyze:
            return Explained(self, self._explain(signed, asked.form), sql=sql)
        with telemetry.span("archipel.query"):
            answer = self._call(
                lambda timeout: self._stub.Submit(
                    query_pb2.SubmitRequest(permit=self._permit, request=signed), timeout=timeout
                ),
                PLAN_TIMEOUT_S,
            )
        if asked is not None:
            return Analyzed(self, answer.query_id, sql=sql, progress=progress, form=asked.form)
        return Query(self, answer.query_id, sql=sql, progress=progress, papers=(signed, self._permit))

    sql = query

    def query_and_wait(self, sql: str, params: Parameters | None = None, **options: Any) -> Result:
        """Submit a query, wait for its end and return the result. Options as of ``query``."""
        query: Query = self.query(sql, params, **options)
        return query.result()

    def explain(
        self,
        sql: str,
        params: Parameters | None = None,
        *,
        analyze: bool = False,
        format: PlanForm | None = None,
        dialect: str = "duckdb",
        on_missing: Literal["fail", "partial"] = "fail",
        threshold_scope: Literal["node", "federation"] = "node",
        privacy: request.Privacy | float | None = None,
        timeout_s: float = 300.0,
        progress: bool | None = None,
    ) -> Explanation:
        """Return the plan: stages, sites, the SQL of each, and what crosses which border by which rule.

        With ``analyze`` the query is run first, and the plan says beside each estimate what was measured. ``format`` is
        what ``str`` makes of it: "text", "json" or "svg". ``EXPLAIN`` may stand before the SQL too.

        Raises:
            ArchipelError: the SQL is wrong, or permit or policy forbid it; with ``analyze`` also what ended the query.
        """
        asked = explain_statement(sql) or ExplainStatement(sql)
        form = format or asked.form
        if not analyze and not asked.analyze:
            signed = self._sign(asked.sql, params, dialect, on_missing, threshold_scope, privacy, timeout_s, None)
            return self._explain(signed, form)
        query = self.query(
            asked.sql,
            params,
            dialect=dialect,
            on_missing=on_missing,
            threshold_scope=threshold_scope,
            privacy=privacy,
            timeout_s=timeout_s,
            progress=progress,
        )
        query.wait()
        return self.explain_query(query.query_id, format=form)

    def explain_query(self, query_id: str, *, format: PlanForm = "text") -> Explanation:
        """Return the plan of a query of yours as it ran; once it has finished, with what was measured.

        Raises:
            ArchipelError: QUERY_NOT_FOUND.
        """
        answer = self._call(
            lambda timeout: self._stub.Explain(query_pb2.ExplainRequest(query_id=query_id), timeout=timeout)
        )
        return _explanation(answer, format, query_id)

    def tables(self, like: str | None = None) -> list[TableInfo]:
        """Return the tables of the federation; ``like`` is a pattern with % and _."""
        answer = self._call(
            lambda timeout: self._stub.ListTables(query_pb2.ListTablesRequest(like=like or ""), timeout=timeout)
        )
        return [TableInfo.from_wire(table) for table in answer.tables]

    def table(self, name: str) -> TableInfo:
        """Return one table.

        Raises:
            ArchipelError: SQL_UNKNOWN_TABLE with the nearest name.
        """
        import difflib

        tables = {table.name.lower(): table for table in self.tables()}
        if name.lower() in tables:
            return tables[name.lower()]
        near = difflib.get_close_matches(name.lower(), tables, n=1)
        hint = f"Did you mean '{tables[near[0]].name}'?" if near else "tables() lists all."
        raise errors.error(errors.SQL_UNKNOWN_TABLE, f"There is no table '{name}'.", hint=hint)

    def nodes(self) -> list[NodeInfo]:
        """Return the nodes of the federation and whether they are attached."""
        answer = self._call(lambda timeout: self._stub.ListNodes(query_pb2.ListNodesRequest(), timeout=timeout))
        return [NodeInfo.from_wire(node) for node in answer.nodes]

    def queries(self, limit: int = 100) -> list[QuerySummary]:
        """Return your own queries, newest first."""
        answer = self._call(
            lambda timeout: self._stub.ListQueries(query_pb2.ListQueriesRequest(limit=limit), timeout=timeout)
        )
        return [QuerySummary.from_wire(query) for query in answer.queries]

    def get_query(self, query_id: str) -> Query:
        """Return the handle of a query by its identifier, also one of an earlier session."""
        return Query(self, query_id)

    def summary(self, query_id: str) -> QuerySummary:
        """Return where a query stands.

        Raises:
            ArchipelError: QUERY_NOT_FOUND.
        """
        found = next((q for q in self.queries(limit=10_000) if q.query_id == query_id), None)
        if found is None:
            raise errors.error(errors.QUERY_NOT_FOUND, f"There is no query '{query_id}' of yours.")
        return found

    def cancel(self, query_id: str) -> str:
        """Cancel a query; return the state it is in then."""
        answer = self._call(
            lambda timeout: self._stub.Cancel(query_pb2.CancelRequest(query_id=query_id), timeout=timeout)
        )
        return state_name(answer.state)

    def watch(self, query_id: str, *, timeout_s: float | None = None) -> Iterator[query_pb2.QueryEvent]:
        """Yield a query's events until it ends; a stream that is lost is taken up again where it broke off."""
        deadline = time.monotonic() + (DAY_S if timeout_s is None else timeout_s)
        seen, failures = 0, 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise errors.error(errors.TIMEOUT, "The query has not ended in time.", query_id=query_id)
            try:
                for answer in self._stub.Watch(query_pb2.WatchRequest(query_id=query_id), timeout=left):
                    failures = 0
                    if answer.event.sequence > seen:
                        seen = answer.event.sequence
                        yield answer.event
                return
            except grpc.RpcError as cause:
                failures += 1
                if cause.code() is not grpc.StatusCode.UNAVAILABLE or failures >= ATTEMPTS:
                    raise wire.from_rpc_error(cause) from cause
                time.sleep(FIRST_BACKOFF_S * 2**failures)

    def fetch(self, query_id: str, *, wait: bool = False) -> tuple[query_pb2.ResultHeader, Iterator[bytes]]:
        """Return the header of a query's result and the frames of its rows, as they arrive.

        With ``wait`` the call waits for the end of a query that has not ended; while it waits, a lost connection is
        taken up again.
        """
        failures = 0
        while True:
            begun = time.monotonic()
            stream: Any = self._stub.Fetch(query_pb2.FetchRequest(query_id=query_id, wait=wait), timeout=DAY_S)
            try:
                first = next(stream)
                break
            except grpc.RpcError as cause:
                failures = 1 if time.monotonic() - begun > STEADY_S else failures + 1
                if not wait or cause.code() is not grpc.StatusCode.UNAVAILABLE or failures >= ATTEMPTS:
                    raise wire.from_rpc_error(cause) from cause
                time.sleep(FIRST_BACKOFF_S * 2**failures)
            except KeyboardInterrupt:
                stream.cancel()
                raise
        header: query_pb2.ResultHeader = first.header

        def frames() -> Iterator[bytes]:
            try:
                if header.HasField("first"):
                    yield header.first.data
                for part in stream:
                    yield part.frame.data
            except grpc.RpcError as cause:
                raise wire.from_rpc_error(cause) from cause
            finally:
                stream.cancel()

        return header, frames()

    def _explain(self, signed: str, form: PlanForm) -> Explanation:
        answer = self._call(
            lambda timeout: self._stub.Explain(
                query_pb2.ExplainRequest(permit=self._permit, request=signed), timeout=timeout
            ),
            PLAN_TIMEOUT_S,
        )
        return _explanation(answer, form)

    def _sign(
        self,
        sql: str,
        params: Parameters | None,
        dialect: str,
        on_missing: Literal["fail", "partial"],
        threshold_scope: Literal["node", "federation"],
        privacy: request.Privacy | float | None,
        timeout_s: float,
        max_rows: int | None,
    ) -> str:
        try:
            payload = request.Request(
                request_id=str(uuid.uuid4()),
                permit_id=self._permit_id,
                sql=sql,
                dialect=dialect,
                parameters=checked_parameters(params),
                on_missing=on_missing,
                threshold_scope=threshold_scope,
                privacy=request.Privacy(epsilon=privacy) if isinstance(privacy, int | float) else privacy,
                timeout_s=timeout_s,
                max_rows=max_rows,
                issued=int(time.time()),
            )
        except ValidationError as cause:
            first = cause.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "privacy"
            raise interface_error(f"'{name}' is not what it may be: {first['msg']}.") from None
        try:
            return request.sign(payload, self._who.signing_key)
        except UnicodeEncodeError:
            raise interface_error("The SQL or a parameter is no proper Unicode text.") from None

    def _call(self, call: Callable[[float], T], timeout_s: float = CALL_TIMEOUT_S) -> T:
        """Make an idempotent call; only UNAVAILABLE is tried again (a Submit counts once by its request_id)."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return call(timeout_s)
            except grpc.RpcError as cause:
                if cause.code() is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS:
                    raise wire.from_rpc_error(cause) from cause
                time.sleep(FIRST_BACKOFF_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")


def _explanation(answer: query_pb2.ExplainResponse, form: PlanForm, query_id: str = "") -> Explanation:
    """Return a plan; its text is made here where a long one did not fit into the message."""
    text = answer.text or explain.plan_text(explain.read(answer.json))
    return Explanation(text, answer.json, query_id, form)
