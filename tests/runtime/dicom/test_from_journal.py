"""What a journal knows, in the objects that are made from it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from device.frame import Frame
from runtime.dicom import codes
from runtime.dicom.configuration import CartNode
from runtime.dicom.deidentify import export_deidentified
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.objects import planned
from runtime.dicom.worklist import WorklistItem
from runtime.exam.disagreement import disagreements
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.order import Order, Ordered
from runtime.exam.rules import ExamRules
from runtime.outcome import AID_NOTICE, EXCLUDED_ALONE, Outcome
from runtime.views import Eye, View
from tests.runtime.dicom.exams import BUNDLE, KEY, picture, reading

ORDER = Order("ACC-7", "1.2.826.0.1.3680043.8.498.7", "RP-1", "SPS-1", "Referrer^Rita", "ROP screening")
BORN = datetime(2026, 10, 13, 23, 0, tzinfo=timezone.utc)
OPENED = datetime(2026, 11, 22, 10, 0, tzinfo=timezone.utc)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "j", KEY, create=True, floor_bytes=0, clock=lambda: OPENED) as opened:
        yield opened


def girl(**changes: Any) -> Infant:
    fields = {"gestational_age": Weeks(190), "birth_weight_g": 950, "sex": "F", **changes}
    return Infant("H-1", "Doe^Baby", BORN, **fields)


def closed_exam(journal: Journal, order: Order | None = ORDER) -> str:
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
    exam_id = journal.begin_exam(girl(), rules, operator="nurse", order=order)
    frame = Frame(picture(1), 1, "sim:retcam", captured_at=OPENED)
    number = journal.add_capture(exam_id, Eye.OD, View.DISC, frame, operator="nurse")
    journal.add_reading(exam_id, number, reading(frame))
    journal.close_exam(exam_id, operator="nurse")
    return exam_id


def objects(journal: Journal, exam_id: str) -> dict[str, Dataset]:
    return {item.kind: item.build() for item in planned(exam_from_journal(journal, exam_id, CartNode()))}


def measured(item: Dataset, name: Code) -> list[float]:
    """Values of that measurement, wherever they stand in the report."""
    named = item.get("ConceptNameCodeSequence")
    found = [float(item.MeasuredValueSequence[0].NumericValue)] if named and named[0].CodeValue == name.value else []
    return found + [value for inner in item.get("ContentSequence", ()) for value in measured(inner, name)]


def test_an_order_and_the_sex_are_in_every_object(journal: Journal) -> None:
    made = objects(journal, closed_exam(journal))
    assert set(made) == {"photograph", "overlay", "report", "document"}
    for dataset in made.values():
        assert dataset.AccessionNumber == "ACC-7"
        assert dataset.StudyInstanceUID == ORDER.study_uid
        assert dataset.PatientSex == "F"
        assert str(dataset.ReferringPhysicianName) == "Referrer^Rita"
        assert dataset.StudyDescription == "ROP screening"
    request = made["photograph"].RequestAttributesSequence[0]
    assert (request.RequestedProcedureID, request.ScheduledProcedureStepID) == ("RP-1", "SPS-1")


def test_every_field_of_a_worklist_answer_is_known_to_an_order() -> None:
    answer: dict[str, Any] = {field.name: "" for field in fields(WorklistItem)}
    answer |= ORDER.to_dict() | {"patient_id": "H-1"}
    ordered = Ordered.from_dict(asdict(WorklistItem(**answer)))
    assert (ordered.order, ordered.patient_id) == (ORDER, "H-1")


def test_an_exam_that_was_not_ordered_has_a_study_of_its_own(journal: Journal) -> None:
    made = objects(journal, closed_exam(journal, None))
    assert {dataset.AccessionNumber for dataset in made.values()} == {""}
    (study,) = {dataset.StudyInstanceUID for dataset in made.values()}
    assert study.startswith("2.25.")


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"sex": "M"}, {"photograph", "overlay", "report", "document"}),
        ({"birth_weight_g": 960}, {"report", "document"}),
        ({"gestational_age": Weeks(191)}, {"report", "document"}),
    ],
)
def test_what_a_correction_of_the_infant_touches_is_another_instance(
    journal: Journal, changes: dict[str, Any], kinds: set[str]
) -> None:
    exam_id = closed_exam(journal)
    before = {kind: dataset.SOPInstanceUID for kind, dataset in objects(journal, exam_id).items()}
    journal.amend_infant(exam_id, girl(**changes), reason="chart read again", operator="nurse")
    after = {kind: dataset.SOPInstanceUID for kind, dataset in objects(journal, exam_id).items()}
    assert {kind for kind in after if after[kind] != before[kind]} == kinds


def test_a_correction_of_the_order_is_another_instance(journal: Journal) -> None:
    exam_id = closed_exam(journal)
    before = {kind: dataset.SOPInstanceUID for kind, dataset in objects(journal, exam_id).items()}
    corrected = Order(**{**ORDER.to_dict(), "accession": "ACC-8"})
    journal.amend_order(exam_id, corrected, reason="wrong line", operator="nurse")
    made = objects(journal, exam_id)
    assert {dataset.AccessionNumber for dataset in made.values()} == {"ACC-8"}
    assert all(dataset.SOPInstanceUID != before[kind] for kind, dataset in made.items())


def test_the_postmenstrual_age_is_the_exams(journal: Journal) -> None:
    """Born at 23:00 and examined at 10:00: a day less has elapsed than the calendar says."""
    exam_id = closed_exam(journal)
    expected = journal.infant(exam_id).postmenstrual_age(journal.summary(exam_id).opened_at)
    assert expected.days == 190 + (OPENED - BORN) // timedelta(days=1) == 229
    assert measured(objects(journal, exam_id)["report"], codes.POSTMENSTRUAL_AGE) == [expected.days]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_another_time_zone_of_the_cart_changes_no_byte(
    zone: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = closed_exam(journal)
    before = {kind: made.to_json() for kind, made in objects(journal, exam_id).items()}
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert {kind: made.to_json() for kind, made in objects(journal, exam_id).items()} == before
    finally:
        monkeypatch.undo()
        time.tzset()


def test_all_times_of_an_exam_have_its_one_offset(journal: Journal) -> None:
    made = objects(journal, closed_exam(journal))
    assert len({dataset.TimezoneOffsetFromUTC for dataset in made.values()}) == 1


def test_the_report_tells_light_a_disagreement_and_the_trail_and_a_deidentified_one_does_not(
    journal: Journal, tmp_path: Path
) -> None:
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0", required_views=(View.DISC,))
    exam_id = journal.begin_exam(girl(), rules, operator="nurse")
    hazards = {"blue": {"unit": "J/m2", "dose": 1.0, "used": 1.5, "limit": 10.0, "window_s": 1}}
    flash = {"run": "r1", "eye": "OD", "kind": "flash", "level": 9, "duration_s": 0.01, "state": "given"}
    journal.expose(exam_id, {**flash, "hazards": hazards}, operator="nurse")
    shot = Frame(picture(1), 1, "sim:retcam", captured_at=OPENED)
    journal.add_reading(exam_id, journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="n"), reading(shot))
    journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician="dr")
    record = journal.close_exam(exam_id, operator="nurse")
    last, made = journal.events(exam_id)[-1], exam_from_journal(journal, exam_id, CartNode())
    assert made.disagreements == disagreements(record)
    assert made.disagreements != ()
    report = raw(next(item.build() for item in planned(made) if item.kind == "report"))
    for said in (b"light, OD: 1 flash(es)", b"Disagreement, right eye", f"{last.seq}:{last.hash}".encode()):
        assert said in report
    written = export_deidentified(made, tmp_path / "out")
    content = b"".join(path.read_bytes() for path in written)
    assert last.hash.encode() not in content
    assert b"light, OD" not in content
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}


@pytest.mark.parametrize(
    ("taken_out", "said"),
    [
        ([], None),
        ([2], b"1 frame excluded by a person was read as REFER"),
        ([1, 2], b"2 frames excluded by a person were read as REFER"),
    ],
)
def test_a_deidentified_report_keeps_that_a_person_took_a_refer_out(
    journal: Journal, tmp_path: Path, taken_out: list[int], said: bytes | None
) -> None:
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0", required_views=(View.DISC,))
    exam_id = journal.begin_exam(girl(), rules, operator="nurse")
    for number, outcome in enumerate((Outcome.REFER, Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS), 1):
        shot = Frame(picture(number), number, "sim:retcam", captured_at=OPENED)
        journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="n")
        journal.add_reading(exam_id, number, replace(reading(shot), outcome=outcome))
    for number in taken_out:
        journal.exclude(exam_id, number, reason="of the twin Anna", operator="nurse")
    journal.close_exam(exam_id, operator="nurse")
    written = export_deidentified(exam_from_journal(journal, exam_id, CartNode()), tmp_path / "out")
    content = b"".join(path.read_bytes() for path in written if path.name == "report.dcm")
    assert said is None or said in content
    assert (b"read as REFER" in content) is bool(said)
    assert b"twin" not in content
    assert b"frame 2" not in content


def test_a_referral_that_one_person_took_out_is_sent_without_its_picture(journal: Journal) -> None:
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0", required_views=(View.DISC,))
    exam_id = journal.begin_exam(girl(), rules, operator="nurse")
    for number, outcome in enumerate((Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS), 1):
        shot = Frame(picture(number), number, "sim:retcam", captured_at=OPENED)
        journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="n")
        journal.add_reading(exam_id, number, replace(reading(shot), outcome=outcome))
    journal.exclude(exam_id, 1, reason="of the twin", operator="nurse")
    journal.close_exam(exam_id, operator="nurse")
    made = exam_from_journal(journal, exam_id, CartNode())
    assert (made.verdict.outcome, made.verdict.reason) == (Outcome.REFER, EXCLUDED_ALONE)
    assert [shot.number for shot in made.shots] == [2]
    assert {(one.verdict.outcome, one.shot) for one in made.views if one.eye is Eye.OD} == {(Outcome.REFER, None)}
    journal.exclude(exam_id, 1, reason="it is the twin's", operator="second nurse")
    assert exam_from_journal(journal, exam_id, CartNode()).eyes[Eye.OD].outcome is not Outcome.REFER


def raw(dataset: Dataset) -> bytes:
    into = io.BytesIO()
    dataset.save_as(into, enforce_file_format=False)
    return into.getvalue()


def test_an_exam_without_any_result_says_what_its_bundle_demands(journal: Journal) -> None:
    exam_id = journal.begin_exam(girl(), ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0"), operator="nurse")
    journal.close_exam(exam_id, operator="nurse")
    made = exam_from_journal(journal, exam_id, CartNode())
    assert made.notices == (BUNDLE.notice,)
    assert replace(made, notice="").notices == (AID_NOTICE,)
