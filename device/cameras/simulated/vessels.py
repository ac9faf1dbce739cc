"""The vessel tree of a drawn retina: arcades that grow from the disc and branch by Murray's law.

Coordinates are in field radii with the disc at the origin, x to the temple, y down; angles in radians from the temple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Border = Callable[[Array], Array]
"""Angle from the disc -> how far vessels reach in that direction."""

STEP = 0.012
FOVEA = (0.55, 0.06)
THINNEST = 0.0052


@dataclass(frozen=True)
class Vessel:
    """One unbranched line of the tree."""

    points: Array
    """[N, 2], in field radii."""
    widths: Array
    """[N], the diameter at each point."""
    vein: bool
    """Veins are drawn wider and darker than arteries."""


@dataclass(frozen=True)
class _Course:
    """How a vessel runs: it leaves with `heading` and turns to `final` within about `relax` of length."""

    heading: float
    final: float
    relax: float


# Arcades of one half of the retina (angle of leaving, final angle, turning length, relative width); the other half is
# its mirror image with its own chances.
_ARCADES = (
    (1.55, 0.05, 0.40, 1.00),  # temporal arcade
    (1.95, 2.45, 0.50, 0.72),  # nasal arcade
    (0.75, 0.30, 0.20, 0.38),  # towards the macula
    (2.80, 3.00, 0.50, 0.50),  # straight to the nose
)


def grow_tree(rng: np.random.Generator, border: Border, *, tortuosity: float, width: float) -> list[Vessel]:
    """All vessels of one retina, thick ones last."""
    vessels: list[Vessel] = []
    for half in (-1.0, 1.0):
        for leaving, final, relax, relative in _ARCADES:
            for vein in (False, True):
                if relative < 0.6 and rng.random() < 0.5:
                    continue
                turn = rng.normal(0.0, 0.13)
                course = _Course(half * (leaving + turn), half * (final + turn + rng.normal(0, 0.08)), relax)
                diameter = relative * width * (0.0225 if vein else 0.0165) * rng.uniform(0.85, 1.1)
                start = np.array([0.012 * rng.normal() + 0.01 * np.cos(course.heading), 0.01 * rng.normal()])
                _grow(vessels, rng, border, start, course, diameter, vein, tortuosity, width)
    return sorted(vessels, key=lambda vessel: float(vessel.widths[0]))


def _grow(
    vessels: list[Vessel],
    rng: np.random.Generator,
    border: Border,
    start: Array,
    course: _Course,
    diameter: float,
    vein: bool,
    tortuosity: float,
    scale: float,
) -> None:
    """One vessel and, recursively, what branches off it."""
    length = 95.0 * diameter / scale * rng.uniform(0.8, 1.25)
    headings = _headings(rng, course, int(length / STEP) + 2, tortuosity)
    points = start + np.cumsum(STEP * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    count = _reach(points, border)
    if count < 4:
        return
    widths = np.empty(count)
    at, now = 0, diameter
    while True:
        gap = int(rng.uniform(0.12, 0.34) / STEP)
        widths[at : at + gap] = now * (1 - 0.1 * np.arange(len(widths[at : at + gap])) / gap)
        at += gap
        if at >= count:
            break
        share = rng.uniform(0.6, 0.93)  # Murray: the cubes of the widths are kept at a branching
        side, now = now * 0.95 * (1 - share) ** (1 / 3), now * 0.95 * share ** (1 / 3)
        if now < THINNEST * scale:
            count = at
            break
        if side >= THINNEST * scale:
            sign = rng.choice((-1.0, 1.0))
            away = float(headings[at]) + sign * rng.uniform(0.4, 1.1)
            child = _Course(away, away - sign * rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.3))
            _grow(vessels, rng, border, points[at], child, side, vein, tortuosity, scale)
    vessels.append(Vessel(points[:count], widths[:count], vein))


def _headings(rng: np.random.Generator, course: _Course, count: int, tortuosity: float) -> Array:
    s = STEP * np.arange(count)
    planned = course.final + (course.heading - course.final) * np.exp(-s / course.relax)
    winding = 0.16 * tortuosity * np.sin(2 * np.pi * s / rng.uniform(0.09, 0.2) + rng.uniform(0, 6.3))
    winding += 0.10 * tortuosity * np.sin(2 * np.pi * s / rng.uniform(0.04, 0.08) + rng.uniform(0, 6.3))
    drift = np.cumsum(rng.normal(0, 0.035, count))
    return np.asarray(planned + winding * np.minimum(1, s / 0.05) + drift - drift[0])


def _reach(points: Array, border: Border) -> int:
    """How many points there are before the vessel leaves the vascular zone or enters the fovea."""
    radius = np.hypot(points[:, 0], points[:, 1])
    outside = radius > border(np.arctan2(points[:, 1], points[:, 0]))
    outside |= np.hypot(points[:, 0] - FOVEA[0], points[:, 1] - FOVEA[1]) < 0.1
    return int(np.argmax(outside)) if outside.any() else len(points)
