"""The resize to the networks' input in NumPy: what is meant, and what runs where no compiled kernel is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.arrays import UInt8Array
from runtime.preprocess.weights import SIDE, WEIGHT_BITS, Weights


def reduced(pixels: UInt8Array, factor: int) -> UInt8Array:
    """Means of `factor` x `factor` pixels, uint8 [H, W, 3] to [ceil(H / factor), ceil(W / factor), 3].

    Those at the right and the lower edge are of fewer pixels where the factor does not go into the side. A mean is
    (sum + n // 2) * floor(2**24 / n) >> 24 of n pixels, as Pillow's `reduce` has it.
    """
    sums = _added(_added(pixels, factor).transpose(1, 0, 2), factor).transpose(1, 0, 2)
    starts = (np.arange(0, side, factor) for side in pixels.shape[:2])
    high, wide = (np.minimum(side - start, factor) for side, start in zip(pixels.shape[:2], starts, strict=True))
    count = np.multiply.outer(high, wide).astype(np.uint32)[:, :, None]
    means: UInt8Array = (((sums + count // 2) * ((1 << 24) // count)) >> 24).astype(np.uint8)
    return means


def _added(values: NDArray[np.unsignedinteger[Any]], factor: int) -> NDArray[np.uint32]:
    """Each `factor` values in the first direction made one, the last of as many as are left."""
    sums = values[::factor].astype(np.uint32)
    for further in range(1, factor):
        part = values[further::factor]
        sums[: len(part)] += part
    return sums


def across(pixels: UInt8Array, weights: Weights) -> UInt8Array:
    """256 wide: uint8 [H, W, 3] to [H, 256, 3]."""
    turned = down(np.ascontiguousarray(pixels.transpose(1, 0, 2)), weights)
    return np.ascontiguousarray(turned.transpose(1, 0, 2))


def down(pixels: UInt8Array, weights: Weights) -> UInt8Array:
    """256 high: uint8 [H, W, 3] to [256, W, 3]. Sums are exact in 32 bits, halves are rounded up."""
    rows = pixels.reshape(len(pixels), -1).astype(np.int32)
    sums = np.full((SIDE, rows.shape[1]), 1 << (WEIGHT_BITS - 1), np.int32)
    part = np.empty_like(sums)
    for tap in range(int(weights.count.max())):
        # Past the last pixel the weight is zero: any row will do.
        np.take(rows, weights.first + tap, axis=0, out=part, mode="clip")
        part *= weights.weights[:, tap : tap + 1]
        sums += part
    return (sums >> WEIGHT_BITS).astype(np.uint8).reshape(SIDE, *pixels.shape[1:])
