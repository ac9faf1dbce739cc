"""A worklist and an archive to try with, of pynetdicom and in memory: enough of a hospital for a whole exam."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from runtime.dicom.connection import PREPARED

ARCHIVE_AE, CART_AE = "DEMOARCHIVE", "ROPCART"
SUCCESS, PENDING = 0x0000, 0xFF00

INFANTS = (
    ("D-1001", "Rivera^Baby A of Ana", 41, "F", "0900"),
    ("D-1002", "Rivera^Baby B of Ana", 41, "F", "0910"),
    ("D-1003", "Okafor^Chidi", 37, "M", "0930"),
    ("D-1004", "Lind^Alma", 52, "F", "1000"),
    ("D-1005", "\u0639\u0644\u064a^\u0644\u064a\u0644\u0649", 33, "F", "1030"),
)
"""Infants that do not exist: identifier, name, days of age, sex, time. Two are twins."""


@dataclass
class Hospital:
    """Serves on a loopback port until closed. Raises `OSError` when the port is taken."""

    today: date
    wanted_port: int = 0
    """0: one of its own choosing."""
    told: Callable[[str], None] = lambda _: None
    """Hears of each object what it is; no name."""
    kept: dict[str, Dataset] = field(default_factory=dict)
    """By SOP Instance UID."""
    steps: dict[str, Dataset] = field(default_factory=dict)
    """Performed procedure steps, by UID."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        entity = AE(ARCHIVE_AE)
        for context in StoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax or "")
        for sop_class in (
            Verification,
            ModalityWorklistInformationFind,
            StudyRootQueryRetrieveInformationModelFind,
            ModalityPerformedProcedureStep,
            "1.2.840.10008.5.1.4.1.1.77.1.5.5",
            "1.2.840.10008.5.1.4.1.1.77.1.5.6",
            "1.2.840.10008.5.1.4.1.1.88.34",
        ):
            entity.add_supported_context(sop_class)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        entity.maximum_associations = 20
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._commit),
            (evt.EVT_N_CREATE, self._step_begun),
            (evt.EVT_N_SET, self._step_ended),
            PREPARED,
        ]
        self._server = entity.start_server(("127.0.0.1", self.wanted_port), block=False, evt_handlers=handlers)
        assert self._server is not None
        assert self._server.socket is not None
        self.port = int(self._server.socket.getsockname()[1])

    def close(self) -> None:
        """Hang up."""
        assert self._server is not None
        self._server.shutdown()

    def _store(self, event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        with self._lock:
            self.kept[str(dataset.SOPInstanceUID)] = dataset
        self.told(f"kept: {dataset.SOPClassUID.name} {dataset.SOPInstanceUID}")
        return SUCCESS

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        question = event.identifier
        if "ScheduledProcedureStepSequence" in question:
            yield from ((PENDING, answer) for answer in self._worklist() if _asked(question, answer))
            return
        with self._lock:
            kept = list(self.kept.values())
        for dataset in kept:
            answer = Dataset()
            answer.QueryRetrieveLevel = question.QueryRetrieveLevel
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
                setattr(answer, keyword, str(dataset.get(keyword, "")))
            if all(
                not question.get(keyword) or str(question.get(keyword)) == str(answer.get(keyword))
                for keyword in ("StudyInstanceUID", "SeriesInstanceUID")
            ):
                yield PENDING, answer

    def _worklist(self) -> Iterator[Dataset]:
        for number, (identifier, name, age, sex, time) in enumerate(INFANTS):
            step = Dataset()
            step.Modality = "OP"
            step.ScheduledStationAETitle = CART_AE
            step.ScheduledProcedureStepStartDate = f"{self.today:%Y%m%d}"
            step.ScheduledProcedureStepStartTime = f"{time}00"
            step.ScheduledProcedureStepDescription = "ROP screening"
            step.ScheduledProcedureStepID = f"S{number + 1}"
            answer = Dataset()
            answer.SpecificCharacterSet = "ISO_IR 192"
            answer.PatientID, answer.PatientName, answer.PatientSex = identifier, name, sex
            answer.PatientBirthDate = f"{self.today - timedelta(days=age):%Y%m%d}"
            answer.AccessionNumber = f"A{self.today:%y%m%d}{number + 1:02d}"
            answer.StudyInstanceUID = f"2.25.{int(f'{self.today:%Y%m%d}') * 1000 + number + 1}"
            answer.RequestedProcedureID = f"P{number + 1}"
            answer.RequestedProcedureDescription = "ROP screening"
            answer.ReferringPhysicianName = "Ward^Neonatal"
            answer.ScheduledProcedureStepSequence = Sequence([step])
            yield answer

    def _commit(self, event: evt.Event) -> tuple[int, Dataset | None]:
        asked = event.action_information
        threading.Thread(target=self._report, args=(event.assoc, asked), daemon=True).start()
        return SUCCESS, None

    def _report(self, association: Any, asked: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        with self._lock:
            known = set(self.kept)
        kept = [item for item in asked.ReferencedSOPSequence if item.ReferencedSOPInstanceUID in known]
        lost = [item for item in asked.ReferencedSOPSequence if item.ReferencedSOPInstanceUID not in known]
        if kept:
            report.ReferencedSOPSequence = Sequence(kept)
        for item in lost:
            item.FailureReason = 0x0112
        if lost:
            report.FailedSOPSequence = Sequence(lost)
        association.send_n_event_report(report, 2 if lost else 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")

    def _step_begun(self, event: evt.Event) -> tuple[int, Dataset]:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        with self._lock:
            self.steps[uid] = event.attribute_list
        return SUCCESS, event.attribute_list

    def _step_ended(self, event: evt.Event) -> tuple[int, Dataset]:
        request: Any = event.request
        with self._lock:
            step = self.steps.setdefault(str(request.RequestedSOPInstanceUID), Dataset())
            step.update(event.modification_list)
        return SUCCESS, event.modification_list


def _asked(question: Dataset, answer: Dataset) -> bool:
    """Whether an answer fits what was asked of it: day and patient."""
    patient = str(question.get("PatientID", "") or "")
    day = str(question.ScheduledProcedureStepSequence[0].get("ScheduledProcedureStepStartDate", "") or "")
    step = answer.ScheduledProcedureStepSequence[0]
    return (not patient or patient == answer.PatientID) and (not day or day == step.ScheduledProcedureStepStartDate)
