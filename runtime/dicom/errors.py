"""What can go wrong between the journal and the archive.

ScreeningError
`-- DicomError
    |-- SiteUnusable       the site's DICOM configuration cannot be used
    |-- RecordUnusable     an exam cannot be put into DICOM as it is
    |-- ExamBroken         a fault that nobody foresaw, in one exam
    |-- ArchiveUnreachable no answer, connection lost or refused, TLS not agreed; it may work later
    |   |-- Lost           the connection ended, or no answer came, in the middle of something
    |   `-- Aborted        the other side ended the association on purpose (A-ABORT)
    `-- ArchiveRefused     the other side answers and says no: AE titles, a failure status
        `-- NotOffered     it offers not what was asked for: a SOP class, or none of its transfer syntaxes
"""

from __future__ import annotations

from runtime.errors import ScreeningError


class DicomError(ScreeningError):
    """Base of every error of this package; its text says what, got, expected, do this, and names no infant."""


class SiteUnusable(DicomError):
    """The site's DICOM configuration is missing, malformed, or names files that cannot be read."""


class RecordUnusable(DicomError):
    """The exam holds something that DICOM cannot carry, and that must not be cut short."""


class ExamBroken(DicomError):
    """A fault that nobody foresaw, in one exam; the others must not wait for it."""

    @classmethod
    def of(cls, exam_id: str, error: Exception) -> ExamBroken:
        """Without the error's own text, for it may repeat what it stumbled over."""
        return cls(
            f"exam {exam_id}: it cannot be put into DICOM or sent ({type(error).__name__}); a fault of this software, "
            f"report it; other exams go on, and this one is tried again"
        )


class ArchiveUnreachable(DicomError):
    """The archive gives no answer; the same call may work later."""


class ArchiveRefused(DicomError):
    """The archive answers and says no; the same call will fail until somebody changes something."""


class Lost(ArchiveUnreachable):
    """The connection ended, or no answer came."""

    def __init__(self, who: str, doing: str) -> None:
        super().__init__(f"{who}: no answer while {doing}, or the connection was lost; it is tried again")
        self.doing = doing


class Aborted(ArchiveUnreachable):
    """The other side ended the association by A-ABORT, as some do with what they forbid."""


class NotOffered(ArchiveRefused):
    """The other side offers not what was asked for."""
