"""Units (NAL) of H.264 and H.265: a packet taken apart and put together.

Source: ITU-T H.264 and H.265, annex B (start codes); ISO/IEC 14496-15 (lengths).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_AT_LENGTH = {"h264": 4, "hevc": 21}
"""Where the configuration record (avcC, hvcC) says how many bytes a unit's length takes."""
_START = re.compile(rb"\x00\x00\x01")


def length_bytes(codec: str, extradata: bytes) -> int:
    """How many bytes tell a unit's length before it; 0 where units stand behind start codes."""
    at = _AT_LENGTH[codec]
    return (extradata[at] & 3) + 1 if len(extradata) > at and extradata[0] == 1 else 0


def split(packet: bytes, codec: str, extradata: bytes) -> list[bytes] | None:
    """The units of a packet; None where they do not fit it."""
    size = length_bytes(codec, extradata)
    if not size:
        starts = [found.end() for found in _START.finditer(packet)]
        if not starts:
            return None if packet else []
        ends = [start - 3 for start in starts[1:]] + [len(packet)]
        return [packet[start:end].rstrip(b"\0") for start, end in zip(starts, ends, strict=True)]
    units, at = [], 0
    while at < len(packet):
        length = int.from_bytes(packet[at : at + size], "big")
        unit = packet[at + size : at + size + length]
        if length == 0 or len(unit) < length:
            return None
        units.append(unit)
        at += size + length
    return units


def joined(units: Sequence[bytes], codec: str, extradata: bytes) -> bytes:
    """A packet of these units, in the form of the stream that the extradata is of."""
    size = length_bytes(codec, extradata)
    return b"".join((len(unit).to_bytes(size, "big") if size else b"\0\0\0\1") + unit for unit in units)


def is_slice(unit: bytes) -> bool:
    """Whether a unit of H.265 holds a slice of a picture."""
    return bool(unit) and (unit[0] >> 1) & 63 < 32


def parameter_sets(extradata: bytes) -> list[bytes]:
    """The units that a stream's configuration of H.265 holds (hvcC, or units behind start codes)."""
    if not length_bytes("hevc", extradata):
        return split(extradata, "hevc", b"") or []
    units, at = [], 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(extradata[at : at + 2], "big")
            units.append(extradata[at + 2 : at + 2 + length])
            at += 2 + length
    return units
