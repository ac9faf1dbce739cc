"""Whether the data of a JPEG 2000 picture is whole as far as its bytes tell; its decoder makes a picture of nearly any.

Its parts state their lengths, and follow each other to the end. Within a part the arithmetic coder writes no runs of
one byte; packets without data are a byte of zeros each. A wrong bit within a block of code is not told by any of these.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from device.cameras.codecs.refused import Damaged
from device.cameras.codecs.runs import longest_run

_START = b"\xff\x4f\xff\x51"
_COD, _SOT = 0xFF52, 0xFF90
_RUN_MAX = 48
"""Longest run of one byte apart from empty packets; undamaged frames have 4 at most."""
_PACKETS_MAX = 400
"""So many empty packets in a row are let pass at most: the smallest sector of a disk is 512 bytes."""


@dataclass(frozen=True)
class _Main:
    """What the main header says."""

    tiles: int
    packets: int
    """Most packets that a tile has."""
    end: int
    """Where the first part begins."""


def is_jpeg2000(data: bytes) -> bool:
    """Whether the data begins as a JP2 file or a bare JPEG 2000 codestream does."""
    return data.startswith((_START, b"\0\0\0\x0cjP  \r\n\x87\n"))


def check_jpeg2000(data: bytes) -> None:
    """Raise `Damaged` unless each part of the codestream is there, ends where it says, and holds no run of one byte."""
    begin = data.find(_START)
    if begin < 0:
        raise Damaged("JPEG2000", "its picture is missing")
    try:
        main = _main_header(data, begin)
        found = _walk(data, main)
    except struct.error:
        raise Damaged("JPEG2000", "it ends early") from None
    if found != main.tiles:
        raise Damaged("JPEG2000", f"{found} of its {main.tiles} tiles")


def _main_header(data: bytes, begin: int) -> _Main:
    right, bottom, _, _, wide, high, left, top, components = struct.unpack_from(">8IH", data, begin + 8)
    if not wide or not high:
        raise Damaged("JPEG2000", "its header is torn")
    tiles = -(-(right - left) // wide) * -(-(bottom - top) // high)
    at, packets = begin + 2, _PACKETS_MAX
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == _SOT:
            return _Main(tiles, packets, at)
        if marker < 0xFF00 or length < 2:
            raise Damaged("JPEG2000", "its header is torn")
        if marker == _COD:
            style, _, layers, _, levels = struct.unpack_from(">BBHBB", data, at + 4)
            if not style & 1:  # one precinct a resolution
                packets = min(_PACKETS_MAX, layers * (levels + 1) * components)
        at += 2 + length


def _walk(data: bytes, main: _Main) -> int:
    """The number of different tiles that parts were found of."""
    at, seen = main.end, set[int]()
    while True:
        marker, _, tile, length = struct.unpack_from(">HHHI", data, at)
        if marker != _SOT or (length and length < 14) or tile >= main.tiles:
            raise Damaged("JPEG2000", "its parts do not follow each other")
        end = at + length if length else max(data.rfind(b"\xff\xd9"), at + 12)
        if end > len(data):
            raise Damaged("JPEG2000", "it ends early")
        run = longest_run(data[at + 12 : end])
        if run > _RUN_MAX + main.packets:
            raise Damaged("JPEG2000", f"{run} equal bytes in a row within its data")
        seen.add(tile)
        if data[end : end + 2] in (b"\xff\xd9", b"\0", b""):  # some leave the mark of the end out
            return len(seen)
        at = end
