"""The page while things break: it says so, loses nothing, invents nothing, and goes on afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart import cart as cart_module
from runtime.cart.demo.parts import CLINICIAN, PIN, TECHNICIAN
from runtime.cart.room import Room
from runtime.cart.watch import Watch
from runtime.exam.journal import Journal
from runtime.exam.journal.verify import verify
from runtime.views import Eye
from tests.runtime.cart.pages.browsing import PATIENCE_MS, go, holds, opened, says
from tests.runtime.cart.quick import KEY, Quick, quick
from tests.runtime.cart.test_clock import NOON, Wall
from tests.runtime.cart.test_killed import Served

pytestmark = [pytest.mark.system, pytest.mark.slow]
SAYS_SO = "[...document.querySelectorAll('.notices .bad')].some(e => e.textContent.includes('does not answer'))"


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart")) as made:
        made.open_exam()
        yield made


def test_a_page_that_is_loaded_anew_in_the_middle_of_a_capture_shows_it_and_its_outcome(
    browser: Any, cart: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(browser, f"{cart.server.url}#capture")
    frame, go, began = Room._frame, threading.Event(), threading.Event()

    def slow(room: Room, eye: Eye) -> Any:
        began.set()
        go.wait(300)
        return frame(room, eye)

    monkeypatch.setattr(Room, "_frame", slow)
    page.keyboard.press("r")
    page.wait_for_selector(".aimed")
    before = len(cart.exam()["captures"])
    page.locator("button.capture").click()
    assert began.wait(300)
    page.reload()
    page.wait_for_selector(".capture-screen")
    holds(page, "document.querySelector('.wait').textContent === 'Taking the picture'")
    holds(page, "document.querySelector('button.capture').disabled")
    go.set()
    holds(page, f"document.querySelectorAll('.strip .shot').length === {before + 1}")
    holds(page, "document.querySelector('.wait').textContent === ''")
    says(page, ".side .banner", "this picture")
    page.context.close()


def test_a_second_tab_cannot_take_for_an_eye_that_it_does_not_show(browser: Any, cart: Quick) -> None:
    first = opened(browser, f"{cart.server.url}#capture")
    second = opened(browser, f"{cart.server.url}#capture", first.context)
    first.keyboard.press("r")
    holds(first, "document.querySelector('.aimed')?.textContent.startsWith('OD')")
    holds(second, "document.querySelector('.aimed')?.textContent.startsWith('OD')")
    second.route("**/api/1/state", lambda route: route.abort())  # hears nothing more
    first.keyboard.press("l")
    holds(first, "document.querySelector('.aimed').textContent.startsWith('OS')")
    before = len(cart.exam()["captures"])
    button = second.locator("button.capture")
    for _ in range(2):  # again: the button comes back although nothing of the cart's state does
        with second.expect_response("**/api/1/capture", timeout=PATIENCE_MS):
            button.click()
        says(second, ".wait", "the screen showed OD")
    cart.cart.events.tell("state")
    cart.cart.events.tell("foot_switch")  # seen after it
    says(second, ".wait", "Foot switch")
    button.click()
    says(second, ".wait", "the screen showed OD")
    assert len(cart.exam()["captures"]) == before
    first.context.close()


@pytest.mark.parametrize(
    ("user", "screens"),
    [("demo", 5), (CLINICIAN, 5), (TECHNICIAN, 1)],
)
def test_each_role_sees_its_own_screens(browser: Any, cart: Quick, user: str, screens: int) -> None:
    page = browser.new_context(locale="en").new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(cart.server.url)
    page.wait_for_selector("#pin")
    page.select_option("#user", user)
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    holds(page, f"document.querySelectorAll('nav a').length === {screens}")
    if user == TECHNICIAN:
        says(page, "nav a.here", "Service")
        holds(page, "!document.body.innerText.includes('Quick')")
        page.evaluate("location.hash = 'result'")
        page.wait_for_timeout(300)
        says(page, "nav a.here", "Service")
    else:
        go(page, "result")
        page.wait_for_selector(".eyes")
        asked = f"document.body.innerText.includes('Findings of a clinician') === {str(user == CLINICIAN).lower()}"
        holds(page, asked)
    page.context.close()


def test_a_server_that_is_killed_is_said_at_once_and_the_exam_goes_on_with_the_next(
    browser: Any, tmp_path: Path
) -> None:
    served = Served(tmp_path)
    try:
        served.start()
        served.open_exam()
        served.aim("OD", "nasal")
        first = served.press().json()["capture"]
        page = opened(browser, f"http://127.0.0.1:{served.port}/#capture")
        page.wait_for_selector(".strip .shot")
        page.evaluate(
            "window.lived = 0; setInterval(() => { window.lived += 50 }, 50);"  # what a busy machine gives it of time
            "new MutationObserver(() => { if (!window.saidAt && " + SAYS_SO + ") window.saidAt = window.lived; })"
            ".observe(document.body, {childList: true, subtree: true, characterData: true})"
        )
        served.kill()
        killed_at = page.evaluate("window.lived")
        holds(page, SAYS_SO)
        assert page.evaluate("window.saidAt") - killed_at < 5_000  # a quiet machine's is under 1 s
        served.start()
        page.wait_for_selector("#pin")
        page.fill("#pin", PIN)
        page.keyboard.press("Enter")
        page.wait_for_selector(".strip .shot")
        holds(page, "document.querySelectorAll('.strip .shot').length === 1")
        says(page, ".side .banner", first["banner"])
        page.keyboard.press("r")
        page.wait_for_selector(".aimed")
        page.locator("button.capture").click()
        holds(page, "document.querySelectorAll('.strip .shot').length === 2")
        page.context.close()
    finally:
        served.kill()
        served.client.close()


JUMP = """ms => {
  const Real = window.RealDate = window.RealDate || Date;
  window.Date = class extends Real {
    constructor(...given) { if (given.length) super(...given); else super(Real.now() + ms); }
    static now() { return Real.now() + ms; }
  };
}"""
FRESH = "document.querySelector('.stale').hidden && Number(document.querySelector('canvas').dataset.number)"


def test_an_exam_goes_on_in_the_browser_over_jumps_of_its_clock_and_of_the_carts(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall()
    monkeypatch.setattr(cart_module, "Watch", lambda: Watch(clock=wall.now))

    def journal() -> Journal:
        return Journal.open(tmp_path / "journal", KEY, create=True, clock=wall.now)

    with quick(tmp_path, open_journal=journal) as cart:
        cart.open_exam()
        context = browser.new_context(locale="en", timezone_id="Pacific/Auckland")
        page = opened(browser, f"{cart.server.url}#capture", context)
        page.keyboard.press("r")
        page.wait_for_selector(".aimed")
        jumps = [timedelta(hours=-3), timedelta(days=400), timedelta(0)]
        for taken, jump in enumerate(jumps, 1):  # of the browser's clock: nothing is seen of it
            page.evaluate(JUMP, jump / timedelta(milliseconds=1))
            shown = page.evaluate("Number(document.querySelector('canvas').dataset.number || 0)")
            holds(page, f"{FRESH} > {shown + 2}")
            page.locator("button.capture").click()
            holds(page, f"document.querySelectorAll('.strip .shot').length === {taken}")
            holds(page, "!document.querySelector('button.capture').disabled")
            holds(page, "!document.querySelector('.notices .bad')")  # for a moment a busy machine's page says more
            stored = datetime.fromisoformat(cart.exam()["captures"][-1]["captured_at"])
            assert abs(stored - datetime.now().astimezone()) < timedelta(minutes=30)  # by the cart's clock
        go(page, "result")
        page.wait_for_selector(".eyes")
        hour = f"{datetime.fromisoformat(cart.exam()['opened_at']):%H:%M}"
        says(page, "main", hour)  # in the cart's zone
        go(page, "capture")
        page.wait_for_selector(".capture-screen")
        for taken, (ahead, said) in enumerate(((-3, "behind the newest entry"), (30, "h forward")), 4):
            wall.set(NOON + timedelta(hours=ahead))  # of the cart's: said, and the exam goes on
            holds(page, f"[...document.querySelectorAll('.notices .bad')].some(e => e.textContent.includes('{said}'))")
            holds(page, f"{FRESH} > 0")
            holds(page, "!document.querySelector('button.capture').disabled")
            page.locator("button.capture").click()
            holds(page, f"document.querySelectorAll('.strip .shot').length === {taken}")
        shown_to_all = [one["outcome"] for one in cart.exam()["captures"]]
        page.context.close()
    with journal() as kept:
        assert verify(kept).findings == ()
        (line,) = kept.exams()
        assert [one.outcome.value for one in kept.exam(line.exam_id).captures] == shown_to_all
