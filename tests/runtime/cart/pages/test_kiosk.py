"""The kiosk's browser, with the flags that its unit has: the session's cookie is the cart's port's alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runtime.cart.units import CartUnitOptions, units
from tests.runtime.cart.driving import Driver
from tests.runtime.cart.pages.browsing import opened
from tests.runtime.cart.pages.conftest import CHROMIUM, QUIET


def flags() -> list[str]:
    """Those of the unit that can be tried without a screen."""
    kiosk = units(CartUnitOptions(Path("p"), Path("c"), Path("s"), "http://127.0.0.1:8420/"))["rop-kiosk.service"]
    [start] = [line for line in kiosk.splitlines() if line.startswith("ExecStart=")]
    given = [word for word in start.split() if word.startswith("--enable-features=")]
    assert given, "the kiosk binds no cookie to its port"
    return given


@contextmanager
def another_program() -> Iterator[tuple[str, list[str | None]]]:
    """Its address on the cart's own host, and each cookie that it is sent."""
    sent: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("Cookie"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/1/state", sent
        server.shutdown()


def test_no_other_program_of_the_machine_is_sent_the_session_of_the_kiosks_browser(cart: Driver) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `test`)")
    if CHROMIUM is None:
        pytest.skip("not installed: chromium (Debian: chromium-headless-shell)")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with another_program() as (address, sent), playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox, *flags()])
        page = opened(browser, cart.server.url)
        [cookie] = page.context.cookies(cart.server.url)
        assert cookie["name"] == "rop_session"
        page.goto(address)
        page.goto(cart.server.url)
        page.wait_for_selector("nav")  # of the cart it is still the session
        browser.close()
    assert sent
    assert set(sent) == {None}
