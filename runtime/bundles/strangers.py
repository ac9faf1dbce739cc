"""Pictures of what is no fundus, drawn anew each time: what a bundle's test of strangers has to refuse."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from runtime.arrays import UInt8Array
from runtime.preprocess import network_input

SIDE = 480


def draw_strangers(count: int, seed: int | None = None) -> Iterator[UInt8Array]:
    """Textures and screens of text in turn, each RGB, uint8 [1, 256, 256, 3]. seed: None is one that nobody knows."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield network_input((texture, screen)[number % 2](rng))


def texture(rng: np.random.Generator) -> UInt8Array:
    """Noise of one or several sizes in two colours, uint8 [480, 480, 3]."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for size in rng.choice([2, 4, 8, 16, 32, 64], rng.integers(1, 4), replace=False):
        total += cv2.resize(
            rng.random((SIDE // size + 1,) * 2, np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )
    share = ((total - total.min()) / np.ptp(total))[..., np.newaxis]
    mixed = share * rng.integers(0, 256, 3) + (1 - share) * rng.integers(0, 256, 3)
    return np.asarray(mixed, np.uint8)


def screen(rng: np.random.Generator) -> UInt8Array:
    """Text and a bar, as a program's window has them, uint8 [480, 640, 3]."""
    light = bool(rng.integers(2))
    picture = np.full((SIDE, SIDE * 4 // 3, 3), 245 if light else 30, np.uint8)
    cv2.rectangle(picture, (0, 0), (picture.shape[1], 36), tuple(int(c) for c in rng.integers(40, 220, 3)), -1)
    for row in range(60, SIDE, int(rng.integers(18, 34))):
        text = "".join(rng.choice(list("abcdefghij klmno pqrstu"), int(rng.integers(5, 60))))
        ink = (20, 20, 20) if light else (225, 225, 225)
        cv2.putText(picture, text, (12, row), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
    return picture
