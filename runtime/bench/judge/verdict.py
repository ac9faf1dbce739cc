"""The judge: from samples and the machine's log to everything that is to be said of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from runtime.bench.judge.findings import Finding, Kind, Verdict
from runtime.bench.judge.stats import drift, drift_by_chance, trend
from runtime.bench.measure.sampler import RSS, MachineLog
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.sensors import QUOTA
from runtime.bench.options import Goals, LoadPlan, ModelOptions, Until
from runtime.bench.schema import ColdStartPart
from runtime.percentiles import percentile, samples_needed, upper_bound

DRIFT_LIMIT = 0.10
"""How much the medians of first and last third may differ."""
CHANCE_LIMIT = 0.25
"""Thirds that differ by more than this are no measurement of one speed, whether by chance or not."""
SPREAD_LIMIT = 1.25
"""How many times as long the slowest of equal starts may take as the quickest."""
OTHERS_LIMIT = 0.10
"""Share of the cores that this process may run on, that others may take of them on average."""
STEP_LIMIT_MS = 50.0
"""A slewing clock stays below this over a run of any length that is measured (0.5 ms a second at most)."""
RATE_LIMIT = 0.98
"""Share of the asked rate that a camera must reach."""
JITTER_LIMIT_MS = 1.0
OVERHEAD_LIMIT_US = 50.0
WAITED_TIMES = 10.0
OUTLIER_TIMES = 3.0
"""A frame this many times slower than the median is an outlier."""
MORE_QUOTA = (
    "raise that quota (cpu.max or cpu.cfs_quota_us of the control group, --cpus of the container), or use fewer "
    "--threads than it allows, then measure again"
)
SOAK_P = 0.01
SOAK_MEMORY_MB = 1.0
"""Growth over a soak below which memory counts as steady."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a verdict is made from."""

    samples: Samples
    machine: MachineLog
    goals: Goals
    plan: LoadPlan
    until: Until
    stopped: bool
    unreadable: int
    paced_by_camera: bool
    governor: str | None
    soak: bool
    failed_parts: tuple[str, ...] = ()
    """What was to be looked at after the run and could not be, and why."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Distinct frames by size."""
    model: ModelOptions = ModelOptions()  # noqa: RUF009 (frozen)
    """What was asked for, so that nothing is advised that is in force."""
    precision: str = ""
    """That ran."""
    warm: bool | None = None
    """Whether the speed was steady after the warm-up; None where nobody looked."""
    cold_start: ColdStartPart | None = None


def judge(evidence: Evidence) -> Verdict:
    """PASS, FAIL or INVALID with all that was found."""
    parts = (_enough, _machine_steady, _kept_to_goals, _soak, _worth_knowing)
    return Verdict.of([finding for part in parts for finding in part(evidence)])


def overhead_us(samples: Samples, machine: MachineLog) -> float:
    """Mean time a frame of the benchmark's own work: its steps between frames, what it does once a second, its sampler.

    The steps are timed by the wall clock, as reading the clock of a thread's CPU time costs as much as they do. Where
    they took over `WAITED_TIMES` their median, the thread was made to wait by other programs, which is no work of ours.
    """
    steps_ns = np.array(samples.own_ns, np.float64)
    worked_ns = steps_ns[steps_ns <= WAITED_TIMES * np.median(steps_ns)] if steps_ns.size else steps_ns
    own_ns = float(worked_ns.mean()) if worked_ns.size else 0.0
    return own_ns / 1e3 + (samples.tidying_ns / 1e3 + machine.cpu_ms * 1e3) / max(1, len(samples.frames))


def jitter_p99_ms(samples: Samples) -> float | None:
    """How late the schedule's frames were begun, 99th percentile; None when nothing was scheduled."""
    late = [sample.jitter_ns / 1e6 for sample in samples.frames if sample.jitter_ns is not None]
    return percentile(late, 99) if late else None


def served_ms(samples: Samples) -> list[float]:
    """What each frame kept the next one waiting: to its result, from its arrival or from the result before it."""
    done_ns = [sample.done_ns for sample in samples.frames]
    free_ns = [samples.started_ns, *done_ns]
    return [(s.done_ns - max(s.due_ns, free)) / 1e6 for s, free in zip(samples.frames, free_ns, strict=False)]


def reached_hz(samples: Samples) -> float | None:
    """Frames a second that came, from the first's capture to the last's; None of fewer than two."""
    if samples.frames_in < 2:
        return None
    seconds = (samples.frames[-1].due_ns - samples.frames[0].due_ns) / 1e9
    return (samples.frames_in - 1) / seconds if seconds > 0 else None


def _enough(evidence: Evidence) -> Iterator[Finding]:
    samples, goals = evidence.samples, evidence.goals
    got, needed = len(samples.complete), samples_needed(goals.percentile)
    if evidence.stopped:
        yield Finding(Kind.STOPPED, f"stopped by hand after {samples.frames_in} frames; this is the report so far")
    elif samples.lost is not None:
        yield Finding(Kind.CAMERA_LOST, f"the camera was lost after {samples.frames_in} frames: {samples.lost}")
    elif evidence.until.frames is not None and samples.frames_in < evidence.until.frames and not evidence.soak:
        text = f"the source ended after {samples.frames_in} of {evidence.until.frames} frames"
        yield Finding(Kind.SOURCE_ENDED, text)
    for text in evidence.failed_parts:
        yield Finding(Kind.PART_FAILED, text)
    if got < needed:
        yield Finding(Kind.TOO_FEW_SAMPLES, f"p{goals.percentile:g} needs {needed} frames read, got {got}")


def _machine_steady(evidence: Evidence) -> Iterator[Finding]:
    samples, machine = evidence.samples, evidence.machine
    if machine.throttled:
        text = f"the machine was slowed down: {', '.join(machine.throttled)}"
        yield Finding(Kind.THROTTLED, text, MORE_QUOTA if set(machine.throttled) == {QUOTA} else None)
    if abs(machine.clock_step_ms) > STEP_LIMIT_MS:
        text = f"the wall clock jumped by {machine.clock_step_ms:.0f} ms against the monotonic clock"
        yield Finding(Kind.CLOCK_STEPPED, text)
    taken = machine.other_cores + machine.stolen_cores
    if taken > OTHERS_LIMIT * machine.cores:
        yield Finding(Kind.CORES_TAKEN, _who_took(machine))
    totals = samples.row_ms("total")
    if totals.size >= 9 and not evidence.soak:
        change = drift(totals)
        if abs(change) > DRIFT_LIMIT:
            text = f"the last third's median total is {beside_limit(change)} against the first's"
            if abs(change) <= CHANCE_LIMIT and drift_by_chance(totals):
                yield Finding(Kind.SCATTER, f"{text}, as it may be by chance where so few frames scatter so much")
            else:
                yield Finding(Kind.DRIFT, f"{text}, at most {DRIFT_LIMIT:.0%} is fine")
    rate, reached = evidence.plan.rate_hz, reached_hz(samples)
    if evidence.paced_by_camera and evidence.plan.kind == "camera" and rate and reached and reached < RATE_LIMIT * rate:
        yield Finding(Kind.CAMERA_TOO_SLOW, f"the camera gave {reached:.2f} frames/s, {rate:g} were asked")


def beside_limit(change: float) -> str:
    """A drift in percent, with more digits where it would look like `DRIFT_LIMIT` and is not."""
    digits = next((d for d in range(5) if f"{abs(change):.{d}%}" != f"{DRIFT_LIMIT:.{d}%}"), 0)
    return f"{change:+.{digits}%}"


def _who_took(machine: MachineLog) -> str:
    text = (
        f"other processes took {machine.other_cores:.2f} of {machine.cores} cores that this one may use "
        "(their busy time less ours); "
        f"our threads were made to wait {machine.preempted} times"
    )
    if machine.stolen_cores > 0.01:
        text += f"; the hypervisor took {machine.stolen_cores:.2f} more"
    if machine.culprits:
        text += "; most: " + ", ".join(f"{c.name} ({c.pid}) {c.cpu_seconds:.1f} s" for c in machine.culprits)
    return text


def _kept_to_goals(evidence: Evidence) -> Iterator[Finding]:
    samples, goals = evidence.samples, evidence.goals
    for row in ("camera_to_result", *goals.stage_budgets_ms):
        budget_ms, latencies = goals.budget_of(row), samples.row_ms(row)
        if budget_ms is None or latencies.size == 0:
            continue
        reached, bound = percentile(latencies, goals.percentile), upper_bound(latencies, goals.percentile)
        name = f"{row.replace('_', ' ')} p{goals.percentile:g}"
        if reached > budget_ms:
            needed = samples_needed(goals.percentile)
            text = f"{name} is {reached:.2f} ms, the budget {budget_ms:g} ms"
            if latencies.size < needed:
                over = int(np.count_nonzero(latencies > budget_ms))
                text = (
                    f"{row.replace('_', ' ')} of {over} of {latencies.size} frames is over the budget of "
                    f"{budget_ms:g} ms; p{goals.percentile:g} is stated from {needed} frames on"
                )
            yield Finding(Kind.OVER_BUDGET, text, _quicker(evidence))
        elif bound is not None and bound > budget_ms:
            text = f"{name} is {reached:.2f} ms, but up to {bound:.2f} ms at 99 % confidence; budget {budget_ms:g} ms"
            yield Finding(Kind.NEAR_BUDGET, text)
    if goals.miss_rate is not None and goals.budget_ms is not None and samples.frames_in:
        missed = samples.missed(goals.budget_ms)
        share = missed / samples.frames_in
        if share > goals.miss_rate:
            text = f"{missed} of {samples.frames_in} frames missed {goals.budget_ms:g} ms: {share:.3%}"
            yield Finding(Kind.MISSES, f"{text}, at most {goals.miss_rate:.3%} may")
    if evidence.plan.kind == "poisson" and evidence.plan.rate_hz:
        busy = float(np.mean(served_ms(samples))) / 1e3 * evidence.plan.rate_hz if samples.frames else 0.0
        if busy >= 1:
            text = f"frames come {busy:.2f} times as fast as they are read, so that the queue grows as long as it runs"
            yield Finding(Kind.OVERLOADED, text)
    failed = [sample for sample in samples.frames if sample.failed]
    if failed:
        text = f"{len(failed)} of {len(samples.frames)} frames gave no result; the first: {failed[0].reason}"
        yield Finding(Kind.NO_RESULT, text)


def _quicker(evidence: Evidence) -> str | None:
    """What else could make it quicker: never what is in force already."""
    ways = [] if evidence.precision == "int8" else ["--precision int8"]
    ways += ["another --engine"] if evidence.model.engine == "auto" else []
    if evidence.model.threads is not None and evidence.model.threads < evidence.machine.cores:
        ways.append(f"more --threads (now {evidence.model.threads} of {evidence.machine.cores} cores)")
    return f"try {', '.join(ways)}, or allow more time" if ways else "allow more time, or take a faster machine"


def _soak(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.soak:
        return
    log = evidence.machine
    own_mb = evidence.samples.own_mb(log.times_ns)
    memory = [value - own for value, own in zip(log.values.get(RSS, []), own_mb, strict=False) if value is not None]
    growth = trend(memory)
    if growth is not None and growth.p_value < SOAK_P and growth.change > max(SOAK_MEMORY_MB, 0.01 * memory[0]):
        text = f"memory grew by {growth.change:.1f} MB from {memory[0]:.0f} MB (p {growth.p_value:.2g})"
        yield Finding(Kind.MEMORY_GROWS, text)
    totals = evidence.samples.row_ms("total")
    slowing = trend(totals)
    if slowing is not None and slowing.p_value < SOAK_P and slowing.change > DRIFT_LIMIT * float(np.median(totals)):
        yield Finding(Kind.LATENCY_GROWS, f"the total grew by {slowing.change:.2f} ms (p {slowing.p_value:.2g})")


def _worth_knowing(evidence: Evidence) -> Iterator[Finding]:
    samples, machine, goals = evidence.samples, evidence.machine, evidence.goals
    refused = sum(not sample.complete and not sample.failed for sample in samples.frames)
    if refused:
        yield Finding(Kind.NOT_GRADABLE, f"{refused} of {len(samples.frames)} frames were refused by the quality gate")
    if evidence.unreadable:
        yield Finding(Kind.UNREADABLE, f"{evidence.unreadable} frames could not be read")
    totals = samples.row_ms("total")
    if totals.size:
        middle = percentile(totals, 50)
        slow = int(np.count_nonzero(totals > OUTLIER_TIMES * middle))
        if slow:
            text = (
                f"{slow} frames took over {OUTLIER_TIMES:g} x the median of {middle:.2f} ms, at most {totals.max():.2f}"
            )
            yield Finding(Kind.OUTLIERS, f"{text} ms")
    jitter = jitter_p99_ms(samples)
    if jitter is not None and jitter > JITTER_LIMIT_MS:
        text = f"frames were begun up to {jitter:.2f} ms after their time (p99), {JITTER_LIMIT_MS:g} ms is fine"
        one = evidence.model.threads == 1 or machine.cores == 1
        yield Finding(Kind.JITTER, text, "stop other programs; a single core has none to leave" if one else None)
    own_us = overhead_us(samples, machine)
    if own_us > OVERHEAD_LIMIT_US and evidence.plan.kind != "idle":  # there the sampler's lies in the rests
        yield Finding(Kind.OVERHEAD, f"the benchmark's own work took {own_us:.0f} us a frame, at most 50 is meant")
    if not any(name.endswith(("_mhz", "_c")) for name in machine.values):
        yield Finding(Kind.NO_CLOCKS, "neither clocks nor temperatures can be read on this machine")
    if evidence.governor in ("powersave", "schedutil", "ondemand", "conservative"):
        yield Finding(Kind.SLOW_GOVERNOR, f"the CPU governor is {evidence.governor}")
    if evidence.warm is False:
        yield Finding(Kind.NOT_WARM, "the speed was not steady when the warm-up ended")
    yield from _cold_start(evidence)
    if len(evidence.sizes) > 1:
        told = ", ".join(f"{count} of {size}" for size, count in evidence.sizes.items())
        yield Finding(
            Kind.MIXED_SIZES, f"the source holds frames of several sizes ({told}): their times are told apart"
        )
    if goals.budget_ms is None and not goals.stage_budgets_ms:
        yield Finding(Kind.NO_BUDGET, "no budget was given: the verdict is about the measurement alone")


def _cold_start(evidence: Evidence) -> Iterator[Finding]:
    cold, cores = evidence.cold_start, evidence.machine.cores
    if cold is None:
        return
    reasons = []
    if cold.other_cores is not None and cold.other_cores > OTHERS_LIMIT * cores:
        reasons.append(f"other processes took {cold.other_cores:.2f} of {cores} cores meanwhile")
    if cold.spread is not None and cold.spread > SPREAD_LIMIT:
        reasons.append(f"the slowest of {cold.processes - 1} equal starts took {cold.spread:.2f} x the quickest")
    if reasons:
        yield Finding(Kind.COLD_START_SPOILT, f"the times of the cold start are spoilt: {'; '.join(reasons)}")
