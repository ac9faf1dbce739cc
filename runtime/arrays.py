"""Names for the numpy array types that signatures use."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

UInt8Array: TypeAlias = NDArray[np.uint8]
FloatArray: TypeAlias = NDArray[np.float32]


def require_rgb(pixels: UInt8Array, side: int | None = None) -> None:
    """Raise `ValueError` for what is no RGB picture, uint8 [H, W, 3], not empty; side: both of its sides, if named.

    Compiled code sees bytes alone, and would take others' for a picture.
    """
    height, width = ("H", "W") if side is None else (side, side)
    if not isinstance(pixels, np.ndarray):
        raise ValueError(f"got {type(pixels).__name__}, expected uint8 [{height}, {width}, 3] RGB, an array, not empty")
    fits = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
    if not fits or (side is not None and pixels.shape[:2] != (side, side)):
        raise ValueError(
            f"got {pixels.dtype} {list(pixels.shape)}, expected uint8 [{height}, {width}, 3] RGB, not empty"
        )
