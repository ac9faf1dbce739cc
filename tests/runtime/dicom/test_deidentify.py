"""What leaves in a de-identified export, element by element."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from runtime.dicom.deidentify import deidentified, export_deidentified
from runtime.dicom.errors import DicomError
from runtime.dicom.objects import planned
from runtime.dicom.records import DicomExam
from runtime.outcome import ONE_EYE
from tests.runtime.dicom.exams import exam
from tests.runtime.dicom.judges import complaints

# PS3.15 table E.1-1, basic profile: of what objects of these kinds can hold.
MUST_GO = """
    AccessionNumber ReferringPhysicianName PatientBirthDate PatientBirthTime PatientSex PatientAge PatientSize
    PatientWeight PatientComments OtherPatientIDs OtherPatientNames OperatorsName OperatorIdentificationSequence
    PerformingPhysicianName InstitutionName InstitutionAddress InstitutionalDepartmentName StationName
    StudyDescription SeriesDescription ImageComments AcquisitionComments RequestAttributesSequence
    ReferencedRequestSequence ProtocolName DerivationDescription SourceImageSequence TimezoneOffsetFromUTC
    InstanceCreationDate InstanceCreationTime SeriesDate SeriesTime AcquisitionDate AcquisitionTime
    PersonIdentificationCodeSequence VerifyingObserverSequence AuthorObserverSequence
    PerformedProcedureStepStartDate PerformedProcedureStepDescription OriginalAttributesSequence GestationalAge
"""
DUMMY_DATES = ("20000101",)


def words(record: DicomExam) -> set[str]:
    """Everything that names the infant, the staff, the place, the time or the device."""
    infant, made, order = record.infant, record.equipment, record.order
    texts = [
        *re.split(r"[\^ =]", infant.name),
        infant.identifier,
        *re.split(r"[\^ ]", record.operator),
        made.serial,
        made.station,
        made.institution,
        order.accession,
        order.study_uid,
        order.requested_procedure_id,
        order.step_id,
        *re.split(r"[\^ ]", order.referring_physician),
        record.exam_id,
        f"{infant.birth_date:%Y%m%d}",
        f"{record.opened_at:%Y%m%d}",
        *(shot.sha256 for shot in record.shots),
        *(shot.reading.frame.source for shot in record.shots),
    ]
    return {text for text in texts if len(text) > 2}


def uids(dataset: Dataset) -> set[str]:
    """UIDs that say which, not what."""
    return {
        str(element.value)
        for element in dataset.iterall()
        if element.VR == "UI" and not str(element.value).startswith("1.2.840.10008.") and element.value
    }


def test_no_element_leads_to_the_infant() -> None:
    record = exam(4)
    original = set().union(*(uids(item.build()) for item in planned(record)))
    for name, dataset in deidentified(record).items():
        for element in dataset.iterall():
            if element.keyword == "PixelData" or element.VR == "SQ":
                continue
            for value in element.value if element.VM > 1 else [element.value]:
                found = [word for word in words(record) if word.lower() in str(value).lower()]
                assert found == [], (name, element)
                if element.VR in ("DA", "DT") and value:
                    assert str(value)[:8] in DUMMY_DATES, (name, element)
        assert not uids(dataset) & original
        assert [keyword for keyword in MUST_GO.split() if dataset.get(keyword, "") not in ("", None)] == []
        assert dataset.StudyID == "0"
        assert dataset.PatientIdentityRemoved == "YES"
        assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == ["113100", "113104"]


def test_nothing_is_left_in_the_bytes_either(tmp_path: Path) -> None:
    record = exam(3)
    for path in export_deidentified(record, tmp_path / "out"):
        dataset = pydicom.dcmread(path)
        content = path.read_bytes()
        if "PixelData" in dataset:
            content = content.replace(dataset.PixelData, b"")
        for word in words(record):
            assert word.encode() not in content, (path.name, word)


@settings(max_examples=6, deadline=None)
@given(
    st.text(st.characters(categories=["L"]), min_size=8, max_size=300), st.from_regex(r"MRN[0-9]{3,61}", fullmatch=True)
)
def test_no_name_and_no_number_leaves(name: str, identifier: str) -> None:
    record = exam(1)
    record = replace(record, infant=replace(record.infant, name=name, identifier=identifier))
    for dataset in deidentified(record).values():
        for element in dataset.iterall():
            if element.keyword != "PixelData" and element.VR not in ("SQ", "UI"):
                assert name not in str(element.value)
                assert identifier not in str(element.value)


def test_what_is_left_out_is_the_overlay_and_what_is_kept_is_the_finding() -> None:
    kept = deidentified(exam(2))
    assert sorted(kept) == ["1_OD_disc-centred_photograph.dcm", "2_OS_disc-centred_photograph.dcm", "report.dcm"]
    texts = [str(element.value) for element in kept["report.dcm"].iterall()]
    assert "No referral findings in these images" in texts
    assert f"Right eye: {ONE_EYE}" in texts
    assert "Infant: No referral findings in these images: continue the scheduled examinations" in texts


def test_two_exports_of_an_exam_have_nothing_in_common() -> None:
    first, second = deidentified(exam(2)), deidentified(exam(2))
    common = set().union(*map(uids, first.values())) & set().union(*map(uids, second.values()))
    assert len(common) <= 2, common  # the implementation's own, and that of the camera's model
    assert {d.PatientID for d in first.values()}.isdisjoint({d.PatientID for d in second.values()})


@pytest.mark.system
def test_the_judge_finds_nothing(dicom_tools: None, tmp_path: Path) -> None:
    for path in export_deidentified(exam(2), tmp_path / "out"):
        assert complaints(path) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(DicomError, match="new folder"):
        export_deidentified(exam(1), tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_half_an_export_is_none(tmp_path: Path) -> None:
    record = exam(2)
    broken = replace(record, shots=(record.shots[0], replace(record.shots[1], width=65)))
    with pytest.raises(DicomError):
        export_deidentified(broken, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
