from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import device.pixels
from device.pixels import (
    REFUSED,
    YUV,
    ColourMatrix,
    GivenFrame,
    Lying,
    PixelFormat,
    PixelsUnusable,
    Range,
    frame_of,
    rgb,
)
from runtime.preprocess import network_input
from tests.pictures import retina

WAYS = [
    (matrix, levels) for matrix in (ColourMatrix.BT601, ColourMatrix.BT709) for levels in (Range.FULL, Range.LIMITED)
]
FORMATS = [PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY]
KR_KB = {ColourMatrix.BT601: (0.299, 0.114), ColourMatrix.BT709: (0.2126, 0.0722)}
Pixels = NDArray[np.uint8]


def to_yuv(pixels: Pixels, matrix: ColourMatrix, levels: Range) -> Pixels:
    """The standards' own formulas, written from RGB to YCbCr, as a camera does it; uint8 [H, W, 3]."""
    red, blue = KR_KB[matrix]
    r, g, b = np.moveaxis(pixels.astype(np.float64) / 255, 2, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
    if levels is Range.FULL:
        parts = 255 * luma, 128 + 255 * cb, 128 + 255 * cr
    else:
        parts = 16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr
    return np.clip(np.rint(np.dstack(parts)), 0, 255).astype(np.uint8)


def laid_out(yuv: Pixels, pixel_format: PixelFormat, stride: int, chroma_offset: int = 0) -> Pixels:
    """The bytes as the camera gives them, padding filled with 77."""
    height, width = yuv.shape[:2]
    half = (width // 2, height // (2 if pixel_format is PixelFormat.NV12 else 1))
    chroma = np.asarray(cv2.resize(yuv[..., 1:], half, interpolation=cv2.INTER_AREA), np.uint8)
    if pixel_format is PixelFormat.NV12:
        offset = chroma_offset or stride * height
        data = np.full(offset + stride * (height // 2), 77, np.uint8)
        data[: stride * height].reshape(height, stride)[:, :width] = yuv[..., 0]
        data[offset:].reshape(height // 2, stride)[:, :width] = chroma.reshape(height // 2, width)
        return data
    data = np.full(stride * height, 77, np.uint8)
    rows = data.reshape(height, stride)
    first = 0 if pixel_format is PixelFormat.YUYV else 1
    rows[:, first : 2 * width : 2] = yuv[..., 0]
    rows[:, 1 - first : 2 * width : 2] = chroma.reshape(height, width)
    return data


def exact_rgb(yuv: Pixels, pixel_format: PixelFormat, matrix: ColourMatrix, levels: Range) -> Pixels:
    """The RGB picture in what `laid_out` makes of `yuv`: by the standards, each pixel with its nearest chroma."""
    height, width = yuv.shape[:2]
    down = 2 if pixel_format is PixelFormat.NV12 else 1
    chroma = np.asarray(
        cv2.resize(yuv[..., 1:], (width // 2, height // down), interpolation=cv2.INTER_AREA), np.float64
    )
    cb, cr = np.moveaxis(chroma.repeat(down, axis=0).repeat(2, axis=1) - 128, 2, 0)
    luma = yuv[..., 0].astype(np.float64)
    if levels is Range.LIMITED:
        luma, cb, cr = (luma - 16) * 255 / 219, cb * 255 / 224, cr * 255 / 224
    red, blue = KR_KB[matrix]
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.rint(np.dstack((r, g, b))), 0, 255).astype(np.uint8)


def frame(data: Pixels, lying: Lying, halve: bool = False) -> GivenFrame:
    return frame_of(data, lying, 3, "test", 5, datetime.now(timezone.utc), 1.0, halve)


@pytest.mark.parametrize(("matrix", "levels"), WAYS)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_the_networks_see_the_same_within_a_level(
    pixel_format: PixelFormat, matrix: ColourMatrix, levels: Range
) -> None:
    """As from the RGB picture that an exact converter makes of the same bytes, whole and reduced; the field's edge too.

    What halving the chroma costs against the camera's own RGB is lost before: it bleeds into the black at the edge.
    """
    picture = retina(3, width=1000, height=960)
    row = 1000 if pixel_format is PixelFormat.NV12 else 2000
    yuv = to_yuv(picture, matrix, levels)
    data, lying = laid_out(yuv, pixel_format, row + 24), Lying(pixel_format, 1000, 960, row + 24, matrix, levels)
    exact = exact_rgb(yuv, pixel_format, matrix, levels)
    assert np.abs(rgb(data, lying).astype(int) - exact).max() <= 1
    for halve in (False, True):
        got = network_input(frame(data, lying, halve).pixels).astype(int)
        assert np.abs(got - network_input(exact)).max() <= 1, halve
        off = np.abs(got - network_input(picture))
        assert off.mean() < 0.4
        assert (off > 1).mean() < 0.01


@given(
    st.sampled_from(FORMATS),
    st.sampled_from(WAYS),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_compiled_and_plain_are_equal(
    pixel_format: PixelFormat, way: tuple[ColourMatrix, Range], half: int, pairs: int, padding: int, seed: int
) -> None:
    pytest.importorskip("device._yuv", reason="the compiled YUV is not installed here")
    stride = half * (2 if pixel_format is PixelFormat.NV12 else 4) + padding
    lying = Lying(pixel_format, 2 * half, 2 * pairs, stride, *way)
    data = np.random.default_rng(seed).integers(0, 256, lying.bytes, dtype=np.uint8)
    compiled = [device.pixels._from_yuv(data, lying, halve) for halve in (False, True)]
    with mock.patch.object(device.pixels, "_yuv", None):
        plain = [device.pixels._from_yuv(data, lying, halve) for halve in (False, True)]
    assert all(map(np.array_equal, compiled, plain))


@pytest.mark.parametrize(
    "sizes",
    [
        (0, 8, 8, 8, 65, False),
        (0, 8, 8, 8, 64, True),
        (0, 8, 7, 8, 64, False),
        (0, 8, 8, 7, 64, False),
        (3, 8, 8, 8, 64, False),
        (1, 8, 8, 8, 64, False),
        (0, 8, 8, 2**62, 64, False),
        (0, 8, 8, 8, 2**62, False),
        (0, 8, 8, -8, 64, False),
        (0, 0, 8, 8, 64, False),
    ],
)
def test_the_compiled_door_reads_and_writes_nothing_beyond(sizes: tuple[int, int, int, int, int, bool]) -> None:
    yuv = pytest.importorskip("device._yuv", reason="the compiled YUV is not installed here")
    out = np.zeros((8, 8, 3), np.uint8)
    yuv.convert(np.ones(96, np.uint8), out, (0, 8, 8, 8, 64, False), (8192, 0, 0, 0, 0, 16, 16, 16))
    assert out.min() == out.max() == 1
    with pytest.raises(ValueError, match="do not belong together"):
        yuv.convert(np.ones(96, np.uint8), out, sizes, (8192, 0, 0, 0, 0, 16, 16, 16))


@pytest.mark.parametrize(("matrix", "levels"), WAYS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (180, 70, 40)])
def test_colours_come_back(matrix: ColourMatrix, levels: Range, colour: tuple[int, int, int]) -> None:
    picture = np.full((8, 8, 3), colour, np.uint8)
    for pixel_format in FORMATS:
        row = 8 if pixel_format is PixelFormat.NV12 else 16
        data = laid_out(to_yuv(picture, matrix, levels), pixel_format, row)
        got = rgb(data, Lying(pixel_format, 8, 8, row, matrix, levels))
        assert np.abs(got.astype(int) - picture).max() <= 2, pixel_format


def test_the_wrong_matrix_or_range_is_seen() -> None:
    """What is at stake where it is guessed: a plain retina's red is off by ten levels and more."""
    picture = np.full((8, 8, 3), (180, 70, 40), np.uint8)
    data = laid_out(to_yuv(picture, ColourMatrix.BT601, Range.LIMITED), PixelFormat.NV12, 8)
    for matrix, levels in WAYS[:1] + WAYS[2:]:
        got = rgb(data, Lying(PixelFormat.NV12, 8, 8, 8, matrix, levels))
        assert np.abs(got.astype(int) - picture).max() >= 8


def test_chroma_may_lie_elsewhere() -> None:
    picture = retina(1, width=64, height=64)
    yuv = to_yuv(picture, ColourMatrix.BT709, Range.FULL)
    near = rgb(laid_out(yuv, PixelFormat.NV12, 64), Lying(PixelFormat.NV12, 64, 64, 64, ColourMatrix.BT709, Range.FULL))
    far_data = laid_out(yuv, PixelFormat.NV12, 64, 8192)
    far = Lying(PixelFormat.NV12, 64, 64, 64, ColourMatrix.BT709, Range.FULL, 8192)
    assert far.bytes == far_data.size
    assert np.array_equal(near, rgb(far_data, far))


def test_rgbx_is_rgb_whatever_its_fourth_byte_says() -> None:
    picture = retina(2, width=960, height=960)
    for fourth in (0, 99):
        data = np.full((960, 1000, 4), fourth, np.uint8)
        data[:, :960, :3] = picture
        for halve in (False, True):
            seen = frame(data.reshape(-1), Lying(PixelFormat.RGBX8, 960, 960, 4000), halve)
            assert np.abs(network_input(seen.pixels).astype(int) - network_input(picture)).max() <= halve
            assert (seen.width, seen.height) == (960, 960)
            assert seen.sha256 == hashlib.sha256(picture.tobytes()).hexdigest()


def test_what_the_sha256_is_of() -> None:
    picture = retina(2, width=64, height=48)
    yuv = to_yuv(picture, ColourMatrix.BT601, Range.FULL)
    for pixel_format, row in ((PixelFormat.NV12, 64), (PixelFormat.YUYV, 128), (PixelFormat.UYVY, 128)):
        lying = Lying(pixel_format, 64, 48, row + 32, ColourMatrix.BT601, Range.FULL)
        padded = frame(laid_out(yuv, pixel_format, row + 32), lying)
        assert padded.sha256 == hashlib.sha256(laid_out(yuv, pixel_format, row).tobytes()).hexdigest()
    bgr = np.ascontiguousarray(picture[..., ::-1])
    for pixel_format, pixels in ((PixelFormat.RGB8, picture), (PixelFormat.BGR8, bgr)):
        seen = frame(pixels.reshape(-1), Lying(pixel_format, 64, 48, 192))
        assert seen.sha256 == hashlib.sha256(picture.tobytes()).hexdigest()
        assert np.array_equal(seen.pixels, picture)


@pytest.mark.parametrize("pixel_format", sorted(REFUSED))
def test_formats_that_cannot_be_graded_are_refused_with_what_to_do(pixel_format: PixelFormat) -> None:
    with pytest.raises(PixelsUnusable, match=r"send|have the camera's processor|have its processor"):
        Lying(pixel_format, 8, 8, 64)


GOOD: dict[str, Any] = {"format": PixelFormat.NV12, "width": 8, "height": 8, "stride": 8, "matrix": ColourMatrix.BT709}
GOOD |= {"range": Range.FULL}


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 7},
        {"height": 7},
        {"width": 0},
        {"stride": 7},
        {"matrix": ColourMatrix.NONE},
        {"range": Range.NONE},
        {"chroma_offset": 63},
        {"data_bytes": 1},
        {"format": PixelFormat.YUYV},
        {"format": PixelFormat.RGB8, "stride": 24},
        {"format": PixelFormat.JPEG},
        {
            "format": PixelFormat.RGB8,
            "stride": 24,
            "matrix": ColourMatrix.NONE,
            "range": Range.NONE,
            "chroma_offset": 4096,
        },
    ],
)
def test_what_cannot_lie_so_is_refused(changed: dict[str, Any]) -> None:
    assert Lying(**GOOD).bytes == 96
    with pytest.raises(PixelsUnusable):
        Lying(**(GOOD | changed))


@given(
    st.sampled_from([f for f in PixelFormat if f not in REFUSED and f is not PixelFormat.JPEG]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 9),
    st.integers(0, 70),
    st.binary(min_size=1, max_size=64),
)
def test_no_byte_beyond_what_it_says_is_read(
    pixel_format: PixelFormat, width: int, height: int, padding: int, away: int, noise: bytes
) -> None:
    ways: dict[str, Any] = {"matrix": ColourMatrix.BT601, "range": Range.LIMITED} if pixel_format in YUV else {}
    stride = {PixelFormat.NV12: 1, PixelFormat.YUYV: 2, PixelFormat.UYVY: 2, PixelFormat.RGBX8: 4}.get(pixel_format, 3)
    stride = stride * width + padding
    offset = stride * height + away if pixel_format is PixelFormat.NV12 and away else 0
    try:
        lying = Lying(pixel_format, width, height, stride, chroma_offset=offset, **ways)
    except PixelsUnusable:
        assert width % 2 or height % 2
        return
    data = np.resize(np.frombuffer(noise, np.uint8), lying.bytes)
    assert rgb(data, lying).shape == (height, width, 3)
    assert np.array_equal(rgb(data, lying), rgb(np.append(data, np.uint8(255)), lying))
