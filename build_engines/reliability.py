"""The reliability plot of a cross-validation: what was stated against what was so."""

from __future__ import annotations

from pathlib import Path

from calibration.pictures.canvas import DEVICE_COLOURS, FAINT, PANEL, RULE, Canvas
from runtime.manifest import CrossValidation
from runtime.sinks.picture import encode

RELIABILITY_FILE = "reliability.png"
SIDE, MARGIN = 420, 64


def write_reliability(found: CrossValidation, folder: Path) -> None:
    """Write `reliability.png`: a point a bin, the diagonal where probabilities mean what they say."""
    canvas = Canvas(SIDE + 2 * MARGIN, SIDE + 2 * MARGIN)

    def at(stated: float, observed: float) -> tuple[float, float]:
        return MARGIN + stated * SIDE, MARGIN + (1 - observed) * SIDE

    canvas.box(MARGIN, MARGIN, MARGIN + SIDE, MARGIN + SIDE, PANEL)
    over = f"{found.read or found.folds} of {found.folds} folds"
    canvas.text(MARGIN, MARGIN / 2, f"Reliability over {over}, mean distance {found.calibration_error:.3f}")
    for tenth in range(0, 11, 2):
        x, y = at(tenth / 10, tenth / 10)
        canvas.text(x, MARGIN + SIDE + 16, f"{tenth / 10:g}", 13, FAINT, "m")
        canvas.text(MARGIN - 8, y, f"{tenth / 10:g}", 13, FAINT, "r")
    canvas.text(
        MARGIN + SIDE / 2, SIDE + 2 * MARGIN - 20, "stated probability; upwards: observed share", 13, FAINT, "m"
    )
    canvas.line([at(0, 0), at(1, 1)], RULE)
    points = [at(part.stated, part.observed) for part in found.reliability]
    canvas.line(points, DEVICE_COLOURS[0], 2)
    for x, y in points:
        canvas.box(x - 4, y - 4, x + 4, y + 4, DEVICE_COLOURS[1])
    (folder / RELIABILITY_FILE).write_bytes(encode(canvas.pixels(), ".png"))
