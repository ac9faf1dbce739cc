"""Certificates of an authority, a server, a cart, and of strangers, as a site's configuration names them."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Signer = tuple[x509.Certificate, Key]
WEAK_BITS = 1024


def certificate(
    folder: Path,
    name: str,
    signer: Signer | None,
    *,
    days: tuple[int, int] = (-1, 2),
    address: str = "127.0.0.1",
    weak: bool = False,
    use: ObjectIdentifier | None = None,
    password: bytes = b"",
) -> Signer:
    """Key and certificate as files; signed by itself where there is no signer. days: from when until when."""
    key: Key = rsa.generate_private_key(65537, WEAK_BITS) if weak else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    begun = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), True)
    )
    if use is not None:
        begun = begun.add_extension(x509.ExtendedKeyUsage([use]), False)
    made = begun.sign(signer[1] if signer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (folder / f"{name}.key").touch(0o600)
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    return made, key


def revocations(folder: Path, name: str, signer: Signer, *revoked: Signer, days: tuple[int, int] = (-1, 2)) -> None:
    """An authority's list of what it revoked, as a file."""
    now = datetime.now(timezone.utc)
    begun = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer[0].subject)
        .last_update(now + timedelta(days=days[0]))
        .next_update(now + timedelta(days=days[1]))
    )
    for made, _ in revoked:
        one = x509.RevokedCertificateBuilder().serial_number(made.serial_number).revocation_date(now)
        begun = begun.add_revoked_certificate(one.build())
    made_list = begun.sign(signer[1], hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made_list.public_bytes(serialization.Encoding.PEM))


def certificates_in(folder: Path, *, more: bool = False) -> Path:
    """Make them; gives the folder. more: also what is weak, revoked, locked, or of another use."""
    authority = certificate(folder, "authority", None)
    server = certificate(folder, "server", authority)
    certificate(folder, "cart", authority)
    certificate(folder, "expired", authority, days=(-9, -2))
    certificate(folder, "early", authority, days=(2, 9))
    certificate(folder, "elsewhere", authority, address="192.0.2.7")
    stranger = certificate(folder, "stranger", None)
    certificate(folder, "strangers_cart", stranger)
    if more:
        _more(folder, authority, server)
    return folder


def _more(folder: Path, authority: Signer, server: Signer) -> None:
    certificate(folder, "weak", authority, weak=True)
    certificate(folder, "other_use", authority, use=ExtendedKeyUsageOID.CODE_SIGNING)
    certificate(folder, "under_server", server)
    certificate(folder, "under_old", certificate(folder, "old", None, days=(-9, -2)))
    certificate(folder, "under_new", certificate(folder, "new", None, days=(2, 9)))
    certificate(folder, "under_weak", certificate(folder, "weak_authority", None, weak=True))
    certificate(folder, "locked", authority, password=b"typed by nobody")
    revoked = certificate(folder, "revoked", authority)
    revocations(folder, "revocations", authority, revoked)
    revocations(folder, "old_revocations", authority, days=(-9, -2))
    with (folder / "under_server.pem").open("ab") as chain:
        chain.write((folder / "server.pem").read_bytes())
    real = (folder / "authority.pem").read_bytes(), (folder / "authority.key").read_bytes()
    certificate(folder, "other", certificate(folder, "authority", None))
    for end, content in zip(("pem", "key"), real, strict=True):
        (folder / f"authority.{end}").write_bytes(content)


def tls(name: str = "cart", authority: str = "authority", **more: str) -> dict[str, str]:
    return {"authority": f"{authority}.pem", "certificate": f"{name}.pem", "key": f"{name}.key", **more}
