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

from runtime.dicom import uids
from runtime.dicom.association import address, associated
from runtime.dicom.commitment import CommitmentDesk, CommitmentNotOffered, request_commitment
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, DicomError, SiteUnusable
from runtime.dicom.find import instances_kept
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.objects import Planned, planned
from runtime.dicom.outbox import steps
from runtime.dicom.site import Archive, Site
from runtime.dicom.status import Answer
from runtime.dicom.store import storage_contexts, store
from runtime.errors import ScreeningError
from runtime.exam.errors import KeyUnusable
from runtime.exam.infant import now_utc
from runtime.exam.journal.database import system_error
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance

if TYPE_CHECKING:
    from runtime.exam.journal import Journal

LOCK_FILE = "outbox.lock"
COLLECT_AT_ONCE = 100


class InstanceRefused(DicomError):
    """The archive takes other instances, but not this one."""


class InstanceMissing(DicomError):
    """The archive stored something and does not answer for it."""


class ExamBroken(DicomError):
    """A fault that nobody foresaw, in one exam; the others must not wait for it."""


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

    def __init__(self, journal: Journal, site: Site, *, clock: Callable[[], datetime] = now_utc) -> None:
        """The journal must have its key, and the site an archive; raises `KeyUnusable` or `SiteUnusable`."""
        if site.archive is None:
            raise SiteUnusable("the site's DICOM configuration names no archive; add `archive` to it")
        self._journal, self._site, self._clock = journal, site, clock
        if journal.key is None:
            raise KeyUnusable(
                "sending needs the journal's key, for the infant's name goes to the archive; name its file"
            )
        self._archive: Archive = site.archive
        self._seen: int | None = None
        self._undone: set[str] = set()
        self._failures = 0
        self._paused_until = -math.inf

    def send_due(self, desk: CommitmentDesk, *, now: bool = False, stopped: Callable[[], bool] = lambda: False) -> Pass:
        """Take up newly closed exams and send whatever is due; with `now` what is not due yet too.

        The oldest goes first, but behind those that failed less often, so that none can hold up the others. An
        archive that is down, or says no to everything, ends the pass and is left in peace for a while, longer each
        time. `stopped` is asked before each exam. Raises what the journal raises, and `AnotherSender`.
        """
        done, errors = 0, []
        with self._only_sender():
            self._collect()
            for delivery in self._due(now):
                if stopped():
                    break
                error = self._try(delivery, desk)
                if error is None:
                    done += 1
                    self._failures = 0
                    continue
                errors.append(str(error))
                if isinstance(error, (ArchiveUnreachable, ArchiveRefused)):
                    self._failures += 1
                    self._paused_until = time.monotonic() + steps.wait_after(self._failures).total_seconds()
                    break
        return Pass(done, len(errors), errors[-1] if errors else "")

    def _due(self, now: bool) -> list[Delivery]:
        """What is to be tried in this pass, in its order."""
        if not now and time.monotonic() < self._paused_until:
            return []
        found = [self._journal.deliveries.get(exam_id, steps.DESTINATION) for exam_id in self._undone]
        undone = [delivery for delivery in found if delivery is not None and delivery.state != steps.DONE]
        self._undone = {delivery.exam_id for delivery in undone}
        due = [delivery for delivery in undone if now or steps.due(delivery, self._clock())]
        return sorted(due, key=lambda delivery: (delivery.attempts, delivery.revision))

    def _collect(self) -> None:
        """Give every exam that was closed or corrected since the last time its delivery."""
        deliveries = self._journal.deliveries
        if self._seen is None:
            known = deliveries.all(destination=steps.DESTINATION)
            self._undone = {delivery.exam_id for delivery in known if delivery.state != steps.DONE}
            # Every exam once: a delivery may have been lost, from a journal that was mended or put together by hand.
            found = deliveries.behind(steps.DESTINATION)
            self._begin_all(found)
            self._seen = max([delivery.revision for delivery in known] + [revision for revision, _ in found], default=0)
        while found := deliveries.closed_exams_after(self._seen, COLLECT_AT_ONCE):
            self._begin_all(found)
            self._seen = found[-1][0]

    def _begin_all(self, found: list[tuple[int, str]]) -> None:
        for revision, exam_id in found:
            self._begin(exam_id, revision)
            self._undone.add(exam_id)

    def _begin(self, exam_id: str, revision: int) -> None:
        plan, said = None, ""
        try:
            plan = planned(exam_from_journal(self._journal, exam_id, self._site.cart))
        except Exception as error:
            said = str(error if isinstance(error, ScreeningError) else _broken(exam_id, error))
        instances = _instances(plan or [])

        def to(before: Delivery | None) -> Delivery:
            if before is not None and before.revision >= revision:
                return before  # another process was quicker
            delivery = steps.begun(before, exam_id, steps.DESTINATION, revision, instances)
            return delivery if plan is not None else steps.failed(delivery, self._clock(), said, held=True)

        self._journal.deliveries.change(exam_id, steps.DESTINATION, to)

    def _try(self, delivery: Delivery, desk: CommitmentDesk) -> ScreeningError | None:
        """One delivery; what went wrong, when something did, is in the journal then too."""
        try:
            self._deliver(delivery, desk)
        except Exception as fault:
            error = fault if isinstance(fault, ScreeningError) else _broken(delivery.exam_id, fault)
            said, held = str(error), not isinstance(error, (ArchiveUnreachable, InstanceMissing))
            self._change(delivery, lambda now: steps.failed(now, self._clock(), said, held=held))
            return error
        return None

    def _deliver(self, delivery: Delivery, desk: CommitmentDesk) -> None:
        exam = exam_from_journal(self._journal, delivery.exam_id, self._site.cart)
        plan = planned(exam)
        if [(i.uid, i.sop_class) for i in delivery.instances] != [(p.uid, p.sop_class) for p in plan]:
            # Another version of this software began it, or it could not be planned then.
            instances = _instances(plan)
            delivery = self._change(
                delivery,
                lambda now: steps.begun(now, now.exam_id, now.destination, now.revision, instances),
            )
        delivery = self._send(delivery, plan)
        if delivery.state != steps.DONE:
            self._prove(delivery, plan, uids.study(exam), desk)

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
                if said.answer is Answer.LATER:
                    raise ArchiveUnreachable(f"{where}: {said.text}; it is tried again")
                if said.answer is Answer.REFUSED:
                    raise InstanceRefused(f"{where}: {said.text}; see the archive's log")
                delivery = self._change(delivery, partial(_stored, uid=item.uid))
        return delivery

    def _prove(self, delivery: Delivery, plan: list[Planned], study_uid: str, desk: CommitmentDesk) -> None:
        """Let the archive answer for what is stored; what it does not have is sent again at the next try."""
        asked = [instance for instance in delivery.instances if instance.state == steps.STORED]
        kept, missing = self._kept(asked, plan, study_uid, desk)
        delivery = self._change(delivery, lambda now: steps.answered(now, kept, missing))
        if delivery.state != steps.DONE:
            raise InstanceMissing(
                f"{address(self._archive)}: exam {delivery.exam_id}: stored {len(asked)} objects, "
                f"answers for {len(kept)} of them; the others are sent again"
            )

    def _kept(
        self, asked: list[DeliveryInstance], plan: list[Planned], study_uid: str, desk: CommitmentDesk
    ) -> tuple[frozenset[str], frozenset[str]]:
        """(what the archive answers for, what it says it does not have) of the instances asked."""
        wanted = frozenset(instance.uid for instance in asked)
        if self._archive.proof != "find":
            try:
                report = request_commitment(
                    self._site, self._archive, desk, [(instance.sop_class, instance.uid) for instance in asked]
                )
                return report.kept & wanted, frozenset(report.failed) & wanted
            except CommitmentNotOffered:
                if self._archive.proof == "commitment":
                    raise
        series = dict.fromkeys(item.series_uid for item in plan if item.uid in wanted)
        found = instances_kept(self._site, self._archive, study_uid, series) & wanted
        return found, wanted - found

    def _change(self, delivery: Delivery, to: Callable[[Delivery], Delivery]) -> Delivery:
        def one(now: Delivery | None) -> Delivery:
            return to(delivery if now is None else now)

        return self._journal.deliveries.change(delivery.exam_id, delivery.destination, one)

    @contextmanager
    def _only_sender(self) -> Iterator[None]:
        """The kernel gives this lock back however the process ends."""
        path = self._journal.folder / LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _broken(exam_id: str, error: Exception) -> ExamBroken:
    """Without the error's own text, for it may repeat what it stumbled over."""
    return ExamBroken(
        f"exam {exam_id}: it cannot be put into DICOM or sent ({type(error).__name__}); a fault of this software, "
        f"report it; other exams go on, and this one is tried again"
    )


def _stored(delivery: Delivery, uid: str) -> Delivery:
    return replace(steps.stored(delivery, uid), attempts=0)


def _instances(plan: list[Planned]) -> list[DeliveryInstance]:
    return [DeliveryInstance(item.uid, item.sop_class, item.kind, steps.UNSENT) for item in plan]
