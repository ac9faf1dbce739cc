"""What the benchmark counts as its own work, and what it reads the machine by."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from device.frame import Frame
from runtime.bench.judge.verdict import overhead_us
from runtime.bench.measure.benchmark import TIDY_NS, measure
from runtime.bench.measure.clock import ManualClock
from runtime.bench.measure.kernel import KeptFile, cpu_reader, memory_reader
from runtime.bench.measure.libraries import library
from runtime.bench.measure.sampler import MachineLog
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.supply import Pool
from runtime.bench.options import LoadPlan, Until
from runtime.engines.base import GpuTimings
from tests.runtime.bench.planned import PlannedReader, pool, samples_of

READING_MS, COPYING_MS, GPU_MS = 12, 3, 0.25


class SlowPool(Pool):
    """Takes a while to give a frame."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(pool().frames)
        self._clock = clock

    def take(self, number: int, due_ns: int) -> Frame | None:
        self._clock.advance_ms(COPYING_MS)
        return super().take(number, due_ns)


@pytest.mark.parametrize("plan", [LoadPlan(), LoadPlan("camera", 20), LoadPlan("burst", 20), LoadPlan("idle")])
def test_all_between_two_readings_is_own_work_but_sleep_and_camera(plan: LoadPlan) -> None:
    clock = ManualClock()

    def gpu_ms() -> GpuTimings:
        clock.advance_ms(GPU_MS)
        return GpuTimings(1, 1, 1, 1)

    reader = PlannedReader(clock, lambda _: READING_MS)
    samples = measure(reader, SlowPool(clock), plan, Until(20), clock=clock, gpu_ms=gpu_ms)
    assert list(samples.own_ns) == [0] + [round(GPU_MS * 1e6)] * 19


def test_what_is_done_once_a_second_is_counted_apart() -> None:
    clock = ManualClock()
    called: list[int] = []

    def progress(samples: Samples) -> None:
        called.append(len(samples.noted))
        clock.advance_ms(40)

    reader = PlannedReader(clock, lambda _: 100)
    samples = measure(reader, pool(), LoadPlan(), Until(35), clock=clock, progress=progress)
    assert called == [10, 10, 10]
    assert set(samples.own_ns) == {0}
    assert 0 < samples.tidying_ns < TIDY_NS
    assert [sample.number for sample in samples.frames] == list(range(35))


def test_own_work_is_the_mean_with_the_sampler_and_without_waits() -> None:
    samples = samples_of([10.0] * 100)
    samples.own_ns[3:5] = array("q", [40_000, 5_000_000])
    samples.tidying_ns = 200_000
    steps_us = (97 * 10 + 10 + 40) / 99
    assert overhead_us(samples, MachineLog(cpu_ms=0.3)) == pytest.approx(steps_us + 2 + 3)
    assert overhead_us(Samples(0), MachineLog()) == 0


def test_cpu_time_of_a_frame_is_the_whole_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    spent = iter(range(0, 1000, 7))
    monkeypatch.setattr("runtime.bench.measure.benchmark.time.process_time_ns", lambda: next(spent))
    samples = measure(PlannedReader(clock, lambda _: 10), pool(), LoadPlan(), Until(5), clock=clock)
    assert [sample.cpu_ns for sample in samples.frames] == [7] * 5


def test_memory_and_cpu_time_are_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "statm").write_text("9000 2000 300 1 0 500 0\n")
    (tmp_path / "stat").write_text("cpu  100 20 30 4000 500 6 7 80 90 10\ncpu0 1 2 3\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert memory_reader(tmp_path)() == pytest.approx(2000 * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert cpu_reader(tmp_path)() == pytest.approx(((100 + 20 + 30 + 6 + 7) / ticks, 80 / ticks))


def test_without_such_files_psutil_tells_the_same(tmp_path: Path) -> None:
    assert memory_reader(tmp_path)() == pytest.approx(memory_reader()(), rel=0.05)
    assert cpu_reader(tmp_path)() == pytest.approx(cpu_reader()(), rel=0.05, abs=1)
    assert memory_reader()() == pytest.approx(library("psutil", "psutil").Process().memory_info().rss / 1e6, rel=0.05)


def test_a_kept_file_says_what_stands_in_it_now_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "temp"
    path.write_text("41000\n")
    kept = KeptFile(path)
    path.write_text("7\n")
    assert kept.read() == b"7\n"
    before = len(os.listdir("/proc/self/fd"))
    del kept
    assert len(os.listdir("/proc/self/fd")) == before - 1
