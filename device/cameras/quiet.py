"""`quiet`: keeps OpenCV and FFmpeg from writing to stderr, where their lines would tear the progress display."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def quiet() -> Iterator[None]:
    """Silence for the block; what they would say ("moov atom not found") comes as our own error.

    FFmpeg's level is read once in a process, at the first video, from an environment variable; a user who has set it
    keeps it.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
