"""The cart's port: no caller holds up another, nor the end, whatever it says or does not say."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.presentation import build_context

from runtime.dicom.association import associated
from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable
from runtime.dicom.listening import MOST_CALLERS, Callers
from runtime.dicom.uids import VERIFICATION
from runtime.tls import NOT_OF_HOSPITALS
from tests.runtime.dicom.archives import CART_PORT, site, wait_until
from tests.runtime.dicom.certificates import tls

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("private_network")]
PATIENCE_S = 120.0
"""Far more than any of this takes; what it is held against is for ever."""


def ends(work: threading.Thread) -> bool:
    work.daemon = True
    work.start()
    work.join(PATIENCE_S)
    return not work.is_alive()


def calls(where: DicomConfig) -> bool:
    assert where.archive is not None
    with associated(where, where.archive, [build_context(VERIFICATION)]) as association:
        return bool(association.send_c_echo().Status == 0)


def cart(folder: Path, secured: bool) -> DicomConfig:
    more = {"tls": tls(), "cart_tls": tls()} if secured else {}
    return site(folder, ae_title="ROPCART", port=CART_PORT, listen_port=CART_PORT, answer_s=10, connect_s=10, **more)


@pytest.mark.parametrize("said", [b"", b"\x01\x00\x00", b"GET / HTTP/1.0\r\n\r\n"], ids=["nothing", "part", "http"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_caller_holds_up_nobody(certificates: Path, secured: bool, said: bytes) -> None:
    where = cart(certificates, secured)
    desk = CommitmentDesk(where)
    with socket.create_connection(("127.0.0.1", CART_PORT)) as caller:
        caller.sendall(said)
        heard: list[bool] = []
        assert ends(threading.Thread(target=lambda: heard.append(calls(where))))
        assert heard == [True]
        assert ends(threading.Thread(target=desk.close))


def test_an_association_that_nobody_ends_does_not_hold_up_the_end(certificates: Path) -> None:
    where = cart(certificates, secured=False)
    assert where.archive is not None
    desk = CommitmentDesk(where)
    with associated(where, where.archive, [build_context(VERIFICATION)]) as association:
        assert association.is_established
        assert ends(threading.Thread(target=desk.close))


def answer_without_certificate(folder: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.verify_flags &= ~NOT_OF_HOSPITALS
    with socket.create_connection(("127.0.0.1", CART_PORT), timeout=PATIENCE_S) as caller:
        try:
            with context.wrap_socket(caller, server_hostname="127.0.0.1") as secured:
                secured.sendall(b"\x01\x00")
                return secured.recv(1)  # TLS 1.3: refused only after the caller's part of the handshake
        except TimeoutError:
            return b"kept waiting"
        except OSError:
            return b""


def test_a_caller_without_the_right_certificate_is_refused(certificates: Path) -> None:
    with CommitmentDesk(cart(certificates, secured=True)):
        assert answer_without_certificate(certificates) == b""


def is_told(desk: CommitmentDesk, words: str) -> None:
    """The caller knows that it was refused before the cart's thread has said why."""
    wait_until(lambda: words in desk.refused, PATIENCE_S, words)


def calls_in_vain(where: DicomConfig) -> None:
    with pytest.raises((ArchiveRefused, ArchiveUnreachable)):
        calls(where)


def test_who_was_not_let_in_is_told_with_the_reason(certificates: Path) -> None:
    """Else all that anybody sees of it is that an archive's reports do not come."""
    where = cart(certificates, secured=True)
    with CommitmentDesk(where) as desk:
        assert desk.refused == ""
        assert calls(where)
        assert desk.refused == ""
        assert answer_without_certificate(certificates) == b""
        is_told(desk, "a caller at 127.0.0.1 was refused by TLS: it shows no certificate")
        calls_in_vain(cart_called(certificates, tls=tls("expired")))
        is_told(desk, "refused by TLS: its certificate has expired")
        calls_in_vain(cart_called(certificates, tls=tls("cart", "stranger")))
        is_told(desk, "refused by TLS: it does not know the authority of the cart's certificate")
        calls_in_vain(cart_called(certificates, tls=tls(), ae_title="OTHERCART"))
        is_told(desk, "a caller at 127.0.0.1 that calls itself 'ROPCART', and the cart 'OTHERCART', was rejected")
        assert desk._server is not None
        desk._server.server.callers = Callers((ip_network("192.0.2.0/24"),))
        calls_in_vain(where)
        is_told(desk, "a caller at 127.0.0.1 was sent away; see cart.listen_to")


def cart_called(folder: Path, **how: Any) -> DicomConfig:
    """The cart as another one's archive."""
    return site(folder, **{"ae_title": "ROPCART", "port": CART_PORT, "answer_s": 10, "connect_s": 10, **how})


def test_a_peer_that_falls_silent_within_a_message_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def half_an_answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(10_000)
                peer.sendall(b"\x02\x00\x00")
                given_up.wait(PATIENCE_S)

        given_up = threading.Event()
        threading.Thread(target=half_an_answer, daemon=True).start()
        where = site(tmp_path, port=listening.getsockname()[1], connect_s=1, answer_s=1)
        found: list[Exception] = []

        def call() -> None:
            try:
                calls(where)
            except ArchiveUnreachable as error:
                found.append(error)

        assert ends(threading.Thread(target=call))
        given_up.set()
        assert [type(error) for error in found] == [ArchiveUnreachable]


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 7])
def test_a_message_that_is_larger_than_any_of_its_kind_is_not_read(kind: int, tmp_path: Path) -> None:
    with (
        CommitmentDesk(cart(tmp_path, secured=False)),
        socket.create_connection(("127.0.0.1", CART_PORT), timeout=PATIENCE_S) as caller,
    ):
        caller.sendall(bytes((kind, 0)) + (600_000_000).to_bytes(4, "big"))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                sent += caller.send(b"x" * (1 << 16))
        assert sent < 16 << 20  # what the kernel took on both sides, and nobody read


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_many_silent_callers_keep_nobody_out(certificates: Path, secured: bool) -> None:
    where = cart(certificates, secured)
    with CommitmentDesk(where), contextlib.ExitStack() as callers:
        for _ in range(3 * MOST_CALLERS):
            callers.enter_context(socket.create_connection(("127.0.0.1", CART_PORT), timeout=PATIENCE_S))
        assert calls(where)


def test_many_idle_associations_keep_nobody_out(tmp_path: Path) -> None:
    where = cart(tmp_path, secured=False)
    with CommitmentDesk(where):
        idle = []
        for _ in range(2 * MOST_CALLERS):
            entity = AE(ae_title="ROPCART")
            entity.add_requested_context(VERIFICATION)
            idle.append(entity.associate("127.0.0.1", CART_PORT, ae_title="ROPCART"))
        assert calls(where)
        for one in idle:
            one.abort()


def test_a_stranger_is_turned_away_by_title_and_by_address(tmp_path: Path) -> None:
    where = cart(tmp_path, secured=False)
    with CommitmentDesk(where):
        entity = AE(ae_title="STRANGER")
        entity.add_requested_context(VERIFICATION)
        assert not entity.associate("127.0.0.1", CART_PORT, ae_title="ROPCART").is_established
    may = Callers.of(site(tmp_path, host="192.0.2.7", listen_port=CART_PORT)).may
    assert [may(a) for a in ("192.0.2.7", "::ffff:192.0.2.7", "127.0.0.1", "192.0.2.8")] == [True, True, True, False]


def test_the_cart_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    with CommitmentDesk(cart(tmp_path, secured=False)) as desk:
        assert desk._server is not None
        assert desk._server.server.server_address[0] == "127.0.0.1"
