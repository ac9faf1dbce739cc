"""Connections that fail or that the peer ends first: the reason is told, and no socket stays open."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEGLossless
from pynetdicom import AE
from pynetdicom.presentation import build_context

import runtime.dicom.certificates
from runtime.dicom.association import associated
from runtime.dicom.certificates import client_context
from runtime.dicom.configuration import Tls
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, NotOffered, SiteUnusable
from runtime.dicom.uids import STUDY_ROOT_FIND, VERIFICATION
from runtime.tls import NOT_OF_HOSPITALS
from tests.ports import free_port
from tests.runtime.dicom.archives import site
from tests.runtime.dicom.certificates import certificates_in, tls

QUICK = 30
"""Rejections in a row: each alone is forgotten by chance only."""


def nobody() -> int:
    return free_port()


def closes_at_once() -> int:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening:
            for _ in range(2):  # the association, and the plain connection that finds out why it failed
                listening.accept()[0].close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


@pytest.mark.parametrize("peer", [nobody, closes_at_once])
def test_a_failed_connection_leaves_no_socket(peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: left.append(str(said.exc_value)))
    where = site(tmp_path, port=peer(), connect_s=2, answer_s=2)
    assert where.archive is not None
    with (
        pytest.raises(ArchiveUnreachable),
        associated(where, where.archive, [build_context(VERIFICATION)]),
    ):
        pass
    gc.collect()
    assert left == []


def rejects_at_once() -> int:
    """Knows no called AE title (PS3.8, A-ASSOCIATE-RJ), and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening:
            for _ in range(QUICK):
                caller = listening.accept()[0]
                with caller:
                    caller.recv(1 << 16)
                    caller.sendall(bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 7)))

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def test_a_rejection_is_told_however_quick_it_came(tmp_path: Path) -> None:
    where = site(tmp_path, port=rejects_at_once())
    assert where.archive is not None
    for _ in range(QUICK):
        with (
            pytest.raises(ArchiveRefused, match="does not know the called AE title"),
            associated(where, where.archive, [build_context(VERIFICATION)]),
        ):
            pass


TLS = {
    "expired": "its certificate has expired",
    "early": "its certificate is not valid yet",
    "elsewhere": "its certificate is for another host than 127.0.0.1",
    "strangers_cart": "its certificate is of an unknown authority",
}


def serve_tls(folder: Path, name: str, context: ssl.SSLContext | None = None) -> tuple[int, Any]:
    """A server with that certificate, or one that speaks no TLS."""
    entity = AE(ae_title="ORTHANC")
    entity.add_supported_context(VERIFICATION)
    if context is None and name:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    server = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=context)
    assert server is not None
    return server.server_address[1], server


def refusal(folder: Path, port: int, **more: Any) -> str:
    where = site(folder, port=port, connect_s=5, answer_s=5, **more)
    assert where.archive is not None
    with (
        pytest.raises(ArchiveRefused) as refused,
        associated(where, where.archive, [build_context(VERIFICATION)]),
    ):
        pass
    return str(refused.value)


@pytest.mark.parametrize("name", TLS)
def test_tls_that_fails_says_which(name: str, certificates: Path) -> None:
    port, server = serve_tls(certificates, name)
    try:
        said = refusal(certificates, port, tls=tls())
    finally:
        server.shutdown()
    assert f"TLS was refused: {TLS[name]}" in said


def test_a_server_without_tls_and_one_that_wants_a_certificate_say_so(certificates: Path) -> None:
    port, server = serve_tls(certificates, "")
    try:
        assert "speaks no TLS" in refusal(certificates, port, tls=tls())
    finally:
        server.shutdown()
    wants = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "authority.pem"))
    wants.verify_flags &= ~NOT_OF_HOSPITALS
    wants.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    wants.verify_mode = ssl.CERT_REQUIRED
    port, server = serve_tls(certificates, "", wants)
    try:
        said = refusal(certificates, port, tls={"authority": "authority.pem"})
        assert "wants a certificate of the cart" in said
        assert "expired" in refusal(certificates, port, tls=tls("expired"))
    finally:
        server.shutdown()


def test_a_list_of_what_was_revoked_is_looked_into(tmp_path: Path) -> None:
    folder = certificates_in(tmp_path, more=True)
    port, server = serve_tls(folder, "revoked")
    try:
        assert "TLS was refused: its certificate was revoked" in refusal(
            folder, port, tls=tls(revoked="revocations.pem")
        )
        where = site(folder, port=port, tls=tls())
        assert where.archive is not None
        with associated(where, where.archive, [build_context(VERIFICATION)]):
            pass  # which nobody could know without the list
    finally:
        server.shutdown()


OWN_FILES = {
    "locked": (tls("locked"), "the key has a password, which nobody types at a cart"),
    "weak": (tls("weak"), "the cart's own certificate is too weak"),
    "no pair": ({**tls(), "key": "server.key"}, "not PEM, or key and certificate are no pair"),
    "no key": ({**tls(), "key": "cart.pem"}, "not PEM, or key and certificate are no pair"),
    "no authority": ({**tls(), "authority": "cart.key"}, "not PEM"),
    "no file": (tls("absent"), "no file"),
    "a pipe": ({**tls(), "authority": "pipe"}, "the site's `authority`; put it there"),
    "a pipe as key": ({**tls(), "key": "pipe"}, "the site's `key`; put it there"),
    "no list": (tls(revoked="cart.key"), "the site's `revoked`: no list of revoked certificates in PEM"),
    "one to trust": (tls(revoked="stranger.pem"), "no list of revoked certificates in PEM"),
    "one to trust behind a list": (tls(revoked="both"), "no list of revoked certificates in PEM"),
}


def test_a_private_key_that_others_may_read_is_not_used(certificate_files: Path, tmp_path: Path) -> None:
    for name in ("authority.pem", "cart.pem", "cart.key"):
        (tmp_path / name).write_bytes((certificate_files / name).read_bytes())
    (tmp_path / "cart.key").chmod(0o644)
    with pytest.raises(SiteUnusable, match="may read the cart's private key; chmod o-r"):
        client_context(Tls.model_validate(tls()), tmp_path)
    (tmp_path / "cart.key").chmod(0o640)
    client_context(Tls.model_validate(tls()), tmp_path)


@pytest.mark.parametrize("case", OWN_FILES)
def test_files_that_cannot_be_used_are_named_and_waited_for_by_nobody(case: str, certificate_files: Path) -> None:
    named, words = OWN_FILES[case]
    with pytest.raises(SiteUnusable) as refused:
        client_context(Tls.model_validate(named), certificate_files)
    assert words in str(refused.value)
    assert "README.md#certificates" in str(refused.value)


def test_nothing_to_trust_stands_behind_what_is_looked_at_of_a_list(
    certificate_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = (certificate_files / "revocations.pem").stat().st_size
    monkeypatch.setattr(runtime.dicom.certificates, "LIMIT_BYTES", limit)
    client_context(Tls.model_validate(tls(revoked="revocations.pem")), certificate_files)
    with pytest.raises(SiteUnusable, match=f"no list of revoked certificates in PEM .*larger than {limit} bytes"):
        client_context(Tls.model_validate(tls(revoked="both")), certificate_files)


@pytest.fixture(scope="module")
def certificate_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = certificates_in(tmp_path_factory.mktemp("certificates"), more=True)
    os.mkfifo(folder / "pipe")
    (folder / "both").write_bytes((folder / "revocations.pem").read_bytes() + (folder / "stranger.pem").read_bytes())
    return folder


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 80 + ".invalid", "..", "host name"])
def test_a_name_that_does_not_resolve_is_an_archive_out_of_reach(host: str, tmp_path: Path) -> None:
    where = site(tmp_path, host=host, connect_s=2, answer_s=2)
    assert where.archive is not None
    with (
        pytest.raises(ArchiveUnreachable, match="the host name does not resolve"),
        associated(where, where.archive, [build_context(VERIFICATION)]),
    ):
        pass


def test_what_a_peer_does_not_offer_is_told_apart(tmp_path: Path) -> None:
    entity = AE(ae_title="ORTHANC")
    entity.add_supported_context(VERIFICATION, JPEGLossless)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        port = server.server_address[1]
        assert "in none of the transfer syntaxes" in refusal(tmp_path, port)
        where = site(tmp_path, port=port)
        assert where.archive is not None
        with (
            pytest.raises(NotOffered, match="supports none of the SOP classes"),
            associated(where, where.archive, [build_context(STUDY_ROOT_FIND)]),
        ):
            pass
    finally:
        server.shutdown()
