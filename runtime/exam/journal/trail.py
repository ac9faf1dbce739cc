"""Writing the trail: each event is linked to the one before, the head is sealed, and a clock that jumps is noted."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.chain import GENESIS, EventRow, linked
from runtime.exam.journal.crypt import JournalKey

COLUMNS = "seq, exam, kind, at, who, body, body_sha256, hash"
CLOCK = "clock"
JUMP_S = 30.0
"""A clock that moved this much against the time that passed is noted in the trail."""
PROGRAM = "software"
"""Who did what no person did."""


class Trail:
    """Appends events inside transactions of its caller."""

    def __init__(self, key: JournalKey, clock: Callable[[], datetime]) -> None:
        self._key = key
        self._clock = clock
        self._last: tuple[datetime, float] | None = None

    def append(self, connection: sqlite3.Connection, exam: str | None, kind: str, who: str, content: Any) -> EventRow:
        """Add one event and move the sealed head."""
        now, previous = self._clock(), last_event(connection)
        jumped = self._jump_s(now, previous)
        if jumped is not None:
            previous = self._add(connection, previous, now, None, CLOCK, PROGRAM, {"jumped_s": round(jumped)})
        row = self._add(connection, previous, now, exam, kind, who, content)
        self._last = (now, time.monotonic())
        return row

    def _add(
        self,
        connection: sqlite3.Connection,
        previous: EventRow | None,
        now: datetime,
        exam: str | None,
        kind: str,
        who: str,
        content: Any,
    ) -> EventRow:
        seq, before = (previous.seq + 1, previous.hash) if previous else (1, GENESIS)
        row = linked(before, seq, exam, kind, now.isoformat(), who, content)
        connection.execute(
            f"INSERT INTO events({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.seq, row.exam, row.kind, row.at, row.who, row.body, row.body_sha256, row.hash),
        )
        connection.execute(
            "INSERT OR REPLACE INTO meta(name, value) VALUES ('head', ?)", (head_text(self._key, row.seq, row.hash),)
        )
        return row

    def _jump_s(self, now: datetime, previous: EventRow | None) -> float | None:
        """By how much the clock jumped, None when it did not: forward can be seen only while the program runs."""
        if self._last is not None:
            wall = (now - self._last[0]).total_seconds()
            jumped = wall - (time.monotonic() - self._last[1])
            return jumped if abs(jumped) > JUMP_S else None
        if previous is not None:
            back = (now - datetime.fromisoformat(previous.at)).total_seconds()
            return back if back < -JUMP_S else None
        return None


def head_text(key: JournalKey, seq: int, head: str) -> str:
    """The value of `head` in the table `meta`: number, hash and seal of the last event."""
    return f"{seq} {head} {key.seal(seq, head)}"


def check_head(connection: sqlite3.Connection, key: JournalKey | None) -> str | None:
    """What is wrong with the head of the trail, None when nothing is. Without a key the seal is not looked at."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'head'").fetchone()
    last = last_event(connection)
    if found is None or last is None:
        return "the trail has no head"
    parts = str(found[0]).split(" ")
    if len(parts) != 3 or (parts[0], parts[1]) != (str(last.seq), last.hash):
        return f"the trail ends at event {last.seq}, its head tells of another; events were removed, added or altered"
    if key is not None and parts[2] != key.seal(last.seq, last.hash):
        return f"the seal of event {last.seq} is not this key's; the trail was written anew"
    return None


def last_event(connection: sqlite3.Connection) -> EventRow | None:
    """The newest event."""
    found = connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return None if found is None else EventRow(*found)


def check_trail_end(connection: sqlite3.Connection, key: JournalKey | None, name: str) -> None:
    """Raise `JournalDamaged` unless the head fits; costs the same however long the trail is."""
    wrong = check_head(connection, key)
    if wrong is not None:
        raise JournalDamaged(f"{name}: {wrong}; run python -m runtime.exam verify, and bring back a copy")
