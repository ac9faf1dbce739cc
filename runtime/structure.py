"""Whether a frame is one picture as a camera makes it: not torn, drawn over, covered, or of exchanged colours.

No decoder tells of these: a torn frame that was saved as PNG is a whole PNG. Each check looks for what no eye has and
no camera makes (an edge along a row or column, a notch in the round field, a half that is the other one), with a limit
beyond the reference frames of HVDROPDB (RetCam, 3nethra Neo), HRF, CHASE_DB1 and FIVES, also when these are compressed,
sharpened, brightened, halved or enlarged; docs/measurements.md says what is caught and what is not.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.quality import COLOURS, DRAWN_OVER, FIELD, TORN

_DARK = 20
"""No channel over this is outside of the field, as in `runtime.quality.field_of_view`."""
_GROUPS, _LINES = 160, 480
"""Each of some 480 to 960 rows (or columns) is looked at as some 160 to 320 means of neighbouring pixels."""
_COMB_COLUMNS = 64
_STEP_MAX = 63
"""Quarters of a level: steps over 16 levels count as 16, so that one vessel does not weigh as much as a seam."""
_FINE = np.uint8(3)
"""Means of steps are of twelfths of a level, to fit in a byte."""
_NEAR = np.zeros((33, 1), np.uint8)
_NEAR[[16 + sign * k for k in (2, 3, 4, 5, 6, 8, 16) for sign in (-1, 1)]] = 1
"""What a step is held against: those near it, and those at the next rows of blocks of a compressed picture."""
_SEAM_MAX, _SEAM_AT_BLOCKS_MAX = 2.1, 2.8
"""Largest step over those near it: whole frames have 1.9, and 2.6 at the blocks of JPEG of quality 30."""
_LEVEL = 0.7
"""Added to the steps near by, in grey levels: below it all is noise."""
_REPEATED_ROWS = 12
_COMB_MAX = 1.1
"""Differences between neighbouring rows over those between next but one: whole frames have 1.0, and near 0.5 mostly."""
_COMB_STEP_MAX = 32
_OFFSET_MAX = 4.0
"""Grey levels between the even and the odd rows."""
_HULL_MIN = 0.975
"""Share of its convex hull that the field fills; a disc that the frame cuts fills all: whole frames have 0.99."""
_HALVES_MAX = 0.6
"""Correlation of the fine detail of one half with the other, or with its mirror image: whole frames have 0.37."""
_SEEN_MIN = 600
"""Of 128 x 64 pixels; of fewer it is not told."""
_STROKE, _STROKES_MAX = 60, 16
"""Levels over a median of 5 x 5, and how many pixels of the networks' picture may have it: whole frames have 1."""
_GRAIN, _GRAINS_MAX = 30, 500
"""The same for noise: whole frames, sharpened, have 171."""
_BLUE_EXCESS_MAX = 0.04
"""(mean blue - mean green) / (red + green + blue): the bluest infant frame has 0.024, the median -0.14."""
_SPREAD_MIN = 1.0
"""Standard deviation of each colour in the field, levels: whole frames have 3."""


def structure_faults(pixels: UInt8Array, image: UInt8Array) -> tuple[str, ...]:
    """Why the frame is not one picture as a camera makes it, as reasons of the quality gate; none when it is.

    pixels: the frame, RGB, uint8 [H, W, 3]. image: the same as the networks see it, RGB, uint8 [256, 256, 3].
    """
    field = (cv2.inRange(image, (0, 0, 0), (_DARK, _DARK, _DARK)) == 0).astype(np.uint8)
    found = {
        TORN: _torn(pixels) or _likeness_of_halves(image, field) > _HALVES_MAX,
        FIELD: _hull_share(field) < _HULL_MIN,
        DRAWN_OVER: _drawn_over(image, field),
        COLOURS: _colours_wrong(image, field),
    }
    return tuple(reason for reason, fault in found.items() if fault)


def _torn(pixels: UInt8Array) -> bool:
    if _combed(np.ascontiguousarray(pixels[:, :: max(1, pixels.shape[1] // _COMB_COLUMNS), 1])):
        return True
    finer = max(1, max(pixels.shape) // _LINES)
    # Means once more from half a group on: in the middle of a group, an edge is two half as high.
    return any(_seamed(_means(pixels[begin:, begin:], finer, finer)) for begin in {0, finer // 2})


def _seamed(pixels: UInt8Array) -> bool:
    gray = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    group, margin = max(1, max(gray.shape) // _GROUPS), max(gray.shape) // 40
    rows, columns = _means(gray, 1, group), _means(gray, group, 1).T
    return any(_seam(np.ascontiguousarray(lines), (margin, margin // group)) > 1 for lines in (rows, columns))


def _means(pixels: UInt8Array, high: int, wide: int) -> UInt8Array:
    """Of groups of pixels, `high` x `wide` each; what is left over at the edges is dropped."""
    if high == wide == 1:
        return pixels
    height, width = pixels.shape[0] // high, pixels.shape[1] // wide
    whole = pixels[: height * high, : width * wide]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _seam(rows: UInt8Array, margin: tuple[int, int]) -> float:
    """How far the strongest step between two rows stands out from those near it, by the limit.

    rows: uint8 [H, W], rows (or columns) of the frame as means of neighbouring pixels. margin: rows and means by which
    a step lies inside the field. A step is taken along a sixth of a row, and less what the slope there makes of it.
    """
    kernel = np.ones((2 * margin[0] + 1, 2 * margin[1] + 1), np.uint8)
    inside = np.asarray(cv2.erode(cv2.threshold(rows, _DARK, 255, cv2.THRESH_BINARY)[1], kernel), np.uint8)
    levels = rows.astype(np.int16)
    before, above, below, after = levels[:-3], levels[1:-2], levels[2:-1], levels[3:]
    steps = np.minimum(np.abs(3 * (below - above) + (before - after)), _STEP_MAX).astype(np.uint8)
    seen = inside[:-3] & inside[3:]
    window = max(8, rows.shape[1] // 6), 1
    share = cv2.blur(seen, window, borderType=cv2.BORDER_CONSTANT)
    full = (share > 204).astype(np.uint8)
    total = cv2.blur(_FINE * (steps & seen), window, borderType=cv2.BORDER_CONSTANT)
    mean = np.asarray(cv2.divide(total, share, scale=255), np.uint8) * full
    near = cv2.dilate(mean, _NEAR, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    # The first rows of some cameras are no picture, and too few lie near them.
    judged = mean * cv2.erode(full, np.ones((25, 1), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if _rows_repeated(rows, full):
        return math.inf
    level = _LEVEL * 4 * float(_FINE)
    high = np.flatnonzero(judged.max(axis=1) > _SEAM_MAX * level)  # few rows, of most frames none
    most = (judged[high] / (near[high] + level)).max(axis=1, initial=0.0)
    at_blocks = high % 8 == 6  # row 6 of these is the step from row 7 to 8
    return float((most / np.where(at_blocks, _SEAM_AT_BLOCKS_MAX, _SEAM_MAX)).max(initial=0.0))


def _rows_repeated(rows: UInt8Array, full: UInt8Array) -> bool:
    """Whether a row inside the field comes many times over, as from a camera or a copy that had no more."""
    changes = np.abs(np.diff(rows.astype(np.int16), axis=0)).max(axis=1)[: len(full)] > 1
    inside = full.max(axis=1) > 0
    run = longest = 0
    for changed, seen in zip(changes.tolist(), inside.tolist(), strict=True):
        run = 0 if changed or not seen else run + 1
        longest = max(longest, run)
    return longest >= _REPEATED_ROWS


def _combed(green: UInt8Array) -> bool:
    """Whether even and odd rows are of two moments, or of two brightnesses. green: uint8 [H, about 64], not means."""
    levels = green.astype(np.int16)
    inside = (levels[:-4] > _DARK) & (levels[4:] > _DARK)
    count = np.count_nonzero(inside)
    if count < _SEEN_MIN:
        return False
    middle = 2 * levels[2:-2]
    next_row = np.clip(middle - levels[1:-3] - levels[3:-1], -_COMB_STEP_MAX, _COMB_STEP_MAX) * inside
    next_but_one = np.minimum(np.abs(middle - levels[:-4] - levels[4:]), _COMB_STEP_MAX) * inside
    signs = np.where(np.arange(len(middle)) % 2, -1, 1)[:, None]
    offset = float((signs * next_row).sum()) / count
    # What is left when even and odd rows are made equally bright: some cameras give them a level of difference.
    moved = np.abs(next_row - np.float32(offset) * signs * inside)
    ratio = float(moved.sum()) / (float(next_but_one.sum()) + 0.25 * count)
    offset = abs(offset) / 2
    return bool(ratio > _COMB_MAX or offset > _OFFSET_MAX)


def _likeness_of_halves(image: UInt8Array, field: UInt8Array) -> float:
    """Largest correlation of the left half with the right, or the upper with the lower, as they are or mirrored."""
    inside = _well_inside(np.ascontiguousarray(field[::2, ::2]), 11)
    green = cv2.extractChannel(image, 1)
    few = cv2.resize(green, (green.shape[1] // 2, green.shape[0] // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = np.clip(few - cv2.blur(few, (7, 7)), -8, 8) * inside
    half = len(detail) // 2
    return max(
        _correlation(shown[:half], shown[half:][::step], seen[:half] & seen[half:][::step])
        for shown, seen in ((detail, inside), (detail.T, inside.T))
        for step in (1, -1)
    )


def _correlation(one: FloatArray, other: FloatArray, where: UInt8Array) -> float:
    """Of two pictures around zero where both are seen; 0 where that is too little to tell."""
    if np.count_nonzero(where) < _SEEN_MIN:
        return 0.0
    lengths = float((one * one * where).sum()) * float((other * other * where).sum())
    return float((one * other * where).sum()) / float(max(lengths, 1.0) ** 0.5)


def _hull_share(field: UInt8Array) -> float:
    """Share of the convex hull around the parts of the field that they fill; marks beside the field are left aside."""
    few = cv2.morphologyEx(np.ascontiguousarray(field[::2, ::2]), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(few, connectivity=4)
    large = [number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] > 0.01 * few.size]
    if not large:
        return 0.0
    seen = few if len(large) == count - 1 else np.isin(parts, large).astype(np.uint8)
    borders, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = np.zeros_like(seen)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(borders)), (1,))
    return cv2.countNonZero(seen) / cv2.countNonZero(hull)


def _drawn_over(image: UInt8Array, field: UInt8Array) -> bool:
    """Whether there are strokes, or noise, that stand out as nothing in an eye does."""
    whole = np.asarray(cv2.morphologyEx(field, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)
    step = cv2.absdiff(image, cv2.medianBlur(image, 5))
    apart = np.asarray(cv2.bitwise_and(step, step, mask=_well_inside(whole, 21)), np.uint8)
    return any(_over(apart, levels) > most for levels, most in ((_STROKE, _STROKES_MAX), (_GRAIN, _GRAINS_MAX)))


def _over(apart: UInt8Array, levels: int) -> int:
    """How many pixels have a channel over so many levels. apart: uint8 [H, W, 3]."""
    within = cv2.countNonZero(cv2.inRange(apart, (0, 0, 0), (levels, levels, levels)))
    return int(apart.shape[0] * apart.shape[1] - within)


def _well_inside(field: UInt8Array, side: int) -> UInt8Array:
    """The field without what lies within half of `side` of its border, or of the picture's."""
    kernel = np.ones((side, side), np.uint8)
    return np.asarray(cv2.erode(field, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8)


def _colours_wrong(image: UInt8Array, field: UInt8Array) -> bool:
    means, spreads = (values[:, 0] for values in cv2.meanStdDev(image, mask=field))
    red, green, blue = means
    return bool(blue - green > _BLUE_EXCESS_MAX * max(red + green + blue, 1.0) or spreads.min() < _SPREAD_MIN)
