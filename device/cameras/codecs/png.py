"""The check sums of a PNG, which decoders leave aside: a chunk that does not fit its own is damaged."""

from __future__ import annotations

import zlib

from device.cameras.codecs.further import check_alone
from device.cameras.codecs.refused import Damaged, check_size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_size_and_sums(data: bytes) -> None:
    """Raise `Refused` for a picture over the limit, `Damaged` unless every chunk that makes it fits its CRC."""
    if data[12:16] == b"IHDR" and len(data) >= 24:
        check_size(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    at = len(_SIGNATURE)
    while True:
        head = data[at : at + 8]
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        end = at + 12 + length
        if len(head) < 8 or end > len(data):
            raise Damaged("PNG", "it ends early")
        needed = not kind[0] & 0x20  # a small letter marks what a picture can be shown without
        if needed and zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise Damaged("PNG", "a check sum does not fit")
        if kind == b"IEND":
            size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
            check_alone(data, end, size)
            return
        at = end
