"""The latency histogram as inline SVG."""

from __future__ import annotations

import math

import numpy as np

from runtime.arrays import FloatArray
from runtime.sinks.tally import Percentiles

BINS = 48
WIDTH, HEIGHT = 880, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 76, 38


def histogram_svg(latencies_ms: FloatArray, budget_ms: float | None) -> str:
    """An `<svg>` with the distribution, lines at the percentiles and at the budget.

    Latencies beyond the axis are counted in its last bar. latencies_ms: float32 [n], n at least 1.
    """
    percentiles = Percentiles.of(latencies_ms)
    if percentiles is None:
        raise ValueError("histogram of no latencies; expected at least one")
    end = axis_end(latencies_ms, budget_ms)
    counts, _ = np.histogram(np.minimum(latencies_ms, end), bins=BINS, range=(0.0, end))
    parts = [*_axes(end, int(counts.max())), *_bars(counts)]
    lines = [("p50", percentiles.p50), ("p95", percentiles.p95), ("p99", percentiles.p99), ("budget", budget_ms)]
    shown = sorted((ms, name) for name, ms in lines if ms is not None and ms <= end)
    parts += [_line(name, ms, end, row) for row, (ms, name) in enumerate(shown)]
    over = int(np.count_nonzero(latencies_ms > end))
    if over:
        text = f"last bar: {over} frame{'s' if over > 1 else ''} over {end:g} ms, slowest {latencies_ms.max():.0f} ms"
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{text}</text>')
    label = f"Latency histogram of {latencies_ms.size} frames, p50 {percentiles.p50:.1f} ms"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def axis_end(latencies_ms: FloatArray, budget_ms: float | None) -> float:
    """Where the axis ends, a round number of ms: past the slowest but for outliers, past the budget when it is near."""
    p95 = float(np.percentile(latencies_ms, 95))
    end = min(float(latencies_ms.max()), 2.5 * p95)
    if budget_ms is not None and budget_ms <= 3 * end:
        end = max(end, budget_ms)
    return _round_up(max(end * 1.05, 0.1))


def _round_up(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value * (1 - 1e-9))


def _x(ms: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * ms / end


def _bars(counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
    floor, width = HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / BINS
    heights = counts / max(1, counts.max()) * (floor - TOP)
    return [
        f'<rect class="bar" x="{LEFT + i * width + 0.5:.1f}" y="{floor - height:.1f}" '
        f'width="{width - 1:.1f}" height="{height:.1f}"/>'
        for i, height in enumerate(heights)
        if height > 0
    ]


def _axes(end: float, most: int) -> list[str]:
    floor = HEIGHT - BOTTOM
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>']
    for i in range(5):
        ms = end * i / 4
        anchor = "end" if i == 4 else "middle"
        parts.append(f'<text x="{_x(ms, end):.1f}" y="{floor + 16}" text-anchor="{anchor}">{ms:g} ms</text>')
    parts.append(f'<text x="{LEFT - 8}" y="{TOP + 5}" text-anchor="end">{most}</text>')
    parts.append(f'<text x="{LEFT - 8}" y="{floor}" text-anchor="end">0</text>')
    return parts


def _line(name: str, ms: float, end: float, row: int) -> str:
    """A line with its label; each label stands a row lower than the one to its left, so that no line crosses one."""
    x, y = _x(ms, end), 14 + 16 * row
    anchor = "end" if x > WIDTH - 140 else "start"
    shift = -4 if anchor == "end" else 4
    kind = "budget" if name == "budget" else "percentile"
    return (
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="{kind}" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{name} {ms:.4g} ms</text>'
    )
