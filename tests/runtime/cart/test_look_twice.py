"""An identifier that is another infant's elsewhere is told before the first picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN, USER
from runtime.dicom.worklist import WorklistItem
from runtime.exam.journal import Journal
from runtime.exam.journal.told import TOLD, WENT_ON, told_of
from runtime.exam.journal.verify import verify
from tests.runtime.cart.quick import INFANT_FIELDS, KEY, Quick, quick

LISTED = {"patient_id": "W-7", "patient_name": "Listed^Lena", "birth_date": "20261018", "sex": "F"}


def ordering() -> list[WorklistItem]:
    return listed(LISTED)


def listed(*lines: dict[str, str]) -> list[WorklistItem]:
    empty = dict.fromkeys(WorklistItem.__dataclass_fields__, "")
    return [WorklistItem(**{**empty, **line, "unreadable": ()}) for line in lines]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart"), ordering=ordering) as made:
        made.done("worklist/refresh")
        made.done(f"exams/{made.open_exam()}/close")  # Q-1, Quick^Ada
        yield made


@pytest.mark.parametrize(
    ("infant", "differs"),
    [
        ({}, ""),
        ({"name": "Ada Quick"}, ""),
        ({"infant_id": "N-1", "name": "New^Nora"}, ""),
        ({"name": "Other^Olga"}, "with another name;"),
        ({"infant_id": " q-1", "born_at": "2026-10-19T00:00"}, "with another date of birth;"),
        ({"name": "Other^Olga", "sex": "M"}, "with another name and sex;"),
        ({"infant_id": "W-7", "name": "Listed^Lena"}, ""),
        ({"infant_id": "w-7", "name": "Other^Olga"}, "the worklist has this identifier with another name;"),
    ],
)
def test_an_identifier_of_another_infant_is_told(cart: Quick, infant: dict[str, Any], differs: str) -> None:
    opened = cart.done("exams", {"infant": {**INFANT_FIELDS, **infant}, "wrist_band_checked": True})
    try:
        assert [differs in one for one in opened["warnings"]] == ([True] if differs else [])
        assert cart.exam()["warnings"] == opened["warnings"]
        assert not [said for said in opened["warnings"] if "Quick" in said or "Listed" in said]
        body = {"infant": {**INFANT_FIELDS, "infant_id": "Q-2", "name": "Right^Rita"}, "reason": "slip"}
        cart.done(f"exams/{opened['exam']}/correct", body)
        assert cart.exam()["warnings"] == []
    finally:
        cart.done(f"exams/{opened['exam']}/void", {"reason": "a test's"})


@pytest.mark.parametrize("typed", ["D-10O4", "d-1004", "D- 1004", "D\u20101004", "D-1004 A", "\uff24-1004"])
def test_a_name_and_birth_date_that_the_worklist_has_under_another_identifier_is_told(named: Quick, typed: str) -> None:
    """First by itself, with nothing opened; then in the exam; of the identifier nothing outlives it in the trail."""
    infant = {**INFANT_FIELDS, "infant_id": typed, "name": "lena LISTED"}
    (said,) = named.done("exams/look", {"infant": infant})["warnings"]
    assert said.startswith("the worklist has this name and birth date under D-1004;")
    assert named.exam() == {}
    opened = named.done("exams", {"infant": infant, "wrist_band_checked": True})
    try:
        assert opened["warnings"] == [said]
        named.capture("OD", "nasal")
        told = [one["reason"] for one in named.get(f"exams/{opened['exam']}").json()["changes"]]
        assert [one.partition(";")[0] for one in told] == [
            said.partition(";")[0].replace("D-1004", "another identifier")
        ] * 2
        right = {"infant": {**infant, "infant_id": "D-1004"}, "reason": "slip"}
        named.done(f"exams/{opened['exam']}/correct", right)
        assert named.exam()["warnings"] == []
    finally:
        named.done(f"exams/{opened['exam']}/void", {"reason": "a test's"})


@pytest.mark.parametrize(
    "infant",
    [
        {"infant_id": "D-1004", "name": "Listed^Lena"},
        {"infant_id": " D-1004 ", "name": "Listed^Lena"},
        {"infant_id": "N-1", "name": "Listed^Lena", "born_at": "2026-10-19T00:00"},
        {"infant_id": "N-1", "name": "Listed^Lina"},
        {"infant_id": "T-2", "name": "Twin^Baby"},  # both twins have it, each under its own
        {"infant_id": "N-1", "name": "Unknown"},
    ],
)
def test_nothing_is_told_of_an_infant_that_the_worklist_has_so_or_not_at_all(
    named: Quick, infant: dict[str, Any]
) -> None:
    assert named.done("exams/look", {"infant": {**INFANT_FIELDS, **infant}})["warnings"] == []


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    twins = [{**LISTED, "patient_id": f"T-{number}", "patient_name": "Twin^Baby"} for number in (1, 2)]
    lines = [{**LISTED, "patient_id": "D-1004"}, *twins, {**LISTED, "patient_id": "", "patient_name": ""}]
    with quick(tmp_path_factory.mktemp("named"), ordering=lambda: listed(*lines)) as made:
        made.done("worklist/refresh")
        yield made


def test_what_was_told_and_who_went_on_stand_in_the_journal_and_outlive_a_restart(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        cart.done(f"exams/{cart.open_exam()}/close")
        exam = cart.open_exam(name="Other^Olga")
        (said,) = cart.exam()["warnings"]
        cart.stop()
        cart.start()
        cart.sign_in()
        assert cart.exam()["warnings"] == [said]  # it was forgotten at a restart before
        cart.capture("OD", "nasal")
        cart.capture("OD", "temporal")
        cart.sign_in(CLINICIAN)
        cart.capture("OS", "nasal")
        correct = {"infant": {**INFANT_FIELDS, "infant_id": "Q-2", "name": "Right^Rita"}, "reason": "slip"}
        shown = cart.done(f"exams/{exam}/correct", correct)
        kept = [(one["who"], one["what"].partition(" ")[0], one["reason"]) for one in shown["changes"]]
        assert kept == [
            (USER, "was", said),
            (USER, "took", said),
            (CLINICIAN, "took", said),
            (CLINICIAN, "infant's", "slip"),
            (CLINICIAN, "was", "nothing any more"),
        ]
        cart.stop()
        with Journal.open(tmp_path / "journal", KEY) as journal:
            assert verify(journal).findings == ()
            assert [(one.who, one.kind) for one in told_of(journal, exam)][:2] == [(USER, TOLD), (USER, WENT_ON)]
        cart.start()


def test_twins_of_the_worklist_stand_in_the_journal_with_whoever_chose_one(tmp_path: Path) -> None:
    twins = [{**LISTED, "patient_id": f"T-{number}", "patient_name": f"Twin^{number}"} for number in (1, 2)]
    with quick(tmp_path, ordering=lambda: listed(*twins)) as cart:
        row = cart.done("worklist/refresh")["rows"][0]
        infant = {**INFANT_FIELDS, "infant_id": row["patient_id"], "name": row["patient_name"]}
        exam = cart.done("exams", {"key": row["key"], "infant": infant, "wrist_band_checked": True})["exam"]
        (told,) = cart.get(f"exams/{exam}").json()["changes"]
        assert told["who"] == USER
        assert "another infant on the worklist has the same surname" in told["reason"]
        assert "another infant on the worklist has the same birth date" in told["reason"]
        cart.capture("OD", "nasal")
        assert len(cart.get(f"exams/{exam}").json()["changes"]) == 1  # whoever chose it went on by opening the exam


def test_a_line_of_which_something_could_not_be_read_is_no_order(tmp_path: Path) -> None:
    """Its empty fields differ from nobody's: any infant got the order, until `unreadable` was handed on."""
    broken = listed({"patient_id": "", "patient_name": "", "accession": "A-1"})
    with quick(tmp_path, ordering=lambda: [replace(broken[0], unreadable=("patient_id", "patient_name"))]) as cart:
        (row,) = cart.done("worklist/refresh")["rows"]
        assert row["unreadable"] == ["identifier", "name"]
        answer = cart.post("exams", {"key": row["key"], "infant": INFANT_FIELDS, "wrist_band_checked": True})
        assert (answer.status_code, "could not be read" in answer.json()["detail"]) == (422, True)
        assert cart.exam() == {}


def test_a_line_whose_referrer_could_not_be_read_is_an_order_and_says_so(tmp_path: Path) -> None:
    said = {"patient_id": "Q-1", "patient_name": "Quick^Ada", "accession": "A-1"}
    lines = [replace(listed(said)[0], unreadable=("referring_physician",))]
    with quick(tmp_path, ordering=lambda: lines) as cart:
        (row,) = cart.done("worklist/refresh")["rows"]
        assert row["unreadable"] == ["referring physician"]
        body = {"key": row["key"], "infant": INFANT_FIELDS, "wrist_band_checked": True}
        exam = cart.done("exams", body)["exam"]
        assert cart.get(f"exams/{exam}").json()["order"]["accession"] == "A-1"


def test_an_event_that_was_altered_does_not_keep_an_exam_from_being_opened(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        cart.done(f"exams/{cart.open_exam()}/close")
        with pytest.MonkeyPatch.context() as patched:

            def damaged(_: object) -> Any:
                raise ValueError("altered")

            patched.setattr("runtime.exam.look_twice.infants_of_exams", damaged)
            body = {"infant": INFANT_FIELDS, "wrist_band_checked": True}
            assert "could not be read" in cart.done("exams", body)["warnings"][0]
