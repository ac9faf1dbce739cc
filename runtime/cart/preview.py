"""The live picture: the camera's newest frame, small, with what is to be done about it, for whoever asks.

A picture is made only while somebody looks, at most so many a second, and none while a frame is being read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import cv2
import numpy as np

from device.errors import CameraError
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.cart.hints import Framing, Hint, framing
from runtime.quality import QualityLimits

SIDE = 640
"""Longest side of a preview, pixels."""
LOOKED_AT = 256
"""Side of the picture on which the gate's measures are taken, as everywhere."""
STALE_MS = 300.0
"""A picture older than this is greyed by the page."""
_WATCHED_S = 3.0
"""Whoever asked within this is still looking."""
_QUALITY = 80
NOTHING = Framing(Hint.NO_PICTURE, 0.0, (0.5, 0.5, 0.0), 0.0)


@dataclass(frozen=True, eq=False)
class PreviewPicture:
    """One live picture."""

    number: int
    """Counts up from 1."""
    jpeg: bytes
    captured_ns: int
    """`time.monotonic_ns()` of the frame's capture."""
    framing: Framing

    @property
    def age_ms(self) -> float:
        """Milliseconds since the frame was captured."""
        return (time.monotonic_ns() - self.captured_ns) / 1e6


class Preview:
    """Makes live pictures in a thread of its own. Any thread may ask."""

    def __init__(
        self,
        newest: Callable[[float], Frame],
        limits: Callable[[], QualityLimits],
        *,
        per_second: float = 12.0,
        hint: Callable[[Framing], None] = lambda _: None,
    ) -> None:
        """newest: gives the newest frame not older than so many milliseconds, or raises `CameraError`.

        limits: gives the gate's as it reads now.
        hint: told when the hint changes.
        """
        self._newest, self._limits, self._hint = newest, limits, hint
        self._period_s = 1 / per_second
        self._lock = threading.Lock()
        self._waiting: dict[Future[PreviewPicture | None], int] = {}
        self._picture: PreviewPicture | None = None
        self._asked = -1e9
        self._busy = 0
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)
        self._thread.start()

    def after(self, number: int) -> Future[PreviewPicture | None]:
        """The first picture whose number is above `number`; None when there will be none. Never blocks.

        Cancel it when you wait no longer.
        """
        self._asked = time.monotonic()
        future: Future[PreviewPicture | None] = Future()
        with self._lock:
            self._waiting[future] = number
        future.add_done_callback(self._forget)
        self._wanted.set()
        self._tell()
        return future

    def pause(self) -> None:
        """A frame is being read: no picture is made until `resume`. Calls nest."""
        self._busy += 1

    def resume(self) -> None:
        """The frame is read."""
        self._busy -= 1

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._wanted.set()
        self._tell()
        self._thread.join(timeout=2)

    def _tell(self) -> None:
        """Answer those who wait for a picture that is there, or for one that will never be."""
        with self._lock:
            newest, closed = self._picture, self._closed.is_set()
            number = 0 if newest is None else newest.number
            due = {future: above for future, above in self._waiting.items() if closed or number > above}
            for future in due:
                del self._waiting[future]
        for future, above in due.items():
            if future.set_running_or_notify_cancel():
                future.set_result(newest if number > above else None)

    def _forget(self, future: Future[PreviewPicture | None]) -> None:
        with self._lock:
            self._waiting.pop(future, None)

    def _run(self) -> None:
        before: UInt8Array | None = None
        last_ns, number, said = 0, 0, Hint.NO_PICTURE
        while not self._closed.is_set():
            if time.monotonic() - self._asked > _WATCHED_S:
                before = None
                self._wanted.clear()
                self._wanted.wait()
                continue
            began = time.monotonic()
            if not self._busy:
                try:
                    frame = self._newest(STALE_MS)
                    if frame.captured_ns != last_ns:
                        last_ns, number = frame.captured_ns, number + 1
                        small, looked_at = shrunk(frame.pixels)
                        found = framing(looked_at, self._limits(), before)
                        before = looked_at
                        self._publish(PreviewPicture(number, _jpeg(small), frame.captured_ns, found))
                        said = self._say(said, found)
                except CameraError:
                    said = self._say(said, NOTHING)
            self._closed.wait(max(0.005, self._period_s - (time.monotonic() - began)))

    def _publish(self, picture: PreviewPicture) -> None:
        self._picture = picture
        self._tell()

    def _say(self, said: Hint, found: Framing) -> Hint:
        if found.hint is not said:
            self._hint(found)
        return found.hint


def shrunk(pixels: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
    """A frame (RGB uint8 [H, W, 3]) at the preview's size, and at the 256 x 256 on which it is measured."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    looked_at = cv2.resize(small, (LOOKED_AT, LOOKED_AT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray(looked_at, np.uint8)


def _jpeg(pixels: UInt8Array) -> bytes:
    good, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not good:  # pragma: no cover - only for pictures that cannot be
        raise CameraError("the preview cannot be encoded")
    return data.tobytes()
