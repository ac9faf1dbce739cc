"""A table in a CSV file as spreadsheets and programs write them: its rows by column; and what they may take of ours."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from device.checked_file import read_whole

YES, NO = frozenset({"1", "1.0", "true", "yes", "y"}), frozenset({"0", "0.0", "false", "no", "n"})
"""What a cell of a question says, in small letters; `1.0` is what programs write in a column that has gaps."""
MOST_COLUMNS = 10_000
LARGEST = 256 * 2**20
"""Bytes of a table, some hundred times those of a large study."""


def read_rows(path: Path, known: Collection[str] = ()) -> tuple[bytes, list[dict[str, str]]]:
    """The file's bytes and its rows: text by column, without spaces around names and cells; "" where a cell is missing.

    UTF-8 with or without its mark, commas, any ends of lines. A name of `known` is written there as in `known` whatever
    its capitals; a column without a name is passed over. Raises `OSError` when it cannot be read, `ValueError` with a
    text when it is no such table.
    """
    raw = read_whole(path, LARGEST)
    return raw, rows_in(raw, known)


def rows_in(raw: bytes, known: Collection[str] = ()) -> list[dict[str, str]]:
    """The rows of a table's bytes, as `read_rows` gives them. Raises `ValueError`."""
    reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
    try:
        names = [_name(text, known) for text in next(reader, [])]
        stated = [name for name in names if name]
        if len(stated) == 1 and set(stated[0]) & set(";\t"):
            raise ValueError(f"its first line is {stated[0][:60]!r}; expected commas between columns")
        if len(set(stated)) != len(stated):
            twice, _ = Counter(stated).most_common(1)[0]
            raise ValueError(f"column {twice} is named twice; expected each name once")
        if len(stated) > MOST_COLUMNS:
            raise ValueError(f"its first line names {len(stated):,} columns, expected {MOST_COLUMNS:,} at most")
        rows = []
        for cells in reader:
            if len(cells) > len(names):
                raise ValueError(f"line {reader.line_num} has {len(cells)} fields, the first line {len(names)}")
            if cells:
                row = dict(zip(names, map(str.strip, cells), strict=False))
                rows.append({name: row.get(name, "") for name in stated})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    return rows


def no_formula(text: str) -> str:
    """The text as a cell that a spreadsheet takes for no formula: names of files and cameras are strangers' words."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _name(text: str, known: Collection[str]) -> str:
    name = text.strip().strip("\ufeff").strip()  # a second mark of UTF-8, or one within quotes
    return name.lower() if name.lower() in known else name
