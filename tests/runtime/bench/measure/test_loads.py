from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.errors import Disconnected
from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.benchmark import measure
from runtime.bench.measure.clock import ManualClock
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.supply import SupplyFacts
from runtime.bench.options import LoadPlan, Until
from tests.pictures import retina
from tests.runtime.bench.planned import PlannedReader, pool


def run(plan: LoadPlan, takes: Callable[[int], float | None], frames: int) -> tuple[Samples, PlannedReader]:
    clock = ManualClock(5_000_000)
    reader = PlannedReader(clock, takes)
    return measure(reader, pool(), plan, Until(frames), clock=clock), reader


def test_back_to_back_never_waits() -> None:
    samples, _ = run(LoadPlan(), lambda _: 12, 20)
    assert samples.seconds == pytest.approx(0.24)
    assert samples.row_ms("age") == pytest.approx([12] * 20)
    assert samples.row_ms("camera_to_result") == pytest.approx([12] * 20)
    assert samples.dropped == 0


def test_a_quick_reader_keeps_up_with_the_camera() -> None:
    samples, _ = run(LoadPlan("camera", 25), lambda _: 12, 50)
    assert [s.due_ns for s in samples.frames] == [5_000_000 + k * 40_000_000 for k in range(50)]
    assert samples.row_ms("age") == pytest.approx([12] * 50)
    assert samples.dropped == 0


def test_one_stall_costs_every_frame_that_came_during_it() -> None:
    """Closed-loop measuring would note a single slow frame; here each of the ten that came meanwhile is charged."""
    samples, reader = run(LoadPlan("camera", 10), lambda n: 1000 if n == 5 else 20, 40)
    assert reader.seen == [*range(6), *range(15, 40)]
    assert samples.dropped == 9
    assert samples.frames_in == 40
    waited = samples.row_ms("camera_to_result")
    assert waited.size == 40
    # Frame 5 waits its own second; frames 6 to 14 for frame 15's result, due at 1500 and done at 1520 ms.
    assert waited[5:16] == pytest.approx([1000, *range(920, 119, -100), 20])
    assert np.count_nonzero(samples.row_ms("age") > 100) == 1
    assert samples.missed(100) == 10


def test_the_newest_frame_wins_and_its_waiting_counts() -> None:
    samples, reader = run(LoadPlan("camera", 10), lambda _: 150, 5)
    # Done at 150: frame 1 (due at 100) is the newest. Done at 300: frame 3, due just now; frame 2 is dropped.
    assert reader.seen == [0, 1, 3, 4]
    assert samples.row_ms("age") == pytest.approx([150, 200, 150, 200])
    assert samples.row_ms("wait") == pytest.approx([0, 50, 0, 50], abs=0.5)
    assert samples.dropped == 1


def test_the_last_frames_dropped_are_not_forgotten() -> None:
    samples, reader = run(LoadPlan("camera", 10), lambda _: 1000, 5)
    assert reader.seen == [0, 4]
    assert samples.frames_in == 5
    assert samples.row_ms("camera_to_result") == pytest.approx([1000, 1900, 1800, 1700, 1600])


def test_a_burst_is_read_whole_and_its_queue_counts() -> None:
    samples, _ = run(LoadPlan("burst", 10, burst_frames=4), lambda _: 30, 8)
    assert samples.row_ms("age") == pytest.approx([30, 60, 90, 120] * 2)
    assert samples.frames[4].due_ns - samples.frames[0].due_ns == 400_000_000


def kolmogorov_smirnov_p(shares: NDArray[np.float64]) -> float:
    """Of values that would be spread evenly over 0 to 1, by Kolmogorov's limit; shares: [n], n in the thousands."""
    ordered, steps = np.sort(shares), np.arange(shares.size + 1) / shares.size
    distance = max(float(np.max(steps[1:] - ordered)), float(np.max(ordered - steps[:-1])))
    k = np.arange(1, 101)
    return float(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * distance) ** 2 * shares.size)))


def test_random_arrivals_are_poissons_and_their_queue_counts() -> None:
    samples, _ = run(LoadPlan("poisson", 20, seed=1), lambda _: 40, 3000)
    due = np.array([5_000_000, *(s.due_ns for s in samples.frames)]) / 1e9
    gaps = np.diff(due)
    assert kolmogorov_smirnov_p(1 - np.exp(-20 * gaps)) > 0.01
    assert kolmogorov_smirnov_p(1 - np.exp(-21.5 * gaps)) < 0.01, "the test sees a rate that is wrong by 7 %"
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.05, "independent of one another"
    assert samples.dropped == 0
    assert samples.row_ms("camera_to_result").size == 3000
    done, free = [], 0.0
    for at in due[1:] * 1e3:
        free = max(at, free) + 40
        done.append(free)
    assert samples.row_ms("camera_to_result") == pytest.approx(np.array(done) - due[1:] * 1e3)
    assert samples.row_ms("wait").max() > 80


def test_arrivals_are_the_same_for_a_seed_and_stretch_with_the_rate() -> None:
    def due(rate: float, seed: int) -> list[float]:
        samples, _ = run(LoadPlan("poisson", rate, seed=seed), lambda _: 1, 20)
        return [(s.due_ns - 5_000_000) * rate for s in samples.frames]

    assert due(20, 1) == due(20, 1) == pytest.approx(due(5, 1), rel=1e-6)
    assert due(20, 1) != due(20, 2)


def test_idle_rests_before_each_frame() -> None:
    samples, _ = run(LoadPlan("idle", idle_s=2), lambda _: 30, 3)
    assert [s.due_ns for s in samples.frames] == [5_000_000 + round(1e6 * t) for t in (2000, 4030, 6060)]
    assert samples.row_ms("age") == pytest.approx([30] * 3)


def test_a_run_ends_by_time() -> None:
    clock = ManualClock()
    samples = measure(PlannedReader(clock, lambda _: 10), pool(), LoadPlan(), Until(seconds=1), clock=clock)
    assert len(samples.frames) == 100


def test_failed_and_refused_frames_do_not_flatter() -> None:
    samples, _ = run(LoadPlan("camera", 10), lambda n: {3: None, 5: 0}.get(n, 20), 8)
    assert samples.row_ms("total").size == 6
    # Frame 3 gave nothing: the first result at least as new is frame 4's. Frame 5 was refused, and is left out.
    assert samples.row_ms("camera_to_result") == pytest.approx([20, 20, 20, 120, 20, 20, 20])
    assert samples.missed(1000) == 1


@settings(max_examples=60, deadline=None)
@given(
    takes=st.lists(st.sampled_from([5.0, 40.0, 99.0, 101.0, 350.0, 2000.0]), min_size=1, max_size=40),
    rate=st.sampled_from([1.0, 10.0, 30.0]),
)
def test_every_frame_of_the_schedule_is_accounted_for_once(takes: list[float], rate: float) -> None:
    samples, _ = run(LoadPlan("camera", rate), lambda n: takes[n], len(takes))
    assert samples.frames_in == len(takes)
    assert samples.row_ms("camera_to_result").size == len(takes)
    due = sorted(d for s in samples.frames for d in (s.due_ns, *s.dropped_due_ns))
    assert due == [5_000_000 + round(k * 1e9 / rate) for k in range(len(takes))]
    begun = [s.begun_ns for s in samples.frames]
    assert begun == sorted(begun)
    assert all(s.begun_ns >= s.due_ns for s in samples.frames)


class Stopping:
    """Asks to stop after so many looks."""

    def __init__(self, looks: int) -> None:
        from contextlib import nullcontext

        self.looks, self.interruptible = looks, nullcontext()

    @property
    def requested(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_a_stopped_run_keeps_what_it_has() -> None:
    clock = ManualClock()
    samples = measure(PlannedReader(clock, lambda _: 10), pool(), LoadPlan(), Until(100), clock=clock, stop=Stopping(7))
    assert len(samples.frames) == 7
    assert samples.seconds == pytest.approx(0.07)


class PacedCamera:
    """A live camera that numbers its frames; the numbers it leaves out were dropped."""

    paced, unreadable = True, 0

    def __init__(self, clock: ManualClock, sequences: list[int]) -> None:
        self.clock, self.sequences = clock, sequences

    def take(self, number: int, due_ns: int) -> Frame | None:
        if not self.sequences:
            return None
        sequence = self.sequences.pop(0)
        self.clock.sleep_until_ns(sequence * 100_000_000 + 15_000_000)
        return Frame(retina(), sequence, f"camera:{sequence}", captured_ns=sequence * 100_000_000, capture_ms=15)

    def facts(self, source: str) -> SupplyFacts:
        return SupplyFacts(source, None, None, None, None, "camera")


def test_a_live_cameras_own_drops_are_counted_from_its_numbers() -> None:
    clock = ManualClock()
    reader = PlannedReader(clock, lambda _: 20)
    samples = measure(reader, PacedCamera(clock, [0, 1, 4, 5]), LoadPlan("camera"), Until(10), clock=clock)
    assert samples.dropped == 2
    assert samples.row_ms("camera_to_result") == pytest.approx([35, 35, 235, 135, 35, 35])
    with pytest.raises(BenchError, match="live camera"):
        measure(reader, PacedCamera(clock, [0]), LoadPlan("burst"), Until(10), clock=clock)
    with pytest.raises(BenchError, match="cannot come at random"):
        measure(reader, PacedCamera(clock, [0]), LoadPlan("poisson"), Until(10), clock=clock)


class TornCamera(PacedCamera):
    """Its cable is pulled after its last frame."""

    def take(self, number: int, due_ns: int) -> Frame | None:
        frame = super().take(number, due_ns)
        if frame is None:
            raise Disconnected("camera:0 is gone")
        return frame


def test_a_lost_camera_leaves_the_report_so_far() -> None:
    clock = ManualClock()
    reader = PlannedReader(clock, lambda _: 20)
    samples = measure(reader, TornCamera(clock, [0, 1, 2]), LoadPlan("camera"), Until(10), clock=clock)
    assert len(samples.frames) == 3
    assert samples.lost == "camera:0 is gone"
    with pytest.raises(Disconnected):
        measure(reader, TornCamera(clock, []), LoadPlan("camera"), Until(10), clock=clock)
