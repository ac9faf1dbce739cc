"""Exposure, focus and gain of a V4L2 camera while it streams, on a stand-in for the kernel."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from device.cameras.controls import Adjustable
from device.cameras.open import open_camera
from device.cameras.opencv.controls import V4L2Controls
from device.errors import Disconnected, SettingRefused, SourceNotFound
from tests.device.cameras.opencv.kernel import Kernel, plug_in

EXPOSURE, BY, FOCUS, AF, GAIN = 0x009A0902, 0x009A0901, 0x009A090A, 0x009A090C, 0x00980913


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    made = plug_in(monkeypatch, tmp_path)
    made.controls = {
        EXPOSURE: [3, 2047, 1, 157, 0x10],
        BY: [0, 3, 1, 3, 0],
        FOCUS: [0, 250, 5, 30, 0],
        AF: [0, 1, 1, 0, 0],
        GAIN: [0, 100, 1, 12, 0],
    }
    return made


def test_what_the_driver_has_is_told_with_its_range_and_unit(kernel: Kernel) -> None:
    exposure, focus, gain = V4L2Controls(str(kernel.device)).controls()
    assert (exposure.low, exposure.high, exposure.step, exposure.value) == (0.3, 204.7, 0.1, 15.7)
    assert (exposure.unit, exposure.automatic) == ("ms", True)
    assert (focus.low, focus.high, focus.step, focus.value, focus.automatic) == (0, 250, 5, 30, False)
    assert (gain.value, gain.automatic) == (12, None)


@pytest.mark.parametrize("flags", [1, 4, 5], ids=["disabled", "read-only", "both"])
def test_a_control_that_nobody_may_set_is_none(kernel: Kernel, flags: int) -> None:
    kernel.controls[FOCUS][4] = flags
    kernel.controls.pop(GAIN)
    assert [one.name for one in V4L2Controls(str(kernel.device)).controls()] == ["exposure"]


def test_a_value_ends_what_the_camera_did_by_itself_and_none_begins_it(kernel: Kernel) -> None:
    controls = V4L2Controls(str(kernel.device))
    taken = controls.adjust("exposure", 8.04)
    assert (kernel.controls[EXPOSURE][3], kernel.controls[BY][3]) == (80, 1)
    assert (taken.value, taken.automatic) == (8.0, False)
    assert controls.adjust("exposure", None).automatic
    assert kernel.controls[BY][3] == 3
    kernel.takes = lambda number, value: None if (number, value) == (BY, 3) else value  # it knows `auto` only
    kernel.controls[BY][3] = 1
    assert controls.adjust("exposure", None).automatic
    assert kernel.controls[BY][3] == 0
    assert controls.adjust("focus", 33).value == 35  # in the driver's own steps


def no(number: int, value: int) -> None:
    return None


@pytest.mark.parametrize(
    ("name", "value", "takes", "said"),
    [
        ("exposure", 300.0, None, r"exposure=300: it can do 0\.3 to 204\.7 ms"),
        ("exposure", float("nan"), None, "it can do"),
        ("gain", -1.0, None, "it can do 0 to 100"),
        ("gain", None, None, "cannot set it by itself"),
        ("iris", 1.0, None, "expected one of exposure, focus, gain; this camera has exposure, focus, gain"),
        ("gain", 50.0, no, r"refused it \(Invalid argument\)"),
        ("gain", 50.0, lambda number, value: 40, "set gain=50, camera gave 40"),
        ("focus", None, lambda number, value: 0, "does not set it by itself"),
    ],
)
def test_what_the_camera_cannot_do_is_refused_in_words(
    kernel: Kernel, name: str, value: float | None, takes: Any, said: str
) -> None:
    kernel.takes = takes or kernel.takes
    with pytest.raises(SettingRefused, match=said):
        V4L2Controls(str(kernel.device)).adjust(name, value)


def test_they_are_turned_through_the_open_camera_and_not_once_it_is_closed(kernel: Kernel) -> None:
    with open_camera(f"camera:{kernel.device}") as camera:
        assert isinstance(camera, Adjustable)
        assert camera.adjust("gain", 7).value == 7
        assert [one.value for one in camera.controls()] == [15.7, 30, 7]
    assert camera.controls() == ()
    with pytest.raises(Disconnected, match="closed"):
        camera.adjust("gain", 8)


def test_a_camera_that_is_unplugged_meanwhile_says_so(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> int:
        raise OSError(errno.ENODEV, "No such device")

    with open_camera(f"camera:{kernel.device}") as camera:
        assert isinstance(camera, Adjustable)
        kernel.device.unlink()
        with pytest.raises(SourceNotFound, match="no such camera"):
            camera.adjust("gain", 8)
