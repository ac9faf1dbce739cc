"""Pictures from DICOM objects: the pixels come out right, and nothing of the patient comes out at all."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable, Pictures, WatchedFolder
from device.cameras.codecs import openjpeg
from device.cameras.files import decode
from device.extras import how_to_install
from device.frame import StatedOf
from tests.pictures import retina

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")

OPHTHALMIC_8_BIT = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
NAME = "Doe^Jane^Secretname"
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def write(path: Path, pixels: np.ndarray, **changed: Any) -> Path:
    """An object of these pixels, uncompressed, with a patient's name in it; `changed` replaces attributes."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = OPHTHALMIC_8_BIT, pydicom.uid.generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, "SECRET-ID", "20261101"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = changed.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of the wrong values that some tests write
        for name, value in changed.items():
            setattr(dataset, name, value)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg(pixels: np.ndarray, subsampling: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=subsampling)
    return file.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(FrameUnreadable) as caught:
        decode(path)
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert not any("Secretname" in str(error) or "SECRET" in str(error) for error in chain)
    return str(caught.value)


def test_rgb_is_kept(tmp_path: Path) -> None:
    np.testing.assert_array_equal(decode(write(tmp_path / "a.dcm", NOISE)), NOISE)


@pytest.mark.parametrize(("subsampling", "kind"), [(1, "YBR_FULL_422"), (0, "YBR_FULL_422")])
def test_jpeg_in_ybr_becomes_rgb(tmp_path: Path, subsampling: int, kind: str) -> None:
    flat = np.full((32, 48, 3), (200, 120, 60), np.uint8)
    data = pydicom.encaps.encapsulate([jpeg(flat, subsampling)])
    path = write(
        tmp_path / "a.DCM", flat, PixelData=data, PhotometricInterpretation=kind, syntax=pydicom.uid.JPEGBaseline8Bit
    )
    assert np.abs(decode(path).astype(int) - flat).max() <= 4


def test_ybr_without_compression_becomes_rgb(tmp_path: Path) -> None:
    flat = np.full((8, 8, 3), (200, 120, 60), np.uint8)
    ybr = np.asarray(Image.fromarray(flat).convert("YCbCr"))
    path = write(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(decode(path).astype(int) - flat).max() <= 3


def test_gray_becomes_three_equal_channels(tmp_path: Path) -> None:
    pixels = decode(write(tmp_path / "g.dcm", NOISE[..., 0]))
    np.testing.assert_array_equal(pixels, np.repeat(NOISE[..., :1], 3, axis=2))


@pytest.mark.parametrize(("stored", "top"), [(12, 4095), (16, 65535), (10, 1023)])
def test_gray_of_more_bits_is_scaled_by_its_range(tmp_path: Path, stored: int, top: int) -> None:
    levels = np.array([[0, top // 2, top]], np.uint16)
    pixels = decode(write(tmp_path / "g.dcm", levels, BitsStored=stored, HighBit=stored - 1))
    assert pixels[0, :, 1].tolist() == [0, 127, 255]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1}, "pixels are unknown, 1 a pixel, 8 bits"),
        ({"PhotometricInterpretation": NAME}, "pixels are unknown"),
        ({"NumberOfFrames": 3, "PixelData": NOISE.tobytes() * 3}, "3 frames in one DICOM object"),
        ({"Rows": 9000, "Columns": 9000}, "9000 x 9000 pixels, expected at most 64 megapixels"),
        ({"PixelData": NOISE.tobytes()[:1000]}, r"damaged or truncated DICOM file"),
        ({"PixelRepresentation": 1}, "8 bits, signed"),
    ],
)
def test_what_is_no_single_picture_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    assert words in refusal(write(tmp_path / "a.dcm", NOISE, **changed))


def test_a_wrong_value_of_the_file_goes_to_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    path = write(tmp_path / "a.dcm", NOISE, PhotometricInterpretation=NAME)
    caplog.clear()
    recwarn.clear()
    refusal(path)
    assert "Secretname" not in caplog.text
    assert not [warning for warning in recwarn if "Secretname" in str(warning.message)]


def test_inverted_gray_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "g.dcm", NOISE[..., 0], PhotometricInterpretation="MONOCHROME1")
    assert "pixels are MONOCHROME1" in refusal(path)


def test_an_object_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", NOISE)
    dataset = pydicom.dcmread(path)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(dataset, name)
    dataset.save_as(path)
    assert "without a picture" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 200])
def test_what_is_no_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    assert refusal(tmp_path / "a.dcm").startswith("a.dcm: ")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float, compressed: bool) -> None:
    if compressed:
        data = pydicom.encaps.encapsulate([jpeg(NOISE, 1)])
        syntax = pydicom.uid.JPEGBaseline8Bit
        path = write(tmp_path / "a.dcm", NOISE, PixelData=data, PhotometricInterpretation="YBR_FULL_422", syntax=syntax)
    else:
        path = write(tmp_path / "a.dcm", NOISE)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refusal(path)


@pytest.mark.parametrize("element", [b"\x28\0\2\0US", b"\x28\0\x10\0US", b"\x28\0\1\1US", b"\x28\0\3\1US"])
def test_an_element_whose_length_cannot_be_is_refused(tmp_path: Path, element: bytes) -> None:
    """pydicom reads values when they are asked for, after the file was opened."""
    path = write(tmp_path / "a.dcm", NOISE)
    data = bytearray(path.read_bytes())
    at = data.index(element)
    data[at + 6] = 3
    path.write_bytes(bytes(data))
    assert "damaged" in refusal(path) or "DICOM" in refusal(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "gone.dcm")


def test_the_patient_is_in_no_frame(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", NOISE)
    with Pictures(tmp_path) as camera:
        frame = camera.read()
    assert frame is not None
    assert "Secretname" not in repr(vars(frame))


def test_of_the_patient_only_the_identifier_is_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.dcm", NOISE)
    seen: set[tuple[int, int]] = set()
    original = pydicom.values.convert_value

    def spy(vr: str, raw: Any, encoding: Any = None) -> Any:
        seen.add((raw.tag.group, raw.tag.element))
        return original(vr, raw, encoding)

    monkeypatch.setattr(pydicom.values, "convert_value", spy)
    decode(path)
    assert (0x0028, 0x0010) in seen, "the spy sees the picture's elements"
    assert {tag for tag in seen if tag[0] == 0x0010} == {(0x0010, 0x0020)}, "and no name and no date of the patient's"


def test_a_half_written_object_in_a_watched_folder_waits(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tmp", NOISE).read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[: len(whole) // 2])
    with WatchedFolder(tmp_path, poll_s=0.01, settle_s=600) as camera:
        polls, poll = [0], camera._poll

        def counted() -> None:
            poll()
            polls[0] += 1
            if polls[0] == 8:
                (tmp_path / "a.dcm").write_bytes(whole)

        camera._poll = counted  # type: ignore[method-assign]
        frame = camera.read()
    assert frame is not None
    assert frame.source == "a.dcm"
    assert polls[0] > 8
    np.testing.assert_array_equal(frame.pixels, NOISE)


def test_without_pydicom_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.dcm", NOISE)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert how_to_install("dicom") in refusal(path)


@pytest.mark.parametrize(
    "lie",
    [
        {"Rows": 12},  # pydicom makes two frames of it, one dimension more
        {"Rows": 20},
        {"Columns": 16},
        {"Rows": 25},
        {"PixelData": NOISE.tobytes() + bytes(2)},
        {"PixelData": NOISE.tobytes()[:-2]},
        {"PixelData": NOISE.tobytes() * 3},
        {"PhotometricInterpretation": "YBR_FULL_422"},
    ],
)
def test_pixels_of_another_length_than_stated_are_refused(tmp_path: Path, lie: dict[str, Any]) -> None:
    assert "damaged" in refusal(write(tmp_path / "a.dcm", NOISE, **lie))


def test_a_folder_goes_on_after_an_object_of_more_rows_than_stated(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", NOISE, Rows=12)
    write(tmp_path / "b.dcm", NOISE)
    with Pictures(tmp_path) as pictures:
        with pytest.raises(FrameUnreadable):
            pictures.read()
        frame = pictures.read()
    assert frame is not None
    assert frame.source == "b.dcm"


def test_an_odd_byte_of_padding_is_the_standard_s(tmp_path: Path) -> None:
    odd = NOISE[:23, :31]
    np.testing.assert_array_equal(decode(write(tmp_path / "a.dcm", odd, PixelData=odd.tobytes() + b"\0")), odd)


def test_damaged_jpeg_ls_is_called_so(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write(tmp_path / "a.dcm", retina(1, 96, 80)))
    dataset.compress(pydicom.uid.JPEGLSLossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "a.dcm")
    assert np.array_equal(decode(tmp_path / "a.dcm"), retina(1, 96, 80))
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[:-4000] + bytes(2000) + whole[-2000:])
    assert "damaged or truncated DICOM file" in refusal(tmp_path / "a.dcm")


def test_rle_that_holds_the_bytes_of_another_format_s_mark_is_read(tmp_path: Path) -> None:
    """Two of 0x4F and two of 0x51 in a row are packed as ff 4f ff 51, by which JPEG 2000 begins."""
    pixels = NOISE.copy()
    pixels[3, 4:8] = np.array([0x4F, 0x4F, 0x51, 0x51], np.uint8)[:, None]
    path = write(tmp_path / "plain.dcm", pixels)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")  # GDCM's packs otherwise
    dataset.save_as(tmp_path / "a.dcm")
    assert b"\xff\x4f\xff\x51" in (tmp_path / "a.dcm").read_bytes()
    np.testing.assert_array_equal(decode(tmp_path / "a.dcm"), pixels)


def jpeg2000(pixels: np.ndarray, *, lossless: bool) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG2000", no_jp2=True, irreversible=not lossless)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["YBR_ICT", "YBR_RCT", "RGB", "MONOCHROME2"])
def test_jpeg2000_is_listened_to_and_read_to_the_pixels_of_pydicom(tmp_path: Path, kind: str) -> None:
    whole = retina(seed=4, width=320, height=240)
    stream = jpeg2000(whole[:, :, 1] if kind == "MONOCHROME2" else whole, lossless=kind != "YBR_ICT")
    said = {"PhotometricInterpretation": kind, "syntax": pydicom.uid.JPEG2000}

    def written(data: bytes) -> Path:
        pixels = whole[:, :, 1] if kind == "MONOCHROME2" else whole
        return write(tmp_path / "a.dcm", pixels, PixelData=pydicom.encaps.encapsulate([data]), **said)

    by_pydicom = pydicom.dcmread(written(stream)).pixel_array
    expected = np.repeat(by_pydicom[:, :, None], 3, axis=2) if kind == "MONOCHROME2" else by_pydicom
    np.testing.assert_array_equal(decode(tmp_path / "a.dcm"), expected)
    told = 0
    for at in range(len(stream) // 3, len(stream) - 2, len(stream) // 12):
        flipped = bytearray(stream)
        flipped[at] ^= 0x10
        try:
            decode(written(bytes(flipped)))
        except FrameUnreadable as why:
            told += "a block of its data does not end where it should" in str(why)
    assert told >= 2 or not openjpeg.is_there()


@pytest.mark.parametrize("made", [-3, -1, 1, 4])
def test_rle_that_unpacks_to_more_or_less_is_refused(tmp_path: Path, made: int) -> None:
    """pydicom drops what is too much, and shows a sheared picture."""
    dataset = pydicom.dcmread(write(tmp_path / "plain.dcm", np.full((24, 32, 3), 90, np.uint8)))
    dataset.compress(pydicom.uid.RLELossless)
    stream = bytearray(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1))
    assert stream[64] > 128, "a run"
    stream[64] -= made
    dataset.PixelData = pydicom.encaps.encapsulate([bytes(stream)])
    dataset.save_as(tmp_path / "a.dcm")
    assert "damaged" in refusal(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("changed", "eye"),
    [
        ({"ImageLaterality": "R"}, "R"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "RL"),
        ({"ImageLaterality": "r ", "Laterality": "L"}, "RL"),
        ({"ImageLaterality": ["R", "L"]}, "RL"),
        ({"ImageLaterality": "L", "Laterality": "L"}, "L"),
        ({"ImageLaterality": "L", "Laterality": "B"}, "L"),
        ({"ImageLaterality": "", "Laterality": "L"}, "L"),
        ({"ImageLaterality": "U", "Laterality": "L"}, "L"),
        ({"Laterality": " r "}, "R"),
        ({"ImageLaterality": "B"}, "B"),
        ({"ImageLaterality": "B", "Laterality": "R"}, "B"),
        ({"ImageLaterality": ["R", "B"]}, "B"),
        ({"Laterality": "b"}, "B"),
        ({"ImageLaterality": "U"}, ""),
        ({}, ""),
    ],
)
def test_whose_picture_it_says_it_is_goes_with_the_frame_and_is_shown_nowhere(
    tmp_path: Path, changed: dict[str, str], eye: str
) -> None:
    with Pictures(write(tmp_path / "a.dcm", NOISE, **changed)) as camera:
        frame = camera.read()
    assert frame is not None
    assert (frame.stated.eye, frame.stated.patient_id) == (eye, "SECRET-ID")
    assert "SECRET" not in repr(frame)
    assert "SECRET" not in repr(frame.stated)


def test_an_object_that_names_nobody_states_nothing(tmp_path: Path) -> None:
    with Pictures(write(tmp_path / "a.dcm", NOISE, PatientID="")) as camera:
        frame = camera.read()
    assert frame is not None
    assert frame.stated == StatedOf()
