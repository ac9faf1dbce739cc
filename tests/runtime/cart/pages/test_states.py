"""Every screen in every state: nothing for axe-core to find, nothing wider than the screen, what is wrong is said.

With ROP_SCREENS=FOLDER each is kept there as a picture, to be looked at.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.live import LiveReader
from runtime.bundles import actions
from runtime.bundles.actions import Means
from runtime.bundles.store import Slots
from runtime.cart import shelf as shelf_module
from runtime.cart.demo.parts import PIN, TECHNICIAN
from runtime.cart.room import Room
from runtime.cart.shelf import Shelf
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.trial import ARCHIVE_AE, CART_AE, Hospital
from runtime.dicom.worklist import WorklistItem, query_worklist
from runtime.exam.journal import Journal
from runtime.trust.site import Site
from runtime.views import Eye
from tests.runtime.bundles.making import WORKS, bundle_folder
from tests.runtime.cart.driving import VIEWS, until
from tests.runtime.cart.pages.browsing import go, gone, holds, opened, says, unanswered
from tests.runtime.cart.pages.test_pages import violations
from tests.runtime.cart.quick import INFANT_FIELDS, Quick, quick
from tests.runtime.cart.test_shelf import OTHER

pytestmark = [pytest.mark.system, pytest.mark.slow]
SIZES = {"wide": (1280, 800), "phone": (390, 844)}
LONGEST = "Wolfeschlegelsteinhausenbergerdorff^Maximiliane Anna Theodora Ma"
ARABIC = "\u0639\u0644\u064a^\u0644\u064a\u0644\u0649"
BROKEN = {
    "light board": "no answer within 500 ms; look at its cable",
    "archive": "archive at 10.0.0.5: connection refused; 3 exams wait, none is lost",
    "drift": "drift: scores moved (KS 0.31); have the technician look at Service",
    "profile": "the site's profile expired on 2026-11-01; have a new one signed",
}


def item(identifier: str, name: str, birth: str = "20261018", time: str = "0900") -> WorklistItem:
    """A line of the worklist."""
    return WorklistItem(
        patient_id=identifier,
        patient_name=name,
        birth_date=birth,
        sex="F",
        accession=f"A-{identifier}",
        study_uid=f"2.25.{sum(map(ord, identifier))}",
        requested_procedure_id=f"P-{identifier}",
        step_id=f"S-{identifier}",
        description="ROP screening",
        scheduled=f"20261128 {time}00",
        station_ae_title="",
        referring_physician="",
    )


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    listed: list[Any] = []
    with quick(tmp_path_factory.mktemp("cart"), ordering=lambda: listed, broken=dict.fromkeys(BROKEN, "")) as made:
        made.listed = listed  # type: ignore[attr-defined]
        yield made


@pytest.fixture(scope="module")
def page(browser: Any, cart: Quick) -> Iterator[Any]:
    made = opened(browser, cart.server.url)
    yield made
    made.context.close()


TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


HINTS = "[...document.querySelectorAll('.hint')]"
SAID = f"{HINTS}.reduce((text, one) => text.replace(one.innerText, ''), document.body.innerText)"


def settled(page: Any) -> None:
    """What a screen asks for has come: it says the same at two looks, live hints aside, which never end."""
    looks: list[str] = []

    def same() -> bool:
        looks.append(page.evaluate(SAID))
        return looks[-2:] == [looks[-1]] * 2

    until(lambda: same() or page.wait_for_timeout(80), "two looks alike")


def looked_at(page: Any, name: str, screen: str = "", *words: str) -> None:
    """The screen in both sizes, once it says the words."""
    if screen:
        go(page, screen)
    for said in words:
        says(page, "body", said)
    settled(page)
    folder = os.environ.get("ROP_SCREENS")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(TWO_FRAMES)
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{size}.png")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, (name, size)
        narrow = page.evaluate("document.querySelector('.bar .name')?.getBoundingClientRect().width ?? 999")
        assert narrow >= 60, (name, size)  # a name must not stand one letter below the other
        assert violations(page) == [], (name, size)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_empty(page: Any) -> None:
    looked_at(page, "empty-worklist", "worklist", "Nobody is on the worklist.")
    looked_at(page, "empty-result", "result", "There is no exam to show.")
    looked_at(page, "empty-today", "today", "No exam on this day.")
    looked_at(page, "empty-service", "service", "no picture in the last hour")


def test_twins_a_name_of_64_characters_and_an_arabic_one(page: Any, cart: Quick) -> None:
    listed: list[Any] = cart.listed  # type: ignore[attr-defined]
    listed += [item("T-1", "Rivera^Baby A of Ana"), item("T-2", "Rivera^Baby B of Ana", time="0910")]
    listed += [item("L-1", LONGEST, "20261020"), item("A-1", ARABIC, "20261101")]
    cart.done("worklist/refresh")
    page.evaluate("location.hash = 'worklist'")
    holds(page, "document.querySelectorAll('.row').length === 4")
    looked_at(page, "twins-worklist", "worklist")
    holds(page, "document.body.innerText.split('Take care: same surname, same birth date').length === 1 + 2")
    page.locator(".row").filter(has_text="T-1").click()
    page.wait_for_selector("dialog[open]")
    looked_at(page, "twins-dialog", "", "Take care")
    page.keyboard.press("Escape")
    for number, name in ((1, LONGEST), (2, ARABIC)):
        exam = cart.open_exam(infant_id=f"N-{number}", name=name)
        cart.capture("OD", "disc-centred")
        page.wait_for_selector(".bar .name")
        looked_at(page, f"name-{number}", "capture")
        cart.done(f"exams/{exam}/close")
        looked_at(page, f"name-{number}-result", "result")
    looked_at(page, "names-today", "today")


SCRIPT = '<img src=x onerror="window.harmed=1">'
TURNED = "Abc\u202egnp.exe\u2066 \u200fX"
HOSTILE = {
    "script": (f"{SCRIPT}^<script>window.harmed=1</script>", '"><svg onload=window.harmed=1>'),
    "turned": (f"{TURNED}^\u202dY", "T\u202e-1"),
    "controls": ("Con\x1b[31mtrol^\x07\x08B", "C-1"),
    "64 kB": ("N" * 65_536, "K-1"),
    "16 kB": (f"{'M' * 16_000}^Long", "L-1"),
    "marks": (f"Zal{chr(0x300) * 400}go^Z", "Z-1"),
    "nobody": ("^^^", "N-1"),
    "spaces": ("\u2003" * 60 + "^\u3164", "S-1"),
}
"""Name and identifier of lines of a worklist."""
ROWS = "[...document.querySelectorAll('.row')].map((one) => [one.getBoundingClientRect().height, one.innerText])"


class HostileHospital(Hospital):
    """Answers what no system should: 250 lines, fields that are no text, sequences within sequences."""

    def _worklist(self) -> Iterator[Dataset]:
        usual = list(super()._worklist())
        for number in range(250):
            answer = deepcopy(usual[number % len(usual)])
            names = [*HOSTILE.values(), (f"Many^{number}", f"M-{number}")]
            name, identifier = names[min(number, len(HOSTILE))]
            for keyword, vr, value in (("PatientName", "PN", name), ("PatientID", "LO", identifier)):
                answer[keyword] = DataElement(tag_for_keyword(keyword) or 0, vr, value, validation_mode=IGNORE)
            step = answer.ScheduledProcedureStepSequence[0]
            for keyword, vr, words in (
                ("ScheduledProcedureStepDescription", "LO", f"{SCRIPT} {TURNED}"),
                ("ScheduledStationAETitle", "AE", f"{SCRIPT}\x1b[31m"),
            ):
                step[keyword] = DataElement(tag_for_keyword(keyword) or 0, vr, words, validation_mode=IGNORE)
            answer.RequestedProcedureDescription = ""
            inner = Dataset()
            for _ in range(60):
                inner, outer = Dataset(), inner
                inner.ScheduledProtocolCodeSequence = [outer]
            step.ScheduledProtocolCodeSequence = [inner]
            yield answer


def test_a_hostile_worklist_is_text_that_takes_no_room(page: Any, cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(cart.server.url) else None)
    hospital = HostileHospital(date.today())
    node = {"ae_title": ARCHIVE_AE, "host": "127.0.0.1", "port": hospital.port}
    site = DicomConfig.model_validate({"schema": "rop.dicom/1", "cart": {"ae_title": CART_AE}, "worklist": node})
    assert site.worklist is not None
    peer = site.worklist
    monkeypatch.setattr(cart.cart._worklist, "_ask", lambda: query_worklist(site, peer, day=date.today()))
    try:
        rows = {row["patient_id"]: row for row in cart.done("worklist/refresh")["rows"]}
    finally:
        hospital.close()
    page.evaluate("location.hash = 'worklist'")
    holds(page, "document.querySelectorAll('.row').length === 200")
    looked_at(page, "hostile-worklist", "worklist", "more; search for the name or the identifier.")
    page.fill("#search", "K-1")
    holds(page, "document.querySelectorAll('.row').length === 1")
    says(page, ".row", "Could not be read: name")  # 64 kB are no name
    for name, (_, identifier) in HOSTILE.items():
        page.fill("#search", "svg onload" if name == "script" else identifier)
        for height, text in page.evaluate(ROWS):
            assert height < 400, name
            assert not set(text) & set("\u202d\u202e\u2066\x1b\x07\x08"), name
    page.fill("#search", "svg onload")
    page.locator(".row").first.click()
    page.wait_for_selector("dialog[open]")
    looked_at(page, "hostile-dialog")
    page.keyboard.press("Escape")
    page.fill("#search", "")
    assert page.evaluate("window.harmed") is None
    assert said == []
    infant = {**INFANT_FIELDS, "infant_id": "K-1"}
    answer = cart.post("exams", {"key": rows["K-1"]["key"], "infant": infant, "wrist_band_checked": True})
    assert (answer.status_code, "could not be read" in answer.json()["detail"]) == (422, True)


def test_exposure_focus_and_gain_are_turned_by_keyboard(browser: Any, tmp_path: Path) -> None:
    config = SimulatedConfig(seed=4, size=(64, 48), fps=15)
    with quick(tmp_path) as turned:
        turned.stop()
        turned.parts = replace(turned.parts, open_camera=lambda: LiveReader(lambda: SimulatedCamera(config), "sim"))
        turned.start()
        turned.sign_in()
        turned.open_exam()
        page = opened(browser, f"{turned.server.url}#capture")
        page.locator("details.camera summary").click()
        page.wait_for_selector("#camera-gain")
        page.focus("#camera-gain")
        page.keyboard.press("End")
        holds(page, "document.querySelector('output[for=camera-gain]').textContent === '24 dB'")
        until(lambda: values(turned)["gain"] == 24, "the camera has it")
        page.focus("#camera-exposure")
        page.keyboard.press("ArrowLeft")
        until(lambda: values(turned)["exposure"] < 20, "and this")
        page.focus("#camera-exposure-auto")
        page.keyboard.press("Space")
        until(lambda: values(turned)["exposure"] == 20, "by the camera itself")
        assert turned.exam()["captures"] == []  # the space bar was the box's
        looked_at(page, "camera-turned", "", "Gain")
        page.context.close()


def values(cart: Quick) -> dict[str, float]:
    return {one["name"]: one["value"] for one in cart.get("camera").json()["controls"]}


ALL = "document.querySelectorAll('button, a, input, img')"
PRESSED = {
    "worklist": (
        ".row:has-text('T-2')",
        "**/api/1/worklist",
        "document.querySelector('#f-infant_id')?.value === 'T-2'",
    ),
    "capture": (
        "[data-k='OD nasal']",
        "**/api/1/state",
        "document.querySelector('.aimed')?.textContent === 'OD nasal'",
    ),
    "result": (
        ".shots .shot",
        "**/api/1/exams/*",
        "document.querySelector('.shots .shot').ariaPressed === 'true'",
    ),
    "today": (".row:has-text('T-9')", "**/api/1/exams?*", "!!document.querySelector('.eyes')"),
}
"""By screen: what is pressed, what is asked as the screen is drawn anew, and what the press does."""


@pytest.mark.parametrize("screen", PRESSED)
def test_a_press_meets_what_it_was_meant_for_however_often_the_screen_is_drawn(
    page: Any, cart: Quick, screen: str
) -> None:
    listed: list[Any] = cart.listed  # type: ignore[attr-defined]
    if screen == "worklist":
        listed[:] = [item("T-1", "Rivera^Baby A of Ana"), item("T-2", "Rivera^Baby B of Ana", time="0910")]
        cart.done("worklist/refresh")
    elif not cart.exam():
        cart.open_exam(infant_id="T-9")
        cart.capture("OD", "disc-centred")
    pressed, asked, done = PRESSED[screen]
    go(page, screen)
    page.wait_for_selector(pressed)
    settled(page)
    page.evaluate(f"for (const one of {ALL}) one.before = true")
    page.locator(pressed).first.hover()  # once it stands still and nothing lies over it
    page.mouse.down()
    with page.expect_response(asked):
        if screen == "worklist":  # another line comes, and every line has another key
            listed.append(item("Z-9", "Zulu^Noor", time="1000"))
            cart.done("worklist/refresh")
        elif screen == "capture":
            cart.capture("OS", "temporal")
        cart.cart.events.tell("state")
    settled(page)
    page.evaluate(TWO_FRAMES)
    fresh = page.evaluate(f"[...{ALL}].filter((one) => !one.before).map((one) => one.outerHTML)")
    assert all("Z-9" in one or "shot" in one or "thumbnail" in one for one in fresh), fresh
    page.mouse.up()
    holds(page, done)
    page.keyboard.press("Escape")
    if screen == "today":
        cart.done(f"exams/{cart.exam()['exam']}/close")


def test_busy_and_a_late_picture(page: Any, cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    cart.open_exam()
    cart.capture("OD", "temporal")
    go(page, "capture")
    page.wait_for_selector(".strip .shot")
    frame, free, began = Room._frame, threading.Event(), threading.Event()

    def slow(room: Room, eye: Eye) -> Any:
        began.set()
        free.wait(300)
        return frame(room, eye)

    monkeypatch.setattr(Room, "_frame", slow)
    taken = cart.pressed()
    assert began.wait(300)
    holds(page, "document.querySelector('.wait').textContent === 'Taking the picture'")
    looked_at(page, "busy", "capture")
    free.set()
    taken.result(300)
    monkeypatch.undo()
    cart.engine.fault = None
    late = "late: 2412 ms, budget 1000 ms"
    with monkeypatch.context() as slow_engine:
        from runtime.engines.fake import FakeEngine
        from runtime.errors import DeadlineMissed

        def missed(*_: object) -> None:
            raise DeadlineMissed(late)

        slow_engine.setattr(FakeEngine, "_infer", missed)
        assert cart.capture("OD", "nasal")["outcome"] == "NO_RESULT"
    holds(page, "document.querySelector('.side .banner').textContent.includes('late')")
    looked_at(page, "late", "capture")


def test_a_lost_camera_and_parts_that_are_broken(page: Any, cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    cart.unplug()
    holds(page, "document.querySelector('.notices .bad')?.textContent.includes('camera')")
    looked_at(page, "camera-lost", "capture", "camera")
    cart.plug()
    holds(page, "!document.querySelector('.notices .bad')")
    for name, said in BROKEN.items():
        cart.broken[name] = said
        cart.cart.events.tell("health")
        page.wait_for_selector(".notices .bad")
        looked_at(page, name.replace(" ", "-"), "capture", said)
        cart.broken[name] = ""
    cart.cart.events.tell("health")
    holds(page, "!document.querySelector('.notices .bad')")
    monkeypatch.setattr(Journal, "free_bytes", lambda self: 5 * 2**20)
    holds(page, "document.querySelector('.notices .bad')?.textContent.includes('5 MiB left')")
    looked_at(page, "disk-full", "capture")
    monkeypatch.undo()
    holds(page, "!document.querySelector('.notices .bad')")


def test_a_whole_exam_and_two_users(browser: Any, page: Any, cart: Quick) -> None:
    exam = cart.exam()["exam"]
    for eye in ("OD", "OS"):
        for view in VIEWS:
            cart.capture(eye, view)
    until(lambda: all(not one["pending"] for one in cart.exam()["captures"]), "read")
    looked_at(page, "whole-capture", "capture")
    other = browser.new_context(locale="en").new_page()
    other.set_default_timeout(300_000)
    other.goto(cart.server.url)
    other.wait_for_selector("#pin")
    looked_at(other, "sign-in")
    other.select_option("#user", "demo-doctor")
    other.fill("#pin", "2468")
    other.keyboard.press("Enter")
    other.wait_for_selector(".capture-screen")  # the open exam is everybody's
    looked_at(other, "second-user", "capture")
    cart.done(f"exams/{exam}/close")
    looked_at(other, "whole-result", "result")
    looked_at(page, "whole-today", "today")
    looked_at(page, "whole-service", "service")
    other.context.close()


ANSWERS: dict[str, tuple[str, str, Callable[[dict[str, Any], str], dict[str, Any]]]] = {
    "worklist": (r"/api/1/worklist$", "worklist", lambda body, mark: body | {"exists": True, "problem": mark}),
    "result": (r"/api/1/exams/[^/]+$", "exam", lambda body, mark: body | {"reason": mark}),
    "today": (
        r"/api/1/exams\?",
        "exam",
        lambda body, mark: body | {"exams": [body["exams"][0] | {"shown_name": mark}]},
    ),
    "service": (r"/api/1/service$", "", lambda body, mark: body | {"log": [mark]}),
}


@pytest.mark.parametrize("screen", ANSWERS)
def test_an_older_answer_is_never_shown_over_a_newer_one(page: Any, cart: Quick, screen: str) -> None:
    address, event, marked = ANSWERS[screen]
    go(page, screen)
    settled(page)
    asked: list[Any] = []
    page.route(re.compile(address), lambda route: asked.append(route))
    for _ in range(3):  # each while the one before is not answered
        if event:
            cart.cart.events.tell(event)
        else:
            page.get_by_role("button", name="Look again").click()
        page.wait_for_timeout(100)
    until(lambda: asked or page.wait_for_timeout(20), "asked")
    answered: set[int] = set()

    def all_answered() -> bool:
        for number in sorted(set(range(len(asked))) - answered, reverse=True):  # the newest first
            found = asked[number].fetch()
            asked[number].fulfill(response=found, json=marked(found.json(), f"answer {number}."))
            answered.add(number)
        page.wait_for_timeout(300)
        newest = f"answer {len(asked) - 1}."  # of those that the page has asked so far
        return len(answered) == len(asked) > 1 and newest in page.inner_text("main")

    until(all_answered, "the newest answer is shown")
    page.unroute_all(behavior="ignoreErrors")


def test_a_technician_changes_bundles_by_keyboard(
    browser: Any, cart: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(actions, "build_plans", lambda *_: "")
    monkeypatch.setattr(actions, "try_bundle", lambda asked: WORKS)
    slots, stick = tmp_path / "slots", tmp_path / "media" / "STICK" / "new"
    bundle_folder(stick, sign=None, version="new")
    other = Slots(slots).add(bundle_folder(tmp_path / "other", sign=None, version="other"), lambda bundle: None)[0]
    Slots(slots).switch(other.sha256, "test", Site())
    shelf = Shelf(Means(slots), cart.cart._health_changed, media=[tmp_path / "media"], noted=cart.cart._noted)
    monkeypatch.setattr(cart.cart, "_shelf", shelf)
    page = opened(browser, cart.server.url)
    page.get_by_role("button", name="Lock").click()
    page.wait_for_selector("#pin")
    page.select_option("#user", TECHNICIAN)
    page.fill("#pin", PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector(".row.bundle")
    holds(page, f"document.querySelector('#bundle-found option').value === '{stick}'")
    page.focus("#bundle-path")
    page.keyboard.type("/no/such/stick")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    holds(page, "document.querySelector('.bundles [role=status]').textContent.includes('no such folder or archive')")
    page.fill("#bundle-path", str(stick))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    holds(page, "document.querySelectorAll('.row.bundle').length === 2")
    holds(page, "document.querySelector('.bundles [role=status]').textContent.includes('is installed now')")
    looked_at(page, "bundles-installed", "service", "test new is installed now, not active", "self-test passed")
    for module in (actions, shelf_module):
        monkeypatch.setattr(module, "kept_trial", lambda *_: OTHER)
    cart.cart.events.tell("health")
    holds(page, "document.querySelector('.row.bundle:nth-child(2)').textContent.includes('would be NO REFERRAL')")
    for before, typed, name in (
        (".row.bundle button", "looked at", "new"),
        ("[data-k=back]", "other outcomes", "other"),
    ):
        page.focus(before)
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        looked_at(page, f"bundles-{name}")
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        with unanswered(page, "**/api/1/service/bundles"):
            page.keyboard.press("Enter")
            page.wait_for_selector(
                "dialog", state="detached"
            )  # once the cart has it: the next press must not fall on it
        holds(page, f"document.querySelector('.row.bundle .main').textContent.startsWith('test {name}')")
        holds(
            page, f"document.querySelector('.bundles [role=status]').textContent.includes('test {name} is the active')"
        )
    looked_at(page, "bundles-back", "service", "on the cart, other outcomes")
    page.context.close()


def test_a_birth_stays_as_it_was_said_where_something_else_is_corrected(page: Any, cart: Quick) -> None:
    """Its zone is not this machine's; and of a worklist's infant nobody said the time."""
    for number, (born, shown) in enumerate((("2026-10-18T23:30:00+09:00", "23:30"), ("2026-10-18", ""))):
        exam = cart.open_exam(infant_id=f"Z-{number}", born_at=born)
        for screen in ("today", "result"):
            go(page, screen)
        page.wait_for_selector(".eyes")
        says(page, "main", f"Z-{number}")
        page.get_by_role("button", name="Correct the infant").click()
        page.wait_for_selector("dialog[open]")
        assert (page.input_value("#f-born_day"), page.input_value("#f-born_time")) == ("2026-10-18", shown)
        page.fill("#f-birth_weight_g", "1010")
        page.fill("#reason", "scale read again")
        page.locator("dialog button.main").click()
        until(lambda: cart.exam()["infant"]["birth_weight_g"] == 1010 or page.wait_for_timeout(50), "corrected")
        assert cart.exam()["infant"]["born_at"] == born
        cart.done(f"exams/{exam}/close")


ANSWER_HELD = """() => {
  const real = window.fetch;
  window.fetch = async (...asked) => {
    const given = await real(...asked);
    if (window.answer || !/exams\\/[^/]+$/.test(asked[0])) return given;
    const content = await given.json();
    await new Promise((done) => { window.answer = done; });
    return { ok: true, json: async () => content };
  };
}"""
"""The page's next question for an exam is answered by `window.answer()`, within that very task."""


def test_a_result_is_of_the_open_exam_or_says_that_it_is_not_and_a_dialog_stays_of_its_own(
    browser: Any, cart: Quick
) -> None:
    page = opened(browser, cart.server.url)
    first = cart.open_exam(infant_id="R-1")
    cart.capture("OD", "disc-centred")
    go(page, "result")
    says(page, "main", "R-1")
    with unanswered(page, "**/api/1/state"):
        cart.done(f"exams/{first}/close")
        second = cart.open_exam(infant_id="R-2")
        for screen in ("today", "result"):  # opened before it hears of the new exam
            go(page, screen)
        says(page, "main", "R-1")
    says(page, ".bar", "R-2")
    holds(page, "!document.querySelector('main').innerText.includes('R-1')")
    says(page, "main", "R-2")
    gone(page, ".other")
    page.evaluate("location.hash = 'today'")
    page.locator(f"[data-k='{first}']").click()
    says(page, ".other", "This is not the open exam. It is of: Quick, Ada R-1")
    says(page, ".bar", "R-2")
    looked_at(page, "another-exam")
    cart.capture("OS", "nasal")  # whatever happens in the open exam
    settled(page)
    says(page, ".other", "R-1")
    page.reload()
    says(page, ".other", "R-1")
    page.evaluate("localStorage.setItem('language', 'ar')")
    page.reload()  # in the middle of the work, signed in
    says(page, "nav", "النتيجة")
    says(page, ".other", "R-1")

    def left(selectors: list[str]) -> list[float]:
        return [page.locator(one).first.bounding_box()["x"] for one in selectors]

    eyes = left([".eyes > :nth-child(1)", ".eyes > :nth-child(2)"])
    page.evaluate(ANSWER_HELD)
    cart.aim("OS", "nasal")
    holds(page, "!!window.answer")
    page.evaluate("location.hash = 'capture'; window.answer()")  # Result's answer comes as its user is on the way
    page.wait_for_selector(".map [data-k='OS nasal']")
    places = left([f"[data-k='{at}']" for at in ("OD temporal", "OD nasal", "OS nasal", "OS temporal")])
    assert (eyes, places) == (sorted(eyes), sorted(places))  # the right eye at the left, whatever is read from where
    page.evaluate("history.back()")  # Playwright's own waits for a load
    says(page, ".other", "R-1")
    page.evaluate("localStorage.setItem('language', 'en')")
    page.reload()
    page.get_by_role("button", name="Show the open exam").click()
    says(page, "main", "R-2")
    page.get_by_role("link", name="Worklist").click()
    page.get_by_role("button", name="Enter by hand").click()  # nobody is led from one infant to another's exam unsaid
    says(page, "dialog[open]", "It is of: Quick, Ada R-2")
    page.evaluate("history.back()")
    says(page, "main", "R-2")
    holds(page, "!document.querySelector('dialog, .other')")
    page.evaluate("history.back()")
    says(page, ".other", "R-1")
    page.evaluate("history.forward()")
    says(page, "main", "R-2")
    page.get_by_role("button", name="Void the exam").click()
    says(page, "dialog[open]", "R-2")
    cart.done(f"exams/{second}/close")
    third = cart.open_exam(infant_id="R-3")
    says(page, "main", "R-3")
    says(page, "dialog[open]", "R-2")
    page.fill("#reason", "wrong infant")
    page.locator("dialog button.main").click()
    until(lambda: cart.get(f"exams/{second}").json()["voided"], "void")
    assert cart.exam()["exam"] == third
    page.get_by_role("button", name="Correct the infant").click()
    page.wait_for_selector("dialog[open]")
    page.evaluate("fetch('/api/1/sign-out', {method: 'POST'})")
    page.wait_for_selector("#pin")
    holds(page, "!document.querySelector('dialog')")
    holds(page, "!document.body.innerText.includes('Quick')")
    page.context.close()
    cart.done(f"exams/{third}/close")
