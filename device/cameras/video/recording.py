"""`Recording`: the frames of a video file, through PyAV's FFmpeg, which tells of damage."""

from __future__ import annotations

import os
import time
from collections import deque
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from device.cameras.codecs.refused import MAX_MEGAPIXELS
from device.cameras.files.decode import shown_name
from device.cameras.one_size import OneSize
from device.cameras.video.container import chunks_follow, is_cut
from device.cameras.video.decoder import Picture, VideoDecoder
from device.cameras.video.library import pyav
from device.errors import FrameUnreadable, SourceNotFound
from device.frame import Frame

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
"""Endings of the file names that are taken for videos, in small letters."""

_UNTIL_CLEAN = "; nothing counts until the next clean key frame"
_COUNTED_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov"})
"""Containers that store how many frames they hold; elsewhere the number is made of duration and rate."""


class Recording:
    """A camera of a recorded video; its frames are called `clip.mp4#00012`.

    A recording counts as live, since a frame that repeats in it is a fault of the camera that was recorded.

    A frame whose data is damaged, and every one after it until a clean key frame, raises `FrameUnreadable`; one of
    another size than the first `FrameMisshapen`. When the file is shorter than it says, the whole frames are given,
    then one `FrameUnreadable`, then None. Pixels are taken as they are stored, square or not, turned as the file says.

    Raises `SourceNotFound` when the file is no video that can be opened, `DriverMissing` without PyAV.
    """

    live = True

    def __init__(self, path: Path | str) -> None:
        self.name = str(path)
        self._file = Path(path)
        if not os.path.isfile(self._file):
            raise SourceNotFound(f"{path}: no such file; expected a video")
        self._shown = shown_name(self._file)
        self._waiting: deque[Picture] = deque()
        self._next = 0
        self._whole = 0
        self._one_size = OneSize("cut the recording where its size changes")
        self._ended = self._drained = False
        self._container: Any = None
        try:
            self._open()
            self._fill()
        except BaseException:
            self.close()
            raise
        if not self._waiting:
            self.close()
            raise SourceNotFound(self._not_a_video())

    def _open(self) -> None:
        av = pyav()
        try:
            with av.logging.Capture():
                self._container = av.open(str(self._file))
            stream = self._container.streams.video[0]
        except (av.error.FFmpegError, OSError, IndexError, ValueError):
            raise SourceNotFound(self._not_a_video()) from None
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_MEGAPIXELS * 1_000_000:
            raise SourceNotFound(
                f"{self._shown}: {width} x {height} pixels, expected at most {MAX_MEGAPIXELS} megapixels; "
                "record it smaller"
            )
        try:
            self._decoder = VideoDecoder(stream, self._container.format.name)
        except SourceNotFound as silent:
            raise SourceNotFound(f"{self._shown}: {silent}") from None
        self._packets = self._container.demux(stream)
        self._is_avi = self._container.format.name == "avi"
        self._is_ts = self._container.format.name == "mpegts"
        self._ahead = 1 if self._is_ts else 0  # a frame of it comes once the next one begins
        self._data_end: int | None = None
        self._stated = _stated_frames(self._container, stream)

    def _not_a_video(self) -> str:
        return (
            f"{self._shown}: not a video that can be opened ({self._file.stat().st_size} bytes; a recording that was "
            "cut off may lack its index); expected a whole AVI, MP4, MOV, MKV or WebM file"
        )

    @property
    def frame_count(self) -> int | None:
        """What the container states, None where it states nothing that can be relied on."""
        return self._stated if self._stated and self._file.suffix.lower() in _COUNTED_SUFFIXES else None

    def read(self) -> Frame | None:
        """The next frame, None after the last.

        Raises `FrameUnreadable` for one that does not count, and once when the file ends too early.
        """
        if self._ended:
            return None
        captured_ns, captured_at = time.monotonic_ns(), datetime.now(timezone.utc)
        self._fill()
        sequence = self._next
        self._next += 1
        if not self._waiting:
            self._ended = True
            self._end(sequence)
            return None
        pixels = self._checked(self._waiting.popleft(), sequence)
        self._whole += 1
        return Frame(
            pixels=pixels,
            sequence=sequence,
            source=self._frame_name(sequence),
            captured_ns=captured_ns,
            captured_at=captured_at,
            capture_ms=(time.monotonic_ns() - captured_ns) / 1e6,
        )

    def _checked(self, picture: Picture, sequence: int) -> Any:
        source = self._frame_name(sequence)
        if picture.pixels is None:
            raise FrameUnreadable(
                f"{source}: damaged ({picture.why_not})" + ("" if picture.alone else _UNTIL_CLEAN),
                source=source,
                sequence=sequence,
            )
        return self._one_size.check(picture.pixels, source, sequence)

    def _fill(self) -> None:
        """Decode until a frame waits or the file ends."""
        av = pyav()
        while not self._waiting and not self._drained:
            packet = None
            try:
                with self._decoder.listening(self._ahead):
                    packet = next(self._packets, None)
            except av.error.FFmpegError:
                self._decoder.cut = True
            if packet is None:
                self._drained = True
            elif packet.is_corrupt and packet.size:  # the last one of a cut file, in part
                self._decoder.cut = True
            else:
                self._look_between(packet)
                self._waiting.extend(self._decoder.decode(packet))

    def _look_between(self, packet: Any) -> None:
        """Count as one refused frame what is missing before a packet."""
        if self._is_avi and packet.size and packet.pos is not None:
            if (
                self._data_end is not None
                and self._data_end < packet.pos
                and not chunks_follow(self._file, self._data_end, packet.pos)
            ):
                self._decoder.missed("data that is missing")
            self._data_end = packet.pos + packet.size + packet.size % 2
        if self._decoder.lost is not None and packet.size and not self._is_ts:  # of a TS the torn frame itself comes
            self._waiting.append(Picture(None, self._decoder.lost))

    def _end(self, sequence: int) -> None:
        if not (self._decoder.cut or is_cut(self._file)):
            return
        source = self._frame_name(sequence)
        stated = f"states {self._stated} frames and " if self._stated > self._whole else ""
        raise FrameUnreadable(
            f"{self._shown}: the video ends early: it {stated}has {self._whole} whole ones; "
            "the readings so far stand, record or copy it again for the rest",
            source=source,
            sequence=sequence,
        )

    def _frame_name(self, sequence: int) -> str:
        return f"{self._shown}#{sequence:05d}"

    def close(self) -> None:
        """Give the file back; `read` gives None from then on."""
        self._ended = True
        self._waiting.clear()
        if self._container is not None:
            self._container.close()
            self._container = None

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _stated_frames(container: Any, stream: Any) -> int:
    """How many frames the file says that it shows: an edit list may show fewer than are stored."""
    rate = stream.average_rate
    by_duration = 0
    if rate:
        if stream.duration is not None and stream.time_base is not None:
            by_duration = round(stream.duration * stream.time_base * rate)
        elif container.duration is not None:
            by_duration = round(container.duration / 1_000_000 * rate)
    if "mp4" in container.format.name:
        return min(filter(None, (stream.frames, by_duration)), default=0)
    return int(stream.frames or by_duration)
