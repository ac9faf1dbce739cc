"""Pictures that several tests need, drawn here."""

from __future__ import annotations

import cv2
import numpy as np


def retina(seed: int = 0, width: int = 320, height: int = 240) -> np.ndarray:
    """An orange disc with dark lines on black: the least that the quality gate takes for a retina."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.ellipse(picture, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, (190, 120, 70), -1)
    for _ in range(12):
        points = np.cumsum(rng.normal(0, width / 20, (8, 2)), axis=0) + np.array([width / 2, height / 2])
        cv2.polylines(picture, [points.astype(np.int32)], False, (120, 45, 30), 3)
    noise = rng.normal(0, 2, picture.shape)
    return np.where(picture > 0, np.clip(picture + noise, 0, 255), 0).astype(np.uint8)
