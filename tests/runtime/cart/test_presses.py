"""A picture is taken for what the screen showed as the button was pressed, at that moment, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.frame import Frame
from runtime.cart import room as room_module
from runtime.cart.errors import NotNow
from runtime.cart.room import Room, ScreenShown
from runtime.cart.shots import take_frame
from runtime.dicom.outbox.steps import DESTINATION, DONE
from runtime.errors import EngineError
from runtime.exam.errors import JournalFull
from runtime.exam.journal import Journal
from runtime.exam.journal.deliveries import Delivery
from runtime.exam.journal.images import ImageStore
from runtime.views import Eye, View
from tests.runtime.cart.driving import VIEWS, until
from tests.runtime.cart.quick import INFANT_FIELDS, Quick, quick

DISC = (Eye.OD, View.DISC)


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart")) as made:
        made.open_exam()
        yield made


def test_a_pdf_of_an_exam_that_is_open_waits_for_its_end(cart: Quick) -> None:
    exam = cart.exam()["exam"]
    answer = cart.get(f"exams/{exam}/report.pdf")
    assert (answer.status_code, "only a closed exam" in answer.json()["detail"]) == (409, True)
    assert cart.get(f"exams/{exam}/report.html").is_success


@pytest.mark.parametrize(
    ("shown", "refused"),
    [
        (("E-1", DISC, 0.0), False),
        (("E-2", DISC, 0.0), True),
        (("", DISC, 0.0), True),
        (("E-1", (Eye.OS, View.DISC), 0.0), True),
        (("E-1", (Eye.OD, View.NASAL), 0.0), True),
        (("E-1", DISC, 1e6), True),
    ],
)
def test_a_press_is_for_one_exam_eye_and_view_at_one_moment(
    shown: tuple[str, tuple[Eye, View], float], refused: bool
) -> None:
    exam, aim, seconds_ago = shown
    seen = ScreenShown(exam, aim, time.monotonic() - seconds_ago)
    if not refused:
        seen.check("E-1", DISC)
        return
    with pytest.raises(NotNow, match="nothing was taken"):
        seen.check("E-1", DISC)


def test_a_tab_that_shows_another_eye_or_exam_takes_nothing(cart: Quick) -> None:
    cart.aim("OD", "nasal")
    before = cart.exam()
    cart.aim("OS", "nasal")  # another tab, another nurse
    stale = {"exam": before["exam"], "eye": before["aim"]["eye"], "view": before["aim"]["view"]}
    answer = cart.post("capture", stale)
    assert (answer.status_code, len(cart.exam()["captures"])) == (409, len(before["captures"]))
    assert "OS nasal is set now, the screen showed OD nasal" in answer.json()["detail"]
    other = cart.post("capture", {"exam": "20260101-AAAAAAAA", "eye": "OS", "view": "nasal"})
    assert (other.status_code, len(cart.exam()["captures"])) == (409, len(before["captures"]))
    taken = cart.done("capture", {**stale, "eye": "OS"})["capture"]
    assert (taken["eye"], taken["view"]) == ("OS", "nasal")


def test_a_press_that_is_refused_is_never_told_as_a_picture_that_is_being_taken(cart: Quick) -> None:
    cart.aim("OD", "nasal")
    shown = {"exam": cart.exam()["exam"], "eye": "OS", "view": "nasal"}
    with cart.cart.events.listen() as listener:
        assert cart.post("capture", shown).status_code == 409
        assert "taking" not in [event.kind for event in listener.take()]
        cart.done("capture", {**shown, "eye": "OD"})
        assert [event.kind for event in listener.take()][:3] == ["taking", "captured", "reading"]


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, ("exam", "eye", "view")),
        ({"eye": "OS", "view": "nasal"}, ("exam",)),
        ({"exam": "THE OPEN ONE"}, ("eye", "view")),
        ({"exam": "THE OPEN ONE", "eye": "OS"}, ("view",)),
        ({"exam": "THE OPEN ONE", "view": "nasal"}, ("eye",)),
        ({"exam": "", "eye": "OS", "view": "nasal"}, ("exam",)),
        ({"exam": "THE OPEN ONE", "eye": None, "view": None}, ("eye",)),
        (None, ("JSON body",)),
    ],
)
def test_a_press_that_does_not_say_what_its_screen_showed_takes_nothing(
    cart: Quick, sent: dict[str, Any] | None, named: tuple[str, ...]
) -> None:
    cart.aim("OS", "nasal")
    before = cart.exam()
    if sent is not None and sent.get("exam"):
        sent = {**sent, "exam": before["exam"]}
    answer = cart.client.post("/api/1/capture", json=sent, headers={"X-CSRF-Token": cart.token})
    assert (answer.status_code, len(cart.exam()["captures"])) == (422, len(before["captures"]))
    said = answer.json()["detail"]
    assert [name for name in named if name not in said] == []


def test_the_description_says_that_a_press_needs_exam_eye_and_view(cart: Quick) -> None:
    described = cart.get("openapi.json").json()
    for path in ("capture", "aim"):
        body = described["paths"][f"/api/1/{path}"]["post"]["requestBody"]
        assert body["required"]
        assert body["content"]["application/json"]["schema"]["$ref"].endswith("/AimBody")
    assert set(described["components"]["schemas"]["AimBody"]["required"]) == {"exam", "eye", "view"}


def test_the_foot_switch_takes_nothing_before_an_exam_is_open_and_a_view_is_set(tmp_path: Path) -> None:
    with quick(tmp_path) as cart, cart.cart.events.listen() as listener:

        def refused() -> str:
            listener.take()
            cart.cart._foot_pressed()
            return next(str(event.content["reason"]) for event in listener.take() if event.kind == "refused")

        assert "no exam is open" in refused()
        cart.open_exam()
        assert "eye and view are not set" in refused()
        assert cart.exam()["captures"] == []


def test_a_picture_is_of_after_its_press_and_of_no_press_before(cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two presses of one moment, which wait for the desk: neither takes what was there before, nor both the same."""
    taken: list[tuple[int, Frame]] = []

    def seen(reader: Any, since_ns: int, **given: Any) -> Frame:
        taken.append((since_ns, take_frame(reader, since_ns, **given)))
        return taken[-1][1]

    monkeypatch.setattr(room_module, "take_frame", seen)
    cart.aim("OD", "inferior")
    go = threading.Event()
    cart.cart._desk.do(lambda room: go.wait(60))
    before_ns = time.monotonic_ns()
    presses = [cart.pressed(), cart.pressed()]
    waited = time.monotonic() + 0.2
    until(lambda: time.monotonic() > waited, "the camera went on meanwhile")
    released_ns = time.monotonic_ns()
    go.set()
    outcomes = [press.result(60)["capture"]["outcome"] for press in presses]
    (first_since_ns, first), (second_since_ns, second) = taken
    assert before_ns <= first_since_ns < released_ns  # the press counts, not when the desk came to it
    assert first.captured_ns >= first_since_ns
    assert second.captured_ns >= second_since_ns > first.captured_ns
    assert "NO_RESULT" not in outcomes  # as a frame that is read twice would be
    assert first.source != second.source


def test_no_picture_is_of_before_the_view_was_set(cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def seen(reader: Any, since_ns: int, **given: Any) -> Frame:
        asked.append(since_ns)
        return take_frame(reader, since_ns, **given)

    monkeypatch.setattr(room_module, "take_frame", seen)
    exam, go = cart.exam()["exam"], threading.Event()
    cart.cart._desk.do(lambda room: go.wait(60))
    aimed = cart.cart.aim(Eye.OS, View.NASAL)
    pressed = cart.cart.capture(operator="demo", exam=exam, aim=(Eye.OS, View.NASAL))  # a program that does not wait
    released_ns = time.monotonic_ns()
    go.set()
    assert aimed.result(60)["aim"] == {"eye": "OS", "view": "nasal"}
    assert pressed.result(60)["capture"]["view"] == "nasal"
    assert asked[0] >= released_ns


def test_a_press_that_waited_for_too_long_takes_nothing(cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "PRESS_HOLDS_S", 0.2)
    cart.aim("OD", "superior")
    before, go = len(cart.exam()["captures"]), threading.Event()
    cart.cart._desk.do(lambda room: go.wait(60))
    late = cart.pressed()
    time.sleep(0.3)
    go.set()
    with pytest.raises(NotNow, match="press again"):
        late.result(60)
    assert len(cart.exam()["captures"]) == before


def test_the_foot_switch_takes_what_the_screens_show(cart: Quick) -> None:
    cart.aim("OD", "inferior")
    before, go = len(cart.exam()["captures"]), threading.Event()
    cart.cart._desk.do(lambda room: go.wait(60))
    cart.cart.aim(Eye.OS, View.DISC)  # is done after the press, and was asked for before
    cart.cart._foot_pressed()
    go.set()
    foot = cart.cart._foot
    assert foot is not None
    with pytest.raises(NotNow, match="the screen showed OD inferior"):
        foot.result(60)
    assert len(cart.exam()["captures"]) == before
    cart.cart._foot_pressed()
    assert cart.cart._foot is not None
    assert cart.cart._foot.result(60)["capture"]["eye"] == "OS"


def test_while_a_picture_is_taken_every_tab_says_so(cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    go, began = threading.Event(), threading.Event()
    frame = Room._frame

    def slow(room: Room, eye: Eye) -> Any:
        began.set()
        go.wait(60)
        return frame(room, eye)

    monkeypatch.setattr(Room, "_frame", slow)
    assert not cart.get("state").json()["taking"]
    taken = cart.pressed()
    assert began.wait(60)
    assert cart.get("state").json()["taking"]  # also to a page that was loaded anew meanwhile
    go.set()
    taken.result(60)
    assert not cart.get("state").json()["taking"]


def test_on_a_full_disk_no_light_is_asked_for_and_the_screen_says_so(
    cart: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Eye] = []
    frame = Room._frame
    monkeypatch.setattr(Room, "_frame", lambda room, eye: asked.append(eye) or frame(room, eye))  # type: ignore[func-returns-value]
    monkeypatch.setattr(Journal, "free_bytes", lambda self: 10 * 2**20)
    before = len(cart.exam()["captures"])
    answer = cart.press()
    assert (answer.status_code, asked, len(cart.exam()["captures"])) == (409, [], before)
    assert "full, 10 MiB left" in answer.json()["detail"]
    until(lambda: "no picture can be kept" in health(cart)["disk"], "the disk is said to be full")
    monkeypatch.undo()
    until(lambda: not health(cart)["disk"], "there is space again")
    assert cart.press().status_code == 200


def test_a_reading_that_could_not_be_kept_is_made_once_there_is_space(
    cart: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "UNREAD_AGAIN_S", 0.05)

    def full(*_: object) -> None:
        raise JournalFull("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "add_reading", full)
        assert cart.press().status_code == 507
        last = cart.exam()["captures"][-1]
        assert (last["pending"], last["outcome"]) == (True, "NO_RESULT")
        time.sleep(0.6)  # the desk looks in between, and is not upset
        assert health(cart)["software"] == ""
    until(lambda: not cart.exam()["captures"][-1]["pending"], "read afterwards, though nobody asked")
    assert cart.exam()["captures"][-1]["outcome"] == "NO_REFERRAL_FINDINGS"


def test_a_reading_that_could_not_be_kept_holds_nothing_up_when_its_exam_is_void(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        exam = cart.open_exam()
        cart.aim("OD", "nasal")
        with pytest.MonkeyPatch.context() as broken:

            def full(*_: object) -> None:
                raise JournalFull("no space left")

            broken.setattr(Journal, "add_reading", full)
            assert cart.press().status_code == 507
            cart.done(f"exams/{exam}/void", {"reason": "wrong infant"})
        lines = cart.get("exams").json()["exams"]
        assert {line["delivery"]["word"] for line in lines} == {""}  # nothing waits where there is no archive
        cart.open_exam(infant_id="Q-2")
        assert cart.capture("OD", "nasal")["outcome"] == "NO_REFERRAL_FINDINGS"
        assert health(cart)["software"] == ""


def test_what_changed_since_it_was_sent_is_not_said_to_be_in_the_archive(tmp_path: Path) -> None:
    with quick(tmp_path, send=lambda stopped, worked: None) as cart:
        exam = cart.open_exam()
        cart.capture("OD", "nasal")
        cart.done(f"exams/{exam}/close")

        def sent(room: Room) -> None:
            revision = room.journal.summary(exam).changed_seq
            done = Delivery(exam, DESTINATION, revision, DONE)
            room.journal.deliveries.change(exam, DESTINATION, lambda before: done)

        def word() -> str:
            return str(cart.get("exams").json()["exams"][0]["delivery"]["word"])

        assert word() == "waiting"
        cart.cart._desk.do(sent).result(60)
        assert word() == "in the archive"
        cart.done(f"exams/{exam}/captures/1/exclude", {"reason": "wrong infant"})
        assert word() == "waiting"
        cart.cart._desk.do(sent).result(60)
        assert word() == "in the archive"


def test_gates_are_read_anew_from_the_stored_picture_and_change_nothing(cart: Quick) -> None:
    cart.capture("OS", "temporal")
    before = cart.exam()["captures"]
    last = before[-1]
    assert last["pictures"] == ["image", "thumbnail", "overlay", "gates"]
    shown = {kind: cart.client.get(last["addresses"][kind]) for kind in ("image", "overlay", "gates")}
    assert {answer.headers["content-type"] for answer in shown.values()} == {"image/jpeg"}
    assert len({answer.content for answer in shown.values()}) == 3
    assert facts(cart) == [(one["number"], one["outcome"], one["reason"]) for one in before]
    exam = cart.exam()["exam"]
    assert cart.client.get(f"/api/1/exams/{exam}/captures/{last['number']}/gates").status_code == 404  # without its key


def test_gates_of_a_picture_that_is_read_with_no_result_are_refused(
    cart: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missed(*_: object) -> None:
        raise EngineError("it failed, as it was told to")

    last = cart.exam()["captures"][-1]
    monkeypatch.setattr("tests.runtime.test_explain.Telling._infer", missed)
    answer = cart.client.get(last["addresses"]["gates"])
    assert (answer.status_code, "as it was told to" in answer.json()["detail"]) == (409, True)


def facts(cart: Quick) -> list[tuple[int, str, str]]:
    return [(one["number"], one["outcome"], one["reason"]) for one in cart.exam()["captures"]]


def test_the_sentence_of_a_whole_exam_stands_beside_no_single_picture(cart: Quick) -> None:
    taken = cart.capture("OD", "disc-centred")
    assert taken["outcome"] == "NO_REFERRAL_FINDINGS"
    assert "continue the scheduled examinations" not in str(taken)
    assert "this picture" in taken["banner"]
    for view in VIEWS[1:]:
        cart.capture("OD", view)
    shown = cart.exam()
    for exam in (shown, cart.get(f"exams/{shown['exam']}").json()):
        assert "continue the scheduled examinations" not in str(exam)
        assert "this eye's pictures" in exam["eyes"]["OD"]["banner"]


def test_what_is_refused_is_told_to_the_person_at_the_screen(cart: Quick) -> None:
    unknown = "exams/20260101-AAAAAAAA"
    why = {"reason": "wrong infant"}
    answers = [
        cart.get(unknown),
        cart.get(f"{unknown}/report.html"),
        cart.post(f"{unknown}/close"),
        cart.post(f"{unknown}/void", why),
        cart.post(f"{unknown}/captures/1/exclude", why),
        cart.post(f"{unknown}/correct", {"infant": INFANT_FIELDS, **why}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    open_already = cart.post("exams", {"infant": INFANT_FIELDS, "wrist_band_checked": True})
    assert open_already.status_code == 409
    assert "is still open; close it first" in open_already.json()["detail"]
    assert not [answer.text for answer in (*answers, open_already) if "python" in answer.text]


def health(cart: Quick) -> dict[str, str]:
    return {part["name"]: part["problem"] for part in cart.cart.health()}


def test_the_exam_goes_on_when_an_unplugged_camera_is_back(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        cart.open_exam()
        cart.capture("OD", "disc-centred")
        cart.unplug()
        until(lambda: health(cart)["camera"], "said")
        assert cart.capture("OD", "nasal")["outcome"] == "NO_RESULT"
        cart.plug()
        until(lambda: not health(cart)["camera"], "back")
        assert "image" in cart.capture("OD", "nasal")["pictures"]


def test_a_small_picture_is_there_at_once_and_the_same_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick(tmp_path) as cart:
        cart.open_exam()
        cart.capture("OD", "nasal")
        with monkeypatch.context() as patched:
            patched.setattr(ImageStore, "read", lambda *_: pytest.fail("the whole picture was decoded"))
            small = cart.client.get(cart.exam()["captures"][0]["addresses"]["thumbnail"])
        assert small.headers["content-type"] == "image/jpeg"
        cart.stop()
        cart.start()
        cart.sign_in()
        again = cart.client.get(cart.exam()["captures"][0]["addresses"]["thumbnail"])
        assert (small.status_code, small.content) == (200, again.content)
