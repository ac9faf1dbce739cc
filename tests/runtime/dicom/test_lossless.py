"""Archives that take pictures in lossless JPEG only: the same picture arrives, to the pixel, judged by dcmtk."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless
from pynetdicom import AE, evt

from runtime.dicom import lossless
from runtime.dicom.association import associated
from runtime.dicom.errors import NotOffered, RecordUnusable
from runtime.dicom.modules import describe_pixels, put_pixels
from runtime.dicom.objects import planned
from runtime.dicom.status import Disposition
from runtime.dicom.store import PICTURES, SOP_CLASSES, storage_contexts, store
from tests.runtime.dicom.archives import site
from tests.runtime.dicom.exams import exam

pytestmark = pytest.mark.skipif(not lossless.available(), reason="GDCM (extra `jpeg`) has no wheel for this Python")
DECODERS: dict[str, str] = {JPEGLosslessSV1: "dcmdjpeg", JPEGLSLossless: "dcmdjpls"}


def sent(tmp_path: Path, syntaxes: list[str]) -> list[Path]:
    """Files of an exam's objects as an archive gets them that takes pictures in these transfer syntaxes only."""
    entity, files = AE(ae_title="JPEGONLY"), list[Path]()

    def keep(event: Any) -> int:
        path = tmp_path / f"{len(files)}.dcm"
        with path.open("wb") as file:
            file.write(event.encoded_dataset())
        files.append(path)
        return 0

    for sop_class in SOP_CLASSES:
        plain = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        entity.add_supported_context(sop_class, syntaxes if sop_class in PICTURES else plain)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    try:
        where = site(tmp_path, ae_title="JPEGONLY", port=server.server_address[1])
        assert where.archive is not None
        with associated(where, where.archive, storage_contexts()) as association:
            for number, item in enumerate(planned(exam(frames=1)), 1):
                assert store(association, where.archive, item.build(), number).answer is Disposition.STORED
    finally:
        server.shutdown()
    return files


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ([JPEGLosslessSV1], JPEGLosslessSV1),
        ([JPEGLSLossless], JPEGLSLossless),
        ([JPEGLSLossless, JPEGLosslessSV1], JPEGLosslessSV1),
        ([JPEGLosslessSV1, ImplicitVRLittleEndian], ImplicitVRLittleEndian),
    ],
)
def test_an_archive_gets_the_picture_as_it_takes_it(tmp_path: Path, accepted: list[str], used: str) -> None:
    expected = {str(item.uid): item.build() for item in planned(exam(frames=1))}
    pictures = 0
    for path in sent(tmp_path, accepted):
        found = dcmread(path)
        own = expected[found.SOPInstanceUID]
        if "PixelData" not in own:
            assert found.file_meta.TransferSyntaxUID in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
            continue
        pictures += 1
        assert found.file_meta.TransferSyntaxUID == used
        assert (found.LossyImageCompression, found.PatientID) == ("00", own.PatientID)
        if used not in DECODERS:
            assert found.PixelData == own.PixelData
        elif (decoder := shutil.which(DECODERS[used])) is not None:  # somebody else's reader of it
            plain = path.with_suffix(".plain")
            subprocess.run([decoder, path, plain], check=True, capture_output=True)
            assert dcmread(plain).PixelData == own.PixelData
    assert pictures >= 1


def test_without_the_library_it_says_what_offers_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lossless, "find_spec", lambda _: None)
    assert len(storage_contexts()) == len(SOP_CLASSES)
    monkeypatch.setattr("runtime.dicom.association.find_spec", lambda _: None)
    with pytest.raises(NotOffered, match=r"\[jpeg\]"):
        sent_pictures_only(tmp_path)


def sent_pictures_only(tmp_path: Path) -> None:
    entity = AE(ae_title="JPEGONLY")
    for sop_class in PICTURES:
        entity.add_supported_context(sop_class, [JPEGLosslessSV1])
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        where = site(tmp_path, ae_title="JPEGONLY", port=server.server_address[1])
        assert where.archive is not None
        with associated(where, where.archive, storage_contexts()):
            pass
    finally:
        server.shutdown()


def test_a_picture_that_does_not_come_back_is_not_sent() -> None:
    """GDCM has no JPEG Lossless for an odd number of bytes in all; where the archive takes JPEG-LS that is used."""
    dataset = Dataset()
    describe_pixels(dataset, 33, 47)
    noise = np.random.default_rng(1).integers(0, 256, (47, 33, 3), np.uint8)
    put_pixels(dataset, noise)
    dataset.ensure_file_meta()
    with pytest.raises(RecordUnusable, match="did not give the picture back; nothing was sent"):
        lossless.compressed(dataset, [JPEGLosslessSV1])
    found = lossless.compressed(dataset, lossless.SYNTAXES)
    assert found.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert (found.pixel_array == noise).all()
