"""Choosing frames that cover the others: seeded k-center, the farthest frame next (Gonzalez 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.facts import FEATURES
from calibration.gather import Usable

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """Frames in the order in which they were chosen."""

    order: tuple[int, ...]
    """Row numbers."""
    distances: tuple[float | None, ...]
    """Of each to the nearest chosen before it; None for the first."""
    covering_distance: float
    """The largest distance of any row to its nearest chosen one; by Gonzalez at most twice the least possible."""


def feature_points(frames: Sequence[Usable]) -> Points:
    """Features in standard deviations, float64 [N, features + devices]; frames of two devices are one farther apart."""
    values = np.array([[frame.features[name] for name in FEATURES] for frame in frames], np.float64)
    spread = values.std(axis=0)
    devices = sorted({frame.device for frame in frames})
    marks = np.array([[frame.device == device for device in devices] for frame in frames], np.float64)
    return np.hstack([(values - values.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0), marks * np.sqrt(0.5)])


def choose(points: Points, count: int, seed: int) -> Choice:
    """Choose `count` rows: the seed picks the first, each next is the farthest from all before (the first of equals).

    points: float64 [N, D], N at least `count`, `count` at least 1.
    """
    if not 1 <= count <= len(points):
        raise ValueError(f"count: got {count} of {len(points)} points, expected 1 to {len(points)}")
    first = int(np.random.default_rng(seed).integers(len(points)))
    order: list[int] = [first]
    distances: list[float | None] = [None]
    nearest = np.linalg.norm(points - points[first], axis=1)
    nearest[first] = -1.0  # a chosen row is not chosen again, also when others lie on the very same point
    while len(order) < count:
        farthest = int(np.argmax(nearest))
        order.append(farthest)
        distances.append(float(nearest[farthest]))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[farthest], axis=1))
        nearest[farthest] = -1.0
    return Choice(tuple(order), tuple(distances), max(0.0, float(nearest.max())))
