"""Whether a WebP's data is whole, which its decoder cannot tell: it reads damaged data to the end of the picture.

Arithmetic coding never falls back into step: after damage, the decoder takes another number of bytes than the encoder
wrote. So the picture is decoded once more with the last bytes of each part left out: where that does not fail, the data
was not used up, and is not what was written.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs import webp_library
from device.cameras.codecs.further import check_alone
from device.cameras.codecs.refused import Damaged

_LEFT_OUT = 6
"""Encoders write up to two bytes more than a decoder needs."""
_PARTS_MAX = 8
"""Of the coded values, behind a table of their lengths: those of all but the last, 3 bytes each."""
_ZEROS_A_BLOCK = 32
"""Bytes: a block (16 x 16 pixels) has 25 codes for nothing, of 8 bits at most."""


def decode_webp(data: bytes, size: tuple[int, int], *, transparent: bool = False) -> NDArray[np.uint8] | None:
    """RGB, uint8 [H, W, 3], of a lossy picture; None for lossless and transparent ones, or without libwebp at hand.

    Raises `Damaged` unless the decoder needs every byte of the picture's data, whatever is given.
    size: width and height that the file states.
    """
    kind, chunk = _picture(data, size)
    lossy = kind == b"VP8 " and len(chunk) > _LEFT_OUT + 32
    pixels, early = None, False
    if lossy and not transparent and webp_library.is_there():
        if tuple(int.from_bytes(chunk[at : at + 2], "little") & 0x3FFF for at in (6, 8)) != size:
            raise Damaged("WebP", "its picture has another size than it states")
        pixels, early = webp_library.decoded(_file_of(kind, chunk), size, _LEFT_OUT + len(chunk) % 2)
        if pixels is None and not early:
            raise Damaged("WebP", "it cannot be decoded")
    elif len(chunk) > _LEFT_OUT + 32:
        early = _decodes(kind, chunk[:-_LEFT_OUT])
    if early or (lossy and _has_spare_modes(chunk, size)):
        raise Damaged("WebP", "its data does not end where the picture does")
    return pixels


def _picture(data: bytes, size: tuple[int, int]) -> tuple[bytes, bytes]:
    """Kind and content of the chunk that holds the picture; raises `Refused` when it is not whole, or not alone."""
    stated = int.from_bytes(data[4:8], "little") + 8
    if stated > len(data):
        raise Damaged("WebP", "it ends early")
    check_alone(data, stated, size)
    at = 12
    while at + 8 <= stated:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            break
        if kind in (b"VP8 ", b"VP8L"):
            return kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise Damaged("WebP", "its picture is missing")


def _has_spare_modes(chunk: bytes, size: tuple[int, int]) -> bool:
    """Whether the first part of a VP8 chunk, how each block is predicted, has bytes to spare at its end.

    It is decoded with its last bytes left out; in place of the other parts stand so many zeros (a code for nothing,
    block after block) that these cannot end first, as nothing of them is asked and they take the longest.
    """
    head = int.from_bytes(chunk[:3], "little")
    length = head >> 5
    if not _LEFT_OUT + 16 < length < len(chunk) - 10:
        return False
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    part = min(_ZEROS_A_BLOCK * blocks + 64, (1 << 24) - 1)
    fewer = (head & 31 | (length - _LEFT_OUT) << 5).to_bytes(3, "little") + chunk[3 : 10 + length - _LEFT_OUT]
    nothing = part.to_bytes(3, "little") * (_PARTS_MAX - 1) + bytes(_PARTS_MAX * part)
    if webp_library.is_there():
        return webp_library.decodes(_file_of(b"VP8 ", fewer + nothing), size)
    return _decodes(b"VP8 ", fewer + nothing)


def _file_of(kind: bytes, chunk: bytes) -> bytes:
    body = b"WEBP" + kind + len(chunk).to_bytes(4, "little") + chunk + b"\0" * (len(chunk) % 2)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _decodes(kind: bytes, chunk: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(BytesIO(_file_of(kind, chunk)), formats=("WEBP",)) as picture:
            picture.load()
    except Exception:  # Pillow raises nearly anything on damaged data
        return False
    return True
