"""Certificates of an authority, a server, a cart, and of strangers, as a site's configuration names them."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(
    folder: Path, name: str, signer: Signer | None, *, days: tuple[int, int] = (-1, 2), address: str = "127.0.0.1"
) -> Signer:
    """Key and certificate as files; signed by itself where there is no signer. days: from when until when."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), True)
        .sign(signer[1] if signer else key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


def certificates_in(folder: Path) -> Path:
    """Make them all; gives the folder."""
    authority = certificate(folder, "authority", None)
    certificate(folder, "server", authority)
    certificate(folder, "cart", authority)
    certificate(folder, "expired", authority, days=(-9, -2))
    certificate(folder, "early", authority, days=(2, 9))
    certificate(folder, "elsewhere", authority, address="192.0.2.7")
    stranger = certificate(folder, "stranger", None)
    certificate(folder, "strangers_cart", stranger)
    return folder


def tls(name: str = "cart", authority: str = "authority") -> dict[str, str]:
    return {"authority": f"{authority}.pem", "certificate": f"{name}.pem", "key": f"{name}.key"}
