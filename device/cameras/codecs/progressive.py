"""Whether the scans of a progressive JPEG are whole, as far as libjpeg does not say.

libjpeg says when a scan's data ends before or well after its last block, but not when the last code of a scan stands
for more blocks than are left. The dark rim of a fundus is such a code, so it hides that all before it was shifted. Nor
does it say when a coefficient lies beyond its block's last. A scan that refines is walked over only where that is
compiled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import simplejpeg

from device.cameras.codecs.refused import Damaged, check_pieces
from device.cameras.codecs.runs import longest_run
from device.compiled import of_these_sources

try:
    from device.cameras.codecs import _scans
except ImportError:  # built without a compiler: libjpeg is asked, which takes longer
    _scans = None  # type: ignore[assignment]
else:
    if not of_these_sources(_scans):
        _scans = None  # type: ignore[assignment]

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RUN_MAX = 64
"""Longest run of one byte in a scan of details: undamaged frames have 6 at most, drawn stripes 43, a sector 512."""
_SIDE_MAX = 8000
"""Blocks; libjpeg takes 65500 pixels."""


@dataclass(frozen=True)
class Scan:
    """One scan: which frequencies of which channels, to which bit, and its data."""

    components: tuple[int, ...]
    first: int
    last: int
    high: int
    """The lowest bit known before, 0 for none."""
    low: int
    table: bytes
    """Huffman table of its details: 16 counts, then the values."""
    restart_every: int
    data: bytes


def check_scans(data: bytes) -> None:
    """Raise `Damaged` when a scan is missing, holds a run of one byte, or does not end with its last block.

    data: a progressive JPEG. Takes about half as long as decoding it, compiled a tenth.
    """
    frame, scans = _read(data)
    size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
    sampling = {frame[k]: (frame[k + 1] >> 4, frame[k + 1] & 15) for k in range(6, len(frame) - 2, 3)}
    if not sampling or not all(size) or not all(map(all, sampling.values())):
        raise Damaged("JPEG", "its header is torn")
    _check_bits(scans, set(sampling))
    known: dict[int, bytearray] = {}
    across, down = (max(s[k] for s in sampling.values()) for k in (0, 1))
    for scan in scans:
        if not scan.first:
            continue  # a dark rim may be a run of zeros here, and there is no code for several blocks
        run = longest_run(scan.data)
        if run > _RUN_MAX:
            raise Damaged("JPEG", f"{run} equal bytes in a row within a scan")
        if scan.restart_every or (scan.high and _scans is None):
            continue  # libjpeg looks for each of its restart markers
        one = sampling[scan.components[0]] if len(sampling) > 1 else (across, down)
        wide, high = (
            math.ceil(math.ceil(pixels * own / most) / 8)
            for pixels, own, most in zip(size, one, (across, down), strict=True)
        )
        of = known.setdefault(scan.components[0], bytearray(8 * wide * high))
        if not (_ends_with(scan, wide * high) if _scans is None else _walked(scan, of)):
            raise Damaged("JPEG", "a scan does not end with its last block")


def _read(data: bytes) -> tuple[bytes, list[Scan]]:
    """The content of the frame header, and the scans up to the end of the picture."""
    frame, tables, restart, scans = b"", dict[int, bytes](), 0, list[Scan]()
    at, segments = 2, 0
    while (found := _MARKER.search(data, at)) is not None and data[found.start() + 1] != 0xD9:
        check_pieces(segments := segments + 1, "JPEG of over {} segments")
        begin = found.start() + 2
        at = begin + int.from_bytes(data[begin : begin + 2], "big")
        body = data[begin + 2 : at]
        marker = data[found.start() + 1]
        if marker == 0xC2:
            frame = body
        elif marker == 0xC4:
            tables.update(_tables(body))
        elif marker == 0xDD:
            restart = int.from_bytes(body[:2], "big")
        elif marker == 0xDA:
            end = _MARKER.search(data, at)
            stop = len(data) if end is None else end.start()
            scans.append(_scan(body, tables, restart, data[at:stop]))
            at = stop
    return frame, scans


def _tables(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 17 <= len(body):
        end = at + 17 + sum(body[at + 1 : at + 17])
        yield body[at], body[at + 1 : end]
        at = end


def _scan(body: bytes, tables: dict[int, bytes], restart: int, data: bytes) -> Scan:
    count = body[0] if body else 0
    if not 1 <= count <= 4 or len(body) < 2 * count + 4:
        raise Damaged("JPEG", "the head of a scan is torn")
    first, last, bits = body[1 + 2 * count : 4 + 2 * count]
    if last > 63 or first > last or (first and count > 1):
        raise Damaged("JPEG", "the head of a scan is torn")
    table = tables.get(0x10 | body[2] & 15, b"")
    return Scan(tuple(body[1 : 1 + 2 * count : 2]), first, last, bits >> 4, bits & 15, table, restart, data)


def _check_bits(scans: list[Scan], components: set[int]) -> None:
    """Raise `Damaged` unless each bit of each frequency of each channel comes in some scan."""
    missing: dict[int, list[int]] = {}
    for scan in scans:
        for component in scan.components:
            bits = missing.setdefault(component, [13] * 64)
            bits[scan.first : scan.last + 1] = [scan.low] * (scan.last + 1 - scan.first)
    if set(missing) != components or any(any(bits) for bits in missing.values()):
        raise Damaged("JPEG", "scans are missing")


def _walked(scan: Scan, known: bytearray) -> bool:
    """As `_ends_with` by walking over the codes, and whether the data does not end before.

    known: which coefficients of each block are not 0 by the scans before, 64 bits a block, and then by this one.
    """
    return _scans.ends_with(scan.data, scan.table, scan.first, scan.last, known, bool(scan.high))


def _ends_with(scan: Scan, blocks: int) -> bool:
    """Whether the data of a first scan of details lasts for no more than so many blocks.

    It is decoded as the details of a gray picture of a block more, or the next size that makes a rectangle: libjpeg
    must miss the data of the rest.
    """
    wide, high = _rectangle(blocks + 1)
    picture = b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, b"\0" + bytes(64)),  # 0 all over: libjpeg would smooth the blocks otherwise, for nothing
            _segment(0xC2, b"\x08" + (8 * high).to_bytes(2, "big") + (8 * wide).to_bytes(2, "big") + b"\1\1\x11\0"),
            _segment(0xC4, b"\0" + b"\1" + bytes(15) + b"\0"),
            _segment(0xDA, b"\1\1\0\0\0\0"),
            bytes(-(-wide * high // 8)),  # all blocks of one brightness, a bit each
            _segment(0xC4, b"\x10" + scan.table),
            _segment(0xDA, b"\1\1\0" + bytes((scan.first, scan.last, scan.low))),
            scan.data,
            b"\xff\xd9",
        )
    )
    try:
        # An eighth of the size: all codes are read, and nearly no pixels made.
        simplejpeg.decode_jpeg(picture, colorspace="GRAY", strict=True, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return "remature end" in str(error)
    return False


def _rectangle(blocks: int) -> tuple[int, int]:
    """Sides of the rectangle of at least so many blocks, and as few more as can be."""
    least = -(-blocks // _SIDE_MAX)
    return min(
        ((wide, -(-blocks // wide)) for wide in range(least, max(least, math.isqrt(blocks)) + 1)),
        key=lambda sides: sides[0] * sides[1],
    )


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
