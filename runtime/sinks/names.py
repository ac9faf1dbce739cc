"""File names for what is written about a frame: safe on any file system, and never the same for two frames."""

from __future__ import annotations

import re
import unicodedata

UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*#\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+')
"""What some file system refuses, what could act on a terminal, and marks of direction, with which it shows as another.
"""
NUMBERED = re.compile(r"(.+)[#:](\d+)$", re.DOTALL)
"""What a stream calls its frames: `clip.mp4#00012`, `sim:12`."""
ISSUED_NUMBERED = re.compile(r"(.+)_(\d+)$", re.DOTALL)
LONGEST_BYTES = 150
"""Leaves room for the number and the ending within the 255 bytes that a file name may have."""


class FrameNames:
    """Gives each frame of one run its name, decided by the order of reading alone.

    - a file: the stem of its name (`RetCam_01.jpg` -> `RetCam_01`). When another frame has that name already, its
      whole name (`RetCam_01.png` read after it -> `RetCam_01.png`), and when that is taken too (the same file again,
      as a watched folder gives it), the whole name with the frame's number (`RetCam_01.png_000007`).
    - a frame of a stream, whose source ends in its own number: the source (`clip.mp4#00012` -> `clip.mp4_00012`).

    Characters that some file system refuses become `_`, names that differ only in upper and lower case count as the
    same, and long names are cut. Asking again for the frame asked for last gives the same name, so that several
    sinks can share one instance. Memory grows with the number of file names only, not with the frames of a stream.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._numbered: set[str] = set()
        self._last: tuple[tuple[str, int], str] | None = None

    def frame_name(self, source: str, sequence: int) -> str:
        """The name, without ending, of what is written about the frame with this source and sequence number."""
        asked = (source, sequence)
        if self._last is None or self._last[0] != asked:
            self._last = (asked, self._new_name(source, sequence))
        return self._last[1]

    def _new_name(self, source: str, sequence: int) -> str:
        numbered = NUMBERED.match(source)
        if numbered and int(numbered[2]) == sequence and len(numbered[2]) <= 20:
            return self._with_number(_safe(numbered[1]), numbered[2])
        whole = _safe(source)
        stem = whole.rpartition(".")[0].rstrip(". ") or whole
        for name in (stem, whole):
            if not self._taken(name):
                self._files.add(_same(name))
                return name
        return self._with_number(whole, f"{sequence:06d}")

    def _with_number(self, prefix: str, number: str) -> str:
        while _same(f"{prefix}_{number}") in self._files:
            prefix += "_"
        self._numbered.add(_same(prefix))
        return f"{prefix}_{number}"

    def _taken(self, name: str) -> bool:
        # Numbered names are not kept one by one: any name that one of their series could have counts as taken.
        series = ISSUED_NUMBERED.match(name)
        return _same(name) in self._files or (series is not None and _same(series[1]) in self._numbered)


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _safe(text: str) -> str:
    text = UNSAFE.sub("_", unicodedata.normalize("NFC", text))
    text = text.encode()[:LONGEST_BYTES].decode(errors="ignore").strip(" ").rstrip(".")
    # A leading dot would hide the file.
    return f"_{text[1:]}" if text.startswith(".") else text or "_"
