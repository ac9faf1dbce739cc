"""Identifiers that come out the same each time, so that a repeated transfer sends the same instance."""

from __future__ import annotations

import uuid
from datetime import date, time

from pydicom.uid import UID

from runtime.dicom.records import DicomExam, Shot

_NAMESPACE = uuid.UUID("5f1d4c1e-9b0f-5c7f-8f0e-6c1f5a0a7d31")

IMPLEMENTATION_CLASS_UID = "2.25.126470571254310617243861527301274521041"
"""Names this software to its peers."""
IMPLEMENTATION_VERSION = "ROPSCREEN_1"

# Services (PS3.4); those that only store are in pydicom.
VERIFICATION = UID("1.2.840.10008.1.1")
COMMITMENT = UID("1.2.840.10008.1.20.1")
COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
PERFORMED_STEP = UID("1.2.840.10008.3.1.2.3.3")
WORKLIST_FIND = UID("1.2.840.10008.5.1.4.31")


def derived(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on nothing but the parts."""
    text = (
        "\x1f".join(parts).encode("utf-8", "backslashreplace").decode()
    )  # a file's name may hold halves of characters
    return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"


def study(exam: DicomExam) -> str:
    """The worklist's study, or one of the exam's own: of whom it is, so that no study holds two infants."""
    return exam.order.study_uid or own_study(exam.exam_id, *_identity(exam))


def own_study(exam_id: str, identifier: str, name: str, born: str) -> str:
    """The study of an exam for which nobody gave one. born: as `born` says it."""
    return derived("study", exam_id, identifier, name, born)


def born(day: date | None, at: time | None) -> str:
    """Date and time of birth within a UID; None where nobody said it."""
    return f"{day} {at}"


def _identity(exam: DicomExam) -> tuple[str, str, str]:
    infant = exam.infant
    return (infant.identifier, infant.name, born(infant.birth_date, infant.birth_time))


def _whose(exam: DicomExam) -> tuple[str, ...]:
    """What every object says of its exam, infant and order; when one of these was corrected, it is another object."""
    return (exam.exam_id, study(exam), *_identity(exam), exam.infant.sex, *exam.order.to_dict().values())


def _instance(exam: DicomExam, *facts: str) -> str:
    """An object's UID; another one where that is rejected in the archive, which takes it no more."""
    uid, again = derived("instance", *facts), 1
    while uid in exam.rejected:
        again += 1
        uid = derived("instance", *facts, f"again {again}")
    return uid


def series(exam: DicomExam, kind: str) -> str:
    """Series of a kind of object."""
    return derived("series", kind, *_whose(exam))


def shot(exam: DicomExam, taken: Shot, kind: str) -> str:
    """An object of one frame; `overlay` shows the outcome, so that is part of it."""
    facts = [str(taken.number), taken.eye.value, taken.view.value, taken.sha256]
    if kind != "photograph":
        facts += [taken.reading.outcome.value, taken.reading.reason]
    return _instance(exam, kind, *_whose(exam), *facts)


def report(exam: DicomExam, *made_with: str) -> str:
    """The report: another one as soon as an image, an outcome, or anything that a person said of them differs.

    made_with: what beside the exam decides its bytes.
    """
    infant = exam.infant
    measured = map(str, (infant.gestational_age_days, infant.postmenstrual_age_days, infant.birth_weight_g))
    verdicts = [exam.verdict, *(exam.eyes[eye] for eye in sorted(exam.eyes))]
    said = [f"{verdict.outcome.value}:{verdict.reason}:{verdict.where}" for verdict in verdicts]
    shots = [shot(exam, taken, "overlay") for taken in exam.shots]
    typed = [repr(found) for found in (*exam.documented, *exam.changes, *exam.exposures)]
    typed += [*exam.warnings, *([exam.trail] if exam.trail else [])]
    return _instance(exam, "report", *_whose(exam), *measured, *shots, *said, *typed, *made_with)
