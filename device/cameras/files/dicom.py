"""The pixels of a DICOM object, and nothing else of it: no attribute of the patient is read.

pydicom reads only the elements that are named here, so names and dates never come into memory as such.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.files.refused import MAX_MEGAPIXELS, Refused
from device.extras import how_to_install

_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""Photometric interpretations that pydicom makes RGB."""
_HEADER = (
    "BitsStored",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "Rows",
    "SamplesPerPixel",
)


def decode_dicom(path: Path) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3], of a single-frame colour or MONOCHROME2 object.

    Gray of more than 8 bits is scaled by its stored range, rounded.

    Raises `Refused`, and `OSError` when the file cannot be read.
    """
    pydicom = _import_pydicom()
    with _quiet():
        stored = _check(_read_header(pydicom, path))
        return _to_rgb(_read_pixels(pydicom, path), stored)


def _read_pixels(pydicom: Any, path: Path) -> NDArray[Any]:
    try:
        return np.asarray(pydicom.pixels.pixel_array(path))
    except OSError:
        raise
    except Exception as error:  # pydicom and its decoders raise nearly anything on damaged data
        # Its words may hold values of the file, so only the kind of error is told.
        raise Refused(
            f"damaged or truncated DICOM file, or a compression that this machine cannot unpack "
            f"({type(error).__name__}); copy it again, or export it as JPEG, PNG or uncompressed DICOM"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """What pydicom logs or warns of may quote the file; this keeps it from doing so for the block."""
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    logger = logging.getLogger("pydicom")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _import_pydicom() -> Any:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError:
        raise Refused("a DICOM file, and pydicom is not installed; " + how_to_install("dicom")) from None
    return pydicom


def _read_header(pydicom: Any, path: Path) -> dict[str, Any]:
    """The elements of `_HEADER`, None where one is not there."""
    try:
        with path.open("rb") as file:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_HEADER))
            return {name: dataset.get(name) for name in _HEADER}
    except OSError:
        raise
    except Exception:
        raise Refused(f"not a DICOM file that can be read ({path.stat().st_size} bytes); copy it again") from None


def _check(header: dict[str, Any]) -> int:
    """Bits stored a sample; raises `Refused` for what is no single picture of a kind that can be shown."""
    try:
        width, height = int(header["Columns"]), int(header["Rows"])
        frames, stored = int(header["NumberOfFrames"] or 1), int(header["BitsStored"])
        samples, signed = int(header["SamplesPerPixel"] or 1), bool(header["PixelRepresentation"])
    except (TypeError, ValueError):
        raise Refused("a DICOM object without a picture; expected a fundus photograph") from None
    kind = str(header["PhotometricInterpretation"])
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise Refused(f"{width} x {height} pixels, expected at most {MAX_MEGAPIXELS} megapixels; export it smaller")
    if frames > 1:
        raise Refused(f"{frames} frames in one DICOM object, expected one picture; export the one to be read")
    gray = kind == "MONOCHROME2" and samples == 1 and 8 <= stored <= 16
    colour = kind in _COLOUR and samples == 3 and stored == 8
    if signed or not (gray or colour):
        shown = kind if kind.replace("_", "").isalnum() and len(kind) <= 16 else "unknown"
        raise Refused(
            f"DICOM pixels are {shown}, {samples} a pixel, {stored} bits{', signed' if signed else ''}; "
            "expected RGB or YBR_FULL_422 of 8 bits, or MONOCHROME2 of 8 to 16"
        )
    return stored


def _to_rgb(pixels: NDArray[Any], stored: int) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        full = 2**stored - 1
        wide = np.minimum(pixels, full).astype(np.uint32)
        gray = ((wide * 255 + full // 2) // full).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels, np.uint8)
