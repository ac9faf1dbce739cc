"""A second decoder beside FFmpeg's, for codecs where FFmpeg's says nothing of damage.

FFmpeg's decoders of H.265 and VP8 fill in and are silent when data was cut or altered, and so are those of VP9 and of
many more codecs, which are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from device.cameras.video import de265
from device.cameras.video.library import pyav
from device.cameras.video.units import is_slice, joined, split
from device.errors import SourceNotFound

PLAIN = frozenset({"rawvideo", "v210", "v308", "v408", "v410", "yuv4", "bmp", "targa", "ppm", "pam"})
"""Codecs of which each picture is a plain list of values."""
TELLING = (
    frozenset({"h264", "hevc", "vp8", "av1", "libdav1d", "libaom-av1", "mjpeg", "ffv1", "prores", "dnxhd", "dvvideo"})
    | frozenset({"mpeg1video", "mpeg2video", "mpeg4", "flv", "h263"})
    | PLAIN
)
"""Codecs, by FFmpeg's names, whose damage is noticed: by their decoders, by a second one, or by what is seen. Others
are refused: of those that were tried (Windows Media 7 and 8, DivX 3, HuffYUV, Ut Video, Cinepak) damaged frames
came as whole ones, up to 117 levels off."""

TAIL = b"\xff" * 32


class SecondDecoder(Protocol):
    """Decodes the same packets."""

    def look_at(self, packet: bytes, frames: Sequence[Any]) -> str | None:
        """What is wrong with a packet, or with one before it; None when nothing is.

        packet: its bytes, none to ask for what is left. frames: those of FFmpeg that came out after it.
        """
        ...


def second_decoder(codec: Any) -> SecondDecoder | None:
    """What must look at a stream of this codec (a `CodecContext` of PyAV) beside it; None where it tells by itself.

    Raises `SourceNotFound` for a codec of which nobody can tell whether its data is whole.
    """
    if codec.name not in TELLING:
        raise SourceNotFound(
            f"a video of {codec.name.upper()}, whose decoder does not tell damaged frames from whole ones; "
            "record or send it as H.264 or Motion JPEG"
        )
    if codec.name == "hevc":
        return de265.SliceReader(codec.extradata or b"") if de265.is_there() else Twin(codec)
    return Twin(codec) if codec.name == "vp8" else None


class Twin:
    """The same decoder, given more bytes behind the data of each slice.

    Whole data ends before them, so both give the same pictures. Data that was cut, or whose arithmetic code lost its
    step, mostly goes on into them: then the pictures differ.
    """

    def __init__(self, codec: Any) -> None:
        self._name: str = codec.name
        self._extradata = bytes(codec.extradata or b"")
        self._codec = pyav().CodecContext.create(codec.name, "r")
        if self._extradata:
            self._codec.extradata = self._extradata
        self._codec.thread_count = 1
        self._codec.thread_type = "NONE"
        self._codec.flags = codec.flags
        self._mine: list[Any] = []
        self._its: list[Any] = []

    def look_at(self, packet: bytes, frames: Sequence[Any]) -> str | None:
        """See `SecondDecoder`."""
        av = pyav()
        if self._name == "hevc" and sum(map(is_slice, self._units(packet))) > 1:
            return "pictures of several slices, of which one may be missing unnoticed; apt-get install libde265-0"
        try:
            with av.logging.Capture():
                self._mine += self._codec.decode(av.Packet(self._longer(packet)) if packet else None)
        except av.error.EOFError:
            return None
        except av.error.FFmpegError:  # by the bytes behind the data, or by what the first one has heard as well
            self._mine, self._its = [], []
            return "data that ends too early"
        self._its += frames
        pairs = list(zip(self._mine, self._its, strict=False))
        del self._mine[: len(pairs)], self._its[: len(pairs)]
        if len(self._mine) != len(self._its) or not all(_alike(mine, its) for mine, its in pairs):
            self._mine, self._its = [], []
            return "data that ends too early"
        return None

    def _longer(self, packet: bytes) -> bytes:
        if self._name == "vp8":
            return packet + TAIL
        units = [unit + TAIL if is_slice(unit) else unit for unit in self._units(packet)]
        return joined(units, self._name, self._extradata)

    def _units(self, packet: bytes) -> list[bytes]:
        return split(packet, self._name, self._extradata) or [packet]


def _alike(one: Any, other: Any) -> bool:
    """Whether two frames (PyAV) hold the same samples."""
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        return False
    return all(np.array_equal(_samples(one, k), _samples(other, k)) for k in range(len(one.planes)))


def _samples(frame: Any, plane: int) -> Any:
    of = frame.planes[plane]
    rows = np.frombuffer(of, np.uint8)[: of.height * of.line_size].reshape(of.height, of.line_size)
    return rows[:, : of.width * ((frame.format.components[plane].bits + 7) // 8)]
