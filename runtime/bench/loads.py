"""The load generators: when frames come, which of them are dropped, and from when their latency counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, get_args

from device.frame import Frame
from runtime.bench.clock import Clock
from runtime.bench.errors import BenchError
from runtime.bench.supply import Supply

LoadKind = Literal["back-to-back", "camera", "burst", "idle"]
LOADS = get_args(LoadKind)


@dataclass(frozen=True)
class LoadPlan:
    """Which load, and its figures."""

    kind: LoadKind = "back-to-back"
    rate_hz: float | None = None
    """Frames a second of `camera`; of `burst` the mean over time."""
    burst_frames: int = 8
    idle_s: float = 2.0


@dataclass(frozen=True)
class Until:
    """When a run ends: after so many frames came in, or after a time; whichever is first."""

    frames: int | None = None
    seconds: float | None = None


class Taken(NamedTuple):
    """A frame that goes to the Screener now.

    A tuple, as it is made between frames and must be cheap: there the CPU's caches hold the networks' weights and none
    of this code, so each step taken costs a microsecond or more, many times what it does in a loop of its own.
    """

    frame: Frame
    number: int
    """Of the frames that came in, from 0, those dropped counted too."""
    due_ns: int
    """When it was captured or should have been, by the schedule: its latency counts from here."""
    camera_cpu_ns: int
    """CPU time of this thread for waiting and getting the frame: the camera's work, not the benchmark's."""
    jitter_ns: int | None = None
    """How late the system woke the benchmark for it; None when nobody slept."""
    dropped_due_ns: tuple[int, ...] = ()
    """When the frames were captured that came since the one before and were dropped for this newer one."""


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


@dataclass
class _Turn:
    """The state that every load keeps: where the schedule stands, and how the time between frames went."""

    supply: Supply
    clock: Clock
    until: Until
    stop: Wait
    started_ns: int = field(init=False)
    waiting_since_ns: int | None = None
    jitter_ns: int | None = None
    ready: Taken | None = None

    def __post_init__(self) -> None:
        self.started_ns = self.clock.now_ns()

    def goes_on(self, number: int) -> bool:
        """Whether frame `number` is still to come."""
        if self.stop.requested or (self.until.frames is not None and number >= self.until.frames):
            return False
        if self.until.seconds is None:
            return True
        return self.clock.now_ns() - self.started_ns < self.until.seconds * 1e9

    def sleep_until(self, due_ns: int, now_ns: int) -> None:
        """Wait for the schedule; note how late we were woken."""
        self.jitter_ns = None
        if due_ns > now_ns:
            self.waiting_since_ns = time.thread_time_ns()
            with self.stop.interruptible:
                self.clock.sleep_until_ns(due_ns)
            self.jitter_ns = self.clock.now_ns() - due_ns

    def take(self, number: int, due_ns: int, dropped_due_ns: tuple[int, ...] = ()) -> bool:
        """Have the camera give its frame; whether there was one."""
        began_ns = self.waiting_since_ns or time.thread_time_ns()
        self.waiting_since_ns = None
        with self.stop.interruptible:
            frame = self.supply.take(number, due_ns)
        if frame is None:
            return False
        camera_cpu_ns = time.thread_time_ns() - began_ns
        self.ready = Taken(frame, number, due_ns, camera_cpu_ns, self.jitter_ns, dropped_due_ns)
        return True

    def give(self) -> Taken:
        """The frame with the account of the time before it; it is not kept here, nor may the loads keep it."""
        taken, self.ready = self.ready, None
        assert taken is not None
        return taken


def generate(plan: LoadPlan, supply: Supply, clock: Clock, until: Until, stop: Wait) -> Iterator[Taken]:
    """The frames of a load, each when it is due. The next is asked for when the one before is done with.

    Everything happens in the caller's thread, as in `runtime.screen`, so that no thread of the benchmark's own takes
    time from the engine. Raises `CameraError` when the camera is lost, `BenchError` when it cannot do that load.
    """
    turn = _Turn(supply, clock, until, stop)
    if plan.kind == "burst":
        if supply.paced:
            raise BenchError("a live camera cannot be made to give bursts; use --load camera, or a stored source")
        return _burst(turn, plan.burst_frames, plan.rate_hz or 30.0)
    if plan.kind == "camera" and not supply.paced:
        return _scheduled(turn, plan.rate_hz or 30.0)
    if supply.paced:
        return _live(turn, plan.idle_s if plan.kind == "idle" else 0.0)
    return _on_request(turn, plan.idle_s if plan.kind == "idle" else 0.0)


def _on_request(turn: _Turn, idle_s: float) -> Iterator[Taken]:
    """Closed loop: a frame when the one before is done, or after a rest. Its latency counts from the request."""
    rest_ns = round(idle_s * 1e9)
    number = 0
    while turn.goes_on(number):
        now_ns = turn.clock.now_ns()
        if rest_ns:
            turn.sleep_until(now_ns + rest_ns, now_ns)
            # The wake-up is the benchmark's own delay; the nurse's request comes when it is awake.
            now_ns = turn.clock.now_ns()
        if not turn.take(number, now_ns):
            return
        yield turn.give()
        number += 1


def _scheduled(turn: _Turn, rate_hz: float) -> Iterator[Taken]:
    """Open loop: frame k is captured at k / rate whether or not anyone is ready; the newest one wins.

    A frame that waits is charged for its waiting, and one that a newer one displaces is counted as dropped, so a slow
    result cannot hide the frames behind it (coordinated omission; Tene 2013, and LoadGen's server scenario).
    """
    period_ns = 1e9 / rate_hz
    number, due_ns = 0, turn.started_ns
    while turn.goes_on(number):
        now_ns = turn.clock.now_ns()
        dropped: tuple[int, ...] = ()
        if now_ns - due_ns >= period_ns - 1:  # the frame after this one may be there, too
            newest = int((now_ns - turn.started_ns) / period_ns)
            if turn.until.frames is not None:
                newest = min(newest, turn.until.frames - 1)
            dropped = tuple(turn.started_ns + round(k * period_ns) for k in range(number, newest))
            number = max(number, newest)
            due_ns = turn.started_ns + round(number * period_ns)
        turn.sleep_until(due_ns, now_ns)
        if not turn.take(number, due_ns, dropped):
            return
        number += 1
        due_ns = turn.started_ns + round(number * period_ns)
        yield turn.give()


def _burst(turn: _Turn, burst_frames: int, rate_hz: float) -> Iterator[Taken]:
    """Open loop: `burst_frames` frames at one moment, all of them to be read, in their order; none is dropped."""
    number = 0
    while turn.goes_on(number):
        due_ns = turn.started_ns + round(number // burst_frames * burst_frames / rate_hz * 1e9)
        turn.sleep_until(due_ns, turn.clock.now_ns())
        if not turn.take(number, due_ns):
            return
        yield turn.give()
        number += 1


def _live(turn: _Turn, idle_s: float) -> Iterator[Taken]:
    """A camera's own pace. Gaps in its numbering are frames that it dropped; their times are put between."""
    number = 0
    before: tuple[int, int] | None = None
    while turn.goes_on(number):
        now_ns = turn.clock.now_ns()
        if idle_s:
            turn.sleep_until(now_ns + round(idle_s * 1e9), now_ns)
        if not turn.take(number, now_ns) or turn.ready is None:
            return
        sequence, captured_ns = turn.ready.frame.sequence, turn.ready.frame.captured_ns
        dropped: tuple[int, ...] = ()
        if before is not None and not idle_s:
            missing = max(0, sequence - before[0] - 1)
            step_ns = (captured_ns - before[1]) / (missing + 1)
            dropped = tuple(round(before[1] + step_ns * (i + 1)) for i in range(missing))
        number += len(dropped)
        turn.ready = turn.ready._replace(number=number, due_ns=captured_ns, dropped_due_ns=dropped)
        yield turn.give()
        number += 1
        before = (sequence, captured_ns)
