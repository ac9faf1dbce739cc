"""Lossy WebP by the libwebp that Pillow carries, asked piece by piece: so that one decoding gives the pixels and tells
whether the last bytes were needed."""

from __future__ import annotations

import functools
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint8, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.loaded import declared_library

_RGB, _WHOLE, _MORE_IS_NEEDED = 0, 0, 5


@functools.cache
def _library() -> Any:
    """The library with its functions declared; None where it is not found in this process."""
    from PIL import _webp  # noqa: F401  (it loads the library)

    return declared_library(
        "libwebp",
        (
            ("WebPINewRGB", c_void_p, [c_int, POINTER(c_uint8), c_size_t, c_int]),
            ("WebPIAppend", c_int, [c_void_p, c_char_p, c_size_t]),
            ("WebPIDelete", None, [c_void_p]),
            ("WebPDecodeYUVInto", c_void_p, [c_char_p, c_size_t, *[c_void_p, c_size_t, c_int] * 3]),
        ),
    )


def is_there() -> bool:
    """Whether libwebp can be asked."""
    return _library() is not None


def decoded(data: bytes, size: tuple[int, int], last: int) -> tuple[NDArray[np.uint8] | None, bool]:
    """The pixels, RGB, uint8 [H, W, 3], None for none; and whether the picture was there before its `last` bytes.

    size: width and height of the picture.
    """
    width, height = size
    pixels = np.empty((height, width, 3), np.uint8)
    decoder = _library().WebPINewRGB(_RGB, pixels.ctypes.data_as(POINTER(c_uint8)), pixels.nbytes, 3 * width)
    try:
        before = _library().WebPIAppend(decoder, data[:-last], len(data) - last)
        if before != _MORE_IS_NEEDED:
            return None, before == _WHOLE
        whole = _library().WebPIAppend(decoder, data[-last:], last) == _WHOLE
        return pixels if whole else None, False
    finally:
        _library().WebPIDelete(decoder)


def decodes(data: bytes, size: tuple[int, int]) -> bool:
    """Whether the decoder makes a picture of it, which is thrown away: its colours are not made, which is quicker."""
    width, height = size
    half = (height + 1) // 2, (width + 1) // 2
    planes = [np.empty(shape, np.uint8) for shape in ((height, width), half, half)]
    given = [value for plane in planes for value in (plane.ctypes.data, plane.nbytes, plane.shape[1])]
    return bool(_library().WebPDecodeYUVInto(data, len(data), *given))
