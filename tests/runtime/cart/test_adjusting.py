"""Exposure, focus and gain of the camera from the screen: by the API, in the trail, and again after it was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.live import LiveReader
from runtime.cart.demo.parts import TECHNICIAN, USER
from runtime.cart.kept import Supervised
from runtime.exam.journal import Journal
from tests.runtime.cart.driving import until
from tests.runtime.cart.quick import KEY, Quick, quick

CONFIG = SimulatedConfig(seed=4, size=(64, 48), fps=30)


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        made.stop()
        made.parts = replace(
            made.parts, open_camera=lambda: LiveReader(lambda: SimulatedCamera(CONFIG), "simulated camera")
        )
        made.start()
        made.sign_in()
        yield made


def values(answer: Any) -> dict[str, float]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["value"] for one in answer.json()["controls"]}


def test_what_is_turned_stands_in_the_trail_and_is_turned_again_for_a_camera_that_comes_back(cart: Quick) -> None:
    with cart.cart.events.listen() as listener:
        before = values(cart.get("camera"))
        assert set(before) == {"exposure", "focus", "gain"}
        assert values(cart.post("camera", {"control": "gain", "value": 6})) == {**before, "gain": 6}
        assert "camera" in [event.kind for event in listener.take()]
    cart.sign_in(TECHNICIAN)  # who keeps the camera may, too
    assert values(cart.post("camera", {"control": "exposure", "value": 12.5}))["exposure"] == 12.5
    assert values(cart.post("camera", {"control": "exposure", "value": None}))["exposure"] == before["exposure"]
    lost = cart.cart.camera.part
    assert lost is not None
    lost.close()
    until(lambda: cart.cart.camera.part not in (None, lost), "the camera is opened again")
    assert values(cart.get("camera"))["gain"] == 6
    cart.stop()
    with Journal.open(cart.folder / "journal", KEY, read_only=True) as journal:
        set_ = [(row.who, row.content["what"]) for row in journal.events_after(0, 1000)[0] if row.kind == "camera set"]
    assert set_ == [(USER, "gain 6 dB"), (TECHNICIAN, "exposure 12.5 ms"), (TECHNICIAN, "exposure by itself")]
    cart.start()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"control": "gain", "value": 1000}, 422, "it can do 0 to 24 dB"),
        ({"control": "gain", "value": None}, 422, "cannot set it by itself"),
        ({"control": "zoom", "value": 1}, 422, "control"),
        ({"control": "gain"}, 422, "value: not sent"),
        ({"control": "gain", "value": "6"}, 422, "value"),
        ({"control": "gain", "value": 6, "more": 1}, 422, "more"),
    ],
)
def test_what_cannot_be_is_refused_and_stands_nowhere(cart: Quick, body: Any, status: int, said: str) -> None:
    before = values(cart.get("camera"))
    answer = cart.post("camera", body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert values(cart.get("camera")) == before


def test_while_pictures_are_flashed_the_exposure_stays_as_the_flash_was_timed_for(
    cart: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cart.room.Room.flashed", property(lambda room: True))
    exposure = next(one for one in cart.get("camera").json()["controls"] if one["name"] == "exposure")
    assert "timed for this exposure" in exposure["fixed"]
    answer = cart.post("camera", {"control": "exposure", "value": 5})
    assert (answer.status_code, "[light.timing]" in answer.json()["detail"]) == (409, True)
    assert values(cart.post("camera", {"control": "gain", "value": 2}))["gain"] == 2


def test_a_camera_whose_driver_has_none_and_one_that_is_not_there_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick(tmp_path) as cart:
        assert cart.get("camera").json() == {"controls": []}
        assert "nothing of this camera" in cart.post("camera", {"control": "gain", "value": 1}).json()["detail"]
        monkeypatch.setattr(Supervised, "part", None)
        answer = cart.post("camera", {"control": "gain", "value": 1})
        assert (answer.status_code, "the camera is not there" in answer.json()["detail"]) == (503, True)
