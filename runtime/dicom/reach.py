"""Whether an archive can be reached and takes what a cart sends, before an exam waits for it."""

from __future__ import annotations

from pydicom.uid import UID

from runtime.dicom.association import associated
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.received import quietly
from runtime.dicom.store import SOP_CLASSES, storage_contexts


def classes_refused(site: DicomConfig, archive: DicomNode) -> tuple[str, ...]:
    """Names of the kinds of objects that the archive takes in no form; nothing is sent.

    Raises `ArchiveUnreachable` or `ArchiveRefused`.
    """
    with quietly(), associated(site, archive, storage_contexts()) as association:
        taken = {context.abstract_syntax for context in association.accepted_contexts}
    return tuple(UID(name).name for name in SOP_CLASSES if name not in taken)
