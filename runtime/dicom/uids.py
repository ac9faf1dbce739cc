"""Identifiers that come out the same each time, so that a repeated transfer sends the same instance."""

from __future__ import annotations

import uuid

from runtime.dicom.records import ExamRecord, Shot

_NAMESPACE = uuid.UUID("5f1d4c1e-9b0f-5c7f-8f0e-6c1f5a0a7d31")

IMPLEMENTATION_CLASS_UID = "2.25.126470571254310617243861527301274521041"
"""Names this software to its peers."""
IMPLEMENTATION_VERSION = "ROPSCREEN_1"


def derived(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on nothing but the parts."""
    text = "\x1f".join(parts)
    return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"


def study(exam: ExamRecord) -> str:
    """The worklist's study, or one of the exam's own."""
    return exam.order.study_uid or derived("study", exam.exam_id)


def series(exam: ExamRecord, kind: str) -> str:
    """Series of a kind of object; another infant or study makes another series."""
    return derived("series", kind, exam.exam_id, study(exam), exam.infant.identifier)


def shot(exam: ExamRecord, taken: Shot, kind: str) -> str:
    """An object of one frame. What a later correction may change is part of it: a corrected image is a new instance."""
    facts = (exam.exam_id, study(exam), exam.infant.identifier, str(taken.number), taken.eye, taken.view, taken.sha256)
    return derived("instance", kind, *facts)


def report(exam: ExamRecord) -> str:
    """The report: another one as soon as an image, an outcome or a reason differs."""
    shots = [f"{shot(exam, s, 'photograph')}:{s.reading.outcome.value}:{s.reading.reason}" for s in exam.shots]
    verdicts = [exam.verdict, *(exam.eyes[eye] for eye in sorted(exam.eyes))]
    return derived("instance", "report", exam.exam_id, *shots, *(f"{v.outcome.value}:{v.reason}" for v in verdicts))
