"""`VideoDecoder`: packets of a video go in, RGB frames come out, and each that does not count with the reason why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.jpeg import decode_jpeg
from device.cameras.codecs.refused import Refused
from device.cameras.codecs.seams import what_is_seen
from device.cameras.video.clean import CleanRun, units_damaged
from device.cameras.video.library import pyav
from device.cameras.video.second import PLAIN, second_decoder

_ON_THE_WAY = ("RTP: missed", "max delay reached", "Continuity check failed")
"""Beginnings of lines that tell what a network lost, or whoever recorded from one."""
_LOST_WORDS = ("Frame num gap", "missed", "bad cseq", "ended prematurely", "partial file", *_ON_THE_WAY)
"""In lines of FFmpeg's that tell of data that never came; all else under an error is talk."""
_MISSING = "data that is missing"


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame of a video, or why there is none."""

    pixels: NDArray[np.uint8] | None
    """RGB, uint8 [H, W, 3]; None for one that does not count."""
    why_not: str = ""
    alone: bool = False
    """Whether only this one does not count, and not all up to the next clean key frame."""


class VideoDecoder:
    """Decodes one video stream on one thread (each further one holds back a frame), and listens.

    Pictures of MJPEG go through our own JPEG decoder. For all else FFmpeg's errors, the marks on its frames
    (`is_corrupt`), its lines, and the form of H.264's and H.265's units are believed; where FFmpeg says nothing of
    damage, a second decoder looks. Raises `SourceNotFound` for a codec of which nobody can tell (VP9).
    """

    def __init__(self, stream: Any, container: str = "") -> None:
        """container: FFmpeg's name of what carries the stream, where its errors are of data that is missing."""
        self._stream = stream
        self._container = container
        self._codec = stream.codec_context
        self._codec.thread_count = 1
        self._codec.thread_type = "NONE"
        self._second = second_decoder(self._codec)
        self._clean = CleanRun()
        self._packets = 0
        self._by_time: dict[int, int] = {}
        self.cut = False
        """Whether the container was heard to end too early."""
        self.lost: str | None = None
        """What was said of data that never came, while the last packet was read."""

    @contextmanager
    def listening(self, ahead: int = 0) -> Iterator[None]:
        """Take what FFmpeg says in this thread, while it reads, as said of what came before and of so many packets that
        come next."""
        with pyav().logging.Capture() as lines:
            yield
        self.heed(lines, ahead=ahead)

    def heed(self, lines: list[tuple[int, str, str]], *, ahead: int) -> None:
        """Take these lines (level, name, text) as `listening` takes them."""
        self.lost = None
        self._heed(lines, self._packets + ahead)

    def missed(self, why: str) -> None:
        """Data is missing between the last packet and the next one."""
        self.lost = why
        self._clean.damage(why, self._packets)

    def decode(self, packet: Any) -> Iterator[Picture]:
        """The frames that are ready after a packet; an empty packet asks for those that are left."""
        self._packets += 1
        number = self._packets
        if packet.size and packet.pts is not None:
            self._by_time[packet.pts] = number
        if packet.size and self._codec.name == "mjpeg":
            yield _jpeg(bytes(packet))
            return
        if packet.size:
            self._look_at(packet, number)
        failed = None
        with pyav().logging.Capture() as lines:
            try:
                frames = self._codec.decode(packet)
            except pyav().error.FFmpegError as error:
                frames = []
                failed = _words(error)
                if not isinstance(error, pyav().error.EOFError):
                    self._clean.damage(_words(error), number)
        said = self._heed(lines, number)
        said = said or failed
        if self._second is not None:
            why = self._second.look_at(bytes(packet) if packet.size else b"", frames)
            if why is not None:
                self._clean.damage(why, number)
        if said is not None and not frames and packet.size and not self._codec.has_b_frames:
            yield Picture(None, said)  # it was thrown away, and counts as refused
        for frame in frames:
            yield self._picture(frame, number)

    def _look_at(self, packet: Any, number: int) -> None:
        why = units_damaged(bytes(packet), self._codec.name, self._codec.extradata or b"")
        if why is None and packet.is_corrupt:
            why = _MISSING
        if why is not None:
            self._clean.damage(why, number)

    def _heed(self, lines: list[tuple[int, str, str]], number: int) -> str | None:
        """Take what was said for damage where it is; the first such line."""
        first = None
        for level, name, text in lines:
            lost = any(words in text for words in _LOST_WORDS)
            self.cut = self.cut or "ended prematurely" in text or "partial file" in text
            error = level <= pyav().logging.ERROR
            if error and name and name == self._container:
                lost, text = True, _MISSING
            if lost or (error and name == self._codec.name):
                first = first or _said(text)
                self._clean.damage(first, number)
                self.lost = self.lost or (first if lost else None)
        return first

    def _picture(self, frame: Any, number: int) -> Picture:
        packet = number if frame.pts is None else self._by_time.pop(frame.pts, number)
        why = "the decoder filled in what was missing" if frame.is_corrupt else None
        refused = self._clean.refuse(packet, key=bool(frame.key_frame), why=why)
        if refused is not None:
            return Picture(None, refused)
        pixels = _turned(_rgb(frame), _rotation(frame))
        seen = what_is_seen(pixels, unchecked=self._codec.name in PLAIN)
        if seen is None:
            return Picture(pixels)
        if seen.sure:
            self._clean.damage(seen.words, packet)
        return Picture(None, seen.words, alone=not seen.sure)


def _rgb(frame: Any) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3]; what FFmpeg says of colours meanwhile is nothing to a user."""
    with pyav().logging.Capture():
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _jpeg(data: bytes) -> Picture:
    try:
        return Picture(decode_jpeg(data))
    except Refused as why:
        return Picture(None, str(why), alone=True)


def _rotation(frame: Any) -> int:
    """Degrees by which it is to be turned counter-clockwise, a multiple of 90."""
    return round(float(getattr(frame, "rotation", 0) or 0) / 90) * 90 % 360


def _turned(pixels: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    return pixels if degrees == 0 else np.ascontiguousarray(np.rot90(pixels, degrees // 90))


def _said(line: str) -> str:
    return "packets lost on the way" if line.startswith(_ON_THE_WAY) else " ".join(line.split())[:80]


def _words(error: Exception) -> str:
    return f"its data cannot be decoded ({type(error).__name__})"
