"""The worklist on the screen: order, twins, an archive that is away."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runtime.cart.cart import Cart
from runtime.cart.demo.parts import CLINICIAN
from runtime.cart.orders import LatestWorklist, rows_of
from runtime.errors import ScreeningError
from runtime.exam.errors import JournalError
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE
from runtime.views import Eye, View
from tests.runtime.cart.driving import VIEWS, until
from tests.runtime.cart.quick import INFANT_FIELDS, quick


@dataclass(frozen=True)
class Item:
    patient_id: str
    patient_name: str
    birth_date: str = ""
    scheduled: str = "20261128 090000"
    station_ae_title: str = ""
    sex: str = ""
    accession: str = ""
    description: str = ""
    unreadable: tuple[str, ...] = ()


def test_own_station_first_then_by_time() -> None:
    items = [
        Item("1", "A", scheduled="20261128 080000", station_ae_title="OTHER"),
        Item("2", "B", scheduled="20261128 100000", station_ae_title="MINE"),
        Item("3", "C", scheduled="20261128 090000"),
    ]
    assert [row.item.patient_id for row in rows_of(items, "mine")] == ["3", "2", "1"]


def test_twins_same_names_and_birth_dates_are_flagged() -> None:
    items = [
        Item("1", "Rivera^Baby A", "20261018"),
        Item("2", "RIVERA^Baby B", "20261018"),
        Item("3", "Okafor^Chidi", "20261022"),
        Item("4", "okafor^chidi", "20261001"),
    ]
    alike = {row.item.patient_id: row.alike for row in rows_of(items, "")}
    assert alike == {
        "1": ("same surname", "same birth date"),
        "2": ("same surname", "same birth date"),
        "3": ("same name",),
        "4": ("same name",),
    }


def test_two_steps_of_one_infant_are_no_twins() -> None:
    assert rows_of([Item("1", "A^B", "20261018"), Item("1", "A^B", "20261018")], "")[0].alike == ()


def test_a_line_of_which_something_could_not_be_read_is_alike_to_nobody_by_what_it_lacks() -> None:
    assert [row.alike for row in rows_of([Item("1", ""), Item("2", "")], "")] == [(), ()]


def test_ten_thousand_lines_take_no_time_that_grows_with_their_square() -> None:
    births = [f"202610{day:02d}" for day in range(1, 29)]
    items = [Item(str(number), f"Family {number % 50}^Baby", births[number % 28]) for number in range(10_000)]
    began = time.process_time()
    assert len(rows_of(items, "")) == 10_000
    assert time.process_time() - began < 5  # comparing each with each took minutes


def test_answers_that_were_lost_are_told() -> None:
    class Answer(list[Item]):
        unreadable = 2

    worklist = LatestWorklist(lambda: Answer([Item("1", "A")]), "")
    assert "2 of its answers could not be read" in worklist.refresh().problem
    assert len(worklist.answer.rows) == 1


def test_an_archive_that_is_away_leaves_the_last_answer_and_its_age() -> None:
    answers: list[object] = [[Item("1", "A")], ScreeningError("away"), ValueError("odd"), [Item("2", "B")]]

    def ask() -> list[Item]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, list)
        return answer

    told: list[int] = []
    worklist = LatestWorklist(ask, "", lambda: told.append(1))
    assert worklist.answer.age_s is None
    first = worklist.refresh()
    unusable = "the worklist cannot be used (ValueError); enter infants by hand, and report it"
    for problem in ("away; call the technician", unusable):
        later = worklist.refresh()
        assert (later.rows, later.asked_at, later.problem) == (first.rows, first.asked_at, problem)
    assert worklist.row(first.rows[0].key) is first.rows[0]
    assert worklist.refresh().rows[0].item.patient_id == "2"
    assert worklist.row(first.rows[0].key) is None
    assert len(told) == 4


def test_who_was_examined_is_marked_for_as_long_as_that_exam_counts_and_says_something(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the quick cart needs the extra `cart`")
    listed = [Item("W-1", "Rivera^Baby A", "20261018"), Item("W-2", "Okafor^Chidi", "20261022")]
    with quick(tmp_path, ordering=lambda: listed) as cart:

        def done() -> dict[str, bool]:
            return {row["patient_id"]: row["done"] for row in cart.get("worklist").json()["rows"]}

        cart.done("worklist/refresh")
        stopped = cart.open_exam(infant_id="W-1")
        cart.done(f"exams/{stopped}/stop", {"cause": "infant unstable"})
        assert done() == {"W-1": False, "W-2": False}
        whole = cart.open_exam(infant_id="W-1")
        for eye in ("OD", "OS"):
            for view in VIEWS:
                cart.capture(eye, view)
        with cart.cart.events.listen() as told:
            cart.done(f"exams/{whole}/close")
            assert "worklist" in {event.kind for event in told.take()}
        assert done() == {"W-1": True, "W-2": False}
        opened: list[str] = []
        cart.stop()
        cart.start()
        cart.sign_in()
        cart.done("worklist/refresh")
        assert done() == {"W-1": True, "W-2": False}
        infant = {**INFANT_FIELDS, "infant_id": " w-1"}
        for said in ("NO REFERRAL FINDINGS", "REFER"):  # of two exams the worse
            row = next(row for row in cart.get("worklist").json()["rows"] if row["done"])
            sentence = f"this infant has an exam of today already: {said}"
            assert (row["done_as"]["word"], row["done_as"]["said"]) == (said, sentence)
            assert sentence in cart.done("exams/look", {"infant": infant})["warnings"]
            assert cart.exam() == {}
            again = cart.done("exams", {"infant": infant, "wrist_band_checked": True})
            assert sentence in again["warnings"]
            cart.engine.probabilities = (0.05, 0.95)
            cart.capture("OD", "nasal")
            cart.done(f"exams/{again['exam']}/close")
            opened.append(again["exam"])
        assert cart.done("exams/look", {"infant": {**infant, "infant_id": "W-3"}})["warnings"] == []
        for exam in opened:
            cart.done(f"exams/{exam}/void", {"reason": "wrong infant"})
        cart.done(f"exams/{whole}/void", {"reason": "wrong infant"})
        assert done() == {"W-1": True, "W-2": False}  # one person alone voids none that refers
        cart.sign_in(CLINICIAN)
        for exam in opened:
            assert cart.done(f"exams/{exam}/void", {"reason": "wrong infant"})["voided"]
        assert done() == {"W-1": False, "W-2": False}


def test_a_cart_that_starts_does_not_say_that_no_exam_is_open(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the quick cart needs the extra `cart`")

    def locked() -> None:
        raise JournalError("the journal's key does not open it")

    with quick(tmp_path) as cart:
        exam = cart.open_exam()
        assert cart.cart.state()["notice"] == f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
        with Cart(replace(cart.parts, open_journal=locked)) as starts:  # type: ignore[arg-type]
            until(lambda: "key" in starts.health()[0]["problem"], "the room cannot be opened")
            found = starts.state()
            assert (found["exam"], starts.exam_shown()) == (None, {})
            assert "not for clinical use" in found["notice"]
            assert "not for clinical use" in starts.welcome()["notice"]
            with pytest.raises(JournalError):
                starts.aim(Eye.OD, View.DISC).result(300)
        other = {"exam": "20260101-AAAAAAAA", "eye": "OD", "view": "nasal"}
        assert cart.post("aim", {"eye": "OD", "view": "nasal"}).status_code == 422
        assert cart.post("aim", other).status_code == 409
        assert cart.exam()["aim"] is None
        cart.done("aim", {**other, "exam": exam})
