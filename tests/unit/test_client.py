"""The client against a scripted coordinator: real gRPC, real mutual TLS, answers made up here."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status
from typer.testing import CliRunner

import archipel
from archipel import errors, federation, frames, identity, permit, receipt_check, request, tls, wire
from archipel.cli.app import build
from archipel.client import Notice, Result
from archipel.client import connection as connection_module
from archipel.client.model import NodeOutcome
from archipel.client.parameters import checked_parameters
from archipel.client.progress import shown
from archipel.client.result import printable, text_table
from archipel.v1 import common_pb2, query_pb2, query_pb2_grpc

NAMES = ("alice", "hospital_a")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of a development federation."""
    out = tmp_path_factory.mktemp("keys") / "federation"
    federation.init(
        out,
        federation="dev",
        nodes=[federation.NodeSpec("hospital_a", "CHU A")],
        researcher="alice",
        project="p",
        purpose="test",
        tables={"stays": ["*"]},
    )
    return out


def refusal(code: grpc.StatusCode, info: errors.ErrorInfo | None = None) -> grpc.Status:
    """Return a gRPC status that carries an error as the coordinator sends it."""
    details = []
    if info is not None:
        packed = any_pb2.Any()
        packed.Pack(wire.error_to_wire(info))
        details = [packed]
    return rpc_status.to_status(status_pb2.Status(code=code.value[0], message="x", details=details))


class Script(query_pb2_grpc.QueryServiceServicer):
    """A coordinator that answers what a test tells it to."""

    def __init__(self, who: permit.Permit) -> None:
        self.permit = who
        self.requests: list[request.Request] = []
        self.explained: list[request.Request] = []
        self.unavailable = 0
        self.refuse: errors.ErrorInfo | None = None
        self.cut_watch_after: list[int] = []
        self.events = [query_pb2.QueryEvent(sequence=1, state=query_pb2.QUERY_STATE_QUEUED, kind="queued")]
        self.table = pa.table({"n": [1]})
        self.info = query_pb2.ResultInfo(complete=True)
        self.cancelled: list[str] = []
        self.fetched: list[bool] = []
        self.cut_waits = 0
        self.before_waiting = False

    def _maybe_fail(self, context: grpc.ServicerContext) -> None:
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if self.refuse is not None:
            context.abort_with_status(refusal(self.refuse.code.status, self.refuse))

    def Submit(self, message: query_pb2.SubmitRequest, context: grpc.ServicerContext) -> query_pb2.SubmitResponse:
        asked, name = request.verify(message.request, self.permit, now=time.time())
        assert name == "alice"
        self.requests.append(asked)
        self._maybe_fail(context)
        return query_pb2.SubmitResponse(query_id="q1")

    def Explain(self, message: query_pb2.ExplainRequest, context: grpc.ServicerContext) -> query_pb2.ExplainResponse:
        self._maybe_fail(context)
        if message.query_id:
            return query_pb2.ExplainResponse(
                text=f"what {message.query_id} took\nat every node", json='{"measured": []}'
            )
        asked, _ = request.verify(message.request, self.permit, now=time.time())
        self.explained.append(asked)
        return query_pb2.ExplainResponse(text="the plan", json="{}")

    def Watch(
        self, message: query_pb2.WatchRequest, context: grpc.ServicerContext
    ) -> Iterator[query_pb2.WatchResponse]:
        cut = self.cut_watch_after.pop(0) if self.cut_watch_after else None
        for number, event in enumerate(self.events):
            if number == cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield query_pb2.WatchResponse(event=event)

    def Fetch(
        self, message: query_pb2.FetchRequest, context: grpc.ServicerContext
    ) -> Iterator[query_pb2.FetchResponse]:
        self.fetched.append(message.wait)
        if message.wait and self.before_waiting:
            info = errors.ErrorInfo(errors.QUERY_NOT_FINISHED, "There is no result yet.")
            context.abort_with_status(refusal(info.code.status, info))
        if message.wait and self.cut_waits:
            self.cut_waits -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        last = self.events[-1]
        if last.state in (query_pb2.QUERY_STATE_FAILED, query_pb2.QUERY_STATE_CANCELLED):
            info = wire.error_from_wire(last.error).info
            context.abort_with_status(refusal(info.code.status, info))
        header = query_pb2.ResultHeader(query_id=message.query_id, rows=self.table.num_rows, info=self.info)
        parts = list(frames.encode_table(self.table))
        if message.wait:
            header.first.data = parts.pop(0)
        yield query_pb2.FetchResponse(header=header)
        for frame in parts:
            yield query_pb2.FetchResponse(frame=common_pb2.ArrowFrame(data=frame))

    def Cancel(self, message: query_pb2.CancelRequest, context: grpc.ServicerContext) -> query_pb2.CancelResponse:
        self.cancelled.append(message.query_id)
        return query_pb2.CancelResponse(state=query_pb2.QUERY_STATE_CANCELLED)

    def ListTables(
        self, message: query_pb2.ListTablesRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListTablesResponse:
        self._maybe_fail(context)
        table = common_pb2.Table(name="stays", distribution=common_pb2.DISTRIBUTION_SHARDED)
        return query_pb2.ListTablesResponse(tables=[query_pb2.CatalogTable(table=table, nodes=["hospital_a"])])

    def ListQueries(
        self, message: query_pb2.ListQueriesRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListQueriesResponse:
        summary = query_pb2.QuerySummary(query_id="q1", state=query_pb2.QUERY_STATE_RUNNING, sql="SELECT 1 AS n")
        return query_pb2.ListQueriesResponse(queries=[summary])


@pytest.fixture
def script(keys: Path) -> Iterator[tuple[Script, str]]:
    """A running scripted coordinator and its address."""
    token = (keys / "researchers" / "alice" / "permit.jwt").read_text().strip()
    servicer = Script(permit.Permit.model_validate(permit.read_unverified(token)))
    server = grpc.server(futures.ThreadPoolExecutor(4), options=tls.SERVER_OPTIONS)
    query_pb2_grpc.add_QueryServiceServicer_to_server(servicer, server)
    folder = keys / "coordinator"
    files = tls.TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
    port = server.add_secure_port("localhost:0", tls.server_credentials(files))
    server.start()
    yield servicer, f"localhost:{port}"
    server.stop(0).wait()


@pytest.fixture
def connected(
    script: tuple[Script, str], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Script, archipel.Connection]]:
    """The scripted coordinator and a connection to it that waits little between attempts."""
    monkeypatch.setattr(connection_module, "FIRST_BACKOFF_S", 0.001)
    servicer, address = script
    folder = keys / "researchers" / "alice"
    with archipel.connect(address, permit=folder / "permit.jwt", key=folder / "alice.pem") as connection:
        yield servicer, connection


def ended(state: int, problem: errors.ErrorInfo | None = None) -> list[query_pb2.QueryEvent]:
    """Return the events of a query that ended so."""
    events = [
        query_pb2.QueryEvent(sequence=1, state=query_pb2.QUERY_STATE_QUEUED, kind="queued"),
        query_pb2.QueryEvent(sequence=2, state=query_pb2.QUERY_STATE_RUNNING, kind="delivered", node="hospital_a"),
        query_pb2.QueryEvent(sequence=3, state=state, kind="ended"),  # type: ignore[arg-type]
    ]
    if problem is not None:
        events[-1].error.CopyFrom(wire.error_to_wire(problem))
    return events


def test_a_query_is_signed_submitted_watched_and_fetched(connected: tuple[Script, archipel.Connection]) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    servicer.table = pa.table({"region": ["Bretagne"], "n": [12]})
    servicer.info = query_pb2.ResultInfo(
        complete=False,
        notices=[query_pb2.Notice(kind="suppression", text="1 group was withheld at hospital_a.", node="hospital_a")],
        nodes=[
            query_pb2.NodeOutcome(
                node="hospital_a",
                holder="CHU A",
                outcome="released",
                bytes_crossed=99,
                withheld=common_pb2.Withheld(threshold_applied=True, min_persons=11, groups=1),
            )
        ],
        receipts=[common_pb2.Receipt(token="a.b.c")],
        merged_by="in-process",
    )
    query = connection.query("SELECT $r AS region, 12 AS n", {"r": "Bretagne"}, max_rows=5, on_missing="partial")
    result = query.result()
    (asked,) = servicer.requests
    assert (asked.sql, asked.parameters, asked.max_rows, asked.on_missing) == (
        "SELECT $r AS region, 12 AS n",
        {"r": "Bretagne"},
        5,
        "partial",
    )
    assert result.to_arrow().to_pylist() == [{"region": "Bretagne", "n": 12}]
    assert (len(result), result.complete, result.bytes_crossed, result.receipts) == (1, False, 99, ("a.b.c",))
    assert result.warnings == ("1 group was withheld at hospital_a.",)
    assert result.nodes[0] == NodeOutcome("hospital_a", "CHU A", "released", 99, 0.0, True, 11, 1)
    assert query.result() is result
    assert [batch.num_rows for batch in query.to_batches()] == [1]


def test_an_away_coordinator_is_tried_again_and_a_submission_keeps_its_identifier(
    connected: tuple[Script, archipel.Connection],
) -> None:
    servicer, connection = connected
    servicer.unavailable = 2
    assert connection.query("SELECT 1 AS n").query_id == "q1"
    assert len(servicer.requests) == 3
    assert len({asked.request_id for asked in servicer.requests}) == 1


def test_after_some_attempts_the_client_gives_up(connected: tuple[Script, archipel.Connection]) -> None:
    servicer, connection = connected
    servicer.unavailable = 99
    with pytest.raises(errors.OperationalError) as problem:
        connection.tables()
    assert problem.value.code == "COORDINATOR_UNAVAILABLE"
    assert servicer.unavailable == 99 - connection_module.ATTEMPTS


def test_a_refusal_arrives_whole_and_is_not_tried_again(connected: tuple[Script, archipel.Connection]) -> None:
    servicer, connection = connected
    servicer.refuse = errors.ErrorInfo(
        errors.SQL_UNKNOWN_TABLE, "There is no table 'stay'.", "Did you mean 'stays'?", errors.Position(1, 15)
    )
    with pytest.raises(errors.ProgrammingError) as problem:
        connection.query("SELECT 1 FROM stay")
    assert problem.value.info == servicer.refuse
    assert len(servicer.requests) == 1
    with pytest.raises(errors.ProgrammingError):
        connection.query("SELECT 1 FROM stay", dry_run=True)


def test_a_watch_that_is_cut_off_is_taken_up_again_without_repeating_events(
    connected: tuple[Script, archipel.Connection],
) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    servicer.cut_watch_after = [1, 2]
    assert [event.sequence for event in connection.get_query("q1").watch()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("state", "info", "code"),
    [
        (
            query_pb2.QUERY_STATE_FAILED,
            errors.ErrorInfo(errors.NODE_UNAVAILABLE, "The node is away.", node="hospital_a"),
            "NODE_UNAVAILABLE",
        ),
        (query_pb2.QUERY_STATE_CANCELLED, None, "CANCELLED"),
        (query_pb2.QUERY_STATE_FAILED, None, "INTERNAL"),
    ],
)
def test_what_ended_a_query_is_raised(
    connected: tuple[Script, archipel.Connection], state: int, info: errors.ErrorInfo | None, code: str
) -> None:
    servicer, connection = connected
    servicer.events = ended(state, info)
    waits = [lambda query: query.result(timeout_s=20), lambda query: query.wait()]
    for wait in waits if info is None else [*waits, lambda query: query.result(), lambda query: [*query.to_batches()]]:
        with pytest.raises(errors.DatabaseError) as problem:
            wait(connection.query("SELECT 1 AS n"))
        assert problem.value.code == code


def test_a_result_that_nobody_watches_takes_one_call_which_is_taken_up_again_when_it_is_cut_off(
    connected: tuple[Script, archipel.Connection],
) -> None:
    servicer, connection = connected
    servicer.table = pa.table({"n": range(100_000)})
    servicer.cut_waits = 1
    assert connection.get_query("q1").result().to_arrow().equals(servicer.table)
    assert servicer.fetched == [True, True]
    assert pa.Table.from_batches(connection.get_query("q1").to_batches()).equals(servicer.table)
    servicer.cut_waits = 99
    with pytest.raises(errors.OperationalError) as problem:
        connection.get_query("q1").result()
    assert problem.value.code == "COORDINATOR_UNAVAILABLE"
    assert servicer.cut_waits == 99 - connection_module.ATTEMPTS


def test_a_coordinator_that_does_not_wait_in_fetch_is_watched(connected: tuple[Script, archipel.Connection]) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    servicer.before_waiting = True
    assert connection.query_and_wait("SELECT 1 AS n").to_arrow().equals(servicer.table)
    assert servicer.fetched == [True, False]


def test_ctrl_c_while_waiting_cancels_the_query(
    connected: tuple[Script, archipel.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, connection = connected
    query = connection.query("SELECT 1 AS n")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "watch", interrupted)
    monkeypatch.setattr(connection, "fetch", interrupted)
    for timeout_s in (None, 20.0):
        with pytest.raises(KeyboardInterrupt):
            query.result(timeout_s)
    assert servicer.cancelled == ["q1", "q1"]


def test_a_table_that_does_not_exist_is_told_with_the_nearest_name(
    connected: tuple[Script, archipel.Connection],
) -> None:
    _, connection = connected
    assert connection.table("STAYS").name == "stays"
    assert connection.table("stays").policy_text == "nothing leaves"
    with pytest.raises(errors.ProgrammingError, match="Did you mean 'stays'"):
        connection.table("stay")


def test_the_status_of_a_query_comes_from_its_summary(connected: tuple[Script, archipel.Connection]) -> None:
    _, connection = connected
    assert connection.get_query("q1").status == "running"
    assert not connection.get_query("q1").done()
    assert connection.get_query("q1").explain().text == "what q1 took\nat every node"
    with pytest.raises(errors.ProgrammingError) as problem:
        connection.get_query("q2").status  # noqa: B018 - the property asks the coordinator
    assert problem.value.code == "QUERY_NOT_FOUND"


def test_explain_before_the_sql_makes_the_plan_the_result_and_runs_nothing(
    connected: tuple[Script, archipel.Connection],
) -> None:
    servicer, connection = connected
    query = connection.query("EXPLAIN SELECT ? AS n", [1])
    assert (query.status, query.done(), query.cancel(), list(query.watch())) == ("finished", True, "finished", [])
    result = query.result()
    assert result.to_arrow().to_pydict() == {"plan": ["the plan"]}
    assert (repr(result), result.explanation) == ("the plan", query.explain())
    assert result._repr_html_() == "<pre>the plan</pre>"
    assert [batch.num_rows for batch in query.to_batches()] == [1]
    assert servicer.requests == []
    assert (servicer.explained[0].sql, servicer.explained[0].parameters) == ("        SELECT ? AS n", [1])
    assert connection.query_and_wait("explain (format json) SELECT 1").to_arrow().to_pydict() == {"plan": ["{}"]}
    assert str(connection.query("EXPLAIN (FORMAT json) SELECT 1", dry_run=True)) == "{}"
    with pytest.raises(errors.ProgrammingError, match="no such option"):
        connection.query("EXPLAIN (FORMAT x) SELECT 1")


def test_explain_analyze_runs_the_query_and_gives_its_plan_and_its_notices(
    connected: tuple[Script, archipel.Connection],
) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    servicer.info = query_pb2.ResultInfo(complete=False, notices=[query_pb2.Notice(kind="plan", text="A note.")])
    query = connection.query("EXPLAIN ANALYZE SELECT 1 AS n", max_rows=7)
    assert query.query_id == "q1"
    result = query.result()
    assert result.to_arrow().to_pydict() == {"plan": ["what q1 took", "at every node"]}
    assert (result.warnings, result.complete) == (("A note.",), False)
    assert (servicer.requests[0].sql.strip(), servicer.requests[0].max_rows) == ("SELECT 1 AS n", 7)
    assert [batch.num_rows for batch in query.to_batches()] == [2]


@pytest.mark.parametrize("how", ["analyze", "sql"])
def test_a_plan_is_analyzed_by_option_and_by_sql(connected: tuple[Script, archipel.Connection], how: str) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    if how == "analyze":
        plan = connection.explain("SELECT $n AS n", {"n": 1}, analyze=True, format="json", timeout_s=9)
    else:
        plan = connection.explain("EXPLAIN (ANALYZE, FORMAT json) SELECT $n AS n", {"n": 1}, timeout_s=9)
    assert (plan.query_id, plan.text, plan.to_dict()) == ("q1", "what q1 took\nat every node", {"measured": []})
    assert str(plan) == '{\n "measured": []\n}'
    assert (servicer.requests[0].parameters, servicer.requests[0].timeout_s) == ({"n": 1}, 9)
    assert servicer.requests[0].sql.strip() == "SELECT $n AS n"


def test_an_analyzed_query_that_fails_is_an_error(connected: tuple[Script, archipel.Connection]) -> None:
    servicer, connection = connected
    servicer.events = ended(query_pb2.QUERY_STATE_FAILED, errors.ErrorInfo(errors.NODE_BUSY, "Busy."))
    for ask in (
        lambda: connection.explain("SELECT 1", analyze=True),
        lambda: connection.query_and_wait("EXPLAIN ANALYZE SELECT 1"),
    ):
        with pytest.raises(errors.OperationalError, match="Busy"):
            ask()


def test_a_coordinator_of_another_federation_is_not_trusted(
    script: tuple[Script, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "FIRST_BACKOFF_S", 0.001)
    federation.init(
        tmp_path / "other",
        federation="other",
        nodes=[federation.NodeSpec("hospital_a", "A")],
        researcher="mallory",
        project="p",
        purpose="p",
        tables={"stays": ["*"]},
    )
    folder = tmp_path / "other" / "researchers" / "mallory"
    with (
        archipel.connect(script[1], permit=folder / "permit.jwt", key=folder / "mallory.pem") as connection,
        pytest.raises(errors.OperationalError) as problem,
    ):
        connection.tables()
    assert problem.value.code == "COORDINATOR_UNAVAILABLE"


# --- from the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def command(script: tuple[Script, str], keys: Path) -> Callable[..., Any]:
    """Run ``archipel`` in this process against the scripted coordinator."""
    folder = keys / "researchers" / "alice"
    where = {
        "ARCHIPEL_ADDRESS": script[1],
        "ARCHIPEL_PERMIT": str(folder / "permit.jwt"),
        "ARCHIPEL_KEY": str(folder / "alice.pem"),
    }
    return lambda *arguments, **options: CliRunner().invoke(build(), arguments, env=where, **options)


def test_the_command_prints_the_answer_and_apart_from_it_what_to_know(
    script: tuple[Script, str], command: Callable[..., Any], tmp_path: Path
) -> None:
    servicer = script[0]
    servicer.events = ended(query_pb2.QUERY_STATE_FINISHED)
    servicer.table = pa.table({"region": ["Bretagne"], "n": [12]})
    servicer.info = query_pb2.ResultInfo(
        complete=False,
        notices=[query_pb2.Notice(kind="suppression", text="1 group was withheld.")],
        receipts=[common_pb2.Receipt(token="a.b.c"), common_pb2.Receipt(token="d.e.f")],
    )
    done = command(*("query", "SELECT 1 AS n", "--format", "csv", "--param", "year=2023"))
    assert (done.exit_code, done.stdout) == (0, '"region","n"\n"Bretagne",12\n')
    assert done.stderr == "suppression: 1 group was withheld.\n"
    assert servicer.requests[-1].parameters == {"year": 2023}
    strict = command(
        *("query", "--require-complete", "--quiet", "--receipts", str(tmp_path / "r")), input="SELECT 2 AS n"
    )
    assert (strict.exit_code, strict.stderr) == (6, "")
    assert "Bretagne  12" in strict.stdout
    assert servicer.requests[-1].sql == "SELECT 2 AS n"
    *receipts, asked, under = (tmp_path / "r").read_text().splitlines()
    assert receipts == ["a.b.c", "d.e.f"]
    assert (receipt_check.kind_of(asked), receipt_check.kind_of(under)) == (request.REQUEST_KIND, permit.PERMIT_KIND)


def test_the_command_shows_a_refusal_with_its_place(script: tuple[Script, str], command: Callable[..., Any]) -> None:
    script[0].refuse = errors.ErrorInfo(errors.PERMIT_SCOPE, "Not in the permit.", "Ask.", errors.Position(1, 8))
    for name in ("query", "explain"):
        done = command(name, "SELECT person FROM stays")
        assert done.exit_code == 4
        assert done.stdout == ""
        assert done.stderr == (
            "error PERMIT_SCOPE (line 1, column 8): Not in the permit.\n"
            "  SELECT person FROM stays\n         ^\nhint: Ask.\n"
        )


def test_plans_tables_and_queries_are_listed(command: Callable[..., Any]) -> None:
    assert command("explain", "SELECT 1").stdout == "the plan\n"
    assert json.loads(command("explain", "SELECT 1", "--json").stdout) == {}
    assert command("query", "EXPLAIN SELECT 1").stdout == "the plan\n"
    assert command("tables").stdout.startswith("stays  [hospital_a]  nothing leaves")
    assert json.loads(command("tables", "--json").stdout)[0]["nodes"] == ["hospital_a"]
    assert command("queries").stdout.startswith("q1  running")
    assert command("cancel", "q1").stdout == "cancelled\n"


def test_the_command_analyzes_and_finds_plans_of_the_past(
    script: tuple[Script, str], command: Callable[..., Any], tmp_path: Path
) -> None:
    script[0].events = ended(query_pb2.QUERY_STATE_FINISHED)
    took = "what q1 took\nat every node\n"
    assert command("explain", "--analyze", "SELECT 1").stdout == took
    assert command("explain", "EXPLAIN ANALYZE SELECT 1").stdout == took
    assert command("query", "EXPLAIN ANALYZE SELECT 1").stdout == took
    assert command("explain", "--query-id", "q1").stdout == took
    written = command("explain", "--query-id", "q1", "--format", "json", "-o", str(tmp_path / "plan.json"))
    assert (written.exit_code, written.stdout) == (0, "")
    assert json.loads((tmp_path / "plan.json").read_text()) == {"measured": []}
    both = command("explain", "--query-id", "q1", "SELECT 1")
    assert (both.exit_code, "--query-id alone" in both.stderr) == (2, True)
    drawn = command("explain", "--format", "svg", "SELECT 1")
    assert drawn.exit_code == 3, "what the scripted coordinator sends is no plan"
    assert drawn.stderr.startswith("error BAD_REQUEST: This is no plan")


# --- used wrongly ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "told", "hint"),
    [
        ({"d": dt.date(2023, 1, 1)}, "$d is of type date", "CAST($d AS DATE)"),
        ({"d": dt.datetime(2023, 1, 1)}, "$d is of type datetime", "CAST($d AS TIMESTAMP)"),
        ([1, decimal.Decimal("1.5")], "number 2 is of type Decimal", "CAST(? AS DECIMAL"),
        ([[1, 2]], "number 1 is of type list", "IN (?, ?, ?)"),
        ([float("nan")], "number 1 is not a finite number", ""),
        ([float("inf")], "number 1 is not a finite number", ""),
        ([pa.scalar(1)], "number 1 is of type Int64Scalar", "Convert it"),
        ([b"x"], "number 1 is of type bytes", ""),
        ("abc", "params is of type str", "Give a list"),
        (5, "params is of type int", "Give a list"),
    ],
)
def test_parameters_that_cannot_be_sent_are_refused_with_what_to_do(params: Any, told: str, hint: str) -> None:
    with pytest.raises(errors.InterfaceError) as problem:
        checked_parameters(params)
    assert told in problem.value.info.message
    assert hint in problem.value.hint


def test_parameters_keep_their_types() -> None:
    assert checked_parameters((1, True, 1.5, "a", None)) == [1, True, 1.5, "a", None]
    assert checked_parameters(None) == []
    assert checked_parameters({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("address", ["coordinator.example", "http://coordinator:8443", "a b:1", ":8443", "host:port"])
def test_an_address_must_be_host_and_port(keys: Path, address: str) -> None:
    folder = keys / "researchers" / "alice"
    with pytest.raises(errors.InterfaceError, match="host:port"):
        archipel.connect(address, permit=folder / "permit.jwt", key=folder / "alice.pem")


def test_addresses_may_be_names_and_numbers(keys: Path) -> None:
    folder = keys / "researchers" / "alice"
    for address in ("coordinator.example:8443", "127.0.0.1:1", "[::1]:8443"):
        archipel.connect(address, permit=folder / "permit.jwt", key=folder / "alice.pem").close()


def test_a_permit_may_be_given_as_its_token(keys: Path) -> None:
    folder = keys / "researchers" / "alice"
    token = (folder / "permit.jwt").read_text().strip()
    archipel.connect("localhost:1", permit=token, key=folder / "alice.pem").close()


@pytest.mark.parametrize(
    ("permit_file", "key_file", "code"),
    [
        ("absent.jwt", "alice.pem", "CONFIG_INVALID"),
        ("permit.jwt", "absent.pem", "CONFIG_INVALID"),
        ("permit.jwt", "permit.jwt", "CONFIG_INVALID"),
        ("alice.pem", "alice.pem", "PERMIT_INVALID"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_named(
    keys: Path, permit_file: str, key_file: str, code: str
) -> None:
    folder = keys / "researchers" / "alice"
    with pytest.raises(errors.DatabaseError) as problem:
        archipel.connect("localhost:1", permit=folder / permit_file, key=folder / key_file)
    assert problem.value.code == code


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0}, {"timeout_s": 10**9}, {"max_rows": -1}, {"on_missing": "ignore"}, {"dialect": 5}]
)
def test_options_out_of_range_are_the_callers_error(
    connected: tuple[Script, archipel.Connection], wrong: dict[str, Any]
) -> None:
    servicer, connection = connected
    with pytest.raises(errors.InterfaceError, match=next(iter(wrong))):
        connection.query("SELECT 1 AS n", **wrong)
    assert servicer.requests == []


# --- what is shown -----------------------------------------------------------------------------------------------


def result_of(table: pa.Table, *notices: Notice) -> Result:
    return Result("q1", table, (), notices, (), True, "", 1.0)


def test_a_result_prints_as_a_table_with_its_notices() -> None:
    table = pa.table({"region": ["Bretagne", None], "n": [12, 7]})
    assert repr(result_of(table, Notice("suppression", "1 group was withheld."))) == (
        "region    n\n--------  --\nBretagne  12\nNULL      7\n(2 rows)\n! 1 group was withheld."
    )


def test_long_results_are_cut_in_display_only() -> None:
    result = result_of(pa.table({"n": list(range(1000))}))
    assert repr(result).endswith("(1,000 rows, 20 shown)")
    assert "1,000 rows in all" in result._repr_html_()
    assert len(repr(result).splitlines()) == 23


def test_an_empty_result_and_one_without_columns_print() -> None:
    assert repr(result_of(pa.table({"n": pa.array([], pa.int64())}))) == "n\n-\n(0 rows)"
    assert "(0 rows)" in repr(result_of(pa.table({})))


def test_html_escapes_values_names_and_notices() -> None:
    page = result_of(pa.table({"<b>": ["<script>"]}), Notice("x", "<i>"))._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<i>" not in page


def test_values_do_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert printable("Évry") == "Évry"
    assert "\x1b" not in text_table(pa.table({"\x1b[1m": ["\x1b[2J"]}))


def test_results_are_written_and_converted(tmp_path: Path) -> None:
    table = pa.table({"n": [1], "l": [[1, 2]], "d": [decimal.Decimal("1.50")], "t": [dt.date(2023, 1, 1)]})
    result = result_of(table)
    result.to_parquet(tmp_path / "r.parquet")
    result.to_csv(tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == '"n","l","d","t"\n1,"[1, 2]",1.50,2023-01-01\n'
    assert pa.table(result).equals(table)  # through the Arrow C stream
    assert sum(batch.num_rows for batch in result.to_batches()) == 1
    assert result.to_pandas()["n"].tolist() == [1]
    assert result.to_polars()["n"].to_list() == [1]


def test_a_missing_data_frame_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(errors.InterfaceError, match=r"archipel\[polars\]"):
        result_of(pa.table({"n": [1]})).to_polars()


def test_progress_is_silent_where_nobody_watches(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with shown(None) as show:
        show(connection_event("delivered"))
    assert sys.stderr.getvalue() == ""


def test_progress_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(True) as show:
        show(connection_event("delivered"))
    assert "Traceback" not in capsys.readouterr().err


def connection_event(kind: str) -> Any:
    from archipel.client import Event

    return Event(1, None, "running", kind, "hospital_a", "s1", "", None)


# --- what the bare client imports --------------------------------------------------------------------------------

BARE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "duckdb", "sqlglot", "numpy", "sqlalchemy", "pandas", "polars"}:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
"""


def bare(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code where only the client's own dependencies can be imported."""
    return subprocess.run(
        [sys.executable, "-c", BARE + code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_client_works_without_engines_and_data_frames(keys: Path) -> None:
    folder = keys / "researchers" / "alice"
    done = bare(
        "import archipel, json, pyarrow as pa\n"
        "from archipel.client import Result\n"
        "archipel.connect('localhost:1', permit=sys.argv[1], key=sys.argv[2]).close()\n"
        "print(repr(Result('q', pa.table({'n': [1]}), (), (), (), True, '', 0.0)))\n"
        "print(json.dumps([m for m in ('ray', 'duckdb', 'sqlglot', 'sqlalchemy', 'rich') if m in sys.modules]))",
        str(folder / "permit.jwt"),
        str(folder / "alice.pem"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_importing_the_client_loads_no_engine() -> None:
    code = (
        "import sys, archipel\narchipel.connect\n"
        "print([m for m in ('ray', 'duckdb', 'sqlglot', 'sqlalchemy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_works_with_the_client_alone(keys: Path) -> None:
    run = "from archipel.cli.app import main\nsys.argv[0] = 'archipel'\nmain()"
    shown_help = bare(run, "--help")
    assert shown_help.returncode == 0, shown_help.stderr
    assert "query" in shown_help.stdout
    verified = bare(
        run,
        *("permit", "verify", str(keys / "researchers" / "alice" / "permit.jwt")),
        *("--authority-key", str(keys / "authority" / "authority.pub")),
    )
    assert verified.returncode == 0, verified.stderr
    new = bare(run, "federation", "init", str(keys.parent / "new"), "--node", "a=A")
    assert new.returncode == 0, new.stderr
    assert (keys.parent / "new" / "nodes" / "a" / "linkage.json").exists()


def test_identities_are_read_whole_or_refused(keys: Path, tmp_path: Path) -> None:
    whole = (keys / "researchers" / "alice" / "alice.pem").read_bytes()
    assert identity.ResearcherIdentity.load(keys / "researchers" / "alice" / "alice.pem").name == "alice"
    cut: Callable[[bytes], bytes] = lambda content: content[: len(content) // 2]  # noqa: E731
    (tmp_path / "cut.pem").write_bytes(cut(whole))
    with pytest.raises(errors.ProgrammingError, match="identity"):
        identity.ResearcherIdentity.load(tmp_path / "cut.pem")
