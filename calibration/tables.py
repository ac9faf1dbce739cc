"""`labels.csv`: what a table says of the pictures beside it - their device, and the group that stays together."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calibration.errors import CalibrationError
from calibration.gap_words import is_unknown_elsewhere
from device.shown import only_seen
from runtime.csv_rows import read_rows

TABLE = "labels.csv"
INFANT = ("infant", "patient", "subject")
"""Columns that tell infants apart, the first of them that is there."""
NO_CODES = frozenset(
    {
        "",
        "nan",
        "na",
        "n/a",
        "n.a.",
        "null",
        "nil",
        "none",
        "nat",
        "missing",
        "unknown",
        "unk",
        "not known",
        "not stated",
        "not available",
        "not applicable",
        "tba",
        "tbc",
        "tbd",
        "todo",
        "pending",
        "anonymous",
        "xxx",
    }
    | {"-", "--", "---", "?", "??", "???", ".", "/"}
)
"""What stands in a cell without a code, in small letters."""
MINUS = "\u2212"
LOOKS_LATIN = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abekmhopctyx" + "abezhikmnoptyx",
)
"""Small letters of Cyrillic and Greek whose capitals look like Latin ones."""
COLUMNS = ("image", "device", "frame_group", "original", *INFANT)


@dataclass(frozen=True)
class Listed:
    """One row of a table."""

    image: Path
    device: str | None
    group: str
    """As `build_engines.train` names it: frames of one group never stand on both sides of its split."""
    infant: str | None = None
    """The infant's code, where the table tells infants apart."""


@dataclass(frozen=True)
class LabelTable:
    """A table of pictures."""

    sha256: str
    rows: tuple[Listed, ...]


@lru_cache(maxsize=64)
def read_table(path: Path) -> LabelTable:
    """Read a CSV file with a column `image`: paths from the table's folder.

    `device`, `frame_group`, `original` and those of `INFANT` are used where they are. Raises `CalibrationError`.
    """
    try:
        raw, rows = read_rows(path, COLUMNS)
    except OSError as error:
        raise CalibrationError(f"table {path}: cannot be read ({error.strerror or error}); name a CSV file") from None
    except ValueError as error:
        raise CalibrationError(f"table {path}: not a CSV file ({error}); expected a column image") from None
    if not rows or "image" not in rows[0]:
        got = ", ".join(rows[0]) if rows else "no rows"
        raise CalibrationError(f"table {path}: got {got}; expected a CSV file with a column image")
    listed = []
    for number, row in enumerate(rows, start=2):
        if not row["image"]:
            raise CalibrationError(f"table {path}, line {number}: no image is named; expected one in each line")
        image = path.parent / row["image"].replace("\\", "/")
        infant = as_read(next((row[name] for name in INFANT if name in row), ""))
        group = _group(path.resolve().parent.name, row)
        listed.append(Listed(image, row.get("device") or None, group, infant or None))
    return LabelTable(hashlib.sha256(raw).hexdigest(), tuple(listed))


def as_read(text: str) -> str:
    """A code or word as people read it: letters with accents written one way (NFC), nothing that is not seen."""
    return only_seen(unicodedata.normalize("NFC", text)).strip()


def alike(code: str) -> str:
    """What codes have in common that people write for one another: that differ by capitals, widths, leading zeros, a
    `.0`, digits or letters of another script that look the same, or by what stands between letters and digits.

    `P01`, `p-1`, `P 1` and a P of Cyrillic; `1` and `1.0`, as programs write whole numbers of a column that has gaps.
    """
    text = re.sub(r"^(\d+)[.,]0+$", r"\1", _folded(code))
    apart = re.sub(r"[\W_]+", "-", text).strip("-") or text
    joined = re.sub(r"(?<=[^\W\d])-(?=\d)|(?<=\d)-(?=[^\W\d])", "", apart)
    return re.sub(r"(?<!\d)0+(?=\d)", "", joined)


def _folded(code: str) -> str:
    """In small letters of one width and script, with one kind of dash and of digits."""
    plain = unicodedata.normalize("NFKC", as_read(code)).casefold().translate(LOOKS_LATIN)
    return "".join(
        "-" if unicodedata.category(c) == "Pd" or c == MINUS else str(unicodedata.decimal(c, c)) for c in plain
    )


def is_no_code(text: str) -> bool:
    """Whether a cell says that there is no code, as programs and people write it: `nan`, `N/A`, `unknown`, `-`, `?`, in
    other languages, too."""
    return _folded(text).strip("<>#()[] ") in NO_CODES or is_unknown_elsewhere(as_read(text))


def _group(dataset: str, row: dict[str, str]) -> str:
    """The rule of `build_engines.train.data`, which tests/calibration/test_tables.py holds it to."""
    return row.get("frame_group") or f"{dataset}:{row.get('subject') or row.get('original') or row['image']}"


def listed_beside(folder: Path) -> dict[str, Listed]:
    """What the table of a folder of pictures, in it or above it, says of them, by file name; none without a table."""
    for table in (folder / TABLE, folder.resolve().parent / TABLE):
        if table.is_file():
            inside = folder.resolve()
            return {row.image.name: row for row in read_table(table).rows if row.image.resolve().parent == inside}
    return {}
