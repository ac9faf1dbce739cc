"""`Infant`: who is examined, with the range checks that catch a slip of the keyboard.

No message here repeats a name, an identifier or a date of birth: messages reach logs.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from runtime.exam.errors import InfantInvalid
from runtime.exam.naming import says_nothing, spoilt

EMERGENCY = "EMERGENCY-"
"""How an identifier begins that a cart made up, since nobody knew the infant's yet."""
LONGEST_NAME = 1000
LONGEST_ID = 64
"""As DICOM's Patient ID (LO)."""
WEIGHT_G = (200, 6000)
GESTATION_DAYS = (20 * 7, 45 * 7)
OLDEST = timedelta(days=5 * 366)
"""A birth longer ago than this is a slip of the year."""
FIELDS = ("infant_id", "name", "born_at", "gestational_age", "birth_weight_g")
OPTIONAL = ("sex",)
SEXES = ("M", "F", "O", "")
"""As DICOM writes them: male, female, other, not said."""
_GESTATION = re.compile(r"\s*(\d{1,2})\s*(?:w|weeks?|\+)\s*(?:(\d)\s*(?:d|days?)?)?\s*", re.ASCII)


@dataclass(frozen=True, order=True)
class Weeks:
    """An age in weeks and days."""

    days: int

    def __str__(self) -> str:
        return f"{self.days // 7}w{self.days % 7}d"

    @classmethod
    def parse(cls, text: str) -> Weeks:
        """From `27w3d`, `27+3` or `27w`; raises `InfantInvalid`."""
        found = _GESTATION.fullmatch(text)
        if found is None or int(found[2] or 0) > 6:
            raise InfantInvalid(
                f"gestational age: got {text[:20]!r}, expected weeks and days, as in 27w3d (days 0 to 6)"
            )
        return cls(int(found[1]) * 7 + int(found[2] or 0))


@dataclass(frozen=True)
class Infant:
    """Who is examined. Raises `InfantInvalid`; whether the birth lies in the future is checked by `check_born`."""

    infant_id: str
    """The hospital's identifier."""
    name: str
    """As written by the hospital, in any script; DICOM's `^` may separate its parts."""
    born_at: datetime
    """Date and time of birth, with its time zone; the beginning of the day where the time is not known."""
    gestational_age: Weeks
    """At birth."""
    birth_weight_g: int
    sex: str = ""
    """One of `SEXES`."""
    time_known: bool = True
    """Whether somebody said the time of birth, too; a worklist names the day alone."""

    def __post_init__(self) -> None:
        _check_text("infant_id", self.infant_id, LONGEST_ID)
        _check_text("name", self.name, LONGEST_NAME)
        if self.born_at.tzinfo is None:
            raise InfantInvalid("born_at: got a time without its zone, expected one as in 2026-10-01T04:30+02:00")
        low, high = GESTATION_DAYS
        if not low <= self.gestational_age.days <= high:
            raise InfantInvalid(
                f"gestational age: got {self.gestational_age}, expected {Weeks(low)} to {Weeks(high)}; "
                f"it is the age at birth in weeks and days"
            )
        _check_weight(self.birth_weight_g)
        if self.sex not in SEXES:
            raise InfantInvalid("sex: expected M, F, O (other), or nothing where it is not known")

    @property
    def born(self) -> str:
        """Of the birth what is known, for a person: `2026-10-01 04:30 +0200`, or the day."""
        return f"{self.born_at:%Y-%m-%d %H:%M %z}" if self.time_known else f"{self.born_at:%Y-%m-%d}"

    def age_days(self, at: datetime) -> int:
        """Whole days since birth."""
        return (at - self.born_at) // timedelta(days=1)

    def postmenstrual_age(self, at: datetime) -> Weeks:
        """Gestational age at birth and chronological age together, in whole days elapsed."""
        return Weeks(self.gestational_age.days + self.age_days(at))

    def check_born(self, now: datetime) -> None:
        """Raise `InfantInvalid` when the birth lies after `now`, or longer ago than any infant of an exam.

        Also for what identifier and name may not hold when they are entered.
        """
        _check_entered("infant_id", self.infant_id)
        _check_entered("name", self.name)
        clock = f"the cart's clock says {now.astimezone():%Y-%m-%d %H:%M %Z}"
        if self.born_at > now:
            raise InfantInvalid(f"born_at: it lies in the future ({clock}); correct the date of birth, or the clock")
        if now - self.born_at > OLDEST:
            raise InfantInvalid(
                f"born_at: it lies more than {OLDEST.days // 366} years back ({clock}); "
                f"correct the date of birth, or the clock"
            )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that the journal keeps, encrypted."""
        return {
            "infant_id": self.infant_id,
            "name": self.name,
            "born_at": self.born_at.isoformat() if self.time_known else f"{self.born_at:%Y-%m-%d}",
            "gestational_age": str(self.gestational_age),
            "birth_weight_g": self.birth_weight_g,
            "sex": self.sex,
        }

    @classmethod
    def from_dict(cls, content: object) -> Infant:
        """From a JSON object with the fields of this class; raises `InfantInvalid` for anything else."""
        if not isinstance(content, Mapping):
            raise InfantInvalid(f"infant: got {_kind(content)}, expected an object with {', '.join(FIELDS)}")
        missing, unknown = [f for f in FIELDS if f not in content], set(content) - {*FIELDS, *OPTIONAL}
        if missing or unknown:
            got = f"{', '.join(missing)} missing" if missing else f"{len(unknown)} unknown field(s)"
            raise InfantInvalid(f"infant: {got}; expected {', '.join(FIELDS)}, and sex where it is known")
        texts = {name: content[name] for name in ("infant_id", "name", "born_at", "gestational_age")}
        texts["sex"] = content.get("sex", "")
        for name, value in texts.items():
            if not isinstance(value, str):
                raise InfantInvalid(f"{name}: got {_kind(value)}, expected text")
        born_at, time_known = parse_birth(texts["born_at"])
        return cls(
            infant_id=texts["infant_id"],
            name=texts["name"],
            born_at=born_at,
            time_known=time_known,
            gestational_age=Weeks.parse(texts["gestational_age"]),
            birth_weight_g=parse_weight(content["birth_weight_g"]),
            sex=texts["sex"].strip().upper(),
        )


def parse_birth(text: str) -> tuple[datetime, bool]:
    """Date and time of birth in ISO 8601, or the date alone; whether the time was said. Raises `InfantInvalid`.

    Without a zone it is the cart's.
    """
    said = text.strip()
    day_alone = re.fullmatch(r"\d{4}-\d\d-\d\d", said, re.ASCII) is not None
    try:
        zone_alone = re.fullmatch(r"\d{4}-\d\d-\d\d([+-].*|[zZ])", said, re.ASCII)  # would be read as a time of day
        if zone_alone or (len(said) <= len("2026-10-01") and not day_alone):
            raise ValueError("no time")
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", said))
        return (moment if moment.tzinfo else moment.astimezone()), not day_alone
    except (ValueError, OverflowError, OSError):
        raise InfantInvalid(
            "born_at: not a date and time; expected ISO 8601, as in 2026-10-01T04:30, or the date alone"
        ) from None


_MOST_G = 10**9


def parse_weight(value: object) -> int:
    """Whole grams from a JSON value or a text; raises `InfantInvalid`."""
    if isinstance(value, str):
        number = re.fullmatch(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*(g|kg)?\s*", value, re.IGNORECASE | re.ASCII)
        if number is None or (number[2] or "").lower() == "kg":
            raise InfantInvalid(f"birth_weight_g: got {value[:20]!r}, expected grams without a unit, as in 980")
        value = float(number[1].replace(",", "."))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST_G:
        value = _MOST_G  # of so many digits no float can be made
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InfantInvalid(f"birth_weight_g: got {_kind(value)}, expected whole grams, as in 980")
    _check_weight(value)
    if value != int(value):
        raise InfantInvalid(f"birth_weight_g: got {value}, expected whole grams, as in {round(value)}")
    return int(value)


def _check_weight(grams: float) -> None:
    low, high = WEIGHT_G
    if low <= grams <= high:
        return
    hint = f"; that looks like kilograms: {round(grams * 1000)} g?" if low <= grams * 1000 <= high else ""
    raise InfantInvalid(f"birth_weight_g: got {grams:g}, expected {low} to {high} grams{hint}")


def _check_text(field: str, text: str, longest: int) -> None:
    if not text.strip():
        raise InfantInvalid(f"{field}: it is empty; expected the hospital's")
    if len(text) > longest:
        raise InfantInvalid(f"{field}: got {len(text)} characters, expected at most {longest}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InfantInvalid(f"{field}: it holds control characters or halves of characters; type it again")


def _check_entered(field: str, text: str) -> None:
    """What an older journal may hold, and nobody shall enter any more."""
    if says_nothing(text):
        raise InfantInvalid(f"{field}: it is empty; expected the hospital's")
    if "\\" in text:
        raise InfantInvalid(f"{field}: it holds a backslash, which parts values in DICOM; type it again without")
    if field == "infant_id" and any(unicodedata.category(character) == "Cf" for character in text):
        raise InfantInvalid(f"{field}: it holds marks that cannot be seen; type it again")
    if any(map(spoilt, text)):
        raise InfantInvalid(f"{field}: it holds marks that turn the reading order, or line breaks; type it again")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise InfantInvalid(f"{field}: some of its characters were lost on the way; type it again")


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def now_utc() -> datetime:
    """The cart's clock."""
    return datetime.now(timezone.utc)
