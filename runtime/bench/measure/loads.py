"""The load generators: when frames come, which of them are dropped, and from when their latency counts."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.clock import Clock
from runtime.bench.measure.supply import Supply
from runtime.bench.options import LoadPlan, Until

LONG_WAIT_NS = 100_000_000
"""Waits from here on are broken off by Ctrl-C; shorter ones are soon over."""


class Wait(Protocol):
    """What a load must know of the wish to stop."""

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        ...

    @property
    def interruptible(self) -> AbstractContextManager[None]:
        """Marks waits that a signal may break out of."""
        ...


class NeverStop:
    """Nobody asks to stop."""

    requested = False
    interruptible: AbstractContextManager[None] = nullcontext()


_NO_FRAME = cast("Frame", None)


class Taken:
    """A frame that goes to the Screener now, and all that a load keeps. One a run, given again for each frame."""

    __slots__ = (
        "_clock",
        "_end_ns",
        "_frames",
        "_now_ns",
        "_stop",
        "_supply",
        "asked_ns",
        "dropped_due_ns",
        "due_ns",
        "frame",
        "got_ns",
        "jitter_ns",
        "number",
        "started_ns",
    )

    frame: Frame
    """Held here alone, so that its memory goes back when the next one is asked for."""
    number: int
    """Of the frames that came in, from 0, those dropped counted too."""
    due_ns: int
    """When it was captured or should have been, by the schedule: its latency counts from here."""
    jitter_ns: int | None
    """How late the system woke the benchmark for it; None when nobody slept."""
    dropped_due_ns: tuple[int, ...]
    """When the frames were captured that came since the one before and were dropped for this newer one."""
    asked_ns: int
    """When the camera was asked for it. Until `got_ns` come giving back the memory of the frame before, sleeping, and
    the camera's own work, none of which is the benchmark's."""
    got_ns: int
    """When it was there."""
    started_ns: int

    def __init__(self, supply: Supply, clock: Clock, until: Until, stop: Wait) -> None:
        self._supply, self._clock, self._stop = supply, clock, stop
        self._now_ns = clock.now_ns
        self.started_ns = clock.now_ns()
        self._frames = sys.maxsize if until.frames is None else until.frames
        self._end_ns = sys.maxsize if until.seconds is None else self.started_ns + round(until.seconds * 1e9)
        self.frame = _NO_FRAME

    def take(
        self, number: int, asked_ns: int, due_ns: int, dropped_due_ns: tuple[int, ...] = (), on_request: bool = False
    ) -> bool:
        """Wait until frame `number` is due and have the camera give it; False when the run ends before it.

        asked_ns: the time now. on_request: its latency counts from when we are awake and ask for it: the wake-up is the
        benchmark's delay.
        """
        now_ns, supply = self._now_ns, self._supply
        if number >= self._frames or asked_ns >= self._end_ns or self._stop.requested:
            return False
        self.number, self.dropped_due_ns, self.asked_ns = number, dropped_due_ns, asked_ns
        self.frame = _NO_FRAME
        jitter_ns: int | None = None
        if due_ns > asked_ns:
            if due_ns - asked_ns < LONG_WAIT_NS:
                self._clock.sleep_until_ns(due_ns)
            else:
                with self._stop.interruptible:
                    self._clock.sleep_until_ns(due_ns)
            jitter_ns = now_ns() - due_ns
        if on_request:
            due_ns = now_ns()
        self.jitter_ns, self.due_ns = jitter_ns, due_ns
        if supply.paced:
            with self._stop.interruptible:
                frame = supply.take(number, due_ns)
        else:
            frame = supply.take(number, due_ns)
        self.got_ns = now_ns()
        if frame is None:
            return False
        self.frame = frame
        return True


def generate(plan: LoadPlan, supply: Supply, clock: Clock, until: Until, stop: Wait) -> Iterator[Taken]:
    """The frames of a load, each when it is due. The next is asked for when the one before is done with.

    Everything happens in the caller's thread, as in `runtime.screen`, so that no thread of the benchmark's own takes
    time from the engine. Raises `CameraError` when the camera is lost, `BenchError` when it cannot do that load.
    """
    taken = Taken(supply, clock, until, stop)
    idle_ns = round(plan.idle_s * 1e9) if plan.kind == "idle" else 0
    if plan.kind == "burst":
        if supply.paced:
            raise BenchError("a live camera cannot be made to give bursts; use --load camera, or a stored source")
        return _burst(taken, clock.now_ns, plan.burst_frames, plan.rate_hz or 30.0)
    if plan.kind == "poisson":
        if supply.paced:
            raise BenchError("a live camera's frames cannot come at random; use --load camera, or a stored source")
        return _poisson(taken, clock.now_ns, plan.rate_hz or 30.0, plan.seed)
    if plan.kind == "camera" and not supply.paced:
        return _scheduled(taken, clock.now_ns, until.frames, plan.rate_hz or 30.0)
    if supply.paced:
        return _live(taken, clock.now_ns, idle_ns)
    return _on_request(taken, clock.now_ns, idle_ns)


def _on_request(taken: Taken, now_ns: Callable[[], int], idle_ns: int) -> Iterator[Taken]:
    """Closed loop: a frame when the one before is done, or after a rest. Its latency counts from the request."""
    number = 0
    while taken.take(number, now := now_ns(), now + idle_ns, on_request=True):
        yield taken
        number += 1


def _scheduled(taken: Taken, now_ns: Callable[[], int], frames: int | None, rate_hz: float) -> Iterator[Taken]:
    """Open loop: frame k is captured at k / rate whether or not anyone is ready; the newest one wins.

    A frame that waits is charged for its waiting, and one that a newer one displaces is counted as dropped, so a slow
    result cannot hide the frames behind it (coordinated omission; Tene 2013, and LoadGen's server scenario).
    """
    period_ns, started_ns = 1e9 / rate_hz, taken.started_ns
    due_ns, next_due_ns = started_ns, started_ns + round(period_ns)
    number = 0
    while True:
        now = now_ns()
        dropped: tuple[int, ...] = ()
        if now >= next_due_ns:
            newest = int((now - started_ns) / period_ns)
            if frames is not None:
                newest = min(newest, frames - 1)
            dropped = tuple(started_ns + round(k * period_ns) for k in range(number, newest))
            number = max(number, newest)
            due_ns, next_due_ns = (started_ns + round(k * period_ns) for k in (number, number + 1))
        if not taken.take(number, now, due_ns, dropped):
            return
        yield taken
        number += 1
        due_ns, next_due_ns = next_due_ns, started_ns + round((number + 1) * period_ns)


def _burst(taken: Taken, now_ns: Callable[[], int], burst_frames: int, rate_hz: float) -> Iterator[Taken]:
    """Open loop: `burst_frames` frames at one moment, all of them to be read, in their order; none is dropped."""
    number = 0
    while True:
        due_ns = taken.started_ns + round(number // burst_frames * burst_frames / rate_hz * 1e9)
        if not taken.take(number, now_ns(), due_ns):
            return
        yield taken
        number += 1


def _poisson(taken: Taken, now_ns: Callable[[], int], rate_hz: float, seed: int) -> Iterator[Taken]:
    """Open loop: frames come at random, independent of one another and of who is ready; none is dropped.

    The gaps are exponential, so that queues form as before a server with many clients (LoadGen's server scenario).
    Their seed gives the same gaps at every rate, stretched.
    """
    draw = random.Random(seed).expovariate
    number, unit_gaps = 0, draw(1.0)
    while taken.take(number, now_ns(), taken.started_ns + round(unit_gaps / rate_hz * 1e9)):
        yield taken
        number, unit_gaps = number + 1, unit_gaps + draw(1.0)


def _live(taken: Taken, now_ns: Callable[[], int], idle_ns: int) -> Iterator[Taken]:
    """A camera's own pace. Gaps in its numbering are frames that it dropped; their times are put between."""
    number = 0
    before: tuple[int, int] | None = None
    while taken.take(number, now := now_ns(), now + idle_ns):
        # A driver's clock may run ahead; no frame is captured after it is here.
        sequence, captured_ns = taken.frame.sequence, min(taken.frame.captured_ns, taken.got_ns)
        dropped: tuple[int, ...] = ()
        if before is not None and not idle_ns:
            missing = max(0, sequence - before[0] - 1)
            step_ns = (captured_ns - before[1]) / (missing + 1)
            dropped = tuple(round(before[1] + step_ns * (i + 1)) for i in range(missing))
        number += len(dropped)
        taken.number, taken.due_ns, taken.dropped_due_ns = number, captured_ns, dropped
        yield taken
        number += 1
        before = (sequence, captured_ns)
