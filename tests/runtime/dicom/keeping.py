"""An archive that keeps whose each object is, takes notes of rejection, and reports when and what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE

from runtime.dicom.status import Disposition, meaning
from runtime.dicom.uids import COMMITMENT
from tests.runtime.dicom.test_answers import ScriptedArchive

NOTE_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"


class KeepingArchive(ScriptedArchive):
    """`objects` is what it was sent, `rejected` what a note rejected, `times` how often it stored each."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Dataset] = {}
        self.times: dict[str, int] = {}
        self.rejected: set[str] = set()
        self.hides = True
        self.requests: list[Dataset] = []
        self.reports_at_once = True
        self.aborts_actions = False

    def store(self, event: Any) -> int:
        self.calls += 1
        made = event.dataset
        uid = str(made.SOPInstanceUID)
        status = self.answer_to(self.calls, uid)
        if meaning(status).answer is Disposition.STORED:
            if "PixelData" in made:
                made.PixelData = b""
            self.times[uid] = self.times.get(uid, 0) + 1
            self.objects[uid] = made
            if uid not in self.kept:
                self.kept.append(uid)
            if made.SOPClassUID == NOTE_CLASS:
                self.rejected |= {
                    str(reference.ReferencedSOPInstanceUID)
                    for item in made.ContentSequence
                    for reference in item.get("ReferencedSOPSequence", ())
                }
        if self.aborts_at == self.calls:
            event.assoc.abort()
        return status

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        for uid in list(self.kept):
            made = self.objects[uid]
            hidden = self.hides and uid in self.rejected
            if made.StudyInstanceUID == asked.StudyInstanceUID and not hidden and self.lists(uid):
                found = Dataset()
                found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
                yield 0xFF00, found

    def action(self, event: Any) -> tuple[int, Dataset | None]:
        if self.aborts_actions:
            event.assoc.abort()
            return 0x0110, None
        self.requests.append(event.action_information)
        if not self.reports_at_once:
            return 0, None
        return super().action(event)

    def shown(self) -> list[Dataset]:
        """What somebody who looks into the archive finds, without notes."""
        return [
            made for uid, made in self.objects.items() if uid not in self.rejected and made.SOPClassUID != NOTE_CLASS
        ]

    def report(
        self,
        request: Dataset,
        port: int,
        *,
        only: Callable[[str], bool] = lambda uid: True,
        failed: Callable[[str], int] = lambda uid: 0,
        calling: str = "SCRIPTED",
    ) -> int | None:
        """Call the cart and report on a request that came before; gives the cart's answer."""
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        asked = [item for item in request.ReferencedSOPSequence if only(str(item.ReferencedSOPInstanceUID))]
        bad = [item for item in asked if failed(str(item.ReferencedSOPInstanceUID))]
        report.ReferencedSOPSequence = [item for item in asked if item not in bad]
        for item in bad:
            item.FailureReason = failed(str(item.ReferencedSOPInstanceUID))
        if bad:
            report.FailedSOPSequence = bad
        entity = AE(ae_title=calling)
        entity.add_requested_context(COMMITMENT)
        from pynetdicom import build_role

        association = entity.associate(
            "127.0.0.1", port, ae_title="ROPCART", ext_neg=[build_role(COMMITMENT, scp_role=True)]
        )
        if not association.is_established:
            return None
        status, _ = association.send_n_event_report(report, 2 if bad else 1, COMMITMENT, "1.2.840.10008.1.20.1.1")
        association.release()
        return int(status.Status) if "Status" in status else None
