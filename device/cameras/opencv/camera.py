"""`CaptureCamera`: a live camera on an open `cv2.VideoCapture`, whatever stands behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import TracebackType

import cv2
import numpy as np

from device.cameras.codecs.refused import Refused
from device.cameras.controls import Adjustable, Control, adjust
from device.cameras.handle import Handle
from device.cameras.opencv.unconverted import Makes, from_bgr
from device.cameras.quiet import quiet
from device.errors import CameraError, Disconnected, FrameMisshapen, FrameUnreadable
from device.frame import Frame
from device.pixels import PixelsUnusable

NS_PER_S = 1_000_000_000


def now_ns(_: cv2.VideoCapture) -> int:
    """Capture time where the source tells none: the moment when the frame was had."""
    return time.monotonic_ns()


class CaptureCamera:
    """A live camera that OpenCV reads; opened by `open_v4l2`, `open_stream` or `open_gstreamer`.

    `read` waits for the next frame, at most as long as the source's timeout. `close` may come from another thread.
    """

    live = True
    frame_count = None

    def __init__(
        self,
        capture: cv2.VideoCapture,
        *,
        name: str,
        label: str,
        size: tuple[int, int] | None,
        lost: Callable[[float], CameraError],
        captured_ns: Callable[[cv2.VideoCapture], int] = now_ns,
        makes: Makes = from_bgr,
        controls: Adjustable | None = None,
    ) -> None:
        """`label` starts the names of frames; `size` is width and height, None to take that of the first frame.

        `makes` gives RGB of what the capture hands over.

        `lost` makes the error for a frame that did not come after so many seconds; `captured_ns` tells when the frame
        that was just grabbed was taken, on `time.monotonic_ns()`. `controls` turns what the driver lets be turned.
        """
        self.name = name
        self._capture = capture
        self._label = label
        self._size = size
        self._lost = lost
        self._captured_ns = captured_ns
        self._makes = makes
        self._controls = controls
        self._next = 0
        self._handle = Handle(capture.release)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its frames, None when not known before the first."""
        return self._size

    def controls(self) -> tuple[Control, ...]:
        """What can be turned while it runs; see `Adjustable`."""
        with self._handle.use() as usable:
            return self._controls.controls() if usable and self._controls is not None else ()

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one of `controls`; see `Adjustable`."""
        with self._handle.use() as usable:
            if not usable:
                raise Disconnected(f"{self.name}: the camera is closed; open it again")
            return adjust(self._controls, name, value, self.name)

    def read(self) -> Frame | None:
        """The next frame; None once closed.

        Raises `FrameUnreadable` for one that cannot be decoded, `FrameMisshapen` for one of another size,
        `FrameTimeout` or `Disconnected` when none came.
        """
        with self._handle.use() as usable:
            return self._read() if usable else None

    def _read(self) -> Frame | None:
        began_ns = time.monotonic_ns()
        with quiet():
            got = self._capture.grab()
        if not got:
            if self._handle.closed:
                return None
            raise self._lost((time.monotonic_ns() - began_ns) / NS_PER_S)
        captured_ns = self._captured_ns(self._capture)
        sequence = self._next
        self._next += 1
        pixels = self._retrieve(sequence)
        age_ns = time.monotonic_ns() - captured_ns
        return Frame(
            pixels=pixels,
            sequence=sequence,
            source=f"{self._label}:{sequence}",
            captured_ns=captured_ns,
            captured_at=datetime.now(timezone.utc) - timedelta(microseconds=age_ns / 1000),
            capture_ms=age_ns / 1e6,
        )

    def _retrieve(self, sequence: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        source = f"{self._label}:{sequence}"
        try:
            with quiet():
                got, given = self._capture.retrieve()
        except cv2.error as error:
            raise FrameUnreadable(
                f"{source}: the frame cannot be decoded ({error.err}); read the next one",
                source=source,
                sequence=sequence,
            ) from None
        if not got or given is None or not given.size:
            raise FrameUnreadable(
                f"{source}: the frame cannot be decoded; read the next one", source=source, sequence=sequence
            )
        try:
            rgb = self._makes(given)
        except Refused as why:
            raise FrameUnreadable(f"{source}: {why}", source=source, sequence=sequence) from None
        except PixelsUnusable as why:
            raise self._misshapen(str(why), source, sequence) from None
        size = (rgb.shape[1], rgb.shape[0])
        if self._size is None:
            self._size = size
        if size != self._size:
            raise self._misshapen(f"got {size[0]} x {size[1]}", source, sequence)
        return rgb

    def _misshapen(self, got: str, source: str, sequence: int) -> FrameMisshapen:
        expected = "a picture" if self._size is None else f"{self._size[0]} x {self._size[1]} as before"
        return FrameMisshapen(
            f"{source}: {got}; expected {expected}; if the camera was set anew, open it again",
            source=source,
            sequence=sequence,
        )

    def close(self) -> None:
        """Give the camera back; `read` gives None from then on, also one that waits in another thread."""
        self._handle.close()

    def __enter__(self) -> CaptureCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
