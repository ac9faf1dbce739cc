"""A reader on a clock moved by hand: what each frame takes is planned, so that tests of loads are exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from device.errors import DeviceError
from device.frame import Frame
from runtime.bench.measure.clock import ManualClock
from runtime.bench.measure.samples import Sample, Samples
from runtime.bench.measure.supply import Pool
from runtime.outcome import Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Reading, Timings
from tests.pictures import retina

CAPTURED = datetime(2026, 11, 22, tzinfo=timezone.utc)


def whole(total_ms: float) -> Timings:
    """Of a frame that both networks read."""
    small = min(0.1, total_ms / 10)
    return Timings(0.0, small, small, total_ms * 0.6, total_ms * 0.4 - 3 * small, small, total_ms)


class PlannedReader:
    """Takes `plan(number)` milliseconds for a frame; None means that it fails at once, 0 that the gate refuses it."""

    def __init__(self, clock: ManualClock, plan: Callable[[int], float | None]) -> None:
        self.clock, self.plan = clock, plan
        self.seen: list[int] = []

    def unreadable(self, error: DeviceError) -> Reading:
        raise AssertionError(f"no frame of a plan is unreadable: {error}")

    def screen(self, frame: Frame) -> Reading:
        took_ms = self.plan(frame.sequence)
        self.seen.append(frame.sequence)
        self.clock.advance_ms(took_ms or 0)
        outcomes: dict[float | None, Outcome] = {None: Outcome.NO_RESULT, 0: Outcome.RETAKE}
        outcome = outcomes.get(took_ms, Outcome.NO_REFERRAL_FINDINGS)
        timings = Timings(capture=0.0, total=took_ms or 0.0)
        if took_ms:
            timings = whole(took_ms)
        return Reading(
            frame=FrameFacts(frame.source, frame.sequence, CAPTURED),
            outcome=outcome,
            reason="planned",
            bundle=BundleFacts("test", "1", "0" * 64, ""),
            engine=EngineFacts("fake", "fp32", "none"),
            timings_ms=timings,
        )


def pool(frames: int = 3) -> Pool:
    return Pool([Frame(retina(seed), seed, f"{seed}.png") for seed in range(frames)])


def samples_of(totals_ms: Sequence[float], period_ms: float = 100.0) -> Samples:
    """A run in which frame k was captured at k periods and read at once in the given time."""
    samples = Samples(0)
    for number, total_ms in enumerate(totals_ms):
        due_ns = round(number * period_ms * 1e6)
        done_ns = due_ns + round(total_ms * 1e6)
        timings = whole(total_ms)
        outcome = Outcome.NO_REFERRAL_FINDINGS
        samples.frames.append(
            Sample(number, f"{number}", due_ns, due_ns, done_ns, timings, outcome, "", done_ns - due_ns, 100_000, ())
        )
        samples.own_ns.append(10_000)
    samples.ended_ns = samples.frames[-1].done_ns if samples.frames else 0
    return samples
