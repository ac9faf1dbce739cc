"""`open_v4l2`: what was asked against what the camera gave, and how frames and faults come through."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from device import Disconnected, FrameTimeout, FrameUnreadable, SourceNotFound
from device.cameras.opencv import CaptureCamera, V4L2Config, device, open_v4l2, v4l2
from device.errors import FrameMisshapen, SettingRefused
from tests.device.cameras.opencv.kernel import Capture, Kernel, plug_in
from tests.pictures import retina


@pytest.fixture
def capture() -> Capture:
    return Capture()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capture: Capture) -> Kernel:
    return plug_in(monkeypatch, tmp_path, capture)


def opened(kernel: Kernel, settings: str = "") -> CaptureCamera:
    return open_v4l2(V4L2Config.parse(f"camera:{kernel.device}" + settings))


def test_a_number_is_a_device() -> None:
    assert V4L2Config.parse("camera:2").device == "/dev/video2"
    assert V4L2Config.parse("camera:/dev/v4l/by-id/eye,width=640").device == "/dev/v4l/by-id/eye"


def test_what_is_asked_is_set_and_the_format_comes_first(kernel: Kernel, capture: Capture) -> None:
    with opened(kernel, ",width=1280,height=720,fps=30,fourcc=MJPG,exposure_ms=12.5") as camera:
        assert camera.size == (1280, 720)
    assert [prop for prop, _ in capture.asked] == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_FPS,
        cv2.CAP_PROP_AUTO_EXPOSURE,
        cv2.CAP_PROP_EXPOSURE,
        cv2.CAP_PROP_CONVERT_RGB,
    ]
    assert (capture.automatic, capture.exposure) == (1, 125), "tenths of a millisecond, and no longer automatic"


def test_without_settings_the_camera_is_left_as_it_is(kernel: Kernel, capture: Capture) -> None:
    with opened(kernel) as camera:
        assert camera.size == (640, 480)
    assert capture.asked == [(cv2.CAP_PROP_CONVERT_RGB, 0)], "but for OpenCV, which is to hand over YUYV as it is"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (",width=1920,height=1080", "set width=1920, camera gave 640; set height=1080, camera gave 480"),
        (",width=640,height=480,fps=30", "set fps=30, camera gave 10"),
        (",fourcc=H264", "set fourcc=H264, camera gave YUYV"),
    ],
)
def test_what_the_camera_cannot_do_is_said_with_what_it_can(
    kernel: Kernel, capture: Capture, settings: str, words: str
) -> None:
    with pytest.raises(SettingRefused, match=words + ".*; it can do MJPG 1280x720 30/15 fps, MJPG 640x480 30 fps"):
        opened(kernel, settings)
    assert capture.released == 1


def test_a_rate_that_is_rounded_is_right(kernel: Kernel, capture: Capture) -> None:
    capture.set = lambda prop, value: True  # type: ignore[method-assign]
    capture.rate = 29.97
    opened(kernel, ",fps=30").close()


@pytest.mark.parametrize("exposure_ms", [0.2, 500])
def test_an_exposure_out_of_range_is_refused(kernel: Kernel, capture: Capture, exposure_ms: float) -> None:
    with pytest.raises(SettingRefused, match=rf"set exposure_ms={exposure_ms:g}, camera gave (0\.3|204\.7)"):
        opened(kernel, f",exposure_ms={exposure_ms}")
    assert capture.released == 1


def test_one_that_opencv_cannot_open_is_given_back(kernel: Kernel, capture: Capture) -> None:
    capture.opens = False
    with pytest.raises(SourceNotFound, match="Eye Camera does not open, though nothing else holds it"):
        opened(kernel)
    assert capture.released == 1


def test_frames_are_rgb_and_carry_the_kernels_time(kernel: Kernel, capture: Capture) -> None:
    capture.stamp_ms = time.monotonic() * 1000 - 40
    with opened(kernel) as camera:
        frame = camera.read()
    assert frame is not None
    assert np.abs(frame.pixels[0, 0].astype(int) - [10, 20, 200]).max() <= 2
    assert frame.source == "video0:0"
    assert 40 <= (time.monotonic_ns() - frame.captured_ns) / 1e6 < 5000
    assert frame.capture_ms >= 40


@pytest.mark.parametrize("stamp_ms", [0.0, -1.0, 1e15])
def test_a_time_stamp_of_another_clock_is_not_believed(kernel: Kernel, capture: Capture, stamp_ms: float) -> None:
    capture.stamp_ms = stamp_ms
    before = time.monotonic_ns()
    with opened(kernel) as camera:
        frame = camera.read()
    assert frame is not None
    assert frame.captured_ns >= before


def test_a_frame_that_was_queued_for_long_stays_old(kernel: Kernel, capture: Capture) -> None:
    """Though no first frame would be believed to be of that age."""
    capture.stamp_ms = time.monotonic_ns() / 1e6 - 40
    with opened(kernel) as camera:
        assert camera.read() is not None
        capture.stamp_ms -= 60_000
        frame = camera.read()
    assert frame is not None
    assert (time.monotonic_ns() - frame.captured_ns) / 1e9 >= 60


def test_a_frame_that_cannot_be_decoded_does_not_end_it(kernel: Kernel, capture: Capture) -> None:
    script = [True, None, cv2.error("broken JPEG"), True]
    capture.frames = lambda index: script[index]
    with opened(kernel) as camera:
        assert camera.read() is not None
        for sequence in (1, 2):
            with pytest.raises(FrameUnreadable, match=f"video0:{sequence}: the frame cannot be decoded"):
                camera.read()
        last = camera.read()
    assert last is not None
    assert last.sequence == 3


@pytest.mark.parametrize("shape", [(480, 642, 2), (480, 640), (480, 640, 4), (0, 640, 2)])
def test_a_frame_of_the_wrong_shape_is_refused(kernel: Kernel, capture: Capture, shape: tuple[int, ...]) -> None:
    capture.frames = lambda index: np.zeros(shape, np.uint8) if index == 1 else True
    with opened(kernel) as camera:
        camera.read()
        with pytest.raises(
            (FrameMisshapen, FrameUnreadable),
            match=r"video0:1: .*expected 640 x 480 as before|video0:1: the frame cannot",
        ):
            camera.read()
        assert camera.read() is not None


def test_an_unplugged_camera_is_told_from_a_silent_one(
    kernel: Kernel, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture.frames = lambda index: False
    with opened(kernel) as camera:
        with pytest.raises(Disconnected, match="gives no more frames"):
            camera.read()
        monkeypatch.setattr(device, "_TIMEOUT_S", 0.0)
        with pytest.raises(FrameTimeout, match="no frame came"):
            camera.read()
        kernel.device.unlink()
        with pytest.raises(Disconnected, match="video0: unplugged"):
            camera.read()
    assert capture.released == 1


def test_a_torn_mjpeg_frame_is_refused_and_the_next_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cv2.imencode(".jpg", retina(seed=2, width=640, height=480))[1].reshape(1, -1)
    torn = np.concatenate([whole[:, : whole.size // 2], whole[:, -2:]], axis=1)
    frames = [whole, torn, whole]
    kernel = plug_in(monkeypatch, tmp_path, Capture(fourcc="MJPG", frames=lambda index: frames[index]))
    with open_v4l2(V4L2Config(device=str(kernel.device))) as camera:
        assert camera.read() is not None
        with pytest.raises(FrameUnreadable, match="damaged"):
            camera.read()
        third = camera.read()
    assert third is not None
    assert third.sequence == 2


COLOUR = np.array([180, 90, 40])
"""Red, green, blue of a fundus."""


def _said(matrix: str, levels: str) -> tuple[int, ...]:
    """Y, Cb, Cr of `COLOUR` by ITU-R BT.601 and BT.709."""
    red, green, blue_ = COLOUR / 255
    by_red, by_blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    luma = by_red * red + (1 - by_red - by_blue) * green + by_blue * blue_
    cb, cr = (blue_ - luma) / (2 - 2 * by_blue), (red - luma) / (2 - 2 * by_red)
    scale = (16, 219, 224) if levels == "limited" else (0, 255, 255)
    return tuple(round(value) for value in (scale[0] + scale[1] * luma, 128 + scale[2] * cb, 128 + scale[2] * cr))


def _sent(fourcc: str, levels: tuple[int, ...]) -> np.ndarray:
    y, cb, cr = levels
    if fourcc == "NV12":
        planes = np.full((720, 640), y, np.uint8)
        planes[480:, 0::2], planes[480:, 1::2] = cb, cr
        return planes
    pair = (y, cb, y, cr) if fourcc == "YUYV" else (cb, y, cr, y)
    return np.tile(np.array(pair, np.uint8), (480, 320)).reshape(480, 640, 2)


REC709, JPEG, SMPTE170M, BT2020, OFF = 3, 7, 1, 10, 0


@pytest.mark.parametrize("fourcc", ["YUYV", "UYVY", "NV12"])
@pytest.mark.parametrize(
    ("wire", "settings", "matrix", "levels"),
    [
        ((0, SMPTE170M, v4l2._EXTENDED, 0, 0), "", "bt601", "limited"),
        ((0, REC709, v4l2._EXTENDED, 0, 0), "", "bt709", "limited"),
        ((0, JPEG, 0, 0, 0), "", "bt601", "full"),
        ((0, SMPTE170M, v4l2._EXTENDED, 2, 1), "", "bt709", "full"),
        ((0, SMPTE170M, OFF, 2, 1), "", "bt601", "limited"),
        ((0, BT2020, v4l2._EXTENDED, 1, 0), "", "bt601", "limited"),
        ((0, SMPTE170M, v4l2._EXTENDED, 0, 0), ",matrix=bt709,range=full", "bt709", "full"),
        ((0, OFF, OFF, 0, 0), ",matrix=bt601,range=full", "bt601", "full"),
    ],
)
def test_yuv_is_made_rgb_by_what_the_driver_says_or_the_settings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fourcc: str,
    wire: tuple[int, ...],
    settings: str,
    matrix: str,
    levels: str,
) -> None:
    sent = _sent(fourcc, _said(matrix, levels))
    kernel = plug_in(monkeypatch, tmp_path, Capture(fourcc=fourcc, frames=lambda index: sent))
    kernel.wire = wire
    with opened(kernel, settings) as camera:
        frame = camera.read()
    assert frame is not None
    assert frame.pixels.shape == (480, 640, 3)
    assert np.abs(frame.pixels.astype(int) - COLOUR).max() <= 2


@pytest.mark.parametrize(
    ("fourcc", "wire", "settings", "words"),
    [
        ("YUYV", (0, OFF, OFF, 0, 0), "", "does not say by which matrix and range its YUYV is made"),
        ("NV12", (0, BT2020, v4l2._EXTENDED, 0, 0), "", "does not say by which matrix"),
        ("UYVY", (0, OFF, OFF, 0, 0), ",matrix=bt601", "does not say by which matrix and range its UYVY"),
        ("YUYV", (1408, SMPTE170M, OFF, 0, 0), "", "rows of 1408 bytes, expected 1280 without padding"),
        ("NV21", (0, SMPTE170M, OFF, 0, 0), "", "camera gave NV21, whose colours nobody converts here"),
        ("YU12", (0, SMPTE170M, OFF, 0, 0), ",matrix=bt601,range=full", "camera gave YU12"),
        ("MJPG", (0, SMPTE170M, OFF, 0, 0), ",range=full", "set matrix or range, camera gave MJPG, which has none"),
    ],
)
def test_colours_that_would_be_guessed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fourcc: str, wire: tuple[int, ...], settings: str, words: str
) -> None:
    capture = Capture(fourcc=fourcc)
    kernel = plug_in(monkeypatch, tmp_path, capture)
    kernel.wire = wire
    with pytest.raises(SettingRefused, match=words):
        opened(kernel, settings)
    assert capture.released == 1


def test_a_driver_that_tells_no_format_leaves_the_colours_to_the_settings(
    kernel: Kernel, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = kernel.ioctl

    def silent(file: int, request: int, answer: bytearray) -> int:
        if request == v4l2.G_FMT:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        return known(file, request, answer)

    monkeypatch.setattr(v4l2, "_ioctl", silent)
    with pytest.raises(SettingRefused, match="set matrix=bt601 or bt709"):
        opened(kernel)
    with opened(kernel, ",matrix=bt601,range=limited") as camera:
        assert camera.read() is not None
