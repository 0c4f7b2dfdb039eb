"""Issues this pod's certificate for Ray, from the Ray cluster's own certificate authority.

Ray's members call each other by IP address, which is known only when the pod has started. Runs in an init container,
the only one that sees the authority's key. Reads POD_IP, HOSTS, VALID_DAYS; writes tls.crt, tls.key and ca.crt.
"""

import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AUTHORITY = pathlib.Path(os.environ.get("AUTHORITY_DIR", "/etc/ray-authority"))
OUT = pathlib.Path(os.environ.get("OUT_DIR", "/etc/ray-tls"))

authority_pem = (AUTHORITY / "tls.crt").read_bytes()
authority = x509.load_pem_x509_certificate(authority_pem)
authority_key = serialization.load_pem_private_key((AUTHORITY / "tls.key").read_bytes(), password=None)
now = datetime.datetime.now(datetime.UTC)
end = min(now + datetime.timedelta(days=int(os.environ["VALID_DAYS"])), authority.not_valid_after_utc)
names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
names += [x509.IPAddress(ipaddress.ip_address(os.environ["POD_IP"]))]
names += [x509.DNSName(host) for host in os.environ.get("HOSTS", "").split()]
key = ec.generate_private_key(ec.SECP256R1())
certificate = (
    x509.CertificateBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ray")]))
    .issuer_name(authority.subject)
    .public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(minutes=5))
    .not_valid_after(end)
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(x509.SubjectAlternativeName(names), critical=False)
    .sign(authority_key, hashes.SHA256())
)
private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
descriptor = os.open(OUT / "tls.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
with os.fdopen(descriptor, "wb") as sink:
    sink.write(private)
(OUT / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
(OUT / "ca.crt").write_bytes(authority_pem)
