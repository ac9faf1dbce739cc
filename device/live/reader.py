"""`LiveReader`: a live camera whose newest frame can be had at any time, whatever its driver does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from device.cameras.base import Camera
from device.cameras.controls import Control, adjust, controls_of
from device.errors import CameraError, FrameTimeout, StaleFrame
from device.frame import Frame
from device.live.config import LiveConfig
from device.live.keeper import Keeper, StateChange
from device.live.lifecycle import CameraState
from device.live.slot import CameraCounts
from device.live.tap import Tap


class _Turned:
    """The camera of now, and what was turned on it. It knows no reader, so that nobody waits for the collector."""

    def __init__(self, open_it: Callable[[], Camera], name: str) -> None:
        self._open_it, self._name = open_it, name
        self.camera: Camera | None = None
        self._values: dict[str, float | None] = {}

    def open(self) -> Camera:
        """A camera, turned as the one before was."""
        self.camera = camera = self._open_it()
        for what, value in self._values.copy().items():
            with suppress(CameraError):  # it may be another one now; what it has, `controls` says
                adjust(camera, what, value, self._name)
        return camera

    def adjust(self, what: str, value: float | None) -> Control:
        """Set one, and again for every camera that follows."""
        taken = adjust(self.camera, what, value, self._name)
        self._values[what] = value
        return taken


class LiveReader:
    """Reads a camera in a thread of its own and keeps the newest frame. It is itself a `Camera`.

    `open_it` opens the camera, in that thread; it is called again when the camera was lost. A second thread watches the
    time: a camera that stalls, hangs or is lost is opened anew, within the bounds of `config`, and a thread that hangs
    in a driver is abandoned (`abandoned_threads` names it) and never waited for. `on_change` is told of each change of
    state, in that second thread.

    The three reads are `wait_next`, `next_unseen` and `newest`; `read`, for who takes any `Camera`, is `next_unseen`
    without a time limit. Each frame is given to one consumer; frames go on counting over a reconnection. Any thread
    may use it.

    A frame that waited for longer than `kept_s` is not given any more; `NoNewFrame` is raised in its place.

    All four reads raise `RepeatedFrame` or another `FrameUnreadable` in the place of a frame that could not be had, and
    `Disconnected` once the camera is lost for good; they give None when it has ended or was closed.

    Raises what opening the camera raises, or `FrameTimeout` when that takes too long.
    """

    live = True

    def __init__(
        self,
        open_it: Callable[[], Camera],
        name: str,
        config: LiveConfig = LiveConfig(),  # noqa: B008 (frozen)
        on_change: Callable[[StateChange], None] | None = None,
    ) -> None:
        self.name = name
        self._turned = _Turned(open_it, name)
        self._keeper = Keeper(self._turned.open, name, config, on_change)
        try:
            self._keeper.wait_until_open()
        except BaseException:
            self._keeper.close()
            raise

    @property
    def frame_count(self) -> int | None:
        """As the camera says."""
        return self._keeper.frame_count

    @property
    def state(self) -> CameraState:
        """How it stands with the camera now."""
        return self._keeper.state

    @property
    def counts(self) -> CameraCounts:
        """What became of its frames so far."""
        with self._keeper.lock:
            return self._keeper.slot.counts

    @property
    def stamps(self) -> tuple[tuple[int, int], ...]:
        """(sequence, captured_ns) of the last frames that came without a break, at most 8, oldest first."""
        with self._keeper.lock:
            return tuple(self._keeper.stamps)

    def controls(self) -> tuple[Control, ...]:
        """What can be turned on the camera while it runs; see `Adjustable`, as which this is one."""
        return controls_of(self._turned.camera)

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one of `controls`, and again whenever the camera was opened anew; see `Adjustable`."""
        return self._turned.adjust(name, value)

    def wait_next(self) -> Frame | None:
        """The first frame that comes after this call, however long it takes; one that waited already is passed over."""
        with self._keeper.lock:
            self._keeper.slot.skip()
            return self._wait(None)

    def next_unseen(self, timeout_ms: float) -> Frame | None:
        """The newest frame that nobody has taken, or the next one within the time. Raises `FrameTimeout`."""
        with self._keeper.lock:
            return self._wait(timeout_ms)

    def newest(self, max_age_ms: float) -> Frame:
        """The newest frame, taken before or not, when it was captured at most `max_age_ms` ago.

        Raises `StaleFrame` when it is older, or there is none; also when the camera is lost or repeats itself.
        """
        keeper = self._keeper
        with keeper.lock:
            newest = keeper.slot.newest
            age_ms = None if newest is None else (time.monotonic_ns() - newest.captured_ns) / 1e6
            if newest is not None and age_ms is not None and age_ms <= max_age_ms:
                keeper.slot.see_newest()
                return newest
            got = "no frame yet" if age_ms is None else f"the newest frame is {age_ms:.0f} ms old"
            raise StaleFrame(
                f"{self.name}: {got}, expected at most {max_age_ms:g} ms, {keeper.standing}; look at the camera"
            )

    def read(self) -> Frame | None:
        """The newest frame that nobody has taken, or the next one, however long it takes.

        While the camera is stalled or lost this raises `NoNewFrame`, a `FrameUnreadable`, once, and then waits on.
        """
        with self._keeper.lock:
            return self._wait(None)

    @contextmanager
    def tap(self, room: int = 8) -> Iterator[Tap]:
        """Every frame from now on, in order, beside what the reads give; `room` of them may wait."""
        keeper = self._keeper
        tap = Tap(self.name, keeper.came, lambda: keeper.over, keeper.raise_if_failed, room)
        with keeper.lock:
            keeper.taps.append(tap)
        try:
            yield tap
        finally:
            with keeper.lock:
                keeper.taps.remove(tap)

    def close(self) -> None:
        """Give the camera back. Closing twice is fine; a consumer that waits in another thread is given None."""
        self._keeper.close()

    def __enter__(self) -> LiveReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, timeout_ms: float | None) -> Frame | None:
        """With the lock held: what waits in the slot, or comes within the time."""
        keeper = self._keeper
        keeper.drop_stale()
        timeout_s = None if timeout_ms is None else timeout_ms / 1000
        if not keeper.came.wait_for(lambda: keeper.slot.waiting or keeper.over, timeout_s):
            raise FrameTimeout(
                f"{self.name}: no new frame within {timeout_ms:g} ms, {keeper.standing}; wait, or look at the camera"
            )
        keeper.drop_stale()  # also what came just now: a driver may have queued it, or this thread been held up
        frame = keeper.slot.take()
        if frame is None:
            keeper.raise_if_failed()
        return frame
