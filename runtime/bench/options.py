"""What a benchmark is asked for: a type for each kind of run, made of what every run has. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from runtime.bench.words import LoadKind


@dataclass(frozen=True)
class ModelOptions:
    """What reads the frames, and at which site."""

    bundle: Path | None = None
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    site_profile: Path | None = None
    trusted_keys: Path | None = None
    station: str = ""


@dataclass(frozen=True)
class LoadPlan:
    """Which load, and its figures."""

    kind: LoadKind = "back-to-back"
    rate_hz: float | None = None
    """Frames a second of `camera`; of `burst` and `poisson` the mean over time."""
    burst_frames: int = 8
    idle_s: float = 2.0
    seed: int = 0
    """Of the arrivals that `poisson` draws."""


@dataclass(frozen=True)
class Until:
    """When a run ends: after so many frames came in, or after a time; whichever is first."""

    frames: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Goals:
    """Budgets and bounds; None asks nothing."""

    percentile: float = 99.0
    """At which the budgets must be kept."""
    budget_ms: float | None = None
    """From capture to result."""
    stage_budgets_ms: Mapping[str, float] = field(default_factory=dict)
    """By row of `words.ROWS`."""
    miss_rate: float | None = None
    """Share of the frames that may be without a result inside `budget_ms`; 0 to 1."""

    def budget_of(self, row: str) -> float | None:
        """The budget of a row, None where there is none."""
        return self.stage_budgets_ms.get(row, self.budget_ms if row == "camera_to_result" else None)


@dataclass(frozen=True)
class Beside:
    """What is looked at beside speed, before and after the run."""

    cold_start: bool = True
    accuracy: bool = True
    labels: Path | None = None
    peers: tuple[str, ...] = ()
    checkpoint: Path | None = None
    """Of the PyTorch peers, in place of the bundle's fp32 graphs."""
    layers: bool = False


NOTHING_BESIDE = Beside(cold_start=False, accuracy=False)


@dataclass(frozen=True)
class Run:
    """One run: frames from a source, read by a model under a load, held against goals."""

    source: str = "sim:"
    model: ModelOptions = ModelOptions()
    load: LoadPlan = LoadPlan()
    until: Until = Until(frames=1000)
    soak: bool = False
    """Whether it is a long one, which is tested for trends."""
    warmup: int | None = None
    """Frames before; None reads until the speed is steady."""
    goals: Goals = Goals()
    beside: Beside = Beside()


@dataclass(frozen=True)
class Outputs:
    """Where a report goes."""

    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that are asked for."""
        return tuple(path for path in (self.json, self.csv, self.html) if path is not None)


@dataclass(frozen=True)
class Single:
    """A run with its report."""

    run: Run
    outputs: Outputs = Outputs()
    save_as: str | None = None
    """The baseline that its report becomes."""


@dataclass(frozen=True)
class Matrix:
    """Every backend and precision that works here, by turns."""

    run: Run
    turns: int
    outputs: Outputs = Outputs()


@dataclass(frozen=True)
class Sweep:
    """The same run with other threads, sizes or precisions: every combination of the values, by turns."""

    run: Run
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and values."""
    turns: int
    outputs: Outputs = Outputs()


@dataclass(frozen=True)
class Streams:
    """Several sources read at once, each by an engine of its own."""

    run: Run
    count: int
    outputs: Outputs = Outputs()


@dataclass(frozen=True)
class FindRate:
    """The highest rate of random arrivals at which a percentile keeps to a budget."""

    run: Run
    budget_ms: float
    outputs: Outputs = Outputs()


@dataclass(frozen=True)
class SheetOptions:
    """One line for a data sheet, over fresh processes."""

    arguments: tuple[str, ...]
    """The user's own, for each process."""
    processes: int
    outputs: Outputs = Outputs()


Asked: TypeAlias = Single | Matrix | Sweep | Streams | FindRate | SheetOptions


@dataclass(frozen=True)
class Compare:
    """Two reports, folders of them, or baselines."""

    a: Path
    b: Path
    max_regression: float
    """Percent."""
    anyway: bool = False
    outputs: Outputs = Outputs()
