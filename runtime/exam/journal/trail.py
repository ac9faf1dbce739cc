"""Writing the trail: each event is linked to the one before, the head is sealed, and a clock that jumps is noted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.chain import GENESIS, EventRow, linked
from runtime.exam.journal.crypt import JournalKey
from runtime.uptime import uptime_s

COLUMNS = "seq, exam, kind, at, who, body, body_sha256, hash"
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


class Trail:
    """Appends events inside transactions of its caller, each begun by `start`."""

    def __init__(self, key: JournalKey, clock: Callable[[], datetime]) -> None:
        self._key = key
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
        row = linked(before, seq, exam, kind, now.isoformat(), who, content)
        connection.execute(
            f"INSERT INTO events({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.seq, row.exam, row.kind, row.at, row.who, row.body, row.body_sha256, row.hash),
        )
        head = f"{row.seq} {row.hash} {self._key.seal(row.seq, row.hash)}"
        connection.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('head', ?)", (head,))
        self.end = End(row.seq, row.at, row.hash, head)
        return row

    def _jump_s(self, now: datetime) -> float | None:
        """By how much the clock jumped, None when it did not: forward can be seen only while the program runs."""
        if self._last is not None:
            wall = (now - self._last[0]).total_seconds()
            jumped = wall - (uptime_s() - self._last[1])
            return jumped if abs(jumped) > JUMP_S else None
        if self.end is not None:
            back = (now - datetime.fromisoformat(self.end.at)).total_seconds()
            return back if back < -JUMP_S else None
        return None


def trail_end(connection: sqlite3.Connection) -> End | None:
    """The newest event with the head, in one query."""
    found = connection.execute(
        "SELECT seq, at, hash, (SELECT value FROM meta WHERE name = 'head') FROM events ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return None if found is None else End(*found)


def wrong_end(end: End | None, key: JournalKey | None) -> str | None:
    """What is wrong with the end of the trail, None when nothing is. Without a key the seal is not looked at."""
    if end is None or end.head is None:
        return "the trail has no head"
    parts = str(end.head).split(" ")
    if len(parts) != 3 or (parts[0], parts[1]) != (str(end.seq), end.hash):
        return f"the trail ends at event {end.seq}, its head tells of another; events were removed, added or altered"
    if key is not None and parts[2] != key.seal(end.seq, end.hash):
        return f"the seal of event {end.seq} is not this key's; the trail was written anew"
    return None


def check_end(end: End | None, key: JournalKey | None, name: str) -> None:
    """Raise `JournalDamaged` unless the head fits; costs the same however long the trail is."""
    wrong = wrong_end(end, key)
    if wrong is not None:
        raise JournalDamaged(f"{name}: {wrong}; run python -m runtime.exam verify, and bring back a copy")
