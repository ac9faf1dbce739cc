"""Connections that fail or that the peer ends first: the reason is told, and no socket stays open."""

from __future__ import annotations

import gc
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.presentation import build_context

from runtime.dicom.association import associated
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable
from runtime.dicom.uids import VERIFICATION
from tests.runtime.dicom.archives import site

QUICK = 30
"""Rejections in a row: each alone is forgotten by chance only."""


def nobody() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


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
