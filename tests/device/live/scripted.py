"""Cameras that do what a test tells them to, one step a `read`."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from device.errors import CameraError
from device.frame import Frame
from device.live import LiveConfig

QUICK = LiveConfig(
    stalled_after_s=20,
    kept_s=60,
    reconnect_after_s=20,
    first_retry_s=0.01,
    longest_retry_s=0.04,
    close_timeout_s=0.2,
)
"""The default bounds in a hurry, but for those that a busy machine might reach."""
_hangs: weakref.WeakSet[Hang] = weakref.WeakSet()


def let_everything_go() -> None:
    """Free whatever hangs, so that a test that failed leaves no thread to the next."""
    for hang in list(_hangs):
        hang.free.set()


class Hang:
    """A driver that does not come back until it is let go."""

    def __init__(self) -> None:
        _hangs.add(self)
        self.reached = threading.Event()
        self.free = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        self.free.wait(120)


Step: TypeAlias = "Frame | Exception | Hang | None"


def picture(number: int, value: int | None = None) -> Frame:
    """A small frame with its number, or `value`, as its colour."""
    shade = (number if value is None else value) % 256
    return Frame(np.full((8, 8, 3), shade, np.uint8), number, f"fake#{number}")


class Scripted:
    """Does its steps in turn, then hangs until it is closed or let go."""

    live = True
    name = "fake"
    frame_count = None

    def __init__(self, steps: Sequence[Step], closing: Hang | None = None) -> None:
        self.steps = list(steps)
        self.closing = closing
        self.end = Hang()
        self.closed = False
        self.threads: set[str] = {threading.current_thread().name}

    def read(self) -> Frame | None:
        self.threads.add(threading.current_thread().name)
        step: Step = self.steps.pop(0) if self.steps else self.end
        if isinstance(step, Hang):
            step.wait()
            return self.read() if step is not self.end else None
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.closing is not None:
            self.closing.wait()
        self.closed = True

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Opener:
    """Opens one script after the other; an exception is a refusal, a `Hang` an opening that does not come back.

    `closing` is what the first camera hangs in when it is closed.
    """

    def __init__(self, *scripts: Sequence[Step] | Exception | Hang, closing: Hang | None = None) -> None:
        self.scripts = list(scripts)
        self.closing = closing
        self.opened: list[Scripted] = []
        self.calls = 0

    def __call__(self) -> Scripted:
        self.calls += 1
        script = self.scripts.pop(0) if self.scripts else CameraError("fake: gone")
        if isinstance(script, Hang):
            script.wait()
            script = []
        if isinstance(script, Exception):
            raise script
        self.opened.append(Scripted(script, self.closing if not self.opened else None))
        return self.opened[-1]

    def let_go(self) -> None:
        """Let every camera that hangs at the end of its script end."""
        for camera in self.opened:
            camera.end.free.set()
