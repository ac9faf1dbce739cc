"""Everything that may be wrong with a run, each with advice: the one list, as hyperfine's warnings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Word = Literal["PASS", "FAIL", "INVALID"]


class Weight(Enum):
    """What a finding does to the verdict."""

    INVALID = "invalid"
    """The figures cannot be relied on."""
    FAIL = "fail"
    """The figures can be relied on, and do not keep to what was asked."""
    WARNING = "warning"
    """Worth knowing; the verdict stands."""


class Kind(Enum):
    """What can be found: its weight, and what to do about it."""

    TOO_FEW_SAMPLES = (Weight.INVALID, "measure more with --frames, or ask for a lower --percentile")
    STOPPED = (Weight.INVALID, "let the run come to its end")
    SOURCE_ENDED = (Weight.INVALID, "name a --source with enough frames, or ask for fewer --frames")
    CAMERA_LOST = (Weight.INVALID, "look at the camera and its cable, then measure again")
    PART_FAILED = (Weight.INVALID, "mend what it names, or leave that part out")
    THROTTLED = (Weight.INVALID, "cool the machine, raise its power mode (nvpmodel, governor), then measure again")
    CLOCK_STEPPED = (Weight.INVALID, "wait until the time is synchronised, then measure again")
    CORES_TAKEN = (Weight.INVALID, "stop the other programs, or pin them to other cores, then measure again")
    DRIFT = (Weight.INVALID, "warm up longer with --warmup, look at temperature and clocks, then measure again")
    CAMERA_TOO_SLOW = (Weight.INVALID, "ask for the rate that the camera gives with --rate, or set up the camera")
    OVER_BUDGET = (Weight.FAIL, "try --precision int8, another --engine, or allow more time")
    MISSES = (Weight.FAIL, "lay the slow frames beside clocks and temperature in the --html page")
    OVERLOADED = (Weight.FAIL, "ask for a lower --rate; --find-rate finds the highest that a budget allows")
    NO_RESULT = (Weight.FAIL, "run python -m runtime.screen on the same source to see every reason")
    MEMORY_GROWS = (Weight.FAIL, "something keeps what it should give back; the page shows when it began")
    LATENCY_GROWS = (Weight.FAIL, "the machine slows down in long use; look at temperature and clocks on the page")
    NEAR_BUDGET = (Weight.WARNING, "measure more frames, or leave more room")
    NOT_GRADABLE = (Weight.WARNING, "use a --source that the quality gate accepts; refused frames are not timed")
    OUTLIERS = (Weight.WARNING, "look for what ran at that moment; outliers are shown and never removed")
    SCATTER = (Weight.WARNING, "measure more with --frames: whether the speed drifted cannot be told from these")
    JITTER = (Weight.WARNING, "leave a core to the benchmark: fewer --threads, or stop other programs")
    OVERHEAD = (Weight.WARNING, "the benchmark disturbs what it measures; stop other programs")
    NO_CLOCKS = (Weight.WARNING, "throttling and clock changes cannot be seen here; watch them by other means")
    SLOW_GOVERNOR = (Weight.WARNING, "set the CPU governor to performance for figures that can be repeated")
    NOT_WARM = (Weight.WARNING, "the machine's speed wanders, or --warmup N frames more are needed")
    COLD_START_SPOILT = (Weight.WARNING, "stop the other programs, then measure again; or --no-cold-start")
    MIXED_SIZES = (Weight.WARNING, "look at each size by itself, or name a --source of one size")
    UNREADABLE = (Weight.WARNING, "check the camera or the files; unreadable frames are not timed")
    NO_BUDGET = (Weight.WARNING, "give --budget-ms to have the latencies held against it")

    def __init__(self, weight: Weight, advice: str) -> None:
        self.weight = weight
        self.advice = advice


@dataclass(frozen=True)
class Finding:
    """One thing found, in words with its figures."""

    kind: Kind
    text: str
    instead: str | None = None
    """Advice in place of the kind's, where that is in force already."""

    @property
    def advice(self) -> str:
        """What to do about it."""
        return self.kind.advice if self.instead is None else self.instead


@dataclass(frozen=True)
class Verdict:
    """What the run says, and why."""

    word: Word
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: list[Finding]) -> Verdict:
        """INVALID comes before FAIL: figures that cannot be relied on cannot fail anything either."""
        weights = {finding.kind.weight for finding in findings}
        word: Word = "INVALID" if Weight.INVALID in weights else "FAIL" if Weight.FAIL in weights else "PASS"
        order = list(Weight)
        return cls(word, tuple(sorted(findings, key=lambda finding: order.index(finding.kind.weight))))


EXIT_CODES = {"PASS": 0, "FAIL": 1, "INVALID": 2}
