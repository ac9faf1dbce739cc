"""Text and time in the forms that DICOM's value representations allow."""

from __future__ import annotations

from datetime import date, datetime, time

from runtime.dicom.errors import RecordUnusable
from runtime.exam.naming import cleaned, spoilt

NAME_GROUP_LENGTH = 64
_NAME_GROUPS, _NAME_PARTS = 3, 5


def plain(text: str) -> str:
    """One line without control characters and without the backslash, which would part values."""
    return cleaned(text.replace("\\", " "))


def short(text: str, length: int) -> str:
    """A description cut to what its value representation holds (LO 64, SH 16).

    A value of an odd number of bytes gets a space behind it, which strict readers count as one character more.
    """
    cut = plain(text)[:length].strip()
    return cut if len(cut) < length or len(cut.encode()) % 2 == 0 else cut[:-1].rstrip()


def exact(text: str, length: int, what: str) -> str:
    """An identifier as it is, inner spaces too; raises `RecordUnusable` where DICOM could carry only a part of it."""
    found = text.strip(" ")
    if len(found) > length or "\\" in found or any(map(spoilt, found)):
        raise RecordUnusable(
            f"{what} cannot be sent: {len(text)} characters, DICOM allows {length} without control characters "
            "and backslash; correct it in the exam"
        )
    return found


def person_name(name: str) -> str:
    """PN: at most three component groups of 64 characters and five parts; a longer name is cut, see `name_is_whole`."""
    return "=".join(_group(group) for group in plain(name).split("=")[:_NAME_GROUPS]).rstrip("=")


def _group(group: str) -> str:
    parts = [part.strip(" ") for part in group.split("^")]
    joined = "^".join([*parts[: _NAME_PARTS - 1], " ".join(parts[_NAME_PARTS - 1 :])])
    joined = joined[:NAME_GROUP_LENGTH].rstrip("^ ")
    # A name in one piece is a family name; without the delimiter it would read as a form that was retired.
    return joined if "^" in joined or not joined else f"{joined[: NAME_GROUP_LENGTH - 1]}^"


def name_is_whole(name: str) -> bool:
    """Whether PN holds every group of the name uncut."""
    given = [_bare(group) for group in plain(name).split("=")]
    made = [_bare(group) for group in person_name(name).split("=")]
    return all(group == (made[number] if number < len(made) else "") for number, group in enumerate(given))


def _bare(group: str) -> str:
    return "^".join(part.strip(" ") for part in group.split("^")).rstrip("^ ")


def da(day: date | None) -> str:
    """DA, `YYYYMMDD`, empty where not known."""
    return "" if day is None else f"{day:%Y%m%d}"


def tm(moment: datetime | time | None) -> str:
    """TM with microseconds, empty where not known."""
    return "" if moment is None else f"{moment:%H%M%S.%f}"


def dt(moment: datetime) -> str:
    """DT with microseconds and the offset from UTC."""
    return f"{moment:%Y%m%d%H%M%S.%f%z}"[:26]


def offset(moment: datetime) -> str:
    """Offset from UTC as `+0100`."""
    return f"{moment:%z}"[:5]


def age(birth: date | None, day: date) -> str:
    """AS of an infant: days under four weeks, then weeks, then months; empty where it cannot be told."""
    if birth is None or (days := (day - birth).days) < 0:
        return ""
    if days < 28:
        return f"{days:03d}D"
    if days < 7 * 105:
        return f"{days // 7:03d}W"
    return f"{days // 30:03d}M" if days // 30 < 1000 else ""
