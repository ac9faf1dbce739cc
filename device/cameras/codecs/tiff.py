"""What a TIFF file holds, from its directories, before any decoder looks; and kinds said so that Pillow reads them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from device.cameras.codecs.jpeg import check_jpeg
from device.cameras.codecs.packbits import unpacked_bytes
from device.cameras.codecs.refused import Damaged, Refused, several

_DIRECTORIES_MAX = 64
"""A chain of thousands takes a decoder minutes; a picture with its thumbnails has a handful."""
_VALUES_MAX = 1 << 20
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SUBTYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _FORMAT, _OLD_SUBTYPE = 273, 277, 278, 279, 284, 339, 255
_TILE_OFFSETS, _TILE_COUNTS, _JPEG_TABLES, _TILE_WIDTH, _TILE_HEIGHT = 324, 325, 347, 322, 323
_FILL_ORDER, _PREDICTOR, _EXTRA = 266, 317, 338
_RAW, _JPEG, _PACKBITS, _YCBCR = 1, 7, 32773, 6
_NOT_HEARD = (6, 32809, 34676, 34677, 50001)
"""Packings of which nothing tells of damage, or that Pillow's libtiff lacks: old JPEG, ThunderScan, LogLuv, WebP."""
_PLAIN_FORMATS = (1, 4)
"""Unsigned, and not said."""
_FORMATS = {2: "signed integers", 3: "floating point", 5: "complex integers", 6: "complex numbers"}
_UNSAID, _ASSOCIATED, _NOT_ASSOCIATED = 0, 1, 2
_KEPT = (_WIDTH, _HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT)
_DEFLATE = (8, 32946)
_INFLATED_MAX = 512 << 20
"""64 megapixels of colour in 16 bits, and room for the rest."""
_WANTED = frozenset(
    {_SUBTYPE, _OLD_SUBTYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC}
    | {_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _FORMAT}
    | {_TILE_OFFSETS, _TILE_COUNTS, _JPEG_TABLES, _TILE_WIDTH, _TILE_HEIGHT, _FILL_ORDER, _PREDICTOR, _EXTRA}
)


@dataclass(frozen=True)
class TiffPage:
    """One directory."""

    tags: dict[int, tuple[int, ...]]
    places: dict[int, tuple[int, str]]
    """Where the value of a tag lies, and its type."""
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
    def bits(self) -> tuple[int, ...]:
        """Bits of each channel."""
        return self.tags.get(_BITS, (1,))

    @property
    def channels_alone(self) -> tuple[int, ...]:
        """The channels to read one by one, of a picture in planes of 16 bits, which Pillow takes for 8; else none."""
        if self.first(_PLANAR, 1) != 2 or self.first(_PHOTOMETRIC) != 2 or self.bits[:3] != (16, 16, 16):
            return ()
        seen_through = self.tags.get(_EXTRA, ())[:1] == (_NOT_ASSOCIATED,) and len(self.bits) > 3
        return (0, 1, 2, 3)[: 3 + seen_through]

    @property
    def planes(self) -> int:
        """Into how many planes its channels are put apart."""
        return max(1, self.first(_SAMPLES, 1)) if self.first(_PLANAR, 1) == 2 else 1

    @property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of its tiles; None where it is in strips."""
        return (self.first(_TILE_WIDTH), self.first(_TILE_HEIGHT)) if _TILE_OFFSETS in self.tags else None

    @property
    def part_size(self) -> tuple[int, int]:
        """Width and height of its tiles, or of all its strips but the last; 0 where its size or theirs is."""
        height = self.first(_HEIGHT)
        return self.tile or (self.first(_WIDTH), min(self.first(_ROWS, height) or height, height))

    @property
    def part_count(self) -> int:
        """How many parts its size makes. Only where `part_size` holds no 0."""
        across, down = self.part_size
        return -(-self.first(_WIDTH) // across) * -(-self.first(_HEIGHT) // down) * self.planes

    @property
    def parts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Where its strips or tiles lie, and how many bytes each takes."""
        tags = (_OFFSETS, _COUNTS) if self.tile is None else (_TILE_OFFSETS, _TILE_COUNTS)
        return self.tags.get(tags[0], ()), self.tags.get(tags[1], ())

    @property
    def inverted(self) -> bool:
        """Whether 0 means white (in gray)."""
        return self.first(_PHOTOMETRIC, 1) == 0

    @property
    def kind(self) -> str:
        """What it is, for a message."""
        bits = "/".join(map(str, self.bits[:4]))
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
            page, at = _read_directory(data, at, order, big)
            pages.append(page)
    except (struct.error, OverflowError, MemoryError):
        raise Damaged("TIFF", "its directories cannot be read") from None
    if not pages:
        raise Damaged("TIFF", "it has no page")
    return pages


def _read_directory(data: bytes, at: int, order: str, big: bool) -> tuple[TiffPage, int]:
    word, entry_bytes, inline = ("Q", 20, 8) if big else ("I", 12, 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at += 8 if big else 2
    if count > 4096:
        raise Damaged("TIFF", "its directories cannot be read")
    tags: dict[int, tuple[int, ...]] = {}
    places: dict[int, tuple[int, str]] = {}
    for entry in range(at, at + count * entry_bytes, entry_bytes):
        tag, kind, values = struct.unpack_from(order + "HH" + word, data, entry)
        code = _TYPES.get(kind)
        if tag not in _WANTED or code is None or values > _VALUES_MAX:
            continue
        value_at = entry + entry_bytes - inline
        if values * struct.calcsize(code) > inline:
            (value_at,) = struct.unpack_from(order + word, data, value_at)
        places[tag] = value_at, code
        tags[tag] = struct.unpack_from(f"{order}{values}{code}", data, value_at)
    (following,) = struct.unpack_from(order + word, data, at + count * entry_bytes)
    return TiffPage(tags, places, order), int(following)


def main_page(pages: list[TiffPage]) -> int:
    """The number of the one picture among the pages, thumbnails and masks left aside; raises `Refused` for several."""
    full = [number for number, page in enumerate(pages) if not page.secondary]
    if len(full) > 1:
        sizes = [pages[number].first(_WIDTH) for number in full]
        largest = max(range(len(full)), key=sizes.__getitem__)
        if all(2 * size <= sizes[largest] for k, size in enumerate(sizes) if k != largest):
            return full[largest]  # the others are previews that do not say so
        raise several(len(full))
    return full[0] if full else 0


def check_kind(page: TiffPage) -> None:
    """Raise `Refused` for a kind that Pillow reads wrongly, or of which it would not tell that it is damaged."""
    if page.first(_COMPRESSION, 1) in _NOT_HEARD:
        raise Refused(f"a {page.kind}, which is not read here; export it uncompressed, as LZW or as Deflate")
    if page.first(_FORMAT, 1) not in _PLAIN_FORMATS:
        numbers = _FORMATS.get(page.first(_FORMAT), "no plain numbers")
        raise Refused(f"a {page.kind}, in {numbers}, expected unsigned integers; export it so")


def restated(data: bytes) -> bytes:
    """The same picture, said so that Pillow reads it: gray of more than 8 bits where 0 is white as if it were black, to
    be turned round afterwards; colours that alpha was multiplied into as colours, which they are over black."""
    pages = read_pages(data)
    page = pages[main_page(pages)]
    if page.inverted and page.bits in ((12,), (16,)):
        tag, value = _PHOTOMETRIC, 1
    elif page.tags.get(_EXTRA, ())[:1] == (_ASSOCIATED,):
        tag, value = _EXTRA, _UNSAID
    else:
        return data
    changed, (at, code) = bytearray(data), page.places[tag]
    struct.pack_into(page.order + code, changed, at, value)
    return bytes(changed)


def channel_alone(data: bytes, page: TiffPage, channel: int) -> bytes:
    """The same file with a directory of one channel only, as gray of 16 bits where 0 is black."""
    word, count_word, entry_bytes, at_word = ("Q", "Q", 20, 8) if data[2:4] in (b"+\0", b"\0+") else ("I", "H", 12, 4)
    places = (_OFFSETS, _COUNTS) if page.tile is None else (_TILE_OFFSETS, _TILE_COUNTS)
    offsets, counts = page.parts
    each, left = divmod(len(offsets), len(page.bits))
    if left or not each or len(counts) != len(offsets):
        raise Damaged("TIFF", "its strips do not make its size")
    own = slice(channel * each, (channel + 1) * each)
    tags = {tag: page.tags[tag][:1] for tag in _KEPT if tag in page.tags}
    tags |= {_BITS: (16,), _PHOTOMETRIC: (1,), _SAMPLES: (1,), places[0]: offsets[own], places[1]: counts[own]}
    data += bytes(len(data) % 2)
    directory, extra = struct.pack(page.order + count_word, len(tags)), b""
    extra_at = len(data) + len(directory) + entry_bytes * len(tags) + at_word
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{page.order}{len(values)}{word}", *values)
        if len(packed) > at_word:
            packed, extra = struct.pack(page.order + word, extra_at + len(extra)), extra + packed
        directory += struct.pack(page.order + "HH" + word, tag, 16 if word == "Q" else 4, len(values)) + packed
    begin = struct.pack(page.order + word, len(data))
    return data[:at_word] + begin + data[2 * at_word :] + directory + bytes(at_word) + extra


def check_parts(data: bytes, page: TiffPage) -> None:
    """Raise `Damaged` when a strip or tile is missing, lies in another one, or is damaged and packed as JPEG, Deflate
    or PackBits: decoders fill in what is missing, read what is there twice, and libtiff only warns.

    Of the other packings no byte tells.
    """
    _check_places(data, page)
    packing = page.first(_COMPRESSION, 1)
    if packing == _PACKBITS:
        _check_packbits(data, page)
    if packing != _JPEG and packing not in _DEFLATE:
        return
    room = _INFLATED_MAX
    tables = bytes(page.tags.get(_JPEG_TABLES, ()))
    for at, count in zip(*page.parts, strict=False):
        part = data[at : at + count]
        if packing == _JPEG:
            check_jpeg(tables[:-2] + part[2:] if len(tables) > 4 else part)
        else:
            room -= _check_deflated(part, room)


def _check_places(data: bytes, page: TiffPage) -> None:
    """There must be as many parts as the size makes, each with bytes of its own, within the file."""
    offsets, counts = page.parts
    if not all(page.part_size):
        raise Damaged("TIFF", "its parts have no size")
    expected = page.part_count
    sizes = (_raw_bytes(page) or counts) if len(offsets) == expected else ()
    if len(sizes) != expected:
        raise Damaged("TIFF", f"its size makes {expected} parts, it states the places of {len(offsets)}")
    end = 0
    for at, size in sorted(zip(offsets, sizes, strict=True)):
        if not at or not size:
            raise Damaged("TIFF", "a part of it has no data")
        if at < end:
            raise Damaged("TIFF", "two parts of it are in one place")
        end = at + size
    if end > len(data):
        raise Damaged("TIFF", "it ends early")


def _raw_bytes(page: TiffPage) -> tuple[int, ...]:
    """Bytes that each unpacked part takes: stated numbers of theirs are often wrong and heeded by nobody. Empty where
    it is packed, or where colours are stored for several pixels at once."""
    if page.first(_COMPRESSION, _RAW) != _RAW or page.first(_PHOTOMETRIC) == _YCBCR:
        return ()
    return _part_bytes(page)


def _part_bytes(page: TiffPage) -> tuple[int, ...]:
    """Bytes of each part, unpacked, where each pixel has its own colours."""
    height, (across, down) = page.first(_HEIGHT), page.part_size
    together = page.first(_SAMPLES, 1) if page.planes == 1 else 1
    row = (across * page.first(_BITS, 1) * together + 7) // 8
    if page.tile is not None:
        return (row * down,) * page.part_count
    rows = [min(down, height - first) for first in range(0, height, down)]
    return tuple(row * each for each in rows) * page.planes


def _check_packbits(data: bytes, page: TiffPage) -> None:
    """Parts of whole pixels must unpack to their rows: libtiff drops what is too much."""
    if page.first(_PHOTOMETRIC) == _YCBCR:
        return
    for at, count, expected in zip(*page.parts, _part_bytes(page), strict=True):
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
