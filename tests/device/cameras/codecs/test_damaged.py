"""Damaged pictures of every format are refused, whatever a decoder would make of them; harmless oddities are read."""

from __future__ import annotations

import io
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from device import FrameUnreadable
from device.cameras.codecs import openjpeg, png, webp_library
from device.cameras.codecs.jpeg import decode_jpeg, read_header
from device.cameras.codecs.refused import Damaged, Refused
from device.cameras.codecs.seams import damage_seen, seam_score
from device.cameras.codecs.webp import decode_webp
from device.cameras.files import decode
from tests.pictures import retina

CASES = Path(__file__).parents[5] / "shared" / "cases" / "pictures"
RETINA = retina(seed=4, width=640, height=480)


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RETINA).save(buffer, kind, **options)
    return buffer.getvalue()


FORMATS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "baseline": ("jpg", lambda: encoded("JPEG", quality=90)),
    "optimised": ("jpg", lambda: encoded("JPEG", quality=90, optimize=True)),
    "progressive": ("jpg", lambda: encoded("JPEG", quality=90, progressive=True)),
    "restarts": ("jpg", lambda: encoded("JPEG", quality=90, restart_marker_rows=1)),
    "gray": ("jpg", lambda: _gray()),
    "webp": ("webp", lambda: encoded("WEBP", quality=85)),
    "webp lossless": ("webp", lambda: encoded("WEBP", lossless=True)),
    "png": ("png", lambda: encoded("PNG")),
    "tiff jpeg": ("tif", lambda: encoded("TIFF", compression="jpeg", quality=90)),
}


def _gray() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RETINA).convert("L").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def refused(path: Path, data: bytes) -> str | None:
    path.write_bytes(data)
    try:
        decode(path)
    except FrameUnreadable as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", FORMATS)
def test_whole_ones_are_read(tmp_path: Path, name: str) -> None:
    ending, make = FORMATS[name]
    assert refused(tmp_path / f"a.{ending}", make()) is None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
def test_a_hole_of_zeros_is_refused(tmp_path: Path, name: str, share: float) -> None:
    ending, make = FORMATS[name]
    data = bytearray(make())
    at = int(share * len(data))
    data[at : at + 2048] = bytes(len(data[at : at + 2048]))
    assert refused(tmp_path / f"a.{ending}", bytes(data)) is not None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_one_cut_off_and_ended_again_is_refused(tmp_path: Path, name: str, share: float) -> None:
    ending, make = FORMATS[name]
    data = make()
    keep = int(share * len(data))
    assert refused(tmp_path / f"a.{ending}", data[:keep] + data[-2:]) is not None


@pytest.mark.parametrize("name", ["baseline", "optimised", "progressive", "restarts"])
def test_pieces_lost_or_exchanged_are_refused(tmp_path: Path, name: str) -> None:
    """As packets of a network or sectors of a disk go missing."""
    ending, make = FORMATS[name]
    data, rng = make(), random.Random(7)
    for _ in range(8):
        at = rng.randrange(len(data) // 3, len(data) - 3000)
        path, whole = tmp_path / f"a.{ending}", decode_jpeg(data).astype(int)
        if refused(path, data[:at] + data[at + 1400 :]) is None:
            assert name == "progressive", "whose last scans add a level or two, which nobody misses"
            assert np.abs(decode(path) - whole).mean() < 2


def test_a_wrong_bit_that_changes_the_picture_is_refused(tmp_path: Path) -> None:
    """libjpeg tells of few of these; the seam that they leave does."""
    data, rng = FORMATS["baseline"][1](), random.Random(3)
    whole = decode_jpeg(data).astype(int)
    begin = data.index(b"\xff\xda") + 14
    passed = []
    for _ in range(60):
        flipped = bytearray(data)
        flipped[rng.randrange(begin, len(data) - 2)] ^= 1 << rng.randrange(8)
        try:
            pixels = decode_jpeg(bytes(flipped))
        except Refused:
            continue
        passed.append(float(np.abs(pixels - whole).mean()) if pixels.shape == whole.shape else 255.0)
    assert len(passed) > 10, "most flipped bits change one block, and are let pass"
    assert max(passed) < 4


J2K: dict[str, dict[str, object]] = {
    "lossless": {},
    "lossy": {"irreversible": True, "quality_mode": "rates", "quality_layers": [12]},
    "layers": {"irreversible": True, "quality_mode": "rates", "quality_layers": [60, 20, 8]},
    "tiles": {"tile_size": (200, 200), "quality_mode": "rates", "quality_layers": [12]},
    "small blocks": {"codeblock_size": (16, 16), "quality_mode": "rates", "quality_layers": [40]},
}


def jpeg2000(mode: str, **options: object) -> bytes:
    small = RETINA[::2, ::2]
    gray = Image.fromarray(small[:, :, 1].astype(np.uint16) * 256)
    buffer = io.BytesIO()
    (gray if mode == "I;16" else Image.fromarray(small).convert(mode)).save(buffer, "JPEG2000", **options)
    return buffer.getvalue()


@pytest.mark.skipif(not openjpeg.is_there(), reason="OpenJPEG is not found in the process")
@pytest.mark.parametrize("name", ["lossless", "lossy", "layers", "tiles"])
def test_wrong_bits_in_jpeg2000_are_told_by_the_bytes_that_its_blocks_take(tmp_path: Path, name: str) -> None:
    """Those in the heads of packets apart: a bit there makes a block brighter or darker as a whole."""
    path, data, rng = tmp_path / "a.jp2", jpeg2000("RGB", **J2K[name]), random.Random(3)
    path.write_bytes(data)
    whole, told, passed = decode(path).astype(int), 0, []
    for _ in range(24):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data) // 20, len(data) - 2)] ^= 1 << rng.randrange(8)
        if (why := refused(path, bytes(flipped))) is not None:
            told += "a block of its data does not end where it should" in why
        else:
            passed.append(float(np.abs(decode(path) - whole).mean()))
    assert told >= 4
    assert sum(levels > 0.2 for levels in passed) <= 1


@pytest.mark.skipif(not openjpeg.is_there(), reason="OpenJPEG is not found in the process")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("name", J2K)
def test_whole_jpeg2000_is_read_to_pillows_pixels(
    tmp_path: Path, name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jp2"
    path.write_bytes(jpeg2000(mode, **J2K[name]))
    pixels = decode(path)
    monkeypatch.setattr(openjpeg, "is_there", lambda: False)
    assert np.array_equal(pixels, decode(path))


@pytest.mark.parametrize("stray", [b"\0", b"\0\0\0", b"\x35\x17", bytes(500), b"\xff" * 40, b"\x41" * 9])
def test_stray_bytes_before_a_marker_alone_are_harmless(stray: bytes) -> None:
    data = FORMATS["baseline"][1]()
    whole = decode_jpeg(data)
    end = data.rindex(b"\xff\xd9")
    np.testing.assert_array_equal(decode_jpeg(data[:end] + stray + data[end:]), whole)
    np.testing.assert_array_equal(decode_jpeg(data[:2] + stray.rstrip(b"\xff") + data[2:]), whole)


def test_stray_bytes_before_restart_markers_are_harmless_and_hide_no_damage() -> None:
    data = FORMATS["restarts"][1]()
    begin = data.index(b"\xff\xda") + 14
    strays = re.sub(rb"(\xff[\xd0-\xd7])", lambda found: b"\x35\x17" + found[1], data[begin:])
    np.testing.assert_array_equal(decode_jpeg(data[:begin] + strays), decode_jpeg(data))
    torn = strays[:9000] + strays[9700:]
    with pytest.raises(Damaged):
        decode_jpeg(data[:begin] + torn)


def test_zeros_or_a_trailer_behind_the_end_are_harmless() -> None:
    data = FORMATS["baseline"][1]()
    whole = decode_jpeg(data)
    for trailer in (bytes(4096), b"VENDOR\xff\xd9trailer" + bytes(100)):
        np.testing.assert_array_equal(decode_jpeg(data + trailer), whole)


def test_the_pixels_are_pillows() -> None:
    for name in ("baseline", "progressive", "restarts"):
        data = FORMATS[name][1]()
        np.testing.assert_array_equal(decode_jpeg(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_whole_webp_needs_every_byte_and_has_pillows_pixels(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("WEBP", quality=quality)
    with Image.open(io.BytesIO(data)) as picture:
        size, pillows = picture.size, np.asarray(picture.convert("RGB"))
    pixels = decode_webp(data, size)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, pillows)
    monkeypatch.setattr(webp_library, "is_there", lambda: False)
    assert decode_webp(data, size) is None


def test_webp_with_alpha_behind_a_profile_is_laid_over_black(tmp_path: Path) -> None:
    clear = np.dstack([RETINA, np.full(RETINA.shape[:2], 255, np.uint8)])
    clear[:, :80, 3] = 0
    Image.fromarray(clear).save(tmp_path / "a.webp", quality=90, icc_profile=bytes(5000))
    pixels = decode(tmp_path / "a.webp")
    assert pixels[:, :80].max() == 0
    assert pixels[:, 80:].max() > 100


def test_webp_of_another_size_than_its_header_says_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded("WEBP", quality=90, icc_profile=bytes(50)))
    assert data[12:16] == b"VP8X"
    data[24:27] = (int.from_bytes(data[24:27], "little") + 64).to_bytes(3, "little")
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(FrameUnreadable):
        decode(tmp_path / "a.webp")


def test_a_flat_band_over_a_picture_is_seen_and_a_frame_around_it_is_not() -> None:
    for level in (0, 128):
        holed = RETINA.copy()
        holed[200:204] = level
        assert "rows 200 to 203" in (damage_seen(holed, blocks=False) or "")
    filled = RETINA.copy()
    filled[300:] = 128
    assert "one flat colour" in (damage_seen(filled) or "")
    framed = np.pad(RETINA, ((40, 40), (40, 40), (0, 0)), constant_values=90)
    assert damage_seen(framed, blocks=False) is None
    assert damage_seen(RETINA) is None


@pytest.mark.parametrize("column", [0, 150, 400])
@pytest.mark.parametrize("levels", [7, -9, 40])
def test_a_shift_of_all_blocks_after_one_is_a_seam(column: int, levels: int) -> None:
    pixels = decode_jpeg(FORMATS["baseline"][1]()).astype(int)
    assert seam_score(pixels.astype(np.uint8)) < 1
    pixels[232:240, column:] += levels
    pixels[240:] += levels
    assert seam_score(np.clip(pixels, 0, 255).astype(np.uint8)) > 1


def test_rows_of_blocks_that_all_step_are_strong_compression_and_one_that_stands_out_is_a_seam() -> None:
    rng = np.random.default_rng(3)
    blocky = RETINA.astype(int) + np.repeat(rng.integers(-3, 4, (60, 1, 1)), 8, axis=0)
    assert seam_score(np.clip(blocky, 0, 255).astype(np.uint8)) < 1
    blocky[240:] += 25
    assert seam_score(np.clip(blocky, 0, 255).astype(np.uint8)) > 1


def test_a_step_as_small_as_what_brightness_is_rounded_to_must_stand_out_more() -> None:
    pixels = RETINA.astype(int)
    pixels[240:] += 6
    stepped = np.clip(pixels, 0, 255).astype(np.uint8)
    without = seam_score(stepped)
    assert without > 1
    assert seam_score(stepped, quantum=1) == without
    assert seam_score(stepped, quantum=30) < 1
    pixels[240:] += 40
    assert seam_score(np.clip(pixels, 0, 255).astype(np.uint8), quantum=10) > 1


@pytest.mark.parametrize("quality", [10, 50, 92])
def test_the_rounding_of_brightness_is_read_from_the_header(quality: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RETINA).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as opened:
        steps = opened.quantization[0][0]
    assert read_header(buffer.getvalue()).quantum == steps / 8


@pytest.mark.data
def test_parts_of_frames_cut_out_and_stored_strongly_compressed_are_whole(data_root: Path) -> None:
    rng, refused, cut = random.Random(1), [], 0
    for picture in sorted((data_root / "hvdropdb_ridge" / "images").iterdir())[1::8]:
        with Image.open(picture) as opened:
            frame = opened.convert("RGB")
        for quality in (20, 30, 40, 50, 60):
            wide, high = (round(side * rng.uniform(0.3, 0.9)) for side in frame.size)
            left, top = rng.randrange(frame.width - wide), rng.randrange(frame.height - high)
            buffer = io.BytesIO()
            frame.crop((left, top, left + wide, top + high)).save(buffer, "JPEG", quality=quality)
            cut += 1
            try:
                decode_jpeg(buffer.getvalue())
            except Damaged as why:
                refused.append((picture.name, quality, str(why)))
    assert len(refused) <= 0.01 * cut, refused


@pytest.mark.data
@pytest.mark.parametrize("quality", [30, 50])
def test_whole_frames_of_strong_compression_are_read(data_root: Path, quality: int) -> None:
    for picture in sorted((data_root / "hvdropdb_ridge" / "images").iterdir())[1::12]:
        buffer = io.BytesIO()
        with Image.open(picture) as opened:
            opened.convert("RGB").save(buffer, "JPEG", quality=quality)
        assert damage_seen(decode_jpeg(buffer.getvalue())) is None, picture.name


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize("name", ["ridge_hole8k.jpg", "cut_half_eoi.jpg", "webp_hole4k.webp", "jpeg_hole.dcm"])
def test_shared_cases_of_damage(name: str) -> None:
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(CASES / name)


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize("name", ["ridge_whole.jpg", "trailing_mixed.jpg", "contact_sheet_2x2.jpg"])
def test_shared_cases_that_are_whole(name: str) -> None:
    with Image.open(CASES / name) as picture:
        np.testing.assert_array_equal(decode(CASES / name), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("compressed", [False, True], ids=["tEXt", "zTXt"])
def test_a_png_whose_words_are_damaged_is_read_and_one_whose_profile_is_damaged_is_not(
    tmp_path: Path, compressed: bool
) -> None:
    shown, path, words = Image.fromarray(RETINA), tmp_path / "a.png", PngInfo()
    words.add_text("Comment", "made by a camera", zip=compressed)
    shown.save(path, pnginfo=words, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for chunk, read in ((b"zTXt" if compressed else b"tEXt", True), (b"iCCP", False)):
        data = bytearray(path.read_bytes())
        data[data.index(chunk) + 16] ^= 4
        (tmp_path / "b.png").write_bytes(data)
        if read:
            np.testing.assert_array_equal(decode(tmp_path / "b.png"), RETINA)
        else:
            with pytest.raises(FrameUnreadable):
                decode(tmp_path / "b.png")


def with_damaged_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG with a chunk before its pixels that does not fit its CRC."""
    buffer = io.BytesIO()
    Image.fromarray(RETINA).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + len(body).to_bytes(4, "big") + kind + body + bytes(4) + data[33:]


@pytest.mark.parametrize(
    ("kind", "body"),
    [(kind, bytes(9)) for kind in (b"pHYs", b"bKGD", b"hIST", b"sPLT", b"oFFs", b"sTER", b"vpAg", b"tIME", b"sBIT")]
    + [(b"tEXt", b"Title\0an eye"), (b"zTXt", b"Comment\0\0" + bytes(9)), (b"iTXt", b"Author\0\0\0\0\0nobody")],
)
def test_a_png_is_read_whose_damage_lies_beside_the_picture(tmp_path: Path, kind: bytes, body: bytes) -> None:
    (tmp_path / "a.png").write_bytes(with_damaged_chunk(kind, body))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), RETINA)


@pytest.mark.parametrize(
    ("kind", "body"),
    [(kind, bytes(9)) for kind in (b"gAMA", b"cHRM", b"tRNS", b"eXIf", b"iCCP", b"sRGB", b"cICP", b"prVt", b"ABCD")]
    + [
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation='6'/>"),
        (b"iTXt", b"XML:com.adobe.xmq\0\0\0\0\0<x:xmpmeta tiff:Orientation='6'/>"),
        (b"zTXt", b"Raw profile type exif\0\0" + bytes(9)),
    ],
)
def test_a_png_is_damaged_whose_damage_may_be_of_its_colours_or_its_way_up(
    tmp_path: Path, kind: bytes, body: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(with_damaged_chunk(kind, body))
    with pytest.raises(FrameUnreadable, match="damaged or truncated PNG"):
        decode(tmp_path / "a.png")


def one_png(packed: bytes) -> bytes:
    """Grey, 64 x 64, of this stream."""
    heads = (b"IHDR" + (64).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00", b"IDAT" + packed, b"IEND")
    chunks = [(len(one) - 4).to_bytes(4, "big") + one + zlib.crc32(one).to_bytes(4, "big") for one in heads]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_png_of_gigabytes_in_kilobytes_is_not_unpacked_beyond_its_rows() -> None:
    size = 64 * (1 + 64)
    data = one_png(zlib.compress(bytes(1 << 26)))
    assert png._inflated(data, size) == size
    png.check_rows(data, np.zeros(64, np.uint8))


def test_a_png_whose_stream_breaks_off_is_damaged() -> None:
    packer = zlib.compressobj()
    packed = packer.compress(bytes(1000)) + packer.flush(zlib.Z_FULL_FLUSH)
    with pytest.raises(Damaged, match="rows are missing"):
        png.check_rows(one_png(packed + b"no stream at all"), np.zeros(64, np.uint8))


@pytest.mark.parametrize("kind", ["RGB", "L", "P", "RGBA", "1", "I;16"])
def test_a_png_whose_data_ends_before_its_last_row_is_damaged(tmp_path: Path, kind: str) -> None:
    """Its check sums fit, and Pillow shows black where nothing is."""
    picture = Image.fromarray(RETINA).convert("L" if kind == "I;16" else kind)
    if kind == "I;16":
        picture = Image.fromarray(np.asarray(picture, np.uint16) * 257)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    whole = buffer.getvalue()
    begin, end = whole.index(b"IDAT"), whole.index(b"IEND") - 4
    rows, at = b"", begin - 4
    while at < end:
        length = int.from_bytes(whole[at : at + 4], "big")
        rows += whole[at + 8 : at + 8 + length]
        at += 12 + length
    rows = zlib.decompress(rows)
    for missing in (0, len(rows) // RETINA.shape[0], len(rows) // 3):
        body = b"IDAT" + zlib.compress(rows[: len(rows) - missing])
        data = len(body[4:]).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        (tmp_path / "a.png").write_bytes(whole[: begin - 4] + data + whole[end:])
        if missing:
            with pytest.raises(
                FrameUnreadable, match=r"damaged or truncated PNG \((rows are missing|image file is trunc)"
            ):
                decode(tmp_path / "a.png")
        else:
            decode(tmp_path / "a.png")
