"""Packages over HTTPS: the server is the one that the site's authority vouches for, or nothing is taken."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.bundles.actions import Means
from runtime.bundles.trial import Trial
from runtime.fleet import fetch
from runtime.fleet.errors import FleetError
from runtime.fleet.fetch import PackageSource
from runtime.fleet.pull import pull
from runtime.fleet.push import push
from runtime.fleet.release import Wave
from runtime.slots import installed
from tests.authority import Authority
from tests.runtime.bundles.making import KEY, called, keys_folder, sha256_of


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "right")


@contextmanager
def served(folder: Path, cert: Path, key: Path) -> Iterator[str]:
    """A folder by a web server of this machine with that certificate; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_cart_pulls_from_a_server_of_the_sites_authority(
    means: Means, tmp_path: Path, authority: Authority, one: Path, trials: Callable[[Trial], object]
) -> None:
    push(one, tmp_path, KEY, follows=None, waves=[Wave(percent=100, begins=datetime.now(timezone.utc))])
    with served(tmp_path, *authority.issue("server")) as address:
        found = pull(means, PackageSource(address, authority.path))
        assert (found.result, found.bundle) == ("activated", sha256_of(one)), found.words
        with pytest.raises(FleetError, match="expected 9999999"):
            PackageSource(address, authority.path).copy("release.signed", 9999999, io.BytesIO())
        with pytest.raises(FleetError, match=r"nothing\.signed: the server answers 404"):
            PackageSource(address, authority.path).small("nothing.signed", 100)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ({"host": "localhost"}, "its certificate is for another host than 127.0.0.1"),
        ({"host": "127.0.0.2"}, "its certificate is for another host than 127.0.0.1"),
        ({"days": (-3, -1)}, "its certificate has expired"),
        ({"days": (1, 3)}, "its certificate is not valid yet"),
        ({}, "its certificate is of an unknown authority"),
    ],
    ids=["another name", "another address", "expired", "to come", "another authority"],
)
def test_nothing_is_taken_from_a_server_that_nobody_vouches_for(
    tmp_path: Path, authority: Authority, certificate: dict[str, Any], words: str
) -> None:
    """By the real command: one line that says what is wrong, and nothing is installed."""
    (tmp_path / "release.signed").write_bytes(b"never read")
    issuer = authority if certificate else Authority(tmp_path / "wrong")
    call = ("--ca", authority.path, "--station", "cart-1", "--trusted-keys", keys_folder(tmp_path / "keys", site=KEY))
    with served(tmp_path, *issuer.issue("server", **certificate)) as address:
        _, _, said = called("runtime.fleet", "pull", address, *call, state=tmp_path / "state", code=2)
    assert words in said
    assert said.count("\n") == 1
    assert not installed(tmp_path / "state" / "bundles")


def test_without_an_authority_of_its_own_the_systems_are_asked(tmp_path: Path, authority: Authority) -> None:
    with (
        served(tmp_path, *authority.issue("server")) as address,
        pytest.raises(FleetError, match="of an unknown authority"),
    ):
        PackageSource(address).small("release.signed", 100)


@contextmanager
def dripping(content: bytes, headers: bytes = b"HTTP/1.0 200 OK\r\n\r\n") -> Iterator[str]:
    """A server that sends one byte at a time, and leaves the connection open until the test is over."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            asked, _ = listening.accept()
            with asked, suppress(OSError):
                asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                asked.recv(65536)
                asked.sendall(headers)
                for byte in content:
                    asked.sendall(bytes([byte]))
                over.wait()

        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def test_a_server_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; by this clock one look at it is a minute later than the one before."""
    clock = count(0, 60)
    monkeypatch.setattr(fetch, "TIMEOUT_S", 20.0)
    monkeypatch.setattr("runtime.fleet.fetch.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with dripping(b"x" * 20_000) as address, pytest.raises(FleetError, match=r"too slow: \d+ bytes in \d+ s, expected"):
        PackageSource(address).small("release.signed", 2**20)


def test_a_server_whose_answer_does_not_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BEGIN_S", 0.2)
    monkeypatch.setattr(fetch, "TIMEOUT_S", 20.0)
    with dripping(b"", b"HTTP/1.0 200 OK\r\n") as address, pytest.raises(FleetError, match=r"no answer in 0\.2 s"):
        PackageSource(address).small("release.signed", 2**20)
