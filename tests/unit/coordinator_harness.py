"""A real coordinator over real TLS, and nodes and researchers that a test moves by hand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from archipel import errors, federation, frames, identity, permit, receipt, request, tls, wire
from archipel.permit import Permit
from archipel.request import Request
from archipel.schema import Column, Form, Role, Table, TablePolicy
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc, query_pb2, query_pb2_grpc
from coordinator.assembly import Parts, assemble_with
from coordinator.catalog import Catalog
from coordinator.config import CoordinatorConfig
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind
from coordinator.server import Server

T = TypeVar("T")

NODES = ("alpha", "beta", "gamma")
RESEARCHERS = ("alice", "bob")
TEST_TIMEOUT_S = 60
SQL = "SELECT g, sum(v) AS total FROM visits GROUP BY g ORDER BY g"

VISITS = Table(
    name="visits",
    columns=(Column("person", "BIGINT"), Column("g", "VARCHAR"), Column("v", "BIGINT")),
    person_column="person",
    person_domain="p",
    policy=TablePolicy(coordinator_form=Form.AGGREGATE, roles=(("g", Role.GROUP), ("v", Role.MEASURE))),
)
PARTIAL_COLUMNS = (OutputColumn("g", "VARCHAR"), OutputColumn("p", "BIGINT"))
MERGED_COLUMNS = (OutputColumn("g", "VARCHAR"), OutputColumn("total", "HUGEINT"))
PARTIAL_SCHEMA = pa.schema([("g", pa.string()), ("p", pa.int64())])


def partials(**groups: int) -> pa.Table:
    """Return what a node delivers: its groups and their partial sums."""
    return pa.table({"g": list(groups), "p": list(groups.values())}, schema=PARTIAL_SCHEMA)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine to its end, but not for ever."""

    async def bounded() -> T:
        async with asyncio.timeout(TEST_TIMEOUT_S):
            return await work

    return asyncio.run(bounded())


def sum_plan(asked: Request, catalog: Catalog, permit_: Permit, describe: Any) -> Plan:
    """Plan by hand: partial sums at every node that holds visits, a merge, and an ordered finish."""
    entry = catalog.find("visits")
    if entry is None:
        raise errors.error(errors.SQL_UNKNOWN_TABLE, "There is no table 'visits'.", position=errors.Position(1, 31))
    if entry.conflict is not None:
        raise errors.raised(entry.conflict)
    stages = (
        Stage("n1", StageKind.NODE, entry.nodes, "SELECT g, sum(v) AS p FROM visits GROUP BY g", PARTIAL_COLUMNS),
        Stage(
            "m1",
            StageKind.MERGE,
            (COORDINATOR,),
            'SELECT "g", sum("p") AS "total" FROM "e1" GROUP BY "g"',
            MERGED_COLUMNS,
            ("e1",),
            ("g",),
        ),
        Stage(
            "f1",
            StageKind.FINISH,
            (COORDINATOR,),
            'SELECT "g", "total" FROM "e2" ORDER BY "g"',
            MERGED_COLUMNS,
            ("e2",),
        ),
    )
    exchanges = (
        Exchange("e1", "n1", "m1", Form.AGGREGATE, "aggregate", 10, 100),
        Exchange("e2", "m1", "f1", Form.AGGREGATE, "own", 10, 100),
    )
    return Plan(asked.sql, stages, exchanges, "f1", MERGED_COLUMNS)


@dataclass(frozen=True, slots=True)
class Keys:
    """A federation's files."""

    directory: Path

    def permit_token(self, *, nodes: Sequence[str] = NODES, **changes: Any) -> str:
        """Return a permit for all researchers over ``nodes``."""
        authority = identity.load_signing_key(self.directory / "authority" / "authority.pem")
        now = datetime.now(UTC)
        holders = [
            permit.Researcher(name=n, key=permit.tokens.encode_public_key(self.researcher(n).signing_key.public_key()))
            for n in RESEARCHERS
        ]
        content: dict[str, Any] = {
            "permit_id": "permit-1",
            "federation": "test",
            "project": "study",
            "purpose": "tests",
            "researchers": tuple(holders),
            "tables": (permit.TableGrant(table="visits", columns=("*",)),),
            "nodes": tuple(nodes),
            "not_before": int((now - timedelta(hours=1)).timestamp()),
            "expires": int((now + timedelta(hours=1)).timestamp()),
        }
        return permit.issue(Permit(**(content | changes)), authority)

    def researcher(self, name: str) -> identity.ResearcherIdentity:
        """Return a researcher's identity."""
        return identity.ResearcherIdentity.load(self.directory / "researchers" / name / f"{name}.pem")


def make_keys(directory: Path, *, federation_name: str = "test") -> Keys:
    """Create a federation of ``NODES`` with two researchers."""
    federation.init(
        directory,
        federation=federation_name,
        nodes=[federation.NodeSpec(name=n, holder=f"Holder of {n}") for n in NODES],
        researcher="alice",
        project="study",
        purpose="tests",
        tables={"visits": ["*"]},
        valid_days=2,
    )
    key = serialization.load_pem_private_key((directory / "authority" / "ca.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate((directory / "authority" / "ca.crt").read_bytes())
    authority = federation.CertificateAuthority(federation_name, key, certificate)
    federation.create_researcher(
        directory / "researchers" / "bob", authority, "bob", now=datetime.now(UTC), valid_days=2
    )
    return Keys(directory)


def make_config(keys: Keys, state: Path, **limits: Any) -> CoordinatorConfig:
    """Return a configuration that listens on a free port."""
    own = keys.directory / "coordinator"
    store = {"url": f"sqlite:///{state / 'coordinator.db'}", "results_keep_s": limits.pop("results_keep_s", 3600.0)}
    return CoordinatorConfig.model_validate(
        {
            "listen": "localhost:0",
            "tls": {
                "certificate": own / "tls.crt",
                "private_key": own / "tls.key",
                "authority": own / "ca.crt",
            },
            "federation": {"manifest": own / "manifest.jwt", "authority_key": own / "authority.pub"},
            "store": store,
            "merge": {"ray": {"mode": "off"}},
            "limits": {"drain_s": 0.0, **limits},
        }
    )


@contextlib.asynccontextmanager
async def coordinator(
    config: CoordinatorConfig, *, planner: Callable[..., Plan] = sum_plan, **changes: Any
) -> AsyncIterator[Server]:
    """Run a coordinator whose plans a test makes."""
    parts: Parts = assemble_with(config, planner=planner, explain_text=lambda plan: f"plan of {plan.sql}")
    server = Server(
        replace(parts, **{k: v for k, v in changes.items() if k != "now"}), now=changes.get("now", time.time)
    )
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


@dataclass(eq=False)
class Node:
    """A node that speaks the gateway's protocol and does what a test tells it."""

    name: str
    channel: grpc.aio.Channel
    stub: gateway_pb2_grpc.NodeGatewayStub
    keys: Keys
    outbox: asyncio.Queue[gateway_pb2.AttachRequest | None] = field(default_factory=asyncio.Queue)
    tasks: asyncio.Queue[gateway_pb2.Task] = field(default_factory=asyncio.Queue)
    cancelled: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    acks: asyncio.Queue[gateway_pb2.HeartbeatAck] = field(default_factory=asyncio.Queue)
    welcome: asyncio.Future[gateway_pb2.Welcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    ended: asyncio.Future[errors.ArchipelError | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    stream: Any = None

    async def attach(self, hello: gateway_pb2.Hello) -> None:
        """Say hello and serve the stream until it ends."""
        await self.outbox.put(gateway_pb2.AttachRequest(hello=hello))
        self.stream = self.stub.Attach(self._sent())
        try:
            async for answer in self.stream:
                match answer.WhichOneof("instruction"):
                    case "welcome":
                        self.welcome.set_result(answer.welcome)
                    case "task":
                        await self.tasks.put(answer.task)
                    case "heartbeat_ack":
                        await self.acks.put(answer.heartbeat_ack)
                    case "cancel_task":
                        await self.cancelled.put(answer.cancel_task.task_id)
            problem = None
        except grpc.aio.AioRpcError as cause:
            problem = wire.from_rpc_error(cause)
        except asyncio.CancelledError:
            problem = None
        self.ended.set_result(problem)
        if not self.welcome.done():
            self.welcome.set_exception(problem or AssertionError("the stream ended before the welcome"))

    async def _sent(self) -> AsyncIterator[gateway_pb2.AttachRequest]:
        while (message := await self.outbox.get()) is not None:
            yield message

    async def say(self, **event: Any) -> None:
        """Send a message on the stream."""
        await self.outbox.put(gateway_pb2.AttachRequest(**event))

    async def fail(self, task: gateway_pb2.Task, code: errors.ErrorCode, message: str = "No.") -> None:
        """Refuse a task."""
        detail = wire.error_to_wire(errors.ErrorInfo(code, message))
        await self.say(task_failed=gateway_pb2.TaskFailed(task_id=task.task_id, error=detail))

    async def deliver(
        self,
        task: gateway_pb2.Task,
        table: pa.Table,
        *,
        withheld: common_pb2.Withheld | None = None,
        signed_for: pa.Table | None = None,
        engine_ms: float = 1.5,
        whole: bool = False,
        attached: bool = False,
    ) -> bool:
        """Deliver a task's output, with ``whole`` in one message; return whether the coordinator took it.

        With ``attached`` the message goes on the node's stream, on which nothing is answered.
        """
        parts = list(frames.encode_table(table))
        signed = list(frames.encode_table(signed_for)) if signed_for is not None else parts
        token = self._receipt(task, signed)

        header = gateway_pb2.DeliverHeader(
            task_id=task.task_id, query_id=task.query_id, stage_id=task.stage_id, attempt=task.attempt
        )
        sent = [common_pb2.ArrowFrame(data=part) for part in parts]
        trailer = gateway_pb2.DeliverTrailer(
            withheld=withheld or common_pb2.Withheld(threshold_applied=True, min_persons=11, groups=0),
            receipt=common_pb2.Receipt(token=token),
            engine_ms=engine_ms,
        )
        if attached:
            await self.say(delivered=gateway_pb2.DeliverWholeRequest(header=header, frames=sent, trailer=trailer))
            return True
        if whole:
            delivery = gateway_pb2.DeliverWholeRequest(header=header, frames=sent, trailer=trailer)
            return bool((await self.stub.DeliverWhole(delivery, timeout=TEST_TIMEOUT_S)).accepted)

        async def messages() -> AsyncIterator[gateway_pb2.DeliverRequest]:
            yield gateway_pb2.DeliverRequest(header=header)
            for frame in sent:
                yield gateway_pb2.DeliverRequest(frame=frame)
            yield gateway_pb2.DeliverRequest(trailer=trailer)

        answer = await self.stub.Deliver(messages(), timeout=TEST_TIMEOUT_S)
        return bool(answer.accepted)

    def _receipt(self, task: gateway_pb2.Task, parts: list[bytes]) -> str:
        signing = identity.load_signing_key(self.keys.directory / "nodes" / self.name / "signing.pem")
        content = receipt.ReceiptContent(
            node=self.name,
            query_id=task.query_id,
            stage_id=task.stage_id,
            attempt=task.attempt,
            permit_id="permit-1",
            request_sha256="0" * 64,
            sql_sha256=hashlib.sha256(task.sql.encode()).hexdigest(),
            form="aggregate",
            rule="test",
            min_persons=11,
            bytes=sum(map(len, parts)),
            content_sha256=hashlib.sha256(b"".join(parts)).hexdigest(),
            audit_record="0" * 64,
            time=int(time.time()),
        )
        return receipt.sign(content, signing)


def hello_of(name: str, *tables: Table, **changes: Any) -> gateway_pb2.Hello:
    """Return what a node says about itself."""
    content: dict[str, Any] = {
        "node": name,
        "software_version": "0.1.0",
        "engine": "duckdb",
        "engine_version": "1.5.6",
        "collation": "binary",
        "time_zone": "UTC",
        "tables": [wire.table_to_wire(t) for t in tables or (VISITS,)],
        "max_concurrent_tasks": 4,
        "clock_unix_ms": int(time.time() * 1000),
    }
    return gateway_pb2.Hello(**(content | changes))


def node_credentials(keys: Keys, name: str) -> grpc.ChannelCredentials:
    """Return a node's TLS credentials."""
    own = keys.directory / "nodes" / name
    return tls.channel_credentials(tls.TlsFiles(own / "tls.crt", own / "tls.key", own / "ca.crt"))


@contextlib.asynccontextmanager
async def attached(
    server: Server, keys: Keys, name: str, hello: gateway_pb2.Hello | None = None
) -> AsyncIterator[Node]:
    """Attach a node; leaving the block cuts its connection, as a crash would."""
    async with grpc.aio.secure_channel(
        f"localhost:{server.port}", node_credentials(keys, name), options=tls.CHANNEL_OPTIONS
    ) as channel:
        node = Node(name, channel, gateway_pb2_grpc.NodeGatewayStub(channel), keys)
        serving = asyncio.create_task(node.attach(hello or hello_of(name)))
        try:
            await node.welcome
            yield node
        finally:
            if node.stream is not None:
                node.stream.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Researcher:
    """A researcher's client, without the comforts of the real one."""

    stub: query_pb2_grpc.QueryServiceStub
    identity: identity.ResearcherIdentity
    permit_token: str

    def sign(self, sql: str = SQL, **options: Any) -> str:
        """Return a signed request."""
        content: dict[str, Any] = {
            "request_id": str(uuid.uuid4()),
            "permit_id": permit.read_unverified(self.permit_token)["permit_id"],
            "sql": sql,
            "issued": int(time.time()),
            "timeout_s": 30.0,
        }
        return request.sign(Request(**(content | options)), self.identity.signing_key)

    async def submit(self, sql: str = SQL, **options: Any) -> str:
        """Submit a query and return its identifier."""
        return await self.submit_signed(self.sign(sql, **options))

    async def submit_signed(self, signed: str) -> str:
        """Submit a signed request."""
        message = query_pb2.SubmitRequest(permit=self.permit_token, request=signed)
        return str((await told(self.stub.Submit(message, timeout=20))).query_id)

    async def events(self, query_id: str) -> AsyncIterator[query_pb2.QueryEvent]:
        """Yield a query's events until its end."""
        async for answer in self.stub.Watch(query_pb2.WatchRequest(query_id=query_id), timeout=TEST_TIMEOUT_S):
            yield answer.event

    async def seen(self, query_id: str, kind: str, node: str = "") -> query_pb2.QueryEvent:
        """Return the first event of a kind, as soon as it comes."""
        async for event in self.events(query_id):
            if event.kind == kind and node in ("", event.node):
                return event
        raise AssertionError(f"the query ended without '{kind}'")

    async def ended(self, query_id: str) -> query_pb2.QueryEvent:
        """Return the last event of a query."""
        last = None
        async for event in self.events(query_id):
            last = event
        assert last is not None
        return last

    async def failure(self, query_id: str) -> errors.ArchipelError:
        """Return why a query failed."""
        last = await self.ended(query_id)
        assert last.HasField("error"), last
        return wire.error_from_wire(last.error)

    async def fetch(self, query_id: str, *, wait: bool = False) -> tuple[query_pb2.ResultInfo, pa.Table]:
        """Return a query's result; with ``wait`` as soon as it has ended."""
        asked = query_pb2.FetchRequest(query_id=query_id, wait=wait)
        stream = self.stub.Fetch(asked, timeout=TEST_TIMEOUT_S)
        try:
            parts = [part async for part in stream]
        except grpc.aio.AioRpcError as cause:
            raise wire.from_rpc_error(cause) from cause
        header = parts[0].header
        assert header.HasField("first") == wait
        first = [header.first.data] if wait else []
        table = frames.decode_table([*first, *(part.frame.data for part in parts[1:])])
        assert header.rows == table.num_rows
        return header.info, table

    async def answer(self, query_id: str) -> tuple[query_pb2.ResultInfo, pa.Table]:
        """Wait for a query's end and return its result."""
        last = await self.ended(query_id)
        assert last.kind == "finished", last
        return await self.fetch(query_id)


async def told(call: Any) -> Any:
    """Return a call's answer, or raise the error that it carries."""
    try:
        return await call
    except grpc.aio.AioRpcError as cause:
        raise wire.from_rpc_error(cause) from cause


@contextlib.asynccontextmanager
async def researcher(
    server: Server, keys: Keys, name: str = "alice", permit_token: str | None = None
) -> AsyncIterator[Researcher]:
    """Connect a researcher."""
    who = keys.researcher(name)
    credentials = tls.channel_credentials_from_pem(who.certificate_pem, who.tls_key_pem, who.authority_pem)
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials, options=tls.CHANNEL_OPTIONS) as channel:
        stub = query_pb2_grpc.QueryServiceStub(channel)
        yield Researcher(stub, who, permit_token or keys.permit_token(nodes=("alpha", "beta")))
