"""The quality gate: whether a frame shows a retina well enough to be read, and if not, why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.arrays import UInt8Array
from runtime.gate import gate_measures
from runtime.reading import Quality

TOO_DARK = "too dark"
TOO_BRIGHT = "too bright or glare"
UNEVEN = "light uneven"
BLURRED = "blurred"
FIELD = "field of view missing or cut"
NOT_A_RETINA = "not a retina"
NOT_ONE = "not one retina"
UNFAMILIAR = "not a fundus as the model knows it"
"""Told by the networks' encoder, after the gate; see `runtime.familiar`."""
REPEATED = "repeated frame"
TORN = "torn or put together from parts"
DRAWN_OVER = "text, lines or noise over the picture"
COLOURS = "colours exchanged or missing"
"""These three are told by `runtime.structure`, after the gate."""
REASONS = (
    TOO_DARK,
    TOO_BRIGHT,
    UNEVEN,
    FIELD,
    NOT_ONE,
    NOT_A_RETINA,
    BLURRED,
    TORN,
    DRAWN_OVER,
    COLOURS,
    UNFAMILIAR,
    REPEATED,
)
"""Every one; what a new one needs: docs/recipes.md."""

DIM = 60.0
"""Mean luminance, grey levels, below which detail is lost for want of light: one that seems blurred there is called too
dark first, since more light is what mends it. The darkest infant frame has 72."""


@dataclass(frozen=True)
class QualityLimits:
    """When a frame is not gradable. Each limit is held against the measure of the same name.

    The defaults were set on the 249 infants' frames of HVDROPDB (RetCam, 3nethra Neo) and on the same frames
    darkened, overexposed, blurred and cut: every untouched one passes with room to spare.
    """

    brightness_min: float = 32.0
    """Mean luminance of the field of view, grey levels; the darkest infant frame has 72."""
    brightness_max: float = 232.0
    """Same; the brightest has 220."""
    glare_share_max: float = 0.25
    """Share of the field with luminance over 235; the largest seen is 0.14."""
    field_share_min: float = 0.5
    """Share of the frame that is field of view; the smallest seen is 0.79 (adults' cameras: 0.65)."""
    detail_min: float = 1.45
    """Mean |Laplacian| of green inside the field, grey levels; the softest infant frame has 1.7, and no frame blurred
    by a Gaussian of 2 pixels reaches 1.35."""
    detail_max: float = 14.0
    """Same; text, noise and interlacing lie above, the sharpest adult frame has 6.5."""
    edge_ratio_min: float = 3.4
    """97th percentile over median of |fine difference of Gaussians|: about 3.2 when there is nothing but sensor noise;
    the faintest infant frame has 3.6."""
    fields_max: float = 1
    """Separate lit parts of the picture, once what bridges them is cut; every frame of HVDROPDB, HRF, CHASE_DB1 and
    FIVES (339) has one, a sheet of four eyes two or more."""
    redness_min: float = 0.03
    """(mean red - mean blue) / (red + green + blue) in the field; the palest infant frame has 0.07, grey has 0."""
    green_excess_max: float = 0.04
    """(mean green - mean red) / (red + green + blue); the greenest infant frame has 0.001."""
    dark_twentieth_min: float = 0.21
    """Light of the darkest twentieth of where the field lies, or would lie were it as wide on every side, over the
    field's median: how dark a small part may be. The least of 340 frames of infants and adults is 0.23, then 0.26."""
    dark_third_min: float = 0.54
    """Light of the darkest third of it over that of its brightest quarter: how dark a large part may be; the least is
    0.59, the next 0.60."""
    glare_spot_max: float = 0.03
    """The largest spot that is white (every channel over 220), or bright and flat (luminance over 200, no channel more
    than 2 levels apart within 5 x 5), as a share of the field: in it nothing of the eye is left. The largest of 340
    frames is 0.005, of all else in white eyes far overexposed 0.001."""
    blank_max: float = 0.015
    """The largest part of the field without any relief, as a share of it: over 20 x 20 pixels the means of 4 x 4 curve
    by 0.6 levels on average, or no pixel of 12 x 12 by over 3 levels. A finger, a lid, a mark of one colour; no eye has
    any: the smoothest of 340 curve by 1.1 on average."""
    edge_lit_max: float = 0.55
    """Lit share of the edge of the rectangle around the field, of its two opposite sides where it is less: a round
    field that the sensor cuts at two sides has little of it (the most of 340 frames is 0.47, of RetCam), a part cut out
    of a picture much. A camera whose sensor lies wholly within the field needs 1 of both."""
    corner_lit_max: float = 0.4
    """Lit share of the corner (legs of 7/64 of the sides) of that rectangle where it is most; the most is 0.09."""
    relief_min: float = 0.14
    """Over 48 x 48 pixels, how far means of 12 x 12 lie from a plane over how much those of 2 x 2 curve, of the window
    where all but four have more: even colour under a camera's noise has under 0.12, also when it was stored as JPEG or
    knows its neighbours. The least of 340 frames is 0.159 (HRF; RetCam 0.195, 3nethra Neo 0.224)."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            if math.isnan(getattr(self, limit.name)):
                raise ValueError(f"quality limit {limit.name}: got not-a-number, expected a number")


def grade(image: UInt8Array, limits: QualityLimits = QualityLimits()) -> Quality:
    """Measure and judge a frame on the picture that the networks see.

    image: RGB, uint8 [256, 256, 3]. Repeated frames are seen by the Screener, which
    knows the frame before.
    """
    measures = measure(image)
    reasons = tuple(_reasons(measures, limits))
    return Quality(not reasons, reasons, measures)


def measure(image: UInt8Array) -> dict[str, float]:
    """The measures that `QualityLimits` describes, by name. image: RGB, uint8 [256, 256, 3]."""
    return gate_measures(image)._asdict()


def field_of_view(image: UInt8Array) -> NDArray[np.bool_]:
    """Where the camera saw something: bool [H, W], true where any channel is over 20 of 255."""
    seen: NDArray[np.bool_] = cv2.inRange(image, (0, 0, 0), (20, 20, 20)) == 0
    return seen


def vessel_fraction(vessels: NDArray[np.bool_], image: UInt8Array) -> float:
    """Share of the field of view that is vessel. vessels: bool [H, W]; image: RGB, uint8 [H, W, 3]."""
    field = field_of_view(image)
    return float(np.count_nonzero(vessels & field) / max(int(np.count_nonzero(field)), 1))


def _reasons(measures: Mapping[str, float], limits: QualityLimits) -> list[str]:
    """Worst first: without light or a field the other measures mean little.

    Each comparison asks whether the measure is good, so that one that is not a number never is.
    """
    fits = {
        TOO_DARK: measures["brightness"] >= limits.brightness_min,
        TOO_BRIGHT: measures["brightness"] <= limits.brightness_max
        and measures["glare_share"] <= limits.glare_share_max
        and measures["glare_spot"] <= limits.glare_spot_max,
        # Of a picture that is dark all over, or of no field, it is not told.
        UNEVEN: (
            measures["dark_twentieth"] >= limits.dark_twentieth_min and measures["dark_third"] >= limits.dark_third_min
        )
        or measures["brightness"] < limits.brightness_min
        or measures["field_share"] < limits.field_share_min,
        FIELD: measures["field_share"] >= limits.field_share_min,
        # None at all, though much is lit, is many small ones.
        NOT_ONE: measures["fields"] <= limits.fields_max
        and (measures["fields"] >= 1 or measures["field_share"] < limits.field_share_min),
        NOT_A_RETINA: measures["redness"] >= limits.redness_min
        and measures["green_excess"] <= limits.green_excess_max
        and measures["detail"] <= limits.detail_max,
        BLURRED: measures["detail"] >= limits.detail_min and measures["edge_ratio"] >= limits.edge_ratio_min,
    }
    reasons = [reason for reason, fit in fits.items() if not fit]
    if BLURRED in reasons and measures["brightness"] < DIM and TOO_DARK not in reasons:
        reasons.insert(0, TOO_DARK)
    # A dark, bright or blurred picture is blank, too, and what is no retina has no round field.
    whole = (
        measures["blank"] <= limits.blank_max
        and measures["edge_lit"] <= limits.edge_lit_max
        and measures["corner_lit"] <= limits.corner_lit_max
        and measures["relief"] >= limits.relief_min
    )
    return reasons or ([] if whole else [FIELD])
