"""Comparing two reports: per stage, which is faster, by how much, and how surely."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from runtime.bench.errors import BenchError
from runtime.bench.report import Report
from runtime.bench.samples import ROWS, Column
from runtime.bench.stats import ratio_interval, samples_needed

FAMILY_CONFIDENCE = 0.95
"""That none of all the statements of a comparison is wrong: each has 1 - 0.05 / m (Bonferroni)."""
LEAST_RELATIVE = 0.02
"""Differences under 2 % are what two runs of one program differ by (where its memory lies, clocks); none is stated."""
LEAST_MS = 0.05
"""Nor are differences under the 50 microseconds that the benchmark itself may take."""
FEWEST = 30
COMPARED = tuple(row for row in ROWS if row not in ("wait", "age"))
"""`wait` is near nothing but under a queue; both it and `age` are held in camera to result."""


@dataclass(frozen=True)
class Line:
    """One stage in both reports."""

    stage: str
    percentile: float
    a_ms: float
    b_ms: float
    change: float
    """Of `b` against `a`: 0.1 is a tenth slower."""
    low: float
    high: float
    """Confidence interval of `change`, together with all other lines 95 %."""
    result: str
    """`faster`, `slower` (of b), or `no difference`."""


@dataclass(frozen=True)
class Comparison:
    """All lines, and what stood in the way of comparing."""

    lines: tuple[Line, ...]
    differences: tuple[str, ...]
    """Why the reports are not comparable; empty unless comparing was forced."""
    regressions: tuple[str, ...]
    doubts: tuple[str, ...]
    """Reports that are INVALID of themselves."""

    def to_json(self) -> str:
        """`rop.bench-comparison/1`."""
        content: dict[str, Any] = {"schema": "rop.bench-comparison/1", **asdict(self)}
        return json.dumps(content, allow_nan=False) + "\n"


def compare(a: Report, b: Report, *, max_regression: float, anyway: bool = False, seed: int = 0) -> Comparison:
    """Hold `b` against `a`. max_regression: share that a stage may be slower by.

    Raises `BenchError` when the reports are not comparable (and not `anyway`), or hold too few frames.
    """
    differences = tuple(incomparable(a, b))
    if differences and not anyway:
        raise BenchError(f"not comparable: {'; '.join(differences)}; measure both alike, or compare with --anyway")
    pairs = [(row, p, first, second) for row, p, first, second in _pairs(a, b)]
    if not pairs:
        raise BenchError(f"too few frames to compare: at least {FEWEST} timed ones are needed in both reports")
    confidence = 1 - (1 - FAMILY_CONFIDENCE) / len(pairs)
    lines = tuple(_line(row, p, first, second, confidence, seed) for row, p, first, second in pairs)
    regressions = tuple(
        f"{line.stage} p{line.percentile:g} is {line.change:.1%} slower"
        for line in lines
        if line.result == "slower" and line.change > max_regression
    )
    doubts = tuple(
        f"{name} is INVALID of itself" for name, report in (("A", a), ("B", b)) if report.verdict == "INVALID"
    )
    return Comparison(lines, differences, regressions, doubts)


def incomparable(a: Report, b: Report) -> Iterator[str]:
    """Each reason why the figures of the two say nothing of each other."""
    if a.environment.machine_id != b.environment.machine_id:
        yield f"other machine ({a.environment.processor}, {b.environment.processor})"
    if a.environment.power_mode != b.environment.power_mode:
        yield f"other power mode ({a.environment.power_mode}, {b.environment.power_mode})"
    if a.input.sha256 is None or a.input.sha256 != b.input.sha256:
        yield f"other input ({a.input.source}, {b.input.source})"
    for name in ("load", "rate_hz", "burst_frames", "idle_s"):
        first, second = getattr(a.plan, name), getattr(b.plan, name)
        if first != second:
            yield f"other {name} ({first}, {second})"


def _pairs(a: Report, b: Report) -> Iterator[tuple[str, float, Column, Column]]:
    """The median of each stage, and of the total also the percentile that both were judged by."""
    for row in COMPARED:
        first, second = timed(a, row), timed(b, row)
        fewest = min(first.size, second.size)
        if fewest < FEWEST:
            continue
        yield row, 50.0, first, second
        p = b.percentile.p
        if row in ("total", "camera_to_result") and p != 50 and a.percentile.p == p and fewest >= samples_needed(p):
            yield row, p, first, second


def timed(report: Report, row: str) -> Column:
    """Latencies of a row, of the frames that both networks read."""
    if row == "camera_to_result":
        return np.array(report.frames.camera_to_result_ms, np.float64)
    columns = report.frames.columns
    values, read = columns.get(row, ()), columns.get("classify", ())
    return np.array([v for v, c in zip(values, read, strict=True) if v is not None and c is not None], np.float64)


def _line(row: str, p: float, a: Column, b: Column, confidence: float, seed: int) -> Line:
    # A stage of less than a microsecond is rounded to nothing; the tiny term keeps its ratio finite.
    interval = ratio_interval(a + 1e-4, b + 1e-4, p, confidence, seed)
    a_ms = float(np.quantile(a, p / 100, method="inverted_cdf"))
    b_ms = float(np.quantile(b, p / 100, method="inverted_cdf"))
    change, low, high = interval.value - 1, interval.low - 1, interval.high - 1
    clear = abs(change) >= LEAST_RELATIVE and abs(b_ms - a_ms) >= LEAST_MS
    result = "slower" if clear and low > 0 else "faster" if clear and high < 0 else "no difference"
    return Line(row, p, a_ms, b_ms, change, low, high, result)


def words(comparison: Comparison) -> list[str]:
    """The comparison as lines for people, the verdict last."""
    warning = [f"NOT COMPARABLE, compared anyway: {reason}" for reason in comparison.differences]
    warning += [f"note: {doubt}" for doubt in comparison.doubts]
    differing = [line for line in comparison.lines if line.result != "no difference"]
    if comparison.regressions:
        verdict = f"REGRESSION: {'; '.join(comparison.regressions)}"
    elif differing:
        verdict = f"{len(differing)} of {len(comparison.lines)} figures differ, none regresses beyond what is allowed"
    else:
        verdict = "no difference"
    return [*warning, verdict]
