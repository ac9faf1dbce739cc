"""What a TIFF file holds, from its directories, before any decoder looks; and one kind that Pillow reads wrongly."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.jpeg import check_jpeg
from device.cameras.codecs.packbits import unpacked_bytes
from device.cameras.codecs.refused import Damaged, Refused, check_size

_DIRECTORIES_MAX = 64
"""A chain of thousands takes a decoder minutes; a picture with its thumbnails has a handful."""
_VALUES_MAX = 1 << 20
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SUBTYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _FORMAT, _OLD_SUBTYPE = 273, 277, 278, 279, 284, 339, 255
_TILE_OFFSETS, _TILE_COUNTS, _JPEG_TABLES = 324, 325, 347
_JPEG, _PACKBITS, _YCBCR = 7, 32773, 6
_DEFLATE = (8, 32946)
_INFLATED_MAX = 512 << 20
"""64 megapixels of colour in 16 bits, and room for the rest."""
_WANTED = frozenset(
    {_SUBTYPE, _OLD_SUBTYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC}
    | {_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _FORMAT}
    | {_TILE_OFFSETS, _TILE_COUNTS, _JPEG_TABLES}
)


@dataclass(frozen=True)
class TiffPage:
    """One directory."""

    tags: dict[int, tuple[int, ...]]
    order: str
    """`<` or `>`."""

    def first(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        values = self.tags.get(tag, ())
        return values[0] if values else default

    @property
    def secondary(self) -> bool:
        """Whether it says of itself that it is a thumbnail or a mask."""
        return bool(self.first(_SUBTYPE) & 5) or self.first(_OLD_SUBTYPE) == 2

    @property
    def inverted(self) -> bool:
        """Whether 0 means white (in gray)."""
        return self.first(_PHOTOMETRIC, 1) == 0

    @property
    def kind(self) -> str:
        """What it is, for a message."""
        bits = "/".join(map(str, self.tags.get(_BITS, (1,))[:4]))
        planes = ", in planes" if self.first(_PLANAR, 1) == 2 else ""
        return f"TIFF of {bits} bits, compression {self.first(_COMPRESSION, 1)}{planes}"


def is_tiff(data: bytes) -> bool:
    """Whether the data begins as TIFF or BigTIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_pages(data: bytes) -> list[TiffPage]:
    """The directories in their order; raises `Damaged`, or `Refused` for more than anyone's picture has."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43 if len(data) >= 4 else False
    word = "Q" if big else "I"
    pages: list[TiffPage] = []
    try:
        (at,) = struct.unpack_from(order + word, data, 8 if big else 4)
        while at:
            if len(pages) == _DIRECTORIES_MAX:
                raise Refused(f"a TIFF of more than {_DIRECTORIES_MAX} pages, expected one; export the one to be read")
            tags, at = _read_directory(data, at, order, big)
            pages.append(TiffPage(tags, order))
    except (struct.error, OverflowError, MemoryError):
        raise Damaged("TIFF", "its directories cannot be read") from None
    if not pages:
        raise Damaged("TIFF", "it has no page")
    return pages


def _read_directory(data: bytes, at: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    word, entry_bytes, inline = ("Q", 20, 8) if big else ("I", 12, 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at += 8 if big else 2
    if count > 4096:
        raise Damaged("TIFF", "its directories cannot be read")
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at, at + count * entry_bytes, entry_bytes):
        tag, kind, values = struct.unpack_from(order + "HH" + word, data, entry)
        code = _TYPES.get(kind)
        if tag not in _WANTED or code is None or values > _VALUES_MAX:
            continue
        value_at = entry + entry_bytes - inline
        if values * struct.calcsize(code) > inline:
            (value_at,) = struct.unpack_from(order + word, data, value_at)
        tags[tag] = struct.unpack_from(f"{order}{values}{code}", data, value_at)
    (following,) = struct.unpack_from(order + word, data, at + count * entry_bytes)
    return tags, int(following)


def main_page(pages: list[TiffPage]) -> int:
    """The number of the one picture among the pages, thumbnails and masks left aside; raises `Refused` for several."""
    full = [number for number, page in enumerate(pages) if not page.secondary]
    if len(full) > 1:
        sizes = [pages[number].first(_WIDTH) for number in full]
        largest = max(range(len(full)), key=sizes.__getitem__)
        if all(2 * size <= sizes[largest] for k, size in enumerate(sizes) if k != largest):
            return full[largest]  # the others are previews that do not say so
        raise Refused(
            f"{len(full)} pages or animation frames in one file, expected one picture; export the one to be read"
        )
    return full[0] if full else 0


def planes_of_16_bits(data: bytes, page: TiffPage) -> NDArray[np.uint8] | None:
    """RGB, uint8 [H, W, 3], the upper byte of each value, of a picture whose channels lie one behind the other.

    None for every other kind: Pillow reads those rightly, and this one as if it had 8 bits.
    """
    if page.tags.get(_BITS, ())[:3] != (16, 16, 16) or page.first(_PLANAR, 1) != 2:
        return None
    if page.first(_COMPRESSION, 1) != 1 or page.first(_PHOTOMETRIC) != 2 or page.first(_FORMAT, 1) != 1:
        raise Refused(f"a {page.kind}, which is not read here; export it with its channels together")
    width, height, samples = page.first(_WIDTH), page.first(_HEIGHT), page.first(_SAMPLES, 3)
    check_size(width, height)
    rows = min(page.first(_ROWS, height) or height, height)
    offsets, counts = page.tags.get(_OFFSETS, ()), page.tags.get(_COUNTS, ())
    strips = -(-height // rows)
    if samples < 3 or len(offsets) != strips * samples or len(counts) != len(offsets):
        raise Damaged("TIFF", "its strips do not make its size")
    pixels = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        for strip in range(strips):
            top = strip * rows
            some = min(rows, height - top)
            at = offsets[channel * strips + strip]
            if at + 2 * some * width > len(data):
                raise Damaged("TIFF", "it ends early")
            wide = np.frombuffer(data, page.order + "u2", some * width, at)
            pixels[top : top + some, :, channel] = (wide >> 8).reshape(some, width)
    return pixels


def check_parts(data: bytes, page: TiffPage) -> None:
    """Raise `Damaged` when a strip or tile is damaged that is packed as JPEG, Deflate or PackBits: libtiff only warns.

    Of the other packings no byte tells.
    """
    packing = page.first(_COMPRESSION, 1)
    if packing == _PACKBITS:
        _check_packbits(data, page)
    if packing != _JPEG and packing not in _DEFLATE:
        return
    room = _INFLATED_MAX
    tables = bytes(page.tags.get(_JPEG_TABLES, ()))
    offsets = page.tags.get(_TILE_OFFSETS) or page.tags.get(_OFFSETS, ())
    counts = page.tags.get(_TILE_COUNTS) or page.tags.get(_COUNTS, ())
    for at, count in zip(offsets, counts, strict=False):
        part = data[at : at + count]
        if len(part) < count:
            raise Damaged("TIFF", "it ends early")
        if part and packing == _JPEG:  # a tile without data is an empty one
            check_jpeg(tables[:-2] + part[2:] if len(tables) > 4 else part)
        elif part:
            room -= _check_deflated(part, room)


def _check_packbits(data: bytes, page: TiffPage) -> None:
    """Strips, not tiles, of whole pixels must unpack to their rows: libtiff drops what is too much."""
    offsets, counts = page.tags.get(_OFFSETS, ()), page.tags.get(_COUNTS, ())
    width, height, samples = page.first(_WIDTH), page.first(_HEIGHT), page.first(_SAMPLES, 1)
    if page.first(_PHOTOMETRIC) == _YCBCR or page.tags.get(_TILE_OFFSETS) or not height:
        return
    rows = min(page.first(_ROWS, height) or height, height)
    strips = -(-height // rows)
    row_bytes = (width * page.first(_BITS, 1) * (1 if page.first(_PLANAR, 1) == 2 else samples) + 7) // 8
    for number, (at, count) in enumerate(zip(offsets, counts, strict=False)):
        expected = min(rows, height - number % strips * rows) * row_bytes
        got = unpacked_bytes(data[at : at + count])
        if got != expected:
            raise Damaged("TIFF", f"a part makes {got} bytes, its stated size {expected}")


def _check_deflated(part: bytes, room: int) -> int:
    """How many bytes a part holds when its check sum fits: libtiff stops before the sum, once the part is full."""
    unpacker = zlib.decompressobj()
    try:
        held = len(unpacker.decompress(part, room))
    except zlib.error:
        raise Damaged("TIFF", "a part does not fit its check sum") from None
    if unpacker.unconsumed_tail:
        raise Refused(f"a TIFF that unpacks to over {_INFLATED_MAX >> 20} MiB, expected less; export it smaller")
    if not unpacker.eof:
        raise Damaged("TIFF", "a part ends early")
    return held
