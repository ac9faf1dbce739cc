"""The benchmark itself: frames of a load go through a Screener, and what each took is noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from device.errors import CameraError
from runtime.bench.measure.clock import Clock, SystemClock
from runtime.bench.measure.loads import NeverStop, Wait, generate
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.supply import Supply
from runtime.bench.options import LoadPlan, Until
from runtime.commands.stop import Interrupted
from runtime.engines.base import GpuTimings
from runtime.reading import Reader

TIDY_NS = 1_000_000_000
WINDOW, CALM, MOST_WINDOWS, GAIN = 10, 3, 30, 0.03
"""Of a warm-up until the speed is steady: frames in a window, windows without a gain, windows at most, and what is
a gain."""


@dataclass(frozen=True)
class WarmUp:
    """Frames that were read before a run, and whether the speed was steady after them; None where nobody looked."""

    frames: int
    steady: bool | None


def warm_up(
    reader: Reader,
    supply: Supply,
    frames: int | None = None,
    stop: Wait = NeverStop(),  # noqa: B008 (no state)
    clock: Clock | None = None,
) -> WarmUp:
    """Read frames without noting anything, so that caches, threads and clocks of the CPU are as in service.

    frames: how many. None reads windows of `WINDOW` frames until `CALM` of them in turn bring no median that is more
    than `GAIN` under the lowest before them, which ends also where the speed wanders; `MOST_WINDOWS` at most.
    """
    timer = clock or SystemClock()
    most = WINDOW * MOST_WINDOWS if frames is None else frames
    took: list[float] = []
    for taken in generate(LoadPlan(), supply, timer, Until(most), stop):
        began_ns = timer.now_ns()
        reader.screen(taken.frame)
        took.append((timer.now_ns() - began_ns) / 1e6)
        if frames is None and len(took) % WINDOW == 0 and settled(took):
            return WarmUp(len(took), True)
    return WarmUp(len(took), None if frames is not None else False)


def settled(took: Sequence[float]) -> bool:
    """Whether the last `CALM` windows of these times brought no gain over those before them."""
    medians = [median(took[at : at + WINDOW]) for at in range(0, len(took) - WINDOW + 1, WINDOW)]
    before, last = medians[:-CALM], medians[-CALM:]
    return bool(before) and min(last) >= min(before) * (1 - GAIN)


def measure(
    reader: Reader,
    supply: Supply,
    plan: LoadPlan,
    until: Until,
    *,
    clock: Clock | None = None,
    stop: Wait = NeverStop(),  # noqa: B008 (no state)
    progress: Callable[[Samples], None] | None = None,
    gpu_ms: Callable[[], GpuTimings | None] | None = None,
    cpu_ns: Callable[[], int] | None = None,
) -> Samples:
    """Run a load and note every frame; what was noted so far when `stop` is requested or the camera is lost.

    progress: is called about once a second. gpu_ms: tells the GPU's own times of the frame just read. cpu_ns: CPU time
    that frames are charged for; by default all of the process.
    Raises `CameraError` when the camera is lost before its first frame, `BenchError` when it cannot do that load.
    """
    timer = clock or SystemClock()
    samples = Samples(timer.now_ns())
    try:
        _loop(reader, supply, plan, until, timer, stop, samples, progress, gpu_ms, cpu_ns or time.process_time_ns)
    except Interrupted:
        pass
    except CameraError as error:
        if not samples.own_ns:
            raise
        samples.lost = str(error)
    samples.ended_ns = timer.now_ns()
    return samples


def _loop(
    reader: Reader,
    supply: Supply,
    plan: LoadPlan,
    until: Until,
    clock: Clock,
    stop: Wait,
    samples: Samples,
    progress: Callable[[Samples], None] | None,
    gpu_ms: Callable[[], GpuTimings | None] | None,
    process_ns: Callable[[], int],
) -> None:
    """Read frame after frame. Everything this thread does is the benchmark's own work but `screen` and the camera's.

    What is noted of a frame is a plain tuple of what is there already: between frames the CPU's caches hold the
    networks' weights and none of this code, so that each call and each object costs many times what it does in a loop.
    """
    screen, now_ns = reader.screen, clock.now_ns
    noted, own_ns = samples.noted, samples.own_ns
    read_ns, cpu_ns = now_ns(), process_ns()
    tidy_ns = read_ns + TIDY_NS
    for taken in generate(plan, supply, clock, until, stop):
        begun_ns = now_ns()
        reading = screen(taken.frame)
        done_ns = now_ns()
        cpu_before_ns, cpu_ns = cpu_ns, process_ns()
        timings, facts = reading.timings_ms, reading.frame
        noted.append(
            (
                taken.number,
                facts.source,
                taken.due_ns,
                begun_ns,
                done_ns,
                timings,
                reading.outcome,
                reading.reason,
                cpu_ns - cpu_before_ns,
                taken.jitter_ns,
                taken.dropped_due_ns,
                None if gpu_ms is None or timings.classify is None else gpu_ms(),
                facts.width or 0,
                facts.height or 0,
            )
        )
        own_ns.append(taken.asked_ns - read_ns + begun_ns - taken.got_ns)
        read_ns = done_ns
        del reading, facts
        if done_ns >= tidy_ns:
            read_ns += _tidy(samples, clock, progress)
            tidy_ns = done_ns + TIDY_NS


def _tidy(samples: Samples, clock: Clock, progress: Callable[[Samples], None] | None) -> int:
    """What is done once a second, noting its CPU time; gives the nanoseconds that it took."""
    began_ns, began_cpu_ns = clock.now_ns(), time.thread_time_ns()
    if progress is not None:
        progress(samples)
    samples.put_away()
    samples.tidying_ns += time.thread_time_ns() - began_cpu_ns
    return clock.now_ns() - began_ns
