"""TLS as a site's file names it: contexts from certificates, keys and lists of what was revoked."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

from device.checked_file import read_whole
from runtime.dicom.configuration import Tls
from runtime.dicom.errors import SiteUnusable
from runtime.tls import NOT_OF_HOSPITALS

LIMIT_BYTES = 16 << 20
"""Of one file; an authority's list of what it ever revoked may be long."""
SEE = "see runtime/dicom/README.md#certificates"
_WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")


def client_context(tls: Tls, folder: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer towards a peer whose certificate the authority signed; raises `SiteUnusable`."""
    context = _context(tls, folder, ssl.Purpose.SERVER_AUTH)
    context.check_hostname = tls.check_host
    return context


def server_context(tls: Tls, folder: Path) -> ssl.SSLContext:
    """For listening: the peer has to show a certificate of the authority; raises `SiteUnusable`."""
    if tls.certificate is None:
        raise SiteUnusable("TLS: cart.tls needs certificate and key to listen with; add them")
    context = _context(tls, folder, ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(tls: Tls, folder: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    named = {"authority": tls.authority, "certificate": tls.certificate, "key": tls.key, "revoked": tls.revoked}
    for what, path in named.items():
        if path is not None and not (folder / path).is_file():
            raise SiteUnusable(f"TLS: no file {folder / path}, the site's `{what}`; put it there, {SEE}")
    if (secret := tls.key or tls.certificate) is not None:
        _check_secret(folder / secret)
    locked: list[str] = []

    def no_password() -> str:
        """OpenSSL would ask at the terminal, and wait there."""
        locked.append("")
        return ""

    try:
        context = ssl.create_default_context(purpose, cafile=str(folder / tls.authority))
        if tls.certificate is not None:
            key = None if tls.key is None else folder / tls.key
            context.load_cert_chain(folder / tls.certificate, key, no_password)
    except OSError as error:
        if locked:
            raise SiteUnusable(
                f"TLS: {folder / (tls.key or tls.certificate or '')}: the key has a password, which nobody types at a "
                f"cart; store it without (openssl pkey -in KEY -out NEWKEY), mode 600; {SEE}"
            ) from None
        raise _unusable(named, error) from None
    if tls.revoked is not None:
        _look_for_revoked(context, folder / tls.revoked)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~NOT_OF_HOSPITALS
    return context


def _check_secret(path: Path) -> None:
    """With the cart's private key another machine is the cart."""
    try:
        seen = path.stat().st_mode & stat.S_IROTH and b"PRIVATE KEY" in read_whole(path, LIMIT_BYTES)
    except OSError as error:
        raise SiteUnusable(f"TLS: {path}: cannot be read ({error.strerror or error}); {SEE}") from None
    if seen:
        raise SiteUnusable(
            f"TLS: {path}: every user of this machine may read the cart's private key; chmod o-r {path}, and have a "
            f"certificate for a new key issued if anybody did; {SEE}"
        )


def _unusable(named: dict[str, Path | None], error: OSError) -> SiteUnusable:
    reason = str(getattr(error, "reason", "") or "")
    if reason in _WEAK:
        whose = "the cart's own certificate" if reason == "EE_KEY_TOO_SMALL" else "what signed the cart's certificate"
        return SiteUnusable(
            f"TLS: {named['certificate']}: {whose} is too weak (RSA under 2048 bits, MD5 or SHA-1); "
            f"have it issued anew, {SEE}"
        )
    files = ", ".join(str(path) for path in named.values() if path is not None)
    return SiteUnusable(f"TLS: {files}: not PEM, or key and certificate are no pair ({error}); {SEE}")


def _look_for_revoked(context: ssl.SSLContext, path: Path) -> None:
    """A certificate in that file would be trusted from then on: it may hold lists and nothing else."""
    try:
        content = read_whole(path, LIMIT_BYTES)  # OpenSSL takes what stands after any limit, too
        if b"-----BEGIN X509 CRL-----" not in content or b"CERTIFICATE-----" in content:
            raise OSError("it holds none, or something else as well")
        context.load_verify_locations(cafile=str(path))
    except OSError as error:
        raise SiteUnusable(
            f"TLS: {path}, the site's `revoked`: no list of revoked certificates in PEM ({error}); "
            f"make it one (openssl crl -inform der -in FILE -out {path.name}), {SEE}"
        ) from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
