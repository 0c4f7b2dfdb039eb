"""A real agent against a scripted coordinator: gRPC with mutual TLS, attach, tasks, deliveries, cuts, draining."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from node_support import POLICY, REF, STAYS, write_tables

from archipel import (
    configuration,
    errors,
    federation,
    frames,
    identity,
    permit,
    receipt,
    request,
    sealing,
    telemetry,
    tls,
    tokens,
)
from archipel.schema import Column, Form, Table, TablePolicy
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc
from node_agent import audit, delivering
from node_agent.agent import Agent, AgentSettings, SourceChanged
from node_agent.assembly import Node, assemble
from node_agent.config import NodeConfig

T = TypeVar("T")
WAIT_S = 20.0
BY_REGION = "SELECT region, count(*) AS n FROM stays GROUP BY region"
MANY = [f"ref t{i}" for i in range(33)]
SLOW = f"SELECT count(*) AS n FROM {', '.join(MANY)} WHERE t0.code < t32.code"  # noqa: S608
MEDIUM = f"SELECT count(*) AS n FROM {', '.join(MANY[:23])} WHERE length(t0.code) <= length(t22.code)"  # noqa: S608


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("agent") / "keys"
    federation.init(
        out,
        federation="dev",
        nodes=[federation.NodeSpec("hospital_a", "CHU A"), federation.NodeSpec("hospital_b", "CHU B")],
        researcher="alice",
        project="p",
        purpose="test",
        tables={"stays": ["*"], "ref": ["*"]},
    )
    return out


def write_config(directory: Path, keys: Path, address: str, **changes: Any) -> Path:
    """Write a node's files as an operator would; return the configuration's path."""
    write_tables(directory)
    own = keys / "nodes" / "hospital_a"
    (directory / "policy.yaml").write_text(
        yaml.safe_dump(
            {"version": 1, "node": {"approval": "auto", "ledger": {"differences": "allow"}}, "tables": POLICY}
        )
    )
    content = {
        "node": "hospital_a",
        "coordinator": address,
        "tls": {"certificate": f"{own}/tls.crt", "private_key": f"{own}/tls.key", "authority": f"{own}/ca.crt"},
        "federation": {"manifest": f"{own}/manifest.jwt", "authority_key": f"{own}/authority.pub"},
        "signing_key": f"{own}/signing.pem",
        "state_dir": str(directory / "state"),
        "policy": str(directory / "policy.yaml"),
        "sources": [{"name": "data", "kind": "files", "path": str(directory), "format": "parquet"}],
        "tables": [STAYS, REF],
        **changes,
    }
    path = directory / "node.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class Attached:
    """One attachment of the agent, as the scripted coordinator sees it."""

    def __init__(self, hello: gateway_pb2.Hello) -> None:
        self.hello = hello
        self.told: asyncio.Queue[gateway_pb2.AttachRequest | None] = asyncio.Queue()
        self.to_node: asyncio.Queue[gateway_pb2.AttachResponse | None] = asyncio.Queue()

    def give(self, task: gateway_pb2.Task) -> None:
        self.to_node.put_nowait(gateway_pb2.AttachResponse(task=task))

    def cancel(self, task_id: str) -> None:
        self.to_node.put_nowait(gateway_pb2.AttachResponse(cancel_task=gateway_pb2.CancelTask(task_id=task_id)))

    def cut(self) -> None:
        """End the stream from the coordinator's side."""
        self.to_node.put_nowait(None)

    async def next(self, kind: str) -> Any:
        """Return the next message of a kind; None stands for the end of the node's half of the stream."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self.told.get()
                if message is None:
                    if kind == "end":
                        return None
                    raise AssertionError(f"the node ended its stream before '{kind}'")
                if message.WhichOneof("event") == kind:
                    return getattr(message, kind)


class Coordinator(gateway_pb2_grpc.NodeGatewayServicer):
    """A coordinator that does what a test tells it to."""

    def __init__(self) -> None:
        self.attachments: asyncio.Queue[Attached] = asyncio.Queue()
        self.deliveries: asyncio.Queue[list[gateway_pb2.DeliverRequest]] = asyncio.Queue()
        self.inputs: dict[str, list[bytes]] = {}
        self.heartbeat_s = 1
        self.clock_offset_s = 0.0
        self.refuse = False
        self.accept = True
        self.peers: list[str] = []
        self.endless = ""
        """An exchange that never comes to its end."""
        self.collecting = asyncio.Event()
        self.whole = 0
        """How many deliveries came in one message."""

    def _clock(self) -> int:
        return int((time.time() + self.clock_offset_s) * 1000)

    async def Attach(
        self, messages: AsyncIterator[gateway_pb2.AttachRequest], context: Any
    ) -> AsyncIterator[gateway_pb2.AttachResponse]:
        self.peers.append(tls.peer_identity(context).name)
        if self.refuse:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        first = await anext(aiter(messages))
        attached = Attached(first.hello)
        self.attachments.put_nowait(attached)

        async def listen() -> None:
            async for message in messages:
                if message.WhichOneof("event") == "heartbeat":
                    ack = gateway_pb2.HeartbeatAck(clock_unix_ms=self._clock())
                    attached.to_node.put_nowait(gateway_pb2.AttachResponse(heartbeat_ack=ack))
                attached.told.put_nowait(message)
            attached.told.put_nowait(None)
            attached.to_node.put_nowait(None)

        listener = asyncio.create_task(listen())
        try:
            welcome = gateway_pb2.Welcome(heartbeat_interval_s=self.heartbeat_s, clock_unix_ms=self._clock())
            yield gateway_pb2.AttachResponse(welcome=welcome)
            while (answer := await attached.to_node.get()) is not None:
                yield answer
        finally:
            listener.cancel()

    async def Deliver(
        self, parts: AsyncIterator[gateway_pb2.DeliverRequest], context: Any
    ) -> gateway_pb2.DeliverResponse:
        self.deliveries.put_nowait([part async for part in parts])
        return gateway_pb2.DeliverResponse(accepted=self.accept)

    async def DeliverWhole(
        self, delivery: gateway_pb2.DeliverWholeRequest, context: Any
    ) -> gateway_pb2.DeliverWholeResponse:
        parts = [gateway_pb2.DeliverRequest(frame=frame) for frame in delivery.frames]
        header = gateway_pb2.DeliverRequest(header=delivery.header)
        self.deliveries.put_nowait([header, *parts, gateway_pb2.DeliverRequest(trailer=delivery.trailer)])
        self.whole += 1
        return gateway_pb2.DeliverWholeResponse(accepted=self.accept)

    async def Collect(
        self, message: gateway_pb2.CollectRequest, context: Any
    ) -> AsyncIterator[gateway_pb2.CollectResponse]:
        if message.exchange_id not in self.inputs:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such exchange")
        for data in self.inputs[message.exchange_id]:
            yield gateway_pb2.CollectResponse(frame=common_pb2.ArrowFrame(data=data))
        if message.exchange_id == self.endless:
            self.collecting.set()
            await asyncio.Event().wait()


class Scene:
    """A coordinator, an agent, and the means to make tasks."""

    def __init__(self, keys: Path, directory: Path, coordinator: Coordinator, address: str) -> None:
        self.keys = keys
        self.directory = directory
        self.coordinator = coordinator
        self.address = address
        self.node: Node | None = None
        self.agent: Agent | None = None
        self.running: asyncio.Task[None] | None = None

    def start(self, *, settings: dict[str, Any] | None = None, **changes: Any) -> None:
        """Assemble the node from its files and let its agent run; it waits little between attempts."""
        path = write_config(self.directory, self.keys, self.address, **changes)
        self.node = assemble(configuration.load(path, NodeConfig))
        self.restart(settings)

    def restart(self, settings: dict[str, Any] | None = None) -> None:
        assert self.node is not None
        values = {name: getattr(self.node.settings, name) for name in AgentSettings.__slots__}
        quick = {"first_backoff_s": 0.01, "max_backoff_s": 0.1, "source_check_s": 0.02}
        self.agent = Agent(AgentSettings(**{**values, **quick, **(settings or {})}), self.node.runner, self.node.engine)
        self.running = asyncio.create_task(self.agent.run())

    async def attached(self) -> Attached:
        async with asyncio.timeout(WAIT_S):
            return await self.coordinator.attachments.get()

    async def delivered(self) -> list[gateway_pb2.DeliverRequest]:
        async with asyncio.timeout(WAIT_S):
            return await self.coordinator.deliveries.get()

    async def stop(self) -> None:
        if self.agent is not None and self.running is not None:
            self.agent.stop()
            with contextlib.suppress(SourceChanged):
                await asyncio.wait_for(self.running, WAIT_S)
        if self.node is not None:
            self.node.close()

    def task(self, task_id: str, sql: str, **changes: Any) -> gateway_pb2.Task:
        folder = self.keys / "researchers" / "alice"
        token = (folder / "permit.jwt").read_text().strip()
        asked = request.Request(
            request_id=f"request-{task_id}",
            permit_id=permit.read_unverified(token)["permit_id"],
            sql="SELECT 1",
            issued=int(time.time()),
        )
        key = identity.ResearcherIdentity.load(folder / "alice.pem").signing_key
        return gateway_pb2.Task(
            **{
                "task_id": task_id,
                "query_id": f"q-{task_id}",
                "stage_id": "s1",
                "attempt": 1,
                "permit": token,
                "request": request.sign(asked, key),
                "sql": sql,
                "timeout_ms": 30_000,
                "max_bytes": 1 << 20,
                **changes,
            }
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the audit records of tasks; before them stands that of the manifest."""
        found = list(audit.records(self.directory / "state" / "audit"))
        return [record for record in found if record["kind"] != "manifest"]


def rows_in(delivery: list[gateway_pb2.DeliverRequest]) -> list[dict[str, Any]]:
    data = [part.frame.data for part in delivery if part.WhichOneof("part") == "frame"]
    return frames.decode_table(data).to_pylist()


Play = Callable[[Scene], Awaitable[None]]


@pytest.fixture
def played(keys: Path, tmp_path: Path) -> Callable[[Play], None]:
    """Run a play with a coordinator and an agent; nothing may be left running behind it."""

    async def run(play: Play) -> None:
        server = grpc.aio.server(options=tls.SERVER_OPTIONS)
        coordinator = Coordinator()
        gateway_pb2_grpc.add_NodeGatewayServicer_to_server(coordinator, server)
        own = keys / "coordinator"
        credentials = tls.server_credentials(tls.TlsFiles(own / "tls.crt", own / "tls.key", own / "ca.crt"))
        port = server.add_secure_port("localhost:0", credentials)
        await server.start()
        scene = Scene(keys, tmp_path, coordinator, f"localhost:{port}")
        try:
            await play(scene)
        finally:
            await scene.stop()
            await server.stop(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()]
        assert not [task for task in left if "node_agent" in repr(task.get_coro())], left

    return lambda play: asyncio.run(asyncio.wait_for(run(play), 60))


# --- attaching ---------------------------------------------------------------------------------------------------


def test_the_agent_dials_out_and_tells_what_it_holds(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        hello = attached.hello
        assert scene.coordinator.peers == ["hospital_a"]
        assert (hello.node, hello.engine, hello.collation, hello.time_zone) == ("hospital_a", "duckdb", "binary", "UTC")
        assert {table.name for table in hello.tables} == {"stays", "ref"}
        assert {t.name: t.policy.protected for t in hello.tables} == {"stays": True, "ref": False}
        assert abs(hello.clock_unix_ms / 1000 - time.time()) < 30
        assert len(hello.policy_digest) == 64
        beat = await attached.next("heartbeat")
        assert beat.running_tasks == 0

    played(play)


@pytest.mark.parametrize("configured", [False, True])
def test_the_agent_tells_whether_it_has_keys_for_exchanges(played: Callable[[Play], None], configured: bool) -> None:
    async def play(scene: Scene) -> None:
        own = scene.keys / "nodes" / "hospital_a"
        files = {"sealing_key": f"{own}/sealing.pem", "linkage_secret": f"{own}/linkage.json"}
        scene.start(**(files if configured else {}))
        hello = (await scene.attached()).hello
        assert (hello.seals, hello.linkage_epoch) == ((True, 1) if configured else (False, 0))

    played(play)


def test_a_task_is_accepted_run_and_delivered_with_its_receipt(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", BY_REGION))
        assert (await attached.next("task_accepted")).task_id == "t1"
        delivery = await scene.delivered()
        kinds = [part.WhichOneof("part") for part in delivery]
        assert (kinds[0], kinds[-1]) == ("header", "trailer")
        header = delivery[0].header
        assert (header.task_id, header.query_id, header.stage_id, header.attempt) == ("t1", "q-t1", "s1", 1)
        assert rows_in(delivery) == [{"region": "Normandie", "n": 70}]
        trailer = delivery[-1].trailer
        assert (trailer.withheld.threshold_applied, trailer.withheld.min_persons, trailer.withheld.groups) == (
            True,
            11,
            1,
        )
        key = identity.load_signing_key(scene.keys / "nodes/hospital_a/signing.pem").public_key()
        signed = receipt.verify(trailer.receipt.token, key)
        (record,) = scene.records()
        assert (signed.query_id, signed.audit_record) == ("q-t1", record["hash"])

    played(play)


def test_a_small_output_is_one_message_for_a_coordinator_that_takes_it(
    played: Callable[[Play], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        key = identity.load_signing_key(scene.keys / "nodes/hospital_a/signing.pem").public_key()
        for number, (takes, most_bytes) in enumerate([(True, 64_000), (True, 10), (False, 64_000)]):
            monkeypatch.setattr(delivering, "WHOLE_BYTES", most_bytes)
            attached.give(scene.task(f"t{number}", BY_REGION, takes_whole=takes))
            delivery = await scene.delivered()
            assert scene.coordinator.whole == 1
            assert rows_in(delivery) == [{"region": "Normandie", "n": 70}]
            data = b"".join(part.frame.data for part in delivery)
            signed = receipt.verify(delivery[-1].trailer.receipt.token, key)
            assert (signed.query_id, signed.content_sha256) == (f"q-t{number}", hashlib.sha256(data).hexdigest())
            assert delivery[-1].trailer.withheld.min_persons == 11

    played(play)


def test_a_small_output_goes_on_the_stream_of_a_coordinator_that_takes_it_there(
    played: Callable[[Play], None],
) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        key = identity.load_signing_key(scene.keys / "nodes/hospital_a/signing.pem").public_key()
        attached.give(scene.task("t1", BY_REGION, takes_whole=True, attached_bytes=64_000))
        delivery = await attached.next("delivered")
        data = b"".join(frame.data for frame in delivery.frames)
        signed = receipt.verify(delivery.trailer.receipt.token, key)
        assert (signed.query_id, signed.content_sha256) == ("q-t1", hashlib.sha256(data).hexdigest())
        attached.give(scene.task("t2", BY_REGION, takes_whole=True, attached_bytes=100))
        assert rows_in(await scene.delivered()) == [{"region": "Normandie", "n": 70}]
        assert scene.coordinator.whole == 1

    played(play)


def test_a_refused_task_is_told_with_code_and_node(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", "SELECT person, note FROM stays"))
        failed = await attached.next("task_failed")
        assert (failed.task_id, failed.error.code, failed.error.node) == ("t1", "BORDER_REFUSED", "hospital_a")
        assert scene.coordinator.deliveries.empty()
        assert scene.records()[0]["kind"] == "refused"

    played(play)


def test_a_delivery_that_is_not_wanted_any_more_is_no_failure(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.coordinator.accept = False
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", BY_REGION))
        await scene.delivered()
        attached.give(scene.task("t2", BY_REGION))
        assert rows_in(await scene.delivered())

    played(play)


def test_inputs_are_collected_and_joined(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        given = pa.table({"region": ["Normandie"], "label": ["N"]})
        scene.coordinator.inputs["x1"] = list(frames.encode_table(given))
        columns = [common_pb2.Column(name=name, type="VARCHAR") for name in ("region", "label")]
        source = gateway_pb2.TaskInput(name="x1", exchange_id="x1", columns=columns)
        sql = "SELECT i.label, count(*) AS n FROM stays s JOIN x1 i ON i.region = s.region GROUP BY i.label"
        attached.give(scene.task("t1", sql, inputs=[source]))
        assert rows_in(await scene.delivered()) == [{"label": "N", "n": 70}]
        lost = gateway_pb2.TaskInput(name="x2", exchange_id="x2", columns=columns)
        attached.give(scene.task("t2", sql.replace("x1", "x2"), inputs=[lost]))
        assert (await attached.next("task_failed")).error.code == "NODE_UNAVAILABLE"
        scene.coordinator.inputs["x2"] = [b"noise"]
        attached.give(scene.task("t3", sql.replace("x1", "x2"), inputs=[lost]))
        assert (await attached.next("task_failed")).error.code == "BAD_REQUEST"

    played(play)


def test_inputs_larger_than_allowed_are_not_taken(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(limits={"max_input_bytes": 1000})
        attached = await scene.attached()
        scene.coordinator.inputs["x1"] = list(frames.encode_table(pa.table({"a": list(range(1000))})))
        source = gateway_pb2.TaskInput(
            name="x1", exchange_id="x1", columns=[common_pb2.Column(name="a", type="BIGINT")]
        )
        attached.give(scene.task("t1", "SELECT a FROM x1", inputs=[source]))
        assert (await attached.next("task_failed")).error.code == "NODE_RESOURCES"

    played(play)


# --- load, cancelling, clocks ------------------------------------------------------------------------------------


def test_tasks_wait_for_a_slot_and_too_many_are_refused(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(limits={"max_concurrent_tasks": 1, "max_queued_tasks": 1, "threads": 1})
        attached = await scene.attached()
        attached.give(scene.task("slow", SLOW))
        assert (await attached.next("task_accepted")).task_id == "slow"
        attached.give(scene.task("waits", BY_REGION))
        attached.give(scene.task("too many", BY_REGION))
        failed = await attached.next("task_failed")
        assert (failed.task_id, failed.error.code) == ("too many", "NODE_BUSY")
        attached.cancel("slow")
        assert (await attached.next("task_accepted")).task_id == "waits"
        assert (await scene.delivered())[0].header.task_id == "waits"

    played(play)


def test_a_cancelled_task_stops_its_statement_and_delivers_nothing(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", SLOW))
        await attached.next("task_accepted")
        while (await attached.next("heartbeat")).running_tasks != 1:
            pass
        attached.cancel("t1")
        attached.cancel("never given")
        while (await attached.next("heartbeat")).running_tasks:
            pass
        assert scene.coordinator.deliveries.empty()
        assert [(r["kind"], r["code"]) for r in scene.records()] == [("failed", "CANCELLED")]
        attached.give(scene.task("t2", BY_REGION))
        assert rows_in(await scene.delivered())

    played(play)


def test_a_task_that_takes_too_long_is_told_as_timeout(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", SLOW, timeout_ms=200))
        assert (await attached.next("task_failed")).error.code == "TIMEOUT"

    played(play)


def test_a_task_that_was_sent_twice_runs_once(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", BY_REGION))
        attached.give(scene.task("t1", BY_REGION))
        attached.give(scene.task("t2", BY_REGION))
        delivered = [(await scene.delivered())[0].header.task_id for _ in range(2)]
        assert sorted(delivered) == ["t1", "t2"]

    played(play)


def test_tasks_are_refused_while_the_clocks_are_apart(
    played: Callable[[Play], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def play(scene: Scene) -> None:
        scene.coordinator.clock_offset_s = tokens.CLOCK_SKEW_S + 60
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("t1", BY_REGION))
        failed = await attached.next("task_failed")
        assert (failed.error.code, failed.error.node) == ("CLOCK_SKEW", "hospital_a")
        scene.coordinator.clock_offset_s = 0.0
        await attached.next("heartbeat")
        await attached.next("heartbeat")  # by then the answer to the first has come
        attached.give(scene.task("t2", BY_REGION))
        assert rows_in(await scene.delivered())

    with caplog.at_level(logging.ERROR):
        played(play)
    assert "120 s apart" in caplog.text


# --- cuts and ends -----------------------------------------------------------------------------------------------


def test_a_cut_connection_is_taken_up_again_with_back_off(
    played: Callable[[Play], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        first = await scene.attached()
        first.give(scene.task("lost", SLOW))
        await first.next("task_accepted")
        scene.coordinator.refuse = True
        first.cut()
        async with asyncio.timeout(WAIT_S):
            while len(scene.coordinator.peers) < 5:
                await asyncio.sleep(0.01)
        scene.coordinator.refuse = False
        second = await scene.attached()
        assert (await second.next("heartbeat")).running_tasks == 0  # what nobody waits for any more was stopped
        second.give(scene.task("t1", BY_REGION))
        assert rows_in(await scene.delivered())

    with caplog.at_level(logging.WARNING, "node_agent.agent"):
        played(play)
    waits = [r.args[1] for r in caplog.records if r.msg.startswith("not attached") and isinstance(r.args, tuple)]
    assert waits[:4] == [0.01, 0.02, 0.04, 0.08]
    assert max(waits) == 0.1


def test_a_coordinator_that_is_away_at_the_start_is_waited_for_and_the_agent_can_be_stopped(
    played: Callable[[Play], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def play(scene: Scene) -> None:
        scene.address = "localhost:1"
        scene.start()
        async with asyncio.timeout(WAIT_S):
            while "not attached" not in caplog.text:
                await asyncio.sleep(0.01)
        await scene.stop()

    with caplog.at_level(logging.WARNING):
        played(play)
    assert "UNAVAILABLE" in caplog.text


def test_when_asked_to_stop_the_agent_finishes_what_runs_and_takes_no_more(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(limits={"threads": 1})
        attached = await scene.attached()
        attached.give(scene.task("runs", MEDIUM))
        await attached.next("task_accepted")
        assert scene.agent is not None
        assert scene.running is not None
        scene.agent.stop()
        await attached.next("draining")
        attached.give(scene.task("late", BY_REGION))
        failed = await attached.next("task_failed")
        assert (failed.task_id, failed.error.code) == ("late", "NODE_BUSY")
        assert rows_in(await scene.delivered()) == [{"n": 2**23}]
        await attached.next("end")
        await asyncio.wait_for(scene.running, WAIT_S)

    played(play)


def test_what_does_not_finish_in_time_is_stopped_and_leaves_no_traceback(
    played: Callable[[Play], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def play(scene: Scene) -> None:
        scene.start(limits={"drain_s": 0.1})
        attached = await scene.attached()
        attached.give(scene.task("slow", SLOW))
        await attached.next("task_accepted")
        assert scene.agent is not None
        assert scene.running is not None
        scene.agent.stop()
        await asyncio.wait_for(scene.running, WAIT_S)
        assert scene.records()[-1]["code"] == "CANCELLED"

    played(play)
    gc.collect()
    assert [record for record in caplog.records if record.exc_info] == []


# --- sources -----------------------------------------------------------------------------------------------------


def test_a_changed_file_ends_the_loop_when_nothing_runs_and_is_registered_anew(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        await scene.attached()
        pq.write_table(pa.table({"region": ["Corse"], "code": ["94"], "new": [1]}), scene.directory / "ref.parquet")
        assert scene.running is not None
        assert scene.node is not None
        with pytest.raises(SourceChanged):
            await asyncio.wait_for(scene.running, WAIT_S)
        scene.node.reopen()
        scene.restart()
        attached = await scene.attached()
        (table,) = [t for t in attached.hello.tables if t.name == "ref"]
        assert [c.name for c in table.columns] == ["region", "code", "new"]
        attached.give(scene.task("t1", "SELECT region FROM ref"))
        assert rows_in(await scene.delivered()) == [{"region": "Corse"}]

    played(play)


def test_a_task_over_a_changed_file_is_refused_and_the_sources_looked_at_at_once(
    played: Callable[[Play], None],
) -> None:
    async def play(scene: Scene) -> None:
        scene.start(settings={"source_check_s": 3600.0})
        attached = await scene.attached()
        pq.write_table(pa.table({"region": ["Corse"], "code": ["94"]}), scene.directory / "ref.parquet")
        attached.give(scene.task("t1", "SELECT region FROM ref"))
        assert (await attached.next("task_failed")).error.code == "NODE_CHANGED"
        assert scene.running is not None
        with pytest.raises(SourceChanged):
            await asyncio.wait_for(scene.running, WAIT_S)

    played(play)


# --- what a span tells -------------------------------------------------------------------------------------------


def test_a_task_is_traced_from_its_traceparent_without_values(
    played: Callable[[Play], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from archipel.telemetry import runtime

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    statements: list[str] = []

    class Durations(dict[Any, Any]):
        def __missing__(self, key: Any) -> Any:
            return type("Histogram", (), {"record": lambda *a: statements.append(str(key))})()

    active = runtime.Runtime(
        tracer_provider=provider,
        meter_provider=None,  # type: ignore[arg-type]
        tracer=provider.get_tracer("test"),
        queries=None,  # type: ignore[arg-type]
        exchange_bytes=None,  # type: ignore[arg-type]
        durations=Durations(),
    )
    monkeypatch.setattr(runtime, "_active", active)
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        parent = f"00-{trace}-b7ad6b7169203331-01"
        sql = "SELECT count(*) AS n FROM stays WHERE note <> 'secret-7'"
        attached.give(scene.task("t1", sql, traceparent=parent))
        await scene.delivered()
        attached.give(scene.task("t2", "SELECT note FROM stays", traceparent=parent))
        await attached.next("task_failed")

    played(play)
    spans = {span.name: span for span in exporter.get_finished_spans() if f"{span.context.trace_id:032x}" == trace}
    assert {"archipel.task", "archipel.border", "SELECT stays"} <= spans.keys()
    decisions = [
        (span.attributes["archipel.policy.decision"], span.attributes["archipel.policy.rule"])
        for span in exporter.get_finished_spans()
        if span.name == "archipel.border" and span.attributes
    ]
    assert [decision for decision, _ in decisions] == ["allowed", "refused"]
    assert decisions[1][1] == "row-level-output"
    statement = spans["SELECT stays"].attributes or {}
    assert statement["db.system.name"] == "duckdb"
    assert "<> ?" in str(statement["db.query.text"])
    assert spans["SELECT stays"].parent is not None
    tasks = {span.context.span_id for span in exporter.get_finished_spans() if span.name == "archipel.task"}
    assert spans["SELECT stays"].parent.span_id in tasks
    everything = repr([(span.name, dict(span.attributes or {}), span.events) for span in exporter.get_finished_spans()])
    assert "secret-7" not in everything
    assert "70" not in {str(value) for span in spans.values() for value in (span.attributes or {}).values()}
    assert telemetry.Metric.DB_OPERATION_DURATION in statements


# --- exchange with other nodes ------------------------------------------------------------------------------------


def sealed_by_b(scene: Scene, task: gateway_pb2.Task) -> list[bytes]:
    """Return what hospital_b would seal of an open table for a task of hospital_a."""
    columns = (Column("code", "VARCHAR"),)
    stream = sealing.StreamId(
        federation="dev",
        query_id=task.query_id,
        exchange_id="x1",
        stage_id="s0",
        attempt=1,
        sender="hospital_b",
        receiver="hospital_a",
        permit_id=permit.read_unverified(task.permit)["permit_id"],
        request_sha256=tokens.digest(task.request),
    )
    policy = TablePolicy(protected=False, coordinator_form=Form.ROWS)
    table = pa.table({"code": [f"c{i}" for i in range(1_000)]})
    return list(
        sealing.seal(
            sealing.Header(stream, columns, Table("codes", columns, policy=policy)),
            frames.encode_table(table),
            own=identity.load_sealing_key(scene.keys / "nodes/hospital_b/sealing.pem"),
            receiver=identity.load_sealing_key(scene.keys / "nodes/hospital_a/sealing.pem").public_key(),
        )
    )


def receiving(scene: Scene, task_id: str) -> gateway_pb2.Task:
    """Return a task that counts what hospital_b sealed."""
    source = gateway_pb2.TaskInput(name="x1", exchange_id="x1")
    source.senders.add(node="hospital_b", stage_id="s0", attempt=1)
    return scene.task(task_id, "SELECT count(*) AS n FROM x1", inputs=[source])


def sealing_key_of(scene: Scene) -> dict[str, Any]:
    return {"sealing_key": str(scene.keys / "nodes/hospital_a/sealing.pem")}


def test_what_another_node_sealed_is_collected_opened_and_computed_with(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(**sealing_key_of(scene))
        attached = await scene.attached()
        task = receiving(scene, "t1")
        scene.coordinator.inputs["x1"] = sealed_by_b(scene, task)
        attached.give(task)
        assert rows_in(await scene.delivered()) == [{"n": 1_000}]

    played(play)


def test_a_node_that_was_given_no_sealing_key_refuses_to_exchange(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        task = receiving(scene, "t1")
        scene.coordinator.inputs["x1"] = sealed_by_b(scene, task)
        attached.give(task)
        assert (await attached.next("task_failed")).error.code == "POLICY_REFUSED"
        output = gateway_pb2.SealedOutput(exchange_id="x2", nodes=["hospital_b"])
        attached.give(scene.task("t2", "SELECT code FROM ref", outputs=[output]))
        assert (await attached.next("task_failed")).error.code == "POLICY_REFUSED"

    played(play)


def test_a_stream_that_never_ends_is_given_up_at_the_deadline(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(**sealing_key_of(scene))
        attached = await scene.attached()
        task = receiving(scene, "t1")
        task.timeout_ms = 500
        scene.coordinator.inputs["x1"] = sealed_by_b(scene, task)[:-1]
        scene.coordinator.endless = "x1"
        attached.give(task)
        assert (await attached.next("task_failed")).error.code == "TIMEOUT"

    played(play)


def test_cancelling_ends_a_task_that_waits_for_another_node_s_data(played: Callable[[Play], None]) -> None:
    async def play(scene: Scene) -> None:
        scene.start(limits={"max_concurrent_tasks": 1}, **sealing_key_of(scene))
        attached = await scene.attached()
        task = receiving(scene, "t1")
        scene.coordinator.inputs["x1"] = sealed_by_b(scene, task)[:-1]
        scene.coordinator.endless = "x1"
        attached.give(task)
        await asyncio.wait_for(scene.coordinator.collecting.wait(), WAIT_S)
        attached.cancel("t1")
        attached.give(scene.task("t2", BY_REGION))  # the only place is free again
        assert rows_in(await scene.delivered()) == [{"region": "Normandie", "n": 70}]
        assert [(r["query"], r["kind"], r.get("code")) for r in scene.records()] == [
            ("q-t1", "failed", "CANCELLED"),
            ("q-t2", "released", None),
        ]

    played(play)


def test_an_exchange_that_the_coordinator_does_not_have_is_told_and_not_waited_for(
    played: Callable[[Play], None],
) -> None:
    async def play(scene: Scene) -> None:
        scene.start(**sealing_key_of(scene))
        attached = await scene.attached()
        attached.give(receiving(scene, "t1"))
        failed = await attached.next("task_failed")
        assert failed.error.code not in {"", "TIMEOUT"}

    played(play)


# --- a node that is put together wrongly -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"node": "hospital_b"}, "The signing key"),
        ({"node": "hospital_z"}, "names no node 'hospital_z'"),
        ({"signing_key": "{keys}/nodes/hospital_b/signing.pem"}, "is not the one that the manifest names"),
        ({"signing_key": "{keys}/nodes/hospital_a/tls.key"}, "does not hold an Ed25519 private key"),
        ({"sealing_key": "{keys}/nodes/hospital_b/sealing.pem"}, "is not the one that the manifest names"),
        ({"sealing_key": "{keys}/nodes/hospital_a/signing.pem"}, "does not hold an X25519 private key"),
        ({"linkage_secret": "{keys}/nodes/hospital_a/linkage.json"}, "'linkage_secret' needs 'sealing_key'"),
        (
            {
                "sealing_key": "{keys}/nodes/hospital_a/sealing.pem",
                "linkage_secret": "{keys}/nodes/hospital_a/manifest.jwt",
            },
            "may be read or changed by others",
        ),
        ({"tables": [{**REF, "name": "Archipel_Pads"}]}, "is Archipel's own"),
        ({"tls.certificate": "{keys}/nodes/hospital_b/tls.crt"}, "is for node 'hospital_b'"),
        ({"tls.certificate": "{keys}/coordinator/tls.crt"}, "is for coordinator 'coordinator'"),
        ({"tls.private_key": "{keys}/nodes/hospital_b/tls.key"}, "does not belong to the certificate"),
        ({"tls.private_key": "{keys}/absent.key"}, "cannot be read"),
        ({"tls.authority": "{keys}/nodes/hospital_b/tls.crt"}, "was not issued by the authority"),
        ({"tls.certificate": "{other}/nodes/hospital_a/tls.crt"}, "of federation 'other'"),
        ({"federation.manifest": "{other}/manifest.jwt"}, "not signed by the authority"),
        ({"federation.authority_key": "{other}/authority/authority.pub"}, "not signed by the authority"),
        ({"federation.manifest": "{keys}/absent.jwt"}, "cannot be read"),
        ({"policy": "{keys}/absent.yaml"}, "cannot be read"),
        ({"tables": [REF]}, "the policy names the table 'stays', which hospital_a does not have"),
    ],
)
def test_a_node_whose_parts_do_not_belong_together_does_not_start(
    keys: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    other = tmp_path / "other"
    federation.init(
        other,
        federation="other",
        nodes=[federation.NodeSpec("hospital_a", "x")],
        researcher="alice",
        project="p",
        purpose="p",
        tables={"stays": ["*"]},
    )
    path = write_config(tmp_path, keys, "localhost:1")
    content = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        section, _, key = name.partition(".")
        text = value.format(keys=keys, other=other) if isinstance(value, str) else value
        if key:
            content[section][key] = text
        else:
            content[section] = text
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(errors.ProgrammingError) as problem:
        assemble(configuration.load(path, NodeConfig))
    assert problem.value.code == "CONFIG_INVALID"
    assert told in problem.value.info.message


def test_what_an_engine_left_on_disk_is_removed_when_the_next_one_starts(keys: Path, tmp_path: Path) -> None:
    loaded = configuration.load(write_config(tmp_path, keys, "localhost:1"), NodeConfig)
    spill = tmp_path / "state" / "spill"
    spill.mkdir(parents=True)
    left, other = spill / "duckdb_temp_storage_DEFAULT-0.tmp", spill / "notes.txt"
    for path in (left, other):
        path.write_text("secret-7")
    assemble(loaded, with_audit=False).close()
    assert left.exists(), "whoever only looks may be looking at a running node"
    assemble(loaded).close()
    assert not left.exists()
    assert other.exists()


def test_a_second_agent_over_the_same_state_is_not_let_in(keys: Path, tmp_path: Path) -> None:
    loaded = configuration.load(write_config(tmp_path, keys, "localhost:1"), NodeConfig)
    first = assemble(loaded)
    with pytest.raises(errors.OperationalError, match="another process uses it"):
        assemble(loaded)
    first.close()
    assemble(loaded).close()
