"""What decoders leave aside of a PNG: its chunks' check sums, and rows that its data has not.

Source: Portable Network Graphics (Third Edition), W3C.
"""

from __future__ import annotations

import zlib
from typing import Any

from numpy.typing import NDArray

from device.cameras.codecs.further import check_alone
from device.cameras.codecs.refused import Damaged, check_pieces, check_size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By its kind of colour."""
_BESIDE = frozenset(
    {b"tIME", b"dSIG", b"pHYs", b"oFFs", b"pCAL", b"sCAL", b"sTER", b"vpAg", b"bKGD", b"hIST", b"sPLT", b"sBIT"}
)
"""Times, measures, and hints for screens of few colours: no pixel, colour or way up is in them."""
_WORDS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORDS = frozenset(
    {b"Title", b"Author", b"Description", b"Copyright", b"Creation Time"}
    | {b"Software", b"Disclaimer", b"Warning", b"Source", b"Comment"}
)
"""Of words that are for people; others hold EXIF or XMP, and with it the way up."""
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column, and steps down and right, of the passes of an interlaced picture."""


def is_png(data: bytes) -> bool:
    """Whether the data begins as PNG does."""
    return data.startswith(_SIGNATURE)


def check_size_and_sums(data: bytes) -> None:
    """Raise `Refused` for a picture over the limit, `Damaged` unless every chunk that makes it fits its CRC."""
    if data[12:16] == b"IHDR" and len(data) >= 24:
        check_size(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    at, chunks = len(_SIGNATURE), 0
    while True:
        check_pieces(chunks := chunks + 1, "PNG of over {} chunks")
        head = data[at : at + 8]
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        end = at + 12 + length
        if len(head) < 8 or end > len(data):
            raise Damaged("PNG", "it ends early")
        if not _fits(data, at, end) and not _beside(data, at, end):
            raise Damaged("PNG", "a check sum does not fit")
        if kind == b"IEND":
            size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
            check_alone(data, end, size)
            return
        at = end


def _fits(data: bytes, at: int, end: int) -> bool:
    """Whether a chunk fits its CRC."""
    return zlib.crc32(memoryview(data)[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _beside(data: bytes, at: int, end: int) -> bool:
    """Whether nothing of the picture is in a chunk, by its name and its keyword."""
    kind = data[at + 4 : at + 8]
    return kind in _BESIDE or (kind in _WORDS and data[at + 8 : end - 4].partition(b"\0")[0] in _KEYWORDS)


def without_damaged_words(data: bytes) -> bytes:
    """A file whose chunks follow each other, without those beside the picture that do not fit their CRC.

    Pillow would read none of the file.
    """
    at, dropped = len(_SIGNATURE), []
    while (kind := data[at + 4 : at + 8]) and kind != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if not _fits(data, at, end) and _beside(data, at, end):
            dropped.append((at, end))
        at = end
    for begin, end in reversed(dropped):
        data = data[:begin] + data[end:]
    return data


def check_rows(data: bytes, last_row: NDArray[Any]) -> None:
    """Raise `Damaged` when the data of a PNG, whose chunks are whole, ends before its last row.

    last_row: as Pillow decoded it, which leaves zeros where there was no data; so only then the data is counted.
    """
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    bits, colours, interlaced = data[24], data[25], data[28]
    if not interlaced and last_row.any():
        return
    pixel_bits = bits * _CHANNELS.get(colours, 1)
    wanted = 0
    for y, x, down, right in _PASSES if interlaced else ((0, 0, 1, 1),):
        rows, columns = len(range(y, height, down)), len(range(x, width, right))
        wanted += rows * (1 + (columns * pixel_bits + 7) // 8) if columns else 0
    if _inflated(data, wanted) < wanted:
        raise Damaged("PNG", "rows are missing")


def _inflated(data: bytes, most: int) -> int:
    """Bytes that the chunks of pixels hold; at most so many, as kilobytes may hold gigabytes."""
    reader, at, count = zlib.decompressobj(), len(_SIGNATURE), 0
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        piece = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while piece and not reader.eof and count < most:
            try:
                count += len(reader.decompress(piece, min(most - count, 1 << 20)))
            except zlib.error:
                return count
            piece = reader.unconsumed_tail
        at += 12 + length
    return count
