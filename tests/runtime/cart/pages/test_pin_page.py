"""Changing one's own PIN under Service: asked for twice, and the page asks for the new one at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import PIN, TECHNICIAN
from tests.runtime.cart.pages.browsing import opened, says
from tests.runtime.cart.pages.test_pages import violations
from tests.runtime.cart.quick import Quick, quick

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart")) as made:
        yield made


def test_by_keyboard_with_every_mistake_on_the_way(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#service", user=TECHNICIAN)
    page.get_by_role("button", name="Change my PIN").press("Enter")
    page.wait_for_selector("dialog[open]")
    assert violations(page) == []
    for now, new, again, told in (
        (PIN, "13579", "13570", "not the same both times"),
        ("0000", "13579", "13579", "PIN is wrong"),
        (PIN, PIN, PIN, "choose another"),
        (PIN, "", "", "shorter than 4"),
    ):
        for name, typed in (("now", now), ("next", new), ("again", again)):
            page.fill(f"#pin-{name}", typed)
        page.locator("dialog .main").click()
        says(page, "dialog .message", told)
    for name, typed in (("now", PIN), ("next", "13579"), ("again", "13579")):
        page.fill(f"#pin-{name}", typed)
    page.keyboard.press("Tab")
    page.locator("dialog .main").press("Enter")
    page.wait_for_selector("#pin")
    page.select_option("#user", TECHNICIAN)
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    says(page, ".signin .message", "PIN is wrong")
    page.fill("#pin", "13579")
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    assert "#service" in page.url
