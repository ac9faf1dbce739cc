"""What an exam becomes: its objects in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage

from runtime.dicom import uids
from runtime.dicom.document import DOCUMENT, document, document_uid
from runtime.dicom.overlay import overlay
from runtime.dicom.photograph import PHOTOGRAPH, photograph
from runtime.dicom.records import DicomExam
from runtime.dicom.report import report, report_uid

Kind = Literal["photograph", "overlay", "report", "document", "rejection"]


@dataclass(frozen=True)
class Planned:
    """One object, before it is made."""

    uid: str
    sop_class: str
    kind: Kind
    series_uid: str
    name: str
    """For a file: `1_OD_temporal_photograph`."""
    build: Callable[[], Dataset]
    """Makes it, pixels and all; the same bytes each time. Raises `RecordUnusable`, and what loading the pixels does."""


def planned(exam: DicomExam) -> list[Planned]:
    """Photographs, then overlays, then the report, then its page.

    An exam without an image has no report of that kind; what people said of it goes on the page.
    """
    page = Planned(
        document_uid(exam),
        str(DOCUMENT),
        "document",
        uids.series(exam, "document"),
        "document",
        partial(document, exam),
    )
    if not exam.shots:
        return [page] if exam.documented or exam.changes else []
    photographs = [
        Planned(
            uids.shot(exam, shot, "photograph"),
            str(PHOTOGRAPH),
            "photograph",
            uids.series(exam, "photograph"),
            f"{shot.number}_{shot.eye.value}_{shot.view.value}_photograph",
            partial(photograph, exam, shot),
        )
        for shot in exam.shots
    ]
    overlays = [
        Planned(
            uids.shot(exam, shot, "overlay"),
            str(SecondaryCaptureImageStorage),
            "overlay",
            uids.series(exam, "overlay"),
            f"{shot.number}_{shot.eye.value}_{shot.view.value}_overlay",
            partial(overlay, exam, shot),
        )
        for shot in exam.shots
    ]
    series_uid = uids.series(exam, "report")
    build = partial(_report, exam)
    result = Planned(report_uid(exam), str(Comprehensive3DSRStorage), "report", series_uid, "report", build)
    return [*photographs, *overlays, result, *([page] if exam.page else [])]


def _report(exam: DicomExam) -> Dataset:
    return report(exam, [photograph(exam, shot, pixels=False) for shot in exam.shots])
