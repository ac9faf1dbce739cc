"""The mark in pictures that this program draws of readings (overlays, maps), so that none is ever read as an eye."""

from __future__ import annotations

import zlib

from device.cameras.codecs.refused import Refused

_WORDS = b"drawn of a reading, no photograph: rop-screening"
_JPEG_MARK = b"\xff\xfe" + (len(_WORDS) + 2).to_bytes(2, "big") + _WORDS
_PNG_CHUNK = b"tEXtComment\0" + _WORDS
_PNG_MARK = (len(_PNG_CHUNK) - 4).to_bytes(4, "big") + _PNG_CHUNK + zlib.crc32(_PNG_CHUNK).to_bytes(4, "big")
_AFTER_IHDR = 33


def marked(data: bytes) -> bytes:
    """A JPEG or PNG with the mark at its beginning; other data as it is."""
    if data.startswith(b"\xff\xd8"):
        return data[:2] + _JPEG_MARK + data[2:]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data[:_AFTER_IHDR] + _PNG_MARK + data[_AFTER_IHDR:]
    return data


def check_not_own(data: bytes) -> None:
    """Raise `Refused` for a picture with the mark."""
    if _WORDS in data[: _AFTER_IHDR + len(_PNG_MARK)]:
        raise Refused("drawn by this program of a reading, no photograph; give the frames themselves")
