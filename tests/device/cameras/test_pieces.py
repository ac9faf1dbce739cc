"""Files of millions of parts that hold nothing: refused, for a reader would sit over them for minutes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable
from device.cameras.codecs.refused import MAX_PIECES
from device.cameras.files.decode import decode_content
from tests.device.cameras.test_as_people_have_them import DEFLATED, meta_end, object_of
from tests.pictures import retina

MANY = MAX_PIECES + 1000
PIXELS_TAG = struct.pack("<HH", 0x7FE0, 0x0010)
ELEMENT = struct.pack("<HH2sH", 0x0011, 0x1000, b"LO", 0)
ITEM, UNDEFINED = struct.pack("<HHI", 0xFFFE, 0xE000, 0), 0xFFFFFFFF
SEQUENCE = struct.pack("<HH2sHI", 0x0011, 0x1001, b"SQ", 0, UNDEFINED)
ENDS = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


def stored(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(retina(1, 64, 64)).save(out, kind, **options)
    return out.getvalue()


def put_in(data: bytes, before: bytes, what: bytes) -> bytes:
    at = data.index(before)
    return data[:at] + what + data[at:]


def chunk(kind: bytes) -> bytes:
    return struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))


def jpeg(what: bytes) -> Callable[[], bytes]:
    return lambda: put_in(stored("JPEG"), b"\xff\xdb", what)


def between_scans() -> bytes:
    data = stored("JPEG", progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:second] + b"\xff\xfe\0\2" * MANY + data[second:]


def dicom(what: bytes, *, deflated: bool = False) -> Callable[[], bytes]:
    def made() -> bytes:
        if not deflated:
            return put_in(object_of(), PIXELS_TAG, what)
        data = object_of(DEFLATED)
        at = meta_end(data)
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        whole = put_in(zlib.decompress(data[at:], -zlib.MAX_WBITS), PIXELS_TAG, what)
        return data[:at] + packer.compress(whole) + packer.flush()

    return made


FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "segments of a JPEG": ("a.jpg", jpeg(b"\xff\xfe\0\2" * MANY), "segments"),
    "bytes that fill a JPEG's header": ("a.jpg", jpeg(b"\xff" * MANY), "stray"),
    "stray bytes in a JPEG's header": ("a.jpg", jpeg(b"\xff\0" * MANY), "stray"),
    "restart markers in a JPEG's header": ("a.jpg", jpeg(b"\xff\xd0" * MANY), "stray"),
    "segments between scans": ("a.jpg", between_scans, "segments"),
    "chunks of a PNG": ("a.png", lambda: put_in(stored("PNG"), b"\0\0\0\0IEND", chunk(b"teXt") * MANY), "chunks"),
    "pieces of a PNG's pixels": (
        "a.png",
        lambda: put_in(stored("PNG"), b"\0\0\0\0IEND", chunk(b"IDAT") * MANY),
        "chunks",
    ),
    "segments of a JPEG 2000": (
        "a.j2k",
        lambda: put_in(stored("JPEG2000", no_jp2=True), b"\xff\x52", b"\xff\x64\0\4\0\1" * MANY),
        "segments",
    ),
    "boxes of a JPEG 2000": (
        "a.jp2",
        lambda: (
            (data := stored("JPEG2000"))[: data.index(b"jp2c") - 4]
            + struct.pack(">I4s", 8, b"free") * MANY
            + data[data.index(b"jp2c") - 4 :]
        ),
        "boxes",
    ),
    "elements of a DICOM object": ("a.dcm", dicom(ELEMENT * MANY), "elements"),
    "items of a DICOM object": ("a.dcm", dicom(SEQUENCE + ITEM * MANY + ENDS[8:]), "elements"),
    "elements of a deflated object": ("a.dcm", dicom(ELEMENT * MANY, deflated=True), "elements"),
    "elements of an item, deflated": (
        "a.dcm",
        dicom(SEQUENCE + ITEM[:4] + struct.pack("<I", UNDEFINED) + ELEMENT * MANY + ENDS, deflated=True),
        "elements",
    ),
    "comments of a PPM": ("a.ppm", lambda: b"P6\n" + b"#a\n" * MANY + b"8 8 255\n" + bytes(192), "header"),
    "comments in a number of a PPM": ("a.ppm", lambda: b"P6\n8 8 2" + b"#a\n" * MANY + b"55\n" + bytes(192), "header"),
    "blanks of a PPM": ("a.ppm", lambda: b"P6 8 8" + b" " * MANY + b"255\n" + bytes(192), "header"),
    "digits of a PPM": ("a.ppm", lambda: b"P3 1500 1500 255\n" + b"1 " * 6_750_000, "digits"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_of_too_many_pieces_is_refused_in_words(what: str) -> None:
    name, made, said = FILES[what]
    with pytest.raises(FrameUnreadable, match=said) as refused:
        decode_content(made(), name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "JPEG2000", "PPM"])
def test_a_file_of_a_few_hundred_pieces_is_read(kind: str) -> None:
    few = 300
    data = stored(kind)
    if kind == "JPEG":
        data = put_in(data, b"\xff\xdb", b"\xff\xfe\0\2" * few)
    elif kind == "PNG":
        data = put_in(data, b"\0\0\0\0IEND", chunk(b"teXt") * few)
    elif kind == "JPEG2000":
        data = put_in(data, b"\xff\x52", b"\xff\x64\0\4\0\1" * few)
    else:
        data = data.replace(b"P6\n", b"P6\n" + b"# 12 34\n" * few, 1)
    whole = decode_content(stored(kind), "whole").pixels
    np.testing.assert_array_equal(decode_content(data, "pieces").pixels, whole)
