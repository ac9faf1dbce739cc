"""C-STORE: one instance to an archive, and what its answer means."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    OphthalmicPhotography8BitImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from runtime.dicom import lossless
from runtime.dicom.association import lost
from runtime.dicom.configuration import DicomNode
from runtime.dicom.status import StatusMeaning, meaning

SOP_CLASSES = (
    OphthalmicPhotography8BitImageStorage,
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
)
"""What an exam is made of."""
PICTURES = (OphthalmicPhotography8BitImageStorage, SecondaryCaptureImageStorage)
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_NOT_SUPPORTED = 0x0122


def storage_contexts() -> list[PresentationContext]:
    """What is proposed to an archive: each class, uncompressed in both forms that every archive has one of.

    Pictures are offered compressed without loss too, where the library for that is installed: some archives take no
    other.
    """
    plain = [build_context(sop_class, list(_SYNTAXES)) for sop_class in SOP_CLASSES]
    more = lossless.SYNTAXES if lossless.available() else ()
    return plain + [build_context(picture, [syntax]) for picture in PICTURES for syntax in more]


def store(association: Association, archive: DicomNode, dataset: Dataset, number: int) -> StatusMeaning:
    """Send one instance as message `number`; raises `ArchiveUnreachable` when no answer comes."""
    taken = {
        context.transfer_syntax[0]
        for context in association.accepted_contexts
        if context.abstract_syntax == dataset.SOPClassUID
    }
    if not taken:
        return meaning(_NOT_SUPPORTED)
    if taken.isdisjoint(_SYNTAXES):
        dataset = lossless.compressed(dataset, [syntax for syntax in lossless.SYNTAXES if syntax in taken])
    if not association.is_established:
        raise lost(archive, f"instance {number} was to be sent")
    answer = association.send_c_store(dataset, msg_id=number % 0xFFFF + 1)
    if "Status" not in answer:
        raise lost(archive, f"instance {number} was being sent")
    return meaning(int(answer.Status))
