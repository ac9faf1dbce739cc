"""Tiles of a TIFF that are not of their place: another one's, zeros, noise. Of a tile no byte says where it belongs.

What shows is a step along one side of a tile, which no eye has: its vessels do not keep to the sides of tiles.
"""

from __future__ import annotations

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
"""Largest step over the usual one, of shorter and of longer sides: 2.5 in frames as they are; 5.5 and 4.2 in those that
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
    starts = [at for at in range(0, width, length) if width - at >= min(length, _LONG)]
    most = 0.0
    for row in range(every, height - _NEAR, every):
        beside = pixels[row - _NEAR - 1 : row + _NEAR + 1].astype(np.int16)
        steps = np.abs(np.diff(beside, axis=0))
        lit = beside.max(axis=2) > _LIT
        lit_on_both = lit[: _NEAR + 1].any(axis=0) & lit[_NEAR + 1 :].any(axis=0)
        for at in starts:
            mean = steps[:, at : at + length].mean(axis=1)  # of each step and channel
            before, after = mean[:_NEAR].max(axis=0), mean[_NEAR + 1 :].max(axis=0)
            # The field's own border is a step beside black, so the quieter side counts where both are lit alone.
            inside = lit_on_both[at : at + length].mean() >= 0.95
            usual = np.minimum(before, after) if inside else np.maximum(before, after)
            most = max(most, float((mean[_NEAR] / (usual + _USUAL)).max()))
    return most
