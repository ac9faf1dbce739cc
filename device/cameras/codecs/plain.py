"""Pictures whose pixels lie plain in the file, BMP and PPM: there must be as many bytes as their size makes.

Of such a file no byte tells of damage, but one that lost or got bytes, or whose stated size is wrong, has a wrong
length; a decoder takes what it needs and leaves the rest, a piece of the eye or a sheared one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from device.cameras.codecs.refused import Damaged

if TYPE_CHECKING:
    from PIL import ImageFile

_SAMPLES = {b"P5": 1, b"P6": 3}
_BMP_PACKED = (1, 2, 4, 5)
_PADDING_MAX = 3
"""Writers of BMP end the file at a round number of bytes."""
_V5_HEADER_BYTES = 124


def check_end(picture: ImageFile.ImageFile, data: bytes) -> None:
    """Raise `Damaged` when there are more bytes than an opened picture has; its decoder refuses fewer."""
    if data.startswith(b"BM"):
        _check_bmp(data)
    elif data[:2] in _SAMPLES and picture.tile:
        deep = picture.tile[0].args
        wide = picture.mode.startswith("I") or (
            isinstance(deep, tuple) and isinstance(deep[-1], int) and deep[-1] > 255
        )
        row = picture.width * _SAMPLES[data[:2]] * (2 if wide else 1)
        _compare("PPM", picture.tile[0].offset + row * picture.height, len(data), 1)


def _check_bmp(data: bytes) -> None:
    if len(data) < 54:
        return
    (stated,) = struct.unpack_from("<I", data, 2)
    begin, header_bytes, width, height, _, bits, packing = struct.unpack_from("<IIiiHHI", data, 10)
    if 40 <= header_bytes < _V5_HEADER_BYTES and packing not in _BMP_PACKED:
        _compare("BMP", begin + (abs(width) * bits + 31) // 32 * 4 * abs(height), len(data), _PADDING_MAX)
    elif stated:  # a colour profile may follow the pixels, and some writers leave the length out
        _compare("BMP", stated, len(data), _PADDING_MAX)


def _compare(kind: str, expected: int, got: int, padding: int) -> None:
    if got > expected + padding:
        raise Damaged(kind, f"it is {got} bytes long, its stated size makes {expected}")
