"""Every frame of a source in its order, for commands that must not lose one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from device.cameras.base import Camera
from device.errors import FrameTimeout, FrameUnreadable
from device.frame import Frame
from device.live import LiveReader, Tap

ROOM = 32
"""Frames of a live camera that may wait while one is written."""


@contextmanager
def frames_of(
    camera: Camera, timeout_s: float, *, until_s: float | None = None
) -> Iterator[Iterator[Frame | FrameUnreadable]]:
    """The frames of an open camera, errors in the place of those that could not be had; ends with the source.

    A live camera is waited for up to `until_s` on `time.monotonic()`, if that is given. Raises `FrameTimeout` out of
    the iterator when a live camera gives nothing for `timeout_s`.
    """
    if isinstance(camera, LiveReader):
        with camera.tap(ROOM) as tap:
            yield _each(lambda: _next(tap, timeout_s, until_s))
    else:
        yield _each(camera.read)


def _next(tap: Tap, timeout_s: float, until_s: float | None) -> Frame | None:
    left_s = timeout_s if until_s is None else min(timeout_s, max(0.0, until_s - time.monotonic()))
    try:
        return tap.next(left_s * 1000)
    except FrameTimeout:
        if until_s is not None and time.monotonic() >= until_s:
            return None
        raise


def _each(read: Callable[[], Frame | None]) -> Iterator[Frame | FrameUnreadable]:
    while True:
        try:
            frame = read()
        except FrameUnreadable as error:
            yield error
            continue
        if frame is None:
            return
        yield frame
