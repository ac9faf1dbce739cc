"""What only a technician needs of an error is behind one touch, on every screen the same."""

from __future__ import annotations

import json
from typing import Any

from runtime.cart.demo.parts import PIN
from tests.runtime.cart.driving import Driver
from tests.runtime.cart.pages.browsing import go, holds, says

FULL = "journal /var/lib/rop/journal: 12 MiB left, new exams need 512; free some space, or retire exams"
SHOWN = "12 MiB left, new exams need 512; free some space, or retire exams"


def test_where_a_file_lies_is_shown_to_whoever_asks_for_it(page: Any, cart: Driver) -> None:
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    content = {"status": 507, "title": "disk full", "detail": f"journal: {SHOWN}", "technical": FULL}
    page.route(
        "**/api/1/exams?*", lambda route: route.fulfill(status=507, body=json.dumps(content), content_type="x/json")
    )
    go(page, "today")
    says(page, "main [role=alert]", SHOWN)
    detail = page.locator("details.technical", has_text=FULL)
    assert not page.get_by_text(FULL).is_visible()
    detail.locator("summary").click()
    holds(page, "document.querySelector('details.technical').open")
    assert page.get_by_text(FULL).is_visible()


def test_what_is_said_of_a_part_stays_folded_out_while_the_screen_is_drawn_anew(page: Any, cart: Driver) -> None:
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")

    def answer(route: Any) -> None:
        state = route.fetch().json()
        state["health"][0] |= {"problem": SHOWN, "technical": FULL}
        route.fulfill(json=state)

    page.route("**/api/1/state", answer)
    page.wait_for_selector(".notices details.technical summary")
    page.locator(".notices details.technical summary").click()
    page.evaluate("document.querySelector('.notices').dataset.drawn = 'before'")
    page.wait_for_timeout(2500)  # the bars are drawn anew every second
    assert page.locator(".notices details.technical[open]").count() == 1
