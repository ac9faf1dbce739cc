"""Whether a frame is one picture as a camera makes it: not torn, drawn over, covered, or of exchanged colours.

No decoder tells of these: a torn frame that was saved as PNG is a whole PNG. Each check looks for what no eye has and
no camera makes (an edge along a row or column, a notch in the round field, a half that is the other one), with a limit
beyond the reference frames of HVDROPDB (RetCam, 3nethra Neo), HRF, CHASE_DB1 and FIVES, also when these are compressed,
sharpened, brightened, halved or enlarged; docs/measurements.md says what is caught and what is not.
"""

from __future__ import annotations

from runtime.arrays import UInt8Array
from runtime.gate import StructureMeasures, structure_measures
from runtime.quality import BLURRED, COLOURS, DRAWN_OVER, FIELD, TORN

COMB_RATIO_MAX = 1.1
"""Differences between neighbouring rows over those between next but one: whole frames have 1.0, and near 0.5 mostly."""
COMB_OFFSET_MAX = 4.0
"""Grey levels between the even and the odd rows."""
SEAM_MAX = 2.1
"""Largest step between two rows or columns over those near it, three quarters of it at the blocks of a compressed
picture, and four fifths in frames of under 480 pixels: whole frames have 1.6, compressed (quality 30) 2.06."""
REPEATED_ROWS_MAX = 11
"""Rows (or columns) one after another that are alike: more come from a camera or a copy that had no more, or from a
picture that is soft in that part."""
STUCK_ROWS_MAX = 80
"""So many are alike in a soft picture at most: of HVDROPDB's frames, blurred as far as the gate lets pass, half have 15
and none over 72. A camera that repeats its last row does so for longer."""
LIKENESS_MAX = 0.6
"""Correlation of the fine detail of one half with the other, or with its mirror image: whole frames have 0.37."""
HULL_SHARE_MIN = 0.975
"""Share of its convex hull that the field fills; a disc that the frame cuts fills all: whole frames have 0.99."""
STROKES_MAX = 16
"""Pixels of the networks' picture with a channel over 60 levels from the median of 5 x 5: whole frames have 1."""
GRAINS_MAX = 500
"""The same over 30 levels, for noise: whole frames, sharpened, have 171."""
BLUE_EXCESS_MAX = 0.04
"""(mean blue - mean green) / (red + green + blue): the bluest infant frame has 0.024, the median -0.14."""
SPREAD_MIN = 1.0
"""Standard deviation of each colour in the field, levels: whole frames have 3."""
FINE_STROKES_MAX = 40
"""Pixels of the frame with a channel over 50 levels beyond both neighbours, across or down: small letters, which the
networks' picture blurs. Whole frames have at most 1, also sharpened or with noise of 8 levels."""
OWN_COLOUR_MIN = 1.7
"""Standard deviation of red or blue, the larger, where green is the same, levels: whole frames have 5.2, half as light
2.9; a picture in tones of one colour (sepia, a coloured angiogram) at most 1.6, stored as JPEG of quality 50 2.3."""
# runtime/gate/gate.h has the same limits for rop-read; tests/runtime/gate holds them together.


def structure_faults(pixels: UInt8Array, image: UInt8Array) -> tuple[str, ...]:
    """Why the frame is not one picture as a camera makes it, as reasons of the quality gate; none when it is.

    pixels: the frame, RGB, uint8 [H, W, 3]. image: the same as the networks see it, RGB, uint8 [256, 256, 3].
    """
    return _faults(structure_measures(pixels, image))


def _faults(m: StructureMeasures) -> tuple[str, ...]:
    """Each comparison asks whether the measure is good, so that one that is not a number never is."""
    fits = {
        TORN: m.comb_ratio <= COMB_RATIO_MAX
        and m.comb_offset <= COMB_OFFSET_MAX
        and m.seam <= SEAM_MAX
        and m.repeated_rows <= STUCK_ROWS_MAX
        and m.likeness <= LIKENESS_MAX,
        FIELD: m.hull_share >= HULL_SHARE_MIN,
        DRAWN_OVER: m.strokes <= STROKES_MAX and m.grains <= GRAINS_MAX and m.fine_strokes <= FINE_STROKES_MAX,
        COLOURS: m.blue_excess <= BLUE_EXCESS_MAX and m.spread >= SPREAD_MIN and m.own_colour >= OWN_COLOUR_MIN,
        BLURRED: not REPEATED_ROWS_MAX < m.repeated_rows <= STUCK_ROWS_MAX,  # what is no number is torn
    }
    return tuple(reason for reason, fit in fits.items() if not fit)
