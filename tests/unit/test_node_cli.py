"""``archipel node`` as an operator calls it: real processes over real files, without a coordinator."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from node_support import POLICY, REF, STAYS, write_tables
from typer.testing import CliRunner

from archipel import federation
from archipel.cli.app import build
from node_agent.audit import records

IDLE_MEMORY_GOAL = 200 * 1024 * 1024


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "keys"
    federation.init(
        out,
        federation="dev",
        nodes=[federation.NodeSpec("hospital_a", "CHU A")],
        researcher="alice",
        project="p",
        purpose="test",
        tables={"stays": ["*"]},
    )
    return out


def write(directory: Path, keys: Path, **changes: Any) -> Path:
    own = keys / "nodes" / "hospital_a"
    write_tables(directory)
    (directory / "policy.yaml").write_text(
        yaml.safe_dump(
            {"version": 1, "node": {"approval": "auto", "ledger": {"differences": "allow"}}, "tables": POLICY}
        )
    )
    content = {
        "node": "hospital_a",
        "coordinator": "localhost:1",
        "tls": {"certificate": f"{own}/tls.crt", "private_key": f"{own}/tls.key", "authority": f"{own}/ca.crt"},
        "federation": {"manifest": f"{own}/manifest.jwt", "authority_key": f"{own}/authority.pub"},
        "signing_key": f"{own}/signing.pem",
        "state_dir": str(directory / "state"),
        "policy": str(directory / "policy.yaml"),
        "sources": [{"name": "data", "kind": "files", "path": str(directory), "format": "parquet"}],
        "tables": [STAYS, REF],
        **changes,
    }
    (directory / "node.yaml").write_text(yaml.safe_dump(content))
    return directory / "node.yaml"


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archipel.cli", "node", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    """An agent's process; when the block is left it is gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "archipel.cli", "node", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the log until a line holds ``text``; the test's own time limit ends a wait in vain."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"the process ended without {text!r}:\n{seen}")


def test_tables_shows_what_would_be_registered_and_what_may_leave(tmp_path: Path, keys: Path) -> None:
    done = node("tables", "--config", str(write(tmp_path, keys)))
    assert done.returncode == 0, done.stderr
    assert "stays: sharded; protected, at least 11 persons; leaves: aggregate" in done.stdout
    assert "ref: sharded; not protected; leaves: rows" in done.stdout
    roles = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if line.startswith("    ")}
    assert roles == {"person": "person", "region": "public", "days": "measure", "note": "group", "code": "public"}


def test_check_config_names_what_cannot_be_read_and_ends_with_5(tmp_path: Path, keys: Path) -> None:
    config = write(tmp_path, keys)
    good = node("check-config", "--config", str(config))
    assert good.returncode == 0, good.stderr
    assert "2 of 2 tables can be read" in good.stdout
    (tmp_path / "ref.parquet").unlink()
    bad = node("check-config", "--config", str(config))
    assert bad.returncode == 5
    assert "problem: table ref:" in bad.stdout
    assert "ref.parquet: No such file or directory" in bad.stdout
    assert "1 of 2 tables can be read" in bad.stdout


def test_check_config_names_line_and_key_of_a_mistake_and_ends_with_3(tmp_path: Path, keys: Path) -> None:
    config = write(tmp_path, keys, limts={"threads": 1})
    done = node("check-config", "--config", str(config))
    assert done.returncode == 3
    assert "unknown key 'limts'. Did you mean 'limits'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_agent_waits_for_its_coordinator_ends_on_a_signal_with_0_and_opens_no_port(
    tmp_path: Path, keys: Path, number: signal.Signals
) -> None:
    with running(write(tmp_path, keys)) as process:
        read_until(process, "next attempt in about")
        connections = psutil.Process(process.pid).net_connections()
        assert [c for c in connections if c.status == psutil.CONN_LISTEN] == []
        process.send_signal(number)
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest


def test_an_idle_agent_needs_little_memory(tmp_path: Path, keys: Path) -> None:
    with running(write(tmp_path, keys)) as process:
        read_until(process, "next attempt in about")
        used = psutil.Process(process.pid).memory_info().rss
        assert used < IDLE_MEMORY_GOAL
        modules = Path(f"/proc/{process.pid}/maps").read_text()
        assert "/ray/" not in modules


def test_a_missing_file_leaves_the_others_and_comes_when_it_comes(tmp_path: Path, keys: Path) -> None:
    config = write(tmp_path, keys)
    (tmp_path / "ref.parquet").unlink()
    with running(config) as process:
        log = read_until(process, "left out: table ref")
        assert "holds 1 tables" in log
        pq.write_table(pa.table({"region": ["Corse"], "code": ["94"]}), tmp_path / "ref.parquet.part")
        os.replace(tmp_path / "ref.parquet.part", tmp_path / "ref.parquet")
        assert "opening the sources anew" in read_until(process, "holds 2 tables")


def test_the_health_port_is_opened_only_when_asked_for(tmp_path: Path, keys: Path) -> None:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(write(tmp_path, keys, health_listen=f"127.0.0.1:{port}")) as process:
        read_until(process, "next attempt in about")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_a_health_port_in_use_is_told(tmp_path: Path, keys: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = write(tmp_path, keys, health_listen=f"127.0.0.1:{taken.getsockname()[1]}")
        done = node("run", "--config", str(config))
    assert done.returncode == 3
    assert "health_listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_does_not_match_its_manifest_does_not_start(tmp_path: Path, keys: Path) -> None:
    done = node("run", "--config", str(write(tmp_path, keys, node="hospital_b")))
    assert done.returncode == 3
    assert "names no node 'hospital_b'" in done.stderr
    assert "It names: hospital_a." in done.stderr


def test_an_altered_audit_log_keeps_the_node_from_starting(tmp_path: Path, keys: Path) -> None:
    config = write(tmp_path, keys)
    with running(config) as process:
        read_until(process, "next attempt in about")
    (tmp_path / "state" / "audit" / "HEAD").write_text(f"7 {'0' * 64}\n")
    done = node("run", "--config", str(config))
    assert done.returncode == 5
    assert "6 records at the end were removed" in done.stderr  # the first one, of the manifest, is there


def test_at_sighup_a_right_policy_is_adopted_and_a_wrong_one_changes_nothing(tmp_path: Path, keys: Path) -> None:
    config = write(tmp_path, keys)
    policy = tmp_path / "policy.yaml"
    good = yaml.safe_load(policy.read_text())
    with running(config) as process:
        read_until(process, "not attached")
        policy.write_text("version: 1\ntables:\n  stays: {coordinator: everything}\n")
        process.send_signal(signal.SIGHUP)
        assert "'tables.stays.coordinator'" in read_until(process, "the policy stays as it was")
        pinned = {**good["tables"]["stays"], "snapshot": f"sha256:{'0' * 64}"}
        policy.write_text(yaml.safe_dump({**good, "tables": {**good["tables"], "stays": pinned}}))
        process.send_signal(signal.SIGHUP)
        read_until(process, "another policy is in force")
        read_until(process, "opening the sources anew")
        read_until(process, "holds 1 tables")
        read_until(process, "table stays: its data is not the snapshot that the policy pins")
        process.send_signal(signal.SIGHUP)
        read_until(process, "says what it said before")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    (adopted,) = [r for r in records(tmp_path / "state" / "audit") if r["kind"] == "policy"]
    assert adopted["before"] != adopted["sha256"] == hashlib.sha256(policy.read_bytes()).hexdigest()


def test_the_digest_that_a_policy_pins_is_printed(tmp_path: Path, keys: Path) -> None:
    config = str(write(tmp_path, keys))
    digest = hashlib.sha256((tmp_path / "stays.parquet").read_bytes()).hexdigest()
    assert f"stays: sha256:{digest}\n" in CliRunner().invoke(build(), ["node", "snapshot", "--config", config]).output
    (tmp_path / "stays.parquet").unlink()
    done = CliRunner().invoke(build(), ["node", "snapshot", "--config", config])
    assert "The data of table 'stays' cannot be read: No such file" in str(done.exception)
