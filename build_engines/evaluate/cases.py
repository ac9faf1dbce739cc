"""The table of an evaluation: a picture, what is true of it, and whose it is, a row each."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build_engines.evaluate.errors import EvaluationError
from device.checked_file import read_whole
from runtime.bench.measure.labels import LARGEST, NO, YES

INFANT = ("infant", "patient", "subject")
"""Columns that tell infants apart, the first of them that is there."""
MOST_NAMED = 3


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
    raw, rows = _rows(path)
    columns = set(rows[0]) if rows else set()
    if not {"image", "refer"} <= columns:
        got = ", ".join(sorted(str(name) for name in columns)) or "no rows"
        raise EvaluationError(f"--data {path}: got columns {got[:120]}; expected image and refer (1 or 0), infant, eye")
    name = next((column for column in INFANT if column in columns), None)
    seen: dict[str, int] = {}
    cases, without = [], 0
    for number, row in enumerate(rows, start=2):
        here = f"--data {path}, line {number}"
        image = _image(here, row.get("image") or "")
        if image in seen:
            raise EvaluationError(f"{here}: {image} stands in line {seen[image]} already; expected each picture once")
        seen[image] = number
        text = (row.get("refer") or "").strip().lower()
        if not text:
            without += 1
            continue
        if text not in YES | NO:
            raise EvaluationError(f"{here}: refer is {row['refer']!r}; expected 1 or 0, or nothing where not known")
        said = {str(key): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
        infant = said.get(name, "") if name else ""
        if name and not infant:
            raise EvaluationError(f"{here}: {name} is empty; expected a code in each line, or no such column")
        cases.append(Case(image, text in YES, infant or None, said.get("eye") or None, said.get("view") or None, said))
    if not cases:
        raise EvaluationError(f"--data {path}: no row states refer; expected 1 or 0 in at least one")
    _require_two_eyes(path, cases)
    return Table(path, hashlib.sha256(raw).hexdigest(), tuple(cases), without)


def require_pictures(table: Table) -> None:
    """Raise `EvaluationError` when a picture is not there: before the networks are asked for hours."""
    absent = [case.image for case in table.cases if not (table.folder / case.image).is_file()]
    if absent:
        named = ", ".join(absent[:MOST_NAMED])
        raise EvaluationError(
            f"--data {table.path}: {len(absent)} of {len(table.cases)} pictures are not there ({named}); expected "
            f"paths from {table.folder}"
        )


def _require_two_eyes(path: Path, cases: list[Case]) -> None:
    """`L` here and `left` there would make four eyes of an infant, each with half of its views."""
    eyes: dict[str, set[str]] = {}
    for case in cases:
        if case.infant and case.eye:
            eyes.setdefault(case.infant, set()).add(case.eye)
    for infant, found in eyes.items():
        if len(found) > 2:
            named = ", ".join(sorted(found))
            raise EvaluationError(f"--data {path}: infant {infant} has {len(found)} eyes ({named}); expected two words")


def _rows(path: Path) -> tuple[bytes, list[dict[str, str]]]:
    try:
        raw = read_whole(path, LARGEST)
        reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        names = reader.fieldnames or []
        if len(set(names)) != len(names):
            raise EvaluationError(f"--data {path}: a column is named twice; expected each name once")
        rows = list(reader)
    except OSError as error:
        raise EvaluationError(f"--data {path}: cannot be read ({error.strerror or error}); name a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"--data {path}: not a CSV file in UTF-8 ({error})") from None
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise EvaluationError(f"--data {path}, line {number}: has more fields than the header names")
    return raw, rows


def _image(here: str, text: str) -> str:
    image = PurePosixPath(text.strip().replace("\\", "/"))
    if not text.strip() or image.is_absolute() or ".." in image.parts:
        raise EvaluationError(f"{here}: image is {text!r}; expected a path below the table's folder")
    return image.as_posix()
