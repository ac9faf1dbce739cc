"""A JPEG in a slot, as RGB."""

from __future__ import annotations

from device.cameras.codecs.jpeg import decode_jpeg, is_jpeg, read_header
from device.cameras.codecs.refused import Refused
from device.cameras.files.decode import TURNED, decode_bytes
from device.pixels import Lying, PixelsUnusable
from runtime.arrays import UInt8Array

_MAY_SAY_MORE = (b"\xff\xe1", b"\xff\xe2")
"""Markers of segments with EXIF or XMP, and with a colour profile or further pictures."""


def decoded(data: bytes, lying: Lying) -> UInt8Array:
    """RGB, uint8 [H, W, 3], of a whole baseline JPEG in colour of exactly that size; else `PixelsUnusable`.

    What a file says of its colours holds, as where it is read from a folder. One that is to be turned is refused: the
    client's picture and the vessel map would lie otherwise than what was read. The header is looked at first: the
    scans of a progressive one may take seconds.
    """
    try:
        if not is_jpeg(data):
            raise PixelsUnusable("JPEG: the data does not begin as one")
        header = read_header(data)
        if (header.width, header.height) != (lying.width, lying.height):
            got = f"{header.width} x {header.height}"
            raise PixelsUnusable(f"JPEG: holds {got} pixels, expected {lying.width} x {lying.height}")
        if header.kind not in ("baseline", "extended") or header.components != 3:
            kind = f"{header.kind} with {header.components} components"
            raise PixelsUnusable(f"JPEG: is {kind}; send a baseline one in colour")
        head = data[: header.data_at]
        if not any(marker in head for marker in _MAY_SAY_MORE):
            return decode_jpeg(data)
        picture = decode_bytes(data)
    except Refused as error:
        raise PixelsUnusable(str(error)) from None
    if TURNED in picture.changes or picture.pixels.shape[:2] != (lying.height, lying.width):
        raise PixelsUnusable("JPEG: its EXIF orientation is not 1; turn the pixels and send it upright")
    return picture.pixels
