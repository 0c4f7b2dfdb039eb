"""A coordinator that is hostile: a real agent process dials it and gets its tasks; what it delivers is all there is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attack_cases
import attack_ward as ward
import grpc
import pyarrow as pa
import pytest
from attack_attempts import INPUTS, Attacker, Case, cells, marked, prepare

from archipel import frames, tls, wire
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc
from node_agent import audit

pytestmark = pytest.mark.federation

DEADLINE_S = 90.0
EVERY = 12
"""Every how many of all hostile statements are sent through the process."""

HONEST = "SELECT region, count(*) AS n FROM stays GROUP BY region"


@dataclass(slots=True)
class Hostile(gateway_pb2_grpc.NodeGatewayServicer):
    """Sends every task that it was given, keeps what comes back, and is done when each has an end."""

    tasks: list[gateway_pb2.Task]
    failed: dict[str, common_pb2.ErrorDetail] = field(default_factory=dict)
    delivered: dict[str, pa.Table] = field(default_factory=dict)
    hello: gateway_pb2.Hello | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def Attach(self, request: Any, context: Any) -> None:
        first = await context.read()
        self.hello = first.hello
        welcome = gateway_pb2.Welcome(
            coordinator_version="0", heartbeat_interval_s=5, clock_unix_ms=int(time.time() * 1000)
        )
        await context.write(gateway_pb2.AttachResponse(welcome=welcome))
        for task in self.tasks:
            await context.write(gateway_pb2.AttachResponse(task=task))
        async for event in request:
            if event.WhichOneof("event") == "task_failed":
                self.failed[event.task_failed.task_id] = event.task_failed.error
                self._look()

    async def Deliver(self, request: Any, context: Any) -> gateway_pb2.DeliverResponse:
        parts, task = [], ""
        async for message in request:
            if message.WhichOneof("part") == "header":
                task = message.header.task_id
            elif message.WhichOneof("part") == "frame":
                parts.append(message.frame.data)
        self.delivered[task] = frames.decode_table(parts)
        self._look()
        return gateway_pb2.DeliverResponse(accepted=True)

    async def Collect(self, request: gateway_pb2.CollectRequest, context: Any) -> None:
        for part in frames.encode_table(INPUTS[request.exchange_id]):
            await context.write(gateway_pb2.CollectResponse(frame=common_pb2.ArrowFrame(data=part)))

    def _look(self) -> None:
        if len(self.failed) + len(self.delivered) >= len(self.tasks):
            self.done.set()


@dataclass(frozen=True, slots=True)
class Campaign:
    """What came back of a hostile coordinator's tasks."""

    attacker: Attacker
    cases: Mapping[str, Case]
    failed: Mapping[str, common_pb2.ErrorDetail]
    delivered: Mapping[str, pa.Table]
    hello: gateway_pb2.Hello
    log: str
    exit_code: int


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A node process attached to a hostile coordinator, until every task has its end."""
    attacker = prepare(tmp_path_factory.mktemp("campaign"))
    attacker.node.close()  # its audit log is the process's now
    cases = {case.id: case for case in _sample()}
    tasks = [_task(attacker, case.id, case.sql, case.inputs) for case in cases.values()]
    tasks.append(_task(attacker, "honest", HONEST))
    try:
        yield asyncio.run(_wage(attacker, cases, tasks))
    finally:
        attacker.raw.close()


def _sample() -> list[Case]:
    """Return some of each family: short ones, since a message has its bounds."""
    families: dict[str, list[Case]] = {}
    for case in attack_cases.refused():
        if len(case.sql) < 100_000 and case.sql.isprintable():
            families.setdefault(case.family, []).append(case)
    return [case for family in families.values() for case in family[::EVERY]]


def _task(attacker: Attacker, name: str, sql: str, inputs: tuple[str, ...] = ()) -> gateway_pb2.Task:
    order = attacker.order(name, sql, inputs)
    return gateway_pb2.Task(
        task_id=name,
        query_id=name,
        stage_id="n1",
        attempt=1,
        permit=order.permit,
        request=order.request,
        sql=order.sql,
        inputs=[
            gateway_pb2.TaskInput(name=name, exchange_id=name, columns=[wire.column_to_wire(c) for c in columns])
            for name, columns in order.inputs.items()
        ],
        form=common_pb2.FORM_ROWS,
        timeout_ms=30_000,
    )


async def _wage(attacker: Attacker, cases: Mapping[str, Case], tasks: list[gateway_pb2.Task]) -> Campaign:
    keys = attacker.layout.directory / "federation" / "coordinator"
    hostile = Hostile(tasks)
    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    gateway_pb2_grpc.add_NodeGatewayServicer_to_server(hostile, server)  # type: ignore[no-untyped-call]
    files = tls.TlsFiles(keys / "tls.crt", keys / "tls.key", keys / "ca.crt")
    server.add_secure_port(attacker.layout.address, tls.server_credentials(files))
    await server.start()
    log = attacker.layout.directory / "agent.log"
    config = attacker.layout.node_configs[ward.NODE]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "archipel.cli", "node", "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        async with asyncio.timeout(DEADLINE_S):
            await hostile.done.wait()
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 30)
        await server.stop(grace=0)
    assert hostile.hello is not None
    return Campaign(attacker, cases, hostile.failed, hostile.delivered, hostile.hello, log.read_text(), code)


def test_only_the_honest_task_is_delivered(campaign: Campaign) -> None:
    assert set(campaign.delivered) == {"honest"}
    rows = campaign.delivered["honest"].to_pylist()
    assert {row["region"]: row["n"] for row in rows} == {"Nord": 120, "Sud": 90, "Onze": 33}


def test_every_hostile_task_is_refused_with_a_code_that_says_so(campaign: Campaign) -> None:
    assert len(campaign.cases) >= 40
    assert set(campaign.failed) == set(campaign.cases)
    for name, told in campaign.failed.items():
        wanted = campaign.cases[name].code
        assert told.code.startswith(wanted.rstrip("*")), f"{name}: {told.code}"
        assert told.code not in {"INTERNAL", "NODE_EXECUTION", "TIMEOUT"}, name


def test_the_form_that_the_coordinator_claims_is_not_believed(campaign: Campaign) -> None:
    assert campaign.failed["rows-plain"].code == "BORDER_REFUSED"


def test_nothing_that_the_coordinator_is_told_holds_a_value(campaign: Campaign) -> None:
    told = [str(error) for error in campaign.failed.values()]
    told += [str(campaign.hello), *cells(campaign.delivered["honest"])]
    assert not marked(told)


def test_the_agent_s_log_holds_no_value(campaign: Campaign) -> None:
    assert "attached" in campaign.log
    assert not marked(campaign.log.splitlines())


def test_the_agent_ends_well_and_its_audit_log_verifies(campaign: Campaign) -> None:
    assert campaign.exit_code == 0
    assert audit.verify(campaign.attacker.audit_folder).problem == ""
    kinds = {r["query"]: r["kind"] for r in audit.records(campaign.attacker.audit_folder) if "query" in r}
    assert kinds.pop("honest") == "released"
    assert set(kinds.values()) == {"refused"}
    assert set(kinds) == set(campaign.cases)


def test_no_file_outside_the_node_s_own_folder_holds_a_value(campaign: Campaign) -> None:
    own = campaign.attacker.layout.state_dir(ward.NODE)
    paths = [p for p in Path(campaign.attacker.layout.directory).rglob("*") if p.is_file() and own not in p.parents]
    for path in paths:
        content = path.read_bytes()
        assert not [marker for marker in ward.MARKERS if marker.encode() in content], path
