"""What can go wrong between the journal and the archive.

ScreeningError
`-- DicomError
    |-- SiteUnusable       the site's DICOM configuration cannot be used
    |-- RecordUnusable     an exam cannot be put into DICOM as it is
    |-- ArchiveUnreachable no answer, connection lost or refused, TLS not agreed; it may work later
    `-- ArchiveRefused     the other side answers and says no: AE titles, SOP classes, a failure status
"""

from __future__ import annotations

from runtime.errors import ScreeningError


class DicomError(ScreeningError):
    """Base of every error of this package; its text says what, got, expected, do this, and names no infant."""


class SiteUnusable(DicomError):
    """The site's DICOM configuration is missing, malformed, or names files that cannot be read."""


class RecordUnusable(DicomError):
    """The exam holds something that DICOM cannot carry, and that must not be cut short."""


class ArchiveUnreachable(DicomError):
    """The archive gives no answer; the same call may work later."""


class ArchiveRefused(DicomError):
    """The archive answers and says no; the same call will fail until somebody changes something."""
