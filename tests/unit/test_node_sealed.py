"""Two nodes and a relay played by the test: what one seals, the other opens, computes with, and lets out or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from node_support import NOT_COMPARED, NOW, OPEN, Party, engine_of, stays

from archipel import errors, frames, receipt
from archipel.linkage import PADS_TABLE, Linkage
from archipel.schema import COORDINATOR
from archipel.sealing import StreamId
from node_agent import audit
from node_agent.audit import AuditLog
from node_agent.cancellation import Cancellation
from node_agent.keeping import Keeping
from node_agent.ledger import Ledger
from node_agent.order import Released, TaskOrder
from node_agent.sealed import Output, Peers, ReceiveLimits, Sender, padded
from node_agent.tasks import TaskRunner

SENDERS = ("hospital_a", "hospital_c")
RECEIVER = "hospital_b"
NODES = (*SENDERS, RECEIVER)
LINKED = {
    "coordinator": "aggregate",
    "other_columns": "group",
    "columns": {"days": "measure", "note": "hidden"},
    "peers": {RECEIVER: "rows"},
    "tell_withheld_count": True,
}
POLICY = {"stays": LINKED, "ref": {**OPEN, "peers": {"*": "rows"}}, "closed": OPEN}
TABLES = (
    {"name": "stays", "source": "data", "file": "stays.parquet", "person_column": "person", "person_domain": "nir"},
    {"name": "ref", "source": "data", "file": "ref.parquet"},
    {"name": "closed", "source": "data", "file": "ref.parquet"},
)
SECRET = Linkage(bytes(range(32)), epoch=2)
SEND_ROWS = "SELECT person, region, days FROM stays"
SEND_REF = "SELECT region, code FROM ref"
JOIN_REF = "SELECT x1.code AS code, count(*) AS n FROM x1 GROUP BY x1.code"
JOIN_STAYS = (
    "SELECT x1.region AS region, count(*) AS n FROM x1 JOIN stays AS s ON s.person = x1.person GROUP BY x1.region"
)


@dataclass
class Scene:
    """Runners of three nodes over their own files, with one permit, and the streams that are under way."""

    directory: Path
    party: Party = field(default_factory=Party)
    policy: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    rows: Callable[[str], pa.Table] = field(default=lambda node: stays())
    permit_changes: Mapping[str, Any] = field(default_factory=dict)
    runners: dict[str, TaskRunner] = field(default_factory=dict)
    streams: dict[tuple[str, str, str], list[bytes]] = field(default_factory=dict)
    """By exchange, sender and receiver."""

    def __post_init__(self) -> None:
        secrets = {node: X25519PrivateKey.generate() for node in NODES}
        public = {node: key.public_key() for node, key in secrets.items()}
        for node in NODES:
            folder = self.directory / node
            folder.mkdir()
            pq.write_table(self.rows(node), folder / "stays.parquet")
            pq.write_table(
                pa.table({"region": ["Bretagne", "Normandie"], "code": ["53", node]}), folder / "ref.parquet"
            )
            self.runners[node] = TaskRunner(
                node=node,
                federation="dev",
                authority_key=self.party.authority.public_key(),
                signing_key=self.party.node,
                engine=engine_of(folder, TABLES, policy=self.policy, node=node),
                audit=AuditLog(folder / "audit"),
                ledger=Ledger(folder / "ledger", NOT_COMPARED),
                statement_timeout_s=30.0,
                max_release_bytes=1 << 30,
                peers=Peers(public, secrets[node], SECRET),
                receive_limits=ReceiveLimits(directory=folder),
                now=lambda: NOW,
            )

    def order(self, sql: str, **changes: Any) -> TaskOrder:
        """Return a task; the permit allows to link."""
        content = {"nodes": list(NODES), "linkage": True, "tables": [{"table": "*", "columns": ["*"]}]}
        token = self.party.permit(**{**content, **self.permit_changes})
        return self.party.order(sql, permit_token=token, request_token=self.request, **changes)

    @property
    def request(self) -> str:
        """The signed request, the same in every task of the query."""
        if not hasattr(self, "_request"):
            self._request = self.party.request()
        return self._request

    def send(self, sql: str, node: str = SENDERS[0], *outputs: Output, **changes: Any) -> Released:
        """Have a node seal what a statement gives, and keep the streams."""
        order = self.order(sql, outputs=outputs or (Output("x1", (RECEIVER,)),), **changes)
        released = self.runners[node].run(order, {})
        for stream in released.streams:
            self.streams[stream.exchange_id, node, stream.receiver] = list(stream.frames)
        return released

    def receive(
        self,
        sql: str,
        *,
        senders: Sequence[str] = SENDERS[:1],
        attempt: int = 1,
        node: str = RECEIVER,
        cancellation: Cancellation | None = None,
        **changes: Any,
    ) -> list[dict[str, Any]]:
        """Have a node compute with what was sealed for it, and return what it lets out to the coordinator."""
        order = self.order(
            sql,
            stage_id="s2",
            inputs={"x1": ()},
            senders={"x1": tuple(Sender(sender, "s1", attempt) for sender in senders)},
            **changes,
        )
        released = self.runners[node].run(order, {}, cancellation, self.pull(node))
        return frames.decode_table(released.frames).to_pylist()

    def pull(self, node: str) -> Callable[[str, str], Iterator[bytes]]:
        """Return what a node gets its streams with."""
        return lambda exchange_id, sender: iter(self.streams.get((exchange_id, sender, node), ()))

    def set(self, node: str, **changes: Any) -> None:
        """Change what a runner is made of."""
        for name, value in changes.items():
            setattr(self.runners[node], name, value)

    def last_record(self, node: str) -> Mapping[str, Any]:
        """Return the last record of a node's audit log."""
        return list(audit.records(self.directory / node / "audit"))[-1]

    def close(self) -> None:
        """Close engines and logs."""
        for runner in self.runners.values():
            runner.engine.close()
            assert runner.audit is not None
            runner.audit.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def refusal_of(work: Callable[[], object]) -> errors.ArchipelError:
    """Return why something is refused."""
    with pytest.raises(errors.ArchipelError) as refusal:
        work()
    return refusal.value


# Open tables


def test_rows_of_two_nodes_become_one_table_in_the_order_of_the_senders(scene: Scene) -> None:
    for node in SENDERS:
        scene.send(SEND_REF, node)
    assert sorted(scene.receive(JOIN_REF, senders=SENDERS), key=lambda row: row["code"]) == [
        {"code": "53", "n": 2},
        {"code": "hospital_a", "n": 1},
        {"code": "hospital_c", "n": 1},
    ]
    codes = scene.receive("SELECT code FROM x1", senders=SENDERS[::-1])
    assert [row["code"] for row in codes] == ["53", "hospital_c", "53", "hospital_a"]


def test_every_receiver_gets_a_stream_and_a_receipt_of_its_own(scene: Scene) -> None:
    outputs = (Output("x1", (RECEIVER, SENDERS[1])), Output("x2", (SENDERS[1],)))
    released = scene.send(SEND_REF, SENDERS[0], *outputs)
    routes = [(s.exchange_id, s.receiver) for s in released.streams]
    assert routes == [("x1", RECEIVER), ("x1", SENDERS[1]), ("x2", SENDERS[1])]
    signed = [receipt.verify(s.finish(), scene.party.node.public_key()) for s in released.streams]
    assert [(r.exchange, r.destination) for r in signed] == routes
    assert len({r.content_sha256 for r in signed}) == 3
    assert [r.bytes for r in signed] == [sum(map(len, parts)) for parts in scene.streams.values()]
    assert scene.receive(JOIN_REF, node=SENDERS[1])


def test_each_row_goes_to_the_node_that_the_part_column_says_without_that_column(scene: Scene) -> None:
    sql = "SELECT region, code, CAST(CASE region WHEN 'Bretagne' THEN 1 ELSE 0 END AS UINTEGER) AS part FROM ref"
    scene.send(sql, SENDERS[0], Output("x1", (RECEIVER, SENDERS[1]), "part"))
    assert scene.receive("SELECT * FROM x1") == [{"region": "Normandie", "code": "hospital_a"}]
    assert scene.receive("SELECT * FROM x1", node=SENDERS[1]) == [{"region": "Bretagne", "code": "53"}]


@pytest.mark.parametrize(
    "part",
    ["CAST(2 AS UINTEGER)", "CAST(NULL AS UINTEGER)", "CAST(0 AS INTEGER)", "'0'"],
    ids=["nobody", "null", "another type", "text"],
)
def test_a_row_that_is_for_nobody_stops_the_whole_release(part: str, scene: Scene) -> None:
    sql = f"SELECT region, {part} AS part FROM ref"  # noqa: S608 - a test's own text
    refusal = refusal_of(lambda: scene.send(sql, SENDERS[0], Output("x1", (RECEIVER, SENDERS[1]), "part")))
    assert refusal.code == "BAD_REQUEST"
    assert scene.last_record(SENDERS[0])["kind"] == "refused"
    missing = refusal_of(lambda: scene.send("SELECT region FROM ref", SENDERS[0], Output("x1", (RECEIVER,), "part")))
    assert missing.code == "BAD_REQUEST"


def test_what_a_policy_lets_to_the_coordinator_only_is_sealed_for_nobody(scene: Scene) -> None:
    refusal = refusal_of(lambda: scene.send("SELECT region FROM closed"))
    assert refusal.code == "POLICY_REFUSED"
    assert not scene.streams


def test_a_policy_that_lets_to_one_receiver_and_not_to_the_other_lets_nothing_out(tmp_path: Path) -> None:
    some = {**POLICY, "ref": {**OPEN, "peers": {RECEIVER: "rows"}}}
    scene = Scene(tmp_path, policy=some)
    try:
        scene.send(SEND_REF)
        both = Output("x1", (RECEIVER, SENDERS[1]))
        assert refusal_of(lambda: scene.send(SEND_REF, SENDERS[0], both)).code == "POLICY_REFUSED"
    finally:
        scene.close()


def test_a_node_may_always_send_to_itself_and_owes_itself_the_same(tmp_path: Path) -> None:
    scene = Scene(tmp_path, policy={**POLICY, "stays": {**LINKED, "peers": {}}})
    try:
        assert refusal_of(lambda: scene.send(SEND_ROWS, RECEIVER, Output("x1", SENDERS[:1]))).code == "POLICY_REFUSED"
        for sql in ("SELECT region FROM closed", SEND_ROWS):
            scene.send(sql, RECEIVER, Output("x1", (RECEIVER,)))
        assert scene.receive(JOIN_STAYS, senders=(RECEIVER,)) == [{"region": "Normandie", "n": 35 * 2 * 2}]
        scene.send(SEND_ROWS, RECEIVER, Output("x1", (RECEIVER,)))  # the node kept it for one reader
        rows = refusal_of(lambda: scene.receive("SELECT region FROM x1", senders=(RECEIVER,)))
        assert rows.code == "BORDER_REFUSED"
    finally:
        scene.close()


# Who may take part


def test_a_node_without_a_sealing_key_seals_nothing_and_takes_nothing(scene: Scene) -> None:
    scene.send(SEND_REF)
    for node in (SENDERS[0], RECEIVER):
        scene.set(node, peers=replace(scene.runners[node].peers, own=None))
    assert refusal_of(lambda: scene.send(SEND_REF)).code == "POLICY_REFUSED"
    assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "POLICY_REFUSED"


def test_a_node_that_the_manifest_does_not_name_gets_nothing_and_is_not_believed(scene: Scene) -> None:
    assert refusal_of(lambda: scene.send(SEND_REF, SENDERS[0], Output("x1", ("hospital_z",)))).code == "POLICY_REFUSED"
    assert refusal_of(lambda: scene.send(SEND_REF, SENDERS[0], Output("x1", (COORDINATOR,)))).code == "POLICY_REFUSED"
    assert refusal_of(lambda: scene.receive(JOIN_REF, senders=("hospital_z",))).code == "POLICY_REFUSED"


def test_a_node_that_the_permit_does_not_name_gets_nothing_and_is_not_believed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, permit_changes={"nodes": [SENDERS[0]]})
    try:
        assert refusal_of(lambda: scene.send(SEND_REF)).code == "PERMIT_SCOPE"
        scene.permit_changes = {"nodes": [RECEIVER]}
        assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "PERMIT_SCOPE"
    finally:
        scene.close()


@pytest.mark.parametrize("name", ["stays", "STAYS", "ref", PADS_TABLE])
def test_no_input_may_have_the_name_of_a_table_of_the_node_or_of_the_keys(name: str, scene: Scene) -> None:
    order = scene.order("SELECT 1 AS one", inputs={name: ()}, senders={name: (Sender(SENDERS[0], "s1", 1),)})
    asked: list[str] = []

    def pull(exchange_id: str, sender: str) -> Iterator[bytes]:
        asked.append(exchange_id)
        return iter(())

    assert refusal_of(lambda: scene.runners[RECEIVER].run(order, {}, None, pull)).code == "BAD_REQUEST"
    assert not asked


@pytest.mark.parametrize(
    "outputs",
    [(Output("x1", (RECEIVER, RECEIVER)),), (Output("x1", (RECEIVER,)), Output("x1", (SENDERS[1],)))],
    ids=["one node twice", "one exchange twice"],
)
def test_one_exchange_is_sealed_for_one_node_once(outputs: tuple[Output, ...], scene: Scene) -> None:
    assert refusal_of(lambda: scene.send(SEND_REF, SENDERS[0], *outputs)).code == "BAD_REQUEST"


def test_one_sender_counts_once(scene: Scene) -> None:
    scene.send(SEND_REF)
    refusal = refusal_of(lambda: scene.receive(JOIN_REF, senders=(SENDERS[0], SENDERS[0])))
    assert refusal.code == "BAD_REQUEST"


# What the receiver believes


def splice(scene: Scene) -> None:
    scene.send(SEND_REF, SENDERS[0], query_id="q2")


RELAYS: dict[str, Callable[[Scene], object]] = {
    "nothing at all": lambda s: s.streams.clear(),
    "a frame dropped": lambda s: s.streams["x1", SENDERS[0], RECEIVER].pop(),
    "a frame repeated": lambda s: s.streams["x1", SENDERS[0], RECEIVER].append(b""),
    "another query's stream": splice,
    "another stage's stream": lambda s: s.send(SEND_REF, SENDERS[0], stage_id="s9"),
    "another attempt's stream": lambda s: s.send(SEND_REF, SENDERS[0], attempt=2),
    "another request's stream": lambda s: (setattr(s, "_request", s.party.request(sql="SELECT 2")), s.send(SEND_REF)),
    "another permit's stream": lambda s: s.streams.update({("x1", SENDERS[0], RECEIVER): _under_another_permit(s)}),
    "another exchange's stream": lambda s: s.streams.update(
        {("x1", SENDERS[0], RECEIVER): _sent(s, Output("x2", (RECEIVER,)))}
    ),
    "another receiver's stream": lambda s: s.streams.update(
        {("x1", SENDERS[0], RECEIVER): _sent(s, Output("x1", (SENDERS[1],)))}
    ),
    "another sender's stream": lambda s: s.streams.update(
        {("x1", SENDERS[0], RECEIVER): _sent(s, Output("x1", (RECEIVER,)), SENDERS[1])}
    ),
}


def _sent(scene: Scene, output: Output, node: str = SENDERS[0]) -> list[bytes]:
    scene.send(SEND_REF, node, output)
    return scene.streams[output.exchange_id, node, output.nodes[0]]


def _under_another_permit(scene: Scene) -> list[bytes]:
    content = {"nodes": list(NODES), "linkage": True, "tables": [{"table": "*", "columns": ["*"]}], "permit_id": "p2"}
    order = scene.party.order(
        SEND_REF,
        permit_token=scene.party.permit(**content),
        request_token=scene.party.request(permit_id="p2"),
        outputs=(Output("x1", (RECEIVER,)),),
    )
    (stream,) = scene.runners[SENDERS[0]].run(order, {}).streams
    return list(stream.frames)


@pytest.mark.parametrize("relay", RELAYS.values(), ids=RELAYS.keys())
def test_a_relay_that_hands_out_anything_else_is_refused_and_the_node_s_log_says_so(
    relay: Callable[[Scene], object], scene: Scene
) -> None:
    scene.send(SEND_REF)
    request = scene.request
    relay(scene)
    scene._request = request  # type: ignore[attr-defined]
    assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "EXCHANGE_REFUSED"
    record = scene.last_record(RECEIVER)
    assert (record["kind"], record["code"]) == ("refused", "EXCHANGE_REFUSED")


def test_the_same_stream_is_taken_again_by_a_second_attempt_of_the_receiver(scene: Scene) -> None:
    scene.send(SEND_REF)
    first, second = scene.receive(JOIN_REF), scene.receive(JOIN_REF, attempt=1)
    assert sorted(first, key=repr) == sorted(second, key=repr)


def test_a_task_that_is_told_of_a_wrong_attempt_takes_nothing(scene: Scene) -> None:
    scene.send(SEND_REF, attempt=2)
    assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "EXCHANGE_REFUSED"
    assert scene.receive(JOIN_REF, attempt=2)


def test_senders_that_speak_of_other_columns_or_types_do_not_fit_together(scene: Scene) -> None:
    scene.send(SEND_REF, SENDERS[0])
    scene.send("SELECT region, region AS other FROM ref", SENDERS[1])
    assert refusal_of(lambda: scene.receive(JOIN_REF, senders=SENDERS)).code == "EXCHANGE_REFUSED"
    scene.send("SELECT region, 1 AS code FROM ref", SENDERS[1])
    assert refusal_of(lambda: scene.receive(JOIN_REF, senders=SENDERS)).code == "EXCHANGE_REFUSED"


# Persons


def test_persons_are_linked_by_pseudonyms_and_only_large_groups_come_out(scene: Scene) -> None:
    for node in SENDERS:
        released = scene.send(SEND_ROWS, node)
        assert not released.withheld.threshold_applied
    whole = b"".join(part for parts in scene.streams.values() for part in parts)
    assert b"Bretagne" not in whole
    rows = scene.receive(JOIN_STAYS, senders=SENDERS)
    # 35 persons of Normandie, 2 stays each here and at each of two nodes; 5 of Bretagne are too few.
    assert rows == [{"region": "Normandie", "n": 35 * 2 * 2 * 2}]


def test_the_sender_s_threshold_holds_at_the_receiver(tmp_path: Path) -> None:
    scene = Scene(tmp_path, policy={**POLICY, "stays": {**LINKED, "min_persons": 36}})
    try:
        scene.runners[RECEIVER].engine.close()
        own = engine_of(tmp_path / RECEIVER, TABLES, policy=POLICY, node=RECEIVER)
        scene.set(RECEIVER, engine=own)
        scene.send(SEND_ROWS)
        assert scene.receive(JOIN_STAYS) == []
        assert scene.last_record(RECEIVER)["min_persons"] == 36
    finally:
        scene.close()


def test_rows_about_persons_do_not_go_on_to_the_coordinator_nor_to_a_third_node(scene: Scene) -> None:
    scene.send(SEND_ROWS)
    for sql in (
        "SELECT person, region FROM x1",
        "SELECT region FROM x1",
        "SELECT count(*) AS n FROM x1 GROUP BY person",
    ):
        assert refusal_of(lambda: scene.receive(sql)).code == "BORDER_REFUSED"  # noqa: B023 - at once
    onward = refusal_of(lambda: scene.receive("SELECT * FROM x1", outputs=(Output("x3", (SENDERS[1],)),)))
    assert onward.code in {"BORDER_REFUSED", "POLICY_REFUSED"}


def test_persons_are_linked_only_under_a_permit_for_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, permit_changes={"linkage": False})
    try:
        assert refusal_of(lambda: scene.send(SEND_ROWS)).code == "PERMIT_SCOPE"
    finally:
        scene.close()


def test_a_node_without_a_linkage_secret_gives_no_pseudonym_and_says_why(scene: Scene) -> None:
    scene.send(SEND_ROWS)
    for node in (SENDERS[0], RECEIVER):
        scene.set(node, peers=replace(scene.runners[node].peers, linkage=None))
    for work in (lambda: scene.send(SEND_ROWS), lambda: scene.receive(JOIN_STAYS)):
        refusal = refusal_of(work)
        assert refusal.code == "POLICY_REFUSED"
        assert "linkage_secret" in refusal.hint
    # Whoever has no persons of its own in the statement needs no secret.
    assert scene.receive("SELECT region, count(*) AS n FROM x1 GROUP BY region") == [{"region": "Normandie", "n": 70}]


def test_pseudonyms_of_another_epoch_are_refused(scene: Scene) -> None:
    later = Linkage(SECRET.secret, SECRET.epoch + 1)
    scene.send(SEND_ROWS, SENDERS[0])
    peers = scene.runners[SENDERS[1]].peers
    scene.set(SENDERS[1], peers=replace(peers, linkage=later))
    scene.send(SEND_ROWS, SENDERS[1])
    counted = "SELECT region, count(*) AS n FROM x1 GROUP BY region"
    assert refusal_of(lambda: scene.receive(counted, senders=SENDERS[1:])).code == "EXCHANGE_REFUSED"
    scene.set(RECEIVER, peers=replace(scene.runners[RECEIVER].peers, linkage=None))
    assert refusal_of(lambda: scene.receive(counted, senders=SENDERS)).code == "EXCHANGE_REFUSED"
    assert scene.receive(counted, senders=SENDERS[1:]) == [{"region": "Normandie", "n": 70}]


def test_open_rows_need_no_common_epoch(scene: Scene) -> None:
    peers = scene.runners[SENDERS[0]].peers
    scene.set(SENDERS[0], peers=replace(peers, linkage=Linkage(SECRET.secret, 9)))
    scene.send(SEND_REF)
    assert scene.receive(JOIN_REF)


@pytest.mark.parametrize("sql", ["SELECT inner FROM archipel_pads", 'SELECT count(*) AS n FROM ref, "Archipel_Pads"'])
def test_no_statement_may_name_the_keys_behind_pseudonyms(sql: str, scene: Scene) -> None:
    for outputs in ((), (Output("x1", (RECEIVER,)),)):
        order = scene.order(sql, outputs=outputs)
        refusal = refusal_of(lambda: scene.runners[SENDERS[0]].run(order, {}))  # noqa: B023 - at once
        assert refusal.info.code.fault in {errors.Fault.REQUEST, errors.Fault.PERMISSION}


def test_the_size_of_what_is_sealed_tells_little_of_how_many_persons_are_in_it(scene: Scene) -> None:
    def size(few: str) -> int:
        scene.send(f"{SEND_ROWS} WHERE {few}")
        return sum(map(len, scene.streams["x1", SENDERS[0], RECEIVER][1:]))

    assert size("days = 3") == size("days = 3 AND region = 'Bretagne'") == size("days > 99")


def test_receipts_and_told_sizes_of_persons_rows_hold_no_number_of_bytes(scene: Scene) -> None:
    (stream,) = scene.send(SEND_ROWS).streams
    assert receipt.verify(stream.finish(), scene.party.node.public_key()).bytes == 0
    (part,) = scene.last_record(SENDERS[0])["sent"]
    assert part["bytes"] > 0
    assert (part["to"], part["key_epoch"]) == (RECEIVER, 2)


# Size, and the end


def test_a_large_input_goes_to_disk_unreadable_and_is_gone_when_the_task_is_done(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node_agent import spill

    made: list[bytes] = []
    write = spill.SpilledTable._write

    def watched(self: spill.SpilledTable, part: bytes) -> None:
        write(self, part)
        self._file.flush()
        self._file.seek(0)
        made.append(self._file.read())

    monkeypatch.setattr(spill.SpilledTable, "_write", watched)
    scene.set(RECEIVER, receive_limits=ReceiveLimits(memory_bytes=0, directory=tmp_path / RECEIVER))
    scene.send(SEND_REF)
    before = set((tmp_path / RECEIVER).iterdir())
    joined = "SELECT a.code AS code, count(*) AS n FROM x1 AS a JOIN x1 AS b ON a.region = b.region GROUP BY a.code"
    assert len(scene.receive(joined)) == 2
    assert made
    assert not any(b"Normandie" in content or b"ARROW" in content for content in made)
    assert set((tmp_path / RECEIVER).iterdir()) == before


def test_an_input_beyond_all_bounds_is_refused(scene: Scene, tmp_path: Path) -> None:
    scene.set(RECEIVER, receive_limits=ReceiveLimits(max_bytes=100, directory=tmp_path))
    scene.send(SEND_REF)
    assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "NODE_RESOURCES"


def test_a_task_that_is_cancelled_while_it_collects_collects_no_more(scene: Scene) -> None:
    scene.send(SEND_REF)
    cancellation = Cancellation()
    taken: list[bytes] = []

    def pull(exchange_id: str, sender: str) -> Iterator[bytes]:
        for part in scene.streams[exchange_id, sender, RECEIVER]:
            taken.append(part)
            cancellation.cancel()
            yield part

    order = scene.order(JOIN_REF, inputs={"x1": ()}, senders={"x1": (Sender(SENDERS[0], "s1", 1),)})
    assert refusal_of(lambda: scene.runners[RECEIVER].run(order, {}, cancellation, pull)).code == "CANCELLED"
    assert len(taken) == 1


def test_a_decision_for_one_destination_is_not_taken_for_another(scene: Scene) -> None:
    runner = scene.runners[SENDERS[0]]
    aggregate = "SELECT region, count(*) AS n FROM stays GROUP BY region"
    assert frames.decode_table(runner.run(scene.order(aggregate), {}).frames).num_rows == 1
    sealed = scene.order(aggregate, outputs=(Output("x1", (RECEIVER,)),))
    assert refusal_of(lambda: runner.run(sealed, {})).code == "BORDER_REFUSED"


def test_a_decision_over_what_one_sender_obliges_to_is_not_taken_for_another(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        scene.send(SEND_ROWS)
        counted = "SELECT region, count(*) AS n FROM x1 GROUP BY region"
        assert scene.receive(counted) == [{"region": "Normandie", "n": 70}]
        stricter = {**POLICY, "stays": {**LINKED, "min_persons": 36}}
        scene.runners[SENDERS[0]].engine.close()
        scene.set(SENDERS[0], engine=engine_of(tmp_path / SENDERS[0], TABLES, policy=stricter, node=SENDERS[0]))
        scene.send(SEND_ROWS)
        assert scene.receive(counted) == []
    finally:
        scene.close()


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 - 1, 16 * 1024 + 1, 262_144, 262_145, 1_000_000, 5_000_001])
def test_padding_keeps_the_frames_and_adds_an_eighth_at_most(size: int) -> None:
    content = [bytes([7]) * min(262_144, size - start) for start in range(0, size, 262_144)] or [b""]
    longer = padded(content)
    whole = b"".join(longer)
    assert whole[:size] == b"".join(content)
    assert not any(whole[size:])
    assert len(whole) <= max(16 * 1024, size * 1.125)
    assert max(map(len, longer)) <= frames.FRAME_BYTES


def test_keys_of_the_manifest_are_those_that_streams_are_sealed_to(scene: Scene) -> None:
    """A receiver with another key than the manifest says cannot open what was sealed to the manifest's."""
    scene.send(SEND_REF)
    other = X25519PrivateKey.generate()
    scene.set(RECEIVER, peers=replace(scene.runners[RECEIVER].peers, own=other))
    assert refusal_of(lambda: scene.receive(JOIN_REF)).code == "EXCHANGE_REFUSED"
    assert isinstance(other.public_key(), X25519PublicKey)


# A node that is among its own receivers


def both(sql: str, scene: Scene, timeout_s: float = 30.0) -> list[dict[str, Any]]:
    """Have two nodes send rows to each other and to themselves; return what one of them makes of its part."""
    for node in (RECEIVER, SENDERS[0]):
        scene.send(sql, node, Output("x1", (RECEIVER, SENDERS[0]), "part"), timeout_s=timeout_s)
    return scene.receive("SELECT code, region FROM x1 ORDER BY code", senders=(RECEIVER, SENDERS[0]))


ROUND = "SELECT region, code, CAST(CASE region WHEN 'Bretagne' THEN 1 ELSE 0 END AS UINTEGER) AS part FROM ref"


def test_what_a_node_sends_to_itself_stays_there_until_it_was_read(scene: Scene) -> None:
    rows = both(ROUND, scene)
    assert [row["code"] for row in rows] == sorted((RECEIVER, SENDERS[0]))
    own, other = (scene.streams["x1", node, RECEIVER] for node in (RECEIVER, SENDERS[0]))
    assert sum(map(len, own)) < sum(map(len, other)) + 200  # its schema, and the word that the rows stayed
    refusal = refusal_of(lambda: scene.receive("SELECT code FROM x1", senders=(RECEIVER, SENDERS[0])))
    assert refusal.code == "NODE_UNAVAILABLE"


def test_a_task_that_failed_finds_what_the_node_kept_when_it_is_tried_again(scene: Scene) -> None:
    refusal = refusal_of(lambda: both(ROUND.replace("code,", "code AS kode,"), scene))
    assert refusal.code == "SQL_UNKNOWN_COLUMN"
    assert len(scene.receive("SELECT kode FROM x1", senders=(RECEIVER, SENDERS[0]))) == 2


def test_what_a_node_has_no_room_to_keep_is_sealed_like_what_is_for_others(scene: Scene) -> None:
    scene.set(RECEIVER, _keeping=Keeping(max_bytes=0))
    assert len(both(ROUND, scene)) == 2


def test_what_a_node_kept_is_gone_with_the_time_that_its_query_may_take(scene: Scene) -> None:
    clock = [0.0]
    keeping = Keeping(now=lambda: clock[0])
    scene.set(RECEIVER, _keeping=keeping)
    scene.send(ROUND, RECEIVER, Output("x1", (RECEIVER, SENDERS[0]), "part"), timeout_s=5.0)
    clock[0] = 6.0
    keeping.forget(())
    refusal = refusal_of(lambda: scene.receive("SELECT code FROM x1", senders=(RECEIVER,)))
    assert refusal.code == "NODE_UNAVAILABLE"


def test_another_node_cannot_say_that_rows_stayed(scene: Scene) -> None:
    stream = StreamId("dev", "q", "x1", "s1", 1, SENDERS[0], RECEIVER, "p", "r")
    own = replace(stream, sender=RECEIVER)
    keeping = Keeping()
    rows = pa.table({"code": ["a"]})
    sent = keeping.keep(own, rows, timeout_s=9.0)
    assert sent.num_rows == 0
    assert keeping.rows_of(own, sent.schema) is rows
    assert keeping.keep(stream, rows, timeout_s=9.0) is rows
    assert keeping.rows_of(stream, sent.schema) is None
    with pytest.raises(errors.ArchipelError):
        keeping.rows_of(replace(own, exchange_id="x2"), sent.schema)
