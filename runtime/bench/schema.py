"""The report, `rop.bench/1`: everything a run says, checked as it is written and as it is read again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from runtime.bench.words import LoadKind

REPORT_SCHEMA = "rop.bench/1"

Millis = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


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
    rate_hz: float | None
    burst_frames: int | None
    idle_s: float | None
    frames: int | None
    seconds: float | None
    """Length of a soak; None where frames were counted."""
    warmup: Count
    percentile: float = Field(gt=0, lt=100)
    budget_ms: float | None
    stage_budgets_ms: dict[str, float]
    miss_rate: Share | None
    warmup_steady: bool | None = None
    """Whether the speed was steady after the warm-up; None where its length was told."""
    turns: int = Field(default=1, ge=1)
    """In which the frames were read, others' turns between them."""
    streams: int = Field(default=1, ge=1)
    """Read at once, this one among them."""


class InputPart(Part):
    """What was fed; `supply.InputFacts`."""

    source: str
    sha256: str | None
    distinct_frames: int | None
    width: int | None
    height: int | None
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
    threads: int | None
    why: str = ""
    """Why this backend, and how it runs."""
    plan_sha256: str | None = None
    """SHA-256 of the plan's `plan.json`; None where no plan runs."""


class EnvironmentPart(Part):
    """The machine and its software."""

    machine_id: str
    """Hash over processor, cores, memory, GPU and the system's machine id: the same only on the same machine."""
    processor: str
    cores: int
    """Of the machine."""
    affinity: tuple[Count, ...] | None = None
    """Numbers of the cores that the process may run on; None in reports of older versions."""
    quota_cores: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Cores' worth of time that its control groups let it use; None where nothing limits it."""
    memory_mb: int
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

    n: Count
    mean: FiniteFloat
    p50: FiniteFloat | None
    p90: FiniteFloat | None
    p95: FiniteFloat | None
    p99: FiniteFloat | None
    p99_9: FiniteFloat | None
    max: FiniteFloat
    budget_ms: float | None
    over_budget: Count | None


class PercentilePart(Part):
    """The percentile that was asked for, of camera to result."""

    p: float
    method: str
    samples_needed: Count
    value_ms: FiniteFloat | None
    upper_bound_ms: FiniteFloat | None
    """With 99 % confidence."""


class RunPart(Part):
    """The run as a whole."""

    seconds: Millis
    frames_per_s: FiniteFloat
    camera_frames_per_s: FiniteFloat | None
    jitter_p99_ms: FiniteFloat | None
    overhead_us: FiniteFloat
    """The benchmark's own work, a frame."""
    cpu_ms_per_frame: FiniteFloat
    """All threads of the process together."""
    engine_mb: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """By how much the process grew as the engine was loaded and warmed up."""


class EnergyPart(Part):
    """Energy over the run, the machine's idling in it."""

    joules: dict[str, Millis]
    """By its source: RAPL's packages, INA rails, the GPU."""
    joules_per_frame: dict[str, Millis]
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
    pid: int
    cpu_seconds: FiniteFloat


class MachinePart(Part):
    """The machine during the run; `sampler.MachineLog`."""

    memory_start_mb: FiniteFloat | None
    memory_peak_mb: FiniteFloat | None
    memory_end_mb: FiniteFloat | None
    device_memory_peak_mb: FiniteFloat | None
    other_cores: FiniteFloat
    stolen_cores: FiniteFloat
    preempted: Count
    culprits: tuple[CulpritPart, ...]
    throttled: tuple[str, ...]
    clock_step_ms: FiniteFloat
    at_s: tuple[FiniteFloat, ...]
    """When each sample of `values` was taken, seconds from the start."""
    values: dict[str, tuple[FiniteFloat | None, ...]]
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
    idle_s: Millis


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
    ours_p50_ms: FiniteFloat
    peer_p50_ms: FiniteFloat
    ratio: FiniteFloat
    """Peer over ours: how many times as fast this runtime is."""
    ratio_low: FiniteFloat
    ratio_high: FiniteFloat
    same_outcome: Share


class SlowFramePart(Part):
    """One of the slowest frames, beside what the machine was doing."""

    number: Count
    source: str
    at_s: FiniteFloat
    total_ms: FiniteFloat
    slowest_stage: str
    machine: dict[str, FiniteFloat]


class FramesPart(Part):
    """Every frame that was read, raw, one value a frame and column; null where a stage did not run."""

    number: tuple[Count, ...]
    source: tuple[str, ...]
    at_s: tuple[FiniteFloat, ...]
    """Of capture, seconds from the start."""
    dropped_before: tuple[Count, ...]
    outcome: tuple[str, ...]
    columns: dict[str, tuple[FiniteFloat | None, ...]]
    """Milliseconds by row, and `cpu`."""
    size: tuple[str, ...] = ()
    """`640x480`; empty where all are of one."""
    camera_to_result_ms: tuple[FiniteFloat, ...]
    """Not one a frame read, but one a frame that came in: `Samples.camera_to_result_ms`."""

    @model_validator(mode="after")
    def _same_length(self) -> FramesPart:
        others = [self.source, self.at_s, self.dropped_before, self.outcome, *self.columns.values()]
        others += [self.size] if self.size else []
        if any(len(values) != len(self.number) for values in others):
            raise ValueError("frames: columns of different lengths")
        return self


class Report(Part):
    """The whole of a report."""

    schema_: Literal["rop.bench/1"] = Field(alias="schema")
    version: str
    created: str
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
