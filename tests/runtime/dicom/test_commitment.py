"""Storage commitment as archives do it: at once, late, in part, after a restart of the cart, or by an abort."""

from __future__ import annotations

import copy
import threading
from pathlib import Path

import pytest

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.outbox import Outbox, steps
from runtime.dicom.outbox.sender import Pass
from runtime.dicom.uids import COMMITMENT, STUDY_ROOT_FIND
from runtime.exam.journal import Journal
from tests.ports import free_port
from tests.runtime.dicom.exams import KEY, fill_journal
from tests.runtime.dicom.keeping import KeepingArchive
from tests.runtime.dicom.test_answers import attempt, scripted, state


@pytest.fixture
def archive() -> KeepingArchive:
    return KeepingArchive()


@pytest.fixture
def cart_port() -> int:
    return free_port()


class Sender:
    """A sender that watches, in a thread of its own as a report wakes it."""

    def __init__(self, folder: Path, where: DicomConfig) -> None:
        self.journal = Journal.open(folder, KEY)
        self.desk = CommitmentDesk(where)
        self.box = Outbox(self.journal, where)

    def look(self, *, now: bool = False) -> Pass:
        return self.box.send_due(self.desk, now=now, wait=False)

    def told(self, archive: KeepingArchive, port: int, number: int = -1, **how: object) -> tuple[int | None, Pass]:
        """Let the archive report while the sender looks; what the cart answered, and what the sender did."""
        answers: list[int | None] = []
        call = threading.Thread(
            target=lambda: answers.append(archive.report(archive.requests[number], port, **how))  # type: ignore[arg-type]
        )
        call.start()
        done, failed, error = 0, 0, ""
        while call.is_alive():
            heard = self.box.send_due(self.desk, wait=False)
            done, failed, error = done + heard.done, failed + heard.failed, heard.error or error
            call.join(0.02)
        heard = self.box.send_due(self.desk, wait=False)
        return answers[0], Pass(done + heard.done, failed + heard.failed, heard.error or error)

    def close(self) -> None:
        self.desk.close()
        self.journal.close()


def test_nothing_waits_for_a_report_and_a_late_one_counts(
    archive: KeepingArchive, tmp_path: Path, cart_port: int
) -> None:
    fill_journal(tmp_path, exams=2, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        sender = Sender(tmp_path, scripted(tmp_path, port, listen_port=cart_port, commitment_s=0.2))
        try:
            first = sender.look(now=True)
            assert len(archive.kept) == 6  # the second exam did not wait for the first one's report
            threading.Event().wait(0.4)
            late = sender.look()
            assert first.failed + late.failed == 2
            assert "no report of storage commitment in 0.2 s" in (late.error or first.error)
            assert len(archive.requests) == 2
            assert sender.told(archive, cart_port, 0) == (0, Pass(1, 0))
            assert sender.told(archive, cart_port, 1) == (0, Pass(1, 0))
            assert len(archive.requests) == 2  # asked once
        finally:
            sender.close()
    assert state(tmp_path).done == 2
    assert set(archive.times.values()) == {1}


def test_a_report_counts_after_a_restart_and_one_to_an_earlier_question_too(
    archive: KeepingArchive, tmp_path: Path, cart_port: int
) -> None:
    fill_journal(tmp_path, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        where = scripted(tmp_path, port, listen_port=cart_port, commitment_s=0.1)
        for _ in range(2):
            sender = Sender(tmp_path, where)
            sender.look(now=True)
            sender.close()
        assert len(archive.requests) == 2
        sender = Sender(tmp_path, where)
        try:
            sender.look()
            assert sender.told(archive, cart_port, 0) == (0, Pass(1, 0))
            assert sender.told(archive, cart_port, 1) == (0, Pass(0, 0))
        finally:
            sender.close()
    assert state(tmp_path).done == 1


def test_the_first_of_many_questions_is_remembered(
    archive: KeepingArchive, tmp_path: Path, cart_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that is days behind answers the first one first; each was forgotten before it was answered."""
    monkeypatch.setattr(steps, "MOST_TRANSACTIONS", 4)
    fill_journal(tmp_path, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        where = scripted(tmp_path, port, listen_port=cart_port, commitment_s=0.01)
        for _ in range(steps.MOST_TRANSACTIONS + 3):
            sender = Sender(tmp_path, where)
            sender.look(now=True)
            sender.close()
        assert len(archive.requests) == steps.MOST_TRANSACTIONS + 3
        sender = Sender(tmp_path, where)
        try:
            for instance in sender.journal.deliveries.all()[0].instances:
                assert len(instance.asked.split()) == steps.MOST_TRANSACTIONS
            assert sender.told(archive, cart_port, 0) == (0, Pass(1, 0))
            sender.look(now=True)
            assert sender.told(archive, cart_port, -1) == (0, Pass(0, 0))
        finally:
            sender.close()
    assert set(archive.times.values()) == {1}


def test_partial_reports_add_up(archive: KeepingArchive, tmp_path: Path, cart_port: int) -> None:
    fill_journal(tmp_path, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        sender = Sender(tmp_path, scripted(tmp_path, port, listen_port=cart_port))
        try:
            sender.look(now=True)
            first = archive.kept[0]
            assert sender.told(archive, cart_port, only=lambda uid: uid == first) == (0, Pass(0, 0))
            with_one = sender.journal.deliveries.all()[0]
            assert [i.state for i in with_one.instances].count(steps.PROVEN) == 1
            assert sender.told(archive, cart_port, only=lambda uid: uid != first) == (0, Pass(1, 0))
        finally:
            sender.close()
    assert set(archive.times.values()) == {1}


REASONS = {
    0x0112: ("does not have the instance", "waiting", 2),
    0x0110: ("processing failure", "proving", 1),
    0x0213: ("resource limitation", "proving", 1),
    0x0119: ("under another SOP class", "held", 1),
    0x0122: ("commits to no instance of this SOP class", "held", 1),
}


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: f"{reason:04X}")
def test_each_reason_is_told_and_has_its_own_consequence(
    reason: int, archive: KeepingArchive, tmp_path: Path, cart_port: int
) -> None:
    words, expected, times = REASONS[reason]
    fill_journal(tmp_path, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        sender = Sender(tmp_path, scripted(tmp_path, port, listen_port=cart_port))
        try:
            sender.look(now=True)
            bad = archive.kept[1]
            _, found = sender.told(archive, cart_port, failed=lambda uid: reason if uid == bad else 0)
            assert words in found.error
            assert f"({reason:04X}h)" in found.error
            assert sender.journal.deliveries.all()[0].state == expected
            sender.look(now=True)
            assert archive.times[bad] == times
            assert len(archive.requests) == 2
            assert sender.told(archive, cart_port)[1].done == 1
        finally:
            sender.close()


def test_a_report_that_nobody_asked_for_changes_nothing(
    archive: KeepingArchive, tmp_path: Path, cart_port: int
) -> None:
    fill_journal(tmp_path, frames=1)
    archive.reports_at_once = False
    with archive.listening(COMMITMENT) as port:
        sender = Sender(tmp_path, scripted(tmp_path, port, listen_port=cart_port))
        try:
            sender.look(now=True)
            forged = copy.deepcopy(archive.requests[0])
            forged.TransactionUID = "2.25.1"
            archive.requests.append(forged)
            assert sender.told(archive, cart_port, -1) == (0, Pass(0, 0))
            assert archive.report(archive.requests[0], cart_port, calling="SOMEBODY") is None
            assert sender.journal.deliveries.all()[0].state == steps.PROVING
        finally:
            sender.close()


def test_an_archive_that_aborts_what_it_forbids_is_asked_by_query(archive: KeepingArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.aborts_actions = True
    with archive.listening(COMMITMENT, STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port)) == Pass(1, 0)


def test_an_abort_is_told_where_commitment_has_to_be(archive: KeepingArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.aborts_actions = True
    with archive.listening(COMMITMENT, STUDY_ROOT_FIND) as port:
        said = attempt(tmp_path, scripted(tmp_path, port, proof="commitment")).error
    assert "aborted the association while storage commitment was asked for (A-ABORT)" in said
    assert "it may forbid that to ROPCART" in said


def test_without_any_proof_it_is_said_what_to_allow(archive: KeepingArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.aborts_actions = True
    with archive.listening(COMMITMENT) as port:
        said = attempt(tmp_path, scripted(tmp_path, port)).error
    assert "nothing shows then that exam" in said
    assert "A-ABORT" in said
    assert "allow ROPCART storage commitment or queries there" in said
    assert state(tmp_path).done == 0
