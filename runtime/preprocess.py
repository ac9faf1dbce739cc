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


def network_input(pixels: UInt8Array) -> UInt8Array:
    """The networks' input for a frame.

    pixels: RGB, uint8 [H, W, 3]. Returns uint8 [1, 256, 256, 3].

    Up to 959 pixels on the shorter side it is the training side's resize itself (Pillow's), to the bit. Larger
    frames are halved first; how far that departs from one resize is measured by tests/runtime/test_preprocess.py.
    """
    from PIL import Image

    while min(pixels.shape[:2]) >= 2 * KEEP_AT_LEAST:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image)[np.newaxis]
