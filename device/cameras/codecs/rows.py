"""Rows of a picture that are not its own, for formats of which no byte tells of damage (BMP, PPM, raw TIFF and DICOM).

A sector of a disk that holds zeros, other data or another picture's makes a step from one row to the next over its
whole length. The steps of an eye, drawn by a lens, grow over several rows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_PART = 128
"""About so many pixels along a row are looked at as one; a sector of 512 bytes is 170 pixels of colour."""
_SAMPLES = 32
"""Of each part."""
_NEAR = 6
"""A step is held against those of so many rows before and after it."""
_REACH = 8
"""It counts where something is lit within so many rows on both sides: the field's own border is a step, too."""
_LIT = 24
_NOISE = 1.5
"""Added to the usual step, three channels' levels: steps far below it are rounding."""
_STILL = 0.1
"""Usual steps under this are of a drawing or of nothing."""
STEP_MAX = 6.0
"""Largest step over the usual one near it: of 340 frames none has 4, their copies in strong JPEG 6.7 at its blocks."""
_USUAL = 0.7
"""The quantile of the steps near one that is the usual one: two bands of other rows may lie among them, and where each
row is there twice half of the steps are none."""
_FAR, _OF_FAR = 64, 2.0
"""Noise of several rows makes steps as large as its first one, so that none stands out among those near it. Twice the
usual one of so many rows before and after is the usual one where it is less, and they are of no drawing."""
_AT_BLOCKS = 1.5
"""Times that at every eighth row, where a picture that was a JPEG before may have a step."""

_ZERO_ROWS = 12
"""Rows of zeros at an end of a picture that count. Padding of a buffer (1,080 rows in 1,088) is less."""
_LIT_SHARE = 0.25
"""Of the row beside them; a round field that a mask cuts out of black begins with less."""
_ALIKE = 2
"""Rows: as many zeros at both ends are bars around a picture, which somebody put there."""


def row_step(pixels: NDArray[np.uint8]) -> float:
    """How much the sharpest step between two rows, along an eighth to a fifth of them, stands out from those near it;
    over `STEP_MAX` no undamaged picture of an eye lies. pixels: RGB, uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    parts = max(5, min(8, width // _PART))
    if height < 48 or width < parts * _SAMPLES:
        return 0.0
    stride = width // (parts * _SAMPLES)
    channels = [
        np.ascontiguousarray(pixels[:, stride // 2 :: stride, channel][:, : parts * _SAMPLES]) for channel in range(3)
    ]
    steps = np.asarray(sum(_mean(cv2.absdiff(each[1:], each[:-1]), parts) for each in channels), np.float32)
    between = _lit_on_both_sides(np.maximum(np.maximum(channels[0], channels[1]), channels[2]), parts)
    beside = cv2.blur(steps, (1, _NEAR), anchor=(0, _NEAR - 1), borderType=cv2.BORDER_REPLICATE)
    after = np.vstack((beside[_NEAR:], np.repeat(beside[-1:], min(_NEAR, len(beside)), axis=0)))
    before = np.vstack((beside[:1], beside[:-1]))
    limit = np.full((len(steps), 1), STEP_MAX, np.float32)
    limit[7::8] *= _AT_BLOCKS
    likely = between & (steps > limit * (cv2.min(before, after) + _NOISE))
    likely[:_REACH], likely[-_REACH:] = False, False
    most = 0.0
    for row, part in np.argwhere(likely):
        near, far = (float(np.quantile(steps[max(0, row - r) : row + r + 1, part], _USUAL)) for r in (_NEAR, _FAR))
        if near >= _STILL:
            usual = min(near + _NOISE, _OF_FAR * (far + _NOISE)) if far >= _STILL else near + _NOISE
            most = max(most, float(steps[row, part] / usual * STEP_MAX / limit[row, 0]))
    return most


def ends_in_zeros(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture stops within the eye, and zeros follow up to its end: it was not written to there. In any one
    channel, since a file may hold them one after the other. pixels: RGB, uint8 [H, W, 3]."""
    if len(pixels) < 16 * _ZERO_ROWS:  # of a small round field few rows are a quarter lit
        return False
    above, below = _zero_rows(pixels), _zero_rows(pixels[::-1])
    return max(above, below) > 0 and abs(above - below) > _ALIKE


def _zero_rows(pixels: NDArray[np.uint8]) -> int:
    """How many rows of zeros the picture begins with in a channel, when the row after them is lit; else 0."""
    left = [0, 1, 2]
    for row in range(len(pixels) // 2):
        seen = [channel for channel in left if pixels[row, :, channel].any()]
        for channel in seen:
            # The first row of the eye may be zeros in part.
            if row >= _ZERO_ROWS and (pixels[row + 1, :, channel] > _LIT).mean() >= _LIT_SHARE:
                return row
        left = [channel for channel in left if channel not in seen]
        if not left:
            break
    return 0


def _mean(levels: cv2.typing.MatLike, parts: int) -> NDArray[np.float32]:
    """Mean of each part of each row, float32 [rows, parts]."""
    rows = levels.reshape(-1, levels.shape[1] // parts)
    return np.asarray(cv2.reduce(rows, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).reshape(-1, parts), np.float32)


def _lit_on_both_sides(brightest: NDArray[np.uint8], parts: int) -> NDArray[np.bool_]:
    """Where a part's samples are lit within reach above a step and below it, all but a few: bool [steps, parts]."""
    lit = np.asarray(cv2.threshold(brightest, _LIT, 255, cv2.THRESH_BINARY)[1], np.uint8)
    reach = np.ones((_REACH, 1), np.uint8)
    above = cv2.dilate(lit, reach, anchor=(0, _REACH - 1), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    below = cv2.dilate(lit, reach, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return _mean(cv2.bitwise_and(above[:-1], below[1:]), parts) >= 0.95 * 255
