"""The modality worklist: which infants are to be examined."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.presentation import build_context

from runtime.dicom.association import address, associated, lost
from runtime.dicom.errors import ArchiveRefused
from runtime.dicom.find import PENDING
from runtime.dicom.site import Peer, Site
from runtime.dicom.uids import WORKLIST_FIND

MODALITY = "OP"


@dataclass(frozen=True)
class WorklistItem:
    """One scheduled exam, in the words of the hospital's system; empty where it said nothing."""

    patient_id: str
    patient_name: str
    """As DICOM writes names: `Family^Given`, other scripts after `=`."""
    birth_date: str
    """`YYYYMMDD`."""
    sex: str
    accession: str
    study_uid: str
    requested_procedure_id: str
    step_id: str
    description: str
    scheduled: str
    """`YYYYMMDD HHMMSS`."""
    station_ae_title: str
    referring_physician: str


def query_worklist(
    site: Site, peer: Peer, *, day: date | None = None, patient_id: str = "", modality: str = MODALITY
) -> list[WorklistItem]:
    """What is scheduled, in the order of its time; `day` None asks for every day.

    Raises `ArchiveUnreachable` or `ArchiveRefused`.
    """
    found = []
    with _quietly(), associated(site, peer, [build_context(WORKLIST_FIND)]) as association:
        question = _question(day, patient_id, modality)
        for status, answer in association.send_c_find(question, WORKLIST_FIND):
            if status is None or "Status" not in status:
                raise lost(peer, "the worklist was asked for")
            if status.Status in PENDING:
                if answer is not None:
                    found.append(_item(answer))
            elif status.Status != 0:
                raise ArchiveRefused(f"{address(peer)}: the worklist query failed with status {status.Status:04X}h")
    return sorted(found, key=lambda item: (item.scheduled, item.patient_id))


@contextmanager
def _quietly() -> Iterator[None]:
    """What a hospital's system says may break DICOM's rules; a warning would write the infant's name into a log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _question(day: date | None, patient_id: str, modality: str) -> Dataset:
    step = Dataset()
    step.Modality = modality
    step.ScheduledProcedureStepStartDate = "" if day is None else f"{day:%Y%m%d}"
    for keyword in (
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepID",
    ):
        setattr(step, keyword, "")
    question = Dataset()
    question.SpecificCharacterSet = "ISO_IR 192"
    question.PatientID = patient_id
    for keyword in (
        "AccessionNumber",
        "ReferringPhysicianName",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "RequestedProcedureDescription",
        "RequestedProcedureID",
    ):
        setattr(question, keyword, "")
    question.ScheduledProcedureStepSequence = Sequence([step])
    return question


def _item(answer: Dataset) -> WorklistItem:
    steps = answer.get("ScheduledProcedureStepSequence") or [Dataset()]
    step = steps[0]
    return WorklistItem(
        patient_id=_said(answer, "PatientID"),
        patient_name=_said(answer, "PatientName"),
        birth_date=_said(answer, "PatientBirthDate"),
        sex=_said(answer, "PatientSex"),
        accession=_said(answer, "AccessionNumber"),
        study_uid=_said(answer, "StudyInstanceUID"),
        requested_procedure_id=_said(answer, "RequestedProcedureID"),
        step_id=_said(step, "ScheduledProcedureStepID"),
        description=_said(answer, "RequestedProcedureDescription") or _said(step, "ScheduledProcedureStepDescription"),
        scheduled=f"{_said(step, 'ScheduledProcedureStepStartDate')} "
        f"{_said(step, 'ScheduledProcedureStepStartTime')}".strip(),
        station_ae_title=_said(step, "ScheduledStationAETitle"),
        referring_physician=_said(answer, "ReferringPhysicianName"),
    )


def _said(dataset: Dataset, keyword: str) -> str:
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip()
