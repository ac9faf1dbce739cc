"""The timer: the monotonic clock that loads wait by and latencies are read from, and one that tests move by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in nanoseconds."""

    def now_ns(self) -> int:
        """The time now."""
        ...

    def sleep_until_ns(self, due_ns: int) -> None:
        """Return when `due_ns` has come; at once when it has passed."""
        ...


class SystemClock:
    """`time.monotonic_ns`, the clock that cameras stamp their frames with.

    It sleeps and never spins: a spinning core would heat the chip and show as CPU time of the frames.
    """

    now_ns = staticmethod(time.monotonic_ns)
    """The time now; no function of ours around it, as it is read between a frame's steps."""

    def sleep_until_ns(self, due_ns: int) -> None:
        """Sleep until the time has come; how late the system wakes us is measured as jitter."""
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / 1e9)


class ManualClock:
    """A clock that goes on only when it is told to, so that tests of loads are exact."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The time now."""
        return self._now_ns

    def sleep_until_ns(self, due_ns: int) -> None:
        """Go to that time."""
        self._now_ns = max(self._now_ns, due_ns)

    def advance_ms(self, milliseconds: float) -> None:
        """Let time pass."""
        self._now_ns += round(milliseconds * 1e6)
