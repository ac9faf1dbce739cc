"""Pictures whose pixels lie plain in the file, BMP and PPM: there must be as many bytes as their size makes.

Of such a file no byte tells of damage, but one that lost or got bytes, or whose stated size is wrong, has a wrong
length; a decoder takes what it needs and leaves the rest, a piece of the eye or a sheared one.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from device.cameras.codecs.refused import Damaged, Refused

if TYPE_CHECKING:
    from PIL import ImageFile

_PPM_HEADER_MAX, _DIGITS_MAX = 1 << 16, 8 << 20
_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]?")
_SAMPLES = {b"P5": 1, b"P6": 3}
_BMP_PACKED = (1, 2, 4, 5)
_PADDING_MAX = 3
"""Writers of BMP end the file at a round number of bytes."""
_V5_HEADER_BYTES = 124


def check_before(data: bytes) -> None:
    """Raise `Refused` for a PPM over whose header, or whose pixels in digits, Pillow would go byte by byte for long."""
    magic = data[:2]
    if magic[:1] != b"P":
        return
    wanted = 2 if magic in (b"P1", b"P4") else 3  # width, height, and the largest value
    begin = _COMMENT.sub(b"", data[2:_PPM_HEADER_MAX])
    if len(data) > _PPM_HEADER_MAX and re.match(rb"\s*(?:\S+\s+){%d}" % wanted, begin) is None:
        raise Refused(f"a PPM with a header of over {_PPM_HEADER_MAX >> 10} KiB, expected a line; export it anew")
    if magic in (b"P1", b"P2", b"P3") and len(data) > _DIGITS_MAX:
        raise Refused(f"a PPM in digits of over {_DIGITS_MAX >> 20} MiB; export it in bytes (P5, P6), or as PNG")


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
