"""What a clinician may document of an eye, in the words of ICROP3 (2021); nothing here is ever inferred.

Chiang MF et al., International Classification of Retinopathy of Prematurity, Third Edition. Ophthalmology 2021;128.
This is the only file of the package that holds these words: the software itself never says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.exam.errors import ExamRefused
from runtime.exam.naming import says_nothing
from runtime.views import Eye

ZONES = ("I", "II posterior", "II", "III")
STAGES = ("0", "1", "2", "3", "4A", "4B", "5A", "5B", "5C")
PLUS = ("none", "pre-plus", "plus")
NOTHING = "no findings named"


@dataclass(frozen=True)
class EyeFindings:
    """One eye as a clinician saw it. Raises `ExamRefused` for a word that is not ICROP3's."""

    eye: Eye
    zone: str | None = None
    notch: bool = False
    """Into the more posterior zone."""
    stage: str | None = None
    plus: str | None = None
    a_rop: bool = False
    """Aggressive ROP; the older term AP-ROP is retired."""
    note: str = ""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("zone", self.zone, ZONES),
            ("stage", self.stage, STAGES),
            ("plus", self.plus, PLUS),
        ):
            if value is not None and value not in allowed:
                raise ExamRefused(f"{name}: got {value[:20]!r}, expected one of {', '.join(allowed)}")
        if self.notch and self.zone is None:
            raise ExamRefused("notch: it is noted with a zone; name the zone")

    @property
    def positive(self) -> bool:
        """Whether a clinician found the disease: a stage from 1 on, pre-plus or plus, or A-ROP."""
        return self.stage not in (None, "0") or self.plus in ("pre-plus", "plus") or self.a_rop

    @property
    def negative(self) -> bool:
        """Whether a clinician says that there is none."""
        return not self.positive and (self.stage == "0" or self.plus == "none")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that the journal keeps."""
        return {
            "eye": self.eye.value,
            "zone": self.zone,
            "notch": self.notch,
            "stage": self.stage,
            "plus": self.plus,
            "a_rop": self.a_rop,
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> EyeFindings:
        """From what `to_dict` gave; other names are left out."""
        names = ("zone", "notch", "stage", "plus", "a_rop", "note")
        return cls(eye=Eye(content["eye"]), **{name: content[name] for name in names})

    def words(self) -> str:
        """The findings in one line, for a report; `NOTHING` where none is named, as older journals may hold it."""
        return ", ".join(self._parts()) or NOTHING

    def check_named(self) -> None:
        """Raise `ExamRefused` where nothing is named, not even in a note."""
        if not self._parts():
            raise ExamRefused(
                f"document {self.eye.value}: nothing is named, so there is nothing to keep; "
                "give a zone, stage, plus or A-ROP, or write a note"
            )

    def _parts(self) -> list[str]:
        parts = [
            f"zone {self.zone}" if self.zone else "",
            "notch" if self.notch else "",
            f"stage {self.stage}" if self.stage else "",
            {"none": "no plus disease", "pre-plus": "pre-plus disease", "plus": "plus disease"}.get(
                self.plus or "", ""
            ),
            "A-ROP" if self.a_rop else "",
            self.note if not says_nothing(self.note) else "",
        ]
        return [part for part in parts if part]
