"""Verification: every row and every image against the trail, and the trail against itself and its seal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from runtime.exam.errors import JournalError, KeyUnusable
from runtime.exam.journal import deliveries, lines
from runtime.exam.journal.chain import GENESIS, EventRow, canonical, digest, event_hash
from runtime.exam.journal.fold import (
    AMENDED,
    CAPTURED,
    EXPOSED,
    OPENED,
    RETIRED,
    SUMMARY_COLUMNS,
    fold,
    summary_row,
)
from runtime.exam.journal.trail import COLUMNS, trail_end, wrong_end
from runtime.exam.journal.witness import FILE as WITNESS_FILE
from runtime.exam.journal.witness import Witnessed, missing_events

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader

MOST_FINDINGS = 100


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written."""

    where: str
    """`event 17`, `image 3f2a…`, `exam 20261122-…`, ..."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Verification:
    """What verification saw."""

    events: int
    exams: int
    images: int
    sealed: bool
    """Whether a key was there to check the seal of the trail's head."""
    findings: tuple[Finding, ...]
    """In the order of the trail, then tables, then images; at most `MOST_FINDINGS`. Empty when all is well."""


def verify(journal: JournalReader, told: Callable[[str], None] = lambda _: None) -> Verification:
    """Look at everything in a journal that was opened with `check=False`. Reads only, one snapshot.

    `told` hears what is looked at next. Raises `KeyUnusable` when the key is another journal's.
    """
    connection = journal.database.connection
    with journal.database.naming():
        witnessed = journal.witness.read()  # before the snapshot: another process may add events meanwhile
        connection.execute("SAVEPOINT verification")
        try:
            findings = tuple(islice(_everything(connection, journal, witnessed, told), MOST_FINDINGS))
            counts = [
                int(connection.execute(f"SELECT count({what}) FROM {table}").fetchone()[0])
                for what, table in (("*", "events"), ("*", "exams"), ("DISTINCT sha256", "images"))
            ]
        finally:
            connection.execute("RELEASE verification")
    return Verification(counts[0], counts[1], counts[2], journal.key is not None, findings)


def _everything(
    connection: sqlite3.Connection,
    journal: JournalReader,
    witnessed: Witnessed | None,
    told: Callable[[str], None],
) -> Iterator[Finding]:
    told("the file")
    yield from _database(connection)
    told("the trail")
    yield from _trail(connection)
    yield from _head(connection, journal)
    yield from _witness(connection, witnessed)
    yield from _identity(connection, journal)
    told("the exams")
    yield from _exams(connection)
    yield from _light(connection)
    yield from _deliveries(connection)
    told("the images")
    yield from _images(connection, journal)


def _database(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (said,) in connection.execute("PRAGMA integrity_check").fetchall():
        if said != "ok":
            yield Finding("database", str(said))


def _trail(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Each event against its content and the one before; after a break the chain is taken up again behind it."""
    retired = _retired_at(connection)
    previous, expected = GENESIS, 1
    removed: list[Finding] = []
    for values in connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq"):
        row = EventRow(*values)
        where = f"event {row.seq} ({row.kind!r}, exam {row.exam})" if row.exam else f"event {row.seq} ({row.kind!r})"
        texts = (row.exam or "", row.kind, row.at, row.who, row.body_sha256, row.hash)
        readable = all(isinstance(text, str) for text in texts)
        hashed = ""
        if readable:
            hashed = event_hash(previous, row.seq, row.exam, row.kind, row.at, row.who, row.body_sha256)
        if row.seq != expected:
            yield Finding(where, f"expected event {expected} here; events were removed, added or renumbered")
        if not readable:
            yield Finding(where, "altered: a column holds no text")
        elif row.body is None and row.hash == hashed and not row.seq < retired.get(str(row.exam), 0):
            removed.append(Finding(where, "its content was removed, and the exam is not retired"))
        elif row.body is not None and not (isinstance(row.body, str) and digest(row.body) == row.body_sha256):
            yield Finding(where, "its content was altered")
        elif row.hash != hashed:
            yield Finding(where, "altered: its hash does not follow from it and the event before")
        previous, expected = str(row.hash), row.seq + 1
    yield from removed  # last, for it may be the retirement that was altered


def _retired_at(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT exam, seq FROM events WHERE kind = ?", (RETIRED,)).fetchall())


def _head(connection: sqlite3.Connection, journal: JournalReader) -> Iterator[Finding]:
    wrong = wrong_end(trail_end(connection), journal.key)
    if wrong is not None:
        yield Finding("head of the trail", wrong)


def _witness(connection: sqlite3.Connection, witnessed: Witnessed | None) -> Iterator[Finding]:
    if witnessed is None:
        yield Finding(WITNESS_FILE, "missing or unreadable: whether the newest events are here cannot be told")
        return
    missing = missing_events(witnessed, trail_end(connection))
    if missing is not None:
        yield Finding("end of the trail", missing)


def _identity(connection: sqlite3.Connection, journal: JournalReader) -> Iterator[Finding]:
    """The table `meta` against the first event."""
    found = connection.execute("SELECT body FROM events WHERE seq = 1").fetchone()
    created = _json(found[0]) if found else {}
    kept = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    if journal.key is not None and kept.get("key_check") == created.get("key_check") != journal.key.check:
        raise KeyUnusable("verification: this key is another journal's; name the journal's own, or none")
    for name in ("journal_id", "key_check"):
        if kept.pop(name, None) != created.get(name):
            yield Finding(f"meta {name}", "not what the first event says")
    kept.pop("head", None)
    for name in kept:
        yield Finding(f"meta {name!r}", "no such entry was ever written")


def _exams(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The table `exams`, and the vessel maps, against what the events make."""
    kept = {row[0]: row for row in connection.execute(f"SELECT {SUMMARY_COLUMNS}, checksum FROM exams")}
    offsets = _old_offsets(connection)
    vessels: dict[Any, dict[Any, str]] = {}
    for exam, number, png in connection.execute("SELECT exam, capture, png FROM vessels"):
        vessels.setdefault(exam, {})[number] = _sha256(png)
    opened = connection.execute("SELECT exam FROM events WHERE kind = ? ORDER BY seq", (OPENED,)).fetchall()
    for (exam,) in opened:
        try:
            expected, maps = _expected(_events_of(connection, exam), offsets.get(exam))
        except Exception as error:  # whatever an altered event leads to, it is named and the rest is looked at
            yield Finding(f"exam {exam}", f"its events make no exam ({type(error).__name__}: {error})")
            kept.pop(exam, None)
            vessels.pop(exam, None)
            continue
        if kept.pop(exam, None) != (*expected, lines.checksum(expected)):
            yield Finding(f"exam {exam}", "its row in the table exams is not what its events make")
        if vessels.pop(exam, {}) != maps:
            yield Finding(f"exam {exam}", "its vessel maps are not those of its readings")
    for exam in sorted(map(str, {*kept, *vessels})):
        yield Finding(f"exam {exam}", "no event opened it")


def _old_offsets(connection: sqlite3.Connection) -> dict[str, int]:
    try:
        return lines.old_offsets(lambda sql, arguments: connection.execute(sql, arguments).fetchall())
    except (ValueError, AttributeError, TypeError):  # an altered event, which the trail's own check names
        return {}


def _expected(rows: list[EventRow], utc_offset_s: int | None) -> tuple[tuple[Any, ...], dict[int, str]]:
    if rows[-1].kind == RETIRED:
        return lines.made_of(rows, utc_offset_s), {}
    folded = fold(rows, utc_offset_s)
    maps = {n: body["vessels_sha256"] for n, body in folded.readings.items() if body["vessels_sha256"]}
    return summary_row(folded), maps


def _light(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The tables `exposures` and `accounts` against the events."""
    runs: dict[str, tuple[str, str]] = {}
    lit: dict[str, set[str]] = {}
    marks = (EXPOSED, AMENDED, RETIRED)
    for kind, exam, body in connection.execute(
        "SELECT kind, exam, body FROM events WHERE kind IN (?, ?, ?) ORDER BY seq", marks
    ):
        content = _json(body)
        given = content.get("exposures", []) if kind == RETIRED else [content] if kind == EXPOSED else []
        for one in (found for found in given if "run" in found):  # an event of a retired exam has no content
            runs[str(one.get("run"))] = (str(exam), canonical(one))
        names = content.get("accounts", []) if kind == RETIRED else [content.get("account")]
        lit.setdefault(str(exam), set()).update(name for name in names if isinstance(name, str))
    kept = {run: (exam, body) for run, exam, body in connection.execute("SELECT run, exam, body FROM exposures")}
    for run in sorted({*runs, *kept}, key=str):
        if runs.get(run) != kept.get(run):
            yield Finding(f"exposure {run}", "its row in the table exposures is not what its events make")
    exams = {exam for exam, _ in runs.values()}
    expected = {(account, exam) for exam in exams for account in lit.get(exam, ())}
    rows = set(connection.execute("SELECT account, exam FROM accounts").fetchall())
    for _, exam in sorted(expected ^ rows, key=str):
        yield Finding(f"accounts of exam {exam}", "not those that its events make")


def _deliveries(connection: sqlite3.Connection) -> Iterator[Finding]:
    for row in connection.execute(f"SELECT {deliveries.COLUMNS}, checksum FROM deliveries"):
        if not deliveries.sound(row):
            yield Finding(f"delivery of exam {row[0]} to {row[1]!r}", "altered: its checksum does not fit")


def _images(connection: sqlite3.Connection, journal: JournalReader) -> Iterator[Finding]:
    """The table `images` against the events, in their order, and every file against its name."""
    retired = _retired_at(connection)
    kept = set(connection.execute("SELECT sha256, exam FROM images").fetchall())
    seen: set[str] = set()
    named: set[tuple[str, str]] = set()
    captured = connection.execute("SELECT seq, exam, body FROM events WHERE kind = ? ORDER BY seq", (CAPTURED,))
    for seq, exam, body in captured:
        sha256 = _json(body).get("image_sha256")
        if exam in retired or not isinstance(sha256, str):
            continue
        if (sha256, exam) not in kept:
            yield Finding(f"image {sha256}", f"event {seq} names it, the table images does not")
        named.add((sha256, exam))
        if sha256 in seen:
            continue
        seen.add(sha256)
        try:
            journal.images.read(sha256)
        except (JournalError, ValueError) as error:
            yield Finding(f"image {sha256}", f"{error} (exam {exam}, event {seq})")
    for sha256, exam in sorted(kept - named, key=str):
        yield Finding(f"image {sha256}", f"the table images names it for exam {exam}, no event does")


def _events_of(connection: sqlite3.Connection, exam: str) -> list[EventRow]:
    found = connection.execute(f"SELECT {COLUMNS} FROM events WHERE exam = ? ORDER BY seq", (exam,))
    return [EventRow(*row) for row in found.fetchall()]


def _json(body: object) -> dict[str, Any]:
    """The content of an event, empty when it is none any more; the trail's own check names that."""
    import json

    try:
        content = json.loads(body) if isinstance(body, str) else {}
    except ValueError:
        content = {}
    return content if isinstance(content, dict) else {}


def _sha256(png: object) -> str:
    import hashlib

    return hashlib.sha256(png).hexdigest() if isinstance(png, bytes) else "no bytes"
