"""Creates a development federation: authority, manifest, certificates, keys and a first permit, in one go.

Everything, private keys included, lands in one folder: for development and demonstration only. In production the
authority's keys are made and kept offline, and each party makes its own.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from archipel import errors, identity, linkage, manifest, permit, tls, tokens

NAME_PATTERN = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
BACKDATED = timedelta(minutes=5)
"""Certificates and permits start a little in the past, so that a clock slightly behind does not refuse them."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node to create keys for."""

    name: str
    holder: str
    jurisdiction: str = "FR"
    qualifications: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The authority's TLS side: issues every party's certificate."""

    federation: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, federation: str, *, now: datetime, valid_days: int) -> CertificateAuthority:
        """Return a new self-signed authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{federation} authority")])
        certificate = (
            _builder(name, name, key, now, valid_days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(federation, key, certificate)

    def issue(
        self, kind: str, name: str, *, now: datetime, valid_days: int, hosts: Sequence[str] = ()
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Return a key and certificate for a party; only a coordinator has ``hosts`` and may be a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{kind} {name}")])
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"archipel://{self.federation}/{kind}/{name}")]
        names += [_host(host) for host in hosts]
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if kind == "coordinator" else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = (
            _builder(subject, self.certificate.subject, key, now, valid_days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return key, certificate


def init(
    out: Path,
    *,
    federation: str,
    nodes: Sequence[NodeSpec],
    researcher: str,
    project: str,
    purpose: str,
    tables: Mapping[str, Sequence[str]],
    coordinator_hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    valid_days: int = 365,
    now: datetime | None = None,
) -> None:
    """Create the federation in ``out``, which must be empty or absent.

    Raises:
        ArchipelError: CONFIG_INVALID for a bad name, no node, two nodes of one name, or a folder in use.
    """
    _check(out, federation, nodes, researcher)
    now = now or datetime.now(UTC)
    authority = CertificateAuthority.create(federation, now=now, valid_days=valid_days)
    signing = Ed25519PrivateKey.generate()
    ca_pem = _pem(authority.certificate)
    identity.write_private(out / "authority" / "authority.pem", identity.private_pem(signing))
    identity.write_private(out / "authority" / "ca.key", identity.private_pem(authority.key))
    (out / "authority" / "ca.crt").write_bytes(ca_pem)

    coordinator_key, coordinator_certificate = authority.issue(
        "coordinator", "coordinator", now=now, valid_days=valid_days, hosts=coordinator_hosts
    )
    entries = []
    shared = linkage.create()
    parties: list[tuple[Path, ec.EllipticCurvePrivateKey, x509.Certificate]] = [
        (out / "coordinator", coordinator_key, coordinator_certificate)
    ]
    for node in nodes:
        key, certificate = authority.issue("node", node.name, now=now, valid_days=valid_days)
        receipts, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        folder = out / "nodes" / node.name
        identity.write_private(folder / "signing.pem", identity.private_pem(receipts))
        identity.write_private(folder / "sealing.pem", identity.private_pem(sealing))
        linkage.write(folder / "linkage.json", shared)
        parties.append((folder, key, certificate))
        entries.append(
            manifest.NodeEntry(
                name=node.name,
                holder=node.holder,
                jurisdiction=node.jurisdiction,
                qualifications=node.qualifications,
                signing_key=tokens.encode_public_key(receipts.public_key()),
                sealing_key=tokens.encode_raw_key(sealing.public_key().public_bytes_raw()),
                certificate_sha256=tls.certificate_digest(certificate),
            )
        )
    document = manifest.Manifest(
        federation=federation,
        serial=1,
        issued=int(now.timestamp()),
        coordinator_certificate_sha256=tls.certificate_digest(coordinator_certificate),
        nodes=tuple(entries),
    )
    token = manifest.issue(document, signing)
    (out / "manifest.jwt").write_text(token + "\n")
    identity.write_public_key(out / "authority" / "authority.pub", signing.public_key())
    for folder, key, certificate in parties:
        identity.write_private(folder / "tls.key", identity.private_pem(key))
        (folder / "tls.crt").write_bytes(_pem(certificate))
        (folder / "ca.crt").write_bytes(ca_pem)
        (folder / "manifest.jwt").write_text(token + "\n")
        identity.write_public_key(folder / "authority.pub", signing.public_key())

    researcher_key = create_researcher(
        out / "researchers" / researcher, authority, researcher, now=now, valid_days=valid_days
    )
    first = permit.Permit(
        permit_id=str(uuid.uuid4()),
        federation=federation,
        project=project,
        purpose=purpose,
        researchers=(permit.Researcher(name=researcher, key=tokens.encode_public_key(researcher_key.public_key())),),
        tables=tuple(permit.TableGrant(table=t, columns=tuple(columns)) for t, columns in tables.items()),
        nodes=tuple(node.name for node in nodes),
        not_before=int((now - BACKDATED).timestamp()),
        expires=int((now + timedelta(days=valid_days)).timestamp()),
    )
    (out / "researchers" / researcher / "permit.jwt").write_text(permit.issue(first, signing) + "\n")


def add_researcher(out: Path, name: str, *, valid_days: int = 365, now: datetime | None = None) -> Ed25519PrivateKey:
    """Create the identity of one more researcher in a development federation; return the signing key.

    Raises:
        ArchipelError: CONFIG_INVALID for a bad name, one that exists, or a folder that is no development federation.
    """
    _check_name(name)
    folder = out / "researchers" / name
    if folder.exists():
        raise errors.error(errors.CONFIG_INVALID, f"There is a researcher '{name}' already.")
    try:
        key = serialization.load_pem_private_key((out / "authority" / "ca.key").read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate((out / "authority" / "ca.crt").read_bytes())
        token = (out / "manifest.jwt").read_text().strip()
    except (OSError, ValueError) as cause:
        raise errors.error(errors.CONFIG_INVALID, f"The folder {out} holds no development federation.") from cause
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise errors.error(errors.CONFIG_INVALID, f"The folder {out} holds no development federation.")
    whole = manifest.verify(token, identity.load_public_key(out / "authority" / "authority.pub"))
    authority = CertificateAuthority(whole.federation, key, certificate)
    return create_researcher(folder, authority, name, now=now or datetime.now(UTC), valid_days=valid_days)


def create_researcher(
    folder: Path, authority: CertificateAuthority, name: str, *, now: datetime, valid_days: int
) -> Ed25519PrivateKey:
    """Write a researcher's one-file identity into ``folder`` and return the signing key."""
    signing = Ed25519PrivateKey.generate()
    key, certificate = authority.issue("researcher", name, now=now, valid_days=valid_days)
    bundle = b"".join(
        [identity.private_pem(signing), identity.private_pem(key), _pem(certificate), _pem(authority.certificate)]
    )
    identity.write_private(folder / f"{name}.pem", bundle)
    return signing


def _check(out: Path, federation: str, nodes: Sequence[NodeSpec], researcher: str) -> None:
    names = [node.name for node in nodes]
    for name in (federation, researcher, *names):
        _check_name(name)
    if not names:
        raise errors.error(errors.CONFIG_INVALID, "A federation needs at least one node.")
    if len(set(names)) < len(names):
        raise errors.error(errors.CONFIG_INVALID, "Two nodes have the same name.")
    if out.exists() and any(out.iterdir()):
        raise errors.error(
            errors.CONFIG_INVALID, f"The folder {out} is not empty.", hint="Keys are never overwritten: name a new one."
        )


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise errors.error(
            errors.CONFIG_INVALID,
            f"'{name}' cannot be a name.",
            hint="Use lower-case letters, digits, '_' and '-', beginning with a letter; at most 63 characters.",
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, valid_days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=valid_days))
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
