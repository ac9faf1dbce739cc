"""Valid files of a kind that is not read are called so, not damaged; and nothing of a library's own lines is shown."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.files import decode
from tests.pictures import retina

RETINA = Image.fromarray(retina(width=160, height=120))


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    RETINA.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_of(marker: int, bits: int = 8) -> bytes:
    """A JPEG whose frame header says that it is of this kind."""
    data = bytearray(encoded("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    return bytes(data)


def bmp_of(bits: int, compression: int) -> bytes:
    """A BMP of 4 x 4 whose header says that it is stored so."""
    head = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, bits, compression, 0, 0, 0, 0, 0)
    body = bytes(256)
    return struct.pack("<2sIHHI", b"BM", 14 + len(head) + len(body), 0, 0, 54) + head + body


KINDS: dict[str, tuple[str, bytes, str]] = {
    "12-bit JPEG": ("a.jpg", jpeg_of(0xC1, 12), "a JPEG of 12 bits a channel, expected 8; export it so"),
    "lossless JPEG": ("a.jpg", jpeg_of(0xC3), "a lossless JPEG, expected baseline or progressive"),
    "JPEG-LS": ("a.jpg", jpeg_of(0xF7), "a JPEG-LS JPEG, expected baseline or progressive"),
    "arithmetic JPEG": ("a.jpg", jpeg_of(0xC9), "a hierarchical or arithmetic JPEG, expected baseline or progressive"),
    "BMP of JPEG": ("a.bmp", bmp_of(24, 4), "a BMP of a kind that is not read here"),
    "BMP of 2 bits": ("a.bmp", bmp_of(2, 0), "a BMP of a kind that is not read here"),
    "HEIC": ("a.heic", b"\0\0\0\x18ftypheic" + bytes(100), "HEIC or AVIF, for which no decoder is shipped"),
    "PDF": ("a.jpg", b"%PDF-1.7\n" + bytes(100), "not an image that can be read (PDF"),
    "text": ("a.png", b"see the other folder\n", "not an image that can be read (text"),
    "nothing": ("a.png", b"", "not an image that can be read (empty file"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_valid_file_of_another_kind_is_named_and_not_called_damaged(tmp_path: Path, name: str) -> None:
    file, data, words = KINDS[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(FrameUnreadable) as caught:
        decode(tmp_path / file)
    said = str(caught.value)
    assert words in said
    assert "damaged" not in said
    assert "copy it again" not in said
    assert "\n" not in said


def test_pillow_logs_no_lines_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(encoded("TIFF"))
    entry = struct.pack("<HHI", 277, 3, 1)  # samples a pixel
    at = data.index(entry) + len(entry)
    data[at : at + 2] = b"\xff\xff"
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(FrameUnreadable):
        decode(tmp_path / "a.tif")
    assert not caplog.records


def test_libtiff_writes_no_lines_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded("TIFF", compression="tiff_lzw"))
    data[40:400] = bytes(360)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(FrameUnreadable):
        decode(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")
