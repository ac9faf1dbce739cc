"""Pictures as people really have them: profiles, planes, inverted gray, clear alpha, previews, odd DICOM; and bombs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from device import FrameUnreadable
from device.cameras.codecs import tiff
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


def profile_of(primaries: tuple[float, ...], gamma: float, name: bytes) -> bytes:
    """An RGB matrix profile (ICC version 2) of three primaries (XYZ each, at D50), one gamma and a name."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    description = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)
    blocks = {b"desc": description, b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    for k, letter in enumerate(b"rgb"):
        blocks[bytes((letter,)) + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primaries[3 * k : 3 * k + 3])
        blocks[bytes((letter,)) + b"TRC"] = curve
    table, body = struct.pack(">I", len(blocks)), b""
    start = 128 + 4 + 12 * len(blocks)
    for tag, block in blocks.items():
        table += tag + struct.pack(">II", start + len(body), len(block))
        body += block + bytes(-len(block) % 4)
    size = struct.pack(">I", start + len(body))
    head = size + b"lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


WIDE = profile_of((0.6097, 0.3111, 0.0195, 0.2053, 0.6257, 0.0609, 0.1492, 0.0632, 0.7446), 2.2, b"Adobe RGB like")
"""The primaries and the gamma of Adobe RGB (1998), adapted to D50."""
SRGB_LIKE = (0.4361, 0.2225, 0.0139, 0.3851, 0.7169, 0.0971, 0.1431, 0.0606, 0.7141)


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


def test_gamma_alone_is_converted_too(tmp_path: Path) -> None:
    linear = profile_of(SRGB_LIKE, 1.0, b"linear")
    Image.new("RGB", (8, 8), (55, 55, 55)).save(tmp_path / "a.png", icc_profile=linear)
    assert np.abs(decode(tmp_path / "a.png")[0, 0].astype(int) - 128).max() <= 3  # 0.216 of the light


@pytest.mark.parametrize("profile", [b"junk", WIDE[:200], bytes(9 << 20)], ids=["junk", "cut", "huge"])
def test_a_profile_that_cannot_be_used_is_passed_over_and_told(profile: bytes) -> None:
    picture = Image.fromarray(NOISE)
    assert to_srgb(picture, profile) == (picture, "colour profile passed over: it cannot be used")


def tiff_of(pixels: np.ndarray, order: Any, **tags: int | tuple[int, ...]) -> bytes:
    """An uncompressed TIFF of one strip a plane; `pixels` as they are to be stored, [planes, H, W]."""
    planes, height, width = pixels.shape
    size = pixels[0].nbytes
    entries: dict[int, tuple[int, ...]] = {256: (width,), 257: (height,), 258: (8 * pixels.itemsize,) * planes}
    entries |= {259: (1,), 262: (2 if planes == 3 else 0,), 273: tuple(8 + k * size for k in range(planes))}
    entries |= {277: (planes,), 278: (height,), 279: (size,) * planes, 284: (2 if planes == 3 else 1,)}
    entries |= {int(name[1:]): value if isinstance(value, tuple) else (value,) for name, value in tags.items()}
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
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


@pytest.mark.parametrize(
    ("tags", "words"), [({"t279": (1200,)}, "strips do not make its size"), ({"t259": 5}, "compression 5, in planes")]
)
def test_planes_that_cannot_be_read_are_refused(tmp_path: Path, tags: dict[str, Any], words: str) -> None:
    (tmp_path / "p.tif").write_bytes(tiff_of(np.zeros((3, 20, 30), np.uint16), "<", **tags))
    assert words in refusal(tmp_path / "p.tif")


def test_planes_that_end_early_are_refused(tmp_path: Path) -> None:
    data = tiff_of(np.zeros((3, 20, 30), np.uint16), "<", t273=(8, 1208, 90_000))
    (tmp_path / "p.tif").write_bytes(data)
    assert "it ends early" in refusal(tmp_path / "p.tif")


@pytest.mark.parametrize(("kind", "order"), [(np.uint8, "<"), (np.uint8, ">"), (np.uint16, "<")])
def test_gray_where_0_is_white_is_turned_round(tmp_path: Path, kind: type, order: str) -> None:
    top = np.iinfo(kind).max
    levels: np.ndarray = np.array([[[0, top // 4, top]]], kind)
    (tmp_path / "w.tif").write_bytes(tiff_of(levels, order))
    assert np.abs(decode(tmp_path / "w.tif")[0, :, 1].astype(int) - (255, 191, 0)).max() <= 1


def test_inverted_gray_of_16_bits_big_endian_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.tif").write_bytes(tiff_of(np.zeros((1, 4, 4), np.uint16), ">"))
    assert "a TIFF of 16 bits, compression 1, which is not read here" in refusal(tmp_path / "w.tif")


def test_alpha_that_is_0_everywhere_is_left_aside(tmp_path: Path) -> None:
    clear = np.dstack([NOISE, np.zeros(NOISE.shape[:2], np.uint8)])
    Image.fromarray(clear).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), NOISE)
    clear[0, 0, 3] = 255
    Image.fromarray(clear).save(tmp_path / "b.png")
    assert decode(tmp_path / "b.png")[1:].max() == 0, "one that can be seen anywhere is shown as it says"


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
