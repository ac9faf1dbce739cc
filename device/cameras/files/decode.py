"""From the path of a picture to RGB pixels, or to one line that says why it cannot be used.

Pillow decodes, as it does on the training side, so that both see the same pixels; and it refuses a truncated file,
where OpenCV returns a picture that is half grey.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device.cameras.files.refused import MAX_MEGAPIXELS, Refused
from device.errors import FrameUnreadable

if TYPE_CHECKING:
    from PIL import Image

DICOM_SUFFIX = ".dcm"

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", DICOM_SUFFIX}
)
"""Endings of the file names that are taken for pictures, in small letters."""

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")
_EXPECTED = "expected JPEG, PNG, TIFF, BMP, WebP or PPM"
_DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_ORIENTATION_TAG = 0x0112
_PADDING_BYTES = 64
"""So many zeros in a row stand at the end of no compressed picture."""


def shown_name(path: Path) -> str:
    """The file's name without its folder, as text that can be written anywhere (bytes that are no UTF-8 become `?`)."""
    return os.fsencode(path.name).decode("utf-8", "replace").replace("\ufffd", "?")


def decode(path: Path, *, sequence: int = 0) -> NDArray[np.uint8]:
    """The picture as RGB, uint8 [H, W, 3], upright (the EXIF orientation is applied).

    Gray, palette and CMYK pictures become RGB; transparency is laid over black; of 16 bits a channel 8 are kept
    (gray: rounded, colour: the upper byte, which differs by one level at most).

    Of a DICOM object the pixels are read and nothing else (`device.cameras.files.dicom`).

    Raises `FrameUnreadable`, with `sequence` as the number that the frame would have had, for everything else:
    not a picture, truncated, several pages or animated, floating point, or more than 64 megapixels (known from the
    header, before memory is taken).
    """
    name = shown_name(path)
    try:
        return _decode_dicom(path) if path.suffix.lower() == DICOM_SUFFIX else _decode(path)
    except Refused as why:
        raise FrameUnreadable(f"{name}: {why}", source=name, sequence=sequence) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise FrameUnreadable(f"{name}: cannot be read ({reason})", source=name, sequence=sequence) from error


def _decode_dicom(path: Path) -> NDArray[np.uint8]:
    from device.cameras.files.dicom import decode_dicom

    return decode_dicom(path)


def _decode(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    # What Pillow warns of (size, odd metadata) is judged here; on a cart nobody reads its lines on stderr.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with path.open("rb") as file:
        try:
            picture = Image.open(file, formats=_FORMATS)
        except Image.DecompressionBombError:
            raise Refused(f"more than {MAX_MEGAPIXELS} megapixels; export it smaller") from None
        except Exception:  # Pillow raises nearly anything on damaged headers
            raise Refused(f"not an image that can be read ({_what_it_is(path)}); {_EXPECTED}") from None
        with picture:
            _check_header(picture)
            if picture.format in ("JPEG", "WEBP") and _ends_unwritten(path):
                raise Refused(_damaged(picture, "its end is all zeros, not written yet"))
            try:
                picture.load()
                return _to_rgb(_upright(picture))
            except Refused:
                raise
            except Exception as error:
                raise Refused(
                    f"damaged or truncated {picture.format} file ({_one_line(error)}); copy it again"
                ) from None


def _check_header(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise Refused(f"{width} x {height} pixels, expected at most {MAX_MEGAPIXELS} megapixels; export it smaller")
    try:
        pages = int(getattr(picture, "n_frames", 1))
    except Exception:
        raise Refused(_damaged(picture, "its pages cannot be counted")) from None
    if pages > 1:
        raise Refused(f"{pages} pages or animation frames in one file, expected one picture; export the one to be read")


def _ends_unwritten(path: Path) -> bool:
    """Whether a compressed file ends in zeros that no encoder wrote.

    A copy over the network may begin by setting the file's length; the decoder makes a grey or torn half picture of the
    zeros that have not been overwritten yet, and says nothing. Zeros behind a JPEG's end mark are padding.
    """
    with path.open("rb") as file:
        file.seek(max(0, os.path.getsize(path) - _PADDING_BYTES))
        if file.read().strip(b"\0"):
            return False
        file.seek(0)
        return not file.read().rstrip(b"\0").endswith(b"\xff\xd9")


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation wants it shown; damaged EXIF is as good as none."""
    from PIL import ImageOps

    try:
        turned = picture.getexif().get(_ORIENTATION_TAG, 1) in range(2, 9)
    except Exception:
        return picture
    return ImageOps.exif_transpose(picture) if turned else picture


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    from PIL import Image

    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format in ("PNG", "PPM")):
        gray = _eight_of_sixteen_bits(np.asarray(picture))
        return np.repeat(gray[:, :, None], 3, axis=2)
    if mode in _ALPHA_MODES or (mode in ("L", "P", "RGB") and "transparency" in picture.info):
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    elif mode in _DIRECT_MODES:
        picture = picture.convert("RGB") if mode != "RGB" else picture
    else:
        kind = {"F": "floating point", "I": "32-bit integer"}.get(mode, mode)
        raise Refused(f"{kind} pixels, expected 8 or 16 bits a channel in gray, RGB or CMYK; export it so")
    return np.asarray(picture)


def _eight_of_sixteen_bits(gray: NDArray[np.generic]) -> NDArray[np.uint8]:
    """0..65535 to 0..255, rounded to nearest: 65535 = 255 * 257."""
    wide = gray.astype(np.uint32)
    return ((wide + 128) // 257).astype(np.uint8)


def _what_it_is(path: Path) -> str:
    """A few words on what is in a file that no decoder knows."""
    size = path.stat().st_size
    if size == 0:
        return "empty file"
    with path.open("rb") as file:
        head = file.read(512)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"%PDF"):
        kind = "PDF"
    elif text.startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        kind = "SVG"
    elif head[128:132] == b"DICM":
        kind = "DICOM"
    elif head.startswith((b"\xff\xd8", b"\x89PNG", b"II*\0", b"MM\0*", b"BM", b"RIFF")):
        kind = "image with a damaged or truncated header"
    elif all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        kind = "text"
    else:
        kind = "unknown format"
    return f"{kind}, {size} bytes"


def _damaged(picture: Image.Image, detail: str) -> str:
    return f"damaged or truncated {picture.format} file ({detail}); copy it again"


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
