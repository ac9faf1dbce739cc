"""What an exam can say since version 4 of the journal, from the call to the trail and back."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from runtime.exam.describe import exam_lines, summary_line
from runtime.exam.errors import ExamRefused, JournalDamaged, WrongThread
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, DeliveryInstance, Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.deliveries import DONE
from runtime.exam.journal.records import RejectedInstance
from runtime.exam.journal.verify import verify
from runtime.exam.machine import Phase, StopReason
from runtime.exam.order import Order
from runtime.exam.result import Conclusion, awaits_second, place_awaits_second
from runtime.outcome import (
    CHANGED_ALONE,
    EXCLUDED_ALONE,
    INCLUDED_ALONE,
    NOT_GRADABLE,
    VOIDED,
    VOIDED_ALONE,
    Outcome,
)
from runtime.views import Eye, View
from tests.runtime.exam.making import NONE, NRF, PLACES, REFER, RETAKE, RULES, frame, infant, journal_exam, reading

WHY: dict[str, Any] = {"reason": "of the twin", "operator": "anna"}


def alter(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as connection, connection:
        connection.execute(sql)
    connection.close()


def delivered(exam_id: str, revision: int, typed: int = 0) -> Callable[[Delivery | None], Delivery]:
    instance = DeliveryInstance("1.2.3", "1.2", "image", "proven")
    return lambda _: Delivery(exam_id, "archive", revision, DONE, instances=(instance,), typed=typed)


def sound(journal: Journal) -> bool:
    return verify(journal).findings == ()


def test_an_excluded_frame_does_not_count_and_stays_in_the_record(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER, *[NRF] * 9, NRF])
    assert journal.exam(exam_id).result.infant.outcome is REFER
    journal.exclude(exam_id, 1, **WHY)
    record = journal.exam(exam_id)
    assert record.result.infant == Conclusion(REFER, EXCLUDED_ALONE, "OD disc-centred")
    assert record.captures[0].excluded == "of the twin"
    assert record.captures[0].outcome is NONE
    assert record.result.warnings == ("frame 1, OD disc-centred: read as REFER, excluded by a person",)
    assert record.changes[0].what == "capture 1 (OD disc-centred) excluded"
    for same in ("anna", " Anna", "ANNA\u3000"):
        with pytest.raises(ExamRefused, match="excluded already, by the same person"):
            journal.exclude(exam_id, 1, **(WHY | {"operator": same}))
    journal.exclude(exam_id, 1, reason="seen: the twin's", operator="ben")
    record = journal.exam(exam_id)
    assert record.result.infant.outcome is NRF
    assert record.result.warnings == ("frame 1, OD disc-centred: read as REFER, excluded by a person",)
    assert record.changes[1].what == "capture 1 (OD disc-centred) excluded by a second person, too"
    with pytest.raises(ExamRefused, match=r"excluded already$"):
        journal.exclude(exam_id, 1, reason="seen", operator="cleo")
    journal.include(exam_id, 1, **WHY)
    assert journal.exam(exam_id).result.infant.outcome is REFER
    assert sound(journal)


def test_a_second_person_looks_at_a_frame_that_was_read(journal: Journal) -> None:
    exam_id = journal_exam(journal, close=False)
    shot = frame(77)
    number = journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna")
    journal.exclude(exam_id, number, **WHY)
    with pytest.raises(ExamRefused, match="once its reading is finished"):
        journal.exclude(exam_id, number, reason="of the twin", operator="ben")
    journal.add_reading(exam_id, number, reading(shot, REFER))
    assert journal.exam(exam_id).result.infant.outcome is REFER
    journal.exclude(exam_id, number, reason="of the twin", operator="ben")
    assert journal.exam(exam_id).result.infant.outcome is NRF


def test_the_only_frame_of_a_view_excluded_leaves_it_to_be_taken(journal: Journal) -> None:
    exam_id = journal_exam(journal)
    journal.exclude(exam_id, 3, **WHY)
    assert journal.exam(exam_id).result.infant.outcome is NONE


@pytest.mark.parametrize("change", ["exclude", "include", "confirm_view"])
def test_a_change_of_a_frame_needs_a_reason(journal: Journal, change: str) -> None:
    exam_id = journal_exam(journal)
    before = journal.exam(exam_id)
    with pytest.raises(ExamRefused):
        getattr(journal, change)(exam_id, 1, reason="  ", operator="anna")
    assert journal.exam(exam_id) == before


@pytest.mark.parametrize("why", StopReason)
@pytest.mark.parametrize("outcomes", [[NRF] * 10, [NRF] * 4, []])
def test_a_stopped_exam_never_says_no_referral_findings(
    journal: Journal, why: StopReason, outcomes: list[Outcome]
) -> None:
    exam_id = journal_exam(journal, outcomes, close=False)
    record = journal.stop_exam(exam_id, why, note="apnoea", operator="anna")
    verdicts = [record.result.infant, *record.result.eyes.values(), *record.result.views.values()]
    assert all(verdict.outcome is not NRF for verdict in verdicts)
    assert "stopped early" in record.result.infant.banner
    assert record.summary.phase is Phase.CLOSED
    assert record.summary.closed_at is not None
    assert record.changes[-1].reason == "apnoea"
    assert sound(journal)


def test_a_stopped_exam_still_refers(journal: Journal) -> None:
    exam_id = journal_exam(journal, [NRF, REFER], close=False)
    assert journal.stop_exam(exam_id, StopReason.UNSTABLE, operator="anna").result.infant.outcome is REFER


@pytest.mark.parametrize("closed", [True, False])
def test_a_voided_exam_says_nothing_and_cannot_be_changed(journal: Journal, closed: bool) -> None:
    exam_id = journal_exam(journal, [REFER, *[NRF] * 9], close=closed)
    journal.void_exam(exam_id, reason="of the twin", operator="ben")
    record = journal.void_exam(exam_id, **WHY)
    verdicts = [record.result.infant, *record.result.eyes.values(), *record.result.views.values()]
    assert {verdict.outcome for verdict in verdicts} == {NONE}
    assert {capture.outcome for capture in record.captures} == {NONE}
    assert record.result.warnings[0].startswith("frame 1, OD disc-centred: read as REFER")
    for change in (journal.exclude, journal.include, journal.confirm_view):
        with pytest.raises(ExamRefused, match="voided"):
            change(exam_id, 1, **WHY)
    with pytest.raises(ExamRefused, match="voided already"):
        journal.void_exam(exam_id, **WHY)
    assert journal.open_exam() is None
    assert sound(journal)


def test_one_person_alone_voids_no_exam_that_refers(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER, *[NRF] * 9], close=False)
    journal.deliveries.change(exam_id, "archive", delivered(exam_id, journal.summary(exam_id).changed_seq))
    record = journal.void_exam(exam_id, **WHY)
    assert record.result.infant == Conclusion(REFER, VOIDED_ALONE, "OD disc-centred")
    assert (record.summary.phase, record.summary.outcome) == (Phase.CLOSED, REFER)
    assert record.result.eyes[Eye.OS] == record.result.views[Eye.OD, View.NASAL] == Conclusion(NONE, VOIDED)
    assert record.result.views[Eye.OD, View.DISC].reason == "as told: REFER"
    assert journal.open_exam() is None
    assert journal.deliveries.to_reject("archive") == []
    assert [one for one, _ in journal.deliveries.behind("archive")] == [record.summary.changed_seq]
    with pytest.raises(ExamRefused, match="voided already, by the same person; a second one has to look at it"):
        journal.void_exam(exam_id, reason="again", operator="ANNA ")
    assert sound(journal)
    after = journal.void_exam(exam_id, reason="of the twin", operator="ben")
    assert (after.summary.phase, after.result.infant) == (Phase.VOIDED, Conclusion(NONE, VOIDED))
    assert [change.what for change in after.changes] == ["exam voided", "exam voided by a second person, too"]
    assert [exam for _, exam in journal.deliveries.to_reject("archive")] == [exam_id]
    with pytest.raises(ExamRefused, match=r"voided already$"):
        journal.void_exam(exam_id, reason="again", operator="carl")
    assert sound(journal)


def test_an_exam_that_was_voided_while_a_frame_waited_refers_once_that_is_read(journal: Journal) -> None:
    exam_id = journal_exam(journal, [NRF] * 9, close=False)
    journal.add_capture(exam_id, *PLACES[9], frame(9), operator="anna")
    assert journal.void_exam(exam_id, **WHY).summary.phase is Phase.VOIDED
    journal.add_reading(exam_id, 10, reading(frame(9), REFER))
    record = journal.exam(exam_id)
    assert (record.summary.phase, record.result.infant.reason) == (Phase.CLOSED, VOIDED_ALONE)
    assert sound(journal)
    for who in ("ben", "carl"):  # nothing refers once two took the frame out, and one voided the rest
        assert journal.summary(exam_id).phase is Phase.CLOSED
        journal.exclude(exam_id, 10, reason="of the twin", operator=who)
    assert journal.summary(exam_id).phase is Phase.VOIDED
    assert sound(journal)


def test_a_frame_that_two_took_out_counts_again_once_two_say_so(journal: Journal) -> None:
    exam_id = journal_exam(journal, [*[NRF] * 10, *[RETAKE, *[NRF] * 9] * 4])
    for who in ("anna", "ben"):
        journal.exclude(exam_id, 1, reason="of the twin", operator=who)
    assert journal.exam(exam_id).result.infant.reason == NOT_GRADABLE
    journal.include(exam_id, 1, reason="it is hers", operator="anna")
    with pytest.raises(ExamRefused, match="by the same person; a second one has to look at it"):
        journal.include(exam_id, 1, reason="it is hers", operator="anna")
    record = journal.exam(exam_id)
    assert (record.result.infant.outcome, record.result.infant.reason) == (REFER, INCLUDED_ALONE)
    assert sound(journal)
    journal.include(exam_id, 1, reason="it is hers", operator="ben")
    record = journal.exam(exam_id)
    assert record.result.infant.outcome is NRF
    said = [
        "capture 1 (OD disc-centred) included again",
        "capture 1 (OD disc-centred) included again by a second person",
    ]
    assert [change.what for change in record.changes][-2:] == [said[0], f"{said[1]}, too"]
    assert sound(journal)


def test_an_exam_of_before_is_voided_by_one(journal: Journal) -> None:
    rules = dataclasses.replace(RULES, refer_changers=1)
    exam_id = journal_exam(journal, [REFER, *[NRF] * 9], rules=rules)
    assert journal.void_exam(exam_id, **WHY).summary.phase is Phase.VOIDED
    assert sound(journal)


@pytest.mark.parametrize("act", ["exclude", "relabel"])
def test_one_person_alone_takes_out_no_frame_that_was_not_read(journal: Journal, act: str) -> None:
    """Whatever it shows: the good picture before it does not stand for the view meanwhile."""
    exam_id = journal_exam(journal, [NRF] * 10, close=False)
    number = journal.add_capture(exam_id, *PLACES[0], frame(10), operator="anna")
    later = journal.add_capture(exam_id, *PLACES[1], frame(11), operator="anna")
    journal.add_reading(exam_id, later, reading(frame(11), NRF))

    def said(who: str) -> Conclusion:
        if act == "exclude":
            journal.exclude(exam_id, number, reason="of the twin", operator=who)
        else:
            journal.relabel(exam_id, number, *PLACES[1], reason="as I remember", operator=who)
        return journal.exam(exam_id).result.infant

    why = EXCLUDED_ALONE if act == "exclude" else CHANGED_ALONE
    assert said("anna") == Conclusion(NONE, why, "OD disc-centred")
    assert journal.close_exam(exam_id, operator="anna").result.infant == Conclusion(NONE, why, "OD disc-centred")
    journal.add_reading(exam_id, number, reading(frame(10), NONE))  # late, say
    record = journal.exam(exam_id)
    assert record.result.infant.outcome is NONE
    waiting = awaits_second if act == "exclude" else place_awaits_second
    assert [one.number for one in record.exam.captures if waiting(record.exam, one)] == [number]
    assert said("ben").outcome is NRF
    assert sound(journal)


def test_a_good_picture_taken_after_it_makes_up_for_one_that_was_excluded_unread(journal: Journal) -> None:
    exam_id = journal_exam(journal, [NRF, NONE, *[NRF] * 8], close=False)
    number = journal.add_capture(exam_id, *PLACES[0], frame(10), operator="anna")
    journal.exclude(exam_id, number, **WHY)
    for place, shot in ((PLACES[0], frame(12)), (PLACES[1], frame(13))):
        assert journal.exam(exam_id).result.infant.outcome is NONE
        taken = journal.add_capture(exam_id, *place, shot, operator="anna")
        journal.add_reading(exam_id, taken, reading(shot, NRF))
    assert journal.exam(exam_id).result.infant.outcome is NRF


def test_a_voided_exam_is_to_be_rejected_only_where_something_of_it_was_sent(journal: Journal) -> None:
    sent, never = journal_exam(journal), journal_exam(journal)
    journal.deliveries.change(sent, "archive", delivered(sent, journal.summary(sent).changed_seq))
    for exam_id in (sent, never):
        journal.void_exam(exam_id, **WHY)
    revision = journal.summary(sent).changed_seq
    assert journal.deliveries.to_reject("archive") == [(revision, sent)]
    assert journal.deliveries.behind("archive") == []
    journal.rejected_in_archive(sent, "archive", [RejectedInstance("1.2.3", "1.2")], reason="of the twin")
    journal.deliveries.change(sent, "archive", delivered(sent, revision))
    assert journal.deliveries.to_reject("archive") == []
    assert journal.summary(sent).changed_seq == revision  # nothing is to be sent for it
    (found,) = journal.rejections(sent)
    assert (found.destination, found.instances[0].uid, found.reason) == ("archive", "1.2.3", "of the twin")
    for exam_id in (sent, never):
        journal.retire_exam(exam_id, operator="anna")
    assert journal.rejections(sent) == [found]
    assert sound(journal)


def test_infant_and_order_are_corrected_in_one_step(journal: Journal) -> None:
    exam_id = journal_exam(journal)
    before = journal.summary(exam_id).changed_seq
    journal.amend(exam_id, infant=infant(infant_id="H-2"), order=Order(accession="A2"), **WHY)
    assert (journal.infant(exam_id).infant_id, journal.order(exam_id).accession) == ("H-2", "A2")
    assert journal.summary(exam_id).changed_seq == before + 1
    assert journal.exam(exam_id).changes[0].what == "infant's fields and order corrected"
    with pytest.raises(ExamRefused, match="nothing to correct"):
        journal.amend(exam_id, **WHY)


@pytest.mark.parametrize("typed", ["documented", "relabelled", "excluded", "amended"])
def test_what_a_person_typed_is_not_removed_before_an_archive_has_it(journal: Journal, typed: str) -> None:
    exam_id = journal_exam(journal)
    if typed == "documented":
        journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician="eva")
    elif typed == "relabelled":
        journal.relabel(exam_id, 1, Eye.OD, View.NASAL, **WHY)
    elif typed == "excluded":
        journal.exclude(exam_id, 1, **WHY)
    else:
        journal.amend(exam_id, infant=infant(infant_id="H-2"), **WHY)
    with pytest.raises(ExamRefused, match="no archive has them"):
        journal.retire_exam(exam_id, operator="anna")
    revision = journal.summary(exam_id).changed_seq
    journal.deliveries.change(exam_id, "archive", delivered(exam_id, revision))  # by software that leaves them out
    with pytest.raises(ExamRefused, match="not proven in archive"):
        journal.retire_exam(exam_id, operator="anna")
    journal.deliveries.change(exam_id, "archive", delivered(exam_id, revision, journal.summary(exam_id).typed_seq))
    journal.retire_exam(exam_id, operator="anna")
    assert sound(journal)


def test_what_a_person_typed_may_go_when_a_person_says_so(journal: Journal) -> None:
    exam_id = journal_exam(journal)
    journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician="eva")
    journal.retire_exam(exam_id, operator="anna", discard_typed=True)
    assert journal.summary(exam_id).phase is Phase.RETIRED


def test_a_documented_voided_exam_is_not_removed_unseen(journal: Journal) -> None:
    exam_id = journal_exam(journal)
    journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician="eva")
    journal.void_exam(exam_id, **WHY)
    with pytest.raises(ExamRefused, match="no archive has them"):
        journal.retire_exam(exam_id, operator="anna")


ALTERED = {
    "phase": "UPDATE exams SET phase = 'closef'",
    "voided": "UPDATE exams SET phase = 'voided'",
    "pending": "UPDATE exams SET pending = 1",
    "revision": "UPDATE exams SET changed_seq = 1",
    "order": "UPDATE exams SET opened_seq = 99",
    "another's": "UPDATE exams SET sealed = (SELECT sealed FROM exams e WHERE e.exam != exams.exam)",
    "id": "UPDATE exams SET exam = '20261122-XXXXXXXX'",
    "bytes": "UPDATE exams SET sealed = x'ff00'",
    "text": "UPDATE exams SET sealed = 'NO_REFERRAL_FINDINGS'",
    "gone": "DELETE FROM exams",
}


@pytest.mark.parametrize("sql", ALTERED.values(), ids=ALTERED.keys())
def test_an_altered_line_is_shown_and_made_again_as_the_trail_tells_it(journal: Journal, sql: str) -> None:
    altered, other = journal_exam(journal, [REFER]), journal_exam(journal)
    expected = journal.exams()
    alter(journal.folder, f"{sql} WHERE exam = '{altered}'")
    assert journal.exams() == expected
    assert journal.altered[0] == altered
    assert journal.summary(altered).outcome is REFER
    assert journal.exam(other).summary == expected[0]
    assert [exam for _, exam in journal.deliveries.behind("archive")] == [altered, other]
    assert not sound(journal)
    assert altered in journal.mend()[0]
    assert sound(journal)
    assert journal.mend() == ()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sealed", "'[{'"),
        ("sealed", "x'00'"),
        ("sealed", "substr(sealed, 1, length(sealed) - 1)"),
        ("exam", "'y'"),
        ("sealed", "(SELECT sealed FROM deliveries d WHERE d.exam != deliveries.exam)"),
        ("destination", "'x'"),
    ],
)
def test_an_altered_delivery_is_named_and_sent_anew_and_the_others_go_on(
    journal: Journal, column: str, value: str
) -> None:
    altered, other = journal_exam(journal), journal_exam(journal)
    for exam_id in (altered, other):
        journal.deliveries.change(exam_id, "archive", delivered(exam_id, journal.summary(exam_id).changed_seq))
    alter(journal.folder, f"UPDATE deliveries SET {column} = {value} WHERE exam = '{altered}'")
    assert journal.deliveries.altered() == ["y" if column == "exam" else altered]
    assert [delivery.exam_id for delivery in journal.deliveries.all()] == [other]
    assert [exam for _, exam in journal.deliveries.behind("archive")] == [altered]
    assert "its row was altered" in journal.mend()[0]
    assert sound(journal)


def test_a_reading_that_was_altered_in_the_trail_is_not_shown(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER])
    alter(journal.folder, "UPDATE events SET body = replace(body, substr(body, 30, 1), 'x') WHERE kind = 'read'")
    with Journal.open(journal.folder, journal.key) as again, pytest.raises(JournalDamaged, match="altered"):
        again.exam(exam_id)


@pytest.mark.parametrize(
    "left", [("journal.head",), ("journal.keys",), ("images",), ("journal.head", "journal.keys", "images")]
)
@pytest.mark.parametrize("file", ["without its log", "not at all"])
def test_no_journal_is_begun_where_all_of_one_is_in_a_log_that_is_missing(
    left: tuple[str, ...], file: str, journal: Journal, key: JournalKey, tmp_path: Path
) -> None:
    """A young journal's file is empty for as long as SQLite keeps the events in its log; a new one read as sound."""
    exam_id = journal_exam(journal, [REFER], close=False)
    part, whole = tmp_path / "part", tmp_path / "whole"
    shutil.copytree(journal.folder, whole)
    part.mkdir()
    for name in (*left, *(["journal.sqlite3"] if file == "without its log" else [])):
        (shutil.copytree if (whole / name).is_dir() else shutil.copy)(whole / name, part / name)
    for _ in range(2):
        with pytest.raises(JournalDamaged, match=r"is empty beside its .*copied without its log"):
            Journal.open(part, key, create=True)
        with pytest.raises(JournalDamaged, match="is empty beside its"):
            Journal.open(part, key, read_only=True)
    with Journal.open(whole, key) as copied:
        assert copied.summary(exam_id).outcome is REFER


def test_a_database_copied_without_its_log_is_not_sound(journal: Journal, key: JournalKey, tmp_path: Path) -> None:
    journal_exam(journal, [NRF])
    journal.database.checkpoint()
    exam_id = journal_exam(journal, [REFER], close=False)  # only in the log
    whole, part, bare = tmp_path / "whole", tmp_path / "part", tmp_path / "bare"
    shutil.copytree(journal.folder, whole)
    shutil.copytree(journal.folder, part, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    shutil.copytree(part, bare, ignore=shutil.ignore_patterns("journal.head"))
    with Journal.open(whole, key, read_only=True, check=False) as copied:
        assert sound(copied)
        assert copied.summary(exam_id).outcome is REFER
    for folder in (part, bare):
        with Journal.open(folder, key, read_only=True, check=False) as copied:
            assert any("journal.head" in str(finding) for finding in verify(copied).findings)
    with pytest.raises(JournalDamaged, match="copied without its log"):
        Journal.open(part, key)
    (part / "journal.head").unlink()  # a person says to go on: it is in the trail
    with Journal.open(part, key) as copied:
        kinds = [kind for (kind,) in copied.database.rows("SELECT kind FROM events ORDER BY seq")]
        assert kinds[-1] == "witness missing"


def test_a_journal_called_from_another_thread_says_so(journal: Journal) -> None:
    journal_exam(journal)
    said: list[BaseException] = []

    def call(what: Callable[[], object]) -> None:
        try:
            what()
        except WrongThread as error:
            said.append(error)

    calls: list[Callable[[], object]] = [
        journal.exams, journal.mend, journal.close, lambda: journal.journal_id, lambda: verify(journal),
        lambda: journal.begin_exam(infant(), RULES, operator="anna"), lambda: journal.deliveries.behind("archive"),
    ]  # fmt: skip
    threads = [threading.Thread(target=call, args=(one,), name="desk") for one in calls]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(said) == len(calls)
    assert all("'MainThread'" in str(error) and "'desk'" in str(error) for error in said)
    assert sound(journal)


def test_exams_are_in_the_order_of_their_events_whatever_the_clock_says(tmp_path: Path, key: JournalKey) -> None:
    now = [datetime(2026, 11, 22, 12, tzinfo=timezone.utc)]
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0, clock=lambda: now[0]) as journal:
        born = infant(born_at=now[0] - timedelta(days=40))
        made = []
        for hours in (0, -5, +3, -2):
            now[0] += timedelta(hours=hours)
            made.append(journal.begin_exam(born, RULES, operator="anna"))
            journal.close_exam(made[-1], operator="anna")
        assert [summary.exam_id for summary in journal.exams()] == made[::-1]


def test_an_exam_has_one_offset_fixed_when_it_was_opened(
    tmp_path: Path, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    born = infant(born_at=datetime(2026, 9, 30, tzinfo=timezone.utc))
    now = [datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc)]  # summer time ends half an hour later
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0, clock=lambda: now[0]) as journal:
            exam_id = journal.begin_exam(born, RULES, operator="anna")
            now[0] += timedelta(hours=2)
            shot = frame(1)
            journal.add_reading(
                exam_id, journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna"), reading(shot)
            )
            journal.close_exam(exam_id, operator="anna")
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        with Journal.open(tmp_path / "j", key, read_only=True) as journal:
            summary = journal.summary(exam_id)
            assert summary.closed_at is not None
            assert summary.local(summary.opened_at).isoformat() == "2026-10-25T02:30:00+02:00"
            assert summary.local(summary.closed_at).isoformat() == "2026-10-25T04:30:00+02:00"
            assert "2026-10-25 02:30" in summary_line(summary, None)
            assert "2026-10-25 02:30 (UTC+0200)" in "\n".join(exam_lines(journal.exam(exam_id)))
            assert sound(journal)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\u3000", "^", "\x1b[2J", "a\nb", "\udcff", "a\u202eb"])
def test_nobody_and_no_name_of_controls_is_kept(journal: Journal, name: str) -> None:
    exam_id = journal_exam(journal)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: journal.exclude(exam_id, 1, reason="of the twin", operator=name),
        lambda: journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician=name),
        lambda: journal.note_person("signed in", name),
    )
    for does in attempts:
        with pytest.raises(ExamRefused, match="operator"):
            does()
    journal.exclude(exam_id, 1, reason="of the twin", operator="Žofia O\u2019Neil")


@pytest.mark.parametrize("reason", ["", " ", "\u200b", "\u3000\u00ad", "\u2060"])
def test_a_reason_can_be_read(journal: Journal, reason: str) -> None:
    exam_id = journal_exam(journal)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: journal.exclude(exam_id, 1, reason=reason, operator="anna"),
        lambda: journal.amend(exam_id, infant=infant(), reason=reason, operator="anna"),
        lambda: journal.void_exam(exam_id, reason=reason, operator="anna"),
    )
    for does in attempts:
        with pytest.raises(ExamRefused, match="reason"):
            does()
    assert journal.exam(exam_id).changes == ()
