"""Samples of more than 8 bits to 8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_eight_bits(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """0 to 2^bits - 1 as 0 to 255, rounded to nearest; what is larger counts as white."""
    full = 2**bits - 1
    wide = np.minimum(samples, full).astype(np.uint32)
    return np.asarray((wide * 255 + full // 2) // full, np.uint8)
