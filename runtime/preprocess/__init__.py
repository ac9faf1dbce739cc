"""From a camera's pixels to what the networks were trained to see: 256 x 256 RGB, antialiased bilinear.

The result is part of the bundle's contract, and the same to the bit on every machine: that of Pillow 12.3's
`reduce(factor)` (only where `reduction` says more than one) and `resize((256, 256), BILINEAR)`, whatever Pillow is
installed. tests/runtime/preprocess/golden.json holds it. The training side and calibration use this function too.
"""

from __future__ import annotations

import numpy as np

from device.compiled import of_these_sources
from runtime.arrays import UInt8Array, require_rgb
from runtime.preprocess import plain
from runtime.preprocess.weights import SIDE, weights_for

try:
    from runtime.preprocess import _kernel
except ImportError:  # built without a compiler: the same numbers, later
    _kernel = None  # type: ignore[assignment]
else:
    if not of_these_sources(_kernel):
        _kernel = None  # type: ignore[assignment]

__all__ = ["SIDE", "compiled", "network_input", "reduction"]

KEEP_AT_LEAST = 480
"""Large frames are reduced by a whole number first; their shorter side stays at least this long. The last step is then
still a shrink by 1.9 or more, so that its triangle filter, the training side's, does most of the smoothing."""
LARGEST_REDUCTION = 16
TALL = 100
"""Frames over so many times as high as wide are made 256 high first, as the training side's resize does."""


def network_input(pixels: UInt8Array) -> UInt8Array:
    """The networks' input for a frame: RGB, uint8 [H, W, 3] to [1, 256, 256, 3].

    Up to 959 pixels on the shorter side it is the training side's antialiased bilinear resize to the bit. Larger
    frames are first reduced by a whole number; on 2040 x 2040 frames of infants that departs from one resize by
    0.17 grey levels in the mean and by 6 at most (bounded in tests/runtime/preprocess/). Raises `ValueError` for what
    is no such frame.
    """
    require_rgb(pixels)
    height, width = pixels.shape[:2]
    if _kernel is not None and height <= TALL * width:
        out = np.empty((1, SIDE, SIDE, 3), np.uint8)
        _kernel.resize(np.ascontiguousarray(pixels), out, (height, width))
        return out
    factor = reduction(pixels)
    rows, columns = -(-height // factor), -(-width // factor)
    across, down = weights_for(columns, width / factor), weights_for(rows, height / factor)
    pixels = np.ascontiguousarray(pixels)
    if factor > 1:
        pixels = plain.reduced(pixels, factor)
    if height > TALL * width and height > SIDE:
        return plain.across(plain.down(pixels, down), across)[np.newaxis]
    return plain.down(plain.across(pixels, across), down)[np.newaxis]


def reduction(pixels: UInt8Array) -> int:
    """How many pixels of each direction become one before the resize."""
    shorter = int(min(pixels.shape[:2]))
    return min(max(shorter // KEEP_AT_LEAST, 1), LARGEST_REDUCTION)


def compiled() -> bool:
    """Whether the compiled kernel is there. Without it the numbers are the same and come milliseconds later."""
    return _kernel is not None
