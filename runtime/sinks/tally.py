"""What a run's readings add up to: counts, latencies, reasons; it grows by four bytes a frame and no more."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

import numpy as np

from runtime.arrays import FloatArray
from runtime.outcome import Outcome
from runtime.reading import Reading

MOST_REASONS = 40
OTHER_REASONS = "other reasons"
NUMBER = re.compile(r"\d+(\.\d+)?")
P99_NEEDS = 662
"""Fewer latencies than this say nothing about the 99th percentile (MLPerf LoadGen, 99 % confidence)."""


@dataclass
class ReasonCount:
    """How often a reason was given, whatever the numbers in it, with its text and frame of the first time."""

    count: int
    first_reason: str
    first_source: str


@dataclass
class Tally:
    """Counts readings as they come."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    late: int = 0
    reasons: dict[tuple[Outcome, str], ReasonCount] = field(default_factory=dict)
    """Of RETAKE and NO_RESULT, by their text without its numbers; those beyond `MOST_REASONS` count as others."""
    _latencies: array[float] = field(default_factory=lambda: array("f"))

    def add(self, reading: Reading) -> None:
        """Count one reading."""
        self.counts[reading.outcome] += 1
        self.late += reading.late
        if reading.timings_ms.total is not None:
            self._latencies.append(reading.timings_ms.total)
        if reading.outcome in (Outcome.RETAKE, Outcome.NO_RESULT):
            self._count_reason(reading)

    @property
    def frames(self) -> int:
        """Readings so far."""
        return sum(self.counts.values())

    @property
    def latencies_ms(self) -> FloatArray:
        """Total latency of each frame that had pixels, float32 [frames], in the order of reading."""
        return np.array(self._latencies, dtype=np.float32)

    def _count_reason(self, reading: Reading) -> None:
        # An unreadable frame's reason begins with its name; without it equal reasons are counted together.
        reason = reading.reason.removeprefix(f"{reading.frame.source}: ")
        key = (reading.outcome, NUMBER.sub("#", reason))
        if key not in self.reasons and len(self.reasons) >= MOST_REASONS:
            key, reason = (reading.outcome, OTHER_REASONS), OTHER_REASONS
        seen = self.reasons.setdefault(key, ReasonCount(0, reason, reading.frame.source))
        seen.count += 1


@dataclass(frozen=True)
class Percentiles:
    """Latency percentiles in milliseconds; `p99` is None where there are too few latencies to say."""

    p50: float
    p95: float
    p99: float | None

    @classmethod
    def of(cls, latencies_ms: FloatArray) -> Percentiles | None:
        """The percentiles, None of nothing."""
        if latencies_ms.size == 0:
            return None
        p50, p95, p99 = (float(p) for p in np.percentile(latencies_ms, (50, 95, 99)))
        return cls(p50, p95, p99 if latencies_ms.size >= P99_NEEDS else None)
