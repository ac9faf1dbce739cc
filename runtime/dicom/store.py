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

from runtime.dicom.association import lost
from runtime.dicom.site import Peer
from runtime.dicom.status import Meaning, meaning

SOP_CLASSES = (
    OphthalmicPhotography8BitImageStorage,
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
)
"""What an exam is made of."""
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_NOT_SUPPORTED = 0x0122


def storage_contexts() -> list[PresentationContext]:
    """What is proposed to an archive: each class, uncompressed in both forms that every archive has one of."""
    return [build_context(sop_class, list(_SYNTAXES)) for sop_class in SOP_CLASSES]


def store(association: Association, archive: Peer, dataset: Dataset, number: int) -> Meaning:
    """Send one instance as message `number`; raises `ArchiveUnreachable` when no answer comes."""
    if dataset.SOPClassUID not in {context.abstract_syntax for context in association.accepted_contexts}:
        return meaning(_NOT_SUPPORTED)
    if not association.is_established:
        raise lost(archive, f"instance {number} was to be sent")
    answer = association.send_c_store(dataset, msg_id=number % 0xFFFF + 1)
    if "Status" not in answer:
        raise lost(archive, f"instance {number} was being sent")
    return meaning(int(answer.Status))
