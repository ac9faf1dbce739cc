"""De-identified export: photographs and report that lead to no infant (PS3.15 annex E, basic profile)."""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from device.outputs import writing
from runtime.dicom import codes
from runtime.dicom.errors import DicomError
from runtime.dicom.objects import planned
from runtime.dicom.records import DicomExam, EquipmentFacts, InfantFacts, Shot
from runtime.exam.order import Order
from runtime.exam.result import Conclusion, warnings_counted
from runtime.outcome import EXAM_REASONS

DUMMY_DATE = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""Stands in for every date that may not be empty; images keep their order, one second apart."""
METHOD = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113104", "DCM", "Clean Structured Content Option"),
)
REMOVED = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "TimezoneOffsetFromUTC",
    "StudyDescription",
    "SeriesDescription",
    "SeriesDate",
    "SeriesTime",
    "ImageComments",
)
KEPT_FACTS = ("refer classes", "required views", "retakes")


def anonymous(exam: DicomExam) -> DicomExam:
    """The same exam of nobody, nowhere, at no time. Each call gives other identifiers, which nothing leads back from.

    Kept are pixels, eyes, views, outcomes, probabilities, quality measures, how many frames that do not count were read
    as REFER, and which camera model, bundle and engine made them. Gone are also age, sex and weight, which the basic
    profile removes.
    """
    pseudonym = f"ROP-{secrets.token_hex(6).upper()}"
    made = exam.equipment
    return replace(
        exam,
        exam_id=str(uuid.uuid4()),
        infant=InfantFacts(identifier=pseudonym, name=pseudonym),
        shots=tuple(_nobodys(shot, number) for number, shot in enumerate(exam.shots, start=1)),
        verdict=_plain(exam.verdict),
        eyes={eye: _plain(verdict) for eye, verdict in exam.eyes.items()},
        views=(),  # of the page alone
        opened_at=DUMMY_DATE,
        closed_at=DUMMY_DATE,
        equipment=EquipmentFacts(
            manufacturer=made.manufacturer,
            model=made.model,
            software=made.software,
            field_of_view_deg=made.field_of_view_deg,
            pupil_dilated=made.pupil_dilated,
        ),
        order=Order(),
        operator="",
        facts={name: value for name, value in exam.facts.items() if name in KEPT_FACTS},
        documented=(),  # a person's words, who said them and when
        changes=(),
        exposures=(),
        disagreements=(),
        warnings=tuple(warnings_counted(exam.warnings)),  # each frame's own has its number in the journal
        trail="",
        rejected=frozenset(),
    )


def _nobodys(shot: Shot, number: int) -> Shot:
    moment = DUMMY_DATE + timedelta(seconds=number)
    frame = replace(shot.reading.frame, source="", sequence=0, captured_at=moment, sha256=None)
    reading = replace(shot.reading, frame=frame, reason="")
    # The frame's hash would lead from the image to the journal.
    return replace(shot, captured_at=moment, sha256="", reading=reading)


def _plain(verdict: Conclusion) -> Conclusion:
    """A reason that the controlled list holds may stay; any other might hold a word from outside."""
    return replace(verdict, reason=verdict.reason if verdict.reason in EXAM_REASONS else "")


def deidentified(exam: DicomExam) -> dict[str, Dataset]:
    """Objects by file name. Overlays are left out: the camera's name for the frame is drawn into them.

    So is the page, which says nothing that the report does not.
    """
    nobody, kept = anonymous(exam), ("photograph", "report")
    return {f"{item.name}.dcm": _marked(item.build()) for item in planned(nobody) if item.kind in kept}


def _marked(dataset: Dataset) -> Dataset:
    for keyword in REMOVED:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.StudyID = "0"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethodCodeSequence = codes.items(*METHOD)
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    return dataset


def export_deidentified(exam: DicomExam, folder: Path) -> list[Path]:
    """Write the objects into a new folder and give their paths; the folder is there whole or not at all.

    Raises `DicomError` when the folder exists or cannot be written.
    """
    arriving = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    written = []
    try:
        if folder.exists():
            raise DicomError(f"{folder}: is there already; name a new folder")
        arriving.mkdir(mode=0o700, parents=True)
        for name, dataset in deidentified(exam).items():
            with writing(arriving / name) as file:  # it holds findings: its owner's, whatever the umask
                dataset.save_as(file, enforce_file_format=True)
            written.append(folder / name)
        os.rename(arriving, folder)
    except OSError as error:
        raise DicomError(f"{folder}: cannot be written: {error.strerror}; name a folder with space in it") from None
    finally:
        _remove(arriving)
    return written


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
