"""A JPEG in a slot, as RGB."""

from __future__ import annotations

from device.cameras.codecs.jpeg import decode_jpeg, read_header
from device.cameras.codecs.refused import Refused
from device.pixels import Lying, PixelsUnusable
from runtime.arrays import UInt8Array


def decoded(data: bytes, lying: Lying) -> UInt8Array:
    """RGB, uint8 [H, W, 3], of a whole baseline JPEG in colour of exactly that size; else `PixelsUnusable`.

    The header is looked at first: the scans of a progressive one may take seconds.
    """
    try:
        header = read_header(data)
        if (header.width, header.height) != (lying.width, lying.height):
            got = f"{header.width} x {header.height}"
            raise PixelsUnusable(f"JPEG: holds {got} pixels, expected {lying.width} x {lying.height}")
        if header.kind not in ("baseline", "extended") or header.components != 3:
            kind = f"{header.kind} with {header.components} components"
            raise PixelsUnusable(f"JPEG: is {kind}; send a baseline one in colour")
        return decode_jpeg(data)
    except Refused as error:
        raise PixelsUnusable(str(error)) from None
