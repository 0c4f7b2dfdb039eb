"""Queries through a real coordinator over real TLS, with nodes that a test moves by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from coordinator_harness import (
    PARTIAL_COLUMNS,
    SQL,
    Keys,
    Node,
    Researcher,
    attached,
    coordinator,
    hello_of,
    make_config,
    make_keys,
    partials,
    researcher,
    run,
    sum_plan,
    told,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

import archipel
from archipel import errors, frames
from archipel.schema import Form
from archipel.tokens import CLOCK_SKEW_S
from archipel.v1 import common_pb2, gateway_pb2, query_pb2
from coordinator.merge.merger import Merger
from coordinator.plan import Exchange, Plan, Stage, StageKind
from coordinator.seen import SeenRequests
from coordinator.server import Server

FINISHED = query_pb2.QUERY_STATE_FINISHED
CANCELLED = query_pb2.QUERY_STATE_CANCELLED


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("federation") / "keys")


@dataclass
class World:
    """A coordinator, two nodes and a researcher."""

    server: Server
    alpha: Node
    beta: Node
    alice: Researcher

    async def ask(self, **options: Any) -> tuple[str, gateway_pb2.Task, gateway_pb2.Task]:
        """Submit a query; return it and the task of each node."""
        query_id = await self.alice.submit(**options)
        return query_id, await self.alpha.tasks.get(), await self.beta.tasks.get()

    async def closing(self) -> None:
        """Return when the coordinator says that it ends."""
        health = health_pb2_grpc.HealthStub(self.alpha.channel)
        async for answer in health.Watch(health_pb2.HealthCheckRequest(), timeout=20):
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                return

    async def give(self, node: Node, table: pa.Table) -> None:
        """Deliver a table for a node's next task."""
        assert await node.deliver(await node.tasks.get(), table)

    async def answer(self, **options: Any) -> tuple[query_pb2.ResultInfo, pa.Table]:
        """Ask and answer a query."""
        query_id, first, second = await self.ask(**options)
        assert await self.alpha.deliver(first, partials(a=1, b=2))
        assert await self.beta.deliver(second, partials(b=5))
        return await self.alice.answer(query_id)


@contextlib.asynccontextmanager
async def world(keys: Keys, state: Path, *, planner: Any = sum_plan, **settings: Any) -> AsyncIterator[World]:
    changes = {name: settings.pop(name) for name in ("now", "explain_text") if name in settings}
    async with (
        coordinator(make_config(keys, state, **settings), planner=planner, **changes) as server,
        attached(server, keys, "alpha") as alpha,
        attached(server, keys, "beta") as beta,
        researcher(server, keys) as alice,
    ):
        yield World(server, alpha, beta, alice)


def notices(info: query_pb2.ResultInfo, kind: str) -> dict[str, str]:
    return {notice.node: notice.text for notice in info.notices if notice.kind == kind}


def test_an_aggregate_over_two_nodes_is_merged_finished_and_fetched(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert first.sql == second.sql == "SELECT g, sum(v) AS p FROM visits GROUP BY g"
            assert first.form == common_pb2.FORM_AGGREGATE
            assert 25_000 < first.timeout_ms <= 30_000
            assert await w.beta.deliver(second, partials(b=5, c=1), engine_ms=7.0)
            assert await w.alpha.deliver(first, partials(a=1, b=2))
            info, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 1}, {"g": "b", "total": 7}, {"g": "c", "total": 1}]
            assert info.complete
            assert not info.notices
            assert info.merged_by == "in-process"
            assert [(n.node, n.holder, n.outcome) for n in info.nodes] == [
                ("alpha", "Holder of alpha", "released"),
                ("beta", "Holder of beta", "released"),
            ]
            sent = sum(len(part) for part in frames.encode_table(partials(b=5, c=1)))
            assert (info.nodes[1].bytes_crossed, info.nodes[1].engine_ms) == (sent, 7.0)
            assert len(info.receipts) == 2
            kinds = [event.kind async for event in w.alice.events(query_id)]
            assert kinds == [
                *("queued", "planned", "dispatched", "dispatched"),
                *("delivered", "delivered", "merged", "finished"),
            ]

    run(scenario())


def test_the_real_client_asks_and_gets_its_answer(keys: Keys, tmp_path: Path) -> None:
    permit = tmp_path / "permit.jwt"
    permit.write_text(keys.permit_token(nodes=("alpha", "beta")))

    def client(port: int) -> archipel.Result:
        key = keys.directory / "researchers" / "alice" / "alice.pem"
        with archipel.connect(f"localhost:{port}", permit=permit, key=key) as connection:
            assert connection.explain(SQL).text == f"plan of {SQL}"
            query = connection.query(SQL)
            result = query.result()
            assert query.status == "finished"
            assert [(n.name, n.attached) for n in connection.nodes()] == [
                ("alpha", True),
                ("beta", True),
                ("gamma", False),
            ]
            assert [(t.name, t.nodes) for t in connection.tables("VIS%")] == [("visits", ("alpha", "beta"))]
            assert connection.tables("vis") == []
            return result

    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(asyncio.to_thread(client, w.server.port))
                group.create_task(w.give(w.alpha, partials(a=1)))
                group.create_task(w.give(w.beta, partials(a=2)))
            result = asking.result()
            assert result.complete
            assert result.to_arrow().to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


def test_the_plan_of_a_past_query_is_told_with_what_was_measured_to_its_researcher_alone(
    keys: Keys, tmp_path: Path
) -> None:
    clock = [time.time()]

    async def scenario() -> None:
        async with world(keys, tmp_path, results_keep_s=100.0, now=lambda: clock[0]) as w:

            async def explained(query_id: str, who: Any = w.alice) -> Any:
                return await told(who.stub.Explain(query_pb2.ExplainRequest(query_id=query_id), timeout=20))

            asked = await w.alice.submit()
            running = json.loads((await explained(asked)).json)
            assert (running["query"]["state"], running["measured"]) == ("running", None)
            untold = common_pb2.Withheld(threshold_applied=True, min_persons=11)
            await w.alpha.deliver(await w.alpha.tasks.get(), partials(a=1, b=2), engine_ms=2.5)
            await w.beta.deliver(await w.beta.tasks.get(), partials(a=1), withheld=untold)
            await w.alice.ended(asked)
            clock[0] += 101  # the rows have expired, the plan has not
            answer = await explained(asked)
            plan = json.loads(answer.json)
            assert plan["query"]["result_rows"] == 2
            nodes, merge, finish = plan["measured"]
            assert [(s["node"], s["rows"], s["engine_ms"]) for s in nodes["sites"]] == [
                ("alpha", 2, 2.5),
                ("beta", None, 1.5),
            ]
            assert all(
                s["bytes"] > 0 and s["total_ms"] == pytest.approx(s["engine_ms"] + s["waiting_ms"], abs=2)
                for s in nodes["sites"]
            )
            assert (nodes["rows"], merge["rows"], finish["rows"]) == (None, None, 2)
            assert merge["executor"] == "in-process"
            assert "measured: rows not told (estimated 10)" in answer.text
            with pytest.raises(errors.ProgrammingError) as problem:
                await explained("no such query")
            assert problem.value.code == "QUERY_NOT_FOUND"
            async with researcher(w.server, keys, "bob") as bob:
                with pytest.raises(errors.ProgrammingError) as problem:
                    await explained(asked, bob)
            assert problem.value.code == "QUERY_NOT_FOUND"

    run(scenario())


@pytest.mark.parametrize(("megabytes", "told"), [(1, "plan of"), (3, "Plan with 3 stages"), (5, "")])
def test_a_plan_too_long_for_a_message_is_made_text_at_the_client_or_refused(
    megabytes: int, told: str, keys: Keys, tmp_path: Path
) -> None:
    permit = tmp_path / "permit.jwt"
    permit.write_text(keys.permit_token(nodes=("alpha", "beta")))

    def planner(*asked: Any) -> Plan:
        plan = sum_plan(*asked)
        filled = replace(plan.stages[1], sql=plan.stages[1].sql + " " * (megabytes * 1024 * 1024))
        return replace(plan, stages=(plan.stages[0], filled, plan.stages[2]))

    def client(port: int) -> str:
        key = keys.directory / "researchers" / "alice" / "alice.pem"
        with archipel.connect(f"localhost:{port}", permit=permit, key=key) as connection:
            if told:
                return connection.explain(SQL).text
            with pytest.raises(errors.ProgrammingError, match="too large to be shown"):
                connection.explain(SQL)
            return ""

    async def scenario() -> None:
        async with world(
            keys, tmp_path, planner=planner, explain_text=lambda plan: f"plan of {'x' * 1024 * 1024}"
        ) as w:
            assert (await asyncio.to_thread(client, w.server.port)).startswith(told)

    run(scenario())


def test_the_notes_of_a_plan_come_with_the_result(keys: Keys, tmp_path: Path) -> None:
    def planner(*asked: Any) -> Plan:
        return replace(sum_plan(*asked), notes=("Sums are exact.",))

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=planner) as w:
            asked = await w.alice.submit()
            await w.give(w.alpha, partials(a=1))
            await w.give(w.beta, partials(a=2))
            await w.alice.ended(asked)
            info, _ = await w.alice.fetch(asked)
            assert [(n.kind, n.text) for n in info.notices] == [("plan", "Sums are exact.")]
            assert info.complete

    run(scenario())


def test_a_delivery_counts_once(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert await w.alpha.deliver(first, partials(a=1))
            assert not await w.alpha.deliver(first, partials(a=100))
            assert await w.beta.deliver(second, partials(a=2))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]
            assert not await w.beta.deliver(second, partials(a=100))

    run(scenario())


def test_only_the_node_that_was_asked_may_deliver_or_refuse(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert not await w.beta.deliver(first, partials(a=100))
            await w.beta.fail(first, errors.NODE_EXECUTION)
            assert await w.beta.deliver(second, partials(a=2))
            assert await w.alpha.deliver(first, partials(a=1))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


@pytest.mark.parametrize("whole", [False, True])
def test_a_receipt_for_something_else_fails_the_query(keys: Keys, tmp_path: Path, whole: bool) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert not await w.alpha.deliver(first, partials(a=100), signed_for=partials(a=1), whole=whole)
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("NODE_EXECUTION", "alpha")
            assert await w.beta.cancelled.get() == second.task_id

    run(scenario())


def test_an_output_in_one_message_counts_once_and_only_for_the_task_that_its_node_has(
    keys: Keys, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert first.takes_whole
            assert not await w.beta.deliver(first, partials(a=50), whole=True)
            assert await w.alpha.deliver(first, partials(a=1), whole=True)
            assert not await w.alpha.deliver(first, partials(a=50), whole=True)
            assert await w.beta.deliver(second, partials(a=2), whole=True)
            info, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]
            assert len(info.receipts) == 2

    run(scenario())


def test_an_output_on_the_node_s_stream_counts_once_and_only_for_the_task_that_its_node_has(
    keys: Keys, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert first.attached_bytes >= 1024
            await w.beta.deliver(first, partials(a=50), attached=True)
            await w.alpha.deliver(first, partials(a=1), attached=True)
            await w.alpha.deliver(first, partials(a=50), attached=True)
            await w.beta.deliver(second, partials(a=2), attached=True)
            info, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]
            assert len(info.receipts) == 2

    run(scenario())


@pytest.mark.parametrize("wrong", ["receipt", "size"])
def test_what_is_wrong_with_an_output_on_the_stream_ends_its_query_and_not_the_stream(
    keys: Keys, tmp_path: Path, wrong: str
) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            if wrong == "receipt":
                await w.alpha.deliver(first, partials(a=100), signed_for=partials(a=1), attached=True)
            else:
                large = pa.table({"g": ["x" * 100] * 1000, "p": pa.array([1] * 1000, pa.decimal128(38, 0))})
                await w.alpha.deliver(first, large, attached=True)
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("NODE_EXECUTION", "alpha")
            assert await w.beta.cancelled.get() == second.task_id
            query_id, first, second = await w.ask()
            await w.alpha.deliver(first, partials(a=1), attached=True)
            await w.beta.deliver(second, partials(a=2), attached=True)
            assert (await w.alice.answer(query_id))[1].to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


def test_data_that_is_not_what_was_agreed_fails_the_query(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert await w.alpha.deliver(first, pa.table({"g": ["a"], "p": ["a secret value"]}))
            assert await w.beta.deliver(second, partials(a=2))
            failure = await w.alice.failure(query_id)
            assert failure.code == "MERGE_FAILED"
            assert "secret" not in str(failure)

    run(scenario())


@pytest.mark.parametrize("whole", [False, True])
def test_more_bytes_than_a_stage_may_give_fail_the_query(keys: Keys, tmp_path: Path, whole: bool) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, max_stage_bytes=1_000) as w:
            query_id, first, _ = await w.ask()
            assert first.max_bytes == 1_000
            await w.alpha.deliver(first, pa.table({"g": ["x" * 100] * 20_000, "p": [1] * 20_000}), whole=whole)
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("RESULT_TOO_LARGE", "alpha")

    run(scenario())


def test_a_node_lost_under_its_task_fails_the_query_by_name(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys) as alice,
        ):
            async with attached(server, keys, "beta") as beta:
                query_id = await alice.submit()
                task = await alpha.tasks.get()
                await beta.tasks.get()
            failure = await alice.failure(query_id)
            assert (failure.code, failure.node) == ("NODE_UNAVAILABLE", "beta")
            assert await alpha.cancelled.get() == task.task_id

    run(scenario())


def test_a_partial_query_goes_on_without_a_lost_node_and_says_so(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys) as alice,
        ):
            async with attached(server, keys, "beta") as beta:
                query_id = await alice.submit(on_missing="partial")
                first = await alpha.tasks.get()
                assert await beta.deliver(await beta.tasks.get(), partials(a=2))
                await alice.seen(query_id, "delivered", "beta")
                query_2 = await alice.submit(on_missing="partial")
                first_2 = await alpha.tasks.get()
                await beta.tasks.get()
            # beta had answered the first query, and had not the second
            assert await alpha.deliver(first, partials(a=1))
            info, table = await alice.answer(query_id)
            assert info.complete
            assert table.to_pylist() == [{"g": "a", "total": 3}]
            assert await alpha.cancelled.get() == first_2.task_id
            again = await alpha.tasks.get()
            assert again.query_id == query_2
            assert again.task_id != first_2.task_id
            assert not await alpha.deliver(first_2, partials(a=100))
            assert await alpha.deliver(again, partials(a=1))
            info, table = await alice.answer(query_2)
            assert table.to_pylist() == [{"g": "a", "total": 1}]
            assert not info.complete
            assert {n.node: n.outcome for n in info.nodes} == {"alpha": "released", "beta": "unavailable"}
            assert "beta" in notices(info, "coverage")["beta"]

    run(scenario())


def test_a_node_that_is_away_is_remembered_over_a_restart_and_named(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        config = make_config(keys, tmp_path)
        async with coordinator(config) as server, attached(server, keys, "beta"):
            pass
        async with (
            coordinator(config) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys) as alice,
        ):
            failure = await alice.failure(await alice.submit())
            assert (failure.code, failure.node) == ("NODE_UNAVAILABLE", "beta")
            assert "beta" in failure.info.message
            query_id = await alice.submit(on_missing="partial")
            assert await alpha.deliver(await alpha.tasks.get(), partials(a=1))
            info, _ = await alice.answer(query_id)
            assert not info.complete
            assert {n.node: n.outcome for n in info.nodes} == {"alpha": "released", "beta": "unavailable"}

    run(scenario())


def test_a_table_that_a_node_does_not_offer_now_is_missing_like_that_of_a_node_that_is_away(
    keys: Keys, tmp_path: Path
) -> None:
    broken = hello_of("beta", tables=[], withdrawn_tables=[common_pb2.Table(name="visits")])

    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha") as alpha,
            researcher(server, keys) as alice,
        ):
            async with attached(server, keys, "beta", broken) as beta:
                failure = await alice.failure(await alice.submit())
                assert (failure.code, failure.node) == ("NODE_UNAVAILABLE", "beta")
                assert "Node 'beta' does not offer what it holds of table 'visits' now." in failure.info.message
                assert "operator finds the cause in its log" in failure.hint
                query_id = await alice.submit(on_missing="partial")
                assert await alpha.deliver(await alpha.tasks.get(), partials(a=1))
                info, table = await alice.answer(query_id)
                assert table.to_pylist() == [{"g": "a", "total": 1}]
                assert not info.complete
                assert {n.node: n.outcome for n in info.nodes} == {"alpha": "released", "beta": "unavailable"}
                assert "does not offer what it holds of table 'visits'" in notices(info, "coverage")["beta"]
                assert beta.tasks.empty()
                (listed,) = (await told(alice.stub.ListTables(query_pb2.ListTablesRequest()))).tables
                assert (list(listed.nodes), list(listed.withdrawn_at)) == (["alpha", "beta"], ["beta"])
                nodes = (await told(alice.stub.ListNodes(query_pb2.ListNodesRequest()))).nodes
                assert {n.node: list(n.withdrawn_tables) for n in nodes if n.attached} == {
                    "alpha": [],
                    "beta": ["visits"],
                }
            failure = await alice.failure(await alice.submit())
            assert failure.info.message == "Node 'beta' is not available."
            async with attached(server, keys, "beta") as beta:
                query_id = await alice.submit()
                assert await alpha.deliver(await alpha.tasks.get(), partials(a=1))
                assert await beta.deliver(await beta.tasks.get(), partials(a=2))
                info, table = await alice.answer(query_id)
                assert (info.complete, table.to_pylist()) == (True, [{"g": "a", "total": 3}])

    run(scenario())


def test_where_all_holders_of_a_table_are_away_a_partial_query_names_them(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with coordinator(make_config(keys, tmp_path)) as server, researcher(server, keys) as alice:
            async with attached(server, keys, "alpha"), attached(server, keys, "beta"):
                pass
            failure = await alice.failure(await alice.submit(on_missing="partial"))
            assert failure.code == "NODE_UNAVAILABLE"
            assert "'alpha', 'beta'" in failure.info.message

    run(scenario())


def test_a_node_of_the_permit_that_never_came_makes_an_answer_incomplete(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            wide = Researcher(w.alice.stub, w.alice.identity, keys.permit_token(nodes=("alpha", "beta", "gamma")))
            info, _ = await World(w.server, w.alpha, w.beta, wide).answer()
            assert not info.complete
            assert "never been attached" in notices(info, "coverage")["gamma"]

    run(scenario())


def test_only_nodes_that_the_permit_names_take_part(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            narrow = Researcher(w.alice.stub, w.alice.identity, keys.permit_token(nodes=("alpha",)))
            query_id = await narrow.submit()
            assert await w.alpha.deliver(await w.alpha.tasks.get(), partials(a=1))
            info, _ = await narrow.answer(query_id)
            assert [n.node for n in info.nodes] == ["alpha"]
            assert w.beta.tasks.empty()

    run(scenario())


def test_cancelling_reaches_the_nodes_and_nothing_is_taken_afterwards(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert await w.alpha.deliver(first, partials(a=1))
            answer = await told(w.alice.stub.Cancel(query_pb2.CancelRequest(query_id=query_id), timeout=20))
            assert answer.state == CANCELLED
            assert await w.beta.cancelled.get() == second.task_id
            assert not await w.beta.deliver(second, partials(a=1))
            last = await w.alice.ended(query_id)
            assert (last.kind, last.state, last.error.code) == ("cancelled", CANCELLED, "CANCELLED")
            assert w.alpha.cancelled.empty()
            again = await told(w.alice.stub.Cancel(query_pb2.CancelRequest(query_id=query_id), timeout=20))
            assert again.state == CANCELLED
            with pytest.raises(errors.OperationalError, match="cancelled"):
                await w.alice.fetch(query_id)

    run(scenario())


ENDLESS = {
    "merge": 'SELECT "g", sum("p") + max(r) AS "total" FROM "e1", range(10000000000000) AS t(r) GROUP BY "g"',
    "finish": 'SELECT "g", max("total" + r) AS "total" FROM "e2", range(10000000000000) AS t(r) GROUP BY "g"',
}


@pytest.mark.parametrize("slow", ["merge", "finish"])
def test_cancelling_interrupts_a_merge_or_finish_in_progress(
    slow: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: queue.Queue[str] = queue.Queue()
    ended: queue.Queue[str] = queue.Queue()
    real = getattr(Merger, slow)

    def witnessed(*arguments: Any, **options: Any) -> Any:
        began.put(slow)
        try:
            return real(*arguments, **options)
        except errors.ArchipelError as cause:
            ended.put(cause.code)
            raise

    def planner(*asked: Any) -> Plan:
        plan = sum_plan(*asked)
        stages = (replace(s, sql=ENDLESS[slow]) if s.kind.value == slow else s for s in plan.stages)
        return replace(plan, stages=tuple(stages))

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=planner) as w:
            asked = await w.alice.submit(timeout_s=600.0)
            await w.give(w.alpha, partials(a=1))
            await w.give(w.beta, partials(a=2))
            assert await asyncio.to_thread(began.get, timeout=20) == slow
            await told(w.alice.stub.Cancel(query_pb2.CancelRequest(query_id=asked), timeout=20))
            assert await asyncio.to_thread(ended.get, timeout=20) == "CANCELLED"
            assert (await w.alice.ended(asked)).kind == "cancelled"

    monkeypatch.setattr(Merger, slow, witnessed)
    run(scenario())


def test_a_deadline_ends_a_query_and_its_tasks(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask(timeout_s=0.3)
            assert first.timeout_ms <= 300
            assert (await w.alice.failure(query_id)).code == "TIMEOUT"
            assert await w.alpha.cancelled.get() == first.task_id
            assert await w.beta.cancelled.get() == second.task_id

    run(scenario())


def test_a_refusal_at_a_node_fails_the_query_and_cancels_the_others(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            await w.alpha.fail(first, errors.BORDER_REFUSED, "Not this column.")
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("BORDER_REFUSED", "alpha")
            assert failure.info.message == "Not this column."
            assert failure.position is None
            assert failure.query_id == query_id
            assert await w.beta.cancelled.get() == second.task_id

    run(scenario())


def test_a_busy_node_is_asked_again(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            await w.alpha.fail(first, errors.NODE_BUSY)
            assert await w.beta.deliver(second, partials(a=2))
            again = await w.alpha.tasks.get()
            assert (again.stage_id, again.attempt) == (first.stage_id, first.attempt + 1)
            assert not await w.alpha.deliver(first, partials(a=100))
            assert await w.alpha.deliver(again, partials(a=1))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


def test_a_draining_node_ends_its_task_and_gets_no_new_one(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            await w.alpha.say(draining=gateway_pb2.Draining())
            while (await told(w.alice.stub.ListNodes(query_pb2.ListNodesRequest(), timeout=20))).nodes[0].attached:
                pass
            failure = await w.alice.failure(await w.alice.submit())
            assert (failure.code, failure.node) == ("NODE_UNAVAILABLE", "alpha")
            assert w.alpha.tasks.empty()
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


def test_what_nodes_withhold_is_said_in_words_and_numbers_where_they_tell(keys: Keys, tmp_path: Path) -> None:
    def said(groups: int | None) -> common_pb2.Withheld:
        withheld = common_pb2.Withheld(threshold_applied=True, min_persons=11)
        if groups is not None:
            withheld.groups = groups
        return withheld

    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            assert await w.alpha.deliver(first, partials(a=1), withheld=said(None))
            assert await w.beta.deliver(second, partials(), withheld=said(3))
            info, _ = await w.alice.answer(query_id)
            assert not info.complete
            assert {n.node: n.outcome for n in info.nodes} == {"alpha": "released", "beta": "withheld"}
            assert info.nodes[1].withheld.groups == 3
            assert not info.nodes[0].withheld.HasField("groups")
            words = notices(info, "suppression")
            assert "may have withheld" in words["alpha"]
            assert "withheld 3 groups of fewer than 11 persons" in words["beta"]
            assert all("lower bounds" in text for text in words.values())

    run(scenario())


def test_a_result_over_the_rows_asked_for_is_an_error(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask(max_rows=1)
            assert await w.alpha.deliver(first, partials(a=1, b=2))
            assert await w.beta.deliver(second, partials())
            assert (await w.alice.failure(query_id)).code == "RESULT_TOO_LARGE"

    run(scenario())


def one_node(asked: Any, catalog: Any, permit_: Any, describe: Any) -> Plan:
    stage = Stage("n1", StageKind.NODE, ("alpha",), "SELECT g, p FROM visits", PARTIAL_COLUMNS)
    return Plan(asked.sql, (stage,), (), "n1", PARTIAL_COLUMNS)


def test_what_one_node_delivers_can_be_the_result_and_streams_in_many_frames(keys: Keys, tmp_path: Path) -> None:
    rows = pa.table({"g": [f"group {i}" for i in range(200_000)], "p": list(range(200_000))})

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=one_node) as w:
            query_id = await w.alice.submit()
            task = await w.alpha.tasks.get()
            assert task.form == common_pb2.FORM_ROWS
            assert await w.alpha.deliver(task, rows)
            info, table = await w.alice.answer(query_id)
            assert table.equals(rows)
            assert info.merged_by == ""
            query_id = await w.alice.submit(max_rows=199_999)
            await w.alpha.deliver(await w.alpha.tasks.get(), rows)
            assert (await w.alice.failure(query_id)).code == "RESULT_TOO_LARGE"

    run(scenario())


def with_input(asked: Any, catalog: Any, permit_: Any, describe: Any) -> Plan:
    first = sum_plan(asked, catalog, permit_, describe)
    stages = (
        *first.stages[:2],
        Stage("n2", StageKind.NODE, ("beta",), "SELECT g, p FROM visits JOIN e2 USING (g)", PARTIAL_COLUMNS, ("e2",)),
        Stage("f1", StageKind.FINISH, ("@coordinator",), 'SELECT "g", "p" FROM "e3"', PARTIAL_COLUMNS, ("e3",)),
    )
    exchanges = (
        first.exchanges[0],
        Exchange("e2", "m1", "n2", Form.AGGREGATE, "own", 1, 1),
        Exchange("e3", "n2", "f1", Form.AGGREGATE, "aggregate", 1, 1),
    )
    return Plan(asked.sql, stages, exchanges, "f1", PARTIAL_COLUMNS)


def test_a_later_stage_at_a_node_collects_what_earlier_ones_gave(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, planner=with_input) as w:
            query_id, first, second = await w.ask()
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            later = await w.beta.tasks.get()
            assert [(i.name, i.exchange_id, [c.name for c in i.columns]) for i in later.inputs] == [
                ("e2", "e2", ["g", "total"])
            ]
            request = gateway_pb2.CollectRequest(task_id=later.task_id, exchange_id="e2")
            parts = [part.frame.data async for part in w.beta.stub.Collect(request, timeout=20)]
            assert frames.decode_table(parts).to_pylist() == [{"g": "a", "total": 3}]
            with pytest.raises(grpc.aio.AioRpcError) as stolen:
                [part async for part in w.alpha.stub.Collect(request, timeout=20)]
            assert stolen.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert await w.beta.deliver(later, partials(a=9))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "p": 9}]

    run(scenario())


def test_the_same_request_again_is_the_same_query(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            signed = w.alice.sign(request_id="same-request")
            both = await asyncio.gather(w.alice.submit_signed(signed), w.alice.submit_signed(signed))
            assert both[0] == both[1]
            assert await w.alpha.deliver(await w.alpha.tasks.get(), partials(a=1))
            assert await w.beta.deliver(await w.beta.tasks.get(), partials(a=2))
            await w.alice.answer(both[0])
            assert await w.alice.submit_signed(signed) == both[0]
            assert w.alpha.tasks.empty()
            other = w.alice.sign(sql=f"{SQL} LIMIT 1", request_id="same-request")
            with pytest.raises(errors.ProgrammingError) as problem:
                await w.alice.submit_signed(other)
            assert problem.value.code == "BAD_REQUEST"

    run(scenario())


@pytest.mark.parametrize("clocks", [(0, 0, 0), (1_000, 900, 975)], ids=["a steady clock", "a clock that went back"])
def test_the_same_request_after_a_restart_is_the_same_query(
    keys: Keys, tmp_path: Path, clocks: tuple[int, int, int]
) -> None:
    """Where the clock went back the request looks new; then it is found when the store does not take it."""
    clock = {"ahead_s": clocks[0]}

    def now() -> float:
        return time.time() + clock["ahead_s"]

    async def scenario() -> None:
        async with world(keys, tmp_path, now=now) as w:
            same = {"request_id": "same-request", "issued": int(now()) + 30}
            signed, other = w.alice.sign(**same), w.alice.sign(sql=f"{SQL} LIMIT 1", **same)
            query_id = await w.alice.submit_signed(signed)
            await w.give(w.alpha, partials(a=1))
            await w.give(w.beta, partials(a=2))
            await w.alice.answer(query_id)
        clock["ahead_s"] = clocks[1]
        async with world(keys, tmp_path, now=now) as w:
            clock["ahead_s"] = clocks[2]
            assert await w.alice.submit_signed(signed) == query_id
            with pytest.raises(errors.ProgrammingError) as problem:
                await w.alice.submit_signed(other)
            assert problem.value.code == "BAD_REQUEST"
            assert len((await told(w.alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries) == 1

    run(scenario())


def test_only_requests_that_may_be_stored_are_looked_up() -> None:
    seen = SeenRequests(1_000.0, most_kept=2)
    keys_ = [("permit", "alice", f"request-{number}") for number in range(4)]
    assert seen.may_be_stored(keys_[0], 1_000 + CLOCK_SKEW_S)
    assert not seen.may_be_stored(keys_[0], 1_001 + CLOCK_SKEW_S)
    for number, key in enumerate(keys_[:3]):
        seen.add(key, 2_000.0 + number)
    assert [seen.may_be_stored(key, 9_999) for key in keys_] == [False, True, True, False]
    assert seen.may_be_stored(keys_[0], 2_000 + CLOCK_SKEW_S)  # the forgotten one is looked up again


def test_a_restart_keeps_finished_queries_and_ends_open_ones_as_interrupted(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            info, answer = await w.answer()
            finished = (await told(w.alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries[0]
            open_query, _, _ = await w.ask()
            before = [event.sequence async for event in take(w.alice.events(open_query), 4)]
        with contextlib.closing(sqlite3.connect(tmp_path / "coordinator.db")) as database:
            # as if the process had been killed: its end was never written
            database.execute("UPDATE queries SET state = 'running', error = '' WHERE query_id = ?", (open_query,))
            database.execute("DELETE FROM events WHERE query_id = ? AND state = 'failed'", (open_query,))
            database.commit()
        async with coordinator(make_config(keys, tmp_path)) as server, researcher(server, keys) as alice:
            kept_info, kept = await alice.fetch(finished.query_id)
            assert kept.equals(answer)
            assert kept_info == info
            last = await alice.ended(open_query)
            assert last.error.code == "INTERRUPTED"
            assert last.sequence > max(before)
            with pytest.raises(errors.OperationalError) as problem:
                await alice.fetch(open_query)
            assert problem.value.code == "INTERRUPTED"

    run(scenario())


async def take(stream: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    """Yield the first ``count`` of a stream."""
    async for item in stream:
        yield item
        count -= 1
        if count == 0:
            return


def test_an_ending_coordinator_takes_no_query_and_lets_running_ones_end(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, drain_s=30.0) as w:
            query_id, first, second = await w.ask()
            watching = asyncio.create_task(w.alice.ended(query_id))
            ending = asyncio.create_task(w.server.stop())
            await w.closing()
            with pytest.raises(errors.OperationalError) as problem:
                await w.alice.submit()
            assert problem.value.code == "COORDINATOR_UNAVAILABLE"
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            assert (await watching).kind == "finished"
            await ending

    run(scenario())


def test_queries_beyond_the_limit_wait_and_beyond_the_queue_are_refused(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, max_concurrent_queries=1, max_queued_queries=1) as w:
            first_query, first, second = await w.ask()
            waiting = await w.alice.submit()
            with pytest.raises(errors.OperationalError) as problem:
                await w.alice.submit()
            assert problem.value.code == "TOO_MANY_QUERIES"
            assert w.alpha.tasks.empty()
            listed = (await told(w.alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries
            assert {q.query_id: q.state for q in listed} == {
                first_query: query_pb2.QUERY_STATE_RUNNING,
                waiting: query_pb2.QUERY_STATE_QUEUED,
            }
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            assert (await w.alpha.tasks.get()).query_id == waiting

    run(scenario())


def test_a_table_registered_anew_while_a_query_waits_is_planned_for_again(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, max_concurrent_queries=1) as w:
            _, first, second = await w.ask()
            waiting = await w.alice.submit()
            wide = Researcher(w.alice.stub, w.alice.identity, keys.permit_token(nodes=("alpha", "beta", "gamma")))
            also_waiting = await wide.submit()
            async with attached(w.server, keys, "gamma") as gamma:
                assert await w.alpha.deliver(first, partials(a=1))
                assert await w.beta.deliver(second, partials(a=2))
                for query_id in (waiting, also_waiting):
                    task = await w.alpha.tasks.get()
                    assert task.query_id == query_id
                    assert await w.alpha.deliver(task, partials(a=1))
                    assert await w.beta.deliver(await w.beta.tasks.get(), partials(a=2))
                assert await gamma.deliver(await gamma.tasks.get(), partials(a=4))
                _, table = await w.alice.answer(waiting)
                assert table.to_pylist() == [{"g": "a", "total": 3}]
                _, table = await wide.answer(also_waiting)
                assert table.to_pylist() == [{"g": "a", "total": 7}]

    run(scenario())


def test_an_expired_result_is_said_to_be_expired(keys: Keys, tmp_path: Path) -> None:
    clock = [time.time()]

    async def scenario() -> None:
        async with world(keys, tmp_path, results_keep_s=100.0, now=lambda: clock[0]) as w:
            await w.answer()
            query = (await told(w.alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))).queries[0]
            await w.alice.fetch(query.query_id)
            clock[0] += 101
            with pytest.raises(errors.OperationalError) as problem:
                await w.alice.fetch(query.query_id)
            assert problem.value.code == "RESULT_EXPIRED"

    run(scenario())


def test_a_result_that_cannot_be_stored_is_not_reported_as_finished(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            with contextlib.closing(sqlite3.connect(tmp_path / "coordinator.db")) as database:
                database.execute("DROP TABLE result_chunks")
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            failure = await w.alice.failure(query_id)
            assert failure.code == "INTERNAL"
            assert "store" in failure.info.message

    run(scenario())


def test_a_fault_of_ours_has_a_fixed_text_and_no_value_gets_into_the_log(
    keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Plan:
        raise RuntimeError("a secret literal of the query")

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=broken) as w:
            with pytest.raises(errors.InternalError) as problem:
                await w.alice.submit()
            assert problem.value.info.message == "The coordinator failed."

    run(scenario())
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_plan_that_cannot_be_made_is_told_at_once_with_its_place(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with coordinator(make_config(keys, tmp_path)) as server, researcher(server, keys) as alice:
            message = query_pb2.ExplainRequest(permit=alice.permit_token, request=alice.sign())
            for call in (alice.submit(), told(alice.stub.Explain(message, timeout=20))):
                with pytest.raises(errors.ProgrammingError) as problem:
                    await call
                assert problem.value.code == "SQL_UNKNOWN_TABLE"
                assert problem.value.position == errors.Position(1, 31)
            listed = await told(alice.stub.ListQueries(query_pb2.ListQueriesRequest(), timeout=20))
            assert not listed.queries

    run(scenario())


def test_engines_that_could_answer_differently_are_not_asked_together(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha"),
            attached(server, keys, "beta", hello_of("beta", collation="fr_FR")),
            researcher(server, keys) as alice,
        ):
            with pytest.raises(errors.OperationalError) as problem:
                await alice.submit()
            assert problem.value.code == "SCHEMA_CONFLICT"
            for word in ("alpha", "beta", "collation", "fr_FR"):
                assert word in problem.value.info.message

    run(scenario())


def test_a_clock_that_is_apart_is_said_with_the_result(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        late = int((time.time() - 300) * 1000)
        async with (
            coordinator(make_config(keys, tmp_path)) as server,
            attached(server, keys, "alpha", hello_of("alpha", clock_unix_ms=late)) as alpha,
            attached(server, keys, "beta") as beta,
            researcher(server, keys) as alice,
        ):
            info, _ = await World(server, alpha, beta, alice).answer()
            assert list(notices(info, "clock")) == ["alpha"]
            status = (await told(alice.stub.ListNodes(query_pb2.ListNodesRequest(), timeout=20))).nodes[0]
            assert -310_000 < status.clock_offset_ms < -290_000

    run(scenario())


def test_a_query_that_cannot_be_stored_is_refused_and_runs_no_further(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            with contextlib.closing(sqlite3.connect(tmp_path / "coordinator.db")) as database:
                database.execute("DROP TABLE events")
            with pytest.raises(errors.InternalError) as problem:
                await w.alice.submit()
            assert "store" in problem.value.info.message
            assert await w.alpha.cancelled.get() == (await w.alpha.tasks.get()).task_id

    run(scenario())


def header_of(task: gateway_pb2.Task) -> gateway_pb2.DeliverRequest:
    return gateway_pb2.DeliverRequest(
        header=gateway_pb2.DeliverHeader(
            task_id=task.task_id, query_id=task.query_id, stage_id=task.stage_id, attempt=task.attempt
        )
    )


def test_a_delivery_that_broke_off_can_be_begun_again(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, second = await w.ask()
            begun = w.alpha.stub.Deliver(timeout=20)
            await begun.write(header_of(first))
            await begun.write(gateway_pb2.DeliverRequest(frame=common_pb2.ArrowFrame(data=b"half of it")))
            begun.cancel()
            while not await w.alpha.deliver(first, partials(a=1)):
                pass  # the coordinator has not yet heard that the first one broke off
            assert await w.beta.deliver(second, partials(a=2))
            _, table = await w.alice.answer(query_id)
            assert table.to_pylist() == [{"g": "a", "total": 3}]

    run(scenario())


@pytest.mark.parametrize(
    "frame", [b"", b"\xff" * 1_000, b"".join(frames.encode_table(partials(a=1)))[:-80]], ids=["nothing", "noise", "cut"]
)
def test_a_delivery_that_is_no_arrow_stream_fails_the_query(keys: Keys, tmp_path: Path, frame: bytes) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, _ = await w.ask()
            delivery = w.alpha.stub.Deliver(timeout=20)
            await delivery.write(header_of(first))
            await delivery.write(gateway_pb2.DeliverRequest(frame=common_pb2.ArrowFrame(data=frame)))
            await delivery.write(gateway_pb2.DeliverRequest(trailer=gateway_pb2.DeliverTrailer()))
            await delivery.done_writing()
            assert not (await delivery).accepted
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("NODE_EXECUTION", "alpha")

    run(scenario())


def test_a_delivery_without_an_end_fails_the_query(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path) as w:
            query_id, first, _ = await w.ask()
            delivery = w.alpha.stub.Deliver(timeout=20)
            await delivery.write(header_of(first))
            await delivery.done_writing()
            assert not (await delivery).accepted
            failure = await w.alice.failure(query_id)
            assert (failure.code, failure.node) == ("NODE_EXECUTION", "alpha")

    run(scenario())


def test_two_hundred_queries_at_once_all_get_their_own_answer(keys: Keys, tmp_path: Path) -> None:
    async def serve(node: Node) -> None:
        while True:
            task = await node.tasks.get()
            asyncio.get_running_loop().create_task(node.deliver(task, partials(a=int(task.sql.split()[-1]))))

    def numbered(asked: Any, catalog: Any, permit_: Any, describe: Any) -> Plan:
        plan = sum_plan(asked, catalog, permit_, describe)
        stage = replace(plan.stages[0], sql=f"{plan.stages[0].sql} -- {asked.sql}")
        return replace(plan, stages=(stage, *plan.stages[1:]))

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=numbered) as w:
            serving = [asyncio.create_task(serve(node)) for node in (w.alpha, w.beta)]
            queries = await asyncio.gather(*(w.alice.submit(str(number)) for number in range(200)))
            answers = await asyncio.gather(*(w.alice.answer(query_id) for query_id in queries))
            assert [table.to_pylist() for _, table in answers] == [
                [{"g": "a", "total": 2 * number}] for number in range(200)
            ]
            for task in serving:
                task.cancel()

    run(scenario())


def test_a_stage_that_fits_into_no_message_is_refused_before_it_ends_a_nodes_stream(keys: Keys, tmp_path: Path) -> None:
    def long(asked: Any, catalog: Any, permit_: Any, describe: Any) -> Plan:
        plan = sum_plan(asked, catalog, permit_, describe)
        stage = replace(plan.stages[0], sql=plan.stages[0].sql + " " * (4 * 1024 * 1024))
        return replace(plan, stages=(stage, *plan.stages[1:]))

    async def scenario() -> None:
        async with world(keys, tmp_path, planner=long) as w:
            with pytest.raises(errors.ProgrammingError) as problem:
                await w.alice.submit()
            assert problem.value.code == "SQL_TOO_LARGE"
            assert not w.alpha.ended.done()

    run(scenario())


def test_a_waiting_query_that_is_cancelled_leaves_its_place(keys: Keys, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(keys, tmp_path, max_concurrent_queries=1) as w:
            _, first, second = await w.ask()
            waiting, last = await w.alice.submit(), await w.alice.submit()
            await told(w.alice.stub.Cancel(query_pb2.CancelRequest(query_id=waiting), timeout=20))
            assert (await w.alice.ended(waiting)).kind == "cancelled"
            assert await w.alpha.deliver(first, partials(a=1))
            assert await w.beta.deliver(second, partials(a=2))
            assert (await w.alpha.tasks.get()).query_id == last

    run(scenario())
