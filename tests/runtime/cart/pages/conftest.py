"""A cart and a browser, for the tests of the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.runtime.cart.driving import Driver, driven

CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
"""The first is the same engine without windows: a new page costs it a third."""
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright, whose event loop must not outlive this file: others run their own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="tests of the pages need playwright (extra `test`)")
    pytest.importorskip("axe_playwright_python.base", reason="tests of the pages need axe (extra `test`)")
    if CHROMIUM is None:
        pytest.skip("not installed: chromium (Debian: chromium-headless-shell)")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield started
        started.close()


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A cart on simulated parts."""
    with driven(tmp_path_factory.mktemp("cart")) as driver:
        yield driver


@pytest.fixture
def page(browser: Any, cart: Driver) -> Iterator[Any]:
    """A fresh browser at the sign-in; what its scripts complain of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    page = context.new_page()
    page.set_default_timeout(300_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(cart.server.url)
    page.wait_for_selector("#pin")
    yield page
    context.close()
    assert errors == []
