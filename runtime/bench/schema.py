"""The report, `rop.bench/1`: everything a run says, checked as it is written and as it is read again."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from runtime.bench.words import GPU_STAGES, ROWS, LoadKind

REPORT_SCHEMA = "rop.bench/1"

MOST_MS = 1e9
"""A time of over eleven days is none of a frame, nor of a run."""

MOST = 1e15
"""Of anything."""

Figure = Annotated[FiniteFloat, Field(ge=-MOST, le=MOST)]
Amount = Annotated[FiniteFloat, Field(ge=0, le=MOST)]
Millis = Annotated[FiniteFloat, Field(ge=0, le=MOST_MS)]
Positive = Annotated[FiniteFloat, Field(gt=0, le=MOST_MS)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Number = Annotated[int, Field(ge=1, le=10**12)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Percent = Annotated[FiniteFloat, Field(gt=0, lt=100)]
SAMPLED = {*ROWS, "cpu"} - {"camera_to_result"}
"""What a frame has a value of."""
ALWAYS_SAMPLED = SAMPLED - set(GPU_STAGES)
YEARS = (1970, 2199)
"""In which a run can be: a clock that was never set says 1970."""


def _moment(text: str) -> str:
    """Runs are put in order by it, so it must be one."""
    try:
        moment = datetime.fromisoformat(text)
        year = None if moment.utcoffset() is None else moment.astimezone(timezone.utc).year
    except (ValueError, OverflowError):
        year = None
    if year is None or not YEARS[0] <= year <= YEARS[1]:
        raise ValueError(
            f"expected a date and time with its offset, like 2026-11-29T08:30:00+01:00, from {YEARS[0]} to {YEARS[1]}"
        )
    return text


Moment = Annotated[str, AfterValidator(_moment)]


class Part(BaseModel):
    """A section of a report: every field is known, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FindingPart(Part):
    """One thing found; kinds are those of `findings.Kind`."""

    kind: str
    weight: Literal["invalid", "fail", "warning"]
    text: str
    advice: str


class PlanPart(Part):
    """What was asked."""

    load: LoadKind
    rate_hz: Positive | None
    burst_frames: Number | None
    idle_s: Positive | None
    frames: Count | None
    seconds: Positive | None
    """Length of a soak; None where frames were counted."""
    warmup: Count
    percentile: Percent
    budget_ms: Positive | None
    stage_budgets_ms: dict[str, Positive]
    miss_rate: Share | None
    warmup_steady: bool | None = None
    """Whether the speed was steady after the warm-up; None where its length was told."""
    turns: Number = 1
    """In which the frames were read, others' turns between them."""
    streams: Number = 1
    """Read at once, this one among them."""


class InputPart(Part):
    """What was fed; `supply.InputFacts`."""

    source: str
    sha256: str | None
    distinct_frames: Count | None
    width: Number | None
    height: Number | None
    paced_by: Literal["clock", "camera"]
    sizes: dict[str, Count] = Field(default_factory=dict)
    """Distinct frames by size, `640x480`; `width` and `height` are null where there are several."""


class BundlePart(Part):
    """Which bundle, with the SHA-256 of the graphs and plans that ran."""

    name: str
    version: str
    sha256: str
    files: dict[str, str]
    notice: str


class EnginePart(Part):
    """What ran the networks."""

    backend: str
    precision: str
    device: str
    threads: Number | None
    why: str = ""
    """Why this backend, and how it runs."""
    plan_sha256: str | None = None
    """SHA-256 of the plan's `plan.json`; None where no plan runs."""


class EnvironmentPart(Part):
    """The machine and its software."""

    machine_id: str
    """Hash over processor, cores, memory, GPU and the system's machine id: the same only on the same machine."""
    processor: str
    cores: Number
    """Of the machine."""
    affinity: tuple[Count, ...] | None = None
    """Numbers of the cores that the process may run on; None in reports of older versions."""
    quota_cores: Positive | None = None
    """Cores' worth of time that its control groups let it use; None where nothing limits it."""
    memory_mb: Count
    gpu: str | None
    driver: str | None
    system: str
    python: str
    libraries: dict[str, str]
    power_mode: str | None
    """What `nvpmodel -q` says, on a Jetson."""
    governor: str | None


class CountsPart(Part):
    """Frames, by what became of them."""

    frames_in: Count
    read: Count
    timed: Count
    """Read by both networks; statistics are of these."""
    dropped: Count
    stale: Count
    late: Count
    """Results after `budget_ms`."""
    missed: Count
    """Frames without a result inside `budget_ms`: late, dropped until too late, or failed."""
    refused: Count
    """By the quality gate."""
    failed: Count
    unreadable: Count


class RowPart(Part):
    """Latencies of a row, milliseconds. A percentile is null when there are too few samples to state it."""

    n: Number
    mean: Millis
    p50: Millis | None
    p90: Millis | None
    p95: Millis | None
    p99: Millis | None
    p99_9: Millis | None
    max: Millis
    budget_ms: Positive | None
    over_budget: Count | None


class PercentilePart(Part):
    """The percentile that was asked for, of camera to result."""

    p: Percent
    method: str
    samples_needed: Count
    value_ms: Millis | None
    upper_bound_ms: Millis | None
    """With 99 % confidence."""


class RunPart(Part):
    """The run as a whole."""

    seconds: Amount
    frames_per_s: Amount
    camera_frames_per_s: Amount | None
    jitter_p99_ms: Millis | None
    overhead_us: Amount
    """The benchmark's own work, a frame."""
    cpu_ms_per_frame: Amount
    """All threads of the process together."""
    engine_mb: Amount | None = None
    """By how much the process grew as the engine was loaded and warmed up."""


class EnergyPart(Part):
    """Energy over the run, the machine's idling in it."""

    joules: dict[str, Amount]
    """By its source: RAPL's packages, INA rails, the GPU."""
    joules_per_frame: dict[str, Amount]
    why_none: str
    """Why there is none, "" where there is."""


class LayerPart(Part):
    """A layer of a network, by an engine that times its layers."""

    network: str
    name: str
    kind: str
    median_ms: Millis
    share: Share
    """Of all layers together."""


class CulpritPart(Part):
    """Another process that took CPU time."""

    name: str
    pid: Count
    cpu_seconds: Amount


class MachinePart(Part):
    """The machine during the run; `sampler.MachineLog`."""

    memory_start_mb: Amount | None
    memory_peak_mb: Amount | None
    memory_end_mb: Amount | None
    device_memory_peak_mb: Amount | None
    other_cores: Amount
    stolen_cores: Amount
    preempted: Count
    culprits: tuple[CulpritPart, ...]
    throttled: tuple[str, ...]
    clock_step_ms: Figure
    at_s: tuple[Figure, ...]
    """When each sample of `values` was taken, seconds from the start."""
    values: dict[str, tuple[Figure | None, ...]]
    """By sensor; its unit ends its name."""

    @model_validator(mode="after")
    def _same_length(self) -> MachinePart:
        wrong = [name for name, values in self.values.items() if len(values) != len(self.at_s)]
        if wrong:
            raise ValueError(f"{wrong[0]}: has another number of samples than at_s")
        return self


class ColdStartPart(Part):
    """Milliseconds of a start from nothing, medians over fresh processes."""

    processes: Count
    interpreter: Millis
    """From the process's start to its first line of Python."""
    import_runtime: Millis
    open_bundle: Millis
    compile: Millis
    """Making the engine ready with an empty cache: the first start after an installation."""
    load: Millis
    """Making it ready again, the files having been read before."""
    first_result: Millis
    second_result: Millis
    first_after_idle: Millis
    idle_s: Amount
    other_cores: Amount | None = None
    """Cores' worth of time that other processes took meanwhile; None in reports of older versions."""
    spread: Amount | None = None
    """How many times as long the slowest of the later starts took to its first result as the quickest."""


class AccuracyPart(Part):
    """How good the results are that took this long."""

    frames: Count
    graded: Count
    """Frames that passed the quality gate."""
    truth: Literal["labels", "simulated", "none"]
    dice: Share | None
    """Mean over frames of the vessel map's Dice against the truth."""
    dice_frames: Count
    auc: Share | None
    """Area under the ROC curve of the refer probability; null without both kinds of frames."""
    auc_frames: Count
    reference: str | None
    """What the agreement is with; null where the engine is itself the bundle's fp32."""
    same_outcome: Share | None
    largest_probability_difference: Share | None
    vessel_agreement: Share | None
    """Mean Dice between the two vessel maps."""
    reference_dice: Share | None
    reference_auc: Share | None


class PeerPart(Part):
    """The same frames, another way, in turns."""

    name: str
    backend: str
    precision: str
    device: str
    rounds: Count
    frames_each: Count
    ours_p50_ms: Positive
    peer_p50_ms: Positive
    ratio: Positive
    """Peer over ours: how many times as fast this runtime is."""
    ratio_low: Positive
    ratio_high: Positive
    same_outcome: Share


class SlowFramePart(Part):
    """One of the slowest frames, beside what the machine was doing."""

    number: Count
    source: str
    at_s: Figure
    total_ms: Positive
    slowest_stage: str
    machine: dict[str, Figure]


class FramesPart(Part):
    """Every frame that was read, raw, one value a frame and column; null where a stage did not run."""

    number: tuple[Count, ...]
    source: tuple[str, ...]
    at_s: tuple[Figure, ...]
    """Of capture, seconds from the start."""
    dropped_before: tuple[Count, ...]
    outcome: tuple[str, ...]
    columns: dict[str, tuple[Millis | None, ...]]
    """Milliseconds by row, and `cpu`."""
    size: tuple[str, ...] = ()
    """`640x480`; empty where all are of one."""
    camera_to_result_ms: tuple[Positive, ...]
    """Not one a frame read, but one a frame that came in: `Samples.camera_to_result_ms`."""

    @model_validator(mode="after")
    def _same_length(self) -> FramesPart:
        others = [self.source, self.at_s, self.dropped_before, self.outcome, *self.columns.values()]
        others += [self.size] if self.size else []
        if any(len(values) != len(self.number) for values in others):
            raise ValueError("frames: columns of different lengths")
        if not ALWAYS_SAMPLED <= set(self.columns) <= SAMPLED:
            raise ValueError(f"columns: got {', '.join(sorted(self.columns))}; expected {', '.join(sorted(SAMPLED))}")
        return self


class Report(Part):
    """The whole of a report."""

    schema_: Literal["rop.bench/1"] = Field(alias="schema")
    version: str
    created: Moment
    """When the run began, ISO 8601 with offset."""
    command: tuple[str, ...]
    verdict: Literal["PASS", "FAIL", "INVALID"]
    interrupted: bool
    findings: tuple[FindingPart, ...]
    plan: PlanPart
    input: InputPart
    bundle: BundlePart
    engine: EnginePart
    trust: dict[str, Any] | None = None
    """Who stood for the model, as in `rop.reading/1`."""
    environment: EnvironmentPart
    seeds: dict[str, int]
    counts: CountsPart
    percentile: PercentilePart
    rows: dict[str, RowPart]
    run: RunPart
    machine: MachinePart
    cold_start: ColdStartPart | None = None
    accuracy: AccuracyPart | None = None
    peer: PeerPart | None = None
    """The first of `peers`; alone in reports of older versions."""
    peers: tuple[PeerPart, ...] = ()
    by_size: dict[str, RowPart] = Field(default_factory=dict)
    """Of the total, by size of frame, where frames of several sizes were read."""
    energy: EnergyPart | None = None
    layers: tuple[LayerPart, ...] = ()
    """The slowest first."""
    slowest: tuple[SlowFramePart, ...]
    frames: FramesPart
    seal: str | None = None
    """Of a file: SHA-256 over the rest of it (`report.seal`); None in memory, and in files of older versions."""

    @property
    def began(self) -> datetime:
        """`created`, to be put in order by whatever the offsets."""
        return datetime.fromisoformat(self.created)
