"""What is measured of a frame before anything is judged: light and sharpness, and whether it is one whole picture.

Compiled where there was a compiler, in NumPy and OpenCV otherwise, with the same numbers to the last bit; `rop-read`
has the compiled ones. What each measure means, and its limit: `runtime.quality` and `runtime.structure`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from device.compiled import of_these_sources
from runtime.arrays import UInt8Array, require_rgb
from runtime.gate import plain

try:
    from runtime.gate import _kernel
except ImportError:  # built without a compiler: the same numbers, later
    _kernel = None  # type: ignore[assignment]
else:
    if not of_these_sources(_kernel):
        _kernel = None  # type: ignore[assignment]

SIDE = 256
"""Of the networks' picture."""


class GateMeasures(NamedTuple):
    """Of the picture that the networks see; in the order of a reading."""

    brightness: float
    glare_share: float
    field_share: float
    fields: float
    detail: float
    edge_ratio: float
    redness: float
    green_excess: float
    dark_twentieth: float
    dark_third: float
    glare_spot: float
    blank: float
    edge_lit: float
    corner_lit: float
    relief: float


class StructureMeasures(NamedTuple):
    """Of the frame, and of the picture that the networks see."""

    comb_ratio: float
    comb_offset: float
    seam: float
    repeated_rows: float
    likeness: float
    hull_share: float
    strokes: float
    grains: float
    blue_excess: float
    spread: float
    fine_strokes: float
    own_colour: float


def gate_measures(image: UInt8Array) -> GateMeasures:
    """image: RGB, uint8 [256, 256, 3]. Raises `ValueError` for anything else."""
    require_rgb(image, SIDE)
    return GateMeasures(*(_kernel.quality(np.ascontiguousarray(image)) if _kernel else plain.quality(image)))


def structure_measures(pixels: UInt8Array, image: UInt8Array) -> StructureMeasures:
    """pixels: the frame, RGB, uint8 [H, W, 3]. image: what the networks see of it, RGB, uint8 [256, 256, 3].

    Raises `ValueError` for anything else.
    """
    require_rgb(pixels)
    require_rgb(image, SIDE)
    height, width = pixels.shape[:2]
    given = np.ascontiguousarray(pixels), np.ascontiguousarray(image)
    return StructureMeasures(
        *(_kernel.structure(given[0], (height, width), given[1]) if _kernel else plain.structure(*given))
    )
