"""The pictures by which the resize is held: patterns and noise from arithmetic alone, the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np

from runtime.arrays import UInt8Array

SIZES = (
    *((1, 1), (3, 2), (64, 64), (255, 257), (256, 256), (257, 257), (64, 959), (959, 64)),
    *((640, 480), (480, 640), (320, 480), (341, 511), (260, 265), (720, 576), (959, 959), (1600, 900), (1920, 959)),
    # Taller than a hundred times their width: 256 high first.
    *((9, 900), (9, 901), (2, 250), (64, 6500)),
    # Reduced first, by 2, 3, 4, 5, 6; with something left over at the edges or not.
    *((960, 960), (1279, 960), (961, 967), (1280, 1024), (1440, 1440), (1600, 1601), (2040, 2040), (2041, 2039)),
    *((2592, 1944), (2401, 2399), (960, 3001), (3000, 2881)),
)
"""(width, height). Pillow 13 differs from 12.3 at 257 x 257, 320 x 480, 341 x 511 and others."""


def picture(width: int, height: int) -> UInt8Array:
    """Noise on a pattern of rings, with a band of black and one of white: RGB, uint8 [height, width, 3]."""
    count = height * width * 3
    words = np.random.PCG64(width * 100_003 + height).random_raw((count + 7) // 8)
    noise = np.asarray(words, dtype="<u8").view(np.uint8)[:count].reshape(height, width, 3)
    y, x = np.arange(height, dtype=np.int64)[:, None], np.arange(width, dtype=np.int64)[None, :]
    rings = ((x - width // 3) ** 2 + (y - height // 2) ** 2) // (width + height)
    levels = (rings[:, :, None] * np.array([3, 5, 7]) + (noise >> 2)) % 256
    levels[: height // 16] = 0
    levels[-(height // 16) or height :] = 255
    return levels.astype(np.uint8)


def name_of(width: int, height: int) -> str:
    return f"{width}x{height}"


def digest(pixels: UInt8Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
