"""From a camera's pixels to what the networks were trained to see: 256 x 256 RGB, antialiased bilinear."""

from __future__ import annotations

from concurrent.futures import Executor

import cv2
import numpy as np

from runtime.arrays import UInt8Array

SIDE = 256
"""Side of the networks' input in pixels."""
KEEP_AT_LEAST = 480
"""Frames are halved in exact 2 x 2 means while the shorter side stays at least this long. The last step is then
still a shrink by 1.9 or more, so that its triangle filter, the training side's, does most of the smoothing."""
TALLEST_SHARED = 65535
"""Rows up to which a place in a frame, in 1 / 256 of a row, is exact in Pillow's 24 bits."""
NEARLY_TWICE = 0.05
"""How far from exactly two the last shrink of a halved frame may be, to be done by fixed weights."""


def network_input(pixels: UInt8Array, helper: Executor | None = None) -> UInt8Array:
    """The networks' input for a frame.

    pixels: RGB, uint8 [H, W, 3]. helper: a thread that does half of it where that is a gain (`is_halved` says where
    not). Returns uint8 [1, 256, 256, 3].

    Up to 959 pixels on the shorter side it is the training side's resize itself (Pillow's), to the bit. Larger
    frames are halved first; on 2040 x 2040 frames that departs from one resize by 0.25 grey levels in the mean and
    by 7 at most, at the edge of the field (bounded in tests/runtime/test_preprocess.py).
    """
    halved = is_halved(pixels)
    while is_halved(pixels):
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if halved and all(abs(side / SIDE - 2) <= NEARLY_TWICE for side in pixels.shape[:2]):
        # At a shrink of two the triangle is 1 3 3 1, which is 1 2 1 and then the mean of two: a third of the time.
        soft = cv2.GaussianBlur(pixels, (3, 3), 0)
        return cv2.resize(soft, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)[np.newaxis]
    if halved or helper is None or pixels.shape[0] > TALLEST_SHARED:
        return _rows(pixels, 0, SIDE)[np.newaxis]
    lower = helper.submit(_rows, pixels, SIDE // 2, SIDE)
    upper = _rows(pixels, 0, SIDE // 2)
    return np.concatenate((upper, lower.result()))[np.newaxis]


def is_halved(pixels: UInt8Array) -> bool:
    """Whether a frame, RGB uint8 [H, W, 3], is large enough to be halved first."""
    return bool(min(pixels.shape[:2]) >= 2 * KEEP_AT_LEAST)


def _rows(pixels: UInt8Array, first: int, end: int) -> UInt8Array:
    """Some rows of the frame's antialiased bilinear resize to 256 x 256, uint8 [end - first, 256, 3].

    Only the rows of the frame that these are made of are handed to Pillow. Where they begin, in 1 / 256 of a row, is a
    number that its arithmetic holds exactly, so that the result is that of the whole frame to the bit.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    shrink = height / SIDE
    reach = int(max(shrink, 1.0)) + 2
    top = max(0, int(first * shrink) - reach)
    bottom = min(height, int(end * shrink) + reach)
    strip = Image.fromarray(pixels[top:bottom])
    box = (0, first * shrink - top, width, end * shrink - top)
    return np.asarray(strip.resize((SIDE, end - first), Image.Resampling.BILINEAR, box))
