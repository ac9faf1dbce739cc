"""What is read out of a journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from runtime.exam.machine import Exam, Phase
from runtime.exam.result import ExamResult
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.views import Eye, View


@dataclass(frozen=True)
class ExamSummary:
    """One line of the list of exams; nothing of the patient."""

    exam_id: str
    """Unique within the journal, as in `20261122-7F3K2QXA`; tells nothing of the patient."""
    phase: Phase
    outcome: Outcome
    """Of the infant, as the exam stands."""
    reason: str
    where: str
    """The place that gave the outcome, `OD nasal`, or empty."""
    captures: int
    pending: int
    """Captures whose reading is not finished."""
    opened_at: datetime
    closed_at: datetime | None
    operator: str
    station: str
    changed_seq: int
    """Number of the last event that changed the exam: its revision."""
    opened_seq: int
    """Number of the event that opened it: exams are in this order, whatever a clock said."""
    typed_seq: int = 0
    """Number of the last event that a person typed something into (findings, reasons); 0 when none was."""
    zone: timezone | None = None
    """The one offset from UTC of this exam, fixed when it was opened; None where no journal ever knew one."""

    def local(self, moment: datetime) -> datetime:
        """A moment of this exam as the clock on the ward's wall told it."""
        return moment.astimezone(self.zone)


@dataclass(frozen=True)
class CaptureRecord:
    """One accepted frame and its reading."""

    number: int
    """From 1, in the order of capture."""
    eye: Eye
    view: View
    """Eye and view as they stand, after any change."""
    captured_at: datetime
    """UTC, by the cart's clock."""
    source: str
    sequence: int
    frame_sha256: str | None
    """Of the RGB bytes, as in the reading; None when the camera gave no pixels."""
    image_sha256: str | None
    """Of the stored file, for `Journal.image`; None when there is none, or when the exam is retired."""
    width: int | None
    height: int | None
    reading: Mapping[str, Any] | None
    """`rop.reading/1`; None until it is finished."""
    outcome: Outcome
    """Of this frame within the exam."""
    reason: str
    excluded: str = ""
    """Why a person took it out of the exam; empty while it counts."""
    confirmed: str = ""
    """Why a person says that it shows its view although it is like another; empty when nobody did."""


@dataclass(frozen=True)
class Change:
    """One change that a person made, with its reason."""

    seq: int
    at: datetime
    who: str
    what: str
    reason: str
    kind: str = ""
    """Of the event: `relabelled`, `amended`, `excluded`, `included`, `confirmed view`, `stopped` or `voided`."""


@dataclass(frozen=True)
class ExamRecord:
    """One exam, whole."""

    summary: ExamSummary
    rules: ExamRules
    captures: tuple[CaptureRecord, ...]
    changes: tuple[Change, ...]
    documented: tuple[Mapping[str, Any], ...]
    """What clinicians wrote, each with `who` and `at`; see `runtime.exam.icrop3`."""
    exam: Exam
    result: ExamResult
    exposures: tuple[Mapping[str, Any], ...] = ()
    """Light that was given, in its order; see `runtime.exam.light`."""


@dataclass(frozen=True)
class RejectedInstance:
    """One DICOM object that was sent."""

    uid: str
    """SOP Instance UID."""
    sop_class: str
    """SOP Class UID."""


@dataclass(frozen=True)
class Rejection:
    """What of an exam is rejected in an archive, or has to be removed there by hand."""

    seq: int
    at: datetime
    who: str
    exam_id: str
    destination: str
    instances: tuple[RejectedInstance, ...]
    reason: str
    document_uid: str
    """Of the Key Object Selection; empty where the archive takes none."""
