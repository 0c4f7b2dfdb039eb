"""What goes wrong: killed nodes, restarts, wrong certificates and permits. Nothing hangs, nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import archipel
from archipel import errors, federation, identity, permit
from archipel.demo.layout import NOT_COMPARED, Layout, write_layout
from archipel.demo.processes import LocalFederation
from archipel.demo.world_setup import world_setups

pytestmark = pytest.mark.federation

SLOW_SQL = """
SELECT count(*) AS pairs
FROM ER_PRS_F a JOIN ER_PRS_F b ON a.PRS_PAI_MNT * 3 < b.PRS_PAI_MNT + 7 AND a.BSE_REM_MNT * b.BSE_REM_MNT > 1
"""
SOON_SQL = "SELECT count(*) AS pairs FROM IR_BEN_R a JOIN ER_PRS_F b ON a.BEN_NAI_ANN * 3 < b.PRS_PAI_MNT"
"""Runs long enough to be met in the middle, and ends well within the time that a node takes to finish its work."""

HOSPITAL_SQL = "SELECT COD_SEX, count(*) AS stays FROM T_MCOaaB GROUP BY COD_SEX ORDER BY 1"


@pytest.fixture
def own_federation(world: Path, tmp_path: Path) -> Iterator[LocalFederation]:
    """A federation that a test may break."""
    with LocalFederation(write_layout(tmp_path / "own", world_setups(world), node_policy=NOT_COMPARED)) as running:
        yield running


def wait_for_event(query: archipel.Query, kind: str) -> None:
    """Return when the query reports an event of that kind."""
    for event in query.watch():
        if event.kind == kind:
            return
    raise AssertionError(f"the query ended without '{kind}'")


def test_a_node_killed_during_a_query_fails_it_by_name_and_comes_back(own_federation: LocalFederation) -> None:
    with own_federation.connect() as connection:
        query = connection.query(SLOW_SQL)
        wait_for_event(query, "dispatched")
        own_federation.kill("cnam")
        with pytest.raises(errors.OperationalError) as problem:
            query.result()
        assert problem.value.code == "NODE_UNAVAILABLE"
        assert problem.value.node == "cnam"
        own_federation.start_node("cnam")
        own_federation.wait_attached(["cnam"])
        assert connection.query_and_wait("SELECT count(*) AS n FROM IR_BEN_R").to_arrow().num_rows == 1


def test_a_missing_node_fails_the_query_or_is_told_in_a_partial_answer(own_federation: LocalFederation) -> None:
    own_federation.kill("hospital_b")
    with own_federation.connect() as connection:
        with pytest.raises(errors.OperationalError) as problem:
            connection.query_and_wait(HOSPITAL_SQL)
        assert problem.value.code == "NODE_UNAVAILABLE"
        assert "hospital_b" in str(problem.value)
        result = connection.query_and_wait(HOSPITAL_SQL, on_missing="partial")
    assert not result.complete
    assert {n.node: n.outcome for n in result.nodes}["hospital_b"] == "unavailable"
    assert any(notice.kind == "coverage" and "hospital_b" in notice.text for notice in result.notices)


def test_a_restarted_coordinator_keeps_finished_queries_and_ends_interrupted_ones(
    own_federation: LocalFederation,
) -> None:
    with own_federation.connect() as connection:
        finished = connection.query(HOSPITAL_SQL)
        answer = finished.result().to_arrow()
        interrupted = connection.query(SLOW_SQL)
        wait_for_event(interrupted, "dispatched")
    own_federation.kill("coordinator")
    own_federation.start_coordinator()
    own_federation.wait_attached(own_federation.layout.node_configs)
    with own_federation.connect() as connection:
        assert connection.get_query(finished.query_id).result().to_arrow().equals(answer)
        with pytest.raises(errors.OperationalError) as problem:
            connection.get_query(interrupted.query_id).result()
        assert problem.value.code == "INTERRUPTED"
        assert connection.query_and_wait(HOSPITAL_SQL).to_arrow().equals(answer)


def test_cancelling_stops_the_statement_at_the_node(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        query = connection.query(SLOW_SQL)
        wait_for_event(query, "dispatched")
        query.cancel()
        with pytest.raises(errors.OperationalError) as problem:
            query.result()
        assert problem.value.code == "CANCELLED"
        deadline = time.monotonic() + 10
        while any(node.running_tasks for node in connection.nodes()) and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert not any(node.running_tasks for node in connection.nodes())


def test_a_deadline_ends_a_slow_query(federation: LocalFederation) -> None:
    with federation.connect() as connection:
        with pytest.raises(errors.OperationalError) as problem:
            connection.query(SLOW_SQL, timeout_s=0.5).result()
        assert problem.value.code == "TIMEOUT"


def test_nodes_finish_running_work_when_asked_to_end(own_federation: LocalFederation) -> None:
    with own_federation.connect() as connection:
        query = connection.query(SOON_SQL, timeout_s=120)
        wait_for_event(query, "dispatched")
        assert own_federation.terminate("cnam") == 0
        assert query.result().to_arrow().num_rows == 1


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of another federation: another authority signed them."""
    directory = tmp_path_factory.mktemp("stranger")
    federation.init(
        directory,
        federation="other",
        nodes=[federation.NodeSpec(name="cnam", holder="other")],
        researcher="mallory",
        project="x",
        purpose="x",
        tables={"T_MCOaaB": ["*"]},
        valid_days=1,
    )
    return directory


def test_a_certificate_of_another_authority_is_not_let_in(
    layout: Layout, stranger: Path, federation: LocalFederation
) -> None:
    with pytest.raises(errors.OperationalError) as problem:
        archipel.connect(
            layout.address, permit=layout.permit, key=stranger / "researchers" / "mallory" / "mallory.pem"
        ).nodes()
    assert problem.value.code == "COORDINATOR_UNAVAILABLE"


def test_a_permit_of_another_authority_is_refused(layout: Layout, stranger: Path, federation: LocalFederation) -> None:
    foreign = stranger / "researchers" / "mallory" / "permit.jwt"
    with (
        archipel.connect(layout.address, permit=foreign, key=layout.key) as connection,
        pytest.raises(errors.NotAllowedError) as problem,
    ):
        connection.query_and_wait(HOSPITAL_SQL)
    assert problem.value.code == "PERMIT_INVALID"


def issue(layout: Layout, path: Path, *, days: float, tables: list[str]) -> Path:
    """Write a permit of the layout's own authority."""
    authority = identity.load_signing_key(layout.authority_dir / "authority.pem")
    base = permit.Permit.model_validate(permit.read_unverified(layout.permit.read_text().strip()))
    now = datetime.now(UTC)
    changed = base.model_copy(
        update={
            "permit_id": f"test-{path.stem}",
            "not_before": int((now - timedelta(days=10)).timestamp()),
            "expires": int((now + timedelta(days=days)).timestamp()),
            "tables": tuple(permit.TableGrant(table=name, columns=("*",)) for name in tables),
        }
    )
    path.write_text(permit.issue(changed, authority))
    return path


def test_an_expired_permit_is_refused(layout: Layout, tmp_path: Path, federation: LocalFederation) -> None:
    expired = issue(layout, tmp_path / "expired.jwt", days=-1, tables=["T_MCOaaB"])
    with (
        archipel.connect(layout.address, permit=expired, key=layout.key) as connection,
        pytest.raises(errors.NotAllowedError) as problem,
    ):
        connection.query_and_wait(HOSPITAL_SQL)
    assert problem.value.code == "PERMIT_EXPIRED"


def test_a_permit_for_another_table_is_refused(layout: Layout, tmp_path: Path, federation: LocalFederation) -> None:
    narrow = issue(layout, tmp_path / "narrow.jwt", days=1, tables=["IR_BEN_R"])
    with (
        archipel.connect(layout.address, permit=narrow, key=layout.key) as connection,
        pytest.raises(errors.NotAllowedError) as problem,
    ):
        connection.query_and_wait(HOSPITAL_SQL)
    assert problem.value.code == "PERMIT_SCOPE"


def test_audit_logs_verify_after_a_power_cut(own_federation: LocalFederation) -> None:
    import subprocess
    import sys

    with own_federation.connect() as connection:
        connection.query_and_wait(HOSPITAL_SQL)
        query = connection.query(
            "SELECT count(*) FROM T_MCOaaB a JOIN T_MCOaaB b ON a.ETA_NUM = b.ETA_NUM AND a.SEJ_NBJ < b.SEJ_NBJ * 2"
        )
        wait_for_event(query, "dispatched")
        own_federation.kill("hospital_a")
    done = subprocess.run(
        [sys.executable, "-m", "archipel.cli", "audit", "verify", str(own_federation.layout.state_dir("hospital_a"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
