"""Every kind of picture that is converted, by its values, and every kind that is refused, by its message."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.files import decode
from device.cameras.files.decode import TURNED, decode_picture

RAMP = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)


def saved(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FrameUnreadable) as caught:
        decode(path, sequence=7)
    assert (caught.value.source, caught.value.sequence) == (path.name, 7)
    assert str(path.parent) not in str(caught.value), "a message must not carry the path"
    return str(caught.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "bmp", "ppm", "PNG"])
def test_lossless_pictures_keep_their_values(tmp_path: Path, ending: str) -> None:
    pixels = decode(saved(tmp_path / f"a.{ending}", Image.fromarray(RAMP)))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RAMP)


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_lossy_pictures_are_close(tmp_path: Path, ending: str) -> None:
    flat = np.full((32, 32, 3), (200, 120, 60), np.uint8)
    pixels = decode(saved(tmp_path / f"a.{ending}", Image.fromarray(flat), quality=95))
    assert np.abs(pixels.astype(int) - flat).max() <= 4


def test_gray_becomes_three_equal_channels(tmp_path: Path) -> None:
    pixels = decode(saved(tmp_path / "g.png", Image.fromarray(RAMP[..., 0])))
    np.testing.assert_array_equal(pixels, np.repeat(RAMP[..., :1], 3, axis=2))


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bit_gray_is_rounded_to_8(tmp_path: Path, ending: str) -> None:
    levels = np.array([[0, 128, 129, 257, 385, 386, 32768, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / f"g.{ending}"), levels)
    expected = np.round(levels / 257).astype(np.uint8)
    np.testing.assert_array_equal(decode(tmp_path / f"g.{ending}")[..., 1], expected)


def test_big_endian_16_bit_gray_tiff(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 25700, 65535]], ">u2")
    tags = [(256, 4), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 8)]
    entries = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    body = levels.tobytes() + struct.pack(">H", len(tags)) + entries + struct.pack(">I", 0)
    (tmp_path / "be.tif").write_bytes(struct.pack(">2sHI", b"MM", 42, 16) + body)
    np.testing.assert_array_equal(decode(tmp_path / "be.tif")[0, :, 0], [0, 1, 100, 255])


@pytest.mark.parametrize("ending", ["png", "tif", "ppm"])
def test_16_bit_colour_is_within_one_level(tmp_path: Path, ending: str) -> None:
    bgr = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"c.{ending}"), bgr)
    exact = bgr[..., ::-1] / 257
    assert np.abs(decode(tmp_path / f"c.{ending}") - exact).max() <= 1


def test_alpha_is_laid_over_black(tmp_path: Path) -> None:
    rgba = np.dstack([np.full((2, 3, 3), 200, np.uint8), np.array([[0, 128, 255]] * 2, np.uint8)])
    pixels = decode(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 100, 200])
    gray = decode(saved(tmp_path / "la.png", Image.fromarray(rgba[..., 2:])))
    np.testing.assert_array_equal(gray[0, :, 2], [0, 100, 200])


def test_palette_and_its_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode(saved(tmp_path / "p.png", picture))[0], [[10, 20, 30], [200, 100, 50]])
    clear = saved(tmp_path / "t.png", picture, transparency=1)
    np.testing.assert_array_equal(decode(clear)[0], [[10, 20, 30], [0, 0, 0]])


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, ending: str) -> None:
    ink = Image.new("CMYK", (16, 16), (0, 128, 255, 51))
    pixels = decode(saved(tmp_path / f"ink.{ending}", ink))
    expected = [255 * 0.8, 127 * 0.8, 0]
    assert np.abs(pixels.reshape(-1, 3) - expected).max() <= 4


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, ending: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 250  # only the upper left corner is bright
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(saved(tmp_path / f"o.{ending}", Image.fromarray(np.ascontiguousarray(stored)), exif=exif))
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= 12


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert decode(saved(tmp_path / "one.png", Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello world\n", "(text, 12 bytes); expected JPEG, PNG, TIFF, BMP, WebP or PPM"),
        (b"", "(empty file); expected JPEG"),
        (b"%PDF-1.7\n\x00\x01", "(PDF, 11 bytes)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "(SVG, 46 bytes)"),
        (b"\x89PNG", "(image with a damaged or truncated header, 4 bytes)"),
        (b"\0\0\0\x18ftypheic" + bytes(24), "(HEIC or AVIF, for which no decoder is shipped, 36 bytes)"),
        (bytes(range(256)), "(unknown format, 256 bytes)"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "Neo_01.png").write_bytes(content)
    message = refusal(tmp_path / "Neo_01.png")
    assert message.startswith("Neo_01.png: not an image that can be read (")
    assert words in message


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "bmp", "webp", "ppm"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_pictures_are_refused(tmp_path: Path, ending: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"cut.{ending}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize(
    ("mode", "dtype", "words"),
    [("F", np.float32, "floating point"), ("I", np.int32, "TIFF of 32 bits, compression 1, in signed integers")],
)
def test_deep_tiffs_are_refused(tmp_path: Path, mode: str, dtype: type, words: str) -> None:
    picture = Image.fromarray(np.ones((4, 4), dtype))
    assert picture.mode == mode
    assert words in refusal(saved(tmp_path / "deep.tif", picture))


@pytest.mark.parametrize("ending", ["jpg", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_whose_end_is_not_written_yet_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    """Its length was set beforehand, as copies over the network do, and the rest is zeros."""
    path = tmp_path / f"a.{ending}"
    Image.effect_noise((320, 240), 60).convert("RGB").save(path)
    data = path.read_bytes()
    written = int(share * len(data))
    path.write_bytes(data[:written] + bytes(len(data) - written))
    with pytest.raises(FrameUnreadable, match="damaged or truncated"):
        decode(path)


def test_zeros_behind_the_end_of_a_jpeg_are_padding(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((320, 240), 60).convert("RGB").save(path)
    whole = decode(path)
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert (decode(path) == whole).all()


@pytest.mark.parametrize("ending", ["tif", "png", "webp"])
def test_pages_and_animations_are_refused(tmp_path: Path, ending: str) -> None:
    pages = [Image.new("RGB", (8, 8), (k * 90, 0, 0)) for k in range(3)]
    path = saved(tmp_path / f"m.{ending}", pages[0], save_all=True, append_images=pages[1:])
    assert "3 pages or animation frames" in refusal(path)


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_giants_are_refused_by_their_header_and_take_no_memory(tmp_path: Path, side: int) -> None:
    (tmp_path / "giant.png").write_bytes(png_header(side, side))
    tracemalloc.start()
    message = refusal(tmp_path / "giant.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "64 megapixels" in message
    assert peak < 4_000_000


def test_64_megapixels_are_still_read(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png_header(8000, 8000))
    assert "megapixels" not in refusal(tmp_path / "big.png"), "it has no data, but its size is allowed"


def test_a_missing_file_and_a_folder_say_why(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "gone.png")
    (tmp_path / "d.png").mkdir()
    assert "not a regular file" in refusal(tmp_path / "d.png")


def test_a_name_that_is_no_utf8_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "b\udce4d.png"
    with pytest.raises(FrameUnreadable) as caught:
        decode(path)
    assert caught.value.source == "b?d.png"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "ending"), [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp")])
def test_a_picture_that_was_turned_upright_says_so_whoever_turned_it(
    tmp_path: Path, kind: str, ending: str, orientation: int
) -> None:
    """Pillow turns TIFF itself, and no other."""
    path, said = tmp_path / f"a.{ending}", Image.Exif()
    said[0x0112] = orientation
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(path, kind, exif=said)
    picture = decode_picture(path)
    assert picture.pixels.shape[:2] == ((24, 32) if orientation < 5 else (32, 24))
    assert picture.changes == (() if orientation == 1 else (TURNED,))
