"""The table `exams`, a line an exam: each with a checksum, and made again from the trail where it was altered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from runtime.exam.errors import ExamRefused, JournalDamaged
from runtime.exam.journal import fold as folding
from runtime.exam.journal.chain import EventRow, canonical, digest
from runtime.exam.journal.trail import COLUMNS

Line: TypeAlias = tuple[Any, ...]
"""A row of the table, in the order of `SUMMARY_COLUMNS`."""
Query: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
MIGRATED = "migrated"
_SELECT = f"SELECT {folding.SUMMARY_COLUMNS}, checksum FROM exams"


@dataclass(frozen=True)
class Lines:
    """Every exam's line, newest first by event, and the names of those that the table had altered or lost."""

    lines: tuple[Line, ...]
    altered: tuple[str, ...]


def checksum(line: Sequence[Any]) -> str:
    """What the row's `checksum` must be."""
    return digest(canonical(list(line)))


def save(connection: sqlite3.Connection, line: Line) -> None:
    """Write a line, inside the caller's transaction."""
    marks = ", ".join("?" * (len(line) + 1))
    connection.execute(
        f"INSERT OR REPLACE INTO exams({folding.SUMMARY_COLUMNS}, checksum) VALUES ({marks})", (*line, checksum(line))
    )


def all_lines(query: Query) -> Lines:
    """Every exam that the trail opened. Costs a hash an exam; the trail is read only where a row does not fit."""
    found: dict[str, Line] = {}
    for *line, kept in query(_SELECT, ()):
        if _sound(line, kept):
            found[str(line[0])] = tuple(line)
    opened = [str(exam) for (exam,) in query("SELECT exam FROM events WHERE kind = ?", (folding.OPENED,))]
    altered = []
    for exam in opened:
        if exam in found:
            continue
        altered.append(exam)
        made = made_again(query, exam)
        if made is not None:
            found[exam] = made
    newest_first = sorted(found.values(), key=lambda line: int(line[12]), reverse=True)
    return Lines(tuple(newest_first), tuple(altered))


def mend(connection: sqlite3.Connection) -> list[str]:
    """Write the lines anew that the trail tells otherwise, inside the caller's transaction; each named."""

    def query(sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        return connection.execute(sql, arguments).fetchall()

    found, told = all_lines(query), []
    for row in query(_SELECT, ()):
        if not _sound(row[:-1], row[-1]):
            connection.execute("DELETE FROM exams WHERE exam IS ?", row[:1])
    for line in found.lines:
        if line[0] in found.altered:
            save(connection, line)
    made = {line[0] for line in found.lines}
    for exam in found.altered:
        told.append(f"exam {exam}: its row was {'made again from the trail' if exam in made else 'beyond repair'}")
    return told


def line_of(query: Query, exam_id: str) -> tuple[Line | None, bool]:
    """One exam's line, and whether the table's row had been altered; None when there is no such exam."""
    rows = query(f"{_SELECT} WHERE exam = ?", (exam_id,))
    for *line, kept in rows:
        if _sound(line, kept):
            return tuple(line), False
    made = made_again(query, exam_id)
    return made, bool(rows) or made is not None


def made_again(query: Query, exam_id: str) -> Line | None:
    """The line as the trail tells it; None when no event opened the exam or its events make none."""
    try:
        rows = events_of(query, exam_id)
        if not rows:
            return None
        offset_s = old_offsets(query).get(exam_id)
        return made_of(rows, offset_s)
    except (ExamRefused, JournalDamaged, KeyError, ValueError, TypeError, IndexError):
        return None


def made_of(rows: Sequence[EventRow], utc_offset_s: int | None) -> Line:
    """The line that these events, all those of one exam, make."""
    if rows[-1].kind == folding.RETIRED:
        return folding.retired_row(rows[-1], rows[0].seq, utc_offset_s)
    return folding.summary_row(folding.fold(rows, utc_offset_s))


def events_of(query: Query, exam_id: str) -> list[EventRow]:
    """The events of an exam, in their order. Raises `JournalDamaged` when one is not what its hash says."""
    rows = [EventRow(*row) for row in query(f"SELECT {COLUMNS} FROM events WHERE exam = ? ORDER BY seq", (exam_id,))]
    for row in rows:
        if row.body is not None and not (isinstance(row.body, str) and digest(row.body) == row.body_sha256):
            raise JournalDamaged(f"event {row.seq}: its content was altered")
    return rows


def old_offsets(query: Query) -> dict[str, int]:
    """By exam that was opened before version 4 the offset that was fixed when its journal was brought forward."""
    found: dict[str, int] = {}
    for (body,) in query("SELECT body FROM events WHERE kind = ? ORDER BY seq", (MIGRATED,)):
        found.update(json.loads(body or "{}").get("utc_offsets_s", {}))
    return found


def fill_new_columns(connection: sqlite3.Connection) -> dict[str, int]:
    """After the step to version 4, inside its transaction: what the new columns hold for older exams.

    What of an exam a person typed, and software before this one left out of what it sent, is sent anew. Gives the
    offset from UTC of each exam, as this machine's time zone has it for the day, for the trail.
    """
    offsets: dict[str, int] = {}
    marks = ", ".join("?" * len(folding.TYPED))
    typed = dict(
        connection.execute(
            f"SELECT exam, max(seq) FROM events WHERE kind IN ({marks}) GROUP BY exam", folding.TYPED
        ).fetchall()
    )
    opened = dict(connection.execute("SELECT exam, seq FROM events WHERE kind = ?", (folding.OPENED,)).fetchall())
    for old in connection.execute(f"SELECT {folding.SUMMARY_COLUMNS} FROM exams").fetchall():
        exam, phase, opened_at = str(old[0]), old[1], str(old[7])
        offset = datetime.fromisoformat(opened_at).astimezone().utcoffset()
        offsets[exam] = 0 if offset is None else int(offset.total_seconds())
        newest_typed = 0 if phase == "retired" else int(typed.get(exam, 0))
        save(connection, (*old[:12], int(opened.get(exam, 0)), newest_typed, offsets[exam]))
    return offsets


def _sound(line: Sequence[Any], kept: object) -> bool:
    try:
        return checksum(line) == kept
    except (TypeError, ValueError):
        return False
