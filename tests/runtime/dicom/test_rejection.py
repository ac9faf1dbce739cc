"""What was sent and must not be there is rejected, or listed; what is there belongs to whom the journal says."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from device.frame import Frame
from runtime.dicom.outbox import steps
from runtime.dicom.status import Disposition, meaning
from runtime.dicom.uids import STUDY_ROOT_FIND
from runtime.exam.errors import ExamRefused
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.journal.records import Rejection
from runtime.exam.order import Order
from runtime.exam.rules import ExamRules
from runtime.outcome import VOIDED_ALONE, Outcome
from runtime.views import Eye, View
from tests.runtime.dicom.exams import BUNDLE, KEY, OPENED, fill_journal, picture, reading
from tests.runtime.dicom.judges import complaints
from tests.runtime.dicom.keeping import NOTE_CLASS, KeepingArchive
from tests.runtime.dicom.test_answers import attempt, scripted, state

ORDERED = Order("ACC-1", "1.2.826.0.1.3680043.8.498.7", "RP-1", "S-1")


@pytest.fixture
def archive() -> KeepingArchive:
    return KeepingArchive()


def other(journal: Journal, exam_id: str, **fields: Any) -> Infant:
    return dataclasses.replace(journal.infant(exam_id), **({"infant_id": "H-2", "name": "Doe^Berta"} | fields))


def rejections(folder: Path) -> list[Rejection]:
    with Journal.open(folder, KEY, read_only=True) as journal:
        return journal.rejections()


def notes(archive: KeepingArchive) -> list[Dataset]:
    return [made for made in archive.objects.values() if made.SOPClassUID == NOTE_CLASS]


def send(archive: KeepingArchive, folder: Path, **more: Any) -> None:
    with archive.listening(STUDY_ROOT_FIND) as port:
        result = attempt(folder, scripted(folder, port, proof="find", **more))
        assert result.failed == 0, result.error


def test_another_infant_is_another_study_and_what_was_the_first_ones_is_rejected(
    archive: KeepingArchive, tmp_path: Path
) -> None:
    [exam_id] = fill_journal(tmp_path, frames=2)
    send(archive, tmp_path)
    before = set(archive.objects)
    study = archive.shown()[0].StudyInstanceUID
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_infant(exam_id, other(journal, exam_id), reason="wrong twin", operator="anna")
    send(archive, tmp_path)
    assert archive.rejected == before
    assert {made.PatientID for made in archive.shown()} == {"H-2"}
    assert study not in {made.StudyInstanceUID for made in archive.shown()}
    [note] = notes(archive)
    assert (note.PatientID, note.StudyInstanceUID, note.Modality) == ("MRN-0-0", study, "KO")
    assert note.ConceptNameCodeSequence[0].CodeValue == "113038"
    assert note.ContentSequence[0].TextValue == "infant's fields corrected: wrong twin"
    [told] = rejections(tmp_path)
    assert {instance.uid for instance in told.instances} == before
    assert (told.document_uid, told.reason) == (note.SOPInstanceUID, "infant's fields corrected: wrong twin")
    send(archive, tmp_path)
    assert set(archive.times.values()) == {1}
    assert state(tmp_path).done == 1


def test_an_order_for_another_infant_is_not_this_ones(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_order(exam_id, ORDERED, reason="was forgotten", operator="anna")
    send(archive, tmp_path)
    assert {(m.StudyInstanceUID, m.AccessionNumber) for m in archive.shown()} == {(ORDERED.study_uid, "ACC-1")}
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_infant(exam_id, other(journal, exam_id), reason="wrong twin", operator="anna")
    send(archive, tmp_path)
    for made in archive.shown():
        assert (made.PatientID, made.AccessionNumber) == ("H-2", "")
        assert made.StudyInstanceUID != ORDERED.study_uid
    mine = Order("ACC-2", "1.2.826.0.1.3680043.8.498.8", "RP-2", "S-2")
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_order(exam_id, mine, reason="this one's", operator="anna")
    send(archive, tmp_path)
    assert {(m.PatientID, m.StudyInstanceUID, m.AccessionNumber) for m in archive.shown()} == {
        ("H-2", mine.study_uid, "ACC-2")
    }
    assert len(notes(archive)) == 2


def test_a_name_that_is_spelt_anew_keeps_the_order(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_order(exam_id, ORDERED, reason="was forgotten", operator="anna")
        same = journal.infant(exam_id).infant_id
        journal.amend_infant(exam_id, other(journal, exam_id, infant_id=same), reason="spelling", operator="anna")
    send(archive, tmp_path)
    assert {m.StudyInstanceUID for m in archive.shown()} == {ORDERED.study_uid}


def test_corrected_there_and_back_nothing_is_there_twice(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    with Journal.open(tmp_path, KEY) as journal:
        first = journal.infant(exam_id)
    send(archive, tmp_path)
    for whose in ("other", "first", "other", "first"):
        with Journal.open(tmp_path, KEY) as journal:
            infant = first if whose == "first" else other(journal, exam_id)
            journal.amend_infant(exam_id, infant, reason=f"it is the {whose}", operator="anna")
        send(archive, tmp_path)
    assert {made.PatientID for made in archive.shown()} == {first.infant_id}
    assert sorted(made.Modality for made in archive.shown()) == ["OP", "OP", "SR"]
    assert set(archive.times.values()) == {1}


def test_corrected_there_and_back_before_anything_was_told(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    send(archive, tmp_path)
    with Journal.open(tmp_path, KEY) as journal:
        first = journal.infant(exam_id)
        journal.amend_infant(exam_id, other(journal, exam_id), reason="slip", operator="anna")
        journal.amend_infant(exam_id, first, reason="slip of the slip", operator="anna")
    send(archive, tmp_path)
    assert len(archive.shown()) == 3
    assert {made.PatientID for made in archive.shown()} == {first.infant_id}
    assert set(archive.times.values()) == {1}


def test_a_voided_exam_is_rejected_whole_and_an_unsent_one_says_nothing(
    archive: KeepingArchive, tmp_path: Path
) -> None:
    sent, unsent = fill_journal(tmp_path, exams=2, frames=1)
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(unsent, reason="never happened", operator="anna")
    send(archive, tmp_path)
    assert len(archive.shown()) == 3
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(sent, reason="another infant", operator="anna")
    send(archive, tmp_path)
    assert archive.shown() == []
    [note] = notes(archive)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
    assert "another infant" in note.ContentSequence[0].TextValue
    assert state(tmp_path).undone == 0


def test_an_exam_that_refers_is_rejected_once_a_second_person_voids_it(archive: KeepingArchive, tmp_path: Path) -> None:
    with Journal.open(tmp_path, KEY, create=True, floor_bytes=0) as journal:
        rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
        exam_id = journal.begin_exam(
            Infant("H-1", "A^B", OPENED - timedelta(days=40), Weeks(190), 950), rules, operator="anna"
        )
        shot = Frame(picture(1), 1, "sim:retcam")
        journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna")
        journal.add_reading(exam_id, 1, dataclasses.replace(reading(shot), outcome=Outcome.REFER))
        journal.close_exam(exam_id, operator="anna")
    send(archive, tmp_path)
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(exam_id, reason="never happened", operator="anna")
    send(archive, tmp_path)
    assert sorted(made.Modality for made in archive.shown()) == ["OP", "OP", "SR"]
    [report] = [made for made in archive.shown() if made.Modality == "SR"]
    said = {str(e.value) for e in report.iterall() if e.VR == "UT"}
    assert any(VOIDED_ALONE in text for text in said), said
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(exam_id, reason="of the twin", operator="ben")
    send(archive, tmp_path)
    assert archive.shown() == []
    assert state(tmp_path).undone == 0


def test_a_moved_and_an_excluded_picture_are_there_once_or_not(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=2)
    send(archive, tmp_path)
    with Journal.open(tmp_path, KEY) as journal:
        journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong eye set", operator="anna")
        journal.exclude(exam_id, 2, reason="another infant's eye", operator="anna")
    send(archive, tmp_path)
    shown = archive.shown()
    assert sorted((made.Modality, made.get("ImageLaterality", "")) for made in shown) == [
        ("OP", "L"),
        ("OP", "L"),
        ("SR", ""),
    ]
    assert {made.ConceptNameCodeSequence[0].CodeValue for made in notes(archive)} == {"113037"}


@pytest.mark.parametrize("status", [0x0122, 0xA775, 0xC000, 0xA900])
def test_an_archive_that_takes_no_note_gives_a_list(status: int, archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    send(archive, tmp_path)
    before = set(archive.objects)
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_infant(exam_id, other(journal, exam_id), reason="wrong twin", operator="anna")
    archive.answer = lambda number: status if number == archive.calls and number == 4 else 0
    send(archive, tmp_path)
    assert notes(archive) == []
    [told] = rejections(tmp_path)
    assert {instance.uid for instance in told.instances} == before
    assert told.document_uid == ""
    assert {made.PatientID for made in archive.shown() if made.SOPInstanceUID not in before} == {"H-2"}
    assert state(tmp_path).done == 1


def test_a_site_may_want_a_list_only(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    send(archive, tmp_path, rejection="list")
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(exam_id, reason="never happened", operator="anna")
    send(archive, tmp_path, rejection="list")
    assert notes(archive) == []
    assert len(rejections(tmp_path)[0].instances) == 3
    assert state(tmp_path).undone == 0


def test_what_an_archive_goes_on_showing_is_on_the_list(archive: KeepingArchive, tmp_path: Path) -> None:
    archive.hides = False
    [exam_id] = fill_journal(tmp_path, frames=1)
    send(archive, tmp_path)
    with Journal.open(tmp_path, KEY) as journal:
        journal.void_exam(exam_id, reason="never happened", operator="anna")
    send(archive, tmp_path)
    assert len(notes(archive)) == 1
    assert [(len(told.instances), told.document_uid) for told in rejections(tmp_path)] == [(3, "")]


def test_what_may_have_been_stored_is_rejected_too(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    archive.aborts_at = 2
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port, proof="find")).failed == 1
    assert len(archive.objects) == 2  # the answer to the second was lost
    with Journal.open(tmp_path, KEY) as journal:
        journal.amend_infant(exam_id, other(journal, exam_id), reason="wrong twin", operator="anna")
    send(archive, tmp_path)
    assert {made.PatientID for made in archive.shown()} == {"H-2"}
    assert len(archive.rejected) == 2


def test_the_archives_word_for_two_patients_in_one_study_is_a_refusal() -> None:
    found = meaning(0xA778)
    assert found.answer is Disposition.REFUSED
    assert "another patient's" in found.text
    assert meaning(0xA701).answer is Disposition.LATER


def test_findings_reach_the_archive_and_only_then_may_be_removed(archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path, frames=1)
    send(archive, tmp_path)
    with Journal.open(tmp_path, KEY) as journal:
        found = EyeFindings(Eye.OD, zone="II", stage="2", plus="pre-plus", note="see again on Friday")
        journal.document(exam_id, found, clinician="dr.okafor")
        with pytest.raises(ExamRefused):
            journal.retire_exam(exam_id, operator="anna", destinations=("archive",))
    send(archive, tmp_path)
    [report] = [made for made in archive.shown() if made.Modality == "SR"]
    said = {str(e.value) for e in report.iterall() if e.VR in ("UT", "PN", "DT")}
    assert {"II", "2", "pre-plus", "see again on Friday", "dr.okafor^"} <= said
    assert any("zone II, stage 2, pre-plus disease" in value for value in said)
    with Journal.open(tmp_path, KEY) as journal:
        assert journal.deliveries.all()[0].state == steps.DONE
        journal.retire_exam(exam_id, operator="anna", destinations=("archive",))


@pytest.mark.system
def test_the_judges_find_nothing_in_a_note(dicom_tools: None, archive: KeepingArchive, tmp_path: Path) -> None:
    [exam_id] = fill_journal(tmp_path / "journal", frames=2)
    send(archive, tmp_path / "journal")
    with Journal.open(tmp_path / "journal", KEY) as journal:
        journal.void_exam(exam_id, reason="never happened", operator="anna")
    send(archive, tmp_path / "journal")
    [note] = notes(archive)
    note.file_meta = FileMetaDataset()
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    note.save_as(tmp_path / "note.dcm", enforce_file_format=True)
    assert complaints(tmp_path / "note.dcm") == []
