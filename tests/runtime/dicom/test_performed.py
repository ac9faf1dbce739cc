"""Performed steps as a hospital's system hears them: each once, whatever is corrected, refused or lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType as Handler

from runtime.dicom import uids
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.outbox import performed
from runtime.dicom.outbox.performed import Performed
from runtime.dicom.uids import PERFORMED_STEP
from runtime.exam.journal import Journal
from runtime.exam.machine import StopReason
from runtime.exam.order import Order
from runtime.exam.rules import ExamRules
from runtime.views import Eye, View
from tests.runtime.dicom.archives import site, wait_until
from tests.runtime.dicom.exams import BUNDLE, KEY, reading
from tests.runtime.exam.making import frame, infant

ORDER = Order("ACC-1", "1.2.826.0.1.3680043.8.498.7", "RP-1", "S-1", "", "ROP screening")
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


class Hospital:
    """Keeps every step, and answers what it is told to."""

    def __init__(self) -> None:
        self.steps: dict[str, Dataset] = {}
        self.calls: list[str] = []
        self.status = 0x0000
        self.aborts = False

    def create(self, event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.calls.append("create")
        if self.status:
            return self.status, None
        if uid in self.steps:
            return 0x0111, None
        self.steps[uid] = event.attribute_list
        if self.aborts:
            event.assoc.abort()
        return 0x0000, event.attribute_list

    def change(self, event: Any) -> tuple[Dataset | int, Dataset | None]:
        step = self.steps[str(event.request.RequestedSOPInstanceUID)]
        self.calls.append("set")
        if step.PerformedProcedureStepStatus != "IN PROGRESS":
            final = Dataset()
            final.Status, final.ErrorID = 0x0110, 0xA710
            return final, None
        step.update(event.modification_list)
        return 0x0000, step

    @contextmanager
    def listening(self) -> Iterator[int]:
        entity = AE(ae_title="RIS")
        entity.add_supported_context(PERFORMED_STEP)
        handlers: list[Handler] = [(evt.EVT_N_CREATE, self.create), (evt.EVT_N_SET, self.change)]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

    def told(self) -> list[tuple[str, str, str]]:
        return [
            (
                step.PatientID,
                step.PerformedProcedureStepStatus,
                (step.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [Dataset()])[0].get(
                    "CodeValue", ""
                ),
            )
            for step in self.steps.values()
        ]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal", KEY, create=True, floor_bytes=0) as kept:
        yield kept


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


def begin(journal: Journal, order: Order | None = ORDER, *, time_known: bool = True) -> str:
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
    exam_id = journal.begin_exam(infant(time_known=time_known), rules, operator="nurse", order=order)
    shot = frame(1)
    number = journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="nurse")
    journal.add_reading(exam_id, number, reading(shot))
    return exam_id


def where(tmp_path: Path, port: int) -> DicomConfig:
    peer = DicomNode(ae_title="RIS", host="127.0.0.1", port=port, answer_s=5, connect_s=5)
    return site(tmp_path).model_copy(update={"mpps": peer})


def tell(journal: Journal, at: DicomConfig) -> list[str]:
    """As a sender that was just started would."""
    return Performed(journal, at, lambda: NOW).tell(now=True)


def test_a_step_is_in_progress_then_completed_with_its_series(
    journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    exam_id = begin(journal)
    with hospital.listening() as port:
        at = where(tmp_path, port)
        for _ in range(2):
            assert tell(journal, at) == []
        assert hospital.told() == [("H-1", "IN PROGRESS", "")]
        [step] = hospital.steps.values()
        scheduled = step.ScheduledStepAttributesSequence[0]
        assert (scheduled.ScheduledProcedureStepID, scheduled.AccessionNumber) == ("S-1", "ACC-1")
        assert scheduled.StudyInstanceUID == ORDER.study_uid
        journal.close_exam(exam_id, operator="nurse")
        for _ in range(2):
            assert tell(journal, at) == []
    assert hospital.told() == [("H-1", "COMPLETED", "")]
    assert hospital.calls == ["create", "set"]
    assert {one.SeriesDescription for one in step.PerformedSeriesSequence} >= {"photograph", "report"}
    assert journal.deliveries.get(exam_id, "mpps").state == "done"  # type: ignore[union-attr]


@pytest.mark.parametrize("time_known", [True, False])
def test_a_step_without_a_study_names_the_one_that_the_objects_are_in(
    journal: Journal, hospital: Hospital, tmp_path: Path, time_known: bool
) -> None:
    exam_id = begin(journal, replace(ORDER, study_uid=""), time_known=time_known)
    with hospital.listening() as port:
        at = where(tmp_path, port)
        tell(journal, at)
        journal.close_exam(exam_id, operator="nurse")
        assert tell(journal, at) == []
    [step] = hospital.steps.values()
    study = uids.study(exam_from_journal(journal, exam_id, at.cart))
    assert step.ScheduledStepAttributesSequence[0].StudyInstanceUID == study


@pytest.mark.parametrize(("why", "code"), [("unstable", "110515"), ("refused", "110505"), ("equipment", "110501")])
def test_an_exam_that_was_stopped_is_discontinued_with_its_reason(
    why: str, code: str, journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    exam_id = begin(journal)
    journal.stop_exam(exam_id, StopReason(why), operator="nurse")
    with hospital.listening() as port:
        assert tell(journal, where(tmp_path, port)) == []
    assert hospital.told() == [("H-1", "DISCONTINUED", code)]


def test_a_voided_exam_is_discontinued_and_one_that_was_never_told_stays_untold(
    journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    first = begin(journal)
    with hospital.listening() as port:
        at = where(tmp_path, port)
        tell(journal, at)
        journal.void_exam(first, reason="never happened", operator="nurse")
        second = begin(journal, replace(ORDER, step_id="S-2"))
        journal.void_exam(second, reason="never happened", operator="nurse")
        assert tell(journal, at) == []
    assert hospital.told() == [("H-1", "DISCONTINUED", "110513")]


def test_a_corrected_infant_and_order_discontinue_the_wrong_step(
    journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    exam_id = begin(journal)
    with hospital.listening() as port:
        at = where(tmp_path, port)
        tell(journal, at)
        right = replace(ORDER, accession="ACC-2", step_id="S-2")
        journal.amend(exam_id, infant=infant(infant_id="H-2"), order=right, reason="twin", operator="nurse")
        tell(journal, at)
        journal.close_exam(exam_id, operator="nurse")
        tell(journal, at)
    assert hospital.told() == [("H-1", "DISCONTINUED", "110514"), ("H-2", "COMPLETED", "")]


def test_an_order_without_a_step_tells_nothing_and_owes_nothing(
    journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    for order in (None, Order("ACC-1")):
        journal.close_exam(begin(journal, order), operator="nurse")
    with hospital.listening() as port:
        assert tell(journal, where(tmp_path, port)) == []
    assert hospital.calls == []
    assert {d.state for d in journal.deliveries.all(destination="mpps")} == {"done"}


def test_a_lost_answer_is_told_again_and_counts_once(journal: Journal, hospital: Hospital, tmp_path: Path) -> None:
    exam_id = begin(journal)
    hospital.aborts = True
    with hospital.listening() as port:
        at = where(tmp_path, port)
        assert "aborted" in tell(journal, at)[0]
        hospital.aborts = False
        assert tell(journal, at) == []
        journal.close_exam(exam_id, operator="nurse")
        hospital.steps[next(iter(hospital.steps))].PerformedProcedureStepStatus = "COMPLETED"  # its answer was lost
        assert tell(journal, at) == []
    assert hospital.told() == [("H-1", "COMPLETED", "")]


@pytest.mark.parametrize(("status", "held"), [(0x0110, False), (0x0213, False), (0x0106, True), (0x0120, True)])
def test_a_refusal_is_told_and_tried_again(
    status: int, held: bool, journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    exam_id = begin(journal)
    hospital.status = status
    with hospital.listening() as port:
        at = where(tmp_path, port)
        [said] = tell(journal, at)
        assert f"{status:04X}h" in said
        assert "H-1" not in said
        kept = journal.deliveries.get(exam_id, "mpps")
        assert kept is not None
        assert (kept.state, kept.last_error) == ("held" if held else "waiting", said)
        hospital.status = 0
        assert tell(journal, at) == []
    assert hospital.told() == [("H-1", "IN PROGRESS", "")]


def test_a_hospital_that_is_away_keeps_nothing_from_the_archive(journal: Journal, tmp_path: Path) -> None:
    begin(journal)
    assert "tried again" in tell(journal, where(tmp_path, 1))[0]


def test_a_peer_that_hangs_up_between_two_messages_is_a_lost_line(
    journal: Journal, hospital: Hospital, tmp_path: Path
) -> None:
    """The step is begun and ended in one association: what is left to be said is said the next time."""
    journal.close_exam(begin(journal), operator="nurse")
    answered = hospital.create
    theirs: list[Any] = []

    def create(event: Any) -> tuple[int, Dataset | None]:
        theirs.append(event.assoc)
        return answered(event)

    def hangs_up(facts: object) -> list[Dataset]:
        """Asked for when the first message was answered and the next is not said yet."""
        if theirs:
            theirs.pop().abort()
            ours = [one for one in threading.enumerate() if isinstance(one, Association) and one.is_requestor]
            wait_until(lambda: all(one.is_aborted for one in ours), what="the cart hears of it")
        return []

    hospital.create = create  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(performed, "_series", hangs_up)
        with hospital.listening() as port:
            at = where(tmp_path, port)
            [said] = tell(journal, at)
            assert "while the next message was to be sent" in said
            assert "A-ABORT" in said or "the connection was lost" in said  # whichever is heard of first
            hospital.create = answered  # type: ignore[method-assign]
            assert tell(journal, at) == []
    assert hospital.told() == [("H-1", "COMPLETED", "")]


def test_a_fault_in_one_exam_ends_neither_the_sender_nor_the_steps_of_others(
    journal: Journal, hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exams = [begin(journal)]
    journal.close_exam(exams[0], operator="nurse")
    exams.append(begin(journal, replace(ORDER, step_id="S-2")))
    journal.close_exam(exams[1], operator="nurse")
    made = performed._series

    def broken(facts: Any) -> list[Dataset]:
        if facts.order.step_id == "S-1":
            raise ZeroDivisionError("Doe^Secret")
        return made(facts)

    monkeypatch.setattr(performed, "_series", broken)
    with hospital.listening() as port:
        [said] = tell(journal, where(tmp_path, port))
    assert "a fault of this software" in said
    assert "Secret" not in said
    assert ("H-1", "COMPLETED", "") in hospital.told()
