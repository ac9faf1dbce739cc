"""Where the benchmark's frames come from: a pool loaded before the run, or a camera that paces itself."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from device.cameras import Camera
from device.errors import FrameUnreadable
from device.frame import Frame
from device.live import LiveReader
from runtime.bench.errors import BenchError

MOST_FRAMES = 128
MOST_BYTES = 256 << 20
"""What a pool may hold: 128 frames of a RetCam at 640 x 480, or 20 of 2040 x 2040."""


@dataclass(frozen=True)
class SupplyFacts:
    """What was fed, so that two reports can be told to be about the same."""

    source: str
    sha256: str | None
    """Over the SHA-256 of each frame of the pool; None for a live camera, whose frames never come again."""
    distinct_frames: int | None
    width: int | None
    height: int | None
    paced_by: str
    """`clock`: the benchmark's own schedule; `camera`: the camera's."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Distinct frames by their size, `640x480`; empty for a live camera."""


class Supply(Protocol):
    """Gives frames one by one."""

    paced: bool
    """True when the camera decides when frames come."""
    unreadable: int
    """Frames that could not be had."""

    def take(self, number: int, due_ns: int) -> Frame | None:
        """The frame number `number`, captured at `due_ns` where the supply has no time of its own; None at the end."""
        ...

    def facts(self, source: str) -> SupplyFacts:
        """What was fed."""
        ...


class Pool:
    """Stored or simulated frames, loaded before the run and given again in turn, as LoadGen's sample library does.

    Each is copied when it is taken, as a camera's transfer into memory would, so that neither its hash nor the CPU's
    cache remembers it. That copy is the capture stage.
    """

    paced = False

    def __init__(self, frames: Sequence[Frame], unreadable: int = 0) -> None:
        """Give these frames, at least one."""
        self.frames = tuple(frames)
        self.unreadable = unreadable

    def take(self, number: int, due_ns: int) -> Frame | None:
        """A fresh frame with the pixels of frame `number` modulo the pool's size."""
        original = self.frames[number % len(self.frames)]
        began = time.perf_counter()
        pixels = original.pixels.copy()
        return Frame(
            pixels=pixels,
            sequence=number,
            source=original.source,
            captured_ns=due_ns,
            capture_ms=(time.perf_counter() - began) * 1e3,
            truth=original.truth,
        )

    def facts(self, source: str) -> SupplyFacts:
        """With a hash over all frames in their order."""
        digest = hashlib.sha256()
        for frame in self.frames:
            digest.update(bytes.fromhex(frame.sha256))
        sizes = Counter(f"{frame.width}x{frame.height}" for frame in self.frames)
        one = self.frames[0] if len(sizes) == 1 else None
        width, height = (None, None) if one is None else (one.width, one.height)
        return SupplyFacts(source, digest.hexdigest(), len(self.frames), width, height, "clock", dict(sizes))


class Live:
    """A camera that keeps its own time: the newest frame is read, which carries its own time of capture.

    The frames that came since the one before, and that nobody read, show as a gap in the numbers.
    """

    paced = True

    def __init__(self, camera: LiveReader) -> None:
        self._camera = camera
        self._size: tuple[int, int] | None = None
        self.unreadable = 0

    def take(self, number: int, due_ns: int) -> Frame | None:
        """The newest frame not yet read, or the next one, passing over unreadable ones; None at the camera's end."""
        while True:
            try:
                frame = self._camera.read()
            except FrameUnreadable:
                self.unreadable += 1
                continue
            if frame is not None:
                self._size = (frame.width, frame.height)
            return frame

    def facts(self, source: str) -> SupplyFacts:
        """Without a hash: no one can feed it again."""
        width, height = self._size or (None, None)
        return SupplyFacts(source, None, None, width, height, "camera")


def open_supply(camera: Camera, wanted: int) -> Supply:
    """The supply for a camera; a pool is loaded now, of at most `wanted` frames.

    Raises `BenchError` when there is no readable frame, `CameraError` when the camera is lost.
    """
    if isinstance(camera, LiveReader):
        return Live(camera)
    frames: list[Frame] = []
    unreadable = held = 0
    while len(frames) < min(wanted, MOST_FRAMES) and held < MOST_BYTES:
        try:
            frame = camera.read()
        except FrameUnreadable:
            unreadable += 1
            continue
        if frame is None:
            break
        frames.append(frame)
        held += frame.pixels.nbytes
    if not frames:
        raise BenchError(f"{camera.name}: none of {unreadable} frames can be read; name another --source")
    return Pool(frames, unreadable)
