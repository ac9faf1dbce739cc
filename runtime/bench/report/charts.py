"""The report page's charts as inline SVG: latency over time with the machine below it, distribution, stage bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from runtime.bench.measure.samples import Column
from runtime.percentiles import rank_of, samples_needed

WIDTH = 880
LEFT, RIGHT = 64, 20
MOST_POINTS = 4000
BINS = 60
LABEL = 90.0
"""Room that a label takes."""
HEADING = 24.0
"""Down to here stand a chart's title and its legend."""


@dataclass(frozen=True)
class Axis:
    """A straight axis from values to pixels."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values beyond the end stand at the end."""
        share = (value - self.low) / (self.high - self.low or 1.0)
        return self.at_low + min(1.0, max(0.0, share)) * (self.at_high - self.at_low)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the axis, about `count` of them."""
        raw = (self.high - self.low or 1.0) / count
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(s * unit for s in (1, 2, 2.5, 5, 10) if s * unit >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def svg(height: float, label: str, parts: Sequence[str]) -> str:
    """The parts as one picture."""
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    """A word or two at a place."""
    css = f' class="{kind}"' if kind else ""
    return f'<text{css} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def across(axis: Axis, top: float, floor: float, unit: str, name: str) -> list[str]:
    """Ticks and figures of a horizontal axis at the bottom of a chart."""
    parts = [line(LEFT, floor, WIDTH - RIGHT, floor, "axis")]
    for tick in axis.ticks(8):
        parts.append(line(axis(tick), top, axis(tick), floor, "grid"))
        parts.append(text(axis(tick), floor + 16, f"{tick:g}", anchor="middle"))
    return [*parts, text(WIDTH - RIGHT, floor + 32, f"{name}, {unit}", anchor="end")]


def upward(axis: Axis, count: int = 4) -> list[str]:
    """Ticks and figures of a vertical axis at the left of a chart."""
    parts = []
    for tick in axis.ticks(count):
        parts.append(line(LEFT, axis(tick), WIDTH - RIGHT, axis(tick), "grid"))
        parts.append(text(LEFT - 8, axis(tick) + 4, f"{tick:g}", anchor="end"))
    return parts


def time_series(
    at_s: Column,
    latencies_ms: Column,
    budget_ms: float | None,
    machine_at_s: Sequence[float],
    sensors: dict[str, Sequence[float | None]],
) -> str:
    """Every frame's latency over time, and each sensor below it on the same time axis.

    Outliers are in the picture: the axis reaches to the slowest frame. at_s, latencies_ms: [n], n at least 1.
    """
    top, tall, low = 22.0, 200.0, 54.0
    end_s = max(float(at_s.max()), *machine_at_s, 1e-3) if machine_at_s else max(float(at_s.max()), 1e-3)
    x = Axis(0.0, end_s, LEFT, WIDTH - RIGHT)
    highest = max(float(latencies_ms.max()), budget_ms if budget_ms and budget_ms < 3 * latencies_ms.max() else 0.0)
    y = Axis(0.0, highest * 1.06, top + tall, top)
    parts = [text(LEFT, 12, "latency of each frame, ms", kind="strong"), *upward(y)]
    parts += _points(x, y, at_s, latencies_ms, budget_ms)
    if budget_ms is not None and budget_ms <= y.high:
        parts += [line(LEFT, y(budget_ms), WIDTH - RIGHT, y(budget_ms), "budget")]
        parts += [text(WIDTH - RIGHT, y(budget_ms) - 5, f"budget {budget_ms:g} ms", anchor="end", kind="budget")]
    floor = top + tall
    for name, values in sensors.items():
        floor += 24
        parts += _strip(x, floor, low, name, machine_at_s, values)
        floor += low
    parts += across(x, top, floor, "s", "time since the start")
    return svg(floor + 40, f"Latency of {at_s.size} frames over {end_s:.0f} s", parts)


def _points(x: Axis, y: Axis, at_s: Column, latencies_ms: Column, budget_ms: float | None) -> list[str]:
    """A dot a frame; of a very long run every k-th, and all of the slowest hundredth."""
    keep = np.arange(0, at_s.size, max(1, at_s.size // MOST_POINTS))
    slow = np.argsort(latencies_ms)[-max(1, at_s.size // 100) :]
    parts = []
    for i in sorted({*keep.tolist(), *slow.tolist()[-MOST_POINTS:]}):
        over = budget_ms is not None and latencies_ms[i] > budget_ms
        kind = "dot over" if over else "dot"
        parts.append(
            f'<circle class="{kind}" cx="{x(at_s[i]):.1f}" cy="{y(latencies_ms[i]):.1f}" r="{2.6 if over else 1.8}"/>'
        )
    return parts


def _strip(
    x: Axis, top: float, tall: float, name: str, at_s: Sequence[float], values: Sequence[float | None]
) -> list[str]:
    """One sensor's line under the latencies."""
    known = [(t, v) for t, v in zip(at_s, values, strict=True) if v is not None]
    if not known:
        return []
    lowest, highest = min(v for _, v in known), max(v for _, v in known)
    room = max((highest - lowest) * 0.1, abs(highest) * 0.02, 0.5)
    y = Axis(lowest - room, highest + room, top + tall, top)
    path = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in known)
    span = f"{lowest:.4g}" if lowest == highest else f"{lowest:.4g} to {highest:.4g}"
    return [
        text(LEFT, top - 6, f"{sensor_name(name)}: {span}", kind="strong"),
        *upward(y, 2),
        f'<polyline class="trace" points="{path}"/>',
    ]


def sensor_name(name: str) -> str:
    """`cpu_mhz` as `cpu, MHz`."""
    units = {"mhz": "MHz", "c": "\N{DEGREE SIGN}C", "w": "W", "mb": "MB", "cores": "cores"}
    quantity, _, unit = name.rpartition("_")
    words = {"other": "taken by other processes"}.get(quantity, quantity.replace("_", " "))
    return f"{words}, {units.get(unit, unit)}"


@dataclass(frozen=True)
class Curve:
    """The latencies of one side of a chart, ascending."""

    name: str
    """"" where there is only one."""
    ordered: Column
    kind: str = "trace"

    @classmethod
    def of(cls, latencies_ms: Column, name: str = "", kind: str = "trace") -> Curve:
        """latencies_ms: [n], n at least 1."""
        return cls(name, np.sort(latencies_ms), kind)


def distribution(curves: Sequence[Curve], budget_ms: float | None, percentiles: Sequence[float] = ()) -> str:
    """The cumulative distribution on a scale that opens up the tail, with percentiles and budget drawn in.

    The scale is of nines: 50 %, 90 %, 99 %, 99.9 % stand equally far apart. percentiles: marked on each curve at the
    sample that they are, the slowest sample too.
    """
    top, tall = 26.0, 230.0
    n = max(curve.ordered.size for curve in curves)
    x = _latency_axis(curves, budget_ms)
    nines = max(2.0, math.log10(n) + 0.2)
    y = Axis(0.0, nines, top + tall, top)
    parts = [text(LEFT, 12, "share of frames at most so slow", kind="strong")]
    for level in (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999):
        if _nines(level) <= nines:
            parts += [line(LEFT, y(_nines(level)), WIDTH - RIGHT, y(_nines(level)), "grid")]
            parts += [text(LEFT - 8, y(_nines(level)) + 4, f"{100 * level:g} %", anchor="end")]
    taken = _places_of_budget(x, top, budget_ms)
    for curve in curves:
        parts += [_cumulative(curve, x, y)]
        parts += _marks(curve, x, y, percentiles, taken)
    parts += _budget(x, top, tall, budget_ms)
    parts += across(x, top, top + tall, "ms", "camera to result")
    return svg(top + tall + 40, f"Cumulative distribution of {n} latencies", [*parts, *_legend(curves)])


def density(curves: Sequence[Curve], budget_ms: float | None) -> str:
    """How often each latency occurs: a histogram, and over it the density as a smooth curve (Gaussian kernel).

    Both have the same area, so that neither depends on the other's steps.
    """
    top, tall = 26.0, 170.0
    x = _latency_axis(curves, budget_ms)
    edges = np.linspace(x.low, x.high, BINS + 1)
    drawn = [(curve, *_densities(curve.ordered, edges)) for curve in curves]
    most = max(float(max(bars.max(), smooth.max())) for _, bars, smooth in drawn) or 1.0
    y = Axis(0.0, most * 1.06, top + tall, top)
    parts = [
        text(LEFT, 12, "share of frames a millisecond: counted (bars) and smoothed (line)", kind="strong"),
        *upward(y),
    ]
    points = (edges[:-1] + edges[1:]) / 2
    for curve, bars, smooth in drawn:
        for low, high, height in zip(edges, edges[1:], bars, strict=False):
            if height:
                left, right, ceiling, filled = x(low), x(high), y(height), curve.kind.replace("trace", "filled")
                parts.append(
                    f'<rect class="{filled}" x="{left:.1f}" y="{ceiling:.1f}" width="{right - left:.1f}" '
                    f'height="{top + tall - ceiling:.1f}"/>'
                )
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(points, smooth, strict=True))
        parts.append(f'<polyline class="{curve.kind}" points="{path}"/>')
    parts += _budget(x, top, tall, budget_ms)
    parts += across(x, top, top + tall, "ms", "camera to result")
    return svg(top + tall + 40, "Density of latencies", [*parts, *_legend(curves)])


def _latency_axis(curves: Sequence[Curve], budget_ms: float | None) -> Axis:
    slowest = max(float(curve.ordered[-1]) for curve in curves)
    most = max(slowest, budget_ms if budget_ms and budget_ms < 3 * slowest else 0.0)
    return Axis(min(float(curve.ordered[0]) for curve in curves) * 0.9, most * 1.04 or 1.0, LEFT, WIDTH - RIGHT)


def _densities(ordered: Column, edges: Column) -> tuple[Column, Column]:
    """Counted in the bins and smoothed at their middles, shares a millisecond, [BINS] each."""
    width = float(edges[1] - edges[0])
    counts, _ = np.histogram(ordered, bins=edges)
    bars = counts / (ordered.size * width)
    return bars.astype(np.float64), kernel_density(ordered, (edges[:-1] + edges[1:]) / 2, bandwidth(ordered, width))


def bandwidth(ordered: Column, least: float) -> float:
    """Silverman's rule of thumb (1986, equation 3.31), which outliers do not widen: 0.9 min(s, IQR / 1.349) n^(-1/5).

    ordered: [n], ascending. least: below which nothing can be seen.
    """
    if ordered.size < 2:
        return least
    low, high = np.percentile(ordered, (25, 75))
    spread = min(float(np.std(ordered, ddof=1)), float(high - low) / 1.349) or float(np.std(ordered, ddof=1))
    return max(least / 2, float(0.9 * spread * math.pow(ordered.size, -1 / 5)))


def kernel_density(ordered: Column, at: Column, width: float) -> Column:
    """Gaussian kernel density of the values at those places, [m]. ordered: [n]; width: of the kernel."""
    found: Column = np.zeros(at.size)
    for some in np.array_split(ordered, max(1, ordered.size // 2000)):
        found += np.exp(-0.5 * ((at[:, None] - some[None, :]) / width) ** 2).sum(axis=1)
    return found / (ordered.size * width * math.sqrt(2 * math.pi))


def _cumulative(curve: Curve, x: Axis, y: Axis) -> str:
    n = curve.ordered.size
    keep = np.unique(np.concatenate((np.linspace(0, n - 1, 600), np.arange(max(0, n - 200), n))).astype(int))
    path = " ".join(f"{x(curve.ordered[i]):.1f},{y(_nines(i / n)):.1f}" for i in keep)
    return f'<polyline class="{curve.kind}" points="{path}"/>'


def _marks(curve: Curve, x: Axis, y: Axis, percentiles: Sequence[float], taken: list[tuple[float, float]]) -> list[str]:
    """Dots on the curve at its percentiles and its end, each named beside it where there is room."""
    n, parts = curve.ordered.size, []
    ranks = {f"p{p:g}": rank_of(n, p) for p in percentiles if n >= samples_needed(p)} | {"max": n - 1}
    for name, rank in ranks.items():
        at = x(curve.ordered[rank]), y(_nines(rank / n))
        parts.append(f'<circle class="dot" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5"/>')
        place = _room_beside(at, taken)
        if place is not None:
            anchor = "end" if place[0] < at[0] else "start"
            parts.append(text(*place, f"{name} {curve.ordered[rank]:.4g}", anchor=anchor, kind="strong"))
    return parts


def _room_beside(at: tuple[float, float], taken: list[tuple[float, float]]) -> tuple[float, float] | None:
    """Where a label of a dot may stand: right below it, left above it, or nowhere that another does not stand."""
    right, left = (at[0] + 7, at[1] + 13), (at[0] - 7, at[1] - 6)
    places = (left, right) if at[0] > WIDTH - RIGHT - LABEL else (right, left)
    for place in places:
        start = place[0] - LABEL if place[0] < at[0] else place[0]
        inside = start >= LEFT and start + LABEL <= WIDTH and place[1] > HEADING
        if inside and all(abs(start - other[0]) > LABEL or abs(place[1] - other[1]) > 13 for other in taken):
            taken.append((start, place[1]))
            return place
    return None


def _budget(x: Axis, top: float, tall: float, budget_ms: float | None) -> list[str]:
    if budget_ms is None or budget_ms > x.high:
        return []
    anchor, shift = ("end", -5) if x(budget_ms) > WIDTH - 160 else ("start", 5)
    return [
        line(x(budget_ms), top, x(budget_ms), top + tall, "budget"),
        text(x(budget_ms) + shift, top + 10, f"budget {budget_ms:g} ms", anchor=anchor, kind="budget"),
    ]


def _places_of_budget(x: Axis, top: float, budget_ms: float | None) -> list[tuple[float, float]]:
    """Where the budget's words stand, two labels long, so that no other is put there."""
    if budget_ms is None or budget_ms > x.high:
        return []
    start = x(budget_ms) - 5 - 1.5 * LABEL if x(budget_ms) > WIDTH - 160 else x(budget_ms) + 5
    return [(start, top + 10), (start + LABEL / 2, top + 10)]


def _legend(curves: Sequence[Curve]) -> list[str]:
    named = [curve for curve in curves if curve.name]
    parts = []
    for number, curve in enumerate(named):
        x, y = WIDTH - 150 * (len(named) - number), 12
        parts.append(f'<polyline class="{curve.kind}" points="{x},{y - 4} {x + 30},{y - 4}"/>')
        parts.append(text(x + 36, y, curve.name))
    return parts


def _nines(share: float) -> float:
    return -math.log10(max(1e-9, 1 - share))


def stage_bars(stages: dict[str, tuple[float, float, float | None]]) -> str:
    """A bar a stage: its median, a thin line on to its slowest stated percentile, and its own budget.

    stages: name to (median, tail, budget or None), milliseconds.
    """
    top, step = 8.0, 26.0
    longest = max(max(tail, median) for median, tail, _ in stages.values())
    x = Axis(0.0, longest * 1.12 or 1.0, 140.0, WIDTH - 130.0)
    parts = []
    for row, (name, (median, tail, budget_ms)) in enumerate(stages.items()):
        y = top + row * step
        parts.append(text(130, y + 14, name.replace("_", " "), anchor="end"))
        width = max(1.0, x(median) - 140)
        parts.append(f'<rect class="bar" x="140" y="{y + 3:.1f}" width="{width:.1f}" height="15"/>')
        parts.append(line(x(median), y + 10.5, x(tail), y + 10.5, "tail"))
        parts.append(line(x(tail), y + 5, x(tail), y + 16, "tail"))
        figures = f"{median:.3g} / {tail:.3g} ms"
        end = max(x(tail), x(median))
        if budget_ms is not None and budget_ms <= x.high:
            parts.append(line(x(budget_ms), y, x(budget_ms), y + 21, "budget"))
            end = max(end, x(budget_ms))
        parts.append(text(end + 8, y + 14, figures, kind="strong"))
    return svg(top + len(stages) * step + 4, "Latency of each stage", parts)
