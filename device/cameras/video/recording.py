"""`Recording`: the frames of a video file, through OpenCV's FFmpeg."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.files.decode import shown_name
from device.cameras.quiet import quiet
from device.errors import FrameUnreadable, SourceNotFound
from device.frame import Frame

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
"""Endings of the file names that are taken for videos, in small letters."""

_COUNTED_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov"})
"""Containers that store how many frames they hold; elsewhere the number is made of duration and rate."""

_ESTIMATE_SLACK = 2
"""By so many frames the number made of a Matroska file's duration may be wrong without harm."""


class Recording:
    """A camera of a recorded video; its frames are called `clip.mp4#00012`.

    A recording counts as live, since a frame that repeats in it is a fault of the camera that was recorded.

    When the container states how many frames it holds and the file ends before, the whole frames are given, then one
    `FrameUnreadable`, then None. The last frame before such an end is withheld: decoders return it half filled.

    Raises `SourceNotFound` when the file is no video that can be opened.
    """

    live = True

    def __init__(self, path: Path | str) -> None:
        self.name = str(path)
        file = Path(path)
        if not file.is_file():
            raise SourceNotFound(f"{path}: no such file; expected a video")
        self._shown = shown_name(file)
        with quiet():
            self._capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
        self._held = self._grab()
        if self._held is None:
            self._capture.release()
            raise SourceNotFound(
                f"{self._shown}: not a video that can be opened ({file.stat().st_size} bytes; a recording that was cut "
                "off may lack its index); expected a whole AVI, MP4, MOV, MKV or WebM file"
            )
        self._stated = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._suffix = file.suffix.lower()
        self._next = 0
        self._ended = False

    @property
    def frame_count(self) -> int | None:
        """What the container states, None where it states nothing that can be relied on."""
        return self._stated if self._stated and self._suffix in _COUNTED_SUFFIXES else None

    def read(self) -> Frame | None:
        """The next frame, None after the last; raises `FrameUnreadable` once when the file ends too early."""
        if self._ended:
            return None
        captured_ns, captured_at = time.monotonic_ns(), datetime.now(timezone.utc)
        pixels = self._held
        self._held = self._grab() if pixels is not None else None
        sequence = self._next
        self._next += 1
        if self._held is None and self._is_cut(frames=sequence + (pixels is not None)):
            self._ended = True
            raise FrameUnreadable(
                f"{self._shown}: the video ends early: it states {self._stated} frames and has {sequence} whole ones; "
                "the readings so far stand, record or copy it again for the rest",
                source=self._frame_name(sequence),
                sequence=sequence,
            )
        if pixels is None:
            self._ended = True
            return None
        return Frame(
            pixels=pixels,
            sequence=sequence,
            source=self._frame_name(sequence),
            captured_ns=captured_ns,
            captured_at=captured_at,
            capture_ms=(time.monotonic_ns() - captured_ns) / 1e6,
        )

    def _frame_name(self, sequence: int) -> str:
        return f"{self._shown}#{sequence:05d}"

    def _is_cut(self, frames: int) -> bool:
        """Whether an end after `frames` frames is too early."""
        if self._suffix in _COUNTED_SUFFIXES:
            return frames < self._stated
        return self._suffix in (".mkv", ".webm") and frames < self._stated - _ESTIMATE_SLACK

    def _grab(self) -> NDArray[np.uint8] | None:
        with quiet():
            got, bgr = self._capture.read()
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8) if got else None

    def close(self) -> None:
        """Give the file back; `read` gives None from then on."""
        self._ended = True
        self._held = None
        self._capture.release()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
