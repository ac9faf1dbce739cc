"""What shows that the archive keeps what it stored: its report of storage commitment, or its answer to a query."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtime.dicom.association import address
from runtime.dicom.commitment import (
    CommitmentDesk,
    CommitmentNotOffered,
    CommitmentReport,
    new_transaction,
    request_commitment,
)
from runtime.dicom.configuration import Archive, DicomConfig
from runtime.dicom.errors import Aborted, ArchiveRefused, ArchiveUnreachable, DicomError, NotOffered
from runtime.dicom.find import instances_kept
from runtime.dicom.outbox import steps
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance


class InstanceMissing(DicomError):
    """The archive stored something and does not answer for it."""


class CommitmentFailed(DicomError):
    """The archive has an instance and will not answer for it until somebody changes something."""


class NoProof(ArchiveRefused):
    """The archive offers nothing that shows what it keeps."""


class NoReport(InstanceMissing):
    """No report of storage commitment came in time."""


_LATER = {0x0110: "processing failure", 0x0131: "the transaction was known already", 0x0213: "resource limitation"}
"""Failure reasons (PS3.3 C.14.1.1) after which it is asked again."""
_REFUSED = {
    0x0119: "it has this instance under another SOP class; ask its administrator what lies there under this UID",
    0x0122: "it commits to no instance of this SOP class; set archive.proof to find, or allow the class there",
}
"""Failure reasons that no repetition mends."""
_MISSING = {0x0112: "it does not have the instance"}


@dataclass(frozen=True)
class AfterReport:
    """A delivery after a report, and what went wrong."""

    delivery: Delivery
    error: DicomError | None = None


def after_report(delivery: Delivery, report: CommitmentReport, where: str) -> AfterReport:
    """What a report says of what was asked in its transaction, in whole or in part; what it does not name waits on."""
    asked = {instance.uid for instance in steps.asked_in(delivery, report.transaction)}
    kept = asked & report.kept
    failed = {uid: reason for uid, reason in report.failed.items() if uid in asked}
    again = {uid for uid, reason in failed.items() if reason in _LATER or reason in _REFUSED}
    after = steps.not_asked(steps.answered(delivery, kept, set(failed) - again), again)
    if not failed:
        return AfterReport(after)
    reasons = sorted({_reason(reason) for reason in failed.values()})
    said = (
        f"{where}: exam {delivery.exam_id}: stored {len(asked)} objects, answers for {len(kept)} of them; "
        f"of the others it says: {', '.join(reasons)}"
    )
    refused = any(reason in _REFUSED for reason in failed.values())
    return AfterReport(after, CommitmentFailed(said) if refused else InstanceMissing(f"{said}; it is tried again"))


def _reason(reason: int) -> str:
    text = _LATER.get(reason) or _REFUSED.get(reason) or _MISSING.get(reason, "an unknown reason")
    return f"{text} ({reason:04X}h)"


class Proof:
    """Asks the archive to answer for what is stored, in the way that the site names."""

    def __init__(self, site: DicomConfig, archive: Archive, clock: Callable[[], datetime]) -> None:
        self._site, self._archive, self._clock = site, archive, clock
        self._deadlines: dict[str, float] = {}
        """By transaction that this process asked for, until when its report is waited for."""

    def prove(
        self,
        delivery: Delivery,
        desk: CommitmentDesk,
        asking: Callable[[list[str], str], Delivery],
        answered: Callable[[frozenset[str], frozenset[str]], Delivery],
        *,
        force: bool,
    ) -> Delivery:
        """Ask for commitment, whose report comes later, or query at once where there is none.

        asking: keeps on disk what is asked for, and in which transaction. answered: keeps what a query showed, and
        what it did not. force: ask also where a report to an earlier question may still come. Raises `DicomError`.
        """
        stored = steps.with_state(delivery, steps.STORED)
        why = ""
        if self._archive.proof != "find":
            open_ = [i for i in stored if not self._may_come(i, desk, force)]
            if not open_:
                return delivery
            transaction = new_transaction()
            delivery = asking([instance.uid for instance in open_], transaction)
            try:
                request_commitment(self._site, self._archive, desk, transaction, [(i.sop_class, i.uid) for i in open_])
            except (CommitmentNotOffered, Aborted) as error:
                if self._archive.proof == "commitment":
                    raise
                why = str(error)
            else:
                self._deadlines[transaction] = time.monotonic() + self._archive.commitment_s
                return delivery
        return self._query(delivery, stored, why, answered)

    def _query(
        self,
        delivery: Delivery,
        stored: Sequence[DeliveryInstance],
        why: str,
        answered: Callable[[frozenset[str], frozenset[str]], Delivery],
    ) -> Delivery:
        wanted = frozenset(instance.uid for instance in stored)
        try:
            found = self._found(stored) & wanted
        except (NotOffered, Aborted) as error:
            raise NoProof(
                f"{error}; nothing shows then that exam {delivery.exam_id} was kept"
                f"{f' ({why})' if why else ''}: allow {self._site.cart.ae_title} storage commitment or queries there"
            ) from None
        delivery = answered(found, wanted - found)
        if wanted - found:
            raise InstanceMissing(
                f"{address(self._archive)}: exam {delivery.exam_id}: stored {len(stored)} objects, "
                f"answers for {len(found)} of them; the others are sent again"
            )
        return delivery

    def _found(self, instances: Sequence[DeliveryInstance]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for study in dict.fromkeys(instance.study_uid for instance in instances):
            series = dict.fromkeys(i.series_uid for i in instances if i.study_uid == study)
            found |= instances_kept(self._site, self._archive, study, series)
        return found

    def shown(self, instances: Sequence[DeliveryInstance]) -> frozenset[str]:
        """Which of them the archive still shows to a query, after a note that rejects them; none where it has none."""
        try:
            return self._found(instances) if instances else frozenset()
        except (ArchiveRefused, ArchiveUnreachable):
            return frozenset()

    def _may_come(self, instance: DeliveryInstance, desk: CommitmentDesk, force: bool) -> bool:
        """Whether a report to an earlier question may still come."""
        latest = instance.asked.split()[-1:]
        if any(transaction in self._deadlines for transaction in latest):
            return True
        again = timedelta(seconds=self._archive.commitment_again_s)
        return not force and desk.listening and steps.awaits(instance, self._clock(), again)

    def only_waits(self, delivery: Delivery) -> bool:
        """Whether nothing is left to do for it but to wait for reports that may still come."""
        stored = steps.with_state(delivery, steps.STORED)
        if self._archive.proof == "find" or delivery.state == steps.WAITING or not stored:
            return False
        if self._site.cart.listen_port is None:
            return all(set(i.asked.split()[-1:]) & self._deadlines.keys() for i in stored)
        again = timedelta(seconds=self._archive.commitment_again_s)
        return all(steps.awaits(instance, self._clock(), again) for instance in stored)

    def reported(self, report: CommitmentReport, desk: CommitmentDesk) -> None:
        """A report came: the question is answered, and nobody waits for it any more."""
        self._deadlines.pop(report.transaction, None)
        desk.release(report.transaction)

    def seconds_left(self) -> float:
        """Until the last report that is waited for is overdue; 0 when none is."""
        now = time.monotonic()
        return max((until - now for until in self._deadlines.values()), default=0.0)

    def overdue(self, desk: CommitmentDesk) -> list[str]:
        """Transactions whose report did not come in time; each once."""
        now = time.monotonic()
        found = [transaction for transaction, until in self._deadlines.items() if until <= now]
        for transaction in found:
            del self._deadlines[transaction]
        desk.release(*found)
        return found

    def no_report(self, exam_id: str, desk: CommitmentDesk) -> NoReport:
        """What is said of it."""
        why = f"{desk.refused}." if desk.refused else "does the archive know the cart's address and port?"
        return NoReport(
            f"{address(self._archive)}: exam {exam_id}: no report of storage commitment in "
            f"{self._archive.commitment_s:g} s; {why} A report that comes later counts; it is asked again"
        )
