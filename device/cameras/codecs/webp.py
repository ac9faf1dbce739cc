"""Whether a WebP's data is whole, which its decoder cannot tell: it reads damaged data to the end of the picture.

Arithmetic coding never falls back into step: after damage, the decoder takes another number of bytes than the encoder
wrote. So the picture is decoded once more with the last bytes of each part left out: where that does not fail, the data
was not used up, and is not what was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from device.cameras.codecs.refused import Damaged

_LEFT_OUT = 6
"""Encoders write up to two bytes more than a decoder needs."""


def check_webp(data: bytes) -> None:
    """Raise `Damaged` unless the decoder needs every byte of the picture's data. Takes as long as decoding it."""
    kind, chunk = _picture(data)
    for shorter in _shortened(kind, chunk):
        if _decodes(kind, shorter):
            raise Damaged("WebP", "its data does not end where the picture does")


def _picture(data: bytes) -> tuple[bytes, bytes]:
    """Kind and content of the chunk that holds the picture; raises `Damaged` when it is not whole."""
    stated = int.from_bytes(data[4:8], "little") + 8
    if stated > len(data):
        raise Damaged("WebP", "it ends early")
    at = 12
    while at + 8 <= stated:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            break
        if kind in (b"VP8 ", b"VP8L"):
            return kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise Damaged("WebP", "its picture is missing")


def _shortened(kind: bytes, chunk: bytes) -> Iterator[bytes]:
    """The chunk with the end of its data left out, and for VP8 with the end of its first part left out."""
    if len(chunk) > _LEFT_OUT + 32:
        yield chunk[:-_LEFT_OUT]
    if kind != b"VP8 " or len(chunk) < 10:
        return
    head = int.from_bytes(chunk[:3], "little")
    size = head >> 5
    if _LEFT_OUT + 16 < size < len(chunk) - 10:
        fewer = (head & 31 | (size - _LEFT_OUT) << 5).to_bytes(3, "little")
        yield fewer + chunk[3 : 10 + size - _LEFT_OUT] + chunk[10 + size :]


def _decodes(kind: bytes, chunk: bytes) -> bool:
    from PIL import Image

    padded = chunk + b"\0" * (len(chunk) % 2)
    body = b"WEBP" + kind + len(chunk).to_bytes(4, "little") + padded
    try:
        with Image.open(BytesIO(b"RIFF" + len(body).to_bytes(4, "little") + body), formats=("WEBP",)) as picture:
            picture.load()
    except Exception:  # Pillow raises nearly anything on damaged data
        return False
    return True
