"""Certificates made for one test session: an authority, a server, a client, and those that must not be accepted."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as files and as objects."""

    crt: Path
    key: Path
    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificates:
    """All that tests need. `server` is for localhost and 127.0.0.1."""

    ca: Pair
    other_ca: Pair
    server: Pair
    expired: Pair
    client: Pair
    other_client: Pair


def make_certificates(folder: Path) -> Certificates:
    """Make them all in `folder`."""
    ca, other_ca = make(folder, "ca", None), make(folder, "other-ca", None)
    return Certificates(
        ca=ca,
        other_ca=other_ca,
        server=make(folder, "server", ca),
        expired=make(folder, "expired", ca, age=10 * DAY, life=5 * DAY),
        client=make(folder, "client", ca),
        other_client=make(folder, "other-client", other_ca),
    )


def make(
    folder: Path, name: str, issuer: Pair | None, *, age: datetime.timedelta = DAY, life: datetime.timedelta = 30 * DAY
) -> Pair:
    """One certificate; without an issuer an authority."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.now(datetime.UTC) - age
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + life)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer.private if issuer else private, hashes.SHA256())
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.touch(0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Pair(crt, key, certificate, private)
