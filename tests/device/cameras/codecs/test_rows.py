"""Rows that are another picture's, noise or nothing, in formats of which no byte tells of damage."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.codecs.rows import STEP_MAX, ends_in_zeros, row_step
from device.cameras.files import decode
from device.cameras.video import Recording
from tests.pictures import retina

WIDTH, HEIGHT = 640, 480
EYE = retina(4, WIDTH, HEIGHT)
ANOTHER = np.ascontiguousarray(np.clip(retina(9, WIDTH, HEIGHT).astype(int) * (0.7, 0.8, 1.2), 0, 255).astype(np.uint8))
AT, SECTOR = 240 * WIDTH * 3 + 500, 4096
"""In the middle of the field, beginning within a row."""


def _noise(length: int) -> bytes:
    return np.random.default_rng(1).integers(0, 256, length, np.uint8).tobytes()


SECTORS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(SECTOR),
    "erased": lambda: b"\xff" * SECTOR,
    "noise": lambda: _noise(SECTOR),
    "another picture's": lambda: ANOTHER.tobytes()[AT : AT + SECTOR],
    "another place's": lambda: EYE.tobytes()[9 * SECTOR : 10 * SECTOR],
}


@pytest.fixture(params=list(SECTORS))
def damaged(request: pytest.FixtureRequest) -> np.ndarray:
    """The eye with one sector of 4 KiB that is not its own: some two rows."""
    data = bytearray(EYE.tobytes())
    data[AT : AT + SECTOR] = SECTORS[request.param]()
    return np.frombuffer(bytes(data), np.uint8).reshape(EYE.shape)


@pytest.mark.parametrize("name", ["a.ppm", "a.bmp", "a.tif", "lzw.tif"])
def test_a_sector_that_is_not_the_pictures_own_is_damage(damaged: np.ndarray, name: str, tmp_path: Path) -> None:
    compression = {"compression": "tiff_lzw"} if name == "lzw.tif" else {}
    for pixels, taken in ((EYE, True), (damaged, False)):
        Image.fromarray(pixels).save(tmp_path / name, **compression)
        if taken:
            assert np.array_equal(decode(tmp_path / name), EYE)
            continue
        with pytest.raises(FrameUnreadable, match="damaged"):
            decode(tmp_path / name)


def test_of_an_uncompressed_dicom_object_as_well(damaged: np.ndarray, tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    for pixels, taken in ((EYE, True), (damaged, False)):
        data = pydicom.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
        data.Rows, data.Columns = HEIGHT, WIDTH
        data.SamplesPerPixel, data.PlanarConfiguration, data.PhotometricInterpretation = 3, 0, "RGB"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = pixels.tobytes()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        if taken:
            assert np.array_equal(decode(tmp_path / "a.dcm"), EYE)
            continue
        with pytest.raises(FrameUnreadable, match="damaged"):
            decode(tmp_path / "a.dcm")


def test_of_uncompressed_video_as_well(damaged: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w", format="avi") as file:
        stream = file.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr24"
        for pixels in (EYE, damaged, EYE):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    with Recording(path) as recording:
        assert recording.read() is not None
        with pytest.raises(FrameUnreadable, match="damaged"):
            recording.read()


@pytest.mark.parametrize("rows", [1, 2, 5, 20])
def test_few_or_many_rows_on_a_part_of_the_width(rows: int) -> None:
    pixels = EYE.copy()
    pixels[202 : 202 + rows, 200:420] = ANOTHER[260 : 260 + rows, 200:420]
    assert row_step(pixels) > STEP_MAX
    assert row_step(EYE) == 0


@pytest.mark.parametrize("rows", [1, 3, 6, 8, 13, 26])
@pytest.mark.parametrize("begin", [200, 203, 207])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_of_any_number_of_rows(rows: int, begin: int, channels: int) -> None:
    """Its own steps are as large as the one that it begins with. One channel: noise of a gray picture or a palette."""
    pixels = EYE.copy()
    noise = np.random.default_rng(rows).integers(40, 200, (rows, WIDTH, channels), np.uint8)
    pixels[begin : begin + rows] = noise
    assert row_step(pixels) > STEP_MAX


def test_what_is_whole_is_none_of_that() -> None:
    """The field's border, a dark last row, each row twice, stripes of two moments, a drawing."""
    bordered = EYE.copy()
    bordered[-1] = bordered[:1] = 0
    striped = EYE.copy()
    striped[::2] = np.clip(striped[::2].astype(int) + 12, 0, 255)
    drawing = np.full(EYE.shape, 230, np.uint8)
    drawing[100:200] = (20, 90, 200)
    for pixels in (bordered, np.repeat(EYE, 2, axis=0), striped, drawing):
        assert row_step(pixels) <= STEP_MAX


@pytest.mark.data
def test_no_real_frame_has_such_rows(data_root: Path) -> None:
    for folder in ("hvdropdb_ridge", "hvdropdb_disc", "hrf", "chase_db1", "fives_amd20"):
        for picture in sorted((data_root / folder / "images").iterdir())[::25]:
            with Image.open(picture) as opened:
                frame = opened.convert("RGB")
            buffer = io.BytesIO()
            frame.save(buffer, "JPEG", quality=30)
            with Image.open(buffer) as strong:
                assert row_step(np.asarray(frame)) <= STEP_MAX, picture.name
                assert row_step(np.asarray(strong)) <= STEP_MAX, picture.name


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.4])
@pytest.mark.parametrize("name", ["a.ppm", "a.bmp", "a.tif"])
@pytest.mark.parametrize("seed", [4, 7])
def test_a_file_whose_end_was_not_written_is_damage(name: str, share: float, seed: int, tmp_path: Path) -> None:
    """Some copies set the length first; where they were broken off zeros follow, at the top of a BMP."""
    Image.fromarray(retina(seed, WIDTH, HEIGHT)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    zeros = int(share * len(data))
    if name == "a.tif":
        assert data[4:8] == b"\x08\0\0\0", "its directory lies before its pixels"
    (tmp_path / name).write_bytes(data[:-zeros] + bytes(zeros))
    with pytest.raises(FrameUnreadable, match=r"damaged|not written yet"):
        decode(tmp_path / name)


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("upside_down", [False, True])
def test_of_channels_one_after_the_other_one_alone_may_end(channel: int, upside_down: bool) -> None:
    broken = EYE.copy()
    broken[400:, :, channel] = 0
    assert ends_in_zeros(broken[::-1] if upside_down else broken)


@pytest.mark.parametrize("rows", [8, 60])
@pytest.mark.parametrize("ends", ["both", "one"])
def test_bars_around_a_picture_and_padding_below_it_are_none(rows: int, ends: str) -> None:
    """A view cut above and below is laid into a square; a buffer of 1,088 rows holds 1,080."""
    view = EYE[100:380].copy()
    bar = np.zeros((rows, WIDTH, 3), np.uint8)
    laid = np.vstack((bar, view, bar) if ends == "both" else (view, bar))
    assert ends_in_zeros(laid) == (ends == "one" and rows == 60)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (320, 240), (1000, 960), (240, 180)])
@pytest.mark.parametrize("seed", range(4))
def test_a_round_field_on_black_ends_by_itself(seed: int, width: int, height: int) -> None:
    pixels = np.zeros((height + 2 * height // 3, width, 3), np.uint8)
    pixels[height // 3 : height // 3 + height] = retina(seed, width, height)
    assert not ends_in_zeros(pixels)
    assert not ends_in_zeros(pixels[: -height // 4])
