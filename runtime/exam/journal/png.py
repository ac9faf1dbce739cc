"""Pictures of a journal as PNG files, lossless: any program opens them, and one is made while its frame is read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

from runtime.arrays import UInt8Array
from runtime.errors import ScreeningError
from runtime.exam.errors import JournalDamaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
"""Colour types (PNG specification, 11.2.2)."""
UP = 2
"""The filter of every row: what is stored is how it differs from the row above (9.2)."""
LEVEL = 1
"""zlib's and ISA-L's quickest that looks for repeats: the dark around a field and a vessel map are full of them."""


def _quickest() -> tuple[Callable[..., bytes], Callable[..., int]]:
    """ISA-L's deflate and checksum; without its package zlib's, which take several times as long and make as good a
    file."""
    try:
        from isal.isal_zlib import compress, crc32
    except ImportError:
        return zlib.compress, zlib.crc32
    return compress, crc32


compress, crc32 = _quickest()


def encode_png(pixels: UInt8Array) -> bytes:
    """Lossless file of a picture, RGB [H, W, 3] or grey [H, W], uint8. Lets other threads run meanwhile.

    Raises `ScreeningError` for what is no such picture.
    """
    colour = pixels.ndim == 3
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ScreeningError(
            f"a PNG is made of uint8 [H, W, 3] or [H, W], got {pixels.dtype} {list(pixels.shape)}; report this fault"
        )
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, RGB if colour else GREY, 0, 0, 0)
    content = compress(_filtered(pixels.reshape(height, -1)), LEVEL)
    return b"".join((SIGNATURE, *_chunk(b"IHDR", head), *_chunk(b"IDAT", content), *_chunk(b"IEND", b"")))


def decode_png(content: bytes) -> UInt8Array:
    """The picture in a PNG of a journal, pixel for pixel. Raises `JournalDamaged`."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise JournalDamaged("an image of the journal is no PNG; bring back a copy")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.asarray(picture, np.uint8)


def _filtered(rows: UInt8Array) -> UInt8Array:
    """Each row behind the byte that names its filter; the first has no row above it, which counts as zeros."""
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as the filter is defined
    return filtered


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """In parts, so that a large content is copied once only."""
    check = crc32(content, crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", check)
