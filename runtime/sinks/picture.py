"""Shrinking and encoding pictures for the eye."""

from __future__ import annotations

import cv2
import numpy as np

from device.cameras.codecs.own import marked
from runtime.arrays import UInt8Array
from runtime.errors import OutputError


def shrink(pixels: UInt8Array, longest: int) -> UInt8Array:
    """The picture, [H, W, 3], with its longer side at most `longest`; never enlarged, never less than one pixel.

    Far larger pictures are thinned first: the average then still takes at least two samples a pixel each way.
    """
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    step = int(1 / scale) // 2
    if step > 1:
        pixels = np.ascontiguousarray(pixels[::step, ::step])
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encode(pixels: UInt8Array, ending: str, quality: int = 90, *, drawn: bool = True) -> bytes:
    """The picture, RGB [H, W, 3] or grey [H, W], as a file of the format named by `ending`; `quality` is JPEG's.

    drawn: it is of a reading, and marked as such, so that it is never read as a frame.
    """
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(ending, stored, [cv2.IMWRITE_JPEG_QUALITY, quality] if ending == ".jpg" else [])
    if not done:
        raise OutputError(f"OpenCV could not encode a {ending} of {list(pixels.shape)}; report this fault")
    return marked(data.tobytes()) if drawn else data.tobytes()
