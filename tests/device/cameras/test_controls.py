"""The controls of the simulated cameras are seen in their pictures, and a camera that comes back is turned again."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device import SimulatedCamera, SimulatedConfig
from device.cameras.controls import Adjustable, adjust, controls_of
from device.cameras.simulated.lit import LitCamera
from device.errors import Disconnected, SettingRefused
from device.frame import Frame
from device.lamp import Lamp
from device.live import LiveReader
from device.live.config import LiveConfig

SMALL = SimulatedConfig(seed=3, size=(160, 120))


def taken(camera: SimulatedCamera) -> np.ndarray:
    frame = camera.read()
    assert frame is not None
    return frame.pixels


def test_a_camera_that_nobody_turned_gives_what_it_always_gave() -> None:
    with SimulatedCamera(SMALL) as camera:
        assert isinstance(camera, Adjustable)
        assert np.array_equal(taken(camera), camera.render(0)[0])
        camera.adjust("gain", 6)
        camera.adjust("gain", 0)
        camera.adjust("exposure", 5)
        camera.adjust("exposure", None)
        assert np.array_equal(taken(camera), camera.render(1)[0])


def test_exposure_and_gain_make_it_brighter_and_focus_makes_it_blurred() -> None:
    with SimulatedCamera(SMALL) as camera:
        usual = taken(camera).mean()
        camera.adjust("exposure", 10)
        assert taken(camera).mean() == pytest.approx(usual / 2, rel=0.1)
        camera.adjust("gain", 6.02)
        assert taken(camera).mean() == pytest.approx(usual, rel=0.1)
        sharp = np.abs(np.diff(taken(camera).astype(int), axis=1)).mean()
        camera.adjust("focus", 90)
        assert np.abs(np.diff(taken(camera).astype(int), axis=1)).mean() < 0.6 * sharp
        for name, value in (("focus", 101), ("gain", -1), ("exposure", 0.01), ("focus", None), ("zoom", 1)):
            with pytest.raises(SettingRefused):
                camera.adjust(name, value)


def test_a_lit_camera_holds_less_of_a_flash_the_shorter_it_exposes() -> None:
    with LitCamera(lambda: Lamp(led_level=0, flashes=()), SimulatedConfig(seed=1, size=(64, 48), fps=10)) as camera:
        before = camera._exposure_ns
        assert controls_of(camera)[0].value * 1e6 == before
        camera.adjust("exposure", 20)
        assert camera._exposure_ns == 20_000_000


class Flaky(SimulatedCamera):
    """Is lost after some frames."""

    lost_at = 3

    def read(self) -> Frame | None:
        if self._next >= self.lost_at:
            raise Disconnected("the cable is out")
        return super().read()


def test_a_live_camera_is_turned_again_when_it_was_lost_and_is_back() -> None:
    made: list[Flaky] = []

    def open_it() -> Flaky:
        camera = Flaky(SimulatedConfig(seed=3, size=(64, 48), fps=50))
        camera.lost_at = camera.lost_at if not made else 10**9
        made.append(camera)
        return camera

    with LiveReader(open_it, "flaky", LiveConfig(first_retry_s=0.01)) as reader:
        assert reader.adjust("gain", 6).value == 6
        deadline = time.monotonic() + 300
        while not reader.counts.reconnects and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(made) == 2
        for camera in (made[1], reader):
            assert {one.name: one.value for one in camera.controls()}["gain"] == 6


def test_a_camera_without_controls_says_so_in_words() -> None:
    assert controls_of(object()) == ()
    with pytest.raises(SettingRefused, match="eye: nothing of this camera can be set while it runs"):
        adjust(object(), "gain", 1, "eye")
