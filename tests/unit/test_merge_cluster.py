"""Joining a Ray cluster that is there (token, TLS, refusals), and starting a local one where /dev/shm is small."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import merge_cases as cases
import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from archipel.errors import ArchipelError
from coordinator.merge.merger import Merger
from coordinator.merge.ray_cluster import MINIMUM_STORE_BYTES, SHARED_MEMORY, choose_store
from coordinator.merge.ray_executor import RayExecutor
from coordinator.merge.settings import MIB, MergeSettings, RayMode, RaySettings

TABLE = pa.table({"g": ["a", "b", None], "n": [1, 2, 4]})
SQL = cases.text(cases.grouped(["g"], cases.summed("n")))
START_S = 90.0  # on a busy host; 2 s on an idle one
WRONG_TOKEN_S = 4.0
"""Joining takes 1.6 s with the right token; with a wrong one Ray tries for ever."""


@dataclass(frozen=True)
class Head:
    """A cluster of one host on loopback, with token and TLS."""

    port: int
    client_port: int
    token: Path
    certificate: Path
    key: Path
    authority: Path

    def settings(self, address: str, **other: object) -> RaySettings:
        given = {
            "mode": RayMode.EXISTING,
            "address": address,
            "token_file": self.token,
            "tls_certificate_file": self.certificate,
            "tls_key_file": self.key,
            "tls_ca_file": self.authority,
            "start_timeout_s": START_S,
        }
        return RaySettings.model_validate(given | other)


def merged(executor: RayExecutor) -> dict[str | None, int]:
    table = executor.merge(SQL, cases.source(TABLE, TABLE), ("g",), timeout_s=START_S)
    return dict(zip(table["g"].to_pylist(), map(int, table["n"].to_pylist()), strict=True))


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in held]
    for server in held:
        server.close()
    return ports


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this host that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ray test")])
    now = dt.datetime.now(dt.UTC)
    addresses = {"127.0.0.1", socket.gethostbyname(socket.gethostname()), _outward_address()}
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(a)) for a in sorted(addresses))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "ray.pem", folder / "ray.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


def _outward_address() -> str:
    """The address that this host calls from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("cluster")
    scratch = Path(tempfile.mkdtemp(prefix="ray-head-", dir="/tmp"))  # Ray's socket paths must be short
    token = folder / "token"
    token.write_text("5" * 64)
    certificate, key = write_certificate(folder)
    port, client_port = free_ports(2)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTEST_"))} | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(certificate),
        "RAY_TLS_SERVER_KEY": str(key),
        "RAY_TLS_CA_CERT": str(certificate),
        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": f"{START_S:.0f}",  # that of a new client
        "GRPC_ENABLE_FORK_SUPPORT": "0",  # else the process that serves a client dies now and then as it is forked
    }
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"),
        *("--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client_port}"),
        *("--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=false", "--disable-usage-stats"),
        *(f"--temp-dir={scratch}", f"--object-store-memory={100 * MIB}"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        if not _listens(client_port, process):
            pytest.skip("a Ray cluster cannot be started here: " + (folder / "log").read_text(errors="replace")[-300:])
        yield Head(port, client_port, token, certificate, key, certificate)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _end(process.pid)
        shutil.rmtree(scratch, ignore_errors=True)


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline, pause = time.monotonic() + START_S, threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pause.wait(0.1)
        else:
            return True
    return False


def _end(session: int) -> None:
    """End what the head started and did not end itself."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                os.kill(int(entry.name), signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.ray
def test_a_configured_cluster_is_joined_with_token_and_tls_and_outlives_who_joined(head: Head) -> None:
    executor = RayExecutor(head.settings(f"127.0.0.1:{head.port}"))
    try:
        assert merged(executor) == {"a": 2, "b": 4, None: 8}
    finally:
        executor.close()


@pytest.mark.ray
def test_a_client_whose_first_attempt_to_join_hangs_tries_again(head: Head) -> None:
    with silent_at_first(head.client_port) as port:
        executor = RayExecutor(head.settings(f"ray://127.0.0.1:{port}"))
        try:
            assert merged(executor) == {"a": 2, "b": 4, None: 8}
        finally:
            executor.close()


@contextlib.contextmanager
def silent_at_first(port: int) -> Iterator[int]:
    """Stand before ``port``: whoever comes first is not answered; when they have gone, others are let through."""
    server = socket.create_server(("127.0.0.1", 0))
    passed: list[socket.socket] = []

    def serve() -> None:
        knocked, _ = server.accept()  # whether somebody listens
        knocked.close()
        ignored, _ = server.accept()
        while ignored.recv(65_536):
            pass
        ignored.close()
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                theirs, _ = server.accept()
                ours = socket.create_connection(("127.0.0.1", port))
                passed.extend((theirs, ours))
                for ends in ((theirs, ours), (ours, theirs)):
                    threading.Thread(target=_copy, args=ends, daemon=True).start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for one in (server, *passed):
            one.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def refused(settings: RaySettings) -> tuple[str, float]:
    """The error of a merge, and how long it took. A configured cluster is never silently done without."""
    merger = Merger(MergeSettings(threshold_bytes=0, ray=settings))
    began = time.monotonic()
    try:
        with pytest.raises(ArchipelError) as caught:
            merger.merge(SQL, cases.source(TABLE), ("g",), timeout_s=60)
    finally:
        merger.close()
    assert "127.0.0.1" not in str(caught.value)
    return caught.value.code, time.monotonic() - began


@pytest.mark.ray
@pytest.mark.parametrize("wrong", ["token", "no TLS"])
def test_a_cluster_that_does_not_let_us_in_is_unavailable_in_time(head: Head, tmp_path: Path, wrong: str) -> None:
    other: dict[str, object] = {"start_timeout_s": WRONG_TOKEN_S}
    if wrong == "token":
        other["token_file"] = tmp_path / "other"
        (tmp_path / "other").write_text("6" * 64)
    else:
        other |= {"tls_certificate_file": None, "tls_key_file": None, "tls_ca_file": None}
    code, took_s = refused(head.settings(f"127.0.0.1:{head.port}", **other))
    assert code == "RAY_UNAVAILABLE"
    assert took_s < WRONG_TOKEN_S + 3


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "ray://no-such-host.invalid:10001", "nowhere"])
def test_an_address_where_nobody_listens_is_refused_at_once(address: str) -> None:
    code, took_s = refused(RaySettings(mode=RayMode.EXISTING, address=address, start_timeout_s=30.0))
    assert code == "RAY_UNAVAILABLE"
    assert took_s < 15


# A local Ray and its shared memory


@pytest.mark.parametrize(
    ("wanted", "memory", "shared", "expected"),
    [
        (2048, 16_384, 8_192, (SHARED_MEMORY, 2048)),
        (2048, 4_000, 8_192, (SHARED_MEMORY, 1200)),
        (2048, 16_384, 1_000, (SHARED_MEMORY, 900)),
        (2048, 16_384, 300, (Path("scratch"), 2048)),
        (100, 16_384, 64, (Path("scratch"), 100)),
        (100, 16_384, 0, (Path("scratch"), 100)),
        (2048, 100, 64, (Path("scratch"), MINIMUM_STORE_BYTES // MIB)),
    ],
)
def test_the_object_store_fits_the_host(wanted: int, memory: int, shared: int, expected: tuple[Path, int]) -> None:
    store = choose_store(wanted * MIB, memory * MIB, shared * MIB, Path("scratch"))
    assert (store.directory, store.size_bytes // MIB) == expected
    assert bool(store.note) == (store.directory != SHARED_MEMORY or shared < wanted <= memory)


IN_A_SMALL_HOST = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
sys.path.insert(0, {folder!r})
import test_merge_cluster as here
executor = here.RayExecutor(here.RaySettings(cpus=2))
print(here.merged(executor))
print(here.large(executor))
executor.close()
"""


def large(executor: RayExecutor) -> int:
    """Merge some 100 MB of partials: more than /dev/shm holds."""
    table = pa.table({"g": list(range(2_000_000)), "n": [1] * 2_000_000})
    source = cases.source(table, table, table)
    assert source.bytes > 64 * MIB
    return executor.merge(SQL, source, ("g",), timeout_s=60).num_rows


@pytest.mark.ray
def test_a_local_ray_works_with_64_mib_of_shared_memory() -> None:
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$0" "$@"']
    if shutil.which("unshare") is None or subprocess.run([*mounted, "true"], capture_output=True).returncode != 0:
        pytest.skip("/dev/shm cannot be made small here: that needs the right to mount")
    script = IN_A_SMALL_HOST.format(folder=str(Path(__file__).parent))
    done = subprocess.run([*mounted, sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert str({"a": 2, "b": 4, None: 8}) in lines
    assert "2000000" in lines
    assert any("/dev/shm has only 64 MiB" in line for line in lines)
