"""What an exam's DICOM objects are made from: plain values, independent of where they were stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time

from runtime.arrays import UInt8Array
from runtime.exam.order import Order
from runtime.exam.result import Conclusion
from runtime.outcome import AID_NOTICE
from runtime.reading import Reading
from runtime.views import Eye, View


@dataclass(frozen=True)
class InfantFacts:
    """Whom the exam is about. Nothing of this stands in a message or a log."""

    identifier: str
    """The hospital's number of the infant; DICOM allows 64 characters."""
    name: str = ""
    """As DICOM writes names (`Family^Given`), or in free form."""
    birth_date: date | None = None
    birth_time: time | None = None
    sex: str = ""
    """`M`, `F`, `O` or empty."""
    gestational_age_days: int | None = None
    """At birth."""
    postmenstrual_age_days: int | None = None
    """On the day of the exam."""
    birth_weight_g: int | None = None


@dataclass(frozen=True)
class EquipmentFacts:
    """What took the images, and where."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    station: str = ""
    institution: str = ""
    software: str = ""
    """Version of this software, as it stood in the exam's record."""
    field_of_view_deg: float | None = None
    """Horizontal field of view of the camera, degrees."""
    pupil_dilated: bool | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """One accepted frame with its reading."""

    number: int
    """From 1, in the order of capture, unique in the exam."""
    eye: Eye
    view: View
    captured_at: datetime
    """With its time zone."""
    sha256: str
    """Of the RGB bytes, hex."""
    load: Callable[[], UInt8Array]
    """Gives the pixels, RGB uint8 [H, W, 3]; called when the object is built."""
    width: int
    height: int
    reading: Reading
    """With the outcome and reason that the frame has within its exam."""
    vessels: Callable[[], UInt8Array | None] = lambda: None
    """Gives the vessel map, probability x 255, uint8 [256, 256]; None when there is none."""


@dataclass(frozen=True, eq=False)
class ViewShown:
    """What a view amounts to, with the frame that decided it."""

    eye: Eye
    view: View
    verdict: Conclusion
    shot: Shot | None
    """None where no frame counts."""


@dataclass(frozen=True)
class Documented:
    """What a clinician found in an eye, in the words of ICROP3."""

    eye: Eye
    words: str
    """In one line."""
    facts: tuple[tuple[str, str], ...]
    """Of (what, word): `("stage", "2")`."""
    note: str
    who: str
    at: datetime
    """With the exam's offset."""


@dataclass(frozen=True)
class Changed:
    """What a person changed, and why."""

    what: str
    reason: str
    who: str
    at: datetime


@dataclass(frozen=True, eq=False)
class DicomExam:
    """Everything that an exam's objects need."""

    exam_id: str
    """Unique in the world (a UUID)."""
    infant: InfantFacts
    shots: tuple[Shot, ...]
    verdict: Conclusion
    """Of the infant."""
    eyes: Mapping[Eye, Conclusion]
    views: tuple[ViewShown, ...]
    """Of every view that is required or was begun, right eye first."""
    opened_at: datetime
    closed_at: datetime
    """With their time zone."""
    equipment: EquipmentFacts = EquipmentFacts()
    order: Order = field(default_factory=Order)
    operator: str = ""
    refer_threshold: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is needed to repeat the readings, by name; put into the report's algorithm parameters."""
    documented: tuple[Documented, ...] = ()
    """By clinicians, in its order."""
    changes: tuple[Changed, ...] = ()
    exposures: tuple[str, ...] = ()
    """Light that was given, a line each."""
    disagreements: tuple[str, ...] = ()
    """Where a clinician's finding does not go with the outcome, a sentence each."""
    warnings: tuple[str, ...] = ()
    """What must be said beside the outcome: referring frames that a person took out of it."""
    trail: str = ""
    """Number and SHA-256 of the exam's newest event in the journal, `1042:3f2a...`: an anchor outside of the cart."""
    notice: str = ""
    """What must be said wherever a result of the exam's bundle is shown; of an exam without any result, too."""
    page: bool = True
    """Whether the report is sent as a PDF page too."""
    rejected: frozenset[str] = frozenset()
    """UIDs that the archive was told to reject: it takes none of them again."""

    @property
    def notices(self) -> tuple[str, ...]:
        """The exam's bundle's, and what each reading says beside it, each once; there is always one."""
        said = dict.fromkeys([self.notice, *(shot.reading.bundle.notice or AID_NOTICE for shot in self.shots)])
        return tuple(filter(None, said)) or (AID_NOTICE,)
