"""What callers make the web server say: one line a minute of each kind, by itself and in the server."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.web import log as log_module
from runtime.cart.web.log import EVERY_S, Sparing
from tests.runtime.cart.driving import PATIENCE_S
from tests.runtime.cart.quick import quick

CALLS = 40
MALFORMED = (
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \x1b[2J\r\nBad\r\n\r\n",
    b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: nothing\r\nConnection: upgrade\r\n\r\n",
)


def test_each_kind_is_said_once_a_minute_with_how_many_were_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    handler = Sparing(lambda: now[0])
    logger = logging.Logger("a caller's")
    logger.addHandler(handler)

    def one(text: str) -> None:
        logger.warning(text)

    for number in range(1000):
        one(f"from {number}\x1b[2J")
    logger.error("another kind")
    logger.info("nothing to see")
    now[0] = EVERY_S
    one("again\nand a second line")
    assert capsys.readouterr().err.splitlines() == [
        "runtime.cart: web: from 0\N{REPLACEMENT CHARACTER}[2J",
        "runtime.cart: web: another kind",
        "runtime.cart: web: again (999 more since the last one)",
        "runtime.cart: web: and a second line",
    ]


def test_malformed_requests_fill_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_module._SPARING, "_said", {})
    with quick(tmp_path) as cart:
        port = int(cart.server.url.rsplit(":", 1)[1].strip("/"))
        for said in MALFORMED * CALLS:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as caller:
                caller.sendall(said)
                caller.recv(1 << 16)
    told = capfd.readouterr().err
    lines = [line for line in told.splitlines() if line]
    assert any("Invalid HTTP request" in line for line in lines)
    assert len(lines) <= 2 * len(MALFORMED)
    assert "\x1b" not in told
