"""The vessel map as the means of 16 x 16 blocks: whole, and small enough to keep in a bundle."""

from __future__ import annotations

import numpy as np

from runtime.arrays import FloatArray
from runtime.preprocess import SIDE

BLOCKS = 16
"""Rows, and blocks in a row."""


def block_means(vessels: FloatArray) -> FloatArray:
    """float32 [256, 256] to float32 [16, 16]."""
    side = SIDE // BLOCKS
    means: FloatArray = (
        vessels.reshape(BLOCKS, side, BLOCKS, side).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    )
    return means
