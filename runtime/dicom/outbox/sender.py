"""`Outbox`: sends what the journal holds, in order, until the archive answers for it."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from runtime.dicom import rejection, uids
from runtime.dicom.association import address, associated
from runtime.dicom.commitment import CommitmentDesk, CommitmentReport
from runtime.dicom.configuration import Archive, DicomConfig
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, DicomError, ExamBroken, SiteUnusable
from runtime.dicom.from_journal import changes_of, exam_from_journal
from runtime.dicom.objects import Planned, planned
from runtime.dicom.outbox import steps
from runtime.dicom.outbox.performed import Performed
from runtime.dicom.outbox.proof import InstanceMissing, Proof, after_report
from runtime.dicom.status import Disposition
from runtime.dicom.store import storage_contexts, store
from runtime.errors import ScreeningError
from runtime.exam.errors import KeyUnusable
from runtime.exam.infant import now_utc
from runtime.exam.journal.database import system_error
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance
from runtime.exam.journal.records import RejectedInstance
from runtime.exam.machine import Phase

if TYPE_CHECKING:
    from runtime.exam.journal import Journal

LOCK_FILE = "outbox.lock"
COLLECT_AT_ONCE = 100


class InstanceRefused(DicomError):
    """The archive takes other instances, but not this one."""


class AnotherSender(DicomError):
    """Another process sends from this journal."""


@dataclass(frozen=True)
class Pass:
    """What one pass over the outbox did."""

    done: int
    """Exams that the archive answers for now."""
    failed: int
    error: str = ""
    """The last one."""


class Outbox:
    """The sender of one journal. At most one works at a time, whichever process it is in.

    Every step is on disk before the next one: after a crash it goes on where it was, and an instance whose answer
    was lost is sent again under the same UID, as the same bytes.
    """

    def __init__(self, journal: Journal, site: DicomConfig, *, clock: Callable[[], datetime] = now_utc) -> None:
        """The journal must have its key, and the site an archive; raises `KeyUnusable` or `SiteUnusable`."""
        if site.archive is None:
            raise SiteUnusable("the site's DICOM configuration names no archive; add `archive` to it")
        self._journal, self._site, self._clock = journal, site, clock
        if journal.key is None:
            raise KeyUnusable(
                "sending needs the journal's key, for the infant's name goes to the archive; name its file"
            )
        self._archive: Archive = site.archive
        self._proof = Proof(site, site.archive, clock)
        self._performed = Performed(journal, site, clock)
        self._seen: int | None = None
        self._undone: set[str] = set()
        self._transactions: dict[str, str] = {}
        """Whose exam a commitment was asked for, of every one that is still open."""
        self._failures = 0
        self._paused_until = -math.inf
        self._done, self._errors = 0, list[str]()

    def send_due(
        self,
        desk: CommitmentDesk,
        *,
        now: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        wait: bool = True,
    ) -> Pass:
        """Take up newly closed exams and send whatever is due; with `now` what is not due yet too.

        The oldest goes first, but behind those that failed less often, so that none can hold up the others. An
        archive that is down, or says no to everything, ends the pass and is left in peace for a while, longer each
        time. `stopped` is asked before each exam. Reports of commitment are heard between two exams; with `wait`
        those that are owed are waited for at the end, all together. Raises what the journal raises, and
        `AnotherSender`.
        """
        self._done, self._errors = 0, []
        with self._only_sender():
            self._collect()
            self._hear(desk)
            self._errors += self._performed.tell(now=now)
            for delivery in self._due(now):
                if stopped():
                    break
                error = self._try(delivery, desk, now)
                self._hear(desk)
                if error is None:
                    self._failures = 0
                    continue
                self._errors.append(str(error))
                if isinstance(error, (ArchiveUnreachable, ArchiveRefused)):
                    self._failures += 1
                    self._paused_until = time.monotonic() + steps.wait_after(self._failures).total_seconds()
                    break
            while wait and not stopped() and (left := self._proof.seconds_left()) > 0:
                self._hear(desk, min(left, 0.25))
            self._give_up_waiting(desk)
        return Pass(self._done, len(self._errors), self._errors[-1] if self._errors else "")

    def _due(self, now: bool) -> list[Delivery]:
        """What is to be tried in this pass, in its order."""
        if not now and time.monotonic() < self._paused_until:
            return []
        found = [self._journal.deliveries.get(exam_id, steps.DESTINATION) for exam_id in self._undone]
        undone = [delivery for delivery in found if delivery is not None and delivery.state != steps.DONE]
        self._undone = {delivery.exam_id for delivery in undone}
        moment = self._clock()
        due = [d for d in undone if now or (steps.due(d, moment) and not self._proof.only_waits(d))]
        return sorted(due, key=lambda delivery: (delivery.attempts, delivery.revision))

    def _collect(self) -> None:
        """Give every exam that was closed, corrected or voided since the last time its delivery."""
        deliveries = self._journal.deliveries
        if self._seen is None:
            known = deliveries.all(destination=steps.DESTINATION)
            for delivery in known:
                if delivery.state != steps.DONE:
                    self._undone.add(delivery.exam_id)
                    self._remember(delivery)
            # Every exam once: a delivery may have been lost, from a journal that was mended or put together by hand.
            found = [*deliveries.behind(steps.DESTINATION), *deliveries.to_reject(steps.DESTINATION)]
            self._begin_all(found)
            self._seen = max([delivery.revision for delivery in known] + [revision for revision, _ in found], default=0)
        while found := self._news(self._seen):
            self._begin_all(found)
            self._seen = found[-1][0]

    def _news(self, seq: int) -> list[tuple[int, str]]:
        """(revision, exam) after `seq`, as many as both kinds surely tell in order."""
        deliveries = self._journal.deliveries
        closed = deliveries.closed_exams_after(seq, COLLECT_AT_ONCE)
        voided = deliveries.voided_exams_after(seq, COLLECT_AT_ONCE)
        full = [found[-1][0] for found in (closed, voided) if len(found) == COLLECT_AT_ONCE]
        return sorted(one for one in (*closed, *voided) if not full or one[0] <= min(full))

    def _begin_all(self, found: list[tuple[int, str]]) -> None:
        self._performed.note(exam_id for _, exam_id in found)
        for revision, exam_id in found:
            self._begin(exam_id, revision)
            self._undone.add(exam_id)

    def _begin(self, exam_id: str, revision: int) -> None:
        before = self._journal.deliveries.get(exam_id, steps.DESTINATION)
        voided = self._journal.summary(exam_id).phase is Phase.VOIDED
        if voided and before is None:
            return  # nothing of it was ever sent
        try:
            plan, study_uid = ([], None) if voided else self._plan(exam_id, before)
            said = ""
        except Exception as error:
            plan, study_uid = [], None
            said = str(error if isinstance(error, ScreeningError) else ExamBroken.of(exam_id, error))
        typed = self._journal.summary(exam_id).typed_seq if plan or voided else 0

        def to(now: Delivery | None) -> Delivery:
            if now is not None and now.revision >= revision:
                return now  # another process was quicker
            if said:
                kept = () if now is None else now.instances
                delivery = Delivery(exam_id, steps.DESTINATION, revision, steps.WAITING, instances=kept)
                return steps.failed(delivery, self._clock(), said, held=True)
            delivery = steps.begun(
                now, exam_id, steps.DESTINATION, revision, _instances(plan, study_uid or "", revision), typed
            )
            return self._noted(delivery, study_uid)

        self._list(self._journal.deliveries.change(exam_id, steps.DESTINATION, to))

    def _plan(self, exam_id: str, before: Delivery | None) -> tuple[list[Planned], str]:
        exam = exam_from_journal(self._journal, exam_id, self._site.cart, rejected=steps.taken(before))
        return planned(exam), uids.study(exam)

    def _noted(self, delivery: Delivery, study_uid: str | None) -> Delivery:
        """With the notes that reject what is superseded."""
        if self._archive.rejection == "list":
            return delivery
        notes = rejection.notes_for(delivery, delivery.exam_id, study_uid)
        return steps.noted(
            delivery, {note.uid: (note.instance(), [target.uid for target in note.targets]) for note in notes}
        )

    def _list(self, delivery: Delivery) -> Delivery:
        """Put on the administrator's list what no note speaks of."""
        wrong = steps.with_state(delivery, *steps.WRONG)
        targets = [instance for instance in wrong if not instance.note]
        return self._tell(delivery, targets, steps.LISTED) if targets else delivery

    def _tell(self, delivery: Delivery, targets: list[DeliveryInstance], state: str, document: str = "") -> Delivery:
        """What is rejected, or has to be removed by hand, is in the trail before the delivery says so."""
        told = {i.uid for r in self._journal.rejections(delivery.exam_id) for i in r.instances}
        new = [RejectedInstance(target.uid, target.sop_class) for target in targets if target.uid not in told]
        if new:
            note = next((i for i in delivery.instances if i.uid == targets[0].note), None)
            changes = changes_of(self._journal, delivery.exam_id)
            reason = "; ".join(f"{what}: {why}" for seq, what, why in changes if seq > targets[0].revision)
            self._journal.rejected_in_archive(
                delivery.exam_id,
                delivery.destination,
                new,
                reason=reason if note is None else rejection.note_of(delivery, note).reason(changes),
                document_uid=document,
            )
        return self._change(delivery, lambda now: steps.settled(now, [t.uid for t in targets], state))

    def _try(self, delivery: Delivery, desk: CommitmentDesk, now: bool) -> ScreeningError | None:
        """One delivery; what went wrong, when something did, is in the journal then too."""
        try:
            self._deliver(delivery, desk, now)
        except Exception as fault:
            error = fault if isinstance(fault, ScreeningError) else ExamBroken.of(delivery.exam_id, fault)
            self._fail(delivery, error)
            return error
        return None

    def _fail(self, delivery: Delivery, error: ScreeningError) -> None:
        held = not isinstance(error, (ArchiveUnreachable, InstanceMissing))
        self._change(delivery, lambda now: steps.failed(now, self._clock(), str(error), held=held))

    def _deliver(self, delivery: Delivery, desk: CommitmentDesk, now: bool) -> None:
        voided = self._journal.summary(delivery.exam_id).phase is Phase.VOIDED
        plan, study_uid = ([], None) if voided else self._plan(delivery.exam_id, delivery)
        if [(i.uid, i.series_uid) for i in steps.live(delivery)] != [(p.uid, p.series_uid) for p in plan]:
            # Another version of this software began it, or it could not be planned then.
            instances = _instances(plan, study_uid or "", delivery.revision)
            typed = self._journal.summary(delivery.exam_id).typed_seq if plan or voided else 0
            delivery = self._list(
                self._change(
                    delivery,
                    lambda now: self._noted(
                        steps.begun(now, now.exam_id, now.destination, now.revision, instances, typed), study_uid
                    ),
                )
            )
        delivery = self._send(delivery, [*self._notes(delivery), *plan])
        if delivery.state != steps.DONE:
            delivery = self._proof.prove(
                delivery, desk, partial(self._asking, delivery), partial(self._answered, delivery), force=now
            )
        self._finished(delivery)

    def _notes(self, delivery: Delivery) -> list[Planned]:
        """The notes of a delivery, as they are made."""
        return [self._note(delivery, kept) for kept in delivery.instances if steps.is_note(kept)]

    def _note(self, delivery: Delivery, kept: DeliveryInstance) -> Planned:
        note = rejection.note_of(delivery, kept)

        def build() -> Dataset:
            exam = exam_from_journal(self._journal, delivery.exam_id, self._site.cart, revision=note.revision)
            return rejection.rejection(exam, note, note.reason(changes_of(self._journal, delivery.exam_id)))

        return Planned(kept.uid, kept.sop_class, "rejection", kept.series_uid, "rejection", build)

    def _finished(self, delivery: Delivery) -> None:
        """Settle what notes reject that are proven, and count an exam that is done."""
        for kept in delivery.instances:
            if steps.is_note(kept) and kept.state == steps.PROVEN:
                wrong = steps.with_state(delivery, *steps.WRONG)
                targets = [instance for instance in wrong if instance.note == kept.uid]
                shown = self._proof.shown(targets)
                for those, state, document in (
                    ([t for t in targets if t.uid not in shown], steps.REJECTED, kept.uid),
                    ([t for t in targets if t.uid in shown], steps.LISTED, ""),
                ):
                    if those:
                        delivery = self._tell(delivery, those, state, document)
        if delivery.state == steps.DONE:
            self._done += 1
            self._undone.discard(delivery.exam_id)

    def _send(self, delivery: Delivery, plan: list[Planned]) -> Delivery:
        """Store what is not stored yet, in order. The first one that is not taken ends it: order is kept."""
        unsent = {instance.uid for instance in steps.with_state(delivery, steps.UNSENT)}
        if not unsent:
            return delivery
        with associated(self._site, self._archive, storage_contexts()) as association:
            for number, item in enumerate(plan, start=1):
                if item.uid not in unsent:
                    continue
                said = store(association, self._archive, item.build(), number)
                where = f"{address(self._archive)}: exam {delivery.exam_id}, {item.kind} {number} of {len(plan)}"
                if said.answer is Disposition.LATER:
                    raise ArchiveUnreachable(f"{where}: {said.text}; it is tried again")
                if said.answer is Disposition.REFUSED and item.kind == "rejection":
                    delivery = self._note_refused(delivery, item.uid)
                    continue
                if (
                    said.answer is Disposition.REFUSED
                    and item.kind == "document"
                    and any(p.kind == "report" for p in plan)
                ):
                    delivery = self._change(delivery, partial(steps.settled, targets=[item.uid], state=steps.LEFT_OUT))
                    continue
                if said.answer is Disposition.REFUSED:
                    raise InstanceRefused(f"{where}: {said.text}; see the archive's log")
                delivery = self._change(delivery, partial(_stored, uid=item.uid))
        return delivery

    def _note_refused(self, delivery: Delivery, uid: str) -> Delivery:
        """An archive that takes no note: its administrator gets a list (`python -m runtime.dicom rejected`)."""
        targets = [i for i in steps.with_state(delivery, *steps.WRONG) if i.note == uid]
        delivery = self._tell(delivery, targets, steps.LISTED)
        return self._change(delivery, lambda now: steps.without(now, uid))

    def _asking(self, delivery: Delivery, asked: list[str], transaction: str) -> Delivery:
        """A commitment is about to be asked for: on disk before the archive can report."""
        self._transactions[transaction] = delivery.exam_id
        return self._change(delivery, lambda now: steps.asked(now, asked, transaction, self._clock()))

    def _answered(self, delivery: Delivery, kept: frozenset[str], missing: frozenset[str]) -> Delivery:
        return self._change(delivery, lambda now: steps.answered(now, kept, missing))

    def _hear(self, desk: CommitmentDesk, seconds: float = 0.0) -> None:
        """Note the reports that came, and let the archive know only then."""
        for heard in desk.take(seconds):
            self._note_report(heard.report)
            heard.noted()
            self._proof.reported(heard.report, desk)

    def _note_report(self, report: CommitmentReport) -> None:
        exam_id = self._transactions.get(report.transaction)
        before = None if exam_id is None else self._journal.deliveries.get(exam_id, steps.DESTINATION)
        if before is None or not steps.asked_in(before, report.transaction):
            return  # nobody asked, or it is answered already
        found = after_report(before, report, address(self._archive))
        delivery = self._change(before, lambda now: after_report(now, report, "").delivery)
        if found.error is not None:
            self._fail(delivery, found.error)
            self._errors.append(str(found.error))
        self._finished(delivery)

    def _give_up_waiting(self, desk: CommitmentDesk) -> None:
        """Say of what no report came in time. One that comes later counts all the same."""
        for transaction in self._proof.overdue(desk):
            exam_id = self._transactions[transaction]
            delivery = self._journal.deliveries.get(exam_id, steps.DESTINATION)
            if delivery is not None and steps.asked_in(delivery, transaction):
                error = self._proof.no_report(exam_id, desk)
                self._fail(delivery, error)
                self._errors.append(str(error))

    def _remember(self, delivery: Delivery) -> None:
        for instance in steps.with_state(delivery, steps.STORED):
            self._transactions.update(dict.fromkeys(instance.asked.split(), delivery.exam_id))

    def _change(self, delivery: Delivery, to: Callable[[Delivery], Delivery]) -> Delivery:
        def one(now: Delivery | None) -> Delivery:
            return to(delivery if now is None else now)

        return self._journal.deliveries.change(delivery.exam_id, delivery.destination, one)

    @contextmanager
    def _only_sender(self) -> Iterator[None]:
        """The kernel gives this lock back however the process ends."""
        path = self._journal.folder / LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise system_error(path, error) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AnotherSender("another program sends from this journal now; let it, or end it first") from None
            yield
        finally:
            os.close(descriptor)


def _stored(delivery: Delivery, uid: str) -> Delivery:
    return replace(steps.stored(delivery, uid), attempts=0)


def _instances(plan: list[Planned], study_uid: str, revision: int) -> list[DeliveryInstance]:
    return [
        DeliveryInstance(item.uid, item.sop_class, item.kind, steps.UNSENT, study_uid, item.series_uid, revision)
        for item in plan
    ]
