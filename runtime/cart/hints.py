"""What the operator should do with the camera: one hint at a time, from the gate's measures and where the field lies.

Pure arithmetic on a 256 x 256 picture. A hint is a word of a fixed list; the pages say it in the user's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from runtime.arrays import UInt8Array
from runtime.quality import QualityLimits, field_of_view, measure


class Hint(str, Enum):
    """What is to be done; `GOOD` when nothing is."""

    NO_PICTURE = "no picture"
    TOO_DARK = "too dark"
    TOO_BRIGHT = "too bright"
    UNEVEN = "light uneven"
    HIDDEN = "part of the eye hidden"
    NO_EYE = "no eye in view"
    CLOSER = "closer"
    MOVE_LEFT = "move left"
    MOVE_RIGHT = "move right"
    MOVE_UP = "move up"
    MOVE_DOWN = "move down"
    FOCUS = "focus"
    HOLD_STILL = "hold still"
    GOOD = "good"


@dataclass(frozen=True)
class Framing:
    """What the preview shows of a picture beside its pixels."""

    hint: Hint
    focus: float
    """0 blurred, 1 as sharp as the gate asks and half as much again."""
    field: tuple[float, float, float]
    """Centre x, centre y and radius of the field of view as shares of the picture's sides; radius 0 where none is."""
    exposure: float
    """0 too dark, 0.5 in the middle of what the gate allows, 1 too bright."""


OFF_CENTRE = 0.08
"""The field's centre may lie so far from the picture's, as a share of its side."""
TURBULENT = 0.035
"""A mean change between two previews of over this share of full scale is motion."""


def framing(
    image: UInt8Array,
    limits: QualityLimits = QualityLimits(),  # noqa: B008 (frozen)
    before: UInt8Array | None = None,
) -> Framing:
    """Look at a preview picture.

    image: RGB uint8 [256, 256, 3]; before: the one before it, to see motion.
    """
    measures = measure(image)
    field = _field(image)
    return Framing(
        hint=_hint(measures, limits, field, _motion(image, before)),
        focus=float(np.clip(measures["detail"] / (1.5 * limits.detail_min), 0.0, 1.0)),
        field=field,
        exposure=_exposure(measures["brightness"], limits),
    )


def _hint(
    measures: Mapping[str, float], limits: QualityLimits, field: tuple[float, float, float], motion: float
) -> Hint:
    """The first thing that is to be done: light, then the eye, then its place, then focus."""
    x, y, radius = field
    if measures["brightness"] < limits.brightness_min:
        return Hint.TOO_DARK
    if (
        measures["brightness"] > limits.brightness_max
        or measures["glare_share"] > limits.glare_share_max
        or measures["glare_spot"] > limits.glare_spot_max
    ):
        return Hint.TOO_BRIGHT
    if radius == 0 or measures["redness"] < limits.redness_min or measures["green_excess"] > limits.green_excess_max:
        return Hint.NO_EYE
    if measures["field_share"] < limits.field_share_min:
        across, down = x - 0.5, y - 0.5
        if max(abs(across), abs(down)) > OFF_CENTRE:
            if abs(across) >= abs(down):
                return Hint.MOVE_RIGHT if across > 0 else Hint.MOVE_LEFT
            return Hint.MOVE_DOWN if down > 0 else Hint.MOVE_UP
        return Hint.CLOSER
    if measures["dark_twentieth"] < limits.dark_twentieth_min or measures["dark_third"] < limits.dark_third_min:
        return Hint.UNEVEN
    if motion > TURBULENT:
        return Hint.HOLD_STILL
    if measures["detail"] < limits.detail_min or measures["edge_ratio"] < limits.edge_ratio_min:
        return Hint.FOCUS
    whole = (
        measures["blank"] <= limits.blank_max
        and measures["edge_lit"] <= limits.edge_lit_max
        and measures["corner_lit"] <= limits.corner_lit_max
        and measures["relief"] >= limits.relief_min
    )
    return Hint.GOOD if whole else Hint.HIDDEN


def _field(image: UInt8Array) -> tuple[float, float, float]:
    """Centre and radius of what is lit, from its first moments."""
    seen = field_of_view(image).view(np.uint8)
    moments = cv2.moments(seen, binaryImage=True)
    area = moments["m00"]
    height, width = seen.shape
    if area < 0.02 * seen.size:
        return 0.5, 0.5, 0.0
    return (
        moments["m10"] / area / width,
        moments["m01"] / area / height,
        float(np.sqrt(area / np.pi) / max(width, height)),
    )


def _motion(image: UInt8Array, before: UInt8Array | None) -> float:
    """Mean change of green between two previews, as a share of full scale."""
    if before is None or before.shape != image.shape:
        return 0.0
    return float(cv2.norm(image[:, :, 1], before[:, :, 1], cv2.NORM_L1) / image[:, :, 1].size / 255)


def _exposure(brightness: float, limits: QualityLimits) -> float:
    span = limits.brightness_max - limits.brightness_min
    return float(np.clip((brightness - limits.brightness_min) / span, 0.0, 1.0))
