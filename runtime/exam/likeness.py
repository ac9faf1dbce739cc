"""Whether two pictures show nearly the same place of an eye: they are registered, and what is alike is measured.

Five pictures of one place are not five views. What is compared is structure, not light: the picture's green with
slow changes taken out and its local contrast made even, and the vessel map. One is turned, sized and moved over the
other by a little, and the best correlation counts. A place further away than `REACH` is another view, however alike.
One mirrored is looked for as well: no eye's place is another's mirrored, but one eye's picture can be given as both's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array

SIDE = 80
"""Pixels to which a picture is brought: its vessels are one to three wide then."""
REACH = 0.12
"""How far two fields may be apart and still be nearly the same place, as a share of the picture's side."""
LIMIT = 0.75
"""At this likeness or over it is the same place; docs/measurements.md says on what it was set and what it costs."""
TURNS_DEG = (-12, -6, 0, 6, 12)
SIZES = (0.95, 1.05)
VESSELS_COUNT = 0.3
"""Share of the vessel maps in the likeness: a map has less to compare, and faults of the network repeat themselves."""
FEW_VESSELS = 0.01
"""Below this share of the map the vessels tell nothing, and the picture alone is looked at."""
_DARK = 20
_BORDER = round(SIDE * REACH)


@dataclass(frozen=True, eq=False)
class Sight:
    """What of a picture is compared; small, so that an exam's can be kept."""

    texture: FloatArray
    """float32 [SIDE, SIDE]: structure within the field, 0 outside."""
    vessels: FloatArray | None
    """float32 [SIDE, SIDE], 0 to 1; None where there are too few."""

    @cached_property
    def turned_texture(self) -> tuple[FloatArray, ...]:
        """What is looked for in others; made once, however many those are."""
        return _turned(self.texture)

    @cached_property
    def turned_vessels(self) -> tuple[FloatArray, ...]:
        """The same of the vessels."""
        return () if self.vessels is None else _turned(self.vessels)

    @cached_property
    def mirrored(self) -> Sight:
        """The same place as the other eye would show it."""
        vessels = None if self.vessels is None else np.ascontiguousarray(self.vessels[:, ::-1])
        return Sight(np.ascontiguousarray(self.texture[:, ::-1]), vessels)


def small(pixels: UInt8Array) -> UInt8Array:
    """What `sight` takes of a frame, RGB uint8 [SIDE, SIDE, 3]: it gives the same for this as for the whole frame.

    Large frames are first reduced by a whole number, which takes a fifth of the time.
    """
    height, width = pixels.shape[:2]
    factor = min(height, width) // (2 * SIDE)
    if factor > 1:
        rows, columns = height // factor, width // factor
        whole = pixels[: rows * factor, : columns * factor]
        pixels = np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def sight(pixels: UInt8Array, vessels: UInt8Array | None = None) -> Sight:
    """From a frame, RGB uint8 [H, W, 3], and its vessel map, probability x 255, uint8 [H', W'], where there is one."""
    shrunk = small(pixels)
    inside = (shrunk.max(axis=2) > _DARK).astype(np.uint8)
    field = np.asarray(cv2.erode(inside, np.ones((5, 5), np.uint8), borderValue=1), np.float32)
    green = np.asarray(shrunk[..., 1], np.float32)
    structure = _within(green, field, 0.8) - _within(green, field, SIDE / 16)
    spread = np.sqrt(np.maximum(_within(structure * structure, field, SIDE / 10), 0.25))
    texture = np.asarray(np.clip(structure / spread, -3, 3) * field, np.float32)
    return Sight(texture, _vessel_lines(vessels))


def _within(values: FloatArray, field: FloatArray, sigma: float) -> FloatArray:
    """Gaussian mean over the field of view only, so that its edge is no structure."""
    weight = cv2.GaussianBlur(field, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(values * field, (0, 0), sigma) / np.maximum(weight, 1e-3), np.float32)


def _vessel_lines(vessels: UInt8Array | None) -> FloatArray | None:
    if vessels is None:
        return None
    small = cv2.resize(vessels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    if not FEW_VESSELS <= float(small.mean()) <= 0.5 or float(small.std()) < 0.02:
        return None
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32)


def likeness(one: Sight, other: Sight, at_least: float = -1.0) -> float:
    """How alike two places are, -1 to 1: of the pictures, and of the vessels too where both have enough.

    at_least: below this any lower number will do, so that vessels which could not make up for it are not compared.
    """
    pictures = _best(one.turned_texture, other.texture)
    if one.vessels is None or other.vessels is None:
        return pictures
    best = (1 - VESSELS_COUNT) * pictures + 1.01 * VESSELS_COUNT  # a correlation comes out a little over 1, too
    if best < at_least:
        return pictures
    return (1 - VESSELS_COUNT) * pictures + VESSELS_COUNT * _best(one.turned_vessels, other.vessels)


def likeness_either_way(one: Sight, other: Sight, at_least: float = -1.0) -> float:
    """`likeness` of the two, or with one of them mirrored, whichever is higher."""
    plain = likeness(one, other, at_least)
    return plain if plain >= LIMIT else max(plain, likeness(one.mirrored, other, at_least))


def _best(parts: tuple[FloatArray, ...], other: FloatArray) -> float:
    """The highest correlation of one of the parts anywhere within `REACH` on the other."""
    return max((_anywhere(part, other) for part in parts), default=0.0)


def _turned(one: FloatArray) -> tuple[FloatArray, ...]:
    """The middle of one, turned and sized in every way that is looked for; without those that show nothing."""
    ways = [*((turn, 1.0) for turn in TURNS_DEG), *((0, size) for size in SIZES)]
    parts = (_middle(one, turn, size) for turn, size in ways)
    return tuple(part for part in parts if float(part.std()) >= 1e-3)


def _middle(one: FloatArray, turn_deg: float, size: float) -> FloatArray:
    middle = (SIDE - 1) / 2
    turned = one
    if turn_deg or size != 1.0:
        matrix = cv2.getRotationMatrix2D((middle, middle), turn_deg, size)
        turned = np.asarray(cv2.warpAffine(one, matrix, (SIDE, SIDE)), np.float32)
    return np.ascontiguousarray(turned[_BORDER:-_BORDER, _BORDER:-_BORDER])


def _anywhere(part: FloatArray, other: FloatArray) -> float:
    found = float(cv2.matchTemplate(other, part, cv2.TM_CCOEFF_NORMED).max())
    return found if np.isfinite(found) else 0.0
