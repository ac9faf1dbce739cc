"""Frames in the formats that cameras have, from the slot to the result."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from device.cameras.codecs.jpeg import decode_jpeg
from device.cameras.files.decode import TURNED, decode, decode_bytes, decode_picture
from device.pixels import ColourMatrix, Lying, PixelFormat, PixelsUnusable, Range
from runtime.arrays import UInt8Array
from runtime.daemon.jpeg import decoded
from runtime.daemon.messages import ResultFlag, WireOutcome
from tests.device.test_pixels import laid_out, to_yuv
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running


def jpeg(picture: UInt8Array | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    shown = Image.fromarray(retina(4, width=96, height=64) if picture is None else picture)
    shown.save(out, "JPEG", **({"quality": 95} | options))
    return out.getvalue()


def lying_jpeg(data: bytes, width: int = 96, height: int = 64) -> Lying:
    return Lying(PixelFormat.JPEG, width, height, 0, data_bytes=len(data))


def test_a_jpeg_is_read_and_its_bytes_are_hashed(daemon: Running) -> None:
    data = jpeg()
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decoded(data, lying_jpeg(data)).pixels, wanted)
    with daemon.client() as client:
        client.begin(0)
        client.ring.pixels(0)[: len(data)] = np.frombuffer(data, np.uint8)
        client.finish(0)
        client.submit(0, 96, 64, pixel_format=PixelFormat.JPEG, data_bytes=len(data))
        result = client.result()
        assert result.frame_sha256 == hashlib.sha256(data).digest()
        assert result.flags & ResultFlag.GRADED


@pytest.mark.parametrize(
    ("data", "size", "said"),
    [
        (jpeg(), (95, 64), "holds 96 x 64 pixels, expected 95 x 64"),
        (jpeg(progressive=True), (96, 64), "progressive"),
        (jpeg()[:-400], (96, 64), "JPEG"),
        (jpeg()[:40], (96, 64), "JPEG"),
        (b"\x89PNG" + bytes(200), (96, 64), "JPEG"),
        (bytes(200), (96, 64), "JPEG"),
    ],
    ids=["another size", "progressive", "cut", "header only", "png", "zeros"],
)
def test_what_is_no_whole_baseline_jpeg_is_refused(data: bytes, size: tuple[int, int], said: str) -> None:
    with pytest.raises(PixelsUnusable, match=said):
        decoded(data, lying_jpeg(data, *size))


def test_a_jpeg_that_is_none_has_no_result_and_says_why(daemon: Running) -> None:
    with daemon.client() as client:
        client.begin(0)
        client.ring.pixels(0)[:100] = 1
        client.finish(0)
        client.submit(0, 96, 64, pixel_format=PixelFormat.JPEG, data_bytes=100)
        result = client.result()
        assert result.outcome is WireOutcome.NO_RESULT
        assert "JPEG" in result.text


def with_orientation(number: int, picture: UInt8Array | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return jpeg(picture, exif=exif)


def test_a_jpeg_is_turned_as_the_same_file_in_a_folder(daemon: Running, tmp_path: Path) -> None:
    for number in range(1, 9):
        data = with_orientation(number)
        (tmp_path / "p.jpg").write_bytes(data)
        sent, read = decoded(data, lying_jpeg(data)), decode_picture(tmp_path / "p.jpg")
        assert np.array_equal(sent.pixels, read.pixels)
        assert sent.changes == read.changes == ((TURNED,) if number > 1 else ())
    plain = decoded(jpeg(), lying_jpeg(jpeg())).pixels
    for data in (with_orientation(1), with_orientation(0), with_orientation(9), jpeg(exif=b"Exif\0\0damaged")):
        assert np.array_equal(decoded(data, lying_jpeg(data)).pixels, plain)
    whole = retina(4, width=320, height=240)
    with daemon.client(slot_bytes=4 * 320 * 320, stored_pictures=True) as client:
        for number in (6, 1):
            data = with_orientation(number, whole)
            client.begin(0)
            client.ring.pixels(0)[: len(data)] = np.frombuffer(data, np.uint8)
            client.finish(0)
            client.submit(0, 320, 240, pixel_format=PixelFormat.JPEG, data_bytes=len(data), vessels=True)
            result = client.result()
            assert result.outcome is WireOutcome.NO_REFERRAL_FINDINGS
            assert result.frame_sha256 == hashlib.sha256(data).digest()
            upright = decode_bytes(data).pixels
            assert upright.shape == ((320, 240, 3) if number == 6 else (240, 320, 3))
            vessels = np.array(client.vessels(result))
            other = client.vessels(client.read(np.ascontiguousarray(upright), vessels=True))
            assert other is not None
            assert np.array_equal(other, vessels)


def test_a_jpegs_colours_are_those_of_the_same_file_in_a_folder(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    adobe, srgb = jpeg(exif=exif), jpeg(icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for data, changed in ((adobe, True), (srgb, False)):
        (tmp_path / "p.jpg").write_bytes(data)
        read = decoded(data, lying_jpeg(data)).pixels
        assert np.array_equal(read, decode(tmp_path / "p.jpg"))
        assert np.array_equal(read, decode_jpeg(data)) is not changed


@pytest.mark.parametrize("pixel_format", [PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY, PixelFormat.RGBX8])
@pytest.mark.parametrize("width", [320, 960])
def test_every_format_is_read(daemon: Running, pixel_format: PixelFormat, width: int) -> None:
    picture = retina(2, width=width, height=width)
    row = width * {PixelFormat.NV12: 1, PixelFormat.RGBX8: 4}.get(pixel_format, 2)
    ways: dict[str, Any] = {"matrix": ColourMatrix.BT709, "levels": Range.LIMITED}
    if pixel_format is PixelFormat.RGBX8:
        data, ways = np.dstack((picture, picture[..., 0])).reshape(-1), {}
    else:
        data = laid_out(to_yuv(picture, ColourMatrix.BT709, Range.LIMITED), pixel_format, row)
    with daemon.client(slot_bytes=4 * 960 * 960, stored_pictures=True) as client:
        client.fill(0, data.reshape(1, -1))
        client.submit(0, width, width, pixel_format=pixel_format, **ways)
        result = client.result()
        assert result.outcome is WireOutcome.NO_REFERRAL_FINDINGS
        digested = picture if pixel_format is PixelFormat.RGBX8 else data
        assert result.frame_sha256 == hashlib.sha256(digested.tobytes()).digest()
        other = client.read(picture)
        assert other.outcome is result.outcome
        assert abs(other.vessel_fraction - result.vessel_fraction) < 0.01
