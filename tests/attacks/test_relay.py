"""A coordinator that is hostile to what it relays: reads, drops, reorders, repeats, splices, redirects, forges.

Three real agent processes dial it. One seals persons' rows for another; each attack is one task of the receiver, which
must notice. The attacker has a valid permit and key, the manifest, and everything that was ever sent.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attack_ward as ward
import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attack_attempts import cells, marked
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from archipel import errors, frames, identity, manifest, permit, request, sealing, tls, tokens
from archipel.demo.layout import NOT_COMPARED, Layout, NodeSetup, TableSetup, write_layout
from archipel.sealing import StreamId
from archipel.v1 import common_pb2, gateway_pb2, gateway_pb2_grpc
from node_agent import audit

pytestmark = pytest.mark.federation

SENDER, RECEIVER, THIRD = "chu", "chr", "chx"
DEADLINE_S = 120.0
QUERY = "query"
COPIES = 40
"""Of every stay, so that a stream has several frames."""

SEND = "SELECT person, region, days FROM stays"
JOIN = "SELECT x1.region AS region, count(*) AS n FROM x1 JOIN drugs AS d ON d.patient = x1.person GROUP BY x1.region"

Streams = Mapping[str, Sequence[bytes]]
"""What was recorded, by the task that sent it."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What the coordinator hands out in place of the honest stream, and to whom; ``code`` is how it must end."""

    relayed: Callable[[Streams], Sequence[bytes]]
    node: str = RECEIVER
    sql: str = JOIN
    attempt: int = 1
    plain: bool = False
    outputs: tuple[str, ...] = ()
    code: str = "EXCHANGE_REFUSED"


def _altered(parts: Sequence[bytes], index: int) -> list[bytes]:
    changed = bytearray(parts[index])
    changed[len(changed) // 2] ^= 1
    return [*parts[:index], bytes(changed), *parts[index + 1 :]]


def _reheaded(parts: Sequence[bytes], change: Callable[[gateway_pb2.SealedHeader], object]) -> list[bytes]:
    opening = gateway_pb2.SealedOpening.FromString(parts[0])
    header = gateway_pb2.SealedHeader.FromString(opening.header)
    change(header)
    opening.header = header.SerializeToString(deterministic=True)
    return [opening.SerializeToString(), *parts[1:]]


def _forged(parts: Sequence[bytes]) -> list[bytes]:
    """Return rows of the coordinator's own making, under a header that was copied from the sender."""
    opening = gateway_pb2.SealedOpening.FromString(parts[0])
    own = X25519PrivateKey.generate()
    context = sealing.sender_context(
        opening.header, own=own, receiver=FORGING["key"], one_time=X25519PrivateKey.generate()
    )
    made = pa.table({"person": [bytes(32)], "region": ["Nord"], "days": pa.array([1], pa.int32())})
    return [parts[0], context.seal(b"".join(frames.encode_table(made)), last=True)]


FORGING: dict[str, X25519PublicKey] = {}
"""The receiver's public key, which the attacker has from the manifest."""


ATTACKS: Mapping[str, Attack] = {
    "drop the first frame": Attack(lambda s: [s["honest"][0], *s["honest"][2:]]),
    "drop the end": Attack(lambda s: s["honest"][:-1]),
    "drop everything": Attack(lambda s: []),
    "drop all but the opening": Attack(lambda s: s["honest"][:1]),
    "call an earlier frame the end": Attack(lambda s: [*s["honest"][:1], b"\x01" + s["honest"][1][1:]]),
    "swap two frames": Attack(lambda s: [s["honest"][0], s["honest"][2], s["honest"][1], *s["honest"][3:]]),
    "repeat a frame": Attack(lambda s: [*s["honest"][:2], *s["honest"][1:]]),
    "repeat the stream": Attack(lambda s: [*s["honest"], *s["honest"]]),
    "add to the end": Attack(lambda s: [*s["honest"], s["honest"][1]]),
    "alter the opening": Attack(lambda s: _altered(s["honest"], 0)),
    "alter the data": Attack(lambda s: _altered(s["honest"], 1)),
    "splice in a frame of the same query": Attack(lambda s: [*s["honest"][:2], s["once more"][2], *s["honest"][3:]]),
    "splice in the rest of the same query": Attack(lambda s: [*s["honest"][:2], *s["once more"][2:]]),
    "replay another query's stream": Attack(lambda s: s["another query"]),
    "replay another attempt's stream": Attack(lambda s: s["another attempt"]),
    "replay another stage's stream": Attack(lambda s: s["another stage"]),
    "replay another exchange's stream": Attack(lambda s: s["another exchange"]),
    "replay another request's stream": Attack(lambda s: s["another request"]),
    "tell of another attempt": Attack(lambda s: s["honest"], attempt=2),
    "redirect to another node": Attack(lambda s: s["honest"], node=THIRD, sql="SELECT count(*) AS n FROM x1"),
    "oblige to less": Attack(lambda s: _reheaded(s["honest"], lambda h: setattr(h.obliges.policy, "min_persons", 0))),
    "oblige to nothing": Attack(
        lambda s: _reheaded(s["honest"], lambda h: setattr(h.obliges.policy, "protected", False))
    ),
    "rename a column": Attack(lambda s: _reheaded(s["honest"], lambda h: setattr(h.columns[1], "name", "other"))),
    "forge the rows": Attack(lambda s: _forged(s["honest"])),
    "hand out ciphertext as a table of its own": Attack(lambda s: s["honest"], plain=True, code="BAD_REQUEST"),
    "ask for the rows": Attack(lambda s: s["honest"], sql="SELECT person, region, days FROM x1", code="BORDER_REFUSED"),
    "ask for one person": Attack(
        lambda s: s["honest"], sql="SELECT region, max(days) AS m FROM x1 GROUP BY region", code="BORDER_REFUSED"
    ),
    "have the rows sent on": Attack(
        lambda s: s["honest"], sql="SELECT person FROM x1", outputs=(THIRD,), code="BORDER_REFUSED"
    ),
}

REDIRECTIONS = {
    "to a node that no policy names": (THIRD, "POLICY_REFUSED"),
    "to nobody's node": ("mallory", "POLICY_REFUSED"),
}


@dataclass(eq=False)
class Hostile(gateway_pb2_grpc.NodeGatewayServicer):
    """Sends tasks, records what comes back, and hands out whatever an attack wants."""

    handed_out: dict[str, Sequence[bytes]] = field(default_factory=dict)
    outboxes: dict[str, asyncio.Queue[gateway_pb2.Task]] = field(
        default_factory=lambda: {node: asyncio.Queue() for node in (SENDER, RECEIVER, THIRD)}
    )
    ends: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    recorded: list[bytes] = field(default_factory=list)

    async def Attach(self, request: Any, context: Any) -> None:
        node = tls.peer_identity(context).name
        await context.read()
        welcome = gateway_pb2.Welcome(
            coordinator_version="0", heartbeat_interval_s=5, clock_unix_ms=int(time.time() * 1000)
        )
        await context.write(gateway_pb2.AttachResponse(welcome=welcome))
        sending = asyncio.create_task(self._send(node, context))
        try:
            async for event in request:
                if event.WhichOneof("event") == "task_failed":
                    self.ends[event.task_failed.task_id].set_result(event.task_failed.error)
        finally:
            sending.cancel()

    async def _send(self, node: str, context: Any) -> None:
        while True:
            await context.write(gateway_pb2.AttachResponse(task=await self.outboxes[node].get()))

    async def Deliver(self, request: Any, context: Any) -> gateway_pb2.DeliverResponse:
        parts: list[bytes] = []
        task = ""
        async for message in request:
            kind = message.WhichOneof("part")
            task = message.header.task_id if kind == "header" else task
            if kind == "frame":
                parts.append(message.frame.data)
        self.recorded += parts
        self.ends[task].set_result(parts)
        return gateway_pb2.DeliverResponse(accepted=True)

    async def Collect(self, request: gateway_pb2.CollectRequest, context: Any) -> None:
        for part in self.handed_out[request.task_id]:
            await context.write(gateway_pb2.CollectResponse(frame=common_pb2.ArrowFrame(data=part)))

    async def do(self, node: str, task: gateway_pb2.Task) -> Any:
        """Have a node do a task; return what it delivered, or its error."""
        self.ends[task.task_id] = asyncio.get_running_loop().create_future()
        await self.outboxes[node].put(task)
        return await self.ends[task.task_id]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What came of everything that the coordinator tried."""

    layout: Layout
    honest: pa.Table
    outcomes: Mapping[str, Any]
    redirected: Mapping[str, Any]
    recorded: Sequence[bytes]
    streams: Streams
    logs: Mapping[str, str]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """All attacks, carried out once."""
    directory = tmp_path_factory.mktemp("relay")
    layout = write_layout(
        directory / "made",
        _setups(directory / "data"),
        researcher="mallory",
        project="attack",
        node_policy=NOT_COMPARED,
    )
    return asyncio.run(_wage(layout))


def _setups(directory: Path) -> list[NodeSetup]:
    whole = {table.name: table for table in ward.write(directory).tables}
    stays, drugs, regions = whole["stays"], whole["drugs"], whole["regions"]
    linked = {**ward.POLICIES["stays"], "peers": {RECEIVER: "rows"}}
    many = stays.path.with_name("many") / "stays.parquet"
    many.parent.mkdir()
    pq.write_table(pa.concat_tables([pq.read_table(stays.path)] * COPIES), many)
    sent = TableSetup("stays", many, linked, person_column="person", person_domain="insured")
    return [
        NodeSetup(SENDER, "Hospital that sends", (sent,)),
        NodeSetup(RECEIVER, "Hospital that receives", (drugs,)),
        NodeSetup(THIRD, "Hospital that has nothing to do with it", (regions,)),
    ]


@dataclass(frozen=True, slots=True)
class Papers:
    """A permit for linkage, and requests that its holder signs."""

    permit_token: str
    key: Any
    permit_id: str = "permit"

    def request(self, text: str) -> str:
        """Return a signed request."""
        asked = request.Request(
            request_id=f"{text:0>8}", permit_id=self.permit_id, sql="SELECT 1", issued=int(time.time())
        )
        return request.sign(asked, self.key)


def _papers(layout: Layout) -> Papers:
    key = identity.ResearcherIdentity.load(layout.key).signing_key
    now = int(time.time())
    granted = permit.Permit(
        permit_id="permit",
        federation="demo",
        project="attack",
        purpose="Attacks on made-up data",
        researchers=(permit.Researcher(name="mallory", key=tokens.encode_public_key(key.public_key())),),
        tables=(permit.TableGrant(table="*", columns=("*",)),),
        nodes=(SENDER, RECEIVER, THIRD),
        not_before=now - 60,
        expires=now + 3600,
        linkage=True,
    )
    authority = identity.load_signing_key(layout.authority_dir / "authority.pem")
    return Papers(permit.issue(granted, authority), key)


async def _wage(layout: Layout) -> Campaign:
    papers = _papers(layout)
    asked = papers.request("asked")
    hostile = Hostile()
    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    gateway_pb2_grpc.add_NodeGatewayServicer_to_server(hostile, server)  # type: ignore[no-untyped-call]
    keys = layout.directory / "federation" / "coordinator"
    files = tls.TlsFiles(keys / "tls.crt", keys / "tls.key", keys / "ca.crt")
    server.add_secure_port(layout.address, tls.server_credentials(files))
    await server.start()
    named = manifest.verify(
        (keys / "manifest.jwt").read_text().strip(), identity.load_public_key(keys / "authority.pub")
    )
    entry = named.node(RECEIVER)
    assert entry is not None
    FORGING["key"] = X25519PublicKey.from_public_bytes(tokens.decode_raw_key(entry.sealing_key))
    processes = {node: _start(layout, node) for node in layout.node_configs}
    try:
        async with asyncio.timeout(DEADLINE_S):
            streams = await _record(hostile, papers, asked)
            redirected = {}
            for name, (node, _) in REDIRECTIONS.items():
                task = _sending(papers, asked, name, receivers=(node,))
                redirected[name] = await hostile.do(SENDER, task)
            outcomes = {name: await _try(hostile, papers, asked, name, a, streams) for name, a in ATTACKS.items()}
            harmless = Attack(lambda s: s["honest"])
            answer = await _try(hostile, papers, asked, "harmless", harmless, streams)
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            await asyncio.to_thread(process.wait, 30)
        await server.stop(grace=0)
    assert isinstance(answer, list), answer
    logs = {node: (layout.directory / f"{node}.log").read_text() for node in layout.node_configs}
    return Campaign(layout, frames.decode_table(answer), outcomes, redirected, hostile.recorded, streams, logs)


async def _record(hostile: Hostile, papers: Papers, asked: str) -> dict[str, list[bytes]]:
    """Have the sender seal the same rows again and again, each time for something else."""
    tasks = {
        "honest": _sending(papers, asked, "honest"),
        "once more": _sending(papers, asked, "once more"),
        "another query": _sending(papers, asked, "another query", query_id="other"),
        "another attempt": _sending(papers, asked, "another attempt", attempt=2),
        "another stage": _sending(papers, asked, "another stage", stage_id="s9"),
        "another exchange": _sending(papers, asked, "another exchange", exchange_id="x9"),
        "another request": _sending(papers, papers.request("another"), "another request"),
    }
    streams = {}
    for name, task in tasks.items():
        streams[name] = await hostile.do(SENDER, task)
        assert isinstance(streams[name], list), streams[name]
    return streams


def _sending(
    papers: Papers,
    asked: str,
    name: str,
    *,
    query_id: str = QUERY,
    stage_id: str = "s1",
    attempt: int = 1,
    exchange_id: str = "x1",
    receivers: tuple[str, ...] = (RECEIVER,),
) -> gateway_pb2.Task:
    return gateway_pb2.Task(
        task_id=name,
        query_id=query_id,
        stage_id=stage_id,
        attempt=attempt,
        permit=papers.permit_token,
        request=asked,
        sql=SEND,
        form=common_pb2.FORM_ROWS,
        timeout_ms=30_000,
        outputs=[gateway_pb2.SealedOutput(exchange_id=exchange_id, nodes=receivers)],
    )


async def _try(
    hostile: Hostile, papers: Papers, asked: str, name: str, attack: Attack, streams: Streams
) -> common_pb2.ErrorDetail | list[bytes]:
    source = gateway_pb2.TaskInput(name="x1", exchange_id="x1")
    if not attack.plain:
        source.senders.add(node=SENDER, stage_id="s1", attempt=attack.attempt)
    task = gateway_pb2.Task(
        task_id=name,
        query_id=QUERY,
        stage_id="s2",
        attempt=1,
        permit=papers.permit_token,
        request=asked,
        sql=attack.sql,
        inputs=[source],
        form=common_pb2.FORM_AGGREGATE,
        timeout_ms=30_000,
        outputs=[gateway_pb2.SealedOutput(exchange_id="x3", nodes=attack.outputs)] if attack.outputs else [],
    )
    hostile.handed_out[name] = list(attack.relayed(streams))
    outcome: common_pb2.ErrorDetail | list[bytes] = await hostile.do(attack.node, task)
    return outcome


def _start(layout: Layout, node: str) -> subprocess.Popen[bytes]:
    with (layout.directory / f"{node}.log").open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "archipel.cli", "node", "run", "--config", str(layout.node_configs[node])],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def test_an_honest_relay_gets_the_answer_and_nothing_but_the_answer(campaign: Campaign) -> None:
    rows = {row["region"]: row["n"] for row in campaign.honest.to_pylist()}
    assert set(rows) == {"Nord", "Sud"}
    assert min(rows.values()) > 0


@pytest.mark.parametrize("name", ATTACKS)
def test_the_receiver_notices(name: str, campaign: Campaign) -> None:
    outcome = campaign.outcomes[name]
    assert isinstance(outcome, common_pb2.ErrorDetail), f"{name}: delivered"
    assert outcome.code == ATTACKS[name].code, outcome


@pytest.mark.parametrize("name", REDIRECTIONS)
def test_the_sender_seals_for_nobody_else(name: str, campaign: Campaign) -> None:
    outcome = campaign.redirected[name]
    assert isinstance(outcome, common_pb2.ErrorDetail), f"{name}: delivered"
    assert outcome.code == REDIRECTIONS[name][1], outcome


def test_nothing_that_passed_the_relay_can_be_read_there(campaign: Campaign) -> None:
    whole = b"".join(campaign.recorded)
    assert len(whole) > 5_000
    assert not [marker for marker in ward.MARKERS if marker.encode() in whole]
    assert b"Nord" not in b"".join(part for parts in campaign.streams.values() for part in parts)


def test_no_key_of_the_coordinator_opens_a_stream(campaign: Campaign) -> None:
    parts = campaign.streams["honest"]
    header = gateway_pb2.SealedHeader.FromString(gateway_pb2.SealedOpening.FromString(parts[0]).header)
    stream = StreamId(
        federation=header.federation,
        query_id=header.query_id,
        exchange_id=header.exchange_id,
        stage_id=header.stage_id,
        attempt=header.attempt,
        sender=header.sender,
        receiver=header.receiver,
        permit_id=header.permit_id,
        request_sha256=header.request_sha256,
    )
    own = X25519PrivateKey.generate()
    with pytest.raises(errors.OperationalError):
        sealing.unseal(iter(parts), stream, own=own, sender=FORGING["key"])
    folder = campaign.layout.directory / "federation" / "coordinator"
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    for node in campaign.layout.node_configs:
        for secret in ("sealing.pem", "linkage.json"):
            own_file = campaign.layout.directory / "federation" / "nodes" / node / secret
            assert own_file.read_bytes().strip() not in held


def test_nothing_that_the_coordinator_is_told_holds_a_value(campaign: Campaign) -> None:
    told = [str(outcome) for outcome in (*campaign.outcomes.values(), *campaign.redirected.values())]
    assert not marked([*told, *cells(campaign.honest), *campaign.logs.values()])


def test_every_attempt_is_in_the_receiver_s_log_as_refused(campaign: Campaign) -> None:
    folder = campaign.layout.state_dir(RECEIVER) / "audit"
    assert audit.verify(folder).problem == ""
    kinds = [(r["kind"], r.get("code")) for r in audit.records(folder) if r.get("query") == QUERY]
    # What is no table at all is refused before there is a task to tell of.
    of_receiver = [attack for attack in ATTACKS.values() if attack.node == RECEIVER and not attack.plain]
    assert [code for kind, code in kinds if kind == "refused"] == [attack.code for attack in of_receiver]
    assert [kind for kind, _ in kinds if kind != "refused"] == ["released"]


def test_no_file_outside_the_nodes_own_folders_holds_a_value(campaign: Campaign) -> None:
    own = [campaign.layout.state_dir(node) for node in campaign.layout.node_configs]
    for path in Path(campaign.layout.directory).rglob("*"):
        if path.is_file() and not any(folder in path.parents for folder in own):
            content = path.read_bytes()
            assert not [marker for marker in ward.MARKERS if marker.encode() in content], path
