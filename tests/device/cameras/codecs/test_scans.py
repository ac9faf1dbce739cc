"""Progressive JPEG and JPEG 2000: what decoders let pass and the bytes tell; whole ones are left alone."""

from __future__ import annotations

import contextlib
import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.codecs import progressive
from device.cameras.codecs.jpeg import check_jpeg, decode_jpeg
from device.cameras.codecs.jpeg2000 import check_jpeg2000
from device.cameras.codecs.progressive import check_scans
from device.cameras.codecs.refused import Damaged, Refused
from device.cameras.codecs.runs import longest_run
from device.cameras.files import decode
from tests.pictures import retina

RETINA = Image.fromarray(retina(seed=4, width=640, height=480))
J2K: dict[str, dict[str, object]] = {
    "lossless": {},
    "lossy": {"quality_mode": "rates", "quality_layers": [12], "irreversible": True},
    "layers": {"quality_mode": "rates", "quality_layers": [80, 40, 20, 10, 5, 4, 3], "irreversible": True},
    "tiles": {"tile_size": (128, 128)},
    "precincts": {"precinct_size": (64, 64), "codeblock_size": (32, 32)},
    "codestream": {"no_jp2": True},
}


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def progressive_jpeg(picture: Image.Image = RETINA, **options: object) -> bytes:
    return encoded(picture, "JPEG", progressive=True, **options)


def scan_of(data: bytes, number: int) -> tuple[int, int]:
    """Where the data of the scan of this number begins and ends."""
    wanted = progressive._read(data)[1][number].data
    at = data.index(wanted)
    return at, at + len(wanted)


@pytest.mark.parametrize(("data", "longest"), [(b"", 0), (b"a", 1), (b"abbbc", 3), (b"aabccccc", 5), (b"dddd", 4)])
def test_longest_run(data: bytes, longest: int) -> None:
    assert longest_run(data) == longest


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (203, 301)])
@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0), ("CMYK", 0)])
def test_whole_scans_are_passed(size: tuple[int, int], mode: str, subsampling: int) -> None:
    check_jpeg(progressive_jpeg(RETINA.resize(size).convert(mode), subsampling=subsampling))
    check_jpeg(progressive_jpeg(Image.new(mode, size), subsampling=subsampling))


@pytest.mark.parametrize("quality", [30, 75, 92, 98])
def test_whole_retinas_are_passed(quality: int) -> None:
    decode_jpeg(progressive_jpeg(quality=quality))


@pytest.mark.parametrize("fill", [0x00, 0xAA])
def test_a_hole_in_a_scan_of_details_is_told(fill: int) -> None:
    data = progressive_jpeg(quality=92)
    for number, scan in enumerate(progressive._read(data)[1]):
        if scan.first and len(scan.data) > 1200:
            begin, _ = scan_of(data, number)
            holed = data[: begin + 400] + bytes([fill]) * 512 + data[begin + 912 :]
            with pytest.raises(Damaged, match="equal bytes in a row within a scan"):
                check_scans(holed)


@pytest.fixture(scope="module")
def walker() -> Any:
    return pytest.importorskip("device.cameras.codecs._scans", reason="the compiled scans are not installed here")


def first_scans(data: bytes) -> list[progressive.Scan]:
    return [scan for scan in progressive._read(data)[1] if scan.first and not scan.high]


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (203, 301)])
@pytest.mark.parametrize("picture", [RETINA, Image.new("RGB", (640, 480))], ids=["retina", "black"])
def test_walking_over_a_scans_codes_finds_what_libjpeg_does(
    walker: Any, size: tuple[int, int], picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progressive, "_scans", walker)
    blocks = -(-size[0] // 8) * -(-size[1] // 8)
    for scan in first_scans(progressive_jpeg(picture.resize(size), subsampling=0)):
        assert progressive._ends_with(scan, blocks)
        assert [count for count in range(blocks + 3) if progressive._walked(scan, bytearray(8 * count))] == [blocks]


def test_walking_over_altered_scans_passes_none_that_libjpeg_tells_of(
    walker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progressive, "_scans", walker)
    rng, told = random.Random(3), 0
    for scan in first_scans(progressive_jpeg(RETINA.resize((160, 120)), subsampling=0)):
        for _ in range(60):
            data, table = bytearray(scan.data), bytearray(scan.table)
            changed = rng.choice((data, data, data, table))
            changed[rng.randrange(len(changed))] = rng.randrange(256)
            altered = replace(scan, data=bytes(data), table=bytes(table))
            told += not progressive._walked(altered, bytearray(2400))
            assert progressive._ends_with(altered, 300) or not progressive._walked(altered, bytearray(2400))
    assert told > 60


@pytest.mark.parametrize(
    "table", [b"", bytes(15), bytes(16), bytes([3, *bytes(15)]), bytes([0] * 15 + [255, 7]), b"\xff" * 300]
)
def test_no_table_of_codes_harms_the_walk(walker: Any, table: bytes) -> None:
    for data in (b"", b"\xff", b"\xff\xff", b"\xff\x00" * 9, bytes(range(256)) * 4):
        for first, last in ((1, 63), (1, 1), (0, 63), (5, 4), (1, 64), (-1, 2)):
            for refining in (False, True):
                assert walker.ends_with(data, table, first, last, bytearray(range(40)), refining) in (False, True)


def test_scans_that_refine_are_told_where_libjpeg_says_nothing(walker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dark rim's run of blocks hides that all before it was shifted there, too: up to a level over the picture."""
    data, rng, told = progressive_jpeg(RETINA.resize((320, 240)), quality=92), random.Random(1), 0
    for number, scan in enumerate(progressive._read(data)[1]):
        for _ in range(30 if scan.first and scan.high else 0):
            begin, end = scan_of(data, number)
            other, at = bytearray(data), rng.randrange(begin, end - 4)
            other[at : at + rng.randrange(5)] = rng.randbytes(4)
            monkeypatch.setattr(progressive, "_scans", None)
            with contextlib.suppress(Refused):
                check_jpeg(bytes(other))
                monkeypatch.setattr(progressive, "_scans", walker)
                try:
                    check_scans(bytes(other))
                except Damaged:
                    told += 1
    assert told >= 8


def test_blocks_lost_behind_a_rim_are_told_though_libjpeg_says_nothing() -> None:
    """The last code of a scan stands for all blocks of the dark rim, so fewer or more blocks before it go unseen."""
    data = progressive_jpeg(quality=90)
    height_at = data.index(b"\xff\xc2") + 5
    number = next(k for k, scan in enumerate(progressive._read(data)[1]) if scan.first and not scan.high)
    scan = progressive._read(data)[1][number]
    blocks = (640 // 8) * (480 // 8)
    assert progressive._ends_with(scan, blocks)
    assert not progressive._ends_with(scan, blocks - 80), "it holds a row of blocks more than that"
    shorter = bytearray(data)
    shorter[height_at : height_at + 2] = (464).to_bytes(2, "big")
    with pytest.raises(Refused):
        check_scans(bytes(shorter))


def test_wrong_bits_in_scans_do_not_move_the_picture() -> None:
    data, rng = progressive_jpeg(quality=90), random.Random(8)
    whole = decode_jpeg(data).astype(int)
    read = 0
    for _ in range(60):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data) // 50, len(data))] ^= 1 << rng.randrange(8)
        try:
            pixels = decode_jpeg(bytes(flipped))
        except Refused:
            continue
        read += 1
        assert pixels.shape == whole.shape
        assert np.abs(pixels - whole).mean() < 3
    assert read > 5, "most of those in the last scans change a level of one block, and are let pass"


def test_a_scan_that_is_missing_is_told() -> None:
    data = progressive_jpeg(quality=90)
    begin, end = scan_of(data, -1)
    with pytest.raises(Damaged, match="scans are missing"):
        check_scans(data[: data.rindex(b"\xff\xda", 0, begin)] + data[end:])


@pytest.mark.parametrize("cut", range(1, 8))
def test_torn_heads_of_scans_are_refused(cut: int) -> None:
    data = progressive_jpeg(quality=90)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(Damaged):
        check_scans(data[:at] + b"\xff\xda\0\x08" + bytes([9] * cut) + b"\xff\xd9")


@pytest.mark.parametrize("kind", J2K)
@pytest.mark.parametrize("picture", [RETINA, Image.new("RGB", (640, 480)), RETINA.convert("L")], ids=["a", "b", "g"])
def test_whole_jpeg2000_is_passed(kind: str, picture: Image.Image) -> None:
    if kind == "precincts" and picture.getextrema()[0] == (0, 0):
        pytest.skip("hundreds of empty packets in a row, a black picture in small precincts, are taken for a hole")
    check_jpeg2000(encoded(picture, "JPEG2000", **J2K[kind]))


@pytest.mark.parametrize("kind", J2K)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("fill", [0x00, 0x55])
def test_a_hole_in_jpeg2000_is_told(kind: str, share: float, fill: int) -> None:
    data = encoded(RETINA, "JPEG2000", **J2K[kind])
    at = int(share * len(data))
    with pytest.raises(Damaged):
        check_jpeg2000(data[:at] + bytes([fill]) * 512 + data[at + 512 :])


@pytest.mark.parametrize("kind", J2K)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_jpeg2000_cut_or_with_a_piece_lost_is_told(kind: str, share: float) -> None:
    data = encoded(RETINA, "JPEG2000", **J2K[kind])
    at = int(share * len(data))
    with pytest.raises(Damaged):
        check_jpeg2000(data[:at] + data[-2:])
    with pytest.raises(Damaged):
        check_jpeg2000(data[:at] + data[at + 1400 :])


def test_jpeg2000_without_a_tile_is_told() -> None:
    data = encoded(RETINA, "JPEG2000", tile_size=(320, 240), no_jp2=True)
    second = data.index(b"\xff\x90", data.index(b"\xff\x90") + 2)
    third = data.index(b"\xff\x90\x00\x0a\x00\x02", second)
    with pytest.raises(Damaged, match="3 of its 4 tiles"):
        check_jpeg2000(data[:second] + data[third:])


def test_any_altered_bytes_give_a_refusal_or_nothing() -> None:
    rng = random.Random(2)
    for data, check in (
        (encoded(RETINA.resize((64, 48)), "JPEG2000"), check_jpeg2000),
        (progressive_jpeg(RETINA.resize((64, 48))), check_scans),
    ):
        for _ in range(400):
            altered = bytearray(data)
            for _ in range(rng.randrange(1, 6)):
                altered[rng.randrange(2, len(altered))] = rng.randrange(256)
            with contextlib.suppress(Refused):
                check(bytes(altered[: rng.randrange(4, len(altered) + 1)]))


@pytest.mark.parametrize("ending", ["jp2", "jpg"])
def test_a_file_with_a_hole_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    data = progressive_jpeg(quality=92) if ending == "jpg" else encoded(RETINA, "JPEG2000", **J2K["lossy"])
    path.write_bytes(data)
    assert decode(path).shape == (480, 640, 3)
    at = len(data) * 2 // 5  # not in a scan that refines brightness, where zeros may be
    path.write_bytes(data[:at] + bytes(512) + data[at + 512 :])
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(path)


def test_a_dicom_object_of_jpeg2000_with_a_hole_is_refused(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
    whole = encoded(RETINA, "JPEG2000", no_jp2=True)
    holed = whole[: len(whole) // 2] + bytes(512) + whole[len(whole) // 2 + 512 :]
    for name, stream in (("whole", whole), ("holed", holed)):
        dataset = pydicom.Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", pydicom.uid.generate_uid()
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PlanarConfiguration = 480, 640, 3, 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PhotometricInterpretation = "YBR_RCT"
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        dataset.PixelData = pydicom.encaps.encapsulate([stream])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    assert decode(tmp_path / "whole.dcm").shape == (480, 640, 3)
    with pytest.raises(FrameUnreadable, match=r"damaged.*equal bytes"):
        decode(tmp_path / "holed.dcm")
