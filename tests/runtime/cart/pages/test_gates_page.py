"""Gates on the result page, in a browser: by touch and by keyboard, with their words, and refused with words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.errors import EngineError
from runtime.explanation import WORDS
from tests.runtime.cart.pages.browsing import holds, opened, says
from tests.runtime.cart.pages.test_pages import violations
from tests.runtime.cart.quick import Quick, quick
from tests.runtime.test_explain import Telling

pytestmark = [pytest.mark.system, pytest.mark.slow]
GATES = '[data-k="layer gates"]'


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart"), engine=Telling()) as made:
        made.open_exam()
        made.capture("OD", "nasal")
        made.capture("OS", "temporal")
        yield made


def test_gates_by_touch_and_keyboard_with_their_words(browser: Any, cart: Quick) -> None:
    page = opened(browser, f"{cart.server.url}#result")
    page.locator(GATES).click()
    page.wait_for_selector(".gates img.whole")
    holds(page, "document.querySelector('.gates img').naturalWidth > 400")
    word = cart.exam()["captures"][1]["outcome"].replace("_", " ")
    says(page, '[data-k="shot 2"] .tag', word)
    holds(page, f"document.querySelector('.gates img').alt === 'OS temporal: {word}, With gates'")
    says(page, ".gates", WORDS)
    says(page, ".gates", "Log-odds for referral 3.00 = 0.00 without both branches, 1.50")
    page.wait_for_selector(f'{GATES}[aria-pressed="true"]')
    assert violations(page) == []

    page.locator('[data-k="shot 1"]').focus()  # another picture's gates, by keyboard
    page.keyboard.press("Enter")
    holds(page, "document.querySelector('.gates img')?.alt.startsWith('OD nasal')")
    page.locator('[data-k="layer image"]').focus()
    page.keyboard.press("Enter")
    holds(page, "!document.querySelector('.gates')")
    page.locator(GATES).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".gates img.whole")
    holds(page, "document.activeElement.dataset.k === 'layer gates'")

    page.set_viewport_size({"width": 390, "height": 844})
    holds(page, "document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert violations(page) == []
    page.context.close()


def test_gates_that_cannot_be_had_are_refused_with_words(browser: Any, cart: Quick) -> None:
    assert isinstance(cart.engine, Telling)
    page = opened(browser, f"{cart.server.url}#result")
    cart.engine.failure = EngineError("no account of its branches")
    page.locator(GATES).click()
    page.wait_for_selector(".look [role=alert]")
    says(page, ".look [role=alert]", "no account of its branches")
    assert violations(page) == []
    cart.engine.failure = None
    page.locator(GATES).click()  # asked again
    page.wait_for_selector(".gates img.whole")
    page.context.close()


def test_a_refer_that_a_person_excluded_is_said_wherever_the_exam_ends(browser: Any, cart: Quick) -> None:
    exam = cart.exam()["exam"]
    cart.done(f"exams/{exam}/captures/1/exclude", {"reason": "artefact"})
    said = "frame 1, OD nasal: read as REFER, excluded by a person"
    page = opened(browser, f"{cart.server.url}#result")
    says(page, '[data-k="shot 1"] .tag', "excluded, read as REFER")
    again = page.get_by_role("button", name="Exclude, as a second person")
    holds(page, "document.querySelector('[data-k=\"shot 2\"]')")
    page.locator('[data-k="shot 2"]').click()
    page.locator('[data-k="shot 1"]').click()
    again.wait_for()
    page.locator('[data-k="shot 2"]').click()
    again.wait_for(state="detached")  # nobody excluded it
    holds(page, "document.querySelector('[data-k=\"shot 2\"] .tag').textContent.split(' ')[1] === 'REFER'")
    page.get_by_role("button", name="Close the exam").click()
    says(page, "dialog[open]", said)
    assert violations(page) == []
    page.locator("dialog button.main").click()
    holds(page, "!document.querySelector('dialog')")
    page.evaluate("location.hash = 'today'")
    says(page, f'[data-k="{exam}"]', said)
    assert violations(page) == []
    assert [one["warnings"] for one in cart.get("exams").json()["exams"]] == [[said]]
    page.context.close()
