"""What the operator stops: it ends at once, whatever it waits for, stays stopped, and is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from node_support import NOT_COMPARED
from test_node_agent import BY_REGION, SLOW, Play, Scene, keys, played, rows_in, write_config  # noqa: F401 - fixtures too
from typer.testing import CliRunner

from archipel import errors, permit, wire
from archipel.schema import Column
from archipel.v1 import gateway_pb2
from node_agent.cli import app
from node_agent.switches import FILE, Stopped, Subject, Switches, account


def permit_of(scene: Scene) -> str:
    token = (scene.keys / "researchers/alice/permit.jwt").read_text().strip()
    return str(permit.read_unverified(token)["permit_id"])


@pytest.mark.parametrize("subject", ["all", "permit", "researcher"])
def test_what_the_operator_stops_ends_within_a_second_and_stays_stopped(
    played: Callable[[Play], None],  # noqa: F811
    subject: Subject,
) -> None:
    async def play(scene: Scene) -> None:
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("slow", SLOW))
        assert (await attached.next("task_accepted")).task_id == "slow"
        while (await attached.next("heartbeat")).running_tasks != 1:
            pass
        switches = Switches(scene.directory / "state")
        name = {"all": "", "permit": permit_of(scene), "researcher": "alice"}[subject]
        started = time.monotonic()
        switches.give("stop", subject, name, "a test", now=time.time())
        failed = await attached.next("task_failed")
        assert time.monotonic() - started < 1
        assert (failed.task_id, failed.error.code, failed.error.node) == ("slow", "OPERATOR_STOPPED", "hospital_a")
        assert "operator has stopped this" in failed.error.message
        attached.give(scene.task("again", BY_REGION))
        assert (await attached.next("task_failed")).error.code == "OPERATOR_STOPPED"

        await scene.stop()
        scene.start()
        attached = await scene.attached()
        attached.give(scene.task("after", BY_REGION))
        assert (await attached.next("task_failed")).error.code == "OPERATOR_STOPPED"
        switches.give("resume", subject, name, "the test goes on", now=time.time())
        attached.give(scene.task("resumed", BY_REGION))
        assert rows_in(await scene.delivered()) == [{"region": "Normandie", "n": 70}]
        told = [record for record in scene.records() if record["kind"] == "operator"]
        assert next((r["action"], r["subject"], r["because"]) for r in told) == ("stop", subject, "a test")
        refused = [record["query"] for record in scene.records() if record.get("code") == "OPERATOR_STOPPED"]
        assert refused == ["q-slow", "q-again", "q-after"]

    played(play)


def test_a_task_that_waits_for_others_ends_when_the_operator_stops_the_node(
    played: Callable[[Play], None],  # noqa: F811
) -> None:
    async def play(scene: Scene) -> None:
        scene.coordinator.inputs["x1"] = []
        scene.coordinator.endless = "x1"
        scene.start()
        attached = await scene.attached()
        columns = [wire.column_to_wire(Column("n", "BIGINT"))]
        source = gateway_pb2.TaskInput(name="x1", exchange_id="x1", columns=columns)
        attached.give(scene.task("waits", "SELECT n FROM x1", inputs=[source]))
        async with asyncio.timeout(10):
            await scene.coordinator.collecting.wait()
        Switches(scene.directory / "state").give("stop", "all", "", "a test", now=time.time())
        failed = await attached.next("task_failed")
        assert (failed.task_id, failed.error.code) == ("waits", "OPERATOR_STOPPED")

    played(play)


def test_instructions_add_up_and_each_is_taken_back_by_its_own_resume(tmp_path: Path) -> None:
    switches, other = Switches(tmp_path), Switches(tmp_path)
    switches.give("stop", "permit", "p1", "first", now=1)
    switches.give("stop", "all", "", "second", now=2)
    assert other.stopped() == Stopped(everything=True, permits=frozenset({"p1"}))
    other.give("resume", "all", "", "third", now=3)
    assert switches.stopped() == Stopped(permits=frozenset({"p1"}))
    switches.check("p2", "alice")
    with pytest.raises(errors.ArchipelError) as problem:
        switches.check("p1", "alice")
    assert problem.value.code == "OPERATOR_STOPPED"
    assert [given.number for given in switches.refresh()] == [1, 2, 3]


@pytest.mark.parametrize("damage", ["no JSON\n", '{"number": 2}\n', "", None])
def test_instructions_that_cannot_be_read_stop_everything(tmp_path: Path, damage: str | None) -> None:
    switches = Switches(tmp_path)
    switches.give("stop", "permit", "p1", "a test", now=1)
    switches.check("p2", "alice")
    file = tmp_path / FILE
    if damage is None:
        file.unlink()
    else:
        file.write_text(file.read_text() + damage if damage else "")
    with pytest.raises(errors.ArchipelError) as problem:
        switches.check("p2", "alice")
    assert problem.value.code == "OPERATOR_STOPPED"


def test_a_node_that_has_once_read_instructions_does_not_start_over_without_them(tmp_path: Path) -> None:
    switches = Switches(tmp_path)
    switches.expect(1)
    assert switches.stopped() == Stopped(broken=True)
    switches.give("stop", "permit", "p1", "a test", now=1)
    assert switches.stopped() == Stopped(permits=frozenset({"p1"}))


def test_an_account_without_a_name_may_give_instructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, whose user is a number only."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_011)
    assert Switches(tmp_path).give("stop", "all", "", "a test", now=1).by == "uid 2000000011"
    assert Switches(tmp_path).stopped().everything


def test_the_operator_s_commands_write_instructions_and_show_the_ledger(tmp_path: Path, keys: Path) -> None:  # noqa: F811
    path = write_config(tmp_path, keys, "localhost:1")
    run = CliRunner().invoke
    config = ["--config", str(path)]
    assert run(app, ["stop", *config, "--because", "x"]).exit_code == 2
    assert run(app, ["stop", *config, "--all", "--permit", "p1", "--because", "x"]).exit_code == 2
    assert run(app, ["stop", *config, "--all", "--because", " "]).exit_code == 2
    assert "stopped: permit p1" in run(app, ["stop", *config, "--permit", "p1", "--because", "x"]).output
    assert "stopped: all" in run(app, ["stop", *config, "--all", "--because", "x", "--by", "Dr Roux"]).output
    assert [given.by for given in Switches(tmp_path / "state").refresh()] == [account(), f"Dr Roux ({account()})"]
    assert "still stopped: permit p1" in run(app, ["resume", *config, "--all", "--because", "x"]).output
    assert "unlocked: permit p1" in run(app, ["ledger", "unlock", "p1", *config, "--because", "x"]).output
    assert run(app, ["ledger", "show", *config]).exit_code != 0  # the node has not run yet
    from node_agent.ledger import Ledger

    Ledger(tmp_path / "state" / "ledger", NOT_COMPARED).close()
    shown = run(app, ["ledger", "show", *config])
    assert (shown.exit_code, "0 entries" in shown.output, "still stopped: permit p1" in shown.output) == (0, True, True)
    assert "verified: 0 entries" in run(app, ["ledger", "verify", *config]).output
