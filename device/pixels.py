"""Pixels as cameras give them (RGB, BGR, RGBX, NV12, YUYV, UYVY) made RGB, for drivers and for the daemon.

A YUV picture says by which matrix and range it was made: a guess would shift every colour, and the networks' answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from device.frame import Frame


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


class Matrix(IntEnum):
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
_WEIGHTS = {Matrix.BT601: (0.299, 0.114), Matrix.BT709: (0.2126, 0.0722)}
"""Of red and blue in luma: ITU-R BT.601-7 and BT.709-6, 2.5.1 and 3.2."""


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
    matrix: Matrix = Matrix.NONE
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

    data: uint8, at least `lying.bytes` long. YUV by the matrix and range that `lying` names, in 1/1024, each pixel with
    its nearest chroma. Not for JPEG, which its decoder makes RGB.
    """
    if lying.format in YUV:
        luma, chroma = _planes(data, lying)
        near = _resized(chroma, luma.shape[1], luma.shape[0], cv2.INTER_NEAREST)
        blue, red = map(_bytes, cv2.split(near))
        return _from_yuv(luma, blue, red, lying)
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
    """A picture as a frame, but for JPEG. halve: reduce it to means of 2 x 2 as it is made RGB; not of RGB8 and BGR8.

    Its SHA-256 is of the RGB bytes for RGB8 and BGR8; else of what came: the rows, of NV12 the luma rows then the
    chroma rows, all without padding. The other arguments are `Frame`'s.
    """
    digested = _digested(data, lying)
    halve = halve and lying.width % 2 == lying.height % 2 == 0
    pixels = _halved(data, lying) if digested and halve else rgb(data, lying)
    size = lying.width, lying.height
    return GivenFrame(pixels, sequence, source, captured_ns, captured_at, capture_ms, size=size, digested=digested)


@dataclass(frozen=True, eq=False)
class GivenFrame(Frame):
    """A frame that came in another form than RGB; its pixels may be halved, its size and SHA-256 are of what came."""

    size: tuple[int, int] = (0, 0)
    """Width and height as they came."""
    digested: tuple[NDArray[np.uint8], ...] = ()
    """What the SHA-256 is of, one after the other; empty: the pixels."""

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
            if part.flags.c_contiguous:
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
    """What the SHA-256 is of, where it is not the RGB bytes."""
    if lying.format in (PixelFormat.RGB8, PixelFormat.BGR8):
        return ()
    luma = data[: lying.stride * lying.height].reshape(lying.height, lying.stride)[:, : lying.row_bytes]
    return (luma, _chroma_rows(data, lying)) if lying.format is PixelFormat.NV12 else (luma,)


def _chroma_rows(data: NDArray[np.uint8], lying: Lying) -> NDArray[np.uint8]:
    first = lying.chroma_offset or lying.stride * lying.height
    count = lying.height // 2
    return data[first : first + lying.stride * count].reshape(count, lying.stride)[:, : lying.width]


def _planes(data: NDArray[np.uint8], lying: Lying) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Luma uint8 [H, W], and Cb Cr pairs uint8 [rows, W / 2, 2]."""
    if lying.format is PixelFormat.NV12:
        luma = data[: lying.stride * lying.height].reshape(lying.height, lying.stride)[:, : lying.width]
        return luma, _chroma_rows(data, lying).reshape(lying.height // 2, lying.width // 2, 2)
    packed = _rows(data, lying)
    parts = list(map(_bytes, cv2.split(np.ascontiguousarray(packed))))
    luma, chroma = parts if lying.format is PixelFormat.YUYV else parts[::-1]
    return luma, chroma.reshape(lying.height, lying.width // 2, 2)


def _halved(data: NDArray[np.uint8], lying: Lying) -> NDArray[np.uint8]:
    """RGB of half the size: each pixel from the mean of 2 x 2, of YUV from their mean luma and mean chroma."""
    size = lying.width // 2, lying.height // 2
    if lying.format is PixelFormat.RGBX8:
        return _bytes(cv2.cvtColor(_resized(_rows(data, lying), *size, cv2.INTER_AREA), cv2.COLOR_RGBA2RGB))
    if lying.format is PixelFormat.NV12:
        luma, chroma = _planes(data, lying)
        blue, red = map(_bytes, cv2.split(chroma))
        return _from_yuv(_resized(luma, *size, cv2.INTER_AREA), blue, red, lying)
    rows = _rows(data, lying).reshape(lying.height, lying.width // 2, 4)  # two pixels each
    parts = list(map(_bytes, cv2.split(cv2.addWeighted(rows[0::2], 0.5, rows[1::2], 0.5, 0))))
    if lying.format is PixelFormat.UYVY:
        parts = [parts[at] for at in (1, 0, 3, 2)]
    left, blue, right, red = parts
    return _from_yuv(_bytes(cv2.addWeighted(left, 0.5, right, 0.5, 0)), blue, red, lying)


def _resized(plane: NDArray[np.uint8], width: int, height: int, by: int) -> NDArray[np.uint8]:
    if plane.shape[:2] == (height, width):
        return plane
    return _bytes(cv2.resize(plane, (width, height), interpolation=by))


def _from_yuv(
    luma: NDArray[np.uint8], blue: NDArray[np.uint8], red: NDArray[np.uint8], lying: Lying
) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3], of luma, Cb and Cr, each [H, W]."""
    return _bytes(cv2.transform(cv2.merge((luma, blue, red)), _matrix(lying.matrix, lying.range)))


def _matrix(matrix: Matrix, levels: Range) -> NDArray[np.float64]:
    """From (Y, Cb, Cr, 1) to RGB, float64 [3, 4]."""
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    by_luma, by_chroma, black = (255 / 219, 255 / 224, 16) if levels is Range.LIMITED else (1.0, 1.0, 0)
    cr, cb = 2 * (1 - red) * by_chroma, 2 * (1 - blue) * by_chroma
    rows = [(by_luma, 0.0, cr), (by_luma, -cb * blue / green, -cr * red / green), (by_luma, cb, 0.0)]
    return np.array([(*row, -row[0] * black - (row[1] + row[2]) * 128) for row in rows])
