"""`StreamCamera`: a live camera on the network, whatever carries its pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from device.cameras.handle import Handle
from device.cameras.one_size import OneSize
from device.cameras.opencv.config import StreamConfig
from device.errors import Disconnected, FrameTimeout, FrameUnreadable
from device.frame import Frame


@dataclass(frozen=True, eq=False)
class Arrival:
    """One picture that came, or why the one that came does not count."""

    pixels: NDArray[np.uint8] | None
    """RGB, uint8 [H, W, 3]."""
    captured_ns: int
    """`time.monotonic_ns()` when it was had."""
    why_not: str = ""
    changes: tuple[str, ...] = ()
    """What was done to it beyond decoding, for the reading."""


class PictureSource(Protocol):
    """What brings the pictures. `next` is used from one thread; `close` after the last `next` has returned."""

    def next(self) -> Arrival | None:
        """The next one; None when the other side ended. Raises `TimeoutError` when none comes in time, or `OSError`."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class StreamCamera:
    """A live camera on the network; opened by `open_stream`.

    `read` waits for the next frame, at most as long as the stream's `read_timeout_s`. `close` may come from another
    thread.
    """

    live = True
    frame_count = None

    def __init__(self, config: StreamConfig, source: PictureSource) -> None:
        self.name = config.shown
        self._config = config
        self._label = urlsplit(config.url).scheme
        self._source = source
        self._one_size = OneSize("if the camera was set anew, open it again")
        self._next = 0
        self._handle = Handle(source.close)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its frames, None before the first."""
        return self._one_size.size

    def read(self) -> Frame | None:
        """The next frame; None once closed.

        Raises `FrameUnreadable` for one that is damaged or no picture, `FrameMisshapen` for one of another size than
        the first, `FrameTimeout` or `Disconnected` when none came.
        """
        with self._handle.use() as usable:
            return self._read() if usable else None

    def _read(self) -> Frame | None:
        began = time.monotonic()
        try:
            arrival = self._source.next()
        except OSError as error:
            if self._handle.closed:
                return None
            waited_s = time.monotonic() - began
            if isinstance(error, TimeoutError) or waited_s > 0.9 * self._config.read_timeout_s:
                raise FrameTimeout(f"{self.name}: no frame came in {waited_s:.1f} s; check the network") from None
            arrival = None
        if arrival is None:
            if self._handle.closed:
                return None
            raise Disconnected(f"{self.name}: the other side ended the stream; open it again")
        sequence = self._next
        self._next += 1
        pixels = self._checked(arrival, f"{self._label}:{sequence}", sequence)
        age_ns = time.monotonic_ns() - arrival.captured_ns
        return Frame(
            pixels=pixels,
            sequence=sequence,
            source=f"{self._label}:{sequence}",
            captured_ns=arrival.captured_ns,
            captured_at=datetime.now(timezone.utc) - timedelta(microseconds=age_ns / 1000),
            capture_ms=age_ns / 1e6,
            changes=arrival.changes,
        )

    def _checked(self, arrival: Arrival, source: str, sequence: int) -> NDArray[np.uint8]:
        if arrival.pixels is None:
            raise FrameUnreadable(f"{source}: {arrival.why_not}; read the next one", source=source, sequence=sequence)
        return self._one_size.check(arrival.pixels, source, sequence)

    def close(self) -> None:
        """Give the camera back; `read` gives None from then on, also one that waits in another thread."""
        self._handle.close()

    def __enter__(self) -> StreamCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
