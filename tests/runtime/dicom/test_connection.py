"""What every connection is given: nothing is held back by either side, and what comes in pieces comes whole."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationSocket

import runtime.dicom.connection  # noqa: F401
from runtime.dicom.association import associated
from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.uids import VERIFICATION
from tests.ports import free_port
from tests.runtime.dicom.archives import site, wait_until


class Pieces:
    """A socket that gives what it was told, piece by piece, and remembers what was asked of it."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []

    def recv(self, size: int) -> bytes:
        self.calls.append("recv")
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:size], self.pieces[0][size:]
        self.pieces[:1] = [rest] if rest else []
        return piece

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.calls.append("acknowledge")


def received(pieces: Pieces | None, size: int) -> bytes:
    return bytes(AssociationSocket.recv(cast(AssociationSocket, SimpleNamespace(socket=pieces)), size))


def test_what_came_is_acknowledged_before_the_rest_is_waited_for() -> None:
    pieces = Pieces(b"abcdef", b"ghijkl", b"mno")
    assert received(pieces, 6) == b"abcdef"
    assert pieces.calls == ["recv"]
    assert received(pieces, 9) == b"ghijklmno"
    assert pieces.calls == ["recv", "recv", "acknowledge", "recv"]


def test_a_connection_that_ends_gives_what_came() -> None:
    assert received(Pieces(b"abc"), 10) == b"abc"
    assert received(Pieces(), 10) == b""
    assert received(None, 10) == b""


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Any]:
    entity = AE(ae_title="ORTHANC")
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield site(tmp_path, port=server.server_address[1], connect_s=5, answer_s=5)
    server.shutdown()


def undelayed(association: Any) -> bool:
    return bool(association.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_an_association_that_is_asked_for_sends_at_once(peer: Any) -> None:
    with associated(peer, peer.archive, [build_context(VERIFICATION)]) as association:
        assert undelayed(association)
        assert association.send_c_echo().Status == 0


def test_an_association_that_is_accepted_sends_at_once(tmp_path: Path) -> None:
    port = free_port()
    where = site(tmp_path, ae_title="ROPCART", port=port, connect_s=5, answer_s=5, listen_port=port)
    assert where.archive is not None
    with (
        CommitmentDesk(where) as desk,
        associated(where, where.archive, [build_context(VERIFICATION)]) as association,
    ):
        assert association.is_established
        assert desk._server is not None
        accepted = desk._server.server
        wait_until(lambda: accepted.active_associations, what="the other end counts it")  # it answered before
        assert [undelayed(one) for one in accepted.active_associations] == [True]
