"""What a capture hands over as the camera sent it (JPEG, YUV, four bytes a pixel), made RGB by our own code.

OpenCV's decoder makes a picture of a torn JPEG and says nothing; its conversion takes all YUV for BT.601 of limited
range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.jpeg import decode_jpeg
from device.cameras.codecs.refused import Damaged
from device.cameras.codecs.seams import damage_seen
from device.pixels import ROW_BYTES, ColourMatrix, Lying, PixelFormat, PixelsUnusable, Range, rgb

Makes = Callable[[NDArray[Any]], NDArray[np.uint8]]
"""RGB, uint8 [H, W, 3], from an array as OpenCV hands it over. Raises `Refused` or `PixelsUnusable`."""


def from_jpeg(data: NDArray[Any]) -> NDArray[np.uint8]:
    """data: the file's bytes, in whatever shape."""
    return decode_jpeg(np.asarray(data, np.uint8).tobytes())


def from_bgr(data: NDArray[Any]) -> NDArray[np.uint8]:
    """data: uint8 [H, W, 3], as OpenCV converts it."""
    _expect(data, "BGR", data.ndim == 3 and data.shape[2] == 3)
    return _whole(cv2.cvtColor(data, cv2.COLOR_BGR2RGB))


def from_four(code: int, name: str) -> Makes:
    """Of pixels of four bytes, the fourth of which counts for nothing; uint8 [H, W, 4]. code: OpenCV's conversion."""

    def make(data: NDArray[Any]) -> NDArray[np.uint8]:
        _expect(data, name, data.ndim == 3 and data.shape[2] == 4)
        return _whole(cv2.cvtColor(data, code))

    return make


def from_yuv(format_: PixelFormat, matrix: ColourMatrix, levels: Range) -> Makes:
    """Of NV12, uint8 [H * 3 / 2, W], or of YUYV and UYVY, uint8 [H, W, 2]; rows without padding."""

    def make(data: NDArray[Any]) -> NDArray[np.uint8]:
        if format_ is PixelFormat.NV12:
            _expect(data, format_.name, data.ndim == 2 and data.shape[0] % 3 == 0)
            height, width = data.shape[0] // 3 * 2, data.shape[1]
        else:
            _expect(data, format_.name, data.ndim == 3 and data.shape[2] == 2)
            height, width = data.shape[:2]
        lying = Lying(format_, width, height, width * ROW_BYTES[format_], matrix, levels)
        return _whole(rgb(np.ascontiguousarray(data).reshape(-1), lying))

    return make


def _expect(data: NDArray[Any], name: str, fits: bool) -> None:
    if not fits or data.dtype != np.uint8:
        raise PixelsUnusable(f"got {data.dtype} {list(data.shape)}, which is no {name}")


def _whole(picture: object) -> NDArray[np.uint8]:
    made = np.asarray(picture, np.uint8)
    seen = damage_seen(made, blocks=False, unchecked=True)
    if seen is not None:
        raise Damaged("frame", seen)
    return made
