"""The pixels of a DICOM object, and of the patient what an exam must be held against: identifier and eye.

pydicom reads only the elements that are named here, so names and dates never come into memory as such.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.colours import SPACES, matrix_profile
from device.cameras.codecs.jpeg import check_header, check_jpeg, decode_jpeg, read_header
from device.cameras.codecs.jpeg2000 import check_jpeg2000, decode_jpeg2000, is_jpeg2000
from device.cameras.codecs.levels import to_eight_bits
from device.cameras.codecs.packbits import unpacked_bytes
from device.cameras.codecs.profile import to_srgb
from device.cameras.codecs.refused import Damaged, Refused, check_pieces, check_size
from device.cameras.codecs.seams import damage_seen
from device.extras import how_to_install
from device.frame import StatedOf

_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""Photometric interpretations that pydicom makes RGB."""
_HEADER = (
    "BitsStored",
    "ColorSpace",
    "Columns",
    "ICCProfile",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "Rows",
    "SamplesPerPixel",
)
_STATED = ("ImageLaterality", "Laterality", "PatientID")
_PIXELS = ("PixelData", "PlanarConfiguration", "BitsAllocated", "HighBit", "ExtendedOffsetTable")
_JPEG_SYNTAXES = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_OF_JPEG2000 = ("YBR_ICT", "YBR_RCT")
"""Colours that OpenJPEG itself makes RGB."""
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_INFLATED_MAX = 256 << 20
"""64 megapixels of colour, and room for the rest."""


class _InFewPieces(BytesIO):
    """A file that is given up where its reader goes on and on: it reads each element and item by itself, nested or not.

    In 400 kB deflated there may be thirty million of them, over which pydicom sits for minutes.
    """

    pieces = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.pieces += 1
        check_pieces(self.pieces, "DICOM object of over {} elements")
        return super().read(size)


def decode_dicom(data: bytes) -> tuple[NDArray[np.uint8], tuple[str, ...], StatedOf]:
    """A single-frame colour or MONOCHROME2 object, from the bytes of its file: RGB, uint8 [H, W, 3], in sRGB, what was
    done to it, and whose picture it says it is.

    Gray of more than 8 bits is scaled by its stored range, rounded.

    Raises `Refused`, `Damaged` among it.
    """
    pydicom = _import_pydicom()
    with _quiet():
        dataset, deflated = _open(pydicom, data)
        try:
            header = {name: dataset.get(name) for name in _HEADER}
            pixels = _pixels(pydicom, dataset, header, _check(header))
            stated = _stated(dataset)
        except (Refused, MemoryError):
            raise
        except Exception as error:  # pydicom reads an element's value when it is asked for, and raises nearly anything
            raise Damaged("DICOM file", type(error).__name__) from None
    syntax = pydicom.uid.UID(str(dataset.file_meta.TransferSyntaxUID))
    unchecked = not deflated and (not syntax.is_compressed or syntax == _RLE)
    if not _is_jpeg(syntax, header):  # `_jpeg` looks itself
        _look_at(damage_seen(pixels, blocks=not deflated, unchecked=unchecked))
    return (*_in_srgb(pixels, header), stated)


def _is_jpeg(syntax: str, header: dict[str, Any]) -> bool:
    return syntax in _JPEG_SYNTAXES and header["BitsStored"] == 8


def _look_at(seen: str | None) -> None:
    if seen is not None:
        raise Damaged("DICOM picture", seen)


def _stated(dataset: Any) -> StatedOf:
    return StatedOf(stated_eye(dataset), str(dataset.get("PatientID") or "").strip())


def stated_eye(dataset: Any) -> str:
    """As `StatedOf` has it, `RL` where an object contradicts itself.

    A series of both eyes may hold a picture of one, so a side goes before the series' B.
    """
    image, series = (_sides(dataset.get(name)) for name in ("ImageLaterality", "Laterality"))
    if {"R", "L"} <= image | series:
        return "RL"
    if "B" in (image or series):
        return "B"
    return next(iter((image | series) - {"B"}), "")


def _sides(value: Any) -> set[str]:
    """Sides that an element names; several where it has several values."""
    values = [value] if isinstance(value, str) else value or ()
    return {str(one).strip().upper() for one in values} & {"R", "L", "B"}


def _in_srgb(pixels: NDArray[np.uint8], header: dict[str, Any]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """By the object's ICC profile, or by the name of its colours where it has none."""
    space = SPACES.get(str(header["ColorSpace"] or ""))
    profile = header["ICCProfile"] or (space and matrix_profile(space))
    if not profile or header["PhotometricInterpretation"] == "MONOCHROME2":
        return pixels, ()
    from PIL import Image

    picture, changed = to_srgb(Image.fromarray(pixels), bytes(profile))
    return (pixels, ()) if changed is None else (np.asarray(picture), (changed,))


def _open(pydicom: Any, data: bytes) -> tuple[Any, bool]:
    """The elements of `_HEADER` and the pixels, still compressed; and whether the object was deflated."""
    try:
        deflated = _is_deflated(data)
        if deflated:
            data = _inflated(data)
        dataset = pydicom.dcmread(
            _InFewPieces(data), force=data[128:132] != b"DICM", specific_tags=[*_HEADER, *_STATED, *_PIXELS]
        )
        if "TransferSyntaxUID" not in dataset.file_meta:  # without a preamble: the default of the standard
            implicit, little = dataset.original_encoding
            uids = pydicom.uid
            dataset.file_meta.TransferSyntaxUID = (
                uids.ImplicitVRLittleEndian
                if implicit
                else uids.ExplicitVRLittleEndian
                if little
                else uids.ExplicitVRBigEndian
            )
        return dataset, deflated
    except Refused:
        raise
    except Exception:
        raise Refused(f"not a DICOM file that can be read ({len(data)} bytes); copy it again") from None


def _is_deflated(data: bytes) -> bool:
    meta = data[132 : 144 + int.from_bytes(data[140:144], "little")]
    return data[128:132] == b"DICM" and _DEFLATED in meta


def _inflated(data: bytes) -> bytes:
    """A deflated object as an ordinary one, within bounds: two megabytes can hold four gigabytes."""
    group_bytes = int.from_bytes(data[140:144], "little")  # the value of (0002,0000), always the first element
    at = 144 + group_bytes
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(data[at:], _INFLATED_MAX)
    except zlib.error:
        raise Damaged("DICOM file", "its deflated part cannot be unpacked") from None
    if unpacker.unconsumed_tail:
        raise Refused(f"a deflated DICOM file of over {_INFLATED_MAX >> 20} MiB, expected less; export it uncompressed")
    if not unpacker.eof:
        raise Damaged("DICOM file", "its deflated part ends early")
    return data[:at].replace(_DEFLATED, b"1.2.840.10008.1.2.1\0\0\0") + plain


def _pixels(pydicom: Any, dataset: Any, header: dict[str, Any], stored: int) -> NDArray[np.uint8]:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if "PixelData" not in dataset:
        raise Refused("a DICOM object without a picture; expected a fundus photograph")
    if _is_jpeg(syntax, header):
        return _jpeg(pydicom, dataset, header)
    listened_to = _check_stream(pydicom, dataset, header)
    if listened_to is not None and listened_to.ndim == 3 and header["PhotometricInterpretation"] in _OF_JPEG2000:
        return listened_to
    _check_length(pydicom, dataset, header)
    try:
        return _to_rgb(np.asarray(dataset.pixel_array), stored)
    except Refused:
        raise
    except Exception as error:  # pydicom and its decoders raise nearly anything on damaged data
        if _not_unpacked_here(pydicom, syntax, str(error)):
            name = pydicom.uid.UID(syntax).name
            raise Refused(
                f"a DICOM object compressed as {name}, which this machine cannot unpack; "
                "export it as JPEG, PNG or uncompressed DICOM"
            ) from None
        # Its words may hold values of the file, so only the kind of error is told.
        raise Damaged("DICOM file", type(error).__name__) from None


def _not_unpacked_here(pydicom: Any, syntax: str, said: str) -> bool:
    """Whether nothing here unpacks the syntax, by what a decoder said.

    JPEG-LS's, where there is one, unpacks all kinds of it, and says the same words of damage.
    """
    if syntax in _JPEG_LS and pydicom.pixels.get_decoder(syntax).is_available:
        return False
    return "plugins" in said or ("unable to" in said.lower() and "decod" in said.lower())


def _jpeg(pydicom: Any, dataset: Any, header: dict[str, Any]) -> NDArray[np.uint8]:
    """Through our own decoder, which listens to what libjpeg warns of."""
    stream = _frame(pydicom, dataset)
    jpeg = read_header(stream)
    check_header(jpeg, stream)
    if (jpeg.width, jpeg.height) != (int(header["Columns"]), int(header["Rows"])):
        raise Damaged("DICOM file", f"it states another size than the {jpeg.width} x {jpeg.height} of its picture")
    if str(header["PhotometricInterpretation"]) != "RGB":
        return decode_jpeg(stream)
    check_jpeg(stream)  # stored without the usual change of colours, which pydicom knows how to undo
    try:
        made = _to_rgb(np.asarray(dataset.pixel_array), 8)
    except Exception as error:
        raise Damaged("DICOM file", type(error).__name__) from None
    _look_at(damage_seen(made, quantum=jpeg.quantum))
    return made


def _check_stream(pydicom: Any, dataset: Any, header: dict[str, Any]) -> NDArray[np.uint8] | None:
    """Refuse a compressed picture that is larger than the object says, before it is unpacked, or damaged as far as its
    bytes tell; the pixels as stored, where these were made on the way."""
    if not pydicom.uid.UID(str(dataset.file_meta.TransferSyntaxUID)).is_compressed:
        return None
    stream = _frame(pydicom, dataset)
    size = None
    if stream[:2] == b"\xff\xd8":
        jpeg = read_header(stream)
        size = (jpeg.width, jpeg.height)
    elif is_jpeg2000(stream) and 0 <= (siz := stream.find(b"\xff\x4f\xff\x51")) <= len(stream) - 24:
        right, bottom, left, top = (int.from_bytes(stream[siz + k : siz + k + 4], "big") for k in (8, 12, 16, 20))
        size = (right - left, bottom - top)
    if size is not None and size != (int(header["Columns"]), int(header["Rows"])):
        raise Damaged("DICOM file", f"it states another size than the {size[0]} x {size[1]} of its picture")
    if is_jpeg2000(stream):
        check_jpeg2000(stream)
        return decode_jpeg2000(stream)
    if str(dataset.file_meta.TransferSyntaxUID) == _RLE:
        _check_rle(stream, int(header["Columns"]) * int(header["Rows"]))
    return None


def _check_rle(stream: bytes, expected: int) -> None:
    """Refuse a segment that unpacks to more or fewer bytes than the picture has pixels: pydicom only warns of more."""
    segments, *offsets = struct.unpack_from("<16I", stream)
    if not 1 <= segments <= 15:
        raise Damaged("DICOM file", f"it states {segments} RLE segments")
    bounds = [*offsets[:segments], len(stream)]
    for begin, end in pairwise(bounds):
        got = unpacked_bytes(stream[begin:end])
        if got != expected:
            raise Damaged("DICOM file", f"an RLE segment makes {got} bytes, its stated size {expected}")


def _check_length(pydicom: Any, dataset: Any, header: dict[str, Any]) -> None:
    """Refuse an uncompressed picture of other than its stated size: of too many bytes pydicom takes the first, or makes
    several frames of them, and either is a piece of the eye or a scrambled one."""
    if pydicom.uid.UID(str(dataset.file_meta.TransferSyntaxUID)).is_compressed:
        return
    samples = int(header["Columns"]) * int(header["Rows"]) * int(header["SamplesPerPixel"] or 1)
    if str(header["PhotometricInterpretation"]) == "YBR_FULL_422":
        samples = samples * 2 // 3
    expected, got = samples * int(dataset.BitsAllocated) // 8, len(dataset.PixelData)
    if got not in (expected, expected + expected % 2):
        raise Damaged("DICOM file", f"its pixels are {got} bytes, its stated size makes {expected}")


def _frame(pydicom: Any, dataset: Any) -> bytes:
    """The one compressed picture."""
    try:
        return bytes(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1))
    except Exception as error:
        raise Damaged("DICOM file", type(error).__name__) from None


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
        import pydicom.encaps
        import pydicom.pixels
    except ImportError:
        raise Refused("a DICOM file, and pydicom is not installed; " + how_to_install("dicom")) from None
    return pydicom


def _check(header: dict[str, Any]) -> int:
    """Bits stored a sample; raises `Refused` for what is no single picture of a kind that can be shown."""
    try:
        width, height = int(header["Columns"]), int(header["Rows"])
        frames, stored = int(header["NumberOfFrames"] or 1), int(header["BitsStored"])
        samples, signed = int(header["SamplesPerPixel"] or 1), bool(header["PixelRepresentation"])
    except (TypeError, ValueError):
        raise Refused("a DICOM object without a picture; expected a fundus photograph") from None
    kind = str(header["PhotometricInterpretation"])
    check_size(width, height)
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
        return np.repeat(to_eight_bits(pixels, stored)[:, :, None], 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise Damaged("DICOM file", f"its pixels make {pixels.ndim} dimensions, not rows and columns of RGB")
    return np.ascontiguousarray(pixels, np.uint8)
