"""Writing the trail: each event is linked to the one before, the head is sealed, and a clock that jumps is noted."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from runtime.exam.errors import JournalDamaged, JournalUnwritable
from runtime.exam.journal.chain import (
    GENESIS,
    RETIRED,
    EventRow,
    StoredRow,
    Strand,
    canonical,
    digest,
    follows,
    linked,
    moment_of,
)
from runtime.exam.journal.secrets import Secrets
from runtime.uptime import uptime_s

COLUMNS = "seq, exam, kind, at, who, body, body_sha256, hash"
_BEFORE = f"coalesce((SELECT hash FROM events AS before WHERE before.seq = events.seq - 1), '{GENESIS}')"
_RETIRED_AT = (
    "CASE WHEN body IS NULL THEN (SELECT max(seq) FROM events AS later "
    f"WHERE later.exam = events.exam AND later.kind = '{RETIRED}') END"
)
WITH_BEFORE = f"SELECT {COLUMNS}, {_RETIRED_AT}, {_BEFORE} FROM events"
"""Each event with what `checked_event` needs of others: the event that retired the exam of one that holds nothing, and
the hash of the one before, from which its own follows."""
CLOCK = "clock"
JUMP_S = 30.0
"""A clock that moved this much against the time that passed is noted in the trail."""
PROGRAM = "software"
"""Who did what no person did."""


@dataclass(frozen=True)
class End:
    """The newest event, and what the head says of it."""

    seq: int
    at: str
    hash: str
    head: str | None
    """`None` only before the first event was added."""
    fits: bool = True
    """Whether its hash follows from its columns and the event before."""

    @property
    def moment(self) -> datetime:
        """When it was. Raises `JournalDamaged`."""
        return moment_of(self.at)


class Trail:
    """Appends events inside transactions of its caller, each begun by `start`."""

    def __init__(self, secrets: Secrets, clock: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._clock = clock
        self._last: tuple[datetime, float] | None = None
        self._now: tuple[datetime, float] | None = None
        self.end: End | None = None
        """As this transaction found or left it; None before the first event."""

    def start(self, connection: sqlite3.Connection) -> None:
        """Look where the trail ends: another process may have written since. Once in every transaction."""
        self.end = trail_end(connection)
        self._now = None

    def committed(self) -> None:
        """The transaction is on disk: jumps of the clock are told from its event on."""
        self._last = self._now or self._last

    def append(self, connection: sqlite3.Connection, exam: str | None, kind: str, who: str, content: Any) -> EventRow:
        """Add one event and move the sealed head."""
        now = self._clock()
        jumped = self._jump_s(now)
        if jumped is not None:
            self._add(connection, now, None, CLOCK, PROGRAM, {"jumped_s": round(jumped)})
        row = self._add(connection, now, exam, kind, who, content)
        self._now = (now, uptime_s())
        return row

    def _add(
        self,
        connection: sqlite3.Connection,
        now: datetime,
        exam: str | None,
        kind: str,
        who: str,
        content: Any,
    ) -> EventRow:
        seq, before = (self.end.seq + 1, self.end.hash) if self.end else (1, GENESIS)
        row = EventRow(seq, exam, kind, now.isoformat(), who, canonical(content), "")
        stored = sealed_event(self._secrets, before, row)
        insert(connection, stored)
        if exam is None:
            own = own_strand(connection, self._secrets) if seq > 1 else Strand()
            save_own(connection, self._secrets, own.after(seq, stored.hash))
        save_head(connection, self._secrets, seq, stored.hash)
        self.end = trail_end(connection)
        return EventRow(seq, exam, kind, row.at, who, row.body, stored.hash)

    def _jump_s(self, now: datetime) -> float | None:
        """By how much the clock jumped, None when it did not: forward can be seen only while the program runs."""
        if self._last is not None:
            wall = (now - self._last[0]).total_seconds()
            jumped = wall - (uptime_s() - self._last[1])
            return jumped if abs(jumped) > JUMP_S else None
        if self.end is not None:
            back = (now - self.end.moment).total_seconds()
            return back if back < -JUMP_S else None
        return None


def sealed_event(secrets: Secrets, before: str, row: EventRow) -> StoredRow:
    """The event as it lies in the table, linked to the hash before it."""
    who = secrets.seal("who", _bound(row), row.who.encode())
    body = secrets.seal("event", _bound(row), (row.body or "{}").encode())
    return linked(before, row.seq, row.exam, row.kind, row.at, who, body)


def opened_event(secrets: Secrets, stored: StoredRow) -> EventRow:
    """The event as it reads. Raises `JournalDamaged`, which names it, when it is not as it was written."""
    try:
        who = secrets.open("who", _bound(stored), stored.who).decode()
        body = None if stored.body is None else secrets.open("event", _bound(stored), stored.body).decode()
    except JournalDamaged:
        raise JournalDamaged(f"event {stored.seq}: its content was altered") from None
    return EventRow(stored.seq, stored.exam, stored.kind, stored.at, who, body, stored.hash)


def checked_event(secrets: Secrets, values: Sequence[Any]) -> EventRow:
    """An event of `WITH_BEFORE`, opened. Raises `JournalDamaged`, which names it, when anything of it was altered."""
    row, retired_at = StoredRow(*values[:-2]), values[-2]
    removed = row.body is None and isinstance(retired_at, int) and row.seq < retired_at
    whole = removed or (isinstance(row.body, bytes) and digest(row.body) == row.body_sha256)
    if not (whole and follows(row, values[-1])):
        raise JournalDamaged(f"event {row.seq}: it was altered, or the one before it was")
    return opened_event(secrets, row)


def _bound(row: EventRow | StoredRow) -> str:
    return f"{row.seq} {row.exam} {row.kind}"


def insert(connection: sqlite3.Connection, stored: StoredRow) -> None:
    """Add a row, inside the caller's transaction."""
    connection.execute(f"INSERT INTO events({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(stored))


def save_head(connection: sqlite3.Connection, secrets: Secrets, seq: int, hash_: str) -> None:
    """Seal the newest event, inside the caller's transaction."""
    head = f"{seq} {hash_} {secrets.current} {secrets.mac('head', canonical([seq, hash_]))}"
    connection.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('head', ?)", (head,))


def save_own(connection: sqlite3.Connection, secrets: Secrets, own: Strand) -> None:
    """Seal the strand of events that belong to no exam, inside the caller's transaction."""
    sealed = base64.b64encode(secrets.seal_json("own", "", astuple(own))).decode("ascii")
    connection.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('own', ?)", (sealed,))


def own_strand(connection: sqlite3.Connection, secrets: Secrets) -> Strand:
    """The strand of events that belong to no exam. Raises `JournalDamaged` when it was altered."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'own'").fetchone()
    try:
        return Strand(*secrets.open_json("own", "", base64.b64decode(found[0], validate=True)))
    except (JournalDamaged, ValueError, TypeError):
        raise JournalDamaged("the journal's own events: their seal was altered; run verify") from None


def trail_end(connection: sqlite3.Connection) -> End | None:
    """The newest event with the head."""
    found = connection.execute(f"{WITH_BEFORE} ORDER BY seq DESC LIMIT 1".replace(" body,", " NULL,")).fetchone()
    if found is None:
        return None
    head = connection.execute("SELECT value FROM meta WHERE name = 'head'").fetchone()
    row = StoredRow(*found[:-2])
    return End(row.seq, row.at, row.hash, None if head is None else head[0], follows(row, found[-1]))


def wrong_end(end: End | None, secrets: Secrets | None) -> str | None:
    """What is wrong with the end of the trail, None when nothing is. Without secrets the seal is not looked at."""
    if end is None or end.head is None:
        return "the trail has no head"
    parts = str(end.head).split(" ")
    if len(parts) != 4 or (parts[0], parts[1]) != (str(end.seq), end.hash):
        return f"the trail ends at event {end.seq}, its head tells of another; events were removed, added or altered"
    if not end.fits:
        return f"event {end.seq}, the newest, was altered, or the one before it was"
    if secrets is not None and parts[3] != secrets.mac("head", canonical([end.seq, end.hash])):
        return f"the seal of event {end.seq} is not this key's; the trail was written anew"
    if secrets is not None and parts[2] != str(secrets.current):
        return f"the head of event {end.seq} names another secret than the one that sealed it"
    return None


def check_end(end: End | None, secrets: Secrets | None, name: str) -> None:
    """Raise `JournalDamaged` unless the head fits; costs the same however long the trail is."""
    wrong = wrong_end(end, secrets)
    if wrong is not None:
        raise JournalDamaged(f"{name}: {wrong}; run python -m runtime.exam verify, and bring back a copy")


def check_secret_in_use(connection: sqlite3.Connection, secrets: Secrets, name: str) -> None:
    """Raise `JournalUnwritable` when another process gave the journal new secrets since it was opened here."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'number'").fetchone()
    if found is not None and str(found[0]).isdigit() and int(found[0]) > secrets.current:
        raise JournalUnwritable(f"{name}: its key was changed meanwhile (rekey); open it anew with the new key")
