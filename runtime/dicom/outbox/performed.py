"""Performed procedure steps (MPPS): the hospital's system hears how an order goes on.

One step an order: a corrected infant or order discontinues the step that was wrong and begins another one. What is
final there is never changed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pynetdicom.association import Association

from runtime.dicom import codes, text, uids
from runtime.dicom.association import address, associated, lost, proposed
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, ExamBroken
from runtime.dicom.from_journal import subject
from runtime.dicom.objects import Planned, planned
from runtime.dicom.outbox import steps
from runtime.dicom.records import DicomExam
from runtime.errors import ScreeningError
from runtime.exam.infant import Infant
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance
from runtime.exam.journal.records import ExamSummary
from runtime.exam.machine import Phase, StopReason
from runtime.exam.order import Order

if TYPE_CHECKING:
    from runtime.exam.journal import Journal

DESTINATION = "mpps"
IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
MODALITY = "OP"
WHY = {
    StopReason.UNSTABLE: Code("110515", "DCM", "Patient condition prevented continuing"),
    StopReason.REFUSED: Code("110505", "DCM", "Patient refused to continue procedure"),
    StopReason.EQUIPMENT: Code("110501", "DCM", "Equipment failure"),
}
"""PS3.16 CID 9300."""
UNSPECIFIED = Code("110513", "DCM", "Discontinued for unspecified reason")
WRONG_ENTRY = Code("110514", "DCM", "Incorrect worklist entry selected")
_FINE = (0x0000, 0x0001, 0x0107, 0x0116)
_DUPLICATE, _FAILURE, _RESOURCES = 0x0111, 0x0110, 0x0213
_FINAL_ALREADY = 0xA710
"""Error ID: the step may no longer be updated (PS3.4 F.7.2.2.2)."""


@dataclass(frozen=True)
class _Facts:
    """What of an exam its step says."""

    exam_id: str
    summary: ExamSummary
    infant: Infant
    order: Order
    stopped: StopReason | None
    whole: Callable[[], DicomExam]

    @property
    def uid(self) -> str:
        """Of the step; empty where nothing was scheduled."""
        order = self.order
        if not order.step_id:
            return ""
        who = (self.infant.infant_id, order.step_id, order.accession, order.study_uid)
        return uids.derived("performed", self.exam_id, *who)

    @property
    def study_uid(self) -> str:
        """The same that every object of the exam has."""
        infant = self.infant
        born = uids.born(infant.born_at.date(), infant.born_at.time() if infant.time_known else None)
        return self.order.study_uid or uids.own_study(self.exam_id, infant.infant_id, infant.name, born)


class Performed:
    """Tells the steps of a journal's exams, each once."""

    def __init__(self, journal: Journal, site: DicomConfig, clock: Callable[[], datetime]) -> None:
        self._journal, self._site, self._clock = journal, site, clock
        self._peer = site.mpps
        self._left: set[str] | None = None

    def note(self, exam_ids: Iterable[str]) -> None:
        """These exams changed since they were looked at."""
        if self._left is not None:
            self._left.update(exam_ids)

    def tell(self, *, now: bool) -> list[str]:
        """Tell what is owed and due; what went wrong, in words. Raises what the journal raises."""
        if self._peer is None:
            return []
        if self._left is None:
            deliveries = self._journal.deliveries
            known = [d.exam_id for d in deliveries.all(destination=DESTINATION) if d.state != steps.DONE]
            behind = [*deliveries.behind(DESTINATION), *deliveries.to_reject(DESTINATION)]
            self._left = {*known, *(exam_id for _, exam_id in behind)}
        running = self._journal.open_exam()
        errors = []
        for exam_id in sorted(self._left | ({running.exam_id} if running else set())):
            try:
                self._tell_one(self._peer, exam_id, now)
            except Exception as fault:
                error = fault if isinstance(fault, ScreeningError) else ExamBroken.of(exam_id, fault)
                self._failed(exam_id, error)
                errors.append(str(error))
                if isinstance(error, ArchiveUnreachable):
                    break
        return errors

    def _tell_one(self, peer: DicomNode, exam_id: str, now: bool) -> None:
        delivery = self._journal.deliveries.get(exam_id, DESTINATION)
        summary = self._journal.summary(exam_id)
        if summary.phase is Phase.RETIRED:
            return None
        finished = summary.phase is not Phase.OPEN
        if delivery is not None and delivery.revision >= summary.changed_seq and delivery.state == steps.DONE:
            return self._leave(exam_id)
        if delivery is not None and not now and not steps.due(replace(delivery, state=steps.WAITING), self._clock()):
            return None
        facts = _Facts(f"{self._journal.journal_id}/{exam_id}", *subject(self._journal, exam_id, self._site.cart))
        known = {} if delivery is None else {i.uid: i.state for i in delivery.instances}
        wrong = [uid for uid, state in known.items() if uid != facts.uid and state == IN_PROGRESS]
        wanted = bool(facts.uid) and not (summary.phase is Phase.VOIDED and facts.uid not in known)
        last = known.get(facts.uid)
        if wrong or (wanted and (last is None or (finished and last == IN_PROGRESS))):
            with associated(self._site, peer, [proposed(uids.PERFORMED_STEP)]) as association:
                for uid in wrong:
                    self._set(association, peer, facts, uid, _ended(facts, DISCONTINUED, WRONG_ENTRY, self._clock()))
                if wanted and last is None:
                    self._create(association, peer, facts)
                if wanted and finished and last in (None, IN_PROGRESS):
                    self._set(association, peer, facts, facts.uid, self._end_of(facts))
        self._keep(facts, finished=finished)
        return self._leave(exam_id) if finished else None

    def _leave(self, exam_id: str) -> None:
        if self._left is not None:
            self._left.discard(exam_id)

    def _end_of(self, facts: _Facts) -> Dataset:
        if facts.summary.phase is Phase.VOIDED:
            return _ended(facts, DISCONTINUED, UNSPECIFIED, self._clock())
        if facts.stopped is not None:
            return _ended(facts, DISCONTINUED, WHY[facts.stopped], self._clock())
        return _ended(facts, COMPLETED, None, self._clock())

    def _create(self, association: Association, peer: DicomNode, facts: _Facts) -> None:
        begun = _begun(facts, self._site)
        status, _ = association.send_n_create(begun, uids.PERFORMED_STEP, facts.uid)
        _check(peer, status, "begun", (*_FINE, _DUPLICATE))
        self._keep(facts, (facts.uid, IN_PROGRESS))

    def _set(self, association: Association, peer: DicomNode, facts: _Facts, uid: str, change: Dataset) -> None:
        status, _ = association.send_n_set(change, uids.PERFORMED_STEP, uid)
        if status.get("ErrorID") != _FINAL_ALREADY:  # else this was told before, and the answer was lost
            _check(peer, status, "ended", _FINE)
        self._keep(facts, (uid, str(change.PerformedProcedureStepStatus)))

    def _keep(self, facts: _Facts, told: tuple[str, str] | None = None, *, finished: bool = False) -> None:
        summary = facts.summary

        def to(before: Delivery | None) -> Delivery:
            known = {} if before is None else {i.uid: i for i in before.instances}
            if told is not None:
                known[told[0]] = DeliveryInstance(
                    told[0], str(uids.PERFORMED_STEP), "step", told[1], revision=summary.changed_seq
                )
            state = steps.DONE if finished else steps.WAITING
            instances = tuple(known.values())
            return Delivery(
                summary.exam_id, DESTINATION, summary.changed_seq, state, instances=instances, typed=summary.typed_seq
            )

        self._journal.deliveries.change(summary.exam_id, DESTINATION, to)

    def _failed(self, exam_id: str, error: ScreeningError) -> None:
        def to(before: Delivery | None) -> Delivery:
            kept = before or Delivery(exam_id, DESTINATION, 0, steps.WAITING)
            held = not isinstance(error, ArchiveUnreachable)
            failed = steps.failed(replace(kept, instances=()), self._clock(), str(error), held=held)
            return replace(failed, instances=kept.instances)

        self._journal.deliveries.change(exam_id, DESTINATION, to)


def _check(peer: DicomNode, status: Dataset, doing: str, fine: tuple[int, ...]) -> None:
    if "Status" not in status:
        raise lost(peer, f"a performed step was {doing}")
    if status.Status in fine:
        return
    said = f"{address(peer)}: a performed step cannot be {doing}: status {status.Status:04X}h"
    if status.Status in (_FAILURE, _RESOURCES):
        raise ArchiveUnreachable(f"{said}; it is tried again")
    raise ArchiveRefused(f"{said}; see its log")


def _begun(facts: _Facts, site: DicomConfig) -> Dataset:
    """N-CREATE: every attribute that PS3.4 F.7.2.1 wants, empty where nobody said it."""
    infant, order, summary = facts.infant, facts.order, facts.summary
    opened = summary.local(summary.opened_at)
    scheduled = Dataset()
    scheduled.StudyInstanceUID = facts.study_uid
    scheduled.ReferencedStudySequence = Sequence()
    scheduled.AccessionNumber = text.exact(order.accession, 16, "the accession number")
    scheduled.RequestedProcedureID = text.exact(order.requested_procedure_id, 16, "the requested procedure")
    scheduled.RequestedProcedureDescription = text.short(order.description, 64)
    scheduled.ScheduledProcedureStepID = text.exact(order.step_id, 16, "the scheduled step")
    scheduled.ScheduledProcedureStepDescription = ""
    scheduled.ScheduledProtocolCodeSequence = Sequence()
    begun = Dataset()
    begun.SpecificCharacterSet = "ISO_IR 192"
    begun.ScheduledStepAttributesSequence = Sequence([scheduled])
    begun.PatientName = text.person_name(infant.name)
    begun.PatientID = text.exact(infant.infant_id, 64, "the infant's identifier")
    begun.PatientBirthDate = text.da(infant.born_at.date())
    begun.PatientSex = infant.sex
    begun.ReferencedPatientSequence = Sequence()
    begun.PerformedProcedureStepID = facts.uid[-16:]
    begun.PerformedStationAETitle = site.cart.ae_title
    begun.PerformedStationName = text.short(summary.station or site.cart.station, 16)
    begun.PerformedLocation = ""
    begun.PerformedProcedureStepStartDate = text.da(opened)
    begun.PerformedProcedureStepStartTime = text.tm(opened)
    begun.PerformedProcedureStepStatus = IN_PROGRESS
    begun.PerformedProcedureStepDescription = codes.SCREENING.meaning
    begun.PerformedProcedureTypeDescription = ""
    begun.ProcedureCodeSequence = Sequence()
    begun.PerformedProcedureStepEndDate = begun.PerformedProcedureStepEndTime = ""
    begun.Modality = MODALITY
    begun.StudyID = ""
    begun.PerformedProtocolCodeSequence = Sequence()
    begun.PerformedSeriesSequence = Sequence()
    return begun


def _ended(facts: _Facts, status: str, why: Code | None, now: datetime) -> Dataset:
    """N-SET: how it ended, when, and which series came of it."""
    summary = facts.summary
    at = summary.local(summary.closed_at or now)
    ended = Dataset()
    ended.SpecificCharacterSet = "ISO_IR 192"
    ended.PerformedProcedureStepStatus = status
    ended.PerformedProcedureStepEndDate, ended.PerformedProcedureStepEndTime = text.da(at), text.tm(at)
    if why is not None:
        ended.PerformedProcedureStepDiscontinuationReasonCodeSequence = codes.items(why)
    made = [] if summary.phase is Phase.VOIDED or why is WRONG_ENTRY else _series(facts)
    ended.PerformedSeriesSequence = Sequence(made)
    return ended


def _series(facts: _Facts) -> list[Dataset]:
    exam = facts.whole()
    found: dict[tuple[str, str], list[Planned]] = {}
    for item in planned(exam):
        found.setdefault((item.series_uid, item.kind), []).append(item)
    made = []
    for (series_uid, kind), objects in found.items():
        one = Dataset()
        one.PerformingPhysicianName = ""
        one.OperatorsName = text.person_name(exam.operator)
        one.ProtocolName = codes.SCREENING.meaning
        one.SeriesInstanceUID = series_uid
        one.SeriesDescription = kind
        one.RetrieveAETitle = ""
        images = kind in ("photograph", "overlay")
        references = [_reference(item.sop_class, item.uid) for item in objects]
        one.ReferencedImageSequence = Sequence(references if images else [])
        one.ReferencedNonImageCompositeSOPInstanceSequence = Sequence([] if images else references)
        made.append(one)
    return made


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item
