"""The states of a live camera's connection as a pure machine: what happened and a clock in, what to do out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum

from device.live.config import LiveConfig


class CameraState(str, Enum):
    """How it stands with a live camera."""

    CONNECTING = "CONNECTING"
    """It is being opened for the first time, or has not given its first frame."""
    STREAMING = "STREAMING"
    """Frames come."""
    STALLED = "STALLED"
    """It is open and gives no frames."""
    RECONNECTING = "RECONNECTING"
    """It was lost; it is tried, with growing pauses, to have it back."""
    FAILED = "FAILED"
    """It could not be opened, or was not to be had back. It stays so."""
    CLOSED = "CLOSED"
    """It was closed, or has come to its own end."""


TRANSITIONS: Mapping[CameraState, frozenset[CameraState]] = {
    CameraState.CONNECTING: frozenset(
        {CameraState.STREAMING, CameraState.RECONNECTING, CameraState.FAILED, CameraState.CLOSED}
    ),
    CameraState.STREAMING: frozenset(
        {CameraState.STALLED, CameraState.RECONNECTING, CameraState.FAILED, CameraState.CLOSED}
    ),
    CameraState.STALLED: frozenset(
        {CameraState.STREAMING, CameraState.RECONNECTING, CameraState.FAILED, CameraState.CLOSED}
    ),
    CameraState.RECONNECTING: frozenset({CameraState.STREAMING, CameraState.FAILED, CameraState.CLOSED}),
    CameraState.FAILED: frozenset({CameraState.CLOSED}),
    CameraState.CLOSED: frozenset(),
}
"""From each state, the states that may follow it."""
OVER = frozenset({CameraState.FAILED, CameraState.CLOSED})
"""States in which no frame comes any more."""


class Do(Enum):
    """What the owner of the connection is to do."""

    NOTHING = "nothing"
    CONNECT = "connect"
    """Open the camera anew."""
    ABANDON = "abandon"
    """Give the present connection up, though its thread may hang."""


class Lifecycle:
    """One camera's states. A connection is under way from the start.

    Every call takes `now_s`, seconds on a clock that never goes back. Not safe for use from several threads.
    """

    def __init__(self, config: LiveConfig, now_s: float) -> None:
        self.config = config
        self.state = CameraState.CONNECTING
        self.why = "opening"
        """The reason for the present state, to follow the camera's name in a sentence."""
        self._active = True
        self._had_frames = False
        self._due_s = now_s + config.connect_timeout_s
        self._lost_s = now_s
        self._pause_s = config.first_retry_s
        self._losses: deque[float] = deque()

    def alive(self, now_s: float) -> None:
        """The camera gave something: a frame, a repeated or an unreadable one."""
        if not self._active or self.state in OVER:
            return
        if self.state is not CameraState.STREAMING:
            self._go(CameraState.STREAMING, "frames come")
        self._had_frames = True
        self._pause_s = self.config.first_retry_s
        self._due_s = now_s + self.config.stalled_after_s

    def refused(self, now_s: float, reason: str) -> None:
        """The camera could not be opened. The first time that is the end: the call may be wrong."""
        if self.state is CameraState.CONNECTING:
            self._active = False
            self._go(CameraState.FAILED, reason)
        else:
            self.lost(now_s, reason)

    def lost(self, now_s: float, reason: str) -> None:
        """The connection ended by a fault."""
        if not self._active or self.state in OVER:
            return
        self._active = False
        if self.state is not CameraState.RECONNECTING:
            self._lost_s = now_s
            if self._lost_too_often(now_s):
                count, window_s = len(self._losses), self.config.losses_window_s
                self._go(CameraState.FAILED, f"lost {count} times in {window_s:g} s, last: {reason}")
                return
            self._go(CameraState.RECONNECTING, reason)
        self.why = reason
        self._due_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, self.config.longest_retry_s)

    def ended(self) -> None:
        """The source has no more frames, or is closed by its user."""
        self._active = False
        if self.state is not CameraState.CLOSED:
            self._go(CameraState.CLOSED, "no more frames")

    def give_up(self, reason: str) -> None:
        """The owner cannot go on."""
        self._active = False
        if self.state not in OVER:
            self._go(CameraState.FAILED, reason)

    def tick(self, now_s: float) -> Do:
        """Let time pass; call it no later than `due_s` says."""
        if self.state in OVER:
            return Do.NOTHING
        if self.state is CameraState.RECONNECTING and now_s >= self._lost_s + self.config.give_up_after_s:
            return self._give_up()
        if now_s < self._due_s:
            return Do.NOTHING
        if self.state is CameraState.STREAMING:
            self._go(CameraState.STALLED, f"no frame for {self.config.stalled_after_s:g} s")
            self._due_s += self.config.reconnect_after_s - self.config.stalled_after_s
            return self.tick(now_s)
        if self._active:
            late = "no frame" if self.state is CameraState.STALLED else "not open, or no first frame,"
            allowed_s = (
                self.config.reconnect_after_s if self.state is CameraState.STALLED else self.config.connect_timeout_s
            )
            self.lost(now_s, f"{late} within {allowed_s:g} s")
            return Do.ABANDON
        self._active = True
        self._due_s = now_s + self.config.connect_timeout_s
        return Do.CONNECT

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do if nothing happens before; None when it never has."""
        if self.state in OVER:
            return None
        if self.state is CameraState.RECONNECTING:
            return min(self._due_s, self._lost_s + self.config.give_up_after_s)
        return self._due_s

    def _give_up(self) -> Do:
        was_active, self._active = self._active, False
        self._go(CameraState.FAILED, f"not back within {self.config.give_up_after_s:g} s, last: {self.why}")
        return Do.ABANDON if was_active else Do.NOTHING

    def _lost_too_often(self, now_s: float) -> bool:
        """Note a loss; whether the bound is passed. Before its first frame a camera has not been had to lose."""
        if self._had_frames:
            self._losses.append(now_s)
        while self._losses and self._losses[0] <= now_s - self.config.losses_window_s:
            self._losses.popleft()
        return len(self._losses) > self.config.losses_allowed

    def _go(self, state: CameraState, why: str) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} to {state}"
        self.state, self.why = state, why
