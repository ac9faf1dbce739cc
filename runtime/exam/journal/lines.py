"""The table `exams`, a line an exam: each sealed, with the strand of its events, so that neither can change unseen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, TypeAlias

from runtime.exam.errors import ExamRefused, JournalDamaged
from runtime.exam.journal import fold as folding
from runtime.exam.journal.chain import EventRow, Strand
from runtime.exam.journal.once import Once
from runtime.exam.journal.records import ExamSummary
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import COLUMNS, WITH_BEFORE, checked_event, own_strand, save_own, trail_end, wrong_end
from runtime.exam.journal.unbroken import broken_links

Line: TypeAlias = tuple[Any, ...]
"""What a line tells, in the order of `SUMMARY_COLUMNS`."""
MIGRATED = "migrated"
COLUMNS_OF_LINE = "exam, phase, pending, changed_seq, opened_seq, sealed"
_SELECT = f"SELECT {COLUMNS_OF_LINE} FROM exams"
_COUNTED = "SELECT exam, count(*), max(seq) FROM events GROUP BY exam"


@dataclass(frozen=True)
class SealedContent:
    """What a row of the table seals."""

    line: Line
    strand: Strand
    accounts: tuple[str, ...] = ()
    """Whose account of light the exam's exposures are on."""

    @cached_property
    def summary(self) -> ExamSummary:
        """The line for its readers."""
        return folding.summary_of(self.line)


@dataclass(frozen=True)
class Lines:
    """Every exam's line, newest first by event, and the names of those that the table had altered or lost."""

    kept: tuple[SealedContent, ...]
    altered: tuple[str, ...]


def rows_of(connection: sqlite3.Connection, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return connection.execute(sql, arguments).fetchall()


def row_of(secrets: Secrets, kept: SealedContent) -> tuple[Any, ...]:
    """A row of the table, in the order of `COLUMNS_OF_LINE`."""
    exam = str(kept.line[0])
    sealed = secrets.seal_json("line", exam, [kept.line, astuple(kept.strand), kept.accounts])
    return (*_plain(kept.line), sealed)


def save(connection: sqlite3.Connection, secrets: Secrets, kept: SealedContent) -> None:
    """Write a line, inside the caller's transaction."""
    connection.execute(
        f"INSERT OR REPLACE INTO exams({COLUMNS_OF_LINE}) VALUES (?, ?, ?, ?, ?, ?)", row_of(secrets, kept)
    )


def all_lines(connection: sqlite3.Connection, secrets: Secrets, opened: Once[SealedContent] | None = None) -> Lines:
    """Every exam that the trail tells of; events are read only where a row does not fit.

    opened: what rows told before, of `sound`; without it every row is decrypted. Raises `JournalDamaged` when events
    were removed that no line names.
    """
    counted = {exam: (int(events), last) for exam, events, last in rows_of(connection, _COUNTED)}
    found: dict[str, SealedContent] = {}
    strange = []
    opened = Once(sound) if opened is None else opened
    for row in rows_of(connection, _SELECT):
        kept = opened(secrets, row[0], row)
        if kept is not None and counted.get(row[0]) == (kept.strand.events, kept.strand.last):
            found[str(row[0])] = kept
        elif row[0] not in counted:
            strange.append(str(row[0]))
    altered = [str(exam) for exam in counted if exam is not None and exam not in found] + strange
    _check_whole(connection, secrets, counted, bool(altered))
    if altered:
        unbroken = _unbroken(connection, secrets)
        for exam in altered:
            made = made_again(connection, secrets, exam) if unbroken else None
            if made is not None:
                found[exam] = made
    newest_first = sorted(found.values(), key=lambda kept: int(kept.line[12]), reverse=True)
    return Lines(tuple(newest_first), tuple(altered))


def _check_whole(
    connection: sqlite3.Connection, secrets: Secrets, counted: dict[Any, tuple[int, Any]], altered: bool
) -> None:
    """The journal's own events are there, and no event is missing that nothing else tells of."""
    own = _own(connection, secrets)
    events = sum(number for number, _ in counted.values())
    newest = max((int(last) for _, last in counted.values()), default=0)
    gap = events != newest and not altered
    if gap or (own is not None and counted.get(None) != (own.events, own.last)):
        raise JournalDamaged(
            f"the journal's trail has {events} events, the newest is number {newest}; "
            f"events were removed or added; run python -m runtime.exam verify, and bring back a copy"
        )
    if own is None and not _unbroken(connection, secrets):
        raise JournalDamaged("the journal's own events were altered; run python -m runtime.exam verify")


def _own(connection: sqlite3.Connection, secrets: Secrets) -> Strand | None:
    """None when its seal was altered; the trail can then make it again."""
    try:
        return own_strand(connection, secrets)
    except JournalDamaged:
        return None


def _unbroken(connection: sqlite3.Connection, secrets: Secrets) -> bool:
    """Whether every event is as it was written, up to the sealed head; reads the whole trail."""
    return next(altered_events(connection, secrets), None) is None


def altered_events(connection: sqlite3.Connection, secrets: Secrets | None) -> Iterator[tuple[str, str]]:
    """(which event, what is wrong) of everything in the trail that is not as it was written; the head comes last."""
    retired = dict(rows_of(connection, RETIRED_AT, (folding.RETIRED,)))
    yield from broken_links(connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq"), retired)
    wrong = wrong_end(trail_end(connection), secrets)
    if wrong is not None:
        yield "head of the trail", wrong


RETIRED_AT = "SELECT exam, seq FROM events WHERE kind = ?"


def mend(connection: sqlite3.Connection, secrets: Secrets) -> list[str]:
    """Write the lines anew that the trail tells otherwise, inside the caller's transaction; each named."""

    found, told = all_lines(connection, secrets), list[str]()
    if _own(connection, secrets) is None:
        own = Strand()
        for seq, hash_ in rows_of(connection, "SELECT seq, hash FROM events WHERE exam IS NULL ORDER BY seq"):
            own = own.after(seq, hash_)
        save_own(connection, secrets, own)
        told.append("the journal's own events: their seal was made again from the trail")
    made = {kept.line[0]: kept for kept in found.kept}
    for exam in found.altered:
        connection.execute("DELETE FROM exams WHERE exam IS ?", (exam,))
        if exam in made:
            save(connection, secrets, made[exam])
        told.append(f"exam {exam}: its row was {'made again from the trail' if exam in made else 'beyond repair'}")
    return told


def line_of(connection: sqlite3.Connection, secrets: Secrets, exam_id: str) -> tuple[SealedContent | None, bool]:
    """One exam's line, and whether the table's row had been altered; None when there is no such exam."""
    rows = rows_of(connection, f"{_SELECT} WHERE exam = ?", (exam_id,))
    counted = rows_of(connection, "SELECT count(*), max(seq) FROM events WHERE exam = ?", (exam_id,))[0]
    for row in rows:
        kept = sound(secrets, row)
        if kept is not None and counted == (kept.strand.events, kept.strand.last):
            return kept, False
    if not rows and not counted[0]:
        return None, False
    return (made_again(connection, secrets, exam_id) if _unbroken(connection, secrets) else None), True


def made_again(connection: sqlite3.Connection, secrets: Secrets, exam_id: str) -> SealedContent | None:
    """The line as the trail tells it; None when no event opened the exam or its events make none."""
    try:
        rows = events_of(connection, secrets, exam_id)
        if not rows:
            return None
        return made_of(rows, old_offsets(connection, secrets).get(exam_id))
    except (ExamRefused, JournalDamaged, KeyError, ValueError, TypeError, IndexError):
        return None


def made_of(rows: Sequence[EventRow], utc_offset_s: int | None) -> SealedContent:
    """The line that these events, all those of one exam, make."""
    if rows[-1].kind == folding.RETIRED:
        return retired(rows[-1], strand_of(rows), rows[0].seq, utc_offset_s)
    return kept_of(folding.fold(rows, utc_offset_s))


def kept_of(folded: folding.Folded) -> SealedContent:
    """The line of an exam that is not retired."""
    accounts = tuple(sorted(folded.accounts)) if folded.exposures else ()
    return SealedContent(folding.summary_row(folded), folded.strand, accounts)


def retired(event: EventRow, strand: Strand, opened_seq: int, utc_offset_s: int | None = None) -> SealedContent:
    """The line after the `retired` event; `strand` holds that event too."""
    accounts = tuple(str(name) for name in event.content.get("accounts", []))
    return SealedContent(folding.retired_row(event, opened_seq, utc_offset_s), strand, accounts)


def events_of(connection: sqlite3.Connection, secrets: Secrets, exam_id: str) -> list[EventRow]:
    """The events of an exam, in their order. Raises `JournalDamaged` when one is not what its hash says."""
    rows = rows_of(connection, f"{WITH_BEFORE} WHERE exam = ? ORDER BY seq", (exam_id,))
    return [checked_event(secrets, row) for row in rows]


def own_events(connection: sqlite3.Connection, secrets: Secrets, kind: str) -> list[EventRow]:
    """The journal's own events of a kind, in their order. Raises `JournalDamaged` unless they are those it sealed."""
    rows = [
        checked_event(secrets, row) for row in rows_of(connection, f"{WITH_BEFORE} WHERE exam IS NULL ORDER BY seq")
    ]
    if strand_of(rows) != _own(connection, secrets) and not _unbroken(connection, secrets):
        raise JournalDamaged("the journal's own events are not those that it sealed; run python -m runtime.exam verify")
    return [row for row in rows if row.kind == kind]


def strand_of(rows: Sequence[EventRow]) -> Strand:
    """Of events in their order."""
    strand = Strand()
    for row in rows:
        strand = strand.after(row.seq, row.hash)
    return strand


def named_images(connection: sqlite3.Connection, secrets: Secrets) -> Iterator[tuple[int, str, str]]:
    """(event, exam, picture) of every capture whose exam is not retired; captures that were altered are left out."""
    query = f"{WITH_BEFORE} WHERE kind = ? ORDER BY seq"
    for values in rows_of(connection, query, (folding.CAPTURED,)):
        try:
            row = checked_event(secrets, values)
        except JournalDamaged:
            continue
        sha256 = row.content.get("image_sha256")
        if isinstance(sha256, str):
            yield row.seq, str(row.exam), sha256


def is_kept(secrets: Secrets, row: Sequence[Any] | None, expected: SealedContent) -> bool:
    """Whether a row of the table is what its exam's events make."""
    found = None if row is None else sound(secrets, row)
    return found is not None and (tuple(found.line), found.strand, found.accounts) == (
        tuple(expected.line),
        expected.strand,
        expected.accounts,
    )


def old_offsets(connection: sqlite3.Connection, secrets: Secrets) -> dict[str, int]:
    """By exam that was opened before version 4 the offset that was fixed when its journal was brought forward."""
    found: dict[str, int] = {}
    for row in own_events(connection, secrets, MIGRATED):
        found.update(row.content.get("utc_offsets_s", {}))
    return found


def _plain(line: Line) -> tuple[Any, ...]:
    """What SQLite needs to find a line, and what tells nothing of the infant: exam, phase, pending, two numbers."""
    return line[0], line[1], line[6], line[11], line[12]


def sound(secrets: Secrets, row: Sequence[Any]) -> SealedContent | None:
    """What a row of the table tells, in the order of `COLUMNS_OF_LINE`; None for one that was altered."""
    try:
        line, strand, accounts = secrets.open_json("line", str(row[0]), row[-1])
        kept = SealedContent(tuple(line), Strand(*strand), tuple(accounts))
        return kept if _plain(kept.line) == tuple(row[:-1]) else None
    except (JournalDamaged, ValueError, TypeError, IndexError):
        return None
