"""Storage commitment: asking an archive to answer for instances, and hearing its report."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from runtime.dicom import uids
from runtime.dicom.association import address, associated, lost
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable, DicomError
from runtime.dicom.listening import Listening
from runtime.dicom.site import Archive, Site, server_context
from runtime.dicom.uids import COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION

_REQUEST = 1
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_NOT_OFFERED = (0x0112, 0x0118, 0x0122, 0x0123, 0x0211)
"""No such instance, class or action: the archive has no storage commitment behind the name."""


class CommitmentNotOffered(DicomError):
    """The archive does not do storage commitment."""


@dataclass(frozen=True)
class Report:
    """What the archive answers for, and what it does not, with its reasons."""

    kept: frozenset[str]
    failed: Mapping[str, int] = field(default_factory=dict)
    """SOP Instance UID to failure reason (PS3.3 C.14.1.1)."""


class CommitmentDesk:
    """Where the archive's reports arrive: on a port of the cart, or on the association that asked.

    Use it as a context manager; a report that nobody asked for is acknowledged and changes nothing.
    """

    def __init__(self, site: Site) -> None:
        """Listen on the cart's port, where it has one; raises `SiteUnusable` or `ArchiveUnreachable`."""
        self._lock = threading.Condition()
        self._awaited: set[str] = set()
        self._reports: dict[str, Report] = {}
        self.handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        """For an association on which a report may come."""
        self._server: Listening | None = None
        if site.cart.listen_port is not None:
            self._server = self._listen(site, site.cart.listen_port)

    @property
    def listening(self) -> bool:
        """Whether the archive can call the cart."""
        return self._server is not None

    def _listen(self, site: Site, port: int) -> Listening:
        entity = AE(ae_title=site.cart.ae_title)
        entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
        entity.require_called_aet = True
        entity.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
        entity.add_supported_context(VERIFICATION)
        context = None if site.cart.tls is None else server_context(site.cart.tls, site.folder)
        try:
            return Listening(entity, port, self.handlers, context)
        except OSError as error:
            raise ArchiveUnreachable(
                f"cart.listen_port {port}: cannot listen: {error.strerror}; does another program use it?"
            ) from None

    def expect(self) -> str:
        """A new transaction, whose report is kept when it comes."""
        transaction = str(generate_uid(prefix=None))
        with self._lock:
            self._awaited.add(transaction)
        return transaction

    def wait(self, transaction: str, seconds: float) -> Report | None:
        """The report, None when it did not come in time; the transaction is forgotten either way."""
        with self._lock:
            self._lock.wait_for(lambda: transaction in self._reports, seconds)
            self._awaited.discard(transaction)
            return self._reports.pop(transaction, None)

    def _hear(self, event: Any) -> tuple[int, None]:
        try:
            said = event.event_information
            transaction = str(said.TransactionUID)
            kept = frozenset(str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence", ()))
            failed = {
                str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0))
                for item in said.get("FailedSOPSequence", ())
            }
        except (AttributeError, ValueError, TypeError):
            return _PROCESSING_FAILURE, None
        with self._lock:
            if transaction in self._awaited:
                self._reports[transaction] = Report(kept - failed.keys(), failed)
                self._lock.notify_all()
        return _SUCCESS, None

    def close(self) -> None:
        """Stop listening. Closing twice is fine."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def __enter__(self) -> CommitmentDesk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def request_commitment(
    site: Site, archive: Archive, desk: CommitmentDesk, instances: Iterable[tuple[str, str]]
) -> Report:
    """Ask the archive to answer for (SOP class, SOP instance) and give its report.

    Raises `CommitmentNotOffered`; `ArchiveUnreachable` when no report comes in time; `ArchiveRefused`.
    """
    transaction = desk.expect()
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = Sequence([_reference(*instance) for instance in instances])
    contexts = [build_context(COMMITMENT), build_context(VERIFICATION)]
    with associated(site, archive, contexts, desk.handlers) as association:
        if COMMITMENT not in {cx.abstract_syntax for cx in association.accepted_contexts}:
            raise CommitmentNotOffered(f"{address(archive)}: does not offer storage commitment")
        status, _ = association.send_n_action(request, _REQUEST, COMMITMENT, COMMITMENT_INSTANCE)
        _check(archive, status)
        # An archive that reports on the same association can do so only while that is open.
        report = None if desk.listening else desk.wait(transaction, archive.commitment_s)
    if desk.listening:
        report = desk.wait(transaction, archive.commitment_s)
    if report is None:
        raise ArchiveUnreachable(
            f"{address(archive)}: no report of storage commitment in {archive.commitment_s:g} s; "
            "does the archive know the cart's address and port? it is asked again"
        )
    return report


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
