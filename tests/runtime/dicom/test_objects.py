"""Each kind of object, judged by dicom3tools, dcmtk, pydicom and highdicom."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.sr import MeasurementReport, srread
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from runtime.dicom import codes, text
from runtime.dicom.errors import RecordUnusable
from runtime.dicom.objects import planned
from runtime.dicom.records import DicomExam, Documented, InfantFacts
from runtime.exam.result import Conclusion
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE, Outcome
from runtime.views import Eye
from tests.runtime.dicom.exams import exam, picture, with_name
from tests.runtime.dicom.judges import complaints

LONG_NAME = "Ø" * 90 + "^" + "名" * 210
NEVER = re.compile(r"\b(normal|healthy|diagnos\w+|stage|zone|plus|discharge)\b", re.IGNORECASE)


def as_bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def bare(record: DicomExam) -> DicomExam:
    """Nothing said that may be left out."""
    return replace(
        record,
        infant=InfantFacts("1"),
        equipment=type(record.equipment)(),
        order=type(record.order)(),
        operator="",
        refer_threshold=None,
        facts={},
    )


def refused(record: DicomExam) -> DicomExam:
    verdict = Conclusion(Outcome.REFER, "not gradable", "OD nasal")
    return replace(record, verdict=verdict, eyes={**record.eyes, Eye.OD: verdict})


def documented(zone: timezone) -> DicomExam:
    """A clinician's finding, by a cart in that time zone."""
    record, at = exam(1), datetime(2026, 11, 20, 10, 15, 0, 250, tzinfo=zone)
    found = Documented(Eye.OD, "zone II, stage 2", (("zone", "II"), ("stage", "2")), "見た", "dr. Okafor", at)
    return replace(record, documented=(found,), opened_at=at, closed_at=at + timedelta(minutes=9))


EXAMS = {
    "whole": lambda: exam(2),
    "bare": lambda: bare(exam(1)),
    "odd size": lambda: exam(1, width=63, height=47),
    "long name in two scripts": lambda: with_name(exam(1), LONG_NAME),
    "one-word name": lambda: with_name(exam(1), "Wanjiru"),
    "referred": lambda: refused(exam(3)),
}
JUDGED = EXAMS | {  # in which clinicians say what the software may not
    "documented": lambda: documented(timezone(timedelta(hours=-3, minutes=-30))),
    "documented in UTC": lambda: documented(timezone.utc),
}
UNKNOWN_TO_DCMTK = "W: The VR checker does not support this Specific Character Set: ISO_IR 192\n"
"""Debian's dcmtk does not check values in UTF-8, and says so."""


@pytest.mark.system
@pytest.mark.parametrize("name", JUDGED)
def test_the_judges_find_nothing(name: str, dicom_tools: None, tmp_path: Path) -> None:
    for item in planned(JUDGED[name]()):
        path = tmp_path / f"{item.name}.dcm"
        path.write_bytes(as_bytes(item.build()))
        assert complaints(path) == [], item.kind
        if item.kind == "report":
            tree = subprocess.run(["dsrdump", "-Er", str(path)], capture_output=True, text=True)
            assert tree.returncode == 0, tree.stderr
            page = subprocess.run(["dsr2html", "-Er", str(path)], capture_output=True, text=True, errors="replace")
            assert (page.returncode, page.stderr.replace(UNKNOWN_TO_DCMTK, "")) == (0, "")
            assert "</html>" in page.stdout
            assert "Screening aid; not a medical device" in page.stdout


@pytest.mark.parametrize("name", JUDGED)
def test_pydicom_reads_every_value_without_a_complaint(name: str) -> None:
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    try:
        for item in planned(JUDGED[name]()):
            dataset = pydicom.dcmread(io.BytesIO(as_bytes(item.build())))
            for element in dataset.iterall():
                assert element.value is not NotImplemented
            assert dataset.SOPInstanceUID == item.uid
            assert dataset.SOPClassUID == item.sop_class
            assert dataset.SeriesInstanceUID == item.series_uid
    finally:
        pydicom.config.settings.reading_validation_mode = before


@pytest.mark.parametrize(("hours", "said"), [(0, "20261120101500.000250"), (2, "20261120101500.000250+0200")])
def test_a_findings_time_is_one_that_dcmtk_reads(hours: int, said: str) -> None:
    """It takes +0000 for no offset that DICOM allows, and reads nothing of the report then."""
    record = documented(timezone(timedelta(hours=hours)))
    made = planned(record)[-1].build()
    times = [element.value for element in made.iterall() if element.keyword == "DateTime"]
    assert list(map(str, times)) == [said]
    assert made.TimezoneOffsetFromUTC == f"+{hours:02d}00"


def test_an_image_has_every_attribute_that_its_modules_demand() -> None:
    from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map

    image = planned(exam(1))[0].build()
    demanded = get_iod_module_map()["ophthalmic-photography-8-bit-image"]
    modules = [module["key"] for module in demanded if module["usage"] == "M"]
    assert "ophthalmic-photography-image" in modules
    for module in modules:
        for attribute in get_module_attribute_map()[module]:
            if attribute["path"]:
                continue
            if attribute["type"] in ("1", "2"):
                assert attribute["keyword"] in image, (module, attribute["keyword"])
            if attribute["type"] == "1":
                assert image[attribute["keyword"]].value not in ("", None), (module, attribute["keyword"])


def test_pixels_come_back_as_they_were() -> None:
    image = pydicom.dcmread(io.BytesIO(as_bytes(planned(exam(1, width=63, height=47))[0].build())))
    assert np.array_equal(image.pixel_array, picture(1, 63, 47))


def test_the_same_exam_gives_the_same_bytes() -> None:
    first = [as_bytes(item.build()) for item in planned(exam(3))]
    assert first == [as_bytes(item.build()) for item in planned(exam(3))]
    assert len({item.uid for item in planned(exam(3))}) == 7


def test_what_was_corrected_is_another_instance_and_nothing_else_is() -> None:
    record = exam(2)
    moved = replace(record, shots=(record.shots[0], replace(record.shots[1], eye=Eye.OD)))
    before, after = ({item.uid for item in planned(e)} for e in (record, moved))
    assert len(before & after) == 2  # photograph and overlay of the first frame
    renamed = {item.uid for item in planned(with_name(record, "Other^Name"))}
    assert not before & renamed


def test_codes_of_long_names_differ() -> None:
    names = ["ridge_in_view_temporal_left", "ridge_in_view_temporal_right", "ridge_in_view"]
    made = [codes.own(f"P_{name}", name).value for name in names]
    assert len(set(made)) == 3
    assert all(len(value) <= 16 for value in made)
    assert made[2] == "P_ridge_in_view"


def test_the_report_says_outcome_numbers_and_who_read(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(as_bytes(planned(refused(exam(2)))[-1].build()))
    document = srread(path)
    assert isinstance(document.content, MeasurementReport)
    groups = document.content.get_image_measurement_groups()
    assert len(groups) == 3  # the infant's, and one a frame
    numbers = {str(m.name.meaning): m.value for m in groups[1].get_measurements()}
    assert numbers["Probability of class ridge_in_view"] == 0.125
    assert numbers["Image quality measure: green_excess"] == -0.20179
    said = [str(element.value) for element in pydicom.dcmread(path).iterall() if element.VR in ("UT", "LO")]
    assert "Right eye: Refer: examination by an ophthalmologist needed (not gradable)" in said
    assert f"{AID_NOTICE} {DEMONSTRATION_NOTICE}" in said
    assert "bundle SHA-256 " + "cd" * 32 in said
    assert "demonstration" in said


@pytest.mark.parametrize("name", EXAMS)
def test_no_object_says_what_the_software_may_not_say(name: str) -> None:
    for item in planned(EXAMS[name]()):
        dataset = item.build()
        for element in dataset.iterall():
            if element.VR in ("LO", "LT", "SH", "ST", "UT", "UC", "CS") and isinstance(element.value, str):
                assert not NEVER.search(element.value), element


def test_an_identifier_that_dicom_cannot_carry_is_refused_not_cut() -> None:
    for identifier in ("7" * 65, "A\\B"):
        record = replace(exam(1), infant=InfantFacts(identifier))
        with pytest.raises(RecordUnusable) as error:
            planned(record)[0].build()
        assert identifier not in str(error.value)


def test_pixels_of_another_size_are_refused() -> None:
    record = exam(1)
    record = replace(record, shots=(replace(record.shots[0], width=65),))
    with pytest.raises(RecordUnusable, match="verify the journal"):
        planned(record)[0].build()


def test_an_exam_without_an_image_makes_no_object() -> None:
    assert planned(replace(exam(1), shots=())) == []


@given(st.text(max_size=400))
def test_any_name_becomes_a_person_name(name: str) -> None:
    made = text.person_name(name)
    groups = made.split("=")
    assert len(groups) <= 3
    assert all(len(group) <= 64 and group.count("^") <= 4 for group in groups)
    assert "\\" not in made
    assert made.isprintable() or not any(ord(c) < 32 for c in made)
    if len(text.plain(name)) <= 63 and not set("=^") & set(name):
        assert made.rstrip("^") == text.plain(name)


@pytest.mark.parametrize(
    ("name", "made", "whole"),
    [
        ("山田\u3000太郎^x", "山田\u3000太郎^x", True),
        ("De\u00a0la^Ana\u200d", "De\u00a0la^Ana\u200d", True),
        ("^", "", True),
        ("^^=^", "", True),
        ("a\u202eb^c", "a b^c", True),
        ("Yamada^Taro=" + "山" * 70 + "^太郎", "Yamada^Taro=" + "山" * 63 + "^", False),
        ("A^B=C^D=E^F=G^H", "A^B=C^D=E^F", False),
        ("a^b^c^d^e^f", "a^b^c^d^e f", False),
        ("x" * 64, "x" * 63 + "^", False),
    ],
)
def test_a_name_is_kept_group_by_group_or_said_whole_elsewhere(name: str, made: str, whole: bool) -> None:
    assert text.person_name(name) == made
    assert text.name_is_whole(name) is whole
    image = planned(with_name(exam(1), name))[0].build()
    assert ("PatientComments" in image) is not whole
    if not whole:
        assert text.plain(name) in image.PatientComments


@pytest.mark.parametrize("identifier", ["A  B", "A\u3000B", "A\u00a0B"])
def test_inner_spaces_of_an_identifier_are_sent(identifier: str) -> None:
    image = planned(replace(exam(1), infant=InfantFacts(identifier)))[0].build()
    assert image.PatientID == identifier


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(-10, 5000))
def test_an_age_is_an_age_string_or_nothing(birth: date, days: int) -> None:
    day = date.fromordinal(birth.toordinal() + days)
    made = text.age(birth, day)
    assert re.fullmatch(r"\d{3}[DWM]", made) if days >= 0 else made == ""


def test_times_carry_their_zone() -> None:
    assert text.dt(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)) == "20260102030405.000006+0000"
