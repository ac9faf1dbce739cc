"""Pictures compressed without loss, for archives that take them in no other way: JPEG Lossless and JPEG-LS, by GDCM."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from copy import copy
from importlib.util import find_spec
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, SecondaryCaptureImageStorage

from runtime.dicom.errors import RecordUnusable
from runtime.dicom.modules import describe_pixels

SYNTAXES = (JPEGLosslessSV1, JPEGLSLossless)
"""In the order in which they are taken where an archive has both."""
_PIXELS = ("PixelData", "PhotometricInterpretation", "PlanarConfiguration")
_MEMORY = Path("/dev/shm")


def available() -> bool:
    """Whether GDCM is installed (extra `jpeg`)."""
    return find_spec("gdcm") is not None


def compressed(dataset: Dataset, syntaxes: Sequence[str]) -> Dataset:
    """The same instance with its RGB pixels in the first of the transfer syntaxes that gives them back.

    GDCM has no JPEG Lossless for an odd number of bytes, and has JPEG-LS. It works on files: they hold the pixels and
    nothing of the patient, in memory where the system has a place for that, in a folder of this user's. Decoded again
    and compared before it is given: raises `RecordUnusable` where that is not the picture in any of them.
    """
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID = UID("1.2")
    describe_pixels(bare, dataset.Columns, dataset.Rows)
    bare.PixelData = dataset.PixelData
    bare["PixelData"].VR = "OB"
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        plain, made, again = (Path(folder) / name for name in ("plain", "made", "again"))
        bare.save_as(plain, enforce_file_format=True)
        for syntax in syntaxes:
            done = _transcode(plain, made, syntax) and _transcode(made, again, ExplicitVRLittleEndian)
            if done and dcmread(again).PixelData == bare.PixelData:
                found = dcmread(made)
                break
        else:
            names = ", ".join(UID(syntax).name for syntax in syntaxes)
            raise RecordUnusable(
                f"image {dataset.get('InstanceNumber', '')}: {names} did not give the picture back; nothing "
                "was sent; allow JPEG-LS Lossless or Explicit VR Little Endian at the archive"
            )
    result = copy(dataset)
    result.file_meta = copy(dataset.file_meta)
    result.file_meta.TransferSyntaxUID = UID(syntax)
    for name in _PIXELS:
        result[name] = found[name]
    return result


def _transcode(source: Path, target: Path, syntax: str) -> bool:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    if not reader.Read():
        return False
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    if not change.Change():
        return False
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    return bool(writer.Write())
