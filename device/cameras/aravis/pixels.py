"""`to_rgb`: from the bytes of a camera's buffer to RGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_CODES = {
    "BGR8": cv2.COLOR_BGR2RGB,
    "BayerRG8": cv2.COLOR_BayerRGGB2RGB,
    "BayerGR8": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB8": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG8": cv2.COLOR_BayerBGGR2RGB,
    "Mono8": cv2.COLOR_GRAY2RGB,
}


def bytes_per_pixel(pixel_format: str) -> int:
    """3 for `RGB8` and `BGR8`, 1 for the others."""
    return 3 if pixel_format in ("RGB8", "BGR8") else 1


def to_rgb(data: NDArray[np.uint8], width: int, height: int, pixel_format: str) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3], in memory of its own, from the bytes `data` in row order without padding."""
    if pixel_format == "RGB8":
        return np.array(data.reshape(height, width, 3), np.uint8)
    shape = (height, width, 3) if pixel_format == "BGR8" else (height, width)
    return np.asarray(cv2.cvtColor(data.reshape(shape), _CODES[pixel_format]), np.uint8)
