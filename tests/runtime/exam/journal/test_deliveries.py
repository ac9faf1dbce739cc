from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from runtime.exam.journal import Delivery, DeliveryInstance, Journal
from runtime.exam.journal.verify import verify
from runtime.views import Eye, View
from tests.runtime.exam.making import REFER, journal_exam

WHEN = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def test_a_delivery_comes_back_as_it_was(journal: Journal) -> None:
    instances = (DeliveryInstance("1.2.3", "1.2.840", "photograph", "sent"),)
    made = Delivery("E", "archive", 7, "sent", 2, WHEN, "archive said no: é", instances)
    assert journal.deliveries.get("E", "archive") is None
    assert journal.deliveries.change("E", "archive", lambda before: made) == made
    assert journal.deliveries.get("E", "archive") == made
    assert journal.deliveries.all(destination="archive", states=["sent"]) == [made]
    assert journal.deliveries.all(states=["done"]) == journal.deliveries.all(exam_id="other") == []
    assert verify(journal).findings == ()


def test_a_change_that_fails_leaves_the_delivery(journal: Journal) -> None:
    made = Delivery("E", "archive", 7, "waiting")
    journal.deliveries.change("E", "archive", lambda _: made)

    def fail(_: Delivery | None) -> Delivery:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        journal.deliveries.change("E", "archive", fail)
    with pytest.raises(ValueError, match="cannot become another's"):
        journal.deliveries.change("E", "archive", lambda _: dataclasses.replace(made, destination="other"))
    assert journal.deliveries.all() == [made]


def test_no_change_between_reading_and_writing_is_lost(journal: Journal) -> None:
    journal.deliveries.change("E", "archive", lambda _: Delivery("E", "archive", 1, "waiting"))

    def count(before: Delivery | None) -> Delivery:
        assert before is not None
        return dataclasses.replace(before, attempts=before.attempts + 1)

    def work(_: int) -> None:
        with Journal.open(journal.folder, journal.key) as mine:
            for _ in range(20):
                mine.deliveries.change("E", "archive", count)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    found = journal.deliveries.get("E", "archive")
    assert found is not None
    assert found.attempts == 60


def test_exams_come_in_their_order_and_again_when_corrected(journal: Journal) -> None:
    first, second = journal_exam(journal, [REFER]), journal_exam(journal, [REFER])
    found = journal.deliveries.closed_exams_after(0)
    assert [exam for _, exam in found] == [first, second]
    assert journal.deliveries.closed_exams_after(found[0][0]) == found[1:]
    journal.relabel(first, 1, Eye.OS, View.NASAL, reason="wrong side", operator="anna")
    again = journal.deliveries.closed_exams_after(found[-1][0])
    assert [exam for _, exam in again] == [first]
    assert len(journal.deliveries.closed_exams_after(0, limit=1)) == 1


def test_exams_without_a_delivery_as_they_are_now_are_behind(journal: Journal) -> None:
    first, second = (journal_exam(journal, [REFER]) for _ in range(2))
    now = {exam_id: journal.summary(exam_id).changed_seq for exam_id in (first, second)}
    both = [(now[first], first), (now[second], second)]
    assert journal.deliveries.behind("archive") == both
    journal.deliveries.change(second, "archive", lambda _: Delivery(second, "archive", now[second], "waiting"))
    assert journal.deliveries.behind("archive") == both[:1]
    assert journal.deliveries.behind("elsewhere") == both
    journal.deliveries.change(first, "archive", lambda _: Delivery(first, "archive", now[first], "done"))
    assert journal.deliveries.behind("archive") == []
    journal.relabel(first, 1, Eye.OS, View.NASAL, reason="wrong side", operator="anna")
    assert journal.deliveries.behind("archive") == [(journal.summary(first).changed_seq, first)]
