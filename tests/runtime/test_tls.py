"""Handshakes that come to nothing, each with its reason in words: by real certificates, in memory, from both sides."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="certificates are made with it (extra `exam`)")

from runtime.tls import NOT_OF_HOSPITALS, why_refused
from tests.runtime.dicom.certificates import certificates_in

HOST = "127.0.0.1"
RAW = re.compile(r"[A-Z]+_[A-Z_]+")
"""OpenSSL's own names of faults, which say nothing to an administrator."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates_in(tmp_path_factory.mktemp("certificates"), more=True)


def side(folder: Path, name: str, *, server: bool, authority: str = "authority", **more: str) -> ssl.SSLContext:
    """One side, which holds what it shows as lightly as OpenSSL lets it."""
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    context = ssl.create_default_context(purpose, cafile=str(folder / f"{authority}.pem"))
    context.verify_flags &= ~NOT_OF_HOSPITALS
    if name:
        if "weak" in name:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if revoked := more.get("revoked"):
        context.load_verify_locations(cafile=str(folder / f"{revoked}.pem"))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if "versions" in more:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[more["versions"]]
    if "ciphers" in more:
        context.set_ciphers(more["ciphers"])
    return context


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST) -> list[ssl.SSLError | None]:
    """What stopped the client and the server; the first byte is read, for TLS 1.3 refuses a client only then."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname=host)
    theirs = server.wrap_bio(up, down, server_side=True)
    stopped: list[ssl.SSLError | None] = [None, None]
    for _ in range(4):
        for number, one in enumerate((ours, theirs)):
            try:
                one.do_handshake()
                one.write(b"-")
                one.read(1)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except ssl.SSLError as error:
                stopped[number] = stopped[number] or error
    return stopped


OF_A_SERVER = {
    "expired": "its certificate has expired (the cart's clock says 20",
    "early": "its certificate is not valid yet (the cart's clock says 20",
    "elsewhere": "its certificate is for another host than 127.0.0.1; name that one as its host, or set tls.check_host",
    "strangers_cart": "its certificate is of an unknown authority; name the authority that signed it as tls.authority",
    "stranger": "its certificate is of an unknown authority",
    "weak": "its certificate's key is too weak",
    "other_use": "its certificate was issued for another use",
    "under_server": "what signed its certificate is no authority",
    "other": "its certificate was altered, or was signed by another authority of the same name",
    "under_old old": "its authority's certificate has expired",
    "under_new new": "its authority's certificate is not valid yet",
    "under_weak weak_authority": "its authority's key is too weak",
    "revoked authority revocations": "its certificate was revoked",
    "server authority old_revocations": "tls.revoked, the list of revoked certificates, is not that of its authority",
    "under_old old revocations": "tls.revoked, the list of revoked certificates, is not that of its authority",
}


@pytest.mark.parametrize("said", OF_A_SERVER)
def test_what_is_wrong_with_a_servers_certificate(folder: Path, said: str) -> None:
    name, authority, revoked = (said.split() + ["authority", ""][said.count(" ") :])[:3]
    client = side(folder, "cart", server=False, authority=authority, revoked=revoked)
    error, _ = handshake(client, side(folder, name, server=True))
    assert error is not None
    words = why_refused(error, HOST, client, settings="tls.")
    assert OF_A_SERVER[said] in words
    assert "; " in words
    assert not RAW.search(words)


OF_THE_CART = {
    "expired": "it says that the cart's certificate has expired",
    "early": "it does not accept the cart's certificate",
    "strangers_cart": "it does not know the authority of the cart's certificate",
    "weak": "it does not accept the cart's certificate",
    "other_use": "it says that the cart's certificate was issued for another use",
    "revoked": "it says that the cart's certificate was revoked",
    "": "it wants a certificate of the cart; name tls.certificate and tls.key",
}


@pytest.mark.parametrize("name", OF_THE_CART)
def test_what_a_server_says_of_the_carts_certificate_and_what_the_cart_says_of_such_a_callers(
    folder: Path, name: str
) -> None:
    server = side(folder, "server", server=True, revoked="revocations")
    server.verify_mode = ssl.CERT_REQUIRED
    heard, found = handshake(side(folder, name, server=False), server)
    assert heard is not None
    assert found is not None
    words = why_refused(heard, HOST, settings="tls.")
    assert OF_THE_CART[name] in words
    ours = {**{one: OF_A_SERVER[one] for one in OF_THE_CART if one in OF_A_SERVER}, "": "it shows no certificate"}
    ours["revoked"] = "its certificate was revoked"
    own = why_refused(found, HOST, server, settings="tls.")
    assert ours[name] in own
    assert not RAW.search(words + own)


def test_what_two_sides_do_not_share_is_told(folder: Path) -> None:
    old = side(folder, "server", server=True, versions="TLSv1_2")
    new = side(folder, "", server=False, versions="TLSv1_3")
    error, found = handshake(new, old)
    assert error is not None
    assert found is not None
    assert "it speaks no TLS 1.2 or newer" in why_refused(error, HOST)
    assert "it speaks no TLS 1.2 or newer" in why_refused(found, HOST)
    rsa_only = side(folder, "", server=False, versions="TLSv1_2", ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    error, found = handshake(rsa_only, old)
    assert error is not None
    assert found is not None
    assert "share no cipher" in why_refused(error, HOST)
    assert "share no cipher" in why_refused(found, HOST)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks no TLS"),
        (bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 7)), "it speaks no TLS"),
        (b"", "it hung up in the middle of the handshake"),
    ],
    ids=["http", "dicom", "nothing"],
)
def test_what_is_no_tls_at_all(folder: Path, said: bytes, words: str) -> None:
    heard, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = side(folder, "", server=False).wrap_bio(heard, out, server_hostname=HOST)
    heard.write(said)
    heard.write_eof()
    with pytest.raises(ssl.SSLError) as stopped:
        one.do_handshake()
    assert words in why_refused(stopped.value, HOST)
