"""Key Object Selection that rejects what must not be in the archive (IHE RAD, Imaging Object Change Management)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.uid import KeyObjectSelectionDocumentStorage

from runtime.dicom import codes, text, uids
from runtime.dicom.modules import header, put_series
from runtime.dicom.outbox import steps
from runtime.dicom.records import DicomExam
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance

SERIES_NUMBER = 9
PATIENT_SAFETY = Code("113037", "DCM", "Rejected for Patient Safety Reasons")
WRONG_ENTRY = Code("113038", "DCM", "Incorrect Modality Worklist Entry")
DESCRIPTION = Code("113012", "DCM", "Key Object Description")
_IMAGES = ("photograph", "overlay")


@dataclass(frozen=True)
class Note:
    """One document that rejects instances of one study, made of the exam as it was when they were sent."""

    uid: str
    series_uid: str
    study_uid: str
    revision: int
    """Of the exam as it was then."""
    until: int
    """Of the exam when it was found that they are wrong; what was changed between says why."""
    code: Code
    targets: tuple[DeliveryInstance, ...]

    def instance(self) -> DeliveryInstance:
        """As the outbox keeps it."""
        return DeliveryInstance(
            self.uid,
            str(KeyObjectSelectionDocumentStorage),
            f"{steps.NOTE} {self.code.value}",
            steps.UNSENT,
            self.study_uid,
            self.series_uid,
            self.revision,
            note=str(self.until),
        )

    def reason(self, changes: Iterable[tuple[int, str, str]]) -> str:
        """What was changed and why, of (event, what, reason)."""
        since = min(target.revision for target in self.targets)
        said = [f"{what}: {reason}" for seq, what, reason in changes if since < seq <= self.until]
        return "; ".join(said) or "no longer what the exam says"


def notes_for(delivery: Delivery, exam_id: str, study_uid: str | None) -> list[Note]:
    """Notes for what is superseded and has none. study_uid: of the exam as it is now, None when it is voided.

    One note speaks of one study. What may not be in the archive at all has a note of its own, for an archive that
    does not find one instance may refuse the whole note.
    """
    groups: dict[tuple[str, str], list[DeliveryInstance]] = {}
    for instance in steps.with_state(delivery, *steps.WRONG):
        if instance.study_uid and not instance.note:
            groups.setdefault((instance.study_uid, instance.state), []).append(instance)
    made = []
    for (study, _), targets in groups.items():
        facts = (exam_id, study, *sorted(target.uid for target in targets))
        code = PATIENT_SAFETY if study_uid in (None, study) else WRONG_ENTRY
        uid, series = (uids.derived(what, "rejection", *facts) for what in ("instance", "series"))
        revision = max(target.revision for target in targets)
        made.append(Note(uid, series, study, revision, delivery.revision, code, tuple(targets)))
    return made


def note_of(delivery: Delivery, kept: DeliveryInstance) -> Note:
    """A note from what the delivery keeps of it: the same each time."""
    targets = tuple(instance for instance in delivery.instances if instance.note == kept.uid)
    code = WRONG_ENTRY if kept.kind.endswith(WRONG_ENTRY.value) else PATIENT_SAFETY
    return Note(kept.uid, kept.series_uid, kept.study_uid, kept.revision, int(kept.note), code, targets)


def nowhere(delivery: Delivery) -> list[DeliveryInstance]:
    """What is superseded and that no note can speak of: sent by older software, which kept no study of it."""
    return [instance for instance in steps.with_state(delivery, *steps.WRONG) if not instance.study_uid]


def rejection(exam: DicomExam, note: Note, reason: str) -> Dataset:
    """The document. exam: as it was when the instances were sent; reason: what a person said, or why they are wrong."""
    dataset = header(exam, KeyObjectSelectionDocumentStorage, note.uid, exam.closed_at)
    dataset.StudyInstanceUID = note.study_uid
    dataset.StudyID = note.study_uid[-16:]
    put_series(dataset, exam, "rejection", "KO", SERIES_NUMBER, note.code.meaning)
    dataset.SeriesInstanceUID = note.series_uid
    dataset.ReferencedPerformedProcedureStepSequence = DicomSequence()
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = text.da(exam.closed_at), text.tm(exam.closed_at)
    dataset.CurrentRequestedProcedureEvidenceSequence = DicomSequence([_study(note)])
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = codes.items(note.code)
    dataset.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    dataset.ContentTemplateSequence = DicomSequence([template])
    dataset.ContentSequence = DicomSequence([_described(reason), *map(_referred, note.targets)])
    return dataset


def _study(note: Note) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = note.study_uid
    series = []
    for series_uid in dict.fromkeys(target.series_uid for target in note.targets):
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        of_series = [target for target in note.targets if target.series_uid == series_uid]
        item.ReferencedSOPSequence = DicomSequence(map(_reference, of_series))
        series.append(item)
    study.ReferencedSeriesSequence = DicomSequence(series)
    return study


def _described(reason: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = codes.items(DESCRIPTION)
    item.TextValue = text.plain(reason) or "no longer what the exam says"
    return item


def _referred(target: DeliveryInstance) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "IMAGE" if target.kind in _IMAGES else "COMPOSITE"
    item.ReferencedSOPSequence = DicomSequence([_reference(target)])
    return item


def _reference(target: DeliveryInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = target.sop_class, target.uid
    return item
