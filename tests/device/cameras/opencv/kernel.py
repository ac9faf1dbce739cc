"""A kernel with one V4L2 camera, and a `cv2.VideoCapture` on it, for machines that have none."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.cameras.opencv import v4l2
from device.cameras.opencv.controls import G_CTRL, QUERYCTRL, S_CTRL

MODES: dict[str, dict[tuple[int, int], tuple[float, ...]]] = {
    "MJPG": {(1280, 720): (30.0, 15.0), (640, 480): (30.0,)},
    "YUYV": {(640, 480): (10.0,)},
}
CAPTURE = 0x1
METADATA = 0x00800000


@dataclass
class Kernel:
    """Answers the ioctls of `v4l2`; `device` is a file that takes the camera's place."""

    device: Path
    card: bytes = b"Eye Camera"
    capabilities: int = CAPTURE
    busy: bool = False
    is_camera: bool = True
    wire: tuple[int, ...] = (0, 8, v4l2._EXTENDED, 0, 0)
    """What VIDIOC_G_FMT says: bytes a row, colour space (8: sRGB, as UVC cameras say), whether the rest counts, matrix,
    range."""
    controls: dict[int, list[int]] = field(default_factory=dict)
    """By number: lowest, highest, step, value, flags."""
    takes: Callable[[int, int], int | None] = lambda number, value: value
    """What a control becomes when it is set; None: refused."""

    def ioctl(self, file: int, request: int, answer: bytearray) -> int:
        if not self.is_camera:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        if request == v4l2.QUERYCAP:
            numbers = (1, CAPTURE | 0x80000000, self.capabilities)
            struct.pack_into("16s32s32s3I", answer, 0, b"uvcvideo", self.card, b"usb-1.2", *numbers)
        elif request == v4l2.REQBUFS:
            if self.busy:
                raise OSError(errno.EBUSY, "Device or resource busy")
        elif request == v4l2.G_FMT:
            stride, space, extended, encoding, levels = self.wire
            struct.pack_into(
                "12I", answer, v4l2._POINTER, 0, 0, 0, 1, stride, 0, space, extended, 0, encoding, levels, 0
            )
        elif request == v4l2.ENUM_FMT:
            name = self._at(list(MODES), struct.unpack_from("I", answer)[0])
            answer[44:48] = name.encode()
        elif request == v4l2.ENUM_FRAMESIZES:
            index, fourcc = struct.unpack_from("I4s", answer)
            struct.pack_into("3I", answer, 8, 1, *self._at(list(MODES[fourcc.decode()]), index))
        elif request == v4l2.ENUM_FRAMEINTERVALS:
            index, fourcc, width, height = struct.unpack_from("I4sII", answer)
            rate = self._at(list(MODES[fourcc.decode()][width, height]), index)
            struct.pack_into("3I", answer, 16, 1, 1, int(rate))
        elif request == QUERYCTRL:
            low, high, step, _, flags = self._control(answer)
            struct.pack_into("iiiiI", answer, 40, low, high, step, low, flags)
        elif request == G_CTRL:
            struct.pack_into("i", answer, 4, self._control(answer)[3])
        elif request == S_CTRL:
            number, value = struct.unpack_from("Ii", answer)
            taken = self.takes(number, value)
            if taken is None:
                raise OSError(errno.EINVAL, "Invalid argument")
            self._control(answer)[3] = taken
        else:
            raise AssertionError(hex(request))
        return 0

    def _control(self, answer: bytearray) -> list[int]:
        (number,) = struct.unpack_from("I", answer)
        if number not in self.controls:
            raise OSError(errno.EINVAL, "Invalid argument")
        return self.controls[number]

    @staticmethod
    def _at(values: list, index: int):  # type: ignore[type-arg, no-untyped-def]
        if index >= len(values):
            raise OSError(errno.EINVAL, "Invalid argument")
        return values[index]


def _packed(first: int) -> Callable[[np.ndarray], np.ndarray]:
    """BT.601 of limited range, uint8 [H, W, 2] of a picture of one colour. first: where luma lies in each pair."""

    def pack(bgr: np.ndarray) -> np.ndarray:
        y, cr, cb = _levels(bgr)
        packed = np.empty((*bgr.shape[:2], 2), np.uint8)
        packed[..., first], packed[:, 0::2, 1 - first], packed[:, 1::2, 1 - first] = y, cb, cr
        return packed

    return pack


def _planar(bgr: np.ndarray) -> np.ndarray:
    height, width = bgr.shape[:2]
    y, cr, cb = _levels(bgr)
    planes = np.full((height * 3 // 2, width), y, np.uint8)
    planes[height:, 0::2], planes[height:, 1::2] = cb, cr
    return planes


def _levels(bgr: np.ndarray) -> tuple[int, int, int]:
    blue_, green, red = (float(level) / 255 for level in bgr[0, 0])
    luma = 0.299 * red + 0.587 * green + 0.114 * blue_
    chroma = ((red - luma) / 1.402, (blue_ - luma) / 1.772)
    return round(16 + 219 * luma), round(128 + 224 * chroma[0]), round(128 + 224 * chroma[1])


YUV: dict[str, Callable[[np.ndarray], np.ndarray]] = {"YUYV": _packed(0), "UYVY": _packed(1), "NV12": _planar}
"""What a camera sends of a picture of one colour, BGR uint8 [H, W, 3]."""


def blue(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), (200, 20, 10), np.uint8)


@dataclass
class Capture:
    """Stands in for `cv2.VideoCapture` on V4L2: takes the settings that the camera has, and gives scripted frames."""

    opens: bool = True
    fourcc: str = "YUYV"
    size: tuple[int, int] = (640, 480)
    rate: float = 30.0
    exposure: float = 157.0
    automatic: float = 3.0
    stamp_ms: float = 0.0
    frames: Callable[[int], object] = lambda index: True
    asked: list[tuple[int, float]] = field(default_factory=list)
    released: int = 0
    converts: bool = True
    """Whether it decodes MJPEG itself, as OpenCV does unless told not to."""
    read: int = 0

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        if prop == cv2.CAP_PROP_FOURCC:
            fourcc = int(value).to_bytes(4, "little").decode()
            self.fourcc = fourcc if fourcc in MODES else self.fourcc
        elif prop == cv2.CAP_PROP_CONVERT_RGB:
            self.converts = bool(value)
        elif prop == cv2.CAP_PROP_FRAME_WIDTH:
            self.size = min(MODES[self.fourcc], key=lambda size: abs(size[0] - value))
        elif prop == cv2.CAP_PROP_FPS:
            self.rate = min(MODES[self.fourcc][self.size], key=lambda rate: abs(rate - value))
        elif prop == cv2.CAP_PROP_AUTO_EXPOSURE:
            self.automatic = value
        elif prop == cv2.CAP_PROP_EXPOSURE:
            if self.automatic != 1:
                return False
            self.exposure = min(max(value, 3), 2047)
        return True

    def get(self, prop: int) -> float:
        return {
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*self.fourcc)),
            cv2.CAP_PROP_FRAME_WIDTH: float(self.size[0]),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self.size[1]),
            cv2.CAP_PROP_FPS: self.rate,
            cv2.CAP_PROP_EXPOSURE: self.exposure,
            cv2.CAP_PROP_POS_MSEC: self.stamp_ms,
        }[prop]

    def grab(self) -> bool:
        self.next = self.frames(self.read)
        self.read += 1
        return self.next is not False

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if isinstance(self.next, Exception):
            raise self.next
        picture = self.next if isinstance(self.next, np.ndarray) else blue(*self.size) if self.next else None
        if picture is None:
            return False, None
        if self.converts or picture.ndim != 3:
            return True, picture
        if self.fourcc in YUV:
            return True, YUV[self.fourcc](picture) if picture.shape[2] == 3 else picture
        return True, cv2.imencode(".jpg", picture)[1].reshape(1, -1)

    def release(self) -> None:
        self.released += 1


def plug_in(monkeypatch: pytest.MonkeyPatch, folder: Path, capture: Capture | None = None) -> Kernel:
    """A machine whose only camera is at `kernel.device`; OpenCV opens it as `capture`."""
    device = folder / "video0"
    device.symlink_to("/dev/null")  # a character device that anybody may open
    kernel = Kernel(device)
    monkeypatch.setattr(v4l2, "_ioctl", kernel.ioctl)
    monkeypatch.setattr(v4l2, "nodes", lambda: [os.fspath(device)])
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture or Capture())
    return kernel
