"""Rounds of a total over four hospitals, led by a coordinator that may lie: orders go to the nodes' own task runners.

What nodes seal for each other passes through here as it passes through a coordinator: as frames that can be kept,
dropped, given again or given to somebody else, and never read. An attacker that is also the aggregator has its keys.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import frames, identity, permit, request, sealing, tokens
from archipel.demo.layout import NOT_COMPARED, Layout, NodeSetup, TableSetup, write_layout
from archipel.rounds import Round, RoundStep, Step
from archipel.sealing import Header, StreamId
from node_agent import config
from node_agent.assembly import Node, assemble
from node_agent.order import Released, TaskOrder
from node_agent.scope_messages import COLUMNS, obliges, packed, unpacked
from node_agent.sealed import Output, Sender

HOSPITALS = ("east", "north", "south", "west")
AGGREGATOR = "insurer"
FEDERATION = "demo"
QUESTION = "SELECT disease AS g0, count(*) AS p0v, sum(cost) AS p1s FROM stays GROUP BY disease"
POLICY = {
    "coordinator": "aggregate",
    "threshold_scope": ["node", "federation"],
    "peers": {AGGREGATOR: "aggregate", "north": "aggregate"},
    "columns": {"disease": "group", "cost": "measure", "fee": "measure"},
    "other_columns": "hidden",
}
ALONE = POLICY | {"threshold_scope": "node", "peers": {}}
DISEASES = ("common", "rare", "few", "MARKER-UNIQUE")

Frames = list[bytes]
Route = tuple[Step, str, str]
"""Of a message: its step, sender and receiver."""


def stays(hospital: str) -> pa.Table:
    """Return a hospital's stays: of a disease that few have anywhere, and one that one person has, in the west.

    Another one in the west pays nearly all fees.
    """
    number = HOSPITALS.index(hospital)
    persons = [f"{hospital}-{n}" for n in range(62)]
    diseases = ["common"] * 50 + ["rare"] * 10 + ["few"] * 2
    if hospital == "west":
        persons.append("MARKER-PERSON")
        diseases.append("MARKER-UNIQUE")
    costs = [100 * (n % 17) + number for n in range(len(persons))]
    fees = [9_000 if hospital == "west" and n == 7 else 2 + n % 3 for n in range(len(persons))]
    measures = {"cost": pa.array(costs, pa.int64()), "fee": pa.array(fees, pa.int64())}
    return pa.table({"person": persons, "disease": diseases, **measures})


@dataclass
class Federation:
    """The nodes, whose runners take orders directly, and who signs permits and requests."""

    layout: Layout
    nodes: dict[str, Node]
    authority: Ed25519PrivateKey
    key: Ed25519PrivateKey

    def permit(self, permit_id: str, **changes: Any) -> str:
        """Return a permit for everything."""
        now = int(time.time())
        fields: dict[str, Any] = {
            "permit_id": permit_id,
            "federation": FEDERATION,
            "project": "attack",
            "purpose": "Attacks on made-up data",
            "researchers": (permit.Researcher(name="mallory", key=tokens.encode_public_key(self.key.public_key())),),
            "tables": tuple(permit.TableGrant(table=t, columns=("*",)) for t in ("stays", "visits", "codes")),
            "nodes": (*HOSPITALS, AGGREGATOR),
            "not_before": now - 60,
            "expires": now + 3600,
            **changes,
        }
        return permit.issue(permit.Permit(**fields), self.authority)

    def request(self, permit_id: str, sql: str, scope: str) -> str:
        """Return what a researcher asks."""
        asked = request.Request(
            request_id=uuid.uuid4().hex,
            permit_id=permit_id,
            sql=sql,
            threshold_scope=scope,
            issued=int(time.time()),
        )
        return request.sign(asked, self.key)

    def restart(self, node: str) -> None:
        """End a node and start it again, over what it has on disk."""
        self.nodes[node].close()
        self.nodes[node] = assemble(config.load(self.layout.node_configs[node]))

    def close(self) -> None:
        """Close all nodes."""
        for node in self.nodes.values():
            node.close()


@dataclass
class Coordinator:
    """Leads one round, as it likes. ``messages`` are what passed through its hands."""

    federation: Federation
    sql: str = QUESTION
    permit_id: str = "p-1"
    scope: str = "federation"
    contributors: tuple[str, ...] = HOSPITALS
    aggregator: str = AGGREGATOR
    query_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    permit: str = ""
    request: str = ""
    messages: dict[Route, Frames] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.permit = self.permit or self.federation.permit(self.permit_id)
        self.request = self.request or self.federation.request(self.permit_id, self.sql, self.scope)

    def order(self, step: Step, node: str, **changes: Any) -> TaskOrder:
        """Return the order of a step for a node."""
        here = RoundStep(step, self.contributors, self.aggregator)
        before = step.before
        fields: dict[str, Any] = {
            "task_id": f"{self.query_id}.{step.value}.{node}",
            "query_id": self.query_id,
            "stage_id": step.value,
            "attempt": 1,
            "permit": self.permit,
            "request": self.request,
            "sql": self.sql,
            "inputs": {} if before is None else {f"x_{before.value}": COLUMNS},
            "timeout_s": 10,
            "max_bytes": 0,
            "senders": {}
            if before is None
            else {f"x_{before.value}": tuple(Sender(sender, before.value, 1) for sender in here.senders)},
            "outputs": (Output(f"x_{step.value}", here.receivers),) if here.receivers else (),
            "round": here,
            **changes,
        }
        return TaskOrder(**fields)

    def give(self, order: TaskOrder, node: str) -> Released:
        """Give an order to a node and keep what it sends.

        Raises:
            ArchipelError: the node refuses it.
        """
        steps = {f"x_{step.value}": step for step in Step}

        def pull(exchange_id: str, sender: str) -> Iterator[bytes]:
            yield from self.messages.get((steps[exchange_id], sender, node), [])

        released = self.federation.nodes[node].runner.run(order, {}, pull=pull)
        for stream in released.streams:
            if stream.exchange_id:
                self.messages[steps[stream.exchange_id], node, stream.receiver] = list(stream.frames)
                stream.finish()
        return released

    def do(self, step: Step) -> list[Released]:
        """Have a step done by all who do it."""
        sites = RoundStep(step, self.contributors, self.aggregator).sites()
        return [self.give(self.order(step, node), node) for node in sites]

    def begin(self, node: str) -> None:
        """Have one node do its first steps: the first is about the parties alone, the second about the statement."""
        self.give(self.order(Step.KEY, node), node)
        self.give(self.order(Step.LABELS, node), node)

    def up_to(self, last: Step) -> Coordinator:
        """Lead the round honestly up to a step, that one included."""
        for step in Step:
            self.do(step)
            if step is last:
                break
        return self

    def total(self) -> pa.Table:
        """Lead the round honestly to its end and return what the coordinator gets."""
        for step in list(Step)[:-1]:
            self.do(step)
        (released,) = self.do(Step.RELEASE)
        return frames.decode_table(list(released.frames))

    # With the keys of a node

    def stream(self, step: Step, sender: str, receiver: str) -> StreamId:
        """Return the identity of a message."""
        return StreamId(
            FEDERATION,
            self.query_id,
            f"x_{step.value}",
            step.value,
            1,
            sender,
            receiver,
            self.permit_id,
            tokens.digest(self.request),
        )

    def read(self, step: Step, sender: str, receiver: str, digest: bytes, parts: tuple[str, ...]) -> dict[str, bytes]:
        """Read a message with its receiver's key, as that node can."""
        peers = self.federation.nodes[receiver].runner.peers
        _, content = sealing.unseal(
            iter(self.messages[step, sender, receiver]),
            self.stream(step, sender, receiver),
            own=peers.own_key(),
            sender=peers.key_of(sender),
        )
        return unpacked(frames.decode_table(list(content)), step, digest, parts)

    def forge(self, step: Step, sender: str, receiver: str, digest: bytes, parts: Mapping[str, bytes]) -> None:
        """Put in a message that a malicious ``sender`` made of ``parts``."""
        peers = self.federation.nodes[sender].runner.peers
        header = Header(self.stream(step, sender, receiver), COLUMNS, obliges())
        content = frames.encode_table(packed(step, digest, parts))
        key = peers.key_of(receiver)
        self.messages[step, sender, receiver] = list(sealing.seal(header, content, own=peers.own_key(), receiver=key))

    def digest(self) -> bytes:
        """Return what identifies the round."""
        return Round(
            FEDERATION,
            self.query_id,
            self.permit_id,
            tokens.digest(self.request),
            tokens.digest(self.sql),
            self.contributors,
            self.aggregator,
        ).digest


def prepare(
    directory: Path, rows: Callable[[str], pa.Table] = stays, rules: Mapping[str, Any] = NOT_COMPARED
) -> Federation:
    """Set up four hospitals and an aggregator, without any process; ``rules`` are all nodes' policies of the node."""
    setups = []
    for hospital in HOSPITALS:
        folder = directory / hospital
        folder.mkdir(parents=True)
        pq.write_table(rows(hospital), folder / "stays.parquet")
        person: dict[str, Any] = {"person_column": "person", "person_domain": "patient"}
        tables = (
            TableSetup("stays", folder / "stays.parquet", POLICY, **person),
            TableSetup("visits", folder / "stays.parquet", ALONE, **person),
        )
        setups.append(NodeSetup(hospital, f"Hospital {hospital}", tables, policy=rules))
    folder = directory / AGGREGATOR
    folder.mkdir()
    pq.write_table(pa.table({"code": ["a"]}), folder / "codes.parquet")
    codes = TableSetup("codes", folder / "codes.parquet", {"protected": False, "coordinator": "rows"})
    setups.append(NodeSetup(AGGREGATOR, "Insurer", (codes,), policy=rules))
    layout = write_layout(directory / "made", setups, researcher="mallory", project="attack")
    return Federation(
        layout,
        {setup.name: assemble(config.load(layout.node_configs[setup.name])) for setup in setups},
        identity.load_signing_key(layout.authority_dir / "authority.pem"),
        identity.ResearcherIdentity.load(layout.key).signing_key,
    )
