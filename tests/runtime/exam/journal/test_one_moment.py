"""Another program commits between any two questions of a reader: nothing looks damaged, and nothing is half of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from runtime.exam.journal import Journal
from runtime.exam.journal import lines as lines_module
from runtime.exam.journal import reader as reader_module
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.deliveries import Delivery
from runtime.exam.journal.reader import JournalReader
from runtime.exam.journal.secrets import Secrets
from runtime.views import Eye, View
from tests.runtime.exam.making import RULES, frame, infant, reading

READS: dict[str, Callable[[Journal, str], Any]] = {
    "exams": lambda journal, exam: journal.exams(),
    "summary": lambda journal, exam: journal.summary(exam),
    "exam": lambda journal, exam: journal.exam(exam),
    "events": lambda journal, exam: journal.events(exam),
    "events after": lambda journal, exam: journal.events_after(0, 100),
    "vessels": lambda journal, exam: journal.vessels(exam, 1),
    "pending": lambda journal, exam: journal.pending(),
    "infant": lambda journal, exam: journal.infant(exam),
    "light": lambda journal, exam: journal.light_of("H-1"),
    "light of all": lambda journal, exam: journal.exposures_after(0),
    "rejections": lambda journal, exam: journal.rejections(),
    "board": lambda journal, exam: journal.board_said("b"),
    "clock": lambda journal, exam: journal.clock_jumps(),
    "whole": lambda journal, exam: journal.check_whole(),
    "deliveries": lambda journal, exam: journal.deliveries.behind("archive"),
}


class Busy:
    """Signs somebody in, and changes the exam, whenever it is called."""

    def __init__(self, journal: Journal, exam: str) -> None:
        self._journal, self._exam, self.turns = journal, exam, 0

    def __call__(self, *_: object) -> None:
        self.turns += 1
        self._journal.note_person("signed in", "anna")
        does = self._journal.exclude if self.turns % 2 else self._journal.include
        does(self._exam, 1, reason="moved", operator="anna")


@pytest.fixture
def exam(journal: Journal) -> str:
    begun = journal.begin_exam(infant(), RULES, operator="anna", station="cart 1")
    shot = frame(1)
    number = journal.add_capture(begun, Eye.OD, View.DISC, shot, operator="anna")
    journal.add_reading(begun, number, reading(shot))
    journal.add_capture(begun, Eye.OD, View.TEMPORAL, frame(2), operator="anna")
    return begun


@pytest.mark.parametrize("name", READS)
def test_nothing_looks_damaged(journal: Journal, key: JournalKey, exam: str, name: str) -> None:
    busy = Busy(journal, exam)
    with Journal.open(journal.folder, key, read_only=True) as reader:
        reader.database.connection.set_trace_callback(busy)
        READS[name](reader, exam)
        READS[name](reader, exam)  # and with what it remembers of before
        reader.database.connection.set_trace_callback(None)
        assert busy.turns
        assert not reader.altered


def test_opening(journal: Journal, key: JournalKey, exam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, inner = Busy(journal, exam), JournalReader.lines

    def lines(reader: JournalReader) -> Any:
        reader.database.connection.set_trace_callback(busy)
        return inner(reader)

    monkeypatch.setattr(JournalReader, "lines", lines)
    with monkeypatch.context() as alone:
        alone.setattr(Busy, "__call__", _once(Busy.__call__))
        Journal.open(journal.folder, key, read_only=True).close()
    assert busy.turns


def _once(call: Callable[..., None]) -> Callable[..., None]:
    """Not within itself: the writer reads its own lines, too."""
    under_way: list[int] = []

    def guarded(self: Busy, *given: object) -> None:
        if not under_way:
            under_way.append(1)
            try:
                call(self, *given)
            finally:
                under_way.pop()

    return guarded


def undone(journal: Journal) -> None:
    """What it looks like within is seen by nobody afterwards."""
    with journal.database.writing() as connection:
        connection.execute("DELETE FROM exams")
        journal.exams()
        raise ZeroDivisionError


def test_all_lines_are_looked_at_once_for_as_long_as_nobody_writes(
    journal: Journal, key: JournalKey, exam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cart asks eight times for each picture, and each took longer the more exams it kept."""
    looked: list[int] = []
    look = lines_module.all_lines
    monkeypatch.setattr(reader_module, "all_lines", lambda *args: looked.append(1) or look(*args))  # type: ignore[func-returns-value]

    def looks(does: Callable[[], object] = lambda: None) -> int:
        does()
        looked.clear()
        assert [line.exam_id for line in journal.exams()] == [exam]
        assert journal.open_exam() is not None
        return len(looked)

    assert looks() <= 1
    assert looks() == 0
    assert looks(lambda: journal.note_person("signed in", "anna")) == 1
    with Journal.open(journal.folder, key) as other:
        assert looks(lambda: other.note_person("signed in", "bert")) == 1
    with pytest.raises(ZeroDivisionError):
        undone(journal)
    assert looks() == 1
    assert list(journal.altered) == []
    with closing(sqlite3.connect(journal.folder / "journal.sqlite3")) as thief:
        thief.execute("UPDATE exams SET sealed = x'00'")
        thief.commit()
    assert looks() == 1
    assert list(journal.altered) == [exam]


def test_of_all_lines_those_that_were_written_are_opened(
    journal: Journal, key: JournalKey, exam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture changes one line of thousands; with 5,000 exams kept a press waited for 0.6 s."""
    opened: list[str] = []
    opens = Secrets.open_json

    def counted(secrets: Secrets, kind: str, name: str, sealed: bytes) -> Any:
        if kind in ("line", "delivery"):
            opened.append(f"{kind} {name}")
        return opens(secrets, kind, name, sealed)

    def looks(does: Callable[[], object]) -> list[str]:
        does()
        opened.clear()
        told = [[line.exam_id for line in journal.exams()], [one.exam_id for one in journal.deliveries.all()]]
        assert told == [[second, exam], [exam, second]]
        return sorted(opened)

    journal.close_exam(exam, operator="anna")
    second = journal.begin_exam(infant(), RULES, operator="anna", station="cart 1")
    for revision, one in enumerate((exam, second)):
        waiting = Delivery(one, "archive", revision, "waiting")
        journal.deliveries.change(one, "archive", lambda _, waiting=waiting: waiting)  # type: ignore[misc]
    monkeypatch.setattr(Secrets, "open_json", counted)
    looks(lambda: None)
    assert looks(lambda: journal.note_person("signed in", "anna")) == []
    assert looks(lambda: journal.exclude(exam, 1, reason="moved", operator="anna")) == [f"line {exam}"]
    with Journal.open(journal.folder, key) as other:
        change = Delivery(second, "archive", 1, "done")
        assert looks(lambda: other.deliveries.change(second, "archive", lambda _: change)) == [
            f"delivery {second} archive"
        ]
    assert [one.state for one in journal.deliveries.all()] == ["waiting", "done"]


def test_a_line_that_was_put_back_as_it_was_once_is_told(journal: Journal, exam: str) -> None:
    """It was opened before, and tells what it told then: of fewer events than there are."""
    with closing(sqlite3.connect(journal.folder / "journal.sqlite3")) as thief:
        journal.exams()
        (old,) = thief.execute("SELECT * FROM exams").fetchall()
        journal.exclude(exam, 1, reason="moved", operator="anna")
        now = journal.exams()
        thief.execute(f"INSERT OR REPLACE INTO exams VALUES ({', '.join('?' * len(old))})", old)
        thief.commit()
    assert journal.exams() == now
    assert list(journal.altered) == [exam]
