"""Thresholds over all nodes against thresholds at each: the CPU that a total costs when nobody may see its parts.

Every party's work is done in this process, one after the other, by the product's own code: a node's statement, what it
packs and seals, what the aggregator or the coordinator unpacks and adds up. Nodes are alike, so a node's part is the
median over some of them. What is added up is checked against what one database says. Between parties nothing is sent:
messages are as large as they are, but no network and no process stands in between.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from archipel import frames, masking, sealing
from archipel.border import BorderContext, Release, check
from archipel.border.masked import ROUND_TABLE
from archipel.permit import Permit, Researcher, TableGrant
from archipel.rounds import Round, Step
from archipel.schema import Column, Form, Role, Scope, Table, TablePolicy
from archipel.sealing import Header, StreamId
from benchmarks import measure
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeInput
from coordinator.merge.in_process import InProcessExecutor
from coordinator.merge.settings import MergeSettings
from node_agent.scope_contribution import Contribution, Shown, places_from
from node_agent.scope_messages import COLUMNS, obliges, packed, unpacked
from node_agent.scope_total import Total
from node_agent.sealed import padded

T = TypeVar("T")

STAGE = "SELECT area AS g0, count(*) AS p0v, sum(cost) AS p1s FROM stays GROUP BY area"
MERGE = 'SELECT "g0", sum("p0v") AS "p0v", sum("p1s") AS "p1s" FROM "x1" GROUP BY "g0"'
PERSONS_A_GROUP = 12
"""At each node: enough for the node to release the group by itself, so that both ways give all groups."""
MEASURED_NODES = 3
AGGREGATOR, COORDINATOR = "aggregator", "coordinator"

STAYS = Table(
    "stays",
    (Column("person", "BIGINT"), Column("area", "INTEGER"), Column("cost", "BIGINT")),
    person_column="person",
    person_domain="patient",
    policy=TablePolicy(
        protected=True,
        coordinator_form=Form.AGGREGATE,
        roles=(("person", Role.HIDDEN), ("area", Role.GROUP), ("cost", Role.MEASURE)),
        scopes=(Scope.NODE, Scope.FEDERATION),
    ),
)


@dataclass
class Clock:
    """CPU seconds by party and what it did."""

    spent: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def of(self, party: str, what: str, work: Callable[[], T]) -> T:
        """Do something and note its CPU time."""
        started = time.process_time()
        found = work()
        self.spent[party, what].append(time.process_time() - started)
        return found

    def a_node(self) -> dict[str, float]:
        """Return what a node spends, by what it does."""
        return {what: measure.median(times) for (party, what), times in self.spent.items() if party == "node"}

    def at(self, party: str) -> dict[str, float]:
        """Return what another party spends altogether, by what it does."""
        return {what: sum(times) for (found, what), times in self.spent.items() if found == party}


def permit_for(nodes: tuple[str, ...]) -> Permit:
    """Return a permit for everything."""
    return Permit(
        permit_id="p",
        federation="bench",
        project="bench",
        purpose="bench",
        researchers=(Researcher(name="alice", key="k"),),
        tables=(TableGrant(table="stays", columns=("*",)),),
        nodes=nodes,
        not_before=0,
        expires=1,
    )


def hospital(groups: int, number: int) -> duckdb.DuckDBPyConnection:
    """Return a node's rows in an engine with one thread; its persons are its own."""
    database = duckdb.connect(config={"threads": 1})
    random = np.random.default_rng(number)
    rows = groups * PERSONS_A_GROUP
    area = np.repeat(np.arange(groups, dtype=np.int32), PERSONS_A_GROUP)
    person = random.permutation(rows).astype(np.int64) + number * rows
    order = random.permutation(rows)
    table = pa.table({"person": person[order], "area": area[order], "cost": random.integers(1, 9_999, rows)[order]})
    database.register("given", table)
    database.execute("CREATE TABLE stays AS SELECT * FROM given")
    database.unregister("given")
    return database


def released(scope: Scope, nodes: tuple[str, ...]) -> Release:
    """Return what a node runs."""
    return check(STAGE, BorderContext("n00", {"stays": STAYS}, {}, permit_for(nodes), scope=scope))


def _packed(table: pa.Table) -> list[bytes]:
    return list(frames.encode_table(table))


def merge(source: MergeInput, clock: Clock) -> pa.Table:
    """Merge as the coordinator does."""
    executor = InProcessExecutor(engine=Engine(memory_limit_bytes=MergeSettings().memory_limit_bytes))
    try:
        return clock.of(COORDINATOR, "merge", lambda: executor.merge(MERGE, source, ("g0",), timeout_s=600))
    finally:
        executor.close()


def run_at(database: duckdb.DuckDBPyConnection, release: Release) -> Callable[[], pa.Table]:
    """Return what runs a node's statement."""

    def run() -> pa.Table:
        return database.execute(release.sql).to_arrow_table()

    return run


def plain(databases: list[duckdb.DuckDBPyConnection], nodes: tuple[str, ...], clock: Clock) -> pa.Table:
    """Threshold at each node, and the coordinator's merge."""
    release = released(Scope.NODE, nodes)
    sent: list[list[bytes]] = []
    for number, _ in enumerate(nodes):
        if number < MEASURED_NODES:
            table = clock.of("node", "statement", run_at(databases[number], release))
            kept = table.drop_columns([release.withheld_column, release.persons_column])
            sent.append(clock.of("node", "packing", partial(_packed, kept)))
        else:
            sent.append(sent[number % MEASURED_NODES])
    tables = [clock.of(COORDINATOR, "unpacking", partial(frames.decode_table, parts)) for parts in sent]
    source = MergeInput("x1", tables[0].schema, tuple(tables), tuple(range(len(tables))))
    return merge(source, clock)


@dataclass
class Mail:
    """Seals a message for a receiver and opens it there, as two nodes do."""

    clock: Clock
    keys: Mapping[str, X25519PrivateKey]
    digest: bytes
    bytes_sent: int = 0

    def carry(
        self, step: Step, sender: str, receiver: str, parts: Mapping[str, bytes], *, noted: bool
    ) -> dict[str, bytes]:
        """Return the parts as the receiver reads them."""
        stream = StreamId("bench", "q", step.value, step.value, 1, sender, receiver, "p", "r")
        header = Header(stream, COLUMNS, obliges())

        def seal() -> list[bytes]:
            content = iter(padded(list(frames.encode_table(packed(step, self.digest, parts)))))
            key = self.keys[receiver].public_key()
            return list(sealing.seal(header, content, own=self.keys[sender], receiver=key))

        def open_() -> dict[str, bytes]:
            key = self.keys[sender].public_key()
            _, content = sealing.unseal(iter(sealed), stream, own=self.keys[receiver], sender=key)
            return unpacked(frames.decode_table(list(content)), step, self.digest, tuple(parts))

        at = AGGREGATOR if sender == AGGREGATOR else "node"
        to = AGGREGATOR if receiver == AGGREGATOR else "node"
        sealed = self.clock.of(at, f"sealing {step.value}", seal) if noted or at == AGGREGATOR else seal()
        self.bytes_sent += sum(map(len, sealed))
        return self.clock.of(to, f"opening {step.value}", open_) if noted or to == AGGREGATOR else open_()


def in_rounds(databases: list[duckdb.DuckDBPyConnection], nodes: tuple[str, ...], clock: Clock) -> tuple[pa.Table, int]:
    """Threshold over all nodes: the steps of a round, and the coordinator's merge of the total."""
    round_ = Round("bench", "q", "p", "r", "s", nodes, AGGREGATOR)
    keys = {node: X25519PrivateKey.generate() for node in (*nodes, AGGREGATOR)}
    mail = Mail(clock, keys, round_.digest)
    release = released(Scope.FEDERATION, nodes)
    secret = bytes(32)
    key = masking.label_key(secret, round_.digest).hex()
    for database in databases:
        database.register(ROUND_TABLE, pa.table({"label": [key], "person": [key]}))
    parts: dict[str, Contribution] = {}
    tables: list[pa.Table] = []

    def each() -> Iterator[tuple[str, bool]]:
        yield from ((node, number < MEASURED_NODES) for number, node in enumerate(nodes))

    def at_node(noted: bool, what: str, work: Callable[[], T]) -> T:
        return clock.of("node", what, work) if noted else work()

    messages = {}
    for node, noted in each():
        if noted:
            tables.append(clock.of("node", "statement", run_at(databases[len(tables)], release)))
        parts[node] = Contribution(round_, node, release, tables[len(parts) % len(tables)], secret)
        labels = at_node(noted, "labels", parts[node].labels)
        messages[node] = mail.carry(Step.LABELS, node, AGGREGATOR, labels, noted=noted)
    total = clock.of(AGGREGATOR, "adding up", lambda: Total.begun(round_, messages, 11))
    listed = total.list_parts()
    values = []
    for node, noted in each():
        got = mail.carry(Step.LIST, AGGREGATOR, node, listed, noted=noted)
        others = {other: key.public_key() for other, key in keys.items() if other not in {node, AGGREGATOR}}
        work = partial(parts[node].values, got["keys"], got["labels"], keys[node], others)
        masked = at_node(noted, "masking", work)
        values.append(mail.carry(Step.VALUES, node, AGGREGATOR, masked, noted=noted))
    shown = clock.of(AGGREGATOR, "adding up", lambda: total.add_up(values))
    values.clear()
    vetoes = []
    for node, noted in each():
        got = mail.carry(Step.TOTALS, AGGREGATOR, node, shown, noted=noted)

        def veto(node: str = node, got: dict[str, bytes] = got) -> dict[str, bytes]:
            return parts[node].veto(Shown.from_parts(got, parts[node].layout, parts[node].listed))

        vetoes.append(mail.carry(Step.VETO, node, AGGREGATOR, at_node(noted, "veto", veto), noted=noted))
    verdict = clock.of(AGGREGATOR, "adding up", lambda: total.judged(vetoes))
    opened = []
    for node, noted in each():
        got = mail.carry(Step.VERDICT, AGGREGATOR, node, verdict, noted=noted)

        def names(node: str = node, got: dict[str, bytes] = got) -> dict[str, bytes]:
            return parts[node].opened(places_from(got["left"], parts[node].listed))

        opened.append(mail.carry(Step.OPEN, node, AGGREGATOR, at_node(noted, "names", names), noted=noted))
    result = clock.of(AGGREGATOR, "adding up", lambda: total.released(opened))
    sent = clock.of(AGGREGATOR, "packing", lambda: list(frames.encode_table(result)))
    came = clock.of(COORDINATOR, "unpacking", lambda: frames.decode_table(sent))
    source = MergeInput("x1", came.schema, (came,), (0,))
    return merge(source, clock), mail.bytes_sent


def main(groups: int = 100_000, nodes: int = 20) -> dict[str, Any]:
    """Run both ways, check what they give, print and write what they cost."""
    names = tuple(f"n{number:02}" for number in range(nodes))
    databases = [hospital(groups, number) for number in range(MEASURED_NODES)]
    clocks = {"at each node": Clock(), "over all nodes": Clock()}
    one = plain(databases, names, clocks["at each node"])
    other, bytes_sent = in_rounds(databases, names, clocks["over all nodes"])
    _check(one, other, databases, nodes)
    for database in databases:
        database.close()
    told = _told(clocks, nodes)
    told |= {
        "groups": groups,
        "nodes": nodes,
        "released at each node": one.num_rows,
        "released over all nodes": other.num_rows,
        "sealed bytes": bytes_sent,
    }
    measure.write_results("scope", _text(told), told)
    return told


def _check(one: pa.Table, other: pa.Table, databases: list[duckdb.DuckDBPyConnection], nodes: int) -> None:
    """Make sure that both ways gave what the nodes' rows give together."""
    expected: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for number in range(nodes):
        sql = "SELECT area, count(*), sum(cost) FROM stays GROUP BY area"
        for area, n, cost in databases[number % MEASURED_NODES].execute(sql).fetchall():
            expected[area][0] += n
            expected[area][1] += int(cost)
    for found in (one, other):
        for area, n, cost in zip(*(found.column(name).to_pylist() for name in ("g0", "p0v", "p1s")), strict=True):
            if expected[area] != [n, int(cost)]:
                raise AssertionError("a total is wrong")


def _told(clocks: Mapping[str, Clock], nodes: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for way, clock in clocks.items():
        node, aggregator, coordinator = clock.a_node(), clock.at(AGGREGATOR), clock.at(COORDINATOR)
        # A node does its own steps while others do theirs; opening and sealing at the aggregator is for all of them.
        a_node = sum(node.values())
        rest = sum(aggregator.values()) + sum(coordinator.values())
        told[way] = {
            "a node": {what: round(seconds, 4) for what, seconds in node.items()},
            "aggregator": {what: round(seconds, 4) for what, seconds in aggregator.items()},
            "coordinator": {what: round(seconds, 4) for what, seconds in coordinator.items()},
            "cpu_s one after the other": round(a_node + rest, 3),
            "cpu_s of all parties": round(a_node * nodes + rest, 3),
        }
    first, second = (told[way] for way in clocks)
    for figure in ("cpu_s one after the other", "cpu_s of all parties"):
        told[f"times: {figure}"] = round(second[figure] / first[figure], 2)
    return told


def _text(told: Mapping[str, Any]) -> str:
    ways = ("at each node", "over all nodes")
    rows: list[tuple[object, ...]] = []
    for party in ("a node", "aggregator", "coordinator"):
        does = dict.fromkeys(what for way in ways for what in told[way][party])
        rows += [(party, what, *(told[way][party].get(what, 0.0) for way in ways)) for what in does]
    figures = ("cpu_s one after the other", "cpu_s of all parties")
    rows += [(figure, "", *(told[way][figure] for way in ways)) for figure in figures]
    rows.append(("groups released", "", *(told[f"released {way}"] for way in ways)))
    return (
        f"# Thresholds over all nodes\n\n{told['groups']:,} groups at {told['nodes']} nodes; CPU seconds; "
        f"{measure.machine()}.\n\n"
        + measure.markdown_table(("party", "does", *(f"threshold {way}" for way in ways)), rows)
        + f"\nOn the longest way (a node, then who adds up) a threshold over all nodes takes "
        f"{told['times: cpu_s one after the other']} times the CPU of thresholds at each node, "
        f"of all parties together {told['times: cpu_s of all parties']} times. "
        f"{told['sealed bytes'] / 1e6:,.0f} MB go sealed between nodes.\n"
    )
