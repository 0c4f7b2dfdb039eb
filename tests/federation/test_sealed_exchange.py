"""Rows from node to node through every process: sealed by one agent, relayed, opened by another one.

The nodes are real processes; the coordinator runs here, so that plans can be made by hand.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import archipel
from archipel import errors, identity, permit, receipt
from archipel.demo.layout import NOT_COMPARED, Layout, NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from archipel.schema import Form
from coordinator import config as configuration
from coordinator.assembly import assemble_with
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind
from coordinator.server import Server
from node_agent import audit

pytestmark = pytest.mark.federation

OPEN = {"protected": False, "coordinator": "rows", "peers": {"*": "rows"}}
CLOSED = {"protected": False, "coordinator": "rows"}
NODES = ("east", "north", "south")
MARKER = "MARKER-ORDER"
ROWS = 3_000


def orders(node: str) -> pa.Table:
    """Return orders of two nodes: the numbers of each are its own."""
    first = {"north": 0, "south": ROWS}[node]
    numbers = range(first, first + ROWS)
    return pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "customer": pa.array([n % 50 for n in numbers], pa.int32()),
            "amount": pa.array([(n * 7) % 1000 for n in numbers], pa.int64()),
            "note": [f"{MARKER}-{n}" for n in numbers],
        }
    )


def stays(node: str) -> pa.Table:
    """Return stays of two hospitals: many persons were at both; few of region r3, and fewer than 11 of r4."""
    numbers = range(200) if node == "north" else range(100, 300)
    regions = [("r4" if n < 105 else "r3" if n < 112 else f"r{n % 3}") if n >= 100 else f"r{n % 3}" for n in numbers]
    return pa.table(
        {
            "person": [f"PERSON-{n:04}" for n in numbers],
            "region": regions,
            "days": pa.array([n % 9 for n in numbers], pa.int32()),
        }
    )


CARE = pa.table(
    {
        "insured": [f"PERSON-{n % 250:04}" for n in range(1_000)],
        "cost": pa.array([n % 100 for n in range(1_000)], pa.int64()),
    }
)
STAYS_POLICY = {
    "coordinator": "aggregate",
    "tell_withheld_count": True,
    "columns": {"region": "group", "days": "measure", "person": "measure"},
    "peers": {"east": "rows"},
}
CARE_POLICY = {"coordinator": "aggregate", "tell_withheld_count": True, "columns": {"cost": "measure"}}

CUSTOMERS = pa.table({"customer": pa.array(range(40), pa.int32()), "region": [f"r{n % 4}" for n in range(40)]})


def sealed_plan(
    *,
    sites: tuple[str, ...] = ("east",),
    sent: str = "SELECT customer, amount, note FROM orders",
    joined: str = "SELECT c.region AS region, count(*) AS n, sum(x1.amount) AS total, sum(length(x1.note)) AS letters "
    "FROM x1 JOIN customers AS c ON c.customer = x1.customer GROUP BY c.region",
    sent_columns: tuple[tuple[str, str], ...] = (("customer", "INTEGER"), ("amount", "BIGINT"), ("note", "VARCHAR")),
    part_column: str = "",
) -> Plan:
    """Plan by hand: orders of north and south go sealed to ``sites``, are joined there, and the coordinator adds up."""
    partial = tuple(OutputColumn(*c) for c in (("region", "VARCHAR"), ("n", "BIGINT"), ("total", "HUGEINT")))
    partial += (OutputColumn("letters", "HUGEINT"),)
    final = (
        "SELECT region, sum(n)::BIGINT AS n, sum(total)::BIGINT AS total, sum(letters)::BIGINT AS letters "
        'FROM "x2" GROUP BY region ORDER BY region'
    )
    columns = tuple(OutputColumn(*c) for c in (("region", "VARCHAR"), ("n", "BIGINT"), ("total", "BIGINT")))
    columns += (OutputColumn("letters", "BIGINT"),)
    return Plan(
        sql="",
        stages=(
            Stage("s1", StageKind.NODE, ("north", "south"), sent, tuple(OutputColumn(*c) for c in sent_columns)),
            Stage("s2", StageKind.NODE, sites, joined, partial, ("x1",)),
            Stage("s3", StageKind.FINISH, (COORDINATOR,), final, columns, ("x2",)),
        ),
        exchanges=(
            Exchange("x1", "s1", "s2", Form.ROWS, "rows", ROWS, ROWS * 50, part_column),
            Exchange("x2", "s2", "s3", Form.ROWS, "rows", 4, 100),
        ),
        result_stage="s3",
        columns=columns,
    )


COUNT = "SELECT 'all' AS region, count(*) AS n, sum(x1.amount) AS total, sum(length(x1.note)) AS letters FROM x1"


def expected() -> list[dict[str, Any]]:
    """Return the answer that one database gives."""
    import duckdb

    database = duckdb.connect()
    database.register("orders", pa.concat_tables([orders("north"), orders("south")]))
    database.register("customers", CUSTOMERS)
    sql = (
        "SELECT region, count(*) AS n, sum(amount)::BIGINT AS total, sum(length(note))::BIGINT AS letters "
        "FROM orders JOIN customers USING (customer) GROUP BY region ORDER BY region"
    )
    answer: list[dict[str, Any]] = database.execute(sql).to_arrow_table().to_pylist()
    database.close()
    return answer


@dataclass
class Running:
    """Nodes as processes, the coordinator in a thread of this one, and the plans that it makes by SQL text."""

    nodes: LocalFederation
    plans: dict[str, Plan] = field(default_factory=dict)
    server: Server | None = None

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return self.nodes.layout

    def ask(self, name: str, plan: Plan, *, linkage: bool = False) -> archipel.Result:
        """Have a plan carried out, under a permit that allows ``linkage`` or does not."""
        sql = f"SELECT '{name}'"
        self.plans[sql] = replace(plan, sql=sql)
        token = self._linking() if linkage else self.layout.permit
        with archipel.connect(self.layout.address, permit=token, key=self.layout.key) as connection:
            return connection.query_and_wait(sql)

    def _linking(self) -> Path:
        path = self.layout.directory / "linking.jwt"
        if not path.exists():
            authority = identity.load_signing_key(self.layout.authority_dir / "authority.pem")
            first = permit.verify(
                self.layout.permit.read_text().strip(), authority.public_key(), federation="demo", now=time.time()
            ).permit
            path.write_text(permit.issue(first.model_copy(update={"permit_id": "links", "linkage": True}), authority))
        return path

    def records(self, node: str, query_id: str) -> list[Mapping[str, Any]]:
        """Return what a node's audit log says of a query."""
        folder = self.layout.state_dir(node) / "audit"
        return [record for record in audit.records(folder) if record.get("query") == query_id]


class _Nodes(LocalFederation):
    """The nodes of a layout alone: whoever starts them starts the coordinator, too."""

    def start_coordinator(self) -> None:
        pass

    def _check_alive(self, names: Any) -> None:
        super()._check_alive(set(names) - {"coordinator"})


def _serve(running: Running, started: threading.Event, stopping: Callable[[asyncio.Event], None]) -> None:
    async def serve() -> None:
        config = configuration.load(running.layout.coordinator_config)
        parts = assemble_with(
            config, planner=lambda asked, catalog, permit, describe: running.plans[asked.sql], explain_text=str
        )
        running.server = Server(parts)
        end = asyncio.Event()
        stopping(end)
        await running.server.start()
        started.set()
        await end.wait()
        await running.server.stop()

    asyncio.run(serve())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Three nodes: two with orders, one with customers."""
    directory = tmp_path_factory.mktemp("sealed")
    setups = []
    for node in NODES:
        folder = directory / "data" / node
        folder.mkdir(parents=True)
        name, table = ("customers", CUSTOMERS) if node == "east" else ("orders", orders(node))
        pq.write_table(table, folder / f"{name}.parquet")
        policy = CLOSED if node == "east" else OPEN
        limits = {"received_memory_bytes": 64 * 1024} if node == "east" else {}
        about, rows, key = ("care", CARE, "insured") if node == "east" else ("stays", stays(node), "person")
        pq.write_table(rows, folder / f"{about}.parquet")
        protected = CARE_POLICY if node == "east" else STAYS_POLICY
        tables = (
            TableSetup(name, folder / f"{name}.parquet", policy),
            TableSetup(about, folder / f"{about}.parquet", protected, person_column=key, person_domain="insured"),
        )
        setups.append(NodeSetup(node, f"Holder of {node}", tables, limits))
    settings = {"merge": {"ray": {"mode": "off"}}, "limits": {"drain_s": 0.0}, "relay": {"memory_bytes": 100_000}}
    nodes = _Nodes(
        write_layout(directory / "federation", setups, coordinator_settings=settings, node_policy=NOT_COMPARED)
    )
    yield from _run(Running(nodes))


def _run(running: Running) -> Iterator[Running]:
    started = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    thread = threading.Thread(
        target=_serve, args=(running, started, lambda end: ends.append((asyncio.get_running_loop(), end)))
    )
    thread.start()
    try:
        assert started.wait(30)
        with running.nodes:
            yield running
    finally:
        for loop, end in ends:
            loop.call_soon_threadsafe(end.set)
        thread.join(30)
        assert not thread.is_alive()


def test_rows_of_two_nodes_are_joined_at_a_third_as_in_one_database(running: Running) -> None:
    result = running.ask("join", sealed_plan())
    assert result.to_arrow().to_pylist() == expected()


def test_everybody_signs_for_what_it_sent_and_to_whom(running: Running) -> None:
    result = running.ask("receipts", sealed_plan())
    signed = [receipt.read_unverified(token) for token in result.receipts]
    routes = {(r["node"], r["exchange"], r["destination"]) for r in signed}
    assert routes == {("north", "x1", "east"), ("south", "x1", "east"), ("east", "", COORDINATOR)}
    assert {r["form"] for r in signed} == {"rows"}


def test_the_audit_logs_tell_what_went_where_and_what_came_in(running: Running) -> None:
    result = running.ask("audit", sealed_plan())
    (sent,) = running.records("north", result.query_id)
    assert [(part["exchange"], part["to"], part["form"]) for part in sent["sent"]] == [("x1", "east", "rows")]
    (taken,) = running.records("east", result.query_id)
    (source,) = taken["received"]
    assert source["from"] == ["north", "south"]
    assert source["attempts"] == [1, 1]
    assert not source["protected"]


def test_each_row_goes_to_one_node_where_a_column_says_so(running: Running) -> None:
    plan = sealed_plan(
        sites=("east", "north"),
        sent="SELECT customer, amount, note, CAST(customer % 2 AS UINTEGER) AS part FROM orders",
        sent_columns=(("customer", "INTEGER"), ("amount", "BIGINT"), ("note", "VARCHAR"), ("part", "UINTEGER")),
        joined="SELECT CAST(x1.customer % 2 AS VARCHAR) AS region, count(*) AS n, sum(x1.amount) AS total, "
        "sum(length(x1.note)) AS letters FROM x1 GROUP BY x1.customer % 2",
        part_column="part",
    )
    answer = running.ask("parts", plan).to_arrow().to_pylist()
    assert [(row["region"], row["n"]) for row in answer] == [("0", ROWS), ("1", ROWS)]
    # Each group came from one node alone, or the coordinator would have added more than one row for it.
    with running.nodes.connect() as connection:
        (last, *_) = connection.queries()
    assert {
        r["rows"] for node in ("east", "north") for r in running.records(node, last.query_id) if "received" in r
    } == {1}


def test_an_input_larger_than_memory_is_read_from_an_encrypted_file_that_is_gone_afterwards(running: Running) -> None:
    twice = sealed_plan(
        joined="SELECT c.region AS region, count(*) AS n, sum(x1.amount) AS total, "
        "any_value((SELECT sum(length(y.note)) FROM x1 AS y JOIN customers AS d ON d.customer = y.customer "
        "WHERE d.region = c.region)) AS letters "
        "FROM x1 JOIN customers AS c ON c.customer = x1.customer GROUP BY c.region"
    )
    assert running.ask("twice", twice).to_arrow().to_pylist() == expected()
    spill = running.layout.state_dir("east") / "spill"
    assert not [path for path in spill.rglob("*") if path.is_file()] if spill.exists() else True


def test_the_coordinator_holds_nothing_that_can_be_read(running: Running) -> None:
    running.ask("nothing", sealed_plan(joined=COUNT))
    stored = b"".join(p.read_bytes() for p in (running.layout.directory / "coordinator").iterdir() if p.is_file())
    assert b"SELECT customer, amount, note FROM orders" in stored
    assert MARKER.encode() not in stored


def test_a_table_whose_policy_names_no_peer_goes_to_none(running: Running) -> None:
    plan = sealed_plan(sites=("north",), joined=COUNT)
    stages = (
        replace(plan.stages[0], sites=("east",), sql="SELECT customer, 1 AS amount, region AS note FROM customers"),
    )
    with pytest.raises(errors.NotAllowedError) as refusal:
        running.ask("closed", replace(plan, stages=(*stages, *plan.stages[1:])))
    assert refusal.value.node == "east"


def test_an_input_may_not_stand_in_for_a_table_of_the_node(running: Running) -> None:
    plan = sealed_plan(
        joined="SELECT 'all' AS region, count(*) AS n, sum(amount) AS total, count(*) AS letters FROM customers"
    )
    renamed = replace(
        plan,
        stages=(plan.stages[0], replace(plan.stages[1], inputs=("customers",)), plan.stages[2]),
        exchanges=(replace(plan.exchanges[0], exchange_id="customers"), plan.exchanges[1]),
    )
    with pytest.raises(errors.DatabaseError) as refusal:
        running.ask("shadow", renamed)
    assert refusal.value.code == "BAD_REQUEST"


# Persons


def linked_plan() -> Plan:
    """Plan by hand: stays of two hospitals meet care at the insurer, and only large groups come out."""
    sent = (("person", "BLOB"), ("region", "VARCHAR"), ("days", "INTEGER"))
    groups = tuple(OutputColumn(*c) for c in (("region", "VARCHAR"), ("n", "BIGINT"), ("cost", "HUGEINT")))
    joined = (
        "SELECT x1.region AS region, count(*) AS n, sum(c.cost) AS cost "
        "FROM x1 JOIN care AS c ON c.insured = x1.person GROUP BY x1.region"
    )
    final = 'SELECT region, n, cost FROM "x2" ORDER BY region'
    return Plan(
        sql="",
        stages=(
            Stage(
                "s1",
                StageKind.NODE,
                ("north", "south"),
                "SELECT person, region, days FROM stays",
                tuple(OutputColumn(*c) for c in sent),
            ),
            Stage("s2", StageKind.NODE, ("east",), joined, groups, ("x1",)),
            Stage("s3", StageKind.FINISH, (COORDINATOR,), final, groups, ("x2",)),
        ),
        exchanges=(
            Exchange("x1", "s1", "s2", Form.ROWS, "rows", 400, 20_000),
            Exchange("x2", "s2", "s3", Form.AGGREGATE, "aggregate", 4, 100),
        ),
        result_stage="s3",
        columns=groups,
    )


def test_persons_of_two_hospitals_are_linked_with_the_insurer_s_and_only_large_groups_come_out(
    running: Running,
) -> None:
    import duckdb

    result = running.ask("linked", linked_plan(), linkage=True)
    database = duckdb.connect()
    database.register("stays", pa.concat_tables([stays("north"), stays("south")]))
    database.register("care", CARE)
    sql = (
        "SELECT region, count(*) AS n, sum(cost) AS cost, count(DISTINCT person) AS persons "
        "FROM stays JOIN care ON insured = person GROUP BY region ORDER BY region"
    )
    whole = database.execute(sql).to_arrow_table().to_pylist()
    database.close()
    assert [row.pop("persons") for row in whole[-2:]] == [7, 5]
    assert result.to_arrow().to_pylist() == [
        {name: value for name, value in row.items() if name != "persons"} for row in whole[:-2]
    ]
    outcomes = {node.node: node for node in result.nodes}
    assert outcomes["east"].withheld_groups == 2
    assert not outcomes["north"].threshold_applied
    crossed = {(c.sender, c.receiver): c.bytes for c in result.crossings}
    assert crossed["north", "east"] is None
    assert crossed["east", ""]


def test_persons_are_not_linked_under_a_permit_that_does_not_say_so(running: Running) -> None:
    with pytest.raises(errors.NotAllowedError) as refusal:
        running.ask("unlinked", linked_plan())
    assert refusal.value.code == "PERMIT_SCOPE"


def test_no_identifier_of_a_person_is_outside_the_nodes_that_hold_it(running: Running) -> None:
    running.ask("traces", linked_plan(), linkage=True)
    for path in running.layout.directory.rglob("*"):
        if path.is_file():
            assert b"PERSON-0" not in path.read_bytes(), path
