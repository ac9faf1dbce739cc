"""From the path of a picture to RGB pixels, or to one line that says why it cannot be used.

JPEG is decoded by libjpeg-turbo with an ear for its warnings, all else by Pillow, as on the training side, so that both
see the same pixels. A picture whose data is damaged is no picture, however much of it could be shown.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.levels import to_eight_bits
from device.cameras.codecs.refused import MAX_MEGAPIXELS, Damaged, Refused, check_size, several
from device.cameras.files.sniff import begins_as_picture
from device.checked_file import read_whole
from device.errors import FrameUnreadable
from device.frame import NOTHING_STATED, StatedOf

if TYPE_CHECKING:
    from PIL import Image

    from device.cameras.codecs import tiff

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
"""Endings of DICOM objects; one with another ending, or none, is known by its content."""

PICTURE_SUFFIXES = DICOM_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".pnm"}
    | {".jp2", ".j2k", ".heic", ".heif", ".avif"}
)
"""Endings of the file names that are taken for pictures, in small letters; HEIC and AVIF so that each is told of."""

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000")
TURNED = "turned upright as its EXIF says"
"""Of `Decoded.changes`."""
_EXPECTED = "expected JPEG, PNG, TIFF, BMP, WebP or PPM"
_DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA"})
_PREMULTIPLIED = {"RGBa": "RGB", "La": "L"}
_ORIENTATION_TAG = 0x0112
_MAY_SAY_MORE = (b"\xff\xe1", b"\xff\xe2")
"""Markers of a JPEG's segments with EXIF or XMP, and with a colour profile or further pictures."""
_LOSSY = frozenset({"WEBP", "JPEG2000", "JPEG", "MPO"})
_UNCHECKED = frozenset({"BMP", "PPM", "TIFF"})
_PNG_BITS_AT = 24
"""Of the header's bits a channel in a PNG."""
FILE_BYTES_MAX = 1 << 30
"""No picture's file is larger."""
_NOT_OUR_KIND = ("nsupported", "unknown", "not available", "not implemented", "cannot handle")
"""Words of Pillow's on valid files that it does not read."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture, and what was done to it."""

    pixels: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3], upright, in sRGB."""
    changes: tuple[str, ...] = ()
    """What was done beyond decoding, for the reading."""
    stated: StatedOf = NOTHING_STATED
    """Whose picture the file says it is."""


def shown_name(path: Path, folder: Path | None = None) -> str:
    """The file's name without its folder, or its path from `folder`, as text that can be written anywhere (bytes that
    are no UTF-8 become `?`)."""
    name = path.name if folder is None else path.relative_to(folder)
    return os.fsencode(name).decode("utf-8", "replace").replace("\ufffd", "?")


def decode(path: Path, *, sequence: int = 0) -> NDArray[np.uint8]:
    """The pixels of `decode_picture`."""
    return decode_picture(path, sequence=sequence).pixels


def decode_picture(path: Path, *, sequence: int = 0, name: str | None = None) -> Decoded:
    """The picture as RGB, uint8 [H, W, 3], upright (the EXIF orientation is applied), in sRGB.

    Gray, palette and CMYK pictures become RGB; transparency is laid over black, and refused where it hides all;
    of 16 bits a channel 8 are kept (gray: rounded, colour: the upper byte, which differs by one level at most).

    Of a DICOM object the pixels are read and nothing else (`device.cameras.files.dicom`).

    Raises `FrameUnreadable`, with `sequence` as the number that the frame would have had and `name` (the file's own
    where there is none) as its source, for everything else: not a picture, damaged or truncated, several pages or
    animated, floating point, or more than 64 megapixels (known from the header, before memory is taken).
    """
    with _as_unreadable(name or shown_name(path), sequence):
        return _decode(path)


def decode_content(data: bytes, name: str, *, sequence: int = 0) -> Decoded:
    """As `decode_picture`, of the bytes of a file of that name, which may lie anywhere. Raises `FrameUnreadable`."""
    with _as_unreadable(name, sequence):
        return _decode_content(data, os.path.splitext(name)[1])


@contextmanager
def _as_unreadable(name: str, sequence: int) -> Iterator[None]:
    try:
        yield
    except Refused as why:
        raise FrameUnreadable(f"{name}: {why}", source=name, sequence=sequence) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise FrameUnreadable(f"{name}: cannot be read ({reason})", source=name, sequence=sequence) from error
    except MemoryError:
        raise FrameUnreadable(f"{name}: too large for this machine's memory", source=name, sequence=sequence) from None


def _decode(path: Path) -> Decoded:
    size = os.path.getsize(path)
    if size > FILE_BYTES_MAX:
        raise Refused(f"a file of {size >> 20} MiB, expected at most {FILE_BYTES_MAX >> 20}; export it smaller")
    return _decode_content(read_whole(path, FILE_BYTES_MAX), path.suffix)


def _decode_content(data: bytes, suffix: str) -> Decoded:
    if data[128:132] == b"DICM" or (suffix.lower() in DICOM_SUFFIXES and not begins_as_picture(data)):
        from device.cameras.files.dicom import decode_dicom

        return Decoded(*decode_dicom(data))
    try:
        return decode_bytes(data)
    except Damaged:
        if len(data) > 64 and not data[-64:].strip(b"\0"):  # a copy may begin by setting the file's length
            raise Refused("damaged or truncated file (its end is all zeros, not written yet); copy it again") from None
        raise


def decode_bytes(data: bytes) -> Decoded:
    """As `decode_picture`, of a file's bytes, DICOM apart. Raises `Refused`."""
    from PIL import Image

    from device.cameras.codecs import png, tiff

    # What Pillow warns of or logs (size, odd metadata) is judged here; on a cart nobody reads its lines on stderr.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    _check_before(data)
    shown = tiff.restated(data) if tiff.is_tiff(data) else data
    if png.is_png(data):
        shown = png.without_damaged_words(data)
    try:
        picture = Image.open(BytesIO(shown), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise Refused(f"more than {MAX_MEGAPIXELS} megapixels; export it smaller") from None
    except Exception as error:  # Pillow raises nearly anything on damaged headers
        raise Refused(_why_not_opened(data, error)) from None
    with picture:
        check_size(*picture.size)
        try:
            return _pixels(picture, data)
        except (Refused, MemoryError):
            raise
        except Exception as error:
            why = _one_line(error)
            if any(words in why for words in _NOT_OUR_KIND):
                raise Refused(f"a {picture.format} of a kind that is not read here ({why}); export it anew") from None
            raise Damaged(picture.format or "picture", why) from None


def decode_sent_jpeg(data: bytes) -> Decoded:
    """A JPEG that a camera or a program sends: what its bytes would be as a file. Raises `Refused`.

    Without Pillow, and quicker, where its header says nothing of colours, of turning or of further pictures.
    """
    from device.cameras.codecs.jpeg import decode_jpeg, read_header

    head = data[: read_header(data).data_at]
    return decode_bytes(data) if any(marker in head for marker in _MAY_SAY_MORE) else Decoded(decode_jpeg(data))


def _check_before(data: bytes) -> None:
    """Refuse by its bytes what a decoder would take too long over, or take for good."""
    from device.cameras.codecs import jpeg, jpeg2000, own, plain, png, tiff

    own.check_not_own(data)
    plain.check_before(data)
    if jpeg.is_jpeg(data):
        jpeg.check_header(jpeg.read_header(data), data)
    elif png.is_png(data):
        png.check_size_and_sums(data)
    elif jpeg2000.is_jpeg2000(data):
        jpeg2000.check_jpeg2000(data)
    elif tiff.is_tiff(data):
        pages = tiff.read_pages(data)
        tiff.check_kind(pages[tiff.main_page(pages)])


def _pixels(picture: Image.Image, data: bytes) -> Decoded:
    from device.cameras.codecs.seams import damage_seen

    kind = picture.format
    if kind in ("JPEG", "MPO"):
        _one_of_several(picture)
        rgb, changes = _jpeg_pixels(picture, data)
    elif kind == "TIFF":
        rgb, changes = _tiff_pixels(picture, data)
    else:
        rgb, changes = _one_picture(picture, data)
    looked_at = kind in ("JPEG", "MPO") and picture.mode != "CMYK"  # by `decode_jpeg`
    seen = None if looked_at else damage_seen(rgb, blocks=kind in _LOSSY, unchecked=kind in _UNCHECKED)
    if seen is not None:
        raise Damaged(kind or "picture", seen)
    return Decoded(rgb, changes)


def _one_picture(picture: Image.Image, data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """A file of one of the formats that need no more than a check before Pillow, or a quicker decoder."""
    from PIL import ImageFile

    pages = int(getattr(picture, "n_frames", 1))
    if pages > 1:
        raise several(pages)
    if picture.format == "WEBP":
        from device.cameras.codecs.webp import decode_webp

        pixels = decode_webp(data, picture.size, transparent=picture.mode != "RGB")
        if pixels is not None:
            return _finish_pixels(picture, data, pixels)
    elif picture.format == "JPEG2000":
        from device.cameras.codecs.jpeg2000 import decode_jpeg2000

        stored = decode_jpeg2000(data)
        if stored is not None and picture.mode == ("L" if stored.ndim == 2 else "RGB"):
            return _finish_pixels(picture, data, stored if stored.ndim == 3 else np.repeat(stored[:, :, None], 3, 2))
    elif isinstance(picture, ImageFile.ImageFile) and picture.format in ("BMP", "PPM"):
        from device.cameras.codecs.plain import check_end

        check_end(picture, data)
    return _pillow_pixels(picture, data)


def _jpeg_pixels(picture: Image.Image, data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    from device.cameras.codecs.jpeg import check_jpeg, decode_jpeg

    if picture.mode in ("RGB", "L"):
        return _finish_pixels(picture, data, decode_jpeg(data))
    check_jpeg(data)
    return _pillow_pixels(picture, data)


def _tiff_pixels(picture: Image.Image, data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    from device.cameras.codecs import tiff
    from device.cameras.codecs.libtiff import hush_libtiff

    hush_libtiff()
    pages = tiff.read_pages(data)
    number = tiff.main_page(pages)
    picture.seek(number)
    check_size(*picture.size)
    page = pages[number]
    tiff.check_parts(data, page)
    if page.channels_alone:
        return _finish(picture, data, _in_place(_of_channels(data, page), page))
    turned = _orientation(picture)  # Pillow turns a TIFF itself as it loads it
    picture.load()
    shown = _eight_bits(picture, bits=page.bits[0], inverted=page.inverted)
    pixels, changes = _finish(picture, data, _in_place(shown, page, turned))
    return pixels, changes if turned is None or TURNED in changes else (*changes, TURNED)


def _in_place(shown: Image.Image, page: tiff.TiffPage, turned: Image.Transpose | None = None) -> Image.Image:
    """The picture, when none of its tiles is out of its place; turned: how Pillow turned it."""
    from PIL.Image import Transpose

    from device.cameras.codecs.tiles import tile_score

    if page.tile is None:
        return shown
    back = {Transpose.ROTATE_90: Transpose.ROTATE_270, Transpose.ROTATE_270: Transpose.ROTATE_90}
    stored = shown if turned is None else shown.transpose(back.get(turned, turned))
    if tile_score(np.asarray(stored.convert("RGB")), page.tile) > 1:
        raise Damaged("TIFF", "a tile of it does not go on from those beside it")
    return shown


def _of_channels(data: bytes, page: tiff.TiffPage) -> Image.Image:
    """A picture whose channels of 16 bits are read one by one; the upper byte of each is kept."""
    from PIL import Image

    from device.cameras.codecs import tiff

    channels = []
    for channel in page.channels_alone:
        with Image.open(BytesIO(tiff.channel_alone(data, page, channel)), formats=("TIFF",)) as one:
            channels.append((np.asarray(one, np.uint16) >> 8).astype(np.uint8))
    return _without_alpha(Image.fromarray(np.stack(channels, axis=2)))


def _pillow_pixels(picture: Image.Image, data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    picture.load()
    if picture.format == "PNG" and "transparency" in picture.info and data[_PNG_BITS_AT] == 16:
        raise Refused("a colour of 16 bits is transparent in it, which is not read here; export it without that")
    if picture.format == "PNG":
        from device.cameras.codecs.png import check_rows

        check_rows(data, np.asarray(picture.crop((0, picture.height - 1, picture.width, picture.height))))
    return _finish(picture, data, _eight_bits(picture))


def _finish_pixels(
    picture: Image.Image, data: bytes, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """As `_finish`, of pixels in RGB; without copies where there is nothing to do, as in nearly all files."""
    from PIL import Image

    from device.cameras.codecs.colours import stated_profile

    if stated_profile(picture, data) is None and _orientation(picture) is None:
        return pixels, ()
    decoded = Image.fromarray(pixels)
    return _finish(picture, data, decoded.convert("L") if picture.mode == "L" else decoded)  # a gray profile's kind


def _finish(picture: Image.Image, data: bytes, decoded: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Colours and orientation as the file says of itself: `decoded` is the picture in 8 bits, as stored."""
    from device.cameras.codecs.colours import stated_profile
    from device.cameras.codecs.profile import to_srgb

    decoded, converted = to_srgb(decoded, stated_profile(picture, data))
    turned = _orientation(picture)
    if turned is not None:
        decoded = decoded.transpose(turned)
    changes = tuple(filter(None, (converted, None if turned is None else TURNED)))
    if decoded.mode != "RGB":
        decoded = decoded.convert("RGB")
    return np.asarray(decoded), changes


def _orientation(picture: Image.Image) -> Image.Transpose | None:
    """How the picture is to be turned; damaged EXIF is as good as none."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)


def _one_of_several(picture: Image.Image) -> None:
    """Refuse a JPEG that holds further pictures (MPO), previews of half the size or less apart."""
    pages = int(getattr(picture, "n_frames", 1))
    if pages == 1:
        return
    width, height = picture.size
    for page in range(1, min(pages, 16)):
        picture.seek(page)
        if 2 * picture.size[0] > width or 2 * picture.size[1] > height:
            raise several(pages)
    picture.seek(0)


def _eight_bits(picture: Image.Image, *, bits: int = 16, inverted: bool = False) -> Image.Image:
    """The loaded picture in 8 bits, gray, RGB or CMYK, without transparency; bits: of a value of more than 8."""
    from PIL import Image

    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format in ("PNG", "PPM")):
        gray = to_eight_bits(np.asarray(picture), bits)
        return Image.fromarray(255 - gray if inverted else gray)
    if mode in _PREMULTIPLIED:  # over black it is what is stored
        return Image.merge(_PREMULTIPLIED[mode], picture.split()[:-1])
    if mode in _ALPHA_MODES or (mode in ("L", "P", "RGB") and "transparency" in picture.info):
        return _without_alpha(picture.convert("RGBA"))
    if mode in _DIRECT_MODES:
        return picture if mode in ("RGB", "L", "CMYK") else picture.convert("RGB")
    kind = {"F": "floating point", "I": "32-bit integer"}.get(mode, mode)
    raise Refused(f"{kind} pixels, expected 8 or 16 bits a channel in gray, RGB or CMYK; export it so")


def _without_alpha(picture: Image.Image) -> Image.Image:
    """RGBA laid over black, as a person sees it; raises `Refused` where nothing of it can be seen."""
    from PIL import Image

    if picture.mode == "RGB":
        return picture
    if picture.getchannel("A").getextrema() == (0, 0):
        raise Refused("nothing in it can be seen (it is transparent everywhere); export it without transparency")
    return Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")


def _why_not_opened(data: bytes, error: Exception) -> str:
    """Why Pillow does not open it: a valid file of a kind that it does not read, or none at all."""
    from device.cameras.codecs import tiff

    if tiff.is_tiff(data):
        return f"a {tiff.read_pages(data)[0].kind}, which is not read here; export it as RGB of 8 bits"
    if data.startswith(b"BM") and any(words in str(error) for words in _NOT_OUR_KIND):
        return f"a BMP of a kind that is not read here ({_one_line(error)}); export it as RGB of 8 bits"
    return f"not an image that can be read ({_what_it_is(data)}); {_EXPECTED}"


def _what_it_is(data: bytes) -> str:
    """A few words on what is in a file that no decoder knows."""
    size, head = len(data), data[:512]
    if size == 0:
        return "empty file"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"%PDF"):
        kind = "PDF"
    elif text.startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        kind = "SVG"
    elif head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"avif"):
        kind = "HEIC or AVIF, for which no decoder is shipped"
    elif head.startswith((b"\xff\xd8", b"\x89PNG", b"II*\0", b"MM\0*", b"BM", b"RIFF")):
        kind = "image with a damaged or truncated header"
    elif all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        kind = "text"
    else:
        kind = "unknown format"
    return f"{kind}, {size} bytes"


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
