"""What the charts' pods would run does run, from the files that a kubelet would mount.

No container and no Kubernetes is involved: not tested are the images, the user, the read-only root, and the network.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from charts import CHARTS, Helm, documents, of_kind, one, values_file
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pods import Cluster, Files, lay_out

from archipel import federation, identity
from archipel.demo.layout import free_port

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a federation with the node of the minimal values."""
    out = tmp_path_factory.mktemp("federation") / "keys"
    federation.init(
        out,
        federation="demo",
        nodes=[federation.NodeSpec(name="chu-lille", holder="CHU de Lille")],
        researcher="alice",
        project="p",
        purpose="test",
        tables={"stays": ["*"]},
    )
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume of the minimal values' source."""
    folder = tmp_path_factory.mktemp("pmsi")
    stays = pa.table(
        {
            "patient_id": [f"p{n}" for n in range(40)],
            "stay_id": [f"s{n}" for n in range(40)],
            "region": ["32"] * 40,
            "year": [2023] * 40,
            "length_days": list(range(40)),
        }
    )
    pq.write_table(stays, folder / "stays-1.parquet")
    pq.write_table(pa.table({"finess": ["590000001"], "region": ["32"]}), folder / "hospitals.parquet")
    return folder


def _read(folder: Path, *names: str) -> Files:
    return {name: (folder / name).read_bytes() for name in names}


def _rendered_config(
    helm: Helm, chart: str, *settings: str, case: str = "minimal"
) -> tuple[dict[str, object], dict[str, Files]]:
    found = documents(helm.render(chart, values_file(chart, case), *settings))
    maps = {
        m["metadata"]["name"]: {key: text.encode() for key, text in m["data"].items()}
        for m in of_kind(found, "ConfigMap")
    }
    return one(found, "StatefulSet")["spec"]["template"]["spec"], maps


@contextmanager
def _running(command: list[str], home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "TMPDIR": str(home)}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=environment, cwd="/", stderr=sink, stdout=sink)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _healthy(process: subprocess.Popen[bytes], port: int) -> bool:
    """Ask as a probe would, until it serves, its process ends, or a minute is over."""
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(60):
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0, wait_for_ready=True)
            except grpc.RpcError:
                if process.poll() is not None:
                    return False
                continue
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False


@pytest.mark.federation
@pytest.mark.parametrize("case", ["minimal", "sealed-exchange"])
def test_the_pods_commands_run_with_what_is_mounted_and_answer_their_probes_and_end_in_time(
    helm: Helm, keys: Path, data: Path, tmp_path: Path, case: str
) -> None:
    port, coordinator_health, node_health = free_port(), free_port(), free_port()
    public = _read(keys / "coordinator", "manifest.jwt", "authority.pub", "ca.crt")
    pod, maps = _rendered_config(helm, "archipel-coordinator", f"health.port={coordinator_health}")
    (config,) = maps.values()
    assert b"listen: '[::]:8443'" in config["coordinator.yaml"]
    listening = {"coordinator.yaml": config["coordinator.yaml"].replace(b"[::]:8443", f"[::]:{port}".encode())}
    cluster = Cluster(
        secrets={"archipel-coordinator-tls": _read(keys / "coordinator", "tls.crt", "tls.key")},
        config_maps={"archipel-federation": public, **dict.fromkeys(maps, listening)},
    )
    coordinator_root = tmp_path / "coordinator"
    coordinator_command = lay_out(pod, cluster, coordinator_root)

    own = keys / "nodes" / "chu-lille"
    node_pod, node_maps = _rendered_config(
        helm,
        "archipel-node",
        f'coordinator.address="localhost:{port}"',
        f"health.port={node_health}",
        case=case,
    )
    secrets = {"chu-lille-tls": _read(own, "tls.crt", "tls.key"), "chu-lille-signing": _read(own, "signing.pem")}
    if case == "sealed-exchange":
        secrets["chu-lille-sealing"] = _read(own, "sealing.pem")
        secrets["archipel-linkage"] = _read(own, "linkage.json")
    node_cluster = Cluster(
        secrets=secrets,
        config_maps={"archipel-federation": public, **node_maps},
        claims={"pmsi-parquet": data},
    )
    node_root = tmp_path / "node"
    node_command = lay_out(node_pod, node_cluster, node_root)

    node_log = tmp_path / "node.log"
    with _running(coordinator_command, coordinator_root / "tmp", tmp_path / "coordinator.log") as coordinator:
        assert _healthy(coordinator, coordinator_health), (tmp_path / "coordinator.log").read_text()
        with _running(node_command, node_root / "tmp", node_log) as node:
            assert _healthy(node, node_health), node_log.read_text()
            assert _eventually_logged(node, node_log, "attached to"), node_log.read_text()
            node.send_signal(signal.SIGTERM)
            assert node.wait(_grace_s(node_pod)) == 0
        coordinator.send_signal(signal.SIGTERM)
        assert coordinator.wait(_grace_s(pod)) == 0
    assert (node_root / "var/lib/archipel/audit").is_dir()
    assert (coordinator_root / "var/lib/archipel/coordinator.db").is_file()
    for root, mounted in ((node_root, node_pod), (coordinator_root, pod)):
        read_only = [m["mountPath"] for m in mounted["containers"][0]["volumeMounts"] if m.get("readOnly")]
        assert all(_untouched(root, path) for path in read_only)


def _grace_s(pod: dict[str, object]) -> int:
    seconds = pod["terminationGracePeriodSeconds"]
    assert isinstance(seconds, int)
    return seconds


def _eventually_logged(process: subprocess.Popen[bytes], log: Path, wanted: str) -> bool:
    """Wait for a line; ``Popen.wait`` is the clock, and tells of an end at once."""
    for _ in range(300):
        if wanted in log.read_text():
            return True
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        return wanted in log.read_text()
    return False


def _untouched(root: Path, path: str) -> bool:
    """Nothing was written into a read-only mount: no file in it is newer than its folder's layout."""
    folder = root / path.lstrip("/")
    names = {file.suffix for file in folder.rglob("*") if file.is_file()}
    return not names & {".db", ".wal", ".tmp", ".lock"}


def test_a_kubernetes_object_that_is_missing_would_be_noticed(helm: Helm, keys: Path, tmp_path: Path) -> None:
    pod, maps = _rendered_config(helm, "archipel-coordinator")
    incomplete = Cluster(
        secrets={"archipel-coordinator-tls": _read(keys / "coordinator", "tls.crt")},
        config_maps={
            "archipel-federation": _read(keys / "coordinator", "manifest.jwt", "authority.pub", "ca.crt"),
            **maps,
        },
    )
    with pytest.raises(KeyError, match=r"tls\.key"):
        lay_out(pod, incomplete, tmp_path / "root")


def test_a_ray_pods_certificate_names_its_address_and_its_hosts_and_ends_with_its_authority(tmp_path: Path) -> None:
    authority = federation.CertificateAuthority.create("ray", now=datetime.now(UTC), valid_days=30)
    (tmp_path / "authority").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "authority" / "tls.crt").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    identity.write_private(tmp_path / "authority" / "tls.key", identity.private_pem(authority.key))
    environment = {
        "AUTHORITY_DIR": str(tmp_path / "authority"),
        "OUT_DIR": str(tmp_path / "own"),
        "POD_IP": "10.1.2.3",
        "HOSTS": "head-svc head-svc.archipel.svc",
        "VALID_DAYS": "365",
    }
    script = CHARTS["archipel-coordinator"] / "files" / "issue_certificate.py"
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=60)
    certificate = x509.load_pem_x509_certificate((tmp_path / "own" / "tls.crt").read_bytes())
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("10.1.2.3") in names.get_values_for_type(x509.IPAddress)
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "head-svc", "head-svc.archipel.svc"}
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert (tmp_path / "own" / "tls.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "own" / "ca.crt").read_bytes() == (tmp_path / "authority" / "tls.crt").read_bytes()


def test_the_script_in_the_ray_config_map_is_the_one_that_is_tested(helm: Helm) -> None:
    found = documents(helm.template("archipel-coordinator", "kuberay"))
    script = (CHARTS["archipel-coordinator"] / "files" / "issue_certificate.py").read_text()
    rendered = one(found, "ConfigMap", "-ray")["data"]["issue_certificate.py"]
    assert rendered.strip() == script.strip()
