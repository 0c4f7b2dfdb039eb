"""What nodes seal for each other at the coordinator: relayed as it came, bounded, and only to whom it is for."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import coordinator_harness as harness
import grpc
import pyarrow as pa
import pytest
from coordinator_harness import Keys, Node, attached, coordinator, make_config, make_keys, partials, researcher, run

from archipel import errors, frames, identity, receipt, wire
from archipel.schema import Form
from archipel.v1 import common_pb2, gateway_pb2
from coordinator.config import CoordinatorConfig
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind
from coordinator.relay import Relay, RelaySettings

ROUTES = (("x1", "gamma"),)


def relay(*, memory_bytes: int = 0, max_bytes: int = 1_000, directory: Path | None = None) -> Relay:
    """Return a relay; nothing stays in memory unless a test says so."""
    return Relay(RelaySettings(memory_bytes, max_bytes, directory))


async def read(spool: Any) -> list[bytes]:
    """Return what a receiver gets."""
    return [frame async for frame in spool.frames()]


# Room


@pytest.mark.parametrize("memory_bytes", [0, 25, 1_000], ids=["all on disk", "some on disk", "all in memory"])
def test_a_stream_can_be_read_as_it_came_as_often_as_somebody_asks(memory_bytes: int, tmp_path: Path) -> None:
    async def scene() -> None:
        held = relay(memory_bytes=memory_bytes, directory=tmp_path)
        spool = held.open("q1")
        sent = [bytes([65 + i]) * (i * 7) for i in range(8)]
        for frame in sent:
            assert await spool.append(frame)
        assert held.size == sum(map(len, sent))
        assert held.in_memory <= memory_bytes
        assert not list(tmp_path.iterdir()), "a file has a name"
        assert await read(spool) == sent
        assert await read(spool) == sent
        spool.close()
        assert (held.size, held.in_memory) == (0, 0)
        assert await read(spool) == []

    run(scene())


def test_memory_holds_no_more_than_its_bound_however_many_streams_there_are() -> None:
    async def scene() -> None:
        held = relay(memory_bytes=100, max_bytes=100_000)
        spools = [held.open(f"q{i}") for i in range(10)]
        for round_ in range(20):
            for spool in spools:
                await spool.append(bytes(30))
                assert held.in_memory <= 100
            assert held.size == (round_ + 1) * 300
        for spool in spools:
            spool.close()
        assert (held.size, held.in_memory) == (0, 0)

    run(scene())


def test_a_sender_waits_for_room_and_goes_on_when_a_receiver_has_taken_something() -> None:
    async def scene() -> None:
        held = relay()
        first, second = held.open("q1"), held.open("q2")
        await first.append(bytes(900))
        waiting = asyncio.create_task(second.append(bytes(200)))
        while not held.waiting:
            await asyncio.sleep(0)
        assert not waiting.done()
        assert held.size == 900
        first.close()
        assert await waiting
        assert (held.size, held.waiting) == (200, 0)
        second.close()

    run(scene())


def test_a_sender_that_waits_is_told_when_its_query_ends() -> None:
    async def scene() -> None:
        held = relay()
        first, second = held.open("q1"), held.open("q2")
        await first.append(bytes(900))
        waiting = asyncio.create_task(second.append(bytes(200)))
        while not held.waiting:
            await asyncio.sleep(0)
        held.drop("q2")
        assert not await waiting
        assert (held.size, held.waiting) == (900, 0)
        first.close()

    run(scene())


def test_whoever_could_only_wait_for_itself_is_refused() -> None:
    async def scene() -> None:
        held = relay()
        own = held.open("q1")
        await own.append(bytes(900))
        with pytest.raises(errors.OperationalError) as refusal:
            await held.open("q1").append(bytes(200))
        assert refusal.value.code == "NODE_RESOURCES"
        assert refusal.value.hint
        held.drop("q1")
        assert held.size == 0

    run(scene())


def test_of_two_queries_that_would_wait_for_each_other_the_second_is_refused() -> None:
    async def scene() -> None:
        held = relay()
        first, second = held.open("q1"), held.open("q2")
        await first.append(bytes(500))
        await second.append(bytes(450))
        waiting = asyncio.create_task(first.append(bytes(300)))
        while not held.waiting:
            await asyncio.sleep(0)
        with pytest.raises(errors.OperationalError):
            await second.append(bytes(300))
        held.drop("q2")
        assert await waiting
        held.drop("q1")

    run(scene())


def test_a_stream_closed_while_it_is_written_and_read_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        held = relay(directory=tmp_path)
        spool = held.open("q1")
        await spool.append(bytes(100))
        writing = asyncio.create_task(spool.append(bytes(100)))
        reading = asyncio.create_task(read(spool))
        await asyncio.sleep(0)
        spool.close()
        assert not await writing
        assert len(await reading) <= 1
        assert (held.size, held.in_memory) == (0, 0)

    run(scene())


def test_a_disk_that_refuses_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        held = relay(directory=tmp_path / "absent")
        spool = held.open("q1")
        with pytest.raises(errors.OperationalError) as refusal:
            await spool.append(bytes(10))
        assert refusal.value.code == "NODE_RESOURCES"
        spool.close()
        assert held.size == 0

    run(scene())


# Queries


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def config_of(keys: Keys, state: Path, **relaying: Any) -> CoordinatorConfig:
    config = make_config(keys, state)
    return CoordinatorConfig.model_validate({**config.model_dump(), "relay": relaying})


def sealed_plan(
    *, senders: tuple[str, ...] = ("alpha", "beta"), receivers: tuple[str, ...] = ("gamma",)
) -> Callable[..., Plan]:
    """Return a planner: the senders' rows go to the receivers, whose groups the coordinator merges."""
    columns = (OutputColumn("g", "VARCHAR"), OutputColumn("p", "BIGINT"))
    stages = (
        Stage("s1", StageKind.NODE, senders, "SELECT g, v FROM visits", columns),
        Stage("s2", StageKind.NODE, receivers, "SELECT g, sum(p) AS p FROM x1 GROUP BY g", columns, ("x1",)),
        Stage(
            "s3", StageKind.FINISH, (COORDINATOR,), 'SELECT g, sum(p) AS total FROM "x2" GROUP BY g', MERGED, ("x2",)
        ),
    )
    exchanges = (
        Exchange("x1", "s1", "s2", Form.ROWS, "rows", 10, 100),
        Exchange("x2", "s2", "s3", Form.AGGREGATE, "aggregate", 10, 100),
    )
    return lambda asked, catalog, permit, describe: Plan(asked.sql, stages, exchanges, "s3", MERGED)


MERGED = harness.MERGED_COLUMNS
PERMIT_NODES = ("alpha", "beta", "gamma")


def token_for(
    sender: Node, task: gateway_pb2.Task, parts: Sequence[bytes], route: tuple[str, str], **changes: Any
) -> str:
    signing = identity.load_signing_key(sender.keys.directory / "nodes" / sender.name / "signing.pem")
    content: dict[str, Any] = {
        "node": sender.name,
        "query_id": task.query_id,
        "stage_id": task.stage_id,
        "attempt": task.attempt,
        "permit_id": "permit-1",
        "request_sha256": "0" * 64,
        "sql_sha256": "0" * 64,
        "form": "rows",
        "rule": "test",
        "min_persons": 11,
        "bytes": 0,
        "content_sha256": hashlib.sha256(b"".join(parts)).hexdigest(),
        "audit_record": "0" * 64,
        "time": int(time.time()),
        "exchange": route[0],
        "destination": route[1],
    }
    return receipt.sign(receipt.ReceiptContent(**(content | changes)), signing)


async def deliver_sealed(
    sender: Node,
    task: gateway_pb2.Task,
    parts: Sequence[bytes] = (b"opening", b"secret"),
    routes: Sequence[tuple[str, str]] = ROUTES,
    *,
    told: Sequence[bytes] | None = None,
    pulled: list[int] | None = None,
    **changes: Any,
) -> bool:
    """Deliver the same parts to every route; ``pulled`` counts those that the transport has asked for."""

    async def messages() -> AsyncIterator[gateway_pb2.DeliverRequest]:
        yield gateway_pb2.DeliverRequest(
            header=gateway_pb2.DeliverHeader(
                task_id=task.task_id, query_id=task.query_id, stage_id=task.stage_id, attempt=task.attempt
            )
        )
        for exchange_id, receiver in routes:
            stream = gateway_pb2.SealedStream(exchange_id=exchange_id, receiver=receiver)
            yield gateway_pb2.DeliverRequest(stream=stream)
            for part in parts:
                if pulled is not None:
                    pulled.append(len(part))
                yield gateway_pb2.DeliverRequest(frame=common_pb2.ArrowFrame(data=part))
            token = token_for(sender, task, told or parts, (exchange_id, receiver), **changes)
            end = gateway_pb2.SealedStreamEnd(receipt=common_pb2.Receipt(token=token))
            yield gateway_pb2.DeliverRequest(stream_end=end)
        yield gateway_pb2.DeliverRequest(trailer=gateway_pb2.DeliverTrailer(engine_ms=1.0))

    answer = await sender.stub.Deliver(messages(), timeout=harness.TEST_TIMEOUT_S)
    return bool(answer.accepted)


async def collect(node: Node, task: gateway_pb2.Task, sender: str, exchange_id: str = "x1") -> list[bytes]:
    """Collect what a sender sealed for a task."""
    request = gateway_pb2.CollectRequest(task_id=task.task_id, exchange_id=exchange_id, sender=sender)
    try:
        return [part.frame.data async for part in node.stub.Collect(request, timeout=harness.TEST_TIMEOUT_S)]
    except grpc.aio.AioRpcError as cause:
        raise wire.from_rpc_error(cause) from cause


def test_a_coordinator_whose_folder_for_ciphertext_is_not_there_does_not_start(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(errors.ProgrammingError, match=r"relay\.directory") as problem:
            async with coordinator(config_of(keys, tmp_path, directory=tmp_path / "absent"), planner=sealed_plan()):
                pass
        assert problem.value.code == "CONFIG_INVALID"

    run(scene())


def test_what_two_nodes_seal_reaches_the_third_byte_for_byte_and_in_order(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path, memory_bytes=10), planner=sealed_plan()) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            for node, text in ((beta, b"of beta"), (alpha, b"of alpha")):
                task = await node.tasks.get()
                (output,) = task.outputs
                assert (output.exchange_id, list(output.nodes), output.part_column) == ("x1", ["gamma"], "")
                assert await deliver_sealed(node, task, (b"opening", text, b"end"))
            task = await gamma.tasks.get()
            assert not task.outputs
            (source,) = task.inputs
            assert [(s.node, s.stage_id, s.attempt) for s in source.senders] == [("alpha", "s1", 1), ("beta", "s1", 1)]
            assert await collect(gamma, task, "alpha") == [b"opening", b"of alpha", b"end"]
            assert await collect(gamma, task, "beta") == [b"opening", b"of beta", b"end"]
            assert await gamma.deliver(task, partials(a=3))
            info, table = await alice.answer(query)
            assert table.to_pylist() == [{"g": "a", "total": 3}]
            routes = {(c.sender, c.receiver, c.form) for c in info.crossings}
            assert routes == {("alpha", "gamma", "rows"), ("beta", "gamma", "rows"), ("gamma", "", "aggregate")}
            assert {receipt.read_unverified(r.token)["destination"] for r in info.receipts} == {"gamma", COORDINATOR}

    run(scene())


def test_what_is_for_another_node_is_not_taken_in_one_message_for_the_coordinator(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan()) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta"),
            attached(server, keys, "gamma"),
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert not await alpha.deliver(await alpha.tasks.get(), partials(a=3), whole=True)
            failure = await alice.failure(query)
            assert (failure.code, failure.node) == ("NODE_EXECUTION", "alpha")

    run(scene())


def test_nobody_but_the_receiver_s_task_gets_a_sealed_stream(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(receivers=("beta", "gamma"))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            await alice.submit()
            sent = await alpha.tasks.get()
            routes = (("x1", "beta"), ("x1", "gamma"))
            assert await deliver_sealed(alpha, sent, (b"a",), routes)
            assert await deliver_sealed(beta, await beta.tasks.get(), (b"b",), routes)
            for node in (beta, gamma):
                task = await node.tasks.get()
                assert await collect(node, task, "alpha") == [b"a"]
                for other, exchange_id in (("gamma", "x1"), ("alpha", "x2"), ("nobody", "x1")):
                    with pytest.raises(errors.ProgrammingError):
                        await collect(node, task, other, exchange_id)
                with pytest.raises(errors.ProgrammingError):
                    await collect(node, task, "")
                with pytest.raises(errors.ProgrammingError):
                    await collect(alpha, task, "beta")
            with pytest.raises(errors.ProgrammingError):
                await collect(alpha, sent, "beta")

    run(scene())


def test_what_a_receiver_needs_no_more_gives_its_room_back_before_the_query_ends(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        plan = sealed_plan(senders=("alpha",), receivers=("beta", "gamma"))
        async with (
            coordinator(config_of(keys, tmp_path), planner=plan) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            routes = (("x1", "beta"), ("x1", "gamma"))
            assert await deliver_sealed(alpha, await alpha.tasks.get(), [bytes(500)], routes)
            assert server.relay.size == 1_000
            first, second = await beta.tasks.get(), await gamma.tasks.get()
            assert await beta.deliver(first, partials(a=1))
            assert server.relay.size == 500
            assert await collect(gamma, second, "alpha") == [bytes(500)]
            assert await gamma.deliver(second, partials(a=1))
            await alice.answer(query)

    run(scene())


def test_a_sender_that_tries_again_counts_once_and_the_receiver_is_told_which_attempt(
    keys: Keys, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan()) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            await alice.submit()
            first = await alpha.tasks.get()
            await alpha.fail(first, errors.NODE_BUSY)
            assert await deliver_sealed(beta, await beta.tasks.get())
            second = await alpha.tasks.get()
            assert not await deliver_sealed(alpha, first, (b"late",))
            assert await deliver_sealed(alpha, second, (b"again",))
            assert not await deliver_sealed(alpha, second, (b"twice",))
            task = await gamma.tasks.get()
            assert [(s.node, s.attempt) for s in task.inputs[0].senders] == [("alpha", 2), ("beta", 1)]
            assert await collect(gamma, task, "alpha") == [b"again"]

    run(scene())


def test_a_receiver_that_tries_again_finds_everything_still_there(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert await deliver_sealed(alpha, await alpha.tasks.get())
            first = await gamma.tasks.get()
            assert await collect(gamma, first, "alpha") == [b"opening", b"secret"]
            await gamma.fail(first, errors.NODE_BUSY)
            second = await gamma.tasks.get()
            assert second.inputs[0].senders[0].attempt == 1
            assert await collect(gamma, second, "alpha") == [b"opening", b"secret"]
            assert await gamma.deliver(second, partials(a=1))
            await alice.answer(query)
            with pytest.raises(errors.ProgrammingError):
                await collect(gamma, second, "alpha")

    run(scene())


@pytest.mark.parametrize("lost", ["sender", "receiver"])
def test_a_party_that_is_lost_fails_the_query_by_name_and_frees_the_room(lost: str, keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan()) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            async with attached(server, keys, "gamma") as gamma:
                query = await alice.submit()
                first, second = await alpha.tasks.get(), await beta.tasks.get()
                assert await deliver_sealed(alpha, first)
                if lost == "receiver":
                    assert await deliver_sealed(beta, second)
                    await gamma.tasks.get()
                    gamma.stream.cancel()
                else:
                    beta.stream.cancel()
                problem = await alice.failure(query)
            assert problem.code == "NODE_UNAVAILABLE"
            assert problem.node == {"sender": "beta", "receiver": "gamma"}[lost]
            assert server.relay.size == 0

    run(scene())


def test_a_sender_that_is_lost_after_it_delivered_is_not_missed(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            async with attached(server, keys, "alpha") as alpha:
                query = await alice.submit()
                assert await deliver_sealed(alpha, await alpha.tasks.get())
                task = await gamma.tasks.get()
            assert await collect(gamma, task, "alpha") == [b"opening", b"secret"]
            assert await gamma.deliver(task, partials(a=1))
            await alice.answer(query)

    run(scene())


def test_cancelling_reaches_the_receiver_and_a_sender_that_is_still_sending(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan()) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "beta") as beta,
            attached(server, keys, "gamma"),
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert await deliver_sealed(alpha, await alpha.tasks.get())
            task = await beta.tasks.get()
            await alice.stub.Cancel(harness.query_pb2.CancelRequest(query_id=query))
            assert await beta.cancelled.get() == task.task_id
            assert not await deliver_sealed(beta, task)
            assert (await alice.ended(query)).kind == "cancelled"
            assert server.relay.size == 0

    run(scene())


def test_a_receiver_that_never_collects_ends_with_the_deadline(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit(timeout_s=1.0)
            assert await deliver_sealed(alpha, await alpha.tasks.get())
            task = await gamma.tasks.get()
            assert (await alice.failure(query)).code == "TIMEOUT"
            assert await gamma.cancelled.get() == task.task_id
            assert server.relay.size == 0

    run(scene())


def test_a_slow_receiver_stops_the_sender_of_another_query_until_it_has_taken_its_part(
    keys: Keys, tmp_path: Path
) -> None:
    """The bound is on what waits here; how much more is under way is the transport's own bounded window."""
    part = bytes(200_000)
    many = [part] * 200  # 40 MB, far more than any window

    async def scene() -> None:
        limits = {"memory_bytes": 300_000, "max_bytes": 41_000_000}
        async with (
            coordinator(config_of(keys, tmp_path, **limits), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            first = await alice.submit()
            assert await deliver_sealed(alpha, await alpha.tasks.get(), [part] * 100)
            slow = await gamma.tasks.get()
            second = await alice.submit()
            pulled: list[int] = []
            sending = asyncio.create_task(deliver_sealed(alpha, await alpha.tasks.get(), many, pulled=pulled))
            while not server.relay.waiting:
                await asyncio.sleep(0)
            assert server.relay.size <= limits["max_bytes"]
            assert server.relay.in_memory <= limits["memory_bytes"]
            assert not sending.done()
            assert len(pulled) < len(many)
            assert len(await collect(gamma, slow, "alpha")) == 100
            assert await gamma.deliver(slow, partials(a=1))
            await alice.answer(first)
            assert await sending
            assert len(pulled) == len(many)
            task = await gamma.tasks.get()
            assert len(await collect(gamma, task, "alpha")) == len(many)
            assert await gamma.deliver(task, partials(a=1))
            await alice.answer(second)
            assert server.relay.size == 0

    run(scene())


def test_more_than_may_ever_wait_is_refused_and_says_what_to_do(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path, max_bytes=50_000), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma"),
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert not await deliver_sealed(alpha, await alpha.tasks.get(), [bytes(20_000)] * 4)
            problem = await alice.failure(query)
            assert problem.code == "NODE_RESOURCES"
            assert problem.hint
            assert server.relay.size == 0

    run(scene())


@pytest.mark.parametrize(
    "delivery",
    [
        {"routes": ()},
        {"routes": (("x1", "beta"),)},
        {"routes": (("x2", "gamma"),)},
        {"routes": (("x1", "gamma"), ("x1", "gamma"))},
        {"told": (b"something", b"else")},
        {"attempt": 2},
        {"query_id": "another"},
        {"destination": "beta"},
        {"destination": COORDINATOR},
        {"exchange": ""},
        {"node": "beta"},
        {"parts": (bytes(3 * 1024 * 1024),)},
    ],
    ids=[
        "nothing",
        "to another node",
        "of another exchange",
        "twice",
        "receipt for other data",
        "receipt for another attempt",
        "receipt for another query",
        "receipt for another receiver",
        "receipt for the coordinator",
        "receipt for no exchange",
        "receipt of another node",
        "a frame without measure",
    ],
)
def test_a_sealed_delivery_that_is_not_as_it_should_be_is_refused_and_leaves_nothing(
    delivery: dict[str, Any], keys: Keys, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma"),
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert not await deliver_sealed(alpha, await alpha.tasks.get(), **delivery)
            problem = await alice.failure(query)
            assert (problem.code, problem.node) == ("NODE_EXECUTION", "alpha")
            assert server.relay.size == 0

    run(scene())


def test_rows_in_the_clear_are_not_taken_for_a_sealed_stage(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma"),
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            assert not await alpha.deliver(await alpha.tasks.get(), pa.table({"g": ["a"], "p": [1]}))
            assert (await alice.failure(query)).code == "NODE_EXECUTION"

    run(scene())


def test_a_broken_sealed_delivery_may_begin_again(keys: Keys, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            coordinator(config_of(keys, tmp_path), planner=sealed_plan(senders=("alpha",))) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            query = await alice.submit()
            task = await alpha.tasks.get()
            begun = alpha.stub.Deliver(timeout=harness.TEST_TIMEOUT_S)
            header = gateway_pb2.DeliverHeader(
                task_id=task.task_id, query_id=task.query_id, stage_id=task.stage_id, attempt=task.attempt
            )
            await begun.write(gateway_pb2.DeliverRequest(header=header))
            stream = gateway_pb2.SealedStream(exchange_id="x1", receiver="gamma")
            await begun.write(gateway_pb2.DeliverRequest(stream=stream))
            await begun.write(gateway_pb2.DeliverRequest(frame=common_pb2.ArrowFrame(data=b"half")))
            while not server.relay.size:
                await asyncio.sleep(0)
            begun.cancel()
            while server.relay.size:
                await asyncio.sleep(0)
            assert await deliver_sealed(alpha, task, (b"whole",))
            received = await gamma.tasks.get()
            assert await collect(gamma, received, "alpha") == [b"whole"]
            assert await gamma.deliver(received, partials(a=1))
            await alice.answer(query)

    run(scene())


def test_an_input_of_the_coordinator_s_own_is_still_given_in_the_clear(keys: Keys, tmp_path: Path) -> None:
    """A node stage may read what the coordinator merged, too."""
    columns = (OutputColumn("g", "VARCHAR"), OutputColumn("p", "BIGINT"))
    stages = (
        Stage("s1", StageKind.NODE, ("alpha",), "SELECT g, v FROM visits", columns),
        Stage("s2", StageKind.NODE, ("alpha",), "SELECT g, v FROM visits", columns),
        Stage(
            "s3", StageKind.NODE, ("gamma",), "SELECT g, p FROM x1 UNION ALL SELECT g, p FROM x2", columns, ("x1", "x2")
        ),
        Stage(
            "s4", StageKind.FINISH, (COORDINATOR,), 'SELECT g, sum(p) AS total FROM "x3" GROUP BY g', MERGED, ("x3",)
        ),
        Stage("m1", StageKind.FINISH, (COORDINATOR,), 'SELECT g, p FROM "y1"', columns, ("y1",)),
    )
    ordered = (stages[0], stages[1], stages[4], stages[2], stages[3])
    exchanges = (
        Exchange("x1", "s1", "s3", Form.ROWS, "rows", 10, 100),
        Exchange("y1", "s2", "m1", Form.ROWS, "rows", 10, 100),
        Exchange("x2", "m1", "s3", Form.ROWS, "own", 10, 100),
        Exchange("x3", "s3", "s4", Form.AGGREGATE, "aggregate", 10, 100),
    )

    async def scene() -> None:
        def planner(asked: Any, catalog: Any, permit: Any, describe: Any) -> Plan:
            return Plan(asked.sql, ordered, exchanges, "s4", MERGED)

        async with (
            coordinator(config_of(keys, tmp_path), planner=planner) as server,
            attached(server, keys, "alpha") as alpha,
            attached(server, keys, "gamma") as gamma,
            researcher(server, keys, permit_token=keys.permit_token(nodes=PERMIT_NODES)) as alice,
        ):
            await alice.submit()
            for _ in range(2):
                task = await alpha.tasks.get()
                if task.outputs:
                    assert await deliver_sealed(alpha, task, (b"sealed",))
                else:
                    assert await alpha.deliver(task, partials(b=2))
            task = await gamma.tasks.get()
            assert [bool(source.senders) for source in task.inputs] == [True, False]
            assert await collect(gamma, task, "alpha") == [b"sealed"]
            with pytest.raises(errors.ProgrammingError):
                await collect(gamma, task, "alpha", "x2")
            assert frames.decode_table(await collect(gamma, task, "", "x2")).to_pylist() == [{"g": "b", "p": 2}]

    run(scene())
