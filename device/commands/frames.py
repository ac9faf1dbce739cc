"""Every frame of a source in its order, for commands that must not lose one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from device.cameras.base import Camera
from device.errors import FrameUnreadable
from device.frame import Frame
from device.live import LiveReader

ROOM = 32
"""Frames of a live camera that may wait while one is written."""


@contextmanager
def frames_of(camera: Camera, timeout_s: float) -> Iterator[Iterator[Frame | FrameUnreadable]]:
    """The frames of an open camera, errors in the place of those that could not be had; ends with the source.

    Raises `FrameTimeout` out of the iterator when a live camera gives nothing for `timeout_s`.
    """
    if isinstance(camera, LiveReader):
        with camera.tap(ROOM) as tap:
            yield _each(lambda: tap.next(timeout_s * 1000))
    else:
        yield _each(camera.read)


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
