"""A development federation: its keys and certificates, who they let in, and how key files are read."""

from __future__ import annotations

import base64
import ipaddress
import os
import stat
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from archipel import errors, federation, identity, linkage, manifest, permit, tls
from archipel.v1 import query_pb2, query_pb2_grpc

NODES = [
    federation.NodeSpec("cnam", "CNAM", qualifications=("HDS",)),
    federation.NodeSpec("hospital_a", "CHU A"),
]


def make(out: Path, name: str = "dev", **options: Any) -> Path:
    federation.init(
        out,
        **{
            "federation": name,
            "nodes": NODES,
            "researcher": "alice",
            "project": "p",
            "purpose": "test",
            "tables": {"stays": ["region"]},
            "coordinator_hosts": ("localhost", "127.0.0.1", "::1", "coordinator.example"),
            **options,
        },
    )
    return out


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("federation") / "dev")


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_everything_that_a_party_needs_is_there_and_secrets_are_the_owners_only(dev: Path) -> None:
    files = {str(path.relative_to(dev)): stat.S_IMODE(path.stat().st_mode) for path in dev.rglob("*") if path.is_file()}
    party = {"tls.key", "tls.crt", "ca.crt", "manifest.jwt", "authority.pub"}
    assert {f"coordinator/{name}" for name in party} <= files.keys()
    assert {f"nodes/cnam/{name}" for name in (*party, "signing.pem", "sealing.pem")} <= files.keys()
    assert {"researchers/alice/alice.pem", "researchers/alice/permit.jwt", "manifest.jwt"} <= files.keys()
    secrets = {name for name in files if name.endswith((".key", ".pem"))}
    assert {files[name] for name in secrets} == {0o600}
    public = b"".join((dev / name).read_bytes() for name in files.keys() - secrets)
    assert b"PRIVATE KEY" not in public


def test_all_holders_and_nobody_else_have_one_linkage_secret(dev: Path) -> None:
    files = sorted(dev.rglob("linkage.json"))
    assert [path.parent.parent.name for path in files] == ["nodes"] * len(list((dev / "nodes").iterdir()))
    assert len({(linkage.load(path).secret, linkage.load(path).epoch) for path in files}) == 1
    secret = base64.b64encode(linkage.load(files[0]).secret)
    others = [path for path in dev.rglob("*") if path.is_file() and path.name != "linkage.json"]
    assert not [path for path in others if secret in path.read_bytes()]


def test_the_manifest_names_what_the_parties_hold(dev: Path) -> None:
    key = identity.load_public_key(dev / "authority" / "authority.pub")
    whole = manifest.verify((dev / "manifest.jwt").read_text().strip(), key)
    entry = whole.node("cnam")
    assert entry is not None
    assert (entry.holder, entry.qualifications) == ("CNAM", ("HDS",))
    assert entry.certificate_sha256 == tls.certificate_digest(certificate(dev / "nodes/cnam/tls.crt"))
    coordinator = tls.certificate_digest(certificate(dev / "coordinator/tls.crt"))
    assert whole.coordinator_certificate_sha256 == coordinator


def test_certificates_name_their_party_and_one_purpose(dev: Path) -> None:
    expected = {
        "coordinator/tls.crt": ("coordinator", "coordinator", ExtendedKeyUsageOID.SERVER_AUTH),
        "nodes/hospital_a/tls.crt": ("node", "hospital_a", ExtendedKeyUsageOID.CLIENT_AUTH),
    }
    for path, (kind, name, purpose) in expected.items():
        found = certificate(dev / path)
        peer = tls.identity_of(found)
        assert (peer.kind, peer.name, peer.federation) == (kind, name, "dev")
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [purpose]
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        found.verify_directly_issued_by(certificate(dev / "authority/ca.crt"))
    names = certificate(dev / "coordinator/tls.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "coordinator.example"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]


def test_the_first_permit_holds_now_even_on_a_clock_slightly_behind(dev: Path) -> None:
    key = identity.load_public_key(dev / "authority" / "authority.pub")
    token = (dev / "researchers/alice/permit.jwt").read_text().strip()
    for now in (datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=4)):
        checked = permit.verify(token, key, federation="dev", now=now.timestamp()).permit
        assert checked.allows_column("stays", "region")
        assert not checked.allows_column("stays", "person")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nodes": []}, "at least one node"),
        ({"nodes": [NODES[0], NODES[0]]}, "same name"),
        ({"nodes": [federation.NodeSpec("Cnam", "x")]}, "cannot be a name"),
        ({"researcher": "a/b"}, "cannot be a name"),
        ({"name": "../x"}, "cannot be a name"),
    ],
)
def test_a_federation_that_cannot_be_is_not_begun(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.ProgrammingError, match=told):
        make(tmp_path / "f", **options)
    assert not (tmp_path / "f").exists()


def test_keys_are_never_overwritten(dev: Path) -> None:
    with pytest.raises(errors.ProgrammingError, match="not empty"):
        make(dev)


# --- key files ---------------------------------------------------------------------------------------------------


def test_a_private_file_is_the_owners_only_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key.pem"
    path.parent.mkdir()
    path.write_bytes(b"old and longer than the new one")
    path.chmod(0o644)
    umask = os.umask(0)
    try:
        identity.write_private(path, b"new")
    finally:
        os.umask(umask)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_keys_of_another_kind_are_not_taken(tmp_path: Path) -> None:
    for name, key in (("ec", ec.generate_private_key(ec.SECP256R1())), ("x", X25519PrivateKey.generate())):
        identity.write_private(tmp_path / name, identity.private_pem(key))
        with pytest.raises(errors.ProgrammingError, match="does not hold an Ed25519 private key"):
            identity.load_signing_key(tmp_path / name)
    identity.write_private(tmp_path / "ed", identity.private_pem(Ed25519PrivateKey.generate()))
    identity.load_signing_key(tmp_path / "ed")
    with pytest.raises(errors.ProgrammingError, match="does not hold an Ed25519 public key"):
        identity.load_public_key(tmp_path / "ed")
    with pytest.raises(errors.ProgrammingError, match="cannot be read"):
        identity.load_public_key(tmp_path / "absent")


def test_a_researchers_file_needs_all_of_its_four_blocks(dev: Path, tmp_path: Path) -> None:
    whole = (dev / "researchers/alice/alice.pem").read_bytes()
    blocks = identity._BLOCK.findall(whole)
    assert len(blocks) == 4
    for missing in range(4):
        path = tmp_path / f"{missing}.pem"
        path.write_bytes(b"".join(block for number, block in enumerate(blocks) if number != missing))
        with pytest.raises(errors.ProgrammingError, match="a researcher's identity"):
            identity.ResearcherIdentity.load(path)
    commented = tmp_path / "commented.pem"
    commented.write_bytes(b"# mine\n" + b"\n# and\n".join(blocks))
    assert identity.ResearcherIdentity.load(commented).name == "alice"


def test_a_certificate_without_the_name_of_a_party_is_nobody(dev: Path) -> None:
    with pytest.raises(errors.NotAllowedError) as problem:
        tls.identity_of(certificate(dev / "authority/ca.crt"))
    assert problem.value.code == "IDENTITY"


# --- handshakes --------------------------------------------------------------------------------------------------


class WhoCalls(query_pb2_grpc.QueryServiceServicer):
    """Answers with who the caller is."""

    def ListNodes(
        self, message: query_pb2.ListNodesRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListNodesResponse:
        peer = tls.peer_identity(context)
        return query_pb2.ListNodesResponse(
            nodes=[query_pb2.NodeStatus(node=f"{peer.federation}/{peer.kind}/{peer.name}")]
        )


def call(server_keys: tls.TlsFiles, client: grpc.ChannelCredentials | None) -> str:
    """Serve with some keys, call with others, and return who the server saw."""
    server = grpc.server(futures.ThreadPoolExecutor(1), options=tls.SERVER_OPTIONS)
    query_pb2_grpc.add_QueryServiceServicer_to_server(WhoCalls(), server)
    port = server.add_secure_port("localhost:0", tls.server_credentials(server_keys))
    server.start()
    address = f"localhost:{port}"
    try:
        with grpc.insecure_channel(address) if client is None else grpc.secure_channel(address, client) as channel:
            stub = query_pb2_grpc.QueryServiceStub(channel)
            return str(stub.ListNodes(query_pb2.ListNodesRequest(), timeout=5).nodes[0].node)
    finally:
        server.stop(0).wait()


def files(folder: Path) -> tls.TlsFiles:
    return tls.TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")


def test_the_server_sees_who_calls(dev: Path) -> None:
    coordinator = files(dev / "coordinator")
    assert call(coordinator, tls.channel_credentials(files(dev / "nodes/cnam"))) == "dev/node/cnam"
    alice = identity.ResearcherIdentity.load(dev / "researchers/alice/alice.pem")
    credentials = tls.channel_credentials_from_pem(alice.certificate_pem, alice.tls_key_pem, alice.authority_pem)
    assert call(coordinator, credentials) == "dev/researcher/alice"


def test_nobody_is_let_in_without_a_certificate_of_the_federation(dev: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", name="other")
    coordinator = files(dev / "coordinator")
    ca = (dev / "coordinator/ca.crt").read_bytes()
    stranger = (other / "nodes/cnam/tls.crt").read_bytes(), (other / "nodes/cnam/tls.key").read_bytes()
    for client in (
        None,
        grpc.ssl_channel_credentials(root_certificates=ca),
        tls.channel_credentials_from_pem(*stranger, ca),
        tls.channel_credentials(files(other / "nodes/cnam")),
    ):
        with pytest.raises(grpc.RpcError) as problem:
            call(coordinator, client)
        assert problem.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_node_cannot_pose_as_the_coordinator_nor_the_coordinator_call_as_a_node(dev: Path) -> None:
    node, coordinator = files(dev / "nodes/cnam"), files(dev / "coordinator")
    with pytest.raises(grpc.RpcError):
        call(node, tls.channel_credentials(files(dev / "nodes/hospital_a")))
    with pytest.raises(grpc.RpcError):
        call(coordinator, tls.channel_credentials(coordinator))


def test_an_expired_certificate_is_not_let_in(tmp_path: Path) -> None:
    past = make(tmp_path / "past", valid_days=1, now=datetime.now(UTC) - timedelta(days=3))
    with pytest.raises(grpc.RpcError):
        call(files(past / "coordinator"), tls.channel_credentials(files(past / "nodes/cnam")))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ProgrammingError, match=r"tls\.crt cannot be read"):
        tls.channel_credentials(files(tmp_path))
