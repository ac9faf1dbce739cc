"""`Keeper`: holds on to one live camera: connects, watches the time, reconnects, and fills the slot."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from device.cameras.base import Camera
from device.errors import CameraError, Disconnected, FrameTimeout, FrameUnreadable, NoNewFrame, RepeatedFrame
from device.frame import Frame
from device.live.abandoned import abandon, abandoned_threads
from device.live.config import LiveConfig
from device.live.connection import CameraConnection
from device.live.lifecycle import OVER, CameraState, Do, Lifecycle
from device.live.same import same_picture
from device.live.slot import FrameSlot
from device.live.tap import Tap

STAMPS = 8


@dataclass(frozen=True)
class StateChange:
    """A live camera went from one state to another."""

    before: CameraState
    after: CameraState
    why: str
    """To follow the camera's name in a sentence."""


class Keeper:
    """The threads behind a `LiveReader`.

    One thread at a time opens and reads the camera (`CameraConnection`); a second one watches the time and never
    touches the driver, so that nothing there can hold it up. Everything is done under `lock`; `came` is told of what a
    consumer may wait for. The methods of the second block are for the connection, and pass over one that was given up.
    """

    def __init__(
        self,
        open_it: Callable[[], Camera],
        name: str,
        config: LiveConfig,
        on_change: Callable[[StateChange], None] | None,
    ) -> None:
        self.name = name
        self.config = config
        self.lock = threading.RLock()
        self.came = threading.Condition(self.lock)
        self.slot = FrameSlot()
        self.taps: list[Tap] = []
        self.stamps: deque[tuple[int, int]] = deque(maxlen=STAMPS)
        """(sequence, captured_ns) of the last frames since it streams without a break."""
        self.frame_count: int | None = None
        self._open_it = open_it
        self._on_change = on_change
        self._event = threading.Condition(self.lock)  # for the watching thread
        self._life = Lifecycle(config, time.monotonic())
        self._told = CameraState.CONNECTING
        self._changes: list[StateChange] = []
        self._failure: CameraError | None = None
        self._is_open = False
        self._connections = 0
        self._given_up: CameraConnection | None = None
        self._next_sequence = 0
        self._watcher = threading.Thread(target=self._watch, name=f"camera watch {name}", daemon=True)
        self._connection = self._connect()
        self._watcher.start()

    @property
    def state(self) -> CameraState:
        """How it stands with the camera."""
        return self._life.state

    @property
    def over(self) -> bool:
        """Whether no frame comes any more."""
        return self._life.state in OVER

    @property
    def standing(self) -> str:
        """State and reason, for messages."""
        return f"the camera is {self._life.state.value} ({self._life.why})"

    def wait_until_open(self) -> None:
        """Return when the camera is open for the first time; raise what kept it from that."""
        with self.lock:
            self.came.wait_for(lambda: self._is_open or self._life.state is not CameraState.CONNECTING)
            if not self._is_open and self._failure is not None:
                raise self._failure

    def raise_if_failed(self) -> None:
        """Raise `Disconnected` when the camera is lost for good."""
        if self._life.state is CameraState.FAILED:
            raise Disconnected(
                f"{self.name}: {self._life.why}; look at the camera, its cable or network, and start again"
            ) from self._failure

    def close(self) -> None:
        """End both threads; the camera's is waited for no longer than `close_timeout_s`."""
        with self.lock:
            self._life.ended()
            self._note_change()
            self.slot.clear()
            connection = self._connection
            connection.stop()
        if connection.thread is not threading.current_thread() and connection is not self._given_up:
            connection.thread.join(self.config.close_timeout_s)
            if connection.thread.is_alive():
                self._abandon()
        if self._watcher.is_alive() and self._watcher is not threading.current_thread():
            self._watcher.join()

    def drop_stale(self) -> None:
        """Put a trouble in the place of a frame that waited too long to pass for a new one. With the lock held."""
        oldest_ns = time.monotonic_ns() - round(self.config.kept_s * 1e9)
        stale = self.slot.drop_older(oldest_ns)
        if stale is not None and not self.slot.waiting:
            waited_s = (time.monotonic_ns() - stale.captured_ns) / 1e9
            text = f"{stale.source}: {waited_s:.1f} s old when it was asked for; nothing newer came"
            self.slot.put_trouble(NoNewFrame(text, source=stale.source, sequence=stale.sequence))

    # For the connection's thread.

    def opened(self, connection: CameraConnection, camera: Camera) -> None:
        """The camera is open."""
        with self.lock:
            if connection is self._connection:
                self._is_open = True
                self.frame_count = camera.frame_count
                self.came.notify_all()

    def refused(self, connection: CameraConnection, error: CameraError) -> None:
        """The camera cannot be opened."""
        with self.lock:
            if connection is self._connection:
                self._failure = error
                self._life.refused(time.monotonic(), self._reason(error))
                self._note_change()
                self._event.notify_all()  # also without a change: the next try has its time now

    def took(self, connection: CameraConnection, frame: Frame) -> None:
        """A frame came."""
        before = self.slot.newest  # compared outside the lock, as a repeated picture takes milliseconds to know
        repeated = before is not None and same_picture(before, frame)
        with self.lock:
            if connection is not self._connection or self.over:
                return
            self._alive()
            frame = self._numbered(frame, connection)
            if repeated:
                self.slot.count(repeated=1)
                self._give(_repeated(frame))
            else:
                self._give(frame)

    def missed(self, connection: CameraConnection, error: FrameUnreadable) -> None:
        """One frame could not be had."""
        with self.lock:
            if connection is not self._connection or self.over:
                return
            self._alive()
            error.sequence += connection.first_sequence
            error.source = self._named(error.source, connection)
            self._count_on(error.sequence)
            self.slot.count(unreadable=1)
            self._give(error)

    def ended(self, connection: CameraConnection) -> None:
        """The source has no more frames."""
        with self.lock:
            if connection is self._connection:
                self._life.ended()
                self._note_change()

    def lost(self, connection: CameraConnection, error: CameraError) -> None:
        """The camera is lost."""
        with self.lock:
            if connection is self._connection:
                self._failure = error
                self._life.lost(time.monotonic(), self._reason(error))
                self._note_change()
                self._event.notify_all()  # also without a change: the next try has its time now

    def finished(self, connection: CameraConnection) -> None:
        """Its driver has been left."""
        with self.lock:
            self._event.notify_all()

    # With the lock held.

    def _reason(self, error: CameraError) -> str:
        return str(error).removeprefix(f"{self.name}: ")

    def _alive(self) -> None:
        self._life.alive(time.monotonic())
        self._note_change()

    def _numbered(self, frame: Frame, connection: CameraConnection) -> Frame:
        """The frame with a number that goes on from the connection before, and a name that is not given twice."""
        if connection.first_sequence:
            frame = replace(
                frame,
                sequence=frame.sequence + connection.first_sequence,
                source=self._named(frame.source, connection),
            )
        self._count_on(frame.sequence)
        return frame

    def _named(self, source: str, connection: CameraConnection) -> str:
        return f"{source}~{self.slot.counts.reconnects}" if connection.first_sequence else source

    def _count_on(self, sequence: int) -> None:
        """Number `sequence` came; those between it and the one before did not."""
        self.slot.count(missed=max(0, sequence - self._next_sequence))
        self._next_sequence = max(self._next_sequence, sequence + 1)

    def _give(self, item: Frame | FrameUnreadable) -> None:
        if isinstance(item, Frame):
            self.stamps.append((item.sequence, item.captured_ns))
            self.slot.put(item)
        else:
            self.slot.put_trouble(item)
        for tap in self.taps:
            tap.put(item)
        self.came.notify_all()

    def _note_change(self) -> None:
        """Tell of a change of state: to the consumers, in the counts, and to the watching thread."""
        before, after, why = self._told, self._life.state, self._life.why
        if before is after:
            return
        self._told = after
        self.stamps.clear()
        self._changes.append(StateChange(before, after, why))
        if after is CameraState.STALLED:
            self.slot.count(stalls=1)
        if before is CameraState.RECONNECTING and after is CameraState.STREAMING:
            self.slot.count(reconnects=1)
        if before is CameraState.STREAMING and after in (CameraState.STALLED, CameraState.RECONNECTING):
            self._give(NoNewFrame(f"{self.name}: {why}", source=self.name, sequence=self._next_sequence))
        self.came.notify_all()
        self._event.notify_all()

    def _connect(self) -> CameraConnection:
        self._connections += 1
        name = self.name if self._connections == 1 else f"{self.name} #{self._connections}"
        self._connection = CameraConnection(self, self._open_it, name, self._next_sequence)
        self._connection.thread.start()
        return self._connection

    def _reconnect(self) -> None:
        before = self._connection
        if before is not self._given_up:  # the camera was lost; its driver may still be closing it, or hang in that
            self._event.wait_for(lambda: before.finished or self.over, self.config.close_timeout_s)
            if self.over:
                return
            if not before.finished:
                self._abandon()
        hanging = abandoned_threads()
        if len(hanging) >= self.config.abandoned_allowed:
            self._life.give_up(f"{len(hanging)} camera threads hang in their driver ({', '.join(hanging)})")
        else:
            self._connect()

    def _abandon(self) -> None:
        """Give the present connection's thread up, once."""
        with self.lock:
            connection = self._connection
            if connection is self._given_up:
                return
            self._given_up = connection
            self.slot.count(abandoned=1)
            connection.stop()
            abandon(connection.thread)
            if not self._is_open:
                self._failure = FrameTimeout(f"{self.name}: {self._life.why}; look at the camera's power and cable")

    # The watching thread.

    def _watch(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # without a watch a silent camera would go unseen
            with self.lock:
                self._life.give_up(f"software fault: {type(error).__name__}: {error}")
                self._note_change()
            raise

    def _step(self) -> bool:
        """Do what is due, or wait for it; whether there is more to come."""
        with self.lock:
            do = self._life.tick(time.monotonic())
            if do is Do.ABANDON:
                self._abandon()
            elif do is Do.CONNECT:
                self._reconnect()
            self._note_change()
            changes, self._changes = self._changes, []
            if not changes:
                if self.over:
                    return False
                due_s = self._life.due_s
                self._event.wait(None if due_s is None else max(0.0, due_s - time.monotonic()))
        for change in changes:
            self._tell(change)
        return True

    def _tell(self, change: StateChange) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(change)
        except Exception:  # whatever the listener does, the watch goes on
            logging.getLogger(__name__).exception("%s: a listener failed at %s", self.name, change)


def _repeated(frame: Frame) -> RepeatedFrame:
    return RepeatedFrame(
        f"{frame.source}: the camera gave the same picture again, expected a new one; if it stays so, plug it in anew",
        source=frame.source,
        sequence=frame.sequence,
    )
