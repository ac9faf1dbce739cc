"""`open_v4l2`: a UVC camera or frame grabber, with what it gives checked against what was asked."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import cv2

from device.cameras.opencv import v4l2
from device.cameras.opencv.camera import CaptureCamera
from device.cameras.opencv.config import V4L2Config
from device.cameras.opencv.controls import V4L2Controls
from device.cameras.opencv.unconverted import Makes, from_bgr, from_jpeg, from_yuv
from device.cameras.quiet import quiet
from device.errors import CameraError, Disconnected, FrameTimeout, SettingRefused, SourceNotFound
from device.pixels import ROW_BYTES, ColourMatrix, PixelFormat, Range

if TYPE_CHECKING:
    from device.cameras.mode import Mode

_TIMEOUT_S = 3
"""OpenCV waits ten seconds for a frame unless an environment variable says otherwise."""
_MANUAL_EXPOSURE = 1
_OLDEST_NS = 10_000_000_000
"""No first frame is older."""
_EXPOSURE_UNITS_PER_MS = 10
_RATE_TOLERANCE = 0.02
"""29.97 frames a second are 30."""
_MODES_SHOWN = 12


def open_v4l2(config: V4L2Config) -> CaptureCamera:
    """Open the camera and set it.

    Raises `SourceNotFound`, `CameraNotPermitted` or `CameraBusy` with the reason, and `SettingRefused` when it gives
    something else than was asked, with what it can do.
    """
    node = v4l2.check_usable(config.device)
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(_TIMEOUT_S))
    with quiet():
        capture = cv2.VideoCapture(config.device, cv2.CAP_V4L2)
    try:
        if not capture.isOpened():
            raise SourceNotFound(
                f"{config.device}: {node.name} does not open, though nothing else holds it; plug it in anew"
            )
        with quiet():
            _set(capture, config, node.modes)
            makes = _makes(capture, config)
    except BaseException:
        capture.release()
        raise
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    return CaptureCamera(
        capture,
        name=f"camera:{config.device}",
        label=os.path.basename(config.device),
        size=size,
        lost=lambda waited_s: _lost(config.device, waited_s),
        captured_ns=_KernelClock(),
        makes=makes,
        controls=V4L2Controls(config.device),
    )


def _set(capture: cv2.VideoCapture, config: V4L2Config, modes: tuple[Mode, ...]) -> None:
    """Set what was asked, the format first as the sizes and rates depend on it, then compare."""
    if config.fourcc is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc))
    for prop, asked in (
        (cv2.CAP_PROP_FRAME_WIDTH, config.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        (cv2.CAP_PROP_FPS, config.fps),
    ):
        if asked is not None:
            capture.set(prop, asked)
    given: dict[str, tuple[object, object, bool]] = {}
    if config.fourcc is not None:
        fourcc = _fourcc(capture)
        given["fourcc"] = (config.fourcc, fourcc, fourcc == config.fourcc)
    for name, prop in (("width", cv2.CAP_PROP_FRAME_WIDTH), ("height", cv2.CAP_PROP_FRAME_HEIGHT)):
        asked, got = getattr(config, name), int(capture.get(prop))
        given[name] = (asked, got, asked in (None, got))
    if config.fps is not None:
        rate = capture.get(cv2.CAP_PROP_FPS)
        given["fps"] = (f"{config.fps:g}", f"{rate:g}", abs(rate - config.fps) <= _RATE_TOLERANCE * config.fps)
    wrong = [f"set {name}={asked}, camera gave {got}" for name, (asked, got, right) in given.items() if not right]
    if wrong:
        raise SettingRefused(f"{config.device}: {'; '.join(wrong)}; {_can_do(modes)}")
    _set_exposure(capture, config)


_YUV = {"YUYV": PixelFormat.YUYV, "UYVY": PixelFormat.UYVY, "NV12": PixelFormat.NV12}
_OTHER_YUV = ("NV21", "YU12", "YV12", "YVYU", "VYUY", "422P", "411P", "NV16", "NV61", "P010")


def _makes(capture: cv2.VideoCapture, config: V4L2Config) -> Makes:
    """RGB of what this camera sends. JPEG and YUV are asked for as they are. Raises `SettingRefused`."""
    fourcc = _fourcc(capture)
    if fourcc in _OTHER_YUV:
        raise SettingRefused(
            f"{config.device}: camera gave {fourcc}, whose colours nobody converts here by its matrix; "
            "set fourcc=MJPG, YUYV, UYVY or NV12"
        )
    if fourcc not in _YUV:
        if (config.matrix or config.range) is not None:
            raise SettingRefused(f"{config.device}: set matrix or range, camera gave {fourcc}, which has none")
        jpeg = fourcc in ("MJPG", "JPEG") and bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        return from_jpeg if jpeg else from_bgr
    wire, form = v4l2.wire(config.device), _YUV[fourcc]
    matrix, levels = config.matrix or wire.matrix, config.range or wire.range
    if not (matrix and levels):
        raise SettingRefused(
            f"{config.device}: the driver does not say by which matrix and range its {fourcc} is made, and a guess "
            "would shift every colour; set matrix=bt601 or bt709, and range=limited or full, as the camera's maker says"
        )
    row_bytes = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)) * ROW_BYTES[form]
    if wire.stride not in (0, row_bytes):
        raise SettingRefused(
            f"{config.device}: rows of {wire.stride} bytes, expected {row_bytes} without padding; choose another width"
        )
    if not capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        raise SettingRefused(f"{config.device}: OpenCV does not hand over {fourcc} as it is; set fourcc=MJPG")
    return from_yuv(form, ColourMatrix[matrix.upper()], Range[levels.upper()])


def _fourcc(capture: cv2.VideoCapture) -> str:
    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")


def _set_exposure(capture: cv2.VideoCapture, config: V4L2Config) -> None:
    if config.exposure_ms is None:
        return
    units = round(config.exposure_ms * _EXPOSURE_UNITS_PER_MS)
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE)
    taken = capture.set(cv2.CAP_PROP_EXPOSURE, units)
    got = capture.get(cv2.CAP_PROP_EXPOSURE)
    if not taken or round(got) != units:
        gave = f"{got / _EXPOSURE_UNITS_PER_MS:g}" if taken and got > 0 else "no way to set it"
        raise SettingRefused(
            f"{config.device}: set exposure_ms={config.exposure_ms:g}, camera gave {gave}; "
            "set one within its range, or leave it out"
        )


def _can_do(modes: tuple[Mode, ...]) -> str:
    if not modes:
        return "it does not tell what it can do"
    listed = ", ".join(map(str, modes[:_MODES_SHOWN]))
    rest = f" and {len(modes) - _MODES_SHOWN} more" if len(modes) > _MODES_SHOWN else ""
    return f"it can do {listed}{rest}"


class _KernelClock:
    """The kernel's time stamp of a frame, where it is of the monotonic clock and so tells how long it was queued.

    Whether it is, the first frame shows, which is young. After that a stamp is believed however old it says that the
    frame is: a camera that went on queueing while nobody read must not have its old frames taken for new ones.
    """

    def __init__(self) -> None:
        self._believed: bool | None = None

    def __call__(self, capture: cv2.VideoCapture) -> int:
        now_ns = time.monotonic_ns()
        stamp_ns = int(capture.get(cv2.CAP_PROP_POS_MSEC) * 1_000_000)
        if self._believed is None:
            self._believed = 0 < stamp_ns <= now_ns and now_ns - stamp_ns < _OLDEST_NS
        return min(stamp_ns, now_ns) if self._believed else now_ns


def _lost(device: str, waited_s: float) -> CameraError:
    if not os.path.exists(device):
        return Disconnected(f"{device}: unplugged; plug it in again")
    if waited_s > 0.9 * _TIMEOUT_S:
        return FrameTimeout(f"{device}: no frame came in {waited_s:.1f} s; check the cable, or open it again")
    return Disconnected(f"{device}: the camera gives no more frames; check the cable, or open it again")
