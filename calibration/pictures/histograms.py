"""Histograms of a set's features: bars for the chosen frames by device, a line for all that could be chosen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibration.facts import FEATURES, SetFacts
from calibration.pictures.canvas import FAINT, LINE, PANEL, RULE, Canvas, device_colours, text_width
from runtime.arrays import UInt8Array

TITLES = {
    "brightness": ("brightness", "mean luminance of the field, grey levels"),
    "redness": ("redness", "(red - blue) / sum of channels"),
    "green_excess": ("green excess", "(green - red) / sum of channels"),
    "detail": ("detail (sharpness)", "mean |Laplacian| of green, grey levels"),
    "vessel_density": ("vessel density", "share of the field that is vessel"),
}
BINS = 24
COLUMNS = 2
WIDTH, HEIGHT = 620, 300
"""Of a panel."""
GAP = 16
MARGIN = 24
TITLE = 104
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 62, 40
"""Room around the bars inside a panel."""


def draw_histograms(facts: SetFacts) -> UInt8Array:
    """RGB picture with a panel for each feature and one for the refused frames."""
    rows = -(-(len(FEATURES) + 1) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * (WIDTH + GAP) - GAP
    canvas = Canvas(width, TITLE + rows * (HEIGHT + GAP) - GAP + MARGIN)
    _title(canvas, facts)
    for place, name in enumerate((*FEATURES, "")):
        x = MARGIN + place % COLUMNS * (WIDTH + GAP)
        y = TITLE + place // COLUMNS * (HEIGHT + GAP)
        canvas.box(x, y, x + WIDTH, y + HEIGHT, PANEL)
        if name:
            _panel(canvas, x, y, facts, name)
        else:
            _refused(canvas, x, y, facts)
    return canvas.pixels()


def _title(canvas: Canvas, facts: SetFacts) -> None:
    usable = facts.population.frames
    canvas.text(MARGIN, 26, f"Calibration set, {len(facts.frames)} frames of {usable} usable ones", 24)
    canvas.text(MARGIN, 52, f"{facts.sha256[:16]}, made {facts.created}, seed {facts.seed}", 14, FAINT)
    x: float = MARGIN
    for device, colour in device_colours(facts.devices).items():
        label = f"{device}, {facts.devices[device]} chosen"
        canvas.box(x, 74, x + 14, 88, colour)
        canvas.text(x + 22, 81, label, 15)
        x += 22 + text_width(label, 15) + 28
    canvas.line([(x, 81), (x + 26, 81)], LINE, 2)
    canvas.text(x + 34, 81, f"all {usable} usable", 15)


def _panel(canvas: Canvas, x: int, y: int, facts: SetFacts, name: str) -> None:
    heading, unit = TITLES[name]
    canvas.text(x + 16, y + 20, heading, 18)
    canvas.text(x + 16, y + 42, unit, 13, FAINT)
    edges = _edges(facts, name)
    usable = np.histogram(facts.population.features[name], edges)[0]
    shares = usable / max(1, usable.sum())
    stacks = {
        device: np.histogram([f.features[name] for f in facts.frames if f.device == device], edges)[0]
        / len(facts.frames)
        for device in sorted(facts.devices)
    }
    most = float(max(shares.max(), sum(stacks.values(), np.zeros(BINS)).max()))
    floor, tall = y + HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    left, step = x + LEFT, (WIDTH - LEFT - RIGHT) / BINS
    canvas.text(left - 8, floor - tall, f"{most:.0%}", 13, FAINT, "r")
    canvas.text(left - 8, floor, "0", 13, FAINT, "r")
    _bars(canvas, stacks, left, step, floor, tall / most)
    _steps(canvas, shares, left, step, floor, tall / most)
    canvas.line([(left, floor), (left + step * BINS, floor)], RULE)
    for tick in _ticks(float(edges[0]), float(edges[-1])):
        at = left + step * BINS * (tick - edges[0]) / (edges[-1] - edges[0])
        canvas.line([(at, floor), (at, floor + 5)], FAINT)
        canvas.text(at, floor + 18, f"{tick:g}", 13, FAINT, "m")


def _edges(facts: SetFacts, name: str) -> NDArray[np.float64]:
    values = [*facts.population.features[name], *(frame.features[name] for frame in facts.frames)]
    low, high = min(values), max(values)
    spare = max(0.02 * (high - low), 1e-6)
    return np.linspace(low - spare, high + spare, BINS + 1)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the ends, four to nine of them."""
    unit = 10.0 ** math.floor(math.log10(high - low))
    step = next(part * unit for part in (0.2, 0.5, 1, 2) if (high - low) / (part * unit) <= 9)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _bars(
    canvas: Canvas, stacks: dict[str, NDArray[np.float64]], left: float, step: float, floor: float, scale: float
) -> None:
    bottom = np.full(BINS, floor, np.float64)
    for device, colour in device_colours(stacks).items():
        heights = stacks[device] * scale
        for i in range(BINS):
            canvas.box(left + step * i + 1, bottom[i] - heights[i], left + step * (i + 1) - 1, bottom[i], colour)
        bottom -= heights


def _steps(canvas: Canvas, shares: NDArray[np.float64], left: float, step: float, floor: float, scale: float) -> None:
    points = [(left, floor)]
    for i, share in enumerate(shares):
        points += [(left + step * i, floor - share * scale), (left + step * (i + 1), floor - share * scale)]
    canvas.line([*points, (left + step * BINS, floor)], LINE, 2)


def _refused(canvas: Canvas, x: int, y: int, facts: SetFacts) -> None:
    """Where the other frames went: a line for each reason."""
    looked_at = sum(source.frames for source in facts.sources)
    canvas.text(x + 16, y + 20, f"{looked_at} frames looked at", 18)
    rows = [
        (len(facts.frames), "chosen"),
        (facts.population.frames - len(facts.frames), "usable, not chosen"),
        *((refusal.frames, f"refused: {refusal.reason}") for refusal in facts.refused),
    ]
    shown = rows if len(rows) <= 9 else [*rows[:8], (sum(n for n, _ in rows[8:]), "refused for other reasons")]
    for line, (number, what) in enumerate(shown):
        height = y + 56 + 26 * line
        canvas.text(x + 64, height, str(number), 16, align="r")
        canvas.text(x + 80, height, what, 16, FAINT)
