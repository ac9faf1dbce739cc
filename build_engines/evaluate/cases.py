"""The table of an evaluation: a picture, what is true of it, and whose it is, a row each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build_engines.evaluate.errors import EvaluationError
from calibration.tables import INFANT, alike, as_read, is_no_code
from runtime.bench.measure.labels import SHOWN
from runtime.csv_rows import NO, YES, read_rows
from runtime.views import EYES_IN_TABLES

KNOWN = (*("image", "refer", "eye", "view", "device", "site", "gestational_age", "sha256"), *INFANT)
"""Columns that are used without being asked for."""
WHOSE = re.compile(r"infant|patient|subject|neonate|newborn|baby|child|person|\bmrn\b|^(p|s|i)?_?id$", re.IGNORECASE)
"""Names of columns that are perhaps an infant's."""
MOST_NAMED = 3
EYES = 2


@dataclass(frozen=True)
class Case:
    """One row."""

    image: str
    """The picture's path from the table's folder, with forward slashes."""
    refer: bool
    infant: str | None
    eye: str | None
    view: str | None
    columns: Mapping[str, str]
    """Every column by name, as text."""


@dataclass(frozen=True)
class Table:
    """A table of labelled pictures."""

    path: Path
    sha256: str
    cases: tuple[Case, ...]
    """Those whose truth is stated, in the order of the file."""
    without_truth: int
    """Rows that state no truth: counted, and not evaluated."""
    notes: tuple[str, ...] = ()
    """What was passed over, a sentence each."""
    of_no_truth: frozenset[str] = frozenset()
    """Pictures of the rows that state no truth, by path and by `sha256`."""

    @property
    def folder(self) -> Path:
        """Where paths start."""
        return self.path.parent

    def has(self, column: str) -> bool:
        """Whether any row says something in a column."""
        return any(case.columns.get(column) for case in self.cases)


def read_cases(path: Path) -> Table:
    """Read a CSV file with the columns `image` and `refer` (1 or 0).

    `infant` (or `patient`, `subject`), `eye`, `view` and any other column are used where they are. Raises
    `EvaluationError` for another thing, a picture that is named twice, or an eye without its infant.
    """
    try:
        raw, rows = read_rows(path, KNOWN)
    except OSError as error:
        raise EvaluationError(f"table {path}: cannot be read ({error.strerror or error}); name a CSV file") from None
    except ValueError as error:
        raise EvaluationError(f"table {path}: not a CSV file in UTF-8 ({error})") from None
    columns = set(rows[0]) if rows else set()
    if not {"image", "refer"} <= columns:
        got = f"columns {', '.join(sorted(columns))[:SHOWN]}" if columns else "no rows"
        raise EvaluationError(f"table {path}: got {got}; expected image and refer (1 or 0), infant, eye")
    rows = [{**row, **{column: as_read(row[column]) for column in INFANT if column in row}} for row in rows]
    name = next((column for column in INFANT if column in columns), None)
    notes = _other_codes(path, rows, [column for column in INFANT if column in columns])
    seen: dict[str, int] = {}
    cases, without, of_no_truth = [], 0, set()
    for number, row in enumerate(rows, start=2):
        here = f"table {path}, line {number}"
        image = _image(here, row["image"])
        if image in seen:
            raise EvaluationError(f"{here}: {image} stands in line {seen[image]} already; expected each picture once")
        seen[image] = number
        text = row["refer"].lower()
        if not text:
            without += 1
            of_no_truth |= {image, row.get("sha256", "").lower()} - {""}
            continue
        if text not in YES | NO:
            raise EvaluationError(f"{here}: refer is {row['refer']!r}; expected 1 or 0, or nothing where not known")
        infant = row[name] if name else ""
        if name and not infant:
            raise EvaluationError(f"{here}: {name} is empty; expected a code in each line, or no such column")
        if name and is_no_code(infant):
            raise EvaluationError(
                f"{here}: {name} is {infant!r}, which says that none is known; expected a code in each line: all such "
                f"rows would be one infant"
            )
        eye = _eye(row.get("eye", ""))
        cases.append(
            Case(image, text in YES, infant or None, eye, as_read(row.get("view", "")).casefold() or None, row)
        )
    if not cases:
        raise EvaluationError(f"table {path}: no row states refer; expected 1 or 0 in at least one")
    _require_two_eyes(path, cases)
    notes = (*notes, *([] if name else _perhaps_infants(columns)), *_alike_codes(cases), *_unknown_eyes(cases))
    return Table(path, hashlib.sha256(raw).hexdigest(), tuple(cases), without, notes, frozenset(of_no_truth))


def require_pictures(table: Table) -> None:
    """Raise `EvaluationError` when a picture is not there: before the networks are asked for hours."""
    absent = [case.image for case in table.cases if not (table.folder / case.image).is_file()]
    if absent:
        named = ", ".join(absent[:MOST_NAMED])
        raise EvaluationError(
            f"--data {table.path}: {len(absent)} of {len(table.cases)} pictures are not there ({named}); expected "
            f"paths from {table.folder}"
        )


def _other_codes(path: Path, rows: list[dict[str, str]], names: list[str]) -> tuple[str, ...]:
    """What to say of a second column for infants; one that tells them apart otherwise leaves open who is whom."""
    notes = []
    for other in names[1:]:
        pairs = {(row[names[0]], row[other]) for row in rows if row[other]}
        for column, codes in zip((names[0], other), zip(*pairs, strict=True), strict=False):
            twice = next((code for code in codes if codes.count(code) > 1), None)
            if twice is not None:
                raise EvaluationError(
                    f"table {path}: columns {names[0]} and {other} part the infants otherwise ({column} {twice} stands "
                    f"beside several codes of the other); expected one column for infants, take the other out"
                )
        if any(first != second for first, second in pairs):
            notes.append(f"Infants are told apart by column {names[0]}; column {other} holds other codes, not used.")
    return tuple(notes)


def _perhaps_infants(columns: Collection[str]) -> list[str]:
    """Columns that may tell infants apart by a name of their own, where none does that is used: `Patient_ID`, `MRN`."""
    found = [column for column in sorted(columns) if WHOSE.search(column)]
    if not found:
        return []
    return [
        f"Column {', '.join(found[:MOST_NAMED])} may tell infants apart and is not used: pictures count by themselves, "
        "and intervals are too narrow where infants have several; name the column infant."
    ]


def _alike_codes(cases: list[Case]) -> list[str]:
    """Codes that may be one infant's: counted as several, as the table has it, and said."""
    found: dict[str, list[str]] = {}
    for code in dict.fromkeys(case.infant for case in cases if case.infant):
        found.setdefault(alike(code), []).append(code)
    several = [codes for codes in found.values() if len(codes) > 1]
    if not several:
        return []
    named = ", ".join(" and ".join(codes) for codes in several[:MOST_NAMED])
    return [
        f"{sum(map(len, several))} codes of infants differ by capitals, signs, scripts, leading zeros or .0 alone "
        f"({named}): each counts as an infant; where they are one, write one code."
    ]


def _unknown_eyes(cases: list[Case]) -> list[str]:
    """Words that nobody knows beside known ones, or more than two of them: an eye may stand there under several."""
    words = dict.fromkeys(case.eye for case in cases if case.eye)
    known = {eye.value for eye in EYES_IN_TABLES.values()}
    unknown = [word for word in words if word not in known]
    if not unknown or (len(unknown) == len(words) and len(words) <= EYES):
        return []
    beside = "beside known ones" if len(unknown) < len(words) else f"and by {len(words)} of them"
    return [
        f"{sum(case.eye in unknown for case in cases)} rows name an eye by words that are not known "
        f"({', '.join(unknown[:MOST_NAMED])}) {beside}: these count as eyes of their own; write OD or OS."
    ]


def _require_two_eyes(path: Path, cases: list[Case]) -> None:
    """Words that nobody knows as one eye's would make three eyes of an infant, each with a part of its views."""
    eyes: dict[str, set[str]] = {}
    for case in cases:
        if case.infant and case.eye:
            eyes.setdefault(case.infant, set()).add(case.eye)
    for infant, found in eyes.items():
        if len(found) > EYES:
            named = ", ".join(sorted(found))
            raise EvaluationError(f"table {path}: infant {infant} has {len(found)} eyes ({named}); expected two words")


def _eye(text: str) -> str | None:
    """`L` here and `left` there are one eye; words of other kinds stay, in small letters."""
    word = as_read(text).casefold()
    word = word.replace(".", "") if re.fullmatch(r"(\w\.){1,2}", word) else word  # O.D.
    known = EYES_IN_TABLES.get(word)
    return known.value if known else word or None


def _image(here: str, text: str) -> str:
    image = PurePosixPath(text.replace("\\", "/"))
    if not text or "\0" in text or image.is_absolute() or ".." in image.parts:
        raise EvaluationError(f"{here}: image is {text!r}; expected a path below the table's folder")
    return image.as_posix()
