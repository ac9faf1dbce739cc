"""The modality worklist: which infants are to be examined.

Nothing here is guessed. An answer that does not fit the question is dropped and counted, for the hospital's system may
ignore what it was asked; a value that cannot be read as it was meant is left empty and named as unreadable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import overload

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pynetdicom.association import Association

from runtime.dicom.association import address, associated, lost, proposed
from runtime.dicom.configuration import DicomConfig, DicomNode, WorklistNode
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable
from runtime.dicom.find import PENDING
from runtime.dicom.received import Unreadable, character_set, identifier, items, line, one, quietly, values
from runtime.dicom.uids import WORKLIST_FIND
from runtime.exam.naming import family_names, name_keys, same_name, says_nothing
from runtime.exam.order import day_of, is_uid, sex_of

MODALITY = "OP"
MOST_ANSWERS = 5000
"""No ward has so many infants in a day; a system that answers without end must not fill the cart's memory."""


@dataclass(frozen=True)
class WorklistItem:
    """One scheduled step of one infant, in the words of the hospital's system; empty where it said nothing."""

    patient_id: str
    patient_name: str
    """As DICOM writes names: `Family^Given`, other scripts after `=`."""
    birth_date: str
    """`YYYYMMDD`."""
    sex: str
    """`M`, `F`, `O`, or empty."""
    accession: str
    study_uid: str
    requested_procedure_id: str
    step_id: str
    description: str
    scheduled: str
    """`YYYYMMDD HHMMSS`."""
    station_ae_title: str
    """Several are joined by `, `."""
    referring_physician: str
    modality: str = ""
    status: str = ""
    """Of the step: `SCHEDULED`, `ARRIVED`, `READY`, `STARTED`, `COMPLETED`, `DISCONTINUED`."""
    alike: str = ""
    """Why to look twice: another infant of this list is easily taken for this one."""
    unreadable: tuple[str, ...] = ()
    """Fields that the answer held and that could not be read; such an answer is no order."""
    unreadable_why: tuple[str, ...] = ()
    """Of each of them what is wrong; nothing of what it holds."""

    @property
    def stations(self) -> tuple[str, ...]:
        """AE titles that the step is meant for; none where it is anybody's."""
        return tuple(filter(None, self.station_ae_title.split(", ")))


@dataclass(frozen=True)
class Question:
    """What is asked for; what is left out may be anything."""

    day: date | None = None
    patient_id: str = ""
    accession: str = ""
    step_id: str = ""
    modality: str = MODALITY

    def fits(self, item: WorklistItem) -> bool:
        """Whether an answer is one to this question. An identifier that was asked for has to be there."""
        asked = ((self.patient_id, item.patient_id), (self.accession, item.accession), (self.step_id, item.step_id))
        day = "" if self.day is None else f"{self.day:%Y%m%d}"
        said = (day, item.scheduled[:8]), (self.modality, item.modality)
        return all(_matches(wanted, got) for wanted, got in asked if wanted) and all(
            wanted == got for wanted, got in said if wanted and got
        )


@dataclass(frozen=True, eq=False)
class Worklist(Sequence[WorklistItem]):
    """The answers that fit the question, in the order of their time, and how many others there were.

    Equal to a list of the same items, which it was before 0.2.0.
    """

    items: tuple[WorklistItem, ...]
    unfit: int = 0
    """Answers to another question than was asked."""
    unreadable: int = 0
    """Answers of which nothing could be read."""

    @property
    def marked(self) -> int:
        """Answers of which a field could not be read."""
        return sum(1 for item in self.items if item.unreadable)

    @property
    def why(self) -> tuple[str, ...]:
        """What was wrong with such fields, each once."""
        return tuple(dict.fromkeys(why for item in self.items for why in item.unreadable_why))

    @overload
    def __getitem__(self, index: int) -> WorklistItem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[WorklistItem]: ...
    def __getitem__(self, index: int | slice) -> WorklistItem | Sequence[WorklistItem]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Worklist):
            return (self.items, self.unfit, self.unreadable) == (other.items, other.unfit, other.unreadable)
        return list(self.items) == other

    def __hash__(self) -> int:
        return hash(self.items)


def query_worklist(
    site: DicomConfig,
    peer: DicomNode,
    *,
    day: date | None = None,
    patient_id: str = "",
    accession: str = "",
    step_id: str = "",
    modality: str = MODALITY,
) -> Worklist:
    """What is scheduled; `day` None asks for every day.

    Where one infant or order of a day is asked for, the whole day is asked for too, for who is easily taken for another
    shows beside that other only. Raises `ArchiveUnreachable` or `ArchiveRefused`.
    """
    question = Question(day, patient_id.strip(), accession.strip(), step_id.strip(), modality)
    beside: list[Dataset | None] = []
    with quietly(), associated(site, peer, [proposed(WORKLIST_FIND)]) as association:
        answers = _asked(association, peer, question)
        if day is not None and (question.patient_id or question.accession or question.step_id):
            with suppress(ArchiveRefused, ArchiveUnreachable):  # what was asked for is there
                beside = _asked(association, peer, Question(day, modality=modality))
        otherwise = peer.character_set if isinstance(peer, WorklistNode) else ""
        return read_answers(answers, question, otherwise, beside)


def _asked(association: Association, peer: DicomNode, question: Question) -> list[Dataset | None]:
    """The answers to a question; None for one that cannot be taken apart. Raises as `query_worklist`."""
    answers: list[Dataset | None] = []
    if not association.is_established:
        raise lost(peer, "the worklist was asked for")
    for status, answer in association.send_c_find(_dataset(question), WORKLIST_FIND):
        if status is None or "Status" not in status:
            raise lost(peer, "the worklist was asked for")
        if status.Status in PENDING:
            answers.append(answer)
            if len(answers) > MOST_ANSWERS:
                raise ArchiveRefused(
                    f"{address(peer)}: more than {MOST_ANSWERS} answers to one question; have it asked for less"
                )
        elif status.Status != 0:
            raise ArchiveRefused(f"{address(peer)}: the worklist query failed with status {status.Status:04X}h")
    return answers


def read_answers(
    answers: Sequence[Dataset | None], question: Question, otherwise: str = "", beside: Sequence[Dataset | None] = ()
) -> Worklist:
    """The worklist that answers make; None stands for one that could not be taken apart.

    otherwise: the character set of answers that name none. beside: answers that these are compared with, and that are
    not shown.
    """
    with quietly():
        found, unreadable = _read(answers, otherwise)
        others, _ = _read(beside, otherwise)
    fitting = [item for item in _compared(found, others) if question.fits(item)]
    fitting.sort(key=lambda item: (item.scheduled, item.patient_id, item.step_id))
    return Worklist(tuple(fitting), len(found) - len(fitting), unreadable)


def _read(answers: Sequence[Dataset | None], otherwise: str) -> tuple[list[WorklistItem], int]:
    """The items of answers, and how many answers could not be read."""
    found: list[WorklistItem] = []
    unreadable = 0
    for answer in answers:
        try:
            found += [] if answer is None else _steps_of(answer, otherwise)
        except Unreadable:
            answer = None
        unreadable += answer is None
    return found, unreadable


def _matches(wanted: str, got: str) -> bool:
    """Single value matching, or with DICOM's wildcards."""
    if "*" in wanted or "?" in wanted:
        return bool(got) and fnmatchcase(got, wanted.replace("[", "[[]"))
    return wanted == got


def _compared(found: Sequence[WorklistItem], beside: Sequence[WorklistItem]) -> Iterator[WorklistItem]:
    """Mark whoever is easily taken for another: the same name, or the same family and about the same birth (twins)."""
    names, families = _Bucket(), _Bucket()
    for told in (*found, *beside):
        for key in name_keys(told.patient_name):
            names[key][_whose(told)] = told
        for family in family_names(told.patient_name) if told.birth_date else ():
            families[family, _day(told)][_whose(told)] = told
    for item in found:
        alike = (names[key] for key in name_keys(item.patient_name))
        same = any(
            _another(item, o) and same_name(item.patient_name, o.patient_name) for b in alike for o in b.values()
        )
        said = "another infant of the same name" if same else ""
        if not same and item.birth_date:
            near = ((family, _day(item) + by) for family in family_names(item.patient_name) for by in (-1, 0, 1))
            twin = any(_another(item, other) for key in near for other in families[key].values())
            said = "another infant born about that day to the same family name" if twin else ""
        yield replace(item, alike=said) if said else item


_Bucket = partial(defaultdict[Hashable, dict[Hashable, WorklistItem]], dict)
"""Infants by what they may share, each once: a day's list is held against itself without comparing all with all."""


def _whose(item: WorklistItem) -> Hashable:
    return item.patient_id, item.patient_name, item.birth_date


def _day(item: WorklistItem) -> int:
    """Of birth, counted; twins may be born about midnight."""
    return datetime.strptime(item.birth_date, "%Y%m%d").toordinal()


def _another(item: WorklistItem, other: WorklistItem) -> bool:
    """Whether two answers speak of two infants, or may: without an identifier nobody can tell."""
    if item is other:
        return False
    if item.patient_id and other.patient_id:
        return item.patient_id != other.patient_id
    return not same_name(item.patient_name, other.patient_name) or item.birth_date != other.birth_date


def _dataset(asked: Question) -> Dataset:
    step = Dataset()
    step.Modality = asked.modality
    step.ScheduledProcedureStepStartDate = "" if asked.day is None else f"{asked.day:%Y%m%d}"
    step.ScheduledProcedureStepID = asked.step_id
    for keyword in (
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepStatus",
    ):
        setattr(step, keyword, "")
    question = Dataset()
    question.SpecificCharacterSet = "ISO_IR 192"
    question.PatientID = asked.patient_id
    question.AccessionNumber = asked.accession
    for keyword in (
        "ReferringPhysicianName",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "RequestedProcedureDescription",
        "RequestedProcedureID",
    ):
        setattr(question, keyword, "")
    question.ScheduledProcedureStepSequence = DicomSequence([step])
    return question


def _steps_of(answer: Dataset, otherwise: str) -> list[WorklistItem]:
    """One for each scheduled step of an answer. Raises `Unreadable` when it is none at all."""
    steps = items(answer, "ScheduledProcedureStepSequence") or [Dataset()]
    found = [_item(answer, step, otherwise) for step in steps]
    if not any(item.patient_id or item.patient_name or item.accession or item.study_uid for item in found):
        raise Unreadable("an answer that speaks of nobody")
    return found


def _item(answer: Dataset, step: Dataset, otherwise: str) -> WorklistItem:
    whole = _Fields(answer, character_set(answer, (otherwise,)))
    of_step = _Fields(step, character_set(step, whole.character_sets))
    description = whole.line("RequestedProcedureDescription", "description")
    day = of_step.day("ScheduledProcedureStepStartDate", "scheduled")
    item = WorklistItem(
        patient_id=whole.identifier("PatientID", "patient_id"),
        patient_name=whole.line("PatientName", "patient_name"),
        birth_date=whole.day("PatientBirthDate", "birth_date"),
        sex=sex_of(whole.line("PatientSex", "sex")),
        accession=whole.identifier("AccessionNumber", "accession"),
        study_uid=whole.uid("StudyInstanceUID", "study_uid"),
        requested_procedure_id=whole.identifier("RequestedProcedureID", "requested_procedure_id"),
        step_id=of_step.identifier("ScheduledProcedureStepID", "step_id"),
        description=description or of_step.line("ScheduledProcedureStepDescription", "description"),
        scheduled=f"{day} {of_step.line('ScheduledProcedureStepStartTime', 'scheduled')}".strip(),
        station_ae_title=of_step.titles("ScheduledStationAETitle", "station_ae_title"),
        referring_physician=whole.line("ReferringPhysicianName", "referring_physician"),
        modality=of_step.line("Modality", "modality"),
        status=of_step.line("ScheduledProcedureStepStatus", "status").upper(),
    )
    if says_nothing(item.patient_name):
        item = replace(item, patient_name="")
    unreadable = whole.unreadable | of_step.unreadable
    return replace(item, unreadable=tuple(unreadable), unreadable_why=tuple(unreadable.values()))


class _Fields:
    """Fields of a dataset; what cannot be read is empty, and its name is kept."""

    def __init__(self, dataset: Dataset, character_sets: Sequence[str]) -> None:
        self._dataset = dataset
        self.character_sets = tuple(character_sets)
        self.unreadable: dict[str, str] = {}
        """By field, what is wrong with it."""

    def identifier(self, keyword: str, field: str) -> str:
        try:
            return identifier(self._dataset, keyword, self.character_sets)
        except Unreadable as error:
            return self._mark(field, error)

    def line(self, keyword: str, field: str) -> str:
        try:
            return line(self._dataset, keyword, self.character_sets)
        except Unreadable as error:
            return self._mark(field, error)

    def uid(self, keyword: str, field: str) -> str:
        found = self.identifier(keyword, field)
        return found if not found or is_uid(found) else self._mark(field, f"{keyword}: it is no UID")

    def day(self, keyword: str, field: str) -> str:
        try:
            return day_of(one(self._dataset, keyword))
        except Unreadable as error:
            return self._mark(field, error)
        except ValueError:
            return self._mark(field, f"{keyword}: it is no day")

    def titles(self, keyword: str, field: str) -> str:
        try:
            return ", ".join(filter(None, values(self._dataset, keyword)))
        except Unreadable as error:
            return self._mark(field, error)

    def _mark(self, field: str, why: object) -> str:
        self.unreadable.setdefault(field, str(why))
        return ""
