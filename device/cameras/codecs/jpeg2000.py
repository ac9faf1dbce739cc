"""Whether the data of a JPEG 2000 picture is whole as far as its bytes tell; its decoder makes a picture of nearly any.

Its parts state their lengths, and follow each other to the end. Within a part the arithmetic coder writes no runs of
one byte; packets without data are a byte of zeros each. A wrong bit within a block of code is told by none of these,
but the decoder of that block then takes another number of bytes than are there. OpenJPEG counts them where blocks are
said to end predictably, so that is said of them: it changes nothing else.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs import openjpeg
from device.cameras.codecs.refused import MAX_PIECES, Damaged, check_pieces
from device.cameras.codecs.runs import longest_run

_START = b"\xff\x4f\xff\x51"
_COD, _COC, _SOT, _SOD = 0xFF52, 0xFF53, 0xFF90, 0xFF93
_ENDS_PREDICTABLY, _HIGH_THROUGHPUT = 0x10, 0x40
"""Bits of a code block's style."""
_LEFT_MAX, _MADE_UP_MAX = 32, 64
"""Bytes of a block of code that its decoder does not need, and those that it wants beyond: whole pictures have 0 and at
most 26."""
_COUNTED = re.compile(r"PTERM check failure: (\d+) (remaining|synth)")
_RUN_MAX = 48
"""Longest run of one byte apart from empty packets; undamaged frames have 4 at most."""
_PACKETS_MAX = 400
"""So many empty packets in a row are let pass at most: the smallest sector of a disk is 512 bytes."""


_GRAY, _SRGB = 2, 1


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
    check_pieces(_boxes(data, begin), "JPEG 2000 of over {} boxes")
    try:
        main = _main_header(data, begin)
        found = _walk(data, main)
    except struct.error:
        raise Damaged("JPEG2000", "it ends early") from None
    if found != main.tiles:
        raise Damaged("JPEG2000", f"{found} of its {main.tiles} tiles")


def _boxes(data: bytes, begin: int) -> int:
    """How many boxes of a JP2 file stand before its codestream; one more than there may be where there are more."""
    at = count = 0
    while at + 8 <= begin and count <= MAX_PIECES:
        at += max(8, int.from_bytes(data[at : at + 4], "big"))
        count += 1
    return count


def decode_jpeg2000(data: bytes) -> NDArray[np.uint8] | None:
    """RGB or gray, uint8 [H, W, 3] or [H, W], as stored; None where others have to make the pixels: of other than 8
    bits a channel, with a palette, transparency or colours of another kind, or where OpenJPEG cannot be asked.

    Raises `Damaged` when OpenJPEG finds its data damaged, also where None would be returned.
    """
    if not openjpeg.is_there():
        return None
    heard = openjpeg.listened_to(_said_to_end_predictably(data))
    if not heard.whole:
        raise Damaged("JPEG2000", heard.said[-1][:100] if heard.said else "it cannot be decoded")
    for words in heard.said:
        counted = _COUNTED.match(words)
        if counted and int(counted[1]) > (_LEFT_MAX if counted[2] == "remaining" else _MADE_UP_MAX):
            raise Damaged("JPEG2000", "a block of its data does not end where it should")
    if heard.pixels is None or any(box in data[: data.find(_START)] for box in (b"pclr", b"cdef")):
        return None
    channels = heard.pixels.shape[2]
    if channels == 3 and heard.colours <= _SRGB:
        return heard.pixels
    return heard.pixels[:, :, 0] if channels == 1 and heard.colours != _SRGB and heard.colours <= _GRAY else None


def _said_to_end_predictably(data: bytes) -> bytes:
    """The same picture, whose blocks of code are said to end so that a decoder can tell (not those of HTJ2K)."""
    begin, said = data.find(_START), bytearray(data)
    (components,) = struct.unpack_from(">H", data, begin + 40)
    at = begin + 2
    try:
        while (marker := struct.unpack_from(">H", data, at)[0]) != _SOD:
            style_at = {_COD: at + 12, _COC: at + 9 + (components > 256)}.get(marker)
            if style_at is not None and not data[style_at] & _HIGH_THROUGHPUT:
                said[style_at] |= _ENDS_PREDICTABLY
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    except (struct.error, IndexError):  # no tile follows
        pass
    return bytes(said)


def _main_header(data: bytes, begin: int) -> _Main:
    right, bottom, _, _, wide, high, left, top, components = struct.unpack_from(">8IH", data, begin + 8)
    if not wide or not high:
        raise Damaged("JPEG2000", "its header is torn")
    tiles = -(-(right - left) // wide) * -(-(bottom - top) // high)
    at, packets, segments = begin + 2, _PACKETS_MAX, 0
    while True:
        check_pieces(segments := segments + 1, "JPEG 2000 of over {} segments")
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
    at, seen, parts = main.end, set[int](), 0
    while True:
        check_pieces(parts := parts + 1, "JPEG 2000 of over {} tile-parts")
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
