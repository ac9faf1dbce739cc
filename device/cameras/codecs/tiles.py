"""Tiles of a TIFF that are not of their place: another one's, zeros, noise. Of a tile no byte says where it belongs.

What shows is a step along one side of a tile, which no eye has: its vessels do not keep to the sides of tiles.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEAST = 64
"""Tiles with a shorter side than this are not looked at: a vessel may lie along so much."""
_NEAR = 3
"""A step is held against so many on either side of it."""
_USUAL = 1.5
"""Added to those, in levels: steps far below it are rounding."""
_LIT = 24
_STEP_MAX, _LONG, _LONG_STEP_MAX = 8.0, 128, 5.0
"""Largest step over the usual one, of shorter and of longer sides: 2.8 in frames as they are; 5.5 and 4.2 in those that
were a JPEG of quality 15 before, 6.8 and 2.5 in drawn ones, whose vessels are straight."""


def tile_score(pixels: NDArray[np.uint8], tile: tuple[int, int]) -> float:
    """How much the sharpest step along a side of a tile stands out; over 1 none of an undamaged eye lies.

    pixels: RGB, uint8 [H, W, 3], as stored; tile: width and height.
    """
    across, down = tile
    if min(across, down) < _LEAST:
        return 0.0
    along_rows, along_columns = _along(pixels, down, across), _along(pixels.transpose(1, 0, 2), across, down)
    return max(along_rows / _limit(across), along_columns / _limit(down))


def _limit(length: int) -> float:
    return _LONG_STEP_MAX if length >= _LONG else _STEP_MAX


def _along(pixels: NDArray[np.uint8], every: int, length: int) -> float:
    """The same, of the sides that lie along rows: one each `every` rows, in pieces of `length` pixels."""
    height, width = pixels.shape[:2]
    sides = np.arange(every, height - _NEAR, every)
    whole = width // length * length
    pieces = [(0, whole, length)] * (whole > 0) + [(whole, width, width - whole)] * (
        width - whole >= min(length, _LONG)
    )
    if not len(sides) or not pieces:
        return 0.0
    beside = sides[:, None] + np.arange(-_NEAR - 1, _NEAR + 1)
    rows = [
        np.ascontiguousarray(pixels[beside.ravel(), :, channel]).reshape(len(sides), -1, width) for channel in range(3)
    ]
    brightest = np.maximum(np.maximum(rows[0], rows[1]), rows[2])
    lit = (brightest[:, : _NEAR + 1].max(axis=1) > _LIT) & (brightest[:, _NEAR + 1 :].max(axis=1) > _LIT)
    most = 0.0
    for begin, end, each in pieces:
        # The field's own border is a step beside black, so the quieter side counts where both are lit alone.
        inside = lit[:, begin:end].reshape(len(sides), -1, each).mean(axis=2) >= 0.95
        for one in rows:
            steps = cv2.absdiff(one[:, 1:, begin:end].reshape(-1, each), one[:, :-1, begin:end].reshape(-1, each))
            mean = cv2.reduce(steps, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).reshape(len(sides), 2 * _NEAR + 1, -1)
            before, after = mean[:, :_NEAR].max(axis=1), mean[:, _NEAR + 1 :].max(axis=1)
            usual = np.where(inside, np.minimum(before, after), np.maximum(before, after))
            most = max(most, float((mean[:, _NEAR] / (usual + _USUAL)).max()))
    return most
