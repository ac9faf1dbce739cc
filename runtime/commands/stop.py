"""Stopping a run by Ctrl-C or SIGTERM without tearing anything."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(BaseException):
    """Raised by the signal's handler out of a wait that `Stop.interruptible` marks."""


class Stop:
    """Notes a signal; the loop looks at `requested` between frames. A second signal ends the program at once.

    Inside `with stop.interruptible:` the first signal raises `Interrupted`, so that no wait for a frame goes on.
    A context manager: outside it signals do what they did before. Does nothing outside the main thread.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.interruptible = _Interruptible(self)
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.signal_number is not None

    @property
    def exit_code(self) -> int:
        """As a shell reports it: 128 and the signal's number."""
        return 128 + (self.signal_number or 0)

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            for number in self._before:
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        for known in self._before:
            signal.signal(known, signal.SIG_DFL)
        if self.interruptible.entered:
            raise Interrupted


class _Interruptible:
    """Marks the code from which a signal may break out."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self.entered = False

    def __enter__(self) -> None:
        self.entered = True
        if self._stop.requested:  # it came after the loop had looked: nothing would break the wait any more
            self.entered = False
            raise Interrupted

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False
