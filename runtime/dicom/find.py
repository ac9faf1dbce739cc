"""Asking an archive which instances of a study it has (C-FIND, Study Root)."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from runtime.dicom.association import address, associated, lost, proposed
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.errors import ArchiveRefused
from runtime.dicom.received import Unreadable, identifier, quietly
from runtime.dicom.uids import STUDY_ROOT_FIND

PENDING = (0xFF00, 0xFF01)


def instances_kept(site: DicomConfig, archive: DicomNode, study_uid: str, series_uids: Iterable[str]) -> frozenset[str]:
    """SOP Instance UIDs that the archive lists in these series. Raises `ArchiveUnreachable` or `ArchiveRefused`."""
    found: set[str] = set()
    with quietly(), associated(site, archive, [proposed(STUDY_ROOT_FIND)]) as association:
        for series_uid in series_uids:
            query = Dataset()
            query.QueryRetrieveLevel = "IMAGE"
            query.StudyInstanceUID = study_uid
            query.SeriesInstanceUID = series_uid
            query.SOPInstanceUID = ""
            for status, answer in association.send_c_find(query, STUDY_ROOT_FIND):
                if status is None or "Status" not in status:
                    raise lost(archive, "it was asked what it keeps")
                if status.Status in PENDING:
                    found |= _named(answer)
                elif status.Status != 0:
                    raise ArchiveRefused(
                        f"{address(archive)}: the query for instances failed with status {status.Status:04X}h; "
                        "allow the cart to query, or use storage commitment"
                    )
    return frozenset(found)


def _named(answer: Dataset | None) -> set[str]:
    """The instance that an answer names; none where that cannot be read: what is not named is sent again."""
    try:
        uid = "" if answer is None else identifier(answer, "SOPInstanceUID")
    except Unreadable:
        return set()
    return {uid} if uid else set()
