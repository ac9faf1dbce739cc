"""The pages in a real browser: an exam by keyboard alone, every screen for everybody, nothing loaded from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from runtime.cart.demo.parts import PIN, SHOWN, USER
from runtime.cart.server import Address, Server
from runtime.cart.users import SignIn, new_user
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.order import Order
from runtime.exam.report import report_page
from runtime.views import Eye
from tests.runtime.cart.driving import Driver, until
from tests.runtime.cart.pages.browsing import go, holds, says
from tests.runtime.exam.making import NRF, PLACES, REFER, RULES, frame, infant, reading

pytestmark = [pytest.mark.system, pytest.mark.slow]


def sign_in(page: Any) -> None:
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")


@cache
def axe_script() -> str:
    """The library's source."""
    base = import_module("axe_playwright_python.base")
    return Path(str(base.__file__)).with_name("axe.min.js").read_text(encoding="utf-8")


def violations(page: Any) -> list[str]:
    """What axe-core finds, by rule and element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe_script())  # not as a script element: the page's policy allows none but its own
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {node['target']}" for one in found["violations"] for node in one["nodes"]]


def test_an_exam_by_keyboard_alone(page: Any, cart: Driver) -> None:
    assert violations(page) == []
    sign_in(page)
    page.wait_for_selector(".row")
    assert violations(page) == []
    says(page, ".row", "Take care: same surname, same birth date")
    page.locator(".row").nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.fill("#f-gestational_age", "27w3d")
    page.fill("#f-birth_weight_g", "980")
    page.locator("dialog button.main").focus()
    page.keyboard.press("Enter")
    holds(page, "document.querySelector('dialog .message').textContent !== ''")
    says(page, "dialog .message", "wrist band")
    page.locator("#band").focus()
    page.keyboard.press("Space")
    assert violations(page) == []
    page.locator("dialog button.main").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".capture-screen")
    says(page, ".bar .name", "Okafor, Chidi")
    says(page, ".bar", "D-1003")

    page.locator("main").focus()
    page.keyboard.press("Space")
    holds(page, "document.querySelector('.wait').textContent.includes('Choose eye and view')")
    page.keyboard.press("r")
    page.wait_for_selector(".aimed")
    says(page, ".aimed", "OD disc-centred")
    page.keyboard.press("2")
    holds(page, "document.querySelector('.aimed').textContent === 'OD temporal'")
    _press(page, cart, 1)
    page.wait_for_selector(".side .banner.RETAKE")
    says(page, ".side .banner", "Retake: image not gradable - OD temporal, blurred")
    assert violations(page) == []
    _press(page, cart, 2)
    page.wait_for_selector(".side .banner:not(.RETAKE):not(.empty)")
    says(page, "#live", "OD temporal")

    go(page, "result")
    page.wait_for_selector("img.whole")
    assert violations(page) == []
    go(page, "today")
    page.wait_for_selector(".row")
    says(page, ".rows", "Okafor, Chidi")
    assert violations(page) == []
    go(page, "service")
    says(page, "nav a.here", "Service")
    holds(page, "!document.querySelector('main').innerText.includes('Okafor')")
    assert violations(page) == []


def _press(page: Any, cart: Driver, number: int) -> None:
    """Space, again while the flash recharges, until that many pictures were had: a busy machine misses some flashes."""

    def had() -> int:
        return sum("image" in one["pictures"] for one in cart.cart.state()["exam"]["captures"])

    def taken() -> bool:
        holds(page, "!document.querySelector('button.capture').disabled")
        with page.expect_response("**/api/1/capture"):  # so that no second press follows one that is under way
            page.keyboard.press("Space")
        return had() >= number

    until(taken, f"picture {number}")


def test_nothing_is_loaded_from_another_host_and_no_script_is_inline(page: Any, cart: Driver) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page)
    for screen in ("worklist", "result", "today", "service"):
        go(page, screen)
    page.wait_for_timeout(300)
    own = (cart.server.url, cart.server.url.replace("http", "ws"), "blob:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert page.locator("script:not([src])").count() == 0


@pytest.mark.parametrize("language", ["ar", "hi", "es"])
def test_another_language_is_used_everywhere_and_says_that_nobody_reviewed_it(page: Any, language: str) -> None:
    page.select_option("#language", language)
    holds(page, f"document.documentElement.lang === '{language}'")
    holds(page, f"document.documentElement.dir === '{'rtl' if language == 'ar' else 'ltr'}'")
    assert violations(page) == []
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    holds(page, "document.querySelectorAll('.notices .aid').length === 2")
    holds(page, "!document.querySelector('nav').innerText.includes('Worklist')")
    assert violations(page) == []


SAYS = {
    "the worklist has this identifier with another name and birth date; compare with the wrist band again, and correct "
    "the infant where it is a slip": "la lista de trabajo tiene este identificador con otro dato: nombre y fecha de "
    "nacimiento; compare de nuevo con la pulsera y corrija los datos del bebé si es un error",
    "frame 3, OD nasal: read as REFER, excluded by a person": "imagen 3, OD nasal: leída como DERIVAR, excluida por "
    "una persona",
    "OS superior is set now, the screen showed OD inferior; nothing was taken, look again": "ahora está fijado OS "
    "superior, la pantalla mostraba OD inferior; no se tomó nada, mire de nuevo",
    "the disk is full, 12 MiB left: no picture can be kept; free some space, or call the technician": "el disco está "
    "lleno, quedan 12 MiB: no se puede guardar ninguna imagen; libere espacio o llame al técnico",
    "GigE says (no); look at its cable and power": "[GigE says (no)]; revise su cable y su alimentación",
    "GigE says; no": "[GigE says; no]",
}
"""What the server says, and what the page makes of it in Spanish; in brackets what is marked as English."""


def test_sentences_with_values_are_said_in_the_users_language_and_what_is_english_is_marked(page: Any) -> None:
    page.select_option("#language", "es")
    holds(page, "document.documentElement.lang === 'es'")
    said = """async (text) => {
      const { h, said } = await import("/pages/dom.js");
      const shown = h("p", {}, said(text));
      for (const one of shown.querySelectorAll("[lang=en]")) one.textContent = `[${one.textContent}]`;
      return shown.textContent;
    }"""
    found = {text: page.evaluate(said, text) for text in SAYS}
    assert found == SAYS


def test_every_screen_fits_a_phone_and_both_touch_screens(page: Any) -> None:
    sign_in(page)
    for screen in ("worklist", "capture", "result", "today", "service"):
        page.evaluate(f"location.hash = '{screen}'")
        page.wait_for_timeout(200)
        for width, height in ((390, 844), (1280, 800), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, (screen, width)
            small = page.evaluate(
                "[...document.querySelectorAll('main button, nav a')].filter(e => e.offsetParent)"
                ".filter(e => e.getBoundingClientRect().height < 40 || e.getBoundingClientRect().width < 40)"
                ".map(e => e.textContent)"
            )
            assert small == [], (screen, width)


def test_a_name_with_markup_stays_text(page: Any, cart: Driver) -> None:
    cart.sign_in()
    exam = cart.state()["exam"]
    if exam:
        cart.done(f"exams/{exam['exam']}/close")
    infant = {"infant_id": "X-1", "name": "<b>Bold</b>^<script>document.title='x'</script>", "sex": ""}
    infant |= {"born_at": "2026-10-18T00:00", "gestational_age": "27w3d"}
    opened = cart.done("exams", {"infant": {**infant, "birth_weight_g": 980}, "wrist_band_checked": True})
    sign_in(page)
    page.wait_for_selector(".bar .name")
    says(page, ".bar .name", "<b>Bold</b>")
    assert page.title() != "x"
    cart.done(f"exams/{opened['exam']}/close")


def test_a_lost_camera_is_said_on_every_screen(page: Any, cart: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    from device.errors import Disconnected
    from runtime.cart.demo.camera import PosedCamera

    def unplugged(self: PosedCamera) -> None:
        raise Disconnected("the cable is out")

    sign_in(page)
    monkeypatch.setattr(PosedCamera, "read", unplugged)
    holds(page, "[...document.querySelectorAll('.notices .bad')].some((one) => one.innerText.includes('camera'))")
    monkeypatch.undo()
    until(lambda: not cart.cart.health()[1]["problem"], "the camera is back")
    holds(page, "!document.querySelector('.notices .bad')")


def test_a_server_that_ends_is_said_and_the_page_goes_on_when_another_is_there(page: Any, cart: Driver) -> None:
    sign_in(page)
    holds(page, "!document.querySelector('.notices .bad')")
    address = Address(port=int(cart.server.url.rsplit(":", 1)[1].strip("/")))
    cart.server.__exit__()
    try:
        page.wait_for_selector(".notices .bad")
        says(page, ".notices", "does not answer")
    finally:
        cart.server = Server(cart.cart, SignIn((new_user(USER, SHOWN, PIN),)), address).__enter__()
    page.wait_for_selector("#pin")  # its sessions are gone: sign in anew, the exam is as it was
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    cart.server.__exit__()


LONG = "Wolfeschlegelsteinhausenbergerdorff" * 3


def an_exam(folder: Path) -> str:
    """The report of an exam with all that there can be, in words that no line holds."""
    with Journal.open(folder, JournalKey(bytes(32)), create=True, floor_bytes=0) as journal:
        who = infant(name=f"{LONG}^{LONG}=山田^太郎", infant_id="9" * 64, sex="F")
        order = Order("ACC-2026-1234567", "1.2.3", "RP-1", "S-1", "", LONG)
        exam_id = journal.begin_exam(who, RULES, operator=LONG[:63], station=LONG[:63], order=order)
        for number, (eye, view) in enumerate(PLACES):
            shot = frame(number, 256)
            captured = journal.add_capture(exam_id, eye, view, shot, operator="anna")
            told = reading(shot, REFER if number % 4 == 0 else NRF)
            journal.add_reading(
                exam_id, captured, replace(told, reason=f"{told.reason} {LONG}" if number == 4 else told.reason)
            )
        journal.document(exam_id, EyeFindings(Eye.OD, "II", stage="2", note=LONG), clinician="dr")
        journal.exclude(exam_id, 2, reason="lid in the picture", operator="anna")
        journal.close_exam(exam_id, operator="anna")
        return report_page(journal, exam_id)


def test_the_report_reads_at_390_pixels_and_prints_on_one_sheet(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=2)
    try:
        page = context.new_page()
        page.set_content(an_exam(tmp_path))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        beyond = "[...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 390.5)"
        assert page.evaluate(f"{beyond}.map(e => e.outerHTML.slice(0, 80))") == []
        small = "[...document.body.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).fontSize) < 9)"
        assert page.evaluate(f"{small}.length") == 0
        assert violations(page) == []
        sheets = re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="A4", print_background=True))
        assert len(sheets) == 1
    finally:
        context.close()
