"""The measures of the gate and of a frame's structure in NumPy and OpenCV: what is meant, and what runs uncompiled.

Sums are of whole numbers and quotients of exact ones, so that whatever order adds them up gives the same bits; only the
two Gaussians are sums of float32, in the order that stands here.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.arrays import FloatArray, UInt8Array

Whole = NDArray[np.signedinteger[Any]]
DARK = 20
"""No channel over this is outside of the field."""
_FINE = (0.49867645, 0.22831072, 0.021910314, 0.00044074337)
_COARSE = (0.2493394, 0.205101, 0.114155896, 0.042991504, 0.010955209, 0.001888915, 0.00022037272, 1.7396305e-05)
"""Gaussians of 0.8 and 1.6 pixels in float32 as OpenCV cuts them off, from the middle on."""
_STEP_SCALE, _STEP_MOST = 4096, 65534
"""Differences of Gaussians are whole 4096ths of a level, up to 16 levels."""
_LINES, _MEANS, _LINE_BITS_MOST = 480, 160, 6
"""A frame is looked at as some 480 to 960 lines each way, each as 160 to 320 means: of 1, 2, 4 ... pixels."""
_STEP_MAX = 63
"""Quarters of a level: steps over 16 levels count as 16, so that one vessel does not weigh as much as a seam."""
_NEAR = (2, 3, 4, 5, 6, 8, 16)
"""What a step is held against: those near it, and those at the next rows of blocks of a compressed picture."""
_CLEAR = 12
"""Lines around a step that lie in the field: the first rows of some cameras are no picture."""
_WINDOW_STEP = 4
"""Means from one window along a line to the next."""
_LEVEL = 84
"""Added to ten times the steps near by, twelfths of a level: 0.7 levels; below it all is noise."""
_SCORE = 1000
"""Of a seam: parts of one."""
_COMB_COLUMNS, _COMB_STEP_MOST = 64, 32
_CELL, _OFF = 8, 2
"""Pixels each way, over which light is taken together; and by how many of such cells a field may lie off the middle."""
_WHITE, _BRIGHT, _FLAT = 220, 200, 2
"""Levels: a pixel is blown out where every channel is over the first, or where light is over the second and no channel
differs by more than the third within 5 x 5."""
_RELIEF_CELL, _RELIEF_CELLS = 4, 5
_RELIEF = 240
"""Of 5 x 5 cells of 4 x 4 pixels, the sum of how much each curves in the channel in which it does most: 0.6 levels a
cell, summed over 16 pixels and 25 cells."""
_CALM = 3
"""Levels: or no pixel of 3 x 3 cells curves by more in any channel."""
_GRAINY_CELLS, _GRAINY = 6, (63, 50)
"""Or what curves is a sensor's noise: of 6 x 6 cells of 4 x 4 pixels, means of 8 x 8 curve by under 0.315 of what
means of 2 x 2 do (a quarter of these sums' quotient: 16 times as many pixels, a quarter as often). Noise that knows
nothing of its neighbours makes it a quarter, the smoothest of 340 whole eyes 0.42, the simulated cameras 0.33."""
_WINDOW, _RELIEF_RANK = 12, 4
"""Cells of 4 x 4 each way over which relief is held against noise; how many such windows may have less by chance."""
_SEEN_MIN = 600
"""Pixels; of fewer it is not told."""
_LIT_ROW, _WITHIN, _CORNER = 32, 3, (7, 64)
"""Rows and columns of more lit pixels than the first are of the field, marks beside it have fewer; by how many pixels
its edge is looked at within; how long the legs of its corners are, as a share of its sides."""
_STROKE, _GRAIN = 60, 30
"""Levels over a median of 5 x 5."""
_STANDS_OUT = 50
"""Levels beyond both neighbours."""


def quality(image: UInt8Array) -> tuple[float, ...]:
    """In the order of `runtime.gate.GateMeasures`. image: RGB, uint8 [256, 256, 3]."""
    field = _field(image)
    lit = int(field.sum())
    mask = field if lit else np.ones_like(field)
    looked_at = lit or field.size
    red, green, blue = (float(total) / looked_at for total in (image * mask[..., None]).reshape(-1, 3).sum(axis=0))
    total = max(red + green + blue, 1e-6)
    everywhere = image.astype(np.uint32) @ np.array([9798, 19235, 3735], np.uint32) + (1 << 14) >> 15
    light = everywhere * mask
    detail, edge_ratio = _sharpness(np.ascontiguousarray(image[..., 1]), field)
    return (
        float(light.sum()) / looked_at,
        np.count_nonzero(light > 235) / looked_at,
        lit / field.size,
        float(_separate_fields(field)),
        detail,
        edge_ratio,
        (red - blue) / total,
        (green - red) / total,
        *_shade(everywhere, field),
        _glare_spot(image, everywhere) / looked_at,
        _blank(image, field) / looked_at,
        *_cut(field),
        _relief(image, field),
    )


def structure(pixels: UInt8Array, image: UInt8Array) -> tuple[float, ...]:
    """In the order of `runtime.gate.StructureMeasures`. pixels: RGB, uint8 [H, W, 3]; image: uint8 [256, 256, 3]."""
    field = _field(image)
    green = np.ascontiguousarray(pixels[:, :: max(1, pixels.shape[1] // _COMB_COLUMNS), 1])
    return (
        *_comb(green),
        *_seams(pixels),
        _likeness_of_halves(image, field),
        _hull_share(field),
        *_drawn_over(image, field),
        *_colours(image, field),
        _fine_strokes(pixels, field),
        _own_colour(image, field),
    )


def _field(image: UInt8Array) -> UInt8Array:
    """Where the camera saw something: 1 where any channel is over 20 of 255."""
    return np.asarray(image.max(axis=2) > DARK, np.uint8)


def _windowed(field: UInt8Array, reach: int, outside: int, *, every: bool = True) -> UInt8Array:
    """1 where all (or any) of the square window of 2 * reach + 1 is; what lies outside counts as `outside`."""
    change, kernel = cv2.erode if every else cv2.dilate, np.ones((2 * reach + 1,) * 2, np.uint8)
    return np.asarray(change(field, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(outside,)), np.uint8)


def _separate_fields(field: UInt8Array) -> int:
    """How many parts, narrow bridges between them cut: discs that touch are one over about 13 of every fourth pixel."""
    apart = _windowed(np.ascontiguousarray(field[::4, ::4]), 6, 0)
    _, _, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=4)
    return int(np.count_nonzero(50 * stats[1:, cv2.CC_STAT_AREA] > apart.size))


def _shade(light: Whole, field: UInt8Array) -> tuple[float, float]:
    """Light of the darkest twentieth of where the field lies, or would lie were it as wide on every side (but for
    `_OFF` cells), over the field's median, and of the darkest third over the brightest quarter."""
    cells, seen = (
        each.reshape(len(each) // _CELL, _CELL, -1, _CELL).sum(axis=(1, 3), dtype=np.int64) for each in (light, field)
    )
    lit = 2 * seen >= _CELL * _CELL
    if not lit.any():
        return 0.0, 0.0
    around = lit | lit[::-1] | lit[:, ::-1] | lit[::-1, ::-1]
    low = np.sort(cells[lit | (_windowed(around.astype(np.uint8), _OFF, 1) == 1)])
    high = np.sort(cells[lit])
    middle, bright = (max(int(high[rank]), 1) for rank in (len(high) // 2, len(high) * 3 // 4))
    return int(low[len(low) // 20]) / middle, int(low[len(low) // 3]) / bright


def _cut(field: UInt8Array) -> tuple[float, float]:
    """How much is lit along the edge of the rectangle around the field, of the two sides opposite each other where it
    is less; and in the corner of it where it is most. A circle lights little of both, a part cut out of it much."""
    rows, columns = (np.flatnonzero(field.sum(axis=axis, dtype=np.int64) > _LIT_ROW) for axis in (1, 0))
    if min(len(rows), len(columns)) == 0:
        return 1.0, 1.0
    seen = field[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.int64)
    high, wide = seen.shape
    down, right = (min(_WITHIN, (side - 1) // 2) for side in (high, wide))
    edges = [int(line[at].sum() + line[-1 - at].sum()) for line, at in ((seen, down), (seen.T, right))]
    least = min(edges[0] / (2 * wide), edges[1] / (2 * high))
    high, wide = (max(side * _CORNER[0] // _CORNER[1], 1) for side in (high, wide))
    inside = np.add.outer(np.arange(high) * wide, np.arange(wide) * high) < high * wide
    most = max(
        int(turned[:high, :wide][inside].sum())
        for turned in (seen, seen[::-1], seen[:, ::-1], seen[::-1, ::-1])
    )  # fmt: skip
    return least, most / int(inside.sum())


def _glare_spot(image: UInt8Array, light: Whole) -> int:
    """Pixels of the largest blown-out spot, counted on every second one each way."""
    around = np.ones((5, 5), np.uint8)
    apart = (cv2.dilate(image, around) - cv2.erode(image, around)).max(axis=2)
    blown = (image.min(axis=2) > _WHITE) | ((light > _BRIGHT) & (apart <= _FLAT))
    return 4 * _largest(blown[::2, ::2])


def _blank(image: UInt8Array, field: UInt8Array) -> int:
    """Pixels of the largest part of the field in which nothing curves: on average over cells, or not a single pixel."""
    few, wide = len(field) // _RELIEF_CELL, _RELIEF_CELLS
    shape = (few, _RELIEF_CELL, few, _RELIEF_CELL)
    cells = image.reshape(*shape, 3).sum(axis=(1, 3), dtype=np.int64)
    seen = np.asarray(field.reshape(shape).min(axis=(1, 3)), np.uint8)
    middle = cells[1:-1, 1:-1]
    curved = cells[:-2, 1:-1] + cells[2:, 1:-1] + cells[1:-1, :-2] + cells[1:-1, 2:] - 4 * middle
    sums = _along(_along(np.abs(curved).max(axis=2), wide).T, wide).T
    # The windows' middles, each of which stands for its cell.
    reach = wide // 2 + 1
    inside = _windowed(seen, reach, 0)[reach:-reach, reach:-reach] == 1
    curves = np.abs(cv2.Laplacian(image, cv2.CV_16S)).max(axis=2).reshape(shape).max(axis=(1, 3))
    calm = (_windowed(np.asarray(curves <= _CALM, np.uint8), 1, 0) & _windowed(seen, 2, 0)) == 1
    return _RELIEF_CELL**2 * max(_largest((sums <= _RELIEF) & inside), _largest(calm), _largest(_grainy(image, seen)))


def _grainy(image: UInt8Array, seen: UInt8Array) -> NDArray[np.bool_]:
    """Cells in a window in which nothing but a sensor's noise curves. seen: whole cells of the field, 0 or 1."""
    half, few, wide = len(image) // 2, len(seen), _GRAINY_CELLS
    twos = image.reshape(half, 2, half, 2, 3).sum(axis=(1, 3), dtype=np.int64)
    fine = np.pad(_curving(twos, 1).max(axis=2), 1).reshape(few, 2, few, 2).sum(axis=(1, 3))
    fours = twos.reshape(few, 2, few, 2, 3).sum(axis=(1, 3))
    coarse = _curving(fours[:-1, :-1] + fours[1:, :-1] + fours[:-1, 1:] + fours[1:, 1:], 2).max(axis=2)
    # The first of `coarse` stands in row 2 of the cells; of all that a window rests on, the middle is cell 5 of 11.
    coarse_sums, fine_sums = (_along(_along(of, wide).T, wide).T for of in (coarse, fine[2:-3, 2:-3]))
    found = np.zeros_like(seen)
    found[5:-5, 5:-5] = _GRAINY[1] * coarse_sums <= _GRAINY[0] * fine_sums
    return np.asarray(_windowed(found & _windowed(seen, 5, 0), wide // 2, 0, every=False) == 1)


def _relief(image: UInt8Array, field: UInt8Array) -> float:
    """Over windows of 48 x 48 pixels, how far means of 12 x 12 lie from a plane, over how much those of 2 x 2 curve, in
    the channel that does most; of the window where all but `_RELIEF_RANK` have more. 1 where there are too few."""
    few, half, wide = len(image) // _RELIEF_CELL, len(image) // 2, _WINDOW
    cells = image.reshape(few, _RELIEF_CELL, few, _RELIEF_CELL, 3).sum(axis=(1, 3), dtype=np.int64)
    parts = sum(cells[y : few - 2 + y, x : few - 2 + x] for y in range(3) for x in range(3))
    places = few - wide + 1
    means = np.stack([[parts[y : y + places, x : x + places] for x in range(0, wide, 3)] for y in range(0, wide, 3)])
    slope = np.array([-3, -1, 1, 3])
    lines, columns = means.sum(axis=1), means.sum(axis=0)
    tilts = (np.tensordot(slope, each, 1) for each in (lines, columns))
    squares = 80 * (means * means).sum(axis=(0, 1)) - 5 * lines.sum(axis=0) ** 2
    rough = (squares - sum(tilt * tilt for tilt in tilts)).max(axis=2)[1:, 1:]
    twos = image.reshape(half, 2, half, 2, 3).sum(axis=(1, 3), dtype=np.int64)
    fine = np.max(
        [
            _along(_along(np.pad(_curving(each, 1), 1), 2 * wide).T, 2 * wide).T[2::2, 2::2]
            for each in np.moveaxis(twos, 2, 0)
        ],
        axis=0,
    )
    seen = np.asarray(field.reshape(few, _RELIEF_CELL, few, _RELIEF_CELL).min(axis=(1, 3)), np.uint8)
    middle, end = 1 + wide // 2, 1 + wide // 2 + len(rough)
    inside = _windowed(seen, wide // 2 + 1, 0)[middle:end, middle:end] == 1
    found = (np.sqrt(rough / 1040.0) / 144.0 / np.maximum(fine / 2304.0, 0.3))[inside]
    return min(1.0, float(np.sort(found)[_RELIEF_RANK])) if len(found) > _RELIEF_RANK else 1.0


def _curving(sums: Whole, apart: int) -> Whole:
    """How much each curves against those so far away, but for those at the edge."""
    middle, n = sums[apart:-apart, apart:-apart], 2 * apart
    beside = sums[:-n, apart:-apart] + sums[n:, apart:-apart] + sums[apart:-apart, :-n] + sums[apart:-apart, n:]
    return np.asarray(np.abs(beside - 4 * middle), np.int64)


def _largest(where: NDArray[np.bool_]) -> int:
    """Of the parts whose pixels touch by their sides, how many the largest has."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8), connectivity=4)
    return int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


def _sharpness(green: UInt8Array, field: UInt8Array) -> tuple[float, float]:
    """(detail, edge ratio) well inside the field, whose own border is the sharpest edge of all."""
    inside = _windowed(field, 12, 1) == 1
    pixels = int(np.count_nonzero(inside))
    if pixels < 100:
        return 0.0, 0.0
    detail = int(
        np.abs(cv2.Laplacian(green, cv2.CV_16S, borderType=cv2.BORDER_REFLECT_101))[inside].sum(dtype=np.int64)
    )
    apart = np.abs(_blurred(green, _FINE) - _blurred(green, _COARSE))
    steps = np.minimum(apart * np.float32(_STEP_SCALE) + np.float32(0.5), np.float32(_STEP_MOST)).astype(np.uint16)
    ranks = [int(pixels * 0.5), int(pixels * 0.97)]
    middle, high = (float(np.partition(steps[inside], rank)[rank]) / _STEP_SCALE for rank in ranks)
    return detail / pixels, high / max(middle, 0.05)


def _blurred(green: UInt8Array, weights: tuple[float, ...]) -> FloatArray:
    """Along the rows, then down the columns, from the middle outwards; edges mirrored."""
    levels, reach = green.astype(np.float32), len(weights) - 1
    for _ in range(2):
        padded = np.pad(levels, ((0, 0), (reach, reach)), mode="reflect")
        side = levels.shape[1]
        sums = np.float32(weights[0]) * levels
        for i, weight in enumerate(weights[1:], start=1):
            pair = padded[:, reach - i : reach - i + side] + padded[:, reach + i : reach + i + side]
            sums = sums + np.float32(weight) * pair
        levels = sums.T
    return levels


def _comb(green: UInt8Array) -> tuple[float, float]:
    """Even and odd rows of two moments, as a ratio, and of two brightnesses, in levels. green: [H, about 64]."""
    levels = green.astype(np.int64)
    inside = (levels[:-4] > DARK) & (levels[4:] > DARK)
    count = int(np.count_nonzero(inside))
    if count < _SEEN_MIN:
        return 0.0, 0.0
    middle = 2 * levels[2:-2]
    next_row = np.clip(middle - levels[1:-3] - levels[3:-1], -_COMB_STEP_MOST, _COMB_STEP_MOST)
    next_but_one = np.minimum(np.abs(middle - levels[:-4] - levels[4:]), _COMB_STEP_MOST)
    steps = (next_row * np.where(np.arange(len(middle)) % 2, -1, 1)[:, None])[inside]
    total = int(steps.sum())
    # What is left when even and odd rows are made equally bright: some cameras give them a level of difference.
    moved = int(np.abs(steps * count - total).sum())
    ratio = moved / count / (float(next_but_one[inside].sum()) + 0.25 * count)
    return ratio, abs(total) / count / 2


def _seams(pixels: UInt8Array) -> tuple[float, float]:
    """How far the strongest step between two lines stands out from those near it, and the most lines that are alike."""
    red, green, blue = (pixels[..., channel].astype(np.uint16) for channel in range(3))
    light = 2 * red + 5 * green + blue
    line_bits, mean_bits = _line_bits(max(light.shape)), 0
    while max(light.shape) >> (mean_bits + 1) >= _MEANS:
        mean_bits += 1
    margin = (max(light.shape) >> line_bits) // 40
    # Lines once more from half a line on: in the middle of a line, an edge is two half as high.
    found = [
        _seam(_lines(turned, begin, line_bits, mean_bits), margin, margin >> (mean_bits - line_bits))
        for turned in (light, light.T)
        for begin in sorted({0, 1 << line_bits >> 1})
    ]
    score = max(score for score, _ in found)
    if max(light.shape) < _LINES:
        score = score * 4 // 5  # vessels are a pixel or two wide there, and sharper
    return score / _SCORE, float(max(run for _, run in found))


def _line_bits(longest: int) -> int:
    """Of a frame whose longer side is so long, the power of two that its lines are rows of."""
    bits = 0
    while bits < _LINE_BITS_MOST and longest >> (bits + 1) >= _LINES:
        bits += 1
    return bits


def _lines(light: NDArray[np.uint16], begin: int, line_bits: int, mean_bits: int) -> Whole:
    """Means of 2**line_bits rows and 2**mean_bits columns, from row `begin` on; what is left over is dropped."""
    high, wide = max(light.shape[0] - begin, 0) >> line_bits, light.shape[1] >> mean_bits
    whole = light[begin : begin + (high << line_bits), : wide << mean_bits]
    apart = whole.reshape(high, 1 << line_bits, wide, 1 << mean_bits)
    sums = apart.sum(axis=3, dtype=np.uint32).sum(axis=1, dtype=np.int64)
    shift = line_bits + mean_bits + 3
    return np.asarray((sums + (1 << (shift - 1))) >> shift, np.int64)


def _seam(lines: Whole, margin: int, sideways: int) -> tuple[int, int]:
    """The score of the strongest step along a sixth of a line, and the longest run of lines that are alike.

    lines: [lines, means]. margin, sideways: lines and means by which a step lies inside the field. A step is taken less
    what the slope there makes of it.
    """
    count, wide = lines.shape[0] - 3, max(8, lines.shape[1] // 6)
    if count < 1 or lines.shape[1] < wide:
        return 0, 0
    kernel = np.ones((2 * margin + 1, 2 * sideways + 1), np.uint8)
    lit = (lines > DARK).astype(np.uint8)
    inside = np.asarray(cv2.erode(lit, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(1,)), np.uint8)
    before, above, below, after = lines[:-3], lines[1:-2], lines[2:-1], lines[3:]
    seen = (inside[:-3] & inside[3:]).astype(np.int64)
    steps = np.minimum(np.abs(3 * (below - above) + (before - after)), _STEP_MAX) * seen
    total, share = (_along(values, wide)[:, ::_WINDOW_STEP] for values in (steps, seen))
    full = 5 * share > 4 * wide
    mean = 3 * total // np.maximum(share, 1) * full  # twelfths of a level
    near = np.zeros_like(mean)
    for apart in _NEAR:
        np.maximum(near[apart:], mean[:-apart], out=near[apart:])
        np.maximum(near[:-apart], mean[apart:], out=near[:-apart])
    clear = cv2.erode(
        full.astype(np.uint8),
        np.ones((2 * _CLEAR + 1, 1), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=(0,),
    )
    score = 10 * _SCORE * mean * clear // (10 * near + _LEVEL)
    score[6::8] = score[6::8] * 3 // 4  # the step from line 7 to 8, where blocks meet
    changed = np.asarray(np.abs(np.diff(lines, axis=0)) > 1).max(axis=1)[:count]
    alike = np.asarray(full).max(axis=1) & ~changed
    run = longest = 0
    for one in alike.tolist():
        run = run + 1 if one else 0
        longest = max(longest, run)
    return int(score.max()), longest


def _along(values: Whole, wide: int) -> Whole:
    """Sums of `wide` values of a row, from each place on."""
    sums = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))
    return np.asarray(sums[:, wide:] - sums[:, :-wide], np.int64)


def _likeness_of_halves(image: UInt8Array, field: UInt8Array) -> float:
    """Largest correlation of the left half with the right, or the upper with the lower, as they are or mirrored."""
    inside = _windowed(np.ascontiguousarray(field[::2, ::2]), 5, 0).astype(np.int64)
    green = image[..., 1].astype(np.int64)
    few = (green[::2, ::2] + green[1::2, ::2] + green[::2, 1::2] + green[1::2, 1::2] + 2) >> 2
    around = sum(np.roll(few, (y, x), axis=(0, 1)) for y in range(-3, 4) for x in range(-3, 4))
    detail = np.clip(49 * few - around, -8 * 49, 8 * 49) * inside
    half = len(detail) // 2
    return max(
        _correlation(shown[:half], shown[half:][::step], seen[:half] & seen[half:][::step])
        for shown, seen in ((detail, inside), (detail.T, inside.T))
        for step in (1, -1)
    )


def _correlation(one: Whole, other: Whole, where: Whole) -> float:
    """Of two pictures around zero where both are seen; 0 where that is too little to tell."""
    if np.count_nonzero(where) < _SEEN_MIN:
        return 0.0
    lengths = float((one * one * where).sum()) * float((other * other * where).sum())
    return float((one * other * where).sum()) / math.sqrt(max(lengths, 1.0))


def _hull_share(field: UInt8Array) -> float:
    """Share of the convex hull around the parts of the field that they fill; marks beside the field are left aside."""
    few = _windowed(_windowed(np.ascontiguousarray(field[::2, ::2]), 2, 1), 2, 0, every=False)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(few, connectivity=4)
    large = np.flatnonzero(100 * stats[1:, cv2.CC_STAT_AREA] > few.size) + 1
    if not large.size:
        return 0.0
    seen = np.isin(parts, large)
    rows = np.flatnonzero(seen.any(axis=1))
    ends = ((seen[row].argmax(), seen.shape[1] - 1 - seen[row][::-1].argmax(), row) for row in rows)
    points = np.array([(x, row) for left, right, row in ends for x in (left, right)], np.int32)
    hull = [(int(x), int(y)) for x, y in cv2.convexHull(points)[:, 0]]
    # Pixels in it by Pick's theorem: area + border / 2 + 1.
    area = border = 0
    for (x, y), (next_x, next_y) in zip(hull, hull[1:] + hull[:1], strict=True):
        area += x * next_y - next_x * y
        border += math.gcd(next_x - x, next_y - y)
    return int(np.count_nonzero(seen)) / ((abs(area) + border) // 2 + 1)


def _drawn_over(image: UInt8Array, field: UInt8Array) -> tuple[float, float]:
    """Pixels well inside the field of which a channel stands out from all around: strokes, and grains."""
    apart = np.asarray(cv2.absdiff(image, cv2.medianBlur(image, 5))).max(axis=2) * _well_inside(field)
    strokes, grains = (float(np.count_nonzero(apart > levels)) for levels in (_STROKE, _GRAIN))
    return strokes, grains


def _well_inside(field: UInt8Array) -> UInt8Array:
    """The field with its small gaps, less ten pixels all around: 0 or 1."""
    return _windowed(_windowed(_windowed(field, 3, 0, every=False), 3, 1), 10, 0)


def _fine_strokes(pixels: UInt8Array, field: UInt8Array) -> float:
    """Pixels of the frame, well inside the field, of which a channel stands out from both beside, or above and below.

    Frames whose fine strokes the networks' picture shows as well have none.
    """
    high, wide = pixels.shape[:2]
    apart = 1 << _line_bits(max(high, wide))
    if max(high, wide) < _LINES or min(high, wide) <= 2 * apart:
        return 0.0
    rows, columns = np.arange(apart, high - apart, apart), np.arange(apart, wide - apart)
    around = [pixels[rows[:, None] + y * apart, columns + x * apart] for y, x in ((0, -1), (0, 1), (-1, 0), (1, 0))]
    here = pixels[rows[:, None], columns].astype(np.int16)
    above = np.minimum(np.maximum(around[0], around[1]), np.maximum(around[2], around[3]))
    below = np.maximum(np.minimum(around[0], around[1]), np.minimum(around[2], around[3]))
    stands = np.maximum(here - above, below - here).max(axis=2) > _STANDS_OUT
    side = len(field)
    inside = _well_inside(field)[rows[:, None] * side // high, columns * side // wide]
    return float(np.count_nonzero(stands & (inside == 1)))


def _own_colour(image: UInt8Array, field: UInt8Array) -> float:
    """Standard deviation of red and of blue, the larger, from what is usual where green is the same, levels."""
    red, green, blue = image[field == 1].astype(np.int64).T
    if not len(green):
        return 0.0
    seen = np.bincount(green, minlength=256)
    left = 0
    for colour in (red, blue):
        sums = np.zeros(256, np.int64)
        np.add.at(sums, green, colour)
        left = max(left, int((colour * colour).sum() - (sums * sums // np.maximum(seen, 1)).sum()))
    return math.sqrt(left / len(green))


def _colours(image: UInt8Array, field: UInt8Array) -> tuple[float, float]:
    """How far blue goes beyond green, as a share of all light; the smallest standard deviation of a colour, levels."""
    seen = image[field == 1].astype(np.int64)
    count, sums, squares = len(seen), seen.sum(axis=0).tolist(), (seen * seen).sum(axis=0).tolist()
    if not count:
        return 0.0, 0.0
    spread = min(count * square - total * total for square, total in zip(squares, sums, strict=True))
    return (sums[2] - sums[1]) / max(sum(sums), count), math.sqrt(spread) / count
