from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from runtime.exam.errors import ExamRefused
from runtime.exam.infant import now_utc
from runtime.exam.journal import Delivery, Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.retention import due_for_retirement
from runtime.exam.journal.verify import verify
from runtime.exam.machine import Phase
from runtime.views import Eye, View
from tests.runtime.exam.making import NRF, REFER, RULES, frame, infant, journal_exam, reading


def test_a_retired_exam_leaves_its_line_and_its_trail(journal: Journal) -> None:
    gone, stays = journal_exam(journal, [NRF, REFER]), journal_exam(journal, [NRF])
    before = journal.summary(gone)
    journal.retire_exam(gone, operator="anna")
    after = journal.summary(gone)
    assert after.phase is Phase.RETIRED
    assert (after.outcome, after.captures, after.opened_at) == (before.outcome, 2, before.opened_at)
    assert len(list((journal.folder / "images").rglob("*.sealed"))) == 1
    assert journal.vessels(gone, 1) is None
    for read in (journal.exam, journal.infant, lambda e: journal.retire_exam(e, operator="anna")):
        with pytest.raises(ExamRefused, match="it is retired; only its line in the list and its trail remain"):
            read(gone)
    assert journal.exam(stays).captures[0].image_sha256
    assert verify(journal).findings == ()


def test_what_was_retired_is_nowhere_in_the_files(journal: Journal) -> None:
    gone = journal_exam(journal, [NRF])
    ((body,),) = journal.database.rows("SELECT body FROM events WHERE kind = 'opened'")
    secret = body[:40]
    files = [path for path in journal.folder.glob("journal.sqlite3*") if not path.name.endswith("-shm")]
    assert any(secret in path.read_bytes() for path in files)
    journal.retire_exam(gone, operator="anna")
    journal.close()
    for path in journal.folder.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes()


def test_what_is_not_finished_stays(journal: Journal) -> None:
    exam_id = journal.begin_exam(infant(), RULES, operator="anna")
    with pytest.raises(ExamRefused, match="not finished"):
        journal.retire_exam(exam_id, operator="anna")
    journal.add_capture(exam_id, Eye.OD, View.DISC, frame(1), operator="anna")
    journal.close_exam(exam_id, operator="anna")
    with pytest.raises(ExamRefused, match="not finished"):
        journal.retire_exam(exam_id, operator="anna")


def deliver(journal: Journal, exam_id: str, state: str, revision: int | None = None, to: str = "archive") -> None:
    revision = journal.summary(exam_id).changed_seq if revision is None else revision
    typed = journal.summary(exam_id).typed_seq
    journal.deliveries.change(exam_id, to, lambda _: Delivery(exam_id, to, revision, state, typed=typed))


def test_what_has_not_arrived_as_it_is_now_stays(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER])

    def refused(*destinations: str) -> None:
        with pytest.raises(ExamRefused, match=r"has not reached archive as it is now; send it first"):
            journal.retire_exam(exam_id, operator="anna", destinations=destinations)

    refused("archive")  # no sender ever took it up
    deliver(journal, exam_id, "waiting")
    refused()
    deliver(journal, exam_id, "done")
    journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong eye", operator="anna")
    refused()  # the archive has it, but as it was before
    deliver(journal, exam_id, "done")
    with pytest.raises(ExamRefused, match="has not reached second as it is now"):
        journal.retire_exam(exam_id, operator="anna", destinations=["second"])
    journal.retire_exam(exam_id, operator="anna", destinations=["archive"])
    assert verify(journal).findings == ()


def test_a_destination_that_was_ever_used_counts_for_every_exam(journal: Journal) -> None:
    sent, unseen = journal_exam(journal, [REFER]), journal_exam(journal, [REFER])
    deliver(journal, sent, "done")
    with pytest.raises(ExamRefused, match="has not reached archive"):
        journal.retire_exam(unseen, operator="anna")
    journal.retire_exam(sent, operator="anna")
    with pytest.raises(ExamRefused, match="has not reached archive"):
        journal.retire_exam(unseen, operator="anna")


def test_a_crash_after_retiring_leaves_no_image(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = journal_exam(journal, [NRF])
    with monkeypatch.context() as patch:
        patch.setattr(journal.images, "discard", lambda *_: None)
        journal.retire_exam(exam_id, operator="anna")
    assert len(list((journal.folder / "images").rglob("*.sealed"))) == 1
    journal.close()
    with Journal.open(journal.folder, key) as again:
        assert list((journal.folder / "images").rglob("*.sealed")) == []
        assert verify(again).findings == ()


def test_only_what_is_old_enough_is_due_and_the_clock_must_be_believed(journal: Journal, tmp_path: Path) -> None:
    exam_id, now = journal_exam(journal, [NRF]), now_utc()
    assert due_for_retirement(journal, timedelta(days=30), now) == []
    assert due_for_retirement(journal, timedelta(days=30), now + timedelta(days=31)) == [exam_id]
    for wrong in (now - timedelta(days=1), now + timedelta(days=3650)):
        with pytest.raises(ExamRefused, match="check the clock"):
            due_for_retirement(journal, timedelta(days=30), wrong)
    assert due_for_retirement(journal, timedelta(days=30), now + timedelta(days=3650), trust_clock=True) == [exam_id]


def test_a_picture_that_another_exam_names_stays(journal: Journal) -> None:
    ids = []
    for _ in range(2):
        exam_id = journal.begin_exam(infant(), RULES, operator="anna")
        shot = frame(7)
        number = journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna")
        journal.add_reading(exam_id, number, reading(shot))
        journal.close_exam(exam_id, operator="anna")
        ids.append(exam_id)
    journal.retire_exam(ids[0], operator="anna")
    sha256 = journal.exam(ids[1]).captures[0].image_sha256
    assert sha256 is not None
    assert np.array_equal(journal.image(sha256), frame(7).pixels)
    assert verify(journal).findings == ()


def test_images_that_depart_are_on_record_before_their_rows_go(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id, seen = journal_exam(journal, [NRF]), []
    real = os.fsync

    def flush(number: int) -> None:
        seen.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        real(number)

    monkeypatch.setattr(os, "fsync", flush)
    journal.database.connection.set_trace_callback(lambda sql: seen.append(sql.split()[0]))
    journal.retire_exam(exam_id, operator="anna")
    journal.database.connection.set_trace_callback(None)
    assert seen.index("incoming") < seen.index("DELETE")


@pytest.mark.parametrize("whole", [True, False])
def test_a_clock_that_was_wrong_at_the_closing_makes_no_exam_old(tmp_path: Path, key: JournalKey, whole: bool) -> None:
    """Set back for a while, for a whole exam or only its closing: what was taken today is not 50 days old."""
    now = now_utc()
    clock = [now]
    with Journal.open(tmp_path / "j", key, create=True, clock=lambda: clock[0]) as journal:
        journal_exam(journal, [NRF])
        if whole:
            clock[0] = now - timedelta(days=50)
        young = journal.begin_exam(infant(born_at=now - timedelta(days=80)), RULES, operator="anna")
        clock[0] = now - timedelta(days=50)
        journal.close_exam(young, operator="anna")
        clock[0] = now
        journal_exam(journal, [NRF])
        assert due_for_retirement(journal, timedelta(days=30), now) == []
        assert young in due_for_retirement(journal, timedelta(days=30), now + timedelta(days=31))
