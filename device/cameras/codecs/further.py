"""Further pictures behind the one that a file begins with, as when files were joined: a decoder stops before them.

Compiled where there was a compiler, in Python otherwise; `rop-read` has the compiled one.
"""

from __future__ import annotations

import re

from device.cameras.codecs.looks import compiled as _looks
from device.cameras.codecs.refused import several

_BEGINNING = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
_BEGINNINGS_MAX = 1000
"""Data of other kinds has one by chance in 16 MiB."""
_SEGMENTS_MAX = 2000
"""A JPEG's header has a dozen; one whose profile or depth map is cut in pieces, some hundred."""
_STRAY_BYTES_MAX = 16
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def check_alone(data: bytes, end: int, size: tuple[int, int]) -> None:
    """Raise `Refused` for a picture behind `end` that is more than a preview of half the size, as of an MPO.

    end: of the first picture, or anywhere in a JPEG's scans, which cannot hold the beginning of a picture (0xFF in them
    is followed by 0, and previews in EXIF stand before). size: width and height of the first picture.
    """
    pages = _pictures(data, end, size) if _looks is None else _looks.pictures(data, end, size)
    if pages > 1:
        raise several(pages)


def _pictures(data: bytes, end: int, size: tuple[int, int]) -> int:
    """How many pictures there are; more beginnings than data has by chance count, too."""
    pages = 1
    for number, found in enumerate(_BEGINNING.finditer(data, end)):
        if number >= _BEGINNINGS_MAX:
            return number
        width, height = _size(data, found.start()) or (0, 0)
        pages += 2 * width > size[0] or 2 * height > size[1]
    return pages


def _size(data: bytes, at: int) -> tuple[int, int] | None:
    """Width and height that the picture states which begins at `at`; None where none does."""
    if data[at] == 0xFF:
        return _jpeg_size(data, at + 2)
    if data[at] == 0x89:
        head = data[at + 12 : at + 24]
        return (int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:], "big")) if head[:4] == b"IHDR" else None
    return 1 << 16, 1 << 16  # nobody keeps a preview as WebP


def _jpeg_size(data: bytes, at: int) -> tuple[int, int] | None:
    for _ in range(_SEGMENTS_MAX):
        at = data.find(b"\xff", at, at + _STRAY_BYTES_MAX)
        if at < 0:
            return None
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        marker, length = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            return None
        if marker[0] in _SOF and length >= 8:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return None
