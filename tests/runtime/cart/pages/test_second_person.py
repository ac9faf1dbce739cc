"""A second person says at Result what one alone said of a frame's place or the exam, where a referral hangs on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN
from runtime.outcome import CHANGED_ALONE, NOT_GRADABLE, VOIDED, VOIDED_ALONE
from tests.runtime.cart.driving import on_screen
from tests.runtime.cart.pages.browsing import holds, opened, says
from tests.runtime.cart.quick import Quick, quick

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def cart(tmp_path: Any) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        made.open_exam()
        made.capture("OD", "disc-centred")
        yield made


def four_alike(cart: Quick) -> None:
    """Four pictures as of the nasal view, which show the disc-centred one's place."""
    for _ in range(4):
        cart.aim("OD", "nasal")
        cart.place[0] = 0
        cart.done("capture", on_screen(cart.exam()))


def four_dark(cart: Quick) -> None:
    """Four pictures of the nasal view that cannot be graded; the first picture is one of its own, as it turns out."""
    cart.dark[0] = True
    for _ in range(4):
        cart.capture("OD", "nasal")


@pytest.mark.parametrize(
    ("spoil", "act", "body", "button"),
    [
        pytest.param(four_alike, "confirm", {}, "It is another view, as a second person", id="confirmed"),
        pytest.param(
            four_dark,
            "relabel",
            {"eye": "OD", "view": "disc-centred"},
            "The label is right, as a second person",
            id="moved",
        ),
    ],
)
def test_a_referral_goes_when_the_second_person_says_so_at_the_cart(
    browser: Any, cart: Quick, spoil: Any, act: str, body: dict[str, str], button: str
) -> None:
    spoil(cart)
    exam = cart.exam()["exam"]
    nasal = cart.get(f"exams/{exam}").json()["eyes"]["OD"]["views"]["nasal"]
    assert (nasal["outcome"], nasal["reason"]) == ("REFER", NOT_GRADABLE)
    cart.done(f"exams/{exam}/captures/5/{act}", {**body, "reason": "as I remember"})
    nasal = cart.get(f"exams/{exam}").json()["eyes"]["OD"]["views"]["nasal"]
    assert (nasal["outcome"], nasal["reason"]) == ("REFER", CHANGED_ALONE)
    same = cart.post(f"exams/{exam}/captures/5/{act}", {**body, "reason": "as I remember"})
    assert same.status_code == 409
    assert "a second one has to look at it" in same.json()["detail"]
    page = opened(browser, f"{cart.server.url}#result", user=CLINICIAN)
    says(page, ".banner", "Refer: examination by an ophthalmologist needed")
    says(page, ".banner .reason", CHANGED_ALONE)
    page.locator('[data-k="shot 5"]').click()
    page.get_by_role("button", name=button).click()
    page.get_by_role("button", name="looked at, it shows that").click()
    page.locator("dialog button.main").click()
    holds(page, "!document.querySelector('dialog')")
    page.get_by_role("button", name=button).wait_for(state="detached")
    found = cart.get(f"exams/{exam}").json()
    assert found["eyes"]["OD"]["views"]["nasal"]["outcome"] != "REFER"
    assert found["changes"][-1]["what"].endswith("as a second person says, too" if body else "by a second person, too")
    page.context.close()


def test_an_exam_that_refers_is_voided_when_the_second_person_voids_it_at_the_cart(browser: Any, cart: Quick) -> None:
    four_dark(cart)
    exam = cart.exam()["exam"]
    told = cart.done(f"exams/{exam}/void", {"reason": "wrong infant"})
    assert (told["outcome"], told["reason"], told["voided"]) == ("REFER", VOIDED_ALONE, False)
    assert cart.exam() == {}
    same = cart.post(f"exams/{exam}/void", {"reason": "wrong infant"})
    assert same.status_code == 409
    assert "a second one has to look at it" in same.json()["detail"]
    page = opened(browser, f"{cart.server.url}#result/{exam}", user=CLINICIAN)
    says(page, ".banner", "Refer: examination by an ophthalmologist needed")
    says(page, ".banner .reason", VOIDED_ALONE)
    page.get_by_role("button", name="Void the exam, as a second person").click()
    page.get_by_role("button", name="wrong infant").click()
    page.locator("dialog button.main").click()
    holds(page, "!document.querySelector('dialog')")
    says(page, ".banner .reason", VOIDED)
    page.get_by_role("button", name="Void the exam").first.wait_for(state="detached")
    found = cart.get(f"exams/{exam}").json()
    assert (found["outcome"], found["voided"], found["void_awaits_second"]) == ("NO_RESULT", True, False)
    assert found["changes"][-1]["what"] == "exam voided by a second person, too"
    page.context.close()
