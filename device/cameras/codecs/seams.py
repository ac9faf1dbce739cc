"""Damage that no decoder tells: a seam across the picture, or a band of it that is one flat colour.

One bit that is wrong in a JPEG's data shifts the brightness or colour of every block after it, or moves them sideways,
and the decoder goes on as if nothing were. What is left to see is an edge along a row of blocks from one side of the
picture to the other, which no eye has.

Compiled where there was a compiler, in NumPy and OpenCV otherwise: the same rows, and a score that is the same but for
its last bits. `rop-read` has the compiled ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.looks import compiled as _looks
from device.cameras.codecs.rows import STEP_MAX, ends_in_zeros, row_step

_COLUMNS = 160
"""About so many columns are looked at."""
_CLIP = 32
"""Steps over 8 levels count as 8, so that one vessel does not weigh as much as a seam."""
_SHIFT_MAX = 0.9
"""Largest mean step along a quarter or more of a row of blocks, over 1.5 times that found between the rows of blocks,
in grey levels; see `docs/measurements.md` for what undamaged frames have."""
_OVER_FEW, _OVER_MOST = 1.6, 4.0
"""Times that a seam's step is at least the third largest one, or else the one that three quarters of the rows lie
under: strong compression makes each row of blocks a step, and one piece of damage makes two rows of seam at most."""
_OF_QUANTUM = 1.2
"""A step of less than so many-th of what a block's mean is rounded to must stand out by as much more."""
_ROUGHNESS_MAX = 2.5
"""Largest mean |step| along a row of blocks over the middle one of all rows."""
_DARK = 24
_WHITE = 245
_FLAT_ROWS = 8
"""A flat band at the edge of a picture is this high when a decoder filled it."""


_SURE = 1.5
"""A seam's score over which hardly a frame of strongly compressed video lies."""


@dataclass(frozen=True)
class DamageSeen:
    """What shows that a picture was damaged."""

    words: str
    sure: bool = True
    """False for a seam that strong compression may have made."""


def damage_seen(
    pixels: NDArray[np.uint8], *, blocks: bool = True, unchecked: bool = False, quantum: float = 0.0
) -> str | None:
    """What shows that the data behind a decoded picture was damaged, in a few words; None when nothing does.

    pixels: RGB, uint8 [H, W, 3]. blocks: whether the coding works on blocks of 8 or 16 rows, where seams lie.
    unchecked: whether no byte of the format tells of damage; single rows are looked at then, too. quantum: levels that
    one step of a block's stored brightness makes, 0 where it is not known.
    Takes about 0.2 ms a megabyte, unchecked 0.7.
    """
    seen = what_is_seen(pixels, blocks=blocks, unchecked=unchecked, quantum=quantum)
    return None if seen is None else seen.words


def what_is_seen(
    pixels: NDArray[np.uint8], *, blocks: bool = True, unchecked: bool = False, quantum: float = 0.0
) -> DamageSeen | None:
    """The same, and how sure it is."""
    flat = _flat_band(pixels)
    if flat is not None:
        return DamageSeen(flat)
    if unchecked and ends_in_zeros(pixels):
        return DamageSeen("its rows end within the eye, zeros follow")
    if unchecked and row_step(pixels) > STEP_MAX:
        return DamageSeen("rows that do not go on from one to the next, as after a fault or very strong compression")
    score = seam_score(pixels, quantum) if blocks else 0.0
    return DamageSeen("a seam across the picture", score > _SURE) if score > 1 else None


def seam_score(pixels: NDArray[np.uint8], quantum: float = 0.0) -> float:
    """How much the strongest edge along a row of blocks stands out; over 1 hardly an undamaged picture lies.

    quantum: as of `damage_seen`. Rounding to it makes steps of its own size, so a smaller one must stand out more.
    Rows are taken in pairs, since interlaced cameras give even and odd rows another brightness.
    """
    if _looks is not None:
        return _looks.score(np.ascontiguousarray(pixels), (pixels.shape[0], pixels.shape[1]), quantum)
    height, width = pixels.shape[:2]
    if height < 48 or width < 32:
        return 0.0
    stride = max(1, width // _COLUMNS)
    columns = len(range(stride // 2, width, stride))
    sample = np.empty((height // 8 * 8, 3, columns), np.uint8)
    for channel in range(3):  # a channel at a time goes four times as fast as three bytes at a time
        sample[:, channel] = pixels[: len(sample), stride // 2 :: stride, channel]
    rows = sample.reshape(sample.shape[0], -1)
    pairs = np.asarray(cv2.add(rows[0::2], rows[1::2], dtype=cv2.CV_16S), np.int16)
    at_blocks, elsewhere = _steps(pairs, 3), _steps(pairs, 5)
    step = _longest_shift(at_blocks, columns) - 1.5 * _longest_shift(elsewhere, columns)
    shift = step / _SHIFT_MAX
    if shift > 1:
        shift = min(
            shift, _standing_out(at_blocks, columns) * min(1.0, _OF_QUANTUM * step / quantum if quantum else 1.0)
        )
    rough, plain = _roughness(at_blocks), _roughness(elsewhere)
    usual = float(np.median(rough))
    torn = rough.max() - max(0.0, float(plain.max()) - usual)
    return float(max(shift, torn / (usual + 0.5) / _ROUGHNESS_MAX))


def _roughness(steps: NDArray[np.int16]) -> NDArray[np.float32]:
    """Mean |step| of each row, in levels."""
    return np.asarray(
        cv2.reduce(np.abs(np.clip(steps, -4 * _CLIP, 4 * _CLIP)), 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F) / 4, np.float32
    )


def _steps(pairs: NDArray[np.int16], first: int) -> NDArray[np.int16]:
    """Four times the step in level after each fourth pair of rows from `first` on, less what the slope there makes."""
    end = pairs.shape[0] - 2
    before, above, below, after = (pairs[first + k : end + k : 4] for k in (-1, 0, 1, 2))
    step = cv2.subtract(below, above)
    return np.asarray(cv2.add(cv2.subtract(before, after), 3 * step), np.int16)


def _longest_shift(steps: NDArray[np.int16], columns: int) -> float:
    """Largest |sum| of steps from either side over a quarter of a row or more, by the whole row's length, in levels."""
    from_left, from_right = _sums(steps, columns)
    longest = max(cv2.norm(from_left.reshape(-1), cv2.NORM_INF), cv2.norm(from_right, cv2.NORM_INF))
    return float(longest) / columns / 4


def _sums(steps: NDArray[np.int16], columns: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Sums of the clipped steps of each row over a quarter of it or more, from the left and from the right."""
    clipped = np.clip(steps, -_CLIP, _CLIP).reshape(-1, 3, columns)
    sums = np.cumsum(clipped, axis=2, dtype=np.int16)  # 160 columns of 32 at most
    quarter = columns // 4
    return sums[:, :, quarter:], sums[:, :, -1:] - sums[:, :, : columns - quarter]


def _standing_out(steps: NDArray[np.int16], columns: int) -> float:
    """How far the row of the largest shift stands out from the other rows; over 1 it does."""
    left, right = (np.abs(sums).max(axis=(1, 2)) for sums in _sums(steps, columns))
    rows = np.sort(np.maximum(left, right).astype(float))
    few, most = _OVER_FEW * rows[-3], _OVER_MOST * float(np.quantile(rows, 0.75))
    return float(rows[-1] / max(min(few, most), 1.0))


def _flat_band(pixels: NDArray[np.uint8]) -> str | None:
    """A band of rows of one colour where a picture has none: within it, or filled up to its edge."""
    rows = _flat_rows(pixels)
    if rows is None:
        return None
    return f"rows {rows[0]} to {rows[1]} are one flat colour, which no photograph has"


def _flat_rows(pixels: NDArray[np.uint8]) -> tuple[int, int] | None:
    """First and last row of such a band."""
    height, width = pixels.shape[:2]
    if _looks is not None:
        return _looks.flat(np.ascontiguousarray(pixels), (height, width))
    if height < 48 or width < 32:
        return None
    runs = _flat_runs(pixels)
    for first, end in runs:
        level = int(pixels[first, 0].max())
        if first > 0 and end < height:
            if _goes_on(pixels[first - 1], pixels[end]):
                return first, end - 1
        elif (
            end - first >= _FLAT_ROWS
            and end - first < height
            and _DARK < level < _WHITE
            and not _both_ends(runs, height)
        ):
            return first, end - 1
    return None


def _flat_runs(pixels: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """First row and the row after the last of each run of rows that are of one colour, to a level."""
    few = np.ascontiguousarray(pixels[:, :: max(1, pixels.shape[1] // 16)])
    rows = few.reshape(few.shape[0], -1)
    unlike = cv2.absdiff(rows[:, 3:], rows[:, :-3])
    likely = np.flatnonzero(cv2.reduce(unlike, 1, cv2.REDUCE_MAX)[:, 0] <= 1)
    runs: list[tuple[int, int]] = []
    for row in map(int, likely):
        if cv2.norm(pixels[row, 1:], pixels[row, :-1], cv2.NORM_INF) > 1:
            continue
        if runs and runs[-1][1] == row and cv2.norm(pixels[row, :1], pixels[row - 1, :1], cv2.NORM_INF) <= 1:
            runs[-1] = (runs[-1][0], row + 1)
        else:
            runs.append((row, row + 1))
    return runs


def _both_ends(runs: list[tuple[int, int]], height: int) -> bool:
    """Whether a flat band lies at the top and one at the bottom: a frame around the picture."""
    return runs[0][0] == 0 and runs[-1][1] == height


def _goes_on(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> bool:
    """Whether what is seen above a band goes on below it, so that the band lies over the picture."""
    one, other = above.astype(np.int16), below.astype(np.int16)
    seen = np.minimum(one.max(axis=1), other.max(axis=1)) > _DARK
    if seen.mean() < 0.3:
        return False
    return float(np.abs(one - other)[seen].mean()) < 0.25 * float(one[seen].mean())
