"""`Order`: what the hospital's worklist says of an exam that was asked for, and whether it is this infant's.

No message here repeats an identifier or a name: messages reach logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from typing import Any

from runtime.exam.errors import OrderInvalid
from runtime.exam.infant import SEXES, Infant
from runtime.exam.naming import cleaned, same_name, says_nothing, spoilt

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", re.ASCII)
_DAY = re.compile(r"([0-9]{4})([.\-]?)([0-9]{2})\2([0-9]{2})", re.ASCII)
_LONGEST = {
    "accession": 16,
    "study_uid": 64,
    "requested_procedure_id": 16,
    "step_id": 16,
}
"""Characters that DICOM can carry of an identifier; a part of one would be another one."""
LONGEST_TEXT = 1000
FINISHED = ("COMPLETED", "DISCONTINUED")
"""States of a scheduled step that nobody has to do any more."""
_SEX_WORDS = {"MALE": "M", "FEMALE": "F", "OTHER": "O"}


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM UID."""
    return len(text) <= _LONGEST["study_uid"] and _UID.fullmatch(text) is not None


def day_of(text: str) -> str:
    """A date as `YYYYMMDD`, from that or with dots or dashes between; empty for none. Raises `ValueError`."""
    plain = text.strip()
    if not plain:
        return ""
    found = _DAY.fullmatch(plain)
    if found is None:
        raise ValueError("no date")
    return f"{date(int(found[1]), int(found[3]), int(found[4])):%Y%m%d}".rjust(8, "0")


def sex_of(text: str) -> str:
    """DICOM's letter in whatever case, or its word; empty for what is not known, `U` among it."""
    plain = text.strip().upper()
    plain = _SEX_WORDS.get(plain, plain)
    return plain if plain in SEXES else ""


@dataclass(frozen=True)
class Order:
    """An exam that was ordered; empty strings for what is not known. Raises `OrderInvalid`."""

    accession: str = ""
    study_uid: str = ""
    requested_procedure_id: str = ""
    step_id: str = ""
    """Of the scheduled procedure step."""
    referring_physician: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            _check_text(name, value)
        for name, longest in _LONGEST.items():
            _check_identifier(name, getattr(self, name), longest)
        if self.study_uid and not is_uid(self.study_uid):
            raise OrderInvalid("order: study_uid: it is no DICOM UID (digits and dots); correct the order")

    @property
    def empty(self) -> bool:
        """Whether nothing was ordered."""
        return self == Order()

    def same_as(self, other: Order) -> bool:
        """Whether two orders ask for one and the same step."""
        steps = [(o.study_uid, o.accession, o.requested_procedure_id, o.step_id) for o in (self, other)]
        return any(steps[0]) and steps[0] == steps[1]

    def to_dict(self) -> dict[str, str]:
        """The JSON object that the journal keeps, encrypted."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: object) -> Order:
        """From a JSON object with some of the fields of this class; raises `OrderInvalid`.

        What is text for people comes to one line; an identifier stays as it is.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(content, Mapping) or set(content) - set(known):
            raise OrderInvalid(f"order: expected an object with {', '.join(known)} and nothing else")
        for name, value in content.items():
            _check_text(name, value)
        said = {name: cleaned(value) if name in _FOR_PEOPLE else value.strip(" ") for name, value in content.items()}
        return cls(**said)


_FOR_PEOPLE = ("referring_physician", "description")
WHOSE = ("patient_id", "patient_name", "birth_date", "sex")
"""Fields of a worklist answer that say whose order it is."""
_OF_THE_STEP = ("scheduled", "station_ae_title", "modality", "status", "alike", "unreadable", "unreadable_why", "exams")
"""Fields of a worklist answer that an exam does not keep."""
_MAY_BE_LOST = {"referring_physician", "description", "scheduled", "station_ae_title", "modality"}
"""Fields that an order does without where they cannot be read: they say neither whose order it is nor which."""


@dataclass(frozen=True)
class Ordered:
    """An order, and what it says of the infant; empty strings for what it does not say."""

    order: Order
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    """`YYYYMMDD`."""
    sex: str = ""
    alike: str = ""
    """Why to look twice, as the worklist says."""
    status: str = ""
    """Of the step, as the worklist says."""
    lost: tuple[str, ...] = ()
    """Fields that could not be read and are left out; none that says whose order it is, or which."""

    @classmethod
    def from_dict(cls, content: object) -> Ordered:
        """From an answer of `python -m runtime.dicom worklist --json`, or the fields of `Order` alone.

        Raises `OrderInvalid`.
        """
        if not isinstance(content, Mapping):
            raise OrderInvalid(f"order: got {type(content).__name__}, expected one object of the worklist")
        lost = _lost(content.get("unreadable", ()))
        order = Order.from_dict({k: v for k, v in content.items() if k not in (*WHOSE, *_OF_THE_STEP)})
        whose = {name: content.get(name, "") for name in (*WHOSE, "alike", "status")}
        for name, value in whose.items():
            _check_text(name, value)
        whose["patient_id"] = whose["patient_id"].strip(" ")
        _check_identifier("patient_id", whose["patient_id"], LONGEST_TEXT)
        whose["patient_name"] = "" if says_nothing(whose["patient_name"]) else cleaned(whose["patient_name"])
        whose["sex"] = sex_of(whose["sex"])
        try:
            whose["birth_date"] = day_of(whose["birth_date"])
        except ValueError:
            raise OrderInvalid("order: birth_date: it is no date; expected YYYYMMDD; correct the order") from None
        return cls(order, **whose, lost=lost)

    def fill(self, infant: Mapping[str, Any]) -> dict[str, Any]:
        """The infant's fields with those that the order knows and that were left out.

        Identifier and name are taken over only together with what can be compared: where the order lacks one of the
        two, both have to be given, or one infant's identifier might be joined to another one's name.
        """
        known = {"infant_id": self.patient_id, "name": self.patient_name}
        if not all(known.values()):
            known = {}
        return {name: value for name, value in (known | {"sex": self.sex}).items() if value} | dict(infant)

    def check_infant(self, infant: Infant) -> None:
        """Raise `OrderInvalid` when what the order says of the infant is not so: it is another one's order."""
        other = self.differing(infant)
        if other:
            raise OrderInvalid(
                f"order: its {' and '.join(other)} differ{'s' if len(other) == 1 else ''} from the infant's; "
                f"take the order of this infant, or correct the infant's fields"
            )

    def differing(self, infant: Infant) -> list[str]:
        """The names of the infant's fields that are said otherwise here; what is not said differs from nothing."""
        pairs = {
            "identifier": (self.patient_id, infant.infant_id.strip(" ")),
            "date of birth": (self.birth_date, f"{infant.born_at:%Y%m%d}"),
            "sex": (self.sex if infant.sex else "", infant.sex),
        }
        other = [what for what, (ordered, given) in pairs.items() if ordered and ordered != given]
        if self.patient_name and not same_name(self.patient_name, infant.name):
            other.insert(1 if other[:1] == ["identifier"] else 0, "name")
        return other


def chosen(orders: Sequence[Ordered], *, accession: str = "", step_id: str = "") -> list[Ordered]:
    """The orders of that accession number and step, where these are given; equal ones once."""
    fitting = [
        ordered
        for ordered in orders
        if accession in ("", ordered.order.accession) and step_id in ("", ordered.order.step_id)
    ]
    return list({replace(ordered, alike="", status=""): ordered for ordered in fitting}.values())


def _lost(unreadable: object) -> tuple[str, ...]:
    """What an order does without. Raises `OrderInvalid` where it cannot."""
    lost = unreadable if isinstance(unreadable, (list, tuple)) else ("a field",) if unreadable else ()
    if needed := [str(name)[:30] for name in lost if str(name) not in _MAY_BE_LOST]:
        names = ", ".join(needed)
        raise OrderInvalid(
            f"order: what the worklist holds in {names} could not be read; have it mended there, or name the "
            "worklist's character_set in the site's DICOM configuration; until then open the exam without the order"
        )
    return tuple(map(str, lost))


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise OrderInvalid(f"order: {name}: got {type(value).__name__}, expected text")
    if len(value) > LONGEST_TEXT:
        raise OrderInvalid(f"order: {name}: got {len(value)} characters, expected at most {LONGEST_TEXT}")
    if "\N{REPLACEMENT CHARACTER}" in value:
        raise OrderInvalid(f"order: {name}: some of its characters were lost on the way; have it mended there")


def _check_identifier(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise OrderInvalid(f"order: {name}: got {len(value)} characters, DICOM carries {longest}; correct the order")
    if value != value.strip(" ") or "\\" in value or any(map(spoilt, value)):
        raise OrderInvalid(
            f"order: {name}: it holds control characters, a backslash or outer spaces; correct the order"
        )
