"""What happens when something breaks: nothing accepted is lost, nothing is said that the journal lacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.errors import Disconnected
from device.light.simulated import LineFaults
from runtime.cart import lighting as lighting_module
from runtime.cart.demo.camera import PosedCamera
from tests.busy import at_a_calm_moment
from tests.runtime.cart.driving import Driver, driven, until


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with driven(tmp_path_factory.mktemp("cart")) as driver:
        driver.sign_in()
        driver.open_exam()
        yield driver


def problems(cart: Driver) -> dict[str, str]:
    return {part["name"]: part["problem"] for part in cart.cart.health()}


def test_the_foot_switch_takes_one_picture_a_press_however_it_bounces_or_is_held(
    cart: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lighting_module, "BOUNCE_S", 3.0)  # a busy machine may hear what bounces seconds apart
    cart.aim("OD", "disc-centred")
    before = len(cart.state()["exam"]["captures"])
    with cart.listening() as wait_for:
        outcome = "refused"
        while outcome == "refused":  # as by the board on a machine so busy that its heartbeats come late
            for down in (True, False, True, False, True):
                cart.simulated.board.set_foot_switch(down)
            wait_for("foot_switch")
            outcome = wait_for("reading", "refused")["kind"]
            cart.simulated.board.set_foot_switch(False)
            time.sleep(3.5 if outcome == "refused" else 0.5)
    until(lambda: len(cart.state()["exam"]["captures"]) == before + 1, "one picture")
    cart.capture("OD", "disc-centred")
    assert len(cart.state()["exam"]["captures"]) == before + 2


def test_a_camera_that_is_unplugged_is_said_and_the_exam_goes_on_when_it_is_back(
    cart: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = PosedCamera.read

    def unplugged(self: PosedCamera) -> None:
        raise Disconnected("the cable is out")

    monkeypatch.setattr(PosedCamera, "read", unplugged)
    until(lambda: problems(cart)["camera"], "the camera's problem is said")
    before = len(cart.state()["exam"]["captures"])
    cart.aim("OS", "disc-centred")
    answer = cart.pressed()
    assert answer.is_success, answer.text
    assert answer.json()["capture"]["outcome"] == "NO_RESULT"
    monkeypatch.setattr(PosedCamera, "read", reads)
    until(lambda: not problems(cart)["camera"], "the camera is back")
    assert "image" in cart.picture("OS", "disc-centred")["pictures"]
    assert len(cart.state()["exam"]["captures"]) >= before + 2


def test_a_board_that_falls_silent_gives_no_light_and_no_picture_and_is_back_afterwards(cart: Driver) -> None:
    cart.aim("OD", "nasal")
    cart.simulated.board.faults = LineFaults(silent=True)
    before = len(cart.state()["exam"]["captures"])
    until(lambda: problems(cart)["light board"], "the board's problem is said")
    answer = cart.pressed()
    assert not answer.is_success
    assert "board" in answer.json()["detail"]
    assert len(cart.state()["exam"]["captures"]) == before
    cart.simulated.board.faults = LineFaults()
    until(lambda: not problems(cart)["light board"], "the board is back")
    assert cart.capture("OD", "nasal")["number"] == before + 1


def test_an_open_interlock_is_said_and_refuses(cart: Driver) -> None:
    cart.simulated.board.set_interlock(False)
    until(lambda: "interlock" in problems(cart)["light board"], "the interlock is said")
    answer = cart.press()
    assert not answer.is_success
    cart.simulated.board.set_interlock(True)
    until(lambda: not problems(cart)["light board"], "closed again")


def test_the_light_board_answers_a_technician_without_light_and_its_silence_is_said(cart: Driver) -> None:
    flashes = len(cart.simulated.board.flashes)
    assert cart.post("service/light-test", **{"X-CSRF-Token": "no"}).status_code == 401
    said = cart.done("service/light-test")["said"]
    assert said.startswith(f"board {0x51D:016x}")
    assert "calibrated until" in said
    assert len(cart.simulated.board.flashes) == flashes
    assert not cart.simulated.board.led_level
    cart.simulated.board.faults = LineFaults(silent=True)
    answer = cart.post("service/light-test")
    cart.simulated.board.faults = LineFaults()
    assert answer.status_code == 503
    assert "board" in answer.json()["detail"]
    until(lambda: not problems(cart)["light board"], "the board is back")


def test_the_light_for_aiming_is_as_bright_as_the_operator_sets_it_and_no_brighter_than_was_calibrated(
    cart: Driver,
) -> None:
    cart.aim("OD", "disc-centred")
    most = cart.light(False, level=600).json()["light"]["most"]
    assert most == 4000
    assert cart.state()["exam"]["light"]["level"] == 600

    def shines() -> bool:
        assert cart.light(True).is_success  # again where a busy machine's late heartbeat let the board put it out
        return cart.simulated.board.led_level == 600

    until(shines, "the board shines at that level")
    for level, status in ((most + 1, 409), (0, 422), (70_000, 422)):
        assert cart.light(True, level=level).status_code == status
    assert cart.state()["exam"]["light"]["level"] == 600
    shown = {"exam": "20260101-AAAAAAAA", "eye": "OD"}  # of a tab that heard nothing of it yet
    open_now = {**shown, "exam": cart.state()["exam"]["exam"]}
    assert cart.done("light", {**shown, "on": False})["light"]["on"] is False  # dark is never refused
    until(lambda: cart.simulated.board.led_level == 0, "dark")
    for body, said in (
        ({**shown, "on": True}, "another exam is open"),
        ({**shown, "on": False, "level": 700}, "another exam is open"),
        ({**open_now, "eye": "OS", "on": True}, "OD is set now, the screen showed OS"),
    ):
        answer = cart.post("light", body)
        assert (answer.status_code, said in answer.json()["detail"]) == (409, True), answer.text
    assert cart.post("light", {"on": True}).status_code == 422
    assert (cart.simulated.board.led_level, cart.state()["exam"]["light"]["level"]) == (0, 600)


def test_a_corrected_field_leaves_the_order_and_another_infant_loses_it(cart: Driver) -> None:
    exam = cart.state()["exam"]["exam"]
    before = cart.get(f"exams/{exam}").json()
    infant = {name: before["infant"][name] for name in ("infant_id", "name", "sex", "born_at", "gestational_age")}
    heavier = {**infant, "birth_weight_g": before["infant"]["birth_weight_g"] + 10}
    path, reason = f"exams/{exam}/correct", "slip of the keyboard"
    found = cart.done(path, {"infant": heavier, "key": "", "reason": reason})
    assert found["infant"]["birth_weight_g"] == heavier["birth_weight_g"]
    assert found["order"] == before["order"]
    assert "order" not in cart.done(path, {"infant": {**heavier, "infant_id": "D-9"}, "key": "", "reason": reason})


def test_while_the_flash_recharges_a_picture_is_refused_with_the_time_and_nothing_is_counted(cart: Driver) -> None:
    cart.capture("OD", "inferior")
    dose = cart.state()["exam"]["light"]["dose"]["OD"]
    lighting = cart.cart._hardware.lighting
    assert lighting is not None
    lighting.recharge.flashed(60_000)
    flashes = len(cart.simulated.board.flashes)
    answer = cart.press()
    assert answer.status_code == 409
    assert 0 < answer.json()["retry_s"] <= 60
    assert len(cart.simulated.board.flashes) == flashes
    assert cart.state()["exam"]["light"]["dose"]["OD"] == dose
    lighting.recharge.flashed(0)


def test_two_tabs_see_the_same_exam_and_their_presses_come_one_after_the_other(cart: Driver) -> None:
    cart.aim("OS", "superior")

    def one_after_the_other() -> None:
        before = len(cart.state()["exam"]["captures"])
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(cart.press().status_code)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = len(cart.state()["exam"]["captures"]) - before
        assert taken == answers.count(200) >= 1
        assert set(answers) <= {200, 409}

    at_a_calm_moment(one_after_the_other)


def test_a_second_exam_waits_for_the_first(cart: Driver) -> None:
    infant = {"infant_id": "X", "name": "X", "born_at": "2026-10-18T00:00", "gestational_age": "27w3d"}
    answer = cart.post("exams", {"infant": {**infant, "birth_weight_g": 980, "sex": ""}, "wrist_band_checked": True})
    assert answer.status_code == 409
    assert "still open" in answer.json()["detail"]


def test_what_stands_in_the_journal_survives_the_program(tmp_path: Path) -> None:
    with driven(tmp_path) as first:
        first.sign_in()
        exam = first.open_exam(row=2)
        first.capture("OD", "disc-centred")
        shown = first.state()["exam"]["captures"]
    with driven(tmp_path) as second:
        second.sign_in()
        state = second.state()["exam"]
        assert state["exam"] == exam
        for before, after in zip(shown, state["captures"], strict=True):
            assert {k: v for k, v in before.items() if k != "addresses"} == {
                k: v for k, v in after.items() if k != "addresses"
            }
        second.capture("OD", "nasal")
        assert len(second.state()["exam"]["captures"]) == 2
