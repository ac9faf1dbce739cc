"""What whoever is at the screen may rely on: a press is of what was chosen, the page stays, and comes whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.web.sessions import MOST_SESSIONS
from tests.runtime.cart.driving import until
from tests.runtime.cart.pages.browsing import holds, opened, says, unanswered
from tests.runtime.cart.quick import Quick, quick

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        made.open_exam()
        yield made


def test_a_press_before_the_cart_took_the_choice_is_of_what_was_chosen(browser: Any, cart: Quick) -> None:
    """The press could be taken before the choice: then the picture was of the view before."""
    page = opened(browser, f"{cart.server.url}#capture")
    cart.aim("OD", "disc-centred")
    holds(page, "document.querySelector('.aimed')?.textContent === 'OD disc-centred'")
    page.evaluate("() => { const now = performance.now(); window.later = 0; performance.now = () => now + later }")
    with unanswered(page, "**/api/1/aim"):
        page.locator("[data-k='OS nasal']").click()
        page.locator("button.capture").click()
        page.wait_for_timeout(300)
        assert cart.exam()["captures"] == []
    says(page, ".side .banner", "OS nasal: NO REFERRAL FINDINGS")
    assert [(one["eye"], one["view"]) for one in cart.exam()["captures"]] == [("OS", "nasal")]

    with unanswered(page, "**/api/1/aim"):
        page.locator("[data-k='OS inferior']").click()
        page.locator("button.capture").click()
        page.evaluate("later = 2500")  # the infant has moved on
    says(page, ".side .wait", "the cart was busy as the button was pressed; nothing was taken, press again")
    holds(page, "document.querySelector('.aimed').textContent === 'OS inferior'")
    holds(page, "!document.querySelector('button.capture').disabled")

    held: list[Any] = []  # what the cart never hears of takes no picture
    page.route("**/api/1/aim", lambda route: held.append(route))
    page.locator("[data-k='OD inferior']").click()
    page.locator("button.capture").click()
    until(lambda: bool(held) or page.wait_for_timeout(50), "it is asked")
    held[0].abort()
    says(page, ".side .wait", "the cart does not answer")
    holds(page, "!document.querySelector('button.capture').disabled")
    assert len(cart.exam()["captures"]) == 1
    page.context.close()


def test_whoever_signs_in_without_end_puts_no_page_out(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#capture")
    holds(page, "!!document.querySelector('.capture-screen') && !document.querySelector('.notices .bad')")
    for _ in range(MOST_SESSIONS + 4):
        cart.client.cookies.clear()
        cart.sign_in()
    with page.expect_response("**/api/1/state") as answered:
        cart.aim("OS", "superior")
    assert answered.value.status == 200
    holds(page, "document.querySelector('.aimed')?.textContent === 'OS superior'")
    page.context.close()


@pytest.mark.parametrize("part", ["start.js", "dom.js", "screens/result.js"])
def test_a_page_of_which_a_part_did_not_come_is_loaded_anew(browser: Any, cart: Quick, part: str) -> None:
    """The cart is killed while its page is loaded: nobody at a kiosk has a key to load it anew with."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en").new_page()
    page.set_default_timeout(300_000)
    page.route(f"**/pages/{part}", lambda route: route.abort(), times=1)
    page.goto(cart.server.url)
    if part == "start.js":  # what would do it is what did not come
        page.locator("a.again").click()
    page.wait_for_selector("#pin")
    assert page.locator("#starting").count() == 0
    page.context.close()
