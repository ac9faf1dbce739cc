"""The worklist on the screen: order, twins, an archive that is away."""

from __future__ import annotations

import time
from dataclasses import dataclass

from runtime.cart.orders import LatestWorklist, rows_of
from runtime.errors import ScreeningError


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
    for problem in ("away", "the worklist cannot be used (ValueError)"):
        later = worklist.refresh()
        assert (later.rows, later.asked_at, later.problem) == (first.rows, first.asked_at, problem)
    assert worklist.row(first.rows[0].key) is first.rows[0]
    assert worklist.refresh().rows[0].item.patient_id == "2"
    assert worklist.row(first.rows[0].key) is None
    assert len(told) == 4
