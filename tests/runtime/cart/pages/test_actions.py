"""How many touches a first exam takes: sign-in to closed exam, ten views, three pictures that go wrong on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import PIN
from tests.runtime.cart.driving import VIEWS
from tests.runtime.cart.pages.browsing import holds, says
from tests.runtime.cart.pages.test_pages import violations
from tests.runtime.cart.pages.test_states import item
from tests.runtime.cart.quick import quick

pytestmark = [pytest.mark.system, pytest.mark.slow]
MOST = 40
BY_HAND = {"infant_id": "f-1", "name": "First^Ina", "born_day": "2026-10-18"}
BY_HAND |= {"gestational_age": "27w3d", "birth_weight_g": "980"}
WRONG = {("OD", "temporal"), ("OD", "superior"), ("OS", "nasal")}


class Person:
    """Somebody with gloves: each touch, and each field that is filled, is an action."""

    def __init__(self, page: Any) -> None:
        self.page, self.actions = page, 0

    def touches(self, selector: str, text: str = "") -> None:
        """Only what is there to be touched."""
        found = self.page.locator(selector).filter(has_text=text) if text else self.page.locator(selector)
        found.first.click()
        self.actions += 1

    def fills(self, selector: str, text: str) -> None:
        """A field."""
        self.page.fill(selector, text)
        self.actions += 1


def test_a_first_exam_takes_at_most_forty_actions(browser: Any, tmp_path: Path) -> None:
    with quick(tmp_path, ordering=lambda: [item("F-1", "First^Ina")]) as cart:
        page = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en").new_page()
        page.set_default_timeout(300_000)
        page.goto(cart.server.url)
        page.wait_for_selector("#pin")
        person = Person(page)
        person.fills("#pin", PIN)
        person.touches("button[type=submit]")
        person.touches(".row")
        person.fills("#f-gestational_age", "27w3d")
        person.fills("#f-birth_weight_g", "980")
        person.touches("#band")
        person.touches("dialog button.main")
        page.wait_for_selector(".capture-screen")
        taken = 0
        for eye in ("OD", "OS"):
            for view in VIEWS:
                person.touches(f"[data-k='{eye} {view}']")
                holds(page, f"document.querySelector('.aimed')?.textContent === '{eye} {view}'")
                for dark in (True, False) if (eye, view) in WRONG else (False,):
                    cart.dark[0] = dark
                    person.touches("button.capture")
                    taken += 1
                    holds(page, f"document.querySelectorAll('.strip .shot').length === {taken}")
                    status = "retake" if dark else "taken"
                    holds(page, f"!!document.querySelector('[data-k=\"{eye} {view}\"].{status}')")
        person.touches(".tools button", "Close the exam")
        says(page, "dialog", "Every view is done.")
        person.touches("dialog button.main")
        page.wait_for_selector(".banner.big.NO_REFERRAL_FINDINGS")
        says(page, ".banner.big", "continue the scheduled examinations")
        assert person.actions <= MOST, person.actions
        assert person.actions == 7 + 10 + taken + 2  # nothing was touched that the count leaves out

        page.evaluate("location.hash = 'worklist'")  # the same infant again: it is told, and may be done
        says(page, ".row", "done today")
        says(page, ".row", "NO REFERRAL FINDINGS")
        page.locator(".row").click()
        says(page, "dialog[open]", "this infant has an exam of today already: NO REFERRAL FINDINGS")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Enter by hand").click()
        for name, text in BY_HAND.items():
            page.fill(f"#f-{name}", text)
        page.locator("#band").click()
        page.locator("dialog button.main").click()
        says(page, "dialog[open]", "this infant has an exam of today already: NO REFERRAL FINDINGS")
        says(page, "dialog[open]", "Press again to open the exam all the same.")
        assert violations(page) == []
        assert not cart.cart.exam_shown()
        page.locator("dialog button.main").click()
        page.wait_for_selector(".capture-screen")
        says(page, ".side [role=alert]", "this infant has an exam of today already: NO REFERRAL FINDINGS")
        page.context.close()
