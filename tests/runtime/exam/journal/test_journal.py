from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.exam.errors import (
    ExamRefused,
    InfantInvalid,
    JournalError,
    JournalFull,
    JournalUnwritable,
    KeyUnusable,
)
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Journal, lines
from runtime.exam.journal.crypt import JournalKey, find_key, write_new_key
from runtime.exam.journal.verify import verify
from runtime.exam.machine import Phase
from runtime.exam.order import Order
from runtime.reading import Timings
from runtime.views import Eye, View
from tests.runtime.exam.making import NONE, NRF, REFER, RULES, frame, infant, journal_exam, reading

DISC = (Eye.OD, View.DISC)


def begin(journal: Journal, **changes: object) -> str:
    return journal.begin_exam(infant(**changes), RULES, operator="anna", station="cart 1")


def test_an_exam_comes_back_as_it_was(journal: Journal, key: JournalKey) -> None:
    who = infant(name="王^小明")
    exam_id = journal.begin_exam(who, RULES, operator="anna", station="cart 1")
    shot = frame(3)
    number = journal.add_capture(exam_id, *DISC, shot, operator="anna")
    made = reading(shot, REFER)
    journal.add_reading(exam_id, number, made)
    closed = journal.close_exam(exam_id, operator="anna")
    journal.close()
    with Journal.open(journal.folder, key) as again:
        record = again.exam(exam_id)
        assert record == closed
        assert again.infant(exam_id) == who
        assert record.rules == RULES
        capture = record.captures[0]
        assert (capture.eye, capture.view, capture.outcome) == (*DISC, REFER)
        assert capture.reading == made.to_dict()
        assert (capture.source, capture.sequence, capture.captured_at) == (shot.source, 3, shot.captured_at)
        assert capture.image_sha256 is not None
        pixels = again.image(capture.image_sha256)
        assert np.array_equal(pixels, shot.pixels)
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == shot.sha256 == capture.frame_sha256
        vessels = again.vessels(exam_id, 1)
        assert vessels is not None
        assert np.array_equal(vessels, np.full((256, 256), 7))
        assert (record.summary.phase, record.summary.operator, record.summary.station) == (
            Phase.CLOSED,
            "anna",
            "cart 1",
        )
        assert again.exams() == [record.summary]


def test_two_exams_cannot_be_open_at_once(journal: Journal) -> None:
    first = begin(journal)
    with pytest.raises(ExamRefused, match=f"exam {first} is still open; close it first"):
        begin(journal)
    journal.close_exam(first, operator="anna")
    begin(journal)


def test_nothing_of_the_patient_can_be_read_in_the_files(journal: Journal) -> None:
    exam_id = begin(journal, name="Verysecret^Name", infant_id="ID-4711")
    journal.amend_infant(
        exam_id, infant(name="Othersecret^Name", infant_id="ID-4712"), reason="typing error", operator="anna"
    )
    journal.close_exam(exam_id, operator="anna")
    journal.close()
    content = b"".join(path.read_bytes() for path in journal.folder.rglob("*") if path.is_file())
    for secret in (b"ecret", b"ID-471", b"27w3d"):
        assert secret not in content
    assert (journal.folder / "journal.sqlite3").stat().st_mode & 0o77 == 0


def test_a_missing_or_wrong_key(journal: Journal, tmp_path: Path) -> None:
    exam_id = journal_exam(journal, [REFER])
    with pytest.raises(KeyUnusable, match="this key is another journal's"):
        Journal.open(journal.folder, JournalKey.new())
    with Journal.open(journal.folder) as without:
        for read in (without.exams, without.deliveries.all, lambda: without.infant(exam_id)):
            with pytest.raises(KeyUnusable, match="encrypted, and there is no key; name its file with --key-file"):
                read()
        with pytest.raises(KeyUnusable, match="writing to it needs its key"):
            begin(without)
    with pytest.raises(KeyUnusable, match="a new journal needs a key"):
        Journal.open(tmp_path / "other", create=True)
    assert not (tmp_path / "other").exists()


def test_a_reading_belongs_to_its_exam_also_after_the_next_was_opened(journal: Journal) -> None:
    first, shot = begin(journal), frame(1)
    number = journal.add_capture(first, *DISC, shot, operator="anna")
    journal.close_exam(first, operator="anna")
    second = begin(journal, infant_id="H-2")
    assert journal.pending() == [(first, number)]
    assert journal.deliveries.closed_exams_after(0) == []
    journal.add_reading(first, number, reading(shot, REFER))
    assert journal.exam(first).result.infant.outcome is REFER
    assert journal.exam(second).captures == ()
    assert [exam for _, exam in journal.deliveries.closed_exams_after(0)] == [first]
    with pytest.raises(ExamRefused, match="closed, no frame can be added"):
        journal.add_capture(first, *DISC, frame(2), operator="anna")


def test_changes_keep_who_when_and_why(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER])
    journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong side", operator="bert")
    journal.amend_infant(exam_id, infant(infant_id="H-2"), reason="wrong wristband", operator="bert")
    changes = journal.exam(exam_id).changes
    assert [(c.who, c.what, c.reason) for c in changes] == [
        ("bert", "capture 1 moved from OD disc-centred to OS nasal", "wrong side"),
        ("bert", "infant's fields corrected", "wrong wristband"),
    ]
    assert journal.infant(exam_id).infant_id == "H-2"
    with pytest.raises(ExamRefused, match="needs a reason"):
        journal.amend_infant(exam_id, infant(), reason=" ", operator="bert")
    with pytest.raises(ExamRefused, match="expected who works at the cart"):
        journal.relabel(exam_id, 1, Eye.OD, View.DISC, reason="back", operator="")
    assert journal.exam(exam_id).changes == changes


def test_what_a_clinician_writes_is_kept_and_decides_nothing(journal: Journal) -> None:
    exam_id = journal_exam(journal)
    found = EyeFindings(Eye.OD, zone="II", stage="3", plus="plus")
    journal.document(exam_id, found, clinician="dr")
    record = journal.exam(exam_id)
    assert EyeFindings.from_dict(record.documented[0]) == found
    assert record.result.infant.outcome is NRF


@pytest.mark.parametrize("note", ["", " ", "\n\t", "\u200b"])
def test_a_finding_that_names_nothing_is_not_kept(journal: Journal, note: str) -> None:
    exam_id = journal_exam(journal)
    with pytest.raises(ExamRefused, match="document OD: nothing is named"):
        journal.document(exam_id, EyeFindings(Eye.OD, note=note), clinician="dr")
    assert journal.exam(exam_id).documented == ()
    assert EyeFindings(Eye.OD, note=note).words() == "no findings named"  # which an older journal may hold


def test_a_step_that_is_refused_changes_nothing(journal: Journal) -> None:
    exam_id = journal_exam(journal, [NRF])
    before = verify(journal)
    for step in (
        lambda: journal.close_exam(exam_id, operator="anna"),
        lambda: journal.add_capture(exam_id, *DISC, frame(8), operator="anna"),
        lambda: journal.add_reading(exam_id, 1, reading(frame(8))),
        lambda: journal.add_reading(exam_id, 9, reading(frame(8))),
        lambda: journal.exam("nobody's"),
    ):
        with pytest.raises(ExamRefused):
            step()
    assert verify(journal) == before
    assert before.findings == ()
    assert sum(1 for path in (journal.folder / "images").rglob("*.sealed")) == 1


def test_a_reading_with_a_number_that_is_not_finite_is_kept_as_no_result(journal: Journal) -> None:
    import dataclasses

    exam_id, shot = begin(journal), frame(1)
    number = journal.add_capture(exam_id, *DISC, shot, operator="anna")
    spoilt = dataclasses.replace(reading(shot), probabilities={"none": 1.0, "ridge": float("nan")})
    journal.add_reading(exam_id, number, spoilt)
    assert journal.exam(exam_id).captures[0].outcome is NONE


def test_a_frame_that_never_came_is_kept_too(journal: Journal) -> None:
    exam_id = begin(journal)
    number = journal.add_capture(exam_id, *DISC, None, operator="anna")
    journal.add_reading(exam_id, number, reading(None, NONE))
    assert journal.exam(exam_id).captures[0].image_sha256 is None
    assert verify(journal).findings == ()


def test_below_the_floor_new_exams_are_refused_and_the_open_one_goes_on(journal: Journal, key: JournalKey) -> None:
    exam_id = begin(journal)
    with Journal.open(journal.folder, key, floor_bytes=2**60) as low:
        shot = frame(1)
        low.add_reading(exam_id, low.add_capture(exam_id, *DISC, shot, operator="anna"), reading(shot))
        low.close_exam(exam_id, operator="anna")
        with pytest.raises(JournalFull, match=r"MiB left, new exams need \d+; free some space"):
            begin(low)
        assert len(low.exams()) == 1


def test_several_writers_share_one_journal(journal: Journal, key: JournalKey) -> None:
    exam_id = begin(journal)

    def write(writer: int) -> None:
        with Journal.open(journal.folder, key) as mine:
            for i in range(8):
                shot = frame(100 * writer + i)
                number = mine.add_capture(exam_id, *DISC, shot, operator=f"writer {writer}")
                mine.add_reading(exam_id, number, reading(shot))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    record = journal.exam(exam_id)
    assert [capture.number for capture in record.captures] == list(range(1, 25))
    assert record.exam.pending == ()
    assert verify(journal).findings == ()


def test_a_crash_between_file_and_row_leaves_nothing(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = begin(journal)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(lines, "kept_of", killed)  # after the file was linked, before the commit
        patch.setattr(journal.images, "discard", lambda *_: None)  # a killed program tidies nothing up
        with pytest.raises(Killed):
            journal.add_capture(exam_id, *DISC, frame(1), operator="anna")
    assert len(list((journal.folder / "images").rglob("*.sealed"))) == 1
    journal.close()
    with Journal.open(journal.folder, key) as again:
        assert list((journal.folder / "images").rglob("*.sealed")) == []
        assert list((journal.folder / "incoming").iterdir()) == []
        assert again.exam(exam_id).captures == ()
        assert verify(again).findings == ()


def test_a_crash_after_the_row_keeps_the_file(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = begin(journal)
    with monkeypatch.context() as patch:
        patch.setattr(journal.images, "settle", lambda *_: None)
        journal.add_capture(exam_id, *DISC, frame(1), operator="anna")
    assert len(list((journal.folder / "incoming").iterdir())) == 1
    with Journal.open(journal.folder, key) as again:
        assert list((journal.folder / "incoming").iterdir()) == []
        assert verify(again).findings == ()
        assert again.pending() == [(exam_id, 1)]


def test_the_same_picture_twice_is_one_file(journal: Journal) -> None:
    exam_id = begin(journal)
    for _ in range(2):
        shot = frame(5)
        journal.add_reading(exam_id, journal.add_capture(exam_id, *DISC, shot, operator="anna"), reading(shot))
    assert len(list((journal.folder / "images").rglob("*.sealed"))) == 1
    assert verify(journal).findings == ()


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.now = datetime.now(timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-1), timedelta(days=3650)])
def test_a_clock_that_jumps_is_noted_and_harms_nothing(tmp_path: Path, key: JournalKey, jump: timedelta) -> None:
    clock = Clock()
    with Journal.open(tmp_path / "j", key, create=True, clock=clock) as journal:
        exam_id = begin(journal, born_at=clock.now - timedelta(days=30))
        clock.now += jump
        shot = frame(1)
        journal.add_reading(exam_id, journal.add_capture(exam_id, *DISC, shot, operator="anna"), reading(shot, REFER))
        journal.close_exam(exam_id, operator="anna")
        ((_, noted),) = journal.clock_jumps()
        assert noted == round(jump.total_seconds())
        assert journal.exam(exam_id).result.infant.outcome is REFER
        assert verify(journal).findings == ()
        # Exams stay in the order in which they were made for whoever follows the trail.
        assert journal.deliveries.closed_exams_after(0) == [(journal.summary(exam_id).changed_seq, exam_id)]


def test_a_night_that_the_machine_slept_through_is_no_jump(
    tmp_path: Path, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, up = Clock(), [1000.0]
    monkeypatch.setattr("time.clock_gettime", lambda _: up[0])
    with Journal.open(tmp_path / "j", key, create=True, clock=clock) as journal:
        exam_id = begin(journal, born_at=clock.now - timedelta(days=30))
        clock.now += timedelta(hours=9)
        up[0] += 9 * 3600
        journal.close_exam(exam_id, operator="anna")
        assert journal.database.rows("SELECT body FROM events WHERE kind = 'clock'") == []


def test_a_clock_set_back_between_two_runs_is_noted(tmp_path: Path, key: JournalKey) -> None:
    clock = Clock()
    with Journal.open(tmp_path / "j", key, create=True, clock=clock) as journal:
        begin(journal, born_at=clock.now - timedelta(days=500))
    clock.now -= timedelta(days=300)
    with Journal.open(tmp_path / "j", key, clock=clock) as journal:
        journal.close_exam(journal.exams()[0].exam_id, operator="anna")
        assert len(journal.database.rows("SELECT 1 FROM events WHERE kind = 'clock'")) == 1


def test_a_clock_at_its_factory_date_refuses_the_infant_with_the_cause(tmp_path: Path, key: JournalKey) -> None:
    clock = Clock()
    clock.now = datetime(1970, 1, 1, tzinfo=timezone.utc)
    with (
        Journal.open(tmp_path / "j", key, create=True, clock=clock) as journal,
        pytest.raises(InfantInvalid, match=r"clock says 19.*correct the date of birth, or the clock"),
    ):
        begin(journal)


def test_there_is_no_journal(tmp_path: Path, key: JournalKey) -> None:
    with pytest.raises(JournalUnwritable, match="no journal in"):
        Journal.open(tmp_path / "nothing", key)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be looked at" * 20, b"SQLite format 3\x00"]
)
def test_a_file_that_is_no_journal(tmp_path: Path, key: JournalKey, content: bytes) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(content)
    with pytest.raises(JournalError, match="journal"):
        Journal.open(tmp_path, key)
    assert (tmp_path / "journal.sqlite3").read_bytes() == content


def test_a_frame_is_on_disk_before_the_row_that_names_it(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert journal.database.rows("PRAGMA journal_mode") == [("wal",)]
    assert journal.database.rows("PRAGMA synchronous") == [(2,)]  # FULL: the log is flushed at every commit
    exam_id, seen = begin(journal), []
    real = os.fsync

    def flush(number: int) -> None:
        seen.append("flush folder" if Path(os.readlink(f"/proc/self/fd/{number}")).is_dir() else "flush file")
        real(number)

    monkeypatch.setattr(os, "fsync", flush)
    journal.database.connection.set_trace_callback(lambda sql: seen.append(sql.split()[0]))
    journal.add_capture(exam_id, *DISC, frame(1), operator="anna")
    journal.database.connection.set_trace_callback(None)
    commit, row = seen.index("COMMIT"), seen.index("INSERT")
    last_folder = max(place for place, step in enumerate(seen) if step == "flush folder")
    assert seen.index("flush file") < last_folder < row < commit
    assert not any(step.startswith("flush") for step in seen[row:])
    # Content and entry; the third flush is the log's, at the commit, which is the only one of a reading.
    assert [step for step in seen if step.startswith("flush")] == ["flush file", "flush folder"]
    seen.clear()
    journal.add_reading(exam_id, 1, reading(frame(1)))
    assert seen == []


def test_importing_the_exam_is_cheap() -> None:
    code = "import sys, runtime.exam.machine; print({'cv2', 'sqlite3', 'cryptography', 'openvino'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_order_is_kept_encrypted_and_can_be_corrected(journal: Journal, key: JournalKey) -> None:
    order = Order("ACC-SECRET", "1.2.3", "RP-SECRET", "SPS-1", "Referrer^Rita", "ROP")
    exam_id = journal.begin_exam(infant(sex="F"), RULES, operator="anna", order=order)
    assert journal.order(exam_id) == order
    assert journal.infant(exam_id).sex == "F"
    with pytest.raises(ExamRefused, match="needs a reason"):
        journal.amend_order(exam_id, Order("ACC-2"), reason=" ", operator="bert")
    journal.amend_order(exam_id, Order("ACC-2"), reason="picked the wrong line", operator="bert")
    assert journal.order(exam_id) == Order("ACC-2")
    assert journal.infant(exam_id).sex == "F"
    assert [(c.what, c.reason) for c in journal.exam(exam_id).changes] == [("order corrected", "picked the wrong line")]
    journal.amend_order(exam_id, Order(), reason="was not ordered", operator="bert")
    assert journal.order(exam_id).empty
    journal.close_exam(exam_id, operator="anna")
    assert verify(journal).findings == ()
    with Journal.open(journal.folder) as without_key, pytest.raises(KeyUnusable, match="encrypted"):
        without_key.order(exam_id)
    for path in journal.folder.glob("journal.sqlite3*"):
        for secret in (b"ACC-SECRET", b"RP-SECRET", b"Referrer"):
            assert secret not in path.read_bytes()


def test_a_clock_that_jumped_is_noted_also_when_the_first_write_after_it_failed(
    tmp_path: Path, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with Journal.open(tmp_path / "j", key, create=True, clock=clock) as journal:
        exam_id = begin(journal)
        clock.now += timedelta(hours=2)
        with monkeypatch.context() as patch:
            patch.setattr(lines, "save", lambda *_: (_ for _ in ()).throw(ExamRefused("not now")))
            with pytest.raises(ExamRefused, match="not now"):
                journal.close_exam(exam_id, operator="anna")
        journal.close_exam(exam_id, operator="anna")
        assert len(journal.database.rows("SELECT 1 FROM events WHERE kind = 'clock'")) == 1


@pytest.mark.parametrize(
    "change", [{"timings_ms": Timings(total=float("nan"))}, {"budget_ms": float("inf")}, {"vessel_fraction": -np.inf}]
)
def test_a_number_that_is_not_finite_anywhere_in_a_reading_makes_it_no_result(
    journal: Journal, change: dict[str, Any]
) -> None:
    exam_id, shot = begin(journal), frame(1)
    number = journal.add_capture(exam_id, *DISC, shot, operator="anna")
    journal.add_reading(exam_id, number, replace(reading(shot, NRF), **change))
    (capture,) = journal.exam(exam_id).captures
    assert (capture.outcome, capture.reason) == (NONE, "a number of the reading is not finite")
    assert journal.pending() == []
    assert verify(journal).findings == ()


def test_what_closes_an_exam_in_the_trail_is_its_outcome_at_that_moment(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id, shot = begin(journal), frame(1)
    number = journal.add_capture(exam_id, *DISC, shot, operator="anna")
    real = journal._writing

    def late(*arguments: Any) -> Any:
        monkeypatch.undo()
        with Journal.open(journal.folder, key) as another:
            another.add_reading(exam_id, number, reading(shot, REFER))
        return real(*arguments)

    monkeypatch.setattr(journal, "_writing", late)
    journal.close_exam(exam_id, operator="anna")
    (closed,) = (row for row in journal.events(exam_id) if row.kind == "closed")
    assert closed.content["outcome"] == journal.summary(exam_id).outcome.value == "REFER"


def test_a_new_journal_and_its_key_are_on_disk_with_the_folders_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    real = os.fsync

    def flush(number: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{number}")))
        real(number)

    monkeypatch.setattr(os, "fsync", flush)
    key = write_new_key(tmp_path / "cart.key")
    assert flushed == [tmp_path / "cart.key", tmp_path]
    flushed.clear()
    Journal.open(tmp_path / "some" / "where" / "journal", key, create=True).close()
    assert {tmp_path, tmp_path / "some", tmp_path / "some" / "where"} <= set(flushed)


def test_an_image_whose_row_may_come_back_after_a_crash_is_left_to_the_next_opening(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails at the commit, the log may hold the row already: only the next opening can tell."""
    exam_id, real = begin(journal), journal.database.writing

    @contextmanager
    def failing() -> Iterator[sqlite3.Connection]:
        monkeypatch.undo()
        with journal.database.naming(), real() as connection:
            yield connection
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(journal.database, "writing", failing)
    with pytest.raises(JournalUnwritable):
        journal.add_capture(exam_id, *DISC, frame(1), operator="anna")
    assert len(list((journal.folder / "images").rglob("*.sealed"))) == 1
    journal.close()
    with Journal.open(journal.folder, key) as again:
        assert again.exam(exam_id).captures == ()
        assert list((journal.folder / "images").rglob("*.sealed")) == []


@pytest.mark.parametrize(
    ("mode", "taken"), [(0o400, True), (0o600, True), (0o640, True), (0o604, False), (0o644, False)]
)
def test_a_key_file_that_everybody_may_read_is_refused(tmp_path: Path, mode: int, taken: bool) -> None:
    path = tmp_path / "cart.key"
    key = write_new_key(path)
    path.chmod(mode)
    if taken:
        found = find_key(path)
        assert found is not None
        assert found.text == key.text
        return
    with pytest.raises(KeyUnusable, match=f"chmod 600 {path}") as raised:
        find_key(path)
    assert key.text not in str(raised.value)
