"""What a run's readings add up to: counts, latencies, reasons; it grows by four bytes a frame and no more."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

import numpy as np

from runtime.arrays import FloatArray
from runtime.outcome import Outcome
from runtime.percentiles import percentile, stated, told
from runtime.reading import Reading

MOST_REASONS = 40
OTHER_REASONS = "other reasons"
NUMBER = re.compile(r"\d+(\.\d+)?")


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
    """Latency percentiles in milliseconds; `p95` and `p99` are None where there are too few latencies to say."""

    n: int
    p50: float
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, latencies_ms: FloatArray) -> Percentiles | None:
        """The percentiles, None of nothing."""
        if latencies_ms.size == 0:
            return None
        return cls(latencies_ms.size, percentile(latencies_ms, 50), stated(latencies_ms, 95), stated(latencies_ms, 99))

    @property
    def words(self) -> str:
        """`p50 A ms, p95 B ms, p99 C ms`, and that n is too small where it is."""
        known = {50: self.p50, 95: self.p95, 99: self.p99}
        return ", ".join(told(self.n, p, value) for p, value in known.items())
