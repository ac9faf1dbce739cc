"""The benchmark itself: frames of a load go through a Screener, and what each took is noted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from device.frame import Frame
from runtime.bench.clock import Clock, SystemClock
from runtime.bench.loads import LoadPlan, NeverStop, Until, Wait, generate
from runtime.bench.samples import Sample, Samples
from runtime.bench.supply import Supply
from runtime.engines.base import GpuTimings
from runtime.reading import Reading
from runtime.screen.stop import Interrupted

TIDY_NS = 1_000_000_000


class Reader(Protocol):
    """What is measured: a Screener, or anything that reads frames as one does."""

    def screen(self, frame: Frame) -> Reading:
        """The reading for a frame; never raises."""
        ...


def warm_up(reader: Reader, supply: Supply, frames: int, stop: Wait = NeverStop()) -> None:  # noqa: B008 (no state)
    """Read frames without noting anything, so that caches, threads and clocks of the CPU are as in service."""
    for taken in generate(LoadPlan(), supply, SystemClock(), Until(frames), stop):
        reader.screen(taken.frame)


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
) -> Samples:
    """Run a load and note every frame; what was noted so far when `stop` is requested.

    progress: is called about once a second. gpu_ms: tells the GPU's own times of the frame just read.
    Raises `CameraError` when the camera is lost, `BenchError` when the source cannot do that load.
    """
    timer = clock or SystemClock()
    samples = Samples(timer.now_ns())
    with contextlib.suppress(Interrupted):
        _loop(reader, supply, plan, until, timer, stop, samples, progress, gpu_ms)
    samples.ended_ns = timer.now_ns()
    samples.take_out()
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
) -> None:
    own_ns = since_ns = noted_ns = 0
    for frame, number, due_ns, camera_cpu_ns, jitter_ns, dropped_due_ns in generate(plan, supply, clock, until, stop):
        cpu_ns = time.process_time_ns()
        if since_ns:
            samples.overhead_ns.append(own_ns + time.thread_time_ns() - since_ns - camera_cpu_ns)
        begun_ns = clock.now_ns()
        reading = reader.screen(frame)
        done_ns = clock.now_ns()
        since_ns = time.thread_time_ns()
        spent_ns = time.process_time_ns() - cpu_ns
        gpu = None if gpu_ms is None or reading.timings_ms.classify is None else gpu_ms()
        samples.frames.append(
            Sample(
                number,
                reading.frame.source,
                due_ns,
                begun_ns,
                done_ns,
                reading.timings_ms,
                reading.outcome,
                reading.reason,
                spent_ns,
                jitter_ns,
                dropped_due_ns,
                gpu,
            )
        )
        if done_ns - noted_ns > TIDY_NS:
            noted_ns = done_ns
            if progress is not None:
                progress(samples)
            samples.put_away()
        own_ns = time.thread_time_ns() - since_ns
        # Giving back a frame's memory takes longer than all of the above, and is no work of the benchmark's.
        del frame, reading
        since_ns = time.thread_time_ns()
