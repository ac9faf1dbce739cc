"""The hash chain: each event's hash covers the one before, so that no past event can change unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.exam.errors import JournalDamaged

GENESIS = "0" * 64
"""What stands for the hash before the first event."""
RETIRED = "retired"
"""Kind of the event after which those of its exam before it hold nothing any more."""

canonical = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")).encode
"""The one JSON text of a content: sorted keys, no spaces, ASCII. Numbers that are not finite are refused."""


def digest(content: str | bytes) -> str:
    """SHA-256, as hex. A text that cannot be UTF-8 any more (a flipped byte) still gets its own digest."""
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class StoredRow:
    """One row of the trail as it lies in the table."""

    seq: int
    exam: str | None
    kind: str
    at: str
    who: bytes
    """Sealed."""
    body: bytes | None
    """Sealed; None once the exam is retired."""
    body_sha256: str
    hash: str


@dataclass(frozen=True)
class EventRow:
    """One event as it reads with the journal's key."""

    seq: int
    exam: str | None
    kind: str
    at: str
    who: str
    body: str | None
    """JSON."""
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The body, parsed; empty once it was removed."""
        content: dict[str, Any] = json.loads(self.body or "{}")
        return content


@dataclass(frozen=True)
class Strand:
    """All events of one exam, or all of the journal itself: how many, the newest, and a hash over theirs in order."""

    events: int = 0
    last: int = 0
    digest: str = GENESIS

    def after(self, seq: int, hash_: str) -> Strand:
        """With one more event."""
        return Strand(self.events + 1, seq, digest(f"{self.digest} {hash_}"))


def event_hash(previous: str, seq: int, exam: str | None, kind: str, at: str, who: bytes, body_sha256: str) -> str:
    """The hash of an event; the body takes part by its SHA-256, so that it can be removed when an exam is retired."""
    return digest(canonical([previous, seq, exam, kind, at, digest(who), body_sha256]))


def readable(row: StoredRow) -> bool:
    """Whether each column holds the kind of value that it must; a changed byte may make a number or bytes of a text."""
    texts = (row.exam or "", row.kind, row.at, row.body_sha256, row.hash)
    return isinstance(row.seq, int) and isinstance(row.who, bytes) and all(isinstance(text, str) for text in texts)


def follows(row: StoredRow, previous: object) -> bool:
    """Whether a row's hash is that of its columns after an event with the hash `previous`."""
    if not (readable(row) and isinstance(previous, str)):
        return False
    return row.hash == event_hash(previous, row.seq, row.exam, row.kind, row.at, row.who, row.body_sha256)


def moment_of(at: object) -> datetime:
    """The time that an event tells. Raises `JournalDamaged` for what is none."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise JournalDamaged("the time of an event was altered; run python -m runtime.exam verify")
    return moment


def linked(previous: str, seq: int, exam: str | None, kind: str, at: str, who: bytes, body: bytes) -> StoredRow:
    """The next row of the trail."""
    body_sha256 = digest(body)
    return StoredRow(
        seq, exam, kind, at, who, body, body_sha256, event_hash(previous, seq, exam, kind, at, who, body_sha256)
    )
