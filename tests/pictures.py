"""Pictures that several tests need, drawn here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from runtime.arrays import UInt8Array


def stored_bgr(path: Path) -> UInt8Array:
    """A picture file by OpenCV: BGR, uint8 [height, width, 3]."""
    return decoded_bgr(path.read_bytes())


def decoded_bgr(content: bytes) -> UInt8Array:
    """A picture's bytes by OpenCV: BGR, uint8 [height, width, 3]."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "no picture"
    return np.asarray(picture, np.uint8)


def retina(seed: int = 0, width: int = 320, height: int = 240) -> np.ndarray:
    """An orange disc with dark lines and soft patches on black: the least that the quality gate takes for a retina."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.ellipse(picture, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, (190, 120, 70), -1)
    for _ in range(12):
        points = np.cumsum(rng.normal(0, width / 20, (8, 2)), axis=0) + np.array([width / 2, height / 2])
        cv2.polylines(picture, [points.astype(np.int32)], False, (150, 76, 40), 3)
    patches = rng.normal(0, 4, (24, 24)).astype(np.float32)
    mottled = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    noise = rng.normal(0, 2, picture.shape) + mottled
    return np.where(picture > 0, np.clip(picture + noise, 0, 255), 0).astype(np.uint8)
