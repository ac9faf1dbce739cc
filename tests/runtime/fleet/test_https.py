"""Packages over HTTPS: the server is the one that the site's authority vouches for, or nothing is taken."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runtime.fleet.errors import FleetError
from runtime.fleet.fetch import PackageSource
from tests.authority import Authority


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "right")


@pytest.fixture
def address(tmp_path: Path, authority: Authority) -> Iterator[str]:
    (tmp_path / "offer").mkdir()
    (tmp_path / "offer" / "release.signed").write_bytes(b"release")
    cert, key = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "offer")))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_come_from_a_server_of_the_sites_authority(address: str, authority: Authority) -> None:
    source = PackageSource(address, authority.path)
    assert source.small("release.signed", 100) == b"release"
    into = io.BytesIO()
    source.copy("release.signed", 7, into)
    assert into.getvalue() == b"release"
    with pytest.raises(FleetError, match="7 bytes, expected 8"):
        source.copy("release.signed", 8, io.BytesIO())
    with pytest.raises(FleetError, match=r"nothing\.signed"):
        source.small("nothing.signed", 100)


def test_nothing_is_taken_from_a_server_that_nobody_vouches_for(address: str, tmp_path: Path) -> None:
    for ca in (None, Authority(tmp_path / "wrong").path):
        with pytest.raises(FleetError, match=r"release\.signed"):
            PackageSource(address, ca).small("release.signed", 100)
