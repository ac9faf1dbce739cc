"""The reading loop: camera to Screener to sinks, until the frames or the patience end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from device.cameras.base import Camera
from device.errors import CameraError, FrameUnreadable
from device.frame import Frame
from runtime.commands.stop import Stop
from runtime.errors import OutputError
from runtime.reading import Reader, Reading
from runtime.screen.waiting import Waiting
from runtime.sinks.base import Sink


class TendedReader(Reader, Protocol):
    """A reader that wants a moment now and then, as a Screener does."""

    @property
    def idle_every_s(self) -> float | None:
        """How often `between_frames` is to be called while there is no frame; None: once after each frame will do."""
        ...

    def between_frames(self) -> None:
        """What has to be done now and then and may take a moment; never raises."""
        ...


@dataclass
class Progress:
    """How far the loop has come."""

    frames: int = 0
    readable: int = 0
    ended: bool = False
    """Whether the source came to its end."""
    lost: bool = False
    """Whether the source was lost before it."""
    broken: bool = False
    """Whether something else ended the run before it, as a reading that could not be written."""


def screen_frames(
    camera: Camera,
    reader: TendedReader,
    sinks: Sequence[Sink],
    stop: Stop,
    progress: Progress,
    frames: int | None = None,
) -> None:
    """Read frames, give each reading to every sink; at most `frames`, readable or not.

    Ends between frames when `stop` is requested. Raises `CameraError` when the camera is lost, `OutputError` when a
    sink fails, `Interrupted` when a signal came while waiting for a frame.
    """
    with _reads(camera, reader) as read:
        while not stop.requested and (frames is None or progress.frames < frames):
            frame: Frame | None = None
            try:
                with stop.interruptible:
                    frame = read()
            except FrameUnreadable as error:
                reading = reader.unreadable(error)
            except CameraError:
                progress.lost = True
                raise
            else:
                if frame is None:
                    progress.ended = True
                    return
                reading = reader.screen(frame)
            try:
                _give(sinks, frame, reading, progress)
            except Exception:
                progress.broken = True
                raise
            reader.between_frames()


def _give(sinks: Sequence[Sink], frame: Frame | None, reading: Reading, progress: Progress) -> None:
    """A reading that the first sink, the record, has is counted, and told to all others, whichever of them fails."""
    failures: list[Exception] = []
    for number, sink in enumerate(sinks):
        try:
            sink.write(frame, reading)
        except Exception as error:
            if number == 0:
                raise
            failures.append(error)
    progress.frames += 1
    progress.readable += frame is not None
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _reads(camera: Camera, reader: TendedReader) -> Iterator[Callable[[], Frame | None]]:
    """How to read the camera: in this thread, or beside it where the engine must not idle meanwhile."""
    if reader.idle_every_s is None:
        yield camera.read
        return
    with Waiting(camera, reader.between_frames, reader.idle_every_s) as waiting:
        yield waiting.read


@contextlib.contextmanager
def closing_all(sinks: Sequence[Sink]) -> Iterator[None]:
    """Close every sink at the end, in their order, whatever happens to the others; the first failure is raised."""
    failures: list[Exception] = []
    try:
        yield
    except OutputError as error:
        failures.append(error)
    finally:
        for sink in sinks:
            try:
                sink.close()
            except Exception as error:  # a drawing that failed in its thread comes out here, as whatever it is
                failures.append(error)
        if failures:
            raise failures[0]
