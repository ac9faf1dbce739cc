"""An archive that answers whatever it is told to: every failure ends in a state, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import EventHandlerType as Handler
from pynetdicom.presentation import build_context

from runtime.dicom.__main__ import main
from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.objects import Planned, planned
from runtime.dicom.outbox import Outbox, OutboxState, outbox_state, sender, steps
from runtime.dicom.outbox.sender import Pass
from runtime.dicom.records import DicomExam
from runtime.dicom.status import Disposition, meaning
from runtime.dicom.store import SOP_CLASSES
from runtime.dicom.uids import COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from runtime.exam.errors import JournalUnwritable
from runtime.exam.journal import Journal
from runtime.exam.journal.opening import FILE
from tests.runtime.dicom.archives import site
from tests.runtime.dicom.exams import KEY, fill_journal


class ScriptedArchive:
    """Keeps what it says it keeps; `answer` gives the status for the n-th instance."""

    def __init__(self) -> None:
        self.answer: Callable[[int], int] = lambda number: 0
        self.answer_to: Callable[[int, str], int] = lambda number, uid: self.answer(number)
        self.kept: list[str] = []
        self.order: list[str] = []
        self.calls = 0
        self.commitment_status = 0x0000
        self.commits: Callable[[str], bool] = lambda uid: True
        self.find_status = 0x0000
        self.lists: Callable[[str], bool] = lambda uid: True
        self.aborts_at: int | None = None

    def store(self, event: Any) -> int:
        self.calls += 1
        uid = str(event.request.AffectedSOPInstanceUID)
        if self.aborts_at == self.calls:
            event.assoc.abort()
            return 0x0110
        status = self.answer_to(self.calls, uid)
        if meaning(status).answer is Disposition.STORED:
            self.order.append(uid)
            if uid not in self.kept:
                self.kept.append(uid)
        return status

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if self.find_status:
            yield self.find_status, None
            return
        for uid in filter(self.lists, self.kept):
            found = Dataset()
            found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, found

    def action(self, event: Any) -> tuple[int, Dataset | None]:
        if self.commitment_status:
            return self.commitment_status, None
        threading.Thread(target=self._report, args=(event.assoc, event.action_information)).start()
        return 0, None

    def _report(self, association: Any, request: Dataset) -> None:
        """On the association that asked, as the standard allows."""
        asked = list(request.ReferencedSOPSequence)
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = [i for i in asked if self.commits(i.ReferencedSOPInstanceUID)]
        failed = [i for i in asked if not self.commits(i.ReferencedSOPInstanceUID)]
        for item in failed:
            item.FailureReason = 0x0112
        if failed:
            report.FailedSOPSequence = failed
        association.send_n_event_report(report, 2 if failed else 1, COMMITMENT, "1.2.840.10008.1.20.1.1")

    @contextmanager
    def listening(self, *services: str) -> Iterator[int]:
        entity = AE(ae_title="SCRIPTED")
        for service in (*SOP_CLASSES, VERIFICATION, *services):
            context = build_context(service)
            entity.add_supported_context(service, context.transfer_syntax)
        handlers: list[Handler] = [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_N_ACTION, self.action),
        ]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.fixture
def archive() -> ScriptedArchive:
    return ScriptedArchive()


def attempt(folder: Path, where: DicomConfig, times: int = 1) -> Pass:
    with Journal.open(folder, KEY) as journal, CommitmentDesk(where) as desk:
        box = Outbox(journal, where)
        for _ in range(times):
            result = box.send_due(desk, now=True)
    return result


def state(folder: Path) -> OutboxState:
    with Journal.open(folder, KEY) as journal:
        return outbox_state(journal, datetime.now(timezone.utc))


def scripted(folder: Path, port: int, **more: Any) -> DicomConfig:
    return site(folder, ae_title="SCRIPTED", port=port, **({"commitment_s": 2} | more))


STATUSES = [0xA700, 0xA7FF, 0xA900, 0xC000, 0xCFFF, 0x0110, 0x0117, 0x0122, 0x0124, 0x0213, 0xFE00, 0xFF00, 0x1234]


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: f"{status:04X}")
def test_every_failure_is_a_state_and_loses_nothing(status: int, archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.answer = lambda number: status if number == 2 else 0
    with archive.listening(STUDY_ROOT_FIND) as port:
        where = scripted(tmp_path, port)
        result = attempt(tmp_path, where)
        assert (result.done, result.failed) == (0, 1)
        assert f"({status:04X}h)" in result.error
        assert "MRN" not in result.error
        assert "Infant" not in result.error
        shown = state(tmp_path)
        held = meaning(status).answer is Disposition.REFUSED
        assert (shown.waiting, shown.held, shown.last_error) == (not held, held, result.error)
        assert len(archive.kept) == 1  # what follows a failed instance is not sent before it
        assert attempt(tmp_path, where).done == 1
    assert len(archive.kept) == 3
    assert Counter(archive.order).most_common(1)[0][1] == 1


@pytest.mark.parametrize("status", [0xB000, 0x0111])
def test_warnings_are_stored_and_still_have_to_be_proven(status: int, archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.answer = lambda number: status
    archive.lists = lambda uid: False
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 0
        archive.lists = lambda uid: True
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 1


def test_no_log_names_the_infant(archive: ScriptedArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    fill_journal(tmp_path, frames=1)
    with archive.listening(STUDY_ROOT_FIND) as port:
        attempt(tmp_path, scripted(tmp_path, port))
    assert "MRN-0-0" not in caplog.text
    assert "Infant0" not in caplog.text


def test_a_report_on_the_same_association_counts(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    with archive.listening(COMMITMENT) as port:
        assert attempt(tmp_path, scripted(tmp_path, port)) == Pass(1, 0)


def test_an_instance_that_is_not_committed_is_sent_again(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.commits = lambda uid: uid != archive.kept[1] or archive.calls > 3
    with archive.listening(COMMITMENT) as port:
        assert "answers for 2 of them" in attempt(tmp_path, scripted(tmp_path, port)).error
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 1
    assert Counter(archive.order) == {archive.kept[0]: 1, archive.kept[1]: 2, archive.kept[2]: 1}


@pytest.mark.parametrize("status", [0x0112, 0x0122, 0x0211])
def test_an_archive_that_knows_no_commitment_is_asked_what_it_keeps(
    status: int, archive: ScriptedArchive, tmp_path: Path
) -> None:
    fill_journal(tmp_path, frames=1)
    archive.commitment_status = status
    with archive.listening(COMMITMENT, STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port)) == Pass(1, 0)


@pytest.mark.parametrize("status", [0x0110, 0x0124, 0x0213])
def test_commitment_that_fails_is_not_taken_for_kept(status: int, archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.commitment_status = status
    with archive.listening(COMMITMENT, STUDY_ROOT_FIND) as port:
        assert f"{status:04X}h" in attempt(tmp_path, scripted(tmp_path, port)).error
    assert state(tmp_path).done == 0


def test_a_query_that_fails_is_not_taken_for_kept(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    archive.find_status = 0xA700
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert "A700h" in attempt(tmp_path, scripted(tmp_path, port)).error
    assert state(tmp_path).undone == 1


def test_an_archive_with_neither_query_nor_commitment_never_makes_an_exam_done(
    archive: ScriptedArchive, tmp_path: Path
) -> None:
    fill_journal(tmp_path, frames=1)
    with archive.listening() as port:
        result = attempt(tmp_path, scripted(tmp_path, port), times=2)
    assert "supports none of the SOP classes" in result.error
    assert (state(tmp_path).undone, len(archive.kept)) == (1, 3)


def test_a_refused_exam_lets_the_others_go_on(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=3, frames=1)
    archive.answer = lambda number: 0xC001 if number == 4 else 0  # the first object of the second exam
    with archive.listening(STUDY_ROOT_FIND) as port:
        result = attempt(tmp_path, scripted(tmp_path, port))
    assert (result.done, result.failed) == (2, 1)
    assert (state(tmp_path).done, state(tmp_path).held) == (2, 1)
    (tmp_path / "key").write_text(KEY.text)
    (tmp_path / "key").chmod(0o600)
    assert main(["outbox", "--journal", str(tmp_path), "--key-file", str(tmp_path / "key")]) == 1


def test_an_exam_whose_delivery_was_lost_is_told_and_sent_again(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=3, frames=1)
    with archive.listening(STUDY_ROOT_FIND) as port:
        where = scripted(tmp_path, port)
        attempt(tmp_path, where)
        kept = list(archive.kept)
        with Journal.open(tmp_path, KEY) as journal:
            lost = journal.deliveries.all()[0].exam_id  # others that come after it are there
        with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file, file:
            file.execute("DELETE FROM deliveries WHERE exam = ?", (lost,))
        assert (state(tmp_path).done, state(tmp_path).waiting) == (2, 1)
        assert attempt(tmp_path, where).done == 1
    assert state(tmp_path).done == 3
    assert archive.kept == kept  # under the same UIDs


def test_an_exam_that_always_fails_does_not_hold_up_the_others(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=3, frames=1)
    poison: set[str] = set()

    def never_the_first(number: int, uid: str) -> int:
        poison.update({uid} if number == 1 else ())
        return 0x0110 if uid in poison else 0

    archive.answer_to = never_the_first
    with archive.listening(STUDY_ROOT_FIND) as port:
        attempt(tmp_path, scripted(tmp_path, port), times=2)
    assert (state(tmp_path).done, state(tmp_path).waiting) == (2, 1)


def test_a_connection_that_breaks_in_the_middle(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=2)
    archive.aborts_at = 3
    with archive.listening(STUDY_ROOT_FIND) as port:
        where = scripted(tmp_path, port, answer_s=3)
        assert "aborted the association while instance 3 was being sent" in attempt(tmp_path, where).error
        assert attempt(tmp_path, where).done == 1
    assert max(Counter(archive.order).values()) == 1


def test_an_archive_that_is_too_slow(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    slow = threading.Event()
    archive.answer = lambda number: (slow.wait(60), 0)[1] if number == 1 else 0
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert "no answer" in attempt(tmp_path, scripted(tmp_path, port, answer_s=1)).error
        assert state(tmp_path).waiting == 1
        slow.set()
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 1
    assert len(archive.kept) == 3


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 0, 0xA700, 0xC000, 0xB000, 0x0111]), max_size=12))
def test_whatever_it_answers_each_instance_arrives_in_order(
    tmp_path_factory: pytest.TempPathFactory, answers: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("answers")
    fill_journal(folder, frames=2)
    archive = ScriptedArchive()
    archive.answer = lambda number: answers[number - 1] if number <= len(answers) else 0
    with archive.listening(STUDY_ROOT_FIND) as port:
        attempt(folder, scripted(folder, port), times=1 + len(answers))
    with Journal.open(folder, KEY) as journal:
        delivery = journal.deliveries.all()[0]
    assert delivery.state == steps.DONE
    assert archive.kept == [instance.uid for instance in delivery.instances]
    assert max(Counter(archive.order).values()) == 1


def unmade() -> Dataset:
    raise ZeroDivisionError


def test_an_exam_that_cannot_be_made_into_objects_holds_up_no_other_and_names_nobody(
    archive: ScriptedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = fill_journal(tmp_path, exams=2, frames=1)
    for where_it_breaks in ("planned", "build"):

        def broken(exam: DicomExam, where: str = where_it_breaks) -> list[Planned]:
            if first not in exam.exam_id:
                return planned(exam)
            if where == "planned":
                raise ValueError("Secret^Name")
            return [replace(item, build=unmade) for item in planned(exam)]

        monkeypatch.setattr(sender, "planned", broken)
        with archive.listening(STUDY_ROOT_FIND) as port:
            attempt(tmp_path, scripted(tmp_path, port, proof="find"))
        with Journal.open(tmp_path, KEY) as journal:
            held = journal.deliveries.get(first, steps.DESTINATION)
            sent = journal.deliveries.get(second, steps.DESTINATION)
            assert held is not None
            assert sent is not None
            assert (held.state, sent.state) == ("held", "done")
            assert "Secret" not in held.last_error
            assert ("ValueError" if where_it_breaks == "planned" else "ZeroDivisionError") in held.last_error
    monkeypatch.undo()
    with archive.listening(STUDY_ROOT_FIND) as port:
        attempt(tmp_path, scripted(tmp_path, port, proof="find"))
    assert state(tmp_path).done == 2


def test_a_lock_that_cannot_be_made_is_an_error_of_the_journal(tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    (tmp_path / "outbox.lock").mkdir()
    with pytest.raises(JournalUnwritable, match="Is a directory"):
        attempt(tmp_path, scripted(tmp_path, 1))


ODD: dict[str, Callable[[Dataset], None]] = {
    "a number": lambda made: made.add_new(0x00080018, "US", 7),
    "two values": lambda made: made.add_new(0x00080018, "UI", ["1.2.3", "1.2.4"]),
    "a sequence": lambda made: made.add_new(0x00080018, "SQ", [Dataset()]),
    "nothing": lambda made: None,
    "bytes": lambda made: made.add_new(0x00080018, "OB", b"1.2.3"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_answer_that_names_no_instance_proves_nothing_and_ends_nothing(
    name: str, archive: ScriptedArchive, tmp_path: Path
) -> None:
    """The others count; what is not named is sent again, and nothing is taken for kept."""
    fill_journal(tmp_path, frames=1)
    listed = archive.find

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        odd = Dataset()
        odd.QueryRetrieveLevel = "IMAGE"
        ODD[name](odd)
        yield 0xFF00, odd
        yield from listed(event)

    archive.find = find  # type: ignore[method-assign]
    archive.lists = lambda uid: uid != archive.kept[-1]
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert "answers for 2 of them" in attempt(tmp_path, scripted(tmp_path, port)).error
        archive.lists = lambda uid: True
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 1


def test_an_archive_that_hangs_up_between_two_queries_is_a_lost_line(archive: ScriptedArchive, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    listed, hangs_up = archive.find, [True]

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield from listed(event)
        if hangs_up:
            threading.Timer(0.0, event.assoc.abort).start()

    archive.find = find  # type: ignore[method-assign]
    with archive.listening(STUDY_ROOT_FIND) as port:
        said = attempt(tmp_path, scripted(tmp_path, port)).error
        assert "a fault of this software" not in said
        assert "A-ABORT" in said or "connection was lost" in said or "forbid" in said
        hangs_up.clear()
        assert attempt(tmp_path, scripted(tmp_path, port)).done == 1
