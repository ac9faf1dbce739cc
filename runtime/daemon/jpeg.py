"""A JPEG in a slot, as RGB."""

from __future__ import annotations

from device.cameras.codecs.jpeg import is_jpeg, read_header
from device.cameras.codecs.refused import Refused
from device.cameras.files.decode import Decoded, decode_sent_jpeg
from device.pixels import Lying, PixelsUnusable


def decoded(data: bytes, lying: Lying) -> Decoded:
    """A whole baseline JPEG in colour whose file holds exactly that size; else `PixelsUnusable`.

    What a file says of its colours and of how it is turned holds, as where it is read from a folder. The header is
    looked at first: the scans of a progressive one may take seconds.
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
        return decode_sent_jpeg(data)
    except Refused as error:
        raise PixelsUnusable(str(error)) from None
