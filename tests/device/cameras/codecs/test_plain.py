"""Plain pictures of another length than their size makes, and packed TIFF parts that do not fit their sum."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.files import decode
from tests.pictures import retina

RETINA = retina(seed=4, width=321, height=243)
DEEP = b"P6 321 243 65535\n" + (RETINA.astype(">u2") * 257).tobytes()


def encoded(kind: str, pixels: np.ndarray = RETINA, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


PLAIN = {
    "a.bmp": encoded("BMP"),
    "gray.bmp": encoded("BMP", RETINA[..., 1].copy()),
    "a.ppm": encoded("PPM"),
    "a.pgm": encoded("PPM", RETINA[..., 1].copy()),
    "deep.ppm": DEEP,
    "deep.pgm": encoded("PPM", RETINA[..., 1].astype(np.uint16) * 257),
}


@pytest.mark.parametrize("name", PLAIN)
def test_whole_ones_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PLAIN[name])
    assert decode(tmp_path / name).shape == RETINA.shape


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("lost", [-4096, -512, -16, 16, 512, 4096])
def test_bytes_lost_or_come_in_between_are_refused(tmp_path: Path, name: str, share: float, lost: int) -> None:
    """What follows is sheared or of shifted colours."""
    data = PLAIN[name]
    at = int(share * len(data))
    (tmp_path / name).write_bytes(data[:at] + data[at + lost :])
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / name)


@pytest.mark.parametrize(("at", "value"), [(18, 320 // 2), (22, 200), (22, -200)])
def test_a_bmp_of_another_stated_size_is_refused(tmp_path: Path, at: int, value: int) -> None:
    data = bytearray(PLAIN["a.bmp"])
    struct.pack_into("<i", data, at, value)
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / "a.bmp")


def test_a_bmp_that_leaves_its_length_out_or_is_padded_is_read(tmp_path: Path) -> None:
    data = PLAIN["a.bmp"]
    (tmp_path / "a.bmp").write_bytes(data[:2] + bytes(4) + data[6:] + bytes(2))
    assert np.array_equal(decode(tmp_path / "a.bmp"), RETINA)


def _deflated() -> tuple[bytes, list[tuple[int, int]]]:
    """A TIFF and where its strips lie."""
    data = encoded("TIFF", compression="tiff_adobe_deflate")
    tags = Image.open(io.BytesIO(data)).tag_v2  # type: ignore[attr-defined]
    return data, list(zip(tags[273], tags[279], strict=True))


def test_a_deflated_tiff_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(_deflated()[0])
    assert np.array_equal(decode(tmp_path / "a.tif"), RETINA)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("hole", [b"\x01", bytes(16), b"\xff" * 512])
def test_damage_in_a_deflated_tiff_is_refused(tmp_path: Path, share: float, hole: bytes) -> None:
    """libtiff fills the part with what comes out and never gets to its sum."""
    data, parts = _deflated()
    broken = bytearray(data)
    at, count = parts[0]
    begin = at + int(share * (count - len(hole)))
    broken[begin : begin + len(hole)] = bytes([data[begin] ^ 1]) if len(hole) == 1 else hole
    (tmp_path / "a.tif").write_bytes(broken)
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / "a.tif")


def test_a_part_without_its_sum_is_refused(tmp_path: Path) -> None:
    data, parts = _deflated()
    at, count = parts[-1]
    broken = bytearray(data)
    broken[at + count - 4 : at + count] = struct.pack(">I", zlib.adler32(b"another"))
    (tmp_path / "a.tif").write_bytes(broken)
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("pixels", [RETINA, RETINA[..., 1].copy(), RETINA[..., 1] > 90])
def test_packbits_is_read_and_one_wrong_count_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    """libtiff drops what is too much, and shows the rest of the part sheared."""
    data = encoded("TIFF", pixels, compression="packbits")
    (tmp_path / "a.tif").write_bytes(data)
    assert decode(tmp_path / "a.tif").shape == RETINA.shape
    tags = Image.open(io.BytesIO(data)).tag_v2  # type: ignore[attr-defined]
    at, broken = tags[273][0], bytearray(data)
    broken[at] = broken[at] - 1 if broken[at] > 129 else broken[at] + 2
    (tmp_path / "a.tif").write_bytes(broken)
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / "a.tif")
