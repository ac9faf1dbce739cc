"""Storage commitment: asking an archive to answer for instances, and hearing its reports, whenever they come."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from runtime.dicom import uids
from runtime.dicom.association import address, associated, lost, proposed
from runtime.dicom.certificates import server_context
from runtime.dicom.configuration import Archive, DicomConfig
from runtime.dicom.connection import MESSAGES
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, DicomError, NotOffered
from runtime.dicom.listening import Callers, Listening
from runtime.dicom.uids import COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION

_REQUEST = 1
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_NOT_OFFERED = (0x0112, 0x0118, 0x0122, 0x0123, 0x0211)
"""No such instance, class or action: the archive has no storage commitment behind the name."""
NOTED_S = 10.0
"""How long a report waits until it is on disk before its archive is told that it could not be taken."""
MOST_WAITING = 1000
"""Reports that wait to be noted; an archive has no reason to send more."""


class CommitmentNotOffered(DicomError):
    """The archive does not do storage commitment."""


@dataclass(frozen=True)
class CommitmentReport:
    """What the archive answers for, and what it does not, with its reasons."""

    kept: frozenset[str]
    failed: Mapping[str, int] = field(default_factory=dict)
    """SOP Instance UID to failure reason (PS3.3 C.14.1.1)."""
    transaction: str = ""


@dataclass(frozen=True, eq=False)
class Heard:
    """A report that waits to be noted."""

    report: CommitmentReport
    _noted: threading.Event = field(default_factory=threading.Event)

    def noted(self) -> None:
        """It is on disk, or nothing of it concerns anybody: the archive may be told that it was taken."""
        self._noted.set()

    def wait(self, seconds: float) -> bool:
        """Whether it was noted in time."""
        return self._noted.wait(seconds)


class CommitmentDesk:
    """Where the archive's reports arrive: on a port of the cart, or on the association that asked.

    A report is acknowledged when whoever `take`s it has noted it, so that no crash can lose one that was
    acknowledged. Use it as a context manager.
    """

    def __init__(self, site: DicomConfig) -> None:
        """Listen on the cart's port, where it has one; raises `SiteUnusable` or `ArchiveUnreachable`."""
        self._lock = threading.Condition()
        self._waiting: deque[Heard] = deque(maxlen=MOST_WAITING)
        self._held: dict[str, tuple[ExitStack, float]] = {}
        self.handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        """For an association on which a report may come."""
        self._server: Listening | None = None
        if site.cart.listen_port is not None:
            self._server = self._listen(site, site.cart.listen_port)

    @property
    def listening(self) -> bool:
        """Whether the archive can call the cart."""
        return self._server is not None

    @property
    def refused(self) -> str:
        """The last caller at the cart's port that was not let in, and why; empty when there was none."""
        return "" if self._server is None else self._server.refused

    def _listen(self, site: DicomConfig, port: int) -> Listening:
        entity = AE(ae_title=site.cart.ae_title)
        entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
        entity.require_called_aet = True
        if site.archive is not None:
            entity.require_calling_aet = [site.archive.ae_title, *site.cart.listen_titles]
        entity.add_supported_context(COMMITMENT, list(MESSAGES), scu_role=True, scp_role=True)
        entity.add_supported_context(VERIFICATION, list(MESSAGES))
        context = None if site.cart.tls is None else server_context(site.cart.tls, site.folder)
        callers = Callers.of(site)
        try:
            return Listening(entity, site.cart.listen_address, port, self.handlers, context, callers)
        except (OSError, UnicodeError) as error:
            raise ArchiveUnreachable(
                f"cart.listen_port {port} at {site.cart.listen_address or 'every address'}: cannot listen: "
                f"{getattr(error, 'strerror', None) or error}; does another program use it, is the address the cart's?"
            ) from None

    def take(self, seconds: float = 0.0) -> list[Heard]:
        """Reports that came, after at most that many seconds; each has to be `noted`."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting, seconds)
            found = list(self._waiting)
            self._waiting.clear()
        return found

    def hold(self, transaction: str, association: ExitStack, seconds: float) -> None:
        """Keep the association open on which the report is to come."""
        self._held[transaction] = (association, time.monotonic() + seconds)

    def holds(self, transaction: str) -> bool:
        """Whether the report may still come on the association that asked."""
        return transaction in self._held

    def release(self, *transactions: str) -> None:
        """End the associations of these transactions, and those whose time is over."""
        now = time.monotonic()
        for name in [name for name, (_, until) in self._held.items() if name in transactions or until < now]:
            association, _ = self._held.pop(name)
            association.close()

    def _hear(self, event: Any) -> tuple[int, None]:
        try:
            report = _report(event.event_information)
        except Exception:  # whatever a peer may send
            return _PROCESSING_FAILURE, None
        heard = Heard(report)
        with self._lock:
            if len(self._waiting) == MOST_WAITING:
                return _PROCESSING_FAILURE, None
            self._waiting.append(heard)
            self._lock.notify_all()
        return (_SUCCESS if heard.wait(NOTED_S) else _PROCESSING_FAILURE), None

    def close(self) -> None:
        """Stop listening. Closing twice is fine."""
        for heard in self.take():
            heard.noted()  # nobody will; it is asked for again
        self.release(*self._held)
        if self._server is not None:
            self._server.close()
            self._server = None

    def __enter__(self) -> CommitmentDesk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _report(said: Dataset) -> CommitmentReport:
    kept = [str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence") or ()]
    failed = {
        str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or 0)
        for item in said.get("FailedSOPSequence") or ()
    }
    return CommitmentReport(frozenset(kept) - failed.keys(), failed, str(said.TransactionUID))


def new_transaction() -> str:
    """A UID that nobody can guess."""
    return str(generate_uid(prefix=None))


def request_commitment(
    site: DicomConfig, archive: Archive, desk: CommitmentDesk, transaction: str, instances: Iterable[tuple[str, str]]
) -> None:
    """Ask the archive to answer for (SOP class, SOP instance); its report comes to the desk, now or later.

    Raises `CommitmentNotOffered`, `Aborted` where the archive aborts what it forbids, `ArchiveUnreachable`, or
    `ArchiveRefused`.
    """
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = Sequence([_reference(*instance) for instance in instances])
    contexts = [proposed(COMMITMENT), proposed(VERIFICATION)]
    with ExitStack() as stack:
        try:
            association = stack.enter_context(associated(site, archive, contexts, desk.handlers))
        except NotOffered as error:
            raise CommitmentNotOffered(f"{address(archive)}: does not offer storage commitment") from error
        if COMMITMENT not in {cx.abstract_syntax for cx in association.accepted_contexts}:
            raise CommitmentNotOffered(f"{address(archive)}: does not offer storage commitment")
        status, _ = association.send_n_action(request, _REQUEST, COMMITMENT, COMMITMENT_INSTANCE)
        _check(archive, status)
        if not desk.listening:  # then the report can come on this association alone, while that is open
            desk.hold(transaction, stack.pop_all(), archive.commitment_s)


def _check(archive: Archive, status: Dataset) -> None:
    if "Status" not in status:
        raise lost(archive, "storage commitment was asked for")
    if status.Status in _NOT_OFFERED:
        raise CommitmentNotOffered(f"{address(archive)}: does not offer storage commitment ({status.Status:04X}h)")
    if status.Status == _PROCESSING_FAILURE:
        raise ArchiveUnreachable(f"{address(archive)}: cannot take a request for storage commitment now (0110h)")
    if status.Status != _SUCCESS:
        raise ArchiveRefused(f"{address(archive)}: refuses storage commitment with status {status.Status:04X}h")


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item
