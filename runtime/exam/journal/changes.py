"""`JournalChanges`: what a person changes in an exam or says of it, each with who, and why where that is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.exam.errors import ExamRefused
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant
from runtime.exam.journal import fold as folding
from runtime.exam.journal.records import ExamRecord, RejectedInstance
from runtime.exam.journal.trail import PROGRAM
from runtime.exam.journal.writer import JournalWriter, who_of
from runtime.exam.machine import StopReason
from runtime.exam.order import Order
from runtime.exam.result import exam_result
from runtime.views import Eye, View


class JournalChanges(JournalWriter):
    """Every reason is kept in the trail, in the report and in what is sent. Each raises `ExamRefused` without one."""

    def relabel(self, exam_id: str, number: int, eye: Eye, view: View, *, reason: str, operator: str) -> None:
        """Move a capture to another eye or view."""
        body = {"capture": number, "eye": Eye(eye).value, "view": View(view).value, "reason": reason}
        self._change(exam_id, folding.RELABELLED, operator, body)

    def exclude(self, exam_id: str, number: int, *, reason: str, operator: str) -> None:
        """Take a frame out of the exam: it counts for nothing, and stays in the record."""
        self._change(exam_id, folding.EXCLUDED, operator, {"capture": number, "reason": reason})

    def include(self, exam_id: str, number: int, *, reason: str, operator: str) -> None:
        """Take back that a frame was excluded."""
        self._change(exam_id, folding.INCLUDED, operator, {"capture": number, "reason": reason})

    def confirm_view(self, exam_id: str, number: int, *, reason: str, operator: str) -> None:
        """A frame shows its view although its picture is like another view's; it then counts."""
        self._change(exam_id, folding.CONFIRMED, operator, {"capture": number, "reason": reason})

    def stop_exam(self, exam_id: str, why: StopReason, *, note: str = "", operator: str) -> ExamRecord:
        """Close the open exam before every view was taken. It never says that there are no referral findings."""
        body = {"why": StopReason(why).value, "reason": note}
        with self._writing() as (connection, trail):
            folded = self._step(connection, trail, exam_id, folding.STOPPED, who_of(operator), body)
        self._known = folded
        self.database.checkpoint()
        return self.exam(exam_id)

    def void_exam(self, exam_id: str, *, reason: str, operator: str) -> ExamRecord:
        """The exam counts for nothing. What of it was sent has to be rejected where it was sent."""
        body = {"reason": reason, "outcome_before": exam_result(self.exam(exam_id).exam).infant.outcome.value}
        self._change(exam_id, folding.VOIDED, operator, body)
        return self.exam(exam_id)

    def amend(
        self,
        exam_id: str,
        *,
        infant: Infant | None = None,
        order: Order | None = None,
        reason: str,
        operator: str,
    ) -> None:
        """Correct who was examined, what was ordered, or both in one step.

        None leaves it as it is; an empty order takes the order away. The fields before stay in the trail.
        """
        if infant is None and order is None:
            raise ExamRefused(f"exam {exam_id}: nothing to correct; give the infant's fields, an order, or both")
        if not reason.strip():
            raise ExamRefused(f"exam {exam_id}: correcting the infant's fields or the order needs a reason")
        body = dict[str, Any](reason=reason)
        if infant is not None:
            infant.check_born(self._clock())
            body["patient"] = infant.to_dict()
            body["account"] = self.unlocked().account(infant.infant_id)
        if order is not None:
            body["order"] = None if order.empty else order.to_dict()
        with self._writing() as (connection, trail):
            folded = self._step(connection, trail, exam_id, folding.AMENDED, who_of(operator), body)
        self._known = folded

    def amend_infant(self, exam_id: str, infant: Infant, *, reason: str, operator: str) -> None:
        """`amend` of the infant alone."""
        self.amend(exam_id, infant=infant, reason=reason, operator=operator)

    def amend_order(self, exam_id: str, order: Order, *, reason: str, operator: str) -> None:
        """`amend` of the order alone."""
        self.amend(exam_id, order=order, reason=reason, operator=operator)

    def document(self, exam_id: str, findings: EyeFindings, *, clinician: str) -> None:
        """Keep what a clinician found in an eye, in their words; it does not touch the outcome.

        Raises `ExamRefused` where nothing is named: the report would show a finding that says nothing.
        """
        findings.check_named()
        self._change(exam_id, folding.DOCUMENTED, clinician, findings.to_dict())

    def expose(self, exam_id: str, exposure: Mapping[str, Any], *, operator: str) -> None:
        """Light for the open exam's infant, before it is given; `runtime.exam.light` says what it holds.

        `exposure["run"]` tells a stretch of light: a later event of the same run stands for all of it.
        """
        body = {**exposure, "account": self.unlocked().account(self.infant(exam_id).infant_id)}
        with self._writing() as (connection, trail):
            folded = self._step(connection, trail, exam_id, folding.EXPOSED, who_of(operator), body)
        self._known = folded

    def note_person(self, kind: str, who: str, **facts: str | list[str]) -> None:
        """What a person did that changes no exam: `signed in`, `sign-in refused`, `PIN changed`, `exported` (exam,
        what), `camera set` (what), `told` and `went on` (exam, said; see `told.py`)."""
        with self._writing() as (connection, trail):
            trail.append(connection, None, kind, who_of(who), facts)

    def note_board(self, board: str, flashes: int, flash_level_us: int, led_level_ms: int) -> None:
        """What a light board says that it gave since its power came, in drive units."""
        totals = {"flashes": flashes, "flash_level_us": flash_level_us, "led_level_ms": led_level_ms}
        with self._writing() as (connection, trail):
            trail.append(connection, None, folding.BOARD_TOTAL, PROGRAM, {"board": board, "totals": totals})

    def rejected_in_archive(
        self,
        exam_id: str,
        destination: str,
        instances: Sequence[RejectedInstance],
        *,
        reason: str,
        document_uid: str = "",
        operator: str = PROGRAM,
    ) -> None:
        """What was sent there under a wrong identity, or of a voided exam, is rejected there.

        document_uid: of the Key Object Selection that says so; empty where the archive takes none and its
        administrator has to remove `instances` by hand. It is an event of the journal: the exam's revision stays.
        """
        body = {
            "exam": self.summary(exam_id).exam_id,
            "destination": destination,
            "instances": [{"uid": one.uid, "sop_class": one.sop_class} for one in instances],
            "reason": reason,
            "document_uid": document_uid,
        }
        with self._writing() as (connection, trail):
            trail.append(connection, None, folding.REJECTED, who_of(operator), body)
