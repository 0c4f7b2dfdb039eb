"""Telemetry as a collector sees it: a real OTLP receiver over gRPC, and what real calls send to it."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from otlp_receiver import Receiver, attributes

from archipel import errors, telemetry
from archipel.telemetry import Attribute, TelemetrySettings

SECRET = "Jeanne-Martin-1954"
WAIT_S = 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def on(receiver: Receiver) -> Iterator[telemetry.Telemetry]:
    handle = telemetry.configure(
        TelemetrySettings(otlp_endpoint=f"127.0.0.1:{receiver.port}", service_name="test", insecure=True)
    )
    yield handle
    handle.shutdown()


# --- spans -------------------------------------------------------------------------------------------------------


def test_nested_spans_arrive_as_one_trace(receiver: Receiver, on: telemetry.Telemetry) -> None:
    with (
        telemetry.span("outer", attributes={Attribute.QUERY_ID: "q1"}),
        telemetry.span("inner", kind="client") as inner,
    ):
        inner.set(Attribute.NODE, "lille")
    on.shutdown()
    outer_span, inner_span = receiver.span("outer"), receiver.span("inner")
    assert inner_span.trace_id == outer_span.trace_id
    assert inner_span.parent_span_id == outer_span.span_id
    assert attributes(outer_span) == {"archipel.query.id": "q1"}
    assert attributes(inner_span) == {"archipel.node": "lille"}
    service = receiver.traces[0].resource_spans[0].resource
    assert attributes(service)["service.name"] == "test"


def test_a_peers_traceparent_is_continued_and_a_malformed_one_ignored(
    receiver: Receiver, on: telemetry.Telemetry
) -> None:
    peer = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with telemetry.span("good", parent=peer):
        assert telemetry.current_traceparent().split("-")[1] == "ab" * 16
    with telemetry.span("bad", parent="00-zz-zz-01"):
        pass
    on.shutdown()
    assert receiver.span("good").parent_span_id.hex() == "cd" * 8
    assert receiver.span("bad").parent_span_id == b""


def test_an_exception_is_named_but_not_quoted(receiver: Receiver, on: telemetry.Telemetry) -> None:
    with pytest.raises(ValueError, match="Jeanne"), telemetry.span("plain failure"):
        raise ValueError(SECRET)
    with pytest.raises(errors.ArchipelError), telemetry.span("known failure"):
        raise errors.error(errors.MERGE_FAILED, SECRET)
    on.shutdown()
    assert attributes(receiver.span("plain failure"))["error.type"] == "ValueError"
    assert attributes(receiver.span("known failure"))["error.type"] == "MERGE_FAILED"
    assert receiver.span("known failure").status.code == 2
    assert SECRET not in receiver.everything()


def test_a_cancelled_task_ends_its_span(receiver: Receiver, on: telemetry.Telemetry) -> None:
    async def run() -> None:
        entered = asyncio.Event()

        async def work() -> None:
            with telemetry.span("work"):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    on.shutdown()
    assert attributes(receiver.span("work"))["error.type"] == "CANCELLED"


def test_a_generator_that_the_event_loop_closes_ends_its_span(
    receiver: Receiver, on: telemetry.Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    async def numbers() -> AsyncIterator[int]:
        with telemetry.span("numbers"):
            while True:
                yield 1

    async def run() -> None:
        async for _ in numbers():
            break
        gc.collect()
        await asyncio.get_running_loop().shutdown_asyncgens()

    asyncio.run(run())
    on.shutdown()
    assert attributes(receiver.span("numbers"))["error.type"] == "CANCELLED"
    assert not caplog.records


def test_work_timed_elsewhere_joins_the_trace(receiver: Receiver, on: telemetry.Telemetry) -> None:
    with telemetry.span("merge"):
        telemetry.record_span(
            "partition",
            started_unix_ns=1_000_000_000,
            ended_unix_ns=3_000_000_000,
            attributes={Attribute.MERGE_PARTITION: 3},
        )
    on.shutdown()
    done = receiver.span("partition")
    assert done.parent_span_id == receiver.span("merge").span_id
    assert (done.start_time_unix_nano, done.end_time_unix_nano) == (1_000_000_000, 3_000_000_000)


# --- off ---------------------------------------------------------------------------------------------------------


def test_without_an_endpoint_nothing_is_on_and_a_trace_is_passed_on() -> None:
    peer = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with telemetry.configure(TelemetrySettings()) as handle:
        assert not handle.on
        assert telemetry.client_interceptors() == []
        assert telemetry.query_attributes("not even SQL (", summary="SELECT t") == {}
        with telemetry.span("x", parent=peer) as current:
            current.set(Attribute.NODE, "lille")
            assert telemetry.current_traceparent() == peer
        assert telemetry.current_traceparent() == ""
        telemetry.record_query("done", 1.0)
        telemetry.record_exchange(1, form="aggregate", node="lille")
        telemetry.record_statement(1.0)


def test_importing_telemetry_imports_neither_exporter_nor_sdk_nor_sqlglot() -> None:
    code = (
        "import sys, archipel.telemetry as t\n"
        "with t.span('x'): t.record_query('done', 1.0)\n"
        "print([m for m in ('opentelemetry', 'sqlglot', 'pydantic', 'duckdb', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_second_configuration_is_refused(on: telemetry.Telemetry) -> None:
    with pytest.raises(errors.ArchipelError, match="already configured"):
        telemetry.configure(TelemetrySettings(otlp_endpoint="127.0.0.1:1", insecure=True))
    on.shutdown()
    on.shutdown()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"otlp_endpoint": "x:1", "insecure": True, "ca_file": "ca.pem"}, "ca_file has no meaning"),
        ({"otlp_endpoint": ""}, "at least 1 character"),
        ({"endpoint": "x:1"}, "Extra inputs are not permitted"),
        ({"sample_ratio": 1.5}, "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TelemetrySettings(**section)


def test_unreadable_files_are_named_by_key_and_not_by_path(tmp_path: Any) -> None:
    with pytest.raises(errors.ArchipelError, match=r"telemetry\.ca_file") as refused:
        telemetry.configure(TelemetrySettings(otlp_endpoint="127.0.0.1:1", ca_file=tmp_path / "absent.pem"))
    assert "absent" not in str(refused.value)
    headers = tmp_path / "headers"
    headers.write_text("authorization Bearer x\n")
    with pytest.raises(errors.ArchipelError, match=r"telemetry\.headers_file"):
        telemetry.configure(TelemetrySettings(otlp_endpoint="127.0.0.1:1", headers_file=headers))


def test_headers_reach_the_collector(receiver: Receiver, tmp_path: Any) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer abc\n\n")
    with (
        telemetry.configure(
            TelemetrySettings(otlp_endpoint=f"127.0.0.1:{receiver.port}", insecure=True, headers_file=headers)
        ),
        telemetry.span("x"),
    ):
        pass
    assert ("authorization", "Bearer abc") in receiver.metadata


def test_a_collector_that_is_away_neither_fails_nor_holds_up_the_end() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    handle = telemetry.configure(
        TelemetrySettings(otlp_endpoint=f"127.0.0.1:{port}", insecure=True, export_timeout_s=0.2)
    )
    with telemetry.span("lost"):
        telemetry.record_query("done", 1.0)
    ended = threading.Thread(target=handle.shutdown)
    ended.start()
    ended.join(WAIT_S)
    assert not ended.is_alive()


# --- metrics -----------------------------------------------------------------------------------------------------


def test_the_metrics_of_the_contract_arrive(receiver: Receiver, on: telemetry.Telemetry) -> None:
    telemetry.record_query("done", 2.0)
    telemetry.record_query("failed", 1200.0)
    telemetry.record_exchange(512, form="aggregate", node="lille")
    telemetry.record_exchange(4096, form="rows", node="lille", sealed=True)
    telemetry.record_statement(0.2, error="TIMEOUT")
    on.shutdown()
    metrics = receiver.metrics()
    assert {attributes(p)["archipel.query.state"]: p.as_int for p in metrics["archipel.queries"].sum.data_points} == {
        "done": 1,
        "failed": 1,
    }
    exchanged = metrics["archipel.exchange.bytes"].sum.data_points
    by = {(attributes(p)["archipel.exchange.form"], attributes(p)["archipel.exchange.sealed"]): p for p in exchanged}
    assert {key: p.as_int for key, p in by.items()} == {("aggregate", False): 512, ("rows", True): 4096}
    failed = next(
        p
        for p in metrics["archipel.query.duration"].histogram.data_points
        if attributes(p)["archipel.query.state"] == "failed"
    )
    assert failed.explicit_bounds[-1] == 3600.0
    assert failed.sum == 1200.0
    assert attributes(metrics["db.client.operation.duration"].histogram.data_points[0]) == {
        "db.system.name": "duckdb",
        "db.operation.name": "SELECT",
        "error.type": "TIMEOUT",
    }


# --- calls -------------------------------------------------------------------------------------------------------

SERVER, CLIENT = 2, 3


class Handlers:
    """One handler of each shape; ``seen`` tells what the server noticed."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.closed = asyncio.Event()
        self.traceparents: list[str] = []

    async def unary(self, request: bytes, context: Any) -> bytes:
        self.traceparents.append(telemetry.current_traceparent())
        if request == b"abort":
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, SECRET)
        if request == b"raise":
            raise RuntimeError(SECRET)
        if request == b"hang":
            await asyncio.Event().wait()
        return request

    async def endless(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            with telemetry.span("inside endless"):
                pass
            while True:
                yield b"x" * 1000
        finally:
            self.closed.set()

    async def three(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield request

    async def gather(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([r async for r in requests])

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    def service(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "t.S",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
                "Three": grpc.unary_stream_rpc_method_handler(self.three),
                "Gather": grpc.stream_unary_rpc_method_handler(self.gather),
                "Echo": grpc.stream_stream_rpc_method_handler(self.echo),
            },
        )


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Handlers, int, grpc.aio.Channel]]:
    handlers = Handlers()
    server = grpc.aio.server(interceptors=telemetry.server_interceptors())
    server.add_generic_rpc_handlers((handlers.service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=telemetry.client_interceptors())
    try:
        yield handlers, port, channel
    finally:
        await channel.close()
        await server.stop(None)


def run(body: Callable[[Handlers, int, grpc.aio.Channel], Any]) -> None:
    async def main() -> None:
        async with served() as (handlers, port, channel):
            await asyncio.wait_for(body(handlers, port, channel), WAIT_S)

    asyncio.run(main())


async def requests() -> AsyncIterator[bytes]:
    for part in (b"a", b"b"):
        yield part


def test_every_shape_of_call_works_and_is_one_trace(receiver: Receiver, on: telemetry.Telemetry) -> None:
    async def body(_: Handlers, __: int, channel: grpc.aio.Channel) -> None:
        with telemetry.span("client code"):
            assert await channel.unary_unary("/t.S/Unary")(b"1") == b"1"
            assert [r async for r in channel.unary_stream("/t.S/Three")(b"2")] == [b"2"] * 3
            assert await channel.stream_unary("/t.S/Gather")(requests()) == b"ab"
            assert [r async for r in channel.stream_stream("/t.S/Echo")(requests())] == [b"a", b"b"]

    run(body)
    on.shutdown()
    root = receiver.span("client code")
    for name in ("t.S/Unary", "t.S/Three", "t.S/Gather", "t.S/Echo"):
        client, server = receiver.span(name, CLIENT), receiver.span(name, SERVER)
        assert client.parent_span_id == root.span_id
        assert server.parent_span_id == client.span_id
        assert attributes(server) == {"rpc.system.name": "grpc", "rpc.method": name, "rpc.status_code": "OK"}
        assert attributes(client) == attributes(server)
    for metric in ("rpc.server.call.duration", "rpc.client.call.duration"):
        points = receiver.metrics()[metric].histogram.data_points
        assert {attributes(p)["rpc.method"] for p in points} == {"t.S/Unary", "t.S/Three", "t.S/Gather", "t.S/Echo"}
        assert all(p.count == 1 for p in points)


def test_a_stream_that_the_client_cancels_ends_both_spans(receiver: Receiver, on: telemetry.Telemetry) -> None:
    async def body(handlers: Handlers, _: int, channel: grpc.aio.Channel) -> None:
        call = channel.unary_stream("/t.S/Endless")(b"")
        await call.read()
        call.cancel()
        await handlers.closed.wait()

    run(body)
    on.shutdown()
    for kind in (SERVER, CLIENT):
        ended = receiver.span("t.S/Endless", kind)
        assert attributes(ended)["rpc.status_code"] == "CANCELLED"
        assert attributes(ended)["error.type"] == "CANCELLED"
        assert ended.end_time_unix_nano > ended.start_time_unix_nano
    assert receiver.span("inside endless").parent_span_id == receiver.span("t.S/Endless", SERVER).span_id


def test_a_deadline_and_failures_have_their_status_and_no_text(receiver: Receiver, on: telemetry.Telemetry) -> None:
    statuses = {}

    async def body(_: Handlers, __: int, channel: grpc.aio.Channel) -> None:
        for request, timeout in ((b"abort", None), (b"raise", None), (b"hang", 0.05)):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await channel.unary_unary("/t.S/Unary")(request, timeout=timeout)
            statuses[request] = failed.value.code().name

    run(body)
    on.shutdown()
    assert statuses == {b"abort": "FAILED_PRECONDITION", b"raise": "UNKNOWN", b"hang": "DEADLINE_EXCEEDED"}
    clients = [attributes(s)["rpc.status_code"] for s in receiver.spans() if s.kind == CLIENT]
    assert clients == list(statuses.values())
    servers = [attributes(s)["rpc.status_code"] for s in receiver.spans() if s.kind == SERVER]
    assert servers[:2] == ["FAILED_PRECONDITION", "UNKNOWN"]
    assert servers[2] in ("DEADLINE_EXCEEDED", "CANCELLED")
    assert SECRET not in receiver.everything()


def test_a_blocking_client_is_traced_too(receiver: Receiver, on: telemetry.Telemetry) -> None:
    async def body(handlers: Handlers, port: int, _: grpc.aio.Channel) -> None:
        def use() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as plain, telemetry.span("blocking code"):
                channel = telemetry.intercept_channel(plain)
                assert channel.unary_unary("/t.S/Unary")(b"1", timeout=WAIT_S) == b"1"
                assert list(channel.unary_stream("/t.S/Three")(b"2", timeout=WAIT_S)) == [b"2"] * 3
                assert channel.stream_unary("/t.S/Gather")(iter([b"a"]), timeout=WAIT_S) == b"a"
                assert list(channel.stream_stream("/t.S/Echo")(iter([b"b"]), timeout=WAIT_S)) == [b"b"]
                with pytest.raises(grpc.RpcError):
                    channel.unary_unary("/t.S/Unary")(b"abort", timeout=WAIT_S)
                stream = channel.unary_stream("/t.S/Endless")(b"", timeout=WAIT_S)
                next(stream)
                stream.cancel()

        await asyncio.to_thread(use)
        await handlers.closed.wait()

    run(body)
    on.shutdown()
    root = receiver.span("blocking code")
    clients = [s for s in receiver.spans() if s.kind == CLIENT]
    assert [
        (s.name, attributes(s)["rpc.status_code"]) for s in sorted(clients, key=lambda s: s.start_time_unix_nano)
    ] == [
        ("t.S/Unary", "OK"),
        ("t.S/Three", "OK"),
        ("t.S/Gather", "OK"),
        ("t.S/Echo", "OK"),
        ("t.S/Unary", "FAILED_PRECONDITION"),
        ("t.S/Endless", "CANCELLED"),
    ]
    assert {s.parent_span_id for s in clients} == {root.span_id}


def test_the_server_passes_a_trace_on_while_telemetry_is_off() -> None:
    peer = f"00-{'ab' * 16}-{'cd' * 8}-01"

    async def body(handlers: Handlers, _: int, channel: grpc.aio.Channel) -> None:
        await channel.unary_unary("/t.S/Unary")(b"1", metadata=(("traceparent", peer),))
        await channel.unary_unary("/t.S/Unary")(b"1")
        assert handlers.traceparents == [peer, ""]

    run(body)
