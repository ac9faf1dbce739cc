"""Files as people have them and as they break: rop-read may read only what Python reads, to the same pixels."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from device.cameras.codecs.own import marked
from tests.pictures import retina

_TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(rows: bytes, *, behind: bytes = b"", interlaced: int = 0) -> bytes:
    """A PNG of 320 x 240 in RGB whose data is these rows, each behind its filter's number."""
    head = struct.pack(">IIBBBBB", 320, 240, 8, 2, 0, 0, interlaced)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows) + behind), chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def hostile_files() -> dict[str, bytes]:
    """By what is odd about each."""
    pixels = np.ascontiguousarray(retina())
    return _joined(pixels) | _kinds(pixels) | _of_jpeg(pixels) | _of_png(pixels)


def _jpeg(pixels: Any) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90))


def _png(pixels: Any) -> bytes:
    return bytes(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())


def _pillow(picture: Any, kind: str, **options: Any) -> bytes:
    to = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(to, kind, **options)
    return to.getvalue()


def _joined(pixels: Any) -> dict[str, bytes]:
    jpeg, png, webp = _jpeg(pixels), _png(pixels), _pillow(pixels, "WEBP")
    larger, preview = retina(1, 640, 480), retina(2, 120, 90)
    behind = {
        "itself": b"",
        "JPEG": jpeg,
        "larger JPEG": _jpeg(larger),
        "larger PNG": _png(larger),
        "PNG": png,
        "WebP": webp,
        "preview": _jpeg(preview),
        "preview as PNG": _png(preview),
        "text": b"vendor's trailer " * 20,
        "zeros": bytes(5000),
        "mixed": b"x" * 100 + bytes(300),
        "torn JPEG": b"\xff\xd8\xff\xe0zz",
        "a little and JPEG": b"\0\0ab" + jpeg,
        "JPEG with stray bytes": jpeg[:2] + b"\0\0\0" + jpeg[2:],
        "two previews": _jpeg(preview) + _png(preview),
    }
    firsts = {"JPEG": jpeg, "PNG": png}
    return {f"{name} and {other}": first + more for name, first in firsts.items() for other, more in behind.items()} | {
        "JPEG of two pictures (MPO)": _pillow(pixels, "MPO", save_all=True, append_images=[Image.fromarray(pixels)]),
        "JPEG that ends in another": jpeg[:-2] + jpeg,
        "JPEG with another in its comment": _with(jpeg, 0xFE, _jpeg(preview)),
    }


def _kinds(pixels: Any) -> dict[str, bytes]:
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    half, none = (np.dstack([pixels, np.full(pixels.shape[:2], alpha, np.uint8)]) for alpha in (128, 0))
    return {
        "gray JPEG": _pillow(pixels[..., 1], "JPEG"),
        "gray PNG": _pillow(pixels[..., 1], "PNG"),
        "CMYK": _pillow(Image.fromarray(pixels).convert("CMYK"), "JPEG"),
        "palette": _pillow(Image.fromarray(pixels).convert("P"), "PNG"),
        "opaque": _pillow(opaque, "PNG"),
        "half": _pillow(half, "PNG"),
        "invisible": _pillow(none, "PNG"),
        "a transparent colour": _pillow(pixels, "PNG", transparency=(190, 120, 70)),
        "16 bits": bytes(cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()),
        "TIFF": _pillow(pixels, "TIFF"),
        "BMP": _pillow(pixels, "BMP"),
        "WebP": _pillow(pixels, "WEBP"),
        "GIF": _pillow(pixels, "GIF"),
        "empty": b"",
        "text": b"hello world\n" * 20,
        "one pixel": _pillow(pixels[:1, :1], "JPEG"),
        "small": _pillow(pixels[100:140, 100:140], "PNG"),
        "own JPEG": marked(_jpeg(pixels)),
        "own PNG": marked(_png(pixels)),
    }


def _with(jpeg: bytes, marker: int, body: bytes) -> bytes:
    return jpeg[:2] + b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _of_jpeg(pixels: Any) -> dict[str, bytes]:
    whole = _jpeg(pixels)
    frame, scan = whole.find(b"\xff\xc0"), whole.find(b"\xff\xda")
    upright, turned = Image.Exif(), Image.Exif()
    upright[0x112], turned[0x112] = 1, 6
    xmp = b"http://ns.adobe.com/xap/1.0/\0"

    def sized(height: int, width: int) -> bytes:
        return whole[: frame + 5] + struct.pack(">HH", height, width) + whole[frame + 9 :]

    return {
        "upright": _pillow(pixels, "JPEG", exif=upright),
        "turned": _pillow(pixels, "JPEG", exif=turned),
        "turned by XMP": _with(whole, 0xE1, xmp + _XMP.encode()),
        "XMP": _with(whole, 0xE1, xmp + b"<x:xmpmeta/>"),
        "turned, said late": whole[:scan] + _with(b"\xff\xd8", 0xE1, b"Exif\0\0" + _TURNED)[2:] + whole[scan:],
        "profile": _pillow(pixels, "JPEG", icc_profile=b"x" * 200),
        "MPF": _with(whole, 0xE2, b"MPF\0junk"),
        "progressive": _pillow(pixels, "JPEG", progressive=True),
        "RGB": _pillow(pixels, "JPEG", keep_rgb=True),
        "4:2:0": _pillow(pixels, "JPEG", subsampling=2),
        "4:4:4": _pillow(pixels, "JPEG", subsampling=0),
        "restarts": bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes()),
        "said to be of RGB": _with(whole, 0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        "12 bits": whole[: frame + 4] + b"\x0c" + whole[frame + 5 :],
        "arithmetic": whole.replace(b"\xff\xc0", b"\xff\xc9", 1),
        "tall": sized(65000, 300),
        "huge": sized(20000, 20000),
        "no rows": sized(0, 320),
        "cut": whole[: len(whole) // 2],
        "no end": whole[:-2],
        "half": whole[: len(whole) // 2] + b"\xff\xd9",
        "hole": whole[: scan + 400] + bytes(300) + whole[scan + 700 :],
        "stray bytes": whole[:-2] + bytes(3) + whole[-2:],
        "many stray bytes": whole[:-2] + bytes(range(1, 21)) + whole[-2:],
        "filled up": whole[:-2] + b"\xff\xff" + whole[-2:],
        "a byte before": b"\0" + whole,
        "begins twice": b"\xff\xd8" + whole,
    }


def _of_png(pixels: Any) -> dict[str, bytes]:
    whole = _png(pixels)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    text, profile = PngInfo(), PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _XMP)
    exif = b"Exif\0\0" + _TURNED
    profile.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}\n")
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    woven = [b"\0" + row.tobytes() for y, x, down, right in passes for row in pixels[y::down, x::right]]
    return {
        "PNG turned": whole[:33] + chunk(b"eXIf", _TURNED) + whole[33:],
        "PNG turned by XMP": _pillow(pixels, "PNG", pnginfo=text),
        "PNG turned, said late": whole[:-12] + chunk(b"eXIf", _TURNED) + whole[-12:],
        "PNG turned in a text": _pillow(pixels, "PNG", pnginfo=profile),
        "PNG cut": whole[:-30],
        "nothing but a PNG's end": whole[:8] + whole[-12:],
        "PNG without end": whole[:-12],
        "animated": _pillow(
            pixels, "PNG", save_all=True, append_images=[Image.fromarray(np.ascontiguousarray(pixels[::-1]))]
        ),
        "animation of one": whole[:33] + chunk(b"acTL", struct.pack(">II", 1, 0)) + whole[33:],
        "PNG, a bit": whole[:200] + bytes([whole[200] ^ 8]) + whole[201:],
        "PNG, its end's sum": whole[:-1] + b"?",
        "data behind its end": whole + chunk(b"IDAT", b"abcd"),
        "interlaced": png_of(b"".join(woven), interlaced=1),
        "made by hand": png_of(rows),
        "rows missing": png_of(rows[: -961 * 40]),
        "a row missing": png_of(rows[:-961]),
        "interlaced rows missing": png_of(b"".join(woven[:-30]), interlaced=1),
        "no rows at all": png_of(b""),
        "rows too many": png_of(rows + rows[:961]),
        "more behind its rows": png_of(rows, behind=b"junk" * 5),
        "wrong filter": png_of(b"\x07" + rows[1:]),
    }
