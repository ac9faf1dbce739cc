"""Pixels as cameras give them (RGB, BGR, RGBX, NV12, YUYV, UYVY) made RGB, for drivers and for the daemon.

A YUV picture says by which matrix and range it was made: a guess would shift every colour, and the networks' answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from device.compiled import of_these_sources
from device.frame import Frame

try:
    import device._yuv as _yuv
except ImportError:  # built without a compiler: the same numbers, later
    _yuv = None  # type: ignore[assignment]
else:
    if not of_these_sources(_yuv):
        _yuv = None  # type: ignore[assignment]


class PixelFormat(IntEnum):
    """How the pixels lie. From `GRAY8` on marked as such: known by name so that they can be refused with a reason."""

    RGB8 = 1
    BGR8 = 2
    GRAY8 = 3
    """Refused: the networks read colour."""
    RGBX8 = 4
    """Four bytes a pixel; the fourth counts for nothing."""
    NV12 = 5
    """Luma rows, then rows of Cb Cr pairs for 2 x 2 pixels each."""
    YUYV = 6
    """Y0 Cb Y1 Cr for two pixels of a row."""
    UYVY = 7
    """Cb Y0 Cr Y1 for two pixels of a row."""
    JPEG = 8
    """A baseline JPEG file's bytes."""
    RGB48 = 9
    """Refused: 16 bits a channel are the camera's own scale."""
    BAYER8 = 10
    """Refused: the camera's processor owns the colour."""


class ColourMatrix(IntEnum):
    """From YCbCr to RGB."""

    NONE = 0
    """Not YUV."""
    BT601 = 1
    BT709 = 2


class Range(IntEnum):
    """What black and white are in YCbCr."""

    NONE = 0
    """Not YUV."""
    FULL = 1
    """0 to 255."""
    LIMITED = 2
    """Luma 16 to 235, chroma 16 to 240."""


YUV = frozenset({PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY})
REFUSED = {
    PixelFormat.GRAY8: "GRAY8 cannot be graded: the networks read colour; send the camera's colour picture",
    PixelFormat.RGB48: "RGB48 is on the camera's own scale; have its processor (ISP) give 8 bits a channel",
    PixelFormat.BAYER8: "Bayer data has no colour yet; have the camera's processor (ISP) give RGB or YUV",
}
"""Why a format is not taken, and what to do."""
ROW_BYTES = {PixelFormat.RGB8: 3, PixelFormat.BGR8: 3, PixelFormat.RGBX8: 4, PixelFormat.YUYV: 2, PixelFormat.UYVY: 2}
ROW_BYTES |= {PixelFormat.NV12: 1, PixelFormat.GRAY8: 1, PixelFormat.RGB48: 6, PixelFormat.BAYER8: 1}
_WEIGHTS = {ColourMatrix.BT601: (0.299, 0.114), ColourMatrix.BT709: (0.2126, 0.0722)}
"""Of red and blue in luma: ITU-R BT.601-7 and BT.709-6, 2.5.1 and 3.2."""


_COMPILED_AT_MOST = 65536
"""Pixels of a side in yuv.c."""
_ROWS_AT_ONCE = 64
"""Rows of RGBX that are made RGB for their SHA-256: few enough to stay in a core's cache (a megabyte of 2040 pixels
across), and so many that the calls count for nothing (of 16 rows: 0.7 ms more)."""
_LAYOUTS = (PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY)
"""By their numbers in yuv.c."""


class PixelsUnusable(ValueError):
    """A picture that cannot be what it says; the text says what, got, expected."""


@dataclass(frozen=True)
class Lying:
    """Where a picture lies in some bytes."""

    format: PixelFormat
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    stride: int
    """Bytes from row to row; of NV12 in both planes; of JPEG 0."""
    matrix: ColourMatrix = ColourMatrix.NONE
    range: Range = Range.NONE
    chroma_offset: int = 0
    """Bytes from the first luma row to the first chroma row of NV12; 0: right behind the luma rows."""
    data_bytes: int = 0
    """Length of a JPEG."""

    def __post_init__(self) -> None:
        if self.format in REFUSED:
            raise PixelsUnusable(REFUSED[self.format])
        if min(self.width, self.height) < 1:
            raise PixelsUnusable(f"size: got {self.width} x {self.height}, expected at least 1 x 1")
        if (self.format in YUV) is not bool(self.matrix and self.range) or (self.matrix > 0) is not (self.range > 0):
            wanted = "BT.601 or BT.709, full or limited" if self.format in YUV else "none"
            got = f"{self.matrix.name}, {self.range.name}"
            raise PixelsUnusable(f"matrix and range of {self.format.name}: got {got}, expected {wanted}")
        if self.format is PixelFormat.JPEG:
            if self.stride or not self.data_bytes:
                raise PixelsUnusable(f"JPEG: got stride {self.stride}, {self.data_bytes} bytes; expected 0 and above 0")
        elif self.stride < self.row_bytes:
            raise PixelsUnusable(f"stride: got {self.stride} bytes, needs {self.row_bytes} for {self.width} pixels")
        elif self.data_bytes:
            raise PixelsUnusable(f"length: got {self.data_bytes} bytes for {self.format.name}, expected 0")
        if self.format in YUV and self.width % 2:
            raise PixelsUnusable(f"width of {self.format.name}: got {self.width}, expected an even number")
        if self.format is PixelFormat.NV12 and self.height % 2:
            raise PixelsUnusable(f"height of NV12: got {self.height}, expected an even number")
        least = self.stride * self.height
        if self.chroma_offset and (self.format is not PixelFormat.NV12 or self.chroma_offset < least):
            raise PixelsUnusable(f"chroma_offset: got {self.chroma_offset}, expected 0, or of NV12 {least} or more")

    @property
    def row_bytes(self) -> int:
        """Of a row without padding; of NV12 the same in both planes."""
        return self.width * ROW_BYTES.get(self.format, 0)

    @property
    def bytes(self) -> int:
        """From the first byte to the end of the last row."""
        if self.format is PixelFormat.JPEG:
            return self.data_bytes
        if self.format is not PixelFormat.NV12:
            return self.stride * self.height
        return (self.chroma_offset or self.stride * self.height) + self.stride * (self.height // 2)


def rgb(data: NDArray[np.uint8], lying: Lying) -> NDArray[np.uint8]:
    """A picture as RGB, uint8 [H, W, 3]; a view of `data` where RGB8 lies without padding.

    data: uint8, at least `lying.bytes` long. YUV by the matrix and range that `lying` names, each pixel with its
    nearest chroma; at most a level from what floating point gives. Not for JPEG, which its decoder makes RGB.
    """
    if lying.format in YUV:
        return _from_yuv(data, lying, halve=False)
    pixels = _rows(data, lying)
    if lying.format is PixelFormat.RGB8:
        return pixels
    code = cv2.COLOR_BGR2RGB if lying.format is PixelFormat.BGR8 else cv2.COLOR_RGBA2RGB
    return _bytes(cv2.cvtColor(pixels, code))


def frame_of(
    data: NDArray[np.uint8],
    lying: Lying,
    sequence: int,
    source: str,
    captured_ns: int,
    captured_at: datetime,
    capture_ms: float,
    halve: bool = False,
) -> GivenFrame:
    """A picture as a frame, but for JPEG. halve: reduce YUV and RGBX to means of 2 x 2 as they are made RGB.

    Its SHA-256 is of the RGB bytes; of YUV it is of what came: the rows, of NV12 the luma rows then the chroma rows,
    all without padding. The other arguments are `Frame`'s.
    """
    size = lying.width, lying.height
    halve = halve and lying.width % 2 == lying.height % 2 == 0
    digested: tuple[NDArray[np.uint8], ...] = ()
    if lying.format in YUV:
        pixels, digested = _from_yuv(data, lying, halve), _digested(data, lying)
    elif lying.format is PixelFormat.RGBX8 and halve:
        digested = (_rows(data, lying),)
        small = cv2.resize(digested[0], (lying.width // 2, lying.height // 2), interpolation=cv2.INTER_AREA)
        pixels = _bytes(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB))
    else:
        pixels = rgb(data, lying)
    return GivenFrame(pixels, sequence, source, captured_ns, captured_at, capture_ms, size=size, digested=digested)


@dataclass(frozen=True, eq=False)
class GivenFrame(Frame):
    """A frame that came in another form than RGB; its pixels may be halved, its size and SHA-256 are of what came."""

    size: tuple[int, int] = (0, 0)
    """Width and height as they came."""
    digested: tuple[NDArray[np.uint8], ...] = ()
    """What the SHA-256 is of, one after the other, of RGBX its RGB bytes; empty: the pixels."""

    @property
    def width(self) -> int:
        """Pixels across, as it came."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Pixels down, as it came."""
        return self.size[1]

    @cached_property
    def sha256(self) -> str:
        """As `frame_of` says."""
        digest = hashlib.sha256()
        for part in self.digested or (self.pixels,):
            if part.ndim == 3 and part.shape[2] == 4:
                for first in range(0, part.shape[0], _ROWS_AT_ONCE):
                    digest.update(_bytes(cv2.cvtColor(part[first : first + _ROWS_AT_ONCE], cv2.COLOR_RGBA2RGB)).data)
            elif part.flags.c_contiguous:
                digest.update(part.data)
            else:
                for row in part:
                    digest.update(row.data)
        return digest.hexdigest()


def _bytes(image: object) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8)


def _rows(data: NDArray[np.uint8], lying: Lying) -> NDArray[np.uint8]:
    """The pixels of a format with all in one plane, uint8 [H, W, bytes a pixel]; a view."""
    rows = data[: lying.stride * lying.height].reshape(lying.height, lying.stride)[:, : lying.row_bytes]
    return rows.reshape(lying.height, lying.width, -1)


def _digested(data: NDArray[np.uint8], lying: Lying) -> tuple[NDArray[np.uint8], ...]:
    """What the SHA-256 of YUV is of."""
    luma = data[: lying.stride * lying.height].reshape(lying.height, lying.stride)[:, : lying.row_bytes]
    return (luma, _chroma_rows(data, lying)) if lying.format is PixelFormat.NV12 else (luma,)


def _chroma_rows(data: NDArray[np.uint8], lying: Lying) -> NDArray[np.uint8]:
    first = lying.chroma_offset or lying.stride * lying.height
    count = lying.height // 2
    return data[first : first + lying.stride * count].reshape(count, lying.stride)[:, : lying.width]


def _from_yuv(data: NDArray[np.uint8], lying: Lying, halve: bool) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3], or of half the size by means of 2 x 2 of its pixels."""
    weights = _weights(lying.matrix, lying.range)
    if _yuv is not None and max(lying.width, lying.height) <= _COMPILED_AT_MOST:
        by = 2 if halve else 1
        out = np.empty((lying.height // by, lying.width // by, 3), np.uint8)
        chroma_at = lying.chroma_offset or lying.stride * lying.height
        sizes = _LAYOUTS.index(lying.format), lying.width, lying.height, lying.stride, chroma_at, halve
        _yuv.convert(np.ascontiguousarray(data), out, sizes, weights)
        return out
    whole = _plain(data, lying, weights)
    if not halve:
        return whole
    four = whole.astype(np.uint16).reshape(lying.height // 2, 2, lying.width // 2, 2, 3).sum((1, 3))
    return np.asarray((four + 2) >> 2, np.uint8)


def _plain(data: NDArray[np.uint8], lying: Lying, weights: tuple[int, ...]) -> NDArray[np.uint8]:
    """What yuv.c does, in NumPy: levels in 1/32, rounded down at each step; uint8 [H, W, 3]."""
    by_luma, red_cr, green_cb, green_cr, blue_cb, red, green, blue = weights
    if lying.format is PixelFormat.NV12:
        luma = data[: lying.stride * lying.height].reshape(lying.height, lying.stride)[:, : lying.width]
        chroma = _chroma_rows(data, lying).reshape(lying.height // 2, lying.width // 2, 2).repeat(2, axis=0)
    else:
        packed, first = _rows(data, lying), int(lying.format is PixelFormat.UYVY)
        luma, chroma = packed[..., first], packed[..., 1 - first].reshape(lying.height, lying.width // 2, 2)
    y = (luma.astype(np.int32) * 256 * by_luma) >> 16
    cb, cr = np.moveaxis((chroma.repeat(2, axis=1).astype(np.int32) - 128) * 256, 2, 0)
    r = y + ((cr * red_cr) >> 16) + red
    g = y + ((cb * green_cb) >> 16) + ((cr * green_cr) >> 16) + green
    b = y + ((cb * blue_cb) >> 16) + blue
    return np.asarray(np.clip(np.dstack((r, g, b)) >> 5, 0, 255), np.uint8)


@cache
def _weights(matrix: ColourMatrix, levels: Range) -> tuple[int, ...]:
    """In 1/32 of a level and times 256: of luma, Cr for red, Cb, Cr for green, Cb for blue; then what is added to each.

    What is added holds the black level, half a level to round and what is lost where two products are rounded down.
    """
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    by_luma, by_chroma, black = (255 / 219, 255 / 224, 16) if levels is Range.LIMITED else (1.0, 1.0, 0)
    cr, cb = 2 * (1 - red) * by_chroma, 2 * (1 - blue) * by_chroma
    products = by_luma, cr, -cb * blue / green, -cr * red / green, cb
    return (*(round(32 * 256 * product) for product in products), *(17 - round(32 * by_luma * black),) * 3)
