"""From a run's samples, log and verdict to its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

import numpy as np

from device.version import software_version
from runtime.bench.judge.findings import Verdict
from runtime.bench.judge.verdict import Evidence, jitter_p99_ms, overhead_us, reached_hz
from runtime.bench.measure.benchmark import WarmUp
from runtime.bench.measure.energy import from_powers, why_none
from runtime.bench.measure.sampler import RSS, MachineLog
from runtime.bench.measure.samples import Column, Samples
from runtime.bench.measure.supply import SupplyFacts
from runtime.bench.opened import Found
from runtime.bench.options import Goals
from runtime.bench.report.table import PERCENTILES
from runtime.bench.schema import (
    BundlePart,
    CountsPart,
    CulpritPart,
    EnergyPart,
    EnginePart,
    EnvironmentPart,
    FindingPart,
    FramesPart,
    InputPart,
    MachinePart,
    PercentilePart,
    PlanPart,
    Report,
    RowPart,
    RunPart,
    SlowFramePart,
)
from runtime.bench.words import GPU_STAGES, ROWS, STAGES
from runtime.bundle import Bundle
from runtime.percentiles import METHOD, percentile, samples_needed, stated, upper_bound
from runtime.reading import EngineFacts, TrustFacts

SLOWEST = 20


@dataclass(frozen=True)
class About:
    """What a report says besides what was measured."""

    created: datetime
    command: tuple[str, ...]
    input: SupplyFacts
    bundle: Bundle
    engine: EngineFacts
    threads: int | None
    environment: EnvironmentPart
    warmed: WarmUp
    seeds: dict[str, int]
    trust: TrustFacts | None = None
    found: Found = field(default_factory=Found)
    engine_mb: float | None = None
    turns: int = 1
    streams: int = 1


def assemble(about: About, evidence: Evidence, verdict: Verdict) -> Report:
    """The report of a run."""
    samples, goals, found = evidence.samples, evidence.goals, about.found
    return Report(
        schema="rop.bench/1",
        version=software_version(),
        created=about.created.isoformat(timespec="seconds"),
        command=about.command,
        verdict=verdict.word,
        interrupted=evidence.stopped,
        findings=tuple(
            FindingPart(kind=f.kind.name, weight=f.kind.weight.value, text=f.text, advice=f.advice)
            for f in verdict.findings
        ),
        plan=_plan(about, evidence),
        input=InputPart(**asdict(about.input)),
        bundle=bundle_part(about.bundle, about.engine),
        engine=EnginePart(**asdict(about.engine), threads=about.threads),
        trust=None if about.trust is None else asdict(about.trust),
        environment=about.environment,
        seeds=about.seeds,
        counts=_counts(evidence),
        percentile=_percentile(samples, goals),
        rows={row: part for row in ROWS if (part := row_part(samples.row_ms(row), goals.budget_of(row)))},
        run=_run(evidence, about.engine_mb),
        machine=_machine(samples, evidence.machine),
        cold_start=found.cold_start,
        accuracy=found.accuracy,
        peer=found.peers[0] if found.peers else None,
        peers=found.peers,
        by_size=_by_size(samples),
        energy=_energy(samples, evidence.machine),
        layers=found.layers,
        slowest=_slowest(samples, evidence.machine),
        frames=_frames(samples),
    )


def row_part(latencies: Column, budget_ms: float | None) -> RowPart | None:
    """Statistics of a row, None of nothing. Percentiles with too few samples behind them are left out."""
    n = int(latencies.size)
    if n == 0:
        return None
    figures = {name: stated(latencies, p) for name, p in PERCENTILES.items()}
    return RowPart(
        n=n,
        mean=float(latencies.mean()),
        **figures,
        max=float(latencies.max()),
        budget_ms=budget_ms,
        over_budget=None if budget_ms is None else int(np.count_nonzero(latencies > budget_ms)),
    )


def bundle_part(bundle: Bundle, engine: EngineFacts) -> BundlePart:
    """The bundle with the hashes of the graphs of the precisions that ran, and of its plans."""
    precisions = engine.precision.split("+")
    facts = bundle.facts
    files = {
        entry.path: entry.sha256
        for entry in bundle.manifest.files
        if any(f".{precision}." in entry.path for precision in precisions) or entry.path.startswith("plans/")
    }
    return BundlePart(name=facts.name, version=facts.version, sha256=facts.sha256, files=files, notice=facts.notice)


def _plan(about: About, evidence: Evidence) -> PlanPart:
    plan, goals = evidence.plan, evidence.goals
    return PlanPart(
        load=plan.kind,
        rate_hz=plan.rate_hz,
        burst_frames=plan.burst_frames if plan.kind == "burst" else None,
        idle_s=plan.idle_s if plan.kind == "idle" else None,
        frames=evidence.until.frames,
        seconds=evidence.until.seconds,
        warmup=about.warmed.frames,
        warmup_steady=about.warmed.steady,
        turns=about.turns,
        streams=about.streams,
        percentile=goals.percentile,
        budget_ms=goals.budget_ms,
        stage_budgets_ms=dict(goals.stage_budgets_ms),
        miss_rate=goals.miss_rate,
    )


def _counts(evidence: Evidence) -> CountsPart:
    samples, budget_ms = evidence.samples, evidence.goals.budget_ms
    ages, rate_hz = samples.row_ms("age"), evidence.plan.rate_hz
    timed, failed = len(samples.complete), sum(sample.failed for sample in samples.frames)
    return CountsPart(
        frames_in=samples.frames_in,
        read=len(samples.frames),
        timed=timed,
        dropped=samples.dropped,
        stale=samples.stale(1000 / rate_hz if rate_hz and evidence.plan.kind == "camera" else None),
        late=0 if budget_ms is None else int(np.count_nonzero(ages > budget_ms)),
        missed=0 if budget_ms is None else samples.missed(budget_ms),
        refused=sum(not sample.complete and not sample.failed for sample in samples.frames),
        failed=failed,
        unreadable=evidence.unreadable,
    )


def _percentile(samples: Samples, goals: Goals) -> PercentilePart:
    latencies, p = samples.camera_to_result_ms(), goals.percentile
    enough = len(samples.complete) >= samples_needed(p)
    return PercentilePart(
        p=p,
        method=METHOD,
        samples_needed=samples_needed(p),
        value_ms=percentile(latencies, p) if enough else None,
        upper_bound_ms=upper_bound(latencies, p) if enough else None,
    )


def _by_size(samples: Samples) -> dict[str, RowPart]:
    """The total of each size by itself, where there are several: a percentile over both says nothing of either."""
    totals: dict[str, list[float]] = {}
    for sample in samples.complete:
        totals.setdefault(sample.size, []).append(sample.timings.total or 0.0)
    if len(totals) < 2:
        return {}
    return {size: part for size, ms in totals.items() if (part := row_part(np.array(ms), None))}


def _energy(samples: Samples, log: MachineLog) -> EnergyPart:
    at_s = [at_ns / 1e9 for at_ns in log.times_ns]
    joules = {**from_powers(at_s, log.values), **log.joules}  # what counts joules itself goes before what is sampled
    frames = max(1, len(samples.frames))
    return EnergyPart(
        joules=joules,
        joules_per_frame={name: value / frames for name, value in joules.items()},
        why_none="" if joules else why_none(),
    )


def _run(evidence: Evidence, engine_mb: float | None) -> RunPart:
    samples = evidence.samples
    read = len(samples.frames)
    return RunPart(
        seconds=samples.seconds,
        frames_per_s=read / samples.seconds if samples.seconds else 0.0,
        camera_frames_per_s=reached_hz(samples),
        jitter_p99_ms=jitter_p99_ms(samples),
        overhead_us=overhead_us(samples, evidence.machine),
        cpu_ms_per_frame=sum(sample.cpu_ns for sample in samples.frames) / 1e6 / max(1, read),
        engine_mb=engine_mb,
    )


def _machine(samples: Samples, log: MachineLog) -> MachinePart:
    memory = [value for value in log.values.get(RSS, []) if value is not None]
    device = [value for value in log.values.get("gpu_memory_mb", []) if value is not None]
    return MachinePart(
        memory_start_mb=memory[0] if memory else None,
        memory_peak_mb=max(memory, default=None),
        memory_end_mb=memory[-1] if memory else None,
        device_memory_peak_mb=max(device, default=None),
        other_cores=log.other_cores,
        stolen_cores=log.stolen_cores,
        preempted=log.preempted,
        culprits=tuple(CulpritPart(**asdict(culprit)) for culprit in log.culprits),
        throttled=tuple(log.throttled),
        clock_step_ms=log.clock_step_ms,
        at_s=tuple(round((at_ns - samples.started_ns) / 1e9, 3) for at_ns in log.times_ns),
        values={name: tuple(None if v is None else round(v, 3) for v in values) for name, values in log.values.items()},
    )


def _slowest(samples: Samples, log: MachineLog) -> tuple[SlowFramePart, ...]:
    slowest = sorted(samples.complete, key=lambda sample: -(sample.timings.total or 0.0))[:SLOWEST]
    return tuple(
        SlowFramePart(
            number=sample.number,
            source=sample.source,
            at_s=round((sample.begun_ns - samples.started_ns) / 1e9, 3),
            total_ms=round(sample.timings.total or 0.0, 3),
            slowest_stage=max(STAGES, key=lambda stage: getattr(sample.timings, stage) or 0.0),
            machine=machine_at(log, sample.begun_ns),
        )
        for sample in slowest
    )


def machine_at(log: MachineLog, at_ns: int) -> dict[str, float]:
    """What each sensor said nearest to a moment."""
    if not log.times_ns:
        return {}
    nearest = int(np.argmin(np.abs(np.asarray(log.times_ns) - at_ns)))
    return {name: round(v, 3) for name, values in log.values.items() if (v := values[nearest]) is not None}


def _frames(samples: Samples) -> FramesPart:
    frames = samples.frames
    columns = {stage: tuple(_rounded(getattr(s.timings, stage)) for s in frames) for stage in (*STAGES, "total")}
    if any(s.gpu is not None for s in frames):
        columns |= {stage: tuple(_rounded(s.gpu_ms(stage)) for s in frames) for stage in GPU_STAGES}
    return FramesPart(
        number=tuple(s.number for s in frames),
        source=tuple(s.source for s in frames),
        at_s=tuple(round((s.due_ns - samples.started_ns) / 1e9, 6) for s in frames),
        dropped_before=tuple(len(s.dropped_due_ns) for s in frames),
        outcome=tuple(s.outcome.value for s in frames),
        columns={
            "wait": tuple(_rounded(s.wait_ms) for s in frames),
            **columns,
            "age": tuple(_rounded((s.done_ns - s.due_ns) / 1e6) for s in frames),
            "cpu": tuple(_rounded(s.cpu_ns / 1e6) for s in frames),
        },
        size=tuple(s.size for s in frames) if len({s.size for s in frames}) > 1 else (),
        camera_to_result_ms=tuple(np.round(samples.camera_to_result_ms(), 3).tolist()),
    )


def _rounded(value: float | None) -> float | None:
    """To a microsecond; more digits are noise."""
    return None if value is None else round(value, 3)
