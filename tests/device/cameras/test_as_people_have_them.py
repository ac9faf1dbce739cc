"""Pictures as people really have them: profiles, planes, inverted gray, clear alpha, previews, odd DICOM; and bombs."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from device import FrameUnreadable
from device.cameras.codecs import tiff
from device.cameras.codecs.colours import SPACES, SRGB, matrix_profile
from device.cameras.codecs.profile import to_srgb
from device.cameras.codecs.refused import Refused
from device.cameras.files import decode
from device.cameras.files.decode import decode_picture
from tests.pictures import retina

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
RETINA = retina(width=160, height=120)


def refusal(path: Path) -> str:
    with pytest.raises(FrameUnreadable) as caught:
        decode(path)
    return str(caught.value)


WIDE = matrix_profile(replace(SPACES["ADOBERGB"], name="Adobe RGB like"))


@pytest.mark.parametrize(("ending", "options"), [("png", {}), ("tif", {}), ("jpg", {"quality": 98, "subsampling": 0})])
def test_colours_of_a_wider_profile_become_srgb(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    """Adobe RGB (180, 120, 60) is sRGB (197, 120, 49) to a few levels: the red is stronger than its number says."""
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (64, 64), (180, 120, 60)).save(path, icc_profile=WIDE, **options)
    read = decode_picture(path)
    assert read.changes == ("colours converted from Adobe RGB like to sRGB",)
    assert np.abs(read.pixels[32, 32].astype(int) - (197, 120, 49)).max() <= 5


def test_srgb_itself_is_left_as_it_is(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(NOISE).save(tmp_path / "a.png", icc_profile=profile)
    read = decode_picture(tmp_path / "a.png")
    assert read.changes == ()
    np.testing.assert_array_equal(read.pixels, NOISE)


@pytest.mark.parametrize("name", ["linear", "sRGB-elle-V2-g10", "sRGB IEC61966-2.1"])
def test_a_profile_is_taken_for_what_it_does_and_not_for_its_name(tmp_path: Path, name: str) -> None:
    linear = matrix_profile(replace(SRGB, name=name, gamma=1.0))
    Image.new("RGB", (8, 8), (55, 55, 55)).save(tmp_path / "a.png", icc_profile=linear)
    read = decode_picture(tmp_path / "a.png")
    assert np.abs(read.pixels[0, 0].astype(int) - 128).max() <= 3  # 0.216 of the light
    assert read.changes == (f"colours converted from {name} to sRGB",)
    Image.new("RGB", (8, 8), (55, 120, 200)).save(
        tmp_path / "a.png", icc_profile=matrix_profile(replace(SRGB, name="c2"))
    )
    assert decode_picture(tmp_path / "a.png").changes == ()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def jp2_with(profile: bytes) -> bytes:
    data = encoded("JPEG2000", no_jp2=False)
    at = data.index(b"jp2h") - 4
    head, rest = data[at : at + int.from_bytes(data[at : at + 4], "big")], data[at:]
    own = head.index(b"colr") - 4
    new = struct.pack(">I", 11 + len(profile)) + b"colr\x02\0\0" + profile
    changed = head[8:own] + new + head[own + int.from_bytes(head[own : own + 4], "big") :]
    return data[:at] + struct.pack(">I", 8 + len(changed)) + b"jp2h" + changed + rest[len(head) :]


def encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (180, 120, 60)).save(buffer, kind, **options)
    return buffer.getvalue()


def png_with(*chunks: bytes) -> bytes:
    data = encoded("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def adobe_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    return encoded("JPEG", quality=98, subsampling=0, exif=exif)


def photograph(**elements: Any) -> bytes:
    pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
    dataset = pydicom.dcmread(io.BytesIO(object_of()))
    dataset.Rows = dataset.Columns = 64
    dataset.PixelData = np.asarray(Image.new("RGB", (64, 64), (180, 120, 60))).tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


ADOBE_CORNERS = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
LIKE_ADOBE, LIKE_P3, LINEAR, SAME = (198, 120, 53), (191, 117, 43), (219, 182, 133), (180, 120, 60)
STATED: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "JP2": (lambda: jp2_with(WIDE), LIKE_ADOBE),
    "JP2 of sRGB": (lambda: jp2_with(matrix_profile(SRGB)), SAME),
    "WebP": (lambda: encoded("WEBP", lossless=True, icc_profile=WIDE), LIKE_ADOBE),
    "PNG by corners": (lambda: png_with(chunk(b"cHRM", ADOBE_CORNERS)), LIKE_ADOBE),
    "PNG by gamma": (lambda: png_with(chunk(b"gAMA", struct.pack(">I", 100_000))), LINEAR),
    "PNG by the usual gamma": (lambda: png_with(chunk(b"gAMA", struct.pack(">I", 45_455))), SAME),
    "PNG of no gamma at all": (lambda: png_with(chunk(b"gAMA", bytes(4))), SAME),
    "PNG by number": (lambda: png_with(chunk(b"cICP", bytes((12, 13, 0, 1)))), LIKE_P3),
    "PNG by number of sRGB": (
        lambda: png_with(chunk(b"cICP", bytes((1, 13, 0, 1))), chunk(b"cHRM", ADOBE_CORNERS)),
        SAME,
    ),
    "PNG of sRGB": (lambda: png_with(chunk(b"sRGB", b"\0"), chunk(b"cHRM", ADOBE_CORNERS)), SAME),
    "JPEG by EXIF": (adobe_by_exif, LIKE_ADOBE),
    "DICOM": (lambda: photograph(ICCProfile=WIDE), LIKE_ADOBE),
    "DICOM by name": (lambda: photograph(ColorSpace="DISPLAYP3"), LIKE_P3),
    "DICOM of sRGB": (lambda: photograph(ICCProfile=matrix_profile(SRGB), ColorSpace="SRGB"), SAME),
}


@pytest.mark.parametrize("how", STATED)
def test_colours_are_converted_however_a_file_states_them(tmp_path: Path, how: str) -> None:
    make, expected = STATED[how]
    path = tmp_path / "a.bin"
    path.write_bytes(make())
    read = decode_picture(path)
    assert np.abs(read.pixels[32, 32].astype(int) - expected).max() <= 3
    assert len(read.changes) == (expected != SAME)


def test_a_picture_brighter_than_white_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_with(chunk(b"cICP", bytes((9, 16, 0, 1)))))
    assert "a PNG in HDR, expected sRGB" in refusal(tmp_path / "a.png")


def test_gray_with_a_profile_of_colours_is_converted_as_gray(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 55).save(tmp_path / "a.jpg", icc_profile=matrix_profile(replace(SRGB, gamma=1.0)))
    assert np.abs(decode(tmp_path / "a.jpg")[0, 0].astype(int) - 128).max() <= 3


@pytest.mark.parametrize("profile", [b"junk", WIDE[:200], bytes(9 << 20)], ids=["junk", "cut", "huge"])
def test_a_profile_that_cannot_be_used_is_passed_over_and_told(profile: bytes) -> None:
    picture = Image.fromarray(NOISE)
    assert to_srgb(picture, profile) == (picture, "colour profile passed over: it cannot be used")


def literal_runs(data: bytes) -> bytes:
    """PackBits that packs nothing."""
    return b"".join(bytes((len(part) - 1,)) + part for at in range(0, len(data), 64) if (part := data[at : at + 64]))


def tiff_of(
    pixels: np.ndarray, order: Any, *, pack: Any = None, tiled: bool = False, **tags: int | tuple[int, ...]
) -> bytes:
    """A TIFF of one strip or tile a plane; `pixels` as they are to be stored, [planes, H, W]."""
    planes, height, width = pixels.shape
    stored = [plane.astype(pixels.dtype.newbyteorder(order)).tobytes() for plane in pixels]
    stored = stored if pack is None else [pack(plane) for plane in stored]
    entries: dict[int, tuple[int, ...]] = {256: (width,), 257: (height,), 258: (8 * pixels.itemsize,) * planes}
    offsets = tuple(8 + sum(map(len, stored[:k])) for k in range(planes))
    entries |= {259: (1,), 262: (2 if planes >= 3 else 0,), 324 if tiled else 273: offsets}
    entries |= {277: (planes,), 325 if tiled else 279: tuple(map(len, stored)), 284: (2 if planes >= 3 else 1,)}
    entries |= {} if tiled else {278: (height,)}
    entries |= {int(name[1:]): value if isinstance(value, tuple) else (value,) for name, value in tags.items()}
    body = b"".join(stored)
    at = 8 + len(body)
    directory, extra, extra_at = b"", b"", at + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(order + "I", extra_at + len(extra)), extra + packed
        directory += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return head + body + struct.pack(order + "H", len(entries)) + directory + bytes(4) + extra


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_16_bits_are_read_each_where_it_lies(tmp_path: Path, order: str) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    (tmp_path / "p.tif").write_bytes(tiff_of(wide, order))
    np.testing.assert_array_equal(decode(tmp_path / "p.tif"), np.moveaxis(wide >> 8, 0, 2))


def test_planes_of_8_bits(tmp_path: Path) -> None:
    (tmp_path / "p.tif").write_bytes(tiff_of(np.ascontiguousarray(np.moveaxis(NOISE, 2, 0)), "<"))
    np.testing.assert_array_equal(decode(tmp_path / "p.tif"), NOISE)


PACKED: dict[str, tuple[int, Any]] = {"deflated": (8, zlib.compress), "packed in bits": (32773, literal_runs)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("tiled", [False, True])
def test_planes_of_16_bits_in_every_packing(tmp_path: Path, order: str, packing: str, tiled: bool) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (3, 16, 32)).astype(np.uint16)
    code, pack = PACKED[packing]
    tags = {"t259": code} | ({"t322": 32, "t323": 16} if tiled else {})
    (tmp_path / "p.tif").write_bytes(tiff_of(wide, order, pack=pack, tiled=tiled, **tags))
    np.testing.assert_array_equal(decode(tmp_path / "p.tif"), np.moveaxis(wide >> 8, 0, 2))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"t279": (1200,)}, "strips do not make its size"),
        ({"t273": (8, 1208, 90_000)}, "damaged or truncated TIFF"),
        ({"t259": 5}, "damaged or truncated TIFF"),
        ({"t259": 6}, "compression 6, in planes, which is not read here"),
        ({"t259": 50001}, "compression 50001, in planes, which is not read here"),
        ({"t339": (2, 2, 2)}, "in signed integers, expected unsigned integers"),
        ({"t339": (3, 3, 3)}, "in floating point, expected unsigned"),
    ],
)
def test_planes_that_cannot_be_read_are_refused(tmp_path: Path, tags: dict[str, Any], words: str) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    (tmp_path / "p.tif").write_bytes(tiff_of(wide, "<", **tags))
    assert words in refusal(tmp_path / "p.tif")


@pytest.mark.parametrize(("kind", "order"), [(np.uint8, "<"), (np.uint8, ">"), (np.uint16, "<"), (np.uint16, ">")])
def test_gray_where_0_is_white_is_turned_round(tmp_path: Path, kind: type, order: str) -> None:
    top = np.iinfo(kind).max
    levels: np.ndarray = np.array([[[0, top // 4, top]]], kind)
    (tmp_path / "w.tif").write_bytes(tiff_of(levels, order))
    assert np.abs(decode(tmp_path / "w.tif")[0, :, 1].astype(int) - (255, 191, 0)).max() <= 1


def test_gray_of_12_bits_in_12_bits_is_as_bright_as_in_16(tmp_path: Path) -> None:
    packed = np.frombuffer(bytes.fromhex("000800fff400"), np.uint8)  # 0, 0x800, 0xfff, 0x400
    for photometric, bright in ((1, (0, 128, 255, 64)), (0, (255, 127, 0, 191))):
        data = tiff_of(packed.reshape(1, 1, 6), "<", t256=4, t258=12, t262=photometric)
        (tmp_path / "g.tif").write_bytes(data)
        assert np.abs(decode(tmp_path / "g.tif")[0, :, 0].astype(int) - bright).max() <= 1


def test_signed_gray_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.tif").write_bytes(tiff_of(np.zeros((1, 4, 4), np.uint8), "<", t339=2))
    assert "in signed integers" in refusal(tmp_path / "g.tif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("alpha", [1 << 8, 65535 // 2, 65535])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_alpha_in_planes_of_16_bits(tmp_path: Path, order: str, alpha: int, extra: int) -> None:
    """Not said what it is, it is no alpha; multiplied into the colours already, they are what is seen over black."""
    wide = np.random.default_rng(1).integers(0, 65536, (4, 20, 30)).astype(np.uint16)
    wide[3] = alpha
    (tmp_path / "p.tif").write_bytes(tiff_of(wide, order, t338=extra))
    share = alpha / 65535 if extra == 2 else 1
    seen = np.moveaxis(wide[:3] >> 8, 0, 2) * share
    assert np.abs(decode(tmp_path / "p.tif") - seen).max() <= 1.5


def test_alpha_that_the_colours_hold_already_is_not_laid_on_again(tmp_path: Path) -> None:
    for alpha in (0, 100, 255):
        together = np.dstack([NOISE, np.full(NOISE.shape[:2], alpha, np.uint8)]).reshape(1, 24, 128)
        data = tiff_of(together, "<", t256=32, t258=(8, 8, 8, 8), t262=2, t277=4, t338=1)
        (tmp_path / "a.tif").write_bytes(data)
        np.testing.assert_array_equal(decode(tmp_path / "a.tif"), NOISE)


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "jp2"])
def test_a_picture_of_which_nothing_can_be_seen_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    clear = np.dstack([RETINA, np.zeros(RETINA.shape[:2], np.uint8)])
    options: dict[str, Any] = {"webp": {"lossless": True, "exact": True}}.get(ending, {})
    Image.fromarray(clear).save(path, **options)
    assert "nothing in it can be seen" in refusal(path)
    clear[:80, :, 3] = 255
    Image.fromarray(clear).save(path, **options)
    if ending in ("webp", "jp2"):  # may be lossy, where a seam is damage
        assert "a seam across the picture" in refusal(path)
        return
    np.testing.assert_array_equal(decode(path)[:80], RETINA[:80])
    assert decode(path)[80:].max() == 0, "what a person does not see is not read"


def test_gray_palette_and_one_colour_that_hide_all_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    gray = Image.new("L", (16, 16), 90)
    Image.merge("LA", (gray, Image.new("L", (16, 16)))).save(path)
    assert "nothing in it can be seen" in refusal(path)
    gray.save(path, transparency=90)
    assert "nothing in it can be seen" in refusal(path)
    gray.convert("P").save(path, transparency=bytes(256))
    assert "nothing in it can be seen" in refusal(path)
    Image.new("RGB", (16, 16), (90, 60, 30)).save(path, transparency=(90, 60, 30))
    assert "nothing in it can be seen" in refusal(path)
    Image.fromarray(np.full((16, 16), 23130, np.uint16)).save(path, transparency=23130)
    assert "a colour of 16 bits is transparent" in refusal(path)


def mpo(second: Image.Image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RETINA).save(buffer, "MPO", save_all=True, append_images=[second], quality=92)
    return buffer.getvalue()


def test_an_mpo_of_two_eyes_is_refused_and_one_with_a_preview_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(mpo(Image.fromarray(RETINA[:, ::-1])))
    assert "2 pages or animation frames" in refusal(path)
    path.write_bytes(mpo(Image.fromarray(RETINA).resize((80, 60))))
    assert np.abs(decode(path).astype(int) - RETINA).mean() < 4


def shown(kind: str, shrink: int = 1) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RETINA[::shrink, ::shrink]).save(buffer, kind)
    return buffer.getvalue()


JOINED = ("JPEG", "PNG", "WEBP")


@pytest.mark.parametrize("first", JOINED)
@pytest.mark.parametrize("second", JOINED)
@pytest.mark.parametrize("between", [b"", bytes(1000), b"VENDOR\xff\xd8\xff\xd9"], ids=["joined", "padded", "noted"])
def test_a_picture_behind_a_picture_is_refused(tmp_path: Path, first: str, second: str, between: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(shown(first) + between)
    decode(path)
    path.write_bytes(shown(first) + between + shown(second))
    assert "2 pages or animation frames" in refusal(path)
    path.write_bytes(shown(first) + between + shown(second) * 2)
    assert "3 pages or animation frames" in refusal(path)


def test_a_preview_behind_a_jpeg_is_no_second_picture_and_half_of_one_is(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for data in (shown("JPEG", 2), shown("PNG", 4)):
        path.write_bytes(shown("JPEG") + data)
        decode(path)
    path.write_bytes(shown("JPEG") + shown("JPEG")[:-2000])
    assert "2 pages or animation frames" in refusal(path)
    path.write_bytes(shown("JPEG") + b"\xff\xd8\xff" * 1001)
    assert "pages or animation frames" in refusal(path)


@pytest.mark.parametrize("first", [True, False])
def test_a_tiff_with_a_thumbnail_page_is_read(tmp_path: Path, first: bool) -> None:
    pages = [Image.fromarray(RETINA), Image.fromarray(RETINA).resize((40, 30))]
    pages = pages[::-1] if first else pages
    pages[0].save(tmp_path / "t.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(decode(tmp_path / "t.tif"), RETINA)


def test_a_tiff_of_two_pictures_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RETINA).save(tmp_path / "t.tif", save_all=True, append_images=[Image.fromarray(RETINA[::-1])])
    assert "2 pages or animation frames" in refusal(tmp_path / "t.tif")


def object_of(syntax: str | None = None, **changed: Any) -> bytes:
    """A DICOM object of `NOISE`."""
    pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", pydicom.uid.generate_uid()
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *NOISE.shape[:2], 3
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = changed.pop("PixelData", NOISE.tobytes())
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or pydicom.uid.ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


DEFLATED = "1.2.840.10008.1.2.1.99"


def meta_end(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


def test_a_deflated_object_is_read_and_a_damaged_one_refused(tmp_path: Path) -> None:
    data, path = object_of(DEFLATED), tmp_path / "a.dcm"
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path), NOISE)
    path.write_bytes(data[: len(data) // 2])
    assert "deflated part ends early" in refusal(path)
    path.write_bytes(data[: meta_end(data)] + b"\xff" * 100)
    assert "cannot be unpacked" in refusal(path)


@pytest.mark.parametrize("big", [False, True])
def test_an_object_without_a_preamble_is_read(tmp_path: Path, big: bool) -> None:
    data = object_of()
    body = data[132:] if big else data[meta_end(data) :]  # with its group 2 elements, or bare
    (tmp_path / "a.dcm").write_bytes(body)
    np.testing.assert_array_equal(decode(tmp_path / "a.dcm"), NOISE)


def test_dicom_with_another_ending_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(object_of())
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), NOISE)


def test_a_bomb_of_zeros_in_a_deflated_object_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from device.cameras.files import dicom

    monkeypatch.setattr(dicom, "_INFLATED_MAX", 1 << 20)
    data = object_of(DEFLATED)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(bytes(8 << 20)) + packer.flush()
    (tmp_path / "a.dcm").write_bytes(data[: meta_end(data)] + bomb)
    assert "deflated DICOM file of over 1 MiB" in refusal(tmp_path / "a.dcm")


def test_a_bomb_of_scans_in_a_jpeg_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RETINA).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(data[:-2] + last * 200 + b"\xff\xd9")
    assert "scans, expected at most 100" in refusal(tmp_path / "a.jpg")


def test_a_bomb_of_directories_in_a_tiff_is_refused(tmp_path: Path) -> None:
    directory = struct.pack("<HHHII", 1, 256, 4, 1, 8)
    chain = b"".join(directory + struct.pack("<I", 8 + (k + 1) * 18) for k in range(5000))
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + chain + directory + bytes(4))
    assert "more than 64 pages" in refusal(tmp_path / "a.tif")
    circle = b"II*\0\x08\0\0\0" + directory + struct.pack("<I", 8)
    with pytest.raises(Refused, match="more than 64 pages"):
        tiff.read_pages(circle)
