"""From a camera's pixels to what the networks were trained to see: 256 x 256 RGB, antialiased bilinear."""

from __future__ import annotations

import cv2
import numpy as np

from runtime.arrays import UInt8Array

SIDE = 256
"""Side of the networks' input in pixels."""
KEEP_AT_LEAST = 480
"""Frames are halved in exact 2 x 2 means while the shorter side stays at least this long. The last step is then
still a shrink by 1.9 or more, so that its triangle filter, the training side's, does most of the smoothing."""

NEARLY_TWICE = 0.05
"""How far from exactly two the last shrink of a halved frame may be, to be done by fixed weights."""


def network_input(pixels: UInt8Array) -> UInt8Array:
    """The networks' input for a frame.

    pixels: RGB, uint8 [H, W, 3]. Returns uint8 [1, 256, 256, 3].

    Up to 959 pixels on the shorter side it is the training side's resize itself (Pillow's), to the bit. Larger
    frames are halved first; on 2040 x 2040 frames that departs from one resize by 0.25 grey levels in the mean and
    by 7 at most, at the edge of the field (bounded in tests/runtime/test_preprocess.py).
    """
    from PIL import Image

    halved = False
    while min(pixels.shape[:2]) >= 2 * KEEP_AT_LEAST:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        halved = True
    if halved and all(abs(side / SIDE - 2) <= NEARLY_TWICE for side in pixels.shape[:2]):
        # At a shrink of two the triangle is 1 3 3 1, which is 1 2 1 and then the mean of two: a third of the time.
        soft = cv2.GaussianBlur(pixels, (3, 3), 0)
        return cv2.resize(soft, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)[np.newaxis]
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image)[np.newaxis]
