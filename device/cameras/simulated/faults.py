"""What spoils a frame on purpose; each fault changes the pixels before the sensor's noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.simulated.look import Field

FAULTS = ("blink", "defocus", "glare", "dark")

Pixels = NDArray[np.uint8]


def defocus(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Blur as from a lens that is not set, before the field stop (the field's edge stays sharp)."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(8, width // 4), max(8, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.018, 0.03) * small.shape[1])
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def glare(rng: np.random.Generator, pixels: Pixels, field: Field) -> Pixels:
    """A white reflection from cornea or lens with a veil around it."""
    across, down, lit = field.polar(pixels.shape[1], pixels.shape[0])
    angle, far, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.45)
    distance2 = (across - far * np.cos(angle)) ** 2 + (down - far * np.sin(angle)) ** 2
    light = 420 * np.exp(-distance2 / (2 * size**2)) + 45
    spoilt = pixels + (light * lit)[:, :, None] * np.array((1.0, 0.97, 0.92), np.float32)
    return np.asarray(np.clip(spoilt, 0, 255), np.uint8)


def lid(rng: np.random.Generator, field: Field, width: int, height: int) -> NDArray[np.float32]:
    """How much light passes a closing lid, float32 [H, W] from 0 (covered) to 1."""
    across, down, _ = field.polar(width, height)
    level = rng.uniform(0.05, 1.3)
    tilt = rng.uniform(-0.2, 0.2)
    edge = level - 0.25 * across**2 + tilt * across
    return np.asarray(1 / (1 + np.exp(-np.clip((down - edge) / 0.04, -40, 40))), np.float32)
