"""What each of the 256 places of an antialiased bilinear resize takes from how many pixels: exact 22-bit fractions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Side of the networks' input in pixels."""
WEIGHT_BITS = 22


@dataclass(frozen=True, eq=False)
class Weights:
    """One direction of a resize to 256: place i is the weighted sum of `count[i]` pixels from `first[i]` on."""

    first: NDArray[np.int32]
    """int32 [256]."""
    count: NDArray[np.int32]
    """int32 [256]."""
    weights: NDArray[np.int32]
    """In 1 / 2**22, int32 [256, taps]; zero from `count` on."""


@lru_cache(maxsize=64)
def weights_for(pixels: int, reach: float) -> Weights:
    """The weights for a direction of `pixels` pixels, of which the picture fills the first `reach`.

    `reach` is the number of pixels but for a reduced frame whose last pixel stands for fewer than the others. The
    weights are a triangle as wide as the shrink, sampled at the pixels' middles and made to add up to one. The order
    of the operations is part of the contract (Pillow 12.3's), since the last bit of a weight can depend on it: all are
    IEEE doubles.
    """
    scale = float(np.float32(reach)) / SIDE
    width = max(scale, 1.0)
    taps = math.ceil(width) * 2 + 1
    centers = (np.arange(SIDE) + 0.5) * scale
    first = np.maximum((centers - width + 0.5).astype(np.int64), 0)
    count = np.minimum((centers + width + 0.5).astype(np.int64), pixels) - first
    shares = np.zeros((SIDE, taps))
    total = np.zeros(SIDE)
    for tap in range(taps):
        distance = np.abs((tap + first - centers + 0.5) * (1.0 / width))
        shares[:, tap] = np.where((tap < count) & (distance < 1.0), 1.0 - distance, 0.0)
        total = total + shares[:, tap]
    whole = (0.5 + shares / total[:, None] * (1 << WEIGHT_BITS)).astype(np.int32)
    made = Weights(first.astype(np.int32), count.astype(np.int32), np.ascontiguousarray(whole))
    for array in (made.first, made.count, made.weights):
        array.flags.writeable = False
    return made
