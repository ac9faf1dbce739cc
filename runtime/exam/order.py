"""`Order`: what the hospital's worklist says of an exam that was asked for, and whether it is this infant's.

No message here repeats an identifier or a name: messages reach logs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from runtime.exam.errors import OrderInvalid
from runtime.exam.infant import Infant

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", re.ASCII)
_LONGEST = {
    "accession": 16,
    "study_uid": 64,
    "requested_procedure_id": 16,
    "step_id": 16,
}
"""Characters that DICOM can carry of an identifier; a part of one would be another one."""
LONGEST_TEXT = 1000


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
        if self.study_uid and not _UID.fullmatch(self.study_uid):
            raise OrderInvalid("order: study_uid: it is no DICOM UID (digits and dots); correct the order")
        if self.step_id and not self.requested_procedure_id:
            raise OrderInvalid("order: step_id without requested_procedure_id; give both, or neither")

    @property
    def empty(self) -> bool:
        """Whether nothing was ordered."""
        return self == Order()

    def to_dict(self) -> dict[str, str]:
        """The JSON object that the journal keeps, encrypted."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: object) -> Order:
        """From a JSON object with some of the fields of this class; raises `OrderInvalid`."""
        known = [field.name for field in fields(cls)]
        if not isinstance(content, Mapping) or set(content) - set(known):
            raise OrderInvalid(f"order: expected an object with {', '.join(known)} and nothing else")
        return cls(**content)


WHOSE = ("patient_id", "patient_name", "birth_date", "sex")
"""Fields of a worklist answer that say whose order it is."""
_OF_THE_STEP = ("scheduled", "station_ae_title")
"""Fields of a worklist answer that an exam does not keep."""


@dataclass(frozen=True)
class Ordered:
    """An order, and what it says of the infant; empty strings for what it does not say."""

    order: Order
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    """`YYYYMMDD`."""
    sex: str = ""

    @classmethod
    def from_dict(cls, content: object) -> Ordered:
        """From an answer of `python -m runtime.dicom worklist --json`, or the fields of `Order` alone.

        Raises `OrderInvalid`.
        """
        if not isinstance(content, Mapping):
            raise OrderInvalid(f"order: got {type(content).__name__}, expected one object of the worklist")
        order = Order.from_dict({k: v for k, v in content.items() if k not in (*WHOSE, *_OF_THE_STEP)})
        whose = {name: content.get(name, "") for name in WHOSE}
        for name, value in whose.items():
            _check_text(name, value)
        return cls(order, **whose)

    def fill(self, infant: Mapping[str, Any]) -> dict[str, Any]:
        """The infant's fields with those that the order knows and that were left out."""
        known = {"infant_id": self.patient_id, "name": self.patient_name}
        known["sex"] = self.sex if self.sex in ("M", "F", "O") else ""
        return {name: value for name, value in known.items() if value} | dict(infant)

    def check_infant(self, infant: Infant) -> None:
        """Raise `OrderInvalid` when what the order says of the infant is not so: it is another one's order."""
        pairs = {
            "identifier": (self.patient_id, infant.infant_id.strip()),
            "date of birth": (self.birth_date, f"{infant.born_at:%Y%m%d}"),
            "sex": (self.sex if infant.sex else "", infant.sex),
        }
        other = [what for what, (ordered, given) in pairs.items() if ordered and ordered != given]
        if other:
            raise OrderInvalid(
                f"order: its {' and '.join(other)} differ{'s' if len(other) == 1 else ''} from the infant's; "
                f"take the order of this infant, or correct the infant's fields"
            )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise OrderInvalid(f"order: {name}: got {type(value).__name__}, expected text")
    if len(value) > LONGEST_TEXT:
        raise OrderInvalid(f"order: {name}: got {len(value)} characters, expected at most {LONGEST_TEXT}")


def _check_identifier(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise OrderInvalid(f"order: {name}: got {len(value)} characters, DICOM carries {longest}; correct the order")
    if value != value.strip() or any(c == "\\" or unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise OrderInvalid(
            f"order: {name}: it holds control characters, a backslash or outer spaces; correct the order"
        )
