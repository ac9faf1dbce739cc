"""What a page shows before it asks: an outcome at once. What it asks by itself: no user is kept by an idle screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from tests.runtime.cart.driving import until
from tests.runtime.cart.pages.browsing import PATIENCE_MS, gone, holds, opened, says, unanswered
from tests.runtime.cart.quick import Quick, quick
from tests.runtime.cart.web.test_locking import sessions_of

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def cart(tmp_path: Any) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        made.open_exam()
        yield made


def test_an_outcome_is_on_screen_before_anything_is_asked_anew(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#capture")
    cart.aim("OS", "superior")
    holds(page, "document.querySelector('.aimed')?.textContent === 'OS superior'")
    with unanswered(page, "**/api/1/state"):
        told = cart.press().json()["capture"]
        says(page, ".side .banner", "OS superior: NO REFERRAL FINDINGS")
        assert page.locator(".strip .shot").count() == 0  # what the state tells is not there yet
    holds(page, "document.querySelectorAll('.strip .shot').length === 1")
    says(page, ".side .banner", "OS superior: NO REFERRAL FINDINGS")
    assert told["number"] == 1
    page.context.close()


def test_keys_pressed_before_the_cart_answered_end_at_the_last(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#capture")
    cart.aim("OD", "disc-centred")
    holds(page, "document.querySelector('.aimed')?.textContent === 'OD disc-centred'")
    held: list[Any] = []
    over: list[bool] = []
    page.route("**/api/1/aim", lambda route: route.continue_() if over else held.append(route))
    page.keyboard.press("2")
    page.keyboard.press("l")
    until(lambda: bool(held) or page.wait_for_timeout(50), "the first is asked")
    page.wait_for_timeout(300)
    over.append(True)
    for route in reversed(held):  # whatever is asked at once arrives the other way round
        with page.expect_response("**/api/1/aim"):
            route.continue_()
    holds(page, "document.querySelector('.aimed')?.textContent === 'OS temporal'")
    page.context.close()


def test_an_idle_screen_that_asks_by_itself_locks_and_one_that_is_used_does_not(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#today")
    page.wait_for_selector(".row")
    with page.expect_request("**/api/1/here", timeout=PATIENCE_MS):
        page.keyboard.press("Tab")
    sessions_of(cart).idle_s = 10  # the page asks every four seconds
    page.wait_for_selector("#pin", timeout=PATIENCE_MS)
    gone(page, ".row")
    page.context.close()
